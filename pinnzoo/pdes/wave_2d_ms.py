"""Wave in two directions: `u_tt = u_xx + 2 u_yy` on x, y ∈ [0, 1], `u = 0` on the boundary.

Two standing waves, `u = sin πx sin πy cos √3πt + sin 3πx sin 2πy cos √17πt`, with `u_t = 0` at
t = 0, on t ∈ [0, T] with T = 2 as a rule.

Source: "Wave2d-MS" of PINNacle (Hao et al., NeurIPS 2024, arXiv 2306.08827), corrected: the
solution stated there, `sin πx sinh πy cos πt + sinh 3πx sin 2πy cos πt`, does not solve the
equation stated there, so that no method has an error below order one (the best printed one is
0.94). Known difficulty: the ratio of the frequencies is irrational, so that nothing ever repeats;
T = 100, as in the source, is 206 periods of the fast one.
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
    check_positive,
    constrained,
    initial,
    prescribe,
)

MODES = ((1, 1), (3, 2))
"""Half waves along x and y; the frequency of a mode is `π √(m² + 2n²)`."""


def wave_2d_ms(horizon: float = 2.0, constraints: str = "soft") -> Problem:
    """The anisotropic wave equation of PINNacle, with a solution that solves it.

    Args:
        horizon: T, the end of time.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = u(0, x, y) + t² x (1 - x) y (1 - y) N(t, x, y)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(horizon=horizon)
    check_constraints(constraints)
    domain = Box("txy", (0.0, 0.0, 0.0), (horizon, 1.0, 1.0))

    waves = tuple(
        (math.pi * math.sqrt(m**2 + 2 * n**2), m * math.pi, n * math.pi) for m, n in MODES
    )

    def equation(u: Field, z: Point) -> Scalar:
        u_tt, u_xx, u_yy = u(z, "u_tt u_xx u_yy")
        return u_tt - u_xx - 2 * u_yy

    def swinging(t: Scalar | float, x: Scalar, y: Scalar) -> Scalar:
        modes = [
            jnp.sin(m * jnp.pi * x) * jnp.sin(n * jnp.pi * y) * jnp.cos(rate * t)
            for (m, n), (rate, _, _) in zip(MODES, waves, strict=True)
        ]
        return jnp.stack(modes).sum()

    def solution(z: Point) -> Values:
        return swinging(*z)[None]

    def profile(x: Scalar, y: Scalar) -> Scalar:
        return swinging(0.0, x, y)

    def ansatz(z: Point, network: Values) -> Values:
        t, x, y = z
        return profile(x, y) + t**2 * x * (1 - x) * y * (1 - y) * network

    return Problem(
        name="wave_2d_ms",
        title=f"Wave equation in two directions, t ≤ {horizon:g}",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", profile, name="initial"),
                initial(domain, "u_t", 0.0, name="velocity"),
                prescribe(domain.boundary("xy"), "u", 0.0, "boundary"),
            ],
        ),
        reference=Reference(solution, "closed form", waves=waves),
        evaluation_shape=(61, 41, 41),
        arguments={"horizon": horizon, "constraints": constraints},
        citation="arXiv:2306.08827",
    )
