import importlib
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx

import pinnzoo
from pinnzoo import (
    Box,
    Condition,
    Features,
    Phase,
    Problem,
    Recipe,
    dirichlet,
    initial,
    periodic,
    prescribe,
    robin,
)
from pinnzoo.architectures import make_architecture
from pinnzoo.cli import app
from pinnzoo.collocation import draw_points
from pinnzoo.errors import RecipeError, TrainingError, UnknownNameError
from pinnzoo.objective import assemble
from pinnzoo.pdes import make_problem
from pinnzoo.pdes.times import across_time
from pinnzoo.solving import clock, entry_name, solve
from pinnzoo.solving.analysis import (
    balanced_weights,
    keeps_kink,
    marches,
    orders,
    periodic_axes,
    waves,
)
from pinnzoo.solving.estimate import MUCH, estimated_error
from pinnzoo.solving.fitting import (
    Allowance,
    Fit,
    Stage,
    _Watch,  # pyright: ignore[reportPrivateUsage]
    counts_for,
    fit,
    linear,
    moving,
    tangent_of,
)
from pinnzoo.solving.growth import widen
from pinnzoo.solving.rounds import plan_for, refine, with_defect, with_depth, with_sines
from pinnzoo.storage.blueprint import build
from pinnzoo.training.loop import Trainer
from tests.solving.rod import rod

HERE = Path(__file__).parent
SECONDS = 4.0
TICK = 0.05


class Ticking:
    """A clock that goes on whenever it is read, so that all machines do the same steps."""

    def __init__(self):
        self.read = 0

    def __call__(self):
        self.read += 1
        return TICK * self.read


def relative(values, exact):
    return np.linalg.norm(values - exact) / np.linalg.norm(exact)


@pytest.fixture(scope="module")
def problem():
    return rod()


@pytest.fixture(scope="module")
def solved(problem):
    """An entry, and the seconds that the call took by its clock."""
    ticking = Ticking()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", ticking)
        entry = solve(problem, seconds=SECONDS, diagnostics=False)
    return entry, ticking()


def error_of(entry):
    x = np.linspace(0, 1, 101)[:, None]
    return relative(entry.predict(x), np.sin(np.pi * x))


def test_a_problem_of_a_file_is_solved_without_settings(solved):
    entry, _ = solved
    assert entry.problem.reference is None
    assert error_of(entry) < 1e-6


def test_the_estimate_needs_no_reference_and_is_not_far_off(solved):
    entry, _ = solved
    estimate = entry.metrics["estimated_error"]
    assert "relative_l2_error" not in entry.metrics
    # Rounding of the second derivative sets the true error where the estimate has reached it.
    # Single estimates may be too large by more than ten times; none is that much too small.
    error = max(error_of(entry), 1e-14)
    assert error / 10 < max(estimate, 1e-14) < 100 * error


def test_the_recipe_says_what_was_done(solved):
    entry, _ = solved
    recipe = entry.recipe
    assert recipe.name == entry_name(entry.problem)
    assert recipe.phases[0].part == 0
    assert recipe.steps == entry.metrics["steps"] == entry.history["step"][-1]
    assert all(phase.points["equation"] > 10 and phase.weights for phase in recipe.phases)
    rounds = entry.metrics["solve"]["rounds"]
    assert sum(r["final"] for r in rounds) == 1
    # One layer of sines, or several layers: the width is that of the last round that counted.
    final = next(r for r in rounds if r["final"])
    assert recipe.architecture_arguments["width"] == final["width"]
    # Rounded anew by the program that measures the finished entry.
    stated = entry.metrics["estimated_error"]
    assert final["estimated_error"] == pytest.approx(stated, rel=1e-9)


def test_an_entry_that_was_solved_is_saved_and_loaded_like_any_other(solved, tmp_path):
    entry, _ = solved
    entry.save(tmp_path / "rod")
    again = pinnzoo.load(str(tmp_path / "rod"), problem=entry.problem)
    x = np.linspace(0, 1, 7)[:, None]
    np.testing.assert_array_equal(again.predict(x), entry.predict(x))
    assert again.metrics == entry.metrics
    assert again.recipe == entry.recipe


def test_the_time_is_kept(solved):
    entry, elapsed = solved
    # One step and the evaluation at the end come on top.
    assert entry.metrics["training_seconds"] <= elapsed < SECONDS + 2


def layered(module, monkeypatch):
    """No layer of sines is tried first."""
    monkeypatch.setattr(module, "_first_by_sines", lambda plan, *_: (plan, [], []))


@pytest.fixture
def hasty(monkeypatch):
    """Rounds of few seconds, also where there is no limit; the widths that were asked for."""
    module = importlib.import_module("pinnzoo.solving.solve")
    real, asked = module.refine, []

    def refined(plan, problem, width, allowance, **options):
        asked.append(width)
        short = Allowance(clock.now(), clock.now() + 3.0, allowance.request)
        return real(plan, problem, width, short, **options)

    monkeypatch.setattr(clock, "now", Ticking())
    monkeypatch.setattr(module, "refine", refined)
    return module, asked


def test_a_tolerance_ends_the_search(problem, hasty, monkeypatch):
    module, asked = hasty
    monkeypatch.setattr(module, "WIDTHS", (6, 8))
    entry = solve(problem, tolerance=10.0, diagnostics=False)
    assert asked == [6]
    assert entry.metrics["estimated_error"] <= 10.0


def test_without_it_the_search_goes_on(problem, hasty, monkeypatch):
    module, asked = hasty
    monkeypatch.setattr(module, "WIDTHS", (6, 8))
    monkeypatch.setattr(module, "ROUNDING", 0.0)
    entry = solve(problem, tolerance=1e-300, diagnostics=False)
    assert asked == [6, 8]
    assert len(entry.metrics["solve"]["rounds"]) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seconds": 0}, "seconds=0 was given"),
        ({"seconds": math.nan}, "seconds=nan was given"),
        ({"tolerance": -1e-3}, "tolerance=-0.001 was given"),
        ({"tolerance": "small"}, "tolerance='small' was given"),
        ({"seconds": True}, "seconds=True was given"),
        ({"seconds": "3"}, "seconds='3' was given"),
        ({"progress": "no"}, "progress='no' was given: it must be True or False"),
    ],
)
def test_numbers_that_are_not_above_zero_are_refused_first(options, said):
    with pytest.raises(RecipeError, match=said) as raised:
        solve("no_such_problem", **options)
    assert str(raised.value).count(".") <= 2


