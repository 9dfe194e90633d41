"""Pictures of an entry, ready to print: solution, training history and neural tangent kernel.

Every function takes an entry and returns a matplotlib figure that belongs to no window system.
matplotlib is imported when the first picture is made.
"""

import functools
import io
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Float

from pinnzoo.cards.cards import title
from pinnzoo.errors import UnknownNameError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pinnzoo.entry import Entry

STYLE: dict[str, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.3,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "image.interpolation": "nearest",
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.05,
    "savefig.dpi": 160,
}
WIDTH = 6.8
"""Width of a figure in inches: the text width of a one-column paper."""

# Okabe and Ito (2008): distinguishable with every kind of color vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SEQUENTIAL, DIVERGING, ERROR = "viridis", "RdBu_r", "magma"
SHADES = 96
"""Colors of a map: too many to see a step, few enough that two maps and text share a palette."""

LEGEND_COLUMNS = 6

MOST_AXES = 4
"""Phases that a history shows side by side."""
DECADES_OF_ERROR = 5
"""An error map shows this many decades below its maximum."""
SMALLEST_EIGENVALUE = 1e-20
"""Relative to the largest one; what lies below is rounding of the Jacobian's singular values."""

Plot = Callable[["Entry"], "Figure"]
Source = TypeVar("Source")


def styled(plot: Callable[[Source], "Figure"]) -> Callable[[Source], "Figure"]:
    """Make a figure with `STYLE`, whatever the user's own settings are."""

    @functools.wraps(plot)
    def styled(source: Source) -> "Figure":
        import matplotlib as mpl

        with mpl.rc_context(_settings()):
            return plot(source)

    return styled


def _settings() -> Any:
    """`STYLE` over matplotlib's defaults, without the choice of a window system."""
    import matplotlib as mpl

    defaults = {k: v for k, v in mpl.rcParamsDefault.items() if not k.startswith("backend")}
    return defaults | STYLE


def new_figure(height: float, width: float = WIDTH) -> "Figure":
    """An empty figure, sizes in inches."""
    # A bare Figure draws with Agg and, unlike pyplot, keeps no global state and needs no display.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _label(name: str) -> str:
    return "whole kernel" if name == "all" else title(name)


def _signed(values: np.ndarray) -> bool:
    """Whether zero lies well inside of the range, so that a diverging colormap fits."""
    return bool(values.min() < -0.05 * np.abs(values).max() and values.max() > 0)


def _colormap(name: str) -> Any:
    import matplotlib as mpl

    return mpl.colormaps[name].resampled(SHADES)


def _color_limits(values: np.ndarray) -> dict[str, Any]:
    if _signed(values):
        bound = float(np.abs(values).max())
        return {"cmap": _colormap(DIVERGING), "vmin": -bound, "vmax": bound}
    low, high = float(values.min()), float(values.max())
    return {"cmap": _colormap(SEQUENTIAL), "vmin": low, "vmax": high}


@styled
def solution(entry: "Entry") -> "Figure":
    """Reference, network and absolute error: curves in one dimension, maps in two or more.

    With more than two coordinates the maps show the last two, at the end of the first and in the
    middle of any others.
    """
    return _solution_curves(entry) if entry.problem.d == 1 else _solution_maps(entry)


def _solution_curves(entry: "Entry") -> "Figure":
    problem = entry.problem
    points = problem.domain.grid((2001,))
    exact, predicted = problem.reference(points), entry.predict(points)
    figure = new_figure(3.6)
    axes = figure.subplots(2, problem.m, sharex=True, squeeze=False, height_ratios=(3, 2))
    coordinate = points[:, 0]
    for k, component in enumerate(problem.components):
        top, bottom = axes[:, k]
        top.plot(coordinate, exact[:, k], color="0.7", linewidth=3.2, label="reference")
        top.plot(coordinate, predicted[:, k], color=COLORS[0], linewidth=1.0, label="network")
        top.set_ylabel(f"${component}({problem.coords})$")
        top.legend(loc="best", ncols=2)
        error = np.abs(predicted - exact)[:, k]
        bottom.semilogy(coordinate, _floored(error), color=COLORS[1], linewidth=0.9)
        bottom.set_ylim(_error_floor(error), 2 * error.max() or 1)
        bottom.set_ylabel("absolute error")
        bottom.set_xlabel(f"${problem.coords}$")
        bottom.set_xlim(*problem.domain.bounds(problem.coords))
    axes[0, 0].set_title(f"{problem.title}: {_error_text(entry)}")
    return figure


