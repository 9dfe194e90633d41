"""Allen-Cahn in 2D: `u_t = ε² Δu + u - u³` on t ∈ [0, 4], x, y ∈ [0, 2π], periodic in x and y.

From `u(0, x, y) = 0.05 sin x sin y` with ε = 1/5. The small waves grow, until four squares of the
two phases u = 1 and u = -1 are left, with walls of the width ε between them.

Source: benchmarks of this kind are those of Church et al., "High accuracy benchmark problems for
Allen-Cahn and Cahn-Hilliard dynamics" (Commun. Comput. Phys. 26, 2019); the start, ε and the
horizon are this package's, chosen so that walls form and stay wide. Known difficulty: u = 0 solves
the equation, so that a network that misses the small start finds no phases at all, and what is
wrong there grows as e^t. The reference is stored for this ε alone, which is therefore no argument.
"""

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
    initial,
)
from pinnzoo.pdes._periodic import periodic_square
from pinnzoo.references import tensors

WIDTH, START = 0.2, 0.05
"""ε, and the amplitude at t = 0."""
HORIZON = 4.0


def allen_cahn_2d(constraints: str = "soft") -> Problem:
    """The Allen-Cahn equation in two dimensions.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = 0.05 sin x sin y + t N(t, x, y)`. The periodic conditions stay residuals; they
            vanish identically for a network with a periodic embedding of x and y.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints)
    domain = Box("txy", (0.0, 0.0, 0.0), (HORIZON, 2 * jnp.pi, 2 * jnp.pi))

    def equation(u: Field, z: Point) -> Scalar:
        value, u_t, u_xx, u_yy = u(z, "u u_t u_xx u_yy")
        return u_t - WIDTH**2 * (u_xx + u_yy) - value + value**3

    def profile(x: Scalar, y: Scalar) -> Scalar:
        return START * jnp.sin(x) * jnp.sin(y)

    def ansatz(z: Point, network: Values) -> Values:
        t, x, y = z
        return profile(x, y) + t * network

    return Problem(
        name="allen_cahn_2d",
        title="Allen-Cahn equation in 2D",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[initial(domain, "u", profile, name="initial")],
            kept=periodic_square(domain, "u"),
        ),
        reference=Reference(
            tensors.solution("allen_cahn_2d"),
            "Fourier and ETDRK4",
            refined=tensors.solution("allen_cahn_2d", refined=True),
        ),
        evaluation_shape=(21, 101, 101),
        arguments={"constraints": constraints},
        citation="doi:10.4208/cicp.OA-2019-0006",
    )
