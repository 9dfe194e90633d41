"""Verbs that make entries: train, solve, finetune, diagnose."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pinnzoo.cli import options
from pinnzoo.cli.commands import argument
from pinnzoo.cli.options import (
    app,
    column_option,
    diagnostics_option,
    dtype_option,
    import_option,
    json_option,
    name_argument,
    observations_option,
    optimizer_option,
    overwrite_option,
    own_options,
    physical_option,
    points_option,
    seed_option,
    settings_option,
    steps_option,
    training_options,
    weights_option,
)
from pinnzoo.cli.output import emit, stdout_for_json
from pinnzoo.errors import EntryError
from pinnzoo.storage.folder import CARD, PLOTS

if TYPE_CHECKING:
    from pinnzoo.entry import Entry
    from pinnzoo.observations import Observations
    from pinnzoo.recipes import Recipe

OF_A_PROBLEM = (
    "architecture",
    "optimizer",
    "steps",
    "physical",
    "network",
    "settings",
    "points",
    "weights",
    "dtype",
    "seed",
    "tag",
)
"""Arguments of `train` that only a problem leaves open; a recipe and an entry state them."""


_out_option = click.option("--out", type=Path, help="Folder of the entry; ./<its name>.")


@app.command(computes=True)
@argument(
    "source", "A recipe's JSON file, an entry to retrain, a problem's name, or FILE.py:factory."
)
@_out_option
@click.option("--architecture", default="mlp", help="Name of the network, or FILE.py:Class.")
@optimizer_option
@steps_option
@physical_option
@click.option(
    "--network-set",
    "network",
    multiple=True,
    metavar="NAME=VALUE",
    help="An argument of the network.",
)
@settings_option
@points_option
@weights_option
@dtype_option
@training_options
@click.pass_context
def train(
    context: click.Context,
    source: str,
    out: Path | None,
    architecture: str,
    optimizer: str,
    steps: int,
    physical: tuple[str, ...],
    network: tuple[str, ...],
    settings: tuple[str, ...],
    points: tuple[str, ...],
    weights: tuple[str, ...],
    dtype: str | None,
    seed: int | None,
    tag: str | None,
    seconds: float | None,
    workdir: Path | None,
    resume: bool,
    overwrite: bool,
    diagnostics: bool,
    observations: Path | None,
    columns: tuple[str, ...],
    problem: str | None,
    imports: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Train a recipe, or a problem with chosen settings, and save the entry.

    Network, optimizer, steps, arguments, points, weights, precision, seed and tag are those of a
    recipe or an entry, and are chosen for a problem.
    """
    from pinnzoo.precision import enable_x64

    enable_x64()
    if problem not in (None, source) and options.is_problem(source):
        raise click.UsageError(
            f"--problem {problem} was given with {source!r}, which is a problem itself: give one "
            "of them, since --problem is for a recipe or an entry whose problem is not known here."
        )
    options.bring_in(imports, problem)
    options.known_source(source)
    chosen = _choices(architecture, optimizer, steps, physical, network, settings, points)
    if not options.is_problem(source):
        options.refuse_given(context, OF_A_PROBLEM, f"{source!r}, which states its own")
    chosen |= {"weights": options.settings(weights), "dtype": dtype or "float64"}
    recipe = _recipe(source, chosen | {"seed": seed or 0, "tag": tag or ""})
    folder = options.check_free(out or Path(recipe.name), overwrite)
    options.check_apart(workdir, folder)
    place = workdir or _beside(folder)
    arguments = dict(recipe.problem_arguments)
    measured = _observations(observations, columns, recipe.problem, arguments)
    if measured is None and _is_entry(source):
        measured = options.observations_of(source)

    from pinnzoo import training

    with stdout_for_json(as_json):
        entry = training.train(
            recipe,
            progress=True,
            workdir=place,
            resume=resume,
            seconds=seconds,
            diagnostics=diagnostics,
            observations=measured,
        )
        always = ("optimizer", "steps") if options.is_problem(source) else ()
        made = options.typed(context, always)
        keep = workdir is not None
        _save(entry, folder, place, overwrite=overwrite, keep=keep, command=made)
    emit(_outcome(entry, folder), as_json, _screen)


