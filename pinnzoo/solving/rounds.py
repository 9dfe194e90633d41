"""What is tried on a problem or on a window of it: one network, then a wider one, with tangents."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flax import nnx

from pinnzoo.architectures import make_architecture
from pinnzoo.architectures.corners import Angle, Corner
from pinnzoo.architectures.tangent_mlp import read_later
from pinnzoo.collocation import draw_points
from pinnzoo.diagnostics.covariance import field_deviation
from pinnzoo.objective import OBSERVATIONS, assemble, flatten_model
from pinnzoo.observations import Observations
from pinnzoo.pdes import Problem
from pinnzoo.recipes import Phase, Recipe
from pinnzoo.solving.analysis import (
    LARGE,
    balanced_weights,
    changes,
    has_kink,
    keeps_kink,
    known_values,
    offset_and_scale,
    orders,
    parameters_of,
    periodic_axes,
    waves,
)
from pinnzoo.solving.angles import angles_of
from pinnzoo.solving.corners import corners_of
from pinnzoo.solving.doubt import (
    COARSEN,
    HARD,
    MISSED,
    SUSPECT,
    Corrected,
    Freedom,
    defect,
    doubted_estimate,
    freedom,
    missed,
    sharpened,
)
from pinnzoo.solving.estimate import MUCH, estimated_error
from pinnzoo.solving.fitting import (
    FOUND,
    FURTHER,
    LM,
    Allowance,
    Fit,
    Hopeless,
    counts_for,
    finding,
    fit,
    linear,
    moving,
    refreshable,
    tangent_of,
    tangent_time,
    values_of,
)
from pinnzoo.solving.growth import widen
from pinnzoo.solving.wedges import wedges_of
from pinnzoo.training.loop import loss_at
from pinnzoo.training.run import Run
from pinnzoo.unknowns import WithUnknowns

ARCHITECTURE = "tangent_mlp"

DEPTH, HARMONICS = 3, 4
"""Hidden layers, and the frequencies of a periodic axis at least."""

SMOOTHING = 2
"""Derivatives along an axis from which on a network is made periodic in it. Below, an equation does
not smooth: the solution may have a kink where periods meet, and what is transported is a function
of `x - ct`, which a neuron is by itself and periodic features only by products."""

OSCILLATING = 3.0
"""Waves of the data along an axis from which on the first layer is one of sines."""

SINES = 3
"""How many times as wide a single layer of sines is as one of several layers."""

KNOWN = ("corners", "wedges")
"""Arguments of a network that say what is known of the solution."""

PROBE = 100
"""Rows by which the terms are weighted."""

ROWS_PER_PARAMETER, DENSE = 2.5, 4.0
"""Rows for each parameter, of the network and of its tangent."""

ENOUGH = 0.7
"""The share of a tangent's time from which on it is begun."""

QUIET, QUIETER = 1e-2, 1e-4
"""Factors of the balanced weight of the observations, once the network has found them."""

OTHERS, ROWS_PER_OTHER, DEFECT_DRAW = 20, 3.0, 5
"""Width of the network whose derivatives are added to a solution that is doubted, the rows for each
of its parameters, and which draw of points they are."""


LOOKED_AT = 500
"""Points at most at which the effect of the noise is computed."""


