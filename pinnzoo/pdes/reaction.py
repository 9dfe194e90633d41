"""Reaction: `u_t = ρ u (1 - u)` on t ∈ [0, 1], x ∈ [0, 2π], `u(0, x) = h(x)`, periodic in x.

A bump `h = exp(-(x - π)² / 2(π/4)²)` that grows, at every x on its own, towards the plateau at 1:
`u = h e^{ρt} / (h e^{ρt} + 1 - h)`.

Source: Krishnapriyan, Gholami, Zhe, Kirby and Mahoney, "Characterizing possible failure modes in
physics-informed neural networks" (NeurIPS 2021, arXiv 2109.01050), with ρ = 5. The equation has no
derivative in x, so the periodic condition only repeats that h(0) = h(2π). Continued periodically,
the solution has a kink at the ends, of 0.003 at first and 0.4 at t = 1, which a periodic embedding
would smooth: embed x as it is. Known difficulty: u = 0 solves the equation too, and training that
fits the equation before the initial condition settles there.
"""

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
    initial,
    periodic,
)


def reaction(rho: float = 5.0, constraints: str = "soft") -> Problem:
    """The reaction equation, an ordinary differential equation at every x.

    Args:
        rho: ρ, rate of growth, 1/time.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = h(x) + t N(t, x)`. The periodic condition stays a residual.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(rho=rho)
    check_constraints(constraints)
    domain = Box("tx", (0.0, 0.0), (1.0, 2 * jnp.pi))

    def equation(u: Field, z: Point) -> Scalar:
        value, u_t = u(z, "u u_t")
        return u_t - rho * value * (1 - value)

    def exponent(x: Scalar) -> Scalar:
        return -((x - jnp.pi) ** 2) / (2 * (jnp.pi / 4) ** 2)

    def profile(x: Scalar) -> Scalar:
        return jnp.exp(exponent(x))

    def solution(z: Point) -> Values:
        t, x = z
        # Divided by e^{ρt}, which may overflow; expm1 keeps the digits of 1 - h next to the top.
        return (profile(x) / (profile(x) - jnp.expm1(exponent(x)) * jnp.exp(-rho * t)))[None]

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return profile(x) + t * network

    return Problem(
        name="reaction",
        title=f"Reaction equation, ρ = {rho:g}",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[initial(domain, "u", profile, name="initial")],
            kept=[periodic(domain, "u", "x", name="periodic")],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(201, 401),
        arguments={"rho": rho, "constraints": constraints},
        citation="arXiv:2109.01050",
    )
