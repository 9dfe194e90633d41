"""From a recipe to an entry: phases, points, snapshots, and a run that survives being killed."""

import dataclasses
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Float

from pinnzoo import diagnostics
from pinnzoo._typing import Theta
from pinnzoo.domains import Region, residual_adaptive, sample
from pinnzoo.entry import Entry, Snapshots, build
from pinnzoo.errors import IntegrityError, RecipeError, TrainingError
from pinnzoo.evaluation import error_figures, evaluate_field
from pinnzoo.objective import EQUATION, Assembly, Objective, assemble, part_slice, regions
from pinnzoo.optimizers import Info, Optimizer, make_optimizer
from pinnzoo.pdes import Problem, make_problem
from pinnzoo.recipes import Phase, Recipe, resolve_optimizer
from pinnzoo.sharding import agree, all_equal, local, shard
from pinnzoo.weighting import make_weighting

NTK_POINTS = {"equation": 64, "conditions": 24}
NTK_ROWS = 256
"""Largest number of rows of a stored kernel; its snapshots are most of an entry's size."""
HESSIAN_POINTS = 16
LOSS_HESSIAN_POINTS = {"equation": 500, "conditions": 50}
SNAPSHOTS = 10
RECORDS = 1000
CANDIDATES = 10
COARSENING = 4
STALL = 5
"""Rejected steps in a row after which a phase has converged to the precision of its numbers."""

WORK_FILE = "state.npz"

# Streams of randomness that are derived from one seed and must not overlap.
_DIAGNOSTIC_STREAM = 2**31


class Reporter(Protocol):
    """Is told of the progress of a training."""

    def __call__(self, run: "Run") -> None:
        """Called at the beginning and after every record."""


