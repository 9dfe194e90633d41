"""Bratu: `u_xx + λ e^u = 0` on x ∈ [0, 1], `u = 0` at both ends.

The temperature of a reaction that heats itself. Below λ = 3.5138 there are two solutions,
`u = -2 log(cosh(½θ(x - ½)) / cosh(¼θ))` for the two roots of `θ = √(2λ) cosh ¼θ`: a low one, which
is stable, and a high one; they meet at that λ, and above it there is none.

Source: Bratu, "Sur les équations intégrales non linéaires" (Bull. Soc. Math. France 42, 1914); in
the form of Boyd, "Chebyshev polynomial expansions for simultaneous approximation of two branches of
a function with application to the one-dimensional Bratu equation" (Appl. Math. Comput. 143, 2003).
Known difficulty: a training can end in the other solution, which also has no loss. Good values:
λ = 2 to begin with, 3.5 close to where the solutions meet.
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
from pinnzoo.errors import RecipeError

BRANCHES = ("lower", "upper")


def _strength(theta: float) -> float:
    """λ of the solution with this θ."""
    return theta**2 / (2 * math.cosh(theta / 4) ** 2)


def _bisect(low: float, high: float, above: float) -> float:
    """Where `_strength` is `above`, in an interval in which it changes in one sense."""
    rising = _strength(high) > _strength(low)
    for _ in range(200):
        middle = (low + high) / 2
        if (_strength(middle) < above) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2


SUMMIT = 4.798714561030936
"""θ of the largest λ: the root of `¼θ tanh ¼θ = 1`, times four."""


def bratu(strength: float = 2.0, branch: str = "lower", constraints: str = "soft") -> Problem:
    """The one-dimensional Bratu equation.

    Args:
        strength: λ, below 3.5138.
        branch: Which of the two solutions is the reference, "lower" or "upper". The equation is
            that of both.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = x (1 - x) N(x)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(strength=strength)
    check_constraints(constraints)
    if branch not in BRANCHES:
        raise RecipeError(f"branch={branch!r} was given: allowed are 'lower' and 'upper'.")
    if strength >= _strength(SUMMIT):
        raise RecipeError(
            f"strength={strength!r} was given: it must be below {_strength(SUMMIT):.4f}, above "
            "which there is no solution."
        )
    domain = Box("x", (0.0,), (1.0,))
    ends = (0.0, SUMMIT) if branch == "lower" else (SUMMIT, 100.0)
    theta = _bisect(*ends, strength)

    def log_cosh(s: Scalar | float) -> Scalar:
        return jnp.logaddexp(s, -jnp.asarray(s)) - math.log(2)

    def solution(z: Point) -> Values:
        return -2 * (log_cosh(theta / 2 * (z - 0.5)) - log_cosh(theta / 4))

    def equation(u: Field, z: Point) -> Scalar:
        value, u_xx = u(z, "u u_xx")
        return u_xx + strength * jnp.exp(value)

    def ansatz(z: Point, network: Values) -> Values:
        (x,) = z
        return x * (1 - x) * network

    return Problem(
        name="bratu",
        title=f"Bratu equation, λ = {strength:g}, {branch} solution",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                dirichlet(domain, "u", "x", "left", name="left"),
                dirichlet(domain, "u", "x", "right", name="right"),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(2001,),
        arguments={"strength": strength, "branch": branch, "constraints": constraints},
        citation="doi:10.1016/S0096-3003(02)00345-4",
    )
