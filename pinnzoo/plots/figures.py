"""Pictures of an entry, ready to print: which there are, and writing those of an entry.

Every function of `PLOTS` takes an entry and returns a matplotlib figure that belongs to no window
system. An entry's card has the few small pictures of `card_plots`; `PLOTS` has all.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pinnzoo.errors import EntryError, UnknownNameError, refuse_names
from pinnzoo.plots.comparison import comparison
from pinnzoo.plots.history import history
from pinnzoo.plots.kernel import drift, eigenvalues, kernel, ntk
from pinnzoo.plots.solution import solution
from pinnzoo.plots.style import Drawable, save
from pinnzoo.storage.metrics import known_block
from pinnzoo.storage.records import kernels_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FEW_COLORS = {"solution": 88, "kernel": 56, "ntk": 56}
"""Colors in the palette of an entry's pictures, which are to be small: two colormaps and text need
many, curves few."""


OF_CURVES = 16


DPI = 100
"""Pixels per inch of the pictures of an entry."""


Plot = Callable[[Drawable], "Figure"]


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
    """The plots of an entry's card: the solution, the training, and the kernel if it is there."""
    return ["solution", "history", *(["kernel"] if kernels_of(entry) is not None else [])]


def _has_kernels(entry: Drawable) -> bool:
    """Whether kernels are on record, in a version that is known here."""
    return known_block(entry.metrics, "ntk") is not None


def save_comparison(entries: Sequence[Drawable], folder: str | Path) -> list[Path]:
    """Write the picture of several entries as `<folder>/comparison.png`.

    Args:
        entries: What to draw.
        folder: Where to write; it is made if it does not exist.

    Returns:
        The file.

    Raises:
        EntryError: A name was given in the place of an entry.
    """
    refuse_names(entries, *entries)
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
        EntryError: A plot of kernels was asked for, and the entry has none; or a name was given
            in the place of the entry.
    """
    refuse_names(entry)
    names = check_names(names) or card_plots(entry)
    of_kernel = [name for name in names if name in _OF_KERNEL]
    if of_kernel and _has_kernels(entry):
        # Where they are elsewhere, this says so before anything is drawn.
        _ = entry.ntk
    elif of_kernel:
        raise EntryError(
            f"the plot {of_kernel[0]!r} of {entry.name} was asked for, which has no kernels on "
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
