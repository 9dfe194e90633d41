"""The matrix of problem, architecture and optimizer."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pinnzoo
from pinnzoo.architectures import ARCHITECTURES
from pinnzoo.catalog.benchmarks import MEASURED
from pinnzoo.catalog.entries import CATALOG
from pinnzoo.catalog.matrix import (
    EVERY_OPTIMIZER,
    FURTHER,
    UNFAIR,
    VARIANTS,
    holes,
    matrix,
    phases_of,
)
from pinnzoo.objective import check_counts, flatten_model
from pinnzoo.optimizers import make_optimizer
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.storage.blueprint import build

CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"
RECIPES = matrix(PROBLEMS, 60.0)
MEASURED_PROBLEMS = {case.recipe.problem for case in MEASURED}


def pair(recipe):
    """What the entries of a pair have in common."""
    return recipe.problem, recipe.architecture, recipe.tag


def groups(recipes):
    ordered = sorted(recipes, key=lambda r: (r.problem, r.architecture, r.tag))
    return [list(group) for _, group in itertools.groupby(ordered, pair)]


def test_pairs_differ_in_their_phases_alone():
    known = {recipe.name: recipe for recipe in CATALOG}
    paired = 0
    for group in groups(RECIPES):
        partner = known.get("-".join(x for x in (*pair(group[0])[:2], "levenberg_marquardt") if x))
        tagged = f"{group[0].problem}-{group[0].architecture}-levenberg_marquardt-{group[0].tag}"
        partner = known.get(tagged) if group[0].tag else partner
        group = [*group, *([partner] if partner else [])]
        assert len({replace(r, phases=group[0].phases).digest for r in group}) == 1, group[0].name
        paired += len(group) > 1
    assert paired > 2 * len(PROBLEMS)


def test_parameters_do_not_depend_on_the_optimizer():
    recipes = [r for r in RECIPES if r.problem == "heat"]
    for group in groups(recipes):
        thetas = [np.asarray(flatten_model(build(recipe)[1])[0]) for recipe in group]
        assert all(np.array_equal(theta, thetas[0]) for theta in thetas)
    other = replace(recipes[0], seed=1)
    first, second = (np.asarray(flatten_model(build(r)[1])[0]) for r in (recipes[0], other))
    assert not np.array_equal(first, second)


@pytest.mark.skipif(not CHECKPOINTS.is_dir(), reason="no entries here")
def test_stored_entries_of_a_pair_begin_from_the_same_parameters():
    for problem in ("heat", "wave"):
        begun = [
            pinnzoo.load(CHECKPOINTS / f"{problem}-mlp-{optimizer}").snapshots.thetas[0]
            for optimizer in ("adam", "lbfgs", "levenberg_marquardt")
        ]
        assert all(np.array_equal(theta, begun[0]) for theta in begun)


def test_every_problem_has_every_optimizer_and_two_further_architectures():
    names = {recipe.name for recipe in (*RECIPES, *CATALOG)}
    for problem in set(PROBLEMS) - MEASURED_PROBLEMS:
        tags = [tag for name, _, tag in VARIANTS if name == problem] or [""]
        for tag in tags:
            end = f"-{tag}" if tag else ""
            assert names.issuperset(f"{problem}-mlp-{each}{end}" for each in EVERY_OPTIMIZER)
            pairs = [
                architecture
                for architecture in set(ARCHITECTURES) - {"mlp", *UNFAIR}
                if names.issuperset(
                    f"{problem}-{architecture}-{each}{end}"
                    for each in ("adam", "levenberg_marquardt")
                )
            ]
            assert FURTHER[0] in pairs
            assert len(pairs) >= 2, (problem, tag, pairs)


def test_names_are_there_once_and_entries_that_exist_are_no_holes():
    names = [recipe.name for recipe in RECIPES]
    assert len(set(names)) == len(names)
    assert not set(names) & {recipe.name for recipe in CATALOG}
    assert [r.name for r in holes(PROBLEMS, 60.0, names[3:])] == names[:3]


@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
def test_schedules_take_the_time_that_they_are_given(optimizer):
    phases = phases_of(optimizer, 60.0)
    assert sum(phase.seconds for phase in phases) == pytest.approx(60.0)  # pyright: ignore
    assert phases[-1].optimizer == optimizer
    for phase in phases:
        make_optimizer(phase.optimizer, phase.arguments)


def test_recipes_name_what_exists():
    for recipe in RECIPES:
        assert recipe.architecture in ARCHITECTURES
        check_counts(make_problem(recipe.problem, recipe.problem_arguments), recipe.points)
