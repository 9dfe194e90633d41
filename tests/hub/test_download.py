"""Entries from a real server by the real client: what is fetched, and what is refused."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from huggingface_hub import constants

import pinnzoo
from pinnzoo import zoo
from pinnzoo.cli import app
from pinnzoo.errors import (
    DownloadError,
    FormatVersionError,
    IntegrityError,
    PinnzooError,
    UnknownNameError,
)
from pinnzoo.hub import remote as hub
from pinnzoo.storage.folder import GOLDEN, MANIFEST, SNAPSHOTS, EntryFolder
from tests.hub.loopback import failing

NAME = "burgers-mlp-levenberg_marquardt"
POINTS = [[0.5, 0.1], [0.25, -0.3]]


def asked(server, part):
    return [line for line in server.state.log if part in line]


def repository(server):
    return server.state.repositories[f"loop/{NAME}"]


def spoil(server, path, content):
    """Another content of a file, in every commit."""
    for tree in repository(server).commits.values():
        if path in tree:
            tree[path].content = content


def test_entry_comes_from_the_hub_and_computes_as_here(server, registry, made):
    expected = pinnzoo.load(made)
    entry = pinnzoo.load("burgers-mlp-lm")
    np.testing.assert_array_equal(entry.predict(POINTS), expected.predict(POINTS))
    assert entry.folder is not None
    assert entry.folder.is_relative_to(hub.cache_folder())


def test_weights_come_first_and_records_when_they_are_touched(server, registry, made):
    entry = pinnzoo.load(NAME)
    assert not asked(server, "/snapshots/")
    assert not asked(server, "ntk.npz")
    expected = pinnzoo.load(made)
    np.testing.assert_array_equal(entry.snapshots.thetas, expected.snapshots.thetas)
    assert asked(server, f"/{SNAPSHOTS}/")
    assert not asked(server, "ntk.npz")
    np.testing.assert_array_equal(entry.ntk.kernels, expected.ntk.kernels)
    np.testing.assert_array_equal(entry.history["loss"], expected.history["loss"])


def test_second_load_asks_nothing(server, registry):
    pinnzoo.load(NAME)
    server.state.log.clear()
    pinnzoo.load(NAME)
    assert server.state.log == []


def test_download_brings_everything_and_works_when_the_hub_is_gone(
    server, registry, made, monkeypatch
):
    path = pinnzoo.download("burgers-mlp-lm")
    files = {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}
    manifest = json.loads((made / MANIFEST).read_text())
    assert files == {MANIFEST, *manifest["files"]}
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert pinnzoo.load(NAME, verify="all").history["loss"].size
    # It is an entry's folder like any other.
    assert pinnzoo.load(path).name == NAME


def test_list_shows_what_is_published_before_anything_is_downloaded(server, registry):
    server.state.log.clear()
    assert pinnzoo.list_entries("burgers*") == [NAME]
    assert zoo.find(NAME) is None
    assert server.state.log == []


def test_any_repository_loads_by_its_address(server, registry, made):
    expected = pinnzoo.load(made).predict(POINTS)
    head = repository(server).head
    for address in (f"hf-hub:loop/{NAME}", f"hf://loop/{NAME}@v1", f"hf-hub:loop/{NAME}@{head}"):
        np.testing.assert_array_equal(pinnzoo.load(address).predict(POINTS), expected)


@pytest.mark.parametrize("address", ["hf-hub:name", "hf-hub:a/b/c", "hf-hub:../x", "hf-hub:a/b@.."])
def test_address_that_is_none_is_refused(server, address):
    with pytest.raises(DownloadError, match="hf-hub:organization/name"):
        pinnzoo.load(address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("hf-hub:loop/nothing", "no such repository"),
        (f"hf-hub:loop/{NAME}@v9", "no such revision"),
    ],
)
def test_what_is_not_there_is_said(server, registry, address, message):
    with pytest.raises(DownloadError, match=message):
        pinnzoo.load(address)


def test_name_that_is_not_published_is_refused_with_the_nearest(server, registry):
    with pytest.raises(UnknownNameError, match=NAME):
        pinnzoo.load("burgers-mlp-sgd")


def test_private_entry_needs_a_token(server, registry, monkeypatch):
    repository(server).private = True
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(DownloadError, match="private"):
        pinnzoo.load(NAME)
    with pytest.raises(DownloadError, match="token"):
        pinnzoo.load(NAME, token="hf_expired")
    assert pinnzoo.load(NAME, token="hf_write").name == NAME


def test_offline_with_a_warm_cache_works_and_with_a_cold_one_says_so(
    server, registry, monkeypatch, forget
):
    address = f"hf-hub:loop/{NAME}"
    pinnzoo.load(address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pinnzoo.load(address).name == NAME
    assert pinnzoo.load(NAME, local_files_only=True).name == NAME
    # The client's own cache is enough too.
    forget("cache")
    assert pinnzoo.load(NAME).name == NAME
    forget()
    for name in (NAME, address):
        with pytest.raises(DownloadError, match=r"offline.*`pinnzoo download`"):
            pinnzoo.load(name)


def test_records_that_were_not_downloaded_before_say_how_when_offline(
    server, registry, monkeypatch
):
    entry = pinnzoo.load(NAME)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="`pinnzoo download`"):
        _ = entry.ntk
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "ATTEMPTS", 1)
    server.state.fault = failing(500, 10**6)
    with pytest.raises(DownloadError, match="`pinnzoo download`"):
        _ = entry.history


def test_snapshot_folder_of_the_hubs_client_is_an_entry(server, registry, made):
    from huggingface_hub import snapshot_download

    path = snapshot_download(f"loop/{NAME}")
    entry = pinnzoo.load(path, verify="all")
    np.testing.assert_array_equal(entry.theta, pinnzoo.load(made).theta)
    head = repository(server).head
    assert (
        zoo.reference_of(entry) == f"hf-hub:loop/{NAME}@{head}" or zoo.reference_of(entry) == NAME
    )


def test_entry_of_the_hub_is_called_by_its_address(server, registry, made):
    commit = pinnzoo.load(made).push_to_hub("me/mine")
    address = f"hf-hub:me/mine@{commit}"
    assert zoo.reference_of(pinnzoo.load("hf-hub:me/mine")) == address
    assert zoo.reference_of("hf-hub:me/mine") == address
    assert zoo.reference_of(pinnzoo.load(NAME)) == NAME
    assert pinnzoo.load(address).name == NAME


def test_branch_that_was_resolved_once_is_known_when_the_hub_is_down(server, registry, monkeypatch):
    address = f"hf-hub:loop/{NAME}"
    pinnzoo.load(address)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert pinnzoo.load(address).name == NAME


def test_branch_is_found_in_a_cache_that_cannot_be_written(server, registry, monkeypatch):
    address = f"hf-hub:loop/{NAME}"
    pinnzoo.load(address)

    def refuse(*_args, **_options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(hub, "write_file", refuse)
    assert pinnzoo.load(address).name == NAME
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert pinnzoo.load(address).name == NAME


def test_moved_tag_and_branch_do_not_change_a_pinned_entry(server, registry):
    made = repository(server)
    other = made.commit({"README.md": made.commits[made.head]["README.md"]})
    made.tags["v1"] = other
    assert pinnzoo.load(NAME).name == NAME
    with pytest.raises(DownloadError, match=r"no file 'manifest\.json'"):
        pinnzoo.load(f"hf-hub:loop/{NAME}@v1")


def test_file_that_is_not_what_was_published_is_refused(server, registry):
    path = next(p for p in repository(server).commits[repository(server).head] if "/d/" in p)
    (content,) = {t[path].content for t in repository(server).commits.values() if path in t}
    spoil(server, path, bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(IntegrityError, match="than its manifest states"):
        pinnzoo.load(NAME)


def test_manifest_that_is_not_the_pinned_one_is_refused(server, registry):
    tree = repository(server).commits[repository(server).head]
    spoil(server, MANIFEST, tree[MANIFEST].content.replace(b'"command"', b'"command" '))
    with pytest.raises(IntegrityError, match="than was published"):
        pinnzoo.load(NAME)


def test_file_larger_than_stated_is_not_even_asked_for(server, registry):
    spoil(server, "golden.npz", b"x" * 10_000_000)
    with pytest.raises(DownloadError, match="10000000 bytes"):
        pinnzoo.load(NAME)
    assert not asked(server, "golden.npz")


@pytest.mark.parametrize("where", ["cache", "client"])
def test_poisoned_cache_heals(server, registry, made, tmp_path, where, forget):
    pinnzoo.download(NAME)
    if where == "client":
        forget("cache")
    poisoned = [p for p in (tmp_path / where).rglob("*") if p.is_file() and not p.is_symlink()]
    for path in poisoned:
        if path.name != MANIFEST and "refs" not in path.parts and "trees" not in path.parts:
            path.write_bytes(bytes(byte ^ 255 for byte in path.read_bytes()))
    entry = pinnzoo.load(NAME, verify="all")
    np.testing.assert_array_equal(entry.predict(POINTS), pinnzoo.load(made).predict(POINTS))


def test_damaged_registry_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "registry.json"
    monkeypatch.setenv(hub.REGISTRY_VARIABLE, str(path))
    good = {"format": 1, "release": "v1", "entries": {}}
    pin = {"repository": "a/b", "revision": "main", "manifest": "", "recipe": "", "figures": {}}
    for text in ("{", "[]", json.dumps(good | {"format": 0}), json.dumps(good | {"more": 1})):
        path.write_text(text)
        with pytest.raises(IntegrityError, match="registry"):
            hub.read_registry()
        path.unlink()
    path.write_text(json.dumps(good | {"format": 2}))
    with pytest.raises(FormatVersionError, match="newer"):
        hub.read_registry()
    path.unlink()
    path.write_text(json.dumps(good | {"entries": {"x": pin}}))
    with pytest.raises(IntegrityError, match="no repository and commit"):
        hub.read_registry()
    path.unlink()
    with pytest.raises(PinnzooError, match="cannot be read"):
        hub.read_registry()


def test_registry_of_the_package_is_sound():
    assert hub.read_registry()["format"] == hub.REGISTRY_FORMAT


def test_command_downloads_by_name_and_by_address(server, registry, made):
    runner = CliRunner()
    done = runner.invoke(app, ["download", "burgers*", f"hf-hub:loop/{NAME}", "--json"])
    assert done.exit_code == 0, done.output
    paths = set(json.loads(done.stdout)["files"])
    assert len(paths) == 1
    assert EntryFolder.open(paths.pop()).read(GOLDEN) == (made / GOLDEN).read_bytes()
    done = runner.invoke(app, ["list", "--json"])
    (row,) = json.loads(done.stdout)
    assert (row["name"], row["relative_l2_error"]) == (NAME, 1.25e-5)
