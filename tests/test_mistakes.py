"""Mistakes of every day: each is refused before the work, or does what was meant."""

import copy
import dataclasses
import errno
import functools
import json
import math
import operator
import pickle
import re
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest
from click.testing import CliRunner
from flax import nnx

import pinnzoo
from pinnzoo import (
    Ball,
    Box,
    Condition,
    Entry,
    Interval,
    Observations,
    Phase,
    Polygon,
    Problem,
    Recipe,
    Reference,
    dirichlet,
    initial,
    neumann,
    robin,
)
from pinnzoo.analysis import loss_line, loss_plane
from pinnzoo.architectures import ARCHITECTURES, make_architecture
from pinnzoo.cli import app
from pinnzoo.collocation import draw_points
from pinnzoo.diagnostics import DIAGNOSTICS
from pinnzoo.errors import (
    DiagnosticError,
    DownloadError,
    EntryError,
    IntegrityError,
    PointsError,
    RecipeError,
    RegistrationError,
    TrainingError,
    UnknownNameError,
    require,
)
from pinnzoo.evaluation import derivatives, evaluate_function, residual
from pinnzoo.hub.remote import parse_address
from pinnzoo.objective import check_terms
from pinnzoo.optimizers import OPTIMIZERS, Info, Optimizer, make_optimizer
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.plots import save_comparison, save_plots
from pinnzoo.plots.history import history
from pinnzoo.registry import make as make_from
from tests.solving import rod

DOMAIN = Box("tx", (0.0, 0.0), (1.0, 1.0))

UNTYPED: Any = DOMAIN
UNTYPED_ZERO: Any = 0
UNTYPED_CORNERS: Any = ((0, 0, 1), (1, 0, 1), (0, 1, 1))
UNTYPED_SOLVE: Any = pinnzoo.solve
"""For arguments that a type checker refuses too."""


def exact(z):
    return jnp.exp(-z[0])[None] * (1 + z[1])


def problem(**changes):
    given = {
        "name": "decaying",
        "domain": DOMAIN,
        "components": ("u",),
        "equation": lambda u, z: sum(u(z, "u u_t")),
        "conditions": (initial(DOMAIN, "u", lambda x: 1 + x),),
        "reference": Reference(exact, "closed form"),
        "evaluation_shape": (5, 5),
    }
    return Problem(**(given | changes))


def recipe(**changes):
    given = {
        "problem": "decaying",
        "architecture": "mlp",
        "phases": (Phase("adam", 2),),
        "architecture_arguments": {"width": 3, "depth": 1},
        "points": {"equation": 5, "conditions": 3},
    }
    return Recipe(**(given | changes))


def train(posed=None, made=None, **options):
    return pinnzoo.train(made or recipe(), problem=posed or problem(), diagnostics=False, **options)


def network(seed=0, **arguments) -> Any:
    return make_architecture(
        "mlp",
        {"width": 3, "depth": 1, **arguments},
        m=1,
        lower=(0, 0),
        upper=(1, 1),
        dtype="float64",
        seed=seed,
    )


