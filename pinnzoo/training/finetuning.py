"""`finetune`: go on training an entry, also towards other coefficients."""

import functools
import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from pinnzoo.entry import Entry
from pinnzoo.errors import EntryError, RecipeError, refuse_names, require, require_dict
from pinnzoo.objective import CONDITIONS, EQUATION, OBSERVATIONS, part_slice, windows_of
from pinnzoo.observations import Measured
from pinnzoo.optimizers import Optimizer, as_optimizer, make_optimizer
from pinnzoo.pdes import Problem, require_problem
from pinnzoo.recipes import Phase, derived_tag, resolve_optimizer
from pinnzoo.registry import check_switches
from pinnzoo.storage.blueprint import pose
from pinnzoo.training.progress import Report
from pinnzoo.training.scope import frozen_parameters
from pinnzoo.training.training import train
from pinnzoo.zoo import reference_of

LEVENBERG_MARQUARDT = "levenberg_marquardt"

ROWS_PER_PARAMETER = 3
"""Points of the equation for each parameter that is trained, at least, where a second-order
optimizer would otherwise fit its points more closely than the solution between them."""

ALL = "all"

T = TypeVar("T")


def finetune(
    entry: Entry,
    optimizer: str | Optimizer = LEVENBERG_MARQUARDT,
    steps: int = 200,
    *,
    problem: Problem | None = None,
    problem_arguments: Mapping[str, float | str] | None = None,
    freeze: str | Sequence[str] = (),
    seconds: float | None = None,
    points: Mapping[str, int] | None = None,
    weights: Mapping[str, float] | None = None,
    resample_every: int | None = None,
    adaptive: bool = True,
    part: int | str | None = None,
    seed: int | None = None,
    dtype: str | None = None,
    report: Report | None = None,
    progress: bool = False,
    workdir: str | os.PathLike[str] | None = None,
    resume: bool = True,
    tag: str | None = None,
    mesh: Mesh | None = None,
    diagnostics: bool | Sequence[str] = True,
    observations: Measured | None = None,
    **arguments: Any,
) -> Entry:
    """Go on training an entry.

    It starts from the parameters of the entry, and from the points, the weights and the part of the
    network that its last phase had.

    Args:
        entry: Where to start.
        optimizer: Name or alias of the optimizer, an `Optimizer`, or one of optax.
        steps: Number of steps.
        problem: Another problem with the same coordinates and components, or the same one with
            other coefficients; by default the entry's own. On a domain with other bounds the
            network is stretched: it reads them as it read those of its own, as -1 and 1.
        problem_arguments: Physical arguments that change, such as `{"viscosity": 0.02}`.
        freeze: Parameters that keep their values: names such as "hidden.0", or patterns such as
            "*.bias".
        seconds: Wall time of all steps together; None is no limit.
        points: Points per term, as in a recipe; where none are given those of the entry's last
            phase, and for Levenberg-Marquardt at least three on the equation for each parameter.
        weights: Loss weight per term; where none is given that of the entry's last phase.
        resample_every: Draw new points after this many steps; 0 keeps the first ones. By default
            10 for Levenberg-Marquardt, which soon fits a fixed set more closely than the solution,
            and 0 for the others, since new points spoil the curvature pairs of quasi-Newton.
        adaptive: Draw the equation's new points by residual.
        part: Part of a composed network to train, as in `Phase`; by default what the last phase of
            the entry trained, or all of it where the problem changes and there are several windows.
            "all" trains all parameters together; the loss then has conditions where windows of time
            meet, too.
        seed: Seed of the points; by default the entry's.
        dtype: "float64" or "float32"; by default the entry's.
        report: See `train`.
        progress: Show a progress bar.
        workdir: Folder for the state of the run, so that it can go on after a kill.
        resume: Go on with the run that `workdir` holds; False begins anew.
        tag: Tag of the new entry; by default "from_" and the old optimizer.
        mesh: Devices over which the points are spread, as in `train`.
        diagnostics: See `train`.
        observations: What was measured, as in `train`; by default what the entry was trained on,
            and nothing for an empty list.
        **arguments: Arguments of the optimizer.

    Returns:
        The new entry. `tuned.recipe.base` says where the old one is.

    Raises:
        EntryError: The name of an entry was given in its place, or something else.
        UnknownNameError: There is no such optimizer.
        RecipeError: The optimizer or the problem does not take one of the arguments, or the network
            has no such part or parameter.

    Example:
        ```python
        entry = pinnzoo.load("burgers-mlp-lm")
        thicker = pinnzoo.finetune(entry, steps=30, problem_arguments={"viscosity": 0.02})
        ```
    """
    refuse_names(entry)
    require(entry, Entry, "the entry", "load one first", EntryError)
    check_switches(progress=progress, resume=resume, adaptive=adaptive)
    if problem is not None:
        require_problem(problem)
    require_dict(problem_arguments, "problem_arguments", {"viscosity": 0.02})
    require_dict(points, "points", {"equation": 1000})
    require_dict(weights, "weights", {"equation": 10.0})
    require(freeze, Iterable, "freeze", "give a name such as 'hidden.0', or a list of such names")
    optimizers: dict[str, Optimizer] = {}
    if not isinstance(optimizer, str):
        optimizer = as_optimizer(optimizer)
        name = optimizer.name or "custom"
        if arguments:
            raise RecipeError(
                f"the arguments {', '.join(arguments)} were given with an optimizer that is made "
                "already: make it with them, or give its name."
            )
        arguments, optimizers = dict(optimizer.arguments), {name: optimizer}
    else:
        name = resolve_optimizer(optimizer)
        make_optimizer(name, arguments)
    if problem is not None and problem_arguments:
        raise RecipeError(
            f"problem_arguments={dict(problem_arguments)} were given with a problem that is made "
            "already: make it with them, or leave the problem out."
        )
    if isinstance(part, numbers.Integral) and not isinstance(part, bool):
        # NumPy's whole numbers, such as those of a range of parts, are no `int`.
        part = int(part)
    elif not (part is None or part == ALL):
        raise RecipeError(f"part={part!r} was given: give a number, or {ALL!r} for all of it.")
    recipe, last = entry.recipe, entry.recipe.phases[-1]
    physical = {**recipe.problem_arguments, **(problem_arguments or {})}
    if problem is not None:
        physical = dict(problem.arguments)
    elif not problem_arguments:
        problem = entry.problem
    if resample_every is None:
        resample_every = 10 if name == LEVENBERG_MARQUARDT else 0
    posed = problem or pose(replace(recipe, problem_arguments=physical), None)
    _check_sizes(entry, posed)
    # Where the problem changes, the last of several windows is not the only one to follow.
    whole = posed is not entry.problem and len(windows_of(entry.model)) > 1
    default = None if whole else last.part
    trained = default if part is None else None if part == ALL else part
    alike = posed.coords == entry.problem.coords
    kept = functools.partial(_kept, entry.problem, posed, same=trained == last.part)
    frozen = (freeze,) if isinstance(freeze, str) else tuple(freeze)
    counted = kept({**recipe.points, **last.points})
    if name == LEVENBERG_MARQUARDT and EQUATION not in (points or {}):
        counted = _enough(entry.model, trained, frozen, posed, counted)
    phase = Phase(
        name,
        steps,
        arguments,
        points={**counted, **(points or {})},
        weights={**kept(last.weights), **(weights or {})},
        resample_every=resample_every,
        adaptive=adaptive and resample_every > 0,
        part=trained,
        # Causality needs time, which another problem may lack.
        weighting=last.weighting if alike else None,
        weighting_arguments=last.weighting_arguments if alike else {},
        reweigh_every=last.reweigh_every,
        freeze=frozen,
    )
    derived = replace(
        recipe,
        problem=recipe.problem if problem is None else problem.name,
        problem_arguments=physical,
        phases=(phase,),
        points=_kept(entry.problem, posed, recipe.points, same=True),
        weights=kept(recipe.weights),
        seed=recipe.seed if seed is None else seed,
        dtype=dtype or recipe.dtype,
        base=reference_of(entry),
        tag=tag if tag is not None else derived_tag(recipe, name),
    )
    return train(
        derived,
        problem=problem,
        optimizers=optimizers,
        base=entry,
        report=report,
        progress=progress,
        workdir=workdir,
        resume=resume,
        mesh=mesh,
        seconds=seconds,
        diagnostics=diagnostics,
        observations=_measured(entry, observations),
    )


