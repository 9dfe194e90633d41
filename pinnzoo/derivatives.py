"""A field: a function of one point that is asked for its derivatives by name."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import jet

from pinnzoo._typing import HostPoint, Point, PointFunction, Scalar, WholePoint
from pinnzoo.errors import PointsError, UnknownNameError

T = TypeVar("T")

Names: TypeAlias = str | Sequence[str]
"""Names of values and derivatives: in one string, separated by spaces, or in several."""

MANY = 6
"""Axes from which on their derivatives of one order are taken side by side. A program with a copy
of the network for each of ten axes takes long to compile, and its Hessian fills the memory."""

TAYLOR = 5
"""Order from which on derivatives are coefficients of a Taylor expansion (Griewank and Walther,
"Evaluating derivatives", 2008, chapter 13). Jacobians of eighth derivatives of a small network
compiled in 8 s in place of 77; up to the fourth order both are alike."""


@dataclass(frozen=True)
class Field:
    """The unknown function of a problem, as the equation sees it.

    `field(z, "u u_t u_xx")` gives the three scalars in that order. A name is a component, or a
    component, an underscore and one coordinate letter per derivative. The order of mixed letters
    does not matter. Derivatives along one axis share one nest of forward-mode passes, so that
    asking for `u`, `u_x` and `u_xx` costs what `u_xx` costs.

    Attributes:
        function: Maps a point `(d,)` to the components `(m,)`.
        components: One name per component.
        coords: One letter per coordinate.
        unknowns: Values of the problem's unknown coefficients by name, such as
            `u.unknowns["viscosity"]`: numbers that are trained with the network.

    Example:
        >>> u = Field(lambda z: jnp.array([z[0] * z[1] ** 2]), ("u",), "tx")
        >>> [float(value) for value in u(jnp.array([2.0, 3.0]), "u u_t u_tx u_xx")]
        [18.0, 9.0, 6.0, 4.0]
    """

    function: PointFunction
    components: tuple[str, ...]
    coords: str
    unknowns: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "unknowns", _Coefficients(self.unknowns))

    def __call__(self, z: Point | HostPoint | WholePoint, names: Names) -> tuple[Scalar, ...]:
        """Values and derivatives at the point `z`, one scalar per name.

        Args:
            z: The point, `(d,)`.
            names: Separated by spaces, such as "u u_x", or in a list.

        Raises:
            UnknownNameError: A component or a coordinate that the problem does not have.
            PointsError: It is not one point.
        """
        requests = [self._parse(name) for name in names_in(names)]
        z = one_point(real_point(z), len(self.coords))
        towers: dict[str, list[jax.Array]] = {}
        for path in sorted({path for _, path in requests}, key=len, reverse=True):
            if any(known.startswith(path) for known in towers if _is_pure(known)):
                continue
            if not _is_pure(path):
                towers[path] = [self._mixed(path, z)]
            elif len(alike := _of_length(len(path), requests)) >= MANY:
                towers |= self._side_by_side(alike, z)
            else:
                towers[path] = _tower(self.function, len(path), self._direction(z, path))(z)
        return tuple(_lookup(towers, path)[component] for component, path in requests)

    def _parse(self, name: str) -> tuple[int, str]:
        check_names(name, self.components, self.coords)
        component, _, letters = name.partition("_")
        return self.components.index(component), "".join(sorted(letters))

    def _direction(self, z: Point, path: str) -> Point:
        axis = self.coords.index(path[0]) if path else 0
        return jnp.zeros_like(z).at[axis].set(1.0)

    def _side_by_side(self, paths: list[str], z: Point) -> dict[str, list[jax.Array]]:
        """The towers along several axes, by one program."""
        directions = jnp.stack([self._direction(z, path) for path in paths])
        along = jax.vmap(lambda direction: _tower(self.function, len(paths[0]), direction)(z))
        levels = along(directions)
        return {path: [level[k] for level in levels] for k, path in enumerate(paths)}

    def _mixed(self, path: str, z: Point) -> jax.Array:
        function: Callable[[Point], jax.Array] = self.function
        for letter in path:
            function = functools.partial(_directional, function, self._direction(z, letter))
        return function(z)


@dataclass(frozen=True)
class Recorder(Field):
    """A field that differentiates nothing and is zero, so that tracing an equation with it is fast.

    Attributes:
        asked: The names it was asked for.
        scale: Of what it says; where it is an input of a traced function, the program tells what
            depends on the field.
    """

    asked: set[str] = field(default_factory=set, compare=False)
    scale: Any = field(default=0.0, compare=False)

    def __call__(self, z: Point | HostPoint | WholePoint, names: Names) -> tuple[Scalar, ...]:
        """Zeros, as many as there are names.

        Raises:
            UnknownNameError: A component or a coordinate that the problem does not have.
            PointsError: It is not one point.
        """
        check_names(names, self.components, self.coords)
        self.asked.update(names_in(names))
        at = one_point(real_point(z), len(self.coords))
        return (stand_in(self.scale, at),) * len(names_in(names))


def stand_in(scale: Any, z: Point) -> Scalar:
    """A number in the place of a field, of which all derivatives depend on the scale."""
    return jnp.sin(scale * z.sum()).astype(z.dtype)


def one_point(z: T, d: int) -> T:
    """The point, where it is one.

    Raises:
        PointsError: It has another shape, of which JAX would make something.
    """
    given: Any = z
    if (shape := jnp.shape(given)) != (d,):
        raise PointsError(
            f"points of shape {shape} were given to a field: it takes one point of shape ({d},), "
            "so give that, or use jax.vmap for many, or entry.predict."
        )
    return z


def real_point(z: Point | HostPoint | WholePoint) -> Point:
    """The point with real coordinates: an equation may name one in whole numbers, such as (0, 0).

    Example:
        >>> real_point(jnp.array([0, 1])).dtype == jnp.zeros(0).dtype
        True
    """
    z = jnp.asarray(z)
    return z if jnp.issubdtype(z.dtype, jnp.floating) else z.astype(float)


class _Coefficients(dict[str, Any]):
    """Values by name, of which one that is not there is told from those that are."""

    def __missing__(self, name: str) -> Any:
        raise UnknownNameError.of("coefficient", name, self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self:
            raise AttributeError(name)
        raise UnknownNameError(
            f"the coefficient {name!r} is read by its name in brackets, as u.unknowns[{name!r}]."
        )


def names_in(names: Names) -> list[str]:
    """Single names of values and derivatives, which may come separated by spaces or commas.

    Raises:
        UnknownNameError: They are neither a string nor strings.

    Example:
        >>> names_in("u u_x"), names_in(["u", "u_x"])
        (['u', 'u_x'], ['u', 'u_x'])
    """
    given = [names] if isinstance(names, str) else list(names) if np.iterable(names) else []
    if not given or not all(isinstance(name, str) for name in given):
        raise UnknownNameError(
            f"{names!r} was asked of a field: give names of values and derivatives in a string, "
            "such as 'u u_x'."
        )
    return [single for name in given for single in name.replace(",", " ").split()]


def check_names(names: Names, components: tuple[str, ...], coords: str) -> None:
    """Raise unless every one of `names`, such as "u u_x", is a value or a derivative.

    Raises:
        UnknownNameError: A component or a coordinate does not exist.
    """
    for name in names_in(names):
        component, underscore, letters = name.partition("_")
        known = component in components and set(letters) <= set(coords)
        if not known or (underscore and not letters):
            raise UnknownNameError(
                f"unknown derivative {name!r}: components are {components}, coordinates are "
                f"{tuple(coords)}, so write for example '{components[0]}_{coords[-1]}'."
            )


def check_letters(name: str, coords: str) -> None:
    """Raise unless `name` is one value, or one derivative along some of `coords`.

    Raises:
        UnknownNameError: It has another coordinate, or is not one name.
    """
    if len(name.split()) != 1:
        raise UnknownNameError(
            f"the component {name!r} was given: give one name, such as 'u', or 'u_x' for a "
            "derivative."
        )
    check_names(name, (name.partition("_")[0],), coords)


def _directional(function: Callable, direction: Point, z: Point) -> jax.Array:
    return jax.jvp(function, (z,), (direction,))[1]


def _tower(function: Callable, order: int, direction: Point) -> Callable[[Point], list[jax.Array]]:
    """`z -> [f, f', ..., f^(order)]` along `direction`."""
    nested = _nested_tower(function, order, direction)
    if order < TAYLOR:
        return nested

    def expanded(z: Point) -> list[jax.Array]:
        series = [direction, *[jnp.zeros_like(direction)] * (order - 1)]
        try:
            value, derivatives = jet.jet(function, (z,), (series,))
        except Exception:
            # There is no rule for something in the function, or the function itself fails.
            return nested(z)
        return [value, *derivatives]

    return expanded


def _nested_tower(
    function: Callable, order: int, direction: Point
) -> Callable[[Point], list[jax.Array]]:
    """The same by nested forward mode, whose programs double in length with each order."""

    def level(k: int) -> Callable[[Point], list[jax.Array]]:
        if k == 0:
            return lambda z: [function(z)]

        def raised(z: Point) -> list[jax.Array]:
            values, slopes = jax.jvp(level(k - 1), (z,), (direction,))
            return [*values, slopes[-1]]

        return raised

    return level(order)


def _of_length(order: int, requests: list[tuple[int, str]]) -> list[str]:
    """The different derivatives of one order along one axis each that are asked for."""
    return sorted({path for _, path in requests if len(path) == order and _is_pure(path)})


def _is_pure(path: str) -> bool:
    return len(set(path)) <= 1


def _lookup(towers: dict[str, list[jax.Array]], path: str) -> jax.Array:
    if not _is_pure(path):
        return towers[path][0]
    for known, tower in towers.items():
        if _is_pure(known) and known.startswith(path):
            return tower[len(path)]
    raise AssertionError(path)
