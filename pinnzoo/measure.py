"""The figures of an entry: those of the network itself, and what its diagnostics look at."""

import math
import os
import platform
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from pinnzoo._frozen import all_read_only, read_only
from pinnzoo.casting import in_float64
from pinnzoo.collocation import draw_points
from pinnzoo.diagnostics import Study
from pinnzoo.diagnostics import points as counts
from pinnzoo.diagnostics.covariance import estimate_unknowns, told_of, unknown_indices
from pinnzoo.diagnostics.registry import after_training, find_diagnostic
from pinnzoo.domains import sample
from pinnzoo.errors import DiagnosticError, require
from pinnzoo.evaluation import component_errors, evaluate_field, field_of, reference_fault
from pinnzoo.objective import OBSERVATIONS, assemble, joined
from pinnzoo.observations import Observations
from pinnzoo.pdes import Problem
from pinnzoo.recipes import Recipe, freezes

# Streams of randomness that are derived from one seed and must not overlap.
_DIAGNOSTIC_STREAM = 2**31

ENOUGH = {"equation": 1024, "conditions": 128}
"""Points on which it is seen whether equations and conditions alone determine an unknown."""

OUTLYING = 10.0
"""Typical deviations by which a measured value is off from the solution that may be a mistake: of
normal noise one value in 10²² is."""

VISIBLE = 0.02
"""Of the standard deviation of the values, below which what is off does no harm."""

MEDIAN = 0.6745
"""Of the absolute value of a standard normal number."""

RARE = 0.1
"""Share of the values above which it is the solution that is off, and not some of them."""

Tick = Callable[[str], None]


