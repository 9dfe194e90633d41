"""Training: what is recorded, what resumes, and that it gets somewhere."""

import dataclasses
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.flatten_util import ravel_pytree

import pinnzoo
from pinnzoo import Box, Phase, Problem, Recipe, collocation, initial
from pinnzoo.collocation import draw_points, log_spaced_steps
from pinnzoo.domains import sample
from pinnzoo.errors import IntegrityError, PointsError, RecipeError, TrainingError
from pinnzoo.measure import study_of
from pinnzoo.objective import joined, part_slice
from pinnzoo.optimizers import OPTIMIZERS, Info, Optimizer
from pinnzoo.storage.blueprint import build
from pinnzoo.training import loop
from pinnzoo.training import run as state
from pinnzoo.training.scope import phase_scope
from tests.conftest import patch_diagnostics

TINY = Recipe(
    "heat",
    "mlp",
    (
        Phase("adam", 30, {"learning_rate": 5e-3}, resample_every=10),
        Phase("levenberg_marquardt", 6, points={"equation": 24}, resample_every=3, adaptive=True),
    ),
    architecture_arguments={"width": 6, "depth": 2},
    points={"equation": 20, "conditions": 6},
)


pytestmark = pytest.mark.usefixtures("small_diagnostics")

train = functools.partial(pinnzoo.train, diagnostics=False)
finetune = functools.partial(pinnzoo.finetune, diagnostics=False)


@pytest.fixture(scope="module")
def trained():
    with pytest.MonkeyPatch.context() as patch:
        patch_diagnostics(patch)
        return pinnzoo.train(TINY)


def same_numbers(one, other):
    np.testing.assert_array_equal(one.theta, other.theta)
    np.testing.assert_array_equal(one.snapshots.thetas, other.snapshots.thetas)
    for column in set(one.history) - {"seconds"}:
        np.testing.assert_array_equal(one.history[column], other.history[column])


def test_training_lowers_loss_and_error_over_both_phases(trained):
    error = trained.history["relative_l2_error"]
    assert trained.metrics["relative_l2_error"] < 0.1 * error[0]
    assert trained.metrics["steps"] == 36
    assert set(trained.history["phase"]) == {0, 1}
    assert np.all(np.diff(trained.history["step"]) > 0)
    assert np.all(np.diff(trained.history["seconds"]) >= 0)


def test_snapshots_begin_at_initialization_and_end_at_the_published_network(trained):
    _, initial = build(TINY)
    from pinnzoo.objective import flatten_model

    np.testing.assert_array_equal(trained.snapshots.thetas[0], flatten_model(initial)[0])
    np.testing.assert_array_equal(trained.snapshots.thetas[-1], trained.theta)
    assert list(trained.snapshots.steps) == log_spaced_steps(36)
    assert list(trained.ntk.steps) == list(trained.snapshots.steps)


def test_fewer_snapshots_are_kept_where_fewer_are_asked_for(trained):
    few = pinnzoo.train(TINY, diagnostics=False, snapshots=2)
    assert list(few.snapshots.steps) == [0, 1, 36]
    np.testing.assert_array_equal(few.snapshots.thetas[0], trained.snapshots.thetas[0])
    np.testing.assert_array_equal(few.theta, trained.theta)


def test_same_recipe_gives_the_same_numbers_and_another_seed_does_not(trained):
    same_numbers(trained, train(TINY))
    other = train(dataclasses.replace(TINY, seed=1))
    assert np.abs(trained.theta - other.theta).max() > 1e-3


class Killed(BaseException):
    """Stands for the end of the process: nothing in training may catch it."""


def train_and_die(monkeypatch, recipe, workdir, after):
    """Train until the state was saved `after` times."""
    saves = 0
    real = loop.save_run

    def dying(run, recipe, workdir):
        nonlocal saves
        real(run, recipe, workdir)
        saves += 1
        if saves == after:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_run", dying)
        with pytest.raises(Killed):
            train(recipe, workdir=workdir, save_every=0.0)


@pytest.mark.parametrize("after", [1, 7, 20, 34])
def test_killed_run_resumes_to_the_same_numbers(trained, tmp_path, monkeypatch, after):
    train_and_die(monkeypatch, TINY, tmp_path, after)
    same_numbers(trained, train(TINY, workdir=tmp_path))


