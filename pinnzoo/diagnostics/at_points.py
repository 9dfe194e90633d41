"""Kernels at points that a user chooses, from stored parameters."""

from collections.abc import Mapping

import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from pinnzoo.casting import in_float64
from pinnzoo.collocation import draw_points
from pinnzoo.diagnostics.ntk import NTKSnapshots, ntk_snapshots
from pinnzoo.domains import Box, Surface
from pinnzoo.errors import PointsError, UnknownNameError
from pinnzoo.objective import EQUATION, Objective, assemble
from pinnzoo.pdes import Problem
from pinnzoo.pdes.conditions import Condition

SLACK = 1e-9
"""How far off a face a point may lie, in relation to the coordinates there."""


def kernels_at(
    problem: Problem,
    model: nnx.Module,
    steps: Int[np.ndarray, " s"],
    thetas: Float[np.ndarray, "s p"],
    points: object,
) -> NTKSnapshots:
    """The kernels of some terms at given points; see `Entry.ntk_at`.

    Args:
        problem: What the network solves.
        model: The network, with any parameters.
        steps: Steps at which the parameters were taken, rising.
        thetas: The parameters there.
        points: `(n, d)` for the equations, or a dict of such arrays by the names of terms.

    Raises:
        PointsError: The points have another shape, are not finite, or lie outside of the domain or
            off the face where their condition holds.
        UnknownNameError: There is no such term.
        PrecisionError: JAX has float64 switched off.
    """
    if isinstance(points, Mapping) and not points:
        raise PointsError(
            f"no points were given: give an array (n, {problem.d}), or a dict of such arrays for "
            f"some of {', '.join(problem.terms)}."
        )
    if isinstance(points, Mapping) and set(map(str, points)) <= set(problem.terms):
        wanted = {str(name): problem.check_points(z, inside=True) for name, z in points.items()}
    elif isinstance(points, Mapping) and not set(map(str, points)) <= set(problem.coords):
        unknown = next(name for name in map(str, points) if name not in problem.terms)
        raise UnknownNameError.of("term", unknown, problem.terms)
    else:
        inside = problem.check_points(points, inside=True)
        equations = tuple(term.name for term in problem.equations)
        wanted = dict.fromkeys(equations, inside)
    drawn = draw_points(problem, {EQUATION: 1}, "uniform", 0, 0)
    for name, given in wanted.items():
        _check_region(name, problem.terms[name], given)
    whole = assemble(problem, in_float64(model), drawn).objective
    objective = Objective(tuple(term for term in whole.terms if term.name in wanted))
    return ntk_snapshots(objective, steps, thetas, wanted)


def _check_region(name: str, term: Condition, points: np.ndarray) -> None:
    """Raise unless points lie on the faces of a box where a condition holds.

    Off the lower face a periodic condition compares a point with itself, so that its kernel would
    be zero.

    Raises:
        PointsError: One does not.
    """
    if not isinstance(term.region, Box | Surface):
        return
    off = np.ones(len(points), bool)
    for face in term.region.faces if isinstance(term.region, Surface) else (term.region,):
        lower, upper = np.asarray(face.lower), np.asarray(face.upper)
        slack = SLACK * np.maximum(1.0, np.maximum(np.abs(lower), np.abs(upper)))
        off &= ~np.all((points >= lower - slack) & (points <= upper + slack), axis=1)
    if off.any():
        k = int(np.argmax(off))
        bounds = zip(term.region.coords, term.region.lower, term.region.upper, strict=True)
        where = ", ".join(
            f"{coord} = {low:g}" if low == high else f"{low:g} ≤ {coord} ≤ {high:g}"
            for coord, low, high in bounds
        )
        raise PointsError(
            f"the point {points[k].tolist()} was given for {name!r} ({int(off.sum())} of "
            f"{len(points)} are like it): that condition holds on {where}."
        )
