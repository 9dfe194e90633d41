"""Adaptive weights against their formulas by hand, and in a training with every optimizer."""

import dataclasses
import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnzoo
from pinnzoo import Phase, Recipe, analysis
from pinnzoo.collocation import draw_points
from pinnzoo.errors import RecipeError, UnknownNameError
from pinnzoo.evaluation import require_reference
from pinnzoo.objective import Objective, assemble
from pinnzoo.optimizers import OPTIMIZERS, make_optimizer
from pinnzoo.pdes import make_problem
from pinnzoo.storage.blueprint import build
from pinnzoo.training import loop
from pinnzoo.weighting import make_weighting
from pinnzoo.weighting.causal import _update as causal_update
from tests.oracles import residual_rows, small_network, small_points

PROBLEMS = ("burgers", "schrodinger")

pytestmark = pytest.mark.usefixtures("small_diagnostics")

train = functools.partial(pinnzoo.train, diagnostics=False)


def assembled(name, n=24):
    problem = make_problem(name, {})
    made = assemble(problem, small_network(problem), small_points(problem, n))
    return problem, made.objective, made.theta


def of_a_small_regression(objective):
    """An objective of the same terms, points and scales, whose residuals need no derivatives."""

    def misfit(theta, z):
        return theta[4:] @ jnp.tanh(theta[:4].reshape(2, 2) @ z) - z[0] * z[1]

    terms = tuple(dataclasses.replace(term, residual=misfit) for term in objective.terms)
    theta = jnp.array([0.4, -0.3, 0.8, 0.1, 0.5, -0.7])
    return Objective(terms, ((2, 2), (2,))), theta


def block_rows(objective, theta):
    """Rows of the Jacobian of each term, one point after the other."""
    jacobian = np.asarray(jax.jit(jax.jacfwd(objective.residual))(theta))
    return {name: jacobian[rows] for name, rows in objective.slices().items()}


@pytest.mark.parametrize("name", PROBLEMS)
def test_ntk_trace_is_trace_of_kernel_over_trace_of_block(name):
    problem, objective, theta = assembled(name)
    factors = make_weighting("ntk_trace", {}, problem)(objective, theta, {})
    kernels = {term: rows @ rows.T for term, rows in block_rows(objective, theta).items()}
    whole = sum(np.trace(kernel) for kernel in kernels.values())
    assert set(factors) == set(kernels)
    for term, kernel in kernels.items():
        np.testing.assert_allclose(factors[term], whole / np.trace(kernel), rtol=1e-10)


def test_ntk_trace_gives_all_blocks_the_same_trace():
    problem, objective, theta = assembled("burgers")
    factors = make_weighting("ntk_trace", {}, problem)(objective, theta, {})
    weighted = objective.with_scales(
        {t.name: t.scale * jnp.sqrt(factors[t.name]) for t in objective.terms}
    )
    traces = [np.sum(rows**2) for rows in block_rows(weighted, theta).values()]
    np.testing.assert_allclose(traces, traces[0], rtol=1e-10)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_gradient_norm_is_sum_over_own_and_is_averaged(name, momentum):
    problem, objective, theta = assembled(name)
    update = make_weighting("gradient_norm", {"momentum": momentum}, problem)
    residual, slices = np.asarray(objective.residual(theta)), objective.slices()
    norms = {
        term: np.linalg.norm(rows.T @ residual[slices[term]])
        for term, rows in block_rows(objective, theta).items()
    }
    first = update(objective, theta, {})
    for term, norm in norms.items():
        np.testing.assert_allclose(first[term], sum(norms.values()) / norm, rtol=1e-10)
    old = {term: np.array(2.0) for term in norms}
    second = update(objective, theta, old)
    for term, norm in norms.items():
        expected = momentum * 2 + (1 - momentum) * sum(norms.values()) / norm
        np.testing.assert_allclose(second[term], expected, rtol=1e-10)


