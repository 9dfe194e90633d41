"""Gray-Scott: `u_t = Δu / 5 + 40 (1 - u) - 1000 u v²`, `v_t = Δv / 10 - 100 v + 1000 u v²`.

On x, y ∈ [-1, 1], periodic, from `u = 1 - exp(-10 ((x + 0.05)² + (y + 0.02)²))` and
`v = exp(-10 ((x - 0.05)² + (y - 0.02)²))`, each Gaussian summed over its periods. v lives on u,
which is fed everywhere: the spot of v eats what u there is in it and becomes a ring. The time is
t ∈ [0, 0.01], in which v without u would fall to a third.

Source: Wang, Li, Chen and Perdikaris, "PirateNets: physics-informed deep learning with residual
adaptive networks" (arXiv 2402.00326), on t ∈ [0, 2] there in windows of time; errors on other times
cannot be compared with those on this one. Their Gaussians are not summed, and are therefore not
periodic: at the edges the difference is 1e-4. Known difficulty: rates of a thousand beside each
other, and a ring whose edge becomes sharp. The reference is stored for these factors alone, which
are therefore no arguments.
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

DIFFUSION = (0.2, 0.1)
FEED, REMOVAL, REACTION = 40.0, 100.0, 1000.0
CENTRES = ((-0.05, -0.02), (0.05, 0.02))
"""Of the Gaussians in u and in v."""
HORIZON = 0.01
SCALE = 100.0
"""By which both equations are divided, so that their terms are of the order of one."""


def bell(s: Scalar, centre: float) -> Scalar:
    """`exp(-10 (s - centre)²)`, summed over the periods that can be seen in float64."""
    return sum(jnp.exp(-10 * (s - centre + 2 * k) ** 2) for k in range(-3, 4))  # pyright: ignore


def gray_scott(constraints: str = "soft") -> Problem:
    """The Gray-Scott equations of two substances that react in two dimensions.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `(u, v) = (u, v)(0, x, y) + (t / T) N(t, x, y)` with T the last time. The periodic
            conditions stay residuals; they vanish identically for a network with a periodic
            embedding of x and y.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints)
    domain = Box("txy", (0.0, -1.0, -1.0), (HORIZON, 1.0, 1.0))

    def equation(field: Field, z: Point) -> Scalar:
        u, v, u_t, u_xx, u_yy = field(z, "u v u_t u_xx u_yy")
        reacted = REACTION * u * v**2
        return (u_t - DIFFUSION[0] * (u_xx + u_yy) - FEED * (1 - u) + reacted) / SCALE

    def equation_v(field: Field, z: Point) -> Scalar:
        u, v, v_t, v_xx, v_yy = field(z, "u v v_t v_xx v_yy")
        reacted = REACTION * u * v**2
        return (v_t - DIFFUSION[1] * (v_xx + v_yy) + REMOVAL * v - reacted) / SCALE

    def profile_u(x: Scalar, y: Scalar) -> Scalar:
        return 1 - bell(x, CENTRES[0][0]) * bell(y, CENTRES[0][1])

    def profile_v(x: Scalar, y: Scalar) -> Scalar:
        return bell(x, CENTRES[1][0]) * bell(y, CENTRES[1][1])

    def ansatz(z: Point, network: Values) -> Values:
        t, x, y = z
        return jnp.stack([profile_u(x, y), profile_v(x, y)]) + t / HORIZON * network

    return Problem(
        name="gray_scott",
        title="Gray-Scott equations in 2D",
        domain=domain,
        components=("u", "v"),
        equation=equation,
        system=(Condition("equation_v", equation_v, domain),),
        **constrained(
            constraints,
            ansatz,
            met=[initial(domain, "u", profile_u), initial(domain, "v", profile_v)],
            kept=periodic_square(domain, "uv"),
        ),
        reference=Reference(
            tensors.solution("gray_scott"),
            "Fourier and ETDRK4",
            refined=tensors.solution("gray_scott", refined=True),
        ),
        evaluation_shape=(21, 101, 101),
        arguments={"constraints": constraints},
        citation="arXiv:2402.00326",
    )
