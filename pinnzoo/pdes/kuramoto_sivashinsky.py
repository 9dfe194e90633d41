"""Kuramoto-Sivashinsky: `u_t + α u u_x + β u_xx + γ u_xxxx = 0` on t ∈ [0, 1], periodic in x.

x ∈ [0, 2π], `u(0, x) = cos x (1 + sin x)`, and α = 100/16, β = 100/16², γ = 100/16⁴. The profile
steepens, and from t = 0.4 on it breaks up into cells that move, merge and split in a chaotic way.

Source: the chaotic case of Wang, Sankaran and Perdikaris, "Respecting causality is all you need for
training physics-informed neural networks" (arXiv 2203.07404), on the time that later work has in
common. Known difficulty: waves slower than 16 over the period grow, so that errors made early grow
too, and a training that does not respect the order of time fails; published horizons differ, from
t ≤ 0.35 to t ≤ 1, and their errors cannot be compared. The reference is stored for these factors
alone, which are therefore no arguments.
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
    initial,
    odd_in,
    periodic,
)
from pinnzoo.references import stored

STEEPENING, GROWTH, DAMPING = 100 / 16, 100 / 16**2, 100 / 16**4
"""α, β and γ."""


def kuramoto_sivashinsky(constraints: str = "soft") -> Problem:
    """The Kuramoto-Sivashinsky equation in its chaotic regime.

    Args:
        constraints: "soft" for conditions as residuals, "hard" for the ansatz
            `u = cos x (1 + sin x) + t N(t, x)`, or "odd" for the same with
            `½ (N(t, x) - N(t, π - x))` in the place of N: the solution stays odd about π/2, as it
            begins, and errors that are not would grow. The periodic conditions stay residuals;
            they vanish identically for a network with a periodic embedding of x, which "odd" asks
            for.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints, "odd")
    domain = Box("tx", (0.0, 0.0), (1.0, 2 * math.pi))

    def equation(u: Field, z: Point) -> Scalar:
        value, u_t, u_x, u_xx, u_xxxx = u(z, "u u_t u_x u_xx u_xxxx")
        return u_t + STEEPENING * value * u_x + GROWTH * u_xx + DAMPING * u_xxxx

    def profile(x: Scalar) -> Scalar:
        return jnp.cos(x) * (1 + jnp.sin(x))

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return profile(x) + t * network

    wraps = tuple(
        periodic(domain, f"u{slope}", "x", f"periodic{slope}")
        for slope in ("", "_x", "_xx", "_xxx")
    )
    return Problem(
        name="kuramoto_sivashinsky",
        title="Kuramoto-Sivashinsky equation",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints, ansatz, met=[initial(domain, "u", profile, name="initial")], kept=wraps
        ),
        reference=Reference(
            stored.solution("kuramoto_sivashinsky"),
            "Fourier and ETDRK4",
            refined=stored.solution("kuramoto_sivashinsky", refined=True),
        ),
        evaluation_shape=(201, 513),
        arguments={"constraints": constraints},
        symmetry=odd_in(domain.axis("x"), math.pi / 2) if constraints == "odd" else None,
        citation="arXiv:2203.07404",
    )
