"""Sharded objectives against plain ones: in one process with four devices, and in two with two."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.sharded_runs import BUDGET, OPTIMIZERS, PARAMETERS, RECIPE

ROOT = Path(__file__).parent.parent
DEVICES = 4
LIMIT = 1800.0
"""Seconds after which processes count as hung; far more than they take on a busy machine."""

Run = dict[str, np.ndarray]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_processes(folder: Path, count: int) -> list[Run]:
    """What each of `count` processes computed, all together on `DEVICES` devices."""
    devices = f"--xla_force_host_platform_device_count={DEVICES // count}"
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {devices}",
    }
    port = free_port()
    logs = [(folder / f"{k}.log").open("w+") for k in range(count)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.sharded_runs", *map(str, (folder, k, count, port))],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        for k, log in enumerate(logs)
    ]
    end = time.monotonic() + LIMIT
    try:
        # One that fails leaves the others waiting for it.
        while None in (codes := [process.poll() for process in processes]):
            if any(codes) or time.monotonic() > end:
                break
            time.sleep(0.1)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for log in logs:
            log.close()
    # What failed by itself says more than what waited for it.
    failed = [k for k, code in enumerate(codes) if code]
    hung = [k for k, code in enumerate(codes) if code is None]
    for culprit in (failed + hung)[:1]:
        fate = "failed" if codes[culprit] else f"did not end within {LIMIT:.0f} s"
        told = (folder / f"{culprit}.log").read_text()[-4000:]
        pytest.fail(f"process {culprit} of {count} {fate}:\n{told}", pytrace=False)
    return [dict(np.load(folder / f"{k}.npz")) for k in range(count)]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory) -> list[Run]:
    return run_processes(tmp_path_factory.mktemp("runs"), 1)


@pytest.fixture(scope="module", params=[1, 2], ids=["one_process", "two_processes"])
def runs(request, tmp_path_factory, one_process) -> list[Run]:
    """What each process computed, beside what one computed without a mesh."""
    if request.param == 1:
        return one_process
    (first,) = one_process
    plain = {name: value for name, value in first.items() if name.startswith("plain/")}
    found = run_processes(tmp_path_factory.mktemp("runs"), request.param)
    return [{**plain, **run} for run in found]


def assert_same(one: np.ndarray, other: np.ndarray) -> None:
    assert np.abs(one).max() > 1e-3
    np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-10 * np.abs(one).max())


def test_every_process_has_the_same_numbers_to_the_last_bit(runs):
    first, *others = runs
    for other in others:
        assert set(other) == set(first)
        for name in first:
            np.testing.assert_array_equal(other[name], first[name], err_msg=name)


def test_rows_are_those_of_one_device_and_padding_is_zero(runs):
    (run, *_) = runs
    counts, padded = run["plain/counts"], run["sharded/counts"]
    assert (padded % DEVICES == 0).all()
    assert (padded - counts < DEVICES).all()
    assert (padded > counts).all()
    starts, shifted = np.cumsum(counts) - counts, np.cumsum(padded) - padded
    for start, new, n, m in zip(starts, shifted, counts, padded, strict=True):
        rows = run["sharded/residual"][new : new + m]
        assert_same(run["plain/residual"][start : start + n], rows[:n])
        np.testing.assert_array_equal(rows[n:], 0)
    points, n = run["sharded/points"], counts[0]
    np.testing.assert_array_equal(points[:n], run["plain/points"])
    np.testing.assert_array_equal(points[n:], np.tile(points[n - 1], (padded[0] - n, 1)))
    np.testing.assert_array_equal(run["sharded/scale"][n:], 0)


@pytest.mark.parametrize("name", ["loss", "gradient"])
def test_loss_and_gradient_are_those_of_one_device(runs, name):
    (run, *_) = runs
    assert_same(run[f"plain/{name}"], run[f"sharded/{name}"])


@pytest.mark.parametrize("kind", ["tall", "folded", "wide"])
def test_reduced_rows_stand_for_all_rows(runs, kind):
    (run, *_) = runs
    for figure in ("gauss_newton", "gradient", "loss"):
        assert_same(run[f"plain/{kind}/{figure}"], run[f"sharded/{kind}/{figure}"])
    rows, total = run[f"sharded/{kind}/rows"]
    assert (total // DEVICES > max(BUDGET, PARAMETERS + 1)) == (kind != "wide")
    assert rows == min(total, DEVICES * (PARAMETERS + 1))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_one_device(runs, name):
    (run, *_) = runs
    for figure in ("theta", "loss"):
        assert_same(run[f"plain/{name}/{figure}"], run[f"sharded/{name}/{figure}"])
    assert run[f"plain/{name}/loss"][-1] < 0.9 * run[f"plain/{name}/loss"][0]


def test_training_on_a_mesh_is_training_on_one_device(runs):
    (run, *_) = runs
    assert len(run["plain/train/loss"]) == RECIPE.steps + 1
    for figure in ("theta", "loss", "relative_l2_error"):
        assert_same(run[f"plain/train/{figure}"], run[f"sharded/train/{figure}"])


def test_windows_on_a_mesh_are_those_on_one_device(runs):
    (run, *_) = runs
    assert_same(run["plain/windows/theta"], run["sharded/windows/theta"])


def test_finished_training_resumes_at_its_end(runs):
    for run in runs:
        np.testing.assert_array_equal(
            run["sharded/train/resumed_theta"], run["sharded/train/theta"]
        )
