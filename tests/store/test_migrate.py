"""Migration of entries to the newest formats, on copies."""

import errno
import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

import pinnzoo
from pinnzoo import Phase, Recipe
from pinnzoo.entry import Entry
from pinnzoo.errors import EntryError, FormatVersionError, IntegrityError
from pinnzoo.storage import migrate as module
from pinnzoo.storage.arrays import pack
from pinnzoo.storage.folder import CONFIG, MANIFEST, METRICS, NTK, EntryFolder
from pinnzoo.storage.migrate import migrate, migrate_all
from tests.store.made_entries import edit_json, resign

ROOT = Path(__file__).parent.parent.parent
REWRITTEN = {CONFIG, METRICS, MANIFEST}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def age(folder: Path) -> None:
    """Write recipe and metrics of an entry as format 1 wrote them."""

    def recipe(data):
        for phase in data["phases"]:
            for name in ("seconds", "target_loss"):
                phase[name] = phase[name] or 0.0
            phase["part"] = -1 if phase["part"] is None else phase["part"]
            phase["weighting"] = phase["weighting"] or ""
        return data | {"format": 1, "base": data["base"] or ""}

    def metrics(data):
        data["wall_time_seconds"] = data.pop("training_seconds")
        for value in data.values():
            if isinstance(value, dict):
                value.pop("version")
        return data | {"format": 1}

    edit_json(folder / CONFIG, recipe)
    edit_json(folder / METRICS, metrics)
    resign(folder)


@pytest.fixture
def old(copy) -> Path:
    """A copy of the folder of `entry` in format 1, with card and plots."""
    age(copy)
    (copy / "plots").mkdir(exist_ok=True)
    (copy / "plots" / "loss.png").write_bytes(b"picture")
    (copy / "README.md").write_text("card")
    return copy


def test_migration_rewrites_recipe_metrics_and_manifest_alone(old, entry):
    before, digest = contents(old), EntryFolder.open(old).recipe().digest
    assert migrate(old)
    after = contents(old)
    assert before.keys() == after.keys()
    assert {name for name in after if before[name] != after[name]} == REWRITTEN
    assert json.loads(after[CONFIG])["format"] == json.loads(after[METRICS])["format"] == 2
    assert list(old.parent.iterdir()) == [old]
    manifests = [json.loads(files[MANIFEST]) for files in (before, after)]
    for manifest in manifests:
        for name in (CONFIG, METRICS):
            del manifest["files"][name]
    assert manifests[0] == manifests[1]
    again = Entry.read(old, verify="all")
    assert again.recipe == entry.recipe
    assert again.recipe.digest == digest
    assert again.metrics == entry.metrics
    np.testing.assert_array_equal(again.theta, entry.theta)


def test_kernels_of_an_older_layout_are_rounded_and_nothing_else_of_them(copy, entry):
    before = EntryFolder.open(copy).arrays(NTK)
    upper = np.triu_indices(entry.ntk.kernels.shape[1])
    written = {k: v for k, v in before.items() if k not in ("diagonals", "correlations")}
    written["kernels"] = entry.ntk.kernels[:, upper[0], upper[1]].astype(np.float32)
    (copy / NTK).write_bytes(pack(written))
    resign(copy)
    others = {name: data for name, data in contents(copy).items() if name not in (NTK, MANIFEST)}
    assert migrate(copy)
    assert not migrate(copy)
    after = contents(copy)
    assert {name: data for name, data in after.items() if name not in (NTK, MANIFEST)} == others
    assert len(after[NTK]) < len(pack(written))
    again = Entry.read(copy, verify="all").ntk
    for name, array in before.items():
        if name in ("diagonals", "correlations"):
            continue
        np.testing.assert_array_equal(again.to_arrays()[name], array)
    exact = entry.ntk.kernels
    lengths = np.sqrt(np.diagonal(exact, axis1=1, axis2=2))
    allowed = 2.0**-25 * lengths[:, :, None] * lengths[:, None, :]
    # Two roundings to float16 and one to float32.
    allowed = np.maximum(2.1 * 2.0**-11 * np.abs(exact), 2.1 * allowed)
    assert np.all(np.abs(again.kernels - exact) <= allowed)


