"""What the solution of an elliptic problem may be like where edges of its domain meet."""

import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pinnzoo.architectures.corners import Wedge
from pinnzoo.domains import Box, Shape
from pinnzoo.domains.patches import Segment
from pinnzoo.domains.regions import factors
from pinnzoo.pdes import Problem
from pinnzoo.pdes.orders import places, residuals_of
from pinnzoo.solving.analysis import faces_of, held_on, orders, zero
from pinnzoo.solving.angles import PARTS, equation_at, polynomial_at
from pinnzoo.solving.corners import SMALL_BEND

ASIDE = 1e-2
"""Distance from a vertex, as a share of the shorter edge, at which conditions and factors are
looked at."""

SMOOTHEST, LOGARITHMS = 4.0, 2
"""Powers of the distance below which a function counts as not smooth, and up to which a whole one
has a logarithm."""

WHOLE = 1e-6
"""How close a power is to a whole number that is one."""

BEHIND, FADES = 400, 2.5
"""Points on the line behind a vertex at which the domain may go on, and the share of its distance
over which the function fades: at that place it is 1e-17."""

MOST = 40
"""Functions at most: a polygon with more vertices is a curve."""


class Vertex(NamedTuple):
    """Where two edges meet, with the domain to the left of the first one.

    Attributes:
        point: Where.
        first: Where the first edge ends, that leads away from it.
        second: Where the one begins that leads to it.
    """

    point: tuple[float, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]


def wedges_of(problem: Problem) -> tuple[Wedge, ...]:
    """Functions that a solution may contain at the vertices of a plane domain.

    For one elliptic equation of second order, where the domain's angle between two straight edges
    with a value or a flux each leaves a power of the distance that is not whole; and at vertices of
    shapes that are no boxes also logarithms, and the angle where values differ.

    Args:
        problem: What is solved.

    Returns:
        None where all is smooth, or where the factors cannot be read off.

    Example:
        >>> [each.power for each in wedges_of(make_problem("poisson_2d", {}))]
        []
    """
    domain = problem.domain
    plain = problem.ansatz is None and problem.symmetry is None and not problem.unknowns
    shapes = [f for f in factors(domain) if isinstance(f, Shape)]
    if not plain or problem.features is not None or len(shapes) != 1 or problem.d != 2:
        return ()
    if problem.m != 1 or "t" in problem.coords or orders(problem) != (2, 2) or domain.parameters:
        return ()
    found: list[Wedge] = []
    for vertex in _vertices(problem, shapes[0]):
        found += _at(problem, shapes[0], vertex)
    return tuple(found) if len(found) <= MOST else ()


def _vertices(problem: Problem, shape: Shape) -> list[Vertex]:
    """The vertices of a shape, and where a condition ends within an edge."""
    edges = [patch for patch in shape.patches if isinstance(patch, Segment)]
    if isinstance(shape, Box):
        edges = _box_edges(shape)
    ends = {
        tuple(float(x) for x in end)
        for condition in problem.conditions
        for face in faces_of(condition.region)
        if face.degrees == 1
        for end in (face.lower, face.upper)
    }
    cut: list[Segment] = []
    for edge in edges:
        close = ASIDE * ASIDE * edge.size
        shares = [
            edge.position(np.asarray(end)) for end in ends if edge.gap(np.asarray(end)) < close
        ]
        inner = sorted(share for share in shares if ASIDE < share < 1 - ASIDE)
        cut += [edge.between(a, b) for a, b in itertools.pairwise([0.0, *inner, 1.0])]
    return [
        Vertex(after.start, after.end, before.start)
        for before in cut
        for after in cut
        if before is not after and math.dist(before.end, after.start) < 1e-12 * shape.extent
    ]


def _box_edges(box: Box) -> list[Segment]:
    """The sides of a rectangle, in order."""
    (a, b), (c, d) = box.lower, box.upper
    ring = [(a, b), (c, b), (c, d), (a, d)]
    return [Segment((), one, other) for one, other in zip(ring, [*ring[1:], ring[0]], strict=True)]


class _Given(NamedTuple):
    """What holds on an edge: whether it is a flux, and the value that is prescribed."""

    flux: int
    value: float


