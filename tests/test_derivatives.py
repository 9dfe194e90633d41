import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo.derivatives import Field
from pinnzoo.errors import UnknownNameError
from tests.oracles import finite_difference, nested_jacobian

Z = jnp.array([0.3, -0.7, 0.4])
NAMES = "u v u_t v_x u_xx v_tt u_xy u_tx v_xxy u_xxx v_yyyy u_txyy"


def function(z):
    t, x, y = z
    return jnp.stack([jnp.sin(2 * x + t) * jnp.exp(y * t), jnp.cos(x * y) + t**3 * jnp.tanh(y + x)])


FIELD = Field(function, ("u", "v"), "txy")


def oracle(derivative, name):
    component, _, letters = name.partition("_")
    return derivative(function, np.asarray(Z), ["txy".index(c) for c in letters])[
        "uv".index(component)
    ]


@pytest.fixture(scope="module")
def values():
    named = jax.jit(lambda z: FIELD(z, NAMES))(Z)
    return dict(zip(NAMES.split(), map(float, named), strict=True))


@pytest.mark.parametrize("name", NAMES.split())
def test_derivatives_by_name_equal_nested_jacobians(values, name):
    expected = oracle(nested_jacobian, name)
    assert abs(expected) > 1e-3
    np.testing.assert_allclose(values[name], expected, rtol=1e-10)


def test_derivatives_along_many_axes_are_taken_side_by_side():
    letters, calls = "abcdefg", []

    def many(z):
        calls.append(1)
        return jnp.stack([jnp.sin(jnp.arange(1.0, 8.0) @ z), jnp.prod(jnp.cos(z))])

    z = jnp.linspace(-0.4, 0.9, 7)
    names = [
        *("v", "u", "u_ab"),
        *(f"v_{c}{c}" for c in reversed(letters)),
        *(f"u_{c}{c}" for c in letters),
        *(f"u_{c}" for c in letters),
    ]
    found = jax.jit(lambda z: Field(many, ("u", "v"), letters)(z, names))(z)
    assert len(calls) == 2
    for name, value in zip(names, found, strict=True):
        component, _, path = name.partition("_")
        axes = [letters.index(c) for c in path]
        expected = nested_jacobian(many, np.asarray(z), axes)["uv".index(component)]
        assert abs(expected) > 1e-3
        np.testing.assert_allclose(value, expected, rtol=1e-11)


@pytest.mark.parametrize("name", ["u_t", "v_x", "u_xx", "u_xy", "u_xxx"])
def test_derivatives_by_name_equal_finite_differences(values, name):
    np.testing.assert_allclose(values[name], oracle(finite_difference, name), rtol=1e-6)


def test_names_are_answered_in_the_order_asked():
    one = FIELD(Z, "u_xx u v_t u")
    separately = [FIELD(Z, name)[0] for name in ("u_xx", "u", "v_t", "u")]
    np.testing.assert_allclose(one, separately, rtol=1e-14)
    assert len(set(map(float, one))) == 3


def test_order_of_mixed_letters_does_not_matter():
    first, second, third = FIELD(Z, "u_txy u_ytx u_xyt")
    assert float(first) == float(second) == float(third) != 0


def test_derivatives_along_one_axis_share_one_nest():
    """Value and lower derivatives come for free: asking for them adds no call of the function."""

    def calls(names):
        counted = []

        def counting(z):
            counted.append(None)
            return function(z)

        jax.make_jaxpr(lambda z: Field(counting, ("u", "v"), "txy")(z, names))(Z)
        return len(counted)

    assert calls("u_xxx") == calls("u u_x v_xx u_xxx v") == 1
    assert calls("u_x u_t") == 2


@pytest.mark.parametrize("name", ["w", "u_q", "u_tq", "U", "u_t_x"])
def test_unknown_names_are_refused_with_what_exists(name):
    with pytest.raises(UnknownNameError, match=r"components are \('u', 'v'\)") as caught:
        FIELD(Z, f"u {name}")
    assert repr(name) in str(caught.value)


def test_derivatives_keep_single_precision():
    results = FIELD(jnp.asarray(Z, jnp.float32), "u u_xx v_xy")
    assert {x.dtype for x in results} == {jnp.dtype("float32")}


def growing(z):
    return jnp.atleast_1d(jnp.exp(z[0]) * jnp.sin(2 * z[0] + z[1]))


def without_rule(z):
    """The same by a loop, for which JAX has no rule of Taylor expansions."""
    return jax.lax.fori_loop(0, 1, lambda _, value: value + growing(z), jnp.zeros(1))


@pytest.mark.parametrize("through", [growing, without_rule])
def test_high_derivatives_equal_the_closed_form(through):
    z = np.array([0.3, 0.5])
    names = " ".join("u_" + "x" * order for order in range(4, 8))
    found = Field(through, ("u",), "xy")(jnp.asarray(z), names)
    for order, value in zip(range(4, 8), found, strict=True):
        exact = ((1 + 2j) ** order * np.exp(z[0] + 1j * (2 * z[0] + z[1]))).imag
        assert float(value) == pytest.approx(exact, rel=1e-12)


def test_programs_of_high_derivatives_do_not_double_with_each_order():
    def length(order):
        field = Field(growing, ("u",), "xy")
        program = jax.make_jaxpr(lambda z: field(z, "u_" + "x" * order))(jnp.ones(2))
        return len(program.jaxpr.eqns)

    assert length(10) < 4 * length(6)


def test_what_a_network_says_is_said_of_high_derivatives_too():
    def broken(z):
        raise ZeroDivisionError("of one's own")

    with pytest.raises(ZeroDivisionError, match="of one's own"):
        Field(broken, ("u",), "xy")(jnp.ones(2), "u_xxxxxx")
