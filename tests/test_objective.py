import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pinnzoo.errors import PointsError, RecipeError, UnknownNameError
from pinnzoo.objective import (
    assemble,
    check_counts,
    check_network,
    describe_nonfinite,
    flatten_model,
    regions,
)
from pinnzoo.pdes import PROBLEMS, make_problem
from tests.oracles import residual_rows, small_assembly, small_network, small_points


@pytest.fixture(scope="module")
def assembly():
    return small_assembly("burgers", n=7)


@pytest.fixture(scope="module")
def dense(assembly):
    """Residual and Jacobian of the whole vector by forward mode, which knows of no rows."""
    theta, objective, _ = assembly
    residual = jax.jit(objective.residual)
    jacobian = jax.jit(jax.jacfwd(objective.residual))
    return np.asarray(residual(theta)), np.asarray(jacobian(theta))


def terms_of(objective):
    return {term.name: term for term in objective.terms}


def test_rows_are_the_scaled_residuals_of_single_points(assembly, dense):
    assert np.abs(dense[0]).max() > 1e-2
    np.testing.assert_allclose(
        dense[0], residual_rows(assembly.objective, assembly.theta), rtol=1e-10, atol=1e-13
    )


def test_loss_is_half_the_weighted_sum_of_mean_squares():
    problem = make_problem("heat", {})
    weights = {"equation": 0.5, "initial": 3.0, "left": 0.0}
    theta, objective, _ = assemble(problem, small_network(problem), small_points(problem), weights)
    expected = 0.0
    for term in objective.terms:
        values = jax.jit(jax.vmap(term.residual, (None, 0)))(theta, term.points)
        expected += 0.5 * weights.get(term.name, 1.0) * float(jnp.mean(values**2))
    assert expected > 1e-3
    np.testing.assert_allclose(jax.jit(objective.loss)(theta), expected, rtol=1e-12)


def test_jacobian_by_rows_equals_forward_mode_of_the_whole(assembly, dense):
    theta, objective, _ = assembly
    jacobian = jax.jit(objective.jacobian)(theta)
    assert jacobian.shape == (objective.n, theta.size)
    np.testing.assert_allclose(jacobian, dense[1], rtol=1e-9, atol=1e-12 * np.abs(dense[1]).max())


