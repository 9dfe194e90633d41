"""Equations that return several residuals, taken at the same points from one evaluation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnzoo
from pinnzoo import Box, Condition, Problem, dirichlet
from pinnzoo.collocation import draw_points
from pinnzoo.domains import sample
from pinnzoo.errors import RecipeError
from pinnzoo.objective import Objective, assemble, check_terms
from pinnzoo.optimizers import make_optimizer
from pinnzoo.pdes import make_problem
from pinnzoo.training.scope import Scope, near_pins, resample, restrict
from tests.oracles import residual_rows, small_network

CALLS = []
DOMAIN = Box("xy", (0.0, 0.0), (1.0, 1.0))


def flow(u, z):
    """Steady Navier-Stokes with viscosity one: two momenta and continuity."""
    CALLS.append(1)
    names = "u v p_x p_y u_x u_y v_x v_y u_xx u_yy v_xx v_yy"
    a, b, p_x, p_y, u_x, u_y, v_x, v_y, u_xx, u_yy, v_xx, v_yy = u(z, names)
    momentum_x = a * u_x + b * u_y + p_x - u_xx - u_yy
    momentum_y = a * v_x + b * v_y + p_y - v_xx - v_yy
    return momentum_x, momentum_y, u_x + v_y


def problem_of(equation, system) -> Problem:
    return Problem(
        name="flow",
        domain=DOMAIN,
        components=("u", "v", "p"),
        equation=equation,
        system=system,
        conditions=(dirichlet(DOMAIN, "u", "x", "left", 1.0),),
    )


def joint() -> Problem:
    return problem_of(flow, ("momentum_y", "continuity"))


def apart() -> Problem:
    """The same problem with an equation of its own for each residual."""
    return problem_of(
        lambda u, z: flow(u, z)[0],
        tuple(
            Condition(name, lambda u, z, k=k: flow(u, z)[k], DOMAIN)
            for k, name in ((1, "momentum_y"), (2, "continuity"))
        ),
    )


@pytest.fixture(scope="module")
def both():
    """Both on the same points, which differ from term to term in scale."""
    one, other = joint(), apart()
    points = draw_points(one, {"equation": 11, "conditions": 4}, "sobol", 0, 0)
    weights = {"equation": 2.0, "continuity": 0.3}
    model = small_network(one)
    return assemble(one, model, points, weights), assemble(other, model, points, weights)


def test_residuals_of_one_function_are_terms_with_the_same_points(both):
    together, separate = both
    names = ["equation", "momentum_y", "continuity", "dirichlet_u_x_left"]
    assert list(together.objective.slices()) == list(separate.objective.slices()) == names
    assert together.objective.together() == [[0, 1, 2], [3]]
    assert separate.objective.together() == [[0], [1], [2], [3]]
    points = draw_points(joint(), {"equation": 11, "conditions": 4}, "sobol", 0, 0)
    assert points["momentum_y"] is points["equation"] is points["continuity"]
    own = draw_points(joint(), {"equation": 11, "continuity": 5}, "sobol", 0, 0)
    assert own["momentum_y"] is own["equation"]
    assert own["continuity"].shape == (5, 2)


@pytest.mark.parametrize("chunk", [None, 3, 100])
def test_rows_and_jacobian_are_those_of_separate_terms(both, chunk):
    together, separate = both
    found, expected = (
        jax.jit(lambda o, t: o.linearize(t, chunk))(each.objective, each.theta) for each in both
    )
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)
    oracle = residual_rows(separate.objective, separate.theta)
    assert np.abs(oracle).max() > 1e-2
    np.testing.assert_allclose(found[0], oracle, rtol=1e-10, atol=1e-13)
    rows = jax.jit(Objective.residual)(together.objective, together.theta)
    np.testing.assert_allclose(rows, oracle, rtol=1e-10, atol=1e-13)


def test_gradient_is_that_of_separate_terms_for_one_evaluation(both):
    slopes, costs, calls = [], [], []
    for each in both:
        CALLS.clear()
        program = jax.jit(jax.grad(Objective.loss, 1)).lower(each.objective, each.theta)
        calls.append(len(CALLS))
        compiled = program.compile()
        slopes.append(compiled(each.objective, each.theta))
        costs.append((compiled.cost_analysis() or {})["flops"])
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-10, atol=1e-13)
    assert calls == [1, 3]
    assert costs[0] < 0.6 * costs[1]


def test_steps_are_those_of_separate_terms(both):
    optimizer = make_optimizer("levenberg_marquardt", {})
    ends = []
    for each in both:
        theta, state = each.theta, optimizer.init(each.objective, each.theta)
        for _ in range(3):
            theta, state, _ = optimizer.step(each.objective, theta, state)
        ends.append(theta)
    assert np.abs(ends[0] - both[0].theta).max() > 1e-3
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-6, atol=1e-9)


def test_new_points_keep_terms_together_only_where_they_are_equal(both):
    objective = both[0].objective
    points = draw_points(joint(), {"equation": 7, "conditions": 4}, "sobol", 1, 3)
    # As they come from a file: equal, but not one array.
    copies = {name: array.copy() for name, array in points.items()}
    assert objective.with_points(copies).together() == [[0, 1, 2], [3]]
    moved = objective.with_points(copies | {"continuity": copies["continuity"] ** 2})
    assert moved.together() == [[0, 1], [2], [3]]
    leaves, structure = jax.tree.flatten(objective)
    assert len(leaves) == 2 + 4
    assert jax.tree.unflatten(structure, leaves).together() == objective.together()
    np.testing.assert_allclose(
        jax.jit(Objective.residual)(moved, both[0].theta),
        residual_rows(moved, both[0].theta),
        rtol=1e-10,
        atol=1e-13,
    )


def test_frozen_parameters_and_adaptive_points_keep_terms_together(both):
    together = both[0]
    free = np.arange(together.theta.size) % 2 == 0
    scope = Scope(joint(), together.objective, slice(None))
    narrow = restrict(scope, together.theta, free)
    assert narrow.objective.together() == [[0, 1, 2], [3]]
    np.testing.assert_allclose(
        narrow.objective.residual(together.theta[free]),
        together.objective.residual(together.theta),
        rtol=1e-12,
    )
    phase = pinnzoo.Phase("adam", 4, resample_every=2, adaptive=True)
    points = {"equation": 9, "conditions": 3}
    recipe = pinnzoo.Recipe("flow", "mlp", (phase,), points=points)
    drawn = resample(scope, recipe, phase, together.theta, 1)
    assert drawn["momentum_y"] is drawn["equation"] is drawn["continuity"]
    assert drawn["equation"].shape == (9, 2)


def test_adaptive_points_come_close_to_where_a_condition_holds_at_a_point():
    """Evenly drawn they do not, so that a pressure could have a spike there that nothing sees."""
    problem = make_problem("lid_driven_cavity", {})
    points = {"equation": 400, "conditions": 20}
    phase = pinnzoo.Phase("adam", 4, resample_every=2, adaptive=True)
    recipe = pinnzoo.Recipe("lid_driven_cavity", "mlp", (phase,), points=points)
    first = draw_points(problem, points, "sobol", 0, 0)
    made = assemble(problem, small_network(problem), first)
    drawn = resample(Scope(problem, made.objective, slice(None)), recipe, phase, made.theta, 1)
    drawn = drawn["equation"]
    distance = np.linalg.norm(drawn, axis=1)
    assert len(drawn) == 400
    assert problem.domain.contains(drawn).all()
    assert np.sum(distance < 0.01) >= 3
    assert np.min(distance) > 0
    evenly = draw_points(problem, points, "sobol", 0, 1)["equation"]
    assert np.sum(np.linalg.norm(evenly, axis=1) < 0.01) <= 1


def test_pins_at_an_edge_in_time_are_met_along_all_of_it():
    problem = make_problem("beltrami", {})
    points = draw_points(problem, {"equation": 50, "conditions": 30}, "sobol", 0, 0)
    candidates = sample(problem.domain, 200, "sobol", np.random.default_rng(0))
    near = near_pins(problem, points, candidates, np.random.default_rng(1))
    assert problem.domain.contains(near).all()
    distance = np.linalg.norm(near[:, 1:] - 1, axis=1)
    assert np.quantile(distance, 0.25) < 0.01 < 0.1 < np.quantile(distance, 0.9)
    assert near.shape == candidates.shape
    times = np.sort(near[distance < 0.01, 0])
    assert np.diff([0, *times, 1]).max() < 0.1
    heat = make_problem("heat", {})
    drawn = draw_points(heat, {"equation": 5}, "sobol", 0, 0)
    assert len(near_pins(heat, drawn, candidates[:, :2], np.random.default_rng(1))) == 0


def test_an_edge_of_many_points_leaves_as_many_candidates_to_a_point():
    cube = Box("xyz", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    edge = cube.face("x", 0.0).face("y", 0.0)
    problem = Problem(
        name="pinned",
        domain=cube,
        components=("u",),
        equation=lambda u, z: u(z, "u_xx")[0],
        conditions=(
            pinnzoo.prescribe(edge, "u", 0.0, "edge"),
            pinnzoo.prescribe(cube.face("x", 1.0).face("y", 1.0).face("z", 1.0), "u", 1.0, "end"),
        ),
    )
    points = draw_points(problem, {"equation": 50, "conditions": 150}, "sobol", 0, 0)
    candidates = sample(cube, 200, "sobol", np.random.default_rng(0))
    near = near_pins(problem, points, candidates, np.random.default_rng(1))
    to_end = np.linalg.norm(near - 1, axis=1)
    to_edge = np.linalg.norm(near[:, :2], axis=1)
    assert np.sum(to_end < 0.01) > 30
    assert np.sum(to_edge < 0.01) > 30


def test_such_a_problem_is_trained_saved_and_loaded(tmp_path):
    try:
        pinnzoo.register_problem(joint, name="flow")
        recipe = pinnzoo.Recipe(
            "flow",
            "mlp",
            (pinnzoo.Phase("lm", 4, resample_every=2),),
            architecture_arguments={"width": 6, "depth": 1},
            points={"equation": 40, "conditions": 10},
        )
        entry = pinnzoo.train(recipe)
        assert entry.history["loss"][-1] < 0.2 * entry.history["loss"][0]
        entry.save(tmp_path / "flow")
        loaded = pinnzoo.load(tmp_path / "flow", verify="all")
        points = DOMAIN.grid((3, 4))
        np.testing.assert_allclose(loaded.residual(points), entry.residual(points), rtol=1e-9)
        assert entry.residual(points).shape == (12, 3)
        manifest = (tmp_path / "flow" / "manifest.json").read_text()
        assert "test_systems.py" in manifest
    finally:
        pinnzoo.pdes.PROBLEMS.pop("flow", None)


def test_edited_problems_keep_the_names():
    problem = joint()
    edited = dataclasses.replace(problem, title="Edited")
    assert list(edited.terms) == list(problem.terms)
    assert edited.terms["continuity"].residual == problem.terms["continuity"].residual
    larger = Box("xy", (-1.0, -1.0), (2.0, 2.0))
    moved = dataclasses.replace(problem, domain=larger, conditions=())
    assert {term.region for term in moved.terms.values()} == {larger}
    other = dataclasses.replace(problem, equation=lambda u, z: flow(u, z)[::-1])
    assert {term.residual.function for term in other.equations} == {other.equation.function}
    assert other.equation.function is not flow
    renamed = dataclasses.replace(problem, system=("one", "two"))
    check_terms(renamed)
    assert list(renamed.terms)[:3] == ["equation", "one", "two"]
    plain = dataclasses.replace(problem, equation=lambda u, z: u(z, "u_x")[0], system=())
    check_terms(plain)
    assert list(plain.terms) == ["equation", "dirichlet_u_x_left"]


@pytest.mark.parametrize(
    ("equation", "system", "words"),
    [
        (flow, (), r"Problem\(system=\('continuity'"),
        (flow, ("momentum_y",), "returns 3 residuals, and `system` names 1"),
        (lambda u, z: u(z, "u_x")[0], ("continuity",), "returns 1 residual, and"),
        (lambda *_: jnp.ones(2), ("continuity", "more"), "returns 2 residuals, and"),
    ],
)
def test_names_and_residuals_that_do_not_fit_are_refused(equation, system, words):
    with pytest.raises(RecipeError, match=words):
        check_terms(problem_of(equation, system))


def test_names_that_are_given_twice_are_refused():
    with pytest.raises(RecipeError, match="more than one term named 'continuity'"):
        problem_of(flow, ("continuity", "continuity"))


def test_an_array_of_residuals_is_as_good_as_a_tuple():
    problem = problem_of(lambda u, z: jnp.stack(flow(u, z)), ("momentum_y", "continuity"))
    check_terms(problem)
    assert list(problem.terms) == list(joint().terms)
