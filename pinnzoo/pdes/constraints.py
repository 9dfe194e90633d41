"""Conditions that a network meets by construction: the ansatz and symmetries around it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo._typing import Point, PointFunction, Values
from pinnzoo.errors import RecipeError
from pinnzoo.pdes.conditions import Condition

Ansatz: TypeAlias = Callable[[Point, Values], Values]
"""`(z, network output) -> field values` that meet some conditions whatever the network says."""

Symmetry: TypeAlias = Callable[[PointFunction], PointFunction]

CONSTRAINTS = ("soft", "hard")

AXIS = ("coordinate", "such as domain.axis('x')")
COMPONENT = ("component", "such as 0 for the first of the problem's components")
"""What a symmetry is told by an index, and an example."""


def check_constraints(constraints: str, *more: str) -> bool:
    """Check the argument `constraints`: False if it is "soft", True for any other word.

    Args:
        constraints: What was given.
        more: What this problem offers besides "soft" and "hard".

    Raises:
        RecipeError: It is none of these.

    Example:
        >>> check_constraints("hard"), check_constraints("soft")
        (True, False)
    """
    allowed = (*CONSTRAINTS, *more)
    if constraints not in allowed:
        words = " and ".join(map(repr, allowed)) if not more else ", ".join(map(repr, allowed))
        raise RecipeError(f"constraints={constraints!r} was given: allowed are {words}.")
    return constraints != "soft"


def constrained(
    constraints: str,
    ansatz: Ansatz,
    *,
    met: Sequence[Condition],
    kept: Sequence[Condition] = (),
    corners: PointFunction | None = None,
) -> dict[str, Any]:
    """The arguments "conditions" and "ansatz" of a `Problem` with soft or hard constraints.

    Args:
        constraints: "soft" makes all conditions residuals, and so does "corners", which adds to the
            network what the solution's derivatives become infinite by; any other word, checked with
            `check_constraints` before, leaves those to the ansatz that it meets.
        ansatz: Meets the conditions `met` whatever the network says.
        met: Conditions that the ansatz meets.
        kept: Conditions that stay residuals with the ansatz too; they come after `met`.
        corners: What "corners" adds to the network, as a function of the point.

    Example:
        >>> start = initial(domain, "u", 0.0)
        >>> wrap = periodic(domain, "u", "x")
        >>> sorted(constrained("hard", lambda z, n: z[0] * n, met=[start], kept=[wrap]))
        ['ansatz', 'conditions']
    """
    if constraints == "soft":
        return {"conditions": (*met, *kept)}
    if constraints == "corners":
        assert corners is not None, "a problem that offers them says what they are"
        return {"conditions": (*met, *kept), "ansatz": lambda z, network: corners(z) + network}
    return {"conditions": tuple(kept), "ansatz": ansatz}


@dataclass(frozen=True)
class ConstantAlong:
    """See `constant_along`.

    Attributes:
        axis: Index of the coordinate.
        components: Indices of the components.
        at: Where the coordinate is when they are taken from the network; None before the domain is
            known.
    """

    axis: int
    components: tuple[int, ...]
    at: float | None = None

    def check(self, d: int, m: int) -> None:
        """Raise unless there are such a coordinate, of d, and such components, of m.

        Raises:
            RecipeError: There are not.
        """
        _check_index(self.axis, d, AXIS)
        for component in self.components:
            _check_index(component, m, COMPONENT)

    def inside(self, low: float, high: float) -> "ConstantAlong":
        """The same with a place between two bounds: zero, or their middle if that is outside.

        A place that is known stays, so that all windows of time have the same.
        """
        if self.at is not None:
            return self
        return replace(self, at=0.0 if low <= 0 <= high else (low + high) / 2)

    def __call__(self, network: PointFunction) -> PointFunction:
        """The network with these components constant along the coordinate."""

        def function(z: Point) -> Values:
            values = network(z)
            m = values.shape[0]
            self.check(z.shape[0], m)
            still = network(z.at[self.axis].set(self.at or 0.0))
            fixed = np.isin(np.arange(m), np.asarray(self.components, int) % m)
            return jnp.where(fixed, still, values)

        return function


def constant_along(axis: int, components: Sequence[int]) -> Symmetry:
    """Makes some components of a network independent of one coordinate.

    Such as a coefficient of the equation that is a component of its own and does not change in
    time. These components are taken from the network where the coordinate is zero; a problem on
    whose domain it never is takes them from the middle.

    Args:
        axis: Index of the coordinate; `domain.axis("t")` gives it.
        components: Indices of the components.

    Raises:
        RecipeError: They are no whole numbers; those that the problem does not have are refused
            with the problem.

    Example:
        >>> still = constant_along(domain.axis("t"), [1])(lambda z: jnp.array([z[0], z[0]]))
        >>> still(jnp.array([0.25, 0.5])).tolist()
        [0.25, 0.0]
    """
    given: Any = components
    single = isinstance(given, str) or not np.iterable(given)
    each: tuple[Any, ...] = (given,) if single else tuple(given)
    for component in each:
        _check_index(component, None, COMPONENT)
    _check_index(axis, None, AXIS)
    return ConstantAlong(axis, each)


def odd_in(axis: int, about: float = 0.0) -> Symmetry:
    """Makes a network odd in one coordinate, by `½ (N(z) - N(z'))` with z' the mirror image of z.

    Args:
        axis: Index of the coordinate; `domain.axis("x")` gives it.
        about: Where the mirror stands; the network is asked beyond it. A domain that does not lie
            evenly about it asks for a network that is periodic in this coordinate.

    Raises:
        RecipeError: The axis is no whole number, or the network is asked at a point without such a
            coordinate.

    Example:
        >>> odd = odd_in(1)(lambda z: z[1:] + 5.0)
        >>> float(odd(jnp.array([0.0, 2.0]))[0])
        2.0
    """
    _check_index(axis, None, AXIS)

    def symmetrize(network: PointFunction) -> PointFunction:
        def odd(z: Point) -> Values:
            _check_index(axis, z.shape[0], AXIS)
            # Both at once: a network that is written twice takes twice as long to compile.
            here, there = jax.vmap(network)(jnp.stack([z, z.at[axis].set(2 * about - z[axis])]))
            return 0.5 * (here - there)

        return odd

    return symmetrize


def _check_index(index: Any, count: int | None, of: tuple[str, str]) -> None:
    """Raise unless an index is a whole number and, where their number is known, that of one.

    Raises:
        RecipeError: JAX and NumPy would leave out, or take another for, what does not exist.
    """
    kind, example = of
    whole = isinstance(index, int | np.integer) and not isinstance(index, bool)
    if not whole or (count is not None and not -count <= index < count):
        there = "" if count is None else f" of the {count} that there are"
        raise RecipeError(
            f"a symmetry was given the {kind} {index!r}: give the index of a {kind}{there}, "
            f"{example}."
        )
