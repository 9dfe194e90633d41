"""Pictures of what the analyses of an entry found."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pinnzoo.analysis.bench import (
    ENDS,
    FoundAlignment,
    FoundHessians,
    FoundLandscape,
    FoundLinearised,
    FoundModes,
)
from pinnzoo.analysis.landscape import Plane
from pinnzoo.cards.words import title
from pinnzoo.plots.style import (
    COLORS,
    DIVERGING,
    SEQUENTIAL,
    colorbar,
    colormap,
    edges,
    new_figure,
    positive,
    save,
    scientific,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {"initial": (COLORS[0], "--"), "final": (COLORS[1], "-")}
"""Color and dashes of both ends of a training: told apart in print without color too."""

SMALLEST = 1e-30
"""Eigenvalues below this times the largest are not drawn."""

SHOWN_MODES = (0, 1, 3, 9, 31)
"""Places of the modes that are drawn as functions."""

Labelled = tuple[Any, str]
"""What was found, and the coordinates of the problem."""


@styled
def modes(source: Labelled) -> "Figure":
    """Eigenvalues, shares of residual and error, frequencies; and some modes as functions."""
    found: FoundModes
    found, coords = source
    waves = found.spectra.get("final")
    maps = waves is not None and len(waves.shape) <= 2
    figure = new_figure(4.4 if maps else 2.4)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1.25, 1)) if maps else (figure, None)
    top, bottom = halves
    left, middle, right = top.subplots(1, 3)
    for when, (color, dashes) in LOOKS.items():
        each = found.modes[when]
        values = np.where(
            each.eigenvalues > SMALLEST * each.eigenvalues[0], each.eigenvalues, np.nan
        )
        place = np.arange(1, len(values) + 1)
        left.plot(place, values, color=color, linestyle=dashes, label=when)
        middle.plot(
            place, each.cumulative_share(), color=color, linestyle=dashes, label=f"residual, {when}"
        )
        if when in found.spectra:
            own = found.spectra[when]
            known = int(np.count_nonzero(own.eigenvalues))
            marker = "o" if when == "final" else "x"
            right.plot(
                np.arange(1, known + 1),
                own.wave_numbers[:known],
                linestyle="none",
                marker=marker,
                markersize=2,
                color=color,
                alpha=0.6,
                label=when,
            )
    if "final" in found.errors:
        share = found.errors["final"].mean(axis=0)
        place = np.arange(1, len(share) + 1)
        middle.plot(place, share, color=COLORS[2], linestyle=":", label="error, final")
    middle.legend(loc="upper left", fontsize=7, handlelength=1.6)
    for axes in (left, middle, right):
        axes.set_xscale("log")
        axes.set_xlabel("mode, fastest first")
    left.set_yscale("log")
    left.set_ylabel(r"eigenvalue $\lambda$ of $J J^\top$")
    left.legend(loc="lower left")
    middle.set_ylabel("cumulative share of the square")
    middle.set_ylim(0, 1.45)
    middle.set_yticks([0, 0.25, 0.5, 0.75, 1])
    right.set_ylabel("mean wave number\n(half periods per side)")
    if right.get_lines():
        right.legend(loc="upper left", markerscale=2)
    if bottom is not None and waves is not None:
        _functions(bottom, waves, coords)
    return figure


def _functions(figure: Any, waves: Any, coords: str) -> None:
    """Some modes of the last kernel of the equation, on their grid."""
    known = int(np.count_nonzero(waves.eigenvalues))
    chosen = [k for k in SHOWN_MODES if k < known]
    row = figure.subplots(1, len(chosen), squeeze=False, sharey=True)[0]
    image = None
    for axes, k in zip(row, chosen, strict=True):
        vector = waves.vectors[:, k] / np.abs(waves.vectors[:, k]).max()
        if len(waves.shape) == 1:
            axes.plot(waves.points[:, 0], vector, color=COLORS[0])
            axes.set_xlabel(f"${coords[0]}$")
        else:
            image = axes.imshow(
                vector.reshape(waves.shape).T,
                origin="lower",
                extent=_extent(waves.points, waves.shape),
                aspect="auto",
                cmap=colormap(DIVERGING, 17),
                vmin=-1,
                vmax=1,
            )
            axes.grid(False)
            axes.set_xlabel(f"${coords[0]}$")
        axes.set_title(f"mode {k + 1} of the equation" if k == 0 else f"mode {k + 1}")
    row[0].set_ylabel("value over largest" if image is None else f"${coords[1]}$")
    if image is not None:
        bar = figure.colorbar(image, ax=list(row), aspect=18, pad=0.02, ticks=[-1, 0, 1])
        bar.outline.set_linewidth(0.6)
        bar.set_label("value over largest")


@styled
def linearised(source: Labelled) -> "Figure":
    """What the first kernel predicts beside what happened, and the departures from linearity."""
    found: FoundLinearised
    found, _ = source
    figure = new_figure(2.7)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    steps = np.asarray(found.steps, float)
    lines = (
        (found.laziness.losses, "the training", COLORS[1], "-", "o"),
        (found.descent, "descent on the first kernel", COLORS[0], "--", ""),
        (found.gauss_newton, "Gauss-Newton on the first kernel", COLORS[2], ":", ""),
    )
    for values, label, color, dashes, marker in lines:
        left.plot(
            steps,
            positive(values),
            label=label,
            color=color,
            linestyle=dashes,
            marker=marker,
            markersize=2.5,
        )
    left.set_xscale("symlog", linthresh=1)
    left.set_yscale("log")
    left.set_xlim(0, None)
    left.set_xlabel("step")
    left.set_ylabel(r"loss $|r|^2 / 2$")
    left.legend(loc="best")
    values = np.where(found.laziness.departures > 0, found.laziness.departures, np.nan)
    image = right.imshow(
        np.log10(values).T, cmap=colormap("cividis", 24), vmin=-3, vmax=1, origin="lower"
    )
    _step_axes(right, found.steps, "linearised at step", "looked at in step")
    bar = colorbar(figure, image, [right], extend="both")
    bar.set_label("departure from linearity")
    bar.set_ticks([-3, -2, -1, 0, 1], labels=["0.001", "0.01", "0.1", "1", "10"])
    return figure


def _step_axes(axes: "Axes", steps: Any, across: str, up: str) -> None:
    """Both axes of a matrix of snapshots, with every second step written out."""
    places = np.arange(0, len(steps), 2)
    labels = [_short(int(steps[k])) for k in places]
    axes.set_xticks(places, labels, rotation=45)
    axes.set_yticks(places, labels)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(False)


def _short(step: int) -> str:
    return f"{step / 1000:.3g}k" if step >= 1000 else str(step)


@styled
def alignment(source: Labelled) -> "Figure":
    """CKA of the kernels of all snapshots, and their alignment with the residual."""
    found: FoundAlignment
    found, _ = source
    figure = new_figure(2.7)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    aligned = found.alignments
    image = left.imshow(
        aligned.kernels, cmap=colormap(SEQUENTIAL, 20), vmin=0, vmax=1, origin="lower"
    )
    _step_axes(left, aligned.steps, "step", "step")
    colorbar(figure, image, [left]).set_label("alignment (CKA) of two kernels")
    steps = np.asarray(aligned.steps, float)
    for values, label, color, dashes in (
        (aligned.kernels[:, -1], "last kernel", COLORS[0], "-"),
        (aligned.initial_residual, "first residual", COLORS[1], "--"),
        (aligned.residual, "residual of that step", COLORS[2], ":"),
    ):
        right.plot(
            steps, values, label=label, color=color, linestyle=dashes, marker="o", markersize=2.5
        )
    right.set_xscale("symlog", linthresh=1)
    right.set_xlim(0, None)
    right.set_ylim(0, 1.03)
    right.set_xlabel("step")
    right.set_ylabel("alignment of the kernel with the …")
    right.legend(loc="best")
    return figure


@styled
def hessians(source: Labelled) -> "Figure":
    """Spectral densities of the loss Hessian, bare and preconditioned, and ‖H_r‖ as a map."""
    found: FoundHessians
    found, coords = source
    maps = bool(found.shape)
    figure = new_figure(4.7 if maps else 2.5)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1.1, 1)) if maps else (figure, None)
    top, bottom = halves
    left, right = top.subplots(1, 2)
    others = [name for name in found.densities if name not in ENDS]
    looks = {**LOOKS, **dict(zip(others, zip(COLORS[2:], ("-", "--", "-"), strict=False)))}  # noqa: B905
    for name, density in found.densities.items():
        axes = left if name in (*ENDS, "final, remainder") else right
        color, dashes = looks[name]
        where, up, down = density.curve(smallest=1e-10)
        label = name if axes is left else name.removeprefix("final, ")
        axes.plot(where, positive(up), color=color, linestyle=dashes, label=label)
        axes.fill_between(where, down, 1e-6, color=color, alpha=0.3, linewidth=0)
    for axes in (left, right):
        axes.set_yscale("log")
        axes.set_ylim(1e-4, 60)
        axes.set_xlabel(r"$\log_{10} |\lambda|$")
        axes.legend(loc="upper right")
    left.set_ylabel("share of eigenvalues per decade\n(lines: positive, areas: negative)")
    left.set_title("Hessian of the loss")
    right.set_title("final, preconditioned by")
    if bottom is not None:
        _maps(bottom, found, coords)
    return figure


def _maps(figure: Any, found: FoundHessians, coords: str) -> None:
    """‖H_r‖ over the domain at both ends, on one logarithmic scale."""
    from matplotlib.colors import LogNorm

    row = figure.subplots(1, 2, sharey=True)
    seen = np.concatenate([each[each > 0] for each in found.norms.values()])
    if len(found.shape) == 1 or not len(seen):
        for when, norms in found.norms.items():
            color, dashes = LOOKS[when]
            row[0].plot(found.points[:, 0], positive(norms), color=color, linestyle=dashes)
        row[0].set_yscale("log")
        row[0].set_xlabel(f"${coords[0]}$")
        row[0].set_ylabel(r"$\|H_r\|$")
        row[1].set_visible(False)
        return
    for axes, (when, norms) in zip(row, found.norms.items(), strict=True):
        image = axes.imshow(
            norms.reshape(found.shape).T,
            origin="lower",
            extent=_extent(found.points, found.shape),
            aspect="auto",
            cmap=colormap("cividis", 24),
            norm=LogNorm(seen.min(), max(seen.max(), 1.01 * seen.min())),
        )
        axes.set_title(f"Hessian of the residual, {when}")
        axes.set_xlabel(f"${coords[0]}$")
        axes.grid(False)
    row[0].set_ylabel(f"${coords[1]}$")
    bar = figure.colorbar(image, ax=list(row), aspect=18, pad=0.02)
    bar.outline.set_linewidth(0.6)
    bar.set_label(r"$\|H_r\|$")


def _extent(points: np.ndarray, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Of an image of cells around points on a grid, of which the first and the last are corners."""
    low, high = points[0], points[-1]
    return *edges(low[0], high[0], shape[0]), *edges(low[1], high[1], shape[1])


