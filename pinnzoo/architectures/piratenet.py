"""PirateNet: gated residual blocks that begin as the identity."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from pinnzoo._typing import Point, Values
from pinnzoo.architectures.layers import (
    Activation,
    FactorizedDense,
    FourierFeatures,
    Inputs,
    check_sizes,
    find_activation,
)
from pinnzoo.errors import PointsError, RecipeError
from pinnzoo.registry import check_positive


class PirateBlock(nnx.Module):
    """`α σ(W₃ z₂ + b₃) + (1 - α) x`, with gates z₁ and z₂ between the encoders U and V.

    `z₁ = f U + (1 - f) V` with `f = σ(W₁ x + b₁)`, and `z₂ = g U + (1 - g) V` with
    `g = σ(W₂ z₁ + b₂)`. α is trained and begins at zero.
    """

    def __init__(self, width: int, activation: Activation, *, dtype: Any, **options: Any):
        """Draw the parameters of three layers, each from `width` to `width` neurons.

        Args:
            width: Size of the state.
            activation: σ.
            dtype: Type of the parameters.
            options: The other arguments of `FactorizedDense`.
        """
        self.activation = activation
        self.gates = nnx.List(
            FactorizedDense(width, width, dtype=dtype, **options) for _ in range(2)
        )
        self.dense = FactorizedDense(width, width, dtype=dtype, **options)
        self.alpha = nnx.Param(jnp.zeros((), dtype))

    def __call__(
        self, x: Float[Array, " w"], u: Float[Array, " w"], v: Float[Array, " w"]
    ) -> Float[Array, " w"]:
        """The next state."""
        h = x
        for layer in self.gates:
            gate = self.activation(layer(h))
            h = gate * u + (1 - gate) * v
        alpha = self.alpha[...]
        return alpha * self.activation(self.dense(h)) + (1 - alpha) * x


class PirateNet(nnx.Module):
    """Random Fourier features, then residual blocks that begin as the identity, then affine.

    Wang, Li, Chen and Perdikaris (2024, arXiv 2402.00326, section 4). At the start every α is zero,
    and the network is an affine map of its random Fourier features, however deep it is: its
    derivatives are those of a shallow network. `fit_output` makes that map the least-squares fit of
    data. The layers are factorized, see `FactorizedDense`.
    """

    def __init__(
        self,
        m: int,
        *,
        lower: Sequence[float],
        upper: Sequence[float],
        width: int = 20,
        depth: int = 2,
        scale: float = 2.0,
        activation: str = "tanh",
        mean: float = 0.5,
        deviation: float = 0.1,
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
            width: Neurons of a layer, an even number: the first state of the network is as many
                cosines as sines.
            depth: Number of blocks, of three layers each.
            scale: Standard deviation of the frequencies, in radians per half-width of the domain.
            activation: A name of `ACTIVATIONS`.
            mean: Mean of the logarithms of the scales of a layer.
            deviation: Their standard deviation.
            periodic_axes: Indices of coordinates to embed periodically.
            harmonics: Frequencies per periodic coordinate.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            RecipeError: A size is not a positive whole number, the width is odd, or a number that
                must be positive is not.
            UnknownNameError: No such activation.
        """
        check_sizes(width=width, depth=depth)
        check_positive(scale=scale)
        if width % 2:
            raise RecipeError(
                f"width={width} was given: it must be even, since half of the first state are "
                "cosines and half are sines."
            )
        self.inputs = Inputs(lower, upper, periodic_axes, harmonics, dtype=dtype)
        self.fourier = FourierFeatures(
            self.inputs.features, width // 2, scale, dtype=dtype, rngs=rngs
        )
        self.activation = find_activation(activation)
        options = {"mean": mean, "deviation": deviation, "dtype": dtype, "rngs": rngs}
        self.encoder_u = FactorizedDense(width, width, **options)
        self.encoder_v = FactorizedDense(width, width, **options)
        self.blocks = nnx.List(PirateBlock(width, self.activation, **options) for _ in range(depth))
        self.output = FactorizedDense(width, m, **options)

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        return self.output(self.state(z))

    def state(self, z: Point) -> Float[Array, " w"]:
        """What the output layer reads at one point."""
        features = self.fourier(self.inputs(z))
        u = self.activation(self.encoder_u(features))
        v = self.activation(self.encoder_v(features))
        h = features
        for block in self.blocks:
            h = block(h, u, v)
        return h

    def fit_output(
        self, points: Float[np.ndarray, "n d"], values: Float[np.ndarray, "n m"]
    ) -> "PirateNet":
        """A copy whose output layer fits data by least squares.

        Physics-informed initialization (section 4 of the paper): the data are measurements, initial
        values at all times, or the solution of a simpler equation. Pass the copy to the training,
        `pinnzoo.train(recipe, model=network.fit_output(points, values))`.

        Args:
            points: Points `(n, d)`.
            values: What the network should be there, `(n, m)`.

        Raises:
            PointsError: The shapes do not fit each other or the network.

        Example:
            ```python
            network = PirateNet(1, lower=(0, 0), upper=(1, 1), dtype="float64", rngs=nnx.Rngs(0))
            fitted = network.fit_output(points, np.sin(np.pi * points[:, 1:]))
            ```
        """
        points, values = np.asarray(points), np.asarray(values)
        wanted = (len(points), len(self.output.bias[...]))
        d = len(self.inputs.normalize.center[...])
        if points.shape != (len(points), d) or not len(points) or values.shape != wanted:
            raise PointsError(
                f"points of shape {points.shape} and values of shape {values.shape} were given: "
                f"the network takes points (n, {d}) and values (n, {wanted[1]})."
            )
        dtype = self.output.bias[...].dtype
        states = np.asarray(jax.vmap(self.state)(jnp.asarray(points, dtype)), np.float64)
        matrix = np.column_stack([states, np.ones(len(states))])
        solution = np.linalg.lstsq(matrix, values, rcond=None)[0]
        fitted = nnx.clone(self)
        scales = np.exp(np.asarray(self.output.log_scale[...], np.float64))
        fitted.output.direction[...] = jnp.asarray(solution[:-1] / scales, dtype)
        fitted.output.bias[...] = jnp.asarray(solution[-1], dtype)
        return fitted
