"""Pictures of an entry, ready to print: solution, training history and neural tangent kernel.

Every function takes an entry and returns a matplotlib figure that belongs to no window system.
matplotlib is imported when the first picture is made. An entry's card has the few small pictures of
`card_plots`; `PLOTS` has all.
"""

import functools
import io
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from jaxtyping import Float

from pinnzoo.cards.words import title
from pinnzoo.errors import EntryError, UnknownNameError
from pinnzoo.recipes import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Drawable(Protocol):
    """What has to be known about an entry to draw it.

    Attributes:
        name: Its name.
        recipe: How it was trained.
        metrics: Its figures.
        problem: What it solves.
        history: Columns of the training record by name, each of shape (n,).
        ntk: Its kernels; looked at only if the metrics have the block "ntk".
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def recipe(self) -> Recipe: ...  # noqa: D102
    @property
    def metrics(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def problem(self) -> Any: ...  # noqa: D102
    @property
    def history(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def ntk(self) -> Any: ...  # noqa: D102

    def predict(self, points: Any) -> np.ndarray:
        """Field values of shape (n, m) at points of shape (n, d)."""
        ...


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

MAP_POINTS = 201
"""Points of a map along each coordinate: as many as its pixels."""

MOST_COLORS = 256
FEW_COLORS = {"solution": 192, "kernel": 96, "ntk": 96}
"""Colors in the palette of an entry's pictures, which are to be small: two colormaps and text need
many, curves few."""
OF_CURVES = 32
DPI = 120
"""Pixels per inch of the pictures of an entry."""

LEGEND_COLUMNS = 6

MOST_AXES = 4
"""Phases that a history shows side by side."""
DECADES_OF_ERROR = 5
"""An error map shows this many decades below its maximum."""
SMALLEST_EIGENVALUE = 1e-20
"""Relative to the largest one; what lies below is rounding of the Jacobian's singular values."""

Plot = Callable[[Drawable], "Figure"]
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
def solution(entry: Drawable) -> "Figure":
    """Reference, network and absolute error: curves in one dimension, maps in two or more.

    With more than two coordinates the maps show the last two, at the end of the first and in the
    middle of any others. Where the problem has no reference, the network is shown alone.
    """
    return _solution_curves(entry) if entry.problem.d == 1 else _solution_maps(entry)


def _reference(problem: Any, points: np.ndarray) -> np.ndarray | None:
    """The reference at points of shape (n, d), of shape (n, m); None where there is none."""
    return None if problem.reference is None else np.asarray(problem.reference(points))


def _solution_curves(entry: Drawable) -> "Figure":
    problem = entry.problem
    points = problem.domain.grid((2001,))
    exact, predicted = _reference(problem, points), np.asarray(entry.predict(points))
    figure = new_figure(2.4 if exact is None else 3.4)
    if exact is None:
        axes = figure.subplots(1, problem.m, squeeze=False)
    else:
        axes = figure.subplots(2, problem.m, sharex=True, squeeze=False, height_ratios=(3, 2))
    coordinate = points[:, 0]
    for k, component in enumerate(problem.components):
        top, bottom = axes[0, k], axes[-1, k]
        if exact is not None:
            top.plot(coordinate, exact[:, k], color="0.7", linewidth=3.2, label="reference")
        top.plot(coordinate, predicted[:, k], color=COLORS[0], linewidth=1.0, label="network")
        top.set_ylabel(f"${component}({problem.coords})$")
        bottom.set_xlabel(f"${problem.coords}$")
        bottom.set_xlim(*problem.domain.bounds(problem.coords))
        if exact is None:
            continue
        top.legend(loc="best", ncols=2)
        error = np.abs(predicted - exact)[:, k]
        bottom.semilogy(coordinate, _floored(error), color=COLORS[1], linewidth=0.9)
        bottom.set_ylim(_error_floor(error), 2 * error.max() or 1)
        bottom.set_ylabel("absolute error")
    axes[0, 0].set_title(f"{problem.title}: {_error_text(entry)}")
    return figure


def _solution_maps(entry: Drawable) -> "Figure":
    problem = entry.problem
    horizontal, vertical = shown = _shown(problem)
    points, inside, where = _map_points(problem, shown)
    exact, predicted = _reference(problem, points), np.asarray(entry.predict(points))
    extent = (*problem.domain.bounds(horizontal), *problem.domain.bounds(vertical))
    if exact is None:
        figure, grid = _network_maps(problem, predicted, inside, extent)
    else:
        figure, grid = _error_maps(problem, exact, predicted, inside, extent)
    for axes in grid[-1]:
        axes.set_xlabel(f"${horizontal}$")
    for axes in grid[:, 0]:
        axes.set_ylabel(f"${vertical}$")
    figure.suptitle(f"{problem.title}{where}: {_error_text(entry)}", fontsize=10)
    return figure


