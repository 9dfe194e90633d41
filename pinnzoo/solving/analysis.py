"""What a problem says before the first step: its periods, its waves, the size of its terms."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from pinnzoo._compiling import QUICKEST_COMPILE
from pinnzoo._flow import steps_of
from pinnzoo._typing import Point, PointFunction, Values
from pinnzoo.architectures import make_architecture
from pinnzoo.domains import Box, Domain, Region, Shape, Surface, sample
from pinnzoo.domains.regions import Part, factors
from pinnzoo.objective import Objective
from pinnzoo.observations import Observations
from pinnzoo.pdes import Problem
from pinnzoo.pdes.conditions import Condition
from pinnzoo.pdes.orders import faces, places, residuals_of, uneven
from pinnzoo.pdes.times import across_time

PROBES = 8
"""Points at which a condition is tried."""

VANISHES = 1e-9
"""A residual below this share of what it is for other functions is zero, in double precision."""

NEAR, KINK = 1e-6, 0.03
"""How far from the ends of an axis slopes are taken, as a share of it, and by how much they differ
at a kink, as a share of the mean slope of a function that rises once over all of the axis."""

ROUNDED = 1e-13
"""Differences below this share of a function are rounding."""

SLOW = 1e-6
"""Share of a rate that is rounding."""

ASIDE = 0.37
"""A place in the domain, as a share, and a value of the solution, which nothing singles out."""

LARGE = 10.0
"""How many times as large as one, or as their spread, values are which a network begins at."""

ALL_AROUND = 2048
"""Points of a condition, among which there are some on each face."""

OPEN_FROM = 0.02
"""Share of a face from which on a condition on it, or what it leaves open, counts."""

JUMPING = {"select_n", "sign", "floor", "ceil", "round", "cond", "lt", "gt", "le", "ge"}
"""Primitives that jump."""

SMALL, ZOOMS, STEP = 1e-3, 3, 0.05
"""How large functions are that an equation is linearized with, how often a jump is enlarged, and
how large it is in relation to the largest value."""

CANCELLED = 1e-9
"""What is smaller than this share of what cancels in it is rounding."""

MANY_LINES, MANY_POINTS = 64, 2**14
"""Lines along which jumps are looked for, where there is more than one, and points on all."""

LINES, LINE = 5, 513
"""Lines along which waves are counted, and points on each."""


def faces_of(region: Region) -> tuple[Box, ...]:
    """A region as boxes; nothing where it has other shapes."""
    if isinstance(region, Surface):
        return region.faces
    return (region,) if isinstance(region, Box) else ()


def _fixed(face: Box, domain: Domain) -> list[int]:
    """Axes in which a face has no extent although the domain has."""
    return [
        i
        for i in range(domain.d)
        if face.lower[i] == face.upper[i] and domain.lower[i] < domain.upper[i]
    ]


@functools.cache
def zero(m: int) -> PointFunction:
    """A function that is zero everywhere, the same one for as many components."""
    return lambda z: jnp.zeros(m, z.dtype)


def periodic_axes(problem: Problem) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Axes of space in which the problem is periodic, and the conditions that say so.

    A condition is tried on functions that are periodic in one axis and arbitrary otherwise. It says
    that the solution is periodic in this axis if it is met by all of them.

    Args:
        problem: What is solved.

    Returns:
        Indices of the axes on whose faces no other conditions hold, and the names of the conditions
        that every function with these periods meets.

    Example:
        >>> periodic_axes(make_problem("kdv", {}))
        ((1,), ('periodic', 'periodic_x', 'periodic_xx'))
    """
    domain = problem.domain
    rng = np.random.default_rng(0)
    space = [i for i, coord in enumerate(domain.coords) if coord != "t"]
    aperiodic = uneven(problem.m, domain)

    lower, upper = problem.network_bounds

    @functools.cache
    def with_period(axis: int) -> Any:
        # What it sees of a point besides the coordinates may not have the period.
        return make_architecture(
            "mlp",
            {"width": PROBES, "depth": 1, "periodic_axes": (axis,), "initialization": "ntk"},
            m=problem.m,
            lower=lower,
            upper=upper,
            dtype="float64",
            seed=0,
        )

    @functools.cache
    def without_period(axis: int, component: int) -> PointFunction:
        """The same, but for one component."""
        network = with_period(axis)
        return lambda z: network(z).at[component].set(aperiodic(z)[component])

    def met(condition: Condition, face: Box, function: Any) -> bool:
        points = sample(face, PROBES, "uniform", rng)
        values = residuals_of(problem, condition.name, function, points)
        # In the units of the condition, which may be those of a flux.
        others = residuals_of(problem, condition.name, aperiodic, points)
        return bool(np.abs(values).max() <= VANISHES * np.abs(others).max())

    on_axis: dict[int, list[tuple[Condition, Box]]] = {axis: [] for axis in space}
    for condition in problem.conditions:
        for face in faces_of(condition.region):
            fixed = _fixed(face, domain)
            if len(fixed) == 1 and fixed[0] in on_axis:
                on_axis[fixed[0]].append((condition, face))
    # Other conditions inside may say what the slopes do that no condition ties.
    boxes = [faces_of(condition.region) for condition in problem.conditions]
    inside = any(not own or any(not _fixed(box, domain) for box in own) for own in boxes)

    def tied(axis: int, component: int) -> bool:
        """Whether a condition on the axis is missed where one component has no period."""
        other = without_period(axis, component)
        return any(not met(*each, other) for each in on_axis[axis])

    def is_periodic(axis: int) -> bool:
        given = on_axis[axis]
        if not given or (inside and len(given) < _needed(problem, axis)):
            return False
        if not all(met(*each, with_period(axis)) for each in given):
            return False
        # What no condition ties, such as a field that does not move, need not have the period.
        return problem.m == 1 or all(tied(axis, k) for k in range(problem.m))

    axes = tuple(axis for axis in space if is_periodic(axis))

    def idle(condition: Condition) -> bool:
        fixed = [_fixed(face, domain) for face in faces_of(condition.region)]
        return bool(fixed) and all(len(f) == 1 and f[0] in axes for f in fixed)

    return axes, tuple(c.name for c in problem.conditions if idle(c))


