"""Claims that hold for every problem of the table, and the checks of single solutions."""

import dataclasses
import inspect
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo import evaluate_function
from pinnzoo.collocation import draw_points
from pinnzoo.derivatives import Field
from pinnzoo.diagnostics.points import NTK_ROWS, ntk_counts
from pinnzoo.domains import Box, Part, Product, Surface, sample
from pinnzoo.errors import PinnzooError, PointsError, PrecisionError, RecipeError, UnknownNameError
from pinnzoo.evaluation import require_reference
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.pdes.poisson_2d_cg import in_corners
from pinnzoo.references import cole_hopf
from tests.oracles import burgers_bessel, burgers_integral, small_network

HARD = [name for name in PROBLEMS if "constraints" in inspect.signature(PROBLEMS[name]).parameters]


POSITIONS = ("x1", "x2")
"""Arguments that may have either sign."""

LIMITED = {
    "allen_cahn": (1e-10, 1e-9, 1e-9),
    "schrodinger": (1e-4, 1e-5, 1e-5),
    "cylinder_wake": (1e-2, 1e-12, 3e-4),
    "cylinder_wake_inverse": (1e-2, 1e-12, 3e-4),
    "poisson_2d_cg": (1e-10, 1e-10, 1e-9),
    "allen_cahn_2d": (1e-10, 1e-11, 1e-9),
    "ginzburg_landau": (1e-5, 1e-6, 1e-6),
    "gray_scott": (1e-5, 1e-6, 1e-6),
    "lid_driven_cavity": (1e-5, 1e-12, 1e-6),
}
"""What equation, conditions and refinement leave of a reference whose initial profile has a kink,
which finitely many waves do not resolve, that is one of finite elements, or that is stored in two
dimensions, where a file of all digits would be large."""


def tolerances(name):
    """Of the equation, of the conditions and of the certified error."""
    return LIMITED.get(name, (1e-10, 1e-12, 1e-9))


def interior(problem, n=40):
    """Points off the boundary, where a reference may have no derivative."""
    if not isinstance(problem.domain, Box):
        points = sample(problem.domain, 40 * n, "uniform", np.random.default_rng(0))
        around = [points + 0.02 * side * step for step in np.eye(problem.d) for side in (-1, 1)]
        off = np.all([problem.domain.contains(moved) for moved in around], axis=0)
        return points[off][:n]
    points = sample(problem.domain, n, "uniform", np.random.default_rng(0))
    lower, upper = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
    return lower + 0.02 * np.minimum(upper - lower, 1) + 0.96 * (points - lower)


def magnitudes(problem, function, residual, points):
    """Largest |residual|, and the largest of the terms that it is made of."""
    (found,) = magnitudes_of_each(problem, [function], residual, points)
    return found


def magnitudes_of_each(problem, functions, residual, points):
    """`magnitudes` of several functions, by one program: what they share is compiled once."""

    def of_one(function, z):
        field = problem.field(function)
        seen = []

        def spy(point, names):
            values = field(point, names)
            seen.extend(values)
            return values

        spy.unknowns = field.unknowns
        value = residual(spy, z)
        return jnp.abs(value).max(), jnp.abs(jnp.stack(seen)).max()

    found = jax.jit(jax.vmap(lambda z: [of_one(function, z) for function in functions]))(points)
    return [(float(jnp.max(values)), float(jnp.max(terms))) for values, terms in found]


def perturbed(function):
    """The function plus something that solves nothing: no derivative of it vanishes.

    The factor 1.1 keeps it from solving the heat equation `u_t = Δu / d`; it is large at both ends
    of a long interval.
    """

    def wrong(z):
        along = jnp.sum(z)
        return function(z) + 0.05 * (jnp.exp(1.1 * along) + jnp.exp(-0.7 * along))

    return wrong


