"""What a problem is: a domain, an equation, conditions and, where there is one, a reference."""

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnzoo._frozen import FrozenDict
from pinnzoo._typing import Point, PointFunction
from pinnzoo.derivatives import Field, Recorder, check_names, stand_in
from pinnzoo.domains import Domain, Region, sample
from pinnzoo.domains.regions import leaves, turned
from pinnzoo.errors import PointsError, RecipeError, UnknownNameError, require, with_article
from pinnzoo.pdes.conditions import (
    AlongNormal,
    Condition,
    JointResidual,
    Residual,
    Share,
    continuous,
    meets,
    require_domain,
    whole,
)
from pinnzoo.pdes.constraints import Ansatz, ConstantAlong, Symmetry
from pinnzoo.pdes.features import Features
from pinnzoo.pdes.orders import time_orders
from pinnzoo.pdes.points import check_points
from pinnzoo.pdes.reference import Reference
from pinnzoo.unknowns import Unknown, values_of

EQUATION = "equation"
"""Name of the term that holds the (first) equation; the others are named by their conditions."""

OBSERVATIONS = "observations"
"""Name of the term that holds what was measured."""

CONDITIONS = "conditions"
"""In a recipe's numbers of points: all terms that are not named."""

RESERVED = {
    OBSERVATIONS: "what was measured",
    CONDITIONS: "all conditions together, where numbers of points are given",
}
"""Names that no equation or condition may have, and what they mean."""

POINTS_PER_AXIS = {1: 2001, 2: 201, 3: 41, 4: 17}
"""Of the default evaluation grid, by number of coordinates."""

SCATTERED = 100_000
"""About so many points has the grid with more coordinates than these; where three per axis would be
twice as many, they are those of a Sobol sequence."""

MOST_EVALUATED = 100_000_000
"""Points at most at which errors are measured."""

