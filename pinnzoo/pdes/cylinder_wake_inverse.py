"""Wake of a cylinder with unknown coefficients: `u_t + λ₁ (u·∇)u + ∇p = λ₂ Δu`, `∇·u = 0`.

The flow of `cylinder_wake` in the same window, of which nothing is known but velocities that were
measured inside of it: from them alone come λ₁, λ₂, and the pressure, which is measured nowhere. The
truth is λ₁ = 1 and λ₂ = 1/100, one over the Reynolds number. Since the equations fix the pressure
up to a function of time, it is counted from its value at (7.5, 2.5).

Source: Raissi, Perdikaris and Karniadakis, "Physics-informed neural networks" (J. Comput. Phys.
378, 2019), section 4.1.1, with velocities at 5,000 points. Known difficulty: λ₂ multiplies
derivatives that are small beside the others. The velocities show the period of the flow, and
networks that are told it find λ₂ and the pressure far more precisely.
"""

from dataclasses import dataclass
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnzoo import (
    Box,
    Features,
    Point,
    Problem,
    Reference,
    Unknown,
    Values,
    check_positive,
    prescribe,
)
from pinnzoo.pdes._navier_stokes import navier_stokes
from pinnzoo.pdes.cylinder_wake import LOWER, REYNOLDS, STORED, UPPER
from pinnzoo.references import limit_cycle

UNKNOWN = "unknown"
"""What the period is by default."""


def cylinder_wake_inverse(horizon: float = 16.0, period: float | str = UNKNOWN) -> Problem:
    """The wake of a cylinder with the coefficients of convection and of friction unknown.

    Args:
        horizon: Last time.
        period: That of the vortices, where the measurements tell it: networks see the phase beside
            the time, so that what one period shows serves for the others. "unknown" by default.

    Raises:
        RecipeError: The horizon is not positive, or the period is neither that nor "unknown".
    """
    check_positive(horizon=horizon)
    features = None
    if period != UNKNOWN:
        # Any other word is refused here too.
        length = cast(float, period)
        check_positive(period=length)
        features = Features(Clock(length), (-1.0, -1.0), (1.0, 1.0))
    domain = Box("txy", (0.0, *LOWER), (horizon, *UPPER))
    equation, system = navier_stokes(
        domain, lambda u: u.unknowns["viscosity"], lambda u: u.unknowns["convection"]
    )
    corner = domain.face("x", UPPER[0]).face("y", UPPER[1])
    return Problem(
        name="cylinder_wake_inverse",
        title=f"Wake of a cylinder with both coefficients unknown, t up to {horizon:g}",
        domain=domain,
        components=("u", "v", "p"),
        equation=equation,
        system=system,
        conditions=(prescribe(corner, "p", 0.0, "pressure"),),
        unknowns={
            "convection": Unknown(0.0),
            "viscosity": Unknown(0.1, positive=True),
        },
        truth={"convection": 1.0, "viscosity": 1 / REYNOLDS},
        reference=Reference(
            _Flow(refined=False),
            "limit cycle by finite elements of order 5 (NGSolve), harmonics in t",
            refined=_Flow(refined=True),
        ),
        features=features,
        evaluation_shape=(33, 33, 33),
        arguments={"horizon": horizon, "period": period},
        citation="doi:10.1016/j.jcp.2018.10.045",
    )


@dataclass(frozen=True)
class Clock:
    """The hand of a clock that goes round once in a period, as a function of one point.

    Attributes:
        period: How long it takes.
    """

    period: float

    def __call__(self, z: Point) -> Float[Array, " 2"]:
        """Cosine and sine of its phase at one point `(t, ...)`."""
        angle = 2 * jnp.pi * z[0] / self.period
        return jnp.stack([jnp.cos(angle), jnp.sin(angle)])


@dataclass(frozen=True)
class _Flow:
    """The stored flow, with the pressure less that at the corner."""

    refined: bool

    @property
    def cycle(self) -> limit_cycle.Flow:
        """The stored flow itself."""
        return limit_cycle.solution(STORED, self.refined)

    def __call__(self, z: Point) -> Values:
        """Velocities and pressure at one point."""
        return self.cycle(z).at[2].add(-self.cycle(_at_the_corner(z))[2])

    def many(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"] | None:
        """The same at the points of a grid; None for other points."""
        values = self.cycle.many(points)
        if values is None:
            return None
        times, t = np.unique(points[:, 0], return_inverse=True)
        corners = np.column_stack([times, np.tile(UPPER, (len(times), 1))])
        found = jax.jit(jax.vmap(self.cycle))(corners)
        return values - np.asarray(found)[t.ravel()] * [0.0, 0.0, 1.0]


def _at_the_corner(z: Point) -> Point:
    return z.at[1:].set(jnp.asarray(UPPER, z.dtype))
