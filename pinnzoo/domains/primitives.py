"""Balls and polygons, and intervals of time."""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pinnzoo._typing import PointRows
from pinnzoo.domains.box import Box
from pinnzoo.domains.patches import Arc, Patch, Segment, Sphere
from pinnzoo.domains.regions import Shape, numpy_of, row
from pinnzoo.errors import PointsError


def Interval(coord: str, low: float, high: float) -> Box:
    """A box of one coordinate, such as the times that a shape is multiplied by.

    Example:
        >>> Interval("t", 0, 1) * Ball("xy", (0, 0), 1.0)
    """
    return Box(coord, (low,), (high,))


@dataclass(frozen=True)
class Ball(Shape):
    """A disc in the plane, or a ball in more dimensions.

    Attributes:
        coords: One letter per coordinate, two or more.
        centre: Its centre.
        radius: Its radius.
        name: Name of its boundary.

    Example:
        >>> Ball("xy", (0.0, 0.0), 1.0) - Ball("xy", (0.0, 0.0), 0.5, name="inner")
    """

    coords: str
    centre: tuple[float, ...]
    radius: float
    name: str = "ball"

    def __post_init__(self) -> None:
        if np.ndim(self.centre) != 1:
            raise PointsError(
                f"a ball with the centre {self.centre!r} was given: give as many numbers as it has "
                f"coordinates, such as {(0.0,) * len(self.coords)}."
            )
        object.__setattr__(self, "centre", tuple(map(float, self.centre)))
        object.__setattr__(self, "radius", float(self.radius))
        check_shape(self.coords, [self.centre])
        if not (math.isfinite(self.radius) and self.radius > 0):
            raise PointsError(f"a ball of radius {self.radius} was given: give a positive one.")

    @property
    def lower(self) -> tuple[float, ...]:
        """Lower bounds."""
        return tuple(c - self.radius for c in self.centre)

    @property
    def upper(self) -> tuple[float, ...]:
        """Upper bounds."""
        return tuple(c + self.radius for c in self.centre)

    @property
    def measure(self) -> float:
        """Area or volume."""
        return math.pi ** (self.d / 2) / math.gamma(self.d / 2 + 1) * self.radius**self.d

    @property
    def patches(self) -> tuple[Patch, ...]:
        """The circle or sphere."""
        kind = Arc if self.d == 2 else Sphere
        return (kind((self.name,), self.centre, self.radius),)

    def level(self, points: PointRows) -> Any:
        """Distance from the boundary, negative inside, `(n,)`."""
        away = points - row(self.centre, points)
        return numpy_of(points).linalg.norm(away, axis=1) - self.radius


