import dataclasses
import io

import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo import diagnostics
from pinnzoo.diagnostics import NTKSnapshots
from pinnzoo.errors import (
    IntegrityError,
    PointsError,
    PrecisionError,
    TrainingError,
    UnknownNameError,
)
from pinnzoo.objective import assemble
from pinnzoo.pdes import make_problem
from tests.diagnostics.oracles import dense_jacobian, moved, network, points_of, small, toy

COUNTS = {"equation": 7, "initial": 4, "left": 2, "right": 3}


@pytest.fixture(scope="module")
def burgers():
    return small()


@pytest.fixture(scope="module")
def points():
    given = points_of(make_problem("burgers", {}), 14, seed=3)
    # Not in the order of the rows, on purpose.
    return {name: given[name][: COUNTS[name]] for name in reversed(COUNTS)}


@pytest.fixture(scope="module")
def thetas(burgers):
    return np.stack([np.asarray(burgers.theta), moved(burgers.theta, 0.1), moved(burgers.theta)])


@pytest.fixture(scope="module")
def snapshots(burgers, thetas, points):
    return diagnostics.ntk_snapshots(burgers.objective, [0, 3, 10], thetas, points)


@pytest.fixture(scope="module")
def kernels(burgers, thetas, points):
    """The paper's kernel, from the definition: bare residuals of all points, forward mode."""
    problem = make_problem("burgers", {})
    ordered = {name: points[name] for name in COUNTS}
    rows = assemble(problem, network(problem, {"width": 4, "depth": 2}), ordered).objective
    root = np.concatenate([np.full(n, np.sqrt(n)) for n in COUNTS.values()])
    result = []
    for theta in thetas:
        jacobian = root[:, None] * dense_jacobian(rows, jnp.asarray(theta))
        result.append(jacobian @ jacobian.T)
    return np.stack(result)


def test_ntk_is_the_product_of_the_dense_jacobian_with_its_transpose(burgers):
    theta, objective, _ = burgers
    rows = dense_jacobian(objective, theta)
    kernel = diagnostics.ntk(objective, theta)
    assert kernel.dtype == np.float64
    assert np.abs(kernel).max() > 1e-3
    np.testing.assert_allclose(kernel, rows @ rows.T, rtol=1e-10, atol=1e-13)
    np.testing.assert_array_equal(kernel, kernel.T)


def test_chunks_do_not_change_the_ntk(burgers):
    theta, objective, _ = burgers
    whole = diagnostics.ntk(objective, theta)
    np.testing.assert_allclose(diagnostics.ntk(objective, theta, chunk=3), whole, rtol=1e-12)


def test_blocks_put_together_are_the_kernel(burgers):
    theta, objective, _ = burgers
    blocks = diagnostics.ntk_blocks(objective, theta)
    names = list(objective.slices())
    together = np.block([[blocks[a, b] for b in names] for a in names])
    np.testing.assert_array_equal(together, diagnostics.ntk(objective, theta))
    assert blocks["equation", "initial"].shape == (10, 5)


def test_ntk_eigenvalues_equal_those_of_the_kernel(burgers):
    theta, objective, _ = burgers
    values = diagnostics.ntk_eigenvalues(objective, theta)
    wanted = np.linalg.eigvalsh(diagnostics.ntk(objective, theta))[::-1]
    assert (np.diff(values) <= 0).all()
    np.testing.assert_allclose(values, wanted, atol=1e-12 * wanted[0])


@pytest.mark.parametrize(("norm", "order"), [("spectral", 2), ("frobenius", "fro")])
def test_drift_is_the_relative_norm_of_the_change(kernels, norm, order):
    wanted = np.linalg.norm(kernels[2] - kernels[0], order) / np.linalg.norm(kernels[0], order)
    assert wanted > 0.01
    assert diagnostics.ntk_drift(kernels[2], kernels[0], norm=norm) == pytest.approx(wanted)


def test_snapshots_hold_the_unscaled_kernel_of_all_terms(snapshots, kernels, points):
    assert list(snapshots.terms) == list(COUNTS)
    assert snapshots.points.shape == (16, 2)
    np.testing.assert_array_equal(snapshots.points[7:11], points["initial"])
    np.testing.assert_allclose(
        snapshots.kernels, kernels, rtol=1e-10, atol=1e-12 * np.abs(kernels).max()
    )


