"""Where the data of an elliptic problem do not fit together in the corners of a rectangle."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pinnzoo.architectures.corners import Angle
from pinnzoo.domains import Box, sample
from pinnzoo.pdes import Problem
from pinnzoo.pdes.conditions import Condition
from pinnzoo.pdes.orders import residuals_of
from pinnzoo.solving.analysis import faces_of, orders, zero
from pinnzoo.solving.corners import COUPLED, SMALL_BEND, SMALL_JUMP

ALONG = 257
"""Points of a side at which the size of its data is looked at."""

PARTS = 6
"""Value, two slopes, two second derivatives and the mixed one."""


class Side(NamedTuple):
    """What a condition says of one component on a side, near its corner.

    Attributes:
        component: Which one.
        value: Factor of the component in the condition's residual.
        slope: Factor of its derivative across the side.
        left: What the residual leaves over for zero, and its first and second derivatives along
            the side.
        size: Its largest value on all of the side, in units of the component.
    """

    component: int
    value: float
    slope: float
    left: tuple[float, float, float]
    size: float


def angles_of(problem: Problem) -> tuple[Angle, ...]:
    """Corners of a rectangle in which a solution is not smooth although its data are.

    For equations with second derivatives along both coordinates and without mixed ones. Two sides
    give a component different values where they meet, or one gives its value and the other one a
    slope that the value does not have; or both give values, with which the equation is not met.

    Args:
        problem: What is solved.

    Returns:
        None where all is smooth, or where the factors cannot be read off.

    Example:
        >>> angles_of(make_problem("helmholtz", {}))
        ()
    """
    domain = problem.domain
    plain = problem.ansatz is None and problem.symmetry is None and not problem.unknowns
    if not plain or not isinstance(domain, Box) or problem.d != 2 or "t" in problem.coords:
        return ()
    if domain.parameters or orders(problem) != (2, 2) or len(problem.equations) != problem.m:
        return ()
    found: list[Angle] = []
    for corner in itertools.product(*zip(domain.lower, domain.upper, strict=True)):
        sides = [_sides(problem, axis, corner) for axis in (0, 1)]
        for one, other in itertools.product(*sides):
            if one.component == other.component:
                found += _angle(problem, corner, (one, other))
    return tuple(found)


def _sides(problem: Problem, axis: int, corner: Sequence[float]) -> list[Side]:
    """What the conditions on the side that is fixed along an axis say near a corner."""
    along = 1 - axis
    bounds = (problem.domain.lower[along], problem.domain.upper[along])
    found = []
    for condition in problem.conditions:
        faces = [f for f in faces_of(condition.region) if f.lower[axis] == f.upper[axis]]
        own = [f for f in faces if f.lower[axis] == corner[axis]]
        if any((f.lower[along], f.upper[along]) == bounds for f in own):
            side = _read(problem, condition, axis, corner)
            found += [] if side is None else [side]
    return found


def polynomial_at(problem: Problem, corner: Sequence[float]) -> Any:
    """A field from its derivatives in a corner, and what is far from it, `(7, m)`."""

    def function(parts: Any) -> Any:
        def at(z: Any) -> Any:
            x, y = z - jnp.asarray(corner)
            powers = [jnp.ones_like(x), x, y, x**2 / 2, y**2 / 2, x * y, x**6 + y**6]
            return jnp.stack(powers) @ parts

        return problem.field(at, problem.guesses)

    return function


def _read(
    problem: Problem, condition: Condition, axis: int, corner: Sequence[float]
) -> Side | None:
    """What a condition says; None unless of value and slope of one component."""
    field, m = polynomial_at(problem, corner), problem.m
    at = np.asarray(corner, float)

    def residual(parts: Any, step: Any = 0.0) -> Any:
        return condition.residual(field(parts), jnp.asarray(at).at[1 - axis].add(step))

    with jax.enable_x64(True):
        nothing = jnp.zeros((PARTS + 1, m))
        slopes = np.asarray(jax.jacfwd(residual)(nothing))
        along = [lambda step: residual(nothing, step)]
        for _ in range(2):
            along.append(jax.jacfwd(along[-1]))
        left = [float(each(0.0)) for each in along]
    if slopes.shape != (PARTS + 1, m) or not np.isfinite([*slopes.ravel(), *left]).all():
        return None
    read = np.nonzero(np.abs(slopes).any(axis=0))[0]
    if len(read) != 1:
        return None
    own = slopes[:, read[0]]
    value, slope = own[0], own[1 + axis]
    if np.count_nonzero(own) != np.count_nonzero([value, slope]):
        return None
    points = np.tile(at, (ALONG, 1))
    points[:, 1 - axis] = np.linspace(*problem.domain.bounds(problem.coords[1 - axis]), ALONG)
    data = np.abs(residuals_of(problem, condition.name, zero(m), points, bare=True)).max()
    first, second, third = left
    return Side(
        int(read[0]),
        float(value),
        float(slope),
        (first, second, third),
        float(data / max(abs(value), abs(slope))),
    )


def _angle(problem: Problem, corner: Sequence[float], sides: tuple[Side, Side]) -> list[Angle]:
    """What becomes of two sides that meet; those fixed along the first axis and along the other."""
    k = sides[0].component
    inwards = [1 if x == low else -1 for x, low in zip(corner, problem.domain.lower, strict=True)]
    extents = np.subtract(problem.domain.upper, problem.domain.lower)
    dirichlet = [not side.slope for side in sides]
    if not any(dirichlet):
        return []
    parts = np.zeros((PARTS + 1, problem.m))
    # Along the side that is fixed along one axis, values change along the other one.
    for axis, side in enumerate(sides):
        if dirichlet[axis]:
            value, slope, bend = (-each / side.value for each in side.left)
            parts[0, k], parts[2 - axis, k], parts[4 - axis, k] = value, slope, bend
    equation = equation_at(problem, corner, parts, k)
    if equation is None:
        return []
    left, factors = equation
    scales = [math.sqrt(factor) for factor in factors]
    size = max(sides[0].size, sides[1].size)

    def angle(power: int, amount: float, first: int = 0) -> Angle:
        other = 1 - first
        return Angle(
            power,
            float(corner[first]),
            float(corner[other]),
            float(amount),
            component=k,
            inwards=inwards[first],
            other_inwards=inwards[other],
            scale=scales[first],
            other_scale=scales[other],
            axis=first,
            other_axis=other,
        )

    if all(dirichlet):
        one, other = (-side.left[0] / side.value for side in sides)
        found = []
        # On the first side, which is fixed along the other axis, the angle is zero.
        jumps = abs(one - other) > SMALL_JUMP * size
        if jumps:
            found.append(angle(0, 2 / math.pi * (one - other)))
            # With another value, the equation may ask for something else.
            parts[0, k] = one
            if equation_at(problem, corner, parts, k) != equation:
                return found
        least = SMALL_BEND * max(size * max(np.asarray(factors) / extents**2), _source(problem))
        if problem.m == 1 and abs(left) > least:
            found.append(angle(2, -left / math.pi))
        return found
    fixed = dirichlet.index(False)
    side = sides[fixed]
    wanted = -(side.left[0] + side.value * parts[0, k]) / side.slope
    missed = wanted - parts[1 + fixed, k]
    if abs(missed) * extents[fixed] <= SMALL_BEND * max(size, abs(missed) * extents[fixed]):
        return []
    amount = 2 / math.pi * missed * scales[fixed] * inwards[fixed]
    return [angle(1, amount, first=fixed)]


def _source(problem: Problem) -> float:
    """The largest value of what the equation leaves over for zero."""
    points = sample(problem.domain, ALONG, "sobol", np.random.default_rng(0))
    name = problem.equations[0].name
    return float(np.abs(residuals_of(problem, name, zero(problem.m), points, bare=True)).max())


def equation_at(
    problem: Problem, corner: Sequence[float], parts: Float[np.ndarray, "7 m"], k: int
) -> tuple[float, tuple[float, float]] | None:
    """What a component's equation leaves over in a corner, and its second derivatives' factors.

    None where these are not of one sign, or there is a mixed one, or another component's.
    """
    field = polynomial_at(problem, corner)

    def residuals(parts: Any) -> Any:
        at = jnp.asarray(corner, float)
        return jnp.stack([term.residual(field(parts), at) for term in problem.equations])

    with jax.enable_x64(True):
        given = jnp.asarray(parts)
        left, slopes = (np.asarray(x) for x in (residuals(given), jax.jacfwd(residuals)(given)))
    if not (np.isfinite(left).all() and np.isfinite(slopes).all()):
        return None
    second = slopes[:, 3:6]
    largest = np.abs(second).max()
    having = [i for i in range(problem.m) if np.abs(second[i, :, k]).max() > COUPLED * largest]
    if len(having) != 1:
        return None
    (row,) = having
    others = np.delete(np.abs(second[row]), k, axis=1)
    factors, mixed = second[row, :2, k], second[row, 2, k]
    sign = np.sign(factors[0])
    alone = others.max(initial=0.0) <= COUPLED * largest and abs(mixed) <= COUPLED * largest
    if not alone or not (sign * factors > 0).all():
        return None
    along, aside = sign * factors
    return float(sign * left[row]), (float(along), float(aside))
