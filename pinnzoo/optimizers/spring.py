"""SPRING: natural gradient descent with momentum on its linear model."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from pinnzoo._typing import Residuals, Theta
from pinnzoo.objective import Objective
from pinnzoo.optimizers._base import Info, Optimizer, named
from pinnzoo.optimizers._line_search import grid_line_search
from pinnzoo.optimizers._linearization import Linearization, damped_minimizer, linearize
from pinnzoo.registry import check_positive, check_rates, check_whole


class SpringState(NamedTuple):
    """What one step hands to the next.

    Attributes:
        momentum: φ, the last direction before bias correction.
        step: Steps taken.
    """

    momentum: Theta
    step: Int[Array, ""]


@jax.jit
def _shifted_residual(model: Linearization, momentum: Theta) -> Residuals:
    return model.residual + model.jacobian @ momentum


@named
def spring(
    damping: float = 1e-4,
    momentum: float = 0.9,
    learning_rate: float | None = None,
    chunk: int = 512,
) -> Optimizer:
    """Subsampled projected-increment natural gradient descent, for PINNs.

    The direction minimizes `|J φ + r|² + λ |φ - μ φ_prev|²`: what the rows at hand do not
    determine is kept from the steps before, which pays where points are drawn anew at every step
    and are fewer than parameters (Goldshlager, Abrahamsen and Lin 2024, arXiv 2401.10190). By the
    Woodbury identity

        φ = μ φ_prev - Jᵀ (J Jᵀ + λI)⁻¹ (r + μ J φ_prev),

    and the step follows `φ / √(1 - μ^{2t})` in step t, as in Guzmán-Cordero, Dangel, Goldshlager
    and Zeinhofer (arXiv 2505.12149, section 3.2). With μ = 0 it is their ENGD-W. For more rows
    than parameters the same φ comes from the normal equations, and from QR where λ is close to
    rounding.

    The step is not traceable: on the CPU it hands the Jacobian to LAPACK without a copy.

    Args:
        damping: λ.
        momentum: μ in [0, 1).
        learning_rate: Step length; by default the best of 1, 1/2, ..., 2⁻³⁰, and no step where
            none lowers the loss.
        chunk: Points whose Jacobian rows are computed at once.

    Raises:
        RecipeError: A number is out of range.
    """
    check_positive(damping=damping)
    check_whole(chunk=chunk)
    check_rates(momentum=momentum)
    if learning_rate is not None:
        check_positive(learning_rate=learning_rate)

    def init(objective: Objective, theta: Theta) -> SpringState:
        del objective
        return SpringState(jnp.zeros_like(theta), jnp.asarray(0))

    def step(
        objective: Objective, theta: Theta, state: SpringState
    ) -> tuple[Theta, SpringState, Info]:
        model = linearize(objective, theta, chunk)
        carried = momentum * state.momentum
        shifted = _shifted_residual(model, carried)
        state = SpringState(carried + damped_minimizer(model, shifted, damping), state.step + 1)
        direction = state.momentum / (1 - momentum ** (2 * int(state.step))) ** 0.5
        if learning_rate is None:
            delta = grid_line_search(objective, theta, direction)
        else:
            delta = learning_rate * direction
        length = jnp.linalg.norm(delta)
        info = Info(
            loss=model.loss,
            grad_norm=jnp.linalg.norm(model.gradient),
            step_norm=length,
            accepted=float(length > 0),
            damping=damping,
        )
        return theta + delta, state, info

    return Optimizer(init, step, traceable=False, across_processes=False)
