"""The map of the package: which file may import which, read from the syntax trees."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from pinnzoo import _HOMES as HOMES
from pinnzoo.architectures import ARCHITECTURES
from pinnzoo.optimizers import OPTIMIZERS
from pinnzoo.pdes import PROBLEMS
from pinnzoo.weighting import WEIGHTINGS

PACKAGE = Path(__file__).parent.parent / "pinnzoo"

FLOORS: list[list[set[str]]] = [
    [
        {
            "errors",
            "_typing",
            "precision",
            "_json",
            "registry",
            "_compiling",
            "_flow",
            "_frozen",
            "_programs",
            "_threads",
        }
    ],
    [{"domains"}, {"derivatives"}, {"linalg"}, {"recipes", "catalog"}],
    [{"references"}, {"unknowns"}, {"tabular"}],
    [{"pdes"}, {"architectures"}],
    [{"evaluation"}],
    [{"observations"}],
    [{"objective", "weighting"}, {"casting"}],
    [{"collocation"}, {"sharding"}],
    [{"optimizers"}, {"diagnostics"}],
    [{"measure"}],
    [{"storage"}],
    [{"cards"}, {"hub"}],
    [{"plots"}],
    [{"entry"}],
    [{"zoo"}],
    [{"analysis"}],
    [{"training"}],
    [{"solving"}],
    [{"paper"}],
    [{"cli", "__main__"}],
    [{"__init__"}],
]
"""From the ground up. A file may import what lies on lower floors, and what shares its set."""

ONLY = {
    "errors": set(),
    "_json": {"errors"},
    "recipes": {"errors", "_json", "recipes"},
    "catalog": {"recipes", "catalog"},
}
"""Files that may import less than their floor allows: these are read without JAX."""

WITHOUT_JAX = [
    "pinnzoo",
    "pinnzoo.errors",
    "pinnzoo.recipes",
    "pinnzoo.zoo",
    "pinnzoo.storage.metrics",
    "pinnzoo.hub.remote",
]

BLOCKS = {
    "corners",
    "layers",
    "problem",
    "conditions",
    "constraints",
    "features",
    "orders",
    "points",
    "posed",
    "reference",
    "times",
}
"""What the files of a table's folder are built from."""

PLACE = {
    part: (floor, room)
    for floor, rooms in enumerate(FLOORS)
    for room, parts in enumerate(rooms)
    for part in parts
}


def modules() -> dict[str, Path]:
    """Every file of the package by its dotted name below `pinnzoo`; packages by `__init__`."""
    files = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        if len(parts) > 1 and parts[-1] == "__init__":
            parts.pop()
        files[".".join(parts)] = path
    return files


MODULES = modules()


def imports(name: str, *, types: bool = True) -> set[str]:
    """Modules of pinnzoo that a file imports anywhere, in functions too, and for types only too."""
    found = set()
    tree = ast.parse(MODULES[name].read_text())
    if not types:
        tree.body = [
            node
            for node in tree.body
            if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        ]
    for node in ast.walk(tree):
        targets = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are written in full"
            targets = [f"{node.module}.{alias.name}" for alias in node.names]
        for target in targets:
            if target.split(".")[0] == "pinnzoo":
                inner = target.removeprefix("pinnzoo").removeprefix(".")
                # `from pinnzoo import Problem` loads the module that `Problem` lives in.
                found.add(nearest_module(HOMES.get(inner, inner)))
    return found - {name}


def nearest_module(target: str) -> str:
    """`pdes._problem.Problem` is the file `pdes._problem`; `__version__` is the package itself."""
    while target and target not in MODULES:
        target = target.rpartition(".")[0]
    return target or "__init__"


def part(name: str) -> str:
    """The file or folder directly below the package."""
    return name.split(".")[0]


def test_every_file_has_a_floor():
    homeless = {part(name) for name in MODULES} - set(PLACE)
    assert not homeless, f"give them a place in FLOORS: {sorted(homeless)}"


@pytest.mark.parametrize("name", MODULES)
def test_imports_lead_down(name):
    floor, room = PLACE[part(name)]
    for target in imports(name):
        below, other_room = PLACE[part(target)]
        same = (below, other_room) == (floor, room)
        assert below < floor or same, f"{name} must not import {target}"
        if part(name) in ONLY:
            assert part(target) in ONLY[part(name)], f"{name} must not import {target}"


def test_no_file_imports_itself_through_others():
    # An entry draws its plots before it is pushed, and plots name the type of what they draw.
    graph = {name: imports(name, types=False) for name in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for target in graph[name]:
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())
    assert sum(map(len, graph.values())) > 20


@pytest.mark.parametrize(
    ("folder", "table"),
    [
        ("pdes", PROBLEMS),
        ("architectures", ARCHITECTURES),
        ("optimizers", OPTIMIZERS),
        ("weighting", WEIGHTINGS),
    ],
)
def test_every_file_of_a_folder_is_in_its_table(folder, table):
    files = {p.stem for p in (PACKAGE / folder).glob("*.py") if not p.stem.startswith("_")}
    files -= BLOCKS
    assert files == set(table)
    assert list(table) == sorted(table)
    for name, factory in table.items():
        assert factory.__module__ == f"pinnzoo.{folder}.{name}"


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", [n for n in WITHOUT_JAX if n.removeprefix("pinnzoo.") in MODULES])
def test_import_needs_no_jax(name):
    heavy = ("jax", "flax", "orbax", "scipy", "matplotlib", "huggingface_hub")
    code = f"import sys, {name}; print([m for m in {heavy} if m in sys.modules])"
    assert python(code).strip() == "[]"


def test_listing_entries_needs_no_jax():
    code = "import sys, pinnzoo; print(pinnzoo.list_entries()); print('jax' in sys.modules)"
    *_, last = python(code).split()
    assert last == "False"
