"""What was measured: values of some components at some points, and how noisy they are."""

import os
import re
import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pinnzoo._frozen import read_only
from pinnzoo.domains import Box, sample
from pinnzoo.errors import PointsError, UnknownNameError
from pinnzoo.evaluation import require_reference
from pinnzoo.pdes import Problem
from pinnzoo.tabular import read_columns, real_numbers

SIGMA = "sigma"
"""Column of a file that holds standard deviations."""

LIKE_SIGMA = re.compile(r"(^|_)(sigma|std|stdev|stddev|uncertainty|error|err)(_|$)", re.IGNORECASE)
"""Names of columns that look as if they held standard deviations."""


CONSTANT = 1e-9
"""Values that spread by less than this share of their size are constant up to rounding."""


@dataclass(frozen=True, eq=False)
class Observations:
    """Measured values, which a training fits beside the equations.

    They become the term "observations" of the residual vector, with one row for each number: the
    network's value minus the measured one. The points are never drawn anew. Where standard
    deviations are given, the square of a row is weighted by 1/σ², relative to the mean of all 1/σ².
    Where none are, each component is taken to be as noisy as its values spread.

    Where not every component was measured everywhere, the others are NaN, or there are several
    sets of observations, which every function takes as a list.

    Attributes:
        points: Where, `(n, d)`, columns in the order of the problem's coordinates.
        values: What was measured there, `(n, k)`, or `(n,)` for one component; with several, NaN
            is what was not measured.
        components: Names of the k components; by default all of the problem, in their order.
        sigma: Standard deviation of the noise: one number, one for each point `(n,)`, or one for
            each value `(n, k)`, which a data frame names as the components. None where it is not
            known and to be estimated.

    Raises:
        PointsError: The arrays do not fit each other, hold what is no real number, or there is a
            point or a component of which nothing was measured.

    Example:
        ```python
        sensors = pinnzoo.Observations([[0.5, 0.1], [0.5, 0.9]], [1.2, 0.7], components=("u",))
        entry = pinnzoo.train(recipe, observations=sensors)
        ```
    """

    points: Float[np.ndarray, "n d"]
    values: Float[np.ndarray, "n k"]
    components: tuple[str, ...] | None = None
    sigma: Float[np.ndarray, "n k"] | None = None

    def __post_init__(self) -> None:
        if hasattr(self.points, "columns"):
            raise PointsError(
                "observations were given points with named columns, whose names would be lost: "
                "give Observations(problem.check_points(table), ...), which puts them in order."
            )
        points = real_numbers(self.points, "points")
        table, components = _in_order(self.values, self.components)
        several = np.ndim(table) == 2 and np.shape(table)[1] > 1
        values = real_numbers(table, "values", gaps=several)
        values = values[:, None] if values.ndim == 1 else values
        # Times, say: as many as values, and each of one coordinate.
        points = points[:, None] if points.shape == (len(values),) else points
        if points.ndim != 2 or values.ndim != 2 or len(points) != len(values) or not values.size:
            raise PointsError(
                f"observations with points of shape {np.shape(self.points)} and values of shape "
                f"{np.shape(self.values)} were given: give points (n, d) and values (n, k), with "
                "one row for each of one or more points."
            )
        given: Any = (components,) if isinstance(components, str) else components
        names = tuple(given) if np.iterable(given) else None
        if names is None and given is not None:
            raise PointsError(
                f"observations of the components {given!r} were given: give their names, such as "
                "('u', 'v')."
            )
        if names is not None and (len(names) != values.shape[1] or len(set(names)) < len(names)):
            raise PointsError(
                f"observations of {tuple(names)} with {values.shape[1]} columns of values were "
                "given: name each column once."
            )
        bare = [int(np.isnan(values).all(axis=axis).sum()) for axis in (1, 0)]
        if any(bare):
            raise PointsError(
                f"{bare[0]} of {len(points)} points and {bare[1]} of {values.shape[1]} columns of "
                "values without any value were given: leave these out."
            )
        object.__setattr__(self, "points", _frozen(points))
        object.__setattr__(self, "values", _frozen(values))
        object.__setattr__(self, "components", None if names is None else tuple(map(str, names)))
        sigma = _sigma_in_order(self.sigma, self.components)
        object.__setattr__(self, "sigma", _deviations(sigma, ~np.isnan(values)))

    @property
    def n(self) -> int:
        """Number of measured values, which is the number of rows."""
        return int(np.sum(~np.isnan(self.values)))

    @property
    def noise(self) -> float | None:
        """Standard deviation of a value of mean weight; None where no deviations are known."""
        return None if self.sigma is None else _of_mean_weight(self.sigma)

    @property
    def roots(self) -> Float[np.ndarray, "n k"]:
        """Root of the weight of each value, of mean square one.

        Inversely proportional to its standard deviation. Where none is known, each column is taken
        to be as noisy as it spreads: values of a pressure in pascals would leave nothing to those
        of a velocity.
        """
        sigma = self.sigma
        if sigma is None:
            spread = np.nanstd(self.values, axis=0)
            size = np.sqrt(np.nanmean(self.values**2, axis=0))
            own = np.where(spread > CONSTANT * size, spread, size)
            known = own > 0
            sigma = np.where(known, own, own[known].min() if known.any() else 1.0)
            sigma = np.where(np.isnan(self.values), np.nan, sigma)
        return _of_mean_weight(sigma) / sigma

    def check(self, problem: Problem) -> "Observations":
        """The same observations with their components named.

        Raises:
            PointsError: Points have another number of coordinates than those of the problem, or
                lie outside of its domain, or the columns are not its components.
            UnknownNameError: There is no such component.
        """
        # Numbers of float32 may be above a bound such as 2π by its rounding, as everywhere else.
        single = self.points.astype(np.float32)
        rounded = np.array_equal(single, self.points)
        problem.check_points(single if rounded else self.points, inside=True)
        names = problem.components if self.components is None else self.components
        for name in names:
            if name not in problem.components:
                raise UnknownNameError.of("component", name, problem.components)
        if len(names) != self.values.shape[1]:
            raise PointsError(
                f"observations with {self.values.shape[1]} columns of values were given for the "
                f"components {', '.join(names)} of {problem.name}: say with components=(...) which "
                "of them were measured."
            )
        return Observations(self.points, self.values, names, self.sigma)

    def rows(self, problem: Problem) -> Float[np.ndarray, "n d+3"]:
        """One row for each measured value: its point, the value, the component's index, √weight."""
        checked = self.check(problem)
        n, k = checked.values.shape
        index = [problem.components.index(name) for name in checked.components or ()]
        root = checked.roots
        columns = (checked.values.T, np.repeat(np.array(index, float)[:, None], n, 1), root.T)
        table = np.hstack([np.tile(checked.points, (k, 1)), *(c.reshape(-1, 1) for c in columns)])
        return table[~np.isnan(checked.values.T.ravel())]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, for a file; the inverse of `from_arrays`. Components must be named."""
        found: dict[str, np.ndarray] = {"points": self.points}
        for k, name in enumerate(self.components or ()):
            found[f"values/{name}"] = self.values[:, k]
            if self.sigma is not None:
                found[f"sigma/{name}"] = self.sigma[:, k]
        return found

    @classmethod
    def joined(cls, sets: Sequence["Observations"]) -> "Observations":
        """Several sets of observations as one, such as those of sensors for different components.

        Args:
            sets: One or more, each with its components named.

        Raises:
            PointsError: There is none, one does not say what its columns are or has points of
                another number of coordinates, or some have standard deviations and others none.

        Example:
            >>> speeds = Observations([[0.1, 0.2]], [1.0], ("u",))
            >>> pressures = Observations([[0.5, 0.2]], [2.0], ("p",))
            >>> Observations.joined([speeds, pressures]).values
            array([[ 1., nan],
                   [nan,  2.]])
        """
        if not sets or not all(isinstance(each, Observations) for each in sets):
            kinds = ", ".join(type(each).__name__ for each in sets) or "nothing"
            raise PointsError(
                f"observations of {kinds} were to be joined: give one or more Observations."
            )
        widths = {each.points.shape[1] for each in sets}
        if len(widths) > 1:
            raise PointsError(
                f"observations at points of {' and '.join(map(str, sorted(widths)))} coordinates "
                "were to be joined: give all of them those of the problem."
            )
        if any(each.components is None for each in sets):
            raise PointsError(
                "observations without the names of their components were to be joined: give each "
                "of them components=(...)."
            )
        known = [each.sigma is not None for each in sets]
        if any(known) and not all(known):
            raise PointsError(
                f"{sum(known)} of {len(sets)} sets of observations have standard deviations: give "
                "sigma to all of them or to none, since it says how much they count beside each "
                "other."
            )
        names = tuple(dict.fromkeys(name for each in sets for name in each.components or ()))

        def wide(each: "Observations", array: np.ndarray) -> np.ndarray:
            found = np.full((len(array), len(names)), np.nan)
            found[:, [names.index(name) for name in each.components or ()]] = array
            return found

        sigma: Any = [wide(each, each.sigma) for each in sets if each.sigma is not None]
        return cls(
            np.concatenate([each.points for each in sets]),
            np.concatenate([wide(each, each.values) for each in sets]),
            names,
            np.concatenate(sigma) if sigma else None,
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Observations":
        """Observations from the arrays of a file.

        Raises:
            PointsError: They are not complete.
        """
        names = [key.partition("/")[2] for key in arrays if key.startswith("values/")]
        deviations = [arrays[f"sigma/{name}"] for name in names if f"sigma/{name}" in arrays]
        if not names or "points" not in arrays or len(deviations) not in (0, len(names)):
            raise PointsError(
                f"arrays named {', '.join(arrays)} were given: observations have 'points' and, "
                "for each component, 'values/' and its name."
            )
        values = np.stack([arrays[f"values/{name}"] for name in names], axis=1)
        sigma: Any = np.stack(deviations, axis=1) if deviations else None
        return cls(arrays["points"], values, tuple(names), sigma)

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str],
        problem: Problem,
        columns: Mapping[str, str] | None = None,
    ) -> "Observations":
        """Observations from a file with named columns.

        Args:
            path: A text file whose first line has the names, with commas, semicolons or tabs
                between the columns, an ".npz" file, or a ".mat" file of MATLAB up to version 7.
            problem: Its coordinates are columns of the file, and at least one of its components.
                A column "sigma" holds the standard deviation at each point, or columns such as
                "sigma_u" and "sigma_v" those of each component; it is called "std" where a
                component is "sigma". Of several components, a cell that is empty or NaN is what
                was not measured. A column of one number holds for all values, and the axes of a
                grid for the values on it, whose own axes are told apart by their lengths.
            columns: Names of columns in the file, by coordinate, component, "sigma" or "sigma_u",
                where they are other names. A column that is named so is nothing else, whatever it
                is called.

        Raises:
            PointsError: The file cannot be read, or lacks a column, or one is named for two, or
                standard deviations are given for some of the components alone.
            UnknownNameError: `columns` names what the problem does not have.

        Example:
            ```python
            Observations.read("sensors.csv", problem, {"u": "temperature", "t": "time"})
            ```
        """
        sigma_name = SIGMA if SIGMA not in problem.components else "std"
        known = (*problem.coords, *problem.components, sigma_name)
        own_sigma = {name: f"{sigma_name}_{name}" for name in problem.components}
        own_sigma = {name: own for name, own in own_sigma.items() if own not in known}
        known = (*known, *own_sigma.values())
        said = dict(columns or {})
        for name in said:
            if name not in known:
                raise UnknownNameError.of("column", name, known)
        found = read_columns(Path(path).expanduser())
        names = _names_in_file(known, said, problem.coords)
        measured = [name for name in problem.components if names.get(name) in found]
        lacking = [names[c] for c in problem.coords if names[c] not in found]
        lacking += [own for name, own in said.items() if own not in found]
        if lacking or not measured:
            wanted = list(dict.fromkeys(lacking)) or [f"one of {', '.join(problem.components)}"]
            raise PointsError(
                f"the file {str(path)!r} has the columns {', '.join(map(repr, found)) or 'none'}: "
                f"observations of {problem.name} also need {', '.join(map(str, wanted))}, so name "
                "the columns so, or say what they are called with columns={...}, in a shell "
                "--column NAME=COLUMN."
            )
        deviations = _sigma_columns(path, found, names, measured, sigma_name, own_sigma)
        others = [name for name in found if name not in names.values()]
        if not deviations and (near := [n for n in others if LIKE_SIGMA.search(n)]):
            warnings.warn(
                f"the column {near[0]!r} of {str(path)!r} is not read: standard deviations have "
                f"the name {sigma_name!r}, or the one that columns={{{sigma_name!r}: ...}} says.",
                stacklevel=2,
            )
        gaps = {names[c] for c in (*measured, *deviations)} if len(measured) > 1 else set()
        own = {name: found[name](name in gaps) for name in names.values() if name in found}
        own = _on_the_grid_of(own, [names[c] for c in problem.coords])
        largest = max(own.values(), key=np.size)
        # The time of a single snapshot, for instance, is one number for all of it.
        own = {
            name: np.full(largest.shape, array) if array.size == 1 else array
            for name, array in own.items()
        }
        shapes = {name: tuple(n for n in array.shape if n > 1) for name, array in own.items()}
        if len(set(shapes.values())) > 1:
            told = ", ".join(f"{name} {own[name].shape}" for name in own)
            raise PointsError(
                f"the file {str(path)!r} has columns of different shapes ({told}): give one number "
                "in each for every value, as numpy.meshgrid(..., indexing='ij') makes of the axes "
                "of a grid; axes of different lengths may also stand by themselves."
            )
        stack = lambda which: np.stack([own[names[c]].ravel() for c in which], axis=1)  # noqa: E731
        sigma: Any = stack(deviations) if deviations else None
        return cls(stack(problem.coords), stack(measured), tuple(measured), sigma).check(problem)


def _of_mean_weight(sigma: Float[np.ndarray, "n k"]) -> float:
    """The standard deviation of a value of mean weight, where each weighs one over its square."""
    # In units of the smallest, since the square of one over it may overflow.
    least = np.nanmin(sigma)
    return float(least / np.sqrt(np.nanmean((least / sigma) ** 2)))


def _on_the_grid_of(
    columns: Mapping[str, np.ndarray], coords: Sequence[str]
) -> dict[str, np.ndarray]:
    """Columns whose coordinates are the axes of a grid, as papers publish them, with those spread.

    Which axis of a value belongs to which coordinate is told by their lengths. Where two are alike,
    and where there is no such grid, the columns are as they were.

    Args:
        columns: Numbers by name.
        coords: Names of the coordinates, in their order.
    """
    own = {name: np.squeeze(array) for name, array in columns.items()}
    axes = {name: own[name] for name in coords if own[name].size > 1}
    values = {name: array for name, array in own.items() if name not in coords and array.size > 1}
    lengths, shapes = [axis.size for axis in axes.values()], {a.shape for a in values.values()}
    alone = all(axis.ndim == 1 for axis in axes.values()) and len(set(lengths)) == len(lengths)
    if len(axes) < 2 or not alone or [sorted(shape) for shape in shapes] != [sorted(lengths)]:
        return dict(columns)
    order = [next(iter(shapes)).index(length) for length in lengths]
    spread = dict(zip(axes, np.meshgrid(*axes.values(), indexing="ij"), strict=True))
    return {**columns, **spread, **{n: np.transpose(a, order) for n, a in values.items()}}


Measured = Observations | Sequence[Observations]
"""One set of observations, or several in a list."""


COPIES = 0.2
"""Share of the observations from which on copies are told: values that were rounded repeat too."""


def check_observations(given: Any, problem: Problem) -> Observations | None:
    """What was measured with its components named, or None where nothing was.

    Args:
        given: Observations, several of them in a list or tuple, which become one, or None.
        problem: What they are of.

    Raises:
        PointsError: It is not of this problem, or of another type, or cannot be joined.
        UnknownNameError: There is no such component.

    Example:
        >>> check_observations(None, problem) is None
        True
    """
    if isinstance(given, list | tuple) and all(isinstance(g, Observations) for g in given):
        found = Observations.joined([each.check(problem) for each in given])
        _warn_of_copies(found)
        return found
    if given is not None and not isinstance(given, Observations):
        raise PointsError(
            f"observations of the type {type(given).__name__} were given: give an Observations, "
            "such as Observations(points, values), or a list of several."
        )
    found = None if given is None else given.check(problem)
    if found is not None:
        _warn_of_copies(found)
    return found


def _warn_of_copies(given: Observations) -> None:
    """Say where measurements are there several times, which makes standard errors too small."""
    rows = np.concatenate([given.points, given.values], axis=1)
    copies = len(rows) - len(np.unique(rows, axis=0, equal_nan=True))
    if copies > COPIES * len(rows):
        warnings.warn(
            f"{copies:,} of {len(rows):,} observations repeat the point and all values of another "
            "one, and count as measured anew, so that standard errors come out too small if they "
            "are copies: give each measurement once.",
            stacklevel=3,
        )


def observe(
    problem: Problem,
    n: int,
    *,
    components: Sequence[str] | None = None,
    noise: float = 0.0,
    relative: bool = True,
    seed: int = 0,
) -> Observations:
    """Measurements of a benchmark, made from its reference at random points of the domain.

    Args:
        problem: A problem with a reference solution.
        n: Number of points, uniform in the domain.
        components: What is measured; by default all of it.
        noise: Standard deviation of the normal noise.
        relative: Whether `noise` is in units of each component's own standard deviation over the
            points, so that 0.01 is 1 %; otherwise in the unit of the component.
        seed: Of the points and the noise. The points depend on nothing else, so that several
            draws of noise at the same points are `observe(..., seed=0).values` plus them.

    Raises:
        PinnzooError: The problem has no reference.
        UnknownNameError: There is no such component.
        PointsError: `n` is no whole number above zero, or `noise` none of zero or more, or it is
            relative to a component that is the same at all points.

    Example:
        >>> data = observe(problem, 2000, components=("u",), noise=0.01)
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise PointsError(f"n={n!r} was given: give a whole number of points above zero.")
    if not (np.ndim(noise) == 0 and np.isfinite(noise) and noise >= 0):
        raise PointsError(f"noise={noise!r} was given: give a standard deviation, zero or more.")
    chosen = (components,) if isinstance(components, str) else components
    names = tuple(problem.components if chosen is None else chosen)
    for name in names:
        if name not in problem.components:
            raise UnknownNameError.of("component", name, problem.components)
    points_rng, noise_rng = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    domain = problem.domain
    if isinstance(domain, Box):
        points = points_rng.uniform(domain.lower, domain.upper, (n, problem.d))
    else:
        points = sample(domain, n, "uniform", points_rng)
    exact = require_reference(problem)(points)[:, [problem.components.index(c) for c in names]]
    scale = exact.std(axis=0) if relative else np.ones(len(names))
    constant = [name for name, own in zip(names, np.ptp(exact, axis=0), strict=True) if own == 0]
    if relative and noise > 0 and constant:
        raise PointsError(
            f"noise={noise:g} relative to the spread of {', '.join(map(repr, constant))} was asked "
            f"for, the same at all {n} points: ask for more points, or give relative=False and "
            "the noise in the unit of the component."
        )
    values = exact + noise * scale * noise_rng.standard_normal(exact.shape)
    return Observations(points, values, names)


