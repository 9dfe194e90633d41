"""JSON read strictly, and compared with a type: nothing in it is guessed, dropped or converted."""

import json
import math
import numbers
import typing
from typing import Any, NoReturn


def parse(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: Not JSON in UTF-8, a key that occurs twice, or a number that is not finite.
    """
    try:
        return json.loads(
            text,
            parse_float=_finite,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("a key occurs twice")
    return data


def conform(data: Any, kind: Any, where: str = "") -> Any:
    """A copy of `data` in plain Python types, if it has the form that `kind` states.

    Args:
        data: Plain data; NumPy numbers count as numbers.
        kind: `str`, `int`, `float`, `list[...]`, `dict[str, ...]` or a `TypedDict`, whose keys
            must all be there and no others.
        where: Path to `data` in what it is part of, for the message.

    Raises:
        ValueError: It has another form; the message names the place.
    """
    place = where or "the whole"
    if typing.is_typeddict(kind):
        fields = typing.get_type_hints(kind)
        given = _mapping(data, place)
        for key in (*fields, *given):
            if key not in given or key not in fields:
                problem = "lacks" if key not in given else "has the unknown key"
                raise ValueError(f"{place} {problem} {str(key)[:80]!r}")
        return {k: conform(given[k], fields[k], _below(where, k)) for k in fields}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is dict:
        given = _mapping(data, place)
        return {k: conform(v, arguments[1], _below(where, k)) for k, v in given.items()}
    if origin is list:
        if not isinstance(data, (list, tuple)):
            raise ValueError(f"{place} is not a list")
        return [conform(v, arguments[0], _below(where, i)) for i, v in enumerate(data)]
    return _scalar(data, kind, place)


def _below(where: str, key: object) -> str:
    return f"{where}.{key}"[:120] if where else str(key)[:120]


def _mapping(data: Any, place: str) -> dict[str, Any]:
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ValueError(f"{place} is not an object")
    return data


def _scalar(data: Any, kind: type, place: str) -> Any:
    if kind is str and isinstance(data, str):
        return data
    if isinstance(data, bool):
        pass
    elif kind is int and isinstance(data, numbers.Integral):
        return int(data)
    elif kind is float and isinstance(data, numbers.Real):
        if not math.isfinite(data):
            raise ValueError(f"{place} is {data}, which is not a finite number")
        return float(data)
    raise ValueError(f"{place} is of type {type(data).__name__}, not {kind.__name__}")
