"""A server on 127.0.0.1 that speaks the routes of the Hugging Face Hub which its client uses here.

Git's regular files and LFS, without Xet. Tests make it misbehave by `faults`.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LFS = (".npz", ".safetensors", ".png")
DATE = "2026-01-01T00:00:00.000Z"


def git_hash(content: bytes) -> str:
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


@dataclass
class File:
    """A file of a commit."""

    content: bytes
    lfs: bool

    @property
    def etag(self) -> str:
        return hashlib.sha256(self.content).hexdigest() if self.lfs else git_hash(self.content)

    def about(self) -> dict[str, Any]:
        size = len(self.content)
        lfs = {"sha256": self.etag, "oid": self.etag, "size": size, "pointerSize": 134}
        return {"size": size, "oid": git_hash(self.content)} | ({"lfs": lfs} if self.lfs else {})


@dataclass
class Repository:
    """Its commits as trees of files, oldest first."""

    private: bool
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    def commit(self, tree: dict[str, File]) -> str:
        number = hashlib.sha1(f"{id(self)}-{len(self.commits)}".encode(), usedforsecurity=False)
        self.commits[number.hexdigest()] = tree
        return number.hexdigest()

    def find(self, revision: str) -> str | None:
        named = {"main": self.head, **self.tags}
        return named.get(revision, revision if revision in self.commits else None)


Fault = Callable[["Handler", bytes], bool]
"""`(handler, body) -> handled`: answers a download in another way."""


@dataclass
class State:
    """What the server knows, what it was asked, and how it is to misbehave."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    fault: Fault | None = None
    tokens: set[str] = field(default_factory=lambda: {"hf_write"})


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def answer(self, code: int = 200, body: Any = b"", **headers: Any) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        length = headers.pop("Content_Length", len(content))
        for key, value in {"Content_Length": length, **headers}.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, code: int, kind: str) -> None:
        self.answer(code, {"error": kind}, X_Error_Code=kind, X_Error_Message=kind)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        sent = self.body()
        with self.state.lock:
            self.state.log.append(f"{self.command} {url.path}")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.state.tokens:
            self.answer(401, {"error": "Invalid credentials in Authorization header"})
            return
        for method, pattern, act in ROUTES:
            match = re.fullmatch(pattern, url.path)
            if match and self.command in method:
                groups = {k: unquote(v) for k, v in match.groupdict().items() if v is not None}
                repository = groups.get("repository")
                if repository is not None and not self.may_read(repository, token):
                    self.refuse(404 if token else 401, "RepoNotFound")
                    return
                act(self, sent, parse_qs(url.query), **groups)
                return
        self.refuse(404, "NotImplemented")

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def may_read(self, repository: str, token: str) -> bool:
        found = self.state.repositories.get(repository)
        return found is not None and bool(token or not found.private)

    def tree(self, repository: str, revision: str) -> tuple[str, dict[str, File]] | None:
        found = self.state.repositories[repository]
        commit = found.find(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound")
            return None
        return commit, found.commits[commit]


Query = dict[str, list[str]]


def create(h: Handler, sent: bytes, query: Query) -> None:
    asked = json.loads(sent)
    name = f"{asked.get('organization') or 'loop'}/{asked['name']}"
    url = f"http://{h.headers['Host']}/{name}"
    if name in h.state.repositories:
        h.answer(409, {"error": "You already created this repo", "url": url})
        return
    private = asked.get("visibility") == "private" or bool(asked.get("private"))
    made = h.state.repositories[name] = Repository(private)
    made.commit({".gitattributes": File(b"*.npz filter=lfs\n", lfs=False)})
    h.answer(200, {"url": url, "name": name, "id": "0"})


def about(h: Handler, sent: bytes, query: Query, repository: str, revision: str = "main") -> None:
    found = h.tree(repository, revision)
    if found is None:
        return
    commit, tree = found
    siblings = []
    for path, file in sorted(tree.items()):
        more = file.about()
        blobs = {"size": more["size"], "blobId": more["oid"], "lfs": more.get("lfs")}
        siblings.append({"rfilename": path} | (blobs if "blobs" in query else {}))
    private = h.state.repositories[repository].private
    h.answer(
        200,
        {"_id": "0", "id": repository, "modelId": repository, "sha": commit, "private": private}
        | {"lastModified": DATE, "createdAt": DATE, "tags": [], "siblings": siblings},
    )


def listing(h: Handler, sent: bytes, query: Query, repository: str, revision: str) -> None:
    found = h.tree(repository, revision)
    if found is not None:
        files = [{"type": "file", "path": p, **f.about()} for p, f in sorted(found[1].items())]
        h.answer(200, files)


def preupload(h: Handler, sent: bytes, query: Query, repository: str, revision: str) -> None:
    files = [
        {
            "path": file["path"],
            "uploadMode": "lfs" if is_lfs(file["path"]) else "regular",
            "shouldIgnore": False,
        }
        for file in json.loads(sent)["files"]
    ]
    h.answer(200, {"files": files})


def is_lfs(path: str) -> bool:
    return path.endswith(LFS) or "/d/" in path


def lfs_batch(h: Handler, sent: bytes, query: Query, repository: str) -> None:
    objects = [
        {"oid": o["oid"], "size": o["size"]}
        | {"actions": {"upload": {"href": f"http://{h.headers['Host']}/_lfs/{o['oid']}"}}}
        for o in json.loads(sent)["objects"]
    ]
    h.answer(200, {"transfer": "basic", "objects": objects})


def lfs_put(h: Handler, sent: bytes, query: Query, oid: str) -> None:
    if hashlib.sha256(sent).hexdigest() != oid:
        h.refuse(400, "BadDigest")
        return
    h.state.objects[oid] = sent
    h.answer(200)


def commit(h: Handler, sent: bytes, query: Query, repository: str, revision: str) -> None:
    found = h.state.repositories[repository]
    lines = [json.loads(line) for line in sent.splitlines() if line.strip()]
    tree = dict(found.commits[found.head])
    for line in lines:
        value = line["value"]
        if line["key"] == "header":
            if value.get("parentCommit") not in (None, found.head):
                h.refuse(412, "PreconditionFailed")
                return
        elif line["key"] == "file":
            tree[value["path"]] = File(base64.b64decode(value["content"]), lfs=False)
        elif line["key"] == "lfsFile":
            tree[value["path"]] = File(h.state.objects[value["oid"]], lfs=True)
        else:
            assert line["key"] == "deletedFile", line
            del tree[value["path"]]
    made = found.commit(tree)
    url = f"http://{h.headers['Host']}/{repository}/commit/{made}"
    h.answer(200, {"success": True, "commitOid": made, "commitUrl": url})


def references(h: Handler, sent: bytes, query: Query, repository: str) -> None:
    found = h.state.repositories[repository]

    def listed(kind: str, names: dict[str, str]) -> list[dict[str, str]]:
        return [
            {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}
            for name, commit in names.items()
        ]

    branches = listed("heads", {"main": found.head})
    h.answer(200, {"branches": branches, "tags": listed("tags", found.tags), "converts": []})


def tag(h: Handler, sent: bytes, query: Query, repository: str, revision: str) -> None:
    found = h.tree(repository, revision)
    if found is not None:
        h.state.repositories[repository].tags[json.loads(sent)["tag"]] = found[0]
        h.answer(200, {})


def resolve(
    h: Handler, sent: bytes, query: Query, repository: str, revision: str, path: str
) -> None:
    found = h.tree(repository, revision)
    if found is None:
        return
    made, tree = found
    if path not in tree:
        h.answer(404, {}, X_Error_Code="EntryNotFound", X_Repo_Commit=made)
        return
    file, code = tree[path], 200
    content = file.content
    headers = {"X_Repo_Commit": made, "ETag": f'"{file.etag}"', "Accept_Ranges": "bytes"}
    if file.lfs:
        headers |= {"X_Linked_Etag": f'"{file.etag}"', "X_Linked_Size": len(content)}
    if match := re.match(r"bytes=(\d+)-", h.headers.get("Range", "")):
        start = int(match[1])
        headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        content, code = content[start:], 206
    if h.command == "GET" and h.state.fault is not None and h.state.fault(h, content):
        return
    h.answer(code, content, **headers)


def collection_create(h: Handler, sent: bytes, query: Query) -> None:
    asked = json.loads(sent)
    slug = f"{asked['namespace']}/{re.sub('[^a-z0-9]+', '-', asked['title'].lower())}-0"
    made = {"slug": slug, "title": asked["title"], "owner": {"name": asked["namespace"]}}
    made |= {"items": [], "position": 0, "lastUpdated": DATE, "private": False, "theme": "blue"}
    h.state.collections.setdefault(slug, made | {"upvotes": 0, "description": None})
    h.answer(200, h.state.collections[slug])


def collection_get(h: Handler, sent: bytes, query: Query, slug: str) -> None:
    h.answer(200, h.state.collections[slug])


def collection_add(h: Handler, sent: bytes, query: Query, slug: str) -> None:
    found, item = h.state.collections[slug], json.loads(sent)["item"]
    place = len(found["items"])
    found["items"].append({"_id": str(place), **item, "position": place})
    h.answer(200, found)


def accept(h: Handler, sent: bytes, query: Query) -> None:
    h.answer(200, {"errors": [], "warnings": []})


NAME, REVISION = r"(?P<repository>[^/]+/[^/]+)", r"(?P<revision>[^/]+)"
API = f"/api/models/{NAME}"
ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("POST", "/api/repos/create", create),
    ("POST", "/api/validate-yaml", accept),
    ("POST", "/api/collections", collection_create),
    ("POST", r"/api/collections/(?P<slug>[^/]+/[^/]+)/items?", collection_add),
    ("GET", r"/api/collections/(?P<slug>[^/]+/[^/]+)", collection_get),
    ("POST", f"{API}/preupload/{REVISION}", preupload),
    ("POST", f"{API}/commit/{REVISION}", commit),
    ("GET", f"{API}/revision/{REVISION}", about),
    ("GET", f"{API}/tree/{REVISION}", listing),
    ("GET", f"{API}/refs", references),
    ("POST", f"{API}/tag/{REVISION}", tag),
    ("GET", API, about),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", lfs_batch),
    ("PUT", r"/_lfs/(?P<oid>[0-9a-f]{64})", lfs_put),
    ("GET HEAD", f"/{NAME}/resolve/{REVISION}/(?P<path>.+)", resolve),
]


