"""Helmholtz equation: `Δu + k² u = f` on x, y ∈ [-1, 1], `u = 0` on the boundary.

A chequerboard of waves, `u = sin a₁πx sin a₂πy`, with few along x and many along y.

Source: Wang, Teng and Perdikaris, "Understanding and mitigating gradient pathologies in
physics-informed neural networks" (SIAM J. Sci. Comput. 43, 2021, arXiv 2001.04536), section 4.1,
with a₁ = 1, a₂ = 4 and k = 1. Known difficulty: the residual is (a₁² + a₂²) π² times as large as
the solution, so its gradient drowns that of the boundary condition. Good values: (1, 4); (6, 6)
is harder.
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
    prescribe,
)
from pinnzoo.errors import RecipeError


def helmholtz(
    a1: float = 1.0, a2: float = 4.0, k: float = 1.0, constraints: str = "soft"
) -> Problem:
    """The two-dimensional Helmholtz equation.

    Args:
        a1: a₁, waves along x; a whole number, so that the boundary values vanish.
        a2: a₂, waves along y; a whole number.
        k: Wave number, 1/length.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = (1 - x²) (1 - y²) N(x, y)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(a1=a1, a2=a2, k=k)
    for name, value in {"a1": a1, "a2": a2}.items():
        if value != round(value):
            raise RecipeError(
                f"{name}={value!r} was given: it must be a whole number, since the solution does "
                "not vanish on the boundary otherwise."
            )
    check_constraints(constraints)
    domain = Box("xy", (-1.0, -1.0), (1.0, 1.0))

    def solution(z: Point) -> Values:
        x, y = z
        return (jnp.sin(a1 * jnp.pi * x) * jnp.sin(a2 * jnp.pi * y))[None]

    def equation(u: Field, z: Point) -> Scalar:
        value, u_xx, u_yy = u(z, "u u_xx u_yy")
        source = (k**2 - (a1**2 + a2**2) * jnp.pi**2) * solution(z)[0]
        return u_xx + u_yy + k**2 * value - source

    def ansatz(z: Point, network: Values) -> Values:
        x, y = z
        return (1 - x**2) * (1 - y**2) * network

    return Problem(
        name="helmholtz",
        title=f"Helmholtz equation, a = ({a1:g}, {a2:g}), k = {k:g}",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints, ansatz, met=[prescribe(domain.boundary("xy"), "u", 0.0, "boundary")]
        ),
        reference=Reference(solution, "closed form", waves=((a1 * math.pi, a2 * math.pi),)),
        evaluation_shape=(401, 401),
        arguments={"a1": a1, "a2": a2, "k": k, "constraints": constraints},
        citation="arXiv:2001.04536",
    )
