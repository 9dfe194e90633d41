"""What becomes of a jump or a kink in the data, as a known part of a network."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx

from pinnzoo._typing import HostPoint, Point, Scalar, Values
from pinnzoo.errors import RecipeError
from pinnzoo.registry import is_finite

Kind = Literal["wall_value", "wall_flux", "wall_rate", "jump", "kink"]

MOST_IMAGES, NEGLIGIBLE = 8, 6.0
"""Periods up to which a break is felt, and distances from it in units of the layer's width at which
it no longer is: erfc(6) is 2e-17."""


@dataclass(frozen=True)
class Corner:
    """A solution of `u_t = D u_xx - V u_x + c u` that is not smooth where t and x begin.

    A wall that is heated at once, a flux that is switched on, or an initial profile with a jump or
    a kink give the solution a layer of width `√(4 D t)`, which no smooth network follows. To
    leading order the layer is a multiple of one of these functions (Carslaw and Jaeger, "Conduction
    of heat in solids", 1959, chapter II), with `d` the distance from the place and
    `s = d / √(4 D t)`:

    - "wall_value": `erfc s`, which is zero at first and one at the wall from then on; with V as
      `½ erfc((d - V t) / √(4 D t)) + ½ exp(V d / D) erfc((d + V t) / √(4 D t))` (Ogata and Banks
      1961, U.S. Geological Survey Professional Paper 411-A, equation 8).
    - "wall_flux": `√(4 D t) ierfc s`, zero at first, whose slope at the wall is one outwards.
    - "wall_rate": `4 t i²erfc s`, zero at first and t at the wall.
    - "jump": `½ erf s`, a step of one.
    - "kink": `½ |d|` at first, whose slope rises by one at the place.

    In the last two the place moves at the speed V, and with a period there is one in each, beside a
    line or a parabola that makes the function periodic.

    Attributes:
        kind: Which one.
        place: Where it is along the axis.
        size: What it is multiplied by.
        diffusion: D, in squares of the axis' unit per unit of time.
        component: Index of the component.
        begin: The time at which it begins.
        velocity: V, along the axis; walls take it for a value alone, up to `V d / D = 700`.
        rate: c.
        inwards: 1 for a wall at the lower end of the axis, -1 for one at the upper end.
        period: Length of the axis where a jump or a kink is periodic in it, or zero.
        last: The last time, up to which it is periodic.
        axis: Index of the coordinate of space.
        time: Index of that of time.

    Raises:
        RecipeError: An attribute is out of range.
    """

    kind: Kind
    place: float
    size: float
    diffusion: float
    component: int = 0
    begin: float = 0.0
    velocity: float = 0.0
    rate: float = 0.0
    inwards: int = 1
    period: float = 0.0
    last: float = 0.0
    axis: int = 1
    time: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise RecipeError(
                f"a corner of the kind {self.kind!r} was given: give one of "
                f"{', '.join(map(repr, get_args(Kind)))}."
            )
        numbers = _numbers(self)
        wrong = _not_finite(numbers)
        if wrong is None and self.diffusion <= 0:
            wrong = "diffusion"
        if wrong is None and (self.period < 0 or (self.period and not self.images)):
            wrong = "period"
        if wrong is not None:
            raise RecipeError(
                f"a corner with {wrong}={numbers[wrong]!r} was given: give finite numbers, the "
                "diffusion above zero, and a period that the layer does not fill."
            )

    def __str__(self) -> str:
        """As in a recipe: without what is as by default."""
        return _text(self.kind, self)

    def jumps_at(self, point: HostPoint) -> bool:
        """Whether it takes several values around a point."""
        jumps = self.kind == "wall_value"
        return jumps and bool(point[self.axis] == self.place and point[self.time] == self.begin)

    @property
    def images(self) -> int:
        """Periods that are felt on either side; none where there would be too many."""
        if self.period <= 0:
            return 0
        reach = NEGLIGIBLE * math.sqrt(4 * self.diffusion * max(self.last - self.begin, 0.0))
        needed = 1 + math.ceil(reach / self.period)
        return needed if needed <= MOST_IMAGES else 0

    def __call__(self, z: Point) -> Scalar:
        """Its value at one point."""
        passed = z[self.time] - self.begin
        spread = 4 * self.diffusion * passed
        # At first the layer has no width, and its derivative in time does not exist.
        late = spread > 0
        width = jnp.sqrt(jnp.where(late, spread, 1.0))
        distance = z[self.axis] - self.place
        if self.kind.startswith("wall"):
            value = self._at_wall(self.inwards * distance, passed, width, late)
        elif self.period:
            value = self._periodic(distance - self.velocity * passed, width, late)
        else:
            value = self._inside(distance - self.velocity * passed, width, late)
        return self.size * jnp.exp(self.rate * passed) * value

    def _at_wall(self, distance: Scalar, passed: Scalar, width: Scalar, late: Scalar) -> Scalar:
        erfc, speed = jax.scipy.special.erfc, self.inwards * self.velocity
        if self.kind == "wall_flux":
            layer = width * _ierfc(distance / width)
        elif self.kind == "wall_rate":
            s = distance / width
            layer = passed * (erfc(s) - 2 * s * _ierfc(s))
        elif speed:
            carried = speed * passed
            layer = erfc((distance - carried) / width) / 2 + (
                jnp.exp(speed / self.diffusion * distance) * erfc((distance + carried) / width) / 2
            )
        else:
            layer = erfc(distance / width)
        return jnp.where(late, layer, 0.0)

    def _inside(self, distance: Scalar, width: Scalar, late: Scalar) -> Scalar:
        s = distance / width
        if self.kind == "jump":
            return jnp.where(late, jax.scipy.special.erf(s), jnp.sign(distance)) / 2
        bend = distance * jax.scipy.special.erf(s) + width * jnp.exp(-(s**2)) / math.sqrt(math.pi)
        return jnp.where(late, bend, jnp.abs(distance)) / 2

    def _periodic(self, distance: Scalar, width: Scalar, late: Scalar) -> Scalar:
        length = self.period
        distance = jnp.mod(distance, length)
        pairs = [
            ((k * length + distance) / width, ((k + 1) * length - distance) / width)
            for k in range(self.images)
        ]
        erfc = jax.scipy.special.erfc
        if self.kind == "jump":
            layers = sum(erfc(after) - erfc(before) for after, before in pairs)
            return 0.5 - distance / length - jnp.where(late, layers, 0.0) / 2
        layers = sum(_ierfc(after) + _ierfc(before) for after, before in pairs)
        # A parabola with slopes of a half at both ends falls as it diffuses.
        grown = jnp.where(late, width, 0.0)
        arc = distance * (1 - distance / length) - grown**2 / (2 * length) - length / 6
        return (arc + grown * layers) / 2


def _ierfc(s: Scalar) -> Scalar:
    """The integral of erfc from s to infinity."""
    return jnp.exp(-(s**2)) / math.sqrt(math.pi) - s * jax.scipy.special.erfc(s)


@dataclass(frozen=True)
class Angle:
    """A solution of `a u_xx + b u_yy = 0` that is not smooth in the corner of a rectangle.

    Where two sides of a plate are at different temperatures, a slope is prescribed that the value
    on the next side does not have, or a source does not vanish where both sides are cold. To
    leading order the solution is then a multiple of `Im(ζᵏ ln ζ)` with `ζ = ξ + iη = r exp(iφ)` and
    distances ξ and η from the corner in units of √a and √b (Grisvard 1985, "Elliptic problems in
    nonsmooth domains", section 4.4): the angle φ itself for k = 0. It is zero on the first side,
    φ = 0; on the other one its value is ½π for k = 0, its slope in ξ ½π for k = 1, and its second
    derivative along the side -π for k = 2.

    Attributes:
        power: k.
        place: The corner's coordinate along the first side.
        other: The one along the other side.
        size: What it is multiplied by.
        component: Index of the component.
        inwards: 1 where the domain lies above the place, and -1 where it lies below.
        other_inwards: The same along the other side.
        scale: √a.
        other_scale: √b.
        axis: Index of the coordinate along the first side.
        other_axis: That of the other one.

    Raises:
        RecipeError: An attribute is out of range.
    """

    power: int
    place: float
    other: float
    size: float
    component: int = 0
    inwards: int = 1
    other_inwards: int = 1
    scale: float = 1.0
    other_scale: float = 1.0
    axis: int = 0
    other_axis: int = 1

    def __post_init__(self) -> None:
        numbers = _numbers(self)
        wrong = _not_finite(numbers)
        wrong = wrong or next((n for n in ("scale", "other_scale") if numbers[n] <= 0), None)
        wrong = wrong or (None if self.power in (0, 1, 2) else "power")
        if wrong is not None:
            raise RecipeError(
                f"an angle with {wrong}={numbers[wrong]!r} was given: give finite numbers, scales "
                "above zero, and a power of 0, 1 or 2."
            )

    def jumps_at(self, point: HostPoint) -> bool:
        """Whether it takes several values around a point."""
        here = point[self.axis] == self.place and point[self.other_axis] == self.other
        return self.power == 0 and bool(here)

    def __str__(self) -> str:
        """As in a recipe: without what is as by default."""
        return _text("angle", self)

    def __call__(self, z: Point) -> Scalar:
        """Its value at one point."""
        along = self.inwards * (z[self.axis] - self.place) / self.scale
        aside = self.other_inwards * (z[self.other_axis] - self.other) / self.other_scale
        square = along**2 + aside**2
        # In the corner itself there is no angle, and no derivative.
        outside = square > 0
        along, aside = jnp.where(outside, along, 1.0), jnp.where(outside, aside, 0.0)
        logarithm = jnp.log(jnp.where(outside, square, 1.0)) / 2
        angle = jnp.arctan2(aside, along)
        real, imaginary = {
            0: (1.0, 0.0),
            1: (along, aside),
            2: (along**2 - aside**2, 2 * along * aside),
        }[self.power]
        return self.size * jnp.where(outside, imaginary * logarithm + real * angle, 0.0)


@dataclass(frozen=True)
class Wedge:
    """What a solution of `a u_xx + b u_yy = f` may be like at a vertex of its domain.

    In the angle 0 ≤ φ ≤ ω between two edges, and with distances in units of √a and √b, it is a
    smooth function and multiples of `r^λ sin λφ` where the value is given on the first edge, φ = 0,
    or of `r^λ cos λφ` where the flux is; or of `r^λ (ln r sin λφ + φ cos λφ)` and `r^λ (ln r cos λφ
    - φ sin λφ)` where λ is whole (Grisvard 1985, "Elliptic problems in nonsmooth domains", section
    4.4). The amplitude is trained: it is decided far from the vertex.

    Attributes:
        power: λ.
        place: The vertex' first coordinate.
        other: Its second one.
        first: Direction of the first edge, in radians from the first coordinate's.
        angle: ω, to the left of that edge.
        flux: 1 where the flux is given on the first edge, 0 where the value is.
        logarithm: 1 for the functions with a logarithm, 0 for those without.
        scale: √a.
        other_scale: √b.
        radius: Distance, in the same units, over which it fades as `exp(-(r / radius)⁴)`, where the
            domain goes on behind the vertex; zero where it does not.

    Raises:
        RecipeError: An attribute is out of range.
    """

    power: float
    place: float
    other: float
    first: float
    angle: float
    flux: int = 0
    logarithm: int = 0
    scale: float = 1.0
    other_scale: float = 1.0
    radius: float = 0.0

    def __post_init__(self) -> None:
        numbers = _numbers(self)
        wrong = _not_finite(numbers)
        least = {"power": 0.0, "radius": 0.0}
        wrong = wrong or next((n for n, low in least.items() if numbers[n] < low), None)
        above = ("scale", "other_scale", "angle")
        wrong = wrong or next((n for n in above if numbers[n] <= 0), None)
        if wrong is not None or self.angle > 2 * math.pi:
            wrong = wrong or "angle"
            raise RecipeError(
                f"a wedge with {wrong}={numbers[wrong]!r} was given: give finite numbers, scales "
                "above zero, an angle up to 2π, and a power and a radius of zero or more."
            )

    def __str__(self) -> str:
        """As in a recipe: without what is as by default."""
        return _text("wedge", self)

    def __call__(self, z: Point) -> Scalar:
        """Its value at one point."""
        x, y = (z[0] - self.place) / self.scale, (z[1] - self.other) / self.other_scale
        # From the middle of the angle, so that no line in it is where an angle jumps.
        middle = self.first + self.angle / 2
        along = math.cos(middle) * x + math.sin(middle) * y
        aside = math.cos(middle) * y - math.sin(middle) * x
        square = along**2 + aside**2
        # In the vertex itself there is no angle, and no derivative.
        outside = square > 0
        along, aside = jnp.where(outside, along, 1.0), jnp.where(outside, aside, 0.0)
        square = jnp.where(outside, square, 1.0)
        phi = jnp.arctan2(aside, along) + self.angle / 2
        size, grows = square ** (self.power / 2), jnp.log(square) / 2
        sine, cosine = jnp.sin(self.power * phi), jnp.cos(self.power * phi)
        if self.logarithm:
            value = grows * cosine - phi * sine if self.flux else grows * sine + phi * cosine
        else:
            value = cosine if self.flux else sine
        value = size * value
        if self.radius:
            value = value * jnp.exp(-((square / self.radius**2) ** 2))
        return jnp.where(outside, value, 0.0)


class Wedges(nnx.Module):
    """A sum of wedges, each with an amplitude per component that is trained and zero at first."""

    def __init__(self, given: Sequence[str | Wedge], m: int, *, dtype: Any):
        """Read them.

        Args:
            given: Wedges, or their texts, as in a recipe.
            m: Components of the network.
            dtype: Type of the amplitudes.

        Raises:
            RecipeError: One is none.
        """
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise RecipeError(f"wedges={given!r} was given: give a list of texts, one for each.")
        found = [each if isinstance(each, Wedge) else read(each) for each in given]
        other = next((each for each in found if not isinstance(each, Wedge)), None)
        if other is not None:
            raise RecipeError(f"the wedge '{other}' was given: give it among the corners.")
        self.functions = tuple(found)
        self.amplitudes = nnx.Param(jnp.zeros((len(found), m), dtype))

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        return jnp.stack([each(z) for each in self.functions]) @ self.amplitudes[...]


def _numbers(record: Any) -> dict[str, Any]:
    """The attributes that are numbers."""
    return {f.name: getattr(record, f.name) for f in fields(record) if f.name != "kind"}


def _not_finite(numbers: Mapping[str, Any]) -> str | None:
    return next((name for name, value in numbers.items() if not is_finite(value)), None)


def _text(kind: str, record: Any) -> str:
    defaults = {f.name: f.default for f in fields(record)}
    given = {name: v for name, v in _numbers(record).items() if v != defaults[name]}
    return " ".join([kind, *(f"{name}={value!r}" for name, value in given.items())])


def read(text: str) -> Corner | Angle | Wedge:
    """The corner or wedge that a recipe means.

    Args:
        text: Its kind, or "angle" or "wedge", then names with numbers, separated by spaces.

    Raises:
        RecipeError: It is no such text, or an attribute is out of range.

    Example:
        >>> read("jump place=0.5 size=1 diffusion=0.1").size
        1.0
    """
    word = text.split(" ")[0] if isinstance(text, str) else ""
    form: Any = {"angle": Angle, "wedge": Wedge}.get(word, Corner)
    numbers = {f.name: int if f.type is int else float for f in fields(form) if f.name != "kind"}
    try:
        kind, *words = text.split()
        pairs = dict(word.split("=") for word in words)
        given: Any = {name: numbers[name](value) for name, value in pairs.items()}
        return form(*([kind] if form is Corner else []), **given)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise RecipeError(
            f"the corner {text!r} was given: give a kind and numbers, such as 'jump place=0.5 "
            f"size=1 diffusion=0.1', with some of {', '.join(numbers)}."
        ) from None


def read_corners(given: Sequence[str | Corner | Angle], m: int) -> tuple[Corner | Angle, ...]:
    """All of a network's; none by default.

    Args:
        given: Corners, or their texts, as in a recipe.
        m: Components of the network.

    Raises:
        RecipeError: One is none, or of a component that there is not.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise RecipeError(f"corners={given!r} was given: give a list of texts, one for each.")
    found: list[Corner | Angle] = []
    for text in given:
        each = text if isinstance(text, (Corner, Angle)) else read(text)
        if isinstance(each, Wedge):
            raise RecipeError(f"the corner '{each}' was given: give it among the wedges.")
        if each.component not in range(m):
            raise RecipeError(
                f"a corner of component {each.component!r} was given: give one from 0 to {m - 1}."
            )
        found.append(each)
    return tuple(found)


def with_corners(corners: Sequence[Corner | Angle], z: Point, values: Values) -> Values:
    """Values at one point with those of the corners added."""
    for each in corners:
        values = values.at[each.component].add(each(z))
    return values
