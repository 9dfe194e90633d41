"""NysNewton-CG against dense eigendecompositions, dense inverses and dense Newton steps."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo.errors import RecipeError
from pinnzoo.objective import EQUATION, Objective, Term
from pinnzoo.optimizers import make_optimizer
from pinnzoo.optimizers.newton_cg import (
    NystromApproximation,
    conjugate_gradients,
    nystrom_approximation,
)
from pinnzoo.training.loop import advance_by
from tests.oracles import small_assembly

KEY = jax.random.key(3)


def symmetric(values, seed=0):
    """A dense matrix with these eigenvalues."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))
    return (q * np.asarray(values)) @ q.T


def approximate(matrix, rank, key=KEY):
    dense = jnp.asarray(matrix)
    return nystrom_approximation(lambda v: dense @ v, len(matrix), rank, key, dense.dtype)


def dense_of(vectors, values):
    return np.asarray(vectors) @ np.diag(values) @ np.asarray(vectors).T


@pytest.fixture(scope="module")
def heat():
    """A small PINN with its dense Hessian and gradient, where the Hessian is indefinite."""
    theta, objective, _ = small_assembly("heat", n=12, depth=1)
    hessian = np.asarray(jax.jit(jax.hessian(objective.loss))(theta))
    gradient = np.asarray(jax.jit(jax.grad(objective.loss))(theta))
    assert np.linalg.eigvalsh(hessian)[0] < -1e-3
    return theta, objective, hessian, gradient


SPECTRA = {
    "definite": np.geomspace(1e-3, 1e2, 12),
    "singular": np.r_[np.zeros(5), 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    "indefinite": np.linspace(-2.0, 9.0, 12),
}


@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA)
def test_approximation_of_full_rank_is_the_eigendecomposition_without_its_negative_part(spectrum):
    matrix = symmetric(spectrum)
    vectors, values = approximate(matrix, 12)
    largest = spectrum.max()
    np.testing.assert_allclose(
        values, np.maximum(np.sort(spectrum)[::-1], 0.0), rtol=0, atol=1e-10 * largest
    )
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-12)
    expected = symmetric(np.maximum(spectrum, 0.0))
    np.testing.assert_allclose(dense_of(vectors, values), expected, atol=1e-10 * largest)


def test_approximation_of_a_matrix_of_low_rank_is_exact():
    spectrum = np.r_[np.zeros(16), 1e-2, 1.0, 10.0, 100.0]
    vectors, values = approximate(symmetric(spectrum), 4)
    assert vectors.shape == (20, 4)
    np.testing.assert_allclose(dense_of(vectors, values), symmetric(spectrum), atol=1e-9)


def test_approximation_lies_below_the_matrix_and_closes_in_with_its_rank():
    """Below in the order of positive semidefinite matrices, as every Nyström approximation."""
    matrix = symmetric(np.geomspace(1e-4, 1.0, 30))
    gaps = []
    for rank in (5, 12, 20):
        gap = matrix - dense_of(*approximate(matrix, rank))
        assert np.linalg.eigvalsh(gap)[0] > -1e-10
        gaps.append(np.linalg.norm(gap, 2))
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] > 0


def test_approximation_of_the_zero_matrix_is_zero():
    vectors, values = approximate(np.zeros((6, 6)), 3)
    assert np.isfinite(vectors).all()
    assert np.all(np.asarray(values) < 1e-200)


def test_preconditioner_is_the_inverse_that_the_paper_states():
    damping = 0.3
    approximation = approximate(symmetric(np.geomspace(1e-2, 50.0, 10)), 4)
    u, values = (np.asarray(part) for part in approximation)
    rest = np.eye(10) - u @ u.T
    p = u @ np.diag(values + damping) @ u.T / (values[-1] + damping) + rest
    vector = np.random.default_rng(1).normal(size=10)
    applied = approximation.apply_inverse(jnp.asarray(vector), damping)
    np.testing.assert_allclose(applied, np.linalg.solve(p, vector), rtol=1e-9)


