"""Double precision: asked for explicitly, never lost silently."""

import jax
import numpy as np

from pinnzoo.errors import PrecisionError, RecipeError

DTYPES = ("float64", "float32")


def enable_x64() -> None:
    """Switch JAX to double precision for this process.

    Call it once, before any array is made. Importing pinnzoo does not do it, since it changes
    the default dtype of all other JAX code in the process.
    """
    jax.config.update("jax_enable_x64", True)


def x64_enabled() -> bool:
    """Whether JAX makes float64 arrays at present."""
    return bool(jax.config.read("jax_enable_x64"))


def require_x64(purpose: str) -> None:
    """Raise unless double precision is on.

    Raises:
        PrecisionError: JAX would silently compute in float32.
    """
    if not x64_enabled():
        raise PrecisionError(
            f"{purpose} needs float64 but JAX has it switched off: call pinnzoo.enable_x64() "
            "first, or set the environment variable JAX_ENABLE_X64=1."
        )


def check_dtype(dtype: str) -> np.dtype:
    """The NumPy dtype named `dtype`, float64 only where JAX will honour it.

    Raises:
        RecipeError: `dtype` is neither "float64" nor "float32".
        PrecisionError: float64 was asked for while JAX has it switched off.
    """
    if dtype not in DTYPES:
        raise RecipeError(f"dtype {dtype!r} was given: allowed are {' and '.join(DTYPES)}.")
    if dtype == "float64":
        require_x64("a float64 network")
    return np.dtype(dtype)