class Hub:
    """`with Hub() as hub:` serves at `hub.url`; `hub.state` is what it knows."""

    def __init__(self) -> None:
        self.state = State()
        handler = type("Bound", (Handler,), {"state": self.state})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "Hub":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def cut(h: Handler, content: bytes, after: int) -> bool:
    """A download that promises all of the content and ends after so many bytes."""
    h.send_response(200)
    h.send_header("Content-Length", str(len(content)))
    h.end_headers()
    h.wfile.write(content[:after])
    h.wfile.flush()
    h.close_connection = True
    h.connection.close()
    return True


class EveryFileOnce:
    """The first download of every file is cut at a random place; `done` says where."""

    def __init__(self, rng: Any) -> None:
        self.rng: Any = rng
        self.done: dict[str, int] = {}

    def __call__(self, h: Handler, content: bytes) -> bool:
        with h.state.lock:
            if h.path in self.done or not content:
                return False
            self.done[h.path] = int(self.rng.integers(len(content)))
        return cut(h, content, self.done[h.path])


def failing(code: int, times: int) -> Fault:
    """So many downloads end with a status."""
    left = list(range(times))

    def fault(h: Handler, content: bytes) -> bool:
        with h.state.lock:
            if not left:
                return False
            left.pop()
        h.answer(code, {"error": "busy"})
        return True

    return fault


def slow(seconds: float) -> Fault:
    """Every download waits."""

    def fault(h: Handler, content: bytes) -> bool:
        time.sleep(seconds)
        return False

    return fault
