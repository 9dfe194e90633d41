"""What an entry's two JSON files say about it. Imports no JAX."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pinnzoo.cards.statements import problem_title
from pinnzoo.cards.words import join_titles
from pinnzoo.recipes import Recipe
from pinnzoo.storage.folder import PLOTS, EntryFolder


@dataclass(frozen=True)
class Summary:
    """What an entry's two JSON files say.

    Attributes:
        name: Name of the entry.
        recipe: How it was trained.
        metrics: What came out; see `pinnzoo.storage.metrics`.
        plots: Names of the pictures in its folder, such as "solution".
    """

    name: str
    recipe: Recipe
    metrics: Mapping[str, Any]
    plots: tuple[str, ...] = ()

    @property
    def optimizers(self) -> str:
        """The optimizers of all phases in prose, each one once."""
        return join_titles(phase.optimizer for phase in self.recipe.phases)

    @property
    def error(self) -> float | None:
        """Relative L2 error; None where the problem has no reference."""
        return self.metrics.get("relative_l2_error")


def summarize(folder: EntryFolder) -> Summary:
    """Recipe and metrics of an entry, and which pictures it has; no network is loaded.

    Raises:
        EntryError: One of the files is damaged or of another format.
    """
    recipe = folder.recipe()
    plots = tuple(sorted(path.stem for path in (folder.path / PLOTS).glob("*.png")))
    return Summary(recipe.name, recipe, folder.metrics(), plots)


def row_of(recipe: Recipe, figures: Mapping[str, Any]) -> dict[str, Any]:
    """What a list shows of an entry, as plain data.

    Args:
        recipe: How it was trained.
        figures: What came out, "parameters" and "steps" at least.
    """
    return {
        "name": recipe.name,
        "problem": recipe.problem,
        "problem_title": problem_title(recipe),
        "problem_arguments": dict(recipe.problem_arguments),
        "architecture": recipe.architecture,
        "optimizers": [phase.optimizer for phase in recipe.phases],
        "relative_l2_error": figures.get("relative_l2_error"),
        "parameters": int(figures["parameters"]),
        "steps": int(figures["steps"]),
        "training_seconds": figures.get("training_seconds"),
    }
