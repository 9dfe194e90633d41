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

import jax
import jax.numpy as jnp
import numpy as np

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


def _basis(x: Scalar, y: Scalar) -> Values:
    """The particular solution, then the homogeneous ones that are even in y."""
    log = jnp.log(x)
    particular = x**4 / 8 + PROFILE * (x**2 * log / 2 - x**4 / 8)
    return jnp.stack(
        [
            particular,
            jnp.ones_like(x),
            x**2,
            y**2 - x**2 * log,
            x**4 - 4 * x**2 * y**2,
            2 * y**4 - 9 * y**2 * x**2 + 3 * x**4 * log - 12 * x**2 * y**2 * log,
            x**6 - 12 * x**4 * y**2 + 8 * x**2 * y**4,
            8 * y**6
            - 140 * y**4 * x**2
            + 75 * y**2 * x**4
            - 15 * x**6 * log
            + 180 * x**4 * y**2 * log
            - 120 * x**2 * y**4 * log,
        ]
    )


@functools.cache
def _factors() -> np.ndarray:
    """Of the basis; ψ = 0, its slope and its curvature are those of a D at three of its points."""
    alpha = math.asin(TRIANGULARITY)
    outer, inner = (1 + ASPECT, 0.0), (1 - ASPECT, 0.0)
    top = (1 - TRIANGULARITY * ASPECT, ELONGATION * ASPECT)
    bend_outer = -((1 + alpha) ** 2) / (ASPECT * ELONGATION**2)
    bend_inner = (1 - alpha) ** 2 / (ASPECT * ELONGATION**2)
    bend_top = -ELONGATION / (ASPECT * math.cos(alpha) ** 2)

    def rows(z: Point) -> Values:
        """Value, ∂x, ∂y, ∂xx and ∂yy of the basis."""
        slopes = jax.jacfwd(lambda z: _basis(*z))
        bends = jax.jacfwd(slopes)(z)
        return jnp.stack([_basis(*z), *slopes(z).T, bends[:, 0, 0], bends[:, 1, 1]])

    places = np.array([outer, inner, top])
    at_outer, at_inner, at_top = np.asarray(jax.jit(jax.vmap(rows))(places))
    system = np.stack(
        [
            at_outer[0],
            at_inner[0],
            at_top[0],
            at_top[1],
            at_outer[4] + bend_outer * at_outer[1],
            at_inner[4] + bend_inner * at_inner[1],
            at_top[3] + bend_top * at_top[2],
        ]
    )
    return np.concatenate([[1.0], np.linalg.solve(system[:, 1:], -system[:, 0])]) / ASPECT**2


def solution(z: Point) -> Values:
    """U = ψ / ε²."""
    with jax.ensure_compile_time_eval():
        factors = _factors()
    return (_basis(*z) @ factors)[None]


def grad_shafranov() -> Problem:
    """The Grad-Shafranov equation of a Solov'ev equilibrium; conditions as residuals."""
    reach = ELONGATION * ASPECT
    domain = Box("xy", (1 - ASPECT, -reach), (1 + ASPECT, reach))

    def equation(u: Field, z: Point) -> Scalar:
        u_x, u_xx, u_yy = u(z, "u_x u_xx u_yy")
        x = z[0]
        return u_xx - u_x / x + u_yy - ((1 - PROFILE) * x**2 + PROFILE) / ASPECT**2

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
