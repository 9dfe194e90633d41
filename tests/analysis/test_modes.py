import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo import analysis
from pinnzoo.domains import Box
from pinnzoo.errors import DiagnosticError, PointsError, UnknownNameError
from pinnzoo.objective import Objective, Term
from tests.analysis.models import descend, linear
from tests.diagnostics.oracles import dense_jacobian, moved, small


@pytest.fixture(scope="module")
def burgers():
    assembly = small(terms=2)
    theta = moved(assembly.theta, 0.1)
    return assembly.objective, theta, dense_jacobian(assembly.objective, theta)


@pytest.fixture(scope="module")
def found(burgers):
    return analysis.kernel_modes(*burgers[:2])


def residual_of(objective, theta):
    return analysis.residuals(objective, np.asarray(theta)[None])[0]


def test_modes_are_eigenvectors_of_the_dense_kernel(burgers, found):
    kernel = burgers[2] @ burgers[2].T
    np.testing.assert_allclose(
        found.eigenvalues, np.linalg.eigvalsh(kernel)[::-1], rtol=1e-8, atol=1e-12 * kernel.max()
    )
    np.testing.assert_allclose(
        kernel @ found.vectors, found.vectors * found.eigenvalues, atol=1e-10 * kernel.max()
    )
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(len(kernel)), atol=1e-12)


def test_residual_and_shares_are_those_in_the_basis(burgers, found):
    wanted = residual_of(*burgers[:2])
    np.testing.assert_allclose(found.vectors @ found.residual, wanted, rtol=1e-8, atol=1e-12)
    parts = [np.sum(found.residual[: k + 1] ** 2) / np.sum(wanted**2) for k in range(len(wanted))]
    np.testing.assert_allclose(found.cumulative_share(), parts, rtol=1e-10)
    np.testing.assert_allclose(found.cumulative_share(wanted), parts, rtol=1e-8)
    assert parts[0] < 0.99
    with pytest.raises(PointsError, match="give one value for each"):
        found.coefficients(wanted[1:])


def test_a_block_has_modes_of_its_own(burgers):
    objective, theta, rows = burgers
    block = analysis.kernel_modes(objective, theta, term="initial")
    own = rows[objective.slices()["initial"]]
    values = np.linalg.eigvalsh(own @ own.T)[::-1]
    np.testing.assert_allclose(block.eigenvalues, values, rtol=1e-8, atol=1e-12 * values[0])
    assert block.condition_number == pytest.approx(np.linalg.cond(own) ** 2, rel=1e-6)
    assert list(block.points) == ["initial"]
    with pytest.raises(UnknownNameError, match="unknown term 'boundary'"):
        analysis.kernel_modes(objective, theta, term="boundary")


def test_effective_dimension_is_the_trace_of_the_damped_projection(burgers, found):
    kernel = burgers[2] @ burgers[2].T
    for damping in (1e-3, 10.0):
        wanted = np.trace(kernel @ np.linalg.inv(kernel + damping * np.eye(len(kernel))))
        assert found.effective_dimension(damping) == pytest.approx(wanted, rel=1e-8)
    with pytest.raises(DiagnosticError, match="positive"):
        found.effective_dimension(0)


def test_more_rows_than_parameters_leave_modes_that_nothing_moves():
    objective, theta = linear()
    found = analysis.kernel_modes(objective, theta)
    assert found.rank == 6
    assert (found.eigenvalues[6:] == 0).all()
    assert found.condition_number == math.inf
    assert found.vectors.shape == (12, 12)
    assert np.isinf(found.steps(0.5)[6:]).all()
    assert found.slow(1e300).sum() == 6


def test_steps_are_those_that_descent_takes():
    objective, theta = linear()
    found = analysis.kernel_modes(objective, theta)
    rate = 1 / found.eigenvalues[0]
    for steps in (3, 40):
        after = residual_of(objective, descend(objective, theta, rate, steps))
        shrunk = np.abs(found.coefficients(after) / found.residual)
        done = found.steps(0.1) <= steps
        assert 0 < done.sum() < 6
        assert (shrunk[done] <= 0.1 * (1 + 1e-9)).all()
        assert (shrunk[~done][: 6 - done.sum()] > 0.1).all()
        by_rate = found.steps(0.1, 0.5 * rate)
        assert (by_rate[1:6] > found.steps(0.1)[1:6]).all()


def test_steps_for_the_residual_are_the_first_that_suffice():
    objective, theta = linear()
    found = analysis.kernel_modes(objective, theta)
    stays = np.sqrt(1 - found.cumulative_share()[5])
    goal = stays + 0.3 * (1 - stays)
    steps = found.steps_for_residual(goal)
    start = np.linalg.norm(found.residual)
    left = [np.linalg.norm(found.decay() ** k * found.residual) / start for k in (steps, steps - 1)]
    assert 0 < steps < 1e6
    assert left[0] <= goal < left[1]
    assert found.steps_for_residual(0.9 * stays) == math.inf
    with pytest.raises(DiagnosticError, match="between 0 and 1"):
        found.steps_for_residual(1.5)


