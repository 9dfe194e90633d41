import dataclasses
import io

import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo import diagnostics
from pinnzoo.diagnostics import NTKSnapshots, _rows
from pinnzoo.diagnostics import points as points_module
from pinnzoo.diagnostics.report import ntk_report
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
from tests.oracles import kernel_rounding

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


def test_a_block_that_was_zero_at_first_has_no_finite_drift():
    problem = make_problem("convection", {})
    at = assemble(problem, network(problem, {"width": 4, "depth": 2}), points_of(problem, 6))
    # Without weights a network is constant: no parameter changes its derivatives.
    thetas = np.stack([np.zeros_like(at.theta), moved(at.theta)])
    snapshots = diagnostics.ntk_snapshots(at.objective, [0, 1], thetas, points_of(problem, 6))
    assert snapshots.drift("spectral", "equation").tolist() == [0, np.inf]
    assert 0.01 < snapshots.drift("spectral", "initial")[1] < np.inf
    stated = ntk_report(snapshots)
    assert stated["drift"]["equation"] == {"spectral": None, "frobenius": None}
    assert stated["drift"]["initial"]["spectral"] > 0.01


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
    assert (np.abs(back.kernels - snapshots.kernels) <= kernel_rounding(snapshots.kernels)).all()
    for kernel, wanted in zip(back.kernels, snapshots.kernels, strict=True):
        np.testing.assert_array_equal(np.diag(kernel), np.diag(wanted))
    np.testing.assert_array_equal(back.kernels, back.kernels.swapaxes(1, 2))
    for key, array in back.to_arrays().items():
        np.testing.assert_array_equal(array, snapshots.to_arrays()[key])


def test_only_kernels_are_rounded_in_arrays(snapshots):
    kinds = {key: array.dtype for key, array in snapshots.to_arrays().items()}
    assert kinds.pop("correlations") == np.float16
    assert kinds.pop("terms").kind == "U"
    assert kinds.pop("steps") == np.int64
    assert set(kinds.values()) == {np.dtype(np.float64)}


@pytest.mark.parametrize("scale", [1e-160, 1.0, 1e160])
def test_rounding_of_kernels_is_as_stated_for_entries_of_all_sizes(snapshots, scale):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((3, 16, 30)) * 10.0 ** rng.uniform(-9, 9, (3, 16, 1))
    rows[:, 3] = 0
    rows[:, 5] = 2 * rows[:, 4]
    kernels = scale * (rows @ rows.swapaxes(1, 2))
    given = dataclasses.replace(snapshots, kernels=kernels)
    back = NTKSnapshots.from_arrays(given.to_arrays()).kernels
    lengths = np.sqrt(np.diagonal(kernels, axis1=1, axis2=2))
    close = np.abs(back - kernels) / scale <= kernel_rounding(kernels / scale)
    assert close.all()
    assert (back[:, 3] == 0).all()
    assert (lengths[:, 4] > 0).all()


def older(snapshots):
    """The arrays as entries of format 1 hold them."""
    upper = np.triu_indices(16)
    arrays = snapshots.to_arrays()
    del arrays["correlations"], arrays["diagonals"]
    return arrays | {"kernels": snapshots.kernels[:, upper[0], upper[1]].astype(np.float32)}


def test_files_with_triangles_in_float32_are_still_read(snapshots):
    back = NTKSnapshots.from_arrays(older(snapshots))
    np.testing.assert_array_equal(back.kernels, snapshots.kernels.astype(np.float32))
    np.testing.assert_array_equal(back.spectra, snapshots.spectra)


@pytest.mark.parametrize("change", ["missing", "short", "nan"])
def test_damage_to_older_files_is_noticed(snapshots, change):
    arrays = older(snapshots)
    damaged = {"short": arrays["kernels"][:, 1:], "nan": arrays["kernels"] * np.nan}
    arrays.pop("kernels") if change == "missing" else arrays.update(kernels=damaged[change])
    with pytest.raises(IntegrityError, match="kernels"):
        NTKSnapshots.from_arrays(arrays)


@pytest.mark.parametrize(
    ("key", "factor"), [("diagonals", -1.0), ("correlations", np.float16(3.0))]
)
def test_numbers_that_no_kernel_has_are_noticed(snapshots, key, factor):
    arrays = snapshots.to_arrays()
    with pytest.raises(IntegrityError, match="not those of a kernel"):
        NTKSnapshots.from_arrays(arrays | {key: factor * arrays[key]})


def test_stored_kernels_of_a_new_entry_fit_into_90_kilobytes(snapshots):
    s, n = 12, points_module.NTK_ROWS
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((s, n, 40))
    terms = {"equation": rng.uniform(size=(n - 40, 2)), "initial": rng.uniform(size=(40, 2))}
    spectra = rng.uniform(size=(s, n))
    stored = NTKSnapshots(
        steps=np.arange(s),
        terms=terms,
        kernels=rows @ rows.swapaxes(1, 2),
        spectra=spectra,
        block_spectra={"equation": spectra[:, :-40], "initial": spectra[:, -40:]},
        drifts={
            name: {norm: rng.uniform(size=s) for norm in ("spectral", "frobenius")}
            for name in ("all", *terms)
        },
    )
    file = io.BytesIO()
    np.savez_compressed(file, **stored.to_arrays())  # pyright: ignore[reportArgumentType]
    assert 50_000 < file.tell() < 100_000
    back = NTKSnapshots.from_arrays(stored.to_arrays())
    np.testing.assert_array_equal(back.spectra, spectra)


def test_jacobian_blocks_are_the_rows_of_the_dense_jacobian(burgers):
    theta, objective, _ = burgers
    scaled = objective.with_scales({"initial": jnp.linspace(1.0, 2.0, 5)})
    heard = []
    for chunk in (None, 3):
        blocks = list(_rows.jacobian_blocks(scaled, theta, chunk=chunk, tick=heard.append))
        assert max(map(len, blocks)) <= (chunk or _rows.CHUNK)
        wanted = dense_jacobian(scaled, theta)
        np.testing.assert_allclose(np.concatenate(blocks), wanted, rtol=1e-9, atol=1e-12)
    assert len(heard) >= 2 * len(objective.terms)


def test_snapshots_give_a_sign_of_life(burgers, thetas, points):
    heard = []
    diagnostics.ntk_snapshots(burgers.objective, [0, 3, 10], thetas, points, tick=heard.append)
    assert len(heard) >= 3 * (1 + len(points))
    assert {"kernels", "Jacobian of 'initial'"} <= set(heard)


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


@pytest.mark.parametrize(
    "key", ["correlations", "diagonals", "spectra", "points.left", "drift.spectral.all"]
)
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
