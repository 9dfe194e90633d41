"""What the theorems of arXiv 2402.03864 say at infinite width, in numbers.

The network is the paper's, `u(x) = W¹ σ(W⁰ x + b⁰) / √m + b¹` with one hidden layer, one input and
all entries N(0, 1). At infinite width `Φ[u] = (u, u_x, u_xx)` is Gaussian at initialisation, with
the covariance `C_kl(x, x') = E[∂ᵏs ∂ˡs'] + δ_k0 δ_l0`, and its tangent kernel is
`K_kl(x, x') = E[∂ᵏs ∂ˡs' + ∂ᵏs_w ∂ˡs'_w + ∂ᵏs_b ∂ˡs'_b] + δ_k0 δ_l0`, where `s = σ(w x + b)`, a
subscript is a derivative by that parameter, w and b ~ N(0, 1), and the unit comes from b¹. The
expectations are computed by Gauss-Hermite quadrature.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

NODES = 120
"""Gauss-Hermite nodes for each of w and b; the tests compare with twice as many."""

ORDERS = 3
"""u, u_x and u_xx."""


class Limit(NamedTuple):
    """Covariance and tangent kernel of Φ[u] at n points.

    Attributes:
        covariance: `C_kl(x_i, x_j)`, axes k, i, l, j.
        kernel: `K_kl(x_i, x_j)`, axes k, i, l, j.
    """

    covariance: Float[np.ndarray, "3 n 3 n"]
    kernel: Float[np.ndarray, "3 n 3 n"]


def infinite_width(x: Float[np.ndarray, " n"], nodes: int = NODES) -> Limit:
    """The Gaussian process and the kernel that Φ[u] converges to (theorem 3.4).

    Args:
        x: Points.
        nodes: Gauss-Hermite nodes for each of w and b.
    """
    w, b, both = _quadrature(nodes)
    root = np.sqrt(both)
    # Rows: order and point; columns: nodes.
    neuron, by_w, by_b = (
        root * np.asarray(part).reshape(-1, len(w)) for part in _features(jnp.asarray(x), w, b)
    )
    outer = neuron @ neuron.T
    n = len(x)
    bias = np.zeros((ORDERS, n, ORDERS, n))
    bias[0, :, 0, :] = 1.0
    covariance = outer.reshape(ORDERS, n, ORDERS, n) + bias
    inner = by_w @ by_w.T + by_b @ by_b.T
    return Limit(covariance, covariance + inner.reshape(ORDERS, n, ORDERS, n))


def _quadrature(nodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes for w and for b, and weights that sum to one: an expectation is a product with them."""
    places, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    w, b = (grid.ravel() for grid in np.meshgrid(places, places))
    return w, b, np.outer(weights, weights).ravel()


def _orders(w: Float[Array, ""], b: Float[Array, ""], x: Float[Array, ""]) -> Float[Array, "3"]:
    """`∂ᵏ tanh(w x + b)` by x for k = 0, 1, 2."""

    def neuron(x: Array) -> Array:
        return jnp.tanh(w * x + b)

    slope = jax.grad(neuron)
    return jnp.stack([neuron(x), slope(x), jax.grad(slope)(x)])


@jax.jit
def _features(
    x: Float[Array, " n"], w: Float[Array, " q"], b: Float[Array, " q"]
) -> tuple[Float[Array, "3 n q"], Float[Array, "3 n q"], Float[Array, "3 n q"]]:
    """`∂ᵏ tanh(w x + b)` by x, and their derivatives by w and by b, for k = 0, 1, 2."""
    everywhere = jax.vmap(jax.vmap(_orders, (0, 0, None)), (None, None, 0))
    by_w = jax.vmap(jax.vmap(jax.jacfwd(_orders, 0), (0, 0, None)), (None, None, 0))
    by_b = jax.vmap(jax.vmap(jax.jacfwd(_orders, 1), (0, 0, None)), (None, None, 0))
    return tuple(jnp.moveaxis(f(w, b, x), -1, 0) for f in (everywhere, by_w, by_b))  # pyright: ignore


def linear_kernel(
    boundary: Float[np.ndarray, " b"], inside: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "k k"]:
    """K̄ of the linear toy `u_xx = f`, deterministic (proposition B.3): rows of u, then of r."""
    x = np.concatenate([boundary, inside])
    orders = np.concatenate([np.zeros(len(boundary), int), np.full(len(inside), 2)])
    index = np.arange(len(x))
    kernel = infinite_width(x).kernel
    return kernel[orders[:, None], index[:, None], orders[None, :], index[None, :]]


