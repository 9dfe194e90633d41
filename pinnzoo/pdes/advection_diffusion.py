"""Advection-diffusion: `u_x = u_xx / Pe` on x ∈ [0, 1], `u(0) = 0`, `u(1) = 1`.

What flows from the left carries its value as far as a boundary layer of width 1/Pe at the right
end: `u = (e^(Pe x) - 1) / (e^Pe - 1)`.

Source: the model problem of singular perturbation, as in Arzani, Cassel and D'Souza,
"Theory-guided physics-informed neural networks for boundary layer problems with singular
perturbation" (J. Comput. Phys. 473, 2023). Known difficulty: the straight line `u = x` has a
residual of one only, and both sides of the equation are Pe times as large in the layer. Good
values: Pe = 10 to begin with; 100, the default.
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
)


def advection_diffusion(peclet: float = 100.0, constraints: str = "soft") -> Problem:
    """The steady advection-diffusion equation in one dimension.

    Args:
        peclet: Pe, the ratio of advection to diffusion.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = x + x (1 - x) N(x)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(peclet=peclet)
    check_constraints(constraints)
    domain = Box("x", (0.0,), (1.0,))

    def equation(u: Field, z: Point) -> Scalar:
        u_x, u_xx = u(z, "u_x u_xx")
        return u_x - u_xx / peclet

    def solution(z: Point) -> Values:
        # Divided by e^Pe, so that nothing overflows.
        return jnp.exp(-peclet * (1 - z)) * jnp.expm1(-peclet * z) / math.expm1(-peclet)

    def ansatz(z: Point, network: Values) -> Values:
        (x,) = z
        return x + x * (1 - x) * network

    return Problem(
        name="advection_diffusion",
        title=f"Advection-diffusion equation, Pe = {peclet:g}",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                dirichlet(domain, "u", "x", "left", name="left"),
                dirichlet(domain, "u", "x", "right", 1.0, name="right"),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(2001,),
        arguments={"peclet": peclet, "constraints": constraints},
        citation="doi:10.1016/j.jcp.2022.111768",
    )