def test_snapshots_do_not_depend_on_the_weights_of_the_objective(burgers, thetas, points):
    heavier = burgers.objective.with_scales({"initial": jnp.asarray(7.0)})
    given = diagnostics.ntk_snapshots(burgers.objective, [0], thetas[:1], points)
    other = diagnostics.ntk_snapshots(heavier, [0], thetas[:1], points)
    np.testing.assert_array_equal(given.kernels, other.kernels)


def test_snapshot_spectra_equal_numpy_on_the_dense_kernel(snapshots, kernels):
    for name, rows in [(None, slice(None)), *snapshots.blocks.items()]:
        for values, kernel in zip(snapshots.eigenvalues(name), kernels, strict=True):
            wanted = np.linalg.eigvalsh(kernel[rows, rows])[::-1]
            np.testing.assert_allclose(values, wanted, atol=1e-12 * wanted[0])


def test_snapshot_norms_are_spectral_norms(snapshots, kernels):
    np.testing.assert_allclose(snapshots.norms(), [np.linalg.norm(k, 2) for k in kernels])


@pytest.mark.parametrize(("norm", "order"), [("spectral", 2), ("frobenius", "fro")])
def test_snapshot_drifts_equal_numpy_on_the_dense_kernel(snapshots, kernels, norm, order):
    for name, rows in [(None, slice(None)), *snapshots.blocks.items()]:
        block = kernels[:, rows, rows]
        wanted = [
            np.linalg.norm(k - block[0], order) / np.linalg.norm(block[0], order) for k in block
        ]
        assert wanted[2] > 0.01
        np.testing.assert_allclose(snapshots.drift(norm, name), wanted, rtol=1e-9)
        assert snapshots.drift(norm, name)[0] == 0


def test_snapshot_effective_rank_is_between_one_and_the_number_of_rows(snapshots):
    for name, rows in snapshots.blocks.items():
        rank = snapshots.effective_rank(name)
        assert rank.shape == (3,)
        assert (rank >= 1).all()
        assert (rank <= rows.stop - rows.start).all()


def test_a_block_that_is_zero_by_construction_has_no_drift():
    problem = make_problem("convection", {})
    arguments = {"width": 4, "depth": 2, "periodic_axes": (1,)}
    points = points_of(problem, 6)
    at = assemble(problem, network(problem, arguments), points)
    thetas = np.stack([moved(at.theta, 0.0), moved(at.theta)])
    snapshots = diagnostics.ntk_snapshots(at.objective, [0, 1], thetas, points)
    assert snapshots.drift("spectral", "periodic").tolist() == [0, 0]
    assert snapshots.drift("spectral", "initial")[1] > 0.01


