"""An entry of a tiny network, made without training, whose every part is valid."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pinnzoo.diagnostics.ntk import NTKSnapshots, ntk_snapshots
from pinnzoo.diagnostics.report import ntk_report
from pinnzoo.domains import sample
from pinnzoo.entry import Entry, Snapshots, build
from pinnzoo.objective import assemble, flatten_model, regions
from pinnzoo.recipes import Phase, Recipe
from pinnzoo.storage.folder import MANIFEST, record
from pinnzoo.storage.records import HISTORY

STEPS = (0, 1, 10)


def made_recipe(**changes) -> Recipe:
    given = {
        "problem": "burgers",
        "architecture": "mlp",
        "phases": (Phase("adam", 5, {"learning_rate": 0.01}), Phase("levenberg_marquardt", 5)),
        "problem_arguments": {"viscosity": 0.05},
        "architecture_arguments": {"width": 4, "depth": 2},
        "points": {"equation": 16, "conditions": 4},
    }
    return Recipe(**(given | changes))


def made_metrics(recipe: Recipe, parameters: int, kernels: dict | None = None) -> dict:
    hessian = {"mean": 2.0, "max": 5.0, "sparsity": 0.5}
    loss = {"largest": 300.0, "smallest": -2.5, "trace": 400.0}
    kernel = {"norm": 4.0, "effective_rank": 2.5, "eigenvalues": [4.0, 1.0]}
    drift = {"spectral": 0.5, "frobenius": 0.25}
    return {
        "format": 1,
        "relative_l2_error": 1.25e-5,
        "max_error": 3.4e-5,
        "reference_error": 2e-14,
        "reference_method": "closed form",
        "evaluation_shape": [11, 21],
        "loss": 1.5e-9,
        "steps": recipe.steps,
        "parameters": parameters,
        "dtype": recipe.dtype,
        "wall_time_seconds": 75.0,
        "hardware": "a computer",
        "platform": "cpu",
        "ntk": kernels
        or {
            "points": {"equation": 3},
            "drift": {"all": drift, "equation": drift},
            "initial": kernel,
            "final": kernel,
        },
        "residual_hessian": {"points": 16, "initial": hessian, "final": hessian},
        "loss_hessian": {"initial": loss, "final": loss},
    }


def made_history() -> dict[str, np.ndarray]:
    columns = {name: np.linspace(0.1, 1.0, 4) for name in HISTORY}
    return columns | {"step": np.arange(4.0), "damping": np.full(4, np.nan)}


@functools.cache
def made_kernels(problem: str, arguments: tuple) -> NTKSnapshots:
    """Kernels of a tiny network on a problem, whichever network the entry has."""
    posed, model = build(
        Recipe(
            problem,
            "mlp",
            (Phase("adam", 1),),
            problem_arguments=dict(arguments),
            architecture_arguments={"width": 4, "depth": 1},
        )
    )
    rng = np.random.default_rng(1)
    points = {
        name: sample(box, 3 if box.lower != box.upper else 1, "uniform", rng)
        for name, box in regions(posed).items()
    }
    assembly = assemble(posed, model, points)
    thetas = np.asarray(assembly.theta) * np.array([0.5, 0.75, 1.0])[:, None]
    return ntk_snapshots(assembly.objective, STEPS, thetas, points)


def made_parts(recipe: Recipe) -> dict:
    """Arguments of `Entry.from_training`."""
    _, model = build(recipe)
    theta = np.asarray(flatten_model(model)[0])
    offsets = np.array([0.5, 0.25, 0.0])[:, None] * np.sin(np.arange(theta.size))
    kernels = made_kernels(recipe.problem, tuple(recipe.problem_arguments.items()))
    return {
        "recipe": recipe,
        "model": model,
        "metrics": made_metrics(recipe, theta.size, ntk_report(kernels)),
        "history": made_history(),
        "ntk": kernels,
        "snapshots": Snapshots(np.array(STEPS), theta + offsets),
    }


def made_entry(**changes) -> Entry:
    return Entry.from_training(**made_parts(made_recipe(**changes)))


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a JSON file in place, or replace it by what `change` returns."""
    data = json.loads(path.read_bytes())
    path.write_text(json.dumps(change(data) or data))


def resign(folder: Path) -> None:
    """Make a manifest agree with the files, as someone would who changes an entry on purpose."""

    def renew(manifest: dict) -> None:
        manifest["files"] = {
            path.relative_to(folder).as_posix(): record(path.read_bytes())
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != MANIFEST
        }

    edit_json(folder / MANIFEST, renew)
