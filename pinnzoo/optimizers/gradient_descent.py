"""Gradient descent, through optax: the method of theorem 4.1 in arXiv 2402.03864."""

import optax

from pinnzoo.optimizers._base import Optimizer, from_optax, named
from pinnzoo.registry import check_positive, check_rates


@named
def gradient_descent(learning_rate: float = 1e-2, momentum: float = 0.0) -> Optimizer:
    """`θ ← θ - η ∇L(θ)`, with Polyak's momentum where it is asked for.

    It follows the gradient flow, and with it the dynamics of the neural tangent kernel, while η is
    below 2 over the largest eigenvalue of `JᵀJ`; above, it diverges.

    Args:
        learning_rate: η.
        momentum: Part of the last step that is taken again, in [0, 1).

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(learning_rate=learning_rate)
    check_rates(momentum=momentum)
    return from_optax(optax.sgd(learning_rate, momentum or None))
