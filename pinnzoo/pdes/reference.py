"""The solution that networks are measured against, and functions of one point at many points."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float

from pinnzoo._typing import Point, PointFunction
from pinnzoo.errors import PointsError
from pinnzoo.precision import require_x64


@dataclass(frozen=True)
class Reference:
    """The solution that networks are measured against, and how far it can be trusted.

    Attributes:
        function: The solution at one point, `(d,) -> (m,)`, differentiable, in float64.
        method: How it is computed, one phrase.
        refined: The same solution computed more finely, or None for a closed form.
        waves: Where the solution is a finite sum of plane waves, their wave vectors without signs:
            `∏ sin(kᵢ zᵢ)` and the same with cosines are such sums. One layer of sines contains
            them, which the cards of such networks say.

    Example:
        >>> Reference(lambda z: jnp.sin(z), "closed form")
    """

    function: PointFunction
    method: str
    refined: PointFunction | None = None
    waves: tuple[tuple[float, ...], ...] = ()

    def __call__(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n m"]:
        """The solution at the points, computed in chunks.

        Raises:
            PrecisionError: JAX would silently compute it in float32.
        """
        require_x64("a reference solution")
        return evaluate_function(self.function, points)

    def certified_error(
        self, points: Float[np.ndarray, "n d"], values: Float[np.ndarray, "n m"] | None = None
    ) -> float:
        """Relative L2 error of the reference itself over `points`, measured and not assumed.

        The larger of two figures: the change under refinement (where there is a refined
        solution), and the change when every coordinate moves by one unit in the last place,
        which is what rounding can do to a closed form.

        Args:
            points: Where.
            values: The solution there, where it is known already.

        Raises:
            PointsError: The solution is zero at all of the points, so that nothing is relative
                to it.
            PrecisionError: JAX would silently compute in float32, where that move is lost and
                the error of a closed form would come out as zero.
        """
        values = self(points) if values is None else values
        norm = np.linalg.norm(values)
        if norm == 0:
            raise PointsError(
                f"{len(points)} points were given at all of which the reference is zero: a "
                "relative error needs points where it is not."
            )
        changes = [self(np.nextafter(points, np.inf)) - values]
        if self.refined is not None:
            changes.append(evaluate_function(self.refined, points) - values)
        return float(max(np.linalg.norm(change) for change in changes) / norm)


def evaluate_function(
    function: PointFunction, points: Float[np.ndarray, "n d"], chunk: int = 16384
) -> Float[np.ndarray, "n m"]:
    """`function` at every point, in chunks of one shape so that it is compiled once.

    What is compiled is kept for the next call with the same function object. A
    `jax.tree_util.Partial` is compiled once for all values of its arguments, and a network for all
    values of its weights. A function with a method `many` is asked for all points at once first,
    which it may leave to this one by returning None.

    Raises:
        PointsError: There are no points.

    Example:
        >>> evaluate_function(lambda z: z**2, np.array([[1.0], [3.0]])).tolist()
        [[1.0], [9.0]]
    """
    if len(points) == 0:
        raise PointsError("an array of no points was given: give at least one.")
    # Some solutions are far quicker on a grid than point by point.
    many = getattr(function, "many", None)
    if many is not None and (values := many(points)) is not None:
        return values
    function = at_its_weights(function)
    batched = _batched_with(function) if _is_partial(function) else _batched(function)
    chunk = min(chunk, 1 << (len(points) - 1).bit_length())
    pieces = []
    for start in range(0, len(points), chunk):
        piece = points[start : start + chunk]
        padded = np.concatenate([piece, np.tile(piece[-1:], (chunk - len(piece), 1))])
        pieces.append(np.asarray(batched(padded), dtype=np.float64)[: len(piece)])
    return np.concatenate(pieces)


def at_its_weights(function: PointFunction) -> PointFunction:
    """A network as a pytree of the weights that it has now; anything else as it is.

    A module is one object before and after a step of training: a program that is kept for the
    object would have the old weights in it.
    """
    if not isinstance(function, nnx.Module):
        return function
    graph, state = nnx.split(function)
    try:
        return jax.tree_util.Partial(_called(graph), state)
    except TypeError:  # An attribute cannot be hashed: another object, compiled for this call.
        return lambda z: function(z)


@functools.lru_cache(maxsize=256)
def _called(graph: Any) -> Callable[[nnx.State, Point], Any]:
    return lambda state, z: nnx.merge(graph, state)(z)


def _is_partial(function: PointFunction) -> bool:
    return isinstance(function, jax.tree_util.Partial)


def _batched_with(function: PointFunction) -> Callable:
    return functools.partial(_apply, function)


@jax.jit
def _apply(function: PointFunction, points: jax.Array) -> jax.Array:
    return jax.vmap(function)(points)


@functools.lru_cache(maxsize=64)
def _batched(function: PointFunction) -> Callable:
    return jax.jit(jax.vmap(function))