def test_conditions_that_contradict_one_another_are_told(monkeypatch):
    # However few steps a slow machine does.
    monkeypatch.setattr(importlib.import_module("pinnzoo.solving.solve"), "FEW", 0)
    line = Box("x", (0.0,), (1.0,))
    left = line.face("x", 0.0)
    problem = Problem(
        name="torn",
        domain=line,
        components=("u",),
        equation=lambda u, z: u(z, "u_xx")[0] - 1.0,
        conditions=(
            prescribe(left, "u", 0.0, "zero"),
            prescribe(left, "u", 1.0, "one"),
            dirichlet(line, "u", "x", "right"),
        ),
    )
    with pytest.warns(UserWarning, match="conditions") as told:
        solve(problem, seconds=5.0, diagnostics=False)
    before, after = (str(each.message) for each in told)
    assert "'zero' and 'one' of torn prescribe different values" in before
    assert "whether the conditions agree" in after


def test_an_unknown_problem_is_refused():
    with pytest.raises(UnknownNameError, match="heat"):
        solve("haet")


def drawn(width, d=2, **arguments):
    network = make_architecture(
        "tangent_mlp",
        {"width": width, "depth": 3, **arguments},
        m=2,
        lower=(0.0,) * d,
        upper=(1.0,) * d,
        dtype="float64",
        seed=width,
    )
    return cast(Any, network).parts[0]


@pytest.mark.parametrize(
    ("name", "highest"),
    [("convection", (1, 1)), ("reaction", (1, 0)), ("wave", (2, 2)), ("kdv", (1, 3))],
)
def test_only_equations_that_smooth_get_periodic_features(name, highest):
    problem = make_problem(name, {})
    assert orders(problem) == highest
    assert ("periodic_axes" in plan_for(problem).network) == (name == "kdv")


@pytest.mark.parametrize("wave", [2.0, 0.5])
def test_a_network_that_sees_features_too_is_planned(wave):
    domain = Box("tx", (0.0, 0.0), (1.0, 1.0))
    # What has no period of its own takes it from the network.
    seen = Features(lambda z: jnp.atleast_1d(jnp.cos(wave * jnp.pi * z[1])), (-1.0,), (1.0,))
    problem = Problem(
        name="ring",
        domain=domain,
        components=("u",),
        equation=lambda u, z: u(z, "u_t")[0] - u(z, "u_xx")[0],
        conditions=(
            initial(domain, "u", lambda x: jnp.sin(2 * jnp.pi * x)),
            periodic(domain, "u", "x", "periodic"),
            periodic(domain, "u_x", "x", "periodic_x"),
        ),
        features=seen,
    )
    plan = plan_for(problem)
    assert ("periodic_axes" in plan.network) == (wave == 2.0)
    for each in (plan, with_sines(plan)):
        assert each is not None
        network: Any = each.draw(problem, 8)
        field = problem.constrain(network)
        assert field(jnp.array([0.3, 0.4])).shape == (1,)


@pytest.mark.parametrize("arguments", [{}, {"omega": [3.0, 8.0]}, {"periodic_axes": [1]}])
def test_a_wider_network_is_the_same_function_and_can_become_another(arguments):
    narrow, wide = drawn(5, **arguments), drawn(9, **arguments)
    points = np.random.default_rng(0).random((20, 2))
    exact = jax.vmap(narrow)(points)
    grown = widen(narrow, wide)
    np.testing.assert_allclose(jax.vmap(grown)(points), exact, rtol=1e-13, atol=1e-13)
    # Every new neuron of the last layer moves the output as soon as its way there is trained.
    graph, params, rest = nnx.split(grown, nnx.Param, ...)
    slopes = jax.jacobian(lambda p: nnx.merge(graph, p, rest)(points[0]))(params)
    assert (np.abs(slopes["output"]["kernel"][...]).max(axis=(0, 2)) > 0).all()


def test_weights_balance_the_terms():
    problem = make_problem("poisson", {})
    plan = plan_for(problem)
    model = plan.draw(problem, 8)
    points = draw_points(problem, {"equation": 50, "conditions": 1}, "sobol", 0, 0)
    theta, objective, _ = assemble(problem, model, points)
    weights = balanced_weights(problem, objective, theta)
    assert max(weights.values()) == 1.0
    assert all(math.log10(w) == round(math.log10(w)) for w in weights.values())
    # The oracle: rows of the whole Jacobian, term by term.
    rows = objective.with_scales(dict.fromkeys(weights, 1.0)).jacobian(theta)
    traces = {
        name: weights[name] * float(np.mean(np.sum(np.square(rows[part]), axis=1)))
        for name, part in objective.slices().items()
    }
    assert max(traces.values()) / min(traces.values()) < 11


def in_units(equation=1.0, flux=None, length=1.0, time=1.0):
    """A rod that cools, its equation and its fluxes in units of one's own."""
    domain = Box("tx", (0.0, 0.0), (time, length))
    ends = [
        dirichlet(domain, "u", "x", side)
        if flux is None
        else robin(domain, "u", "x", side, alpha=0.0, beta=flux)
        for side in ("left", "right")
    ]
    return Problem(
        name="rod",
        domain=domain,
        components=("u",),
        equation=lambda u, z: equation * (u(z, "u_t")[0] - length**2 / time * u(z, "u_xx")[0]),
        conditions=(
            initial(domain, "u", lambda x: jnp.sin(jnp.pi * x / length)),
            *ends,
        ),
    )


