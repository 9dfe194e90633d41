"""Networks in another precision."""

from typing import Any

import jax
import numpy as np
from flax import nnx


def in_float64(model: nnx.Module) -> nnx.Module:
    """A copy of a network whose parameters and buffers are float64."""
    return cast(model, "float64")


def cast(model: nnx.Module, dtype: str) -> nnx.Module:
    """A copy of a network whose parameters and buffers have another precision."""
    graph, state = nnx.split(model)

    def converted(leaf: Any) -> Any:
        real = np.issubdtype(leaf.dtype, np.floating)
        return leaf.astype(dtype) if real else leaf

    return nnx.merge(graph, jax.tree.map(converted, state))
