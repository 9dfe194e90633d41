"""Pictures of the neural tangent kernel during training: the kernel, its eigenvalues, its drift."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pinnzoo.plots.style import (
    COLORS,
    DIVERGING,
    SEQUENTIAL,
    Drawable,
    block_label,
    colorbar,
    colormap,
    new_figure,
    note,
    positive,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LEGEND_COLUMNS = 6

COSINES = 17
"""Colors of a kernel: one for zero, and eight to either side of it."""


SMALLEST_EIGENVALUE = 1e-20
"""Relative to the largest one; what lies below is rounding of the Jacobian's singular values."""


MOST_DRIFTS = 6
"""Curves of drift on a card; the whole kernel and the first terms."""


DRIFT_LABEL = r"NTK drift $\|K(t) - K(0)\| \, / \, \|K(0)\|$"


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
        image = axes.imshow(_cosines(kernel), cmap=colormap(DIVERGING, COSINES), vmin=-1, vmax=1)
        axes.set_title(f"step {_thousands(snapshots.steps[k])}")
        _mark_blocks(axes, snapshots.blocks, names=axes is row[0])
    bar = colorbar(figure, image, list(row), shrink=0.78)
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
        return block_label(name if _size(blocks[name]) > thin else name.partition("_")[0])

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
        axes.set_title(block_label(name or "all"))
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
    figure = new_figure(3.9)
    above, below = np.ravel(np.asarray(figure.subfigures(2, 1, squeeze=False))).tolist()
    order = _row_order(snapshots.terms)
    ends = _spread(len(steps), 2)
    row = above.subplots(1, len(ends), squeeze=False)[0]
    for axes, k in zip(row, ends, strict=True):
        values = np.asarray(snapshots.kernels[k], dtype=float)[np.ix_(order, order)]
        image = axes.imshow(_cosines(values), cmap=colormap(DIVERGING, COSINES), vmin=-1, vmax=1)
        axes.set_title(f"kernel at step {_thousands(steps[k])}")
        axes.set_xlabel("row $j$")
        _mark_blocks(axes, snapshots.blocks, names=axes is row[0])
    bar = colorbar(above, image, list(row))
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
    if (reason := lacks_drift(steps)) is None:
        _draw_drifts(right, snapshots, [None, *snapshots.blocks][:MOST_DRIFTS])
        right.legend(loc="best", handlelength=1.6, fontsize=7.5, labelspacing=0.2)
    else:
        right.set_axis_off()
        note(right, reason)
    return figure


def lacks_drift(steps: np.ndarray) -> str | None:
    """Why kernels of these steps have no drift from K(0), or None where they have one."""
    from pinnzoo.diagnostics.ntk import lacks_beginning

    if lacks_beginning(steps):
        return "no drift: the kernel of the beginning\nis not on record"
    return "no drift: one kernel alone is on record" if len(steps) == 1 else None


def _draw_drifts(axes: "Axes", snapshots: Any, names: Sequence[str | None]) -> None:
    """Drift of the named blocks, None for the whole kernel, against the step."""
    steps = np.asarray(snapshots.steps)
    moved = False
    for name, style in zip(names, _looks(), strict=False):
        values = np.asarray(snapshots.drift(block=name))
        moved |= bool((values > 0).any())
        axes.plot(steps[1:], positive(values[1:]), label=block_label(name or "all"), **style)
    axes.set_xscale("log")
    axes.set_yscale("log" if moved else "linear")
    axes.set_xlabel("step $t$")
    # The whole formula is longer than the axis.
    axes.set_ylabel("relative drift of $K(t)$")


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
        rank = np.asarray(snapshots.effective_rank(block=name))
        right.plot(steps, rank, label=block_label(name or "all"), **style)
    if (reason := lacks_drift(steps)) is None:
        _draw_both_norms(left, snapshots)
    else:
        left.set_axis_off()
        note(left, reason)
    right.set_xscale("symlog", linthresh=1)
    right.set_xlim(0, None)
    right.set_ylabel("effective rank of $K(t)$")
    right.set_ylim(0, None)
    figure.legend(loc="outside lower center", ncols=LEGEND_COLUMNS, handles=right.get_lines())
    for axes in (left, right):
        axes.set_xlabel("step $t$")
    return figure


def _draw_both_norms(axes: "Axes", snapshots: Any) -> None:
    """Drift of every block in the spectral norm, and of the whole kernel in that of Frobenius."""
    steps = np.asarray(snapshots.steps)
    for name, style in zip([None, *snapshots.blocks], _looks(), strict=False):
        values = np.asarray(snapshots.drift(block=name))
        axes.plot(steps[1:], positive(values[1:]), **style)
    frobenius = np.asarray(snapshots.drift("frobenius"))
    axes.plot(
        steps[1:],
        positive(frobenius[1:]),
        ":",
        color="black",
        label="whole kernel, Frobenius norm",
    )
    axes.set_xscale("log")
    axes.set_yscale("log" if (frobenius > 0).any() else "linear")
    axes.set_ylabel(DRIFT_LABEL)
    axes.legend(loc="best")
