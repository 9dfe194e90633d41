"""Entries that came with the package, which leaves most kernels and snapshots out."""

import json
import pickle
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import pinnzoo
from pinnzoo import zoo
from pinnzoo.cli import app
from pinnzoo.errors import AbsentRecordsError, EntryError, IntegrityError
from pinnzoo.hub import carried as carried_module
from pinnzoo.hub import remote as hub
from pinnzoo.hub.carried import CHECKPOINTS_VARIABLE
from pinnzoo.storage.folder import CONFIG, GOLDEN, MANIFEST, NTK, PARAMS, SAFETENSORS, SNAPSHOTS

NAME = "burgers-mlp-levenberg_marquardt"


@pytest.fixture
def carried(made, tmp_path, monkeypatch):
    """An entry as a wheel carries it: without its records."""
    home = tmp_path / "package" / "checkpoints"
    place = home / NAME
    shutil.copytree(made, place)
    (place / NTK).unlink()
    (place / SAFETENSORS).unlink()
    shutil.rmtree(place / SNAPSHOTS)
    monkeypatch.setattr(zoo, "OWN", [home])
    monkeypatch.setattr(carried_module, "CARRIED", home)
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
    with pytest.raises(EntryError, match=r"without its kernels and snapshots.* set PINNZOO_C"):
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
    assert pinnzoo.load(NAME, verify="all").ntk.steps.size
    # Fetched once.
    server.state.log.clear()
    assert pinnzoo.load(NAME, verify="all").ntk.steps.size
    assert not server.state.log


def test_download_brings_the_whole_entry(server, registry, only_carried, made):
    path = pinnzoo.download(NAME)
    assert path.is_relative_to(hub.cache_folder())
    assert (path / MANIFEST).read_bytes() == (made / MANIFEST).read_bytes()
    assert pinnzoo.load(path, verify="all").ntk.steps.size


def test_damaged_copies_are_fetched_again(server, registry, only_carried, made):
    whole = pinnzoo.load(made)
    path = pinnzoo.download(NAME)
    for bring in (lambda: pinnzoo.load(NAME).ntk, lambda: pinnzoo.download(NAME)):
        (path / NTK).write_bytes((path / NTK).read_bytes()[:10])
        bring()
        assert (path / NTK).read_bytes() == (made / NTK).read_bytes()
    (path / NTK).unlink()
    np.testing.assert_array_equal(pinnzoo.load(NAME).ntk.kernels, whole.ntk.kernels)


def test_registry_is_needed_for_the_records_alone(only_carried, tmp_path, monkeypatch):
    (tmp_path / "broken.json").write_text("{")
    monkeypatch.setenv(hub.REGISTRY_VARIABLE, str(tmp_path / "broken.json"))
    assert pinnzoo.load(NAME).history["loss"].size


def test_command_on_record_survives(server, registry, only_carried, made, tmp_path):
    manifest = json.loads((made / MANIFEST).read_text())
    manifest["command"] = "pinnzoo finetune something --steps 3"
    for folder in (only_carried, tmp_path / "whole"):
        if folder != only_carried:
            shutil.copytree(made, folder)
        (folder / MANIFEST).write_text(json.dumps(manifest))
    entry = pinnzoo.load(NAME)
    with pytest.raises(AbsentRecordsError):
        entry.save(tmp_path / "again")
    assert entry._made_by() == manifest["command"]


def test_networks_travel_without_their_records(only_carried):
    entry = pickle.loads(pickle.dumps(pinnzoo.load(NAME)))
    points = [[0.5, 0.1]]
    np.testing.assert_array_equal(entry.predict(points), pinnzoo.load(NAME).predict(points))
    with pytest.raises(AbsentRecordsError, match="without its kernels"):
        _ = entry.ntk
    with pytest.raises(AbsentRecordsError, match="without its kernels"):
        _ = entry.snapshots


@pytest.mark.parametrize("verb", [["analyze"], ["plot"], ["analyze", "another one"]])
def test_verbs_show_what_there_is(only_carried, made, tmp_path, verb):
    others = [str(made)] if len(verb) > 1 else []
    out = str(tmp_path / "plots")
    done = CliRunner().invoke(app, [verb[0], NAME, *others, "--out", out])
    assert done.exit_code == 0, done.output
    files = {path.name for path in (tmp_path / "plots").iterdir()}
    assert files == ({"comparison.png"} if others else {"solution.png", "history.png"})
    assert ("without its kernels" in done.output) == (verb[0] == "analyze")


def test_a_plot_of_kernels_is_refused_before_any_is_drawn(only_carried, tmp_path):
    done = CliRunner().invoke(
        app, ["plot", NAME, "solution", "kernel", "--out", str(tmp_path / "plots")]
    )
    assert done.exit_code != 0
    assert "without its kernels" in done.output
    assert not (tmp_path / "plots").exists()


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
    monkeypatch.setenv(CHECKPOINTS_VARIABLE, str(clone))
    entry = pinnzoo.load(NAME)
    assert entry.folder == clone / NAME
    assert entry.ntk.steps.size
    assert zoo.reference_of(entry) == NAME
    # By another way to the same folder too.
    monkeypatch.setenv(CHECKPOINTS_VARIABLE, str(tmp_path / "package" / ".." / "clone"))
    assert zoo.reference_of(pinnzoo.load(NAME)) == NAME


@pytest.mark.parametrize("given", ["~nobody-of-that-name/x", "missing"])
def test_folder_of_the_environment_has_to_be_there(monkeypatch, tmp_path, given):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CHECKPOINTS_VARIABLE, given)
    with pytest.raises(EntryError, match="give"):
        pinnzoo.load("heat-mlp-lm")


def test_clone_without_the_entry_is_named(carried, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv(CHECKPOINTS_VARIABLE, str(tmp_path / "empty"))
    with pytest.raises(AbsentRecordsError, match="empty', where this entry is not"):
        _ = pinnzoo.load(NAME).ntk


def test_folder_of_a_carried_entry_is_opened_like_its_name(only_carried):
    entry = pinnzoo.Entry.read(only_carried)
    assert entry.name == NAME
    with pytest.raises(AbsentRecordsError):
        _ = entry.ntk


def test_snapshots_that_a_clone_lost_are_damage(only_carried, tmp_path, monkeypatch):
    monkeypatch.setattr(carried_module, "CARRIED", tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="is missing"):
        pinnzoo.load(NAME)


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
