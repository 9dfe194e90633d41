"""What the analyses check of the numbers that they are given."""

import numbers
from typing import Any

import numpy as np
from jaxtyping import Float

from pinnzoo.errors import DiagnosticError, PinnzooError
from pinnzoo.registry import is_finite, is_whole


def shown(given: Any) -> str:
    """Something given, as a message tells it: a number or a word as it is, of others the type."""
    plain = isinstance(given, str | numbers.Number | None)
    return repr(given) if plain else f"an object of the type {type(given).__name__}"


def _is_one_finite(given: Any) -> bool:
    """Whether something is a finite real number, or an array that holds one, as JAX returns it."""
    if isinstance(given, numbers.Real):
        return is_finite(given)
    kind = np.dtype(getattr(given, "dtype", object)).kind
    return kind in "iuf" and np.shape(given) == () and bool(np.isfinite(np.asarray(given)))


def check_number(what: str, given: Any, *, zero: bool = True) -> None:
    """Raise unless a finite number is given that is not negative.

    Args:
        what: What it is, for the message.
        given: What was given.
        zero: Whether 0 is allowed.

    Raises:
        DiagnosticError: It is something else.
    """
    if not (_is_one_finite(given) and (given > 0 or (zero and given == 0))):
        allowed = "a finite number of zero or more" if zero else "a positive finite number"
        raise DiagnosticError(f"{what} {shown(given)} was given: give {allowed}.")


def check_whole_number(
    what: str, given: Any, least: int, error: type[PinnzooError] = DiagnosticError
) -> None:
    """Raise unless a whole number is given that is at least this.

    Args:
        what: What it is, for the message.
        given: What was given.
        least: The least that is allowed.
        error: What to raise.

    Raises:
        PinnzooError: It is something else.
    """
    if not is_whole(given, least):
        raise error(f"{what} {shown(given)} was given: give a whole number of {least} or more.")


def row_of_numbers(what: str, given: Any, *, whole: bool = False) -> Float[np.ndarray, " t"]:
    """Times or numbers of steps, as a row.

    Args:
        what: What they are, for the message.
        given: One number, or several.
        whole: Whether they have to be whole.

    Raises:
        DiagnosticError: They are something else, negative, or not finite.
    """
    kind = "whole numbers" if whole else "finite numbers"
    advice = f"give {kind} of zero or more, one or a list of them"
    try:
        row = np.atleast_1d(np.asarray(given, np.float64))
    except (TypeError, ValueError) as error:
        raise DiagnosticError(f"{what} were given as {shown(given)}: {advice}.") from error
    if row.ndim > 1:
        raise DiagnosticError(f"{what} of shape {row.shape} were given: {advice}.")
    wrong = ~(np.isfinite(row) & (row >= 0))
    if whole:
        wrong |= row != np.floor(row)
    if wrong.any():
        raise DiagnosticError(f"{what} with {row[wrong][0]:g} among them were given: {advice}.")
    return row
