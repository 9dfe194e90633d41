"""Taylor-Green vortex: Navier-Stokes `u_t + (u·∇)u + ∇p = ν Δu`, `∇·u = 0`, periodic in x and y.

A chequerboard of eddies that fades without changing its shape, on t ∈ [0, 1], x, y ∈ [0, 2π]:
`u = -cos x sin y e^{-2νt}`, `v = sin x cos y e^{-2νt}`, `p = -¼ (cos 2x + cos 2y) e^{-4νt}`. The
pressure, free up to a function of time, is prescribed at (2π, 2π),
or in the middle of the domain.

Source: Taylor and Green, "Mechanism of the production of small eddies from large ones" (Proc. R.
Soc. A 158, 1937), in two dimensions. ν = 0.1, with which the pressure falls by a third, is this
package's choice. Known difficulty: three equations to balance, of which advection and pressure
cancel exactly.
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
    periodic,
)
from pinnzoo.pdes._navier_stokes import navier_stokes, pin_pressure, prescribe_velocity


def taylor_green(
    viscosity: float = 0.1, constraints: str = "soft", pressure_at: str = "corner"
) -> Problem:
    """The two-dimensional Navier-Stokes equations with a decaying array of vortices.

    Args:
        viscosity: ν, length²/time.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `(u, v) = (u, v)(0, x, y) + t N(t, x, y)`. The other conditions stay residuals; the
            periodic ones, of all components and of the slopes of the velocities, vanish
            identically for a network with a periodic embedding of x and y.
        pressure_at: Where the pressure is prescribed, which is free up to a constant, at all
            times: "corner" or "middle".

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(viscosity=viscosity)
    check_constraints(constraints)
    domain = Box("txy", (0.0, 0.0, 0.0), (1.0, 2 * jnp.pi, 2 * jnp.pi))

    def solution(z: Point) -> Values:
        t, x, y = z
        fading = jnp.exp(-2 * viscosity * t)
        return jnp.stack(
            [
                -jnp.cos(x) * jnp.sin(y) * fading,
                jnp.sin(x) * jnp.cos(y) * fading,
                -(jnp.cos(2 * x) + jnp.cos(2 * y)) / 4 * fading**2,
            ]
        )

    def ansatz(z: Point, network: Values) -> Values:
        t, x, y = z
        u, v, _ = solution(jnp.stack([jnp.zeros_like(t), x, y]))
        return jnp.stack([u + t * network[0], v + t * network[1], network[2]])

    equation, system = navier_stokes(domain, viscosity)
    return Problem(
        name="taylor_green",
        title=f"Taylor-Green vortex in 2D, ν = {viscosity:g}",
        domain=domain,
        components=("u", "v", "p"),
        equation=equation,
        system=system,
        **constrained(
            constraints,
            ansatz,
            met=prescribe_velocity(domain, domain.face("t", 0.0), solution, "initial"),
            kept=[
                *(periodic(domain, c, "xy", f"periodic_{c}") for c in ("u", "v", "p")),
                *(
                    periodic(domain, f"{c}_{s}", s, f"periodic_{c}_{s}")
                    for c in ("u", "v")
                    for s in ("x", "y")
                ),
                pin_pressure(domain, solution, pressure_at),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(17, 121, 121),
        arguments={
            "viscosity": viscosity,
            "constraints": constraints,
            "pressure_at": pressure_at,
        },
        citation="doi:10.1098/rspa.1937.0036",
    )
