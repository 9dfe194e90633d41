"""Laplace in an annulus: `Δu = 0` on 1 ≤ r ≤ 2, a flux through the inner and exchange at the outer.

`-∂u/∂r = 1 + 2 cos 2θ` on r = 1, the derivative along the outward normal, and `u + ∂u/∂r =
g(θ)` on r = 2, so that `u = a - log r + (r² + b / r²) cos 2θ` with `b = 2` and a = 1.

Source: separation of variables, for a pipe that is heated inside and cooled by convection outside;
after the Laplace problem on a disk of DeepXDE (Lu, Meng, Mao and Karniadakis, arXiv 1907.04502).
Known difficulty: none; a first test of Neumann and Robin conditions on curves.
"""

import math

import jax.numpy as jnp

from pinnzoo import (
    Ball,
    Field,
    Point,
    Problem,
    Reference,
    Scalar,
    Values,
    neumann,
    robin,
)

INNER, OUTER = 1.0, 2.0


def _polar(z: Point) -> tuple[Scalar, Scalar]:
    """r² and cos 2θ."""
    x, y = z
    square = x**2 + y**2
    return square, (x**2 - y**2) / square


def solution(z: Point) -> Values:
    """`1 - log r + (r² + 2 / r²) cos 2θ`."""
    square, twofold = _polar(z)
    return (1 - jnp.log(square) / 2 + (square + 2 / square) * twofold)[None]


def annulus() -> Problem:
    """Laplace's equation in an annulus with a Neumann and a Robin condition, as residuals."""
    inner = Ball("xy", (0.0, 0.0), INNER, name="inner")
    domain = Ball("xy", (0.0, 0.0), OUTER, name="outer") - inner

    def equation(u: Field, z: Point) -> Scalar:
        u_xx, u_yy = u(z, "u_xx u_yy")
        return u_xx + u_yy

    def flux(z: Point) -> Scalar:
        # Out of the domain is into the hole: -∂u/∂r = 1/r - (2r - 4/r³) cos 2θ.
        _, twofold = _polar(z)
        return 1 / INNER - (2 * INNER - 4 / INNER**3) * twofold

    def exchanged(z: Point) -> Scalar:
        _, twofold = _polar(z)
        value = 1 - math.log(OUTER) + (OUTER**2 + 2 / OUTER**2) * twofold
        return value - 1 / OUTER + (2 * OUTER - 4 / OUTER**3) * twofold

    return Problem(
        name="annulus",
        title="Laplace equation in an annulus",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(
            neumann(domain, "u", "inner", value=flux),
            robin(domain, "u", "outer", value=exchanged),
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(201, 201),
        citation="arXiv:1907.04502",
    )
