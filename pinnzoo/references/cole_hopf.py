"""Exact solution of the viscous Burgers equation by the Cole-Hopf transformation."""

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo._typing import Point, PointFunction, Scalar, Values


def burgers(viscosity: float | Scalar, nodes: int) -> PointFunction:
    """Solution of `u_t + u u_x = ν u_xx` on [-1, 1] with `u(0, x) = -sin(πx)`.

    With `y = x - 2 sqrt(νt) s`, the transformation gives

        u(t, x) = - ∫ sin(πy) φ(y) exp(-s²) ds / ∫ φ(y) exp(-s²) ds,
        φ(y) = exp(-cos(πy) / (2πν)),

    and both integrals are done by Gauss-Hermite quadrature, as in Basdevant et al. (1986),
    Computers & Fluids 14(1), Eq. 2.10. The largest exponent is subtracted first, so that a small
    viscosity does not overflow. The time derivative does not exist at t = 0, because of the root.

    Args:
        viscosity: ν, length²/time; a number, or a scalar that JAX traces.
        nodes: Number of quadrature nodes. 200 are exact to rounding for ν = 0.01/π.
    """
    abscissae, weights = np.polynomial.hermite.hermgauss(nodes)
    keep = weights > 0  # the outermost weights underflow
    s, log_weights = abscissae[keep], np.log(weights[keep])

    def solution(z: Point) -> Values:
        t, x = z
        y = x - 2 * jnp.sqrt(viscosity * t) * s
        exponent = log_weights - jnp.cos(jnp.pi * y) / (2 * jnp.pi * viscosity)
        return -jnp.sum(jnp.sin(jnp.pi * y) * jax.nn.softmax(exponent), keepdims=True)

    return solution