def _check_sizes(entry: Entry, problem: Problem) -> None:
    """Raise unless the network of an entry takes what a problem has.

    Raises:
        RecipeError: The problem has other numbers of inputs or components.
    """
    sizes = [(p.network_inputs, p.m) for p in (problem, entry.problem)]
    if sizes[0] == sizes[1]:
        return
    (inputs, m), (own_inputs, own_m) = sizes
    raise RecipeError(
        f"the problem {problem.name!r} with {dict(problem.arguments)} has {inputs} coordinates and "
        f"features and {m} components: the network of {entry.name} takes {own_inputs} to {own_m}, "
        "so fine-tune it to a problem of as many, or train a new one."
    )


def _measured(entry: Entry, given: Measured | None) -> Measured | None:
    """What is fitted: what is given, what the entry has, or nothing for an empty list."""
    if given is None:
        return entry.observations
    return None if isinstance(given, list | tuple) and not given else given


def _kept(old: Problem, new: Problem, values: Mapping[str, T], *, same: bool) -> dict[str, T]:
    """What was said about terms, as far as it can be said of the new problem.

    Args:
        old: What the entry solves.
        new: What is solved next.
        values: Numbers of points or weights, by the names of terms and by "conditions".
        same: Whether the same part of the network is trained: its window of time has conditions
            that the problem does not have. Another part has others.
    """
    gone = old.terms.keys() - new.terms.keys()
    known = {*new.terms, CONDITIONS, OBSERVATIONS}
    return {name: v for name, v in values.items() if name not in gone and (same or name in known)}


def _enough(
    model: nnx.Module,
    part: int | None,
    frozen: Sequence[str],
    problem: Problem,
    counts: Mapping[str, int],
) -> dict[str, int]:
    """Numbers of points of which the equations have enough for all parameters that are trained."""
    size = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    moving = np.zeros(size, bool)
    moving[slice(None) if part is None else part_slice(model, part)] = True
    moving[frozen_parameters(model, frozen)] = False
    trained = int(moving.sum())
    least = {
        term.name: max(counts.get(term.name, 0), ROWS_PER_PARAMETER * trained)
        for term in problem.equations
        if term.name == EQUATION or term.name in counts
    }
    return {**counts, **least}
