"""The matrix of problem, architecture and optimizer, as recipes of equal wall time. Imports no JAX.

A pair is one problem with one architecture. Its recipes differ in their phases alone, so that they
begin from the same parameters: these follow from the problem, the architecture with its arguments,
and the seed. Kernels and Hessians of its entries then start from the same K(0).

    holes(problems, seconds=60, existing=pinnzoo.list_entries())
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pinnzoo.catalog.benchmarks import MEASURED
from pinnzoo.catalog.entries import CATALOG, MOST_ACCURATE, PROBLEMS
from pinnzoo.catalog.experiments import NETWORK
from pinnzoo.catalog.phases import SCALED
from pinnzoo.recipes import Phase, Recipe

POINTS = {"equation": 2000, "conditions": 150}
"""Of the recipes that begin here; those that complete a pair of the catalog keep its points."""

EVERY_OPTIMIZER = ("adam", "soap", "ssbroyden", "levenberg_marquardt")
PAIR = ("adam", "levenberg_marquardt")

FURTHER: tuple[str, Mapping[str, Any]] = ("modified_mlp", NETWORK)
"""The architecture that every problem has beside `mlp`, by Adam and by Levenberg-Marquardt."""

OTHERWISE = (("rwf_mlp", NETWORK),)

FITTING: Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]] = {
    "poisson": (("multiscale_fourier", {"width": 20, "depth": 3, "scales": [2.0, 40.0]}),),
    "grad_shafranov": (*OTHERWISE, ("piratenet", {"width": 16, "depth": 2})),
}
"""The third one, or more of them, where it is not that of the catalog's most accurate entry."""

UNFAIR = ("tangent_mlp",)
"""Architectures of the most accurate entries that no pair is made of: their last phase is least
squares, to which Adam is not suited, and they train for an hour."""

VARIANTS: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    *((recipe.problem, recipe.problem_arguments, recipe.tag) for recipe in PROBLEMS),
    ("burgers", {"viscosity": 0.01}, "nu0.01"),
    ("poisson_2d", {"modes": "multi"}, "multi"),
)
"""Arguments and tags of problems that are there in more than one form."""

WARM_UP = 0.15
"""Share of Adam in the time of a quasi-Newton method, which needs a region without steep walls."""

FIRST = 0.4
"""Share of Levenberg-Marquardt without scaling; see `pinnzoo.catalog.entries.SCALED`."""


def phases_of(optimizer: str, seconds: float) -> tuple[Phase, ...]:
    """A schedule that takes about `seconds` of wall time, or less where it converges before.

    The steps are more than a machine does in that time; an entry states those that were done.

    Args:
        optimizer: One of `EVERY_OPTIMIZER`.
        seconds: Wall time of all phases together.
    """
    return _SCHEDULES[optimizer](seconds)


def _phase(
    optimizer: str, seconds: float, steps_per_second: int, *arguments: Any, **options: Any
) -> Phase:
    steps = max(1, round(seconds * steps_per_second))
    return Phase(optimizer, steps, *arguments, seconds=seconds, **options)


def _adam(seconds: float) -> Phase:
    return _phase(
        "adam",
        seconds,
        1000,
        {"learning_rate": 2e-3, "decay_rate": 0.8, "decay_steps": 2000},
    )


def _levenberg_marquardt(seconds: float) -> tuple[Phase, ...]:
    return (
        _phase("levenberg_marquardt", FIRST * seconds, 20),
        _phase(
            "levenberg_marquardt",
            (1 - FIRST) * seconds,
            20,
            SCALED,
            resample_every=5,
            adaptive=True,
        ),
    )


_SCHEDULES: Mapping[str, Callable[[float], tuple[Phase, ...]]] = {
    "adam": lambda seconds: (_adam(seconds),),
    "soap": lambda seconds: (_phase("soap", seconds, 300),),
    "ssbroyden": lambda seconds: (
        _adam(WARM_UP * seconds),
        _phase("ssbroyden", (1 - WARM_UP) * seconds, 300),
    ),
    "levenberg_marquardt": _levenberg_marquardt,
}


def matrix(problems: Iterable[str], seconds: float) -> tuple[Recipe, ...]:
    """Every recipe of the matrix that the catalog does not have.

    Problems that need measurements have none here.

    For each form of each problem: `mlp` by every optimizer, and two further architectures by Adam
    and by Levenberg-Marquardt: `FURTHER`, and one that fits the problem. Where that is the one of
    the catalog's most accurate entry, Adam gets the same network, conditions and points.

    Args:
        problems: Names of problems.
        seconds: Wall time of each training.

    Example:
        >>> [recipe.name for recipe in matrix(["wave"], 60.0)][:3]
        ['wave-mlp-soap', 'wave-mlp-ssbroyden', 'wave-modified_mlp-adam']
    """
    known = {recipe.name for recipe in CATALOG}
    measured = {case.recipe.problem for case in MEASURED}
    wanted = (problem for problem in problems if problem not in measured)
    recipes = (r for problem in wanted for r in _of_problem(problem, seconds))
    return tuple({r.name: r for r in recipes if r.name not in known}.values())


def holes(
    problems: Iterable[str], seconds: float, existing: Collection[str] = ()
) -> tuple[Recipe, ...]:
    """The recipes of the matrix that have no entry yet.

    Args:
        problems: Names of problems.
        seconds: Wall time of each training.
        existing: Names of the entries that there are.
    """
    return tuple(recipe for recipe in matrix(problems, seconds) if recipe.name not in existing)


def _of_problem(problem: str, seconds: float) -> Iterator[Recipe]:
    forms = [(arguments, tag) for name, arguments, tag in VARIANTS if name == problem]
    if all(tag for _, tag in forms) and problem != "convection":
        forms.insert(0, ({}, ""))
    accurate = [
        recipe
        for recipe in MOST_ACCURATE
        if recipe.problem == problem and recipe.architecture not in UNFAIR
    ]
    for arguments, tag in forms:
        rows: list[tuple[str, Mapping[str, Any], tuple[str, ...]]] = [
            ("mlp", NETWORK, EVERY_OPTIMIZER),
            (*FURTHER, PAIR),
        ]
        if tag not in [recipe.tag for recipe in accurate]:
            rows += [(*network, PAIR) for network in FITTING.get(problem, OTHERWISE)]
        for architecture, network, optimizers in rows:
            for optimizer in optimizers:
                yield Recipe(
                    problem,
                    architecture,
                    phases_of(optimizer, seconds),
                    problem_arguments=arguments,
                    architecture_arguments=network,
                    points=POINTS,
                    tag=tag,
                )
    for recipe in accurate:
        yield replace(recipe, phases=phases_of("adam", seconds))
