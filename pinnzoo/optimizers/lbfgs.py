"""L-BFGS (Nocedal and Wright 2006, algorithm 7.5) with a zoom line search, through optax."""

import optax

from pinnzoo.optimizers._base import Optimizer, from_optax, named
from pinnzoo.registry import check_whole


@named
def lbfgs(memory_size: int = 100, max_linesearch_steps: int = 30) -> Optimizer:
    """Limited-memory BFGS with a strong Wolfe line search (algorithms 3.5 and 3.6).

    Args:
        memory_size: Number of curvature pairs.
        max_linesearch_steps: Loss evaluations that a step may use.

    Raises:
        RecipeError: An argument is not a positive whole number.
    """
    check_whole(memory_size=memory_size, max_linesearch_steps=max_linesearch_steps)
    search = optax.scale_by_zoom_linesearch(
        max_linesearch_steps=max_linesearch_steps, initial_guess_strategy="one"
    )
    return from_optax(optax.lbfgs(memory_size=memory_size, linesearch=search), line_search=True)
