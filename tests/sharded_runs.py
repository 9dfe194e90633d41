"""The same computations on a plain and on a sharded objective, in one process of a mesh.

    python -m tests.sharded_runs FOLDER PROCESS PROCESSES PORT

The forced host devices of all processes make up the mesh. What came out goes to
`FOLDER/PROCESS.npz`, under "sharded/..." and, of a process that is alone, under "plain/...".
"""

import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import pinnzoo
from pinnzoo import Phase, Recipe
from pinnzoo.objective import Objective, Term
from pinnzoo.optimizers import make_optimizer
from pinnzoo.sharding import make_mesh, reduced_rows, shard

STEPS = 4
PARAMETERS = 25
ROW = 8 * PARAMETERS
BUDGET = 20
"""Rows of J that a device may hold in the runs with folding; it has more."""

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "adam": ("adam", {"learning_rate": 1e-2}),
    "lbfgs": ("lbfgs", {}),
    "lm": ("levenberg_marquardt", {}),
    "lm_paper_columns": ("levenberg_marquardt", {"rule": "paper", "scaling": "columns"}),
    "lm_qr": ("levenberg_marquardt", {"method": "qr"}),
}

RECIPE = Recipe(
    "heat",
    "mlp",
    (
        Phase("adam", 3, {"learning_rate": 5e-3}, resample_every=2),
        # An hour is not reached, but the processes have to agree on that.
        Phase(
            "levenberg_marquardt",
            3,
            points={"equation": 30},
            resample_every=2,
            adaptive=True,
            seconds=3600.0,
        ),
    ),
    architecture_arguments={"width": 6, "depth": 1},
    points={"equation": 21, "conditions": 5},
)

WINDOWS = Recipe(
    "heat",
    "tangent_mlp",
    (
        Phase("levenberg_marquardt", 2, part=0),
        Phase("levenberg_marquardt", 2, part=1, warm_start=True),
    ),
    architecture_arguments={"windows": 2, "tangent": False, "width": 4, "depth": 1},
    points={"equation": 13, "conditions": 3},
)


def misfit(theta: Any, z: Any) -> Any:
    """A hidden layer of six neurons, minus a function of two coordinates."""
    hidden = jnp.tanh(z @ theta[:12].reshape(2, 6) + theta[12:18])
    return hidden @ theta[18:24] + theta[24] - jnp.sin(3 * z[0]) * z[1]


