"""Boxes in space-time and their faces."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pinnzoo._typing import PointRows
from pinnzoo.domains.patches import Facet, Patch, Segment
from pinnzoo.domains.regions import (
    Domain,
    Part,
    Product,
    Region,
    Shape,
    numpy_of,
    row,
    trapezoidal,
)
from pinnzoo.errors import PointsError, UnknownNameError

SIDES = ("left", "right")
"""The face of a coordinate's lower bound and that of its upper bound."""


@dataclass(frozen=True)
class Box(Shape):
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
        for bound in ("lower", "upper"):
            # Along one coordinate a number will do.
            object.__setattr__(self, bound, tuple(np.atleast_1d(getattr(self, bound))))
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
    def degrees(self) -> int:
        """Number of coordinates with an extent; the others are exact."""
        return int(np.count_nonzero(np.subtract(self.upper, self.lower)))

    @property
    def fill(self) -> float:
        """All of it."""
        return 1.0

    @property
    def measure(self) -> float:
        """Product of the extents that are not zero."""
        extents = np.subtract(self.upper, self.lower)
        return float(np.prod(extents[extents > 0]))

    def place(self, unit: Float[np.ndarray, "n k"]) -> tuple[Float[np.ndarray, "n d"], np.ndarray]:
        """Points of the unit cube in the coordinates that have an extent; all are kept."""
        return _stretch(self, unit), np.ones(len(unit), bool)

    def level(self, points: PointRows) -> Any:
        """Negative inside, zero on the boundary, positive outside, `(n,)`; at most the distance."""
        xp = numpy_of(points)
        lower, upper = (row(side, points) for side in (self.lower, self.upper))
        return xp.max(xp.maximum(lower - points, points - upper), axis=1)

    @functools.cached_property
    def patches(self) -> tuple[Patch, ...]:
        """The faces, each of which has the names "box" and such as "x_left"."""
        names = [[("box", f"{c}_{side}") for side in SIDES] for c in self.coords]
        if self.d == 2:
            (west, south), (east, north) = self.lower, self.upper
            corners = [(west, south), (east, south), (east, north), (west, north)]
            return tuple(
                Segment(names[axis][side], corners[k], corners[(k + 1) % 4])
                for k, (axis, side) in enumerate([(1, 0), (0, 1), (1, 1), (0, 0)])
            )
        facets = []
        for axis in range(self.d):
            for side, bound in enumerate((self.lower[axis], self.upper[axis])):
                lower, upper = list(self.lower), list(self.upper)
                lower[axis] = upper[axis] = bound
                name, sign = names[axis][side], (-1.0, 1.0)[side]
                facets.append(Facet(name, tuple(lower), tuple(upper), axis, sign))
        return tuple(facets)

    def part(self, *names: str) -> Part | Product:
        """The faces of space that have one of the names, such as "x_left"; all without a name.

        Raises:
            UnknownNameError: There is no such face.
            PointsError: There is one coordinate of space: its faces are single points.
        """
        if len(self.coords.replace("t", "")) < 2:
            told = ", ".join(map(repr, names)) or "of all faces"
            raise PointsError(
                f"the boundary part {told} of a box with the coordinates "
                f"{self.coords!r} was asked for: name a coordinate and a side, such as "
                f"'{self.coords[-1]}', 'left'."
            )
        if "t" not in self.coords:
            return super().part(*names)
        time, space = (
            Box(self.coords[k], self.lower[k], self.upper[k]) for k in (slice(0, 1), slice(1, None))
        )
        return Product((time, space)).part(*names)

    def __mul__(self, other: Domain) -> Domain:
        """Every point of one beside every point of the other; of two boxes again a box."""
        if isinstance(other, Box):
            return Box(
                self.coords + other.coords, self.lower + other.lower, self.upper + other.upper
            )
        return super().__mul__(other)

    def face(self, coord: str, value: float) -> "Box":
        """The part of the box on which `coord` equals `value`.

        Raises:
            PointsError: The value is no number.
            UnknownNameError: There is no such coordinate.

        Example:
            >>> Box("tx", (0, -1), (1, 1)).face("x", 1.0)
            Box(coords='tx', lower=(0.0, 1.0), upper=(1.0, 1.0))
        """
        i = self.axis(coord)
        if isinstance(value, str) or np.ndim(value):
            low, high = self.bounds(coord)
            raise PointsError(
                f"the value {value!r} was given for a face in {coord!r}: give a number, such as "
                f"{low:g} or {high:g}, the bounds of the box."
            )
        lower, upper = list(self.lower), list(self.upper)
        lower[i] = upper[i] = float(value)
        return Box(self.coords, tuple(lower), tuple(upper))

    def lower_faces(self, coords: str) -> Region:
        """The faces on which one of `coords` is at its lower bound.

        Raises:
            UnknownNameError: There is no such coordinate.
        """
        # Of shapes, a box alone has faces, as domains do.
        return Domain.lower_faces(self, coords)

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

    def some_point(self) -> Float[np.ndarray, " d"]:
        """A point well inside, for examples."""
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        return lower + 0.25 * (upper - lower)

    def boundary(self, coords: str, sides: tuple[str, ...] = SIDES) -> "Surface":
        """All faces on which one of `coords` is at a bound, as one region.

        With the letters of space alone this is where boundary conditions hold at all times.

        Args:
            coords: Coordinates that are constant on a face.
            sides: "left" for the faces of their lower bounds, "right" for those of their upper
                ones; both by default.

        Raises:
            UnknownNameError: There is no such coordinate or side.

        Example:
            >>> len(Box("xy", (0, 0), (1, 1)).boundary("xy").faces)
            4
        """
        return Surface(self._sides(coords, sides))

    def as_factor(self, coords: str, sides: tuple[str, ...]) -> "Surface":
        """Its boundary beside other factors, which have the extent that the ends of a line lack."""
        faces = self._sides(coords, sides)
        return Ends(faces) if self.d == 1 else Surface(faces)

    def _sides(self, coords: str, sides: tuple[str, ...]) -> "tuple[Box, ...]":
        for side in sides:
            if side not in SIDES:
                raise UnknownNameError.of("side", side, SIDES)
        return tuple(
            self.face(coord, self.bounds(coord)[SIDES.index(side)])
            for coord in coords
            for side in sides
        )

    def contains(self, points: Float[np.ndarray, "n d"], slack: float = 1e-12) -> np.ndarray:
        """Which points lie inside, up to `slack` times the extent of each axis."""
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        margin = slack * np.maximum(upper - lower, np.maximum(np.abs(lower), np.abs(upper)))
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
        return trapezoidal(shape)


