"""What a phase trains, and on what: the whole network, a part of it, or some of its parameters."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.flatten_util import ravel_pytree

from pinnzoo._typing import Theta
from pinnzoo.collocation import draw_points
from pinnzoo.domains import residual_adaptive, sample
from pinnzoo.errors import RecipeError
from pinnzoo.objective import (
    Assembly,
    Objective,
    Term,
    as_programs,
    assemble,
    joined,
    part_slice,
    regions,
    windows_of,
)
from pinnzoo.pdes import Problem, make_problem
from pinnzoo.pdes.conditions import wrapped
from pinnzoo.pdes.times import across_time
from pinnzoo.recipes import Phase, Recipe, freezes
from pinnzoo.storage.blueprint import flat_names

CANDIDATES = 10
"""Points that are looked at for each one that is drawn by residual."""

NEAR = 20
"""One candidate more for so many, where a condition holds at a point or an edge: close to it."""

NEAREST = 1e-4
"""How close, in the size of the domain."""


@dataclass(frozen=True)
class Scope:
    """What a phase trains, and on what.

    Attributes:
        problem: The problem, or its window of time.
        objective: Its residuals, as functions of the parameters that are trained.
        part: Where these lie among all parameters: a slice, or their indices.
    """

    problem: Problem
    objective: Objective
    part: Any

    @property
    def equations(self) -> Objective:
        """The terms that hold everywhere, of which a system has several."""
        stated, region = self.problem.terms, self.problem.domain
        everywhere = {name for name, term in stated.items() if term.region == region}
        return Objective(tuple(t for t in self.objective.terms if t.name in everywhere))


def phase_scope(
    problem: Problem,
    assembly: Assembly,
    recipe: Recipe,
    phase: Phase,
    theta: Theta,
    *,
    spread: bool = False,
) -> Scope:
    """All of a network on all of a problem, or one part of it on the times that are its own.

    Args:
        problem: What is solved.
        assembly: The network on it.
        recipe: Of the training.
        phase: What it does now.
        theta: All parameters.
        spread: Whether the rows will lie on several devices, which split all arrays of an
            objective: residuals keep theirs to themselves then.

    Raises:
        RecipeError: The network has no such part, the problem no such arguments, or a pattern of
            frozen parameters matches none.
    """
    model: Any = assembly.to_model(theta)
    if phase.problem_arguments:
        problem = make_problem(
            recipe.problem, {**recipe.problem_arguments, **phase.problem_arguments}
        )
    counts = {**recipe.points, **phase.points}
    if phase.part is None:
        objective, problem = assembly.objective, joined(problem, model)
        if phase.problem_arguments:
            points = draw_points(problem, counts, recipe.sampler, recipe.seed, 0)
            measured = assembly.observations
            objective = assemble(problem, model, points, observations=measured).objective
        scope = Scope(problem, objective, slice(0, theta.size))
    else:
        part = part_slice(model, phase.part)
        window = window_of(problem, model, phase.part)
        points = draw_points(window, counts, recipe.sampler, recipe.seed, 0)
        begun, objective, _ = assemble(window, model.up_to(phase.part), points)
        objective = objective if spread else as_programs(objective, begun)
        scope = Scope(window, objective, part)
    if not phase.freeze:
        return scope
    free = np.ones(theta.size, bool)
    free[frozen_parameters(model, phase.freeze)] = False
    return restrict(scope, theta, free)


def warm_started(assembly: Assembly, theta: Theta, phase: Phase) -> Theta:
    """All parameters, those of one window's network as the window before goes on.

    Raises:
        RecipeError: See `check_warm_start`.
    """
    model: Any = assembly.to_model(theta)
    check_warm_start(model, phase.part)
    begins, _ = ravel_pytree(model.continued(phase.part))
    return theta.at[part_slice(model, phase.part)].set(begins)  # pyright: ignore


def without_tangent(assembly: Assembly, theta: Theta, phase: Phase) -> Theta:
    """All parameters, with the tangent of a network at zero that is trained without it.

    The tangent was fitted to the parameters that the network had, and means nothing beside others.
    """
    model = assembly.to_model(theta)
    tangent = _tangent_of(model, phase.part)
    return theta if tangent is None else theta.at[part_slice(model, tangent)].set(0.0)


def _tangent_of(model: Any, part: int | None) -> int | None:
    of = getattr(model, "tangent_of", None)
    return None if of is None or part is None else of(part)


def left_behind(model: Any, phases: Sequence[Phase], *, fitted: bool) -> list[int]:
    """Parts that were fitted to what is changed after them: a tangent, and all later windows.

    Args:
        model: The network.
        phases: What is trained, in this order.
        fitted: Whether the network was trained before.
    """
    windows, count = windows_of(model), len(getattr(model, "parts", ()))
    if not windows or not count:
        return []
    stride = count // len(windows)
    # A tangent that was never trained is zero.
    known = {k for k, part in enumerate(model.parts) if fitted and not _is_zero(part)}
    behind: set[int] = set()
    for phase in phases:
        if phase.steps == 0:
            continue
        if phase.part is None:
            known, behind = set(range(count)), set()
            continue
        window = phase.part // stride
        follow = {_tangent_of(model, phase.part), *range((window + 1) * stride, count)}
        behind = (behind | (follow & known)) - {phase.part}
        known.add(phase.part)
    return sorted(behind)


def _is_zero(part: nnx.Module) -> bool:
    return not any(jnp.any(leaf) for leaf in jax.tree.leaves(nnx.state(part, nnx.Param)))


def check_warm_start(model: Any, part: int | None) -> None:
    """Raise unless a part of a network can begin as the window before it goes on.

    Raises:
        RecipeError: No part is given, the network has no windows, or the part is a tangent or
            lies in the first window.
    """
    stride, count = getattr(model, "stride", 0), len(getattr(model, "parts", ()))
    allowed = range(stride, count, stride) if stride else ()
    if part not in allowed:
        told = f"part {part}" if stride else "a network without windows"
        which = f"parts {', '.join(map(str, allowed))}" if allowed else "a later window"
        raise RecipeError(
            f"warm_start=True was given for {told}: it begins a network as the one of the window "
            f"before goes on, so train {which} of a `tangent_mlp` with windows."
        )


def window_of(problem: Problem, model: Any, part: int) -> Problem:
    """The problem on the times of one part of a composed network.

    Its conditions are those that hold there, and "join_u" and the like where it has to meet the
    part before it.

    Args:
        problem: What the whole network solves.
        model: The composed network, with `before` and `part_times`.
        part: Which part; `part_slice` checks that there is one.

    Raises:
        RecipeError: A residual reads the field at times of other windows.
    """
    if len(windows_of(model)) > 1 and (ties := across_time(problem)):
        raise RecipeError(
            f"part {part} of a network was to be trained alone on {problem.name}, whose residuals "
            f"of {', '.join(map(repr, ties))} read the field at other times than their own: train "
            "all windows together, in phases without `part`."
        )
    before = model.before(part)
    first, last = model.part_times(part)
    return problem.between(first, last, None if before is None else problem.constrain(before))


def frozen_parameters(model: nnx.Module, patterns: Sequence[str]) -> np.ndarray:
    """Indices, among the flat parameters, of those whose names match one of the patterns.

    Args:
        model: The network.
        patterns: Shell-style, on dotted paths such as "hidden.0.kernel"; "hidden.0" alone means
            everything below it.

    Raises:
        RecipeError: A pattern matches no parameter, or nothing is left to train.
    """
    leaves = flat_names(nnx.state(model, nnx.Param))
    frozen: list[np.ndarray] = []
    matched: set[str] = set()
    start = 0
    for name, leaf in leaves.items():
        hits = [p for p in patterns if freezes(p, name)]
        matched |= set(hits)
        if hits:
            frozen.append(np.arange(start, start + leaf.size))
        start += leaf.size
    unmatched = [pattern for pattern in patterns if pattern not in matched]
    if unmatched or sum(map(len, frozen)) == start:
        told = f"{unmatched[0]!r} matches no parameter" if unmatched else "nothing is left to train"
        raise RecipeError(
            f"freeze={list(patterns)} was given, of which {told}: the parameters are "
            f"{', '.join(leaves)}."
        )
    return np.concatenate(frozen) if frozen else np.zeros(0, int)


def restrict(scope: Scope, theta: Theta, free: np.ndarray) -> Scope:
    """The same scope with only those parameters that are free as variables.

    Args:
        scope: What would be trained.
        theta: All parameters; those that are not free keep these values.
        free: One truth value per parameter.
    """
    inside = np.arange(theta.size)[scope.part]
    moving = np.flatnonzero(free[inside])
    whole = theta[scope.part]

    @functools.cache
    def of_moving(residual: Any) -> Any:
        return lambda values, z: residual(whole.at[moving].set(values), z)

    def narrowed(term: Term) -> Term:
        return dataclasses.replace(term, residual=wrapped(term.residual, of_moving))

    terms = tuple(map(narrowed, scope.objective.terms))
    shapes = _free_shapes(scope.objective.shapes, free[inside])
    return Scope(scope.problem, Objective(terms, shapes), inside[moving])


def _free_shapes(
    shapes: tuple[tuple[int, ...], ...], free: np.ndarray
) -> tuple[tuple[int, ...], ...]:
    """Shapes of the arrays that are free; of one that is so in part, that part as a vector."""
    kept, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        count = int(np.count_nonzero(free[start:stop]))
        kept += [shape] if count == stop - start else [(count,)] * (count > 0)
        start = stop
    return tuple(kept)


@jax.jit
def _residuals_at(objective: Objective, theta: Theta, points: Any) -> dict[str, Any]:
    """Unweighted residuals of every term, all of them at the same points."""
    return {
        term.name: jax.vmap(term.residual, (None, 0))(theta, points) for term in objective.terms
    }


def near_pins(
    problem: Problem,
    points: Mapping[str, np.ndarray],
    candidates: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Candidates around points and edges on which a condition holds, such as a pressure's.

    Evenly drawn points come close to a face, but hardly ever to a point or an edge: a field can
    have a spike there that no point of the equation sees, and all the rest is off by its height.

    Args:
        problem: Whose conditions.
        points: Those of its conditions, `(n, d)` each.
        candidates: Points in the domain, `(c, d)`, each of which is drawn towards a pin.
        rng: Source of randomness.

    Returns:
        `c` points in the domain, at distances from a pin that are spread evenly on a logarithmic
        scale; nothing where there is no pin.
    """
    domain = problem.domain
    pins = {
        name: region
        for name, region in regions(problem).items()
        if region.degrees <= domain.degrees - 2
    }
    if not pins:
        return candidates[:0]
    near = np.empty_like(candidates)
    # In turn, so that an edge of many points leaves as many to a point.
    for k, (name, region) in enumerate(pins.items()):
        own = candidates[k :: len(pins)]
        anchors = points[name][rng.integers(len(points[name]), size=len(own))]
        along = np.less(region.lower, region.upper)
        if along.sum() == region.degrees:
            # A straight edge is met at every place along it, not at its few points alone.
            anchors = np.where(along, own, anchors)
        shrunk = NEAREST ** rng.random((len(own), 1))
        near[k :: len(pins)] = anchors + shrunk * (own - anchors)
    # As many points every time: for another number everything would be compiled again.
    return np.where(domain.contains(near)[:, None], near, candidates)


