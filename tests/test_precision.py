import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnzoo
from pinnzoo import ARCHITECTURES, Phase, Recipe, train
from pinnzoo.architectures import make_architecture
from pinnzoo.errors import PinnzooError, PrecisionError, RecipeError
from pinnzoo.optimizers import Info, Optimizer
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


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_product_of_a_network_keeps_all_digits_of_float32(name):
    """Left to itself an accelerator rounds the factors to ten bits, which no CPU shows."""
    with jax.enable_x64(False):
        model = make_architecture(
            name, {}, m=1, lower=(0.0, 0.0), upper=(1.0, 1.0), dtype="float32", seed=0
        )
        text = str(jax.make_jaxpr(lambda z: model(z))(jnp.ones(2, jnp.float32)))
    products = text.count("dot_general[")
    assert products == text.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") > 0


def test_training_computes_products_in_all_digits():
    found = []

    def product(objective, theta, state):
        del objective
        found.append(jax.config.jax_default_matmul_precision)  # pyright: ignore
        return theta, state, Info(*[0.0] * 6)

    own = Optimizer(lambda *_: (), product, traceable=False)
    train(
        Recipe("heat", "mlp", (Phase("own", 1),), architecture_arguments={"width": 4, "depth": 1}),
        optimizers={"own": own},
        diagnostics=False,
    )
    assert found == ["highest"]


@pytest.mark.parametrize("optimizer", ["levenberg_marquardt", "spring"])
def test_constants_of_an_equation_do_not_change_the_precision_of_its_rows(optimizer):
    domain = pinnzoo.Box("tx", (0, 0), (1, 1))
    diffusivity = jnp.asarray(np.array([0.1]))
    problem = pinnzoo.Problem(
        name="rod_of_constants",
        domain=domain,
        components=("u",),
        equation=lambda u, z: u(z, "u_t")[0] - diffusivity[0] * u(z, "u_xx")[0],
        conditions=(pinnzoo.initial(domain, "u", 1.0),),
    )
    recipe = Recipe(
        "rod_of_constants",
        "mlp",
        (Phase(optimizer, 2, points={"equation": 700}),),
        architecture_arguments={"width": 4, "depth": 1},
        dtype="float32",
    )
    entry = train(recipe, problem=problem, diagnostics=False)
    assert entry.metrics["dtype"] == "float32"
    assert entry.recipe.steps == 2
