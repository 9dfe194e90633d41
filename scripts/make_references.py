"""Compute the stored reference solutions, certify them and print how good they are.

Each is computed twice by ETDRK4 on a Fourier grid: the second time with half the step, twice the
grid and half as many Chebyshev coefficients again, which is stored as its refinement. What is
printed is the change under that refinement, and the distance to an independent solution: the same
Fourier modes by the explicit Runge-Kutta method of order 8 of Dormand and Prince.

    python scripts/make_references.py kdv
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import scipy.fft
import scipy.integrate
import typer

import pinnzoo
from pinnzoo.pdes import make_problem
from pinnzoo.pdes.kdv import DISPERSION
from pinnzoo.references import etdrk4
from pinnzoo.references.stored import DATA, Series, write

TOLERANCE = 3e-14
"""Relative tolerance of DOP853; SciPy takes no smaller one."""


@dataclass(frozen=True)
class Run:
    """How finely a solution is computed.

    Attributes:
        grid: Points in x.
        step: Largest step in time.
        degrees: Chebyshev coefficients per panel.
    """

    grid: int
    step: float
    degrees: int

    def refined(self) -> "Run":
        """Half the step, twice the grid, half as many coefficients again."""
        return Run(2 * self.grid, self.step / 2, self.degrees * 3 // 2)


@dataclass(frozen=True)
class Setup:
    """A periodic initial value problem `v' = linear v + nonlinear(v)` in Fourier coefficients.

    Attributes:
        low: Where the period begins.
        length: Length of the period.
        edges: Panels in time.
        modes: How many waves are stored.
        run: The solution to store.
        start: Initial profile on a grid in x.
        linear: Diagonal, from the wavenumbers.
        nonlinear: `(grid values of the solution, wavenumbers) -> its Fourier coefficients`.
    """

    low: float
    length: float
    edges: np.ndarray
    modes: int
    run: Run
    start: Callable[[np.ndarray], np.ndarray]
    linear: Callable[[np.ndarray], np.ndarray]
    nonlinear: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def system(self, grid: int) -> tuple[np.ndarray, np.ndarray, Callable]:
        """Initial coefficients, linear and nonlinear part on a grid."""
        waves = 2 * np.pi / self.length * np.arange(grid // 2 + 1)
        # The derivative of the fastest wave of a grid cannot be told on that grid.
        waves[-1] = 0
        x = self.low + self.length * np.arange(grid) / grid

        def nonlinear(v: np.ndarray) -> np.ndarray:
            return self.nonlinear(scipy.fft.irfft(v, n=grid), waves)

        return scipy.fft.rfft(self.start(x)), self.linear(waves), nonlinear

    def solve(self, run: Run) -> Series:
        """The solution as it is stored."""
        start, linear, nonlinear = self.system(run.grid)
        panels = len(self.edges) - 1
        times = np.concatenate(
            [chebyshev_times(*self.edges[p : p + 2], run.degrees)[:-1] for p in range(panels)]
            + [self.edges[-1:]]
        )
        states = np.stack([
            to_basis(v[: self.modes], run.grid)
            for v in etdrk4.solve(linear, nonlinear, start, times, run.step)
        ])  # fmt: skip
        # Neighbouring panels share a time.
        which = np.arange(panels)[:, None] * (run.degrees - 1) + np.arange(run.degrees)
        coefficients = chebyshev_coefficients(states[which])[..., None]
        return Series(self.edges, self.low, self.length, self.modes - 1, coefficients)

    def distance_to_runge_kutta(self, series: Series) -> float:
        """Largest relative distance at the edges to the same modes by DOP853.

        The unknown is `w = exp(-linear (t - left)) v` on each panel, which is not stiff.
        """
        v, linear, nonlinear = self.system(self.run.grid)
        distances = []
        for p, duration in enumerate(np.diff(self.edges)):

            def slope(t: float, w: np.ndarray) -> np.ndarray:
                return np.exp(-linear * t) * nonlinear(np.exp(linear * t) * w)

            scale = np.abs(v).max()
            done = scipy.integrate.solve_ivp(
                slope, (0, duration), v, "DOP853", rtol=TOLERANCE, atol=TOLERANCE * scale
            )
            v = np.exp(linear * duration) * done.y[:, -1]
            other = to_basis(v[: self.modes], self.run.grid)
            here = series.coefficients[p, :, :, 0].sum(axis=0)
            distances.append(np.linalg.norm(other - here) / np.linalg.norm(other))
        return max(distances)


def to_basis(v: np.ndarray, grid: int) -> np.ndarray:
    """Coefficients of 1, cos θ, ..., sin θ, ... from those of NumPy's real FFT."""
    v = v / grid
    return np.concatenate([v.real[:1], 2 * v.real[1:], -2 * v.imag[1:]])


def chebyshev_times(left: float, right: float, degrees: int) -> np.ndarray:
    """Chebyshev points of the second kind of one panel, increasing, both ends included."""
    nodes = -np.cos(np.pi * np.arange(degrees) / (degrees - 1))
    nodes = (left + right) / 2 + (right - left) / 2 * nodes
    nodes[[0, -1]] = left, right
    return nodes


def chebyshev_coefficients(values: np.ndarray) -> np.ndarray:
    """Coefficients along the second axis of polynomials through values at `chebyshev_times`."""
    degrees = values.shape[1]
    c = scipy.fft.dct(values[:, ::-1], type=1, axis=1) / (degrees - 1)
    c[:, [0, -1]] /= 2
    return c


SETUPS = {
    "kdv": Setup(
        low=-1.0,
        length=2.0,
        edges=np.linspace(0, 1, 25),
        modes=180,
        run=Run(grid=512, step=1 / 80_000, degrees=24),
        start=lambda x: np.cos(np.pi * x),
        linear=lambda k: 1j * DISPERSION**2 * k**3,
        nonlinear=lambda u, k: -0.5j * k * scipy.fft.rfft(u**2),
    ),
}


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Which; by default all.")] = None,
) -> None:
    """Compute, store and certify."""
    pinnzoo.enable_x64()
    for name in names or SETUPS:
        setup = SETUPS[name]
        series, refined = setup.solve(setup.run), setup.solve(setup.run.refined())
        path = DATA / f"{name}.npz"
        write(path, series, refined)
        problem = make_problem(name, {})
        certified = problem.reference.certified_error(problem.evaluation_points(4))
        distance = setup.distance_to_runge_kutta(series)
        size = path.stat().st_size
        print(f"{name}: certified to {certified:.1e}, {distance:.1e} from DOP853, {size} bytes")


if __name__ == "__main__":
    typer.run(main)
