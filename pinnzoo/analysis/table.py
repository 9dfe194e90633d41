"""The figures of all entries as one table, for statistics of one's own."""

import importlib
import warnings
from collections.abc import Mapping
from typing import Any

from pinnzoo.errors import PinnzooError, UnknownNameError
from pinnzoo.recipes import Recipe
from pinnzoo.zoo import find, list_entries, open_entry

LIBRARIES = ("pandas", "polars")


def frame(pattern: str = "*", library: str | None = None) -> Any:
    """All figures of all entries on this machine, one row per entry.

    Columns are the entry's name, its problem, architecture and optimizers, and every number and
    text of its `metrics.json`, with names such as "ntk.drift.all.spectral". Lists, such as
    eigenvalues, have a column per place. What an entry does not have is None.

    Args:
        pattern: Shell-style, such as "burgers*".
        library: "pandas" or "polars" for a data frame of theirs; by default a dictionary of
            columns, which both take.

    Raises:
        UnknownNameError: There is no such library here.
        PinnzooError: The library is not installed.

    Example:
        >>> columns = frame("heat-mlp-*")
        >>> sorted(columns["architecture"]) == ["mlp"] * len(columns["name"])
        True
    """
    if library is not None and library not in LIBRARIES:
        raise UnknownNameError.of("library", library, LIBRARIES)
    rows = []
    for name in list_entries(pattern):
        if find(name) is None:
            continue
        try:
            folder = open_entry(name)
            rows.append(_row(folder.recipe(), folder.metrics()))
        except PinnzooError as error:
            # One damaged folder must not hide all others.
            warnings.warn(str(error), stacklevel=2)
    names = list(dict.fromkeys(key for row in rows for key in row))
    columns = {key: [row.get(key) for row in rows] for key in names}
    if library is None:
        return columns
    try:
        module = importlib.import_module(library)
    except ImportError as error:
        raise PinnzooError(
            f"a table of {library} was asked for, which is not installed: install it, or leave "
            "library= out for a dictionary of columns."
        ) from error
    return module.DataFrame(columns)


def _row(recipe: Recipe, metrics: Mapping[str, Any]) -> dict[str, Any]:
    row = {
        "name": recipe.name,
        "problem": recipe.problem,
        "architecture": recipe.architecture,
        "optimizers": " ".join(phase.optimizer for phase in recipe.phases),
        "seed": recipe.seed,
    }
    return row | flat(metrics)


def flat(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries and lists as one dictionary, with the way to each value as its key.

    Example:
        >>> flat({"a": {"b": [1, 2]}, "c": "d"})
        {'a.b.0': 1, 'a.b.1': 2, 'c': 'd'}
    """
    found: dict[str, Any] = {}
    for key, value in block.items():
        if isinstance(value, list | tuple):
            value = {str(k): each for k, each in enumerate(value)}
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
