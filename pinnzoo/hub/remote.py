"""Entries on the Hugging Face Hub: where they are, and bringing their files here.

Imports neither JAX nor the Hub's client until something is downloaded. A release is pinned by
`registry.json`: a commit of 40 hexadecimal digits and the SHA-256 of the manifest for every entry,
so that a moved tag or a changed file cannot be loaded by accident. Whatever arrives is compared
with the manifest before it is put in place, and put in place in one move.

The client's own cache (`HF_HOME`), token, proxies, endpoint (`HF_ENDPOINT`) and offline switch
(`HF_HUB_OFFLINE`) mean what they mean everywhere; entries are assembled below
`cache_folder() / "hub"`, one folder for each commit.
"""

import contextlib
import errno
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from pinnzoo import _json
from pinnzoo.errors import (
    DownloadError,
    EntryError,
    FormatVersionError,
    IntegrityError,
    PinnzooError,
    shortened,
)
from pinnzoo.storage.files import write_file
from pinnzoo.storage.folder import (
    CONFIG,
    GOLDEN,
    MANIFEST,
    MAX_JSON,
    METRICS,
    PARAMS,
    EntryFolder,
    record,
)

REGISTRY_FORMAT = 1

REGISTRY_VARIABLE = "PINNZOO_REGISTRY"
"""Environment variable that names another registry, such as that of a mirror."""

CACHE_VARIABLE = "PINNZOO_CACHE"
"""Environment variable that names the cache folder."""

PREFIXES = ("hf-hub:", "hf://")
"""What a name of any repository on the Hub begins with."""

WEIGHTS = (CONFIG, METRICS, GOLDEN, f"{PARAMS}/")
"""Files and folders that a network needs; the others are fetched when they are touched."""

ATTEMPTS = 4
PAUSE = 0.5
"""Tries of a request, and seconds before the second one; they double."""

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
"""Errors of writing, which trying again does not cure."""

OFFLINE = (
    "the Hub is offline and the cache has no copy, which `pinnzoo download` or `pinnzoo.download` "
    "brings as long as there is a network"
)

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.\-]{0,95}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REVISION = re.compile(r"(?!.{101})[A-Za-z0-9][A-Za-z0-9_.\-]*(/[A-Za-z0-9][A-Za-z0-9_.\-]*)*")


class Pin(TypedDict):
    """Where an entry is, and what is told of it before anything is downloaded.

    Attributes:
        repository: `organization/name`.
        revision: The commit, 40 hexadecimal digits.
        manifest: SHA-256 of its `manifest.json`.
        recipe: The content of its `config.json`, which is the recipe.
        figures: `parameters`, `steps`, `wall_time_seconds`, and where there is a reference
            `relative_l2_error`.
    """

    repository: str
    revision: str
    manifest: str
    recipe: str
    figures: dict[str, float]


class Registry(TypedDict):
    """What `registry.json` holds.

    Attributes:
        format: Version of its layout.
        release: Tag under which the entries were published; empty before there is one.
        entries: Pins by the full name of the entry.
    """

    format: int
    release: str
    entries: dict[str, Pin]