def regression(n: int) -> tuple[Any, Objective]:
    """Two terms, which compile faster than an equation; training below has one."""
    rng = np.random.default_rng(0)
    terms = tuple(
        Term(jnp.asarray(rng.uniform(-1, 1, (k, 2))), jnp.asarray(k**-0.5), name, misfit)
        for name, k in (("equation", n), ("initial", n // 2))
    )
    return jnp.asarray(0.7 * rng.normal(size=PARAMETERS)), Objective(terms)


def steps(objective: Objective, theta: Any, name: str, **more: Any) -> dict[str, np.ndarray]:
    """Parameters and losses of a few steps."""
    method, arguments = OPTIMIZERS[name]
    optimizer = make_optimizer(method, arguments | more)

    def one(objective: Objective, carry: tuple) -> tuple:
        theta, state, info = optimizer.step(objective, *carry)
        return (theta, state), (theta, info.loss)

    @jax.jit
    def all_at_once(objective: Objective, carry: tuple) -> tuple:
        return jax.lax.scan(lambda c, _: one(objective, c), carry, length=STEPS)[1]

    carry = (theta, optimizer.init(objective, theta))
    if optimizer.traceable:
        thetas, losses = all_at_once(objective, carry)
    else:
        thetas, losses = [], []
        for _ in range(STEPS):
            carry, (theta, loss) = one(objective, carry)
            thetas.append(np.asarray(theta))
            losses.append(loss)
    return {f"{name}/theta": np.asarray(thetas), f"{name}/loss": np.asarray(losses)}


def trained(folder: Path, **arguments: Any) -> dict[str, np.ndarray]:
    """What a training arrives at, and the same once more from what it saved."""
    # The diagnostics at the end know of no mesh, and compiling them takes the longest.
    arguments |= {"workdir": folder, "diagnostics": False}
    run = pinnzoo.train(RECIPE, save_every=0.0, **arguments)
    again = pinnzoo.train(RECIPE, **arguments)
    return {
        "train/theta": np.asarray(run.theta),
        "train/resumed_theta": np.asarray(again.theta),
        "train/loss": np.asarray(run.history["loss"]),
        "train/relative_l2_error": np.asarray(run.history["relative_l2_error"]),
    }


def main(folder: Path, process: int, processes: int, port: int) -> None:
    """Compute everything, and save it."""
    pinnzoo.enable_x64()
    if processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"127.0.0.1:{port}", processes, process)
    mesh = make_mesh()
    assert mesh.size == 4
    alone = processes == 1
    whole = NamedSharding(mesh, PartitionSpec())
    values = jax.jit(
        lambda o, t: {
            "residual": o.residual(t),
            "loss": o.loss(t),
            "gradient": jax.grad(o.loss)(t),
            "points": o.terms[0].points,
            "scale": jnp.broadcast_to(o.terms[0].scale, (o.terms[0].n,)),
        },
        out_shardings=whole,
    )
    out: dict[str, Any] = {}

    def compare_rows(name: str, plain: Objective, sharded: Objective, **limits: int) -> None:
        if alone:
            dense = np.asarray(jax.jit(lambda o, t: o.jacobian(t))(plain, theta))
            out[f"plain/{name}/gauss_newton"] = dense.T @ dense
            out[f"plain/{name}/gradient"] = dense.T @ np.asarray(plain.residual(theta))
            out[f"plain/{name}/loss"] = np.full(2, plain.loss(theta))
        rows, right, loss = reduced_rows(sharded, theta, **limits)
        out[f"sharded/{name}/gauss_newton"] = np.asarray(rows.T @ rows)
        out[f"sharded/{name}/gradient"] = np.asarray(rows.T @ right)
        out[f"sharded/{name}/loss"] = np.array([0.5 * float(right @ right), loss])
        out[f"sharded/{name}/rows"] = np.array([len(rows), sharded.n])

    # Axes by any name, of the kind that asks for explicit layouts, serve as well.
    other = jax.make_mesh((2, 2), ("hosts", "chips"))
    theta, plain = regression(13)
    compare_rows("wide", plain, shard(plain, other), chunk=8, budget=10**6)
    theta, plain = regression(101)
    sharded = shard(plain, mesh)
    compare_rows("tall", plain, sharded, chunk=512, budget=int(4 * 2**30 / ROW))
    compare_rows("folded", plain, sharded, chunk=8, budget=BUDGET)
    for kind, objective in (("plain", plain), ("sharded", sharded))[not alone :]:
        for name, value in values(objective, theta).items():
            out[f"{kind}/{name}"] = np.asarray(value)
        out[f"{kind}/counts"] = np.array([term.n for term in objective.terms])
    for name in OPTIMIZERS:
        more = {"memory": BUDGET * ROW / 2**30, "chunk": 8} if name == "lm_qr" else {}
        several = steps(sharded, theta, name, **more)
        out |= {f"sharded/{key}": value for key, value in several.items()}
        if alone:
            one = steps(plain, theta, name)
            out |= {f"plain/{key}": value for key, value in one.items()}
    arguments: dict[str, Any]
    for kind, arguments in (("plain", {}), ("sharded", {"mesh": mesh}))[not alone :]:
        run = trained(folder / kind, **arguments)
        out |= {f"{kind}/{key}": value for key, value in run.items()}
        windows = pinnzoo.train(WINDOWS, diagnostics=False, **arguments)
        out[f"{kind}/windows/theta"] = np.asarray(windows.theta)
    np.savez(folder / f"{process}.npz", **out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
