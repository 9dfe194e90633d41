"""The recipes of the published entries. Imports no JAX.

Three families: the founding paper's network, five hidden layers of twenty tanh neurons with the
conditions as residuals, by three optimizers; for most benchmarks a network and a schedule that
aim at the last digits; and the paper's own experiments, from `pinnzoo.catalog.experiments`. An
entry's own `config.json` states what was done, which can be fewer steps than here where a phase
converged.
"""

from dataclasses import replace
from typing import Any

from pinnzoo.catalog.benchmarks import BENCHMARKS, MEASURED
from pinnzoo.catalog.experiments import NETWORK, all_recipes
from pinnzoo.catalog.phases import (
    GENTLE,
    MOVING,
    SCALED,
    levenberg_marquardt,
    marching,
    with_tangent,
)
from pinnzoo.recipes import Phase, Recipe

PROBLEMS: tuple[Recipe, ...] = tuple(
    Recipe(
        problem=problem,
        architecture="mlp",
        architecture_arguments=NETWORK,
        problem_arguments=arguments,
        tag=tag,
        phases=(Phase("adam", 1),),
        points={"equation": 2000, "conditions": 150},
    )
    for problem, arguments, tag in (
        ("heat", {}, ""),
        ("poisson", {}, ""),
        ("convection", {"beta": 30.0}, "beta30"),
        ("convection", {"beta": 100.0}, "beta100"),
        ("wave", {}, ""),
        ("burgers", {}, ""),
    )
)
"""Problem, network and points; the optimizers below replace the phases."""

ADAM = (Phase("adam", 30_000, {"learning_rate": 2e-3, "decay_rate": 0.8, "decay_steps": 2000}),)

LBFGS = (Phase("adam", 1000), Phase("lbfgs", 6000))


HEAVY = {"initial": 1e4, "velocity": 1e3, "left": 1e4, "right": 1e4}
"""Weights of the conditions once the equation is nearly met: what is left of the error then comes
from the boundary."""

LEVENBERG_MARQUARDT: dict[str, tuple[Phase, ...]] = {
    "heat": (levenberg_marquardt(100, 3000, 150),),
    "poisson": (levenberg_marquardt(800, 2000, 1),),
    "convection": (
        levenberg_marquardt(120, 4000, 200),
        levenberg_marquardt(120, 4000, 200, arguments=SCALED),
        # Fixed points leave a spike in a corner that none of them is close to.
        levenberg_marquardt(40, 6000, 600, arguments=SCALED, resample_every=5, adaptive=True),
    ),
    "wave": (
        levenberg_marquardt(160, 4000, 200),
        levenberg_marquardt(200, 4000, 200, arguments=SCALED, weights=HEAVY),
    ),
    "burgers": (
        levenberg_marquardt(60, 2000, 150),
        levenberg_marquardt(60, 10_000, 300, resample_every=10, adaptive=True),
        levenberg_marquardt(60, 10_000, 300, resample_every=10, adaptive=True, arguments=SCALED),
    ),
}
"""Few points find the solution's shape; the thin layer of Burgers then needs many, where the
residual is."""


def _most_accurate(
    problem: str,
    arguments: dict[str, Any],
    architecture: str,
    network: dict[str, Any],
    *phases: Phase,
    points: dict[str, int] | None = None,
    **options: Any,
) -> Recipe:
    return Recipe(
        problem,
        architecture,
        phases,
        problem_arguments=arguments,
        architecture_arguments=network,
        points={"equation": 2000, "conditions": 100} | (points or {}),
        **options,
    )


def _with_tangent(
    equation: int,
    conditions: int,
    steps: tuple[int, int, int] = (80, 40, 6),
    windows: int = 1,
    **options: Any,
) -> tuple[Phase, ...]:
    """Phases whose least squares have twice the points of the equation, not of the conditions."""
    return with_tangent(
        (equation, conditions),
        steps,
        windows=windows,
        tangent_points=(2 * equation, conditions),
        **options,
    )


KDV_WINDOWS = (
    0.15,
    0.25,
    0.325,
    0.385,
    0.445,
    0.505,
    0.565,
    0.625,
    0.685,
    0.745,
    0.805,
    0.87,
    0.935,
)
"""Narrow from the time on where the wave breaks up into solitons."""


def _even_then_by_residual() -> tuple[Phase, ...]:
    """Phases for Allen-Cahn: its residual lies in the corners, its error grows in the fronts.

    Points that are drawn by residual leave few to the fronts, and even ones miss the corners. So
    the network is found on even ones, and its tangent ends on many that are drawn by residual.
    """
    even = [
        replace(phase, adaptive=False)
        for phase in with_tangent((12_000, 1), (60, 200, 5), least_squares=GENTLE)
    ]
    ends = [
        replace(
            even[-1],
            steps=steps,
            points={"equation": equation, "conditions": 2},
            resample_every=2,
            adaptive=True,
        )
        for steps, equation in ((6, 24_000), (4, 48_000))
    ]
    return (*even, *ends)


