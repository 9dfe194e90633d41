"""Coefficients that nobody knows: first guesses, the parameters that stand for them, estimates.

An unknown is trained like the network, as one more parameter: its raw value is a real number
without bounds, which a transformation takes to the value that the equation sees. `WithUnknowns`
puts the raw values beside the network, in one module, so that every optimizer, every snapshot and
every diagnostic sees them without knowing of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnzoo._typing import Point, Scalar, Values
from pinnzoo.errors import RecipeError

FARTHEST = 230.0
"""The logarithm of how far from its bound an unknown can be: of 1e100."""

ORDINARY = 1e3
"""Times as large as one, or as small, from which on a first guess is a unit of its own."""


class Estimate(NamedTuple):
    """What a training has found out about an unknown.

    Attributes:
        value: The estimate, in the unit that the equation has for it.
        standard_error: Its standard error by `pinnzoo.diagnostics.covariance`, in the same unit;
            NaN where there are no observations to say how noisy they are, infinite where nothing
            determines the value.

    Example:
        >>> Estimate(0.01, 2e-4)
        Estimate(value=0.01, standard_error=0.0002)
    """

    value: float
    standard_error: float


@dataclass(frozen=True)
class Unknown:
    """A coefficient of an equation that is to be found with its solution.

    Attributes:
        initial: First guess.
        lower: Least value, which is never reached; None for no bound.
        upper: Largest value, which is never reached; None for no bound.
        positive: Whether it is above zero, which is short for `lower=0`.

    Raises:
        RecipeError: A number is not finite, or the first guess is not between the bounds.

    Example:
        >>> Unknown(0.01, positive=True)
        >>> Unknown(0.5, lower=0.0, upper=1.0)
    """

    initial: float
    lower: float | None = None
    upper: float | None = None
    positive: bool = False

    def __post_init__(self) -> None:
        for name in ("initial", "lower", "upper"):
            value: Any = getattr(self, name)
            if value is None and name != "initial":
                continue
            number = _number(value)
            if not math.isfinite(number):
                raise RecipeError(
                    f"an unknown with {name}={value!r} was given: give a finite number."
                )
            object.__setattr__(self, name, number)
        if self.positive:
            object.__setattr__(self, "lower", max(self.lower or 0.0, 0.0))
        low, high = self.bounds
        if low >= high:
            raise RecipeError(
                f"an unknown with the bounds lower={low:g} and upper={high:g} was given: the lower "
                "one has to be below the upper one."
            )
        if not low < self.initial < high:
            raise RecipeError(
                f"an unknown with the first guess {self.initial:g} was given: it must be above "
                f"{low:g} and below {high:g}, its bounds."
            )

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and largest value, infinite where there is no bound."""
        low = -math.inf if self.lower is None else self.lower
        return low, math.inf if self.upper is None else self.upper

    @property
    def scale(self) -> float:
        """What the raw parameter of an unknown without bounds counts in.

        A diffusivity of 1e-9 m²/s is trained in units of its first guess, as everything else that
        is trained is of order one.
        """
        size = abs(self.initial)
        return size if size and not 1 / ORDINARY <= size <= ORDINARY else 1.0

    def value(self, raw: Scalar) -> Scalar:
        """The value of a raw parameter.

        One bound is kept by the exponential of the raw number, two by its logistic function; with
        none the raw number is the value, in units of a first guess that is far from one. Where
        the data would have it infinite, it ends so far that its square and cube are numbers still.
        """
        if self.lower is not None and self.upper is not None:
            return self.lower + (self.upper - self.lower) * jax.nn.sigmoid(raw)
        if self.lower is not None:
            return self.lower + jnp.exp(jnp.clip(raw, -FARTHEST, FARTHEST))
        if self.upper is not None:
            return self.upper - jnp.exp(jnp.clip(raw, -FARTHEST, FARTHEST))
        return self.scale * raw

    def raw(self, value: float) -> float:
        """The raw parameter of a value between the bounds: the inverse of `value`."""
        low, high = self.bounds
        if self.lower is not None and self.upper is not None:
            return math.log((value - low) / (high - value))
        if self.lower is not None:
            return math.log(value - low)
        return math.log(high - value) if self.upper is not None else float(value) / self.scale


def _number(value: Any) -> float:
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return math.nan