@pytest.fixture
def as_users_run_it():
    """Without the type checks of the tests, which come before those of the package."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


# --- equations that JAX cannot follow, and numbers that are none

SEED = 9
"""Of its points, the first ones have times below 0.9 only, and the next ones not."""


@pytest.mark.parametrize(
    ("equation", "says"),
    [
        (lambda u, z: u(z, "u_t")[0] - np.sin(z[0]), "use those of jax.numpy"),
        (lambda u, z: u(z, "u_t")[0] - math.exp(z[0]), "use those of jax.numpy"),
        (lambda u, z: u(z, "u_t")[0] - float(z[1]), "use those of jax.numpy"),
        (lambda u, z: u(z, "u_t")[0] if z[0] > 0.5 else u(z, "u")[0], "jnp.where"),
        (lambda u, z: 1j * u(z, "u_t")[0], "complex128.* as two residuals"),
        (lambda *_: 0, "returns int"),
        (lambda u, z: u(z, "u")[0] > 0, "returns bool"),
        (lambda u, z: u(z, 3)[0], "give names"),
        (lambda u, z: 2.0 * u(z, "u_t"), "unpack it"),
        (lambda u, z: z[0] * u(z, "u_t"), "unpack it"),
        (lambda u, z: u(z, "u_t") + 1.0, "unpack it"),
        (lambda u, z: jnp.sin(u(z, "u_t")), "unpack it"),
        (lambda u, _: u.u_t, r"by name, such as u\(z"),
        (lambda u, z: u(z[0], z[1], "u_t")[0], "point as a whole"),
        (lambda u, z: u(jnp.stack([z, z]), "u")[0], r"'equation'.* shape \(2, 2\) .*shape \(2,\)"),
        (lambda u, z: u(z[0], "u_t")[0], r"shape \(\) were given .* one point of shape \(2,\)"),
        (lambda u, z: z * u(z, "u")[0], r"the point has shape \(2,\), so take"),
        (lambda *_: 0.0, "does not depend on the network"),
        (lambda _, z: jnp.sin(z[0]), "does not depend on the network"),
    ],
)
def test_equation_is_told_what_to_write(equation, says, as_users_run_it):
    with pytest.raises((RecipeError, UnknownNameError, PointsError), match=says):
        train(problem(equation=equation))


def test_an_unknown_that_is_read_as_an_attribute_is_told_where_it_is():
    posed = problem(
        equation=lambda u, z: u(z, "u_t")[0] + u.rate * u(z, "u")[0],
        unknowns={"rate": pinnzoo.Unknown(1.0)},
    )
    with pytest.raises(RecipeError, match=r"u\.unknowns\['rate'\]"):
        train(posed)


BEYOND = {
    "past the end": lambda z: z[2],
    "before the first": lambda z: z[-3],
    "after an ellipsis": lambda z: z[..., 2],
    "in a list of indices": lambda z: z[jnp.array([0, 2])].sum(),
    "of many points": lambda z: jax.vmap(lambda y: y[2])(jnp.stack([z, z])).sum(),
    "in a compiled function": lambda z: jax.jit(lambda y: y[2])(z),
    "in a loop": lambda z: jax.lax.fori_loop(0, 2, lambda k, s: s + z[2] * k, 0.0),
}


@pytest.mark.parametrize("value", BEYOND.values(), ids=BEYOND)
def test_a_coordinate_that_does_not_exist_is_refused(value):
    """JAX would take the last one in its place."""
    with pytest.raises(RecipeError, match=r"'equation' .* takes index -?\d of .* z\[1\] is x"):
        check_terms(problem(equation=lambda u, z: u(z, "u_t")[0] - value(z)))
    wall = dirichlet(DOMAIN, "u", "x", "left", value)
    with pytest.raises(RecipeError, match=r"'dirichlet_u_x_left' .* takes index"):
        check_terms(problem(conditions=(wall,)))
    with pytest.raises(RecipeError, match=r"ansatz .* takes index"):
        train(problem(ansatz=lambda z, n: n * value(z)))
    with pytest.raises(RecipeError, match=r"reference .* takes index"):
        train(problem(reference=Reference(lambda z: z[:1] * value(z), "closed form")))


@pytest.mark.parametrize(
    "value",
    [
        lambda z: z[-1] + z[..., 0] + z[-2:].sum() + z[1:5].sum(),
        lambda z: (lambda t, x: t * x)(*z),
        lambda z: jnp.where(z[0] > 0.5, z[1], jnp.flip(z)[1]),
        lambda z: jax.vmap(lambda y: y[1])(jnp.stack([z, z])).sum(),
        lambda z: z[jnp.array([-1, 0])].sum() + jnp.roll(z, 1)[0],
        lambda z: z.at[5].get(mode="fill", fill_value=0.0),
        lambda z: jnp.interp(z[0], jnp.linspace(0, 1, 5), jnp.linspace(0, 1, 5)),
        lambda z: jax.lax.fori_loop(0, 2, lambda k, s: s + z[k], 0.0),
    ],
)
def test_coordinates_may_be_taken_in_any_way(value):
    check_terms(problem(equation=lambda u, z: u(z, "u_t")[0] - value(z)))


@pytest.mark.parametrize(
    "equation",
    [
        lambda u, z: jax.grad(lambda y: u(y, "u")[0])(z)[0],
        lambda u, z: jax.hessian(lambda y: u(y, "u")[0])(z)[0, 1],
        lambda u, z: jax.jacfwd(u.function)(z)[0, 0],
    ],
)
def test_an_equation_may_take_derivatives_itself(equation):
    check_terms(problem(equation=equation))


def test_a_term_may_depend_on_an_unknown_alone():
    check_terms(
        problem(
            equation=lambda u, z: (u(z, "u_t")[0], u.unknowns["rate"] - 1.0),
            system=("rate",),
            unknowns={"rate": pinnzoo.Unknown(2.0)},
        )
    )


@pytest.mark.parametrize(
    ("axis", "components", "says"),
    [
        (0, ["u"], "component 'u': give the index"),
        (0, "u", "component 'u': give the index"),
        (0, [3], "component 3: give the index of a component of the 1 that there are"),
        ("t", [0], "coordinate 't': give the index"),
        (5, [0], "coordinate 5: give the index of a coordinate of the 2 that there are"),
    ],
)
def test_what_is_constant_has_to_be_there(axis, components, says, as_users_run_it):
    with pytest.raises(RecipeError, match=says):
        problem(symmetry=pinnzoo.constant_along(axis, components))


@pytest.mark.parametrize("axis", ["x", 5, 1.0])
def test_the_axis_of_a_symmetry_has_to_be_there(axis, as_users_run_it):
    with pytest.raises(RecipeError, match=f"coordinate {axis!r}: give the index"):
        train(problem(symmetry=pinnzoo.odd_in(axis)))


def test_indices_of_a_symmetry_may_count_from_the_end():
    still = pinnzoo.constant_along(-2, [-1])(lambda z: jnp.stack([z[0], z[0]]))
    assert still(jnp.array([0.25, 0.5])).tolist() == [0.25, 0.0]


def test_names_of_entries_are_told_to_be_loaded(tmp_path, as_users_run_it):
    entry: Any = "heat-mlp-lm"
    for function in (
        pinnzoo.finetune,
        pinnzoo.diagnose,
        pinnzoo.evaluate,
        pinnzoo.analyze,
        pinnzoo.laziness,
        pinnzoo.singular_values,
        pinnzoo.kernel_modes,
        lambda name: save_plots(name, tmp_path),
        lambda name: save_comparison([name], tmp_path),
        lambda name: loss_line(train(), train(), name),
        history,
    ):
        with pytest.raises(EntryError, match=r"load it first, with pinnzoo.load\('heat-mlp-lm'\)"):
            function(entry)


def test_an_initial_value_is_told_that_coordinates_come_one_by_one():
    start = initial(DOMAIN, "u", lambda z: jnp.sin(z[1]))
    with pytest.raises(RecipeError, match=r"Too many indices\): give .* such as lambda x: \.\.\."):
        check_terms(problem(conditions=(start,)))
    time = Box("t", (0,), (1,))
    start = initial(time, "u", lambda t: 1 + t)
    posed = problem(domain=time, conditions=(start,), reference=None, evaluation_shape=(5,))
    with pytest.raises(RecipeError, match="give a number, or a function without arguments"):
        check_terms(posed)


def test_a_difference_that_leaves_nothing_says_what_to_give():
    with pytest.raises(PointsError, match="which is empty: take away a shape that leaves some"):
        _ = Box("xy", (0, 0), (1, 1)) - Ball("xy", (0.5, 0.5), 2.0)


def test_an_entry_is_saved_in_a_folder(as_users_run_it):
    nowhere: Any = None
    with pytest.raises(EntryError, match="None was given as a folder"):
        train().save(nowhere)


def test_a_network_of_other_arguments_is_told_how_to_name_them():
    with pytest.raises(RecipeError, match="say in architecture_arguments what it was made with"):
        Entry.from_model(problem(), network(width=4), diagnostics=False)


def test_a_column_that_is_named_in_vain_is_told_once(tmp_path):
    (tmp_path / "data.csv").write_text("U,T\n1.0,0.5\n")
    with pytest.raises(PointsError, match="also need Z, so name"):
        Observations.read(tmp_path / "data.csv", problem(), {"u": "U", "t": "T", "x": "Z"})


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        (initial(DOMAIN, "u", 1.0, "a"), initial(DOMAIN, "u", 2.0, "b"), True),
        (initial(DOMAIN, "u", 1.0, "a"), initial(DOMAIN, "u", lambda x: 1 + x, "b"), True),
        (initial(DOMAIN, "u", 1.0, "a"), initial(DOMAIN, "u", lambda x: 1.0 + 0 * x, "b"), False),
        (initial(DOMAIN, "u", 1.0, "a"), initial(DOMAIN, "u_t", 2.0, "b"), False),
        (neumann(DOMAIN, "u", "x", "left"), neumann(DOMAIN, "u", "x", "left", 1.0, "b"), True),
        (dirichlet(DOMAIN, "u", "x", "left"), dirichlet(DOMAIN, "u", "x", "right", 1.0), False),
        (dirichlet(DOMAIN, "u", "x", "left"), pinnzoo.periodic(DOMAIN, "u", "x"), False),
    ],
)
def test_conditions_that_no_solution_meets_are_told(one, other, contradict):
    posed = problem(conditions=(one, other))
    if not contradict:
        train(posed)
        return
    with pytest.warns(UserWarning, match=f"{one.name!r} and {other.name!r} .* different values"):
        train(posed)


@pytest.mark.parametrize("shape", [(2, 2), (3,), ()])
def test_the_field_of_an_entry_takes_one_point(shape):
    entry = train(problem(ansatz=lambda z, network: 1 + z[1] + z[0] * network))
    with pytest.raises(PointsError, match=r"one point of shape \(2,\).* jax.vmap"):
        entry.field(jnp.full(shape, 0.5))
    points = jnp.array([[0.1, 0.2], [0.3, 0.4]])
    np.testing.assert_allclose(jax.vmap(entry.field)(points), entry.predict(points))


@pytest.mark.parametrize("names", ["u_t, u", ["u_t", "u"], np.array(["u_t", "u"])])
def test_names_may_come_in_a_list_and_with_commas(names, as_users_run_it):
    field = problem().field(lambda z: z[:1] ** 2)
    assert [float(value) for value in field(jnp.array([3.0, 0.0]), names)] == [6.0, 9.0]


def test_words_of_others_are_not_cut_in_the_middle():
    def failing(u, z):
        raise ValueError("incomprehensible " * 40)

    with pytest.raises(RecipeError, match=r"incomprehensible \[\.\.\.\]\.$"):
        train(problem(equation=failing))


@pytest.mark.parametrize("optimizer", ["lm", "adam"])
def test_derivatives_that_are_nan_are_told_from_a_learning_rate(optimizer):
    """The branch of a `where` that is not taken has a derivative too."""

    def trap(u, z):
        value, slope = u(z, "u u_t")
        return slope + jnp.where(value > 50, jnp.sqrt(value - 50), 0.0)

    with pytest.raises(TrainingError, match=r"derivatives of 'equation' are NaN .* 5 of its 5"):
        train(problem(equation=trap), recipe(phases=(Phase(optimizer, 9, resample_every=2),)))


def test_derivatives_that_become_nan_do_not_cost_what_was_trained():
    def later(u, z):
        value, slope = u(z, "u u_t")
        return value + slope + jnp.sqrt(jnp.where(z[0] > 0.9, 0.0 * value, 1.0))

    phases = (Phase("lm", 6, points={"equation": 60}, resample_every=1),)
    posed, tried = problem(equation=later), recipe(phases=(Phase("lm", 3), *phases), seed=SEED)
    with pytest.warns(UserWarning, match="was rejected: the derivatives of 'equation' are NaN"):
        entry = train(posed, tried)
    assert entry.metrics["loss"] < entry.history["loss"][0]


def test_seed_of_these_tests_is_what_it_is_said_to_be():
    made = recipe(seed=SEED)
    first, second = (
        draw_points(problem(), made.points, made.sampler, made.seed, draw)["equation"][:, 0].max()
        for draw in (0, 1)
    )
    assert first < 0.9 < second


def test_points_that_are_drawn_anew_where_the_equation_is_nan_are_named():
    def broken(u, z):
        return u(z, "u_t")[0] + jnp.where(z[0] > 0.9, jnp.nan, 0.0)

    phases = (Phase("adam", 6, points={"equation": 5}, resample_every=2),)
    with pytest.raises(TrainingError, match=r"drawn anew after \d steps, since 'equation' is NaN"):
        train(problem(equation=broken), recipe(phases=phases, seed=SEED))


def test_plain_arrays_of_a_registered_network_are_refused_first():
    class Scaled(nnx.Module):
        def __init__(self, m, *, lower, dtype, rngs, kept="plain", **_):
            self.layer = nnx.Linear(len(lower), m, param_dtype=dtype, rngs=rngs)
            scales = jnp.array([1.0, 2.0], dtype)
            self.scales = scales if kept == "plain" else pinnzoo.architectures.Buffer(scales)

        def __call__(self, z):
            return self.layer(z * self.scales[...])

    pinnzoo.register_architecture(Scaled, name="scaled", title="Scaled")
    try:
        made = recipe(architecture="scaled", architecture_arguments={})
        with pytest.raises(RecipeError, match=r"array 'scales'.*architectures\.Buffer"):
            train(None, made)
        kept = recipe(architecture="scaled", architecture_arguments={"kept": "buffer"})
        assert train(None, kept).metrics["steps"] == 2
    finally:
        ARCHITECTURES.pop("scaled")


# --- names, objects and files


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda e: jax.jit(e.predict)(np.ones((2, 2))), PointsError, "entry.field"),
        (lambda e: jax.grad(lambda z: e.predict(z).sum())(np.ones((2, 2))), PointsError, "traces"),
        (lambda e: e.predict({"t": [0.5, 0.6], "x": [0.5]}), PointsError, "shape"),
        (lambda _: pinnzoo.load(UNTYPED), EntryError, "give its name"),
        (lambda e: loss_line(e, pinnzoo.load("heat-mlp-lm"), e), PointsError, "same problem"),
        (lambda e: loss_plane(e, count=0), PointsError, "whole number of 1 or more"),
        (lambda _: pinnzoo.Unknown(0.5, 1.0, 0.0), RecipeError, "below the upper one"),
        (lambda _: recipe(dtype="float16"), RecipeError, "'float64' or 'float32'"),
        (lambda e: pinnzoo.finetune(e, UNTYPED, steps=1), RecipeError, "Box was given as the opt"),
        (lambda _: train(optimizers=optax.lion(1e-3)), RecipeError, "give a dict"),
        (lambda _: train(optimizers={"adam": UNTYPED}), RecipeError, "the optimizer 'adam'"),
        (lambda _: make_problem("heat", {"diffusivity": "two"}), RecipeError, "default 0.25"),
    ],
)
def test_what_was_meant_is_told(ask, error, says, as_users_run_it):
    with pytest.raises(error, match=says):
        ask(small_entry())


@functools.cache
def small_entry():
    return train()


def test_field_takes_a_list_and_kernels_know_their_steps(as_users_run_it):
    entry: Any = small_entry()
    assert entry.field([0.5, 0.5]) == entry.field(jnp.array([0.5, 0.5]))
    kept = entry.snapshots
    chosen = entry.ntk_at([[0.5, 0.5]], thetas=kept.thetas[[0, -1]])
    assert list(chosen.steps) == [kept.steps[0], kept.steps[-1]]
    assert list(entry.ntk_at([[0.5, 0.5]], thetas=kept.thetas[:2] + 1.0).steps) == [0, 1]
    # Turned around, and the same one twice.
    for rows in (kept.thetas[::-1], kept.thetas[[0, 0]]):
        assert list(entry.ntk_at([[0.5, 0.5]], thetas=rows).steps) == list(range(len(rows)))


def test_kernels_of_parameters_that_did_not_move_keep_all_steps(as_users_run_it):
    """Where steps are rejected, the same parameters are kept more than once."""
    still = train(made=recipe(phases=(Phase("adam", 4, {"learning_rate": 1e-300}),)))
    np.testing.assert_array_equal(still.snapshots.thetas[0], still.snapshots.thetas[-1])
    assert list(still.ntk_at([[0.5, 0.5]]).steps) == list(still.snapshots.steps)


def sam(**options):
    return optax.contrib.sam(optax.sgd(1e-2), optax.sgd(1e-2), **options)


@pytest.mark.parametrize(
    "made",
    [
        optax.lion(1e-3),
        optax.lbfgs(),
        optax.polyak_sgd(1e-3),
        # Of the extra arguments, both take `grad_fn` alone, and the second one needs it.
        sam(),
        sam(opaque_mode=True),
    ],
)
def test_optimizers_of_optax_are_taken_as_they_are(made):
    posed = problem()
    before = train(posed, recipe(phases=(Phase("own", 3),)), optimizers={"own": made})
    assert before.metrics["steps"] == 3
    tuned = pinnzoo.finetune(before, made, steps=5, diagnostics=False)
    assert tuned.metrics["loss"] <= before.metrics["loss"]
    pinnzoo.register_optimizer(lambda: made, name="own")
    try:
        same = train(posed, recipe(phases=(Phase("own", 3),)))
        np.testing.assert_array_equal(same.theta, before.theta)
    finally:
        OPTIMIZERS.pop("own")


def test_optimizer_of_optax_whose_part_takes_no_further_arguments_is_told_how_to_be_given():
    chained = optax.chain(sam())
    made = recipe(phases=(Phase("own", 1),))
    with pytest.raises(RecipeError, match=r"from_optax\(optimizer, line_search=False\)"):
        train(made=made, optimizers={"own": chained})
    plain = pinnzoo.optimizers.from_optax(chained, line_search=False)
    assert train(made=made, optimizers={"own": plain}).metrics["steps"] == 1


WHOLE = "must be a whole number of [01] or more"


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("lbfgs", {"memory_size": 2.5}, WHOLE),
        ("levenberg_marquardt", {"chunk": 2.5}, WHOLE),
        ("levenberg_marquardt", {"corrections": 1.5}, WHOLE),
        ("levenberg_marquardt_lsmr", {"iterations": 1.5}, WHOLE),
        ("gauss_newton", {"chunk": 1.5}, WHOLE),
        ("sketched_gauss_newton", {"columns": 2.5}, WHOLE),
        ("sketched_gauss_newton", {"seed": -1}, WHOLE),
        ("spring", {"chunk": 1.5}, WHOLE),
        ("newton_cg", {"rank": 2.5}, WHOLE),
        ("newton_cg", {"seed": 0.5}, WHOLE),
        ("soap", {"precondition_frequency": 1.5}, WHOLE),
        ("ssbroyden", {"max_linesearch_steps": 2.5}, WHOLE),
        ("ssbfgs", {"max_linesearch_steps": True}, WHOLE),
        ("adam", {"b1": 2.0}, r"must be in \[0, 1\)"),
        ("soap", {"b2": 1.0}, r"must be in \[0, 1\)"),
        ("spring", {"momentum": "half"}, r"must be in \[0, 1\)"),
    ],
)
def test_numbers_of_an_optimizer_are_refused_where_it_is_made(name, arguments, says):
    with pytest.raises(RecipeError, match=says):
        make_optimizer(name, arguments)


def test_point_in_a_hole_is_not_said_to_be_outside_of_the_box():
    ring = Box("xy", (-1, -1), (1, 1)) - pinnzoo.Ball("xy", (0, 0), 0.5)
    posed = problem(domain=ring, equation=lambda u, z: sum(u(z, "u_xx u_yy")), conditions=[])
    with pytest.raises(PointsError, match="a shape that is not all of x"):
        posed.check_points([[0.0, 0.0]], inside=True)
    with pytest.raises(PointsError, match=r"domain of decaying, x ∈ \[-1, 1\]"):
        posed.check_points([[2.0, 0.0]], inside=True)


def test_term_is_not_called_as_all_conditions_together():
    with pytest.raises(RecipeError, match="'conditions', which is the name of all conditions"):
        problem(conditions=(initial(DOMAIN, "u", lambda x: 1 + x, name="conditions"),))


MINE = """
import dataclasses

