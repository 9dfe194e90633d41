"""The verbs. Each parses its arguments, calls the library and hands plain data to `emit`.

Whatever needs JAX or matplotlib is imported in the verb that needs it, so that `list`, `info` and
`--help` answer at once.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pinnzoo.cli.output import FAILED, Verbs, complain, emit, stdout_for_json
from pinnzoo.errors import EntryError, PinnzooError

if TYPE_CHECKING:
    from pinnzoo.cards.cards import Summary
    from pinnzoo.entry import Entry
    from pinnzoo.recipes import Recipe

app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="An entry's name, alias, folder, or hf-hub:org/name."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Workdir = Annotated[
    Path | None,
    typer.Option(help="Folder for the state of the run, so that it can go on after a kill."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("pinnzoo"))
        raise typer.Exit


@app.callback()
def _pinnzoo(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Pretrained physics-informed neural networks: list, fine-tune, analyze."""
    del version


def _summary(name: str) -> "tuple[Summary, Path]":
    """Recipe and metrics of an entry, and its folder, without JAX."""
    from pinnzoo.cards.cards import summarize
    from pinnzoo.zoo import open_entry

    folder = open_entry(name)
    return summarize(folder), folder.path


def _load(name: str) -> "Entry":
    """An entry, with JAX in double precision."""
    from pinnzoo.precision import enable_x64
    from pinnzoo.zoo import load

    enable_x64()
    return load(name)


