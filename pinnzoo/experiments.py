"""The trainings of arXiv 2402.03864, section 4 and appendix G, by figure; see `pinnzoo.paper`.

What the paper states is kept: problems, the network of five layers of twenty tanh neurons, Xavier
initialisation, points from a Latin hypercube, and 1,000 steps of its Levenberg-Marquardt
algorithm. What it leaves out was chosen here once, for all problems alike: learning rates,
precision (float64), Fourier features, and the weights of the conditions, which are one. Adam takes
fewer steps than in the paper, so that five seeds of everything fit in a night on two cores; the
constants below say how many. Imports no JAX.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pinnzoo.recipes import Phase, Recipe

SEEDS = 5

NETWORK = {"width": 20, "depth": 5}

POISSON_POINTS = {"equation": 1000, "conditions": 1}
"""As in the paper."""

SPACE_TIME_POINTS = {"equation": 10_000, "conditions": 1000}
"""As in the paper: 3,000 in all on the conditions of Burgers. With a fifth of them every optimizer
fits the points and misses the layer of Burgers between them."""

CONVECTION_POINTS = {"equation": 2000, "conditions": 200}
"""Not stated in the paper."""

ADAM_STEPS, CONVECTION_ADAM_STEPS = 40_000, 20_000
"""The paper: 100,000."""

LM_STEPS = 1000
LBFGS_STEPS = 5000

ADAM = Phase(
    "adam", ADAM_STEPS, {"learning_rate": 1e-3, "decay_rate": 0.9, "decay_steps": ADAM_STEPS // 20}
)
BALANCED = replace(ADAM, weighting="ntk_trace", reweigh_every=500)
LBFGS = Phase("lbfgs", LBFGS_STEPS)
LM = Phase("levenberg_marquardt", LM_STEPS, {"rule": "paper"})

POISSON_FEATURES = {**NETWORK, "features": 10, "scale": 40.0}
"""Half of the frequencies are below that of the ripple, 25π on the normalized interval."""

BETAS = (10.0, 20.0, 30.0, 50.0, 70.0, 100.0)
CURRICULUM = 10.0
"""Step of the curriculum in β: every stage begins where the one before ended."""


def _recipe(
    problem: str,
    points: dict[str, int],
    *phases: Phase,
    architecture: str = "mlp",
    network: dict[str, Any] = NETWORK,
    tag: str = "paper",
    **options: Any,
) -> Recipe:
    return Recipe(
        problem,
        architecture,
        phases,
        architecture_arguments=network,
        points=points,
        sampler="latin_hypercube",
        tag=tag,
        **options,
    )


def _with_features(*phases: Phase) -> Recipe:
    return _recipe(
        "poisson", POISSON_POINTS, *phases, architecture="fourier_mlp", network=POISSON_FEATURES
    )


def _three(problem: str, points: dict[str, int]) -> dict[str, Recipe]:
    return {
        "Adam": _recipe(problem, points, ADAM),
        "L-BFGS": _recipe(problem, points, LBFGS),
        "LM": _recipe(problem, points, LM),
    }


def _curriculum(phase: Phase, beta: float) -> tuple[Phase, ...]:
    """The phase's steps, divided among the stages up to β."""
    count = max(1, round(beta / CURRICULUM))
    stages = [beta * (k + 1) / count for k in range(count)]
    return tuple(
        replace(
            phase,
            steps=phase.steps // count,
            problem_arguments={"beta": stage} if stage < beta else {},
        )
        for stage in stages
    )


def _convection(phase: Phase, beta: float, *, curriculum: bool) -> Recipe:
    phases = _curriculum(phase, beta) if curriculum else (phase,)
    tag = f"paper.beta{beta:g}" + (".curriculum" if curriculum else "")
    return _recipe(
        "convection", CONVECTION_POINTS, *phases, tag=tag, problem_arguments={"beta": beta}
    )


CONVECTION_ADAM = Phase(
    "adam",
    CONVECTION_ADAM_STEPS,
    {"learning_rate": 1e-3, "decay_rate": 0.9, "decay_steps": CONVECTION_ADAM_STEPS // 20},
)

FIGURES: Mapping[str, Mapping[str, Recipe]] = {
    "3a": {
        "Adam": _recipe("poisson", POISSON_POINTS, ADAM),
        "Adam, Fourier features": _with_features(ADAM),
        "Adam, loss balancing": _recipe("poisson", POISSON_POINTS, BALANCED, tag="paper.balanced"),
        "L-BFGS": _recipe("poisson", POISSON_POINTS, LBFGS),
        "LM": _recipe("poisson", POISSON_POINTS, LM),
        "LM, Fourier features": _with_features(LM),
    },
    "3b": {
        f"{label}, β = {beta:g}": _convection(phase, beta, curriculum=curriculum)
        for beta in BETAS
        for label, phase, curriculum in (
            ("Adam", CONVECTION_ADAM, False),
            ("Adam, curriculum", CONVECTION_ADAM, True),
            ("LM", LM, False),
            ("LM, curriculum", LM, True),
        )
    },
    "4a": _three("burgers", SPACE_TIME_POINTS),
    "5": _three("wave", SPACE_TIME_POINTS),
}
"""Recipes by figure of the paper and by the name that the figure gives them; seed 0."""


def all_recipes() -> tuple[Recipe, ...]:
    """Every recipe once."""
    return tuple(recipe for recipes in FIGURES.values() for recipe in recipes.values())