@pytest.mark.parametrize("name", PROBLEMS)
def test_causal_weights_fall_with_the_loss_of_earlier_times(name):
    problem, objective, theta = assembled(name, n=40)
    chunks, tolerance = 5, 0.3
    factors = make_weighting("causal", {"chunks": chunks, "tolerance": tolerance}, problem)(
        objective, theta, {}
    )
    begin, end = problem.domain.bounds("t")
    edges = np.linspace(begin, end, chunks + 1)
    equations = [t for t in objective.terms if problem.terms[t.name].region == problem.domain]
    assert set(factors) == {term.name for term in equations}
    losses = np.zeros(chunks)
    bare = objective.with_scales({t.name: 1.0 for t in objective.terms})
    rows = residual_rows(bare, theta)
    for term in equations:
        times = np.asarray(term.points)[:, 0]
        squares = rows[bare.slices()[term.name]] ** 2
        for k in range(chunks):
            inside = (times >= edges[k]) & (times < edges[k + 1])
            losses[k] += squares[inside].mean() if inside.any() else 0.0
    for term in equations:
        for z, factor in zip(np.asarray(term.points), np.asarray(factors[term.name]), strict=True):
            k = min(int(np.searchsorted(edges, z[0], side="right")) - 1, chunks - 1)
            np.testing.assert_allclose(factor, np.exp(-tolerance * losses[:k].sum()), rtol=1e-10)


def test_terms_that_are_met_already_get_a_bounded_weight():
    problem, objective, theta = assembled("burgers")
    factors = make_weighting("gradient_norm", {"largest": 1e3}, problem)(
        objective, jnp.zeros_like(theta), {}
    )
    assert all(np.isfinite(f) and f <= 1e3 for f in factors.values())


@pytest.mark.parametrize(
    ("name", "arguments", "problem", "message"),
    [
        ("causal", {}, "poisson", "no time"),
        ("causal", {"chunks": 0}, "burgers", "chunks"),
        ("causal", {"tolerance": -1.0}, "burgers", "tolerance"),
        ("gradient_norm", {"momentum": 1.0}, "burgers", "momentum"),
        ("ntk_trace", {"largest": 0.0}, "burgers", "largest"),
        ("ntk_trace", {"momentum": 0.5}, "burgers", "it takes largest"),
    ],
)
def test_weighting_that_cannot_be_is_refused(name, arguments, problem, message):
    with pytest.raises(RecipeError, match=message):
        make_weighting(name, arguments, make_problem(problem, {}))


def test_weighting_that_does_not_exist_is_refused_by_name():
    with pytest.raises(UnknownNameError, match="ntk_trace"):
        make_weighting("ntk_trac", {}, make_problem("heat", {}))


# In a training.

TINY = Recipe(
    "heat",
    "mlp",
    (Phase("adam", 30, {"learning_rate": 5e-3}),),
    architecture_arguments={"width": 5, "depth": 2},
    points={"equation": 20, "conditions": 6},
)


def weighted(phase=None, **changes):
    phase = phase or TINY.phases[0]
    return dataclasses.replace(TINY, phases=(dataclasses.replace(phase, **changes),))


def test_every_optimizer_steps_with_factors_of_terms_and_of_points():
    problem, objective, theta = assembled("heat")
    factors = {}
    for name in ("ntk_trace", "causal"):
        factors |= make_weighting(name, {}, problem)(objective, theta, factors)
    scales = {t.name: t.scale * jnp.sqrt(factors[t.name]) for t in objective.terms}
    assert {scale.ndim for scale in scales.values()} == {0, 1}
    weighted = objective.with_scales(scales)
    # Optimizers see an objective whose terms have factors; this one is compiled quickly by each.
    weighted, theta = of_a_small_regression(weighted)
    for name in OPTIMIZERS:
        rate = {"learning_rate": 1e-7} if name == "gradient_descent" else {}
        optimizer = make_optimizer(name, rate)
        step = jax.jit(optimizer.step) if optimizer.traceable else optimizer.step
        moved, _, info = step(weighted, theta, optimizer.init(weighted, theta))
        assert float(info.loss) == pytest.approx(float(weighted.loss(theta)), rel=1e-10), name
        if name not in ("adam", "soap"):  # which may overshoot in their first step
            assert weighted.loss(moved) <= weighted.loss(theta), name


