"""Problems, networks and optimizers as objects, and what an entry answers about its solution."""

import dataclasses
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import nullcontext
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx

import pinnzoo
from pinnzoo import Phase, Recipe
from pinnzoo.architectures import MLP
from pinnzoo.cards import Summary, entry_card
from pinnzoo.cli import app
from pinnzoo.errors import (
    EntryError,
    IntegrityError,
    PointsError,
    RecipeError,
    RegistrationError,
    TrainingError,
    UnknownNameError,
)
from pinnzoo.optimizers import from_optax, levenberg_marquardt
from pinnzoo.pdes import make_problem
from pinnzoo.registry import execute
from pinnzoo.storage.blueprint import states_the_same
from pinnzoo.training import training as training_module
from pinnzoo.training.loop import Trainer, next_stop
from pinnzoo.training.run import WORK_FILE
from tests.tiny_entries import tiny_recipe

pytestmark = pytest.mark.usefixtures("small_diagnostics")

SMALL = Recipe(
    "heat",
    "mlp",
    (Phase("lm", 4),),
    architecture_arguments={"width": 6, "depth": 2},
    points={"equation": 20, "conditions": 6},
)


@pytest.fixture(scope="module")
def trained():
    return pinnzoo.train(SMALL, diagnostics=False)


def network(problem, width=6, seed=0):
    box = problem.domain
    return MLP(
        problem.m,
        lower=box.lower,
        upper=box.upper,
        width=width,
        depth=2,
        dtype=jnp.float64,
        rngs=nnx.Rngs(params=seed),
    )


def changed(problem, **changes):
    return dataclasses.replace(problem, **changes)


# Objects.


def test_an_edited_problem_of_the_same_name_is_another_problem():
    first = make_problem("heat", {"diffusivity": 0.1})
    second = changed(first, equation=lambda u, z: u(z, "u_t")[0] - 3.0)
    one, other = (pinnzoo.train(SMALL, problem=p, diagnostics=False) for p in (first, second))
    assert np.abs(one.theta - other.theta).max() > 1e-3
    assert other.problem is second
    assert np.abs(other.residual([[0.5, 0.5]])).max() < np.abs(one.residual([[0.5, 0.5]])).max() + 3


def test_registering_again_what_was_edited_changes_what_is_trained():
    def cell(rate):
        def edited() -> pinnzoo.Problem:
            problem = make_problem("heat", {"diffusivity": rate})
            return changed(problem, name="edited", arguments={})

        return edited

    recipe = dataclasses.replace(SMALL, problem="edited")
    try:
        ends = []
        for rate in (0.05, 1.0):
            pinnzoo.register_problem(cell(rate))
            ends.append(pinnzoo.train(recipe, diagnostics=False).theta)
        assert np.abs(ends[0] - ends[1]).max() > 1e-3
    finally:
        pinnzoo.PROBLEMS.pop("edited", None)


def test_a_problem_follows_the_data_that_its_factory_reads():
    rate = {"now": 1.0}

    def decaying() -> pinnzoo.Problem:
        domain = pinnzoo.Box("t", (0.0,), (1.0,))
        return pinnzoo.Problem(
            name="decaying",
            domain=domain,
            components=("u",),
            equation=lambda u, z: u(z, "u_t")[0] + rate["now"] * u(z, "u")[0],
            conditions=(pinnzoo.initial(domain, "u", 1.0),),
        )

    try:
        pinnzoo.register_problem(decaying)
        first = make_problem("decaying", {})
        assert make_problem("decaying", {}) is first
        rate["now"] = 5.0
        second = make_problem("decaying", {})
        assert second is not first
        assert make_problem("decaying", {}) is second
    finally:
        pinnzoo.PROBLEMS.pop("decaying", None)


def test_the_field_and_the_network_of_an_entry_are_not_rounded_silently():
    entry = pinnzoo.train(SMALL, diagnostics=False)
    with jax.enable_x64(False):
        for ask in (lambda: entry.field, lambda: entry.model_at(entry.theta)):
            with pytest.raises(pinnzoo.PinnzooError, match="needs float64"):
                ask()