def _needed(problem: Problem, axis: int) -> int:
    """Conditions on an axis that the equations take: of each component, those of its order."""
    highest: dict[str, int] = {}
    for component, _, letters in (name.partition("_") for name in problem.asked()):
        order = letters.count(problem.coords[axis])
        highest[component] = max(highest.get(component, 0), order)
    return sum(highest.values())


def orders(problem: Problem) -> tuple[int, ...]:
    """The highest derivative along each axis that the equations ask for by name.

    Example:
        >>> orders(make_problem("convection", {})), orders(make_problem("kdv", {}))
        ((1, 1), (1, 3))
    """
    paths = [name.partition("_")[2] for name in problem.asked()]
    return tuple(max((path.count(c) for path in paths), default=0) for c in problem.coords)


def keeps_kink(problem: Problem, axis: int) -> bool:
    """Whether the initial data have a kink where periods along an axis meet, and it stays one.

    Diffusion wears it out at once. Dispersion does not: in `A u_t + B ∂ᵖu + … = 0` waves of wave
    number k grow as the eigenvalues of `-A⁻¹B (ik)ᵖ`, and these are imaginary for all p. Equations
    of which that cannot be read off, such as those of second order in time, are taken to diffuse.

    Args:
        problem: What is solved.
        axis: Index of a coordinate of space in which it is periodic.

    Example:
        >>> [keeps_kink(make_problem(name, {}), 1) for name in ("schrodinger", "allen_cahn", "kdv")]
        [True, False, False]
    """
    return has_kink(problem, axis) and not _diffuses(problem, axis)


