import shutil

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
    np.testing.assert_allclose(a.ntk.kernels, b.ntk.kernels, rtol=1e-6)


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
    (folder / layout.GOLDEN).write_bytes(
        layout.pack({k: v for k, v in arrays.items() if v is not None})
    )
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
        ({"format": 2}, FormatVersionError, "format 2"),
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
