"""Errors, derivatives and residuals of functions against closed forms."""

import dataclasses
import time
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo import Box, Condition, Problem
from pinnzoo.domains import sample
from pinnzoo.errors import PinnzooError, PointsError, UnknownNameError
from pinnzoo.evaluation import (
    derivatives,
    error_figures,
    evaluate,
    evaluate_field,
    field_of,
    residual,
)
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.pdes.reference import evaluate_function
from tests.oracles import finite_difference, small_network

CLOSED = [n for n in PROBLEMS if make_problem(n, {}).reference.method == "closed form"]  # pyright: ignore


def interior(problem, n=20):
    points = sample(problem.domain, n, "uniform", np.random.default_rng(0))
    moved = np.asarray(problem.domain.lower) + 0.02 + 0.96 * (points - problem.domain.lower)
    return moved[problem.domain.contains(moved)]


@pytest.mark.parametrize("name", CLOSED)
def test_derivatives_of_a_closed_form_are_its_jacobian_and_hessian(name):
    problem = make_problem(name, {})
    solution, points = problem.reference.function, interior(problem)  # pyright: ignore
    names = [
        f"{c}_{''.join(letters)}"
        for c in problem.components
        for letters in (*problem.coords, *(a + b for a in problem.coords for b in problem.coords))
    ]
    values = derivatives(problem, solution, points, " ".join(names))
    assert values.shape == (len(points), len(names))
    assert values.dtype == np.float64
    # Reverse over forward mode, which shares no code with the towers of `Field`.
    slopes, curvatures = (
        np.asarray(jax.jit(jax.vmap(of))(points))
        for of in (jax.jacrev(solution), jax.jacfwd(jax.jacrev(solution)))
    )
    expected = np.concatenate(
        [
            block.reshape(len(points), -1)
            for k in range(problem.m)
            for block in (slopes[:, k], curvatures[:, k])
        ],
        axis=1,
    )
    scale = np.abs(expected).max()
    assert scale > 0.1
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-12 * scale)


@pytest.mark.parametrize("name", ["heat", "kdv_solitons"])
def test_derivatives_of_a_closed_form_are_finite_differences(name):
    problem = make_problem(name, {})
    solution, points = problem.reference.function, interior(problem, 3)  # pyright: ignore
    values = derivatives(problem, solution, points, "u_t u_xx")
    for z, row in zip(points, values, strict=True):
        for value, axes in zip(row, ([0], [1, 1]), strict=True):
            expected = finite_difference(solution, z, axes)[0]
            np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", CLOSED)
def test_residual_of_a_closed_form_is_rounding(name):
    problem = make_problem(name, {})
    solution, points = problem.reference.function, interior(problem)  # pyright: ignore
    values = residual(problem, solution, points)
    assert values.shape == (len(points), 1 + len(problem.system))
    orders = [f"{problem.components[0]}_{s}{s}" for s in problem.coords]
    terms = np.abs(derivatives(problem, solution, points, " ".join(orders))).max()
    assert np.abs(values).max() < 1e-10 * terms
    wrong = residual(
        problem, lambda z: solution(z) + 0.05 * jnp.exp(jnp.sum(z) + 0.6 * z[0]), points
    )
    assert (np.abs(wrong).max(axis=0) > 1e-2).all()


def test_networks_of_one_structure_share_what_was_compiled():
    problem = make_problem("burgers", {"constraints": "hard"})
    points = interior(problem)
    seconds = []
    for seed in (0, 1):
        network = small_network(problem, seed=seed)
        start = time.perf_counter()
        values = derivatives(problem, field_of(problem, network), points, "u u_xx")
        seconds.append(time.perf_counter() - start)
        expected = evaluate_function(problem.constrain(network), points)  # pyright: ignore
        np.testing.assert_allclose(values[:, :1], expected, rtol=1e-12)
    assert seconds[1] < seconds[0] / 2


