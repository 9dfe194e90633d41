"""Seconds to a relative L2 error of 1e-5 on Burgers' equation, from random parameters.

    python scripts/benchmark_race.py

All contestants train the same network from the same parameters in the same formulation, one after
another in one process: pinnzoo's Levenberg-Marquardt, with points redrawn every few steps, few of
them at first, and with points that stay; optimistix's; optax's L-BFGS and pinnzoo's SSBroyden, both
after a thousand steps of Adam, as SSBroyden's authors use it. These three keep all of their points:
new ones spoil what a quasi-Newton method knows, and optimistix's solver cannot change them; with
half as many SSBroyden ends above the goal. Compilation and the measuring of errors are not counted.
A contestant stops at the goal or after `--budget` seconds; then its time is a lower bound.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import _optimistix
import click
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import pinnzoo
from pinnzoo.cli.commands import SETTINGS, Verb
from pinnzoo.collocation import draw_points
from pinnzoo.domains import residual_adaptive, sample
from pinnzoo.evaluation import error_figures, require_reference
from pinnzoo.objective import EQUATION, Assembly
from pinnzoo.optimizers import Optimizer, make_optimizer
from pinnzoo.pdes import Problem
from pinnzoo.storage.blueprint import build
from pinnzoo.training.loop import COARSENING
from pinnzoo.training.scope import CANDIDATES

RESAMPLE = 5
STAGES = ((40, 400), (None, 1500))
"""Few points find the shape of the solution; they need not hold it."""
CHUNK = 50
"""Steps of a traced optimizer between two looks at the error."""


def stepper(optimizer: Optimizer, chunk: int) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """`(objective, theta, state) -> (theta, state)`: `chunk` steps, or one that calls LAPACK."""
    if not optimizer.traceable:
        return lambda objective, theta, state: optimizer.step(objective, theta, state)[:2]

    @jax.jit
    def many(objective: Any, theta: Any, state: Any) -> Any:
        def once(_: Any, carry: Any) -> Any:
            return optimizer.step(objective, *carry)[:2]

        return jax.lax.fori_loop(0, chunk, once, (theta, state))

    return many


def ours(
    problem: Problem, assembly: Assembly, seed: int, stages: tuple[tuple[int | None, int], ...]
) -> Iterator[Any]:
    """Levenberg-Marquardt on new points every few steps, drawn where the residual is.

    Args:
        problem: What is solved.
        assembly: Network and points, of which the conditions' are kept.
        seed: Seed of the points.
        stages: Pairs of steps and points of the equation, one stage after the other; None is
            without end.
    """
    objective, theta = assembly.objective, assembly.theta
    residual = jax.jit(jax.vmap(objective.terms[0].residual, (None, 0)))
    optimizer = make_optimizer("levenberg_marquardt", {})
    state = optimizer.init(objective, theta)

    def redrawn(draw: int, n: int, theta: Any) -> Any:
        rng = np.random.default_rng([seed, draw])
        candidates = sample(problem.domain, CANDIDATES * n, "sobol", rng)
        values = np.asarray(residual(theta, jnp.asarray(candidates)))
        return objective.with_points({EQUATION: residual_adaptive(candidates, values, n, rng)})

    for _, n in stages:
        optimizer.step(redrawn(0, n, theta), theta, state)
    yield theta
    draws = itertools.count(1)
    for steps, n in stages:
        for k in itertools.count() if steps is None else range(steps):
            if k % RESAMPLE == 0:
                objective = redrawn(next(draws), n, theta)
            theta, state, _ = optimizer.step(objective, theta, state)
            yield theta


def chained(assembly: Assembly, *phases: tuple[str, dict[str, Any], int | None]) -> Iterator[Any]:
    """Optimizers one after another, each for so many chunks of steps, the last without end."""
    objective, theta = assembly.objective, assembly.theta
    optimizers = [make_optimizer(name, arguments) for name, arguments, _ in phases]
    steppers = [stepper(optimizer, CHUNK) for optimizer in optimizers]
    for optimizer, step in zip(optimizers, steppers, strict=True):
        # Twice: what a step returns can be of another (weak) type than what `init` makes.
        warm = step(objective, theta, optimizer.init(objective, theta))
        jax.block_until_ready(step(objective, *warm))
    yield theta
    for optimizer, step, (_, _, chunks) in zip(optimizers, steppers, phases, strict=True):
        state = optimizer.init(objective, theta)
        for _ in itertools.count() if chunks is None else range(chunks):
            theta, state = step(objective, theta, state)
            yield theta


def optimistix_lm(assembly: Assembly) -> Iterator[Any]:
    """Optimistix's LevenbergMarquardt, step by step."""
    initialize, step = _optimistix.levenberg_marquardt(1e-15)
    theta, objective = assembly.theta, assembly.objective
    state = initialize(theta, objective)
    step(theta, objective, state)
    yield theta
    while True:
        theta, state = step(theta, objective, state)
        yield theta