@pytest.mark.parametrize("chunk", [3, 100])
def test_chunked_jacobian_equals_the_whole(assembly, dense, chunk):
    theta, objective, _ = assembly
    rows, jacobian = jax.jit(lambda o, t: o.linearize(t, chunk))(objective, theta)
    np.testing.assert_allclose(jacobian, dense[1], rtol=1e-9, atol=1e-12 * np.abs(dense[1]).max())
    np.testing.assert_allclose(rows, dense[0], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("chunk", [3, 100])
def test_chunked_rows_keep_the_scale_of_each_point(assembly, dense, chunk):
    theta, objective, _ = assembly
    factors = {name: 1.0 + np.arange(term.n) for name, term in terms_of(objective).items()}
    scaled = objective.with_scales(
        {k: terms_of(objective)[k].scale * f for k, f in factors.items()}
    )
    rows, jacobian = jax.jit(lambda o, t: o.linearize(t, chunk))(scaled, theta)
    factor = np.concatenate(list(factors.values()))
    np.testing.assert_allclose(rows, factor * dense[0], rtol=1e-9, atol=1e-13)
    atol = 1e-11 * np.abs(dense[1]).max()
    np.testing.assert_allclose(jacobian, factor[:, None] * dense[1], rtol=1e-9, atol=atol)


def test_gradient_of_the_loss_is_the_jacobian_transposed_times_the_residual(assembly, dense):
    gradient = jax.jit(jax.grad(assembly.objective.loss))(assembly.theta)
    assert np.linalg.norm(gradient) > 1e-2
    np.testing.assert_allclose(gradient, dense[1].T @ dense[0], rtol=1e-9, atol=1e-11)


def test_products_equal_those_of_the_dense_jacobian(assembly, dense):
    theta, objective, _ = assembly
    rng = np.random.default_rng(0)
    v, w = jnp.asarray(rng.normal(size=theta.size)), jnp.asarray(rng.normal(size=objective.n))
    largest = np.abs(dense[1]).max()
    np.testing.assert_allclose(
        jax.jit(objective.jvp)(theta, v), dense[1] @ v, rtol=1e-10, atol=1e-11 * largest
    )
    np.testing.assert_allclose(
        jax.jit(objective.vjp)(theta, w), dense[1].T @ w, rtol=1e-10, atol=1e-11 * largest
    )


def test_second_derivative_is_the_change_of_the_jacobian_along_the_line(assembly):
    theta, objective, _ = assembly
    v = jnp.asarray(np.random.default_rng(0).normal(size=theta.size))
    second = jax.jit(objective.second_derivative)(theta, v)
    slope = jax.jit(objective.jvp)
    h = 1e-4
    expected = (
        8 * (slope(theta + h * v, v) - slope(theta - h * v, v))
        - (slope(theta + 2 * h * v, v) - slope(theta - 2 * h * v, v))
    ) / (12 * h)
    assert np.linalg.norm(expected) > 1e-2
    np.testing.assert_allclose(second, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())


def test_gauss_newton_matrix_and_kernel_have_the_same_eigenvalues(dense):
    jacobian = dense[1]
    kernel = np.linalg.eigvalsh(jacobian @ jacobian.T)
    gauss_newton = np.linalg.eigvalsh(jacobian.T @ jacobian)
    k = min(len(kernel), len(gauss_newton))
    np.testing.assert_allclose(
        kernel[::-1][:k], gauss_newton[::-1][:k], rtol=0, atol=1e-12 * kernel[-1]
    )


def test_slices_name_the_rows_of_each_term(assembly, dense):
    theta, objective, _ = assembly
    slices = objective.slices()
    assert next(iter(slices)) == "equation"
    assert [term.name for term in objective.terms] == list(slices)
    assert sum(s.stop - s.start for s in slices.values()) == objective.n == len(dense[0])
    rows = jax.jit(lambda theta: {term.name: term.rows(theta) for term in objective.terms})(theta)
    for name, expected in rows.items():
        np.testing.assert_allclose(dense[0][slices[name]], expected, rtol=1e-10, atol=1e-14)


def test_new_points_cause_no_new_trace(assembly):
    theta, objective, _ = assembly
    traces = []

    @jax.jit
    def loss(objective, theta):
        traces.append(None)
        return objective.loss(theta)

    first = loss(objective, theta)
    moved = {term.name: 0.9 * np.asarray(term.points) + 0.01 for term in objective.terms}
    second = loss(objective.with_points(moved), theta)
    third = loss(objective.with_scales({"equation": jnp.asarray(2.0)}), theta)
    assert len(traces) == 1
    assert len({float(first), float(second), float(third)}) == 3
    for term in objective.with_points(moved).terms:
        np.testing.assert_array_equal(term.points, moved[term.name])


def test_with_points_keeps_the_terms_that_are_not_named(assembly):
    _, objective, _ = assembly
    equation, *others = objective.terms
    changed = objective.with_points({"equation": np.asarray(equation.points) + 0.1})
    assert not np.array_equal(changed.terms[0].points, equation.points)
    for before, after in zip(others, changed.terms[1:], strict=True):
        assert after is before


def test_more_points_of_a_term_keep_its_weight(assembly):
    """Every point twice is the same mean, so the same loss."""
    theta, objective, _ = assembly
    twice = {t.name: np.concatenate([t.points, t.points]) for t in objective.terms}
    loss = jax.jit(lambda objective: objective.loss(theta))
    np.testing.assert_allclose(loss(objective.with_points(twice)), loss(objective), rtol=1e-12)


def test_points_that_do_not_fit_a_term_are_refused(assembly):
    objective = assembly.objective
    n = objective.terms[0].n
    for shape in ((3, 1), (2,), (0, 2), (1, 3, 2)):
        with pytest.raises(PointsError, match="equation"):
            objective.with_points({"equation": np.zeros(shape)})
    per_point = objective.with_scales({"equation": np.ones(n)})
    with pytest.raises(PointsError, match="its own scale"):
        per_point.with_points({"equation": np.zeros((n + 1, 2))})


def test_scales_may_differ_from_row_to_row(assembly):
    theta, objective, _ = assembly
    term = dataclasses.replace(objective.terms[0], scale=jnp.asarray(1.0))
    per_row = np.linspace(0.5, 2.0, term.n)
    changed = objective.with_scales({"equation": per_row}).terms[0]
    both = jax.jit(lambda term: (term.rows(theta), term.jacobian(theta)))
    (rows, jacobian), (plain_rows, plain_jacobian) = both(changed), both(term)
    np.testing.assert_allclose(rows, per_row * plain_rows, rtol=1e-10)
    expected = per_row[:, None] * plain_jacobian
    np.testing.assert_allclose(jacobian, expected, rtol=1e-10, atol=1e-13)


def test_objective_survives_flatten_and_unflatten(assembly):
    theta, objective, _ = assembly
    leaves, structure = jax.tree.flatten(objective)
    assert len(leaves) == 2 * len(objective.terms)
    again = jax.tree.unflatten(structure, leaves)
    residual = jax.jit(lambda objective: objective.residual(theta))
    np.testing.assert_array_equal(residual(again), residual(objective))


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_assembles_with_a_term_per_condition(name):
    problem = make_problem(name, {})
    assembly = small_assembly(name, n=4)
    assert set(assembly.objective.slices()) == set(regions(problem))
    residual = jax.jit(assembly.objective.residual)(assembly.theta)
    assert np.isfinite(residual).all()
    assert np.all(residual[assembly.objective.slices()["equation"]] != 0)


def test_field_is_the_model_inside_of_the_ansatz():
    problem = make_problem("heat", {"constraints": "hard"})
    model = small_network(problem)
    assembly = assemble(problem, model, small_points(problem))
    z = jnp.array([0.4, 0.3])
    expected = np.sin(np.pi * 0.3) + 0.4 * 0.3 * 0.7 * model(z)  # pyright: ignore
    np.testing.assert_allclose(assembly.field(assembly.theta, z), expected, rtol=1e-14)
    assert list(assembly.objective.slices()) == ["equation"]


def test_training_moves_parameters_and_leaves_buffers():
    problem = make_problem("heat", {})
    theta, objective, to_model = small_assembly("heat", n=4, architecture="fourier_mlp")
    model = small_network(problem, "fourier_mlp")
    assert theta.size == flatten_model(model)[0].size
    moved = to_model(theta - 0.1 * jax.jit(jax.grad(objective.loss))(theta))
    before, after = (nnx.split(x, nnx.Param, ...)[2] for x in (model, moved))
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(moved(jnp.ones(2)), model(jnp.ones(2)))  # pyright: ignore


def test_single_precision_network_gives_a_single_precision_objective():
    theta, objective, _ = small_assembly("burgers", n=4, dtype="float32")
    assert theta.dtype == jnp.float32
    for function in (objective.residual, objective.jacobian, objective.loss):
        assert jax.eval_shape(function, theta).dtype == jnp.float32


def test_points_and_weights_that_do_not_fit_are_refused():
    problem = make_problem("heat", {})
    network, points = small_network(problem), small_points(problem)
    make = functools.partial(assemble, problem, network)
    without = {name: value for name, value in points.items() if name != "left"}
    for wrong in (
        without,
        points | {"top": points["left"]},
        points | {"left": np.zeros((3, 1))},
        points | {"left": np.zeros((0, 2))},
        points | {"left": np.full((3, 2), np.nan)},
    ):
        with pytest.raises(PointsError, match=r"heat|left"):
            make(wrong)
    with pytest.raises(PointsError, match="did you mean 'left'"):
        make(points, {"lef": 1.0})
    numbers: tuple = (np.float32(2), np.int64(2), np.array(2.0))
    for number in numbers:
        assert make(points, {"left": number}).objective.terms[2].scale == np.sqrt(2 / 6)
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(RecipeError, match="weight"):
            make(points, {"left": weight})


def test_misspelt_names_of_terms_get_the_nearest_ones():
    problem = make_problem("heat", {})
    network, points = small_network(problem), small_points(problem)
    with pytest.raises(PointsError, match="did you mean 'initial'"):
        assemble(problem, network, points | {"intial": points["initial"]})
    check_counts(problem, {"equation": 40, "conditions": 5, "left": 3})
    for wrong, right in (
        ("boundry", "conditions"),
        ("initail", "initial"),
        ("Equation", "equation"),
    ):
        with pytest.raises(RecipeError, match=f"{wrong!r}.*{right!r}"):
            check_counts(problem, {"equation": 40, wrong: 10})


def test_terms_that_are_not_finite_are_named():
    heat = make_problem("heat", {})
    root = lambda u, z: jnp.sqrt(z[1] - 0.5) + 0 * u(z, "u")[0]  # noqa: E731
    problem = dataclasses.replace(heat, equation=root)
    points = small_points(problem)
    points["equation"] = np.array([[0.1, 0.9], [0.2, 0.25], [0.3, 0.1]])
    theta, objective, _ = assemble(problem, small_network(problem), points)
    words = describe_nonfinite(objective, theta)
    assert words == (
        "'equation' is NaN or infinite at 2 of its 3 points, the first of which is [0.2, 0.25]"
    )
    sound = objective.with_points({"equation": points["equation"][:1]})
    assert describe_nonfinite(sound, theta) is None
    assert len(describe_nonfinite(objective, theta * np.nan).split("; ")) == 4  # pyright: ignore


class Network(nnx.Module):
    """A user's network, which does what `call` says."""

    def __init__(self, call, params=True):
        rngs = nnx.Rngs(0)
        self.linear = nnx.Linear(2, 1, rngs=rngs, param_dtype=float) if params else None
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.call = call

    def __call__(self, z):
        return self.call(self, z)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda self, z: self.linear(z)[0], r"returns shape \(\): .*\(2,\).*\(1,\)"),
        (lambda self, z: jnp.tile(self.linear(z), 3), r"returns shape \(3,\)"),
        (lambda self, z: self.linear(z) > 0, "returns bool"),
        (lambda self, z: (self.linear(z),), "returns a tuple"),
        (lambda self, z: self.linear(z[:, :2]), "needs a batch axis"),
        (lambda self, z: self.linear(self.dropout(z)), "its own state"),
        (lambda self, z: self.linear(z[:1]), "fails on one point"),
    ],
)
def test_networks_that_do_not_fit_are_refused_in_a_sentence(call, words):
    problem = make_problem("heat", {})
    with pytest.raises(RecipeError, match=words) as caught:
        assemble(problem, Network(call), small_points(problem))
    assert "\n" not in str(caught.value)