@pytest.mark.parametrize("name", PROBLEMS)
class TestProblem:
    def test_reference_solves_equation_and_a_perturbed_one_does_not(self, name):
        problem = make_problem(name, {})
        points = interior(problem)
        solution = require_reference(problem).function
        both = [solution, perturbed(solution)]
        for equation in (term.residual for term in problem.equations):
            (value, terms), (wrong, _) = magnitudes_of_each(problem, both, equation, points)
            assert terms > 0.1
            assert value < tolerances(name)[0] * terms
            assert wrong > 1e-2

    def test_reference_meets_every_condition_and_a_perturbed_one_none(self, name):
        problem = make_problem(name, {})
        for condition in problem.conditions:
            points = sample(condition.region, 40, "uniform", np.random.default_rng(0))
            solution = require_reference(problem).function
            both = [solution, perturbed(solution)]
            (value, _), (wrong, _) = magnitudes_of_each(problem, both, condition.residual, points)
            assert value < tolerances(name)[1], condition.name
            assert wrong > 1e-2, condition.name

    def test_conditions_lie_on_faces_of_the_domain(self, name):
        problem = make_problem(name, {})
        names = [term.name for term in (*problem.equations, *problem.conditions)]
        assert len(set(names)) == len(names)
        assert list(problem.terms) == names
        assert all(equation.region == problem.domain for equation in problem.equations)
        regions = [condition.region for condition in problem.conditions]
        for shaped in (r for r in regions if not isinstance(r, Box | Surface)):
            points = sample(shaped, 100, "sobol", np.random.default_rng(0))
            assert problem.domain.contains(points, 1e-9).all()
            assert isinstance(shaped, Part | Product)
            assert shaped != problem.domain
        regions = [region for region in regions if isinstance(region, Box | Surface)]
        for face in (f for r in regions for f in (r.faces if isinstance(r, Surface) else (r,))):
            low, high = np.asarray(face.lower), np.asarray(face.upper)
            fixed = low == high
            assert fixed.any()
            on_a_face = (low == problem.domain.lower) | (low == problem.domain.upper)
            assert on_a_face[fixed].all()
            np.testing.assert_array_equal(low[~fixed], np.asarray(problem.domain.lower)[~fixed])
            np.testing.assert_array_equal(high[~fixed], np.asarray(problem.domain.upper)[~fixed])

    def test_certified_error_of_the_reference_is_far_below_any_network(self, name):
        problem = make_problem(name, {})
        error = require_reference(problem).certified_error(problem.evaluation_points(10))
        assert 0 < error < tolerances(name)[2]

    def test_field_of_the_reference_has_the_components_of_the_problem(self, name):
        problem = make_problem(name, {})
        points = interior(problem)
        values = require_reference(problem)(points)
        assert values.shape == (len(points), problem.m)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        assert np.abs(values).max() > 0.1

    def test_evaluation_grid_reaches_every_corner(self, name):
        problem = make_problem(name, {})
        points = problem.evaluation_points(10)
        if problem.scattered:
            count = problem.evaluation_shape[0]
            assert len(points) == count // 10
            assert problem.domain.contains(problem.evaluation_points()).all()
            np.testing.assert_array_equal(points, problem.evaluation_points()[: len(points)])
            np.testing.assert_allclose(problem.evaluation_weights(), 1 / count, rtol=1e-15)
            return
        np.testing.assert_array_equal(points.min(0), problem.domain.lower)
        np.testing.assert_array_equal(points.max(0), problem.domain.upper)
        count, full = len(problem.evaluation_points()), np.prod(problem.evaluation_shape)
        assert 0.5 * full < count <= full
        assert count == full or not isinstance(problem.domain, Box)

    def test_stored_kernels_are_of_a_size_that_can_be_published(self, name):
        problem = make_problem(name, {})
        counts = ntk_counts(problem)
        points = draw_points(problem, counts, "sobol", 0, 0)
        assert {term: len(drawn) for term, drawn in points.items()} == counts
        assert sum(counts.values()) <= NTK_ROWS
        # Every term is seen, and the equation in at least as many points as any condition.
        assert min(counts.values()) >= 1
        assert counts["equation"] == max(counts.values()) >= 10
        for term, count in counts.items():
            region = problem.terms[term].region
            assert count == 1 if region.lower == region.upper else count >= 4

    def test_arguments_make_the_same_problem_again(self, name):
        problem = make_problem(name, {})
        again = make_problem(name, problem.arguments)
        assert again.arguments == problem.arguments
        assert again.title == problem.title
        assert set(problem.arguments) == set(inspect.signature(PROBLEMS[name]).parameters)
        points = interior(problem, 5)
        np.testing.assert_array_equal(
            require_reference(again)(points), require_reference(problem)(points)
        )

    def test_card_texts_are_there(self, name):
        problem = make_problem(name, {})
        assert problem.name == name
        assert problem.title
        assert problem.citation.startswith(("arXiv:", "doi:"))
        doc = sys.modules[PROBLEMS[name].__module__].__doc__ or ""
        assert "Source:" in doc
        assert "`" in doc.splitlines()[0]

    def test_every_numeric_argument_refuses_zero_nan_and_text(self, name):
        for argument, parameter in inspect.signature(PROBLEMS[name]).parameters.items():
            out_of_range = () if argument in POSITIONS else (0.0, -1.0)
            for wrong in (*out_of_range, float("nan"), float("inf"), "many", None, True):
                if isinstance(parameter.default, (int, float)):
                    with pytest.raises(RecipeError, match=argument):
                        make_problem(name, {argument: wrong})  # pyright: ignore

    def test_points_that_are_not_points_are_refused(self, name):
        problem = make_problem(name, {})
        d = problem.d
        for wrong in (
            np.zeros(d),
            np.zeros((3, d + 1)),
            np.zeros((1, 3, d)),
            [["a"] * d],
            [[1.0] * d, [1.0] * (d + 1)],
            None,
            np.full((2, d), np.nan),
            np.full((2, d), -np.inf),
        ):
            with pytest.raises(PointsError, match=rf"{name} takes an array of shape \(n, {d}\)"):
                problem.check_points(wrong)
        checked = problem.check_points([[1] * d])
        assert checked.dtype == np.float64
        assert checked.shape == (1, d)


