"""Solutions in time and a periodic square, stored as a core and a few functions of each coordinate.

`u(t, x, y) = Σ_abc τ_a(t) ξ_b(x) η_c(y) c[a, b, c]`, where the τ_a are Chebyshev series in t, and
the ξ_b and η_c Fourier series in x and y. These functions are those of which the fewest are enough
(the higher-order singular value decomposition of De Lathauwer, De Moor and Vandewalle, SIAM J.
Matrix Anal. Appl. 21, 2000): a smooth solution has far fewer of them than it has waves.
"""

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

Factors = tuple[Float[np.ndarray, "n a"], Float[np.ndarray, "n b"], Float[np.ndarray, "n c"]]
"""Coefficients of the τ_a, ξ_b and η_c, one column for each."""


@dataclass(frozen=True)
class Tensor:
    """A solution on `t ∈ [0, horizon]` and a square with the same period along x and y.

    Attributes:
        horizon: Last time.
        low: Where the period begins, along x and y.
        length: L, length of the period.
        factors: See there. The Fourier series are in 1, cos θ, cos 2θ, ... and then sin θ, sin 2θ,
            ... where `θ = 2π (x - low) / L`.
        core: c, for each of the m components.
    """

    horizon: float
    low: float
    length: float
    factors: Factors
    core: Float[np.ndarray, "a b c m"]

    def at(self, z: Point) -> Values:
        """The components at one point."""
        in_t, along_x, along_y = (f(s) for f, s in zip(self.functions, z, strict=True))
        a, b, c, m = self.core.shape
        in_t = jnp.tensordot(in_t, self.core.reshape(a, b * c * m), 1).reshape(b, c, m)
        return along_y @ jnp.tensordot(along_x, in_t, 1)

    def at_many(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n m"] | None:
        """The components at the points of a grid; None for other points."""
        found = on_grid(points, self.functions)
        if found is None:
            return None
        along, places = found
        return np.einsum("ta,xb,yc,abcm->txym", *along, self.core, optimize=True)[places]

    @property
    def functions(self) -> tuple[Callable[[Scalar], Array], ...]:
        """The τ_a, ξ_b and η_c as functions of t, x and y."""
        in_t, along_x, along_y = self.factors

        def waves(factor: np.ndarray, s: Scalar) -> Array:
            return harmonics((s - self.low) / self.length, len(factor)) @ factor

        return (
            lambda t: chebyshev(2 * t / self.horizon - 1, len(in_t)) @ in_t,
            functools.partial(waves, along_x),
            functools.partial(waves, along_y),
        )


def write(
    path: Path,
    box: tuple[float, float, float],
    rough: Float[np.ndarray, "j k l m"],
    fine: Float[np.ndarray, "j k l m"],
    quantum: float,
) -> None:
    """Store a solution, together with its difference from a finer computation.

    Both have one set of functions, so that the difference is that of the cores.

    Args:
        path: The file, ending in ".npz".
        box: Last time, and where the period begins and its length.
        rough: Coefficients of Chebyshev and Fourier series.
        fine: Those of the finer computation, of the same shape.
        quantum: The cores are rounded to multiples of it, and functions that matter less are left
            out.
    """
    both = np.concatenate([rough, fine], axis=3)
    factors, steps = [], []
    for axis in range(3):
        unfolded = np.moveaxis(both, axis, 0).reshape(both.shape[axis], -1)
        functions, sizes, _ = np.linalg.svd(unfolded, full_matrices=False)
        factors.append(functions[:, sizes > quantum])
        # What a function is multiplied by is as large as its singular value.
        steps.append(quantum / sizes[sizes > quantum])
    cores = [
        np.round(np.einsum("ja,kb,lc,jklm->abcm", *factors, c, optimize=True) / quantum)
        for c in (rough, fine)
    ]
    integers, finer = (core.astype(np.int64) for core in cores)
    rounded = [np.round(f / step).astype(np.int64) for f, step in zip(factors, steps, strict=True)]
    np.savez_compressed(
        path,
        box=np.array(box),
        quantum=quantum,
        factors=np.concatenate([f.ravel() for f in rounded]),
        steps=np.concatenate(steps),
        shapes=np.array([f.shape for f in factors]),
        integers=integers,
        correction=finer - integers,
    )


@functools.cache
def read(name: str, refined: bool = False) -> Tensor:
    """The stored solution called `name`, or its refinement."""
    with np.load(DATA / f"{name}.npz") as data:
        horizon, low, length = map(float, data["box"])
        shapes = data["shapes"]
        parts = np.split(data["factors"], np.cumsum(shapes.prod(axis=1))[:-1])
        steps = np.split(data["steps"], np.cumsum(shapes[:, 1])[:-1])
        in_t, along_x, along_y = (
            part.reshape(shape) * step
            for part, shape, step in zip(parts, shapes, steps, strict=True)
        )
        integers = data["integers"] + (data["correction"] if refined else 0)
        core = integers * data["quantum"]
        return Tensor(horizon, low, length, (in_t, along_x, along_y), core)


@dataclass(frozen=True)
class Solution:
    """A stored solution as a function of one point `(t, x, y)`, read at the first call.

    Attributes:
        name: Of the file.
        refined: Whether it is the finer computation.
    """

    name: str
    refined: bool = False

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        return read(self.name, self.refined).at(z)

    def many(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n m"] | None:
        """The components at the points of a grid; None for other points."""
        return read(self.name, self.refined).at_many(points)


@functools.cache
def solution(name: str, refined: bool = False) -> Solution:
    """The stored solution called `name`; the same object at every call."""
    return Solution(name, refined)
