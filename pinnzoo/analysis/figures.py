"""Pictures of what the analyses of an entry found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pinnzoo.analysis.bench import (
    DAMPED,
    ENDS,
    REMAINDER,
    FoundAlignment,
    FoundHessians,
    FoundLandscape,
    FoundLinearised,
    FoundModes,
)
from pinnzoo.analysis.landscape import Plane
from pinnzoo.analysis.spectra import SpectralDensity
from pinnzoo.cards.words import title
from pinnzoo.plots.style import (
    COLORS,
    DIVERGING,
    SEQUENTIAL,
    colorbar,
    colormap,
    draw_map,
    edges,
    new_figure,
    note,
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
    maps = waves is not None and len(waves.shape) <= 2 and waves.eigenvalues.any()
    figure = new_figure(4.4 if maps else 2.4)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1.25, 1)) if maps else (figure, None)
    top, bottom = halves
    left, middle, right = top.subplots(1, 3)
    handles = []
    for when, each in found.modes.items():
        color, dashes = LOOKS[when]
        values = np.where(
            each.eigenvalues > SMALLEST * each.eigenvalues[0], each.eigenvalues, np.nan
        )
        place = np.arange(1, len(values) + 1)
        handles += left.plot(place, values, color=color, linestyle=dashes, label=when)
        middle.plot(place, each.cumulative_share(), color=color, linestyle=dashes)
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
            )
    if "final" in found.errors:
        share = found.errors["final"]
        place = np.arange(1, len(share) + 1)
        handles += middle.plot(
            place, share, color=COLORS[2], linestyle=":", label="final, error in modes of its own"
        )
    # One legend above all, since curves of a share fill their axes from corner to corner.
    top.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    for axes in (left, middle, right):
        axes.set_xscale("log")
        axes.set_xlabel("mode, fastest first")
    left.set_yscale("log")
    left.set_ylabel(r"eigenvalue $\lambda$ of $J J^\top$")
    middle.set_ylabel("cumulative share of\nthe squared residual")
    middle.set_ylim(0, 1.03)
    right.set_ylabel("mean wave number\n(half periods per side)")
    if not found.spectra:
        right.set_axis_off()
        note(right, "no wave numbers: they need\na box of few coordinates,\nwithout parameters")
    if bottom is not None and waves is not None:
        _functions(bottom, waves, coords)
    return figure


def _legend_above(axes: "Axes", ncols: int) -> None:
    """A legend on top of axes, where no curve is."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=ncols,
        fontsize=7.5,
        handlelength=1.6,
        columnspacing=1.0,
        borderaxespad=0.1,
    )


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
        if values is not None:
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
    if len(found.steps) == 1:
        right.set_axis_off()
        note(right, "no departures from linearity:\none network alone is on record")
        return figure
    values = np.where(found.laziness.departures > 0, found.laziness.departures, np.nan)
    image = right.imshow(
        np.log10(values).T, cmap=colormap("cividis", 24), vmin=-3, vmax=1, origin="lower"
    )
    _step_axes(right, found.steps, "linearised at step", "looked at in step")
    bar = colorbar(figure, image, [right], extend="both")
    bar.set_label("departure from linearity")
    bar.set_ticks([-3, -2, -1, 0, 1], labels=["0.001", "0.01", "0.1", "1", "10"])
    return figure


MOST_LABELS = 12
"""Snapshots that are written out along an axis."""


def _step_axes(axes: "Axes", steps: Any, across: str, up: str) -> None:
    """Both axes of a matrix of snapshots, of which the first and the last are always written."""
    places = np.linspace(0, len(steps) - 1, min(len(steps), MOST_LABELS)).round().astype(int)
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
    _legend_above(right, ncols=3)
    return figure


@styled
def hessians(source: Labelled) -> "Figure":
    """Spectral densities of the loss Hessian, bare and preconditioned, and ‖H_r‖ as a map."""
    found: FoundHessians
    found, coords = source
    maps = bool(found.residual.shape)
    figure = new_figure(4.9 if maps else 2.9)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1.2, 1)) if maps else (figure, None)
    top, bottom = halves
    left, right = top.subplots(1, 2)
    others = [name for name in found.densities if name not in ENDS]
    looks = {**LOOKS, **dict(zip(others, zip(COLORS[2:], ("-", "--", "-"), strict=False)))}  # noqa: B905
    for name, density in found.densities.items():
        axes = left if name in (*ENDS, REMAINDER) else right
        label = name if axes is left else name.removeprefix("final, ")
        if name == DAMPED:
            label += f",\n{_damping(found.block)}"
        _density(axes, density, label, *looks[name])
    for axes in (left, right):
        _shade_unresolved(axes, found.densities, left_of=axes is left, looks=looks)
        axes.set_yscale("log")
        # Room for the legend, which is longer where it tells what is not resolved.
        axes.set_ylim(1e-4, 300 if axes.patches else 60)
        axes.set_xlabel(r"$\log_{10} |\lambda|$")
        axes.legend(loc="upper right", fontsize=7.5, handlelength=1.8)
    left.set_ylabel("share of eigenvalues per decade\n(lines: positive, areas: negative)")
    left.set_title("Hessian of the loss")
    right.set_title("final, preconditioned by")
    if bottom is None:
        figure.supxlabel(_means_in_words(found), fontsize=8.5)
    else:
        _maps(bottom, found, coords)
    return figure


