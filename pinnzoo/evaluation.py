"""Error figures of a network against the reference, and its derivatives and residuals."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from pinnzoo._frozen import read_only
from pinnzoo._typing import Point, PointFunction
from pinnzoo.derivatives import Names, names_in, one_point
from pinnzoo.domains import Domain
from pinnzoo.errors import PinnzooError, PointsError, refuse_names
from pinnzoo.pdes import Problem
from pinnzoo.pdes.reference import Reference, at_its_weights, evaluate_function
from pinnzoo.precision import require_x64
from pinnzoo.registry import check_switches

ROUNDED = 1e-13
"""A solution below this share of its largest value is zero but for rounding."""


class Evaluable(Protocol):
    """What `evaluate` needs of an entry."""

    @property
    def problem(self) -> Problem:
        """What the network solves."""
        ...

    @property
    def model(self) -> nnx.Module:
        """The network."""
        ...


def error_figures(
    values: Float[np.ndarray, "n m"],
    reference: Float[np.ndarray, "n m"],
    weights: Float[np.ndarray, " n"] | None = None,
) -> dict[str, float]:
    """Relative L2 error ‖u - û‖₂ / ‖û‖₂ over all points and components, and max |u - û|.

    Args:
        values: The network u.
        reference: The solution û.
        weights: Weight of each point in both norms; equal by default.

    Returns:
        "relative_l2_error" and "max_error"; the second alone where the solution is zero at all
        points, since nothing is relative to it.
    """
    difference = values - reference
    root = np.ones((len(values), 1)) if weights is None else np.sqrt(weights)[:, None]
    norm = np.linalg.norm(root * reference)
    relative = (
        {"relative_l2_error": float(np.linalg.norm(root * difference) / norm)} if norm else {}
    )
    return {**relative, "max_error": float(np.abs(difference).max())}


def require_reference(problem: Problem) -> Reference:
    """The reference of a problem.

    Raises:
        PinnzooError: It has none.
    """
    if problem.reference is None:
        raise PinnzooError(
            f"problem {problem.name!r} has no reference solution to measure errors against: give "
            "its Problem a Reference, or look at the loss and at `entry.residual(points)`, which "
            "need none."
        )
    return problem.reference


@functools.lru_cache(maxsize=16)
def _on_the_grid(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Evaluation points and the reference there, kept because the reference can be expensive."""
    points = problem.evaluation_points()
    return read_only(points), read_only(require_reference(problem)(points))


def broken_reference(
    problem: Problem, points: Float[np.ndarray, "n d"], values: Float[np.ndarray, "n m"]
) -> str | None:
    """Where the reference is no number, in words; None if it is one at all points."""
    broken = ~np.isfinite(values).all(axis=1)
    if not broken.any():
        return None
    first = ", ".join(f"{x:g}" for x in points[int(np.argmax(broken))])
    return (
        f"the reference of {problem.name} is NaN or infinite at {int(broken.sum())} of "
        f"{len(points)} points, the first of which is [{first}]: correct it there, or give a "
        "problem without a reference"
    )


def reference_fault(problem: Problem) -> str | None:
    """Why no error can be measured against the reference on the evaluation grid; None if it can."""
    points, values = _on_the_grid(problem)
    if (told := broken_reference(problem, points, values)) is not None:
        return told
    if not values.any():
        return (
            f"the reference of {problem.name} is zero on the whole evaluation grid, so that no "
            "error is relative to it: correct it, or give a problem without a reference"
        )
    return None


@functools.lru_cache(maxsize=64)
def _certified_on_the_grid(problem: Problem) -> float:
    points, values = _on_the_grid(problem)
    return require_reference(problem).certified_error(points, values)


def evaluate_field(problem: Problem, function: PointFunction) -> dict[str, Any]:
    """The stated error figures of a function of one point, on the problem's evaluation grid.

    The norms are integrals over the domain, by the trapezoidal rule: with equal weights a grid
    counts the boundary, where errors are largest, for more than its part.

    Raises:
        PinnzooError: The problem has no reference.
        PointsError: The reference is zero on the whole grid, or not finite somewhere.
        PrecisionError: JAX would silently compute the reference in float32.

    Where the equation has parameters, the block "parameter_errors" states the error for each of
    their values.
    """
    reference = require_reference(problem)
    require_x64("a reference solution")
    if (fault := reference_fault(problem)) is not None:
        raise PointsError(f"{fault}.")
    points, exact = _on_the_grid(problem)
    certified = _certified_on_the_grid(problem)
    weights = problem.evaluation_weights()
    values = evaluate_function(function, points)
    figures: dict[str, Any] = dict(error_figures(values, exact, weights))
    # Of a Sobol sequence each point has values of its own.
    if problem.domain.parameters and not problem.scattered:
        figures["parameter_errors"] = parameter_errors(problem, points, values, exact, weights)
    return figures | {
        "reference_error": certified,
        "reference_method": reference.method,
        "evaluation_shape": list(problem.evaluation_shape),
    }


