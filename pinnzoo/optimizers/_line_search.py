"""Line search over a fixed grid, for directions whose natural step length is one."""

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo._typing import Theta
from pinnzoo.objective import Objective

LENGTHS = 0.5 ** np.arange(31)
"""1, 1/2, ..., 2⁻³⁰, the grid of Müller and Zeinhofer (arXiv 2302.13163)."""


@jax.jit
def grid_line_search(objective: Objective, theta: Theta, direction: Theta) -> Theta:
    """The best of `LENGTHS` times a direction; zero where none of them lowers the loss."""
    # Length 0 comes first, so that it wins every tie, and has no part in a direction of NaNs.
    lengths = jnp.asarray(np.append(0.0, LENGTHS), theta.dtype)

    def step(length: jax.Array) -> Theta:
        return jnp.where(length > 0, length * direction, 0)

    losses = jax.lax.map(lambda length: objective.loss(theta + step(length)), lengths)
    return step(lengths[jnp.nanargmin(losses)])
