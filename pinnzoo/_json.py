"""JSON read strictly, and compared with a type: nothing in it is guessed or dropped.

msgspec checks types and limits of single values. This module does what msgspec does not: it
accepts a key that occurs twice, does not refuse unknown keys of a `TypedDict`, does not take NumPy
numbers, and does not say at which key of a mapping a wrong value stands.
"""

import json
import math
import numbers
import os
import typing
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

LARGEST = 10**300
"""No whole number in a file is as large; what a float can hold ends a little later."""

WHOLE = "the whole"
"""What a message calls data that is not part of something."""


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


def plain(data: Any, where: str = "") -> Any:
    """A copy of `data` in the types that JSON has, so that writing it cannot fail.

    NumPy and JAX numbers become Python's, tuples and arrays become lists, and paths become text.

    Args:
        data: Numbers, text, None, and mappings and sequences of those.
        where: Path to `data` in what it is part of, for the message.

    Returns:
        None, bool, int, float, str, and lists and dicts of those.

    Raises:
        ValueError: Something else is in it, a number that is not finite, or a key that is no text;
            the message names the place.

    Example:
        >>> import numpy as np
        >>> plain({"steps": np.int64(3), "shape": (2, np.float32(0.5))})
        {'steps': 3, 'shape': [2, 0.5]}
    """
    try:
        # The questions of the other way take several times as long.
        return _builtin(data)
    except (TypeError, RecursionError):
        pass
    try:
        return _plain(data, where)
    except RecursionError:
        raise ValueError(f"{where or WHOLE} is nested too deeply") from None


def _plain(data: Any, where: str) -> Any:
    place = where or WHOLE
    if data is None or isinstance(data, bool):
        return data
    if isinstance(data, os.PathLike):
        data = os.fspath(data)
    if isinstance(data, str):
        if any("\ud800" <= letter <= "\udfff" for letter in data):
            raise ValueError(f"{place} holds bytes that are not text")
        return str(data)
    if isinstance(data, numbers.Integral):
        if abs(int(data)) >= LARGEST:
            # Python itself refuses to print a number of so many digits.
            raise ValueError(f"{place} is a number of more than 300 digits")
        return int(data)
    if isinstance(data, numbers.Rational):
        raise ValueError(f"{place} is a fraction: give it as a float")
    if isinstance(data, numbers.Real):
        if not math.isfinite(data):
            raise ValueError(f"{place} is {float(data)}, which is not a finite number")
        return float(data)
    if isinstance(data, Mapping):
        return {_key(key, place): _plain(value, _below(where, key)) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_plain(value, _below(where, i)) for i, value in enumerate(data)]
    # Arrays of any library, and NumPy's bool, which is no Python number.
    if hasattr(data, "tolist") and not isinstance(data, (numbers.Number, type)):
        return _plain(data.tolist(), where)
    raise ValueError(f"{place} is of type {type(data).__name__}, which JSON does not have")


def conform(data: Any, kind: Any, where: str = "") -> Any:
    """A copy of `data` in plain Python types, if it has the form that `kind` states.

    Args:
        data: Plain data; NumPy numbers count as numbers.
        kind: `list[...]`, `dict[str, ...]`, a `TypedDict`, which may have no other keys, or for
            single values whatever `msgspec.convert` takes, such as `Annotated[int, Meta(ge=0)]`.
        where: Path to `data` in what it is part of, for the message.

    Raises:
        ValueError: It has another form; the message names the place.
    """
    try:
        given = _builtin(data)
        value = msgspec.convert(given, kind)
    except (TypeError, RecursionError, msgspec.ValidationError):
        return _carefully(data, kind, where)
    # msgspec drops the keys that a TypedDict does not have.
    return value if value == given else _carefully(data, kind, where)


def _builtin(data: Any) -> Any:
    """A copy of what a JSON text held: in such data, msgspec finds every fault but unknown keys.

    Raises:
        TypeError: Something else is in it.
    """
    kind = type(data)
    if kind is dict:
        return {_text(key): _builtin(value) for key, value in data.items()}
    if kind is list:
        return [_builtin(value) for value in data]
    if data is None or kind is bool or (kind is float and math.isfinite(data)):
        return data
    if kind is int and -LARGEST < data < LARGEST:
        return data
    return _text(data)


def _text(data: Any) -> str:
    if type(data) is str and data.isascii():
        return data
    raise TypeError


def _carefully(data: Any, kind: Any, where: str) -> Any:
    """`conform` value by value: it takes NumPy's numbers, and says where something is wrong."""
    place = where or WHOLE
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Required, typing.NotRequired):
        return _carefully(data, arguments[0], where)
    if type(None) in arguments and typing.is_typeddict(arguments[0]):
        return None if data is None else _carefully(data, arguments[0], where)
    if typing.is_typeddict(kind):
        fields = typing.get_type_hints(kind, include_extras=True)
        given = _mapping(data, place)
        for key in (*fields, *given):
            lacks = key in kind.__required_keys__ and key not in given
            if lacks or key not in fields:
                problem = "lacks" if lacks else "has the unknown key"
                raise ValueError(f"{place} {problem} {str(key)[:80]!r}")
        return {k: _carefully(given[k], fields[k], _below(where, k)) for k in fields if k in given}
    if origin is dict:
        given = _mapping(data, place)
        return {k: _carefully(v, arguments[1], _below(where, k)) for k, v in given.items()}
    if origin is list:
        if not isinstance(data, (list, tuple)):
            raise ValueError(f"{place} is not a list")
        return [_carefully(v, arguments[0], _below(where, i)) for i, v in enumerate(data)]
    value = plain(data, where)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        expected = str(error).replace("`", "")
        raise ValueError(
            f"{place} is {repr(value)[:80]}: {expected[0].lower()}{expected[1:]}"
        ) from None


def _below(where: str, key: object) -> str:
    return f"{where}.{key}"[:120] if where else str(key)[:120]


def _key(key: Any, place: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{place} has the key {repr(key)[:80]}, which is not text")
    return str(_plain(key, place))


def _mapping(data: Any, place: str) -> dict[str, Any]:
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ValueError(f"{place} is not an object")
    return data
