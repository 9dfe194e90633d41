"""Schrödinger: `i h_t + ½ h_xx + |h|² h = 0` on t ∈ [0, π/2], x ∈ [-5, 5], periodic in x.

From `h(0, x) = 2 sech x` two solitons bound to one another focus at t = π/4, where |h| is 4, and
come back. The unknowns are u = Re h and v = Im h.

Source: Raissi, Perdikaris and Karniadakis, "Physics-informed neural networks" (J. Comput. Phys.
378, 2019), section 3.1.1. Known difficulty: on this period `2 sech x` is not smooth but has a kink
at x = ±5, where its slope jumps by 0.054. Nothing smooths it: its waves, which decay like n⁻²,
disperse over the whole period, and the equation has a weak solution only. The best combination of
n waves is 1.25e-2 n^(-3/2) away from it (1.3e-5 for a hundred), and so at least is any network that
resolves as many. The waves of the kink have a closed form, see `kink`.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

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
    initial,
    periodic,
)
from pinnzoo.references import stored

HALF = 5.0
"""Half of the period."""

KINK_WAVES = 200
"""Waves that `kink` adds up; those beyond are 4.4e-6 of the solution."""

_SLOPE = 2 * np.tanh(HALF) / np.cosh(HALF)
"""That of `2 sech x` at x = -5, and less that at x = 5."""

MEAN = 8 * np.tanh(HALF) / (2 * HALF)
"""Mean of `|h|²` over the period, at all times."""


def rates(modes: int) -> np.ndarray:
    """½ k², at which the phases of free waves of period 10 turn."""
    return 0.5 * (2 * np.pi / 10 * np.arange(modes)) ** 2


def kink(t: Scalar, x: Scalar) -> Values:
    """What the kink at x = ±5 becomes: `i K_t + ½ K_xx + 2 MEAN K = 0` from a parabola with it.

    Real and imaginary part of the sum of `a_n cos(k_n x) exp(i (2 MEAN - ½ k_n²) t)`, with
    `k_n = nπ/5`, where a_n are the coefficients of `-SLOPE x² / 10` up to a constant, whose slope
    jumps by as much as that of `2 sech x`. To waves as short as these, which cross the whole period
    before the solitons have moved, the nonlinear terms `2 |h|² K + h² K*` are their mean: what it
    takes away is a turn of the phase, since h² has none that stays in step with K.
    """
    n = np.arange(1, KINK_WAVES + 1)
    amplitudes = 2 * _SLOPE * HALF / (np.pi * n) ** 2 * np.where(n % 2, 1.0, -1.0)
    waves = amplitudes * jnp.cos(np.pi / HALF * n * x)
    phase = (rates(KINK_WAVES + 1)[1:] - 2 * MEAN) * t
    return jnp.stack([waves @ jnp.cos(phase), -(waves @ jnp.sin(phase))])


def _turned(t: Scalar, amplitudes: Array) -> Array:
    """Amplitudes of `h` from the stored ones of `exp(½ i k² t) h`, which change slowly."""
    a, b = amplitudes.T
    phase = rates(len(a)) * t
    cos, sin = jnp.cos(phase), jnp.sin(phase)
    return jnp.stack([cos * a + sin * b, cos * b - sin * a], axis=1)


def _solution(refined: bool) -> PointFunction:
    return stored.solution("schrodinger", refined, turn=_turned)


def schrodinger(constraints: str = "soft") -> Problem:
    """The focusing nonlinear Schrödinger equation.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `h = 2 sech x + t N(t, x)`. The periodic conditions stay residuals. An embedding of x
            with this period does not suit it, since `2 sech x` itself is not periodic. Or "kink"
            for `h = 2 sech x - K₀(x) + K(t, x) + t N(t, x)`, where K are the waves of the kink and
            K₀ is the parabola that they begin as: N has two more derivatives, and may be periodic
            in x. This meets the initial conditions up to the waves that `kink` leaves out.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints, "kink")
    domain = Box("tx", (0.0, -HALF), (np.pi / 2, HALF))

    def equation(h: Field, z: Point) -> Scalar:
        u, v, u_t, v_xx = h(z, "u v u_t v_xx")
        return u_t + v_xx / 2 + (u**2 + v**2) * v

    def equation_v(h: Field, z: Point) -> Scalar:
        u, v, v_t, u_xx = h(z, "u v v_t u_xx")
        return v_t - u_xx / 2 - (u**2 + v**2) * u

    def profile(x: Scalar) -> Scalar:
        return 2 / jnp.cosh(x)

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return jnp.stack([profile(x), jnp.zeros_like(x)]) + t * network

    def without_kink(z: Point, network: Values) -> Values:
        t, x = z
        parabola = _SLOPE / (2 * HALF) * (HALF**2 / 3 - x**2)
        return ansatz(z, network) + kink(t, x) - jnp.stack([parabola, jnp.zeros_like(x)])

    starts = (
        initial(domain, "u", profile, "initial_u"),
        initial(domain, "v", jnp.zeros_like, "initial_v"),
    )
    wraps = tuple(
        periodic(domain, component, "x", f"periodic_{component}")
        for component in ("u", "v", "u_x", "v_x")
    )
    return Problem(
        name="schrodinger",
        title="Nonlinear Schrödinger equation",
        domain=domain,
        components=("u", "v"),
        equation=equation,
        system=(Condition("equation_v", equation_v, domain),),
        **constrained(
            constraints,
            without_kink if constraints == "kink" else ansatz,
            met=starts,
            kept=wraps,
        ),
        reference=Reference(
            _solution(refined=False),
            "Fourier and ETDRK4",
            refined=_solution(refined=True),
        ),
        evaluation_shape=(101, 401),
        arguments={"constraints": constraints},
        citation="doi:10.1016/j.jcp.2018.10.045",
    )
