"""Where the data of a problem that diffuses jump or have a kink, and what becomes of them."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pinnzoo.architectures.corners import Corner
from pinnzoo.domains import Box
from pinnzoo.errors import RecipeError
from pinnzoo.pdes import Problem
from pinnzoo.pdes.conditions import Condition
from pinnzoo.pdes.orders import residuals_of
from pinnzoo.solving.analysis import faces_of, orders, zero

SMALL_JUMP, SMALL_BEND = 1e-6, 1e-3
"""Jumps, as a share of the largest value, and changes of the slope, as a share of that of a
function that rises once over the axis, below which data count as smooth."""

CELLS, ZOOMS, LINE = 4096, 3, 65
"""Cells in which breaks of the initial values are looked for, how often one is enlarged, and the
points on it then."""

PERSISTS = 0.5
"""Share of a break that is still there after that: a slope of any steepness fades."""

MOST = 4
"""Breaks at most: more of them are those of measured data, joined by lines."""

ONE_SIDED = 1e-5
"""Step of one-sided differences, as a share of the axis."""

BENT = 1e-3
"""Step of second differences, as a share of the axis."""

COUPLED = 1e-9
"""Share of a factor that is rounding."""

ALIKE, STEEPENS = 0.5, 5.0
"""By which share the diffusion may differ on both sides of a jump, and by how many widths of its
layer their speeds may carry it apart: beyond that it is a front and no such layer."""

GROWS, DECAYS, STEEPEST = 20.0, 1e3, 300.0
"""Exponents up to which a layer grows or decays with its surroundings, and up to which it rises as
what flows from a wall does."""


class Local(NamedTuple):
    """An equation `u_t = D u_xx - V u_x + c u + …` of each component, near one place.

    Attributes:
        diffusion: D, `(m,)`; NaN where components diffuse into one another.
        velocity: V, `(m,)`.
        rate: c, `(m,)`.
    """

    diffusion: Float[np.ndarray, " m"]
    velocity: Float[np.ndarray, " m"]
    rate: Float[np.ndarray, " m"]


class Break(NamedTuple):
    """A place at which a function jumps or has a kink.

    Attributes:
        place: Where.
        jump: By how much it jumps.
        bend: By how much its slope does.
    """

    place: float
    jump: float
    bend: float


def corners_of(problem: Problem, *, periodic: bool = False) -> tuple[Corner, ...]:
    """Layers that begin where the data of a problem jump or have a kink.

    In time and one coordinate of space, for equations of first order in time and second order in
    space. Data break where an initial value meets a boundary condition that it does not satisfy,
    inside of the initial values, and where periods meet.

    Args:
        problem: What is solved.
        periodic: Whether it is periodic in space.

    Returns:
        None where all data are smooth, or where what becomes of them cannot be read off.

    Example:
        >>> corners_of(make_problem("heat", {}))
        ()
        >>> [each.kind for each in corners_of(make_problem("allen_cahn", {}), periodic=True)]
        ['kink']
    """
    domain = problem.domain
    plain = problem.ansatz is None and problem.symmetry is None and not problem.unknowns
    if not plain or not isinstance(domain, Box) or problem.d != 2 or problem.coords[0] != "t":
        return ()
    if problem.coords[1] in domain.parameters or orders(problem) != (1, 2):
        return ()
    profiles = _profiles(problem)
    if profiles is None:
        return ()
    found: list[Corner] = []
    for place, inwards in zip(domain.bounds(problem.coords[1]), (1, -1), strict=True):
        if not periodic:
            found += _at_wall(problem, profiles, place, inwards)
    for k, profile in enumerate(profiles):
        breaks = breaks_of(profile, *domain.bounds(problem.coords[1]))
        if periodic:
            breaks += _seam(profile, *domain.bounds(problem.coords[1]))
        for each in breaks:
            found += _inside(problem, profiles, k, each, periodic=periodic)
    return tuple(found)


Profile = Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]
"""An initial value along the axis."""


def _profiles(problem: Problem) -> list[Profile] | None:
    """The initial value of every component; None where one is not given all along the axis."""
    found: dict[int, Profile] = {}
    middle = sum(problem.domain.bounds(problem.coords[1])) / 2
    for condition in problem.conditions:
        for face in faces_of(condition.region):
            if face.upper[0] != problem.domain.lower[0]:
                continue
            if (face.lower[1], face.upper[1]) != problem.domain.bounds(problem.coords[1]):
                continue
            read = _reads(problem, condition, middle, np.zeros((2, problem.m)))
            if read is None or read.factors[1]:
                continue
            found[read.component] = functools.partial(
                _prescribed, problem, condition.name, read.factors[0]
            )
    return [found[k] for k in range(problem.m)] if len(found) == problem.m else None


def _prescribed(problem: Problem, name: str, factor: float, at: Any) -> np.ndarray:
    points = np.stack([np.full(len(at), problem.domain.lower[0]), np.asarray(at, float)], axis=1)
    return -residuals_of(problem, name, zero(problem.m), points, bare=True) / factor


def _polynomial(problem: Problem, place: float) -> Any:
    """A field from value, slope, slope in time, second derivative, and what is far from a place."""
    begin = problem.domain.lower[0]

    def function(parts: Any) -> Any:
        def at(z: Any) -> Any:
            x = z[1] - place
            powers = jnp.stack([jnp.ones_like(x), x, z[0] - begin, x**2 / 2, x**6])
            return powers @ parts

        return problem.field(at, problem.guesses)

    return function


class _Read(NamedTuple):
    """What a condition reads at a place: the component, and factors of its value and slope.

    The residual is that for the values and slopes that were given.
    """

    component: int
    factors: tuple[float, float]
    residual: float


def _reads(
    problem: Problem, condition: Condition, place: float, values: Float[np.ndarray, "2 m"]
) -> _Read | None:
    """What a condition reads at the first time; None unless value and slope of one component."""
    field = _polynomial(problem, place)
    at = jnp.array([problem.domain.lower[0], place])

    def residual(parts: Any) -> Any:
        return condition.residual(field(parts), at)

    with jax.enable_x64(True):
        parts = jnp.asarray(np.vstack([values, np.zeros((3, problem.m))]))
        left, slopes = (np.asarray(x) for x in (residual(parts), jax.jacfwd(residual)(parts)))
    if left.ndim or not np.isfinite(slopes).all() or not np.isfinite(left) or slopes[2:].any():
        return None
    (read,) = np.nonzero(np.abs(slopes).any(axis=0))[0][None]
    if len(read) != 1:
        return None
    k = int(read[0])
    return _Read(k, (float(slopes[0, k]), float(slopes[1, k])), float(left))


def _local(problem: Problem, place: float, values: Float[np.ndarray, "2 m"]) -> Local | None:
    """The equations near a place, for values and slopes of the components there."""
    field = _polynomial(problem, place)
    at = jnp.array([problem.domain.lower[0], place])

    def residuals(parts: Any) -> Any:
        return jnp.stack([term.residual(field(parts), at) for term in problem.equations])

    with jax.enable_x64(True):
        parts = jnp.asarray(np.vstack([values, np.zeros((3, problem.m))]))
        slopes = np.asarray(jax.jacfwd(residuals)(parts))
    if slopes.shape[0] != problem.m or not np.isfinite(slopes).all():
        return None
    if np.linalg.matrix_rank(slopes[:, 2]) < problem.m:
        return None
    rate, speed, _, diffusion, _ = np.moveaxis(
        -np.linalg.solve(slopes[:, 2], slopes.reshape(problem.m, -1)).reshape(slopes.shape), 1, 0
    )
    own = np.diag(diffusion).copy()
    others = np.abs(diffusion - np.diag(own))
    own[np.maximum(others.max(axis=0), others.max(axis=1)) > COUPLED * np.abs(own)] = np.nan
    return Local(own, -np.diag(speed), np.diag(rate).copy())


def _sides(profile: Profile, place: float, inwards: int, extent: float) -> tuple[float, float]:
    """Value and slope of a profile on one side of a place, by differences of second order."""
    step = ONE_SIDED * extent * inwards
    a, b, c = profile(place + step * np.arange(1, 4))
    slope = (-5 * a + 8 * b - 3 * c) / (2 * step)
    return float(3 * a - 3 * b + c), float(slope)


def _around(problem: Problem, profiles: list[Profile], place: float, side: int) -> np.ndarray:
    """Values and slopes of all components beside a place, `(2, m)`."""
    low, high = problem.domain.bounds(problem.coords[1])
    return np.array([_sides(each, place, side, high - low) for each in profiles]).T


def _at_wall(problem: Problem, profiles: list[Profile], place: float, inwards: int) -> list[Corner]:
    """Layers that begin at a wall whose condition the initial values do not meet."""
    begin, end = problem.domain.bounds("t")
    low, high = problem.domain.bounds(problem.coords[1])
    values = _around(problem, profiles, place, inwards)
    values[0] = [float(each(np.array([place]))[0]) for each in profiles]
    found = []
    for condition in problem.conditions:
        walls = [f for f in faces_of(condition.region) if f.lower[1] == f.upper[1] == place]
        if not any((f.lower[0], f.upper[0]) == (begin, end) for f in walls):
            continue
        read = _reads(problem, condition, place, values)
        if read is None:
            continue
        k, (value, slope) = read.component, read.factors
        size = max(_size(profiles[k], low, high), abs(read.residual / value) if value else 0.0)
        if not slope:
            jump, bend = -read.residual / value, 0.0
            if abs(jump) <= SMALL_JUMP * size:
                found += _rate(problem, profiles, condition, read, (place, inwards), size)
                continue
        else:
            jump, bend = 0.0, -read.residual / slope
            if abs(bend) * (high - low) <= SMALL_BEND * max(size, abs(bend) * (high - low)):
                continue
        other = values.copy()
        other[0, k] += jump
        kind = "wall_flux" if slope else "wall_value"
        amount = -bend * inwards if slope else jump
        found += _corner(
            problem, (values, other), k, place, kind=kind, size=amount, inwards=inwards
        )
    return found


def _rate(
    problem: Problem,
    profiles: list[Profile],
    condition: Condition,
    read: _Read,
    wall: tuple[float, int],
    size: float,
) -> list[Corner]:
    """A layer where the equation begins with another rate than that of a wall's value."""
    place, inwards = wall
    begin, end = problem.domain.bounds("t")
    low, high = problem.domain.bounds(problem.coords[1])
    values = _around(problem, profiles, place, inwards)
    step = BENT * (high - low) * inwards
    bends = []
    for profile in profiles:
        a, b, c, d = profile(place + step * np.arange(4))
        bends.append((2 * a - 5 * b + 4 * c - d) / step**2)
    field, k = _polynomial(problem, place), read.component

    def residuals(rates: Any) -> Any:
        parts = jnp.stack([*jnp.asarray(values), rates, jnp.asarray(bends), jnp.zeros(problem.m)])
        at = jnp.array([begin, place])
        return jnp.stack([term.residual(field(parts), at) for term in problem.equations])

    def prescribed(time: Any) -> Any:
        function = problem.field(zero(problem.m), problem.guesses)
        return -condition.residual(function, jnp.stack([time, place])) / read.factors[0]

    with jax.enable_x64(True):
        still = jnp.zeros(problem.m)
        left, factors = (np.asarray(x) for x in (residuals(still), jax.jacfwd(residuals)(still)))
        wanted = float(jax.grad(prescribed)(jnp.asarray(float(begin))))
    if factors.shape != (problem.m, problem.m) or not np.isfinite([*left, *factors.ravel()]).all():
        return []
    if np.linalg.matrix_rank(factors) < problem.m or not math.isfinite(wanted):
        return []
    missed = wanted - float(-np.linalg.solve(factors, left)[k])
    corners = _corner(
        problem, (values, values), k, place, kind="wall_rate", size=missed, inwards=inwards
    )
    # By what it comes to in the time that the layer takes to fill the domain.
    lasting = [min(end - begin, (high - low) ** 2 / each.diffusion) for each in corners]
    return [
        c
        for c, time in zip(corners, lasting, strict=True)
        if abs(missed) * time > SMALL_BEND * size
    ]


