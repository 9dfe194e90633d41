"""Compute the stored solutions in a periodic square, certify them and print how good they are.

Each is computed twice by ETDRK4 on a Fourier grid: the second time with half the step, on a finer
grid and with more Chebyshev coefficients in time and more waves, which is stored as its refinement.

    python scripts/make_periodic_squares.py gray_scott
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
import scipy.fft

import pinnzoo
from pinnzoo.cli.commands import SETTINGS, Verb, argument
from pinnzoo.evaluation import require_reference
from pinnzoo.pdes import make_problem
from pinnzoo.references import etdrk4
from pinnzoo.references.stored import DATA
from pinnzoo.references.tensors import write

# The package's attributes of these names are the problems.
allen_cahn_2d: Any = importlib.import_module("pinnzoo.pdes.allen_cahn_2d")
gray_scott: Any = importlib.import_module("pinnzoo.pdes.gray_scott")
ginzburg_landau: Any = importlib.import_module("pinnzoo.pdes.ginzburg_landau")

Fields = np.ndarray
"""Components on the grid, `(m, n, n)`, complex where the equation is."""


@dataclass(frozen=True)
class Run:
    """How finely a solution is computed and stored.

    Attributes:
        grid: Points along x and y.
        step: Largest step in time.
        degrees: Chebyshev coefficients in time.
        waves: Waves along x and y.
    """

    grid: int
    step: float
    degrees: int
    waves: int


@dataclass(frozen=True)
class Setup:
    """An initial value problem in a periodic square, and the runs that solve it.

    Attributes:
        start: Fields at t = 0 as a function of x and y.
        rates: Of decay of each field, and its diffusivity.
        reaction: Fields to the rest of their slopes in time.
        horizon: Last time.
        low: Where the period begins.
        length: The period.
        runs: The solution and its refinement.
        quantum: Resolution of what is stored.
    """

    start: Callable[[np.ndarray, np.ndarray], Fields]
    rates: tuple[tuple[float, float], ...]
    reaction: Callable[[Fields], Fields]
    horizon: float
    low: float
    length: float
    runs: tuple[Run, Run]
    quantum: float

    def solve(self, run: Run) -> np.ndarray:
        """Coefficients `(degrees, k, l, m)` of Chebyshev and Fourier series."""
        n, m = run.grid, len(self.rates)
        x = self.low + self.length * np.arange(n) / n
        k = 2 * np.pi / self.length * np.fft.fftfreq(n, 1 / n)
        square = np.add.outer(k**2, k**2)
        linear = np.stack([-decay - diffusivity * square for decay, diffusivity in self.rates])
        start = self.start(*np.meshgrid(x, x, indexing="ij"))
        real = not np.iscomplexobj(start)

        def to_waves(fields: Fields) -> np.ndarray:
            return np.asarray(scipy.fft.fft2(fields, norm="forward")).ravel()

        def to_fields(v: np.ndarray) -> Fields:
            fields = np.asarray(scipy.fft.ifft2(v.reshape(m, n, n), norm="forward"))
            return np.real(fields) if real else fields

        nodes = -np.cos(np.pi * np.arange(run.degrees) / (run.degrees - 1))
        states = etdrk4.solve(
            linear.ravel().astype(complex),
            lambda v: to_waves(self.reaction(to_fields(v))),
            to_waves(start),
            self.horizon * (1 + nodes) / 2,
            run.step,
        )
        values = []
        for v in states:
            fields = to_fields(v)
            fields = fields if real else np.concatenate([np.real(fields), np.imag(fields)])
            values.append(np.stack([real_series(field, run.waves) for field in fields], axis=-1))
        c = np.asarray(scipy.fft.dct(np.stack(values)[::-1], type=1, axis=0)) / (run.degrees - 1)
        c[[0, -1]] /= 2
        return c


def real_series(field: np.ndarray, waves: int) -> np.ndarray:
    """Coefficients of 1, cosines and sines along both axes, of values on a grid."""
    c = np.asarray(scipy.fft.fft2(field, norm="forward"))
    for axis in (0, 1):
        c = np.moveaxis(c, axis, 0)
        up, down = c[1:waves], c[:-waves:-1]
        c = np.moveaxis(np.concatenate([c[:1], up + down, 1j * (up - down)]), 0, axis)
    return np.real(c)


def bell(x: np.ndarray, centre: float) -> np.ndarray:
    """The sum of a Gaussian over its periods."""
    return np.asarray(gray_scott.bell(x, centre))


def gray_scott_start(x: np.ndarray, y: np.ndarray) -> Fields:
    """Values of u and v."""
    (a, b), (c, d) = gray_scott.CENTRES
    return np.stack([1 - bell(x, a) * bell(y, b), bell(x, c) * bell(y, d)])


def gray_scott_reaction(fields: Fields) -> Fields:
    """What is neither decay nor diffusion."""
    u, v = fields
    turned = gray_scott.REACTION * u * v**2
    return np.stack([gray_scott.FEED - turned, turned])


def ginzburg_landau_start(x: np.ndarray, y: np.ndarray) -> Fields:
    """A."""
    return (10 * (y + 1j * x) * np.exp(-25 * (x**2 + y**2)))[None]


def ginzburg_landau_reaction(fields: Fields) -> Fields:
    """The cubic term."""
    gl = ginzburg_landau
    return -gl.GROWTH * (1 + 1j * gl.TURNING) * fields * np.abs(fields) ** 2


def allen_cahn_2d_start(x: np.ndarray, y: np.ndarray) -> Fields:
    """Values of u."""
    return (allen_cahn_2d.START * np.sin(x) * np.sin(y))[None]


SETUPS = {
    "allen_cahn_2d": Setup(
        allen_cahn_2d_start,
        ((-1.0, allen_cahn_2d.WIDTH**2),),
        lambda fields: -(fields**3),
        allen_cahn_2d.HORIZON,
        low=0.0,
        length=2 * np.pi,
        runs=(
            Run(grid=160, step=1 / 400, degrees=32, waves=64),
            Run(grid=192, step=1 / 800, degrees=44, waves=72),
        ),
        quantum=2.0**-42,
    ),
    "gray_scott": Setup(
        gray_scott_start,
        ((gray_scott.FEED, gray_scott.DIFFUSION[0]), (gray_scott.REMOVAL, gray_scott.DIFFUSION[1])),
        gray_scott_reaction,
        gray_scott.HORIZON,
        low=-1.0,
        length=2.0,
        runs=(
            Run(grid=160, step=1 / 20_000, degrees=20, waves=64),
            Run(grid=192, step=1 / 40_000, degrees=24, waves=72),
        ),
        quantum=2.0**-28,
    ),
    "ginzburg_landau": Setup(
        ginzburg_landau_start,
        ((-ginzburg_landau.GROWTH, ginzburg_landau.DIFFUSION),),
        ginzburg_landau_reaction,
        ginzburg_landau.HORIZON,
        low=-1.0,
        length=2.0,
        runs=(
            Run(grid=192, step=1 / 2000, degrees=24, waves=80),
            Run(grid=256, step=1 / 4000, degrees=32, waves=96),
        ),
        quantum=2.0**-34,
    ),
}


@click.command(cls=Verb, context_settings=SETTINGS)
@argument("names", "Which; by default all.", nargs=-1, metavar="[NAME]...")
def main(
    names: tuple[str, ...],
) -> None:
    """Compute, store and certify."""
    pinnzoo.enable_x64()
    for name in names or SETUPS:
        setup = SETUPS[name]
        rough, fine = map(setup.solve, setup.runs)
        path = DATA / f"{name}.npz"
        rough = padded(rough, fine.shape)
        write(path, (setup.horizon, setup.low, setup.length), rough, fine, setup.quantum)
        problem = make_problem(name, {})
        certified = require_reference(problem).certified_error(problem.evaluation_points(4))
        print(f"{name}: certified to {certified:.1e}, {path.stat().st_size} bytes")


def padded(c: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Zeros for what a coarser computation does not have, after its cosines and its sines."""
    whole = np.zeros(shape)
    own, wide = (s[1] // 2 + 1 for s in (c.shape, shape))
    places = np.concatenate([np.arange(own), wide + np.arange(own - 1)])
    whole[np.ix_(np.arange(len(c)), places, places, np.arange(c.shape[3]))] = c
    return whole


if __name__ == "__main__":
    main()
