"""The README's commands and code are what they say."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import pinnzoo
from pinnzoo import ARCHITECTURES, OPTIMIZERS, PROBLEMS, zoo
from pinnzoo.diagnostics import DIAGNOSTICS
from pinnzoo.pdes import make_problem
from tests.conftest import coarse_grid

ROOT = Path(__file__).parent.parent
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")})
README = (ROOT / "README.md").read_text(encoding="utf-8")


def command(kind):
    found = re.search(rf"<!-- {kind} command -->\n```sh\n(.+?)\n```", README, re.DOTALL)
    assert found, f"the README has no {kind} command"
    return found[1]


def test_commands_are_one_line_each_and_set_everything_up():
    for kind in ("start", "test"):
        assert "\n" not in command(kind)
        assert command(kind).startswith("python3 -m venv .venv && .venv/bin/pip install")


def test_start_command_fine_tunes_the_shipped_adam_entry():
    assert "pinnzoo finetune burgers-mlp-adam --optimizer lm" in command("start")
    assert "burgers-mlp-adam" in pinnzoo.list_entries()


def test_ci_reads_its_command_from_the_readme():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in script
    assert "pytest" not in script


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_names_what_exists_and_says_which_precision(page):
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.+?)```", text, re.DOTALL)
    tree = ast.parse("\n".join(blocks))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.value.id == "pinnzoo"
    }
    assert all(hasattr(pinnzoo, name) for name in names)
    # Other pages may have no code; the README shows what the package is for.
    assert names or page.name != "README.md"
    if "pinnzoo" in used:
        # The first block with the package in it can be run as it stands.
        first = next(block for block in blocks if "pinnzoo." in block)
        assert "import pinnzoo" in first
        assert "pinnzoo.enable_x64()" in first


def samples(page):
    """The blocks of Python of a page, each with the reason why it is not run, or None."""
    pattern = r"(?:<!-- not run: ([^>]+) -->\n)?```python\n(.+?)```"
    return re.findall(pattern, page.read_text(encoding="utf-8"), re.DOTALL)


SMALLER = (
    (r"(finetune\([^\n]*)steps=\d+", r'\1steps=1, points={"equation": 30, "conditions": 5}'),
    (r"steps=\d+", "steps=1"),
    (r"(Phase\(\s*(?:#[^\n]*\n\s*)?\"\w+\"),\s*\d+", r"\1, 1"),
    (r"progress=True", "progress=False"),
    (r"\"equation\": \d+", '"equation": 30'),
    (r"\"conditions\": \d+", '"conditions": 5'),
    (r"\"width\": \d+", '"width": 5'),
)
"""What makes the samples short: few steps, few points, no bar."""


@pytest.fixture
def own_tables():
    """What a page registers is forgotten when its samples have run."""
    tables: tuple[Any, ...] = (PROBLEMS, ARCHITECTURES, OPTIMIZERS, DIAGNOSTICS)
    before = [dict(table) for table in tables]
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)


@pytest.mark.usefixtures("own_tables", "small_diagnostics")
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(not why for why, _ in samples(page))],
    ids=lambda p: p.name,
)
def test_code_runs(page, tmp_path, monkeypatch):
    """As it stands but for its sizes, in order; what needs another machine says so."""
    monkeypatch.chdir(tmp_path)
    # A visitor has run the start command before, which leaves its result.
    (tmp_path / command("start").split()[-1]).mkdir()
    names = {}
    burgers = zoo.open_entry("burgers-mlp-adam").recipe()
    with coarse_grid(make_problem(burgers.problem, burgers.problem_arguments)):
        for why, code in samples(page):
            if why:
                continue
            for pattern, smaller in SMALLER:
                code = re.sub(pattern, smaller, code)
            exec(compile(code, page.name, "exec"), names)
    if page.name == "README.md":
        assert (tmp_path / "burgers-tuned" / "manifest.json").is_file()


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
