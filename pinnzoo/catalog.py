"""The recipes of the published entries. Imports no JAX.

All of them train the network of the founding paper, five hidden layers of twenty tanh neurons, with
the conditions as residuals. An entry's own `config.json` states what was done, which can be fewer
steps than here where a phase converged.
"""

from dataclasses import replace
from typing import Any

from pinnzoo.recipes import Phase, Recipe

NETWORK = {"width": 20, "depth": 5}

PROBLEMS: tuple[Recipe, ...] = tuple(
    Recipe(
        problem=problem,
        architecture="mlp",
        architecture_arguments=NETWORK,
        problem_arguments=arguments,
        tag=tag,
        phases=(Phase("adam", 50_000),),
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

ADAM = (Phase("adam", 50_000, {"learning_rate": 2e-3, "decay_rate": 0.85, "decay_steps": 2000}),)

LBFGS = (Phase("adam", 1000), Phase("lbfgs", 15_000))


def _levenberg_marquardt(steps: int, equation: int, conditions: int, **options: Any) -> Phase:
    points = {"equation": equation, "conditions": conditions}
    return Phase("levenberg_marquardt", steps, points=points, **options)


LEVENBERG_MARQUARDT: dict[str, tuple[Phase, ...]] = {
    "heat": (_levenberg_marquardt(100, 3000, 150),),
    "poisson": (_levenberg_marquardt(800, 2000, 1),),
    "convection": (_levenberg_marquardt(300, 4000, 200),),
    "wave": (_levenberg_marquardt(300, 4000, 200),),
    "burgers": (
        _levenberg_marquardt(60, 2000, 150),
        _levenberg_marquardt(80, 10_000, 300, resample_every=10, adaptive=True),
    ),
}
"""Few points find the solution's shape; the thin layer of Burgers then needs many, where the
residual is."""

CATALOG: tuple[Recipe, ...] = (
    *(replace(recipe, phases=LEVENBERG_MARQUARDT[recipe.problem]) for recipe in PROBLEMS),
    *(replace(recipe, phases=ADAM) for recipe in PROBLEMS),
    *(replace(recipe, phases=LBFGS) for recipe in PROBLEMS),
)
