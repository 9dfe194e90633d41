import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo import diagnostics
from pinnzoo.diagnostics import hessian as hessian_module
from pinnzoo.errors import PointsError, PrecisionError, TrainingError, UnknownNameError
from pinnzoo.objective import Term
from tests.diagnostics.oracles import (
    dense_jacobian,
    dense_loss_hessian,
    dense_residual_hessian,
    moved,
    small,
    toy,
)


@pytest.fixture(scope="module")
def burgers():
    return small(terms=2)


@pytest.fixture(scope="module")
def dense(burgers):
    return dense_loss_hessian(burgers.objective, burgers.theta)


@pytest.fixture(scope="module")
def hessian_points():
    return np.array([[0.1, -0.4], [0.5, 0.02], [0.9, 0.8]])


@pytest.fixture(scope="module")
def residual_hessians(burgers, hessian_points):
    return [dense_residual_hessian(burgers.objective, burgers.theta, z) for z in hessian_points]


def test_loss_hessian_equals_reverse_over_reverse(burgers, dense):
    assert np.abs(dense).max() > 1e-2
    found = diagnostics.loss_hessian(burgers.objective, burgers.theta)
    np.testing.assert_allclose(found, dense, rtol=1e-9, atol=1e-12)


def test_loss_hessian_is_gauss_newton_plus_residuals_times_their_hessians(burgers, dense):
    theta, objective, _ = burgers
    rows = dense_jacobian(objective, theta)
    curvature = np.zeros_like(dense)
    for term in objective.terms:
        values = np.asarray(jax.jit(Term.rows)(term, theta))
        for value, z in zip(values, term.points, strict=True):
            hessian = diagnostics.residual_hessian(objective, theta, z, term=term.name)
            curvature += value * float(term.scale) * hessian
    assert np.abs(curvature).max() > 1e-3
    np.testing.assert_allclose(rows.T @ rows + curvature, dense, rtol=1e-9, atol=1e-12)


def test_hessian_vector_product_equals_the_dense_matrix_times_the_vector(burgers, dense):
    v = moved(np.zeros(len(dense)))
    found = diagnostics.hessian_vector_product(burgers.objective, burgers.theta, v)
    np.testing.assert_allclose(found, dense @ v, rtol=1e-9, atol=1e-12)
    column = np.eye(len(dense), dtype=int)[3]
    found = diagnostics.hessian_vector_product(burgers.objective, burgers.theta, column)
    np.testing.assert_allclose(found, dense[:, 3], rtol=1e-9, atol=1e-12)


def test_gauss_newton_product_equals_the_dense_matrix_times_the_vector(burgers, dense):
    theta, objective, _ = burgers
    rows = dense_jacobian(objective, theta)
    v = moved(np.zeros(len(dense)))
    found = diagnostics.gauss_newton_vector_product(objective, theta, jnp.asarray(v))
    np.testing.assert_allclose(found, rows.T @ (rows @ v), rtol=1e-9, atol=1e-12)
    assert not np.allclose(found, dense @ v, rtol=1e-3)


def test_residual_hessian_is_that_of_the_bare_residual(burgers, hessian_points, residual_hessians):
    for z, wanted in zip(hessian_points, residual_hessians, strict=True):
        found = diagnostics.residual_hessian(burgers.objective, burgers.theta, z)
        assert np.abs(wanted).max() > 1e-2
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_residual_hessian_of_a_condition_is_found_by_its_name(burgers):
    z = np.array([0.0, 0.3])
    wanted = dense_residual_hessian(burgers.objective, burgers.theta, z, index=1)
    found = diagnostics.residual_hessian(burgers.objective, burgers.theta, z, term="initial")
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_residual_hessian_norms_equal_numpy(burgers, hessian_points, residual_hessians):
    found = diagnostics.residual_hessian_norms(burgers.objective, burgers.theta, hessian_points)
    norms = [np.linalg.norm(h, 2) for h in residual_hessians]
    np.testing.assert_allclose(found.norms, norms, rtol=1e-10)
    assert found.mean == pytest.approx(np.mean(norms))
    assert found.max == pytest.approx(np.max(norms))
    assert found.mean < found.max


