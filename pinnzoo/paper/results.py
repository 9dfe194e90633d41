"""What is stored of a training that is repeated with several seeds."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pinnzoo.catalog.experiments import SEEDS
from pinnzoo.entry import Entry
from pinnzoo.evaluation import require_reference
from pinnzoo.paper.toys import Arrays, Keep, compute_anew
from pinnzoo.recipes import Recipe

RECORDS = 100
"""Points of a curve that are stored."""

Train = Callable[[Recipe], Entry]
Reduce = Callable[[Entry], Arrays]


def reduce_entry(entry: Entry) -> Arrays:
    """The curve of error and time against the step, and the figures at the end.

    The curve is that of the network at every step, `final_error` that of the published one, whose
    training loss was the lowest since points were last drawn.
    """
    history = entry.history
    steps = np.asarray(history["step"], float)
    wanted = np.unique(np.concatenate([[0, 1], np.geomspace(1, max(steps[-1], 1), RECORDS)]))
    rows = np.unique(np.searchsorted(steps, np.round(wanted)).clip(max=len(steps) - 1))
    metrics = entry.metrics
    drift = metrics["ntk"]["drift"]["all"]["spectral"]
    hessian = metrics["residual_hessian"]
    return {
        "step": steps[rows],
        "seconds": np.asarray(history["seconds"], float)[rows],
        "error": np.asarray(history["relative_l2_error"], float)[rows],
        "loss": np.asarray(history["loss"], float)[rows],
        "final_error": np.array(metrics["relative_l2_error"]),
        "wall_time": np.array(metrics["training_seconds"]),
        "ntk_drift": np.array(drift),
        "hessian": np.array([hessian["initial"]["mean"], hessian["final"]["mean"]]),
    }


def reduce_flow(entry: Entry) -> Arrays:
    """What `reduce_entry` keeps, and the relative L2 error of the velocity at every time.

    Velocities are all components but the last, the pressure, which is not counted: the paper's
    figure 4b shows it apart, and a flow without outlet fixes it by one point.
    """
    problem = entry.problem
    times = problem.evaluation_shape[0]
    points = problem.evaluation_points()
    solution = require_reference(problem)(points)
    difference, velocity = (
        values[:, :-1].reshape(times, -1) for values in (entry.predict(points) - solution, solution)
    )
    return {
        **reduce_entry(entry),
        "times": points[:: len(points) // times, 0],
        "velocity_error": np.linalg.norm(difference, axis=1) / np.linalg.norm(velocity, axis=1),
    }


def fingerprint(recipe: Recipe) -> str:
    """What a recipe asks for, whatever its seed: a digest of all that differs from the defaults.

    A field that recipes or phases are given later does not change it, unlike `Recipe.digest`.
    """
    phases = [_stated(phase) for phase in recipe.phases]
    stated = {**_stated(recipe), "phases": phases}
    stated.pop("seed", None)
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:16]


def _stated(record: Any) -> dict[str, Any]:
    """Fields of a dataclass that differ from their defaults."""
    found = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        made = field.default_factory
        default = field.default if made is dataclasses.MISSING else made()
        if default is dataclasses.MISSING or value != default:
            found[field.name] = dict(value) if isinstance(value, Mapping) else value
    return found


def sweep(
    recipes: Mapping[str, Recipe],
    train: Train,
    keep: Keep = compute_anew,
    seeds: int = SEEDS,
    reduce: Reduce = reduce_entry,
) -> Arrays:
    """All recipes of a figure with all seeds: one array per quantity, recipe and seed.

    Keys are "label/seed/quantity"; "recipes" are the fingerprints of the recipes by label.
    """
    arrays: Arrays = {
        "labels": np.array(list(recipes)),
        "recipes": np.array([fingerprint(recipe) for recipe in recipes.values()]),
        "seeds": np.arange(seeds),
    }
    for seed in range(seeds):
        for label, recipe in recipes.items():
            seeded = dataclasses.replace(recipe, seed=seed)

            def compute(seeded: Recipe = seeded) -> Arrays:
                return reduce(train(seeded))

            found = keep(run_name(seeded), compute)
            arrays |= {f"{label}/{seed}/{key}": value for key, value in found.items()}
    return arrays


def run_name(recipe: Recipe) -> str:
    """A name for the folder of a training: recipes of one name differ by seed and by digest."""
    return f"{recipe.name}-seed{recipe.seed}-{fingerprint(recipe)}"
