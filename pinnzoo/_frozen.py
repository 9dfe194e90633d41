"""What is handed out and shared: whoever changes it in place would change it for everybody."""

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from pinnzoo.errors import RecipeError


def read_only(array: Any) -> np.ndarray:
    """The same numbers, in an array that cannot be written to.

    Example:
        >>> read_only([1.0, 2.0]).flags.writeable
        False
    """
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def all_read_only(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays by name that cannot be written to, in a dict of one's own."""
    return {name: read_only(array) for name, array in arrays.items()}


class FrozenDict(dict[str, Any]):
    """A dict that stays as it is; `dict(it)` and `it | more` are others that can be changed.

    Raises:
        RecipeError: Somebody tries to change it.

    Example:
        >>> FrozenDict(rate=1.0) | {"rate": 2.0}
        {'rate': 2.0}
    """

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise RecipeError(
            f"arguments were to be changed in place, {dict(self)}, which others read too: change a "
            "copy, dict(arguments)."
        )

    __setitem__ = __delitem__ = __ior__ = _refuse  # pyright: ignore
    clear = pop = popitem = setdefault = update = _refuse  # pyright: ignore

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)
