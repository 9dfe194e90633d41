"""Compute the flow behind a circular cylinder at Re = 100, certify it and store its limit cycle.

Finite elements of Taylor and Hood of high order on curved triangles, by NGSolve, in a box so wide
that its walls hardly matter: a cylinder of diameter 1 at the origin of [-20, 40] × [-20, 20],
inflow u = 1, slip on the walls, no traction at the outlet. In time the third-order semi-implicit
backward differentiation of Ascher, Ruuth and Wetton (1995, SIAM J. Numer. Anal. 32:797-823, SBDF3):
the Stokes part is implicit, and factorized once.

Vortices are shed until the flow repeats itself. Then its period is found and two periods of
velocity and pressure are fitted by harmonics in time on a Chebyshev grid over the window. Every run
begins with the state of the one before it and is finer in order or step; the last two are what
is stored as the solution and its refinement.

    pip install -e '.[reference]'
    python scripts/make_cylinder_wake.py --workdir runs/cylinder

A run that is killed goes on where it was saved.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import scipy.fft
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize_scalar

from pinnzoo.cli.commands import SETTINGS, Verb
from pinnzoo.references.limit_cycle import Cycle, write
from pinnzoo.references.stored import DATA
from pinnzoo.storage.arrays import pack
from pinnzoo.storage.files import write_file

# Their types are made at run time.
ng: Any = importlib.import_module("ngsolve")
occ: Any = importlib.import_module("netgen.occ")

REYNOLDS = 100.0
LOWER, UPPER = (2.5, -2.5), (7.5, 2.5)
"""The window of Raissi, Perdikaris and Karniadakis (2019), which the paper uses too."""
NODES = 40
HARMONICS = 12
SAMPLES = 64
"""Chebyshev points along x and along y, harmonics in time, and samples in a period."""
QUANTUM = 2.0**-20
PERIODS = 2
LONGEST = 6.5
"""Periods that are fitted, and more than the longest a period can be."""
PROBE = (5.0, 0.0)
"""Where v gives the period, and is zero and rising at t = 0."""
SAVE_EVERY = 1000
"""Steps between two saves."""

SBDF3 = (11 / 6, (-3.0, 3 / 2, -1 / 3), (3.0, -3.0, 1.0))
"""Factors of the new state, of the last three states, and of their convection."""


@dataclass(frozen=True)
class Run:
    """How finely the flow is computed, and for how long.

    Attributes:
        order: Degree of the velocity; that of the pressure is one less.
        step: Step in time.
        horizon: Time from the state that the run begins with to its end.
    """

    order: int
    step: float
    horizon: float

    @property
    def name(self) -> str:
        """For files."""
        return f"order{self.order}-step{self.step:g}"


RUNS = (
    Run(4, 0.005, 120.0),
    Run(5, 0.005, 60.0),
    Run(5, 0.0025, 40.0),
    Run(6, 0.0025, 60.0),
)


def make_mesh(fineness: float) -> Any:
    """Triangles, small at the cylinder and in the window, large far away."""

    def box(x: float, y: float) -> Any:
        return occ.MoveTo(x, -y)

    outer = box(-20, 20).Rectangle(60, 40).Face()
    outer.edges.name = "wall"
    outer.edges.Min(occ.X).name = "inlet"
    outer.edges.Max(occ.X).name = "outlet"
    cylinder = occ.Circle(occ.Pnt(0, 0), 0.5).Face()
    cylinder.edges.name = "cylinder"
    cylinder.edges.maxh = 0.2 * fineness
    layer = occ.Circle(occ.Pnt(0, 0), 1.0).Face()
    near = box(-2, 3.2).Rectangle(10.5, 6.4).Face()
    far = box(8.5, 4).Rectangle(31.5, 8).Face()
    rest = outer - layer - near - far
    near, layer = near - layer, layer - cylinder
    for face, size in ((layer, 0.25), (near, 0.6), (far, 1.5)):
        face.faces.maxh = size * fineness
    geometry = occ.OCCGeometry(occ.Glue([layer, near, far, rest]), dim=2)
    return ng.Mesh(geometry.GenerateMesh(maxh=4.0 * fineness, grading=0.35))


class Flow:
    """The discrete equations, and the last three states, the newest first."""

    def __init__(self, mesh: Any, run: Run):
        """Factorize the implicit part."""
        self.run, self.mesh, self.count = run, mesh, 0
        mesh.Curve(run.order)
        fixed = {"dirichletx": "inlet|cylinder", "dirichlety": "inlet|cylinder|wall"}
        self.velocity = ng.VectorH1(mesh, order=run.order, **fixed)
        self.space = self.velocity * ng.H1(mesh, order=run.order - 1)
        (u, p), (v, q) = self.space.TnT()
        friction = ng.InnerProduct(ng.Grad(u), ng.Grad(v)) / REYNOLDS
        implicit = ng.BilinearForm(self.space, symmetric=True)
        implicit += (SBDF3[0] / run.step * u * v + friction - ng.div(u) * q - ng.div(v) * p) * ng.dx
        mass = ng.BilinearForm(self.space, symmetric=True)
        mass += u * v * ng.dx
        self.matrix, self.mass = implicit.Assemble().mat, mass.Assemble().mat
        self.inverse = self.matrix.Inverse(self.space.FreeDofs(), inverse="sparsecholesky")
        self.convection = ng.BilinearForm(self.space, nonassemble=True)
        self.convection += ng.InnerProduct(ng.Grad(u) * u, v) * ng.dx
        self.states = [ng.GridFunction(self.space) for _ in range(3)]
        self.carried = [self.states[0].vec.CreateVector() for _ in range(3)]
        self.right, self.rest = (self.states[0].vec.CreateVector() for _ in range(2))
        self.sides = []
        for direction in ((1, 0), (0, 1)):
            side = ng.GridFunction(self.space)
            side.components[0].Set(ng.CF(direction), definedon=mesh.Boundaries("cylinder"))
            self.sides.append(side.vec)

    def begin(self, before: "Flow | None") -> None:
        """From the states of another run on the same mesh, or from rest with a push to one side."""
        push = 0.3 * ng.exp(-((ng.x - 1.5) ** 2) - (ng.y - 0.5) ** 2)
        for i, state in enumerate(self.states):
            if before is None:
                state.components[0].Set(ng.CF((1, push)))
            else:
                # One step of this run apart, by the parabola through the states of the other.
                a, b, c = lagrange(i * self.run.step / before.run.step)
                parts = zip(*(other.components for other in before.states), strict=True)
                for own, (f, g, h) in zip(state.components, parts, strict=True):
                    own.Set(a * f + b * g + c * h)
            touching = self.velocity.GetDofs(self.mesh.Boundaries("cylinder"))
            ng.Projector(touching, False).Project(state.components[0].vec)
        self.carry()

    def carry(self) -> None:
        """Compute the convection of all states."""
        for state, carried in zip(self.states, self.carried, strict=True):
            self.convection.Apply(state.vec, carried)

    def advance(self) -> tuple[float, float]:
        """One step; the coefficients of drag and lift after it."""
        _, old, explicit = SBDF3
        self.rest[:] = 0.0
        for factor, state in zip(old, self.states, strict=True):
            self.rest.data += (-factor / self.run.step) * state.vec
        self.right.data = self.mass * self.rest
        for factor, carried in zip(explicit, self.carried, strict=True):
            self.right.data -= factor * carried
        self.states = [self.states[-1], *self.states[:-1]]
        self.carried = [self.carried[-1], *self.carried[:-1]]
        new = self.states[0].vec
        # The increment vanishes where values are prescribed, and its rounding is small.
        new.data = self.states[1].vec
        self.rest.data = self.right - self.matrix * new
        new.data += self.inverse * self.rest
        self.convection.Apply(new, self.carried[0])
        self.count += 1
        # What the equations lack on the cylinder is the traction there, tested with one.
        self.rest.data = self.right - self.matrix * new
        drag, lift = (2 * ng.InnerProduct(self.rest, side) for side in self.sides)
        return drag, lift


def lagrange(s: float) -> tuple[float, float, float]:
    """Weights of values at 0, 1 and 2 for the value at s."""
    return (1 - s) * (2 - s) / 2, s * (2 - s), s * (s - 1) / 2


class Recorded(NamedTuple):
    """What a run leaves.

    Attributes:
        signals: Drag, lift and v at the probe after every step, `(steps, 3)`.
        counts: Steps after which the window was sampled.
        fields: Velocities and pressure there, `(samples, x, y, 3)`.
    """

    signals: np.ndarray
    counts: np.ndarray
    fields: np.ndarray


def window_nodes() -> list[np.ndarray]:
    """Chebyshev points of the second kind along x and y, both ends included."""
    nodes = -np.cos(np.pi * np.arange(NODES) / (NODES - 1))
    return [
        (low + high) / 2 + (high - low) / 2 * nodes for low, high in zip(LOWER, UPPER, strict=True)
    ]


def advance_to_end(flow: Flow, before: Flow | None, folder: Path) -> Recorded:
    """Do what is left of a run, and save it now and then."""
    run, path = flow.run, folder / f"{flow.run.name}.npz"
    signals: list[Any] = []
    counts: list[int] = []
    fields: list[np.ndarray] = []
    if path.exists():
        with np.load(path, allow_pickle=False) as saved:
            signals, counts = saved["signals"].tolist(), saved["counts"].tolist()
            fields = list(saved["fields"])
            for state, values in zip(flow.states, saved["states"], strict=True):
                state.vec.FV().NumPy()[:] = values
        flow.count = len(signals)
        flow.carry()
    else:
        flow.begin(before)
    x, y = (grid.ravel() for grid in np.meshgrid(*window_nodes(), indexing="ij"))
    points, probe = flow.mesh(x, y), flow.mesh(*PROBE)
    steps = round(run.horizon / run.step)
    every = max(1, round(LONGEST / SAMPLES / run.step))
    first = steps - round(PERIODS * LONGEST / run.step)
    while flow.count < steps:
        drag, lift = flow.advance()
        velocity, pressure = flow.states[0].components
        signals.append((drag, lift, velocity(probe)[1]))
        if not np.isfinite(drag):
            raise SystemExit(f"{run.name} diverged after {flow.count} steps: take shorter ones.")
        if flow.count > first and flow.count % every == 0:
            values = np.concatenate([velocity(points), pressure(points)], axis=1)
            counts.append(flow.count)
            fields.append(values.reshape(NODES, NODES, 3))
        if flow.count % SAVE_EVERY == 0 or flow.count == steps:
            arrays = {
                "signals": np.array(signals),
                "counts": np.array(counts),
                "fields": np.array(fields),
                "states": np.stack([state.vec.FV().NumPy() for state in flow.states]),
            }
            write_file(path, pack(arrays))
            print(f"{run.name}: t = {flow.count * run.step:.1f}, drag {drag:.5f}, lift {lift:.5f}")
    return Recorded(np.array(signals), np.array(counts), np.array(fields))


def basis(times: np.ndarray, period: float) -> np.ndarray:
    """1, the cosines and the sines of `Cycle` at many times, `(times, 2 harmonics + 1)`."""
    angle = 2 * np.pi * np.outer(times / period, np.arange(1, HARMONICS + 1))
    return np.concatenate([np.ones((len(times), 1)), np.cos(angle), np.sin(angle)], axis=1)


def misfit(times: np.ndarray, values: np.ndarray, period: float) -> tuple[np.ndarray, float]:
    """Coefficients of the best harmonics, and what they leave relative to the values."""
    matrix = basis(times, period)
    coefficients = np.linalg.lstsq(matrix, values, rcond=None)[0]
    left = np.linalg.norm(matrix @ coefficients - values)
    return coefficients, float(left / np.linalg.norm(values))


def find_period(times: np.ndarray, values: np.ndarray) -> float:
    """The period with which harmonics leave least of a signal."""
    crossing = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    rough = float(np.diff(times[crossing]).mean())
    return float(
        minimize_scalar(
            lambda period: misfit(times, values, period)[1],
            bounds=(0.99 * rough, 1.01 * rough),
            method="bounded",
            options={"xatol": 1e-12},
        ).x  # pyright: ignore[reportAttributeAccessIssue]
    )


def limit_cycle(run: Run, recorded: Recorded) -> tuple[Cycle, dict[str, float]]:
    """The flow that repeats itself, and its figures."""
    last = round(PERIODS * LONGEST / run.step)
    times = run.step * np.arange(1, len(recorded.signals) + 1)[-last:]
    drag, lift, v = recorded.signals[-last:].T
    period = find_period(times, v)
    first = misfit(times, v, period)[0]
    # The fundamental of v at the probe is a sine: zero and rising at t = 0.
    shift = period / (2 * np.pi) * np.arctan2(-first[1], first[1 + HARMONICS])
    sampled = run.step * recorded.counts - shift
    values = recorded.fields.reshape(len(sampled), -1)
    fitted, left = misfit(sampled, values, period)
    coefficients = fitted.reshape(-1, NODES, NODES, 3)
    for axis in (1, 2):
        coefficients = chebyshev_coefficients(coefficients, axis)
    lifts, drags = (misfit(times, signal, period)[0] for signal in (lift, drag))
    theta = np.linspace(0, period, 1000)
    figures = {
        "Strouhal number": 1 / period,
        "mean drag": float(drags[0]),
        "lift amplitude": float(np.abs(basis(theta, period) @ lifts).max()),
        "rms lift": float(np.sqrt((lifts[1:] ** 2).sum() / 2)),
        "not periodic": left,
    }
    return Cycle(period, LOWER, UPPER, coefficients), figures


def chebyshev_coefficients(values: np.ndarray, axis: int) -> np.ndarray:
    """Coefficients along an axis of polynomials through values at `window_nodes`."""
    c = np.asarray(scipy.fft.dct(np.flip(values, axis), type=1, axis=axis)) / (NODES - 1)
    ends = [slice(None)] * c.ndim
    ends[axis] = slice(None, None, NODES - 1)
    c[tuple(ends)] /= 2
    return c


def distance(a: Cycle, b: Cycle, horizon: float) -> np.ndarray:
    """Relative L2 distance of u, v and p over the window and a span of time, by sampling."""
    rng = np.random.default_rng(0)
    points = rng.uniform((0.0, *LOWER), (horizon, *UPPER), (2000, 3))
    values = []
    for cycle in (a, b):
        matrix = basis(points[:, 0], cycle.period)
        sides = [
            np.polynomial.chebyshev.chebvander(2 * (s - low) / (high - low) - 1, NODES - 1)
            for s, low, high in zip(points[:, 1:].T, LOWER, UPPER, strict=True)
        ]
        values.append(
            np.einsum("nk,ni,nj,kijm->nm", matrix, *sides, cycle.coefficients, optimize=True)
        )
    return np.linalg.norm(values[0] - values[1], axis=0) / np.linalg.norm(values[1], axis=0)


@click.command(cls=Verb, context_settings=SETTINGS)
@click.option("--workdir", type=Path, default=Path("runs"), help="Folder for unfinished runs.")
@click.option("--fineness", default=1.0, help="Factor on the sizes of the triangles.")
@click.option(
    "--runs", type=int, default=len(RUNS), help="How many of the runs, from the first on."
)
@click.option(
    "--store/--no-store", default=True, help="Store the last two as solution and refinement."
)
def main(
    workdir: Path,
    fineness: float,
    runs: int,
    store: bool,
) -> None:
    """Run one after the other, and print how their figures converge."""
    workdir.mkdir(parents=True, exist_ok=True)
    mesh, before = make_mesh(fineness), None
    cycles: list[Cycle] = []
    table = Table("run", "unknowns", title=f"Cylinder at Re = {REYNOLDS:g}, {mesh.ne} triangles")
    for run in RUNS[:runs]:
        flow = Flow(mesh, run)
        cycle, figures = limit_cycle(run, advance_to_end(flow, before, workdir))
        if not cycles:
            for name in (*figures, "distance to the run before: u, v, p"):
                table.add_column(name)
        apart = distance(cycles[-1], cycle, 16.0) if cycles else []
        table.add_row(
            run.name,
            f"{flow.space.ndof:,}",
            *(f"{value:.6g}" for value in figures.values()),
            ", ".join(f"{value:.1e}" for value in apart),
        )
        cycles.append(cycle)
        before = flow
    Console(width=160).print(table)
    if store:
        write(DATA / "cylinder_wake.npz", cycles[-2], cycles[-1], QUANTUM)


if __name__ == "__main__":
    main()
