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

import click

import pinnzoo
from pinnzoo.catalog.benchmarks import MEASURED
from pinnzoo.catalog.entries import CATALOG
from pinnzoo.cli.commands import SETTINGS, Verb, argument

CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"


@click.command(cls=Verb, context_settings=SETTINGS)
@argument("patterns", "Names of the entries.", nargs=-1, metavar="[PATTERN]...")
@click.option("--workdir", type=Path, default=Path("runs"), help="Folder for unfinished runs.")
@click.option("--out", type=Path, default=CHECKPOINTS, help="Folder for entries.")
@click.option("--overwrite", is_flag=True, help="Train entries that exist again.")
@click.option("--budget", default=0.0, help="Seconds for each recipe; 0: no limit.")
@click.option("--progress", is_flag=True, help="Show a progress bar.")
def main(
    patterns: tuple[str, ...],
    workdir: Path,
    out: Path,
    overwrite: bool,
    budget: float,
    progress: bool,
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
    main()
