"""Compute the stored reference solutions, certify them and print how good they are.

Each is computed twice by ETDRK4 on a Fourier grid: the second time with half the step, twice the
grid and half as many Chebyshev coefficients again, which is stored as its refinement. What is
printed is the change under that refinement, and the distance to the same Fourier modes by another
method, the explicit Runge-Kutta method of order 8 of Dormand and Prince.

    python scripts/make_references.py kdv
"""

from collections.abc import Callable
from dataclasses import dataclass

import click
import numpy as np
import scipy.fft
import scipy.integrate

import pinnzoo
from pinnzoo.cli.commands import SETTINGS, Verb, argument
from pinnzoo.evaluation import require_reference
from pinnzoo.pdes import make_problem
from pinnzoo.pdes.allen_cahn import DIFFUSION, KINK_RATE
from pinnzoo.pdes.kdv import DISPERSION
from pinnzoo.pdes.kuramoto_sivashinsky import DAMPING, GROWTH, STEEPENING
from pinnzoo.pdes.schrodinger import rates
from pinnzoo.references import etdrk4
from pinnzoo.references.stored import DATA, Series, write

System = tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]
"""Initial state, linear and nonlinear part of `v' = linear v + nonlinear(v)`, where v are the
Fourier coefficients in the order of NumPy's transforms, normalized."""


@dataclass(frozen=True)
class Run:
    """How finely a solution is computed and stored.

    Attributes:
        grid: Points in x.
        step: Largest step in time.
        degrees: Chebyshev coefficients per panel.
        modes: Waves.
    """

    grid: int
    step: float
    degrees: int
    modes: int


@dataclass(frozen=True)
class Setup:
    """A periodic initial value problem and the runs that solve it.

    Attributes:
        system: The problem on a grid.
        stored: `(t, v, modes) -> (b, m)`, the amplitudes that are stored of a state.
        low: Where the period begins.
        length: Length of the period.
        edges: Panels in time.
        runs: The solution and its refinement.
        quantum: Resolution of the stored coefficients.
        tolerance: Of DOP853, relative.
        even: Whether there are no sines.
    """

    system: Callable[[int], System]
    stored: Callable[[float, np.ndarray, int], np.ndarray]
    low: float
    length: float
    edges: np.ndarray
    runs: tuple[Run, Run]
    quantum: float = 2.0**-50
    tolerance: float = 3e-14
    even: bool = False

    def solve(self, run: Run) -> Series:
        """The solution as it is stored."""
        start, linear, nonlinear = self.system(run.grid)
        panels = len(self.edges) - 1
        times = np.concatenate(
            [
                chebyshev_times(self.edges[p], self.edges[p + 1], run.degrees)[:-1]
                for p in range(panels)
            ]
            + [self.edges[-1:]]
        )
        states = etdrk4.solve(linear, nonlinear, start, times, run.step)
        amplitudes = np.stack(
            [self.stored(t, v, run.modes) for t, v in zip(times, states, strict=True)]
        )
        # Neighbouring panels share a time.
        which = np.arange(panels)[:, None] * (run.degrees - 1) + np.arange(run.degrees)
        coefficients = chebyshev_coefficients(amplitudes[which])
        sines = 0 if self.even else run.modes - 1
        return Series(self.edges, self.low, self.length, sines, coefficients)

    def distance_to_runge_kutta(self, series: Series) -> float:
        """Largest relative distance at the edges to the same modes by DOP853.

        The unknown is `w = exp(-i ω t) v` on each panel, with iω the imaginary part of `linear`:
        waves that turn at a rate of their own ask for small steps, waves that decay do not.
        """
        run = self.runs[0]
        v, linear, nonlinear = self.system(run.grid)
        turning = 1j * np.imag(linear)
        distances = []
        for p, (left, right) in enumerate(zip(self.edges[:-1], self.edges[1:], strict=True)):

            def slope(t: float, w: np.ndarray) -> np.ndarray:
                turn = np.exp(turning * t)
                return np.real(linear) * w + nonlinear(turn * w) / turn

            scale = np.abs(v).max()
            done = scipy.integrate.solve_ivp(
                slope,
                (0, right - left),
                v,
                "DOP853",
                rtol=self.tolerance,
                atol=self.tolerance * scale,
            )
            v = np.exp(turning * (right - left)) * done.y[:, -1]
            other = self.stored(right, v, run.modes)
            here = series.coefficients[p].sum(axis=0)
            distances.append(np.linalg.norm(other - here) / np.linalg.norm(other))
        return max(distances)


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


