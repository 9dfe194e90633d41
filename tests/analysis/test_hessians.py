import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from pinnzoo import analysis, diagnostics
from pinnzoo.analysis import hessians
from pinnzoo.errors import DiagnosticError, PointsError, UnknownNameError
from tests.analysis.models import linear
from tests.diagnostics.oracles import (
    dense_jacobian,
    dense_loss_hessian,
    dense_residual_hessian,
    moved,
    prescribed,
    small,
)


@pytest.fixture(scope="module")
def at():
    assembly = small(terms=2)
    return analysis.tangent(assembly.objective, moved(assembly.theta, 0.1))


@pytest.fixture(scope="module")
def dense(at):
    """The loss Hessian, its Gauss-Newton part and the rest, from their definitions."""
    whole = dense_loss_hessian(at.objective, at.theta)
    rows = dense_jacobian(at.objective, at.theta)
    return {"loss": whole, "gauss_newton": rows.T @ rows, "remainder": whole - rows.T @ rows}


def formed(matrix):
    unit = np.eye(matrix.size)
    return np.concatenate([matrix.products(unit[k : k + 8]) for k in range(0, len(unit), 8)])


@pytest.mark.parametrize("part", hessians.PARTS)
def test_part_and_its_density_are_those_of_the_dense_matrix(at, dense, part):
    wanted = dense[part]
    scale = np.abs(wanted).max()
    assert scale > 1e-2
    found = formed(analysis.hessian_part(at, part=part))
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-10 * scale)
    density = analysis.hessian_density(at, part=part)
    values = np.linalg.eigvalsh(wanted)
    assert density.exact == density.size == len(wanted)
    np.testing.assert_allclose(density.nodes, values, rtol=1e-8, atol=1e-9 * scale)
    assert density.moment(1) == pytest.approx(np.trace(wanted) / len(wanted), rel=1e-8)
    negative = values[values < -1e-5 * np.abs(values).max()]
    assert density.negative_share == pytest.approx(len(negative) / len(values))
    assert density.negative_curvature == pytest.approx(-negative.sum() / np.abs(values).sum(), 1e-6)
    assert (len(negative) == 0) == (part == "gauss_newton")


def test_small_hessian_is_formed_and_a_large_one_is_not(at, dense, monkeypatch):
    """With one block of vectors an estimate finds few eigenvalues, and not the trace."""
    few: dict[str, Any] = {"blocks": 1, "steps": 2}
    formed_one = analysis.hessian_density(at, **few)
    assert formed_one.exact == formed_one.size
    np.testing.assert_allclose(
        formed_one.nodes, np.linalg.eigvalsh(dense["loss"]), rtol=1e-8, atol=1e-10
    )
    estimated = analysis.hessian_density(at, **few, exact=False)
    assert estimated.exact < estimated.size
    monkeypatch.setattr(hessians, "FORMED", (at.theta.size - 1, at.rows.size))
    by_default = analysis.hessian_density(at, **few)
    np.testing.assert_array_equal(by_default.nodes, estimated.nodes)


def test_estimated_mean_knows_the_trace_of_the_gauss_newton_part(at, dense):
    """Without a remainder nothing is left to the probes."""
    fitted = dataclasses.replace(at, residual=np.zeros_like(at.residual))
    found = analysis.hessian_density(fitted, blocks=1, steps=2, exact=False)
    wanted = np.trace(dense["gauss_newton"]) / at.theta.size
    assert found.mean == pytest.approx(wanted, rel=1e-10)
    assert found.moment(1) != pytest.approx(wanted, rel=1e-6)


def test_terms_have_hessians_that_add_up(at, dense):
    parts = [formed(analysis.hessian_part(at, term=name)) for name in at.objective.slices()]
    np.testing.assert_allclose(sum(parts), dense["loss"], rtol=1e-8, atol=1e-10)
    assert np.abs(parts[0] - dense["loss"]).max() > 1e-3
    with pytest.raises(UnknownNameError, match="part of the Hessian"):
        analysis.hessian_part(at, part="fisher")


