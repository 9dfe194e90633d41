"""The loop over phases and steps: points, weights, records and snapshots around an optimizer."""

import functools
import math
import time
import warnings
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from pinnzoo._compiling import QUICK_COMPILE
from pinnzoo._typing import Theta
from pinnzoo.collocation import SNAPSHOTS, log_spaced_steps
from pinnzoo.errors import PinnzooError, RecipeError, TrainingError, shortened
from pinnzoo.evaluation import broken_reference, error_figures
from pinnzoo.measure import hardware
from pinnzoo.objective import (
    OBSERVATIONS,
    Assembly,
    Objective,
    describe_nonfinite,
    describe_nonfinite_slopes,
    residual_and_loss,
)
from pinnzoo.optimizers import Info, Optimizer, make_optimizer
from pinnzoo.pdes import Problem
from pinnzoo.recipes import Phase, Recipe
from pinnzoo.sharding import agree, local, shard
from pinnzoo.storage.records import COLUMNS
from pinnzoo.training.run import Run, read_run, save_run, written
from pinnzoo.training.scope import Scope, phase_scope, resample, warm_started, without_tangent
from pinnzoo.training.signals import Request
from pinnzoo.weighting import make_weighting

RECORDS = 256
"""First steps of a phase that are all recorded, where steps are many and short; from then on half
as many for each doubling."""
COARSENING = 4
LOSS_TOLERANCE, LOSS_ROUNDING = 1e-3, 1e-20
"""How far two computations of one loss may be apart, on two machines or in two precisions: in
relation to it, and where it is nothing but rounding."""
FIRST, LOOK = 100, 2.0
"""Steps of a phase that are done at once before their time is known, and the seconds that those may
take which are done at once then: how late a limit of time or Ctrl-C is noticed."""
KEPT = 4
"""Different objectives of parts whose programs are kept: those of the first window and of later
ones, each with a network and a tangent."""
STALL = 5
"""Rejected steps in a row after which a phase has converged to the precision of its numbers."""


class Stopped(Exception):
    """Raised to end a training early: its time is over, or a signal asked for its end."""


def loss_at(objective: Objective, theta: Theta) -> float:
    """The loss at some parameters, by the program that the training compiles for it anyway."""
    return float(residual_and_loss(objective, theta)[1])


def advance_by(optimizer: Optimizer) -> Callable[[Objective, Theta, Any, int], tuple]:
    """`(objective, theta, state, k) -> (theta, state, last info)` over k steps.

    k is a traced number, so that chunks of any length share one compilation.
    """
    if not optimizer.traceable:

        def stepwise(objective: Objective, theta: Theta, state: Any, k: int) -> tuple:
            info = Info(loss=float("nan"))
            for _ in range(k):
                theta, state, info = optimizer.step(objective, theta, state)
            return theta, state, info

        return stepwise

    @jax.jit
    def looped(objective: Objective, theta: Theta, state: Any, k: Any) -> tuple:
        empty = Info(*[jnp.full((), jnp.nan, theta.dtype)] * len(Info._fields))

        def stepped(_: Any, carry: tuple) -> tuple:
            moved, state, info = optimizer.step(objective, carry[0], carry[1])
            # An optimizer may count its step as 1 or True; a loop keeps to one type.
            return moved, state, Info(*(jnp.asarray(x).astype(theta.dtype) for x in info))

        return jax.lax.fori_loop(0, k, stepped, (theta, state, empty))

    return looped


