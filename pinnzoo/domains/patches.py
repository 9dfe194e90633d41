"""Pieces of boundaries: segments and arcs in the plane, facets and spheres in space.

A patch knows where its points are, how far a point is from it, and its normal, which points away
from the shape that it bounds. Segments and arcs can be cut where they meet other ones.
"""

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

Vector: TypeAlias = tuple[float, ...]
"""A place in space, as plain numbers."""

SMALL_CAP = 0.5
"""Height of a cap, in radii, below which its points are drawn on it and not on the whole sphere."""


@dataclass(frozen=True)
class Segment:
    """A straight piece of the boundary of a plane shape, which lies on its left.

    Attributes:
        names: Names of the boundary parts that it belongs to.
        start: Where it begins.
        end: Where it ends.
    """

    names: tuple[str, ...]
    start: Vector
    end: Vector

    @property
    def size(self) -> float:
        """Length."""
        return math.dist(self.start, self.end)

    @property
    def degrees(self) -> int:
        """Coordinates of the unit cube that a point takes."""
        return 1

    def at(self, unit: Float[np.ndarray, "n 1"]) -> Float[np.ndarray, "n 2"]:
        """Points at shares of the length."""
        start, end = np.asarray(self.start), np.asarray(self.end)
        return start + (end - start) * unit

    def normal(self, z: Any, xp: Any = np) -> Any:
        """Unit vector to the right of the way from start to end."""
        (x, y), (to_x, to_y) = self.start, self.end
        outward = xp.asarray([to_y - y, x - to_x]) / self.size
        return xp.broadcast_to(outward, z.shape).astype(z.dtype)

    def gap(self, z: Any, xp: Any = np) -> Any:
        """Distance of points from the segment, `(..., 2) -> (...)`."""
        start = xp.asarray(self.start, z.dtype)
        way = xp.asarray(self.end, z.dtype) - start
        share = xp.clip(((z - start) * way).sum(-1) / (way * way).sum(), 0.0, 1.0)
        return xp.sqrt(((z - start - share[..., None] * way) ** 2).sum(-1))

    def flipped(self) -> "Segment":
        """The same piece of a shape on the other side."""
        return replace(self, start=self.end, end=self.start)

    def position(self, point: np.ndarray) -> float:
        """Share of the length at which a point of the segment lies."""
        way = np.subtract(self.end, self.start)
        return float(np.dot(point - self.start, way) / np.dot(way, way))

    def between(self, first: float, last: float) -> "Segment":
        """The piece between two shares of the length; the ends stay what they are."""
        start, end = (tuple(self.at(np.array([[s]]))[0].tolist()) for s in (first, last))
        return replace(
            self,
            start=self.start if first == 0 else start,
            end=self.end if last == 1 else end,
        )

    @property
    def moment(self) -> float:
        """∫ z·n over the segment."""
        return float(np.dot(self.start, self.normal(np.zeros(2)))) * self.size


@dataclass(frozen=True)
class Arc:
    """A piece of a circle, or all of it.

    Attributes:
        names: Names of the boundary parts that it belongs to.
        centre: Centre of the circle.
        radius: Its radius.
        start: Angle in radians at which it begins.
        stop: Angle at which it ends; above `start`, by 2π at most.
        sign: 1 where the shape is inside of the circle, -1 where it is outside.
    """

    names: tuple[str, ...]
    centre: Vector
    radius: float
    start: float = 0.0
    stop: float = 2 * math.pi
    sign: float = 1.0

    @property
    def size(self) -> float:
        """Length."""
        return self.radius * (self.stop - self.start)

    @property
    def degrees(self) -> int:
        """Coordinates of the unit cube that a point takes."""
        return 1

    @property
    def closed(self) -> bool:
        """Whether it is a whole circle."""
        return self.stop - self.start >= 2 * math.pi

    def at(self, unit: Float[np.ndarray, "n 1"]) -> Float[np.ndarray, "n 2"]:
        """Points at shares of the length."""
        angle = self.start + (self.stop - self.start) * unit
        return np.asarray(self.centre) + self.radius * np.hstack([np.cos(angle), np.sin(angle)])

    def normal(self, z: Any, xp: Any = np) -> Any:
        """Unit vector away from the centre, or to it where the shape is outside."""
        away = z - xp.asarray(self.centre, z.dtype)
        return self.sign * away / xp.sqrt((away * away).sum(-1, keepdims=True))

    def gap(self, z: Any, xp: Any = np) -> Any:
        """Distance of points from the arc, `(..., 2) -> (...)`."""
        away = z - xp.asarray(self.centre, z.dtype)
        to_circle = xp.abs(xp.sqrt((away * away).sum(-1)) - self.radius)
        if self.closed:
            return to_circle
        angle = xp.mod(xp.arctan2(away[..., 1], away[..., 0]) - self.start, 2 * math.pi)
        ends = xp.asarray(self.at(np.array([[0.0], [1.0]])), z.dtype)
        to_ends = xp.sqrt(((z[..., None, :] - ends) ** 2).sum(-1)).min(-1)
        return xp.where(angle <= self.stop - self.start, to_circle, to_ends)

    def flipped(self) -> "Arc":
        """The same piece of a shape on the other side."""
        return replace(self, sign=-self.sign)

    def position(self, point: np.ndarray) -> float:
        """Share of the length at which a point of the arc lies."""
        x, y = np.subtract(point, self.centre)
        return ((math.atan2(y, x) - self.start) % (2 * math.pi)) / (self.stop - self.start)

    def between(self, first: float, last: float) -> "Arc":
        """The piece between two shares of the length."""
        turn = self.stop - self.start
        return replace(self, start=self.start + first * turn, stop=self.start + last * turn)

    @property
    def moment(self) -> float:
        """∫ z·n over the arc."""
        x, y = self.centre
        along_x = math.sin(self.stop) - math.sin(self.start)
        along_y = math.cos(self.start) - math.cos(self.stop)
        return self.sign * self.radius * (x * along_x + y * along_y + self.size)


