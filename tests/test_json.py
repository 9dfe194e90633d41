"""Forms of JSON data: the quick way of msgspec says what the careful one says, key by key."""

from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np
import pytest
from msgspec import Meta

from pinnzoo import _json


class Inner(TypedDict):
    """An object in an object."""

    size: Annotated[int, Meta(ge=0)]
    note: NotRequired[str]


class Outer(TypedDict):
    """Every kind of value."""

    name: str
    share: float
    flag: NotRequired[bool]
    parts: dict[str, Inner]
    values: NotRequired[list[float]]
    other: NotRequired[Any]


def outer(**changes):
    return {"name": "a", "share": 0.5, "parts": {"b": {"size": 3}}} | changes


GIVEN = [
    outer(),
    outer(share=1),
    outer(name="λ", parts={}),
    outer(name="\ud800"),
    outer(share=float("nan")),
    outer(share=float("inf"), values=[1.0]),
    outer(share=True),
    outer(flag=1),
    outer(values=[1, 2.5]),
    outer(values=(1, 2.5)),
    outer(values=[1.0, "x"]),
    outer(values=np.ones(2)),
    outer(values=[np.float64(2.5), np.int64(3)]),
    outer(parts={"b": {"size": -1}}),
    outer(parts={"b": {"size": 10**301}}),
    outer(parts={"b": {"size": 1, "unknown": 2}}),
    outer(parts={"b": {"note": "x"}}),
    outer(parts={1: {"size": 1}}),
    outer(parts=[]),
    outer(other={"deep": [1, None, {"deeper": "x"}]}),
    outer(other={1: 2}),
    outer(unknown=1),
    {"name": "a", "share": 0.5},
    [],
    None,
]


def said(read, data):
    try:
        return read(data)
    except ValueError as error:
        return f"refused: {error}"


@pytest.mark.parametrize("data", GIVEN)
def test_quick_way_says_what_the_careful_one_says(data):
    careful = said(lambda d: _json._carefully(d, Outer, "here"), data)
    quick = said(lambda d: _json.conform(d, Outer, "here"), data)
    assert quick == careful
    assert repr(quick) == repr(careful)


def test_about_half_of_these_are_refused():
    refused = [isinstance(said(lambda d: _json.conform(d, Outer), data), str) for data in GIVEN]
    assert 8 < sum(refused) < len(GIVEN) - 5


def test_what_is_returned_is_a_copy():
    data = outer(values=[1.0], other={"list": [1]})
    read = _json.conform(data, Outer)
    read["values"].append(2.0)
    read["other"]["list"].append(2)
    read["parts"]["b"]["size"] = 4
    assert data == outer(values=[1.0], other={"list": [1]})
