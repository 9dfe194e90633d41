"""The network architectures, one file each. `mlp.py` is the template for a new one."""

from collections.abc import Mapping, Sequence
from typing import Any

from flax import nnx

from pinnzoo.architectures.fourier_mlp import FourierMLP
from pinnzoo.architectures.layers import Buffer as Buffer
from pinnzoo.architectures.mlp import MLP
from pinnzoo.architectures.modified_mlp import ModifiedMLP
from pinnzoo.architectures.siren import Siren
from pinnzoo.architectures.spinn import SPINN
from pinnzoo.architectures.tangent_mlp import TangentMLP
from pinnzoo.precision import check_dtype
from pinnzoo.registry import make

ARCHITECTURES: dict[str, type[nnx.Module]] = {
    "fourier_mlp": FourierMLP,
    "mlp": MLP,
    "modified_mlp": ModifiedMLP,
    "siren": Siren,
    "spinn": SPINN,
    "tangent_mlp": TangentMLP,
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