def test_conjugate_gradients_equal_a_dense_solve_and_preconditioning_saves_iterations():
    p, damping = 60, 1e-3
    matrix = symmetric(np.geomspace(1e2, 1e-8, p)) + damping * np.eye(p)
    dense, b = jnp.asarray(matrix), jnp.asarray(np.random.default_rng(2).normal(size=p))
    expected = np.linalg.solve(matrix, np.asarray(b))
    approximation = approximate(matrix - damping * np.eye(p), 25)
    iterations = {}
    for name, precondition in {
        "none": lambda v: v,
        "nystrom": lambda v: approximation.apply_inverse(v, damping),
    }.items():
        x, count = conjugate_gradients(
            lambda v: dense @ v, b, jnp.zeros(p), precondition, 1e-12, 500
        )
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
        iterations[name] = int(count)
    assert 0 < 3 * iterations["nystrom"] < iterations["none"]


def test_conjugate_gradients_stop_at_negative_curvature_and_at_their_limit():
    dense, b = jnp.diag(jnp.array([2.0, -1.0])), jnp.array([1.0, 3.0])
    x, count = conjugate_gradients(lambda v: dense @ v, b, jnp.zeros(2), lambda v: v, 1e-9, 50)
    assert int(count) == 1
    np.testing.assert_array_equal(x, np.zeros(2))
    positive = jnp.asarray(symmetric(np.geomspace(1, 1e6, 30)))
    _, count = conjugate_gradients(
        lambda v: positive @ v, jnp.ones(30), jnp.zeros(30), lambda v: v, 1e-12, 7
    )
    assert int(count) == 7


@pytest.mark.parametrize("rank", [5, 1000])
def test_step_is_the_dense_damped_newton_step(heat, rank):
    theta, objective, hessian, gradient = heat
    damping = 5.0
    matrix = hessian + damping * np.eye(theta.size)
    assert np.linalg.eigvalsh(matrix)[0] > 0
    optimizer = make_optimizer("newton_cg", {"damping": damping, "rank": rank, "tolerance": 1e-12})
    state = optimizer.init(objective, theta)
    new, state, info = jax.jit(optimizer.step)(objective, theta, state)
    expected = -np.linalg.solve(matrix, gradient)
    np.testing.assert_allclose(
        state.direction, expected, rtol=0, atol=1e-8 * np.abs(expected).max()
    )
    length = np.asarray(new - theta) / expected
    np.testing.assert_allclose(length, 2.0 ** round(np.log2(length[0])), rtol=1e-6)
    assert state.approximation.values.shape == (min(rank, theta.size),)
    assert info.damping == damping


def test_full_preconditioner_is_that_of_the_dense_hessian(heat):
    theta, objective, hessian, _ = heat
    optimizer = make_optimizer("newton_cg", {"rank": theta.size})
    _, state, _ = jax.jit(optimizer.step)(objective, theta, optimizer.init(objective, theta))
    expected = np.maximum(np.linalg.eigvalsh(hessian)[::-1], 0.0)
    np.testing.assert_allclose(
        state.approximation.values, expected, rtol=0, atol=1e-8 * expected[0]
    )


def test_every_step_meets_armijo_also_where_the_hessian_is_indefinite(heat):
    theta, objective, hessian, _ = heat
    damping = 1e-6
    assert np.linalg.eigvalsh(hessian)[0] + damping < 0
    optimizer = make_optimizer("newton_cg", {"damping": damping, "rank": 8})
    step, state = jax.jit(optimizer.step), optimizer.init(objective, theta)
    loss = jax.jit(jax.value_and_grad(objective.loss))
    for _ in range(20):
        before, gradient = loss(theta)
        new, state, info = step(objective, theta, state)
        after, _ = loss(new)
        assert info.accepted == 1
        assert after <= before + 0.1 * float(gradient @ (new - theta))
        assert gradient @ (new - theta) < 0
        theta = new


