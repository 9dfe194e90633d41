"""Finding entries by name: in the user's folders, in this repository or the package, on the Hub.

Imports no JAX until an entry is loaded.
"""

import fnmatch
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pinnzoo.errors import (
    DownloadError,
    EntryError,
    IntegrityError,
    UnknownNameError,
    require,
)
from pinnzoo.hub.carried import CHECKPOINTS_VARIABLE, open_place, pin_of
from pinnzoo.hub.remote import (
    PREFIXES,
    Remote,
    cache_folder,
    open_copy,
    open_remote,
    parse_address,
    read_registry,
    resolve,
)
from pinnzoo.recipes import entry_name_forms, is_entry_name, resolve_entry_name
from pinnzoo.registry import check_switches
from pinnzoo.storage.folder import (
    MANIFEST,
    EntryFolder,
    folder_path,
    has_manifest,
)

if TYPE_CHECKING:
    from pinnzoo.entry import Entry
    from pinnzoo.pdes import Problem
    from pinnzoo.recipes import Recipe
    from pinnzoo.storage.metrics import Metrics

PACKAGE = Path(__file__).resolve().parent

# Next to the package lies a folder of that name only in a checkout of the repository.
OWN = [
    home / "checkpoints"
    for home in (PACKAGE.parent, PACKAGE)
    if home == PACKAGE or (home / "pyproject.toml").is_file()
]
"""Folders of entries that came with the package."""


def search_folders() -> list[Path]:
    """Folders that hold entries, in the order in which a name is looked up in them."""
    return [*_given_folder(), *OWN, cache_folder()]


def _given_folder() -> list[Path]:
    """The folder that the environment names, if any.

    Raises:
        EntryError: There is none of that name.
    """
    given = os.environ.get(CHECKPOINTS_VARIABLE)
    if not given:
        return []
    folder = Path(os.path.abspath(folder_path(given)))
    if not folder.is_dir():
        raise EntryError(
            f"{CHECKPOINTS_VARIABLE}={given!r} is set, and there is no such folder: give one that "
            "holds entries, such as checkpoints/ of a clone of the repository, or unset it."
        )
    inner = folder / "checkpoints"
    if inner.is_dir() and not any(is_entry_name(item.name) for item in os.scandir(folder)):
        # That of the clone was given.
        return [inner]
    return [folder]


def list_entries(pattern: str = "*") -> list[str]:
    """Names of all entries, sorted: those on this machine and those published on the Hub.

    Args:
        pattern: Shell-style, such as "burgers*"; short forms of names match too.

    Raises:
        EntryError: The pattern is no text.

    Example:
        >>> list_entries("heat-mlp-a*")
        ['heat-mlp-adam']
    """
    require(pattern, str, "a pattern of names", "give text, such as 'burgers*'", EntryError)
    names = set(read_registry()["entries"])
    for folder in search_folders():
        try:
            found = [item.name for item in os.scandir(folder) if is_entry_name(item.name)]
        except OSError:
            continue
        names |= {name for name in found if _is_readable(folder / name)}
    return sorted(
        name
        for name in names
        if any(fnmatch.fnmatchcase(form, pattern) for form in entry_name_forms(name))
    )


def find(name_or_path: str | os.PathLike[str]) -> Path | None:
    """The folder of an entry that is on this machine, or None.

    Looked up, in this order: an existing folder, the entries in `$PINNZOO_CHECKPOINTS`, this
    repository's `checkpoints/`, the entries in the package, the cache.

    Args:
        name_or_path: Name, short form or folder of an entry.

    Raises:
        EntryError: A path that is not the folder of an entry, or that cannot be read.
    """
    try:
        text = os.fspath(name_or_path)
    except TypeError:
        raise EntryError(
            f"{name_or_path!r} was given as an entry: give its name, or the folder of one."
        ) from None
    if _is_path(name_or_path) or _is_readable(text):
        folder = folder_path(text)
        if not has_manifest(folder):
            raise EntryError(
                f"{text!r} is not the folder of an entry, there is no {MANIFEST} in it: give such "
                "a folder, one of the names of `pinnzoo list`, or hf-hub:organization/name for a "
                "repository on the Hub."
            )
        return folder
    name = resolve_entry_name(text)
    if is_entry_name(name):
        for place in search_folders():
            if has_manifest(place / name):
                return place / name
    return None


def _is_path(given: str | os.PathLike[str]) -> bool:
    """Whether something can only be meant as a path."""
    if not isinstance(given, str):
        return True
    return given.startswith(("~", ".")) or any(s in given for s in (os.sep, os.altsep) if s)


def _is_readable(folder: str | Path) -> bool:
    """Whether there is the folder of an entry that can be read."""
    try:
        return has_manifest(folder_path(folder))
    except EntryError:
        return False


