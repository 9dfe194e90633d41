"""Which residuals at one time depend on the field at others; windows of time do not know those."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo._compiling import QUICKEST_COMPILE
from pinnzoo.pdes.conditions import Condition
from pinnzoo.pdes.orders import NEAR, places, uneven
from pinnzoo.pdes.problem import Problem

CHANGED = 1e-6
"""Difference of two residuals that is more than rounding; what is read elsewhere is twice as large
there."""


@functools.lru_cache(maxsize=64)
def across_time(problem: Problem) -> tuple[str, ...]:
    """Names of the terms that read the field at other times than that of their point.

    Delays, integrals over the past and conditions that tie two times do. Each residual is computed
    for a field that is changed at all other times; derivatives at its own time stay as they are.

    Args:
        problem: What is solved; its first coordinate is time.

    Example:
        >>> across_time(make_problem("heat", {}))
        ()
    """
    return tuple(name for name, term in problem.terms.items() if _reads_others(problem, term))


def _reads_others(problem: Problem, term: Condition) -> bool:
    begin, end = problem.domain.bounds(problem.coords[0])
    points = places(term.region, np.random.default_rng(0))
    plain = uneven(problem.m)

    def residuals(z: Any) -> Any:
        def changed(y: Any) -> Any:
            return plain(y) * (1 + (jnp.abs(y[0] - z[0]) > NEAR * (end - begin)))

        functions = (problem.constrain(plain), problem.constrain(changed), plain)
        return tuple(term.residual(problem.field(f, problem.guesses), z) for f in functions)

    with jax.enable_x64(True):
        compiled = jax.jit(jax.vmap(residuals), compiler_options=QUICKEST_COMPILE)
        found = np.asarray(compiled(jnp.asarray(points)))
    # The field without ansatz tells the size of a condition that the ansatz meets but for rounding.
    # NaN at the same places is no difference.
    size, (one, other, _) = np.abs(found[np.isfinite(found)]).max(initial=0.0), found
    return not np.allclose(one, other, rtol=0.0, atol=CHANGED * size, equal_nan=True)
