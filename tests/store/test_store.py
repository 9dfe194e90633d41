import dataclasses
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from flax import nnx
from orbax.checkpoint import v1 as ocp

import pinnzoo
from pinnzoo.entry import Entry
from pinnzoo.errors import (
    EntryError,
    FormatVersionError,
    IntegrityError,
    PinnzooError,
    PrecisionError,
    RecipeError,
    UnknownNameError,
)
from pinnzoo.storage import folder as layout
from pinnzoo.storage import store
from pinnzoo.storage.arrays import pack
from tests.oracles import kernel_rounding
from tests.store.made_entries import edit_json, made_entry, made_parts, made_recipe, resign

POINTS = np.random.default_rng(3).uniform(0, 1, (20, 2))


def files(folder) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def assert_same(a: Entry, b: Entry) -> None:
    assert a.recipe.digest == b.recipe.digest
    assert a.metrics == b.metrics
    np.testing.assert_array_equal(a.theta, b.theta)
    np.testing.assert_array_equal(a.predict(POINTS), b.predict(POINTS))
    np.testing.assert_array_equal(a.snapshots.steps, b.snapshots.steps)
    np.testing.assert_array_equal(a.snapshots.thetas, b.snapshots.thetas)
    assert set(a.history) == set(b.history)
    for name, column in a.history.items():
        np.testing.assert_array_equal(column, b.history[name])
    np.testing.assert_array_equal(a.ntk.spectra, b.ntk.spectra)
    np.testing.assert_array_equal(a.ntk.drift(), b.ntk.drift())
    assert (np.abs(a.ntk.kernels - b.ntk.kernels) <= kernel_rounding(a.ntk.kernels)).all()


@pytest.mark.parametrize("verify", ["read", "all"])
def test_stored_entry_is_the_entry(entry, stored, verify):
    assert_same(Entry.read(stored, verify=verify), entry)


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("fourier_mlp", {"width": 4, "depth": 2, "features": 3, "scale": 2.0}),
        ("modified_mlp", {"width": 4, "depth": 2, "periodic_axes": (1,), "harmonics": 2}),
    ],
)
def test_every_architecture_survives_with_its_buffers(architecture, arguments, tmp_path):
    made = made_entry(architecture=architecture, architecture_arguments=arguments)
    made.model.inputs.normalize.center[...] = np.array([0.3, 0.1])  # pyright: ignore
    read = Entry.read(made.save(tmp_path / "a folder with spaces"))
    assert_same(read, made)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(read.model), nnx.state(made.model))


def test_float32_entry_stays_float32(tmp_path):
    parts = made_parts(made_recipe())
    recipe = made_recipe(dtype="float32")
    state = nnx.state(parts["model"])
    single = jax.tree.map(lambda a: a.astype(np.float32), state)
    model = nnx.merge(nnx.graphdef(parts["model"]), single)
    thetas = parts["snapshots"].thetas.astype(np.float32)
    changed = {
        "recipe": recipe,
        "model": model,
        "metrics": parts["metrics"] | {"dtype": "float32"},
        "snapshots": pinnzoo.entry.Snapshots(parts["snapshots"].steps, thetas),  # pyright: ignore
    }
    made = Entry.from_training(**(parts | changed))
    read = Entry.read(made.save(tmp_path / "single"), verify="all")
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(read.model))} == {np.dtype("float32")}
    assert_same(read, made)


def test_folder_holds_what_the_manifest_lists_and_nothing_else(stored):
    manifest = layout.EntryFolder.open(stored).manifest
    assert set(files(stored)) == {*manifest["files"], layout.MANIFEST}
    assert {*layout.FILES} <= set(manifest["files"])
    assert manifest["dtype"] == "float64"
    assert manifest["versions"]["jax"] == jax.__version__
    assert not any("commit_success" in name for name in manifest["files"])


def test_no_stored_file_names_a_folder_of_this_machine(stored):
    for name, content in files(stored).items():
        assert str(stored.parent).encode() not in content, name


def test_command_that_names_a_folder_of_this_machine_is_refused(entry, tmp_path):
    with pytest.raises(IntegrityError, match="this machine"):
        entry.save(tmp_path / "e", command=f"pinnzoo train {tmp_path}/recipe.json")
    assert list(tmp_path.iterdir()) == []


