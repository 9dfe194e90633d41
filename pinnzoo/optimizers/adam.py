"""Adam (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1), through optax."""

import optax

from pinnzoo.optimizers._base import Optimizer, from_optax, named
from pinnzoo.registry import check_positive, check_rates


@named
def adam(
    learning_rate: float = 1e-3,
    decay_rate: float = 0.9,
    decay_steps: int = 5000,
    b1: float = 0.9,
    b2: float = 0.999,
) -> Optimizer:
    """Adam with an exponentially decaying learning rate.

    Args:
        learning_rate: Rate at the first step.
        decay_rate: Factor on the rate every `decay_steps` steps; 1 keeps it constant.
        decay_steps: Steps per decay.
        b1: Decay of the first moment, in [0, 1).
        b2: Decay of the second moment, in [0, 1).

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(learning_rate=learning_rate, decay_rate=decay_rate, decay_steps=decay_steps)
    check_rates(b1=b1, b2=b2)
    schedule = optax.exponential_decay(learning_rate, decay_steps, decay_rate)
    return from_optax(optax.adam(schedule, b1=b1, b2=b2))
