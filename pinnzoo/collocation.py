"""How many collocation points each term gets, and drawing them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from pinnzoo.domains import Region, sample
from pinnzoo.objective import EQUATION, regions
from pinnzoo.pdes import Problem
from pinnzoo.pdes.conditions import Share

SNAPSHOTS = 10


def log_spaced_steps(total: int, count: int = SNAPSHOTS) -> list[int]:
    """0, then about `count` steps in geometric progression up to `total`.

    Example:
        >>> log_spaced_steps(100, 3)
        [0, 1, 10, 100]
    """
    if total == 0:
        return [0]
    return sorted({0, *np.unique(np.round(np.geomspace(1, total, count)).astype(int)).tolist()})


def term_counts(boxes: Mapping[str, Region], counts: Mapping[str, int]) -> dict[str, int]:
    """Points per term; equations of a system share a count, and a single point is one point.

    Args:
        boxes: Where each term lives.
        counts: "equation", "conditions" for those without a count of their own, and terms by name.
    """
    equation = counts[EQUATION]
    conditions = counts.get("conditions", equation)

    def count(name: str, box: Region) -> int:
        if box.lower == box.upper:
            return 1
        return counts.get(name, equation if box == boxes[EQUATION] else conditions)

    return {name: count(name, box) for name, box in boxes.items()}


def draw_points(
    problem: Problem, counts: Mapping[str, int], sampler: str, seed: int, draw: int
) -> dict[str, Float[np.ndarray, "n d"]]:
    """The `draw`-th set of collocation points of a seed, `(n, d)` per term.

    Residuals that one function returns have the same points, as long as no number of points is
    given for one of them alone.

    Args:
        problem: Whose terms.
        counts: See `term_counts`.
        sampler: A name of `pinnzoo.domains.SAMPLERS`.
        seed: That of the recipe.
        draw: 0 for the first points of a training, 1 for those drawn next, and so on.
    """
    rng = np.random.default_rng([seed, draw])
    boxes, terms = regions(problem), problem.terms
    drawn: dict[Any, np.ndarray] = {}
    points = {}
    for name, n in term_counts(boxes, counts).items():
        residual = terms[name].residual
        key = (id(residual.function), n) if isinstance(residual, Share) else name
        if key not in drawn:
            drawn[key] = sample(boxes[name], n, sampler, rng)
        points[name] = drawn[key]
    return points
