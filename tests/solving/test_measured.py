"""`solve` with observations: unknowns, their standard errors, and the noise in the estimate."""

import importlib
import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from click.testing import CliRunner

import pinnzoo
from pinnzoo import Box, Observations, Problem, Unknown, initial
from pinnzoo.cli import app
from pinnzoo.errors import PointsError, RecipeError
from pinnzoo.solving import clock, entry_name, solve
from pinnzoo.solving.analysis import waves
from pinnzoo.solving.fitting import _Watch, moving  # pyright: ignore[reportPrivateUsage]
from tests.solving.rod import rod_inverse
from tests.solving.test_solve import Ticking, relative

HERE = Path(__file__).parent
K, NOISE, SECONDS = 2.5, 0.02, 20.0
X = np.linspace(0.02, 0.98, 60)[:, None]
ROD = rod_inverse()


def exact(x):
    return np.sin(np.pi * x) / K


def measured(noise=NOISE, sigma=None):
    drawn = np.random.default_rng(0).standard_normal(X.shape)
    return Observations(X, exact(X) + noise * drawn, sigma=sigma)


@contextmanager
def small():
    """Few neurons, and a clock that goes on with the steps."""
    module = importlib.import_module("pinnzoo.solving.solve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", Ticking())
        patch.setattr(module, "WIDTHS", (5, 6))
        yield


@pytest.fixture(scope="module")
def noisy():
    data = measured(sigma=NOISE)
    with small():
        return solve(ROD, observations=data, seconds=SECONDS, diagnostics=False)


def test_unknowns_are_found_with_standard_errors(noisy):
    found = noisy.unknowns["k"]
    # The oracle is the linear fit of sin πx / k alone, in which the equation holds exactly.
    error = float(NOISE * K**2 / np.linalg.norm(np.sin(np.pi * X)))
    assert found.standard_error == pytest.approx(error, rel=0.05)
    assert abs(found.value - K) < 3 * error
    best = np.sum(np.sin(np.pi * X) ** 2) / np.sum(np.sin(np.pi * X) * noisy.observations.values)
    assert found.value == pytest.approx(best, abs=0.1 * error)


def test_noise_is_no_reason_to_stop_and_none_to_go_on(noisy):
    # The equation is met far below the noise, and no wider network was tried.
    assert noisy.metrics["loss"] < 1e-6 * NOISE**2
    assert len(noisy.metrics["solve"]["rounds"]) == 1


def test_the_estimate_is_what_the_noise_leaves(noisy):
    found = noisy.unknowns["k"]
    estimate = noisy.metrics["estimated_error"]
    assert estimate == pytest.approx(found.standard_error / found.value, rel=0.1)
    x = np.linspace(0, 1, 101)[:, None]
    assert relative(noisy.predict(x), exact(x)) < 3 * estimate


def test_the_entry_keeps_the_observations(noisy, tmp_path):
    assert noisy.name == entry_name(ROD, noisy.observations)
    noisy.save(tmp_path / "rod")
    again: Any = pinnzoo.load(str(tmp_path / "rod"), problem=ROD)
    assert again.unknowns == noisy.unknowns
    np.testing.assert_array_equal(again.observations.values, noisy.observations.values)
    # A recipe that trains parts of a network could not be trained again with observations.
    assert all(phase.part is None for phase in again.recipe.phases)
    assert all(phase.weights["observations"] > 0 for phase in again.recipe.phases)


def watch(losses, misses, unknowns):
    """A watch that has seen some steps."""
    seen = SimpleNamespace(assembly=SimpleNamespace(observations=True))
    made = _Watch(cast(Any, seen), [], cast(Any, None), lambda _: None)
    made.losses, made.misses = list(losses), list(misses)
    made.unknowns = [np.array([value]) for value in unknowns]
    return made


