import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from pinnzoo.errors import EntryError, FormatVersionError, IntegrityError
from pinnzoo.storage.folder import (
    CONFIG,
    GOLDEN,
    HISTORY,
    MANIFEST,
    METRICS,
    EntryFolder,
    pack,
    record,
)
from tests.store.made_entries import edit_json, resign


def test_sound_folder_is_opened_and_read(entry, stored):
    folder = EntryFolder.open(str(stored))
    folder.verify()
    assert folder.recipe().digest == entry.recipe.digest
    assert folder.metrics() == entry.metrics
    np.testing.assert_array_equal(folder.arrays(HISTORY)["loss"], entry.history["loss"])


@pytest.mark.parametrize("name", ["README.md", "plots/loss.png", ".gitattributes", ".cache/x"])
def test_files_that_are_no_part_of_an_entry_are_left_alone(copy, name):
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_text("text")
    EntryFolder.open(copy).verify()


@pytest.mark.parametrize(
    "name",
    [
        "weights.pkl",
        "params/weights.pkl",
        "params/state/d/extra",
        "plots/loss.py",
        "plots/deep/loss.png",
        "code/model.py",
        "conftest.py",
        ".hidden",
        "params/.hidden",
        "params/README.md",
        "manifest.json.bak",
    ],
)
def test_extra_file_is_refused(copy, name):
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes(pickle.dumps(print))
    with pytest.raises(IntegrityError):
        EntryFolder.open(copy)


@pytest.mark.parametrize(
    "name", [CONFIG, MANIFEST, GOLDEN, "params/_CHECKPOINT_METADATA", "plots", "README.md", "extra"]
)
def test_link_is_refused(copy, tmp_path, name):
    target = tmp_path / "elsewhere"
    if (copy / name).exists():
        (copy / name).rename(target)
    else:
        target.mkdir()
    (copy / name).symlink_to(target)
    with pytest.raises(IntegrityError, match="link"):
        EntryFolder.open(copy)


def test_linked_tree_is_refused(copy, tmp_path):
    (copy / "params").rename(tmp_path / "elsewhere")
    (copy / "params").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError):
        EntryFolder.open(copy)


def test_file_that_becomes_a_link_after_the_folder_was_opened_is_refused(copy, tmp_path):
    folder = EntryFolder.open(copy)
    (copy / CONFIG).rename(tmp_path / "elsewhere")
    (copy / CONFIG).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match=r"config\.json"):
        folder.read(CONFIG)


def test_pipe_is_refused(copy):
    os.mkfifo(copy / "params" / "pipe")
    with pytest.raises(IntegrityError, match="device"):
        EntryFolder.open(copy)


@pytest.mark.parametrize("name", [CONFIG, METRICS, GOLDEN, HISTORY, "model.safetensors"])
def test_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(IntegrityError, match=f"'{name}' is missing"):
        EntryFolder.open(copy)


def test_truncated_file_is_named(copy):
    path = copy / HISTORY
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=r"'history\.npz' has \d+ bytes"):
        EntryFolder.open(copy)


@pytest.mark.parametrize(
    "path",
    [
        "../outside",
        "params/../../outside",
        "/etc/passwd",
        "params//x",
        "params/./x",
        "params\\x",
        "C:/x",
        "",
        "params/",
        "plots/x.png",
        "evil.pkl",
        "params/" + "é",
        "params/.x",
        "params/\x00",
    ],
)
def test_manifest_with_an_impossible_path_is_refused(copy, path):
    (copy.parent / "outside").write_text("")

    def add(manifest):
        manifest["files"][path] = record(b"")

    edit_json(copy / MANIFEST, add)
    with pytest.raises(IntegrityError, match="lists the path"):
        EntryFolder.open(copy)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"entry": ...}, "entry"),
        ({"surprise": 1}, "surprise"),
        ({"files": {}}, "does not list"),
        ({"files": []}, "files"),
        ({"files": {CONFIG: {"sha256": "0" * 64}}}, "size"),
        ({"files": {CONFIG: {"sha256": "0" * 63, "size": 1}}}, "impossible"),
        ({"files": {CONFIG: {"sha256": "0" * 64, "size": -1}}}, "impossible"),
        ({"files": {CONFIG: {"sha256": "0" * 64, "size": 1 << 40}}}, "impossible"),
        ({"files": {CONFIG: {"sha256": "0" * 64, "size": 1.0}}}, "size"),
        ({"format": True}, "format"),
        ({"format": None}, "format"),
        ({"versions": {"jax": 3}}, "versions.jax"),
    ],
    ids=str,
)
def test_impossible_manifest_is_refused(copy, change, word):
    def alter(manifest):
        for key, value in change.items():
            if value is ...:
                del manifest[key]
            else:
                manifest[key] = value

    edit_json(copy / MANIFEST, alter)
    with pytest.raises(IntegrityError, match=word):
        EntryFolder.open(copy)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "[" * 100_000, '{"format": NaN}', " " * 2_000_000]
)
def test_manifest_that_is_no_object_is_refused(copy, text):
    (copy / MANIFEST).write_text(text)
    with pytest.raises(IntegrityError, match=r"manifest\.json"):
        EntryFolder.open(copy)


