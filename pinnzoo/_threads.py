"""How many threads the linear algebra of NumPy and SciPy may use."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from threadpoolctl import ThreadpoolController

WORTH_THREADS = 1.5e9
"""Multiplications from which several threads pay off. Below, they wait for one another longer than
they work wherever something else is busy, such as a compiler: OpenBLAS then takes up to ten times
as long as by itself."""

_lock = threading.Lock()

_available: dict[str, int] = {}
"""While there is one thread only: the numbers before, by the file of each library."""


@functools.cache
def _controller() -> Any:
    # SciPy brings a library of its own, which is found once it is loaded.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let linear algebra keep to the thread that calls it, until the context ends.

    The number of threads belongs to the process. Where another Python thread has set it to one
    already, that one sets it back: a second one would take the one for what was there before.
    """
    with _lock:
        before = {lib.filepath: lib.num_threads for lib in _controller().lib_controllers}
        limited = all(number == 1 for number in before.values())
        if not limited:
            _available.update(before)
        context = nullcontext() if limited else _controller().limit(limits=1)
    try:
        with context:
            yield
    finally:
        if not limited:
            _available.clear()


@contextmanager
def threads_for(multiplications: float) -> Iterator[None]:
    """All threads where one call is worth them, and one otherwise.

    Inside of `one_thread` too: threads that have done their share of a call spin for a while, and
    take the processor from whatever comes next. So all but the large calls keep to one.

    By the size alone and not by what else is running, so that a training that is repeated takes the
    same steps to the last bit.

    Args:
        multiplications: How many floating-point multiplications the call makes, roughly.

    Example:
        >>> with threads_for(400 * 400 * 1761):
        ...     kernel = rows @ rows.T
    """
    if multiplications < WORTH_THREADS:
        with one_thread():
            yield
        return
    with _controller().limit(limits=dict(_available)) if _available else nullcontext():
        yield
