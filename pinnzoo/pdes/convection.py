"""Convection: `u_t + β u_x = 0` on t ∈ [0, T], x ∈ [0, 2π], `u(0, x) = sin x`, periodic in x.

A sine wave that travels without changing, `u = sin(x - βt)`: β radians in the unit of time. T = 1
unless another horizon is given.

Source: Krishnapriyan, Gholami, Zhe, Kirby and Mahoney, "Characterizing possible failure modes in
physics-informed neural networks" (NeurIPS 2021, arXiv 2109.01050), section 3.1, with β = 30.
Known difficulty: for β ≥ 10 first-order training settles on the trivial solution after the first
waves. Good values: 30 and 100.
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


def convection(beta: float = 30.0, horizon: float = 1.0, constraints: str = "soft") -> Problem:
    """The one-dimensional convection equation.

    Args:
        beta: β, speed of the wave, length/time.
        horizon: Last time.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = sin x + t N(t, x)`. The periodic condition stays a residual; it vanishes
            identically for a network with a periodic embedding of x.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(beta=beta, horizon=horizon)
    check_constraints(constraints)
    domain = Box("tx", (0.0, 0.0), (horizon, 2 * jnp.pi))

    def equation(u: Field, z: Point) -> Scalar:
        u_t, u_x = u(z, "u_t u_x")
        return u_t + beta * u_x

    def solution(z: Point) -> Values:
        t, x = z
        return jnp.sin(x - beta * t)[None]

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return jnp.sin(x) + t * network

    return Problem(
        name="convection",
        title=f"Convection, β = {beta:g}" + (f", t ≤ {horizon:g}" if horizon != 1 else ""),
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[initial(domain, "u", jnp.sin, name="initial")],
            kept=[periodic(domain, "u", "x", name="periodic")],
        ),
        reference=Reference(solution, "closed form", waves=((beta, 1.0),)),
        evaluation_shape=(401, 201),
        arguments={"beta": beta, "horizon": horizon, "constraints": constraints},
        citation="arXiv:2109.01050",
    )