def test_derivatives_that_do_not_exist_and_points_outside_are_refused():
    problem = make_problem("heat", {})
    solution = problem.reference.function  # pyright: ignore
    with pytest.raises(UnknownNameError, match="u_z"):
        derivatives(problem, solution, [[0.5, 0.5]], "u u_z")
    with pytest.raises(PointsError, match="no names"):
        derivatives(problem, solution, [[0.5, 0.5]], " ")
    both: tuple[Any, ...] = (residual, lambda p, f, z, **k: derivatives(p, f, z, "u", **k))
    for function in both:
        with pytest.raises(PointsError, match="outside"):
            function(problem, solution, [[0.5, 1.5]])
        assert function(problem, solution, [[0.5, 1.5]], extrapolate=True).shape == (1, 1)


class TestEvaluate:
    def entry(self, **changes) -> Any:
        problem = dataclasses.replace(make_problem("heat", {}), **changes)
        return SimpleNamespace(problem=problem, model=small_network(problem))

    def test_figures_on_the_grid_are_those_of_the_field(self):
        entry = self.entry(evaluation_shape=(21, 21))
        figures = evaluate(entry)
        field = entry.problem.constrain(entry.model)
        expected = evaluate_field(entry.problem, field)
        assert figures.keys() == expected.keys()
        np.testing.assert_allclose(figures["max_error"], expected["max_error"], rtol=1e-12)

    def test_without_a_reference_a_sentence_says_what_is_missing(self):
        for points in (None, [[0.5, 0.5]]):
            with pytest.raises(PinnzooError, match=r"'heat' has no reference .* Reference"):
                evaluate(self.entry(reference=None), points)

    def test_points_outside_of_the_domain_are_refused(self):
        with pytest.raises(PointsError, match="outside"):
            evaluate(self.entry(), [[0.5, 0.5], [2.0, 0.5]])

    def test_a_reference_of_zero_gives_no_relative_error(self):
        values, zero = np.ones((3, 1)), np.zeros((3, 1))
        assert error_figures(values, zero) == {"max_error": 1.0}
        entry = self.entry()
        zeroed = dataclasses.replace(
            entry.problem.reference, function=lambda z: jnp.zeros((1,), z.dtype)
        )
        entry = self.entry(reference=zeroed, evaluation_shape=(5, 5))
        with pytest.warns(UserWarning, match="zero at all 1 points"):
            assert set(evaluate(entry, [[0.5, 0.5]])) == {"max_error"}
        with pytest.raises(PointsError, match="zero"):
            evaluate(entry)

    def test_a_reference_of_nothing_but_rounding_gives_no_relative_error(self):
        problem = make_problem("burgers", {})
        entry: Any = SimpleNamespace(problem=problem, model=small_network(problem))
        with pytest.warns(UserWarning, match="zero, up to its own error, at all 2 points"):
            assert set(evaluate(entry, [[0.5, 1.0], [0.5, -1.0]])) == {"max_error"}
        assert evaluate(entry, [[0.5, 1.0], [0.5, 0.3]])["reference_error"] < 1e-9

    def test_the_reference_is_computed_once_per_problem(self):
        calls = []

        class Counted:
            method, refined = "counted", None

            def __call__(self, points):
                calls.append(len(points))
                return np.ones((len(points), 1))

            def certified_error(self, points, *_):
                calls.append(len(points))
                return 1e-16

        entry = self.entry(reference=Counted(), evaluation_shape=(5, 5))
        first = evaluate(entry)
        assert evaluate(entry) == first
        assert calls == [25, 25]


def test_residual_of_an_equation_on_a_part_of_the_domain_is_nan_elsewhere():
    half = Box("x", (0.5,), (1.0,))
    problem = Problem(
        name="halves",
        domain=Box("x", (0.0,), (1.0,)),
        components=("u",),
        equation=lambda u, z: u(z, "u")[0],
        system=(Condition("right", lambda u, z: u(z, "u_x")[0], half),),
    )
    found = residual(problem, lambda z: 2 * z, [[0.25], [0.75]])
    np.testing.assert_array_equal(found, [[0.5, np.nan], [1.5, 2.0]])
