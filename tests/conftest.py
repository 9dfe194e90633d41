"""Settings for all tests: double precision, and nothing promoted without being asked."""

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def single_precision():
    """JAX as a user has it who did not switch double precision on."""
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", True)
