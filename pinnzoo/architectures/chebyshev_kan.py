"""Kolmogorov-Arnold network with Chebyshev polynomials on its edges."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnzoo._typing import Point, Values
from pinnzoo.architectures.layers import Inputs, check_sizes
from pinnzoo.precision import product


class ChebyshevLayer(nnx.Module):
    """`y_j = b_j + Σ_i Σ_k C_ijk T_k(x_i)`, k = 1..degree: a polynomial on every edge.

    SS et al. (2024, arXiv 2405.07200). The constants T_0 of all edges into a neuron add up to one
    number, so that it has one bias in their place.
    """

    def __init__(self, fan_in: int, fan_out: int, degree: int, *, dtype: Any, rngs: nnx.Rngs):
        """Draw C ~ N(0, 1 / (fan_in · degree)); b = 0.

        Args:
            fan_in: Number of inputs.
            fan_out: Number of outputs.
            degree: Largest degree of the polynomials.
            dtype: Type of the parameters.
            rngs: Source of randomness.
        """
        shape = (fan_in, degree, fan_out)
        deviation = 1 / math.sqrt(fan_in * degree)
        self.coefficients = nnx.Param(deviation * jax.random.normal(rngs.params(), shape, dtype))
        self.bias = nnx.Param(jnp.zeros((fan_out,), dtype))
        self.degree = degree

    def __call__(self, x: Float[Array, " i"]) -> Float[Array, " o"]:
        """Apply the layer to one vector.

        T_k comes from its recurrence, since `cos(k arccos x)` has no derivative at x = ±1.
        """
        polynomials = [x]
        before = jnp.ones_like(x)
        for _ in range(1, self.degree):
            polynomials.append(2 * x * polynomials[-1] - before)
            before = polynomials[-2]
        values = jnp.stack(polynomials, axis=1).reshape(-1)
        matrix = self.coefficients[...]
        return product(values, matrix.reshape(-1, matrix.shape[-1])) + self.bias[...]


class ChebyshevKAN(nnx.Module):
    """`depth` hidden layers and an output, all with Chebyshev polynomials on their edges.

    The network of Shukla, Toscano, Wang, Zou and Karniadakis (2024, arXiv 2406.02917), where tanh
    takes the values of every layer to [-1, 1] for the next one. The first layer reads the
    normalised coordinates, which lie there already, so that it is a polynomial of them.
    """

    def __init__(
        self,
        m: int,
        *,
        lower: Sequence[float],
        upper: Sequence[float],
        width: int = 10,
        depth: int = 2,
        degree: int = 5,
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
            degree: Largest degree of the polynomials.
            periodic_axes: Indices of coordinates to embed periodically.
            harmonics: Frequencies per periodic coordinate.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            RecipeError: A size is not a positive whole number.
        """
        check_sizes(width=width, depth=depth, degree=degree)
        self.inputs = Inputs(lower, upper, periodic_axes, harmonics, dtype=dtype)
        sizes = [self.inputs.features, *[width] * depth, m]
        self.layers = nnx.List(
            ChebyshevLayer(i, o, degree, dtype=dtype, rngs=rngs)
            for i, o in itertools.pairwise(sizes)
        )

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        first, *others = self.layers
        h = first(self.inputs(z))
        for layer in others:
            h = layer(jnp.tanh(h))
        return h
