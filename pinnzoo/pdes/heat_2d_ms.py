"""Heat in two scales: `u_t = u_xx / (500π)² + u_yy / π²`, `u(0, x, y) = sin 20πx sin πy`.

On t ∈ [0, 5], x, y ∈ [0, 1], with `u = 0` on the boundary. Many waves along x and one along y fade
without changing their shape, `u = exp(-(1 + 1/625) t) sin 20πx sin πy`: the diffusion along x is
250,000 times smaller than that along y.

Source: "Heat2d-MS" of PINNacle (Hao et al., NeurIPS 2024, arXiv 2306.08827). Known difficulty:
twenty half waves, which a network learns late, in an equation that hardly depends on them.
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
    constrained,
    initial,
    prescribe,
)

WAVES = 20
SLOW, FAST = 1 / (500 * jnp.pi) ** 2, 1 / jnp.pi**2
"""Diffusivities along x and y."""


def heat_2d_ms(constraints: str = "soft") -> Problem:
    """The heat equation of PINNacle with two scales.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = sin 20πx sin πy + t x (1 - x) y (1 - y) N(t, x, y)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints)
    domain = Box("txy", (0.0, 0.0, 0.0), (5.0, 1.0, 1.0))
    decay = (WAVES * jnp.pi) ** 2 * SLOW + jnp.pi**2 * FAST

    def equation(u: Field, z: Point) -> Scalar:
        u_t, u_xx, u_yy = u(z, "u_t u_xx u_yy")
        return u_t - SLOW * u_xx - FAST * u_yy

    def profile(x: Scalar, y: Scalar) -> Scalar:
        return jnp.sin(WAVES * jnp.pi * x) * jnp.sin(jnp.pi * y)

    def solution(z: Point) -> Values:
        t, x, y = z
        return (jnp.exp(-decay * t) * profile(x, y))[None]

    def ansatz(z: Point, network: Values) -> Values:
        t, x, y = z
        return profile(x, y) + t * x * (1 - x) * y * (1 - y) * network

    return Problem(
        name="heat_2d_ms",
        title="Heat equation in two scales",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", profile, name="initial"),
                prescribe(domain.boundary("xy"), "u", 0.0, "boundary"),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(21, 161, 21),
        arguments={"constraints": constraints},
        citation="arXiv:2306.08827",
    )
