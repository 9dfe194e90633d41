"""Wake of a cylinder: 2D Navier-Stokes at Re = 100, `u_t + (u·∇)u + ∇p = Δu / Re`, `∇·u = 0`.

The vortex street behind a cylinder of diameter 1 at the origin, in the window x ∈ [2.5, 7.5],
y ∈ [-2.5, 2.5] for t ∈ [0, 16], which is two and a half periods. Inflow 1 and density 1. Velocities
at t = 0 and on the four sides are those of the reference; the pressure, free up to a function of
time, is prescribed at (7.5, 2.5).

Source: Raissi, Perdikaris and Karniadakis, "Physics-informed neural networks" (J. Comput. Phys.
378, 2019), section 4.1.1, for the window, and appendix G.5 of Bonfanti, Bruno and Cipriani (arXiv
2402.03864) for the task. Known difficulty: three unknowns over several periods, so that errors of
early times are carried on. The reference is not their data set but the limit cycle of the flow by
finite elements of high order, see `scripts/make_cylinder_wake.py`.
"""

from pinnzoo import (
    Box,
    Problem,
    Reference,
    check_positive,
)
from pinnzoo.pdes._navier_stokes import navier_stokes, pin_pressure, prescribe_velocity
from pinnzoo.references import limit_cycle

REYNOLDS = 100.0
LOWER, UPPER = (2.5, -2.5), (7.5, 2.5)
STORED = "cylinder_wake"


def cylinder_wake(horizon: float = 16.0) -> Problem:
    """The wake of a cylinder, in velocity and pressure.

    Args:
        horizon: Last time.

    Raises:
        RecipeError: The horizon is not positive.
    """
    check_positive(horizon=horizon)
    domain = Box("txy", (0.0, *LOWER), (horizon, *UPPER))
    solution = limit_cycle.solution(STORED)
    equation, system = navier_stokes(domain, 1 / REYNOLDS)
    return Problem(
        name="cylinder_wake",
        title=f"Wake of a cylinder, Re = {REYNOLDS:g}, t up to {horizon:g}",
        domain=domain,
        components=("u", "v", "p"),
        equation=equation,
        system=system,
        conditions=(
            *prescribe_velocity(domain, domain.face("t", 0.0), solution, "initial"),
            *prescribe_velocity(domain, domain.boundary("xy"), solution, "boundary"),
            pin_pressure(domain, solution),
        ),
        reference=Reference(
            solution,
            "limit cycle by finite elements of order 5 (NGSolve), harmonics in t",
            refined=limit_cycle.solution(STORED, refined=True),
        ),
        evaluation_shape=(33, 33, 33),
        arguments={"horizon": horizon},
        citation="doi:10.1016/j.jcp.2018.10.045",
    )
