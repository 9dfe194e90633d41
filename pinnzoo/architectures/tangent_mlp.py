"""A multilayer perceptron with its tangent, one of each per window of time."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from pinnzoo._typing import Point, PointFunction, Values
from pinnzoo.architectures.corners import Angle, Corner, Wedge
from pinnzoo.architectures.layers import check_sizes
from pinnzoo.architectures.mlp import MLP
from pinnzoo.architectures.siren import Siren
from pinnzoo.architectures.spinn import SPINN
from pinnzoo.errors import RecipeError


class TangentMLP(nnx.Module):
    """`N(z) = M(z; θ) + ∂M(z; θ)/∂θ · ω`, where θ is trained first, and then ω alone.

    Second-order training of θ becomes slow when what is left of the residual lies along singular
    vectors of the Jacobian with small singular values: along these the network is so nonlinear
    that only short steps lower the loss. The linearized network (Lee et al. 2019, arXiv
    1902.06720, section 2.2) is linear in ω. Its p features, the derivatives of M by its trained
    parameters, span the same tangent space, and a few Gauss-Newton steps in ω find the
    least-squares solution in it, whose residual is several orders of magnitude smaller.

    Time may be divided into windows with a network each, which are trained one after another as in
    Wight and Zhao (2021, Commun. Comput. Phys. 29:930-954). A window meets the one before it in a
    condition, see `Problem.between`; the jump that training leaves is part of the error.

    `Phase.part` says what is trained: part 2k is θ of window k, part 2k + 1 its ω. Without tangents
    part k is the network of window k.
    """

    def __init__(
        self,
        m: int,
        *,
        lower: Sequence[float],
        upper: Sequence[float],
        windows: int | Sequence[float] = 1,
        tangent: bool = True,
        width: int = 20,
        depth: int = 3,
        activation: str = "tanh",
        initialization: str = "xavier",
        omega: float | Sequence[float] | None = None,
        rank: int | None = None,
        centre: float = 0.0,
        periodic_axes: Sequence[int] = (),
        harmonics: int = 1,
        corners: Sequence[str | Corner | Angle] = (),
        wedges: Sequence[str | Wedge] = (),
        dtype: Any,
        rngs: nnx.Rngs,
    ):
        """Draw θ; every ω is zero.

        Args:
            m: Number of components.
            lower: Lower bounds of the domain, whose first coordinate is time where there are
                several windows.
            upper: Upper bounds of the domain.
            windows: Number of windows of equal length, or the times where one ends and the next
                begins.
            tangent: Give every network its tangent; without, N = M, and there are half as many
                parameters.
            width: Neurons of a hidden layer.
            depth: Number of hidden layers.
            activation: A name of `ACTIVATIONS`.
            initialization: "xavier" or "ntk".
            omega: Takes sine layers, as in `Siren`, in the place of those with the activation: the
                ω of the first one.
            rank: Takes a sum of so many products of networks of one coordinate each, as in `SPINN`,
                in the place of one network of all coordinates.
            centre: What the factors of products begin around, as in `SPINN`.
            periodic_axes: Indices of coordinates to embed periodically.
            harmonics: Frequencies per periodic coordinate.
            corners: What is added where the data jump or have a kink, as texts of `corners.read`;
                not to products.
            wedges: What is added with trained amplitudes where edges of the domain meet, likewise.
            dtype: Type of the parameters.
            rngs: Source of randomness.

        Raises:
            RecipeError: `tangent` is neither True nor False, the windows do not divide the domain,
                or divide a periodic coordinate, a size is not a positive whole number,
                "ntk" is given for sine layers or for products, which draw their own way,
                `centre` is given without products, or corners or wedges with them, or one is none.
            UnknownNameError: No such activation or initialisation.
        """
        if not isinstance(tangent, bool):
            raise RecipeError(f"tangent={tangent!r} was given: it must be True or False.")
        times = _divide(windows, lower[0], upper[0])
        if 0 in periodic_axes and len(times) > 2:
            raise RecipeError(
                f"periodic_axes={tuple(periodic_axes)} was given: windows follow one another in "
                "coordinate 0, which cannot be periodic."
            )
        self.times = times
        if initialization != "xavier" and not (omega is None and rank is None):
            raise RecipeError(
                f"initialization={initialization!r} was given with "
                f"{'omega' if rank is None else 'rank'}: sine layers and products are drawn in "
                "ways of their own, so leave one of the two out."
            )
        if centre and rank is None:
            raise RecipeError(
                f"centre={centre!r} was given without rank: it is what the factors of products "
                "begin around, so give a rank too, or leave it out."
            )
        if (corners or wedges) and rank is not None:
            raise RecipeError(
                f"corners or wedges were given with rank={rank!r}: products have none, so leave "
                "one of the two out."
            )
        sizes = {"width": width, "depth": depth}
        inputs = {"periodic_axes": periodic_axes, "harmonics": harmonics}

        def draw(begin: float, end: float) -> nnx.Module:
            box = {"lower": (begin, *lower[1:]), "upper": (end, *upper[1:])}
            options = {**sizes, **inputs, **box, "dtype": dtype, "rngs": rngs}
            if rank is not None:
                sines: dict[str, Any] = {"activation": "sin", "omega": omega}
                body = {"activation": activation} if omega is None else sines
                return SPINN(m, rank=rank, centre=centre, **body, **options)
            options |= {"corners": corners, "wedges": wedges}
            if omega is not None:
                return Siren(m, omega=omega, **options)
            return MLP(m, activation=activation, initialization=initialization, **options)

        networks = [draw(begin, end) for begin, end in itertools.pairwise(times)]
        self.stride = 2 if tangent else 1
        self.parts = nnx.List(
            part
            for network in networks
            for part in ((network, zeros_like(network)) if tangent else (network,))
        )

    def part_times(self, part: int) -> tuple[float, float]:
        """First and last time of the window that a part belongs to."""
        window = part // self.stride
        return self.times[window], self.times[window + 1]

    def up_to(self, part: int) -> nnx.Module:
        """The network of a window without its tangent, or the tangent with the network frozen."""
        if part % self.stride == 0:
            return self.parts[part]
        return Tangent(self.parts[part - 1], self.parts[part])

    def tangent_of(self, part: int) -> int | None:
        """The part that is the tangent of a network; None where that has none or is one."""
        return part + 1 if self.stride == 2 and part % 2 == 0 else None

    def before(self, part: int) -> PointFunction | None:
        """What a part has to meet where its window begins; None in the first window."""
        window = part // self.stride
        return self.up_to(self.stride * window - 1) if window else None  # pyright: ignore[reportReturnType]

    def continued(self, part: int) -> nnx.State:
        """Parameters with which the network of a window is that of the window before.

        Each network reads its own window's times as -1 to 1, so that the first layer has to read
        others: the function is the same, also beyond the times for which it was trained.

        Args:
            part: The part of a network, not of a tangent, in a window that is not the first.
        """
        graph, state = nnx.split(self.parts[part - self.stride])
        network = nnx.merge(graph, jax.tree.map(jnp.copy, state))
        read_later(network, self.part_times(part - self.stride), self.part_times(part))
        return nnx.state(network, nnx.Param)

    def __call__(self, z: Point) -> Values:
        """The components at one point; between two windows, those of the later one."""
        if len(self.times) == 2:
            # Nothing to choose, and nothing to look up for every point.
            return self.up_to(self.stride - 1)(z)  # pyright: ignore[reportCallIssue]
        window = jnp.searchsorted(jnp.array(self.times[1:-1]), z[0], side="right")
        # One network with the parameters of its window is traced once, not once per window.
        graph, _ = nnx.split(self.parts[0])
        splits = [nnx.split(part, nnx.Param, ...)[1:] for part in self.parts]

        def own(states: Sequence[nnx.State]) -> nnx.State:
            return jax.tree.map(lambda *leaves: jnp.stack(leaves)[window], *states)

        trained = splits[:: self.stride]
        params, rest = own([s[0] for s in trained]), own([s[1] for s in trained])
        if self.stride == 1:
            return nnx.merge(graph, params, rest)(z)
        omega = own([s[0] for s in splits[1::2]])
        value, slope = along(graph, params, omega, rest, z)
        return value + slope


def read_later(network: Any, before: tuple[float, float], after: tuple[float, float]) -> None:
    """Let a network that reads the times of one window as -1 to 1 so read those of another one.

    Its first layer is changed such that the function stays the same, which goes on beyond the
    times of its window.

    Args:
        network: An `MLP`, a `Siren`, or a `SPINN` of them, whose first coordinate is time.
        before: First and last time of the window that it was trained for.
        after: Those of the window that its layer of inputs belongs to now.
    """
    (begin, end), (first, last) = before, after
    stretch = (last - first) / (end - begin)
    shift = (first + last - begin - end) / (end - begin)
    network = getattr(network, "bodies", (network,))[0]
    layer = network.hidden[0]
    kernel, bias = layer.kernel[...], layer.bias[...]
    # Time is the first input: it is no periodic one, and those come last. A Siren stretches it.
    scale = getattr(network, "stretch", (1.0,))[0]
    layer.bias[...] = bias + shift * scale * kernel[0]
    layer.kernel[...] = kernel.at[0].multiply(stretch)


class Tangent(nnx.Module):
    """`M(z; θ) + ∂M(z; θ)/∂θ · ω` as a network with the parameters ω."""

    def __init__(self, network: nnx.Module, direction: nnx.Module):
        """Freeze θ.

        Args:
            network: M with the parameters θ.
            direction: The same network with the parameters ω.
        """
        self.direction = direction

        def value(omega: nnx.State, z: Point) -> Values:
            # The network is no attribute, so that θ is not among the parameters.
            graph, params, rest = nnx.split(network, nnx.Param, ...)
            own, slope = along(graph, params, omega, rest, z)
            return own + slope

        self.value = value

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        return self.value(nnx.state(self.direction, nnx.Param), z)


def along(
    graph: Any, params: nnx.State, omega: nnx.State, rest: nnx.State, z: Point
) -> tuple[Values, Values]:
    """Value of a network, and its derivative in the direction of other parameters.

    Args:
        graph: What `nnx.split` makes of the network, with its parameters apart.
        params: Its parameters.
        omega: The direction.
        rest: What else it has.
        z: The point.
    """

    def network(parameters: nnx.State) -> Values:
        return nnx.merge(graph, parameters, rest)(z)

    return jax.jvp(network, (params,), (omega,))


def zeros_like(network: nnx.Module) -> nnx.Module:
    """The same network with all parameters zero, such as those of a new tangent."""
    graph, params, rest = nnx.split(network, nnx.Param, ...)
    return nnx.merge(graph, jax.tree.map(jnp.zeros_like, params), rest)


def _divide(windows: int | Sequence[float], low: float, high: float) -> tuple[float, ...]:
    """Where windows begin and end."""
    if isinstance(windows, (list, tuple)):
        times = (low, *map(float, windows), high)
    else:
        check_sizes(windows=windows)  # pyright: ignore[reportArgumentType]
        inner = (low + (high - low) * k / windows for k in range(1, windows))  # pyright: ignore
        times = (low, *inner, high)
    if any(b <= a for a, b in itertools.pairwise(times)):
        raise RecipeError(
            f"windows={windows!r} was given: the times must rise strictly, between {low} and "
            f"{high}."
        )
    return times
