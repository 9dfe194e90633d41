"""What every diagnostic checks before it computes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnzoo._typing import Theta
from pinnzoo.errors import PointsError, PrecisionError, TrainingError, UnknownNameError
from pinnzoo.objective import Objective, Term, sharing_points
from pinnzoo.precision import require_x64

Vector: TypeAlias = Float[Array | np.ndarray, " p"]
"""Parameters or a point, from JAX or as a file holds them."""


def in_float64(objective: Objective, theta: Any, purpose: str) -> Theta:
    """θ in double precision, once it is sure that all of the computation will be.

    Raises:
        PrecisionError: JAX has float64 switched off, or the network of the objective is float32.
    """
    require_x64(purpose)
    for term in objective.terms:
        if term.points.dtype != jnp.float64:
            raise PrecisionError(
                f"{purpose} was asked of an objective in {term.points.dtype}: diagnostics are "
                "computed in float64, so assemble it with a network of dtype='float64'."
            )
    return jnp.asarray(theta, jnp.float64)


def finite(theta: Any) -> None:
    """Raise unless every parameter is a finite number.

    Raises:
        TrainingError: One is not.
    """
    if not np.isfinite(np.asarray(theta)).all():
        raise TrainingError(
            "parameters that are NaN or infinite were given: diagnostics need finite ones, so use "
            "a step from before the training diverged."
        )


def find_term(objective: Objective, name: str) -> Term:
    """The term called `name`.

    Raises:
        UnknownNameError: There is no such term.
    """
    for term in objective.terms:
        if term.name == name:
            return term
    raise UnknownNameError.of("term", name, [term.name for term in objective.terms])


def unscaled(term: Term, points: Any = None) -> Term:
    """The term with rows `r(θ, z_i)`, without weight and 1/√n, on other points if they are given.

    Raises:
        PointsError: The points do not have the shape `(n, d)` with n ≥ 1, or are not finite.
    """
    d = term.points.shape[1]
    array = np.asarray(term.points if points is None else points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != d or len(array) == 0 or not np.isfinite(array).all():
        raise PointsError(
            f"points of shape {array.shape} were given for the term {term.name!r}: it takes a "
            f"finite array of shape (n, {d}) with n at least 1."
        )
    return replace(term, points=jnp.asarray(array), scale=jnp.ones((), jnp.float64))


def unscaled_objective(
    objective: Objective, points: Mapping[str, Float[np.ndarray, "n d"]]
) -> Objective:
    """The objective with unscaled rows on other points, any number of them per term.

    Raises:
        PointsError: A term has no points, there are points for a term that does not exist, or
            they have the wrong shape.
    """
    names = [term.name for term in objective.terms]
    if set(points) != set(names):
        raise PointsError(
            f"points for the terms {sorted(points)} were given: the objective has the terms "
            f"{sorted(names)}, so give points for each."
        )
    return Objective(sharing_points(unscaled(term, points[term.name]) for term in objective.terms))