def parameter_errors(
    problem: Problem,
    points: Float[np.ndarray, "n d"],
    values: Float[np.ndarray, "n m"],
    reference: Float[np.ndarray, "n m"],
    weights: Float[np.ndarray, " n"],
) -> dict[str, Any]:
    """Relative L2 error for each value of the parameters of the equation, over the other axes.

    Args:
        problem: Says which coordinates are parameters.
        points: A grid.
        values: The network on it.
        reference: The solution on it.
        weights: Weight of each point.

    Returns:
        The block "parameter_errors" of an entry's metrics, without values for which the solution is
        zero but for rounding: nothing is relative to it. Its mean is over the others on the grid,
        evenly spaced as the parameters are drawn.
    """
    letters = problem.domain.parameters
    columns = points[:, [problem.domain.axis(letter) for letter in letters]]
    places, which = np.unique(columns, axis=0, return_inverse=True)
    kept, errors = [], []
    for k in range(len(places)):
        mine = which.ravel() == k
        if np.abs(reference[mine]).max() > ROUNDED * np.abs(reference).max():
            figures = error_figures(values[mine], reference[mine], weights[mine])
            kept.append(places[k].tolist())
            errors.append(figures["relative_l2_error"])
    return {
        "version": 1,
        "parameters": list(letters),
        "values": kept,
        "errors": errors,
        "mean": float(np.mean(errors)),
        "worst": float(np.max(errors)),
    }


def component_errors(problem: Problem, function: PointFunction) -> dict[str, float]:
    """Relative L2 error of each component alone, on the evaluation grid.

    Components whose reference is zero on all of it are left out.

    Raises:
        PinnzooError: The problem has no reference.
        PrecisionError: JAX would silently compute the reference in float32.
    """
    points, exact = _on_the_grid(problem)
    weights = problem.evaluation_weights()
    values = evaluate_function(function, points)
    found = {
        name: error_figures(values[:, k : k + 1], exact[:, k : k + 1], weights)
        for k, name in enumerate(problem.components)
    }
    key = "relative_l2_error"
    return {name: figures[key] for name, figures in found.items() if key in figures}


def field_of(problem: Problem, model: nnx.Module) -> PointFunction:
    """The network with the problem's ansatz around it, as a function of one point.

    It is a pytree whose leaves are the network's arrays: what is compiled for one network of this
    structure serves all others. What is not one point raises a `PointsError`.

    Example:
        >>> u = field_of(problem, model)
        >>> jax.grad(lambda z: u(z)[0])(jnp.array([0.5, 0.1]))
    """
    graph, state = nnx.split(model)
    try:
        return jax.tree_util.Partial(_field(problem, graph), state)
    except TypeError:  # a network with an attribute that cannot be hashed
        network: Any = model
        return lambda z: problem.constrain(network)(one_point(z, problem.d))


@functools.lru_cache(maxsize=256)
def _field(problem: Problem, graph: Any) -> Callable[[nnx.State, Point], Array]:
    def function(state: nnx.State, z: Point) -> Array:
        at = one_point(z if isinstance(z, jax.Array) else jnp.asarray(z), problem.d)
        return problem.constrain(nnx.merge(graph, state))(at)  # pyright: ignore

    return function


def evaluate(entry: Evaluable, points: ArrayLike | None = None) -> dict[str, Any]:
    """Compute the error figures of an entry anew.

    Args:
        entry: What to evaluate.
        points: Where, `(n, d)`, or named columns; by default the problem's evaluation grid, on
            which the stated figures were computed.

    Returns:
        "relative_l2_error", "max_error" and "reference_error", and on the default grid also
        "reference_method" and "evaluation_shape". Where the reference is zero at all of the given
        points, exactly or up to its own error, a warning says so and only "max_error" is there.

    Raises:
        PinnzooError: The problem has no reference, or the name of an entry was given in its place.
        PointsError: The points have the wrong shape, are not finite, or lie outside of the
            domain, where the reference is not the solution.

    Example:
        >>> evaluate(pinnzoo.load("heat-mlp-lm"))["relative_l2_error"]
    """
    refuse_names(entry)
    problem = entry.problem
    reference = require_reference(problem)
    function = field_of(problem, entry.model)
    if points is None:
        return evaluate_field(problem, function)
    checked = problem.check_points(points, inside=True)
    exact = reference(checked)
    figures: dict[str, Any] = dict(error_figures(evaluate_function(function, checked), exact))
    # Numbers whose squares are below all floats are zero to the norm too.
    relative = "relative_l2_error" in figures
    certified = reference.certified_error(checked, exact) if relative else None
    # From an error of 1 on, all of the reference may be rounding: nothing is relative to that.
    if certified is None or certified >= 1:
        close = "" if certified is None else ", up to its own error,"
        warnings.warn(
            f"the reference of {problem.name} is zero{close} at all {len(checked)} points, so "
            "there is no relative error.",
            UserWarning,
            stacklevel=2,
        )
        return {"max_error": figures["max_error"]}
    return figures | {"reference_error": certified}


