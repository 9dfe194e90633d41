"""Functions of one coordinate that stored solutions are series of."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnzoo._typing import Scalar


def harmonics(turns: Scalar, count: int) -> Float[Array, " k"]:
    """1, cos θ, cos 2θ, ... and as many sines but one, with θ = 2π times the turns."""
    cosines = count // 2 + 1
    wave = np.concatenate([np.arange(cosines), np.arange(1, cosines)])
    turned = wave * jnp.asarray(turns)
    # Whole turns are taken off before they are multiplied by a rounded 2π.
    theta = 2 * jnp.pi * (turned - jnp.floor(turned))
    return jnp.where(np.arange(count) < cosines, jnp.cos(theta), jnp.sin(theta))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def chebyshev(s: Scalar, degrees: int) -> Float[Array, " i"]:
    """`T_0(s)` to `T_{degrees - 1}(s)`, by `T_{k+j} = 2 T_k T_j - T_{k-j}`.

    The number of known ones doubles in every step, and derivatives are sums of the same
    polynomials: third derivatives of the recursion by one take minutes to compile.
    """
    known = jnp.stack([jnp.ones_like(s), s])
    while len(known) < degrees:
        known = jnp.concatenate([known, 2 * known[-1] * known[1:] - known[-2::-1]])
    return known[:degrees]


@chebyshev.defjvp
def _(degrees: int, at: tuple[Scalar], along: tuple[Scalar]) -> tuple[Array, Array]:
    values = chebyshev(at[0], degrees)
    return values, (values @ slopes(degrees)) * along[0]


@functools.cache
def slopes(degrees: int) -> Float[np.ndarray, "i i"]:
    """Takes Chebyshev coefficients to those of the derivative."""
    k = np.arange(degrees)
    found = np.where((k > k[:, None]) & ((k - k[:, None]) % 2 == 1), 2.0 * k, 0.0)
    found[0] /= 2
    return found
