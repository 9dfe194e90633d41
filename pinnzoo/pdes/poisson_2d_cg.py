"""Screened Poisson in a square less four discs: `-Δu + 64 u = f`, `u = 0.2` and `u = 1` there.

The square is x, y ∈ [-1, 1], on which u = 0.2. The discs, on which u = 1, have the centres (½, ½),
(0.4, -0.4), (-0.2, -0.7) and (-0.6, ½) and the radii 0.2, 0.4, 0.1 and 0.3. The source is
`f = 10 (17 + x² + y²) sin πx sin 4πy`. The equation is divided by 64.

Source: "Poisson2d-CG" of PINNacle (Hao et al., NeurIPS 2024, arXiv 2306.08827). Known difficulty:
layers of width 1/8 around discs of several sizes, and corners in which the second derivatives are
infinite, as logarithms, since 0.2 does not meet the equation there. The reference is the solution
in the square without discs, in closed form but for one integral, and a sum of multipoles, which is
certified by the maximum principle.

In a corner, with ξ and η the distances from its two walls and ζ = ξ + iη, the solution is
`0.2 + 12.8 (η² / 2 + Im(ζ² log ζ) / π)` up to terms with bounded second derivatives, since
`Δu = 64 · 0.2` there and both second derivatives along the walls are zero. `constraints="corners"`
adds the part with the logarithm to the network.
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
    constrained,
    dirichlet,
)
from pinnzoo.references import multipoles

K = 8.0
DISCS = ((0.5, 0.5, 0.2), (0.4, -0.4, 0.4), (-0.2, -0.7, 0.1), (-0.6, 0.5, 0.3))
"""Centre and radius."""
WALL, RODS = 0.2, 1.0
"""What u is on the square and on the discs."""
AMPLITUDE, WAVES = 10.0, (math.pi, 4 * math.pi)
SOLUTION = multipoles.Screened(K, DISCS, (24, 46, 14, 32))
REFINED = multipoles.Screened(K, DISCS, (32, 60, 18, 42))
NODES, REFINED_NODES = 100, 140
"""Of the integral for the square without discs."""


def source(z: Point) -> Scalar:
    """The right side f."""
    (x, y), (p, q) = z, WAVES
    square = (p**2 + q**2) / math.pi**2 + x**2 + y**2
    return AMPLITUDE * square * jnp.sin(p * x) * jnp.sin(q * y)


def without_discs(z: Point, nodes: int) -> Scalar:
    """The solution of the same equation in the whole square."""
    (x, y), (p, q) = z, WAVES
    both = AMPLITUDE * (p**2 + q**2) / math.pi**2
    driven = _along(x, p, q**2 + K**2, both) * jnp.sin(q * y)
    driven += jnp.sin(p * x) * _along(y, q, p**2 + K**2, 0.0)
    return WALL * multipoles.screened_square(K, nodes)(z) + driven


def _along(x: Scalar, w: float, m2: float, constant: float) -> Scalar:
    """The solution of `-X'' + m² X = (constant + 10 x²) sin wx` with X(±1) = 0 and w / π whole."""
    whole, m = w**2 + m2, math.sqrt(m2)
    square = AMPLITUDE / whole
    linear = 4 * w * square / whole
    plain = (constant + 2 * square - 2 * w * linear) / whole
    homogeneous = math.cos(w) * jnp.sinh(m * x) / math.sinh(m)
    driven = (plain + square * x**2) * jnp.sin(w * x) + linear * x * jnp.cos(w * x)
    return driven - linear * homogeneous


def in_corners(z: Point) -> Values:
    """What makes the second derivatives infinite in the corners of the square, `(1,)`.

    It is `12.8 Im(ζ² log ζ) / π` in each corner, and decreases away from it.
    """
    x, y = z
    corners = [_in_corner(1 - a * x, 1 - b * y) for a in (-1, 1) for b in (-1, 1)]
    return K**2 * WALL / jnp.pi * jnp.stack(corners).sum(keepdims=True)


def _in_corner(xi: Scalar, eta: Scalar) -> Scalar:
    """`Im(ζ² log ζ) exp(-|K ζ|² / 8)` for ζ = ξ + iη, with finite derivatives at ζ = 0."""
    square = xi**2 + eta**2
    inside = square > 0
    angle = jnp.arctan2(jnp.where(inside, eta, 0.0), jnp.where(inside, xi, 1.0))
    logarithm = 0.5 * jnp.log(jnp.where(inside, square, 1.0))
    value = 2 * xi * eta * logarithm + (xi**2 - eta**2) * angle
    return value * jnp.exp(-(K**2) * square / 8)


def poisson_2d_cg(constraints: str = "soft") -> Problem:
    """The screened Poisson equation in a square less four discs.

    Args:
        constraints: "soft" for conditions as residuals; "corners" for the same with the singular
            part of the four corners beside the network, `u = N + s`; or "hard" for an ansatz with
            the distances from the square and from the discs, `u = g + φ N`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints, "corners")
    domain = Box("xy", (-1.0, -1.0), (1.0, 1.0))
    for x, y, radius in DISCS:
        domain = domain - Ball("xy", (x, y), radius, name="discs")

    def equation(u: Field, z: Point) -> Scalar:
        value, u_xx, u_yy = u(z, "u u_xx u_yy")
        return value - (u_xx + u_yy + source(z)) / K**2

    def ansatz(z: Point, network: Values) -> Values:
        x, y = z
        square = (1 - x**2) * (1 - y**2)
        rods = jnp.ones_like(x)
        for a, b, radius in DISCS:
            square_distance = ((x - a) ** 2 + (y - b) ** 2) / radius**2 - 1
            rods = rods * square_distance / (square_distance + 1)
        mixed = (WALL * rods + RODS * square) / (rods + square)
        return mixed + rods * square * network

    def solution(refined: bool) -> multipoles.PointFunction:
        nodes = REFINED_NODES if refined else NODES
        return multipoles.combined(
            REFINED if refined else SOLUTION,
            "poisson_2d_cg",
            lambda z: without_discs(z, nodes),
            refined,
        )

    return Problem(
        name="poisson_2d_cg",
        title="Screened Poisson equation in a square less four discs",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                dirichlet(domain, "u", "box", value=WALL, name="square"),
                dirichlet(domain, "u", "discs", value=RODS, name="discs"),
            ],
            corners=in_corners,
        ),
        reference=Reference(
            solution(refined=False),
            "integral over exit times, multipoles and images, by least squares on the circles",
            refined=solution(refined=True),
        ),
        evaluation_shape=(201, 201),
        arguments={"constraints": constraints},
        citation="arXiv:2306.08827",
    )
