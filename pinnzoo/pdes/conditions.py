"""Initial, boundary and periodic conditions: residuals on a part of the domain.

The functions here name a condition after what it says, so that the names of a problem's terms are
unique: the kind, the component, and the axis and side or the part of the boundary where there is
one. Examples are "initial_u", "dirichlet_u_x_left", "neumann_v_hole" and "periodic_u_x". Another
name can be given.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from pinnzoo._typing import Point, Scalar
from pinnzoo.derivatives import Field, check_letters
from pinnzoo.domains import SIDES as SIDES
from pinnzoo.domains import Domain, Part, Product, Region
from pinnzoo.errors import RecipeError, UnknownNameError, require

Residual: TypeAlias = Callable[[Field, Point], Scalar]
"""Left minus right side at one point. Conditions are of this type, and equations but for those that
return several residuals."""

JointResidual: TypeAlias = Callable[..., Sequence[Scalar]]
"""Several residuals at one point, from one evaluation of the field and its derivatives."""


@dataclass(frozen=True)
class Share:
    """One of several residuals that a function computes together.

    Terms whose residuals are shares of one function, and whose points are the same, are evaluated
    together by `Objective`.

    Attributes:
        function: Gives all of them at one point.
        index: Which of them this is.
        count: How many there are.
    """

    function: JointResidual
    index: int
    count: int

    def __call__(self, *arguments: Any) -> Scalar:
        """This residual."""
        return self.all(*arguments)[self.index]

    def all(self, *arguments: Any) -> Sequence[Scalar]:
        """All residuals of the function.

        Raises:
            RecipeError: It returns one number, or more or fewer than was said.
        """
        values = self.function(*arguments)
        given = len(values) if isinstance(values, tuple | list) or np.ndim(values) else 1
        if given != self.count:
            raise RecipeError(
                f"the equation returns {given} residual{'s' * (given != 1)}, and `system` names "
                f"{self.count - 1} beside the first one: give one name for each further residual."
            )
        return values


def whole(residual: Any) -> Any:
    """The function that computes a residual; of a share, the one that computes all of them."""
    return residual.function if isinstance(residual, Share) else residual


def wrapped(residual: Any, wrap: Callable[[Any], Any]) -> Any:
    """A residual inside of another function.

    Shares of one function stay shares of one, as long as `wrap` returns the same for the same.
    """
    if isinstance(residual, Share):
        return replace(residual, function=wrap(residual.function))
    return wrap(residual)


@dataclass(frozen=True, eq=False)
class AlongNormal:
    """A residual that uses the outward normal of the region on which it holds.

    Attributes:
        residual: What it computes.
    """

    residual: Residual

    def __call__(self, u: Field, z: Point) -> Scalar:
        """This residual."""
        return self.residual(u, z)


@dataclass(frozen=True)
class Condition:
    """A residual on a region: an initial, boundary or periodic condition, or a further equation.

    Attributes:
        name: Short and unique in its problem, such as "initial_u".
        residual: Vanishes where the condition holds.
        region: Where points are drawn: a face or several of the domain, or all of it for an
            equation.
        asks: The values and derivatives that the residual asks the field for, such as "u u_x",
            which `Problem` checks; empty where that is not known beforehand.

    Example:
        >>> radiation = lambda u, z: u(z, "u")[0] + u(z, "u_x")[0]
        >>> Condition("robin", radiation, domain.face("x", 1.0))
    """

    name: str
    residual: Residual
    region: Region
    asks: str = ""


def prescribe(
    region: Region, component: str, value: float | Callable[[Point], Array], name: str
) -> Condition:
    """`component` (a value or a derivative such as "u_t") equals `value` on `region`.

    Args:
        region: Where it holds.
        component: What is prescribed.
        value: A number, or a function of the point.
        name: Name of the condition.

    Raises:
        RecipeError: The value is neither.

    Example:
        >>> prescribe(domain.boundary("x"), "u", 0.0, "ends")
    """
    _check_value(component, value)

    def residual(u: Field, z: Point) -> Scalar:
        (prescribed,) = u(z, component)
        return prescribed - _at(value, z)

    return Condition(name, residual, region, component)


def initial(
    domain: Domain, component: str, profile: Callable[..., Array] | float, name: str | None = None
) -> Condition:
    """`component` (a value or a derivative such as "u_t") equals `profile` at the first time.

    Args:
        domain: A box or a product with the coordinate t.
        component: What is prescribed.
        profile: Its value as a function of the other coordinates in their order, `profile(x)` or
            `profile(x, y)`, with parameters of the equation as the last ones; or a number.
        name: Name of the condition, "initial_" and the component by default.

    Raises:
        UnknownNameError: The domain has no time, or the component asks for a derivative along a
            coordinate that it does not have.

    Example:
        >>> initial(Box("tx", (0, 0), (1, 1)), "u", lambda x: jnp.sin(jnp.pi * x))
    """
    _check_place(domain, component)
    start = domain.face("t", domain.bounds("t")[0])
    first = domain.axis("t")
    check_letters(component, domain.coords)
    _check_value(component, profile)

    def value(z: Point) -> Array:
        if not callable(profile):
            return jnp.asarray(profile, z.dtype)
        names = ", ".join(domain.coords.replace("t", ""))
        wanted = (
            f"a function of the coordinates one by one, such as lambda {names}: ..."
            if names
            else "a number, or a function without arguments, since there is no other coordinate"
        )
        return _number_of(profile, (*z[:first], *z[first + 1 :]), wanted)

    return prescribe(start, component, value, name or f"initial_{component}")


def dirichlet(
    domain: Domain,
    component: str,
    part: str,
    side: str | None = None,
    value: float | Callable[[Point], Array] = 0.0,
    name: str | None = None,
) -> Condition:
    """`component` equals `value` on one part of the boundary.

    Args:
        domain: The domain.
        component: What is prescribed.
        part: The coordinate that is constant on a face of a box; without a side, the name of a
            part of the boundary of a shape.
        side: Of a face, "left" for that of the lower bound, "right" for that of the upper bound.
        value: A number, or a function of the point.
        name: Name of the condition; by default "dirichlet_", the component, the part and the side,
            such as "dirichlet_u_x_left" or "dirichlet_u_hole".

    Raises:
        UnknownNameError: There is no such coordinate, side or part.

    Example:
        >>> dirichlet(Box("tx", (0, 0), (1, 1)), "u", "x", "left")
        >>> dirichlet(Box("xy", (0, 0), (1, 1)) - Ball("xy", (0.5, 0.5), 0.2), "u", "ball")
    """
    region, _ = _where(domain, component, part, side)
    return prescribe(region, component, value, name or _named("dirichlet", component, part, side))


def neumann(
    domain: Domain,
    component: str,
    part: str,
    side: str | None = None,
    value: float | Callable[[Point], Array] = 0.0,
    name: str | None = None,
) -> Condition:
    """The derivative of `component` along the outward normal equals `value` on one part.

    The outward normal points away from the domain: on the left face of a box the residual is
    `-∂u/∂x - value`, on the right face `∂u/∂x - value`, and on a hole the normal points into it.

    Args:
        domain: The domain.
        component: Whose derivative is prescribed.
        part: The coordinate that is constant on a face of a box; without a side, the name of a
            part of the boundary of a shape.
        side: Of a face, "left" for that of the lower bound, "right" for that of the upper bound.
        value: A number, or a function of the point.
        name: Name of the condition; by default "neumann_", the component, the part and the side,
            such as "neumann_u_x_left" or "neumann_u_hole".

    Raises:
        UnknownNameError: There is no such coordinate, side or part.

    Example:
        >>> neumann(Box("tx", (0, 0), (1, 1)), "u", "x", "right", 0.0)
        >>> neumann(Ball("xy", (0, 0), 1.0), "u", "ball", value=lambda z: z[0])
    """
    region, outward = _where(domain, component, part, side)
    slopes, along = _normal_derivative(component, outward, domain)
    _check_value(component, value)

    def residual(u: Field, z: Point) -> Scalar:
        return along(u, z) - _at(value, z)

    return Condition(
        name or _named("neumann", component, part, side),
        AlongNormal(residual),
        region,
        " ".join(slopes),
    )


def robin(
    domain: Domain,
    component: str,
    part: str,
    side: str | None = None,
    *,
    alpha: float | Callable[[Point], Array] = 1.0,
    beta: float | Callable[[Point], Array] = 1.0,
    value: float | Callable[[Point], Array] = 0.0,
    name: str | None = None,
) -> Condition:
    """`α u + β ∂u/∂n = value` on one part of the boundary, with the outward normal n.

    Args:
        domain: The domain.
        component: u.
        part: The coordinate that is constant on a face of a box; without a side, the name of a
            part of the boundary of a shape.
        side: Of a face, "left" for that of the lower bound, "right" for that of the upper bound.
        alpha: α, a number, or a function of the point.
        beta: β, a number, or a function of the point.
        value: A number, or a function of the point.
        name: Name of the condition; by default "robin_", the component, the part and the side.

    Raises:
        UnknownNameError: There is no such coordinate, side or part.
        RecipeError: α and β are both zero.

    Example:
        >>> robin(Ball("xy", (0, 0), 1.0), "u", "ball", alpha=2.0, value=1.0)
    """
    region, outward = _where(domain, component, part, side)
    slopes, along = _normal_derivative(component, outward, domain)
    for given in (alpha, beta, value):
        _check_value(component, given)
    if all(not (callable(x) or isinstance(x, Tracer) or x) for x in (alpha, beta)):
        raise RecipeError(
            f"alpha=0 and beta=0 were given in a Robin condition on {component!r}, which says "
            "nothing of it then: give one that is not zero."
        )

    def residual(u: Field, z: Point) -> Scalar:
        mixed = _at(alpha, z) * u(z, component)[0] + _at(beta, z) * along(u, z)
        return mixed - _at(value, z)

    asks = " ".join([component, *slopes])
    called = name or _named("robin", component, part, side)
    return Condition(called, AlongNormal(residual), region, asks)


def periodic(domain: Domain, component: str, coords: str, name: str | None = None) -> Condition:
    """`component` has equal values on the two opposite faces of each of `coords`.

    Args:
        domain: The domain; a shape is flat on these faces, such as a box with holes.
        component: What agrees; a second condition on its slope makes it smooth across the faces.
        coords: One or several coordinates.
        name: Name of the condition; by default "periodic_", the component and the coordinates,
            such as "periodic_u_x".

    Raises:
        UnknownNameError: There is no such coordinate.
        PointsError: A shape is not flat there, or another one on the opposite side.

    Example:
        >>> periodic(Box("tx", (0, -1), (1, 1)), "u", "x")
    """
    _check_place(domain, component, coords)
    if not coords:
        raise UnknownNameError.of("coordinate", coords, domain.coords)
    region = domain.lower_faces(coords)
    check_letters(component, domain.coords)
    wrapped = np.isin(list(domain.coords), list(coords))

    def residual(u: Field, z: Point) -> Scalar:
        low, high = jnp.asarray(domain.lower, z.dtype), jnp.asarray(domain.upper, z.dtype)
        opposite = jnp.where(wrapped & (z == low), high, z)
        return u(z, component)[0] - u(opposite, component)[0]

    return Condition(name or f"periodic_{component}_{coords}", residual, region, component)


def meets(before: Field, component: str, region: Region, name: str) -> Condition:
    """`component` (a value or a derivative such as "u_t") equals what another field has there."""

    def residual(u: Field, z: Point) -> Scalar:
        return u(z, component)[0] - before(z, component)[0]

    return Condition(name, residual, region, component)


def continuous(component: str, region: Region, name: str, length: float) -> Condition:
    """`component` is the same right before and right after a time, the first coordinate.

    Args:
        component: A value or a derivative such as "u_t".
        region: Where: all of it at this time.
        name: Name of the condition.
        length: How long there is time.
    """

    def residual(u: Field, z: Point) -> Scalar:
        # Networks that change at this time are different ones there. One rounding apart, not of
        # the time alone: next to zero are numbers that processors take for zero.
        rounding = jnp.finfo(z.dtype).eps * jnp.maximum(jnp.abs(z[0]), length)
        before, after = z.at[0].add(-rounding), z.at[0].add(rounding)
        return u(after, component)[0] - u(before, component)[0]

    return Condition(name, residual, region, component)


def _check_value(component: str, value: Any) -> None:
    """Raise unless something can be what a condition prescribes.

    Raises:
        RecipeError: It is neither a function nor a finite number.
    """
    if callable(value) or isinstance(value, Tracer):
        return
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iuf" or not np.isfinite(number):
        given = f"an array of shape {number.shape}" if number.ndim else repr(value)
        raise RecipeError(
            f"{given} was given in a condition on {component!r}: give a finite number, or a "
            "function, such as lambda z: jnp.sin(z[0])."
        )


def _at(value: float | Callable[[Point], Array], z: Point) -> float | Array:
    """A number, or what a function says at the point."""
    if not callable(value):
        return value
    return _number_of(value, (z,), "a function of the point z, such as lambda z: jnp.sin(z[0])")


def _number_of(function: Callable[..., Array], arguments: Sequence[Any], wanted: str) -> Array:
    """What a function of a condition returns.

    Raises:
        RecipeError: It takes other arguments, or returns something else than one number.
    """
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise RecipeError(
            f"a value was given as a function that fails ({error}): give {wanted}."
        ) from None
    except ValueError:
        pass  # Functions in C do not tell.
    try:
        found = function(*arguments)
    except IndexError as error:
        raise RecipeError(
            f"a value was given as a function that fails ({str(error).split(':')[0]}): give "
            f"{wanted}."
        ) from None
    if jnp.shape(found) != ():
        raise RecipeError(
            f"a value was given as a function that returns shape {jnp.shape(found)}: give "
            f"{wanted}, that returns one number."
        )
    return found


def require_domain(given: Any) -> None:
    """Raise unless a domain was given.

    Raises:
        RecipeError: Something else was, such as its coordinates.
    """
    require(given, Domain, "the domain", 'give one, such as Box("tx", (0, -1), (1, 1))')


def _check_place(domain: Any, component: Any, coord: Any = "") -> None:
    """Raise unless a condition is given a domain, and strings as its component and its place."""
    require_domain(domain)
    require(component, str, "the component", "give its name, such as 'u'", UnknownNameError)
    advice = f"give a letter of {domain.coords!r}, or the name of a part of the boundary"
    require(coord, str, "the coordinate", advice, UnknownNameError)


Outward: TypeAlias = tuple[str, float] | Part | Product
"""The coordinate along which a face has its normal, and its sign; or what knows the normal."""


def _where(domain: Domain, component: str, part: str, side: str | None) -> tuple[Region, Outward]:
    """A part of the boundary, and its outward normal."""
    _check_place(domain, component, part)
    check_letters(component, domain.coords)
    if side is None:
        region = domain.part(part)
        return region, region
    if side not in SIDES:
        raise UnknownNameError(
            f"side {side!r} was given: it is 'left' for the lower bound of a coordinate or "
            "'right' for its upper bound."
        )
    index = SIDES.index(side)
    return domain.face(part, domain.bounds(part)[index]), (part, (-1.0, 1.0)[index])


def _normal_derivative(
    component: str, outward: Outward, domain: Domain
) -> tuple[list[str], Callable[[Field, Point], Scalar]]:
    """Names of the derivatives that are needed, and the derivative along the outward normal."""
    stem = component + ("" if "_" in component else "_")
    if isinstance(outward, tuple):
        slope, sign = stem + outward[0], outward[1]
        return [slope], lambda u, z: sign * u(z, slope)[0]
    letters = [c for c in domain.coords if c not in "t" + domain.parameters]
    axes = np.array([domain.axis(c) for c in letters])
    slopes = [stem + c for c in letters]

    def along(u: Field, z: Point) -> Scalar:
        return jnp.dot(jnp.stack(u(z, " ".join(slopes))), outward.normal(z)[axes])

    return slopes, along


def _named(kind: str, component: str, part: str, side: str | None) -> str:
    return "_".join([kind, component, part, *([] if side is None else [side])])
