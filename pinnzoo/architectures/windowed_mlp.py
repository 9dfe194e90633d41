"""One multilayer perceptron per window of time."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from pinnzoo._typing import Point, Values
from pinnzoo.architectures._layers import check_sizes
from pinnzoo.architectures.mlp import MLP
from pinnzoo.errors import RecipeError


class WindowedMLP(nnx.Module):
    """Time marching in one network: `N(t, x) = M_k(t, x)` for `t_k ≤ t ≤ t_{k+1}`.

    A window depends on the one before it through its first values alone, so that they are trained
    one after another: `Phase.part` names the window, the others are frozen, and the linear algebra
    of second-order training deals with one window at a time. As in Wight and Zhao (2021, Commun.
    Comput. Phys. 29:930-954), a window meets the one before it in a condition, see
    `Problem.between`; the jump that training leaves is part of the error.
    """

    def __init__(
        self,
        m: int,
        *,
        lower: Sequence[float],
        upper: Sequence[float],
        windows: int | Sequence[float] = 2,
        width: int = 20,
        depth: int = 3,
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
            lower: Lower bounds of the domain, whose first coordinate is time.
            upper: Upper bounds of the domain.
            windows: Number of windows of equal length, or the times where one ends and the next
                begins.
            width: Neurons of a hidden layer.
            depth: Number of hidden layers.
            activation: A name of `ACTIVATIONS`.
            initialization: "xavier" or "ntk".
            periodic_axes: Indices of coordinates to embed periodically.
            harmonics: Frequencies per periodic coordinate.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            RecipeError: The windows do not divide the domain, time is to be periodic, or a size is
                not a positive whole number.
            UnknownNameError: No such activation or initialisation.
        """
        if 0 in periodic_axes:
            raise RecipeError(
                f"periodic_axes={tuple(periodic_axes)} was given: windows follow one another in "
                "coordinate 0, which cannot be periodic."
            )
        low, high = lower[0], upper[0]
        if isinstance(windows, (list, tuple)):
            times = [low, *map(float, windows), high]
        else:
            check_sizes(windows=windows)  # pyright: ignore[reportArgumentType]
            times = [low + (high - low) * k / windows for k in range(windows)] + [high]  # pyright: ignore
        if any(b <= a for a, b in itertools.pairwise(times)):
            raise RecipeError(
                f"windows={windows!r} was given: the times must rise strictly, between "
                f"{low} and {high}."
            )
        self.times = tuple(times)
        self.parts = nnx.List(
            MLP(
                m,
                lower=(begin, *lower[1:]),
                upper=(end, *upper[1:]),
                width=width,
                depth=depth,
                activation=activation,
                initialization=initialization,
                periodic_axes=periodic_axes,
                harmonics=harmonics,
                dtype=dtype,
                rngs=rngs,
            )
            for begin, end in itertools.pairwise(times)
        )

    @property
    def part_bounds(self) -> tuple[tuple[float, float], ...]:
        """First and last time of every window."""
        return tuple(itertools.pairwise(self.times))

    def __call__(self, z: Point) -> Values:
        """The components at one point; between two windows, those of the later one."""
        window = jnp.searchsorted(jnp.array(self.times[1:-1]), z[0], side="right")
        graph, _ = nnx.split(self.parts[0])
        # One network with the parameters of its window is traced once, and not once per window.
        states = [nnx.state(part) for part in self.parts]
        own = jax.tree.map(lambda *leaves: jnp.stack(leaves)[window], *states)
        return nnx.merge(graph, own)(z)
