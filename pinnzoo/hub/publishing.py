"""Putting entries on the Hugging Face Hub.

Every entry has a model repository of its own: the Hub counts downloads, shows a card and its
results, and filters by tags for each repository, and a commit then pins exactly one entry. Kernels
stay beside the network, since `diagnostics.points.NTK_ROWS` bounds them to what fits there; larger
entries are refused. A repository is written in one commit, and the tag comes after all commits.

First everything is looked at: what is there, what would change, and whether the tag is free. Only
then is anything written. An entry that was saved anew is not published anew: orbax names its files
differently each time, so that entries are compared by what they hold.
"""

import getpass
import hashlib
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pinnzoo.errors import DownloadError, EntryError, shortened
from pinnzoo.hub.remote import (
    PREFIXES,
    REGISTRY_FORMAT,
    Pin,
    Registry,
    client,
    is_revision,
    parse_address,
)
from pinnzoo.storage.folder import (
    CARD,
    CONFIG,
    HISTORY,
    MANIFEST,
    METRICS,
    NTK,
    OBSERVATIONS,
    PLOTS,
    SAFETENSORS,
    EntryFolder,
    Manifest,
    may_belong,
    names_place,
    parse_manifest,
    record,
)
from pinnzoo.storage.metrics import user_seconds

MAX_ENTRY = 2 << 20
"""Bytes of an entry of this collection without its plots, so that a download takes a moment."""

MAX_OWN = 256 << 20
"""Bytes of an entry that its maker publishes, so that it is no accident."""


MIN_TRACE = 8
"""Letters from which on a trace counts in compressed bytes, where "8@vm" occurs by chance."""

CONTENT = (CONFIG, METRICS, HISTORY, NTK, OBSERVATIONS, SAFETENSORS)
"""Files of which equal content gives equal bytes. Golden values follow from these, and may differ
by rounding."""


@dataclass(frozen=True)
class Publication:
    """The planned state of one repository.

    Attributes:
        repository: `organization/name`.
        folder: The entry.
        files: Content by path: the entry's files, its manifest, its card and its plots.
    """

    repository: str
    folder: EntryFolder
    files: Mapping[str, bytes]


WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".keras", ".onnx", ".gguf")
"""Suffixes of other people's networks."""


