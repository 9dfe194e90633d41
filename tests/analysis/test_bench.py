import dataclasses
import itertools
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from PIL import Image
from rich.console import Console

import pinnzoo
import pinnzoo.measure
from pinnzoo import analysis
from pinnzoo.analysis import bench, figures
from pinnzoo.analysis.bench import number
from pinnzoo.analysis.table import flat
from pinnzoo.architectures.mlp import MLP
from pinnzoo.cards import entry_card, summarize
from pinnzoo.cards.words import distinct_names
from pinnzoo.cli import app, options, screens
from pinnzoo.cli.analysis import analysis as told_of
from pinnzoo.cli.analysis import comparison, side_by_side
from pinnzoo.errors import PinnzooError, PointsError, UnknownNameError
from pinnzoo.objective import flatten_model
from pinnzoo.pdes import make_problem
from pinnzoo.plots.comparison import comparison as draw_comparison
from pinnzoo.plots.figures import PLOTS, save_plots
from pinnzoo.plots.style import new_figure
from pinnzoo.storage.folder import EntryFolder
from tests.conftest import patch_diagnostics
from tests.diagnostics.oracles import dense_loss_hessian, moved


def in_legend(axes):
    """What a legend says, line by line."""
    return [text.get_text() for text in axes.get_legend().get_texts()]


def make_entry(name, width, depth, steps=(0, 5)):
    """A network with a last step 20 and moments of what could be its training before it."""
    problem = make_problem(name, {})
    box = problem.domain
    shape = {"width": width, "depth": depth}
    model = MLP(
        problem.m,
        lower=box.lower,
        upper=box.upper,
        dtype=jnp.float64,
        rngs=nnx.Rngs(params=0),
        **shape,
    )
    theta, _ = flatten_model(model)
    thetas = {step: moved(theta, 0.1 * (20 - step) / 20) for step in steps}
    made = pinnzoo.Entry.from_model(
        problem,
        model,
        architecture_arguments=shape,
        steps=20,
        snapshots=thetas,
        diagnostics=False,
    )
    analysis.study(made)
    return made


@pytest.fixture(scope="module", autouse=True)
def few_points():
    with pytest.MonkeyPatch.context() as patch:
        patch_diagnostics(patch)
        yield


@pytest.fixture(scope="module")
def entry():
    """A small network on the heat equation at three moments of what could be its training."""
    return make_entry("heat", width=4, depth=1)


@pytest.fixture(scope="module")
def wider():
    """A network with more parameters than a Krylov space has vectors, and its dense Hessian."""
    made = make_entry("heat", width=16, depth=2)
    looked_at = analysis.study(made)
    return made, dense_loss_hessian(looked_at.objective, looked_at.final)


@pytest.fixture(scope="module")
def found(entry):
    return analysis.look_at(entry)


def test_damping_is_that_of_the_last_step_that_was_of_use():
    loss = np.array([8.0, 4.0, 2.0, 2.0, 2.0])
    history = {
        "loss": loss,
        "damping": np.array([9.0, 3.0, 1.0, 3e9, 1e12]),
        "accepted": np.array([1.0, 1.0, 1.0, 1.0, 0.0]),
    }
    assert bench.last_damping(history) == 1.0
    assert bench.last_damping(history | {"loss": np.full(5, 2.0)}) == 3e9
    # Adam came last, which has none.
    adam = history | {"damping": np.array([9.0, 3.0, np.nan, np.nan, np.nan])}
    assert bench.last_damping(adam) is None
    assert bench.last_damping({"loss": loss}) is None
    stuck = history | {"accepted": np.zeros(5)}
    assert bench.last_damping(stuck) is None


def test_the_damping_of_an_analysis_says_whether_it_was_assumed(entry, found):
    assert found["hessians"].block["damping_is_assumed"] is True
    assert found["landscape"].block["singular_values"]["final"]["scaled"] is False


@pytest.fixture(scope="module")
def lone():
    """A network whose end alone is on record."""
    made = make_entry("heat", width=4, depth=1, steps=())
    return made, analysis.look_at(made)


