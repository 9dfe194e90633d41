"""A user's own file: the temperature of a rod that is heated inside, without a reference."""

import jax.numpy as jnp

from pinnzoo import Box, Problem, dirichlet


def rod(strength: float = 1.0) -> Problem:
    """`u'' = -strength π² sin πx`, u(0) = u(1) = 0, whose solution is `strength sin πx`."""
    domain = Box("x", (0.0,), (1.0,))

    def equation(u, z):
        (u_xx,) = u(z, "u_xx")
        return u_xx + strength * jnp.pi**2 * jnp.sin(jnp.pi * z[0])

    return Problem(
        name="rod",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(dirichlet(domain, "u", "x", "left"), dirichlet(domain, "u", "x", "right")),
        arguments={"strength": strength},
    )