def _names_in_file(
    known: Sequence[str], said: Mapping[str, str], coords: Iterable[str]
) -> dict[str, str]:
    """What the columns of a file are called: as was said, else by their own names.

    A column that was said to be another one is not its namesake too.

    Raises:
        PointsError: A column was said to be two, or none is left for a coordinate.
    """
    taken = {own: name for name, own in said.items()}
    doubled = next((name for name, own in said.items() if taken[own] != name), None)
    if doubled is not None:
        own = said[doubled]
        raise PointsError(
            f"the column {own!r} was named for {doubled!r} and for {taken[own]!r}: name each "
            "column of the file once."
        )
    names = {name: said.get(name, name) for name in known if name in said or name not in taken}
    lacking = next((c for c in coords if c not in names), None)
    if lacking is not None:
        raise PointsError(
            f"the column {lacking!r} was named for {taken[lacking]!r}, which leaves none for "
            f"{lacking!r}: say what that is called too, with columns={{{lacking!r}: ...}}, in a "
            f"shell --column {lacking}=COLUMN."
        )
    return names


def _in_order(values: Any, components: Any) -> tuple[Any, Any]:
    """Values and the names of their columns; those of a data frame go by its own names."""
    columns = getattr(values, "columns", None)
    if columns is None:
        return values, components
    own = [str(name) for name in columns]
    if components is None:
        return values, tuple(own)
    wanted = [components] if isinstance(components, str) else list(map(str, components))
    if set(wanted) <= set(own):
        return values[wanted], components
    if set(wanted) & set(own):
        raise PointsError(
            f"values with the columns {', '.join(map(repr, own))} were given as the components "
            f"{', '.join(map(repr, wanted))}: name the columns as the components."
        )
    return values, components


