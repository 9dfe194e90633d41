"""Settings for all tests: double precision, and nothing promoted without being asked."""

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="module", autouse=True)
def forget_compiled_programs():
    """Drop what a module compiled when it is done.

    Each compiled program holds memory maps, of which Linux grants a process 65,530. The whole suite
    compiles more than that, and the compiler then dies of a segmentation fault.
    """
    yield
    jax.clear_caches()


@pytest.fixture
def single_precision():
    """JAX as a user has it who did not switch double precision on."""
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", True)