def has_kink(problem: Problem, axis: int) -> bool:
    """Whether an initial value has other values or slopes at one end of an axis than at the other.

    Slopes are from differences of second order, so that up to some hundred waves do not matter.
    """
    domain = problem.domain
    if "t" not in problem.coords:
        return False
    time = problem.coords.index("t")
    low, high = domain.lower[axis], domain.upper[axis]
    step = NEAR * (high - low)
    ends = [low, low + step, low + 2 * step, high - 2 * step, high - step, high]
    at = np.concatenate([ends, np.linspace(low, high, LINE)])
    rng = np.random.default_rng(0)
    for condition in problem.conditions:
        for face in faces_of(condition.region):
            if face.lower[axis] == face.upper[axis] or face.upper[time] != domain.lower[time]:
                continue
            starts = sample(face, LINES, "uniform", rng)
            lines = _data_along(problem, condition, starts, axis, at)
            a, b, c, d, e, f = lines.T[:6]
            jump = np.abs(a - f)
            bend = np.abs((4 * b - 3 * a - c) - (3 * f - 4 * e + d)) / 2
            height = np.ptp(lines, axis=1)
            noise = ROUNDED * np.abs(lines).max(axis=1)
            if np.any((jump > KINK * height + noise) | (bend > KINK * NEAR * height + noise)):
                return True
    return False


def _diffuses(problem: Problem, axis: int) -> bool:
    """Whether short waves along an axis die out; taken for true where that cannot be read off."""
    growth = _growth(problem, axis)
    if growth is None:
        return True
    largest = max((np.abs(g).max() for g in growth), default=0.0)
    # Diffusion beside dispersion wears a kink out too.
    return largest == 0 or any(np.abs(np.real(g)).max() > SLOW * largest for g in growth)


def _growth(problem: Problem, axis: int) -> list[np.ndarray] | None:
    """Rates at which waves along an axis grow, for each order p from two on and k = 1.

    In `A u_t + B ∂ᵖu + … = 0` they are the eigenvalues of `-A⁻¹B (ik)ᵖ`, those of the highest p
    for short waves. None where that cannot be read off.
    """
    time, highest = problem.coords.index("t"), orders(problem)
    if highest[time] != 1:
        return None
    lower, upper = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
    # Where a coefficient vanishes or is infinite, it does so in the middle or at u = 0.
    centre = lower + ASIDE * (upper - lower)
    equations = problem.equations
    if len(equations) != problem.m:
        return None

    def residuals(function: PointFunction) -> np.ndarray:
        return np.array(
            [
                float(residuals_of(problem, term.name, function, centre[None])[0])
                for term in equations
            ]
        )

    def field(component: int, coordinate: int, power: int) -> PointFunction:
        unit = jnp.eye(problem.m)[component] / math.factorial(power)
        return lambda z: ASIDE + unit * (z[coordinate] - centre[coordinate]) ** power

    base = residuals(lambda z: jnp.full(problem.m, ASIDE, z.dtype))

    def part(coordinate: int, power: int) -> np.ndarray:
        """How the equations depend on one derivative of each component."""
        columns = [residuals(field(c, coordinate, power)) - base for c in range(problem.m)]
        return np.stack(columns, axis=1)

    slopes = part(time, 1)
    others = [part(axis, p) for p in range(2, highest[axis] + 1)]
    if not np.isfinite([slopes, *others]).all() or np.linalg.matrix_rank(slopes) < problem.m:
        return None
    return [
        np.linalg.eigvals(-np.linalg.solve(slopes, other)) * 1j**p
        for p, other in enumerate(others, 2)
    ]


def runs_backward(problem: Problem) -> str | None:
    """The axis along which short waves grow without bound from where the solution is prescribed.

    Such as in the heat equation from its end: noise of any size may be its beginning (Hadamard), so
    that a small residual says nothing of the error. None where there is no such axis, or it cannot
    be read off.

    Example:
        >>> runs_backward(make_problem("heat", {})) is None
        True
    """
    if "t" not in problem.coords or problem.d < 2:
        return None
    ends = [_times_of(condition, problem.domain) for condition in problem.conditions]
    first, last = (any(end == side for end in ends) for side in ("first", "last"))
    if first == last:
        return None
    for axis in (k for k, coord in enumerate(problem.coords) if coord != "t"):
        rates = [g for g in _growth(problem, axis) or [] if np.abs(g).max() > 0]
        if not rates:
            continue
        shortest = np.real(rates[-1] if first else -rates[-1])
        if shortest.max() > SLOW * np.abs(rates[-1]).max():
            return problem.coords[axis]
    return None


