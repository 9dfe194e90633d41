"""Coefficient of a Poisson equation: `∇·(a ∇u) + f = 0` with a(x, y) unknown, from noisy u.

On x, y ∈ [0, 1]. The source f is that of `u = sin πx sin πy` with the coefficient
`a = 1 / (1 + x² + y² + (x - 1)² + (y - 1)²)`, of which only the values on the boundary are known;
nothing is known of u but what is measured. The coefficient is a component of its own, without an
equation, and positive.

Source: PInv of PINNacle (Hao et al., arXiv 2306.08827), with 2,500 values and normal noise of
standard deviation 0.1. The code of PINNacle has 2x + 1 and 2y + 1 in its source where the stated
coefficient needs 2x - 1 and 2y - 1; here it is corrected, so that figures do not compare. Known
difficulty: at the middle the gradient of u vanishes, and nothing says what a is there but its
neighbourhood.
"""

import jax.numpy as jnp

from pinnzoo import Box, Field, Point, Problem, Reference, Scalar, Values, prescribe


def poisson_coefficient() -> Problem:
    """The Poisson equation with an unknown coefficient.

    The coefficient is the exponential of what the network says, so that it is positive.
    """
    domain = Box("xy", (0.0, 0.0), (1.0, 1.0))

    def equation(u: Field, z: Point) -> Scalar:
        u_x, u_y, u_xx, u_yy, a, a_x, a_y = u(z, "u_x u_y u_xx u_yy a a_x a_y")
        return a * (u_xx + u_yy) + a_x * u_x + a_y * u_y + source(z)

    return Problem(
        name="poisson_coefficient",
        title="Coefficient of a Poisson equation from noisy values",
        domain=domain,
        components=("u", "a"),
        equation=equation,
        conditions=(
            prescribe(domain.boundary("xy"), "a", lambda z: solution(z)[1], "coefficient"),
        ),
        ansatz=lambda _, network: network.at[1].set(jnp.exp(network[1])),
        reference=Reference(solution, "closed form"),
        citation="arXiv:2306.08827",
    )


def solution(z: Point) -> Values:
    """The solution and the coefficient."""
    x, y = z
    a = 1 / (1 + x**2 + y**2 + (x - 1) ** 2 + (y - 1) ** 2)
    return jnp.stack([jnp.sin(jnp.pi * x) * jnp.sin(jnp.pi * y), a])


def source(z: Point) -> Scalar:
    """f, which follows from the solution."""
    x, y = z
    u, a = solution(z)
    sloped = (2 * x - 1) * jnp.cos(jnp.pi * x) * jnp.sin(jnp.pi * y)
    sloped += (2 * y - 1) * jnp.sin(jnp.pi * x) * jnp.cos(jnp.pi * y)
    return 2 * jnp.pi**2 * a * u + 2 * jnp.pi * a**2 * sloped