import jax.numpy as jnp
import pinnzoo

domain = pinnzoo.Box("tx", (0.0, 0.0), (1.0, 1.0))


def fading(rate: float = 1.0):
    return pinnzoo.Problem(
        name="fading",
        domain=domain,
        components=("u",),
        equation=lambda u, z: u(z, "u_t")[0] + rate * u(z, "u")[0],
        conditions=(pinnzoo.initial(domain, "u", lambda x: 1 + x),),
        arguments={"rate": rate},
    )


ready = dataclasses.replace(fading(), name="prepared")
number = 5


def wrong():
    return 3


def fails():
    return 1 / 0
"""


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (["mine.py"], "write mine.py:NAME"),
        (["mine.py:number"], "object of the type int"),
        (["mine.py:wrong"], "let it return a Problem"),
        (["mine.py:fails"], "ZeroDivisionError"),
        (["mine.py:fading", "--problem-set", "rate=two"], "give a number"),
        (["heet"], "did you mean 'heat'"),
        (["heat", "--optimizer", "mine.py"], "write mine.py:NAME"),
        (["burgers-mlp-lmm"], "unknown entry"),
    ],
)
def test_command_says_what_to_write(source, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    done = CliRunner().invoke(app, ["train", *source, "--steps", "1", "--out", "never"])
    assert done.exit_code != 0
    assert says in done.output
    assert not (tmp_path / "never").exists()


def test_problem_of_the_command_is_a_file_with_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in ("heet", "mine:fading", "mine.py"):
        done = CliRunner().invoke(app, ["diagnose", "heat-mlp-lm", "--problem", given])
        assert done.exit_code != 0
        assert "write" in done.output


def test_words_for_numbers_are_refused_by_annotation_alone():
    @pinnzoo.register_problem
    def worded(profile=1, kind: "int | str" = 0, rate: float = 1.0):
        return problem(name="worded", arguments={"profile": profile, "kind": kind, "rate": rate})

    try:
        assert make_problem("worded", {"profile": "sine", "kind": "a"}).arguments["kind"] == "a"
        with pytest.raises(RecipeError, match="rate='two'"):
            make_problem("worded", {"rate": "two"})
    finally:
        PROBLEMS.pop("worded")


def test_command_is_told_what_a_file_calls_its_columns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("time;place;1.50\n0.1;0.5;0.9\n0.2;0.25;0.5\n")
    arguments = ["train", "heat", "--steps", "1", "--out", "done", "--no-diagnostics"]
    arguments += ["--network-set", "width=4", "--network-set", "depth=1"]
    named = [f"--column={name}" for name in ("t=time", "x=place", "u=1.50")]
    done = CliRunner().invoke(app, [*arguments, *named])
    assert "give --observations" in done.output
    done = CliRunner().invoke(app, [*arguments, *named[:2], "--observations", "a.csv"])
    assert "--column NAME=COLUMN" in done.output
    done = CliRunner().invoke(app, [*arguments, *named, "--observations", "a.csv"])
    assert done.exit_code == 0, done.output
    kept = pinnzoo.load(str(tmp_path / "done")).observations
    assert kept is not None
    np.testing.assert_array_equal(kept.points, [[0.1, 0.5], [0.2, 0.25]])
    np.testing.assert_array_equal(kept.values, [[0.9], [0.5]])


def test_command_takes_a_problem_that_is_made_already(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    arguments = ["train", "mine.py:ready", "--steps", "1", "--out", "done", "--no-diagnostics"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert pinnzoo.load(str(tmp_path / "done")).recipe.problem == "prepared"
    again = CliRunner().invoke(app, [*arguments, "--overwrite", "--problem", "mine.py:ready"])
    assert again.exit_code == 0, again.output


def test_command_says_how_to_name_the_problem_of_an_entry(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Under a name that no other test has registered.
    (tmp_path / "other.py").write_text(MINE.replace("fading", "paling"))
    train().save("done")
    for verb, *more in (("evaluate",), ("plot",), ("finetune", "--out", "never")):
        bare = CliRunner().invoke(app, [verb, "./done", *more])
        assert bare.exit_code == 1
        assert "in a shell --problem FILE.py:decaying." in bare.output
        named = [verb, "./done", *more, "--problem", "other.py:paling"]
        other = CliRunner().invoke(app, named)
        assert other.exit_code == 1
        said = "other.py:paling was given, which is 'paling', and the entry ./done is of 'decaying'"
        assert said in other.output
        assert "name that one, as in --problem FILE.py:decaying." in other.output


# --- networks that a loop goes on training


def test_network_is_evaluated_with_the_weights_that_it_has_now():
    points, model = np.array([[0.5, 0.5]]), network()
    first = evaluate_function(model, points)
    model.output.bias[...] = model.output.bias[...] + 100.0
    np.testing.assert_allclose(evaluate_function(model, points), first + 100.0)
    posed = problem()
    before = derivatives(posed, model, points, "u"), residual(posed, model, points)
    model.output.bias[...] = model.output.bias[...] - 100.0
    after = derivatives(posed, model, points, "u"), residual(posed, model, points)
    for now, then in zip(after, before, strict=True):
        np.testing.assert_allclose(now, then - 100.0, rtol=1e-12)


def test_entry_states_the_error_of_its_own_weights_and_keeps_them():
    posed, model = problem(), network()
    made = {"architecture_arguments": {"width": 3, "depth": 1}, "diagnostics": False}
    first = Entry.from_model(posed, model, **made)
    model.output.bias[...] = model.output.bias[...] + 100.0
    second = Entry.from_model(posed, model, **made)
    assert second.metrics["max_error"] > 90
    for entry in (first, second):
        assert entry.metrics["max_error"] == pinnzoo.evaluate(entry)["max_error"]


# --- problems


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (exact, "give a Reference"),
        (Reference(lambda z: exact(z)[0], "scalar"), r"returns shape \(\): return shape \(1,\)"),
        (Reference(lambda z: exact(z) * z[0] / z[0], "0/0"), "NaN or infinite at [0-9]+ of"),
        (Reference(lambda z: z @ jnp.ones(3), "fails"), "the reference of decaying fails"),
        (Reference(lambda z: exact(z) * 1j, "complex"), "make real and imaginary part components"),
    ],
)
def test_reference_is_looked_at_before_the_training(reference, says):
    seen = []
    with pytest.raises(RecipeError, match=says):
        train(problem(reference=reference), report=seen.append)
    assert not seen


@pytest.mark.parametrize(
    ("domain", "says"),
    [
        (Box("tx", (0, 0), (1, 7)), r"to \(1.0, 7.0\): make it of the domain"),
        (Box("xt", (0, 0), (1, 1)), "in 'xt'"),
    ],
)
def test_condition_on_another_domain_is_refused(domain, says):
    with pytest.raises(RecipeError, match=says):
        problem(conditions=(dirichlet(domain, "u", "x", "right"),))


def test_dates_and_durations_are_no_numbers():
    dates = np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")
    durations = np.array([[1500, 1]], "timedelta64[ms]")
    heat = make_problem("heat", {})
    for points in ({"x": [0.0, 1.0], "t": dates}, durations):
        with pytest.raises(PointsError, match="of dates or durations was given"):
            heat.check_points(points)
    with pytest.raises(PointsError, match="values are not all real numbers"):
        Observations(np.zeros((1, 2)), durations[:, :1])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Ball("xy", UNTYPED_ZERO, 1.0), r"the centre 0 was given: .* such as \(0.0, 0.0\)"),
        (lambda: Polygon("xy", UNTYPED_CORNERS), "not all two numbers"),
    ],
)
def test_places_of_the_wrong_kind_are_told(make, says, as_users_run_it):
    with pytest.raises(PointsError, match=says):
        make()


PLATE_SIDE = Box("xy", (0, 0), (1, 1))
PLATE_HOLE = Ball("xy", (0.5, 0.5), 0.25, name="hole")
PLATE = PLATE_SIDE - PLATE_HOLE
CORNER = PLATE_SIDE - Ball("xy", (0, 0), 0.5)


def on(domain, *conditions):
    equation = lambda u, z: u(z, "u_xx")[0]  # noqa: E731
    return Problem(
        name="plate", domain=domain, components=("u",), equation=equation, conditions=conditions
    )


@pytest.mark.parametrize("also", [(), ("t",)])
def test_condition_made_of_another_shape_is_refused_where_it_is_wrong(also):
    timed = lambda shape: Interval("t", 0, 1) * shape if also else shape  # noqa: E731
    hole, side, plate, corner = map(timed, (PLATE_HOLE, PLATE_SIDE, PLATE, CORNER))
    for make in (neumann, robin):
        with pytest.raises(RecipeError, match="normal points into the domain"):
            on(plate, make(hole, "u", "hole"))
        on(plate, make(plate, "u", "hole"), make(side, "u", "x_left"))
    with pytest.raises(RecipeError, match="lies outside of the domain"):
        on(corner, dirichlet(side, "u", "x_left"))
    on(corner, dirichlet(corner, "u", "x_left"), dirichlet(side, "u", "x_right"))
    # Values have no direction, and a surface inside has the domain on both sides.
    on(plate, dirichlet(hole, "u", "hole"))
    on(side, neumann(hole, "u", "hole"), neumann(side, "u", "x_left"))


def test_robin_condition_that_says_nothing_is_refused():
    with pytest.raises(RecipeError, match="alpha=0 and beta=0 were given in a Robin condition on"):
        robin(DOMAIN, "u", "x", "left", alpha=0.0, beta=0)
    # What is a function may be zero in places, and what is traced is not known yet.
    robin(DOMAIN, "u", "x", "left", alpha=0.0, beta=lambda z: 0.0 * z[0])
    jax.jit(lambda a: bool(robin(DOMAIN, "u", "x", "left", alpha=a, beta=0.0)) + a)(1.0)


def test_domain_without_length_is_refused():
    domain = Box("tx", (0.0, 2.0), (1.0, 2.0))
    with pytest.raises(RecipeError, match="a domain with x from 2 to 2: give one of some length"):
        pinnzoo.Problem(
            name="thin",
            domain=domain,
            components=("u",),
            equation=lambda u, z: u(z, "u_t")[0],
            conditions=(),
        )


@pytest.mark.parametrize("given", ["no", 0, None])
def test_words_for_switches_are_refused(tmp_path, given):
    recipe = pinnzoo.Recipe("heat", "mlp", (pinnzoo.Phase("lm", 1),))
    said = "it must be True or False"
    for option in ("resume", "progress"):
        with pytest.raises(RecipeError, match=f"{option}={given!r} was given: {said}"):
            pinnzoo.train(recipe, **{option: given})
        with pytest.raises(RecipeError, match=f"{option}={given!r} was given: {said}"):
            pinnzoo.finetune(pinnzoo.load("heat-mlp-adam"), **{option: given})
    with pytest.raises(RecipeError, match=f"overwrite={given!r} was given: {said}"):
        pinnzoo.load("heat-mlp-adam").save(tmp_path / "here", overwrite=given)
    assert not (tmp_path / "here").exists()
    pinnzoo.load("heat-mlp-adam").save(tmp_path / "here", overwrite=cast(Any, np.bool_(False)))


def test_normal_is_looked_at_in_space_too():
    cube, ball = Box("xyz", (0, 0, 0), (1, 1, 1)), Ball("xyz", (0, 0, 0), 0.5)
    with pytest.raises(RecipeError, match="normal points into the domain"):
        on(cube - ball, neumann(cube & ball, "u", "ball"))
    on(cube - ball, neumann(cube - ball, "u", "ball"), dirichlet(cube - ball, "u", "box"))


def test_residual_and_region_in_the_other_order_are_told(as_users_run_it):
    wall = Condition("left", PLATE.part("hole"), lambda u, z: u(z, "u")[0])  # pyright: ignore
    with pytest.raises(RecipeError, match="a Part as its residual and a function as its region"):
        on(PLATE, wall)


def test_initial_profile_gets_the_coordinates_that_are_not_the_time():
    condition = initial(Box("xt", (0, 0), (1, 2)), "u", lambda x: x)
    field = problem(domain=Box("xt", (0, 0), (1, 2)), conditions=()).field(lambda z: 0 * z[:1])
    assert condition.residual(field, jnp.array([0.7, 0.0])) == -0.7


def test_ansatz_must_give_all_components():
    second = Condition("second", lambda u, z: u(z, "v_t")[0] - 3.0, DOMAIN)
    posed = problem(
        components=("u", "v"),
        conditions=(),
        reference=None,
        system=(second,),
        ansatz=lambda z, n: z[0] * n.sum()[None],
    )
    with pytest.raises(RecipeError, match=r"ansatz or symmetry .* returns shape \(1,\)"):
        train(posed)


def test_one_condition_and_one_number_will_do(as_users_run_it):
    posed = problem(conditions=initial(DOMAIN, "u", 0.0), evaluation_shape=100)
    assert [term.name for term in posed.conditions] == ["initial_u"]
    assert posed.evaluation_shape == (100,)
    loose: Any = Box
    assert loose("x", np.float64(0.0), 1) == Box("x", (0.0,), (1.0,))


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda: UNTYPED.face("x", "left"), PointsError),
        (lambda: DOMAIN.boundary("x", ("up",)), UnknownNameError),
        (lambda: UNTYPED_SOLVE(problem, seconds=1), RecipeError),
        (lambda: pinnzoo.solve(problem(equation=lambda u, z: u(z, "u")), seconds=1), RecipeError),
        (lambda: train(observations=([[0.5, 0.5]], [1.0])), PointsError),
    ],
)
def test_what_is_no_number_problem_or_observation_is_named(ask, error, as_users_run_it):
    with pytest.raises(error):
        ask()


# --- networks and phases


class Single(nnx.Module):
    """A network of Flax's own layers, in single precision unless told otherwise."""

    def __init__(self):
        """Draw the parameters."""
        self.layer = nnx.Linear(2, 1, rngs=nnx.Rngs(0))

    def __call__(self, z):
        """The value at a point."""
        return self.layer(z)