def solved_by_zero(problem: Problem) -> bool:
    """Whether the function that is zero everywhere meets all equations and conditions exactly.

    Then it is what a network is drawn to, whatever other solutions there are: of an eigenvalue
    problem without a condition for the size of the solution, or of one whose source was forgotten.

    Example:
        >>> solved_by_zero(make_problem("heat", {}))
        False
    """
    nothing, rng = zero(problem.m), np.random.default_rng(0)
    constrained = jax.vmap(problem.constrain(nothing))
    for name, term in problem.terms.items():
        # Many, since a source or the bump of an initial value may be small.
        points = sample(term.region, MANY_POINTS, "sobol", rng)
        with jax.enable_x64(True):
            values = np.asarray(constrained(jnp.asarray(points, jnp.float64)))
        if values.any() or residuals_of(problem, name, nothing, points).any():
            return False
    return True


def without_condition(problem: Problem) -> str | None:
    """A part of the boundary of a shape on which no condition holds, by its name.

    Only where the equations ask for two derivatives along every axis of space, and so for a
    condition all around, and no ansatz may have met one. What a network's smooth features can do
    from an open hole on hardly shows in their residuals, so that `left_open` cannot tell.

    Example:
        >>> without_condition(make_problem("poisson_2d_c", {})) is None
        True
    """
    domain, highest = problem.domain, orders(problem)
    shapes = [f for f in factors(domain) if isinstance(f, Shape) and not isinstance(f, Box)]
    if problem.ansatz is not None or not shapes or not problem.conditions:
        return None
    for shape in shapes:
        if min(highest[domain.axis(coord)] for coord in shape.coords) < 2:
            continue
        for patch in shape.patches:
            # However small a piece is, some points lie on it.
            points = shape.points_on([patch])
            if len(points) and not any(
                held_on(problem, c, shape, points) for c in problem.conditions
            ):
                return patch.names[-1]
    return None


def partly_open(problem: Problem) -> tuple[str, float, tuple[float, ...]] | None:
    """A face of a box that conditions cover in part: its axis, where it is, and a point left open.

    Only along axes of two derivatives and more, where the equations ask for a condition all along.
    A face without any may be the end of time, or what the equations need no condition on.

    Example:
        >>> partly_open(make_problem("poisson_2d", {})) is None
        True
    """
    domain, highest = problem.domain, orders(problem)
    if problem.ansatz is not None or not isinstance(domain, Box) or domain.d < 2:
        return None
    boxes = [f for c in problem.conditions for f in faces(c.region) if isinstance(f, Box)]
    # One on an edge or at a point, as where a constant is fixed, covers nothing.
    covering = [box for box in boxes if box.degrees == domain.d - 1]
    for axis, coord in enumerate(domain.coords):
        if highest[axis] < 2 or coord in domain.parameters:
            continue
        for bound in domain.bounds(coord):
            points = sample(
                domain.face(coord, bound), ALL_AROUND, "sobol", np.random.default_rng(0)
            )
            held = np.zeros(len(points), bool)
            for box in covering:
                held |= box.contains(points, NEAR)
            if OPEN_FROM < held.mean() < 1 - OPEN_FROM:
                return coord, bound, tuple(points[~held][0])
    return None


def held_on(
    problem: Problem, condition: Condition, shape: Shape, points: Float[np.ndarray, "n k"]
) -> bool:
    """Whether a condition holds at some of the points of a shape's boundary.

    One of a period is stated on one side, and reads the other.
    """
    for axis, (low, high) in enumerate(zip(shape.lower, shape.upper, strict=True)):
        across = points[points[:, axis] == high]
        if len(across) and _reads_across(problem, condition, shape.coords[axis]):
            across[:, axis] = low
            points = np.concatenate([points, across])
    close = NEAR * shape.extent
    for region in (f for part in factors(condition.region) for f in faces(part)):
        if isinstance(region, Part) and region.coords == shape.coords:
            if any((patch.gap(points) <= close).any() for patch in region.patches):
                return True
        elif isinstance(region, Box) and region.coords == shape.coords:
            flat = any(low == high for low, high in zip(region.lower, region.upper, strict=True))
            if flat and region.contains(points, NEAR).any():
                return True
    return False


