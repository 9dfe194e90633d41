"""Prints docs/api.md: every public name with its signature, its first sentence and its home.

Reads the source and imports nothing of it, so that it takes no time and needs no JAX:

    python scripts/make_api.py
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "api.md"

WIDTH = 88
"""A signature that is longer has one parameter in each line."""

TABLES = (
    ("Problems", "PROBLEMS", "pdes"),
    ("Architectures", "ARCHITECTURES", "architectures"),
    ("Optimizers", "OPTIMIZERS", "optimizers"),
)
"""Heading, name and home of each table of factories."""

GIVEN = ("self", "cls", "m", "lower", "upper", "dtype", "rngs")
"""Parameters of a factory that a recipe does not set."""

END = re.compile(r"(?<!\bal)(?<!\bEq)(?<![.])[.] ")
"""Where a sentence ends, and not "et al.", "Eq." or an ellipsis."""

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Definition: TypeAlias = Function | ast.ClassDef | ast.Assign | ast.AnnAssign


class Found(NamedTuple):
    """A definition in the source.

    Attributes:
        node: Its syntax tree.
        module: The module that defines it, relative to the package, such as "pdes.problem".
        doc: Its docstring, or what stands below an assignment.
    """

    node: Definition
    module: str
    doc: str


@cache
def source(module: str) -> tuple[Path, ast.Module]:
    """File and syntax tree of a module of the package."""
    base = ROOT.joinpath("pinnzoo", *module.split(".")) if module else ROOT / "pinnzoo"
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return file, ast.parse(file.read_text(encoding="utf-8"))


def find(module: str, name: str) -> Found:
    """Where a name that a module offers is defined; imports inside of the package are followed.

    Raises:
        LookupError: The module neither defines nor imports the name.
    """
    body = source(module)[1].body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, Function | ast.ClassDef) and node.name == name:
            return Found(node, module, ast.get_docstring(node) or "")
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in targets(node):
            return Found(node, module, text_of(following))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pinnzoo."):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return find((node.module or "").removeprefix("pinnzoo."), alias.name)
    raise LookupError(f"pinnzoo.{module} has no {name}")


def targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    """Names that an assignment defines."""
    places = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [place.id for place in places if isinstance(place, ast.Name)]


def text_of(node: ast.stmt | None) -> str:
    """The text of a statement that is nothing but a string."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value)
    return ""


def homes() -> dict[str, str]:
    """The table `_HOMES` of the package: the module of each public name."""
    return ast.literal_eval(assigned(find("", "_HOMES")))


def assigned(found: Found) -> ast.expr:
    """The right side of an assignment."""
    assert isinstance(found.node, ast.Assign | ast.AnnAssign)
    assert found.node.value is not None
    return found.node.value


def sentence(doc: str) -> str:
    """The first sentence of a docstring, in one line."""
    first = " ".join(doc.strip().partition("\n\n")[0].split())
    return END.split(first)[0].rstrip(".") + "." if first else ""


# --- signatures


def parameters(function: Function, *, annotated: bool) -> list[str]:
    """The parameters of a function as they are written, without `self` and `cls`."""
    a = function.args
    plain = [*a.posonlyargs, *a.args]
    defaults = [None] * (len(plain) - len(a.defaults)) + list(a.defaults)
    written = [
        parameter(arg, default, annotated=annotated)
        for arg, default in zip(plain, defaults, strict=True)
        if arg.arg not in ("self", "cls")
    ]
    if a.vararg is not None:
        written.append("*" + parameter(a.vararg, None, annotated=annotated))
    elif a.kwonlyargs:
        written.append("*")
    for arg, default in zip(a.kwonlyargs, a.kw_defaults, strict=True):
        written.append(parameter(arg, default, annotated=annotated))
    if a.kwarg is not None:
        written.append("**" + parameter(a.kwarg, None, annotated=annotated))
    return written


def parameter(arg: ast.arg, default: ast.expr | None, *, annotated: bool) -> str:
    """One parameter with its default, and with its type if wanted."""
    kind = f": {unquoted(arg.annotation)}" if annotated and arg.annotation is not None else ""
    if default is None:
        return arg.arg + kind
    return f"{arg.arg}{kind}{' = ' if kind else '='}{plain(default)}"


def unquoted(annotation: ast.expr) -> str:
    """A type; one that is written as a string, since it is defined below, loses its quotes."""
    return str(ast.literal_eval(annotation)) if text(annotation) else plain(annotation)


