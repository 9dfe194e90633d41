from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import LogNorm
from PIL import Image

import pinnzoo
from pinnzoo.diagnostics.ntk import NTKSnapshots
from pinnzoo.errors import EntryError, UnknownNameError
from pinnzoo.evaluation import require_reference
from pinnzoo.pdes import make_problem
from pinnzoo.plots import figures as plots
from pinnzoo.plots import kernel, solution
from pinnzoo.plots.kernel import lacks_drift
from pinnzoo.recipes import Phase
from tests.tiny_entries import tiny_entry, tiny_metrics, tiny_recipe, without_reference


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots")
    entry = tiny_entry()
    return entry, {path.stem: path for path in plots.save_plots(entry, folder / "new", plots.PLOTS)}


def test_every_plot_is_written_once_and_in_order(drawn):
    assert list(drawn[1]) == list(plots.PLOTS)


def test_card_has_few_and_small_pictures(tmp_path):
    paths = plots.save_plots(tiny_entry("burgers"), tmp_path)
    assert [path.name for path in paths] == ["solution.png", "history.png", "kernel.png"]
    assert sum(path.stat().st_size for path in paths) < 80_000


def test_entry_without_kernels_has_a_card_without_them_and_is_refused_their_plots(tmp_path):
    metrics = {key: value for key, value in tiny_metrics().items() if key != "ntk"}
    entry = tiny_entry(metrics=metrics, ntk=None)
    assert plots.card_plots(entry) == ["solution", "history"]
    with pytest.raises(EntryError, match="'drift' of heat-mlp-levenberg_marquardt"):
        plots.save_plots(entry, tmp_path / "out", ["solution", "drift"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("problem", "size"), [("heat", 1), ("poisson", 1), ("kovasznay", 3), ("beltrami", 4)]
)
def test_problem_without_reference_is_drawn_as_the_network_alone(tmp_path, problem, size):
    entry = tiny_entry(problem, metrics=without_reference(tiny_metrics(problem)))
    entry.problem = SimpleNamespace(
        **{name: getattr(entry.problem, name) for name in ("title", "domain", "coords", "d", "m")},
        components=entry.problem.components,
        reference=None,
    )
    entry.history = {k: v for k, v in entry.history.items() if k != "relative_l2_error"}
    figure = plots.solution(entry)
    shown = [axes for axes in figure.axes if axes.images or axes.get_lines()]
    assert len(shown) == size
    text = figure.get_suptitle() or figure.axes[0].get_title()
    assert "no reference, loss" in text
    (loss, *_) = plots.history(entry).axes
    assert loss.get_ylabel() == "loss $|r|^2 / 2$"
    assert loss.get_xlabel() == "step"
    assert len(plots.save_plots(entry, tmp_path)) == 3


def test_history_whose_errors_are_not_numbers_shows_the_loss_alone():
    history = tiny_entry().history
    history["relative_l2_error"] = np.full_like(history["step"], np.nan)
    axes = plots.history(tiny_entry(history=history)).axes
    assert {a.get_ylabel() for a in axes} == {"loss $|r|^2 / 2$", ""}


def test_every_axis_of_a_card_says_what_it_is():
    entry = tiny_entry()
    for name in plots.card_plots(entry):
        for axes in plots.PLOTS[name](entry).axes:
            bar = axes.get_label() == "<colorbar>"
            named = axes.get_ylabel() or axes.get_title() or not axes.get_yticklabels()
            shared = axes.get_shared_x_axes().get_siblings(axes)
            assert bar or named or axes.get_shared_y_axes().get_siblings(axes), name
            assert bar or any(other.get_xlabel() for other in shared), name


def test_kernel_of_a_card_is_the_first_and_the_last():
    entry = tiny_entry()
    first, last, *_ = plots.kernel(entry).axes
    assert [a.get_title() for a in (first, last)] == ["kernel at step 0", "kernel at step 30"]
    np.testing.assert_allclose(np.diag(np.asarray(last.images[0].get_array())), 1)


@pytest.mark.parametrize("name", plots.PLOTS)
def test_picture_is_small_enough_for_an_entry(drawn, name):
    path = drawn[1][name]
    assert 4_000 < path.stat().st_size < 60_000
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert 600 < image.width < 1000


@pytest.mark.parametrize("name", plots.PLOTS)
def test_picture_is_the_same_bytes_when_drawn_again(drawn, tmp_path, name):
    entry, paths = drawn
    (again,) = plots.save_plots(entry, tmp_path, [name])
    assert again.read_bytes() == paths[name].read_bytes()


def test_picture_holds_no_program_version(drawn):
    with Image.open(drawn[1]["drift"]) as image:
        assert "Software" not in image.info


def test_settings_and_backend_of_the_user_are_left_alone(drawn):
    with mpl.rc_context({"font.size": 31}):
        backend = mpl.get_backend()
        figure = plots.drift(drawn[0])
        assert mpl.rcParams["font.size"] == 31
        assert mpl.get_backend() == backend
        assert float(figure.axes[0].xaxis.label.get_fontsize()) < 12


def test_unknown_plot_is_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'solution'"):
        plots.save_plots(tiny_entry(), tmp_path / "out", ["drift", "solutoin"])
    assert not (tmp_path / "out").exists()


def test_reference_and_network_share_one_color_scale():
    reference, network, error = [a.images[0] for a in plots.solution(tiny_entry()).axes if a.images]
    assert reference.get_clim() == network.get_clim()
    assert isinstance(error.norm, LogNorm)


def test_places_of_many_coordinates_are_told_in_short():
    halves = dict.fromkeys("abcdefgh", 0.5)
    assert solution._in_words({"t": 1.0} | halves) == r", $t = 1$, $a = \ldots = h = 0.5$"
    assert solution._in_words({"t": 1.0, "x": 0.0, "y": 0.0}) == ", $t = 1$, $x = 0$, $y = 0$"
    assert solution._in_words({}) == ""


@pytest.mark.parametrize(
    ("problem", "fixed"),
    [("kovasznay", {}), ("taylor_green", {"t": 1.0}), ("beltrami", {"t": 1.0, "x": 0.0})],
)
def test_map_of_a_system_has_a_row_per_component_and_says_where_it_is(problem, fixed):
    entry = tiny_entry()
    posed = entry.problem = make_problem(problem, {})
    entry.predict = lambda points: 1.01 * require_reference(posed)(points)
    figure = plots.solution(entry)
    images = [a.images[0] for a in figure.axes if a.images]
    assert len(images) == 3 * posed.m
    for coord, value in fixed.items():
        assert f"${coord} = {value:g}$" in figure.get_suptitle()
    row, column = 40, 60
    last = [
        low + k / (solution.MAP_POINTS - 1) * (high - low)
        for k, low, high in zip(
            (column, row), posed.domain.lower[-2:], posed.domain.upper[-2:], strict=True
        )
    ]
    (expected,) = require_reference(posed)(np.array([[*fixed.values(), *last]]))
    for k in range(posed.m):
        reference, network, _ = (np.asarray(i.get_array()) for i in images[3 * k : 3 * k + 3])
        np.testing.assert_allclose(reference[row, column], expected[k], rtol=1e-12)
        np.testing.assert_allclose(network[row, column], 1.01 * expected[k], rtol=1e-12)


@pytest.fixture(scope="module")
def burgers():
    return plots.solution(tiny_entry("burgers"))


def test_map_has_first_coordinate_to_the_right_and_second_upwards(burgers):
    image = burgers.axes[0].images[0]
    values = np.asarray(image.get_array())
    # The centres of the outer cells are on the boundary, and nothing beyond it is shown.
    np.testing.assert_allclose(image.get_extent(), [-0.005, 1.005, -1.01, 1.01])
    assert (*burgers.axes[0].get_xlim(), *burgers.axes[0].get_ylim()) == (0.0, 1.0, -1.0, 1.0)
    assert image.origin == "lower"
    # u(0, x) = -sin πx: the left edge is positive in the lower half.
    rows, _ = values.shape
    np.testing.assert_allclose(values[rows // 4, 0], 1.0, atol=1e-3)
    np.testing.assert_allclose(values[:, 0], -np.sin(np.pi * np.linspace(-1, 1, rows)), atol=1e-12)


def test_parameter_that_is_spread_in_its_logarithm_has_such_an_axis():
    family = pinnzoo.Box("x", (0.0,), (1.0,)) * pinnzoo.Parameter("k", 0.01, 1.0, "log")
    problem = pinnzoo.Problem(
        name="family",
        domain=family,
        components=("u",),
        equation=lambda u, z: u(z, "u")[0] - z[1],
        conditions=(),
    )
    entry = tiny_entry(predict=lambda z: z[:, 1:])
    entry.problem = problem
    axes = plots.solution(entry).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    mesh: Any = axes.collections[0]
    values, edges = np.asarray(mesh.get_array()), mesh.get_coordinates()[:, 0, 1]
    middle = np.sqrt(edges[1:-2] * edges[2:-1])
    np.testing.assert_allclose(values[1:-1, 0], middle, rtol=0.01)


def test_signed_field_is_centered_on_zero_and_positive_one_is_not(burgers):
    signed = burgers.axes[0].images[0]
    low, high = signed.get_clim()
    assert low == -high
    positive = tiny_entry(predict=lambda z: np.full((len(z), 1), 0.5))
    assert plots.solution(positive).axes[0].images[0].get_clim() == pytest.approx((0, 1), abs=1e-9)


@pytest.mark.parametrize("problem", ["heat", "poisson"])
def test_network_without_any_error_can_be_drawn(tmp_path, problem):
    entry = tiny_entry(problem)
    entry.predict = entry.problem.reference
    plots.save_plots(entry, tmp_path, ["solution"])


def test_one_dimensional_problem_gets_curves_with_its_coordinate():
    entry = tiny_entry("poisson")
    top, bottom = plots.solution(entry).axes
    assert bottom.get_xlabel() == "$x$"
    reference, network = (line.get_ydata() for line in top.get_lines())
    grid = entry.problem.domain.grid((2001,))
    np.testing.assert_array_equal(reference, entry.problem.reference(grid)[:, 0])
    np.testing.assert_array_equal(network, entry.predict(grid)[:, 0])
    assert bottom.get_yscale() == "log"


def test_history_gives_each_phase_an_axis_from_its_first_to_its_last_step():
    axes = plots.history(tiny_entry()).axes
    assert [a.get_title() for a in axes[:2]] == ["Adam", "Levenberg-Marquardt"]
    assert [a.get_xlim() for a in axes[2:]] == [(0, 20), (20, 30)]
    steps = axes[3].get_lines()[0].get_xdata()
    np.testing.assert_array_equal(steps, [20, 30])  # the error is on record every ten steps


def test_history_of_many_phases_has_one_axis_with_a_line_where_each_begins():
    phases = (Phase("adam", 20), *(Phase("levenberg_marquardt", 2) for _ in range(5)))
    axes = plots.history(tiny_entry(recipe=tiny_recipe(phases=phases))).axes
    assert len(axes) == 2
    assert axes[0].get_title() == "Adam + Levenberg-Marquardt, 6 phases"
    assert axes[1].get_xlim() == (0, 30)
    curve, *lines = axes[1].get_lines()
    assert len(np.asarray(curve.get_xdata())) > 2
    assert [np.asarray(line.get_xdata())[0] for line in lines] == [20, 22, 24, 26, 28]


def test_history_of_a_phase_that_ended_early_shows_what_was_done():
    recipe = tiny_recipe(phases=(Phase("levenberg_marquardt", 500),))
    axes = plots.history(tiny_entry(recipe=recipe)).axes
    assert len(axes) == 2
    assert axes[0].get_xlim() == (0, 30)


def test_kernel_is_shown_with_unit_diagonal_and_rows_in_order_of_time():
    entry = tiny_entry()
    images = [a.images[0] for a in plots.ntk(entry).axes if a.images]
    assert len(images) == 4
    shown = np.asarray(images[-1].get_array())
    np.testing.assert_allclose(np.diag(shown), 1)
    kernel = entry.ntk.kernels[-1]
    order = np.argsort(entry.ntk.terms["equation"][:, 0])
    i, j = order[0], order[5]
    expected = kernel[i, j] / np.sqrt(kernel[i, i] * kernel[j, j])
    np.testing.assert_allclose(shown[0, 5], expected)
    assert abs(expected) < 1


def test_thin_blocks_of_the_kernel_share_a_label_and_single_rows_have_none():
    sizes = {"equation": 40, "continuity": 40, "initial_u": 6, "initial_v": 6, "left": 9, "p": 1}
    stops = dict(zip(sizes, np.cumsum(list(sizes.values())).tolist(), strict=True))
    blocks = {name: slice(stop - sizes[name], stop) for name, stop in stops.items()}
    expected = {"equation": 19.5, "continuity": 59.5, "initial": 85.5}
    assert kernel._block_labels(blocks) == expected
    assert kernel._block_labels({"equation": slice(0, 64), "left": slice(64, 65)}) == {
        "equation": 31.5
    }


def test_spectra_are_those_of_the_snapshots():
    entry = tiny_entry()
    axes = plots.eigenvalues(entry).axes
    assert [a.get_title() for a in axes] == ["whole kernel", "equation", "initial", "left"]
    last = np.asarray(axes[1].get_lines()[-1].get_ydata())
    np.testing.assert_allclose(last, entry.ntk.eigenvalues("equation")[-1])


def test_drift_is_that_of_the_snapshots():
    entry = tiny_entry()
    left, right = plots.drift(entry).axes
    np.testing.assert_array_equal(left.get_lines()[0].get_xdata(), entry.ntk.steps[1:])
    np.testing.assert_array_equal(left.get_lines()[0].get_ydata(), entry.ntk.drift()[1:])
    np.testing.assert_array_equal(right.get_lines()[0].get_ydata(), entry.ntk.effective_rank())


def test_curves_of_many_terms_can_be_told_apart():
    names = [f"term_{k}" for k in range(17)]
    entry = tiny_entry()
    entry.ntk = SimpleNamespace(
        steps=[0, 1, 10],
        blocks={name: slice(k, k + 1) for k, name in enumerate(names)},
        drift=lambda *_, **__: [0.0, 0.1, 0.2],
        effective_rank=lambda **_: [1.0, 2.0, 3.0],
    )
    figure = plots.drift(entry)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "whole kernel",
        *(name.replace("_", " ") for name in names),
    ]
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[1].get_lines()}
    assert len(looks) == 1 + len(names)
    assert figure.get_figheight() > plots.drift(tiny_entry()).get_figheight()


@pytest.mark.parametrize("name", ["ntk", "eigenvalues", "drift"])
def test_hard_constraints_leave_a_kernel_that_can_be_drawn(tmp_path, name):
    plots.save_plots(tiny_entry(constraints="hard"), tmp_path, [name])


@pytest.mark.parametrize("name", ["ntk", "eigenvalues", "drift"])
def test_single_snapshot_can_be_drawn(tmp_path, name):
    ntk = tiny_entry().ntk
    first = NTKSnapshots(
        steps=ntk.steps[:1],
        terms=ntk.terms,
        kernels=ntk.kernels[:1],
        spectra=ntk.spectra[:1],
        block_spectra={k: v[:1] for k, v in ntk.block_spectra.items()},
        drifts={k: {n: v[:1] for n, v in d.items()} for k, d in ntk.drifts.items()},
    )
    plots.save_plots(tiny_entry(ntk=first), tmp_path, [name])


def test_untrained_entry_has_a_history_to_draw(tmp_path):
    history = {key: values[:1] for key, values in tiny_entry().history.items()}
    recipe = replace(tiny_recipe(), phases=(Phase("adam", 0),))
    plots.save_plots(tiny_entry(history=history, recipe=recipe), tmp_path, ["history"])


def test_entries_that_lack_kernels_hessians_and_errors_are_compared_by_what_they_have():
    bare = without_reference(tiny_metrics(), "residual_hessian", ntk={"version": 99})
    lacking = tiny_entry(metrics=bare, ntk=None)
    lacking.history = {k: v for k, v in lacking.history.items() if k != "relative_l2_error"}
    left, middle, right = plots.comparison([lacking, lacking]).axes
    assert left.get_ylabel().startswith("loss")
    assert not middle.get_lines()
    assert not right.get_lines()
    left, middle, right = plots.comparison([tiny_entry(), lacking]).axes
    assert "error" in left.get_ylabel()
    assert len(middle.get_lines()) == len(right.get_lines()) == 1
    assert plots.card_plots(lacking) == ["solution", "history"]


def test_comparison_says_of_what_the_mean_hessians_are():
    entry = tiny_entry()
    count = entry.metrics["residual_hessian"]["points"]
    label = rf"mean $\|H_r\|$ of {count} points"
    assert plots.comparison([entry]).axes[2].get_ylabel() == label
    entry.problem = SimpleNamespace(equations=("one", "two"))
    assert plots.comparison([entry]).axes[2].get_ylabel() == f"{label},\nfirst equation"


def one_record(**changes):
    """An entry whose end alone is on record, as of a network that was trained elsewhere."""
    entry = tiny_entry(**changes)
    entry.history = {name: np.asarray(values)[-1:] for name, values in entry.history.items()}
    ntk = entry.ntk
    last = {name: getattr(ntk, name)[-1:] for name in ("steps", "kernels", "spectra")}
    blocks = {name: values[-1:] for name, values in ntk.block_spectra.items()}
    drifts = {name: {norm: np.zeros(1) for norm in by_norm} for name, by_norm in ntk.drifts.items()}
    assert ntk is not None
    entry.ntk = replace(ntk, **last, block_spectra=blocks, drifts=drifts)
    return entry


def words_of(figure):
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def colors_of(path):
    with Image.open(path) as image:
        return {color for _, color in image.convert("RGB").getcolors(100_000) or ()}


def test_pictures_of_one_kernel_say_that_there_is_no_drift():
    entry = one_record()
    for name in ("kernel", "drift"):
        figure = plots.PLOTS[name](entry)
        assert "no drift: the kernel of the beginning" in words_of(figure)
        empty = [axes for axes in figure.axes if axes.axison and not axes.has_data()]
        assert not empty
    assert lacks_drift(np.array([0])) == "no drift: one kernel alone is on record"
    assert lacks_drift(np.array([0, 3])) is None


def test_points_of_few_pixels_keep_their_color(tmp_path):
    entry = one_record()
    paths = plots.save_plots(entry, tmp_path, ["history", "drift"])
    blue, orange, green = ((0, 114, 178), (213, 94, 0), (0, 158, 115))
    assert {blue, orange} <= colors_of(paths[0])
    assert {blue, orange, green} <= colors_of(paths[1])


def test_one_record_is_a_point_that_the_frame_does_not_cut():
    entry = one_record()
    lines = [line for axes in plots.history(entry).axes for line in axes.get_lines()]
    compared = plots.comparison([entry, entry]).axes[0].get_lines()
    shown = [line for line in (*lines, *compared) if np.isfinite(line.get_ydata()).any()]
    assert len(shown) == 4
    for line in shown:
        assert line.get_marker() == "o"
        assert line.get_clip_on() is False


def test_comparison_says_what_no_entry_has():
    metrics = {k: v for k, v in tiny_metrics().items() if k not in ("ntk", "residual_hessian")}
    figure = plots.comparison([tiny_entry(metrics=metrics, ntk=None)])
    assert "no drifts" in words_of(figure)
    assert "no Hessians" in words_of(figure)