def _reads_across(problem: Problem, condition: Condition, coord: str) -> bool:
    """Whether a condition at the lower bound of a coordinate reads the upper one too."""
    axis = problem.domain.axis(coord)
    low, high = problem.domain.bounds(coord)
    points = sample(condition.region, ALL_AROUND, "sobol", np.random.default_rng(0))
    some = points[points[:, axis] == low][:PROBES]

    def far(z: Point) -> Values:
        # Zero on this side, with all derivatives.
        return jnp.full(problem.m, jnp.maximum(z[axis] - (low + high) / 2, 0.0) ** 4)

    if not len(some):
        return False
    read = residuals_of(problem, condition.name, far, some)
    return bool((read != residuals_of(problem, condition.name, zero(problem.m), some)).any())


def jumping_factor(problem: Problem) -> tuple[str, float, int] | None:
    """An axis along which the factor of a derivative jumps, where, and the derivative's order.

    A smooth network has a continuous slope there, and the derivative of the factor itself, as in
    `(k u_x)_x`, is lost: it is zero on either side. Of the second derivatives, and of the fourth
    ones of an equation that has them, along many lines through the domain, near u = 0. Only
    equations that choose among values, as `jnp.where` does, are looked at. One that says nothing of
    a component on one side, where another component takes its place, has no such factor there.

    Example:
        >>> jumping_factor(make_problem("heat", {})) is None
        True
    """
    domain = problem.domain
    lines = _lines(problem)
    for term in problem.equations:
        if not _chooses(problem, term.residual):
            continue
        for axis, coord in enumerate(domain.coords):
            if coord == "t" or coord in domain.parameters:
                continue
            highest = orders(problem)[axis]
            for component in range(problem.m):
                for order in (2, 4)[: 1 + (highest > 2)]:
                    factor = functools.partial(_factor, problem, term.name, axis, component, order)
                    at = _jump(factor, lines, axis, domain)
                    if at is not None:
                        return coord, at, order
    return None


def _lines(problem: Problem) -> Float[np.ndarray, "l d"]:
    """A point on each of the lines along which jumps are looked for."""
    lower, upper = map(np.asarray, (problem.domain.lower, problem.domain.upper))
    if problem.d == 1:
        return (lower + ASIDE * (upper - lower))[None]
    rng = np.random.default_rng(0)
    return sample(Box(problem.coords, tuple(lower), tuple(upper)), MANY_LINES, "sobol", rng)


def _chooses(problem: Problem, residual: Any) -> bool:
    """Whether a residual has primitives that jump, apart from those of the function in it."""
    field = problem.field(zero(problem.m), problem.guesses)
    at = jax.ShapeDtypeStruct((problem.d,), jnp.float64)
    with jax.enable_x64(True):
        program = jax.make_jaxpr(lambda z: residual(field, z))(at)
    return any(step.primitive.name in JUMPING for step in steps_of(program))


def _factor(
    problem: Problem,
    name: str,
    axis: int,
    component: int,
    order: int,
    points: Float[np.ndarray, "n d"],
) -> np.ndarray:
    """The factor of a component's derivative along an axis, for small values; NaN where it is zero.

    What an equation makes of the powers of a coordinate, each with its factorial, is combined such
    that the factors of all lower derivatives cancel.
    """
    low, high = problem.domain.lower[axis], problem.domain.upper[axis]
    share = (points[:, axis] - low) / (high - low)

    def along(power: int) -> np.ndarray:
        unit = SMALL * np.eye(problem.m)[component] / math.factorial(power)

        def function(z: Point) -> Values:
            return jnp.asarray(unit, z.dtype) * ((z[axis] - low) / (high - low)) ** power

        return residuals_of(problem, name, function, points)

    base = residuals_of(problem, name, zero(problem.m), points)
    parts = np.array(
        [
            (-share) ** (order - power) / math.factorial(order - power) * (along(power) - base)
            for power in range(order + 1)
        ]
    )
    with np.errstate(invalid="ignore"):
        total = parts.sum(axis=0)
    return np.where(np.abs(total) > CANCELLED * np.abs(parts).max(axis=0), total, np.nan)


