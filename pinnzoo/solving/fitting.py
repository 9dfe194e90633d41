"""Training one network on one window of time, until it stalls or its time is over."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pinnzoo.architectures.tangent_mlp import Tangent, zeros_like
from pinnzoo.catalog.phases import GENTLE, SCALED
from pinnzoo.collocation import draw_points, term_counts
from pinnzoo.objective import (
    EQUATION,
    OBSERVATIONS,
    Assembly,
    Objective,
    as_programs,
    assemble,
    regions,
)
from pinnzoo.observations import Observations
from pinnzoo.pdes import Problem
from pinnzoo.recipes import Phase, Recipe
from pinnzoo.solving import clock
from pinnzoo.training.loop import (
    Stopped,
    Trainer,
    first_run,
    loss_at,
)
from pinnzoo.training.run import Run
from pinnzoo.training.signals import Request

LM = "levenberg_marquardt"

FRESH_DRAW = 2**30
"""The draw of a seed's points that no training uses."""

OVERFIT = 10.0
"""Loss on fresh points over that on trained ones, above which there are too few of these."""

EXACT = 1e-30
"""A loss below this is rounding."""

PATIENCE, MOST_PATIENT = 0.1, 40
"""Share of the time of a stage, and steps at most, over which its loss has to fall."""

SETTLED = 1e-3
"""Relative change of an unknown over a window of steps, below which it has been found."""

PLATEAU = 20
"""Steps over which a network that looks for the solution has to make progress: where values travel
through the domain, the loss stands still for as long before it falls."""

FOUND = 1e-5
"""Share of the first loss from which on a network is taken to have something like the solution."""

FURTHER = 25
"""Steps of a network that goes on from a narrower one. Its new neurons come to count in a few, and
its tangent then does in some more what no number of its own steps does."""

LOOK = 5
"""Steps between two looks at fresh points."""

WORTHWHILE = 0.5
"""Share of its loss that a stage of the tangent leaves at most: parameters grow with each, and the
last digits are lost with them."""

TANGENT_SETUP, TANGENT_STEPS = 1.8, 24
"""Time of a dozen steps of the tangent, in times until the first step and in steps of the network:
measured, it takes 1.5 to 1.8 times as long to the first step, and a step 1.3 to 2.2 times."""

DEEPER = (1e-21, 1e-25, 1e-29)
"""Dampings of the tangent after the gentle one, each for as long as fresh points say that the last
one was of use. Where the features resolve the solution, each leaves a hundredth of the loss; where
they do not, the solution between the points is the worse for it."""


def tangent_time(setup: float, step: float) -> float:
    """Seconds that a tangent needs, from those until a network's first step and of a further one.

    Its programs take the compiler longer, and its steps have more rows and are a QR.
    """
    return TANGENT_SETUP * setup + TANGENT_STEPS * step


@dataclass(frozen=True)
class Allowance:
    """The time that there is for something.

    Attributes:
        begun: When it began, by `clock`.
        until: When it ends; infinite where there is no limit.
        request: Whether somebody asked for the end.
    """

    begun: float
    until: float = math.inf
    request: Request = field(default_factory=Request)

    @property
    def left(self) -> float:
        """Seconds that are left; none where somebody asked for the end."""
        return 0.0 if self.request.asked else max(self.until - clock.now(), 0.0)

    def now(self) -> float:
        """The time on its clock."""
        return clock.now()

    def share(self, part: float) -> float:
        """When a part of what is left now is over."""
        return clock.now() + part * (self.until - clock.now())

    def part(self, share: float) -> "Allowance":
        """The first part of what is left."""
        return replace(self, begun=clock.now(), until=self.share(share))


Hopeless = Callable[[float, float, float], bool]
"""Whether a network is given up: from its loss on fresh points over that at the start, the seconds
until its first step, and those of a step."""


@dataclass(frozen=True)
class Stage:
    """One phase, with what ends it before its last step.

    Attributes:
        phase: Its optimizer, points and weights.
        share: The part that it may take of the time that is left once its first step is done, which
            waits for the compiler.
        window: Steps over which it has to make progress.
        gain: The factor by which the loss has to fall in as many.
        watch_fresh: Whether it ends when fresh points say that the points are too few.
        before_tangent: Whether it may take more than its share, all but what the tangent needs.
        deeper: Whether it is the last one where it does not much lower the loss on fresh points.
        found: The share of the first loss of the training at which it ends.
    """

    phase: Phase
    share: float = 1.0
    window: int = 10
    gain: float = 0.7
    watch_fresh: bool = False
    before_tangent: bool = False
    deeper: bool = False
    found: float = 0.0