SYMMETRIC = {"burgers": "odd", "allen_cahn": "even", "schrodinger_breather": "even"}
"""Constraints beyond "hard", which add a symmetry of the solution."""

CONSTRAINED = [*((name, "hard") for name in HARD), *SYMMETRIC.items()]


@pytest.mark.parametrize(("name", "constraints"), SYMMETRIC.items())
def test_symmetric_network_has_the_symmetry_of_the_solution_and_no_more(name, constraints):
    problem = make_problem(name, {"constraints": constraints})
    points = interior(problem)
    mirrored = points * [1.0, -1.0]
    sign = -1.0 if constraints == "odd" else 1.0
    u = problem.constrain(small_network(problem, seed=1))  # pyright: ignore
    plain = make_problem(name, {"constraints": "hard"}).constrain(small_network(problem, seed=1))  # pyright: ignore
    for function in (u, require_reference(problem).function):
        here, there = (evaluate_function(function, z) for z in (points, mirrored))
        np.testing.assert_allclose(there, sign * here, atol=1e-9)
    here, there = (evaluate_function(plain, z) for z in (points, mirrored))
    assert np.abs(there - sign * here).max() > 1e-2


@pytest.mark.parametrize(("first", "last"), [(0.0, 0.4), (0.4, 0.7), (0.4, 1.0)])
def test_a_window_of_time_keeps_what_holds_there_and_joins_what_was_before(first, last):
    problem = make_problem("burgers", {})
    before = require_reference(problem).function if first else None
    window = problem.between(first, last, before)
    assert window.domain.bounds("t") == (first, last)
    assert window.domain.bounds("x") == problem.domain.bounds("x")
    ends = {"left", "right"}
    assert {c.name for c in window.conditions} == ends | ({"join_u"} if first else {"initial"})
    for condition in window.conditions:
        assert window.domain.contains(
            sample(condition.region, 20, "uniform", np.random.default_rng(0))
        ).all()
    if first:
        (join,) = [c for c in window.conditions if c.name == "join_u"]
        points = sample(join.region, 20, "uniform", np.random.default_rng(0))
        assert np.all(points[:, 0] == first)
        for function, wrong in (
            (require_reference(problem).function, False),
            (lambda z: z[:1], True),
        ):
            value, _ = magnitudes(problem, function, join.residual, points)
            assert (value > 0.1) == wrong


