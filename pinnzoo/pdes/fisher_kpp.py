"""Fisher-KPP: `u_t = u_xx + ρ u (1 - u)` on t ∈ [0, 1], x ∈ [-5, 10], a travelling front.

The front `u = 1 / (1 + e^s)²` with `s = √(ρ/6) x - 5/6 ρ t` invades the empty state u = 0 with the
speed 5 √(ρ/6), the one at which its form is elementary. Its values at t = 0 and at both ends are
prescribed.

Source: Ablowitz and Zeppetella, "Explicit solutions of Fisher's equation for a special wave speed"
(Bull. Math. Biol. 41, 1979); with ρ = 6 the front moves five units and is about two wide. Interval
and time are this package's choice. Known difficulty: the state ahead of the front is unstable, so
that whatever is wrong there grows as `e^(ρt)`.
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
    check_positive,
    constrained,
    dirichlet,
    initial,
)

LEFT, RIGHT = -5.0, 10.0


def fisher_kpp(rate: float = 6.0, constraints: str = "soft") -> Problem:
    """The Fisher-KPP equation with the front of Ablowitz and Zeppetella.

    Args:
        rate: ρ, 1/time.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = u(0, x) + (1 - ξ) (u(t, -5) - u(0, -5)) + ξ (u(t, 10) - u(0, 10))
            + t ξ (1 - ξ) N(t, x)` with ξ from 0 at the left end to 1 at the right one.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(rate=rate)
    check_constraints(constraints)
    domain = Box("tx", (0.0, LEFT), (1.0, RIGHT))
    steepness = math.sqrt(rate / 6)

    def equation(u: Field, z: Point) -> Scalar:
        value, u_t, u_xx = u(z, "u u_t u_xx")
        return u_t - u_xx - rate * value * (1 - value)

    def front(t: Scalar | float, x: Scalar | float) -> Scalar:
        return jax.nn.sigmoid(jnp.asarray(5 / 6 * rate * t - steepness * x)) ** 2

    def solution(z: Point) -> Values:
        return front(*z)[None]

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        share = (x - LEFT) / (RIGHT - LEFT)
        left, right = (front(t, end) - front(0.0, end) for end in (LEFT, RIGHT))
        lift = front(0.0, x) + (1 - share) * left + share * right
        return lift + t * share * (1 - share) * network

    return Problem(
        name="fisher_kpp",
        title=f"Fisher-KPP equation, ρ = {rate:g}",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", lambda x: front(0.0, x), name="initial"),
                dirichlet(domain, "u", "x", "left", lambda z: front(z[0], LEFT), name="left"),
                dirichlet(domain, "u", "x", "right", lambda z: front(z[0], RIGHT), name="right"),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(101, 301),
        arguments={"rate": rate, "constraints": constraints},
        citation="doi:10.1007/BF02462380",
    )