def test_weights_are_those_of_the_parameters_at_the_last_update(monkeypatch):
    seen = []
    made = loop.make_weighting

    def watched(*args):
        update = made(*args)

        def noted(objective, theta, factors):
            new = update(objective, theta, factors)
            seen.append((objective, np.asarray(theta), dict(factors), new))
            return new

        return noted

    monkeypatch.setattr(loop, "make_weighting", watched)
    train(weighted(weighting="gradient_norm", reweigh_every=10, resample_every=15))
    # At the start, after 10, 15 and 20 steps; not at the end, where nothing follows.
    assert len(seen) == 4
    assert seen[0][2] == {}
    for (*_, new), (_, _, factors, _) in itertools.pairwise(seen):
        for name, value in new.items():
            np.testing.assert_array_equal(factors[name], value)
    assert not np.array_equal(seen[1][0].terms[0].points, seen[2][0].terms[0].points)
    for objective, *_ in seen:
        for term in objective.terms:
            np.testing.assert_allclose(term.scale, 1 / np.sqrt(term.n), rtol=1e-12)


def test_loss_that_is_trained_carries_weights_and_factors():
    recipe = dataclasses.replace(
        weighted(weighting="ntk_trace", reweigh_every=1000), weights={"initial": 7.0}
    )
    entry = train(recipe)
    problem, model = build(recipe)
    points = draw_points(problem, recipe.points, recipe.sampler, recipe.seed, 0)
    plain = assemble(problem, model, points)
    update = make_weighting("ntk_trace", {}, problem)
    factors = update(plain.objective, plain.theta, {})
    rows = residual_rows(plain.objective, jnp.asarray(entry.theta))
    expected = 0.5 * sum(
        {"initial": 7.0}.get(name, 1.0) * float(factors[name]) * np.sum(rows[part] ** 2)
        for name, part in plain.objective.slices().items()
    )
    np.testing.assert_allclose(entry.metrics["loss"], expected, rtol=1e-9)


def test_weighted_run_that_was_killed_arrives_at_the_same_numbers(tmp_path):
    recipe = weighted(weighting="gradient_norm", reweigh_every=7)
    whole = train(recipe)

    class Killed(Exception):
        pass

    calls = 0

    def kill(run, recipe, workdir, save=loop.save_run):
        nonlocal calls
        save(run, recipe, workdir)
        calls += 1
        if calls == 18:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "save_run", kill)
        with pytest.raises(Killed):
            train(recipe, workdir=tmp_path, save_every=0)
    resumed = train(recipe, workdir=tmp_path)
    np.testing.assert_array_equal(whole.theta, resumed.theta)
    np.testing.assert_array_equal(whole.history["loss"], resumed.history["loss"])


def test_curriculum_trains_each_stage_on_its_own_problem():
    first = Phase("levenberg_marquardt", 8, problem_arguments={"beta": 0.5})
    last = Phase("levenberg_marquardt", 8)
    recipe = Recipe(
        "convection",
        "mlp",
        (first, last),
        problem_arguments={"beta": 1.0},
        architecture_arguments={"width": 6, "depth": 2},
        points={"equation": 40, "conditions": 10},
    )
    entry, alone, resting, same = (
        train(dataclasses.replace(recipe, phases=phases))
        for phases in (
            (first, last),
            (first,),
            (first, Phase("adam", 1, {"learning_rate": 1e-13})),
            (last, last),
        )
    )
    stage = entry.history["phase"] == 0
    np.testing.assert_array_equal(entry.history["loss"][stage], alone.history["loss"])
    first_losses, second_losses = entry.history["loss"][stage], entry.history["loss"][~stage]
    assert first_losses[-1] < 1e-2 * first_losses[0]
    assert second_losses[-1] < 1e-2 * first_losses[0]
    # The second stage begins with the network of the first, on another problem.
    np.testing.assert_allclose(resting.theta, alone.theta, atol=1e-12)
    assert resting.history["loss"][-1] > 10 * alone.history["loss"][-1]
    assert entry.history["loss"][-1] < 0.1 * resting.history["loss"][-1]
    assert entry.metrics["relative_l2_error"] < 0.1
    assert not np.array_equal(same.theta, entry.theta)