@pytest.mark.parametrize("moment", ["_record", "_redraw", "_reweigh"])
@pytest.mark.parametrize("calls", [2, 4])
def test_interrupted_run_resumes_to_the_same_numbers(trained, tmp_path, monkeypatch, moment, calls):
    count = 0
    real = getattr(loop.Trainer, moment)

    def interrupting(self, run, *rest):
        nonlocal count
        count += 1
        if count == calls:
            # In the middle of a step: its parameters are new, what follows from them is not.
            raise KeyboardInterrupt
        return real(self, run, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, moment, interrupting)
        first = train(TINY, workdir=tmp_path, save_every=0.0)
    assert count == calls
    assert first.metrics["steps"] < trained.metrics["steps"]
    same_numbers(trained, train(TINY, workdir=tmp_path))


def test_a_run_that_goes_on_elsewhere_names_both_machines(trained, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(loop, "hardware", lambda: "a large machine")
        train_and_die(patch, TINY, tmp_path, 7)
    there = f"a large machine, then {trained.metrics['hardware']}"
    assert train(TINY, workdir=tmp_path).metrics["hardware"] == there
    # Whoever only reads the finished run has not trained it.
    monkeypatch.setattr(loop, "hardware", lambda: "a third one")
    assert train(TINY, workdir=tmp_path).metrics["hardware"] == there


def test_run_of_another_recipe_is_refused_and_resume_false_begins_anew(trained, tmp_path):
    train(dataclasses.replace(TINY, seed=3), workdir=tmp_path)
    with pytest.raises(RecipeError, match="another recipe"):
        train(TINY, workdir=tmp_path)
    same_numbers(trained, train(TINY, workdir=tmp_path, resume=False))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip"])
def test_damaged_run_is_refused_by_name(tmp_path, damage):
    (tmp_path / state.WORK_FILE).write_bytes(damage)
    with pytest.raises(IntegrityError, match="delete the file"):
        train(TINY, workdir=tmp_path)


def test_interrupt_keeps_the_best_state_and_an_honest_recipe(monkeypatch):
    real = loop.Trainer._record

    def interrupting(self, run, info, loss):
        real(self, run, info, loss)
        if run.total == 17:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.Trainer, "_record", interrupting)
    entry = train(TINY)
    assert entry.metrics["steps"] == 17
    assert entry.recipe.steps == 17
    assert [phase.optimizer for phase in entry.recipe.phases] == ["adam"]
    assert entry.name == "heat-mlp-adam"
    assert entry.metrics["loss"] <= entry.history["loss"].min() * (1 + 1e-12) or (
        # Resampling begins a new comparison.
        entry.metrics["loss"] <= entry.history["loss"][-7:].min() * (1 + 1e-12)
    )
    monkeypatch.undo()