@dataclass(frozen=True)
class Plan:
    """What was read off a problem before the first step.

    Attributes:
        problem: What is solved.
        network: Arguments of the network, besides the width and the windows.
        idle: Conditions that every such network meets.
        recipe: Architecture, seed, sampler and points.
        observations: What was measured, or None.
        tell: Told of every step.
        kinked: Whether the initial data have a kink where periods meet.
        corners: What becomes of other jumps and kinks of the data; a part of the network.
    """

    problem: Problem
    network: Mapping[str, Any]
    idle: tuple[str, ...]
    recipe: Recipe
    observations: Observations | None = None
    tell: Callable[[Run], None] = lambda _: None
    kinked: bool = False
    corners: tuple[Corner | Angle, ...] = ()

    def neurons(self, width: int) -> int:
        """Neurons of a layer for a width, which is that of a network of several layers."""
        return width if self.network["depth"] > 1 else SINES * width

    def growth(self, width: int, wider: int) -> float:
        """About how many times as many parameters a network of another width has."""
        return (wider / width) ** (2 if self.network["depth"] > 1 else 1)

    def draw(self, problem: Problem, width: int) -> nnx.Module:
        """A network on the domain of the problem or of a window, without its tangent."""
        lower, upper = problem.network_bounds
        model: Any = make_architecture(
            self.recipe.architecture,
            {**self.network, "width": self.neurons(width)},
            m=problem.m,
            lower=lower,
            upper=upper,
            dtype=self.recipe.dtype,
            seed=self.recipe.seed,
        )
        network = model.parts[0] if self.observations is None else model
        for k, (offset, scale) in enumerate(self.begins):
            bias, kernel = network.output.bias, network.output.kernel
            bias[...] = bias[...].at[k].set(offset + scale * bias[...][k])
            kernel[...] = kernel[...].at[:, k].multiply(scale)
        return network

    @functools.cached_property
    def begins(self) -> list[tuple[float, float]]:
        """Offset and scale of each component, where the network is all there is to it."""
        if self.problem.ansatz is not None:
            return []
        known = known_values(self.problem, self.observations)
        begins = [offset_and_scale(v) for v in known]
        grow = changes(self.problem, known) or [0.0] * len(begins)
        return [
            (offset, change if change > LARGE * scale else scale)
            for (offset, scale), change in zip(begins, grow, strict=True)
        ]


def _named(problem: Problem, architecture: str = ARCHITECTURE) -> Recipe:
    """A recipe with the name of the entry."""
    phases = (Phase(LM, 1),)
    arguments = dict(problem.arguments)
    return Recipe(problem.name, architecture, phases, problem_arguments=arguments, tag="solved")


def entry_name(problem: Problem, observations: Observations | None = None) -> str:
    """What the entry of a problem will be called.

    Args:
        problem: What is solved.
        observations: What was measured, or None.

    Example:
        >>> entry_name(make_problem("heat", {}))
        'heat-tangent_mlp-levenberg_marquardt-solved'
    """
    if observations is None:
        return _named(problem).name
    return plan_for(problem, observations=observations).recipe.name


def plan_for(problem: Problem, seed: int = 0, observations: Observations | None = None) -> Plan:
    """Features of the network for a problem: periods, or sines where its data oscillate.

    The last digits, for which a network has a tangent, are below the noise of what was measured:
    with observations, it has none.

    Args:
        problem: What is solved.
        seed: Seed of parameters and points.
        observations: What was measured, checked, or None.

    Example:
        >>> plan_for(make_problem("kdv", {})).network["periodic_axes"]
        [1]
    """
    axes, idle = periodic_axes(problem)
    highest = orders(problem)
    kinked = any(has_kink(problem, axis) for axis in axes)
    if any(highest[axis] < SMOOTHING or keeps_kink(problem, axis) for axis in axes):
        axes, idle = (), ()
    corners = (*corners_of(problem, periodic=bool(axes)), *angles_of(problem))
    counted = waves(problem)
    network: dict[str, Any] = {"depth": DEPTH}
    if axes:
        most = max(counted[axis] for axis in axes)
        network |= {"periodic_axes": list(axes), "harmonics": int(max(HARMONICS, most))}
    elif max(counted) >= OSCILLATING:
        network |= _one_layer(problem, counted)
    if corners:
        network["corners"] = list(map(str, corners))
    if wedges := wedges_of(problem):
        network["wedges"] = list(map(str, wedges))
    bare = "siren" if "omega" in network else "mlp"
    named = _named(problem, ARCHITECTURE if observations is None else bare)
    recipe = replace(named, points=counts_for(problem, PROBE, idle), seed=seed)
    return Plan(problem, network, idle, recipe, observations, kinked=kinked, corners=corners)


