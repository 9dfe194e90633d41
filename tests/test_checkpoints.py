"""Every committed entry, as a stranger would check it, and what the zoo promises as a whole."""

from pathlib import Path

import numpy as np
import pytest

import pinnzoo
from pinnzoo.catalog.entries import CATALOG
from pinnzoo.catalog.published import PUBLISHED, best_match
from pinnzoo.cli.printing import stale_cards
from pinnzoo.domains import sample
from pinnzoo.recipes import Recipe
from pinnzoo.storage.folder import CONFIG, EntryFolder
from pinnzoo.zoo import read_metrics

ROOT = Path(__file__).parent.parent
CHECKPOINTS = ROOT / "checkpoints"
ENTRIES = sorted(folder.name for folder in CHECKPOINTS.iterdir() if folder.is_dir())
LIMIT = 2 * 1024**2
"""Bytes that the folder of an entry may take."""

REACHED = {
    "heat-mlp-levenberg_marquardt": 1e-8,
    "poisson-mlp-levenberg_marquardt": 1e-7,
    "wave-mlp-levenberg_marquardt": 1e-7,
    "convection-mlp-levenberg_marquardt-beta30": 1e-7,
    "burgers-mlp-levenberg_marquardt": 1e-6,
}
"""Relative L2 errors that the Levenberg-Marquardt entries stay below."""


@pytest.fixture(params=ENTRIES)
def entry(request):
    return pinnzoo.load(request.param)


def test_the_zoo_lists_what_is_committed():
    assert len(ENTRIES) >= 15
    assert set(ENTRIES) <= set(pinnzoo.list_entries())


def test_every_file_of_an_entry_is_what_was_written(entry):
    assert Path(entry.folder) == CHECKPOINTS / entry.name
    checked = pinnzoo.Entry.read(entry.folder, verify="all")
    assert checked.recipe.digest == entry.recipe.digest
    np.testing.assert_array_equal(checked.snapshots.thetas[-1], entry.theta)


def test_stated_error_is_the_error(entry):
    stated = entry.metrics
    figures = pinnzoo.evaluate(entry)
    for name in ("relative_l2_error", "max_error"):
        # Below 1e-9 the rounding of another processor's exp and tanh can be seen.
        assert figures[name] == pytest.approx(stated[name], rel=1e-4, abs=1e-13)
    # Of a closed form the certified error is its rounding, which some entries reach.
    exact = entry.problem.reference.refined is None and stated["relative_l2_error"] < 1e-12
    assert exact or figures["relative_l2_error"] > 10 * stated["reference_error"]


def test_error_at_other_points_is_the_stated_error(entry):
    points = sample(entry.problem.domain, 2**14, "sobol", np.random.default_rng(7))
    figures = pinnzoo.evaluate(entry, points)
    # Errors that live in a thin layer are sampled by few of the points.
    # Errors at the level of rounding differ from point to point.
    assert figures["relative_l2_error"] == pytest.approx(
        entry.metrics["relative_l2_error"], rel=0.15, abs=1e-13
    )


def test_recorded_kernel_and_error_belong_to_the_snapshots(entry):
    theta = entry.snapshots.thetas[0]
    grid = entry.problem.evaluation_points(coarsen=4)
    values = pinnzoo.pdes.problem.evaluate_function(
        entry.problem.constrain(entry.model_at(theta)), grid
    )
    reference = entry.problem.reference(grid)
    error = np.linalg.norm(values - reference) / np.linalg.norm(reference)
    assert error == pytest.approx(entry.history["relative_l2_error"][0], rel=1e-9)
    assert entry.ntk.drift()[0] == 0
    assert entry.ntk.drift()[-1] == pytest.approx(
        entry.metrics["ntk"]["drift"]["all"]["spectral"], rel=1e-12
    )


@pytest.mark.parametrize("name", ENTRIES)
def test_entry_is_small(name):
    files = [path for path in (CHECKPOINTS / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LIMIT


@pytest.mark.parametrize("name", ENTRIES)
def test_recipe_is_one_of_the_catalog_up_to_steps_that_were_not_needed(name):
    recipe = EntryFolder.open(CHECKPOINTS / name).recipe()
    (listed,) = [Recipe.from_json(r.to_json()) for r in CATALOG if r.name == name]
    assert (CHECKPOINTS / name / CONFIG).is_file()
    for key in ("problem_arguments", "architecture_arguments", "points", "weights", "seed"):
        assert getattr(recipe, key) == getattr(listed, key)
    for done, planned in zip(recipe.phases, listed.phases, strict=False):
        assert done.steps <= planned.steps
        assert (done.optimizer, done.arguments) == (planned.optimizer, planned.arguments)


def test_entries_stand_up_to_the_published_records():
    entries = [(name, EntryFolder.open(CHECKPOINTS / name).recipe()) for name in ENTRIES]
    candidates = [
        (name, recipe, read_metrics(name)["relative_l2_error"]) for name, recipe in entries
    ]
    beaten = 0
    for published in PUBLISHED:
        best = best_match(published, candidates)
        if published.error is None:
            continue
        assert best is not None, f"no entry for {published.problem}, {published.arguments}"
        assert best[1] <= 10 * published.error, best
        beaten += best[1] < published.error
    assert beaten >= 8


@pytest.mark.parametrize("name", sorted(REACHED))
def test_levenberg_marquardt_reaches_and_is_far_below_adam(name):
    error = read_metrics(name)["relative_l2_error"]
    adam = read_metrics(name.replace("levenberg_marquardt", "adam"))["relative_l2_error"]
    assert error <= REACHED[name]
    assert error <= adam / 100


def test_finetuning_the_adam_entry_of_burgers_lowers_its_error_tenfold():
    entry = pinnzoo.load("burgers-mlp-adam")
    tuned = pinnzoo.finetune(entry, "lm", steps=50)
    assert tuned.metrics["relative_l2_error"] < 0.1 * entry.metrics["relative_l2_error"]


def test_no_card_is_stale():
    assert stale_cards(ROOT)["stale"] == []
