"""Stored solutions: the solver, the format, and what the three problems store."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo import evaluate_function
from pinnzoo.domains import sample
from pinnzoo.evaluation import require_reference
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.pdes.allen_cahn import DIFFUSION, kink
from pinnzoo.pdes.schrodinger import KINK_WAVES, _turned, rates
from pinnzoo.pdes.schrodinger import kink as dispersed_kink
from pinnzoo.references import etdrk4, multipoles, stored
from pinnzoo.references.stored import Series

STORED = ("allen_cahn", "kdv", "schrodinger")


def bernoulli(step):
    """Largest error in `v' = λ v - v²`, some of them stiff, and the exact solution at the end."""
    rate = np.array([-1000, -1, 2 + 50j, 1e-8])
    start = np.full(4, 0.3 + 0.1j)
    times = np.array([0.0, 0.1, 0.45, 1.0])
    states = np.stack(list(etdrk4.solve(rate, lambda v: -(v**2), start, times, step)))
    t = times[:, None]
    grown = np.expm1(rate * t)
    exact = start * (grown + 1) / (1 + start / rate * grown)
    np.testing.assert_array_equal(states[0], start)
    return np.abs(states - exact).max()


def test_etdrk4_converges_with_fourth_order():
    errors = [bernoulli(step) for step in (0.02, 0.01, 0.005)]
    assert errors[-1] < 1e-5
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 4, atol=0.4)


def test_etdrk4_solves_the_linear_part_exactly():
    rate = np.array([-1e6, -1.0, 300j, 0.0])
    start = np.array([1.0, 2.0, 3.0j, 4.0])
    (_, end) = etdrk4.solve(rate, np.zeros_like, start, np.array([0.0, 1.0]), 1e-3)
    np.testing.assert_allclose(end, np.exp(rate) * start, rtol=1e-12)


def made_series(degrees=5, cosines=4, sines=3, m=2, seed=0):
    rng = np.random.default_rng(seed)
    shape = (3, degrees, cosines + sines, m)
    return Series(np.array([0.0, 0.2, 0.9, 1.0]), -1.0, 3.0, sines, rng.normal(size=shape))


def test_points_of_a_grid_are_the_series_at_each_point():
    series = made_series()
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 7), np.linspace(-1, 2, 5)), -1).reshape(-1, 2)
    mixed = np.random.default_rng(0).permutation(grid)
    each = np.array([series.at(t, x) for t, x in mixed])
    found = series.at_many(mixed)
    assert found is not None
    np.testing.assert_allclose(found, each, rtol=1e-12, atol=1e-13)
    assert np.abs(each).max() > 1
    assert series.at_many(mixed[:20] + 0.01 * mixed[:20, ::-1]) is None


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("kdv", (9, 11)),
        ("allen_cahn", (9, 11)),
        ("schrodinger", (9, 11)),
        ("cylinder_wake", (4, 5, 6)),
        ("cylinder_wake_inverse", (4, 5, 6)),
        ("ginzburg_landau", (4, 5, 6)),
        ("gray_scott", (4, 5, 6)),
    ],
)
def test_a_stored_solution_is_the_same_on_a_grid_and_point_by_point(name, shape):
    problem = make_problem(name, {})
    solution: Any = require_reference(problem).function
    mixed = np.random.default_rng(0).permutation(problem.domain.grid(shape))
    each = evaluate_function(lambda z: solution(z), mixed)
    found = solution.many(mixed)
    np.testing.assert_allclose(found, each, rtol=0, atol=1e-13)
    assert solution.many(mixed[:5] + 0.01 * mixed[:5, ::-1]) is None


def slow_values(series, t, x):
    """The sum, one term after the other."""
    panels, degrees, size, m = series.coefficients.shape
    panel = max(p for p in range(panels) if p == 0 or t >= series.edges[p])
    left, right = series.edges[panel : panel + 2]
    angle = np.arccos(np.clip((2 * t - left - right) / (right - left), -1, 1))
    theta = 2 * np.pi * (x - series.low) / series.length
    cosines = size - series.sines
    total = np.zeros(m)
    for b in range(size):
        wave = np.cos(b * theta) if b < cosines else np.sin((b - cosines + 1) * theta)
        for j in range(degrees):
            total += series.coefficients[panel, j, b] * np.cos(j * angle) * wave
    return total


@pytest.mark.parametrize("sines", [0, 3])
def test_series_equals_the_slow_sum(sines):
    series = made_series(sines=sines)
    at = jax.jit(series.at)
    for t in (0.0, 0.1, 0.2, 0.55, 0.9, 0.97, 1.0):
        for x in (-1.0, -0.3, 0.0, 1.9, 2.0):
            np.testing.assert_allclose(at(t, x), slow_values(series, t, x), rtol=0, atol=1e-13)


def test_series_is_periodic_to_the_last_bit_of_all_derivatives():
    series = made_series()
    for function in (series.at, jax.jacfwd(series.at, 1), jax.jacfwd(jax.jacfwd(series.at, 1), 1)):
        ends = [np.asarray(jax.jit(function)(0.3, x)) for x in (-1.0, 2.0)]
        np.testing.assert_array_equal(ends[0], ends[1])
        assert np.abs(ends[0]).min() > 1e-3


def test_written_series_and_its_refinement_are_read_again(tmp_path, monkeypatch):
    series, refined = made_series(), made_series(degrees=8, seed=1)
    quantum = 2.0**-20
    stored.write(tmp_path / "made.npz", series, refined, quantum)
    monkeypatch.setattr(stored, "DATA", tmp_path)
    for wanted in (series, refined):
        again = stored.read.__wrapped__("made", refined=wanted is refined)
        np.testing.assert_array_equal(again.edges, wanted.edges)
        assert (again.low, again.length, again.sines) == (-1.0, 3.0, 3)
        assert again.coefficients.shape == wanted.coefficients.shape
        distance = np.abs(again.coefficients - wanted.coefficients).max()
        assert 0 < distance <= quantum / 2


def test_refinement_of_an_even_series_may_have_more_waves(tmp_path, monkeypatch):
    series, refined = made_series(sines=0), made_series(sines=0, cosines=9, seed=1)
    stored.write(tmp_path / "made.npz", series, refined, 1e-6)
    monkeypatch.setattr(stored, "DATA", tmp_path)
    again = stored.read.__wrapped__("made", refined=True)
    np.testing.assert_allclose(again.coefficients, refined.coefficients, rtol=0, atol=1e-6)


def test_stored_files_are_small_and_read_when_first_asked_for():
    sizes = {path.stem: path.stat().st_size for path in stored.DATA.glob("*")}
    others = {"cylinder_wake", "kuramoto_sivashinsky"}
    squares = {"allen_cahn_2d", "ginzburg_landau", "gray_scott"}
    cavities = {"lid_driven_cavity_parabolic_100", "lid_driven_cavity_regularised_1000"}
    assert set(sizes) == {*STORED, *others, *squares, *cavities, "multipoles"}
    assert sum(sizes.values()) < 2e6
    stored.read.cache_clear()
    for name in STORED:
        make_problem(name, {})
    assert stored.read.cache_info().currsize == 0


@pytest.mark.parametrize("name", STORED)
def test_seams_between_panels_cannot_be_seen(name):
    series = stored.read(name)
    signs = (-1.0) ** np.arange(series.coefficients.shape[1])
    ends = series.coefficients[:-1].sum(axis=1)
    begins = np.einsum("j,pjbm->pbm", signs, series.coefficients[1:])
    jump = np.linalg.norm(ends - begins, axis=(1, 2)) / np.linalg.norm(ends, axis=(1, 2))
    assert jump.max() < {"schrodinger": 1e-7}.get(name, 1e-12)


def test_invariants_of_korteweg_de_vries_are_kept():
    """∫u = 0, ∫u² = 1 and ∫(u³ - 3δ²u_x²) = -3δ²π², by the trapezoidal rule, which is exact."""
    solution = require_reference(make_problem("kdv", {})).function
    value_and_slope = jax.jit(jax.vmap(lambda z: (solution(z)[0], jax.jacfwd(solution)(z)[0, 1])))
    x = np.linspace(-1, 1, 1025)[:-1]
    for t in (0.0, 1 / np.pi, 0.77, 1.0):
        u, u_x = map(np.asarray, value_and_slope(np.stack([np.full_like(x, t), x], axis=1)))
        energy = 2 * np.mean(u**3 - 3 * 0.022**2 * u_x**2)
        found = [2 * np.mean(u), 2 * np.mean(u**2), energy]
        np.testing.assert_allclose(found, [0, 1, -3 * 0.022**2 * np.pi**2], atol=2e-12)


class TestKink:
    def test_equals_its_fourier_series(self):
        """Waves of x² that decay one by one."""
        n = np.arange(1, 10_000)
        for t in (1e-3, 0.1, 1.0):
            decay = np.exp(-DIFFUSION * (np.pi * n) ** 2 * t)
            for x in (-1.0, -0.999, 0.0, 0.4, 0.97, 1.0):
                waves = 4 * (-1.0) ** n / (np.pi * n) ** 2 * decay * np.cos(np.pi * n * x)
                expected = -np.exp(-10 * t) * (1 / 3 + waves.sum())
                np.testing.assert_allclose(
                    kink(jnp.asarray(t), jnp.asarray(x)), expected, atol=1e-13
                )

    def test_is_the_parabola_at_first_with_derivatives_that_are_finite(self):
        x = np.linspace(-1, 1, 9)
        at_start = jax.vmap(lambda x: kink(jnp.zeros(()), x))
        np.testing.assert_array_equal(at_start(x), -(x**2))
        for order in (0, 1):
            slope = jax.vmap(jax.grad(kink, order), (None, 0))
            assert np.isfinite(slope(0.0, x)).all()
            assert np.isfinite(slope(1e-300, x)).all()

    def test_takes_the_slope_off_the_profile(self):
        slope = jax.grad(lambda x: kink(jnp.asarray(0.01), x))
        assert abs(slope(1.0)) < 1e-14
        assert abs(slope(0.9) + 1.8 * np.exp(-0.1)) < 1e-6


class TestSchrodinger:
    def test_mass_is_kept(self):
        solution = require_reference(make_problem("schrodinger", {})).function
        x = np.linspace(-5, 5, 4097)[:-1]
        for t in (0.0, 0.6, np.pi / 4, np.pi / 2):
            h = evaluate_function(solution, np.stack([np.full_like(x, t), x], axis=1))
            np.testing.assert_allclose(
                10 * np.mean(np.sum(h**2, axis=1)), 8 * np.tanh(5), rtol=1e-8
            )

    def test_is_close_to_the_breather_of_the_whole_line(self):
        """The closed form of Satsuma and Yajima (1974), from which the period takes 0.03."""
        problem = make_problem("schrodinger", {})
        points = problem.domain.grid((9, 41))
        t, x = points.T
        above = 4 * np.exp(0.5j * t) * (np.cosh(3 * x) + 3 * np.exp(4j * t) * np.cosh(x))
        exact = above / (np.cosh(4 * x) + 4 * np.cosh(2 * x) + 3 * np.cos(4 * t))
        values = require_reference(problem)(points)
        assert np.abs(exact).max() == pytest.approx(4)
        difference = np.abs(values[:, 0] + 1j * values[:, 1] - exact)
        assert 1e-4 < difference.max() < 0.1

    def test_waves_of_the_kink_are_those_of_the_solution_but_for_a_smoother_rest(self):
        series = stored.read("schrodinger")
        n = np.arange(60, KINK_WAVES)
        x = np.linspace(-5, 5, 1025)[:-1]
        for t, smoother in ((0.0, 1e-3), (0.8, 0.15), (1.5, 0.15)):
            real, imaginary = jax.vmap(dispersed_kink, (None, 0))(jnp.asarray(t), jnp.asarray(x)).T
            waves = np.fft.fft(np.asarray(real) + 1j * np.asarray(imaginary))[n] / 512
            turned = _turned(jnp.asarray(t), series.amplitudes(jnp.asarray(t)))
            exact = np.asarray(turned)[n] @ [1, 1j]
            assert np.linalg.norm(exact - waves) < smoother * np.linalg.norm(waves)

    def test_the_waves_of_the_kink_take_its_slope_off_the_profile(self):
        smooth = make_problem("schrodinger", {"constraints": "kink"})
        start = smooth.constrain(lambda _: jnp.zeros(2))
        slopes = jax.vmap(jax.jacfwd(lambda x: start(jnp.stack([0.0, x]))))(np.array([-5.0, 5.0]))
        np.testing.assert_allclose(slopes, 0, atol=1e-12)
        x = np.linspace(-5, 5, 4097)[:-1]
        values = evaluate_function(start, np.stack([np.zeros_like(x), x], axis=1))
        off = values - np.stack([2 / np.cosh(x), np.zeros_like(x)], axis=1)
        assert np.linalg.norm(off) / np.linalg.norm(values) < 5e-6

    def test_kink_decays_like_the_square_of_the_wavenumber_at_all_times(self):
        series = stored.read("schrodinger")
        n = np.arange(200, 500)
        jump = 4 / np.cosh(5) * np.tanh(5)
        expected = 2 * jump / 10 / (2 * rates(512)[n])
        for t in (0.0, 0.8, 1.5):
            sizes = np.linalg.norm(series.amplitudes(jnp.asarray(t)), axis=1)[n]
            np.testing.assert_allclose(sizes, expected, rtol=0.05)


@pytest.mark.parametrize("refined", [False, True])
def test_multipoles_meet_the_values_on_every_boundary(refined):
    """By the maximum principle the reference is nowhere further from the solution than here."""
    problem = make_problem("poisson_2d_c", {})
    reference = require_reference(problem)
    function = reference.refined if refined else reference.function
    assert function is not None
    for condition, value in zip(problem.conditions, (1.0, 0.0), strict=True):
        points, _ = condition.region.place((np.arange(401)[:, None] + 0.5) / 401)
        np.testing.assert_allclose(evaluate_function(function, points), value, atol=1e-12)


def test_square_is_left_as_by_a_series_of_waves():
    """Away from the walls the series of waves converges fast; it is another one."""
    k, waves = 8.0, np.pi * (np.arange(100) + 0.5)
    heights = 2 * (-1.0) ** np.arange(100) / waves * k**2 / (k**2 + waves**2)

    def series(x, y):
        # cosh(kx)/cosh(k) on the walls x = ±1, and what is missing on the others.
        root = np.sqrt(k**2 + waves**2)
        grown = np.cosh(root * y) / np.cosh(root)
        return np.cosh(k * x) / np.cosh(k) + np.sum(heights * np.cos(waves * x) * grown)

    for x, y in ((0.0, 0.0), (0.3, -0.4), (-0.7, 0.5)):
        ours = multipoles.screened_square(k, 160)(jnp.array([x, y]))
        np.testing.assert_allclose(ours, series(x, y), rtol=0, atol=1e-12)


def test_bessel_functions_agree_with_scipy():
    from scipy.special import kv

    x = np.linspace(0.8, 60, 200)[None]
    for n, values in enumerate(multipoles.bessel_k(jnp.asarray(x))):
        np.testing.assert_allclose(values, kv(n, x), rtol=0, atol=1e-14)


WAVES = [
    ("wave", {}),
    ("wave_beta", {}),
    ("wave_2d_ms", {}),
    ("helmholtz", {}),
    ("helmholtz", {"a1": 6.0, "a2": 6.0}),
    ("convection", {}),
    ("poisson", {}),
    ("poisson_2d", {}),
    ("poisson_2d", {"modes": "multi"}),
    ("poisson_nd", {}),
    ("poisson_nd", {"solution": "sines"}),
    ("clamped_plate", {}),
]


def misfit(waves, points, values):
    """Of the best sum of products of one sine or cosine per coordinate, relative."""
    columns = [
        np.prod([part(k * z) for part, k, z in zip(parts, wave, points.T, strict=True)], axis=0)
        for wave in waves
        for parts in itertools.product((np.sin, np.cos), repeat=points.shape[1])
    ]
    matrix = np.stack(columns, axis=1)
    found = np.linalg.lstsq(matrix, values, rcond=1e-12)[0]
    return np.linalg.norm(matrix @ found - values) / np.linalg.norm(values)


@pytest.mark.parametrize(("name", "arguments"), WAVES)
def test_solution_is_the_sum_of_plane_waves_that_is_stated(name, arguments):
    problem = make_problem(name, arguments)
    reference = require_reference(problem)
    points = sample(problem.domain, 400, "uniform", np.random.default_rng(0))
    values = reference(points)
    assert misfit(reference.waves, points, values) < 1e-12
    others = [tuple(1.1 * k + 0.3 for k in wave) for wave in reference.waves]
    assert misfit(others, points, values) > 1e-3


def test_no_other_problem_states_waves():
    stated = {name for name in PROBLEMS if (r := make_problem(name, {}).reference) and r.waves}
    assert stated == {name for name, _ in WAVES}