def test_a_window_outside_of_the_times_is_refused():
    with pytest.raises(PointsError, match=r"from 0\.0 to 1\.0"):
        make_problem("heat", {}).between(1.0, 2.0, None)


@pytest.mark.parametrize("name", [n for n in PROBLEMS if make_problem(n, {}).coords[0] == "t"])
def test_windows_carry_what_the_initial_conditions_prescribe(name):
    problem = make_problem(name, {})
    first, last = problem.domain.bounds("t")
    window = problem.between((first + last) / 2, last, lambda _: jnp.zeros(problem.m))
    joined = {term for term in window.terms if term.startswith("join_")}
    velocities = {"join_u_t"} if "velocity" in problem.terms else set()
    assert joined == {f"join_{c}" for c in problem.components} | velocities


@pytest.mark.parametrize("constraints", ["soft", "hard"])
def test_windows_of_an_equation_of_second_order_in_time_join_velocities_too(constraints):
    problem = make_problem("wave", {"constraints": constraints})
    solution = require_reference(problem).function
    window = problem.between(0.3, 1.0, solution)
    joins = {c.name: c for c in window.conditions if c.name.startswith("join")}
    assert set(joins) == {"join_u", "join_u_t"}
    points = sample(joins["join_u_t"].region, 20, "uniform", np.random.default_rng(0))
    assert np.all(points[:, 0] == 0.3)
    # Meets the solution at t = 0.3, but not its velocity.
    at_rest = lambda z: solution(z.at[0].set(0.3))  # noqa: E731
    for name, function, wrong in (
        ("join_u", solution, False),
        ("join_u_t", solution, False),
        ("join_u", at_rest, False),
        ("join_u_t", at_rest, True),
    ):
        value, _ = magnitudes(problem, function, joins[name].residual, points)
        assert (value > 0.1) == wrong


def test_equations_of_a_system_follow_into_the_window():
    problem = make_problem("taylor_green", {})
    window = problem.between(0.2, 0.5, require_reference(problem).function)
    assert [term.name for term in window.equations] == [term.name for term in problem.equations]
    assert all(term.region == window.domain for term in window.equations)
    assert {"join_u", "join_v", "join_p"} <= set(window.terms)


@pytest.mark.parametrize(("name", "constraints"), CONSTRAINED)
class TestHardConstraints:
    def test_random_network_meets_the_conditions_that_were_dropped(self, name, constraints):
        soft, hard = make_problem(name, {}), make_problem(name, {"constraints": constraints})
        kept = {condition.name for condition in hard.conditions}
        dropped = [condition for condition in soft.conditions if condition.name not in kept]
        assert dropped
        network = small_network(hard, seed=1)
        bare, constrained = soft.constrain(network), hard.constrain(network)  # pyright: ignore
        for condition in dropped:
            points = sample(condition.region, 40, "uniform", np.random.default_rng(0))
            value, _ = magnitudes(soft, bare, condition.residual, points)
            assert value > 1e-3, condition.name
            value, _ = magnitudes(soft, constrained, condition.residual, points)
            assert value < 1e-12, condition.name

    def test_the_network_is_heard_inside_of_the_domain(self, name, constraints):
        hard = make_problem(name, {"constraints": constraints})
        points = interior(hard)
        fields = [
            evaluate_function(hard.constrain(small_network(hard, seed=seed)), points)  # pyright: ignore
            for seed in (1, 2)
        ]
        assert fields[0].shape == (len(points), hard.m)
        assert np.all(fields[0] != fields[1])

    def test_equation_and_reference_are_those_of_the_soft_problem(self, name, constraints):
        soft, hard = make_problem(name, {}), make_problem(name, {"constraints": constraints})
        points = interior(soft, 5)
        network = small_network(soft)
        values = [magnitudes(p, network, p.equation, points) for p in (soft, hard)]
        assert values[0] == values[1]
        np.testing.assert_array_equal(
            require_reference(soft)(points), require_reference(hard)(points)
        )

    def test_other_words_for_constraints_are_refused(self, name, constraints):
        for wrong in ("Hard", "", None, 1):
            with pytest.raises(RecipeError, match=rf"'soft'.*'{constraints}'"):
                make_problem(name, {"constraints": wrong})  # pyright: ignore