@app.command(computes=True)
@argument("source", "A problem's name, or FILE.py:factory.", metavar="PROBLEM")
@_out_option
@click.option("--seconds", type=float, help="Time of the training; 120 without --tolerance.")
@click.option("--tolerance", type=float, help="Estimated relative L2 error at which to stop.")
@observations_option
@column_option
@physical_option
@seed_option
@overwrite_option
@diagnostics_option
@import_option
@json_option
@click.pass_context
def solve(
    context: click.Context,
    source: str,
    out: Path | None,
    seconds: float | None,
    tolerance: float | None,
    observations: Path | None,
    columns: tuple[str, ...],
    physical: tuple[str, ...],
    seed: int | None,
    overwrite: bool,
    diagnostics: bool,
    imports: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Solve a problem with nothing to choose, and save the entry."""
    from pinnzoo.precision import enable_x64

    enable_x64()
    options.bring_in(imports)

    from pinnzoo import solving
    from pinnzoo.pdes import make_problem

    arguments = options.settings(physical)
    name = options.named("problem", source)
    problem = make_problem(name, arguments)
    measured = _observations(observations, columns, name, arguments)
    folder = options.check_free(out or Path(solving.entry_name(problem, measured)), overwrite)
    with stdout_for_json(as_json):
        entry = solving.solve(
            problem,
            observations=measured,
            seconds=seconds,
            tolerance=tolerance,
            progress=True,
            diagnostics=diagnostics,
            seed=seed or 0,
        )
        entry.save(folder, overwrite=overwrite, command=options.typed(context))
    emit(_outcome(entry, folder) | {"estimate": entry.metrics["estimated_error"]}, as_json, _screen)


def _observations(
    file: Path | None, columns: Sequence[str], problem: str, arguments: dict[str, Any]
) -> "Observations | None":
    """What a file holds, whose columns may have other names; None where none is given.

    Raises:
        click.BadParameter: Columns are named without a file.
    """
    called = options.words(columns, "NAME=COLUMN")
    if file is None:
        if called:
            raise click.BadParameter("--column was given without a file: give --observations.")
        return None
    from pinnzoo.observations import Observations
    from pinnzoo.pdes import make_problem

    return Observations.read(file, make_problem(problem, arguments), called)


def _choices(
    architecture: str,
    optimizer: str,
    steps: int,
    physical: Sequence[str],
    network: Sequence[str],
    settings: Sequence[str],
    points: Sequence[str],
) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "optimizer": optimizer,
        "steps": steps,
        "problem_arguments": options.settings(physical),
        "architecture_arguments": options.settings(network),
        "arguments": options.settings(settings),
        "points": options.settings(points),
    }


def _recipe(source: str, chosen: dict[str, Any]) -> "Recipe":
    """The recipe of a file or of an entry, or that of a problem with what was chosen for it."""
    from pinnzoo.recipes import DEFAULT_POINTS, Phase, Recipe

    if source.endswith(".json"):
        # Bytes, so that whatever encoding JSON allows is read on every platform.
        return Recipe.from_json(Path(source).expanduser().read_bytes())
    if not options.is_problem(source):
        return options.summary(source)[0].recipe
    name = options.named("problem", source)
    phase = Phase(
        options.named("optimizer", chosen["optimizer"]), chosen["steps"], chosen["arguments"]
    )
    return Recipe(
        name,
        options.named("architecture", chosen["architecture"]),
        (phase,),
        problem_arguments=chosen["problem_arguments"],
        architecture_arguments=chosen["architecture_arguments"],
        points=DEFAULT_POINTS | chosen["points"],
        weights=chosen["weights"],
        dtype=chosen["dtype"],
        seed=chosen["seed"],
        tag=chosen["tag"],
    )


def _is_entry(source: str) -> bool:
    """Whether a source is an entry, rather than a recipe's file or a problem."""
    return not (source.endswith(".json") or options.is_problem(source))


def _beside(folder: Path) -> Path:
    """Where the state of a run is kept while its entry is not there yet."""
    return folder.parent / f".{folder.name}.run"


def _save(
    entry: "Entry",
    folder: Path,
    workdir: Path,
    *,
    overwrite: bool,
    keep: bool,
    command: str | None = None,
) -> None:
    """Write the entry, then give up the state of the run, unless its folder was chosen."""
    entry.save(folder, overwrite=overwrite, command=command)
    if not keep:
        shutil.rmtree(workdir, ignore_errors=True)


@app.command(computes=True)
@name_argument
@click.option("--out", type=Path, required=True, help="Folder of the new entry.")
@optimizer_option
@steps_option
@settings_option
@physical_option
@points_option
@weights_option
@dtype_option
@click.option("--freeze", multiple=True, help='Parameters that stay, such as "hidden.0".')
@click.option(
    "--part", help='Part of a composed network, or "all"; by default the one that was trained last.'
)
@training_options
@click.pass_context
def finetune(
    context: click.Context,
    name: str,
    out: Path,
    optimizer: str,
    steps: int,
    settings: tuple[str, ...],
    physical: tuple[str, ...],
    points: tuple[str, ...],
    weights: tuple[str, ...],
    dtype: str | None,
    freeze: tuple[str, ...],
    part: str | None,
    seed: int | None,
    tag: str | None,
    seconds: float | None,
    workdir: Path | None,
    resume: bool,
    overwrite: bool,
    diagnostics: bool,
    observations: Path | None,
    columns: tuple[str, ...],
    problem: str | None,
    imports: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Go on training an entry, also for other coefficients, and save the new entry."""
    options.bring_in(imports, problem)
    from pinnzoo.optimizers import make_optimizer
    from pinnzoo.recipes import resolve_optimizer

    arguments = options.settings(settings)
    method = options.named("optimizer", optimizer)
    # They would be taken for arguments of `finetune`, some of which have the same names.
    make_optimizer(resolve_optimizer(method), arguments)
    folder = options.check_free(out, overwrite)
    options.check_apart(workdir, folder)
    place = workdir or _beside(folder)
    entry = options.load(name)
    if entry.folder is not None and Path(entry.folder).resolve() == folder.resolve():
        raise EntryError(
            f"the folder {str(out)!r} is that of the entry which is tuned, and which the new one "
            "names as its base: give another with --out."
        )
    changed = {**entry.recipe.problem_arguments, **options.settings(physical)}
    measured = _observations(observations, columns, entry.recipe.problem, changed)

    from pinnzoo import training

    with stdout_for_json(as_json):
        tuned = training.finetune(
            entry,
            method,
            steps,
            progress=True,
            problem_arguments=options.settings(physical) or None,
            points=options.settings(points),
            weights=options.settings(weights) or None,
            dtype=dtype,
            freeze=freeze,
            part=int(part) if part is not None and part.isdecimal() else part,
            seed=seed,
            tag=tag,
            seconds=seconds,
            workdir=place,
            resume=resume,
            diagnostics=diagnostics,
            observations=measured,
            **arguments,
        )
        _save(
            tuned,
            folder,
            place,
            overwrite=overwrite,
            keep=workdir is not None,
            command=options.typed(context, ("optimizer", "steps"), name=entry.name),
        )
    before = entry.metrics.get("relative_l2_error")
    emit(_outcome(tuned, folder) | {"before": before}, as_json, _screen)


@app.command(computes=True)
@name_argument
@argument("names", "Such as ntk; all by default.", nargs=-1, metavar="[DIAGNOSTIC]...")
@click.option("--out", type=Path, help="Folder of the new entry; in place by default.")
@own_options
def diagnose(
    name: str,
    names: tuple[str, ...],
    out: Path | None,
    problem: str | None,
    imports: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Compute kernels, Hessians and diagnostics of your own from stored parameters."""
    from pinnzoo.cli import screens

    options.bring_in(imports, problem)
    entry = options.load(name)
    folder = out or entry.folder
    assert folder is not None
    from pinnzoo import training, zoo
    from pinnzoo.storage.store import check_writable

    if out is None and zoo.is_copy_of_the_hub(folder):
        raise EntryError(
            f"{str(folder)!r} is a commit of the Hub, which nothing may change: give --out FOLDER "
            "for a copy of the entry with the diagnostics."
        )
    if out is None:
        # A link to the folder of an entry leads to it.
        place = check_writable(folder.resolve(), overwrite=True)
    else:
        place = options.check_free(out, overwrite=False)

    with stdout_for_json(as_json):
        done = training.diagnose(entry, names or None, progress=True)
        if out is None:
            done = _with_what_was_added_meanwhile(done, name, names)
        shown = [name for name in (CARD, PLOTS) if out is None and (place / name).exists()]
        done.save(place, overwrite=out is None)
        files = [place, *_show_again(place, shown)]
    emit({"files": files, "metrics": done.metrics}, as_json, screens.files)


def _show_again(folder: Path, shown: Sequence[str]) -> list[Path]:
    """Print the card and draw the plots of an entry that had them, from what it has become."""
    if not shown:
        return []
    from pinnzoo.cli.printing import print_card
    from pinnzoo.plots import save_plots

    entry = options.load(str(folder))
    # The card shows the pictures that are there.
    drawn = save_plots(entry, folder / PLOTS) if PLOTS in shown else []
    return [*drawn, *([print_card(entry, folder)] if CARD in shown else [])]


def _with_what_was_added_meanwhile(done: "Entry", name: str, names: Sequence[str]) -> "Entry":
    """The entry with its new diagnostics, and with those that another command wrote beside them.

    Raises:
        EntryError: Another entry is there now.
    """
    import numpy as np

    from pinnzoo.measure import check_diagnostics

    now = options.load(name)
    if now.recipe != done.recipe or not np.array_equal(now.theta, done.theta):
        raise EntryError(
            f"another entry was written to {str(now.folder)!r} while diagnostics of the one before "
            "were computed: run the command again."
        )
    chosen = check_diagnostics(names or None)
    blocks = {block: done.metrics[block] for block in chosen}
    return now.with_blocks(blocks, done.ntk if "ntk" in chosen else None)


def _screen(console: Any, data: Any) -> None:
    from pinnzoo.cli import screens

    screens.trained(console, data)


def _outcome(entry: "Entry", folder: Path) -> dict[str, Any]:
    metrics = entry.metrics
    found = entry.unknowns
    unknowns = {name: each.value for name, each in found.items()}
    errors = {n: each.standard_error for n, each in found.items()}
    known = {name: error for name, error in errors.items() if math.isfinite(error)}
    said = {"unknowns": unknowns, "standard_errors": known} if unknowns else {}
    return said | {
        "name": entry.name,
        "folder": folder,
        "before": None,
        "after": metrics.get("relative_l2_error"),
        "loss": metrics["loss"],
        "steps": metrics["steps"],
        "wall_time_seconds": metrics.get("wall_time_seconds", metrics["training_seconds"]),
    }