def hardware() -> str:
    """The processor and the number of cores, in words, for the record."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    device = jax.devices()[0]
    accelerator = "" if device.platform == "cpu" else f"{device.device_kind}, "
    return f"{accelerator}{name}, {os.cpu_count()} cores"


def study_of(
    problem: Problem,
    model: nnx.Module,
    recipe: Recipe,
    steps: Sequence[int] | np.ndarray,
    thetas: Float[np.ndarray, "s p"],
    tick: Tick = lambda _: None,
    observations: Observations | None = None,
    history: Mapping[str, Any] | None = None,
    factors: Mapping[str, float] | None = None,
) -> Study:
    """What the diagnostics of an entry look at, from stored parameters alone.

    Points come from the recipe's seed, so that an entry's figures can be computed again.

    Args:
        problem: What the network solves.
        model: The network, with any parameters.
        recipe: Its seed and its loss weights.
        steps: Steps at which parameters were kept.
        thetas: The parameters there; the last ones are the network's.
        tick: Called often, with what is being done.
        observations: What was measured; the loss has their rows too.
        history: Records of the training by name.
        factors: What an adaptive weighting had made of the loss weights, by term.
    """
    seed, stream = recipe.seed, _DIAGNOSTIC_STREAM
    # The loss has the conditions where windows meet; kernels are those of the problem's own terms.
    trained = as_trained(recipe, problem, model)
    points = draw_points(trained, counts.LOSS_HESSIAN_POINTS, "sobol", seed, stream + 1)
    weights = _weights(trained, recipe, observations, factors or {})
    # Spectra in float32 are noise: the diagnostics see the same numbers in float64.
    assembly = assemble(trained, in_float64(model), points, weights, observations)
    return Study(
        problem=problem,
        objective=assembly.objective,
        # One diagnostic after another looks at these.
        steps=read_only(steps),
        thetas=read_only(thetas),
        ntk_points=all_read_only(
            draw_points(problem, counts.ntk_counts(problem), "sobol", seed, stream)
        ),
        hessian_points=sample(
            problem.domain,
            counts.HESSIAN_POINTS,
            "sobol",
            np.random.default_rng([seed, stream + 2]),
        ),
        tick=tick,
        solution=assembly.field,
        recipe=recipe,
        history=all_read_only(history or {}),
    )


def mean_factors(factors: Mapping[str, Float[np.ndarray, " *n"]]) -> dict[str, float]:
    """Factors of an adaptive weighting, with a mean where points have their own."""
    return {name: float(np.mean(factor)) for name, factor in factors.items()}


def _weights(
    problem: Problem,
    recipe: Recipe,
    observations: Observations | None,
    factors: Mapping[str, float],
) -> dict[str, float]:
    """Loss weights at the end; a window has terms of its own, which the whole problem lacks."""
    stated = {**recipe.weights, **recipe.phases[-1].weights}
    followed = {name: factor * stated.get(name, 1.0) for name, factor in factors.items()}
    return _of_terms(problem, stated | followed, observations)


def _of_terms(
    problem: Problem, stated: Mapping[str, float], observations: Observations | None
) -> dict[str, float]:
    own = {*problem.terms} | ({OBSERVATIONS} if observations is not None else set())
    return {name: weight for name, weight in stated.items() if name in own}


def as_trained(recipe: Recipe, problem: Problem, model: nnx.Module) -> Problem:
    """The problem, with conditions where windows meet if a phase trains them together.

    Raises:
        PointsError: There are several windows, and the problem has no time.
    """
    together = any(phase.part is None for phase in recipe.phases)
    return joined(problem, model) if together else problem


def loss_of(
    problem: Problem,
    model: nnx.Module,
    recipe: Recipe,
    observations: Observations | None = None,
) -> float:
    """½ |r|² of a network on points of the recipe's seed, with the recipe's weights."""
    problem = as_trained(recipe, problem, model)
    points = draw_points(problem, recipe.points, recipe.sampler, recipe.seed, 0)
    weights = _of_terms(problem, recipe.weights, observations)
    theta, objective, _ = assemble(problem, model, points, weights, observations)
    return float(jax.jit(lambda theta: objective.loss(theta))(theta))


def core_metrics(
    problem: Problem,
    model: nnx.Module,
    recipe: Recipe,
    *,
    loss: float,
    seconds: float,
    observations: Observations | None = None,
    points: Mapping[str, Float[np.ndarray, "n d"]] | None = None,
    machines: Sequence[str] = (),
    factors: Mapping[str, Float[np.ndarray, " *n"]] | None = None,
) -> dict[str, Any]:
    """The figures of an entry without its diagnostics; errors only where there is a reference.

    Args:
        problem: What the network solves.
        model: The network.
        recipe: How it was trained.
        loss: At the end of that.
        seconds: How long it took.
        observations: What was measured.
        points: Those of the end of the training, per term; by default those of its beginning.
        machines: Those that trained it, one after the other; by default this one.
        factors: Those of the weighting at the end of the training, by term.
    """
    errors = {}
    fault = None if problem.reference is None else reference_fault(problem)
    if fault is not None:
        # The training is over by now, and is not lost for it.
        warnings.warn(f"the entry states no error, since {fault}.", stacklevel=2)
    elif problem.reference is not None:
        field = field_of(problem, model)
        errors = evaluate_field(problem, field)
        if problem.m > 1 and observations is not None:
            each = component_errors(problem, field)
            errors["components"] = {"version": 1, "relative_l2_error": each}
    if observations is not None:
        warn_of_misfits(problem, model, observations)
    if means := mean_factors(factors or {}):
        errors["weighting"] = {"version": 1, "factors": means}
    if problem.unknowns:
        errors["unknowns"] = _unknowns_block(problem, model, recipe, observations, points, means)
    sizes = [leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))]
    return {
        "format": 2,
        **errors,
        "loss": float(loss),
        "steps": recipe.steps,
        "parameters": int(sum(sizes)),
        "dtype": recipe.dtype,
        "training_seconds": float(seconds),
        "hardware": ", then ".join(machines) or hardware(),
        "platform": jax.default_backend(),
    }


SAME = 1e-3
"""Share of the largest value that is no misfit."""


def warn_of_misfits(problem: Problem, model: nnx.Module, observations: Observations) -> None:
    """Warn of measured values that are off from the solution, all of them or some much further.

    The sum of squares follows one such value at the cost of all the others, and takes what is left
    of it for noise. The typical deviation is that of a median, which does not.

    Args:
        problem: What was solved.
        model: The trained network.
        observations: What it was trained on, checked.
    """
    with jax.enable_x64(True):
        field = field_of(problem, in_float64(model))
        found = np.asarray(jax.jit(jax.vmap(field))(jnp.asarray(observations.points)))
    for k, name in enumerate(observations.components or ()):
        measured = np.flatnonzero(~np.isnan(observations.values[:, k]))
        own = observations.values[measured, k]
        off = np.abs(own - found[measured, problem.components.index(name)])
        sizes = off if observations.sigma is None else off / observations.sigma[measured, k]
        spread, left = float(np.std(own)), float(np.sqrt(np.mean(off**2)))
        # Values that are all the same have no spread, and may be met to rounding.
        if len(own) > 1 and left > max(spread, SAME * float(np.abs(own).max())):
            warnings.warn(
                f"the observations of {name!r} are off from the solution by {left:.2g} in the root "
                f"of the mean square, more than by {spread:.2g} from their own mean, so that they "
                "are not met at all: train longer or with more weight on them, and look whether "
                "equations and conditions allow for what was measured.",
                stacklevel=3,
            )
            continue
        typical = float(np.median(sizes)) / MEDIAN
        far = (sizes > OUTLYING * typical) & (off > VISIBLE * spread)
        if 0 < far.sum() <= RARE * len(own):
            worst = int(np.argmax(np.where(far, off, 0.0)))
            place = ", ".join(
                f"{c}={z:.4g}"
                for c, z in zip(problem.coords, observations.points[measured[worst]], strict=True)
            )
            warnings.warn(
                f"{int(far.sum())} of {len(own)} observations of {name!r} are off from the "
                f"solution by more than {OUTLYING:g} typical deviations, the farthest by "
                f"{off[worst]:.2g} at {place} (the median is {np.median(off):.2g}): look whether "
                "they are right, since one that is not moves the solution and all unknowns, and "
                "leave it out or give it a larger sigma.",
                stacklevel=3,
            )


def _unknowns_block(
    problem: Problem,
    model: nnx.Module,
    recipe: Recipe,
    observations: Observations | None,
    points: Mapping[str, Float[np.ndarray, "n d"]] | None,
    factors: Mapping[str, float],
) -> dict[str, Any]:
    """The unknowns' values, with standard errors where observations say how noisy they are."""
    problem = as_trained(recipe, problem, model)
    own = {name: points[name] for name in problem.terms if name in points} if points else {}
    if observations is None:
        # On as many as it was trained, a wide network may make up for anything.
        own = draw_points(problem, ENOUGH, "sobol", recipe.seed, _DIAGNOSTIC_STREAM + 3)
    elif set(own) != set(problem.terms):
        own = draw_points(problem, recipe.points, recipe.sampler, recipe.seed, 0)
    weights = _weights(problem, recipe, observations, factors)
    frozen = _never_trained(model, recipe)
    # What an entry before has trained was fitted too, to these observations as far as is known.
    known = frozen[:0] if recipe.base is not None else frozen
    with jax.enable_x64(True):
        found, noise = estimate_unknowns(problem, model, observations, own, weights, known)
    told = told_of(problem, found)
    if observations is not None:
        at = dict(zip(sorted(problem.unknowns), unknown_indices(model), strict=True))
        kept = (name for name in problem.unknowns if at[name] in frozen)
        told |= dict.fromkeys(kept, "was frozen in all phases")
        if noise is None:
            few = "is fitted to values that are all met, whose noise is not known without sigma"
            told = dict.fromkeys(found, few) | told
    if told:
        each = ", and ".join(f"{name!r} {words}" for name, words in told.items())
        advice = (
            "give observations, or a condition that tells one value from others"
            if observations is None
            else "there is no standard error of that"
        )
        warnings.warn(f"the unknown {each}: {advice}.", stacklevel=2)
    # Of a value that something else than the observations decides, there is no standard error.
    errors = {n: each.standard_error for n, each in found.items() if n not in told}
    block: dict[str, Any] = {
        "version": 1,
        "values": {name: each.value for name, each in found.items()},
    }
    if errors and all(map(math.isfinite, errors.values())):
        block["standard_errors"] = errors
    if told:
        block["remarks"] = told
    if problem.truth:
        block["truth"] = dict(problem.truth)
    return block if noise is None else block | {"noise": noise}


