"""Multilayer perceptron: the vanilla PINN. 5 x 20 tanh is the network of arXiv 2402.03864."""

import itertools
from collections.abc import Sequence
from typing import Any

from flax import nnx

from pinnzoo._typing import Point, Values
from pinnzoo.architectures.corners import (
    Angle,
    Corner,
    Wedge,
    Wedges,
    read_corners,
    with_corners,
)
from pinnzoo.architectures.layers import Dense, Inputs, check_sizes, find_activation


class MLP(nnx.Module):
    """`depth` hidden layers of `width` neurons and an affine output."""

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
            width: Neurons of a hidden layer.
            depth: Number of hidden layers.
            activation: A name of `ACTIVATIONS`.
            initialization: "xavier" or "ntk".
            periodic_axes: Indices of coordinates to embed periodically.
            harmonics: Frequencies per periodic coordinate.
            corners: What is added where the data jump or have a kink, as texts of `corners.read`.
            wedges: What is added with trained amplitudes where edges of the domain meet, likewise.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            RecipeError: A size is not a positive whole number, or a corner is none.
            UnknownNameError: No such activation or initialisation.
        """
        check_sizes(width=width, depth=depth)
        self.inputs = Inputs(lower, upper, periodic_axes, harmonics, dtype=dtype)
        self.activation = find_activation(activation)
        options = {"initialization": initialization, "dtype": dtype, "rngs": rngs}
        sizes = [self.inputs.features, *[width] * depth]
        self.hidden = nnx.List(
            Dense(i, o, first=k == 0, **options)
            for k, (i, o) in enumerate(itertools.pairwise(sizes))
        )
        self.output = Dense(width, m, **options)
        self.corners = read_corners(corners, m)
        self.wedges = Wedges(wedges, m, dtype=dtype) if wedges else None

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        h = self.inputs(z)
        for layer in self.hidden:
            h = self.activation(layer(h))
        value = with_corners(self.corners, z, self.output(h))
        return value if self.wedges is None else value + self.wedges(z)
