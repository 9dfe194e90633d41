"""The network architectures, one file each. `mlp.py` is the template for a new one."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flax import nnx

from pinnzoo.architectures.chebyshev_kan import ChebyshevKAN
from pinnzoo.architectures.fourier_mlp import FourierMLP
from pinnzoo.architectures.layers import Buffer as Buffer
from pinnzoo.architectures.mlp import MLP
from pinnzoo.architectures.modified_mlp import ModifiedMLP
from pinnzoo.architectures.multiscale_fourier import MultiscaleFourier
from pinnzoo.architectures.piratenet import PirateNet
from pinnzoo.architectures.rwf_mlp import RWFMLP
from pinnzoo.architectures.siren import Siren
from pinnzoo.architectures.spinn import SPINN
from pinnzoo.architectures.tangent_mlp import TangentMLP
from pinnzoo.errors import UnknownNameError
from pinnzoo.precision import check_dtype
from pinnzoo.registry import find, make, register

ARCHITECTURES: dict[str, Callable[..., nnx.Module]] = {
    "chebyshev_kan": ChebyshevKAN,
    "fourier_mlp": FourierMLP,
    "mlp": MLP,
    "modified_mlp": ModifiedMLP,
    "multiscale_fourier": MultiscaleFourier,
    "piratenet": PirateNet,
    "rwf_mlp": RWFMLP,
    "siren": Siren,
    "spinn": SPINN,
    "tangent_mlp": TangentMLP,
}
"""All architectures by name, as classes; `register_architecture` adds one."""

GIVEN = ("m", "lower", "upper", "dtype", "rngs")
"""What an architecture is called with besides the arguments of a recipe."""


def register_architecture(
    factory: Callable[..., nnx.Module], *, name: str | None = None, title: str | None = None
) -> Callable[..., nnx.Module]:
    """Give a network of your own a name, by which recipes and files find it; also a decorator.

    Args:
        factory: A class or function that is called as `factory(m, lower=, upper=, dtype=, rngs=,
            **architecture_arguments)` and returns a module that maps one point `(d,)` to `(m,)`.
        name: The name that recipes use; by default that of the class in snake case.
        title: How it is written on cards.

    Raises:
        RegistrationError: The name is taken.

    Example:
        ```python
        pinnzoo.register_architecture(MyNet, title="my network")
        recipe = pinnzoo.Recipe("heat", "my_net", (pinnzoo.Phase("lm", 100),))
        ```
    """
    name = name or snake_case(getattr(factory, "__name__", ""))
    return register("architecture", ARCHITECTURES, factory, name=name, title=title)


def snake_case(name: str) -> str:
    """The name of a class as recipes write it: `MyNet` is my_net."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def find_architecture(name: str) -> Callable[..., nnx.Module]:
    """The factory of a name.

    Raises:
        UnknownNameError: There is no such architecture.
    """
    return find("architecture", ARCHITECTURES, name)


def is_known(name: str) -> bool:
    """Whether there is an architecture of that name, here or in an installed package."""
    try:
        find_architecture(name)
    except UnknownNameError:
        return False
    return True


def make_architecture(
    name: str,
    arguments: Mapping[str, Any],
    *,
    m: int,
    lower: Sequence[float],
    upper: Sequence[float],
    dtype: str,
    seed: int,
) -> nnx.Module:
    """A network with random parameters, for `m` unknowns on the box from `lower` to `upper`.

    Raises:
        UnknownNameError: There is no such architecture.
        RecipeError: The architecture does not take one of the arguments, or not that value.
        PrecisionError: float64 was asked for while JAX has it switched off.
    """
    return make(
        "architecture",
        ARCHITECTURES,
        name,
        arguments,
        m=m,
        lower=lower,
        upper=upper,
        dtype=check_dtype(dtype),
        rngs=nnx.Rngs(params=seed),
    )
