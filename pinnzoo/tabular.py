"""Files with named columns of numbers: text, archives of NumPy, and files of MATLAB."""

import csv
import functools
import io
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pinnzoo.errors import PointsError, shortened

SEPARATORS = (",", ";", "\t")
"""What may stand between the columns of a text file: the first of these that its heading has."""

COMMENT = re.compile(r"""(^|\s)#[^"']*$""")
"""The rest of a line, which is not read; within a cell, as in `#5`, the sign is one of its own."""

Column = Callable[[bool], Float[np.ndarray, "..."]]
"""Gives the numbers of a column, and NaN for those that are lacking where it is called with True;
raises PointsError where they are none."""


def read_columns(path: Path) -> dict[str, Column]:
    """The columns of a file by name, each of which is looked at when it is called.

    What is not asked for may be anything, such as the names of sensors.

    Args:
        path: A text file whose first line has the names, separated by commas, semicolons or tabs,
            an ".npz" file, or a ".mat" file of MATLAB up to version 7.

    Raises:
        PointsError: The file cannot be read, or has another form.
    """
    readers = {".csv": _text, ".npz": _archive, ".mat": _matlab}
    if path.suffix.lower() not in readers:
        raise PointsError(
            f"the file {str(path)!r} was given: observations are read from {', '.join(readers)}."
        )
    try:
        return readers[path.suffix.lower()](path.read_bytes())
    except Exception as error:
        told = getattr(error, "strerror", None) or shortened(error)
        raise PointsError(
            f"observations cannot be read from {str(path)!r} ({told.rstrip('.')}): give a table of "
            "numbers whose first line has their names, an .npz file, or a .mat file up to version "
            "7."
        ) from error


def real_numbers(given: Any, what: str, gaps: bool = False) -> np.ndarray:
    """An array of finite real numbers in float64.

    Args:
        given: What it is made of.
        what: What the numbers are, for the message.
        gaps: Whether a number may be lacking, which is NaN here and may be masked in what is given.

    Raises:
        PointsError: There is something else among them.
    """
    try:
        masked = np.ma.is_masked(given)
        array = np.asarray(given)
        # Of dates and durations the number depends on the unit in which they are counted.
        if np.iscomplexobj(array) or (masked and not gaps) or array.dtype.kind in "mM":
            raise TypeError
        array = array.astype(np.float64)
        if masked:
            array[np.ma.getmaskarray(given)] = np.nan
    except (TypeError, ValueError):
        raise PointsError(
            f"observations were given whose {what} are not all real numbers: give these alone."
        ) from None
    wrong = np.isinf(array) if gaps else ~np.isfinite(array)
    if wrong.any():
        raise PointsError(
            f"{int(wrong.sum())} of {array.size} {what} of the observations are "
            f"{'' if gaps else 'NaN or '}infinite: leave these measurements out."
        )
    return array


def _archive(content: bytes) -> dict[str, Column]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: functools.partial(_of_archive, content, name) for name in file.files}


def _of_archive(content: bytes, name: str, gaps: bool) -> np.ndarray:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        try:
            found = file[name]
        except ValueError:
            raise PointsError(
                f"the array {name!r} of an .npz file holds objects: save numbers."
            ) from None
    return real_numbers(found, name, gaps)


def _matlab(content: bytes) -> dict[str, Column]:
    from scipy.io import loadmat

    found = loadmat(io.BytesIO(content))
    return {
        name: functools.partial(_of_matlab, name, value)
        for name, value in found.items()
        if not name.startswith("__")
    }


def _of_matlab(name: str, value: Any, gaps: bool) -> np.ndarray:
    kind = np.asarray(value).dtype
    if kind.names or kind.kind == "O":
        raise PointsError(
            f"the variable {name!r} of a .mat file is a struct, a cell array or sparse: save full "
            "arrays of numbers, each under a name of its own."
        )
    return real_numbers(value, name, gaps)


def _text(content: bytes) -> dict[str, Column]:
    """Columns of a text file, of which empty lines are left out."""
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not in UTF-8: save it as text in UTF-8") from None
    lines = [(k, line) for k, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise ValueError("it is empty")
    remarks = list(itertools.takewhile(lambda each: each[1].lstrip().startswith("#"), lines))
    lines = lines[len(remarks) :]
    if remarks and (not lines or _begins_with_a_number(lines[0][1])):
        # NumPy writes the names as a comment, the last one.
        heading = remarks[-1][1].lstrip("# ")
    else:
        heading, lines = COMMENT.sub("", lines[0][1]), lines[1:]
    cut = ((k, COMMENT.sub("", line)) for k, line in lines)
    lines = [(k, line) for k, line in cut if line.strip()]
    bare = re.sub(r'"[^"]*"', "", heading)
    separator = next((s for s in SEPARATORS if s in bare), None)
    if separator is None and len(bare.split()) > 1:
        raise ValueError("its columns are separated by blanks: separate them by commas")
    names = [name.strip() for name in _cells(heading, separator or ",")]
    numbered = [(k, _cells(line, separator or ",")) for k, line in lines]
    while (
        names and not names[-1] and not any("".join(row[len(names) - 1 :]) for _, row in numbered)
    ):
        # Spreadsheets write columns that were once in use.
        names.pop()
        numbered = [(k, row[: len(names)]) for k, row in numbered]
    if doubled := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"the name {doubled[0]!r} stands above more than one column")
    if not numbered:
        raise ValueError("it has a first line and no numbers")
    for k, row in numbered:
        if len(row) != len(names):
            raise ValueError(f"line {k} has {len(row)} columns, and the first line {len(names)}")
    return {
        name: functools.partial(_of_text, name, [(k, row[j].strip()) for k, row in numbered])
        for j, name in enumerate(names)
    }


def _begins_with_a_number(line: str) -> bool:
    try:
        float(re.split(r"[,;\t\s]", line.strip(), maxsplit=1)[0])
    except ValueError:
        return False
    return True


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True))


def _of_text(name: str, cells: list[tuple[int, str]], gaps: bool) -> np.ndarray:
    """The numbers of a column from its cells, each with its line."""
    numbers = np.full(len(cells), np.nan)
    for j, (k, cell) in enumerate(cells):
        if gaps and not cell:
            continue
        try:
            numbers[j] = float(cell if "_" not in cell else "no number")
        except ValueError:
            given = repr(cell) if cell else "nothing"
            comma = ", with a point for decimals" if "," in cell else ""
            raise PointsError(
                f"line {k} of the file has {given} in the column {name!r}: give a number{comma}, "
                "or leave the line out."
            ) from None
    return real_numbers(numbers, f"numbers under {name!r}", gaps)
