"""A network and a diagnostic that the package has never heard of."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import pinnzoo


class WaveNet(nnx.Module):
    """One hidden layer of Gaussians."""

    def __init__(self, m, *, lower, upper, width=8, dtype, rngs):
        """Draw centres and weights."""
        self.low, self.high = tuple(lower), tuple(upper)
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (len(lower), width), dtype))
        self.out = nnx.Param(jax.random.normal(rngs.params(), (width, m), dtype) / width)

    def __call__(self, z):
        """One point in, the components out."""
        low, high = jnp.asarray(self.low, z.dtype), jnp.asarray(self.high, z.dtype)
        s = (z - low) / (high - low)
        return jnp.exp(-((s @ self.kernel[...]) ** 2)) @ self.out[...]


def mean_residual(study):
    """Mean |r| of the equation at the points of the kernels, before and after training."""
    points = jnp.asarray(study.ntk_points["equation"])
    term = next(t for t in study.objective.terms if t.name == "equation")
    ends = (study.thetas[0], study.thetas[-1])
    sizes = [np.abs(jax.vmap(term.residual, (None, 0))(jnp.asarray(t), points)) for t in ends]
    return {"initial": sizes[0].mean(), "final": sizes[1].mean()}


pinnzoo.register_architecture(WaveNet, title="network of Gaussians")
pinnzoo.register_diagnostic(mean_residual, title="Mean residual of the equation")
