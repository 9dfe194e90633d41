"""The command's options, and what several verbs do before they begin."""

import json
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pinnzoo.cli.commands import SETTINGS, Verbs, argument, together
from pinnzoo.cli.output import stdout_for_json
from pinnzoo.errors import EntryError, UnknownNameError

if TYPE_CHECKING:
    from pinnzoo.cards import Summary
    from pinnzoo.entry import Entry
    from pinnzoo.observations import Observations
    from pinnzoo.pdes import Problem


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("pinnzoo"))
        context.exit()


@click.group("pinnzoo", cls=Verbs, context_settings=SETTINGS)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
def app() -> None:
    """Pretrained physics-informed neural networks: list, fine-tune, analyze."""


name_argument = argument("name", "An entry's name, alias, folder, or hf-hub:org/name.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is in the folder.")
problem_option = click.option(
    "--problem", metavar="FILE.py:NAME", help="A problem that the package does not know."
)
import_option = click.option(
    "--import",
    "imports",
    type=Path,
    multiple=True,
    metavar="FILE.py",
    help="Execute a file first, which registers what it defines.",
)
diagnostics_option = click.option(
    "--diagnostics/--no-diagnostics", default=True, help="Compute kernels and Hessians."
)

own_options = together(problem_option, import_option, json_option)
"""For verbs that read entries, also of problems of one's own."""

# What is trained, and how: for `train`, `finetune` and `solve`.

optimizer_option = click.option(
    "--optimizer",
    default="levenberg_marquardt",
    help="Name or alias of the optimizer, or FILE.py:factory.",
)
steps_option = click.option(
    "--steps", type=click.IntRange(min=0), default=200, help="Number of steps."
)
settings_option = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="An argument of the optimizer."
)
physical_option = click.option(
    "--problem-set",
    "physical",
    multiple=True,
    metavar="NAME=VALUE",
    help="A physical argument of the problem.",
)
points_option = click.option(
    "--points", multiple=True, metavar="TERM=N", help="Number of collocation points of a term."
)
weights_option = click.option(
    "--weights",
    multiple=True,
    metavar="TERM=WEIGHT",
    help="Loss weight of a term; 1 by default, or that of the entry.",
)
dtype_option = click.option(
    "--dtype",
    type=click.Choice(["float64", "float32"]),
    help="Precision of the network; float64 by default, or that of the entry.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), help="Seed of the points, and of a new network."
)
observations_option = click.option(
    "--observations",
    type=Path,
    metavar="FILE",
    help="What was measured: a .csv, .npz or .mat file with columns named by coordinates, "
    "components and, if it is known, sigma.",
)
column_option = click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=COLUMN",
    help="What the file of observations calls a coordinate, a component or sigma, where that is "
    "another name.",
)

training_options = together(
    seed_option,
    click.option("--tag", help="Tag of the new entry's name."),
    click.option(
        "--seconds", type=click.FloatRange(min=0), help="Wall time of all steps together."
    ),
    click.option(
        "--workdir",
        type=Path,
        help="Folder for the state of the run, so that it can go on after a kill; a hidden one "
        "beside the entry's by default.",
    ),
    click.option(
        "--resume/--no-resume", default=True, help="Go on with the run in the work folder."
    ),
    overwrite_option,
    diagnostics_option,
    observations_option,
    column_option,
    own_options,
)
"""What `train` and `finetune` take alike, after the recipe's own."""


def summary(name: str) -> "tuple[Summary, Path]":
    """Recipe and metrics of an entry, and its folder, without JAX."""
    from pinnzoo.cards import summarize
    from pinnzoo.zoo import open_entry

    folder = open_entry(name)
    return summarize(folder), folder.path


def observations_of(name: str) -> "Observations | None":
    """What an entry was trained with, read without its network."""
    from pinnzoo.observations import Observations
    from pinnzoo.storage.folder import OBSERVATIONS
    from pinnzoo.zoo import open_entry

    folder = open_entry(name)
    if OBSERVATIONS not in folder.manifest["files"]:
        return None
    return Observations.from_arrays(folder.arrays(OBSERVATIONS))


