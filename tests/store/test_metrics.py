import json

import numpy as np
import pytest

from pinnzoo.errors import FormatVersionError, IntegrityError
from pinnzoo.storage.metrics import from_json, to_json, validate
from tests.store.made_entries import made_metrics, made_recipe

GOOD = made_metrics(made_recipe(), 37)


def changed(path: str, value: object) -> dict:
    # Through JSON, since a deep copy keeps two ends that are one object in one piece.
    data = json.loads(json.dumps(GOOD))
    *parents, last = path.split(".")
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
    ],
)
def test_impossible_metrics_are_refused(path, value, word):
    with pytest.raises(IntegrityError, match=word):
        validate(changed(path, value))


def test_metrics_of_another_format_are_refused():
    with pytest.raises(FormatVersionError, match="format 2"):
        validate(changed("format", 2))


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