def test_damped_step_turns_gauss_newton_into_ones_and_zeros(at, dense):
    damping = 1e-3
    scale = analysis.damped_gauss_newton(at, damping=damping)
    p = at.theta.size
    root = scipy.linalg.inv(scipy.linalg.sqrtm(dense["gauss_newton"] + damping * np.eye(p)))
    np.testing.assert_allclose(scale(np.eye(p)), root, rtol=1e-7, atol=1e-8)
    found = formed(analysis.hessian_part(at, preconditioner=scale))
    np.testing.assert_allclose(found, root @ dense["loss"] @ root, rtol=1e-6, atol=1e-7)
    values = np.linalg.eigvalsh(dense["gauss_newton"])
    density = analysis.hessian_density(at, part="gauss_newton", preconditioner=scale)
    np.testing.assert_allclose(density.nodes, values / (values + damping), rtol=1e-7, atol=1e-8)
    with pytest.raises(DiagnosticError, match="positive"):
        analysis.damped_gauss_newton(at, damping=0.0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (3, "3 was given as the preconditioner: give a function"),
        (np.eye(2), "type ndarray was given as the preconditioner"),
        (lambda rows: rows @ np.eye(3), "fails on rows of shape"),
        (lambda rows: rows[:, 1:], "returns shape"),
    ],
)
def test_preconditioners_that_do_not_fit_are_refused(at, wrong, says):
    with pytest.raises(DiagnosticError, match=says):
        analysis.hessian_density(at, part="gauss_newton", preconditioner=wrong)


@pytest.mark.parametrize("part", hessians.PARTS)
def test_vectors_that_do_not_fit_are_refused(at, part):
    matrix = analysis.hessian_part(at, part=part)
    for wrong in (np.ones((2, matrix.size + 1)), np.ones((2, 1)), np.ones(matrix.size)):
        with pytest.raises(PointsError, match=f"give one per row, .b, {matrix.size}."):
            matrix.products(wrong)
    if part in hessians.CURVED:
        with pytest.raises(PointsError, match="with b of 8 or less"):
            matrix.products(np.ones((9, matrix.size)))


def test_undamped_gauss_newton_has_modes_zero_and_one():
    # Theorem 4.2 of arXiv 2402.03864.
    objective, theta = linear()
    scale = analysis.damped_gauss_newton(objective, theta, damping=1e-13)
    found = analysis.hessian_density(objective, theta, part="gauss_newton", preconditioner=scale)
    np.testing.assert_allclose(found.nodes, 1, atol=1e-4)
    rows = dense_jacobian(objective, theta)
    kernel = rows @ scale(scale(rows)).T
    values = np.linalg.eigvalsh((kernel + kernel.T) / 2)
    np.testing.assert_allclose(values, [0] * 6 + [1] * 6, atol=1e-4)


def test_lbfgs_preconditioner_is_the_root_of_the_recursion():
    rng = np.random.default_rng(0)
    matrix = prescribed([1.0, 2.0, 5.0, 10.0, 30.0, 60.0])
    s = rng.standard_normal((3, 6))
    y = s @ matrix
    inverse = np.eye(6) * (s[-1] @ y[-1]) / (y[-1] @ y[-1])
    for step, change in zip(s, y, strict=True):
        # Nocedal and Wright, Numerical Optimization, equation 7.16.
        rho = 1 / (step @ change)
        v = np.eye(6) - rho * np.outer(change, step)
        inverse = v.T @ inverse @ v + rho * np.outer(step, step)
    scale = analysis.lbfgs_preconditioner(s, y)
    np.testing.assert_allclose(scale(scale(np.eye(6))), inverse, rtol=1e-8, atol=1e-10)
    with pytest.raises(DiagnosticError, match="positive curvature"):
        analysis.lbfgs_preconditioner(s, -y)


