"""One weighted residual vector, from which loss, gradient, Jacobian, NTK and Hessians all come."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from pinnzoo._typing import Jacobian, Point, PointFunction, Points, Residuals, Scalar, Theta
from pinnzoo.domains import Region
from pinnzoo.errors import PointsError, RecipeError
from pinnzoo.pdes import EQUATION as EQUATION
from pinnzoo.pdes import Problem

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
        points: Collocation points, `(n, d)`.
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
        row = jax.grad(self.residual)
        if chunk is None or chunk >= self.n:
            rows = jax.vmap(row, (None, 0))(theta, self.points)
        else:
            rows = jax.lax.map(lambda z: row(theta, z), self.points, batch_size=chunk)
        return jnp.broadcast_to(self.scale, (self.n,))[:, None] * rows


@functools.partial(jax.tree_util.register_dataclass, data_fields=["terms"], meta_fields=["shapes"])
@dataclass(frozen=True)
class Objective:
    """The residual vector r(θ) of a network on a problem, as a function of flat parameters.

    Row i of term k is `√(w_k / n_k) r_k(θ, z_i)`, so that the loss is
    `½ |r|² = ½ Σ_k w_k mean_i r_k(z_i)²`, its gradient is `Jᵀ r`, the Gauss-Newton matrix `Jᵀ J`
    and the neural tangent kernel `J Jᵀ`.

    Points and scales are leaves of the pytree and functions are static: replacing points by
    others of the same shape traces nothing again.

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

    def residual(self, theta: Theta) -> Residuals:
        """r(θ)."""
        return jnp.concatenate([term.rows(theta) for term in self.terms])

    def jacobian(self, theta: Theta, chunk: int | None = None) -> Jacobian:
        """dr/dθ, `(n, p)`; see `Term.jacobian`."""
        return jnp.concatenate([term.jacobian(theta, chunk) for term in self.terms])

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

    def with_points(self, points: Mapping[str, Float[np.ndarray, "n d"]]) -> "Objective":
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
                # A factor of exactly one leaves the scale as it was, bit by bit.
                scale = term.scale * math.sqrt(term.n / len(new))
                term = dataclasses.replace(term, points=new, scale=scale)
            terms.append(term)
        return dataclasses.replace(self, terms=tuple(terms))

    def with_scales(self, scales: Mapping[str, Float[Array, " *n"] | float]) -> "Objective":
        """The same objective with other row scales, for adaptive and causal weights."""
        terms = (
            dataclasses.replace(term, scale=jnp.asarray(scales[term.name], term.points.dtype))
            if term.name in scales
            else term
            for term in self.terms
        )
        return dataclasses.replace(self, terms=tuple(terms))


def regions(problem: Problem) -> dict[str, Region]:
    """Where the points of each term are drawn: the domain, or part of its boundary."""
    return {name: term.region for name, term in problem.terms.items()}


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
            "with part=-1."
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
    """

    theta: Theta
    objective: Objective
    field: Callable[[Theta, Point], Array]
    to_model: Callable[[Theta], nnx.Module]

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
) -> Assembly:
    """Bring a problem, a network and collocation points together.

    The only place where modules and flat parameters meet.

    Args:
        problem: What to solve.
        model: Maps one point to the network's output.
        points: Points `(n, d)` per term: "equation" and each condition's name.
        weights: Loss weight per term, 1 where none is given.

    Returns:
        The assembly; unpack it as `theta, objective, to_model`.

    Raises:
        PointsError: A term has no points or points of the wrong shape, or there are points or
            weights for a term that does not exist.
        RecipeError: A weight is negative or not finite.
    """
    theta, to_model = flatten_model(model)

    def field(vector: Theta, z: Point) -> Array:
        network: PointFunction = to_model(vector)  # pyright: ignore[reportAssignmentType]
        return problem.constrain(network)(z)

    residuals = {name: term.residual for name, term in problem.terms.items()}
    for given, kind in ((points, "points"), (weights or {}, "weights")):
        unknown = set(given) - set(residuals)
        if unknown or (kind == "points" and len(given) < len(residuals)):
            raise PointsError(
                f"{kind} for the terms {sorted(given)} were given: {problem.name} has the terms "
                f"{sorted(residuals)}."
            )

    def term(name: str) -> Term:
        residual = residuals[name]

        def at_point(vector: Theta, z: Point) -> Scalar:
            return residual(problem.field(functools.partial(field, vector)), z)

        drawn = problem.check_points(points[name])
        if len(drawn) == 0:
            raise PointsError(f"term {name!r} was given no points: give at least one.")
        weight = (weights or {}).get(name, 1.0)
        if not (math.isfinite(weight) and weight >= 0):
            raise RecipeError(f"term {name!r} was given the weight {weight}: give zero or more.")
        scale = math.sqrt(weight / len(drawn))
        return Term(
            jnp.asarray(drawn, theta.dtype), jnp.asarray(scale, theta.dtype), name, at_point
        )

    # The same order as in `flatten_model`.
    shapes = tuple(leaf.shape for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    return Assembly(theta, Objective(tuple(map(term, residuals)), shapes), field, to_model)
