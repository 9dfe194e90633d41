"""How many points the diagnostics of a new entry take."""

from pinnzoo.collocation import term_counts
from pinnzoo.objective import regions
from pinnzoo.pdes import Problem

NTK_POINTS = {"equation": 64, "conditions": 24}
"""Points of the stored kernels per term, before `NTK_ROWS` is applied."""

NTK_ROWS = 80
"""Rows of the stored kernels at most: with a dozen snapshots they take 70 to 90 kB on disk."""

HESSIAN_POINTS = 16
"""Points at which the Hessian of the equation's residual is taken."""

LOSS_HESSIAN_POINTS = {"equation": 500, "conditions": 50}
"""Points per term of the loss whose Hessian is taken."""


def ntk_counts(problem: Problem) -> dict[str, int]:
    """Points per term of the stored kernels: the more terms a problem has, the fewer on each."""
    counts = term_counts(regions(problem), NTK_POINTS)
    share = min(1.0, NTK_ROWS / sum(counts.values()))
    return {name: max(1, int(share * count)) for name, count in counts.items()}
