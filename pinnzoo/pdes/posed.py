"""What a problem asks of a field, as numbers: two that bear one name need not be the same."""

from collections.abc import Mapping

import jax
import numpy as np

from pinnzoo.domains import Region, sample
from pinnzoo.pdes.orders import PLACES, places, residuals_of, uneven
from pinnzoo.pdes.problem import Problem

CHANGED = 1e-6
"""Difference, relative to the largest number, that is more than what other machines round."""

REFERENCE = "reference"


def posed(problem: Problem) -> dict[str, np.ndarray]:
    """Residuals of all terms for one field, and the reference solution, at points of the problem.

    Args:
        problem: What is solved.

    Returns:
        By the name of each term "points.NAME", `(n, d)`, "values.NAME", `(n,)`, and "bounds.NAME",
        `(2, d)`, between which its region lies; the first two of "reference" too, with `(n, m)`,
        where there is one.

    Example:
        >>> sorted(posed(make_problem("bratu", {})))[:2]
        ['bounds.equation', 'bounds.left']
    """
    rng = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for name, term in problem.terms.items():
        found[f"points.{name}"] = places(term.region, rng)
        found[f"values.{name}"] = _values(problem, name, found[f"points.{name}"])
        found[f"bounds.{name}"] = _bounds(term.region)
    if problem.reference is not None:
        found[f"points.{REFERENCE}"] = sample(problem.domain, PLACES, "uniform", rng)
        found[f"values.{REFERENCE}"] = _values(problem, REFERENCE, found[f"points.{REFERENCE}"])
    return found


def difference(problem: Problem, stored: Mapping[str, np.ndarray]) -> str | None:
    """What a problem asks for otherwise than the one that `posed` looked at, None if nothing.

    Args:
        problem: What is solved.
        stored: What `posed` returned.

    Returns:
        Such as "the condition 'initial'" or "the domain".

    Example:
        >>> problem = make_problem("heat", {})
        >>> difference(problem, posed(problem)) is None
        True
    """
    then = {key.removeprefix("values.") for key in stored if key.startswith("values.")}
    now = {*problem.terms, *([] if problem.reference is None else [REFERENCE])}
    equations = {term.name for term in problem.equations}
    words = {
        name: f"the {'equation' if name in equations else 'condition'} {name!r}"
        for name in (then | now) - {REFERENCE}
    } | {REFERENCE: "the reference solution"}
    if then != now:
        return words[min(then ^ now)]
    for name in sorted(then):
        points, values = stored.get(f"points.{name}"), stored[f"values.{name}"]
        if (bounds := stored.get(f"bounds.{name}")) is not None:
            # Entries that are older state none.
            if name not in problem.terms or bounds.shape != (2, problem.d):
                return words[name]
            region = problem.terms[name].region
            size = np.ptp(bounds, axis=0).max() or 1.0
            if np.abs(_bounds(region) - bounds).max() > CHANGED * size:
                return "the domain" if name in equations else f"the region of {words[name]}"
        if points is None or points.shape[1:] != (problem.d,) or not len(points):
            return words[name]
        if {points.dtype, values.dtype} != {np.dtype(np.float64)}:
            return words[name]
        again = _values(problem, name, points)
        if again.shape != values.shape:
            return words[name]
        size = np.abs(values[np.isfinite(values)]).max(initial=0.0)
        if not np.allclose(again, values, rtol=0.0, atol=CHANGED * size, equal_nan=True):
            return words[name]
    return None


def _bounds(region: Region) -> np.ndarray:
    return np.array([region.lower, region.upper], float)


def _values(problem: Problem, name: str, points: np.ndarray) -> np.ndarray:
    """The residual of a term, or the reference solution."""
    if name != REFERENCE:
        return residuals_of(problem, name, uneven(problem.m), points)
    assert problem.reference is not None
    with jax.enable_x64(True):
        return problem.reference(points)
