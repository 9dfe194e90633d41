"""`train`: from a recipe to an entry, with everything that can be wrong found before the work."""

import functools
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from pinnzoo.architectures import is_known
from pinnzoo.casting import cast
from pinnzoo.collocation import SNAPSHOTS, draw_points, log_spaced_steps, term_counts
from pinnzoo.diagnostics import DIAGNOSTICS, Study, begin_blocks
from pinnzoo.entry import Entry, Snapshots
from pinnzoo.errors import (
    EntryError,
    PinnzooError,
    RecipeError,
    TrainingError,
    refuse_names,
    require,
    with_article,
)
from pinnzoo.measure import (
    Tick,
    as_trained,
    core_metrics,
    mean_factors,
    study_of,
    wanted_diagnostics,
)
from pinnzoo.objective import (
    OBSERVATIONS,
    Assembly,
    assemble,
    check_counts,
    check_network,
    check_terms,
    check_weights,
    joined,
    part_slice,
    regions,
    warn_of_unread,
)
from pinnzoo.observations import Measured, Observations, check_observations
from pinnzoo.optimizers import Optimizer, as_optimizer, make_optimizer
from pinnzoo.pdes import Problem
from pinnzoo.precision import every_digit, require_x64
from pinnzoo.recipes import Phase, Recipe, resolve_optimizer
from pinnzoo.registry import check_switches, is_builtin
from pinnzoo.sharding import all_equal
from pinnzoo.storage.blueprint import (
    blueprint,
    build,
    described,
    knows_problem,
    pose,
    require_parts,
    states_the_same,
)
from pinnzoo.storage.folder import MAX_FILE
from pinnzoo.storage.store import check_publishable, check_writable
from pinnzoo.training.finish import beside, done_recipe, snapshots_of
from pinnzoo.training.loop import Stopped, Trainer, first_run
from pinnzoo.training.progress import Progress, Report, progress_bar, progress_of
from pinnzoo.training.run import Run, check_workdir
from pinnzoo.training.scope import check_warm_start, frozen_parameters, left_behind, window_of
from pinnzoo.training.signals import Request, stop_request
from pinnzoo.unknowns import WithUnknowns, rebased, with_unknowns
from pinnzoo.weighting import make_weighting

DIVERGED = 10.0
"""How many times as large as at first a loss is that has diverged."""

MOST_SNAPSHOTS = 100
"""That `train` keeps: so many kernels still fit into memory."""