def test_lbfgs_pairs_are_steps_and_what_they_changed():
    objective, theta = linear()
    rows = dense_jacobian(objective, theta)
    steps, changes = analysis.lbfgs_pairs(objective, theta, memory=4)
    assert steps.shape == changes.shape == (4, 6)
    np.testing.assert_allclose(changes, steps @ rows.T @ rows, rtol=1e-6, atol=1e-10)
    scale = analysis.lbfgs_preconditioner(steps, changes)
    before = analysis.hessian_density(objective, theta)
    after = analysis.hessian_density(objective, theta, preconditioner=scale)
    assert after.largest / after.moment(1) < before.largest / before.moment(1)


def test_eigenpairs_are_the_ends_of_the_spectrum(at, dense):
    values, vectors = analysis.hessian_eigenpairs(at, count=3)
    wanted = np.linalg.eigvalsh(dense["loss"])
    wanted = wanted[np.argsort(-np.abs(wanted))][:3]
    np.testing.assert_allclose(values, wanted, rtol=1e-8)
    np.testing.assert_allclose(vectors @ dense["loss"], values[:, None] * vectors, atol=1e-8)


def test_map_is_the_norm_of_the_dense_hessians(at):
    points = np.array([[0.1, -0.4], [0.5, 0.02], [0.9, 0.8]])
    found = analysis.hessian_map(at.objective, at.theta, points=points)
    wanted = [np.linalg.norm(dense_residual_hessian(at.objective, at.theta, z), 2) for z in points]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    # A term's norms are those of the diagnostic, which was checked by itself.
    other = diagnostics.residual_hessian_norms(at.objective, at.theta, points, term="initial")
    mine = analysis.hessian_map(at.objective, at.theta, points=points, term="initial")
    np.testing.assert_allclose(mine, other.norms, rtol=1e-6)


def outliers_and_bulk(p=600):
    """A spectrum like a Hessian's: a few outliers over a bulk around zero, some of it negative."""
    rng = np.random.default_rng(2)
    return np.concatenate(
        [1e3 * 0.6 ** np.arange(30), -20 * 0.7 ** np.arange(10), 1e-2 * rng.standard_normal(p - 40)]
    )


def test_density_of_a_large_matrix_has_its_moments():
    values = outliers_and_bulk()
    matrix = prescribed(values)
    found = analysis.spectral_density(lambda v: v @ matrix, len(values), blocks=10, steps=30)
    assert 20 < found.exact < 100
    assert found.moment(0) == pytest.approx(1, rel=1e-10)
    for order in range(1, 5):
        assert found.moment(order) == pytest.approx(np.mean(values**order), rel=1e-2)
    assert found.largest == pytest.approx(values.max(), rel=1e-8)
    assert found.smallest == pytest.approx(values.min(), rel=1e-6)
    wanted = -values[values < 0].sum() / np.abs(values).sum()
    assert found.negative_curvature == pytest.approx(wanted, rel=0.05)
    # The bulk is seen as one heap around zero, whose signs and sizes are not told apart.
    assert 0 < found.resolution < 0.1
    clear = values[np.abs(values) > max(found.resolution, 1e-8 * values.max())]
    axis, up, down = found.curve()
    assert (up + down).sum() * (axis[1] - axis[0]) == pytest.approx(
        len(clear) / len(values), abs=0.03
    )


def test_known_eigenvectors_begin_the_space():
    """Hundreds of eigenvalues near one, of which a random space finds none."""
    values = np.concatenate([1 - 1e-3 * np.arange(60), 0.9 * 0.9 ** np.arange(540)])
    matrix = prescribed(values)
    change = 1e-3 * prescribed(np.linspace(-1, 1, 600))[::-1]
    changed = matrix + (change + change.T) / 2
    wanted = np.linalg.eigvalsh(changed)
    known = np.linalg.eigh(matrix)[1][:, ::-1].T[:80]
    errors = {}
    for start in (None, known):
        space = analysis.krylov(lambda v: v @ changed, 600, blocks=12, start=start, seed=1)
        found = analysis.spectral_density(lambda v: v @ changed, 600, steps=6, space=space, seed=1)
        errors[start is None] = max(
            abs(found.moment(k) / np.mean(wanted**k) - 1) for k in range(1, 5)
        )
    assert errors[False] < 2e-3
    assert errors[True] > 2e-2


