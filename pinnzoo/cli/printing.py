"""Cards as files: which there are, what they should say, and which are stale."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnzoo.cards.card import entry_card
from pinnzoo.cards.overview import Listed, claim, model_cards, optimizers_table, records_table
from pinnzoo.cards.statements import problem_description
from pinnzoo.cards.summary import Summary, row_of, summarize
from pinnzoo.cards.tables import with_tables
from pinnzoo.errors import EntryError, UnknownNameError
from pinnzoo.recipes import resolve_entry_name
from pinnzoo.storage.files import write_file
from pinnzoo.storage.folder import CARD, MANIFEST, EntryFolder
from pinnzoo.storage.index import INDEX, index_json

if TYPE_CHECKING:
    from pinnzoo.entry import Entry

CHECKPOINTS, MODEL_CARDS, README = "checkpoints", "MODEL_CARDS.md", "README.md"

WIDTH = 99
"""Of the lines of a page, in characters."""


def entry_folders(root: Path, names: Sequence[str] = ()) -> list[Path]:
    """Folders of the named entries, or of all entries, in `root`.

    Raises:
        EntryError: There is no folder `checkpoints`.
        UnknownNameError: There is no entry of a name.
    """
    checkpoints = root / CHECKPOINTS
    if not checkpoints.is_dir():
        raise EntryError(
            f"{root.resolve()} holds no folder {CHECKPOINTS!r}: run in the repository's folder, or "
            "give it as --root."
        )
    found = {path.parent.name: path.parent for path in sorted(checkpoints.glob(f"*/{MANIFEST}"))}
    for name in map(resolve_entry_name, names):
        if name not in found:
            raise UnknownNameError.of("entry", name, found)
    return [found[resolve_entry_name(name)] for name in names] or list(found.values())


def expected_cards(root: Path, names: Sequence[str] = ()) -> dict[Path, str]:
    """What every card should say: the named entries' (or all), and the pages about all of them.

    These are MODEL_CARDS.md, the README's tables and the index of the entries.
    """
    from pinnzoo import diagnostics
    from pinnzoo.pdes import PROBLEMS, make_problem
    from pinnzoo.precision import enable_x64

    enable_x64()
    summaries: dict[Path, Summary] = {
        folder: summarize(EntryFolder.open(folder)) for folder in entry_folders(root)
    }
    problems = {
        folder: make_problem(summary.recipe.problem, summary.recipe.problem_arguments)
        for folder, summary in summaries.items()
    }
    registered = getattr(diagnostics, "DIAGNOSTICS", {})
    cards = {
        folder / CARD: entry_card(
            summaries[folder], problems[folder], diagnostics=registered, factories=PROBLEMS
        )
        for folder in entry_folders(root, names)
    }
    listed = [
        Listed(summary, problems[folder].title, problem_description(problems[folder], PROBLEMS))
        for folder, summary in summaries.items()
    ]
    cards[root / MODEL_CARDS] = model_cards(listed, CHECKPOINTS)
    cards[root / CHECKPOINTS / INDEX] = index_json(
        {folder: row_of(summary.recipe, summary.metrics) for folder, summary in summaries.items()}
    )
    readme = root / README
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        tables = {
            "claim": textwrap.fill(claim(listed), WIDTH),
            "entries": optimizers_table(listed, CHECKPOINTS),
            "records": records_table(listed, CHECKPOINTS),
        }
        cards[readme] = with_tables(text, tables)
    return cards


def print_card(entry: "Entry", folder: Path) -> Path:
    """Write the card of one entry into its folder, wherever that is; returns the file."""
    from pinnzoo.diagnostics import DIAGNOSTICS
    from pinnzoo.pdes import PROBLEMS

    about = summarize(EntryFolder.open(folder))
    text = entry_card(about, entry.problem, diagnostics=DIAGNOSTICS, factories=PROBLEMS)
    write_file(folder / CARD, text.encode())
    return folder / CARD


def print_cards(root: Path, names: Sequence[str] = ()) -> list[Path]:
    """Write every card; returns the files."""
    cards = expected_cards(root, names)
    for path, text in cards.items():
        write_file(path, text.encode())
    return list(cards)


def stale_cards(root: Path, names: Sequence[str] = ()) -> dict[str, Any]:
    """Which cards are missing or say something else than they should."""
    cards = expected_cards(root, names)
    stale = [
        path
        for path, text in cards.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    return {"checked": len(cards), "stale": stale}
