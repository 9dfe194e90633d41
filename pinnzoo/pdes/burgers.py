"""Burgers: `u_t + u u_x = ν u_xx` on t ∈ [0, 1], x ∈ [-1, 1], `u(0, x) = -sin πx`, `u(t, ±1) = 0`.

The sine steepens until, at t = 1/π, it has become a layer of width ~ν at x = 0, which then fades.

Source: Raissi, Perdikaris and Karniadakis, "Physics-informed neural networks" (J. Comput. Phys.
378, 2019), appendix A.1, with ν = 0.01/π; appendix G.4 of Bonfanti, Bruno and Cipriani (arXiv
2402.03864) uses it too. Known difficulty: the layer is 0.003 wide, so reference grids that do not
resolve it are good to 1e-5 only; the reference here is the Cole-Hopf integral.
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
    dirichlet,
    initial,
    odd_in,
)
from pinnzoo.references import cole_hopf

NODES, REFINED_NODES = 200, 300


def _in_words(viscosity: float) -> str:
    """The viscosity as it is usually written: as a number, or as one over π."""
    plain, over_pi = f"{viscosity:g}", f"{viscosity * math.pi:g}"
    return f"{over_pi}/π" if len(over_pi) < len(plain) else plain


def burgers(viscosity: float = 0.01 / math.pi, constraints: str = "soft") -> Problem:
    """The viscous Burgers equation.

    Args:
        viscosity: ν, length²/time.
        constraints: "soft" for conditions as residuals, "hard" for the ansatz
            `u = -sin πx + t (1 - x²) N(t, x)`, or "odd" for the same with
            `½ (N(t, x) - N(t, -x))` in the place of N: the solution is odd, and a network that
            knows needs half as many parameters.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(viscosity=viscosity)
    check_constraints(constraints, "odd")
    domain = Box("tx", (0.0, -1.0), (1.0, 1.0))

    def equation(u: Field, z: Point) -> Scalar:
        value, u_t, u_x, u_xx = u(z, "u u_t u_x u_xx")
        return u_t + value * u_x - viscosity * u_xx

    def profile(x: Scalar) -> Scalar:
        return -jnp.sin(jnp.pi * x)

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return profile(x) + t * (1 - x**2) * network

    return Problem(
        name="burgers",
        title=f"Viscous Burgers equation, ν = {_in_words(viscosity)}",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=[
                initial(domain, "u", profile, name="initial"),
                dirichlet(domain, "u", "x", "left", name="left"),
                dirichlet(domain, "u", "x", "right", name="right"),
            ],
        ),
        reference=Reference(
            cole_hopf.burgers(viscosity, NODES),
            f"Cole-Hopf integral, {NODES} Gauss-Hermite nodes",
            refined=cole_hopf.burgers(viscosity, REFINED_NODES),
        ),
        evaluation_shape=(101, 2001),
        arguments={"viscosity": viscosity, "constraints": constraints},
        citation="doi:10.1016/j.jcp.2018.10.045",
        symmetry=odd_in(domain.axis("x")) if constraints == "odd" else None,
    )
