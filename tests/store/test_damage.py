"""Random damage: an entry is refused in a sentence, or gives the very same numbers."""

import copy
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from pinnzoo.entry import Entry
from pinnzoo.errors import PinnzooError
from pinnzoo.storage import store
from pinnzoo.storage.folder import CONFIG, MANIFEST, METRICS
from tests.store.made_entries import resign

POINTS = np.random.default_rng(4).uniform(0, 1, (8, 2))

TRIES = 150
"""How many copies of the entry each test damages."""

VALUES: list[Any] = [None, True, -1, 0, 1e308, "", "x", [], {}, "../x", "NaN", 10**30, [[]]]


def numbers(entry: Entry) -> dict[str, Any]:
    """Everything in an entry that a user could compute with."""
    return {
        "values": entry.predict(POINTS),
        "theta": entry.theta,
        "steps": entry.snapshots.steps,
        "thetas": entry.snapshots.thetas,
        "kernels": entry.ntk.kernels,
        "spectra": entry.ntk.spectra,
        "points": entry.ntk.points,
        "drift": entry.ntk.drift(),
        **{f"history.{name}": column for name, column in entry.history.items()},
    }


def some_file(folder: Path, rng: random.Random) -> Path:
    return rng.choice(sorted(p for p in folder.rglob("*") if p.is_file()))


def flip_bit(folder: Path, rng: random.Random) -> None:
    path = some_file(folder, rng)
    content = bytearray(path.read_bytes())
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def truncate(folder: Path, rng: random.Random) -> None:
    path = some_file(folder, rng)
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size + 1)])


def lengthen(folder: Path, rng: random.Random) -> None:
    with some_file(folder, rng).open("ab") as file:
        file.write(rng.randbytes(rng.randint(1, 50)))


def overwrite(folder: Path, rng: random.Random) -> None:
    path = some_file(folder, rng)
    content = bytearray(path.read_bytes())
    start = rng.randrange(len(content) + 1)
    content[start : start + 16] = rng.randbytes(16)
    path.write_bytes(content)


def delete(folder: Path, rng: random.Random) -> None:
    some_file(folder, rng).unlink()


def delete_tree(folder: Path, rng: random.Random) -> None:
    shutil.rmtree(rng.choice(sorted(p for p in folder.rglob("*") if p.is_dir())))


def add(folder: Path, rng: random.Random) -> None:
    places = [folder, *sorted(p for p in folder.rglob("*") if p.is_dir())]
    names = ["x.pkl", "model.py", ".x", "README.md", "0" * 32, "plots"]
    (rng.choice(places) / rng.choice(names)).write_bytes(rng.randbytes(20))


def swap(folder: Path, rng: random.Random) -> None:
    one, other = some_file(folder, rng), some_file(folder, rng)
    contents = other.read_bytes(), one.read_bytes()
    one.write_bytes(contents[0])
    other.write_bytes(contents[1])


def edit(folder: Path, rng: random.Random) -> None:
    """Replace, delete or add a value somewhere in a JSON file."""
    path = folder / rng.choice([MANIFEST, CONFIG, METRICS])
    data = json.loads(path.read_text())
    inner = data
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            break
        key = rng.choice(keys)
        if isinstance(inner[key], (dict, list)) and inner[key] and rng.random() < 0.7:
            inner = inner[key]
            continue
        action = rng.random()
        if action < 0.2:
            del inner[key]
        elif action < 0.3 and isinstance(inner, dict):
            inner["surprise"] = rng.choice(VALUES)
        else:
            inner[key] = rng.choice(VALUES)
        break
    path.write_text(json.dumps(data))


DAMAGES = [flip_bit, flip_bit, truncate, lengthen, overwrite, delete, delete_tree, add, swap, edit]


def is_sentence(error: PinnzooError) -> bool:
    return str(error).endswith(".") and "\n" not in str(error)


def outcome(folder: Path, expected: dict[str, Any]) -> str:
    """Read everything; "same" or "refused", and no third thing."""
    try:
        found = numbers(Entry.read(folder))
        Entry.read(folder, verify="all")
    except PinnzooError as error:
        return "refused" if is_sentence(error) else f"rambling: {error}"
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    return "same"


class Once:
    """Orbax that reads the same bytes once, which takes it longer than all the rest of loading.

    Most damage leaves the arrays alone or is refused before orbax sees it. Bytes that are new, and
    such as it cannot read, go to orbax itself.
    """

    def __init__(self) -> None:
        self.orbax, self.known = store._orbax(), {}

    def _once(self, read: Callable[..., Any], path: str, *target: Any) -> Any:
        files = sorted(p for p in Path(path).rglob("*") if p.is_file())
        content = tuple((p.relative_to(path).as_posix(), p.read_bytes()) for p in files)
        # Of a target only its structure, shapes and dtypes count.
        key = (read, content, str(jax.tree.map(lambda a: (a.shape, a.dtype), target)))
        if key not in self.known:
            self.known[key] = read(path, *target)
        return copy.deepcopy(self.known[key]) if target else self.known[key]

    def metadata(self, path: str) -> Any:
        return self._once(self.orbax.metadata, path)

    def load(self, path: str, target: Any) -> Any:
        return self._once(self.orbax.load, path, target)

    def save(self, path: str, tree: Any) -> None:
        self.orbax.save(path, tree)


@pytest.fixture
def orbax_once(monkeypatch):
    once = Once()
    monkeypatch.setattr(store, "_orbax", lambda: once)


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A folder in memory where there is one: files by the ten thousand are made and removed."""
    shared = Path("/dev/shm")
    if not (shared.is_dir() and os.access(shared, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        # Orbax is given copies in temporary folders.
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(scope="module")
def expected(stored) -> dict[str, Any]:
    return numbers(Entry.read(stored))


def test_undamaged_entry_gives_the_same_numbers(stored, expected):
    assert outcome(stored, expected) == "same"


@pytest.mark.usefixtures("orbax_once")
@pytest.mark.parametrize("seed", range(4))
def test_damage_is_refused_or_changes_nothing(stored, expected, memory, seed):
    rng = random.Random(seed)
    outcomes = {"same": 0, "refused": 0}
    for k in range(TRIES):
        folder = Path(shutil.copytree(stored, memory / str(k)))
        rng.choice(DAMAGES)(folder, rng)
        result = outcome(folder, expected)
        assert result in outcomes, k
        outcomes[result] += 1
        shutil.rmtree(folder)
    assert outcomes["refused"] > 0.55 * TRIES
    assert outcomes["same"] > 0


@pytest.mark.usefixtures("orbax_once")
def test_no_library_error_escapes_where_the_hashes_agree(stored, memory):
    """Damage by someone who can compute SHA-256 cannot be told from an entry of theirs.

    It may be refused or read as what it says, but always in this package's own words, and with
    weights that give the golden values.
    """
    rng = random.Random(1)
    refused: list[PinnzooError] = []
    for k in range(TRIES):
        folder = Path(shutil.copytree(stored, memory / str(k)))
        rng.choice([flip_bit, flip_bit, truncate, lengthen, overwrite, swap, edit])(folder, rng)
        try:
            resign(folder)
        except (ValueError, KeyError, TypeError, AttributeError, OSError):
            continue  # the manifest itself was hit, which the test above has
        try:
            numbers(Entry.read(folder, verify="all"))
        except PinnzooError as error:
            refused.append(error)
        shutil.rmtree(folder)
    assert len(refused) > 0.35 * TRIES
    assert all(map(is_sentence, refused))