@dataclass(frozen=True)
class Surface(Region):
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
        free = {int(np.count_nonzero(np.subtract(f.upper, f.lower))) for f in self.faces}
        if free == {0}:
            coord, place = self.faces[0].coords[-1], self.faces[0].lower[-1]
            raise PointsError(
                f"a surface of {len(self.faces)} single points was given: a condition holds at one "
                f"of them, so give one for each, such as on box.face({coord!r}, {place:g})."
            )
        if len(free) != 1:
            raise PointsError(
                f"a surface of faces with {sorted(free)} free coordinates was given: all faces "
                "have the same number of them, and at least one."
            )

    @property
    def coords(self) -> str:
        """One letter per coordinate."""
        return self.faces[0].coords

    @property
    def degrees(self) -> int:
        """Number of free coordinates of each face."""
        return self.faces[0].degrees

    @property
    def measure(self) -> float:
        """Length, area or volume of all faces."""
        return sum(face.measure for face in self.faces)

    def place(self, unit: Float[np.ndarray, "n k"]) -> tuple[Float[np.ndarray, "n d"], np.ndarray]:
        """Points of the unit cube on the faces; all are kept."""
        return _unroll(self, unit), np.ones(len(unit), bool)

    def within(self, coord: str, low: float, high: float) -> "Surface | None":
        """The parts of the faces where `low ≤ coord ≤ high`, or None where there are none."""
        parts = [face.within(coord, low, high) for face in self.faces]
        kept = tuple(part for part in parts if part is not None)
        return type(self)(kept) if kept else None

    @property
    def lower(self) -> tuple[float, ...]:
        """Lower bounds of the smallest box that holds all faces."""
        return tuple(np.min([face.lower for face in self.faces], axis=0).tolist())

    @property
    def upper(self) -> tuple[float, ...]:
        """Upper bounds of the smallest box that holds all faces."""
        return tuple(np.max([face.upper for face in self.faces], axis=0).tolist())


class Ends(Surface):
    """The ends of a line as a factor of a product; each end is one of the faces."""

    def __post_init__(self) -> None:
        pass  # What has no extent alone has that of the other factors.

    @property
    def degrees(self) -> int:
        """One, which says at which end a point is."""
        return 1


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