def test_a_trained_network_is_not_called_the_beginning_of_its_training(lone):
    made, found = lone
    assert list(analysis.study(made).steps) == [20]
    blocks = {name: each.block for name, each in found.items()}
    assert set(blocks["modes"]) == {"final"}
    hessians, landscape = blocks["hessians"], blocks["landscape"]
    assert "initial" not in hessians["densities"]
    assert "initial" not in hessians["residual_hessian"]
    assert landscape["barrier"] is None
    assert set(landscape["singular_values"]) == set(landscape["gradient_cosines"]) == {"final"}
    told = blocks["linearised"]
    assert told["loss"] > 0
    for key in ("departure", "lazy_from", "predicted_by_descent", "predicted_by_gauss_newton"):
        assert told[key] is None
    assert blocks["alignment"]["initial_and_final"] is None
    assert blocks["alignment"]["with_initial_residual"] is None
    assert "settled_from" not in blocks["alignment"]


def test_what_is_not_known_of_a_lone_network_is_a_dash_in_tables(lone, capsys):
    _, found = lone
    rows = [{"name": "one", "plots": [], "analyses": {k: f.block for k, f in found.items()}}]
    told = side_by_side(rows, list(found))
    screens.analyses(Console(width=160), told)
    shown = capsys.readouterr().out
    assert "never" not in shown
    assert "–" in shown


def test_pictures_of_a_lone_network_say_what_is_not_there(lone):
    made, found = lone
    drawn = {
        name: figures.FIGURES[name]((each, made.problem.coords)) for name, each in found.items()
    }
    words = {
        name: " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
        for name, figure in drawn.items()
    }
    assert "one network alone" in words["linearised"]
    assert "no line" in words["landscape"]
    left, _ = drawn["linearised"].axes
    assert in_legend(left) == ["the training"]
    assert len([axes for axes in drawn["hessians"].axes if axes.images]) == 1


def test_predictions_begin_at_the_first_snapshot_whenever_that_is():
    """Gradient descent from step 5 on takes 15 steps to step 20, not 20."""
    made = make_entry("heat", width=4, depth=1, steps=(5,))
    looked_at = analysis.study(made)
    assert list(looked_at.steps) == [5, 20]
    found = analysis.look_at(made, ["linearised", "modes", "alignment"])
    model = analysis.linearise(looked_at.objective, looked_at.thetas[0])
    wanted = model.losses(model.descent([0, 15]))
    np.testing.assert_allclose(found["linearised"].descent, wanted, rtol=1e-12)
    block = found["linearised"].block
    assert block["losses"][0] == pytest.approx(wanted[0])
    assert block["predicted_by_descent"] == pytest.approx(wanted[1])
    assert block["departure"] > 0
    assert set(found["modes"].block) == {"final"}
    assert found["alignment"].block["initial_and_final"] is None
    done = pinnzoo.diagnose(made, ["ntk", "residual_hessian"])
    ntk = done.metrics["ntk"]
    assert ntk["initial"] is done.metrics["residual_hessian"]["initial"] is None
    assert ntk["drift"]["all"] == {"spectral": None, "frobenius": None}
    (row,) = comparison([done])["entries"]
    assert row["drift_spectral"] is row["effective_rank"][0] is None
    assert row["effective_rank"][1] == pytest.approx(ntk["final"]["effective_rank"])
    told = told_of(done)["snapshots"]
    assert [each["step"] for each in told] == [5, 20]
    assert [each["drift_spectral"] for each in told] == [None, None]
    words = {}
    for name in ("kernel", "drift"):
        figure = PLOTS[name](done)
        words[name] = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert all("the beginning" in each for each in words.values())
    _, drifts, _ = draw_comparison([done]).axes
    assert not drifts.get_lines()


def test_every_analysis_is_computed_and_plain(entry, found):
    assert list(found) == list(analysis.ANALYSES) == list(figures.FIGURES)
    for name, each in found.items():
        json.dumps(each.block)
        for _, way in analysis.ANALYSES[name].columns:
            value = number(each.block, way)
            known = way[-1] in ("damping", "undamped", "lazy_from") or value is not None
            assert known, f"{name} has no {way}"
    assert number({"a": 1}, ("a", "b")) is None


def test_numbers_are_those_of_the_functions(entry, found):
    looked_at = analysis.study(entry)
    assert list(looked_at.steps) == [0, 5, 20]
    first = analysis.kernel_modes(looked_at.objective, looked_at.thetas[0])
    block = found["modes"].block
    assert block["initial"]["largest_eigenvalue"] == pytest.approx(first.eigenvalues[0])
    assert block["final"]["rank"] <= min(looked_at.objective.n, entry.metrics["parameters"])
    lazy = analysis.laziness(entry)
    assert found["linearised"].block["departure"] == pytest.approx(lazy.whole)
    kernels = [analysis.tangent(entry, theta).kernel for theta in looked_at.thetas]
    wanted = analysis.kernel_alignment(kernels[0], kernels[2])
    assert found["alignment"].block["initial_and_final"] == pytest.approx(wanted)
    values, _ = analysis.hessian_eigenpairs(entry)
    assert found["landscape"].block["curvatures"] == pytest.approx(values)
    density = found["hessians"].block["densities"]["final"]
    assert density["largest"] == pytest.approx(max(values))


