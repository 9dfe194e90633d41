"""Jumps and kinks of data that diffuse are found, and what becomes of them is in the network."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import pinnzoo
from pinnzoo import Box, Problem, dirichlet, initial, neumann, periodic, prescribe, robin
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.solving import clock
from pinnzoo.solving.analysis import orders, periodic_axes
from pinnzoo.solving.corners import breaks_of, corners_of
from pinnzoo.solving.rounds import plan_for, with_sines
from tests.solving.test_solve import Ticking

DOMAIN = Box("tx", (0.0, 0.0), (1.0, 1.0))
COLD = [dirichlet(DOMAIN, "u", "x", side) for side in ("left", "right")]
HOT = [dirichlet(DOMAIN, "u", "x", "left", 1.0), dirichlet(DOMAIN, "u", "x", "right")]
CLOSED = [neumann(DOMAIN, "u", "x", side) for side in ("left", "right")]
RING = [periodic(DOMAIN, name, "x", name) for name in ("u", "u_x")]


def of(profile, conditions, equation=None):
    def heat(u, z):
        u_t, u_xx = u(z, "u_t u_xx")
        return u_t - 0.1 * u_xx

    return Problem(
        name="own",
        domain=DOMAIN,
        components=("u",),
        equation=equation or heat,
        conditions=(initial(DOMAIN, "u", profile), *conditions),
    )


def tent(x):
    return jnp.minimum(x / 0.3, (1 - x) / 0.7)


def step(x):
    return jnp.where(x > 1 / 3, 1.0, 0.25)


def flat(x):
    return 0.0 * x


def found(*given, ring=False):
    return [
        (each.kind, round(each.place, 6), round(each.size, 5), round(each.period, 6))
        for each in corners_of(of(*given), periodic=ring)
    ]


def test_a_wall_whose_value_the_beginning_does_not_have():
    assert found(flat, HOT) == [("wall_value", 0.0, 1.0, 0.0)]
    both = [dirichlet(DOMAIN, "u", "x", side, 2.0) for side in ("left", "right")]
    assert found(lambda x: 3.0 + flat(x), both) == [
        ("wall_value", 0.0, -1.0, 0.0),
        ("wall_value", 1.0, -1.0, 0.0),
    ]
    # Along the wall, the value is what it is at first.
    risen = [dirichlet(DOMAIN, "u", "x", "left", lambda z: 1 + z[0]), HOT[1]]
    assert found(flat, risen) == found(flat, HOT)


def test_a_wall_whose_rate_the_equation_does_not_have():
    rising = [dirichlet(DOMAIN, "u", "x", "left", lambda z: z[0]), HOT[1]]
    assert found(flat, rising) == [("wall_rate", 0.0, 1.0, 0.0)]
    # A parabola falls by 0.2 everywhere, and its ends are kept.
    assert found(lambda x: x * (1 - x), COLD) == [
        ("wall_rate", 0.0, 0.2, 0.0),
        ("wall_rate", 1.0, 0.2, 0.0),
    ]
    assert found(lambda x: jnp.sin(jnp.pi * x), COLD) == []

    def around_an_axis(u, z):
        u_t, u_x, u_xx = u(z, "u_t u_x u_xx")
        return z[1] * (u_t - u_xx) - u_x

    axis = [neumann(DOMAIN, "u", "x", "left"), COLD[1]]
    cooled = found(lambda x: 1 - x**2, axis, around_an_axis)
    assert cooled == [("wall_rate", 1.0, 4.0, 0.0)]


def test_a_flux_that_the_beginning_does_not_have():
    cooled = robin(DOMAIN, "u", "x", "left", alpha=2.0, beta=1.0)
    fed = neumann(DOMAIN, "u", "x", "right", value=0.3)
    # u = 1 loses 2 through the left wall, and the flux through the right one is 0.3.
    assert found(lambda x: 1.0 + flat(x), [cooled, fed]) == [
        ("wall_flux", 0.0, -2.0, 0.0),
        ("wall_flux", 1.0, 0.3, 0.0),
    ]
    assert found(lambda x: jnp.cos(jnp.pi * x), CLOSED) == []


def test_breaks_of_the_initial_value():
    assert found(tent, COLD) == [("kink", 0.3, round(-1 / 0.7 - 1 / 0.3, 5), 0.0)]
    assert found(step, CLOSED) == [("jump", 0.333333, 0.75, 0.0)]


def test_where_periods_meet():
    parabola = found(lambda x: x * (1 - x), RING, ring=True)
    assert parabola == [("kink", 0.0, 2.0, 1.0)]
    assert found(lambda x: x, RING, ring=True) == [("jump", 0.0, -1.0, 1.0)]
    assert found(lambda x: jnp.sin(2 * jnp.pi * x), RING, ring=True) == []
    # A break inside is one in every period.
    both = found(lambda x: jnp.abs(x - 0.5), RING, ring=True)
    assert both == [("kink", 0.5, 2.0, 1.0), ("kink", 0.0, -2.0, 1.0)]


def test_the_equation_around_it():
    def equation(u, z):
        value, u_t, u_x, u_xx = u(z, "u u_t u_x u_xx")
        return 2 * u_t - 0.4 * u_xx + 0.6 * u_x + 3 * value**2

    (corner,) = corners_of(of(lambda x: 1.0 + flat(x), [HOT[1], *CLOSED[:1]], equation))
    assert (corner.kind, corner.inwards) == ("wall_value", -1)
    assert (corner.diffusion, corner.velocity) == pytest.approx((0.2, 0.3))
    # The mean of -3 where u = 1 and of 0 at the wall.
    assert corner.rate == pytest.approx(-1.5)


def nothing_diffuses(u, z):
    return u(z, "u_t")[0] + u(z, "u_x")[0]


def waves(u, z):
    return u(z, "u_tt")[0] - u(z, "u_xx")[0]


def bends(u, z):
    return u(z, "u_t")[0] + u(z, "u_xxxx")[0]


def backwards(u, z):
    return u(z, "u_t")[0] + u(z, "u_xx")[0]


def a_front(u, z):
    value, u_t, u_x, u_xx = u(z, "u u_t u_x u_xx")
    return u_t + value * u_x - 1e-4 * u_xx


@pytest.mark.parametrize("equation", [nothing_diffuses, waves, bends, backwards, a_front])
def test_what_is_no_such_layer_is_left_alone(equation):
    assert found(step, HOT, equation) == []


def test_components_that_diffuse_into_one_another_are_left_alone():
    def problem(cross):
        def residual(one, other):
            def equation(u, z):
                u_t, u_xx, v_xx = u(z, f"{one}_t {one}_xx {other}_xx")
                return u_t - 0.1 * u_xx - cross * v_xx

            return equation

        return Problem(
            name="two",
            domain=DOMAIN,
            components=("u", "v"),
            equation=residual("u", "v"),
            system=(pinnzoo.Condition("second", residual("v", "u"), DOMAIN),),
            conditions=(
                initial(DOMAIN, "u", step),
                initial(DOMAIN, "v", flat),
                *(neumann(DOMAIN, c, "x", s) for c in "uv" for s in ("left", "right")),
            ),
        )

    assert [(c.kind, c.component) for c in corners_of(problem(0.0))] == [("jump", 0)]
    assert corners_of(problem(0.05)) == ()


def test_a_hard_constraint_or_a_missing_beginning_is_left_alone():
    own = of(step, HOT)
    assert corners_of(replace(own, ansatz=lambda _, n: n)) == ()
    assert corners_of(replace(own, conditions=own.conditions[1:])) == ()
    part = prescribe(Box("tx", (0.0, 0.0), (0.0, 0.5)), "u", 0.0, "part")
    assert corners_of(replace(own, conditions=(part, *HOT))) == ()


@pytest.mark.parametrize(
    "profile",
    [
        lambda x: np.tanh((x - 0.3) / 1e-3),
        lambda x: np.exp(-((x - 0.5) ** 2) / 1e-4),
        lambda x: np.sin(200 * x),
        lambda x: 1e-12 * np.sign(x - 0.5) + x,
        lambda x: np.interp(x, np.linspace(0, 1, 30), np.random.default_rng(0).random(30)),
        lambda x: np.full_like(x, 3.0),
        lambda x: np.where(x > 0.5, np.nan, 1.0),
    ],
)
def test_what_is_steep_or_measured_does_not_break(profile):
    assert breaks_of(profile, 0.0, 1.0) == []


def test_breaks_are_found_to_many_digits():
    def profile(x):
        return np.abs(x - 1 / np.pi) + np.where(x > 0.7, 0.5, 0.0) + np.sin(5 * x)

    kink, jump = breaks_of(profile, 0.0, 1.0)
    assert kink.place == pytest.approx(1 / np.pi, abs=1e-9)
    assert (kink.jump, kink.bend) == (0.0, pytest.approx(2.0, rel=1e-6))
    assert jump.place == pytest.approx(0.7, abs=1e-9)
    assert (jump.jump, jump.bend) == (pytest.approx(0.5, rel=1e-6), pytest.approx(0.0, abs=1e-3))


def test_of_the_zoo_allen_cahn_has_one():
    having = []
    for name in PROBLEMS:
        problem = make_problem(name, {})
        if problem.d == 2 and orders(problem) == (1, 2):
            periods = periodic_axes(problem)[0] == (1,)
            having += [name] * len(corners_of(problem, periodic=periods))
    assert having == ["allen_cahn"]


def test_a_plan_keeps_them():
    plan = plan_for(of(flat, HOT))
    assert plan.network["corners"] == ["wall_value place=0.0 size=1.0 diffusion=0.1 last=1.0"]
    sines: Any = with_sines(plan)
    assert sines.network["corners"] == plan.network["corners"]


def exact(points):
    """By reflections (Carslaw and Jaeger 1959, section 12.5)."""
    t, x = points.T
    w = np.sqrt(0.4 * t)
    return sum(
        scipy.special.erfc((2 * k + x) / w) - scipy.special.erfc((2 * k + 2 - x) / w)
        for k in range(5)
    )


def off(entry):
    points = np.stack(np.meshgrid(np.linspace(0.01, 1, 30), np.linspace(0, 1, 40)), -1)
    points = points.reshape(-1, 2)
    wanted = exact(points)
    return np.linalg.norm(entry.predict(points)[:, 0] - wanted) / np.linalg.norm(wanted)


def test_a_wall_that_is_heated_at_once_is_solved(monkeypatch, tmp_path):
    monkeypatch.setattr(clock, "now", Ticking())
    problem = of(flat, HOT)
    entry = pinnzoo.solve(problem, seconds=4, diagnostics=False)
    error = off(entry)
    # Without it, 7e-3 in ten times as long.
    assert error < 1e-4
    assert 0.1 * error < entry.metrics["estimated_error"] < 1e-3
    # It is a part of the network, and so of the file.
    pinnzoo.register_problem(lambda: problem, name="own")
    saved = entry.save(tmp_path / entry.name)
    assert off(pinnzoo.load(saved)) == pytest.approx(error, rel=1e-6)
