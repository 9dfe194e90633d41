import json

import numpy as np
import pytest

from pinnzoo.errors import FormatVersionError, IntegrityError
from pinnzoo.storage.metrics import (
    blocks,
    from_json,
    to_json,
    unknown_blocks,
    user_seconds,
    validate,
)
from tests.store.made_entries import made_metrics, made_recipe

GOOD = validate(made_metrics(made_recipe(), 37))
ERRORS = (
    "relative_l2_error",
    "max_error",
    "reference_error",
    "reference_method",
    "evaluation_shape",
)


def changed(path: str | int, value: object) -> dict:
    # Through JSON, since a deep copy keeps two ends that are one object in one piece.
    data = json.loads(json.dumps(GOOD))
    *parents, last = path.split(".") if isinstance(path, str) else [path]
    inner = data
    for key in parents:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return data


def test_metrics_survive_json():
    assert from_json(to_json(validate(GOOD))) == GOOD


def test_numpy_numbers_become_plain_ones():
    metrics = validate(
        changed("loss", np.float64(0.5)) | {"steps": np.int64(3), "evaluation_shape": (3, 4)}
    )
    assert metrics["evaluation_shape"] == [3, 4]
    assert [type(metrics[key]) for key in ("loss", "steps")] == [float, int]
    assert json.loads(to_json(metrics))["loss"] == 0.5


def test_validating_copies():
    metrics = validate(GOOD)
    metrics["ntk"]["points"]["equation"] = 99
    assert GOOD["ntk"]["points"]["equation"] == 3


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        ("loss", ..., "loss"),
        ("ntk.final.norm", ..., "norm"),
        ("surprise", 1.0, "surprise"),
        ("ntk.initial.surprise", 1.0, "surprise"),
        ("loss", "small", "loss"),
        ("loss", True, "loss"),
        ("loss", None, "loss"),
        ("loss", float("nan"), "loss"),
        ("residual_hessian.final.max", float("inf"), "residual_hessian.final.max"),
        ("steps", 3.5, "steps"),
        ("steps", -1, "steps"),
        ("relative_l2_error", -1e-9, "relative_l2_error"),
        ("ntk", [], "ntk"),
        ("ntk.initial.eigenvalues", 3.0, "eigenvalues"),
        ("ntk.initial.eigenvalues", ["a"], "eigenvalues.0"),
        ("ntk.drift.all", ..., "all"),
        ("ntk.points", {"other": 3}, "other"),
        ("hardware", 3, "hardware"),
        ("format", ..., "format"),
        ("format", True, "format"),
        ("format", "1", "format"),
        ("format", 2.0, "format"),
        ("training_seconds", ..., "training_seconds"),
        ("training_seconds", -1.0, "training_seconds"),
        ("wall_time_seconds", -1.0, "wall_time_seconds"),
        ("estimated_error", float("nan"), "estimated_error"),
        ("estimated_error", None, "estimated_error"),
        ("max_error", ..., "max_error"),
        ("evaluation_shape", [3.5], "evaluation_shape.0"),
        ("ntk.version", ..., "ntk"),
        ("ntk.version", 0, "ntk"),
        ("ntk.version", True, "ntk"),
        ("ntk.version", "1", "ntk"),
        ("ntk.points.equation", -3, "ntk.points.equation"),
        ("residual_hessian.points", 1.5, "residual_hessian.points"),
        ("surprise", {"norm": 1.0}, "surprise"),
        ("surprise", {"version": 1, "norm": float("nan")}, "surprise.norm"),
        ("surprise", {"version": 1, "norm": 1j}, "surprise.norm"),
        ("surprise", {"version": 1, 3: 1.0}, "surprise"),
        (3, {"version": 1}, "3"),
    ],
)
def test_impossible_metrics_are_refused(path, value, word):
    with pytest.raises(IntegrityError, match=word):
        validate(changed(path, value))


@pytest.mark.parametrize("version", [3, 10**20])
def test_metrics_of_a_newer_format_are_called_newer(version):
    with pytest.raises(FormatVersionError, match="newer than this version"):
        validate({"format": version, "surprise": 1})


