"""Sine-Gordon: `u_tt - u_xx + sin u = 0` on t ∈ [0, 2π/ω], x ∈ [-10, 10], a breather from rest.

The breather swings once to the other sign and back, and radiates nothing:
`u = 4 arctan(cos ωt √(1 - ω²) / (ω cosh √(1 - ω²) x))`. `u(0, x)` and `u(t, ±10)` are those of this
solution, and `u_t = 0` at t = 0.

Source: Ablowitz, Kaup, Newell and Segur, "Method for solving the sine-Gordon equation" (Phys. Rev.
Lett. 30, 1973) for the breather, here with time shifted by a quarter of a period. There is no usual
setting: interval and ω = 1/2 are this package's choice. Known difficulty: long times, and a
solution of up to 4π/3, for which the sine is far from linear.
"""

import math

import jax.numpy as jnp

from pinnzoo import (
    Box,
    Field,
    Point,
    Problem,
    Reference,
    Scalar,
    Values,
    check_constraints,
    check_positive,
    constrained,
    dirichlet,
    initial,
)
from pinnzoo.errors import RecipeError

REACH = 10.0


def sine_gordon(frequency: float = 0.5, constraints: str = "soft") -> Problem:
    """The breather of the sine-Gordon equation.

    Args:
        frequency: ω, radians/time, below 1; the smaller, the larger the breather.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = u(0, x) + u(t, 10) - u(0, 10) + t² (1 - x²/100) N(t, x)`, in which the boundary
            values are below 0.003 for ω = 1/2.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(frequency=frequency)
    if frequency >= 1:
        raise RecipeError(f"frequency={frequency!r} was given: it must be below 1.")
    check_constraints(constraints)
    domain = Box("tx", (0.0, -REACH), (2 * math.pi / frequency, REACH))
    decay = math.sqrt(1 - frequency**2)

    def equation(u: Field, z: Point) -> Scalar:
        value, u_tt, u_xx = u(z, "u u_tt u_xx")
        return u_tt - u_xx + jnp.sin(value)

    def breather(t: Scalar, x: Scalar) -> Scalar:
        return 4 * jnp.arctan(decay / frequency * jnp.cos(frequency * t) / jnp.cosh(decay * x))

    def solution(z: Point) -> Values:
        return breather(*z)[None]

    def profile(x: Scalar) -> Scalar:
        return breather(jnp.zeros_like(x), x)

    def end(z: Point) -> Scalar:
        return breather(z[0], jnp.full_like(z[0], REACH))

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        lift = profile(x) + end(z) - end(jnp.zeros_like(z))
        return lift + t**2 * (1 - (x / REACH) ** 2) * network

    return Problem(
        name="sine_gordon",
        title=f"Sine-Gordon equation, ω = {frequency:g}",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", profile, name="initial"),
                initial(domain, "u_t", jnp.zeros_like, name="velocity"),
                dirichlet(domain, "u", "x", "left", end, name="left"),
                dirichlet(domain, "u", "x", "right", end, name="right"),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(401, 401),
        arguments={"frequency": frequency, "constraints": constraints},
        citation="doi:10.1103/PhysRevLett.30.1262",
    )
