"""`solve`: a problem in, an entry out, with everything chosen by the program."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from pinnzoo.architectures import make_architecture
from pinnzoo.collocation import draw_points
from pinnzoo.entry import Entry, Snapshots
from pinnzoo.measure import core_metrics
from pinnzoo.objective import assemble, flatten_model
from pinnzoo.pdes import Problem, make_problem
from pinnzoo.precision import require_x64
from pinnzoo.recipes import Phase, Recipe
from pinnzoo.solving import clock
from pinnzoo.solving.analysis import balanced_weights, parameters_of, periodic_axes, waves
from pinnzoo.solving.estimate import estimated_error
from pinnzoo.solving.fitting import (
    Fit,
    counts_for,
    finding,
    fit,
    linear,
    moving,
    tangent_of,
    values_of,
)
from pinnzoo.solving.growth import widen

DEFAULT_SECONDS = 120.0
"""Where neither a time nor a tolerance is given."""

WIDTHS = (14, 24, 32, 40, 48)
DEPTH = 3
HARMONICS = 4

OSCILLATING = 3.0
"""Waves of the data along an axis from which on the first layer is one of sines."""


@dataclass(frozen=True)
class Plan:
    """What was read off the problem.

    Attributes:
        problem: What is solved.
        network: Arguments of `tangent_mlp` besides width and windows.
        idle: Conditions that the network meets by construction.
        recipe: Seed, sampler and points.
    """

    problem: Problem
    network: Mapping[str, Any]
    idle: tuple[str, ...]
    recipe: Recipe


def plan_for(problem: Problem, seed: int = 0) -> Plan:
    """What can be decided before the first step."""
    axes, idle = periodic_axes(problem)
    counted = waves(problem)
    network: dict[str, Any] = {"depth": DEPTH}
    if axes:
        most = max(counted[axis] for axis in axes)
        network |= {"periodic_axes": list(axes), "harmonics": int(max(HARMONICS, most))}
    elif max(counted) >= OSCILLATING:
        # In a sine layer with d inputs the largest wave number is ω/d.
        d = problem.d
        network |= {"depth": 2, "omega": [1.3 * d * math.pi * max(k, 1.0) for k in counted]}
    recipe = Recipe(
        problem.name,
        "tangent_mlp",
        (Phase("levenberg_marquardt", 1),),
        problem_arguments=dict(problem.arguments),
        points=counts_for(problem, 500, idle),
        seed=seed,
        tag="solved",
    )
    return Plan(problem, network, idle, recipe)


def _network(plan: Plan, problem: Problem, width: int) -> Any:
    model: Any = make_architecture(
        "tangent_mlp",
        {**plan.network, "width": width},
        m=problem.m,
        lower=problem.domain.lower,
        upper=problem.domain.upper,
        dtype="float64",
        seed=plan.recipe.seed,
    )
    return model.parts[0]


@dataclass
class Round:
    """One refinement: a network, its tangent, and what they came to."""

    width: int
    start: np.ndarray
    base: Fit
    tangent: Fit | None
    seconds: float
    values: np.ndarray
    estimate: float

    @property
    def loss(self) -> float:
        return self.base.fresh[-1] if self.tangent is None else self.tangent.fresh[-1]


def refine(
    plan: Plan,
    problem: Problem,
    width: int,
    before: Round | None,
    deadline: float,
    tell: Any,
) -> Round:
    """Train a network of a width on a problem or a window of it, then its tangent."""
    begun = clock.now()
    model = _network(plan, problem, width)
    parameters = parameters_of(model)
    few = counts_for(problem, 500, plan.idle)
    probe = assemble(problem, model, draw_points(problem, few, "sobol", plan.recipe.seed, 0))
    weights = balanced_weights(probe.objective, probe.theta)
    if before is not None:
        model = widen(before.base.model, model)
    start = np.asarray(flatten_model(model)[0])
    many = counts_for(problem, int(2.5 * parameters), plan.idle)
    left = deadline - begun
    share = begun + 0.65 * left
    stages = [] if before is not None else [finding(few, weights, begun + 0.15 * left)]
    stages += [
        moving(many, weights, begun + 0.45 * left, scaled=False),
        moving(many, weights, share, scaled=True),
    ]
    base = fit(problem, model, plan.recipe, stages, tell)
    tangent = None
    now = clock.now()
    if deadline - now > 2 * base.setup + 8 * base.step:
        dense = counts_for(problem, int(4 * parameters), plan.idle)
        stage = linear(dense, base.phases[-1].weights, deadline)
        tangent = fit(problem, tangent_of(base.model), plan.recipe, [stage], tell)
        if not tangent.fresh[-1] < base.fresh[-1]:
            tangent = None
    points = plan.problem.evaluation_points(4)
    points = points[problem.domain.contains(points)]
    states = values_of(base.assembly, base.kept, points)
    losses = list(base.fresh)
    if tangent is not None:
        states += values_of(tangent.assembly, [tangent.theta], points)
        losses.append(tangent.fresh[-1])
    if before is not None and len(before.values) == len(points):
        states, losses = [before.values, *states], [before.loss, *losses]
    return Round(
        width,
        start,
        base,
        tangent,
        clock.now() - begun,
        states[-1],
        estimated_error(states, losses),
    )


def solve(
    problem: Problem | str,
    *,
    observations: Any = None,
    seconds: float | None = None,
    tolerance: float | None = None,
    progress: bool = False,
    diagnostics: bool | Sequence[str] = True,
    seed: int = 0,
) -> Entry:
    """Solve a problem; network, points, weights and schedule are chosen by the program."""
    begun = clock.now()
    require_x64("solve")
    if isinstance(problem, str):
        problem = make_problem(problem, {})
    limit = DEFAULT_SECONDS if seconds is None else float(seconds)
    deadline = begun + limit - 1.0
    plan = plan_for(problem, seed)

    def tell(run: Any) -> None:
        if progress:
            last = {k: v[-1] for k, v in run.history.items()}
            print(
                f"  {clock.now() - begun:6.1f} s phase {run.phase} step {run.step} loss "
                f"{last['loss']:.2e} error {last['relative_l2_error']:.2e} λ {last['damping']:.1e}",
                flush=True,
            )

    rounds: list[Round] = []
    for width in WIDTHS:
        if rounds:
            last = rounds[-1]
            grown = (width / last.width) ** 5
            fits = 20 * last.base.step * grown + 3 * last.base.setup
            if clock.now() + fits > deadline:
                break
            if tolerance is not None and last.estimate <= tolerance:
                break
        rounds.append(refine(plan, problem, width, rounds[-1] if rounds else None, deadline, tell))
        if progress:
            r = rounds[-1]
            print(
                f"width {width}: {[f'{x:.1e}' for x in r.base.fresh]} loss {r.loss:.2e} "
                f"estimate {r.estimate:.2e} {r.seconds:.1f} s",
                flush=True,
            )
    best = min(rounds, key=lambda r: r.loss)
    return _entry(plan, rounds[: rounds.index(best) + 1], begun, diagnostics)


def _entry(plan: Plan, rounds: Sequence[Round], begun: float, diagnostics: Any) -> Entry:
    last = rounds[-1]
    phases: list[Phase] = []
    history: dict[str, list[float]] = {}
    for r in rounds:
        for f, part in ((r.base, 0), (r.tangent, 1)):
            if f is None:
                continue
            steps = sum(phase.steps for phase in phases)
            offsets = {
                "step": steps,
                "phase": len(phases),
                "seconds": history["seconds"][-1] if history else 0.0,
            }
            phases += [replace(phase, part=part) for phase in f.phases]
            for name, column in f.history.items():
                moved = [value + offsets.get(name, 0.0) for value in column]
                history.setdefault(name, []).extend(moved)
    omega = np.zeros(len(last.start)) if last.tangent is None else np.asarray(last.tangent.theta)
    theta = np.concatenate([np.asarray(last.base.theta), omega])
    recipe = replace(
        plan.recipe,
        phases=tuple(phases),
        architecture_arguments={**plan.network, "width": last.width},
    )
    from pinnzoo.storage.blueprint import build

    model = flatten_model(build(recipe, plan.problem)[1])[1](jnp.asarray(theta))
    kept = [last.start, *map(np.asarray, last.base.kept)]
    own = sum(phase.steps for phase in phases) - sum(
        phase.steps for f in (last.base, last.tangent) if f for phase in f.phases
    )
    steps = own + np.cumsum([0, *[phase.steps for phase in last.base.phases]])
    thetas = [np.concatenate([vector, np.zeros_like(vector)]) for vector in kept]
    thetas, steps = list(thetas), list(steps[: len(thetas)])
    if last.tangent is not None:
        thetas.append(theta)
        steps.append(recipe.steps)
    thetas[-1] = theta
    seconds = clock.now() - begun
    metrics = core_metrics(plan.problem, model, recipe, loss=last.loss, seconds=seconds)
    metrics["estimated_error"] = last.estimate
    entry = Entry.from_training(
        recipe=recipe,
        model=model,
        metrics=metrics,
        history={name: np.asarray(column) for name, column in history.items()},
        snapshots=Snapshots(np.asarray(steps), np.stack(thetas)),
        problem=plan.problem,
    )
    if diagnostics is not False:
        entry = entry.diagnosed(None if diagnostics is True else list(diagnostics))
    return entry.with_metrics({"wall_time_seconds": clock.now() - begun})
