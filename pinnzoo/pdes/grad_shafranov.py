"""Grad-Shafranov: `ψ_xx - ψ_x / x + ψ_yy = (1 - A) x² + A`, a Solov'ev equilibrium of a tokamak.

The magnetic flux ψ of a plasma in axial symmetry, with x the distance from the axis and y the
height, in units of the major radius: ITER, with inverse aspect ratio ε = 0.32, elongation κ = 1.7,
triangularity δ = 0.33 and A = -0.155, on the box x ∈ [1 - ε, 1 + ε], y ∈ [-κε, κε] around the
plasma. The unknown is u = ψ / ε², and u on the boundary of the box is that of the solution, a
particular one and seven homogeneous ones; the plasma is where it is negative.

Source: Cerfon and Freidberg, "One size fits all analytic solutions to the Grad-Shafranov equation"
(Phys. Plasmas 17, 032502, 2010), equations 8 to 11. Known difficulty: none; a smooth solution with
a first derivative that makes the operator differ from the Laplacian.
"""

import functools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.polynomial import Polynomial

from pinnzoo import (
    Box,
    Field,
    Point,
    Problem,
    Reference,
    Scalar,
    Values,
    prescribe,
)

ASPECT, ELONGATION, TRIANGULARITY, PROFILE = 0.32, 1.7, 0.33, -0.155
"""ε, κ, δ and A."""


def _basis(x: Any, y: Any, log: Any) -> list[Any]:
    """The particular solution, then the homogeneous ones that are even in y; `log` is that of x."""
    return [
        x**4 / 8 + PROFILE * (x**2 * log / 2 - x**4 / 8),
        x**0,
        x**2,
        y**2 - x**2 * log,
        x**4 - y**2 * (4 * x**2),
        2 * y**4 - y**2 * (9 * x**2 + 12 * x**2 * log) + 3 * x**4 * log,
        x**6 - y**2 * (12 * x**4) + y**4 * (8 * x**2),
        8 * y**6
        - y**4 * (140 * x**2 + 120 * x**2 * log)
        + y**2 * (75 * x**4 + 180 * x**4 * log)
        - 15 * x**6 * log,
    ]


def _source(x: Any) -> Any:
    return (1 - PROFILE) * x**2 + PROFILE


def _derivatives(x: float, y: float) -> Float[np.ndarray, "5 8"]:
    """Value, ∂x, ∂y, ∂xx and ∂yy of the basis."""
    # Along y they are the coefficients of a polynomial. Along x an imaginary step gives the slope
    # to rounding, and the equation itself the curvature.
    step = x + 1e-30j
    series = [Polynomial([0.0]) + f for f in _basis(step, Polynomial([y, 1.0]), np.log(step))]
    taylor = np.array([np.pad(f.coef, (0, 7 - len(f.coef)))[:3] for f in series])
    value, slope_y, bend_y = (np.real(taylor) * [1, 1, 2]).T
    slope_x = np.imag(taylor[:, 0]) / 1e-30
    bend_x = slope_x / x - bend_y + np.eye(8)[0] * _source(x)
    return np.stack([value, slope_x, slope_y, bend_x, bend_y])


@functools.cache
def _factors() -> Float[np.ndarray, " 8"]:
    """Of the basis; ψ = 0, its slope and its curvature are those of a D at three of its points."""
    alpha = math.asin(TRIANGULARITY)
    outer, inner = _derivatives(1 + ASPECT, 0.0), _derivatives(1 - ASPECT, 0.0)
    top = _derivatives(1 - TRIANGULARITY * ASPECT, ELONGATION * ASPECT)
    bend_outer = -((1 + alpha) ** 2) / (ASPECT * ELONGATION**2)
    bend_inner = (1 - alpha) ** 2 / (ASPECT * ELONGATION**2)
    bend_top = -ELONGATION / (ASPECT * math.cos(alpha) ** 2)
    system = np.stack(
        [
            outer[0],
            inner[0],
            top[0],
            top[1],
            outer[4] + bend_outer * outer[1],
            inner[4] + bend_inner * inner[1],
            top[3] + bend_top * top[2],
        ]
    )
    return np.concatenate([[1.0], np.linalg.solve(system[:, 1:], -system[:, 0])]) / ASPECT**2


def solution(z: Point) -> Values:
    """U = ψ / ε²."""
    x, y = z
    return (jnp.stack(_basis(x, y, jnp.log(x))) @ _factors())[None]


def grad_shafranov() -> Problem:
    """The Grad-Shafranov equation of a Solov'ev equilibrium; conditions as residuals."""
    reach = ELONGATION * ASPECT
    domain = Box("xy", (1 - ASPECT, -reach), (1 + ASPECT, reach))

    def equation(u: Field, z: Point) -> Scalar:
        u_x, u_xx, u_yy = u(z, "u_x u_xx u_yy")
        x = z[0]
        return u_xx - u_x / x + u_yy - _source(x) / ASPECT**2

    return Problem(
        name="grad_shafranov",
        title="Grad-Shafranov equation, Solov'ev equilibrium",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(prescribe(domain.boundary("xy"), "u", lambda z: solution(z)[0], "boundary"),),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(101, 171),
        citation="doi:10.1063/1.3328818",
    )
