"""Tables of factories by name: registering one, looking one up, and calling what is found there.

Names belong to files and command lines. This is the one place where a name becomes a factory: that
of a table of the package, one that a program registered, or one that an installed package offers as
an entry point of the group `pinnzoo.problems`, `pinnzoo.architectures`, `pinnzoo.optimizers` or
`pinnzoo.diagnostics`.
"""

import functools
import importlib.util
import inspect
import math
import numbers
import re
import sys
from collections.abc import Callable, Collection, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pinnzoo.errors import (
    PinnzooError,
    RecipeError,
    RegistrationError,
    UnknownNameError,
    shortened,
    with_article,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

GROUPS = {
    "problem": "pinnzoo.problems",
    "architecture": "pinnzoo.architectures",
    "optimizer": "pinnzoo.optimizers",
    "diagnostic": "pinnzoo.diagnostics",
}
"""Group of package entry points by what its table holds."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")

_titles: dict[str, str] = {}


def register(
    kind: str,
    table: MutableMapping[str, Any],
    thing: Any,
    *,
    name: str | None = None,
    title: str | None = None,
    reserved: Collection[str] = (),
    source: Callable[[Any], Any] = lambda thing: thing,
) -> Any:
    """Put a factory into a table, under its own name unless another is given.

    Registering the same object again changes nothing, and a function or class that was edited and
    executed again (a cell of a notebook, a reloaded module) takes the place of its older self.

    Args:
        kind: What the table holds, for messages.
        table: Factories by name.
        thing: The factory.
        name: The name that recipes use.
        title: How the name is written in prose, on cards and in tables.
        reserved: Names that nothing of this table may have.
        source: The function or class behind an object of the table, by which it is recognized.

    Returns:
        `thing`, so that the public functions serve as decorators.

    Raises:
        RegistrationError: The name is taken by something else, or cannot be part of a file name.
    """
    given = getattr(thing, "__name__", None) or getattr(thing, "name", "")
    key = given if name is None else name
    if not callable(source(thing)):
        raise RegistrationError(
            f"an object of the type {type(thing).__name__} was given: register the function that "
            f"makes the {kind}, such as register_{kind}(make_it)."
        )
    if not (isinstance(key, str) and _NAME.fullmatch(key)):
        raise RegistrationError(
            f"{with_article(kind)} called {key!r} was given: names are lower-case letters, digits "
            "and '_', so give one as name=..."
        )
    if key in reserved:
        raise RegistrationError(
            f"{with_article(kind)} called {key!r} was given, a name that pinnzoo keeps for "
            f"itself, as it does {', '.join(sorted(reserved))}: give another with name=..."
        )
    if key in table and not _is_same(source(thing), source(table[key])):
        taken_by = provider(source(table[key])) or "pinnzoo"
        raise RegistrationError(
            f"{with_article(kind)} called {key!r} was given, a name that {taken_by} has "
            "taken: give another with name=..."
        )
    table[key] = thing
    if title is not None:
        _titles[key] = title
    return thing


def _is_same(thing: Any, known: Any) -> bool:
    """Whether something is what is known already, or that after it was edited."""
    if thing is known:
        return True
    own, other = (
        (getattr(f, "__module__", None), getattr(f, "__qualname__", None)) for f in (thing, known)
    )
    return own == other and None not in own and not is_builtin(known)


def registered_title(name: str) -> str | None:
    """The title that a name was registered with, if it was given one."""
    return _titles.get(name)


def is_builtin(thing: Any) -> bool:
    """Whether the package itself defines this factory."""
    return str(getattr(thing, "__module__", "")).split(".")[0] == "pinnzoo"


def provider(thing: Any) -> str:
    """What a reader has to install or to register to have this factory; "" for one of the package.

    That is the distribution and its version where its module was installed, else the name of the
    file or of the module that defines it. Never a path, since it is published.
    """
    while isinstance(thing, functools.partial):
        thing = thing.func
    if is_builtin(thing):
        return ""
    module = str(getattr(thing, "__module__", "") or "")
    from importlib.metadata import packages_distributions, version

    for distribution in packages_distributions().get(module.split(".")[0], []):
        return f"{distribution} {version(distribution)}"
    source = getattr(sys.modules.get(module), "__file__", None)
    return Path(source).name if source else module


@functools.cache
def _offered(group: str) -> "dict[str, list[EntryPoint]]":
    # A tenth of the time of `pinnzoo list`, which asks for no name that the package does not have.
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        found.setdefault(point.name, []).append(point)
    return found


def _itself(thing: Any, _: str) -> Any:
    if not callable(thing):
        raise TypeError(f"it is of the type {type(thing).__name__}, no function and no class")
    return thing


def find(
    kind: str,
    table: MutableMapping[str, T],
    name: str,
    made: Callable[[Any, str], T] = _itself,
) -> T:
    """What a name stands for: in the table, or offered by an installed package.

    Args:
        kind: What the table holds, for messages.
        table: By name. What a package offers is added to it.
        name: Which one.
        made: What the table holds of a thing that is offered under a name; it raises where the
            thing is of no use.

    Raises:
        UnknownNameError: Neither knows the name.
        RegistrationError: The package that offers it cannot be imported, or offers something else,
            or several packages offer the name.
    """
    if name not in table:
        offered = _offered(GROUPS[kind]) if kind in GROUPS else {}
        if name not in offered:
            raise UnknownNameError.of(kind, name, {*table, *offered}, hint=_remedy(kind))
        places = sorted({point.value for point in offered[name]})
        if len(places) > 1:
            raise RegistrationError(
                f"the {kind} {name!r} is offered by {' and by '.join(map(repr, places))}: remove "
                "all of these packages but one."
            )
        try:
            table[name] = made(offered[name][0].load(), name)
        except (Exception, SystemExit) as error:
            raise RegistrationError(
                f"the {kind} {name!r} is offered by {places[0]!r}, which cannot be used "
                f"({type(error).__name__}: {error}): repair or remove that package."
            ) from error
    return table[name]


def _remedy(kind: str) -> str:
    if kind not in GROUPS:
        return ""
    shell = "--import FILE.py" if kind == "diagnostic" else "FILE.py:NAME"
    return f"register your own with pinnzoo.register_{kind} first (in a shell, name it {shell})"


def from_file(text: str, accept: tuple[type, ...] = ()) -> Any:
    """What `path/to/file.py:name` names, a function or a class; the file is executed.

    Args:
        text: The file and the name.
        accept: Types that an object of that name may have as well.

    Raises:
        RegistrationError: There is no such file or no such name in it, or executing it fails.
    """
    path, _, name = text.rpartition(":")
    file = Path(path).expanduser()
    if not path.endswith(".py") or not name.isidentifier() or not file.is_file():
        raise RegistrationError(
            f"{text!r} was given: write path/to/file.py:factory, with a file that exists."
        )
    module = execute(file)
    if not hasattr(module, name):
        public = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        raise UnknownNameError.of(f"name in {file.name}", name, public)
    found = getattr(module, name)
    if not (callable(found) or isinstance(found, accept)):
        raise RegistrationError(
            f"{text!r} was given, an object of the type {type(found).__name__}: give the name of a "
            "function or of a class."
        )
    return found


def execute(file: Path) -> Any:
    """The module that a file makes when it is executed, once per process.

    It finds the modules beside it, then and later, as a script does; those that are installed come
    first.

    Raises:
        RegistrationError: It cannot be executed.
    """
    stem = re.sub(r"\W", "_", file.stem)
    name = f"{stem}_{abs(hash(str(file.resolve()))):x}"
    # A module of that name that comes from another file is kept.
    for each in (stem, name):
        known = sys.modules.get(each)
        if known is None:
            name = each
            break
        if _same_file(getattr(known, "__file__", None), file):
            return known
    spec = importlib.util.spec_from_file_location(name, file)
    if (beside := str(file.resolve().parent)) not in sys.path:
        sys.path.append(beside)
    try:
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise RegistrationError(
            f"the file {str(file)!r} cannot be executed ({type(error).__name__}: {error}): correct "
            "it first."
        ) from error
    return module


def _same_file(known: str | None, file: Path) -> bool:
    return known is not None and Path(known).resolve() == file.resolve()


def known_names(kind: str, table: Collection[str]) -> list[str]:
    """All names of a kind in order, those that installed packages offer among them.

    Args:
        kind: What the table holds.
        table: By name.
    """
    return sorted({*table, *_offered(GROUPS[kind])})


def parameters_of(
    factory: Callable[..., Any], given: Collection[str] = ()
) -> dict[str, inspect.Parameter]:
    """What a factory takes of a recipe, by name.

    Args:
        factory: A function or a class.
        given: What every factory of its table takes, which is no recipe's to set.
    """
    # The signature of an nnx class itself is that of its metaclass: (*args, **kwargs).
    signature = inspect.signature(factory.__init__ if isinstance(factory, type) else factory)
    return {k: v for k, v in signature.parameters.items() if k not in {"self", *given}}


def make(
    kind: str,
    table: MutableMapping[str, Callable[..., T]],
    name: str,
    arguments: Mapping[str, Any],
    **given: Any,
) -> T:
    """`table[name](**given, **arguments)`, with the name and the arguments checked.

    Args:
        kind: What the table holds, for messages.
        table: Factories by name.
        name: Which one to call.
        arguments: What a recipe asks for; names in `given` are not a recipe's to set.
        **given: Arguments that every factory of the table takes.

    Raises:
        UnknownNameError: There is no such factory.
        RecipeError: The factory does not take one of the arguments, or not that value.
    """
    factory = find(kind, table, name)
    allowed = parameters_of(factory, given)
    for argument in arguments:
        if argument not in allowed:
            raise RecipeError(
                f"{kind} {name!r} was given the argument {argument!r}: "
                f"it takes {', '.join(allowed) or 'no arguments'}."
            )
    try:
        return factory(**given, **arguments)
    except PinnzooError:
        raise
    except (TypeError, ValueError) as error:
        for argument, value in arguments.items():
            # Comparisons of words with numbers fail in Python's words, which name neither.
            usual = allowed[argument].default
            if isinstance(value, str) and isinstance(usual, int | float):
                raise RecipeError(
                    f"{kind} {name!r} was given {argument}={value!r}, which is a word: give a "
                    f"number, such as {usual!r}."
                ) from error
        raise RecipeError(
            f"{kind} {name!r} was given {dict(arguments)}, which it cannot use: {error}."
        ) from error
    except Exception as error:
        raise RecipeError(
            f"{kind} {name!r} fails when it is made with {dict(arguments) or 'no arguments'}: "
            f"{type(error).__name__}, {shortened(error)}."
        ) from error


def check_finite(**arguments: float) -> None:
    """Raise unless every argument is a finite number.

    Raises:
        RecipeError: One is not.

    Example:
        >>> check_finite(offset=-1.5)
    """
    _check_each(arguments, is_finite, "a number")


def check_positive(**arguments: float) -> None:
    """Raise unless every argument is a finite number above zero.

    Raises:
        RecipeError: One is not.

    Example:
        >>> check_positive(diffusivity=0.25, length=1.0)
    """
    _check_each(arguments, lambda value: is_finite(value) and value > 0, "a positive number")


def check_not_negative(**arguments: float) -> None:
    """Raise unless every argument is a finite number of zero or more.

    Raises:
        RecipeError: One is not.

    Example:
        >>> check_not_negative(seconds=0.0)
    """
    allowed = lambda value: is_finite(value) and value >= 0  # noqa: E731
    _check_each(arguments, allowed, "a number of zero or more")


def check_whole(least: int = 1, **arguments: int) -> None:
    """Raise unless every argument is a whole number, such as a number of steps.

    Args:
        least: The least one that is allowed.
        **arguments: The numbers by name.

    Raises:
        RecipeError: One is not, or is smaller.

    Example:
        >>> check_whole(memory_size=100)
    """
    _check_each(
        arguments, lambda value: is_whole(value, least), f"a whole number of {least} or more"
    )


def check_rates(**arguments: float) -> None:
    """Raise unless every argument is a number that is at least 0 and below 1.

    Raises:
        RecipeError: One is not.

    Example:
        >>> check_rates(momentum=0.9)
    """
    _check_each(arguments, lambda value: is_finite(value) and 0 <= value < 1, "in [0, 1)")


def check_switches(**arguments: bool) -> None:
    """Raise unless every argument is True or False; words such as "no" would count as True.

    Raises:
        RecipeError: One is not.

    Example:
        >>> check_switches(resume=False)
    """
    # NumPy's as well, which this module does not import.
    kinds = ("bool", "bool_")
    _check_each(arguments, lambda value: type(value).__name__ in kinds, "True or False")


def _check_each(arguments: Mapping[str, Any], allowed: Callable[[Any], bool], words: str) -> None:
    """Raise for the first argument that is not allowed; the words say what is."""
    for name, value in arguments.items():
        if not allowed(value):
            raise RecipeError(f"{name}={value!r} was given: it must be {words}.")


def is_whole(value: Any, least: int) -> bool:
    """Whether something is a whole number of `least` or more."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return whole and int(value) >= least


def is_finite(value: object) -> bool:
    """Whether something is a finite real number."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
