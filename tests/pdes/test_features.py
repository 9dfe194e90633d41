"""Known functions of a point as further inputs of a network."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import pinnzoo
from pinnzoo import Box, Features, Phase, Problem, Recipe, dirichlet
from pinnzoo.errors import RecipeError
from pinnzoo.evaluation import field_of
from pinnzoo.pdes import make_problem
from pinnzoo.storage.blueprint import build

THICKNESS = 1e-3
LAYER = Features(lambda z: jnp.exp(-z / THICKNESS), (0.0,), (1.0,))


def layered(features: Any = LAYER):
    """`ε u'' + u' = 1` with u = 0 at both ends: a layer of thickness ε at x = 0."""
    line = Box("x", (0.0,), (1.0,))

    def equation(u, z):
        u_x, u_xx = u(z, "u_x u_xx")
        return THICKNESS * u_xx + u_x - 1.0

    return Problem(
        name="layered",
        domain=line,
        components=("u",),
        equation=equation,
        conditions=tuple(dirichlet(line, "u", "x", side) for side in ("left", "right")),
        reference=pinnzoo.Reference(lambda z: z - 1.0 + jnp.exp(-z / THICKNESS), "closed form"),
        features=features,
    )


RECIPE = Recipe(
    "layered",
    "mlp",
    (Phase("levenberg_marquardt", 30),),
    architecture_arguments={"width": 6, "depth": 1},
    points={"equation": 100, "conditions": 1},
)


def test_a_layer_that_the_network_is_shown_is_no_difficulty(tmp_path):
    problem = layered()
    entry = pinnzoo.train(RECIPE, problem=problem, diagnostics=["ntk"])
    assert entry.model.hidden[0].kernel.shape == (2, 6)  # pyright: ignore
    assert entry.metrics["relative_l2_error"] < 1e-3
    plain = pinnzoo.train(RECIPE, problem=layered(None), diagnostics=False)
    assert plain.metrics["relative_l2_error"] > 100 * entry.metrics["relative_l2_error"]
    # Everything asks for points, and none for features.
    back = pinnzoo.load(entry.save(tmp_path / "layered"), problem=problem)
    places = np.array([[0.1], [0.7]])
    np.testing.assert_array_equal(back.predict(places), entry.predict(places))
    (slopes,) = back.derivatives(places, "u_x").T
    np.testing.assert_allclose(slopes, 1.0, atol=1e-2)
    tuned = pinnzoo.finetune(back, steps=5, diagnostics=False)
    assert tuned.metrics["loss"] < entry.metrics["loss"]
    options = RECIPE.architecture_arguments
    again = pinnzoo.Entry.from_model(
        problem, back.model, architecture="mlp", architecture_arguments=options
    )
    np.testing.assert_array_equal(again.predict(places), entry.predict(places))


def test_derivatives_are_taken_through_features():
    problem = layered()
    _, model = build(RECIPE, problem)
    field = field_of(problem, model)
    by_hand = field_of(layered(None), lambda z: model(jnp.concatenate([z, LAYER.function(z)])))  # pyright: ignore
    at = jnp.array([2e-3])
    np.testing.assert_allclose(field(at), by_hand(at), rtol=1e-14)
    found = problem.field_of(model)(at, "u u_x u_xx")
    h = 1e-7
    step = [float(field(at + k * h)[0]) for k in (-1, 0, 1)]
    assert float(found[1]) == pytest.approx((step[2] - step[0]) / (2 * h), rel=1e-5)


def test_features_are_of_the_point_and_not_of_what_a_network_sees_in_its_place():
    """A parameter that is drawn by logarithm is spread evenly for the network alone."""
    domain = Box("x", (0.0,), (1.0,)) * pinnzoo.Parameter("e", 1e-3, 1e-1, scale="log")
    problem = Problem(
        name="thicknesses",
        domain=domain,
        components=("u",),
        equation=lambda u, z: z[1] * u(z, "u_x")[0] + u(z, "u")[0],
        features=Features(lambda z: jnp.exp(-z[:1] / z[1]), (0.0,), (1.0,)),
    )
    shown = problem.constrain(lambda seen: seen)(jnp.array([0.02, 0.01]))
    np.testing.assert_allclose(shown, [0.02, (1e-3 + 1e-1) / 2, np.exp(-2)], rtol=1e-12)


@pytest.mark.parametrize("architecture", ["mlp", "tangent_mlp", "spinn", "siren", "chebyshev_kan"])
def test_architectures_take_features(architecture):
    recipe = pinnzoo.Recipe(
        "layered",
        architecture,
        (Phase("adam", 1),),
        points={"equation": 9, "conditions": 1},
    )
    entry = pinnzoo.train(recipe, problem=layered(), diagnostics=False)
    assert np.isfinite(entry.predict([[0.5]])).all()


def test_another_network_is_told_of_the_features():
    _, narrow = build(RECIPE, layered(None))
    recipe = Recipe("layered", "narrow", RECIPE.phases)
    with pytest.raises(RecipeError, match=r"takes one point and its features, of shape \(2,\)"):
        pinnzoo.train(recipe, problem=layered(), model=narrow)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Features(lambda z: z, (0.0,), (0.0,)), "the lower one first"),
        (lambda: Features(lambda z: z, (0.0, 1.0), (1.0,)), "an upper bound for each"),
        (lambda: layered(Features(lambda z: z[0], (0.0,), (1.0,))), r"have shape \(\), and 1"),
        (lambda: layered(lambda z: z), "was given as the features"),
    ],
)
def test_features_that_do_not_fit_are_refused(make, message):
    with pytest.raises(RecipeError, match=message):
        make()


def test_layers_of_allen_cahn_are_what_they_say():
    """Far away the distance, at the corner the width; and even and periodic."""
    problem = make_problem("allen_cahn", {"constraints": "layers"})
    _, model = build(Recipe("allen_cahn", "mlp", RECIPE.phases, {"constraints": "layers"}), problem)
    field = field_of(problem, model)
    one, other = (field(jnp.array([0.3, x])) for x in (-0.8, 0.8))
    np.testing.assert_allclose(one, other, atol=1e-14)
    assert problem.features is not None
    for t, x, far, near in ((0.5, 0.9, 0.1, 0.14), (1.0, 1.0, 0.02, 1.0)):
        seen = problem.features.function(jnp.array([t, -np.cos(np.pi * x)]))
        np.testing.assert_allclose(seen, (far, near), rtol=0.02)