def _sigma_columns(
    path: str | os.PathLike[str],
    found: Container[object],
    names: Mapping[str, str],
    measured: Sequence[str],
    common: str,
    own: Mapping[str, str],
) -> list[str]:
    """The columns of a file with standard deviations: one, one for each component, or none."""
    there = [own[name] for name in measured if names.get(own.get(name, "")) in found]
    shared = [common] if names.get(common) in found else []
    if there and (shared or len(there) < len(measured)):
        given = ", ".join(repr(names[name]) for name in (*shared, *there))
        raise PointsError(
            f"the file {str(path)!r} has the standard deviations {given} for the components "
            f"{', '.join(measured)}: give {common!r} for all of them, or one for each "
            f"({', '.join(f'{common}_{name}' for name in measured)})."
        )
    return there or shared


def _sigma_in_order(sigma: Any, components: tuple[str, ...] | None) -> Any:
    """Standard deviations; several columns of a data frame are put in the components' order."""
    own = [str(name) for name in getattr(sigma, "columns", ())]
    if len(own) < 2:
        return sigma
    if components is None or not set(components) <= set(own):
        told = "no names" if components is None else ", ".join(map(repr, components))
        raise PointsError(
            f"standard deviations with the columns {', '.join(map(repr, own))} were given for "
            f"components with {told}: name both alike, or give sigma without names."
        )
    return sigma[list(components)]


def _deviations(given: Any, measured: np.ndarray) -> Any:
    """Standard deviations `(n, k)`, NaN where nothing was measured."""
    if given is None:
        return None
    shape = measured.shape
    array = real_numbers(given, "standard deviations", gaps=np.ndim(given) == 2)
    wide = array[:, None] if array.ndim == 1 else array
    if wide.ndim not in (0, 2) or (wide.ndim == 2 and wide.shape not in ((shape[0], 1), shape)):
        raise PointsError(
            f"standard deviations of shape {array.shape} were given for values of shape {shape}: "
            "give one number, one for each point, or one for each value."
        )
    wide = np.where(measured, wide, np.nan)
    if lacking := int((np.isnan(wide) & measured).sum()):
        raise PointsError(
            f"{lacking} of {int(measured.sum())} values were given without a standard deviation: "
            "give one for each, or sigma=None where it is not known."
        )
    if not (wide[measured] > 0).all():
        raise PointsError(
            f"a standard deviation of {np.nanmin(wide):g} was given: each is above zero, or give "
            "sigma=None where it is not known."
        )
    return _frozen(wide)


def _frozen(array: np.ndarray) -> np.ndarray:
    """What was given, and not what its owner makes of it later."""
    return read_only(array.copy())