def open_entry(
    name_or_path: str | os.PathLike[str],
    *,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> EntryFolder:
    """The folder of an entry with its manifest checked; reads no weights and imports no JAX.

    An entry that is not on this machine is brought from the Hub, its weights at once and the rest
    when it is read. So are the kernels and snapshots of the entries that an installation carries
    without them.

    Args:
        name_or_path: See `load`.
        token: See `load`.
        local_files_only: See `load`.

    Raises:
        EntryError: There is no such folder, or it is damaged or of another format.
        DownloadError: It cannot be brought from the Hub.
        UnknownNameError: There is no entry of that name.
    """
    check_switches(local_files_only=local_files_only)
    access = {"token": token, "local_files_only": local_files_only}
    given = name_or_path if isinstance(name_or_path, str) else ""
    if address := parse_address(given):
        return open_remote(resolve(*address, **access))
    place, expected = find(name_or_path), resolve_entry_name(given)
    if place is not None:
        folder = open_place(place, **access)
        named = is_entry_name(expected) and place.parent in search_folders()
    else:
        pins = read_registry()["entries"]
        if expected not in pins:
            raise UnknownNameError.of("entry", os.fspath(name_or_path), list_entries())
        pin = pins[expected]
        remote = Remote(pin["repository"], pin["revision"], **access)
        folder, named = open_remote(remote, pin["manifest"]), True
    if named and folder.manifest["entry"] != expected:
        raise IntegrityError(
            f"the folder {str(folder.path)!r} holds the entry {folder.manifest['entry']!r}, not "
            f"{expected!r}: its name must be that of the entry."
        )
    return folder


def download(
    name_or_path: str | os.PathLike[str],
    *,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path:
    """Download and check all files of an entry, so that it loads without a network.

    Args:
        name_or_path: See `load`.
        token: See `load`.
        local_files_only: See `load`.

    Returns:
        Its folder.

    Raises:
        PinnzooError: See `load`.

    Example:
        >>> (download("burgers-mlp-lm") / "model.safetensors").is_file()
        True
    """
    folder = open_entry(name_or_path, token=token, local_files_only=local_files_only)
    if folder.rest is not None and (pin := pin_of(folder.path)) is not None:
        remote = Remote(pin["repository"], pin["revision"], token, local_files_only)
        folder = open_copy(remote, pin["manifest"])
    folder.verify()
    return folder.path


def reference_of(entry: "Entry | EntryFolder | str | os.PathLike[str]") -> str:
    """The name, address or path by which `load` finds an entry again; a fine-tuned entry states it.

    Args:
        entry: An entry, its folder, or its name or address.

    Returns:
        Its name if it is in the zoo, "hf-hub:organization/name@commit" if it is from the Hub, else
        its folder: "./" and a path below the working folder, "~/" and a path below the home folder,
        or a path relative to the working folder. An absolute path would tell of this machine
        wherever the entry goes. An entry that was never saved is called by its name.

    Raises:
        DownloadError: It is an address on the Hub whose newest commit cannot be found out.

    Example:
        >>> reference_of(pinnzoo.load("heat-mlp-lm"))
        'heat-mlp-levenberg_marquardt'
    """
    if isinstance(entry, str) and (address := parse_address(entry)):
        remote = resolve(*address)
        return _address(remote.repository, remote.revision)
    if isinstance(entry, EntryFolder):
        folder, name = entry.path, entry.manifest["entry"]
    elif isinstance(entry, str | os.PathLike):
        found, name = find(entry), resolve_entry_name(os.fspath(entry))
        folder = found
    else:
        folder, name = entry.folder, entry.name
    if folder is None:
        return name
    place = Path(os.path.abspath(folder))
    if place.parent in map(Path.absolute, search_folders()):
        return place.name
    if (source := _from_hub(place)) is not None:
        pin = read_registry()["entries"].get(name)
        pinned = pin is not None and (pin["repository"], pin["revision"]) == source
        return name if pinned else _address(*source)
    for start, sign in ((Path.cwd(), "."), (Path.home(), "~")):
        if start in place.parents:
            return f"{sign}/{place.relative_to(start).as_posix()}"
    return Path(os.path.relpath(place)).as_posix()


def _address(repository: str, commit: str) -> str:
    return f"{PREFIXES[0]}{repository}@{commit}"


def is_copy_of_the_hub(folder: Path) -> bool:
    """Whether a folder is a commit of the Hub, which stands for what was published there."""
    return _from_hub(Path(os.path.abspath(folder))) is not None


def _from_hub(folder: Path) -> tuple[str, str] | None:
    """Repository and commit of a folder in this package's cache or in that of the Hub's client."""
    commit, repository = folder.name, folder.parent
    if folder.parent.parent != (cache_folder() / "hub").absolute():
        repository = folder.parent.parent
        if folder.parent.name != "snapshots" or not repository.name.startswith("models--"):
            return None
    name = repository.name.removeprefix("models--").replace("--", "/", 1)
    try:
        known = parse_address(_address(name, commit))
    except DownloadError:
        return None
    return known


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
    name_or_path: str | os.PathLike[str],
    *,
    verify: Literal["read", "all"] = "read",
    token: str | bool | None = None,
    local_files_only: bool = False,
    problem: "Problem | None" = None,
    model: Any = None,
) -> "Entry":
    """Load an entry.

    Args:
        name_or_path: A name of `list_entries()`, a short form such as "burgers-mlp-lm", a folder
            that `entry.save` wrote, or "hf-hub:organization/name", with "@revision" if wanted, for
            any entry on the Hugging Face Hub.
        verify: "read" checks every file before it is read, and reads history, kernels and
            snapshots when they are first touched; "all" reads and checks everything now.
        token: Access token for private repositories; by default the one that is stored, if any.
        local_files_only: Ask no network.
        problem: The problem, where its name is not registered here.
        model: A network of the entry's structure, where its architecture is not registered here.

    Raises:
        UnknownNameError: There is no entry, problem, or architecture of that name.
        RecipeError: The problem or the network is none.
        DownloadError: The entry cannot be brought from the Hub.
        PrecisionError: A float64 entry while JAX has that switched off.
        IntegrityError: The entry is damaged.
        FormatVersionError: The entry is of another format.

    Example:
        >>> entry = load("heat-mlp-lm")
        >>> entry.name
        'heat-mlp-levenberg_marquardt'
    """
    if problem is not None or model is not None:
        from pinnzoo.storage.blueprint import require_parts

        # Before anything is downloaded.
        require_parts(problem, model)
    folder = open_entry(name_or_path, token=token, local_files_only=local_files_only)
    from pinnzoo.entry import Entry

    return Entry.read(folder, verify=verify, problem=problem, model=model)
