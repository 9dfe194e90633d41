"""Stand-in entries: a tiny network, a made-up training, and figures that are easy to recognize."""

import dataclasses
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from pinnzoo import evaluate_function
from pinnzoo.architectures import MLP
from pinnzoo.diagnostics.ntk import ntk_snapshots
from pinnzoo.diagnostics.report import ntk_report
from pinnzoo.domains import sample
from pinnzoo.objective import assemble, regions
from pinnzoo.pdes import Problem, make_problem
from pinnzoo.recipes import Phase, Recipe
from pinnzoo.storage.folder import (
    CONFIG,
    FILES,
    FOLDER_FORMAT,
    MANIFEST,
    METRICS,
    TREES,
    Manifest,
    manifest_json,
    record,
)
from pinnzoo.storage.metrics import METRICS_FORMAT, ErrorFigures, to_json, validate

STEPS = (0, 1, 10, 30)


def tiny_recipe(problem="heat", optimizer="levenberg_marquardt", **changes) -> Recipe:
    phases = (Phase("adam", 20, {"learning_rate": 0.01}), Phase(optimizer, 10))
    recipe = Recipe(
        problem,
        "mlp",
        phases,
        architecture_arguments={"width": 8, "depth": 2},
        points={"equation": 16, "conditions": 4},
    )
    return dataclasses.replace(recipe, **changes)


def posed(problem: str, constraints: str) -> Problem:
    """The problem; not all of them can have hard constraints, so soft ones are not spelled out."""
    return make_problem(problem, {} if constraints == "soft" else {"constraints": constraints})


@cache
def tiny_ntk(problem_name="heat", constraints="soft"):
    problem = posed(problem_name, constraints)
    box = problem.domain
    model = MLP(
        problem.m,
        lower=box.lower,
        upper=box.upper,
        width=8,
        depth=2,
        dtype=jnp.float64,
        rngs=nnx.Rngs(params=0),
    )
    rng = np.random.default_rng(0)
    points = {
        name: sample(region, 9 if region == box else 4 - 3 * (box.d == 1), "uniform", rng)
        for name, region in regions(problem).items()
    }
    assembly = assemble(problem, model, points)
    theta, objective = assembly.theta, assembly.objective
    thetas = np.stack(
        [np.asarray(theta) + 0.02 * step * np.sin(np.arange(theta.size)) for step in STEPS]
    )
    return model, ntk_snapshots(objective, STEPS, thetas, points)


def tiny_metrics(problem="heat", error=1.234567e-5, **changes) -> Any:
    ends = {"initial": {"mean": 20.0, "max": 50.0, "sparsity": 0.5}}
    loss = {"largest": 300.0, "smallest": -2.5, "trace": 400.0}
    metrics = {
        "format": METRICS_FORMAT,
        "relative_l2_error": error,
        "max_error": 3.4e-5,
        "reference_error": 2e-16,
        "reference_method": "closed form",
        "evaluation_shape": list(make_problem(problem, {}).evaluation_shape),
        "loss": 1.5e-9,
        "steps": 30,
        "parameters": 105,
        "dtype": "float64",
        "training_seconds": 75.0,
        "hardware": "a computer",
        "platform": "cpu",
        "ntk": {"version": 1} | ntk_report(tiny_ntk(problem)[1]),
        "residual_hessian": {
            "version": 1,
            "points": 16,
            **ends,
            "final": {"mean": 40.0, "max": 90.0, "sparsity": 0.25},
        },
        "loss_hessian": {"version": 1, "initial": loss, "final": loss | {"largest": 900.0}},
    }
    return validate(metrics | changes)


def without_reference(metrics, *blocks, **changes) -> Any:
    """Metrics of an entry whose problem has no reference, and without the named blocks."""
    left_out = {*ErrorFigures.__annotations__, *blocks}
    return validate({k: v for k, v in metrics.items() if k not in left_out} | changes)


def tiny_history():
    steps = np.arange(31)
    decay = 10.0 ** (-steps / 6)
    return {
        "step": steps.astype(float),
        "phase": (steps > 20).astype(float),
        "loss": decay**2,
        "relative_l2_error": np.where(steps % 10 == 0, decay, np.nan),
        "damping": np.where(steps > 20, 1e-3, np.nan),
        "seconds": steps * 2.5,
    }


def tiny_entry(problem="heat", constraints="soft", **changes) -> Any:
    """An entry as far as plots, cards and the command look at it."""
    model, ntk = tiny_ntk(problem, constraints)
    stated = posed(problem, constraints)
    field = stated.constrain(model)
    recipe = tiny_recipe(problem)
    entry = SimpleNamespace(
        name=recipe.name,
        recipe=recipe,
        metrics=tiny_metrics(problem),
        problem=stated,
        model=model,
        history=tiny_history(),
        ntk=ntk,
        unknowns={},
        folder=None,
        predict=lambda points: evaluate_function(field, stated.check_points(points)),
    )
    vars(entry).update(changes)
    return entry


def write_folder(root: Path, recipe: Recipe, metrics) -> Path:
    """An entry's folder of which only the manifest, the recipe and the metrics can be read."""
    folder = root / recipe.name
    files = {name: b"-" for name in (*FILES, *(f"{tree}/leaf" for tree in TREES))}
    files[CONFIG] = recipe.to_json().encode()
    files[METRICS] = to_json(metrics).encode()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    manifest: Manifest = {
        "format": FOLDER_FORMAT,
        "entry": recipe.name,
        "dtype": recipe.dtype,
        "command": "",
        "versions": {},
        "files": {name: record(content) for name, content in files.items()},
    }
    (folder / MANIFEST).write_text(manifest_json(manifest), encoding="utf-8")
    return folder