@dataclass
class Run:
    """All that a training needs to go on after a kill, and nothing else.

    Attributes:
        phase: Index of the current phase.
        step: Steps done in the current phase.
        done: Steps done in each phase so far.
        draws: How many point sets were drawn.
        theta: Parameters.
        state: State of the current phase's optimizer.
        points: Current collocation points.
        best_loss: Lowest loss since points, weights or part last changed.
        best_theta: Parameters at `best_loss`.
        history: One list per recorded quantity.
        snapshot_steps: Steps, over all phases, at which parameters were kept.
        snapshot_thetas: The parameters there.
        seconds: Wall time spent.
        rejected: Rejected steps in a row.
        ended: Whether the current phase ended before its last step.
        factors: Factors of the current phase's weighting, by term.
    """

    phase: int
    step: int
    done: list[int]
    draws: int
    theta: Theta
    state: Any
    points: dict[str, np.ndarray]
    best_loss: float
    best_theta: Theta
    history: dict[str, list[float]]
    snapshot_steps: list[int]
    snapshot_thetas: list[np.ndarray]
    seconds: float = 0.0
    rejected: int = 0
    ended: bool = False
    factors: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Steps done in all phases."""
        return sum(self.done)


HISTORY = (
    "step",
    "phase",
    "loss",
    "relative_l2_error",
    "grad_norm",
    "step_norm",
    "accepted",
    "damping",
    "gain_ratio",
    "seconds",
)
"""Columns of an entry's history. Losses are those of the training points at that moment; errors
are on the evaluation grid, every `COARSENING`-th line of it."""


def log_spaced_steps(total: int, count: int = SNAPSHOTS) -> list[int]:
    """0, then about `count` steps in geometric progression up to `total`."""
    if total == 0:
        return [0]
    return sorted({0, *np.unique(np.round(np.geomspace(1, total, count)).astype(int)).tolist()})


def term_counts(boxes: Mapping[str, Region], counts: Mapping[str, int]) -> dict[str, int]:
    """Points per term; equations of a system share a count, and a single point is one point."""
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
    """The `draw`-th set of collocation points of a seed."""
    rng = np.random.default_rng([seed, draw])
    boxes = regions(problem)
    return {
        name: sample(boxes[name], n, sampler, rng) for name, n in term_counts(boxes, counts).items()
    }


def ntk_counts(problem: Problem) -> dict[str, int]:
    """Points per term of the stored kernels: the more terms a problem has, the fewer on each."""
    counts = term_counts(regions(problem), NTK_POINTS)
    share = min(1.0, NTK_ROWS / sum(counts.values()))
    return {name: max(1, int(share * count)) for name, count in counts.items()}


@jax.jit
def _loss(objective: Objective, theta: Theta) -> Any:
    return objective.loss(theta)


@jax.jit
def _residuals_at(objective: Objective, theta: Theta, points: Any) -> dict[str, Any]:
    """Unweighted residuals of every term, all of them at the same points."""
    return {
        term.name: jax.vmap(term.residual, (None, 0))(theta, points) for term in objective.terms
    }


@dataclass(frozen=True)
class Scope:
    """What a phase trains, and on what.

    Attributes:
        problem: The problem, or its window of time.
        objective: Its residuals, as functions of the parameters that are trained.
        part: Where these lie among all parameters.
    """

    problem: Problem
    objective: Objective
    part: slice

    @property
    def equations(self) -> Objective:
        """The terms that hold everywhere, of which a system has several."""
        region = self.problem.domain
        terms = self.objective.terms
        return Objective(tuple(t for t in terms if self.problem.terms[t.name].region == region))


def phase_scope(
    problem: Problem, assembly: Assembly, recipe: Recipe, phase: Phase, theta: Theta
) -> Scope:
    """All of a network on all of a problem, or one part of it on the times that are its own.

    Raises:
        RecipeError: The network has no such part, or the problem no such arguments.
    """
    model: Any = assembly.to_model(theta)
    if phase.problem_arguments:
        problem = make_problem(
            recipe.problem, {**recipe.problem_arguments, **phase.problem_arguments}
        )
    if phase.part < 0:
        objective = assembly.objective
        if phase.problem_arguments:
            counts = {**recipe.points, **phase.points}
            points = draw_points(problem, counts, recipe.sampler, recipe.seed, 0)
            objective = assemble(problem, model, points).objective
        return Scope(problem, objective, slice(0, theta.size))
    part = part_slice(model, phase.part)
    before = model.before(phase.part)
    first, last = model.part_times(phase.part)
    window = problem.between(first, last, None if before is None else problem.constrain(before))
    counts = {**recipe.points, **phase.points}
    points = draw_points(window, counts, recipe.sampler, recipe.seed, 0)
    objective = assemble(window, model.up_to(phase.part), points).objective
    return Scope(window, objective, part)


def _resample(run: Run, recipe: Recipe, scope: Scope, phase: Phase) -> dict[str, np.ndarray]:
    """New points, those of the equations by residual if the phase asks for that."""
    counts = {**recipe.points, **phase.points}
    points = draw_points(scope.problem, counts, recipe.sampler, recipe.seed, run.draws)
    if phase.adaptive:
        n = len(points[EQUATION])
        rng = np.random.default_rng([recipe.seed, run.draws, 1])
        candidates = sample(scope.problem.domain, CANDIDATES * n, recipe.sampler, rng)
        at = jnp.asarray(candidates, run.theta.dtype)
        values = _residuals_at(scope.equations, run.theta[scope.part], at)
        for name, value in values.items():
            points[name] = residual_adaptive(candidates, np.asarray(value), len(points[name]), rng)
    return points


def _advance(optimizer: Optimizer) -> Callable[[Objective, Theta, Any, int], tuple]:
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
        return jax.lax.fori_loop(
            0,
            k,
            lambda _, carry: optimizer.step(objective, carry[0], carry[1]),
            (theta, state, empty),
        )

    return looped


def _stops(phase: Phase, record_every: int, offset: int, snapshots: set[int]) -> list[int]:
    """Steps of a phase at which the host is needed, in order."""
    stops = set(range(record_every, phase.steps, record_every)) | {phase.steps}
    if phase.resample_every:
        stops |= set(range(phase.resample_every, phase.steps, phase.resample_every))
    if phase.weighting:
        stops |= set(range(phase.reweigh_every, phase.steps, phase.reweigh_every))
    stops |= {s - offset for s in snapshots if 0 < s - offset <= phase.steps}
    return sorted(stops)


def _due(phase: Phase, step: int) -> tuple[bool, bool]:
    """Whether points, and whether weights, change after this step of a phase."""
    if step >= phase.steps:
        return False, False
    redraws = phase.resample_every > 0 and step % phase.resample_every == 0
    return redraws, bool(phase.weighting) and step % phase.reweigh_every == 0


class _OutOfTime(Exception):
    """The time that was given to a training is spent."""


def _unweighted(objective: Objective, points: Mapping[str, np.ndarray]) -> Objective:
    """The objective on these points, with √(1/n) as the scale of every row."""
    plain = {term.name: math.sqrt(1 / term.n) for term in objective.terms}
    return objective.with_scales(plain).with_points(points)


@dataclass
class _Trainer:
    """A recipe on its way: what is fixed during training."""

    recipe: Recipe
    problem: Problem
    assembly: Assembly
    workdir: Path | None
    save_every: float
    reporter: Reporter | None
    mesh: Mesh | None
    budget: float = math.inf
    keep: set[int] = field(init=False)
    scope: Scope | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.keep = set(log_spaced_steps(self.recipe.steps))
        self.grid = self.problem.evaluation_points(COARSENING)
        self.reference = self.problem.reference(self.grid)
        grid, dtype = jnp.asarray(self.grid, self.assembly.theta.dtype), np.float64
        values = jax.jit(
            lambda theta: jax.vmap(self.assembly.field, (None, 0))(theta, grid).astype(dtype)
        )
        self.error = lambda theta: error_figures(np.asarray(values(theta)), self.reference)
        self.last_save = time.monotonic()

    def start(self) -> Run:
        theta, objective = self.assembly.theta, self.assembly.objective
        loss = float(_loss(objective, theta))
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
            history={name: [] for name in HISTORY},
            snapshot_steps=[0],
            snapshot_thetas=[np.asarray(theta)],
        )
        self._record(run, Info(loss=loss), loss)
        return run

    def run(self, run: Run) -> None:
        """Do what is left of all phases, in place.

        Raises:
            TrainingError: The loss left the finite numbers.
        """
        for index in range(run.phase, len(self.recipe.phases)):
            phase = self.recipe.phases[index]
            if index != run.phase:
                run.phase, run.step, run.state, run.rejected = index, 0, None, 0
                run.factors, run.ended = {}, False
            self._phase(run, phase)
            self._save(run, force=True)

    def _phase(self, run: Run, phase: Phase) -> None:
        optimizer = make_optimizer(phase.optimizer, phase.arguments)
        before = self.recipe.phases[run.phase - 1] if run.phase else Phase("", 0)
        moved = any(
            getattr(phase, name) != getattr(before, name)
            for name in ("points", "part", "problem_arguments")
        )
        if self.scope is None or moved:
            if self.scope is not None and (phase.part >= 0 or phase.problem_arguments):
                # A part has residual functions of its own, and so has a stage of a curriculum;
                # those before it are not called again. Their programs hold memory maps: Linux
                # grants 65,530, and after twenty parts the compiler would have none left.
                jax.clear_caches()
            # The same residual functions as before would be compiled again.
            self.scope = phase_scope(self.problem, self.assembly, self.recipe, phase, run.theta)
        scope, part = self.scope, self.scope.part
        self._check(phase, optimizer, scope)
        if run.ended:
            return
        begins = run.state is None and run.step == 0
        if begins and moved and (run.phase > 0 or phase.part >= 0 or phase.problem_arguments):
            self._redraw(run, phase, scope)
        if begins:
            self._reweigh(run, phase, scope)
        objective = self._objective(run, phase, scope)
        reweighed = phase.weights != before.weights or phase.weighting or before.weighting
        if begins and (moved or reweighed):
            self._restart_best(run, float(_loss(objective, run.theta[part])))
        if run.state is None:
            run.state = optimizer.init(objective, run.theta[part])
        advance = _advance(optimizer)
        every = max(1, phase.steps // RECORDS) if optimizer.traceable else 1
        offset = run.total - run.step
        begun = time.monotonic() - (self._phase_seconds(run) if phase.seconds else 0.0)
        clock = time.monotonic() - run.seconds
        for stop in _stops(phase, every, offset, self.keep):
            if stop <= run.step:
                continue
            k = stop - run.step
            # The last info tells of the step before, so the loss is computed where it is needed.
            advanced = advance(objective, run.theta[part], run.state, k)
            # What is computed and written beside the training needs no mesh.
            theta, run.state, info = advanced if self.mesh is None else local(advanced)
            run.theta = run.theta.at[part].set(theta)
            loss = float(_loss(objective, run.theta[part]))
            run.step = stop
            run.done[run.phase] = stop
            run.seconds = time.monotonic() - clock
            if not np.isfinite(loss):
                raise TrainingError(
                    f"the loss of {self.recipe.name} is {loss} after {run.total} steps: train "
                    f"with a smaller learning rate, more damping, or without the phase "
                    f"{phase.optimizer!r}."
                )
            if loss < run.best_loss:
                run.best_loss, run.best_theta = loss, run.theta
            if run.total in self.keep and run.total not in run.snapshot_steps:
                run.snapshot_steps.append(run.total)
                run.snapshot_thetas.append(np.asarray(run.theta))
            run.ended = loss < phase.target_loss
            if stop % every == 0 or stop == phase.steps or run.ended:
                self._record(run, info, loss)
                if self.reporter is not None:
                    self.reporter(run)
            run.rejected = run.rejected + 1 if float(info.accepted) == 0 else 0
            redraws, reweighs = (False, False) if run.ended else _due(phase, stop)
            if redraws:
                self._redraw(run, phase, scope)
            if redraws or reweighs:
                self._reweigh(run, phase, scope)
                objective = self._objective(run, phase, scope)
                self._restart_best(run, float(_loss(objective, run.theta[part])))
            run.ended = run.ended or run.rejected >= STALL
            self._save(run)
            if run.ended:
                break
            if phase.seconds and self._agree(time.monotonic() - begun) > phase.seconds:
                break
            if self._agree(run.seconds) > self.budget:
                raise _OutOfTime

    def _check(self, phase: Phase, optimizer: Optimizer, scope: Scope) -> None:
        terms = {term.name for term in scope.objective.terms}
        if unknown := set(phase.weights) - terms:
            raise RecipeError(
                f"a phase with weights for {sorted(unknown)} was given: its terms are "
                f"{sorted(terms)}."
            )
        several = self.mesh is not None and self.mesh.is_multi_process
        if several and not optimizer.across_processes:
            raise RecipeError(
                f"the optimizer {phase.optimizer!r} was given a mesh of several processes, of "
                "which it knows nothing: give it one process, or use 'levenberg_marquardt'."
            )

    def _agree(self, tree: Any) -> Any:
        """A value on which all processes agree, where there are several."""
        return tree if self.mesh is None else agree(tree, self.mesh)

    def _objective(self, run: Run, phase: Phase, scope: Scope) -> Objective:
        """The objective on the current points with the weights of a phase."""
        weights = {**self.recipe.weights, **phase.weights}
        base = scope.objective
        scales = {term.name: math.sqrt(weights.get(term.name, 1.0) / term.n) for term in base.terms}
        objective = base.with_scales(scales).with_points(run.points)
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
        objective = _unweighted(scope.objective, run.points)
        factors = update(objective, run.theta[scope.part], run.factors)
        run.factors = {name: np.asarray(value) for name, value in self._agree(factors).items()}

    def _redraw(self, run: Run, phase: Phase, scope: Scope) -> None:
        run.points = self._agree(_resample(run, self.recipe, scope, phase))
        run.draws += 1

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
        row = {name: float(getattr(info, name, float("nan"))) for name in HISTORY}
        row |= {
            "step": run.total,
            "phase": run.phase,
            "loss": loss,
            "relative_l2_error": self.error(run.theta)["relative_l2_error"],
            "seconds": run.seconds,
        }
        for name, value in row.items():
            run.history[name].append(value)

    def _save(self, run: Run, *, force: bool = False) -> None:
        if self.workdir is None:
            return
        if force or time.monotonic() - self.last_save > self.save_every:
            save_run(run, self.recipe, self.workdir)
            self.last_save = time.monotonic()


def save_run(run: Run, recipe: Recipe, workdir: Path) -> None:
    """Write a run so that it can go on after a kill; the file is replaced in one move."""
    arrays: dict[str, np.ndarray] = {
        "theta": np.asarray(run.theta),
        "best_theta": np.asarray(run.best_theta),
        "snapshot_steps": np.asarray(run.snapshot_steps),
        "snapshot_thetas": np.stack(run.snapshot_thetas),
    }
    arrays |= {f"points/{name}": value for name, value in run.points.items()}
    arrays |= {f"factors/{name}": value for name, value in run.factors.items()}
    arrays |= {f"history/{name}": np.asarray(value) for name, value in run.history.items()}
    leaves = jax.tree.leaves(run.state)
    arrays |= {f"state/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    about = {
        "digest": recipe.digest,
        "phase": run.phase,
        "step": run.step,
        "done": run.done,
        "draws": run.draws,
        "best_loss": run.best_loss,
        "seconds": run.seconds,
        "rejected": run.rejected,
        "ended": run.ended,
        "leaves": len(leaves),
    }
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    workdir.mkdir(parents=True, exist_ok=True)
    temporary = workdir / f".{WORK_FILE}.{os.getpid()}"
    with temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(workdir / WORK_FILE)


def load_run(recipe: Recipe, problem: Problem, assembly: Assembly, workdir: Path) -> Run | None:
    """The run that was saved in `workdir`, or None where there is none.

    Raises:
        RecipeError: The folder holds a run of another recipe.
        IntegrityError: The file is damaged.
    """
    path = workdir / WORK_FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays["about"].tobytes())
    except Exception as error:
        raise IntegrityError(
            f"the run in {path} cannot be read ({type(error).__name__}): delete the file to begin "
            "anew."
        ) from error
    if about["digest"] != recipe.digest:
        raise RecipeError(
            f"the folder {workdir} holds a run of another recipe than {recipe.name}: "
            "give another folder, or resume=False to begin anew."
        )

    def group(prefix: str) -> dict[str, np.ndarray]:
        start = len(prefix)
        return {key[start:]: value for key, value in arrays.items() if key.startswith(prefix)}

    phase = recipe.phases[about["phase"]]
    points = group("points/")
    theta = jnp.asarray(arrays["theta"])
    # The structure of the optimizer's state comes from a fresh one.
    optimizer = make_optimizer(phase.optimizer, phase.arguments)
    scope = phase_scope(problem, assembly, recipe, phase, theta)
    fresh = optimizer.init(scope.objective.with_points(points), theta[scope.part])
    leaves, structure = jax.tree.flatten(fresh)
    state = None
    if about["leaves"]:
        saved = [arrays[f"state/{i}"] for i in range(about["leaves"])]
        state = jax.tree.unflatten(
            structure,
            [
                jnp.asarray(new) if isinstance(old, jax.Array) else new
                for old, new in zip(leaves, saved, strict=True)
            ],
        )
    return Run(
        phase=about["phase"],
        step=about["step"],
        done=about["done"],
        draws=about["draws"],
        theta=theta,
        state=state,
        points=points,
        best_loss=about["best_loss"],
        best_theta=jnp.asarray(arrays["best_theta"]),
        history={name: value.tolist() for name, value in group("history/").items()},
        snapshot_steps=arrays["snapshot_steps"].tolist(),
        snapshot_thetas=list(arrays["snapshot_thetas"]),
        seconds=about["seconds"],
        rejected=about["rejected"],
        ended=about["ended"],
        factors=group("factors/"),
    )


@contextmanager
def _bar(recipe: Recipe, *, show: bool) -> Iterator[Reporter | None]:
    """A progress bar with step, loss, relative L2 error, damping, rate and time left."""
    if not show:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    # Narrow enough for a terminal of 80 columns, where rich would cut every column short.
    with Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=8),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("loss {task.fields[loss]:.1e}"),
        TextColumn("[cyan]L2 {task.fields[error]:.1e}"),
        TextColumn("{task.fields[damping]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    ) as bar:
        nan = float("nan")
        task = bar.add_task(
            recipe.problem, total=recipe.steps, loss=nan, error=nan, damping="", rate=""
        )
        begun: list[tuple[float, int]] = []

        def report(run: Run) -> None:
            begun.append((time.monotonic(), run.total))
            (t0, s0), (t1, s1) = begun[max(0, len(begun) - 20)], begun[-1]
            rate = f"{(s1 - s0) / (t1 - t0):.2g}/s" if t1 > t0 else ""
            damping = run.history["damping"][-1]
            bar.update(
                task,
                completed=run.total,
                loss=run.history["loss"][-1],
                error=run.history["relative_l2_error"][-1],
                damping=f"λ {damping:.0e}" if np.isfinite(damping) else "",
                rate=rate,
            )

        yield report


def hardware() -> str:
    """The processor and the number of cores, in words, for the record."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    device = jax.devices()[0]
    accelerator = "" if device.platform == "cpu" else f"{device.device_kind}, "
    return f"{accelerator}{name}, {os.cpu_count()} cores"


