"""A flow that repeats itself, stored as a Fourier series in t of Chebyshev series in x and y."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnzoo._typing import Point, Scalar, Values
from pinnzoo.references.bases import chebyshev, harmonics
from pinnzoo.references.stored import DATA, on_grid


@dataclass(frozen=True)
class Cycle:
    """`u(t, x, y) = Σ_k φ_k(2π t / P) Σ_ij T_i(ξ) T_j(η) c[k, i, j]` with ξ, η ∈ [-1, 1].

    The `φ_k` are 1, cos θ, cos 2θ, ... and then sin θ, sin 2θ, ...

    Attributes:
        period: P.
        lower: Lower bounds of x and y.
        upper: Upper bounds of x and y.
        coefficients: c, for each of the m components.
    """

    period: float
    lower: tuple[float, float]
    upper: tuple[float, float]
    coefficients: Float[np.ndarray, "k i j m"]

    def at(self, t: Scalar, x: Scalar, y: Scalar) -> Values:
        """The components at one point."""
        k, i, j, m = self.coefficients.shape
        in_t, along_x, along_y = (
            factor(s) for factor, s in zip(self.factors, (t, x, y), strict=True)
        )
        modes = jnp.outer(in_t, along_x).ravel()
        # One product of matrices over many points, and the one that shrinks them most comes first.
        in_y = modes @ self.coefficients.reshape(k * i, j * m)
        return along_y @ in_y.reshape(j, m)

    def at_many(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n m"] | None:
        """The components at many points that share coordinates, as those of a grid do.

        Every factor of the series is computed once for each value of its coordinate. None where
        there are more combinations of these values than points.
        """
        found = on_grid(points, self.factors)
        if found is None:
            return None
        along, places = found
        grid = np.einsum("tk,xi,yj,kijm->txym", *along, self.coefficients, optimize=True)
        return grid[places]

    @property
    def factors(self) -> tuple[Callable[[Scalar], Array], ...]:
        """The `φ_k`, `T_i` and `T_j` as functions of t, x and y."""
        k, i, j, _ = self.coefficients.shape

        def polynomials(low: float, high: float, degrees: int, s: Scalar) -> Array:
            return chebyshev((2 * s - low - high) / (high - low), degrees)

        (west, south), (east, north) = self.lower, self.upper
        return (
            lambda t: harmonics(t / self.period, k),
            functools.partial(polynomials, west, east, i),
            functools.partial(polynomials, south, north, j),
        )


def write(path: Path, cycle: Cycle, refined: Cycle, quantum: float) -> None:
    """Store a flow, together with its difference from a finer computation.

    Args:
        path: The file, ending in ".npz".
        cycle: The flow.
        refined: The finer one, with the same number of coefficients and bounds.
        quantum: Coefficients and their corrections are rounded to multiples of it, and those of
            high degree that leaves at zero are cut off.
    """
    integers, finer = (
        np.round(c.coefficients / quantum).astype(np.int64) for c in (cycle, refined)
    )
    present = (integers != 0) | (finer != 0)
    waves = len(integers) // 2
    highest = np.flatnonzero(present[1:].reshape(2, waves, -1).any(axis=(0, 2))).max(initial=0) + 1
    kept = [0, *range(1, highest + 1), *range(waves + 1, waves + highest + 1)]
    along_x = np.flatnonzero(present.any(axis=(0, 2, 3))).max() + 1
    along_y = np.flatnonzero(present.any(axis=(0, 1, 3))).max() + 1
    integers, finer = (c[kept, :along_x, :along_y] for c in (integers, finer))
    np.savez_compressed(
        path,
        periods=np.array([cycle.period, refined.period]),
        lower=np.array(cycle.lower),
        upper=np.array(cycle.upper),
        quantum=quantum,
        integers=integers,
        correction=finer - integers,
    )


@functools.cache
def read(name: str, refined: bool = False) -> Cycle:
    """The stored flow called `name`, or its refinement."""
    with np.load(DATA / f"{name}.npz") as data:
        integers = data["integers"] + (data["correction"] if refined else 0)
        (west, south), (east, north) = (map(float, data[key]) for key in ("lower", "upper"))
        period = float(data["periods"][int(refined)])
        return Cycle(period, (west, south), (east, north), integers * data["quantum"])


@dataclass(frozen=True)
class Flow:
    """A stored flow as a function of one point `(t, x, y)`; the file is read at the first call.

    Attributes:
        name: Of the file.
        refined: Whether it is the finer computation.
    """

    name: str
    refined: bool = False

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        return read(self.name, self.refined).at(*z)

    def many(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n m"] | None:
        """The components at the points of a grid; None for other points."""
        return read(self.name, self.refined).at_many(points)


@functools.cache
def solution(name: str, refined: bool = False) -> Flow:
    """The stored flow called `name`.

    It is the same object at every call, so that it is compiled once however many problems ask.
    """
    return Flow(name, refined)
