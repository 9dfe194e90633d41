"""How many threads the linear algebra of NumPy and SciPy may use."""

import functools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController

WORTH_THREADS = 1.5e9
"""Multiplications from which several threads pay off. Below, they wait for one another longer than
they work wherever something else is busy, such as a compiler: OpenBLAS then takes up to ten times
as long as by itself."""

_lock = threading.Lock()

_holders = 0
"""How many contexts of `one_thread` there are, in all Python threads."""

_raised = 0
"""How many contexts of `threads_for` let a large call have all threads."""

_available: dict[str, int] = {}
"""While there is one thread only: the numbers before, by the file of each library."""


@functools.cache
def _controller() -> Any:
    # SciPy brings a library of its own, which is found once it is loaded.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController().select(user_api="blas")


def _put(numbers: Mapping[str, int]) -> None:
    """Set the number of threads of each library; to be called under `_lock`.

    threadpoolctl lets one Python thread set it until that one gives it up. Here it is the lock that
    says who may, so that whoever comes last can set back what another one has changed.
    """
    for library in _controller().lib_controllers:
        give_up = getattr(library, "clear_controlling_thread", lambda **_: None)
        give_up(force=True)
        library.set_num_threads(numbers[library.filepath])
        give_up(force=True)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let linear algebra keep to the thread that calls it, until the context ends.

    The number of threads belongs to the process: the first of several Python threads sets it to
    one, and the last one sets it back.
    """
    global _holders
    with _lock:
        if _holders == 0:
            before = {each.filepath: each.num_threads for each in _controller().lib_controllers}
            if any(number > 1 for number in before.values()):
                _available.update(before)
                _put(dict.fromkeys(before, 1))
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0 and _available:
                _put(_available)
                _available.clear()


@contextmanager
def threads_for(multiplications: float) -> Iterator[None]:
    """All threads where one call is worth them, and one otherwise.

    Inside of `one_thread` too: threads that have done their share of a call spin for a while, and
    take the processor from whatever comes next. So all but the large calls keep to one.

    By the size alone and not by what other programs do, so that a training that is repeated takes
    the same steps to the last bit.

    Args:
        multiplications: How many floating-point multiplications the call makes, roughly.

    Example:
        >>> with threads_for(400 * 400 * 1761):
        ...     kernel = rows @ rows.T
    """
    global _raised
    if multiplications < WORTH_THREADS:
        with one_thread():
            yield
        return
    with _lock:
        _raised += 1
        if _raised == 1 and _available:
            _put(_available)
    try:
        yield
    finally:
        with _lock:
            _raised -= 1
            if _raised == 0 and _available:
                _put(dict.fromkeys(_available, 1))