def _in_float64(model: nnx.Module) -> nnx.Module:
    graph, state = nnx.split(model)
    return nnx.merge(graph, jax.tree.map(lambda leaf: leaf.astype(np.float64), state))


def _finish(trainer: _Trainer, run: Run) -> Entry:
    """Diagnostics and metrics of a run that is over, and the entry."""
    done = tuple(
        dataclasses.replace(phase, steps=steps, seconds=0.0, target_loss=0.0)
        for phase, steps in zip(trainer.recipe.phases, run.done, strict=True)
        if steps or phase is trainer.recipe.phases[0]
    )
    recipe = dataclasses.replace(trainer.recipe, phases=done)
    problem = trainer.problem
    model = trainer.assembly.to_model(run.best_theta)
    theta = np.asarray(run.best_theta)
    steps, thetas = list(run.snapshot_steps), list(run.snapshot_thetas)
    # The last snapshot is the published network, whatever ended the run.
    if steps[-1] == run.total and run.total > 0:
        thetas[-1] = theta
    elif run.total > 0:
        steps.append(run.total)
        thetas.append(theta)
    seed, stream = recipe.seed, _DIAGNOSTIC_STREAM
    points = draw_points(problem, LOSS_HESSIAN_POINTS, "sobol", seed, stream + 1)
    stated = {**recipe.weights, **recipe.phases[-1].weights}
    # A window has terms of its own, which the whole problem lacks.
    weights = {name: weight for name, weight in stated.items() if name in problem.terms}
    # Spectra in float32 are noise: the diagnostics see the same numbers in float64.
    objective = assemble(problem, _in_float64(model), points, weights).objective
    ntk = diagnostics.ntk_snapshots(
        objective,
        np.asarray(steps),
        np.stack(thetas),
        draw_points(problem, ntk_counts(problem), "sobol", seed, stream),
    )
    report = diagnostics.report(
        objective,
        thetas[0],
        theta,
        ntk,
        sample(problem.domain, HESSIAN_POINTS, "sobol", np.random.default_rng([seed, stream + 2])),
    )
    metrics = {
        "format": 1,
        **evaluate_field(problem, problem.constrain(model)),  # pyright: ignore
        "loss": run.best_loss,
        "steps": run.total,
        "parameters": int(theta.size),
        "dtype": recipe.dtype,
        "wall_time_seconds": run.seconds,
        "hardware": hardware(),
        "platform": jax.default_backend(),
        **report,
    }
    history = {name: np.asarray(values) for name, values in run.history.items()}
    return Entry.from_training(
        recipe=recipe,
        model=model,
        metrics=metrics,
        history=history,
        ntk=ntk,
        snapshots=Snapshots(np.asarray(steps), np.stack(thetas)),
    )


