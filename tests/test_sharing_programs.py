"""Programs that windows share: what is the same, what is not, and that nothing else changes."""

import dataclasses
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnzoo
import pinnzoo.training.scope
from pinnzoo import Phase, Recipe
from pinnzoo._programs import Program
from pinnzoo.collocation import draw_points
from pinnzoo.objective import as_programs
from pinnzoo.storage.blueprint import build
from tests.test_training import train

POINT = jax.ShapeDtypeStruct((3,), jnp.float64)


def scaled_by(array, times=2.0):
    return lambda z: jnp.sum(jnp.sin(times * array * z))


def program(function) -> Program:
    found = Program.of(function, POINT)
    assert found is not None
    return found


def test_functions_that_differ_in_their_arrays_are_one_program():
    one, other = jnp.arange(3.0), jnp.array([0.5, -1.0, 4.0])
    first, second = program(scaled_by(one)), program(scaled_by(other))
    assert first.signature is second.signature
    z = jnp.array([0.1, 0.2, -0.3])
    for found, array in ((first, one), (second, other)):
        np.testing.assert_array_equal(found(z), scaled_by(array)(z))
        slopes = jax.grad(found)(z), jax.grad(scaled_by(array))(z)
        np.testing.assert_array_equal(*slopes)


@pytest.mark.parametrize(
    "function",
    [
        scaled_by(jnp.arange(3.0), times=np.nextafter(2.0, 3.0)),
        scaled_by(jnp.arange(3.0), times=-2.0),
        scaled_by(jnp.array(1.0)),
        scaled_by(jnp.arange(3.0, dtype=jnp.float32)),
        lambda z: jnp.sum(jnp.cos(2.0 * jnp.arange(3.0) * z)),
        lambda z: jnp.sum(jnp.sin(2.0 * jnp.arange(3.0) * z)) + 0.0 * z[0],
    ],
)
def test_other_functions_are_other_programs(function):
    assert program(function).signature != program(scaled_by(jnp.arange(3.0))).signature


def test_functions_within_functions_are_compared_too():
    def powers(n):
        return lambda z: jax.lax.fori_loop(0, 3, lambda k, f: f**n + k, z[0])

    def jitted(n):
        return lambda z: jax.jit(lambda x: x**n)(z[0])

    for made in (powers, jitted):
        first = program(made(2))
        assert program(made(2)).signature is first.signature
        assert program(made(2)).signature != program(made(3)).signature


def test_a_function_that_cannot_be_compared_is_no_program_or_one_of_its_own():
    @jax.custom_jvp
    def steep(x):
        return x

    steep.defjvp(lambda primal, slope: (primal[0], 2 * slope[0]))
    flat = jax.custom_jvp(lambda x: x)
    flat.defjvp(lambda primal, slope: (primal[0], 0 * slope[0]))
    found = [Program.of(lambda z, f=f: f(z[0]), POINT) for f in (steep, flat)]
    slopes = [2.0, 0.0]
    known = [each for each in found if each is not None]
    assert len({each.signature for each in known}) == len(known)
    for each, slope in zip(found, slopes, strict=True):
        if each is not None:
            assert jax.grad(each)(jnp.ones(3))[0] == slope


@pytest.mark.parametrize("name", ["heat", "burgers", "wave"])
def test_an_objective_of_programs_is_the_same(name):
    recipe = Recipe(
        name,
        "tangent_mlp",
        (Phase("lm", 1),),
        architecture_arguments={"width": 5, "depth": 2},
        points={"equation": 12, "conditions": 4},
    )
    problem, model = build(recipe)
    points = draw_points(problem, recipe.points, "sobol", 0, 0)
    theta, objective, _ = pinnzoo.assemble(problem, model, points)
    same = as_programs(objective, theta)
    assert all(isinstance(term.residual, Program) for term in same.terms)

    @jax.jit
    def linearize(objective, theta):
        return objective.linearize(theta, 5)

    for found, expected in zip(linearize(same, theta), linearize(objective, theta), strict=True):
        scale = float(jnp.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * scale)


def test_windows_after_the_second_compile_nothing():
    count = 4
    phases = tuple(Phase("lm", 2, part=k) for k in range(2 * count))
    recipe = Recipe(
        "heat",
        "tangent_mlp",
        phases,
        architecture_arguments={"windows": count, "width": 4, "depth": 2},
        points={"equation": 23, "conditions": 5},
    )
    compiled = importlib.import_module("pinnzoo.optimizers.levenberg_marquardt").linearize
    sizes = {}

    def report(progress):
        sizes[progress.phase] = compiled._cache_size()

    entry = train(recipe, report=report)
    assert sizes[2 * count - 1] == sizes[3] >= 1
    # The slow way: each phase has functions of its own.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pinnzoo.training.scope, "as_programs", lambda objective, _: objective)
        slow = train(dataclasses.replace(recipe))
    np.testing.assert_allclose(entry.theta, slow.theta, rtol=1e-6, atol=1e-8)