def _solution_maps(entry: "Entry") -> "Figure":
    problem = entry.problem
    horizontal, vertical = problem.coords[-2:]
    shape = (301, 301)
    points, where = _map_points(problem, shape)
    exact, predicted = problem.reference(points), entry.predict(points)
    extent = (*problem.domain.bounds(horizontal), *problem.domain.bounds(vertical))
    figure = new_figure(2.35 * problem.m + 0.15)
    rows = figure.subplots(problem.m, 3, sharex=True, sharey=True, squeeze=False)
    for k, component in enumerate(problem.components):
        both = np.concatenate([exact[:, k], predicted[:, k]])
        limits = _color_limits(both)
        left, middle, right = rows[k]
        for axes, values, whose in ((left, exact, "reference"), (middle, predicted, "network")):
            image = _map(axes, values[:, k], shape, extent, **limits)
            axes.set_title(f"${component}$, {whose}")
        _colorbar(figure, image, [left, middle])
        error = np.abs(predicted - exact)[:, k]
        image = _map(
            right, _floored(error), shape, extent, cmap=_colormap(ERROR), norm=_log_norm(error)
        )
        right.set_title("absolute error")
        _colorbar(figure, image, [right])
        left.set_ylabel(f"${vertical}$")
    for axes in rows[-1]:
        axes.set_xlabel(f"${horizontal}$")
    figure.suptitle(f"{problem.title}{where}: {_error_text(entry)}", fontsize=10)
    return figure


def _map_points(problem: Any, shape: tuple[int, int]) -> tuple[Float[np.ndarray, "n d"], str]:
    """A grid over the last two coordinates, and in words where the others are."""
    fixed = {c: problem.domain.bounds(c) for c in problem.coords[:-2]}
    values = {c: high if c == "t" else (low + high) / 2 for c, (low, high) in fixed.items()}
    grid = problem.domain.grid((*(1 for _ in fixed), *shape))
    for coord, value in values.items():
        grid[:, problem.domain.axis(coord)] = value
    where = "".join(f", ${coord} = {value:g}$" for coord, value in values.items())
    return grid, where


def _map(
    axes: "Axes", values: np.ndarray, shape: tuple[int, int], extent: Any, **style: Any
) -> Any:
    image = axes.imshow(
        values.reshape(shape).T, origin="lower", extent=extent, aspect="auto", **style
    )
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    return image


def _colorbar(figure: "Figure", image: Any, axes: Sequence["Axes"], **style: Any) -> Any:
    bar = figure.colorbar(image, ax=axes, aspect=22, pad=0.02, **style)
    bar.outline.set_linewidth(0.6)  # pyright: ignore
    bar.ax.minorticks_off()
    return bar


def _error_text(entry: "Entry") -> str:
    return f"relative $L^2$ error {_scientific(entry.metrics['relative_l2_error'])}"


def _scientific(value: float, digits: int = 1) -> str:
    """`1.2e-5` as mathematics."""
    if not 0 < abs(value) < np.inf or 0.01 <= abs(value) < 100:
        return f"{value:.{digits + 1}g}"
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"


def _error_floor(error: np.ndarray) -> float:
    top = float(error.max()) or 1.0
    return top * 10.0**-DECADES_OF_ERROR


def _floored(error: np.ndarray) -> np.ndarray:
    """`error`, with what is too small to be shown at the lower end of the scale."""
    return np.maximum(error, _error_floor(error))


def _log_norm(error: np.ndarray) -> Any:
    from matplotlib.colors import LogNorm

    return LogNorm(_error_floor(error), float(error.max()) or 1.0)


