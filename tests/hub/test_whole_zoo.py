"""All entries to the Hub by the command, and from there to a machine that has only the wheel."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pinnzoo.storage.store import GOLDEN_POINTS
from tests.hub.loopback import Hub

ROOT = Path(__file__).parent.parent.parent

LOAD = """
import json
import pinnzoo
pinnzoo.enable_x64()
from pinnzoo.storage.folder import GOLDEN, EntryFolder
print(pinnzoo.__file__)
for name in pinnzoo.list_entries():
    # Loading replays the golden values and raises if they differ.
    entry = pinnzoo.load(name)
    golden = EntryFolder.open(pinnzoo.download(name)).arrays(GOLDEN)
    print(json.dumps([name, str(entry.folder), len(golden["points"])]))
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


@pytest.fixture
def bare(installed, tmp_path):
    """The wheel without the entries that it carries."""
    site = tmp_path / "site"
    shutil.copytree(installed, site, ignore=shutil.ignore_patterns("checkpoints"))
    assert not (site / "pinnzoo" / "checkpoints").exists()
    return site


def test_all_entries_reach_a_machine_that_has_only_the_wheel(bare, tmp_path):
    names = sorted(path.parent.name for path in (ROOT / "checkpoints").glob("*/manifest.json"))
    registry = bare / "pinnzoo" / "hub" / "registry.json"
    with Hub() as hub:
        publish = ["-m", "pinnzoo", "publish", "loop", "--root", ROOT, "--registry", registry]
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


def test_dry_run_shows_the_tree_and_sends_nothing(tmp_path):
    with Hub() as hub:
        env = {"HF_ENDPOINT": hub.url, "HOME": str(tmp_path)}
        told = run("-m", "pinnzoo", "publish", "loop", "heat-mlp-lm", "--dry-run", cwd=ROOT, **env)
        assert "loop/heat-mlp-levenberg_marquardt" in told
        assert "model.safetensors" in told
        assert hub.state.log == []
