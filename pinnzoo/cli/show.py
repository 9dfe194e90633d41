"""Verbs that show what is there: list, info, evaluate, analyze, plot."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pinnzoo.cli import options
from pinnzoo.cli.commands import argument
from pinnzoo.cli.options import app, json_option, name_argument, own_options
from pinnzoo.cli.output import FAILED, complain, emit, stdout_for_json
from pinnzoo.errors import PinnzooError


@app.command("list")
@argument("pattern", 'Names to show, such as "burgers*".', default="*")
@click.option("--matrix", is_flag=True, help="Best errors by problem, architecture and optimizer.")
@json_option
def list_(pattern: str, matrix: bool, as_json: bool) -> None:
    """List entries with their errors."""
    from pinnzoo import zoo
    from pinnzoo.cli import screens

    rows, damaged = [], False
    for name in zoo.list_entries(pattern):
        try:
            place = zoo.find(name)
            rows.append(_published_row(name) if place is None else _local_row(name, place))
        except PinnzooError as error:
            # One damaged folder must not hide all others.
            complain(str(error))
            damaged = True
    if matrix:
        emit(_matrix(rows), as_json, screens.matrix)
    else:
        emit(rows, as_json, screens.entries)
    if damaged:
        raise click.exceptions.Exit(FAILED)


KINDS = {
    "problems": "pinnzoo.pdes",
    "architectures": "pinnzoo.architectures",
    "optimizers": "pinnzoo.optimizers",
    "diagnostics": "pinnzoo.diagnostics",
}
"""What has names, and the package with the table of them."""


@app.command(computes=True)
@argument(
    "kind",
    f"What to name: {', '.join(KINDS)}.",
    type=click.Choice(list(KINDS)),
    default="problems",
    metavar="[KIND]",
)
@options.import_option
@json_option
def names(kind: str, imports: tuple[Path, ...], as_json: bool) -> None:
    """List problems, architectures, optimizers or diagnostics, and the arguments they take."""
    from importlib import import_module

    from pinnzoo.cli import screens
    from pinnzoo.registry import find, known_names

    options.bring_in(imports)
    table, singular = getattr(import_module(KINDS[kind]), kind.upper()), kind.removesuffix("s")
    rows, damaged = [], False
    for name in known_names(singular, table):
        try:
            rows.append(_name_row(singular, name, find(singular, table, name)))
        except PinnzooError as error:
            # A package that cannot be imported must not hide all others.
            complain(str(error))
            damaged = True
    emit(rows, as_json, screens.names)
    if damaged:
        raise click.exceptions.Exit(FAILED)


def _name_row(kind: str, name: str, found: Any) -> dict[str, Any]:
    """What there is to say of a problem, an architecture, an optimizer or a diagnostic."""
    from pinnzoo.architectures import GIVEN
    from pinnzoo.cards.statements import problem_name
    from pinnzoo.cards.words import title
    from pinnzoo.registry import parameters_of, provider

    if kind == "diagnostic":
        about, takes, source = found.title, {}, found.compute
    else:
        takes = parameters_of(found, GIVEN if kind == "architecture" else ())
        about, source = (problem_name if kind == "problem" else title)(name), found
    return {
        "name": name,
        "title": about,
        "arguments": {key: _default(each) for key, each in takes.items()},
        "provider": provider(source),
    }


def _default(parameter: Any) -> Any:
    """A default as JSON has it; None where there is none."""
    value = parameter.default
    if value is parameter.empty:
        return None
    plain = value is None or isinstance(value, bool | int | float | str | list | tuple | dict)
    return value if plain else repr(value)


def _matrix(rows: "Sequence[Mapping[str, Any]]") -> list[dict[str, Any]]:
    """A row for each problem and architecture, with the best entry of each optimizer."""
    from pinnzoo.cards.matrix import Cell, columns_of, rows_of
    from pinnzoo.cards.statements import described
    from pinnzoo.recipes import physical_arguments

    def cell(row: "Mapping[str, Any]") -> Cell:
        arguments = physical_arguments(row["problem_arguments"])
        return Cell(
            described(row["problem"], arguments),
            row["architecture"],
            row["optimizers"][-1],
            row["name"],
            row["relative_l2_error"],
        )

    cells = [cell(row) for row in rows]
    columns = columns_of(cells)
    return [
        {
            "problem_title": row.problem,
            "architecture": row.architecture,
            "entries": {
                optimizer: {
                    "name": row.cells[optimizer].name,
                    "relative_l2_error": row.cells[optimizer].error,
                    "best": row.cells[optimizer].name == row.best,
                }
                if optimizer in row.cells
                else None
                for optimizer in columns
            },
        }
        for row in rows_of(cells)
    ]


def _local_row(name: str, place: Path) -> dict[str, Any]:
    from pinnzoo import zoo
    from pinnzoo.storage.index import indexed_row

    if (row := indexed_row(place)) is not None:
        return row
    from pinnzoo.cards.summary import row_of

    folder = zoo.open_entry(name)
    return row_of(folder.recipe(), folder.metrics())


def _published_row(name: str) -> dict[str, Any]:
    """What the registry tells of an entry that was not downloaded yet."""
    from pinnzoo.cards.summary import row_of
    from pinnzoo.hub.remote import read_registry
    from pinnzoo.recipes import Recipe

    pin = read_registry()["entries"][name]
    return row_of(Recipe.from_json(pin["recipe"]), pin["figures"])


@app.command()
@name_argument
@own_options
def info(name: str, problem: str | None, imports: tuple[Path, ...], as_json: bool) -> None:
    """Show recipe and figures of an entry."""
    from pinnzoo.cards import problem_statement, problem_title
    from pinnzoo.cli import screens

    options.bring_in(imports, problem)
    summary, folder = options.summary(name)
    data = {
        "name": summary.name,
        "problem_title": problem_title(summary.recipe),
        "statement": problem_statement(summary.recipe.problem),
        "folder": folder,
        "recipe": summary.recipe.to_dict(),
        "metrics": summary.metrics,
    }
    emit(data, as_json, screens.info)


@app.command(computes=True)
@argument("names", 'Entries to evaluate, or "burgers*" for many.', nargs=-1, metavar="NAME...")
@click.option("--all", "all_entries", is_flag=True, help="Evaluate every entry.")
@own_options
def evaluate(
    names: tuple[str, ...],
    all_entries: bool,
    problem: str | None,
    imports: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Recompute errors and compare them with the stored ones; exit with 1 if they differ."""
    from pinnzoo import zoo
    from pinnzoo.cli import screens
    from pinnzoo.cli.analysis import evaluation
    from pinnzoo.evaluation import require_reference

    options.bring_in(imports, problem)
    if bool(names) == all_entries:
        raise click.BadParameter("give names of entries, or --all.")
    rows, failed = [], False
    with stdout_for_json(as_json):
        for name in options.matching(names) or zoo.list_entries("*"):
            # One that cannot be read must not hide the others.
            try:
                entry = options.load(name)
            except PinnzooError as error:
                complain(f"{name}: {error}" if name not in str(error) else str(error))
                failed = True
                continue
            try:
                require_reference(entry.problem)
            except PinnzooError as error:
                # Nor must one without a reference; of all, it is not asked for.
                complain(f"{entry.name}: {error}")
                failed |= not all_entries
                continue
            rows.append(evaluation(entry))
    if rows or not failed:
        emit(rows, as_json, screens.evaluations)
    if failed or any(row["matches"] is False for row in rows):
        raise click.exceptions.Exit(FAILED)


