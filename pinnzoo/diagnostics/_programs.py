"""Running compiled programs with a sign of life: each call returns to the caller's `tick`."""

import time
from collections.abc import Callable
from typing import Any, TypeAlias

import jax

from pinnzoo._compiling import Compilation

Tick: TypeAlias = Callable[[str], None]
"""Called often, with a few words on what is being computed; make it cheap."""

POLL = 0.2
"""Seconds between two ticks while one program is compiled or runs."""


def silent(text: str) -> None:
    """A tick that does nothing."""
    del text


def _wait(compilation: Compilation, tick: Tick, text: str) -> None:
    """Return when a program is compiled, or raise what the compiler raised."""
    try:
        while compilation.running:
            compilation.join(POLL)
            tick(text)
    finally:
        compilation.join()
    if compilation.failure is not None:
        raise compilation.failure


_begun: dict[Any, Compilation] = {}
"""Compilations that nobody has waited for yet."""


def _key(program: Any, arguments: tuple[Any, ...]) -> Any:
    leaves, structure = jax.tree.flatten(arguments)
    return program, structure, tuple(jax.typeof(leaf) for leaf in leaves)


def begin_compiling(program: Any, *arguments: Any, tick: Tick = silent, text: str = "") -> None:
    """Compile in another thread what `compile_for` is going to be asked for, and return at once.

    The program is traced here, since switches like `jax.enable_x64` belong to one thread.

    Args:
        program: What `jax.jit` returned.
        *arguments: What it will be called with.
        tick: The sign of life.
        text: What to tell it.
    """
    if (key := _key(program, arguments)) not in _begun:
        tick(text)
        traced = program.trace(*arguments)
        tick(text)
        _begun[key] = Compilation(traced.lower())


def is_compiling(program: Any, *arguments: Any) -> bool:
    """Whether the compiler is still at what `begin_compiling` was given."""
    begun = _begun.get(_key(program, arguments))
    return begun is not None and begun.running


def compile_for(program: Any, *arguments: Any, tick: Tick, text: str) -> None:
    """Compile a function of `jax.jit` for these arguments, unless that was done before.

    The caller's `tick` is called while the compiler runs. After Ctrl-C the compiler is waited for:
    a process that ends while it runs can crash.

    Args:
        program: What `jax.jit` returned.
        *arguments: What it will be called with.
        tick: The sign of life.
        text: What to tell it.
    """
    begin_compiling(program, *arguments, tick=tick, text=text)
    tick(text)
    _wait(_begun.pop(_key(program, arguments)), tick, text)


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
