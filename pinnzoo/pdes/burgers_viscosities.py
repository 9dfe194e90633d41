"""Burgers for every viscosity: `u_t + u u_x = ν u_xx` for ν from 0.01/π to 0.1, in one network.

t ∈ [0, 1], x ∈ [-1, 1], `u(0, x, ν) = -sin πx`, `u(t, ±1, ν) = 0`; the coordinate n is ν, drawn
uniformly in its logarithm. At the lower end the sine steepens to a layer of width ~ν, at the upper
end it only leans over.

Source: the setting is that of Raissi, Perdikaris and Karniadakis (J. Comput. Phys. 378, 2019) for
ν = 0.01/π, made a family. Known difficulty: the error is largest at the smallest ν, which is a
small part of the points.
"""

import math

import jax.numpy as jnp

from pinnzoo import (
    Box,
    Field,
    Parameter,
    Point,
    Problem,
    Reference,
    Scalar,
    Values,
    check_constraints,
    check_positive,
    constrained,
    dirichlet,
    initial,
    odd_in,
)
from pinnzoo.references import cole_hopf

NODES, REFINED_NODES = 200, 300


def burgers_viscosities(
    lowest: float = 0.01 / math.pi, highest: float = 0.1, constraints: str = "soft"
) -> Problem:
    """The viscous Burgers equation with the viscosity as an input of the network.

    Args:
        lowest: Smallest viscosity, length²/time.
        highest: Largest viscosity.
        constraints: "soft" for conditions as residuals, "hard" for the ansatz
            `u = -sin πx + t (1 - x²) N(t, x, ν)`, or "odd" for the same with
            `½ (N(t, x, ν) - N(t, -x, ν))` in the place of N.

    Raises:
        RecipeError: An argument is out of range.
        PointsError: The largest viscosity is below the smallest one.
    """
    check_positive(lowest=lowest, highest=highest)
    check_constraints(constraints, "odd")
    domain = Box("tx", (0.0, -1.0), (1.0, 1.0)) * Parameter("n", lowest, highest, "log")

    def equation(u: Field, z: Point) -> Scalar:
        value, u_t, u_x, u_xx = u(z, "u u_t u_x u_xx")
        return u_t + value * u_x - z[2] * u_xx

    def profile(x: Scalar) -> Scalar:
        return -jnp.sin(jnp.pi * x)

    def ansatz(z: Point, network: Values) -> Values:
        t, x, _ = z
        return profile(x) + t * (1 - x**2) * network

    def solution(nodes: int) -> cole_hopf.PointFunction:
        return lambda z: cole_hopf.burgers(z[2], nodes)(z[:2])

    return Problem(
        name="burgers_viscosities",
        title="Viscous Burgers equation for all viscosities",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", lambda x, _: profile(x), name="initial"),
                dirichlet(domain, "u", "x", "left", name="left"),
                dirichlet(domain, "u", "x", "right", name="right"),
            ],
        ),
        reference=Reference(
            solution(NODES),
            f"Cole-Hopf integral, {NODES} Gauss-Hermite nodes",
            refined=solution(REFINED_NODES),
        ),
        evaluation_shape=(26, 801, 9),
        arguments={"lowest": lowest, "highest": highest, "constraints": constraints},
        citation="doi:10.1016/j.jcp.2018.10.045",
        symmetry=odd_in(domain.axis("x")) if constraints == "odd" else None,
    )