CORNERS = ("lid_driven_cavity", "poisson_2d_cg")


@pytest.mark.parametrize("name", CORNERS)
def test_with_corners_all_conditions_stay_and_something_is_added_to_the_network(name):
    soft, problem = make_problem(name, {}), make_problem(name, {"constraints": "corners"})
    assert list(problem.terms) == list(soft.terms)
    network = small_network(soft)
    points = interior(soft)
    own, bare = (evaluate_function(p.constrain(network), points) for p in (problem, soft))  # pyright: ignore
    added = evaluate_function(problem.constrain(lambda _: jnp.zeros(soft.m)), points)
    np.testing.assert_allclose(own, bare + added, atol=1e-13)
    assert np.abs(added).max() > 1e-2
    for refused in ("Corners", "corner"):
        with pytest.raises(RecipeError, match="'soft', 'hard', 'corners'"):
            make_problem(name, {"constraints": refused})


@pytest.mark.parametrize("corner", [(1, 1), (-1, 1), (-1, -1), (1, -1)])
def test_what_the_corners_add_takes_the_logarithm_out_of_the_second_derivatives(corner):
    """Along a diagonal, u_xy of the certified reference grows by 25.6 / π · log 10 in a decade."""
    reference = require_reference(make_problem("poisson_2d_cg", {})).function

    def mixed(function, r):
        h = 0.2 * r
        steps = [(a, b) for a in (-1, 1) for b in (-1, 1)]
        points = np.array(corner) * (1 - r - h * np.array(steps))
        values = evaluate_function(function, points)[:, 0]
        return float(values @ np.prod(steps, axis=1)) / (4 * h**2)

    def rest(z):
        return reference(z) - in_corners(z)

    growth = mixed(reference, 1e-3) - mixed(reference, 1e-2)
    np.testing.assert_allclose(growth, -25.6 / np.pi * np.log(10), rtol=0.02)
    assert abs(mixed(rest, 1e-3) - mixed(rest, 3e-4)) < 0.05
    # Harmonic in the corner: the Laplacian of what is added vanishes where the cut is one.
    z = jnp.array(corner, float) * (1 - jnp.array([2e-4, 1e-4]))
    hessian = jax.hessian(lambda z: in_corners(z)[0])(z)
    assert abs(float(jnp.trace(hessian))) < 1e-3 < abs(float(hessian[0, 1]))
    # At the corner itself nothing is NaN but what is infinite.
    assert np.isfinite(jax.jacobian(in_corners)(jnp.array(corner, float))).all()


def test_unknown_problems_and_arguments_are_refused_with_what_exists():
    with pytest.raises(UnknownNameError, match="did you mean 'burgers'"):
        make_problem("burger", {})
    with pytest.raises(RecipeError, match="viscosity, constraints"):
        make_problem("burgers", {"nu": 1.0})
    assert issubclass(UnknownNameError, PinnzooError)


@pytest.mark.parametrize(
    ("name", "argument"),
    [("poisson", "frequency"), ("helmholtz", "a1"), ("helmholtz", "a2"), ("wave_beta", "beta")],
)
def test_fractions_of_waves_are_refused(name, argument):
    with pytest.raises(RecipeError, match=rf"{argument}=5\.5 .* whole number"):
        make_problem(name, {argument: 5.5})