def test_networks_of_a_user_that_fit_are_taken():
    problem = make_problem("heat", {})
    network = Network(lambda self, z: self.linear(z))
    network.dropout = nnx.Dropout(0.5, deterministic=True)
    assert assemble(problem, network, small_points(problem)).theta.size == 3
    network.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    network.eval()
    with pytest.raises(RecipeError, match="random keys"):
        check_network(problem, network)
    with pytest.raises(RecipeError, match=r"no nnx\.Param"):
        check_network(problem, Network(lambda _, z: z[:1], params=False))
    with pytest.raises(RecipeError, match=r"nnx\.Module"):
        check_network(problem, lambda z: z[:1])  # pyright: ignore


def test_equations_that_do_not_fit_are_refused_when_they_are_assembled():
    heat = make_problem("heat", {})
    for equation, error, words in (
        (lambda u, z: u(z, "u_z")[0], UnknownNameError, "'equation' of heat: .*'u_z'"),
        (lambda u, z: u(z, "w")[0], UnknownNameError, "'w'"),
        (lambda u, z: u(z, "u_t"), RecipeError, "returns a tuple"),
        (lambda u, z: u(z, "u_t")[0] * z, RecipeError, r"shape \(2,\)"),
        (lambda u, z: u(z, "u_t")[1], RecipeError, "IndexError"),
    ):
        problem = dataclasses.replace(heat, equation=equation)
        with pytest.raises(error, match=words) as caught:
            assemble(problem, small_network(heat), small_points(heat))
        assert "\n" not in str(caught.value)
