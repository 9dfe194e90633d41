import errno
import json
import os
import pickle
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pinnzoo.entry import Entry
from pinnzoo.errors import EntryError, FormatVersionError, IntegrityError
from pinnzoo.storage.arrays import pack
from pinnzoo.storage.files import write_file
from pinnzoo.storage.folder import (
    CONFIG,
    GOLDEN,
    HISTORY,
    MANIFEST,
    METRICS,
    EntryFolder,
    names_place,
    record,
)
from tests.store.made_entries import edit_json, resign


def test_sound_folder_is_opened_and_read(entry, stored):
    folder = EntryFolder.open(str(stored))
    folder.verify()
    assert folder.recipe().digest == entry.recipe.digest
    assert folder.metrics() == entry.metrics
    np.testing.assert_array_equal(folder.arrays(HISTORY)["loss"], entry.history["loss"])


STRAYS = [
    "README.md",
    "plots/loss.png",
    ".gitattributes",
    ".cache/x",
    ".DS_Store",
    "params/.DS_Store",
    "._config.json",
    "Thumbs.db",
    "desktop.ini",
    ".ipynb_checkpoints/config-checkpoint.json",
    "README.md~",
    ".config.json.swp",
    "#config.json#",
    ".nfs0000000000a1",
    "LICENSE",
    "history.png",
    "solution.png",
    "manifest.json.bak",
    "params/state/d/extra",
    "plots/deep/loss.png",
    "a name with spaces \u00e9\n",
]


@pytest.mark.parametrize("name", STRAYS)
def test_files_that_are_no_part_of_an_entry_are_left_alone(copy, entry, name):
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes(b"text")
    folder = EntryFolder.open(copy)
    folder.verify()
    ours = name == "README.md" or name.startswith("plots/")
    first = name.split("/")[0] + "/" if name.startswith((".cache", ".ipynb")) else name
    assert folder.strays() == ([] if ours else [first])
    np.testing.assert_array_equal(Entry.read(copy, verify="all").theta, entry.theta)


@pytest.mark.parametrize(
    "name", ["weights.pkl", "params/weights.pkl", "code/model.py", "conftest.py", "params/.hidden"]
)
def test_file_that_the_manifest_does_not_list_is_never_opened(copy, name, monkeypatch):
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes(pickle.dumps(Bomb()))
    opened: list[str] = []
    system = os.open

    def spy(path, *more, **options):
        opened.append(os.fspath(path))
        return system(path, *more, **options)

    monkeypatch.setattr(os, "open", spy)
    Entry.read(copy, verify="all")
    assert any(path.endswith("config.json") for path in opened)
    assert not any(path.endswith(name.rsplit("/", 1)[-1]) for path in opened)
    assert not Bomb.exploded


def test_pipes_and_links_that_are_not_listed_do_not_hinder(copy, tmp_path):
    os.mkfifo(copy / "params" / "pipe")
    (copy / "loop").symlink_to(copy)
    (copy / "plots").symlink_to(tmp_path)
    Entry.read(copy, verify="all")


def link_into(folder, blobs):
    """Lay a folder out as the Hub's client does: links to files named by their hashes."""
    blobs.mkdir()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        blob = blobs / record(path.read_bytes())["sha256"]
        path.replace(blob)
        path.symlink_to(os.path.relpath(blob, path.parent))


def test_folder_of_links_is_read(copy, entry, tmp_path):
    link_into(copy, tmp_path / "blobs")
    assert (copy / MANIFEST).is_symlink()
    np.testing.assert_array_equal(Entry.read(copy, verify="all").theta, entry.theta)


def test_linked_tree_is_read(copy, entry, tmp_path):
    (copy / "params").rename(tmp_path / "elsewhere")
    (copy / "params").symlink_to(tmp_path / "elsewhere")
    np.testing.assert_array_equal(Entry.read(copy, verify="all").theta, entry.theta)


@pytest.mark.parametrize("name", [CONFIG, GOLDEN, "params/_CHECKPOINT_METADATA"])
def test_link_to_other_bytes_is_refused(copy, tmp_path, name):
    content = bytearray((copy / name).read_bytes())
    content[0] ^= 1
    (tmp_path / "elsewhere").write_bytes(content)
    (copy / name).unlink()
    (copy / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="SHA-256"):
        EntryFolder.open(copy).verify()


@pytest.mark.parametrize("target", ["nowhere", ".", "config.json"])
def test_link_that_leads_to_no_file_is_refused(copy, target):
    (copy / CONFIG).unlink()
    (copy / CONFIG).symlink_to(target)
    with pytest.raises(IntegrityError, match=r"'config\.json' is (missing|a folder)"):
        EntryFolder.open(copy)


def test_file_that_becomes_another_after_the_folder_was_opened_is_refused(copy, tmp_path):
    folder = EntryFolder.open(copy)
    (tmp_path / "elsewhere").write_bytes((copy / CONFIG).read_bytes().replace(b"0.05", b"0.06"))
    (copy / CONFIG).unlink()
    (copy / CONFIG).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match=r"config\.json"):
        folder.read(CONFIG)


@pytest.mark.parametrize("name", [CONFIG, "params/_CHECKPOINT_METADATA"])
def test_pipe_in_the_place_of_a_file_is_refused(copy, name):
    folder = EntryFolder.open(copy)
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(IntegrityError, match="device"):
        EntryFolder.open(copy)
    with pytest.raises(IntegrityError, match="device"):
        folder.read(name)


