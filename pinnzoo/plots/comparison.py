"""The picture of several entries beside each other."""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pinnzoo.cards.words import distinct_names
from pinnzoo.plots.kernel import DRIFT_LABEL, lacks_drift
from pinnzoo.plots.style import COLORS, Drawable, new_figure, note, positive, styled, widen
from pinnzoo.storage.metrics import known_block
from pinnzoo.storage.records import kernels_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def comparison(entries: Sequence[Drawable]) -> "Figure":
    """Error and kernel drift of several entries against the step, and their Hessians' magnitude.

    Where no entry has an error on record, their losses are shown instead. Kernels and Hessians are
    shown of those entries that have them; where none has, this is said in words.
    """
    lines = math.ceil(len(entries) / 2)
    figure = new_figure(2.6 + 0.2 * lines)
    left, middle, right = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    judged = any(np.isfinite(_column(entry, "relative_l2_error")).any() for entry in entries)
    column = "relative_l2_error" if judged else "loss"
    looks = [
        {"linestyle": dashes, "color": color}
        for dashes, color in itertools.product(("-", "--", "-.", ":"), COLORS)
    ]
    counts: set[int] = set()
    names = distinct_names(
        [entry.name for entry in entries], [getattr(entry, "folder", None) for entry in entries]
    )
    for entry, name, style in zip(entries, names, itertools.cycle(looks), strict=False):
        step, values = _column(entry, "step"), _column(entry, column)
        # A line through one point is nowhere to be seen.
        alone = np.isfinite(values).sum() == 1
        point = {"marker": "o", "markersize": 4, "clip_on": False} if alone else {}
        left.plot(step, positive(values), label=name, **point, **style)
        marked: dict[str, Any] = {"marker": "o", "markersize": 2.2, **style}
        kernels = kernels_of(entry)
        if kernels is not None and lacks_drift(kernels.steps) is None:
            steps, drifts = np.asarray(kernels.steps), np.asarray(kernels.drift())
            middle.plot(steps[1:], positive(drifts[1:]), **marked)
        if (magnitudes := known_block(entry.metrics, "residual_hessian")) is not None:
            both = [magnitudes[when] for when in ("initial", "final")]
            ends = [math.nan if each is None else each["mean"] for each in both]
            right.plot([0, 1], positive(np.array(ends)), **marked)
            counts.add(int(magnitudes["points"]))
    left.set_ylabel("relative $L^2$ error" if judged else r"loss $|r|^2 / 2$")
    middle.set_ylabel(DRIFT_LABEL)
    of = f" of {' or '.join(map(str, sorted(counts)))} points" if counts else ""
    several = any(len(entry.problem.equations) > 1 for entry in entries)
    right.set_ylabel(r"mean $\|H_r\|$" + of + (",\nfirst equation" if several else ""))
    right.set_xticks([0, 1], ["initial", "final"])
    right.set_xlim(-0.2, 1.2)
    for axes in (left, middle, right):
        shown = [np.asarray(line.get_ydata(), float) for line in axes.get_lines()]
        widen(axes, np.concatenate([np.empty(0), *shown]))
        axes.set_yscale("log")
    for axes in (left, middle):
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(0, None)
        axes.set_xlabel("step")
    for axes, told in ((middle, "no drifts"), (right, "no Hessians")):
        if not axes.get_lines():
            axes.set_axis_off()
            note(axes, f"{told}\non record")
    figure.legend(loc="outside lower center", ncols=2, handles=left.get_lines())
    return figure


def _column(entry: Drawable, name: str) -> np.ndarray:
    """A column of the history, NaN where the entry does not have it."""
    steps = np.asarray(entry.history["step"], dtype=float)
    return np.asarray(entry.history.get(name, np.full_like(steps, np.nan)), dtype=float)