@styled
def landscape(source: Labelled) -> "Figure":
    """The loss along the way of the training and on two planes; singular values; gradients."""
    found: FoundLandscape
    found, _ = source
    figure = new_figure(4.8)
    rows = figure.subplots(2, 3)
    _line(rows[0, 0], found)
    _plane(figure, rows[0, 1], found.random, "random directions", "filter norms")
    _plane(figure, rows[0, 2], found.eigenvectors, "eigenvectors", r"$|\theta|$")
    _singular(rows[1, 0], found)
    for axes, (when, cosines) in zip(rows[1, 1:], found.cosines.items(), strict=True):
        image = axes.imshow(cosines, cmap=colormap(DIVERGING, 17), vmin=-1, vmax=1)
        names = [title(name) for name in found.terms]
        short = [name if len(name) <= 12 else f"{name[:11]}…" for name in names]
        axes.set_yticks(range(len(names)), short if axes is rows[1, 1] else [""] * len(names))
        axes.set_xticks(range(len(names)), short, rotation=45, ha="right")
        axes.set_title(f"term gradients, {when}")
        axes.grid(False)
    colorbar(figure, image, [rows[1, 2]]).set_label("cosine")
    return figure


def _line(axes: "Axes", found: FoundLandscape) -> None:
    line = found.line
    axes.plot(line.positions, positive(line.losses), color="black", label="all")
    styles = ("-", "--", "-.", ":")
    for k, (name, losses) in enumerate(list(line.terms.items())[:4]):
        axes.plot(
            line.positions,
            positive(losses),
            color=COLORS[k % len(COLORS)],
            linestyle=styles[k % 4],
            linewidth=0.9,
            label=title(name),
        )
    axes.set_yscale("log")
    axes.set_xticks([0, 1], ["initial", "final"])
    axes.set_xlabel("place on the straight line")
    axes.set_ylabel(r"loss $|r|^2 / 2$")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.9)
    axes.legend(loc="upper center", handlelength=1.4, fontsize=7, ncols=1)


