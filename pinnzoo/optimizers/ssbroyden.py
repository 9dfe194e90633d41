"""Self-scaled Broyden (Al-Baali 1998; for PINNs Urbán et al., arXiv 2405.04230, Eq. 13-23)."""

import jax.numpy as jnp

from pinnzoo._typing import Scalar
from pinnzoo.optimizers._base import Optimizer, named
from pinnzoo.optimizers._self_scaled import Curvature, self_scaled


@named
def ssbroyden(initial_scaling: bool = False, max_linesearch_steps: int = 30) -> Optimizer:
    """A dense self-scaled quasi-Newton method that chooses its update from the curvature.

    The family and its scaling are those of `self_scaled`. Its member is, in every step,

        θ = max(θ⁻, min(θ⁺, (1 - b) / b)),   θ⁻ = (ρ⁻ - 1) / a,   θ⁺ = 1 / ρ⁻,
        ρ⁻ = min(1, h (1 - √(a / (1 + a)))),

    which lies between DFP and beyond BFGS and keeps H positive definite. It is the variant that
    Urbán et al. call SSBroyden2, and that holds most of the published accuracy records of PINNs.
    The state is a p × p matrix, which stays where the points are redrawn.

    Args:
        initial_scaling: Scale the identity by the curvature of the first step.
        max_linesearch_steps: Loss evaluations that a step may use.

    Raises:
        RecipeError: `max_linesearch_steps` is not a positive whole number.
    """
    return self_scaled(_member, initial_scaling, max_linesearch_steps)


def _member(curvature: Curvature) -> Scalar:
    a, b = curvature.a, curvature.b
    # h (1 - √x) with x = a / (1 + a) is 1 / (b (1 + √x)), which cancels nothing where a is large.
    rho = jnp.minimum(1.0, 1 / (b * (1 + jnp.sqrt(a / (1 + a)))))
    return jnp.maximum((rho - 1) / a, jnp.minimum(1 / rho, (1 - b) / b))
