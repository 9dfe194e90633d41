"""Levenberg-Marquardt against least squares, against optimistix, and rule by rule."""

import importlib
import math

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
import pytest

from pinnzoo import linalg
from pinnzoo.errors import RecipeError, UnknownNameError
from pinnzoo.objective import EQUATION, Objective, Term
from pinnzoo.optimizers import make_optimizer
from pinnzoo.optimizers.levenberg_marquardt import column_norms
from tests.oracles import damped_step, small_assembly

DAMPING = 1e-2

# The package gives the optimizer the name of its module.
module_of_lm = importlib.import_module("pinnzoo.optimizers.levenberg_marquardt")


def lm(**arguments):
    return make_optimizer("levenberg_marquardt", {"damping": DAMPING} | arguments)


def plain(**arguments):
    """The bare step: every decrease is accepted, nothing is added."""
    return lm(rule="paper", tolerance=0.0, acceleration=0.0, **arguments)


def one_step(optimizer, objective, theta):
    new, state, info = optimizer.step(objective, theta, optimizer.init(objective, theta))
    return np.asarray(new - theta), state, info


@pytest.fixture(scope="module")
def heat():
    theta, objective, _ = small_assembly("heat", n=30)
    jacobian = np.asarray(jax.jit(lambda o, t: o.jacobian(t))(objective, theta))
    residual = np.asarray(jax.jit(lambda o, t: o.residual(t))(objective, theta))
    return theta, objective, jacobian, residual