@styled
def history(entry: "Entry") -> "Figure":
    """Loss and error against the step, each phase of training on a step axis of its own.

    More phases than have room share one, with a line where each begins.
    """
    record = {key: np.asarray(values, dtype=float) for key, values in entry.history.items()}
    spans = _phase_spans(entry, record["step"])
    begins: list[int] = []
    if len(spans) > MOST_AXES:
        begins = [start for _, start, _ in spans[1:]]
        names = " + ".join(dict.fromkeys(name for name, *_ in spans))
        spans = [(f"{names}, {len(spans)} phases", spans[0][1], spans[-1][2])]
    figure = new_figure(3.6)
    axes = figure.subplots(2, len(spans), sharex="col", sharey="row", squeeze=False)
    for k, (name, start, stop) in enumerate(spans):
        inside = (record["step"] >= start) & (record["step"] <= stop)
        for row, (key, color) in enumerate((("loss", COLORS[0]), ("relative_l2_error", COLORS[1]))):
            keep = inside & np.isfinite(record[key])
            style: dict[str, Any] = {"color": color}
            if keep.sum() <= 12:
                style |= {"marker": "o", "markersize": 2.5}
            axes[row, k].semilogy(record["step"][keep], record[key][keep], **style)
            for step in begins:
                axes[row, k].axvline(step, color="0.8", linewidth=0.6, zorder=0)
        axes[0, k].set_title(name)
        axes[1, k].set_xlabel("step")
        axes[1, k].set_xlim(start, stop)
        axes[1, k].locator_params(axis="x", nbins=6 - len(spans), integer=True)
    axes[0, 0].set_ylabel(r"loss $|r|^2 / 2$")
    axes[1, 0].set_ylabel("relative $L^2$ error")
    figure.align_ylabels(axes[:, 0])
    return figure


def _phase_spans(entry: "Entry", steps: np.ndarray) -> list[tuple[str, int, int]]:
    """Optimizer, first and last step of each phase that left a record."""
    last = int(steps.max()) if len(steps) else 0
    stops = np.minimum(list(itertools.accumulate(p.steps for p in entry.recipe.phases)), last)
    starts = [0, *stops[:-1].tolist()]
    spans = [
        (title(phase.optimizer), start, int(stop))
        for phase, start, stop in zip(entry.recipe.phases, starts, stops, strict=True)
        if stop > start
    ]
    if not spans:
        return [(title(entry.recipe.phases[-1].optimizer), 0, max(last, 1))]
    # A phase that ended early, by its time limit, hands its remaining steps to the last one.
    optimizer, start, _ = spans[-1]
    return [*spans[:-1], (optimizer, start, last)]


@styled
def ntk(entry: "Entry") -> "Figure":
    """The kernel at up to four snapshots, terms marked, points of a term in order of coordinates.

    Entries are divided by √(K(z, z) K(z', z')): what is shown is the cosine between the parameter
    gradients of two residuals. Blocks of different terms differ by orders of magnitude, so that
    the bare kernel would show the largest block only; magnitudes are in `drift` and `eigenvalues`.
    """
    snapshots = entry.ntk
    chosen = _spread(len(snapshots.steps), 4)
    order = _row_order(snapshots.terms)
    figure = new_figure(2.05)
    row = figure.subplots(1, len(chosen), squeeze=False)[0]
    for axes, k in zip(row, chosen, strict=True):
        kernel = np.asarray(snapshots.kernels[k], dtype=float)[np.ix_(order, order)]
        image = axes.imshow(_cosines(kernel), cmap=_colormap(DIVERGING), vmin=-1, vmax=1)
        axes.set_title(f"step {_thousands(snapshots.steps[k])}")
        _mark_blocks(axes, snapshots.blocks, names=axes is row[0])
    bar = _colorbar(figure, image, list(row), shrink=0.78)
    bar.set_label(r"$K_{ij} \, / \, \sqrt{K_{ii} K_{jj}}$")
    return figure


def _cosines(kernel: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.maximum(np.diag(kernel), np.finfo(float).tiny))
    return kernel / length[:, None] / length[None, :]


def _mark_blocks(axes: "Axes", blocks: dict[str, slice], *, names: bool) -> None:
    axes.grid(False)
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
    edges = [block.start - 0.5 for block in blocks.values()][1:]
    for edge in edges:
        axes.axhline(edge, color="0.25", linewidth=0.5)
        axes.axvline(edge, color="0.25", linewidth=0.5)
    labels = _block_labels(blocks) if names else {}
    axes.set_yticks(list(labels.values()), list(labels))
    axes.tick_params(left=False)


