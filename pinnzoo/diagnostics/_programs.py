"""Running compiled programs with a sign of life: each call returns to the caller's `tick`."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import jax

Tick: TypeAlias = Callable[[str], None]
"""Called often, with a few words on what is being computed; make it cheap."""

QUICK_COMPILE = {"xla_backend_optimization_level": 1}
"""Compiles large programs in about 60 % of the time, and they run as fast."""

POLL = 0.2
"""Seconds between two ticks while one program is compiled or runs."""


def silent(text: str) -> None:
    """A tick that does nothing."""
    del text


def compile_for(program: Any, *arguments: Any, tick: Tick, text: str) -> None:
    """Compile a function of `jax.jit` for these arguments, unless that was done before.

    The compiler runs in another thread, so that the caller's `tick` can be called meanwhile. The
    program is traced here, since switches like `jax.enable_x64` belong to one thread. After Ctrl-C
    the compiler is waited for: a process that ends while it runs can crash.

    Args:
        program: What `jax.jit` returned.
        *arguments: What it will be called with.
        tick: The sign of life.
        text: What to tell it.
    """
    tick(text)
    traced = program.trace(*arguments)
    tick(text)
    lowered = traced.lower()
    tick(text)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            lowered.compile()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="pinnzoo-compile")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(POLL)
            tick(text)
    finally:
        thread.join()
    if failures:
        raise failures[0]


def call(program: Any, *arguments: Any, tick: Tick, text: str) -> Any:
    """The program's result, once it is there; `tick` is called while it is waited for."""
    found = program(*arguments)
    leaves = jax.tree.leaves(found)
    due = time.monotonic() + POLL
    while not all(leaf.is_ready() for leaf in leaves):
        time.sleep(0.0005)
        if time.monotonic() > due:
            tick(text)
            due = time.monotonic() + POLL
    tick(text)
    return found
