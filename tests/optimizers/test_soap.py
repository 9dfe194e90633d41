"""SOAP against algorithm 3 written out in NumPy, and against Adam where the two are the same."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo.errors import RecipeError
from pinnzoo.optimizers import make_optimizer
from pinnzoo.training.loop import advance_by
from tests.oracles import small_assembly

FREQUENCY = 3


@pytest.fixture(scope="module")
def heat():
    theta, objective, _ = small_assembly("heat", n=12, depth=2, width=4)
    return theta, objective


def leaves(vector, shapes):
    """The arrays that make up a flat vector."""
    arrays, start = [], 0
    for shape in shapes:
        stop = start + int(np.prod(shape))
        arrays.append(np.array(vector[start:stop]).reshape(shape))
        start = stop
    assert start == len(vector)
    return arrays


class Layer:
    """One weight matrix or bias with its own statistics, line by line as in algorithm 3."""

    def __init__(self, weight, factors):
        self.weight = weight
        self.m, self.v, self.t = np.zeros_like(weight), np.zeros_like(weight), 0
        self.matrix = weight.ndim == 2
        if self.matrix:
            self.l, self.r, self.ql, self.qr = (np.array(part) for part in factors)

    def step(self, g, rate, b1, b2, frequency):
        self.t += 1
        g_rotated = self.ql.T @ g @ self.qr if self.matrix else g
        self.m = b1 * self.m + (1 - b1) * g
        m_rotated = self.ql.T @ self.m @ self.qr if self.matrix else self.m
        self.v = b2 * self.v + (1 - b2) * g_rotated**2
        n = m_rotated / (1 - b1**self.t) / (np.sqrt(self.v / (1 - b2**self.t)) + 1e-8)
        if self.matrix:
            n = self.ql @ n @ self.qr.T
        self.weight = self.weight - rate * n
        if self.matrix:
            self.l = b2 * self.l + (1 - b2) * g @ g.T
            self.r = b2 * self.r + (1 - b2) * g.T @ g
            if self.t % frequency == 0:
                self.ql, rows = self.eigenvectors(self.l, self.ql)
                self.qr, columns = self.eigenvectors(self.r, self.qr)
                self.v = self.v[np.ix_(rows, columns)]

    @staticmethod
    def eigenvectors(p, q):
        order = np.argsort(-np.diag(q.T @ p @ q), kind="stable")
        return np.linalg.qr(p @ q[:, order])[0], order


def test_steps_equal_algorithm_3_leaf_by_leaf(heat):
    theta, objective = heat
    shapes = objective.shapes
    optimizer = make_optimizer(
        "soap",
        {
            "learning_rate": 1e-2,
            "decay_rate": 0.5,
            "decay_steps": 10,
            "b1": 0.9,
            "b2": 0.95,
            "precondition_frequency": FREQUENCY,
        },
    )
    state = optimizer.init(objective, theta)
    remaining = iter(state.factors)
    layers = [
        Layer(w, next(remaining) if w.ndim == 2 else None)
        for w in leaves(np.asarray(theta), shapes)
    ]
    assert sum(layer.matrix for layer in layers) == 3
    gradient, step = jax.jit(jax.grad(objective.loss)), jax.jit(optimizer.step)
    initial = state
    for k in range(10):
        for layer, g in zip(layers, leaves(gradient(theta), shapes), strict=True):
            layer.step(g, 1e-2 * 0.5 ** (k / 10), 0.9, 0.95, FREQUENCY)
        theta, state, _ = step(objective, theta, state)
        expected = np.concatenate([layer.weight.ravel() for layer in layers])
        np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-7)
    moved = [
        np.abs(after.left_basis - before.left_basis).max()
        for before, after in zip(initial.factors, state.factors, strict=True)
    ]
    assert max(moved) > 1e-3, "the bases should have turned"


def test_bases_begin_as_eigenvectors_of_the_first_gradient(heat):
    theta, objective = heat
    state = make_optimizer("soap", {}).init(objective, theta)
    gradients = [
        g for g in leaves(jax.grad(objective.loss)(theta), objective.shapes) if g.ndim == 2
    ]
    for f, g in zip(state.factors, gradients, strict=True):
        for matrix, factor, basis in (
            (g @ g.T, f.left, f.left_basis),
            (g.T @ g, f.right, f.right_basis),
        ):
            np.testing.assert_allclose(factor, matrix, rtol=1e-9, atol=1e-15)
            np.testing.assert_allclose(basis.T @ basis, np.eye(len(basis)), atol=1e-12)
            values = np.diag(basis.T @ matrix @ basis)
            np.testing.assert_allclose(basis @ np.diag(values) @ basis.T, matrix, atol=1e-12)
            assert np.all(np.diff(values) <= 1e-12)


def test_bases_converge_to_the_eigenvectors_of_the_averages():
    """With a gradient that stays, a power iteration per step must find its eigenbasis."""
    theta, objective, _ = small_assembly("heat", n=12, depth=1, width=4)
    optimizer = make_optimizer("soap", {"learning_rate": 1e-12, "precondition_frequency": 1})
    state, rng = optimizer.init(objective, theta), np.random.default_rng(0)
    turned = tuple(
        f._replace(
            left_basis=jnp.asarray(np.linalg.qr(rng.normal(size=f.left.shape))[0]),
            right_basis=jnp.asarray(np.linalg.qr(rng.normal(size=f.right.shape))[0]),
        )
        for f in state.factors
    )
    _, state, _ = advance_by(optimizer)(objective, theta, state._replace(factors=turned), 60)
    for f in state.factors:
        for matrix, basis in ((f.left, f.left_basis), (f.right, f.right_basis)):
            rotated = np.asarray(basis.T @ matrix @ basis)
            rest = rotated - np.diag(np.diag(rotated))
            assert np.abs(rest).max() < 1e-8 * rotated.max()


def adam_steps(objective, theta, steps, **arguments):
    optimizer = make_optimizer("adam", {"b1": 0.95, "b2": 0.95} | arguments)
    return advance_by(optimizer)(objective, theta, optimizer.init(objective, theta), steps)[0]


def test_in_identity_bases_soap_is_adam(heat):
    theta, objective = heat
    optimizer = make_optimizer("soap", {"learning_rate": 1e-2, "precondition_frequency": 1000})
    state = optimizer.init(objective, theta)
    flat = tuple(
        f._replace(left_basis=jnp.eye(len(f.left)), right_basis=jnp.eye(len(f.right)))
        for f in state.factors
    )
    advance = advance_by(optimizer)
    end, _, _ = advance(objective, theta, state._replace(factors=flat), 12)
    expected = adam_steps(objective, theta, 12, learning_rate=1e-2)
    np.testing.assert_allclose(end, expected, rtol=0, atol=1e-10)
    rotated, _, _ = advance(objective, theta, state, 12)
    assert np.abs(rotated - expected).max() > 1e-3


def test_without_shapes_soap_is_adam(heat):
    theta, objective = heat
    plain = dataclasses.replace(objective, shapes=())
    optimizer = make_optimizer("soap", {"learning_rate": 1e-2})
    state = optimizer.init(plain, theta)
    assert state.factors == ()
    end, _, _ = advance_by(optimizer)(plain, theta, state, 12)
    np.testing.assert_allclose(
        end, adam_steps(plain, theta, 12, learning_rate=1e-2), rtol=0, atol=1e-10
    )


def test_shapes_are_those_of_the_network_and_stay_with_the_objective(heat):
    theta, objective = heat
    assert objective.shapes == ((4,), (2, 4), (4,), (4, 4), (1,), (4, 1))
    assert sum(int(np.prod(shape)) for shape in objective.shapes) == theta.size
    points = {"equation": np.asarray(objective.terms[0].points)}
    others = [
        objective.with_points(points),
        objective.with_scales({"equation": 2.0}),
        *objective.split(5),
        jax.tree.map(lambda leaf: leaf, objective),
    ]
    assert [other.shapes for other in others] == [objective.shapes] * len(others)


def test_an_array_of_three_axes_is_a_matrix_of_its_last(heat):
    theta, objective = heat
    cut = dataclasses.replace(objective, shapes=((4,), (2, 4), (4,), (2, 2, 4), (1,), (4, 1)))
    optimizer = make_optimizer("soap", {})
    for found, plain in zip(
        advance_by(optimizer)(cut, theta, optimizer.init(cut, theta), 4),
        advance_by(optimizer)(objective, theta, optimizer.init(objective, theta), 4),
        strict=True,
    ):
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(plain), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_soap_goes_below_adam_in_as_many_steps():
    theta, objective, _ = small_assembly("heat", n=40, width=8)
    soap = make_optimizer("soap", {"learning_rate": 3e-3})
    end, _, _ = advance_by(soap)(objective, theta, soap.init(objective, theta), 1000)
    adam = adam_steps(objective, theta, 1000, learning_rate=3e-3)
    assert 0 < objective.loss(end) < 0.3 * objective.loss(adam)


def test_single_precision_stays_single():
    theta, objective, _ = small_assembly("heat", n=12, depth=1, dtype="float32")
    optimizer = make_optimizer("soap", {"learning_rate": 1e-2})
    state = optimizer.init(objective, theta)
    end, after, info = advance_by(optimizer)(objective, theta, state, 200)
    types = [leaf.dtype for leaf in jax.tree.leaves((end, after, info))]
    assert set(types) == {np.dtype("float32"), np.dtype("int32")}
    assert objective.loss(end) < 0.1 * objective.loss(theta)


@pytest.mark.parametrize(
    "arguments", [{"b1": 1.0}, {"b2": -0.1}, {"precondition_frequency": 0}, {"learning_rate": 0.0}]
)
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(RecipeError, match=next(iter(arguments))):
        make_optimizer("soap", arguments)