def _block_labels(blocks: dict[str, slice]) -> dict[str, float]:
    """Where to write which label; blocks too thin for one of their own share their first word."""
    thin = max(block.stop for block in blocks.values()) / 11

    def label(name: str) -> str:
        return _label(name if _size(blocks[name]) > thin else name.partition("_")[0])

    shared = {text: list(names) for text, names in itertools.groupby(blocks, label)}
    rows = {text: slice(blocks[n[0]].start, blocks[n[-1]].stop) for text, n in shared.items()}
    # The one row of a single-point condition has no room for a label at all.
    return {text: (r.start + r.stop - 1) / 2 for text, r in rows.items() if _size(r) > thin}


def _row_order(terms: dict[str, np.ndarray]) -> np.ndarray:
    """Rows term by term, and in a term by the first coordinate, then the next."""
    pieces, start = [], 0
    for points in terms.values():
        pieces.append(start + np.lexsort(np.asarray(points).T[::-1]))
        start += len(points)
    return np.concatenate(pieces)


def _spread(count: int, wanted: int) -> list[int]:
    """Up to `wanted` indices below `count`, first and last among them."""
    return sorted(set(np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist()))


def _thousands(number: int) -> str:
    return f"{int(number):,}".replace(",", "\N{THIN SPACE}")