def test_names_that_are_taken_are_refused():
    def heat():
        return make_problem("heat", {})

    with pytest.raises(RegistrationError, match="taken"):
        pinnzoo.register_problem(heat)
    with pytest.raises(RegistrationError, match="lower-case"):
        pinnzoo.register_problem(heat, name="My Heat")


def test_a_problem_object_of_another_name_or_arguments_is_refused():
    with pytest.raises(RecipeError, match="name the problem"):
        pinnzoo.train(SMALL, problem=make_problem("wave", {}))
    recipe = dataclasses.replace(SMALL, problem_arguments={"diffusivity": 0.5})
    with pytest.raises(RecipeError, match="diffusivity"):
        pinnzoo.train(recipe, problem=make_problem("heat", {}))


def test_training_starts_from_the_parameters_of_a_network_that_is_given():
    problem = make_problem("heat", {})
    model = network(problem, seed=7)
    entry = pinnzoo.train(SMALL, model=model, diagnostics=False)
    expected = pinnzoo.assemble(
        problem, model, {n: np.full((1, 2), 0.5) for n in problem.terms}
    ).theta
    np.testing.assert_array_equal(entry.snapshots.thetas[0], expected)


def test_optimizers_as_objects_state_their_name_and_arguments(trained):
    import optax

    tuned = pinnzoo.finetune(trained, levenberg_marquardt(damping=0.5), steps=2, diagnostics=False)
    (phase,) = tuned.recipe.phases
    assert (phase.optimizer, phase.arguments) == ("levenberg_marquardt", {"damping": 0.5})
    lion = dataclasses.replace(from_optax(optax.lion(1e-4)), name="lion")
    assert pinnzoo.finetune(trained, lion, steps=2, diagnostics=False).name == (
        "heat-mlp-lion-from_levenberg_marquardt"
    )
    recipe = dataclasses.replace(SMALL, phases=(Phase("mine", 2),))
    entry = pinnzoo.train(recipe, optimizers={"mine": lion}, diagnostics=False)
    assert entry.name == "heat-mlp-mine"


def test_an_entry_without_reference_has_no_errors_and_says_so():
    problem = changed(make_problem("heat", {}), reference=None)
    entry = pinnzoo.train(SMALL, problem=problem)
    assert "relative_l2_error" not in entry.metrics
    assert np.isnan(entry.history["relative_l2_error"]).all()
    assert np.isfinite(entry.history["loss"]).all()
    with pytest.raises(pinnzoo.PinnzooError, match="reference"):
        pinnzoo.evaluate(entry)


# What an entry answers.


def test_derivatives_and_residual_are_those_of_the_field(trained):
    points = np.random.default_rng(0).random((7, 2))
    values = trained.derivatives(points, "u u_t u_xx")
    field = trained.field
    for row, z in zip(values, points, strict=True):
        z = jnp.asarray(z)
        first, second = jax.jacfwd(field)(z)[0], jax.jacfwd(jax.jacrev(field))(z)[0]
        np.testing.assert_allclose(row, [field(z)[0], first[0], second[1, 1]], rtol=1e-10)
    kappa = trained.problem.arguments["diffusivity"]
    expected = values[:, 1:2] - kappa * values[:, 2:3]
    np.testing.assert_allclose(trained.residual(points), expected, rtol=1e-9, atol=1e-12)
    assert jax.jit(jax.vmap(field))(jnp.asarray(points)).shape == (7, 1)
    with pytest.raises(UnknownNameError):
        trained.derivatives(points, "u_z")


def test_derivatives_are_taken_outside_of_the_domain_where_that_is_asked_for(trained):
    outside = [[1.5, 0.5], [0.5, -0.25]]
    with pytest.raises(PointsError, match="outside of the domain"):
        trained.derivatives(outside, "u_x")
    found = trained.derivatives(outside, "u u_x", extrapolate=True)
    np.testing.assert_allclose(found[:, 0], trained.predict(outside, extrapolate=True)[:, 0])
    slopes = jax.vmap(jax.jacfwd(trained.field))(jnp.array(outside))[:, 0, 1]
    np.testing.assert_allclose(found[:, 1], slopes, rtol=1e-12)


