"""Wave equation with β: `u_tt = 4 u_xx` on t, x ∈ [0, 1], `u = sin πx + ½ sin βπx` at t = 0.

Two standing waves that begin at rest between fixed ends, u = 0:
`u = sin πx cos 2πt + ½ sin βπx cos 2βπt`.

Source: Rathore, Lei, Frangella, Lu and Udell, "Challenges in training PINNs: a loss landscape
perspective" (ICML 2024, arXiv 2402.01868), with β = 5; `wave` has β = 4. Known difficulty: the fast
mode needs β² / 2 times the second derivatives of the slow one.
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
from pinnzoo.errors import RecipeError

SPEED = 2.0


def wave_beta(beta: float = 5.0, constraints: str = "soft") -> Problem:
    """The one-dimensional wave equation with another fast mode.

    Args:
        beta: β, half waves of the fast mode; a whole number.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = sin πx + ½ sin βπx + t² x (1 - x) N(t, x)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(beta=beta)
    if beta != round(beta):
        raise RecipeError(
            f"beta={beta!r} was given: it must be a whole number, since the solution does not "
            "vanish at the ends otherwise."
        )
    check_constraints(constraints)
    domain = Box("tx", (0.0, 0.0), (1.0, 1.0))

    def equation(u: Field, z: Point) -> Scalar:
        u_tt, u_xx = u(z, "u_tt u_xx")
        return u_tt - SPEED**2 * u_xx

    def profile(x: Scalar) -> Scalar:
        return jnp.sin(jnp.pi * x) + 0.5 * jnp.sin(beta * jnp.pi * x)

    def solution(z: Point) -> Values:
        t, x = z
        slow = jnp.sin(jnp.pi * x) * jnp.cos(SPEED * jnp.pi * t)
        fast = 0.5 * jnp.sin(beta * jnp.pi * x) * jnp.cos(beta * SPEED * jnp.pi * t)
        return (slow + fast)[None]

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return profile(x) + t**2 * x * (1 - x) * network

    return Problem(
        name="wave_beta",
        title=f"Wave equation, c = {SPEED:g}, β = {beta:g}",
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
        arguments={"beta": beta, "constraints": constraints},
        citation="arXiv:2402.01868",
        time_order=2,
    )
