"""Boxes in space-time, their faces, and the point sets that are drawn in them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from pinnzoo.errors import PointsError, UnknownNameError


@dataclass(frozen=True)
class Box:
    """An axis-aligned box; a face is a box whose lower and upper bound agree on one axis.

    Attributes:
        coords: One letter per axis, time first, such as "tx".
        lower: Lower bounds, one per axis.
        upper: Upper bounds, one per axis.

    Example:
        >>> domain = Box("tx", (0.0, -1.0), (1.0, 1.0))  # t from 0 to 1, x from -1 to 1
        >>> domain.d, domain.length("x")
        (2, 2.0)
    """

    coords: str
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def __post_init__(self) -> None:
        if not (len(self.coords) == len(self.lower) == len(self.upper)):
            raise PointsError(
                f"a box with coordinates {self.coords!r} was given {len(self.lower)} lower and "
                f"{len(self.upper)} upper bounds: give one of each per coordinate."
            )
        letters = isinstance(self.coords, str) and self.coords.isalpha()
        if not letters or len(set(self.coords)) < len(self.coords):
            raise PointsError(
                f"a box with coordinates {self.coords!r} was given: give one different letter per "
                'axis in one string, such as "tx".'
            )
        # Bounds are Python numbers, whatever kind of number was given.
        object.__setattr__(self, "lower", tuple(map(float, self.lower)))
        object.__setattr__(self, "upper", tuple(map(float, self.upper)))
        if not np.isfinite((self.lower, self.upper)).all():
            raise PointsError(
                f"a box from {self.lower} to {self.upper} was given: every bound must be finite."
            )
        if any(low > high for low, high in zip(self.lower, self.upper, strict=True)):
            raise PointsError(
                f"a box from {self.lower} to {self.upper} was given: "
                "every lower bound must be at or below its upper bound."
            )

    @property
    def d(self) -> int:
        """Number of coordinates."""
        return len(self.coords)

    def axis(self, coord: str) -> int:
        """Index of the coordinate named `coord`."""
        if len(coord) != 1 or coord not in self.coords:
            raise UnknownNameError.of("coordinate", coord, self.coords)
        return self.coords.index(coord)

    def bounds(self, coord: str) -> tuple[float, float]:
        """Lower and upper bound of the coordinate named `coord`."""
        i = self.axis(coord)
        return self.lower[i], self.upper[i]

    def length(self, coord: str) -> float:
        """Extent along the coordinate named `coord`, in that coordinate's unit."""
        low, high = self.bounds(coord)
        return high - low

    def face(self, coord: str, value: float) -> "Box":
        """The part of the box on which `coord` equals `value`.

        Example:
            >>> Box("tx", (0, -1), (1, 1)).face("x", 1.0)
            Box(coords='tx', lower=(0.0, 1.0), upper=(1.0, 1.0))
        """
        i = self.axis(coord)
        lower, upper = list(self.lower), list(self.upper)
        lower[i] = upper[i] = float(value)
        return Box(self.coords, tuple(lower), tuple(upper))

    def within(self, coord: str, low: float, high: float) -> "Box | None":
        """The part of the box where `low ≤ coord ≤ high`, or None where there is no such part.

        A slice that is thinner than the box in this coordinate counts as none: the end of one
        window is not part of the next.
        """
        i = self.axis(coord)
        lower, upper = list(self.lower), list(self.upper)
        lower[i], upper[i] = max(lower[i], float(low)), min(upper[i], float(high))
        if lower[i] > upper[i] or (lower[i] == upper[i] and self.lower[i] < self.upper[i]):
            return None
        return Box(self.coords, tuple(lower), tuple(upper))

    def boundary(self, coords: str) -> "Surface":
        """All faces on which one of `coords` is at a bound, as one region.

        With the letters of space alone this is where boundary conditions hold at all times.

        Example:
            >>> len(Box("xy", (0, 0), (1, 1)).boundary("xy").faces)
            4
        """
        return Surface(
            tuple(self.face(coord, bound) for coord in coords for bound in self.bounds(coord))
        )

    def contains(self, points: Float[np.ndarray, "n d"], slack: float = 1e-12) -> np.ndarray:
        """Which points lie inside, up to `slack` times the extent of each axis."""
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        margin = slack * np.maximum(upper - lower, 1.0)
        return np.all((points >= lower - margin) & (points <= upper + margin), axis=1)

    def grid(self, shape: tuple[int, ...]) -> Float[np.ndarray, "n d"]:
        """A uniform tensor grid that includes the bounds, last coordinate fastest.

        Example:
            >>> Box("x", (0,), (1,)).grid((3,)).tolist()
            [[0.0], [0.5], [1.0]]
        """
        if len(shape) != self.d:
            raise PointsError(f"a grid of shape {shape} was asked of a box with {self.d} axes.")
        axes = [
            np.linspace(low, high, k)
            for low, high, k in zip(self.lower, self.upper, shape, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, self.d)

    def grid_weights(self, shape: tuple[int, ...]) -> Float[np.ndarray, " n"]:
        """Trapezoidal weights of `grid(shape)`, normalized to one: a mean over the box."""
        weights = np.ones(1)
        for k in shape:
            line = np.ones(k)
            if k > 1:
                line[[0, -1]] = 0.5
            weights = np.outer(weights, line / line.sum()).ravel()
        return weights


@dataclass(frozen=True)
class Surface:
    """Several faces of a box as one region, so that one condition can hold on all of them.

    Attributes:
        faces: Boxes with as many free coordinates each, at least one.

    Example:
        >>> square = Box("xy", (0, 0), (1, 1))
        >>> Surface((square.face("x", 0.0), square.face("y", 0.0))).upper
        (1.0, 1.0)
    """

    faces: tuple[Box, ...]

    def __post_init__(self) -> None:
        free = {np.count_nonzero(np.subtract(face.upper, face.lower)) for face in self.faces}
        if len(free) != 1 or free == {0}:
            raise PointsError(
                f"a surface of faces with {sorted(free)} free coordinates was given: all faces "
                "have the same number of them, and at least one."
            )

    def within(self, coord: str, low: float, high: float) -> "Surface | None":
        """The parts of the faces where `low ≤ coord ≤ high`, or None where there are none."""
        parts = [face.within(coord, low, high) for face in self.faces]
        kept = tuple(part for part in parts if part is not None)
        return Surface(kept) if kept else None

    @property
    def lower(self) -> tuple[float, ...]:
        """Lower bounds of the smallest box that holds all faces."""
        return tuple(np.min([face.lower for face in self.faces], axis=0).tolist())

    @property
    def upper(self) -> tuple[float, ...]:
        """Upper bounds of the smallest box that holds all faces."""
        return tuple(np.max([face.upper for face in self.faces], axis=0).tolist())


Region: TypeAlias = Box | Surface
"""Where the points of a term are drawn."""


def _uniform(dim: int, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random((n, dim))


def _latin_hypercube(dim: int, n: int, rng: np.random.Generator) -> np.ndarray:
    from scipy.stats import qmc

    return qmc.LatinHypercube(dim, rng=rng).random(n)


def _sobol(dim: int, n: int, rng: np.random.Generator) -> np.ndarray:
    from scipy.stats import qmc

    # random_base2 keeps the balance of the sequence; a count in between is its beginning.
    sampler = qmc.Sobol(dim, scramble=True, rng=rng)
    return sampler.random_base2(max(0, (n - 1).bit_length()))[:n]


SAMPLERS: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "uniform": _uniform,
    "latin_hypercube": _latin_hypercube,
    "sobol": _sobol,
}


def sample(
    region: Region, n: int, method: str, rng: np.random.Generator
) -> Float[np.ndarray, "n d"]:
    """Draw `n` points in `region`; coordinates without extent are exact and use up no dimension.

    Args:
        region: Where to draw. The faces of a surface get points in proportion to their size.
        n: How many points; at least one.
        method: A name of `SAMPLERS`: "uniform", "latin_hypercube" (McKay, Beckman and Conover
            1979) or "sobol" (scrambled, Owen 1998).
        rng: Source of randomness; the same state gives the same points.

    Raises:
        UnknownNameError: `method` is not a sampler.
        PointsError: `n` is below one.
    """
    if method not in SAMPLERS:
        raise UnknownNameError.of("sampler", method, SAMPLERS)
    if n < 1:
        raise PointsError(f"{n} points were asked for: ask for at least one.")
    face = region.faces[0] if isinstance(region, Surface) else region
    dim = int(np.count_nonzero(np.subtract(face.upper, face.lower)))
    unit = SAMPLERS[method](dim, n, rng) if dim else np.empty((n, 0))
    return _unroll(region, unit) if isinstance(region, Surface) else _stretch(region, unit)


def _stretch(box: Box, unit: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n d"]:
    """Points of the unit cube in the coordinates of `box` that have an extent."""
    lower, upper = np.asarray(box.lower), np.asarray(box.upper)
    free = upper > lower
    points = np.tile(lower, (len(unit), 1))
    points[:, free] = lower[free] + (upper - lower)[free] * unit
    return points


def _unroll(surface: Surface, unit: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n d"]:
    """Points of the unit cube on a surface whose faces lie side by side along the first axis.

    The first coordinate says on which face a point lies and where on it, so that points that
    fill the cube evenly fill the surface evenly too.
    """
    extents = np.array([np.subtract(face.upper, face.lower) for face in surface.faces])
    areas = np.prod(np.where(extents > 0, extents, 1.0), axis=1)
    edges = np.concatenate([[0.0], np.cumsum(areas) / np.sum(areas)])
    which = np.clip(np.searchsorted(edges, unit[:, 0], side="right") - 1, 0, len(areas) - 1)
    along = (unit[:, 0] - edges[which]) / (edges[which + 1] - edges[which])
    unit = np.column_stack([np.clip(along, 0.0, 1.0), unit[:, 1:]])
    points = np.empty((len(unit), extents.shape[1]))
    for k, face in enumerate(surface.faces):
        points[which == k] = _stretch(face, unit[which == k])
    return points


def residual_adaptive(
    candidates: Float[np.ndarray, "c d"],
    residual: Float[np.ndarray, " c"],
    n: int,
    rng: np.random.Generator,
    *,
    exponent: float = 1.0,
    offset: float = 1.0,
) -> Float[np.ndarray, "n d"]:
    """Pick `n` of the candidates with probability ∝ |r|^k / mean(|r|^k) + c, without replacement.

    The RAD rule of Wu, Zhu, Tan, Kartha and Lu (2023, arXiv 2207.10289, Eq. 2).

    Args:
        candidates: Points to choose from, more than `n` of them.
        residual: Residual of the equation at the candidates.
        n: How many points to keep.
        rng: Source of randomness.
        exponent: k, how sharply large residuals attract points.
        offset: c, the weight of the uniform part.
    """
    if n > len(candidates):
        raise PointsError(
            f"{n} points were asked of {len(candidates)} candidates: give more candidates."
        )
    power = np.abs(residual) ** exponent
    mean = power.mean()
    density = (power / mean if mean > 0 else np.ones_like(power)) + offset
    chosen = rng.choice(len(candidates), size=n, replace=False, p=density / density.sum())
    return candidates[np.sort(chosen)]