@pytest.mark.parametrize(
    ("name", "arguments", "allowed"),
    [
        ("bratu", {"strength": 3.52}, r"below 3\.5138"),
        ("bratu", {"branch": "middle"}, "'lower' and 'upper'"),
        ("heat_nd", {"dimension": 11}, "from 2 to 10"),
        ("poisson_nd", {"dimension": 2.5}, "from 2 to 10"),
        ("poisson_nd", {"dimension": 5, "solution": "harmonic"}, "even one"),
        ("poisson_nd", {"solution": "tangents"}, "'cosines', 'sines', 'harmonic'"),
    ],
)
def test_arguments_that_have_no_solution_are_refused(name, arguments, allowed):
    with pytest.raises(RecipeError, match=allowed):
        make_problem(name, arguments)


FLOWS = [name for name in PROBLEMS if "pressure_at" in inspect.signature(PROBLEMS[name]).parameters]


@pytest.mark.parametrize("name", FLOWS)
def test_pressure_may_be_prescribed_in_the_middle_of_the_same_flow(name):
    corner, middle = (make_problem(name, {"pressure_at": at}) for at in ("corner", "middle"))
    assert set(corner.terms) == set(middle.terms)
    places = {}
    for problem in (corner, middle):
        pin = problem.terms["pressure"]
        points = sample(pin.region, 40, "uniform", np.random.default_rng(0))
        places[problem] = points[:, problem.coords.index("x") :]
        assert len(np.unique(places[problem], axis=0)) == 1
        solution = require_reference(problem).function
        both = [solution, perturbed(solution)]
        (value, _), (wrong, _) = magnitudes_of_each(problem, both, pin.residual, points)
        assert value < tolerances(name)[1]
        assert wrong > 1e-2
    space = middle.domain.bounds
    assert np.all(places[middle][0] == [np.mean(space(c)) for c in middle.coords if c != "t"])
    assert not np.allclose(places[corner][0], places[middle][0])
    # The pressure differs by one constant, and nothing else does.
    points = interior(corner)
    moved = require_reference(middle)(points) - require_reference(corner)(points)
    np.testing.assert_allclose(moved - moved[0], 0, atol=1e-13)
    np.testing.assert_allclose(moved[:, :-1], 0, atol=1e-14)
    with pytest.raises(RecipeError, match="'corner' and 'middle'"):
        make_problem(name, {"pressure_at": "top"})


def test_pressure_in_the_middle_does_not_go_with_an_ansatz_that_holds_the_corner():
    with pytest.raises(RecipeError, match="give one of them"):
        make_problem("lid_driven_cavity", {"pressure_at": "middle", "constraints": "hard"})


def test_bratu_has_two_solutions_of_one_equation():
    lower, upper = (make_problem("bratu", {"branch": branch}) for branch in ("lower", "upper"))
    points = interior(lower)
    function = require_reference(upper).function
    value, terms = magnitudes(lower, function, lower.equation, points)
    assert value < 1e-10 * terms
    assert np.all(require_reference(upper)(points) > 2 * require_reference(lower)(points))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("linear_elasticity", {"lam": 2.0, "mu": 0.3}),
        ("heat_nd", {"dimension": 3}),
        ("poisson_nd", {"dimension": 3, "solution": "sines"}),
        ("poisson_nd", {"dimension": 10, "solution": "harmonic"}),
    ],
)
def test_reference_solves_the_equation_with_other_arguments(name, arguments):
    problem = make_problem(name, arguments)
    points = interior(problem)
    function = require_reference(problem).function
    rng = np.random.default_rng(0)
    for term in problem.terms.values():
        at = points if term.name == "equation" else sample(term.region, 40, "uniform", rng)
        assert magnitudes(problem, function, term.residual, at)[0] < 1e-10
        assert magnitudes(problem, perturbed(function), term.residual, at)[0] > 1e-2


def test_poisson_with_other_modes_is_refused():
    with pytest.raises(RecipeError, match="'single' and 'multi'"):
        make_problem("poisson_2d", {"modes": "double"})


