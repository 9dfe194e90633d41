"""Rows of the Jacobian, a few points at a time, by programs that all diagnostics share."""

import dataclasses
import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pinnzoo._compiling import QUICKEST_COMPILE
from pinnzoo._typing import Jacobian, Theta
from pinnzoo.diagnostics._programs import (
    Tick,
    begin_compiling,
    call,
    compile_for,
    silent,
)
from pinnzoo.objective import Objective, Term

CHUNK = 32
"""Points whose rows are computed at once."""


@functools.partial(jax.jit, compiler_options=QUICKEST_COMPILE)
def _jacobian(term: Term, theta: Theta) -> Jacobian:
    return term.jacobian(theta)


def _chunk(term: Term, size: int, start: int) -> Term:
    """The term on `size` of its points, filled up with the last one, and without its scale."""
    points = np.asarray(term.points)
    chosen = np.minimum(np.arange(start, start + size), len(points) - 1)
    bare = jnp.ones((), term.points.dtype)
    return dataclasses.replace(term, points=jnp.asarray(points[chosen]), scale=bare)


def begin_jacobian(
    objective: Objective, theta: Theta, *, chunk: int | None = None, tick: Tick = silent
) -> None:
    """Begin to compile what `jacobian_blocks` takes its rows by."""
    for term in objective.terms:
        text = f"Jacobian of {term.name!r}"
        some = _chunk(term, chunk or CHUNK, 0)
        begin_compiling(_jacobian, some, theta, tick=tick, text=text)


def jacobian_blocks(
    objective: Objective, theta: Theta, *, chunk: int | None = None, tick: Tick = silent
) -> Iterator[Float[np.ndarray, "_ p"]]:
    """The rows of `objective.jacobian(theta)` in their order, at most `chunk` of them at a time.

    Every chunk has the same shape, filled up with its last point: a term's residual is compiled
    once, whatever the number of its points.

    Args:
        objective: The residual vector.
        theta: Flat parameters in the precision of the points.
        chunk: Rows per block; `CHUNK` by default.
        tick: The sign of life.
    """
    size = chunk or CHUNK
    for term in objective.terms:
        n = len(term.points)
        scale = np.broadcast_to(np.asarray(term.scale), (n,))
        text = f"Jacobian of {term.name!r}"
        for start in range(0, n, size):
            some = _chunk(term, size, start)
            if start == 0:
                compile_for(_jacobian, some, theta, tick=tick, text=text)
            rows = np.asarray(call(_jacobian, some, theta, tick=tick, text=text))
            kept = min(size, n - start)
            yield scale[start : start + kept, None] * rows[:kept]
