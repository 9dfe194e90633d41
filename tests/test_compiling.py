"""What is asked of the compiler."""

import jax
import jax.numpy as jnp
import pytest

from pinnzoo._compiling import QUICKEST_COMPILE, quick, quickest


@pytest.mark.parametrize("options", [quick(""), QUICKEST_COMPILE], ids=["quick", "quickest"])
def test_the_compiler_takes_the_options(options):
    """Of the quick ones only this test sees more than nothing: `conftest` states a level."""
    assert options
    double = jax.jit(lambda x: 2 * x, compiler_options=options)
    assert double(jnp.ones(())) == 2


def test_a_level_that_the_user_states_holds_for_all_programs():
    assert quick("--xla_cpu_enable_fast_math=false --xla_backend_optimization_level=0") == {}
    assert quick("--xla_cpu_enable_fast_math=false") == quick("") != {}


def test_an_option_that_xla_dropped_is_given_to_older_versions_alone():
    dropped = "xla_cpu_use_fusion_emitters"
    assert dropped in quickest((0, 10, 2))
    assert dropped in quickest((0, 11, 0))
    assert dropped not in quickest((0, 11, 1))
    assert set(quickest((0, 12, 0))) == set(quickest((0, 10, 2))) - {dropped}
