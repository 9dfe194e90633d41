import jax
import numpy as np
import pytest
import scipy.linalg

from pinnzoo import analysis
from pinnzoo.errors import DiagnosticError, PointsError
from tests.analysis.models import descend, linear
from tests.diagnostics.oracles import dense_jacobian, moved, small, toy


def residual_of(objective, theta):
    return np.asarray(jax.jit(type(objective).residual)(objective, theta))


def test_descent_of_a_linear_model_is_exact():
    objective, theta = linear()
    model = analysis.linearise(objective, theta)
    rate = 0.7 / model.modes.eigenvalues[0]
    for steps in (1, 25):
        wanted = residual_of(objective, descend(objective, theta, rate, steps))
        np.testing.assert_allclose(model.descent([steps], rate)[0], wanted, rtol=1e-8, atol=1e-12)


def test_flow_of_a_linear_model_is_the_matrix_exponential():
    objective, theta = linear()
    rows = dense_jacobian(objective, theta)
    start = residual_of(objective, theta)
    model = analysis.linearise(objective, theta)
    times = [0.0, 0.3, 20.0]
    wanted = [scipy.linalg.expm(-t * rows @ rows.T) @ start for t in times]
    np.testing.assert_allclose(model.flow(times), wanted, rtol=1e-8, atol=1e-12)
    losses = model.losses(model.flow(times))
    assert losses[0] == pytest.approx(0.5 * start @ start)


@pytest.mark.parametrize("damping", [1e-2, 3.0])
def test_damped_steps_of_a_linear_model_are_exact(damping):
    objective, theta = linear()
    rows = dense_jacobian(objective, theta)
    at = np.asarray(theta)
    for _ in range(2):
        damped = rows.T @ rows + damping * np.eye(len(at))
        at = at - np.linalg.solve(damped, rows.T @ residual_of(objective, at))
    found = analysis.linearise(objective, theta).gauss_newton([2], damping)[0]
    np.testing.assert_allclose(found, residual_of(objective, at), rtol=1e-8, atol=1e-12)


def test_one_step_of_gauss_newton_removes_all_modes_or_none():
    # Theorem 4.2 of arXiv 2402.03864: the modes of the preconditioned kernel are 1 and 0.
    objective, theta = linear()
    model = analysis.linearise(objective, theta)
    rows, start = dense_jacobian(objective, theta), residual_of(objective, theta)
    left = start - rows @ np.linalg.lstsq(rows, start, rcond=None)[0]
    found = model.gauss_newton([0, 1, 5])
    np.testing.assert_allclose(found[0], start, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found[1], left, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found[2], left, rtol=1e-8, atol=1e-10)
    share = model.modes.vectors.T @ found[1] / model.modes.residual
    np.testing.assert_allclose(share, [0] * 6 + [1] * 6, atol=1e-8)
    with pytest.raises(DiagnosticError, match="zero or more"):
        model.gauss_newton([1], -1.0)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda m: m.descent([1], np.nan), "the learning rate nan was given"),
        (lambda m: m.descent([1], -1.0), "the learning rate -1.0 was given"),
        (lambda m: m.descent([1], "a"), "the learning rate 'a' was given"),
        (lambda m: m.descent([0.5]), "steps with 0.5 among them were given: give whole numbers"),
        (lambda m: m.descent([1, -2]), "steps with -2 among them"),
        (lambda m: m.gauss_newton([0.5], 0.1), "steps with 0.5 among them"),
        (lambda m: m.gauss_newton([1], np.inf), "the damping inf was given"),
        (lambda m: m.gauss_newton([1], None), "the damping None was given"),
        (lambda m: m.flow("a"), "times were given as 'a': give finite numbers"),
        (lambda m: m.flow([np.nan]), "times with nan among them"),
        (lambda m: m.flow([[1.0]]), r"times of shape \(1, 1\) were given"),
    ],
)
def test_numbers_without_a_meaning_are_refused(ask, says):
    objective, theta = linear()
    with pytest.raises(DiagnosticError, match=says):
        ask(analysis.linearise(objective, theta))


