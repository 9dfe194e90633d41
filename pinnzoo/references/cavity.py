"""Steady flow in a square cavity, stored as a stream function that meets the walls exactly.

`ψ = S + w(x) w(y) Σ_ij q_ij T_i(ξ) T_j(η)` with ξ = 2x - 1, η = 2y - 1 and `w = (1 - ξ²)²`, so that
the series vanishes with its slope on every wall, whatever the q are. S carries the velocity of the
lid, and what is singular in its corners: see `Lid`. The velocities are `u = ψ_y` and `v = -ψ_x`, so
that their divergence is zero, and the pressure is a singular part and a Chebyshev series.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pinnzoo._typing import Point, Scalar, Values
from pinnzoo.references.bases import chebyshev, slopes
from pinnzoo.references.stored import DATA

LIDS = ("parabolic", "regularised")
SMALLEST = 1e-16
"""Below this square of the distance from a corner the logarithm of the pressure is cut off."""


@dataclass(frozen=True)
class Lid:
    """A lid at y = 1, and a flow that meets it and is as singular in its corners as the solution.

    The parabolic lid has the slope 4 in its corners, where the wall is at rest. Close to them the
    flow is slow, and solves Stokes' equations: with X = x and Y = 1 - y in the left corner, and
    θ = arctan(Y / X), it is `K = πY² - 2XY - 2 (X² + Y²) θ`, whose pressure `4ν log(X² + Y²)` is
    infinite in the corner. What is left of the solution without it has bounded second derivatives.
    A factor χ = (1 - X)² (1 + 2X + 3X²), and one of Y, lets K end at the other walls; it is one in
    the corner up to terms of third order.

    Attributes:
        kind: "parabolic" for `4x (1 - x)`, "regularised" for `16 x² (1 - x)²`, which has no slope
            in the corners and no singular part.
        viscosity: ν.
    """

    kind: str
    viscosity: float

    def velocity(self, x: Scalar) -> Scalar:
        """That of the lid."""
        parabola = 4 * x * (1 - x)
        return parabola if self.kind == "parabolic" else parabola**2

    def flow(self, z: Point) -> Values:
        """Velocities and pressure of S: they meet every wall, and the pressure is 0 at (0, 0)."""
        x, y = z
        rest, slope = _rest(self.kind, x)
        # Of y² (y - 1), which has the slope one at the lid and none at the bottom.
        u, v = rest * y * (3 * y - 2), -slope * y**2 * (y - 1)
        if self.kind != "parabolic":
            return jnp.stack([u, v, jnp.zeros_like(u)])
        u_left, v_left, log_left = _corner(x, 1 - y)
        u_right, v_right, log_right = _corner(1 - x, 1 - y)
        # Mirrored about the middle, velocities along x stay and those along y change their sign.
        p = 4 * self.viscosity * (log_left - log_right + np.log(2.0))
        return jnp.stack([u + u_left + u_right, v + v_left - v_right, p])


def _cut(s: Scalar) -> tuple[Scalar, Scalar]:
    """χ and its slope."""
    return (1 - s) ** 2 * (1 + 2 * s + 3 * s**2), -12 * s**2 * (1 - s)


def _corner(x: Scalar, y: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """Velocities `-∂/∂Y` and `-∂/∂X` of K χ(X) χ(Y), and `log(X² + Y²)`."""
    theta, square = jnp.arctan2(y, x), x**2 + y**2
    value = jnp.pi * y**2 - 2 * x * y - 2 * square * theta
    along_x, along_y = -4 * x * theta, 2 * jnp.pi * y - 4 * x - 4 * y * theta
    (cut_x, slope_x), (cut_y, slope_y) = _cut(x), _cut(y)
    u = -cut_x * (along_y * cut_y + value * slope_y)
    v = -cut_y * (along_x * cut_x + value * slope_x)
    return u, v, jnp.log(jnp.maximum(square, SMALLEST))


def _rest(kind: str, x: Scalar) -> tuple[Scalar, Scalar]:
    """What the corners leave of the velocity of the lid, and its slope."""
    if kind != "parabolic":
        return (4 * x * (1 - x)) ** 2, 32 * x * (1 - x) * (1 - 2 * x)
    (left, slope_left), (right, slope_right) = _cut(x), _cut(1 - x)
    value = 4 * x * (1 - x) - 4 * x * left - 4 * (1 - x) * right
    slope = 4 * (1 - 2 * x) - 4 * left - 4 * x * slope_left + 4 * right + 4 * (1 - x) * slope_right
    return value, slope


@dataclass(frozen=True)
class Cavity:
    """A flow in the unit square.

    Attributes:
        lid: What drives it.
        stream: The q.
        pressure: Coefficients of `T_i(ξ) T_j(η)` in the pressure less that of the lid.
    """

    lid: Lid
    stream: Float[np.ndarray, "i j"]
    pressure: Float[np.ndarray, "k l"]

    def at(self, z: Point) -> Values:
        """Velocities and pressure at one point."""
        in_x, in_y = (chebyshev(2 * s - 1, len(self.series)) for s in z)
        along_y = jnp.tensordot(in_x, self.series, 1)
        return self.lid.flow(z) + in_y @ along_y

    @functools.cached_property
    def in_the_middle(self) -> float:
        """The pressure at (1/2, 1/2)."""
        # Whatever precision whoever asks first happens to have switched on.
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            return float(self.at(jnp.full(2, 0.5))[2])

    @functools.cached_property
    def series(self) -> Float[np.ndarray, "i j 3"]:
        """Chebyshev coefficients of velocities and pressure less those of the lid."""
        size = max(len(self.stream) + 4, len(self.pressure))
        # w = (1 - ξ²)² is 3/8 - T_2 / 2 + T_4 / 8.
        wall = np.array([3 / 8, 0, -1 / 2, 0, 1 / 8])
        times_wall = np.stack(
            [
                np.pad(np.polynomial.chebyshev.chebmul(wall, row), (0, size - 5 - k))
                for k, row in enumerate(map(one_hot, range(len(self.stream))))
            ],
            axis=1,
        )
        stream, slope = times_wall @ self.stream @ times_wall.T, 2 * slopes(size)
        whole = np.zeros((size, size))
        whole[: len(self.pressure), : len(self.pressure)] = self.pressure
        return np.stack([stream @ slope.T, -slope @ stream, whole], axis=2)


def one_hot(k: int) -> Float[np.ndarray, " k+1"]:
    """Coefficients of `T_k`."""
    return np.eye(k + 1)[k]


def file_name(kind: str, reynolds: float) -> str:
    """Of a stored flow, without its ending."""
    return f"lid_driven_cavity_{kind}_{reynolds:g}"


def write(path: Path, flow: Cavity, refined: Cavity, quantum: float) -> None:
    """Store a flow, together with its difference from a finer computation.

    Args:
        path: The file, ending in ".npz".
        flow: The flow.
        refined: The finer one, with at least as many coefficients.
        quantum: Coefficients and their corrections are rounded to multiples of it.
    """
    arrays = {}
    for name in ("stream", "pressure"):
        rough, fine = (
            np.round(getattr(f, name) / quantum).astype(np.int64) for f in (flow, refined)
        )
        arrays[name] = rough
        arrays[f"{name}_correction"] = fine - _padded(rough, fine.shape)
    np.savez_compressed(path, quantum=quantum, **arrays)


@functools.cache
def read(name: str, lid: Lid, refined: bool = False) -> Cavity:
    """The stored flow of a file, or its refinement."""
    with np.load(DATA / f"{name}.npz") as data:

        def coefficients(name: str) -> np.ndarray:
            integers = data[name]
            if refined:
                correction = data[f"{name}_correction"]
                integers = _padded(integers, correction.shape) + correction
            return integers * data["quantum"]

        return Cavity(lid, coefficients("stream"), coefficients("pressure"))


@dataclass(frozen=True)
class Flow:
    """A stored flow as a function of one point `(x, y)`; the file is read at the first call.

    Attributes:
        name: Of the file.
        lid: What drives the flow.
        refined: Whether it is the finer computation.
        middle: Whether the pressure is zero in the middle of the square, not at (0, 0).
    """

    name: str
    lid: Lid
    refined: bool = False
    middle: bool = False

    def __call__(self, z: Point) -> Values:
        """Velocities and pressure at one point."""
        flow = read(self.name, self.lid, self.refined)
        values = flow.at(z)
        return values.at[2].add(-flow.in_the_middle) if self.middle else values


@functools.cache
def solution(kind: str, reynolds: float, refined: bool = False, *, middle: bool = False) -> Flow:
    """The stored flow under a lid."""
    return Flow(file_name(kind, reynolds), Lid(kind, 1 / reynolds), refined, middle)


def _padded(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.pad(array, [(0, n) for n in np.subtract(shape, array.shape)])