def test_preconditioner_is_renewed_every_so_many_steps_and_differs(heat):
    theta, objective, _, _ = heat
    optimizer = make_optimizer("newton_cg", {"rank": 4, "update_frequency": 3, "damping": 1.0})
    step, state = jax.jit(optimizer.step), optimizer.init(objective, theta)
    seen = []
    for _ in range(7):
        theta, state, _ = step(objective, theta, state)
        seen.append(np.asarray(state.approximation.vectors))
    same = [np.array_equal(a, b) for a, b in itertools.pairwise(seen)]
    assert same == [True, True, False, True, True, False]


def test_conjugate_gradients_start_from_the_last_direction(heat):
    theta, objective, hessian, gradient = heat
    matrix = hessian + 5.0 * np.eye(theta.size)
    solution = -np.linalg.solve(matrix, gradient)
    optimizer = make_optimizer(
        "newton_cg", {"damping": 5.0, "rank": 4, "max_iterations": 1, "tolerance": 1e-8}
    )
    step, fresh = jax.jit(optimizer.step), optimizer.init(objective, theta)
    _, warm, _ = step(objective, theta, fresh._replace(direction=jnp.asarray(solution)))
    np.testing.assert_allclose(warm.direction, solution, rtol=1e-9)
    _, cold, _ = step(objective, theta, fresh)
    assert np.linalg.norm(cold.direction - solution) > 1e-3 * np.linalg.norm(solution)


def test_a_direction_uphill_is_replaced_by_the_preconditioned_gradient(heat):
    theta, objective, _, gradient = heat
    # A huge tolerance ends conjugate gradients where they start.
    optimizer = make_optimizer("newton_cg", {"damping": 1e-6, "rank": 6, "tolerance": 1e9})
    fresh = optimizer.init(objective, theta)
    uphill = fresh._replace(
        count=jnp.asarray(1, jnp.int32),
        direction=jnp.asarray(1e3 * gradient),
        approximation=NystromApproximation(jnp.eye(theta.size, 6), jnp.linspace(6.0, 1.0, 6)),
    )
    _, state, info = jax.jit(optimizer.step)(objective, theta, uphill)
    expected = -uphill.approximation.apply_inverse(jnp.asarray(gradient), 1e-6) / (1.0 + 1e-6)
    np.testing.assert_allclose(state.direction, expected, rtol=1e-9)
    assert info.accepted == 1


def test_where_no_step_helps_the_step_is_rejected_and_the_preconditioner_renewed():
    def flat(theta, z):
        return z[0] + 0.0 * theta[0]

    objective = Objective((Term(jnp.ones((1, 1)), jnp.asarray(1.0), EQUATION, flat),))
    theta = jnp.ones(2)
    optimizer = make_optimizer("newton_cg", {"update_frequency": 20})
    state = optimizer.init(objective, theta)._replace(count=jnp.asarray(5, jnp.int32))
    same, state, info = jax.jit(optimizer.step)(objective, theta, state)
    np.testing.assert_array_equal(same, theta)
    assert info.accepted == 0
    assert info.step_norm == 0
    assert int(state.count) == 20
    np.testing.assert_array_equal(state.direction, np.zeros(2))


def test_single_precision_stays_single():
    theta, objective, _ = small_assembly("heat", n=12, depth=1, dtype="float32")
    optimizer = make_optimizer("newton_cg", {"rank": 8, "max_iterations": 30})
    state = optimizer.init(objective, theta)
    end, after, info = advance_by(optimizer)(objective, theta, state, 40)
    types = {leaf.dtype for leaf in jax.tree.leaves((end, after, info))}
    assert types == {np.dtype("float32"), np.dtype("int32")}
    assert objective.loss(end) < 1e-2 * objective.loss(theta)


@pytest.mark.parametrize(
    "arguments",
    [{"damping": 0.0}, {"rank": 0}, {"update_frequency": -1}, {"tolerance": 0.0}, {"seed": -1}],
)
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(RecipeError, match=next(iter(arguments))):
        make_optimizer("newton_cg", arguments)