@every_digit()
def train(
    recipe: Recipe,
    *,
    problem: Problem | None = None,
    model: nnx.Module | None = None,
    optimizers: Mapping[str, Optimizer] | None = None,
    report: Report | None = None,
    progress: bool = False,
    workdir: str | os.PathLike[str] | None = None,
    resume: bool = True,
    save_every: float = 30.0,
    base: Entry | None = None,
    mesh: Mesh | None = None,
    seconds: float | None = None,
    diagnostics: bool | Sequence[str] = True,
    observations: Measured | None = None,
    snapshots: int = SNAPSHOTS,
) -> Entry:
    """Train a network by a recipe.

    **Stopping.** Ctrl-C, SIGTERM, SIGHUP and the end of `seconds` end the training after the
    current step. The entry then has the best state so far, and its recipe states the steps that
    were done.

    **Continuing.** With a `workdir`, the state is saved there while training. The same call after
    an interruption or a kill continues from it and arrives at the same numbers. A finished run
    continues if its recipe has got more steps in the last phase, or further phases.

    Args:
        recipe: What to train.
        problem: The problem itself, of the name that the recipe states; by default what that name
            stands for.
        model: The network itself, at the parameters to start from; by default what the recipe's
            architecture stands for.
        optimizers: Optimizers by the names that the recipe's phases use, where they are not those
            of `pinnzoo.OPTIMIZERS`; those of optax will do.
        report: A function that is told of the progress, see `pinnzoo.training.Progress`. What it
            raises at its first call ends the training; after that, it is not called any more.
        progress: Show a progress bar.
        workdir: Folder for the state of the run.
        resume: Go on with the run that `workdir` holds; False begins anew.
        save_every: Seconds between two saves of the run.
        base: The entry to start from, where the recipe names one; by default it is loaded.
        mesh: Devices over which the points are spread, such as `pinnzoo.sharding.make_mesh()`.
            Where they belong to several processes, all of them make this call with the same
            arguments, process 0 writes to `workdir`, and all get the same network.
        seconds: Wall time for all steps together, those of earlier calls with this `workdir`
            included; the last step may exceed it. None is no limit.
        diagnostics: Compute kernels and Hessians at the end: all that are registered, those of
            the names given, or none. `pinnzoo.diagnose` computes them later. Ctrl-C while they are
            computed leaves them out.
        observations: What was measured, in one set or a list of several, which is fitted beside the
            equations as the term "observations". The entry keeps them.
        snapshots: How often the parameters are kept after the first ones, at steps in geometric
            progression up to the last one. Fewer of them make an entry of many parameters smaller.
            A run that goes on also keeps those that it has.

    Returns:
        The entry, not yet saved; `entry.save(folder)` does that.

    Raises:
        RecipeError: The recipe asks for something that does not exist or does not fit, or an
            argument is of another kind.
        EntryError: The name of an entry was given as `base`.
        DiagnosticError: `diagnostics` are neither True, False nor names.
        UnknownNameError: A name of the recipe is not known.
        PrecisionError: A float64 recipe, or the diagnostics, with JAX in single precision.
        TrainingError: The loss is not finite at the start or left the finite numbers, or the
            processes of a mesh do not share their `workdir`.

    Example:
        ```python
        pinnzoo.enable_x64()
        recipe = pinnzoo.Recipe("heat", "mlp", (pinnzoo.Phase("lm", 60),))
        entry = pinnzoo.train(recipe, progress=True)
        ```
    """
    begun = time.monotonic()
    _check_given_kinds(recipe, problem, model, base, report, mesh)
    check_switches(progress=progress, resume=resume)
    names = _diagnostics(diagnostics)
    budget, save_every = _limit("seconds", seconds), _limit("save_every", save_every)
    recipe = _with_arguments(recipe, problem)
    problem, network = _prepare(recipe, problem, model, base)
    _check_size(recipe, network, snapshots)
    folder = None if workdir is None else check_writable(workdir, overwrite=True, entry=False)
    if folder is not None:
        check_workdir(folder)
    observations = check_observations(observations, problem)
    warn_of_unread(problem, observations)
    # Phases state full names, also where an alias was written.
    own = {
        resolve_optimizer(name): as_optimizer(optimizer, name)
        for name, optimizer in _by_name(optimizers).items()
    }
    check_publishable(recipe)
    _check_phases(recipe, problem, network, own, observations)
    _warn_of_parts_left_behind(recipe, network, fitted=bool(base or recipe.base))
    stated = as_trained(recipe, problem, network)
    assembly = _assembly(recipe, stated, network, observations)
    trainer = Trainer(
        recipe,
        problem,
        assembly,
        own,
        folder,
        save_every,
        mesh=mesh,
        budget=budget,
        draw=functools.partial(_first_points, recipe, stated),
        snapshots=snapshots,
    )
    run = trainer.restore() if resume else None
    if mesh is not None and not all_equal(run.total if run else 0, mesh):
        raise TrainingError(
            f"the processes found runs of different length in {str(workdir)!r}: give all of them "
            "one folder on a file system that they share."
        )
    if mesh is not None and jax.process_index() > 0:
        trainer.workdir, progress = None, False

    with _reporting(recipe, report, show=progress) as tell, stop_request() as request:
        trainer.request = request
        run = run or first_run(trainer)
        if request.asked:
            # Nothing is done yet. While the compiler runs, an exception may end the process.
            raise KeyboardInterrupt
        waited = run.waited

        def keep_time() -> None:
            run.waited = waited + time.monotonic() - begun

        def observe(run: Run) -> None:
            keep_time()
            tell(progress_of(run, recipe))

        trainer.observe = observe
        observe(run)
        _train(trainer, run)
        keep_time()
        _warn_of_divergence(trainer, run)

        def tick(text: str) -> None:
            tell(progress_of(run, recipe, "diagnostics", text))

        done = _done(trainer, run)
        study = _begun(trainer, run, done, names, _until_asked(request, tick))
        entry = _entry(trainer, run, done, tick)
        entry = diagnosed_if_possible(entry, names, request, tick, study)
    keep_time()
    return entry.with_metrics({"wall_time_seconds": run.waited})