def spacing(step: int) -> int:
    """Steps between two records around a step of a phase.

    It is the same however many steps the phase has: where the phase ends early, a training that
    asks for the steps that were done keeps the same states and chooses the best of the same.
    """
    return max(1, 2 ** step.bit_length() // RECORDS)


def next_stop(phase: Phase, step: int, thinned: bool, offset: int, keep: list[int]) -> int | None:
    """The next step of a phase at which the host is needed, or None at its end.

    Args:
        phase: Where points and weights may change.
        step: Steps done in it.
        thinned: Whether fewer and fewer steps are recorded, or each.
        offset: Steps of the phases before.
        keep: Steps over all phases, rising, whose parameters are kept.
    """
    if step >= phase.steps:
        return None
    every = spacing(step) if thinned else 1
    periods = [every, phase.resample_every, phase.reweigh_every if phase.weighting else 0]
    stops = [(step // period + 1) * period for period in periods if period]
    later = bisect_right(keep, step + offset)
    stops += [keep[later] - offset] if later < len(keep) else []
    return min(phase.steps, *stops)


def due(phase: Phase, step: int) -> tuple[bool, bool]:
    """Whether points, and whether weights, change after this step of a phase."""
    if step >= phase.steps:
        return False, False
    redraws = phase.resample_every > 0 and step % phase.resample_every == 0
    return redraws, bool(phase.weighting) and step % phase.reweigh_every == 0


def unweighted(objective: Objective, points: Mapping[str, np.ndarray]) -> Objective:
    """The objective on these points, with √(1/n) as the scale of every row."""
    plain = {term.name: math.sqrt(1 / term.n) for term in objective.terms}
    return objective.with_scales(plain).with_points(points)


@dataclass
class _Stage:
    """What a phase needs besides the run, some of which changes in it.

    Attributes:
        phase: The phase.
        scope: What it trains.
        objective: The residuals on the points and with the weights of this moment.
        advance: Does a number of steps.
        thinned: Whether fewer and fewer steps are recorded, or each.
        begun: When it began, less the seconds that it had before.
        most: Steps that may be done at once.
    """

    phase: Phase
    scope: Scope
    objective: Objective
    advance: Callable[..., tuple]
    thinned: bool
    begun: float
    most: int = FIRST


@dataclass
class Trainer:
    """One training: what stays fixed during it.

    Attributes:
        recipe: What is done.
        problem: What the network solves.
        assembly: Problem and network as functions of flat parameters.
        optimizers: Optimizers by name that take the place of those of the table.
        workdir: Where the run is kept, or None.
        save_every: Seconds between two saves.
        observe: Called with the run at the beginning and after every record.
        mesh: Devices over which the points are spread, or None.
        budget: Seconds of all steps together.
        request: Whether somebody asked for the end.
        draw: Draws the points of the beginning, where those of the assembly stand for their numbers
            alone: the compiler can begin meanwhile.
        snapshots: How often the parameters are kept after the first ones.
    """

    recipe: Recipe
    problem: Problem
    assembly: Assembly
    optimizers: Mapping[str, Optimizer] = field(default_factory=dict)
    workdir: Path | None = None
    save_every: float = 30.0
    observe: Callable[[Run], None] = lambda _: None
    mesh: Mesh | None = None
    budget: float = math.inf
    request: Request = field(default_factory=Request)
    draw: Callable[[], Mapping[str, np.ndarray]] | None = None
    snapshots: int = SNAPSHOTS
    scope: Scope | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.keep = log_spaced_steps(self.recipe.steps, self.snapshots)
        self.error = _error_of(self.problem, self.assembly)
        self.last_save = time.monotonic()
        self.warned = self.shared = self.looked_at_slopes = False
        self.written: tuple[int, int] | None = None
        self.structures: set[Any] = set()

    def start(self) -> Run:
        """The run before its first step."""
        wait = self._prepared()
        try:
            self._put_points()
            return self._beginning()
        finally:
            # A process that ends while the compiler runs can crash.
            wait()

    def _put_points(self) -> None:
        """Put the points of the beginning into the assembly, unless they are there."""
        if self.draw is not None:
            objective = self.assembly.objective.with_points(self.draw())
            self.assembly = replace(self.assembly, objective=objective)
            self.draw = None

    def _prepared(self) -> Callable[[], None]:
        """Begin to compile the first phase's steps; returns what waits for that."""
        phase = self.recipe.phases[0]
        narrowed = phase.part is not None or phase.problem_arguments or phase.freeze
        if narrowed or phase.steps == 0 or self.mesh is not None:
            # It steps on another objective than that of the assembly.
            return lambda: None
        return self.optimizer(phase).prepare(self.assembly.objective, self.assembly.theta)

    def _beginning(self) -> Run:
        theta, objective = self.assembly.theta, self.assembly.objective
        loss = loss_at(objective, theta)
        run = Run(
            phase=0,
            step=0,
            done=[0] * len(self.recipe.phases),
            draws=1,
            theta=theta,
            state=None,
            points={term.name: np.asarray(term.points) for term in objective.terms},
            best_loss=loss,
            best_theta=theta,
            history={name: [] for name in COLUMNS},
            snapshot_steps=[0],
            snapshot_thetas=[np.asarray(theta)],
        )
        self._record(run, Info(loss=loss), loss)
        return run

    def restore(self) -> Run | None:
        """The run that the work folder holds, or None.

        Raises:
            RecipeError: It is of another recipe.
            IntegrityError: The file is damaged.
        """
        saved = None if self.workdir is None else read_run(self.recipe, self.workdir)
        if saved is None:
            return None
        self._put_points()
        run = saved.run
        kept, own = (points.get(OBSERVATIONS) for points in (run.points, self._measured()))
        if (kept is None) != (own is None) or not np.array_equal(kept, own):  # pyright: ignore
            raise RecipeError(
                f"the folder {str(self.workdir)!r} holds a run with other observations: give "
                "those, another folder, or resume=False (--no-resume) to begin anew."
            )
        self._check_beginning(run)
        phase = self.recipe.phases[run.phase]
        scope = phase_scope(self.problem, self.assembly, self.recipe, phase, run.theta)
        # The structure of the optimizer's state comes from a fresh one.
        objective = scope.objective.with_points(run.points)
        return saved.restored(
            self._fresh_state(run, phase, self.optimizer(phase), objective, run.theta[scope.part])
        )

    def _check_beginning(self, run: Run) -> None:
        """Raise unless a stored run began where this training would begin.

        Its recipe is the same. However, the network that was given or the entry that is fine-tuned
        may be another one by now, or the equation may have been edited.

        Raises:
            RecipeError: It began at other parameters, or with another loss.
        """
        theta = self.assembly.theta
        began = np.asarray(run.snapshot_thetas[0])
        same = began.shape == theta.shape and np.array_equal(began, theta)
        if same:
            whole, before = self.assembly.objective, run.history["loss"][0]
            # A phase that was added may train windows together, which have to meet since then.
            stated = {*self.problem.terms, OBSERVATIONS}
            terms = tuple(term for term in whole.terms if term.name in stated)
            same = any(
                np.isclose(loss_at(o, theta), before, rtol=LOSS_TOLERANCE, atol=LOSS_ROUNDING)
                for o in (whole, replace(whole, terms=terms))
            )
        if not same:
            what = "loss" if np.array_equal(began, theta) else "parameters"
            raise RecipeError(
                f"the folder {str(self.workdir)!r} holds a run of {self.recipe.name} that began "
                f"with another {what}, so the network, the entry that it starts from or the "
                "problem has changed since: give another folder, or resume=False (--no-resume) to "
                "begin anew."
            )

    def optimizer(self, phase: Phase) -> Optimizer:
        """The optimizer of a phase."""
        given = self.optimizers.get(phase.optimizer)
        return make_optimizer(phase.optimizer, phase.arguments) if given is None else given

    def run(self, run: Run) -> None:
        """Do what is left of all phases, in place.

        Raises:
            TrainingError: The loss left the finite numbers.
            Stopped: The time is spent, or somebody asked for the end.
        """
        for index in range(run.phase, len(self.recipe.phases)):
            phase = self.recipe.phases[index]
            if index != run.phase:
                run.phase, run.step, run.state, run.rejected = index, 0, None, 0
                run.factors, run.ended = {}, False
            self._phase(run, phase)
            self._save(run, force=True)

    def _phase(self, run: Run, phase: Phase) -> None:
        """Do what is left of a phase."""
        optimizer = self.optimizer(phase)
        moved = self._enter(run, phase, optimizer)
        if run.ended:
            return
        stage = self._begin(run, phase, optimizer, moved)
        if run.lengthened:
            # What was due after the last step of all waited for a step that comes now.
            run.lengthened = False
            self._follow(run, stage)
        here = hardware()
        clock = time.monotonic() - run.seconds
        offset = run.total - run.step
        while (stop := next_stop(phase, run.step, stage.thinned, offset, self.keep)) is not None:
            info, loss = self._advance(run, stage, min(stop, run.step + stage.most))
            if here not in run.machines:
                run.machines.append(here)
            run.seconds = time.monotonic() - clock
            if self._is_stopped(run):
                self._save_before_stopping(run, stage, info, loss)
                self._note(run, stage, info, loss, last=True)
                raise Stopped
            # A run that is taken up again has had its time too.
            self._settle(run, stage, info, loss, last=self._is_over(stage))
            self._save(run)
            if run.ended:
                return

    def _enter(self, run: Run, phase: Phase, optimizer: Optimizer) -> bool:
        """Set the scope of a phase; returns whether it is another one than before."""
        begins = run.state is None and run.step == 0
        if begins and phase.warm_start:
            run.theta = warm_started(self.assembly, run.theta, phase)
        if begins and phase.steps:
            run.theta = without_tangent(self.assembly, run.theta, phase)
        before = self.recipe.phases[run.phase - 1] if run.phase else Phase(phase.optimizer, 0)
        fields = ("points", "part", "problem_arguments", "freeze")
        moved = any(getattr(phase, name) != getattr(before, name) for name in fields)
        # Parameters that are frozen are part of the scope.
        moved = moved or phase.warm_start
        narrowed = phase.part is not None or phase.problem_arguments or phase.freeze
        if self.scope is None or moved:
            # The same residual functions as before would be compiled again.
            self.scope = phase_scope(
                self.problem,
                self.assembly,
                self.recipe,
                phase,
                run.theta,
                spread=self.mesh is not None,
            )
            if narrowed:
                self._keep_programs(jax.tree.structure(self.scope.objective))
        self._check_mesh(phase, optimizer)
        return moved

    def _keep_programs(self, structure: Any) -> None:
        """Give back what was compiled, once programs for many different objectives are there.

        A stage of a curriculum has residual functions of its own, and so has a part whose
        residuals are no programs; those before it are not called again. What was compiled holds
        memory maps: Linux grants 65,530, and after twenty of them the compiler would have none
        left. Windows after the second have the programs of the second.
        """
        if structure not in self.structures:
            if len(self.structures) >= KEPT:
                jax.clear_caches()
                self.structures.clear()
            self.structures.add(structure)

    def _begin(self, run: Run, phase: Phase, optimizer: Optimizer, moved: bool) -> _Stage:
        """Points, weights and the optimizer's state at the beginning of a phase, or as saved."""
        assert self.scope is not None
        scope, part = self.scope, self.scope.part
        before = self.recipe.phases[run.phase - 1] if run.phase else Phase(phase.optimizer, 0)
        if begins := run.state is None and run.step == 0:
            if moved and (run.phase > 0 or phase.part is not None or phase.problem_arguments):
                self._redraw(run, phase, scope)
            self._reweigh(run, phase, scope)
        objective = self.objective(run, phase, scope)
        reweighed = phase.weights != before.weights or phase.weighting or before.weighting
        if begins and (moved or reweighed):
            self._restart_best(run, loss_at(objective, run.theta[part]))
        if run.state is None:
            run.state = self._fresh_state(run, phase, optimizer, objective, run.theta[part])
        return _Stage(
            phase,
            scope,
            objective,
            advance_by(optimizer),
            optimizer.traceable,
            time.monotonic() - (self._phase_seconds(run) if phase.seconds else 0.0),
        )

    def _advance(self, run: Run, stage: _Stage, stop: int) -> tuple[Info, float]:
        """Do the steps up to `stop`; returns what the last one did, and the loss after it.

        Raises:
            TrainingError: The loss left the finite numbers.
        """
        part, k, begun = stage.scope.part, stop - run.step, time.monotonic()
        before = run.theta[part]
        try:
            advanced = stage.advance(stage.objective, run.theta[part], run.state, k)
        except PinnzooError:
            raise
        except Exception as error:
            self._save(run, force=True)
            raise self._failed(run, stage.phase, error) from error
        # Records and files are made in this process alone, without the mesh.
        theta, run.state, info = advanced if self.mesh is None else local(advanced)
        run.theta = run.theta.at[part].set(theta)
        # Of several steps the last one alone tells whether it was accepted; if one was, the
        # parameters have moved.
        still = float(info.accepted) == 0 and bool(jnp.array_equal(before, theta))
        run.rejected = run.rejected + k if still else 0
        # A step reports the loss before it; the loss after it is computed here.
        loss = loss_at(stage.objective, run.theta[part])
        run.step = run.done[run.phase] = stop
        # The first steps are compiled too, so that this many may be too few at first.
        pace = (time.monotonic() - begun) / k
        stage.most = int(self._agree(float(max(1.0, LOOK / max(pace, 1e-9)))))
        if not np.isfinite(loss):
            where = f"the loss of {self.recipe.name} is {loss} after {run.total} steps"
            told = self._about_slopes(stage.objective, before) or (
                "train with a smaller learning rate, more damping, or without the phase "
                f"{stage.phase.optimizer!r}"
            )
            raise TrainingError(f"{where}: {told}.")
        if float(info.accepted) == 0 and not math.isfinite(float(info.grad_norm)):
            self._check_rejected(run, stage)
        return info, loss

    def _fresh_state(
        self, run: Run, phase: Phase, optimizer: Optimizer, objective: Objective, theta: Theta
    ) -> Any:
        """The state with which an optimizer begins.

        Nothing is saved where it fails: the file of the phase before goes on with this one, and
        draws its points anew.

        Raises:
            TrainingError: The optimizer failed.
        """
        try:
            return optimizer.init(objective, theta)
        except PinnzooError:
            raise
        except Exception as error:
            raise self._failed(run, phase, error) from error

    def _failed(self, run: Run, phase: Phase, error: Exception) -> TrainingError:
        """What is told of an optimizer that raised."""
        nothing = self.workdir is None or not written(self.workdir)
        kept = "" if nothing else f"; what was reached is in {str(self.workdir)!r}"
        return TrainingError(
            f"the optimizer {phase.optimizer!r} failed after {run.total} steps of "
            f"{self.recipe.name} ({type(error).__name__}: {shortened(error)})"
            f"{kept}: correct it, or train with another."
        )

    def _check_rejected(self, run: Run, stage: _Stage) -> None:
        """Tell where a step is rejected because no optimizer could go on from here.

        A step along derivatives that are NaN is rejected like any other one.

        Raises:
            TrainingError: No step before it was accepted either.
        """
        if self.looked_at_slopes:
            return
        self.looked_at_slopes = True
        told = self._about_slopes(stage.objective, run.theta[stage.scope.part])
        if told is None:
            return
        said = f"step {run.total} of {self.recipe.name} was rejected: {told}."
        if np.array_equal(run.theta, run.snapshot_thetas[0]):
            raise TrainingError(said)
        warnings.warn(said, stacklevel=2)

    def _about_slopes(self, objective: Objective, theta: Theta) -> str | None:
        """Whether a derivative by the parameters is not finite, in words; None where all are."""
        told = None if self._several else describe_nonfinite_slopes(objective, theta)
        return told and (
            f"{told}, although the values are finite, so in a jnp.where make those of the branch "
            "that is not taken finite too"
        )

    def _settle(self, run: Run, stage: _Stage, info: Info, loss: float, *, last: bool) -> None:
        """All that follows on steps: what is kept of them, and what is new for the next ones."""
        drawn_anew = any(due(stage.phase, run.step))
        self._note(run, stage, info, loss, last=last or (run.rejected >= STALL and not drawn_anew))
        run.ended = run.ended or last
        self._follow(run, stage)
        run.ended = run.ended or run.rejected >= STALL

    def _save_before_stopping(self, run: Run, stage: _Stage, info: Info, loss: float) -> None:
        """Save the run as if it went on, which it does where it is taken up again.

        What is published ends here, without the points that the next step would have had.
        """
        if self.workdir is None:
            return
        later = replace(
            run,
            history={name: list(values) for name, values in run.history.items()},
            snapshot_steps=list(run.snapshot_steps),
            snapshot_thetas=list(run.snapshot_thetas),
        )
        observe, self.observe = self.observe, lambda _: None
        self._settle(later, replace(stage), info, loss, last=False)
        self.observe = observe
        self._save(later, force=True)

    def _note(self, run: Run, stage: _Stage, info: Info, loss: float, *, last: bool) -> None:
        """Best state, snapshot, record, and whether the phase has reached its target.

        Args:
            run: The run, after the steps.
            stage: The phase.
            info: What the last step did.
            loss: The loss after it.
            last: Whether it was the last one, before its number was reached.
        """
        phase = stage.phase
        every = spacing(run.step) if stage.thinned else 1
        recorded = last or run.step % every == 0 or run.step == phase.steps
        # Not wherever the host looks in: how many snapshots are kept, and how fast a machine is,
        # must not decide where a phase ends, nor what is best.
        run.ended = recorded and phase.target_loss is not None and loss < phase.target_loss
        if loss < run.best_loss and (recorded or any(due(phase, run.step))):
            run.best_loss, run.best_theta = loss, run.theta
        if run.total in self.keep and run.total not in run.snapshot_steps:
            run.snapshot_steps.append(run.total)
            run.snapshot_thetas.append(np.asarray(run.theta))
        if recorded:
            self._record(run, info, loss)
            self.observe(run)

    def _follow(self, run: Run, stage: _Stage) -> None:
        """New points and weights where they are due."""
        phase, scope = stage.phase, stage.scope
        redraws, reweighs = (False, False) if run.ended else due(phase, run.step)
        if redraws:
            self._redraw(run, phase, scope)
        if redraws or reweighs:
            self._reweigh(run, phase, scope)
            stage.objective = self.objective(run, phase, scope)
            loss = loss_at(stage.objective, run.theta[scope.part])
            told = None
            if not (math.isfinite(loss) or self._several):
                told = describe_nonfinite(stage.objective, run.theta[scope.part])
            if told:
                raise TrainingError(
                    f"the loss of {self.recipe.name} is {loss} on points that were drawn anew "
                    f"after {run.total} steps, since {told}: change the equation there, or the "
                    "points."
                )
            self._restart_best(run, loss)

    def _is_over(self, stage: _Stage) -> bool:
        """Whether the time of the phase is spent."""
        limit = stage.phase.seconds
        return limit is not None and self._agree(time.monotonic() - stage.begun) > limit

    def _is_stopped(self, run: Run) -> bool:
        """Whether the time of the training is spent, or somebody asked for the end."""
        return self._agree(run.seconds) > self.budget or self._agree(float(self.request.asked)) > 0

    def _check_mesh(self, phase: Phase, optimizer: Optimizer) -> None:
        """Raise unless the optimizer can work on the devices that were given.

        Raises:
            RecipeError: They belong to several processes, of which it knows nothing.
        """
        if self._several and not optimizer.across_processes:
            raise RecipeError(
                f"the optimizer {phase.optimizer!r} was given a mesh of several processes, of "
                "which it knows nothing: give it one process, or use 'levenberg_marquardt'."
            )

    @property
    def _several(self) -> bool:
        """Whether the rows lie on devices of several processes, each of which sees its own."""
        return self.mesh is not None and self.mesh.is_multi_process

    def _agree(self, tree: Any) -> Any:
        """A value on which all processes agree, where there are several."""
        return tree if self.mesh is None else agree(tree, self.mesh)

    def objective(self, run: Run, phase: Phase, scope: Scope) -> Objective:
        """The objective on the current points with the weights of a phase."""
        weights = {**self.recipe.weights, **phase.weights}
        base = scope.objective
        objective = base.with_weights(weights).with_points(run.points)
        followed = {
            term.name: term.scale * np.sqrt(run.factors[term.name])
            for term in objective.terms
            if term.name in run.factors
        }
        objective = objective.with_scales(followed)
        return objective if self.mesh is None else shard(objective, self.mesh)

    def _reweigh(self, run: Run, phase: Phase, scope: Scope) -> None:
        """Update the factors of the phase's weighting, if it has one."""
        if not phase.weighting:
            return
        update = make_weighting(phase.weighting, phase.weighting_arguments, scope.problem)
        objective = unweighted(scope.objective, run.points)
        factors = update(objective, run.theta[scope.part], run.factors)
        run.factors = {name: np.asarray(value) for name, value in self._agree(factors).items()}

    def _redraw(self, run: Run, phase: Phase, scope: Scope) -> None:
        drawn = self._agree(resample(scope, self.recipe, phase, run.theta, run.draws))
        run.points = drawn | self._measured()
        run.draws += 1

    def _measured(self) -> dict[str, np.ndarray]:
        """Rows of the observations, which are never drawn anew; nothing without any."""
        terms = self.assembly.objective.terms
        return {term.name: np.asarray(term.points) for term in terms if term.name == OBSERVATIONS}

    def _restart_best(self, run: Run, loss: float) -> None:
        """Losses on other points or with other weights do not compare."""
        run.best_loss, run.best_theta, run.rejected = loss, run.theta, 0

    def _phase_seconds(self, run: Run) -> float:
        before = [
            s
            for s, p in zip(run.history["seconds"], run.history["phase"], strict=True)
            if p < run.phase
        ]
        return run.seconds - (before[-1] if before else 0.0)

    def _record(self, run: Run, info: Info, loss: float) -> None:
        row = {name: float(getattr(info, name, math.nan)) for name in COLUMNS}
        row |= {
            "step": run.total,
            "phase": run.phase,
            "loss": loss,
            "relative_l2_error": self.error(run.theta),
            "seconds": run.seconds,
        }
        for name, value in row.items():
            run.history[name].append(value)

    def _save(self, run: Run, *, force: bool = False) -> None:
        if self.workdir is None:
            return
        if not force and time.monotonic() - self.last_save <= self.save_every:
            return
        self.last_save = time.monotonic()
        there = written(self.workdir)
        if self.written and there and there != self.written and not self.shared:
            self.shared = True
            warnings.warn(
                f"another training writes to the folder {str(self.workdir)!r} as well, so that a "
                "kill would lose one of both: give each a workdir of its own.",
                stacklevel=2,
            )
        try:
            save_run(run, self.recipe, self.workdir)
            self.written = written(self.workdir)
        except (TrainingError, TypeError, ValueError) as error:
            # The folder could be written at the beginning. A disk that is full since then must not
            # cost what is in memory: the training goes on, and the next save may find a place.
            if not self.warned:
                told = str(error) if isinstance(error, TrainingError) else f"not kept: {error!r}."
                warnings.warn(f"{told} The training goes on.", stacklevel=2)
            self.warned = True


def _error_of(problem: Problem, assembly: Assembly) -> Callable[[Theta], float]:
    """Relative L2 error on every fourth line of the grid; NaN without a reference solution."""
    if problem.reference is None:
        return lambda _: math.nan
    reference = problem.reference

    @functools.cache
    def solution() -> tuple[Any, np.ndarray]:
        points = problem.evaluation_points(COARSENING)
        exact = reference(points)
        if (told := broken_reference(problem, points, exact)) is not None:
            raise RecipeError(f"{told}.")
        return jnp.asarray(points, assembly.theta.dtype), exact

    @functools.partial(jax.jit, compiler_options=QUICK_COMPILE)
    def values(theta: Theta, grid: Any) -> Any:
        return jax.vmap(assembly.field, (None, 0))(theta, grid).astype(np.float64)

    def error(theta: Theta) -> float:
        grid, exact = solution()
        figures = error_figures(np.asarray(values(theta, grid)), exact)
        # There is none where the reference is zero on every point of this grid.
        return figures.get("relative_l2_error", math.nan)

    return error


def first_run(trainer: Trainer) -> Run:
    """The run before its first step, with a finite loss.

    Raises:
        TrainingError: The loss is not finite; the message names the term.
    """
    run = trainer.start()
    if not math.isfinite(run.best_loss):
        told = describe_nonfinite(trainer.assembly.objective, trainer.assembly.theta)
        raise TrainingError(
            f"the loss of {trainer.recipe.name} is {run.best_loss} before the first step, since "
            f"{told or 'its square is too large'}; "
            "change the equation, such as by jnp.maximum where it takes a root, a logarithm or a "
            "power of what a network may make negative, or begin with other parameters."
        )
    return run