def with_sines(plan: Plan) -> Plan | None:
    """The plan with one layer of sines in the place of several layers; None where it has one.

    A sum of waves, such as that of a wave equation, is what this network resolves to rounding with
    a tenth of the parameters, and a sharp layer is what it hardly resolves. The data do not tell
    which of them a solution is, so that both are tried.

    Args:
        plan: What was read off a problem.

    Example:
        >>> with_sines(plan_for(make_problem("heat", {}))).network
        {'depth': 1, 'omega': [8.2, 8.2]}
    """
    if plan.network["depth"] == 1:
        return None
    # It is not periodic by itself, so that conditions that say so count again.
    recipe = replace(plan.recipe, points=counts_for(plan.problem, PROBE, ()))
    network = _one_layer(plan.problem, waves(plan.problem))
    network |= {name: plan.network[name] for name in KNOWN if name in plan.network}
    return replace(plan, network=network, idle=(), recipe=recipe)


def with_depth(plan: Plan, depth: int) -> Plan:
    """The plan with another number of hidden layers."""
    return replace(plan, network={**plan.network, "depth": depth})


def _one_layer(problem: Problem, counted: Sequence[float]) -> dict[str, Any]:
    """A layer of sines for so many waves along each axis."""
    lower, _ = problem.network_bounds
    along = [*counted, *[1.0] * (len(lower) - problem.d)]
    # With d inputs the largest wave number of a sine layer along one of them is ω/d.
    fastest = [round(1.3 * len(lower) * math.pi * max(k, 1.0), 1) for k in along]
    return {"depth": 1, "omega": fastest}


@dataclass(frozen=True)
class Round:
    """What one network and its tangent came to on a problem or on a window of it.

    Attributes:
        problem: The problem, or its window.
        width: Width of the network.
        start: Parameters from which it began, without the tangent.
        base: The training of the network.
        tangent: That of its tangent; None where it was no improvement, or for lack of time.
        seconds: Time that it took.
        values: The solution on the coarse evaluation grid, `(n, m)`.
        estimate: Estimated relative L2 error.
        noise: The part of it that is due to the noise of the observations.
        missed: The condition that is missed most, and by which share of its data.
        known: What the residuals leave open, where it was looked at already.
        defect: By which share of itself a step along other functions changes it; zero where that
            was not looked at.
        begun: Loss on fresh points of the first one of the networks that led to this one, before
            its first step; zero where it is the first one itself.
    """

    problem: Problem
    width: int
    start: np.ndarray
    base: Fit
    tangent: Fit | None
    seconds: float
    values: np.ndarray
    estimate: float
    noise: float = 0.0
    missed: tuple[str, float] = ("", 0.0)
    known: Freedom | None = None
    defect: float = 0.0
    begun: float = 0.0

    @property
    def fits(self) -> list[Fit]:
        """What was trained, in order."""
        return [self.base, *([] if self.tangent is None else [self.tangent])]

    @property
    def loss(self) -> float:
        """½ |r|² on points that were not trained, without the observations."""
        return self.fits[-1].fresh[-1]

    def loss_under(self, weights: Mapping[str, float]) -> float:
        """The same in other weights, to compare what balanced its own."""
        last = self.fits[-1]
        return loss_at(refreshable(last.objective).with_weights(weights), last.theta)

    @property
    def fall(self) -> float:
        """Loss on fresh points over that of the network that all began with."""
        return self.loss / self.start_loss

    @property
    def start_loss(self) -> float:
        """Loss of the network that all began with, on fresh points."""
        return max(self.begun or self.base.fresh[0], 1e-300)

    @property
    def abandoned(self) -> bool:
        """Whether the network was given up."""
        return self.base.abandoned

    @property
    def network(self) -> nnx.Module:
        """The network with its tangent, where it has one."""
        return self.fits[-1].model

    @functools.cached_property
    def freedom(self) -> Freedom:
        """What the residuals of the network, without its tangent, leave open."""
        return self.known or freedom(self.base, self.problem.evaluation_points(COARSEN))

    @property
    def parameters(self) -> np.ndarray:
        """Those of the network, then those of the tangent."""
        base = np.asarray(self.base.theta)
        omega = np.zeros_like(base) if self.tangent is None else np.asarray(self.tangent.theta)
        return np.concatenate([base, omega])


