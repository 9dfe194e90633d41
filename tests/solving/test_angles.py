"""Corners in which the data of an elliptic problem do not fit together are in the network."""

import math
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import pinnzoo
from pinnzoo import Box, Problem, dirichlet, neumann, robin
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.solving import clock
from pinnzoo.solving.angles import angles_of
from pinnzoo.solving.clashes import clash
from pinnzoo.solving.rounds import plan_for
from tests.solving.test_solve import Ticking

PLATE = Box("xy", (0.0, 0.0), (1.0, 2.0))
LEFT, RIGHT = (dirichlet(PLATE, "u", "x", side) for side in ("left", "right"))
BOTTOM = dirichlet(PLATE, "u", "y", "left")


def top(value: Any = 0.0):
    return dirichlet(PLATE, "u", "y", "right", value)


def of(*conditions, source=0.0, factors=(1.0, 1.0), more=lambda _u, _z: 0.0):
    a, b = factors

    def equation(u, z):
        u_xx, u_yy = u(z, "u_xx u_yy")
        return a * u_xx + b * u_yy + source + more(u, z)

    return Problem(
        name="plate",
        domain=PLATE,
        components=("u",),
        equation=equation,
        conditions=conditions,
    )


def found(*conditions, **given):
    return [
        (each.power, each.place, each.other, round(each.size * math.pi / 2, 9), each.axis)
        for each in angles_of(of(*conditions, **given))
    ]


def test_sides_of_different_values():
    # The angle is zero on the hot side and a right one on the others.
    assert found(LEFT, RIGHT, BOTTOM, top(3.0)) == [
        (0, 0.0, 2.0, -3.0, 0),
        (0, 1.0, 2.0, -3.0, 0),
    ]
    assert found(LEFT, RIGHT, BOTTOM, top(lambda z: jnp.sin(jnp.pi * z[0]))) == []
    assert [each[:3] for each in found(LEFT, RIGHT, BOTTOM, top(lambda z: z[0]))] == [(0, 1.0, 2.0)]


def test_a_source_between_cold_sides():
    angles = angles_of(of(LEFT, RIGHT, BOTTOM, top(), source=2.0, factors=(-1.0, -4.0)))
    assert [(each.power, each.size) for each in angles] == [(2, pytest.approx(2 / math.pi))] * 4
    assert {(each.scale, each.other_scale) for each in angles} == {(1.0, 2.0)}
    # A value that bends along a side may meet the equation there.
    bent = top(lambda z: z[0] * (1 - z[0]))
    assert [each[2] for each in found(LEFT, RIGHT, BOTTOM, bent, source=2.0)] == [0.0, 0.0]


def test_a_flux_that_the_next_side_does_not_have():
    fed = neumann(PLATE, "u", "y", "right", value=1.0)
    assert found(LEFT, RIGHT, BOTTOM, fed) == [(1, 2.0, 0.0, -1.0, 1), (1, 2.0, 1.0, -1.0, 1)]
    closed = neumann(PLATE, "u", "y", "right")
    assert found(LEFT, RIGHT, BOTTOM, closed) == []
    cooled = robin(PLATE, "u", "y", "right", alpha=2.0, beta=1.0)
    hot = [dirichlet(PLATE, "u", "x", side, 1.0) for side in ("left", "right")]
    lower = dirichlet(PLATE, "u", "y", "left", 1.0)
    assert found(*hot, lower, cooled) == [(1, 2.0, 0.0, 2.0, 1), (1, 2.0, 1.0, 2.0, 1)]


def mixed(u, z):
    return 0.1 * u(z, "u_xy")[0]


def test_where_it_cannot_be_read_off_nothing_is_added():
    sides = (LEFT, RIGHT, BOTTOM, top(3.0))
    assert found(*sides, more=mixed) == []
    assert found(*sides, factors=(1.0, -1.0)) == []
    closed = [neumann(PLATE, "u", axis, side) for axis in "xy" for side in ("left", "right")]
    assert found(*closed, source=1.0) == []
    assert angles_of(replace(of(*sides), ansatz=lambda _, n: n)) == ()
    # What is of lower order does not matter.
    assert found(*sides, more=lambda u, z: u(z, "u")[0] ** 2) == found(*sides)


def test_the_zoo_has_none():
    assert all(not angles_of(make_problem(name, {})) for name in PROBLEMS)


def exact(points):
    """By separation of variables."""
    x, y = points.T
    total = np.zeros_like(x)
    for k in np.pi * np.arange(1, 2000, 2):
        rise = np.exp(k * (y - 2)) * (1 - np.exp(-2 * k * y)) / (1 - np.exp(-4 * k))
        total += 4 / k * np.sin(k * x) * rise
    return total


def test_a_plate_with_one_hot_side_is_solved(monkeypatch):
    monkeypatch.setattr(clock, "now", Ticking())
    problem = of(LEFT, RIGHT, BOTTOM, top(1.0))
    assert clash(problem) is not None
    assert clash(problem, plan_for(problem).corners) is None
    entry = pinnzoo.solve(problem, seconds=4, diagnostics=False)
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 41)[1:-1], np.linspace(0, 1.99, 40)), -1)
    points = grid.reshape(-1, 2)
    wanted = exact(points)
    error = np.linalg.norm(entry.predict(points)[:, 0] - wanted) / np.linalg.norm(wanted)
    # Without it, 9e-3 in ten times as long.
    assert error < 1e-6
    assert 0.1 * error < entry.metrics["estimated_error"] < 1e-4
