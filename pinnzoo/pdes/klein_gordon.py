"""Klein-Gordon: `u_tt - u_xx + u³ = f` on t, x ∈ [0, 1], `u(0, x) = x`, `u(t, 0) = 0`, u at x = 1.

A rope that begins at rest, fixed at one end and shaken at the other: `u = x cos 5πt + (xt)³`, which
fixes f and `u(t, 1) = cos 5πt + t³`.

Source: Wang, Teng and Perdikaris, "Understanding and mitigating gradient pathologies in
physics-informed neural networks" (SIAM J. Sci. Comput. 43, 2021, arXiv 2001.04536), section 4.2.
Known difficulty: the second derivative in time is 25π² times as large as the solution, so its
gradient drowns those of the conditions.
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
    dirichlet,
    initial,
)


def klein_gordon(constraints: str = "soft") -> Problem:
    """The one-dimensional Klein-Gordon equation with a cubic term.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = x + t² x N(t, x)`. The condition at x = 1 stays a residual: an ansatz that holds
            cos 5πt would leave nothing but `N = -t (1 + x)` to be learned.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints)
    domain = Box("tx", (0.0, 0.0), (1.0, 1.0))
    frequency = 5 * jnp.pi

    def solution(z: Point) -> Values:
        t, x = z
        return (x * jnp.cos(frequency * t) + (x * t) ** 3)[None]

    def source(z: Point) -> Scalar:
        t, x = z
        u_tt = -(frequency**2) * x * jnp.cos(frequency * t) + 6 * x**3 * t
        u_xx = 6 * x * t**3
        return u_tt - u_xx + solution(z)[0] ** 3

    def equation(u: Field, z: Point) -> Scalar:
        value, u_tt, u_xx = u(z, "u u_tt u_xx")
        return u_tt - u_xx + value**3 - source(z)

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return x + t**2 * x * network

    return Problem(
        name="klein_gordon",
        title="Klein-Gordon equation",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", lambda x: x, name="initial"),
                initial(domain, "u_t", jnp.zeros_like, name="velocity"),
                dirichlet(domain, "u", "x", "left", name="left"),
            ],
            kept=[dirichlet(domain, "u", "x", "right", lambda z: solution(z)[0], name="right")],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(401, 201),
        arguments={"constraints": constraints},
        citation="arXiv:2001.04536",
    )