def weights_of(problem):
    plan = plan_for(problem)
    model = plan.draw(problem, 8)
    points = draw_points(problem, {"equation": 50, "conditions": 20}, "sobol", 0, 0)
    theta, objective, _ = assemble(problem, model, points)
    return balanced_weights(problem, objective, theta)


def test_an_equation_in_tiny_units_leaves_no_loss_that_counts_as_exact():
    plain, tiny = weights_of(in_units()), weights_of(in_units(1e-12))
    assert max(plain.values()) == 1.0
    # The same balance, at which all terms are about as large as before.
    ratio = {name: tiny[name] / plain[name] for name in plain}
    start = next(name for name in plain if name != "equation")
    assert ratio["equation"] == pytest.approx(1e24 * ratio[start])
    assert ratio[start] > 1e-5


def test_a_source_whose_square_is_too_large_is_no_crash():
    problem = replace(rod(), equation=lambda u, z: u(z, "u_xx")[0] + 1e170 * z[0])
    assert min(weights_of(problem).values()) > 0


@pytest.mark.parametrize("factor", [1e-14, 1e12])
def test_weights_follow_the_units_of_an_equation(factor):
    plain, scaled = weights_of(in_units()), weights_of(in_units(equation=factor))
    for name in plain:
        ratio = (scaled["equation"] / scaled[name]) / (plain["equation"] / plain[name])
        expected = 1.0 if name == "equation" else factor**-2
        assert ratio == pytest.approx(expected, rel=1e-9)


def test_weights_follow_long_times_and_lengths():
    weights = weights_of(in_units(length=1e3, time=1e12))
    assert 1e-26 < weights["initial_u"] / weights["equation"] < 1e-22


def test_a_term_that_no_parameter_moves_has_weight_one():
    problem = make_problem("convection", {})
    points = draw_points(problem, {"equation": 50, "conditions": 10}, "sobol", 0, 0)
    box, options = problem.domain, {"width": 8, "depth": 2, "periodic_axes": [1]}
    model = make_architecture(
        "mlp", options, m=1, lower=box.lower, upper=box.upper, dtype="float64", seed=0
    )
    theta, objective, _ = assemble(problem, model, points)
    assert balanced_weights(problem, objective, theta)["periodic"] == 1.0


@pytest.mark.parametrize("flux", [1.0, 1e-14])
def test_a_flux_is_no_period_in_any_units(flux):
    assert periodic_axes(in_units(flux=flux)) == ((), ())


def test_periods_are_found_by_what_the_conditions_do():
    assert periodic_axes(make_problem("kdv", {})) == (
        (1,),
        ("periodic", "periodic_x", "periodic_xx"),
    )
    assert periodic_axes(make_problem("burgers", {})) == ((), ())
    axes, idle = periodic_axes(make_problem("taylor_green", {}))
    assert axes == (1, 2)
    assert idle


def test_waves_are_those_of_the_data():
    assert waves(make_problem("poisson", {}))[0] == pytest.approx(25, abs=1)
    assert waves(rod())[0] <= 1.5


def test_points_are_shared_out_and_conditions_that_are_met_get_one():
    problem = make_problem("kdv", {})
    counts = counts_for(problem, 1000, ("periodic", "periodic_x", "periodic_xx"))
    assert counts == {
        "equation": 800,
        "initial": 200,
        "periodic": 1,
        "periodic_x": 1,
        "periodic_xx": 1,
    }


def test_the_estimate_is_the_error_where_error_and_residual_fall_together():
    exact = np.sin(np.linspace(0, 3, 50))[:, None]
    wrong = np.cos(np.linspace(0, 9, 50))[:, None]
    sizes = [1e-1, 1e-2, 1e-5]
    states, losses = [exact + s * wrong for s in sizes], [(3 * s) ** 2 for s in sizes]
    true = relative(states[-1], exact)
    assert estimated_error(states, losses, factor=1.0) == pytest.approx(true, rel=0.1)


def test_a_network_that_is_worse_than_the_one_before_is_told_by_its_distance():
    exact = np.ones((5, 1))
    # A narrow network with its tangent, then a wide one for which there was little time.
    states = [exact + error for error in (1e-9, 2e-8, 6e-9, 5e-9)]
    losses = [1e-19, 1e-15, 3.2e-18, 3e-18]
    assert estimated_error(states, losses, factor=1.0) == pytest.approx(4e-9, rel=0.1)
    # The other way around, the narrow network says little.
    assert estimated_error(states[::-1], losses[::-1], factor=1.0) < 2e-9


def test_approximations_that_stalled_at_one_loss_say_nothing_of_one_another():
    exact = np.ones((5, 1))
    states = [exact + error for error in (1e-2, 1e-4, 1.001e-4, 1.0005e-4, 1e-4)]
    losses = [1e-8, 1.1e-12, 1.05e-12, 1.02e-12, 1e-12]
    assert estimated_error(states, losses, factor=1.0) == pytest.approx(1e-4, rel=0.1)


def test_what_is_far_off_says_nothing_of_the_error_where_something_is_near():
    exact = np.ones((4, 1))
    # The first two are on their way, with residuals of another shape.
    states = [exact + off for off in (2.0, 0.5, 1e-5, 1e-7)]
    losses = [1e-2, 1e-8, 1e-12, 1e-16]
    assert estimated_error(states, losses) == pytest.approx(1e-7, rel=0.1)
    # Where there is nothing else, they count.
    assert estimated_error([states[0], states[-1]], [1e-2, 1e-16]) == pytest.approx(2e-7, rel=0.1)


def decay():
    """`u' = -2 u` from u(0) = 1."""
    domain = pinnzoo.Box("t", (0.0,), (1.0,))

    def equation(u, z):
        value, u_t = u(z, "u u_t")
        return u_t + 2 * value

    return pinnzoo.Problem(
        name="decay",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(pinnzoo.prescribe(domain.face("t", 0.0), "u", 1.0, "initial"),),
    )