def _check_given_kinds(
    recipe: Any, problem: Any, model: Any, base: Any, report: Any, mesh: Any
) -> None:
    """Raise for what is not what it should be at all, such as a name in the place of an object.

    Raises:
        RecipeError: The recipe, the problem, the network, the report or the mesh is none.
        EntryError: The base is no entry.
    """
    require(
        recipe,
        Recipe,
        "the recipe",
        "give a Recipe, such as pinnzoo.load(name).recipe for that of an entry",
    )
    refuse_names(base)
    require(base, Entry | None, "the entry to start from", "load one first", EntryError)
    require_parts(problem, model)
    require(report, Callable | None, "the report", "give a function that takes a pinnzoo.Progress")
    require(mesh, Mesh | None, "the mesh", "give one, such as pinnzoo.sharding.make_mesh()")


def _warn_of_divergence(trainer: Trainer, run: Run) -> None:
    """Say where the loss only rose, so that the best parameters are those of the beginning."""
    losses = run.history["loss"]
    if not losses or not losses[-1] > DIVERGED * losses[0]:
        return
    if np.array_equal(np.asarray(run.best_theta), np.asarray(trainer.assembly.theta)):
        warnings.warn(
            f"the loss rose from {losses[0]:.1e} to {losses[-1]:.1e}, and no step lowered it, so "
            "that the entry has the parameters that it began with: take a smaller learning rate, "
            "or another optimizer.",
            stacklevel=3,
        )


def _diagnostics(wanted: bool | Sequence[str]) -> list[str]:
    names = wanted_diagnostics(wanted)
    if names:
        require_x64("computing kernels and Hessians (diagnostics=False leaves them out)")
    return names


def _by_name(optimizers: Any) -> Mapping[str, Any]:
    """Optimizers by the names that the phases use.

    Raises:
        RecipeError: One was given without a name.
    """
    if optimizers is None or isinstance(optimizers, Mapping):
        return optimizers or {}
    raise RecipeError(
        f"optimizers was given {with_article(type(optimizers).__name__)}: give a dict with "
        'the names that the phases use, such as {"lion": optax.lion(1e-4)}.'
    )


def _limit(name: str, seconds: float | None) -> float:
    """A number of seconds; infinity for None.

    Raises:
        RecipeError: It is no number, or negative.
    """
    if seconds is None:
        return math.inf
    text = isinstance(seconds, (str, bytes, bool))
    try:
        number = math.nan if text else float(seconds)
    except (TypeError, ValueError):
        number = math.nan
    if not number >= 0:
        raise RecipeError(f"{name}={seconds!r} was given: give a number of seconds, or None.")
    return number


def _with_arguments(recipe: Recipe, problem: Problem | None) -> Recipe:
    """The recipe with the arguments of a problem object, from which the entry is loaded again."""
    if problem is None or recipe.problem_arguments or knows_problem(recipe, problem):
        return recipe
    return replace(recipe, problem_arguments=dict(problem.arguments))


def _prepare(
    recipe: Recipe, problem: Problem | None, model: nnx.Module | None, base: Entry | None
) -> tuple[Problem, nnx.Module]:
    """The problem, and the network at the parameters to start from, both checked."""
    if recipe.base and base is None and model is None:
        from pinnzoo.zoo import load

        base = load(recipe.base, problem=problem)
    problem = pose(recipe, problem)
    check_terms(problem)
    if model is None and base is not None:
        own = rebased(_stretched(base, problem), base.problem.unknowns, problem.unknowns)
        model = own if base.recipe.dtype == recipe.dtype else cast(own, recipe.dtype)
    if model is None:
        model = build(recipe, problem)[1]
    if is_known(recipe.architecture):
        blueprint(recipe, problem, model)
    check_network(problem, model)
    _check_dtype(recipe, model)
    return problem, with_unknowns(model, problem.unknowns)


