"""Poisson equation in d dimensions: `-Δu = f` on [0, 1]^d, `u` known on the boundary.

A sum of one wave along each coordinate, `u = Σ cos πxᵢ` or `u = Σ sin ½πxᵢ`, or the harmonic
polynomial `u = x₁x₂ + x₃x₄ + …`, for which f = 0. The coordinates x₁, x₂, … are called a, b, …

Source: the cosines in five and the polynomial in ten dimensions are those of Müller and Zeinhofer,
"Achieving High Accuracy with PINNs via Energy Natural Gradient Descent" (ICML 2023, arXiv
2302.13163), and of Dangel, Müller and Zeinhofer (arXiv 2405.15603) with arXiv 2607.02194 as the
record; the sines are "PNd" of PINNacle (arXiv 2306.08827). Known difficulty: the number of second
derivatives grows with d, and almost all of the cube is close to its boundary, so that a tensor grid
says nothing: errors are measured at points of a Sobol sequence.
"""

import math

import jax.numpy as jnp
import numpy as np

from pinnzoo import (
    Box,
    Field,
    Point,
    Problem,
    Reference,
    Scalar,
    check_positive,
    prescribe,
)
from pinnzoo.errors import RecipeError

LETTERS = "abcdefghij"
"""x₁ to x₁₀."""

SOLUTIONS = ("cosines", "sines", "harmonic")

POINTS = 2**14
"""Of the Sobol sequence on which errors are measured."""


def poisson_nd(dimension: int = 5, solution: str = "cosines") -> Problem:
    """The Poisson equation in many dimensions; conditions as residuals.

    Args:
        dimension: d, from 2 to 10.
        solution: "cosines" for `Σ cos πxᵢ`, "sines" for `Σ sin ½πxᵢ`, or "harmonic" for
            `Σ x₂ᵢ₋₁ x₂ᵢ`, in an even number of dimensions.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(dimension=dimension)
    if solution not in SOLUTIONS:
        words = ", ".join(map(repr, SOLUTIONS))
        raise RecipeError(f"solution={solution!r} was given: allowed are {words}.")
    d = int(dimension)
    step = 2 if solution == "harmonic" else 1
    if d != dimension or not 2 <= d <= len(LETTERS) or d % step:
        raise RecipeError(
            f"dimension={dimension!r} was given: it must be a whole number from 2 to "
            f"{len(LETTERS)}, and an even one for the harmonic solution."
        )
    letters = LETTERS[:d]
    domain = Box(letters, (0.0,) * d, (1.0,) * d)
    curvatures = " ".join(f"u_{letter}{letter}" for letter in letters)

    def exact(z: Point) -> Scalar:
        if solution == "cosines":
            return jnp.sum(jnp.cos(jnp.pi * z))
        if solution == "sines":
            return jnp.sum(jnp.sin(jnp.pi / 2 * z))
        return jnp.sum(z[::2] * z[1::2])

    turn = {"cosines": math.pi, "sines": math.pi / 2, "harmonic": 0.0}[solution]
    waves = tuple(tuple(row) for row in (turn * np.eye(d)).tolist()) if turn else ()

    def equation(u: Field, z: Point) -> Scalar:
        laplacian = jnp.sum(jnp.stack(u(z, curvatures)))
        return -laplacian - turn**2 * exact(z)

    return Problem(
        name="poisson_nd",
        title=f"Poisson equation in {d}D, {solution}",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(prescribe(domain.boundary(letters), "u", exact, "boundary"),),
        reference=Reference(lambda z: exact(z)[None], "closed form", waves=waves),
        evaluation_shape=(POINTS,),
        arguments={"dimension": dimension, "solution": solution},
        citation="arXiv:2306.08827" if solution == "sines" else "arXiv:2405.15603",
    )
