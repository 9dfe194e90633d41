"""Incompressible flow in velocity and pressure, for every problem that is about it.

The Navier-Stokes equations `u_t + (u·∇)u + ∇p = ν Δu` and `∇·u = 0`, with density one. Velocities
along x, y and z are called u, v and w; there is no `u_t` where the coordinates have no t.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from pinnzoo import (
    Box,
    Condition,
    Field,
    Point,
    PointFunction,
    Region,
    Residual,
    Scalar,
    prescribe,
)
from pinnzoo.errors import RecipeError

Coefficient: TypeAlias = float | Callable[[Field], Scalar]
"""A number, or what gives an unknown one, such as `lambda u: u.unknowns["viscosity"]`."""

PLACES = ("corner", "middle")
"""Where the pressure may be prescribed; which corner, the problem says."""

VELOCITIES = {"x": "u", "y": "v", "z": "w"}
"""The velocity along each coordinate of space."""


def velocities(domain: Box) -> tuple[str, ...]:
    """Names of the velocities in `domain`; with "p" after them, the components of the problem."""
    return tuple(VELOCITIES[coord] for coord in domain.coords if coord != "t")


def momentum(
    domain: Box, along: str, viscosity: Coefficient, convection: Coefficient = 1.0
) -> Residual:
    """`c_t + λ (u·∇)c + ∂p/∂s - ν Δc` for the velocity c along s.

    Args:
        domain: Its coordinates say whether the flow is steady and how many velocities there are.
        along: The letter of s.
        viscosity: ν, length²/time.
        convection: λ, which is one but for a test of the equations themselves.
    """
    space = domain.coords.replace("t", "")
    c, carriers = VELOCITIES[along], " ".join(velocities(domain))
    slopes = " ".join(f"{c}_{s}" for s in space)
    curvatures = " ".join(f"{c}_{s}{s}" for s in space)
    rate = f"{c}_t" if "t" in domain.coords else ""
    d = len(space)

    def residual(u: Field, z: Point) -> Scalar:
        p_s, *values = u(z, f"p_{along} {carriers} {slopes} {curvatures} {rate}")
        velocity, slope, curvature, c_t = (values[k * d : (k + 1) * d] for k in range(4))
        carried = sum(a * b for a, b in zip(velocity, slope, strict=True))
        carried, friction = _times(convection, carried, u), _times(viscosity, sum(curvature), u)
        return sum(c_t) + carried + p_s - friction

    return residual


def _times(coefficient: Coefficient, value: Any, u: Field) -> Scalar:
    if callable(coefficient):
        return coefficient(u) * value
    return value if coefficient == 1.0 else coefficient * value


def continuity(domain: Box) -> Residual:
    """`∇·u`."""
    names = " ".join(f"{VELOCITIES[s]}_{s}" for s in domain.coords if s != "t")

    def residual(u: Field, z: Point) -> Scalar:
        return sum(u(z, names))  # pyright: ignore[reportReturnType]

    return residual


def navier_stokes(
    domain: Box, viscosity: Coefficient, convection: Coefficient = 1.0
) -> tuple[Residual, tuple[Condition, ...]]:
    """The momentum along x, and the system that goes with it: other momenta, then continuity.

    Args:
        domain: Where they hold; its coordinates say how many there are.
        viscosity: ν, length²/time; one over the Reynolds number where lengths and velocities are
            in units of the flow's own.
        convection: See `momentum`.
    """
    others = [s for s in domain.coords if s not in "tx"]
    system = (
        *(
            Condition(f"momentum_{s}", momentum(domain, s, viscosity, convection), domain)
            for s in others
        ),
        Condition("continuity", continuity(domain), domain),
    )
    return momentum(domain, "x", viscosity, convection), system


def prescribe_velocity(
    domain: Box, region: Region, solution: PointFunction, name: str
) -> tuple[Condition, ...]:
    """Every velocity is that of `solution` on `region`, as conditions "name_u", "name_v", ..."""
    return tuple(
        prescribe(region, c, lambda z, k=k: solution(z)[k], f"{name}_{c}")
        for k, c in enumerate(velocities(domain))
    )


def check_pressure_at(pressure_at: str) -> None:
    """Refuse a place for the pressure that is none of `PLACES`.

    Raises:
        RecipeError: It is another.
    """
    if pressure_at not in PLACES:
        raise RecipeError(
            f"pressure_at={pressure_at!r} was given: allowed are {' and '.join(map(repr, PLACES))}."
        )


def pin_pressure(domain: Box, solution: PointFunction, at: str = "corner") -> Condition:
    """The pressure is that of `solution` in one point of space, at all times.

    The equations fix it up to a constant that may depend on time; this is that constant. All of the
    pressure is off by what the network is off there, and in a corner, where it sees the equation on
    one side only and hardly ever, that is more than anywhere else.

    Args:
        domain: Where the flow is.
        solution: Whose last component is the pressure.
        at: "corner" for the last corner, or "middle".

    Raises:
        RecipeError: It is neither.
    """
    check_pressure_at(at)
    place = domain
    for coord in domain.coords.replace("t", ""):
        low, high = domain.bounds(coord)
        place = place.face(coord, high if at == "corner" else (low + high) / 2)
    return prescribe(place, "p", lambda z: solution(z)[-1], "pressure")