MOST_ACCURATE: tuple[Recipe, ...] = (
    _most_accurate(
        "burgers",
        {"viscosity": 0.01, "constraints": "odd"},
        "tangent_mlp",
        {"width": 28, "depth": 3},
        *with_tangent((7000, 100), (110, 70, 8), tangent_points=(14_000, 100)),
        tag="nu0.01",
    ),
    _most_accurate(
        "burgers",
        {"constraints": "odd"},
        "tangent_mlp",
        {"width": 28, "depth": 4},
        *with_tangent((7000, 100), (110, 60, 6), tangent_points=(14_000, 100)),
    ),
    _most_accurate(
        "allen_cahn",
        {"constraints": "layers"},
        "tangent_mlp",
        {"width": 32, "depth": 4},
        *_even_then_by_residual(),
        points={"equation": 2000, "conditions": 200},
    ),
    _most_accurate(
        "kdv",
        {"constraints": "hard"},
        "tangent_mlp",
        {
            "width": 28,
            "depth": 3,
            "windows": KDV_WINDOWS,
            "periodic_axes": (1,),
            "harmonics": 6,
        },
        *marching(
            (4500, 200),
            [(90, 4)] * (len(KDV_WINDOWS) + 1),
            joins=("join_u",),
            tangent_points=(9000, 200),
            target_loss=1e-19,
        ),
        # The embedding is periodic, and these residuals are zero.
        points={"periodic": 1, "periodic_x": 1, "periodic_xx": 1},
    ),
    _most_accurate(
        "kdv_solitons", {}, "tangent_mlp", {"width": 20, "depth": 4}, *_with_tangent(3000, 150)
    ),
    _most_accurate(
        "reaction",
        {"constraints": "hard"},
        "tangent_mlp",
        {"width": 32, "depth": 3},
        *_with_tangent(3000, 150, (80, 0, 6)),
    ),
    _most_accurate(
        "klein_gordon",
        {"constraints": "hard"},
        "tangent_mlp",
        {"width": 32, "depth": 3},
        *_with_tangent(3000, 150, (60, 0, 6)),
    ),
    _most_accurate(
        "schrodinger",
        {"constraints": "kink"},
        "tangent_mlp",
        {"width": 32, "depth": 3, "periodic_axes": [1], "harmonics": 4},
        *with_tangent((8000, 1), (60, 150, 5), least_squares=GENTLE),
        # The waves that no network resolves are noise to it, which more points average out.
        levenberg_marquardt(2, 32_000, 1, part=1, arguments=GENTLE, **MOVING),
        points={"conditions": 200},
    ),
    _most_accurate(
        "sine_gordon",
        {"constraints": "hard"},
        "tangent_mlp",
        {"width": 24, "depth": 3, "windows": 4},
        *_with_tangent(4000, 150, (130, 0, 4), 4),
    ),
    _most_accurate(
        "kovasznay",
        {},
        "tangent_mlp",
        {"width": 34, "depth": 3},
        *with_tangent((3000, 300), (50, 0, 4), tangent_points=(6000, 400)),
    ),
    _most_accurate(
        "wave",
        {},
        "siren",
        # One layer of sines holds waves exactly, so that LM converges to rounding once it meets
        # them; the fewer there are, the less rounding they add up.
        {"width": 16, "depth": 1, "omega": 40.0},
        levenberg_marquardt(60, 1000, 80),
        levenberg_marquardt(30, 1000, 80, arguments=SCALED),
        weights={"equation": 1e-4},
    ),
    _most_accurate(
        "poisson_2d",
        {},
        "siren",
        {"width": 12, "depth": 1, "omega": 6.0},
        levenberg_marquardt(60, 2000, 100),
    ),
    _most_accurate(
        "poisson_2d",
        {"modes": "multi"},
        "spinn",
        # Each of its networks reads one coordinate, so that 16 random frequencies cover the range
        # from the slowest to the fastest scale; in the plane they would cover little of it.
        {"rank": 4, "width": 16, "depth": 1, "activation": "sin", "omega": 26.0},
        levenberg_marquardt(60, 3000, 150),
        tag="multi",
    ),
    _most_accurate(
        "heat",
        {"constraints": "hard"},
        "siren",
        {"width": 20, "depth": 2, "omega": 4.0},
        levenberg_marquardt(60, 1500, 100),
        levenberg_marquardt(240, 2500, 100, arguments=SCALED, **MOVING),
    ),
    _most_accurate(
        "heat",
        {"constraints": "hard"},
        "tangent_mlp",
        {"width": 20, "depth": 3},
        *_with_tangent(3000, 150, (60, 20, 4)),
    ),
    _most_accurate(
        "helmholtz",
        {},
        "siren",
        {"width": 40, "depth": 1, "omega": 32.0},
        levenberg_marquardt(60, 1500, 100),
        levenberg_marquardt(60, 1500, 100, arguments=SCALED),
        weights={"equation": 1e-3},
    ),
    *(
        _most_accurate(
            "convection",
            {"beta": beta} | ({"horizon": horizon} if horizon != 1 else {}),
            "siren",
            # The frequencies are random: so many that one is close to β, spread so far that most
            # reach it.
            {"width": 80, "depth": 1, "omega": 2.4 * beta * horizon},
            levenberg_marquardt(60, 2500, 150),
            # The residual of random waves in the equation is of order β². If the equation counted
            # for more than the initial values, u = 0 would have the lowest loss nearby.
            weights={"equation": 1e-6 * horizon**2},
            tag=f"beta{beta:g}",
        )
        for beta, horizon in ((40.0, 1.0), (50.0, 2.0), (100.0, 1.0))
    ),
)

CATALOG: tuple[Recipe, ...] = (
    *MOST_ACCURATE,
    *(replace(recipe, phases=LEVENBERG_MARQUARDT[recipe.problem]) for recipe in PROBLEMS),
    *(replace(recipe, phases=ADAM) for recipe in PROBLEMS),
    *(replace(recipe, phases=LBFGS) for recipe in PROBLEMS),
    *all_recipes(),
    *BENCHMARKS,
    *(measured.recipe for measured in MEASURED),
)