def _inside(
    problem: Problem, profiles: list[Profile], k: int, each: Break, *, periodic: bool
) -> list[Corner]:
    """What a break of an initial value becomes."""
    low, high = problem.domain.bounds(problem.coords[1])
    # Where periods meet, what is left of the place is at the other end.
    left = _around(problem, profiles, high if each.place == low else each.place, -1)
    right = _around(problem, profiles, each.place, 1)
    period = high - low if periodic else 0.0
    sizes = {"jump": each.jump, "kink": each.bend}
    return [
        corner
        for kind, size in sizes.items()
        if size
        for corner in _corner(
            problem, (left, right), k, each.place, kind=kind, size=size, period=period
        )
    ]


def _corner(
    problem: Problem, sides: tuple[np.ndarray, np.ndarray], k: int, place: float, **given: Any
) -> list[Corner]:
    """A corner with the equation on both of its sides; none where it is no such layer."""
    begin, end = problem.domain.bounds("t")
    both = [_local(problem, place, values) for values in sides]
    if both[0] is None or both[1] is None:
        return []
    diffusion, velocity, rate = (
        np.array([getattr(each, name)[k] for each in both])
        for name in ("diffusion", "velocity", "rate")
    )
    if not (diffusion > 0).all() or np.ptp(diffusion) > ALIKE * diffusion.max():
        return []
    spread = math.sqrt(4 * diffusion.mean() * (end - begin))
    if np.ptp(velocity) * (end - begin) > STEEPENS * spread:
        return []
    grows = float(rate.mean()) * (end - begin)
    speed = float(velocity.mean())
    if given["kind"].startswith("wall"):
        extent = problem.domain.upper[1] - problem.domain.lower[1]
        steep = abs(speed) * extent > STEEPEST * diffusion.mean()
        speed = 0.0 if steep or given["kind"] != "wall_value" else speed
    try:
        return [
            Corner(
                place=float(place),
                diffusion=float(diffusion.mean()),
                component=k,
                begin=begin,
                last=end,
                velocity=speed,
                rate=float(rate.mean()) if -DECAYS < grows < GROWS else 0.0,
                **given,
            )
        ]
    except RecipeError:
        # A layer that fills the period at once.
        return []


