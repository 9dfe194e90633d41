"""The wheel alone, with no network and an empty home, serves the entries."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pinnzoo

ROOT = Path(__file__).parent.parent

SCRIPT = """
import json, pinnzoo
from pathlib import Path
names = pinnzoo.list_entries()
pinnzoo.enable_x64()
entry = pinnzoo.load("heat-mlp-lm")
print(json.dumps({
    "home": str(Path(pinnzoo.__file__).parent),
    "names": names,
    "folder": str(entry.folder),
    "value": entry.predict([[0.3, 0.4]])[0, 0].hex(),
}))
"""


def test_wheel_alone_serves_the_entries(installed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(installed),
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["home"] == str(installed / "pinnzoo")
    assert told["folder"].startswith(str(installed))
    committed = {path.name for path in (ROOT / "checkpoints").iterdir() if path.is_dir()}
    assert set(told["names"]) == committed
    here = pinnzoo.load("heat-mlp-lm").predict([[0.3, 0.4]])[0, 0]
    assert float.fromhex(told["value"]) == pytest.approx(here, rel=1e-14)


def test_wheel_carries_no_tests_and_the_type_marker(installed):
    assert (installed / "pinnzoo" / "py.typed").is_file()
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"pinnzoo"}


def test_wheel_carries_the_reference_solutions(installed):
    folder = Path("pinnzoo", "references", "data")
    carried = {path.name for path in (installed / folder).iterdir()}
    assert carried == {path.name for path in (ROOT / folder).iterdir()} != set()