def race(
    steps: Iterator[Any], error: Callable[[Any], float], goal: float, budget: float
) -> tuple[float, float, bool]:
    """Seconds spent in steps, the last error, and whether the goal was reached."""
    next(steps)  # compiles everything, and takes no step
    seconds, last = 0.0, np.inf
    while seconds < budget:
        begun = time.perf_counter()
        theta = jax.block_until_ready(next(steps))
        seconds += time.perf_counter() - begun
        last = error(theta)
        if last <= goal:
            return seconds, last, True
    return seconds, last, False


@click.command(cls=Verb, context_settings=SETTINGS)
@click.option("--width", default=20, help="Neurons of a layer.")
@click.option("--depth", default=3, help="Hidden layers.")
@click.option("--points", default=3000, help="Points of the equation.")
@click.option("--goal", default=1e-5, help="Relative L2 error to reach.")
@click.option("--budget", default=600.0, help="Seconds for each contestant.")
@click.option("--constraints", default="odd", help="soft, hard or odd.")
@click.option("--seed", default=0, help="Seed of parameters and points.")
def main(
    width: int,
    depth: int,
    points: int,
    goal: float,
    budget: float,
    constraints: str,
    seed: int,
) -> None:
    """Print seconds to the goal, and how many times as long as pinnzoo's each one took."""
    pinnzoo.enable_x64()
    recipe = pinnzoo.Recipe(
        "burgers",
        "mlp",
        (pinnzoo.Phase("levenberg_marquardt", 1),),
        problem_arguments={"constraints": constraints},
        architecture_arguments={"width": width, "depth": depth},
        points={"equation": points, "conditions": max(1, points // 20)},
        seed=seed,
    )
    problem, model = build(recipe)
    assembly = pinnzoo.assemble(
        problem, model, draw_points(problem, recipe.points, "sobol", seed, 0)
    )
    grid = problem.evaluation_points(COARSENING)
    reference = require_reference(problem)(grid)
    values = jax.jit(lambda theta: jax.vmap(assembly.field, (None, 0))(theta, jnp.asarray(grid)))

    def error(theta: Any) -> float:
        return error_figures(np.asarray(values(theta)), reference)["relative_l2_error"]

    adam = ("adam", {"learning_rate": 5e-3}, 1000 // CHUNK)
    contestants: dict[str, Callable[[], Iterator[Any]]] = {
        "pinnzoo Levenberg-Marquardt": lambda: ours(problem, assembly, seed, STAGES),
        "pinnzoo Levenberg-Marquardt, points that stay": lambda: chained(
            assembly, ("levenberg_marquardt", {}, None)
        ),
        "pinnzoo SSBroyden": lambda: chained(assembly, adam, ("ssbroyden", {}, None)),
        "optax L-BFGS": lambda: chained(assembly, adam, ("lbfgs", {}, None)),
        "optimistix Levenberg-Marquardt": lambda: optimistix_lm(assembly),
    }
    console = Console()
    table = Table(title=f"Burgers to {goal:g}, {assembly.theta.size:,} parameters, {points} points")
    table.add_column("optimizer")
    table.add_column("seconds", justify="right")
    table.add_column("last error", justify="right")
    table.add_column("times ours", justify="right")
    base = None
    for name, steps in contestants.items():
        seconds, last, reached = race(steps(), error, goal, budget)
        base = seconds if base is None else base
        mark = "" if reached else "> "
        row = (name, f"{mark}{seconds:.1f}", f"{last:.1e}", f"{mark}{seconds / base:.1f}")
        console.print(*row)
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
