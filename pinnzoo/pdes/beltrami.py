"""Beltrami flow: Navier-Stokes `u_t + (u·∇)u + ∇p = Δu / Re`, `∇·u = 0`, in 3D and time.

Interlocked spirals that fade without changing their shape, vorticity everywhere parallel to
velocity, on t ∈ [0, 1], x, y, z ∈ [-1, 1]. With ν = 1/Re,
`u = -a (e^{ax} sin(ay + dz) + e^{az} cos(ax + dy)) e^{-νd²t}`; v and w follow by the cyclic change
x → y → z → x. Velocities at t = 0 and on the six faces are those of the exact solution; the
pressure, free up to a function of time, is prescribed at (1, 1, 1),
or in the middle of the domain.

Source: Ethier and Steinman, "Exact fully 3D Navier-Stokes solutions for benchmarking" (Int. J.
Numer. Methods Fluids 19, 1994), with a = d = 1; Re = 1 as in Jin, Cai, Li and Karniadakis,
"NSFnets" (J. Comput. Phys. 426, 2021, arXiv 2003.06496). Known difficulty: four unknowns, four
equations and four coordinates, so that points are few and derivatives many.
"""

import jax.numpy as jnp

from pinnzoo import (
    Box,
    Point,
    Problem,
    Reference,
    Scalar,
    Values,
    check_constraints,
    check_positive,
    constrained,
)
from pinnzoo.pdes._navier_stokes import navier_stokes, pin_pressure, prescribe_velocity


def beltrami(
    a: float = 1.0,
    d: float = 1.0,
    reynolds: float = 1.0,
    constraints: str = "soft",
    pressure_at: str = "corner",
) -> Problem:
    """The three-dimensional Navier-Stokes equations with the solution of Ethier and Steinman.

    Args:
        a: Rate at which the flow grows along the diagonal of space, 1/length.
        d: Wave number of its spirals, 1/length.
        reynolds: Re, the inverse of the viscosity.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `(u, v, w) = (u, v, w)(0, x, y, z) + t N(t, x, y, z)`. The other conditions stay
            residuals.
        pressure_at: Where the pressure is prescribed, which is free up to a constant, at all
            times: "corner" or "middle".

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(a=a, d=d, reynolds=reynolds)
    check_constraints(constraints)
    domain = Box("txyz", (0.0, -1.0, -1.0, -1.0), (1.0, 1.0, 1.0, 1.0))

    def velocity(x: Scalar, y: Scalar, z: Scalar) -> Scalar:
        growing = jnp.exp(a * x) * jnp.sin(a * y + d * z)
        return -a * (growing + jnp.exp(a * z) * jnp.cos(a * x + d * y))

    def product(x: Scalar, y: Scalar, z: Scalar) -> Scalar:
        turning = jnp.sin(a * x + d * y) * jnp.cos(a * z + d * x)
        return jnp.exp(2 * a * x) + 2 * turning * jnp.exp(a * (y + z))

    def solution(point: Point) -> Values:
        t, x, y, z = point
        fading = jnp.exp(-(d**2) / reynolds * t)
        cycle = ((x, y, z), (y, z, x), (z, x, y))
        velocities = [velocity(*permuted) * fading for permuted in cycle]
        pressure = -(a**2) / 2 * sum(product(*permuted) for permuted in cycle) * fading**2
        return jnp.stack([*velocities, pressure])

    def ansatz(point: Point, network: Values) -> Values:
        start = solution(point.at[0].set(0.0))
        t = point[0]
        return jnp.concatenate([start[:3] + t * network[:3], network[3:]])

    equation, system = navier_stokes(domain, 1 / reynolds)
    return Problem(
        name="beltrami",
        title=f"Beltrami flow in 3D, a = {a:g}, d = {d:g}, Re = {reynolds:g}",
        domain=domain,
        components=("u", "v", "w", "p"),
        equation=equation,
        system=system,
        **constrained(
            constraints,
            ansatz,
            met=prescribe_velocity(domain, domain.face("t", 0.0), solution, "initial"),
            kept=[
                *prescribe_velocity(domain, domain.boundary("xyz"), solution, "boundary"),
                pin_pressure(domain, solution, pressure_at),
            ],
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(9, 29, 29, 29),
        arguments={
            "a": a,
            "d": d,
            "reynolds": reynolds,
            "constraints": constraints,
            "pressure_at": pressure_at,
        },
        citation="doi:10.1002/fld.1650190502",
    )