def _at(problem: Problem, shape: Shape, vertex: Vertex) -> list[Wedge]:
    """The functions at one vertex."""
    here, first, second = (np.asarray(place) for place in vertex)
    length = min(np.linalg.norm(first - here), np.linalg.norm(second - here))
    ways = [(end - here) / np.linalg.norm(end - here) for end in (first, second)]
    given = [_given(problem, shape, here + ASIDE * length * way) for way in ways]
    if given[0] is None or given[1] is None:
        return []
    turn = _turn(*ways)
    middle = math.atan2(ways[0][1], ways[0][0]) + turn / 2
    inside = np.array([math.cos(middle), math.sin(middle)])
    equation = equation_at(
        problem, tuple(here + ASIDE * length * inside), np.zeros((PARTS + 1, 1)), 0
    )
    if equation is None:
        return []
    # The functions do not depend on the size of both factors, but on their ratio.
    scales = np.sqrt(np.asarray(equation[1]) / max(equation[1]))
    scaled = [way / scales for way in ways]
    angle, start = _turn(*scaled), math.atan2(scaled[0][1], scaled[0][0])
    powers = _powers(angle, given[0].flux != given[1].flux)
    broken = [(power, 0) for power in powers if abs(power - round(power)) > WHOLE]
    whole = [round(power) for power in powers if abs(power - round(power)) <= WHOLE]
    logarithms = [(float(power), 1) for power in whole if power <= LOGARITHMS]
    if isinstance(shape, Box) and not broken:
        # Of a rectangle's corners, the amplitudes are known.
        return []
    jumps = not given[0].flux and not given[1].flux and _differ(problem, shape, vertex)
    wanted = [*([(0.0, 1)] if jumps else []), *broken, *logarithms]
    radius = _radius(shape, here, -inside) / float(scales.max()) / FADES
    return [
        Wedge(
            power,
            float(here[0]),
            float(here[1]),
            start,
            angle,
            flux=given[0].flux,
            logarithm=logarithm,
            scale=float(scales[0]),
            other_scale=float(scales[1]),
            radius=radius,
        )
        for power, logarithm in wanted
    ]


def _turn(one: Float[np.ndarray, " 2"], other: Float[np.ndarray, " 2"]) -> float:
    """The angle from one direction to the left up to another one."""
    return float((math.atan2(other[1], other[0]) - math.atan2(one[1], one[0])) % (2 * math.pi))


def _powers(angle: float, mixed: bool) -> list[float]:
    """Powers of the distance between two edges of the same kind, or of different ones."""
    shift = 0.5 if mixed else 0.0
    most = math.ceil(SMOOTHEST * angle / math.pi) + 1
    powers = [(k - shift) * math.pi / angle for k in range(1, most + 1)]
    return [power for power in powers if power < SMOOTHEST]


def _given(problem: Problem, shape: Shape, point: Float[np.ndarray, " 2"]) -> _Given | None:
    """What holds at a point of the boundary; None unless one value or flux is given there."""
    holding = [c for c in problem.conditions if held_on(problem, c, shape, point[None])]
    if len(holding) != 1:
        return None
    (condition,) = holding
    field = polynomial_at(problem, tuple(point))

    def residual(parts: Any) -> Any:
        return condition.residual(field(parts), jnp.asarray(point))

    with jax.enable_x64(True):
        nothing = jnp.zeros((PARTS + 1, 1))
        left, slopes = (np.asarray(x) for x in (residual(nothing), jax.jacfwd(residual)(nothing)))
    if slopes.shape != (PARTS + 1, 1) or not np.isfinite([left, *slopes.ravel()]).all():
        return None
    own = slopes[:, 0]
    if own[3:].any() or not own[:3].any():
        return None
    flux = bool(own[1:3].any())
    return _Given(int(flux), 0.0 if flux else float(-left / own[0]))


def _differ(problem: Problem, shape: Shape, vertex: Vertex) -> bool:
    """Whether both edges' values differ in the vertex, by what they are close to it."""
    here, *ends = (np.asarray(place) for place in vertex)
    rng = np.random.default_rng(0)
    values = []
    for end in ends:
        # From where one edge alone is close.
        along = [here + k * ASIDE * (end - here) for k in (1, 2, 3)]
        near = [_given(problem, shape, place) for place in along]
        one, two, three = (math.nan if each is None else each.value for each in near)
        values.append(3 * one - 3 * two + three)
    data = [
        residuals_of(problem, c.name, zero(1), places(c.region, rng), bare=True)
        for c in problem.conditions
    ]
    size = float(np.abs(np.concatenate(data)).max())
    return abs(values[0] - values[1]) > SMALL_BEND * size


def _radius(shape: Shape, here: Float[np.ndarray, " 2"], way: Float[np.ndarray, " 2"]) -> float:
    """The distance behind a vertex at which the domain goes on; zero where it does not."""
    steps = np.arange(1, BEHIND + 1)[:, None] / BEHIND * 2 * shape.extent
    inside = shape.contains(here + steps * way)
    return float(steps[int(np.argmax(inside)), 0]) if inside.any() else 0.0
