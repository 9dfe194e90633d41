"""Time one Levenberg-Marquardt step against optimistix's, on the same problem, in one process.

    python scripts/benchmark_optimizers.py --points 8000 --width 30 --depth 3

Both linearize the residual of Burgers' equation and solve the damped system with the same λ; the
two steps are compared first. Then pinnzoo's step is compared with what no step of its kind can do
without: the Jacobian, one BLAS `dsyrk` for JᵀJ and one LAPACK `dpotrf`, each measured alone. Runs
alternate, and medians are printed, since machines are shared.
"""

import functools
import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
import typer
from rich.console import Console
from rich.table import Table
from scipy.linalg import blas, lapack

import pinnzoo
from pinnzoo.linalg import damped_system
from pinnzoo.optimizers import OPTIMIZERS
from pinnzoo.training import build, draw_points


def blocked_residual(objective: Any, theta: Any, block: int = 128) -> Any:
    """The residual vector, `block` points at a time.

    optimistix pushes all p tangents through the residual at once; with all points at once too, that
    is 80 GB at (n, p) = (8000, 2000). In blocks it fits, and each block stays in the cache.
    """
    return jnp.concatenate(
        [
            term.scale
            * jax.lax.map(functools.partial(term.residual, theta), term.points, batch_size=block)
            for term in objective.terms
        ]
    )


def optimistix_step(residual: Callable[[Any], Any], theta: Any, damping: float) -> Any:
    """The damped Newton step that optimistix's LevenbergMarquardt takes: J by `jac="fwd"`, QR."""
    operator = lx.JacobianLinearOperator(lambda y, _: residual(y), theta)
    information = optx.FunctionInfo.ResidualJac(residual(theta), operator)
    descent = optx.DampedNewtonDescent()
    state = descent.query(theta, information, descent.init(theta, information))
    return descent.step(jnp.asarray(1 / damping), state)[0]


def timed(function: Callable[[], Any]) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - begun


def main(
    points: Annotated[int, typer.Option(help="Rows of the Jacobian.")] = 8000,
    width: Annotated[int, typer.Option(help="Neurons of a layer.")] = 30,
    depth: Annotated[int, typer.Option(help="Hidden layers.")] = 3,
    repeats: Annotated[int, typer.Option(help="Timed runs of each.")] = 3,
    damping: Annotated[float, typer.Option(help="λ of the compared step.")] = 1e-3,
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
    solver = optx.LevenbergMarquardt(rtol=1e-12, atol=1e-12)

    def function(y: Any, args: Any) -> Any:
        return blocked_residual(args, y), None

    def initialize(y: Any, args: Any) -> Any:
        shape = jax.eval_shape(lambda: blocked_residual(args, y))
        return solver.init(function, y, args, {}, shape, None, frozenset())

    state = eqx.filter_jit(initialize)(theta, objective)
    # All of its state is returned: what is not asked for, XLA does not compute.
    whole = eqx.filter_jit(
        lambda y, o, s: eqx.filter(solver.step(function, y, o, {}, s, frozenset()), eqx.is_array)
    )
    theirs = eqx.filter_jit(
        lambda o, t: optimistix_step(functools.partial(blocked_residual, o), t, damping)
    )

    rules = {
        rule: OPTIMIZERS["levenberg_marquardt"](rule=rule, damping=damping)
        for rule in ("search", "paper")
    }
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
        "pinnzoo step, rule 'search'": lambda: rules["search"].step(
            objective, theta, rules["search"].init(objective, theta)
        ),
        "pinnzoo step, rule 'paper'": lambda: rules["paper"].step(
            objective, theta, rules["paper"].init(objective, theta)
        ),
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
    typer.run(main)