@dataclass(frozen=True)
class Polygon(Shape):
    """A simple polygon; holes are cut out of it with `-`.

    Attributes:
        coords: Two letters.
        corners: Its corners, in either sense of rotation; kept counterclockwise. The last one may
            repeat the first, as in the `exterior.coords` of a polygon of Shapely.
        name: Name of the whole boundary.
        edges: Names of the edges that follow the corners, in the order given; by default "edge_0",
            "edge_1" and so on. Edges may share a name.

    Example:
        >>> Polygon("xy", ((0, 0), (1, 0), (0, 1)), edges=("floor", "slope", "wall"))
    """

    coords: str
    corners: tuple[tuple[float, float], ...]
    name: str = "polygon"
    edges: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(np.shape(corner) != (2,) for corner in self.corners):
            raise PointsError(
                "a polygon was given corners that are not all two numbers: give (x, y) for each, "
                "without the z that rings of Shapely may have."
            )
        corners = [(float(x), float(y)) for x, y in self.corners]
        if len(corners) > 1 and corners[0] == corners[-1]:
            corners.pop()
        check_shape(self.coords, corners)
        edges = tuple(self.edges) or tuple(f"edge_{k}" for k in range(len(corners)))
        if len(corners) < 3 or len(self.coords) != 2 or len(edges) != len(corners):
            raise PointsError(
                f"a polygon with {len(corners)} corners, {len(edges)} names of edges and the "
                f"coordinates {self.coords!r} was given: give two letters, three or more different "
                "corners, and a name for each edge or none."
            )
        x, y = np.array(corners).T
        turning = float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
        if turning < 0:
            corners, edges = corners[::-1], (*edges[-2::-1], edges[-1])
        object.__setattr__(self, "corners", tuple(corners))
        object.__setattr__(self, "edges", edges)
        if turning == 0 or _crosses_itself(corners):
            raise PointsError(
                f"a polygon with the corners {self.corners} was given: its edges touch or cross "
                "each other, so give the corners in the order in which they are passed."
            )

    @property
    def lower(self) -> tuple[float, ...]:
        """Lower bounds."""
        return tuple(np.min(self.corners, axis=0).tolist())

    @property
    def upper(self) -> tuple[float, ...]:
        """Upper bounds."""
        return tuple(np.max(self.corners, axis=0).tolist())

    @functools.cached_property
    def patches(self) -> tuple[Patch, ...]:
        """The edges, counterclockwise."""
        ends = zip(self.corners, (*self.corners[1:], self.corners[0]), self.edges, strict=True)
        return tuple(Segment((self.name, edge), start, end) for start, end, edge in ends)

    def level(self, points: PointRows) -> Any:
        """Distance from the boundary, negative inside, `(n,)`; by crossings of a ray along x."""
        nearest = np.full(len(points), np.inf)
        inside = np.zeros(len(points), bool)
        px, py = points.T
        for edge in self.patches:
            nearest = np.minimum(nearest, edge.gap(points))
            (x, y), (to_x, to_y) = edge.start, edge.end  # pyright: ignore
            passed = (y > py) != (to_y > py)
            with np.errstate(divide="ignore", invalid="ignore"):
                inside ^= passed & (px < x + (py - y) / (to_y - y) * (to_x - x))
        return np.where(inside, -nearest, nearest)


def check_shape(coords: str, places: Sequence[Sequence[float]]) -> None:
    """Raise unless letters and places belong together.

    Raises:
        PointsError: They are not two or more different letters, or a place has another number of
            coordinates or one that is not finite.
    """
    letters = coords.isalpha() and len(set(coords)) == len(coords) >= 2 and "t" not in coords
    if not letters or any(len(p) != len(coords) or not np.isfinite(p).all() for p in places):
        raise PointsError(
            f"a shape with the coordinates {coords!r} and the place {tuple(places[0])} was given: "
            "give two or more different letters without 't', and as many finite numbers for each "
            "place; time comes by a product, Interval('t', 0, 1) * shape."
        )


def _crosses_itself(corners: Sequence[tuple[float, float]]) -> bool:
    """Whether two edges that are no neighbours meet, or two neighbours fold onto each other."""
    edges = [Segment((), a, b) for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)]
    if any(edge.size == 0 for edge in edges):
        return True
    for (i, a), (j, b) in itertools.combinations(enumerate(edges), 2):
        neighbours = j == i + 1 or (i == 0 and j == len(edges) - 1)
        if neighbours:
            first, second = (a, b) if j == i + 1 else (b, a)
            back = np.dot(
                np.subtract(first.end, first.start), np.subtract(second.end, second.start)
            )
            if (
                back < 0
                and second.gap(np.asarray(first.start)) * first.size < 1e-12 * first.size**2
            ):
                return True
            if back < 0 and first.gap(np.asarray(second.end)) < 1e-12 * first.size:
                return True
        elif _meet(a, b):
            return True
    return False


def _meet(a: Segment, b: Segment) -> bool:
    def side(p: Sequence[float], q: Sequence[float], r: Sequence[float]) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    across = side(a.start, a.end, b.start) * side(a.start, a.end, b.end)
    along = side(b.start, b.end, a.start) * side(b.start, b.end, a.end)
    if across < 0 and along < 0:
        return True
    touching = [a.gap(np.asarray(p)) for p in (b.start, b.end)]
    touching += [b.gap(np.asarray(p)) for p in (a.start, a.end)]
    return bool(min(touching) < 1e-12 * max(a.size, b.size))