def train(
    recipe: Recipe,
    *,
    progress: bool = False,
    workdir: str | os.PathLike[str] | None = None,
    resume: bool = True,
    save_every: float = 30.0,
    base: Entry | None = None,
    mesh: Mesh | None = None,
    seconds: float = math.inf,
) -> Entry:
    """Train a recipe.

    Ctrl-C ends the training and returns the best state so far, and so does the end of `seconds`;
    the recipe of the returned entry then states the steps that were done. With a `workdir`, a run
    that is interrupted or killed goes on where it was last saved and arrives at the same numbers.

    Args:
        recipe: What to train.
        progress: Show a progress bar.
        workdir: Folder for the state of the run.
        resume: Go on with the run that `workdir` holds; False begins anew.
        save_every: Seconds between two saves of the run.
        base: The entry to start from, where the recipe names one; by default it is loaded.
        mesh: Devices over which the points are spread, such as `pinnzoo.sharding.make_mesh()`.
            Where they belong to several processes, all of them make this call with the same
            arguments, process 0 writes to `workdir`, and all get the same network.
        seconds: Wall time for all steps together, those of earlier calls with this `workdir`
            included; the last step may exceed it.

    Returns:
        The entry, not yet saved; `entry.save(folder)` does that.

    Raises:
        RecipeError: The recipe asks for something that does not exist.
        PrecisionError: A float64 recipe, or the diagnostics, with JAX in single precision.
        TrainingError: The loss left the finite numbers, or the processes of a mesh do not share
            their `workdir`.
    """
    problem, model = build(recipe)
    if recipe.base:
        if base is None:
            from pinnzoo.zoo import load

            base = load(recipe.base)
        model = base.model
    counts = {**recipe.points, **recipe.phases[0].points}
    points = draw_points(problem, counts, recipe.sampler, recipe.seed, 0)
    assembly = assemble(problem, model, points, recipe.weights)
    folder = None if workdir is None else Path(workdir)
    run = load_run(recipe, problem, assembly, folder) if folder is not None and resume else None
    if mesh is not None and not all_equal(run.total if run else 0, mesh):
        raise TrainingError(
            f"the processes found runs of different length in {workdir}: give all of them one "
            "folder on a file system that they share."
        )
    if mesh is not None and jax.process_index() > 0:
        folder, progress = None, False
    with _bar(recipe, show=progress) as reporter:
        trainer = _Trainer(recipe, problem, assembly, folder, save_every, reporter, mesh, seconds)
        run = run or trainer.start()
        if reporter is not None:
            reporter(run)
        try:
            trainer.run(run)
        except _OutOfTime:
            if folder is not None:
                save_run(run, recipe, folder)
        except KeyboardInterrupt:
            # It may have come in the middle of a step, with the parameters ahead of their count.
            # What was saved last is whole.
            pass
    return _finish(trainer, run)


