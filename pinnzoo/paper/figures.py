"""The figures of the paper, drawn from the stored sweeps."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pinnzoo.paper.claims import LINEAR, NONLINEAR, RANK, convection, first_order, second_order
from pinnzoo.paper.toys import Arrays
from pinnzoo.plots.style import COLORS, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[[Arrays], "Figure"]

NAMES = {LINEAR: r"linear, $u_{xx} = f$", NONLINEAR: r"nonlinear, $u\,u_x = f$"}
TOY_COLORS = {LINEAR: COLORS[0], NONLINEAR: COLORS[1]}


def _widths(axes: "Axes", quantity: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("width $m$")
    axes.set_ylabel(quantity)


def _band(
    axes: "Axes",
    x: np.ndarray,
    low: np.ndarray,
    middle: np.ndarray,
    high: np.ndarray,
    **style: Any,
) -> None:
    """A line in its shaded band."""
    axes.plot(x, middle, **style)
    axes.fill_between(x, low, high, color=style["color"], alpha=0.2, lw=0)


def _log_band(axes: "Axes", x: np.ndarray, values: np.ndarray, **style: Any) -> None:
    """Geometric mean over the first axis and its spread: errors of seeds differ by factors."""
    logs = np.log(values)
    middle, spread = logs.mean(axis=0), logs.std(axis=0)
    _band(axes, x, *np.exp([middle - spread, middle, middle + spread]), **style)


def _legend_below(figure: "Figure", *row: "Axes") -> None:
    """One legend for several axes, with every label once."""
    found: dict[str, Any] = {}
    for axes in row:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    columns = len(found) if len(found) < 5 else 3
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=columns)


def _power(
    axes: "Axes", widths: np.ndarray, at: float, exponent: float = -0.5, line: str = ":"
) -> None:
    """A power law through a value at the largest width."""
    values = at * (widths / widths[-1]) ** exponent
    axes.plot(widths, values, line, color="0.4", label=rf"$m^{{{exponent:g}}}$")


@styled
def kernel_norms(arrays: Arrays) -> "Figure":
    """Figure 1a: norms of K(0), their spread, and the limiting distribution."""
    widths = arrays["widths"]
    figure = new_figure(2.8)
    left, middle, right = figure.subplots(1, 3)
    for name, label in NAMES.items():
        norms, color = arrays[f"{name}.norm"], TOY_COLORS[name]
        mean, spread = norms.mean(axis=1), norms.std(axis=1, ddof=1)
        style: dict[str, Any] = {"color": color, "marker": "o", "markersize": 3, "label": label}
        _band(left, widths, mean - spread, mean, mean + spread, **style)
        middle.plot(widths, spread, **style)
    limit = {"color": "black", "linestyle": "--", "linewidth": 0.8, "label": "linear, limit"}
    left.axhline(arrays[f"{LINEAR}.limit"], **limit)
    _power(middle, widths, float(arrays[f"{LINEAR}.norm"][-1].std(ddof=1)))
    _widths(left, r"$\|K(0)\|$, mean $\pm$ deviation")
    left.set_yscale("linear")
    left.set_ylim(0, None)
    _widths(middle, r"standard deviation of $\|K(0)\|$")
    for values, label, style in (
        (arrays[f"{NONLINEAR}.limit"], "limit", {"color": "black", "linestyle": "--"}),
        (arrays[f"{NONLINEAR}.wide"], f"$m = {arrays['wide']}$", {"color": COLORS[1]}),
    ):
        ordered = np.sort(values)
        right.plot(ordered, np.arange(1, 1 + len(ordered)) / len(ordered), label=label, **style)
    right.set_xscale("log")
    right.set_xlabel(r"$\|K(0)\|$, nonlinear")
    right.set_ylabel("distribution function")
    right.legend(loc="best")
    _legend_below(figure, left, middle)
    return figure


@styled
def drifts(arrays: Arrays) -> "Figure":
    """Figure 1b: drift of the kernel against width."""
    widths = arrays["widths"]
    figure = new_figure(2.9, 4.4)
    axes = figure.subplots()
    for name, label in NAMES.items():
        values, color = arrays[f"{name}.drift"], TOY_COLORS[name]
        quartiles = np.quantile(values, (0.25, 0.5, 0.75), axis=1)
        _band(axes, widths, *quartiles, color=color, marker="o", markersize=3, label=label)
    for exponent, line in ((-0.5, ":"), (-1, "-.")):
        _power(axes, widths, float(np.median(arrays[f"{LINEAR}.drift"][-1])), exponent, line)
    _widths(axes, r"$\|K(T) - K(0)\| \, / \, \|K(0)\|$")
    axes.legend(loc="best")
    return figure


@styled
def hessians(arrays: Arrays) -> "Figure":
    """Figure 2a: norm and sparsity of the residual's Hessian against width."""
    widths = arrays["widths"]
    figure = new_figure(2.7)
    left, right = figure.subplots(1, 2)
    for name, label in NAMES.items():
        norms, color = arrays[f"{name}.norm"], TOY_COLORS[name]
        style: dict[str, Any] = {"color": color, "markersize": 3}
        left.plot(widths, norms.mean(axis=(1, 2)), "o-", label=label, **style)
        right.plot(widths, arrays[f"{name}.sparsity"].mean(axis=(1, 2)), "o-", label=label, **style)
    bounded = arrays[f"{LINEAR}.bounded"].mean(axis=(1, 2))
    left.plot(
        widths,
        bounded,
        "s",
        mfc="none",
        color=TOY_COLORS[LINEAR],
        markersize=3,
        label="linear, bounded",
    )
    _power(left, widths, float(bounded[-1]))
    last = float(arrays[f"{LINEAR}.norm"][-1].mean())
    shape = np.log(widths) ** 1.5 / np.sqrt(widths)
    left.plot(
        widths, last * shape / shape[-1], "-.", color="0.4", label=r"$(\ln m)^{3/2} / \sqrt{m}$"
    )
    left.axhline(
        arrays["limit"].mean(), color="black", linestyle="--", linewidth=0.8, label="limit"
    )
    _widths(left, r"$\|H_r\|$")
    right.set_xscale("log")
    right.set_xlabel("width $m$")
    right.set_ylabel("share of entries that are nearly zero")
    right.set_ylim(0, 1.02)
    left.legend(loc="best")
    right.legend(loc="best")
    return figure


