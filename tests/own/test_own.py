"""A problem, a network and a diagnostic from a user's own files, through every journey."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
FISHER = f"{HERE / 'fisher.py'}:fisher"
PARTS = str(HERE / "parts.py")


def run(*arguments, cwd, code=0, **environment):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"} | environment,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What `pinnzoo train file.py:fisher` leaves in a folder."""
    folder = tmp_path_factory.mktemp("own")
    small = ("--network-set", "width=6", "--network-set", "depth=2")
    points = ("--points", "equation=60", "--points", "conditions=12")
    command = ("-m", "pinnzoo", "train", FISHER, "--steps", 12, *small, *points)
    told = run(*command, "--json", cwd=folder)
    return folder, json.loads(told)


def test_the_command_trains_a_problem_of_a_file_without_reference(made):
    folder, told = made
    assert told["after"] is None
    assert told["loss"] < 1e-2
    # Nothing but the entry is left, and the run is given up once it is there.
    assert [path.name for path in folder.iterdir()] == ["fisher-mlp-levenberg_marquardt"]
    metrics = json.loads((folder / told["name"] / "metrics.json").read_text())
    assert "relative_l2_error" not in metrics
    assert metrics["ntk"]["drift"]["all"]["spectral"] > 0
    assert metrics["wall_time_seconds"] > metrics["training_seconds"] > 0


def test_without_the_file_loading_says_what_to_register(made):
    folder, told = made
    code = f"import pinnzoo; pinnzoo.enable_x64(); pinnzoo.load({'./' + told['name']!r})"
    message = run("-c", code, cwd=folder, code=1).strip().splitlines()[-1]
    assert "fisher.py" in message
    assert "register_problem" in message


def test_a_new_process_loads_fine_tunes_to_another_rate_and_analyzes(made):
    folder, told = made
    script = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
import numpy as np, pinnzoo
from fisher import fisher
pinnzoo.enable_x64()
pinnzoo.register_problem(fisher)
entry = pinnzoo.load("./{told["name"]}")
before = np.abs(entry.residual(entry.problem.domain.grid((5, 5)))).mean()
tuned = pinnzoo.finetune(entry, "lm", steps=4, problem_arguments={{"rate": 2.0}},
                         points={{"equation": 60, "conditions": 12}}, diagnostics=False)
assert tuned.problem.arguments["rate"] == 2.0
assert np.array_equal(tuned.snapshots.thetas[0], entry.theta)
assert tuned.history["loss"][-1] < tuned.history["loss"][0]
assert entry.ntk.drift()[-1] > 0 and entry.ntk_at(np.full((3, 2), 0.5)).kernels.shape[1:] == (3, 3)
try:
    pinnzoo.evaluate(entry)
except pinnzoo.PinnzooError as error:
    assert "reference" in str(error)
else:
    raise AssertionError("evaluated")
print(entry, before)
"""
    assert "no reference" in run("-c", script, cwd=folder)


def test_every_verb_takes_the_entry(made):
    folder, told = made
    given = ("-m", "pinnzoo")
    name = f"./{told['name']}"
    text = run(*given, "analyze", name, "--problem", FISHER, "--no-plots", cwd=folder)
    assert "Neural tangent kernel" in text
    assert "nan" not in text.lower()
    tuned = ("--out", "tuned", "--steps", 2, "--problem-set", "rate=3.0", "--no-diagnostics")
    run(*given, "finetune", name, "--problem", FISHER, *tuned, cwd=folder)
    config = json.loads((folder / "tuned" / "config.json").read_text())
    assert config["problem_arguments"]["rate"] == 3.0
    message = run(*given, "evaluate", name, "--problem", FISHER, cwd=folder, code=1)
    assert "reference" in message
    assert "Traceback" not in message


def test_an_own_network_and_an_own_diagnostic_end_up_in_the_entry_and_on_its_card(tmp_path):
    options = ("--import", PARTS, "--architecture", "wave_net", "--steps", 3)
    points = ("--points", "equation=40", "--points", "conditions=8")
    out = ("--out", "mine")
    run("-m", "pinnzoo", "train", FISHER, *options, *points, *out, cwd=tmp_path)
    metrics = json.loads((tmp_path / "mine" / "metrics.json").read_text())
    assert metrics["mean_residual"]["final"] < metrics["mean_residual"]["initial"]
    script = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
import pinnzoo, parts
from fisher import fisher
from pinnzoo.cards import entry_card, summarize
from pinnzoo.storage.folder import EntryFolder
pinnzoo.enable_x64()
pinnzoo.register_problem(fisher)
entry = pinnzoo.load("./mine")
assert type(entry.model).__name__ == "WaveNet"
tables = {{"diagnostics": pinnzoo.diagnostics.DIAGNOSTICS, "factories": pinnzoo.PROBLEMS}}
print(entry_card(summarize(EntryFolder.open("mine")), entry.problem, **tables))
"""
    card = run("-c", script, cwd=tmp_path)
    assert "Mean residual of the equation" in card
    assert "network of Gaussians" in card
    assert "nan" not in card.lower()
    # Who does not have the file still has the figure, and is told that it is unknown.
    assert np.isfinite(metrics["mean_residual"]["final"])
