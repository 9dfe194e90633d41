import copy
import dataclasses
import json

import pytest

from pinnzoo.errors import FormatVersionError, RecipeError
from pinnzoo.recipes import (
    Phase,
    Recipe,
    entry_name_forms,
    is_entry_name,
    resolve_entry_name,
)

RECIPE = Recipe(
    "burgers",
    "mlp",
    (Phase("adam", 10, {"learning_rate": 1e-3}), Phase("levenberg_marquardt", 5, seconds=2.5)),
    problem_arguments={"viscosity": 0.01, "constraints": "hard"},
    architecture_arguments={"width": 8, "periodic_axes": [1], "activation": "tanh"},
    points={"equation": 16, "conditions": 4, "left": 2},
    weights={"initial": 10.0},
    seed=3,
    tag="wide.2",
    base="burgers-mlp-adam",
)


def plain() -> dict:
    return copy.deepcopy(RECIPE.to_dict())


def test_recipe_survives_json_with_its_digest():
    again = Recipe.from_json(RECIPE.to_json())
    assert again == RECIPE
    assert again.digest == RECIPE.digest
    assert dataclasses.replace(again, seed=4).digest != RECIPE.digest


def test_digest_does_not_depend_on_the_order_of_keys():
    turned = dict(reversed(plain().items()))
    assert Recipe.from_dict(turned).digest == RECIPE.digest


def test_name_states_problem_architecture_optimizer_and_tag():
    assert RECIPE.name == "burgers-mlp-levenberg_marquardt-wide.2"


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("burgers-mlp-lm", "burgers-mlp-levenberg_marquardt"),
        ("burgers-mlp-lm-hard", "burgers-mlp-levenberg_marquardt-hard"),
        ("burgers-mlp-adam", "burgers-mlp-adam"),
        ("lm", "lm"),
        ("*-*-lm", "*-*-levenberg_marquardt"),
    ],
)
def test_short_names_are_resolved(short, full):
    assert resolve_entry_name(short) == full
    assert resolve_entry_name(full) == full
    assert entry_name_forms(short)[0] == full
    assert {resolve_entry_name(form) for form in entry_name_forms(short)} == {full}
    assert short in entry_name_forms(full)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a-b",
        "a-b-c-d-e",
        "A-b-c",
        "../a-b-c",
        "a-b-c/d",
        "a-b-.c",
        "-a-b-c",
        "a-b-" + "c" * 200,
    ],
)
def test_impossible_names_are_refused(name):
    assert not is_entry_name(name)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("problem", 3),
        ("problem", "Burgers"),
        ("problem", "b" * 200),
        ("architecture", None),
        ("problem_arguments", [1]),
        ("problem_arguments", {"viscosity": None}),
        ("problem_arguments", {"viscosity": True}),
        ("problem_arguments", {"viscosity": [0.1]}),
        ("problem_arguments", {"viscosity": "v" * 500}),
        ("architecture_arguments", {"width": 5000}),
        ("architecture_arguments", {"width": {"nested": 1}}),
        ("architecture_arguments", {"periodic_axes": [[0]]}),
        ("architecture_arguments", {"periodic_axes": [0] * 5000}),
        ("points", {}),
        ("points", {"conditions": 3}),
        ("points", {"equation": 0}),
        ("points", {"equation": True}),
        ("points", {"equation": 1.5}),
        ("points", {"equation": "16"}),
        ("points", {"equation": 10**12}),
        ("weights", {"initial": 0}),
        ("weights", {"initial": -1.0}),
        ("weights", {"initial": "1"}),
        ("weights", {"initial": True}),
        ("seed", -1),
        ("seed", 2**40),
        ("seed", 1.0),
        ("seed", True),
        ("dtype", 64),
        ("tag", "a b"),
        ("tag", "a/../b"),
        ("base", "/etc/passwd"),
        ("base", "../burgers-mlp-adam"),
        ("sampler", None),
        ("phases", []),
        ("phases", {}),
        ("phases", [{}]),
        ("phases", ["adam"]),
        ("phases", [{"optimizer": "adam", "steps": 1}] * 200),
        ("surprise", 1),
    ],
)
def test_impossible_fields_are_refused(field, value):
    with pytest.raises(RecipeError):
        Recipe.from_dict(plain() | {field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimizer", 3),
        ("steps", -1),
        ("steps", 1.5),
        ("steps", True),
        ("steps", 10**15),
        ("arguments", {"damping": None}),
        ("arguments", {"damping": {"a": 1}}),
        ("arguments", [0.1]),
        ("points", {"equation": 0}),
        ("points", [16]),
        ("resample_every", -1),
        ("adaptive", 1),
        ("seconds", -1.0),
        ("seconds", "2"),
        ("target_loss", -1e-9),
        ("surprise", 1),
    ],
)
def test_impossible_phases_are_refused(field, value):
    data = plain()
    data["phases"][0] |= {field: value}
    with pytest.raises(RecipeError):
        Recipe.from_dict(data)


@pytest.mark.parametrize("field", ["problem", "architecture", "phases"])
def test_recipe_without_a_required_field_is_refused(field):
    data = plain()
    del data[field]
    with pytest.raises(RecipeError):
        Recipe.from_dict(data)


@pytest.mark.parametrize("version", [None, 0, 2, "1", True])
def test_recipe_of_another_format_is_refused(version):
    with pytest.raises(FormatVersionError, match="format 1"):
        Recipe.from_dict(plain() | {"format": version})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        b"\xff\xfe",
        "[" * 100_000,
        RECIPE.to_json().replace("0.001", "NaN"),
        RECIPE.to_json().replace("0.001", "1e999"),
        RECIPE.to_json().replace('"seed": 3', '"seed": 3, "seed": 4'),
    ],
)
def test_text_that_is_no_recipe_is_refused(text):
    with pytest.raises(RecipeError):
        Recipe.from_json(text)


def test_a_missing_optional_field_has_its_default():
    data = json.loads(RECIPE.to_json())
    del data["seed"]
    assert Recipe.from_dict(data).seed == 0
