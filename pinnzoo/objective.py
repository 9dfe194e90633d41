"""One weighted residual vector, from which loss, gradient, Jacobian, NTK and Hessians all come."""

import dataclasses
import difflib
import functools
import math
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.errors import TraceContextError
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from pinnzoo._compiling import QUICK_COMPILE
from pinnzoo._flow import Flow, flow_of, steps_of
from pinnzoo._programs import Program, Signature
from pinnzoo._typing import Jacobian, Point, PointFunction, Points, Residuals, Scalar, Theta
from pinnzoo.derivatives import Field
from pinnzoo.domains import Region
from pinnzoo.errors import PinnzooError, PointsError, RecipeError, UnknownNameError, with_article
from pinnzoo.observations import Measured, Observations, check_observations
from pinnzoo.pdes import CONDITIONS as CONDITIONS
from pinnzoo.pdes import EQUATION as EQUATION
from pinnzoo.pdes import OBSERVATIONS as OBSERVATIONS
from pinnzoo.pdes import Problem, require_problem
from pinnzoo.pdes.conditions import Share, wrapped
from pinnzoo.pdes.orders import contradictions, unread
from pinnzoo.unknowns import WithUnknowns, values_of, with_unknowns

OF_A_TUPLE = re.compile(r"operand.*'tuple'|concatenate tuple|multiply sequence|got <class 'tuple'>")
"""In what Python and JAX say of a tuple that is calculated with."""

OF_A_POINT = re.compile(r"does not support string indexing|Tracer has no attribute .$")
"""And of a coordinate that is read by its letter."""

SLOPES_AT_ONCE = 100
"""Points whose derivatives are looked at together where something is not finite."""

TermResidual = Callable[[Theta, Point], Scalar]


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["points", "scale"],
    meta_fields=["name", "residual"],
)
@dataclass(frozen=True)
class Term:
    """One equation or condition on its own points.

    Attributes:
        points: Collocation points, `(n, d)`; those of the observations have in further columns
            what was measured there, see `Observations.rows`.
        scale: √(weight / n), one number, or one per point.
        name: "equation" or the condition's name.
        residual: `(theta, point) -> scalar`, unweighted.
    """

    points: Points
    scale: Float[Array, " *n"]
    name: str
    residual: TermResidual

    @property
    def n(self) -> int:
        """Number of points, which is the number of rows."""
        return self.points.shape[0]

    def rows(self, theta: Theta) -> Residuals:
        """Weighted residual at every point."""
        return self.scale * jax.vmap(self.residual, (None, 0))(theta, self.points)

    def jacobian(self, theta: Theta, chunk: int | None = None) -> Jacobian:
        """Derivative of `rows`, by one reverse pass per point.

        Row i depends on point i alone. Reverse mode through the whole batch would not see that
        and compute n passes over n points each.

        Args:
            theta: Flat parameters.
            chunk: Points handled at once, to bound the memory of the reverse passes; all of them
                by default.
        """
        return self.linearize(theta, chunk)[1]

    def linearize(self, theta: Theta, chunk: int | None = None) -> tuple[Residuals, Jacobian]:
        """`rows` and `jacobian`; the reverse pass at a point has computed its residual too."""
        row = jax.value_and_grad(self.residual)
        if chunk is None or chunk >= self.n:
            values, slopes = jax.vmap(row, (None, 0))(theta, self.points)
        else:
            at_point = lambda z: row(theta, z)  # noqa: E731
            values, slopes = jax.lax.map(at_point, self.points, batch_size=chunk)
        return self.scale * values, jnp.broadcast_to(self.scale, (self.n,))[:, None] * slopes


