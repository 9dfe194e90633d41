"""What a solution may contain at the vertices of its domain is in the network."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnzoo
from pinnzoo import Ball, Box, Condition, Polygon, Problem, dirichlet, neumann, prescribe, robin
from pinnzoo.pdes import make_problem
from pinnzoo.solving import clock
from pinnzoo.solving.growth import widen
from pinnzoo.solving.rounds import plan_for, with_sines
from pinnzoo.solving.wedges import wedges_of
from tests.solving.test_solve import Ticking

SQUARE = Box("xy", (-1.0, -1.0), (1.0, 1.0))
ELL = Polygon("xy", ((-1, -1), (0, -1), (0, 0), (1, 0), (1, 1), (-1, 1)))
HALF = Polygon(
    "xy", ((-1, 0), (0, 0), (1, 0), (1, 1), (-1, 1)), edges=("closed", "cold", "r", "r", "r")
)


def laplace(u, z):
    u_xx, u_yy = u(z, "u_xx u_yy")
    return u_xx + u_yy


def of(domain, *conditions, equation=laplace):
    return Problem(
        name="own", domain=domain, components=("u",), equation=equation, conditions=conditions
    )


def found(problem, place):
    """Powers at a vertex, with a star for those that have a logarithm."""
    here = [w for w in wedges_of(problem) if (w.place, w.other) == place]
    return [f"{each.power:.4g}{'*' * each.logarithm}" for each in here]


def test_the_corner_of_an_l():
    held = of(ELL, dirichlet(ELL, "u", "polygon"))
    assert found(held, (0.0, 0.0)) == ["0.6667", "1.333", "2.667", "3.333", "2*"]
    assert found(held, (1.0, 1.0)) == ["2*"]
    closed = of(ELL, neumann(ELL, "u", "polygon"))
    assert found(closed, (0.0, 0.0)) == found(held, (0.0, 0.0))
    assert {each.flux for each in wedges_of(held)} == {0}
    assert {each.flux for each in wedges_of(closed)} == {1}
    # Also where the equation vanishes in the corner, and where the shape is a difference.
    names = found(make_problem("laplace_l_shape", {}), (0.0, 0.0))
    assert names == found(held, (0.0, 0.0))


def test_where_a_flux_takes_the_place_of_a_value():
    given = [dirichlet(HALF, "u", "cold"), dirichlet(HALF, "u", "r", value=1.0)]
    for other in (neumann(HALF, "u", "closed"), robin(HALF, "u", "closed", alpha=1.0, beta=2.0)):
        problem = of(HALF, *given, other)
        assert found(problem, (0.0, 0.0)) == ["0.5", "1.5", "2.5", "3.5"]
    # On a part of a rectangle's side.
    cold = prescribe(Box("xy", (-1.0, -1.0), (0.25, -1.0)), "u", 0.0, "cold")
    closed = Condition("closed", lambda u, z: u(z, "u_y")[0], Box("xy", (0.25, -1.0), (1.0, -1.0)))
    sides = [neumann(SQUARE, "u", "x", side) for side in ("left", "right")]
    problem = of(SQUARE, cold, closed, *sides, dirichlet(SQUARE, "u", "y", "right", 1.0))
    assert [f"{each.power:g}" for each in wedges_of(problem)] == ["0.5", "1.5", "2.5", "3.5"]
    (cut, *_) = wedges_of(problem)
    assert (cut.place, cut.other, cut.flux) == (pytest.approx(0.25), -1.0, 1)


def test_units_in_which_the_equation_is_laplaces():
    def stretched(u, z):
        u_xx, u_yy = u(z, "u_xx u_yy")
        return -9.0 * u_xx - u_yy

    (first, *_) = [
        w for w in wedges_of(of(ELL, dirichlet(ELL, "u", "polygon"), equation=stretched))
    ]
    # A right angle stays one along the axes.
    assert (first.scale, first.other_scale) == (1.0, pytest.approx(1 / 3))
    sloped = Polygon("xy", ((0, 0), (1, -1), (3, 0), (1, 1)))
    wedges = wedges_of(of(sloped, dirichlet(sloped, "u", "polygon"), equation=stretched))
    corner = [each for each in wedges if (each.place, each.other) == (0.0, 0.0)]
    assert {round(each.angle, 9) for each in corner} == {round(2 * math.atan(3.0), 9)}
    assert corner[0].power == pytest.approx(math.pi / (2 * math.atan(3.0)))


def test_values_that_differ_at_a_vertex_of_a_polygon():
    triangle = Polygon("xy", ((0, 0), (1, 0), (0, 1)), edges=("hot", "rest", "rest"))
    problem = of(
        triangle, dirichlet(triangle, "u", "hot", value=1.0), dirichlet(triangle, "u", "rest")
    )
    assert found(problem, (0.0, 0.0))[0] == "0*"
    assert found(problem, (1.0, 0.0))[0] == "0*"
    assert "0*" not in found(problem, (0.0, 1.0))


def test_behind_the_vertices_of_a_hole_they_fade():
    hole = Polygon("xy", ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)))
    plate = SQUARE - hole
    problem = of(plate, dirichlet(plate, "u", "box"), dirichlet(plate, "u", "polygon", value=1.0))
    inner = [each for each in wedges_of(problem) if abs(each.place) == 0.5]
    assert len(inner) == 20
    # The hole is √2 across.
    assert all(each.radius == pytest.approx(math.sqrt(2) / 2.5, rel=0.02) for each in inner)
    assert all(not each.radius for each in wedges_of(problem) if abs(each.place) == 1.0)


def test_what_is_smooth_or_cannot_be_read_off_is_left_alone():
    square = [dirichlet(SQUARE, "u", axis, side) for axis in "xy" for side in ("left", "right")]
    assert wedges_of(of(SQUARE, *square)) == ()
    disc = Ball("xy", (0.0, 0.0), 1.0)
    assert wedges_of(of(disc, dirichlet(disc, "u", "ball"))) == ()
    held = of(ELL, dirichlet(ELL, "u", "polygon"))
    assert wedges_of(replace(held, ansatz=lambda _, n: n)) == ()
    twice = replace(
        held, conditions=(*held.conditions, dirichlet(ELL, "u", "edge_1", name="again"))
    )
    assert found(twice, (0.0, 0.0)) == []

    def mixed(u, z):
        return laplace(u, z) + 0.5 * u(z, "u_xy")[0]

    assert wedges_of(of(ELL, dirichlet(ELL, "u", "polygon"), equation=mixed)) == ()
    turns = np.linspace(0, 2 * np.pi, 60)[:-1]
    many = Polygon("xy", tuple((float(np.cos(a)), float(np.sin(a))) for a in turns))
    assert wedges_of(of(many, dirichlet(many, "u", "polygon"))) == ()


def test_a_plan_keeps_them_and_a_wider_network_their_amplitudes():
    problem = of(ELL, dirichlet(ELL, "u", "polygon"))
    plan = plan_for(problem)
    sines = with_sines(plan)
    assert sines is not None
    assert plan.network["wedges"] == [str(each) for each in wedges_of(problem)]
    assert sines.network["wedges"] == plan.network["wedges"]
    narrow, wide = (plan.draw(problem, width) for width in (5, 9))
    amplitudes = jnp.arange(float(len(plan.network["wedges"])))[:, None]
    narrow.wedges.amplitudes[...] = amplitudes  # pyright: ignore[reportAttributeAccessIssue]
    z = jnp.array([-0.3, 0.4])
    np.testing.assert_allclose(widen(narrow, wide)(z), narrow(z), rtol=1e-13)  # pyright: ignore


def exact(points):
    """`√r sin φ/2`, with φ from the cold edge."""
    return jnp.sqrt(jnp.maximum(jnp.hypot(points[..., 0], points[..., 1]) - points[..., 0], 0) / 2)


def test_a_problem_like_motz_is_solved(monkeypatch):
    monkeypatch.setattr(clock, "now", Ticking())
    cold, closed = dirichlet(HALF, "u", "cold"), neumann(HALF, "u", "closed")
    problem = of(HALF, cold, closed, dirichlet(HALF, "u", "r", value=exact))
    entry = pinnzoo.solve(problem, seconds=4, diagnostics=False)
    points = np.random.default_rng(0).uniform((-1, 0), (1, 1), (1000, 2))
    wanted = np.asarray(jax.jit(exact)(points))
    error = np.linalg.norm(entry.predict(points)[:, 0] - wanted) / np.linalg.norm(wanted)
    # Without it, 6e-3 in ten times as long.
    assert error < 1e-8
    assert entry.metrics["estimated_error"] < 1e-6
