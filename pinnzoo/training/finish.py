"""What happens after the last step: what is published, and its diagnostics."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pinnzoo.entry import Entry, Snapshots
from pinnzoo.recipes import Recipe
from pinnzoo.training.run import Run


def done_recipe(recipe: Recipe, done: Sequence[int]) -> Recipe:
    """The recipe of what was really done: its phases with the steps that they took."""
    phases = tuple(
        replace(phase, steps=steps, seconds=None, target_loss=None)
        for phase, steps in zip(recipe.phases, done, strict=True)
        if steps or phase is recipe.phases[0]
    )
    return replace(recipe, phases=phases)


def snapshots_of(run: Run) -> Snapshots:
    """The parameters that were kept; the last ones are those of the published network."""
    theta = np.asarray(run.best_theta)
    steps, thetas = list(run.snapshot_steps), list(run.snapshot_thetas)
    # Whatever ended the run, its best state is what is published.
    if steps[-1] == run.total and run.total > 0:
        thetas[-1] = theta
    elif run.total > 0:
        steps.append(run.total)
        thetas.append(theta)
    return Snapshots(np.asarray(steps), np.stack(thetas))


def diagnose(entry: Entry, names: Sequence[str] | None = None, *, progress: bool = False) -> Entry:
    """Compute diagnostics of an entry from its stored parameters; nothing is trained.

    Args:
        entry: Any entry.
        names: Diagnostics of `pinnzoo.diagnostics.DIAGNOSTICS`; all of them by default.
        progress: Print what is being done.

    Returns:
        A new entry with these blocks; the others are kept. `entry.save(folder, overwrite=True)`
        writes it.

    Raises:
        UnknownNameError: There is no such diagnostic.
        PrecisionError: JAX has float64 switched off.

    Example:
        ```python
        pinnzoo.register_diagnostic(mean_residual)
        entry = pinnzoo.diagnose(pinnzoo.load("burgers-mlp-lm"), ["mean_residual"])
        entry.metrics["mean_residual"]
        ```
    """
    if not progress:
        return entry.diagnosed(names)
    from rich.console import Console

    with Console(stderr=True).status(f"{entry.name}: diagnostics") as status:
        return entry.diagnosed(names, lambda text: status.update(f"{entry.name}: {text}"))