def _stretched(base: Entry, problem: Problem) -> nnx.Module:
    """The network of an entry, which reads another domain as it read its own: as -1 to 1.

    Otherwise its inputs would leave these bounds, its periods would stay those of the old domain,
    and so would its windows of time. A network of one's own is as it is.
    """
    recipe = base.recipe
    if base.problem.network_bounds == problem.network_bounds or not is_known(recipe.architecture):
        return base.model
    renamed = replace(
        recipe,
        problem=problem.name,
        problem_arguments=dict(problem.arguments),
        base=None,
    )
    model: Any = base.model
    network, fresh = (with_unknowns(m, {}) for m in (model, build(renamed, problem)[1]))
    own = nnx.state(network, nnx.Param)
    graph, params, rest = nnx.split(fresh, nnx.Param, ...)
    if described(own) != described(params):
        # Another number of coordinates, say, which is told where the network is checked.
        return model
    network = nnx.merge(graph, own, rest)
    if not isinstance(model, WithUnknowns):
        return network
    return WithUnknowns(network, {name: raw[...] for name, raw in model.unknowns.items()})


def _check_dtype(recipe: Recipe, model: nnx.Module) -> None:
    """Raise unless the network has the precision that the recipe states.

    Raises:
        RecipeError: A parameter has another; layers of Flax are float32 unless told otherwise.
    """
    kinds = {str(leaf.dtype) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))}
    others = sorted(kinds - {recipe.dtype})
    if others:
        raise RecipeError(
            f"the network {type(model).__name__} has parameters in {' and '.join(others)}, and the "
            f"recipe says {recipe.dtype}: give its layers param_dtype=jnp.{recipe.dtype}, or the "
            "recipe dtype='float32'."
        )


def _check_size(recipe: Recipe, model: nnx.Module, snapshots: int) -> None:
    """Raise where the entry would have a file that no entry may have.

    Raises:
        RecipeError: The parameters that are kept during the training take too much, or their number
            is out of range.
    """
    if not isinstance(snapshots, (int, np.integer)) or not 2 <= snapshots <= MOST_SNAPSHOTS:
        raise RecipeError(
            f"snapshots={snapshots!r} was given: give a whole number from 2 to {MOST_SNAPSHOTS}."
        )
    leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
    kept = len(log_spaced_steps(recipe.steps, snapshots)) + 1
    size = kept * sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    if size > MAX_FILE:
        raise RecipeError(
            f"a network of {sum(leaf.size for leaf in leaves):,} parameters was given, which "
            f"{kept} snapshots make {size >> 20:,} MiB, and a file of an entry has at most "
            f"{MAX_FILE >> 20:,}: let `train` keep fewer (snapshots=...), or train a smaller "
            "network, or in float32."
        )


def _assembly(
    recipe: Recipe, problem: Problem, model: nnx.Module, observations: Observations | None
) -> Assembly:
    """The assembly with as many points as at the beginning, which are drawn later."""
    sizes = term_counts(regions(problem), _first_counts(recipe))
    places = {name: np.zeros((n, problem.d)) for name, n in sizes.items()}
    return assemble(problem, model, places, recipe.weights, observations)


def _first_counts(recipe: Recipe) -> dict[str, int]:
    return {**recipe.points, **recipe.phases[0].points}


def _first_points(recipe: Recipe, problem: Problem) -> dict[str, np.ndarray]:
    return draw_points(problem, _first_counts(recipe), recipe.sampler, recipe.seed, 0)


def _check_phases(
    recipe: Recipe,
    problem: Problem,
    model: nnx.Module,
    optimizers: Mapping[str, Optimizer],
    observations: Observations | None,
) -> None:
    """Raise for whatever a phase asks for that does not exist, the last one's before the first."""
    check_counts(as_trained(recipe, problem, model), recipe.points)
    used = [phase.optimizer for phase in recipe.phases]
    for name in optimizers:
        if name not in used:
            raise RecipeError(
                f"an optimizer called {name!r} was given, which no phase uses: the phases use "
                f"{', '.join(map(repr, dict.fromkeys(used)))}."
            )
    for phase in recipe.phases:
        if phase.optimizer not in optimizers:
            make_optimizer(phase.optimizer, phase.arguments)
        else:
            _check_given(phase, optimizers[phase.optimizer])
        _check_followed(phase)
        if phase.warm_start:
            check_warm_start(model, phase.part)
        if phase.weighting:
            make_weighting(phase.weighting, phase.weighting_arguments, problem)
        if phase.freeze:
            frozen = frozen_parameters(model, phase.freeze)
            part = slice(0) if phase.part is None else part_slice(model, phase.part)
            trained = np.arange(part.stop)[part]
            if trained.size and np.isin(trained, frozen).all():
                raise RecipeError(
                    f"freeze={list(phase.freeze)} was given for a phase that trains part "
                    f"{phase.part}, of which nothing is left: freeze less of it."
                )
        _check_terms(phase, _posed_for(recipe, phase, problem), model, observations)


