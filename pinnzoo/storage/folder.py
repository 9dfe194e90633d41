"""An entry's folder: what is in it, and reading it so that no changed byte goes unnoticed.

Imports no JAX. Every file is compared with the size and the SHA-256 that the manifest states
before anything in it is interpreted, and nothing is ever unpickled or executed.
"""

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from pinnzoo import _json
from pinnzoo.errors import EntryError, FormatVersionError, IntegrityError
from pinnzoo.recipes import Recipe
from pinnzoo.storage.metrics import Metrics
from pinnzoo.storage.metrics import from_json as metrics_from_json

if TYPE_CHECKING:
    import numpy as np

FOLDER_FORMAT = 1

MANIFEST, CONFIG, METRICS = "manifest.json", "config.json", "metrics.json"
GOLDEN, HISTORY, NTK = "golden.npz", "history.npz", "ntk.npz"
SAFETENSORS = "model.safetensors"
PARAMS, SNAPSHOTS = "params", "snapshots"

FILES = (CONFIG, METRICS, GOLDEN, HISTORY, NTK, SAFETENSORS)
TREES = (PARAMS, SNAPSHOTS)
CARD, PLOTS = "README.md", "plots"
"""Made from the entry afterwards; neither is part of it, and neither is read."""

STRANGERS = (".git", ".gitattributes", ".cache")
"""What git and the Hub's client put into a folder; ignored."""

