"""Schrödinger breather: `i h_t + ½ h_xx + |h|² h = 0` on t ∈ [0, π/2], x ∈ [-15, 15].

From `h(0, x) = 2 sech x` two solitons bound to one another focus at t = π/4, where |h| is 4, and
come back: `h = 4 e^(it/2) (cosh 3x + 3 e^(4it) cosh x) / (cosh 4x + 4 cosh 2x + 3 cos 4t)`. The
unknowns are u = Re h and v = Im h, and their values at both ends, below 1.3e-6, are those of this
solution.

Source: Satsuma and Yajima, "Initial value problems of one-dimensional self-modulation of nonlinear
waves in dispersive media" (Suppl. Prog. Theor. Phys. 55, 1974) for the solution; the interval is
that of Urbán, Stefanou and Pons (J. Comput. Phys. 523, 2025, arXiv 2405.04230), who take it as
periodic, which leaves their file `NLS.mat` 3.1e-7 away. On the usual period, from -5 to 5, the
initial profile has a kink that no network resolves (see `schrodinger`); here there is none. Known
difficulty: the focus is a tenth wide, on an interval of thirty.
"""

import math

import jax.numpy as jnp

from pinnzoo import (
    Box,
    Condition,
    Field,
    Point,
    PointFunction,
    Problem,
    Reference,
    Scalar,
    Values,
    check_constraints,
    constrained,
    dirichlet,
    initial,
)

REACH = 15.0

WAIST = 0.5
"""w: within it the coordinate of an even network is flat, as the focus is about as wide."""


def breather(t: Scalar | float, x: Scalar | float) -> Values:
    """U and v."""
    t, x = jnp.asarray(t), jnp.asarray(x)
    below = jnp.cosh(4 * x) + 4 * jnp.cosh(2 * x) + 3 * jnp.cos(4 * t)
    outer, inner = 4 * jnp.cosh(3 * x) / below, 12 * jnp.cosh(x) / below
    return jnp.stack(
        [
            outer * jnp.cos(t / 2) + inner * jnp.cos(4.5 * t),
            outer * jnp.sin(t / 2) + inner * jnp.sin(4.5 * t),
        ]
    )


def even(network: PointFunction) -> PointFunction:
    """Shows a network `√(w² + x²)` in the place of x, stretched to the same interval.

    All even functions are functions of it, and smooth ones stay smooth; far from x = 0 it grows
    like |x|.
    """
    longest = math.hypot(WAIST, REACH) - WAIST

    def of_both_sides(z: Point) -> Values:
        distance = (jnp.hypot(WAIST, z[1]) - WAIST) / longest
        return network(z.at[1].set(REACH * (2 * distance - 1)))

    return of_both_sides


def schrodinger_breather(constraints: str = "soft") -> Problem:
    """The two-soliton breather of the focusing nonlinear Schrödinger equation.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `h = h(0, x) + h(t, 15) - h(0, 15) + t (1 - x²/225) N(t, x)`, in which the values at
            the ends are below 1.3e-6. Or "even" for the same with a network of t and `√(¼ + x²)`,
            which is all that an even solution needs.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints, "even")
    domain = Box("tx", (0.0, -REACH), (math.pi / 2, REACH))

    def equation(h: Field, z: Point) -> Scalar:
        u, v, u_t, v_xx = h(z, "u v u_t v_xx")
        return u_t + v_xx / 2 + (u**2 + v**2) * v

    def equation_v(h: Field, z: Point) -> Scalar:
        u, v, v_t, u_xx = h(z, "u v v_t u_xx")
        return v_t - u_xx / 2 - (u**2 + v**2) * u

    def solution(z: Point) -> Values:
        return breather(*z)

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        lift = breather(0.0, x) + breather(t, REACH) - breather(0.0, REACH)
        return lift + t * (1 - (x / REACH) ** 2) * network

    met = [
        initial(domain, "u", lambda x: breather(0.0, x)[0]),
        initial(domain, "v", jnp.zeros_like),
        *(
            dirichlet(domain, c, "x", side, lambda z, k=k: breather(z[0], REACH)[k])
            for k, c in enumerate("uv")
            for side in ("left", "right")
        ),
    ]
    return Problem(
        name="schrodinger_breather",
        title="Nonlinear Schrödinger equation, breather",
        domain=domain,
        components=("u", "v"),
        equation=equation,
        system=(Condition("equation_v", equation_v, domain),),
        **constrained(constraints, ansatz, met=met),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(101, 601),
        arguments={"constraints": constraints},
        citation="arXiv:2405.04230",
        symmetry=even if constraints == "even" else None,
    )