def derivatives(
    problem: Problem,
    function: PointFunction,
    points: ArrayLike,
    names: Names,
    *,
    extrapolate: bool = False,
) -> Float[np.ndarray, "n k"]:
    """Values and derivatives of a function of one point, at many points.

    It is compiled once per problem and names where `function` is one object, or a
    `jax.tree_util.Partial` as `field_of` makes it.

    Args:
        problem: Gives components and coordinates their names.
        function: Maps a point `(d,)` to the components `(m,)`.
        points: Where, `(n, d)`, or named columns.
        names: What to compute, such as "u u_t u_xx".
        extrapolate: Allow points outside of the domain.

    Returns:
        One column per name, in float64.

    Raises:
        UnknownNameError: A component or a coordinate that the problem does not have.
        PointsError: See `Problem.check_points`.

    Example:
        >>> derivatives(problem, field_of(problem, model), [[0.5, 0.1]], "u u_x")
    """
    plain = " ".join(names_in(names))
    if not plain:
        raise PointsError("no names of derivatives were given: give some, such as 'u u_x'.")
    check_switches(extrapolate=extrapolate)
    checked = problem.check_points(points, inside=not extrapolate)
    return evaluate_function(_through(_derivatives(problem, plain), function), checked)


def residual(
    problem: Problem,
    function: PointFunction,
    points: ArrayLike,
    *,
    extrapolate: bool = False,
    unknowns: Mapping[str, Any] | None = None,
) -> Float[np.ndarray, "n equations"]:
    """Residuals of the equations for a function of one point, at many points; zero for a solution.

    Args:
        problem: Its equations.
        function: Maps a point `(d,)` to the components `(m,)`.
        points: Where, `(n, d)`, or named columns.
        extrapolate: Allow points outside of the domain.
        unknowns: Values of the problem's unknowns; the true ones by default.

    Returns:
        One column per equation, the first one first, then those of `problem.system`; NaN where an
        equation of the system holds on a part of the domain, and the point is not in it.

    Raises:
        PointsError: See `Problem.check_points`.
        PinnzooError: The value of an unknown is not given, and its true value is not known.

    Example:
        >>> abs(residual(problem, field_of(problem, model), points)).max()
    """
    check_switches(extrapolate=extrapolate)
    checked = problem.check_points(points, inside=not extrapolate)
    values = problem.truth if unknowns is None else unknowns
    lacking = [name for name in problem.unknowns if name not in values]
    if lacking:
        raise PinnzooError(
            f"no value of {', '.join(map(repr, lacking))} was given, which the equations of "
            f"{problem.name} need: give unknowns={{...}}, or call entry.residual(points)."
        )
    numbers = {name: np.float64(value) for name, value in values.items()}
    whole = jax.tree_util.Partial(_residual(problem), numbers, _as_pytree(function))
    found = evaluate_function(whole, checked)
    for k, term in enumerate(problem.equations):
        if term.region != problem.domain and isinstance(term.region, Domain):
            found[~term.region.contains(checked), k] = np.nan
    return found


@functools.lru_cache(maxsize=256)
def _derivatives(problem: Problem, names: str) -> Callable[[PointFunction, Point], Array]:
    return lambda function, z: jnp.stack(problem.field(function)(z, names))


@functools.lru_cache(maxsize=256)
def _residual(problem: Problem) -> Callable[[dict[str, Any], PointFunction, Point], Array]:
    equations = [term.residual for term in problem.equations]

    def at_point(values: dict[str, Any], function: PointFunction, z: Point) -> Array:
        field = problem.field(function, values)
        return jnp.stack([equation(field, z) for equation in equations])

    return at_point


def _as_pytree(function: PointFunction) -> PointFunction:
    function = at_its_weights(function)
    partial = isinstance(function, jax.tree_util.Partial)
    return function if partial else jax.tree_util.Partial(function)


def _through(
    what: Callable[[PointFunction, Point], Array], function: PointFunction
) -> PointFunction:
    """`z -> what(function, z)`, the same object, or one of the same structure, at every call."""
    function = at_its_weights(function)
    if isinstance(function, jax.tree_util.Partial):
        return jax.tree_util.Partial(what, function)
    return _bound(what, function)


@functools.lru_cache(maxsize=64)
def _bound(what: Callable[[PointFunction, Point], Array], function: PointFunction) -> PointFunction:
    return functools.partial(what, function)
