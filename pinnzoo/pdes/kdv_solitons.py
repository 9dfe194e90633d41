"""Two solitons of KdV: `u_t + 6 u u_x + u_xxx = 0` on t ∈ [0, 5], x ∈ [0, 20], u known at the ends.

A tall soliton overtakes a low one; both go on as they were, shifted in position. They start at x₁
and x₂ and move with the speeds c₁ and c₂, which are twice their heights. `u(0, x)`, `u` at both
ends and `u_x` at the right end are those of the exact solution.

Source: Urbán, Stefanou and Pons, "Unveiling the optimization process of Physics Informed Neural
Networks" (J. Comput. Phys. 523, 2025, arXiv 2405.04230), with c₁ = 6, c₂ = 2, x₁ = -2, x₂ = 2: the
tall one enters from the left and leaves on the right. Small waves of this equation run to the left,
which is why the right end takes two conditions. Known difficulty: long times, third derivatives,
and long stretches with next to nothing in them.
"""

import math

import jax
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
    check_finite,
    check_positive,
    constrained,
    dirichlet,
    initial,
    prescribe,
)
from pinnzoo.errors import RecipeError


def kdv_solitons(
    c1: float = 6.0, c2: float = 2.0, x1: float = -2.0, x2: float = 2.0, constraints: str = "soft"
) -> Problem:
    """Two solitons of the Korteweg-de Vries equation.

    Args:
        c1: Speed of the tall soliton, length/time.
        c2: Speed of the low soliton, below `c1`.
        x1: Where the tall one starts.
        x2: Where the low one starts.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = u(0, x) + t N(t, x)`; the conditions at the ends stay residuals.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(c1=c1, c2=c2)
    check_finite(x1=x1, x2=x2)
    if c2 >= c1:
        raise RecipeError(
            f"c1={c1!r} and c2={c2!r} were given: the first soliton must be the faster one."
        )
    check_constraints(constraints)
    domain = Box("tx", (0.0, 0.0), (5.0, 20.0))
    slope = math.sqrt(c1), math.sqrt(c2)

    def equation(u: Field, z: Point) -> Scalar:
        value, u_t, u_x, u_xxx = u(z, "u u_t u_x u_xxx")
        return u_t + 6 * value * u_x + u_xxx

    def solution(z: Point) -> Values:
        t, x = z
        a, b = slope[0] * (x - c1 * t - x1) / 2, slope[1] * (x - c2 * t - x2) / 2
        # The quotient is that of hyperbolic functions of a and b, both sides divided by
        # e^(2|a| + 2|b|): nothing overflows, and the tails keep all their digits. What is divided
        # out is a constant of differentiation, since |a| has no derivative at zero.
        big_a, big_b = jax.lax.stop_gradient((jnp.abs(a), jnp.abs(b)))

        def cosh(s: Scalar, scale: Scalar) -> Scalar:
            return (jnp.exp(s - scale) + jnp.exp(-s - scale)) / 2

        def sinh(s: Scalar, scale: Scalar) -> Scalar:
            return (jnp.exp(s - scale) - jnp.exp(-s - scale)) / 2

        both = big_a + big_b
        above = c1 * (cosh(b, big_b) * jnp.exp(-big_a)) ** 2
        above += c2 * (sinh(a, big_a) * jnp.exp(-big_b)) ** 2
        below = (slope[0] - slope[1]) * cosh(a + b, both)
        below += (slope[0] + slope[1]) * cosh(a - b, both)
        return (2 * (c1 - c2) * above / below**2)[None]

    def profile(x: Scalar) -> Scalar:
        return solution(jnp.stack([jnp.zeros_like(x), x]))[0]

    def value(z: Point) -> Scalar:
        return solution(z)[0]

    def slope_at(z: Point) -> Scalar:
        return jax.grad(value)(z)[1]

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return profile(x) + t * network

    ends = (
        dirichlet(domain, "u", "x", "left", value, name="left"),
        dirichlet(domain, "u", "x", "right", value, name="right"),
        prescribe(domain.face("x", 20.0), "u_x", slope_at, "right_slope"),
    )
    return Problem(
        name="kdv_solitons",
        title=f"Two solitons of the KdV equation, c = ({c1:g}, {c2:g})",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints, ansatz, met=[initial(domain, "u", profile, name="initial")], kept=ends
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(251, 801),
        arguments={"c1": c1, "c2": c2, "x1": x1, "x2": x2, "constraints": constraints},
        citation="arXiv:2405.04230",
    )
