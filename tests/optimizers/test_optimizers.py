"""The contract, for every optimizer of the table, and what single optimizers promise."""

import functools
import inspect
import io

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinnzoo.errors import RecipeError, UnknownNameError
from pinnzoo.objective import EQUATION, Objective, Term
from pinnzoo.optimizers import OPTIMIZERS, Info, from_optax, make_optimizer
from tests.oracles import small_assembly

ARGUMENTS = {
    "adam": {"learning_rate": 1e-2},
    "gradient_descent": {"learning_rate": 3e-2},
    "lbfgs": {"memory_size": 5},
    "soap": {"learning_rate": 1e-2},
}
PROBLEMS = ("heat", "curve")


def curve(theta, z):
    """Distance of an exponential curve from cos: no network, so that compilation is quick."""
    amplitude, rate, offset = theta
    return amplitude * jnp.exp(rate * z[0]) + offset - jnp.cos(3 * z[0])


@functools.cache
def assembled(problem):
    """Parameters and objective: a small PINN, or three parameters of a curve."""
    if problem == "curve":
        points = jnp.linspace(0.0, 1.0, 10)[:, None]
        return jnp.array([0.5, -1.0, 0.2]), Objective(
            (Term(points, jnp.asarray(0.3), EQUATION, curve),)
        )
    theta, objective, _ = small_assembly(problem, n=10, depth=1)
    return theta, objective


@functools.cache
def compiled(name):
    optimizer = make_optimizer(name, ARGUMENTS.get(name, {}))
    return optimizer.init, jax.jit(optimizer.step) if optimizer.traceable else optimizer.step


def run(name, problem, steps, start=None):
    theta, objective = assembled(problem)
    init, step = compiled(name)
    theta, state = start or (theta, init(objective, theta))
    infos = []
    for _ in range(steps):
        theta, state, info = step(objective, theta, state)
        infos.append(info)
    return theta, state, infos


@functools.cache
def fifteen_steps(name, problem):
    return run(name, problem, 15)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", OPTIMIZERS)