@styled
def eigenvalues(entry: "Entry") -> "Figure":
    """Eigenvalues of the whole kernel and of each term's block, one curve per snapshot."""
    import matplotlib as mpl

    snapshots = entry.ntk
    names = [None, *(name for name, block in snapshots.blocks.items() if _size(block) > 2)][:4]
    colors = mpl.colormaps[SEQUENTIAL](np.linspace(0, 0.92, len(snapshots.steps)))
    labeled = _spread(len(snapshots.steps), 6)
    figure = new_figure(2.5)
    row = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(row, names, strict=True):
        for k, (spectrum, color) in enumerate(
            zip(snapshots.eigenvalues(name), colors, strict=True)
        ):
            label = _thousands(snapshots.steps[k]) if k in labeled else None
            shown = np.where(spectrum > SMALLEST_EIGENVALUE * spectrum[0], spectrum, np.nan)
            axes.plot(np.arange(1, 1 + len(shown)), shown, color=color, label=label)
        axes.set_xscale("log")
        axes.set_title(_label(name or "all"))
        axes.set_xlabel("index $i$")
    row[0].set_yscale("log")
    row[0].set_ylabel(r"eigenvalue $\lambda_i(K)$")
    handles, labels = row[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", title="step", handlelength=1.2)
    return figure


def _size(block: slice) -> int:
    return block.stop - block.start


@styled
def drift(entry: "Entry") -> "Figure":
    """Relative distance of the kernel from its initial value, and its effective rank."""
    snapshots = entry.ntk
    steps = np.asarray(snapshots.steps)
    names = [None, *snapshots.blocks]
    figure = new_figure(2.5 + 0.2 * math.ceil(len(names) / LEGEND_COLUMNS))
    left, right = figure.subplots(1, 2)
    looks = [("-", "black"), *itertools.product(("-", "--", "-.", ":"), COLORS)]
    for name, (dashes, color) in zip(names, itertools.cycle(looks), strict=False):
        style: dict[str, Any] = {"linestyle": dashes, "color": color}
        style |= {"marker": "o", "markersize": 2.2}
        values = np.asarray(snapshots.drift(block=name))
        left.plot(steps[1:], _positive(values[1:]), **style)
        rank = np.asarray(snapshots.effective_rank(block=name))
        right.plot(steps, rank, label=_label(name or "all"), **style)
    frobenius = np.asarray(snapshots.drift("frobenius"))
    left.plot(
        steps[1:],
        _positive(frobenius[1:]),
        ":",
        color="black",
        label="whole kernel, Frobenius norm",
    )
    left.set_xscale("log" if len(steps) > 1 else "linear")
    left.set_yscale("log" if (frobenius > 0).any() else "linear")
    left.set_ylabel(r"NTK drift $\|K(t) - K(0)\| \, / \, \|K(0)\|$")
    left.legend(loc="best")
    right.set_xscale("symlog", linthresh=1)
    right.set_xlim(0, None)
    right.set_ylabel("effective rank of $K(t)$")
    right.set_ylim(0, None)
    figure.legend(loc="outside lower center", ncols=LEGEND_COLUMNS, handles=right.get_lines())
    for axes in (left, right):
        axes.set_xlabel("step $t$")
    return figure


def _positive(values: np.ndarray) -> np.ndarray:
    """`values` with gaps where a logarithmic axis has no place for them."""
    return np.where(values > 0, values, np.nan)


@styled
def comparison(entries: Sequence["Entry"]) -> "Figure":
    """Error and kernel drift of several entries against the step, and their Hessians' magnitude."""
    lines = math.ceil(len(entries) / 2)
    figure = new_figure(2.6 + 0.2 * lines)
    left, middle, right = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    looks = [
        {"linestyle": dashes, "color": color}
        for dashes, color in itertools.product(("-", "--", "-.", ":"), COLORS)
    ]
    for entry, style in zip(entries, itertools.cycle(looks), strict=False):
        step = np.asarray(entry.history["step"], dtype=float)
        error = np.asarray(entry.history["relative_l2_error"], dtype=float)
        left.plot(step, _positive(error), label=entry.name, **style)
        steps, drifts = np.asarray(entry.ntk.steps), np.asarray(entry.ntk.drift())
        middle.plot(steps[1:], _positive(drifts[1:]), marker="o", markersize=2.2, **style)
        magnitudes = entry.metrics["residual_hessian"]
        ends = [magnitudes[when]["mean"] for when in ("initial", "final")]
        right.plot([0, 1], _positive(np.array(ends)), marker="o", markersize=2.2, **style)
    left.set_ylabel("relative $L^2$ error")
    middle.set_ylabel(r"NTK drift $\|K(t) - K(0)\| \, / \, \|K(0)\|$")
    right.set_ylabel(r"mean $\|H_r\|$")
    right.set_xticks([0, 1], ["initial", "final"])
    right.set_xlim(-0.2, 1.2)
    for axes in (left, middle):
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(0, None)
        axes.set_xlabel("step")
    for axes in (left, middle, right):
        axes.set_yscale("log")
    figure.legend(loc="outside lower center", ncols=2, handles=left.get_lines())
    return figure


PLOTS: dict[str, Plot] = {
    "solution": solution,
    "history": history,
    "ntk": ntk,
    "eigenvalues": eigenvalues,
    "drift": drift,
}


def check_names(names: Iterable[str]) -> list[str]:
    """`names`, or all plots where none is given.

    Raises:
        UnknownNameError: There is no such plot.
    """
    names = list(names) or list(PLOTS)
    for name in names:
        if name not in PLOTS:
            raise UnknownNameError.of("plot", name, PLOTS)
    return names


def save(figure: "Figure", path: Path) -> Path:
    """Write a figure as a PNG that holds no date and no program version.

    Args:
        figure: What to write.
        path: Where to; missing folders are made.

    Returns:
        `path`.
    """
    import matplotlib as mpl
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    with mpl.rc_context(_settings()):
        figure.savefig(buffer, format="png")
    # 256 colors look the same in print and take a third of the space; metadata stays behind.
    with Image.open(buffer) as image:
        palette = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    palette.save(path, format="PNG", optimize=True)
    return path


def save_comparison(entries: Sequence["Entry"], folder: str | Path) -> list[Path]:
    """Write the picture of several entries as `<folder>/comparison.png`.

    Args:
        entries: What to draw.
        folder: Where to write; it is made if it does not exist.

    Returns:
        The file.
    """
    return [save(comparison(entries), Path(folder) / "comparison.png")]


def save_plots(entry: "Entry", folder: str | Path, names: Iterable[str] = ()) -> list[Path]:
    """Write pictures of an entry as `<folder>/<name>.png`.

    Args:
        entry: What to draw.
        folder: Where to write; it is made if it does not exist.
        names: Names of `PLOTS`; all of them by default.

    Returns:
        The files, in the order of `names`.

    Raises:
        UnknownNameError: There is no such plot.
    """
    return [save(PLOTS[name](entry), Path(folder) / f"{name}.png") for name in check_names(names)]
