"""Heat equation in d dimensions: `u_t = Δu / d + f` in the unit ball, `∂u/∂n = e^(t + 1/2)` on it.

From `u(0, x) = exp(½|x|²)` the heat that comes in through the boundary makes the solution grow
without changing its shape, `u = exp(t + ½|x|²)`, on t ∈ [0, 1]; `f = -|x|² u / d` is what is taken
out. The coordinates x₁, x₂, … are called a, b, …

Source: "HNd" of PINNacle (Hao et al., NeurIPS 2024, arXiv 2306.08827), with d = 5. Known
difficulty: the number of second derivatives grows with d, and no value is prescribed on the
boundary, but for the slope.
"""

import math

import jax.numpy as jnp

from pinnzoo import (
    Ball,
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
    initial,
    neumann,
)
from pinnzoo.errors import RecipeError

LETTERS = "abcdefghij"
"""x₁ to x₁₀."""

POINTS = 2**14
"""Of the Sobol sequence on which errors are measured."""


def heat_nd(dimension: int = 5, constraints: str = "soft") -> Problem:
    """The heat equation in a ball of many dimensions.

    Args:
        dimension: d, from 2 to 10.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = exp(½|x|²) + t N(t, x)`; the slope on the boundary stays a residual.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(dimension=dimension)
    check_constraints(constraints)
    d = int(dimension)
    if d != dimension or not 2 <= d <= len(LETTERS):
        raise RecipeError(
            f"dimension={dimension!r} was given: it must be a whole number from 2 to "
            f"{len(LETTERS)}."
        )
    letters = LETTERS[:d]
    domain = Box("t", (0.0,), (1.0,)) * Ball(letters, (0.0,) * d, 1.0)
    names = "u_t " + " ".join(f"u_{letter}{letter}" for letter in letters)

    def profile(z: Point) -> Scalar:
        return jnp.exp(jnp.sum(z[1:] ** 2) / 2)

    def solution(z: Point) -> Values:
        return (jnp.exp(z[0]) * profile(z))[None]

    def equation(u: Field, z: Point) -> Scalar:
        u_t, *curvatures = u(z, names)
        source = -jnp.sum(z[1:] ** 2) / d * solution(z)[0]
        return u_t - jnp.sum(jnp.stack(curvatures)) / d - source

    def ansatz(z: Point, network: Values) -> Values:
        return profile(z) + z[0] * network

    def start(*x: Scalar) -> Scalar:
        return jnp.exp(jnp.sum(jnp.stack(x) ** 2) / 2)

    return Problem(
        name="heat_nd",
        title=f"Heat equation in a {d}D ball",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[initial(domain, "u", start, name="initial")],
            kept=[
                neumann(
                    domain, "u", "ball", value=lambda z: math.exp(0.5) * jnp.exp(z[0]), name="slope"
                )
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(POINTS,),
        arguments={"dimension": dimension, "constraints": constraints},
        citation="arXiv:2306.08827",
    )