@dataclass
class Fit:
    """What was done to a network, and what came of it.

    Attributes:
        assembly: The network as a function of flat parameters.
        theta: The parameters at the end.
        phases: What was done, with the steps that it took.
        history: One list per recorded quantity.
        kept: Parameters at the beginning and at the end of every phase.
        objective: The residuals as in the last phase, on points that were not trained.
        fresh: Loss of each of the kept parameters there, without that of the observations, which
            have no other points and keep their noise.
        step: Seconds of a step of the last phase.
        setup: Seconds until the first step was done, mostly of the compiler.
        abandoned: Whether it was given up.
        trail: Raw values of the unknowns after every step.
    """

    assembly: Assembly
    theta: Any
    phases: list[Phase]
    history: dict[str, list[float]]
    kept: list[Any]
    objective: Objective
    fresh: list[float] = field(default_factory=list)
    step: float = 0.0
    setup: float = 0.0
    abandoned: bool = False
    trail: list[np.ndarray] = field(default_factory=list)

    @property
    def model(self) -> nnx.Module:
        """The network."""
        return self.assembly.to_model(self.theta)

    def best(self) -> "Fit":
        """The same, ended after the first phase that left about the lowest loss on fresh points."""
        lowest = min(self.fresh)
        enough = [lowest, *[lowest / WORTHWHILE] * len(self.phases)]
        done = next(k for k, loss in enumerate(self.fresh) if loss <= enough[k])
        rows = [k for k, phase in enumerate(self.history["phase"]) if phase < done]
        return replace(
            self,
            theta=self.kept[done],
            phases=self.phases[:done],
            history={name: [values[k] for k in rows] for name, values in self.history.items()},
            kept=self.kept[: done + 1],
            fresh=self.fresh[: done + 1],
        )