def test_points_outside_of_the_domain_or_in_another_order_are_noticed():
    entry = pinnzoo.load("burgers-mlp-lm")
    with pytest.raises(PointsError, match="outside"):
        entry.predict([[0.5, 3.0]])
    assert np.isfinite(entry.predict([[0.5, 1.01]], extrapolate=True)).all()
    with pytest.raises(PointsError, match="columns are"):
        entry.predict([[-0.5, 0.2], [-0.1, 0.3]])
    named = {"x": np.array([-0.5, 0.1]), "t": np.array([0.2, 0.3])}
    np.testing.assert_array_equal(entry.predict(named), entry.predict([[0.2, -0.5], [0.3, 0.1]]))


def test_double_precision_is_not_lost_in_a_context_or_a_thread(trained):
    with jax.enable_x64(False), pytest.raises(pinnzoo.PinnzooError, match="float64"):
        trained.predict([[0.5, 0.5]])
    expected, found = trained.predict([[0.5, 0.5]]), []
    threads = [
        threading.Thread(target=lambda: found.append(trained.predict([[0.5, 0.5]])))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(one, expected) for one in found)
    assert len(found) == 3


def test_nothing_is_said_of_a_beginning_that_is_not_on_record(tmp_path):
    problem = make_problem("heat", {})
    sizes = {"width": 6, "depth": 2}
    entry = pinnzoo.Entry.from_model(
        problem, network(problem), optimizer="own", steps=1000, architecture_arguments=sizes
    )
    for name in ("ntk", "residual_hessian", "loss_hessian"):
        assert entry.metrics[name]["initial"] is None
        assert entry.metrics[name]["final"]
    drifts = entry.metrics["ntk"]["drift"].values()
    assert {figure for drift in drifts for figure in drift.values()} == {None}
    entry.save(tmp_path / "entry")
    loaded = pinnzoo.load(tmp_path / "entry", verify="all")
    assert loaded.metrics == entry.metrics
    command = ["analyze", str(tmp_path / "entry"), "--json", "--no-plots"]
    told = json.loads(CliRunner().invoke(app, command).stdout)
    assert told["snapshots"][0]["drift_spectral"] is None
    card = entry_card(Summary(entry.name, entry.recipe, entry.metrics), problem)
    assert "| whole kernel | – | – |" in card
    assert "| Loss, trace | – | " in card


def test_kernels_at_other_points_are_those_of_the_stored_parameters(trained):
    points = np.random.default_rng(1).random((5, 2))
    kernels = trained.ntk_at(points)
    assert list(kernels.steps) == list(trained.snapshots.steps)
    drawn = {name: points for name in trained.problem.terms}
    objective = pinnzoo.assemble(trained.problem, trained.model, drawn).objective
    rows = np.asarray(objective.terms[0].jacobian(jnp.asarray(trained.theta)))
    rows = rows / float(objective.terms[0].scale)
    np.testing.assert_allclose(kernels.kernels[-1], rows @ rows.T, rtol=1e-5)
    with pytest.raises(
        PointsError, match=r"for 'initial' \(4 of 5 are like it\): .* on t = 0, 0 ≤ x"
    ):
        trained.ntk_at({"initial": points * [[0.0, 1.0]] + [[0, 0], *[[0.5, 0]] * 4]})
    by_term = trained.ntk_at({"initial": points * [0.0, 1.0]})
    assert set(by_term.terms) == {"initial"}


def test_what_an_own_loop_trained_becomes_an_entry(tmp_path):
    problem = make_problem("heat", {})
    model = network(problem)
    before = nnx.clone(model)
    rng = np.random.default_rng(0)
    drawn = {n: problem.domain.grid((3, 3))[: rng.integers(2, 5)] for n in problem.terms}
    theta, objective, to_model = pinnzoo.assemble(problem, model, drawn)
    for _ in range(3):
        theta = theta - 1e-3 * jax.grad(objective.loss)(theta)
    entry = pinnzoo.Entry.from_model(
        problem,
        to_model(theta),
        architecture_arguments={"width": 6, "depth": 2},
        optimizer="my_loop",
        steps=3,
        snapshots={0: before},
    )
    assert entry.name == "heat-mlp-my_loop"
    assert list(entry.snapshots.steps) == [0, 3]
    assert entry.metrics["ntk"]["drift"]["all"]["spectral"] > 0
    entry.save(tmp_path / "mine")
    np.testing.assert_array_equal(pinnzoo.load(tmp_path / "mine").theta, np.asarray(theta))
    with pytest.raises(RecipeError, match="hidden"):
        pinnzoo.Entry.from_model(problem, model, optimizer="my_loop", diagnostics=False)


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_an_entry_is_pickled_by_recipe_and_weights(trained, protocol):
    again = pickle.loads(pickle.dumps(trained, protocol))
    np.testing.assert_array_equal(again.theta, trained.theta)
    np.testing.assert_array_equal(again.predict([[0.5, 0.5]]), trained.predict([[0.5, 0.5]]))
    assert again.recipe == trained.recipe
    assert again.metrics == trained.metrics
    network = pickle.loads(pickle.dumps(trained.model))
    assert type(network) is type(trained.model)


