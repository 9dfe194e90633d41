"""Every damped solve against least squares on the augmented system, over prescribed spectra."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo.errors import UnknownNameError
from pinnzoo.linalg import (
    DEVICE_METHODS,
    HOST_METHODS,
    METHODS,
    choose_method,
    compress_rows,
    damped_system,
)
from tests.oracles import damped_step, matrix_with_spectrum, tolerance

SYSTEMS = [
    *(("host", method) for method in HOST_METHODS),
    *(("device", method) for method in DEVICE_METHODS),
]

# Every shape of a device form compiles anew, a host form is LAPACK at once.
DEVICE_SHAPES = ("tall", "rank deficient wide")

SHAPES = {
    "tall": (50, 20, np.logspace(0, -3, 20)),
    "wide": (20, 50, np.logspace(0, -3, 20)),
    "square": (40, 40, np.logspace(2, -1, 40)),
    "rank deficient tall": (50, 20, np.logspace(0, -2, 7)),
    "rank deficient wide": (20, 50, np.logspace(0, -2, 7)),
    "one row": (1, 5, [2.0]),
    "one column": (6, 1, [2.0]),
}


CASES = [
    (backend, method, shape)
    for backend, method in SYSTEMS
    for shape in SHAPES
    if backend == "host" or shape in DEVICE_SHAPES
]


def make(shape, dtype="float64", scaled=True):
    n, p, values = SHAPES[shape]
    rng = np.random.default_rng(1)
    scaling = rng.uniform(0.5, 2.0, p) if scaled else np.ones(p)
    return [
        np.asarray(x, dtype)
        for x in (
            matrix_with_spectrum(n, p, values),
            rng.normal(size=n),
            scaling,
            rng.normal(size=p),
        )
    ]


def build(backend, method, jacobian, residual, scaling) -> Any:
    # The host forms get JAX's arrays as they do in training: read-only views.
    return damped_system(
        jnp.asarray(jacobian),
        jnp.asarray(residual),
        method=method,
        scaling=scaling,
        backend=backend,
    )


def relative(found, expected):
    expected = np.asarray(expected, np.float64)
    assert np.linalg.norm(expected) > 0
    return np.linalg.norm(np.asarray(found, np.float64) - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize(("backend", "method", "shape"), CASES)
def test_step_equals_least_squares_of_the_augmented_system(backend, method, shape):
    jacobian, residual, scaling, _ = make(shape)
    system = build(backend, method, jacobian, residual, scaling)
    for damping in (1e2, 1e-1, 1e-3, 1e-1):
        expected = damped_step(jacobian, residual, scaling, damping)
        assert relative(system.solve(damping), expected) < 1e-9


@pytest.mark.parametrize(("backend", "method", "shape"), CASES)
def test_solve_gradient_equals_the_dense_solve_for_another_side(backend, method, shape):
    jacobian, residual, scaling, other = make(shape)
    system = build(backend, method, jacobian, residual, scaling)
    for damping in (1e1, 1e-2):
        damped = jacobian.T @ jacobian + damping * np.diag(scaling**2)
        expected = -np.linalg.solve(damped, other)
        assert relative(system.solve_gradient(damping, other), expected) < 1e-9
        assert (
            relative(system.solve_gradient(damping, system.gradient), system.solve(damping)) < 1e-9
        )


# The square matrix has condition 1e3, which squared leaves single precision nothing.
@pytest.mark.parametrize(
    ("backend", "method", "shape"), [case for case in CASES if case[2] != "square"]
)
def test_single_precision_step_stays_single_and_near(backend, method, shape):
    jacobian, residual, scaling, other = make(shape, "float32")
    system = build(backend, method, jacobian, residual, scaling)
    assert np.asarray(system.gradient).dtype == np.float32
    for damping in (1.0, 1e-2):
        step = system.solve(damping)
        assert np.asarray(step).dtype == np.float32
        assert relative(step, damped_step(jacobian, residual, scaling, damping)) < 1e-4
        j, d = jacobian.astype(float), scaling.astype(float)
        expected = -np.linalg.solve(j.T @ j + damping * np.diag(d**2), other.astype(float))
        found = system.solve_gradient(damping, other)
        assert np.asarray(found).dtype == np.float32
        assert relative(found, expected) < 1e-4


@pytest.mark.parametrize(("backend", "method"), SYSTEMS)
def test_gradient_and_norm_bound_are_those_of_the_jacobian(backend, method):
    for shape in DEVICE_SHAPES:
        jacobian, residual, scaling, _ = make(shape)
        system = build(backend, method, jacobian, residual, scaling)
        assert relative(system.gradient, jacobian.T @ residual) < 1e-12
        norm = np.linalg.norm(jacobian, 2) ** 2
        assert norm * (1 - 1e-12) <= system.norm <= jacobian.shape[1] * norm


@pytest.mark.parametrize(("backend", "method"), [s for s in SYSTEMS if s[1] in ("qr", "svd")])
@pytest.mark.parametrize(("n", "p"), [(60, 30), (30, 60)])
def test_orthogonal_forms_keep_their_digits_where_normal_equations_lose_them(backend, method, n, p):
    """Condition 1e6 and λ at rounding of ‖JᵀJ‖: squaring would leave no digit of the step."""
    jacobian = matrix_with_spectrum(n, p, np.logspace(0, -6, 30))
    residual = np.random.default_rng(2).normal(size=n)
    damping = 1e-14
    expected = damped_step(jacobian, residual, np.ones(p), damping)
    system = build(backend, method, jacobian, residual, np.ones(p))
    error = relative(system.solve(damping), expected)
    assert error < 1e-6
    form = "cholesky" if n > p else "kernel"
    squared = build(backend, form, jacobian, residual, np.ones(p))
    assert relative(squared.solve(damping), expected) > 30 * error


@pytest.mark.parametrize("condition", [1e4, 1e13, 1e18])
@pytest.mark.parametrize("small", [1.0, 1e-10])
def test_whitened_factor_of_an_accelerator_reaches_the_least_squares_of_qr(condition, small):
    """As in the last phase of a training: hardly any damping, and hardly any residual left."""
    n, p = 120, 40
    rng = np.random.default_rng(5)
    jacobian = matrix_with_spectrum(n, p, np.geomspace(1, 1 / condition, p))
    jacobian = jacobian * np.geomspace(1, 1e3, p)
    norms = np.linalg.norm(jacobian, axis=0)
    residual = jacobian @ (rng.normal(size=p) / norms) + small * rng.normal(size=n)
    exact, fast = (
        build(backend, "qr", jacobian, residual, norms) for backend in ("host", "device")
    )
    for damping in (1e-6, 1e-12, 1e-17):

        def cost(step, damping=damping):
            rows = np.concatenate([jacobian @ step + residual, np.sqrt(damping) * norms * step])
            return np.linalg.norm(rows)

        best, found = exact.solve(damping), np.asarray(fast.solve(damping))
        assert fast._factor(damping)[1], "the slow way was taken"
        assert cost(found) <= cost(best) * (1 + 1e-8) + 1e-15
        assert relative(norms * found, norms * best) < 1e-5
        other = rng.normal(size=p) * norms
        expected = exact.solve_gradient(damping, other)
        assert relative(norms * fast.solve_gradient(damping, other), norms * expected) < 1e-5


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("n", "p", "condition", "small", "damping"),
    [
        (200, 60, 1e6, 1e-8, 1e-11),
        (200, 60, 1e6, 1e-7, 1e-9),
        (200, 60, 1e6, 0.0, 1e-6),
        (60, 100, 1e6, 1.0, 1e-14),
        (300, 150, 1e6, 1.0, 1e-14),
        (300, 150, 1e3, 1.0, 1e-9),
    ],
)
def test_steps_of_an_accelerator_have_the_least_squares_of_the_host(
    n, p, condition, small, damping, dtype
):
    """Also where one neuron is nearly dead, and where rounding decides what the factor is."""
    jacobian = matrix_with_spectrum(n, p, np.geomspace(1, 1 / condition, min(n, p)))
    jacobian[:, 3] *= small
    jacobian = jacobian.astype(dtype)
    residual = np.random.default_rng(7).normal(size=n).astype(dtype)
    slow, fast = (build(b, "qr", jacobian, residual, np.ones(p)) for b in ("host", "device"))

    def cost(step):
        step = np.asarray(step, float)
        rows = [jacobian.astype(float) @ step + residual, np.sqrt(damping) * step]
        return np.linalg.norm(np.concatenate(rows))

    step = fast.solve(damping)
    assert np.asarray(step).dtype == dtype
    # Where the step is huge, its own rounding to float32 is a percent of the cost.
    allowed = 1e-9 if dtype == "float64" else 0.05
    assert cost(step) <= cost(slow.solve(damping)) * (1 + allowed)


def test_column_of_zeros_does_not_send_an_accelerator_the_slow_way():
    jacobian = matrix_with_spectrum(60, 30, np.geomspace(1, 1e-3, 30))
    jacobian[:, 4] = 0
    system = build("device", "qr", jacobian, np.ones(60), np.ones(30))
    step = np.asarray(system.solve(1e-8))
    assert step[4] == 0
    assert system._factor(1e-8)[1]


def test_refinement_that_does_not_converge_gives_way_to_the_qr(monkeypatch):
    jacobian = matrix_with_spectrum(60, 30, np.geomspace(1, 1e-6, 30))
    residual, scaling = np.random.default_rng(2).normal(size=60), np.ones(30)
    slow, fast = (build(b, "qr", jacobian, residual, scaling) for b in ("host", "device"))
    for damping, limit in ((1e-10, 1e-4), (1e-10, 0.0), (1e-12, 0.0), (1e-10, 1e-4)):
        monkeypatch.setattr("pinnzoo.linalg.CONVERGED", limit)
        for solve in (
            lambda s, d=damping: s.solve(d),
            lambda s, d=damping: s.solve_gradient(d, scaling),
        ):
            assert relative(solve(fast), solve(slow)) < 1e-7
            assert fast._factor(damping)[1] is (limit > 0)


def test_jacobian_of_zeros_has_steps_of_zero_on_an_accelerator():
    system = build("device", "qr", np.zeros((5, 3)), np.ones(5), np.ones(3))
    np.testing.assert_array_equal(system.solve(1e-3), np.zeros(3))


@pytest.mark.parametrize(
    ("backend", "method"), [s for s in SYSTEMS if s[1] in ("cholesky", "kernel")]
)
def test_matrix_that_is_not_positive_definite_is_reported(backend, method):
    n, p = (30, 10) if method == "cholesky" else (10, 30)
    jacobian = matrix_with_spectrum(n, p, [1e10, 1e5])
    system = build(backend, method, jacobian, np.ones(n), np.ones(p))
    with pytest.raises(np.linalg.LinAlgError):
        system.solve(-1.0)


@pytest.mark.parametrize(("backend", "method"), SYSTEMS)
def test_inputs_are_left_as_they_were(backend, method):
    jacobian, residual, scaling, other = make("tall")
    copies = [x.copy() for x in (jacobian, residual, scaling, other)]
    system = damped_system(jacobian, residual, method=method, scaling=scaling, backend=backend)
    first = np.array(system.solve(0.1))
    system.solve(1e-3)
    system.solve_gradient(0.3, other)
    np.testing.assert_array_equal(system.solve(0.1), first)
    for before, after in zip(copies, (jacobian, residual, scaling, other), strict=True):
        np.testing.assert_array_equal(before, after)


def test_step_shrinks_and_turns_to_steepest_descent_as_damping_grows():
    jacobian, residual, _, _ = make("tall")
    system = build("host", "qr", jacobian, residual, np.ones(20))
    norms = [np.linalg.norm(system.solve(damping)) for damping in (1e-4, 1e-2, 1.0, 1e2)]
    assert all(b < a for a, b in zip(norms[:-1], norms[1:], strict=True))  # noqa: RUF007
    assert relative(1e8 * system.solve(1e8), -system.gradient) < 1e-7


def test_method_follows_shape_and_conditioning():
    eps = np.finfo(np.float64).eps
    assert choose_method(100, 10, 1e-3, np.float64) == "cholesky"
    assert choose_method(10, 100, 1e-3, np.float64) == "kernel"
    for n, p in ((100, 10), (10, 100)):
        assert choose_method(n, p, 10 * eps, np.float64) == "qr"
        assert choose_method(n, p, 1e-6, np.float32) == "qr"
    assert set(METHODS) == {"auto", *HOST_METHODS}


def test_unknown_methods_are_refused_with_what_the_backend_has():
    jacobian, residual, scaling, _ = make("tall")
    with pytest.raises(UnknownNameError, match="cholesky"):
        build("host", "cholesk", jacobian, residual, scaling)
    with pytest.raises(UnknownNameError, match="damped solve"):
        build("device", "svd", jacobian, residual, scaling)


def test_tolerance_follows_the_precision():
    assert tolerance(np.float64) < 1e-6 < tolerance(np.float32) < 1e-2


@pytest.mark.parametrize("backend", ["host", "device"])
def test_compressed_rows_have_the_least_squares_problem_of_all_rows(backend):
    rng = np.random.default_rng(0)
    jacobian, residual = rng.normal(size=(50, 8)), rng.normal(size=50)
    cuts = [(0, 3), (3, 20), (20, 50)]
    blocks = [(jnp.asarray(jacobian[a:b]), jnp.asarray(residual[a:b])) for a, b in cuts]
    triangle, c = (np.asarray(part) for part in compress_rows(blocks, backend))
    assert triangle.shape == (8, 8)
    np.testing.assert_array_equal(np.tril(triangle, -1), 0)
    np.testing.assert_allclose(triangle.T @ triangle, jacobian.T @ jacobian, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(triangle.T @ c, jacobian.T @ residual, rtol=1e-12, atol=1e-12)