def finetune(
    entry: Entry,
    optimizer: str = "levenberg_marquardt",
    steps: int = 200,
    *,
    progress: bool = False,
    points: Mapping[str, int] | None = None,
    weights: Mapping[str, float] | None = None,
    resample_every: int | None = None,
    adaptive: bool = True,
    part: int | None = None,
    workdir: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    mesh: Mesh | None = None,
    **arguments: Any,
) -> Entry:
    """Go on training an entry with another optimizer.

    Args:
        entry: Where to start.
        optimizer: Name or alias of the optimizer.
        steps: Number of steps.
        progress: Show a progress bar.
        points: Points per term, as in a recipe; by default those of the entry.
        weights: Loss weight per term; by default those of the entry.
        resample_every: Draw new points after this many steps; 0 keeps the first ones. By default
            10 for Levenberg-Marquardt, which soon fits a fixed set more closely than the solution,
            and 0 for the others, since new points spoil the curvature pairs of quasi-Newton.
        adaptive: Draw the equation's new points by residual.
        part: Part of a composed network to train, as in `Phase`; by default what the last phase of
            the entry trained. All parameters together are -1, on an objective that does not see
            how windows of time join.
        workdir: Folder for the state of the run, so that it can go on after a kill.
        tag: Tag of the new entry; by default "from_" and the old optimizer.
        mesh: Devices over which the points are spread, as in `train`.
        **arguments: Arguments of the optimizer.

    Returns:
        The new entry. `tuned.recipe.base` names the old one.

    Raises:
        UnknownNameError: There is no such optimizer.
        RecipeError: The optimizer does not take one of the arguments, or the network has no such
            part.
    """
    name = resolve_optimizer(optimizer)
    if resample_every is None:
        resample_every = 10 if name == "levenberg_marquardt" else 0
    if part is None:
        part = entry.recipe.phases[-1].part
    phase = Phase(
        name, steps, arguments, resample_every=resample_every, adaptive=adaptive, part=part
    )
    make_optimizer(phase.optimizer, phase.arguments)
    recipe = dataclasses.replace(
        entry.recipe,
        phases=(phase,),
        points=dict(points or entry.recipe.points),
        weights=dict(weights or entry.recipe.weights),
        base=entry.name,
        tag=tag if tag is not None else _derived_tag(entry.recipe),
    )
    return train(recipe, progress=progress, workdir=workdir, base=entry, mesh=mesh)


def _derived_tag(recipe: Recipe) -> str:
    origin = f"from_{recipe.phases[-1].optimizer}"
    return f"{recipe.tag}.{origin}" if recipe.tag else origin