def _jump(factor: Any, lines: Float[np.ndarray, "l d"], axis: int, domain: Domain) -> float | None:
    """Where a factor jumps along lines; a slope of any steepness fades as it is looked at."""
    low, high = domain.bounds(domain.coords[axis])
    each = MANY_POINTS // len(lines)
    # No two lines have their points at the same places, so that together they miss no thin layer.
    shifts = np.arange(len(lines))[:, None] / len(lines)
    points = np.repeat(lines[:, None], each, axis=1)
    points[:, :, axis] = low + (high - low) * (np.arange(each) + shifts) / each
    flat = points.reshape(-1, domain.d)
    inside = domain.contains(flat)
    values = np.where(inside, factor(flat), np.nan).reshape(len(lines), each)
    steps = np.nan_to_num(np.abs(np.diff(values, axis=1)))
    row, k = np.unravel_index(np.argmax(steps), steps.shape)
    first = steps[row, k]
    if not first > 0:
        return None
    size = np.nanmax(np.abs(values[row]))
    if first < STEP * size:
        return None
    low, high = points[row, k, axis], points[row, k + 1, axis]
    for _ in range(ZOOMS):
        line = np.tile(lines[row], (LINE, 1))
        line[:, axis] = np.linspace(low, high, LINE)
        steps = np.nan_to_num(np.abs(np.diff(factor(line))))
        k = int(np.argmax(steps))
        if not steps[k] > max(first / 2, STEP * size):
            return None
        low, high = line[k, axis], line[k + 1, axis]
    return float((low + high) / 2)


def _times_of(condition: Condition, domain: Domain) -> str | None:
    """Whether a condition holds at the first time alone, at the last one, or neither."""
    axis = domain.axis("t")
    for name, time in zip(("first", "last"), domain.bounds("t"), strict=True):
        if all(face.lower[axis] == face.upper[axis] == time for face in faces(condition.region)):
            return name
    return None


def marches(problem: Problem) -> bool:
    """Whether windows of time can be solved one after the other, each from what was before it.

    They cannot where a condition holds at a later time, where a residual reads other times than its
    own, or where nothing is known at the first time: many functions fit the first window then, and
    the windows after it begin with the wrong one.

    Example:
        >>> marches(make_problem("heat", {})), marches(make_problem("poisson", {}))
        (True, False)
    """
    if problem.coords[0] != "t":
        return False
    begin, end = problem.domain.bounds("t")
    points = sample(problem.domain, PROBES, "uniform", np.random.default_rng(0))

    plain = uneven(problem.m)

    def freedom(time: float) -> Any:
        """How far the values of components at a time follow those of the network."""
        points[:, 0] = time
        with jax.enable_x64(True):
            at = jnp.asarray(points)
            some, others = (
                np.asarray(jax.vmap(problem.constrain(f))(at))
                for f in (plain, lambda z: 2 * plain(z))
            )
        return np.abs(others - some).max(axis=0)

    inside = freedom(begin + ASIDE * (end - begin))

    def built_in(time: float) -> bool:
        """Whether the ansatz decides something at a time."""
        return bool((freedom(time) <= VANISHES * inside).any())

    known = built_in(begin)
    if built_in(end) or across_time(problem):
        return False
    for face in (f for c in problem.conditions for f in faces(c.region)):
        first, last = face.lower[0], face.upper[0]
        if (first, last) == (begin, end):
            continue
        if last != begin:
            return False
        known = True
    return known


def _data_along(
    problem: Problem, term: Any, starts: np.ndarray, axis: int, at: np.ndarray
) -> np.ndarray:
    """What a term leaves over for u = 0, along a line through each start; one row for each."""
    points = np.repeat(starts, len(at), axis=0)
    points[:, axis] = np.tile(at, len(starts))
    values = residuals_of(problem, term.name, zero(problem.m), points)
    return values.reshape(len(starts), len(at))


