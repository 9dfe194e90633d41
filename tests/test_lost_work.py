"""What must not cost a training, and what must be noticed before it."""

import dataclasses
import io
import math
import sys

import numpy as np
import optax
import pytest

import pinnzoo
from pinnzoo.errors import RecipeError, TrainingError, UnknownNameError
from pinnzoo.recipes import Phase
from pinnzoo.storage.blueprint import build
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
    monkeypatch.setattr(sys, "stdout", stream)
    with progress_bar(RECIPE) as bar:
        bar(of_a_step())
    stream.flush()
    assert b"damping 1e-04" in stream.buffer.getvalue()  # pyright: ignore


@pytest.mark.parametrize("note", ["Mean of ‖r‖", "[/bold] of [3]"])
def test_the_bar_takes_any_title_of_a_diagnostic(monkeypatch, note):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    with progress_bar(RECIPE) as bar:
        bar(of_a_step(stage="diagnostics", note=note))
    stream.flush()
    told = stream.buffer.getvalue().decode("cp1252")  # pyright: ignore
    assert printable(note, "cp1252")[-6:] in " ".join(told.split())


def test_a_pipe_that_is_closed_costs_no_training(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Broken())
    with progress_bar(RECIPE) as bar:
        bar(of_a_step())
