"""Train the catalog's recipes, one after the other, each into its entry.

A killed run goes on where it was saved: start the script again. Entries that exist are left alone,
and each lands when its training ends. A run that ended with its budget goes on
with a larger one and --overwrite.

    python scripts/train_zoo.py "burgers-*" "kdv-*" --workdir runs --budget 900
"""

import fnmatch
import math
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

import pinnzoo
from pinnzoo.catalog.benchmarks import MEASURED
from pinnzoo.catalog.entries import CATALOG

CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"


def main(
    patterns: Annotated[list[str] | None, typer.Argument(help="Names of the entries.")] = None,
    workdir: Annotated[Path, typer.Option(help="Folder for unfinished runs.")] = Path("runs"),
    out: Annotated[Path, typer.Option(help="Folder for entries.")] = CHECKPOINTS,
    overwrite: Annotated[bool, typer.Option(help="Train entries that exist again.")] = False,
    budget: Annotated[float, typer.Option(help="Seconds for each recipe; 0: no limit.")] = 0.0,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = False,
) -> None:
    """Train the recipes whose names match one of the patterns; all of them by default."""
    pinnzoo.enable_x64()
    # These are trained by scripts/inverse_problems.py.
    measured = [case.recipe for case in MEASURED]
    recipes = [
        recipe
        for recipe in CATALOG
        if recipe not in measured
        and any(fnmatch.fnmatchcase(recipe.name, pattern) for pattern in patterns or ["*"])
    ]
    for recipe in recipes:
        folder = out / recipe.name
        if folder.exists() and not overwrite:
            continue
        begun = time.monotonic()
        try:
            entry = pinnzoo.train(
                recipe,
                workdir=workdir / recipe.name,
                progress=progress,
                seconds=budget or math.inf,
            )
        except pinnzoo.PinnzooError as error:
            # One recipe that fails must not take the others with it.
            print(f"{recipe.name}: {error}", flush=True)
            continue
        if entry.name != recipe.name:
            print(f"{recipe.name}: its budget ended before its last phase", flush=True)
            continue
        entry.save(folder, overwrite=overwrite)
        print(
            f"{entry.name}: relative L2 {entry.metrics['relative_l2_error']:.2e} after "
            f"{entry.metrics['steps']} steps, {time.monotonic() - begun:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    # Ctrl-C ends the script as a kill does. To `train` it would mean to return what there is, which
    # would be stored as what the recipe asks for.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    typer.run(main)
