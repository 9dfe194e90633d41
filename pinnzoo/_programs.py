"""Functions whose arrays are data, so that the same function of other numbers is compiled once."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun


class Signature:
    """What a function does, as JAX has traced it; one and the same for functions that do the same.

    Attributes:
        jaxpr: The traced function, whose arrays are arguments.
    """

    def __init__(self, jaxpr: Jaxpr):
        """Take a traced function that was not seen before; see `signature_of`."""
        self.jaxpr = jaxpr


# Compiled programs are looked up by signatures in every call: comparing all that they do would
# take milliseconds.
_KNOWN: weakref.WeakValueDictionary[Any, Signature] = weakref.WeakValueDictionary()


def signature_of(jaxpr: Jaxpr) -> Signature:
    """The signature of a traced function.

    Raises:
        TypeError: It holds something that cannot be compared.
    """
    key = _canonical(jaxpr)
    found = _KNOWN.get(key)
    if found is None:
        found = _KNOWN[key] = Signature(jaxpr)
    return found


@dataclass(frozen=True, eq=False)
class Program:
    """A function with one result, apart from the arrays that it closes over.

    Attributes:
        signature: What it does with them.
        constants: The arrays.
    """

    signature: Signature
    constants: tuple[Any, ...]

    @classmethod
    def of(cls, function: Callable[..., Any], *arguments: Any) -> "Program | None":
        """The program of a function of arrays; None where it cannot be told from others.

        Args:
            function: Returns one array.
            arguments: Arrays, or their shapes and types.
        """
        traced = jax.make_jaxpr(function)(*arguments)
        try:
            return cls(signature_of(traced.jaxpr), tuple(traced.consts))
        except TypeError:
            return None

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns."""
        (value,) = jaxpr_as_fun(ClosedJaxpr(self.signature.jaxpr, self.constants))(*arguments)
        return value


def _canonical(jaxpr: Jaxpr) -> tuple[Any, ...]:
    """All that a traced function does, with its variables numbered in the order of their use."""
    numbers: dict[Any, int] = {}

    def name(variable: Any) -> Any:
        if isinstance(variable, Literal):
            return _shape(variable), np.asarray(variable.val).tobytes()
        return numbers.setdefault(variable, len(numbers))

    given = tuple((name(v), _shape(v)) for v in (*jaxpr.constvars, *jaxpr.invars))
    steps = tuple(
        (
            equation.primitive,
            tuple(map(name, equation.invars)),
            tuple((name(v), _shape(v)) for v in equation.outvars),
            tuple((k, _parameter(equation.params[k])) for k in sorted(equation.params)),
        )
        for equation in jaxpr.eqns
    )
    return given, steps, tuple(map(name, jaxpr.outvars))


def _shape(variable: Any) -> Any:
    about = variable.aval
    return about.shape, about.dtype, about.weak_type


def _parameter(value: Any) -> Any:
    """A parameter of a primitive, such that equal ones mean the same.

    Raises:
        TypeError: It cannot be compared.
    """
    if isinstance(value, ClosedJaxpr):
        if value.consts:
            raise TypeError("a function inside of another one with arrays of its own")
        return _canonical(value.jaxpr)
    if isinstance(value, Jaxpr):
        return _canonical(value)
    if isinstance(value, tuple | list):
        return tuple(map(_parameter, value))
    if isinstance(value, float):
        # NaN is not equal to itself, and 0.0 equals -0.0.
        return float, np.float64(value).tobytes()
    hash(value)
    return type(value), value