MAX_JSON = 1 << 20
MAX_FILE = 1 << 26
MAX_FILES = 1000
MAX_UNPACKED = 1 << 29
"""Bytes of one JSON file, of any file, and of all arrays in one npz file; number of files."""

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
    """

    format: int
    entry: str
    dtype: str
    command: str
    versions: dict[str, str]
    files: dict[str, FileRecord]


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
    """A folder whose manifest is sound and lists exactly the files that are there.

    Attributes:
        path: The folder.
        manifest: The content of its `manifest.json`.
        fetch: Brings files that are not there yet, or damaged; None if all must be there.
    """

    path: Path
    manifest: Manifest
    fetch: Fetch | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, fetch: Fetch | None = None) -> "EntryFolder":
        """Read the manifest and compare it with the list of files; no other file is read.

        Args:
            path: The folder.
            fetch: How to bring files of the manifest that are missing, once they are read.

        Raises:
            EntryError: There is no such folder, or it is not one of an entry.
            FormatVersionError: Written in another format.
            IntegrityError: The manifest is damaged, a file is missing, of another size, or there
                is one too many.
        """
        folder = Path(path).expanduser()
        if not folder.is_dir():
            raise EntryError(f"there is no folder {str(folder)!r}: give the folder of an entry.")
        manifest = _read_manifest(folder)
        present = _list_files(folder)
        stated = manifest["files"]
        for name in sorted({*present, *stated}):
            if name not in stated:
                raise _damaged(folder, name, "is not in the manifest")
            if fetch is None and name not in present:
                raise _damaged(folder, name, "is missing")
            if fetch is None and present[name] != stated[name]["size"]:
                raise _damaged(
                    folder, name, f"has {present[name]} bytes, not {stated[name]['size']}"
                )
        return cls(folder, manifest, fetch)

    def require(self, names: Iterable[str]) -> None:
        """Bring those files that are not there; nothing without `fetch`.

        Raises:
            DownloadError: One cannot be had.
        """
        if self.fetch is not None:
            missing = [name for name in names if not (self.path / name).is_file()]
            if missing:
                self.fetch(missing)

    def read(self, name: str) -> bytes:
        """The content of a file of the manifest.

        Raises:
            IntegrityError: It is not what the manifest says.
        """
        expected = self.manifest["files"][name]
        self.require([name])
        content = _read(self.path, name, expected["size"])
        if record(content) != expected and self.fetch is not None:
            self.fetch([name])
            content = _read(self.path, name, expected["size"])
        if record(content) != expected:
            raise _damaged(self.path, name, "has another SHA-256 than the manifest states")
        return content

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
        return _unpack(self.read(name), self.path, name)


def write_file(path: Path, content: bytes, scratch: Path | None = None) -> None:
    """A file that appears in one move, whoever else writes it at the same time.

    Args:
        path: Where; its folders are made.
        content: The bytes.
        scratch: Folder on the same disk for the unfinished file; by default that of the file.
    """
    scratch = scratch or path.parent
    for folder in (path.parent, scratch):
        folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=scratch, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _damaged(folder: Path, name: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"the entry in {str(folder)!r} is damaged: {name!r} {what}; download or train it again."
    )


def _read(folder: Path, name: str, limit: int) -> bytes:
    """At most `limit` + 1 bytes of a regular file."""
    path = folder / name
    try:
        # Opened without following links, since the list of files was made a moment ago.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(descriptor, "rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise _damaged(folder, name, f"cannot be read ({error.strerror})") from error


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if path.is_symlink():
        raise _damaged(folder, MANIFEST, "is a link")
    if not path.is_file():
        raise EntryError(
            f"the folder {str(folder)!r} holds no {MANIFEST}, so it is not that of an entry: give "
            "a folder that `entry.save` wrote."
        )
    content = _read(folder, MANIFEST, MAX_JSON)
    if len(content) > MAX_JSON:
        raise _damaged(folder, MANIFEST, f"has more than {MAX_JSON} bytes")
    try:
        data = _json.parse(content)
    except ValueError as error:
        raise _damaged(folder, MANIFEST, f"is not JSON ({error})") from error
    version = data.get("format") if isinstance(data, dict) else None
    if isinstance(version, int) and version != FOLDER_FORMAT:
        raise FormatVersionError(
            f"the entry in {str(folder)!r} has format {version!r}: this version of pinnzoo reads "
            f"format {FOLDER_FORMAT}, so use the version that wrote it."
        )
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
    lacking = [name for name in FILES if name not in manifest["files"]] + [
        tree for tree in TREES if not any(n.startswith(f"{tree}/") for n in manifest["files"])
    ]
    if lacking:
        raise _damaged(folder, MANIFEST, f"does not list {', '.join(lacking)}")
    return manifest


def _is_allowed(name: str) -> bool:
    """Whether an entry may have a file of this path: one of `FILES`, or below one of `TREES`.

    Parts begin with a letter, a digit or '_', so that no path can climb, start at the root or
    name a drive.
    """
    parts = name.split("/")
    if not all(map(_PART.fullmatch, parts)):
        return False
    return name in FILES if len(parts) == 1 else parts[0] in TREES


def _list_files(folder: Path) -> dict[str, int]:
    """Sizes of all files below `folder` that its manifest must list, by path.

    Raises:
        IntegrityError: There is a link, or something that is neither file nor folder.
    """
    sizes: dict[str, int] = {}
    pending = [""]
    while pending:
        below = pending.pop()
        try:
            found = sorted(os.scandir(folder / below), key=lambda item: item.name)
            for item in found:
                name = f"{below}{item.name}"
                if name in STRANGERS:
                    continue
                status = item.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode) and (below or item.name in (*TREES, PLOTS)):
                    pending.append(f"{name}/")
                elif not stat.S_ISREG(status.st_mode):
                    raise _damaged(folder, name, "is a link, a foreign folder or a device")
                elif name not in (MANIFEST, CARD) and not _is_plot(name):
                    sizes[name] = status.st_size
                if len(sizes) + len(pending) > MAX_FILES:
                    raise _damaged(folder, name, f"is one of more than {MAX_FILES} files")
        except OSError as error:
            raise _damaged(folder, below or ".", f"cannot be read ({error.strerror})") from error
    return sizes


def _is_plot(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and parts[0] == PLOTS and parts[1].endswith(".png")


def pack(arrays: "dict[str, np.ndarray]") -> bytes:
    """An npz file with the arrays, compressed; the same arrays give the same bytes."""
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _unpack(content: bytes, folder: Path, name: str) -> "dict[str, np.ndarray]":
    """The inverse of `pack`; never unpickles, and allocates no more than the file declares."""
    import io
    import zipfile

    import numpy as np

    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MAX_UNPACKED:
                raise ValueError("it unpacks to too many bytes")
            for member in members:
                key, suffix = member.filename[:-4], member.filename[-4:]
                if suffix != ".npy" or key in arrays:
                    raise ValueError(f"it holds {member.filename[:80]!r}, which is no new array")
                arrays[key] = _array(archive.read(member))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise _damaged(folder, name, f"cannot be unpacked ({reason})") from error
    return arrays


def _array(content: bytes) -> "np.ndarray":
    """One array of an npz file; its header is read by NumPy as a literal, not as code."""
    import io

    import numpy as np

    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = {(1, 0): np.lib.format.read_array_header_1_0}.get(version)
    if header is None:
        raise ValueError(f"an array of format {version}")
    shape, fortran, dtype = header(file)
    if dtype.hasobject or dtype.kind not in "fiuU" or dtype.itemsize == 0:
        raise ValueError(f"an array of type {dtype.name}, which is not plain numbers or words")
    body = memoryview(content)[file.tell() :]
    if any(k < 0 for k in shape):
        raise ValueError("an array of negative size")
    count = 1
    for k in shape:
        count *= k
    if count * dtype.itemsize != len(body):
        raise ValueError(f"an array of shape {shape} in {len(body)} bytes")
    flat = np.frombuffer(body, dtype=dtype).copy()
    return flat.reshape(shape, order="F" if fortran else "C")