def text(node: ast.expr) -> bool:
    """Whether an expression is a string."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def plain(node: ast.expr) -> str:
    """Source text with double quotes, as this repository writes them."""
    written = ast.unparse(node)
    return written if '"' in written else written.replace("'", '"')


def fields(definition: ast.ClassDef) -> list[str]:
    """What the constructor of a dataclass takes."""
    written = []
    for node in definition.body:
        if not isinstance(node, ast.AnnAssign) or targets(node)[0].startswith("_"):
            continue
        default = "" if node.value is None else f" = {field_default(node.value)}"
        written.append(f"{targets(node)[0]}: {unquoted(node.annotation)}{default}")
    return written


def field_default(value: ast.expr) -> str:
    """The default of a field; what a factory makes is shown, such as `{}`."""
    if isinstance(value, ast.Call) and plain(value.func).endswith("field"):
        made = next(k.value for k in value.keywords if k.arg in ("default_factory", "default"))
        if isinstance(made, ast.Lambda):
            return plain(made.body)
        return {"dict": "{}", "list": "[]", "tuple": "()"}.get(plain(made), plain(made))
    return plain(value)


def signature(name: str, found: Found) -> str:
    """How a name is called, or what it is defined as."""
    node = found.node
    if isinstance(node, ast.ClassDef):
        is_dataclass = any("dataclass" in plain(each) for each in node.decorator_list)
        if not is_dataclass:
            return f"class {name}({', '.join(plain(base) for base in node.bases)})"
        return call(name, fields(node), "")
    if isinstance(node, Function):
        returns = "" if node.returns is None else f" -> {unquoted(node.returns)}"
        return call(name, parameters(node, annotated=True), returns)
    value = assigned(found)
    kind = f": {plain(node.annotation)}" if isinstance(node, ast.AnnAssign) else ""
    if isinstance(value, ast.Dict):
        return name + kind
    return f"{name} = {plain(value)}"


def call(name: str, written: list[str], returns: str) -> str:
    """A signature in one line, or with a line for each parameter."""
    line = f"{name}({', '.join(written)}){returns}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {each},\n" for each in written) + f"){returns}"


# --- the page


def members(definition: ast.ClassDef) -> Iterator[str]:
    """A line for each public method and property of a class."""
    for node in definition.body:
        if not isinstance(node, Function) or node.name.startswith("_"):
            continue
        decorators = [plain(each) for each in node.decorator_list]
        owner = f"{definition.name}." if "classmethod" in decorators else "."
        arguments = f"({', '.join(parameters(node, annotated=False))})"
        shown = "" if any("property" in each for each in decorators) else arguments
        yield f"- `{owner}{node.name}{shown}`: {sentence(ast.get_docstring(node) or '')}"


def section(name: str, found: Found) -> str:
    """The part of the page about one name."""
    link = source(found.module)[0].relative_to(ROOT).as_posix()
    parts = [
        f"### {name}",
        f"```py\n{signature(name, found)}\n```",
        f"{sentence(found.doc)} Defined in [`{link}`](../{link}).",
    ]
    if isinstance(found.node, ast.ClassDef):
        listed = "\n".join(members(found.node))
        parts += [listed] if listed else []
    return "\n\n".join(parts)


def table(rows: list[tuple[str, str]]) -> str:
    """A Markdown table of names and sentences."""
    lines = [f"| `{name}` | {told.replace('|', chr(92) + '|')} |" for name, told in rows]
    return "\n".join(["| Name | What it is |", "| --- | --- |", *lines])


def factories(name: str, home: str) -> str:
    """The factories of a table, with the arguments that a recipe can set."""
    listed = assigned(find(home, name))
    assert isinstance(listed, ast.Dict)
    rows = []
    for key, value in zip(listed.keys, listed.values, strict=True):
        assert key is not None
        found = find(home, plain(value))
        rows.append((f"{ast.literal_eval(key)}({settable(found.node)})", sentence(found.doc)))
    return table(rows)


def settable(node: Definition) -> str:
    """The arguments of a factory that a recipe can set, with their defaults."""
    if isinstance(node, ast.ClassDef):
        made = [each for each in node.body if isinstance(each, Function)]
        node = next(each for each in made if each.name == "__init__")
    assert isinstance(node, Function)
    written = parameters(node, annotated=False)
    return ", ".join(one for one in written if one.partition("=")[0] not in (*GIVEN, "*"))


def exported(module: str) -> list[tuple[str, str]]:
    """What a package exports by `from ... import name as name`, with the first sentences."""
    names = [
        alias.name
        for node in source(module)[1].body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    ]
    return [(name, sentence(find(module, name).doc)) for name in names]


def page() -> str:
    """All of docs/api.md."""
    found = {name: find(home, name) for name, home in homes().items()}
    kinds = {
        "Functions": Function,
        "Classes": ast.ClassDef,
        "Tables and types": ast.Assign | ast.AnnAssign,
    }
    parts = [
        "# All public names",
        "Printed by `python scripts/make_api.py` from the docstrings, of which this page holds\n"
        "the first sentences; `help(pinnzoo.train)` shows the whole. All names of the first three\n"
        "sections are imported from `pinnzoo`: `from pinnzoo import train`.",
    ]
    for title, kind in kinds.items():
        parts.append(f"## {title}")
        names = sorted(name for name in found if isinstance(found[name].node, kind))
        parts += [section(name, found[name]) for name in names]
    for title, name, home in TABLES:
        parts += [
            f"## {title}",
            f"The table `pinnzoo.{name}`. A recipe names one and sets its arguments.",
            factories(name, home),
        ]
    parts += [
        "## Diagnostics",
        "Functions and classes of `pinnzoo.diagnostics`.",
        table(exported("diagnostics")),
        "## Analysis",
        "Functions and classes of `pinnzoo.analysis`.",
        table(exported("analysis")),
        "## Errors",
        "Everything that pinnzoo raises on purpose, from `pinnzoo.errors`.",
        table(errors()),
    ]
    return "\n\n".join(parts) + "\n"


def errors() -> list[tuple[str, str]]:
    """All exceptions with their first sentences."""
    body = source("errors")[1].body
    return [
        (node.name, sentence(ast.get_docstring(node) or ""))
        for node in body
        if isinstance(node, ast.ClassDef)
    ]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)}\n")
