"""Multilayer perceptron behind random Fourier features of several scales."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnzoo._typing import Point, Values
from pinnzoo.architectures.layers import (
    Dense,
    FourierFeatures,
    Inputs,
    check_sizes,
    find_activation,
)
from pinnzoo.errors import RecipeError
from pinnzoo.registry import check_positive


class MultiscaleFourier(nnx.Module):
    """Features of every scale through the same hidden layers, then one affine output of all.

    The multi-scale Fourier feature architecture of Wang, Wang and Perdikaris (2021, arXiv
    2012.10047, section 3.3), for solutions with slow and fast parts. With one scale it is
    `fourier_mlp`.
    """

    def __init__(
        self,
        m: int,
        *,
        lower: Sequence[float],
        upper: Sequence[float],
        width: int = 20,
        depth: int = 3,
        features: int = 10,
        scales: Sequence[float] = (1.0, 10.0),
        activation: str = "tanh",
        initialization: str = "xavier",
        periodic_axes: Sequence[int] = (),
        harmonics: int = 1,
        dtype: Any,
        rngs: nnx.Rngs,
    ):
        """Draw the parameters and the fixed frequencies.

        Args:
            m: Number of components.
            lower: Lower bounds of the domain, which is mapped to [-1, 1]^d first.
            upper: Upper bounds of the domain.
            width: Neurons of a hidden layer.
            depth: Number of hidden layers.
            features: Number of random frequencies of each scale.
            scales: Their standard deviations, in radians per half-width of the domain.
            activation: A name of `ACTIVATIONS`.
            initialization: "xavier" or "ntk".
            periodic_axes: Indices of coordinates to embed periodically.
            harmonics: Frequencies per periodic coordinate.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            RecipeError: A size is not a positive whole number, or the scales are no list of
                positive numbers.
            UnknownNameError: No such activation or initialisation.
        """
        check_sizes(width=width, depth=depth, features=features)
        if not isinstance(scales, Sequence) or isinstance(scales, str) or not scales:
            raise RecipeError(f"scales={scales!r} was given: give a list of one number or more.")
        check_positive(**{f"scales[{i}]": scale for i, scale in enumerate(scales)})
        self.inputs = Inputs(lower, upper, periodic_axes, harmonics, dtype=dtype)
        self.fourier = nnx.List(
            FourierFeatures(self.inputs.features, features, scale, dtype=dtype, rngs=rngs)
            for scale in scales
        )
        self.activation = find_activation(activation)
        options = {"initialization": initialization, "dtype": dtype, "rngs": rngs}
        sizes = [2 * features, *[width] * depth]
        self.hidden = nnx.List(Dense(i, o, **options) for i, o in itertools.pairwise(sizes))
        self.output = Dense(width * len(scales), m, **options)

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        s = self.inputs(z)

        def hidden(h: Float[Array, " f"]) -> Float[Array, " w"]:
            for layer in self.hidden:
                h = self.activation(layer(h))
            return h

        features = jnp.stack([embedding(s) for embedding in self.fourier])  # (scales, f)
        return self.output(jax.vmap(hidden)(features).reshape(-1))
