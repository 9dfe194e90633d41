"""Two standing waves between fixed ends: what the wave problems share."""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from pinnzoo import (
    Box,
    Field,
    Point,
    Problem,
    Reference,
    Scalar,
    Values,
    constrained,
    dirichlet,
    initial,
)


def standing_waves(
    name: str,
    title: str,
    speed: float,
    beta: float,
    *,
    arguments: Mapping[str, Any],
    citation: str,
) -> Problem:
    """`u_tt = c² u_xx` on the unit square from rest at `u = sin πx + ½ sin βπx`, u = 0 at the ends.

    Args:
        name: Name of the problem.
        title: Its title.
        speed: c, length/time.
        beta: β, half waves of the fast mode; a whole number.
        arguments: Those of the problem, with "constraints" among them.
        citation: Where it is from.
    """
    domain = Box("tx", (0.0, 0.0), (1.0, 1.0))

    def equation(u: Field, z: Point) -> Scalar:
        u_tt, u_xx = u(z, "u_tt u_xx")
        return u_tt - speed**2 * u_xx

    def profile(x: Scalar) -> Scalar:
        return jnp.sin(jnp.pi * x) + 0.5 * jnp.sin(beta * jnp.pi * x)

    def solution(z: Point) -> Values:
        t, x = z
        slow = jnp.sin(jnp.pi * x) * jnp.cos(speed * jnp.pi * t)
        fast = 0.5 * jnp.sin(beta * jnp.pi * x) * jnp.cos(beta * speed * jnp.pi * t)
        return (slow + fast)[None]

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return profile(x) + t**2 * x * (1 - x) * network

    return Problem(
        name=name,
        title=title,
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            arguments["constraints"],
            ansatz,
            met=[
                initial(domain, "u", profile, name="initial"),
                initial(domain, "u_t", jnp.zeros_like, name="velocity"),
                dirichlet(domain, "u", "x", "left", name="left"),
                dirichlet(domain, "u", "x", "right", name="right"),
            ],
        ),
        reference=Reference(
            solution,
            "closed form",
            waves=tuple((m * speed * math.pi, m * math.pi) for m in (1.0, beta)),
        ),
        evaluation_shape=(201, 201),
        arguments=arguments,
        citation=citation,
    )
