"""Infinite-width limits against networks of finite width, and against integrals done otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from pinnzoo.diagnostics import residual_hessian_norms
from pinnzoo.paper import theory, toys

X = np.array([-0.8, -0.1, 0.6])
ENDS = np.array([-1.0, 1.0])


def density(w, b):
    return np.exp(-(w**2 + b**2) / 2) / (2 * np.pi)


def expectation(function):
    """`E[function(w, b)]` by adaptive quadrature."""
    found = scipy.integrate.dblquad(
        lambda b, w: function(w, b) * density(w, b), -9, 9, -9, 9, epsabs=1e-9
    )
    return found[0]


def test_covariance_and_kernel_are_the_expectations_they_are_defined_by():
    limit = theory.infinite_width(X)
    x, y = X[0], X[2]

    def s(w, b, x):
        return np.tanh(w * x + b)

    def slope(w, b, x):
        return 1 - np.tanh(w * x + b) ** 2

    np.testing.assert_allclose(
        limit.covariance[0, 0, 0, 2], 1 + expectation(lambda w, b: s(w, b, x) * s(w, b, y)), 1e-6
    )
    np.testing.assert_allclose(
        limit.covariance[1, 0, 0, 2],
        expectation(lambda w, b: w * slope(w, b, x) * s(w, b, y)),
        1e-6,
    )
    inner = expectation(lambda w, b: (x * y + 1) * slope(w, b, x) * slope(w, b, y))
    np.testing.assert_allclose(
        limit.kernel[0, 0, 0, 2] - limit.covariance[0, 0, 0, 2], inner, rtol=1e-6
    )


def test_more_nodes_change_nothing_that_is_seen():
    one, other = theory.infinite_width(X), theory.infinite_width(X, 2 * theory.NODES)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6 * np.abs(b).max())


def test_kernel_of_a_wide_network_is_near_the_limit():
    """Every block of Φ, on the average over a few networks."""
    toy = toys.make_toy("toy_linear", 3000, 4)
    kernels = [toys.ntk(toy.bare, jnp.asarray(theta)) for theta in toy.thetas]
    # Rows of the toy: the equation inside, then both ends.
    limit = theory.linear_kernel(ENDS, toys.inside())
    order = np.r_[np.arange(2, len(limit)), 0, 1]
    expected = limit[np.ix_(order, order)]
    distance = np.linalg.norm(np.mean(kernels, axis=0) - expected, 2)
    assert distance < 0.05 * np.linalg.norm(expected, 2)


def test_sampled_kernels_have_the_distribution_of_wide_networks():
    norms = toys.kernel_norms("toy_nonlinear", 500, 120)["norm"]
    kernels = theory.sample_nonlinear_kernels(ENDS, toys.inside(), 3000, np.random.default_rng(1))
    limits = np.linalg.norm(kernels, 2, axis=(1, 2))
    assert scipy.stats.ks_2samp(norms, limits).pvalue > 0.01  # pyright: ignore
    # The test would see a limit that is half as large again.
    assert scipy.stats.ks_2samp(norms, 1.5 * limits).pvalue < 0.01  # pyright: ignore


def test_lower_bound_as_printed_vanishes_for_an_odd_activation_and_not_for_others():
    np.testing.assert_allclose(theory.lower_bound(X), 0, atol=1e-12)
    # E[(ux + v)²] = x² + 1 and its derivative, by hand.
    wanted = 2 * (X**2 + 1) * (2 * X)
    np.testing.assert_allclose(theory.lower_bound(X, activation=jnp.square), wanted, atol=1e-12)


@pytest.mark.parametrize("x", X)
def test_hessian_of_a_wide_network_is_near_the_limit(x):
    toy = toys.make_toy("toy_nonlinear", 4000, 1)
    theta = jnp.asarray(toy.thetas[0])
    residual = toy.objective.terms[0].residual
    z = jnp.array([x])
    product = jax.jit(lambda v: jax.jvp(lambda t: jax.grad(residual)(t, z), (theta,), (v,))[1])
    v = jnp.asarray(np.random.default_rng(0).standard_normal(theta.size))
    for _ in range(60):
        # Twice, since both signs of the largest eigenvalues are there.
        v = product(product(v / jnp.linalg.norm(v)))
    norm = float(jnp.sqrt(jnp.linalg.norm(v)))
    np.testing.assert_allclose(norm, theory.hessian_limit(np.array([x]))[0], rtol=0.08)


@pytest.mark.parametrize("width", [1, 7, 40])
def test_hessian_of_the_linear_toy_has_the_norm_of_its_largest_block(width):
    toy = toys.make_toy("toy_linear", width, 1)
    theta = toy.thetas[0]
    b0, w0, _, w1 = np.split(theta, np.cumsum([width, width, 1]))
    whole = residual_hessian_norms(toy.objective, jnp.asarray(theta), X[:, None])
    np.testing.assert_allclose(theory.linear_hessian_norms(X, w1, w0, b0), whole.norms, rtol=1e-10)


def test_bounded_weights_have_the_variance_of_the_others_and_their_own_bound(monkeypatch):
    drawn = []

    def keep(x, w1, w0, b0):
        drawn.append(np.stack([w1, w0, b0]))
        return np.ones(len(x))

    monkeypatch.setattr(theory, "linear_hessian_norms", keep)
    found = toys.bounded_hessians(20_000, 2)
    assert found["norm"].shape == (2, toys.HESSIAN_POINTS)
    assert not np.array_equal(*drawn)
    for weights in drawn:
        np.testing.assert_allclose(weights.var(axis=1), 1, rtol=0.02)
        assert np.abs(weights).max() <= np.sqrt(3)
