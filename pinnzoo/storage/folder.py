"""An entry's folder: what is in it, and reading it so that no changed byte goes unnoticed.

Imports no JAX. Every file is compared with the size and the SHA-256 that the manifest states
before anything in it is interpreted, and nothing is ever unpickled or executed.
"""

import errno
import hashlib
import itertools
import json
import os
import re
import stat
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from pinnzoo import _json
from pinnzoo.errors import EntryError, FormatVersionError, IntegrityError, shortened
from pinnzoo.recipes import Recipe
from pinnzoo.storage.arrays import unpack
from pinnzoo.storage.metrics import Metrics
from pinnzoo.storage.metrics import from_json as metrics_from_json

if TYPE_CHECKING:
    import numpy as np

FOLDER_FORMAT = 2
"""Version of the layout that is written; all from 1 to this one are read.

Format 2 adds `providers` and `arrays` to the manifest, and an entry may lack kernels.
"""

MANIFEST, CONFIG, METRICS = "manifest.json", "config.json", "metrics.json"
GOLDEN, HISTORY, NTK = "golden.npz", "history.npz", "ntk.npz"
SAFETENSORS = "model.safetensors"
PARAMS, SNAPSHOTS = "params", "snapshots"

OBSERVATIONS = "observations.npz"

FILES = (CONFIG, METRICS, GOLDEN, HISTORY, NTK, SAFETENSORS)
OPTIONAL = (NTK,)
"""What an entry may lack, since it can be computed from the rest."""

GIVEN = (OBSERVATIONS,)
"""What an entry has where it was trained on measurements."""

TREES = (PARAMS, SNAPSHOTS)

UNCARRIED = (NTK, f"{SNAPSHOTS}/", SAFETENSORS)
"""Files and folders that a network is read without: a wheel carries them for a few entries.

Kernels and snapshots are for analysis; SAFETENSORS has the numbers of PARAMS once more."""

CARD, PLOTS = "README.md", "plots"
"""Made from the entry afterwards; neither is part of it, and neither is read."""