def test_curriculum_in_the_only_phase_trains_on_that_problem():
    phase = Phase("levenberg_marquardt", 15, problem_arguments={"beta": 0.5})
    recipe = Recipe(
        "convection",
        "mlp",
        (phase,),
        problem_arguments={"beta": 1.0},
        architecture_arguments={"width": 6, "depth": 2},
        points={"equation": 60, "conditions": 15},
    )
    entry = train(recipe)
    easier = make_problem("convection", {"beta": 0.5})
    grid = easier.evaluation_points(8)
    error = np.linalg.norm(entry.predict(grid) - require_reference(easier)(grid))
    assert error < 0.02 * np.linalg.norm(require_reference(easier)(grid))
    assert entry.metrics["relative_l2_error"] > 0.1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"weighting": "causl"}, UnknownNameError, "causal"),
        ({"weighting": "causal", "weighting_arguments": {"e": 1.0}}, RecipeError, "tolerance"),
        ({"problem_arguments": {"betta": 1.0}}, RecipeError, "betta"),
        ({"reweigh_every": 0}, RecipeError, "reweigh_every"),
        (
            {"weighting": None, "weighting_arguments": {"tolerance": 1.0}},
            RecipeError,
            "without a weighting",
        ),
        ({"adaptive": True, "resample_every": 0}, RecipeError, "without resample_every"),
    ],
)
def test_phase_that_cannot_be_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        train(weighted(**changes))


def test_recipes_written_before_weightings_are_read():
    data = TINY.to_dict()
    for name in ("weighting", "weighting_arguments", "reweigh_every", "problem_arguments"):
        del data["phases"][0][name]
    assert Recipe.from_dict(data) == TINY


def test_causal_weights_are_compiled_once_however_often_they_are_made():
    problem, objective, theta = assembled("burgers")
    compiled: Any = causal_update
    make_weighting("causal", {}, problem)(objective, theta, {})
    before = compiled._cache_size()
    make_weighting("causal", {}, problem)(objective, theta, {})
    assert compiled._cache_size() == before > 0


def test_a_problem_whose_time_is_not_its_first_coordinate_is_told_so():
    domain = pinnzoo.Box("xt", (0.0, 0.0), (1.0, 1.0))
    problem = pinnzoo.Problem(
        name="late",
        domain=domain,
        components=("u",),
        equation=lambda u, z: u(z, "u_t")[0] - u(z, "u_xx")[0],
    )
    with pytest.raises(RecipeError, match="whose first coordinate is not t: make it that"):
        make_weighting("causal", {}, problem)


def test_fine_tuning_goes_on_with_the_weighting():
    entry = train(weighted(weighting="causal", weighting_arguments={"tolerance": 2.0}))
    (phase,) = pinnzoo.finetune(entry, steps=2, diagnostics=False).recipe.phases
    last = entry.recipe.phases[-1]
    for name in ("weighting", "weighting_arguments", "reweigh_every"):
        assert getattr(phase, name) == getattr(last, name)


def test_what_a_weighting_made_of_the_weights_is_kept_and_used():
    entry = train(weighted(weighting="ntk_trace", reweigh_every=10))
    factors = entry.metrics["weighting"]["factors"]
    assert set(factors) == {"equation", *(c.name for c in entry.problem.conditions)}
    assert len({round(factor, 6) for factor in factors.values()}) > 1
    seen = {t.name: float(t.scale**2) * t.n for t in analysis.study(entry).objective.terms}
    stated = {**entry.recipe.weights, **entry.recipe.phases[-1].weights}
    for name, factor in factors.items():
        assert seen[name] == pytest.approx(factor * stated.get(name, 1.0), rel=1e-9)
    plain = train(weighted(weighting=None))
    assert "weighting" not in plain.metrics
