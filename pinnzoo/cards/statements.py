"""What a problem is, in words, for tables and cards. Imports no JAX.

A problem states itself in `Problem.statement`. One that comes with the package may state itself in
the docstring of its module `pinnzoo/pdes/<name>.py` instead, which is read and not imported, so
that entries are listed without JAX. Such a docstring has

1. a first line "Name: equation and data", whose part before the colon is the problem's title,
2. paragraphs about the solution, and
3. a paragraph that begins with "Source", where the statement ends.
"""

import ast
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnzoo.cards.words import title
from pinnzoo.recipes import Recipe

if TYPE_CHECKING:
    from pinnzoo.pdes import Problem

_FOLDER = Path(__file__).parent.parent / "pdes"
_SOURCE = "\n\nSource"


@functools.cache
def builtin_description(problem: str) -> str:
    """The statement of a problem of the package, each paragraph on a line; empty for others."""
    path = _FOLDER / f"{problem}.py"
    if problem.startswith("_") or not problem.isidentifier():
        return ""
    try:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError):
        return ""
    statement, found, _ = (docstring or "").partition(_SOURCE)
    return _unwrapped(statement) if found else ""


def problem_description(
    problem: "Problem", factories: Mapping[str, Callable[..., Any]] | None = None
) -> str:
    """What the equation, the data and the solution are; empty where nothing says so.

    Args:
        problem: The problem. Its own `statement` comes first.
        factories: Factories by name; a problem that is not the package's and has no statement is
            told by the first line of its factory's docstring.
    """
    statement = getattr(problem, "statement", "") or builtin_description(problem.name)
    if not statement and factories and problem.name in factories:
        statement = (factories[problem.name].__doc__ or "").strip().partition("\n")[0]
    return _unwrapped(statement)


def problem_statement(problem: str) -> str:
    """The first line about a problem of the package, such as "Burgers: `u_t + ...` on ..."."""
    return builtin_description(problem).partition("\n")[0]


def problem_title(recipe: Recipe) -> str:
    """Problem and the physical arguments that the recipe sets, such as "Convection, beta = 100"."""
    return described(recipe.problem, recipe.problem_arguments)


def described(problem: str, arguments: Mapping[str, object]) -> str:
    """A problem with arguments in words, such as "Convection, beta = 100"."""
    parts = [f"{key.replace('_', ' ')} = {_plain(value)}" for key, value in arguments.items()]
    return ", ".join([problem_name(problem), *parts])


def problem_name(problem: str) -> str:
    """A problem's title without its arguments."""
    return problem_statement(problem).partition(":")[0] or title(problem)


def _unwrapped(text: str) -> str:
    """Each paragraph on a line of its own."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
