"""The network architectures, one file each. `mlp.py` is the template for a new one."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from flax import nnx

from pinnzoo.architectures._layers import Buffer as Buffer
from pinnzoo.architectures.fourier_mlp import FourierMLP
from pinnzoo.architectures.mlp import MLP
from pinnzoo.architectures.modified_mlp import ModifiedMLP
from pinnzoo.errors import RecipeError, UnknownNameError
from pinnzoo.precision import check_dtype

ARCHITECTURES: dict[str, type[nnx.Module]] = {
    "fourier_mlp": FourierMLP,
    "mlp": MLP,
    "modified_mlp": ModifiedMLP,
}


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
    if name not in ARCHITECTURES:
        raise UnknownNameError.of("architecture", name, ARCHITECTURES)
    factory = ARCHITECTURES[name]
    given = {"self", "m", "lower", "upper", "dtype", "rngs"}
    # The signature of an nnx class itself is that of its metaclass: (*args, **kwargs).
    parameters = inspect.signature(factory.__init__).parameters
    allowed = [key for key in parameters if key not in given]
    for argument in arguments:
        if argument not in allowed:
            raise RecipeError(
                f"architecture {name!r} was given the argument {argument!r}: "
                f"it takes {', '.join(allowed)}."
            )
    return factory(
        m,  # pyright: ignore[reportCallIssue]
        lower=lower,
        upper=upper,
        dtype=check_dtype(dtype),
        rngs=nnx.Rngs(params=seed),
        **arguments,
    )