@jax.tree_util.register_pytree_with_keys_class
@dataclass(frozen=True)
class Objective:
    """The residual vector r(θ) of a network on a problem, as a function of flat parameters.

    Row i of term k is `√(w_k / n_k) r_k(θ, z_i)`, so that the loss is
    `½ |r|² = ½ Σ_k w_k mean_i r_k(z_i)²`, its gradient is `Jᵀ r`, the Gauss-Newton matrix `Jᵀ J`
    and the neural tangent kernel `J Jᵀ`.

    Points and scales are leaves of the pytree and functions are static: replacing points by
    others of the same shape traces nothing again. Of residuals that are programs, the arrays are
    leaves too; see `as_programs`. Points that several terms have in common are one
    leaf, so that a program knows that they are the same; see `sharing_points`.

    Attributes:
        terms: The equation first, then the conditions.
        shapes: Shapes of the arrays that make up the parameters, in their order; none where that
            is not known. For optimizers that treat weight matrices as matrices.
    """

    terms: tuple[Term, ...]
    shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def n(self) -> int:
        """Number of rows."""
        return sum(term.n for term in self.terms)

    def slices(self) -> dict[str, slice]:
        """Rows of each term, by name."""
        stops = np.cumsum([term.n for term in self.terms])
        return {
            term.name: slice(int(stop) - term.n, int(stop))
            for term, stop in zip(self.terms, stops, strict=True)
        }

    def tree_flatten_with_keys(self) -> tuple[tuple[Any, ...], Any]:
        """The different arrays of points, the scales, what residuals hold, and what is static."""
        points = {id(term.points): term.points for term in self.terms}
        places = list(points)
        which = tuple(places.index(id(term.points)) for term in self.terms)
        programs = [term.residual for term in self.terms]
        static = tuple(
            (term.name, p.signature if isinstance(p, Program) else p)
            for term, p in zip(self.terms, programs, strict=True)
        )
        scales = tuple(term.scale for term in self.terms)
        held = tuple(p.constants if isinstance(p, Program) else () for p in programs)
        keys = map(jax.tree_util.GetAttrKey, ("points", "scales", "constants"))
        children = tuple(zip(keys, (tuple(points.values()), scales, held), strict=True))
        return children, (which, static, self.shapes)

    @classmethod
    def tree_unflatten(cls, static: Any, children: Any) -> "Objective":
        """The objective of these arrays."""
        (which, named, shapes), (points, scales, held) = static, children
        terms = (
            Term(points[k], scale, name, Program(r, own) if isinstance(r, Signature) else r)
            for k, scale, (name, r), own in zip(which, scales, named, held, strict=True)
        )
        return cls(tuple(terms), shapes)

    def together(self) -> list[list[int]]:
        """Which terms are evaluated together, by their positions in `terms`.

        Those are the shares of one function that have the same points; others are alone.
        """
        found: dict[Any, list[int]] = {}
        for k, term in enumerate(self.terms):
            joint = _joint(term)
            key = k if joint is None else (joint, id(term.points))
            found.setdefault(key, []).append(k)
        return list(found.values())

    def residual(self, theta: Theta) -> Residuals:
        """r(θ)."""
        rows: dict[int, Residuals] = {}
        for group in self.together():
            terms = [self.terms[k] for k in group]
            rows |= zip(group, _rows_together(terms, theta), strict=True)
        return jnp.concatenate([rows[k] for k in range(len(self.terms))])

    def jacobian(self, theta: Theta, chunk: int | None = None) -> Jacobian:
        """dr/dθ, `(n, p)`, at most `chunk` points of a term at once; see `Term.jacobian`."""
        return self.linearize(theta, chunk)[1]

    def linearize(self, theta: Theta, chunk: int | None = None) -> tuple[Residuals, Jacobian]:
        """Rows and Jacobian, r and dr/dθ, for the price of the latter.

        Where a term has more points than a chunk, every chunk of rows is written to where it
        stays. J is then in memory once: stacking chunks and joining terms would copy all of it,
        and fresh memory costs as much as the derivatives.
        """
        if chunk is None or all(term.n <= chunk for term in self.terms):
            rows, slopes = zip(*(term.linearize(theta) for term in self.terms), strict=True)
            return jnp.concatenate(rows), jnp.concatenate(slopes)
        found = jnp.zeros(self.n, theta.dtype), jnp.zeros((self.n, theta.size), theta.dtype)
        starts = np.cumsum([0, *(term.n for term in self.terms)])
        for group in self.together():
            terms = [(self.terms[k], int(starts[k])) for k in group]
            found = _write_chunks(terms, theta, chunk, found)
        return found

    def loss(self, theta: Theta) -> Scalar:
        """½ |r(θ)|²."""
        return 0.5 * jnp.sum(self.residual(theta) ** 2)

    def jvp(self, theta: Theta, direction: Theta) -> Residuals:
        """`J v`."""
        return jax.jvp(self.residual, (theta,), (direction,))[1]

    def vjp(self, theta: Theta, cotangent: Residuals) -> Theta:
        """`Jᵀ w`."""
        return jax.vjp(self.residual, theta)[1](cotangent)[0]

    def second_derivative(self, theta: Theta, direction: Theta) -> Residuals:
        """`vᵀ H_i v` for every row i: the second derivative of r along a straight line."""

        def first(offset: Theta) -> Residuals:
            return jax.jvp(self.residual, (offset,), (direction,))[1]

        return jax.jvp(first, (theta,), (direction,))[1]

    def split(self, rows: int) -> "list[Objective]":
        """Objectives of at most `rows` rows each, which in this order make up all rows."""
        parts = []
        for term in self.terms:
            for start in range(0, term.n, rows):
                part = slice(start, start + rows)
                scale = term.scale if term.scale.ndim == 0 else term.scale[part]
                rows_of = dataclasses.replace(term, points=term.points[part], scale=scale)
                parts.append(dataclasses.replace(self, terms=(rows_of,)))
        return parts

    def with_points(self, points: Mapping[str, np.ndarray]) -> "Objective":
        """The same objective on other points; terms that are not named keep theirs.

        Where the number of points changes, the scale follows, so that the weight stays.

        Raises:
            PointsError: The points have the wrong shape, or their number changes while there is
                one scale per point.
        """
        terms = []
        for term in self.terms:
            if term.name in points:
                new = jnp.asarray(points[term.name], term.points.dtype)
                fits = new.ndim == 2 and new.shape[1] == term.points.shape[1] and len(new) > 0
                if not fits or (len(new) != term.n and term.scale.ndim > 0):
                    raise PointsError(
                        f"term {term.name!r} was given points of shape {new.shape}: it takes "
                        f"(n, {term.points.shape[1]}), with n = {term.n} where every point has its "
                        "own scale."
                    )
                scale = term.scale
                if len(new) != term.n:
                    scale = scale * math.sqrt(term.n / len(new))
                term = dataclasses.replace(term, points=new, scale=scale)
            terms.append(term)
        return dataclasses.replace(self, terms=sharing_points(terms))

    def with_weights(self, weights: Mapping[str, float]) -> "Objective":
        """The same objective with other weights of its terms, one where none is given.

        Args:
            weights: w of a term's `w/n Σ r²`, by its name.
        """
        return self.with_scales(
            {term.name: math.sqrt(weights.get(term.name, 1.0) / term.n) for term in self.terms}
        )

    def with_scales(
        self, scales: Mapping[str, Float[Array | np.ndarray, " *n"] | float]
    ) -> "Objective":
        """The same objective with other row scales, for adaptive and causal weights."""
        terms = (
            dataclasses.replace(term, scale=jnp.asarray(scales[term.name], term.points.dtype))
            if term.name in scales
            else term
            for term in self.terms
        )
        return dataclasses.replace(self, terms=tuple(terms))