def test_shared_eigenpairs_are_those_of_the_dense_hessian(entry, monkeypatch):
    looked_at = analysis.study(entry)
    wanted = dense_loss_hessian(looked_at.objective, looked_at.final)
    ends = np.linalg.eigvalsh(wanted)
    ends = ends[np.argsort(-np.abs(ends))][:2]
    for blocks in (12, 1):
        # One block finds nothing well enough, so that the pairs are computed for themselves.
        monkeypatch.setattr(bench, "WORTH_FORMING", (0, 0.0))
        monkeypatch.setattr(bench, "FULL", (blocks, 16))
        values, vectors = bench.Bench(entry).eigenpairs
        np.testing.assert_allclose(values, ends, rtol=1e-8)
        np.testing.assert_allclose(vectors @ wanted, values[:, None] * vectors, atol=1e-8)


@pytest.mark.parametrize("formed", [True, False])
def test_preconditioned_spectrum_has_the_outliers_of_the_remainder(wider, formed, monkeypatch):
    """Against all eigenvalues, where the remainder is 10^5 times the damping."""
    entry, hessian = wider
    monkeypatch.setattr(bench, "hessian_map", lambda *_, points, **__: np.ones(len(points)))
    if not formed:
        monkeypatch.setattr(bench, "WORTH_FORMING", (0, 0.0))
    asked = bench.Bench(entry)
    found = bench.ANALYSES["hessians"].compute(asked)
    damping = found.block["damping"]
    assert asked.remainder_norm > 1e4 * damping
    scale = analysis.damped_gauss_newton(asked.at(-1), damping=damping)
    wanted = np.linalg.eigvalsh(scale(scale(hessian).T))
    density = found.densities[bench.DAMPED]
    told = found.block["densities"][bench.DAMPED]
    assert told["largest"] == pytest.approx(wanted[-1], rel=1e-6)
    assert told["smallest"] == pytest.approx(wanted[0], rel=1e-6)
    beyond = np.mean(np.abs(wanted) > density.resolution)
    assert 1 - told["unresolved"] == pytest.approx(beyond, abs=0.03)
    if formed:
        assert density.exact == density.size == len(wanted)
        assert told["mean"] == pytest.approx(wanted.mean(), rel=1e-6)
    else:
        # All but the probes' noise, of what is left of eigenvalues of both signs.
        assert beyond > 0.3
        assert told["mean"] == pytest.approx(wanted.mean(), abs=0.01 * np.abs(wanted).mean())


def test_products_of_a_higher_order_are_dearer(entry):
    looked_at, beam = analysis.study(entry), make_entry("euler_bernoulli_beam", width=4, depth=1)
    costs = [
        bench.product_traffic(each.objective, each.final)
        for each in (looked_at, analysis.study(beam))
    ]
    assert 0 < costs[0] < costs[1] < np.inf


def nearly_solved(entry, share):
    """The entry's network with observations that it meets, but for some share of itself."""
    looked_at = analysis.study(entry)
    objective = looked_at.objective
    target = np.asarray(objective.residual(jnp.asarray(looked_at.final))) * (1 - share)
    terms = []
    for term in objective.terms:
        rows = target[objective.slices()[term.name]]
        raw = rows / np.broadcast_to(np.asarray(term.scale), rows.shape)
        points = jnp.concatenate([term.points, jnp.asarray(raw)[:, None]], axis=1)
        own = term.residual
        fitted = lambda theta, row, own=own: own(theta, row[:-1]) - row[-1]  # noqa: E731
        terms.append(dataclasses.replace(term, points=points, residual=fitted))
    return dataclasses.replace(objective, terms=tuple(terms))