def _damping(block: Mapping[str, Any]) -> str:
    """The damping of a density, and whether the training had it."""
    assumed = " (assumed)" if block["damping_is_assumed"] else ""
    return rf"$\mu$ = {scientific(block['damping'])}{assumed}"


WORTH_TELLING = 0.005
"""Share of unresolved eigenvalues from which a picture tells it."""


def _density(axes: "Axes", density: SpectralDensity, label: str, color: str, dashes: str) -> None:
    """One density: a line above zero, an area below, and in words what neither of them has."""
    where, up, down = density.curve(smallest=1e-10)
    if density.unresolved > WORTH_TELLING:
        label += f"\n(unresolved: {100 * density.unresolved:.0f} %)"
    axes.plot(where, positive(up), color=color, linestyle=dashes, label=label)
    axes.fill_between(where, down, 1e-6, color=color, alpha=0.3, linewidth=0)


def _shade_unresolved(
    axes: "Axes", densities: Mapping[str, SpectralDensity], *, left_of: bool, looks: Mapping
) -> None:
    """What lies nearer to zero than the resolution of a density, to the edge of the axes."""
    own = [name for name in densities if (name in (*ENDS, REMAINDER)) == left_of]
    shaded = [name for name in own if densities[name].unresolved > WORTH_TELLING]
    if not shaded:
        return
    places = {name: float(np.log10(densities[name].resolution)) for name in shaded}
    low = min(axes.get_xlim()[0], min(places.values()) - 1)
    for name, place in places.items():
        axes.axvspan(low, place, color=looks[name][0], alpha=0.07, linewidth=0)
        axes.axvline(place, color=looks[name][0], linewidth=0.6, linestyle=":")
    axes.set_xlim(left=low)


def _of_residual(found: FoundHessians) -> str:
    """Whose Hessian `H_r` is."""
    several = found.block["residual_hessian"]["equations"] > 1
    return "residual of the first equation" if several else "residual"


def _means_in_words(found: FoundHessians) -> str:
    """Means of ‖H_r‖ where there are too few points for a map."""
    told = found.block["residual_hessian"]
    ends = ", ".join(f"{when} {scientific(told[when]['mean'])}" for when in found.norms)
    return (
        rf"Hessian of the {_of_residual(found)}, mean $\|H_r\|$ of {told['points']} points: {ends}"
        "; no map of more than two coordinates"
    )


def _maps(figure: Any, found: FoundHessians, coords: str) -> None:
    """‖H_r‖ over the domain at both ends, on one logarithmic scale."""
    from matplotlib.colors import LogNorm

    places = found.residual
    seen = np.concatenate([each[each > 0] for each in found.norms.values()])
    if len(places.shape) == 1 or not len(seen):
        axes = figure.subplots()
        for when, norms in found.norms.items():
            color, dashes = LOOKS[when]
            axes.plot(
                places.points[:, 0], positive(norms), color=color, linestyle=dashes, label=when
            )
        if len(seen):
            axes.set_yscale("log")
        axes.set_title(f"Hessian of the {_of_residual(found)}")
        axes.set_xlabel(f"${coords[0]}$")
        axes.set_ylabel(r"$\|H_r\|$")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return
    row = figure.subplots(1, len(found.norms), sharey=True, squeeze=False)[0]
    for axes, (when, norms) in zip(row, found.norms.items(), strict=True):
        image = draw_map(
            axes,
            # Where a network cannot move the residual the norm is 0, which no logarithm has.
            np.maximum(places.map(norms), seen.min()),
            (places.lines[0], places.lines[1]),
            cmap=colormap("cividis", 24),
            norm=LogNorm(seen.min(), max(seen.max(), 1.01 * seen.min())),
        )
        axes.set_title(when)
        axes.set_xlabel(f"${coords[0]}$")
    row[0].set_ylabel(f"${coords[1]}$")
    figure.suptitle(f"Hessian of the {_of_residual(found)}", fontsize=9.5)
    below = any((norms == 0).any() for norms in found.norms.values())
    ends = "min" if below else "neither"
    bar = figure.colorbar(image, ax=list(row), aspect=18, pad=0.02, extend=ends)
    bar.outline.set_linewidth(0.6)
    bar.set_label(r"$\|H_r\|$")


