"""Burgers with unknown coefficients: `u_t + λ₁ u u_x = λ₂ u_xx` on t ∈ [0, 1], x ∈ [-1, 1].

The solution is that of `burgers`, which starts from `-sin πx` and steepens into a layer of width
~λ₂. Nobody says so: neither initial nor boundary values are given, only measurements of u, from
which the solution and both coefficients are found. The truth is λ₁ = 1 and λ₂ = 0.01/π.

Source: Raissi, Perdikaris and Karniadakis, "Physics-informed neural networks" (J. Comput. Phys.
378, 2019), appendix B.1: 2,000 measurements at random points, clean or with 1 % noise, and first
guesses λ₁ = 0 and λ₂ = exp(-6). Known difficulty: λ₂ acts in the layer alone, which is 0.003 wide.
"""

import math

from pinnzoo import Box, Field, Point, Problem, Reference, Scalar, Unknown, check_positive
from pinnzoo.pdes.burgers import NODES, REFINED_NODES
from pinnzoo.references import cole_hopf


def burgers_inverse(viscosity: float = 0.01 / math.pi) -> Problem:
    """The viscous Burgers equation with both coefficients unknown.

    Args:
        viscosity: The true λ₂, length²/time, from which measurements are made.

    Raises:
        RecipeError: The viscosity is not positive.
    """
    check_positive(viscosity=viscosity)
    domain = Box("tx", (0.0, -1.0), (1.0, 1.0))

    def equation(u: Field, z: Point) -> Scalar:
        value, u_t, u_x, u_xx = u(z, "u u_t u_x u_xx")
        return u_t + u.unknowns["convection"] * value * u_x - u.unknowns["viscosity"] * u_xx

    return Problem(
        name="burgers_inverse",
        title="Burgers equation with both coefficients unknown",
        domain=domain,
        components=("u",),
        equation=equation,
        unknowns={
            "convection": Unknown(0.0),
            "viscosity": Unknown(math.exp(-6), positive=True),
        },
        truth={"convection": 1.0, "viscosity": viscosity},
        reference=Reference(
            cole_hopf.burgers(viscosity, NODES),
            f"Cole-Hopf integral, {NODES} Gauss-Hermite nodes",
            refined=cole_hopf.burgers(viscosity, REFINED_NODES),
        ),
        evaluation_shape=(101, 2001),
        arguments={"viscosity": viscosity},
        citation="doi:10.1016/j.jcp.2018.10.045",
    )