def test_network_in_another_precision_than_the_recipe_says_is_refused():
    made = recipe(architecture="single", architecture_arguments={})
    with pytest.raises(RecipeError, match="parameters in float32, and the recipe says float64"):
        train(made=made, model=Single())


def test_network_whose_entry_would_be_too_large_is_refused_before_the_work(monkeypatch):
    monkeypatch.setattr("pinnzoo.training.training.MAX_FILE", 100)
    with pytest.raises(RecipeError, match="keep fewer"):
        train()


@pytest.mark.parametrize("snapshots", [0, 1, 101, 2.5, "all", None])
def test_number_of_snapshots_that_is_none_is_refused_before_the_work(snapshots):
    with pytest.raises(RecipeError, match="give a whole number from 2 to 100"):
        train(snapshots=snapshots)


def test_arguments_of_an_optimizer_that_is_made_already_are_refused():
    base, adam = train(), make_optimizer("adam", {"learning_rate": 1e-3})
    tune = {"steps": 2, "diagnostics": False}
    with pytest.raises(RecipeError, match="learning_rate were given with an optimizer that is"):
        pinnzoo.finetune(base, adam, learning_rate=0.5, **tune)
    with pytest.raises(RecipeError, match="given with a problem that is made"):
        pinnzoo.finetune(base, problem=problem(), problem_arguments={"rate": 2.0}, **tune)
    tuned = pinnzoo.finetune(base, adam, problem=problem(), **tune)
    assert tuned.recipe.phases[0].arguments == {"learning_rate": 1e-3}
    other = recipe(phases=(Phase("adam", 2, {"learning_rate": 1.0}),))
    with pytest.raises(RecipeError, match="given as an object made with"):
        train(made=other, optimizers={"adam": adam})


