"""Entries that came with the installed package, which has most of them without their records.

Imports no JAX.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pinnzoo.errors import AbsentRecordsError, EntryError
from pinnzoo.hub.remote import Pin, Remote, open_with_rest, read_registry
from pinnzoo.storage.folder import (
    MANIFEST,
    SAFETENSORS,
    SNAPSHOTS,
    UNCARRIED,
    EntryFolder,
    folder_path,
    read_bytes,
    record,
)

CARRIED = Path(__file__).resolve().parent.parent / "checkpoints"
"""Entries of an installed package."""

CHECKPOINTS_VARIABLE = "PINNZOO_CHECKPOINTS"
"""Environment variable that names a folder of entries, such as `checkpoints/` of a clone."""


def open_place(place: str | os.PathLike[str], **access: Any) -> EntryFolder:
    """The folder of an entry on this machine.

    An entry that came with the installed package may lack what is in `UNCARRIED`, which is
    fetched when it is read, if the registry pins this very entry.

    Args:
        place: The folder.
        **access: `token` and `local_files_only`, see `load`.

    Raises:
        EntryError: It is not the folder of an entry, or something else is missing or damaged.
    """
    folder = Path(os.path.abspath(folder_path(place)))
    # Snapshots every entry has, and without them nobody computes kernels.
    if folder.parent != CARRIED or (folder / SNAPSHOTS).is_dir():
        return EntryFolder.open(folder)
    pin = pin_of(folder)
    if pin is not None:
        remote = Remote(pin["repository"], pin["revision"], **access)
        return open_with_rest(folder, UNCARRIED, remote, pin["manifest"])

    def refuse(names: Iterable[str]) -> None:
        del names
        given = os.environ.get(CHECKPOINTS_VARIABLE)
        also = f" (it is {given!r}, where this entry is not)" if given else ""
        raise AbsentRecordsError(
            f"this installation carries {folder.name} without its kernels and snapshots and "
            f"without {SAFETENSORS}: set {CHECKPOINTS_VARIABLE} to the folder checkpoints/ of a "
            f"clone of the repository{also}, or give the folder of the entry there in place of its "
            "name."
        )

    return EntryFolder.open(folder, fetch=refuse, absent=UNCARRIED)


def pin_of(folder: Path) -> Pin | None:
    """Where the entry of a folder is published, byte for byte; None where it is not known to be."""
    try:
        pin = read_registry()["entries"].get(folder.name)
        sha256 = record(read_bytes(folder, MANIFEST))["sha256"]
    except EntryError:
        # Its network needs no registry.
        return None
    return pin if pin is not None and pin["manifest"] == sha256 else None
