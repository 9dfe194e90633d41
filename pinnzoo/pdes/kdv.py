"""Korteweg-de Vries: `u_t + u u_x + δ² u_xxx = 0` on t ∈ [0, 1], x ∈ [-1, 1], periodic in x.

From `u(0, x) = cos πx` the wave steepens until, at t = 1/π, dispersion with δ = 0.022 breaks it up
into a train of solitons that overtake one another.

Source: Zabusky and Kruskal, "Interaction of solitons in a collisionless plasma and the recurrence
of initial states" (Phys. Rev. Lett. 15, 1965), on a shifted period, as in the benchmarks of
arXiv 2402.00326. Known difficulty: a third derivative with a small factor, and solitons 0.1 wide.
The reference is stored for this δ alone, which is therefore no argument.
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
    periodic,
)
from pinnzoo.references import stored

DISPERSION = 0.022


def kdv(constraints: str = "soft") -> Problem:
    """The Korteweg-de Vries equation in the setting of Zabusky and Kruskal.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = cos πx + t N(t, x)`. The periodic conditions stay residuals; they vanish
            identically for a network with a periodic embedding of x.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints)
    domain = Box("tx", (0.0, -1.0), (1.0, 1.0))

    def equation(u: Field, z: Point) -> Scalar:
        value, u_t, u_x, u_xxx = u(z, "u u_t u_x u_xxx")
        return u_t + value * u_x + DISPERSION**2 * u_xxx

    def profile(x: Scalar) -> Scalar:
        return jnp.cos(jnp.pi * x)

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return profile(x) + t * network

    wraps = (
        periodic(domain, "u", "x", "periodic"),
        periodic(domain, "u_x", "x", "periodic_x"),
        periodic(domain, "u_xx", "x", "periodic_xx"),
    )
    return Problem(
        name="kdv",
        title=f"Korteweg-de Vries equation, δ = {DISPERSION:g}",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints, ansatz, met=[initial(domain, "u", profile, name="initial")], kept=wraps
        ),
        reference=Reference(
            stored.solution("kdv"),
            "Fourier and ETDRK4",
            refined=stored.solution("kdv", refined=True),
        ),
        evaluation_shape=(201, 1001),
        arguments={"constraints": constraints},
        citation="doi:10.1103/PhysRevLett.15.240",
    )
