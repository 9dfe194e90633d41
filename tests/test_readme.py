"""The README's commands and code are what they say."""

import ast
import re
from pathlib import Path

import pytest

import pinnzoo

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
        first = next(block for block in blocks if "pinnzoo" in block)
        assert "import pinnzoo" in first
        assert "pinnzoo.enable_x64()" in first


def test_code_runs(tmp_path, monkeypatch):
    from pinnzoo.training import training

    (code,) = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    # A visitor has run the start command before, which leaves its result.
    (tmp_path / command("start").split()[-1]).mkdir()
    # As it stands but for the number of steps and the bar.
    code = code.replace("steps=30, progress=True", "steps=1")
    assert "steps=1" in code
    monkeypatch.setattr(training, "HESSIAN_POINTS", 2)
    monkeypatch.setattr(training, "LOSS_HESSIAN_POINTS", {"equation": 20, "conditions": 5})
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "burgers-tuned" / "manifest.json").is_file()


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
