"""Solutions that are stored as Fourier series in x with coefficients that are Chebyshev in t."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnzoo._typing import Point, PointFunction, Scalar, Values

DATA = Path(__file__).parent / "data"

Turn: TypeAlias = Callable[[Scalar, Array], Array]
"""`(t, amplitudes) -> amplitudes`, of shape `(b, m)`, at one time."""


def _as_it_is(_: Scalar, amplitudes: Array) -> Array:
    return amplitudes


def on_grid(
    points: Float[np.ndarray, "n d"], factors: Sequence[Callable[[Scalar], Array]]
) -> tuple[list[np.ndarray], tuple[np.ndarray, ...]] | None:
    """Factors of a series, each once for every value of its coordinate among the points.

    Args:
        points: Those of a grid, in any order.
        factors: A function of one coordinate for each of them.

    Returns:
        The values of each factor, and for each coordinate which of them a point has. None where
        there are more combinations of values than points, which are then no grid.
    """
    found = [np.unique(column, return_inverse=True) for column in points.T]
    if math.prod(len(values) for values, _ in found) > len(points):
        return None
    along = [
        np.asarray(jax.jit(jax.vmap(factor))(values))
        for factor, (values, _) in zip(factors, found, strict=True)
    ]
    return along, tuple(index.ravel() for _, index in found)


@dataclass(frozen=True)
class Series:
    """`u(t, x) = Σ_b φ_b(x) Σ_j T_j(τ) c[p, j, b]`, with p the panel of t and τ ∈ [-1, 1] in it.

    The `φ_b` are 1, cos θ, cos 2θ, ... and then sin θ, sin 2θ, ... where `θ = 2π (x - low) / L`.

    Attributes:
        edges: Bounds of the panels in t, increasing.
        low: Where the period begins.
        length: L, length of the period.
        sines: How many of the `φ_b` are sines; none for an even solution.
        coefficients: c, for each of the m components.
    """

    edges: Float[np.ndarray, " p+1"]
    low: float
    length: float
    sines: int
    coefficients: Float[np.ndarray, "p j b m"]

    def at(self, t: Scalar, x: Scalar, turn: "Turn" = _as_it_is) -> Values:
        """The components at one point; `turn` changes the amplitudes first."""
        return self.basis(x) @ turn(t, self.amplitudes(t))

    def at_many(
        self, points: Float[np.ndarray, "n 2"], turn: "Turn" = _as_it_is
    ) -> Float[np.ndarray, "n m"] | None:
        """The components at many points that share times and places, as those of a grid do.

        Both factors of the series are computed once for each time and place, and one product of
        matrices gives all of their pairs. None where there are more pairs than points.
        """
        found = on_grid(points, (lambda t: turn(t, self.amplitudes(t)), self.basis))
        if found is None:
            return None
        (amplitudes, basis), places = found
        return np.einsum("tbm,xb->txm", amplitudes, basis, optimize=True)[places]

    def amplitudes(self, t: Scalar) -> Float[Array, "b m"]:
        """Factors of the `φ_b`; times beyond the edges belong to the outer panels."""
        panels, degrees, size, m = self.coefficients.shape
        edges = jnp.asarray(self.edges)
        panel = jnp.clip(jnp.searchsorted(edges, t, side="right") - 1, 0, panels - 1)
        left, right = edges[panel], edges[panel + 1]
        tau = (2 * t - left - right) / (right - left)
        polynomials = [jnp.ones_like(tau), tau]
        for _ in range(2, degrees):
            polynomials.append(2 * tau * polynomials[-1] - polynomials[-2])

        # The other panels get weight zero: over many points this is one product of matrices, five
        # times faster on a CPU than gathering the coefficients of a panel for every point.
        weights = jnp.where(np.arange(panels)[:, None] == panel, jnp.stack(polynomials), 0.0)
        amplitudes = weights.ravel() @ self.coefficients.reshape(panels * degrees, size * m)
        return amplitudes.reshape(size, m)

    def basis(self, x: Scalar) -> Float[Array, " b"]:
        """The `φ_b`."""
        size = self.coefficients.shape[2]
        cosines = size - self.sines
        wave = np.concatenate([np.arange(cosines), np.arange(1, self.sines + 1)])
        shift = np.where(np.arange(size) < cosines, 0.0, 0.25)
        turns = wave * ((x - self.low) / self.length)
        # Whole turns are taken off before they are multiplied by a rounded 2π.
        return jnp.cos(2 * jnp.pi * (turns - jnp.floor(turns) - shift))


def write(path: Path, series: Series, refined: Series, quantum: float) -> None:
    """Store a solution, together with its difference from a finer computation.

    Args:
        path: The file, ending in ".npz".
        series: The solution.
        refined: The finer one, on the same panels, with at least as many coefficients of either
            kind.
        quantum: Coefficients and their corrections are rounded to multiples of it. What is smaller
            is lost, and what is left is small integers, which compress well.
    """
    finer, integers = (
        np.round(c / quantum).astype(np.int64) for c in (refined.coefficients, series.coefficients)
    )
    np.savez_compressed(
        path,
        edges=series.edges,
        period=np.array([series.low, series.length]),
        sines=series.sines,
        quantum=quantum,
        integers=integers,
        correction=finer - _padded(integers, finer.shape),
    )


@functools.cache
def read(name: str, refined: bool = False) -> Series:
    """The stored solution called `name`, or its refinement."""
    with np.load(DATA / f"{name}.npz") as data:
        integers = data["integers"]
        if refined:
            correction = data["correction"]
            integers = _padded(integers, correction.shape) + correction
        low, length = map(float, data["period"])
        coefficients = integers * data["quantum"]
        return Series(data["edges"], low, length, int(data["sines"]), coefficients)


@dataclass(frozen=True)
class Solution:
    """A stored solution as a function of one point `(t, x)`; the file is read at the first call.

    Attributes:
        name: Of the file.
        refined: Whether it is the finer computation.
        turn: What makes of the stored amplitudes those of the solution.
        plus: What is added to the series, a function of one point.
    """

    name: str
    refined: bool = False
    turn: Turn = _as_it_is
    plus: PointFunction | None = None

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        t, x = z
        values = read(self.name, self.refined).at(t, x, self.turn)
        return values if self.plus is None else values + self.plus(z)

    def many(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n m"] | None:
        """The components at the points of a grid; None for other points."""
        values = read(self.name, self.refined).at_many(points, self.turn)
        if values is None or self.plus is None:
            return values
        return values + np.asarray(jax.jit(jax.vmap(self.plus))(points))


@functools.cache
def solution(
    name: str, refined: bool = False, turn: Turn = _as_it_is, plus: PointFunction | None = None
) -> PointFunction:
    """The stored solution called `name`.

    It is the same object at every call, so that it is compiled once however many problems ask.
    """
    return Solution(name, refined, turn, plus)


def _padded(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.pad(array, [(0, n) for n in np.subtract(shape, array.shape)])