def load(name: str) -> "Entry":
    """An entry, with JAX in double precision.

    Raises:
        PinnzooError: See `pinnzoo.load`; where `--problem` names another one than that of the
            entry, it is told so.
    """
    from pinnzoo import zoo
    from pinnzoo.precision import enable_x64

    enable_x64()
    try:
        return zoo.load(name)
    except UnknownNameError as error:
        context = click.get_current_context(silent=True)
        given = context and context.params.get("problem")
        if not given or not str(error).startswith("unknown problem"):
            raise
        own = zoo.read_recipe(name).problem
        raise UnknownNameError(
            f"--problem {given} was given, which is {given.rpartition(':')[2]!r}, and the entry "
            f"{name} is of {own!r}: name that one, as in --problem FILE.py:{own}."
        ) from error


def bring_in(files: Sequence[Path], problem: str | None = None) -> str | None:
    """Execute the user's own files and register the problem that they define.

    Returns:
        The name under which the problem is known now.
    """
    from pinnzoo.registry import execute

    with _aside():
        for file in files:
            execute(file)
    if problem is None:
        return None
    _refuse_bare_file(problem)
    return register_from_file("problem", problem)


def _aside() -> AbstractContextManager[None]:
    """What a user's file prints while it is executed goes to stderr where stdout is for JSON."""
    context = click.get_current_context(silent=True)
    return stdout_for_json(context is not None and bool(context.params.get("as_json")))


def register_from_file(kind: str, text: str) -> str:
    """The name of what `FILE.py:NAME` defines, once it is registered."""
    from pinnzoo.architectures import register_architecture, snake_case
    from pinnzoo.optimizers import register_optimizer
    from pinnzoo.pdes import Problem, register_problem
    from pinnzoo.registry import from_file

    registering = {
        "problem": register_problem,
        "architecture": register_architecture,
        "optimizer": register_optimizer,
    }
    with _aside():
        factory = from_file(text, (Problem,) if kind == "problem" else ())
    if isinstance(factory, Problem):
        factory = _factory_of(factory, text)
    registering[kind](factory)
    name = factory.__name__
    return snake_case(name) if kind == "architecture" else name


def _factory_of(problem: "Problem", text: str) -> Any:
    """A function without arguments that returns a problem that `FILE.py:NAME` has made already."""
    from pinnzoo.registry import execute

    def made() -> "Problem":
        return problem

    made.__name__ = made.__qualname__ = problem.name
    # As if the file had defined it, for whoever is told where it comes from.
    made.__module__ = execute(Path(text.rpartition(":")[0]).expanduser()).__name__
    return made


def is_factory(text: str) -> bool:
    """Whether a text is meant as `FILE.py:NAME`."""
    return ".py:" in text


def known_source(text: str) -> None:
    """Raise unless a text is a problem, a recipe's file, or an entry that may exist.

    Raises:
        click.BadParameter: It is a Python file without the name of what it defines.
        UnknownNameError: It is the name of nothing.
        EntryError: The entry cannot be read.
    """
    from pinnzoo.pdes import PROBLEMS
    from pinnzoo.recipes import is_entry_name, resolve_entry_name
    from pinnzoo.zoo import open_entry

    _refuse_bare_file(text)
    if is_problem(text) or text.endswith(".json") or set(text) & set("/\\:") or Path(text).exists():
        return
    if is_entry_name(resolve_entry_name(text)):
        open_entry(text)
    else:
        raise UnknownNameError.of(
            "problem", text, PROBLEMS, hint="name a file, as in FILE.py:factory, or an entry"
        )


def _refuse_bare_file(text: str) -> None:
    """Raise where a Python file is named without what it defines.

    Raises:
        click.BadParameter: It is.
    """
    if text.endswith(".py"):
        raise click.BadParameter(
            f"{text!r} was given: write {text}:NAME, with the name of the function in it."
        )