def test_part_of_which_nothing_is_left_to_train_is_refused_before_the_first_phase():
    phases = (Phase("adam", 2), Phase("lm", 2, part=0, freeze=("parts.0*",)))
    with pytest.raises(RecipeError, match="trains part 0, of which nothing is left"):
        train(made=recipe(architecture="tangent_mlp", phases=phases))


@pytest.mark.parametrize("read", [None, "condition", "gradient", "observation"])
def test_a_component_that_nothing_reads_is_told(read):
    slope = Condition("slope", lambda u, z: jax.grad(lambda y: u(y, "v")[0])(z)[0], DOMAIN)
    start = initial(DOMAIN, "v", 0.0, name="start")
    more = {"condition": (start,), "gradient": (slope,)}.get(read or "", ())
    two = problem(components=("u", "v"), reference=None)
    two = dataclasses.replace(two, conditions=(*two.conditions, *more))
    inside = np.array([[0.25, 0.5]])[:, : two.d]
    data = (
        Observations(inside, np.ones((1, 1)), components=("v",)) if read == "observation" else None
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        train(two, observations=data)
    assert any("reads the component 'v'" in str(w.message) for w in told) == (read is None)


@pytest.mark.parametrize("value", ["0", None, np.array([1.0]), 1j, math.nan])
def test_what_no_condition_can_prescribe_is_refused_where_it_is_made(value):
    made = (
        lambda: pinnzoo.dirichlet(DOMAIN, "u", "x", "left", value=value),
        lambda: pinnzoo.neumann(DOMAIN, "u", "x", "left", value=value),
        lambda: pinnzoo.robin(DOMAIN, "u", "x", "left", alpha=value),
        lambda: initial(DOMAIN, "u", value),
    )
    for make in made:
        with pytest.raises(RecipeError, match="give a finite number, or a function"):
            make()


def test_adaptive_points_may_be_more_in_a_further_equation_than_in_the_first():
    second = Condition("second", lambda u, z: u(z, "u_x")[0], DOMAIN)
    phase = Phase("adam", 4, resample_every=2, adaptive=True)
    points = {"equation": 5, "conditions": 3, "second": 300}
    entry = train(problem(system=(second,)), recipe(points=points, phases=(phase,)))
    assert entry.metrics["steps"] == 4


# --- entries of one's own loop, and what is asked of them


def test_problem_of_ones_own_under_a_name_of_the_package_is_asked_for(tmp_path):
    """Such as an edited copy: the name alone gives the other problem."""
    own = problem(name="heat")
    entry = train(own, recipe(problem="heat"))
    entry.save(tmp_path / "own")
    with pytest.raises(IntegrityError, match=r"another problem 'heat' .* give its own as problem="):
        pinnzoo.load(tmp_path / "own")
    again = pinnzoo.load(tmp_path / "own", problem=own, verify="all")
    np.testing.assert_array_equal(again.theta, entry.theta)


def test_problem_with_another_domain_is_another_one(tmp_path):
    """Its terms are the same functions, and agree wherever both are looked at."""

    def until(end):
        plane = Box("tx", (0.0, 0.0), (end, 1.0))
        left = Condition("left", lambda u, z: u(z, "u")[0] - 1.0, plane.face("x", 0.0))
        decay = lambda u, z: sum(u(z, "u u_x"))  # noqa: E731
        return problem(domain=plane, equation=decay, conditions=(left,), reference=None)

    entry = train(until(2.0))
    entry.save(tmp_path / "own")
    with pytest.raises(IntegrityError, match="the domain"):
        pinnzoo.load(tmp_path / "own", problem=until(1.0))
    assert pinnzoo.load(tmp_path / "own", problem=until(2.0)).name == entry.name


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"snapshots": {0: network(1), 500: network(2)}}, RecipeError, "after step 500"),
        ({"snapshots": {0: np.zeros(3)}}, RecipeError, "has 3 parameters"),
        ({"points": {"equation": 9, "boundry": 3}}, RecipeError, "'boundry'"),
        ({"weights": {"initial": 100.0}}, RecipeError, "did you mean 'initial_u'"),
        ({"weights": {"observations": 2.0}}, RecipeError, "weights for 'observations'"),
        ({"weights": [1]}, RecipeError, "as weights: give a dict"),
        ({"snapshots": {0.5: network(1)}}, RecipeError, "snapshot after step 0.5"),
        ({"snapshots": {"a": network(1)}}, RecipeError, "snapshot after step 'a'"),
        ({"snapshots": {0: "a"}}, RecipeError, "a str was given as the snapshot after step 0"),
        ({"snapshots": {0: 1j * np.ones(13)}}, RecipeError, "ndarray was given as the snapshot"),
        ({"snapshots": [network(1)]}, RecipeError, "as snapshots: give a dict"),
        ({"history": {"step": [0, 10], "loss": [2, 1]}, "steps": 3}, RecipeError, "up to step 10"),
        ({"history": [1, 2]}, RecipeError, "as the history: give a dict"),
        ({"history": {"loss": 1.0}}, IntegrityError, r"'loss' of type float64 and shape \(\)"),
        ({"history": {"loss": [[1.0], [1.0, 2.0]]}}, IntegrityError, "different lengths"),
        ({"seconds": None}, RecipeError, "seconds=None"),
    ],
)
def test_records_that_do_not_fit_the_network_are_refused(options, error, says):
    with pytest.raises(error, match=says):
        Entry.from_model(problem(), network(), diagnostics=False, **options)


class Counting(nnx.Module):
    """A network with a whole number among its parameters."""

    def __init__(self):
        """Make the layer."""
        self.layer = nnx.Linear(2, 1, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
        self.power = nnx.Param(jnp.array(2))

    def __call__(self, z):
        """The value at a point."""
        return self.layer(z) ** self.power[...]


def test_parameters_that_cannot_be_trained_are_refused():
    with pytest.raises(RecipeError, match=r"nnx.Param of int64.*architectures.Buffer"):
        Entry.from_model(problem(), Counting(), diagnostics=False)
    with pytest.raises(RecipeError, match=r"nnx.Param of int64"):
        train(made=recipe(architecture="counting"), model=Counting())


def test_records_of_ones_own_loop_are_taken_in_all_forms():
    made = {"steps": 3, "diagnostics": None, "weights": {"equation": 2.0, "initial_u": 100.0}}
    made |= {"architecture_arguments": {"width": 3, "depth": 1}}
    start = network(1)
    kept = {0: nnx.state(start), np.int64(1): start, 2.0: list(network(2).output.bias[...])}
    with pytest.raises(RecipeError, match="has 1 parameters"):
        Entry.from_model(problem(), network(), snapshots=kept, **made)
    del kept[2.0]
    history = {"step": [0, 3], "loss": [2.0, 1.0]}
    entry = Entry.from_model(problem(), network(), snapshots=kept, history=history, **made)
    np.testing.assert_array_equal(entry.snapshots.thetas[0], entry.snapshots.thetas[1])
    assert list(entry.snapshots.steps) == [0, 1, 3]
    assert entry.recipe.weights["initial_u"] == 100.0


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda z, _: z.train(recipe(), problem="heat"), RecipeError, "make_problem..heat"),
        (lambda z, e: z.finetune(e, problem="heat"), RecipeError, "make_problem..heat"),
        (lambda z, _: z.load("heat-mlp-lm", problem="heat"), RecipeError, "make_problem"),
        (lambda z, _: z.load("heat-mlp-lm", model=3), RecipeError, "3 was given as the network"),
        (lambda z, _: z.Entry.from_model("heat", network()), RecipeError, "make_problem"),
        (lambda z, _: z.assemble("heat", network(), {}), RecipeError, "make_problem"),
        (lambda z, _: z.assemble(problem, network(), {}), RecipeError, "a factory returns"),
        (lambda z, _: z.train("heat-mlp-lm"), RecipeError, "'heat-mlp-lm' .* give a Recipe"),
        (lambda *_: train(base="k/a"), EntryError, r"load it first, with pinnzoo.load\('k/a'\)"),
        (lambda *_: train(base=3), EntryError, "3 was given as the entry to start from"),
        (lambda *_: train(model=3), RecipeError, "3 was given as the network"),
        (lambda *_: train(report=3), RecipeError, "3 was given as the report"),
        (lambda *_: train(mesh=3), RecipeError, "3 was given as the mesh"),
        (lambda z, _: z.train(recipe(), diagnostics=3), DiagnosticError, "True for all, False"),
        (lambda z, _: z.train(recipe(), diagnostics=0), DiagnosticError, "True for all, False"),
        (lambda z, _: z.solve(problem(), diagnostics=3), DiagnosticError, "True for all, False"),
        (lambda z, _: z.finetune(3), EntryError, "3 was given as the entry"),
        (lambda z, e: z.finetune(e, points=5), RecipeError, "5 was given as points: give a dict"),
        (lambda z, e: z.finetune(e, weights=[1]), RecipeError, "as weights: give a dict"),
        (lambda z, e: z.finetune(e, problem_arguments=3), RecipeError, "as problem_arguments"),
        (lambda z, e: z.finetune(e, freeze=3), RecipeError, "3 was given as freeze"),
        (lambda z, e: z.finetune(e, part=1.5), RecipeError, "part=1.5"),
        (lambda z, e: z.finetune(e, part=np.int64(1)), RecipeError, "part 1 of a network with 0"),
        (lambda z, _: z.list_entries(None), EntryError, "None was given as a pattern"),
        (lambda z, _: z.list_entries(3), EntryError, "3 was given as a pattern"),
        (lambda z, _: z.frame(3), EntryError, "3 was given as a pattern"),
        (lambda _, e: e.model_at(1j * e.theta), PointsError, "complex128 were given"),
        (lambda _, e: e.residual([[2.0, 0.5]]), PointsError, "outside"),
        (lambda z, e: z.linearise(e).descent(-1), DiagnosticError, "zero or more"),
        (lambda z, e: z.linearise(e).flow([0.0, np.nan]), DiagnosticError, "zero or more"),
        (lambda z, _: z.kernel_alignment([[np.nan]], [[2.0]]), PointsError, "finite ones"),
        (lambda _, e: e.push_to_hub("loop/a@v1"), DownloadError, "without a revision"),
        (lambda _, e: e.push_to_hub("loop/a--b"), DownloadError, "without '--'"),
        (lambda _, e: e.push_to_hub("loop/a.git"), DownloadError, "'.git' at the end"),
    ],
)
def test_what_is_of_another_kind_is_refused_before_the_work(ask, error, says, as_users_run_it):
    zoo: Any = pinnzoo
    with pytest.raises(error, match=says):
        ask(zoo, small_entry())


