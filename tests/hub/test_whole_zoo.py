"""All entries to the Hub by the command, and from there to a machine that has only the wheel."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils import validate_repo_id

from pinnzoo.storage.folder import CARD, MANIFEST, EntryFolder
from pinnzoo.storage.store import GOLDEN_POINTS
from tests.hub.loopback import Hub

ROOT = Path(__file__).parent.parent.parent
FOLDERS = sorted(path.parent for path in (ROOT / "checkpoints").glob(f"*/{MANIFEST}"))
NAMES = [folder.name for folder in FOLDERS]

LOAD = """
import json
import pinnzoo
pinnzoo.enable_x64()
from pinnzoo.storage.folder import GOLDEN, EntryFolder
print(pinnzoo.__file__)
for name in pinnzoo.list_entries():
    # Replays the golden values and raises if they differ.
    pinnzoo.load(name)
    folder = EntryFolder.open(pinnzoo.download(name))
    print(json.dumps([name, str(folder.path), len(folder.arrays(GOLDEN)["points"])]))
"""

KNOWS = """
import sys
import pinnzoo
pinnzoo.enable_x64()
from pinnzoo.storage.blueprint import blueprint
from pinnzoo.storage.folder import EntryFolder
print(pinnzoo.__file__)
for folder in map(EntryFolder.open, sys.argv[1:]):
    blueprint(folder.recipe()).check_metrics(folder.metrics(), folder.recipe())
"""


def run(*command, cwd, **env):
    """What a command prints, in an environment of nothing but what is given.

    And of how tests compile, which is most of what loading takes.
    """
    compiling = {k: v for k, v in os.environ.items() if k.startswith(("XLA_", "JAX_"))}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HF_HUB_DISABLE_XET": "1", **compiling, **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def smallest_of_each(kind: Callable[[EntryFolder], Any]) -> set[str]:
    """Of the entries of each kind, the name of the one with the fewest parameters."""
    smallest: dict[Any, tuple[int, str]] = {}
    for folder in map(EntryFolder.open, FOLDERS):
        key = kind(folder)
        found = (folder.metrics()["parameters"], folder.manifest["entry"])
        smallest[key] = min(found, smallest.get(key, found))
    return {name for _, name in smallest.values()}


@pytest.fixture
def bare(installed, tmp_path):
    """The wheel without the entries that it carries."""
    site = tmp_path / "site"
    shutil.copytree(installed, site, ignore=shutil.ignore_patterns("checkpoints"))
    assert not (site / "pinnzoo" / "checkpoints").exists()
    return site


def test_every_entry_can_be_published_with_all_of_its_files(tmp_path):
    with Hub() as hub:
        env = {"HF_ENDPOINT": hub.url, "HOME": str(tmp_path)}
        told = run("-m", "pinnzoo", "publish", "loop", "--dry-run", "--json", cwd=ROOT, **env)
        assert hub.state.log == []
    planned = json.loads(told)
    assert sorted(planned) == [f"loop/{name}" for name in NAMES]
    for folder in FOLDERS:
        repository = f"loop/{folder.name}"
        validate_repo_id(repository)
        files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
        assert CARD in files
        assert planned[repository] == {n: path.stat().st_size for n, path in files.items()}


def test_every_architecture_and_kind_of_file_reaches_a_machine_that_has_only_the_wheel(
    bare, tmp_path
):
    """By one entry each; what is left out differs from them in numbers alone.

    `test_checkpoints` loads every entry from its folder.
    """
    files = smallest_of_each(lambda folder: frozenset(path.name for path in folder.path.iterdir()))
    names = sorted(files | smallest_of_each(lambda folder: folder.recipe().architecture))
    registry = bare / "pinnzoo" / "hub" / "registry.json"
    with Hub() as hub:
        publish = ["-m", "pinnzoo", "publish", "loop", *names, "--registry", registry]
        env = {"HF_ENDPOINT": hub.url, "HOME": str(tmp_path / "publisher"), "HF_TOKEN": "hf_write"}
        run(*publish, cwd=ROOT, **env)
        assert sorted(json.loads(registry.read_text())["entries"]) == names
        hub.state.log.clear()
        run(*publish, cwd=ROOT, **env)
        assert not [line for line in hub.state.log if "/commit/" in line or "/_lfs/" in line]
        env = {"HF_ENDPOINT": hub.url, "HOME": str(tmp_path), "PYTHONPATH": str(bare)}
        where, *lines = run("-c", LOAD, cwd=tmp_path, **env).splitlines()
    assert Path(where).is_relative_to(bare)
    loaded = [json.loads(line) for line in lines]
    assert [name for name, _, _ in loaded] == names
    for _, folder, points in loaded:
        assert Path(folder).is_relative_to(tmp_path / ".cache" / "pinnzoo" / "hub")
        assert points == GOLDEN_POINTS


def test_the_wheel_knows_every_problem(bare, tmp_path):
    names = smallest_of_each(lambda folder: folder.recipe().problem)
    folders = [ROOT / "checkpoints" / name for name in names]
    env = {"HOME": str(tmp_path), "PYTHONPATH": str(bare)}
    where = run("-c", KNOWS, *folders, cwd=tmp_path, **env).strip()
    assert Path(where).is_relative_to(bare)


def test_dry_run_shows_the_tree_and_sends_nothing(tmp_path):
    with Hub() as hub:
        env = {"HF_ENDPOINT": hub.url, "HOME": str(tmp_path)}
        told = run("-m", "pinnzoo", "publish", "loop", "heat-mlp-lm", "--dry-run", cwd=ROOT, **env)
        assert "loop/heat-mlp-levenberg_marquardt" in told
        assert "model.safetensors" in told
        assert hub.state.log == []
