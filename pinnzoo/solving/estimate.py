"""The error of a solution without a reference, from what its refinements changed."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

FACTOR = 1.0
"""What the plain estimate is multiplied by. On the forward problems of the zoo the mean ratio of
plain estimates to errors, which `scripts/benchmark_solve.py` prints, was close to one."""

LATEST = 3
"""Approximations before the last one from which its error is inferred."""

MUCH = 4.0
"""Loss of such an approximation over that of the last one at least. Two that stalled at the same
loss are close to one another, however far both are from the solution."""


NEAR = 0.1
"""Relative distance to the last one up to which that is so: what is further off is as good as no
approximation, and of what its residuals are like nothing follows."""


def estimated_error(
    states: Sequence[Float[np.ndarray, "n m"]], losses: Sequence[float], factor: float = FACTOR
) -> float:
    """Estimate of the relative L2 error of the last of several approximations.

    An approximation with a much larger loss than that of the last one differs from it by nearly
    its own error. Error over the square root of the loss is a property of the problem, as long as
    residuals are of like shape, and so gives the error of the last one. One with a smaller loss, as
    a narrower network may have, is closer to the solution, and its distance to the last one is
    about the error of that.

    Args:
        states: Approximations on the same points, the one that is judged last.
        losses: ½ |r|² of each, on points that were not trained.
        factor: What the plain estimate is multiplied by.

    Returns:
        The largest of what the latest approximations with a much larger loss, and the better
        ones, say; those that are far off count where there is no other. At least rounding.

    Example:
        >>> exact = np.ones((4, 1))
        >>> round(estimated_error([exact + 0.1, exact + 0.001], [1e-2, 1e-6], factor=1.0), 4)
        0.001
    """
    final, loss = states[-1], losses[-1]
    norm = float(np.linalg.norm(final))
    apart = [float(np.linalg.norm(state - final)) for state in states[:-1]]
    pairs = list(zip(apart, losses[:-1], strict=True))
    much = [(d, value) for d, value in pairs if value >= MUCH * loss and value > 0]
    near = [(d, value) for d, value in much if d <= NEAR * norm]
    said = [d * math.sqrt(loss / value) for d, value in near or much]
    better = [distance for distance, value in pairs if value < loss]
    absolute = factor * max([*said[-LATEST:], *better], default=0.0)
    return max(absolute / norm if norm > 0 else absolute, float(np.finfo(float).eps))