THIN = 0.05
"""Share of the box around it below which a domain has points of a Sobol sequence for a grid."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """A partial differential equation with everything needed to train and to judge a network.

    Two problems are equal only if they are one object: an edited factory makes another problem.

    Attributes:
        name: The name that entries start with.
        domain: A box, a shape, or the product of one with time or parameters; its letters name the
            coordinates.
        components: Names of the unknowns.
        equation: Residual of the equation inside of the domain; of a system, the first one, or all
            of them as a tuple whose further ones are named in `system`.
        conditions: Residuals on the boundary. Empty where `ansatz` meets all of them.
        reference: The solution, or None where it is not known: there are no errors then.
        title: One line for tables and cards; by default the name in words.
        statement: Equation, domain and conditions in one line, for cards.
        evaluation_shape: Shape of the uniform grid on which the stated errors are measured; fine
            enough to resolve the thinnest layer of the solution. By default `POINTS_PER_AXIS`. One
            number, with more coordinates than one, is a number of points of a Sobol sequence: in
            many dimensions nearly all points of a grid lie on the boundary.
        arguments: What the factory was called with; `make_problem` fills it in by default.
        citation: Source of the setting.
        ansatz: Hard constraints, or None.
        system: Residuals of the other equations of a system, each over the whole domain: conditions
            of their own, or names of those that `equation` returns after its first. The latter are
            taken at the points of the first one, so that the network and its derivatives are
            evaluated once for all of them.
        symmetry: Takes a network to one with the symmetry of the solution, or None. It comes
            before the ansatz.
        features: Known functions of a point as further inputs of the network, or None. They are
            taken at the point that a symmetry shows the network.
        time_order: Order of the equations in time, up to which derivatives are carried from one
            window of time to the next; 0 reads it off the equations, for each component.
        unknowns: Coefficients that are found with the solution, by name. Equations and conditions
            read their values from the field, as `u.unknowns["viscosity"]`. An unknown that varies
            in space or time is one more component instead, without an equation of its own.
        truth: The values of unknowns where they are known, as in a benchmark.

    Raises:
        RecipeError: Two terms have one name, or a component, an unknown, the grid or the symmetry
            is not usable.
        UnknownNameError: A condition asks for a component or a derivative that does not exist.

    Example:
        >>> domain = Box("tx", (0, 0), (1, 1))
        >>> def equation(u, z):
        ...     u_t, u_xx = u(z, "u_t u_xx")
        ...     return u_t - 0.1 * u_xx
        >>> Problem(
        ...     name="insulated_rod",
        ...     domain=domain,
        ...     components=("u",),
        ...     equation=equation,
        ...     conditions=(
        ...         initial(domain, "u", lambda x: jnp.cos(jnp.pi * x)),
        ...         neumann(domain, "u", "x", "left"),
        ...         neumann(domain, "u", "x", "right"),
        ...     ),
        ... )
    """

    name: str
    domain: Domain
    components: tuple[str, ...]
    equation: Residual | JointResidual
    conditions: tuple[Condition, ...] = ()
    reference: Reference | None = None
    title: str = ""
    statement: str = ""
    evaluation_shape: tuple[int, ...] = ()
    arguments: Mapping[str, float | str] = field(default_factory=dict)
    citation: str = ""
    ansatz: Ansatz | None = None
    system: tuple[Condition | str, ...] = ()
    symmetry: Symmetry | None = None
    features: Features | None = None
    time_order: int = 0
    unknowns: Mapping[str, Unknown] = field(default_factory=dict)
    truth: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_domain(self.domain)
        self._check_kinds()
        components = (self.components,) if isinstance(self.components, str) else self.components
        arguments = {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in self.arguments.items()
        }
        conditions, system = (
            tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
            for given in (self.conditions, self.system)
        )
        equation, system = _expanded(self.equation, system, self.domain)
        if not callable(equation):
            raise RecipeError(
                f"{equation!r} was given as the equation of {self.name!r}: give a function of the "
                'field and the point, such as lambda u, z: u(z, "u_t")[0].'
            )
        shape = tuple(map(int, np.atleast_1d(self.evaluation_shape)))
        for key, value in {
            "components": tuple(components),
            "equation": equation,
            "conditions": conditions,
            "system": system,
            "title": self.title or self.name.replace("_", " ").capitalize(),
            "evaluation_shape": shape or _default_shape(self.domain),
            # A problem of the zoo is made once, for everybody.
            "arguments": FrozenDict(arguments),
            "unknowns": dict(self.unknowns),
            "truth": {name: float(value) for name, value in self.truth.items()},
        }.items():
            object.__setattr__(self, key, value)
        if isinstance(self.symmetry, ConstantAlong):
            self.symmetry.check(self.d, self.m)
            bounds = (side[self.symmetry.axis] for side in (self.domain.lower, self.domain.upper))
            object.__setattr__(self, "symmetry", self.symmetry.inside(*bounds))
        if self.features is not None:
            Features.check(self.features, self.name, self.d)
        self._check_domain()
        self._check_components()
        self._check_unknowns()
        self._check_reference()
        self._check_terms()

    def _check_kinds(self) -> None:
        """Raise where an attribute is of a type of which nothing could be made."""
        if not isinstance(self.name, str):
            raise RecipeError(f"name={self.name!r} was given to a problem: give text.")
        components = self.components
        if not isinstance(components, Iterable) or not all(isinstance(c, str) for c in components):
            raise RecipeError(
                f"problem {self.name!r} was given the components {components!r}: give one or more "
                "names, such as ('u', 'v')."
            )
        for name in ("arguments", "unknowns", "truth"):
            given = getattr(self, name)
            if not isinstance(given, Mapping):
                raise RecipeError(
                    f"problem {self.name!r} was given {name}={given!r}: give a dict by name."
                )
        try:
            shape = np.atleast_1d(np.asarray(self.evaluation_shape, float))
        except (TypeError, ValueError):
            shape = np.array([math.nan])
        # Where it is empty, a default is taken.
        whole = shape.size == 0 or (np.isfinite(shape).all() and (shape == np.round(shape)).all())
        if not whole or np.prod(np.abs(shape)) > MOST_EVALUATED:
            raise RecipeError(
                f"problem {self.name!r} was given the evaluation shape {self.evaluation_shape!r}: "
                f"give whole numbers, with up to {MOST_EVALUATED:,} points in all."
            )

    def _check_domain(self) -> None:
        for coord, low, high in zip(self.coords, self.domain.lower, self.domain.upper, strict=True):
            if not low < high:
                raise RecipeError(
                    f"problem {self.name!r} was given a domain with {coord} from {low:g} to "
                    f"{high:g}: give one of some length along each coordinate."
                )

    def _check_components(self) -> None:
        plain = all(c.isidentifier() and "_" not in c for c in self.components)
        if not plain or not self.components or len(set(self.components)) < len(self.components):
            raise RecipeError(
                f"problem {self.name!r} was given the components {self.components}: give one or "
                "more different names of letters and digits, such as ('u', 'v')."
            )
        letters = set(self.components) & set(self.coords)
        if letters:
            raise RecipeError(
                f"problem {self.name!r} was given the component {min(letters)!r}, which is one of "
                f"its coordinates {', '.join(self.coords)}: give it another name."
            )
        if len(self.evaluation_shape) not in (1, self.d) or min(self.evaluation_shape) < 2:
            raise RecipeError(
                f"problem {self.name!r} was given the evaluation shape {self.evaluation_shape}: "
                f"give {self.d} whole numbers, one per coordinate, 2 or more, or the number of "
                "points of a Sobol sequence."
            )

    def _check_reference(self) -> None:
        # A function alone cannot say how far it is from the solution.
        if self.reference is not None and not hasattr(self.reference, "certified_error"):
            raise RecipeError(
                f"problem {self.name!r} was given the reference "
                f"{type(self.reference).__name__}: give a Reference, such as "
                'Reference(function, "closed form"), or None.'
            )

    def _check_unknowns(self) -> None:
        for name, unknown in self.unknowns.items():
            if not (isinstance(name, str) and name.isidentifier() and isinstance(unknown, Unknown)):
                raise RecipeError(
                    f"problem {self.name!r} was given the unknown {name!r}, a "
                    f"{type(unknown).__name__}: give a name of letters, digits and underscores, "
                    "and an Unknown."
                )
        for name, value in self.truth.items():
            low, high = self.unknowns[name].bounds if name in self.unknowns else (np.inf, -np.inf)
            if not low < value < high:
                raise RecipeError(
                    f"problem {self.name!r} was given {value:g} as the truth of {name!r}: give "
                    f"values of its unknowns ({', '.join(self.unknowns) or 'none'}), each between "
                    "its bounds."
                )

    def _check_terms(self) -> None:
        terms = (*self.equations[1:], *self.conditions)
        for term in terms:
            if not isinstance(term, Condition):
                raise RecipeError(
                    f"problem {self.name!r} was given {with_article(type(term).__name__)} among "
                    "its conditions or in system: give conditions, such as "
                    "pinnzoo.dirichlet(...) or pinnzoo.Condition(name, residual, region); further "
                    "equations can also be returned by equation, as a tuple, with their names in "
                    "system."
                )
        counts = Counter([EQUATION, *(term.name for term in terms)])
        doubled = [name for name, count in counts.items() if count > 1]
        if doubled:
            raise RecipeError(
                f"problem {self.name!r} has more than one term named "
                f"{', '.join(map(repr, doubled))}: give every equation and condition a name of "
                f"its own; {EQUATION!r} is that of the first equation."
            )
        for name, meaning in RESERVED.items():
            if name in counts:
                raise RecipeError(
                    f"problem {self.name!r} has a term named {name!r}, which is the name of "
                    f"{meaning}: give it another."
                )
        for term in terms:
            self._check_region(term)
            try:
                check_names(term.asks, self.components, self.coords)
            except UnknownNameError as error:
                raise UnknownNameError(
                    f"condition {term.name!r} of problem {self.name!r}: {error}"
                ) from None

    def _check_region(self, term: Condition) -> None:
        """Raise where a term holds outside of the domain, or has its coordinates in another order.

        Raises:
            RecipeError: It does, or its normal points into the domain.
        """
        region, domain = term.region, self.domain
        if not isinstance(region, Region) or not callable(term.residual):
            raise RecipeError(
                f"condition {term.name!r} of problem {self.name!r} was given "
                f"{with_article(type(term.residual).__name__)} as its residual and "
                f"{with_article(type(region).__name__)} as its region: give a "
                "function of the field and the point first, then a part of the "
                'domain, such as Condition("wall", lambda u, z: u(z, "u")[0], domain.face("x", 0)).'
            )
        lower, upper = np.asarray(domain.lower), np.asarray(domain.upper)
        slack = 1e-9 * (upper - lower + np.abs(lower) + np.abs(upper))
        inside = region.coords == domain.coords and (
            np.all(np.asarray(region.lower) >= domain.lower - slack)
            and np.all(np.asarray(region.upper) <= domain.upper + slack)
        )
        if not inside:
            raise RecipeError(
                f"condition {term.name!r} of problem {self.name!r} holds on a region in "
                f"{region.coords!r} from {tuple(region.lower)} to {tuple(region.upper)}: make it "
                f"of the domain, in {domain.coords!r} from {tuple(domain.lower)} to "
                f"{tuple(domain.upper)}."
            )
        if leaves(region, domain):
            raise RecipeError(
                f"condition {term.name!r} of problem {self.name!r} holds on a region of which some "
                "lies outside of the domain, such as in a hole: make it of the domain itself, and "
                "not of a shape that the domain was made of."
            )
        if isinstance(term.residual, AlongNormal) and turned(region, domain):
            raise RecipeError(
                f"condition {term.name!r} of problem {self.name!r} was made of a shape on the "
                "other side of its region, whose outward normal points into the domain: make it "
                "of the domain itself."
            )

    @property
    def terms(self) -> dict[str, Condition]:
        """All residuals by name: the equations first, then the conditions."""
        return {term.name: term for term in (*self.equations, *self.conditions)}

    @property
    def equations(self) -> tuple[Condition, ...]:
        """The residuals that hold over the whole domain: `equation`, then those of `system`."""
        return Condition(EQUATION, self.equation, self.domain), *self.system  # pyright: ignore

    @property
    def guesses(self) -> dict[str, float]:
        """First guesses of the unknowns: the true values are not for who has to find them."""
        return {name: unknown.initial for name, unknown in self.unknowns.items()}

    def recorder(self, scale: Any = 0.0) -> Recorder:
        """A field that notes what it is asked for, with the first guesses of the unknowns.

        Args:
            scale: See `Recorder`; the unknowns depend on it too.
        """
        guesses = {name: jnp.asarray(value) + scale for name, value in self.guesses.items()}
        # By default not zero everywhere, as if a component were not there.
        at = lambda z: z.sum() if isinstance(scale, float) else stand_in(scale, z)  # noqa: E731
        function = lambda z: jnp.broadcast_to(at(z), (self.m,))  # noqa: E731
        return Recorder(function, self.components, self.coords, guesses, scale=scale)

    def asked(self, *, everywhere: bool = False) -> frozenset[str]:
        """Values and derivatives that are asked of the field, such as "u" and "u_xx".

        Args:
            everywhere: By the conditions as well as by the equations.
        """
        field = self.recorder()
        point = jax.ShapeDtypeStruct((self.d,), jnp.zeros(0).dtype)
        for term in self.terms.values() if everywhere else self.equations:
            jax.eval_shape(functools.partial(term.residual, field), point)
        return frozenset(field.asked)

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

    def field(self, function: PointFunction, unknowns: Mapping[str, Any] | None = None) -> Field:
        """Wrap a function of one point so that derivatives can be asked for by name.

        Args:
            function: Maps a point `(d,)` to the components `(m,)`.
            unknowns: Values of the problem's unknowns; by default the true ones, as far as they
                are known.
        """
        values = self.truth if unknowns is None else unknowns
        return Field(function, self.components, self.coords, values)

    def field_of(self, model: Any) -> Field:
        """The field of a network: symmetry and ansatz around it, and its unknowns beside it."""
        return self.field(self.constrain(model), values_of(model, self.unknowns))

    def between(self, first: float, last: float, before: PointFunction | None) -> "Problem":
        """The same problem on a window of time, the first coordinate.

        Conditions that hold at other times are left out. Where the window begins, every component
        has to meet the solution before it, and so has its velocity where an equation is of second
        order in it, in conditions called "join_" and the component, such as "join_u_t".

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
        if window is None:
            raise PointsError(
                f"a window from {first} to {last} was given: {self.name} has times from "
                f"{self.domain.lower[0]} to {self.domain.upper[0]}."
            )
        if before is not None:
            self._check_time()
        joins: tuple[Condition, ...] = ()
        if before is not None:
            met = self._joined()
            start, earlier = window.face(time, first), self.field(before)
            joins = tuple(meets(earlier, c, start, f"join_{c}") for c in met)
        return replace(
            self,
            domain=window,
            system=clip(self.equations[1:]),
            conditions=(*clip(self.conditions), *joins),
        )

    def joined_at(self, times: Sequence[float]) -> "Problem":
        """The same problem for networks that change at some times, where they have to meet.

        It has further conditions, called "join_", the component and the number of the window that
        begins there, such as "join_u_t_1"; see `between`.

        Args:
            times: Where one window ends and the next one begins.

        Raises:
            PointsError: The problem has no time.
        """
        if not times:
            return self
        self._check_time()
        joins = (
            continuous(c, self.domain.face("t", time), f"join_{c}_{k}", self.domain.length("t"))
            for k, time in enumerate(times, 1)
            for c in self._joined()
        )
        return replace(self, conditions=(*self.conditions, *joins))

    def _check_time(self) -> None:
        """Raise unless the first coordinate is time, along which windows follow one another."""
        if self.coords[0] != "t":
            raise PointsError(
                f"windows of time were given for {self.name}, whose coordinates are "
                f"{', '.join(self.coords)}: windows are for problems whose first coordinate is t."
            )

    def _joined(self) -> list[str]:
        """What is carried from one window of time to the next: values, then velocities."""
        highest = dict.fromkeys(self.components, self.time_order)
        if self.time_order == 0:
            highest = time_orders(self)
        return [
            component + ("_" + "t" * k if k else "")
            for k in range(max(1, *highest.values()))
            for component in self.components
            if k < max(1, highest[component])
        ]

    @property
    def network_bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Lower and upper bounds of what a network takes: the coordinates, then the features."""
        more = ((), ()) if self.features is None else (self.features.lower, self.features.upper)
        return (*self.domain.lower, *more[0]), (*self.domain.upper, *more[1])

    @property
    def network_inputs(self) -> int:
        """How many numbers a network takes: the coordinates and the features."""
        return self.d + (0 if self.features is None else self.features.k)

    def _seen(self, z: Point) -> Float[Array, " i"]:
        """What a network takes of a point: its coordinates, then the features."""
        seen = self.domain.extended(z)
        return seen if self.features is None else jnp.concatenate([seen, self.features.function(z)])

    def constrain(self, network: PointFunction) -> PointFunction:
        """The network with features, symmetry and ansatz around it, as far as there are some."""
        if self.domain.parameters or self.features is not None:
            plain = network
            network = lambda z: plain(self._seen(z))  # noqa: E731
        if self.symmetry is not None:
            network = self.symmetry(network)
        if self.ansatz is None:
            return network
        ansatz = self.ansatz
        return lambda z: ansatz(z, network(z))

    @property
    def scattered(self) -> bool:
        """Whether errors are measured at points of a Sobol sequence, and not on a grid."""
        return len(self.evaluation_shape) < self.d

    def evaluation_weights(self) -> Float[np.ndarray, " n"]:
        """Weights of `evaluation_points()` in a mean over the domain; their sum is one."""
        if self.scattered:
            (n,) = self.evaluation_shape
            return np.full(n, 1 / n)
        return self.domain.grid_weights(self.evaluation_shape)

    def evaluation_points(self, coarsen: int = 1) -> Float[np.ndarray, "n d"]:
        """The grid of `evaluation_shape`, every `coarsen`-th line of it kept, two at least.

        Of a grid over the box around a shape, those points that lie in the shape; of a Sobol
        sequence the first points, one in `coarsen`.
        """
        if self.scattered:
            n = max(self.evaluation_shape[0] // coarsen, 2)
            return sample(self.domain, n, "sobol", np.random.default_rng(0))
        shape = tuple(max((k - 1) // coarsen + 1, 2) for k in self.evaluation_shape)
        return self.domain.grid(shape)

    def check_points(self, points: object, *, inside: bool = False) -> Float[np.ndarray, "n d"]:
        """`points` as a float64 array of shape `(n, d)`.

        Args:
            points: An array of shape `(n, d)` with columns in the order of `coords`, or named
                columns in any order: a pandas or polars data frame, a structured array, or a dict
                of arrays.
            inside: Refuse points outside of the domain.

        Raises:
            PointsError: The shape is not `(n, d)`, the columns have other names, an entry is not
                a finite real number or is masked, or, with `inside`, a point lies outside.

        Example:
            >>> problem.check_points({"x": [0.5, 0.7], "t": [0.0, 0.1]})
        """
        return check_points(points, self.name, self.domain, inside=inside)


def _default_shape(domain: Domain) -> tuple[int, ...]:
    """A grid, or as many points of a Sobol sequence where it would have too many or hardly any."""
    axis = POINTS_PER_AXIS.get(domain.d, max(3, int(SCATTERED ** (1 / domain.d))))
    # How much of the box around it a shape fills takes a while to find out in three dimensions.
    if axis**domain.d > 2 * SCATTERED or getattr(domain, "fill", 1.0) < THIN:
        return (SCATTERED,)
    return (axis,) * domain.d


def _expanded(equation: Any, system: tuple[Any, ...], domain: Domain) -> tuple[Any, Any]:
    """The equation and the system, with the residuals that one function returns as terms each.

    Of a problem whose domain or equation was replaced, the terms that were made here before are
    made anew.
    """

    def named(term: Any) -> str | None:
        shared = isinstance(term, Condition) and isinstance(term.residual, Share)
        return term.name if shared else term if isinstance(term, str) else None

    function = whole(equation)
    names = [name for name in map(named, system) if name is not None]
    if not names:
        return function, system
    count = 1 + len(names)
    shares = {
        name: Condition(name, Share(function, k, count), domain) for k, name in enumerate(names, 1)
    }
    terms = tuple(term if named(term) is None else shares[named(term)] for term in system)  # pyright: ignore
    return Share(function, 0, count), terms


def require_problem(given: Any) -> None:
    """Raise unless a problem was given, and not its name or what makes one.

    Raises:
        RecipeError: It is something else.
    """
    advice = "give a Problem, such as what a factory returns when it is called"
    if isinstance(given, str):
        advice = f"make it first, with pinnzoo.pdes.make_problem({given!r}, {{}})"
    require(given, Problem, "the problem", advice)