def sharing_points(terms: Iterable[Term]) -> tuple[Term, ...]:
    """The same terms, of which shares of one function have one array where their points are equal.

    Only then does a program know that it can evaluate them together: it sees arrays, not numbers.
    """
    found: list[Term] = []
    for term in terms:
        joint = _joint(term)
        for other in found:
            if joint is not None and joint is _joint(other) and _are_equal(other, term):
                term = dataclasses.replace(term, points=other.points)
                break
        found.append(term)
    return tuple(found)


def as_programs(objective: Objective, theta: Theta) -> Objective:
    """The same objective with the arrays that residuals close over as leaves of the pytree.

    Those of two windows of time differ in the bounds, the frozen networks and the solution before
    them alone, so that what was compiled for one window is used for the next.

    Args:
        objective: What is trained.
        theta: Its flat parameters, or their shape and type.

    Returns:
        The objective as it was, where a residual is one of several that are computed together, or
        cannot be told from others.
    """
    if any(_joint(term) is not None for term in objective.terms):
        return objective
    points = [jax.ShapeDtypeStruct(t.points.shape[1:], t.points.dtype) for t in objective.terms]
    programs = [
        Program.of(term.residual, theta, point)
        for term, point in zip(objective.terms, points, strict=True)
    ]
    if any(program is None for program in programs):
        return objective
    terms = (
        dataclasses.replace(term, residual=program)
        for term, program in zip(objective.terms, programs, strict=True)
    )
    return dataclasses.replace(objective, terms=tuple(terms))


def _joint(term: Term) -> Any:
    """The function that computes the term's residual with others, or None."""
    return term.residual.function if isinstance(term.residual, Share) else None


def _are_equal(term: Term, other: Term) -> bool:
    """Whether the points of two terms are one array, or the same numbers as far as is known."""
    points, others = term.points, other.points
    if points is others or points.shape != others.shape:
        return points is others
    known = not any(isinstance(array, Tracer) for array in (points, others))
    return known and np.array_equal(np.asarray(points), np.asarray(others))


def _rows_together(terms: list[Term], theta: Theta) -> list[Residuals]:
    """The rows of terms that are evaluated together."""
    if len(terms) == 1:
        return [terms[0].rows(theta)]
    shares: list[Any] = [term.residual for term in terms]
    values = jax.vmap(lambda z: tuple(shares[0].all(theta, z)))(terms[0].points)
    return [term.scale * values[share.index] for term, share in zip(terms, shares, strict=True)]


