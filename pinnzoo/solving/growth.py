"""A wider network that is the same function."""

from typing import Any

import jax.numpy as jnp
from flax import nnx


def widen(network: Any, wider: Any) -> nnx.Module:
    """The function of `network` in the shape of `wider`, in the way of Net2Net.

    Chen, Goodfellow and Shlens (2016, arXiv 1511.05641) copy neurons; here the new ones are those
    that `wider` was drawn with, and what leads from them to the old ones and to the output is zero.
    They begin to count in the first step that trains what leads from them to the output.

    Args:
        network: An `MLP` or a `Siren`.
        wider: One with more neurons per layer, drawn anew and otherwise the same; it is changed.

    Returns:
        `wider`.

    Example:
        >>> z = jnp.array([0.3, 0.4])
        >>> bool(jnp.allclose(widen(network, wider)(z), network(z)))
        True
    """
    layers = [*zip(network.hidden, wider.hidden, strict=True), (network.output, wider.output)]
    for index, (old, new) in enumerate(layers):
        inputs, outputs = old.kernel[...].shape
        kernel = jnp.asarray(new.kernel[...])
        if index:
            kernel = kernel.at[inputs:, :outputs].set(0.0)
        new.kernel[...] = kernel.at[:inputs, :outputs].set(old.kernel[...])
        new.bias[...] = jnp.asarray(new.bias[...]).at[:outputs].set(old.bias[...])
    if network.wedges is not None:
        wider.wedges.amplitudes[...] = network.wedges.amplitudes[...]
    return wider