def is_problem(text: str) -> bool:
    """Whether a text is a problem: one known here, one of an installed package, `FILE.py:NAME`."""
    from pinnzoo.pdes import PROBLEMS
    from pinnzoo.registry import find

    if is_factory(text):
        return True
    try:
        find("problem", PROBLEMS, text)
    except UnknownNameError:
        return False
    return True


def refuse_given(context: click.Context, names: Sequence[str], why: str) -> None:
    """Raise if one of the named options stands on the command line.

    Args:
        context: The call, as click gives it.
        names: Parameters of the verb.
        why: For what they cannot be given, as the end of the sentence.

    Raises:
        click.BadParameter: One does, which would have no effect.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in names and _is_typed(context, name):
            raise click.BadParameter(
                f"{max(parameter.opts, key=len)} was given for {why}: leave it out, or give the "
                "name of a problem."
            )


def named(kind: str, text: str) -> str:
    """A name, or that of what `FILE.py:NAME` defines."""
    _refuse_bare_file(text)
    return register_from_file(kind, text) if is_factory(text) else text


def without_place(text: object) -> str:
    """A file, or `FILE.py:NAME`, as an entry may tell it: without where it lies on this machine.

    Example:
        >>> without_place("/home/me/mine.py:decay"), without_place("mine.py:decay")
        ('mine.py:decay', 'mine.py:decay')
    """
    path = Path(str(text))
    return path.name if path.is_absolute() else str(text)


OF_THIS_CALL = ("out", "workdir", "resume", "overwrite", "diagnostics", "as_json")
"""Parameters that do not change what is trained."""


def typed(context: click.Context, always: Sequence[str] = (), **instead: str) -> str:
    """The command as it was typed, which makes the same entry again; files without their place.

    Args:
        context: The call, as click gives it.
        always: Parameters that are told also where they are left at their defaults.
        instead: What is told in the place of an argument.
    """
    words = ["pinnzoo", context.command.name or ""]
    for parameter in context.command.params:
        name, value = parameter.name or "", context.params.get(parameter.name or "")
        if isinstance(parameter, click.Argument):
            words.append(instead.get(name) or without_place(value))
        elif name not in OF_THIS_CALL and (name in always or _is_typed(context, name)):
            for each in (value or ()) if parameter.multiple else [value]:
                text = repr(each).removesuffix(".0") if isinstance(each, float) else str(each)
                words += [max(parameter.opts, key=len), without_place(text)]
    return shlex.join(words)


def _is_typed(context: click.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def check_free(folder: Path, overwrite: bool) -> Path:
    """The folder, where an entry can be written to it once hours of training are over.

    Raises:
        EntryError: It cannot, or it is there already.
    """
    from pinnzoo.storage.store import check_writable

    if folder.exists() and not overwrite:
        raise EntryError(
            f"the folder {str(folder)!r} exists already: give another with --out, or --overwrite."
        )
    return check_writable(folder, overwrite=overwrite)


def check_apart(workdir: Path | None, folder: Path) -> None:
    """Raise where the folder of a run would make that of its entry, or be lost with it.

    Raises:
        EntryError: It is the entry's folder, or lies in it.
    """
    if workdir is not None and workdir.resolve().is_relative_to(folder.resolve()):
        raise EntryError(
            f"the work folder {str(workdir)!r} was given, which lies in the entry's, "
            f"{str(folder)!r}: give one beside it."
        )


def settings(texts: Sequence[str]) -> dict[str, Any]:
    """`damping=1e-3` and its like as names and values; what is not JSON is a word."""
    found: dict[str, Any] = {}
    for name, value in words(texts, "NAME=VALUE").items():
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def words(texts: Sequence[str], form: str) -> dict[str, str]:
    """`u=temperature` and its like as names and words.

    Args:
        texts: What was typed.
        form: What it has to look like.

    Raises:
        click.BadParameter: It does not, or one name is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (name.isidentifier() and separator):
            raise click.BadParameter(f"{text!r} was given: write {form}.")
        if name in found:
            raise click.BadParameter(f"{name!r} was given twice: give it once.")
        found[name] = value
    return found


def matching(names: Sequence[str]) -> list[str]:
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