def test_large_reaction_rates_overflow_nowhere():
    reference = require_reference(make_problem("reaction", {"rho": 1e4}))
    np.testing.assert_allclose(reference(np.array([[1.0, 0.0], [1.0, 3.0]])), 1.0)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("advection_diffusion", {"peclet": 20.0}),
        ("bratu", {"strength": 3.5}),
        ("burgers", {"viscosity": 0.1}),
        ("burgers_2d", {"viscosity": 0.1}),
        ("burgers", {"viscosity": 0.001}),
        ("convection", {"beta": 3.0}),
        ("fisher_kpp", {"rate": 3.0}),
        ("heat", {"diffusivity": 2.0}),
        ("beltrami", {"a": 0.5, "d": 2.0, "reynolds": 10.0}),
        ("helmholtz", {"a1": 2.0, "a2": 3.0, "k": 10.0}),
        ("kdv_solitons", {"c1": 4.0, "c2": 1.0, "x1": 3.0, "x2": 9.0}),
        ("kovasznay", {"reynolds": 20.0}),
        ("poisson", {"frequency": 3.0, "amplitude": 2.0}),
        ("poisson_2d", {"modes": "multi"}),
        ("reaction", {"rho": 20.0}),
        ("sine_gordon", {"frequency": 0.9}),
        ("taylor_green", {"viscosity": 1.0}),
        ("wave", {"speed": 0.5}),
        ("wave_beta", {"beta": 3.0}),
    ],
)
def test_reference_follows_the_physical_arguments(name, arguments):
    changed, default = make_problem(name, arguments), make_problem(name, {})
    points = interior(changed)
    solution = require_reference(changed).function
    value, terms = magnitudes(changed, solution, changed.equation, points)
    assert value < 1e-10 * terms
    rng = np.random.default_rng(0)
    missed = [
        magnitudes(default, solution, term.residual, sample(term.region, 40, "uniform", rng))[0]
        for term in default.terms.values()
    ]
    assert max(missed) > 1e-2


@pytest.mark.usefixtures("single_precision")
def test_reference_is_refused_in_single_precision():
    problem = make_problem("heat", {})
    points = problem.evaluation_points(50)
    with pytest.raises(PrecisionError):
        require_reference(problem)(points)
    with pytest.raises(PrecisionError):
        require_reference(problem).certified_error(points)


def test_certified_error_reports_a_bad_refinement():
    reference = require_reference(make_problem("heat", {}))
    points = make_problem("heat", {}).evaluation_points(20)
    worse = dataclasses.replace(reference, refined=lambda z: reference.function(z) * 1.001)
    np.testing.assert_allclose(worse.certified_error(points), 1e-3, rtol=1e-6)


def test_functions_are_evaluated_in_chunks_without_seams():
    points = np.random.default_rng(0).random((37, 2))
    function = lambda z: jnp.stack([jnp.sin(z[0]), z[0] * z[1]])  # noqa: E731
    expected = np.stack([np.sin(points[:, 0]), points[:, 0] * points[:, 1]], axis=1)
    for chunk in (1, 8, 37, 1000):
        np.testing.assert_allclose(
            evaluate_function(function, points, chunk=chunk), expected, rtol=1e-14
        )
    with pytest.raises(PointsError, match="no points"):
        evaluate_function(function, points[:0])


def test_periodic_condition_compares_the_two_ends():
    (periodic,) = (c for c in make_problem("convection", {}).conditions if c.name == "periodic")
    field = Field(lambda z: (z[1] ** 2)[None], ("u",), "tx")
    value = periodic.residual(field, jnp.array([0.3, 0.0]))
    np.testing.assert_allclose(float(value), -((2 * np.pi) ** 2), rtol=1e-14)


POINTS = [(0.05, 0.3), (0.1, -0.9), (0.4, 0.02), (0.5, -0.6), (0.9, 1e-3), (1.0, 0.7)]


