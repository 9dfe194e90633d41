"""Compare what an accelerator computes with what the processor of the same machine computes.

    python scripts/check_device.py --platform cuda --entries "kovasznay-*"

Everything is done once on each, in a process of its own: published entries are loaded with all
their checks, each optimizer takes some steps, Levenberg-Marquardt by each factorization and with
its points spread over all devices, kernels and Hessians are computed, a float32 network predicts,
and a step of Levenberg-Marquardt is timed at a common size. What is compared is printed side by
side; a difference above its bound ends the script with status 1.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from rich.console import Console
from rich.table import Table

import pinnzoo
from pinnzoo.cli.commands import SETTINGS, Verb
from pinnzoo.collocation import draw_points
from pinnzoo.diagnostics import DIAGNOSTICS
from pinnzoo.optimizers import OPTIMIZERS, make_optimizer
from pinnzoo.sharding import make_mesh, shard
from pinnzoo.storage.blueprint import build

CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"

STEPS = 5
"""Of each optimizer: longer runs amplify rounding, and are then different runs."""

METHODS = ("cholesky", "kernel", "qr")
WIDTHS = {"small": {"width": 10, "depth": 2}, "large": {"width": 30, "depth": 3}}
BOUND = 1e-6
"""Largest relative difference, where none is stated below."""
BOUNDS = {"float32": 1e-4, "soap": 1e-2, "diagnostics": 1e-3, "entry": 1e-2}
"""The same, by the first word of a check. Equal eigenvalues have no eigenvectors of their own, and
SOAP steps along those that it got; the ends of spectra are those of iterations; errors of some
entries are near rounding."""
SMALL = 1e-3
"""Numbers below this share of the largest one are compared with that share of it."""


def _start(size: str, rows: int) -> tuple[Any, Any]:
    recipe = pinnzoo.Recipe(
        "burgers",
        "mlp",
        (pinnzoo.Phase("levenberg_marquardt", 1),),
        architecture_arguments=WIDTHS[size],
    )
    problem, model = build(recipe)
    counts = dict.fromkeys(problem.terms, rows // 40) | {"equation": rows - 3 * (rows // 40)}
    theta, objective, _ = pinnzoo.assemble(
        problem, model, draw_points(problem, counts, "sobol", 0, 0)
    )
    return theta, objective


def _loss_after(optimizer: Any, theta: Any, objective: Any) -> float:
    step = jax.jit(optimizer.step) if optimizer.traceable else optimizer.step
    state = optimizer.init(objective, theta)
    for _ in range(STEPS):
        theta, state, _ = step(objective, theta, state)
    return float(objective.loss(theta))


def _optimizer(name: str, arguments: dict[str, Any], *, spread: bool = False) -> float:
    theta, objective = _start("small", 400)
    if spread:
        objective = shard(objective, make_mesh())
    return _loss_after(make_optimizer(name, arguments), theta, objective)


def _entry(folder: Path) -> list[float]:
    entry = pinnzoo.load(folder, verify="all")
    errors = pinnzoo.evaluate(entry)
    return [float(errors["relative_l2_error"])]


def _diagnostics() -> list[float]:
    recipe = pinnzoo.Recipe(
        "burgers",
        "mlp",
        (pinnzoo.Phase("adam", 20),),
        architecture_arguments=WIDTHS["small"],
        points={"equation": 200, "conditions": 20},
    )
    metrics = pinnzoo.train(recipe, diagnostics=True).metrics
    blocks = [metrics[name] for name in sorted(DIAGNOSTICS) if name in metrics]
    return [x for x in map(float, jax.tree.leaves(blocks)) if np.isfinite(x) and x]


def _single() -> list[float]:
    with jax.enable_x64(False):
        recipe = pinnzoo.Recipe(
            "burgers",
            "mlp",
            (pinnzoo.Phase("adam", 1),),
            dtype="float32",
            architecture_arguments=WIDTHS["large"],
        )
        _, model = build(recipe)
        points = jnp.linspace(-0.9, 0.9, 200, dtype=jnp.float32).reshape(100, 2)
        return np.asarray(nnx.jit(lambda m, x: m(x))(model, points), np.float64).ravel().tolist()


def _times(chunk: int, method: str) -> list[float]:
    """Seconds of the first step, which compiles, and the median of five more."""
    theta, objective = _start("large", 8000)
    optimizer = make_optimizer("levenberg_marquardt", {"chunk": chunk, "method": method})
    state, taken = optimizer.init(objective, theta), []
    for _ in range(6):
        begun = time.perf_counter()
        theta, state, _ = optimizer.step(objective, theta, state)
        jax.block_until_ready(theta)
        taken.append(time.perf_counter() - begun)
    return [taken[0], float(np.median(taken[1:]))]


def checks(entries: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every check with its name."""
    lm = "levenberg_marquardt"
    yield "float32 network", _single
    for method in METHODS:
        yield f"{lm}, {method}", lambda method=method: _optimizer(lm, {"method": method})
        arguments = {"method": method, "scaling": "columns"}
        yield f"{lm}, {method}, scaled", lambda arguments=arguments: _optimizer(lm, arguments)
    yield f"{lm}, paper's rule", lambda: _optimizer(lm, {"rule": "paper"})
    yield f"{lm}, spread", lambda: _optimizer(lm, {}, spread=True)
    yield f"{lm}, in blocks", lambda: _optimizer(lm, {"memory": 1e-4})
    for chunk in (512, 8192):
        for method in ("cholesky", "qr"):
            yield f"seconds {method}, chunk {chunk}", lambda c=chunk, m=method: _times(c, m)
    for name in OPTIMIZERS:
        if name != lm:
            yield name, lambda name=name: _optimizer(name, {})
    yield "diagnostics", _diagnostics
    for folder in sorted(CHECKPOINTS.glob(f"{entries}/manifest.json")):
        yield f"entry {folder.parent.name}", lambda folder=folder: _entry(folder.parent)


