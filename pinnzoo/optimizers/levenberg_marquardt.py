"""Levenberg-Marquardt: the paper's algorithm, and a search over dampings that goes further."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo._compiling import QUICK_COMPILE, Compilation
from pinnzoo._threads import one_thread
from pinnzoo._typing import Theta
from pinnzoo.errors import RecipeError, UnknownNameError
from pinnzoo.linalg import (
    METHODS,
    AbstractDampedSystem,
    choose_method,
    compress_rows,
    damped_system,
    default_backend,
    squared_norms,
)
from pinnzoo.objective import Objective, residual_and_loss
from pinnzoo.optimizers._base import Info, Optimizer, named
from pinnzoo.optimizers._linearization import pull_back
from pinnzoo.precision import product
from pinnzoo.registry import check_whole
from pinnzoo.sharding import AgreedSystem, mesh_of, reduced_rows

RULES = ("search", "paper")
SCALINGS = ("identity", "columns")
MAX_TRIALS = 40
BEND = 0.1
"""Part of a step over which its bend is measured for a first guess (Transtrum and Sethna 2012,
section 3): the residual may be near rounding, of which a smaller part would be a difference."""
SUFFICIENT = 0.9
"""A correction that leaves more than this part of the loss is the last one of its trial."""


class LevenbergMarquardtState(NamedTuple):
    """What one step hands to the next.

    Attributes:
        damping: λ.
        relative_damping: λ / ‖JᵀJ‖ of the last step, which chooses the factorization.
    """

    damping: Any
    relative_damping: Any


class _Trial(NamedTuple):
    """A step that was tried, and what it would bring."""

    damping: float
    theta: Theta
    step_norm: float
    loss: float
    gain_ratio: float


@functools.partial(jax.jit, static_argnames="chunk", compiler_options=QUICK_COMPILE)
def linearize(objective: Objective, theta: Theta, chunk: int) -> tuple[Any, Any, Any]:
    """r, J and ½ |r|², by one program for each structure of the objective."""
    residual, jacobian = objective.linearize(theta, chunk)
    return residual, jacobian, 0.5 * jnp.sum(residual**2)


def _rows_in(memory: float, theta: Theta) -> int:
    """Rows of J that fit into this many GiB."""
    return max(1, int(memory * 2**30 / (theta.size * theta.dtype.itemsize)))


def _linear_model(
    objective: Objective, theta: Theta, chunk: int, memory: float
) -> tuple[Any, Any, float, Callable[[Any], Any]]:
    """r, J, the loss, and `w -> Jᵀw`.

    A triangle takes the place of J and r where J is too large, and reduced rows where its rows
    are spread over several devices.
    """
    budget = _rows_in(memory, theta)
    if mesh_of(objective) is not None:
        jacobian, residual, loss = reduced_rows(objective, theta, chunk, budget)
        return residual, jacobian, loss, functools.partial(pull_back, objective, theta)
    if objective.n <= budget:
        residual, jacobian, loss = linearize(objective, theta, chunk)
        if default_backend() == "host":
            rows = np.asarray(jacobian)
            return residual, jacobian, float(loss), lambda w: rows.T @ np.asarray(w)
        return residual, jacobian, float(loss), lambda w: product(jacobian.T, w)
    loss = 0.0

    def blocks() -> Iterator[tuple[Any, Any]]:
        nonlocal loss
        for part in objective.split(budget):
            residual, jacobian, share = linearize(part, theta, chunk)
            loss += float(share)
            yield jacobian, residual

    triangle, c = compress_rows(blocks())
    return c, triangle, loss, functools.partial(pull_back, objective, theta)


@jax.jit
def _second_difference(ahead: Any, here: Any, behind: Any, h: float) -> Any:
    return (ahead - 2 * here + behind) / h**2


@named
def levenberg_marquardt(
    rule: str = "search",
    damping: float = 1.0,
    max_damping: float = 1e12,
    tolerance: float = 0.1,
    acceleration: float = 0.75,
    corrections: int = 8,
    scaling: str = "identity",
    factor: float = 3.0,
    method: str = "auto",
    chunk: int = 512,
    memory: float = 4.0,
    min_damping: float = 0.0,
) -> Optimizer:
    """Levenberg-Marquardt on the residual vector.

    Both rules share the step `v = -(JᵀJ + λD²)⁻¹ Jᵀr` and the gain ratio
    `C = (|r(θ)|² - |r(θ+v)|²) / ⟨v, λD²v - Jᵀr⟩`, actual over predicted decrease.

    - "paper": algorithm 1 of Bonfanti et al. (arXiv 2402.03864), after Gavin (2019), with D = I.
      While `C < tolerance`, λ doubles (up to `max_damping`); when the step is accepted, λ becomes
      λ/3 (at least 1/`max_damping`). Then geodesic acceleration (Transtrum and Sethna 2012,
      arXiv 1201.5885, Eq. 5) adds `a/2` with `a = -(JᵀJ + λI)⁻¹ Jᵀ(vᵀH_i v)_i` where
      `2|a| ≤ acceleration · |v|`; a central difference gives `vᵀH_i v`. The denominator of C has
      the sign of Gavin's Eq. 16; as the paper prints it, `λv + ∇L`, it would be negative for every
      step.
    - "search" (the default) departs from it twice, and is many orders of magnitude more accurate
      on PINNs. First, each trial is corrected with the factorization that is there already,
      `v ← v - (JᵀJ + λD²)⁻¹ (Jᵀr(θ+v) + λD²v)`, until the loss stalls: the multi-step idea of
      Shamanskii (1967) in the damped form of Fan (2013, Comput. Optim. Appl. 56:63-80), with
      the proximal term kept, so that the fixed point minimizes `|r(θ+v)|² + λ|Dv|²` over the
      range of J. Geodesic acceleration, which is their second-order part, comes before them. PINN
      residuals bend so sharply that without corrections λ has to stay large. Second, the
      factorization serves several dampings: λ falls by `factor` for as long as the gain ratio
      stays above `tolerance` and the loss falls, or rises until it does or the loss falls no
      further: the last decrease is then taken, whatever its gain ratio.

    The step is not traceable: on the CPU it hands the Jacobian to LAPACK without a copy.

    Args:
        rule: "search" or "paper".
        damping: λ₀, in the units of ‖JᵀJ‖.
        max_damping: Λ, bounds λ from above, and 1/Λ from below ("paper" only).
        tolerance: Least gain ratio at which λ may fall, in [0, 1/4).
        acceleration: α in [0, 1); 0 switches geodesic acceleration off.
        corrections: Most corrections per trial ("search" only).
        scaling: D, "identity" or "columns" for the norms of the columns of J (Marquardt 1963).
        factor: Ratio of neighbouring dampings ("search" only).
        method: How the damped system is solved: "auto", "cholesky", "kernel", "qr" or "svd".
        chunk: Points whose Jacobian rows are computed at once, which bounds the memory that
            reverse mode needs beside J itself.
        memory: Budget for J in GiB. A larger J is never held: its rows are folded into a triangle
            block by block, which has the same steps.
        min_damping: Bounds λ from below ("search" only). In least squares with features that are
            nearly dependent, a smaller λ lowers the loss by parameters that are huge and cancel:
            the solution between the points, and its last digits, are worse for it.

    Raises:
        UnknownNameError: No such rule, scaling or method.
        RecipeError: A number is out of range.
    """
    for kind, given, table in (
        ("damping rule", rule, RULES),
        ("scaling", scaling, SCALINGS),
        ("damped solve", method, METHODS),
    ):
        if given not in table:
            raise UnknownNameError.of(kind, given, table)
    if not (0 < damping < max_damping and 0 <= tolerance < 0.25 and 0 <= acceleration < 1):
        raise RecipeError(
            f"damping={damping}, max_damping={max_damping}, tolerance={tolerance} and "
            f"acceleration={acceleration} were given: allowed are 0 < damping < max_damping, "
            "tolerance in [0, 1/4) and acceleration in [0, 1)."
        )
    if rule == "paper" and max_damping < 1:
        raise RecipeError(
            f"max_damping={max_damping} was given with rule='paper', which keeps the damping "
            "between 1/max_damping and max_damping: give at least 1."
        )
    if not 0 <= min_damping <= damping:
        raise RecipeError(
            f"min_damping={min_damping} was given: it must be at least 0 and at most the damping, "
            f"which is {damping}."
        )
    check_whole(chunk=chunk)
    check_whole(0, corrections=corrections)
    if not (factor > 1 and memory > 0):
        raise RecipeError(
            f"factor={factor} and memory={memory} were given: allowed are factor above 1 and "
            "memory above 0."
        )

    def init(objective: Objective, theta: Theta) -> LevenbergMarquardtState:
        del objective, theta
        # Nothing is known of ‖JᵀJ‖ yet: the first step counts as well-conditioned.
        return LevenbergMarquardtState(np.asarray(damping, np.float64), np.asarray(1.0))

    def prepare(objective: Objective, theta: Theta) -> Callable[[], None]:
        if mesh_of(objective) is not None or objective.n > _rows_in(memory, theta):
            return lambda: None
        # What goes wrong will go wrong in the first step again, and is reported there.
        return Compilation(linearize.lower(objective, theta, chunk)).join

    def take_step(
        objective: Objective, theta: Theta, state: LevenbergMarquardtState
    ) -> tuple[Theta, LevenbergMarquardtState, Info]:
        residual, jacobian, loss, pull_back = _linear_model(objective, theta, chunk, memory)
        chosen = method
        if method == "auto":
            chosen = choose_method(
                len(residual), theta.size, float(state.relative_damping), theta.dtype
            )
        weights = column_norms(jacobian) if scaling == "columns" else np.ones(theta.size)
        system = damped_system(jacobian, residual, method=chosen, scaling=weights)
        if (mesh := mesh_of(objective)) is not None:
            system = AgreedSystem(system, mesh)
        trials = _Trials(
            objective, theta, loss, pull_back, system, weights, acceleration, corrections
        )
        if rule == "paper":
            best, proposal = _paper_rule(trials, float(state.damping), max_damping, tolerance)
            if best is not None:
                best = trials.accelerate(best)
        else:
            best, proposal = _damping_search(
                trials, float(state.damping), factor, (min_damping, max_damping), tolerance
            )
        used = best.damping if best is not None else proposal
        # Columns of J D⁻¹ have norm one, or less where D is at its floor.
        norm = system.norm if scaling == "identity" else float(theta.size)
        relative = used / norm if norm > 0 else 1.0
        info = Info(
            loss=loss,
            grad_norm=float(np.linalg.norm(np.asarray(system.gradient))),
            step_norm=best.step_norm if best is not None else 0.0,
            accepted=float(best is not None),
            damping=used,
            gain_ratio=best.gain_ratio if best is not None else math.nan,
        )
        state = LevenbergMarquardtState(
            np.asarray(proposal, np.float64), np.asarray(relative, np.float64)
        )
        return (theta if best is None else best.theta), state, info

    def step(
        objective: Objective, theta: Theta, state: LevenbergMarquardtState
    ) -> tuple[Theta, LevenbergMarquardtState, Info]:
        # Where a large call gains by more of them, it asks for them itself.
        with one_thread():
            return take_step(objective, theta, state)

    return Optimizer(init, step, traceable=False, prepare=prepare)


def column_norms(jacobian: Any) -> np.ndarray:
    """Norms of the columns of J, those that nearly vanish lifted to a floor."""
    if default_backend() == "host":
        rows = np.asarray(jacobian)
        norms = np.sqrt(np.einsum("ij,ij->j", rows, rows))
    else:
        # An accelerator's Jacobian stays where it is.
        norms = np.sqrt(np.asarray(squared_norms(jacobian)))
    return np.maximum(norms, 1e-6 * max(float(norms.max()), np.finfo(norms.dtype).tiny))


class _Trials:
    """Trial steps from one factorization."""

    def __init__(
        self,
        objective: Objective,
        theta: Theta,
        loss: float,
        pull_back: Callable[[Any], Any],
        system: AbstractDampedSystem,
        scaling: np.ndarray,
        bound: float,
        corrections: int,
    ):
        self.objective, self.theta, self.loss = objective, theta, loss
        self.pull_back, self.system = pull_back, system
        self.metric, self.bound, self.corrections = scaling**2, bound, corrections
        self._here: Any = None

    def attempt(self, damping: float, *, correct: bool) -> _Trial | None:
        """One trial step, or None where it cannot be computed or leaves the finite numbers."""
        try:
            v = self.system.solve(damping)
        except np.linalg.LinAlgError:
            return None
        # ⟨v, λD²v - g⟩, where both sides of the ratio count |r|² and not half of it.
        predicted = float(v @ (damping * self.metric * v - self.system.gradient))
        if not (np.isfinite(predicted) and predicted > 0):
            return None
        evaluated = self._evaluate(damping, v, predicted)
        if evaluated is None:
            return None
        best, residual = evaluated
        if not correct:
            return best
        bent = self.acceleration(damping, v, exact=False)
        if bent is not None:
            evaluated = self._evaluate(damping, v + bent, predicted)
            if evaluated is not None and evaluated[0].loss < best.loss:
                v, (best, residual) = v + bent, evaluated
        for _ in range(self.corrections):
            gradient = self._native(self.pull_back(residual)) + damping * self.metric * v
            v = v + self.system.solve_gradient(damping, gradient)
            evaluated = self._evaluate(damping, v, predicted)
            if evaluated is None or evaluated[0].loss >= best.loss:
                break
            stalls = evaluated[0].loss > SUFFICIENT * best.loss
            best, residual = evaluated
            if stalls:
                break
        return best

    def acceleration(self, damping: float, v: Any, *, exact: bool) -> Any:
        """Half of the geodesic acceleration, or None where it is not small against the step."""
        if self.bound == 0:
            return None
        direction = jnp.asarray(v, self.theta.dtype)
        # Where truncation and rounding are alike, half of the digits are exact.
        h = float(np.finfo(self.theta.dtype).eps) ** 0.25 if exact else BEND
        curvature = self._curvature(direction, h)
        a = self.system.solve_gradient(damping, self._native(self.pull_back(curvature)))
        small = 2 * np.linalg.norm(np.asarray(a)) <= self.bound * np.linalg.norm(np.asarray(v))
        return 0.5 * a if small else None

    def _curvature(self, direction: Any, h: float) -> Any:
        """`vᵀ H_i v` for every row i, by a central difference along the step.

        Two residuals more, which is a tenth of the cost of two nested forward passes, by the
        program that is there already.
        """
        if self._here is None:
            # Not that of the linear model, whose rows may be fewer.
            self._here = residual_and_loss(self.objective, self.theta)[0]
        ahead, behind = (
            residual_and_loss(self.objective, self.theta + side * h * direction)[0]
            for side in (1, -1)
        )
        return _second_difference(ahead, self._here, behind, h)

    def accelerate(self, trial: _Trial) -> _Trial:
        """Algorithm 1, line 10, on an accepted step."""
        v = self._native(trial.theta - self.theta)
        bent = self.acceleration(trial.damping, v, exact=True)
        if bent is None:
            return trial
        evaluated = self._evaluate(trial.damping, v + bent, 1.0)
        # Not in the paper: an acceleration that loses the decrease again is left out.
        if evaluated is None or not evaluated[0].loss < self.loss:
            return trial
        return evaluated[0]._replace(gain_ratio=trial.gain_ratio)

    def _evaluate(self, damping: float, v: Any, predicted: float) -> tuple[_Trial, Any] | None:
        theta = self.theta + jnp.asarray(v, self.theta.dtype)
        residual, value = residual_and_loss(self.objective, theta)
        loss = float(value)
        if not math.isfinite(loss):
            return None
        ratio = 2 * (self.loss - loss) / predicted
        length = float(np.linalg.norm(np.asarray(v)))
        return _Trial(damping, theta, length, loss, ratio), residual

    def _native(self, array: Any) -> Any:
        """The array where the factorization lives."""
        return np.asarray(array) if isinstance(self.system.gradient, np.ndarray) else array


def _paper_rule(
    trials: _Trials, damping: float, max_damping: float, tolerance: float
) -> tuple[_Trial | None, float]:
    """Algorithm 1, lines 3 to 9: the accepted trial and the next λ."""
    while True:
        trial = trials.attempt(damping, correct=False)
        if trial is not None and trial.gain_ratio >= tolerance and trial.loss <= trials.loss:
            return trial, max(damping / 3, 1 / max_damping)
        if damping >= max_damping:
            return None, max_damping
        damping = min(2 * damping, max_damping)


def _damping_search(
    trials: _Trials,
    damping: float,
    factor: float,
    bounds: tuple[float, float],
    tolerance: float,
) -> tuple[_Trial | None, float]:
    """The best trial over a geometric range of dampings, and the λ to start from next."""
    min_damping, max_damping = bounds
    best: _Trial | None = None
    trial = trials.attempt(damping, correct=True)
    while trial is not None and trial.gain_ratio >= tolerance:
        if best is not None and trial.loss >= best.loss:
            break
        best = trial
        damping /= factor
        if damping < min_damping:
            break
        trial = trials.attempt(damping, correct=True)
    if best is not None:
        return best, best.damping
    for _ in range(MAX_TRIALS):
        if damping >= max_damping:
            break
        damping = min(damping * factor, max_damping)
        trial = trials.attempt(damping, correct=True)
        lowers = trial is not None and trial.loss < (trials.loss if best is None else best.loss)
        if lowers:
            best = trial
            if trial is not None and trial.gain_ratio >= tolerance:
                break
        elif best is not None:
            break
    return best, best.damping if best is not None else min(damping, max_damping)
