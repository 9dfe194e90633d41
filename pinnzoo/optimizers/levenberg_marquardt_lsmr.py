"""Levenberg-Marquardt without a Jacobian: the damped step by LSMR."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse.linalg import LinearOperator, lsmr

from pinnzoo._typing import Residuals, Scalar, Theta
from pinnzoo.errors import RecipeError
from pinnzoo.objective import Objective
from pinnzoo.optimizers._base import Info, Optimizer, named
from pinnzoo.optimizers._linearization import pull_back
from pinnzoo.registry import check_positive, check_whole


class LSMRState(NamedTuple):
    """What one step hands to the next.

    Attributes:
        damping: λ.
    """

    damping: Any


@jax.jit
def _start(objective: Objective, theta: Theta) -> tuple[Residuals, Scalar, Theta]:
    residual = objective.residual(theta)
    return residual, 0.5 * jnp.sum(residual**2), objective.vjp(theta, residual)


@jax.jit
def _jvp(objective: Objective, theta: Theta, direction: Theta) -> Residuals:
    return objective.jvp(theta, direction)


@jax.jit
def _loss(objective: Objective, theta: Theta) -> Scalar:
    return objective.loss(theta)


def jacobian_operator(objective: Objective, theta: Theta) -> LinearOperator:
    """J for SciPy: one forward or one reverse pass per product."""

    def product(function: Any, vector: np.ndarray) -> np.ndarray:
        return np.asarray(function(objective, theta, jnp.asarray(vector.ravel(), theta.dtype)))

    return LinearOperator(  # pyright: ignore[reportCallIssue]
        (objective.n, theta.size),
        matvec=functools.partial(product, _jvp),  # pyright: ignore[reportCallIssue]
        rmatvec=functools.partial(product, pull_back),  # pyright: ignore[reportCallIssue]
        dtype=theta.dtype,  # pyright: ignore[reportCallIssue]
    )


@named
def levenberg_marquardt_lsmr(
    damping: float = 1.0,
    max_damping: float = 1e12,
    tolerance: float = 0.1,
    iterations: int = 500,
    linear_tolerance: float = 1e-8,
) -> Optimizer:
    """Levenberg-Marquardt for networks whose Jacobian does not fit into memory.

    The damped step `min_v |J v + r|² + λ |v|²` by LSMR (Fong and Saunders 2011, SIAM J. Sci.
    Comput. 33:2950-2971) as SciPy has it, which needs products with J and Jᵀ alone and works on J
    rather than JᵀJ, so that the condition number is not squared. λ follows the rule "paper" of
    `levenberg_marquardt`, without geodesic acceleration: twice λ while the gain ratio is below
    `tolerance`, a third of it after a step. The predicted decrease is `|r|² - |r + J v|²`,
    which equals the paper's `⟨v, λv - Jᵀr⟩` for an exact step and holds for one that LSMR was
    stopped at too.

    A step costs as many passes as LSMR has iterations, and PINN spectra need many: where J fits,
    `levenberg_marquardt` is faster and goes further.

    The step is not traceable: SciPy iterates on the host.

    Args:
        damping: λ₀, in the units of ‖JᵀJ‖.
        max_damping: Λ, bounds λ from above and 1/Λ from below.
        tolerance: Least gain ratio of a good step, in [0, 1/4).
        iterations: Most LSMR iterations per trial step. Stopping early regularizes too.
        linear_tolerance: Relative accuracy at which LSMR stops, its `atol` and `btol`.

    Raises:
        RecipeError: A number is out of range.
    """
    check_positive(linear_tolerance=linear_tolerance)
    check_whole(iterations=iterations)
    if not (0 < damping < max_damping and max_damping >= 1 and 0 <= tolerance < 0.25):
        raise RecipeError(
            f"damping={damping}, max_damping={max_damping} and tolerance={tolerance} were given: "
            "allowed are 0 < damping < max_damping, which is at least 1, and tolerance in [0, 1/4)."
        )

    def solve(operator: LinearOperator, residual: np.ndarray, damped: float) -> np.ndarray:
        return -lsmr(
            operator,
            residual,
            damp=math.sqrt(damped),
            atol=linear_tolerance,
            btol=linear_tolerance,
            conlim=0,
            maxiter=iterations,
        )[0]

    def init(objective: Objective, theta: Theta) -> LSMRState:
        del objective, theta
        return LSMRState(np.asarray(damping, np.float64))

    def step(objective: Objective, theta: Theta, state: LSMRState) -> tuple[Theta, LSMRState, Info]:
        residual, loss, gradient = _start(objective, theta)
        operator, r = jacobian_operator(objective, theta), np.asarray(residual)
        damped, new, length, ratio = float(state.damping), None, 0.0, math.nan
        while new is None:
            v = solve(operator, r, damped)
            predicted = r @ r - np.sum((r + operator.matvec(v)) ** 2)
            trial = theta + jnp.asarray(v, theta.dtype)
            decrease = 2 * float(loss - _loss(objective, trial))
            if predicted > 0 and decrease > 0 and decrease >= tolerance * predicted:
                new, length, ratio = trial, float(np.linalg.norm(v)), decrease / predicted
            elif damped >= max_damping:
                break
            else:
                damped = min(2 * damped, max_damping)
        proposal = max_damping if new is None else max(damped / 3, 1 / max_damping)
        info = Info(
            loss=loss,
            grad_norm=jnp.linalg.norm(gradient),
            step_norm=length,
            accepted=float(new is not None),
            damping=damped,
            gain_ratio=ratio,
        )
        state = LSMRState(np.asarray(proposal, np.float64))
        return theta if new is None else new, state, info

    return Optimizer(init, step, traceable=False, across_processes=False)
