"""Train what the matrix of problem, architecture and optimizer lacks, one entry after the other.

Every training of it takes the same wall time, in which nothing is compiled: a few steps of each
recipe are done before, and thrown away. What exists under --out is left alone, so that a script
that was stopped goes on where it was: start it again.

    python scripts/fill_matrix.py --list
    python scripts/fill_matrix.py --seconds 60 --only "heat-*" --out checkpoints
"""

import fnmatch
import gc
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

import click
import jax
import numpy as np

import pinnzoo
from pinnzoo.catalog.matrix import holes
from pinnzoo.cli.commands import SETTINGS, Verb
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.recipes import Recipe

CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"

LIMIT = 350_000
"""Bytes of an entry; its card and pictures, which `pinnzoo cards` adds, take some 50,000 more."""

SNAPSHOTS = 6
"""Parameters that are kept of each training: the collection holds hundreds of them."""


def forward_problems() -> list[str]:
    """Names of the problems with a reference that have no unknown coefficient or parameter.

    The toys of the paper are left out: their networks are their own.
    """
    problems = {name: make_problem(name, {}) for name in PROBLEMS if not name.startswith("toy_")}
    return [
        name
        for name, problem in problems.items()
        if problem.reference and not problem.unknowns and not problem.domain.parameters
    ]


def existing(out: Path) -> set[str]:
    """Names of the entries in a folder."""
    return {path.parent.name for path in out.glob("*/manifest.json")}


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def keep_compiled(folder: str) -> None:
    """Let JAX keep every compiled program in a folder, unless it has one already."""
    if not jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def warm_up(recipe: Recipe) -> None:
    """Compile what a recipe needs, by steps of each phase up to the first new points."""
    phases = tuple(
        replace(phase, steps=phase.resample_every + 2, seconds=None) for phase in recipe.phases
    )
    pinnzoo.train(replace(recipe, phases=phases), diagnostics=False)


def fill(recipe: Recipe, folder: Path, workdir: Path | None, *, diagnostics: bool) -> str:
    """Train one recipe, save it and load it again; what to tell about it."""
    begun = time.monotonic()
    warm_up(recipe)
    entry = pinnzoo.train(recipe, workdir=workdir, diagnostics=diagnostics, snapshots=SNAPSHOTS)
    if entry.name != recipe.name:
        return "nothing saved: its time ended before its last phase, give more --seconds"
    entry.save(folder)
    loaded = pinnzoo.load(folder, verify="all")
    if not np.array_equal(loaded.theta, entry.theta):
        return "damaged: what was loaded has other parameters than what was saved"
    metrics, bytes_ = loaded.metrics, size(folder)
    return (
        f"relative L2 {metrics['relative_l2_error']:.2e}, loss {metrics['loss']:.2e} after "
        f"{metrics['steps']} steps, {metrics['training_seconds']:.0f} s of training and "
        f"{time.monotonic() - begun:.0f} s in all, {bytes_ / 1000:.0f} kB"
        + (", OVER THE LIMIT" if bytes_ > LIMIT else "")
    )


@click.command(cls=Verb, context_settings=SETTINGS)
@click.option("--seconds", default=60.0, help="Wall time of each training.")
@click.option("--only", default="*", help='Names to train, such as "heat-*-adam".')
@click.option("--out", type=Path, default=CHECKPOINTS, help="Folder for entries.")
@click.option("--workdir", type=Path, help="Folder for unfinished runs; none are kept by default.")
@click.option("--list", "listed", is_flag=True, help="Print the names, train nothing.")
@click.option("--diagnostics/--no-diagnostics", default=True, help="Kernels and Hessians.")
def main(
    seconds: float,
    only: str,
    out: Path,
    workdir: Path | None,
    listed: bool,
    diagnostics: bool,
) -> None:
    """Train the missing entries whose names match."""
    pinnzoo.enable_x64()
    programs = tempfile.TemporaryDirectory(prefix="pinnzoo-programs-")
    keep_compiled(programs.name)
    wanted = [
        recipe
        for recipe in holes(forward_problems(), seconds, existing(out))
        if fnmatch.fnmatchcase(recipe.name, only)
    ]
    for k, recipe in enumerate(wanted):
        if listed:
            print(recipe.name)
            continue
        run = workdir / recipe.name if workdir else None
        try:
            told = fill(recipe, out / recipe.name, run, diagnostics=diagnostics)
        except pinnzoo.PinnzooError as error:
            # One recipe that fails must not take the others with it.
            told = str(error)
        print(f"[{k + 1}/{len(wanted)}] {recipe.name}: {told}", flush=True)
        # Compiled programs of hundreds of trainings would fill the memory.
        jax.clear_caches()
        gc.collect()


def end(number: int, frame: FrameType | None) -> None:
    """Leave at a signal.

    To `train` it would mean to return what there is, before its time or without kernels, which
    would be stored as if it were whole.
    """
    del frame
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            # `train` leaves alone what a program has set.
            signal.signal(getattr(signal, name), end)
    main()
