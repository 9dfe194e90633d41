"""Every architecture on every problem."""

import jax
import numpy as np
import pytest

import pinnzoo
from pinnzoo.architectures import ARCHITECTURES
from pinnzoo.objective import assemble
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.pdes.problem import EQUATION
from pinnzoo.unknowns import values_of, with_unknowns
from tests.oracles import small_network, small_points

TRAINED = ("poisson", "heat", "reaction", "kdv")


@pytest.mark.parametrize("name", PROBLEMS)
def test_architectures_fit_the_problem(name):
    """All of them give its components, and one, another for each problem, its residual.

    Nothing is compiled. That derivatives exist is shown for every architecture elsewhere, and what
    the residual makes of them does not depend on the network.
    """
    problem = make_problem(name, {})
    turn = list(PROBLEMS).index(name) % len(ARCHITECTURES)
    point = jax.ShapeDtypeStruct((len(problem.domain.lower),), np.float64)

    def values(architecture, z):
        network = small_network(problem, architecture, width=4)
        return problem.constrain(network)(z)  # pyright: ignore

    def residual(architecture, z):
        network = small_network(problem, architecture, width=4)
        network = with_unknowns(network, problem.unknowns)
        unknowns = values_of(network, problem.unknowns) if problem.unknowns else {}
        field = problem.field(problem.constrain(network), unknowns)  # pyright: ignore
        return problem.terms[EQUATION].residual(field, z)

    for k, architecture in enumerate(ARCHITECTURES):
        shape = jax.eval_shape(lambda z, a=architecture: values(a, z), point)
        assert (shape.shape, shape.dtype) == ((problem.m,), np.float64), architecture
        if k == turn:
            shape = jax.eval_shape(lambda z, a=architecture: residual(a, z), point)
            assert (shape.shape, shape.dtype) == ((), np.float64), architecture


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_steps_down_the_gradient_lower_the_loss(architecture):
    """In batches, with all conditions: one problem for every architecture, in turn."""
    problem = make_problem(TRAINED[list(ARCHITECTURES).index(architecture) % len(TRAINED)], {})
    network = small_network(problem, architecture, width=4)
    theta, objective, _ = assemble(problem, network, small_points(problem, 8))
    loss_and_slope = jax.jit(jax.value_and_grad(objective.loss))
    first, slope = loss_and_slope(theta)
    assert np.isfinite(slope).all()
    length = 1e-3 * float(first) / float(slope @ slope)
    for _ in range(3):
        theta = theta - length * loss_and_slope(theta)[1]
    assert loss_and_slope(theta)[0] < first


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_trained_parameters_of_any_shape_are_saved_and_loaded(architecture, tmp_path):
    """Some architectures have parameters that are single numbers."""
    problem = make_problem("bratu", {})
    entry = pinnzoo.Entry.from_model(
        problem,
        small_network(problem, architecture, width=4),
        architecture=architecture,
        architecture_arguments={"width": 4, "depth": 2},
        diagnostics=False,
    )
    entry.save(tmp_path / "entry")
    loaded = pinnzoo.load(tmp_path / "entry", verify="all")
    np.testing.assert_array_equal(loaded.theta, entry.theta)