@styled
def dynamics(arrays: Arrays) -> "Figure":
    """Figure 2b: eigenvalues of the training dynamics, largest first."""
    figure = new_figure(2.9, 4.8)
    axes = figure.subplots()
    by_adam, by_lm = (arrays[f"{label}.singular_values"] for label in ("Adam", "LM"))
    damping = float(arrays["damping"])
    for values, label, color in (
        (first_order(by_adam), "first order, after Adam", COLORS[0]),
        (first_order(by_lm), "first order, after LM", COLORS[2]),
        (second_order(by_lm, damping), rf"LM, $\lambda$ = {damping:.0e}", COLORS[1]),
    ):
        axes.plot(1 + np.arange(len(values)), values, color=color, label=label)
    rank = int((by_lm > RANK * by_lm[0]).sum())
    axes.plot([1, rank], [1, 1], ":", color="0.2", label="Gauss-Newton")
    axes.set_yscale("log")
    axes.set_ylim(RANK**2, 10)
    axes.set_xlabel("index")
    axes.set_ylabel("eigenvalue over the largest")
    axes.legend(loc="best")
    return figure


def _curve(arrays: Arrays, label: str, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Median over seeds of `key`, on the steps that all have, and the errors of each seed."""
    seeds = arrays["seeds"]
    steps = functools.reduce(np.intersect1d, (arrays[f"{label}/{s}/step"] for s in seeds))
    rows = [np.isin(arrays[f"{label}/{s}/step"], steps) for s in seeds]
    x = np.median(
        [arrays[f"{label}/{s}/{key}"][r] for s, r in zip(seeds, rows, strict=True)], axis=0
    )
    y = np.stack([arrays[f"{label}/{s}/error"][r] for s, r in zip(seeds, rows, strict=True)])
    return x, y


@styled
def trainings(arrays: Arrays) -> "Figure":
    """Figures 3a, 4a and 5: error against steps and against wall time, mean and spread."""
    figure = new_figure(3.0)
    row = figure.subplots(1, 2, sharey=True)
    for label, color in zip(map(str, arrays["labels"]), COLORS, strict=False):
        for axes, key in zip(row, ("step", "seconds"), strict=True):
            x, errors = _curve(arrays, label, key)
            _log_band(axes, x, errors, color=color, label=label)
    for axes, name in zip(row, ("step", "wall time, s"), strict=True):
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(0, None)
        axes.set_yscale("log")
        axes.set_xlabel(name)
    row[0].set_ylabel("relative $L^2$ error")
    _legend_below(figure, row[0])
    return figure


@styled
def flow(arrays: Arrays) -> "Figure":
    """Figure 4b: error against wall time, and that of the trained velocity over physical time."""
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2)
    for label, color in zip(map(str, arrays["labels"]), COLORS, strict=False):
        x, errors = _curve(arrays, label, "seconds")
        _log_band(left, x, errors, color=color, label=label)
        velocity = np.stack([arrays[f"{label}/{s}/velocity_error"] for s in arrays["seeds"]])
        times = arrays[f"{label}/{arrays['seeds'][0]}/times"]
        _log_band(right, times, velocity, color=color, label=label)
    left.set_xlabel("wall time, s")
    left.set_ylabel("relative $L^2$ error of u, v and p")
    right.set_xlabel("$t$")
    right.set_ylabel("relative $L^2$ error of u and v")
    for axes in (left, right):
        axes.set_yscale("log")
    left.legend(loc="best")
    return figure


@styled
def sweep_of_convection(arrays: Arrays) -> "Figure":
    """Figure 3b: final error against β, and the error of LM in training with every seed."""
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2, sharey=True)
    found = convection(arrays)
    for (method, spreads), color in zip(found.items(), COLORS, strict=False):
        betas = np.array(list(spreads))
        errors = np.stack([spread.errors for spread in spreads.values()], axis=1)
        _log_band(left, betas, errors, color=color, marker="o", markersize=3, label=method)
    for beta, color in zip(found["LM"], COLORS[::-1], strict=False):
        for seed in arrays["seeds"]:
            x, y = (arrays[f"LM, β = {beta:g}/{seed}/{key}"] for key in ("step", "error"))
            label = f"LM, β = {beta:g}" if seed == arrays["seeds"][0] else None
            right.plot(x, y, color=color, lw=0.8, label=label)
    left.set_yscale("log")
    left.set_xlabel(r"$\beta$")
    left.set_ylabel("relative $L^2$ error")
    right.set_xlabel("step")
    for axes in (left, right):
        axes.legend(loc="best")
    return figure


DRAW: dict[str, Draw] = {
    "1a": kernel_norms,
    "1b": drifts,
    "2a": hessians,
    "2b": dynamics,
    "3a": trainings,
    "3b": sweep_of_convection,
    "4a": trainings,
    "4b": flow,
    "5": trainings,
}
