"""Verbs that bring entries here, put them on the Hub, and print their cards."""

from pathlib import Path
from typing import Annotated

import typer

from pinnzoo.cli import options
from pinnzoo.cli.options import AsJson, Factory, Imports, app
from pinnzoo.cli.output import FAILED, emit, stdout_for_json


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
        found = {name: zoo.download(name, token=token) for name in options.matching(names)}
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
    problem: Factory = None,
    imports: Imports = None,
    as_json: AsJson = False,
) -> None:
    """Print the entries' cards and MODEL_CARDS.md from their files."""
    from pinnzoo.cli import screens
    from pinnzoo.cli.printing import print_cards, stale_cards

    options.bring_in(imports, problem)
    with stdout_for_json(as_json):
        if check:
            data = stale_cards(root, names or [])
        else:
            # A card shows the pictures that are there.
            drawn = _draw(root, names or []) if plots else []
            data = {"files": [*print_cards(root, names or []), *drawn]}
    if check:
        emit(data, as_json, screens.stale)
        if data["stale"]:
            raise typer.Exit(FAILED)
    else:
        emit(data, as_json, screens.files)


def _draw(root: Path, names: list[str]) -> list[Path]:
    from pinnzoo.cli.printing import entry_folders
    from pinnzoo.plots import save_plots
    from pinnzoo.storage.folder import PLOTS

    return [
        path
        for folder in entry_folders(root, names)
        for path in save_plots(options.load(str(folder.resolve())), folder / PLOTS)
    ]