class _Watch:
    """Ends phases: told of every step by the trainer."""

    def __init__(
        self,
        trainer: Trainer,
        stages: Sequence[Stage],
        allowance: Allowance,
        tell: Callable[[Run], None],
        hopeless: Hopeless | None = None,
    ):
        self.trainer, self.stages, self.tell = trainer, stages, tell
        self.allowance, self.hopeless = allowance, hopeless
        self.abandoned = False
        self.phase, self.losses, self.misses = -1, [], []
        self.unknowns: list[np.ndarray] = []
        self.measured = trainer.assembly.observations is not None
        self.last = clock.now()
        self.step = self.setup = self.began = self.until = self.shared = 0.0
        self.fresh: Objective | None = None
        self.lowest = math.inf

    def __call__(self, run: Run) -> None:
        now = clock.now()
        elapsed, self.last = now - self.last, now
        stage = self.stages[run.phase]
        if run.phase != self.phase:
            self.phase, self.losses, self.misses, self.began = run.phase, [], [], now
            self.setup = max(self.setup, elapsed)
            self.shared = self.allowance.share(stage.share)
        else:
            self.step = (now - self.began) / len(self.losses)
        # A step of this phase may take longer than one of that before it.
        self.until = self._end(stage)
        loss = run.history["loss"][-1]
        self.losses.append(loss)
        self.misses.append(self._miss(run, stage, loss))
        if self.measured:
            self.unknowns.append(_raw_unknowns(self.trainer.assembly, run.theta))
        run.ended = run.ended or loss < EXACT or now + self.step > self.until
        run.ended = run.ended or loss < stage.found * run.history["loss"][0]
        run.ended = run.ended or self._stalls(stage) or self._overfits(run, stage)
        self.abandoned = self.abandoned or self._given_up(run, stage)
        run.ended = run.ended or self.abandoned
        self.tell(run)

    def is_over(self, run: Run) -> bool:
        """Whether the stages that are left have no time, or would be of no use either."""
        stage = self.stages[run.phase]
        if not (stage.deeper and (run.ended or run.step == stage.phase.steps)):
            return False
        if self.allowance.left < self.step:
            # The first step of a stage is done in any case.
            return True
        loss = self._fresh_loss(run, stage, run.best_theta)
        before, self.lowest = self.lowest, min(loss, self.lowest)
        return loss > WORTHWHILE * before

    def _end(self, stage: Stage) -> float:
        """When a phase has to end, by what its steps have taken so far."""
        if self.measured or not stage.before_tangent:
            return self.shared
        before = self.allowance.until - tangent_time(self.setup, self.step)
        if before >= self.shared:
            return before
        # Where its share leaves the tangent too little, nothing else needs the time but the end.
        return max(self.shared, self.allowance.until - self.setup)

    def _miss(self, run: Run, stage: Stage, loss: float) -> float:
        """The loss of equations and conditions alone."""
        if not self.measured:
            return loss
        assert self.trainer.scope is not None
        objective = self.trainer.objective(run, stage.phase, self.trainer.scope)
        return loss_at(refreshable(objective), run.theta)

    def _stalls(self, stage: Stage) -> bool:
        # Patience costs little where steps are short.
        spare = PATIENCE * (self.until - self.began) / self.step if self.step else 0.0
        k = int(max(stage.window, min(spare, MOST_PATIENT)))
        if len(self.losses) < 2 * k:
            return False
        if self._moves(k):
            return False
        # The loss of noisy observations cannot fall below their noise. That of the equations can,
        # and either of them may fall while the other one waits.
        return all(
            min(losses[-k:]) > stage.gain * min(losses[-2 * k : -k])
            for losses in (self.losses, self.misses)
        )

    def _moves(self, k: int) -> bool:
        """Whether an unknown has changed over k steps; many noisy values hide that in the loss."""
        if not self.measured:
            return False
        now, before = self.unknowns[-1], self.unknowns[-1 - k]
        return bool(np.any(np.abs(now - before) > SETTLED * np.maximum(np.abs(now), SETTLED)))

    def _overfits(self, run: Run, stage: Stage) -> bool:
        if not stage.watch_fresh or len(self.losses) % LOOK:
            return False
        return self._fresh_loss(run, stage, run.theta) > OVERFIT * self.misses[-1]

    def _given_up(self, run: Run, stage: Stage) -> bool:
        if self.hopeless is None or len(self.losses) % LOOK:
            return False
        fall = self._fresh_loss(run, stage, run.theta) / max(run.history["loss"][0], 1e-300)
        return self.hopeless(fall, self.setup, self.step)

    def _fresh_loss(self, run: Run, stage: Stage, theta: Any) -> float:
        scope = self.trainer.scope
        assert scope is not None
        if self.fresh is None:
            counts = {**self.trainer.recipe.points, **stage.phase.points}
            points = draw_points(
                scope.problem,
                counts,
                self.trainer.recipe.sampler,
                self.trainer.recipe.seed,
                FRESH_DRAW,
            )
            base = self.trainer.objective(run, stage.phase, scope)
            self.fresh = refreshable(base).with_points(points)
        return loss_at(self.fresh, theta)


def refreshable(objective: Objective) -> Objective:
    """The terms that can be looked at elsewhere: all but the observations."""
    terms = tuple(term for term in objective.terms if term.name != OBSERVATIONS)
    return replace(objective, terms=terms)


def _raw_unknowns(assembly: Assembly, theta: Any) -> np.ndarray:
    """The parameters of a network that stand for unknown coefficients."""
    own = getattr(assembly.to_model(theta), "unknowns", {})
    return np.array([float(value[...][0]) for value in own.values()])


