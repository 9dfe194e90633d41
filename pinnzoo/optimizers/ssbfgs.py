"""Self-scaled BFGS (Al-Baali 1998; for PINNs Urbán et al., arXiv 2405.04230, Eq. 11)."""

from pinnzoo.optimizers._base import Optimizer, named
from pinnzoo.optimizers._self_scaled import self_scaled


@named
def ssbfgs(initial_scaling: bool = False, max_linesearch_steps: int = 30) -> Optimizer:
    """BFGS on the dense inverse Hessian, which is divided by `τ = min(1, 1/b)` before each update.

    The member θ = 0 of the family that `self_scaled` describes. The state is a p × p matrix,
    which stays where the points are redrawn.

    Args:
        initial_scaling: Scale the identity by the curvature of the first step.
        max_linesearch_steps: Loss evaluations that a step may use.

    Raises:
        RecipeError: `max_linesearch_steps` is not a positive whole number.
    """
    return self_scaled(lambda _: 0.0, initial_scaling, max_linesearch_steps)
