"""Everything that a user of pinnzoo can do wrong, as one family of exceptions.

Each message is one sentence that says what was given, what is allowed and what to do.
"""

import os
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any

MOST_NAMED = 30
"""Names at most that a message lists all of."""

FIRST_NAMED = 10
"""Names that it lists of more."""

MOST_SHOWN = 40
"""Letters of a value at most that a message repeats."""

PLAIN = (str, bool, int, float, complex, list, tuple, dict, type(None))
"""Types whose values are told as they were written; of others the type is told."""


class PinnzooError(Exception):
    """Base class of every error that pinnzoo raises on purpose.

    Example:
        >>> try:
        ...     pinnzoo.load("heat-mlp-lm").predict([[0.5, 7.0]])
        ... except pinnzoo.PinnzooError as error:
        ...     print(type(error).__name__)
        PointsError
    """


class UnknownNameError(PinnzooError, KeyError):
    """A name that is not in the table it was looked up in."""

    def __str__(self) -> str:
        # KeyError prints the repr of its argument; a sentence should print as a sentence.
        return str(self.args[0]) if self.args else ""

    @classmethod
    def of(
        cls, kind: str, name: str, allowed: Iterable[str], *, hint: str = ""
    ) -> "UnknownNameError":
        """The error for `name`, with the nearest allowed names in its message.

        Args:
            kind: What the name should stand for.
            name: What was given.
            allowed: All names that are allowed.
            hint: What else can be done, in a few words.
        """
        import difflib

        names = sorted(allowed)
        near = difflib.get_close_matches(str(name), names, n=4, cutoff=0.4)
        if near:
            told = f"did you mean {', '.join(map(repr, near))}?"
        else:
            first = names if len(names) <= MOST_NAMED else names[:FIRST_NAMED]
            others = len(names) - len(first)
            more = f" and {others} others, {len(names)} in all" if others else ""
            listed = ", ".join(map(repr, first))
            told = f"allowed are {listed}{more}." if names else "none exist here."
        if hint:
            told = f"{told[:-1]}, or {hint}{told[-1]}"
        return cls(f"unknown {kind} {name!r}: {told}")


class RegistrationError(PinnzooError, ValueError):
    """A problem, architecture, optimizer or diagnostic that cannot be registered or imported."""


class DiagnosticError(PinnzooError, ValueError):
    """A diagnostic that failed, whose block JSON cannot hold, or that is given in a wrong way."""


class PointsError(PinnzooError, ValueError):
    """Points of the wrong shape, not finite, or outside of what the problem allows."""


class PrecisionError(PinnzooError, RuntimeError):
    """Double precision is needed but JAX has it switched off, or a dtype does not match."""


class RecipeError(PinnzooError, ValueError):
    """A recipe that cannot be read, or that asks for something impossible."""


class EntryError(PinnzooError):
    """An entry's folder that cannot be read."""


class AbsentRecordsError(EntryError):
    """Kernels or snapshots of an entry that this installation carries without them."""


class IntegrityError(EntryError):
    """Bytes, hashes, dtypes or golden values of an entry that are not what they should be."""


class DownloadError(EntryError):
    """An entry that cannot be brought from the Hugging Face Hub, or put there."""


class FormatVersionError(EntryError):
    """An entry written in a format that this version of pinnzoo does not read."""


class TrainingError(PinnzooError, RuntimeError):
    """Training that cannot start, or that left the finite numbers."""


def require(
    given: Any,
    kinds: type | UnionType,
    what: str,
    advice: str,
    error: type[PinnzooError] = RecipeError,
) -> None:
    """Raise unless something is of one of these types.

    Args:
        given: What a function was given.
        kinds: The types that it takes.
        what: What it should be, for the message.
        advice: What to give, in a few words.
        error: What to raise.

    Example:
        >>> try:
        ...     require(3, dict, "points", "give a dict, such as {'equation': 1000}")
        ... except pinnzoo.PinnzooError as error:
        ...     print(error)
        3 was given as points: give a dict, such as {'equation': 1000}.
    """
    if not isinstance(given, kinds):
        shown = repr(given)
        if len(shown) > MOST_SHOWN or not isinstance(given, PLAIN):
            shown = with_article(type(given).__name__)
        raise error(f"{shown} was given as {what}: {advice}.")


def require_dict(given: Any, what: str, such: object) -> None:
    """Raise unless a dict was given, or None.

    Args:
        given: What a function was given.
        what: What it should be, for the message.
        such: An example of it.

    Example:
        >>> require_dict(None, "points", {"equation": 1000})
    """
    require(given, Mapping | None, what, f"give a dict, such as {such}")


def refuse_names(*given: Any) -> None:
    """Raise where the name or the folder of an entry is given in the place of the entry.

    Args:
        given: Entries, or what else a function takes.

    Raises:
        EntryError: One is a name or a folder.

    Example:
        >>> try:
        ...     refuse_names("heat-mlp-lm")
        ... except pinnzoo.PinnzooError as error:
        ...     print(error)
        'heat-mlp-lm' was given as an entry: load it first, with pinnzoo.load('heat-mlp-lm').
    """
    for each in given:
        if isinstance(each, str | os.PathLike):
            name = os.fspath(each)
            raise EntryError(
                f"{name!r} was given as an entry: load it first, with pinnzoo.load({name!r})."
            )


def with_article(noun: str) -> str:
    """A word with "a" or "an" before it, by its first letters.

    Example:
        >>> with_article("int"), with_article("UserNet"), with_article("unknown")
        ('an int', 'a UserNet', 'an unknown')
    """
    vowel = noun[:1].lower() in tuple("aeio") or noun[:2].lower() == "un"
    return f"{'an' if vowel else 'a'} {noun}"


def shortened(error: BaseException) -> str:
    """The first words of somebody else's error, on one line.

    Example:
        >>> shortened(ValueError("no   such thing"))
        'no such thing'
    """
    return " ".join(str(error).split())[:200]