def test_steps_of_stiff_kernels_keep_their_digits():
    values = np.array([1.0, 1e-10, 1e-20])
    stiff = analysis.Modes(values, np.eye(3), np.array([0.0, 1.0, 0.0]), {})
    np.testing.assert_allclose(stiff.steps(np.exp(-1))[1:], [1e10, 1e20], rtol=1e-8)
    assert stiff.steps_for_residual(np.exp(-1)) == pytest.approx(1e10, rel=1e-8)


def test_spectrum_finds_the_frequency_of_each_mode():
    # The kernel of a linear model whose features are cosines of falling size has them as modes.
    sizes = np.array([8.0, 4.0, 2.0, 1.0])

    def residual(theta, z):
        waves = jnp.cos(jnp.pi * jnp.arange(4) * (z[0] - 1) / 2)
        return theta @ (jnp.asarray(sizes) * waves)

    objective = Objective((Term(jnp.full((1, 1), 1.5), jnp.ones(()), "equation", residual),))
    found = analysis.mode_spectrum(
        objective, np.ones(4), domain=Box("x", (1.0,), (3.0,)), shape=(16,)
    )
    np.testing.assert_allclose(found.wave_numbers[:4], [0, 1, 2, 3], atol=1e-10)
    np.testing.assert_allclose(found.power[:4, :4], np.eye(4), atol=1e-10)
    np.testing.assert_allclose(found.power.sum(axis=1), 1, rtol=1e-12)
    assert found.bias == pytest.approx(-1)


def test_modes_of_equal_frequency_have_no_bias():
    spectrum = analysis.ModeSpectrum(
        np.array([4.0, 2.0, 1.0]), np.full(3, 5.0), np.eye(3), np.eye(3), np.zeros((3, 1)), (3,)
    )
    assert spectrum.bias == 0
    tied = dataclasses.replace(spectrum, wave_numbers=np.array([1.0, 1.0, 2.0]))
    assert tied.bias == pytest.approx(-np.sqrt(3) / 2)


def test_a_grid_that_no_kernel_fits_is_refused(burgers):
    objective, theta, _ = burgers
    box = Box("tx", (0, -1), (1, 1))
    with pytest.raises(PointsError, match="12,100 points"):
        analysis.mode_spectrum(objective, theta, domain=box, shape=(110, 110))


def test_many_steps_of_descent_keep_the_digits_of_slow_modes():
    stiff = analysis.Modes(np.array([1.0, 1e-17, 0.0]), np.eye(3), np.ones(3), {})
    found = stiff.decays(np.array([0.0, 1e17]))
    np.testing.assert_allclose(found, [[1, 1, 1], [0, np.exp(-1), 1]], rtol=1e-12)
    # Beyond 1/λ a coefficient changes its sign in every step, beyond 2/λ it grows.
    few = np.arange(4.0)
    for rate in (0.3, 1.5, 2.5):
        modes = analysis.Modes(np.array([1.0, 0.5]), np.eye(2), np.ones(2), {})
        slow = modes.decay(rate)[None, :] ** few[:, None]
        np.testing.assert_allclose(modes.decays(few, rate), slow, rtol=1e-13)


def test_a_network_learns_coarse_functions_first(burgers):
    objective, theta, _ = burgers
    box = Box("tx", (0, -1), (1, 1))
    found = analysis.mode_spectrum(objective, theta, domain=box, shape=(6, 7))
    assert found.wave_numbers[0] < found.wave_numbers[found.eigenvalues > 0][-1]
    assert found.bias < 0
    with pytest.raises(PointsError, match="2 numbers of points"):
        analysis.mode_spectrum(objective, theta, domain=box, shape=(6,))
    with pytest.raises(DiagnosticError, match="domain="):
        analysis.mode_spectrum(objective, theta)


def test_an_objective_needs_parameters(burgers):
    with pytest.raises(DiagnosticError, match="give theta as the second argument"):
        analysis.kernel_modes(burgers[0])


def test_tangent_is_the_first_order_model(burgers):
    objective, theta, rows = burgers
    at = analysis.tangent(objective, theta)
    assert analysis.tangent(at) is at
    np.testing.assert_allclose(at.rows, rows, rtol=1e-8, atol=1e-12)
    change = 1e-5 * moved(np.zeros(len(theta)))
    moved_residual = residual_of(objective, theta + change)
    first_order = np.linalg.norm(moved_residual - at.residual)
    assert np.linalg.norm(moved_residual - at.at(theta + change)) < 1e-3 * first_order
    left, values, right = at.svd
    np.testing.assert_allclose((left * values) @ right, rows, atol=1e-12 * values[0])
