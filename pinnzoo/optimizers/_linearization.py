"""The linear model `r + J δ` that Gauss-Newton methods minimize, and its damped minimizer."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo._typing import Jacobian, Residuals, Scalar, Theta
from pinnzoo.linalg import choose_method, damped_system
from pinnzoo.objective import Objective


class Linearization(NamedTuple):
    """An objective around some parameters.

    Attributes:
        residual: r.
        jacobian: J.
        loss: ½ |r|².
        gradient: Jᵀ r.
        norm: trace(Jᵀ J), a bound from above on ‖Jᵀ J‖.
    """

    residual: Residuals
    jacobian: Jacobian
    loss: Scalar
    gradient: Theta
    norm: Scalar


@functools.partial(jax.jit, static_argnames="chunk")
def linearize(objective: Objective, theta: Theta, chunk: int) -> Linearization:
    """The linear model at `theta`, its Jacobian computed `chunk` points at a time."""
    residual, jacobian = objective.linearize(theta, chunk)
    return Linearization(
        residual,
        jacobian,
        0.5 * jnp.sum(residual**2),
        residual @ jacobian,
        jnp.sum(jacobian**2),
    )


@jax.jit
def pull_back(objective: Objective, theta: Theta, cotangent: Residuals) -> Theta:
    """`Jᵀ w` without J, compiled once for all optimizers."""
    return objective.vjp(theta, cotangent)


def damped_minimizer(model: Linearization, residual: Residuals, damping: float) -> Theta:
    """`argmin_δ |J δ + residual|² + λ |δ|²`, in the cheapest form that is accurate for λ.

    Zero where J is zero, since no direction lowers the residual then.
    """
    jacobian, norm = model.jacobian, float(model.norm)
    n, p = jacobian.shape
    if norm == 0:
        return jnp.zeros(p, jacobian.dtype)

    def solve(method: str) -> Any:
        return damped_system(jacobian, residual, method=method, scaling=np.ones(p)).solve(damping)

    method = choose_method(n, p, damping / norm, jacobian.dtype)
    try:
        step = solve(method)
    except np.linalg.LinAlgError:
        # QR does not form a product, so that nothing can lose its positive definiteness.
        step = solve("qr")
    return jnp.asarray(step, jacobian.dtype)