def test_saved_twice_the_entry_has_the_same_arrays(entry, stored, tmp_path):
    again, before = files(entry.save(tmp_path / "again")), files(stored)
    for name in (*layout.FILES,):
        assert again[name] == before[name], name


def test_safetensors_file_holds_the_weights_by_path(entry, stored):
    import safetensors.numpy

    copy = safetensors.numpy.load_file(stored / layout.SAFETENSORS)
    np.testing.assert_array_equal(copy["hidden.1.kernel"], entry.model.hidden[1].kernel[...])
    np.testing.assert_array_equal(copy["inputs.normalize.center"], [0.5, 0.0])


def test_orbax_alone_reads_the_weights(entry, stored):
    tree = ocp.load(str(stored / layout.PARAMS))
    np.testing.assert_array_equal(tree["hidden"]["1"]["kernel"], entry.model.hidden[1].kernel[...])


def test_the_last_snapshot_is_not_stored_beside_the_network(entry, stored):
    tree = ocp.load(str(stored / layout.SNAPSHOTS))
    np.testing.assert_array_equal(tree["steps"], entry.snapshots.steps)
    assert len(tree["params"]["hidden"]["1"]["kernel"]) == len(entry.snapshots) - 1


def test_snapshots_that_are_stored_with_the_last_are_read(entry, copy):
    params = nnx.filter_state(nnx.state(entry.model), nnx.Param)
    stacked = nnx.to_pure_dict(store.stack_parameters(params, entry.snapshots.thetas))
    steps = entry.snapshots.steps.astype(np.int32)
    shutil.rmtree(copy / layout.SNAPSHOTS)
    store._save_tree(copy / layout.SNAPSHOTS, {"steps": steps, "params": stacked}, {})
    resign(copy)
    assert_same(Entry.read(copy, verify="all"), entry)


def test_one_snapshot_alone_is_stored_and_read(tmp_path):
    parts = made_parts(made_recipe())
    last = parts["snapshots"]
    parts["snapshots"] = pinnzoo.entry.Snapshots(last.steps[-1:], last.thetas[-1:])  # pyright: ignore
    made = Entry.from_training(**parts)
    assert_same(Entry.read(made.save(tmp_path / "one"), verify="all"), made)


def test_existing_folder_is_not_overwritten_unasked(entry, stored):
    before = files(stored)
    with pytest.raises(EntryError, match="overwrite=True"):
        entry.save(stored)
    assert files(stored) == before


def test_overwriting_replaces_an_entry(entry, copy):
    other = made_entry(seed=9)
    other.save(copy, overwrite=True)
    assert_same(Entry.read(copy), other)
    assert sorted(p.name for p in copy.parent.iterdir()) == [copy.name]


