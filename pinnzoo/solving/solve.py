"""`solve`: a problem in, an entry out, with everything chosen by the program."""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from pinnzoo.architectures.corners import Angle, Corner
from pinnzoo.diagnostics.covariance import AT_ITS
from pinnzoo.entry import Entry
from pinnzoo.errors import RecipeError, TrainingError
from pinnzoo.measure import wanted_diagnostics
from pinnzoo.objective import check_terms, warn_of_unread
from pinnzoo.observations import Measured, Observations, check_observations
from pinnzoo.pdes import Problem, make_problem, require_problem
from pinnzoo.precision import require_x64
from pinnzoo.registry import check_switches, is_finite
from pinnzoo.solving import clock
from pinnzoo.solving.analysis import (
    jumping_factor,
    marches,
    partly_open,
    runs_backward,
    solved_by_zero,
    without_condition,
)
from pinnzoo.solving.clashes import clash
from pinnzoo.solving.doubt import (
    HARD,
    MISSED,
    MOVED,
    SUSPECT,
    doubted_estimate,
    left_open,
    unknowns_moved,
)
from pinnzoo.solving.estimate import MUCH
from pinnzoo.solving.fitting import FURTHER, LOOK, Allowance, tangent_time
from pinnzoo.solving.result import joined_estimate, result
from pinnzoo.solving.rounds import (
    DEPTH,
    Plan,
    Round,
    defect_of,
    may_hide,
    plan_for,
    refine,
    with_defect,
    with_depth,
    with_sines,
    with_teller,
)
from pinnzoo.training.progress import printable
from pinnzoo.training.run import Run
from pinnzoo.training.signals import stop_request
from pinnzoo.training.training import diagnosed_if_possible

DEFAULT_SECONDS = 120.0
"""Where neither a time nor a tolerance is given."""

HIDDEN = 0.5
"""Change of a solution, as a share of itself, that residuals may hide to first order, from which on
the defect is looked at. It was 6 to 80 for fronts in the wrong place, and 1e-12 to 2e-3 for most
others, but 8 for a cavity that was solved to 2e-3, which the defect tells."""

ROUGH = 0.1
"""Estimated error from which on it is told in words."""

FEW = 10
"""Steps below which the time was one for the compiler alone."""

WIDTHS, WIDER = (14, 24, 28, 32, 40, 48), 1.3
"""Widths of the networks, and by how much the next one is wider at least where none is left out."""

FIRST_WIDTHS = ((50.0, 24), (0.0, 14))
"""Seconds from which on the first network of several layers has a width. Every further network is
compiled anew, so that where there is time for two wide ones, one that is trained twice as long is
better."""

DEEP_FROM, DEEP_WIDTH, DEEP = 90.0, 28, 4
"""Seconds from which on it has a larger one and this many layers: its steps take longer, and it
needs fewer, since its tangent resolves much more. Not where the initial data have a kink, since
what is not smooth takes steps; nor where noise limits the error; nor where there is a tolerance and
no time, for which a smaller one may be enough."""

EARLY, DEEP_STEPS = 10, 50
"""Its first steps, after which it is given up where there is no time for so many and its tangent:
on a slow machine it would not even find the solution."""

SINES_FROM, SINES_SHARE = 50.0, 0.2
"""Seconds from which on a layer of sines is tried first, and the share of what is left that it may
take. It needs half of that, unless its programs take long to compile."""

DECIDED_BY = 0.1
"""Share that a narrow network of several layers may take which decides."""

SOON = 40
"""Steps after which it is given up where its loss has hardly fallen."""

SURE, UNSURE = 1e-6, 1e-2
"""Its estimated error up to which it is followed at once, and from which on it is of no use. In
between a network of several layers decides."""

UNFOUND = 1e-4
"""Estimated error of that network above which none goes on from it."""

COARSE = 1e-6
"""Tolerance from which on the first network is the narrowest."""

WINDOWS = 4
"""How many."""