@pytest.mark.parametrize("threshold", [1e-3, 1e-1])
def test_sparsity_counts_entries_below_the_threshold(
    burgers, hessian_points, residual_hessians, threshold
):
    found = diagnostics.residual_hessian_norms(
        burgers.objective, burgers.theta, hessian_points, threshold=threshold
    )
    wanted = [np.mean(np.abs(h) <= threshold * np.abs(h).max()) for h in residual_hessians]
    assert 0 < wanted[0] < 1
    np.testing.assert_allclose(found.sparsities, wanted, atol=1e-12)
    assert found.sparsity == pytest.approx(np.mean(wanted))


def test_residual_hessian_norms_from_products_equal_the_dense_ones(burgers, hessian_points):
    theta, objective, _ = burgers
    exact = diagnostics.residual_hessian_norms(objective, theta, hessian_points)
    products = diagnostics.residual_hessian_norms(objective, theta, hessian_points, dense_limit=1)
    np.testing.assert_allclose(products.norms, exact.norms, rtol=1e-10)
    # Fewer parameters than columns that are sampled, so that all of them are.
    np.testing.assert_allclose(products.sparsities, exact.sparsities, atol=1e-12)


def test_sparsity_from_some_of_the_columns_is_near_that_of_all(
    burgers, hessian_points, residual_hessians, monkeypatch
):
    theta, objective, _ = burgers
    count = 2 * theta.size // 3
    monkeypatch.setattr(hessian_module, "SAMPLED_COLUMNS", count)
    found = diagnostics.residual_hessian_norms(
        objective, theta, hessian_points, dense_limit=1, threshold=1e-2
    )
    for h, share in zip(residual_hessians, found.sparsities, strict=True):
        sizes = np.abs(h)
        # Of the largest entry of any columns, at most that of the matrix.
        least = np.mean(sizes <= 1e-2 * np.sort(sizes.max(axis=0))[-1 - theta.size + count])
        assert least - 0.1 <= share <= np.mean(sizes <= 1e-2 * sizes.max()) + 0.1
        assert share != np.mean(sizes <= 1e-2 * sizes.max())


def test_loss_spectrum_equals_numpy_on_the_dense_hessian(burgers, dense):
    found = diagnostics.loss_hessian_spectrum(burgers.objective, burgers.theta)
    values = np.linalg.eigvalsh(dense)
    assert found.method == "dense"
    assert found.smallest < 0 < found.largest
    np.testing.assert_allclose(
        [found.largest, found.smallest, found.trace],
        [values[-1], values[0], np.trace(dense)],
        rtol=1e-9,
    )
    assert found.eigenvalues is not None
    np.testing.assert_allclose(found.eigenvalues, values[::-1], atol=1e-12 * values[-1])


def test_gauss_newton_spectrum_equals_numpy_and_is_that_of_the_ntk(burgers):
    theta, objective, _ = burgers
    rows = dense_jacobian(objective, theta)
    values = np.linalg.eigvalsh(rows.T @ rows)[::-1]
    found = diagnostics.gauss_newton_spectrum(objective, theta)
    assert found.eigenvalues is not None
    np.testing.assert_allclose(found.eigenvalues, values, atol=1e-12 * values[0])
    assert found.smallest == 0
    assert found.trace == pytest.approx(np.trace(rows.T @ rows))
    kernel = diagnostics.ntk_eigenvalues(objective, theta)
    np.testing.assert_allclose(found.eigenvalues[: len(kernel)], kernel, rtol=1e-6, atol=1e-20)


@pytest.mark.parametrize(
    "spectrum", [diagnostics.loss_hessian_spectrum, diagnostics.gauss_newton_spectrum]
)
def test_spectra_from_products_agree_with_the_dense_ones(burgers, spectrum):
    exact = spectrum(burgers.objective, burgers.theta)
    found = spectrum(burgers.objective, burgers.theta, dense_limit=1)
    assert found.method == "lanczos"
    assert found.eigenvalues is None
    assert found.largest == pytest.approx(exact.largest, rel=1e-10)
    assert found.smallest == pytest.approx(exact.smallest, abs=1e-9 * exact.largest)
    assert abs(found.trace - exact.trace) <= 5 * found.trace_error + 1e-12 * exact.trace
    assert found.trace_error < 0.1 * exact.trace