@pytest.mark.parametrize("version", [0, 2, 10**20])
def test_folder_of_another_format_is_refused(copy, version):
    edit_json(copy / MANIFEST, lambda _: {"format": version})
    with pytest.raises(FormatVersionError, match="reads format 1"):
        EntryFolder.open(copy)


def test_manifest_of_another_entry_is_refused(copy):
    edit_json(copy / MANIFEST, lambda manifest: manifest | {"entry": "heat-mlp-adam"})
    with pytest.raises(IntegrityError, match="heat-mlp-adam"):
        EntryFolder.open(copy).recipe()


def test_what_is_not_the_folder_of_an_entry_is_refused(tmp_path):
    with pytest.raises(EntryError, match=r"no manifest\.json"):
        EntryFolder.open(tmp_path)
    with pytest.raises(EntryError, match="no folder"):
        EntryFolder.open(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(EntryError, match="no folder"):
        EntryFolder.open(tmp_path / "file")


def test_too_many_files_are_refused(copy):
    for k in range(1001):
        (copy / "params" / f"f{k}").touch()
    with pytest.raises(IntegrityError, match="more than 1000"):
        EntryFolder.open(copy)


def test_packed_arrays_are_unpacked_exactly(copy):
    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "points.left": np.array([[np.nan, -0.0]]),
        "words": np.array(["equation", "left"]),
        "small": np.array([1, 2], np.int32),
        "number": np.array(2.5),
    }
    (copy / HISTORY).write_bytes(pack(arrays))
    resign(copy)
    read = EntryFolder.open(copy).arrays(HISTORY)
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
        assert read[name].flags.writeable
    assert pack(arrays) == pack(arrays)


class Bomb:
    """Shows whether it was ever unpickled."""

    exploded = False

    def __reduce__(self):
        return (setattr, (Bomb, "exploded", True))


def npy(array: np.ndarray) -> bytes:
    import io

    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def header(text: str, body: bytes = b"") -> bytes:
    padded = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + body


FLOAT = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }"

BAD_MEMBERS = {
    "object array": {"a.npy": npy(np.array([Bomb()], dtype=object))},
    "structured array": {"a.npy": npy(np.zeros(2, [("x", "f8")]))},
    "bytes array": {"a.npy": npy(np.array([b"x"]))},
    "complex array": {"a.npy": npy(np.zeros(2, complex))},
    "dates": {"a.npy": npy(np.array(["2020-01-01"], "M8[D]"))},
    "pickle": {"a.npy": pickle.dumps(Bomb())},
    "no array": {"a.npy": b""},
    "no suffix": {"a": npy(np.zeros(2))},
    "pickle by name": {"a.pkl": npy(np.zeros(2))},
    "missing body": {"a.npy": header(FLOAT % "3,")},
    "huge shape": {"a.npy": header(FLOAT % "1000000000000, 1000000000000")},
    "negative shape": {"a.npy": header(FLOAT % "-1,")},
    "too much body": {"a.npy": header(FLOAT % "1,", bytes(16))},
    "code for a header": {"a.npy": header("__import__('os').abort()")},
    "list for a header": {"a.npy": header("[1, 2]")},
}


@pytest.mark.parametrize("members", BAD_MEMBERS.values(), ids=BAD_MEMBERS)
def test_npz_with_anything_but_plain_arrays_is_refused(copy, members):
    with zipfile.ZipFile(copy / HISTORY, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    resign(copy)
    with pytest.raises(IntegrityError, match=r"'history\.npz' cannot be unpacked") as caught:
        EntryFolder.open(copy).arrays(HISTORY)
    assert "\n" not in str(caught.value)
    assert not Bomb.exploded


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_npz_with_two_arrays_of_one_name_is_refused(copy):
    with zipfile.ZipFile(copy / HISTORY, "w") as archive:
        for value in (1.0, 2.0):
            archive.writestr("a.npy", npy(np.array([value])))
    resign(copy)
    with pytest.raises(IntegrityError, match="no new array"):
        EntryFolder.open(copy).arrays(HISTORY)


def test_npz_that_unpacks_to_too_much_is_refused_unread(copy, monkeypatch):
    monkeypatch.setattr("pinnzoo.storage.folder.MAX_UNPACKED", 10_000)
    (copy / HISTORY).write_bytes(pack({"a": np.zeros(2000)}))
    resign(copy)
    with pytest.raises(IntegrityError, match="too many bytes"):
        EntryFolder.open(copy).arrays(HISTORY)


def test_npz_that_is_no_archive_is_refused(copy):
    (copy / HISTORY).write_bytes(pickle.dumps(Bomb()))
    resign(copy)
    with pytest.raises(IntegrityError, match="cannot be unpacked"):
        EntryFolder.open(copy).arrays(HISTORY)
    assert not Bomb.exploded


def test_manifest_is_readable_json(stored):
    data = json.loads((stored / MANIFEST).read_text(encoding="utf-8"))
    assert data["files"][CONFIG] == record((stored / CONFIG).read_bytes())