def check_repository(repository: str) -> None:
    """Raise unless the Hub allows a repository of this name.

    Raises:
        DownloadError: It does not, or the name has a revision.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        named = parse_address(f"{PREFIXES[0]}{repository}") == (repository, "main")
        validate_repo_id(repository)
    except (DownloadError, HFValidationError):
        named = False
    if not named:
        raise DownloadError(
            f"{repository!r} was given as a repository to write to: give organization/name, in "
            "letters, digits, '-', '_' and '.', without '--', '..' or '.git' at the end, 96 "
            "characters in all, and without a revision."
        )


def check_tag(tag: str | None) -> None:
    """Raise unless an entry can be loaded by a tag; None is no tag.

    Raises:
        EntryError: It cannot.
    """
    if tag is not None and not is_revision(tag):
        raise EntryError(
            f"the tag {tag!r} was given: give up to 100 letters, digits, dots, dashes, "
            "underscores and slashes, such as 'v1', by which it can be loaded."
        )


def prepare(folder: EntryFolder, repository: str, most: int | None = None) -> Publication:
    """All files of an entry, each compared with its manifest and free of traces of this machine.

    Args:
        folder: The entry.
        repository: Where it is going to be.
        most: Bytes that it may have without its plots; by default `MAX_ENTRY`.

    Raises:
        EntryError: It has no card, is too large, or names this machine or its user.
        IntegrityError: It is damaged.
        DownloadError: The Hub allows no repository of this name.
    """
    most = MAX_ENTRY if most is None else most
    check_repository(repository)
    files = {name: folder.read(name) for name in folder.manifest["files"]}
    files[MANIFEST] = (folder.path / MANIFEST).read_bytes()
    if (size := sum(map(len, files.values()))) > most:
        raise EntryError(
            f"the entry {folder.manifest['entry']!r} has {size} bytes: at most {most} are "
            "published, so keep fewer parameters of its training, with snapshots=2 for instance."
        )
    card = folder.path / CARD
    if not card.is_file():
        raise EntryError(
            f"the entry in {str(folder.path)!r} has no {CARD}: print it with `pinnzoo cards`."
        )
    files[CARD] = card.read_bytes()
    for plot in sorted((folder.path / PLOTS).glob("*.png")):
        files[f"{PLOTS}/{plot.name}"] = plot.read_bytes()
    own = b"".join(files[name] for name in (CONFIG, METRICS, MANIFEST))
    for name, content in files.items():
        if trace := _trace(content, own):
            raise EntryError(
                f"{name!r} of the entry in {str(folder.path)!r} holds {trace!r}, which names this "
                "machine or its user: take that out, from the card or the command for instance, "
                "and publish again."
            )
    return Publication(repository, folder, files)


def _trace(content: bytes, own: bytes) -> str | None:
    """The first text in a file that gives away where it was made; None if there is no such text.

    Names of machines are often ordinary words, such as "heat" or "node". They are looked for where
    they can only be meant as machines, as in `user@host` or `host:/folder`. Only what nobody would
    write for another reason, such as "lab-3.example.org", is looked for everywhere, unless the
    entry's own files hold it.
    """
    for place in (Path.home(), Path.cwd()):
        if names_place(content, place):
            return str(place)
    host = socket.gethostname()
    if not host:
        return None
    word = rb"(?<![\w.\-])%b(?![\w\-])"
    named = re.escape(host.encode())
    patterns = [
        rb"[\w.\-]+@" + named + rb"(?![\w\-])",
        rb"(?<![\w.\-])" + named + rb":[~/][\w.~/\-]*",
        rb"//" + named + rb"[:/][\w./\-]*",
    ]
    if (user := _user()) and (rb"%b@" % user.encode()) in content:
        patterns.append(word % (re.escape(user.encode()) + rb"@[\w.\-]+"))
    telling = "." in host or host.count("-") > 1 or (len(host) > 5 and re.search(r"\d", host))
    if telling and not re.search(word % named, own):
        patterns.append(word % named)
    least = MIN_TRACE if b"\0" in content else 1
    for pattern in patterns:
        for found in re.finditer(pattern, content):
            if len(found[0]) >= least:
                return found[0].decode(errors="replace")
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


@dataclass(frozen=True)
class Plan:
    """What has to be done to a repository; nothing has been written yet.

    Attributes:
        publication: The repository as it is to be.
        head: The newest commit there; None where there is no repository.
        changed: Files to be written, by path.
        gone: Files to be deleted.
    """

    publication: Publication
    head: str | None
    changed: Mapping[str, bytes]
    gone: Sequence[str]


def plan(
    api: Any, publication: Publication, tag: str | None = None, *, private: bool = False
) -> Plan:
    """Compare a repository with its planned state; reads from the Hub and writes nothing.

    Files there that can be no part of an entry, such as code and a licence, stay.

    Raises:
        EntryError: The repository is to be private and is there for everybody, or holds another
            model, or the tag is none.
        DownloadError: The Hub cannot be reached, or has the tag on something else.
    """
    repository = publication.repository
    check_tag(tag)
    try:
        info = _about(api, repository)
        if info is None:
            return Plan(publication, None, publication.files, ())
        there = {item.rfilename: item for item in info.siblings or []}
        publication = _settled(api, publication, info.sha, there)
        changed = {
            name: content
            for name, content in publication.files.items()
            if name not in there or not _same(there[name], content)
        }
        tags = {} if tag is None else _tags(api, repository)
    except Exception as error:
        raise _failed(repository, error) from error
    if private and info.private is False:
        raise EntryError(
            f"private=True was given for the repository {repository!r}, which exists and is "
            "public: make it private in its settings on the Hub first, or give another name."
        )
    if MANIFEST in there:
        own = set(filter(may_belong, there))
    else:
        own = set()  # Files of other kinds, or somebody's card.
        replaced = set(changed) - {CARD}
        others = sorted(n for n in there if n in replaced or Path(n).suffix in WEIGHTS)
        if others:
            raise EntryError(
                f"the repository {repository!r} holds {others[0]!r}, which is no part of a pinnzoo "
                "entry: give a repository of the entry's own, which is made if it does not exist."
            )
    gone = sorted(own - set(publication.files))
    if tag in tags and (changed or gone or tags[tag] != info.sha):
        raise _taken(repository, tag, tags[tag])
    return Plan(publication, str(info.sha), changed, gone)


def _about(api: Any, repository: str) -> Any:
    """What the Hub says of a repository; None if it does not exist."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return api.model_info(repository, files_metadata=True)
    except RepositoryNotFoundError:
        return None