def test_laziness_takes_one_step_for_each_row():
    objective, theta = linear()
    rows = np.stack([theta] * 9)
    with pytest.raises(DiagnosticError, match=r"\(2,\) were given for 9 rows"):
        analysis.laziness(objective, thetas=rows, steps=[0, 1])
    for wrong in (theta, rows[:0], [["a", "b"]]):
        with pytest.raises(PointsError, match="one row per step"):
            analysis.laziness(objective, thetas=wrong)
    assembly = small(terms=2)
    with pytest.raises(PointsError, match="one row per step"):
        analysis.laziness(assembly.objective, thetas=np.asarray(assembly.theta)[None, 1:])


def test_wide_network_on_a_linear_equation_trains_as_gradient_flow_predicts():
    assembly = toy(linear=True, width=8_000)
    objective, theta = assembly.objective, np.asarray(assembly.theta)
    model = analysis.linearise(objective, theta)
    steps, rate = 400, 0.02 / model.modes.eigenvalues[0]
    trained = residual_of(objective, descend(objective, theta, rate, steps))
    start = residual_of(objective, theta)
    predicted = model.flow([steps * rate])[0]
    assert np.linalg.norm(start - trained) > 0.3 * np.linalg.norm(start)
    assert np.linalg.norm(trained - predicted) < 1e-3 * np.linalg.norm(start)


def test_a_linear_model_is_lazy_from_its_first_step():
    objective, theta = linear()
    thetas = [theta + k * moved(np.zeros(6)) for k in range(4)]
    found = analysis.laziness(objective, thetas=thetas, steps=[0, 5, 6, 9])
    assert np.nanmax(found.departures) < 1e-12
    assert found.lazy_from() == 0
    assert found.whole == found.departures[0, 3]


def test_laziness_is_the_distance_from_the_linear_model():
    assembly = small(terms=2)
    objective, theta = assembly.objective, np.asarray(assembly.theta)
    thetas = np.stack([theta, moved(theta, 0.5), moved(theta, 0.5) + 1e-4])
    found = analysis.laziness(objective, thetas=thetas, steps=[0, 10, 20])
    visited = [residual_of(objective, each) for each in thetas]
    linear_one = visited[0] + dense_jacobian(objective, theta) @ (thetas[1] - theta)
    wanted = np.linalg.norm(visited[1] - linear_one) / np.linalg.norm(visited[1] - visited[0])
    assert found.departures[0, 1] == pytest.approx(wanted, rel=1e-8)
    assert wanted > 0.1 > found.departures[1, 2]
    assert found.lazy_from() == 10
    assert found.lazy_from(1e-9) is None
    assert np.isnan(found.departures[1, 0])
    np.testing.assert_allclose(found.losses, [0.5 * r @ r for r in visited], rtol=1e-8)
    with pytest.raises(DiagnosticError, match="thetas="):
        analysis.laziness(objective)


def test_alignment_is_the_cosine_of_centered_kernels():
    rng = np.random.default_rng(0)
    rows, others = rng.standard_normal((2, 7, 3))
    h = np.eye(7) - 1 / 7
    a, b = rows @ rows.T, others @ others.T
    wanted = np.trace(h @ a @ h @ b) / np.sqrt(np.trace(h @ a @ h @ a) * np.trace(h @ b @ h @ b))
    assert analysis.kernel_alignment(a, b) == pytest.approx(wanted, rel=1e-8)
    assert analysis.kernel_alignment(a, 5 * a + 3) == pytest.approx(1)
    y = rng.standard_normal(7)
    wanted = y @ a @ y / (np.linalg.norm(a) * (y @ y))
    assert analysis.target_alignment(a, y) == pytest.approx(wanted, rel=1e-8)
    found = analysis.alignments([0, 3, 9], [a, b, 2 * b], [y, y, 0 * y])
    assert found.settled_from() == 3
    # The last kernel is like itself, which says nothing.
    assert analysis.alignments([0, 3, 9], [a, a, b], np.ones((3, 7))).settled_from() is None
    assert analysis.alignments([0, 3, 9], [a, a, a], np.ones((3, 7))).settled_from() == 0
    assert analysis.alignments([0], [a], np.ones((1, 7))).settled_from() is None
    assert found.residual[2] == 0
    assert found.kernels[0, 2] == pytest.approx(analysis.kernel_alignment(a, b))