_JUNK = re.compile(r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|\.nfs[0-9a-f]+", re.IGNORECASE)
"""What file managers and network disks put into any folder."""

MAX_JSON = 1 << 20
MAX_FILE = 1 << 30
MAX_FILES = 1000
"""Bytes of one JSON file and of any file; number of files."""

MIN_PLACE = 6
"""Letters of a path that is looked for in files which are no text."""

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_HASH = re.compile(r"[0-9a-f]{64}")


class FileRecord(TypedDict):
    """One file in a manifest."""

    sha256: str
    size: int


class Manifest(TypedDict):
    """What `manifest.json` holds.

    Attributes:
        format: Version of the folder's layout.
        entry: Name of the entry.
        dtype: Precision of the parameters.
        command: How the entry was made.
        versions: Python, pinnzoo and the libraries that it was made with.
        files: Every other file of the entry, by its path in the folder.
        providers: Who provides the problem and the architecture, where that is not the package.
        arrays: SHA-256 of the arrays in each of `TREES`. Orbax names its files anew whenever it
            writes them, so that equal arrays are in files of other names.
    """

    format: int
    entry: str
    dtype: str
    command: str
    versions: dict[str, str]
    files: dict[str, FileRecord]
    providers: NotRequired[dict[str, str]]
    arrays: NotRequired[dict[str, str]]


def record(content: bytes) -> FileRecord:
    """Hash and size of a file's content."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def manifest_json(manifest: Manifest) -> str:
    """Indented JSON."""
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


Fetch = Callable[[Iterable[str]], None]
"""Puts files of the manifest into the folder, by their paths."""


@dataclass(frozen=True)
class EntryFolder:
    """A folder whose manifest is sound, with all files that it lists or a way to bring them.

    Other files may lie beside them, such as pictures, notes, or what file managers and editors
    leave behind. They are no part of the entry and are never read.

    Attributes:
        path: The folder.
        manifest: The content of its `manifest.json`.
        fetch: Brings files that are not there yet, or damaged; None if all must be there.
        absent: Beginnings of the paths that `fetch` brings.
        rest: The folder into which it brings them.
    """

    path: Path
    manifest: Manifest
    fetch: Fetch | None = field(default=None, repr=False, compare=False)
    absent: tuple[str, ...] = field(default=("",), repr=False, compare=False)
    rest: Path | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        fetch: Fetch | None = None,
        absent: tuple[str, ...] = ("",),
        rest: Path | None = None,
    ) -> "EntryFolder":
        """Read the manifest, and look whether its files are there; no other file is read.

        Args:
            path: The folder.
            fetch: How to bring files of the manifest that are missing, once they are read.
            absent: Beginnings of the paths that it brings; by default of all of them.
            rest: The folder into which it brings them; by default the same one.

        Raises:
            EntryError: There is no such folder, it is not one of an entry, or it cannot be read.
            FormatVersionError: Written in another format.
            IntegrityError: The manifest is damaged, or a file is missing or of another size.
        """
        # Parts are read later, when the working folder may be another one.
        folder = Path(os.path.abspath(folder_path(path)))
        if not stat.S_ISDIR(_mode(folder)):
            raise EntryError(f"there is no folder {str(folder)!r}: give the folder of an entry.")
        manifest = _read_manifest(folder)
        for name, stated in sorted(manifest["files"].items()):
            if fetch is not None and name.startswith(absent):
                continue
            size = _size(folder, name)
            if size is None:
                raise _damaged(folder, name, "is missing")
            if size != stated["size"]:
                content = _read(folder, name, 2 * stated["size"] + MAX_JSON)
                raise _changed(folder, name, content, stated)
        return cls(folder, manifest, fetch, absent, rest)

    def require(self, names: Iterable[str]) -> None:
        """Bring those files that are not there; nothing without `fetch`.

        Raises:
            DownloadError: One cannot be had.
        """
        if self.fetch is not None:
            missing = [
                name
                for name in names
                if name.startswith(self.absent) and not (self._home(name) / name).is_file()
            ]
            if missing:
                self.fetch(missing)

    def _home(self, name: str) -> Path:
        """The folder that holds a file, or into which it is brought."""
        if self.rest is None or (self.path / name).is_file():
            return self.path
        return self.rest

    def read(self, name: str) -> bytes:
        """The content of a file of the manifest.

        What is checked are the bytes that are returned, whatever the path leads to and whoever
        changes the file meanwhile.

        Raises:
            IntegrityError: It is not what the manifest says.
            EntryError: The operating system does not let it be read, or the folder holds another
                entry by now, or none.
        """
        try:
            return self._read(name)
        except IntegrityError:
            if self._was_replaced():
                raise EntryError(
                    f"the folder {str(self.path)!r} was moved, removed or written anew since this "
                    f"entry was loaded from it, before {name!r} was read: load the entry again, "
                    "from where it is now."
                ) from None
            raise

    def _was_replaced(self) -> bool:
        """Whether the folder holds another manifest than the one that was read, or none."""
        try:
            return _read_manifest(self.path) != self.manifest
        except EntryError:
            return True

    def _read(self, name: str) -> bytes:
        expected = self.manifest["files"][name]
        self.require([name])
        home = self._home(name)
        content = _read(home, name, expected["size"])
        brought = home == (self.rest or self.path) and name.startswith(self.absent)
        if record(content) != expected and self.fetch is not None and brought:
            self.fetch([name])
            content = _read(home, name, expected["size"])
        if record(content) != expected:
            raise _changed(home, name, content, expected)
        return content

    def tree(self, name: str) -> dict[str, bytes]:
        """The content of all files below the folder `name`, by their paths in it.

        Raises:
            IntegrityError: One is not what the manifest says.
            EntryError: The operating system does not let one be read.
        """
        names = [n for n in self.manifest["files"] if n.startswith(f"{name}/")]
        self.require(names)
        return {n.removeprefix(f"{name}/"): self.read(n) for n in names}

    def strays(self) -> list[str]:
        """Files in the folder that are no part of the entry.

        The entry's card and plots are not among them. No file is read.
        """
        return list(_strays(self.path, self.manifest["files"]))

    def verify(self, tree: str | None = None) -> None:
        """Compare every file, or those below the folder `tree`, with the manifest.

        Raises:
            IntegrityError: One is not what the manifest says.
        """
        names = [n for n in self.manifest["files"] if tree is None or n.startswith(f"{tree}/")]
        self.require(names)
        for name in names:
            self.read(name)

    def recipe(self) -> Recipe:
        """The recipe, which must be that of the manifest's entry.

        Raises:
            IntegrityError: The file is damaged, or belongs to another entry.
            RecipeError: It cannot be read as a recipe.
            FormatVersionError: It is written in another format.
        """
        recipe = Recipe.from_json(self.read(CONFIG))
        if (recipe.name, recipe.dtype) != (self.manifest["entry"], self.manifest["dtype"]):
            raise _damaged(
                self.path,
                CONFIG,
                f"describes {recipe.name} in {recipe.dtype}, but the manifest is that of "
                f"{self.manifest['entry']!r} in {self.manifest['dtype']!r}",
            )
        return recipe

    def metrics(self) -> Metrics:
        """The figures.

        Raises:
            IntegrityError: The file is damaged, or a figure is missing or impossible.
            FormatVersionError: It is written in another format.
        """
        return metrics_from_json(self.read(METRICS))

    def arrays(self, name: str) -> "dict[str, np.ndarray]":
        """The arrays of an npz file.

        Raises:
            IntegrityError: The file is damaged, or holds anything but plain arrays.
        """
        content = self.read(name)
        try:
            return unpack(content)
        except (MemoryError, ImportError) as error:
            raise unreadable(self.path, name, error) from error
        except Exception as error:
            reason = shortened(error)
            raise _damaged(self.path, name, f"cannot be unpacked ({reason})") from error


def folder_path(given: str | os.PathLike[str]) -> Path:
    """A path as it was given, with "~" replaced.

    Raises:
        EntryError: No file can have this path.
    """
    if not isinstance(given, str | os.PathLike):
        raise EntryError(f"{given!r} was given as a folder: give its path, such as './mine'.")
    # Not Path.expanduser, for which "./~x" is "~x".
    text = os.path.expanduser(os.fspath(given))
    try:
        os.fsencode(text)
    except UnicodeError as error:
        raise EntryError(
            f"the path {str(given)[:200]!r} was given, which cannot exist ({error}): give another."
        ) from error
    if text.startswith("~") and isinstance(given, str):
        raise EntryError(
            f"the path {str(given)[:200]!r} was given, which cannot exist since there is no user "
            "of that name: give another, or write ./~ for a folder of this name."
        )
    path = Path(text)
    if "\0" in str(path):
        raise EntryError(
            f"the path {str(given)[:200]!r} was given, which holds a null character: give another."
        )
    return path


def has_manifest(folder: Path) -> bool:
    """Whether a folder claims to be that of an entry.

    Raises:
        EntryError: The operating system does not let that be seen.
    """
    return stat.S_ISREG(_mode(folder / MANIFEST))


def holds_pictures_alone(folder: Path) -> bool:
    """Whether a folder has nothing but PNG pictures in it, such as those of `pinnzoo plot`."""
    found = list(itertools.islice(_strays(folder, ()), MAX_FILES + 1))
    real = [name for name in found if not _JUNK.fullmatch(name.rsplit("/", 1)[-1])]
    return 0 < len(real) <= MAX_FILES and all(name.endswith(".png") for name in real)


def foreign_files(folder: Path) -> list[str]:
    """What can be no part of an entry in a folder whose manifest tells nothing."""
    return [name for name in _strays(folder, ()) if not may_belong(name)]


def may_belong(name: str) -> bool:
    """Whether a file of this path can be part of an entry, its card and plots included."""
    return _is_shown(name) or name == MANIFEST or _is_allowed(name)


def _is_shown(name: str) -> bool:
    """Whether it is the card, or a picture where an entry has its plots."""
    return name == CARD or (name.startswith(f"{PLOTS}/") and name.endswith(".png"))


def names_place(content: bytes, place: str | os.PathLike[str]) -> bool:
    """Whether bytes name a folder of this machine, as a whole path or as the beginning of one.

    Short paths such as "/a" occur in compressed bytes by chance, and are looked for in text only.
    """
    text = os.fsencode(place).rstrip(b"/")
    if len(text) < 2 or text not in content:
        return False
    if len(text) < MIN_PLACE and b"\0" in content:
        return False
    return re.search(rb"(?<![\w.\-])" + re.escape(text) + rb"(?![\w.\-])", content) is not None


def read_bytes(folder: Path, name: str) -> bytes:
    """A JSON file of an entry, or the first `MAX_JSON` + 1 bytes of it.

    Raises:
        EntryError: It is not there, or the operating system does not let it be read.
    """
    return _read(folder, name, MAX_JSON)


def _damaged(folder: Path, name: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"the entry in {str(folder)!r} is damaged: {name!r} {what}; download or train it again."
    )


def _changed(folder: Path, name: str, content: bytes, stated: FileRecord) -> IntegrityError:
    """The error for bytes that differ from the manifest, with the cause where it can be seen."""
    if len(content) > stated["size"] and record(content.replace(b"\r\n", b"\n")) == stated:
        return IntegrityError(
            f"git changed the line endings of {name!r} of the entry in {str(folder)!r} to those of "
            "Windows: run `git config core.autocrlf false`, delete the folder and bring it back "
            "with `git checkout`, or write `* -text` into the file .gitattributes of the "
            "repository."
        )
    if len(content) > stated["size"]:
        return _damaged(folder, name, f"has more bytes than the {stated['size']} of the manifest")
    if len(content) < stated["size"]:
        return _damaged(folder, name, f"has {len(content)} bytes, not {stated['size']}")
    return _damaged(folder, name, "has another SHA-256 than the manifest states")


def unreadable(folder: Path, name: str, error: BaseException) -> EntryError:
    """The error where the system or a library refuses, which says nothing about the entry."""
    reason = getattr(error, "strerror", None) or shortened(error)
    kind = type(error).__name__
    what = f"{kind}: {reason}" if reason else kind
    if isinstance(error, MemoryError):
        advice = "free some memory"
    elif isinstance(error, ImportError):
        advice = "install what is missing"
    elif getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
        advice = "close other files, or raise the limit of open files (`ulimit -n`)"
    elif isinstance(error, PermissionError):
        advice = "get the permission to read it"
    else:
        advice = "see to what is named there"
    return EntryError(
        f"{name!r} of the entry in {str(folder)!r} cannot be read here ({what}), which says "
        f"nothing about the entry itself: {advice}, then load it again."
    )


ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)
"""Errors of the operating system that mean: there is no such file."""


def _mode(path: Path) -> int:
    """Kind of what a path leads to; 0 for nothing.

    Raises:
        EntryError: The operating system does not let that be seen.
    """
    try:
        return path.stat().st_mode
    except ValueError:
        return 0
    except OSError as error:
        if error.errno in ABSENT:
            return 0
        raise EntryError(
            f"{str(path)!r} cannot be read ({error.strerror}): get the permission to read it, or "
            "give another path."
        ) from error


def _read(folder: Path, name: str, limit: int) -> bytes:
    """At most `limit` + 1 bytes of a regular file, or of the one that a link leads to."""
    # A pipe would be waited for without NONBLOCK.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(f"{folder}/{name}", flags)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _damaged(folder, name, "is a folder or a device")
            # Room for the whole limit takes longer to make than a small file to read.
            return file.read(min(limit, status.st_size) + 1)
    except (OSError, MemoryError) as error:
        code = getattr(error, "errno", None)
        if code == errno.EISDIR:
            raise _damaged(folder, name, "is a folder or a device") from error
        if code in ABSENT:
            raise _damaged(folder, name, "is missing") from error
        raise unreadable(folder, name, error) from error


def _read_manifest(folder: Path) -> Manifest:
    if not has_manifest(folder):
        raise EntryError(
            f"the folder {str(folder)!r} holds no {MANIFEST}, so it is not that of an entry: give "
            "a folder that `entry.save` wrote."
        )
    return parse_manifest(folder, _read(folder, MANIFEST, MAX_JSON))


def parse_manifest(folder: Path, content: bytes) -> Manifest:
    """A manifest from its bytes, with everything that it states looked at.

    Args:
        folder: Where it is from, for the message.
        content: The bytes.

    Raises:
        FormatVersionError: It is of another format.
        IntegrityError: It is damaged.
    """
    if len(content) > MAX_JSON:
        raise _damaged(folder, MANIFEST, f"has more than {MAX_JSON} bytes")
    try:
        data = _json.parse(content)
    except ValueError as error:
        raise _damaged(folder, MANIFEST, f"is not JSON ({error})") from error
    _check_format(folder, data)
    try:
        manifest: Manifest = _json.conform(data, Manifest)
    except ValueError as error:
        raise _damaged(folder, MANIFEST, f"is not complete ({error})") from error
    for name, stated in manifest["files"].items():
        if not _is_allowed(name):
            raise _damaged(folder, MANIFEST, f"lists the path {name[:120]!r}")
        limit = MAX_JSON if name in (CONFIG, METRICS) else MAX_FILE
        if not 0 <= stated["size"] <= limit or not _HASH.fullmatch(stated["sha256"]):
            raise _damaged(
                folder, MANIFEST, f"states an impossible size or SHA-256 of {name[:120]!r}"
            )
    lacking = [name for name in FILES if name not in {*manifest["files"], *OPTIONAL}] + [
        tree for tree in TREES if not any(n.startswith(f"{tree}/") for n in manifest["files"])
    ]
    if lacking:
        raise _damaged(folder, MANIFEST, f"does not list {', '.join(lacking)}")
    return manifest


def _check_format(folder: Path, data: Any) -> None:
    version = data.get("format") if isinstance(data, dict) else None
    if type(version) is not int or 1 <= version <= FOLDER_FORMAT:
        return
    if version < 1:
        raise FormatVersionError(
            f"the entry in {str(folder)!r} has format {version!r}, which never was: this version "
            f"of pinnzoo reads format 1 to format {FOLDER_FORMAT}."
        )
    versions = data.get("versions")
    maker = versions.get("pinnzoo") if isinstance(versions, dict) else None
    known = isinstance(maker, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9a-z]{1,9}){1,5}", maker)
    advice = f"pinnzoo {maker} or a newer one" if known else "a newer version of pinnzoo"
    raise FormatVersionError(
        f"the entry in {str(folder)!r} has format {version!r}, which is newer than this version of "
        f"pinnzoo: it reads format 1 to format {FOLDER_FORMAT}, so install {advice}."
    )


def _is_allowed(name: str) -> bool:
    """Whether an entry may have a file of this path: one of those above, or below a tree.

    Parts begin with a letter, a digit or '_', so that no path can climb, start at the root or
    name a drive.
    """
    parts = name.split("/")
    if not all(map(_PART.fullmatch, parts)):
        return False
    return name in (*FILES, *GIVEN) if len(parts) == 1 else parts[0] in TREES


def _size(folder: Path, name: str) -> int | None:
    """Bytes of a file, or of what a link leads to; None where there is none.

    Links are followed, since the Hub's client lays a snapshot out as links into its cache; the
    bytes are compared with the manifest in any case.

    Raises:
        EntryError: The operating system does not tell.
        IntegrityError: It is no file.
    """
    try:
        status = os.stat(f"{folder}/{name}")  # An entry may have a hundred; a Path takes longer.
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise unreadable(folder, name, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise _damaged(folder, name, "is a folder or a device")
    return status.st_size


def _strays(folder: Path, listed: Container[str]) -> Iterator[str]:
    """Paths below `folder` that are neither listed nor manifest, card or plots; folders end in /.

    Does not go into folders in which no file is listed.
    """
    pending = [""]
    while pending:
        below = pending.pop()
        try:
            found = sorted(os.scandir(folder / below), key=lambda item: item.name)
        except OSError:
            continue
        for item in found:
            name = f"{below}{item.name}"
            if listed and (name == MANIFEST or _is_shown(name)):
                continue
            if name in listed:
                continue
            if item.is_dir(follow_symlinks=False):
                if name == PLOTS or below or name in TREES:
                    pending.append(f"{name}/")
                else:
                    yield f"{name}/"
            else:
                yield name