def in_windows(module, monkeypatch, count):
    """The first network is of several layers and counts as far off, and time is divided."""
    layered(module, monkeypatch)
    for name, value in {
        "WINDOWS": count,
        "WINDOW_WIDTH": 4,
        "WIDTHS": (3,),
        "HARD": 0.0,
    }.items():
        monkeypatch.setattr(module, name, value)


def test_time_is_divided_into_windows_that_meet(hasty, monkeypatch, tmp_path):
    module, _ = hasty
    in_windows(module, monkeypatch, 2)
    entry = solve(decay(), tolerance=1e-30, diagnostics=False)
    assert entry.recipe.architecture_arguments["windows"] == [0.5]
    assert {0, 2} <= {phase.part for phase in entry.recipe.phases} <= {0, 1, 2, 3}
    assert "join_u" in entry.recipe.phases[-1].weights
    t = np.linspace(0, 1, 21)[:, None]
    error = relative(entry.predict(t), np.exp(-2 * t))
    assert error < 1e-5
    assert entry.metrics["estimated_error"] > error / 10
    rounds = entry.metrics["solve"]["rounds"]
    assert [r["final"] for r in rounds] == [False, True, True]
    assert [(r["first_time"], r["last_time"]) for r in rounds] == [(0, 1), (0, 0.5), (0.5, 1)]
    entry.save(tmp_path / "decay")
    again = pinnzoo.load(str(tmp_path / "decay"), problem=entry.problem)
    np.testing.assert_array_equal(again.predict(t), entry.predict(t))


def test_a_first_network_that_is_far_from_the_solution_leaves_its_time(monkeypatch):
    """It is given up once the time to decide has come, if there is time for all windows."""
    module = importlib.import_module("pinnzoo.solving.solve")
    monkeypatch.setattr(clock, "now", lambda: now[0])
    now = [0.0]
    judge = module._Judge(Allowance(0.0, 1000.0), True, deep=False)
    assert not judge(1.0, 1.0, 0.1)
    now[0] = 400.0
    assert judge(1.0, 1.0, 0.1)
    assert not judge(module.HARD / 2, 1.0, 0.1)
    assert not judge(1.0, 100.0, 0.1)


def test_networks_that_go_on_from_one_that_found_the_solution_do_not_look_for_it():
    problem = decay()
    plan = plan_for(problem, 0, None)
    chain = [refine(plan, problem, 5, Allowance(0.0, math.inf))]
    for width in (6, 7):
        chain.append(refine(plan, problem, width, Allowance(0.0, math.inf), before=chain[-1]))
    assert chain[0].fall < 1e-5
    for later in chain[1:]:
        assert later.start_loss == chain[0].start_loss
        assert [phase.arguments.get("scaling") for phase in later.base.phases] == ["columns"]


def test_a_deep_network_is_given_up_at_once_where_its_steps_are_slow(monkeypatch):
    module = importlib.import_module("pinnzoo.solving.solve")
    monkeypatch.setattr(clock, "now", lambda: 0.0)

    def judge(deep=True):
        return module._Judge(Allowance(0.0, 100.0), False, deep=deep)

    # 50 steps, and the tangent takes 24 more and 1.8 x 5 seconds.
    quick, slow, late = judge(), judge(), judge()
    assert not quick(1e-3, 5.0, 1.2)
    assert slow(1e-3, 5.0, 1.3)
    assert slow.slow
    # Later on, its time is spent already.
    assert not any(late(1e-3, 5.0, step) for step in (1.2, 1.2, 1.3))
    assert not judge(deep=False)(1e-3, 5.0, 1.3)


def test_a_network_of_usual_depth_follows_a_deep_one_that_is_slow(quick, monkeypatch):
    monkeypatch.setattr(quick, "DEEP_FROM", 0.0)
    layered(quick, monkeypatch)
    monkeypatch.setattr(quick, "DEEP_STEPS", 1e9)
    entry = solve("burgers", seconds=20, diagnostics=False)
    deep, *others = entry.metrics["solve"]["rounds"]
    assert deep["steps"] <= quick.EARLY
    assert not deep["final"]
    assert others
    assert entry.recipe.architecture_arguments["depth"] == 3


@pytest.mark.parametrize(("estimate", "finals"), [(1e-25, [0]), (1e9, [1, 2])])
def test_windows_are_taken_where_they_are_the_better(hasty, monkeypatch, estimate, finals):
    module, _ = hasty
    in_windows(module, monkeypatch, 2)
    refined = module.refine

    def judged(plan, problem, *rest, **options):
        made = refined(plan, problem, *rest, **options)
        return replace(made, estimate=estimate) if problem is plan.problem else made

    monkeypatch.setattr(module, "refine", judged)
    entry = solve(decay(), tolerance=1e-30, diagnostics=False)
    rounds = entry.metrics["solve"]["rounds"]
    assert [k for k, r in enumerate(rounds) if r["final"]] == finals
    windows: Any = entry.recipe.architecture_arguments.get("windows", ())
    assert len(windows) == len(finals) - 1


def test_a_tolerance_that_is_met_asks_for_no_windows(hasty, monkeypatch):
    module, asked = hasty
    in_windows(module, monkeypatch, 2)
    solve(decay(), tolerance=1.0, diagnostics=False)
    assert asked == [3]


def test_windows_between_the_times_of_a_coarse_grid_have_an_estimate_too(hasty, monkeypatch):
    module, _ = hasty
    in_windows(module, monkeypatch, 3)
    # Of its times every fourth one counts: the first and the last of all.
    problem = replace(decay(), evaluation_shape=(5,))
    entry = solve(problem, tolerance=1e-30, diagnostics=False)
    windows = [r for r in entry.metrics["solve"]["rounds"] if r["final"]]
    assert len(windows) == 3
    assert all(r["estimated_error"] > 1e-17 for r in windows)
    t = np.linspace(0, 1, 21)[:, None]
    error = relative(entry.predict(t), np.exp(-2 * t))
    assert entry.metrics["estimated_error"] > error / 10


