"""What a list shows of every entry in a folder, in one file. Imports no JAX.

Reading and checking three files of each of hundreds of entries takes longer than anything else that
`pinnzoo list` does. The index holds a row for each, with the SHA-256 of the bytes that it was made
of: where these are others by now, or there is no index, the files are read as for any entry.
Weights are not looked at; `load` checks them.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from pinnzoo.errors import EntryError
from pinnzoo.storage.folder import CONFIG, MANIFEST, METRICS, read_bytes

INDEX = "index.json"
"""Beside the folders of the entries; `pinnzoo cards` writes it."""

MAX_INDEX = 1 << 24


class Indexed(TypedDict):
    """One entry.

    Attributes:
        sha256: Of manifest, recipe and figures, see `digest`.
        row: What is shown.
    """

    sha256: str
    row: dict[str, Any]


def digest(folder: Path) -> str:
    """SHA-256 of the bytes that a row is made of: manifest, recipe and figures, and their sizes.

    Raises:
        EntryError: One of them is not there, or cannot be read.
    """
    found = hashlib.sha256()
    for name in (MANIFEST, CONFIG, METRICS):
        content = read_bytes(folder, name)
        found.update(len(content).to_bytes(8, "little"))
        found.update(content)
    return found.hexdigest()


@functools.cache
def read_index(checkpoints: Path) -> Mapping[str, Indexed]:
    """The index of a folder of entries by their names; empty where there is none, or no sound one.

    Nothing rests on it: without it the entries themselves are read.
    """
    try:
        with (checkpoints / INDEX).open("rb") as file:
            content = file.read(MAX_INDEX + 1)
        if len(content) > MAX_INDEX:
            return {}
        return msgspec.json.decode(content, type=dict[str, Indexed])
    except (OSError, msgspec.MsgspecError):
        return {}


def indexed_row(folder: Path) -> dict[str, Any] | None:
    """The row of an entry, or None where the index does not know these bytes."""
    known = read_index(folder.parent).get(folder.name)
    try:
        return known["row"] if known is not None and known["sha256"] == digest(folder) else None
    except EntryError:
        return None


def index_json(rows: Mapping[Path, Mapping[str, Any]]) -> str:
    """The file, of one line for each entry, by the entries' folders.

    Raises:
        EntryError: An entry cannot be read.
    """
    indexed = {
        folder.name: Indexed(sha256=digest(folder), row={**row}) for folder, row in rows.items()
    }
    lines = [
        f"{json.dumps(name)}: {json.dumps(entry, allow_nan=False)}"
        for name, entry in indexed.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"
