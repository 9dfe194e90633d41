"""Modified multilayer perceptron: two encoders gate every hidden layer."""

import itertools
from collections.abc import Sequence
from typing import Any

from flax import nnx

from pinnzoo._typing import Point, Values
from pinnzoo.architectures.layers import Dense, Inputs, check_sizes, find_activation


class ModifiedMLP(nnx.Module):
    """The improved architecture of Wang, Teng and Perdikaris (2021, arXiv 2001.04536, Eq. 42-45).

    With encoders `U = σ(W_U s + b_U)` and `V = σ(W_V s + b_V)`, each hidden state `Z` becomes
    `(1 - Z) U + Z V` before the next layer reads it.
    """

    def __init__(
        self,
        m: int,
        *,
        lower: Sequence[float],
        upper: Sequence[float],
        width: int = 20,
        depth: int = 5,
        activation: str = "tanh",
        initialization: str = "xavier",
        periodic_axes: Sequence[int] = (),
        harmonics: int = 1,
        dtype: Any,
        rngs: nnx.Rngs,
    ):
        """Draw the parameters.

        Args:
            m: Number of components.
            lower: Lower bounds of the domain, which is mapped to [-1, 1]^d first.
            upper: Upper bounds of the domain.
            width: Neurons of a hidden layer and of each encoder.
            depth: Number of hidden layers.
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
        check_sizes(width=width, depth=depth)
        self.inputs = Inputs(lower, upper, periodic_axes, harmonics, dtype=dtype)
        self.activation = find_activation(activation)
        options = {"initialization": initialization, "dtype": dtype, "rngs": rngs}
        features = self.inputs.features
        self.encoder_u = Dense(features, width, first=True, **options)
        self.encoder_v = Dense(features, width, first=True, **options)
        sizes = [features, *[width] * depth]
        self.hidden = nnx.List(
            Dense(i, o, first=k == 0, **options)
            for k, (i, o) in enumerate(itertools.pairwise(sizes))
        )
        self.output = Dense(width, m, **options)

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        h = self.inputs(z)
        u = self.activation(self.encoder_u(h))
        v = self.activation(self.encoder_v(h))
        for layer in self.hidden:
            gate = self.activation(layer(h))
            h = (1 - gate) * u + gate * v
        return self.output(h)
