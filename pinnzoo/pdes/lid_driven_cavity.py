"""Lid-driven cavity: Navier-Stokes `(u·∇)u + ∇p = Δu / Re`, `∇·u = 0` under a sliding lid.

The steady flow in the unit square, at rest on three walls. The lid at y = 1 slides along x with the
velocity `4x (1 - x)` at Re = 100 ("parabolic"), or `16 x² (1 - x)²` at Re = 1000 ("regularised").
The pressure, free up to a constant, is prescribed at (0, 0), or in the middle
of the square.

Source: the parabolic lid is "NS2d-C" of PINNacle (Hao et al., NeurIPS 2024, arXiv 2306.08827), and
of "DSGNAR" (arXiv 2607.02194); the regularised one is that of Shen, "Hopf bifurcation of the
unsteady regularized driven cavity flow" (J. Comput. Phys. 95, 1991). Known difficulty: a vortex
that only the lid drives, and corners. The parabolic lid has a slope where the wall has none, so
that the vorticity jumps in both upper corners and the pressure there is infinite, as
`±(8 / Re) log r`; errors are therefore measured at points inside. With a lid of velocity one, which
is not offered here, the velocity itself jumps. The reference solves for the stream function by
Chebyshev polynomials, with that singular part in closed form.
"""

import jax.numpy as jnp

from pinnzoo import (
    Box,
    Point,
    Problem,
    Reference,
    Values,
    check_constraints,
    check_positive,
    constrained,
    prescribe,
)
from pinnzoo.errors import RecipeError
from pinnzoo.pdes._navier_stokes import check_pressure_at, navier_stokes
from pinnzoo.references import cavity

STORED = {("parabolic", 100.0), ("regularised", 1000.0)}
"""Lids and Reynolds numbers with a reference."""


def lid_driven_cavity(
    reynolds: float = 100.0,
    lid: str = "parabolic",
    constraints: str = "soft",
    pressure_at: str = "corner",
) -> Problem:
    """The steady flow in a square under a sliding lid, in velocity and pressure.

    Args:
        reynolds: Re, the inverse of the viscosity. A reference is there for Re = 100 under the
            parabolic lid and for Re = 1000 under the regularised one; for others there is none,
            and no errors.
        lid: "parabolic" or "regularised".
        constraints: "soft" for conditions as residuals; "corners" for the same with u₀, v₀ and p₀
            beside the network, which meet the lid, and hold the singular part of the corners under
            the parabolic one; or "hard" for the ansatz `u = u₀ + x (1 - x) y (1 - y) N₁`,
            `v = v₀ + x (1 - x) y (1 - y) N₂`, `p = p₀ + (x + y) N₃`.
        pressure_at: Where the pressure, free up to a constant, is zero: "corner" for (0, 0), or
            "middle", which does not go with the ansatz.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(reynolds=reynolds)
    check_constraints(constraints, "corners")
    if lid not in cavity.LIDS:
        raise RecipeError(
            f"lid={lid!r} was given: allowed are {' and '.join(map(repr, cavity.LIDS))}."
        )
    check_pressure_at(pressure_at)
    middle = pressure_at == "middle"
    if middle and constraints == "hard":
        raise RecipeError(
            "pressure_at='middle' and constraints='hard' were given: the ansatz holds the pressure "
            "in the corner, so give one of them."
        )
    domain = Box("xy", (0.0, 0.0), (1.0, 1.0))
    driven = cavity.Lid(lid, 1 / reynolds)
    equation, system = navier_stokes(domain, 1 / reynolds)
    top = domain.face("y", 1.0)
    walls = {"left": ("x", 0.0), "right": ("x", 1.0), "bottom": ("y", 0.0)}
    at_rest = [
        prescribe(domain.face(coord, bound), c, 0.0, f"{wall}_{c}")
        for wall, (coord, bound) in walls.items()
        for c in "uv"
    ]

    def ansatz(z: Point, network: Values) -> Values:
        x, y = z
        inside = x * (1 - x) * y * (1 - y)
        return driven.flow(z) + jnp.stack([inside, inside, x + y]) * network

    place = 0.5 if middle else 0.0
    has_reference = (lid, float(reynolds)) in STORED
    return Problem(
        name="lid_driven_cavity",
        title=f"Lid-driven cavity, Re = {reynolds:g}, {lid} lid",
        domain=domain,
        components=("u", "v", "p"),
        equation=equation,
        system=system,
        **constrained(
            constraints,
            ansatz,
            met=[
                prescribe(top, "u", lambda z: driven.velocity(z[0]), "lid_u"),
                prescribe(top, "v", 0.0, "lid_v"),
                *at_rest,
                prescribe(domain.face("x", place).face("y", place), "p", 0.0, "pressure"),
            ],
            corners=driven.flow,
        ),
        reference=Reference(
            cavity.solution(lid, float(reynolds), middle=middle),
            "Galerkin's method for the stream function, corners in closed form",
            refined=cavity.solution(lid, float(reynolds), refined=True, middle=middle),
        )
        if has_reference
        else None,
        evaluation_shape=(10_000,) if lid == "parabolic" else (101, 101),
        arguments={
            "reynolds": reynolds,
            "lid": lid,
            "constraints": constraints,
            "pressure_at": pressure_at,
        },
        citation="arXiv:2306.08827",
    )