def test_the_seconds_until_the_first_step_are_those_of_the_compiler_too(monkeypatch):
    ticking = Ticking()
    monkeypatch.setattr(clock, "now", ticking)
    start = Trainer.start

    def slow(trainer):
        ticking.read += round(7.0 / TICK)
        return start(trainer)

    monkeypatch.setattr(Trainer, "start", slow)
    problem = make_problem("heat", {})
    plan = plan_for(problem, 0, None)
    last = refine(plan, problem, 4, Allowance(0.0, 1e9), hopeless=lambda *_: True)
    assert last.base.setup > 7.0


def test_a_network_that_is_given_up_has_no_tangent_and_says_so():
    problem = make_problem("heat", {})
    plan = plan_for(problem, 0, None)
    allowance = Allowance(0.0, 1e9)
    last = refine(plan, problem, 4, allowance, hopeless=lambda *_: True)
    assert last.abandoned
    assert last.tangent is None
    assert sum(phase.steps for phase in last.base.phases) < 20


def tangent_fit(problem, width, steps):
    """What the stages of the tangent of a network come to, after so many steps of that."""
    plan = plan_for(problem, 0, None)
    begun = plan.draw(problem, width)
    points, weights = counts_for(problem, 400, plan.idle), {}
    stage = moving(points, weights, scaled=False)
    stage = replace(stage, phase=replace(stage.phase, steps=steps))
    base = fit(problem, begun, plan.recipe, [stage], Allowance(0.0))
    stages = linear(points, weights)
    found = fit(problem, tangent_of(base.model), plan.recipe, stages, Allowance(0.0))
    return found, stages


def test_damping_of_the_tangent_falls_as_long_as_fresh_points_are_met_better():
    found, stages = tangent_fit(decay(), 8, 12)
    dampings = [stage.phase.arguments["min_damping"] for stage in stages]
    assert dampings == sorted(dampings, reverse=True)
    assert [p.arguments["min_damping"] for p in found.phases] == dampings[: len(found.phases)]
    best = found.best()
    assert len(best.phases) >= 2
    # The same network; then every phase was of use.
    assert best.fresh == sorted(best.fresh, reverse=True)
    assert best.fresh[-1] == min(found.fresh) < 1e-4 * best.fresh[1]
    assert len(best.fresh) == len(best.kept) == len(best.phases) + 1
    np.testing.assert_array_equal(best.theta, best.kept[-1])
    t = np.linspace(0, 1, 21)[:, None]
    gentle, deep, exact = (
        *(np.asarray(jax.vmap(best.assembly.to_model(v))(t)) for v in (best.kept[1], best.theta)),
        np.exp(-2 * t),
    )
    assert relative(deep, exact) < 0.1 * relative(gentle, exact)


def test_less_damping_ends_where_fresh_points_are_met_no_better():
    """Features of a few points more than there are parameters: the solution between them goes."""
    problem = make_problem("burgers", {})
    found, stages = tangent_fit(problem, 10, 15)
    # What ends it is the first that is of no use.
    assert len(found.phases) < len(stages)
    assert found.fresh[-1] >= found.fresh[-2]
    best = found.best()
    assert len(best.phases) == len(found.phases) - 1
    assert best.fresh[-1] == min(found.fresh)
    rows = len(best.history["loss"])
    assert rows < len(found.history["loss"])
    assert set(best.history["phase"]) == set(range(len(best.phases)))
    assert all(len(values) == rows for values in best.history.values())


@pytest.mark.parametrize(("left", "expected"), [(3.9, True), (4.1, False)])
def test_no_stage_of_the_tangent_begins_without_the_time_of_a_step(monkeypatch, left, expected):
    monkeypatch.setattr(clock, "now", lambda: 100.0)
    stages = linear({"equation": 1}, {})
    trainer: Any = SimpleNamespace(assembly=SimpleNamespace(observations=None))
    watch = _Watch(trainer, stages, Allowance(0.0, 100.0 + left), print)
    monkeypatch.setattr(watch, "_fresh_loss", lambda *_: 1e-9)
    watch.step = 4.0
    run: Any = SimpleNamespace(phase=0, ended=True, step=2, best_theta=None)
    assert watch.is_over(run) is expected


def test_nothing_is_left_of_a_tangent_that_was_of_no_use():
    theta = np.zeros(2)
    history = {"phase": [0, 0, 1], "loss": [3.0, 2.0, 1.0]}
    phases = [stage.phase for stage in linear({"equation": 1}, {})[:2]]
    made = Fit(
        cast(Any, None),
        theta + 2,
        phases,
        history,
        [theta, theta + 1, theta + 2],
        cast(Any, None),
        fresh=[1.0, 2.0, 3.0],
    )
    best = made.best()
    assert (best.phases, best.history) == ([], {"phase": [], "loss": []})
    assert best.fresh == [1.0]
    np.testing.assert_array_equal(best.theta, theta)


def test_a_wider_network_that_gained_nothing_keeps_the_estimate():
    problem = decay()
    plan = plan_for(problem, 0, None)
    first = refine(plan, problem, 6, Allowance(0.0, math.inf))
    # At a loss that no network falls far below, whatever was said of it.
    narrow = replace(first, estimate=0.3)
    wider = refine(plan, problem, 7, Allowance(0.0, math.inf), before=narrow)
    gained = first.loss >= MUCH * wider.loss
    assert gained or wider.estimate >= 0.3 * min(math.sqrt(wider.loss / first.loss), 1.0)
    stalled = refine(plan, problem, 7, Allowance(0.0, 0.0), before=narrow)
    assert first.loss < MUCH * stalled.loss
    assert stalled.estimate >= 0.3 * min(math.sqrt(stalled.loss / first.loss), 1.0)


def test_the_defect_is_that_of_the_tangent_where_there_is_one(monkeypatch):
    looked = []

    def share(plan, network, weights):
        looked.append(network)
        return 0.0

    monkeypatch.setattr("pinnzoo.solving.rounds.defect_of", share)
    problem = decay()
    plan = plan_for(problem, 0, None)
    last = refine(plan, problem, 6, Allowance(0.0, math.inf))
    assert last.tangent is not None
    with_defect(plan, last, None)
    t = jnp.array([0.3])
    assert looked[0](t) == last.tangent.model(t) != last.base.model(t)


