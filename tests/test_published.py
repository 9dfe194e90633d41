"""Published records: each is a benchmark that exists, and finds the entries that solve it."""

import dataclasses

import pytest

from pinnzoo.catalog.published import PUBLISHED, Floor, best_match
from pinnzoo.pdes import make_problem
from pinnzoo.recipes import Phase, Recipe


def solving(published, **changes):
    recipe = Recipe(
        published.problem,
        "mlp",
        (Phase("adam", 1),),
        problem_arguments=dict(published.arguments),
    )
    return dataclasses.replace(recipe, **changes)


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: f"{p.problem}-{p.arguments}")
class TestPublished:
    def test_is_a_problem_that_can_be_made(self, published):
        problem = make_problem(published.problem, dict(published.arguments))
        assert problem.name == published.problem

    def test_states_an_error_with_its_source_or_none(self, published):
        assert 1e-17 < published.goal < 1e-5
        if published.error is not None:
            assert 1e-16 < published.error < 1
        assert bool(published.method) == bool(published.source)
        assert not any(remark.endswith(".") for remark in published.remarks)

    def test_is_matched_by_its_recipe_under_any_constraints_and_by_no_other_row(self, published):
        constrained = {**published.arguments, "constraints": "hard"}
        moved = {**published.arguments, "pressure_at": "middle"}
        others = (solving(published, problem_arguments=given) for given in (constrained, moved))
        for recipe in (solving(published), *others):
            assert [other for other in PUBLISHED if other.matches(recipe)] == [published]


def test_other_physical_arguments_are_another_benchmark():
    row = PUBLISHED[0]
    assert row.problem == "burgers"
    assert not row.matches(solving(row, problem_arguments={"viscosity": 0.5}))
    assert not row.matches(solving(row, problem="heat"))


def test_best_match_is_the_most_accurate_entry_that_solves_the_benchmark():
    row, other = PUBLISHED[0], PUBLISHED[1]
    entries = [
        ("rough", solving(row), 1e-3),
        ("fine", solving(row), 1e-6),
        ("elsewhere", solving(other), 1e-9),
    ]
    assert best_match(row, entries) == ("fine", 1e-6)
    assert best_match(row, entries[2:]) is None


@pytest.mark.parametrize(
    ("figure", "says"),
    [
        (1.02e-5, "is the error of the reference file"),
        (1e-7, "digits cannot be compared"),
        (3e-5, "is 3 times the error of the reference file"),
    ],
)
def test_floor_says_what_the_figure_is_the_error_of(figure, says):
    floor = Floor("a file", 1e-5, "a method", figure)
    assert says in floor.sentence
    assert floor.is_figure == ("is the error of" in floor.sentence)


def test_an_entry_has_to_be_below_the_error_of_the_file_that_a_figure_was_measured_with():
    row = dataclasses.replace(PUBLISHED[0], error=2e-9, unchecked=False)
    files = (Floor("another", 1.0, "others", 1.0), Floor("its own", 1e-5, "it", 2e-9))
    assert (row.bar, row.weakness) == (2e-9, "")
    below = dataclasses.replace(row, floors=files)
    assert below.bar == 1e-5
    assert "below the error of its own reference file" in below.weakness
    same = dataclasses.replace(row, error=1.02e-5, floors=(Floor("f", 1e-5, "it", 1.02e-5),))
    assert same.bar == 1.02e-5
    assert "is the error of its reference file" in same.weakness
    far = dataclasses.replace(row, error=3e-5, floors=(Floor("f", 1e-5, "it", 3e-5),))
    assert (far.bar, far.weakness) == (3e-5, "")
    assert "not checked" in dataclasses.replace(row, unchecked=True).weakness
    assert dataclasses.replace(row, error=None, unchecked=True).weakness == ""


def test_figures_that_are_errors_of_files_are_known_as_such():
    files = {floor.file: floor for row in PUBLISHED for floor in row.floors if floor.is_figure}
    assert {name.partition("'")[0] for name in files} == {"DSGNAR", "PINNacle", "jaxpi"}