def _check_free(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that exists before hours of training, not after."""
    if folder.exists() and not overwrite:
        raise EntryError(
            f"the folder {folder} exists already: give another with --out, or --overwrite."
        )


@app.command("list")
def list_(
    pattern: Annotated[str, typer.Argument(help='Names to show, such as "burgers*".')] = "*",
    as_json: AsJson = False,
) -> None:
    """List entries with their errors."""
    from pinnzoo import zoo
    from pinnzoo.cli import screens

    rows, damaged = [], False
    for name in zoo.list_entries(pattern):
        try:
            rows.append(_published_row(name) if zoo.find(name) is None else _local_row(name))
        except PinnzooError as error:
            # One damaged folder must not hide all others.
            complain(str(error))
            damaged = True
    emit(rows, as_json, screens.entries)
    if damaged:
        raise typer.Exit(FAILED)


def _local_row(name: str) -> dict[str, Any]:
    summary, _ = _summary(name)
    return _row(summary.recipe, summary.metrics)


def _published_row(name: str) -> dict[str, Any]:
    """What the registry tells of an entry that was not downloaded yet."""
    from pinnzoo.hub.remote import read_registry
    from pinnzoo.recipes import Recipe

    pin = read_registry()["entries"][name]
    return _row(Recipe.from_json(pin["recipe"]), pin["figures"])


def _row(recipe: "Recipe", figures: "Mapping[str, Any]") -> dict[str, Any]:
    from pinnzoo.cards.cards import problem_title

    return {
        "name": recipe.name,
        "problem": recipe.problem,
        "problem_title": problem_title(recipe),
        "architecture": recipe.architecture,
        "optimizers": [phase.optimizer for phase in recipe.phases],
        "relative_l2_error": figures["relative_l2_error"],
        "parameters": int(figures["parameters"]),
        "steps": int(figures["steps"]),
        "wall_time_seconds": figures["wall_time_seconds"],
    }


@app.command()
def info(name: Name, as_json: AsJson = False) -> None:
    """Show recipe and figures of an entry."""
    from pinnzoo.cards.cards import problem_statement, problem_title
    from pinnzoo.cli import screens

    summary, folder = _summary(name)
    data = {
        "name": summary.name,
        "problem_title": problem_title(summary.recipe),
        "statement": problem_statement(summary.recipe.problem),
        "folder": folder,
        "recipe": summary.recipe.to_dict(),
        "metrics": summary.metrics,
    }
    emit(data, as_json, screens.info)


@app.command()
def evaluate(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Entries to evaluate.")
    ] = None,
    all_entries: Annotated[bool, typer.Option("--all", help="Evaluate every entry.")] = False,
    as_json: AsJson = False,
) -> None:
    """Recompute errors and compare them with the stored ones; exit with 1 if they differ."""
    from pinnzoo import zoo
    from pinnzoo.cli import screens
    from pinnzoo.cli.analysis import evaluation

    if bool(names) == all_entries:
        raise typer.BadParameter("give names of entries, or --all.")
    with stdout_for_json(as_json):
        rows = [evaluation(_load(name)) for name in names or zoo.list_entries("*")]
    emit(rows, as_json, screens.evaluations)
    if not all(row["matches"] for row in rows):
        raise typer.Exit(FAILED)


@app.command()
def train(
    source: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's JSON file, or an entry to retrain.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the entry; ./<its name>.")] = None,
    workdir: Workdir = None,
    resume: Annotated[bool, typer.Option(help="Go on with the run in the work folder.")] = True,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Train a recipe and save the entry."""
    from pinnzoo.cli import screens
    from pinnzoo.recipes import Recipe

    if source.endswith(".json"):
        recipe = Recipe.from_json(Path(source).read_text(encoding="utf-8"))
    else:
        recipe = _summary(source)[0].recipe
    folder = out or Path(recipe.name)
    _check_free(folder, overwrite)

    from pinnzoo.precision import enable_x64
    from pinnzoo.training.training import train as run

    enable_x64()
    with stdout_for_json(as_json):
        entry = run(recipe, progress=True, workdir=workdir, resume=resume)
        entry.save(folder, overwrite=overwrite)
    emit(_outcome(entry, folder), as_json, screens.trained)


@app.command()
def finetune(
    name: Name,
    out: Annotated[Path, typer.Option(help="Folder of the new entry.")],
    optimizer: Annotated[
        str, typer.Option(help="Name or alias of the optimizer.")
    ] = "levenberg_marquardt",
    steps: Annotated[int, typer.Option(min=0, help="Number of steps.")] = 50,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An argument of the optimizer."),
    ] = None,
    part: Annotated[
        int | None,
        typer.Option(help="Part of a composed network; by default the one that was trained last."),
    ] = None,
    workdir: Workdir = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Go on training an entry with another optimizer and save the new entry."""
    from pinnzoo.cli import screens

    arguments = dict(map(_parse_setting, settings or []))
    _check_free(out, overwrite)
    entry = _load(name)

    from pinnzoo.training.training import finetune as run

    with stdout_for_json(as_json):
        tuned = run(entry, optimizer, steps, progress=True, part=part, workdir=workdir, **arguments)
        command = ["pinnzoo finetune", entry.name, f"--optimizer {optimizer} --steps {steps}"]
        command += [f"--set {setting}" for setting in settings or []]
        command += [] if part is None else [f"--part {part}"]
        tuned.save(out, overwrite=overwrite, command=" ".join(command))
    before = entry.metrics["relative_l2_error"]
    emit(_outcome(tuned, out) | {"before": before}, as_json, screens.trained)


def _parse_setting(text: str) -> tuple[str, Any]:
    """`damping=1e-3` as a name and a value; what is not JSON is a string."""
    name, separator, value = text.partition("=")
    if not (name.isidentifier() and separator):
        raise typer.BadParameter(f"{text!r} was given to --set: write NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _outcome(entry: "Entry", folder: Path) -> dict[str, Any]:
    return {
        "name": entry.name,
        "folder": folder,
        "before": None,
        "after": entry.metrics["relative_l2_error"],
        "steps": entry.metrics["steps"],
        "wall_time_seconds": entry.metrics["wall_time_seconds"],
    }


@app.command()
def analyze(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help='Names, aliases, folders, or "burgers*" for many.'),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the plots; ./<entry>, or ./comparison.")
    ] = None,
    plots: Annotated[bool, typer.Option(help="Draw plots.")] = True,
    as_json: AsJson = False,
) -> None:
    """Show how the neural tangent kernel and the Hessians changed, of one entry or of several."""
    from pinnzoo.cli import screens
    from pinnzoo.cli.analysis import analysis, comparison

    found = _matching(names)
    with stdout_for_json(as_json):
        entries = [_load(name) for name in found]
        data = analysis(entries[0]) if len(entries) == 1 else comparison(entries)
        if plots:
            from pinnzoo.plots.figures import save_comparison, save_plots

            if len(entries) == 1:
                data["plots"] = save_plots(entries[0], out or Path(entries[0].name))
            else:
                data["plots"] = save_comparison(entries, out or Path("comparison"))
    emit(data, as_json, screens.analysis if len(entries) == 1 else screens.comparison)


def _matching(names: list[str]) -> list[str]:
    """The entries that names and patterns stand for, each once.

    Raises:
        EntryError: A pattern matches none.
    """
    from pinnzoo.zoo import list_entries

    found: list[str] = []
    for name in names:
        matches = list_entries(name) if any(c in name for c in "*?[") else [name]
        if not matches:
            raise EntryError(f"no entry matches {name!r}: `pinnzoo list` shows all names.")
        found += matches
    return list(dict.fromkeys(found))


@app.command()
def plot(
    name: Name,
    plots: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PLOT]...", help="solution, history, ntk, eigenvalues, drift; all by default."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the plots; ./<entry>.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw chosen plots of an entry."""
    from pinnzoo.cli import screens
    from pinnzoo.plots.figures import check_names, save_plots

    chosen = check_names(plots or [])
    with stdout_for_json(as_json):
        entry = _load(name)
        paths = save_plots(entry, out or Path(entry.name), chosen)
    emit({"name": entry.name, "files": paths}, as_json, screens.files)


@app.command()
def download(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help='Names, aliases, "burgers*", or hf-hub:org/name.'),
    ],
    token: Annotated[str | None, typer.Option(help="Access token; the stored one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring entries to this machine, all of their files, checked."""
    from pinnzoo import zoo
    from pinnzoo.cli import screens

    with stdout_for_json(as_json):
        found = {name: zoo.download(name, token=token) for name in _matching(names)}
    emit({"files": list(found.values())}, as_json, screens.files)


@app.command()
def publish(
    namespace: Annotated[str, typer.Argument(help="User or organization on the Hub.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Entries; all by default.")
    ] = None,
    tag: Annotated[str, typer.Option(help="Name of the release; v and the version.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the files, send none.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Make repositories private.")] = False,
    root: Annotated[Path, typer.Option(help="Folder that holds checkpoints/.")] = Path(),
    registry: Annotated[
        Path | None, typer.Option(help="The registry to write; that of the package in --root.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish entries on the Hugging Face Hub and pin them in the registry."""
    from importlib.metadata import version

    from pinnzoo.cli import screens
    from pinnzoo.cli.printing import entry_folders
    from pinnzoo.hub import publishing
    from pinnzoo.hub import remote as hub
    from pinnzoo.storage.folder import EntryFolder

    folders = [EntryFolder.open(path) for path in entry_folders(root, names or [])]
    if dry_run:
        plan = [publishing.prepare(f, f"{namespace}/{f.manifest['entry']}") for f in folders]
        emit(
            {p.repository: {name: len(content) for name, content in p.files.items()} for p in plan},
            as_json,
            screens.publication,
        )
        return
    with stdout_for_json(as_json):
        made = publishing.publish(
            folders,
            namespace,
            tag=tag or f"v{version('pinnzoo')}",
            api=hub.client(),
            private=private,
        )
        path = registry or root / "pinnzoo" / "hub" / "registry.json"
        if path.is_file():
            made["entries"] = {**hub.read_registry(path)["entries"], **made["entries"]}
        hub.write_registry(path, made)
    pins = {name: f"{p['repository']}@{p['revision']}" for name, p in made["entries"].items()}
    emit({"registry": path, "release": made["release"], "pins": pins}, as_json, screens.published)


@app.command()
def cards(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Entries; all by default.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Name stale cards, write nothing.")
    ] = False,
    plots: Annotated[bool, typer.Option(help="Draw the plots too.")] = True,
    root: Annotated[
        Path, typer.Option(help="Folder that holds checkpoints/ and MODEL_CARDS.md.")
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Print the entries' cards and MODEL_CARDS.md from their files."""
    from pinnzoo.cli import screens
    from pinnzoo.cli.printing import print_cards, stale_cards

    with stdout_for_json(as_json):
        if check:
            data = stale_cards(root, names or [])
        else:
            data = {"files": print_cards(root, names or [])}
            if plots:
                data["files"] += _draw(root, names or [])
    if check:
        emit(data, as_json, screens.stale)
        if data["stale"]:
            raise typer.Exit(FAILED)
    else:
        emit(data, as_json, screens.files)


def _draw(root: Path, names: list[str]) -> list[Path]:
    from pinnzoo.cli.printing import entry_folders
    from pinnzoo.plots.figures import save_plots
    from pinnzoo.storage.folder import PLOTS

    return [
        path
        for folder in entry_folders(root, names)
        for path in save_plots(_load(str(folder.resolve())), folder / PLOTS)
    ]