def test_kill_signal_in_a_real_process_leaves_a_run_that_resumes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, pinnzoo
            pinnzoo.enable_x64()
            from pinnzoo import Phase, Recipe
            recipe = Recipe.from_json(open(sys.argv[1]).read())
            print("begun", flush=True)
            pinnzoo.train(recipe, workdir=sys.argv[2], save_every=0.0)
            """
        )
    )
    recipe = dataclasses.replace(TINY, phases=(Phase("levenberg_marquardt", 100_000),))
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    work = tmp_path / "work"
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "recipe.json"), str(work)],
        stdout=subprocess.PIPE,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    try:
        kept = work / state.WORK_FILE
        for _ in range(1200):
            if kept.exists() or process.poll() is not None:
                break
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    with np.load(kept) as file:
        about = json.loads(file["about"].tobytes())
    assert Recipe.from_dict(about["recipe"]) == recipe
    assert about["step"] >= 1
    # The first step after it uses up what time there is.
    entry = train(recipe, workdir=work, seconds=1e-9)
    assert entry.metrics["steps"] == about["step"] + 1


def test_a_problem_of_ones_own_trains_once_it_is_in_the_table(monkeypatch, tmp_path):
    def mine(rate=0.5):
        return dataclasses.replace(pinnzoo.PROBLEMS["heat"](diffusivity=rate), name="mine")

    monkeypatch.setitem(pinnzoo.PROBLEMS, "mine", mine)
    recipe = dataclasses.replace(TINY, problem="mine", problem_arguments={"rate": 0.3})
    entry = pinnzoo.train(recipe)
    assert entry.metrics["relative_l2_error"] < 0.1 * entry.history["relative_l2_error"][0]
    entry.save(tmp_path / "mine")
    np.testing.assert_array_equal(pinnzoo.load(tmp_path / "mine").theta, entry.theta)


def test_loss_that_leaves_the_numbers_is_an_error_with_a_remedy(monkeypatch):
    def diverging(objective, theta, state):
        return theta * np.nan, state, Info(loss=1.0, accepted=1.0)

    def fake(name, arguments):
        return Optimizer(lambda *_: (), diverging, traceable=False)

    monkeypatch.setattr(loop, "make_optimizer", fake)
    with pytest.raises(TrainingError, match="smaller learning rate"):
        train(TINY)


def test_phase_that_has_converged_ends_early_and_the_recipe_says_so(monkeypatch):
    calls = 0

    def stuck(objective, theta, state):
        nonlocal calls
        calls += 1
        return theta, state, Info(loss=1.0, accepted=0.0)

    def fake(name, arguments):
        return Optimizer(lambda *_: (), stuck, traceable=False)

    monkeypatch.setattr(loop, "make_optimizer", fake)
    entry = train(dataclasses.replace(TINY, phases=(Phase("levenberg_marquardt", 50),)))
    assert calls == loop.STALL
    assert entry.recipe.steps == loop.STALL == entry.metrics["steps"]


def test_finetuning_starts_at_the_entry_and_names_it(trained):
    tuned = finetune(trained, "lm", steps=8)
    assert tuned.recipe.base == trained.name
    assert tuned.name == "heat-mlp-levenberg_marquardt-from_levenberg_marquardt"
    assert tuned.metrics["relative_l2_error"] < trained.metrics["relative_l2_error"]
    np.testing.assert_array_equal(tuned.snapshots.thetas[0], trained.theta)


def test_finetuning_refuses_what_the_optimizer_does_not_take(trained):
    with pytest.raises(RecipeError, match="learning_rate"):
        finetune(trained, "lm", steps=1, learning_rate=1.0)


def test_error_figures_are_those_of_the_definition(trained):
    grid = trained.problem.evaluation_points()
    difference = trained.predict(grid) - trained.problem.reference(grid)
    shape = trained.problem.evaluation_shape
    axes = [np.linspace(0, 1, k) for k in shape]

    def integral(values):
        return np.trapezoid(np.trapezoid(values.reshape(shape), axes[1]), axes[0])

    reference = trained.problem.reference(grid)
    expected = np.sqrt(integral(difference**2) / integral(reference**2))
    figures = pinnzoo.evaluate(trained)
    assert figures["relative_l2_error"] == pytest.approx(expected, rel=1e-12)
    assert figures["max_error"] == pytest.approx(np.abs(difference).max(), rel=1e-12)
    assert trained.metrics["relative_l2_error"] == pytest.approx(expected, rel=1e-12)
    rng = np.random.default_rng(5)
    other = pinnzoo.evaluate(trained, sample(trained.problem.domain, 4000, "uniform", rng))
    assert other["relative_l2_error"] == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("total", [0, 1, 2, 9, 400, 50_000])
def test_snapshot_steps_begin_at_zero_end_at_the_end_and_grow(total):
    steps = log_spaced_steps(total)
    assert steps[0] == 0
    assert steps[-1] == total
    assert np.all(np.diff(steps) > 0)
    assert len(steps) <= collocation.SNAPSHOTS + 1


def test_point_sets_differ_from_draw_to_draw_and_repeat_with_the_seed():
    problem, _ = build(TINY)
    first, again, second = (
        draw_points(problem, TINY.points, "sobol", 0, draw)["equation"] for draw in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first, second).any()


def test_weights_of_a_phase_are_those_of_a_recipe_for_that_long():
    weights = {"initial": 100.0}
    phase = Phase("levenberg_marquardt", 4)
    by_recipe = train(dataclasses.replace(TINY, phases=(phase,), weights=weights))
    by_phase = train(
        dataclasses.replace(TINY, phases=(dataclasses.replace(phase, weights=weights),))
    )
    plain = train(dataclasses.replace(TINY, phases=(phase,)))
    np.testing.assert_allclose(by_phase.theta, by_recipe.theta, rtol=1e-9)
    assert np.abs(plain.theta - by_recipe.theta).max() > 1e-3


def test_float32_recipe_trains_and_its_diagnostics_are_in_float64():
    recipe = dataclasses.replace(TINY, phases=(Phase("adam", 30),), dtype="float32")
    entry = pinnzoo.train(recipe)
    assert entry.theta.dtype == np.float64
    assert entry.metrics["dtype"] == "float32"
    assert entry.ntk.spectra.dtype == np.float64
    assert entry.metrics["relative_l2_error"] < 1.0


MAPS = Path("/proc/self/maps")

WINDOWED = Recipe(
    "heat",
    "tangent_mlp",
    (
        Phase("levenberg_marquardt", 6, part=0),
        Phase("levenberg_marquardt", 6, part=2, resample_every=3, adaptive=True),
        Phase("adam", 3, {"learning_rate": 1e-4}),
    ),
    architecture_arguments={"windows": 2, "width": 5, "depth": 1},
    points={"equation": 20, "conditions": 6},
)


def watched(recipe, look=lambda _: None):
    """Parameters at the end of every phase, and the points of the phase."""
    ends = {}

    def report(run):
        look(run)
        ends[run.phase] = (np.asarray(run.theta), {k: v.copy() for k, v in run.points.items()})

    problem, model = build(recipe)
    whole = joined(problem, model)
    drawn = draw_points(whole, recipe.points, recipe.sampler, recipe.seed, 0)
    assembly = pinnzoo.assemble(whole, model, drawn)
    trainer = loop.Trainer(recipe, problem, assembly, observe=report)
    run = trainer.start()
    ends[-1] = (np.asarray(run.theta), run.points)
    trainer.run(run)
    return ends, model, trainer


@functools.cache
def windowed():
    """`watched(WINDOWED)`, done once: most of its time goes to compiling each of its phases."""
    return watched(WINDOWED)


@functools.cache
def in_two_windows():
    """The entry of the phases that train one window each."""
    return train(dataclasses.replace(WINDOWED, phases=WINDOWED.phases[:2]))


def test_a_phase_of_a_part_moves_that_part_alone_on_its_own_times():
    ends, model, _ = windowed()
    for phase, part, times in ((0, 0, (0.0, 0.5)), (1, 2, (0.5, 1.0))):
        moved = ends[phase][0] != ends[phase - 1][0]
        own = np.zeros_like(moved)
        own[part_slice(model, part)] = True
        assert moved[own].mean() > 0.9
        assert not moved[~own].any()
        for name, points in ends[phase][1].items():
            assert np.all((points[:, 0] >= times[0]) & (points[:, 0] <= times[1])), name
    # The initial condition belongs to the first window; later ones join what is there.
    conditions = {"equation", "left", "right"}
    assert set(ends[0][1]) == conditions | {"initial"}
    assert set(ends[1][1]) == conditions | {"join_u"}
    assert set(ends[2][1]) == conditions | {"initial", "join_u_1"}
    assert (ends[2][0] != ends[1][0]).mean() > 0.9


def test_windows_trained_one_by_one_solve_the_problem():
    ends, _, trainer = windowed()
    start, end = trainer.assembly.theta, ends[1][0]
    before, after = (trainer.error(theta) for theta in (start, end))
    assert after < 0.2 * before


def warmly(**changes):
    """Two windows of which the second begins as the first goes on, at first without a step."""
    first, second, _ = WINDOWED.phases
    second = dataclasses.replace(second, **{"steps": 0, "warm_start": True, **changes})
    return dataclasses.replace(WINDOWED, phases=(first, second))


@pytest.mark.parametrize(
    "architecture",
    [
        {"windows": [0.3]},
        {"windows": [0.3], "tangent": False, "omega": [3.0, 2.0]},
        {"windows": [0.3], "tangent": False, "omega": [2.0, 3.0]},
        {"windows": [0.3], "periodic_axes": [1], "harmonics": 2, "initialization": "ntk"},
        {"windows": [0.3], "rank": 3},
        {"windows": [0.3], "rank": 3, "omega": [3.0, 2.0]},
    ],
)
def test_a_window_continues_as_the_one_before(architecture):
    recipe = dataclasses.replace(
        WINDOWED, architecture_arguments={**architecture, "width": 5, "depth": 2}
    )
    model: Any = build(recipe)[1]
    part = model.stride
    network = model.parts[part]
    nnx.update(network, model.continued(part))
    before = model.parts[0]
    for z in ((0.1, 0.2), (0.3, -0.7), (0.9, 0.4)):
        z = jnp.array(z)
        np.testing.assert_allclose(network(z), before(z), rtol=0, atol=1e-14)


def test_warm_start_begins_where_the_window_before_ends():
    recipe = warmly()
    entry = train(recipe)
    model: Any = entry.model
    expected, _ = ravel_pytree(model.continued(2))
    drawn: Any = build(recipe)[1]
    begun, drawn = entry.theta[part_slice(model, 2)], drawn.parts[2]
    np.testing.assert_array_equal(begun, expected)
    assert np.abs(begun - ravel_pytree(nnx.state(drawn, nnx.Param))[0]).max() > 0.1


def test_warm_start_is_not_done_again_where_a_run_goes_on(monkeypatch, tmp_path):
    recipe = warmly(steps=4)
    train_and_die(monkeypatch, recipe, tmp_path, 8)
    np.testing.assert_array_equal(train(recipe, workdir=tmp_path).theta, train(recipe).theta)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"part": None}, "part None"), ({"part": 0}, "parts 2"), ({"part": 3}, "parts 2")],
)
def test_a_warm_start_without_a_window_before_is_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        train(warmly(**changes))


def test_windows_trained_together_meet():
    recipe = Recipe(
        "heat",
        "tangent_mlp",
        (Phase("levenberg_marquardt", 30),),
        architecture_arguments={"windows": 3, "tangent": False, "width": 10, "depth": 2},
        points={"equation": 300, "conditions": 40},
    )
    entry = train(recipe)
    assert entry.metrics["relative_l2_error"] < 1e-4
    tuned = finetune(entry, steps=3, part="all")
    assert tuned.metrics["relative_l2_error"] < 1e-4


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_jump_of_windows_that_are_trained_together_is_seen(dtype):
    architecture = {"windows": 3, "tangent": False, "width": 6, "depth": 1}
    recipe = Recipe("wave", "tangent_mlp", (Phase("lm", 1),), dtype=dtype)
    model: Any
    problem, model = build(dataclasses.replace(recipe, architecture_arguments=architecture))
    whole = joined(problem, model)
    names = [f"join_{c}_{k}" for k in (1, 2) for c in ("u", "u_t")]
    assert list(whole.terms)[len(problem.terms) :] == names
    rng = np.random.default_rng(0)
    points = {name: sample(term.region, 5, "uniform", rng) for name, term in whole.terms.items()}
    theta, objective, _ = pinnzoo.assemble(whole, model, points)
    for name, rows in objective.slices().items():
        if name not in names:
            continue
        letters, window = name.removeprefix("join_")[:-2], int(name[-1])
        sides = [problem.field(problem.constrain(model.parts[window - k])) for k in (0, 1)]
        after, before = (
            np.array([side(jnp.asarray(z, dtype), letters)[0] for z in points[name]])
            for side in sides
        )
        jump = np.asarray(objective.residual(theta)[rows]) * np.sqrt(5)
        tolerance = 1e-12 if dtype == "float64" else 1e-4
        np.testing.assert_allclose(jump, after - before, atol=tolerance)
        assert np.abs(jump).max() > 100 * tolerance


@pytest.mark.parametrize(("part", "joins"), [(None, ["join_u_1"]), (0, [])])
def test_what_is_studied_is_the_loss_of_the_training(part, joins, tmp_path):
    recipe = Recipe(
        "heat",
        "tangent_mlp",
        (Phase("lm", 2, part=part),),
        architecture_arguments={"windows": 2, "tangent": False, "width": 4, "depth": 1},
        points={"equation": 20, "conditions": 5},
    )
    entry = train(recipe, diagnostics=["ntk", "loss_hessian"])
    kept = entry.snapshots
    study = study_of(entry.problem, entry.model, entry.recipe, kept.steps, kept.thetas)
    own = [*entry.problem.terms]
    assert [term.name for term in study.objective.terms] == own + joins
    assert [*entry.ntk.terms] == own
    entry.save(tmp_path / "entry")
    again = pinnzoo.diagnose(pinnzoo.load(tmp_path / "entry"), ["loss_hessian"])
    assert again.metrics["loss_hessian"] == entry.metrics["loss_hessian"]


def test_windows_meet_at_zero_too():
    """Next to zero are numbers that processors take for zero."""
    around = pinnzoo.Box("t", (-1.0,), (1.0,))
    problem = pinnzoo.Problem(
        name="around",
        domain=around,
        components=("u",),
        equation=lambda u, z: u(z, "u_t")[0],
        conditions=(pinnzoo.initial(around, "u", 1.0),),
    )
    architecture = {"windows": 2, "tangent": False, "width": 4, "depth": 1}
    recipe = Recipe("around", "tangent_mlp", (Phase("lm", 1),), architecture_arguments=architecture)
    _, model = build(recipe, problem)
    whole = joined(problem, model)
    points = {
        name: sample(term.region, 1, "uniform", np.random.default_rng(0))
        for name, term in whole.terms.items()
    }
    theta, objective, _ = pinnzoo.assemble(whole, model, points)
    (jump,) = np.asarray(jax.jit(objective.residual)(theta))[objective.slices()["join_u_1"]]
    assert abs(jump) > 1e-3


def test_windows_are_trained_together_after_one_another(tmp_path):
    """A run of parts that is over goes on with a phase for all of them."""
    parts = dataclasses.replace(WINDOWED, phases=WINDOWED.phases[:2])
    train(parts, workdir=tmp_path)
    later, at_once = train(WINDOWED, workdir=tmp_path), train(WINDOWED)
    np.testing.assert_array_equal(later.theta, at_once.theta)


def test_windows_that_read_one_another_are_trained_together():
    def delayed(u, z):
        return u(z, "u_t")[0] + u(jnp.maximum(z - 0.25, 0.0), "u")[0]

    time = pinnzoo.Box("t", (0.0,), (1.0,))
    problem = pinnzoo.Problem(
        name="delayed",
        domain=time,
        components=("u",),
        equation=delayed,
        conditions=(pinnzoo.initial(time, "u", 1.0),),
    )
    architecture = {"windows": 2, "width": 6, "depth": 1}
    recipe = Recipe(
        "delayed", "tangent_mlp", (Phase("lm", 2),), architecture_arguments=architecture
    )
    assert train(recipe, problem=problem).metrics["steps"] == 2
    parts = dataclasses.replace(recipe, phases=(Phase("lm", 2, part=0),))
    with pytest.raises(RecipeError, match="read the field at other times"):
        train(parts, problem=problem)
    one = dataclasses.replace(parts, architecture_arguments={**architecture, "windows": 1})
    assert train(one, problem=problem).metrics["steps"] == 2


def test_windows_of_a_problem_without_time_are_refused():
    recipe = Recipe(
        "poisson", "tangent_mlp", (Phase("lm", 1),), architecture_arguments={"windows": 2}
    )
    with pytest.raises(PointsError, match="first coordinate is t"):
        train(recipe)


@pytest.mark.skipif(not MAPS.exists(), reason="counts the memory maps that Linux reports")
def test_programs_of_earlier_windows_are_given_back():
    phases = tuple(Phase("levenberg_marquardt", 1, part=2 * k) for k in range(5))
    architecture = {"windows": 5, "width": 5, "depth": 1}
    recipe = dataclasses.replace(WINDOWED, phases=phases, architecture_arguments=architecture)
    held = {}
    watched(recipe, lambda run: held.setdefault(run.phase, len(MAPS.read_text().splitlines())))
    assert len(held) == 5
    assert held[4] < 1.2 * held[0]


def test_a_windowed_run_resumes_in_the_middle_of_a_part(tmp_path, monkeypatch):
    whole = train(WINDOWED)
    train_and_die(monkeypatch, WINDOWED, tmp_path, 9)
    same_numbers(whole, train(WINDOWED, workdir=tmp_path))


def test_parts_that_do_not_exist_are_refused():
    for architecture, part, words in (("mlp", 0, "0 parts"), ("tangent_mlp", 2, "2 parts")):
        recipe = dataclasses.replace(
            WINDOWED,
            architecture=architecture,
            architecture_arguments={"width": 4, "depth": 1},
            phases=(Phase("adam", 1, part=part),),
        )
        with pytest.raises(RecipeError, match=words):
            train(recipe)


def test_training_ends_with_its_time_and_goes_on_with_more(trained, tmp_path):
    first = train(TINY, workdir=tmp_path, seconds=1e-9)
    assert first.metrics["steps"] == first.recipe.steps == 1
    same_numbers(trained, train(TINY, workdir=tmp_path))


def with_its_tangent(steps, size, points):
    """A network in one window, then its tangent."""
    return dataclasses.replace(
        WINDOWED,
        phases=(
            Phase("levenberg_marquardt", steps, part=0),
            Phase("levenberg_marquardt", 3, {"scaling": "columns", "damping": 1e-16}, part=1),
        ),
        architecture_arguments=size,
        points={"equation": points, "conditions": 40},
    )


def test_a_tangent_goes_on_where_the_network_of_its_window_stalls():
    recipe = with_its_tangent(30, {"width": 10, "depth": 2}, 400)
    ends, _, trainer = watched(recipe)
    before, after = (trainer.error(ends[phase][0]) for phase in (0, 1))
    assert after < 0.1 * before


def test_fine_tuning_a_chain_of_windows_trains_the_last_part_unless_told_otherwise():
    entry = in_two_windows()
    last = entry.recipe.phases[-1].part
    assert last is not None
    tuned = finetune(entry, steps=2)
    assert tuned.recipe.phases[0].part == last
    changed = np.flatnonzero(tuned.theta != entry.theta)
    where = part_slice(entry.model, last)
    assert len(changed)
    assert where.start <= changed.min() <= changed.max() < where.stop
    every = finetune(entry, steps=2, part="all")
    assert np.flatnonzero(every.theta != entry.theta).min() < where.start
    with pytest.raises(RecipeError, match="parts"):
        finetune(entry, steps=2, part=99)


def test_a_network_that_is_trained_again_has_a_tangent_that_begins_anew():
    recipe = with_its_tangent(20, {"width": 6, "depth": 1}, 200)
    entry = train(recipe)
    with pytest.warns(UserWarning, match=r"its tangent, part 1, begins anew at zero; train part 1"):
        tuned = finetune(entry, steps=2, part=0)
    tangent = part_slice(entry.model, 1)
    assert np.abs(entry.theta[tangent]).max() > 0
    np.testing.assert_array_equal(tuned.theta[tangent], 0)
    # What it states is the loss of the network that it has.
    places = sample(tuned.problem.domain, 500, "sobol", np.random.default_rng(0))
    assert np.mean(tuned.residual(places) ** 2) < 4 * tuned.metrics["loss"]
    again = dataclasses.replace(recipe, phases=recipe.phases * 2)
    assert train(again).metrics["loss"] < 2 * entry.metrics["loss"]


def test_windows_after_one_that_is_trained_again_are_named():
    entry = in_two_windows()
    with pytest.warns(
        UserWarning, match=r"part 2 meets what the window before it was; train part 2"
    ):
        finetune(entry, steps=1, part=0)


def wave(length=1.0):
    """Moves along a ring, whose period the network has from its architecture."""
    domain = Box("tx", (0.0, 0.0), (0.5, length))

    def equation(u, z):
        u_t, u_x = u(z, "u_t u_x")
        return u_t + u_x

    start = initial(domain, "u", lambda x: jnp.sin(2 * jnp.pi * x / length))
    return Problem(
        name="ring",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(start,),
        arguments={"length": length},
    )


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [("mlp", {}), ("tangent_mlp", {"windows": 2, "tangent": False})],
)
def test_a_network_is_stretched_to_the_domain_on_which_it_goes_on(architecture, arguments):
    options = {"width": 6, "depth": 1, "periodic_axes": [1], **arguments}
    recipe = Recipe(
        "ring",
        architecture,
        (Phase("levenberg_marquardt", 2),),
        architecture_arguments=options,
        points={"equation": 60, "conditions": 20},
    )
    entry = train(recipe, problem=wave())
    longer = finetune(entry, steps=1, problem=wave(1.5), weights={"equation": 1.0})
    ends = longer.predict([[0.4, 0.0], [0.4, 1.5]])
    assert ends[0] == pytest.approx(ends[1], abs=1e-12)
    still = finetune(entry, steps=0, problem=wave(1.5))
    np.testing.assert_array_equal(still.theta, entry.theta)
    assert still.predict([[0.4, 0.3]]) == pytest.approx(entry.predict([[0.4, 0.2]]), abs=1e-12)
    # Its windows of time are all trained, not the last one alone.
    assert longer.recipe.phases[0].part is None


def test_weights_of_a_window_are_its_own_and_unknown_ones_are_refused_at_once(monkeypatch):
    def weighted(points=None, **weights):
        first, second, _ = WINDOWED.phases
        second = dataclasses.replace(second, weights=weights, points=points or {})
        return dataclasses.replace(WINDOWED, phases=(first, second))

    entry = train(weighted(join_u=100.0))
    assert np.abs(entry.theta - in_two_windows().theta).max() > 0
    # Refused before the first step of the first phase, though the second is the one that is wrong.
    monkeypatch.setattr(loop.Trainer, "run", lambda *_: pytest.fail("trained"))
    with pytest.raises(RecipeError, match="weights for 'initial' were given"):
        train(weighted(initial=2.0))
    with pytest.raises(RecipeError, match="points for 'joint_u' were given: did you mean 'join_u'"):
        train(weighted({"joint_u": 20}))


def killed_before_phase(monkeypatch, recipe, workdir, index):
    """Train in a folder until a phase would begin."""
    real = loop.Trainer._phase

    def dying(self, run, phase):
        if run.phase == index:
            raise Killed
        real(self, run, phase)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_phase", dying)
        with pytest.raises(Killed):
            train(recipe, workdir=workdir)


def test_a_phase_that_stalled_before_the_kill_is_not_taken_up_again(tmp_path, monkeypatch):
    def stuck():
        def step(objective, theta, state):
            return theta, state, Info(loss=objective.loss(theta), accepted=0.0)

        return Optimizer(lambda *_: np.zeros(()), step, traceable=False)

    monkeypatch.setitem(OPTIMIZERS, "stuck", stuck)
    phases = (TINY.phases[0], Phase("stuck", 20), Phase("adam", 3))
    recipe = dataclasses.replace(TINY, phases=phases)
    whole = train(recipe)
    assert whole.recipe.phases[1].steps == loop.STALL
    killed_before_phase(monkeypatch, recipe, tmp_path, 2)
    same_numbers(whole, train(recipe, workdir=tmp_path))


def test_a_phase_ends_at_its_target_and_states_the_steps_that_it_took(
    trained, tmp_path, monkeypatch
):
    first, last = TINY.phases
    losses = trained.history["loss"]
    # On the points of step 13, which are not those of step 10 before; no step before is below.
    target = float(losses[13]) * (1 + 1e-9)
    assert losses[:13].min() > target
    phases = (dataclasses.replace(first, target_loss=target), last)
    recipe = dataclasses.replace(TINY, phases=phases)
    entry = train(recipe)
    assert entry.recipe.phases == (dataclasses.replace(first, steps=13), last)
    np.testing.assert_array_equal(entry.history["loss"][:14], losses[:14])
    assert entry.history["phase"][13:15].tolist() == [0, 1]
    killed_before_phase(monkeypatch, recipe, tmp_path, 1)
    same_numbers(entry, train(recipe, workdir=tmp_path))


@pytest.mark.parametrize("snapshots", [2, 30])
def test_neither_the_pace_of_a_machine_nor_snapshots_decide_where_a_phase_ends(
    snapshots, monkeypatch
):
    few = dataclasses.replace(TINY, phases=(Phase("adam", 9),))
    losses = train(few).history["loss"]
    assert (np.diff(losses) < 0).all()
    # Every fourth step is recorded alone from the beginning, and step 7 reaches the target.
    monkeypatch.setattr(loop, "RECORDS", 2)
    phase = Phase("adam", 3000, target_loss=float(losses[7]) * (1 + 1e-9))
    recipe = dataclasses.replace(TINY, phases=(phase,))
    usual = train(recipe)
    assert usual.recipe.steps == 8
    monkeypatch.setattr(loop, "LOOK", 1e-9)
    slow = train(recipe, snapshots=snapshots)
    assert slow.recipe == usual.recipe
    np.testing.assert_array_equal(slow.theta, usual.theta)


def test_frozen_parameters_leave_the_shapes_of_the_others(trained):
    recipe = dataclasses.replace(TINY, phases=(Phase("soap", 1, freeze=("hidden.0.bias",)),))
    problem, model = build(recipe)
    assembly = pinnzoo.objective.assemble(
        problem, model, draw_points(problem, recipe.points, "sobol", 0, 0)
    )
    found = phase_scope(problem, assembly, recipe, recipe.phases[0], assembly.theta)
    shapes = list(assembly.objective.shapes)
    shapes.remove((6,))
    assert found.objective.shapes == tuple(shapes)


def test_a_limit_of_time_is_noticed_however_many_steps_are_asked_for():
    phase = Phase("adam", 10**9, seconds=0.5)
    entry = train(dataclasses.replace(TINY, phases=(phase,)))
    assert entry.metrics["steps"] < 10**6


@pytest.mark.parametrize("end", ["_is_over", "_is_stopped"])
def test_what_ends_early_is_what_its_recipe_makes(end, monkeypatch, tmp_path):
    phase = Phase("adam", 40, {"learning_rate": 0.3}, resample_every=7)
    recipe = dataclasses.replace(TINY, phases=(phase,))
    # Steps 1, 2, 4, 8 and so on are recorded; it ends after step 7, where new points are due.
    monkeypatch.setattr(loop, "RECORDS", 2)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "LOOK", 0.0)
        patch.setattr(loop, "FIRST", 1)
        calls = itertools.count(1)
        patch.setattr(loop.Trainer, end, lambda *_: next(calls) >= 7)
        ended = train(recipe, workdir=tmp_path)
    assert ended.recipe.steps == 7
    assert ended.history["step"].tolist() == [0, 1, 2, 4, 7]
    again = train(ended.recipe)
    np.testing.assert_array_equal(ended.theta, again.theta)
    np.testing.assert_array_equal(ended.history["loss"], again.history["loss"])
    if end == "_is_stopped":
        same_numbers(train(recipe, workdir=tmp_path), train(recipe))


def test_a_run_in_pieces_is_the_run_in_one(monkeypatch):
    recipe = dataclasses.replace(TINY, phases=(Phase("adam", 4000),))
    whole = train(recipe)
    monkeypatch.setattr(loop, "LOOK", 0.0)
    monkeypatch.setattr(loop, "FIRST", 1)
    same_numbers(whole, train(recipe))