def test_an_entry_without_kernels_is_saved_loaded_and_completed(trained, tmp_path):
    trained.save(tmp_path / "bare")
    bare = pinnzoo.load(tmp_path / "bare", verify="all")
    assert "ntk" not in bare.metrics
    with pytest.raises(EntryError, match="diagnose"):
        bare.ntk  # noqa: B018
    whole = pinnzoo.diagnose(bare)
    whole.save(tmp_path / "bare", overwrite=True)
    again = pinnzoo.load(tmp_path / "bare", verify="all")
    assert again.ntk.drift()[-1] == pytest.approx(
        again.metrics["ntk"]["drift"]["all"]["spectral"], rel=1e-9
    )


# Fine-tuning.


def test_finetuning_to_another_coefficient_starts_at_the_entry(trained):
    tuned = pinnzoo.finetune(
        trained, steps=3, problem_arguments={"diffusivity": 0.5}, diagnostics=False
    )
    assert tuned.problem.arguments["diffusivity"] == 0.5
    np.testing.assert_array_equal(tuned.snapshots.thetas[0], trained.theta)
    other = make_problem("heat", {"diffusivity": 0.5})
    same = pinnzoo.finetune(trained, steps=3, problem=other, diagnostics=False)
    np.testing.assert_allclose(same.theta, tuned.theta, rtol=1e-9)


def test_frozen_parameters_stay_and_the_others_move(trained):
    tuned = pinnzoo.finetune(trained, steps=2, freeze=["hidden.0", "*.bias"], diagnostics=False)
    before, after = (nnx.state(entry.model, nnx.Param) for entry in (trained, tuned))
    moved = {
        jax.tree_util.keystr(path): not np.array_equal(old, new)
        for (path, old), new in zip(
            jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True
        )
    }
    assert any(moved.values())
    for path, has_moved in moved.items():
        stays = "bias" in path or ("'hidden'" in path and "[0]" in path)
        assert has_moved != stays, path
    with pytest.raises(RecipeError, match="matches no parameter"):
        pinnzoo.finetune(trained, steps=2, freeze=["hiden.0"])


def test_finetuning_begins_with_points_and_weights_of_the_last_phase_and_enough_of_them(trained):
    phase = Phase("lm", 2, points={"equation": 400, "initial": 9}, weights={"initial": 7.0})
    entry = pinnzoo.train(dataclasses.replace(SMALL, phases=(phase,)), diagnostics=False)
    (tuned,) = pinnzoo.finetune(entry, steps=1, diagnostics=False).recipe.phases
    assert tuned.points == {"equation": 400, "conditions": 6, "initial": 9}
    assert tuned.weights == {"initial": 7.0}
    (few,) = pinnzoo.finetune(trained, steps=1, diagnostics=False).recipe.phases
    given = {"points": {"equation": 77}, "weights": {"equation": 0.5}}
    (some,) = pinnzoo.finetune(entry, steps=1, diagnostics=False, **given).recipe.phases
    assert some.points == {**tuned.points, "equation": 77}
    assert some.weights == {**tuned.weights, "equation": 0.5}
    assert few.points["equation"] == 3 * trained.theta.size


