"""Multilayer perceptron behind random Fourier features, for solutions with fast oscillations."""

import itertools
from collections.abc import Sequence
from typing import Any

from flax import nnx

from pinnzoo._typing import Point, Values
from pinnzoo.architectures.layers import (
    Dense,
    FourierFeatures,
    Inputs,
    check_sizes,
    find_activation,
)


class FourierMLP(nnx.Module):
    """Random Fourier features, then `depth` hidden layers, then an affine output."""

    def __init__(
        self,
        m: int,
        *,
        lower: Sequence[float],
        upper: Sequence[float],
        width: int = 20,
        depth: int = 5,
        features: int = 20,
        scale: float = 3.0,
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
            features: Number of random frequencies.
            scale: Their standard deviation, in radians per half-width of the domain.
            activation: A name of `ACTIVATIONS`.
            initialization: "xavier" or "ntk".
            periodic_axes: Indices of coordinates to embed periodically.
            harmonics: Frequencies per periodic coordinate.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            RecipeError: A size is not a positive whole number.
            UnknownNameError: No such activation or initialisation.
        """
        check_sizes(width=width, depth=depth, features=features)
        self.inputs = Inputs(lower, upper, periodic_axes, harmonics, dtype=dtype)
        self.fourier = FourierFeatures(
            self.inputs.features, features, scale, dtype=dtype, rngs=rngs
        )
        self.activation = find_activation(activation)
        options = {"initialization": initialization, "dtype": dtype, "rngs": rngs}
        sizes = [self.fourier.features, *[width] * depth]
        self.hidden = nnx.List(Dense(i, o, **options) for i, o in itertools.pairwise(sizes))
        self.output = Dense(width, m, **options)

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        h = self.fourier(self.inputs(z))
        for layer in self.hidden:
            h = self.activation(layer(h))
        return self.output(h)
