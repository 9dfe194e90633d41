"""Wave equation: `u_tt = c² u_xx` on t, x ∈ [0, 1], `u = sin πx + ½ sin 4πx`, `u_t = 0` at t = 0.

Two standing waves between fixed ends, `u = sin πx cos cπt + ½ sin 4πx cos 4cπt`.

Source: Wang, Yu and Perdikaris, "When and why PINNs fail to train: a neural tangent kernel
perspective" (arXiv 2007.14527), section 7.3, with c = 2; appendix G.3 of Bonfanti, Bruno and
Cipriani (arXiv 2402.03864) uses it too. Known difficulty: the fast mode needs eight times the
second derivatives of the slow one, and the initial velocity is a third condition to balance.
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


def wave(speed: float = 2.0, constraints: str = "soft") -> Problem:
    """The one-dimensional wave equation.

    Args:
        speed: c, length/time.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = sin πx + ½ sin 4πx + t² x (1 - x) N(t, x)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(speed=speed)
    check_constraints(constraints)
    domain = Box("tx", (0.0, 0.0), (1.0, 1.0))

    def equation(u: Field, z: Point) -> Scalar:
        u_tt, u_xx = u(z, "u_tt u_xx")
        return u_tt - speed**2 * u_xx

    def profile(x: Scalar) -> Scalar:
        return jnp.sin(jnp.pi * x) + 0.5 * jnp.sin(4 * jnp.pi * x)

    def solution(z: Point) -> Values:
        t, x = z
        slow = jnp.sin(jnp.pi * x) * jnp.cos(speed * jnp.pi * t)
        fast = 0.5 * jnp.sin(4 * jnp.pi * x) * jnp.cos(4 * speed * jnp.pi * t)
        return (slow + fast)[None]

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return profile(x) + t**2 * x * (1 - x) * network

    return Problem(
        name="wave",
        title=f"Wave equation, c = {speed:g}",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", profile, name="initial"),
                initial(domain, "u_t", jnp.zeros_like, name="velocity"),
                dirichlet(domain, "u", "x", "left", name="left"),
                dirichlet(domain, "u", "x", "right", name="right"),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(201, 201),
        arguments={"speed": speed, "constraints": constraints},
        citation="arXiv:2007.14527",
        time_order=2,
    )
