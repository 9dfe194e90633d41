"""Verbs that bring entries here, put them on the Hub, and print their cards."""

from collections.abc import Sequence
from pathlib import Path

import click

from pinnzoo.cli import options
from pinnzoo.cli.commands import argument
from pinnzoo.cli.options import app, json_option, own_options
from pinnzoo.cli.output import FAILED, emit, stdout_for_json

_names_argument = argument("names", "Entries; all by default.", nargs=-1, metavar="[NAME]...")


@app.command()
@argument(
    "names",
    'Names, aliases, "burgers*", or hf-hub:org/name.',
    nargs=-1,
    required=True,
    metavar="NAME...",
)
@click.option("--token", help="Access token; the stored one.")
@json_option
def download(names: tuple[str, ...], token: str | None, as_json: bool) -> None:
    """Bring entries to this machine, all of their files, checked."""
    from pinnzoo import zoo
    from pinnzoo.cli import screens

    with stdout_for_json(as_json):
        found = {name: zoo.download(name, token=token) for name in options.matching(names)}
    emit({"files": list(found.values())}, as_json, screens.files)


@app.command()
@argument("namespace", "User or organization on the Hub.")
@_names_argument
@click.option("--tag", help="Name of the release; v and the version.")
@click.option("--dry-run", is_flag=True, help="Show the files, send none.")
@click.option("--private", is_flag=True, help="Make repositories private.")
@click.option("--root", type=Path, default=Path(), help="Folder that holds checkpoints/.")
@click.option("--registry", type=Path, help="The registry to write; that of the package in --root.")
@json_option
def publish(
    namespace: str,
    names: tuple[str, ...],
    tag: str | None,
    dry_run: bool,
    private: bool,
    root: Path,
    registry: Path | None,
    as_json: bool,
) -> None:
    """Publish entries on the Hugging Face Hub and pin them in the registry."""
    from importlib.metadata import version

    from pinnzoo.cli import screens
    from pinnzoo.cli.printing import entry_folders
    from pinnzoo.hub import publishing
    from pinnzoo.hub import remote as hub
    from pinnzoo.storage.folder import EntryFolder

    folders = [EntryFolder.open(path) for path in entry_folders(root, names)]
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


@app.command(computes=True)
@_names_argument
@click.option("--check", is_flag=True, help="Name stale cards, write nothing.")
@click.option("--plots/--no-plots", default=True, help="Draw the plots too.")
@click.option(
    "--root", type=Path, default=Path(), help="Folder that holds checkpoints/ and MODEL_CARDS.md."
)
@own_options
def cards(
    names: tuple[str, ...],
    check: bool,
    plots: bool,
    root: Path,
    problem: str | None,
    imports: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Print the entries' cards and MODEL_CARDS.md from their files."""
    from pinnzoo.cli import screens
    from pinnzoo.cli.printing import print_cards, stale_cards

    options.bring_in(imports, problem)
    with stdout_for_json(as_json):
        if check:
            data = stale_cards(root, names)
        else:
            # A card shows the pictures that are there.
            drawn = _draw(root, names) if plots else []
            data = {"files": [*print_cards(root, names), *drawn]}
    if check:
        emit(data, as_json, screens.stale)
        if data["stale"]:
            raise click.exceptions.Exit(FAILED)
    else:
        emit(data, as_json, screens.files)


def _draw(root: Path, names: Sequence[str]) -> list[Path]:
    from pinnzoo.cli.printing import entry_folders
    from pinnzoo.plots import save_plots
    from pinnzoo.storage.folder import PLOTS

    return [
        path
        for folder in entry_folders(root, names)
        for path in save_plots(options.load(str(folder.resolve())), folder / PLOTS)
    ]
