"""Compiling: how hard XLA tries where that takes longer than the runs, and in another thread."""

import os
import threading
from typing import Any

from jaxlib import version

LEVEL = "xla_backend_optimization_level"


def quick(flags: str) -> dict[str, Any]:
    """Options for large programs; none where a user's `XLA_FLAGS` state a level for all of them."""
    return {} if LEVEL in flags else {LEVEL: 1}


QUICK_COMPILE = quick(os.environ.get("XLA_FLAGS", ""))
"""Compiles large programs in about 60 % of the time, and they run as fast."""


def quickest(jaxlib: tuple[int, ...]) -> dict[str, Any]:
    """Options for programs that hardly run, as this version of XLA knows them."""
    options = {LEVEL: 0, "xla_llvm_disable_expensive_passes": True}
    # An option that XLA does not know is an error, and it dropped this one with its old emitters.
    return options | ({"xla_cpu_use_fusion_emitters": False} if jaxlib < (0, 11, 1) else {})


QUICKEST_COMPILE = quickest(version.__version_info__)
"""Compiles in a third of that time, but what is compiled takes up to twice as long: for programs
that run for a millisecond, or once."""


class Compilation:
    """A program that is being compiled in another thread.

    A process that ends while the compiler runs can crash: `join` it, whatever happens.

    Args:
        lowered: What `jax.jit(...).lower(...)` returned. Tracing is left to the caller, since
            switches like `jax.enable_x64` belong to one thread.
    """

    def __init__(self, lowered: Any):
        self.failure: BaseException | None = None
        self._lowered = lowered
        self._thread = threading.Thread(target=self._work, name="pinnzoo-compile")
        self._thread.start()

    def _work(self) -> None:
        try:
            self._lowered.compile()
        except BaseException as error:
            self.failure = error

    @property
    def running(self) -> bool:
        """Whether the compiler is still at it."""
        return self._thread.is_alive()

    def join(self, seconds: float | None = None) -> None:
        """Return when it is compiled or has failed, or when the time is over."""
        self._thread.join(seconds)