def refine(
    plan: Plan,
    problem: Problem,
    width: int,
    allowance: Allowance,
    before: Round | None = None,
    earlier: Round | None = None,
    hopeless: Hopeless | None = None,
) -> Round:
    """Train a network, then its tangent, within an allowance of time.

    Args:
        plan: Features, seed and idle conditions.
        problem: The problem, or its window.
        width: Width of the network.
        allowance: Until when.
        before: A narrower network on the same problem, which is widened.
        earlier: A network of this width on the window before: it starts as that one goes on.
        hopeless: Whether the network is given up; asked after every few steps.

    Raises:
        TrainingError: The loss is not finite at the start.
    """
    begun = allowance.now()
    model = plan.draw(problem, width)
    rows = parameters_of(model) * ROWS_PER_PARAMETER
    few = counts_for(problem, PROBE, plan.idle)
    data = plan.observations
    points = draw_points(problem, few, "sobol", plan.recipe.seed, 0)
    probe = assemble(problem, model, points, observations=data)
    weights = balanced_weights(problem, probe.objective, probe.theta)
    if before is not None:
        model = _widened(before.base.model, model)
    elif earlier is not None:
        model = widen(earlier.base.model, model)
        times = (each.domain.bounds(problem.coords[0]) for each in (earlier.problem, problem))
        read_later(model, *times)
    many = counts_for(problem, int(rows), plan.idle)
    stages = [finding(many, weights)] if before is None else []
    first = QUIET if before is None else QUIETER
    if before is None or data is not None or before.fall > FOUND:
        stages.append(moving(many, _quieter(weights, first), scaled=False))
    # Points are met so closely that they have to move often. At a kink that no network follows,
    # they would only chase its residual.
    every = 5 if (plan.kinked and not plan.corners) or data is not None else 3
    last = moving(many, _quieter(weights, QUIETER), scaled=True, every=every)
    if before is not None and data is None:
        last = replace(last, phase=replace(last.phase, steps=FURTHER))
    stages.append(last)
    base = fit(problem, model, plan.recipe, stages, allowance, plan.tell, data, hopeless)
    tangent = None if base.abandoned else _tangent(plan, problem, base, allowance)
    # Those of the window: of the whole domain's, few or none may lie at the window's times.
    points = problem.evaluation_points(COARSEN)
    *states, moved = values_of(base.assembly, [*base.kept, _rounded(base.theta)], points)
    losses = list(base.fresh)
    if tangent is not None:
        thetas = [*tangent.kept[1:], _rounded(tangent.theta)]
        *further, moved = values_of(tangent.assembly, thetas, points)
        states, losses = [*states, *further], [*losses, *tangent.fresh[1:]]
    if before is not None:
        states, losses = [before.values, *states], [before.loss, *losses]
    if data is not None:
        # A state may meet the equations and not the observations, such as one that is zero.
        losses = [max(loss, losses[-1]) for loss in losses]
    rounding = _root_mean_square(moved - states[-1]) / max(_root_mean_square(states[-1]), 1e-300)
    estimate, noise = max(estimated_error(states, losses), rounding), 0.0
    if before is not None and before.loss < MUCH * losses[-1]:
        # All that is near it stalled there: what was said of the narrower one holds of this one.
        estimate = max(estimate, before.estimate * math.sqrt(min(losses[-1] / before.loss, 1.0)))
    off = missed(problem, base if tangent is None else tangent)
    # A window begins close to its solution, as a wider network does, and cannot fall so far.
    fresh = before is None and earlier is None
    hard = fresh and losses[-1] > HARD * base.fresh[0]
    known = freedom(base, points) if off[1] > MISSED or hard else None
    if known is not None:
        # What grows from there may be as large as the solution, however little the steps moved.
        bound = may_hide(known, losses[-1], states[-1])
        # A term that is missed by more than all of its data is not solved at all.
        estimate = max(estimate, 1.0 if off[1] > 1 else min(bound, 1.0))
    if data is not None:
        noise = _noise(base, points, states[-1], data)
        estimate = math.hypot(estimate, noise)
    return Round(
        problem,
        width,
        np.asarray(flatten_model(model)[0]),
        base,
        tangent,
        allowance.now() - begun,
        states[-1],
        estimate,
        noise,
        off,
        known,
        begun=0.0 if before is None else before.start_loss,
    )


