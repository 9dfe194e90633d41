"""The error of a solution without a reference, from what its refinements changed."""

from collections.abc import Sequence

import numpy as np

FACTOR = 1.0


def estimated_error(states: Sequence[np.ndarray], losses: Sequence[float]) -> float:
    """Estimate of the relative L2 error of the last of several approximations.

    For an approximation whose loss is much larger than that of the last one, the difference of the
    two is its error. Error and √loss are in proportion as long as the residuals are of like shape,
    which gives the error of the last one.
    """
    final, loss = states[-1], losses[-1]
    norm = np.linalg.norm(final)
    ratios = [
        np.linalg.norm(state - final) / np.sqrt(value)
        for state, value in zip(states[:-1], losses[:-1], strict=True)
        if value > 0
    ]
    if not ratios or norm == 0:
        return float("inf")
    return float(FACTOR * max(ratios[-2:]) * np.sqrt(loss) / norm)