def kdv(grid: int) -> System:
    """Korteweg-de Vries; of the fastest wave of the grid no derivative can be told."""
    k = np.pi * np.arange(grid // 2 + 1)
    k[-1] = 0
    start = np.zeros(len(k), complex)
    start[1] = -0.5  # cos πx on a grid that begins at x = -1

    def nonlinear(v: np.ndarray) -> np.ndarray:
        u = np.fft.irfft(v, n=grid, norm="forward")
        return -0.5j * k * np.fft.rfft(u**2, norm="forward")

    return start, 1j * DISPERSION**2 * k**3, nonlinear


def kdv_stored(_: float, v: np.ndarray, modes: int) -> np.ndarray:
    """Cosines, then sines."""
    cosines, sines = np.real(v[:modes]), np.imag(v[:modes])
    return np.concatenate([cosines[:1], 2 * cosines[1:], -2 * sines[1:]])[:, None]


def parabola(n: np.ndarray) -> np.ndarray:
    """Fourier coefficients of x² on [-1, 1], taken from x = -1 on as on a grid."""
    inside = 2 / (np.pi * np.where(n == 0, 1, n)) ** 2
    return np.where(n == 0, 1 / 3, inside)


def allen_cahn(grid: int) -> System:
    """Allen-Cahn, from the exact coefficients of `x² cos πx`: those of a grid are aliased."""
    n = np.arange(grid // 2 + 1)
    # A factor cos πx moves coefficients to the neighbours, and has minus one at x = -1.
    start = -(parabola(n - 1) + parabola(n + 1)) / 2

    def nonlinear(v: np.ndarray) -> np.ndarray:
        u = np.fft.irfft(v, n=grid, norm="forward")
        return np.fft.rfft(5 * u - 5 * u**3, norm="forward")

    return start.astype(complex), -DIFFUSION * (np.pi * n) ** 2 + 0j, nonlinear


def allen_cahn_stored(t: float, v: np.ndarray, modes: int) -> np.ndarray:
    """Cosines of what is left when the kink, which has a closed form, is taken off."""
    n = np.arange(modes)
    kink = -parabola(n) * np.exp(-(DIFFUSION * (np.pi * n) ** 2 + KINK_RATE) * t)
    return np.where(n == 0, 1, 2)[:, None] * (np.real(v[:modes]) - kink)[:, None]


def schrodinger(grid: int) -> System:
    """Schrödinger, from coefficients of a profile whose kink aliases on a coarse grid."""
    n = np.fft.fftfreq(grid, 1 / grid)
    fine = 2**18
    x = -5 + 10 * np.arange(fine) / fine
    start = np.fft.fft(2 / np.cosh(x), norm="forward")[n.astype(int)]

    def nonlinear(v: np.ndarray) -> np.ndarray:
        h = np.fft.ifft(v, norm="forward")
        return 1j * np.fft.fft(np.abs(h) ** 2 * h, norm="forward")

    return start, -0.5j * (2 * np.pi / 10 * n) ** 2, nonlinear


def schrodinger_stored(t: float, v: np.ndarray, modes: int) -> np.ndarray:
    """Cosines of the real and the imaginary part, each wave turned back by its free phase."""
    slow = np.exp(1j * rates(modes) * t) * v[:modes]
    slow[1:] *= 2
    return np.stack([np.real(slow), np.imag(slow)], axis=1)


def kuramoto_sivashinsky(grid: int) -> System:
    """Kuramoto-Sivashinsky, from `cos x + ½ sin 2x`.

    The solution stays odd about x = π/2: odd waves are cosines, even ones sines. What rounding adds
    to the others would grow.
    """
    k = np.arange(grid // 2 + 1.0)
    start = np.zeros(len(k), complex)
    start[1:3] = 0.5, -0.25j

    def nonlinear(v: np.ndarray) -> np.ndarray:
        u = np.fft.irfft(v, n=grid, norm="forward")
        v = -0.5j * STEEPENING * k * np.fft.rfft(u**2, norm="forward")
        return np.where(k % 2 == 1, np.real(v), 1j * np.imag(v))

    return start, GROWTH * k**2 - DAMPING * k**4 + 0j, nonlinear


SETUPS = {
    "kuramoto_sivashinsky": Setup(
        kuramoto_sivashinsky,
        kdv_stored,
        low=0.0,
        length=2 * np.pi,
        edges=np.linspace(0, 1, 33),
        runs=(
            Run(grid=512, step=1 / 64_000, degrees=20, modes=180),
            Run(grid=640, step=1 / 128_000, degrees=30, modes=180),
        ),
        quantum=2.0**-44,
    ),
    "kdv": Setup(
        kdv,
        kdv_stored,
        low=-1.0,
        length=2.0,
        edges=np.linspace(0, 1, 25),
        runs=(
            Run(grid=512, step=1 / 80_000, degrees=24, modes=180),
            Run(grid=1024, step=1 / 160_000, degrees=36, modes=180),
        ),
    ),
    "allen_cahn": Setup(
        allen_cahn,
        allen_cahn_stored,
        low=-1.0,
        length=2.0,
        edges=np.array([0, 0.002, 0.01, 0.03, *np.linspace(0.1, 1, 10)]),
        runs=(
            Run(grid=4096, step=1 / 4000, degrees=20, modes=640),
            Run(grid=8192, step=1 / 8000, degrees=30, modes=1280),
        ),
        even=True,
    ),
    "schrodinger": Setup(
        schrodinger,
        schrodinger_stored,
        low=-5.0,
        length=10.0,
        edges=np.linspace(0, np.pi / 2, 49),
        runs=(
            Run(grid=2048, step=1 / 20_000, degrees=16, modes=512),
            Run(grid=4096, step=1 / 40_000, degrees=24, modes=1024),
        ),
        quantum=2.0**-30,
        tolerance=1e-10,
        even=True,
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
        series, refined = map(setup.solve, setup.runs)
        path = DATA / f"{name}.npz"
        write(path, series, refined, setup.quantum)
        problem = make_problem(name, {})
        certified = require_reference(problem).certified_error(problem.evaluation_points(4))
        distance = setup.distance_to_runge_kutta(series)
        size = path.stat().st_size
        print(f"{name}: certified to {certified:.1e}, {distance:.1e} from DOP853, {size} bytes")


if __name__ == "__main__":
    main()
