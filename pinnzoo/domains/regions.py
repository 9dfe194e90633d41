"""Regions of any shape: their algebra, the parts of their boundaries, and products with time."""

import abc
import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnzoo._typing import Point, PointRows
from pinnzoo.domains.patches import Arc, Facet, Patch, Segment, cut, opposed
from pinnzoo.errors import PointsError, UnknownNameError

OPERATIONS = {"union": "|", "intersection": "&", "difference": "-"}
SLACK = 1e-12
"""Share of the extent of a region by which rounding may move a point out of it."""

MOST_CELLS = 2**16
"""Cells of a face at most that are looked at one by one."""

STRAY = 0.02
"""Share of points up to which rounding at the edges of a region may be what is wrong with them."""


class Region(abc.ABC):
    """Where the points of a term are drawn: a domain, or a part of its boundary.

    Attributes:
        coords: One letter per coordinate.
        lower: Lower bounds of the smallest known box around it.
        upper: Its upper bounds.

    Example:
        >>> isinstance(pinnzoo.Box("xy", (0, 0), (1, 1)).part("x_left"), pinnzoo.Region)
        True
    """

    coords: Any
    lower: Any
    upper: Any

    @property
    @abc.abstractmethod
    def degrees(self) -> int:
        """Coordinates of the unit cube that one point takes."""

    @property
    def fill(self) -> float:
        """Share of the points that `place` keeps; 1 where it keeps all of them."""
        return 1.0

    @abc.abstractmethod
    def place(self, unit: Float[np.ndarray, "n k"]) -> tuple[Float[np.ndarray, "n d"], np.ndarray]:
        """Points of the unit cube in or around the region, and which of them to keep."""

    @abc.abstractmethod
    def within(self, coord: str, low: float, high: float) -> "Region | None":
        """The part of the region where `low ≤ coord ≤ high`, or None where there is none."""


class Domain(Region):
    """What a problem is posed on: a shape, a box, or their product with time and parameters.

    Example:
        >>> disc = pinnzoo.Ball("xy", (0, 0), 1.0)
        >>> (pinnzoo.Interval("t", 0, 2) * disc).coords
        'txy'
    """

    @property
    def d(self) -> int:
        """Number of coordinates."""
        return len(self.coords)

    @property
    def parameters(self) -> str:
        """Letters of the coordinates that are parameters of the equation."""
        return ""

    def axis(self, coord: str) -> int:
        """Index of the coordinate named `coord`."""
        if not isinstance(coord, str) or len(coord) != 1 or coord not in self.coords:
            raise UnknownNameError.of("coordinate", str(coord), self.coords)
        return self.coords.index(coord)

    def bounds(self, coord: str) -> tuple[float, float]:
        """Lower and upper bound of the coordinate named `coord`."""
        i = self.axis(coord)
        return self.lower[i], self.upper[i]

    def length(self, coord: str) -> float:
        """Extent along the coordinate named `coord`, in that coordinate's unit."""
        low, high = self.bounds(coord)
        return high - low

    def extended(self, z: Point) -> Point:
        """The point as a network sees it: parameters that are drawn by logarithm spread evenly."""
        return z

    @property
    @abc.abstractmethod
    def measure(self) -> float:
        """Length, area or volume."""

    @abc.abstractmethod
    def contains(self, points: Float[np.ndarray, "n d"], slack: float = SLACK) -> np.ndarray:
        """Which points lie inside or on the boundary, up to `slack` times the extent."""

    @abc.abstractmethod
    def lattice(self, shape: tuple[int, ...]) -> Float[np.ndarray, "n d"]:
        """A tensor grid over the smallest known box around the domain, last coordinate fastest."""

    @abc.abstractmethod
    def lattice_weights(self, shape: tuple[int, ...]) -> Float[np.ndarray, " n"]:
        """Trapezoidal weights of `lattice(shape)`, normalized to one: a mean over the box."""

    def grid(self, shape: tuple[int, ...]) -> Float[np.ndarray, "n d"]:
        """Those points of `lattice(shape)` that lie in the domain."""
        points = self.lattice(shape)
        return points[self.contains(points)]

    def grid_weights(self, shape: tuple[int, ...]) -> Float[np.ndarray, " n"]:
        """Weights of `grid(shape)`, normalized to one."""
        weights = self.lattice_weights(shape)[self.contains(self.lattice(shape))]
        return weights / weights.sum()

    def some_point(self) -> Float[np.ndarray, " d"]:
        """A point well inside, for examples."""
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        shares = [0.25, 0.5, 0.4, 0.1, 0.8, *np.linspace(0.03, 0.97, 17)]
        for share in np.array(np.meshgrid(shares, shares)).reshape(2, -1).T:
            mixed = np.where(np.arange(self.d) % 2 == 0, share[1], share[0])
            point = lower + mixed * (upper - lower)
            if self.contains(point[None], slack=0).all():
                return point
        raise PointsError(f"no point of a domain from {self.lower} to {self.upper} was found.")

    @abc.abstractmethod
    def within(self, coord: str, low: float, high: float) -> "Domain | None":
        """The part of the domain where `low ≤ coord ≤ high`, or None where there is none."""

    @abc.abstractmethod
    def face(self, coord: str, value: float) -> "Domain":
        """The part of the domain on which `coord` equals `value`."""

    def boundary(self, coords: str, sides: tuple[str, ...] = ("left", "right")) -> Region:
        """All faces on which one of `coords` is at a bound, as one region.

        Raises:
            PointsError: The domain has no faces.
        """
        raise PointsError(
            f"the {' and '.join(sides)} faces along {coords!r} of a shape were asked for: shapes "
            "have parts instead, so ask for `domain.part(...)`."
        )

    def as_factor(self, coords: str, sides: tuple[str, ...]) -> Region:
        """What `boundary` says, as a factor of a product."""
        return self.boundary(coords, sides)

    def lower_faces(self, coords: str) -> Region:
        """Where one of `coords` is at its lower bound, across from which the domain goes on alike.

        Raises:
            UnknownNameError: There is no such coordinate.
            PointsError: The domain has no such face, or another one across from it.
        """
        if len(coords) == 1:
            return self.face(coords, self.bounds(coords)[0])
        return self.boundary(coords, ("left",))

    @abc.abstractmethod
    def part(self, *names: str) -> "Part | Product":
        """The part of the boundary that has one of the names, as one region."""

    def __mul__(self, other: "Domain") -> "Domain":
        """Every point of one beside every point of the other, such as a time and a place."""
        if not isinstance(other, Domain):
            return NotImplemented
        return Product((*factors(self), *factors(other)))


