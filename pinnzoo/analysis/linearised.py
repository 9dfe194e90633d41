"""What training would do if the kernel of one moment stayed as it is, beside what it did."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pinnzoo.analysis._arguments import check_number, row_of_numbers
from pinnzoo.analysis.modes import Modes, kernel_modes
from pinnzoo.analysis.tangent import Source, residuals, study, tangent
from pinnzoo.entry import Entry
from pinnzoo.errors import DiagnosticError, PointsError, refuse_names
from pinnzoo.objective import Objective

LAZY = 0.1
"""Below this departure from its linearisation a training counts as lazy."""


@dataclass(frozen=True, eq=False)
class Linearised:
    """The training of the linearised network, in closed form.

    With `r(θ + δ) ≈ r + J δ` every method below multiplies the coefficient of each mode of
    `K = J Jᵀ` by a number of its own. For a model that is linear in its parameters this is exact.

    Attributes:
        modes: The modes of the kernel, and the residual in them.

    Example:
        >>> model = linearise(objective, theta)
        >>> bool(model.losses(model.gauss_newton([0, 1]))[1] < 1e-12)
        True
    """

    modes: Modes

    def flow(self, times: Any) -> Float[np.ndarray, "t n"]:
        """Residuals under gradient flow, `e^{-λ t}` per mode.

        Args:
            times: t, `(t,)`; for descent with a small learning rate, steps times that rate.

        Raises:
            DiagnosticError: A time is negative, not finite, or no number.
        """
        return self._scaled(
            np.exp(-np.multiply.outer(row_of_numbers("times", times), self.modes.eigenvalues))
        )

    def descent(self, steps: Any, learning_rate: float | None = None) -> Float[np.ndarray, "t n"]:
        """Residuals after steps of gradient descent, `(1 - η λ)^k` per mode.

        Args:
            steps: k, `(t,)`, whole numbers.
            learning_rate: η, 1/λ₁ by default; from 2/λ₁ on descent diverges.

        Raises:
            DiagnosticError: A number of steps is negative or not whole, or the learning rate is not
                positive and finite.
        """
        if learning_rate is not None:
            check_number("the learning rate", learning_rate, zero=False)
        counts = row_of_numbers("steps", steps, whole=True)
        return self._scaled(self.modes.decays(counts, learning_rate))

    def gauss_newton(self, steps: Any, damping: float = 0.0) -> Float[np.ndarray, "t n"]:
        """Residuals after damped steps of Gauss and Newton, `(μ / (λ + μ))^k` per mode.

        Without damping one step removes every mode with λ > 0 and leaves the others: the modes 1
        and 0 of theorem 4.2 in arXiv 2402.03864.

        Args:
            steps: k, `(t,)`, whole numbers.
            damping: μ ≥ 0, in the units of the eigenvalues.

        Raises:
            DiagnosticError: The damping or a number of steps is negative or not finite, or a number
                of steps is not whole.
        """
        check_number("the damping", damping)
        counts = row_of_numbers("steps", steps, whole=True)
        values = self.modes.eigenvalues
        bottom = values + damping
        factor = np.where(bottom > 0, damping / np.where(bottom > 0, bottom, 1.0), 1.0)
        return self._scaled(factor[None, :] ** counts[:, None])

    def losses(self, found: Float[np.ndarray, "t n"]) -> Float[np.ndarray, " t"]:
        """`½ |r|²` of residuals that one of the methods returned."""
        return 0.5 * np.sum(found**2, axis=1)

    def _scaled(self, factors: Float[np.ndarray, "t n"]) -> Float[np.ndarray, "t n"]:
        return (factors * self.modes.residual) @ self.modes.vectors.T


def linearise(source: Source, theta: Any = None) -> Linearised:
    """The network with the kernel of one moment, whose training is known in closed form.

    Args:
        source: An entry, an objective, or a tangent of either.
        theta: Flat parameters, such as a row of `entry.snapshots.thetas`; those of the entry by
            default.

    Raises:
        DiagnosticError: An objective was given without parameters.
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        >>> model = linearise(objective, theta)
        >>> losses = model.losses(model.flow([0.0, 1.0, 10.0]))
        >>> bool(losses[0] > losses[1] > losses[2])
        True
    """
    return Linearised(kernel_modes(source, theta))


@dataclass(frozen=True, eq=False)
class Laziness:
    """How far a training left the linearisations of its snapshots.

    Attributes:
        steps: Steps of the snapshots, `(s,)`.
        departures: `|r(θ_t) - r_s - J_s (θ_t - θ_s)| / |r(θ_t) - r_s|` at `[s, t]`: 0 where the
            network of step t still is the linearised network of step s, of order 1 and more where
            the linear model says nothing about it. 0 on the diagonal and NaN below it.
        losses: Loss at the snapshots, `(s,)`.

    Example:
        >>> found = laziness(objective, thetas=np.stack([theta, theta * 1.0001]), steps=[0, 1])
        >>> found.lazy_from()
        0
    """

    steps: Int[np.ndarray, " s"]
    departures: Float[np.ndarray, "s s"]
    losses: Float[np.ndarray, " s"]

    @property
    def whole(self) -> float:
        """The departure of the last snapshot from the linearisation of the first."""
        return float(self.departures[0, -1])

    def lazy_from(self, threshold: float = LAZY) -> int | None:
        """The first step whose linearisation describes all that came later.

        Args:
            threshold: What departure counts as none.

        Returns:
            The step, or None where only the last snapshot describes itself.
        """
        for k in range(len(self.steps) - 1):
            if (self.departures[k, k + 1 :] <= threshold).all():
                return int(self.steps[k])
        return None


def laziness(source: Entry | Objective, *, thetas: Any = None, steps: Any = None) -> Laziness:
    """How lazy a training was, and from which step on.

    A training is lazy while the network stays the linear model that it was (Chizat, Oyallon and
    Bach 2019). This compares residuals along the parameters that the training visited, so that it
    holds for any optimizer.

    Args:
        source: An entry, or an objective with `thetas`.
        thetas: Parameters during the training, `(s, p)`; the entry's snapshots by default.
        steps: Their steps, `(s,)`; 0, 1, 2, … by default.

    Raises:
        DiagnosticError: An objective was given without parameters, or `steps` has another length
            than `thetas`.
        PointsError: The parameters are not rows of as many numbers as the network has.
        PrecisionError: Not everything is float64.
        TrainingError: Some of the parameters are not finite.

    Example:
        >>> found = laziness(objective, thetas=np.stack([theta, 2 * theta]))
        >>> found.departures.shape
        (2, 2)
    """
    refuse_names(source)
    if isinstance(source, Entry):
        looked_at = study(source)
        objective = looked_at.objective
        stacked = looked_at.thetas if thetas is None else np.asarray(thetas)
        steps = looked_at.steps if thetas is None and steps is None else steps
    elif thetas is None:
        raise DiagnosticError(
            "an objective was given without parameters: give thetas=, one row per step, or an "
            "entry, which has its snapshots."
        )
    else:
        objective, stacked = source, np.asarray(thetas)
    _check_rows(objective, stacked, steps)
    return laziness_from(
        (tangent(objective, theta) for theta in stacked), objective, stacked, steps
    )


def _check_rows(objective: Objective, thetas: np.ndarray, steps: Any) -> None:
    """Raise unless there is one row of parameters for each step.

    Raises:
        PointsError: The parameters are no rows, or rows of another length.
        DiagnosticError: There are more or fewer steps.
    """
    # An objective that was not assembled from a network does not say how many it takes.
    expected = sum(int(np.prod(shape)) for shape in objective.shapes) or "p"
    fits = thetas.ndim == 2 and len(thetas) > 0 and expected in ("p", thetas.shape[1])
    if not fits or thetas.dtype.kind not in "fiu":
        raise PointsError(
            f"thetas of shape {thetas.shape} and type {thetas.dtype} were given: give real numbers "
            f"of shape (s, {expected}), one row per step."
        )
    if steps is not None and np.shape(steps) != thetas.shape[:1]:
        raise DiagnosticError(
            f"steps of shape {np.shape(steps)} were given for {len(thetas)} rows of parameters: "
            "give one step for each row, or leave them out."
        )


def laziness_from(
    tangents: Any, objective: Objective, thetas: Float[np.ndarray, "s p"], steps: Any = None
) -> Laziness:
    """`laziness` from tangents at the rows of `thetas`, which are looked at one by one."""
    visited = residuals(objective, thetas)
    departures = np.full((len(thetas), len(thetas)), np.nan)
    for s, at in enumerate(tangents):
        departures[s, s] = 0.0
        for t in range(s + 1, len(thetas)):
            change = np.linalg.norm(visited[t] - at.residual)
            missed = np.linalg.norm(visited[t] - at.at(thetas[t]))
            departures[s, t] = missed / change if change > 0 else 0.0
    numbers = np.arange(len(thetas)) if steps is None else np.asarray(steps)
    return Laziness(numbers, departures, 0.5 * np.sum(visited**2, axis=1))
