"""The matrix of problem, architecture and optimizer, as a page and a screen show it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pinnzoo.cards.words import reading_order

ORDER = ("adam", "soap", "lbfgs", "ssbroyden", "levenberg_marquardt")
"""Columns from first to second order; other optimizers follow by name."""

FIRST = "mlp"
"""The network that every problem has; its row is the first of a problem."""


class Cell(NamedTuple):
    """An entry.

    Attributes:
        problem: Title of its problem.
        architecture: Name of its architecture.
        optimizer: Its last optimizer.
        name: Its name.
        error: Its relative L2 error, or None.
    """

    problem: str
    architecture: str
    optimizer: str
    name: str
    error: float | None


@dataclass(frozen=True)
class Row:
    """A problem with an architecture.

    Attributes:
        problem: Title of the problem.
        architecture: Name of the architecture.
        cells: The most accurate entry by optimizer.
        best: Name of the most accurate entry of the problem, over all architectures, or None.
        first: Whether the rows of the problem begin here.
    """

    problem: str
    architecture: str
    cells: Mapping[str, Cell]
    best: str | None
    first: bool


def columns_of(cells: Iterable[Cell]) -> list[str]:
    """The optimizers that are there, in the order of the columns."""
    present = {cell.optimizer for cell in cells}
    return [name for name in ORDER if name in present] + sorted(present.difference(ORDER))


def rows_of(cells: Sequence[Cell]) -> list[Row]:
    """The rows, problems in reading order; of entries with one place, the most accurate.

    Example:
        >>> slow = Cell("Heat", "mlp", "adam", "heat-mlp-adam", 1e-3)
        >>> fast = Cell("Heat", "mlp", "soap", "heat-mlp-soap", 1e-5)
        >>> rows = rows_of([slow, fast])
        >>> len(rows), rows[0].best
        (1, 'heat-mlp-soap')
    """
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    best: dict[str, Cell] = {}
    for cell in sorted(cells, key=_accuracy):
        rows.setdefault((cell.problem, cell.architecture), {}).setdefault(cell.optimizer, cell)
        if cell.error is not None:
            best.setdefault(cell.problem, cell)
    keys = sorted(rows, key=lambda key: (reading_order(key[0]), key[1] != FIRST, key[1]))
    return [
        Row(
            problem,
            architecture,
            rows[problem, architecture],
            best[problem].name if problem in best else None,
            first=k == 0 or keys[k - 1][0] != problem,
        )
        for k, (problem, architecture) in enumerate(keys)
    ]


def _accuracy(cell: Cell) -> tuple[bool, float, str]:
    return cell.error is None, cell.error or 0.0, cell.name
