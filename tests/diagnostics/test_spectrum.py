import numpy as np
import pytest

from pinnzoo.diagnostics import spectrum
from pinnzoo.errors import UnknownNameError
from tests.diagnostics.oracles import prescribed


def test_eigenvalues_are_descending_and_those_prescribed():
    wanted = np.array([3.0, 1.0, 0.5, -2.0])
    np.testing.assert_allclose(spectrum.eigenvalues(prescribed(wanted)), wanted, atol=1e-13)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7)])
def test_gram_eigenvalues_equal_those_of_the_product(shape):
    rows = np.random.default_rng(0).standard_normal(shape)
    values = spectrum.gram_eigenvalues(rows)
    assert len(values) == shape[0]
    assert values[0] > 1
    np.testing.assert_allclose(
        values, np.linalg.eigvalsh(rows @ rows.T)[::-1], atol=1e-12 * values[0]
    )


def test_gram_eigenvalues_are_accurate_below_rounding_of_the_product():
    rows = np.diag([1.0, 1e-6, 1e-12]) @ np.linalg.qr(np.eye(3)[::-1] + 0.1)[0]
    np.testing.assert_allclose(spectrum.gram_eigenvalues(rows), [1, 1e-12, 1e-24], rtol=1e-3)


@pytest.mark.parametrize("size", [20, spectrum.DENSE_NORM + 20])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_spectral_norm_is_the_largest_magnitude_of_either_sign(size, sign):
    values = np.concatenate([[-sign * 4.0, sign * 5.0], np.linspace(-3, 3, size - 2)])
    assert spectrum.matrix_norm(prescribed(values)) == pytest.approx(5.0, rel=1e-10)


def test_spectral_norm_survives_where_lanczos_does_not_converge():
    size = spectrum.DENSE_NORM + 20
    values = 1 - np.linspace(0, 1, size) ** 4 * 1e-3
    matrix = prescribed(values)
    assert not spectrum.lanczos(matrix.__matmul__, size, max_steps=5).converged
    assert spectrum.matrix_norm(matrix) == pytest.approx(1.0, rel=1e-12)


def test_frobenius_norm_is_the_root_of_the_sum_of_squares():
    matrix = prescribed([3.0, -4.0, 0.0])
    assert spectrum.matrix_norm(matrix, "frobenius") == pytest.approx(5.0, rel=1e-13)


def test_unknown_norm_is_refused():
    with pytest.raises(UnknownNameError, match="nuclear"):
        spectrum.matrix_norm(np.eye(2), "nuclear")


@pytest.mark.parametrize(
    ("values", "rank"),
    [([2.0, 2.0, 2.0], 3.0), ([5.0, 0.0, 0.0], 1.0), ([0.0, 0.0], 0.0), ([1.0, 1.0, -1e-17], 2.0)],
)
def test_effective_rank_of_known_spectra(values, rank):
    assert float(spectrum.effective_rank(np.array(values))) == pytest.approx(rank, rel=1e-12)


def test_effective_rank_is_the_exponential_of_the_entropy():
    share = np.array([0.7, 0.2, 0.1])
    wanted = np.exp(-sum(p * np.log(p) for p in share))
    stacked = spectrum.effective_rank(np.stack([share, 9 * share]))
    np.testing.assert_allclose(stacked, [wanted, wanted], rtol=1e-13)


def test_lanczos_finds_both_ends_of_a_dense_spectrum():
    values = np.concatenate([[50.0, 20.0], np.linspace(-1, 1, 198), [-7.0]])
    matrix = prescribed(values)
    found = spectrum.lanczos(matrix.__matmul__, len(values))
    assert found.converged
    assert found.steps < 60
    assert found.largest == pytest.approx(50.0, rel=1e-12)
    assert found.smallest == pytest.approx(-7.0, rel=1e-12)


def test_lanczos_errors_bound_the_distance_to_the_spectrum():
    values = np.linspace(-1, 1, 200) ** 3
    matrix = prescribed(values)
    found = spectrum.lanczos(matrix.__matmul__, 200, max_steps=8)
    assert not found.converged
    assert 0 < np.abs(values - found.largest).min() <= found.largest_error
    assert 0 < np.abs(values - found.smallest).min() <= found.smallest_error
    assert found.largest < 1


@pytest.mark.parametrize("matrix", [np.zeros((4, 4)), 2 * np.eye(5), np.array([[3.0]])])
def test_lanczos_stops_in_an_invariant_subspace(matrix):
    found = spectrum.lanczos(matrix.__matmul__, len(matrix))
    assert found.converged
    assert found.largest == pytest.approx(matrix[0, 0], abs=1e-15)
    assert found.steps == 1


def test_trace_of_low_rank_is_exact():
    values = np.zeros(60)
    values[:5] = [9.0, -4.0, 2.0, 1.0, 0.5]
    trace, error = spectrum.estimate_trace(prescribed(values).__matmul__, 60, probes=18)
    assert trace == pytest.approx(8.5, rel=1e-10)
    assert error < 1e-10


def test_trace_error_shrinks_with_probes_and_covers_the_truth():
    values = np.concatenate([[30.0, 10.0], np.random.default_rng(0).uniform(-1, 1, 298)])
    matrix = prescribed(values)
    few = [spectrum.estimate_trace(matrix.__matmul__, 300, probes=12, seed=s) for s in range(8)]
    many = [spectrum.estimate_trace(matrix.__matmul__, 300, probes=300, seed=s) for s in range(8)]
    deviation = [np.sqrt(np.mean([(t - values.sum()) ** 2 for t, _ in r])) for r in (few, many)]
    assert 0 < deviation[1] < 0.4 * deviation[0]
    assert all(abs(trace - values.sum()) < 5 * error for trace, error in many)


def test_trace_of_a_matrix_smaller_than_the_probes_is_exact():
    trace, _ = spectrum.estimate_trace(np.array([[3.0]]).__matmul__, 1, probes=90)
    assert trace == pytest.approx(3.0)


def test_lanczos_on_several_matrices_finds_what_it_finds_on_each():
    # One converges at once, one in a few steps, one late.
    matrices = np.stack(
        [2 * np.eye(80), prescribed([9.0, *np.zeros(79)]), prescribed(np.linspace(-3, 1, 80))]
    )
    calls = []

    def products(vectors):
        calls.append(len(vectors))
        return np.einsum("kij,kj->ki", matrices, vectors)

    together = spectrum.lanczos_together(products, 3, 80)
    alone = [spectrum.lanczos(matrix.__matmul__, 80) for matrix in matrices]
    assert len(calls) == max(found.steps for found in alone)
    for found, wanted in zip(together, alone, strict=True):
        assert found.steps == wanted.steps
        assert found.largest == pytest.approx(wanted.largest, abs=1e-12)
        assert found.smallest == pytest.approx(wanted.smallest, abs=1e-12)
