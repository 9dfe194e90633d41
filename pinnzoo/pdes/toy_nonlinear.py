"""The nonlinear toy: `u u_x = (16/π²) sin(4x/π)` on x ∈ [-1, 1].

Source: Bonfanti, Bruno and Cipriani (arXiv 2402.03864), figures 1 and 2a, where kernels and
Hessians of wide networks are measured on it, beside `toy_linear`. The paper states neither domain
nor conditions. Here the conditions are the values of the closed form `u = (4/√π) sin(2x/π)` at both
ends; `-u` meets the equation too.
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
    dirichlet,
)
from pinnzoo.pdes.toy_linear import source


def toy_nonlinear() -> Problem:
    """The toy whose kernel is random and moves, and whose Hessian stays, at any width."""
    domain = Box("x", (-1.0,), (1.0,))

    def solution(z: Point) -> Values:
        return 4 / jnp.sqrt(jnp.pi) * jnp.sin(2 * z / jnp.pi)

    def equation(u: Field, z: Point) -> Scalar:
        value, u_x = u(z, "u u_x")
        return value * u_x - source(z[0])

    def at_end(z: Point) -> Scalar:
        return solution(z)[0]

    return Problem(
        name="toy_nonlinear",
        title="Nonlinear toy, u u_x = (16/π²) sin(4x/π)",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(
            dirichlet(domain, "u", "x", "left", at_end, name="left"),
            dirichlet(domain, "u", "x", "right", at_end, name="right"),
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(2001,),
        citation="arXiv:2402.03864",
    )
