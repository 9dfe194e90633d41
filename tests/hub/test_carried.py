"""Entries that came with the package, which leaves most kernels and snapshots out."""

import shutil

import numpy as np
import pytest

import pinnzoo
from pinnzoo import zoo
from pinnzoo.errors import EntryError, IntegrityError
from pinnzoo.hub import remote as hub
from pinnzoo.storage.folder import CONFIG, GOLDEN, MANIFEST, NTK, PARAMS, SNAPSHOTS

NAME = "burgers-mlp-levenberg_marquardt"


@pytest.fixture
def carried(made, tmp_path, monkeypatch):
    """An entry as a wheel carries it: without its records."""
    home = tmp_path / "package" / "checkpoints"
    place = home / NAME
    shutil.copytree(made, place)
    (place / NTK).unlink()
    shutil.rmtree(place / SNAPSHOTS)
    monkeypatch.setattr(zoo, "OWN", [home])
    return place


@pytest.fixture
def only_carried(carried, monkeypatch):
    monkeypatch.setattr(zoo, "search_folders", lambda: [carried.parent])
    return carried


def test_network_needs_nothing_else(server, only_carried, made):
    entry = pinnzoo.load(NAME)
    points = [[0.5, 0.1]]
    np.testing.assert_array_equal(entry.predict(points), pinnzoo.load(made).predict(points))
    assert entry.history["loss"].size
    assert not server.state.log


@pytest.mark.parametrize("part", ["ntk", "snapshots"])
def test_records_that_are_nowhere_are_refused_with_where_to_get_them(only_carried, part):
    entry = pinnzoo.load(NAME)
    with pytest.raises(EntryError, match="without its kernels and snapshots: set PINNZOO_CHECKP"):
        getattr(entry, part)
    with pytest.raises(EntryError, match="without its kernels"):
        pinnzoo.load(NAME, verify="all")
    with pytest.raises(EntryError, match="without its kernels"):
        pinnzoo.download(NAME)


def test_records_of_a_published_entry_come_from_the_hub(server, registry, only_carried, made):
    server.state.log.clear()
    entry, whole = pinnzoo.load(NAME), pinnzoo.load(made)
    assert not server.state.log
    np.testing.assert_array_equal(entry.snapshots.thetas, whole.snapshots.thetas)
    np.testing.assert_array_equal(entry.ntk.kernels, whole.ntk.kernels)
    assert not [line for line in server.state.log if f"/{PARAMS}/" in line]
    assert not (only_carried / NTK).exists()
    # Fetched once.
    server.state.log.clear()
    assert pinnzoo.load(NAME, verify="all").ntk.steps.size
    assert not server.state.log


def test_download_brings_the_whole_entry(server, registry, only_carried, made):
    path = pinnzoo.download(NAME)
    assert path.is_relative_to(hub.cache_folder())
    assert (path / MANIFEST).read_bytes() == (made / MANIFEST).read_bytes()
    assert pinnzoo.load(path, verify="all").ntk.steps.size


def test_records_of_another_entry_of_that_name_are_not_taken(
    server, registry, only_carried, monkeypatch
):
    pins = hub.read_registry()
    pins["entries"][NAME]["manifest"] = "0" * 64
    hub.write_registry(registry, pins)
    with pytest.raises(EntryError, match="without its kernels"):
        _ = pinnzoo.load(NAME).ntk


def test_clone_is_looked_in_first(carried, made, tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    shutil.copytree(made, clone / NAME)
    monkeypatch.setenv(zoo.CHECKPOINTS_VARIABLE, str(clone))
    entry = pinnzoo.load(NAME)
    assert entry.folder == clone / NAME
    assert entry.ntk.steps.size
    assert zoo.reference_of(entry) == NAME


def test_what_must_be_there_is_missed_at_once(only_carried):
    (only_carried / GOLDEN).unlink()
    with pytest.raises(IntegrityError, match=r"'golden.npz' is missing"):
        pinnzoo.load(NAME)


def test_what_is_damaged_is_not_looked_for_elsewhere(server, registry, only_carried):
    content = (only_carried / CONFIG).read_bytes()
    (only_carried / CONFIG).write_bytes(content[::-1])
    server.state.log.clear()
    with pytest.raises(IntegrityError, match="another SHA-256"):
        pinnzoo.load(NAME)
    assert not server.state.log
