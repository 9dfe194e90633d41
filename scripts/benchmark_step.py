"""Time a step of Levenberg-Marquardt against the two factorizations that it cannot do without.

    OPENBLAS_NUM_THREADS=1 taskset -c 0 python scripts/benchmark_step.py --rows 8000

For each problem, a 3 x 30 tanh network is trained for some steps, and the next step is then timed
again and again, from the same parameters, together with the `dsyrk` of its Jacobian and the
`dpotrf` of the matrix that comes out: all take turns in one process, and medians are printed in
milliseconds of processor time, so that a busy machine counts less. Columns:

- p: number of parameters.
- Jacobian: r and J on all points.
- residual: r alone; a step needs several, for the trials and for their corrections.
- dsyrk, dpotrf: those of BLAS and LAPACK on J.
- step: all of it, with its search over dampings.
- ratio: step / (dsyrk + dpotrf). Where the search tries several dampings, the step has more than
  one `dpotrf`.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import click
import jax
import numpy as np
import scipy.linalg
from rich.console import Console
from rich.table import Table
from scipy.linalg.blas import get_blas_funcs

import pinnzoo
from pinnzoo.cli.commands import SETTINGS, Verb
from pinnzoo.collocation import draw_points
from pinnzoo.objective import residual_and_loss
from pinnzoo.optimizers import make_optimizer
from pinnzoo.storage.blueprint import build

COLUMNS = ("Jacobian", "residual", "dsyrk", "dpotrf", "step")
CHUNK = 512


def timed(function: Callable[[], Any]) -> float:
    """Milliseconds of processor time of one call."""
    begun = time.process_time()
    jax.block_until_ready(function())
    return 1e3 * (time.process_time() - begun)


def contestants(name: str, rows: int, steps: int) -> tuple[int, dict[str, Callable[[], Any]]]:
    """The number of parameters, and what is timed, by column."""
    recipe = pinnzoo.Recipe(
        name,
        "mlp",
        (pinnzoo.Phase("levenberg_marquardt", 1),),
        architecture_arguments={"width": 30, "depth": 3},
    )
    problem, model = build(recipe)
    equations = [c for c, term in problem.terms.items() if term.region == problem.domain]
    others = [c for c in problem.terms if c not in equations]
    each = rows // 40
    counts = dict.fromkeys(others, each)
    counts |= dict.fromkeys(equations, (rows - each * len(others)) // len(equations))
    theta, objective, _ = pinnzoo.assemble(
        problem, model, draw_points(problem, counts, "sobol", 0, 0)
    )
    optimizer = make_optimizer("levenberg_marquardt", {})
    state = optimizer.init(objective, theta)
    for _ in range(steps):
        theta, state, _ = optimizer.step(objective, theta, state)
    linearize = jax.jit(lambda o, t: o.linearize(t, CHUNK))
    jacobian = np.asarray(linearize(objective, theta)[1])
    (syrk,) = get_blas_funcs(("syrk",), (jacobian,))
    matrix = syrk(1.0, jacobian.T, lower=1)
    matrix[np.diag_indices_from(matrix)] += float(state.damping)
    return theta.size, {
        "Jacobian": lambda: linearize(objective, theta),
        "residual": lambda: residual_and_loss(objective, theta),
        "dsyrk": lambda: syrk(1.0, jacobian.T, lower=1),
        "dpotrf": lambda: scipy.linalg.cho_factor(matrix, lower=True, check_finite=False),
        "step": lambda: optimizer.step(objective, theta, state)[0],
    }


@click.command(cls=Verb, context_settings=SETTINGS)
@click.option("--problem", multiple=True, default=["burgers", "kovasznay"], help="What is solved.")
@click.option("--rows", default=8000, help="Rows of the Jacobian, about.")
@click.option("--steps", default=5, help="Steps before the one that is timed.")
@click.option("--repeats", default=7, help="Timed runs of each.")
def main(
    problem: tuple[str, ...],
    rows: int,
    steps: int,
    repeats: int,
) -> None:
    """Print one row per problem."""
    pinnzoo.enable_x64()
    table = Table(title=f"ms of processor time, {rows:,} rows, medians of {repeats}")
    for column in ("problem", "p", *COLUMNS, "ratio"):
        table.add_column(column, justify="left" if column == "problem" else "right")
    for name in problem:
        parameters, runs = contestants(name, rows, steps)
        taken: dict[str, list[float]] = {column: [] for column in COLUMNS}
        for run in runs.values():
            run()
        for _ in range(repeats):
            for column, run in runs.items():
                taken[column].append(timed(run))
        median = {column: statistics.median(times) for column, times in taken.items()}
        ratio = median["step"] / (median["dsyrk"] + median["dpotrf"])
        cells = [f"{median[column]:.0f}" for column in COLUMNS]
        table.add_row(name, f"{parameters:,}", *cells, f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
