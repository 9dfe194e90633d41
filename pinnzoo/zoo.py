"""Finding entries by name: in this repository, in the package, in the user's cache.

Imports no JAX until an entry is loaded.
"""

import fnmatch
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pinnzoo.errors import EntryError, IntegrityError, UnknownNameError
from pinnzoo.folder import MANIFEST, EntryFolder
from pinnzoo.recipes import entry_name_forms, is_entry_name, resolve_entry_name

if TYPE_CHECKING:
    from pinnzoo.entry import Entry
    from pinnzoo.metrics import Metrics
    from pinnzoo.recipes import Recipe

CACHE_VARIABLE = "PINNZOO_CACHE"
"""Environment variable that names the cache folder."""


def cache_folder() -> Path:
    """Where downloaded entries are kept: `$PINNZOO_CACHE`, or `~/.cache/pinnzoo`."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given).expanduser() if given else Path("~/.cache/pinnzoo").expanduser()


def search_folders() -> list[Path]:
    """Folders that hold entries, in the order in which a name is looked up in them."""
    package = Path(__file__).resolve().parent
    folders = [package / "checkpoints", cache_folder()]
    # Next to the package lies a folder of that name only in a checkout of the repository.
    if (package.parent / "pyproject.toml").is_file():
        folders.insert(0, package.parent / "checkpoints")
    return folders


def list_entries(pattern: str = "*") -> list[str]:
    """Names of all entries that are on this machine, sorted.

    Args:
        pattern: Shell-style, such as "burgers*"; short forms of names match too.
    """
    names = set()
    for folder in search_folders():
        try:
            found = [item.name for item in os.scandir(folder) if is_entry_name(item.name)]
        except OSError:
            continue
        names |= {name for name in found if (folder / name / MANIFEST).is_file()}
    return sorted(
        name
        for name in names
        if any(fnmatch.fnmatchcase(form, pattern) for form in entry_name_forms(name))
    )


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of an entry.

    Looked up, in this order: an existing folder, this repository's `checkpoints/`, the entries in
    the package, the cache, the Hub.

    Args:
        name_or_path: Name, short form or folder of an entry.

    Raises:
        EntryError: A path that is not the folder of an entry.
        UnknownNameError: There is no entry of that name.
    """
    text = os.fspath(name_or_path)
    folder = Path(text).expanduser()
    if _is_path(name_or_path) or _has_manifest(folder):
        if not _has_manifest(folder):
            raise EntryError(
                f"{text!r} is not the folder of an entry, there is no {MANIFEST} in it: give such "
                "a folder, or one of the names of `pinnzoo list`."
            )
        return folder
    name = resolve_entry_name(text)
    if is_entry_name(name):
        for place in search_folders():
            if _has_manifest(place / name):
                return place / name
    return _download(text)


def _is_path(given: str | os.PathLike[str]) -> bool:
    """Whether something can only be meant as a path."""
    if not isinstance(given, str):
        return True
    return given.startswith(("~", ".")) or any(s in given for s in (os.sep, os.altsep) if s)


def _has_manifest(folder: Path) -> bool:
    try:
        return (folder / MANIFEST).is_file()
    except (OSError, ValueError):
        return False


def _download(name: str) -> Path:
    """The folder of an entry that is on the Hub, brought into the cache.

    There is no registry of published entries yet, so that no name is known here.
    """
    raise UnknownNameError.of("entry", name, list_entries())


def open_entry(name_or_path: str | os.PathLike[str]) -> EntryFolder:
    """The folder of an entry with its manifest checked; reads no weights and imports no JAX.

    Raises:
        EntryError: There is no such folder, or it is damaged or of another format.
        UnknownNameError: There is no entry of that name.
    """
    folder = EntryFolder.open(find(name_or_path))
    by_name = isinstance(name_or_path, str) and is_entry_name(resolve_entry_name(name_or_path))
    expected = folder.path.name
    if by_name and folder.path.parent in search_folders() and folder.manifest["entry"] != expected:
        raise IntegrityError(
            f"the folder {str(folder.path)!r} holds the entry {folder.manifest['entry']!r}: "
            "its name must be that of the entry."
        )
    return folder


def read_recipe(name_or_path: str | os.PathLike[str]) -> "Recipe":
    """The recipe of an entry, without loading it.

    Raises:
        PinnzooError: See `load`.
    """
    return open_entry(name_or_path).recipe()


def read_metrics(name_or_path: str | os.PathLike[str]) -> "Metrics":
    """The figures of an entry, without loading it.

    Raises:
        PinnzooError: See `load`.
    """
    return open_entry(name_or_path).metrics()


def load(
    name_or_path: str | os.PathLike[str], *, verify: Literal["read", "all"] = "read"
) -> "Entry":
    """Load an entry.

    Args:
        name_or_path: A name of `list_entries()`, a short form such as "burgers-mlp-lm", or a
            folder that `entry.save` wrote.
        verify: "read" checks every file before it is read, and reads history, kernels and
            snapshots when they are first touched; "all" reads and checks everything now.

    Raises:
        UnknownNameError: There is no entry, problem, or architecture of that name.
        PrecisionError: A float64 entry while JAX has that switched off.
        IntegrityError: The entry is damaged.
        FormatVersionError: The entry is of another format.
    """
    folder = open_entry(name_or_path)
    from pinnzoo.entry import Entry

    return Entry.read(folder, verify=verify)
