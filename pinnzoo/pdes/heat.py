"""Heat equation: `u_t = κ u_xx` on t, x ∈ [0, 1], `u(0, x) = sin πx`, `u = 0` at both ends.

One sine arch that fades without changing its shape, `u = exp(-κπ²t) sin πx`.

Source: the 1D case of Dangel, Müller and Zeinhofer, "Kronecker-Factored Approximate Curvature for
Physics-Informed Neural Networks" (arXiv 2405.15603). Good values: κ = 1/4, the default. Linear and
smooth, so it is the first problem to try a new optimizer on. This is also the shortest problem
file: start from it to write your own.
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
    dirichlet,
    initial,
)


def heat(diffusivity: float = 0.25, constraints: str = "soft") -> Problem:
    """The one-dimensional heat equation.

    Args:
        diffusivity: κ, length²/time.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = sin πx + t x (1 - x) N(t, x)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(diffusivity=diffusivity)
    check_constraints(constraints)
    domain = Box("tx", (0.0, 0.0), (1.0, 1.0))

    def equation(u: Field, z: Point) -> Scalar:
        u_t, u_xx = u(z, "u_t u_xx")
        return u_t - diffusivity * u_xx

    def profile(x: Scalar) -> Scalar:
        return jnp.sin(jnp.pi * x)

    def solution(z: Point) -> Values:
        t, x = z
        return jnp.exp(-diffusivity * jnp.pi**2 * t)[None] * profile(x)

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return profile(x) + t * x * (1 - x) * network

    return Problem(
        name="heat",
        title=f"Heat equation, κ = {diffusivity:g}",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", profile, name="initial"),
                dirichlet(domain, "u", "x", "left", name="left"),
                dirichlet(domain, "u", "x", "right", name="right"),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(201, 201),
        arguments={"diffusivity": diffusivity, "constraints": constraints},
        citation="arXiv:2405.15603",
    )