@app.command(computes=True)
@argument(
    "names",
    'Names, aliases, folders, or "burgers*" for many.',
    nargs=-1,
    required=True,
    metavar="NAME...",
)
@click.option("--out", type=Path, help="Folder of the plots; ./<entry>-plots, or ./comparison.")
@click.option("--plots/--no-plots", default=True, help="Draw plots.")
@click.option(
    "--what",
    metavar="NAME,...",
    help="Compute analyses from the stored parameters: modes, linearised, alignment, hessians, "
    "landscape, a diagnostic of your own, or all.",
)
@own_options
def analyze(
    names: tuple[str, ...],
    out: Path | None,
    plots: bool,
    what: str | None,
    problem: str | None,
    imports: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Show how the neural tangent kernel and the Hessians changed, of one entry or of several."""
    from pinnzoo.cli import screens
    from pinnzoo.cli.analysis import absence, analysis, comparison

    options.bring_in(imports, problem)
    if what is not None:
        _analyze_in_depth(options.matching(names), what, out, plots, as_json)
        return
    found = options.matching(names)
    with stdout_for_json(as_json):
        entries = [options.load(name) for name in found]
        for entry in entries:
            if (reason := absence(entry)) is not None:
                complain(reason)
        data = analysis(entries[0]) if len(entries) == 1 else comparison(entries)
        if plots:
            from pinnzoo.plots import save_comparison, save_plots

            if len(entries) == 1:
                data["plots"] = save_plots(entries[0], out or _plots_folder(entries[0].name))
            else:
                data["plots"] = save_comparison(entries, out or Path("comparison"))
    emit(data, as_json, screens.analysis if len(entries) == 1 else screens.comparison)


def _analyze_in_depth(
    names: list[str], what: str, out: Path | None, plots: bool, as_json: bool
) -> None:
    """Compute the named analyses of each entry; one that fails does not hide the others."""
    from pinnzoo.analysis.bench import check_names
    from pinnzoo.cli import screens
    from pinnzoo.cli.analysis import in_depth, side_by_side

    chosen = check_names(None if what == "all" else [w.strip() for w in what.split(",")])
    # A table is printed once, however often it is asked for.
    chosen = list(dict.fromkeys(chosen))
    labels = _labels(names)
    rows, failed = [], False
    with stdout_for_json(as_json):
        for name in names:
            try:
                entry = options.load(name)
                folder, label = None, labels.get(name, entry.name)
                if plots:
                    alone = len(names) == 1
                    folder = out or _plots_folder(label)
                    folder = folder if alone or out is None else out / label
                row = in_depth(entry, chosen, folder, keep=len(names) == 1)
                rows.append(row | {"label": label})
            except PinnzooError as error:
                complain(f"{name}: {error}")
                failed = True
    if rows or not failed:
        emit(side_by_side(rows, chosen), as_json, screens.analyses)
    if failed:
        raise click.exceptions.Exit(FAILED)


def _labels(names: list[str]) -> dict[str, str]:
    """Names by which entries can be told; what cannot be read is refused where it is loaded."""
    from pinnzoo import zoo
    from pinnzoo.cards.words import distinct_names

    found = {}
    for name in names:
        with contextlib.suppress(PinnzooError):
            folder = zoo.open_entry(name)
            found[name] = folder.recipe().name, folder.path
    told = distinct_names([name for name, _ in found.values()], [p for _, p in found.values()])
    return dict(zip(found, told, strict=True))


def _plots_folder(name: str) -> Path:
    # `train` puts the entry of that name into ./<name>, which pictures must not go into.
    return Path(f"{name}-plots")


@app.command(computes=True)
@name_argument
@argument(
    "plots", "Such as history or ntk; those of the card by default.", nargs=-1, metavar="[PLOT]..."
)
@click.option("--out", type=Path, help="Folder of the plots; ./<entry>-plots.")
@own_options
def plot(
    name: str,
    plots: tuple[str, ...],
    out: Path | None,
    problem: str | None,
    imports: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Draw chosen plots of an entry."""
    from pinnzoo.cli import screens
    from pinnzoo.plots import check_names, save_plots

    options.bring_in(imports, problem)
    chosen = check_names(plots)
    with stdout_for_json(as_json):
        entry = options.load(name)
        paths = save_plots(entry, out or _plots_folder(entry.name), chosen)
    emit({"name": entry.name, "files": paths}, as_json, screens.files)