def cache_folder() -> Path:
    """Where downloaded entries are kept: `$PINNZOO_CACHE`, or `~/.cache/pinnzoo`."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given).expanduser() if given else Path("~/.cache/pinnzoo").expanduser()


def registry_path() -> Path:
    """The registry in use: `$PINNZOO_REGISTRY`, or that of the package."""
    given = os.environ.get(REGISTRY_VARIABLE)
    return Path(given).expanduser() if given else Path(__file__).with_name("registry.json")


def read_registry(path: Path | None = None) -> Registry:
    """The published entries.

    Args:
        path: The registry; by default the one in use.

    Raises:
        EntryError: The operating system does not let it be read.
        FormatVersionError: It is of a newer format.
        IntegrityError: It is damaged.
    """
    path = path or registry_path()
    try:
        return _parse_registry(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise EntryError(
            f"the registry {str(path)!r} cannot be read ({error.strerror}): get the permission to "
            f"read it, or set {REGISTRY_VARIABLE} to a registry that `pinnzoo publish` wrote; the "
            "package's own comes back when pinnzoo is installed again."
        ) from error


@cache
def _parse_registry(path: Path, modified: int) -> Registry:
    del modified
    try:
        data = _json.parse(path.read_bytes())
        version = data.get("format") if isinstance(data, dict) else None
        if type(version) is int and version > REGISTRY_FORMAT:
            raise FormatVersionError(
                f"the registry {str(path)!r} has format {version}, which is newer than this "
                f"version of pinnzoo reads: install a newer one, or set {REGISTRY_VARIABLE} to a "
                f"registry of format {REGISTRY_FORMAT}."
            )
        registry: Registry = _json.conform(data, Registry)
        if registry["format"] != REGISTRY_FORMAT:
            raise ValueError(f"it has format {registry['format']}, not {REGISTRY_FORMAT}")
        for name, pin in registry["entries"].items():
            checks = (pin["repository"], _REPOSITORY), (pin["revision"], _COMMIT)
            if not all(pattern.fullmatch(text) for text, pattern in checks):
                raise ValueError(f"the pin of {name!r} names no repository and commit")
    except ValueError as error:
        raise IntegrityError(
            f"the registry {str(path)!r} is damaged ({error}): reinstall pinnzoo, or set "
            f"{REGISTRY_VARIABLE} to a registry that `pinnzoo publish` wrote."
        ) from error
    return registry


def write_registry(path: Path, registry: Registry) -> None:
    """Write a registry, entries sorted, completely or not at all."""
    entries = dict(sorted(registry["entries"].items()))
    text = json.dumps({**registry, "entries": entries}, indent=1, ensure_ascii=False)
    write_file(path, f"{text}\n".encode())


@dataclass
class Remote:
    """A commit of a repository on the Hub, as a source of files.

    Attributes:
        repository: `organization/name`.
        revision: The commit.
        token: Access token; None takes the one that `hf auth login` stored or `HF_TOKEN`.
        local_files_only: Take files from the client's cache alone.
        endpoint: Address of the Hub; None takes `HF_ENDPOINT` or the public one.
    """

    repository: str
    revision: str
    token: str | bool | None = None
    local_files_only: bool = False
    endpoint: str | None = None
    _sizes: dict[str, int] | None = field(default=None, repr=False)

    def read(self, sizes: Mapping[str, int], *, force: bool = False) -> dict[str, bytes]:
        """The content of files, none of which may be larger than the size that is given for it.

        Args:
            sizes: Largest size by path.
            force: Take nothing from the client's cache.

        Raises:
            DownloadError: They cannot be had, or one is too large.
        """
        from huggingface_hub import snapshot_download

        if not self.local_files_only and not _offline():
            self._check(sizes)

        def bring() -> dict[str, bytes]:
            folder = snapshot_download(
                self.repository,
                revision=self.revision,
                allow_patterns=list(sizes),
                force_download=force,
                token=self.token,
                local_files_only=self.local_files_only,
                endpoint=self.endpoint,
                library_name="pinnzoo",
            )
            return {name: _read(Path(folder, name), limit) for name, limit in sizes.items()}

        return self._retry(bring)

    def _check(self, sizes: Mapping[str, int]) -> None:
        """Refuse files that are absent or too large before their content is asked for."""
        for name, limit in sizes.items():
            size = self._listing().get(name)
            if size is None:
                raise self.failed(f"it has no file {name!r}")
            if size > limit:
                raise self.failed(f"{name!r} has {size} bytes, not {limit}")

    def _listing(self) -> dict[str, int]:
        """Sizes of all files of the commit, asked for once."""
        if self._sizes is not None:
            return self._sizes
        from huggingface_hub.hf_api import RepoFile

        api = client(self.token, self.endpoint)
        sizes: dict[str, int] = self._retry(
            lambda: {
                item.path: item.size
                for item in api.list_repo_tree(
                    self.repository, recursive=True, revision=self.revision
                )
                if isinstance(item, RepoFile)
            }
        )
        self._sizes = sizes
        return sizes

    def _retry(self, act: Any) -> Any:
        """The result of `act`, called again where the network or the server is at fault."""
        pause = PAUSE
        for attempt in range(ATTEMPTS):
            try:
                return act()
            except PinnzooError:
                raise
            except Exception as error:
                reason = _reason(error)
                if reason is not None:
                    raise self.failed(reason) from error
                if self.local_files_only or _offline():
                    raise self.failed(f"{OFFLINE} ({_summary(error)})") from error
                if attempt + 1 == ATTEMPTS:
                    raise self.failed(
                        f"{_summary(error)}, and what `pinnzoo download` has not brought before "
                        "needs the network"
                    ) from error
            time.sleep(pause)
            pause *= 2
        raise AssertionError  # pragma: no cover

    def failed(self, reason: str) -> DownloadError:
        """The error for this repository."""
        return DownloadError(
            f"the repository {self.repository!r} at {self.revision[:12]} cannot be downloaded: "
            f"{reason}; check the name, the network and your access, then try again."
        )


def client(token: str | bool | None = None, endpoint: str | None = None) -> Any:
    """The Hub's client, under this package's name."""
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint, token=token, library_name="pinnzoo")


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{path.name!r} has more than {limit} bytes")
    return content


def _reason(error: Exception) -> str | None:
    """Why trying again cannot help; None if it can."""
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return "it is gated and your token has no access"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "there is no such repository, or it is private and your token has no access"
    if status in (401, 403):
        return "the Hub refuses the token, which may have expired"
    if isinstance(error, errors.RevisionNotFoundError):
        return "it has no such revision"
    if isinstance(error, errors.LocalEntryNotFoundError):
        return OFFLINE if _offline() else None
    if isinstance(error, errors.EntryNotFoundError):
        return "it lacks a file of the entry"
    if isinstance(error, OSError) and error.errno in DISK:
        return f"the disk cannot be written ({error.strerror})"
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return "this process has too many open files"
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return None


def _summary(error: Exception) -> str:
    return f"{type(error).__name__}: {shortened(error)}"


def open_remote(remote: Remote, manifest: str | None = None) -> EntryFolder:
    """The folder of an entry on the Hub; its other files are fetched when they are read.

    Args:
        remote: Where it is.
        manifest: SHA-256 of its manifest, if that is pinned.

    Raises:
        DownloadError: It cannot be downloaded.
        IntegrityError: What arrives is not what was published.
        EntryError: The repository holds no entry that can be read.
    """
    folder = open_copy(remote, manifest)
    folder.require([name for name in folder.manifest["files"] if name.startswith(WEIGHTS)])
    return folder


def open_with_rest(
    place: Path, absent: tuple[str, ...], remote: Remote, pinned: str
) -> EntryFolder:
    """The folder of an entry on this machine that lacks some files, which are on the Hub.

    Args:
        place: The folder.
        absent: Beginnings of the paths that it lacks; they are fetched when they are read.
        remote: Where they are.
        pinned: SHA-256 of the manifest there, which must be that of the folder.

    Raises:
        EntryError: It is not the folder of an entry, or what it should not lack is damaged.
    """
    return EntryFolder.open(
        place,
        fetch=lambda names: _fetch(remote, open_copy(remote, pinned).path, names),
        absent=absent,
        rest=_home(remote),
    )


def _home(remote: Remote) -> Path:
    """The folder of the cache for a commit."""
    return cache_folder() / "hub" / remote.repository.replace("/", "--") / remote.revision


def open_copy(remote: Remote, manifest: str | None) -> EntryFolder:
    """The same folder as `open_remote`, with nothing but the manifest fetched."""
    home = _home(remote)
    with _writing(home):
        if not _has_manifest(home, manifest):
            content = _fetch_manifest(remote, manifest)
            _place(home / MANIFEST, content)
    return EntryFolder.open(home, fetch=lambda names: _fetch(remote, home, names))


def _has_manifest(home: Path, pinned: str | None) -> bool:
    path = home / MANIFEST
    if not path.is_file():
        return False
    return pinned is None or record(path.read_bytes())["sha256"] == pinned


def _fetch_manifest(remote: Remote, pinned: str | None) -> bytes:
    for force in (False, True):
        content = remote.read({MANIFEST: MAX_JSON}, force=force)[MANIFEST]
        if pinned is None or record(content)["sha256"] == pinned:
            return content
    raise IntegrityError(
        f"the repository {remote.repository!r} at {remote.revision[:12]} holds another "
        f"{MANIFEST} than was published: do not use it, and report it."
    )


def _fetch(remote: Remote, home: Path, names: Iterable[str]) -> None:
    """Download files that the manifest in `home` lists, each moved there once its hash is right."""
    manifest = EntryFolder.open(home, fetch=_nothing).manifest["files"]
    wanted = list(names)
    for force in (False, True):
        found = remote.read({name: manifest[name]["size"] for name in wanted}, force=force)
        with _writing(home):
            for name, content in found.items():
                if record(content) == manifest[name]:
                    _place(home / name, content)
        # What the client's cache holds may be damaged, which it does not notice.
        wanted = [name for name, content in found.items() if record(content) != manifest[name]]
        if not wanted:
            return
    raise IntegrityError(
        f"the repository {remote.repository!r} at {remote.revision[:12]} holds another "
        f"{wanted[0]!r} than its manifest states: do not use it, and report it."
    )


def _place(path: Path, content: bytes) -> None:
    # Written beside the entry's folder, since a kill may leave an unfinished file behind.
    write_file(path, content, scratch=cache_folder() / "hub" / ".unfinished")


def _nothing(names: Iterable[str]) -> None:
    del names


@contextlib.contextmanager
def _writing(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DownloadError(
            f"the cache {str(home)!r} cannot be written or read ({error.strerror}): make room or "
            f"get the permission there, or set {CACHE_VARIABLE} to another folder."
        ) from error


def is_revision(text: str) -> bool:
    """Whether an address can name this branch or tag."""
    return _REVISION.fullmatch(text) is not None


def parse_address(address: str) -> tuple[str, str] | None:
    """Repository and revision of "hf-hub:org/name" or "hf-hub:org/name@revision".

    Returns:
        Both, with "main" as the revision where none is given; None for a text that does not begin
        with "hf-hub:" or "hf://".

    Raises:
        DownloadError: It begins so, but what follows is not the name of a repository.
    """
    prefix = next((p for p in PREFIXES if address.startswith(p)), None)
    if prefix is None:
        return None
    repository, _, revision = address.removeprefix(prefix).partition("@")
    if not _REPOSITORY.fullmatch(repository) or not _REVISION.fullmatch(revision or "main"):
        raise DownloadError(
            f"{address!r} was given: write hf-hub:organization/name, and @revision if it is not "
            "the newest."
        )
    return repository, revision or "main"


def resolve(repository: str, revision: str, **access: Any) -> Remote:
    """The commit that a branch or a tag points to now; without a network, the last one known.

    Raises:
        DownloadError: There is none.
    """
    if _COMMIT.fullmatch(revision):
        return Remote(repository, revision, **access)
    remote = Remote(repository, revision, **access)
    # One file for each, also where one branch is "a" and was "a/b" before.
    known = cache_folder() / "hub" / repository.replace("/", "--") / "refs"
    last = known / revision.replace("/", "%2F")
    try:
        if remote.local_files_only or _offline():
            raise remote.failed(OFFLINE)
        api = client(remote.token, remote.endpoint)
        remote.revision = str(
            remote._retry(lambda: api.repo_info(repository, revision=revision).sha)
        )
    except DownloadError as error:
        # The commit that was last seen is used if the Hub cannot be reached, not if it has answered
        # that the repository does not exist.
        cause = error.__cause__
        if not last.is_file() or (isinstance(cause, Exception) and _reason(cause) is not None):
            raise
        with _writing(last.parent):
            remote.revision = last.read_text(encoding="ascii", errors="replace").strip()
    if not _COMMIT.fullmatch(remote.revision):
        raise remote.failed("it names no commit")
    if not last.is_file() or last.read_bytes() != remote.revision.encode():
        # A cache that many share may be one that nobody here can write.
        with contextlib.suppress(OSError):
            _place(last, remote.revision.encode())
    return remote
