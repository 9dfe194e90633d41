"""Levenberg-Marquardt: the paper's algorithm, and a search over dampings that goes further."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo._typing import Scalar, Theta
from pinnzoo.errors import RecipeError, UnknownNameError
from pinnzoo.linalg import METHODS, AbstractDampedSystem, choose_method, damped_system
from pinnzoo.objective import Objective
from pinnzoo.optimizers._base import Info, Optimizer

RULES = ("search", "paper")
MAX_TRIALS = 40


class LevenbergMarquardtState(NamedTuple):
    """What one step hands to the next.

    Attributes:
        damping: λ.
        relative_damping: λ / ‖JᵀJ‖ of the last step, which chooses the factorization.
    """

    damping: Any
    relative_damping: Any


class _Trial(NamedTuple):
    damping: float
    theta: Theta
    step_norm: float
    loss: float
    gain_ratio: float


@functools.partial(jax.jit, static_argnames="chunk")
def _linearize(objective: Objective, theta: Theta, chunk: int) -> tuple[Any, Any, Any]:
    residual = objective.residual(theta)
    return residual, objective.jacobian(theta, chunk=chunk), 0.5 * jnp.sum(residual**2)


@jax.jit
def _loss(objective: Objective, theta: Theta) -> Scalar:
    return objective.loss(theta)


@jax.jit
def _curvature(objective: Objective, theta: Theta, direction: Theta) -> Theta:
    """`Jᵀ (vᵀ H_i v)_i`, the right-hand side of geodesic acceleration."""
    return objective.vjp(theta, objective.second_derivative(theta, direction))


def levenberg_marquardt(
    rule: str = "search",
    damping: float = 1.0,
    max_damping: float = 1e12,
    tolerance: float = 0.1,
    acceleration: float = 0.75,
    method: str = "auto",
    chunk: int = 4096,
    factor: float = 3.0,
) -> Optimizer:
    """Levenberg-Marquardt on the residual vector.

    Two rules for the damping λ share the step `v = -(JᵀJ + λI)⁻¹ Jᵀr` and the gain ratio
    `C = (|r(θ)|² - |r(θ+v)|²) / ⟨v, λv - Jᵀr⟩`, actual over predicted decrease:

    - "paper": algorithm 1 of Bonfanti et al. (arXiv 2402.03864), after Gavin (2019). While
      `C < tolerance`, λ doubles (up to `max_damping`); when the step is accepted, λ falls by a
      third (down to 1/`max_damping`). The denominator has the sign of Gavin's Eq. 16; as printed
      in the paper, `λv + ∇L`, it is negative for every step.
    - "search": one factorization serves several dampings, as in the radius search of DSGNAR
      (arXiv 2607.02194), here exactly and without a sketch. Starting from the last λ it falls by
      `factor` for as long as the gain ratio stays above `tolerance` and the loss goes on falling,
      or rises until a step is good; the best of the tried steps is taken. λ follows the problem
      over many orders of magnitude within a few steps.

    With either rule geodesic acceleration (Transtrum and Sethna 2012, arXiv 1201.5885, Eq. 5)
    adds `a/2` with `a = -(JᵀJ + λI)⁻¹ Jᵀ(vᵀH_i v)_i` where `2|a| ≤ acceleration · |v|`; "search"
    keeps it only if it lowers the loss further.

    The step is not traceable: on the CPU it hands the Jacobian to LAPACK without a copy.

    Args:
        rule: "search" or "paper".
        damping: λ₀, in the units of ‖JᵀJ‖.
        max_damping: Λ, bounds λ from above and 1/Λ from below.
        tolerance: Least gain ratio of a good step, in [0, 1/4).
        acceleration: α in [0, 1); 0 switches geodesic acceleration off.
        method: How the damped system is solved: "auto", "cholesky", "kernel", "qr" or "svd".
        chunk: Points whose Jacobian rows are computed at once, which bounds the memory that
            reverse mode needs beside J itself.
        factor: Ratio of neighbouring dampings in "search".

    Raises:
        UnknownNameError: No such rule or method.
        RecipeError: A number is out of range.
    """
    if rule not in RULES:
        raise UnknownNameError.of("damping rule", rule, RULES)
    if method not in METHODS:
        raise UnknownNameError.of("damped solve", method, METHODS)
    if not (0 < damping < max_damping and 0 <= tolerance < 0.25 and 0 <= acceleration < 1):
        raise RecipeError(
            f"damping={damping}, max_damping={max_damping}, tolerance={tolerance} and "
            f"acceleration={acceleration} were given: allowed are 0 < damping < max_damping, "
            "tolerance in [0, 1/4) and acceleration in [0, 1)."
        )
    if factor <= 1:
        raise RecipeError(f"factor={factor} was given: it must be above 1.")

    def init(objective: Objective, theta: Theta) -> LevenbergMarquardtState:
        del objective
        return LevenbergMarquardtState(
            np.asarray(damping, np.float64), np.asarray(damping / theta.size, np.float64)
        )

    def step(
        objective: Objective, theta: Theta, state: LevenbergMarquardtState
    ) -> tuple[Theta, LevenbergMarquardtState, Info]:
        residual, jacobian, loss = _linearize(objective, theta, chunk)
        chosen = method
        if method == "auto":
            chosen = choose_method(
                objective.n, theta.size, float(state.relative_damping), theta.dtype
            )
        system = damped_system(
            jacobian, residual, method=chosen, scaling=np.ones(theta.size, theta.dtype)
        )
        del jacobian
        search = _Search(objective, theta, float(loss), system)
        if rule == "paper":
            best, proposal = search.paper(float(state.damping), max_damping, tolerance)
            if best is not None:
                best = search.accelerate(best, acceleration, only_if_better=False)
        else:
            best, proposal = search.dampings(
                float(state.damping), factor, max_damping, tolerance
            )
            if best is not None:
                best = search.accelerate(best, acceleration, only_if_better=True)
        used = best.damping if best is not None else proposal
        state = LevenbergMarquardtState(
            np.asarray(proposal, np.float64),
            np.asarray(used / max(system.norm, np.finfo(np.float64).tiny), np.float64),
        )
        info = Info(
            loss=float(loss),
            grad_norm=float(np.linalg.norm(np.asarray(system.gradient))),
            step_norm=best.step_norm if best is not None else 0.0,
            accepted=float(best is not None),
            damping=used,
            gain_ratio=best.gain_ratio if best is not None else math.nan,
        )
        return (theta if best is None else best.theta), state, info

    return Optimizer(init, step, traceable=False)


class _Search:
    """Trial steps from one factorization."""

    def __init__(
        self, objective: Objective, theta: Theta, loss: float, system: AbstractDampedSystem
    ):
        self.objective, self.theta, self.loss, self.system = objective, theta, loss, system

    def attempt(self, damping: float) -> _Trial | None:
        """One trial step, or None where it cannot be computed or leaves the finite numbers."""
        try:
            v = self.system.solve(damping)
        except np.linalg.LinAlgError:
            return None
        trial = self.theta + jnp.asarray(v, self.theta.dtype)
        loss = float(_loss(self.objective, trial))
        # ⟨v, λv - g⟩ with L = |r|²/2, so that both sides count |r|².
        predicted = float(v @ (damping * v - self.system.gradient))
        if not math.isfinite(loss) or not predicted > 0:
            return None
        ratio = 2 * (self.loss - loss) / predicted
        return _Trial(damping, trial, float(np.linalg.norm(np.asarray(v))), loss, ratio)

    def paper(
        self, damping: float, max_damping: float, tolerance: float
    ) -> tuple[_Trial | None, float]:
        """Algorithm 1, lines 3 to 9: the accepted trial and the next λ."""
        while True:
            trial = self.attempt(damping)
            if trial is not None and trial.gain_ratio >= tolerance and trial.loss <= self.loss:
                return trial, max(damping / 3, 1 / max_damping)
            if damping >= max_damping:
                return None, max_damping
            damping = min(2 * damping, max_damping)

    def dampings(
        self, damping: float, factor: float, max_damping: float, tolerance: float
    ) -> tuple[_Trial | None, float]:
        """The best trial over a geometric range of dampings, and the λ to start from next."""
        best: _Trial | None = None
        trial = self.attempt(damping)
        if trial is not None and trial.gain_ratio >= tolerance:
            while trial is not None and trial.gain_ratio >= tolerance:
                if best is not None and trial.loss >= best.loss:
                    break
                best = trial
                if damping / factor < 1 / max_damping:
                    break
                damping /= factor
                trial = self.attempt(damping)
            return best, best.damping if best is not None else damping
        for _ in range(MAX_TRIALS):
            damping *= factor
            if damping > max_damping:
                break
            trial = self.attempt(damping)
            if trial is not None and trial.loss < self.loss:
                if best is not None and trial.loss >= best.loss:
                    break
                best = trial
                if trial.gain_ratio >= tolerance:
                    break
            elif best is not None:
                break
        return best, best.damping if best is not None else min(damping, max_damping)

    def accelerate(self, trial: _Trial, acceleration: float, *, only_if_better: bool) -> _Trial:
        """Add half of the geodesic acceleration where it is small against the step."""
        if acceleration == 0:
            return trial
        v = trial.theta - self.theta
        curvature = _curvature(self.objective, self.theta, v)
        a = self.system.solve_gradient(trial.damping, np.asarray(curvature))
        if not 2 * np.linalg.norm(a) <= acceleration * trial.step_norm:
            return trial
        theta = trial.theta + 0.5 * jnp.asarray(a, self.theta.dtype)
        loss = float(_loss(self.objective, theta))
        limit = trial.loss if only_if_better else self.loss
        if not loss < limit:
            return trial
        return trial._replace(
            theta=theta, loss=loss, step_norm=float(jnp.linalg.norm(theta - self.theta))
        )