def _plane(figure: Any, axes: "Axes", plane: Plane, told: str, unit: str) -> None:
    losses = np.log10(np.maximum(plane.losses, np.finfo(float).tiny))
    reach = float(plane.positions[-1])
    side = edges(-reach, reach, len(plane.positions))
    image = axes.imshow(
        losses.T,
        origin="lower",
        extent=(*side, *side),
        cmap=colormap(SEQUENTIAL, 16),
        # The end alone can lie ten decades below all that surrounds it.
        vmin=float(np.percentile(losses, 2)),
    )
    axes.plot([0], [0], marker="+", color="white", markersize=6)
    axes.set_title(f"loss around the end,\n{told}")
    axes.set_xlabel(f"first, in {unit}")
    axes.set_ylabel(f"second, in {unit}")
    axes.ticklabel_format(style="sci", scilimits=(-2, 2))
    axes.grid(False)
    colorbar(figure, image, [axes], extend="min").set_label(r"$\log_{10}$ loss")


def _singular(axes: "Axes", found: FoundLandscape) -> None:
    for when, each in found.singular.items():
        color, dashes = LOOKS[when]
        places = np.arange(1, len(each.values) + 1)
        axes.plot(places, positive(each.values), color=color, linestyle=dashes, label=when)
    final = found.singular["final"]
    known = final.values > final.values[0] * 1e-16
    axes.plot(
        np.flatnonzero(known) + 1,
        positive(final.residual[known]),
        linestyle="none",
        marker=".",
        markersize=1.5,
        color=COLORS[2],
        label=r"residual $|u^\top r|$",
    )
    if final.damping is not None:
        root = float(np.sqrt(final.damping))
        axes.axhline(root, color="black", linewidth=0.8, linestyle=":")
        axes.annotate(
            rf"$\sqrt{{\mu}}$ = {scientific(root)}",
            (0.03, root),
            xycoords=("axes fraction", "data"),
            va="bottom",
            fontsize=7.5,
            # The residuals of a converged network lie about the damping.
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("singular values, largest first")
    matrix = "J D^{-1}" if final.scaled else "J"
    axes.set_ylabel(rf"singular value $\sigma$ of ${matrix}$, $|u^\top r|$")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.35)
    axes.legend(loc="upper right", handlelength=1.4, fontsize=7)


FIGURES: dict[str, Callable[[Labelled], "Figure"]] = {
    "modes": modes,
    "linearised": linearised,
    "alignment": alignment,
    "hessians": hessians,
    "landscape": landscape,
}


def save_figures(
    found: Mapping[str, Any], coords: str, folder: Path, prefix: str = ""
) -> list[Path]:
    """Write the picture of each analysis that has one as `<folder>/<prefix><name>.png`.

    Args:
        found: What `look_at` returned.
        coords: Coordinates of the problem.
        folder: Where to write; it is made if it does not exist.
        prefix: Beginning of the files' names.
    """
    return [
        save(FIGURES[name]((each, coords)), folder / f"{prefix}{name}.png", dpi=130, colors=256)
        for name, each in found.items()
        if name in FIGURES
    ]