def _write_chunks(
    terms: list[tuple[Term, int]], theta: Theta, chunk: int, found: tuple[Residuals, Jacobian]
) -> tuple[Residuals, Jacobian]:
    """Write rows and Jacobians of terms on the same points into those of the objective.

    Where a chunk of points has several residuals, the compiler finds what they have in common: one
    reverse pass for each is left. A joint one for all of them would cost more, since none of them
    needs all derivatives.

    Args:
        terms: Each with its first row in the objective.
        theta: Flat parameters.
        chunk: Points at once, at most.
        found: Rows and Jacobian of the objective.
    """
    n, drawn = terms[0][0].n, terms[0][0].points

    if n == 0:
        return found
    passes = -(-n // chunk)
    size = -(-n // passes)

    def write(k: Any, found: tuple[Residuals, Jacobian]) -> Any:
        # The last points are some of those before it too, whose rows come out the same: a
        # remainder of its own would be a second program, which takes as long to compile.
        at = jnp.minimum(k * size, n - size)
        points = jax.lax.dynamic_slice_in_dim(drawn, at, size)
        for term, start in terms:
            scale = term.scale
            if scale.ndim:
                scale = jax.lax.dynamic_slice_in_dim(scale, at, size)
            part = dataclasses.replace(term, points=points, scale=scale)
            (rows, slopes), (values, jacobian) = found, part.linearize(theta)
            put = functools.partial(jax.lax.dynamic_update_slice_in_dim, axis=0)
            found = put(rows, values, start + at), put(slopes, jacobian, start + at)
        return found

    return jax.lax.fori_loop(0, passes, write, found) if passes > 1 else write(0, found)


@functools.partial(jax.jit, compiler_options=QUICK_COMPILE)
def residual_and_loss(objective: Objective, theta: Theta) -> tuple[Residuals, Scalar]:
    """r(θ) and ½ |r|², by one program for the training loop and for what compares losses in it.

    Compiling it takes longer than a hundred evaluations of a small network.
    """
    residual = objective.residual(theta)
    return residual, 0.5 * jnp.sum(residual**2)


def regions(problem: Problem) -> dict[str, Region]:
    """Where the points of each term are drawn: the domain, or part of its boundary."""
    return {name: term.region for name, term in problem.terms.items()}


def windows_of(model: Any) -> list[tuple[float, float]]:
    """First and last time of each window of a network; nothing where it has no parts."""
    network: Any = model.network if isinstance(model, WithUnknowns) else model
    if not hasattr(network, "part_times"):
        return []
    return sorted({network.part_times(part) for part in range(len(network.parts))})


def joined(problem: Problem, model: Any) -> Problem:
    """The problem with conditions where windows of a network meet, if it has several.

    Parts that are trained one after another meet the one before. Trained together, they would
    otherwise each solve the equation by itself, with a loss of zero and a wrong field.

    Args:
        problem: What the whole network solves.
        model: The network.

    Raises:
        PointsError: There are several windows, and the problem has no time.
    """
    return problem.joined_at([last for _, last in windows_of(model)[:-1]])


def part_slice(model: nnx.Module, index: int) -> slice:
    """Where the parameters of one part of a composed network lie among the flat parameters.

    Args:
        model: A network with a list `parts`.
        index: Which of them.

    Raises:
        RecipeError: The network has no parts, or not so many.
    """
    count = len(getattr(model, "parts", ()))
    if not 0 <= index < count:
        some = f"give 0 to {count - 1}, or " if count else ""
        raise RecipeError(
            f"part {index} of a network with {count} parts was asked for: {some}train all of it "
            "with part=None."
        )
    params = nnx.state(model, nnx.Param)
    sizes = [
        (path[0].key == "parts" and path[1].key == index, leaf.size)  # pyright: ignore
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    ]
    inside = np.repeat([own for own, _ in sizes], [size for _, size in sizes])
    start, stop = np.flatnonzero(inside)[[0, -1]]
    return slice(int(start), int(stop) + 1)


@dataclass(frozen=True)
class Assembly:
    """A network on a problem, as pure functions of flat parameters.

    Attributes:
        theta: The parameters, flat.
        objective: The residual vector.
        field: `(theta, point) -> (m,)`, the network with the problem's ansatz around it.
        to_model: Puts flat parameters back into a live module.
        observations: What was measured, or None.
    """

    theta: Theta
    objective: Objective
    field: Callable[[Theta, Point], Array]
    to_model: Callable[[Theta], nnx.Module]
    observations: Observations | None = None

    def __iter__(self) -> Iterator[Any]:
        """`theta, objective, to_model = assemble(...)`."""
        return iter((self.theta, self.objective, self.to_model))


def flatten_model(
    model: nnx.Module,
) -> tuple[Theta, Callable[[Theta], nnx.Module]]:
    """Parameters of a module as one vector (leaves in the order of their paths), and the way back.

    Only `nnx.Param` is trained. Buffers keep their values.
    """
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    theta, unravel = ravel_pytree(params)

    def to_model(vector: Theta) -> nnx.Module:
        return nnx.merge(graph, unravel(vector), rest)

    return theta, to_model


def assemble(
    problem: Problem,
    model: nnx.Module,
    points: Mapping[str, Float[np.ndarray, "n d"]],
    weights: Mapping[str, float] | None = None,
    observations: Measured | None = None,
) -> Assembly:
    """Bring a problem, a network and collocation points together.

    The only place where modules and flat parameters meet.

    Args:
        problem: What to solve.
        model: Maps one point to the network's output. The problem's unknowns are put beside it
            where they are not yet.
        points: Points `(n, d)` per term: "equation" and each condition's name.
        weights: Loss weight per term, 1 where none is given.
        observations: What was measured, in one set or several; it becomes the last term,
            "observations".

    Returns:
        The assembly; unpack it as `theta, objective, to_model`.

    Raises:
        PointsError: A term has no points or points of the wrong shape, or there are points or
            weights for a term that does not exist.
        RecipeError: A weight is negative or not finite, the network is not one that takes a
            point to the components, or a term is not one number.
        UnknownNameError: An equation asks for a component or a derivative that does not exist.

    Example:
        >>> theta, objective, to_model = assemble(problem, model, points, {"initial": 10.0})
        >>> slope = jax.jit(jax.grad(objective.loss))(theta)
    """
    check_network(problem, model)
    check_terms(problem)
    observations = check_observations(observations, problem)
    model = with_unknowns(model, problem.unknowns)
    theta, to_model = flatten_model(model)

    def field(vector: Theta, z: Point) -> Array:
        network: PointFunction = to_model(vector)  # pyright: ignore[reportAssignmentType]
        return problem.constrain(network)(z)

    residuals = {name: term.residual for name, term in problem.terms.items()}
    _check_names(problem, points, "points", PointsError)
    more = () if observations is None else (OBSERVATIONS,)
    _check_names(problem, weights or {}, "weights", PointsError, more)
    missing = [name for name in residuals if name not in points]
    if missing:
        raise PointsError(
            f"no points for {', '.join(map(repr, missing))} were given: {problem.name} takes "
            f"points for {', '.join(map(repr, residuals))}."
        )

    made_of: dict[int, Any] = {}

    def of_parameters(residual: Any) -> Any:
        """The residual as a function of the parameters; the same for the same residual."""

        def at_point(vector: Theta, z: Point) -> Any:
            values = values_of(to_model(vector), problem.unknowns) if problem.unknowns else {}
            found = residual(problem.field(functools.partial(field, vector), values), z)
            # A constant of the equation in another precision must not change that of the rows.
            return jax.tree.map(lambda value: jnp.asarray(value, vector.dtype), found)

        return made_of.setdefault(id(residual), at_point)

    def term(name: str) -> Term:
        drawn = problem.check_points(points[name])
        if len(drawn) == 0:
            raise PointsError(f"term {name!r} was given no points: give at least one.")
        return made(name, drawn, wrapped(residuals[name], of_parameters))

    def made(name: str, drawn: np.ndarray, at_point: TermResidual) -> Term:
        weight = _weight(name, (weights or {}).get(name, 1.0))
        scale = math.sqrt(weight / len(drawn))
        return Term(
            jnp.asarray(drawn, theta.dtype), jnp.asarray(scale, theta.dtype), name, at_point
        )

    # The same order as in `flatten_model`.
    shapes = tuple(leaf.shape for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    terms = list(map(term, residuals))
    if observations is not None:
        misfit = functools.partial(_misfit, field, problem.d, problem.m)
        terms.append(made(OBSERVATIONS, observations.rows(problem), misfit))
    return Assembly(theta, Objective(sharing_points(terms), shapes), field, to_model, observations)


def _misfit(
    field: Callable[[Theta, Point], Array], d: int, m: int, theta: Theta, row: Point
) -> Scalar:
    """The network's value minus the measured one, times the root of the row's relative weight."""
    value, component, root = row[d:]
    own = jnp.where(jnp.arange(m) == component, field(theta, row[:d]), 0.0)
    return root * (own.sum() - value)


def _weight(name: str, weight: Any) -> float:
    try:
        number = float(weight)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise RecipeError(f"term {name!r} was given the weight {weight}: give zero or more.")
    return number


def _check_names(
    problem: Problem,
    names: Iterable[str],
    kind: str,
    error: type[PinnzooError],
    more: tuple[str, ...] = (),
) -> None:
    """Raise unless all `names` are those of terms of the problem, or among `more`."""
    allowed = [*problem.terms, *more]
    for name in names:
        if name not in allowed:
            near = difflib.get_close_matches(str(name), allowed, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
            raise error(
                f"{kind} for {name!r} were given: {hint}{problem.name} takes {kind} for "
                f"{', '.join(map(repr, allowed))}."
            )


def check_counts(problem: Problem, counts: Mapping[str, int]) -> None:
    """Raise unless a recipe's numbers of points are for terms of the problem.

    Args:
        problem: What is solved.
        counts: Number of points by "equation", "conditions" (for all that are not named), or the
            name of a term.

    Raises:
        RecipeError: A name is none of these; the message has the nearest ones.

    Example:
        >>> check_counts(problem, {"equation": 1000, "conditions": 100})
    """
    _check_names(problem, counts, "points", RecipeError, (CONDITIONS,))


def check_weights(
    problem: Problem, weights: Mapping[str, float], more: tuple[str, ...] = ()
) -> None:
    """Raise unless a recipe's loss weights are for terms of the problem, or for `more`.

    Raises:
        RecipeError: A name is that of no term; the message has the nearest ones.

    Example:
        >>> check_weights(problem, {"equation": 1.0, "initial": 100.0})
    """
    _check_names(problem, weights, "weights", RecipeError, more)


def describe_nonfinite(objective: Objective, theta: Theta) -> str | None:
    """Which terms are NaN or infinite at these parameters, in words, or None where none is.

    Returns:
        Such as "'equation' is NaN or infinite at 12 of its 40 points, the first of which is
        [0.5, 0.1]"; several terms are joined by "; ".
    """
    rows = jax.jit(Term.rows)
    told = (_broken(term, rows(term, theta), f"{term.name!r} is") for term in objective.terms)
    return "; ".join(filter(None, told)) or None


def describe_nonfinite_slopes(objective: Objective, theta: Theta) -> str | None:
    """Which terms have derivatives by the parameters that are NaN or infinite, as above."""
    told = (
        _broken(term, _slope_sums(term, theta), f"the derivatives of {term.name!r} are")
        for term in objective.terms
    )
    return "; ".join(filter(None, told)) or None


@jax.jit
def _slope_sums(term: Term, theta: Theta) -> Residuals:
    """The sum of each residual's derivatives, of which not all are in memory at once."""
    summed = lambda z: jnp.sum(jax.grad(term.residual)(theta, z))  # noqa: E731
    return jax.lax.map(summed, term.points, batch_size=min(term.n, SLOPES_AT_ONCE))


def _broken(term: Term, rows: Residuals, subject: str) -> str | None:
    """How many rows are NaN or infinite, and where the first of them is; None if all are finite."""
    broken = ~np.isfinite(np.asarray(rows))
    if not broken.any():
        return None
    first = ", ".join(f"{x:g}" for x in np.asarray(term.points)[int(np.argmax(broken))])
    return (
        f"{subject} NaN or infinite at {int(broken.sum())} of its {term.n} points, the first of "
        f"which is [{first}]"
    )


@functools.lru_cache(maxsize=256)
def check_terms(problem: Problem) -> None:
    """Raise unless every term asks for derivatives that exist and returns one number.

    Raises:
        UnknownNameError: A term asks for a component or a derivative that does not exist.
        PointsError: A term asks for them elsewhere than at one point.
        RecipeError: A term's residual is not one number, does not depend on the network, takes a
            coordinate that does not exist, or fails with an error of its own; or ansatz or symmetry
            do not give the components.
    """
    _check_around(problem, lambda seen: jnp.zeros(problem.m, seen.dtype), float)
    for name, term in problem.terms.items():
        what = f"residual of {name!r}"

        def at_point(z: Point, scale: Scalar, residual: Any = term.residual) -> Any:
            return residual(problem.recorder(scale), z)

        inputs = [jax.ShapeDtypeStruct(shape, float) for shape in ((problem.d,), ())]
        try:
            flow, value = _traced(problem, what, at_point, *inputs)
        except (UnknownNameError, PointsError) as error:
            raise type(error)(f"term {name!r} of {problem.name}: {error}") from None
        shape = getattr(value, "shape", None)
        if shape != ():
            given = f"an array of shape {shape}" if shape else with_article(type(value).__name__)
            several = (
                ", or several, and name those after the first one in "
                "Problem(system=('continuity', ...))"
                if name == EQUATION
                else ""
            )
            # A point of one coordinate is easily taken for a number.
            point = f"; the point has shape {shape}, so take a coordinate of it, such as z[0]"
            taken = point if shape == (problem.d,) else ""
            raise RecipeError(
                f"the residual of {name!r} of {problem.name} returns {given}: return one number, "
                f"such as u_t - u_xx with `u_t, u_xx = u(z, ...)`{several}{taken}."
            )
        kind: Any = getattr(value, "dtype", None)
        if not jnp.issubdtype(kind, jnp.floating):
            parts = "; return real and imaginary part as two residuals"
            complex_ = parts if jnp.issubdtype(kind, jnp.complexfloating) else ""
            raise RecipeError(
                f"the residual of {name!r} of {problem.name} returns {kind}: it has to be a real "
                f"number that depends on the network{complex_}."
            )
        if all(1 not in sources for sources in flow.needed):
            raise RecipeError(
                f"the residual of {name!r} of {problem.name} does not depend on the network: ask "
                "the field for what it restricts, such as u(z, 'u')[0], or leave the term out."
            )


def warn_of_unread(problem: Problem, observations: Observations | None) -> None:
    """Warn where nothing decides a component, or two conditions decide the same differently."""
    for one, other in contradictions(problem):
        warnings.warn(
            f"the conditions {one!r} and {other!r} of {problem.name} prescribe different values of "
            f"{problem.terms[one].asks!r} on the same part of the domain, of which no solution "
            "meets both: leave one of them out, or give it a part of its own.",
            stacklevel=3,
        )
    seen = () if observations is None else observations.components or problem.components
    if open_ := [c for c in unread(problem) if c not in seen]:
        warnings.warn(
            f"no equation, no condition and no observation reads the component {open_[0]!r} of "
            f"{problem.name}, so that its values mean nothing: leave it out, or say what it has "
            "to meet.",
            stacklevel=3,
        )


def check_network(problem: Problem, model: nnx.Module) -> None:
    """Raise unless the network takes one point of the problem to its components.

    Only shapes are computed, of the network at one point.

    Args:
        problem: Says how many coordinates and components there are.
        model: `model(z)` takes one point `(d,)`, without a batch axis, to `(m,)`.

    Raises:
        RecipeError: It is not a module, has nothing to train, fails, or returns something else.
    """
    require_problem(problem)
    kind, d = type(model).__name__, problem.network_inputs
    point = "one point" if problem.features is None else "one point and its features,"
    wanted = (
        f"for {problem.name} a network takes {point} of shape ({d},), without a batch axis, and "
        f"returns shape ({problem.m},)"
    )
    if not isinstance(model, nnx.Module) or not callable(model):
        raise RecipeError(
            f"{with_article(kind)} was given as the network: give an nnx.Module; {wanted}."
        )
    leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
    if not leaves:
        raise RecipeError(f"the network {kind} has no nnx.Param, so there is nothing to train.")
    for leaf in leaves:
        if not leaf.size:
            raise RecipeError(
                f"the network {kind} has an nnx.Param of shape {leaf.shape}, which holds no "
                "numbers: leave it out."
            )
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise RecipeError(
                f"the network {kind} has an nnx.Param of {leaf.dtype}, which cannot be trained: "
                "make it of real numbers, or a pinnzoo.architectures.Buffer."
            )
    dtype = leaves[0].dtype

    def shape_for(shape: tuple[int, ...]) -> Any:
        return jax.eval_shape(lambda z: model(z), jax.ShapeDtypeStruct(shape, dtype))

    try:
        value = shape_for((d,))
    except PinnzooError:
        raise
    except TraceContextError as error:
        raise RecipeError(
            f"the network {kind} changes its own state when it is called, as batch normalization "
            "does: call its eval() first, or leave these layers out."
        ) from error
    except Exception as error:
        if _maps_a_batch(shape_for, (d, problem.m)):
            raise RecipeError(
                f"the network {kind} needs a batch axis: {wanted}; pinnzoo maps it over points "
                "itself."
            ) from error
        raise RecipeError(
            f"the network {kind} fails on one point: {wanted}. It says: {_in_short(error)}."
        ) from error
    shape: Any = getattr(value, "shape", None)
    if shape != (problem.m,):
        given = f"shape {shape}" if shape is not None else with_article(type(value).__name__)
        raise RecipeError(f"the network {kind} returns {given}: {wanted}.")
    _check_field(problem, model, dtype)
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise RecipeError(f"the network {kind} returns {value.dtype}: {wanted} of real numbers.")
    at = jax.ShapeDtypeStruct((d,), dtype)
    if narrow := _narrower(jax.make_jaxpr(lambda z: model(z))(at).jaxpr, dtype):
        raise RecipeError(
            f"the network {kind} computes in {narrow} whatever its parameters are, here {dtype}, "
            "so that digits are lost: make its layers without dtype= or with "
            f"dtype=jnp.{dtype}, or do without what needs {dtype}, as diagnostics do."
        )
    if any(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in _state_leaves(model)):
        raise RecipeError(
            f"the network {kind} keeps random keys, as nnx.Dropout(rngs=...) does, which no entry "
            "can hold: leave these layers out, or make them without rngs."
        )

    for leaf in jax.tree.leaves(nnx.state(model)):
        if getattr(getattr(leaf, "dtype", None), "kind", "") not in tuple("fiub"):
            given = getattr(leaf, "dtype", None) or with_article(type(leaf).__name__)
            raise RecipeError(
                f"the network {kind} keeps {given} in a Variable, which no entry can hold: keep "
                "arrays of real or whole numbers, or plain attributes."
            )


def _narrower(jaxpr: Any, dtype: Any) -> Any:
    """The type of fewer digits than `dtype` to which a program casts, or None."""
    for equation in steps_of(jaxpr):
        new = equation.params.get("new_dtype")
        if equation.primitive.name == "convert_element_type" and _is_narrower(new, dtype):
            source = equation.invars[0].aval.dtype
            if jnp.issubdtype(source, jnp.floating) and _is_narrower(new, source):
                return new
    return None


def _is_narrower(new: Any, old: Any) -> bool:
    return jnp.issubdtype(new, jnp.floating) and jnp.finfo(new).bits < jnp.finfo(old).bits


def _state_leaves(model: nnx.Module) -> list[Any]:
    """All arrays of a module, of which some may be random keys."""
    return [leaf for leaf in jax.tree.leaves(nnx.state(model)) if hasattr(leaf, "dtype")]


def _check_field(problem: Problem, model: Any, dtype: Any) -> None:
    """Raise unless ansatz and symmetry, and the reference, give the components too.

    Raises:
        RecipeError: One of them has another shape.
    """
    _check_around(problem, model, dtype)
    _check_reference(problem)


def _check_around(problem: Problem, network: PointFunction, dtype: Any) -> None:
    """Raise unless ansatz and symmetry, as far as there are some, give the components.

    Raises:
        RecipeError: They have another shape.
    """
    bare = problem.ansatz is None and problem.symmetry is None
    what = "network" if bare else "ansatz or symmetry"
    _check_components(problem, what, lambda z: problem.constrain(network)(z), dtype)


@functools.lru_cache(maxsize=256)
def _check_reference(problem: Problem) -> None:
    function = getattr(problem.reference, "function", None)
    # A solution that computes many points at once may not be one that JAX can follow.
    if function is not None and not hasattr(function, "many"):
        _check_components(problem, "reference", function, float)


def _traced(problem: Problem, what: str, function: Any, *inputs: Any) -> tuple[Flow, Any]:
    """What a function of one point does, and shape and type of what it returns.

    Nothing is computed.

    Raises:
        RecipeError: The function fails with an error of its own, or takes a coordinate that the
            point does not have.
    """
    try:
        program, value = jax.make_jaxpr(function, return_shape=True)(*inputs)
    except RecipeError as error:
        # Such as that of a prescribed value, which does not know whose it is.
        raise RecipeError(f"in the {what} of {problem.name}, {error}") from None
    except PinnzooError:
        raise
    except Exception as error:
        raise RecipeError(
            f"the {what} of {problem.name} fails on a point of shape ({problem.d},): "
            f"{_in_short(error)}."
        ) from error
    flow = flow_of(program)
    if flow.beyond:
        index, length = flow.beyond[0]
        each = ", ".join(f"z[{k}] is {letter}" for k, letter in enumerate(problem.coords))
        raise RecipeError(
            f"the {what} of {problem.name} takes index {index} of an axis of length {length}, in "
            f"whose place JAX would take another without a word: the last one is {length - 1}, and "
            f"of the point {each}."
        )
    return flow, value


def _check_components(problem: Problem, what: str, function: Any, dtype: Any) -> None:
    at = jax.ShapeDtypeStruct((problem.d,), dtype)
    _, found = _traced(problem, what, function, at)
    shape = getattr(found, "shape", None)
    if jnp.issubdtype(getattr(found, "dtype", dtype), jnp.complexfloating):
        raise RecipeError(
            f"the {what} of {problem.name} returns complex numbers: make real and imaginary part "
            "components of their own, each a real number."
        )
    if shape != (problem.m,):
        raise RecipeError(
            f"the {what} of {problem.name} returns shape {shape}: return shape ({problem.m},), "
            f"one value for each of {', '.join(problem.components)}."
        )


def _maps_a_batch(
    shape_for: Callable[[tuple[int, ...]], Any], sizes: tuple[int, int], batch: int = 7
) -> bool:
    """Whether the network takes `(n, d)` to `(n, m)`."""
    d, m = sizes
    try:
        return shape_for((batch, d)).shape == (batch, m)
    except Exception:
        return False


def _in_short(error: Exception) -> str:
    """What to do about somebody else's error, or its type and first words, without a full stop."""
    text = " ".join(str(error).split())
    if isinstance(error, AttributeError) and isinstance(error.obj, Field):
        if error.name in error.obj.unknowns:
            return f"an unknown is read from the field as u.unknowns[{error.name!r}]"
        return "the field is asked for values and derivatives by name, such as u(z, 'u u_x')"
    if isinstance(error, TypeError) and OF_A_TUPLE.search(text):
        return (
            "the field gives a tuple with a value for each name, so unpack it, as in "
            "u_t, u_xx = u(z, 'u_t u_xx')"
        )
    if isinstance(error, TypeError) and "Tracer' object is not callable" in text:
        return "the field comes first and then the point, so write equation(u, z)"
    if isinstance(error, TypeError | AttributeError) and OF_A_POINT.search(text):
        return "a point is an array in the order of the coordinates, so write z[0], z[1]"
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return "`if` asks for a value that is not known yet, so use jnp.where(condition, a, b)"
    # math.sin, numpy.sin and float() ask JAX for a number, each in other words.
    if isinstance(
        error, jax.errors.ConcretizationTypeError | jax.errors.TracerArrayConversionError
    ) or (isinstance(error, TypeError) and ("Tracer" in text or "scalar array" in text)):
        return (
            "a number was asked for that is not known yet, as functions of math, numpy and scipy "
            "do, so use those of jax.numpy, such as jnp.sin, and jnp.interp for a table"
        )
    if isinstance(error, TypeError) and "argument: 'names'" in text:
        return "the field was called without names, so ask for them, such as u(z, 'u u_x')"
    if isinstance(error, TypeError) and "Recorder.__call__() takes" in text:
        return "the field takes the point as a whole and names, so write u(z, 'u u_x')"
    words = textwrap.shorten(text, 200, placeholder=" [...]").rstrip(".")
    return f"{type(error).__name__}, {words}" if words else type(error).__name__
