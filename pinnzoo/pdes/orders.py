"""The highest derivatives in time that equations respond to, however they take them."""

import functools
import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pinnzoo._compiling import QUICKEST_COMPILE
from pinnzoo._typing import PointFunction
from pinnzoo.domains import Domain, Region, Surface, sample

if TYPE_CHECKING:
    from pinnzoo.pdes.problem import Problem

PLACES = 16
"""Points at which a residual is looked at, on each face."""

NEAR = 1e-3
"""Difference in time below which it is the same one, in relation to how long there is time: a
difference quotient is a derivative."""

NOTICED = 1e-9
"""Difference of two prescribed values, in relation to the residual, that is more than how they are
computed."""

HIGHEST = 3
"""Derivative in time up to which equations are looked at."""

ROUNDED = 1e-12
"""Difference of two residuals, relative to the largest, that is more than rounding."""


def uneven(m: int, domain: Domain | None = None) -> PointFunction:
    """A function of m components that is nothing special: a symmetry may remove constants.

    Args:
        m: Number of components.
        domain: Where it changes by about one, whatever the units; by default the unit box.

    Example:
        >>> uneven(2)(jnp.zeros(3)).shape
        (2,)
    """

    def function(z: Any) -> Any:
        if domain is not None:
            lower, upper = (np.asarray(end, float) for end in (domain.lower, domain.upper))
            # Features may come after the coordinates.
            z = (z[: domain.d] - lower) / np.where(upper > lower, upper - lower, 1.0)
        phases = jnp.arange(1.0, m + 1).astype(z.dtype)
        return 0.37 + jnp.sin(phases + jnp.arange(1.0, len(z) + 1) @ z)

    return function


def residuals_of(
    problem: "Problem", name: str, function: PointFunction, points: Any, *, bare: bool = False
) -> Float[np.ndarray, " n"]:
    """A term's residual for a function, at points, in float64; compiled once for as many points.

    Args:
        problem: Whose term.
        name: Name of the term.
        function: In place of the network.
        points: Where, `(n, d)`.
        bare: Whether the function stands without symmetry and ansatz around it.

    Example:
        >>> residuals_of(make_problem("heat", {}), "left", uneven(1), np.zeros((3, 2))).shape
        (3,)
    """
    with jax.enable_x64(True):
        at = jnp.asarray(points, jnp.float64)
        return np.asarray(_of_function(problem, name, function, bare)(at))


@functools.lru_cache(maxsize=64)
def _of_function(problem: "Problem", name: str, function: PointFunction, bare: bool) -> Any:
    term = problem.terms[name]
    field = problem.field(function if bare else problem.constrain(function), problem.guesses)
    at_points = jax.vmap(lambda z: term.residual(field, z))
    return jax.jit(at_points, compiler_options=QUICKEST_COMPILE)


def faces(region: Region) -> tuple[Region, ...]:
    """The parts of a surface, each of which points are to be drawn on; another region as it is."""
    return region.faces if isinstance(region, Surface) else (region,)


def places(region: Region, rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
    """Points at which the residuals of a region are looked at, some on each of its faces."""
    return np.concatenate([sample(face, PLACES, "uniform", rng) for face in faces(region)])


@functools.lru_cache(maxsize=64)
def unread(problem: "Problem") -> tuple[str, ...]:
    """Components that no equation and no condition reads, so that nothing decides what they are.

    Args:
        problem: What is solved.

    Example:
        >>> unread(make_problem("heat", {}))
        ()
    """
    named = {name.partition("_")[0] for name in problem.asked(everywhere=True)}
    return tuple(c for c in problem.components if c not in named and not _is_read(problem, c))


def _is_read(problem: "Problem", component: str) -> bool:
    """Whether a term changes with a component, which it may take without naming it."""
    plain, k = uneven(problem.m), problem.components.index(component)
    other = lambda z: plain(z).at[k].add(1 + jnp.cos(z.sum()))  # noqa: E731
    rng = np.random.default_rng(0)
    for name, term in problem.terms.items():
        points = places(term.region, rng)
        one, changed = (residuals_of(problem, name, f, points, bare=True) for f in (plain, other))
        if not np.array_equal(one, changed, equal_nan=True):
            return True
    return False


@functools.lru_cache(maxsize=64)
def contradictions(problem: "Problem") -> tuple[tuple[str, str], ...]:
    """Pairs of conditions that ask for the same on the same region and prescribe other values.

    Whatever the field is, their residuals then differ by the same, and not by nothing.

    Args:
        problem: What is solved.

    Example:
        >>> contradictions(make_problem("heat", {}))
        ()
    """
    pairs = (
        (one.name, other.name)
        for one, other in itertools.combinations(problem.conditions, 2)
        if one.asks and one.asks == other.asks and one.region == other.region
    )
    return tuple(pair for pair in pairs if _contradict(problem, *pair))


def _contradict(problem: "Problem", one: str, other: str) -> bool:
    """Whether the residuals of two terms differ by what does not depend on the field."""
    points = places(problem.terms[one].region, np.random.default_rng(0))
    apart, size = apart_for_all_fields(problem, one, other, points)
    return apart is not None and bool(np.any(np.abs(apart) > NOTICED * size))


def apart_for_all_fields(
    problem: "Problem", one: str, other: str, points: Any
) -> tuple[Float[np.ndarray, " n"] | None, float]:
    """By what the residuals of two terms differ whatever the field is, and the size of one of them.

    None where the difference depends on the field: the terms ask for different things then.

    Args:
        problem: Whose terms.
        one: Name of the first term.
        other: Name of the second term.
        points: Where, `(n, d)`.

    Example:
        >>> apart_for_all_fields(make_problem("heat", {}), "left", "right", np.zeros((3, 2)))[0]
        array([0., 0., 0.])
    """
    plain = uneven(problem.m)
    fields = [plain, lambda z: 2 * plain(z) + z.sum()]
    found = [
        [residuals_of(problem, name, field, points, bare=True) for name in (one, other)]
        for field in fields
    ]
    apart = [first - second for first, second in found]
    size = 1 + np.abs(found[1][0]).max()
    same = bool(np.all(np.abs(apart[0] - apart[1]) <= ROUNDED * size))
    return (apart[0] if same else None), float(size)


@functools.lru_cache(maxsize=64)
def time_orders(problem: "Problem") -> dict[str, int]:
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


def _responds(problem: "Problem", powers: Mapping[str, Iterable[int]]) -> bool:
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
    with np.errstate(invalid="ignore"):
        apart = np.abs(one - other) > ROUNDED * size
    # What is NaN for both fields says nothing.
    return bool((apart | (np.isnan(one) != np.isnan(other))).any())
