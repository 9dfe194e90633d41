"""Looking a name up in a table of factories and calling what is found there."""

import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pinnzoo.errors import PinnzooError, RecipeError, UnknownNameError

T = TypeVar("T")


def make(
    kind: str,
    table: Mapping[str, Callable[..., T]],
    name: str,
    arguments: Mapping[str, Any],
    **given: Any,
) -> T:
    """`table[name](**given, **arguments)`, with the name and the arguments checked.

    Args:
        kind: What the table holds, for messages.
        table: Factories by name.
        name: Which one to call.
        arguments: What a recipe asks for; names in `given` are not a recipe's to set.
        **given: Arguments that every factory of the table takes.

    Raises:
        UnknownNameError: There is no such factory.
        RecipeError: The factory does not take one of the arguments, or not that value.
    """
    if name not in table:
        raise UnknownNameError.of(kind, name, table)
    factory = table[name]
    # The signature of an nnx class itself is that of its metaclass: (*args, **kwargs).
    signature = inspect.signature(factory.__init__ if isinstance(factory, type) else factory)
    allowed = [key for key in signature.parameters if key not in {"self", *given}]
    for argument in arguments:
        if argument not in allowed:
            raise RecipeError(
                f"{kind} {name!r} was given the argument {argument!r}: "
                f"it takes {', '.join(allowed)}."
            )
    try:
        return factory(**given, **arguments)
    except PinnzooError:
        raise
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"{kind} {name!r} was given {dict(arguments)}, which it cannot use: {error}."
        ) from error


def check_finite(**arguments: float) -> None:
    """Raise unless every argument is a finite number.

    Raises:
        RecipeError: One is not.
    """
    for name, value in arguments.items():
        if not _is_finite(value):
            raise RecipeError(f"{name}={value!r} was given: it must be a number.")


def check_positive(**arguments: float) -> None:
    """Raise unless every argument is a finite number above zero.

    Raises:
        RecipeError: One is not.
    """
    for name, value in arguments.items():
        if not (_is_finite(value) and value > 0):
            raise RecipeError(f"{name}={value!r} was given: it must be a positive number.")


def _is_finite(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