@pytest.mark.parametrize("version", [0, -1])
def test_metrics_of_another_format_are_refused(version):
    with pytest.raises(FormatVersionError, match="format 1 to format 2"):
        validate(changed("format", version))


FORMAT_1 = {
    "format": 1,
    "relative_l2_error": 1.25e-5,
    "max_error": 3.4e-5,
    "reference_error": 2e-14,
    "reference_method": "closed form",
    "evaluation_shape": [11, 21],
    "loss": 1.5e-9,
    "steps": 10,
    "parameters": 37,
    "dtype": "float64",
    "wall_time_seconds": 75.0,
    "hardware": "a computer",
    "platform": "cpu",
    "ntk": {key: value for key, value in GOOD["ntk"].items() if key != "version"},
    "loss_hessian": {k: v for k, v in GOOD["loss_hessian"].items() if k != "version"},
}


def test_metrics_of_format_1_are_converted():
    metrics = from_json(json.dumps(FORMAT_1))
    assert metrics["format"] == 2
    assert metrics["training_seconds"] == user_seconds(metrics) == 75.0
    assert "wall_time_seconds" not in metrics
    assert metrics["ntk"] == GOOD["ntk"]
    assert metrics["loss_hessian"] == GOOD["loss_hessian"]
    assert validate(metrics) == metrics
    assert from_json(to_json(metrics)) == metrics


def test_the_user_waited_for_more_than_the_training():
    assert user_seconds(GOOD | {"wall_time_seconds": 99.5}) == 99.5


def test_metrics_without_a_reference_state_no_error():
    data = {key: value for key, value in GOOD.items() if key not in ERRORS}
    metrics = validate(data | {"estimated_error": np.float32(0.5)})
    assert not set(ERRORS) & set(metrics)
    assert metrics["estimated_error"] == 0.5


@pytest.mark.parametrize("name", ERRORS)
def test_error_figures_are_all_there_or_none(name):
    without = [key for key in ERRORS if key != name]
    for data in (changed(name, ...), {k: v for k, v in GOOD.items() if k not in without}):
        with pytest.raises(IntegrityError, match=name):
            validate(data)


def test_metrics_need_no_block():
    names = set(blocks(GOOD))
    assert names == {"ntk", "residual_hessian", "loss_hessian"}
    metrics = validate({key: value for key, value in GOOD.items() if key not in names})
    assert blocks(metrics) == {}
    assert unknown_blocks(metrics) == []


def test_unknown_blocks_are_kept_as_they_are():
    strange = {"version": 7, "nested": {"rows": [[1, 2.5, None, True, "é"]], "": {}}}
    newer = {"version": 2, "drift": "told otherwise"}
    given = GOOD | {"spectral_bias": strange, "ntk": newer}
    metrics = from_json(to_json(validate(given)))
    assert metrics["spectral_bias"] == strange
    assert metrics["ntk"] == newer
    assert unknown_blocks(metrics) == ["ntk", "spectral_bias"]
    assert unknown_blocks(metrics, known={("spectral_bias", 7)}) == ["ntk"]
    assert unknown_blocks(metrics, known={("spectral_bias", 6)}) == ["ntk", "spectral_bias"]


def test_unknown_blocks_may_hold_numpy_numbers():
    block = {"version": np.int64(1), "values": np.array([0.5, 2.0]), "found": np.bool_(True)}
    metrics = validate(GOOD | {"mine": block})
    assert metrics["mine"] == {"version": 1, "values": [0.5, 2.0], "found": True}
    assert json.loads(to_json(metrics)) == metrics


def test_a_block_that_holds_itself_is_refused():
    block: dict = {"version": 1}
    block["again"] = block
    with pytest.raises(IntegrityError, match="nested too deeply"):
        validate(GOOD | {"mine": block})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        b"\xff\xfe\x00",
        "[" * 100_000,
        '{"format": 1, "format": 1}',
        to_json(validate(GOOD)).replace("1.5e-09", "NaN"),
        to_json(validate(GOOD)).replace("1.5e-09", "1e999"),
        to_json(validate(GOOD)).replace("1.5e-09", "9" * 5000),
    ],
)
def test_text_that_is_no_metrics_is_refused(text):
    with pytest.raises(IntegrityError):
        from_json(text)
