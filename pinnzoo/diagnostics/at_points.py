"""Kernels at points that a user chooses, from stored parameters."""

from collections.abc import Mapping

import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from pinnzoo.casting import in_float64
from pinnzoo.collocation import draw_points
from pinnzoo.diagnostics.ntk import NTKSnapshots, ntk_snapshots
from pinnzoo.errors import PointsError, UnknownNameError
from pinnzoo.objective import EQUATION, Objective, assemble
from pinnzoo.pdes import Problem


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
        PointsError: The points have another shape, are not finite, or lie outside of the domain.
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
    whole = assemble(problem, in_float64(model), drawn).objective
    objective = Objective(tuple(term for term in whole.terms if term.name in wanted))
    return ntk_snapshots(objective, steps, thetas, wanted)
