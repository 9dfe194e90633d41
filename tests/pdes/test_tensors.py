"""Stored solutions in a periodic square: the sum, the grid, and what is written."""

import numpy as np
import pytest

from pinnzoo import evaluate_function
from pinnzoo.references import tensors
from pinnzoo.references.tensors import Tensor

SHAPE = (5, 7, 9, 2)
RNG = np.random.default_rng(0)


def coefficients(seed, size=1.0):
    return size * np.random.default_rng(seed).standard_normal(SHAPE)


def slow_sum(c, z):
    """Chebyshev and Fourier series on [0, 2] and [-1, 2], one term after the other."""
    t, x, y = z
    total = np.zeros(c.shape[3])

    def wave(index, count, s):
        theta = 2 * np.pi * (s + 1) / 3
        own = count // 2 + 1
        return np.cos(index * theta) if index < own else np.sin((index - own + 1) * theta)

    for j, k, i in np.ndindex(c.shape[:3]):
        in_t = np.cos(j * np.arccos(t - 1))
        total += in_t * wave(k, c.shape[1], x) * wave(i, c.shape[2], y) * c[j, k, i]
    return total


@pytest.fixture
def written(tmp_path, monkeypatch):
    rough, fine = coefficients(0), coefficients(0) + coefficients(1, 1e-3)
    tensors.write(tmp_path / "made.npz", (2.0, -1.0, 3.0), rough, fine, 2.0**-30)
    monkeypatch.setattr(tensors, "DATA", tmp_path)
    return rough, fine


@pytest.mark.parametrize("refined", [False, True])
def test_what_is_read_is_the_sum_that_was_written(written, refined):
    tensor = tensors.read.__wrapped__("made", refined)
    points = RNG.uniform((0, -1, -1), (2, 2, 2), (10, 3))
    expected = np.array([slow_sum(written[refined], z) for z in points])
    found = evaluate_function(tensor.at, points)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)
    other = np.array([slow_sum(written[not refined], z) for z in points])
    assert np.abs(found - other).max() > 1e-4


def test_points_of_a_grid_are_the_sum_at_each_point():
    factors = tuple(RNG.standard_normal((n, 3)) for n in SHAPE[:3])
    tensor = Tensor(2.0, -1.0, 3.0, factors, RNG.standard_normal((3, 3, 3, 2)))  # pyright: ignore
    axes = np.meshgrid(np.linspace(0, 2, 3), np.linspace(-1, 2, 4), np.linspace(-1, 2, 5))
    mixed = RNG.permutation(np.stack(axes, -1).reshape(-1, 3))
    found = tensor.at_many(mixed)
    assert found is not None
    np.testing.assert_allclose(found, evaluate_function(tensor.at, mixed), rtol=0, atol=1e-11)
    assert tensor.at_many(mixed[:9] + 0.01 * mixed[:9, ::-1]) is None


def test_few_functions_are_stored_of_a_solution_that_is_made_of_few(tmp_path, monkeypatch):
    parts = [RNG.standard_normal(n) for n in SHAPE]
    product = np.einsum("j,k,l,m->jklm", *parts)
    tensors.write(tmp_path / "made.npz", (2.0, -1.0, 3.0), product, product, 2.0**-30)
    monkeypatch.setattr(tensors, "DATA", tmp_path)
    assert tensors.read.__wrapped__("made").core.shape == (1, 1, 1, 2)