def _network_maps(
    problem: Any, predicted: np.ndarray, inside: np.ndarray, extent: Any
) -> tuple["Figure", Any]:
    """A map per component, side by side."""
    figure = new_figure(2.6, min(WIDTH, 3.4 * problem.m))
    grid = figure.subplots(1, problem.m, sharex=True, sharey=True, squeeze=False)
    for k, component in enumerate(problem.components):
        values = predicted[:, k]
        image = _map(grid[0, k], values, inside, extent, **_color_limits(values))
        grid[0, k].set_title(f"${component}$, network")
        _colorbar(figure, image, [grid[0, k]])
    return figure, grid


def _error_maps(
    problem: Any, exact: np.ndarray, predicted: np.ndarray, inside: np.ndarray, extent: Any
) -> tuple["Figure", Any]:
    """A row per component: reference, network and absolute error."""
    figure = new_figure(2.35 * problem.m + 0.15)
    rows = figure.subplots(problem.m, 3, sharex=True, sharey=True, squeeze=False)
    for k, component in enumerate(problem.components):
        both = np.concatenate([exact[:, k], predicted[:, k]])
        limits = _color_limits(both)
        left, middle, right = rows[k]
        for axes, values, whose in ((left, exact, "reference"), (middle, predicted, "network")):
            image = _map(axes, values[:, k], inside, extent, **limits)
            axes.set_title(f"${component}$, {whose}")
        _colorbar(figure, image, [left, middle])
        error = np.abs(predicted - exact)[:, k]
        image = _map(
            right, _floored(error), inside, extent, cmap=_colormap(ERROR), norm=_log_norm(error)
        )
        right.set_title("absolute error")
        _colorbar(figure, image, [right])
    return figure, rows


def _shown(problem: Any) -> str:
    """The two coordinates of a map: the last ones that are no parameters."""
    plain = [c for c in problem.coords if c not in problem.domain.parameters]
    return "".join(plain[-2:]) if len(plain) > 1 else problem.coords[-2:]


