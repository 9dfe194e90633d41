"""The linear toy: `u_xx = (16/π²) sin(4x/π)` on x ∈ [-1, 1].

Source: Bonfanti, Bruno and Cipriani (arXiv 2402.03864), figures 1 and 2a, where kernels and
Hessians of wide networks are measured on it, beside `toy_nonlinear`. The paper states neither
domain nor conditions. On [-1, 1] the networks here see x itself, and the conditions are the values
of the closed form `u = -sin(4x/π)` at both ends.
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

RATE = 4 / jnp.pi


def source(x: Scalar) -> Scalar:
    """The right side of both toys."""
    return RATE**2 * jnp.sin(RATE * x)


def toy_linear() -> Problem:
    """The toy whose kernel is constant and whose Hessian vanishes as the network widens."""
    domain = Box("x", (-1.0,), (1.0,))

    def solution(z: Point) -> Values:
        return -jnp.sin(RATE * z)

    def equation(u: Field, z: Point) -> Scalar:
        (u_xx,) = u(z, "u_xx")
        return u_xx - source(z[0])

    def value(z: Point) -> Scalar:
        return solution(z)[0]

    return Problem(
        name="toy_linear",
        title="Linear toy, u_xx = (16/π²) sin(4x/π)",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(
            dirichlet(domain, "u", "x", "left", value, name="left"),
            dirichlet(domain, "u", "x", "right", value, name="right"),
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(2001,),
        citation="arXiv:2402.03864",
    )