def test_every_equation_and_every_part_get_enough_points(trained):
    """Counts that a recipe gives to each term, as that of a solved entry does, are raised alike."""
    problem = make_problem("kovasznay", {})
    counts = dict.fromkeys(problem.terms, 5) | {"pressure": 1}
    recipe = Recipe(
        "kovasznay",
        "tangent_mlp",
        (Phase("lm", 1, points=counts, part=0), Phase("lm", 1, points=counts, part=1)),
        architecture_arguments={"width": 4, "depth": 1},
        points={"equation": 5},
    )
    entry = pinnzoo.train(recipe, diagnostics=False)
    # The network and its tangent have as many parameters, and one of them is trained, or both.
    for part, trained_share in ((None, 2), (0, 2), ("all", 1)):
        told = (
            pytest.warns(UserWarning, match="its tangent, part 1") if part == 0 else nullcontext()
        )
        with told:
            tuned = pinnzoo.finetune(entry, steps=1, part=part, diagnostics=False)
        (phase,) = tuned.recipe.phases
        equations = {phase.points[name] for name in ("equation", "momentum_y", "continuity")}
        assert equations == {3 * entry.theta.size // trained_share}
        assert phase.points["boundary_u"] == 5


def test_parameters_that_are_frozen_need_no_points(trained):
    tuned = pinnzoo.finetune(trained, steps=1, freeze="hidden", diagnostics=False)
    output = nnx.state(trained.model.output, nnx.Param)
    own = sum(leaf.size for leaf in jax.tree.leaves(output))
    before = {**trained.recipe.points, **trained.recipe.phases[-1].points}
    assert tuned.recipe.phases[0].points["equation"] == max(3 * own, before["equation"])


def test_finetuning_to_another_number_of_coordinates_is_refused(trained):
    with pytest.raises(RecipeError, match=r"'heat_nd' with .* has 4 coordinates and features"):
        pinnzoo.finetune(trained, problem=make_problem("heat_nd", {"dimension": 3}))


def test_finetuning_to_other_conditions_forgets_what_was_said_of_those_that_are_gone():
    points = {"equation": 20, "initial": 6, "left": 4, "right": 4}
    phase = Phase("lm", 2, points=points, weights={"left": 3.0, "equation": 2.0})
    recipe = dataclasses.replace(SMALL, phases=(phase,), points=points, weights={"right": 2.0})
    entry = pinnzoo.train(recipe, diagnostics=False)
    hard = {"constraints": "hard"}
    tuned = pinnzoo.finetune(entry, steps=1, problem_arguments=hard, diagnostics=False)
    assert set(tuned.recipe.phases[0].points) == {"equation"}
    assert tuned.recipe.phases[0].weights == {"equation": 2.0}
    assert tuned.recipe.weights == {}
    insulated = changed(entry.problem, name="insulated", conditions=entry.problem.conditions[:1])
    other = pinnzoo.finetune(entry, steps=1, problem=insulated, diagnostics=False)
    assert set(other.recipe.phases[0].points) == {"equation", "initial"}


def test_unknowns_with_other_bounds_begin_at_the_values_that_were_found():
    from tests.solving.rod import rod_inverse

    def bounded(**bounds):
        return changed(rod_inverse(), unknowns={"k": pinnzoo.Unknown(1.0, **bounds)})

    points = np.linspace(0.05, 0.95, 9)[:, None]
    observations = pinnzoo.Observations(points, np.sin(np.pi * points) / 2)
    recipe = dataclasses.replace(SMALL, problem="rod_inverse", phases=(Phase("lm", 30),))
    found = pinnzoo.train(
        recipe, problem=bounded(positive=True), observations=observations, diagnostics=False
    )
    value = found.unknowns["k"].value
    assert abs(value - 2) < 0.1
    for bounds, expected in (({}, value), ({"upper": 1.5}, 1.0), ({"lower": 0.5}, value)):
        still = pinnzoo.finetune(found, steps=0, problem=bounded(**bounds), diagnostics=False)
        assert still.unknowns["k"].value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_own_optimizers_may_count_their_steps_as_they_like(dtype):
    def step(objective, theta, state):
        loss, slope = jax.value_and_grad(objective.loss)(theta)
        info = pinnzoo.optimizers.Info(loss=loss, accepted=loss > 0, damping=1, step_norm=0.5)
        return theta - 1e-3 * slope, state + 1, info

    own = pinnzoo.optimizers.Optimizer(lambda *_: jnp.zeros((), int), step)
    recipe = dataclasses.replace(SMALL, phases=(Phase("custom", 6),), dtype=dtype)
    entry = pinnzoo.train(recipe, optimizers={"custom": own}, diagnostics=False)
    assert entry.history["loss"][-1] < entry.history["loss"][0]
    assert entry.history["accepted"][-1] == 1


def test_names_do_not_grow_with_every_fine_tuning(trained):
    entry, names = trained, []
    for _ in range(4):
        entry = pinnzoo.finetune(entry, steps=1, diagnostics=False)
        names.append(entry.name)
    assert len(set(names)) == 4
    assert len(names[-1]) <= len(names[0]) + 2


def test_a_base_of_another_shape_is_refused_before_the_first_step(trained):
    recipe = dataclasses.replace(SMALL, architecture_arguments={"width": 9, "depth": 2})

    def fail(progress):
        pytest.fail("trained")

    with pytest.raises(RecipeError, match="hidden"):
        pinnzoo.train(dataclasses.replace(recipe, base=trained.name), base=trained, report=fail)
    single = dataclasses.replace(SMALL, dtype="float32", base=trained.name)
    assert pinnzoo.train(single, base=trained, diagnostics=False).metrics["dtype"] == "float32"


def test_a_finished_run_goes_on_with_more_steps_and_arrives_where_one_run_does(tmp_path):
    longer = dataclasses.replace(SMALL, phases=(Phase("lm", 7),))
    pinnzoo.train(SMALL, workdir=tmp_path, diagnostics=False)
    prolonged = pinnzoo.train(longer, workdir=tmp_path, diagnostics=False)
    whole = pinnzoo.train(longer, diagnostics=False)
    np.testing.assert_array_equal(prolonged.theta, whole.theta)
    assert prolonged.metrics["steps"] == 7
    with pytest.raises(RecipeError, match="more steps"):
        pinnzoo.train(SMALL, workdir=tmp_path)


# Noticed before the work.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"points": {"equation": 20, "boundry": 6}}, "boundry"),
        ({"phases": (Phase("lm", 1, points={"rihgt": 3}),)}, "right"),
        ({"phases": (Phase("lm", 1), Phase("lm", 1, weights={"lefft": 3.0}))}, "left"),
        ({"phases": (Phase("lm", 1), Phase("lm", 1, {"damp": 3.0}))}, "damp"),
        ({"phases": (Phase("lm", 1), Phase("adamm", 1))}, "adam"),
        ({"phases": (Phase("lm", 1), Phase("lm", 1, weighting="causl"))}, "causal"),
        ({"phases": (Phase("lm", 1), Phase("lm", 1, part=3))}, "parts"),
        ({"phases": (Phase("lm", 1), Phase("lm", 1, problem_arguments={"x": 1}))}, "diffusivity"),
    ],
)
def test_what_a_later_phase_asks_for_in_vain_is_said_before_the_first_step(changes, words):
    def fail(progress):
        pytest.fail("trained")

    with pytest.raises(pinnzoo.PinnzooError, match=words):
        pinnzoo.train(dataclasses.replace(SMALL, **changes), report=fail)