def waves(problem: Problem) -> tuple[float, ...]:
    """How many waves the data of a problem have along each axis: its sources and prescribed values.

    What the equations and conditions leave over for the zero function are the data. Half of the
    sign changes about their mean along a line counts the waves, of the fastest scale where several
    are of like size.

    Example:
        >>> waves(make_problem("poisson", {}))
        (24.5,)
    """
    domain = problem.domain
    rng = np.random.default_rng(0)

    most = [0.0] * domain.d
    for term in problem.terms.values():
        for face in faces_of(term.region):
            starts = sample(face, LINES, "uniform", rng)
            for axis in range(domain.d):
                if face.lower[axis] == face.upper[axis]:
                    continue
                inside = np.linspace(face.lower[axis], face.upper[axis], LINE + 2)[1:-1]
                lines = _data_along(problem, term, starts, axis, inside)
                most[axis] = max(most[axis], float(np.median([_waves(line) for line in lines])))
    return tuple(most)


def _waves(line: np.ndarray) -> float:
    """Half of the sign changes of a function about its mean."""
    if not np.isfinite(line).all():
        return 0.0
    about = line - line.mean()
    large = about[np.abs(about) > 1e-6 * max(np.abs(line).max(), 1e-300)]
    return float(np.count_nonzero(np.diff(np.sign(large)))) / 2


@functools.partial(jax.jit, compiler_options=QUICKEST_COMPILE)
def _row_norms(objective: Objective, theta: Any) -> dict[str, Any]:
    return {
        term.name: jnp.mean(
            jnp.sum(jax.vmap(jax.grad(term.residual), (None, 0))(theta, term.points) ** 2, axis=1)
        )
        for term in objective.terms
    }


def known_values(
    problem: Problem, observations: Observations | None = None
) -> list[Float[np.ndarray, " _"]]:
    """Values of each component that conditions prescribe or that were measured.

    A condition prescribes values of a component if it rises by one with it, and with no other.

    Args:
        problem: What is solved.
        observations: What was measured, checked, or None.

    Example:
        >>> [each.size for each in known_values(make_problem("heat", {}))]
        [48]
    """
    found: list[list[np.ndarray]] = [[] for _ in problem.components]
    rng = np.random.default_rng(0)
    for condition in problem.conditions:
        # Where it says what it asks for, nothing else has to be tried.
        asked = [c for c in problem.components if condition.asks in ("", c)]
        if not asked:
            continue
        points = places(condition.region, rng)
        own = functools.partial(residuals_of, problem, condition.name, points=points, bare=True)
        data = own(function=zero(problem.m))
        least = VANISHES * (1 + np.abs(data).max())
        rises = {
            c: own(function=_one(problem.m, c)) - data for c in map(problem.components.index, asked)
        }
        reads = [k for k, rise in rises.items() if not np.abs(rise).max() <= least]
        if len(reads) == 1 and np.abs(rises[reads[0]] - 1).max() <= least:
            found[reads[0]].append(-data)
    if observations is not None:
        for name, column in zip(observations.components or (), observations.values.T, strict=True):
            found[problem.components.index(name)].append(column[~np.isnan(column)])
    return [np.concatenate(each) if each else np.zeros(0) for each in found]


@functools.cache
def _one(m: int, component: int) -> PointFunction:
    """A function of which one component is one everywhere and the others are zero."""
    return lambda z: jnp.zeros(m, z.dtype).at[component].set(1.0)