def test_an_entry_without_kernels_is_migrated_too(tmp_path):
    recipe = Recipe("heat", "mlp", (Phase("adam", 1),), points={"equation": 5})
    folder = tmp_path / "plain"
    pinnzoo.train(recipe, diagnostics=False).save(folder)
    assert not (folder / NTK).exists()
    assert not migrate(folder)
    age(folder)
    assert migrate(folder)


def test_a_second_migration_changes_nothing(old):
    migrate(old)
    before = contents(old)
    times = [path.stat().st_mtime_ns for path in sorted(old.rglob("*"))]
    assert not migrate(old)
    assert contents(old) == before
    assert [path.stat().st_mtime_ns for path in sorted(old.rglob("*"))] == times


@pytest.mark.parametrize("name", ["manifest.json", "metrics.json", "rename"])
def test_a_migration_that_fails_leaves_the_old_entry(old, name, monkeypatch):
    before = contents(old)

    def fail(path, *arguments):
        if path.name == name:
            raise OSError(errno.ENOSPC, "no space left on device")
        return write(path, *arguments)

    write, rename = module.write_file, Path.rename

    def fail_to_rename(path, goal):
        if goal == old and path.name == old.name:
            raise OSError(errno.EACCES, "permission denied")
        return rename(path, goal)

    if name == "rename":
        monkeypatch.setattr(Path, "rename", fail_to_rename)
    else:
        monkeypatch.setattr(module, "write_file", fail)
    with pytest.raises(EntryError, match="cannot be rewritten"):
        migrate(old)
    assert contents(old) == before
    assert list(old.parent.iterdir()) == [old]


def test_a_damaged_entry_is_not_migrated(old):
    path = old / "history.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(IntegrityError, match="history"):
        migrate(old)


def test_an_entry_of_a_newer_format_is_not_migrated(copy):
    edit_json(copy / CONFIG, lambda data: data | {"format": 3, "schedule": []})
    resign(copy)
    with pytest.raises(FormatVersionError, match="newer"):
        migrate(copy)


def test_a_folder_without_entries_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(EntryError, match="no entry"):
            migrate_all(folder)


COMMITTED = sorted(path.parent.name for path in (ROOT / "checkpoints").glob(f"*/{MANIFEST}"))


@pytest.mark.parametrize("name", ["heat-mlp-adam", "wave-siren-levenberg_marquardt"])
def test_committed_entries_keep_their_weights_to_the_bit(name, tmp_path, capsys):
    folder = Path(shutil.copytree(ROOT / "checkpoints" / name, tmp_path / name))
    before = contents(folder)
    published = Entry.read(ROOT / "checkpoints" / name)
    script = runpy.run_path(str(ROOT / "scripts" / "migrate_entries.py"))
    script["main"].callback(tmp_path)
    script["main"].callback(tmp_path)
    assert "0 rewritten, 1 in the newest formats already." in capsys.readouterr().out
    after = contents(folder)
    assert {key for key in before if before[key] != after.get(key)} <= REWRITTEN
    entry = Entry.read(folder, verify="all")
    np.testing.assert_array_equal(entry.theta, published.theta)
    assert entry.recipe == published.recipe
    assert entry.metrics == published.metrics


def test_recipes_and_metrics_of_all_committed_entries_are_converted():
    for name in COMMITTED:
        folder = EntryFolder.open(ROOT / "checkpoints" / name)
        recipe, metrics = folder.recipe(), folder.metrics()
        assert recipe.to_dict()["format"] == metrics["format"] == 2
        stated = json.loads(folder.read(METRICS))
        figures = {k: v for k, v in stated.items() if not isinstance(v, dict)}
        time = figures.pop("wall_time_seconds", None) or figures["training_seconds"]
        assert metrics["training_seconds"] == time or stated["format"] == 2
        assert all(metrics[key] == value for key, value in figures.items() if key != "format")
