"""Laplace in a square less four discs: `Δu = 0`, `u = 1` on the square, `u = 0` on the discs.

The square is x, y ∈ [-½, ½], and the discs of radius 0.1 are centred where |x| = |y| = 0.3. The
potential between a square conductor and four rods.

Source: "Poisson2d-C" of PINNacle (Hao et al., NeurIPS 2024, arXiv 2306.08827). Known difficulty:
five boundaries that are close to each other, and a network that has no holes. Their file of
reference values is in error; the reference here is a sum of multipoles, which is certified by the
maximum principle.
"""

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

RADIUS, CENTRE = 0.1, 0.3
DISC = (CENTRE, CENTRE, RADIUS)
SOLUTION = multipoles.Harmonic(DISC, multipoles=24, powers=8)
REFINED = multipoles.Harmonic(DISC, multipoles=32, powers=10)
WALL = 1.0
"""What u is on the square."""


def poisson_2d_c(constraints: str = "soft") -> Problem:
    """Laplace's equation in a square less four discs.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for an ansatz with the distances
            from the square and from the discs, `u = g + φ N`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints)
    domain = Box("xy", (-0.5, -0.5), (0.5, 0.5))
    centres = [(x, y) for x in (-CENTRE, CENTRE) for y in (-CENTRE, CENTRE)]
    for centre in centres:
        domain = domain - Ball("xy", centre, RADIUS, name="discs")

    def equation(u: Field, z: Point) -> Scalar:
        u_xx, u_yy = u(z, "u_xx u_yy")
        # Of the order of the gradient at the discs.
        return RADIUS * (u_xx + u_yy)

    def ansatz(z: Point, network: Values) -> Values:
        x, y = z
        square = (1 - 4 * x**2) * (1 - 4 * y**2)
        rods = jnp.ones_like(x)
        for a, b in centres:
            square_distance = ((x - a) ** 2 + (y - b) ** 2) / RADIUS**2 - 1
            rods = rods * square_distance / (square_distance + 1)
        return rods / (rods + square) + rods * square * network

    return Problem(
        name="poisson_2d_c",
        title="Laplace equation in a square less four discs",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                dirichlet(domain, "u", "box", value=WALL, name="square"),
                dirichlet(domain, "u", "discs", value=0.0, name="discs"),
            ],
        ),
        reference=Reference(
            multipoles.combined(SOLUTION, "poisson_2d_c", lambda _: jnp.asarray(WALL)),
            "multipoles and images, by least squares on the circles",
            refined=multipoles.combined(
                REFINED, "poisson_2d_c", lambda _: jnp.asarray(WALL), refined=True
            ),
        ),
        evaluation_shape=(201, 201),
        arguments={"constraints": constraints},
        citation="arXiv:2306.08827",
    )