class WithUnknowns(nnx.Module):
    """A network and, beside it, the raw values of a problem's unknowns.

    It is called like the network, and `model.network` is the network.
    """

    def __init__(self, network: nnx.Module, raw: Mapping[str, Float[Array, " 1"]]):
        """Put both together; `raw` has one array of one number for each unknown."""
        self.network = network
        self.unknowns = nnx.Dict({name: nnx.Param(value) for name, value in raw.items()})

    def __call__(self, z: Point) -> Values:
        """What the network says at one point."""
        return self.network(z)  # pyright: ignore[reportCallIssue]


def with_values(
    model: Any, unknowns: Mapping[str, Unknown], values: Mapping[str, float] | None = None
) -> Any:
    """A copy of the network with values of all unknowns beside it: its own, or those given.

    Args:
        model: A network, or one with unknowns already.
        unknowns: Those of the problem.
        values: What was found, by name.

    Raises:
        RecipeError: A value is not possible, not of an unknown, or there is none of one.
    """
    held = set(model.unknowns) if isinstance(model, WithUnknowns) else set()
    given = {name: _number(value) for name, value in (values or {}).items()}
    known = ", ".join(map(repr, unknowns)) or "none"
    for name, value in given.items():
        if name not in unknowns:
            raise RecipeError(
                f"a value of the unknown {name!r} was given: the unknowns of the problem are "
                f"{known}."
            )
        low, high = unknowns[name].bounds
        if not (math.isfinite(value) and low < value < high):
            raise RecipeError(
                f"the value {value:g} was given for the unknown {name!r}: give one above {low:g} "
                f"and below {high:g}."
            )
    if lacking := [name for name in unknowns if name not in {*held, *given}]:
        raise RecipeError(
            f"a network without a value of {', '.join(map(repr, lacking))} was given: say what was "
            f"found, such as unknowns={{{lacking[0]!r}: 1.0}}, or give the network of "
            "pinnzoo.assemble, which holds it."
        )
    made = nnx.clone(with_unknowns(model, unknowns))
    for name, value in given.items():
        own = made.unknowns[name]
        own[...] = jnp.full_like(own[...], unknowns[name].raw(value))
    return made


def with_unknowns(model: Any, unknowns: Mapping[str, Unknown]) -> Any:
    """The network with raw values of these unknowns beside it, and of no others.

    Args:
        model: A network, or one with unknowns already: those that are asked for keep their raw
            values.
        unknowns: What is asked for; where there are none, the bare network is returned. Those
            that the model lacks begin at their first guesses.
    """
    network = model.network if isinstance(model, WithUnknowns) else model
    if not unknowns or not isinstance(network, nnx.Module):
        return network
    known = dict(model.unknowns) if isinstance(model, WithUnknowns) else {}
    if isinstance(model, WithUnknowns) and set(known) == set(unknowns):
        return model
    leaves = jax.tree.leaves(nnx.state(network, nnx.Param))
    dtype = leaves[0].dtype if leaves else jnp.result_type(float)
    raw = {
        name: known[name][...]
        if name in known
        else jnp.full((1,), unknown.raw(unknown.initial), dtype)
        for name, unknown in unknowns.items()
    }
    return WithUnknowns(network, raw)


def rebased(model: Any, before: Mapping[str, Unknown], now: Mapping[str, Unknown]) -> Any:
    """The network with unknowns at the values that they had, where their bounds are others now.

    A raw value means another value under another transformation. One that lies outside of the new
    bounds begins at its first guess.

    Args:
        model: A network, with unknowns or without.
        before: The unknowns by which its raw values are to be read.
        now: Those of the problem that is trained next.
    """
    read = lambda unknown: (unknown.bounds, unknown.scale)  # noqa: E731
    changed = [name for name in now if name in before and read(before[name]) != read(now[name])]
    if not changed or not isinstance(model, WithUnknowns):
        return model
    raw = {name: param[...] for name, param in dict(model.unknowns).items()}
    for name in changed:
        low, high = now[name].bounds
        value = float(before[name].value(raw[name][0]))
        value = value if low < value < high else now[name].initial
        raw[name] = jnp.full((1,), now[name].raw(value), raw[name].dtype)
    return WithUnknowns(model.network, raw)


def values_of(model: Any, unknowns: Mapping[str, Unknown]) -> dict[str, Scalar]:
    """The values of a model's unknowns; nothing where the problem has none."""
    if not unknowns:
        return {}
    return {name: unknown.value(model.unknowns[name][...][0]) for name, unknown in unknowns.items()}