def test_arrays_survive_a_file_without_pickles(snapshots):
    file = io.BytesIO()
    np.savez_compressed(file, **snapshots.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        back = NTKSnapshots.from_arrays(stored)
    assert list(back.terms) == list(snapshots.terms)
    np.testing.assert_array_equal(back.steps, [0, 3, 10])
    for norm in ("spectral", "frobenius"):
        for name in (None, *snapshots.terms):
            np.testing.assert_array_equal(back.drift(norm, name), snapshots.drift(norm, name))
    for name in (None, *snapshots.terms):
        np.testing.assert_array_equal(back.eigenvalues(name), snapshots.eigenvalues(name))
    np.testing.assert_array_equal(back.points, snapshots.points)
    np.testing.assert_allclose(back.kernels, snapshots.kernels, rtol=1e-7)
    np.testing.assert_array_equal(back.kernels, back.kernels.swapaxes(1, 2))
    for key, array in back.to_arrays().items():
        np.testing.assert_array_equal(array, snapshots.to_arrays()[key])


def test_only_kernels_are_rounded_in_arrays(snapshots):
    kinds = {key: array.dtype for key, array in snapshots.to_arrays().items()}
    assert kinds.pop("kernels") == np.float32
    assert kinds.pop("terms").kind == "U"
    assert kinds.pop("steps") == np.int64
    assert set(kinds.values()) == {np.dtype(np.float64)}


def test_every_missing_array_is_noticed(snapshots):
    arrays = snapshots.to_arrays()
    for key in arrays:
        with pytest.raises(IntegrityError, match=key):
            NTKSnapshots.from_arrays({k: v for k, v in arrays.items() if k != key})


def test_every_misshaped_array_is_noticed(snapshots):
    arrays = snapshots.to_arrays()
    for key, array in arrays.items():
        for wrong in (array[..., :-1], array[None]):
            with pytest.raises(IntegrityError):
                NTKSnapshots.from_arrays(arrays | {key: wrong})


@pytest.mark.parametrize("key", ["kernels", "spectra", "points.left", "drift.spectral.all"])
def test_numbers_of_another_type_and_nan_are_noticed(snapshots, key):
    arrays = snapshots.to_arrays()
    for wrong in (arrays[key].astype(str), arrays[key] * np.nan):
        with pytest.raises(IntegrityError, match=key):
            NTKSnapshots.from_arrays(arrays | {key: wrong})


def test_steps_that_do_not_rise_are_refused(snapshots, burgers, thetas, points):
    arrays = snapshots.to_arrays()
    with pytest.raises(IntegrityError, match="rising"):
        NTKSnapshots.from_arrays(arrays | {"steps": np.array([0, 3, 3])})
    with pytest.raises(PointsError, match="rise"):
        diagnostics.ntk_snapshots(burgers.objective, [0, 3, 3], thetas, points)


def test_unknown_blocks_and_norms_are_refused_with_the_nearest_name(snapshots):
    for call in (snapshots.drift, snapshots.eigenvalues, snapshots.norms):
        with pytest.raises(UnknownNameError, match="initial"):
            call(block="inital")
    with pytest.raises(UnknownNameError, match="spectral"):
        snapshots.drift("spectrl")


def test_points_for_the_wrong_terms_or_of_the_wrong_shape_are_refused(burgers, thetas, points):
    def attempt(given):
        return diagnostics.ntk_snapshots(burgers.objective, [0], thetas[:1], given)

    for wrong in (
        {k: v for k, v in points.items() if k != "left"},
        points | {"top": points["left"]},
        points | {"left": points["left"][:, :1]},
        points | {"left": points["left"][:0]},
        points | {"left": points["left"] * np.nan},
    ):
        with pytest.raises(PointsError):
            attempt(wrong)


def test_steps_and_parameters_that_do_not_match_are_refused(burgers, thetas, points):
    with pytest.raises(PointsError, match="shape"):
        diagnostics.ntk_snapshots(burgers.objective, [0, 1], thetas, points)


def test_parameters_that_are_not_finite_are_refused(burgers, thetas, points):
    broken = thetas.copy()
    broken[1, 0] = np.inf
    with pytest.raises(TrainingError, match="NaN or infinite"):
        diagnostics.ntk_snapshots(burgers.objective, [0, 3, 10], broken, points)


def test_single_precision_is_refused(single_precision):
    assembly = small(dtype="float32")
    with pytest.raises(PrecisionError, match="enable_x64"):
        diagnostics.ntk(assembly.objective, assembly.theta)


def test_a_float32_network_is_refused():
    assembly = small(dtype="float32")
    with pytest.raises(PrecisionError, match="float64"):
        diagnostics.ntk(assembly.objective, assembly.theta)


def test_float32_parameters_on_a_float64_objective_are_cast_up(burgers):
    theta, objective, _ = burgers
    rounded = np.asarray(theta, dtype=np.float32)
    kernel = diagnostics.ntk(objective, rounded)
    np.testing.assert_array_equal(kernel, diagnostics.ntk(objective, rounded.astype(np.float64)))


def test_kernel_at_initialisation_is_random_for_the_nonlinear_toy_problem_only():
    """Theorem 3.4 and figure 1a: the deviation of ‖K(0)‖ over seeds, relative to its mean."""
    # Seeds enter through parameters of the network's own distribution, N(0, 1).
    deviation = {}
    for linear in (True, False):
        at = toy(linear=linear, width=400)
        equation = {"equation": np.asarray(at.objective.terms[0].points)}
        only = dataclasses.replace(at.objective, terms=at.objective.terms[:1])
        draws = np.random.default_rng(0).standard_normal((12, at.theta.size))
        norms = diagnostics.ntk_snapshots(only, range(12), draws, equation).norms()
        deviation[linear] = norms.std() / norms.mean()
    assert deviation[True] < 0.4 * deviation[False]
