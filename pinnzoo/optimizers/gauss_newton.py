"""Gauss-Newton with a grid line search: energy natural gradient descent."""

import jax.numpy as jnp

from pinnzoo._typing import Theta
from pinnzoo.objective import Objective
from pinnzoo.optimizers._base import Info, Optimizer, named
from pinnzoo.optimizers._line_search import grid_line_search
from pinnzoo.optimizers._linearization import damped_minimizer, linearize
from pinnzoo.registry import check_positive, check_whole


@named
def gauss_newton(relative_damping: float = 1e-10, chunk: int = 512) -> Optimizer:
    """The direction `-J⁺ r` and the best of 31 step lengths.

    Algorithm 1 of Müller and Zeinhofer (arXiv 2302.13163): for a loss that is a sum of squares of
    linear operators, their Gram matrix is `Jᵀ J` and their energy natural gradient `J⁺ r`. They
    take the pseudoinverse of the Gram matrix; here it is the limit of small damping,
    `-(JᵀJ + λI)⁻¹ Jᵀ r` by QR of J, which does not square the condition number and costs a
    fraction of an SVD. The step length is the best of 1, 1/2, ..., 2⁻³⁰.

    The step is not traceable: on the CPU it hands the Jacobian to LAPACK without a copy.

    Args:
        relative_damping: λ / trace(JᵀJ). Directions whose squared singular value lies below are
            left out, as a cutoff would.
        chunk: Points whose Jacobian rows are computed at once.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(relative_damping=relative_damping)
    check_whole(chunk=chunk)

    def init(objective: Objective, theta: Theta) -> tuple[()]:
        del objective, theta
        return ()

    def step(objective: Objective, theta: Theta, state: tuple[()]) -> tuple[Theta, tuple[()], Info]:
        model = linearize(objective, theta, chunk)
        damping = relative_damping * float(model.norm)
        direction = damped_minimizer(model, model.residual, damping)
        delta = grid_line_search(objective, theta, direction)
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
