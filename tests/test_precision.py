import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo.errors import PinnzooError, PrecisionError, RecipeError
from pinnzoo.precision import (
    check_dtype,
    enable_x64,
    full_precision,
    require_device,
    require_x64,
    x64_enabled,
)


@pytest.mark.usefixtures("single_precision")
def test_double_precision_is_refused_while_it_is_off():
    assert not x64_enabled()
    with pytest.raises(PrecisionError, match=r"the thing needs float64 .* pinnzoo.enable_x64\(\)"):
        require_x64("the thing")
    with pytest.raises(PrecisionError):
        check_dtype("float64")
    assert check_dtype("float32") == np.float32


@pytest.mark.usefixtures("single_precision")
def test_enable_x64_makes_float64_arrays():
    assert jnp.ones(1).dtype == jnp.float32
    enable_x64()
    assert jnp.ones(1).dtype == jnp.float64
    require_x64("the thing")
    assert check_dtype("float64") == np.float64


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "double", "", "Float64"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(RecipeError, match="float64 and float32"):
        check_dtype(dtype)
    assert issubclass(RecipeError, PinnzooError)


def test_importing_pinnzoo_leaves_the_precision_of_the_process_alone():
    code = "import jax, pinnzoo.objective, pinnzoo.optimizers; assert not jax.config.jax_enable_x64"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_precision_is_that_of_the_thread_and_the_context():
    full_precision("float64", "the thing")
    with jax.enable_x64(False):
        full_precision("float32", "the thing")
        with pytest.raises(PrecisionError, match="the thing needs float64"):
            full_precision("float64", "the thing")
        with jax.enable_x64(True):
            full_precision("float64", "the thing")


def test_device_that_is_missing_is_named(monkeypatch):
    require_device()

    def fail(*_):
        raise AssertionError

    monkeypatch.setattr(jax, "devices", fail)
    with pytest.raises(PinnzooError, match=r"JAX has no device .*AssertionError.* JAX_PLATFORMS"):
        require_device()