def test_small_remainder_leaves_the_spectrum_of_gauss_newton(entry, monkeypatch):
    """At a thousand-millionth of the residual, against dense eigenvalues of what is left."""
    looked_at = analysis.study(entry)
    objective = nearly_solved(entry, 1e-9)
    study = dataclasses.replace(looked_at, objective=objective, shared={})
    monkeypatch.setattr(bench, "WORTH_FORMING", (0, 0.0))
    monkeypatch.setattr(bench, "hessian_map", lambda *_, points, **__: np.ones(len(points)))
    asked = bench.Bench(study)
    assert asked.remainder_norm > 0
    found = bench.ANALYSES["hessians"].compute(asked)
    final = found.densities["final"]
    assert 0 < final.resolution < 1e-6 * final.largest
    assert final.exact < final.size
    wanted = np.linalg.eigvalsh(dense_loss_hessian(objective, looked_at.final))
    np.testing.assert_allclose(final.nodes, wanted, atol=2 * final.resolution)
    assert final.moment(1) == pytest.approx(wanted.mean(), rel=1e-5)
    values, vectors = asked.eigenpairs
    assert "final_hessian" not in vars(asked), "the spectrum was known without it"
    np.testing.assert_allclose(values, wanted[::-1][:2], rtol=1e-5)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    far = bench.Bench(entry)
    bench.ANALYSES["hessians"].compute(far)
    assert "final_hessian" in vars(far), "the remainder of the entry itself is not small"


def test_an_entry_has_parameters_of_its_own(entry):
    wanted = analysis.tangent(entry, entry.theta)
    np.testing.assert_array_equal(analysis.tangent(entry).rows, wanted.rows)
    with pytest.raises(PointsError, match="takes \\(17,\\)"):
        analysis.tangent(entry, entry.theta[1:])
    with pytest.raises(UnknownNameError, match="unknown analysis 'mode'"):
        analysis.analyze(entry, ["mode"])


@pytest.mark.parametrize("name", ["bratu", "laplace_l_shape"])
def test_hessian_of_the_residual_is_averaged_over_the_domain(name, monkeypatch):
    """`1 + z²` of the first coordinate, whose mean over both domains is 4/3."""
    made = make_entry(name, width=4, depth=1)
    norms = lambda *_, points, **__: 1 + points[:, 0] ** 2  # noqa: E731
    monkeypatch.setattr(bench, "hessian_map", norms)
    found = bench.ANALYSES["hessians"].compute(bench.Bench(made))
    told = found.block["residual_hessian"]
    shape = {1: (129,), 2: (17, 17)}[made.problem.d]
    assert found.residual.shape == shape
    points = made.problem.domain.grid(shape)
    assert told["points"] == len(points)
    wanted = made.problem.domain.grid_weights(shape) @ (1 + points[:, 0] ** 2)
    assert told["final"]["mean"] == pytest.approx(wanted, rel=1e-12)
    assert wanted == pytest.approx(4 / 3, rel=0.03)
    assert abs(np.mean(1 + points[:, 0] ** 2) - wanted) > 1e-3
    drawn = figures.hessians((found, made.problem.coords))
    if len(shape) == 1:
        (axes,) = [axes for axes in drawn.axes if axes.get_xlabel() == "$x$"]
        assert in_legend(axes) == ["initial", "final"]
    else:
        image = np.ma.filled(np.ma.asarray(drawn.axes[-2].images[0].get_array()), np.nan)
        outside = ~made.problem.domain.contains(made.problem.domain.lattice(shape))
        np.testing.assert_array_equal(np.isnan(image.T), outside.reshape(shape))
        assert 0 < outside.sum() < outside.size


def test_heading_says_what_a_mean_of_hessians_is_over(found):
    box = found["hessians"].block
    few = box["residual_hessian"] | {"is_domain_mean": False, "points": 16, "equations": 3}
    sample = box | {"residual_hessian": few}
    assert bench.mean_heading([box], "final") == "Mean |H_r|\nover the domain,\nfinal"
    alone = bench.mean_heading([sample], "initial")
    assert alone == "Mean |H_r| of the\nfirst equation\nof 16 points,\ninitial"
    assert "of 16 points or over the domain" in bench.mean_heading([box, sample], "final")
    told = side_by_side([{"analyses": {"hessians": sample}}], ["hessians"])
    assert told["analyses"][0]["columns"][-2]["heading"] == alone


@pytest.mark.parametrize("count", [1, 2, 8, 11, 30])
def test_matrix_of_snapshots_names_the_first_and_the_last(count):
    axes = new_figure(2.0).subplots()
    steps = np.arange(count) * 7
    figures._step_axes(axes, steps, "step", "step")
    for labels, places in (
        (axes.get_xticklabels(), axes.get_xticks()),
        (axes.get_yticklabels(), axes.get_yticks()),
    ):
        assert [label.get_text() for label in labels] == [str(steps[int(k)]) for k in places]
        assert {0, count - 1} <= {int(k) for k in places}
        assert min(count, 12) == len(places)


