import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pinnzoo.architectures import MLP
from pinnzoo.derivatives import Field
from pinnzoo.entry import Entry, Snapshots, build
from pinnzoo.errors import (
    IntegrityError,
    PinnzooError,
    PointsError,
    PrecisionError,
    RecipeError,
    UnknownNameError,
)
from pinnzoo.objective import flatten_model
from pinnzoo.storage.blueprint import flat_parameters, stack_parameters, unstack_parameters
from pinnzoo.storage.records import check_history
from tests.store.made_entries import made_entry, made_history, made_parts, made_recipe

POINTS = np.random.default_rng(2).uniform(0, 1, (37, 2))


def test_prediction_is_the_network_at_every_point(entry):
    each = [np.asarray(jax.jit(entry.model)(z)) for z in POINTS]
    predicted = entry.predict(POINTS)
    assert predicted.dtype == np.float64
    assert np.abs(predicted).max() > 0
    np.testing.assert_allclose(predicted, each, rtol=1e-13, atol=1e-15)


def test_prediction_does_not_depend_on_the_size_of_the_chunks(entry, monkeypatch):
    whole = entry.predict(POINTS)
    monkeypatch.setattr("pinnzoo.entry.CHUNK", 8)
    np.testing.assert_allclose(entry.predict(POINTS), whole, rtol=1e-13, atol=1e-15)


def test_prediction_applies_the_ansatz():
    arguments = {"viscosity": 0.05, "constraints": "hard"}
    entry = made_entry(problem_arguments=arguments)
    start = np.column_stack([np.zeros(5), np.linspace(-1, 1, 5)])
    np.testing.assert_allclose(
        entry.predict(start)[:, 0], -np.sin(np.pi * start[:, 1]), rtol=1e-14, atol=1e-15
    )
    raw = np.asarray(jax.vmap(entry.model)(start))
    assert np.abs(entry.predict(start) - raw).max() > 1e-3


def test_points_outside_of_the_domain_are_extrapolated_if_asked(entry):
    with pytest.raises(PointsError, match="outside"):
        entry.predict([[7.0, 9.0]])
    assert np.isfinite(entry.predict([[7.0, 9.0]], extrapolate=True)).all()


@pytest.mark.parametrize(
    "points",
    [
        [],
        np.zeros((0, 2)),
        np.zeros(2),
        np.zeros((3, 3)),
        np.full((2, 2), np.nan),
        "points",
        None,
        [[1j, 0]],
    ],
    ids=str,
)
def test_impossible_points_are_refused(entry, points):
    with pytest.raises(PointsError):
        entry.predict(points)


def test_prediction_follows_a_model_that_is_changed_in_place():
    entry = made_entry()
    before = entry.predict(POINTS)
    bias = entry.model.output.bias  # pyright: ignore
    bias[...] = bias[...] + 1.0
    np.testing.assert_allclose(entry.predict(POINTS), before + 1.0, rtol=1e-13)


def test_theta_is_in_the_order_of_flatten_model(entry):
    np.testing.assert_array_equal(entry.theta, np.asarray(flatten_model(entry.model)[0]))
    assert entry.theta.dtype == np.float64


def test_model_at_equals_the_way_back_of_flatten_model(entry):
    theta = entry.snapshots.thetas[0]
    expected = flatten_model(entry.model)[1](theta)
    given = entry.model_at(theta)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(given), nnx.state(expected))
    np.testing.assert_array_equal(
        entry.predict(POINTS, theta), np.asarray(jax.jit(jax.vmap(given))(POINTS))
    )
    assert np.abs(entry.predict(POINTS, theta) - entry.predict(POINTS)).max() > 1e-3


def test_parameters_of_another_number_are_refused(entry):
    with pytest.raises(PointsError, match="37"):
        entry.predict(POINTS, entry.theta[:-1])


def test_entries_of_one_kind_share_their_problem(entry):
    assert made_entry(seed=1).problem is entry.problem


def test_repr_states_name_size_precision_and_error(entry):
    text = repr(entry)
    for word in (entry.name, "37", "float64", "1.25e-05"):
        assert word in text
    assert "10" in repr(entry.snapshots)


def test_build_gives_the_network_at_initialization():
    recipe = made_recipe(seed=5)
    problem, model = build(recipe)
    direct = MLP(
        1,
        lower=problem.domain.lower,
        upper=problem.domain.upper,
        width=4,
        depth=2,
        dtype=np.float64,
        rngs=nnx.Rngs(params=5),
    )
    jax.tree.map(np.testing.assert_array_equal, nnx.state(model), nnx.state(direct))
    assert problem.arguments["viscosity"] == 0.05


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"problem": "burger"}, UnknownNameError),
        ({"architecture": "mpl"}, UnknownNameError),
        ({"problem_arguments": {"viscosity": "much"}}, RecipeError),
        ({"problem_arguments": {"viscosity": -1.0}}, RecipeError),
        ({"problem_arguments": {"speed": 1.0}}, RecipeError),
        ({"architecture_arguments": {"width": "wide"}}, RecipeError),
        ({"architecture_arguments": {"width": 0}}, RecipeError),
        ({"architecture_arguments": {"hight": 4}}, RecipeError),
        ({"architecture_arguments": {"periodic_axes": "x"}}, RecipeError),
        ({"architecture_arguments": {"periodic_axes": [0.5]}}, RecipeError),
        ({"architecture_arguments": {"periodic_axes": 3}}, RecipeError),
        ({"architecture_arguments": {"activation": "tan"}}, UnknownNameError),
        ({"architecture_arguments": {"activation": ["tanh"]}}, RecipeError),
        ({"architecture_arguments": {"width": object}}, RecipeError),
        ({"architecture": "fourier_mlp", "architecture_arguments": {"scale": "x"}}, RecipeError),
        ({"dtype": "float16"}, RecipeError),
    ],
    ids=str,
)
def test_impossible_recipe_is_not_built(changes, error):
    with pytest.raises(error) as caught:
        build(made_recipe(**changes))
    assert isinstance(caught.value, PinnzooError)
    assert "\n" not in str(caught.value)


