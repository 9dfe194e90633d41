"""Points that a user gave, as one array: checked, and with columns in the problem's order."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
from jax.core import Tracer
from jaxtyping import Float

from pinnzoo.domains import Domain
from pinnzoo.errors import PointsError

DATES = "mM"
"""Kinds of arrays of NumPy whose numbers depend on the unit in which they are counted."""


def check_points(
    points: object, name: str, domain: Domain, *, inside: bool = False
) -> Float[np.ndarray, "n d"]:
    """`points` as a float64 array of shape `(n, d)`.

    Args:
        points: An array of shape `(n, d)` with columns in the order of the coordinates; or named
            columns (a pandas or polars data frame, a structured array or a dict of arrays), in
            any order.
        name: Name of the problem, for messages.
        domain: Its coordinates, and its bounds.
        inside: Refuse points outside of the domain.

    Raises:
        PointsError: See `Problem.check_points`.
    """
    columns = ", ".join(domain.coords)
    wanted = f"{name} takes an array of shape (n, {domain.d}) with columns ({columns})"
    named = _named_columns(points)
    given = points if named is None else _in_order(named, domain.coords, wanted)
    if np.ma.isMaskedArray(given) and np.ma.is_masked(given):
        raise PointsError(
            f"a masked array with {int(np.ma.count_masked(given))} masked numbers was given: "  # pyright: ignore
            f"{wanted}, so leave out the rows that are masked."
        )
    if isinstance(given, Tracer) or (named and any(isinstance(v, Tracer) for v in named.values())):
        raise PointsError(
            f"points that JAX traces were given: {wanted} of numbers, so leave out jax.jit, "
            "jax.vmap and jax.grad, or give them `entry.field`, which takes one point."
        )
    try:
        raw: Any = np.asarray(given)
        if np.iscomplexobj(raw):
            if np.any(raw.imag != 0):
                raise TypeError("an imaginary part would be lost")
            raw = raw.real
        array = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PointsError(f"points that are not real numbers were given: {wanted}.") from error
    if raw.dtype.kind in DATES:
        _refuse_dates("an array", wanted)
    if array.ndim != 2 or array.shape[1] != domain.d:
        raise PointsError(f"points of shape {array.shape} were given: {wanted}.")
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise PointsError(
            f"{int((~finite).sum())} of {len(array)} points are NaN or infinite, the first in "
            f"row {int(np.argmin(finite))}: {wanted} of finite numbers."
        )
    if inside:
        _refuse_outside(array, raw.dtype, name, domain)
    return array


def _named_columns(points: Any) -> dict[Any, np.ndarray] | None:
    """Columns by name, or None where there are no names."""
    if isinstance(points, Mapping):
        return dict(points)
    if isinstance(points, np.ndarray) and points.dtype.names:
        return {key: points[key] for key in points.dtype.names}
    if hasattr(points, "columns") and hasattr(points, "__getitem__"):
        return {key: points[key] for key in points.columns}  # pyright: ignore
    return None


def _in_order(named: dict[Any, Any], coords: str, wanted: str) -> np.ndarray:
    if set(named) != set(coords):
        raise PointsError(
            f"points with the columns {', '.join(map(repr, named))} were given: {wanted}, so "
            "name exactly these."
        )
    shapes = {key: np.shape(named[key]) for key in coords}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise PointsError(f"columns of the shapes {shapes} were given: each is of shape (n,).")
    arrays = {key: np.ma.asarray(named[key]) for key in coords}
    if dated := [key for key, array in arrays.items() if array.dtype.kind in DATES]:
        _refuse_dates(f"the column {dated[0]!r}", wanted)
    return np.ma.stack(list(arrays.values()), axis=1)


def _refuse_dates(what: str, wanted: str) -> NoReturn:
    raise PointsError(
        f"{what} of dates or durations was given: {wanted}, so give numbers in the unit of the "
        "problem, such as (dates - dates[0]) / numpy.timedelta64(1, 's')."
    )


def _refuse_outside(array: np.ndarray, dtype: np.dtype, name: str, domain: Domain) -> None:
    # A bound such as 2π is above its float64 value when it is rounded to float32.
    rounding = 2 * np.finfo(dtype).eps if np.issubdtype(dtype, np.floating) else 0.0
    slack = max(1e-12, float(rounding))
    outside = ~domain.contains(array, slack)
    if not outside.any():
        return
    first = int(np.argmax(outside))
    bounds = " × ".join(
        f"{c} ∈ [{low:g}, {high:g}]"
        for c, low, high in zip(domain.coords, domain.lower, domain.upper, strict=True)
    )
    low, high = np.asarray(domain.lower), np.asarray(domain.upper)
    if np.all((array[first] >= low) & (array[first] <= high)):
        # In a hole, or in a corner that a shape does not have.
        bounds = f"a shape that is not all of {bounds}"
    values = ", ".join(f"{x:g}" for x in array[first])
    order = next(_orders_inside(array, domain, slack), None)
    hint = (
        f"all of them lie inside if the columns are ({', '.join(order)}), so give them as "
        f"({', '.join(domain.coords)})."
        if order
        else "give points inside."
    )
    raise PointsError(
        f"{int(outside.sum())} of {len(array)} points lie outside of the domain of {name}, "
        f"{bounds}, the first in row {first}, ({values}): {hint}"
    )


def _orders_inside(array: np.ndarray, domain: Domain, slack: float) -> Iterator[tuple[str, ...]]:
    """Orders of the coordinates in which the given columns would all lie inside."""
    for order in itertools.islice(itertools.permutations(range(domain.d)), 1, 120):
        inverse = np.argsort(order)
        if domain.contains(array[:, inverse], slack).all():
            yield tuple(domain.coords[i] for i in order)