def test_residual_hessians_in_groups_are_those_taken_together(burgers, hessian_points, monkeypatch):
    theta, objective, _ = burgers
    exact = diagnostics.residual_hessian_norms(objective, theta, hessian_points)
    # Two points at once, so that the last group is filled up.
    monkeypatch.setattr(hessian_module, "BASIS_BYTES", 2 * 50 * 8 * theta.size)
    found = diagnostics.residual_hessian_norms(objective, theta, hessian_points, dense_limit=1)
    np.testing.assert_allclose(found.norms, exact.norms, rtol=1e-10)
    np.testing.assert_allclose(found.sparsities, exact.sparsities, atol=1e-12)


def test_every_product_gives_a_sign_of_life_and_can_be_interrupted(burgers, hessian_points):
    theta, objective, _ = burgers
    heard = []
    found = diagnostics.loss_hessian_spectrum(
        objective, theta, dense_limit=1, probes=12, tick=heard.append
    )
    assert found.method == "lanczos"
    assert len(heard) > 12 + 10

    def interrupt(text):
        heard.append(text)
        if len(heard) == 10:
            raise KeyboardInterrupt

    heard.clear()
    with pytest.raises(KeyboardInterrupt):
        diagnostics.residual_hessian_norms(
            objective, theta, hessian_points, dense_limit=1, tick=interrupt
        )
    assert len(heard) == 10


def test_trace_from_few_probes_has_an_honest_error(burgers):
    exact = diagnostics.loss_hessian_spectrum(burgers.objective, burgers.theta)
    found = diagnostics.loss_hessian_spectrum(
        burgers.objective, burgers.theta, dense_limit=1, probes=24
    )
    assert 0 < abs(found.trace - exact.trace) < 5 * found.trace_error < exact.trace


def test_residual_hessian_vanishes_with_width_for_the_linear_toy_problem_only():
    """Propositions B.3 and 3.7, figure 2a: norm like 1/√width, or bounded from below."""
    points = np.array([[0.3]])
    norm, sparsity = {}, {}
    for linear in (True, False):
        for width in (16, 256):
            at = toy(linear=linear, width=width)
            draws = np.random.default_rng(0).standard_normal((6, at.theta.size))
            found = [diagnostics.residual_hessian_norms(at.objective, t, points) for t in draws]
            norm[linear, width] = np.mean([f.mean for f in found])
            sparsity[linear, width] = np.mean([f.sparsity for f in found])
    assert norm[True, 256] < 0.55 * norm[True, 16]
    assert norm[False, 256] > 0.75 * norm[False, 16]
    assert sparsity[True, 256] > 0.99
    assert sparsity[False, 256] < 0.6


def test_unknown_terms_and_misshaped_points_are_refused(burgers):
    theta, objective, _ = burgers
    with pytest.raises(UnknownNameError, match="initial"):
        diagnostics.residual_hessian(objective, theta, np.zeros(2), term="inital")
    with pytest.raises(PointsError, match=r"\(n, 2\)"):
        diagnostics.residual_hessian(objective, theta, np.zeros(3))
    with pytest.raises(PointsError, match=r"\(n, 2\)"):
        diagnostics.residual_hessian_norms(objective, theta, np.zeros((0, 2)))


HESSIANS = [
    diagnostics.loss_hessian,
    diagnostics.loss_hessian_spectrum,
    diagnostics.gauss_newton_spectrum,
    lambda objective, theta: diagnostics.residual_hessian(objective, theta, np.zeros(2)),
    lambda objective, theta: diagnostics.residual_hessian_norms(objective, theta, np.zeros((1, 2))),
]


@pytest.mark.parametrize("hessian", HESSIANS)
def test_parameters_that_are_not_finite_are_refused(burgers, hessian):
    with pytest.raises(TrainingError, match="NaN or infinite"):
        hessian(burgers.objective, np.asarray(burgers.theta) * np.nan)


@pytest.mark.parametrize("hessian", HESSIANS)
def test_single_precision_is_refused(burgers, hessian, single_precision):
    with pytest.raises(PrecisionError, match="enable_x64"):
        hessian(burgers.objective, burgers.theta)


@pytest.mark.parametrize(
    "product", [diagnostics.hessian_vector_product, diagnostics.gauss_newton_vector_product]
)
def test_products_of_a_float32_network_are_refused(product):
    assembly = small(dtype="float32")
    with pytest.raises(PrecisionError, match="float64"):
        product(assembly.objective, assembly.theta, assembly.theta)
