"""Laplace in an L: `Δu = 0` on [-1, 1]² without a quadrant, `u = r^(2/3) sin(2θ/3)` around it.

θ is counted from the edge of the missing quadrant x > 0, y < 0 on the positive x axis, so that
u = 0 on both edges that meet in the corner at the origin. There the gradient is infinite.

Source: the classical test of singular corners, such as Gopal and Trefethen, "New Laplace and
Helmholtz solvers" (PNAS 116, 2019); DeepXDE's Poisson problem in the same domain has a source.
Known difficulty: the derivative grows as r^(-1/3) towards the corner, so that smooth networks
converge slowly.
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


def solution(z: Point) -> Values:
    """`r^(2/3) sin(2θ/3)`."""
    x, y = z
    # The cut of the angle lies in the missing quadrant; the edge x = 0, y < 0 is at θ = 3π/2.
    theta = jnp.arctan2(y, x)
    theta = jnp.where(theta < -jnp.pi / 4, theta + 2 * jnp.pi, theta)
    square = x**2 + y**2
    apart = square > 0
    root = jnp.where(apart, jnp.where(apart, square, 1.0) ** (1 / 3), 0.0)
    return (root * jnp.sin(2 * theta / 3))[None]


def laplace_l_shape() -> Problem:
    """Laplace's equation in an L-shaped domain; conditions as residuals."""
    domain = Box("xy", (-1.0, -1.0), (1.0, 1.0)) - Box("xy", (0.0, -1.0), (1.0, 0.0))

    def equation(u: Field, z: Point) -> Scalar:
        u_xx, u_yy = u(z, "u_xx u_yy")
        # The second derivatives of the solution grow as r^(-4/3).
        return jnp.sum(z**2) * (u_xx + u_yy)

    return Problem(
        name="laplace_l_shape",
        title="Laplace equation in an L-shaped domain",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(
            dirichlet(domain, "u", "box", value=lambda z: solution(z)[0], name="boundary"),
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(201, 201),
        citation="doi:10.1073/pnas.1904139116",
    )
