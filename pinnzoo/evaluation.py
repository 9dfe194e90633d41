"""How far a network is from the reference solution of its problem."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from pinnzoo._typing import PointFunction
from pinnzoo.pdes import Problem
from pinnzoo.pdes.problem import evaluate_function

if TYPE_CHECKING:
    from pinnzoo.entry import Entry


def error_figures(
    values: Float[np.ndarray, "n m"],
    reference: Float[np.ndarray, "n m"],
    weights: Float[np.ndarray, " n"] | None = None,
) -> dict[str, float]:
    """Relative L2 error ‖u - û‖₂ / ‖û‖₂ over all points and components, and max |u - û|.

    Args:
        values: The network u.
        reference: The solution û.
        weights: Weight of each point in both norms; equal by default.
    """
    difference = values - reference
    root = np.ones((len(values), 1)) if weights is None else np.sqrt(weights)[:, None]
    return {
        "relative_l2_error": float(
            np.linalg.norm(root * difference) / np.linalg.norm(root * reference)
        ),
        "max_error": float(np.abs(difference).max()),
    }


def evaluate_field(problem: Problem, function: PointFunction) -> dict[str, Any]:
    """The stated error figures of a function of one point, on the problem's evaluation grid.

    The norms are integrals over the domain, by the trapezoidal rule: with equal weights a grid
    counts the boundary, where errors are largest, for more than its part.
    """
    points = problem.evaluation_points()
    weights = problem.domain.grid_weights(problem.evaluation_shape)
    values, reference = evaluate_function(function, points), problem.reference(points)
    figures: dict[str, Any] = dict(error_figures(values, reference, weights))
    return figures | {
        "reference_error": problem.reference.certified_error(points),
        "reference_method": problem.reference.method,
        "evaluation_shape": list(problem.evaluation_shape),
    }


def evaluate(entry: "Entry", points: ArrayLike | None = None) -> dict[str, Any]:
    """Compute the error figures of an entry anew.

    Args:
        entry: What to evaluate.
        points: Where, `(n, d)`; by default the problem's evaluation grid, on which the stated
            figures were computed.

    Returns:
        "relative_l2_error", "max_error" and "reference_error", and on the default grid also
        "reference_method" and "evaluation_shape".

    Raises:
        PointsError: The points have the wrong shape or are not finite.
    """
    problem = entry.problem
    if points is None:
        return evaluate_field(problem, problem.constrain(entry.model))  # pyright: ignore
    checked = problem.check_points(points)
    figures: dict[str, Any] = dict(
        error_figures(entry.predict(checked), problem.reference(checked))
    )
    return figures | {"reference_error": problem.reference.certified_error(checked)}
