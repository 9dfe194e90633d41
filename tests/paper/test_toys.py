"""The sweeps over width, small, against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo.paper import toys

WIDTHS, SEEDS = (5, 20), 3


def test_toy_is_the_network_of_the_paper():
    toy = toys.make_toy("toy_linear", 7, 2)
    assert toy.thetas.shape == (2, 3 * 7 + 1)
    assert toy.bare.n == toys.POINTS + 2
    assert not np.array_equal(toy.thetas[0], toy.thetas[1])


def test_norms_are_those_of_the_kernel_without_scales():
    toy = toys.make_toy("toy_nonlinear", 6, 2)
    found = toys.kernel_norms("toy_nonlinear", 6, 2)["norm"]
    for theta, norm in zip(toy.thetas, found, strict=True):
        rows = [
            np.asarray(jax.grad(term.residual)(jnp.asarray(theta), z))
            for term in toy.objective.terms
            for z in term.points
        ]
        np.testing.assert_allclose(norm, np.linalg.norm(np.stack(rows), 2) ** 2, rtol=1e-10)


def test_drift_is_that_after_plain_gradient_descent():
    toy = toys.make_toy("toy_linear", 5, 2)
    found = toys.drifts("toy_linear", 5, 2, steps=30)
    kernels = [toys.ntk(toy.objective, jnp.asarray(theta)) for theta in toy.thetas]
    rate = toys.RATE / max(np.linalg.norm(kernel, 2) for kernel in kernels)
    gradient = jax.jit(jax.grad(toy.objective.loss))
    for k, theta in enumerate(toy.thetas):
        for _ in range(30):
            theta = theta - rate * np.asarray(gradient(jnp.asarray(theta)))
        before, after = (toys.ntk(toy.bare, jnp.asarray(t)) for t in (toy.thetas[k], theta))
        expected = np.linalg.norm(after - before, 2) / np.linalg.norm(before, 2)
        np.testing.assert_allclose(found["drift"][k], expected, rtol=1e-8)
        assert found["final_loss"][k] < found["initial_loss"][k]


def test_sweeps_stack_widths_and_ask_for_nothing_twice():
    kept: dict = {}

    def keep(key, compute):
        if key not in kept:
            kept[key] = compute()
        return kept[key]

    arrays = toys.sweep_drifts(keep, WIDTHS, SEEDS)
    assert arrays["toy_linear.drift"].shape == (len(WIDTHS), SEEDS)
    assert len(kept) == 2 * len(WIDTHS)

    def refuse(key, compute):
        return kept[key]

    again = toys.sweep_drifts(refuse, WIDTHS, SEEDS)
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, again[name])
    hessians = toys.sweep_hessians(widths=(5,), seeds=1)
    assert hessians["toy_nonlinear.norm"].shape == (1, 1, toys.HESSIAN_POINTS)
    assert hessians["limit"].shape == (toys.HESSIAN_POINTS,)