def test_known_eigenvectors_of_one_block_do_not_hide_the_other():
    """Two windows of time share no parameters: the Hessian has a block of its own for each."""
    first, second = np.full(40, 1e-3), np.full(40, 1e-3)
    first[:8], second[:4] = 3.0, [2.0, -50.0, 1.0, -1.0]
    matrix = np.diag(np.concatenate([first, second]))
    values, _, missed, _ = analysis.krylov(lambda v: v @ matrix, 80, blocks=4, start=np.eye(80)[:8])
    assert values[0] == pytest.approx(-50, rel=1e-6)
    assert missed[0] < 1e-4


def test_known_eigenvectors_may_be_all_of_them():
    matrix = prescribed([3.0, 2.0, -1.0])
    values, _, _, closed = analysis.krylov(lambda v: v @ matrix, 3, start=np.eye(3))
    assert closed
    np.testing.assert_allclose(values, [3, 2, -1], rtol=1e-12)


def test_without_deflation_the_moments_would_be_noise():
    values = outliers_and_bulk()
    matrix = prescribed(values)
    found = analysis.spectral_density(lambda v: v @ matrix, len(values), blocks=1, steps=60)
    assert abs(found.moment(2) / np.mean(values**2) - 1) > 0.05


def test_density_without_a_space_is_that_of_its_probes():
    plain = analysis.spectral_density(
        lambda v: v @ np.diag(np.linspace(1, 2, 60)), 60, blocks=0, steps=20, probes=64
    )
    assert plain.exact == 0
    assert plain.moment(1) == pytest.approx(1.5, rel=0.02)
    wrong: Any
    for wrong in ({"probes": 0}, {"steps": 0}, {"blocks": -1}):
        with pytest.raises(DiagnosticError, match="one probe"):
            analysis.spectral_density(lambda v: v, 4, **wrong)


def test_known_part_of_a_trace_is_not_left_to_the_probes():
    """Here the part is the whole matrix, so that nothing is left to them."""
    matrix = np.diag(np.linspace(0.0, 1.0, 300) ** 4)
    products = lambda rows: rows @ matrix  # noqa: E731
    seen = analysis.spectral_density(products, 300, blocks=1, steps=4)
    known = analysis.spectral_density(
        products, 300, blocks=1, steps=4, part=(products, float(np.trace(matrix)))
    )
    wanted = np.trace(matrix) / 300
    assert seen.mean == seen.moment(1) != pytest.approx(wanted, rel=1e-3)
    assert known.mean == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_array_equal(known.nodes, seen.nodes)
    near = np.abs(seen.nodes) <= seen.resolution
    assert seen.unresolved == pytest.approx(seen.weights[near].sum())
    assert analysis.SpectralDensity.of([1.0, 0.0]).unresolved == 0


def test_matrix_of_low_rank_is_seen_whole():
    matrix = prescribed([5.0, 2.0, -1.0] + [0.0] * 57)
    found = analysis.spectral_density(lambda v: v @ matrix, 60, blocks=20)
    np.testing.assert_allclose(found.nodes[[0, -2, -1]], [-1, 2, 5], rtol=1e-9)
    assert found.moment(1) == pytest.approx(0.1, rel=1e-9)
    assert found.negative_share == pytest.approx(1 / 60)
    zero = analysis.spectral_density(lambda v: 0 * v, 30)
    assert zero.moment(0) == pytest.approx(1)
    assert zero.largest == zero.negative_curvature == 0


def test_curve_holds_what_is_not_zero():
    density = analysis.SpectralDensity.of([-1e-2, 0.0, 1.0, 1.0])
    axis, positive, negative = density.curve()
    step = axis[1] - axis[0]
    assert positive.sum() * step == pytest.approx(0.5, rel=1e-3)
    assert negative.sum() * step == pytest.approx(0.25, rel=1e-3)
    assert axis[np.argmax(negative)] == pytest.approx(-2, abs=0.02)