def _size(profile: Profile, low: float, high: float) -> float:
    """The largest value of a profile."""
    return float(np.abs(profile(np.linspace(low, high, CELLS + 1))).max())


def _seam(profile: Profile, low: float, high: float) -> list[Break]:
    """The jump or kink where the periods of an axis meet."""
    (first, rises), (last, rose) = (
        _sides(profile, place, side, high - low) for place, side in ((low, 1), (high, -1))
    )
    height = np.ptp(profile(np.linspace(low, high, CELLS + 1)))
    jumps = abs(first - last) > SMALL_BEND * height
    bends = abs(rises - rose) * (high - low) > SMALL_BEND * height
    jump, bend = (first - last if jumps else 0.0), (rises - rose if bends else 0.0)
    return [Break(low, jump, bend)] if jump or bend else []


def breaks_of(profile: Profile, low: float, high: float) -> list[Break]:
    """Where a function of one variable jumps or has a kink, between two bounds.

    Args:
        profile: Takes many places at once.
        low: The lower bound.
        high: The upper bound.

    Returns:
        In order; none where there are more than a few, as in measured data joined by lines.

    Example:
        >>> [round(each.place, 6) for each in breaks_of(lambda x: abs(x - 0.3), 0.0, 1.0)]
        [0.3]
    """
    x = np.linspace(low, high, CELLS + 1)
    values = profile(x)
    height = np.ptp(values)
    if not np.isfinite(values).all() or height == 0:
        return []
    cell = (high - low) / CELLS
    least = SMALL_BEND * height / (high - low)
    bends = np.abs(np.diff(values, 2)) / cell
    # A jump bends too, by all of its height within a cell.
    peaks = [
        k for k in np.nonzero(bends > least)[0] if bends[k] == bends[max(k - 2, 0) : k + 3].max()
    ]
    found: list[Break] = []
    for k in sorted(peaks, key=lambda k: -bends[k])[: 8 * MOST]:
        each = _zoomed(profile, x[k], x[k + 2], height, high - low)
        if each is None or any(abs(each.place - other.place) < 4 * cell for other in found):
            continue
        if not low + 4 * cell < each.place < high - 4 * cell:
            continue
        found.append(each)
    return sorted(found) if len(found) <= MOST else []


def _zoomed(
    profile: Profile, left: float, right: float, height: float, extent: float
) -> Break | None:
    """The break between two places, of which those nearby are smooth; None where it fades."""
    first = None
    for _ in range(ZOOMS + 1):
        x = np.linspace(left, right, LINE)
        values = profile(x)
        step = x[1] - x[0]
        rises = np.diff(values)
        k = int(np.argmax(np.abs(rises)))
        jump, bend = abs(rises[k]), abs(rises[-1] - rises[0]) / step
        if first is None:
            first = jump, bend
        if jump > max(PERSISTS * first[0], SMALL_BEND * height):
            left, right = x[k], x[k + 1]
        elif bend > max(PERSISTS * first[1], SMALL_BEND * height / extent):
            k = min(max(int(np.argmax(np.abs(np.diff(rises)))), 0), LINE - 3)
            left, right = x[k], x[k + 2]
        else:
            return None
    place = (left + right) / 2
    (a, falls), (b, climbs) = (_sides(profile, place, side, extent) for side in (-1, 1))
    if abs(b - a) > SMALL_BEND * height:
        return Break(place, b - a, climbs - falls)
    # The lines on both sides meet at the kink.
    return Break(place - (b - a) / (climbs - falls), 0.0, climbs - falls)