@pytest.mark.parametrize("method", ["cholesky", "kernel", "qr", "svd"])
def test_step_equals_lstsq_of_augmented_system(heat, method):
    theta, objective, jacobian, residual = heat
    delta, _, info = one_step(plain(method=method), objective, theta)
    expected = damped_step(jacobian, residual, np.ones(theta.size), float(info.damping))
    assert np.linalg.norm(expected) > 1e-3
    np.testing.assert_allclose(delta, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


def test_what_was_prepared_is_not_compiled_again(caplog):
    theta, objective, _ = small_assembly("wave", n=6)
    optimizer = lm()
    with jax.log_compiles():
        optimizer.prepare(objective, theta)()
        assert any("linearize" in record.message for record in caplog.records)
        caplog.clear()
        optimizer.step(objective, theta, optimizer.init(objective, theta))
    told = [record.message for record in caplog.records]
    assert told
    assert not any("XLA compilation" in text and "linearize" in text for text in told)


def test_scaled_step_equals_lstsq_of_scaled_system(heat):
    theta, objective, jacobian, residual = heat
    delta, _, info = one_step(plain(scaling="columns"), objective, theta)
    norms = np.linalg.norm(jacobian, axis=0)
    np.testing.assert_allclose(column_norms(jacobian), np.maximum(norms, 1e-6 * norms.max()))
    expected = damped_step(jacobian, residual, column_norms(jacobian), float(info.damping))
    np.testing.assert_allclose(delta, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


def test_step_equals_damped_newton_step_of_optimistix(heat):
    theta, objective, _, _ = heat
    delta, _, info = one_step(plain(method="qr"), objective, theta)
    operator = lx.JacobianLinearOperator(lambda y, _: objective.residual(y), theta)
    information = optx.FunctionInfo.ResidualJac(objective.residual(theta), operator)
    descent = optx.DampedNewtonDescent()
    state = descent.query(theta, information, descent.init(theta, information))
    expected = np.asarray(descent.step(jnp.asarray(1 / info.damping), state)[0])
    assert np.linalg.norm(expected) > 1e-3
    np.testing.assert_allclose(delta, expected, rtol=1e-8, atol=1e-10)


def test_geodesic_acceleration_equals_dense_second_derivatives(heat):
    theta, objective, jacobian, residual = heat
    start = lm(rule="paper", tolerance=0.0, acceleration=0.99, damping=1.0, method="qr")
    delta, _, info = one_step(start, objective, theta)
    v = damped_step(jacobian, residual, np.ones(theta.size), float(info.damping))

    def along(s):
        return objective.residual(theta + s * jnp.asarray(v))

    second = np.asarray(jax.jit(jax.jacfwd(jax.jacfwd(along)))(0.0))
    damped = jacobian.T @ jacobian + info.damping * np.eye(theta.size)
    a = -np.linalg.solve(damped, jacobian.T @ second)
    assert 2 * np.linalg.norm(a) <= 0.99 * np.linalg.norm(v), "choose a damping that accepts a"
    assert np.linalg.norm(a) > 1e-3 * np.linalg.norm(v)
    np.testing.assert_allclose(delta, v + a / 2, rtol=1e-6, atol=1e-9)


def test_corrections_end_where_the_proximal_gradient_vanishes_in_the_range_of_the_jacobian():
    # r(θ) = (θ₀ + θ₀²/4 - 1, θ₁ - 1): the fixed point solves λv = -J(θ)ᵀ r(θ+v), found by hand.
    def residual(theta, z):
        return jnp.where(z[0] < 0.5, theta[0] + theta[0] ** 2 / 4, theta[1]) - 1.0

    objective = Objective((Term(jnp.array([[0.0], [1.0]]), jnp.asarray(1.0), EQUATION, residual),))
    # A huge factor keeps the search from trying a second damping below.
    damping, theta = 0.5, jnp.zeros(2)
    optimizer = lm(damping=damping, factor=1e9, tolerance=0.2, corrections=200, acceleration=0.0)
    delta, _, info = one_step(optimizer, objective, theta)
    damping = float(info.damping)
    roots = np.roots([0.25, 1 + damping, -1.0])
    np.testing.assert_allclose(delta[1], 1 / (1 + damping), rtol=1e-6)
    # The loss stops falling by a tenth before the fixed point is exact.
    np.testing.assert_allclose(delta[0], roots[roots > 0][0], rtol=0.05)
    uncorrected = 1 / (1 + damping)
    assert abs(delta[0] - roots[roots > 0][0]) < 0.2 * abs(uncorrected - roots[roots > 0][0])


@pytest.mark.parametrize("scaling", ["identity", "columns"])
@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_jacobian_over_the_memory_budget_has_the_same_step(heat, scaling, method):
    theta, objective, _, _ = heat
    rows = 7
    memory = rows * theta.size * 8 / 2**30
    assert len(objective.split(rows)) > len(objective.terms)
    arguments = {"scaling": scaling, "method": method, "damping": 0.1, "corrections": 2}
    whole, _, told = one_step(lm(**arguments), objective, theta)
    parts, _, info = one_step(lm(**arguments, memory=memory), objective, theta)
    assert np.linalg.norm(whole) > 1e-3
    np.testing.assert_allclose(parts, whole, rtol=1e-7, atol=1e-10)
    assert info.loss == pytest.approx(told.loss, rel=1e-12)
    assert info.grad_norm == pytest.approx(told.grad_norm, rel=1e-9)


@pytest.mark.parametrize("rule", ["search", "paper"])
@pytest.mark.parametrize("scaling", ["identity", "columns"])
def test_loss_never_rises(rule, scaling):
    theta, objective, _ = small_assembly("burgers", n=40)
    optimizer = lm(rule=rule, scaling=scaling)
    state = optimizer.init(objective, theta)
    losses = []
    for _ in range(15):
        theta, state, info = optimizer.step(objective, theta, state)
        losses.append(info.loss)
    assert np.all(np.diff(losses) <= 0)
    assert losses[-1] < 0.5 * losses[0]


def test_paper_rule_doubles_on_rejection_and_thirds_on_acceptance(heat):
    theta, objective, _, _ = heat
    optimizer = lm(rule="paper", damping=1e-9, tolerance=0.2)
    state = optimizer.init(objective, theta)
    doublings = 0
    for _ in range(6):
        before = float(state.damping)
        theta, state, info = optimizer.step(objective, theta, state)
        assert info.accepted == 1
        assert info.gain_ratio >= 0.2
        times = math.log2(info.damping / before)
        assert times == pytest.approx(round(times), abs=1e-9)
        assert float(state.damping) == pytest.approx(info.damping / 3)
        doublings += round(times)
    assert doublings > 0


def hostile(theta, z):
    """Finite only for θ > 0, and a long step from θ = 1 leads far below."""
    return jnp.log(theta[0]) + 5.0 * z[0]


@pytest.mark.parametrize("rule", ["search", "paper"])
def test_step_into_nan_is_rejected(rule):
    objective = Objective((Term(jnp.ones((1, 1)), jnp.asarray(1.0), EQUATION, hostile),))
    theta = jnp.ones(1)
    assert np.isnan(float(objective.loss(theta - 5.0)))
    delta, state, info = one_step(lm(rule=rule, damping=1e-8), objective, theta)
    assert np.isfinite(delta).all()
    assert info.accepted == 1
    assert float(state.damping) > 1e-8


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("method", ["auto", "cholesky", "kernel", "qr", "svd"])
def test_derivatives_that_are_nan_reject_the_step_by_every_method(method):
    def kinked(theta, z):
        return jnp.sqrt(jnp.abs(theta[0])) * z[0] + theta[1]

    objective = Objective((Term(jnp.ones((5, 1)), jnp.asarray(1.0), EQUATION, kinked),))
    theta = jnp.array([0.0, 1.0])
    assert np.isfinite(float(objective.loss(theta)))
    delta, _, info = one_step(lm(method=method), objective, theta)
    assert np.all(delta == 0)
    assert info.accepted == 0


@pytest.mark.parametrize("rule", ["search", "paper"])
def test_where_no_step_helps_the_parameters_stay_and_the_step_says_so(rule):
    def flat(theta, z):
        return z[0] + 0.0 * theta[0]

    objective = Objective((Term(jnp.ones((3, 1)), jnp.asarray(1.0), EQUATION, flat),))
    theta = jnp.ones(2)
    delta, state, info = one_step(lm(rule=rule), objective, theta)
    assert np.all(delta == 0)
    assert info.accepted == 0
    assert info.step_norm == 0
    assert np.isfinite(float(state.damping))


def test_corrected_search_goes_far_below_the_plain_rule():
    losses = {}
    for rule in ("search", "paper"):
        theta, objective, _ = small_assembly("heat", n=60)
        optimizer = lm(rule=rule, damping=1.0)
        state = optimizer.init(objective, theta)
        for _ in range(25):
            theta, state, info = optimizer.step(objective, theta, state)
        losses[rule] = info.loss
    assert 0 < losses["search"] < 0.1 * losses["paper"]


def test_damping_stays_above_its_lower_bound(heat):
    theta, objective, _, _ = heat
    for least, held in ((0.0, False), (DAMPING, True)):
        optimizer = lm(min_damping=least)
        state, moved, used = optimizer.init(objective, theta), theta, []
        for _ in range(8):
            moved, state, info = optimizer.step(objective, moved, state)
            used.append(info.damping)
        assert (min(used) >= DAMPING) == held


@pytest.mark.parametrize(
    "arguments",
    [
        {"damping": 0.0},
        {"damping": 1e13},
        {"min_damping": -1.0},
        {"min_damping": 2.0},
        {"tolerance": 0.25},
        {"acceleration": 1.0},
        {"factor": 1.0},
        {"corrections": -1},
        {"chunk": 0},
        {"memory": 0.0},
    ],
)
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(RecipeError, match=next(iter(arguments))):
        lm(**arguments)


@pytest.mark.parametrize("argument", ["rule", "scaling", "method"])
def test_unknown_choices_are_refused(argument):
    with pytest.raises(UnknownNameError, match="nonsense"):
        lm(**{argument: "nonsense"})


@pytest.mark.parametrize("method", ["auto", "qr"])
@pytest.mark.parametrize("rule", ["search", "paper"])
def test_steps_of_an_accelerator_are_those_of_the_host(heat, monkeypatch, rule, method):
    theta, objective, _, _ = heat
    optimizer = lm(rule=rule, method=method)

    def steps():
        at, state, rows = theta, optimizer.init(objective, theta), []
        for _ in range(4):
            at, state, info = optimizer.step(objective, at, state)
            rows.append((info.loss, info.damping, info.accepted, info.step_norm, info.grad_norm))
        return np.asarray(rows, float), np.asarray(at)

    def seen(build):
        def watched(*args):
            built.append(type(system := build(*args)).__name__)
            return system

        return watched

    built = []
    for table in (linalg.HOST_METHODS, linalg.DEVICE_METHODS):
        for name, build in table.items():
            monkeypatch.setitem(table, name, seen(build))
    host, on_host = steps()
    assert {name[:4] for name in built} == {"Host"}
    built.clear()
    for module in (linalg, module_of_lm):
        monkeypatch.setattr(module, "default_backend", lambda: "device")
    device, on_device = steps()
    assert {name[:6] for name in built} == {"Device"}
    np.testing.assert_allclose(device, host, rtol=1e-6)
    np.testing.assert_allclose(on_device, on_host, rtol=1e-6, atol=1e-8)
    assert host[:, 2].all()


def test_folded_rows_of_an_accelerator_are_those_of_the_host(heat, monkeypatch):
    theta, objective, _, _ = heat
    # A budget of 20 rows, of which there are more: they are folded into a triangle.
    optimizer = lm(memory=20 * 8 * theta.size / 2**30)
    host, _, _ = one_step(optimizer, objective, theta)
    for module in (linalg, module_of_lm):
        monkeypatch.setattr(module, "default_backend", lambda: "device")
    device, _, _ = one_step(optimizer, objective, theta)
    assert np.linalg.norm(host) > 1e-3
    np.testing.assert_allclose(device, host, rtol=1e-6, atol=1e-8 * np.abs(host).max())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("levenberg_marquardt", {"rule": "paper"}), ("levenberg_marquardt_lsmr", {})],
)
def test_bounds_of_the_damping_that_exclude_each_other_are_refused(name, arguments):
    with pytest.raises(RecipeError, match="at least 1"):
        make_optimizer(name, {"damping": 1e-3, "max_damping": 0.1, **arguments})


def test_no_damping_is_above_the_largest_one():
    # A curved valley, in which steps with little damping rise.
    term = Term(
        jnp.zeros((1, 1)), jnp.asarray(1.0), EQUATION, lambda p, _: 1 + 3.5 * p[0] ** 2 - p[0]
    )
    objective, theta = Objective((term,)), jnp.zeros(1)
    optimizer = lm(damping=1.0, max_damping=2.0, corrections=0, acceleration=0.0)
    state, dampings = optimizer.init(objective, theta), []
    for _ in range(3):
        theta, state, info = optimizer.step(objective, theta, state)
        dampings.append(float(info.damping))
    assert max(dampings) == 2.0
