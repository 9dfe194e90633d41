"""How many threads the linear algebra of NumPy and SciPy may use."""

import functools
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from threadpoolctl import ThreadpoolController

WORTH_THREADS = 3e9
"""Multiplications from which several threads pay off. Below, they wait for one another longer than
they work wherever something else is busy, such as a compiler: OpenBLAS then takes up to ten times
as long as by itself."""

_lock = threading.Lock()


@functools.cache
def _controller() -> Any:
    # SciPy brings a library of its own, which is found once it is loaded.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController().select(user_api="blas")


def one_thread() -> AbstractContextManager[Any]:
    """Let linear algebra keep to the thread that calls it, until the context ends.

    The number of threads belongs to the process. Where another Python thread has set it to one
    already, that one sets it back: a second one would take the one for what was there before.
    """
    with _lock:
        limited = all(library.num_threads == 1 for library in _controller().lib_controllers)
        return nullcontext() if limited else _controller().limit(limits=1)


def threads_for(multiplications: float) -> AbstractContextManager[Any]:
    """All threads where the work is worth them, and one otherwise.

    By the size alone and not by what else is running, so that a training that is repeated takes the
    same steps to the last bit.

    Args:
        multiplications: How many floating-point multiplications one call makes, roughly.

    Example:
        >>> with threads_for(400 * 400 * 1761):
        ...     kernel = rows @ rows.T
    """
    return nullcontext() if multiplications >= WORTH_THREADS else one_thread()