WINDOW_WIDTH = 20

DECIDED = 0.35
"""Share of the time after which the first network says whether time is divided into windows."""

NOISY = 0.9
"""The share of the noise in the estimated error from which on a wider network is of no use."""

ROUNDING = 1e-14
"""Estimated error from which on a wider network is of no use: it would be rounded no better."""

WORTH, WORTH_SETUP = 20, 4
"""Steps, and times until the first step, for which there has to be time in every window."""

FURTHER_SETUP = 2
"""Times until the first step of the last network for which there has to be time in a further round,
beside its steps and its tangent."""

STEP_GROWTH = 2.3
"""Power of the number of parameters by which the time of a step grows: measured, from 500 to 5,000
of them. Large matrices are multiplied more quickly."""


def solve(
    problem: Problem | str,
    *,
    observations: Measured | None = None,
    seconds: float | None = None,
    tolerance: float | None = None,
    progress: bool = False,
    diagnostics: bool | Sequence[str] = True,
    seed: int = 0,
) -> Entry:
    """Solve a problem; network, points, weights and schedule are chosen by the program.

    It reads periods and waves off the problem, weights the terms so that all move the network
    alike, and tries whether a layer of sines resolves the solution. If not, it trains a network of
    several layers by Levenberg-Marquardt: on points that stay until fresh ones are met less well,
    then on such that move to where the residual is, then its tangent. Where the equation is far
    from being met, time is divided into windows; otherwise the network is widened and trained again
    for as long as there is time. Ctrl-C ends the training with what there is.

    Where something was measured, it is fitted beside the equations, and unknown coefficients and
    fields are found with the solution. The observations count as much as a condition until the
    network has found them, and much less from then on, so that it meets the equations and not the
    noise. Their noise ends nothing: a phase ends where the equations, the observations and the
    unknowns all come to rest, and the search where the noise is most of the estimated error.

    Args:
        problem: What is solved, or its name.
        observations: What was measured, in one set or a list of several; the entry keeps it. A
            problem with unknown coefficients needs some.
        seconds: Time of the training, the compiler's included; the step that is being done at its
            end is finished. By default 120, or no limit where a tolerance is given.
        tolerance: Estimated relative L2 error at which to stop before that.
        progress: Show what is being done.
        diagnostics: Kernels and Hessians, computed after that time: all, those named, or none.
        seed: Seed of the parameters and points.

    Returns:
        The entry, not yet saved. `entry.recipe` says what was done, `entry.metrics["solve"]` what
        was tried, and `entry.metrics["estimated_error"]` what relative L2 error is expected; no
        reference solution plays a part in it.

    Raises:
        UnknownNameError: There is no such problem.
        RecipeError: `seconds` or `tolerance` is not a number above zero, or the problem has
            unknowns and nothing was measured.
        PointsError: The observations are not of this problem.
        PrecisionError: JAX has float64 switched off.
        TrainingError: The loss is not finite at the start.

    Example:
        ```python
        pinnzoo.enable_x64()
        entry = pinnzoo.solve("heat", seconds=30)
        entry.metrics["estimated_error"]
        ```
    """
    begun = clock.now()
    names = wanted_diagnostics(diagnostics)
    budget, goal = _above_zero("seconds", seconds), _above_zero("tolerance", tolerance)
    check_switches(progress=progress)
    if budget is None:
        budget = DEFAULT_SECONDS if goal is None else math.inf
    require_x64("solve")
    if isinstance(problem, str):
        problem = make_problem(problem, {})
    require_problem(problem)
    check_terms(problem)
    observations = _checked(observations, problem)
    warn_of_unread(problem, observations)
    plan = plan_for(problem, seed, observations)
    unsure = _doubted_beforehand(problem, observations, plan.corners)
    with stop_request() as request, _telling(plan, begun, budget, show=progress) as tell:
        allowance = Allowance(begun, begun + budget, request)
        plan, chosen, tried = _search(with_teller(plan, tell), allowance, goal or 0.0)
        chosen, tried, open_ = _looked_through(chosen, tried)
        entry = result(plan, chosen, tried, seconds=clock.now() - begun)
        suspect = max(rounds[-1].defect for rounds in chosen)
        joined = len(chosen) > 1 and _time_for_defect(plan.problem, allowance, chosen[0][0])
        if joined or (suspect == 0 and _may_hide_much(plan, chosen[0][0], chosen[-1][-1])):
            weights = chosen[0][0].base.phases[-1].weights
            suspect = defect_of(plan, entry.model, weights)
            estimate = doubted_estimate(entry.metrics["estimated_error"], suspect)
            entry = entry.with_metrics({"estimated_error": estimate})
        # What is added to it below has a sentence of its own.
        rough = entry.metrics["estimated_error"]
        if observations is not None and (misfit := _misfit_of_unknowns(entry)):
            estimate = max(entry.metrics["estimated_error"], misfit)
            entry = entry.with_metrics({"estimated_error": estimate})
        if unsure:
            # The residual bounds nothing.
            estimate = max(entry.metrics["estimated_error"], 1.0)
            entry = entry.with_metrics({"estimated_error": estimate})
        if entry.metrics["steps"] < FEW and not (request.asked or allowance.left):
            warnings.warn(
                f"solve did {entry.metrics['steps']} steps in {budget:g} seconds, most of which "
                "went to compiling the problem: give it more time.",
                stacklevel=2,
            )
        elif (left := max(rounds[-1].loss / rounds[0].start_loss for rounds in chosen)) > HARD:
            warnings.warn(
                f"solve ended with a loss of {left:.1g} times that at its start, so that the "
                "solution is hardly found, and its estimated error may be far too small: give it "
                "more time, and look whether the conditions agree with one another and with the "
                "equation.",
                stacklevel=2,
            )
        elif told := open_ or _unfinished(plan.problem, [rounds[-1] for rounds in chosen], suspect):
            warnings.warn(
                f"solve ended with a solution that may be another one: {told}.", stacklevel=2
            )
        elif rough > ROUGH and not unsure:
            warnings.warn(
                f"solve ended with an estimated error of {rough:.0%}: "
                "give it more time, or state the problem for a shorter one.",
                stacklevel=2,
            )
        entry = diagnosed_if_possible(entry, names, request, lambda _: None)
    return entry.with_metrics({"wall_time_seconds": clock.now() - begun})


