"""A user's own file: the temperature of a rod that is heated inside, without a reference."""

import jax.numpy as jnp

from pinnzoo import Box, Problem, Unknown, dirichlet


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


def rod_inverse() -> Problem:
    """`k u'' = -π² sin πx`, u(0) = u(1) = 0, with an unknown k; the solution is `sin πx / k`."""
    domain = Box("x", (0.0,), (1.0,))

    def equation(u, z):
        (u_xx,) = u(z, "u_xx")
        return u.unknowns["k"] * u_xx + jnp.pi**2 * jnp.sin(jnp.pi * z[0])

    return Problem(
        name="rod_inverse",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(dirichlet(domain, "u", "x", "left"), dirichlet(domain, "u", "x", "right")),
        unknowns={"k": Unknown(1.0, positive=True)},
    )
