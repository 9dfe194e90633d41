"""The picture of a solution: reference, network and absolute error."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from pinnzoo.plots.style import (
    COLORS,
    DIVERGING,
    ERROR,
    SEQUENTIAL,
    WIDTH,
    Drawable,
    Lines,
    colorbar,
    colormap,
    draw_map,
    new_figure,
    scientific,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MAP_POINTS = 101
"""Points of a map along each coordinate: about one for every two pixels of a card's picture."""


DECADES_OF_ERROR = 5
"""An error map shows this many decades below its maximum."""


def _signed(values: np.ndarray) -> bool:
    """Whether zero lies well inside of the range, so that a diverging colormap fits."""
    return bool(values.min() < -0.05 * np.abs(values).max() and values.max() > 0)


def _color_limits(values: np.ndarray) -> dict[str, Any]:
    if _signed(values):
        bound = float(np.abs(values).max())
        return {"cmap": colormap(DIVERGING), "vmin": -bound, "vmax": bound}
    low, high = float(values.min()), float(values.max())
    return {"cmap": colormap(SEQUENTIAL), "vmin": low, "vmax": high}


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
    points, lines, inside, where = _map_points(problem, shown)
    exact, predicted = _reference(problem, points), np.asarray(entry.predict(points))
    if exact is None:
        figure, grid = _network_maps(problem, predicted, inside, lines)
    else:
        figure, grid = _error_maps(problem, exact, predicted, inside, lines)
    for axes in grid[-1]:
        axes.set_xlabel(f"${horizontal}$")
    for axes in grid[:, 0]:
        axes.set_ylabel(f"${vertical}$")
    figure.suptitle(f"{problem.title}{where}: {_error_text(entry)}", fontsize=10)
    return figure


def _network_maps(
    problem: Any, predicted: np.ndarray, inside: np.ndarray, lines: Lines
) -> tuple["Figure", Any]:
    """A map per component, side by side."""
    figure = new_figure(2.6, min(WIDTH, 3.4 * problem.m))
    grid = figure.subplots(1, problem.m, sharex=True, sharey=True, squeeze=False)
    for k, component in enumerate(problem.components):
        values = predicted[:, k]
        image = _map(grid[0, k], values, inside, lines, **_color_limits(values))
        grid[0, k].set_title(f"${component}$, network")
        colorbar(figure, image, [grid[0, k]])
    return figure, grid


def _error_maps(
    problem: Any, exact: np.ndarray, predicted: np.ndarray, inside: np.ndarray, lines: Lines
) -> tuple["Figure", Any]:
    """A row per component: reference, network and absolute error."""
    figure = new_figure(2.35 * problem.m + 0.15)
    rows = figure.subplots(problem.m, 3, sharex=True, sharey=True, squeeze=False)
    for k, component in enumerate(problem.components):
        both = np.concatenate([exact[:, k], predicted[:, k]])
        limits = _color_limits(both)
        left, middle, right = rows[k]
        for axes, values, whose in ((left, exact, "reference"), (middle, predicted, "network")):
            image = _map(axes, values[:, k], inside, lines, **limits)
            axes.set_title(f"${component}$, {whose}")
        colorbar(figure, image, [left, middle])
        error = np.abs(predicted - exact)[:, k]
        image = _map(
            right, _floored(error), inside, lines, cmap=colormap(ERROR), norm=_log_norm(error)
        )
        right.set_title("absolute error")
        colorbar(figure, image, [right])
    return figure, rows


def _in_words(values: Mapping[str, float]) -> str:
    """Where coordinates are, such as ", t = 1, a = … = h = 0.5"; ten of them fill a line."""
    told = []
    for text, many in itertools.groupby(values, lambda coord: f"{values[coord]:.4g}"):
        coords = list(many)
        if len(coords) > 2:
            told.append(rf", ${coords[0]} = \ldots = {coords[-1]} = {text}$")
        else:
            told += [f", ${coord} = {text}$" for coord in coords]
    return "".join(told)


def _shown(problem: Any) -> str:
    """The two coordinates of a map: the last ones that are no parameters."""
    plain = [c for c in problem.coords if c not in problem.domain.parameters]
    return "".join(plain[-2:]) if len(plain) > 1 else problem.coords[-2:]


def _map_points(
    problem: Any, shown: str
) -> tuple[Float[np.ndarray, "n d"], Lines, np.ndarray, str]:
    """Points of the domain on a grid over two coordinates, and in words where the others are.

    Returns:
        The points that lie in the domain, the grid's values of each of the two coordinates, which
        of the grid the points are, and the words.
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
    where = _in_words(values)
    inside = problem.domain.contains(grid)
    first, second = (np.unique(grid[:, problem.domain.axis(c)]) for c in shown)
    return grid[inside], (first, second), inside.reshape(MAP_POINTS, MAP_POINTS), where


def _map(axes: "Axes", values: np.ndarray, inside: np.ndarray, lines: Lines, **style: Any) -> Any:
    """A map of values at the points that are inside; the others are left white."""
    picture = np.full(inside.shape, np.nan)
    picture[inside] = values
    return draw_map(axes, picture, lines, **style)


def _error_text(entry: Drawable) -> str:
    if "relative_l2_error" not in entry.metrics:
        return f"no reference, loss {scientific(entry.metrics['loss'])}"
    return f"relative $L^2$ error {scientific(entry.metrics['relative_l2_error'])}"


def _error_floor(error: np.ndarray) -> float:
    top = float(error.max()) or 1.0
    return top * 10.0**-DECADES_OF_ERROR


def _floored(error: np.ndarray) -> np.ndarray:
    """`error`, with what is too small to be shown at the lower end of the scale."""
    return np.maximum(error, _error_floor(error))


def _log_norm(error: np.ndarray) -> Any:
    from matplotlib.colors import LogNorm

    return LogNorm(_error_floor(error), float(error.max()) or 1.0)
