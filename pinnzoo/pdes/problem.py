"""What a problem is: a domain, an equation, conditions and a reference solution."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnzoo._typing import Point, PointFunction, Scalar, Values
from pinnzoo.derivatives import Field
from pinnzoo.domains import Box, Region, Surface
from pinnzoo.errors import PointsError, RecipeError
from pinnzoo.precision import require_x64
from pinnzoo.registry import check_finite as check_finite
from pinnzoo.registry import check_positive as check_positive

Residual: TypeAlias = Callable[[Field, Point], Scalar]
"""Left minus right side at one point. Equations and conditions are all of this one type."""

Ansatz: TypeAlias = Callable[[Point, Values], Values]
"""`(z, network output) -> field values` that meet some conditions whatever the network says."""

Symmetry: TypeAlias = Callable[[PointFunction], PointFunction]

CONSTRAINTS = ("soft", "hard")

EQUATION = "equation"
"""Name of the term that holds the (first) equation; the others are named by their conditions."""


@dataclass(frozen=True)
class Condition:
    """A residual on a region: an initial, boundary or periodic condition, or a further equation.

    Attributes:
        name: Short and unique in its problem, such as "initial".
        residual: Vanishes where the condition holds.
        region: Where points are drawn: a face or several of the domain, or all of it for an
            equation.
    """

    name: str
    residual: Residual
    region: Region


@dataclass(frozen=True)
class Reference:
    """The solution that networks are measured against, and how far it can be trusted.

    Attributes:
        function: The solution at one point, `(d,) -> (m,)`, differentiable, in float64.
        method: How it is computed, one phrase.
        refined: The same solution computed more finely, or None for a closed form.
    """

    function: PointFunction
    method: str
    refined: PointFunction | None = None

    def __call__(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n m"]:
        """The solution at the points, computed in chunks.

        Raises:
            PrecisionError: JAX would silently compute it in float32.
        """
        require_x64("a reference solution")
        return evaluate_function(self.function, points)

    def certified_error(self, points: Float[np.ndarray, "n d"]) -> float:
        """Relative L2 error of the reference itself over `points`, measured and not assumed.

        The larger of two figures: the change under refinement (where there is a refined
        solution), and the change when every coordinate moves by one unit in the last place,
        which is what rounding can do to a closed form.

        Raises:
            PrecisionError: JAX would silently compute in float32, where that move is lost and
                the error of a closed form would come out as zero.
        """
        values = self(points)
        changes = [self(np.nextafter(points, np.inf)) - values]
        if self.refined is not None:
            changes.append(evaluate_function(self.refined, points) - values)
        norm = np.linalg.norm(values)
        return float(max(np.linalg.norm(change) for change in changes) / norm)


@dataclass(frozen=True)
class Problem:
    """A partial differential equation with everything needed to train and to judge a network.

    Attributes:
        name: The name that entries start with.
        title: One line for tables and cards.
        domain: Space-time box; its letters name the coordinates.
        components: Names of the unknowns.
        equation: Residual of the equation inside of the domain; of a system, the first one.
        conditions: Residuals on the boundary. Empty where `ansatz` meets all of them.
        reference: The solution.
        evaluation_shape: Shape of the uniform grid on which the stated errors are measured; fine
            enough to resolve the thinnest layer of the solution.
        arguments: What the factory was called with.
        citation: Source of the setting.
        ansatz: Hard constraints, or None.
        system: Residuals of the other equations of a system, each over the whole domain.
        symmetry: Takes a network to one with the symmetry of the solution, or None. It comes
            before the ansatz.
        time_order: Order of the equation in time, 2 where velocities are prescribed too.
    """

    name: str
    title: str
    domain: Box
    components: tuple[str, ...]
    equation: Residual
    conditions: tuple[Condition, ...]
    reference: Reference
    evaluation_shape: tuple[int, ...]
    arguments: Mapping[str, float | str] = field(default_factory=dict)
    citation: str = ""
    ansatz: Ansatz | None = None
    system: tuple[Condition, ...] = ()
    symmetry: Symmetry | None = None
    time_order: int = 1

    @property
    def terms(self) -> dict[str, Condition]:
        """All residuals by name: the equations first, then the conditions."""
        first = Condition(EQUATION, self.equation, self.domain)
        return {term.name: term for term in (first, *self.system, *self.conditions)}

    @property
    def coords(self) -> str:
        """One letter per column of a point array."""
        return self.domain.coords

    @property
    def d(self) -> int:
        """Number of coordinates."""
        return self.domain.d

    @property
    def m(self) -> int:
        """Number of components."""
        return len(self.components)

    def field(self, function: PointFunction) -> Field:
        """Wrap a function of one point so that derivatives can be asked for by name."""
        return Field(function, self.components, self.coords)

    def between(self, first: float, last: float, before: PointFunction | None) -> "Problem":
        """The same problem on a window of time, the first coordinate.

        Conditions that hold at other times are left out. Where the window begins, every component
        has to meet the solution before it, and so has its velocity where the equation is of second
        order in time, in conditions called "join_" and the component, such as "join_u_t".

        Args:
            first: When the window begins.
            last: When it ends.
            before: Field values up to `first`, or None where the window begins with the domain.

        Raises:
            PointsError: The window is empty, or the problem has no time to divide.
        """
        time = self.coords[0]

        def clip(terms: tuple[Condition, ...]) -> tuple[Condition, ...]:
            clipped = [(term, term.region.within(time, first, last)) for term in terms]
            return tuple(replace(term, region=part) for term, part in clipped if part is not None)

        window = self.domain.within(time, first, last)
        if window is None or (before is not None and time != "t"):
            raise PointsError(
                f"a window from {first} to {last} was given: {self.name} has times from "
                f"{self.domain.lower[0]} to {self.domain.upper[0]}."
            )
        joins: tuple[Condition, ...] = ()
        if before is not None:
            slopes = ("", "_t")[: self.time_order]
            met = [component + slope for slope in slopes for component in self.components]
            start, earlier = window.face(time, first), self.field(before)
            joins = tuple(Condition(f"join_{c}", _meets(earlier, c), start) for c in met)
        return replace(
            self,
            domain=window,
            system=clip(self.system),
            conditions=(*clip(self.conditions), *joins),
        )

    def constrain(self, network: PointFunction) -> PointFunction:
        """The network with the problem's symmetry and ansatz around it, or the network itself."""
        if self.symmetry is not None:
            network = self.symmetry(network)
        if self.ansatz is None:
            return network
        ansatz = self.ansatz
        return lambda z: ansatz(z, network(z))

    def evaluation_points(self, coarsen: int = 1) -> Float[np.ndarray, "n d"]:
        """The grid of `evaluation_shape`, every `coarsen`-th line of it kept, two at least."""
        shape = tuple(max((k - 1) // coarsen + 1, 2) for k in self.evaluation_shape)
        return self.domain.grid(shape)

    def check_points(self, points: object) -> Float[np.ndarray, "n d"]:
        """`points` as a float64 array of shape `(n, d)`.

        Raises:
            PointsError: The shape is not `(n, d)`, or an entry is not a finite number.
        """
        columns = ", ".join(self.coords)
        wanted = f"{self.name} takes an array of shape (n, {self.d}) with columns ({columns})"
        try:
            array = np.asarray(points, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise PointsError(f"points that are not real numbers were given: {wanted}.") from error
        if array.ndim != 2 or array.shape[1] != self.d:
            raise PointsError(f"points of shape {array.shape} were given: {wanted}.")
        finite = np.isfinite(array).all(axis=1)
        if not finite.all():
            raise PointsError(
                f"{int((~finite).sum())} of {len(array)} points are NaN or infinite, the first in "
                f"row {int(np.argmin(finite))}: {wanted} of finite numbers."
            )
        return array


def check_constraints(constraints: str, *more: str) -> bool:
    """Whether `constraints` puts the conditions into the ansatz: all but "soft" do.

    Args:
        constraints: What was given.
        more: What this problem offers besides "soft" and "hard".

    Raises:
        RecipeError: It is none of these.
    """
    allowed = (*CONSTRAINTS, *more)
    if constraints not in allowed:
        words = " and ".join(map(repr, allowed)) if not more else ", ".join(map(repr, allowed))
        raise RecipeError(f"constraints={constraints!r} was given: allowed are {words}.")
    return constraints != "soft"


def _meets(before: Field, component: str) -> Residual:
    """`component` (a value or a derivative such as "u_t") equals what another field has there."""

    def residual(u: Field, z: Point) -> Scalar:
        return u(z, component)[0] - before(z, component)[0]

    return residual


def odd_in(axis: int) -> Symmetry:
    """Makes a network odd in one coordinate about zero, by `½ (N(z) - N(z'))`."""

    def symmetrize(network: PointFunction) -> PointFunction:
        return lambda z: 0.5 * (network(z) - network(z.at[axis].multiply(-1.0)))

    return symmetrize


def prescribe(
    region: Region, component: str, value: float | Callable[[Point], Array], name: str
) -> Condition:
    """`component` (a value or a derivative such as "u_t") equals `value` on `region`.

    Args:
        region: Where it holds.
        component: What is prescribed.
        value: A number, or a function of the point.
        name: Name of the condition.
    """

    def residual(u: Field, z: Point) -> Scalar:
        (prescribed,) = u(z, component)
        return prescribed - (value(z) if callable(value) else value)

    return Condition(name, residual, region)


def initial(
    domain: Box, component: str, profile: Callable[..., Array], name: str = "initial"
) -> Condition:
    """`component` (a value or a derivative such as "u_t") equals `profile` at the first time.

    Args:
        domain: Space-time box whose first coordinate is t.
        component: What is prescribed.
        profile: Its value as a function of the coordinates of space, `profile(x)` or
            `profile(x, y)`.
        name: Name of the condition.
    """
    start = domain.face("t", domain.bounds("t")[0])
    return prescribe(start, component, lambda z: profile(*z[1:]), name)


def dirichlet(
    domain: Box,
    component: str,
    coord: str,
    side: str,
    value: float | Callable[[Point], Array] = 0.0,
) -> Condition:
    """`component` equals `value` on the "left" (lower) or "right" (upper) face of `coord`."""
    bound = domain.bounds(coord)[("left", "right").index(side)]
    return prescribe(domain.face(coord, bound), component, value, side)


def periodic(domain: Box, component: str, coords: str, name: str = "periodic") -> Condition:
    """`component` agrees on the two faces of every one of `coords`."""
    faces = tuple(domain.face(coord, domain.bounds(coord)[0]) for coord in coords)
    wrapped = np.isin(list(domain.coords), list(coords))

    def residual(u: Field, z: Point) -> Scalar:
        low, high = jnp.asarray(domain.lower, z.dtype), jnp.asarray(domain.upper, z.dtype)
        opposite = jnp.where(wrapped & (z == low), high, z)
        return u(z, component)[0] - u(opposite, component)[0]

    return Condition(name, residual, faces[0] if len(faces) == 1 else Surface(faces))


def evaluate_function(
    function: PointFunction, points: Float[np.ndarray, "n d"], chunk: int = 16384
) -> Float[np.ndarray, "n m"]:
    """`function` at every point, in chunks of one shape so that it is compiled once."""
    if len(points) == 0:
        raise PointsError("an array of no points was given: give at least one.")
    batched = _batched(function)
    chunk = min(chunk, 1 << (len(points) - 1).bit_length())
    pieces = []
    for start in range(0, len(points), chunk):
        piece = points[start : start + chunk]
        padded = np.concatenate([piece, np.tile(piece[-1:], (chunk - len(piece), 1))])
        pieces.append(np.asarray(batched(padded), dtype=np.float64)[: len(piece)])
    return np.concatenate(pieces)


@functools.lru_cache(maxsize=64)
def _batched(function: PointFunction) -> Callable:
    return jax.jit(jax.vmap(function))
