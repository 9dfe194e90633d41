"""Clamped plate: `Δ²u = f` on x, y ∈ [0, 1], `u = 0` and `∂u/∂n = 0` on the boundary.

The deflection of a thin plate that is held at its edges, `u = sin² πx sin² πy`. The equation is
divided by π⁴.

Source: the biharmonic equation of Kirchhoff plates, as in Vahab, Haghighat, Khaleghi and Khalili,
"A physics-informed neural network approach to solution and identification of biharmonic equations
of elasticity" (J. Eng. Mech. 148, 2022, arXiv 2108.07243); the load is that of a manufactured
solution. Known difficulty: fourth derivatives, a mixed one among them, and a residual that is
2,300 times as large as the solution where the equation is not divided by π⁴.
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
    constrained,
    neumann,
    prescribe,
)


def clamped_plate(constraints: str = "soft") -> Problem:
    """The bending of a clamped square plate.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = 256 x² (1 - x)² y² (1 - y)² N(x, y)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints)
    domain = Box("xy", (0.0, 0.0), (1.0, 1.0))

    def solution(z: Point) -> Values:
        x, y = z
        return (jnp.sin(jnp.pi * x) ** 2 * jnp.sin(jnp.pi * y) ** 2)[None]

    def load(z: Point) -> Scalar:
        # With c = cos 2πx and k = cos 2πy the solution is (1 - c) (1 - k) / 4.
        c, k = jnp.cos(2 * jnp.pi * z)
        return 4 * jnp.pi**4 * (4 * c * k - c - k)

    def equation(u: Field, z: Point) -> Scalar:
        u_xxxx, u_xxyy, u_yyyy = u(z, "u_xxxx u_xxyy u_yyyy")
        return (u_xxxx + 2 * u_xxyy + u_yyyy - load(z)) / jnp.pi**4

    def ansatz(z: Point, network: Values) -> Values:
        x, y = z
        return 256 * (x * (1 - x) * y * (1 - y)) ** 2 * network

    return Problem(
        name="clamped_plate",
        title="Clamped plate",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                prescribe(domain.boundary("xy"), "u", 0.0, "boundary"),
                neumann(domain, "u", "box", name="slope"),
            ],
        ),
        reference=Reference(
            solution,
            "closed form",
            waves=tuple((a, b) for a in (0.0, 2 * math.pi) for b in (0.0, 2 * math.pi)),
        ),
        evaluation_shape=(101, 101),
        arguments={"constraints": constraints},
        citation="arXiv:2108.07243",
    )