def offset_and_scale(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Where a component begins, and how large it is: zero and one unless its values are far off.

    A network whose values are of order one loses its nonlinearity on the way to 300. What is known
    to be small is begun with as if it were not: it may grow, as a population does.

    Args:
        values: What is known of it.

    Example:
        >>> offset_and_scale(np.array([300.0, 301.0])), offset_and_scale(np.array([-1.0, 1.0]))
        ((300.5, 1.0), (0.0, 1.0))
    """
    if not values.size:
        return 0.0, 1.0
    mean, spread = float(np.mean(values)), float(np.std(values))
    if abs(mean) > LARGE * max(spread, 1.0):
        return mean, spread if spread > LARGE else 1.0
    size = float(np.sqrt(np.mean(values**2)))
    return 0.0, size if size > LARGE else 1.0


def changes(problem: Problem, values: Sequence[Float[np.ndarray, " _"]]) -> list[float] | None:
    """By how much each component would change if it went on as it begins, for as long as asked for.

    Of ordinary equations of first order whose initial values alone are known: ten infected of ten
    thousand say little of how many there will be. Never more than the largest known value, since
    what is stiff does not go on so.

    Args:
        problem: What is solved.
        values: What is known of each component.

    Returns:
        None where the equations do not say so.
    """
    if problem.d > 1 or not marches(problem) or orders(problem) != (1,):
        return None
    if len(problem.equations) != problem.m or any(np.ptp(v) > 0 for v in values if v.size):
        return None
    (begin,), (end,) = problem.domain.lower, problem.domain.upper
    first = np.array([v[0] if v.size else 0.0 for v in values])
    at = jnp.array([begin])

    def residuals(rates: Any) -> Any:
        field = problem.field(lambda z: first + rates * (z[0] - begin), problem.guesses)
        return jnp.stack([term.residual(field, at) for term in problem.equations])

    with jax.enable_x64(True):
        still = jnp.zeros(problem.m)
        left, factors = (np.asarray(x) for x in (residuals(still), jax.jacfwd(residuals)(still)))
    if factors.shape != (problem.m, problem.m) or not np.isfinite([*left, *factors.ravel()]).all():
        return None
    if np.linalg.matrix_rank(factors) < problem.m:
        return None
    gone = np.abs(np.linalg.solve(factors, left)) * (end - begin)
    return [float(x) for x in np.minimum(gone, np.abs(first).max())]


FAINT = 3.0
"""Power of ten of the smallest trace of a term up to which its weight is one. In units in which an
equation is of order 1e-12, all terms would else weigh so little that any loss counts as exact."""


def balanced_weights(problem: Problem, objective: Objective, theta: Any) -> dict[str, float]:
    """Loss weights with which every term moves the network alike at the beginning.

    The weight of a term is in inverse proportion to the trace of its block of the neural tangent
    kernel (Wang, Yu and Perdikaris 2022, J. Comput. Phys. 449:110768, section 7), divided by its
    points; rounded to powers of ten, so that recipes read well. The largest is one, or more where
    the loss would be so small otherwise that it ends at rounding.

    Args:
        problem: Whose terms they are.
        objective: The terms, on points of any number.
        theta: Parameters, `(p,)`.

    Returns:
        A weight per term. A term that no parameter moves has weight one.

    Example:
        >>> balanced_weights(problem, objective, theta)
        {'equation': 0.01, 'initial': 1.0}
    """
    squares = {name: float(value) for name, value in _row_norms(objective, theta).items()}
    # A product overflows to infinity, where a power of a Python number is an error.
    tiny = {t.name: VANISHES * _size(problem, t.name, t.points) for t in objective.terms}
    least = {name: size * size for name, size in tiny.items()}
    moving = {k: -math.log10(v) for k, v in squares.items() if math.isfinite(v) and v > least[k]}
    top = min(max(moving.values(), default=0.0), FAINT)
    return {
        name: float(10.0 ** round(moving[name] - top)) if name in moving else 1.0
        for name in squares
    }


def _size(problem: Problem, name: str, points: Any) -> float:
    """How large a residual is for a function of order one that nothing ties; 0 if that is unknown.

    In a term's own units, which may be those of a flux in metres and seconds.
    """
    if name not in problem.terms:
        return 0.0
    free = uneven(problem.m, problem.domain)
    size = np.abs(residuals_of(problem, name, free, points[:PROBES], bare=True))
    return float(size[np.isfinite(size)].max(initial=0.0))


def parameters_of(model: nnx.Module) -> int:
    """Number of trained parameters."""
    return int(sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))))
