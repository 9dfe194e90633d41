"""Sinusoidal network: sines of sines, which represent waves and products of sines exactly."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnzoo._typing import Point, Values
from pinnzoo.architectures.corners import (
    Angle,
    Corner,
    Wedge,
    Wedges,
    read_corners,
    with_corners,
)
from pinnzoo.architectures.layers import Dense, Inputs, check_sizes, one_each
from pinnzoo.precision import product
from pinnzoo.registry import check_positive


class SineLayer(nnx.Module):
    """`sin(ω (W z + b))` with W and b uniform, as in Sitzmann et al. (2020), section 3.2."""

    def __init__(
        self, fan_in: int, fan_out: int, omega: float, *, first: bool, dtype: Any, rngs: nnx.Rngs
    ):
        """Draw the parameters.

        W ~ U(-1/n, 1/n) in the first layer and U(-√(6/n)/ω, √(6/n)/ω) in the others, n = fan_in.
        The phase ω b is uniform over a whole turn, so that the first waves start anywhere.

        Args:
            fan_in: Number of inputs.
            fan_out: Number of waves.
            omega: ω.
            first: Whether this layer reads the coordinates.
            dtype: Type of the parameters.
            rngs: Source of randomness.
        """
        bound = 1 / fan_in if first else math.sqrt(6 / fan_in) / omega
        self.omega = omega
        self.kernel = nnx.Param(
            jax.random.uniform(rngs.params(), (fan_in, fan_out), dtype, -bound, bound)
        )
        turn = math.pi / omega
        self.bias = nnx.Param(jax.random.uniform(rngs.params(), (fan_out,), dtype, -turn, turn))

    def __call__(self, z: Float[Array, " i"]) -> Float[Array, " o"]:
        """Apply the layer to one vector."""
        return jnp.sin(self.omega * (product(z, self.kernel[...]) + self.bias[...]))


class Siren(nnx.Module):
    """`depth` sine layers and an affine output (Sitzmann et al. 2020, arXiv 2006.09661)."""

    def __init__(
        self,
        m: int,
        *,
        lower: Sequence[float],
        upper: Sequence[float],
        width: int = 40,
        depth: int = 2,
        omega: float | Sequence[float] = 10.0,
        hidden_omega: float = 1.0,
        periodic_axes: Sequence[int] = (),
        harmonics: int = 1,
        corners: Sequence[str | Corner | Angle] = (),
        wedges: Sequence[str | Wedge] = (),
        dtype: Any,
        rngs: nnx.Rngs,
    ):
        """Draw the parameters.

        Args:
            m: Number of components.
            lower: Lower bounds of the domain, which is mapped to [-1, 1]^d first.
            upper: Upper bounds of the domain.
            width: Waves of a layer.
            depth: Number of sine layers.
            omega: ω of the first layer, one for all inputs or one for each: with d inputs, the
                largest wave number along one of them is ω/d radians per half-width of the domain.
            hidden_omega: ω of the other layers.
            periodic_axes: Indices of coordinates to embed periodically.
            harmonics: Frequencies per periodic coordinate.
            corners: What is added where the data jump or have a kink, as texts of `corners.read`.
            wedges: What is added with trained amplitudes where edges of the domain meet, likewise.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            RecipeError: A size is not a positive whole number, ω is not positive, there is not
                one for each input, or a corner is none.
        """
        check_sizes(width=width, depth=depth)
        self.inputs = Inputs(lower, upper, periodic_axes, harmonics, dtype=dtype)
        each = one_each("omega", omega, self.inputs.features)
        check_positive(hidden_omega=hidden_omega, **{f"omega[{i}]": w for i, w in enumerate(each)})
        self.stretch = tuple(w / max(each) for w in each)
        sizes = [self.inputs.features, *[width] * depth]
        self.hidden = nnx.List(
            SineLayer(i, o, hidden_omega if k else max(each), first=k == 0, dtype=dtype, rngs=rngs)
            for k, (i, o) in enumerate(itertools.pairwise(sizes))
        )
        self.output = Dense(width, m, dtype=dtype, rngs=rngs)
        self.corners = read_corners(corners, m)
        self.wedges = Wedges(wedges, m, dtype=dtype) if wedges else None

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        h = self.inputs(z) * jnp.array(self.stretch, z.dtype)
        for layer in self.hidden:
            h = layer(h)
        value = with_corners(self.corners, z, self.output(h))
        return value if self.wedges is None else value + self.wedges(z)