def after(width, *, setup=1.0, step=0.1, **told):
    """A round as far as it decides what comes next."""
    base = SimpleNamespace(setup=setup, step=step)
    told = {"estimate": 1e-6, "noise": 0.0, "loss": 1e-12} | told
    return cast(Any, SimpleNamespace(width=width, base=base, **told))


@pytest.fixture
def next_width(monkeypatch):
    """The width that comes after some rounds, for seconds that are left."""
    module = importlib.import_module("pinnzoo.solving.solve")
    monkeypatch.setattr(clock, "now", lambda: 100.0)
    plan = plan_for(rod())

    def width(chain, left, tolerance=0.0, **other):
        given = replace(plan, **other)
        return module._next_width(given, chain, Allowance(100.0, 100.0 + left), tolerance)

    return width


def test_a_solution_that_is_at_its_rounding_is_not_widened(next_width):
    assert next_width([after(14)], 1e9) == 48
    assert next_width([after(14, estimate=1e-15)], 1e9) is None
    assert next_width([after(14)], 1e9, tolerance=1e-5) is None


def test_the_next_network_is_the_widest_that_there_is_time_for(next_width):
    times = [1e9, 600.0, 120.0, 60.0, 30.0, 2.0]
    widths = [next_width([after(14)], left) for left in times]
    assert widths[0] == 48
    assert widths[-1] is None
    assert [w or 0 for w in widths] == sorted([w or 0 for w in widths], reverse=True)
    assert len(set(widths)) > 3
    # Of one layer, the parameters and the time of a step grow much less.
    sines = with_sines(plan_for(rod()))
    assert sines is not None
    assert next_width([after(14)], 120.0, network=sines.network) == 48
    assert (widths[2] or 0) < 48
    # Where there is no limit, none is left out.
    assert next_width([after(14)], math.inf) == 24


def test_a_network_goes_on_where_a_wider_one_has_no_time(next_width):
    # Its programs are there already.
    slow = {"setup": 20.0, "step": 1.0}
    first = after(32, loss=1e-8, **slow)
    assert next_width([first], 60.0) == 32
    assert next_width([first, after(32, loss=1e-10, **slow)], 60.0) == 32
    assert next_width([first, after(32, loss=9e-9, **slow)], 60.0) is None
    assert next_width([first], 20.0) is None


def test_the_first_network_suits_the_time_and_the_data(next_width):
    assert [next_width([], left) for left in (100.0, 55.0, 20.0)] == [24, 24, 14]
    assert next_width([], math.inf) == 24
    assert next_width([], 100.0, tolerance=1e-3) == 14
    module = importlib.import_module("pinnzoo.solving.solve")
    plan = plan_for(rod())

    def deep(plan, left):
        return module._for_a_deep_one(plan, Allowance(100.0, 100.0 + left))

    assert deep(plan, 100.0)
    assert next_width([], 100.0, network=with_depth(plan, module.DEEP).network) == 28
    assert not deep(plan, 80.0)
    assert not deep(plan, math.inf)
    assert not deep(replace(plan, kinked=True), 100.0)
    assert not deep(with_sines(plan), 100.0)
    data = pinnzoo.Observations(np.zeros((1, 1)), np.zeros((1, 1)), ("u",))
    assert not deep(plan_for(rod(), 0, data), 100.0)


def spring(rate=6.0):
    """Oscillations of which the data say nothing."""
    domain = Box("t", (0.0,), (2.0,))

    def equation(u, z):
        value, acceleration = u(z, "u u_tt")
        return acceleration / rate**2 + value

    return Problem(
        name="spring",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(
            initial(domain, "u", 1.0),
            initial(domain, "u_t", 0.0, name="at_rest"),
        ),
    )


@pytest.fixture
def quick(monkeypatch):
    """All networks are narrow, and a layer of sines is tried in any case."""
    module = importlib.import_module("pinnzoo.solving.solve")
    for name, value in {"WIDTHS": (6,), "SINES_FROM": 0.0, "FIRST_WIDTHS": ((0.0, 6),)}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(clock, "now", Ticking())
    return module


def test_a_sum_of_waves_is_solved_by_a_layer_of_sines(quick):
    assert plan_for(spring()).network["depth"] == 3
    entry = solve(spring(), seconds=20, diagnostics=False)
    assert entry.recipe.architecture_arguments["depth"] == 1
    t = np.linspace(0, 2, 101)[:, None]
    assert relative(entry.predict(t), np.cos(6 * t)) < 1e-10
    assert entry.metrics["solve"]["rounds"][0]["estimated_error"] < 1e-9


def test_what_sines_do_not_resolve_is_left_to_several_layers(quick):
    entry = solve("reaction", seconds=20, diagnostics=False)
    assert entry.recipe.architecture_arguments["depth"] == 3
    rounds = entry.metrics["solve"]["rounds"]
    assert not rounds[0]["final"]
    assert rounds[-1]["estimated_error"] < rounds[0]["estimated_error"]


def test_a_layer_of_sines_that_is_far_off_takes_few_steps(quick):
    entry = solve("burgers", seconds=40, diagnostics=False)
    sines, *others = entry.metrics["solve"]["rounds"]
    assert quick.SOON <= sines["steps"] < quick.SOON + 25
    assert sum(r["steps"] for r in others) > sines["steps"]
    assert entry.recipe.architecture_arguments["depth"] == 3


def test_sines_are_not_tried_where_the_data_have_a_kink():
    assert plan_for(make_problem("allen_cahn", {})).kinked
    assert plan_for(make_problem("schrodinger", {})).kinked
    assert not plan_for(make_problem("kdv", {})).kinked