def test_no_legend_covers_what_is_drawn(entry, found):
    """Legends of curves that fill their axes stand outside of them."""
    for name in ("modes", "alignment", "landscape"):
        figure = figures.FIGURES[name]((found[name], entry.problem.coords))
        figure.draw_without_rendering()
        legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
        boxes = [axes.get_window_extent() for axes in figure.axes if axes.get_lines()]
        for legend in [*legends, *(sub for each in figure.subfigs for sub in each.legends)]:
            low = legend.get_window_extent()
            assert not any(
                low.shrunk(0.9, 0.9).overlaps(box.shrunk(0.98, 0.98)) for box in boxes
            ), name
    (share,) = [
        axes for axes in figures.modes((found["modes"], "tx")).axes if "share" in axes.get_ylabel()
    ]
    assert share.get_ylim()[1] < 1.1


def test_modes_say_why_there_are_no_wave_numbers(found):
    figure = figures.modes((dataclasses.replace(found["modes"], spectra={}), "tx"))
    right = figure.axes[2]
    assert not right.axison
    assert "need\na box" in right.texts[0].get_text()


def test_landscape_draws_all_terms_and_no_offsets(found):
    told = found["landscape"]
    terms = {f"term_{k}": (k + 1) * told.line.losses for k in range(7)}
    line = dataclasses.replace(told.line, terms=terms)
    small = dataclasses.replace(
        told.eigenvectors,
        positions=told.eigenvectors.positions / told.eigenvectors.positions[-1] * 3e-5,
    )
    figure = figures.landscape((dataclasses.replace(told, line=line, eigenvectors=small), "tx"))
    figure.draw_without_rendering()
    assert len(figure.axes[0].get_lines()) == 8
    offsets = [
        axis.get_offset_text().get_text()
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
    ]
    assert not any(offsets)
    assert figure.axes[2].get_xlabel() == r"first, in $10^{-5}$ $|\theta|$"
    for axes in figure.axes[:4]:
        label = axes.yaxis.label.get_window_extent()
        assert label.y0 > 0
        assert label.y1 < figure.bbox.y1


def test_terms_are_cut_off_as_far_as_they_stay_different():
    sides = ["equation", "dirichlet_u_x_left", "dirichlet_u_x_right", "continuity_equation"]
    short = figures._names(sides)
    assert short == ["equation", "diric…x left", "diric…right", "conti…uation"]
    assert figures._names(["equation", "neumann_u_hole"]) == ["equation", "neumann u h…"]
    # The same in both ends: longer names tell them apart.
    alike = [f"periodic_u_{k}_derivative_left" for k in range(3)]
    assert len(set(figures._names(alike))) == 3
    assert figures._names(["same", "same"]) == ["same", "same"]


def test_ten_long_terms_of_a_landscape_cover_nothing(found):
    told = found["landscape"]
    names = tuple(f"dirichlet_u_of_the_side_{k}" for k in range(10))
    line = dataclasses.replace(told.line, terms=dict.fromkeys(names, told.line.losses))
    cosines = dict.fromkeys(told.cosines, np.eye(10))
    many = dataclasses.replace(told, line=line, terms=names, cosines=cosines)
    figure = figures.landscape((many, "tx"))
    figure.draw_without_rendering()
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    images = [axes for axes in figure.axes if axes.images]
    assert len(bars) == 3
    for axes in images:
        words = axes.title.get_window_extent()
        assert not any(words.overlaps(bar.get_window_extent()) for bar in bars)
    for axes in images[2:]:
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        pairs = itertools.pairwise(boxes)
        assert not any(a.shrunk(0.8, 1).overlaps(b.shrunk(0.8, 1)) for a, b in pairs)


def test_map_of_hessians_has_the_axis_of_a_logarithmic_parameter(found):
    told = found["hessians"]
    domain = pinnzoo.Interval("t", 0.0, 1.0) * pinnzoo.Parameter("n", 0.1, 10.0, "log")
    problem = SimpleNamespace(domain=domain)
    looked_at: Any = SimpleNamespace(problem=problem, hessian_points=None)
    places = bench.Places.of(looked_at)
    norms = {when: 1 + places.points[:, 1] for when in told.norms}
    figure = figures.hessians((dataclasses.replace(told, residual=places, norms=norms), "tn"))
    maps = [axes for axes in figure.axes if axes.get_xlabel() == "$t$"]
    assert [axes.get_yscale() for axes in maps] == ["log", "log"]
    for axes in maps:
        assert axes.get_ylim() == pytest.approx((0.1, 10.0))
        assert axes.get_xlim() == pytest.approx((0.0, 1.0))