def _never_trained(model: nnx.Module, recipe: Recipe) -> np.ndarray:
    """Indices, among the flat parameters, of those that every phase has frozen."""
    leaves = jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(nnx.state(model, nnx.Param)))

    names = [".".join(str(key.key) for key in path) for path, _ in leaves]  # pyright: ignore
    frozen = [
        all(any(freezes(p, name) for p in phase.freeze) for phase in recipe.phases)
        for name in names
    ]
    return np.flatnonzero(np.repeat(frozen, [jnp.size(leaf) for _, leaf in leaves]))


def check_diagnostics(names: Sequence[str] | str | None) -> list[str]:
    """Names of the diagnostics that are asked for; by default those of every training.

    Raises:
        UnknownNameError: There is no such diagnostic.
    """
    names = [names] if isinstance(names, str) else names
    for name in names or ():
        find_diagnostic(name)
    return after_training() if names is None else list(names)


def wanted_diagnostics(wanted: Any) -> list[str]:
    """Names of the diagnostics that `diagnostics=` asks for: True all, False or None none.

    Raises:
        UnknownNameError: There is no such diagnostic.
        DiagnosticError: It is neither of these, nor names.
    """
    if wanted is None or isinstance(wanted, bool | np.bool_):
        return check_diagnostics(None) if wanted else []
    require(
        wanted,
        Iterable,
        "diagnostics",
        "give True for all, False for none, or a list of names such as ['ntk']",
        DiagnosticError,
    )
    return check_diagnostics(wanted if isinstance(wanted, str) else list(wanted))
