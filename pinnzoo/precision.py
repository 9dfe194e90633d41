"""What JAX computes with: double precision, asked for and never lost silently, and a device."""

import contextlib
import os
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnzoo.errors import PinnzooError, PrecisionError, RecipeError, shortened

DTYPES = ("float64", "float32")


def enable_x64() -> None:
    """Switch JAX to double precision for this process.

    Call it once, before any array is made. Importing pinnzoo does not do it, since it changes
    the default dtype of all other JAX code in the process.

    Example:
        >>> enable_x64()
        >>> jnp.zeros(3).dtype
        dtype('float64')
    """
    jax.config.update("jax_enable_x64", True)


def x64_enabled() -> bool:
    """Whether JAX makes float64 arrays at present, in this thread.

    `jax.enable_x64(...)` as a context manager counts, which changes one thread alone.
    """
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


def full_precision(dtype: str, purpose: str) -> None:
    """Raise where JAX would compute in fewer digits than a network of this dtype has.

    Call it wherever a network computes, not only where it is loaded: `jax.enable_x64(False)` around
    a call, or a thread outside of `jax.enable_x64(True)`, rounds the weights to float32.

    Args:
        dtype: That of the network, "float64" or "float32".
        purpose: What is to be done, for the message.

    Raises:
        PrecisionError: The network is float64 and JAX has that switched off here.

    Example:
        >>> full_precision("float32", "predicting with the network")
    """
    if dtype == "float64":
        require_x64(purpose)


def require_device() -> None:
    """Raise where JAX cannot start, before that is taken for a fault of what it was to compute.

    Raises:
        PinnzooError: The platform that it was told to use is not there.
    """
    try:
        jax.devices()
    except Exception as error:
        # When it is asked again, JAX raises an assertion without a message.
        reason = shortened(error) or type(error).__name__
        wanted = getattr(jax.config, "jax_platforms", None) or os.environ.get("JAX_PLATFORMS", "")
        raise PinnzooError(
            f"JAX has no device to compute on, with JAX_PLATFORMS={wanted!r} ({reason}): set "
            "JAX_PLATFORMS to a platform that this machine has, such as cpu, or unset it."
        ) from error


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


def product(a: Array, b: Array) -> Array:
    """`a @ b` in all digits of its type; an accelerator left to itself rounds float32 to ten bits.

    With ten bits the values of a network were wrong by 1e-3 of the largest one.
    """
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


@contextlib.contextmanager
def every_digit() -> Iterator[None]:
    """Products of matrices in all digits of their type, for what is traced inside."""
    with jax.default_matmul_precision("highest"):
        yield