def _warn_of_parts_left_behind(recipe: Recipe, model: Any, *, fitted: bool) -> None:
    """Warn where a part is trained, and not what was fitted to it before."""
    behind = left_behind(model, recipe.phases, fitted=fitted)
    if not behind:
        return
    first, stride = behind[0], getattr(model, "stride", 1)
    what = (
        f"its tangent, part {first}, begins anew at zero"
        if stride == 2 and first % 2
        else f"part {first} meets what the window before it was"
    )
    warnings.warn(
        f"a part of the network of {recipe.name} is trained, and not all that was fitted to it "
        f"before: {what}; train {_counted(behind)} after it, or all parts together.",
        stacklevel=3,
    )


def _counted(parts: Sequence[int]) -> str:
    return f"part{'s' if len(parts) > 1 else ''} {', '.join(map(str, parts))}"


def _check_followed(phase: Phase) -> None:
    """Raise where a phase says how points or weights follow the training, but not that they do.

    Raises:
        RecipeError: It does. Recipes that exist may, so that reading one does not.
    """
    if phase.adaptive and not phase.resample_every:
        raise RecipeError(
            "adaptive=True was given without resample_every: points are drawn by residual where "
            "they are drawn anew, so say after how many steps, such as resample_every=10."
        )
    if phase.weighting_arguments and not phase.weighting:
        raise RecipeError(
            f"weighting_arguments={dict(phase.weighting_arguments)} were given without a "
            "weighting: name it, such as weighting='causal'."
        )


def _check_given(phase: Phase, optimizer: Optimizer) -> None:
    """Raise where a phase states arguments of an optimizer that was made with others.

    Raises:
        RecipeError: It does.
    """
    made_with = Phase(phase.optimizer, 1, optimizer.arguments).arguments
    if phase.arguments and dict(phase.arguments) != dict(made_with):
        raise RecipeError(
            f"the arguments {dict(phase.arguments)} were given for a phase of "
            f"{phase.optimizer!r}, whose optimizer was given as an object made with "
            f"{dict(made_with)}: make it with the arguments that you want, and state none."
        )


def _posed_for(recipe: Recipe, phase: Phase, problem: Problem) -> Problem:
    """The problem with the physical arguments of a phase.

    Raises:
        RecipeError: The problem is not the one that its name stands for, which alone can be made
            with other arguments.
    """
    if not phase.problem_arguments:
        return problem
    if not states_the_same(problem, pose(recipe)):
        raise RecipeError(
            f"a phase with the arguments {dict(phase.problem_arguments)} was given with a problem "
            f"that is another one than {recipe.problem!r} stands for, which would be trained in "
            "its place: give the problem a name of its own and register what makes it with these "
            "arguments, or train it by phases without arguments."
        )
    arguments = {**recipe.problem_arguments, **phase.problem_arguments}
    return pose(replace(recipe, problem_arguments=arguments))


def _check_terms(
    phase: Phase, problem: Problem, model: nnx.Module, observations: Observations | None
) -> None:
    """Raise where a phase states points or weights for terms that it does not have.

    A window of time has conditions of its own, which begin with "join_", and lacks those that hold
    at other times. Points for these are of no use there and do no harm.
    """
    if phase.part is None:
        trained = joined(problem, model)
    else:
        part_slice(model, phase.part)
        trained = window_of(problem, model, phase.part)
        if observations is not None:
            raise RecipeError(
                f"a phase that trains part {phase.part} of a network was given with "
                "observations: train all of the network at once, with part=None in a phase, or "
                "part='all' where `finetune` is called."
            )
    others = problem.terms.keys() - trained.terms.keys()
    check_counts(trained, {k: n for k, n in phase.points.items() if k not in others})
    check_weights(trained, phase.weights, () if observations is None else (OBSERVATIONS,))


