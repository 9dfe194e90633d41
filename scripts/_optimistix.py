"""optimistix's Levenberg-Marquardt on an objective, for the benchmarks."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx


def blocked_residual(objective: Any, theta: Any, block: int = 128) -> Any:
    """The residual vector, `block` points at a time.

    optimistix pushes all p tangents through the residual at once; with all points at once too, that
    is 80 GB at (n, p) = (8000, 2000). In blocks it fits, and each block stays in the cache.
    """
    return jnp.concatenate(
        [
            term.scale
            * jax.lax.map(functools.partial(term.residual, theta), term.points, batch_size=block)
            for term in objective.terms
        ]
    )


def levenberg_marquardt(tolerance: float) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`(theta, objective) -> state` and `(theta, objective, state) -> (theta, state)`, compiled.

    All of the state is returned: what is not asked for, XLA does not compute.
    """
    solver = optx.LevenbergMarquardt(rtol=tolerance, atol=tolerance)

    def function(y: Any, args: Any) -> Any:
        return blocked_residual(args, y), None

    def initialize(y: Any, args: Any) -> Any:
        shape = jax.eval_shape(lambda: blocked_residual(args, y))
        return solver.init(function, y, args, {}, shape, None, frozenset())

    def step(y: Any, args: Any, state: Any) -> Any:
        return solver.step(function, y, args, {}, state, frozenset())[:2]

    return eqx.filter_jit(initialize), eqx.filter_jit(step)
