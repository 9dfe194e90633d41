"""Separable network: a sum of products of networks of one coordinate each."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx

from pinnzoo._typing import Point, Values
from pinnzoo.architectures.layers import check_axes, check_sizes, one_each
from pinnzoo.architectures.mlp import MLP
from pinnzoo.architectures.siren import Siren
from pinnzoo.errors import RecipeError


class SPINN(nnx.Module):
    """`u(z) = Σ_r Π_i f_{i,r}(z_i) / √rank`, one body network f_i per coordinate.

    Separable PINN (Cho, Nam, Yang, Yun, Hong and Park 2023, arXiv 2306.15969, Eq. 5). Solutions
    that are sums of few products, as by separation of variables, are found in one dimension at a
    time. The random frequencies of a body network have to cover an interval and not a volume, so
    that a few of them are enough.
    """

    def __init__(
        self,
        m: int,
        *,
        lower: Sequence[float],
        upper: Sequence[float],
        rank: int = 8,
        width: int = 20,
        depth: int = 2,
        activation: str = "tanh",
        omega: float | Sequence[float] = 10.0,
        hidden_omega: float = 1.0,
        centre: float = 0.0,
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
            rank: Number of products per component.
            width: Neurons of a hidden layer of a body.
            depth: Number of hidden layers of a body.
            activation: A name of `ACTIVATIONS`; "sin" makes the bodies sinusoidal networks.
            omega: ω of the first layer of a sinusoidal body, one for all or one for each; other
                bodies do not use it.
            hidden_omega: ω of its other layers.
            centre: What the factors begin around, as the bias of their last layer. In many
                dimensions a product of factors around zero vanishes, with its derivatives, and
                training comes to nothing; around one it is close to the sum of its factors.
            periodic_axes: Indices of coordinates to embed periodically.
            harmonics: Frequencies per periodic coordinate.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            RecipeError: A size is not a positive whole number, ω is not positive, `centre` not
                finite, an axis does not exist, or there is not one ω per coordinate.
            UnknownNameError: No such activation.
        """
        check_sizes(rank=rank, width=width, depth=depth)
        check_axes(periodic_axes, len(lower))
        if not math.isfinite(centre):
            raise RecipeError(f"centre={centre!r} was given: give a finite number.")
        each = one_each("omega", omega, len(lower))
        self.shape = (m, rank)

        def body(axis: int) -> nnx.Module:
            options: dict[str, Any] = {
                "lower": (lower[axis],),
                "upper": (upper[axis],),
                "width": width,
                "depth": depth,
                "periodic_axes": (0,) if axis in periodic_axes else (),
                # Without any periodic axis each body refuses them.
                "harmonics": harmonics if axis in periodic_axes or not periodic_axes else 1,
                "dtype": dtype,
                "rngs": rngs,
            }
            if activation == "sin":
                return Siren(m * rank, omega=each[axis], hidden_omega=hidden_omega, **options)
            return MLP(m * rank, activation=activation, **options)

        self.bodies = nnx.List(body(axis) for axis in range(len(lower)))
        if centre:
            for factors in self.bodies:
                bias = factors.output.bias  # pyright: ignore[reportAttributeAccessIssue]
                bias[...] += jnp.asarray(centre, dtype)

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        product = math.sqrt(1 / self.shape[1])
        for axis, body in enumerate(self.bodies):
            product = product * body(z[axis : axis + 1]).reshape(self.shape)  # pyright: ignore
        return jnp.sum(product, axis=1)  # pyright: ignore
