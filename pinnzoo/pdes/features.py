"""Known functions of a point as further inputs of a network."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from pinnzoo._typing import PointFunction
from pinnzoo.errors import RecipeError, require


@dataclass(frozen=True)
class Features:
    """What a network sees of a point besides its coordinates.

    A solution may be smooth in something that it is not smooth in the coordinates of: the distance
    from a corner to a power, or the distance from a layer in units of its width. A network that is
    given these numbers too need not make them of the coordinates.

    Attributes:
        function: The numbers `(k,)` of a point `(d,)`, as often differentiable as the equation
            asks for.
        lower: Their lower bounds. As the coordinates, they are mapped to [-1, 1] first.
        upper: Their upper bounds.

    Raises:
        RecipeError: There are not as many lower as upper bounds, at least one of each, or a lower
            one is not below the upper one.

    Example:
        >>> Features(lambda z: jnp.array([jnp.exp(-10 * z[0])]), (0.0,), (1.0,)).k
        1
    """

    function: PointFunction
    lower: Sequence[float]
    upper: Sequence[float]

    def __post_init__(self) -> None:
        lower, upper = (tuple(map(float, bounds)) for bounds in (self.lower, self.upper))
        if not lower or len(lower) != len(upper) or not all(map(operator.lt, lower, upper)):
            raise RecipeError(
                f"features from {lower} to {upper} were given: give a lower and an upper bound for "
                "each, the lower one first."
            )
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    @property
    def k(self) -> int:
        """How many there are."""
        return len(self.lower)

    def check(self, name: str, d: int) -> None:
        """Raise unless the function takes a point of d coordinates to as many numbers.

        Raises:
            RecipeError: It does not, or there are no such features at all.
        """
        require(self, Features, "the features", "give pinnzoo.Features(function, lower, upper)")
        found = jax.eval_shape(self.function, jax.ShapeDtypeStruct((d,), jnp.result_type(float)))
        shape = getattr(found, "shape", None)
        if shape != (self.k,):
            raise RecipeError(
                f"the features of {name!r} have shape {shape}, and {self.k} bounds: return one "
                "number for each in an array."
            )