@dataclass(frozen=True)
class Facet:
    """A face of a box in three or more dimensions.

    Attributes:
        names: Names of the boundary parts that it belongs to.
        lower: Lower bounds.
        upper: Upper bounds.
        axis: The coordinate that is constant.
        sign: 1 where the outward normal points along this coordinate, else -1.
    """

    names: tuple[str, ...]
    lower: Vector
    upper: Vector
    axis: int
    sign: float

    @property
    def size(self) -> float:
        """Area."""
        return float(np.prod(np.delete(np.subtract(self.upper, self.lower), self.axis)))

    @property
    def degrees(self) -> int:
        """Coordinates of the unit cube that a point takes."""
        return len(self.lower) - 1

    def at(self, unit: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n d"]:
        """Points of the unit cube on the face."""
        lower = np.asarray(self.lower)
        return lower + (self.upper - lower) * np.insert(unit, self.axis, 0.0, axis=1)

    def normal(self, z: Any, xp: Any = np) -> Any:
        """Unit vector along the constant coordinate."""
        outward = self.sign * np.eye(len(self.lower))[self.axis]
        return xp.broadcast_to(xp.asarray(outward), z.shape).astype(z.dtype)

    def gap(self, z: Any, xp: Any = np) -> Any:
        """Distance of points from the face, `(..., d) -> (...)`."""
        near = xp.clip(z, xp.asarray(self.lower, z.dtype), xp.asarray(self.upper, z.dtype))
        return xp.sqrt(((z - near) ** 2).sum(-1))

    def flipped(self) -> "Facet":
        """The same piece of a shape on the other side."""
        return replace(self, sign=-self.sign)

    def clipped(self, lower: Vector, upper: Vector) -> "Facet | None":
        """What of the face lies in a box, or None where that has no area."""
        least, most = np.maximum(self.lower, lower), np.minimum(self.upper, upper)
        free = np.arange(len(lower)) != self.axis
        if (least > most).any() or (least == most)[free].any():
            return None
        return replace(self, lower=tuple(least.tolist()), upper=tuple(most.tolist()))


@dataclass(frozen=True)
class Sphere:
    """The surface of a ball in three or more dimensions, or a cap of it.

    Attributes:
        names: Names of the boundary parts that it belongs to.
        centre: Centre of the ball.
        radius: Its radius.
        sign: 1 where the shape is inside of the sphere, -1 where it is outside.
        pole: Unit vector from the centre to the middle of the cap; empty for all of the sphere.
        height: Of the cap, in units of the radius, below one; 2 for all of the sphere.
    """

    names: tuple[str, ...]
    centre: Vector
    radius: float
    sign: float = 1.0
    pole: Vector = ()
    height: float = 2.0

    @property
    def size(self) -> float:
        """Area."""
        d = len(self.centre)
        whole = 2 * math.pi ** (d / 2) / math.gamma(d / 2) * self.radius ** (d - 1)
        return whole / 2 * self._share if self.pole else whole

    @property
    def _share(self) -> float:
        """The cap's share of the area of half of the sphere."""
        from scipy.special import betainc

        return float(betainc((len(self.centre) - 1) / 2, 0.5, self.height * (2 - self.height)))

    @property
    def degrees(self) -> int:
        """Coordinates of the unit cube that a point takes."""
        return len(self.centre)

    def at(self, unit: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Points of the unit cube on the sphere, by directions that are normally distributed."""
        from scipy.special import betaincinv, ndtri

        around = unit[:, 1:] if self.pole else unit
        way = ndtri(np.clip(around, 1e-12, 1 - 1e-12))
        way = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-300)
        if self.pole:
            d = len(self.centre)
            # The square of the sine of the angle to the pole has a beta distribution.
            square = betaincinv((d - 1) / 2, 0.5, unit[:, :1] * self._share)
            # The first column is the pole, up to its sign; the others are perpendicular to it.
            across = np.linalg.qr(np.column_stack([self.pole, np.eye(d)]))[0][:, 1:]
            way = np.sqrt(1 - square) * self.pole + np.sqrt(square) * (way @ across.T)
        return np.asarray(self.centre) + self.radius * way

    def normal(self, z: Any, xp: Any = np) -> Any:
        """Unit vector away from the centre, or to it where the shape is outside."""
        away = z - xp.asarray(self.centre, z.dtype)
        return self.sign * away / xp.sqrt((away * away).sum(-1, keepdims=True))

    def gap(self, z: Any, xp: Any = np) -> Any:
        """Distance of points from the sphere, `(..., d) -> (...)`."""
        away = z - xp.asarray(self.centre, z.dtype)
        return xp.abs(xp.sqrt((away * away).sum(-1)) - self.radius)

    def flipped(self) -> "Sphere":
        """The same piece of a shape on the other side."""
        return replace(self, sign=-self.sign)

    def clipped(self, lower: Vector, upper: Vector) -> "Sphere | None":
        """A cap that holds what of the sphere lies in a box, or None where nothing does.

        It is the cap inside of the ball around the box. Where it is not small, or larger than the
        one that there is, the sphere stays as it is.
        """
        way = np.add(lower, upper) / 2 - self.centre
        away, reach = float(np.linalg.norm(way)), math.dist(lower, upper) / 2
        if abs(away - self.radius) > reach:
            return None
        height = (reach**2 - (away - self.radius) ** 2) / (2 * away * self.radius or math.inf)
        if not away or height >= min(SMALL_CAP, self.height):
            return self
        return replace(self, pole=tuple((way / away).tolist()), height=height)


Curve: TypeAlias = Segment | Arc
Patch: TypeAlias = Segment | Arc | Facet | Sphere


def opposed(a: Patch, b: Patch, tolerance: float) -> bool:
    """Whether two faces or spheres lie on each other, with opposite normals."""
    if isinstance(a, Facet) and isinstance(b, Facet):
        gap = np.maximum(a.lower, b.lower) - np.minimum(a.upper, b.upper)
        return a.axis == b.axis and a.sign != b.sign and bool(gap.max() <= tolerance)
    if isinstance(a, Sphere) and isinstance(b, Sphere):
        apart = math.dist(a.centre, b.centre) + abs(a.radius - b.radius)
        return a.sign != b.sign and apart <= tolerance
    return False


def cut(curve: Curve, others: tuple[Curve, ...], tolerance: float) -> list[Curve]:
    """The pieces into which other curves cut one, in its order.

    Args:
        curve: What is cut.
        others: Where it meets one of them, or where one of them that lies along it ends, it is
            cut.
        tolerance: Distance below which two places are one.
    """
    shares = {0.0, 1.0}
    for other in others:
        for point in _meetings(curve, other):
            if max(curve.gap(point), other.gap(point)) < tolerance:
                shares.add(curve.position(point))
    margin = tolerance / curve.size
    inner = sorted(s for s in shares if margin < s < 1 - margin)
    places = [0.0, *inner, 1.0]
    pieces = [
        curve.between(first, last)
        for first, last in itertools.pairwise(places)
        if last - first > margin
    ]
    return pieces if len(pieces) > 1 else [curve]


def _meetings(a: Curve, b: Curve) -> list[np.ndarray]:
    """Places where the line or circle of `a` meets that of `b`, and the ends of `b`."""
    ends = list(b.at(np.array([[0.0], [1.0]])))
    if isinstance(a, Segment) and isinstance(b, Segment):
        return ends + _line_meets_line(a, b)
    if isinstance(a, Segment) and isinstance(b, Arc):
        return ends + _line_meets_circle(a, b)
    if isinstance(a, Arc) and isinstance(b, Segment):
        return ends + _line_meets_circle(b, a)
    assert isinstance(a, Arc)
    assert isinstance(b, Arc)
    return ends + _circle_meets_circle(a, b)


def _line_meets_line(a: Segment, b: Segment) -> list[np.ndarray]:
    along, across = np.subtract(a.end, a.start), np.subtract(b.end, b.start)
    determinant = along[0] * across[1] - along[1] * across[0]
    if abs(determinant) < 1e-14 * a.size * b.size:
        return []
    between = np.subtract(b.start, a.start)
    share = (between[0] * across[1] - between[1] * across[0]) / determinant
    return [np.asarray(a.start) + share * along]


def _line_meets_circle(line: Segment, circle: Arc) -> list[np.ndarray]:
    way = np.subtract(line.end, line.start) / line.size
    nearest = line.start + np.dot(np.subtract(circle.centre, line.start), way) * way
    square = circle.radius**2 - np.sum((nearest - circle.centre) ** 2)
    half = math.sqrt(max(square, 0.0))
    return [nearest - half * way, nearest + half * way]


def _circle_meets_circle(a: Arc, b: Arc) -> list[np.ndarray]:
    way = np.subtract(b.centre, a.centre)
    distance = float(np.linalg.norm(way))
    if distance == 0:
        return []
    along = (distance**2 + a.radius**2 - b.radius**2) / (2 * distance)
    half = math.sqrt(max(a.radius**2 - along**2, 0.0))
    foot = a.centre + along * way / distance
    across = np.array([-way[1], way[0]]) / distance
    return [foot - half * across, foot + half * across]