def test_a_phase_ends_where_equations_observations_and_unknowns_all_rest():
    stage = moving({}, {}, scaled=False)
    n = 3 * stage.window
    rest, falls = np.ones(n), 0.5 ** np.arange(n)
    assert watch(rest, rest, rest)._stalls(stage)
    assert not watch(rest, falls, rest)._stalls(stage)
    assert not watch(falls, rest, rest)._stalls(stage)
    assert not watch(rest, rest, 1 + 0.01 * np.arange(n))._stalls(stage)


def test_unknowns_without_observations_are_refused_first():
    with pytest.raises(RecipeError, match=r"its unknowns \('k'\).*give observations=") as raised:
        solve(rod_inverse())
    assert str(raised.value).count(".") == 1
    with pytest.raises(PointsError, match="of the type list"):
        solve(rod_inverse(), observations=cast(Any, [1.0]))
    with pytest.raises(PointsError, match="outside"):
        solve(rod_inverse(), observations=Observations(X + 5, X))


def test_what_is_read_off_a_problem_does_not_need_the_truth():
    assert waves(ROD)[0] <= 1.5


def test_the_verb_takes_a_file_of_clean_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = measured(noise=0.0)
    rows = np.hstack([data.points, data.values])
    np.savetxt("data.csv", rows, delimiter=",", header="x,u", comments="")
    arguments = ["solve", f"{HERE / 'rod.py'}:rod_inverse", "--seconds", "8", "--out", "here"]
    arguments += ["--no-diagnostics", "--json"]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code != 0
    assert not (tmp_path / "here").exists()
    with small():
        done = CliRunner().invoke(app, [*arguments, "--observations", "data.csv"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    entry: Any = pinnzoo.load(str(tmp_path / "here"), problem=ROD)
    assert told["unknowns"]["k"] == entry.unknowns["k"].value == pytest.approx(K, rel=1e-6)
    assert entry.observations.n == len(X)
    x = np.linspace(0, 1, 101)[:, None]
    error = max(relative(entry.predict(x), exact(x)), 1e-14)
    assert error / 10 < max(told["estimate"], 1e-14)


def test_a_bound_that_keeps_the_data_from_being_met_is_in_the_estimate():
    domain = Box("t", (0.0,), (1.0,))

    def equation(u, z):
        value, slope = u(z, "u u_t")
        return slope + u.unknowns["rate"] * value

    decay = Problem(
        name="decay",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(initial(domain, "u", 1.0),),
        unknowns={"rate": Unknown(3.0, lower=2.0, upper=5.0)},
    )
    times = np.linspace(0.1, 1, 20)
    with small(), pytest.warns(UserWarning, match="is at its lower bound 2"):
        entry = solve(
            decay,
            observations=Observations(times[:, None], np.exp(-times)),
            seconds=SECONDS,
            diagnostics=False,
        )
    true = np.exp(-times)
    error = np.linalg.norm(entry.predict(times[:, None])[:, 0] - true) / np.linalg.norm(true)
    assert error > 0.1
    assert 0.5 * error < entry.metrics["estimated_error"] < 10 * error


@pytest.mark.parametrize(
    ("remark", "offset", "expected"),
    [
        # Missed by more than they vary: the unknown is why.
        ("is not determined by equations, conditions and observations", 1.0, 1.0),
        # They are met; what nothing determines has no effect.
        ("is not determined by equations, conditions and observations", 0.01, 0.0),
        ("is at its lower bound 2", 0.01, 0.01),
        (None, 1.0, 0.0),
    ],
)
def test_an_unknown_that_cannot_move_is_in_the_estimate(remark, offset, expected):
    module = importlib.import_module("pinnzoo.solving.solve")
    values = 1.0 + 0.1 * np.sin(20 * X)
    entry: Any = SimpleNamespace(
        metrics={"unknowns": {"remarks": {} if remark is None else {"k": remark}}},
        observations=Observations(X, values, components=("u",)),
        problem=ROD,
        predict=lambda _: values + offset * np.sqrt(np.mean(values**2)),
    )
    assert module._misfit_of_unknowns(entry) == pytest.approx(expected)