def sample_nonlinear_kernels(
    boundary: Float[np.ndarray, " b"],
    inside: Float[np.ndarray, " n"],
    count: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "s k k"]:
    """Draws of the random K̄ of the nonlinear toy `u u_x = f` (theorem 3.4).

    `K̄ = Λ K_Φ Λᵀ` with `Λ = ∂R/∂Φ = (u_x, u, 0)` at a draw of the Gaussian process.
    """
    x = np.concatenate([boundary, inside])
    n, edge = len(x), len(boundary)
    limit = infinite_width(x)
    values, vectors = np.linalg.eigh(limit.covariance[:2, :, :2, :].reshape(2 * n, 2 * n))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    phi = (rng.standard_normal((count, 2 * n)) @ root.T).reshape(count, 2, n)
    # The boundary has rows of u itself.
    slopes = np.stack([phi[:, 1], phi[:, 0]], axis=1)
    slopes[:, 0, :edge], slopes[:, 1, :edge] = 1.0, 0.0
    kernel = limit.kernel[:2, :, :2, :]
    return np.einsum("ski,kilj,slj->sij", slopes, kernel, slopes, optimize=True)


def lower_bound(
    x: Float[np.ndarray, " n"],
    nodes: int = NODES,
    activation: Callable[[Array], Array] = jnp.tanh,
) -> Float[np.ndarray, " n"]:
    """c̃ of proposition 3.7 for the nonlinear toy at each point, `wᵀ ∇²R w = 2 w_0 w_1`.

    `w = E[Φ[σ(u · + v)](x)]` with u, v ~ N(0, 1), as the paper prints it. For an odd activation it
    is zero: (u, v) and (-u, -v) are as likely, and their contributions cancel.
    """
    w, b, both = _quadrature(nodes)
    neuron = jax.value_and_grad(lambda x, w, b: activation(w * x + b))
    value, slope = jax.vmap(jax.vmap(neuron, (None, 0, 0)), (0, None, None))(jnp.asarray(x), w, b)
    return 2 * np.asarray(value @ both) * np.asarray(slope @ both)


def hessian_limit(x: Float[np.ndarray, " n"], nodes: int = NODES) -> Float[np.ndarray, " n"]:
    """What `‖H_r(x)‖` of the nonlinear toy converges to as the network widens.

    `H_r = u ∇²u_x + u_x ∇²u + ∇u ∇u_xᵀ + ∇u_x ∇uᵀ`. The first two vanish (proposition B.3), and
    the others have rank two, with the eigenvalues `K_01 ± √(K_00 K_11)` of the kernel of Φ. This
    is the best constant in proposition 3.7, where c̃ comes from one direction.
    """
    index = np.arange(len(x))
    k = infinite_width(x, nodes).kernel[:2, index, :2, index].transpose(1, 2, 0)
    return np.abs(k[0, 1]) + np.sqrt(k[0, 0] * k[1, 1])


def linear_hessian_norms(
    x: Float[np.ndarray, " n"],
    w1: Float[np.ndarray, " m"],
    w0: Float[np.ndarray, " m"],
    b0: Float[np.ndarray, " m"],
) -> Float[np.ndarray, " n"]:
    """`‖H_r(x)‖` of the linear toy for one network, exactly and at any width.

    The residual is a sum over neurons, so H_r is block diagonal with one 3 × 3 block for each (the
    proof of proposition B.3): its norm is the largest of theirs.

    Args:
        x: Points.
        w1: Output weights of the m neurons.
        w0: Their input weights.
        b0: Their biases.
    """
    neurons = jnp.stack([w1, w0, b0], axis=1)
    blocks = (np.asarray(_neuron_hessians(neurons, point)) for point in x)
    return np.array([np.abs(np.linalg.eigvalsh(b)).max() for b in blocks]) / np.sqrt(len(w1))


@jax.jit
def _neuron_hessians(neurons: Float[Array, "m 3"], x: Float[Array, ""]) -> Float[Array, "m 3 3"]:
    """Second derivatives of `w1 ∂²tanh(w0 x + b0)/∂x²` by (w1, w0, b0), for every neuron."""

    def curvature(neuron: Array) -> Array:
        w1, w0, b0 = neuron
        return w1 * _orders(w0, b0, x)[2]

    return jax.vmap(jax.hessian(curvature))(neurons)
