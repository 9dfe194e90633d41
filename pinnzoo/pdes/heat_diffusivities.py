"""Heat for every diffusivity: `u_t = κ u_xx` for κ from 0.01 to 1, in one network.

t, x ∈ [0, 1], `u(0, x, κ) = sin πx + ½ sin 3πx`, `u = 0` at both ends; the coordinate k is κ, drawn
uniformly in its logarithm: `u = exp(-κπ²t) sin πx + ½ exp(-9κπ²t) sin 3πx`.

Source: the heat equation of Dangel, Müller and Zeinhofer (arXiv 2405.15603), made a family as in
PINN-Collection (hf.co/sr5434/PINN-Collection), which has one network for all κ in (0, 1). Known
difficulty: none; a first test of a parameter as an input.
"""

import jax.numpy as jnp

from pinnzoo import (
    Box,
    Field,
    Parameter,
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


def heat_diffusivities(
    lowest: float = 0.01, highest: float = 1.0, constraints: str = "soft"
) -> Problem:
    """The heat equation with the diffusivity as an input of the network.

    Args:
        lowest: Smallest diffusivity, length²/time.
        highest: Largest diffusivity.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = sin πx + ½ sin 3πx + t x (1 - x) N(t, x, κ)`.

    Raises:
        RecipeError: An argument is out of range.
        PointsError: The largest diffusivity is below the smallest one.
    """
    check_positive(lowest=lowest, highest=highest)
    check_constraints(constraints)
    domain = Box("tx", (0.0, 0.0), (1.0, 1.0)) * Parameter("k", lowest, highest, "log")

    def equation(u: Field, z: Point) -> Scalar:
        u_t, u_xx = u(z, "u_t u_xx")
        return u_t - z[2] * u_xx

    def profile(x: Scalar) -> Scalar:
        return jnp.sin(jnp.pi * x) + 0.5 * jnp.sin(3 * jnp.pi * x)

    def ansatz(z: Point, network: Values) -> Values:
        t, x, _ = z
        return profile(x) + t * x * (1 - x) * network

    def solution(z: Point) -> Values:
        t, x, diffusivity = z
        rate = diffusivity * jnp.pi**2 * t
        slow, fast = jnp.exp(-rate), jnp.exp(-9 * rate)
        return (slow * jnp.sin(jnp.pi * x) + 0.5 * fast * jnp.sin(3 * jnp.pi * x))[None]

    return Problem(
        name="heat_diffusivities",
        title="Heat equation for all diffusivities",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", lambda x, _: profile(x), name="initial"),
                dirichlet(domain, "u", "x", "left", name="left"),
                dirichlet(domain, "u", "x", "right", name="right"),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(51, 101, 9),
        arguments={"lowest": lowest, "highest": highest, "constraints": constraints},
        citation="arXiv:2405.15603",
    )
