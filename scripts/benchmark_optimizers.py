"""Time one Levenberg-Marquardt step against optimistix's, on the same problem, in one process.

    python scripts/benchmark_optimizers.py --points 8000 --width 30 --depth 3

Both linearize the residual of Burgers' equation and solve the damped system with the same λ; the
two steps are compared first. Then pinnzoo's step is compared with what no step of its kind can do
without: the Jacobian, one BLAS `dsyrk` for JᵀJ and one LAPACK `dpotrf`, each measured alone. Runs
alternate, and medians are printed, since machines are shared. pinnzoo's step is timed where its
first trial is taken, and in a training from its eleventh step on, where some are rejected.
"""

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import click
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
from _optimistix import blocked_residual, levenberg_marquardt
from rich.console import Console
from rich.table import Table
from scipy.linalg import blas, lapack

import pinnzoo
from pinnzoo.cli.commands import SETTINGS, Verb
from pinnzoo.collocation import draw_points
from pinnzoo.linalg import damped_system
from pinnzoo.optimizers import OPTIMIZERS
from pinnzoo.storage.blueprint import build

SETTLED = 10
"""Steps of a training before its steps are timed."""


def optimistix_step(residual: Callable[[Any], Any], theta: Any, damping: float) -> Any:
    """The damped Newton step that optimistix's LevenbergMarquardt takes: J by `jac="fwd"`, QR."""
    operator = lx.JacobianLinearOperator(lambda y, _: residual(y), theta)
    information = optx.FunctionInfo.ResidualJac(residual(theta), operator)
    descent = optx.DampedNewtonDescent()
    state = descent.query(theta, information, descent.init(theta, information))
    return descent.step(jnp.asarray(1 / damping), state)[0]


def training(rule: str, objective: Any, theta: Any, damping: float) -> Callable[[], Any]:
    """Takes the next step of a training at each call, the first ones of which are behind it.

    At first λ is a guess, and a step is spent on finding its size.
    """
    optimizer = OPTIMIZERS["levenberg_marquardt"](rule=rule, damping=damping)
    now = theta, optimizer.init(objective, theta)

    def step() -> Any:
        nonlocal now
        new, state, _ = optimizer.step(objective, *now)
        now = new, state
        return new

    for _ in range(SETTLED):
        step()
    return step


def timed(function: Callable[[], Any]) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - begun


@click.command(cls=Verb, context_settings=SETTINGS)
@click.option("--points", default=8000, help="Rows of the Jacobian.")
@click.option("--width", default=30, help="Neurons of a layer.")
@click.option("--depth", default=3, help="Hidden layers.")
@click.option("--repeats", default=5, help="Timed runs of each.")
@click.option("--damping", default=1e-3, help="λ of the compared step.")
def main(
    points: int,
    width: int,
    depth: int,
    repeats: int,
    damping: float,
) -> None:
    """Print the times and their ratio."""
    pinnzoo.enable_x64()
    recipe = pinnzoo.Recipe(
        "burgers",
        "mlp",
        (pinnzoo.Phase("levenberg_marquardt", 1),),
        architecture_arguments={"width": width, "depth": depth},
    )
    problem, model = build(recipe)
    conditions = max(1, points // 40)
    counts = {"equation": points - 3 * conditions, "conditions": conditions}
    for name in ("left", "right"):
        counts[name] = conditions
    drawn = draw_points(problem, counts, "sobol", 0, 0)
    theta, objective, _ = pinnzoo.assemble(problem, model, drawn)

    linearize = jax.jit(lambda o, t: (o.residual(t), o.jacobian(t, 512)))
    residual, jacobian = linearize(objective, theta)
    ours = damped_system(jacobian, residual, method="qr", scaling=np.ones(theta.size))
    delta = np.asarray(ours.solve(damping))

    # One whole step of each: optimistix's solver as a user runs it, and ours with its search.
    initialize, whole = levenberg_marquardt(1e-12)
    state = initialize(theta, objective)
    theirs = eqx.filter_jit(
        lambda o, t: optimistix_step(functools.partial(blocked_residual, o), t, damping)
    )

    # With λ = 1 the first trial is taken: no step of the kind needs less.
    single = OPTIMIZERS["levenberg_marquardt"](rule="paper", damping=1.0)
    begin = single.init(objective, theta)
    if single.step(objective, theta, begin)[2].damping != 1.0:
        raise RuntimeError("the step with λ = 1 was rejected: choose another seed.")
    rows = np.asarray(jacobian)
    (syrk,) = blas.get_blas_funcs(("syrk",), (rows,))
    (potrf,) = lapack.get_lapack_funcs(("potrf",), (rows,))
    gram = syrk(1.0, rows.T, lower=1) + np.diag(np.full(theta.size, damping))
    jacobian_alone = jax.jit(lambda o, t: o.jacobian(t, 512))
    parts: dict[str, Callable[[], Any]] = {
        "Jacobian": lambda: jacobian_alone(objective, theta),
        "dsyrk": lambda: syrk(1.0, rows.T, lower=1),
        "dpotrf": lambda: potrf(gram, lower=1),
    }
    contestants: dict[str, Callable[[], Any]] = {
        "optimistix LevenbergMarquardt.step": lambda: whole(theta, objective, state),
        "optimistix damped Newton step": lambda: theirs(objective, theta),
        "pinnzoo step, one trial": lambda: single.step(objective, theta, begin),
        "pinnzoo, rule 'paper', in training": training("paper", objective, theta, damping),
        "pinnzoo, rule 'search', in training": training("search", objective, theta, damping),
    }
    everything = contestants | parts
    for run in everything.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in everything}
    for _ in range(repeats):
        for name, run in everything.items():
            seconds[name].append(timed(run))

    agreement = float(
        np.linalg.norm(delta - np.asarray(theirs(objective, theta))) / np.linalg.norm(delta)
    )
    median = {name: statistics.median(values) for name, values in seconds.items()}
    base = median["optimistix LevenbergMarquardt.step"]
    table = Table(title=f"One step, {theta.size:,} parameters, {objective.n:,} rows, float64")
    table.add_column("step")
    table.add_column("median, s", justify="right")
    table.add_column("optimistix / this", justify="right")
    table.add_column("this / (Jacobian + dsyrk + dpotrf)", justify="right")
    limit = sum(median[name] for name in parts)
    for name, value in median.items():
        table.add_row(name, f"{value:.3f}", f"{base / value:.1f}", f"{value / limit:.2f}")
    console = Console()
    console.print(table)
    console.print(f"The damped steps at λ = {damping:g} agree to {agreement:.1e}.")


if __name__ == "__main__":
    main()