def test_diagnostics_of_none_are_none_and_residuals_may_lie_outside():
    entry = pinnzoo.train(recipe(), problem=problem(), diagnostics=None)  # pyright: ignore
    assert "ntk" not in entry.metrics
    assert entry.residual([[2.0, 0.5]], extrapolate=True).shape == (1, 1)


@pytest.mark.parametrize("revision", ["v1", "feature/x", "refs/pr/1"])
def test_revisions_of_the_hub_may_have_slashes(revision):
    assert parse_address(f"hf-hub:o/n@{revision}") == ("o/n", revision)


@pytest.mark.parametrize("revision", ["/x", "x/", "a//b", "a/../b", "a" * 101])
def test_revisions_that_are_none_are_refused(revision):
    with pytest.raises(DownloadError, match="and @revision"):
        parse_address(f"hf-hub:o/n@{revision}")


def test_points_and_parameters_of_analyses_are_looked_at():
    from pinnzoo.analysis import filter_normalised, hessian_map, loss_plane, tangent

    entry = train()
    with pytest.raises(PointsError, match="outside"):
        hessian_map(entry, points=[[50.0, -7.0]])
    with pytest.raises(DiagnosticError, match="has its own"):
        loss_plane(tangent(entry), np.zeros(entry.theta.size), count=1)
    with pytest.raises(PointsError, match="shapes of 2"):
        filter_normalised(np.ones(4), np.ones(4), ((2,),))
    with pytest.raises(PointsError, match="give rows of"):
        entry.ntk_at([[0.5, 0.5]], np.zeros((1, 3)))
    with pytest.raises(PointsError, match="no points were given"):
        entry.ntk_at({})


def test_one_diagnostic_may_be_named_without_a_list(small_diagnostics):
    entry = pinnzoo.diagnose(train(), "ntk")
    assert "ntk" in entry.metrics


# --- observations


class Frame:
    """What a data frame shows of itself."""

    columns = ("x", "t")

    def __array__(self, dtype=None, copy=None):
        """The values, in the order of the columns."""
        return np.array([[0.2, 0.7]])


def test_names_of_columns_are_not_lost():
    with pytest.raises(PointsError, match="whose names would be lost"):
        Observations(Frame(), [1.0])  # pyright: ignore[reportArgumentType]


def test_name_that_stands_above_two_columns_is_refused(tmp_path):
    (tmp_path / "d.csv").write_text("t,x,u,u\n0.1,0.2,1,5\n")
    with pytest.raises(PointsError, match="'u' stands above more than one column"):
        Observations.read(tmp_path / "d.csv", problem())


def test_shapes_are_observed_inside_and_numbers_are_checked():
    shape = make_problem("laplace_l_shape", {})
    assert len(pinnzoo.observe(shape, 50).check(shape).points) == 50
    for wrong in ({"n": -1}, {"n": 2.5}, {"n": 3, "noise": -1.0}):
        with pytest.raises(PointsError):
            pinnzoo.observe(problem(), **wrong)  # pyright: ignore[reportArgumentType]
    flow = make_problem("kovasznay", {})
    with pytest.raises(UnknownNameError):
        pinnzoo.observe(flow, 3, components="uv")
    assert pinnzoo.observe(flow, 3, components="v").components == ("v",)


# --- what is kept of a solution


def test_solution_is_kept_where_a_diagnostic_fails():
    def failing(study):
        raise ValueError("x")

    pinnzoo.register_diagnostic(failing, on_demand=True)
    with pytest.warns(UserWarning, match="failing"):
        entry = pinnzoo.solve(problem(), seconds=4, diagnostics=["failing"])
    assert entry.metrics["relative_l2_error"] < 0.1


def test_solution_is_kept_where_a_wider_network_comes_to_nothing(monkeypatch):
    module = sys.modules["pinnzoo.solving.solve"]
    first, calls = module.refine, []

    def refine(*arguments, **options):
        calls.append(1)
        if len(calls) > 1:
            raise TrainingError("NaN")
        return first(*arguments, **options)

    monkeypatch.setattr(module, "refine", refine)
    monkeypatch.setattr(module, "_worth", lambda *_: True)
    entry = pinnzoo.solve(problem(), seconds=4, diagnostics=False)
    assert len(calls) == 2
    assert entry.metrics["relative_l2_error"] < 0.1


# --- commands


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_command_tells_of_a_file_its_name_and_not_where_it_lies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(Path(rod.__file__).read_text(encoding="utf-8"))
    source = tmp_path / "mine.py:rod"
    result = run("solve", source, "--seconds", 3, "--no-diagnostics", "--out", "solved")
    assert result.exit_code == 0, result.output
    assert manifest("solved")["command"].startswith("pinnzoo solve mine.py:rod --seconds 3")
    # Who saves it again keeps how it was made.
    pinnzoo.load("./solved", problem=rod.rod()).save("again")
    assert manifest("again")["command"] == manifest("solved")["command"]


def test_command_on_record_makes_the_entry_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    typed = "train heat --steps 2 --network-set width=3 --network-set depth=1 --points equation=20"
    typed += " --seed 5 --seconds 60 --no-diagnostics"
    result = run(*typed.split(), "--out", "first")
    assert result.exit_code == 0, result.output
    # The bar is no result.
    assert "relative L2 error" in result.stdout
    assert "diagnostics" not in result.stdout
    words = shlex.split(manifest("first")["command"])
    assert "--optimizer" in words
    assert run(*words[1:], "--no-diagnostics", "--out", "again").exit_code == 0
    first, again = (pinnzoo.load(f"./{name}") for name in ("first", "again"))
    assert again.recipe == first.recipe
    tuned = ("finetune", "./first", "--steps", 1, "--freeze", "*.bias", "--seed", 3)
    assert run(*tuned, "--no-diagnostics", "--out", "tuned").exit_code == 0
    words = shlex.split(manifest("tuned")["command"])
    assert words[3:] == [
        *("--optimizer", "levenberg_marquardt", "--steps", "1"),
        *("--freeze", "*.bias", "--seed", "3"),
    ]


def manifest(folder):
    return json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))


def test_commit_of_the_hub_is_not_changed_in_place(tmp_path, monkeypatch):
    monkeypatch.setenv("PINNZOO_CACHE", str(tmp_path))
    commit = tmp_path / "hub" / "me--mine" / ("0" * 40)
    made = recipe(problem="heat")
    entry = pinnzoo.train(made, diagnostics=False)
    entry.save(commit)
    before = (commit / "manifest.json").read_bytes()
    result = run("diagnose", commit, "loss_hessian")
    assert result.exit_code == 1
    assert "which nothing may change" in " ".join(result.output.split())
    assert (commit / "manifest.json").read_bytes() == before


def test_run_that_cannot_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    work = tmp_path / "work"
    train(workdir=work)
    (file,) = work.iterdir()

    def busy(*arguments, **options):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(np, "load", busy)
    with pytest.raises(EntryError, match=r"cannot be read \(Too many open files\)") as caught:
        train(made=recipe(phases=(Phase("adam", 3),)), workdir=work)
    assert not isinstance(caught.value, IntegrityError)
    assert file.exists()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda z: exact(z) * 0, "is zero on the whole evaluation grid"),
        # Not on every fourth line of the grid, where the error is followed during the training.
        (lambda z: jnp.where(jnp.abs(z[:1] - 0.3) < 1e-6, jnp.nan, exact(z)), "is NaN or infinite"),
    ],
)
def test_a_training_is_not_lost_for_its_reference(wrong, says):
    posed = problem(reference=Reference(wrong, "wrong"), evaluation_shape=(11, 11))
    with pytest.warns(UserWarning, match=says):
        entry = train(posed)
    assert "relative_l2_error" not in entry.metrics
    with pytest.raises(PointsError, match=says):
        pinnzoo.evaluate(entry)


def test_a_recipe_that_cannot_be_published_is_refused_before_its_training():
    seen = []
    with pytest.raises(RecipeError, match=r"names the folder .* give a relative path"):
        train(
            made=recipe(base=str(Path.cwd() / "runs" / "mine")),
            model=network(),
            report=seen.append,
        )
    assert not seen


def test_large_whole_numbers_are_arguments_too():
    phase = pinnzoo.Phase("lm", 1)
    young = {"young": 210_000_000_000}
    assert (
        pinnzoo.Recipe("beam", "mlp", (phase,), problem_arguments=young).problem_arguments == young
    )
    with pytest.raises(RecipeError, match="a whole one up to"):
        pinnzoo.Recipe("beam", "mlp", (phase,), problem_arguments={"young": 10**20})


@pytest.mark.parametrize(
    ("equation", "says"),
    [
        (lambda u, z: jax.grad(lambda y: u(y)[0])(z)[0], r"such as u\(z, 'u u_x'\)"),
        (lambda u, z: u(z, "u_t") - u(z, "u"), r"unpack it, as in u_t, u_xx = u\(z"),
        (lambda u, z: u(z, "u")[0] - np.interp(z[0], [0.0, 1.0], [0.0, 2.0]), "jnp.interp for a"),
    ],
)
def test_fields_and_tables_that_are_misused_get_a_hint(equation, says):
    with pytest.raises(RecipeError, match=says):
        train(problem(equation=equation))