def test_overwriting_keeps_what_was_no_part_of_the_entry(entry, copy):
    for name in ("notes.txt", "plots/mine.png", "history.png", "deep/a/b", "README.md"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("precious")
    (copy / "link").symlink_to("notes.txt")
    other = made_entry(seed=9)
    other.save(copy, overwrite=True)
    assert_same(Entry.read(copy), other)
    for name in ("notes.txt", "history.png", "deep/a/b", "link"):
        assert (copy / name).read_text() == "precious"
    # The card and the plots of the old entry would tell of another one.
    assert not (copy / "README.md").exists()
    assert not (copy / "plots").exists()
    assert (copy / "link").is_symlink()


def test_overwriting_keeps_all_that_can_be_no_part_of_an_entry(entry, copy):
    notes = ["notes.txt", "plots/mine.pdf", *(f"frames/{k}.png" for k in range(3))]
    notes += [f"frame{k}.png" for k in range(1200)]
    for name in notes:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_bytes(b"mine")
    # An entry of a newer version, of whose files nobody here knows all.
    edit_json(copy / layout.MANIFEST, lambda data: data | {"format": layout.FOLDER_FORMAT + 1})
    (copy / "plots" / "solution.png").write_bytes(b"of the old entry")
    entry.save(copy, overwrite=True)
    assert all((copy / name).read_bytes() == b"mine" for name in notes)
    assert not (copy / "plots" / "solution.png").exists()
    entry.save(copy, overwrite=True)
    assert all((copy / name).read_bytes() == b"mine" for name in notes)


def test_folder_of_pictures_may_become_an_entry(entry, tmp_path):
    place = tmp_path / "pictures"
    (place / "plots").mkdir(parents=True)
    for name in ("history.png", "plots/ntk.png", ".DS_Store"):
        (place / name).write_bytes(b"picture")
    with pytest.raises(EntryError, match="overwrite=True"):
        entry.save(place)
    entry.save(place, overwrite=True)
    assert_same(Entry.read(place), entry)
    assert (place / "history.png").read_bytes() == b"picture"
    (place / "notes.txt").write_text("")
    (place / layout.MANIFEST).unlink()
    with pytest.raises(EntryError, match="not the folder of an entry"):
        entry.save(place, overwrite=True)


@pytest.mark.parametrize("kind", ["folder", "file", "link", "empty"])
def test_overwriting_replaces_nothing_but_an_entry(entry, stored, tmp_path, kind):
    target = tmp_path / "target"
    if kind == "file":
        target.write_text("precious")
    elif kind == "link":
        target.symlink_to(stored)
    else:
        target.mkdir()
    if kind == "folder":
        (target / "precious").write_text("data")
    with pytest.raises(EntryError, match="not the folder of an entry"):
        entry.save(target, overwrite=True)
    assert target.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("function", ["_save_tree", "_golden", "pack", "manifest_json", "load"])
def test_interrupted_save_leaves_nothing_behind(entry, copy, monkeypatch, function):
    def fail(*_, **__):
        raise KeyboardInterrupt

    before = files(copy)
    with monkeypatch.context() as patch:
        patch.setattr(store, function, fail)
        for target, overwrite in ((copy.parent / "new", False), (copy, True)):
            with pytest.raises(KeyboardInterrupt):
                entry.save(target, overwrite=overwrite)
    assert [p.name for p in copy.parent.iterdir()] == [copy.name]
    assert files(copy) == before


def test_folder_that_cannot_be_written_is_named(entry, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EntryError, match="cannot be written"):
        entry.save(tmp_path / "file" / "entry")


def snapshot(folder):
    return sorted((p.relative_to(folder).as_posix(), p.is_dir()) for p in folder.rglob("*"))


@pytest.mark.parametrize("folder", ["new", "a/b/c", "../x", ".", "entry"])
@pytest.mark.parametrize("entry_there", [False, True])
def test_place_that_can_be_written_is_left_as_it_was(copy, folder, entry_there):
    work = copy.parent / "work"
    work.mkdir()
    if entry_there:
        shutil.copytree(copy, work / "entry")
    before = snapshot(copy.parent)
    place = store.check_writable(work / folder, overwrite=entry_there, entry=folder != ".")
    assert place == (work / folder).resolve()
    assert snapshot(copy.parent) == before


def test_place_that_cannot_be_written_is_named_before_the_work(entry, copy, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("")
    refused = {
        tmp_path / "file": "not the folder of an entry",
        tmp_path / "file" / "entry": "cannot be written",
        tmp_path / "foreign": "not the folder of an entry",
        tmp_path / ("x" * 300): "cannot be written",
        tmp_path / "a\0b": "null character",
        "~nobody-of-this-name/x": "cannot exist",
        "/proc/entry": "cannot be written",
    }
    before = snapshot(tmp_path)
    for place, message in refused.items():
        with pytest.raises(EntryError, match=message):
            store.check_writable(place, overwrite=True)
        with pytest.raises(EntryError, match=message):
            entry.save(place, overwrite=True)
    with pytest.raises(EntryError, match="overwrite=True"):
        store.check_writable(copy, overwrite=False)
    assert snapshot(tmp_path) == before

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", full)
        with pytest.raises(EntryError, match="No space left"):
            store.check_writable(tmp_path / "a" / "b", overwrite=False)
    assert snapshot(tmp_path) == before


ODD = [
    "back\\slash",
    "gs:",
    "gs:/x",
    "s3:",
    "a//b",
    "new\nline",
    "umlaut \u00fc",
    "%20",
    "#1",
    "[x]",
    "~x",
]


@pytest.mark.parametrize("name", ODD)
def test_folder_may_have_any_path(entry, tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = f"./{name}" if name.startswith("~") else name
    assert_same(Entry.read(entry.save(place), verify="all"), entry)
    assert_same(pinnzoo.load(f"./{name}/"), entry)
    assert_same(Entry.read(place), entry)
    entry.save(place, overwrite=True)


def test_orbax_reads_the_bytes_that_were_compared_and_no_others(entry, copy, monkeypatch):
    """Files that change between the comparison and the reading change nothing."""
    tree = layout.EntryFolder.tree

    def exchange(folder, name):
        content = tree(folder, name)
        for path in (copy / name).rglob("*"):
            if path.is_file():
                path.write_bytes(b"evil")
        return content

    monkeypatch.setattr(layout.EntryFolder, "tree", exchange)
    np.testing.assert_array_equal(Entry.read(copy).theta, entry.theta)


@pytest.mark.parametrize(
    "cause",
    [
        OSError(24, "Too many open files"),
        MemoryError(),
        ImportError("No module named 'zstandard'"),
        RuntimeError("can't start new thread"),
        ValueError("RESOURCE_EXHAUSTED: Too many open files"),
        AssertionError(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("function", ["load", "metadata"])
def test_what_orbax_cannot_do_here_is_no_damage(copy, monkeypatch, cause, function):
    def fail(*_, **__):
        raise cause

    monkeypatch.setattr(ocp, function, fail)
    monkeypatch.setattr(ocp, "save", fail)
    with pytest.raises(EntryError, match="cannot be read here") as caught:
        Entry.read(copy)
    assert not isinstance(caught.value, IntegrityError)
    assert "damaged" not in str(caught.value)


def test_device_that_fails_is_no_damage(copy, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(store.jnp, "asarray", fail)
    with pytest.raises(EntryError, match="Out of memory") as caught:
        Entry.read(copy)
    assert not isinstance(caught.value, IntegrityError)


def test_temporary_folder_that_is_missing_is_named(copy, monkeypatch, tmp_path):
    monkeypatch.setattr(store.tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(EntryError, match="TMPDIR"):
        Entry.read(copy)


FRESH = """
import sys, pinnzoo, jax
from pinnzoo.errors import PinnzooError
pinnzoo.enable_x64()
for _ in range(2):
    try:
        pinnzoo.load(sys.argv[1])
    except PinnzooError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("platform", ["cuda", "tpu", "rocm", "nonsense"])
def test_platform_that_is_not_there_is_no_damage(stored, platform):
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(stored)],
        capture_output=True,
        text=True,
        env=os.environ | {"JAX_PLATFORMS": platform},
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    for line in (first, second):
        assert "JAX has no device" in line
        assert f"JAX_PLATFORMS='{platform}'" in line
        assert "damaged" not in line


def test_missing_library_is_no_damage(copy, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(EntryError, match="install what is missing") as caught:
        Entry.read(copy, verify="all")
    assert not isinstance(caught.value, IntegrityError)


def test_double_precision_of_one_thread_is_enough(stored, entry, single_precision):
    expected = entry.theta

    def read(_):
        with jax.enable_x64(True):
            read = pinnzoo.load(stored, verify="all")
            return read.theta, read.predict(POINTS), read.model

    found = [read(0)]
    with ThreadPoolExecutor(6) as pool:
        found += pool.map(read, range(6))
    with jax.enable_x64(True):
        values = entry.predict(POINTS)
    for theta, predicted, model in found:
        np.testing.assert_array_equal(theta, expected)
        np.testing.assert_array_equal(predicted, values)
        assert {a.dtype for a in jax.tree.leaves(nnx.state(model))} == {np.dtype("float64")}
    with pytest.raises(PrecisionError):
        pinnzoo.load(stored)


def test_records_are_float64_whatever_jax_makes_when_they_are_touched(stored, entry):
    read = pinnzoo.load(stored)
    with jax.enable_x64(False):
        np.testing.assert_array_equal(read.snapshots.thetas, entry.snapshots.thetas)
        np.testing.assert_array_equal(read.theta, entry.theta)


def test_entry_is_neither_used_nor_saved_in_fewer_digits(stored, tmp_path):
    read = pinnzoo.load(stored)
    with jax.enable_x64(False):
        with pytest.raises(PrecisionError, match="float64"):
            read.predict(POINTS)
        with pytest.raises(PrecisionError, match="float64"):
            read.save(tmp_path / "single")
    assert list(tmp_path.iterdir()) == []


def test_numpy_numbers_in_metrics_are_saved(entry, tmp_path):
    metrics = entry.metrics | {
        "loss": np.float32(0.5),
        "steps": np.int64(entry.metrics["steps"]),
        "mine": {"version": np.int8(1), "list": np.arange(3), "flag": np.bool_(True)},
    }
    made = dataclasses.replace(entry)
    made.metrics.update(metrics)
    read = Entry.read(made.save(tmp_path / "numpy"), verify="all")
    assert read.metrics["loss"] == 0.5
    assert read.metrics["mine"] == {"version": 1, "list": [0, 1, 2], "flag": True}
    again = Entry.read(read.save(tmp_path / "again"))
    assert again.metrics["mine"] == read.metrics["mine"]


def test_digest_tells_arrays_apart_and_nothing_else(entry, stored, tmp_path):
    one = layout.EntryFolder.open(stored).manifest
    two = layout.EntryFolder.open(entry.save(tmp_path / "again")).manifest
    assert one["arrays"] == two["arrays"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
    assert one["files"] != two["files"]
    trees = [
        {"a": np.zeros((2, 3))},
        {"a": np.zeros((3, 2))},
        {"b": np.zeros((2, 3))},
        {"a": np.zeros((2, 3), np.float32)},
        {"a": np.array([[0, 0, 0], [0, 0, 1.0]])},
        {"a": {"b": np.zeros((2, 3))}},
    ]
    assert len({store._digest(tree) for tree in trees}) == len(trees)


@pytest.mark.parametrize(
    ("kind", "argument"), [("problem", "problem="), ("architecture", "model=")]
)
def test_who_provides_what_is_not_known_is_said(copy, kind, argument):
    edit_json(copy / layout.CONFIG, lambda config: config | {kind: "future"})
    name = pinnzoo.Recipe.from_json((copy / layout.CONFIG).read_bytes()).name
    provided = {"entry": name, "providers": {kind: "their-package 1.2"}}
    edit_json(copy / layout.MANIFEST, lambda manifest: manifest | provided)
    resign(copy)
    with pytest.raises(UnknownNameError) as caught:
        Entry.read(copy)
    for word in ("'future'", "their-package 1.2", f"pinnzoo.register_{kind}", argument):
        assert word in str(caught.value)
    edit_json(copy / layout.MANIFEST, lambda manifest: manifest | {"providers": {}})
    with pytest.raises(UnknownNameError, match=f"pinnzoo.register_{kind}"):
        Entry.read(copy)


def test_nan_weights_are_not_saved(tmp_path):
    entry = made_entry()
    entry.model.output.bias[...] = np.array([np.nan])  # pyright: ignore
    with pytest.raises(IntegrityError, match=r"output\.bias"):
        entry.save(tmp_path / "nan")
    assert list(tmp_path.iterdir()) == []


def test_model_that_left_its_last_snapshot_is_not_saved(tmp_path):
    entry = made_entry()
    entry.model.output.bias[...] = np.array([1.0])  # pyright: ignore
    with pytest.raises(IntegrityError, match="last"):
        entry.save(tmp_path / "moved")


def test_float64_entry_is_refused_without_x64(stored, single_precision):
    with pytest.raises(PrecisionError, match="enable_x64"):
        pinnzoo.load(stored)


def rewrite_params(folder, change) -> None:
    """Replace the weights and make every hash right again."""
    tree = jax.tree.map(np.array, ocp.load(str(folder / layout.PARAMS)))
    changed = change(tree) or tree
    store._save_tree(folder / "new", changed, {})
    import shutil

    shutil.rmtree(folder / layout.PARAMS)
    (folder / "new").rename(folder / layout.PARAMS)

    def relist(manifest) -> None:
        kept = {n: r for n, r in manifest["files"].items() if not n.startswith(layout.PARAMS)}
        new = {n: {} for n in files(folder) if n.startswith(layout.PARAMS)}
        manifest["files"] = kept | new

    edit_json(folder / layout.MANIFEST, relist)
    resign(folder)


def test_rewritten_weights_that_are_the_same_are_read(entry, copy):
    rewrite_params(copy, lambda _: None)
    assert_same(Entry.read(copy, verify="all"), entry)


def test_weights_of_another_dtype_are_refused(copy):
    rewrite_params(copy, lambda tree: jax.tree.map(lambda a: a.astype(np.float32), tree))
    with pytest.raises(IntegrityError, match="float32 of shape"):
        Entry.read(copy)


def test_weights_of_another_shape_are_refused(copy):
    def widen(tree):
        tree["hidden"]["0"]["bias"] = np.zeros(5)

    rewrite_params(copy, widen)
    with pytest.raises(IntegrityError, match=r"hidden\.0\.bias"):
        Entry.read(copy)


@pytest.mark.parametrize("change", ["more", "less"])
def test_weights_with_other_layers_are_refused(copy, change):
    def alter(tree):
        if change == "more":
            tree["hidden"]["2"] = tree["hidden"]["1"]
        else:
            del tree["hidden"]["1"]

    rewrite_params(copy, alter)
    with pytest.raises(IntegrityError, match="absent"):
        Entry.read(copy)


def test_nan_weights_are_refused(copy):
    def spoil(tree):
        tree["hidden"]["1"]["kernel"][0, 0] = np.nan

    rewrite_params(copy, spoil)
    with pytest.raises(IntegrityError, match=r"hidden\.1\.kernel.*NaN"):
        Entry.read(copy)


@pytest.mark.parametrize("leaf", ["kernel", "bias"])
def test_other_weights_do_not_give_the_golden_values(copy, leaf):
    def nudge(tree):
        tree["hidden"]["1"][leaf] *= 1 + 1e-6
        tree["hidden"]["1"][leaf] += 1e-7

    rewrite_params(copy, nudge)
    with pytest.raises(IntegrityError, match="golden"):
        Entry.read(copy)


def test_other_buffers_do_not_give_the_golden_values(copy):
    def shift(tree):
        tree["inputs"]["normalize"]["center"] += 1e-7

    rewrite_params(copy, shift)
    with pytest.raises(IntegrityError, match="golden"):
        Entry.read(copy)


def test_an_equation_that_computes_something_else_is_noticed(copy):
    def thicken(config):
        config["problem_arguments"]["viscosity"] = 0.05 + 1e-6

    edit_json(copy / layout.CONFIG, thicken)
    resign(copy)
    with pytest.raises(IntegrityError, match=r"residual .* golden"):
        Entry.read(copy)


def test_safetensors_that_differ_from_the_weights_are_noticed(copy):
    import safetensors.numpy

    path = copy / layout.SAFETENSORS
    tensors = {name: array.copy() for name, array in safetensors.numpy.load_file(path).items()}
    tensors["output.bias"][0] = np.nextafter(tensors["output.bias"][0], 1)
    safetensors.numpy.save_file(tensors, path)
    resign(copy)
    Entry.read(copy)
    with pytest.raises(IntegrityError, match="safetensors"):
        Entry.read(copy, verify="all")
    path.write_bytes(b"nonsense")
    resign(copy)
    with pytest.raises(IntegrityError, match="safetensors"):
        Entry.read(copy, verify="all")


@pytest.mark.parametrize(
    ("part", "tree"), [("history", "history.npz"), ("ntk", "ntk.npz"), ("snapshots", "snapshots/")]
)
def test_heavy_parts_are_verified_when_they_are_touched(stored, copy, part, tree):
    name = next(n for n in sorted(files(copy), reverse=True) if n.startswith(tree))
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    entry = Entry.read(copy)
    entry.predict(POINTS)
    with pytest.raises(IntegrityError, match="SHA-256"):
        getattr(entry, part)
    with pytest.raises(IntegrityError, match="SHA-256"):
        Entry.read(copy, verify="all")


def test_heavy_parts_are_read_once(stored):
    entry = Entry.read(stored)
    assert entry.ntk is entry.ntk
    assert entry.history is entry.history
    assert entry.snapshots is entry.snapshots


def pack_golden(folder, **changes) -> None:
    arrays = layout.EntryFolder.open(folder).arrays(layout.GOLDEN) | changes
    (folder / layout.GOLDEN).write_bytes(pack({k: v for k, v in arrays.items() if v is not None}))
    resign(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"points": np.zeros((0, 2)), "values": np.zeros((0, 1)), "residual": np.zeros(0)},
        {"values": None},
        {"values": np.zeros((32, 1), np.float32)},
        {"values": np.full((32, 1), np.nan)},
        {"residual_scale": np.array([np.inf])},
        {"extra": np.zeros(3)},
    ],
    ids=str,
)
def test_golden_values_that_could_prove_nothing_are_refused(copy, changes):
    pack_golden(copy, **changes)
    with pytest.raises(IntegrityError, match=r"golden\.npz"):
        Entry.read(copy)


@pytest.mark.parametrize(("roundings", "same"), [(0.1, True), (10, True), (100, False)])
def test_golden_values_may_differ_by_what_rounding_makes_of_the_parameters(
    copy, monkeypatch, roundings, same
):
    """Huge parameters that cancel amplify rounding, which differs between processors."""
    monkeypatch.setitem(store.GOLDEN_TOLERANCE, "float64", 0.0)
    arrays = layout.EntryFolder.open(copy).arrays(layout.GOLDEN)
    plan = store.blueprint(layout.EntryFolder.open(copy).recipe())
    state = nnx.state(Entry.read(copy).model)
    moved, _ = store._rounding(plan, state, arrays["points"], "float64")
    assert 1e-18 < moved < 1e-13
    values = arrays["values"].copy()
    values[3] += roundings * moved
    pack_golden(copy, values=values)
    if same:
        Entry.read(copy)
    else:
        with pytest.raises(IntegrityError, match="golden values"):
            Entry.read(copy)


@pytest.mark.parametrize("name", ["values", "residual"])
def test_golden_values_are_compared(copy, name):
    arrays = layout.EntryFolder.open(copy).arrays(layout.GOLDEN)
    changed = arrays[name].copy()
    changed[3] += 1e-7 * arrays["residual_scale"][0]
    pack_golden(copy, **{name: changed})
    with pytest.raises(IntegrityError, match="golden values"):
        Entry.read(copy)


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        ({"problem": "burgerz"}, IntegrityError, "burgerz"),
        ({"architecture": "transformer"}, IntegrityError, "transformer"),
        ({"format": 3}, FormatVersionError, "newer"),
        ({"dtype": "float32"}, IntegrityError, "float32"),
        ({"seed": "zero"}, RecipeError, "seed"),
    ],
    ids=str,
)
def test_config_that_does_not_fit_is_refused(copy, change, error, word):
    edit_json(copy / layout.CONFIG, lambda config: config | change)
    resign(copy)
    with pytest.raises(error, match=word):
        Entry.read(copy)


@pytest.mark.parametrize("kind", ["problem", "architecture"])
def test_unknown_problem_and_architecture_are_refused_by_name(copy, kind):
    edit_json(copy / layout.CONFIG, lambda config: config | {kind: "future"})
    name = pinnzoo.Recipe.from_json((copy / layout.CONFIG).read_bytes()).name
    edit_json(copy / layout.MANIFEST, lambda manifest: manifest | {"entry": name})
    resign(copy)
    with pytest.raises(UnknownNameError, match=f"unknown {kind} 'future'"):
        Entry.read(copy)


def test_metrics_of_another_network_are_refused(copy):
    edit_json(copy / layout.METRICS, lambda metrics: metrics | {"parameters": 36})
    resign(copy)
    with pytest.raises(IntegrityError, match="36 parameters"):
        Entry.read(copy)


@pytest.mark.parametrize("verify", ["none", None, True])
def test_unknown_ways_to_verify_are_refused(stored, verify):
    with pytest.raises(EntryError, match="allowed are"):
        Entry.read(stored, verify=verify)


@pytest.mark.parametrize(
    "name", ["_CHECKPOINT_METADATA", "state/_METADATA", "state/manifest.ocdbt"]
)
@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff" * 100, b"null"], ids=["none", "{}", "[]", "xff", "null"]
)
def test_orbax_folder_that_makes_no_sense_is_refused_in_a_sentence(
    copy, stored, name, content, capfd
):
    (copy / layout.PARAMS / name).write_bytes(content)
    resign(copy)
    if name == "_CHECKPOINT_METADATA":
        # Orbax does without this file, and the numbers are those of the others.
        assert_same(Entry.read(copy, verify="all"), Entry.read(stored))
    else:
        with pytest.raises(PinnzooError) as caught:
            Entry.read(copy)
        assert "\n" not in str(caught.value)
    assert "Traceback" not in "".join(capfd.readouterr())
