"""Putting entries on the Hugging Face Hub.

Every entry has a model repository of its own: the Hub counts downloads, shows a card and its
results, and filters by tags for each repository, and a commit then pins exactly one entry. Kernels
stay beside the network, since `training.NTK_ROWS` bounds them to what fits there; larger entries
are refused. A repository is written in one commit, and the tag comes after all commits.
"""

import hashlib
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinnzoo.errors import DownloadError, EntryError
from pinnzoo.hub.remote import REGISTRY_FORMAT, Pin, Registry, client
from pinnzoo.storage.folder import CARD, MANIFEST, PLOTS, EntryFolder, record

MAX_ENTRY = 2 << 20
"""Bytes of a published entry without its plots, so that a download takes a moment."""


@dataclass(frozen=True)
class Publication:
    """One repository as it is to be.

    Attributes:
        repository: `organization/name`.
        folder: The entry.
        files: Content by path: the entry's files, its manifest, its card and its plots.
    """

    repository: str
    folder: EntryFolder
    files: Mapping[str, bytes]


def prepare(folder: EntryFolder, repository: str) -> Publication:
    """All files of an entry, each compared with its manifest and free of traces of this machine.

    Raises:
        EntryError: It has no card, is too large, or names this machine or its user.
        IntegrityError: It is damaged.
    """
    files = {name: folder.read(name) for name in folder.manifest["files"]}
    files[MANIFEST] = (folder.path / MANIFEST).read_bytes()
    if (size := sum(map(len, files.values()))) > MAX_ENTRY:
        raise EntryError(
            f"the entry in {str(folder.path)!r} has {size} bytes: at most {MAX_ENTRY} are "
            "published, so store fewer snapshots or smaller kernels."
        )
    card = folder.path / CARD
    if not card.is_file():
        raise EntryError(
            f"the entry in {str(folder.path)!r} has no {CARD}: print it with `pinnzoo cards`."
        )
    files[CARD] = card.read_bytes()
    for plot in sorted((folder.path / PLOTS).glob("*.png")):
        files[f"{PLOTS}/{plot.name}"] = plot.read_bytes()
    for name, content in files.items():
        for trace in _traces():
            if trace in content:
                raise EntryError(
                    f"{name!r} of the entry in {str(folder.path)!r} holds {trace.decode()!r}, "
                    "which names this machine or its user: save the entry again with `entry.save`."
                )
    return Publication(repository, folder, files)


def _traces() -> set[bytes]:
    """Texts by which a file would tell where it was made."""
    host = socket.gethostname()
    found = {str(Path.home()), str(Path.cwd()), host if len(host) > 3 else ""}
    return {text.encode() for text in found if len(text) > 3}


def upload(api: Any, publication: Publication, *, private: bool = False) -> str:
    """Make the repository what it is to be in one commit; nothing if it is that already.

    Files that are there and do not belong to the entry any more are deleted in the same commit.

    Returns:
        The commit, 40 hexadecimal digits.

    Raises:
        DownloadError: The Hub refuses or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    repository = publication.repository
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        info = api.model_info(repository, files_metadata=True)
        there = {item.rfilename: item for item in info.siblings or []}
        changed = {
            name: content
            for name, content in publication.files.items()
            if name not in there or not _same(there[name], content)
        }
        gone = set(there) - set(publication.files) - {".gitattributes"}
        if not changed and not gone:
            return str(info.sha)
        done = api.create_commit(
            repository,
            [
                *(CommitOperationAdd(name, content) for name, content in changed.items()),
                *(CommitOperationDelete(name) for name in sorted(gone)),
            ],
            commit_message=f"Publish {publication.folder.manifest['entry']}",
            parent_commit=info.sha,
        )
        return str(done.oid)
    except Exception as error:
        raise _failed(repository, error) from error


def _same(there: Any, content: bytes) -> bool:
    """Whether a file on the Hub has this content, by the hash that git or LFS keeps of it."""
    if there.lfs is not None:
        return there.lfs.sha256 == record(content)["sha256"]
    header = b"blob %d\0" % len(content)
    return there.blob_id == hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def _failed(repository: str, error: Exception) -> DownloadError:
    reason = " ".join(str(error).split())[:200]
    return DownloadError(
        f"the repository {repository!r} cannot be written ({type(error).__name__}: {reason}): "
        "check the name, the network, and that your token may write, then publish again."
    )


def publish(
    folders: Iterable[EntryFolder],
    namespace: str,
    *,
    tag: str,
    api: Any = None,
    private: bool = False,
    collection: bool = True,
) -> Registry:
    """Publish entries, one repository each, and tag them once all are there.

    Args:
        folders: The entries.
        namespace: User or organization on the Hub.
        tag: Name of the release, such as "v1".
        api: Client of the Hub; see `client`.
        private: Make new repositories private.
        collection: List all of them in one collection of the release.

    Returns:
        The registry that pins what was published.

    Raises:
        EntryError: An entry cannot be published; nothing was sent.
        DownloadError: The Hub refuses, cannot be reached, or has the tag on another commit.
    """
    prepared = [prepare(folder, f"{namespace}/{folder.manifest['entry']}") for folder in folders]
    api = api or client()
    commits = {p.repository: upload(api, p, private=private) for p in prepared}
    for repository, commit in commits.items():
        _tag(api, repository, tag, commit)
    if collection and prepared:
        _collect(api, namespace, tag, list(commits))
    entries = {p.folder.manifest["entry"]: _pin(p, commits[p.repository]) for p in prepared}
    return {"format": REGISTRY_FORMAT, "release": tag, "entries": entries}


def push(
    folder: EntryFolder,
    repository: str,
    *,
    api: Any,
    tag: str | None = None,
    private: bool = False,
) -> str:
    """Publish one entry under any name; returns the commit.

    Raises:
        EntryError: The entry cannot be published.
        DownloadError: The Hub refuses, cannot be reached, or has the tag on another commit.
    """
    commit = upload(api, prepare(folder, repository), private=private)
    if tag is not None:
        _tag(api, repository, tag, commit)
    return commit


def _pin(publication: Publication, commit: str) -> Pin:
    metrics: Mapping[str, Any] = publication.folder.metrics()
    names = ("relative_l2_error", "parameters", "steps", "wall_time_seconds")
    return {
        "repository": publication.repository,
        "revision": commit,
        "manifest": record(publication.files[MANIFEST])["sha256"],
        "recipe": publication.folder.recipe().to_json(),
        "figures": {name: float(metrics[name]) for name in names},
    }


def _tag(api: Any, repository: str, tag: str, commit: str) -> None:
    """Put the tag on the commit; a tag stays where it is for ever."""
    try:
        tags = {ref.name: ref.target_commit for ref in api.list_repo_refs(repository).tags}
        if tag not in tags:
            api.create_tag(repository, tag=tag, revision=commit)
    except Exception as error:
        raise _failed(repository, error) from error
    if tags.get(tag, commit) != commit:
        raise DownloadError(
            f"the tag {tag!r} of {repository!r} is on commit {tags[tag][:12]} and not on "
            f"{commit[:12]}: a release does not change, so publish under another tag."
        )


def _collect(api: Any, namespace: str, tag: str, repositories: list[str]) -> None:
    try:
        made = api.create_collection(
            f"pinnzoo {tag}",
            namespace=namespace,
            description="Pretrained physics-informed neural networks",
            exists_ok=True,
        )
        listed = {item.item_id for item in made.items}
        for repository in repositories:
            if repository not in listed:
                api.add_collection_item(made.slug, repository, "model", exists_ok=True)
    except Exception as error:
        raise _failed(f"collections/{namespace}", error) from error
