"""The wheel alone, with no network and an empty home, serves the entries."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pinnzoo
from pinnzoo.storage.folder import PLOTS, UNCARRIED

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


RECORDS_SCRIPT = """
import json, pinnzoo
pinnzoo.enable_x64()
told = {"drift": float(pinnzoo.load("burgers-mlp-adam").ntk.drift()[-1])}
try:
    pinnzoo.load("heat-mlp-lm").ntk
except pinnzoo.errors.EntryError as error:
    told["message"] = str(error)
print(json.dumps(told))
"""


def test_wheel_is_small_and_says_where_the_records_are(installed, tmp_path):
    (wheel,) = installed.parent.glob("*.whl")
    assert wheel.stat().st_size <= 30e6
    done = subprocess.run(
        [sys.executable, "-c", RECORDS_SCRIPT],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["drift"] == pytest.approx(pinnzoo.load("burgers-mlp-adam").ntk.drift()[-1])
    assert "PINNZOO_CHECKPOINTS" in told["message"]


def test_wheel_leaves_out_records_and_pictures_alone(installed):
    carried = installed / "pinnzoo" / "checkpoints"
    for entry in sorted(path for path in (ROOT / "checkpoints").iterdir() if path.is_dir()):
        files = {p.relative_to(entry).as_posix() for p in entry.rglob("*") if p.is_file()}
        here = carried / entry.name
        left_out = files - {p.relative_to(here).as_posix() for p in here.rglob("*") if p.is_file()}
        assert all(name.startswith((*UNCARRIED, f"{PLOTS}/")) for name in left_out), entry.name


def test_wheel_carries_no_tests_and_the_type_marker(installed):
    assert (installed / "pinnzoo" / "py.typed").is_file()
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"pinnzoo"}


def test_wheel_carries_the_reference_solutions(installed):
    folder = Path("pinnzoo", "references", "data")
    carried = {path.name for path in (installed / folder).iterdir()}
    assert carried == {path.name for path in (ROOT / folder).iterdir()} != set()
