"""The self-scaled quasi-Newton methods against the published formulas for the Hessian itself."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo.errors import RecipeError
from pinnzoo.objective import EQUATION, Objective, Term
from pinnzoo.optimizers import make_optimizer
from pinnzoo.optimizers._self_scaled import (
    Curvature,
    SelfScaledState,
    coefficients,
    update_inverse_hessian,
)
from pinnzoo.optimizers.ssbroyden import _member
from pinnzoo.training.loop import advance_by
from tests.oracles import matrix_with_spectrum, small_assembly

NAMES = ("ssbfgs", "ssbroyden")


@functools.cache
def heat(dtype="float64"):
    theta, objective, _ = small_assembly("heat", n=12, depth=1, dtype=dtype)
    return theta, objective


@functools.cache
def compiled(name, **arguments):
    optimizer = make_optimizer(name, arguments)
    return optimizer.init, jax.jit(optimizer.step)


def linear_objective(rows):
    """½ |A (θ - 1)|², its points the rows of A."""
    return Objective(
        (Term(jnp.asarray(rows), jnp.asarray(1.0), EQUATION, lambda t, z: z @ (t - 1.0)),)
    )


def scalar_objective(residual):
    return Objective((Term(jnp.ones((1, 1)), jnp.asarray(1.0), EQUATION, residual),))


def published_parameters(name, b, h, p, fresh):
    """θ_k and τ_k, Eq. 11 and 13 to 23 of arXiv 2405.04230, in their order and notation."""
    a = b * h - 1
    if name == "ssbfgs":
        theta_k = 0.0
    else:
        c = np.sqrt(a / (a + 1))
        rho_minus = min(1, h * (1 - c))
        theta_minus, theta_plus = (rho_minus - 1) / a, 1 / rho_minus
        theta_k = max(theta_minus, min(theta_plus, (1 - b) / b))
    sigma = 1 + a * theta_k
    if fresh:
        return theta_k, h / sigma
    if name == "ssbfgs":
        return theta_k, min(1, 1 / b)
    rho = min(1, 1 / b)
    if theta_k <= 0:
        return theta_k, min(rho * sigma ** (1 / (1 - p)), sigma)
    return theta_k, rho * min(sigma ** (1 / (1 - p)), 1 / theta_k)


def published_update(name, hessian, s, y, fresh):
    """The direct form, `τ [B - Bssᵀ B / sᵀBs + θ (sᵀBs) wwᵀ] + yyᵀ / sᵀy`."""
    bs, sy = hessian @ s, s @ y
    sbs = s @ bs
    theta_k, tau = published_parameters(
        name, sbs / sy, y @ np.linalg.solve(hessian, y) / sy, len(s), fresh
    )
    w = y / sy - bs / sbs
    kept = hessian - np.outer(bs, bs) / sbs + theta_k * sbs * np.outer(w, w)
    return theta_k, tau * kept + np.outer(y, y) / sy


@pytest.mark.parametrize("initial_scaling", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_steps_and_matrix_equal_the_published_update_of_the_hessian(name, initial_scaling):
    theta, objective = heat()
    gradient = jax.jit(jax.grad(objective.loss))
    init, step = compiled(name, initial_scaling=initial_scaling)
    state = init(objective, theta)
    hessian, members = np.eye(theta.size), []
    for k in range(12):
        g = np.asarray(gradient(theta))
        new, state, info = step(objective, theta, state)
        s = np.asarray(new - theta)
        direction = -np.linalg.solve(hessian, g)
        # Only the length is taken from the line search.
        expected = direction * float(info.step_norm) / np.linalg.norm(direction)
        np.testing.assert_allclose(s, expected, rtol=0, atol=1e-9 * np.abs(s).max())
        y = np.asarray(gradient(new)) - g
        member, hessian = published_update(name, hessian, s, y, initial_scaling and k == 0)
        members.append(member)
        inverse = np.linalg.inv(hessian)
        np.testing.assert_allclose(
            state.inverse_hessian, inverse, rtol=0, atol=1e-8 * np.abs(inverse).max()
        )
        theta = new
    assert int(state.updates) == 12
    if name == "ssbroyden":
        assert min(members) < -1e-2 < 1e-2 < max(members), "both signs of θ should be tried"


@pytest.mark.parametrize("name", NAMES)
def test_every_step_meets_the_strong_wolfe_conditions(name):
    theta, objective = heat()
    loss = jax.jit(jax.value_and_grad(objective.loss))
    init, step = compiled(name, initial_scaling=False)
    state = init(objective, theta)
    for _ in range(12):
        before, g = loss(theta)
        new, state, _ = step(objective, theta, state)
        after, g_new = loss(new)
        slope, slope_new = float(g @ (new - theta)), float(g_new @ (new - theta))
        assert after <= before + 1e-4 * slope
        assert abs(slope_new) <= 0.9 * abs(slope)
        theta = new


@pytest.mark.parametrize("name", NAMES)
def test_inverse_hessian_is_symmetric_positive_and_maps_y_to_s(name):
    theta, objective = heat()
    gradient = jax.jit(jax.grad(objective.loss))
    init, step = compiled(name, initial_scaling=False)
    state = init(objective, theta)
    for _ in range(60):
        new, state, _ = step(objective, theta, state)
        s, y = np.asarray(new - theta), np.asarray(gradient(new) - gradient(theta))
        matrix = np.asarray(state.inverse_hessian)
        np.testing.assert_array_equal(matrix, matrix.T)
        scale = float(np.linalg.norm(matrix, 2) * np.linalg.norm(y))
        np.testing.assert_allclose(matrix @ y, s, rtol=0, atol=1e-12 * scale)
        theta = new
    values = np.linalg.eigvalsh(matrix)
    assert values[0] > 0
    assert values[-1] > 10 * values[0]


MEMBERS = {"bfgs": lambda _: 0.0, "halfway_to_dfp": lambda _: 0.5, "ssbroyden": _member}


@pytest.mark.parametrize("choose", MEMBERS.values(), ids=MEMBERS)
def test_quadratic_ends_in_p_steps_with_exact_line_search(choose):
    p = 6
    hessian = matrix_with_spectrum(p, p, np.geomspace(1, 100, p))
    hessian = hessian.T @ hessian
    rng = np.random.default_rng(1)
    x, matrix, directions = rng.normal(size=p), jnp.eye(p), []
    start = np.linalg.norm(hessian @ x)
    for _ in range(p):
        g = hessian @ x
        d = -np.asarray(matrix) @ g
        alpha = -(g @ d) / (d @ hessian @ d)
        s, y = alpha * d, alpha * hessian @ d
        curvature = Curvature(
            jnp.asarray(-alpha * (s @ g) / (s @ y)),
            jnp.asarray(y @ np.asarray(matrix) @ y / (s @ y)),
        )
        tau, phi = coefficients(curvature, choose(curvature), p, jnp.asarray(False))
        matrix = update_inverse_hessian(matrix, jnp.asarray(s), jnp.asarray(y), tau, phi)
        directions.append(d / np.sqrt(d @ hessian @ d))
        x = x + s
    conjugate = np.array(directions) @ hessian @ np.array(directions).T
    np.testing.assert_allclose(conjugate, np.eye(p), atol=1e-6)
    assert np.linalg.norm(hessian @ x) < 1e-9 * start


@pytest.mark.parametrize("name", NAMES)
def test_convergence_on_an_ill_conditioned_quadratic_is_superlinear(name):
    objective = linear_objective(matrix_with_spectrum(12, 12, np.geomspace(1e-2, 10, 12)))
    init, step = compiled(name, initial_scaling=False)
    theta = jnp.zeros(12)
    state, losses = init(objective, theta), []
    for _ in range(60):
        theta, state, info = step(objective, theta, state)
        losses.append(float(info.loss))
        if losses[-1] < 1e-20:
            break
    # Gradient descent at condition 10⁶ gains one part in 10⁶ per step; how sharp the last steps
    # are depends on rounding.
    assert losses[-1] < 1e-20
    assert losses[-1] < 1e-2 * losses[-5]


def test_both_go_far_below_lbfgs_and_ssbroyden_furthest():
    theta, objective, _ = small_assembly("heat", n=40, width=8)
    ends = {}
    for name in ("lbfgs", *NAMES):
        optimizer = make_optimizer(name, {"memory_size": 30} if name == "lbfgs" else {})
        state = optimizer.init(objective, theta)
        end, _, _ = advance_by(optimizer)(objective, theta, state, 300)
        ends[name] = float(objective.loss(end))
    assert 0 < ends["ssbroyden"] < ends["ssbfgs"] < 0.1 * ends["lbfgs"]


@pytest.mark.parametrize("name", NAMES)
def test_failed_line_search_is_a_rejected_step_that_resets_the_matrix(name):
    theta, objective = heat()
    init, step = compiled(name, initial_scaling=False)
    fresh = init(objective, theta)
    # -H leads uphill, so that no step length lowers the loss.
    uphill = SelfScaledState(-fresh.inverse_hessian, jnp.asarray(7, jnp.int32))
    same, state, info = step(objective, theta, uphill)
    np.testing.assert_array_equal(same, theta)
    assert info.accepted == 0
    assert info.step_norm == 0
    np.testing.assert_array_equal(state.inverse_hessian, np.eye(theta.size))
    assert int(state.updates) == 0
    moved, _, info = step(objective, theta, state)
    assert info.accepted == 1
    np.testing.assert_array_equal(moved, step(objective, theta, fresh)[0])


@pytest.mark.parametrize("name", NAMES)
def test_where_the_gradient_vanishes_the_step_is_rejected(name):
    objective = scalar_objective(lambda theta, z: z[0] + 0.0 * theta[0])
    init, step = compiled(name, initial_scaling=False)
    theta = jnp.ones(2)
    same, state, info = step(objective, theta, init(objective, theta))
    np.testing.assert_array_equal(same, theta)
    assert info.accepted == 0
    assert np.isfinite(state.inverse_hessian).all()


@pytest.mark.parametrize("name", NAMES)
def test_line_search_backs_out_of_where_the_loss_is_not_a_number(name):
    objective = scalar_objective(lambda theta, z: jnp.log(theta[0]) + 5.0 * z[0])
    init, step = compiled(name, initial_scaling=False)
    theta = jnp.ones(1)
    assert np.isnan(float(objective.loss(theta - 5.0)))
    state = init(objective, theta)
    for _ in range(15):
        theta, state, _ = step(objective, theta, state)
    np.testing.assert_allclose(theta, np.exp(-5.0), rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_negative_curvature_leaves_the_matrix_as_it_was(name):
    # ½ cos² near its maximum: a unit step lowers the loss while the gradient grows.
    objective = scalar_objective(lambda theta, z: z[0] * jnp.cos(theta[0]))
    init, step = compiled(name, max_linesearch_steps=1)
    theta = jnp.array([0.1])
    new, state, info = step(objective, theta, init(objective, theta))
    gradient = jax.grad(objective.loss)
    assert (new - theta) @ (gradient(new) - gradient(theta)) < 0
    assert info.accepted == 1
    np.testing.assert_array_equal(state.inverse_hessian, np.eye(1))
    assert int(state.updates) == 0


@pytest.mark.parametrize("name", NAMES)
def test_matrix_is_kept_where_the_points_are_redrawn(name):
    theta, objective = heat()
    init, step = compiled(name, initial_scaling=False)
    theta, state, _ = step(objective, theta, init(objective, theta))
    points = {term.name: 0.9 * np.asarray(term.points) for term in objective.terms}
    moved = objective.with_points(points)
    new, state_after, _ = step(moved, theta, state)
    direction = -np.asarray(state.inverse_hessian) @ np.asarray(jax.grad(moved.loss)(theta))
    s = np.asarray(new - theta)
    cosine = s @ direction / np.linalg.norm(s) / np.linalg.norm(direction)
    assert cosine == pytest.approx(1, abs=1e-12)
    assert int(state_after.updates) == 2


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_stays_single_and_converges_to_its_rounding(name):
    theta, objective = heat("float32")
    optimizer = make_optimizer(name, {})
    start = float(objective.loss(theta))
    end, state, info = advance_by(optimizer)(
        objective, theta, optimizer.init(objective, theta), 300
    )
    assert end.dtype == state.inverse_hessian.dtype == info.loss.dtype == jnp.float32
    assert float(objective.loss(end)) < 1e-3 * start
    assert np.isfinite(state.inverse_hessian).all()


@pytest.mark.parametrize("name", NAMES)
def test_line_search_without_evaluations_is_refused(name):
    with pytest.raises(RecipeError, match="max_linesearch_steps"):
        make_optimizer(name, {"max_linesearch_steps": 0})
