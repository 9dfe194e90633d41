"""Allen-Cahn: `u_t = 1e-4 u_xx + 5u - 5u³` on t ∈ [0, 1], x ∈ [-1, 1], periodic in x.

From `u(0, x) = x² cos πx` the solution runs to ±1, with layers 0.01 wide in between.

Source: Raissi, Perdikaris and Karniadakis, "Physics-informed neural networks" (J. Comput. Phys.
378, 2019), section 3.2.1. Known difficulties: training that does not respect the order of time
settles on the unstable state u = 0; and the periodic continuation of the initial profile has a
kink at x = ±1, so that close to there and to t = 0 the solution has a layer of width √(1e-4 t).
The kink has a closed form, see `kink`. The reference is stored for this diffusion alone, which is
therefore no argument.
"""

import math

import jax.numpy as jnp
import jax.scipy.special

from pinnzoo import (
    Box,
    Features,
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

DIFFUSION = 1e-4

KINK_RATE = 10.0
"""-f'(u) of `f = 5u - 5u³` at u = -1, which is u(0, ±1)."""


def kink(t: Scalar, x: Scalar) -> Scalar:
    """What the kink at x = ±1 becomes: a solution K of `K_t = 1e-4 K_xx - 10 K` from `K = -x²`.

    It is `exp(-10 t)` times the solution of the heat equation on [-1, 1] with slope zero at the
    ends, by the method of images (Carslaw and Jaeger, "Conduction of heat in solids", 1959, chapter
    XII): a parabola that falls, and the response to a constant flux at either end. Images further
    out are smaller than 1e-300. The rate 10 is that of the linearization about u = -1, so that
    `u - K` has two more derivatives at the corners than without it.
    """
    spread = 4 * DIFFUSION * t
    # At t = 0 the layers have no width, and their derivative in t does not exist. For the smallest
    # t above zero, which a GPU does not round to zero, this product is zero too.
    late = spread > 0
    width = jnp.sqrt(jnp.where(late, spread, 1.0))

    def layer(distance: Scalar) -> Scalar:
        s = distance / width
        erfc = jax.scipy.special.erfc(s)
        return 2 * width * (jnp.exp(-(s**2)) / jnp.sqrt(jnp.pi) - s * erfc)

    layers = jnp.where(late, layer(1 - x) + layer(1 + x), 0.0)
    return jnp.exp(-KINK_RATE * t) * (layers - x**2 - 2 * DIFFUSION * t)


def even_and_periodic(network: PointFunction) -> PointFunction:
    """Shows a network -cos πx in the place of x, which takes the same values on [-1, 1]."""
    return lambda z: network(z.at[1].set(-jnp.cos(jnp.pi * z[1])))


BEGUN = 1e-4
"""Time before zero at which the layers begin as the network sees them: at zero it sees them with a
width already, since their derivatives in time do not exist where they have none."""


def layers(seen: Point) -> Values:
    """Where a point lies in the layers that the kink becomes, from (t, -cos πx).

    The distance from the layer's width on, `(x̃² + w²)^½` with a distance x̃ that is smooth and
    periodic and `w² = 4e-4 (t + 1e-4)`, and the width in units of it. Close to the corner the
    solution is a series in these, as a similarity solution is; in the coordinates it is a function
    of x̃ times one over the square root of t.
    """
    t, wave = seen
    width = 4 * DIFFUSION * (t + BEGUN)
    far = jnp.sqrt(2 / jnp.pi**2 * (1 - wave) + width)
    return jnp.stack([far, jnp.sqrt(width) / far])


LAYERS = Features(layers, (0.0, 0.0), (2 / math.pi, 1.0))


def _kink(z: Point) -> Values:
    return jnp.atleast_1d(kink(*z))


def _solution(refined: bool) -> PointFunction:
    return stored.solution("allen_cahn", refined, plus=_kink)


def allen_cahn(constraints: str = "soft") -> Problem:
    """The Allen-Cahn equation.

    Args:
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = x² (1 + cos πx) + K(t, x) + t N(t, x)`, whose first two terms are the initial
            profile with the kink taken care of: N is smooth. The periodic conditions stay
            residuals; they vanish identically for a network with a periodic embedding of x. Or
            "even" for the same with `N(t, -cos πx)`, which is all that an even and periodic
            solution needs, and meets all conditions. Or "layers" for the same with a network
            that also sees where a point lies in the layers at x = ±1, see `layers`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_constraints(constraints, "even", "layers")
    even = constraints in ("even", "layers")
    domain = Box("tx", (0.0, -1.0), (1.0, 1.0))

    def equation(u: Field, z: Point) -> Scalar:
        value, u_t, u_xx = u(z, "u u_t u_xx")
        return u_t - DIFFUSION * u_xx - 5 * value + 5 * value**3

    def profile(x: Scalar) -> Scalar:
        return x**2 * jnp.cos(jnp.pi * x)

    def ansatz(z: Point, network: Values) -> Values:
        t, x = z
        return x**2 * (1 + jnp.cos(jnp.pi * x)) + kink(t, x) + t * network

    start = initial(domain, "u", profile, name="initial")
    wraps = (
        periodic(domain, "u", "x", "periodic"),
        periodic(domain, "u_x", "x", "periodic_x"),
    )
    return Problem(
        name="allen_cahn",
        title="Allen-Cahn equation",
        domain=domain,
        components=("u",),
        equation=equation,
        **constrained(
            constraints,
            ansatz,
            met=(start, *wraps) if even else (start,),
            kept=() if even else wraps,
        ),
        reference=Reference(
            _solution(refined=False),
            "Fourier and ETDRK4, the kink in closed form",
            refined=_solution(refined=True),
        ),
        evaluation_shape=(201, 1001),
        arguments={"constraints": constraints},
        citation="doi:10.1016/j.jcp.2018.10.045",
        symmetry=even_and_periodic if even else None,
        features=LAYERS if constraints == "layers" else None,
    )
