"""Heating of a rod: `u_t = κ u_xx + f(x)` with f unknown, from temperatures.

On t ∈ [0, 1], x ∈ [0, 1], with `u(0, x) = 0` and `u(t, 0) = u(t, 1) = 0`. The source is
`f = sin πx + sin 3πx`, so that the solution is `Σ (1 - e^{-κ(kπ)²t}) / (κ(kπ)²) sin kπx` over k = 1
and 3. The source is a component of its own, without an equation.

Source: own statement, in time, of the unknown forcing field that is among the examples of DeepXDE
(Lu, Meng, Mao and Karniadakis, arXiv 1907.04502). Known difficulty: what varies fast in f is damped
in u, so that noise in u comes back larger.
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
    constant_along,
    constrained,
    dirichlet,
    initial,
)

MODES = (1, 3)
"""The k of the sines in the source."""


def heat_source(diffusivity: float = 0.1, constraints: str = "soft") -> Problem:
    """The heat equation with an unknown source.

    Args:
        diffusivity: κ, length²/time.
        constraints: "soft" for initial and boundary values as residuals, "hard" for the ansatz
            `u = t x (1 - x) N(t, x)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(diffusivity=diffusivity)
    check_constraints(constraints)
    domain = Box("tx", (0.0, 0.0), (1.0, 1.0))

    def equation(u: Field, z: Point) -> Scalar:
        u_t, u_xx, f = u(z, "u_t u_xx f")
        return u_t - diffusivity * u_xx - f

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return network.at[0].multiply(t * x * (1 - x))

    def solution(z: Point) -> Values:
        t, x = z
        waves = [jnp.sin(k * jnp.pi * x) for k in MODES]
        rates = [diffusivity * (k * math.pi) ** 2 for k in MODES]
        grown = [-jnp.expm1(-r * t) / r * w for r, w in zip(rates, waves, strict=True)]
        return jnp.stack([sum(grown, jnp.zeros_like(t)), sum(waves, jnp.zeros_like(x))])

    return Problem(
        name="heat_source",
        title="Unknown heating of a rod from temperatures",
        domain=domain,
        components=("u", "f"),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", 0.0, name="initial"),
                dirichlet(domain, "u", "x", "left", name="left"),
                dirichlet(domain, "u", "x", "right", name="right"),
            ],
        ),
        symmetry=constant_along(domain.axis("t"), [1]),
        reference=Reference(solution, "closed form"),
        arguments={"diffusivity": diffusivity, "constraints": constraints},
        citation="arXiv:1907.04502",
    )