def test_a_loss_that_is_not_finite_at_the_start_names_the_term():
    problem = make_problem("heat", {})
    broken = changed(problem, equation=lambda u, z: jnp.sqrt(u(z, "u")[0] - 1e3))
    with pytest.raises(TrainingError, match="equation"):
        pinnzoo.train(SMALL, problem=broken)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_noticed_first(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(pinnzoo.PinnzooError, match="written"):
        pinnzoo.train(SMALL, workdir=tmp_path / "work")


def test_a_file_in_the_place_of_the_work_folder_is_noticed_first(tmp_path):
    (tmp_path / "work").write_text("a file")
    with pytest.raises(pinnzoo.PinnzooError, match="work"):
        pinnzoo.train(SMALL, workdir=tmp_path / "work", report=lambda _: pytest.fail("trained"))


# The run.


def test_reporters_are_told_of_every_record_and_of_the_diagnostics():
    told = []
    entry = pinnzoo.train(SMALL, report=told.append)
    steps = [progress.step for progress in told if progress.stage == "training"]
    assert steps == [0, 1, 2, 3, 4]
    assert any(progress.stage == "diagnostics" and progress.note for progress in told)
    assert told[-1].name == entry.name
    assert entry.metrics["wall_time_seconds"] >= entry.metrics["training_seconds"]


def test_stops_are_those_of_the_slow_enumeration_and_a_billion_steps_cost_nothing():
    keep = [0, 1, 7, 100]
    # All steps up to 256, then 128 in each doubling.
    recorded = {*range(1, 257), *range(256, 512, 2), *range(512, 1024, 4), *range(1024, 2049, 8)}
    for phase, thinned in itertools.product(
        (
            Phase("adam", 2000, resample_every=7),
            Phase("adam", 2000, weighting="causal"),
            Phase("lm", 9),
        ),
        (False, True),
    ):
        for offset in (0, 5):
            slow = {phase.steps, *(recorded if thinned else range(1, phase.steps))}
            slow = {k for k in slow if k <= phase.steps}
            if phase.resample_every:
                slow |= set(range(phase.resample_every, phase.steps, phase.resample_every))
            if phase.weighting:
                slow |= set(range(phase.reweigh_every, phase.steps, phase.reweigh_every))
            slow |= {k - offset for k in keep if 0 < k - offset <= phase.steps}
            step, found = 0, []
            while (step := next_stop(phase, step, thinned, offset, keep) or 0) > 0:
                found.append(step)
            assert found == sorted(slow)
    huge = Phase("lm", 10**9, resample_every=1)
    assert next_stop(huge, 12, True, 0, keep) == 13
    long = dataclasses.replace(SMALL, phases=(huge,))
    assert pinnzoo.train(long, seconds=1e-9, diagnostics=False).metrics["steps"] == 1


SCRIPT = """
import signal, sys, pinnzoo
# A shell starts its background jobs with this signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
pinnzoo.enable_x64()
recipe = pinnzoo.Recipe.from_json(open(sys.argv[1]).read())
entry = pinnzoo.train(recipe, workdir=sys.argv[2], report=lambda p: print(p.step, flush=True))
entry.save(sys.argv[3])
print("saved", entry.metrics["steps"], "ntk" in entry.metrics, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_real_training_and_its_entry_is_saved(tmp_path, number):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    recipe = dataclasses.replace(SMALL, phases=(Phase("lm", 10**9),))
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    process = subprocess.Popen(
        [sys.executable, script, tmp_path / "recipe.json", tmp_path / "work", tmp_path / "out"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    try:
        assert process.stdout is not None
        sent = False
        for line in process.stdout:
            # The diagnostics may tell of step 3 again; a second signal would end them.
            if line.strip() == "3" and not sent:
                process.send_signal(number)
                sent = True
            if line.startswith("saved"):
                _, steps, diagnosed = line.split()
                assert int(steps) >= 3
                # Who is told to go may be killed soon; who presses Ctrl-C waits.
                assert diagnosed == str(number == signal.SIGINT)
                break
        else:
            pytest.fail("nothing was saved")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # pyright: ignore[reportOptionalMemberAccess]
    assert (tmp_path / "work" / WORK_FILE).is_file()
    assert Path(tmp_path / "out" / "manifest.json").is_file()


def test_a_problem_of_ones_own_that_bears_a_known_name_is_asked_for(tmp_path):
    known = make_problem("heat", {})
    doubled = tuple(
        dataclasses.replace(term, residual=lambda u, z, own=term.residual: 2 * own(u, z))
        for term in known.conditions
    )
    own = dataclasses.replace(known, conditions=doubled)
    entry = pinnzoo.train(SMALL, problem=own, diagnostics=False)
    entry.save(tmp_path / "own")
    with pytest.raises(IntegrityError, match=r"of which the condition '\w+' differs.* problem="):
        pinnzoo.load(tmp_path / "own")
    assert pinnzoo.load(tmp_path / "own", problem=own).problem is own
    # The same problem from the factory itself, which is another object, is no other problem.
    same = pinnzoo.train(SMALL, problem=dataclasses.replace(known), diagnostics=False)
    same.save(tmp_path / "same")
    assert pinnzoo.load(tmp_path / "same").problem is known


def test_a_factory_that_states_no_arguments_is_not_loaded_with_its_defaults(tmp_path):
    def pulse_without_arguments(amplitude=1.0):
        domain = pinnzoo.Box("tx", (0.0, 0.0), (1.0, 1.0))
        return pinnzoo.Problem(
            name="pulse_without_arguments",
            domain=domain,
            components=("u",),
            equation=lambda u, z: u(z, "u_t")[0] - u(z, "u_xx")[0],
            conditions=(
                pinnzoo.initial(domain, "u", lambda x: amplitude * jnp.sin(jnp.pi * x)),
                pinnzoo.dirichlet(domain, "u", "x", "left"),
                pinnzoo.dirichlet(domain, "u", "x", "right"),
            ),
        )

    pinnzoo.register_problem(pulse_without_arguments)
    strong = pulse_without_arguments(5.0)
    recipe = dataclasses.replace(SMALL, problem="pulse_without_arguments")
    pinnzoo.train(recipe, problem=strong, diagnostics=False).save(tmp_path / "pulse")
    with pytest.raises(IntegrityError, match="the condition 'initial_u' differs"):
        pinnzoo.load(tmp_path / "pulse")
    assert (
        pinnzoo.load(tmp_path / "pulse", problem=pulse_without_arguments(5.0)).metrics["loss"] > 0
    )


def test_a_network_is_not_taken_for_the_one_whose_name_it_bears(trained):
    class Bent(MLP):
        def __call__(self, z):
            return jnp.sin(super().__call__(z))

    model = trained.model
    bent = nnx.merge(*nnx.split(model))
    bent.__class__ = Bent
    with pytest.raises(RecipeError, match="computes something else: give it a name of its own"):
        pinnzoo.train(SMALL, model=bent, diagnostics=False)
    copy = nnx.merge(*nnx.split(model))
    assert pinnzoo.train(SMALL, model=copy, diagnostics=False).metrics["loss"] > 0


@pytest.mark.parametrize("edited", [False, True])
def test_a_phase_with_arguments_is_not_trained_on_another_problem(edited):
    """What makes the problem with other arguments is known by its name alone."""
    given = dataclasses.replace(pinnzoo.PROBLEMS["heat"](), title="my own")
    if edited:
        given = dataclasses.replace(given, equation=lambda u, z: u(z, "u_t")[0] - 5.0)
    first = Phase("lm", 1, problem_arguments={"diffusivity": 0.2})
    recipe = tiny_recipe(phases=(first, Phase("lm", 1)))
    if not edited:
        pinnzoo.train(recipe, problem=given, diagnostics=False)
        return
    with pytest.raises(RecipeError, match="another one than 'heat' stands for"):
        pinnzoo.train(recipe, problem=given, diagnostics=False)


def test_a_file_finds_the_modules_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "beside_it.py").write_text("RATE = 2.5")
    (tmp_path / "with_helper.py").write_text(
        "from beside_it import RATE\ndef late():\n    import beside_it\n    return beside_it.RATE\n"
    )
    module = execute(tmp_path / "with_helper.py")
    assert module.RATE == module.late() == 2.5


def test_a_file_that_ends_the_program_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "ending.py").write_text("raise SystemExit('bye')")
    with pytest.raises(RegistrationError, match=r"cannot be executed \(SystemExit: bye\)"):
        execute(tmp_path / "ending.py")


def test_ctrl_c_before_the_first_step_waits_for_the_compiler(monkeypatch):
    """An exception while its threads run may end the process, and nothing is lost yet."""
    reached = []

    def first(trainer):
        signal.raise_signal(signal.SIGINT)
        reached.append("compiled")
        return trainer.start()

    monkeypatch.setattr(training_module, "first_run", first)
    monkeypatch.setattr(Trainer, "run", lambda *_: pytest.fail("trained"))
    # Whatever tests before have left: only Python's own handler is replaced in a training.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            pinnzoo.train(tiny_recipe(phases=(Phase("adam", 6),)), diagnostics=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert reached == ["compiled"]


@pytest.mark.parametrize(
    "name", ["kovasznay", "poisson_2d_c", "fisher_kpp", "linear_elasticity", "annulus"]
)
def test_what_a_factory_makes_twice_states_the_same(name):
    one, other = (pinnzoo.PROBLEMS[name]() for _ in range(2))
    assert states_the_same(one, other)
    changed = dataclasses.replace(other, equation=lambda u, z: u(z, "u")[0])
    assert not states_the_same(one, changed)
