"""Euler-Bernoulli beam: `u_tt + u_xxxx = f` on t ∈ [0, 1], x ∈ [0, π], simply supported.

A beam that begins at rest in one arch and is made to swing twice: `u = sin x cos 4πt`, for which
`f = (1 - 16π²) u`. At both ends `u = 0` and there is no bending moment, `u_xx = 0`.

Source: Kapoor, Wang, Núñez and Dollevoet, "Physics-informed neural networks for solving forward and
inverse problems in complex beam systems" (IEEE Trans. Neural Netw. Learn. Syst. 35, 2024, arXiv
2303.01055). Known difficulty: a fourth derivative in x, of order one here, beside a second one in
time that is 16π² times as large as the solution.
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
    dirichlet,
    initial,
)

FREQUENCY = 4 * math.pi


def euler_bernoulli_beam(constraints: str = "soft") -> Problem:
    """The driven vibration of a simply supported beam.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = sin x + t² x (π - x) N(t, x)`; that of no bending moment stays a residual.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints)
    domain = Box("tx", (0.0, 0.0), (1.0, math.pi))

    def solution(z: Point) -> Values:
        t, x = z
        return (jnp.sin(x) * jnp.cos(FREQUENCY * t))[None]

    def equation(u: Field, z: Point) -> Scalar:
        u_tt, u_xxxx = u(z, "u_tt u_xxxx")
        return u_tt + u_xxxx - (1 - FREQUENCY**2) * solution(z)[0]

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return jnp.sin(x) + t**2 * x * (math.pi - x) * network

    return Problem(
        name="euler_bernoulli_beam",
        title="Euler-Bernoulli beam",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", jnp.sin, name="initial"),
                initial(domain, "u_t", jnp.zeros_like, name="velocity"),
                dirichlet(domain, "u", "x", "left", name="left"),
                dirichlet(domain, "u", "x", "right", name="right"),
            ],
            kept=[
                dirichlet(domain, "u_xx", "x", "left", name="moment_left"),
                dirichlet(domain, "u_xx", "x", "right", name="moment_right"),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(201, 101),
        arguments={"constraints": constraints},
        citation="arXiv:2303.01055",
    )
