"""Time what a Levenberg-Marquardt step is made of against points, parameters and devices.

    python scripts/benchmark_scaling.py --points 1000 --points 2000 --devices 1 --devices 4

Three tables, for Burgers' equation in float64. Each varies one quantity and holds the others at the
first value given. On a CPU the devices are forced host devices, which share its cores: there the
third table shows what sharding costs, and on accelerators what it saves. Columns, in milliseconds:

- residual: r on all points.
- Jacobian: its rows, left where they were computed.
- rows: the same and what hands them to the factorization. On a mesh that is a QR of each device's
  rows and a gather of the triangles (`pinnzoo.sharding.reduced_rows`); without one, nothing more.
- Cholesky, QR: factorization of these rows, and the solve for one damping.
- step: a whole step of `levenberg_marquardt`, with its search over dampings. How many trials that
  takes depends on the problem, so it need not grow smoothly.

The last row of the first two tables is the exponent of a power law through the column. All
configurations of all tables take turns, and medians are printed, since machines are shared.
"""

import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import jax
import numpy as np
from jax.sharding import PartitionSpec
from rich.console import Console
from rich.table import Table

import pinnzoo
from pinnzoo.cli.commands import SETTINGS, Verb
from pinnzoo.collocation import draw_points
from pinnzoo.linalg import damped_system
from pinnzoo.optimizers import make_optimizer
from pinnzoo.sharding import make_mesh, reduced_rows, shard
from pinnzoo.storage.blueprint import build

COLUMNS = ("residual", "Jacobian", "rows", "Cholesky", "QR", "step")
CHUNK = 512
DAMPING = 1e-3
UNBOUNDED = 2**31


@dataclass(frozen=True)
class Size:
    """One row of a table.

    Attributes:
        points: Rows of the Jacobian.
        width: Neurons of a layer.
        devices: Size of the mesh, 0 for no mesh.
    """

    points: int
    width: int
    devices: int


def timed(function: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    begun = time.perf_counter()
    jax.block_until_ready(function())
    return 1e3 * (time.perf_counter() - begun)


def contestants(size: Size, depth: int) -> tuple[int, dict[str, Callable[[], Any]]]:
    """The number of parameters, and what is timed, by column."""
    recipe = pinnzoo.Recipe(
        "burgers",
        "mlp",
        (pinnzoo.Phase("levenberg_marquardt", 1),),
        architecture_arguments={"width": size.width, "depth": depth},
    )
    problem, model = build(recipe)
    conditions = max(1, size.points // 40)
    names = [name for name in problem.terms if name != "equation"]
    counts = {"equation": size.points - len(names) * conditions} | dict.fromkeys(names, conditions)
    theta, objective, _ = pinnzoo.assemble(
        problem, model, draw_points(problem, counts, "sobol", 0, 0)
    )
    jacobian = jax.jit(lambda o, t: o.jacobian(t, CHUNK))
    if size.devices:
        mesh = make_mesh(jax.devices()[: size.devices])
        objective = shard(objective, mesh)
        jacobian = jax.jit(
            jax.shard_map(
                lambda o, t: o.jacobian(t, CHUNK),
                mesh=mesh,
                in_specs=(PartitionSpec("points"), PartitionSpec()),
                out_specs=PartitionSpec("points"),
                check_vma=False,
            )
        )
    residual = jax.jit(lambda o, t: o.residual(t))

    def rows() -> tuple[Any, Any]:
        if size.devices:
            return reduced_rows(objective, theta, CHUNK, UNBOUNDED)[:2]
        return jacobian(objective, theta), residual(objective, theta)

    reduced, right = rows()
    ones = np.ones(theta.size)

    def solve(method: str) -> Any:
        return damped_system(reduced, right, method=method, scaling=ones).solve(DAMPING)

    optimizer = make_optimizer("levenberg_marquardt", {"damping": DAMPING})
    return theta.size, {
        "residual": lambda: residual(objective, theta),
        "Jacobian": lambda: jacobian(objective, theta),
        "rows": rows,
        "Cholesky": lambda: solve("cholesky"),
        "QR": lambda: solve("qr"),
        "step": lambda: optimizer.step(objective, theta, optimizer.init(objective, theta))[0],
    }


def exponents(sizes: list[int], rows: list[dict[str, float]]) -> list[str]:
    """Slope of each column in double logarithmic axes."""
    return [
        f"{np.polyfit(np.log(sizes), np.log([row[name] for row in rows]), 1)[0]:.1f}"
        for name in COLUMNS
    ]


@click.command(cls=Verb, context_settings=SETTINGS)
@click.option(
    "--points", type=int, multiple=True, default=[1000, 2000, 4000], help="Rows of the Jacobian."
)
@click.option("--width", type=int, multiple=True, default=[15, 20, 30], help="Neurons of a layer.")
@click.option("--devices", type=int, multiple=True, default=[1, 2, 4], help="Devices of the mesh.")
@click.option("--depth", default=3, help="Hidden layers.")
@click.option("--repeats", default=5, help="Timed runs of each.")
def main(
    points: tuple[int, ...],
    width: tuple[int, ...],
    devices: tuple[int, ...],
    depth: int,
    repeats: int,
) -> None:
    """Print the three tables."""
    jax.config.update("jax_num_cpu_devices", max(devices))
    pinnzoo.enable_x64()
    sweeps = {
        "points": [Size(n, width[0], 0) for n in points],
        "parameters": [Size(points[0], w, 0) for w in width],
        "devices": [Size(points[0], width[0], count) for count in (0, *devices)],
    }
    # A configuration that several tables share is measured once.
    runs = {
        size: contestants(size, depth) for size in dict.fromkeys(itertools.chain(*sweeps.values()))
    }
    for _, timings in runs.values():
        for run in timings.values():
            run()
    taken: dict[tuple[Size, str], list[float]] = {}
    for _ in range(repeats):
        for size, (_, timings) in runs.items():
            for name, run in timings.items():
                taken.setdefault((size, name), []).append(timed(run))

    console = Console()
    for varied, sizes in sweeps.items():
        first, parameters = sizes[0], runs[sizes[0]][0]
        held = {"points": f"{first.points:,} points", "parameters": f"{parameters:,} parameters"}
        held.pop(varied, None)
        table = Table(title=f"ms against {varied}: " + ", ".join(held.values()))
        for name in (varied, *COLUMNS):
            table.add_column(name, justify="right")
        medians = [
            {name: statistics.median(taken[size, name]) for name in COLUMNS} for size in sizes
        ]
        for size, row in zip(sizes, medians, strict=True):
            label = {
                "points": f"{size.points:,}",
                "parameters": f"{runs[size][0]:,}",
                "devices": f"{size.devices}" if size.devices else "no mesh",
            }[varied]
            table.add_row(label, *(f"{row[name]:.1f}" for name in COLUMNS))
        if varied != "devices" and len(sizes) > 1:
            along = [size.points if varied == "points" else runs[size][0] for size in sizes]
            table.add_row("exponent", *exponents(along, medians), style="dim")
        console.print(table)
    console.print(f"{jax.devices()[0].device_kind}, medians of {repeats}.")


if __name__ == "__main__":
    main()