def test_landscape_of_one_term_has_no_angles(found):
    told = found["landscape"]
    line = dataclasses.replace(told.line, terms={"equation": told.line.losses})
    one = {when: np.ones((1, 1)) for when in told.cosines}
    alone = dataclasses.replace(told, line=line, terms=("equation",), cosines=one)
    figure = figures.landscape((alone, "tx"))
    assert sum(bool(axes.images) for axes in figure.axes) == 2
    assert len(figure.axes[0].get_lines()) == 1
    assert "one term" in " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_densities_tell_their_damping_and_what_they_do_not_resolve(found):
    told = found["hessians"]
    density = dataclasses.replace(told.densities[bench.DAMPED], resolution=1e12)
    hidden = dataclasses.replace(told, densities=told.densities | {bench.DAMPED: density})
    right = figures.hessians((hidden, "tx")).axes[1]
    words = " ".join(in_legend(right))
    assert "(assumed)" in words
    assert r"$\mu$ =" in words
    assert "unresolved: 100 %" in words
    assert right.patches
    plain = figures.hessians((told, "tx")).axes[1]
    assert "unresolved" not in " ".join(in_legend(plain))
    assert not plain.patches


def test_error_is_network_minus_reference(entry):
    points = np.asarray(analysis.study(entry).objective.terms[0].points)
    wanted = entry.predict(points) - entry.problem.reference(points)
    np.testing.assert_array_equal(analysis.error_at(entry), wanted)
    assert np.abs(wanted).max() > 0.1


def test_error_is_decomposed_by_the_kernel_of_the_values_themselves():
    """A system of three components, against the dense Jacobian of the network's outputs."""
    made = make_entry("kovasznay", width=5, depth=1)
    looked_at = analysis.study(made)
    points, network = np.asarray(looked_at.objective.terms[0].points), looked_at.solution
    assert network is not None

    def values(theta):
        return jax.vmap(network, (None, 0))(theta, points).T.ravel()

    jacobian = np.asarray(jax.jacfwd(values)(jnp.asarray(made.theta)))
    found = analysis.error_modes(made)
    assert list(found.points) == ["u", "v", "p"]
    wanted = np.linalg.svd(jacobian, compute_uv=False) ** 2
    np.testing.assert_allclose(found.eigenvalues[:5], wanted[:5], rtol=1e-9)
    error = analysis.error_at(made).T.ravel()
    np.testing.assert_allclose(found.vectors @ found.residual, error, atol=1e-9)
    # What gradient flow on half the squared error does to it.
    moved = found.vectors @ (found.eigenvalues * found.residual)
    np.testing.assert_allclose(moved, jacobian @ (jacobian.T @ error), rtol=1e-7, atol=1e-9)
    block = bench.ANALYSES["modes"].compute(bench.Bench(made)).block
    for k, share in block["final"]["error_share"].items():
        assert share == pytest.approx(found.cumulative_share()[min(int(k), len(error)) - 1])


def test_pictures_are_written_and_their_axes_named(entry, found, tmp_path, monkeypatch):
    drawn, write = [], figures.save

    def small(figure, path, **_):
        drawn.append(figure)
        return write(figure, path, dpi=40)

    monkeypatch.setattr(figures, "save", small)
    paths = figures.save_figures(found, entry.problem.coords, tmp_path, "a-")
    assert [path.name for path in paths] == [f"a-{name}.png" for name in found]
    for path, figure in zip(paths, drawn, strict=True):
        with Image.open(path) as image:
            assert min(image.size) > 80
        shown = [axes for axes in figure.axes if axes.images or axes.get_lines()]
        assert shown
        for axes in shown:
            named = axes.get_xlabel() or axes.get_title() or axes.get_ylabel()
            assert named, f"an axis of {path.name} says nothing"


