"""Poisson equation: `u'' = f` on x ∈ [0, 1], `u(0) = u(1) = 0`, `u = sin 2πx + 0.1 sin 50πx`.

One slow wave under a fast ripple. The ripple is a tenth of the amplitude but more than sixty times
the slow wave in the second derivative, so the residual sees little else.

Source: Bonfanti, Bruno and Cipriani, "The Challenges of the Nonlinear Regime for Physics-Informed
Neural Networks" (NeurIPS 2024, arXiv 2402.03864), appendix G.2 and figure 3a. Known difficulty:
spectral bias. Adam needs Fourier features here, second-order methods do not.
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


def poisson(frequency: float = 50.0, amplitude: float = 0.1, constraints: str = "soft") -> Problem:
    """The one-dimensional Poisson equation with two scales.

    Args:
        frequency: Frequency of the ripple, in half waves on the unit interval; a whole number, so
            that the boundary values vanish.
        amplitude: Amplitude of the ripple.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = x (1 - x) N(x)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(frequency=frequency, amplitude=amplitude)
    if frequency != round(frequency):
        raise RecipeError(
            f"frequency={frequency!r} was given: it must be a whole number, since the solution "
            "does not vanish at x = 1 otherwise."
        )
    check_constraints(constraints)
    domain = Box("x", (0.0,), (1.0,))
    slow, fast = 2 * math.pi, frequency * math.pi

    def solution(z: Point) -> Values:
        return jnp.sin(slow * z) + amplitude * jnp.sin(fast * z)

    def source(x: Scalar) -> Scalar:
        return -(slow**2) * jnp.sin(slow * x) - amplitude * fast**2 * jnp.sin(fast * x)

    def equation(u: Field, z: Point) -> Scalar:
        (u_xx,) = u(z, "u_xx")
        return u_xx - source(z[0])

    def ansatz(z: Point, network: Values) -> Values:
        return z * (1 - z) * network

    return Problem(
        name="poisson",
        title=f"Poisson equation, sin 2πx + {amplitude:g} sin {frequency:g}πx",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[dirichlet(domain, "u", "x", side, name=side) for side in ("left", "right")],
        ),
        reference=Reference(solution, "closed form", waves=((slow,), (fast,))),
        evaluation_shape=(20001,),
        arguments={"frequency": frequency, "amplitude": amplitude, "constraints": constraints},
        citation="arXiv:2402.03864",
    )
