"""Conductivity of a plate: `u_t = ∇·(a ∇u) + f` with a(x, y) unknown, from noisy temperatures.

On t ∈ [0, 1], x, y ∈ [-1, 1]. The source f is that of `u = e^{-t} sin πx sin πy` with the
conductivity `a = 2 + sin πx sin πy`, of which only the values on the boundary are known; nothing is
known of u but what is measured. The conductivity is a component of its own, without an equation.

Source: HInv of PINNacle (Hao et al., arXiv 2306.08827), with 2,500 temperatures and normal noise of
standard deviation 0.1. Known difficulty: u fades, so that the noise is as large as u itself at
the end, and a is what multiplies its second derivatives.
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
    constant_along,
    constrained,
    prescribe,
)
from pinnzoo.errors import RecipeError

BOUNDARY = 2.0
"""The conductivity on the boundary."""

PRIORS = ("none", "smooth")


def heat_conductivity(constraints: str = "soft", prior: str = "none") -> Problem:
    """The heat equation with an unknown conductivity.

    Args:
        constraints: "soft" for the conductivity's boundary values as residuals, "hard" for the
            ansatz `a = 2 exp((1 - x²)(1 - y²) N(x, y))`, which is positive, too.
        prior: "smooth" for the terms "smooth_x" and "smooth_y", `a_xxx = 0` and `a_yyy = 0`, which
            the training weighs against the noise. What is rough in `a` hardly moves u, so that
            without a prior noise decides on it. A power of the Laplacian would not do: functions
            that it does not see vanish on the boundary with any slope there.

    Raises:
        RecipeError: The constraints or the prior are none of these.
    """
    check_constraints(constraints)
    if prior not in PRIORS:
        raise RecipeError(f"prior={prior!r} was given: give {' or '.join(map(repr, PRIORS))}.")
    domain = Box("txy", (0.0, -1.0, -1.0), (1.0, 1.0, 1.0))

    def equation(u: Field, z: Point) -> Scalar:
        names = "u_t u_x u_y u_xx u_yy a a_x a_y"
        u_t, u_x, u_y, u_xx, u_yy, a, a_x, a_y = u(z, names)
        return u_t - a * (u_xx + u_yy) - a_x * u_x - a_y * u_y - source(z)

    def roughness(axis: str) -> Condition:
        return Condition(f"smooth_{axis}", lambda u, z: u(z, f"a_{axis * 3}")[0], domain)

    def ansatz(z: Point, network: Values) -> Values:
        _, x, y = z
        return network.at[1].set(BOUNDARY * jnp.exp((1 - x**2) * (1 - y**2) * network[1]))

    return Problem(
        name="heat_conductivity",
        title="Conductivity of a plate from noisy temperatures",
        domain=domain,
        components=("u", "a"),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[prescribe(domain.boundary("xy"), "a", BOUNDARY, "conductivity")],
        ),
        system=tuple(map(roughness, "xy")) if prior == "smooth" else (),
        symmetry=constant_along(domain.axis("t"), [1]),
        reference=Reference(solution, "closed form"),
        arguments={"constraints": constraints, "prior": prior},
        citation="arXiv:2306.08827",
    )


def solution(z: Point) -> Values:
    """Temperature and conductivity."""
    t, x, y = z
    wave = jnp.sin(jnp.pi * x) * jnp.sin(jnp.pi * y)
    return jnp.stack([jnp.exp(-t) * wave, BOUNDARY + wave])


def source(z: Point) -> Scalar:
    """f, which follows from the solution."""
    t, x, y = z
    (sx, sy), (cx, cy) = ((g(jnp.pi * x), g(jnp.pi * y)) for g in (jnp.sin, jnp.cos))
    curved = 2 * (sx * sy) ** 2 - (cx * sy) ** 2 - (sx * cy) ** 2
    return jnp.exp(-t) * ((4 * jnp.pi**2 - 1) * sx * sy + jnp.pi**2 * curved)