class Narrow(nnx.Module):
    """Float64 parameters, of which `cast` loses digits on the way or at the end."""

    def __init__(self, dtype, last=None):
        self.dtype, self.last = dtype, last
        self.layer = nnx.Linear(2, 4, param_dtype=jnp.float64, dtype=dtype, rngs=nnx.Rngs(0))
        self.output = nnx.Linear(4, 1, param_dtype=jnp.float64, dtype=last, rngs=nnx.Rngs(1))

    def __call__(self, z):
        return self.output(jnp.tanh(self.layer(z)))


@pytest.mark.parametrize(
    ("dtype", "last", "says"),
    [
        (jnp.float32, jnp.float32, "computes in float32 whatever its parameters are, here float64"),
        (jnp.float32, jnp.float64, "computes in float32 whatever its parameters are, here float64"),
        (None, jnp.bfloat16, "computes in bfloat16"),
    ],
)
def test_a_network_that_loses_digits_is_refused(dtype, last, says):
    with pytest.raises(RecipeError, match=says):
        train(made=recipe(architecture="narrow"), model=Narrow(dtype, last))
    assert train(made=recipe(architecture="narrow"), model=Narrow(None)).metrics["loss"] > 0


@pytest.mark.parametrize("given", [exact, (exact,), 3])
def test_what_is_no_condition_is_told_how_to_become_one(given):
    for field in ("conditions", "system"):
        with pytest.raises(RecipeError, match=r"give conditions, such as pinnzoo.dirichlet\(...\)"):
            problem(**{field: given})


def of_both(t, x) -> Any:
    return t + x


WRONG: Any = of_both


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        (lambda: dirichlet(DOMAIN, "u", "x", "left", jnp.sin), r"shape \(2,\): give a fun"),
        (
            lambda: dirichlet(DOMAIN, "u", "x", "left", WRONG),
            r"'dirichlet_u_x_left' of .* fails \(missing a req",
        ),
        (lambda: neumann(DOMAIN, "u", "x", "left", WRONG), "of the point z, such as"),
        (lambda: initial(DOMAIN, "u", WRONG), r"one by one, such as lambda x: \.\.\."),
    ],
)
def test_functions_of_the_wrong_arguments_are_told_which_they_get(condition, says):
    with pytest.raises(RecipeError, match=says):
        train(problem(conditions=(condition(),)))


PLANE: Any = pinnzoo.Box("tx", (0.0, 0.0), (1.0, 1.0))
ANY_KIND: Any = pinnzoo
"""Takes arguments of any kind, for all that a type checker knows."""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ANY_KIND.dirichlet(PLANE, "u", 1, "left"), "1 was given as the coordinate"),
        (lambda: ANY_KIND.neumann(PLANE, "u", ["x"], "left"), "was given as the coordinate"),
        (lambda: ANY_KIND.periodic(PLANE, "u", 1), "1 was given as the coordinate"),
        (lambda: ANY_KIND.dirichlet("x", "u", "x", "left"), "'x' was given as the domain"),
        (lambda: ANY_KIND.initial(None, "u", 0.0), "None was given as the domain"),
        (lambda: ANY_KIND.initial(PLANE, 0, 0.0), "0 was given as the component"),
        (lambda: problem(domain="tx"), "'tx' was given as the domain"),
        (lambda: problem(equation="u_t - u_xx"), "'u_t - u_xx' was given as the equation"),
        (lambda: ANY_KIND.Observations([[0.0, 0.0]], [1.0], 3), "components 3 were given"),
    ],
)
def test_what_is_of_another_kind_is_named(make, message):
    with pytest.raises(pinnzoo.PinnzooError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("equation", "advice"),
    [
        (lambda z, u: u(z, "u_t")[0], "write equation(u, z)"),
        (lambda u, z: u(z, "u_t")[0] - z["x"], "so write z[0], z[1]"),
        (lambda u, z: u(z, "u_t")[0] - z.x, "so write z[0], z[1]"),
        (lambda u, z: u(z, "u")[0] - u.unknowns.rate, "u.unknowns['rate']"),
    ],
)
def test_how_an_equation_reads_its_arguments_is_said(equation, advice):
    own = problem(equation=equation, unknowns={"rate": pinnzoo.Unknown(1.0)})
    with pytest.raises(pinnzoo.PinnzooError, match=re.escape(advice)):
        check_terms(own)


# --- what is edited after it was trained, and what is handed out


def edited(**changes):
    """A registered factory of the problem, as a file or a cell that was edited has it."""

    def decaying():
        return problem(**changes)

    return decaying


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"conditions": (initial(DOMAIN, "u", lambda x: 7 + x),)}, "the condition 'initial_u'"),
        ({"domain": Box("tx", (0, 0), (1, 2)), "reference": None}, "'initial'|the domain|the ref"),
        ({"reference": Reference(lambda z: 2 * exact(z), "closed form")}, "the reference solution"),
        ({"equation": lambda u, z: 2 * sum(u(z, "u u_t"))}, "the equation 'equation'"),
    ],
)
def test_an_edited_problem_of_a_name_is_not_taken_for_the_one_that_was_trained(
    changes, what, tmp_path
):
    pinnzoo.register_problem(edited())
    try:
        entry = pinnzoo.train(recipe(), diagnostics=False)
        folder, pickled = str(entry.save(tmp_path / "entry")), pickle.dumps(entry)
        for again in (pinnzoo.load(folder), pickle.loads(pickled)):
            np.testing.assert_array_equal(again.theta, entry.theta)
        pinnzoo.register_problem(edited(**changes))
        with pytest.raises(IntegrityError, match=f"another problem 'decaying' .* of which {what}"):
            pinnzoo.load(folder)
        with pytest.raises(IntegrityError, match=f"pickled was trained for .* of which {what}"):
            pickle.loads(pickled)
    finally:
        PROBLEMS.pop("decaying")


def test_a_problem_in_the_place_of_its_factory_is_refused():
    made: Any = problem()
    with pytest.raises(RegistrationError, match="of the type Problem was given: register the func"):
        pinnzoo.register_problem(made)


def test_what_is_handed_out_cannot_be_changed_in_place():
    entry = pinnzoo.load("heat-mlp-lm")
    kernels = entry.ntk
    for array in (
        entry.history["loss"],
        entry.snapshots.thetas,
        kernels.kernels,
        kernels.drift(),
        kernels.terms["equation"],
    ):
        with pytest.raises(ValueError, match="read-only"):
            array *= 2
    arguments: Any = entry.problem.arguments
    for change in (
        lambda: operator.setitem(arguments, "diffusivity", 0.3),
        lambda: arguments.update(diffusivity=0.3),
        lambda: arguments.pop("diffusivity"),
    ):
        with pytest.raises(RecipeError, match="change a copy, dict"):
            change()
    assert pinnzoo.load("heat-mlp-lm").problem.arguments["diffusivity"] == 0.25
    assert pickle.loads(pickle.dumps(arguments)) == copy.deepcopy(arguments) == arguments
    assert {**arguments, "diffusivity": 0.3}["diffusivity"] == 0.3


def test_a_diagnostic_cannot_change_what_the_next_one_sees():
    def centred(study):
        study.thetas[:] -= study.thetas[0]
        return {"size": 1.0}

    pinnzoo.register_diagnostic(centred)
    try:
        with pytest.raises(DiagnosticError, match="read-only"):
            pinnzoo.diagnose(small_entry(), ["centred"])
    finally:
        DIAGNOSTICS.pop("centred")


def test_an_entry_does_not_take_the_place_of_its_base(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pinnzoo.register_problem(edited())
    try:
        pinnzoo.train(recipe(), diagnostics=False).save("first")
        tuned = pinnzoo.finetune(pinnzoo.load("./first"), steps=1, diagnostics=False)
        with pytest.raises(EntryError, match="was tuned from, and which its recipe names"):
            tuned.save(tmp_path / "first", overwrite=True)
        command = ["finetune", "./first", "--steps", "1", "--out", "first", "--overwrite"]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 1
        assert "give another with --out" in done.output
        assert pinnzoo.load("./first").recipe.base is None
    finally:
        PROBLEMS.pop("decaying")


def test_a_work_folder_in_that_of_the_entry_is_refused_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("made", "made/run"):
        command = ["train", "heat", "--steps", "1", "--out", "made", "--workdir", place]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 1
        assert "give one beside it" in done.output
        assert not list(tmp_path.iterdir())


def test_a_line_joins_networks_of_one_function_of_the_parameters():
    entry = small_entry()
    other = train(made=recipe(seed=1))
    assert loss_line(entry, entry, other, count=2).losses.shape == (2,)
    sines = recipe(architecture_arguments={"width": 3, "depth": 1, "activation": "sin"})
    with pytest.raises(PointsError, match="its parameters make another function"):
        loss_line(entry, entry, train(made=sines), count=2)
    hard = problem(ansatz=lambda z, u: 1 + z[1] + z[0] * u, conditions=())
    with pytest.raises(PointsError, match="its parameters make another function"):
        loss_line(entry, entry, train(hard), count=2)


def test_parameters_without_numbers_are_refused():
    model: Any = network()
    model.spare = nnx.Param(jnp.zeros((0, 2)))
    own = recipe(architecture="own", architecture_arguments={})
    with pytest.raises(RecipeError, match=r"nnx.Param of shape \(0, 2\), which holds no numbers"):
        train(made=own, model=model)


def test_an_optimizer_that_fails_loses_nothing(tmp_path):
    done = []

    def step(objective, theta, state):
        if len(done) == 3 and not corrected:
            raise np.linalg.LinAlgError("Singular matrix")
        done.append(int(state))
        loss = objective.loss(theta)
        return theta * 0.99, state + 1, Info(loss, loss, loss, jnp.array(True))

    mine = Optimizer(lambda *_: jnp.array(0), step, traceable=False, name="mine")
    given: Any = {"made": recipe(phases=(Phase("mine", 6),)), "workdir": tmp_path}
    corrected = False
    says = r"'mine' failed after 3 steps .*LinAlgError: Singular matrix"
    with pytest.raises(TrainingError, match=says) as told:
        train(optimizers={"mine": mine}, **given)
    assert isinstance(told.value.__cause__, np.linalg.LinAlgError)
    assert str(tmp_path) in str(told.value)
    corrected = True
    assert train(optimizers={"mine": mine}, **given).recipe.steps == 6
    assert done == [0, 1, 2, 3, 4, 5]


def test_an_optimizer_that_cannot_begin_is_told_of(tmp_path):
    def init(objective, theta):
        return theta["weights"] if wrong else jnp.array(0)

    def step(objective, theta, state):
        loss = objective.loss(theta)
        return theta * 0.99, state + 1, Info(loss, loss, loss, jnp.array(True))

    wrong = True
    mine = Optimizer(init, step, traceable=False, name="mine")
    alone = recipe(phases=(Phase("mine", 2),))
    with pytest.raises(
        TrainingError, match=r"'mine' failed after 0 steps .*\): correct it"
    ) as told:
        train(optimizers={"mine": mine}, made=alone, workdir=tmp_path / "alone")
    assert isinstance(told.value.__cause__, (TypeError, IndexError))
    later: Any = {
        "made": recipe(phases=(Phase("adam", 2), Phase("mine", 2))),
        "workdir": tmp_path / "later",
        "optimizers": {"mine": mine},
    }
    with pytest.raises(
        TrainingError, match=r"'mine' failed after 2 steps .* reached is in .*later"
    ):
        train(**later)
    wrong = False
    assert train(**later).recipe.steps == 4


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: train(optimizers=3), "given an int: give a dict"),
        (lambda: train(optimizers={"adam": jnp.ones(2)}), "^an ArrayImpl was given as the opt"),
        (lambda: require(jnp.ones(2), dict, "points", "give a dict"), "^an ArrayImpl was given"),
        (lambda: pinnzoo.register_optimizer(int, name="A b"), "^an optimizer called 'A b'"),
        (
            lambda: make_from("problem", {"plain": lambda: problem()}, "plain", {"speed": 3.0}),
            "'speed': it takes no arguments.$",
        ),
    ],
)
def test_messages_are_sentences_of_english(ask, says):
    with pytest.raises(pinnzoo.PinnzooError, match=says):
        ask()


