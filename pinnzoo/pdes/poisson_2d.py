"""Poisson equation in 2D: `-Δu = f` on x, y ∈ [0, 1], `u = 0` on the boundary.

One arch, `u = sin πx sin πy`, or four scales at once, `u = ¼ Σ_w sin wπx sin wπy` with w = 4, 8, 12
and 16. The equation is divided by the amplitude of the fastest term of f, which is 2π² for the arch
and 128π² for the four scales, so that its two sides are of order one.

Source: the arch is that of Müller and Zeinhofer, "Achieving High Accuracy with PINNs via Energy
Natural Gradient Descent" (ICML 2023, arXiv 2302.13163); the four scales are those of arXiv
2607.02194. Known difficulty: none for the arch, a first test for an optimizer; spectral bias
for the four scales, of which the slowest is a sixteenth of the fastest in f, and as large in u.
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
    constrained,
    prescribe,
)
from pinnzoo.errors import RecipeError

MODES = {"single": (1,), "multi": (4, 8, 12, 16)}
"""Half waves on the unit interval, slowest first; all modes have the same amplitude."""


def poisson_2d(modes: str = "single", constraints: str = "soft") -> Problem:
    """The two-dimensional Poisson equation with one scale or four.

    Args:
        modes: "single" for the arch or "multi" for the four scales.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = x (1 - x) y (1 - y) N(x, y)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    if modes not in MODES:
        raise RecipeError(f"modes={modes!r} was given: allowed are 'single' and 'multi'.")
    check_constraints(constraints)
    domain = Box("xy", (0.0, 0.0), (1.0, 1.0))
    waves = [math.pi * mode for mode in MODES[modes]]
    amplitude = 1 / len(waves)
    fastest = amplitude * 2 * waves[-1] ** 2

    def combination(coefficients: list[float], z: Point) -> Scalar:
        x, y = z
        terms = [
            c * jnp.sin(w * x) * jnp.sin(w * y) for c, w in zip(coefficients, waves, strict=True)
        ]
        return jnp.stack(terms).sum()

    def solution(z: Point) -> Values:
        return combination([amplitude for _ in waves], z)[None]

    def source(z: Point) -> Scalar:
        return combination([amplitude * 2 * w**2 for w in waves], z)

    def equation(u: Field, z: Point) -> Scalar:
        u_xx, u_yy = u(z, "u_xx u_yy")
        return -(u_xx + u_yy + source(z)) / fastest

    def ansatz(z: Point, network: Values) -> Values:
        x, y = z
        return x * (1 - x) * y * (1 - y) * network

    return Problem(
        name="poisson_2d",
        title=f"Poisson equation in 2D, {'one scale' if modes == 'single' else 'four scales'}",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints, ansatz, met=[prescribe(domain.boundary("xy"), "u", 0.0, "boundary")]
        ),
        reference=Reference(solution, "closed form", waves=tuple((w, w) for w in waves)),
        evaluation_shape=(401, 401),
        arguments={"modes": modes, "constraints": constraints},
        citation="arXiv:2302.13163" if modes == "single" else "arXiv:2607.02194",
    )
