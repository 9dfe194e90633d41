"""Rebuild the figures of the founding paper from stored sweeps, or run the sweeps again.

    python scripts/reproduce_paper.py --figure 1a
    python scripts/reproduce_paper.py --figure all
    python scripts/reproduce_paper.py --figure 3a --rerun --seeds 5
    python scripts/reproduce_paper.py --figure 3a --extend --seeds 10

Figures are drawn in seconds from `docs/paper/*.npz`, with the figures in words beside them. A sweep
that is run again and killed goes on where it was: start the script again. A sweep of trainings that
is extended keeps the seeds that were stored of the same recipes and runs those that are missing.
"""

import dataclasses
import functools
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

import pinnzoo
from pinnzoo.catalog.experiments import FIGURES, SEEDS
from pinnzoo.cli.commands import SETTINGS, Verb
from pinnzoo.paper import dynamics, page, toys
from pinnzoo.paper.figures import DRAW
from pinnzoo.paper.results import fingerprint, reduce_entry, reduce_flow, run_name, sweep
from pinnzoo.paper.toys import Arrays, Keep
from pinnzoo.plots.style import save
from pinnzoo.recipes import Recipe
from pinnzoo.storage.arrays import pack
from pinnzoo.storage.files import write_file

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "paper"

COMPUTED: dict[str, Callable[[Keep], Arrays]] = {
    "1a": toys.sweep_norms,
    "1b": toys.sweep_drifts,
    "2a": toys.sweep_hessians,
    "2b": dynamics.sweep_dynamics,
}
FLOWS = ("4b",)
TRAINED_FIRST = ("2b",)
"""Figures of networks that other figures train."""
NAMES = sorted([*COMPUTED, *FIGURES], key=lambda name: (name in TRAINED_FIRST, name))


def train(recipe: Recipe, workdir: Path) -> pinnzoo.Entry:
    """Train in a folder of its own; the network of seed 0 becomes an entry of the zoo."""
    folder = workdir / run_name(recipe)
    entry = pinnzoo.train(recipe, workdir=folder)
    if recipe.seed == 0:
        entry.save(
            ROOT / "checkpoints" / recipe.name,
            overwrite=True,
            command="python scripts/reproduce_paper.py --rerun",
        )
    error, seconds = (entry.metrics[key] for key in ("relative_l2_error", "training_seconds"))
    print(f"{folder.name}: {error:.2e} in {seconds:.0f} s", flush=True)
    return entry


def read_stored() -> dict[str, Arrays]:
    """The sweeps that are there, by figure."""
    stored = {}
    for path in sorted(PAGE.glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            stored[path.stem] = dict(arrays)
    return stored


def run_sweep(name: str, workdir: Path, seeds: int) -> Arrays:
    """The arrays of a figure, resumed from what is in `workdir`."""
    keep = keep_in(workdir / name)
    if name in COMPUTED:
        return COMPUTED[name](keep)
    reduce = reduce_flow if name in FLOWS else reduce_entry
    train_here = functools.partial(train, workdir=workdir / name)
    return sweep(FIGURES[name], train_here, keep, seeds, reduce)


def unpack(name: str, arrays: Arrays, folder: Path) -> None:
    """Put a stored sweep of trainings back as the files that `keep_in` looks for."""
    stored = dict(zip(arrays["labels"], arrays["recipes"], strict=True)) if name in FIGURES else {}
    for label, recipe in FIGURES.get(name, {}).items():
        if stored.get(label) != fingerprint(recipe):
            continue
        for seed in arrays["seeds"]:
            prefix = f"{label}/{seed}/"
            found = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            if found:
                seeded = dataclasses.replace(recipe, seed=int(seed))
                write(folder / f"{run_name(seeded)}.npz", found)


def keep_in(folder: Path) -> Keep:
    """Keeps what was computed as files of a folder."""

    def keep(key: str, compute: Callable[[], Arrays]) -> Arrays:
        path = folder / f"{key}.npz"
        if not path.exists():
            write(path, compute())
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)

    return keep


def write(path: Path, arrays: Arrays) -> None:
    """An npz file that appears in one move."""
    write_file(path, pack(arrays))


@click.command(cls=Verb, context_settings=SETTINGS)
@click.option("--figure", default="all", help=f"One of {', '.join(sorted(NAMES))}, or all.")
@click.option("--rerun", is_flag=True, help="Run the sweeps again.")
@click.option("--extend", is_flag=True, help="Run what the stored sweeps of trainings lack.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=SEEDS,
    help="How often each training is repeated.",
)
@click.option("--workdir", type=Path, default=Path("runs"), help="Folder for unfinished sweeps.")
def main(
    figure: str,
    rerun: bool,
    extend: bool,
    seeds: int,
    workdir: Path,
) -> None:
    """Draw figures, after running their sweeps if that is asked for."""
    if figure not in (*NAMES, "all"):
        raise click.BadParameter(
            f"{figure!r} was given: the figures are {', '.join(sorted(NAMES))}, or all."
        )
    if figure in COMPUTED and (extend or seeds != SEEDS):
        raise click.BadParameter(
            f"{figure} was given with --extend or --seeds: it is no sweep of trainings, so run it "
            "with --rerun alone."
        )
    pinnzoo.enable_x64()
    names = NAMES if figure == "all" else [figure]
    if rerun or extend:
        stored = {} if rerun else read_stored()
        for name in names:
            wanted = seeds
            if name in stored:
                if name in COMPUTED:
                    continue
                unpack(name, stored[name], workdir / "paper" / name)
                # What is stored is not given up for being asked for less.
                wanted = max(seeds, len(stored[name]["seeds"]))
            write(PAGE / f"{name}.npz", run_sweep(name, workdir / "paper", wanted))
            # What is unfinished is resumed; what is finished would not be run again.
            shutil.rmtree(workdir / "paper" / name, ignore_errors=True)
    stored = read_stored()
    for name in names:
        if name in stored:
            save(DRAW[name](stored[name]), PAGE / f"{name}.png")
    write_file(PAGE.with_suffix(".md"), page.render(stored).encode())


if __name__ == "__main__":
    # Ctrl-C ends the script as a kill does. To `train` it would mean to return what there is, which
    # would be stored as what the recipe asks for.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main()