def _settled(
    api: Any, publication: Publication, commit: str, there: Mapping[str, Any]
) -> Publication:
    """The publication with the files that are there, where those hold the same entry."""
    if MANIFEST not in there or _same(there[MANIFEST], publication.files[MANIFEST]):
        return publication
    path = api.hf_hub_download(publication.repository, MANIFEST, revision=commit)
    content = Path(path).read_bytes()
    try:
        stated = parse_manifest(Path(publication.repository), content)
    except EntryError:
        return publication
    complete = all(
        name in there and there[name].size == kept["size"] for name, kept in stated["files"].items()
    )
    if not complete or not _equal(stated, publication.folder.manifest):
        return publication
    own = {*publication.folder.manifest["files"], MANIFEST}
    files: dict[str, bytes] = {
        name: content for name, content in publication.files.items() if name not in own
    }
    # An entry has at most a few hundred small files, and most of them are in the client's cache.
    for name in stated["files"]:
        kept = api.hf_hub_download(publication.repository, name, revision=commit)
        files[name] = Path(kept).read_bytes()
    sound = all(record(files[name]) == kept for name, kept in stated["files"].items())
    return replace(publication, files=files | {MANIFEST: content}) if sound else publication


def _equal(one: Manifest, other: Manifest) -> bool:
    """Whether two entries hold the same network, recipe, figures and records."""
    if one["entry"] != other["entry"] or one.get("providers", {}) != other.get("providers", {}):
        return False
    arrays = one.get("arrays"), other.get("arrays")
    if arrays[0] is None or arrays[0] != arrays[1]:
        return False
    return all(one["files"].get(name) == other["files"].get(name) for name in CONTENT)


def upload(api: Any, planned: Plan, *, private: bool = False) -> str:
    """Bring the repository to the planned state in one commit; do nothing if it is there already.

    Files that are there and do not belong to the entry any more are deleted in the same commit.

    Returns:
        The commit, 40 hexadecimal digits.

    Raises:
        DownloadError: The Hub refuses or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    repository = planned.publication.repository
    if planned.head is not None and not planned.changed and not planned.gone:
        return planned.head
    try:
        if planned.head is None:
            api.create_repo(repository, private=private, exist_ok=True)
        done = api.create_commit(
            repository,
            [
                *(CommitOperationAdd(name, content) for name, content in planned.changed.items()),
                *(CommitOperationDelete(name) for name in planned.gone),
            ],
            commit_message=f"Publish {planned.publication.folder.manifest['entry']}",
            parent_commit=planned.head,
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
    reason = shortened(error)
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
        EntryError: An entry cannot be published, or not in this way; nothing was sent.
        DownloadError: The Hub refuses, cannot be reached, or has the tag on another commit; in the
            last case nothing was sent.
    """
    prepared = [prepare(folder, f"{namespace}/{folder.manifest['entry']}") for folder in folders]
    api = api or client()
    plans = [plan(api, p, tag, private=private) for p in prepared]
    prepared = [planned.publication for planned in plans]
    commits = {p.publication.repository: upload(api, p, private=private) for p in plans}
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

    An entry that is there already, with the same card and plots, is not sent again.

    Raises:
        EntryError: The entry cannot be published, or not in this way; nothing was sent.
        DownloadError: The Hub refuses, cannot be reached, or has the tag on another commit; in the
            last case nothing was sent.
    """
    planned = plan(api, prepare(folder, repository, MAX_OWN), tag, private=private)
    commit = upload(api, planned, private=private)
    if tag is not None:
        _tag(api, repository, tag, commit)
    return commit


def _pin(publication: Publication, commit: str) -> Pin:
    metrics: Mapping[str, Any] = publication.folder.metrics()
    figures = {"wall_time_seconds": user_seconds(metrics)} | {
        name: float(metrics[name])
        for name in ("relative_l2_error", "parameters", "steps")
        if name in metrics
    }
    return {
        "repository": publication.repository,
        "revision": commit,
        "manifest": record(publication.files[MANIFEST])["sha256"],
        "recipe": publication.folder.recipe().to_json(),
        "figures": figures,
    }


def _tags(api: Any, repository: str) -> dict[str, str]:
    """Commits by tag."""
    return {ref.name: ref.target_commit for ref in api.list_repo_refs(repository).tags}


def _taken(repository: str, tag: str, commit: str) -> DownloadError:
    return DownloadError(
        f"the tag {tag!r} of {repository!r} is on commit {commit[:12]}, which holds something "
        "else than what is published now: a release does not change, so publish under another tag."
    )


def _tag(api: Any, repository: str, tag: str, commit: str) -> None:
    """Put the tag on the commit; a tag that exists is never moved."""
    try:
        tags = _tags(api, repository)
        if tag not in tags:
            api.create_tag(repository, tag=tag, revision=commit)
    except Exception as error:
        raise _failed(repository, error) from error
    if tags.get(tag, commit) != commit:
        raise _taken(repository, tag, tags[tag])


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