def _map_points(problem: Any, shown: str) -> tuple[Float[np.ndarray, "n d"], np.ndarray, str]:
    """Points of the domain on a grid over two coordinates, and in words where the others are.

    Returns:
        The points that lie in the domain, which of the grid they are, and the words.
    """
    fixed = {c: problem.domain.bounds(c) for c in problem.coords if c not in shown}
    middle = problem.domain.lattice(tuple(1 if c in shown else 3 for c in problem.coords))
    halfway = middle[len(middle) // 2]
    values = {
        c: high if c == "t" else float(halfway[problem.domain.axis(c)])
        for c, (_, high) in fixed.items()
    }
    grid = problem.domain.lattice(tuple(MAP_POINTS if c in shown else 1 for c in problem.coords))
    for coord, value in values.items():
        grid[:, problem.domain.axis(coord)] = value
    where = "".join(f", ${coord} = {value:.4g}$" for coord, value in values.items())
    inside = problem.domain.contains(grid)
    return grid[inside], inside.reshape(MAP_POINTS, MAP_POINTS), where


def _map(axes: "Axes", values: np.ndarray, inside: np.ndarray, extent: Any, **style: Any) -> Any:
    """A map of values at the points that are inside; the others are left white."""
    picture = np.full(inside.shape, np.nan)
    picture[inside] = values
    image = axes.imshow(picture.T, origin="lower", extent=extent, aspect="auto", **style)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    return image


def _colorbar(figure: "Figure", image: Any, axes: Sequence["Axes"], **style: Any) -> Any:
    bar = figure.colorbar(image, ax=axes, aspect=22, pad=0.02, **style)
    bar.outline.set_linewidth(0.6)  # pyright: ignore
    bar.ax.minorticks_off()
    return bar


def _error_text(entry: Drawable) -> str:
    if "relative_l2_error" not in entry.metrics:
        return f"no reference, loss {_scientific(entry.metrics['loss'])}"
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


HISTORY = (
    ("loss", COLORS[0], r"loss $|r|^2 / 2$"),
    ("relative_l2_error", COLORS[1], "relative $L^2$ error"),
)
"""Column, color and label of each curve of a history."""


@styled
def history(entry: Drawable) -> "Figure":
    """Loss and error against the step, each phase of training on a step axis of its own.

    More phases than have room share one, with a line where each begins. Where no error is on
    record, as of a problem without a reference, the loss is shown alone.
    """
    record = {key: np.asarray(values, dtype=float) for key, values in entry.history.items()}
    spans = _phase_spans(entry, record["step"])
    begins: list[int] = []
    if len(spans) > MOST_AXES:
        begins = [start for _, start, _ in spans[1:]]
        names = " + ".join(dict.fromkeys(name for name, *_ in spans))
        spans = [(f"{names}, {len(spans)} phases", spans[0][1], spans[-1][2])]
    rows = [
        row for row in HISTORY if row[0] == "loss" or np.isfinite(record.get(row[0], np.nan)).any()
    ]
    figure = new_figure(0.6 + 1.4 * len(rows))
    axes = figure.subplots(len(rows), len(spans), sharex="col", sharey="row", squeeze=False)
    for k, (name, start, stop) in enumerate(spans):
        inside = (record["step"] >= start) & (record["step"] <= stop)
        for row, (key, color, _) in enumerate(rows):
            keep = inside & np.isfinite(record[key])
            style: dict[str, Any] = {"color": color}
            if keep.sum() <= 12:
                style |= {"marker": "o", "markersize": 2.5}
            axes[row, k].semilogy(record["step"][keep], record[key][keep], **style)
            for step in begins:
                axes[row, k].axvline(step, color="0.8", linewidth=0.6, zorder=0)
        axes[0, k].set_title(name)
        axes[-1, k].set_xlabel("step")
        axes[-1, k].set_xlim(start, stop)
        axes[-1, k].locator_params(axis="x", nbins=6 - len(spans), integer=True)
    for row, (_, _, label) in enumerate(rows):
        axes[row, 0].set_ylabel(label)
    figure.align_ylabels(axes[:, 0])
    return figure


def _phase_spans(entry: Drawable, steps: np.ndarray) -> list[tuple[str, int, int]]:
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
def ntk(entry: Drawable) -> "Figure":
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
def eigenvalues(entry: Drawable) -> "Figure":
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
            shown = _above_rounding(spectrum)
            axes.plot(np.arange(1, 1 + len(shown)), shown, color=color, label=label)
        axes.set_xscale("log")
        axes.set_title(_label(name or "all"))
        axes.set_xlabel("index $i$")
    row[0].set_yscale("log")
    row[0].set_ylabel(r"eigenvalue $\lambda_i(K)$")
    handles, labels = row[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", title="step", handlelength=1.2)
    return figure


@styled
def kernel(entry: Drawable) -> "Figure":
    """The essence of `ntk`, `eigenvalues` and `drift`: what a card has room for.

    Above, the kernel at the first and the last snapshot, scaled to unit diagonal; below, the
    eigenvalues of the whole kernel, a curve per snapshot, and its drift, whole and by term.
    """
    import matplotlib as mpl

    snapshots = entry.ntk
    steps = np.asarray(snapshots.steps)
    figure = new_figure(4.3)
    above, below = np.ravel(np.asarray(figure.subfigures(2, 1, squeeze=False))).tolist()
    order = _row_order(snapshots.terms)
    ends = _spread(len(steps), 2)
    row = above.subplots(1, len(ends), squeeze=False)[0]
    for axes, k in zip(row, ends, strict=True):
        values = np.asarray(snapshots.kernels[k], dtype=float)[np.ix_(order, order)]
        image = axes.imshow(_cosines(values), cmap=_colormap(DIVERGING), vmin=-1, vmax=1)
        axes.set_title(f"kernel at step {_thousands(steps[k])}")
        axes.set_xlabel("row $j$")
        _mark_blocks(axes, snapshots.blocks, names=axes is row[0])
    bar = _colorbar(above, image, list(row))
    bar.set_label(r"$K_{ij} \, / \, \sqrt{K_{ii} K_{jj}}$")
    left, right = below.subplots(1, 2)
    colors = mpl.colormaps[SEQUENTIAL](np.linspace(0, 0.92, len(steps)))
    labeled = _spread(len(steps), 4)
    for k, (spectrum, color) in enumerate(zip(snapshots.eigenvalues(), colors, strict=True)):
        label = f"step {_thousands(steps[k])}" if k in labeled else None
        left.plot(
            np.arange(1, 1 + len(spectrum)), _above_rounding(spectrum), color=color, label=label
        )
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xlabel("index $i$")
    left.set_ylabel(r"eigenvalue $\lambda_i(K)$")
    left.legend(loc="lower left", handlelength=1.2)
    _draw_drifts(right, snapshots, [None, *snapshots.blocks][:MOST_DRIFTS])
    right.legend(loc="best", handlelength=1.6)
    return figure


MOST_DRIFTS = 6
"""Curves of drift on a card; the whole kernel and the first terms."""


def _draw_drifts(axes: "Axes", snapshots: Any, names: Sequence[str | None]) -> None:
    """Drift of the named blocks, None for the whole kernel, against the step."""
    steps = np.asarray(snapshots.steps)
    moved = False
    for name, style in zip(names, _looks(), strict=False):
        values = np.asarray(snapshots.drift(block=name))
        moved |= bool((values > 0).any())
        axes.plot(steps[1:], _positive(values[1:]), label=_label(name or "all"), **style)
    axes.set_xscale("log" if len(steps) > 1 else "linear")
    axes.set_yscale("log" if moved else "linear")
    axes.set_xlabel("step $t$")
    # The whole formula is longer than the axis.
    axes.set_ylabel("relative drift of $K(t)$")


DRIFT_LABEL = r"NTK drift $\|K(t) - K(0)\| \, / \, \|K(0)\|$"


def _looks() -> Iterator[dict[str, Any]]:
    """Looks of curves that can be told apart: the first one is black and solid."""
    looks = [("-", "black"), *itertools.product(("-", "--", "-.", ":"), COLORS)]
    for dashes, color in itertools.cycle(looks):
        yield {"linestyle": dashes, "color": color, "marker": "o", "markersize": 2.2}


def _above_rounding(spectrum: np.ndarray) -> np.ndarray:
    """Eigenvalues, falling, with gaps where they are rounding."""
    return np.where(spectrum > SMALLEST_EIGENVALUE * spectrum[0], spectrum, np.nan)


def _size(block: slice) -> int:
    return block.stop - block.start


@styled
def drift(entry: Drawable) -> "Figure":
    """Relative distance of the kernel from its initial value, and its effective rank."""
    snapshots = entry.ntk
    steps = np.asarray(snapshots.steps)
    names = [None, *snapshots.blocks]
    figure = new_figure(2.5 + 0.2 * math.ceil(len(names) / LEGEND_COLUMNS))
    left, right = figure.subplots(1, 2)
    for name, style in zip(names, _looks(), strict=False):
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
    left.set_ylabel(DRIFT_LABEL)
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
def comparison(entries: Sequence[Drawable]) -> "Figure":
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
    middle.set_ylabel(DRIFT_LABEL)
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
    "kernel": kernel,
    "ntk": ntk,
    "eigenvalues": eigenvalues,
    "drift": drift,
}


_OF_KERNEL = ("kernel", "ntk", "eigenvalues", "drift")


def check_names(names: Iterable[str]) -> list[str]:
    """`names`, if there are such plots.

    Raises:
        UnknownNameError: There is no such plot.
    """
    names = list(names)
    for name in names:
        if name not in PLOTS:
            raise UnknownNameError.of("plot", name, PLOTS)
    return names


def card_plots(entry: Drawable) -> list[str]:
    """The plots of an entry's card: the solution, the training, and the kernel if it is stored."""
    return ["solution", "history", *(["kernel"] if "ntk" in entry.metrics else [])]


def save(
    figure: "Figure", path: Path, *, dpi: int | None = None, colors: int = MOST_COLORS
) -> Path:
    """Write a figure as a PNG that holds no date and no program version.

    Args:
        figure: What to write.
        path: Where to; missing folders are made.
        dpi: Pixels per inch, those of `STYLE` by default.
        colors: Colors of its palette.

    Returns:
        `path`.
    """
    import matplotlib as mpl
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    with mpl.rc_context(_settings()):
        figure.savefig(buffer, format="png", dpi=dpi or STYLE["savefig.dpi"])
    # A palette looks the same in print and takes a third of the space; metadata stays behind.
    with Image.open(buffer) as image:
        palette = image.convert("RGB").quantize(colors, dither=Image.Dither.NONE)
    palette.save(path, format="PNG", optimize=True)
    return path


def save_comparison(entries: Sequence[Drawable], folder: str | Path) -> list[Path]:
    """Write the picture of several entries as `<folder>/comparison.png`.

    Args:
        entries: What to draw.
        folder: Where to write; it is made if it does not exist.

    Returns:
        The file.
    """
    return [save(comparison(entries), Path(folder) / "comparison.png")]


def save_plots(entry: Drawable, folder: str | Path, names: Iterable[str] = ()) -> list[Path]:
    """Write pictures of an entry as `<folder>/<name>.png`.

    Args:
        entry: What to draw.
        folder: Where to write; it is made if it does not exist.
        names: Names of `PLOTS`; those of `card_plots` by default.

    Returns:
        The files, in the order of `names`.

    Raises:
        UnknownNameError: There is no such plot.
        EntryError: A plot of kernels was asked for, and the entry has none.
    """
    names = check_names(names) or card_plots(entry)
    without = [name for name in names if name in _OF_KERNEL and "ntk" not in entry.metrics]
    if without:
        raise EntryError(
            f"the plot {without[0]!r} of {entry.name} was asked for, which has no kernels on "
            f"record: draw {', '.join(card_plots(entry))}, or record kernels with "
            "`pinnzoo diagnose`."
        )
    return [
        save(
            PLOTS[name](entry),
            Path(folder) / f"{name}.png",
            dpi=DPI,
            colors=FEW_COLORS.get(name, OF_CURVES),
        )
        for name in names
    ]