class Shape(Domain):
    """A region of space that has a boundary of patches and can be combined with others.

    `a | b` is the union of two shapes, `a & b` their intersection, and `a - b` what is left of the
    first without the second. `Interval("t", 0, 1) * a` is the shape at all of these times.

    Example:
        >>> holed = pinnzoo.Box("xy", (0, 0), (1, 1)) - pinnzoo.Ball("xy", (0.5, 0.5), 0.25)
        >>> holed.contains(np.array([[0.1, 0.1], [0.5, 0.5]])).tolist()
        [True, False]
    """

    @property
    @abc.abstractmethod
    def patches(self) -> tuple[Patch, ...]:
        """The boundary, piece by piece."""

    @abc.abstractmethod
    def level(self, points: PointRows) -> Any:
        """Negative inside, zero on the boundary, positive outside, `(n,)`; at most the distance."""

    def __or__(self, other: "Shape") -> "Combination":
        """The union."""
        return Combination("union", self, other) if isinstance(other, Shape) else NotImplemented

    def __and__(self, other: "Shape") -> "Combination":
        """The intersection."""
        if not isinstance(other, Shape):
            return NotImplemented
        return Combination("intersection", self, other)

    def __sub__(self, other: "Shape") -> "Combination":
        """What is left without the other."""
        if not isinstance(other, Shape):
            return NotImplemented
        return Combination("difference", self, other)

    @property
    def degrees(self) -> int:
        """One per coordinate."""
        return self.d

    @property
    def extent(self) -> float:
        """The longest side of the box around it."""
        return float(np.max(np.subtract(self.upper, self.lower)))

    @functools.cached_property
    def measure(self) -> float:
        """Area, exactly; in three or more dimensions volume, to about one in a thousand."""
        box = float(np.prod(np.subtract(self.upper, self.lower)))
        if self.d == 2:
            area = sum(patch.moment for patch in self.patches) / 2  # pyright: ignore
            if not 0 <= area <= 1.01 * box:
                raise PointsError(
                    f"the area of a shape from {self.lower} to {self.upper} was asked for, and "
                    "rounding leaves nothing of it: count coordinates from a point near it, and "
                    "in a unit in which it is neither tiny nor huge."
                )
            return area
        from scipy.stats import qmc

        unit = qmc.Sobol(self.d, scramble=False).random_base2(16)
        return box * float(self.place(unit)[1].mean())

    @functools.cached_property
    def fill(self) -> float:
        """Share of the box around it that it fills."""
        box = float(np.prod(np.subtract(self.upper, self.lower)))
        return min(self.measure / box, 1.0)

    def place(self, unit: Float[np.ndarray, "n k"]) -> tuple[Float[np.ndarray, "n d"], np.ndarray]:
        """Points of the box around it, and which of them lie inside."""
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        points = lower + (upper - lower) * unit
        return points, self.level(points) <= 0

    def within(self, coord: str, low: float, high: float) -> "Domain | None":
        """The shape itself, where that leaves nothing out.

        Raises:
            PointsError: It would leave something out: shapes are divided in time only.
        """
        first, last = self.bounds(coord)
        if low <= first and last <= high:
            return self
        raise PointsError(
            f"the part of a shape with {low} ≤ {coord} ≤ {high} was asked for: shapes are not "
            f"divided along {coord}, so divide time, or intersect the shape with a Box."
        )

    def contains(self, points: Float[np.ndarray, "n d"], slack: float = SLACK) -> np.ndarray:
        """Which points lie inside or on the boundary, up to `slack` times the extent."""
        return self.level(points) <= slack * reach(self)

    def lattice(self, shape: tuple[int, ...]) -> Float[np.ndarray, "n d"]:
        """A uniform tensor grid over the box around it, bounds included."""
        if len(shape) != self.d:
            raise PointsError(f"a grid of shape {shape} was asked of a shape with {self.d} axes.")
        axes = [
            np.linspace(low, high, k)
            for low, high, k in zip(self.lower, self.upper, shape, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, self.d)

    def lattice_weights(self, shape: tuple[int, ...]) -> Float[np.ndarray, " n"]:
        """Trapezoidal weights of `lattice(shape)`, normalized to one."""
        return trapezoidal(shape)

    def face(self, coord: str, value: float) -> Domain:
        """Shapes have no faces.

        Raises:
            PointsError: Always.
        """
        raise PointsError(
            f"the face {coord} = {value} of a shape was asked for: its boundary has the parts "
            f"{', '.join(map(repr, self.names))}, so ask for `domain.part(...)`."
        )

    def lower_faces(self, coords: str) -> Region:
        """The flat pieces of the boundary where one of `coords` is at its lower bound.

        Raises:
            UnknownNameError: There is no such coordinate.
            PointsError: There is no such piece, or another one across from it.
        """
        chosen: list[Patch] = []
        for coord in coords:
            axis, bounds = self.axis(coord), self.bounds(coord)
            sides = [[p for p in self.patches if _flat(p, axis, b)] for b in bounds]
            low, high = (self.points_on(pieces)[:, np.arange(self.d) != axis] for pieces in sides)
            across = [
                self._on(pieces, np.insert(points, axis, bound, axis=1)).all()
                for pieces, points, bound in zip(sides, (high, low), bounds, strict=True)
            ]
            if not sides[0] or not all(across):
                told = " and ".join(f"{coord} = {bound:g}" for bound in bounds)
                raise PointsError(
                    f"the faces of a shape at {told} were asked for as those of a period: give a "
                    "shape that is flat there, and the same at both, such as a box with holes."
                )
            chosen += sides[0]
        return self._part_of(chosen)

    def _part_of(self, pieces: Sequence[Patch]) -> "Part":
        """Pieces of the boundary as one region."""
        return Part(self.coords, tuple(pieces), self if self.d > 2 else None)

    def points_on(self, pieces: Sequence[Patch]) -> Float[np.ndarray, "n d"]:
        """Some points of pieces of the boundary, without those that the shape does not have.

        Example:
            >>> disc = Ball("xy", (0, 0), 1.0)
            >>> disc.points_on(disc.patches).shape
            (512, 2)
        """
        if not pieces:
            return np.empty((0, self.d))
        part = self._part_of(pieces)
        points, keep = part.place(np.random.default_rng(0).random((512, part.degrees)))
        return points[keep]

    def _on(self, pieces: Sequence[Patch], points: Float[np.ndarray, "n d"]) -> np.ndarray:
        """Which points lie on one of the pieces."""
        found = np.zeros(len(points), bool)
        for patch in pieces:
            there = patch.gap(points) <= tolerance(self)
            found |= there if self.d == 2 else there & self.bounding(patch, points)
        return found

    def bounding(self, patch: Patch, points: Float[np.ndarray, "n d"]) -> np.ndarray:
        """At which points of a patch the shape lies behind it, and not ahead of it."""
        step = 1e-7 * self.extent * patch.normal(points)
        return (self.level(points - step) < 0) & (self.level(points + step) >= 0)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts of the boundary."""
        return tuple(dict.fromkeys(name for patch in self.patches for name in patch.names))

    def part(self, *names: str) -> "Part":
        """The part of the boundary that has one of the names; all of it without a name.

        Raises:
            UnknownNameError: There is no such part.

        Example:
            >>> (Box("xy", (0, 0), (1, 1)) - Ball("xy", (0.5, 0.5), 0.2, name="hole")).part("hole")
        """
        for name in names:
            if name not in self.names:
                raise UnknownNameError.of("boundary part", name, self.names)
        chosen = [p for p in self.patches if not names or set(names) & set(p.names)]
        return self._part_of(chosen)


@dataclass(frozen=True)
class Combination(Shape):
    """Union, intersection or difference of two shapes; written `a | b`, `a & b` and `a - b`.

    In the plane its boundary is cut exactly where the boundaries of the two meet. In three or
    more dimensions the patches are those of the two, and points that are not on the boundary of
    the combination are left out when they are drawn.

    Attributes:
        operation: One of "union", "intersection" and "difference".
        first: A shape.
        second: Another one, with the same coordinates.

    Example:
        >>> Box("xy", (-1, -1), (1, 1)) - Box("xy", (0, -1), (1, 0))
    """

    operation: str
    first: Shape
    second: Shape

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise UnknownNameError.of("operation", self.operation, OPERATIONS)
        if self.first.coords != self.second.coords or self.first.d < 2:
            raise PointsError(
                f"shapes with the coordinates {self.first.coords!r} and {self.second.coords!r} "
                "were combined: both have the same two or more, and time comes by a product."
            )
        empty = any(high <= low for low, high in zip(self.lower, self.upper, strict=True))
        if empty or self.measure <= 1e-12 * self.extent**self.d:
            advice = {
                "intersection": "give shapes that overlap",
                "difference": "take away a shape that leaves some of the first one",
            }.get(self.operation, "give shapes that have an area")
            raise PointsError(
                f"the {self.operation} of two shapes was asked for, which is empty: {advice}."
            )

    @property
    def coords(self) -> str:
        """One letter per coordinate."""
        return self.first.coords

    @functools.cached_property
    def lower(self) -> tuple[float, ...]:
        """Lower bounds."""
        return self._bounds("lower", {"union": min, "intersection": max})

    @functools.cached_property
    def upper(self) -> tuple[float, ...]:
        """Upper bounds."""
        return self._bounds("upper", {"union": max, "intersection": min})

    def _bounds(self, side: str, rules: dict[str, Any]) -> tuple[float, ...]:
        ours, theirs = getattr(self.first, side), getattr(self.second, side)
        if self.operation == "difference":
            return ours
        return tuple(map(rules[self.operation], ours, theirs))

    def level(self, points: PointRows) -> Any:
        """Negative inside, zero on the boundary, positive outside, `(n,)`; at most the distance."""
        a, b = self.first.level(points), self.second.level(points)
        xp = numpy_of(points)
        if self.operation == "union":
            return xp.minimum(a, b)  # pyright: ignore
        return xp.maximum(a, b if self.operation == "intersection" else -b)  # pyright: ignore

    def contains(self, points: Float[np.ndarray, "n d"], slack: float = SLACK) -> np.ndarray:
        """Which points lie inside or on the boundary, up to `slack` times the extent.

        Where the boundaries of both shapes run along each other, the level is zero, whether the
        combination lies beside them or not: an edge that a difference took away with the inside
        has to be told from one that is left.
        """
        margin, level = slack * reach(self), self.level(points)
        held = level <= margin
        if self.operation == "union":
            return held
        edge = np.flatnonzero(np.abs(level) <= margin)
        levels = [shape.level(points[edge]) for shape in (self.first, self.second)]
        doubtful = edge[np.abs(levels).max(axis=0) <= margin]
        ways = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=self.d)))
        near = points[doubtful][:, None] + 10 * margin * ways
        inside = self.level(near.reshape(-1, self.d)).reshape(len(doubtful), len(ways)) < -margin
        held[doubtful] = inside.any(axis=1)
        return held

    @functools.cached_property
    def patches(self) -> tuple[Patch, ...]:
        """The boundary, piece by piece."""
        ours, theirs = self.first.patches, self.second.patches
        if self.d > 2:
            flip = self.operation == "difference"
            both = (*ours, *(patch.flipped() if flip else patch for patch in theirs))
            clipped = (patch.clipped(self.lower, self.upper) for patch in both)  # pyright: ignore
            near = [patch for patch in clipped if patch is not None]
            rng = np.random.default_rng(0)
            return tuple(patch for patch in near if self._bounded_by(patch, near, rng))
        size = max(self.first.extent, self.second.extent)
        close = max(tolerance(self.first), tolerance(self.second))
        kept: list[Patch] = []
        for curve, others in [(c, theirs) for c in ours] + [(c, ours) for c in theirs]:
            before = tuple(kept) if others is ours else ()
            for piece in cut(curve, others, close):  # pyright: ignore
                middle = piece.at(np.array([[0.5]]))
                # What bounds both is kept once.
                if all(patch.gap(middle)[0] > close for patch in before):
                    kept.extend(self._oriented(piece, middle, max(1e-7 * size, 4 * close)))
        return tuple(kept)

    def _bounded_by(self, patch: Patch, others: Sequence[Patch], rng: np.random.Generator) -> bool:
        """Whether some of a patch in three or more dimensions is boundary of the combination."""
        if isinstance(patch, Facet) and self.bounding(patch, _middles(patch, others)).any():
            return True
        # Many points only where few find nothing, since most patches are found at once.
        trials = (patch.at(rng.random((n, patch.degrees))) for n in (2**12, 2**16))
        return any(self.bounding(patch, points).any() for points in trials)

    def _oriented(
        self, piece: Segment | Arc, middle: np.ndarray, step: float
    ) -> Sequence[Segment | Arc]:
        """The piece with its normal outwards, or nothing where it is no part of the boundary."""
        normal = piece.normal(middle)
        behind, ahead = (self.level(middle + side * step * normal)[0] < 0 for side in (-1, 1))
        if behind == ahead:
            return ()
        return (piece if behind else piece.flipped(),)


@dataclass(frozen=True)
class Part(Region):
    """A part of the boundary of a shape, drawn in proportion to length or area.

    Attributes:
        coords: One letter per coordinate.
        patches: Its pieces.
        shape: In three or more dimensions the shape that it bounds, which says what is left of
            the patches; None where they are exact.
    """

    coords: str
    patches: tuple[Patch, ...]
    shape: Shape | None = None

    @functools.cached_property
    def lower(self) -> tuple[float, ...]:
        """Lower bounds of the points on it."""
        return tuple(np.min(self._traced, axis=0).tolist())

    @functools.cached_property
    def upper(self) -> tuple[float, ...]:
        """Upper bounds of the points on it."""
        return tuple(np.max(self._traced, axis=0).tolist())

    @property
    def _traced(self) -> np.ndarray:
        if self.shape is not None:
            points, keep = self._trials
            return points[keep] if keep.any() else points
        along = np.linspace(0, 1, 65)[:, None]
        return np.concatenate([patch.at(along) for patch in self.patches])

    @functools.cached_property
    def _trials(self) -> tuple[np.ndarray, np.ndarray]:
        """Some points of the patches, and which of them are boundary."""
        from scipy.stats import qmc

        sequence = qmc.Sobol(self.degrees, rng=np.random.default_rng(0))
        return self.place(sequence.random_base2(13))

    @property
    def degrees(self) -> int:
        """Coordinates of the unit cube that one point takes."""
        return max(patch.degrees for patch in self.patches)

    @property
    def measure(self) -> float:
        """Length or area of its patches."""
        return sum(patch.size for patch in self.patches)

    @functools.cached_property
    def fill(self) -> float:
        """Share of the patches that is boundary."""
        return 1.0 if self.shape is None else float(self._trials[1].mean())

    def place(self, unit: Float[np.ndarray, "n k"]) -> tuple[Float[np.ndarray, "n d"], np.ndarray]:
        """Points on the patches, which lie side by side along the first axis of the cube."""
        sizes = np.array([patch.size for patch in self.patches])
        edges = np.concatenate([[0.0], np.cumsum(sizes) / np.sum(sizes)])
        which = np.clip(np.searchsorted(edges, unit[:, 0], side="right") - 1, 0, len(sizes) - 1)
        along = (unit[:, 0] - edges[which]) / (edges[which + 1] - edges[which])
        unit = np.column_stack([np.clip(along, 0.0, 1.0), unit[:, 1:]])
        points = np.empty((len(unit), len(self.coords)))
        keep = np.ones(len(unit), bool)
        for k, patch in enumerate(self.patches):
            mine = which == k
            points[mine] = patch.at(unit[mine, : patch.degrees])
            if self.shape is not None and mine.any():
                keep[mine] = self._bounding(k, points[mine])
        return points, keep

    def _bounding(self, k: int, points: np.ndarray) -> np.ndarray:
        """Which points of a patch lie on the boundary of the shape, and on no patch before it."""
        assert self.shape is not None
        bounds = self.shape.bounding(self.patches[k], points)
        for patch in self.patches[:k]:
            # One that lies there too, but inside of the shape or outside, leaves it to this one.
            there = bounds & (patch.gap(points) <= tolerance(self.shape))
            bounds[there] = ~self.shape.bounding(patch, points[there])
        return bounds

    def within(self, coord: str, low: float, high: float) -> "Part | None":
        """The part itself, where that leaves nothing out.

        Raises:
            PointsError: It would leave something out.
        """
        axis = self.coords.index(coord)
        if low <= self.lower[axis] and self.upper[axis] <= high:
            return self
        raise PointsError(
            f"the piece of a boundary with {low} ≤ {coord} ≤ {high} was asked for: boundaries are "
            "divided in time only."
        )

    def normal(self, z: Point) -> Float[Array, " d"]:
        """The outward unit normal at a point of the part, which jit, vmap and grad go through.

        Of several patches it is that of the nearest one; where patches of opposite normals lie on
        each other, that of the one that bounds the shape.

        Example:
            >>> jax.vmap(part.normal)(points)
        """
        if len(self.patches) == 1:
            return self.patches[0].normal(z, jnp)
        gaps = jnp.stack([patch.gap(z, jnp) for patch in self.patches])
        normals = jnp.stack([patch.normal(z, jnp) for patch in self.patches])
        if self._facing:
            assert self.shape is not None
            rounding = 64 * jnp.finfo(z.dtype).eps * reach(self.shape)
            step = jnp.maximum(1e-7 * self.shape.extent, rounding) * normals
            behind, ahead = (self.shape.level(z[None] + way) for way in (-step, step))  # pyright: ignore
            chosen = (behind < 0) & (ahead >= 0) & (gaps <= jnp.min(gaps) + rounding)
            gaps = jnp.where(chosen | ~chosen.any(), gaps, jnp.inf)
        return normals[jnp.argmin(gaps)]

    def turned(self, shape: Shape) -> bool:
        """Whether the normals of some of it point into a shape that it bounds.

        A part with the shape on both sides, such as an interface in it, is not turned.

        Args:
            shape: With the same coordinates as the part.
        """
        rng = np.random.default_rng(0)
        inward, step = [], 1e-6 * shape.extent
        for patch in self.patches:
            points = patch.at(rng.random((64, patch.degrees)))
            if self.shape is not None:
                points = points[self.shape.bounding(patch, points)]
            away = step * patch.normal(points)
            inward.append((shape.level(points - away) >= 0) & (shape.level(points + away) < 0))
        found = np.concatenate(inward)
        return bool(found.sum() > STRAY * len(found))

    @functools.cached_property
    def _facing(self) -> bool:
        """Whether patches of opposite normals lie on each other, each of which may bound."""
        if self.shape is None:
            return False
        close = tolerance(self.shape)
        return any(opposed(*pair, close) for pair in itertools.combinations(self.patches, 2))


@dataclass(frozen=True)
class Parameter(Domain):
    """A coordinate that is a parameter of the equation: nothing is differentiated along it.

    Attributes:
        coords: Its letter.
        low: Smallest value.
        high: Largest value.
        scale: "linear", or "log" where it is drawn uniformly in its logarithm, and spread evenly
            so for the network.

    Example:
        >>> Box("tx", (0, -1), (1, 1)) * Parameter("n", 0.003, 0.1, "log")
    """

    coords: str
    low: float
    high: float
    scale: str = "linear"

    def __post_init__(self) -> None:
        if self.scale not in ("linear", "log"):
            raise UnknownNameError.of("scale", self.scale, ("linear", "log"))
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        letter = len(self.coords) == 1 and self.coords.isalpha()
        if not letter or not finite or self.low > self.high or (self._log and self.low <= 0):
            raise PointsError(
                f"a parameter {self.coords!r} from {self.low} to {self.high} with scale "
                f"{self.scale!r} was given: give one letter and two finite numbers, the smaller "
                "one first, and positive ones for the scale 'log'."
            )

    @property
    def _log(self) -> bool:
        return self.scale == "log"

    @property
    def lower(self) -> tuple[float, ...]:
        """The smallest value."""
        return (self.low,)

    @property
    def upper(self) -> tuple[float, ...]:
        """The largest value."""
        return (self.high,)

    @property
    def parameters(self) -> str:
        """Its letter."""
        return self.coords

    @property
    def degrees(self) -> int:
        """One, or none where it is fixed."""
        return int(self.high > self.low)

    @property
    def measure(self) -> float:
        """Length, of the logarithm where it is drawn so."""
        return math.log(self.high / self.low) if self._log else self.high - self.low

    def _values(self, share: np.ndarray) -> np.ndarray:
        if not self._log:
            return self.low + (self.high - self.low) * share
        return np.clip(self.low * (self.high / self.low) ** share, self.low, self.high)

    def place(self, unit: Float[np.ndarray, "n k"]) -> tuple[Float[np.ndarray, "n 1"], np.ndarray]:
        """Values of the parameter; all of them are kept."""
        share = unit if self.degrees else np.zeros((len(unit), 1))
        return self._values(share), np.ones(len(unit), bool)

    def extended(self, z: Point) -> Point:
        """Evenly spread values between the same bounds."""
        if not self._log or not self.degrees:
            return z
        return self.low + (self.high - self.low) * jnp.log(z / self.low) / self.measure

    def contains(self, points: Float[np.ndarray, "n 1"], slack: float = SLACK) -> np.ndarray:
        """Which values lie between the bounds."""
        margin = slack * max(self.high - self.low, abs(self.low), abs(self.high))
        return ((points >= self.low - margin) & (points <= self.high + margin))[:, 0]

    def lattice(self, shape: tuple[int, ...]) -> Float[np.ndarray, "n 1"]:
        """Evenly spaced values, of the logarithm where it is drawn so."""
        values = self._values(np.linspace(0.0, 1.0, shape[0]))
        if shape[0] > 1:
            values[-1] = self.high
        return values[:, None]

    def lattice_weights(self, shape: tuple[int, ...]) -> Float[np.ndarray, " n"]:
        """Trapezoidal weights, normalized to one."""
        return trapezoidal(shape)

    def within(self, coord: str, low: float, high: float) -> "Parameter | None":
        """The values between two others, or None where there are none."""
        self.axis(coord)
        first, last = max(low, self.low), min(high, self.high)
        empty = first > last or (first == last and self.degrees > 0)
        return None if empty else Parameter(coord, first, last, self.scale)

    def face(self, coord: str, value: float) -> "Parameter":
        """One value."""
        self.axis(coord)
        return Parameter(coord, value, value, self.scale)

    def part(self, *names: str) -> Part:
        """Parameters have no boundary.

        Raises:
            UnknownNameError: Always.
        """
        raise UnknownNameError.of("boundary part", ", ".join(names), ())


@dataclass(frozen=True)
class Product(Domain):
    """Every point of one region beside every point of the others: `Interval("t", 0, 1) * shape`.

    Attributes:
        factors: Regions with different letters; time first.
    """

    factors: tuple[Region, ...]

    def __post_init__(self) -> None:
        # A box of time and space divides into a product where a part of it is asked for.
        flat = (f for factor in self.factors for f in getattr(factor, "factors", (factor,)))
        object.__setattr__(self, "factors", tuple(flat))
        letters = self.coords
        if len(set(letters)) < len(letters) or ("t" in letters and letters[0] != "t"):
            raise PointsError(
                f"a product with the coordinates {letters!r} was given: give every coordinate a "
                "letter of its own, and time first, such as Interval('t', 0, 1) * shape."
            )

    def _refuse(self, other: Any) -> NoReturn:
        kind = getattr(other, "coords", type(other).__name__)
        raise PointsError(
            f"a product with the coordinates {self.coords!r} was to be combined with {kind!r} by "
            "-, | or &: combine shapes of the same coordinates first, and multiply last, such as "
            "Interval('t', 0, 1) * (disc - hole)."
        )

    __sub__ = __or__ = __and__ = __rsub__ = __ror__ = __rand__ = _refuse

    @functools.cached_property
    def coords(self) -> str:
        """One letter per coordinate."""
        return "".join(factor.coords for factor in self.factors)

    @functools.cached_property
    def lower(self) -> tuple[float, ...]:
        """Lower bounds."""
        return tuple(low for factor in self.factors for low in factor.lower)

    @functools.cached_property
    def upper(self) -> tuple[float, ...]:
        """Upper bounds."""
        return tuple(high for factor in self.factors for high in factor.upper)

    @property
    def degrees(self) -> int:
        """Coordinates of the unit cube that one point takes."""
        return sum(factor.degrees for factor in self.factors)

    @property
    def fill(self) -> float:
        """Share of the points that `place` keeps."""
        return math.prod(factor.fill for factor in self.factors)

    @property
    def measure(self) -> float:
        """Product of those of the factors."""
        return math.prod(factor.measure for factor in self.factors)  # pyright: ignore

    @property
    def parameters(self) -> str:
        """Letters of the coordinates that are parameters of the equation."""
        return "".join(getattr(factor, "parameters", "") for factor in self.factors)

    def place(self, unit: Float[np.ndarray, "n k"]) -> tuple[Float[np.ndarray, "n d"], np.ndarray]:
        """The factors' points side by side, and which of them all factors keep."""
        stops = np.cumsum([factor.degrees for factor in self.factors])[:-1]
        pairs = [
            factor.place(columns)
            for factor, columns in zip(self.factors, np.split(unit, stops, axis=1), strict=True)
        ]
        keep = np.all([kept for _, kept in pairs], axis=0)
        return np.concatenate([points for points, _ in pairs], axis=1), keep

    def _split(self, values: Any) -> list[Any]:
        """What belongs to each factor, along the last axis."""
        stops = np.cumsum([len(factor.coords) for factor in self.factors]).tolist()
        return [
            values[..., stop - len(factor.coords) : stop]
            for factor, stop in zip(self.factors, stops, strict=True)
        ]

    def extended(self, z: Point) -> Point:
        """The point as a network sees it."""
        parts = zip(self.factors, self._split(z), strict=True)
        return jnp.concatenate(
            [f.extended(own) if isinstance(f, Domain) else own for f, own in parts]
        )

    def contains(self, points: Float[np.ndarray, "n d"], slack: float = SLACK) -> np.ndarray:
        """Which points lie in all factors."""
        parts = zip(self.factors, self._split(points), strict=True)
        return np.all([factor.contains(own, slack) for factor, own in parts], axis=0)  # pyright: ignore

    def lattice(self, shape: tuple[int, ...]) -> Float[np.ndarray, "n d"]:
        """Tensor product of the factors' grids, last coordinate fastest."""
        if len(shape) != self.d:
            raise PointsError(f"a grid of shape {shape} was asked of a domain with {self.d} axes.")
        points = np.empty((1, 0))
        for factor, own in zip(self.factors, self._split(np.array(shape)), strict=True):
            more = factor.lattice(tuple(own.tolist()))  # pyright: ignore
            points = np.hstack([np.repeat(points, len(more), 0), np.tile(more, (len(points), 1))])
        return points

    def lattice_weights(self, shape: tuple[int, ...]) -> Float[np.ndarray, " n"]:
        """Trapezoidal weights of `lattice(shape)`, normalized to one."""
        return trapezoidal(shape)

    def within(self, coord: str, low: float, high: float) -> "Product | None":
        """The part of the domain where `low ≤ coord ≤ high`, or None where there is none."""
        return self._replaced(coord, lambda factor: factor.within(coord, low, high))

    def face(self, coord: str, value: float) -> "Product":
        """The part of the domain on which `coord` equals `value`."""
        found = self._replaced(coord, lambda factor: factor.face(coord, value))
        assert found is not None
        return found

    def boundary(self, coords: str, sides: tuple[str, ...] = ("left", "right")) -> "Product":
        """All faces of a factor that is a box, on which one of `coords` is at a bound."""
        found = self._replaced(coords[0], lambda factor: factor.as_factor(coords, sides))
        assert found is not None
        return found

    def lower_faces(self, coords: str) -> "Product":
        """Those of the factor that has these coordinates."""
        found = self._replaced(coords[0], lambda factor: factor.lower_faces(coords))
        assert found is not None
        return found

    def part(self, *names: str) -> "Product":
        """The named part of the boundary of the factor that has it, at all times and parameters.

        Raises:
            UnknownNameError: No factor has such a part.
        """
        spatial = [f for f in self.factors if isinstance(f, Shape) and f.coords != "t"]
        if len(spatial) > 1 and not names:
            parts = ", ".join(repr(name) for f in spatial if f.d > 1 for name in f.names)
            ends = " and ".join(repr(f.coords) for f in spatial if f.d == 1)
            raise PointsError(
                "the whole boundary of a product of shapes was asked for, which is several "
                f"regions: give a condition for each, on domain.part(...) with {parts or 'a name'}"
                + (f", and on domain.face(...) at both ends along {ends}." if ends else ".")
            )
        for factor in spatial:
            if len(spatial) == 1 or set(names) <= set(factor.names):
                part = factor.part(*names)
                return Product(tuple(part if f is factor else f for f in self.factors))
        known = tuple(name for factor in spatial for name in factor.names)
        raise UnknownNameError.of("boundary part", ", ".join(names), known)

    def normal(self, z: Point) -> Float[Array, " d"]:
        """The outward unit normal at a point of a boundary part; zero along time and parameters."""
        parts = zip(self.factors, self._split(z), strict=True)
        return jnp.concatenate(
            [f.normal(own) if isinstance(f, Part) else jnp.zeros_like(own) for f, own in parts]
        )

    def _replaced(self, coord: str, change: Any) -> "Product | None":
        self.axis(coord)
        changed = [change(f) if coord in f.coords else f for f in self.factors]
        return None if None in changed else Product(tuple(changed))


def numpy_of(array: Any) -> Any:
    """jax.numpy for what JAX traces or has made, else numpy."""
    return jnp if isinstance(array, jax.Array) else np


def row(values: Sequence[float], points: Any) -> Any:
    """Numbers as one row `(1, d)` beside points, in the precision of those of JAX."""
    if isinstance(points, jax.Array):
        return jnp.asarray(values, points.dtype)[None]
    return np.asarray(values)[None]


def reach(shape: Shape) -> float:
    """The largest of its extent and its coordinates, to which rounding is in proportion."""
    return float(max(shape.extent, *np.abs(shape.lower), *np.abs(shape.upper)))


def tolerance(shape: Shape) -> float:
    """Distance below which points of boundaries are the same."""
    return max(1e-9 * shape.extent, 64 * float(np.finfo(float).eps) * reach(shape))


def leaves(region: Region, domain: Domain) -> bool:
    """Whether some of a region lies outside of a domain, as far as 256 points tell.

    Args:
        region: With the coordinates of the domain, and inside of the box around it.
        domain: Where nothing may lie outside; of one that fills the box around it, nothing does.
    """
    if domain.fill == 1:
        return False
    points, keep = region.place(np.random.default_rng(0).random((256, region.degrees)))
    outside = ~domain.contains(points[keep], 1e-6)
    return bool(outside.sum() > STRAY * len(outside))


def turned(region: Region, domain: Domain) -> bool:
    """Whether the normals of a part of a boundary point into the domain; see `Part.turned`."""
    shapes = {f.coords: f for f in factors(domain) if isinstance(f, Shape)}
    parts = (f for f in factors(region) if isinstance(f, Part) and f.coords in shapes)
    return any(part.turned(shapes[part.coords]) for part in parts)


def _flat(patch: Patch, axis: int, value: float) -> bool:
    """Whether all of a patch has one value of a coordinate, to the last digit."""
    ways = np.array(list(itertools.product((0.0, 0.3, 1.0), repeat=patch.degrees)))
    return bool((patch.at(ways)[:, axis] == value).all())


def _middles(facet: Facet, others: Sequence[Patch]) -> Float[np.ndarray, "n d"]:
    """Middles of the cells into which the bounds of other facets divide one.

    However thin a cell is, its middle finds it. There are none where the cells are too many.
    """
    places = [facet.lower, facet.upper]
    places += [side for p in others if isinstance(p, Facet) for side in (p.lower, p.upper)]
    within = np.clip(places, facet.lower, facet.upper)
    axes = [np.unique(column) for column in within.T]
    middles = [(c[1:] + c[:-1]) / 2 if len(c) > 1 else c for c in axes]
    if math.prod(map(len, middles)) > MOST_CELLS:
        return np.empty((0, len(facet.lower)))
    return np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, len(middles))


def factors(domain: Region) -> tuple[Region, ...]:
    """The factors of a product, or the domain itself."""
    return domain.factors if isinstance(domain, Product) else (domain,)


def trapezoidal(shape: tuple[int, ...]) -> Float[np.ndarray, " n"]:
    """Trapezoidal weights of a uniform tensor grid, normalized to one."""
    weights = np.ones(1)
    for k in shape:
        line = np.ones(k)
        if k > 1:
            line[[0, -1]] = 0.5
        weights = np.outer(weights, line / line.sum()).ravel()
    return weights