class TestOptimizer:
    def test_loss_falls_in_fifteen_steps(self, name, problem):
        theta, objective = assembled(problem)
        end, _, _ = fifteen_steps(name, problem)
        loss = jax.jit(objective.loss)
        assert end.shape == theta.shape
        assert end.dtype == theta.dtype
        assert 0 <= loss(end) < 0.9 * loss(theta)

    def test_info_describes_the_step(self, name, problem):
        theta, objective = assembled(problem)
        _, _, infos = fifteen_steps(name, problem)
        assert all(isinstance(info, Info) for info in infos)
        assert all(np.shape(value) == () for info in infos for value in info)
        loss, gradient = jax.jit(jax.value_and_grad(objective.loss))(theta)
        np.testing.assert_allclose(infos[0].loss, loss, rtol=1e-12)
        np.testing.assert_allclose(infos[0].grad_norm, jnp.linalg.norm(gradient), rtol=1e-9)
        once, _, _ = run(name, problem, 1)
        np.testing.assert_allclose(
            infos[0].step_norm, np.linalg.norm(np.asarray(once) - np.asarray(theta)), rtol=1e-9
        )
        assert infos[0].accepted == 1
        stacked = np.array([[float(value) for value in info] for info in infos])
        assert np.isfinite(stacked[:, :4]).all()

    def test_state_survives_save_and_restore_and_continues_identically(self, name, problem):
        theta, state, _ = run(name, problem, 4)
        leaves, structure = jax.tree.flatten(state)
        assert all(isinstance(leaf, (jax.Array, np.ndarray)) for leaf in leaves)
        file = io.BytesIO()
        np.savez(file, *[np.asarray(leaf) for leaf in leaves])
        file.seek(0)
        restored = [jnp.asarray(leaf) for leaf in np.load(file).values()]
        for before, after in zip(leaves, restored, strict=True):
            assert before.dtype == after.dtype
        start = (jnp.asarray(np.asarray(theta)), jax.tree.unflatten(structure, restored))
        resumed, _, infos = run(name, problem, 3, start)
        straight, _, _ = run(name, problem, 3, (theta, state))
        np.testing.assert_array_equal(resumed, straight)
        assert not np.array_equal(resumed, theta)
        np.testing.assert_array_equal(
            [float(x) for x in infos[-1]], [float(x) for x in fifteen_steps(name, problem)[2][6]]
        )

    def test_state_keeps_its_structure(self, name, problem):
        theta, objective = assembled(problem)
        before = compiled(name)[0](objective, theta)
        _, after, _ = fifteen_steps(name, problem)
        assert jax.tree.structure(before) == jax.tree.structure(after)
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_step_leaves_its_inputs_alone(name):
    theta, objective = assembled("curve")
    before = np.array(theta)
    init, step = compiled(name)
    state = init(objective, theta)
    leaves = [np.array(leaf) for leaf in jax.tree.leaves(state)]
    step(objective, theta, state)
    np.testing.assert_array_equal(theta, before)
    for a, b in zip(leaves, jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_of_an_old_objective_continues_on_new_points(name):
    theta, objective = assembled("curve")
    init, step = compiled(name)
    theta, state, _ = step(objective, theta, init(objective, theta))
    moved = objective.with_points({EQUATION: 0.9 * np.asarray(objective.terms[0].points)})
    _, _, info = step(moved, theta, state)
    np.testing.assert_allclose(info.loss, jax.jit(lambda o: o.loss(theta))(moved), rtol=1e-12)


TRACEABLE = [name for name in OPTIMIZERS if make_optimizer(name, {}).traceable]


@pytest.mark.parametrize("name", TRACEABLE)
def test_compiled_step_equals_the_step_without_compilation(name):
    theta, objective = assembled("curve")
    optimizer = make_optimizer(name, ARGUMENTS.get(name, {}))
    state = optimizer.init(objective, theta)
    bare, _, bare_info = optimizer.step(objective, theta, state)
    fast, _, info = compiled(name)[1](objective, theta, state)
    np.testing.assert_allclose(fast, bare, rtol=1e-12)
    np.testing.assert_allclose([float(x) for x in info], [float(x) for x in bare_info], rtol=1e-12)


@pytest.mark.parametrize("name", TRACEABLE)
def test_traceable_step_scans_to_the_same_end(name):
    theta, objective = assembled("curve")
    optimizer = make_optimizer(name, ARGUMENTS.get(name, {}))

    @jax.jit
    def scan(theta, state):
        def body(carry, _):
            theta, state, info = optimizer.step(objective, *carry)
            return (theta, state), info

        return jax.lax.scan(body, (theta, state), length=5)

    (end, _), infos = scan(theta, optimizer.init(objective, theta))
    expected, _, _ = run(name, "curve", 5)
    # Rounding grows along the way; a wrong step would miss by the length of the way.
    np.testing.assert_allclose(end, expected, rtol=0, atol=1e-8)
    assert infos.loss.shape == (5,)
    assert np.abs(np.asarray(end - theta)).max() > 1e-2


def test_adam_through_the_adapter_equals_bare_optax():
    theta, objective = assembled("curve")
    transform = optax.adam(optax.exponential_decay(1e-2, 5000, 0.9))

    @jax.jit
    def bare(theta, state):
        gradient = jax.grad(objective.loss)(theta)
        updates, state = transform.update(gradient, state, theta)
        return optax.apply_updates(theta, updates), state

    state = transform.init(theta)
    for _ in range(15):
        theta, state = bare(theta, state)
    np.testing.assert_allclose(fifteen_steps("adam", "curve")[0], theta, rtol=1e-12, atol=1e-14)


def test_first_step_of_adam_has_the_length_of_the_learning_rate_in_every_coordinate():
    theta, _ = assembled("curve")
    once, _, _ = run("adam", "curve", 1)
    moved = np.abs(np.asarray(once - theta))
    np.testing.assert_allclose(moved, 1e-2, rtol=1e-5)


def test_learning_rate_of_adam_decays_as_stated():
    """With b1 = b2 = 0 every step is the sign of the gradient times the rate."""
    theta, objective = assembled("curve")
    optimizer = make_optimizer(
        "adam", {"learning_rate": 1e-3, "decay_rate": 0.5, "decay_steps": 2, "b1": 0.0, "b2": 0.0}
    )
    step, state, lengths = jax.jit(optimizer.step), optimizer.init(objective, theta), []
    for _ in range(5):
        theta, state, info = step(objective, theta, state)
        lengths.append(float(info.step_norm) / np.sqrt(theta.size))
    np.testing.assert_allclose(lengths, 1e-3 * 0.5 ** (np.arange(5) / 2), rtol=1e-5)


def test_lbfgs_never_raises_the_loss():
    _, _, infos = fifteen_steps("lbfgs", "curve")
    losses = np.array([float(info.loss) for info in infos])
    assert np.all(np.diff(losses) < 0)


def test_any_optax_optimizer_enters_through_the_adapter():
    theta, objective = assembled("curve")
    optimizer = from_optax(optax.sgd(0.1))
    gradient = jax.jit(jax.grad(objective.loss))(theta)
    moved, _, info = jax.jit(optimizer.step)(objective, theta, optimizer.init(objective, theta))
    np.testing.assert_allclose(moved, theta - 0.1 * gradient, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(info.step_norm, 0.1 * np.linalg.norm(gradient), rtol=1e-12)
    assert np.isnan([info.damping, info.gain_ratio]).all()


def test_unknown_optimizers_and_arguments_are_refused_with_what_exists():
    with pytest.raises(UnknownNameError, match="did you mean 'adam'"):
        make_optimizer("adamm", {})
    with pytest.raises(RecipeError, match="learning_rate"):
        make_optimizer("adam", {"lr": 1e-3})
    for name, factory in OPTIMIZERS.items():
        for argument in inspect.signature(factory).parameters:
            assert f"{argument}:" in (inspect.getdoc(factory) or ""), name


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("adam", {"learning_rate": "fast"}),
        ("adam", {"decay_steps": 0}),
        ("lbfgs", {"memory_size": -1}),
        ("levenberg_marquardt", {"damping": "strong"}),
        ("levenberg_marquardt", {"factor": None}),
    ],
)
def test_values_that_an_optimizer_cannot_use_are_refused(name, arguments):
    with pytest.raises(RecipeError, match=next(iter(arguments))):
        make_optimizer(name, arguments)