def test_a_layer_of_sines_meets_the_conditions_that_a_periodic_network_need_not():
    plan = plan_for(make_problem("kdv", {}))
    other = with_sines(plan)
    assert other is not None
    assert plan.idle
    assert not other.idle
    assert all(other.recipe.points[name] > plan.recipe.points[name] for name in plan.idle)
    assert with_sines(other) is None


def test_the_end_that_was_asked_for_takes_what_sines_came_to(quick, monkeypatch):
    real = quick.refine

    def asked(plan, problem, width, allowance, **options):
        last = real(plan, problem, width, allowance, **options)
        allowance.request.signals.append(2)
        return last

    monkeypatch.setattr(quick, "refine", asked)
    entry = solve(spring(), seconds=20, diagnostics=False)
    assert len(entry.metrics["solve"]["rounds"]) == 1
    assert entry.recipe.architecture_arguments["depth"] == 1


def test_no_estimate_is_below_what_the_last_place_of_the_parameters_moves(monkeypatch):
    monkeypatch.setattr("pinnzoo.solving.rounds.estimated_error", lambda *_: 0.0)
    problem = decay()
    last = refine(plan_for(problem, 0, None), problem, 6, Allowance(0.0, math.inf))
    best = last.fits[-1]
    t, theta = problem.evaluation_points(4), np.asarray(best.theta)
    sign = np.where(np.random.default_rng(5).random(theta.size) < 0.5, -1.0, 1.0)

    def values(vector):
        return np.asarray(jax.vmap(best.assembly.to_model(vector))(t))

    moved = relative(values(theta + sign * np.spacing(np.abs(theta))), values(theta))
    assert 0.1 * moved < last.estimate < 10 * moved


def timed(*conditions, ansatz=None):
    """An equation in time and space with other conditions than an initial value."""
    return Problem(
        name="timed",
        domain=TIMED,
        components=("u",),
        equation=lambda u, z: u(z, "u_t")[0] - u(z, "u_xx")[0],
        conditions=conditions,
        ansatz=ansatz,
    )


TIMED = Box("tx", (0.0, 0.0), (1.0, 1.0))
START = initial(TIMED, "u", jnp.sin)
SIDE = dirichlet(TIMED, "u", "x", "left")


@pytest.mark.parametrize(
    ("conditions", "ansatz", "forward"),
    [
        ((START, SIDE), None, True),
        ((START, periodic(TIMED, "u", "x")), None, True),
        ((SIDE,), lambda z, n: z[0] * n, True),
        # What is known only at the end, at both, in between or from one time for another.
        ((SIDE, prescribe(TIMED.face("t", 1.0), "u", 0.0, "terminal")), None, False),
        ((START, SIDE, prescribe(TIMED.face("t", 1.0), "u", 0.0, "terminal")), None, False),
        ((START, prescribe(TIMED.face("t", 0.5), "u", 0.0, "halfway")), None, False),
        ((periodic(TIMED, "u", "t"), SIDE), None, False),
        ((SIDE,), lambda z, n: (1 - z[0]) * n, False),
        # Several faces in one condition, with and without that of the last time.
        ((prescribe(TIMED.boundary("tx", ("left",)), "u", 0.0, "inflow"),), None, True),
        ((START, prescribe(TIMED.boundary("tx"), "u", 0.0, "all_around")), None, False),
        ((START, periodic(TIMED, "u", "tx")), None, False),
        ((SIDE,), None, False),
    ],
)
def test_only_what_is_decided_by_its_beginning_is_divided_into_windows(conditions, ansatz, forward):
    assert marches(timed(*conditions, ansatz=ansatz)) == forward


def test_what_reads_other_times_is_not_divided_into_windows():
    """Delays and integrals over the past, of which no condition tells."""

    def delayed(u, z):
        return u(z, "u_t")[0] + u(z.at[0].set(jnp.maximum(z[0] - 0.3, 0.0)), "u")[0]

    def remembering(u, z):
        past = jax.vmap(lambda s: u(z.at[0].set(s * z[0]), "u")[0])(jnp.linspace(0.0, 1.0, 5))
        return u(z, "u_t")[0] + past.mean()

    def elsewhere(u, z):
        return u(z, "u_t")[0] + u(z.at[1].set(0.5), "u")[0]

    for equation, names in (
        (delayed, ("equation",)),
        (remembering, ("equation",)),
        (elsewhere, ()),
    ):
        problem = replace(timed(START, SIDE), equation=equation)
        assert across_time(problem) == names
        assert marches(problem) == (names == ())
        small = replace(problem, equation=lambda u, z, own=equation: 1e-9 * own(u, z))
        assert across_time(small) == names


def test_values_that_agree_are_no_period_where_something_else_decides():
    """u'' = 2 with u(0) = u(1) and a mean of zero is x² - x + 1/6, whose slope has a jump there."""
    line = Box("x", (0.0,), (1.0,))
    nodes, weights = np.polynomial.legendre.leggauss(4)

    def mean(u, z):
        values = jax.vmap(lambda s: u(s[None], "u")[0])(jnp.asarray((nodes + 1) / 2, z.dtype))
        return values @ jnp.asarray(weights / 2, z.dtype)

    tied = (periodic(line, "u", "x"),)
    for more, axes in (((), (0,)), ((Condition("mean", mean, line),), ())):
        problem = Problem(
            name="parabola",
            domain=line,
            components=("u",),
            equation=lambda u, z: u(z, "u_xx")[0] - 2.0,
            conditions=(*tied, *more),
        )
        assert periodic_axes(problem)[0] == axes


@pytest.mark.parametrize("name", ["kdv", "beltrami", "wave", "cylinder_wake", "sine_gordon"])
def test_problems_of_the_zoo_march(name):
    assert marches(make_problem(name, {}))


def test_a_symmetry_that_removes_constants_decides_nothing_at_the_end():
    assert marches(make_problem("burgers", {"constraints": "odd"}))