def test_float64_network_is_not_built_without_x64(single_precision):
    with pytest.raises(PrecisionError):
        build(made_recipe())


def test_entry_refuses_a_model_of_another_recipe():
    parts = made_parts(made_recipe())
    other = build(made_recipe(architecture_arguments={"width": 5, "depth": 2}))[1]
    with pytest.raises(RecipeError, match=r"hidden\.0"):
        Entry.from_training(**(parts | {"model": other}))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("part", "change", "word"),
    [
        ("metrics", lambda m: m | {"parameters": 38}, "38"),
        ("metrics", lambda m: m | {"dtype": "float32"}, "float32"),
        ("metrics", lambda m: m | {"loss": float("nan")}, "loss"),
        ("metrics", lambda _: {}, "format"),
        ("history", lambda _: {}, "step"),
        ("snapshots", lambda s: Snapshots(s.steps[:2], s.thetas[:2]), "last"),
        ("snapshots", lambda s: Snapshots(s.steps, s.thetas[:, 1:]), "last"),
        ("metrics", lambda m: m | {"ntk": m["ntk"] | {"points": {"equation": 4}}}, "drift"),
    ],
)
def test_entry_refuses_parts_that_do_not_belong_together(part, change, word):
    parts = made_parts(made_recipe())
    with pytest.raises(IntegrityError, match=word):
        Entry.from_training(**(parts | {part: change(parts[part])}))


def test_entry_refuses_kernels_of_another_problem():
    parts = made_parts(made_recipe())
    other = made_parts(
        made_recipe(problem="poisson", problem_arguments={}, architecture_arguments={"width": 4})
    )
    with pytest.raises(IntegrityError, match="burgers has the terms"):
        Entry.from_training(**(parts | {"ntk": other["ntk"]}))


@pytest.mark.parametrize(
    ("steps", "thetas"),
    [
        ([], np.zeros((0, 3))),
        ([0, 0], np.zeros((2, 3))),
        ([1, 0], np.zeros((2, 3))),
        ([-1, 0], np.zeros((2, 3))),
        ([0.5, 1.0], np.zeros((2, 3))),
        ([0, 1], np.zeros((3, 3))),
        ([0], np.zeros(3)),
        ([0], np.zeros((1, 3), int)),
        ([0], np.full((1, 3), np.nan)),
    ],
    ids=str,
)
def test_impossible_snapshots_are_refused(steps, thetas):
    with pytest.raises(IntegrityError, match="snapshots"):
        Snapshots(np.array(steps), thetas)


@pytest.mark.parametrize(
    "change",
    [
        {"loss": np.zeros(3)},
        {"loss": np.zeros((4, 1))},
        {"loss": np.array(["a"] * 4)},
        {"step": np.array([0.0, 2.0, 1.0, 3.0])},
        {"step": np.array([0.0, np.nan, 1.0, 3.0])},
        dict.fromkeys(made_history(), np.zeros(0)),
    ],
    ids=str,
)
def test_impossible_history_is_refused(change):
    with pytest.raises(IntegrityError, match="history"):
        check_history(made_history() | change)


def test_history_may_have_more_columns():
    assert "phase" in check_history(made_history() | {"phase": np.zeros(4)})


def test_residual_of_an_entry_can_be_asked_by_name(entry):
    field = entry.problem.field(entry.problem.constrain(entry.model))
    assert isinstance(field, Field)
    assert np.isfinite(entry.problem.equation(field, np.array([0.5, 0.25])))


class Scaled(nnx.Module):
    """A network with a parameter that is a single number, as PirateNets have."""

    def __init__(self):
        self.bias = nnx.Param(jnp.zeros(2))
        self.share = nnx.Param(jnp.array(0.5))


def test_parameters_that_are_single_numbers_are_found_again():
    params = nnx.state(Scaled(), nnx.Param)
    thetas = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_array_equal(unstack_parameters(stack_parameters(params, thetas)), thetas)
    for theta in thetas:
        one = stack_parameters(params, theta)
        assert [leaf.shape for leaf in jax.tree.leaves(one)] == [(2,), ()]
        np.testing.assert_array_equal(flat_parameters(one), theta)
