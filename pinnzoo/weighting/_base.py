"""What all weightings share."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnzoo._typing import Theta
from pinnzoo.objective import Objective

Factors: TypeAlias = Mapping[str, Float[Array | np.ndarray, " *n"]]
"""Factors on the loss weights by term: one number, or one per point."""

Weighting: TypeAlias = Callable[[Objective, Theta, Factors], dict[str, Float[Array, " *n"]]]
"""`(objective, theta, factors) -> factors`, a pure function.

The objective has the recipe's points and no weights: row i of a term with n points is `r_i / √n`.
The factors given are those in use, none at first; those returned multiply the recipe's weights, and
terms that are not among them keep these.
"""


def averaged(
    new: Mapping[str, Float[Array, ""]], old: Factors, momentum: float
) -> dict[str, Array]:
    """A moving average, which begins with the first factors."""
    return {
        name: momentum * jnp.asarray(old[name]) + (1 - momentum) * value if name in old else value
        for name, value in new.items()
    }
