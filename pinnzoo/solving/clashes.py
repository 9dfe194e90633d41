"""Conditions that contradict one another where they meet."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pinnzoo.architectures.corners import Angle, Corner
from pinnzoo.domains import Box, sample
from pinnzoo.pdes import Problem
from pinnzoo.pdes.conditions import Condition
from pinnzoo.pdes.orders import apart_for_all_fields, residuals_of
from pinnzoo.solving.analysis import faces_of, zero

CLASHES = 0.02
"""Difference of two conditions, relative to the largest value, that is a jump of the solution."""

LOOKED_AT = 16
"""Points of a face, and of an edge, at which they are compared."""


class Clash(NamedTuple):
    """Two conditions that give a component different values where they meet.

    Attributes:
        first: Name of the first one.
        second: Name of the second one.
        component: What both give.
        values: What each of them says.
        point: Where, `(d,)`.
    """

    first: str
    second: str
    component: str
    values: tuple[float, float]
    point: np.ndarray


def clash(problem: Problem, corners: Sequence[Corner | Angle] = ()) -> Clash | None:
    """Two conditions at whose common edge the solution jumps; None where all agree.

    Such as a slab at zero whose surface is at one from the first moment on. Of those conditions
    alone that give the value of a component on faces of a box.

    Args:
        problem: What is solved.
        corners: What becomes of jumps that are known; these are no clashes.

    Example:
        >>> clash(make_problem("heat", {})) is None
        True
    """
    asking = [c for c in problem.conditions if c.asks in problem.components]
    for one, other in itertools.combinations(asking, 2):
        some, more = faces_of(one.region), faces_of(other.region)
        if one.asks != other.asks or not some or not more:
            continue
        on_faces = [_given(problem, one, face) for face in some]
        on_faces += [_given(problem, other, face) for face in more]
        scale = max((float(np.abs(values).max()) for values in on_faces), default=0.0)
        for face, opposite in itertools.product(some, more):
            lower, upper = (
                np.maximum(face.lower, opposite.lower),
                np.minimum(face.upper, opposite.upper),
            )
            within = [(lower == f.lower) & (upper == f.upper) for f in (face, opposite)]
            # Conditions on one face are compared by `contradictions`, for every training.
            if (lower > upper).any() or any(same.all() for same in within):
                continue
            edge = Box(problem.coords, tuple(lower), tuple(upper))
            values = [_given(problem, each, edge) for each in (one, other)]
            apart = np.abs(values[0] - values[1])
            k = int(np.argmax(apart))
            if _is_known(problem, corners, one.asks, _points(edge)[k]):
                continue
            if apart[k] > CLASHES * scale and _ask_the_same(problem, one, other, edge):
                said = (float(values[0][k]), float(values[1][k]))
                return Clash(one.name, other.name, one.asks, said, _points(edge)[k])
    return None


def _is_known(
    problem: Problem, corners: Sequence[Corner | Angle], component: str, point: np.ndarray
) -> bool:
    """Whether it is known what becomes of a jump."""
    own = (each for each in corners if problem.components[each.component] == component)
    return any(each.jumps_at(point) for each in own)


def _ask_the_same(problem: Problem, one: Condition, other: Condition, edge: Box) -> bool:
    """Whether both read the same of a field there, and not one of them its values elsewhere too."""
    return apart_for_all_fields(problem, one.name, other.name, _points(edge))[0] is not None


def _points(face: Box) -> Float[np.ndarray, "n d"]:
    return sample(face, LOOKED_AT, "sobol", np.random.default_rng(0))


def _given(problem: Problem, condition: Condition, face: Box) -> Float[np.ndarray, " n"]:
    """What a condition prescribes at some points of a face."""
    return 0.0 - residuals_of(problem, condition.name, zero(problem.m), _points(face), bare=True)