def test_command_prints_tables_and_json(entry, monkeypatch, tmp_path):
    monkeypatch.setattr(options, "load", lambda _: entry)
    monkeypatch.chdir(tmp_path)
    arguments = ["analyze", "./some", "--what", "alignment, linearised"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "Alignment of the kernels" in shown.stdout
    assert "Modes" not in shown.stdout
    folder = tmp_path / f"{entry.name}-plots"
    assert sorted(path.name for path in folder.iterdir()) == ["alignment.png", "linearised.png"]
    result = CliRunner().invoke(app, [*arguments, "--json", "--no-plots"])
    data = json.loads(result.stdout)
    (row,) = data["entries"]
    assert set(row["analyses"]) == {"alignment", "linearised"}
    headings = [column["heading"] for column in data["analyses"][0]["columns"]]
    assert headings == ["CKA of first\nand last", "Settled\nfrom step"]
    wrong = CliRunner().invoke(app, ["analyze", "./some", "--what", "everything"])
    assert wrong.exit_code == 1
    assert "unknown analysis 'everything'" in wrong.stderr


def test_pictures_and_rows_of_entries_of_one_name_are_told_apart(entry, monkeypatch, tmp_path):
    for name in ("one", "two"):
        entry.save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    arguments = ["analyze", "./one", "./two", "--what", "alignment,alignment"]
    shown = CliRunner().invoke(app, [*arguments, "--out", "pictures"])
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.count("Alignment of the kernels") == 1
    folders = sorted(path.parent.name for path in tmp_path.glob("pictures/*/alignment.png"))
    assert folders == ["one", "two"]
    assert {"one", "two"} <= set(shown.stdout.split())
    data = json.loads(CliRunner().invoke(app, [*arguments, "--json", "--no-plots"]).stdout)
    assert [row["label"] for row in data["entries"]] == ["one", "two"]
    assert {row["name"] for row in data["entries"]} == {entry.name}
    both = [pinnzoo.load(tmp_path / name) for name in ("one", "two")]
    assert [row["label"] for row in comparison(both)["entries"]] == ["one", "two"]
    (legend,) = draw_comparison(both).legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]
    (legend,) = draw_comparison([entry, entry]).legends
    assert [text.get_text() for text in legend.get_texts()] == [entry.name, f"{entry.name}-2"]
    CliRunner().invoke(app, arguments)
    assert (tmp_path / "one-plots/alignment.png").exists()


def test_names_of_entries_grow_until_they_differ():
    def told(*folders):
        return distinct_names(["heat"] * len(folders), [Path("/runs", each) for each in folders])

    assert told("a", "b") == ["a", "b"]
    assert told("a/heat", "b/heat") == ["a-heat", "b-heat"]
    assert told("a", "a") == ["a", "a-2"]
    assert distinct_names(["heat", "wave"], [Path("a"), Path("a")]) == ["heat", "wave"]


def test_kernel_that_never_settles_is_said_to_settle_never(capsys):
    blocks = [{"initial_and_final": 0.5, "settled_from": step} for step in (None, 30)]
    rows = [{"name": "one", "plots": [], "analyses": {"alignment": each}} for each in blocks]
    told = side_by_side(rows, ["alignment"])
    assert told["analyses"][0]["columns"][1]["values"] == [None, 30]
    screens.analyses(Console(width=100), told)
    assert "never" in capsys.readouterr().out
    assert bench.ANALYSES["alignment"].columns[1][1] == ("settled_from",)


def test_residual_without_curvature_is_drawn_as_the_least(found):
    told = found["hessians"]
    norms = {when: each.copy() for when, each in told.norms.items()}
    norms["final"][0] = 0.0
    figure = figures.hessians((dataclasses.replace(told, norms=norms), "tx"))
    *_, last, _ = figure.axes
    image = np.ma.asarray(last.images[0].get_array())
    least = min(each[each > 0].min() for each in norms.values())
    assert image.min() == pytest.approx(least)
    assert not np.ma.getmaskarray(image).any()


def test_analyses_are_diagnostics_on_demand(entry, found):
    """Stored as blocks where they are asked for by name, and by no training unasked."""
    table = pinnzoo.diagnostics.DIAGNOSTICS
    assert [name for name, each in table.items() if each.on_demand] == list(analysis.ANALYSES)
    assert [table[name].title for name in found] == [a.title for a in analysis.ANALYSES.values()]
    done = pinnzoo.diagnose(entry, ["modes", "alignment"])
    assert set(done.metrics) - set(entry.metrics) == {"modes", "alignment"}
    block = done.metrics["alignment"]
    assert block["version"] == 1
    assert block["settled_from"] == found["alignment"].block["settled_from"]
    share = done.metrics["modes"]["final"]["error_share"]
    assert share == pytest.approx(found["modes"].block["final"]["error_share"])
    # A condition number without bound is left out, since JSON has none.
    kept = bench._kept({"a": math.inf, "b": {"c": None, "d": 1}, "e": [1.0, math.nan]})
    assert kept == {"b": {"d": 1}}
    rows = table["alignment"].rows(block)
    assert ("settled from", block["settled_from"]) in rows
    assert all(len(row) == 2 for row in rows)


