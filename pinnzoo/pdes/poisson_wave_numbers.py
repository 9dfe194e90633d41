"""Poisson for every wave number: `-Δu = 2k² sin kx sin ky` for k from 1 to 4π, in one network.

x, y ∈ [0, 1], and the values of `u = sin kx sin ky` on the boundary. The coordinate k is the wave
number, and the equation is divided by 2k².

Source: the family of sines in tests of spectral bias, such as Wang, Wang and Perdikaris (arXiv
2012.10047), with k as an input. Known difficulty: spectral bias, for all k at once.
"""

import math

import jax.numpy as jnp

from pinnzoo import (
    Box,
    Field,
    Parameter,
    Point,
    Problem,
    Reference,
    Scalar,
    Values,
    check_positive,
    prescribe,
)


def poisson_wave_numbers(lowest: float = 1.0, highest: float = 4 * math.pi) -> Problem:
    """The Poisson equation with the wave number as an input of the network.

    Args:
        lowest: Smallest wave number, 1/length.
        highest: Largest wave number.

    Raises:
        RecipeError: An argument is out of range.
        PointsError: The largest wave number is below the smallest one.
    """
    check_positive(lowest=lowest, highest=highest)
    domain = Box("xy", (0.0, 0.0), (1.0, 1.0)) * Parameter("k", lowest, highest)

    def solution(z: Point) -> Values:
        x, y, k = z
        return (jnp.sin(k * x) * jnp.sin(k * y))[None]

    def equation(u: Field, z: Point) -> Scalar:
        u_xx, u_yy = u(z, "u_xx u_yy")
        return -(u_xx + u_yy) / (2 * z[2] ** 2) - solution(z)[0]

    return Problem(
        name="poisson_wave_numbers",
        title="Poisson equation for all wave numbers",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(prescribe(domain.boundary("xy"), "u", lambda z: solution(z)[0], "boundary"),),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(61, 61, 9),
        arguments={"lowest": lowest, "highest": highest},
        citation="arXiv:2012.10047",
    )
