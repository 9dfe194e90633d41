"""Reporting how far a training is; the progress bar is one reporter."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

from pinnzoo.recipes import Recipe
from pinnzoo.training.run import Run


@dataclass(frozen=True)
class Progress:
    """What a reporter gets at each call.

    Attributes:
        name: The entry that is being made.
        stage: "training", or "diagnostics" once the last step is done.
        step: Steps done, over all phases.
        steps: Steps of the recipe.
        phase: Index of the current phase.
        loss: ½ |r|² on the current points.
        relative_l2_error: On a coarse grid; None without a reference solution.
        damping: λ of the last step; None for optimizers without one.
        seconds: Wall time of the training so far.
        note: What is being done, where that is not a step.
    """

    name: str
    stage: str
    step: int
    steps: int
    phase: int
    loss: float
    relative_l2_error: float | None
    damping: float | None
    seconds: float
    note: str = ""


Report: TypeAlias = Callable[[Progress], None]
"""A function that is called at the beginning, after every record, and during the diagnostics."""


def progress_of(run: Run, recipe: Recipe, stage: str = "training", note: str = "") -> Progress:
    """The progress of a run, as a reporter gets it."""

    def last(column: str) -> float | None:
        value = run.history[column][-1] if run.history[column] else math.nan
        return float(value) if math.isfinite(value) else None

    loss = last("loss")
    return Progress(
        name=recipe.name,
        stage=stage,
        step=run.total,
        steps=recipe.steps,
        phase=run.phase,
        loss=math.nan if loss is None else loss,
        relative_l2_error=last("relative_l2_error"),
        damping=last("damping"),
        seconds=run.seconds,
        note=note,
    )


@contextmanager
def progress_bar(recipe: Recipe) -> Iterator[Report]:
    """A bar with step, loss, relative L2 error, damping, rate and time left.

    A thread of rich's redraws it several times a second, during compilation too.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    # Narrow enough for a terminal of 80 columns, where rich would cut every column short.
    bar = Bar(
        SpinnerColumn("line"),
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=6),
        # What a diagnostic is called is no markup.
        TextColumn("{task.fields[figures]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
    )
    task = bar.add_task(recipe.problem, total=recipe.steps, figures="compiling")
    begun: deque[tuple[float, int]] = deque(maxlen=20)

    def report(progress: Progress) -> None:
        begun.append((time.monotonic(), progress.step))
        figures = printable(in_words(progress, begun), bar.console.encoding)
        bar.update(task, completed=progress.step, figures=figures)

    bar.start()
    try:
        yield report
    finally:
        # A pipe that nobody reads any more must not cost the training: rich then ends the program.
        with suppress(OSError, ValueError, SystemExit):
            bar.stop()


def printable(text: str, encoding: str) -> str:
    """The text with what an encoding lacks in letters that it has.

    Example:
        >>> printable("λ 1e-03, ‖r‖", "cp1252")
        'damping 1e-03, ?r?'
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.replace("λ", "damping")
        return text.encode(encoding, errors="replace").decode(encoding)
    except LookupError:
        return text.encode("ascii", errors="replace").decode()
    return text


def in_words(progress: Progress, begun: deque[tuple[float, int]]) -> str:
    """The figures of a bar in one short line."""
    if progress.stage == "diagnostics":
        return f"diagnostics: {progress.note}"
    (t0, s0), (t1, s1) = begun[0], begun[-1]
    error, damping = progress.relative_l2_error, progress.damping
    parts = [
        f"{progress.step}/{progress.steps}",
        f"loss {progress.loss:.1e}",
        "" if error is None else f"L2 {error:.1e}",
        "" if damping is None else f"λ {damping:.0e}",
        f"{(s1 - s0) / (t1 - t0):.2g}/s" if s1 > s0 and t1 > t0 else "",
    ]
    return " ".join(part for part in parts if part)