def _extent(points: Any, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Of an image of cells around points on a grid, of which the first and the last are corners."""
    low, high = points[0], points[-1]
    return *edges(low[0], high[0], shape[0]), *edges(low[1], high[1], shape[1])


@styled
def landscape(source: Labelled) -> "Figure":
    """The loss along the way of the training and on two planes; singular values; gradients."""
    found: FoundLandscape
    found, _ = source
    several = len(found.terms) > 1
    # Each row has columns of its own, so that long names below leave the maps above their room.
    more = max(0, len(found.terms) - FEW_TERMS)
    figure = new_figure(5.2 + 0.12 * more)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1, 1 + 0.03 * more))
    top, bottom = halves
    line, random, eigenvectors = top.subplots(1, 3)
    singular, *row = bottom.subplots(1, 1 + len(found.cosines) if several else 1, squeeze=False)[0]
    _line(line, found)
    if found.line is not None and len(found.line.terms) > 1:
        handles = line.get_lines()
        top.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 5))
    _plane(top, random, found.random, "random directions", "filter norms")
    _plane(top, eigenvectors, found.eigenvectors, "eigenvectors", r"$|\theta|$")
    _singular(singular, found)
    if several:
        _cosines(bottom, row, found)
    else:
        told = "one term: its gradient is at no angle to another"
        note(singular, told, place=(0.98, 0.97), ha="right", va="top")
    return figure


FEW_TERMS = 4
"""Terms up to which a matrix of them has room for their names."""

LONGEST = 12
"""Letters of a term's name that a picture shows, where that tells it from the others."""


def _names(terms: Iterable[str]) -> list[str]:
    """Terms in words, cut off where they are long, as far as they stay different.

    Names of one beginning keep their end as well: that is where sides of a domain are named.
    """
    names = [title(name) for name in terms]
    for length in range(LONGEST, max(map(len, names), default=LONGEST) + 1):
        for ending in (False, True):
            short = [_cut(name, length, ending=ending) for name in names]
            if len(set(short)) == len(set(names)):
                return short
    return names


def _cut(name: str, length: int, *, ending: bool) -> str:
    """A name of that length at most, without its end or without its middle."""
    if len(name) <= length:
        return name
    kept = (length - 1) // 2 + 1 if ending else 0
    return f"{name[: length - 1 - kept].rstrip()}…{name[len(name) - kept :].lstrip()}"


def _cosines(figure: Any, row: "Sequence[Axes]", found: FoundLandscape) -> None:
    """Angles between the gradients of the terms at both ends."""
    names = _names(found.terms)
    size = 8.5 if len(names) <= FEW_TERMS else 7.0
    for axes, (when, cosines) in zip(row, found.cosines.items(), strict=True):
        image = axes.imshow(cosines, cmap=colormap(DIVERGING, 17), vmin=-1, vmax=1)
        shown = names if axes is row[0] else [""] * len(names)
        axes.set_yticks(range(len(names)), shown, fontsize=size)
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
        axes.set_title(f"term gradients, {when}")
        axes.grid(False)
    colorbar(figure, image, [row[-1]], ticks=[-1, -0.5, 0, 0.5, 1]).set_label("cosine")


def _line(axes: "Axes", found: FoundLandscape) -> None:
    """The loss along the line, and each term of it where there are several."""
    line = found.line
    if line is None:
        axes.set_axis_off()
        note(axes, "no line: the beginning\nof the training\nis not on record")
        return
    axes.plot(line.positions, positive(line.losses), color="black", label="all")
    styles = ("-", "--", "-.", ":")
    terms = line.terms if len(line.terms) > 1 else {}
    for k, (name, losses) in enumerate(zip(_names(terms), terms.values(), strict=True)):
        axes.plot(
            line.positions,
            positive(losses),
            color=COLORS[k % len(COLORS)],
            linestyle=styles[k % len(styles)],
            linewidth=0.9,
            label=name,
        )
    axes.set_yscale("log")
    axes.set_xticks([0, 1], ["initial", "final"])
    axes.set_xlabel("place on the straight line")
    axes.set_ylabel(r"loss $|r|^2 / 2$")


def _plane(figure: Any, axes: "Axes", plane: Plane, told: str, unit: str) -> None:
    losses = np.log10(np.maximum(plane.losses, np.finfo(float).tiny))
    reach, unit = _in_units(float(plane.positions[-1]), unit)
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
    axes.grid(False)
    colorbar(figure, image, [axes], extend="min").set_label(r"$\log_{10}$ loss")


def _in_units(reach: float, unit: str) -> tuple[float, str]:
    """A length of any size as a number near one, in a unit that says the power of ten."""
    power = int(np.floor(np.log10(reach))) if reach > 0 else 0
    if power >= -1:
        return reach, unit
    return reach / 10.0**power, rf"$10^{{{power}}}$ {unit}"


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
        label = rf"$\sqrt{{\mu}}$ = {scientific(root)}"
        axes.axhline(root, color="black", linewidth=0.8, linestyle=":", label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("singular values, largest first")
    matrix = "J D^{-1}" if final.scaled else "J"
    axes.set_ylabel(rf"singular value $\sigma$ of ${matrix}$")
    _legend_above(axes, ncols=2 if len(found.terms) > 1 else 4)


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
