"""What happens after the last step: what is published, and its diagnostics."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TypeVar

import jax
import numpy as np

from pinnzoo.entry import Entry, Snapshots
from pinnzoo.errors import refuse_names
from pinnzoo.precision import every_digit
from pinnzoo.recipes import Recipe
from pinnzoo.registry import check_switches
from pinnzoo.training.progress import printable
from pinnzoo.training.run import Run

T = TypeVar("T")

POLL = 0.2
"""Seconds between two signs of life."""


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


def beside(work: Callable[[], T], tick: Callable[[], None]) -> T:
    """What `work` returns; it runs in another thread, so that `tick` can be called meanwhile.

    Args:
        work: A function without arguments, in the precision of the caller's thread.
        tick: The sign of life. It must not raise: the result would be lost.
    """
    in_double = bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]

    def in_precision() -> T:
        # Settings of JAX belong to a thread.
        with jax.enable_x64(in_double), every_digit():
            return work()

    with ThreadPoolExecutor(1, "pinnzoo-finish") as pool:
        future = pool.submit(in_precision)
        while not wait([future], POLL).done:
            tick()
        return future.result()


def diagnose(entry: Entry, names: Sequence[str] | None = None, *, progress: bool = False) -> Entry:
    """Compute diagnostics of an entry from its stored parameters; nothing is trained.

    Args:
        entry: Any entry.
        names: Diagnostics of `pinnzoo.diagnostics.DIAGNOSTICS`; by default all but those that are
            computed on demand, such as "modes".
        progress: Print what is being done.

    Returns:
        A new entry with these blocks; the others are kept. `entry.save(folder, overwrite=True)`
        writes it.

    Raises:
        EntryError: The name of an entry was given in its place.
        UnknownNameError: There is no such diagnostic.
        PrecisionError: JAX has float64 switched off.

    Example:
        ```python
        pinnzoo.register_diagnostic(mean_residual)
        entry = pinnzoo.diagnose(pinnzoo.load("burgers-mlp-lm"), ["mean_residual"])
        entry.metrics["mean_residual"]
        ```
    """
    refuse_names(entry)
    check_switches(progress=progress)
    if not progress:
        return entry.diagnosed(names)
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)

    def told(text: str) -> Text:
        # As it is: what a diagnostic is called is no markup.
        return Text(printable(f"{entry.name}: {text}", console.encoding))

    with console.status(told("diagnostics")) as status:
        return entry.diagnosed(names, lambda text: status.update(told(text)))