def test_a_stored_analysis_is_told_by_info_and_by_the_card(entry, tmp_path):
    done = pinnzoo.diagnose(entry, ["alignment"])
    folder = done.save(tmp_path / entry.name)
    shown = CliRunner().invoke(app, ["info", str(folder)])
    assert shown.exit_code == 0, shown.output
    assert "alignment" in shown.stdout
    card = entry_card(
        summarize(EntryFolder.open(folder)),
        entry.problem,
        diagnostics=pinnzoo.diagnostics.DIAGNOSTICS,
    )
    assert "Alignment of the kernels" in card
    assert "initial and final" in card


def test_an_own_diagnostic_is_analyzed_by_its_name(entry, monkeypatch, tmp_path):
    table = pinnzoo.diagnostics.DIAGNOSTICS
    monkeypatch.setattr(options, "load", lambda _: entry)
    monkeypatch.chdir(tmp_path)

    def largest_residual(study):
        return {"at_the_end": float(abs(study.objective.residual(study.final)).max())}

    try:
        pinnzoo.register_diagnostic(largest_residual, title="Largest residual", on_demand=True)
        assert analysis.check_names(None)[-1] == "largest_residual"
        arguments = ["analyze", "./some", "--what", "largest_residual"]
        shown = CliRunner().invoke(app, arguments)
        assert shown.exit_code == 0, shown.output
        assert "Largest residual" in shown.stdout
        assert "at the end" in shown.stdout
        assert "largest_residual" not in pinnzoo.measure.check_diagnostics(None)
    finally:
        table.pop("largest_residual")


def test_frame_has_a_row_per_entry_and_a_column_per_number(monkeypatch):
    columns = pinnzoo.frame("heat-mlp-*")
    assert columns["name"] == pinnzoo.list_entries("heat-mlp-*")
    for k, name in enumerate(columns["name"]):
        metrics = pinnzoo.zoo.read_metrics(name)
        assert columns["loss"][k] == metrics["loss"]
        assert columns["ntk.drift.all.spectral"][k] == metrics["ntk"]["drift"]["all"]["spectral"]
        first = metrics["ntk"]["final"]["eigenvalues"][0]
        assert columns["ntk.final.eigenvalues.0"][k] == first
    assert {len(each) for each in columns.values()} == {len(columns["name"])}
    fake = SimpleNamespace(DataFrame=lambda columns: ("frame", columns))
    monkeypatch.setitem(sys.modules, "polars", fake)
    assert pinnzoo.frame("heat-mlp-*", "polars") == ("frame", columns)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(PinnzooError, match="not installed"):
        pinnzoo.frame("heat-mlp-*", "pandas")
    with pytest.raises(UnknownNameError, match="unknown library"):
        pinnzoo.frame(library="excel")
    assert flat({"a": [{"b": math.pi}]}) == {"a.0.b": math.pi}


def test_a_network_of_one_parameter_is_analyzed():
    class One(nnx.Module):
        def __init__(self):
            self.w = nnx.Param(jnp.array(1.5))

        def __call__(self, z):
            return self.w[...] * z[:1]

    entry = pinnzoo.Entry.from_model(make_problem("heat", {}), One(), diagnostics=False)
    block = pinnzoo.analyze(entry, ["landscape"])["landscape"]
    assert block["curvatures"][1] == 0.0


def test_a_network_that_moves_nothing_is_analyzed_and_drawn(tmp_path):
    """Every Jacobian is zero, and nobody has given a damping."""
    line = pinnzoo.Interval("t", 0.0, 1.0)
    problem = pinnzoo.Problem(
        name="still",
        domain=line,
        components=("u",),
        equation=lambda u, z: u(z, "u")[0] * 0.0,
        conditions=(pinnzoo.initial(line, "u", 0.0),),
        ansatz=lambda z, network: network * 0.0 * z[0],
    )
    model = MLP(
        1,
        lower=line.lower,
        upper=line.upper,
        dtype=jnp.float64,
        rngs=nnx.Rngs(params=0),
        width=3,
        depth=1,
    )
    made = pinnzoo.Entry.from_model(
        problem, model, architecture_arguments={"width": 3, "depth": 1}, snapshots={0: model}
    )
    found = analysis.look_at(made)
    assert found["modes"].block["final"]["effective_dimension"] == 0.0
    assert found["hessians"].block["damping"] > 0
    assert len(figures.save_figures(found, "t", tmp_path)) == len(found)
    assert len(save_plots(made, tmp_path, PLOTS)) == len(PLOTS)
