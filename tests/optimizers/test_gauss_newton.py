"""The Gauss-Newton family against dense least squares, dense sketches and explicit root finding."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from pinnzoo.errors import RecipeError
from pinnzoo.objective import EQUATION, Objective, Term
from pinnzoo.optimizers import make_optimizer
from pinnzoo.optimizers._line_search import LENGTHS, grid_line_search
from pinnzoo.optimizers._linearization import damped_minimizer, linearize
from pinnzoo.optimizers.levenberg_marquardt_lsmr import jacobian_operator
from pinnzoo.optimizers.sketched_gauss_newton import (
    CosineBasis,
    TrustRegion,
    longest_good,
    sketch_rows,
)
from tests.oracles import damped_step, matrix_with_spectrum, small_assembly

FAMILY = ("gauss_newton", "levenberg_marquardt_lsmr", "sketched_gauss_newton", "spring")


@pytest.fixture(scope="module")
def heat():
    """Parameters, objective, J and r: twice as many rows as parameters."""
    return dense(60)


@pytest.fixture(scope="module")
def wide():
    """The same with fewer rows than parameters."""
    return dense(6)


def dense(n):
    theta, objective, _ = small_assembly("heat", n=n, depth=1)
    jacobian = np.asarray(jax.jit(lambda o, t: o.jacobian(t))(objective, theta))
    return (
        theta,
        objective,
        jacobian,
        np.asarray(jax.jit(lambda o, t: o.residual(t))(objective, theta)),
    )


def one_step(name, objective, theta, **arguments):
    optimizer = make_optimizer(name, arguments)
    new, state, info = optimizer.step(objective, theta, optimizer.init(objective, theta))
    return np.asarray(new - theta), state, info


def close(actual, expected, rtol):
    """Equal as vectors, and not zero."""
    assert np.linalg.norm(expected) > 1e-6
    assert np.linalg.norm(actual - expected) <= rtol * np.linalg.norm(expected)


def secular_root(jacobian, residual, radius):
    """λ at which the damped step has this length, by bracketing in log λ."""
    ones = np.ones(jacobian.shape[1])

    def excess(log_damping):
        step = damped_step(jacobian, residual, ones, float(np.exp(log_damping)))
        return np.log(np.linalg.norm(step) / radius)

    root: Any = scipy.optimize.brentq(excess, -60, 20, xtol=1e-12)
    return float(np.exp(root))


def best_length(objective, theta, direction):
    """The line search, one length after the other."""
    loss = jax.jit(objective.loss)
    losses = [float(loss(theta + length * direction)) for length in LENGTHS]
    return LENGTHS[int(np.nanargmin(losses))]


@pytest.mark.parametrize("damping", [1e-14, 1e-9, 1e-2])
@pytest.mark.parametrize("shape", [(40, 25), (25, 40)])
def test_damped_minimizer_equals_lstsq_of_the_augmented_system(shape, damping):
    n, p = shape
    jacobian = matrix_with_spectrum(n, p, np.logspace(0, -4, 25))
    residual = np.random.default_rng(1).normal(size=n)
    model = linearize(linear(jacobian, residual), jnp.zeros(p), 512)
    step = np.asarray(damped_minimizer(model, model.residual, damping))
    close(step, damped_step(jacobian, residual, np.ones(p), damping), 1e-6)


def affine(theta, z):
    return z[:-1] @ theta + z[-1]


def linear(jacobian, residual):
    """An objective whose residual is `J θ + r`."""
    rows = jnp.concatenate([jnp.asarray(jacobian), jnp.asarray(residual)[:, None]], axis=1)
    return Objective((Term(rows, jnp.asarray(1.0), EQUATION, affine),))


def test_damped_minimizer_of_a_vanishing_jacobian_is_zero():
    model = linearize(linear(np.zeros((3, 2)), np.ones(3)), jnp.zeros(2), 512)
    assert np.all(np.asarray(damped_minimizer(model, model.residual, 0.0)) == 0)


def test_line_search_finds_the_best_length_one_by_one(heat):
    theta, objective, jacobian, residual = heat
    for factor in (1.0, 30.0):
        direction = factor * damped_step(jacobian, residual, np.ones(theta.size), 1e-3)
        expected = best_length(objective, theta, direction)
        assert 0 < expected < 1 or factor == 1.0
        delta = grid_line_search(objective, theta, jnp.asarray(direction))
        close(np.asarray(delta), expected * direction, 1e-14)


def test_line_search_stays_where_every_length_raises_the_loss_or_leaves_the_numbers(heat):
    theta, objective, jacobian, residual = heat
    uphill = jnp.asarray(jacobian.T @ residual)
    assert np.linalg.norm(uphill) > 1e-3
    for direction in (uphill, jnp.full_like(theta, jnp.nan)):
        assert np.all(np.asarray(grid_line_search(objective, theta, direction)) == 0)


def test_gauss_newton_takes_the_direction_of_lstsq_and_the_best_length(heat):
    theta, objective, jacobian, residual = heat
    delta, _, info = one_step("gauss_newton", objective, theta, relative_damping=1e-4)
    damping = 1e-4 * np.sum(jacobian**2)
    direction = damped_step(jacobian, residual, np.ones(theta.size), damping)
    close(delta, best_length(objective, theta, direction) * direction, 1e-6)
    np.testing.assert_allclose(info.damping, damping, rtol=1e-12)


def test_gauss_newton_solves_linear_least_squares_in_one_step():
    jacobian = matrix_with_spectrum(30, 8, np.logspace(0, -3, 8))
    residual = np.random.default_rng(0).normal(size=30)
    objective = linear(jacobian, residual)
    delta, _, info = one_step("gauss_newton", objective, jnp.zeros(8), relative_damping=1e-14)
    close(delta, -np.linalg.lstsq(jacobian, residual, rcond=None)[0], 1e-6)
    assert info.accepted == 1


@pytest.mark.parametrize("setting", ["heat", "wide"])
def test_spring_equals_the_dense_minimization_with_momentum(setting, request):
    theta, objective, _, _ = request.getfixturevalue(setting)
    damping, mu, rate = 1e-2, 0.7, 0.3
    optimizer = make_optimizer(
        "spring", {"damping": damping, "momentum": mu, "learning_rate": rate}
    )
    state, phi = optimizer.init(objective, theta), np.zeros(theta.size)
    model = jax.jit(lambda t: (objective.jacobian(t), objective.residual(t)))
    for t in (1, 2, 3):
        jacobian, residual = map(np.asarray, model(theta))
        stacked = np.vstack([jacobian, np.sqrt(damping) * np.eye(theta.size)])
        right = np.concatenate([-residual, np.sqrt(damping) * mu * phi])
        phi = np.linalg.lstsq(stacked, right, rcond=None)[0]
        new, state, info = optimizer.step(objective, theta, state)
        close(np.asarray(new - theta), rate * phi / np.sqrt(1 - mu ** (2 * t)), 1e-8)
        np.testing.assert_allclose(info.step_norm, np.linalg.norm(new - theta), rtol=1e-9)
        theta = new
    close(np.asarray(state.momentum), phi, 1e-8)


def test_spring_without_momentum_is_a_damped_step_with_line_search(wide):
    theta, objective, jacobian, residual = wide
    assert len(jacobian) < theta.size
    delta, _, _ = one_step("spring", objective, theta, damping=1e-3, momentum=0.0)
    direction = damped_step(jacobian, residual, np.ones(theta.size), 1e-3)
    close(delta, best_length(objective, theta, direction) * direction, 1e-8)


@pytest.mark.parametrize("radius", [1e-3, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("smallest", [-2, -7])
def test_trust_region_step_equals_the_root_of_the_secular_equation(radius, smallest):
    jacobian = matrix_with_spectrum(30, 20, np.logspace(1, smallest, 20))
    residual = np.random.default_rng(1).normal(size=30)
    region = TrustRegion.of(jnp.asarray(jacobian), jnp.asarray(residual))
    damping = float(region.damping(jnp.asarray(radius)))
    root = secular_root(jacobian, residual, radius)
    np.testing.assert_allclose(damping, root, rtol=1e-6)
    step = np.asarray(region.step(jnp.asarray(damping)))
    np.testing.assert_allclose(np.linalg.norm(step), radius, rtol=1e-9)
    close(step, damped_step(jacobian, residual, np.ones(20), damping), 1e-6)
    predicted = residual @ residual - np.sum((residual + jacobian @ step) ** 2)
    np.testing.assert_allclose(region.predicted(jnp.asarray(damping)), predicted, rtol=1e-8)


def test_radius_beyond_the_undamped_step_leaves_it_undamped():
    jacobian = matrix_with_spectrum(30, 20, np.logspace(0, -2, 20))
    residual = np.random.default_rng(1).normal(size=30)
    region = TrustRegion.of(jnp.asarray(jacobian), jnp.asarray(residual))
    damping = region.damping(jnp.asarray(1e6))
    assert 0 < float(damping) < 1e-25
    expected = -np.linalg.lstsq(jacobian, residual, rcond=None)[0]
    close(np.asarray(region.step(damping)), expected, 1e-9)


def test_row_sketch_equals_the_dense_sketching_matrix(heat):
    """Four entries ±1/2 per column at most, unless two of them meet in one row."""
    theta, objective, jacobian, residual = heat
    rows, chunk = 50, 16
    key = jax.random.key(3)
    sketch = np.asarray(sketch_rows(objective, theta, key, rows, chunk))
    augmented = np.concatenate([jacobian, residual[:, None]], axis=1)
    # The same S applied to unit residuals: an objective whose residual is linear in n parameters.
    n = objective.n

    def unit(parameters, z):
        return parameters[z[0].astype(int)]

    starts = np.cumsum([0] + [term.n for term in objective.terms])
    terms = tuple(
        Term(jnp.arange(a, b, dtype=float)[:, None], jnp.asarray(1.0), term.name, unit)
        for a, b, term in zip(starts[:-1], starts[1:], objective.terms, strict=True)
    )
    matrix = np.asarray(sketch_rows(Objective(terms), jnp.zeros(n), key, rows, chunk))[:, :n]
    close(sketch, matrix @ augmented, 1e-12)
    assert set(np.unique(matrix)) <= {-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0}
    assert np.median(np.count_nonzero(matrix, axis=0)) == 4
    # S embeds on average: E |S x|² = |x|².
    assert 0.8 < np.sum(matrix**2) / n < 1.25
    assert np.unique(matrix, axis=1).shape[1] == n


def test_columns_are_projected_onto_an_orthonormal_basis_and_lifted_back():
    basis = CosineBasis.draw(jax.random.key(0), 40, 15, jnp.float64)
    matrix = np.asarray(basis.lift(jnp.eye(15)))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(15), atol=1e-12)
    vectors = jax.random.normal(jax.random.key(1), (3, 40))
    close(np.asarray(basis.project(vectors)), np.asarray(vectors) @ matrix.T, 1e-12)
    # Incoherent: a unit vector is spread over the basis.
    assert np.abs(matrix).max() < 0.3


def test_longest_good_step_stops_at_the_first_bad_ratio():
    assert longest_good(np.array([0.9, 0.5, 0.2, 0.05, 0.3]), 0.1) == 2
    assert longest_good(np.array([0.9, 0.5, 0.2]), 0.1) == 2
    assert longest_good(np.array([0.05, 0.5]), 0.1) == 0
    assert longest_good(np.array([0.5, np.nan, 0.5]), 0.1) == 0


def test_without_a_sketch_the_step_is_the_dense_trust_region_step(heat):
    theta, objective, jacobian, residual = heat
    delta, state, info = one_step("sketched_gauss_newton", objective, theta, radius=0.2)
    loss = jax.jit(objective.loss)
    chosen = None
    for radius in np.geomspace(0.2 / 3, 0.6, 24):
        damping = secular_root(jacobian, residual, radius)
        step = damped_step(jacobian, residual, np.ones(theta.size), damping)
        predicted = residual @ residual - np.sum((residual + jacobian @ step) ** 2)
        ratio = 2 * float(loss(theta) - loss(theta + step)) / predicted
        if ratio < 0.075:
            break
        chosen = (step, radius, damping, ratio)
    assert chosen is not None
    close(delta, chosen[0], 1e-6)
    np.testing.assert_allclose(state.radius, chosen[1], rtol=1e-9)
    np.testing.assert_allclose(info.damping, chosen[2], rtol=1e-5)
    np.testing.assert_allclose(info.gain_ratio, chosen[3], rtol=1e-5)


def test_sketched_step_lies_in_the_drawn_basis_and_changes_with_the_seed(heat):
    theta, objective, _, _ = heat
    size = {"rows": 60, "columns": 20, "chunk": 16}
    steps = [
        one_step("sketched_gauss_newton", objective, theta, seed=seed, **size) for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(steps[0][0], steps[1][0])
    assert not np.allclose(steps[0][0], steps[2][0])
    optimizer = make_optimizer("sketched_gauss_newton", size)
    state, deltas, at = optimizer.init(objective, theta), [], theta
    for _ in range(3):
        new, state, _ = optimizer.step(objective, at, state)
        deltas.append(np.asarray(new - at))
        at = new
    assert np.linalg.matrix_rank(np.stack(deltas)) == 3
    for delta, state, info in steps:
        assert info.accepted == 1
        np.testing.assert_allclose(np.linalg.norm(delta), info.step_norm, rtol=1e-9)
        assert state.step == 1


def test_sketched_step_descends_where_nearly_all_of_the_residual_is_out_of_reach():
    """The noise in the gradient of the sketch is thirty times the gradient."""
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(400, 7)))
    jacobian, out_of_reach = basis[:, :6], basis[:, 6]
    objective = linear(jacobian, out_of_reach + 0.01 * jacobian.sum(axis=1))
    optimizer = make_optimizer("sketched_gauss_newton", {"rows": 24, "columns": 6})
    theta = jnp.zeros(6)
    state = optimizer.init(objective, theta)
    for _ in range(12):
        theta, state, info = optimizer.step(objective, theta, state)
        assert info.accepted == 1
    np.testing.assert_allclose(theta, -0.01, atol=2e-3)


def test_radius_stays_positive_where_no_step_helps():
    objective = linear(np.zeros((3, 2)), np.ones(3))
    optimizer = make_optimizer("sketched_gauss_newton", {})
    theta = jnp.zeros(2)
    state = optimizer.init(objective, theta)
    for _ in range(6):
        theta, state, info = optimizer.step(objective, theta, state)
        assert info.accepted == 0
    assert 0 < state.radius < 1e-10
    assert np.all(np.asarray(theta) == 0)


@pytest.mark.parametrize("setting", ["heat", "wide"])
def test_lsmr_step_equals_the_dense_damped_step(setting, request):
    theta, objective, jacobian, residual = request.getfixturevalue(setting)
    delta, state, info = one_step(
        "levenberg_marquardt_lsmr", objective, theta, damping=1e-2, linear_tolerance=1e-14
    )
    close(delta, damped_step(jacobian, residual, np.ones(theta.size), float(info.damping)), 1e-6)
    # The ratio is that of the dense optimizer: for an exact step both denominators agree.
    reference, told, dense_info = one_step(
        "levenberg_marquardt", objective, theta, rule="paper", damping=1e-2, acceleration=0.0
    )
    close(delta, reference, 1e-6)
    np.testing.assert_allclose(info.gain_ratio, dense_info.gain_ratio, rtol=1e-6)
    np.testing.assert_allclose(state.damping, told.damping, rtol=1e-12)


def test_operator_has_the_products_of_the_jacobian(heat):
    theta, objective, jacobian, _ = heat
    operator = jacobian_operator(objective, theta)
    rng = np.random.default_rng(0)
    v, w = rng.normal(size=theta.size), rng.normal(size=objective.n)
    np.testing.assert_allclose(operator.matvec(v), jacobian @ v, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(operator.rmatvec(w), jacobian.T @ w, rtol=1e-9, atol=1e-11)


def test_lsmr_never_forms_a_jacobian(heat, monkeypatch):
    theta, objective, _, _ = heat

    def refuse(*args, **kwargs):
        raise AssertionError("the Jacobian was formed")

    monkeypatch.setattr(Objective, "jacobian", refuse)
    monkeypatch.setattr(Term, "jacobian", refuse)
    _, _, info = one_step("levenberg_marquardt_lsmr", objective, theta)
    assert info.accepted == 1


def test_sketch_never_holds_more_rows_of_the_jacobian_than_a_chunk(heat, monkeypatch):
    theta, objective, _, _ = heat
    seen, jacobian = [], Objective.jacobian

    def watch(self, *args, **kwargs):
        seen.append(self.n)
        return jacobian(self, *args, **kwargs)

    monkeypatch.setattr(Objective, "jacobian", watch)
    one_step("sketched_gauss_newton", objective, theta, rows=30, columns=20, chunk=11)
    assert seen
    assert max(seen) <= 11


@pytest.mark.parametrize("name", FAMILY)
def test_where_no_step_helps_the_parameters_stay_and_the_step_says_so(name):
    def flat(theta, z):
        return z[0] + 0.0 * theta[0]

    objective = Objective((Term(jnp.ones((3, 1)), jnp.asarray(1.0), EQUATION, flat),))
    delta, state, info = one_step(name, objective, jnp.ones(2))
    assert np.all(delta == 0)
    assert info.accepted == 0
    assert info.step_norm == 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


def hostile(theta, z):
    """Finite only for θ > 0, and the full Gauss-Newton step from θ = 1 leads far below."""
    return jnp.log(theta[0]) + 5.0 * z[0]


@pytest.mark.parametrize("name", FAMILY)
def test_step_into_nan_is_not_taken(name):
    objective = Objective((Term(jnp.ones((1, 1)), jnp.asarray(1.0), EQUATION, hostile),))
    theta = jnp.ones(1)
    arguments = {"levenberg_marquardt_lsmr": {"damping": 1e-8}, "spring": {"damping": 1e-8}}
    assert np.isnan(float(objective.loss(theta - 5.0)))
    delta, _, info = one_step(name, objective, theta, **arguments.get(name, {}))
    assert np.isfinite(delta).all()
    assert info.accepted == 1
    assert objective.loss(theta + delta) < objective.loss(theta)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("gauss_newton", {"relative_damping": 0.0}),
        ("gauss_newton", {"chunk": 0}),
        ("spring", {"momentum": 1.0}),
        ("spring", {"learning_rate": -1.0}),
        ("spring", {"damping": 0.0}),
        ("sketched_gauss_newton", {"rows": 10}),
        ("sketched_gauss_newton", {"tolerance": 1.0}),
        ("sketched_gauss_newton", {"radius": 0.0}),
        ("levenberg_marquardt_lsmr", {"damping": 1e13}),
        ("levenberg_marquardt_lsmr", {"tolerance": 0.25}),
        ("levenberg_marquardt_lsmr", {"iterations": 0}),
    ],
)
def test_numbers_out_of_range_are_refused(name, arguments):
    with pytest.raises(RecipeError, match=next(iter(arguments))):
        make_optimizer(name, arguments)


def test_lsmr_with_no_tolerance_takes_every_step_that_lowers_the_loss(heat):
    theta, objective, _, _ = heat
    delta, _, info = one_step("levenberg_marquardt_lsmr", objective, theta, tolerance=0.0)
    assert info.accepted == 1
    assert np.linalg.norm(delta) > 0
