"""How every picture looks, the parts that they share, and writing them to files.

matplotlib is imported when the first picture is made.
"""

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from pinnzoo.cards.words import title
from pinnzoo.errors import refuse_names
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


SHADES = 32
"""Colors of a map: enough to follow a field, few enough that two maps and text share a palette."""


MOST_COLORS = 256
EXACT_OF_CURVES, EXACT_OF_MAPS = 75, 10
"""Percent of a picture's palette that are colors of the picture itself."""

FEWEST_OF_MAPS = 40
"""Colors of the palette of a picture with colormaps, at least."""

SEEN = 4
"""Pixels of a color that is worth one of the palette."""


Source = TypeVar("Source")


def styled(plot: Callable[[Source], "Figure"]) -> Callable[[Source], "Figure"]:
    """Make a figure with `STYLE`, whatever the user's own settings are."""

    @functools.wraps(plot)
    def styled(source: Source) -> "Figure":
        import matplotlib as mpl

        refuse_names(source)
        with mpl.rc_context(_settings()):
            figure = plot(source)
            for axes in figure.axes:
                _unscale(axes)
            return figure

    return styled


def _unscale(axes: "Axes") -> None:
    """Make an axis linear whose lines have no value above zero: matplotlib would draw nothing.

    Such are the eigenvalues of a network that cannot move its residual.
    """
    lines = [np.asarray(line.get_ydata(), float) for line in axes.get_lines()]
    if lines and axes.get_yscale() == "log" and not any((each > 0).any() for each in lines):
        axes.set_yscale("linear")


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


def block_label(name: str) -> str:
    """What a block of the kernel is called: "all", or the name of a term."""
    return "whole kernel" if name == "all" else title(name)


def colormap(name: str, shades: int = SHADES) -> Any:
    """A color map of matplotlib with few shades, so that pictures are small files."""
    import matplotlib as mpl

    return mpl.colormaps[name].resampled(shades)


def colorbar(figure: "Figure", image: Any, axes: Sequence["Axes"], **style: Any) -> Any:
    """A narrow color bar to the right of some axes."""
    bar = figure.colorbar(image, ax=axes, aspect=22, pad=0.02, **style)
    bar.outline.set_linewidth(0.6)  # pyright: ignore
    bar.ax.minorticks_off()
    return bar


def edges(low: float, high: float, count: int) -> tuple[float, float]:
    """Where a picture of `count` cells begins and ends whose centres go from low to high."""
    half = (high - low) / max(2 * (count - 1), 1)
    return low - half, high + half


Lines = tuple[np.ndarray, np.ndarray]
"""Where the points of a map lie along each coordinate."""


def draw_map(axes: "Axes", picture: np.ndarray, lines: Lines, **style: Any) -> Any:
    """A map of values on a grid, first coordinate first; what is NaN is left white."""
    logarithmic = [not np.allclose(np.diff(line), line[1] - line[0]) for line in lines]
    if any(logarithmic):
        # A parameter that is spread evenly in its logarithm; an image knows even spaces alone.
        image = axes.pcolormesh(*lines, picture.T, shading="nearest", **style)
        for set_scale, log in zip((axes.set_xscale, axes.set_yscale), logarithmic, strict=True):
            set_scale("log" if log else "linear")
    else:
        extent: Any = tuple(end for line in lines for end in edges(line[0], line[-1], len(line)))
        image = axes.imshow(picture.T, origin="lower", extent=extent, aspect="auto", **style)
    axes.set_xlim(lines[0][0], lines[0][-1])
    axes.set_ylim(lines[1][0], lines[1][-1])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    return image


def scientific(value: float, digits: int = 1) -> str:
    """`1.2e-5` as mathematics."""
    if not 0 < abs(value) < np.inf or 0.01 <= abs(value) < 100:
        return f"{value:.{digits + 1}g}"
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"


def positive(values: np.ndarray) -> np.ndarray:
    """`values` with gaps where a logarithmic axis has no place for them."""
    return np.where(values > 0, values, np.nan)


def note(axes: "Axes", text: str, place: tuple[float, float] = (0.5, 0.5), **style: Any) -> None:
    """Words on axes about what they do not show."""
    style = {"ha": "center", "va": "center", "fontsize": 8.5} | style
    axes.text(*place, text, transform=axes.transAxes, **style)


def widen(axes: "Axes", values: np.ndarray) -> None:
    """Limits around the one value that a logarithmic axis shows, if it is no more than that.

    matplotlib finds none of its own, and warns, where that is a power of ten.
    """
    seen = np.unique(values[values > 0])
    if len(seen) == 1:
        axes.set_ylim(seen[0] / 5, seen[0] * 5)


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
    with Image.open(buffer) as opened:
        image = opened.convert("RGB")
    palette = Image.new("P", (1, 1))
    palette.putpalette(bytes(_palette(image, colors)))
    reduced = image.quantize(palette=palette, dither=Image.Dither.NONE)
    reduced.save(path, format="PNG", optimize=True)
    return path


def _rgb(color: str) -> tuple[int, int, int]:
    """`#0072B2` as red, green and blue."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def _palette(image: Any, colors: int) -> list[int]:
    """Red, green and blue of the colors to which a picture is reduced.

    A share are the colors that occur most often, exactly: those of the paper and of the curves,
    which must not run into each other. The others stand for all shades that there are, a shade of
    a small area like one of a large area, so that no colormap is lost beside a larger one.
    """
    from PIL import Image

    counts = sorted(image.getcolors(maxcolors=image.width * image.height), reverse=True)
    share = EXACT_OF_CURVES if colors < FEWEST_OF_MAPS else EXACT_OF_MAPS
    exact = [color for _, color in counts[: colors * share // 100]]
    # Curves that are points alone have few pixels, and would all be grey without their colors.
    there = {color for _, color in counts}
    known = map(_rgb, COLORS if colors < FEWEST_OF_MAPS else ())
    rare = [color for color in known if color in there and color not in exact]
    exact = exact[: len(exact) - len(rare)] + rare if len(rare) < len(exact) else exact
    shades = [color for count, color in counts if count >= SEEN]
    each: Any = Image.new("RGB", (len(shades), 1))
    each.putdata(shades)
    smooth = each.quantize(colors - len(exact), kmeans=2).getpalette()
    return [*(value for color in exact for value in color), *smooth][: 3 * colors]
