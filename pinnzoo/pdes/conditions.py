"""Initial, boundary and periodic conditions: residuals on a part of the domain.

The functions here name a condition after what it says, so that the names of a problem's terms are
unique: the kind, the component, and the axis and side where there are any. Examples are
"initial_u", "dirichlet_u_x_left", "neumann_v_y_right" and "periodic_u_x". Another name can be
given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnzoo._typing import Point, Scalar
from pinnzoo.derivatives import Field, check_letters
from pinnzoo.domains import Box, Region, Surface
from pinnzoo.errors import UnknownNameError

Residual: TypeAlias = Callable[[Field, Point], Scalar]
"""Left minus right side at one point. Equations and conditions are all of this one type."""

SIDES = ("left", "right")
"""The face of a coordinate's lower bound and that of its upper bound."""


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

    Example:
        >>> prescribe(domain.boundary("x"), "u", 0.0, "ends")
    """

    def residual(u: Field, z: Point) -> Scalar:
        (prescribed,) = u(z, component)
        return prescribed - (value(z) if callable(value) else value)

    return Condition(name, residual, region, component)


def initial(
    domain: Box, component: str, profile: Callable[..., Array] | float, name: str | None = None
) -> Condition:
    """`component` (a value or a derivative such as "u_t") equals `profile` at the first time.

    Args:
        domain: Space-time box whose first coordinate is t.
        component: What is prescribed.
        profile: Its value as a function of the coordinates of space, `profile(x)` or
            `profile(x, y)`, or a number.
        name: Name of the condition, "initial_" and the component by default.

    Raises:
        UnknownNameError: The domain has no time, or the component asks for a derivative along a
            coordinate that it does not have.

    Example:
        >>> initial(Box("tx", (0, 0), (1, 1)), "u", lambda x: jnp.sin(jnp.pi * x))
    """
    start = domain.face("t", domain.bounds("t")[0])
    check_letters(component, domain.coords)

    def value(z: Point) -> Array:
        return profile(*z[1:]) if callable(profile) else jnp.asarray(profile, z.dtype)

    return prescribe(start, component, value, name or f"initial_{component}")


def dirichlet(
    domain: Box,
    component: str,
    coord: str,
    side: str,
    value: float | Callable[[Point], Array] = 0.0,
    name: str | None = None,
) -> Condition:
    """`component` equals `value` on one face of the domain.

    Args:
        domain: The domain.
        component: What is prescribed.
        coord: The coordinate that is constant on the face.
        side: "left" for the face of its lower bound, "right" for that of its upper bound.
        value: A number, or a function of the point.
        name: Name of the condition; by default "dirichlet_", the component, the coordinate and
            the side, such as "dirichlet_u_x_left".

    Raises:
        UnknownNameError: There is no such coordinate or side.

    Example:
        >>> dirichlet(Box("tx", (0, 0), (1, 1)), "u", "x", "left")
    """
    face, _ = _face(domain, component, coord, side)
    return prescribe(face, component, value, name or f"dirichlet_{component}_{coord}_{side}")


def neumann(
    domain: Box,
    component: str,
    coord: str,
    side: str,
    value: float | Callable[[Point], Array] = 0.0,
    name: str | None = None,
) -> Condition:
    """The derivative of `component` along the outward normal equals `value` on one face.

    The outward normal points away from the domain: on the left face the residual is
    `-∂u/∂x - value`, on the right face `∂u/∂x - value`.

    Args:
        domain: The domain.
        component: Whose derivative is prescribed.
        coord: The coordinate that is constant on the face.
        side: "left" for the face of its lower bound, "right" for that of its upper bound.
        value: A number, or a function of the point.
        name: Name of the condition; by default "neumann_", the component, the coordinate and the
            side, such as "neumann_u_x_left".

    Raises:
        UnknownNameError: There is no such coordinate or side.

    Example:
        >>> neumann(Box("tx", (0, 0), (1, 1)), "u", "x", "right", 0.0)
    """
    face, outward = _face(domain, component, coord, side)
    slope = component + ("" if "_" in component else "_") + coord

    def residual(u: Field, z: Point) -> Scalar:
        return outward * u(z, slope)[0] - (value(z) if callable(value) else value)

    return Condition(name or f"neumann_{component}_{coord}_{side}", residual, face, slope)


def periodic(domain: Box, component: str, coords: str, name: str | None = None) -> Condition:
    """`component` has equal values on the two opposite faces of each of `coords`.

    Args:
        domain: The domain.
        component: What agrees; a second condition on its slope makes it smooth across the faces.
        coords: One or several coordinates.
        name: Name of the condition; by default "periodic_", the component and the coordinates,
            such as "periodic_u_x".

    Raises:
        UnknownNameError: There is no such coordinate.

    Example:
        >>> periodic(Box("tx", (0, -1), (1, 1)), "u", "x")
    """
    faces = tuple(domain.face(coord, domain.bounds(coord)[0]) for coord in coords)
    if not faces:
        raise UnknownNameError.of("coordinate", coords, domain.coords)
    check_letters(component, domain.coords)
    wrapped = np.isin(list(domain.coords), list(coords))

    def residual(u: Field, z: Point) -> Scalar:
        low, high = jnp.asarray(domain.lower, z.dtype), jnp.asarray(domain.upper, z.dtype)
        opposite = jnp.where(wrapped & (z == low), high, z)
        return u(z, component)[0] - u(opposite, component)[0]

    region = faces[0] if len(faces) == 1 else Surface(faces)
    return Condition(name or f"periodic_{component}_{coords}", residual, region, component)


def meets(before: Field, component: str, region: Region, name: str) -> Condition:
    """`component` (a value or a derivative such as "u_t") equals what another field has there."""

    def residual(u: Field, z: Point) -> Scalar:
        return u(z, component)[0] - before(z, component)[0]

    return Condition(name, residual, region, component)


def _face(domain: Box, component: str, coord: str, side: str) -> tuple[Box, float]:
    """A face of the domain, and the sign of the outward normal along its coordinate."""
    if side not in SIDES:
        raise UnknownNameError(
            f"side {side!r} was given: it is 'left' for the lower bound of a coordinate or "
            "'right' for its upper bound."
        )
    check_letters(component, domain.coords)
    index = SIDES.index(side)
    return domain.face(coord, domain.bounds(coord)[index]), (-1.0, 1.0)[index]
