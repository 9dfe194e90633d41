"""Multilayer perceptrons for windows of time, and for what others have left."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from pinnzoo._typing import Point, PointFunction, Values
from pinnzoo.architectures._layers import check_sizes
from pinnzoo.architectures.mlp import MLP
from pinnzoo.errors import RecipeError


class WindowedMLP(nnx.Module):
    """Time marching in one network, with corrections.

        N(t, x) = Σ_s ε_s M_{k,s}(t, x)  for t_k ≤ t ≤ t_{k+1}

    Every M is an MLP that is trained on its own: `Phase.part` names it (window by window, in each
    the stages in turn), the others are frozen, and the linear algebra of second-order training
    deals with one of them at a time.

    - A window depends on the one before it through its first values alone. As in Wight and Zhao
      (2021, Commun. Comput. Phys. 29:930-954) they meet in a condition, see `Problem.between`; the
      jump that training leaves is part of the error.
    - A stage learns what the stages before it have left, at a scale ε of its size, which goes
      beyond what one network of any size reaches in float64 (multi-stage networks, Wang and Lai
      2024, J. Comput. Phys. 504:112865, section 2).
    """

    def __init__(
        self,
        m: int,
        *,
        lower: Sequence[float],
        upper: Sequence[float],
        windows: int | Sequence[float] = 2,
        scales: Sequence[float] = (1.0,),
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
            scales: ε of each stage.
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
        if len(scales) == 0 or not all(scale > 0 for scale in scales):
            raise RecipeError(f"scales={scales!r} was given: list one positive number per stage.")
        self.times = tuple(times)
        self.scales = tuple(map(float, scales))
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
            for _ in scales
        )

    def part_times(self, part: int) -> tuple[float, float]:
        """First and last time of the window that a part belongs to."""
        window = part // len(self.scales)
        return self.times[window], self.times[window + 1]

    def up_to(self, part: int) -> "Correction":
        """The stages of a window up to this part, of which the part alone is to be trained."""
        first = part - part % len(self.scales)
        earlier = list(zip(self.scales, self.parts[first:part], strict=False))

        def left(z: Point) -> Values:
            return sum((scale * network(z) for scale, network in earlier), start=jnp.zeros(()))

        return Correction(self.parts[part], self.scales[part - first], left)

    def before(self, part: int) -> PointFunction | None:
        """What a part has to meet where its window begins; None in the first window."""
        window = part // len(self.scales)
        return self.up_to(window * len(self.scales) - 1) if window else None

    def __call__(self, z: Point) -> Values:
        """The components at one point; between two windows, those of the later one."""
        window = jnp.searchsorted(jnp.array(self.times[1:-1]), z[0], side="right")
        stages = len(self.scales)
        value = jnp.zeros((), z.dtype)
        for stage, scale in enumerate(self.scales):
            graph, _ = nnx.split(self.parts[stage])
            # One network with the parameters of its window is traced once, not once per window.
            states = [nnx.state(part) for part in self.parts[stage::stages]]
            own = jax.tree.map(lambda *leaves: jnp.stack(leaves)[window], *states)
            value = value + scale * nnx.merge(graph, own)(z)
        return value


class Correction(nnx.Module):
    """`ε M(z)` added to a function that has no parameters to train."""

    def __init__(self, network: nnx.Module, scale: float, base: PointFunction):
        """Keep what is added up.

        Args:
            network: M.
            scale: ε.
            base: The function.
        """
        self.network = network
        self.scale = scale
        self.base = base

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        return self.base(z) + self.scale * self.network(z)  # pyright: ignore[reportCallIssue]
