"""What a user builds a problem from, with objects that the package has never heard of."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnzoo
from pinnzoo import (
    Box,
    Condition,
    Field,
    Problem,
    Reference,
    constant_along,
    dirichlet,
    initial,
    neumann,
    periodic,
    prescribe,
)
from pinnzoo.errors import PinnzooError, PointsError, RecipeError, UnknownNameError
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.pdes.orders import time_orders

DOMAIN = Box("txy", (0, -1, 0), (2, 1, 3))


def equation(u, z):
    u_t, u_xx = u(z, "u_t u_xx")
    return u_t - u_xx


def problem(**changes):
    given = {"name": "my_rod", "domain": DOMAIN, "components": ("u", "v"), "equation": equation}
    return Problem(**given | changes)


def test_every_public_name_is_there_and_loads():
    for name in pinnzoo.__all__:
        assert getattr(pinnzoo, name) is not None, name
    assert pinnzoo.Problem.__module__ == "pinnzoo.pdes.problem"
    assert set(pinnzoo._HOMES) <= set(pinnzoo.__all__)


def test_a_problem_needs_no_more_than_an_equation():
    mine = problem()
    assert mine.reference is None
    assert mine.title == "My rod"
    assert mine.evaluation_shape == (41, 41, 41)
    assert len(mine.evaluation_points(20)) == 27
    one = Problem(name="line", domain=Box("x", (0,), (1,)), components="u", equation=equation)  # pyright: ignore
    assert (one.components, one.evaluation_shape) == (("u",), (2001,))
    assert mine != problem()
    assert len({mine, problem()}) == 2


def test_conditions_on_all_sides_and_components_keep_their_names_apart():
    conditions = [
        kind(DOMAIN, component, coord, side)
        for kind in (dirichlet, neumann)
        for component in ("u", "v")
        for coord in "xy"
        for side in ("left", "right")
    ]
    conditions += [initial(DOMAIN, c, 0.0) for c in ("u", "v", "u_t", "v_t")]
    conditions += [periodic(DOMAIN, c, s) for c in ("u", "u_x") for s in ("x", "y", "xy")]
    assert len(problem(conditions=conditions).terms) == 1 + len(conditions)
    assert {"dirichlet_u_x_left", "neumann_v_y_right", "initial_u_t", "periodic_u_x"} <= set(
        problem(conditions=conditions).terms
    )


@pytest.mark.parametrize("name", ["equation", "wall", "second"])
def test_two_terms_of_one_name_are_refused(name):
    wall = prescribe(DOMAIN.boundary("x"), "u", 0.0, "wall")
    other = prescribe(DOMAIN.boundary("y"), "u", 0.0, name)
    second = Condition("second", equation, DOMAIN)
    with pytest.raises(RecipeError, match=f"more than one term named '{name}'"):
        problem(conditions=(wall, other), system=(second,))


@pytest.mark.parametrize(("side", "sign"), [("left", -1), ("right", 1)])
@pytest.mark.parametrize("coord", ["x", "y"])
def test_neumann_prescribes_the_derivative_along_the_outward_normal(coord, side, sign):
    condition = neumann(DOMAIN, "v", coord, side, lambda z: z[0])
    field = Field(lambda z: jnp.stack([z[0], 5 * z[1] - 7 * z[2]]), ("u", "v"), "txy")
    z = jnp.asarray(condition.region.lower)
    bound = DOMAIN.bounds(coord)[sign > 0]
    assert float(z[DOMAIN.axis(coord)]) == bound
    expected = sign * {"x": 5, "y": -7}[coord] - float(z[0])
    np.testing.assert_allclose(float(condition.residual(field, z)), expected)


def test_what_does_not_exist_is_refused_when_it_is_written():
    for wrong in (
        lambda: dirichlet(DOMAIN, "u", "x", "top"),
        lambda: neumann(DOMAIN, "u", "z", "left"),
        lambda: initial(DOMAIN, "u_z", 0.0),
        lambda: initial(Box("xy", (0, 0), (1, 1)), "u", 0.0),
        lambda: periodic(DOMAIN, "u", "xz"),
        lambda: periodic(DOMAIN, "u", ""),
        lambda: dirichlet(DOMAIN, "u v", "x", "left"),
        lambda: problem(conditions=(dirichlet(DOMAIN, "w", "x", "left"),)),
        lambda: problem(conditions=(prescribe(DOMAIN, "u_", 0.0, "a"),)),
    ):
        with pytest.raises(UnknownNameError) as caught:
            wrong()
        assert "\n" not in str(caught.value)
    for changes in (
        {"components": ("u", "u")},
        {"components": ()},
        {"components": ("u_1",)},
        {"evaluation_shape": (3, 3)},
        {"evaluation_shape": (3, 1, 3)},
    ):
        with pytest.raises(RecipeError, match="my_rod"):
            problem(**changes)
    for box in (("xx", (0, 0), (1, 1)), ("x1", (0, 0), (1, 1)), ("x", (0,), (np.nan,))):
        with pytest.raises(PointsError):
            Box(*box)


class TestPoints:
    inside = np.array([[0.5, -0.5, 2.5], [1.5, 0.5, 0.5]])

    def test_points_outside_are_refused_where_that_is_asked_for(self):
        mine = problem()
        np.testing.assert_array_equal(mine.check_points(self.inside, inside=True), self.inside)
        outside = np.concatenate([self.inside, [[0.0, 0.0, 3.1], [0.0, -2.0, 0.0]]])
        assert len(mine.check_points(outside)) == 4
        with pytest.raises(PointsError, match=r"2 of 4 points .* x ∈ \[-1, 1\].* row 2, \(0, 0, 3"):
            mine.check_points(outside, inside=True)

    def test_columns_in_another_order_are_recognized(self):
        with pytest.raises(PointsError, match=r"if the columns are \(y, x, t\)"):
            problem().check_points(self.inside[:, ::-1], inside=True)

    def test_bounds_in_single_precision_are_inside(self):
        points = np.array([[0.0, 0.0], [1.0, 2 * np.pi]], np.float32)
        assert float(points[1, 1]) > 2 * np.pi
        assert len(make_problem("convection", {}).check_points(points, inside=True)) == 2

    def test_named_columns_may_have_any_order(self):
        columns = dict(zip("txy", self.inside.T, strict=True))
        swapped = {name: columns[name] for name in "yxt"}
        record = np.zeros(2, dtype=[(name, float) for name in "yxt"])
        for name in "yxt":
            record[name] = columns[name]

        class Frame(dict):
            columns = ("y", "x", "t")

        for given in (swapped, record, Frame(swapped), {k: list(v) for k, v in swapped.items()}):
            np.testing.assert_array_equal(problem().check_points(given), self.inside)

    def test_names_that_do_not_match_masks_and_imaginary_parts_are_refused(self):
        columns = dict(zip("txy", self.inside.T, strict=True))
        for wrong, words in (
            ({"t": [0.0], "x": [0.0]}, "columns 't', 'x'"),
            (columns | {"z": [0.0, 0.0]}, "'z'"),
            (columns | {"t": [0.0]}, "shapes"),
            (columns | {"t": np.ma.masked_array([0.0, 1.0], [True, False])}, "masked"),
            (np.ma.masked_array(self.inside, self.inside < 0), "masked"),
            (self.inside + 1j, "real numbers"),
        ):
            with pytest.raises(PointsError, match=words):
                problem().check_points(wrong)
        np.testing.assert_array_equal(problem().check_points(self.inside + 0j), self.inside)
        whole = np.ma.masked_array(self.inside, False)
        np.testing.assert_array_equal(problem().check_points(whole), self.inside)


class TestMakeProblem:
    def test_equal_arguments_give_the_same_object(self):
        assert make_problem("heat", {}) is make_problem("heat", {"diffusivity": 0.25})
        assert make_problem("heat", {}) is make_problem("heat", {"diffusivity": np.float64(0.25)})
        assert make_problem("heat", {}) is not make_problem("heat", {"diffusivity": 0.5})
        make_problem("heat", {"diffusivity": 1.0})
        with pytest.raises(RecipeError):
            make_problem("heat", {"diffusivity": True})

    def test_an_edited_factory_is_a_new_problem(self, monkeypatch):
        def factory(speed=1.0, *, title):
            return problem(title=title)

        made = []
        for title in ("first", "second"):
            monkeypatch.setitem(PROBLEMS, "mine", functools.partial(factory, title=title))
            made.append(make_problem("mine", {}))
        assert [p.title for p in made] == ["first", "second"]

    def test_arguments_are_noted_where_the_factory_does_not(self, monkeypatch):
        def factory(speed=1.0, mode="slow"):
            return problem()

        monkeypatch.setitem(PROBLEMS, "mine", factory)
        made = make_problem("mine", {"speed": np.float32(2.0)})  # pyright: ignore
        assert made.arguments == {"speed": 2.0, "mode": "slow"}
        assert type(made.arguments["speed"]) is float
        assert set(made.arguments) == set(inspect.signature(factory).parameters)
        with pytest.raises(PinnzooError, match="speed, mode"):
            make_problem("mine", {"spead": 1.0})


def test_a_reference_that_vanishes_has_no_relative_error():
    nothing = Reference(jnp.zeros_like, "zero")
    with pytest.raises(PointsError, match="zero"):
        nothing.certified_error(np.ones((3, 2)))


def _field_in_time(t_from, t_to):
    domain = Box("tx", (t_from, 0), (t_to, 1))
    return Problem(
        name="still",
        domain=domain,
        components=("u", "a"),
        equation=lambda u, z: u(z, "u_t")[0] - u(z, "a")[0] * u(z, "u_xx")[0],
        conditions=(initial(domain, "u", 0.0),),
        symmetry=constant_along(0, [1]),
    )


def test_what_is_constant_in_time_is_taken_from_inside_of_the_domain():
    def network(z):
        return jnp.stack([z[0], z[0] + z[1]])

    for times, expected in (((0.0, 4.0), 0.0), ((2020.0, 2024.0), 2022.0), ((-3.0, -1.0), -2.0)):
        problem = _field_in_time(*times)
        whole = problem.constrain(network)
        z = jnp.array([times[1], 0.25])
        np.testing.assert_allclose(whole(z), [times[1], expected + 0.25])
        # A window of time has the same place as all others.
        window = problem.between(times[1] - 0.5, times[1], None)
        np.testing.assert_allclose(window.constrain(network)(z), whole(z))


@pytest.mark.parametrize(
    ("equation", "order"),
    [
        (
            lambda u, z: sum(jnp.diag(jax.hessian(lambda y: u(y, "u")[0])(z)) * jnp.array([1, -1])),
            2,
        ),
        (lambda u, z: jax.grad(lambda y: 2 * u(y, "u_t")[0])(z)[0] - u(z, "u_xx")[0], 2),
        (lambda u, z: u(z, "u_t")[0] - jax.grad(lambda y: u(y, "u_x")[0] ** 3)(z)[1], 1),
        (lambda u, z: jax.grad(lambda y: u(y, "u_tt")[0])(z)[0] - u(z, "u")[0], 3),
    ],
)
def test_derivatives_in_time_are_seen_however_they_are_taken(equation, order):
    domain = Box("tx", (0, 0), (1, 1))
    problem = Problem(
        name="flux",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(initial(domain, "u", 0.0),),
    )
    assert time_orders(problem) == {"u": order}
    window = problem.between(0.5, 1.0, lambda z: z[:1])
    joins = ["join_u", "join_u_t", "join_u_tt"][:order]
    assert [name for name in window.terms if name.startswith("join")] == joins


def test_points_in_whole_numbers_are_points():
    domain = Box("xy", (0, 0), (1, 1))
    problem = Problem(
        name="pinned",
        domain=domain,
        components=("p",),
        equation=lambda u, z: u(z, "p_xx")[0] + u(jnp.array([0, 0]), "p_x")[0],
        conditions=(),
    )
    field = problem.field(lambda z: jnp.sin(z).sum(keepdims=True))
    np.testing.assert_allclose(problem.equation(field, jnp.array([0.5, 0.5])), 1 - np.sin(0.5))


def test_a_component_with_the_name_of_a_coordinate_is_refused():
    domain = Box("tx", (0, 0), (1, 1))
    with pytest.raises(RecipeError, match="component 'x', which is one of its coordinates"):
        Problem(name="clash", domain=domain, components=("x",), equation=lambda u, z: u(z, "x")[0])
