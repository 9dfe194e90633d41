"""The stored wake of a cylinder: what is read is what was written, and it is a flow."""

import jax
import numpy as np
import pytest

from pinnzoo.evaluation import require_reference
from pinnzoo.pdes import make_problem
from pinnzoo.references import limit_cycle
from pinnzoo.references.limit_cycle import Cycle

RNG = np.random.default_rng(0)
QUANTUM = 2.0**-30


def made(period, seed=0, shape=(7, 6, 5, 3)):
    coefficients = np.random.default_rng(seed).standard_normal(shape)
    return Cycle(period, (-1.0, 0.0), (2.0, 3.0), coefficients)


def evaluate(cycle, t, x, y):
    """The double series, one term after the other."""
    k, i, j, m = cycle.coefficients.shape
    xi, eta = (
        2 * (s - low) / (high - low) - 1
        for s, low, high in zip((x, y), cycle.lower, cycle.upper, strict=True)
    )
    waves = [np.cos(2 * np.pi * n * t / cycle.period) for n in range(k // 2 + 1)]
    waves += [np.sin(2 * np.pi * n * t / cycle.period) for n in range(1, k // 2 + 1)]
    total = np.zeros(m)
    for a, wave in enumerate(waves):
        for b in range(i):
            for c in range(j):
                shape = np.cos(b * np.arccos(xi)) * np.cos(c * np.arccos(eta))
                total += wave * shape * cycle.coefficients[a, b, c]
    return total


def test_value_is_the_series():
    cycle = made(1.7)
    for t, x, y in RNG.uniform((0, -1, 0), (4, 2, 3), (5, 3)):
        np.testing.assert_allclose(cycle.at(t, x, y), evaluate(cycle, t, x, y), rtol=1e-10)


def test_what_is_read_is_what_was_written_without_degrees_that_vanish(tmp_path, monkeypatch):
    monkeypatch.setattr(limit_cycle, "DATA", tmp_path)
    cycle, refined = made(1.7), made(1.8, seed=1)
    for c in (cycle, refined):
        # Harmonic 3, the last degree in x and the last two in y.
        c.coefficients[[3, 6]] = 0
        c.coefficients[:, 5:] = 0
        c.coefficients[:, :, 3:] = 0
    limit_cycle.write(tmp_path / "made.npz", cycle, refined, QUANTUM)
    for whole, finer in ((cycle, False), (refined, True)):
        read = limit_cycle.read.__wrapped__("made", finer)
        assert read.coefficients.shape == (5, 5, 3, 3)
        assert read.period == whole.period
        for t, x, y in RNG.uniform((0, -1, 0), (4, 2, 3), (5, 3)):
            np.testing.assert_allclose(read.at(t, x, y), whole.at(t, x, y), atol=200 * QUANTUM)


def test_the_wake_sheds_vortices_at_the_rate_of_the_literature():
    cycle = limit_cycle.read("cylinder_wake")
    assert 0.164 < 1 / cycle.period < 0.168
    # v on the axis is an odd function of the vortices of either side: it has the period itself,
    # and u, which both sides share, has half of it.
    at = [cycle.at(t, *np.array([5.0, 0.0])) for t in np.linspace(0, cycle.period, 17)]
    u, v, _ = np.array(at).T
    np.testing.assert_allclose(v[:9], -v[8:], atol=2e-3)
    np.testing.assert_allclose(u[:9], u[8:], atol=2e-3)
    assert v.max() > 0.3
    assert v[0] == pytest.approx(0, abs=0.05)


def test_the_wake_is_symmetric_after_half_a_period():
    cycle = limit_cycle.read("cylinder_wake")
    for t, x, y in RNG.uniform((0, *cycle.lower), (16, *cycle.upper), (8, 3)):
        u, v, p = cycle.at(t, x, y)
        mirrored = cycle.at(t + cycle.period / 2, x, -y)
        np.testing.assert_allclose((u, v, p), np.array(mirrored) * [1, -1, 1], atol=5e-3)


def test_the_wake_meets_navier_stokes_where_its_refinement_is_trusted():
    problem = make_problem("cylinder_wake", {})
    points = problem.evaluation_points(4)
    assert require_reference(problem).certified_error(points) < 3e-4
    field = problem.field(require_reference(problem).function)
    inside = RNG.uniform(problem.domain.lower, problem.domain.upper, (100, 3))
    for name, term in problem.terms.items():
        if term.region == problem.domain:
            rows = jax.jit(jax.vmap(lambda z, r=term.residual: r(field, z)))(inside)
            # Accelerations are of order one.
            assert float(np.sqrt(np.mean(np.square(rows)))) < 5e-3, name