REFUSALS = [
    OSError(errno.EACCES, "Permission denied"),
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENFILE, "Too many open files in system"),
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.ESTALE, "Stale file handle"),
    MemoryError(),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
@pytest.mark.parametrize("name", [MANIFEST, CONFIG, GOLDEN, "model.safetensors"])
def test_what_the_system_refuses_is_no_damage(copy, monkeypatch, refusal, name):
    system = os.open

    def refuse(path, *more, **options):
        if os.fspath(path).endswith(name):
            raise refusal
        return system(path, *more, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(EntryError, match="cannot be read here") as caught:
        Entry.read(copy, verify="all")
    assert not isinstance(caught.value, IntegrityError)
    assert "damaged" not in str(caught.value)
    assert "again" not in str(caught.value).replace("load it again", "")


@pytest.mark.parametrize("path", ["", "manifest.json", "config.json"])
def test_folder_that_may_not_be_entered_is_no_damage(copy, monkeypatch, path):
    system = os.stat

    def refuse(given, *more, **options):
        if not isinstance(given, int) and os.fspath(given) == str(copy / path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return system(given, *more, **options)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(EntryError, match="Permission denied") as caught:
        EntryFolder.open(copy)
    assert not isinstance(caught.value, IntegrityError)


@pytest.mark.parametrize("path", ["~nobody-of-this-name/x", "a\0b", "\ud800", "x" * 5000])
def test_path_that_cannot_exist_is_named(path):
    with pytest.raises(EntryError, match=r"cannot exist|null character|no folder"):
        EntryFolder.open(path)


@pytest.mark.parametrize("name", [CONFIG, METRICS, "params/state/_METADATA"])
def test_line_endings_that_git_changed_are_named(copy, name):
    def lines(content):
        return content.replace(b"}", b"}\n") if b"\n" not in content else content

    (copy / name).write_bytes(lines((copy / name).read_bytes()))
    resign(copy)
    (copy / name).write_bytes((copy / name).read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(IntegrityError, match=r"git changed the line endings.*core\.autocrlf"):
        EntryFolder.open(copy)


def test_clone_with_windows_line_endings_keeps_the_bytes(tmp_path):
    """With this repository's own .gitattributes; see also the message above."""
    root = Path(__file__).parent.parent.parent
    name = "checkpoints/heat-mlp-adam"
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    shutil.copytree(root / name, origin / name)
    shutil.copy(root / ".gitattributes", origin)
    (origin / "own.txt").write_bytes(b"a\nb\n")

    def git(*words, at=origin):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *who, *words], cwd=at, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "x")
    git("-c", "core.autocrlf=true", "clone", str(origin), str(clone), at=tmp_path)
    EntryFolder.open(clone / name).verify()
    assert (clone / "own.txt").read_bytes() == b"a\r\nb\r\n"


@pytest.mark.parametrize(
    ("content", "place", "named"),
    [
        (b"see /home/ann/runs/x", "/home/ann", True),
        (b'"/home/ann"', "/home/ann", True),
        (b"file:///home/ann/x", "/home/ann", True),
        (b"/home/anna/x", "/home/ann", False),
        (b"https://example.org/home/ann/x", "/home/ann", False),
        (b"tests/home/ann", "/home/ann", False),
        (b"\0\1/ab/\2", "/ab", False),
        (b"in /ab/x", "/ab", True),
        (b"a / b", "/", False),
    ],
)
def test_folders_of_this_machine_are_found_as_whole_paths(content, place, named):
    assert names_place(content, place) == named


def test_written_file_may_be_read_by_whom_the_user_lets(tmp_path):
    before = os.umask(0o022)
    try:
        write_file(tmp_path / "deep" / ("x" * 250), b"content")
    finally:
        os.umask(before)
    (written,) = (tmp_path / "deep").iterdir()
    assert written.read_bytes() == b"content"
    assert written.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", [CONFIG, METRICS, GOLDEN, HISTORY, "model.safetensors"])
def test_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(IntegrityError, match=f"'{name}' is missing"):
        EntryFolder.open(copy)


def test_truncated_file_is_named(copy):
    path = copy / HISTORY
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=r"'history\.npz' has \d+ bytes, not \d+"):
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


@pytest.mark.parametrize("version", [3, 10**20])
def test_folder_of_a_newer_format_is_refused(copy, version):
    edit_json(copy / MANIFEST, lambda manifest: manifest | {"format": version})
    with pytest.raises(
        FormatVersionError, match=r"newer than .* install pinnzoo \d.*or a newer one"
    ):
        EntryFolder.open(copy)
    edit_json(copy / MANIFEST, lambda _: {"format": version, "versions": {"pinnzoo": "; rm -r"}})
    with pytest.raises(FormatVersionError, match="install a newer version of pinnzoo"):
        EntryFolder.open(copy)


@pytest.mark.parametrize("version", [0, -1])
def test_folder_of_a_format_that_never_was_is_refused(copy, version):
    edit_json(copy / MANIFEST, lambda _: {"format": version})
    with pytest.raises(FormatVersionError, match="never was"):
        EntryFolder.open(copy)


def test_folder_of_format_1_is_read(copy, entry):
    def older(manifest):
        return {k: v for k, v in manifest.items() if k not in ("providers", "arrays")} | {
            "format": 1
        }

    edit_json(copy / MANIFEST, older)
    np.testing.assert_array_equal(Entry.read(copy, verify="all").theta, entry.theta)


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
    monkeypatch.setattr("pinnzoo.storage.arrays.MAX_UNPACKED", 10_000)
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