def _doubted_beforehand(
    problem: Problem, observations: Observations | None, corners: Sequence[Corner | Angle]
) -> bool:
    """Tell what a problem says against its own solution; whether no residual bounds the error."""
    unsure = False
    if (axis := runs_backward(problem)) is not None:
        unsure = observations is None
        warnings.warn(
            f"short waves along {axis!r} grow without bound from the time at which "
            f"{problem.name} is prescribed, so that its solution may be far off however small "
            "its residual is: look at the sign of its derivatives, and prescribe "
            "it at the other end of time.",
            stacklevel=3,
        )
    if observations is None and (part := without_condition(problem)) is not None:
        unsure = True
        component = problem.components[0]
        warnings.warn(
            f"no condition holds on the part {part!r} of the boundary of {problem.name}, so that "
            "its equations leave open what the solution is there: give one, such as "
            f"neumann(domain, {component!r}, {part!r}) where nothing flows through.",
            stacklevel=3,
        )
    if observations is None and (opened := partly_open(problem)) is not None:
        unsure = True
        coord, bound, point = opened
        warnings.warn(
            f"the conditions on the face {coord} = {bound:g} of {problem.name} cover a part of it "
            f"and leave ({', '.join(f'{x:.3g}' for x in point)}) open, where its equations need "
            "one too: state what holds there.",
            stacklevel=3,
        )
    if observations is None and solved_by_zero(problem):
        warnings.warn(
            f"the function that is zero everywhere meets all equations and conditions of "
            f"{problem.name}, so that solve finds it and no other solution: add what is missing, "
            "such as a source, a prescribed value, or for an eigenfunction a slope at one end.",
            stacklevel=3,
        )
    if (found := clash(problem, corners)) is not None:
        place = ", ".join(
            f"{c} = {x:.4g}" for c, x in zip(problem.coords, found.point, strict=True)
        )
        warnings.warn(
            f"the conditions {found.first!r} and {found.second!r} give {found.component!r} the "
            f"values {found.values[0]:.4g} and {found.values[1]:.4g} at {place}, where they meet: "
            "the solution jumps there, which no network follows, so that its loss stays large and "
            "its estimated error may be far too large; let one of them go over into the other.",
            stacklevel=3,
        )
    if (jump := jumping_factor(problem)) is not None:
        coord, place, order = jump
        nth, flux = ("second", "a flux") if order == 2 else ("fourth", "a moment")
        slope = coord * (order // 2)
        warnings.warn(
            f"the factor of a {nth} derivative along {coord!r} jumps near {coord} = {place:.6g}, "
            f"where a network's derivatives are continuous: where {flux} is continuous instead, "
            f"such as k u_{slope} with that k, make it a component, or give each side a component "
            'of its own (docs/extending.md, "A coefficient that jumps").',
            stacklevel=3,
        )
    return unsure


def _misfit_of_unknowns(entry: Entry) -> float:
    """By which share the observations are missed, where it is an unknown that keeps them from it.

    Because a bound stops it, or because nothing tells which way to move it, as inside of a
    condition that is true or false: the equations hold with the value that it has, so that no
    residual tells. What nothing determines may as well be of no effect, and the observations be
    met up to their noise. The column counts that is missed most.
    """
    remarks = entry.metrics.get("unknowns", {}).get("remarks", {})
    if not remarks:
        return 0.0
    data = entry.observations
    assert data is not None
    columns = [entry.problem.components.index(name) for name in data.components or ()]
    missed = np.nanmean((entry.predict(data.points)[:, columns] - data.values) ** 2, axis=0)
    if not any(remark.startswith(AT_ITS) for remark in remarks.values()):
        missed = np.where(missed > np.nanvar(data.values, axis=0), missed, 0.0)
    size = np.nanmean(data.values**2, axis=0)
    return float(np.sqrt(np.max(missed / np.maximum(size, np.finfo(float).tiny))))


def _looked_through(
    chosen: list[list[Round]], tried: list[Round]
) -> tuple[list[list[Round]], list[Round], str | None]:
    """The rounds, with estimates of at least one where they leave the solution open; what is."""
    # What is left open is so for a small network too, and in the first window of time.
    first = chosen[0][0]
    told = left_open(first.problem, first.base, first.freedom)
    if told is None:
        return chosen, tried, None
    doubted = {id(r): replace(r, estimate=max(r.estimate, 1.0)) for r in tried}
    return [[doubted[id(r)] for r in rounds] for rounds in chosen], list(doubted.values()), told


def _may_hide_much(plan: Plan, first: Round, last: Round) -> bool:
    """Whether what is left of the residuals may hide a change as large as the solution.

    Such as where fronts lie, which nearly meet the equation anywhere. To first order, by what
    residuals of a small network leave open. Of problems that begin with initial values the defect
    is looked at in any case, and what is measured may tell more than residuals do.
    """
    if plan.observations is not None or marches(plan.problem):
        return False
    return may_hide(first.freedom, last.loss, last.values) > HIDDEN


def _unfinished(problem: Problem, last: Sequence[Round], suspect: float) -> str | None:
    """Why the solution of the last rounds is not one yet, in words."""
    name, share = max((r.missed for r in last), key=lambda each: each[1])
    if share > MISSED:
        kind = "condition" if name in {c.name for c in problem.conditions} else "equation"
        size = f"{share:.1%}" if share < 10 else f"{share:.1g} times the size"
        return (
            f"the {kind} {name!r} is missed by {size} of its data, so give it more time, "
            "or state the problem for a shorter one, with values of order one"
        )
    if suspect > SUSPECT:
        changed = f"a step along other functions changes it by {min(suspect, 1.0):.0%} of itself"
        if not marches(problem):
            return (
                f"{changed}, as it does where a source or a layer is thinner than what the network "
                "resolves, so give it more time, another seed, or what is known of it as Features"
            )
        return (
            f"{changed}, as it does where a solution rests at a state that is not stable or only "
            "nearly one, so give it more time, another seed, or state the problem for a shorter one"
        )
    drifts = unknowns_moved(problem, last[-1].base.trail)
    if drifts and max(drifts.values()) > MOVED:
        name = max(drifts, key=drifts.__getitem__)
        return (
            f"the unknown {name!r} still changed by {drifts[name]:.1%} over its last steps, so "
            "that its standard error says too little: give it more time"
        )
    return None


def _checked(observations: Any, problem: Problem) -> Observations | None:
    """The observations with their components named.

    Raises:
        RecipeError: There are none, and the problem has unknowns.
        PointsError: They are not of this problem, or of another type.
    """
    if observations is None and problem.unknowns:
        names = ", ".join(map(repr, problem.unknowns))
        raise RecipeError(
            f"{problem.name} was given without observations, from which its unknowns ({names}) "
            "could be found: give observations=Observations(points, values), or in a shell "
            "--observations FILE; where equations and conditions alone determine them, as those of "
            "an eigenvalue do, make each a component that is constant."
        )
    return check_observations(observations, problem)


def _above_zero(name: str, given: float | None) -> float | None:
    """The number that was given, or None.

    Raises:
        RecipeError: It is not a finite number above zero.
    """
    if given is None:
        return None
    if not (is_finite(given) and given > 0):
        raise RecipeError(f"{name}={given!r} was given: give a number above zero, or None.")
    return float(given)


def _search(
    plan: Plan, allowance: Allowance, tolerance: float
) -> tuple[Plan, list[list[Round]], list[Round]]:
    """The plan that was followed, the rounds that led to the best solution, and all rounds.

    The rounds that led to it are those for each window of time.
    """
    chain: list[Round] = []
    tried: list[Round] = []
    if allowance.left >= SINES_FROM and plan.observations is None:
        plan, chain, tried = _first_by_sines(plan, allowance, tolerance)
    if not chain and _for_a_deep_one(plan, allowance):
        plan = with_depth(plan, DEEP)
    while (width := _next_width(plan, chain, allowance, tolerance)) is not None:
        before = chain[-1] if chain else None
        # A first network that is far from the solution leaves its time to windows, if that is
        # enough for all of them. An unknown is the same at all times, so that windows cannot find
        # it one by one.
        divisible = not chain and plan.observations is None and marches(plan.problem)
        judge = _Judge(allowance, divisible, deep=not chain and plan.network["depth"] == DEEP)
        try:
            last = refine(
                plan,
                plan.problem,
                width,
                allowance,
                before=before,
                hopeless=judge if divisible or judge.deep else None,
            )
        except TrainingError:
            # What there is already is worth more than a wider network that came to nothing.
            if not chain:
                raise
            break
        if judge.slow:
            # A smaller one takes a fraction of its time.
            tried.append(last)
            plan = with_depth(plan, DEPTH)
            continue
        # A wider network begins as the same function.
        doubted = divisible or (len(chain) > 0 and chain[0].defect > SUSPECT)
        if doubted and not last.abandoned and _time_for_defect(plan.problem, allowance, last):
            last = with_defect(plan, last, before)
        chain.append(last)
        tried.append(last)
        if last.abandoned or (
            divisible
            and _far_off(last)
            and last.estimate > tolerance
            and _time_for_windows(allowance, last.base.setup, last.base.step)
        ):
            # Each has a part of the time, as a network of usual depth has.
            divided = with_depth(plan, min(plan.network["depth"], DEPTH))
            try:
                windows = _windows(divided, allowance)
            except TrainingError:
                break
            # A short time is sometimes too short for all of them.
            tried += windows
            if last.estimate <= joined_estimate(windows):
                return plan, [[last]], tried
            return divided, [[r] for r in windows], tried
    best = min(range(len(chain)), key=lambda k: chain[k].estimate)
    return plan, [chain[: best + 1]], tried


def _for_a_deep_one(plan: Plan, allowance: Allowance) -> bool:
    """Whether the first network of several layers has more of them than usual."""
    smooth = plan.network["depth"] > 1 and not plan.kinked
    return smooth and plan.observations is None and DEEP_FROM <= allowance.left < math.inf


def _far_off(last: Round) -> bool:
    """Whether a first network is far from the solution."""
    return last.fall > HARD or last.missed[1] > MISSED or last.defect > SUSPECT


def _first_by_sines(
    plan: Plan, allowance: Allowance, tolerance: float
) -> tuple[Plan, list[Round], list[Round]]:
    """A layer of sines that others go on from, with its plan, and what was tried.

    It has a few hundred parameters: either it resolves the solution at once, or it is far off, and
    then its time was short. In between a narrow network of several layers decides. No network goes
    on from that one if it hardly found the solution: of its neurons, which are where it needed
    them, a wider one does not easily get rid.
    """
    other = with_sines(plan)
    if other is None or plan.kinked:
        return plan, [], []
    width, problem, looks = WIDTHS[0], plan.problem, itertools.count(1)

    def hopeless(fall: float, *_: float) -> bool:
        return next(looks) * LOOK >= SOON and fall > HARD

    own = allowance.part(SINES_SHARE)
    try:
        sines = refine(other, problem, width, own, hopeless=hopeless)
    except TrainingError:
        return plan, [], []
    if allowance.left == 0:
        # Somebody asked for the end: there is nothing else yet.
        return other, [sines], [sines]
    if sines.abandoned or _far_off(sines) or sines.estimate > UNSURE:
        return plan, [], [sines]
    before: list[Round] = []
    if sines.estimate > max(SURE, tolerance):
        layered = refine(plan, problem, width, allowance.part(DECIDED_BY))
        # In the same weights: each has balanced its own.
        weights = layered.base.phases[-1].weights
        lower = layered.loss_under(weights) < sines.loss_under(weights)
        if lower or layered.estimate < sines.estimate:
            layered = _looked_at(plan, layered, allowance)
            far = _far_off(layered) or layered.estimate > UNFOUND
            return plan, [] if far else [layered], [sines, layered]
        before = [layered]
    sines = _looked_at(other, sines, allowance)
    tried = [*before, sines]
    return (plan, [], tried) if _far_off(sines) else (other, [sines], tried)


def _looked_at(plan: Plan, first: Round, allowance: Allowance) -> Round:
    """A first network with its defect, where that says something and there is time for it."""
    if marches(plan.problem) and _time_for_defect(plan.problem, allowance, first):
        return with_defect(plan, first, None)
    return first


def _next_width(
    plan: Plan,
    chain: Sequence[Round],
    allowance: Allowance,
    tolerance: float,
) -> int | None:
    """Width of the next network, which goes on from the last one; None where that is enough.

    Where a small error is not asked for, a narrow network may be enough, in a fraction of the time.
    """
    if not chain:
        if tolerance >= COARSE:
            return WIDTHS[0]
        wanted = next(width for seconds, width in FIRST_WIDTHS if allowance.left >= seconds)
        if plan.network["depth"] == DEEP:
            wanted = DEEP_WIDTH
        return next((width for width in WIDTHS if width >= wanted), WIDTHS[0])
    last = chain[-1]
    enough = last.estimate <= max(tolerance, ROUNDING)
    if enough or allowance.left == 0 or last.noise > NOISY * last.estimate:
        return None
    wider = [width for width in WIDTHS if width > last.width]
    if math.isinf(allowance.left) or plan.observations is not None:
        width = next((width for width in wider if width >= WIDER * last.width), None)
        return width if width is not None and _worth(plan, last, width, allowance) else None
    # The tangent of a wide network is worth more than that of a narrow one and then of a wide one.
    affordable = [width for width in wider if _worth(plan, last, width, allowance)]
    if affordable:
        return affordable[-1]
    gained = len(chain) == 1 or last.loss * MUCH < chain[-2].loss
    return last.width if gained and _worth(plan, last, last.width, allowance) else None


class _Judge:
    """Whether a network is given up before it stalls, from its fall and its times.

    Because a deep one is too slow here for the steps that it needs, which is seen in its first
    ones; or because what is to be divided into windows is far from the solution when these have to
    begin.
    """

    def __init__(self, allowance: Allowance, divisible: bool, *, deep: bool):
        self.allowance, self.divisible, self.deep = allowance, divisible, deep
        self.decided = allowance.share(DECIDED)
        self.slow, self.looks = False, 0

    def __call__(self, fall: float, setup: float, step: float) -> bool:
        self.looks += 1
        if self.deep and self.looks * LOOK <= EARLY and not self.allowance.request.asked:
            needed = DEEP_STEPS * step + tangent_time(setup, step)
            self.slow = self.allowance.left < needed
            return self.slow
        late = self.divisible and clock.now() >= self.decided
        return late and fall > HARD and _time_for_windows(self.allowance, setup, step)


def _time_for_windows(allowance: Allowance, setup: float, step: float) -> bool:
    """Whether there is time for all windows, from that of a first step and of a further one."""
    return allowance.left > 2 * WINDOWS * (WORTH * step + WORTH_SETUP * setup)


def _time_for_defect(problem: Problem, allowance: Allowance, last: Round) -> bool:
    """Whether there is time to look at the defect of a network; with one coordinate, always."""
    return problem.d == 1 or allowance.left > last.base.setup


def _worth(plan: Plan, last: Round, width: int, allowance: Allowance) -> bool:
    """Whether there is time for a network of this width that goes on from the last one."""
    step = last.base.step * plan.growth(last.width, width) ** STEP_GROWTH
    # One of the same width has its programs, and all of its neurons count already.
    setup, steps = (last.base.setup, FURTHER) if width > last.width else (0.0, FURTHER // 2)
    tangent = tangent_time(setup, step) if plan.observations is None else 0.0
    return allowance.left > FURTHER_SETUP * setup + steps * step + tangent


def _windows(plan: Plan, allowance: Allowance) -> list[Round]:
    """The solution window after window."""
    begin, end = plan.problem.domain.bounds("t")
    rounds: list[Round] = []
    for k in range(WINDOWS):
        before = plan.problem.constrain(rounds[-1].network) if rounds else None  # pyright: ignore
        window = plan.problem.between(
            begin + (end - begin) * k / WINDOWS, begin + (end - begin) * (k + 1) / WINDOWS, before
        )
        earlier = rounds[-1] if rounds else None
        own = allowance.part(1 / (WINDOWS - k))
        rounds.append(refine(plan, window, WINDOW_WIDTH, own, earlier=earlier))
    return rounds


@contextmanager
def _telling(
    plan: Plan, begun: float, budget: float, *, show: bool
) -> Iterator[Callable[[Run], None]]:
    """A function that shows the last step of a run."""
    if not show:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    limit = f" of {budget:.0f}" if math.isfinite(budget) else ""
    with console.status(Text("compiling")) as status:

        def tell(run: Run) -> None:
            text = (
                f"{plan.problem.name}: {clock.now() - begun:.0f}{limit} s, "
                f"{run.theta.size:,} parameters, loss {run.history['loss'][-1]:.1e}"
            )
            status.update(Text(printable(text, console.encoding)))

        yield tell
