"""Which residuals at one time depend on the field at others; windows of time do not know those."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo._compiling import QUICKEST_COMPILE
from pinnzoo._typing import PointFunction
from pinnzoo.domains import Surface, sample
from pinnzoo.pdes.conditions import Condition
from pinnzoo.pdes.problem import Problem

PLACES = 16
"""Points at which a residual is looked at, on each face."""

CHANGED = 1e-6
"""Difference of two residuals that is more than rounding; what is read elsewhere is twice as large
there."""

HIGHEST = 3
"""Derivative in time up to which equations are looked at."""

ROUNDED = 1e-12
"""Difference of two residuals, relative to the largest, that is more than rounding."""

NEAR = 1e-3
"""Difference in time below which it is the same one, in relation to how long there is time: a
difference quotient is a derivative."""


def uneven(m: int) -> PointFunction:
    """A function of m components that is nothing special: a symmetry may remove constants.

    Example:
        >>> uneven(2)(jnp.zeros(3)).shape
        (2,)
    """

    def function(z: Any) -> Any:
        phases = jnp.arange(1.0, m + 1).astype(z.dtype)
        return 0.37 + jnp.sin(phases + jnp.arange(1.0, len(z) + 1) @ z)

    return function


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


@functools.lru_cache(maxsize=64)
def time_orders(problem: Problem) -> dict[str, int]:
    """The highest derivative in time of each component that the equations respond to.

    However they take it: by name, or with `jax.grad` of the field, as in a flux. Each residual is
    computed for a field to which powers of `t - t₀` are added, whose derivatives at the time t₀ of
    the point are zero up to those that it asks for by name.

    Args:
        problem: What is solved; its first coordinate is time.

    Example:
        >>> time_orders(make_problem("wave", {}))
        {'u': 2}
    """
    orders = dict.fromkeys(problem.components, 0)
    for component, _, letters in (name.partition("_") for name in problem.asked()):
        orders[component] = max(orders[component], letters.count(problem.coords[0]))
    beyond = {c: range(k + 1, HIGHEST + 1) for c, k in orders.items()}
    # One program for all of them, which is all that most problems need.
    if _responds(problem, beyond):
        for c, powers in beyond.items():
            found = [k for k in powers if _responds(problem, {c: (k,)})]
            orders[c] = max([orders[c], *found])
    return orders


def _responds(problem: Problem, powers: Mapping[str, Iterable[int]]) -> bool:
    """Whether an equation changes with powers of the time that are added to components."""
    length = problem.domain.length(problem.coords[0])
    points = sample(problem.domain, PLACES, "uniform", np.random.default_rng(0))
    plain = uneven(problem.m)

    def residuals(z: Any) -> Any:
        def changed(y: Any) -> Any:
            since = (y[0] - z[0]) / length
            near = (1 + jnp.sin(y).sum() / 4) * (jnp.abs(since) < NEAR)
            bumps = [sum(since**k for k in powers.get(c, ())) * near for c in problem.components]
            return plain(y) + jnp.stack(bumps)

        fields = [problem.field(f, problem.guesses) for f in (plain, changed)]
        return [jnp.stack([t.residual(f, z) for t in problem.equations]) for f in fields]

    with jax.enable_x64(True):
        compiled = jax.jit(jax.vmap(residuals), compiler_options=QUICKEST_COMPILE)
        one, other = map(np.asarray, compiled(jnp.asarray(points)))
    size = np.abs(np.where(np.isfinite(one), one, 0.0)).max(axis=0)
    apart = np.abs(one - other) > ROUNDED * size
    # What is NaN for both fields says nothing.
    return bool((apart | (np.isnan(one) != np.isnan(other))).any())


def _reads_others(problem: Problem, term: Condition) -> bool:
    begin, end = problem.domain.bounds(problem.coords[0])
    rng = np.random.default_rng(0)
    faces = term.region.faces if isinstance(term.region, Surface) else (term.region,)
    points = np.concatenate([sample(face, PLACES, "uniform", rng) for face in faces])

    plain = uneven(problem.m)

    def residuals(z: Any) -> Any:
        def changed(y: Any) -> Any:
            return plain(y) * (1 + (jnp.abs(y[0] - z[0]) > NEAR * (end - begin)))

        return tuple(
            term.residual(problem.field(problem.constrain(f), problem.guesses), z)
            for f in (plain, changed)
        )

    with jax.enable_x64(True):
        compiled = jax.jit(jax.vmap(residuals), compiler_options=QUICKEST_COMPILE)
        one, other = map(np.asarray, compiled(jnp.asarray(points)))
    # NaN at the same places is no difference.
    size = max(np.abs(one[np.isfinite(one)]).max(initial=0.0), 1.0)
    return not np.allclose(one, other, rtol=0.0, atol=CHANGED * size, equal_nan=True)
