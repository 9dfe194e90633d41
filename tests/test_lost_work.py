"""What must not cost a training, and what must be noticed before it."""

import contextlib
import dataclasses
import io
import math
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from click.testing import CliRunner
from flax import nnx

import pinnzoo
from pinnzoo.cards import entry_card, summarize
from pinnzoo.cli import app
from pinnzoo.diagnostics import DIAGNOSTICS, Diagnostic
from pinnzoo.errors import (
    EntryError,
    IntegrityError,
    RecipeError,
    RegistrationError,
    TrainingError,
    UnknownNameError,
)
from pinnzoo.optimizers import Info, Optimizer
from pinnzoo.plots.figures import save_plots
from pinnzoo.recipes import Phase
from pinnzoo.storage.blueprint import build
from pinnzoo.storage.files import exchange
from pinnzoo.storage.folder import EntryFolder
from pinnzoo.training import loop
from pinnzoo.training.progress import Progress, printable, progress_bar
from tests.tiny_entries import tiny_recipe

RECIPE = tiny_recipe(phases=(Phase("adam", 6),))


def train(recipe=RECIPE, **options):
    return pinnzoo.train(recipe, diagnostics=False, **options)


def test_a_report_that_fails_later_ends_and_the_training_does_not():
    calls = []

    def report(progress):
        calls.append(progress.step)
        if len(calls) == 3:
            raise ZeroDivisionError("in the user's plot")

    with pytest.warns(UserWarning, match="raised ZeroDivisionError"):
        entry = train(report=report)
    assert entry.recipe.steps == 6
    assert len(calls) == 3


def test_a_report_that_fails_at_once_is_heard_before_the_first_step(monkeypatch):
    monkeypatch.setattr(loop.Trainer, "run", lambda *_: pytest.fail("trained"))
    with pytest.raises(ZeroDivisionError):
        train(report=lambda _: 1 / 0)


def test_a_disk_that_fills_up_costs_no_training(tmp_path, monkeypatch):
    def full(*_):
        raise TrainingError("the run cannot be kept in 'work' (No space left on device): give ...")

    monkeypatch.setattr(loop, "save_run", full)
    with pytest.warns(UserWarning, match="The training goes on") as told:
        entry = train(workdir=tmp_path, save_every=0.0)
    assert entry.recipe.steps == 6
    assert len(told) == 1


def test_a_run_that_began_elsewhere_is_not_gone_on_with(tmp_path):
    problem, model = build(RECIPE)
    # One that no name stands for.
    problem = dataclasses.replace(problem, statement="A problem of one's own.")
    first = train(problem=problem, model=model, workdir=tmp_path)
    longer = dataclasses.replace(RECIPE, phases=(Phase("adam", 8),))
    _, other = build(dataclasses.replace(RECIPE, seed=1))
    with pytest.raises(RecipeError, match="began with another parameters"):
        train(longer, problem=problem, model=other, workdir=tmp_path)
    edited = dataclasses.replace(problem, equation=lambda u, z: u(z, "u_t")[0] - 7.0)
    with pytest.raises(RecipeError, match="began with another loss"):
        train(longer, problem=edited, model=model, workdir=tmp_path)
    prolonged = train(longer, problem=problem, model=model, workdir=tmp_path)
    np.testing.assert_array_equal(prolonged.snapshots.thetas[0], first.snapshots.thetas[0])
    assert prolonged.recipe.steps == 8


@pytest.mark.parametrize(
    "changes",
    [
        {"resample_every": 4},
        {"weighting": "gradient_norm", "reweigh_every": 4},
        {"resample_every": 4, "adaptive": True, "weighting": "causal", "reweigh_every": 2},
    ],
)
def test_a_run_that_is_prolonged_changes_its_points_and_weights_like_a_whole_one(changes, tmp_path):
    def of(steps):
        return tiny_recipe(phases=(Phase("adam", steps, **changes),))

    for steps in (4, 8, 10):
        parts = train(of(steps), workdir=tmp_path)
    whole = train(of(10))
    np.testing.assert_array_equal(parts.theta, whole.theta)
    assert parts.metrics["loss"] == whole.metrics["loss"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"seconds": math.nan}, RecipeError, "seconds=nan"),
        ({"seconds": -1.0}, RecipeError, "give a number of seconds"),
        ({"save_every": "often"}, RecipeError, "save_every='often'"),
        (
            {"optimizers": {"adm": optax.adam(1e-3)}},
            RecipeError,
            "'adm' was given, which no phase uses",
        ),
    ],
)
def test_settings_without_an_effect_are_refused(monkeypatch, options, error, message):
    monkeypatch.setattr(loop.Trainer, "run", lambda *_: pytest.fail("trained"))
    with pytest.raises(error, match=message):
        train(**options)


