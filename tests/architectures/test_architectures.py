"""Claims that hold for every architecture of the table."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pinnzoo.architectures import ARCHITECTURES, Buffer, make_architecture
from pinnzoo.architectures.layers import (
    ACTIVATIONS,
    Dense,
    FactorizedDense,
    Normalize,
    PeriodicEmbedding,
    normal,
)
from pinnzoo.derivatives import Field
from pinnzoo.errors import PointsError, PrecisionError, RecipeError, UnknownNameError
from pinnzoo.objective import flatten_model, part_slice

BOUNDS = {"lower": (0.0, -1.0), "upper": (2.0, 3.0)}
Z = jnp.array([0.7, 1.3])


def build(name, arguments=None, *, m=2, dtype="float64", seed=0):
    sizes = {"width": 6, "depth": 2}
    return make_architecture(name, sizes | (arguments or {}), m=m, dtype=dtype, seed=seed, **BOUNDS)


def takes(name, argument):
    """Whether an architecture has this argument; tests of arguments it lacks are skipped."""
    return argument in inspect.signature(ARCHITECTURES[name].__init__).parameters


def initializations(name):
    return ("xavier", "ntk") if takes(name, "initialization") else (None,)


def initialized(name, initialization):
    return build(name, {"initialization": initialization} if initialization else {})


def values_of(model, points):
    return np.asarray(jax.jit(jax.vmap(model))(points))


def relative_gap(field, names, points, others):
    at = jax.jit(jax.vmap(lambda z: jnp.stack(field(z, names))))
    values = at(points)
    return np.abs(at(others) - values).max() / np.abs(values).max()


@pytest.mark.parametrize("name", ARCHITECTURES)
class TestArchitecture:
    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_maps_one_point_to_the_components_in_its_dtype(self, name, dtype):
        model = build(name, m=3, dtype=dtype)
        values = model(Z.astype(dtype))  # pyright: ignore
        assert values.shape == (3,)
        assert values.dtype == dtype
        leaves = jax.tree.leaves(nnx.state(model))
        assert {leaf.dtype for leaf in leaves} == {jnp.dtype(dtype)}

    def test_derivatives_up_to_the_fourth_are_finite_and_not_zero(self, name):
        names = "u u_t u_x u_tt u_xx u_tx u_xxx u_xxxx"
        field = Field(build(name), ("u", "v"), "tx")  # pyright: ignore
        values = np.array(jax.jit(lambda z: field(z, names))(Z))
        assert np.isfinite(values).all()
        assert np.all(values != 0)

    def test_every_parameter_moves_the_output(self, name):
        points = np.random.default_rng(0).uniform(BOUNDS["lower"], BOUNDS["upper"], (20, 2))
        for initialization in initializations(name):
            theta, to_model = flatten_model(initialized(name, initialization))
            # Where a network begins as the identity, its blocks are heard once α is not zero.
            theta = theta + 0.1
            jacobian = jax.jit(jax.jacrev(lambda v, put=to_model: jax.vmap(put(v))(points)))(theta)  # pyright: ignore
            assert np.isfinite(jacobian).all()
            assert np.all(np.abs(jacobian).max(axis=(0, 1)) > 0)

    def test_flat_parameters_go_back_into_the_same_network(self, name):
        model = build(name)
        theta, to_model = flatten_model(model)
        assert theta.shape == (sum(x.size for x in jax.tree.leaves(nnx.state(model, nnx.Param))),)
        np.testing.assert_array_equal(to_model(theta)(Z), model(Z))  # pyright: ignore
        assert not np.array_equal(to_model(1.1 * theta)(Z), model(Z))  # pyright: ignore

    def test_same_seed_same_network_and_another_seed_another(self, name):
        first, again, other = build(name, seed=5), build(name, seed=5), build(name, seed=6)
        for a, b in zip(*(jax.tree.leaves(nnx.state(x)) for x in (first, again)), strict=True):
            np.testing.assert_array_equal(a, b)
        assert not np.array_equal(first(Z), other(Z))  # pyright: ignore

    def test_holds_nothing_but_parameters_and_buffers(self, name):
        leaves = jax.tree.leaves(
            nnx.state(build(name)), is_leaf=lambda x: isinstance(x, nnx.Variable)
        )
        assert leaves
        assert all(isinstance(leaf, (nnx.Param, Buffer)) for leaf in leaves)
        _, _, rest = nnx.split(build(name), nnx.Param, ...)
        assert jax.tree.leaves(rest)

    def test_outputs_at_the_start_are_of_order_one(self, name):
        points = np.random.default_rng(0).uniform(BOUNDS["lower"], BOUNDS["upper"], (50, 2))
        for initialization in initializations(name):
            values = values_of(initialized(name, initialization), points)
            assert 0.01 < np.sqrt(np.mean(values**2)) < 10

    @pytest.mark.parametrize("axes", [[1], (0, 1)])
    def test_periodic_network_is_periodic_and_the_plain_one_is_not(self, name, axes):
        points = np.random.default_rng(0).uniform(BOUNDS["lower"], BOUNDS["upper"], (20, 2))
        model = build(name, {"periodic_axes": axes, "harmonics": 2})
        field, plain = (Field(x, ("u", "v"), "tx") for x in (model, build(name)))  # pyright: ignore
        for axis in range(2):
            shift = np.zeros(2)
            shift[axis] = BOUNDS["upper"][axis] - BOUNDS["lower"][axis]
            for names in ("u v", "u_t v_x u_xx"):
                gap = relative_gap(field, names, points, points + shift)
                assert gap < 1e-12 if axis in axes else gap > 1e-3
        assert relative_gap(plain, "u", points, points + shift) > 1e-3

    def test_frequencies_of_no_axis_are_refused(self, name):
        for harmonics, told in ((2, "without periodic_axes"), (0, "harmonics"), ("x", "harmonics")):
            with pytest.raises(RecipeError, match=told):
                build(name, {"harmonics": harmonics})

    def test_sizes_that_are_no_sizes_are_refused(self, name):
        for argument in ("width", "depth"):
            for wrong in (0, -1, 2.0, True, "8", None):
                with pytest.raises(RecipeError, match=argument):
                    build(name, {argument: wrong})

    def test_wrong_axes_names_and_arguments_are_refused(self, name):
        for axes in ((2,), (-1,), (1, 1)):
            with pytest.raises(RecipeError, match="periodic_axes"):
                build(name, {"periodic_axes": axes})
        if takes(name, "activation"):
            with pytest.raises(UnknownNameError, match="'tanh'"):
                build(name, {"activation": "tan"})
        if takes(name, "initialization"):
            with pytest.raises(UnknownNameError, match="xavier"):
                build(name, {"initialization": "glorot"})
        with pytest.raises(RecipeError, match=r"it takes .*width, depth"):
            build(name, {"layers": 3})
        with pytest.raises(RecipeError, match="it takes"):
            build(name, {"m": 3})

    @pytest.mark.usefixtures("single_precision")
    def test_float64_network_is_refused_in_single_precision(self, name):
        with pytest.raises(PrecisionError):
            build(name)
        assert build(name, dtype="float32")(Z.astype("float32")).dtype == jnp.float32  # pyright: ignore

    def test_docstrings_name_every_argument(self, name):
        factory = ARCHITECTURES[name]
        documented = inspect.getdoc(factory.__init__) or ""
        for argument in inspect.signature(factory.__init__).parameters:
            assert argument == "self" or f"{argument}:" in documented


def test_unknown_architectures_are_refused_with_what_exists():
    with pytest.raises(UnknownNameError, match="did you mean 'mlp'"):
        build("mpl")


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_smooth_and_not_affine(activation):
    function = ACTIVATIONS[activation]
    for derivative in (
        function,
        jax.grad(jax.grad(function)),
        jax.grad(jax.grad(jax.grad(function))),
    ):
        values = np.array([derivative(jnp.asarray(x)) for x in (-1.3, 0.2, 2.1)])
        assert np.isfinite(values).all()
        assert np.all(values != 0)


def test_mlp_is_the_composition_that_it_says():
    model = build("mlp", m=1)
    normalized = (np.array(Z) - [1.0, 1.0]) / [1.0, 2.0]
    h = normalized
    for layer in model.hidden:  # pyright: ignore
        h = np.tanh(h @ np.array(layer.kernel[...]) + np.array(layer.bias[...]))
    expected = h @ np.array(model.output.kernel[...]) + np.array(model.output.bias[...])  # pyright: ignore
    np.testing.assert_allclose(model(Z), expected, rtol=1e-13)  # pyright: ignore


def test_ntk_network_is_that_of_the_paper():
    """Section 2 of arXiv 2402.03864: u = W¹ σ(W⁰ z + b⁰)/√m + b¹."""
    model = build("mlp", {"depth": 1, "width": 7, "initialization": "ntk"}, m=1)
    (hidden,), output = model.hidden, model.output  # pyright: ignore
    normalized = (np.array(Z) - [1.0, 1.0]) / [1.0, 2.0]
    h = np.tanh(normalized @ np.array(hidden.kernel[...]) + np.array(hidden.bias[...]))
    expected = h @ np.array(output.kernel[...]) / np.sqrt(7) + np.array(output.bias[...])
    np.testing.assert_allclose(model(Z), expected, rtol=1e-13)  # pyright: ignore


def test_modified_mlp_gates_between_its_encoders():
    model = build("modified_mlp", m=1)
    s = (np.array(Z) - [1.0, 1.0]) / [1.0, 2.0]

    def affine(layer, x):
        return x @ np.array(layer.kernel[...]) + np.array(layer.bias[...])

    u, v = np.tanh(affine(model.encoder_u, s)), np.tanh(affine(model.encoder_v, s))  # pyright: ignore
    h = s
    for layer in model.hidden:  # pyright: ignore
        gate = np.tanh(affine(layer, h))
        h = (1 - gate) * u + gate * v
    np.testing.assert_allclose(model(Z), affine(model.output, h), rtol=1e-13)  # pyright: ignore


def test_fourier_features_are_stored_and_not_trained():
    model = build("fourier_mlp", {"features": 9, "scale": 5.0})
    frequencies = model.fourier.frequencies  # pyright: ignore
    assert isinstance(frequencies, Buffer)
    assert frequencies[...].shape == (2, 9)
    theta, to_model = flatten_model(model)
    moved = to_model(theta + 1.0)
    np.testing.assert_array_equal(moved.fourier.frequencies[...], frequencies[...])  # pyright: ignore


@pytest.mark.parametrize(("initialization", "spread"), [("xavier", np.sqrt(2 / 300)), ("ntk", 1.0)])
def test_dense_kernels_have_the_stated_spread(initialization, spread):
    layer = Dense(
        100, 200, initialization=initialization, dtype=jnp.float64, rngs=nnx.Rngs(params=0)
    )
    kernel = np.array(layer.kernel[...])
    np.testing.assert_allclose(kernel.std(), spread, rtol=0.02)
    np.testing.assert_allclose(kernel.mean(), 0, atol=5 * spread / np.sqrt(kernel.size))
    bias = np.array(layer.bias[...])
    assert (bias == 0).all() if initialization == "xavier" else 0.8 < bias.std() < 1.2


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(1,), (2, 24), (24, 24), (33, 40)])
def test_numbers_of_a_layer_are_those_of_jax(shape, dtype):
    key = jax.random.key(5)
    expected = 0.3 * jax.random.normal(key, shape, dtype)
    drawn = normal(key, shape, dtype, 0.3)
    assert drawn.dtype == expected.dtype
    np.testing.assert_array_equal(drawn, expected)
    # Under a trace there are no numbers to cut.
    assert jax.eval_shape(lambda k: normal(k, shape, dtype), key).shape == shape


def test_normalize_maps_the_box_to_the_cube():
    normalize = Normalize(BOUNDS["lower"], BOUNDS["upper"], dtype=jnp.float64)
    np.testing.assert_array_equal(normalize(jnp.array(BOUNDS["lower"])), [-1, -1])
    np.testing.assert_array_equal(normalize(jnp.array(BOUNDS["upper"])), [1, 1])


def test_periodic_embedding_lists_its_features():
    embedding = PeriodicEmbedding(3, (1,), 2)
    s = jnp.array([0.1, 0.2, 0.3])
    angle = np.pi * 0.2
    expected = [0.1, 0.3, np.cos(angle), np.cos(2 * angle), np.sin(angle), np.sin(2 * angle)]
    np.testing.assert_allclose(embedding(s), expected, rtol=1e-14)
    assert embedding.features == 6


def test_siren_is_the_composition_that_it_says():
    model = build("siren", {"omega": 7.0, "hidden_omega": 2.0})
    s = (Z - jnp.array([1.0, 1.0])) / jnp.array([1.0, 2.0])
    first, second = model.hidden  # pyright: ignore
    h = jnp.sin(7.0 * (s @ first.kernel[...] + first.bias[...]))
    h = jnp.sin(2.0 * (h @ second.kernel[...] + second.bias[...]))
    wanted = h @ model.output.kernel[...] + model.output.bias[...]  # pyright: ignore
    np.testing.assert_allclose(model(Z), wanted, rtol=1e-14)  # pyright: ignore
    stretched = build("siren", {"omega": [7.0, 3.5], "hidden_omega": 2.0})
    np.testing.assert_allclose(stretched(Z), model(jnp.array([Z[0], 1 + (Z[1] - 1) / 2])))  # pyright: ignore
    # Section 3.2 of the paper: the bounds of the weights.
    wide = build("siren", {"width": 400, "omega": 7.0, "hidden_omega": 2.0})
    for layer, bound in zip(wide.hidden, (1 / 2, np.sqrt(6 / 400) / 2), strict=True):  # pyright: ignore
        largest = np.abs(layer.kernel[...]).max()
        assert 0.98 * bound < largest <= bound


@pytest.mark.parametrize("omega", [[1.0], [1.0, 2.0, 3.0], [1.0, 0.0], -1.0])
def test_frequencies_that_do_not_fit_the_inputs_are_refused(omega):
    with pytest.raises(RecipeError, match="omega"):
        build("siren", {"omega": omega})


def windowed(**arguments):
    return build("tangent_mlp", {"windows": [0.5, 1.2], **arguments})


def with_tangents(model, seed=3):
    """The network with random numbers for every parameter."""
    theta, to_model = flatten_model(model)
    return to_model(jax.random.normal(jax.random.key(seed), theta.shape))


def test_tangent_mlp_is_the_first_order_expansion_of_its_network():
    model = with_tangents(build("tangent_mlp"))
    network, direction = model.parts  # pyright: ignore
    theta, to_network = flatten_model(network)
    omega, _ = flatten_model(direction)
    slope = jax.jacfwd(lambda v: to_network(v)(Z))(theta) @ omega  # pyright: ignore
    assert np.abs(slope).max() > 0.1
    np.testing.assert_allclose(model(Z), network(Z) + slope, rtol=1e-12)  # pyright: ignore


@pytest.mark.parametrize(
    ("plain", "arguments", "own"),
    [
        ("mlp", {}, {}),
        ("siren", {"omega": 3.0}, {}),
        ("spinn", {"rank": 3}, {}),
        ("spinn", {"rank": 3, "omega": [1.0, 2.0]}, {"activation": "sin"}),
        ("spinn", {"rank": 3, "centre": 1.0}, {}),
    ],
)
def test_a_new_tangent_adds_nothing(plain, arguments, own):
    model = build("tangent_mlp", {"width": 5, "depth": 2, **arguments})
    network = build(plain, {"width": 5, "depth": 2, **arguments, **own})
    np.testing.assert_array_equal(model(Z), network(Z))  # pyright: ignore


@pytest.mark.parametrize("arguments", [{"rank": 3}, {"omega": 3.0}])
def test_an_initialization_that_would_not_be_used_is_refused(arguments):
    word = next(iter(arguments))
    with pytest.raises(RecipeError, match=f"'ntk' was given with {word}"):
        build("tangent_mlp", {"initialization": "ntk", **arguments})


def test_every_time_belongs_to_the_network_of_its_window():
    model = with_tangents(windowed())
    for t, window in ((0.0, 0), (0.2, 0), (0.5, 1), (0.8, 1), (1.2, 2), (1.9, 2), (2.0, 2)):
        z = jnp.array([t, 0.4])
        part = model.up_to(2 * window + 1)  # pyright: ignore
        np.testing.assert_allclose(model(z), part(z), rtol=1e-13)  # pyright: ignore
        slopes = (jax.jacfwd(function)(z) for function in (model, part))
        np.testing.assert_allclose(*slopes, rtol=1e-11)
        network = model.up_to(2 * window)  # pyright: ignore
        assert np.abs(network(z) - part(z)).max() > 1e-3


def test_parts_are_trained_alone_and_heard_in_their_window():
    model = with_tangents(windowed())
    theta, to_model = flatten_model(model)
    points = jnp.array([[0.3, 0.0], [0.9, 0.0], [1.7, 0.0]])
    jacobian = jax.jacrev(lambda v: jax.vmap(to_model(v))(points)[:, 0])(theta)  # pyright: ignore
    for k in range(6):
        part = part_slice(model, k)
        moved = np.abs(jacobian[:, part]).max(axis=1) > 0
        np.testing.assert_array_equal(moved, np.arange(3) == k // 2)
        np.testing.assert_array_equal(flatten_model(model.up_to(k))[0], theta[part])  # pyright: ignore


def test_a_window_meets_the_one_before_it_with_its_tangent():
    model = with_tangents(windowed())
    assert model.before(0) is model.before(1) is None  # pyright: ignore
    z = jnp.array([0.5, 0.7])
    for part in (2, 3):
        np.testing.assert_array_equal(model.before(part)(z), model.up_to(1)(z))  # pyright: ignore


def test_equal_windows_divide_the_time_evenly():
    model = build("tangent_mlp", {"windows": 4})
    assert [model.part_times(2 * k) for k in range(4)] == [  # pyright: ignore
        (0.0, 0.5),
        (0.5, 1.0),
        (1.0, 1.5),
        (1.5, 2.0),
    ]


def test_without_tangents_part_k_is_the_network_of_window_k():
    model = with_tangents(windowed(tangent=False))
    theta, to_model = flatten_model(model)
    assert 2 * theta.size == flatten_model(windowed())[0].size
    points = jnp.array([[0.3, 0.0], [0.9, 0.0], [1.7, 0.0]])
    jacobian = jax.jacrev(lambda v: jax.vmap(to_model(v))(points)[:, 0])(theta)  # pyright: ignore
    for k in range(3):
        moved = np.abs(jacobian[:, part_slice(model, k)]).max(axis=1) > 0
        np.testing.assert_array_equal(moved, np.arange(3) == k)
        part = model.up_to(k)  # pyright: ignore
        np.testing.assert_allclose(model(points[k]), part(points[k]), rtol=1e-13)  # pyright: ignore
        assert model.part_times(k) == windowed().part_times(2 * k)  # pyright: ignore
    assert model.before(0) is None  # pyright: ignore
    z = jnp.array([0.5, 0.7])
    np.testing.assert_array_equal(model.before(1)(z), model.up_to(0)(z))  # pyright: ignore


def test_a_tangent_is_there_or_not():
    with pytest.raises(RecipeError, match="tangent='no' was given"):
        windowed(tangent="no")


@pytest.mark.parametrize("windows", [[0.0], [2.0], [1.2, 0.5], [0.5, 0.5], 0, 1.5, "two"])
def test_windows_that_do_not_divide_the_time_are_refused(windows):
    with pytest.raises(RecipeError, match="windows"):
        windowed(windows=windows)


def test_windows_in_periodic_time_are_refused():
    with pytest.raises(RecipeError, match="periodic_axes"):
        windowed(periodic_axes=(0, 1))


@pytest.mark.parametrize("activation", ["tanh", "sin"])
def test_spinn_is_a_sum_of_products_of_functions_of_one_coordinate(activation):
    model = build("spinn", {"rank": 3, "activation": activation, "omega": 4.0})
    t, x = (body(z) for body, z in zip(model.bodies, (Z[:1], Z[1:]), strict=True))  # pyright: ignore
    wanted = [sum(t[3 * c + r] * x[3 * c + r] for r in range(3)) / np.sqrt(3) for c in range(2)]
    np.testing.assert_allclose(model(Z), wanted, rtol=1e-14)  # pyright: ignore
    # Values on a grid have the rank of the sum, and no more.
    grid = np.stack(np.meshgrid(*[np.linspace(0.1, 1.9, 9)] * 2, indexing="ij"), -1).reshape(-1, 2)
    singular = np.linalg.svd(values_of(model, grid)[:, 0].reshape(9, 9), compute_uv=False)
    assert singular[2] > 1e-8 * singular[0]
    assert singular[3] < 1e-14 * singular[0]


@pytest.mark.parametrize("activation", ["tanh", "sin"])
def test_centred_factors_keep_a_product_of_many_from_vanishing(activation):
    d = 10
    point = jnp.full(d, 0.3)
    slopes = {}
    for centre in (0.0, 1.0):
        model: Any = make_architecture(
            "spinn",
            {"rank": 4, "width": 6, "activation": activation, "centre": centre, "omega": 1.0},
            m=1,
            lower=(0.0,) * d,
            upper=(1.0,) * d,
            dtype="float64",
            seed=0,
        )
        slopes[centre] = np.abs(jax.grad(lambda z, u=model: u(z)[0])(point)).max()
        for body in model.bodies:
            factors = body(point[:1])
            body.output.bias[...] -= centre
            np.testing.assert_allclose(factors - body(point[:1]), centre, atol=1e-15)
    assert slopes[0.0] < 1e-2 < 0.1 < slopes[1.0]


def test_a_centre_that_is_none_or_not_used_is_refused():
    with pytest.raises(RecipeError, match="finite"):
        build("spinn", {"centre": np.nan})
    with pytest.raises(RecipeError, match=r"centre=1\.0 was given without rank"):
        build("tangent_mlp", {"centre": 1.0})


def grid(n=40):
    return np.random.default_rng(0).uniform(BOUNDS["lower"], BOUNDS["upper"], (n, 2))


def fourier_oracle(embedding, s):
    phase = s @ np.array(embedding.frequencies[...])
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)


def affine(layer, x):
    return x @ np.array(layer.kernel[...]) + np.array(layer.bias[...])


def normalized(points):
    return (points - [1.0, 1.0]) / [1.0, 2.0]


def test_piratenet_begins_as_an_affine_map_of_its_features():
    model = build("piratenet", {"depth": 3})
    features = fourier_oracle(model.fourier, normalized(grid()))  # pyright: ignore
    wanted = affine(model.output, features)  # pyright: ignore
    np.testing.assert_allclose(values_of(model, grid()), wanted, rtol=1e-12, atol=1e-14)


def test_piratenet_is_the_composition_that_it_says():
    model = with_tangents(build("piratenet"))
    x = fourier_oracle(model.fourier, normalized(np.array(Z)))  # pyright: ignore
    u, v = (np.tanh(affine(layer, x)) for layer in (model.encoder_u, model.encoder_v))  # pyright: ignore
    for block in model.blocks:  # pyright: ignore
        f = np.tanh(affine(block.gates[0], x))
        z1 = f * u + (1 - f) * v
        g = np.tanh(affine(block.gates[1], z1))
        z2 = g * u + (1 - g) * v
        alpha = float(block.alpha[...])
        assert abs(alpha) > 1e-3
        x = alpha * np.tanh(affine(block.dense, z2)) + (1 - alpha) * x
    np.testing.assert_allclose(model(Z), affine(model.output, x), rtol=1e-11)  # pyright: ignore


def test_piratenet_of_odd_width_is_refused():
    with pytest.raises(RecipeError, match="even"):
        build("piratenet", {"width": 7})


def test_output_of_piratenet_fits_data_and_leaves_the_network_alone():
    network = build("piratenet", {"width": 30}, m=1)
    points = grid(400)
    values = np.cos(points[:, :1]) * points[:, 1:]
    before = values_of(network, points)
    fitted = network.fit_output(points, values)  # pyright: ignore
    # The normal equations: what is left is orthogonal to every feature.
    left = values_of(fitted, points) - values
    features = fourier_oracle(network.fourier, normalized(points))  # pyright: ignore
    assert np.abs(left).max() < 0.1
    assert np.abs(features.T @ left).max() < 1e-8
    np.testing.assert_array_equal(values_of(network, points), before)
    for shape in ((400,), (400, 2), (399, 1)):
        with pytest.raises(PointsError, match="values"):
            network.fit_output(points, np.zeros(shape))  # pyright: ignore


def test_factorized_network_is_the_plain_one_with_merged_weights():
    model = build("rwf_mlp")
    h = normalized(np.array(Z))
    for layer in model.hidden:  # pyright: ignore
        scales = np.exp(np.array(layer.log_scale[...]))
        h = np.tanh(h @ (np.array(layer.direction[...]) @ np.diag(scales)))
    wanted = affine(model.output, h)  # pyright: ignore
    np.testing.assert_allclose(model(Z), wanted, rtol=1e-12)  # pyright: ignore
    # The same functions: an MLP that is given these matrices has the same values.
    plain = build("mlp")
    pairs = zip([*plain.hidden, plain.output], [*model.hidden, model.output], strict=True)  # pyright: ignore
    for dense, factorized in pairs:
        dense.kernel[...], dense.bias[...] = factorized.kernel, factorized.bias[...]
    np.testing.assert_allclose(values_of(model, grid()), values_of(plain, grid()), rtol=1e-12)


def test_factorized_layer_has_the_stated_scales_and_begins_as_the_plain_one():
    layer = FactorizedDense(
        100, 400, mean=0.5, deviation=0.1, dtype=jnp.float64, rngs=nnx.Rngs(params=0)
    )
    logs = np.array(layer.log_scale[...])
    np.testing.assert_allclose((logs.mean(), logs.std()), (0.5, 0.1), atol=0.02)
    np.testing.assert_allclose(np.array(layer.kernel).std(), np.sqrt(2 / 500), rtol=0.02)
    with pytest.raises(RecipeError, match="deviation"):
        build("rwf_mlp", {"deviation": -0.1})


@pytest.mark.parametrize("degree", [1, 4])
def test_chebyshev_network_is_a_sum_of_polynomials(degree):
    model = build("chebyshev_kan", {"degree": degree})
    x = normalized(grid())
    for k, layer in enumerate(model.layers):  # pyright: ignore
        x = np.tanh(x) if k else x
        coefficients = np.array(layer.coefficients[...])  # (i, k, o)
        edges = [
            np.polynomial.chebyshev.chebval(
                x[:, i], np.vstack([np.zeros(coefficients.shape[-1]), coefficients[i]])
            )
            for i in range(x.shape[1])
        ]
        x = np.sum(edges, axis=0).T + np.array(layer.bias[...])
    np.testing.assert_allclose(values_of(model, grid()), x, rtol=1e-11, atol=1e-13)


def test_derivatives_of_chebyshev_network_exist_on_the_boundary():
    field = Field(build("chebyshev_kan"), ("u", "v"), "tx")  # pyright: ignore
    corner = jnp.array(BOUNDS["lower"])
    assert np.isfinite(field(corner, "u u_t u_tt u_xxx v_tx")).all()


def test_scales_share_their_hidden_layers():
    model = build("multiscale_fourier", {"features": 4, "scales": [1.0, 6.0, 20.0]})
    parts = []
    for embedding in model.fourier:  # pyright: ignore
        h = fourier_oracle(embedding, normalized(np.array(Z)))
        for layer in model.hidden:  # pyright: ignore
            h = np.tanh(affine(layer, h))
        parts.append(h)
    wanted = affine(model.output, np.concatenate(parts))  # pyright: ignore
    np.testing.assert_allclose(model(Z), wanted, rtol=1e-12)  # pyright: ignore


@pytest.mark.parametrize("scales", [[], 3.0, [1.0, 0.0], [1.0, -2.0], "one"])
def test_scales_that_are_no_scales_are_refused(scales):
    with pytest.raises(RecipeError, match="scales"):
        build("multiscale_fourier", {"scales": scales})


@pytest.mark.parametrize("axes", [0, 1, "0", [True], [1.0]])
def test_axes_that_are_no_list_of_whole_numbers_are_refused(axes):
    with pytest.raises(
        RecipeError, match=r"periodic_axes=.* was given: list each of the axes 0 to 1"
    ):
        make_architecture(
            "mlp",
            {"periodic_axes": axes},
            m=1,
            lower=(0.0, 0.0),
            upper=(1.0, 1.0),
            dtype="float64",
            seed=0,
        )


@pytest.mark.parametrize(("dtype", "start"), [("float32", 1e6), ("float64", 1e13)])
def test_a_coordinate_far_from_zero_is_refused_where_its_points_cannot_be_told_apart(dtype, start):
    def made(lower):
        return make_architecture(
            "mlp", {}, m=1, lower=(lower,), upper=(lower + 1.0,), dtype=dtype, seed=0
        )

    with pytest.raises(RecipeError, match=f"{dtype} tells few points apart: use float64, or subtr"):
        made(start)
    assert made(1.0) is not None


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_frequencies_of_no_scale_are_refused(scale):
    with pytest.raises(RecipeError, match="scale"):
        make_architecture(
            "fourier_mlp",
            {"scale": scale},
            m=1,
            lower=(0.0,),
            upper=(1.0,),
            dtype="float64",
            seed=0,
        )
