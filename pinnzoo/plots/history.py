"""The picture of a training: loss and error against the step."""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from pinnzoo.cards.words import title
from pinnzoo.plots.style import COLORS, Drawable, new_figure, styled, widen

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MOST_AXES = 4
"""Phases that a history shows side by side."""


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
    scales: list[Any] = []
    for row, (key, *_) in enumerate(rows):
        widen(axes[row, 0], record[key])
        # Where the loss is zero throughout, its logarithm is nowhere.
        scales.append("log" if (record[key] > 0).any() else "linear")
    for k, (name, start, stop) in enumerate(spans):
        inside = (record["step"] >= start) & (record["step"] <= stop)
        for row, (key, color, _) in enumerate(rows):
            keep = inside & np.isfinite(record[key])
            style: dict[str, Any] = {"color": color}
            if keep.sum() <= 12:
                style |= {"marker": "o", "markersize": 2.5}
            if keep.sum() == 1:
                # It lies on the frame, which is not to cut it off.
                style |= {"markersize": 4, "clip_on": False}
            axes[row, k].set_yscale(scales[row])
            axes[row, k].plot(record["step"][keep], record[key][keep], **style)
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
