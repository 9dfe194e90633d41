"""The layers that the architectures are composed of: one point in, no batch axis.

This is their public import path, for a network of one's own too:

    from pinnzoo.architectures.layers import Dense, Inputs, find_activation

`mlp.py` shows how they are put together.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer
from jaxtyping import Array, Float

from pinnzoo.errors import RecipeError, UnknownNameError
from pinnzoo.precision import product
from pinnzoo.registry import check_positive

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": jax.nn.gelu,
    "sin": jnp.sin,
    "swish": jax.nn.swish,
    "tanh": jnp.tanh,
}

INITIALIZATIONS = ("xavier", "ntk")

PLACES = 10_000
"""Numbers that a precision has to have in a domain, at least, so that points are told apart."""


class Buffer(nnx.Variable):
    """A constant that belongs to the network but is not trained; stored with its parameters."""


@dataclass(frozen=True)
class Activation:
    """A function by its name, so that a network which holds it can be pickled."""

    name: str

    def __call__(self, x: Array) -> Array:
        """Apply it to each number."""
        return ACTIVATIONS[self.name](x)


def find_activation(name: str) -> Activation:
    """The activation called `name`.

    Raises:
        UnknownNameError: There is no such activation.
    """
    if name not in ACTIVATIONS:
        raise UnknownNameError.of("activation", name, ACTIVATIONS)
    return Activation(name)


def check_sizes(**sizes: int) -> None:
    """Raise unless every size is a whole number of at least one.

    Raises:
        RecipeError: One is not.
    """
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise RecipeError(f"{name}={size!r} was given: it must be a whole number, 1 or more.")


def one_each(name: str, value: float | Sequence[float], count: int) -> list[float]:
    """A number for each of `count` inputs, given one for all of them or a list.

    Raises:
        RecipeError: The list has another length.
    """
    each: list[float] = list(value) if isinstance(value, Sequence) else [value] * count
    if len(each) != count:
        raise RecipeError(
            f"{name}={value!r} was given: there are {count} inputs, so give one number, or that "
            "many."
        )
    return each


def check_axes(axes: Sequence[int], d: int) -> None:
    """Raise unless every axis is one of `d` and is listed once.

    Raises:
        RecipeError: One is not.
    """
    listed = isinstance(axes, Sequence) and not isinstance(axes, str)
    whole = listed and all(isinstance(a, int) and not isinstance(a, bool) for a in axes)
    if not whole or not set(axes) <= set(range(d)) or len(set(axes)) != len(axes):
        raise RecipeError(
            f"periodic_axes={tuple(axes) if listed else axes!r} was given: list each of the axes "
            f"0 to {d - 1} at most once, such as (0,)."
        )


DRAWN = 1024
"""Numbers that are drawn at once, at least, so that small layers share one compiled program."""


def normal(key: Array, shape: tuple[int, ...], dtype: Any, deviation: float = 1.0) -> Array:
    """`deviation * jax.random.normal(key, shape, dtype)`, the same numbers, with less to compile.

    For every shape JAX compiles a program of its own, which takes longer than all else that makes
    a network. Number i depends on the key and on i alone, so that those of a shape are the
    beginning of a longer draw, and all small layers can share its program.

    Example:
        >>> normal(jax.random.key(0), (2, 3), "float32").shape
        (2, 3)
    """
    size = math.prod(shape)
    plain = isinstance(key, Tracer) or not _counts_on(key)
    if plain or size > DRAWN**2:
        return deviation * jax.random.normal(key, shape, dtype)
    drawn = jax.random.normal(key, (max(DRAWN, 1 << (size - 1).bit_length()),), dtype)
    return jnp.asarray(np.asarray(drawn)[:size].reshape(shape) * np.asarray(deviation, drawn.dtype))


def _counts_on(key: Array) -> bool:
    """Whether the generator makes number i from i alone."""
    partitionable = getattr(jax.config, "jax_threefry_partitionable", False)
    return bool(partitionable) and str(jax.random.key_impl(key)) == "threefry2x32"


class Dense(nnx.Module):
    """Affine map `scale · W z + b`.

    Two initialisations:

    - "xavier": W ~ N(0, 2 / (fan_in + fan_out)), b = 0, scale = 1 (Glorot and Bengio 2010, Eq. 12
      for the variance, with a normal distribution).
    - "ntk": every entry of W and b ~ N(0, 1), and scale = 1/√fan_in for all but the first layer.
      With one hidden layer this is the network of Bonfanti et al. (arXiv 2402.03864), section 2:
      `u = W¹ σ(W⁰ z + b⁰) / √m + b¹`.
    """

    def __init__(
        self,
        fan_in: int,
        fan_out: int,
        *,
        initialization: str = "xavier",
        first: bool = False,
        dtype: Any,
        rngs: nnx.Rngs,
    ):
        """Draw the parameters.

        Args:
            fan_in: Number of inputs.
            fan_out: Number of outputs.
            initialization: "xavier" or "ntk".
            first: Whether this layer reads the coordinates; "ntk" does not scale it.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            UnknownNameError: There is no such initialisation.
        """
        if initialization not in INITIALIZATIONS:
            raise UnknownNameError.of("initialization", initialization, INITIALIZATIONS)
        if initialization == "xavier":
            deviation = math.sqrt(2 / (fan_in + fan_out))
            bias = jnp.zeros((fan_out,), dtype)
            self.scale = 1.0
        else:
            deviation = 1.0
            bias = normal(rngs.params(), (fan_out,), dtype)
            self.scale = 1.0 if first else 1 / math.sqrt(fan_in)
        kernel = normal(rngs.params(), (fan_in, fan_out), dtype, deviation)
        self.kernel = nnx.Param(kernel)
        self.bias = nnx.Param(bias)

    def __call__(self, z: Float[Array, " i"]) -> Float[Array, " o"]:
        """Apply the map to one vector."""
        return self.scale * product(z, self.kernel[...]) + self.bias[...]


class FactorizedDense(nnx.Module):
    """Affine map `W z + b` whose matrix is `W = V diag(e^s)`, trained as V and s.

    Random weight factorization (Wang, Wang, Seidman and Perdikaris 2022, arXiv 2210.01274, section
    3): every neuron has a direction, its column of V, and a scale e^s of its own, so that steps in
    W are longer along neurons with a large scale. s ~ N(mean, deviation²), and V is chosen so that
    W at the start is the matrix that `Dense` would draw ("xavier"); b = 0.
    """

    def __init__(
        self,
        fan_in: int,
        fan_out: int,
        *,
        mean: float = 1.0,
        deviation: float = 0.1,
        dtype: Any,
        rngs: nnx.Rngs,
    ):
        """Draw the parameters.

        Args:
            fan_in: Number of inputs.
            fan_out: Number of outputs.
            mean: Mean of the logarithms of the scales.
            deviation: Their standard deviation.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            RecipeError: The deviation is negative.
        """
        if not deviation >= 0:
            raise RecipeError(f"deviation={deviation!r} was given: it must be zero or more.")
        plain = Dense(fan_in, fan_out, dtype=dtype, rngs=rngs)
        noise = jax.random.normal(rngs.params(), (fan_out,), dtype)
        self.log_scale = nnx.Param(mean + deviation * noise)
        self.direction = nnx.Param(plain.kernel[...] * jnp.exp(-self.log_scale[...])[None, :])
        self.bias = plain.bias

    @property
    def kernel(self) -> Float[Array, "i o"]:
        """W, the two factors merged."""
        return self.direction[...] * jnp.exp(self.log_scale[...])[None, :]

    def __call__(self, z: Float[Array, " i"]) -> Float[Array, " o"]:
        """Apply the map to one vector."""
        return product(z, self.direction[...]) * jnp.exp(self.log_scale[...]) + self.bias[...]


class Normalize(nnx.Module):
    """Maps the domain to the cube [-1, 1]^d."""

    def __init__(self, lower: Sequence[float], upper: Sequence[float], *, dtype: Any):
        """Store centre and half-width of the domain as buffers."""
        for low, high in zip(lower, upper, strict=True):
            if 0 < high - low < PLACES * jnp.finfo(dtype).eps * max(abs(low), abs(high)):
                raise RecipeError(
                    f"a coordinate from {low:.17g} to {high:.17g} was given, in which "
                    f"{jnp.dtype(dtype).name} tells few points apart: use float64, or subtract "
                    f"{low:g} from it."
                )
        low, high = jnp.asarray(lower, dtype), jnp.asarray(upper, dtype)
        self.center = Buffer((low + high) / 2)
        self.half_width = Buffer((high - low) / 2)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, " d"]:
        """Map one point."""
        return (z - self.center[...]) / self.half_width[...]


class PeriodicEmbedding(nnx.Module):
    """Replaces normalised coordinates by sines and cosines with the period of the domain.

    A coordinate s ∈ [-1, 1] becomes cos kπs and sin kπs for k = 1..harmonics, so that any network
    behind it is exactly periodic (Dong and Ni 2021, J. Comput. Phys. 435:110242). The other
    coordinates come first and pass unchanged.
    """

    def __init__(self, d: int, axes: Sequence[int], harmonics: int):
        """Fix which axes are periodic.

        Args:
            d: Number of coordinates.
            axes: Indices of the periodic coordinates.
            harmonics: How many multiples of the base frequency.

        Raises:
            RecipeError: An axis does not exist, or `harmonics` is not a positive whole number.
        """
        check_sizes(harmonics=harmonics)
        check_axes(axes, d)
        self.axes = tuple(axes)
        self.others = tuple(i for i in range(d) if i not in self.axes)
        self.harmonics = harmonics
        self.features = len(self.others) + 2 * harmonics * len(self.axes)

    def __call__(self, s: Float[Array, " d"]) -> Float[Array, " f"]:
        """Embed one normalised point."""
        k = jnp.pi * jnp.arange(1, self.harmonics + 1, dtype=s.dtype)
        parts = [s[jnp.array(self.others, dtype=int)]]
        for axis in self.axes:
            parts += [jnp.cos(k * s[axis]), jnp.sin(k * s[axis])]
        return jnp.concatenate(parts)


class FourierFeatures(nnx.Module):
    """Random features cos Bs and sin Bs with fixed B ~ N(0, scale²).

    Tancik et al. (2020, arXiv 2006.10739), in the form that Wang, Wang and Perdikaris (2021,
    arXiv 2012.10047, Eq. 3.19) use for PINNs. B is stored, not drawn again at load.
    """

    def __init__(self, fan_in: int, features: int, scale: float, *, dtype: Any, rngs: nnx.Rngs):
        """Draw B.

        Args:
            fan_in: Number of inputs.
            features: Number of frequencies; there are twice as many outputs.
            scale: Standard deviation of the frequencies, per unit of the normalised input.
            dtype: Type of B.
            rngs: Source of randomness.
        """
        check_sizes(features=features)
        check_positive(scale=scale)
        frequencies = scale * jax.random.normal(rngs.params(), (fan_in, features), dtype)
        self.frequencies = Buffer(frequencies)
        self.features = 2 * features

    def __call__(self, s: Float[Array, " i"]) -> Float[Array, " f"]:
        """Embed one vector."""
        phase = product(s, self.frequencies[...])
        return jnp.concatenate([jnp.cos(phase), jnp.sin(phase)])


class Inputs(nnx.Module):
    """What every architecture does first: normalise, then embed the periodic coordinates."""

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        periodic_axes: Sequence[int] = (),
        harmonics: int = 1,
        *,
        dtype: Any,
    ):
        """Build the two layers; without periodic axes there is only the first.

        Args:
            lower: Lower bounds of the domain.
            upper: Upper bounds of the domain.
            periodic_axes: Indices of the periodic coordinates.
            harmonics: Frequencies per periodic coordinate.
            dtype: Type of the stored bounds.
        """
        d = len(lower)
        check_axes(periodic_axes, d)
        check_sizes(harmonics=harmonics)
        if harmonics != 1 and not periodic_axes:
            raise RecipeError(
                f"harmonics={harmonics!r} was given without periodic_axes, whose frequencies they "
                "are: give periodic_axes too, or leave harmonics out."
            )
        self.normalize = Normalize(lower, upper, dtype=dtype)
        self.embedding = PeriodicEmbedding(d, periodic_axes, harmonics) if periodic_axes else None
        self.features = self.embedding.features if self.embedding else d

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, " f"]:
        """Features of one point."""
        s = self.normalize(z)
        return self.embedding(s) if self.embedding else s
