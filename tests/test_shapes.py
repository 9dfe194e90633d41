"""Shapes beside oracles: closed forms, set logic, finite differences, the divergence theorem."""

import dataclasses
import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.path import Path

import pinnzoo
from pinnzoo import (
    Ball,
    Box,
    Interval,
    Parameter,
    Polygon,
    Problem,
    Reference,
    dirichlet,
    initial,
    neumann,
    periodic,
    prescribe,
    robin,
)
from pinnzoo.collocation import draw_points
from pinnzoo.domains import SAMPLERS, Product, sample
from pinnzoo.errors import PointsError, UnknownNameError
from pinnzoo.evaluation import evaluate_field
from pinnzoo.pdes import make_problem
from pinnzoo.plots import solution as pictures
from tests.oracles import small_network

SQUARE = Box("xy", (-1.0, -1.0), (1.0, 1.0))
DISC = Ball("xy", (0.5, 0.25), 0.6)
ARROW = Polygon("xy", ((-1, -1), (1, -0.5), (0.2, 0.1), (0.4, 1), (-0.6, 0.4)))
CUBE = Box("xyz", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
ROUND = Ball("xyz", (0.5, 0.5, 1.0), 0.3)


def lens(a, b, distance):
    """Area that two discs have in common."""
    x = (distance**2 + a**2 - b**2) / (2 * distance)
    y = (distance**2 + b**2 - a**2) / (2 * distance)
    half = math.sqrt(a**2 - x**2)
    return a**2 * math.acos(x / a) + b**2 * math.acos(y / b) - distance * half


OTHER = Ball("xy", (-0.2, 0.1), 0.5)
APART = math.dist(DISC.centre, OTHER.centre)
LENS = lens(0.6, 0.5, APART)
HOLES = (
    SQUARE - Ball("xy", (0.5, 0.5), 0.2, name="holes") - Ball("xy", (0.4, -0.4), 0.4, name="holes")
)
L_SHAPE = SQUARE - Box("xy", (0.0, -1.0), (1.0, 0.0))
STACKED = Box("xy", (-1.0, -1.0), (0.0, 0.0)) | Box("xy", (-1.0, 0.0), (1.0, 1.0))

PLANE = {
    "box": (SQUARE, 4.0),
    "disc": (DISC, math.pi * 0.36),
    "polygon": (ARROW, None),
    "lens": (DISC & OTHER, LENS),
    "eight": (DISC | OTHER, math.pi * (0.36 + 0.25) - LENS),
    "crescent": (DISC - OTHER, math.pi * 0.36 - LENS),
    "holes": (HOLES, 4 - math.pi * (0.04 + 0.16)),
    "l_shape": (L_SHAPE, 3.0),
    "stacked": (STACKED, 3.0),
    "annulus": (Ball("xy", (0, 0), 2) - Ball("xy", (0, 0), 1, name="inner"), 3 * math.pi),
    "bitten_arrow": (ARROW - DISC, None),
    "nested": ((SQUARE & Ball("xy", (0, 0), 1.2)) - (ARROW | DISC), None),
}
SPACE = {
    "ball": (ROUND, 4 / 3 * math.pi * 0.027),
    "dented_cube": (CUBE - ROUND, 1 - 2 / 3 * math.pi * 0.027),
    "mushroom": (CUBE | ROUND, 1 + 2 / 3 * math.pi * 0.027),
    "dome": (CUBE & ROUND, 2 / 3 * math.pi * 0.027),
}
SHAPES = PLANE | SPACE


def inside(shape, points):
    """Set logic on closed forms, and the polygons of matplotlib."""
    if isinstance(shape, Box):
        return np.all((points > shape.lower) & (points < shape.upper), axis=1)
    if isinstance(shape, Ball):
        return np.sum((points - shape.centre) ** 2, axis=1) < shape.radius**2
    if isinstance(shape, Polygon):
        return Path(shape.corners).contains_points(points)
    a, b = inside(shape.first, points), inside(shape.second, points)
    return {"union": a | b, "intersection": a & b, "difference": a & ~b}[shape.operation]


def around(shape, n=4000):
    rng = np.random.default_rng(0)
    low, high = np.array(shape.lower), np.array(shape.upper)
    return rng.uniform(low - 0.3, high + 0.3, (n, shape.d))


def gauss(part, n=60):
    """Points, weights and normals of Gauss quadrature over a boundary part in the plane."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    unit = ((nodes + 1) / 2)[:, None]
    points = np.concatenate([p.at(unit) for p in part.patches])
    normals = np.concatenate([p.normal(p.at(unit)) for p in part.patches])
    return points, np.concatenate([p.size * weights / 2 for p in part.patches]), normals


@pytest.mark.parametrize("name", SHAPES)
class TestShape:
    def test_what_lies_inside_is_what_set_logic_says(self, name):
        shape, _ = SHAPES[name]
        points = around(shape)
        away = np.abs(shape.level(points)) > 1e-9
        expected = inside(shape, points)
        np.testing.assert_array_equal(shape.contains(points)[away], expected[away])
        assert 0 < expected.sum() < len(points)

    def test_area_is_the_closed_form_and_the_share_of_random_points(self, name):
        shape, exact = SHAPES[name]
        if exact is not None:
            tolerance = 1e-12 if shape.d == 2 else 5e-3
            np.testing.assert_allclose(shape.measure, exact, rtol=tolerance)
        points = np.random.default_rng(1).uniform(shape.lower, shape.upper, (40_000, shape.d))
        box = np.prod(np.subtract(shape.upper, shape.lower))
        share = inside(shape, points).mean()
        deviation = math.sqrt(share * (1 - share) / len(points))
        assert abs(shape.measure / box - share) < 4 * deviation + 2e-3

    @pytest.mark.parametrize("method", SAMPLERS)
    def test_samples_lie_inside_and_repeat_with_the_seed(self, name, method):
        shape, _ = SHAPES[name]
        points = sample(shape, 300, method, np.random.default_rng(3))
        assert points.shape == (300, shape.d)
        assert (shape.level(points) <= 0).all()
        again = sample(shape, 300, method, np.random.default_rng(3))
        np.testing.assert_array_equal(points, again)
        assert not np.array_equal(points, sample(shape, 300, method, np.random.default_rng(4)))

    def test_points_of_every_part_lie_on_the_boundary_and_normals_point_out(self, name):
        shape, _ = SHAPES[name]
        for part_name in shape.names:
            part = shape.part(part_name)
            points = sample(part, 200, "sobol", np.random.default_rng(0))
            assert np.abs(shape.level(points)).max() < 1e-9
            normals = np.asarray(jax.vmap(part.normal)(jnp.asarray(points)))
            np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, rtol=1e-12)
            step = 1e-6
            assert (shape.level(points - step * normals) < 0).all()
            assert (shape.level(points + step * normals) > 0).all()
            slope = [
                (shape.level(points + step * e) - shape.level(points - step * e)) / (2 * step)
                for e in np.eye(shape.d)
            ]
            # Off the corners, where the distance has no gradient.
            smooth = np.isclose(np.linalg.norm(slope, axis=0), 1, atol=1e-4)
            assert smooth.mean() > 0.95
            np.testing.assert_allclose(np.transpose(slope)[smooth], normals[smooth], atol=1e-4)

    def test_flux_through_the_boundary_is_the_integral_of_the_divergence(self, name):
        shape, _ = SHAPES[name]
        rng = np.random.default_rng(5)
        powers = rng.integers(0, 4, (shape.d, 5, shape.d))
        factors = rng.normal(size=(shape.d, 5))

        def field(z):
            return jnp.stack(
                [
                    sum(c * jnp.prod(z**p) for c, p in zip(cs, ps, strict=True))
                    for cs, ps in zip(factors, powers, strict=True)
                ]
            )

        def divergence(z):
            return jnp.trace(jax.jacfwd(field)(z))

        part = shape.part()
        if shape.d == 2:
            points, weights, normals = gauss(part)
        else:
            points = sample(part, 2**14, "sobol", np.random.default_rng(0))
            weights = np.full(len(points), part.measure * part.fill / len(points))
            normals = jax.vmap(part.normal)(jnp.asarray(points))
        through = np.sum(np.asarray(jax.vmap(field)(jnp.asarray(points))) * normals, axis=1)
        within = sample(shape, 2**15, "sobol", np.random.default_rng(0))
        inner = np.asarray(jax.vmap(divergence)(jnp.asarray(within)))
        assert np.abs(inner).mean() > 0.1
        scale = shape.measure * np.abs(inner).mean()
        np.testing.assert_allclose(
            np.dot(weights, through), shape.measure * inner.mean(), atol=0.01 * scale
        )


@pytest.mark.parametrize("name", PLANE)
def test_constants_have_no_flux_exactly(name):
    _, weights, normals = gauss(PLANE[name][0].part())
    np.testing.assert_allclose(weights @ normals, 0, atol=1e-11)
    assert weights.sum() > 1


def test_edges_that_two_shapes_share_are_inside_of_their_union():
    assert STACKED.contains(np.array([[-0.5, 0.0]])).all()
    assert math.isclose(STACKED.part().measure, 8.0)
    assert math.isclose(L_SHAPE.part().measure, 8.0)
    both = Box("xy", (0, 0), (1, 1)) | Box("xy", (0, 0), (1, 1))
    assert math.isclose(both.part().measure, 4.0)
    assert both.measure == 1


def test_polygons_agree_with_shapely():
    geometry = pytest.importorskip("shapely")
    theirs = geometry.Polygon(ARROW.corners)
    assert math.isclose(theirs.area, ARROW.measure)
    assert math.isclose(theirs.length, ARROW.part().measure)
    points = around(ARROW)
    np.testing.assert_array_equal(
        ARROW.contains(points), geometry.contains_xy(theirs, points[:, 0], points[:, 1])
    )


def test_polygon_is_counterclockwise_and_its_edges_keep_their_names():
    corners = ((0, 0), (0, 1), (1, 0), (0, 0))
    polygon = Polygon("xy", corners, edges=("wall", "slope", "floor"))
    assert polygon.measure == 0.5
    floor = polygon.part("floor")
    np.testing.assert_array_equal(floor.normal(jnp.array([0.3, 0.0])), [0.0, -1.0])
    np.testing.assert_array_equal(polygon.part("wall").normal(jnp.array([0.0, 0.5])), [-1.0, 0.0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ball("xy", (0, 0), 0.0),
        lambda: Ball("xy", (0, 0, 0), 1.0),
        lambda: Ball("tx", (0, 0), 1.0),
        lambda: Polygon("xy", ((0, 0), (1, 1), (1, 0), (0, 1))),
        lambda: Polygon("xy", ((0, 0), (1, 0))),
        lambda: Polygon("xy", ((0, 0), (1, 0), (2, 0))),
        lambda: Polygon("xy", ((0, 0), (1, 0), (1, 1)), edges=("a",)),
        lambda: SQUARE - Ball("xy", (0, 0), 9.0),
        lambda: SQUARE & Ball("xy", (5, 5), 1.0),
        lambda: SQUARE - CUBE,
        lambda: DISC * Interval("t", 0, 1),
        lambda: DISC * DISC,
        lambda: DISC.face("x", 0.5),
        lambda: DISC.boundary("x"),
        lambda: DISC.within("x", 0.4, 0.5),
        lambda: DISC.grid((3,)),
        lambda: Parameter("n", 0.0, 1.0, "log"),
        lambda: Parameter("n", 1.0, 0.0),
        lambda: Box("tx", (0, 0), (1, 1)).part("x_left"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(make):
    with pytest.raises(PointsError):
        make()


def test_names_that_do_not_exist_are_refused():
    for wrong in (
        lambda: HOLES.part("hole"),
        lambda: dirichlet(HOLES, "u", "ball"),
        lambda: neumann(Interval("t", 0, 1) * HOLES, "u", "ball"),
        lambda: Parameter("n", 1.0, 2.0, "cubic"),
    ):
        with pytest.raises(UnknownNameError):
            wrong()


@pytest.mark.parametrize("method", SAMPLERS)
def test_boxes_are_sampled_bit_by_bit_as_ever(method):
    box = Box("txy", (0.0, -1.0, 2.0), (1.0, 3.0, 2.5)).face("x", 0.3)
    unit = SAMPLERS[method](2, 57, np.random.default_rng([3, 1]))
    expected = np.stack(
        [0.0 + (1.0 - 0.0) * unit[:, 0], np.full(57, 0.3), 2.0 + (2.5 - 2.0) * unit[:, 1]], axis=1
    )
    drawn = sample(box, 57, method, np.random.default_rng([3, 1]))
    np.testing.assert_array_equal(drawn, expected)


def test_products_of_boxes_are_boxes():
    product = Interval("t", 0, 2) * Box("xy", (-1, 0), (1, 3))
    assert product == Box("txy", (0, -1, 0), (2, 1, 3))
    left: Any = product.part("x_left")
    assert left.normal(jnp.array([0.5, -1.0, 2.0])).tolist() == [0, -1, 0]


class TestProduct:
    domain = Interval("t", 0.0, 2.0) * HOLES * Parameter("k", 0.1, 10.0, "log")

    def test_points_of_all_parts_lie_where_they_should(self):
        rng = np.random.default_rng(0)
        assert self.domain.coords == "txyk"
        assert self.domain.contains(sample(self.domain, 500, "sobol", rng)).all()
        start = sample(self.domain.face("t", 0.0), 100, "sobol", rng)
        assert (start[:, 0] == 0).all()
        wall: Any = self.domain.part("holes")
        points = sample(wall, 256, "sobol", rng)
        assert np.abs(HOLES.level(points[:, 1:3])).max() < 1e-12
        normals = np.asarray(jax.vmap(wall.normal)(jnp.asarray(points)))
        np.testing.assert_array_equal(normals[:, [0, 3]], 0)
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)

    def test_logarithmic_parameters_are_drawn_and_shown_evenly(self):
        k = sample(self.domain, 1024, "sobol", np.random.default_rng(0))[:, 3]
        assert abs(np.mean(k < 1) - 0.5) < 0.05
        seen = self.domain.extended(jnp.array([1.0, 0.0, 0.0, 1.0]))
        np.testing.assert_allclose(seen, [1.0, 0.0, 0.0, 5.05])
        grid = self.domain.grid((2, 5, 5, 3))
        np.testing.assert_allclose(np.unique(grid[:, 3]), [0.1, 1.0, 10.0])

    def test_windows_of_time_keep_the_shape(self):
        window = self.domain.within("t", 0.5, 1.0)
        assert isinstance(window, Product)
        assert window.bounds("t") == (0.5, 1.0)
        assert window.coords == "txyk"
        assert self.domain.face("t", 0.0).within("t", 0.5, 1.0) is None

    def test_weights_of_the_grid_are_a_mean_over_the_domain(self):
        shape = (3, 41, 41, 3)
        points, weights = self.domain.grid(shape), self.domain.grid_weights(shape)
        assert len(points) == len(weights)
        np.testing.assert_allclose(weights.sum(), 1)
        np.testing.assert_allclose(weights @ points[:, 0], 1.0)


def rod(domain):
    """Heat in a plate with a hole, where `u = t + x² + y²`."""

    def equation(u, z):
        u_t, u_xx, u_yy = u(z, "u_t u_xx u_yy")
        return u_t - (u_xx + u_yy) / 4

    def solution(z):
        return (z[0] + z[1] ** 2 + z[2] ** 2)[None]

    hole = domain.part("ball")

    def slope(z):
        return jnp.dot(2 * z[1:], hole.normal(z)[1:])

    return Problem(
        name="plate",
        domain=domain,
        components=("u",),
        equation=equation,
        conditions=(
            initial(domain, "u", lambda x, y: x**2 + y**2),
            dirichlet(domain, "u", "box", value=lambda z: solution(z)[0]),
            neumann(domain, "u", "ball", value=slope),
            robin(
                domain,
                "u",
                "ball",
                alpha=2.0,
                beta=lambda z: z[0],
                value=lambda z: 2 * solution(z)[0] + z[0] * slope(z),
            ),
        ),
        reference=Reference(solution, "closed form"),
        evaluation_shape=(5, 21, 21),
    )


class TestProblemOnAShape:
    domain = Interval("t", 0.0, 1.0) * (SQUARE - Ball("xy", (0.2, 0.1), 0.4))

    def test_solution_meets_all_conditions_and_another_function_does_not(self):
        problem = rod(self.domain)
        assert problem.reference is not None
        exact = problem.field(problem.reference.function)
        other = problem.field(lambda z: (z[0] + z[1] ** 3 + z[2])[None])
        for name, term in problem.terms.items():
            points = jnp.asarray(sample(term.region, 50, "uniform", np.random.default_rng(0)))
            left = jax.vmap(lambda z, r=term.residual: r(exact, z))(points)
            assert np.abs(left).max() < 1e-12, name
            wrong = jax.vmap(lambda z, r=term.residual: r(other, z))(points)
            assert np.abs(wrong).max() > 0.1, name

    def test_training_evaluation_windows_and_storage_work(self):
        problem = rod(self.domain)
        phases = (
            pinnzoo.Phase("lm", 20),
            pinnzoo.Phase("lm", 6, resample_every=2, adaptive=True),
        )
        recipe = pinnzoo.Recipe(
            "plate",
            "mlp",
            phases,
            architecture_arguments={"width": 8, "depth": 1},
            points={"equation": 60, "conditions": 20},
        )
        entry = pinnzoo.train(recipe, problem=problem, diagnostics=False)
        assert entry.metrics["relative_l2_error"] < 0.4
        points = problem.evaluation_points()
        assert len(points) < 5 * 21 * 21
        assert np.isfinite(entry.residual(points)).all()
        with pytest.raises(PointsError, match="outside"):
            entry.predict([[0.5, 0.2, 0.1]])
        window = problem.between(0.25, 0.5, None)
        drawn = draw_points(window, {"equation": 30}, "sobol", 0, 0)
        assert set(drawn) == {"equation", *(c.name for c in window.conditions)}
        assert all(window.domain.contains(p, 1e-9).all() for p in drawn.values())

    def test_pictures_leave_white_what_lies_outside(self):
        problem = rod(self.domain)
        points, _, inside, where = pictures._map_points(problem, pictures._shown(problem))
        assert inside.shape == (pictures.MAP_POINTS, pictures.MAP_POINTS)
        assert len(points) == inside.sum()
        np.testing.assert_allclose(inside.mean(), 1 - 0.16 * math.pi / 4, atol=0.01)
        assert (points[:, 0] == 1).all()
        assert where == ", $t = 1$"
        family = make_problem("burgers_viscosities", {})
        points, _, inside, where = pictures._map_points(family, pictures._shown(family))
        assert inside.all()
        np.testing.assert_allclose(points[:, 2], math.sqrt(0.1 * 0.01 / math.pi))
        assert pictures._shown(family) == "tx"

    def test_point_of_the_card_lies_in_the_domain(self):
        assert self.domain.contains(self.domain.some_point()[None]).all()
        ring = Ball("xy", (0, 0), 2) - Ball("xy", (0, 0), 1.9)
        assert ring.contains(ring.some_point()[None]).all()


def test_errors_over_a_parameter_are_those_of_the_network_at_each_value():
    problem = make_problem("heat_diffusivities", {})
    assert problem.reference is not None
    function = problem.reference.function
    scaled = dataclasses.replace(problem, evaluation_shape=(5, 11, 4))
    figures = evaluate_field(scaled, lambda z: function(z) * (1 + z[2]))
    block = figures["parameter_errors"]
    values = np.array(block["values"])[:, 0]
    np.testing.assert_allclose(values, [0.01, 0.1 ** (4 / 3), 0.1 ** (2 / 3), 1.0])
    np.testing.assert_allclose(block["errors"], values)
    assert (block["worst"], block["parameters"]) == (max(block["errors"]), ["k"])
    np.testing.assert_allclose(block["mean"], np.mean(values))


def test_values_of_a_parameter_without_a_solution_have_no_relative_error():
    problem = make_problem("heat_diffusivities", {})
    assert problem.reference is not None
    function = problem.reference.function
    least = float(problem.domain.lower[2])
    loads = dataclasses.replace(
        problem.reference, function=lambda z: 1e4 * (z[2] > 1.01 * least) * function(z)
    )
    scaled = dataclasses.replace(problem, evaluation_shape=(5, 11, 4), reference=loads)
    assert scaled.reference is not None
    solution = scaled.reference.function
    block = evaluate_field(scaled, lambda z: solution(z) * 1.001 + 5)["parameter_errors"]
    assert len(block["values"]) == len(block["errors"]) == 3
    assert block["worst"] < 1


def test_network_of_a_parameter_sees_its_logarithm():
    problem = make_problem("heat_diffusivities", {})
    network = small_network(problem)
    z = jnp.array([0.3, 0.4, 0.1])
    seen = problem.domain.extended(z)
    np.testing.assert_allclose(seen[2], 0.01 + 0.99 / 2)
    np.testing.assert_array_equal(problem.constrain(network)(z), network(seen))  # pyright: ignore


def test_an_edge_that_a_difference_takes_away_is_no_part_of_it():
    """The box that is taken away shares two edges and a corner with the square."""
    gone = np.array([[0.5, -1.0], [1.0, -0.5], [1.0, -1.0]])
    left = np.array([[0.0, -1.0], [1.0, 0.0], [0.0, 0.0], [0.0, -0.5], [0.5, 0.0], [-1.0, -1.0]])
    assert not L_SHAPE.contains(gone).any()
    assert L_SHAPE.contains(left).all()
    assert len(L_SHAPE.grid((5, 5))) == 25 - 4


def _normals(part, n=200):
    points = sample(part, n, "uniform", np.random.default_rng(0))
    return np.asarray(jax.vmap(part.normal)(points))


@pytest.mark.parametrize(
    "domain",
    [
        Box("txy", (0, 0, 0), (1, 1, 1)) * Parameter("n", 0.1, 1.0),
        Box("xy", (0, 0), (1, 1)) * Parameter("n", 0.1, 1.0),
        Interval("t", 0, 1) * Box("xy", (0, 0), (1, 1)) * Parameter("n", 0.1, 1.0),
        Box("txy", (0, 0, 0), (1, 1, 1)),
    ],
)
def test_normals_of_named_faces_are_units_whatever_the_product(domain):
    found = _normals(domain.part("x_left"))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    np.testing.assert_allclose(found[:, domain.coords.index("x")], -1)


def test_whole_boundary_of_a_cylinder_is_asked_for_by_its_parts():
    disc, height = Ball("xy", (0, 0), 1.0), Interval("z", 0, 1)
    for cylinder in (disc * height, height * disc):
        with pytest.raises(PointsError, match=r"'ball'.*face.*'z'"):
            cylinder.part()
        assert cylinder.part("ball").measure == pytest.approx(2 * np.pi)


def test_face_that_another_shape_only_touches_from_inside_is_boundary():
    first = Box("xyz", (0, 0, 0), (1, 1, 1)) - Box("xyz", (0.5, 0.2, 0.2), (1, 0.8, 0.8))
    shape = first | Box("xyz", (1, 0.3, 0.3), (2, 0.7, 0.7))
    points = sample(shape.part(), 20_000, "uniform", np.random.default_rng(0))
    exposed = np.all(np.abs(points - (1, 0.5, 0.5)) <= (1e-9, 0.2, 0.2), axis=1)
    # Its area is 0.16 of some 9.
    assert 100 < exposed.sum() < 800


def test_shapes_far_from_the_origin_are_cut_where_their_boundaries_meet():
    at = 5e6
    corners = ((at, at + 0.75), (at + 0.375, at + 0.25), (at + 0.375, at + 0.5))
    shape = Polygon("xy", corners) | Ball("xy", (at, at + 0.625), 0.125)
    near = Polygon("xy", tuple((x - at, y - at) for x, y in corners))
    expected = (near | Ball("xy", (0, 0.625), 0.125)).measure
    assert shape.measure == pytest.approx(expected, rel=0.1)
    points = sample(shape, 500, "uniform", np.random.default_rng(0))
    assert shape.contains(points).all()


@pytest.mark.parametrize("unit", [1e-15, 1e-6, 1.0, 1e6])
def test_slack_is_in_proportion_to_the_domain(unit):
    box = Box("tx", (0, 0), (unit, unit))
    assert box.contains(np.array([[unit, unit]])).all()
    assert not box.contains(np.array([[1.001 * unit, 0.0]])).any()
    holed = Box("xy", (0, 0), (unit, unit)) - Ball("xy", (unit / 2, unit / 2), unit / 4)
    inside = holed.contains(np.array([[0.5, 0.5], [0.1, 0.1]]) * unit)
    assert inside.tolist() == [False, True]


def test_thin_shapes_are_judged_at_scattered_points():
    ring = Ball("xy", (0, 0), 1.0) - Ball("xy", (0, 0), 0.99)
    problem = Problem(
        name="ring",
        domain=ring,
        components=("u",),
        equation=lambda u, z: u(z, "u_xx")[0] + u(z, "u_yy")[0],
        conditions=(prescribe(ring.part(), "u", 0.0, "edge"),),
    )
    assert problem.scattered
    assert len(problem.evaluation_points(4)) > 10_000


@pytest.mark.parametrize(
    ("shape", "name", "area"),
    [
        (Box("xyz", (0, 0, -1), (1, 1, 1)) & Box("xyz", (-100,) * 3, (100, 100, 0)), "z_right", 1),
        (CUBE - Box("xyz", (-1, -1, -1), (2, 2, 0.9999)), "x_left", None),
        (Box("xyz", (0, 0, 0), (100, 100, 0.1)) & Ball("xyz", (50, 50, 0), 0.5), "z_left", 0.785),
        (Ball("xyz", (0, 0, 0), 100) - Box("xyz", (-0.5, -0.5, 0), (0.5, 0.5, 99)), "x_right", 99),
        (CUBE - Ball("xyz", (0.5, 0.5, -99.5), 100, name="floor"), "floor", 1),
        (
            Ball("xyz", (0, 0, 99.9), 0.5) - Ball("xyz", (0, 0, 0), 100, name="floor"),
            "floor",
            0.75398,
        ),
    ],
)
def test_faces_of_which_a_small_share_is_left_are_boundary(shape, name, area):
    part = shape.part(name)
    points = sample(part, 100, "uniform", np.random.default_rng(0))
    assert np.abs(shape.level(points)).max() < 1e-9
    if area is not None:  # The share of the thinnest one is not known to many digits.
        assert part.measure * part.fill == pytest.approx(area, rel=0.1)


@pytest.mark.parametrize("d", [3, 4, 5])
def test_points_of_a_cap_are_those_of_the_sphere_that_lie_there(d):
    """Along the pole of a cap, and across it, as far as the sphere's own points say."""
    ball = Ball("xyzab"[:d], (0.0,) * d, 2.0)
    sphere: Any = ball.patches[0]
    pole = np.arange(1.0, d + 1) / np.linalg.norm(np.arange(1.0, d + 1))
    near = pole * 2
    cap = sphere.clipped(tuple(near - 0.5), tuple(near + 0.5))
    unit = np.random.default_rng(0).random((400_000, d))
    whole, own = sphere.at(unit), cap.at(unit[:40_000])
    there = whole[whole @ pole / 2 >= 1 - cap.height]
    assert cap.size / sphere.size == pytest.approx(len(there) / len(whole), rel=0.1)
    np.testing.assert_allclose(np.linalg.norm(own, axis=1), 2)
    np.testing.assert_allclose(own.mean(0), there.mean(0), atol=0.03)
    np.testing.assert_allclose(np.cov(own.T), np.cov(there.T), atol=0.03)


def test_a_part_is_bounded_by_what_is_left_of_it():
    shape = CUBE - Ball("xyz", (0, 0, 0), 0.5)
    part = shape.part("ball")
    assert np.min(part.lower) >= 0
    assert np.max(part.upper) <= 0.5
    conditions = (dirichlet(shape, "u", "ball"),)
    equation = lambda u, z: u(z, "u_xx")[0]  # noqa: E731
    Problem(
        name="corner", domain=shape, components=("u",), equation=equation, conditions=conditions
    )


ONTO = CUBE - Box("xyz", (0.5, 0, 0), (1, 0.5, 1)) | Box("xyz", (1, 0, 0), (2, 0.75, 1))
"""Faces at x = 1 that look to the right and to the left lie on each other."""
LIDDED = (Ball("xyz", (0, 0, 0), 2) - Ball("xyz", (0, 0, 0), 1)) & Box(
    "xyz", (-2, -2, -2), (2, 2, 0)
) | Ball("xyz", (0, 0, 0), 1) & Box("xyz", (-2, -2, 0), (2, 2, 2))
"""Below z = 0 a shell from radius 1 to 2, above it a ball of radius 1."""


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("shape", [ONTO, LIDDED])
def test_normals_point_out_where_faces_lie_on_each_other(shape, dtype):
    part = shape.part()
    points = sample(part, 2000, "uniform", np.random.default_rng(0))
    step = 1e-4 * np.asarray(jax.jit(jax.vmap(part.normal))(jnp.asarray(points, dtype)))
    # Closer than that to an edge, a step comes out at the other side of it.
    away = np.min(np.abs(np.linalg.norm(points, axis=1)[:, None] - [1, 2]), axis=1) > 1e-3
    inner = np.abs(points[:, 2]) > 1e-3
    keep = np.ones(len(points), bool) if shape is ONTO else inner | away
    assert (shape.level(points + step)[keep] > 0).mean() > 0.995
    assert (shape.level(points - step)[keep] < 0).mean() > 0.995


@pytest.mark.parametrize(
    ("domain", "coord"),
    [
        (Interval("x", 0, 1) * Parameter("k", 1, 2), "x"),
        (Ball("xy", (0, 0), 1) * Interval("z", 0, 1), "z"),
        (Interval("t", 0, 1) * Ball("xy", (0, 0), 1) * Interval("z", 0, 1), "z"),
    ],
)
@pytest.mark.parametrize("sides", [("left", "right"), ("right",)])
def test_ends_of_a_line_are_the_boundary_of_a_product(domain, coord, sides):
    region = domain.boundary(coord, sides)
    points = sample(region, 100, "sobol", np.random.default_rng(0))
    assert domain.contains(points).all()
    ends, counts = np.unique(points[:, domain.coords.index(coord)], return_counts=True)
    assert ends.tolist() == [0, 1][-len(sides) :]
    assert counts.min() >= 100 / len(sides) - 15
    others = np.delete(points, domain.coords.index(coord), axis=1)
    assert len(np.unique(others[:, 0])) == 100


@pytest.mark.parametrize("combine", [operator.sub, operator.or_, operator.and_])
def test_a_product_is_not_combined_further(combine):
    cylinder, ball = Ball("xy", (0, 0), 1.0) * Interval("z", 0, 2), Ball("xyz", (0, 0, 1), 0.5)
    for pair in ((cylinder, ball), (ball, cylinder)):
        with pytest.raises(PointsError, match=r"'xyz' .* multiply last"):
            combine(*pair)


def test_the_ends_of_a_line_are_no_surface():
    line = Box("x", (0.0,), (1.0,))
    with pytest.raises(PointsError, match=r"2 single points was given.*box\.face\('x', 0\)"):
        line.boundary("x")
    with pytest.raises(PointsError, match="the boundary part of all faces of a box"):
        line.part()


def pierced(d):
    """A box of sides 2 with a ball taken out of the middle, and one of each corner."""
    coords = "xyz"[:d]
    shape = Box(coords, (-1.0,) * d, (1.0,) * d) - Ball(coords, (0.0,) * d, 0.4)
    for corner in np.ndindex(*(2,) * d):
        shape = shape - Ball(coords, tuple(2.0 * np.array(corner) - 1), 0.5)
    return shape


@pytest.mark.parametrize("coords", ["x", "y", "xy"])
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("timed", [False, True])
def test_a_pierced_box_has_periods_where_it_is_flat(coords, d, timed):
    cell: Any = pierced(d)
    domain = Interval("t", 0.0, 2.0) * cell if timed else cell
    condition = periodic(domain, "u", coords)
    points = sample(condition.region, 2000, "sobol", np.random.default_rng(0))
    at_bound = points[:, [domain.axis(c) for c in coords]] == -1.0
    assert at_bound.any(axis=1).all()
    # Neither in the corners, which are taken out, nor in a part of the faces alone.
    assert domain.contains(points).all()
    middle = points[:, -1] if coords != "y" or d == 3 else points[:, -2]
    assert np.abs(np.mean(middle[np.abs(middle) < 0.5])) < 0.1
    z = jnp.asarray(points)

    def missed(function):
        problem = Problem(
            name="cell",
            domain=domain,
            components=("u",),
            equation=lambda u, z: u(z, "u_xx")[0],
            conditions=(condition,),
        )
        field = problem.field(lambda z: jnp.atleast_1d(function(z)))
        return np.abs(jax.vmap(lambda z: condition.residual(field, z))(z))

    places = [domain.axis(c) for c in coords]
    assert missed(lambda z: jnp.sum(jnp.cos(jnp.pi * z) + z**2)).max() < 1e-12
    assert missed(lambda z: jnp.sum(jnp.sin(0.5 * z[jnp.array(places)]))).min() > 0.9


@pytest.mark.parametrize(
    "shape",
    [
        DISC,
        ARROW,
        SQUARE - Ball("xy", (-1.0, 0.0), 0.3),
        SQUARE - Ball("xy", (1.0, 0.0), 0.3),
        CUBE - Ball("xyz", (0.0, 0.5, 0.5), 0.3),
    ],
)
def test_a_shape_that_differs_on_opposite_faces_has_no_period(shape):
    with pytest.raises(PointsError, match="flat there, and the same at both"):
        periodic(shape, "u", "x")
    with pytest.raises(UnknownNameError):
        periodic(shape, "u", "q")