def with_defect(plan: Plan, found: Round, before: Round | None) -> Round:
    """The round with its defect, and an estimate of at least that where it is suspect.

    Args:
        plan: Features, seed and idle conditions.
        found: What a network came to on the whole problem.
        before: The narrower network that it began as. What was said against that one stands where
            the solution is still the same.
    """
    share = defect_of(plan, found.network, found.base.phases[-1].weights)
    if before is not None:
        moved = _root_mean_square(found.values - before.values)
        if moved < SUSPECT * _root_mean_square(found.values):
            share = max(share, before.defect)
    return replace(found, defect=share, estimate=doubted_estimate(found.estimate, share))


def defect_of(plan: Plan, network: nnx.Module, weights: Mapping[str, float]) -> float:
    """By which share of itself a step along other functions changes a solution; see `defect`.

    Args:
        plan: Features, seed and idle conditions.
        network: What solves the whole problem.
        weights: Of the terms.
    """
    problem = plan.problem
    other = replace(plan, recipe=replace(plan.recipe, seed=plan.recipe.seed + 1))
    corrected = Corrected(network, sharpened(other.draw(problem, OTHERS)))
    counts = counts_for(problem, int(ROWS_PER_OTHER * parameters_of(corrected)), plan.idle)
    points = draw_points(problem, counts, "sobol", plan.recipe.seed, DEFECT_DRAW)
    return defect(problem, corrected, points, weights, problem.evaluation_points(COARSEN))


def may_hide(found: Freedom, loss: float, values: np.ndarray) -> float:
    """By which share of itself a solution may be off, to first order, for residuals of this loss.

    Args:
        found: What residuals leave open.
        loss: ½ |r|².
        values: The solution over points, `(n, m)`.
    """
    return found.gain * math.sqrt(2 * loss) / max(_root_mean_square(values), 1e-300)


def _rounded(theta: Any) -> np.ndarray:
    """The parameters, each moved by one unit in its last place, up or down."""
    vector = np.asarray(theta)
    up = np.random.default_rng(0).integers(2, size=vector.size) > 0
    return np.nextafter(vector, np.where(up, np.inf, -np.inf).astype(vector.dtype))


def _root_mean_square(values: np.ndarray) -> float:
    """Root mean square of a solution over points."""
    return float(np.sqrt(np.mean(np.sum(values**2, axis=1))))


def _widened(model: Any, wider: nnx.Module) -> nnx.Module:
    """The wider network with the same function, and the same unknowns where it has some."""
    if not isinstance(model, WithUnknowns):
        return widen(model, wider)
    raw = {name: value[...] for name, value in model.unknowns.items()}
    return WithUnknowns(widen(model.network, wider), raw)


def _quieter(weights: Mapping[str, float], factor: float) -> dict[str, float]:
    """The weights with those of the observations, if there are any, multiplied by a factor."""
    return {k: w * factor if k == OBSERVATIONS else w for k, w in weights.items()}


def _noise(base: Fit, points: np.ndarray, values: np.ndarray, data: Observations) -> float:
    """Relative L2 error that the noise of the observations leaves in the solution."""
    some = slice(None, None, -(-len(points) // LOOKED_AT))
    deviation, _ = field_deviation(
        base.objective, base.assembly.field, base.theta, points[some], data
    )
    norm = float(np.linalg.norm(values[some]))
    absolute = float(np.linalg.norm(deviation))
    return absolute / norm if norm > 0 else absolute


def _tangent(plan: Plan, problem: Problem, base: Fit, allowance: Allowance) -> Fit | None:
    """The tangent of a network, where there is time for it and it improves on the network."""
    if plan.observations is not None:
        return None
    # What was kept for it was reckoned from the steps before, some of which are quicker.
    if allowance.left < ENOUGH * tangent_time(base.setup, base.step):
        return None
    parameters = base.theta.size
    dense = counts_for(problem, int(DENSE * parameters), plan.idle)
    stages = linear(dense, base.phases[-1].weights)
    tangent = fit(problem, tangent_of(base.model), plan.recipe, stages, allowance, plan.tell).best()
    return tangent if tangent.phases and tangent.fresh[-1] < base.fresh[-1] else None


def with_teller(plan: Plan, tell: Callable[[Run], None]) -> Plan:
    """The same plan, which tells of its steps."""
    return replace(plan, tell=tell)