def work(out: Path, entries: str) -> None:
    """Do every check here, and keep the numbers, or what went wrong, as they come."""
    pinnzoo.enable_x64()
    found: dict[str, Any] = {"device": str(jax.devices()[0])}
    for name, check in checks(entries):
        begun = time.perf_counter()
        try:
            found[name] = np.atleast_1d(np.asarray(check(), float)).tolist()
        except Exception:
            found[name] = traceback.format_exc(limit=-6)
        print(f"{jax.default_backend()}: {name}: {time.perf_counter() - begun:.1f} s", flush=True)
        out.write_text(json.dumps(found))


def difference(a: Any, b: Any) -> float:
    """The largest relative difference; infinite where one has failed."""
    if isinstance(a, str) or isinstance(b, str) or len(a) != len(b):
        return np.inf
    sizes = np.maximum(np.abs(a), np.abs(b))
    largest = sizes.max(initial=0.0)
    if largest == 0:
        return 0.0
    return float(np.max(np.abs(np.subtract(a, b)) / np.maximum(sizes, SMALL * largest)))


def _numbers(path: Path) -> dict[str, Any]:
    """What a worker has found out, even if it did not come to its end."""
    return json.loads(path.read_text()) if path.is_file() else {}


@click.command(cls=Verb, context_settings=SETTINGS)
@click.option("--platform", default="cuda", help="JAX's name of the accelerator.")
@click.option("--entries", default="burgers-mlp-*", help="Entries that are loaded.")
@click.option("--out", type=Path, help="Folder for the numbers; none are kept by default.")
@click.option("--worker", is_flag=True, hidden=True)
def main(
    platform: str,
    entries: str,
    out: Path | None,
    worker: bool,
) -> None:
    """Compare and print; all but the entries takes some minutes."""
    if worker:
        assert out is not None
        work(out, entries)
        return
    if platform == "cpu":
        sys.exit("give the platform of an accelerator: it is compared with the CPU.")
    with tempfile.TemporaryDirectory(prefix="pinnzoo-device-") as temporary:
        folder = out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        files = {name: folder / f"{name}.json" for name in ("cpu", platform)}
        for name, path in files.items():
            path.unlink(missing_ok=True)
            command = [sys.executable, __file__, "--worker", "--out", str(path)]
            command += ["--entries", entries]
            subprocess.run(command, env=os.environ | {"JAX_PLATFORMS": name}, check=False)
        ours, theirs = map(_numbers, files.values())
    sys.exit(0 if compare(ours, theirs) else 1)


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Print both side by side; whether all differences are within their bounds."""
    devices = [numbers.pop("device", "no device") for numbers in (theirs, ours)]
    table = Table(title=" against ".join(devices))
    for column in ("check", "difference", "allowed", ""):
        table.add_column(column)
    good = bool(ours)
    for name, numbers in ours.items():
        other = theirs.get(name, "not done")
        failures = [given for given in (numbers, other) if isinstance(given, str)]
        for failure in failures:
            print(name, failure, sep="\n")
        if name.startswith("seconds") and not failures:
            pairs = zip(("first", "next"), other, numbers, strict=True)
            table.add_row(name, *(f"{when}: {a:.3f} s, {b:.3f} s" for when, a, b in pairs), "")
            continue
        gap, bound = difference(numbers, other), BOUNDS.get(name.split()[0], BOUND)
        good &= gap <= bound
        table.add_row(name, f"{gap:.1e}", f"{bound:.0e}", "" if gap <= bound else "DIFFERS")
    Console(width=120).print(table)
    return good


if __name__ == "__main__":
    main()
