import copy
import dataclasses
import doctest
import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo import _json, recipes
from pinnzoo.errors import FormatVersionError, RecipeError
from pinnzoo.recipes import (
    MAX_NAME,
    Phase,
    Recipe,
    derived_tag,
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
        ("seed", 1.5),
        ("seed", True),
        ("seed", None),
        ("dtype", 64),
        ("tag", "a b"),
        ("tag", "a/../b"),
        ("base", ""),
        ("base", 3),
        ("base", "b" * 5000),
        ("base", "folder\udcff"),
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
        ("seconds", 0.0),
        ("seconds", "2"),
        ("seconds", True),
        ("target_loss", -1e-9),
        ("target_loss", 0),
        ("part", -1),
        ("part", 5000),
        ("weighting", ""),
        ("reweigh_every", 0),
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


@pytest.mark.parametrize("version", [None, 0, -1, "1", "2", True, 1.0, [], 10**20])
def test_recipe_of_another_format_is_refused(version):
    with pytest.raises(FormatVersionError, match="format 1 to format 2"):
        Recipe.from_dict(plain() | {"format": version})


def test_recipe_of_a_newer_format_is_called_newer_whatever_is_in_it():
    newer = plain() | {"format": 3, "schedule": "cosine", "phases": {"first": 1}}
    with pytest.raises(FormatVersionError, match=r"format 3 .* newer than this version"):
        Recipe.from_dict(newer)


FORMAT_1 = {
    "format": 1,
    "problem": "heat",
    "architecture": "mlp",
    "phases": [
        {
            "optimizer": "adam",
            "steps": 10,
            "seconds": 0.0,
            "target_loss": 0.0,
            "part": -1,
            "weighting": "",
        },
        {
            "optimizer": "levenberg_marquardt",
            "steps": 5,
            "seconds": 2.5,
            "target_loss": 1e-8,
            "part": 0,
            "weighting": "causal",
        },
        # Older files lack fields.
        {"optimizer": "lbfgs", "steps": 5, "seconds": 0, "points": {"equation": 3}},
    ],
    "tag": "",
    "base": "",
}


def test_recipe_of_format_1_is_read_with_none_for_what_was_absent():
    recipe = Recipe.from_dict(FORMAT_1)
    assert recipe.base is None
    assert recipe.phases == (
        Phase("adam", 10),
        Phase("lm", 5, seconds=2.5, target_loss=1e-8, part=0, weighting="causal"),
        Phase("lbfgs", 5, points={"equation": 3}),
    )
    assert recipe.to_dict()["format"] == 2
    assert recipe.to_dict()["phases"][0]["part"] is None
    assert Recipe.from_json(recipe.to_json()) == recipe
    with_base = Recipe.from_dict(FORMAT_1 | {"base": "heat-mlp-adam"})
    assert with_base.base == "heat-mlp-adam"


@pytest.mark.parametrize(
    ("field", "value"), [("part", False), ("seconds", False), ("part", -2), ("weighting", 0)]
)
def test_only_the_sentinels_of_format_1_mean_none(field, value):
    data = copy.deepcopy(FORMAT_1)
    data["phases"][0][field] = value
    with pytest.raises(RecipeError, match=field):
        Recipe.from_dict(data)


NUMBERS = {
    "numpy": (np.int64, np.float32, np.bool_, np.array),
    "0-d arrays": (np.array, np.array, np.array, np.array),
    "jax": (jnp.asarray, jnp.float32, jnp.asarray, jnp.asarray),
    "floats": (float, float, bool, tuple),
}


@pytest.mark.parametrize(("whole", "real", "truth", "several"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_of_every_kind_become_plain_ones(whole, real, truth, several):
    def made(whole: Any, real: Any, truth: Any, several: Any) -> Recipe:
        phase = Phase(
            "adam",
            whole(7),
            {"learning_rate": real(0.5), "nesterov": truth(True)},
            points={"equation": whole(9)},
            weights={"initial": real(0.25), "left": whole(3)},
            resample_every=whole(2),
            adaptive=truth(True),
            seconds=whole(60),
            target_loss=real(0.125),
            part=whole(0),
            problem_arguments={"viscosity": real(0.5)},
            weighting="causal",
            weighting_arguments={"chunks": real(16.5), "on": truth(False)},
            reweigh_every=whole(4),
        )
        return Recipe(
            "burgers",
            "mlp",
            (phase,),
            problem_arguments={"viscosity": real(0.5)},
            architecture_arguments={"periodic_axes": several([0, 1]), "scale": real(1.5)},
            points={"equation": whole(12), "conditions": whole(4)},
            weights={"initial": real(10)},
            seed=whole(5),
        )

    recipe = made(whole, real, truth, several)
    expected = made(int, float, bool, list)
    assert recipe == expected
    assert recipe.digest == expected.digest
    assert recipe.to_json() == expected.to_json()
    kinds = [type(value) for value in (recipe.phases[0].seconds, recipe.phases[0].steps)]
    assert kinds == [float, int]


NO_NUMBERS = [
    float("nan"),
    float("inf"),
    -np.inf,
    np.float32("nan"),
    1j,
    np.complex64(1),
    10**400,
    10**5000,
    b"1",
    object(),
    {1},
    np.datetime64("2020-01-01"),
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda v: f"{type(v).__name__}")
@pytest.mark.parametrize(
    "place", ["steps", "seconds", "arguments", "points", "weights", "problem_arguments"]
)
def test_what_is_no_number_is_refused_when_a_phase_is_made(place, value):
    mapping = place not in ("steps", "seconds")
    given: dict[str, Any] = {"steps": 1} | {place: {"equation": value} if mapping else value}
    with pytest.raises(RecipeError, match=place):
        Phase("adam", **given)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda v: f"{type(v).__name__}")
def test_what_is_no_number_is_refused_when_a_recipe_is_made(value):
    with pytest.raises(RecipeError, match=r"architecture_arguments\['width'\]"):
        dataclasses.replace(RECIPE, architecture_arguments={"width": [4, value]})
    with pytest.raises(RecipeError, match="seed"):
        dataclasses.replace(RECIPE, seed=value)


def test_the_message_says_what_was_given_and_what_is_allowed():
    with pytest.raises(RecipeError, match=r"^a phase with steps=-3 was given: it must be a whole"):
        Phase("adam", -3)
    with pytest.raises(RecipeError, match=r"recipe with points\['left'\]=0 was given: .* 1 to"):
        dataclasses.replace(RECIPE, points={"equation": 4, "left": 0})
    with pytest.raises(RecipeError, match=r"without the field 'steps'"):
        Recipe.from_dict(plain() | {"phases": [{"optimizer": "adam"}]})
    with pytest.raises(RecipeError, match=r"field 'surprise' was given: it has problem, "):
        Recipe.from_dict(plain() | {"surprise": 1})


@pytest.mark.parametrize("phases", [Phase("adam", 1), (), "adam", [{"optimizer": "adam"}], None])
def test_a_recipe_takes_a_list_of_phases(phases):
    with pytest.raises(RecipeError, match="phases"):
        Recipe("heat", "mlp", phases)


def test_a_list_of_phases_is_kept_as_a_tuple():
    phases: Any = [Phase("adam", 1)]
    assert Recipe("heat", "mlp", phases).phases == tuple(phases)


def test_aliases_of_optimizers_are_resolved_when_a_phase_is_made():
    recipe = Recipe("heat", "mlp", (Phase("lm", 100),))
    assert recipe.phases[0].optimizer == "levenberg_marquardt"
    assert recipe.name == "heat-mlp-levenberg_marquardt"
    assert dataclasses.replace(recipe.phases[0], optimizer="lm") == recipe.phases[0]


def test_a_recipe_keeps_no_dict_of_its_caller():
    points = {"equation": 4}
    recipe = Recipe("heat", "mlp", (Phase("adam", 1),), points=points)
    points["equation"] = -1
    assert recipe.points["equation"] == 4


@pytest.mark.parametrize(
    "base", ["burgers-mlp-adam", "hf-hub:org/name@v1", "/data/my entries/Größe", Path("a") / "b"]
)
def test_base_is_whatever_can_be_loaded(base):
    recipe = dataclasses.replace(RECIPE, base=base)
    assert recipe.base == str(base)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_thousand_million_steps_are_data():
    assert Recipe("heat", "mlp", (Phase("adam", 10**9), Phase("lm", 10**9))).steps == 2 * 10**9


def test_names_of_repeated_fine_tuning_do_not_grow():
    names, recipe = [], Recipe("heat", "mlp", (Phase("adam", 1),), tag="wide")
    for k in range(100):
        phases = (Phase(("lm", "adam")[k % 2], 1),)
        tag = derived_tag(recipe, phases[0].optimizer)
        recipe = dataclasses.replace(recipe, phases=phases, tag=tag, base=recipe.name)
        names.append(recipe.name)
    assert names[:3] == [
        "heat-mlp-levenberg_marquardt-wide.from_adam",
        "heat-mlp-adam-wide.from_levenberg_marquardt2",
        "heat-mlp-levenberg_marquardt-wide.from_adam3",
    ]
    assert len(set(names)) == 100
    assert max(map(len, names)) < 60


def test_tags_of_earlier_versions_are_counted():
    recipe = Recipe(
        "heat",
        "mlp",
        (Phase("lm", 1),),
        tag="from_adam.from_levenberg_marquardt",
        base="heat-mlp-levenberg_marquardt-from_adam",
    )
    assert derived_tag(recipe) == "from_levenberg_marquardt3"


def test_long_tags_are_cut_and_stay_apart():
    tags = set()
    for end in "ab":
        recipe = Recipe("heat", "mlp", (Phase("adam", 1),), tag="t" * 100 + end)
        for _ in range(5):
            phases = (Phase("levenberg_marquardt_lsmr", 1),)
            tag = derived_tag(recipe, phases[0].optimizer)
            recipe = dataclasses.replace(recipe, phases=phases, tag=tag, base=recipe.name)
            assert len(recipe.name) <= MAX_NAME
            tags.add(recipe.tag)
    assert len(tags) == 10


@pytest.mark.parametrize("module", [recipes, _json])
def test_examples_are_true(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


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