def test_of_many_names_the_first_few_are_told():
    few, many = ([f"k{i:03}" for i in range(n)] for n in (30, 440))
    assert str(UnknownNameError.of("entry", "zzz", few)).count("k0") == 30
    told = str(UnknownNameError.of("entry", "zzz", many))
    assert told.endswith("'k009' and 430 others, 440 in all.")
    assert told.count("k0") == 10


def test_what_a_file_prints_does_not_spoil_json(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE + "\nprint('read')\n")
    done = CliRunner().invoke(app, ["names", "--import", "mine.py", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)
    assert done.stderr == "read\n"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"ansatz": lambda z, u: z[0] * u[0]}, r"returns shape \(\): return shape \(1,\)"),
        ({"ansatz": lambda z: z}, "fails on a point .*TypeError, .*takes 1 positional argument"),
        ({"symmetry": lambda _: 0}, "fails on a point of shape .*TypeError"),
    ],
)
def test_what_lies_around_the_network_is_tried_before_the_work(wrong, says):
    with pytest.raises(RecipeError, match=f"the ansatz or symmetry of decaying {says}"):
        pinnzoo.solve(problem(**wrong))


RECIPE = pinnzoo.Recipe(
    "heat",
    "mlp",
    (pinnzoo.Phase("adam", 3),),
    architecture_arguments={"width": 4, "depth": 1},
    points={"equation": 20, "conditions": 5},
)


@pytest.mark.parametrize("resume", [True, False])
def test_a_file_of_somebody_elses_is_no_run_to_replace(tmp_path, resume):
    np.savez(tmp_path / "state.npz", mine=np.arange(3))
    with pytest.raises(RecipeError, match=r"'state\.npz' is no run of pinnzoo .*another folder\.$"):
        pinnzoo.train(RECIPE, workdir=tmp_path, resume=resume, diagnostics=False)
    np.testing.assert_array_equal(np.load(tmp_path / "state.npz")["mine"], np.arange(3))
    # What a kill left of a run may be replaced, as it says.
    (tmp_path / "state.npz").write_bytes(b"PK")
    pinnzoo.train(RECIPE, workdir=tmp_path, resume=False, diagnostics=False)
    pinnzoo.train(RECIPE, workdir=tmp_path, resume=False, diagnostics=False)


def test_an_optimizer_has_no_name_that_means_another_one():
    with pytest.raises(RegistrationError, match="'lm' was given, a name that pinnzoo keeps"):
        pinnzoo.register_optimizer(lambda: optax.sgd(1e-3), name="lm")


def test_copies_of_measurements_are_told():
    points = np.random.default_rng(0).uniform(0.1, 0.4, (30, 2))
    values = points.sum(axis=1)
    once = Observations(points, values)
    for given in ([once, once], Observations(np.tile(points, (3, 1)), np.tile(values, 3))):
        with pytest.warns(UserWarning, match=r"observations repeat .* give each measurement once"):
            pinnzoo.train(RECIPE, observations=given, diagnostics=False)
    # Measured again at the same points, they are no copies.
    for again in (once, [once, Observations(points, values + 0.01)]):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            pinnzoo.train(RECIPE, observations=again, diagnostics=False)
        assert not [each for each in told if "repeat" in str(each.message)]


def test_a_training_that_only_diverged_says_so():
    entry = pinnzoo.train(RECIPE, diagnostics=False)
    with pytest.warns(UserWarning, match=r"the loss rose from .* and no step lowered it"):
        worse = pinnzoo.finetune(entry, cast(Any, optax.adam(1e30)), 3, diagnostics=False)
    np.testing.assert_array_equal(worse.theta, entry.theta)


@pytest.mark.parametrize("given", ["no", 0])
def test_words_for_switches_are_refused_by_all(given):
    entry, kernel = pinnzoo.load("heat-mlp-adam"), np.eye(2)
    points = [[0.1, 0.2]]
    calls: dict[str, list[Any]] = {
        "extrapolate": [
            lambda v: entry.predict(points, extrapolate=v),
            lambda v: entry.derivatives(points, "u_x", extrapolate=v),
            lambda v: entry.residual(points, extrapolate=v),
            lambda v: derivatives(entry.problem, entry.field, points, "u", extrapolate=v),
        ],
        "scaled": [lambda v: pinnzoo.singular_values(entry, scaled=v)],
        "centered": [lambda v: pinnzoo.kernel_alignment(kernel, kernel, centered=v)],
        "exact": [lambda v: pinnzoo.hessian_density(entry, exact=v)],
        "adaptive": [lambda v: pinnzoo.finetune(entry, steps=1, adaptive=v)],
        "private": [lambda v: entry.push_to_hub("a/b", private=v)],
        "progress": [lambda v: pinnzoo.diagnose(entry, [], progress=v)],
        "local_files_only": [lambda v: pinnzoo.load("heat-mlp-adam", local_files_only=v)],
    }
    for name, each in calls.items():
        for call in each:
            with pytest.raises(RecipeError, match=f"{name}={given!r} was given: it must be True"):
                call(given)


def test_a_tag_that_is_none_is_refused_before_the_entry_is_drawn(monkeypatch):
    entry = pinnzoo.load("heat-mlp-adam")
    monkeypatch.setattr(Entry, "save", lambda *_, **__: pytest.fail("the work had begun"))
    with pytest.raises(EntryError, match="the tag 'a b' was given"):
        entry.push_to_hub("my/heat", tag="a b")


def test_text_for_seconds_is_refused():
    for call in (
        lambda: pinnzoo.train(RECIPE, seconds=cast(Any, "10")),
        lambda: pinnzoo.finetune(pinnzoo.load("heat-mlp-adam"), steps=1, seconds=cast(Any, "1")),
    ):
        with pytest.raises(RecipeError, match=r"seconds='10?' was given: give a number of sec"):
            call()


def test_modes_are_those_of_a_box_inside_of_the_domain():
    entry = pinnzoo.load("heat-mlp-adam")
    for box in (Box("tx", (5, 5), (10, 10)), Box("ty", (0, 0), (0.1, 0.1)), Box("t", (0,), (0.1,))):
        with pytest.raises(PointsError, match="give one inside of the problem's domain"):
            pinnzoo.mode_spectrum(entry, domain=box)


def test_figures_of_no_numbers_are_refused():
    with pytest.raises(PointsError, match="NaN or infinite"):
        pinnzoo.diagnostics.effective_rank(np.array([np.nan, 1.0]))
    for size in (1e-200, 1e200):
        kernel = size * np.array([[2.0, 1.0], [1.0, 3.0]])
        assert pinnzoo.kernel_alignment(kernel, 2 * kernel) == pytest.approx(1.0)


def test_the_clone_of_the_repository_stands_for_its_entries(monkeypatch, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    pinnzoo.load("heat-mlp-adam").save(tmp_path / "checkpoints" / "heat-mlp-adam-mine")
    for given in (tmp_path, tmp_path / "checkpoints"):
        monkeypatch.setenv("PINNZOO_CHECKPOINTS", str(given))
        assert "heat-mlp-adam-mine" in pinnzoo.list_entries()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": None}, "name=None was given to a problem: give text"),
        ({"components": 3}, "was given the components 3"),
        ({"components": [1]}, "was given the components"),
        ({"arguments": [1]}, "was given arguments"),
        ({"unknowns": ["k"]}, "was given unknowns"),
        ({"evaluation_shape": "ab"}, "was given the evaluation shape 'ab'"),
        ({"evaluation_shape": (2.5, 2)}, "was given the evaluation shape"),
        ({"evaluation_shape": (10**6, 10**6)}, "up to 100,000,000 points"),
    ],
)
def test_attributes_of_a_problem_of_another_type_are_refused(given, said):
    with pytest.raises(RecipeError, match=said):
        dataclasses.replace(make_problem("heat", {}), **given)


def test_classes_of_numpy_are_no_numbers():
    with pytest.raises(RecipeError, match="it must be"):
        Recipe("heat", "mlp", (Phase("lm", 1),), dtype=cast(Any, np.float64))
    with pytest.raises(RecipeError, match="it must be"):
        Phase("adam", 3, {"learning_rate": cast(Any, np.float64)})
