"""Multilayer perceptron with random weight factorization."""

import itertools
from collections.abc import Sequence
from typing import Any

from flax import nnx

from pinnzoo._typing import Point, Values
from pinnzoo.architectures.layers import FactorizedDense, Inputs, check_sizes, find_activation


class RWFMLP(nnx.Module):
    """`mlp` with every matrix as `V diag(e^s)` (Wang et al. 2022, arXiv 2210.01274).

    It represents the same functions as `mlp`, with one number more per neuron. What differs is the
    way that first-order optimizers take: see `FactorizedDense`.
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
        mean: float = 1.0,
        deviation: float = 0.1,
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
            width: Neurons of a hidden layer.
            depth: Number of hidden layers.
            activation: A name of `ACTIVATIONS`.
            mean: Mean of the logarithms of the scales; the paper recommends 0.5 or 1.
            deviation: Their standard deviation; the paper recommends 0.1.
            periodic_axes: Indices of coordinates to embed periodically.
            harmonics: Frequencies per periodic coordinate.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            RecipeError: A size is not a positive whole number, or the deviation is negative.
            UnknownNameError: No such activation.
        """
        check_sizes(width=width, depth=depth)
        self.inputs = Inputs(lower, upper, periodic_axes, harmonics, dtype=dtype)
        self.activation = find_activation(activation)
        options = {"mean": mean, "deviation": deviation, "dtype": dtype, "rngs": rngs}
        sizes = [self.inputs.features, *[width] * depth]
        self.hidden = nnx.List(
            FactorizedDense(i, o, **options) for i, o in itertools.pairwise(sizes)
        )
        self.output = FactorizedDense(width, m, **options)

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        h = self.inputs(z)
        for layer in self.hidden:
            h = self.activation(layer(h))
        return self.output(h)