def resample(
    scope: Scope, recipe: Recipe, phase: Phase, theta: Theta, draw: int
) -> dict[str, np.ndarray]:
    """New points, those of the equations by residual if the phase asks for that.

    Args:
        scope: What is trained.
        recipe: Its points, sampler and seed.
        phase: Its own points, and whether they are adaptive.
        theta: All parameters.
        draw: How many point sets were drawn before.
    """
    counts = {**recipe.points, **phase.points}
    points = draw_points(scope.problem, counts, recipe.sampler, recipe.seed, draw)
    if phase.adaptive:
        n = max(len(points[term.name]) for term in scope.equations.terms)
        rng = np.random.default_rng([recipe.seed, draw, 1])
        candidates = sample(scope.problem.domain, CANDIDATES * n, recipe.sampler, rng)
        near = near_pins(scope.problem, points, candidates[: CANDIDATES * n // NEAR], rng)
        candidates = np.concatenate([candidates, near])
        at = jnp.asarray(candidates, theta.dtype)
        values = _residuals_at(scope.equations, theta[scope.part], at)
        together: dict[int, list[str]] = {}
        for name in values:
            together.setdefault(id(points[name]), []).append(name)
        for names in together.values():
            size = np.asarray(values[names[0]])
            if len(names) > 1:
                size = np.sqrt(sum(np.asarray(values[name]) ** 2 for name in names))
            chosen = residual_adaptive(candidates, size, len(points[names[0]]), rng)
            points |= dict.fromkeys(names, chosen)
    return points