def test_the_verb_solves_a_file_and_saves_the_entry(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["solve", f"{HERE / 'rod.py'}:rod", "--seconds", "3", "--out", "here"]
    done = CliRunner().invoke(app, [*arguments, "--no-diagnostics", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["estimate"] > 0
    assert pinnzoo.load(str(tmp_path / "here"), problem=rod()).name == told["name"]
    assert jnp.isfinite(told["loss"])


@pytest.mark.parametrize(
    ("until", "observations", "expected"),
    [
        # The tangent needs 1.8 x 4 + 24 x 1 = 31.2 seconds, and the share ends at 135.
        (200.0, None, 168.8),
        # The share ends at 107 and leaves it 13, so that there will be none: all but a compilation.
        (120.0, None, 116.0),
        (math.inf, None, math.inf),
        (200.0, object(), 135.0),
    ],
)
def test_last_stage_of_a_network_leaves_the_tangent_its_time(
    monkeypatch, until, observations, expected
):
    monkeypatch.setattr(clock, "now", lambda: 100.0)
    stage = moving({"equation": 1}, {}, scaled=True)
    trainer: Any = SimpleNamespace(assembly=SimpleNamespace(observations=observations))
    watch = _Watch(trainer, [stage], Allowance(0.0, until), print)
    watch.setup, watch.step, watch.shared = 4.0, 1.0, watch.allowance.share(stage.share)
    assert watch._end(stage) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("schrodinger", True),
        # Its data have a kink too, which diffusion wears out.
        ("allen_cahn", False),
        # These do not diffuse, and have no kink; the waves of the last one are many.
        ("kdv", False),
        ("reaction", False),
        ("convection", False),
        ("kuramoto_sivashinsky", False),
        # The pressure has no derivative in time.
        ("taylor_green", False),
    ],
)
def test_kinks_that_stay_are_told_from_those_that_are_worn_out(name, kept):
    problem = make_problem(name, {})
    axes, _ = periodic_axes(problem)
    assert axes
    assert [keeps_kink(problem, axis) for axis in axes] == [kept] * len(axes)


def cusped(equation, profile=lambda x: x**2):
    """A problem that is periodic in x, by default from a parabola: a kink where periods meet."""
    domain = Box("tx", (0.0, -1.0), (1.0, 1.0))
    return Problem(
        name="cusp",
        title="Cusp",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(
            initial(domain, "u", profile, name="initial"),
            periodic(domain, "u", "x", "periodic"),
        ),
    )


@pytest.mark.parametrize(
    ("names", "equation", "kept"),
    [
        ("u_t u_xx", lambda _, t, xx: t - xx, False),
        ("u_t u_xxx", lambda _, t, xxx: t + xxx, True),
        # Diffusion beside dispersion, with a coefficient that vanishes, and one that is infinite.
        ("u_t u_xx u_xxx", lambda _, t, xx, xxx: t + xxx - 0.01 * xx, False),
        ("u u_t u_xx", lambda _, u, t, xx: t - u * xx, False),
        ("u_t u_xx", lambda z, t, xx: t - xx / z[1], False),
        # Of second order in time, which is left as it was; nothing but a derivative in time.
        ("u_tt u_xx", lambda _, tt, xx: tt - xx, False),
        ("u_t u_xx", lambda _, t, xx: t + 0 * xx, False),
    ],
)
def test_a_kink_is_kept_by_dispersion_alone(names, equation, kept):
    assert keeps_kink(cusped(lambda u, z: equation(z, *u(z, names))), 1) is kept


@pytest.mark.parametrize(
    ("profile", "kink"),
    [
        (lambda x: jnp.cos(45 * jnp.pi * x), False),
        (lambda x: jnp.sin(3 * x) ** 2 + jnp.cos(3 * x) ** 2, False),
        (lambda x: jnp.zeros_like(x), False),
        (lambda x: x, True),
        (lambda x: jnp.abs(x), True),
        (lambda x: 1 / jnp.cosh(5 * x), True),
    ],
)
def test_kinks_are_seen_in_initial_values(profile, kink):
    def equation(u, z):
        u_t, u_xxx = u(z, "u_t u_xxx")
        return u_t + u_xxx

    assert keeps_kink(cusped(equation, profile), 1) is kink


def test_a_network_on_a_kink_that_stays_is_not_periodic():
    assert "periodic_axes" not in plan_for(make_problem("schrodinger", {})).network
    assert plan_for(make_problem("allen_cahn", {})).network["periodic_axes"] == [1]


def test_an_equation_that_is_no_number_somewhere_is_named():
    domain = Box("x", (0.0,), (1.0,))

    def equation(u, z):
        return u(z, "u_xx")[0] + jnp.sqrt(z[0] - 0.5)

    ends = tuple(dirichlet(domain, "u", "x", side) for side in ("left", "right"))
    problem = Problem(
        name="root", domain=domain, components=("u",), equation=equation, conditions=ends
    )
    with pytest.raises(TrainingError, match="before the first step, since 'equation' is NaN"):
        solve(problem, seconds=2, diagnostics=False)


@pytest.mark.parametrize("done", [0, 2])
def test_what_was_found_before_a_second_signal_is_kept(problem, monkeypatch, done):
    real, steps = Trainer._advance, []

    def advance(self, *arguments):
        if len(steps) == done:
            raise KeyboardInterrupt
        steps.append(real(self, *arguments))
        return steps[-1]

    monkeypatch.setattr(Trainer, "_advance", advance)
    counts = {"equation": 40, "conditions": 8}
    phase = Phase("levenberg_marquardt", 9, points=counts)
    small = {"width": 4, "depth": 1}
    recipe = Recipe(problem.name, "mlp", (phase,), architecture_arguments=small, points=counts)
    _, model = build(recipe, problem)
    stages, allowance = [Stage(phase)], Allowance(0.0)
    if not done:
        with pytest.raises(KeyboardInterrupt):
            fit(problem, model, recipe, stages, allowance)
        return
    found = fit(problem, model, recipe, stages, allowance)
    assert sum(phase.steps for phase in found.phases) > 0
    assert found.fresh[-1] < found.fresh[0]
