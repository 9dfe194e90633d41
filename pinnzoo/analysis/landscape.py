"""The loss around a network: along lines, on planes, and what its terms want of the parameters."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pinnzoo.analysis._arguments import check_number, check_whole_number
from pinnzoo.analysis.hessians import hessian_eigenpairs
from pinnzoo.analysis.tangent import Source, Tangent, left_svd, residuals, resolve, tangent
from pinnzoo.entry import Entry
from pinnzoo.errors import (
    DiagnosticError,
    PinnzooError,
    PointsError,
    UnknownNameError,
    refuse_names,
)
from pinnzoo.evaluation import field_of
from pinnzoo.objective import Objective
from pinnzoo.pdes.reference import evaluate_function
from pinnzoo.registry import check_switches

COARSE, SEEN = 8, 64
"""At which points of the evaluation grid two networks are compared."""

ROUNDED = 1e-6
"""Difference of two functions, in relation to their size, that may be rounding of either network:
huge parameters that cancel have lost as many digits."""

PARALLEL = 1e-8
"""Sine of the angle, about, below which two directions are one but for rounding."""

DIRECTIONS = ("random", "eigenvectors")


@dataclass(frozen=True, eq=False)
class Line:
    """The loss along a straight line through two sets of parameters.

    Attributes:
        positions: α of `θ_a + α (θ_b - θ_a)`, `(k,)`: 0 is the first, 1 the second.
        losses: `½ |r|²` there, `(k,)`.
        terms: The share of each term in it, `(k,)` each.

    Example:
        >>> found = loss_line(objective, theta, 2 * theta, count=5)
        >>> bool(np.allclose(sum(found.terms.values()), found.losses))
        True
    """

    positions: Float[np.ndarray, " k"]
    losses: Float[np.ndarray, " k"]
    terms: dict[str, Float[np.ndarray, " k"]]

    @property
    def barrier(self) -> float:
        """How many times the largest loss between both ends exceeds that of the worse end.

        1 where the way from one to the other never goes up beyond its start.
        """
        inside = (self.positions >= 0) & (self.positions <= 1)
        ends = np.interp([0.0, 1.0], self.positions, self.losses).max()
        return float(self.losses[inside].max() / ends) if ends > 0 else 1.0


def loss_line(
    source: Source,
    first: Any,
    second: Any,
    *,
    count: int = 41,
    beyond: float = 0.0,
) -> Line:
    """The loss along the line between two networks: two snapshots, or two entries of one shape.

    Args:
        source: Whose loss: an entry, an objective, or a tangent of either.
        first: Flat parameters `(p,)`, or an entry.
        second: The same.
        count: Points of the line.
        beyond: How far the line goes on at both ends, as a share of the way between them.

    Raises:
        PointsError: The two have different numbers of parameters, are different networks or solve
            different problems, or there are fewer than two points.
        DiagnosticError: `beyond` is negative or not finite.

    Example:
        >>> found = loss_line(objective, theta, 2 * theta, count=3)
        >>> found.positions.tolist()
        [0.0, 0.5, 1.0]
    """
    refuse_names(source, first, second)
    check_whole_number("the count", count, 2, PointsError)
    check_number("beyond", beyond)
    posed = [e.problem.name for e in (source, first, second) if isinstance(e, Entry)]
    if len(set(posed)) > 1:
        raise PointsError(
            f"entries of {' and '.join(dict.fromkeys(posed))} were given: a line leads from one "
            "network to another on the same problem."
        )
    for each in (first, second):
        if isinstance(each, Entry) and isinstance(source, Entry):
            _check_same_network(source, each)
    ends = [np.asarray(e.theta if isinstance(e, Entry) else e, float) for e in (first, second)]
    if ends[0].shape != ends[1].shape:
        raise PointsError(
            f"parameters of shapes {ends[0].shape} and {ends[1].shape} were given: a line needs "
            "two networks of one shape."
        )
    objective, _ = _given(source, ends[0])
    positions = np.linspace(-beyond, 1 + beyond, count)
    found = residuals(objective, ends[0] + positions[:, None] * (ends[1] - ends[0]))
    squares = found**2 / 2
    terms = {name: squares[:, rows].sum(axis=1) for name, rows in objective.slices().items()}
    return Line(positions, squares.sum(axis=1), terms)


def _check_same_network(source: Entry, other: Entry) -> None:
    """Raise unless the parameters of an entry make the same function in the network of another.

    Raises:
        PointsError: They do not: architecture, constraints or domain are others.
    """
    points = source.problem.evaluation_points(coarsen=COARSE)[:SEEN]
    try:
        here, there = (
            evaluate_function(field_of(e.problem, model), points)
            for e, model in ((source, source.model_at(other.theta)), (other, other.model))
        )
        same = np.allclose(here, there, rtol=ROUNDED, atol=ROUNDED * np.abs(there).max(initial=0.0))
    except PinnzooError:
        same = False
    if not same:
        raise PointsError(
            f"{other.name} was given with {source.name}, in whose network its parameters make "
            "another function: a line joins networks of one architecture, with the same arguments "
            "and constraints."
        )


def _given(source: Source, theta: Any) -> tuple[Objective, np.ndarray]:
    if isinstance(source, Tangent):
        return source.objective, source.theta
    objective, checked = resolve(source, theta, "a loss")
    return objective, np.asarray(checked)


def filter_normalised(
    direction: Any, theta: Any, shapes: tuple[tuple[int, ...], ...]
) -> Float[np.ndarray, " p"]:
    """A direction whose parts are as long as the parameters that they change.

    Filter normalisation of Li, Xu, Taylor, Studer and Goldstein (2018): each column of a weight
    matrix, the weights into one unit, and each vector of biases gets the length of its own
    parameters. So planes of different networks can be compared.

    Args:
        direction: Any vector, `(p,)`.
        theta: The parameters, `(p,)`.
        shapes: `objective.shapes`; the whole vector is one filter where there are none.

    Raises:
        PointsError: The direction, the parameters and the shapes have different sizes.

    Example:
        >>> theta = np.array([6.0, 0.0, 8.0, 0.0])
        >>> filter_normalised(np.array([3.0, 1.0, 4.0, 1.0]), theta, ((2, 2),)).tolist()
        [6.0, 0.0, 8.0, 0.0]
    """
    vector, values = np.asarray(direction, float), np.asarray(theta, float)
    sizes = sum(int(np.prod(shape)) for shape in shapes) if shapes else vector.size
    if not vector.size == values.size == sizes:
        raise PointsError(
            f"a direction of {vector.size} numbers was given for {values.size} parameters and "
            f"shapes of {sizes}: give as many of each."
        )
    normalised = np.empty_like(vector)
    start = 0
    for shape in shapes or ((len(vector),),):
        size = int(np.prod(shape))
        own, given = values[start : start + size], vector[start : start + size]
        columns = shape[-1] if len(shape) > 1 else 1
        own, given = own.reshape(-1, columns), given.reshape(-1, columns)
        lengths = np.linalg.norm(given, axis=0)
        scale = np.linalg.norm(own, axis=0) / np.where(lengths > 0, lengths, 1.0)
        normalised[start : start + size] = (given * scale).ravel()
        start += size
    return normalised


@dataclass(frozen=True, eq=False)
class Plane:
    """The loss on a plane through some parameters.

    Attributes:
        positions: Coordinates along both directions, `(k,)`; 0 is the network.
        losses: `½ |r|²`, `(k, k)`, first direction first.
        directions: Both of them, `(2, p)`.
        kind: "random", "eigenvectors" or "given".
        curvatures: Second derivatives of the loss along eigenvectors, `(2,)`, or None.
    """

    positions: Float[np.ndarray, " k"]
    losses: Float[np.ndarray, "k k"]
    directions: Float[np.ndarray, "2 p"]
    kind: str
    curvatures: Float[np.ndarray, " 2"] | None = None


def loss_plane(
    source: Source,
    theta: Any = None,
    *,
    directions: Any = "random",
    radius: float = 0.5,
    count: int = 21,
    seed: int = 0,
) -> Plane:
    """The loss on a plane through a network.

    Args:
        source: An entry, an objective, or a tangent of either.
        theta: Flat parameters; those of the entry by default.
        directions: "random" for two random ones, filter-normalised; "eigenvectors" for those of
            the loss Hessian whose eigenvalues are largest in magnitude, as long as θ; or two
            vectors `(2, p)`.
        radius: The plane goes from minus this to this, in units of the directions.
        count: Points along each side; an odd number has the network in the middle.
        seed: Seed of the random directions.

    Raises:
        UnknownNameError: There are no such directions.
        PointsError: The given directions have another shape or span no plane, or there are no
            points.
        DiagnosticError: The radius is not positive and finite, or the seed is negative.

    Example:
        >>> found = loss_plane(objective, theta, count=3)
        >>> bool(np.isclose(found.losses[1, 1], objective.loss(theta)))
        True
    """
    if isinstance(directions, str) and directions not in DIRECTIONS:
        raise UnknownNameError.of("directions", directions, DIRECTIONS)
    check_number("the radius", radius, zero=False)
    check_whole_number("the count", count, 1, PointsError)
    check_whole_number("the seed", seed, 0)
    if isinstance(source, Tangent) and theta is not None:
        raise DiagnosticError(
            "a tangent was given with parameters, and has its own: leave them out, or give the "
            "entry or the objective."
        )
    objective, at = _given(source, theta)
    curvatures = None
    if isinstance(directions, str) and directions == "random":
        drawn = np.random.default_rng(seed).standard_normal((2, at.size))
        pair = np.stack([filter_normalised(each, at, objective.shapes) for each in drawn])
    elif isinstance(directions, str):
        values, vectors = hessian_eigenpairs(source, theta, count=2)
        length = np.linalg.norm(at)
        pair, curvatures = vectors * length, values * length**2
    else:
        pair = np.asarray(directions, float)
        if pair.shape != (2, at.size):
            raise PointsError(
                f"directions of shape {pair.shape} were given: give two vectors, (2, {at.size})."
            )
        # One parameter has a single direction: its plane is a line.
        if at.size > 1:
            _check_span(pair)
    positions = np.linspace(-radius, radius, count)
    first, second = np.meshgrid(positions, positions, indexing="ij")
    losses = np.empty(count * count)
    flat = np.stack([first.ravel(), second.ravel()], axis=1)
    for k in range(0, len(flat), 64):
        found = residuals(objective, at + flat[k : k + 64] @ pair)
        losses[k : k + 64] = 0.5 * np.sum(found**2, axis=1)
    kind = directions if isinstance(directions, str) else "given"
    return Plane(positions, losses.reshape(count, count), pair, kind, curvatures)


def _check_span(pair: Float[np.ndarray, "2 p"]) -> None:
    """Raise unless two directions span a plane.

    Raises:
        PointsError: One is zero or not finite, or they are parallel.
    """
    lengths = np.linalg.norm(pair, axis=1, keepdims=True)
    whole = bool(np.isfinite(pair).all()) and bool((lengths > 0).all())
    # The smaller singular value is zero but for rounding where both point along one line.
    if not whole or np.linalg.svd(pair / lengths, compute_uv=False)[-1] < PARALLEL:
        raise PointsError(
            "directions were given that span no plane: give two vectors of finite numbers, neither "
            "of which is zero or a multiple of the other."
        )


@dataclass(frozen=True, eq=False)
class GradientAlignment:
    """What the terms of a loss want of the parameters, beside each other.

    Attributes:
        terms: Names, in the order of the rows.
        cosines: Cosine of the angle between the gradients of two terms, `(k, k)`; negative where
            one term grows when the other is lowered. 0 for a term whose gradient vanishes.
        norms: Length of each gradient, `(k,)`.
    """

    terms: tuple[str, ...]
    cosines: Float[np.ndarray, "k k"]
    norms: Float[np.ndarray, " k"]


def gradient_alignment(source: Source, theta: Any = None) -> GradientAlignment:
    """Cosines between the gradients of the terms: conflicts between equation and conditions.

    Args:
        source: An entry, an objective, or a tangent of either.
        theta: Flat parameters; those of the entry by default.

    Raises:
        DiagnosticError: An objective was given without parameters.

    Example:
        >>> found = gradient_alignment(objective, theta)
        >>> found.terms[0], bool(found.cosines[0, 0].round(12) == 1)
        ('equation', True)
    """
    at = tangent(source, theta)
    blocks = at.objective.slices()
    gradients = np.stack([at.rows[rows].T @ at.residual[rows] for rows in blocks.values()])
    norms = np.linalg.norm(gradients, axis=1)
    directions = gradients / np.where(norms > 0, norms, 1.0)[:, None]
    return GradientAlignment(tuple(blocks), directions @ directions.T, norms)


@dataclass(frozen=True, eq=False)
class SingularValues:
    """Singular values of J, and what a damping does to them.

    Attributes:
        values: σ, descending, `(min(n, p),)`.
        residual: `|uᵢᵀ r|`, the residual along each left singular vector.
        damping: μ of Levenberg-Marquardt at this moment, in the units of σ², or None.
        scaled: Whether they are those of `J D⁻¹`, with the norms of the columns of J in D.
    """

    values: Float[np.ndarray, " k"]
    residual: Float[np.ndarray, " k"]
    damping: float | None
    scaled: bool = False

    @property
    def undamped(self) -> int | None:
        """How many singular values exceed √μ, so that a step goes along them in full."""
        if self.damping is None:
            return None
        return int(np.count_nonzero(self.values**2 > self.damping))


def singular_values(
    source: Source, theta: Any = None, *, damping: float | None = None, scaled: bool = False
) -> SingularValues:
    """Singular values of J, with the damping that a second-order method puts beside them.

    Args:
        source: An entry, an objective, or a tangent of either.
        theta: Flat parameters; those of the entry by default.
        damping: μ of `JᵀJ + μ D²`; for an entry's own see `entry.history["damping"]`.
        scaled: Whether D has the norms of the columns of J on its diagonal; then the singular
            values are those of `J D⁻¹`.

    Raises:
        DiagnosticError: The damping is negative or not finite, or an objective was given without
            parameters.

    Example:
        >>> found = singular_values(objective, theta, damping=1e-6)
        >>> bool(found.undamped <= len(found.values))
        True
    """
    if damping is not None:
        check_number("the damping", damping)
    at = tangent(source, theta)
    check_switches(scaled=scaled)
    if scaled:
        lengths = np.linalg.norm(at.rows, axis=0)
        rows = at.rows / np.where(lengths > 0, lengths, 1.0)
        left, values = left_svd(rows, full=False)
    else:
        left, values, _ = at.svd
    return SingularValues(values, np.abs(left.T @ at.residual), damping, scaled)
