"""Ginzburg-Landau: `A_t = ΔA / 250 + 10 A - 10 (1 + 1.5i) |A|² A`, complex, periodic in x and y.

On x, y ∈ [-1, 1] from `A(0, x, y) = 10 (y + ix) exp(-25 (x² + y²))`, with u and v the real and the
imaginary part of A. A vortex, which is zero in its middle and turns as fast as A is large, grows
and winds itself into a spiral. The time is t ∈ [0, 0.2], in which it turns by half.

Source: Wang, Sankaran, Wang and Perdikaris, "An expert's guide to training physics-informed neural
networks" (arXiv 2308.08468), on t ∈ [0, 1] there in windows of time; errors on other times cannot
be compared with those on this one. Known difficulty: a phase that turns fifteen times per unit of
time where |A| = 1 and not at all where A = 0, so that the arms of the spiral become thin. The
reference is stored for these factors alone, which are therefore no arguments.
"""

import jax.numpy as jnp

from pinnzoo import (
    Box,
    Condition,
    Field,
    Point,
    Problem,
    Reference,
    Scalar,
    Values,
    check_constraints,
    constrained,
    initial,
)
from pinnzoo.pdes._periodic import periodic_square
from pinnzoo.references import tensors

GROWTH, TURNING, DIFFUSION = 10.0, 1.5, 1 / 250
HORIZON = 0.2


def profile(x: Scalar, y: Scalar) -> tuple[Scalar, Scalar]:
    """Real and imaginary part at t = 0."""
    bell = 10 * jnp.exp(-25 * (x**2 + y**2))
    return y * bell, x * bell


def ginzburg_landau(constraints: str = "soft") -> Problem:
    """The complex Ginzburg-Landau equation in two dimensions.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `(u, v) = (u, v)(0, x, y) + t N(t, x, y)`. The periodic conditions stay residuals; they
            vanish identically for a network with a periodic embedding of x and y.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints)
    domain = Box("txy", (0.0, -1.0, -1.0), (HORIZON, 1.0, 1.0))

    # Both equations are divided by the rate of growth.
    def equation(field: Field, z: Point) -> Scalar:
        u, v, u_t, u_xx, u_yy = field(z, "u v u_t u_xx u_yy")
        cubic = (u - TURNING * v) * (u**2 + v**2)
        return (u_t - DIFFUSION * (u_xx + u_yy)) / GROWTH - u + cubic

    def equation_v(field: Field, z: Point) -> Scalar:
        u, v, v_t, v_xx, v_yy = field(z, "u v v_t v_xx v_yy")
        cubic = (v + TURNING * u) * (u**2 + v**2)
        return (v_t - DIFFUSION * (v_xx + v_yy)) / GROWTH - v + cubic

    def ansatz(z: Point, network: Values) -> Values:
        t, x, y = z
        return jnp.stack(profile(x, y)) + t * network

    return Problem(
        name="ginzburg_landau",
        title="Complex Ginzburg-Landau equation in 2D",
        domain=domain,
        components=("u", "v"),
        equation=equation,
        system=(Condition("equation_v", equation_v, domain),),
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", lambda x, y: profile(x, y)[0]),
                initial(domain, "v", lambda x, y: profile(x, y)[1]),
            ],
            kept=periodic_square(domain, "uv"),
        ),
        reference=Reference(
            tensors.solution("ginzburg_landau"),
            "Fourier and ETDRK4",
            refined=tensors.solution("ginzburg_landau", refined=True),
        ),
        evaluation_shape=(21, 101, 101),
        arguments={"constraints": constraints},
        citation="arXiv:2308.08468",
    )
