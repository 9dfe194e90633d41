"""Small things whose analysis is known: a model that is linear in θ, and a wide network."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo.objective import Objective, Term


def _residual(theta, z):
    features = jnp.stack([jnp.sin((k + 1) * z[0]) for k in range(6)])
    return theta @ features - jnp.exp(z[0])


def _condition(theta, z):
    return jnp.sum(theta) * z[0] - 1.0


@functools.cache
def linear():
    """Twelve residuals that are linear in six parameters, in two terms, and parameters."""
    rng = np.random.default_rng(0)
    terms = (
        Term(jnp.asarray(rng.random((9, 1))), jnp.asarray(1 / 3), "equation", _residual),
        Term(jnp.asarray(rng.random((3, 1))), jnp.asarray(0.7), "initial", _condition),
    )
    return Objective(terms), rng.standard_normal(6)


def descend(objective, theta, learning_rate, steps):
    """θ after steps of gradient descent, one by one."""

    @jax.jit
    def run(objective, theta, learning_rate):
        slope = jax.grad(Objective.loss, argnums=1)
        return jax.lax.fori_loop(
            0, steps, lambda _, at: at - learning_rate * slope(objective, at), theta
        )

    return np.asarray(run(objective, jnp.asarray(theta), learning_rate))
