"""Pages about entries, as Markdown: a card for each, a table of all, and tables for the README.

- `words`: titles, durations, figures and phases in prose. Screens and plots use it too.
- `statements`: what a problem is, in words.
- `summary`: what an entry's two JSON files say.
- `tables`: Markdown tables, and how they get into a page.
- `metadata`: the YAML head that the Hugging Face Hub reads.
- `card`: the card of an entry. `overview`: the pages about all entries.

Importing this package loads none of them: `pinnzoo list` needs words, not Jinja2 and the Hub's
client. None imports JAX.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pinnzoo.cards.card import PLOT_CAPTIONS as PLOT_CAPTIONS
    from pinnzoo.cards.card import entry_card as entry_card
    from pinnzoo.cards.metadata import front_matter as front_matter
    from pinnzoo.cards.overview import claim as claim
    from pinnzoo.cards.overview import model_cards as model_cards
    from pinnzoo.cards.overview import optimizers_table as optimizers_table
    from pinnzoo.cards.overview import records_table as records_table
    from pinnzoo.cards.statements import problem_description as problem_description
    from pinnzoo.cards.statements import problem_statement as problem_statement
    from pinnzoo.cards.statements import problem_title as problem_title
    from pinnzoo.cards.summary import Summary as Summary
    from pinnzoo.cards.summary import summarize as summarize
    from pinnzoo.cards.tables import markdown_table as markdown_table
    from pinnzoo.cards.tables import with_tables as with_tables
    from pinnzoo.cards.words import TITLES as TITLES
    from pinnzoo.cards.words import duration as duration
    from pinnzoo.cards.words import figure as figure
    from pinnzoo.cards.words import join_titles as join_titles
    from pinnzoo.cards.words import phases_in_words as phases_in_words
    from pinnzoo.cards.words import title as title

_HOMES = {
    "card": ("PLOT_CAPTIONS", "entry_card"),
    "metadata": ("front_matter",),
    "overview": ("claim", "model_cards", "optimizers_table", "records_table"),
    "statements": ("problem_description", "problem_statement", "problem_title"),
    "summary": ("Summary", "summarize"),
    "tables": ("markdown_table", "with_tables"),
    "words": ("TITLES", "duration", "figure", "join_titles", "phases_in_words", "title"),
}
"""The public names of each file."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"pinnzoo.cards.{home}"), name)
    raise AttributeError(f"module 'pinnzoo.cards' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *(name for names in _HOMES.values() for name in names)})
