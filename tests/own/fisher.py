"""Fisher-KPP, `u_t = u_xx + rate u (1 - u)`, with no flux at both ends: a user's own file."""

import jax.numpy as jnp

from pinnzoo import Box, Problem, initial, neumann


def fisher(rate: float = 1.0) -> Problem:
    """Growth and diffusion of a population."""
    domain = Box("tx", (0.0, 0.0), (1.0, 1.0))

    def equation(u, z):
        value, u_t, u_xx = u(z, "u u_t u_xx")
        return u_t - u_xx - rate * value * (1 - value)

    return Problem(
        name="fisher",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(
            initial(domain, "u", lambda x: 0.5 + 0.3 * jnp.cos(jnp.pi * x)),
            neumann(domain, "u", "x", "left"),
            neumann(domain, "u", "x", "right"),
        ),
        arguments={"rate": rate},
    )