def test_a_single_diagnostic_is_named_by_its_name(monkeypatch):
    monkeypatch.setattr(loop.Trainer, "run", lambda *_: pytest.fail("trained"))
    with pytest.raises(UnknownNameError, match="unknown diagnostic 'ntkk'"):
        pinnzoo.train(RECIPE, diagnostics="ntkk")


def of_a_step(**changes):
    step = Progress("heat", "training", 3, 6, 0, 1e-3, None, 1e-4, 1.0)
    return dataclasses.replace(step, **changes)


class Broken(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, *_):
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_the_bar_prints_on_any_code_page(monkeypatch, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar(RECIPE) as bar:
        bar(of_a_step())
    stream.flush()
    assert b"damping 1e-04" in stream.buffer.getvalue()  # pyright: ignore


@pytest.mark.parametrize("note", ["Mean of ‖r‖", "[/bold] of [3]"])
def test_the_bar_takes_any_title_of_a_diagnostic(monkeypatch, note):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar(RECIPE) as bar:
        bar(of_a_step(stage="diagnostics", note=note))
    stream.flush()
    told = stream.buffer.getvalue().decode("cp1252")  # pyright: ignore
    assert printable(note, "cp1252")[-6:] in " ".join(told.split())


def test_a_pipe_that_is_closed_costs_no_training(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Broken())
    with progress_bar(RECIPE) as bar:
        bar(of_a_step())


@contextlib.contextmanager
def registered(compute, **options):
    """A diagnostic for as long as the context lasts."""
    made = pinnzoo.register_diagnostic(compute, **options)
    try:
        yield made
    finally:
        DIAGNOSTICS.pop("failing", None)


def failing(study):
    """A diagnostic that asks the package for what it has not."""
    return {"x": study.problem.domain.axis("q")}


def impatient(study):
    raise ValueError("boom")


@pytest.mark.parametrize("begin", [None, impatient])
def test_a_diagnostic_that_the_package_refuses_costs_no_training(begin, small_diagnostics):
    made = Diagnostic("failing", "Failing", 1, failing, lambda _: [], begin)
    with (
        registered(made),
        pytest.warns(UserWarning, match="'failing' failed with UnknownNameError"),
    ):
        entry = pinnzoo.train(RECIPE, diagnostics=["failing"])
    assert entry.recipe.steps == 6
    assert "failing" not in entry.metrics


def test_blocks_of_the_package_are_no_names_for_diagnostics():
    for name in ("solve", "parameter_errors", "unknowns", "components"):
        with pytest.raises(RegistrationError), registered(failing, name=name):
            pass


NOISE = optax.chain(optax.add_noise(1e-4, 0.5, key=jax.random.key(0)), optax.sgd(1e-3))
HALF = optax.adamw(1e-3, mu_dtype=jnp.bfloat16)


@pytest.mark.parametrize("optimizer", [NOISE, HALF], ids=["random keys", "bfloat16"])
def test_any_state_of_an_optimizer_is_kept_and_taken_up_again(optimizer, tmp_path):
    recipe = tiny_recipe(phases=(Phase("own", 4),))
    longer = tiny_recipe(phases=(Phase("own", 8),))
    options = {"optimizers": {"own": optimizer}}
    train(recipe, workdir=tmp_path, **options)
    resumed = train(longer, workdir=tmp_path, **options)
    np.testing.assert_array_equal(resumed.theta, train(longer, **options).theta)


@pytest.mark.parametrize("other", [optax.rmsprop(1e-1), optax.adam(1e-3)])
def test_state_of_another_optimizer_is_not_taken_over(other, tmp_path):
    recipe, longer = (tiny_recipe(phases=(Phase("own", steps),)) for steps in (4, 8))
    first = {"own": optax.sgd(1e-3, momentum=0.9)}
    train(recipe, workdir=tmp_path, optimizers=first)
    with pytest.raises(RecipeError, match="another state"):
        train(longer, workdir=tmp_path, optimizers={"own": other})
    assert train(longer, workdir=tmp_path, optimizers=first).recipe.steps == 8


def test_a_phase_whose_time_is_over_does_not_go_on_when_it_is_taken_up(tmp_path):
    recipe = tiny_recipe(phases=(Phase("adam", 100_000, seconds=0.05),))
    first = train(recipe, workdir=tmp_path)
    again = train(recipe, workdir=tmp_path)
    np.testing.assert_array_equal(again.theta, first.theta)
    assert again.recipe.steps == first.recipe.steps


def test_rejected_steps_between_accepted_ones_are_no_stall():
    def step(objective, theta, state):
        slope = jax.grad(objective.loss)(theta)
        taken = (state % 2 == 0).astype(theta.dtype)
        return theta - 1e-4 * taken * slope, state + 1, Info(objective.loss(theta), accepted=taken)

    hesitating = Optimizer(lambda *_: jnp.zeros((), int), step)
    # So many that several are done before the host looks in.
    recipe = tiny_recipe(phases=(Phase("own", 3000),))
    entry = train(recipe, optimizers={"own": hesitating})
    assert entry.recipe.steps == 3000


class Keeping(nnx.Module):
    """A network with something beside its parameters."""

    def __init__(self, kept):
        self.layer = nnx.Linear(2, 1, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
        self.kept = nnx.Variable(kept)

    def __call__(self, z):
        return jnp.tanh(self.layer(z))


@pytest.mark.parametrize("kept", [1.0, jnp.ones(1, complex), jnp.ones(1, jnp.bfloat16)])
def test_what_no_entry_can_hold_is_noticed_before_the_training(kept, monkeypatch):
    monkeypatch.setattr(loop.Trainer, "run", lambda *_: pytest.fail("trained"))
    with pytest.raises(RecipeError, match="no entry can hold"):
        train(tiny_recipe(architecture="keeping", architecture_arguments={}), model=Keeping(kept))


def test_an_interrupt_between_two_moves_takes_the_first_back(tmp_path, monkeypatch):
    target, made, aside = (tmp_path / name for name in ("target", "made", "aside"))
    for folder in (target, made):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    rename = Path.rename

    def interrupted(self, other):
        if self == made:
            raise KeyboardInterrupt
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        exchange(target, made, aside)
    assert (target / "name").read_text() == "target"


def test_a_kernel_that_is_zero_at_first_costs_no_diagnostics(tmp_path, small_diagnostics):
    line = pinnzoo.Box("x", (0.0,), (1.0,))

    def steepening(u, z):
        value, u_x = u(z, "u u_x")
        return value * u_x - z[0]

    problem = pinnzoo.Problem(
        name="steepening",
        domain=line,
        components=("u",),
        equation=steepening,
        conditions=(
            pinnzoo.Condition("left", lambda u, z: u(z, "u")[0] - 1.0, line.face("x", 0.0)),
        ),
    )
    recipe = tiny_recipe("steepening", phases=(Phase("levenberg_marquardt", 4),))
    _, model = build(recipe, problem)
    network: Any = model
    # So u = 0, and no parameter changes u u_x at first.
    network.output.kernel[...] = jnp.zeros_like(network.output.kernel[...])
    entry = pinnzoo.train(recipe, problem=problem, model=model)
    drift = entry.metrics["ntk"]["drift"]
    assert drift["equation"] == {"spectral": None, "frobenius": None}
    assert drift["left"]["spectral"] > 0
    assert {"residual_hessian", "loss_hessian"} <= entry.metrics.keys()
    folder = entry.save(tmp_path / entry.name)
    card = entry_card(summarize(EntryFolder.open(folder)), problem, diagnostics=DIAGNOSTICS)
    assert "| equation | – | – |" in card
    save_plots(entry, tmp_path)
    back = pinnzoo.load(str(folder), problem=problem)
    assert back.ntk is not None
    assert back.ntk.drift("spectral", "equation")[-1] == np.inf
    shown = CliRunner().invoke(app, ["info", str(folder)])
    assert shown.exit_code == 0, shown.output


def test_diagnosing_in_place_prints_the_card_and_draws_the_plots_again(tmp_path):
    folder = train().save(tmp_path / "mine")
    (folder / "README.md").write_text("of before")
    (folder / "plots").mkdir()
    (tmp_path / "link").symlink_to(folder)
    result = CliRunner().invoke(app, ["diagnose", str(tmp_path / "link"), "loss_hessian"])
    assert result.exit_code == 0, result.output
    assert "loss_hessian" in pinnzoo.load(folder).metrics
    assert "Hessian" in (folder / "README.md").read_text()
    assert {path.name for path in (folder / "plots").iterdir()} >= {"history.png", "solution.png"}
    (folder / "README.md").unlink()
    assert CliRunner().invoke(app, ["diagnose", str(folder), "loss_hessian"]).exit_code == 0
    assert not (folder / "README.md").exists()


def test_an_entry_is_read_from_where_it_was_whatever_the_working_folder_is(tmp_path, monkeypatch):
    entry = train()
    monkeypatch.chdir(tmp_path)
    entry.save("mine")
    loaded = pinnzoo.load("./mine")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(loaded.snapshots.thetas, entry.snapshots.thetas)
    assert [*loaded.history] == [*entry.history]


@pytest.mark.parametrize("what", ["moved", "another"])
def test_an_entry_whose_folder_was_taken_away_is_not_called_damaged(what, tmp_path):
    entry = train()
    entry.save(tmp_path / "mine")
    loaded = pinnzoo.load(tmp_path / "mine")
    if what == "moved":
        (tmp_path / "mine").rename(tmp_path / "yours")
    else:
        train(dataclasses.replace(RECIPE, seed=1)).save(tmp_path / "mine", overwrite=True)
    with pytest.raises(EntryError, match="was moved, removed or written anew since") as told:
        _ = loaded.history
    assert not isinstance(told.value, IntegrityError)


@pytest.mark.parametrize("other", ["diagnostics", "entry"])
def test_what_another_command_wrote_during_diagnostics_is_kept(other, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    entry = train()
    entry.save(folder)
    whole = pinnzoo.training.diagnose

    def slow(given, names, *, progress):
        done = whole(given, names)
        if other == "diagnostics":
            whole(pinnzoo.load(folder), ["ntk"]).save(folder, overwrite=True)
        else:
            train(dataclasses.replace(RECIPE, seed=5)).save(folder, overwrite=True)
        return done

    monkeypatch.setattr(pinnzoo.training, "diagnose", slow)
    result = CliRunner().invoke(app, ["diagnose", str(folder), "loss_hessian"])
    found = pinnzoo.load(folder)
    if other == "diagnostics":
        assert result.exit_code == 0, result.output
        assert {"ntk", "loss_hessian"} <= set(found.metrics)
        assert len(found.ntk.steps) > 1
    else:
        assert result.exit_code == 1
        assert "another entry was written" in " ".join(result.output.split())
        assert found.recipe.seed == 5
        assert "loss_hessian" not in found.metrics


def test_a_folder_that_two_trainings_write_to_is_told_once(tmp_path):
    def other(progress):
        if progress.step in (2, 4):
            state = tmp_path / "state.npz"
            copy = tmp_path / "copy"
            copy.write_bytes(state.read_bytes())
            copy.replace(state)

    with pytest.warns(UserWarning, match="another training writes to the folder") as told:
        entry = train(workdir=tmp_path, save_every=0.0, report=other)
    assert len([each for each in told if "another training" in str(each.message)]) == 1
    assert entry.recipe.steps == 6