@pytest.mark.parametrize("viscosity", [0.05, 0.3])
def test_cole_hopf_equals_the_bessel_series(viscosity):
    solution = jax.jit(cole_hopf.burgers(viscosity, 200))
    for t, x in POINTS:
        expected = burgers_bessel(viscosity, t, x)
        assert abs(expected) > 1e-4
        np.testing.assert_allclose(solution(jnp.array([t, x]))[0], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("viscosity", [0.01 / np.pi, 0.05])
def test_cole_hopf_equals_the_integrals_of_hopf(viscosity):
    solution = jax.jit(cole_hopf.burgers(viscosity, 200))
    for t, x in POINTS:
        expected = burgers_integral(viscosity, t, x)
        assert abs(expected) > 1e-3
        np.testing.assert_allclose(solution(jnp.array([t, x]))[0], expected, rtol=0, atol=1e-11)


def test_cole_hopf_has_the_steepest_slope_that_basdevant_computed():
    """152.00516 at t = 1.6037/π: table 1 of Basdevant et al. (1986) for ν = 0.01/π."""
    slope = jax.jit(jax.jacfwd(cole_hopf.burgers(0.01 / np.pi, 200)))
    slopes = [-float(slope(jnp.array([t / np.pi, 0.0]))[0, 1]) for t in (1.55, 1.6037, 1.65)]
    np.testing.assert_allclose(slopes[1], 152.00516, atol=5e-5)
    assert slopes[1] > max(slopes[0], slopes[2])


def test_cole_hopf_begins_with_the_sine_and_is_odd():
    solution = jax.jit(jax.vmap(cole_hopf.burgers(0.01 / np.pi, 200)))
    x = np.linspace(-1, 1, 41)
    start = solution(np.stack([np.zeros_like(x), x], axis=1))[:, 0]
    np.testing.assert_allclose(start, -np.sin(np.pi * x), atol=1e-14)
    right = solution(np.stack([np.full_like(x, 0.6), x], axis=1))[:, 0]
    left = solution(np.stack([np.full_like(x, 0.6), -x], axis=1))[:, 0]
    np.testing.assert_allclose(right, -left, atol=1e-13)
    assert np.abs(right).max() > 0.5


def test_two_solitons_are_those_of_hirota():
    """`u = 2 ∂²/∂x² log F` with F of Hirota, Phys. Rev. Lett. 27 (1971), 1192."""
    problem = make_problem("kdv_solitons", {})
    speeds, starts = np.array([6.0, 2.0]), np.array([-2.0, 2.0])
    k = np.sqrt(speeds)
    ratio = (k[0] - k[1]) / (k[0] + k[1])

    def log_f(z):
        # Positions are those of the solitons before the collision up to a phase, log(1 / ratio).
        first, second = jnp.exp(k * (z[1] - speeds * z[0] - starts)) / ratio
        return jnp.log(1 + first + second + ratio**2 * first * second)

    points = interior(problem, 200)
    expected = 2 * jax.jit(jax.vmap(jax.hessian(log_f)))(points)[:, 1, 1]
    assert expected.max() > 2
    np.testing.assert_allclose(
        require_reference(problem)(points)[:, 0], expected, rtol=0, atol=1e-12
    )


def test_two_solitons_have_all_digits_in_their_tails():
    """Against the bare quotient of hyperbolic functions, in extended precision."""
    problem = make_problem("kdv_solitons", {})
    points = 10 * problem.domain.grid((11, 21))  # ten times as far as the problem reaches
    t, x = points.T.astype(np.longdouble)
    k1, k2 = np.sqrt(np.array([6, 2], dtype=np.longdouble))
    a, b = k1 * (x - 6 * t + 2) / 2, k2 * (x - 2 * t - 2) / 2
    above = 6 * np.cosh(b) ** 2 + 2 * np.sinh(a) ** 2
    below = (k1 - k2) * np.cosh(a + b) + (k1 + k2) * np.cosh(a - b)
    expected = (8 * above / below**2).astype(float)
    assert 0 < expected.min() < 1e-100
    np.testing.assert_allclose(require_reference(problem)(points)[:, 0], expected, rtol=1e-12)


def test_solitons_of_one_speed_are_refused():
    with pytest.raises(RecipeError, match="faster"):
        make_problem("kdv_solitons", {"c2": 6.0})


def test_breather_of_frequency_one_is_refused():
    with pytest.raises(RecipeError, match="below 1"):
        make_problem("sine_gordon", {"frequency": 1.0})
