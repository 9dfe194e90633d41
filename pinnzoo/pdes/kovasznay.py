"""Kovasznay flow: Navier-Stokes `(u·∇)u + ∇p = Δu / Re`, `∇·u = 0`, velocity on the boundary.

The steady wake behind a row of cylinders, on x ∈ [-½, 1], y ∈ [-½, 3/2]:
`u = 1 - e^{λx} cos 2πy`, `v = λ/2π e^{λx} sin 2πy`, `p = ½ (1 - e^{2λx})` with
`λ = Re/2 - √(Re²/4 + 4π²)`. The pressure, free up to a constant, is prescribed at (1, 3/2),
or in the middle of the domain.

Source: Kovasznay, "Laminar flow behind a two-dimensional grid" (Proc. Camb. Phil. Soc. 44, 1948);
the domain and Re = 40 are those of Jin, Cai, Li and Karniadakis, "NSFnets" (J. Comput. Phys. 426,
2021, arXiv 2003.06496). Known difficulty: three equations to balance, and a pressure
that no data but one number anchors.
"""

import math

import jax.numpy as jnp

from pinnzoo import (
    Box,
    Point,
    Problem,
    Reference,
    Values,
    check_positive,
)
from pinnzoo.pdes._navier_stokes import navier_stokes, pin_pressure, prescribe_velocity


def kovasznay(reynolds: float = 40.0, pressure_at: str = "corner") -> Problem:
    """The steady two-dimensional Navier-Stokes equations behind a grid; conditions as residuals.

    Args:
        reynolds: Re, the inverse of the viscosity.
        pressure_at: Where the pressure is prescribed, which is free up to a constant: "corner" or
            "middle".

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(reynolds=reynolds)
    domain = Box("xy", (-0.5, -0.5), (1.0, 1.5))
    # Re/2 - √(Re²/4 + 4π²) without the difference of two large numbers.
    decay = -4 * math.pi**2 / (reynolds / 2 + math.hypot(reynolds / 2, 2 * math.pi))

    def solution(z: Point) -> Values:
        x, y = z
        wake = jnp.exp(decay * x)
        return jnp.stack(
            [
                1 - wake * jnp.cos(2 * jnp.pi * y),
                decay / (2 * jnp.pi) * wake * jnp.sin(2 * jnp.pi * y),
                (1 - wake**2) / 2,
            ]
        )

    equation, system = navier_stokes(domain, 1 / reynolds)
    return Problem(
        name="kovasznay",
        title=f"Kovasznay flow, Re = {reynolds:g}",
        domain=domain,
        components=("u", "v", "p"),
        equation=equation,
        system=system,
        conditions=(
            *prescribe_velocity(domain, domain.boundary("xy"), solution, "boundary"),
            pin_pressure(domain, solution, pressure_at),
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(301, 401),
        arguments={"reynolds": reynolds, "pressure_at": pressure_at},
        citation="arXiv:2003.06496",
    )