def fit(
    problem: Problem,
    model: nnx.Module,
    recipe: Recipe,
    stages: Sequence[Stage],
    allowance: Allowance,
    tell: Callable[[Run], None] = lambda _: None,
    observations: Observations | None = None,
    hopeless: Hopeless | None = None,
) -> Fit:
    """Train a network by stages; each ends at its step count, its time, or where it stalls.

    Args:
        problem: The problem, or its window of time.
        model: The network, at the parameters to start from.
        recipe: Seed, sampler and points; its phases are replaced by those of the stages.
        stages: What is done, in order.
        allowance: Whose request to stop is obeyed.
        tell: Called after every step.
        observations: What was measured.
        hopeless: Whether the network is given up; asked after every few steps.

    Raises:
        TrainingError: The loss is not finite.
    """
    recipe = replace(recipe, phases=tuple(stage.phase for stage in stages))
    first = recipe.phases[0]
    points = draw_points(problem, {**recipe.points, **first.points}, recipe.sampler, recipe.seed, 0)
    assembly = assemble(problem, model, points, first.weights, observations)
    # Windows of time have the same programs, and compiling takes as long as a window's steps.
    assembly = replace(assembly, objective=as_programs(assembly.objective, assembly.theta))
    trainer = Trainer(recipe, problem, assembly, request=allowance.request)
    # It counts the seconds until the first step, and the start waits for the compiler already.
    watch = _Watch(trainer, stages, allowance, tell, hopeless)
    run = first_run(trainer)
    ends: dict[int, Any] = {}

    def observe(run: Run) -> None:
        watch(run)
        ends[run.phase] = run.best_theta
        if watch.is_over(run):
            raise Stopped

    trainer.observe = observe
    try:
        trainer.run(run)
    except Stopped:
        pass
    except KeyboardInterrupt:
        # Asked for twice. The best parameters so far are whole, in the middle of a step too.
        if not any(run.done):
            raise
    phases = [
        replace(phase, steps=steps)
        for phase, steps in zip(recipe.phases, run.done, strict=True)
        if steps
    ]
    last = phases[-1] if phases else first
    counts = {**recipe.points, **last.points}
    weights = {**recipe.weights, **last.weights}
    fresh = draw_points(problem, counts, recipe.sampler, recipe.seed, FRESH_DRAW)
    objective = assembly.objective.with_weights(weights).with_points(fresh)
    theta = run.best_theta
    ends[run.phase] = theta
    kept, others = [assembly.theta, *ends.values()], refreshable(objective)
    losses = [loss_at(others, vector) for vector in kept]
    return Fit(
        assembly,
        theta,
        phases,
        run.history,
        kept,
        objective,
        fresh=losses,
        step=watch.step,
        setup=watch.setup,
        abandoned=watch.abandoned,
        trail=watch.unknowns,
    )


def counts_for(problem: Problem, rows: int, idle: Sequence[str]) -> dict[str, int]:
    """Points for about as many rows: four fifths in the equations, the rest in the conditions.

    Args:
        problem: Whose terms.
        rows: Rows in all.
        idle: Conditions that are met by construction; they get one point.
    """
    names = problem.terms
    boxes = regions(problem)
    inside = [name for name in names if boxes[name] == boxes[EQUATION]]
    equation = max(int(0.8 * rows / len(inside)), 1)
    others = [name for name in names if name not in inside and name not in idle]
    conditions = max(int(0.2 * rows / max(len(others), 1)), 1)
    counts = term_counts(boxes, {EQUATION: equation, "conditions": conditions})
    return counts | dict.fromkeys([name for name in idle if name in names], 1)


def tangent_of(network: nnx.Module) -> Tangent:
    """The network with its tangent, whose parameters are zero."""
    return Tangent(network, zeros_like(network))


def finding(points: Mapping[str, int], weights: Mapping[str, float]) -> Stage:
    """The first stage: points that stay, until they are met more closely than fresh ones."""
    phase = Phase(LM, 200, points=dict(points), weights=dict(weights))
    return Stage(phase, 0.2, watch_fresh=True)


def moving(
    points: Mapping[str, int], weights: Mapping[str, float], *, scaled: bool, every: int = 5
) -> Stage:
    """Points by residual, drawn anew every few steps, until the loss stalls.

    Scaling by columns is many times quicker once there is something like the solution, and finds
    none before that.
    """
    phase = Phase(
        LM,
        300,
        SCALED if scaled else {},
        points=dict(points),
        weights=dict(weights),
        resample_every=every,
        adaptive=True,
    )
    if scaled:
        return Stage(phase, 0.35, window=8, before_tangent=True)
    return Stage(phase, 0.45, window=PLATEAU, found=FOUND)


def linear(points: Mapping[str, int], weights: Mapping[str, float]) -> list[Stage]:
    """The last stages: the tangent, by least squares with less and less damping."""
    often: dict[str, Any] = {
        "points": dict(points),
        "weights": dict(weights),
        "resample_every": 3,
        "adaptive": True,
    }
    gentle = Stage(Phase(LM, 6, GENTLE, **often), window=2, gain=0.9, deeper=True)
    return [gentle] + [
        Stage(Phase(LM, 3, GENTLE | {"damping": least, "min_damping": least}, **often), deeper=True)
        for least in DEEPER
    ]


def values_of(assembly: Assembly, thetas: Sequence[Any], points: np.ndarray) -> list[np.ndarray]:
    """The field at points `(n, d)` for several parameters, each of shape `(n, m)`."""
    at = jnp.asarray(points, thetas[0].dtype)
    # Points are an argument: as a constant, the compiler would fold them for seconds.
    values = jax.jit(jax.vmap(assembly.field, (None, 0)))
    return [np.asarray(values(theta, at)) for theta in thetas]