def _train(trainer: Trainer, run: Run) -> None:
    # Ctrl-C may have come in the middle of a step, when parameters and step count do not match, so
    # the run is not saved again: the file has the last state in which they do.
    with suppress(Stopped, KeyboardInterrupt):
        trainer.run(run)


class _Done(NamedTuple):
    """What a run that is over has made: what was done, the network, parameters kept, records."""

    recipe: Recipe
    model: nnx.Module
    snapshots: Snapshots
    history: dict[str, np.ndarray]


def _done(trainer: Trainer, run: Run) -> _Done:
    return _Done(
        done_recipe(trainer.recipe, run.done),
        trainer.assembly.to_model(run.best_theta),
        snapshots_of(run),
        {name: np.asarray(values) for name, values in run.history.items()},
    )


def _begun(trainer: Trainer, run: Run, done: _Done, names: list[str], tick: Tick) -> Study | None:
    """What the diagnostics look at, with their programs in the compiler's hands.

    It works beside the evaluation of the network, which comes next. None where there is no time,
    or where it fails: the diagnostics will say why.
    """
    if not names or trainer.request.hurried:
        return None
    try:
        study = study_of(
            trainer.problem,
            done.model,
            done.recipe,
            done.snapshots.steps,
            done.snapshots.thetas,
            tick,
            trainer.assembly.observations,
            done.history,
            mean_factors(run.factors),
        )
        begin_blocks(study, names)
    except (Exception, KeyboardInterrupt):
        return None
    return study


def _entry(trainer: Trainer, run: Run, done: _Done, tick: Tick) -> Entry:
    """The entry of a run that is over, without its diagnostics."""
    problem, observations = trainer.problem, trainer.assembly.observations
    metrics = beside(
        lambda: core_metrics(
            problem,
            done.model,
            done.recipe,
            loss=run.best_loss,
            seconds=run.seconds,
            observations=observations,
            points=run.points,
            machines=run.machines,
            factors=run.factors,
        ),
        lambda: tick("error" if problem.reference else "figures"),
    )
    return Entry.from_training(
        recipe=done.recipe,
        model=done.model,
        metrics=metrics,
        history=done.history,
        snapshots=done.snapshots,
        problem=problem,
        observations=observations,
    )


def _until_asked(request: Request, tick: Tick) -> Tick:
    """A tick that raises KeyboardInterrupt once somebody asks for the end."""
    before = len(request.signals)

    def ticking(text: str) -> None:
        if len(request.signals) > before:
            raise KeyboardInterrupt
        tick(text)

    return ticking


def diagnosed_if_possible(
    entry: Entry, names: list[str], request: Request, tick: Tick, study: Study | None = None
) -> Entry:
    """The entry with its diagnostics; without those that fail, or for which no time is left.

    Args:
        entry: What was trained.
        names: Diagnostics.
        request: Whether somebody asks for the end.
        tick: Called often, with what is being done.
        study: What they look at, where it was made already.
    """
    if not names or request.hurried:
        return entry
    try:
        return entry.diagnosed(names, _until_asked(request, tick), study=study)
    except Exception as error:
        # A network that took hours is worth more than a figure that could not be computed.
        told = str(error) if isinstance(error, PinnzooError) else f"diagnostics failed: {error!r}"
        warnings.warn(told, stacklevel=3)
        own = [name for name in names if is_builtin(DIAGNOSTICS[name].compute)]
        return entry if own == names else diagnosed_if_possible(entry, own, request, tick, study)
    except KeyboardInterrupt:
        return entry


@contextmanager
def _reporting(recipe: Recipe, report: Report | None, *, show: bool) -> Iterator[Report]:
    """A reporter that serves the bar and the caller's function."""
    with ExitStack() as stack:
        bar = stack.enter_context(progress_bar(recipe)) if show else None
        own, called = report, False

        def tell(progress: Progress) -> None:
            nonlocal own, called
            if bar is not None:
                bar(progress)
            if own is None:
                return
            try:
                own(progress)
            except Exception as error:
                if not called:
                    raise
                # It worked at the beginning. A training is worth more than being told of it.
                warnings.warn(
                    f"the report function raised {type(error).__name__} ({error}) and is not "
                    "called any more; the training goes on.",
                    stacklevel=2,
                )
                own = None
            called = True

        yield tell
