"""Docstrings: public names have an example, and examples are what they say.

Examples in Python's prompt notation are run as they stand. Those in a fence train, register or
publish something, or take long, and are only compiled. The API reference is printed from the
docstrings.
"""

import ast
import doctest
import importlib
import inspect
import re
import runpy
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnzoo
from pinnzoo import diagnostics
from pinnzoo.architectures import make_architecture
from pinnzoo.collocation import draw_points

ROOT = Path(__file__).parent.parent
PROMPT = re.compile(r"^\s*>>> ", re.MULTILINE)
FENCE = re.compile(r"```(?:python)?\n(.+?)```", re.DOTALL)


def is_code(thing):
    return inspect.isfunction(thing) or inspect.isclass(thing)


def public():
    """Public functions and classes by the name that they are imported by."""
    found = {name: getattr(pinnzoo, name) for name in pinnzoo._HOMES}
    found |= {
        f"diagnostics.{name}": thing
        for name, thing in vars(diagnostics).items()
        if getattr(thing, "__module__", "").startswith("pinnzoo.diagnostics.")
    }
    # A jaxtyping alias is a class for `inspect`; what it means stands beside its definition.
    return {
        name: thing
        for name, thing in found.items()
        if is_code(thing) and thing.__module__.startswith("pinnzoo")
    }


def documented():
    """Docstrings of public names and of their public methods, by name, with their module."""
    for name, thing in public().items():
        yield name, thing.__module__, inspect.getdoc(thing) or ""
        for key, member in vars(thing).items() if inspect.isclass(thing) else ():
            own = getattr(member, "__func__", member)
            if key[0] != "_" and (inspect.isfunction(own) or isinstance(own, property)):
                yield f"{name}.{key}", thing.__module__, inspect.getdoc(own) or ""


def statements(node):
    """All statements below a node, at any depth; expressions, of which are many, hold none."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            yield child
            yield from statements(child)


def examples():
    """The example of every docstring of the package, by file and name."""
    for file in sorted((ROOT / "pinnzoo").rglob("*.py")):
        for node in statements(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                doc = ast.get_docstring(node) or ""
                found = re.search(r"^Example:\n((?:[ ]+.*\n?|\n)+)", doc, re.MULTILINE)
                if found:
                    where = file.relative_to(ROOT / "pinnzoo").as_posix()
                    yield f"{where}:{node.name}", textwrap.dedent(found[1])


EXAMPLES = dict(examples())
RUN = {name: (module, doc) for name, module, doc in documented() if PROMPT.search(doc)}


def blocks(text):
    """The Python in an example."""
    prompts = [each.source for each in doctest.DocTestParser().get_examples(text)]
    return ["".join(prompts)] * bool(prompts) + FENCE.findall(text)


@pytest.mark.parametrize("name", sorted(public()))
def test_public_name_says_what_it_is_and_shows_how_it_is_used(name):
    thing = public()[name]
    assert (thing.__doc__ or "").strip()
    # A result is shown where it is made, and an error where it is raised.
    made_elsewhere = {"diagnostics.Diagnostic", "diagnostics.DiagnosticError"}
    made_elsewhere |= {"diagnostics.HessianSpectrum", "diagnostics.ResidualHessians"}
    made_elsewhere |= {"diagnostics.report", "diagnostics.ntk_report"}
    if name not in made_elsewhere:
        assert "\nExample:\n" in (inspect.getdoc(thing) or ""), f"{name} has no example"


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example_is_python(name):
    found = blocks(EXAMPLES[name])
    assert found, f"the example of {name} has no code"
    for code in found:
        compile(code, name, "exec")


@pytest.fixture(scope="module")
def names():
    """What the examples take for granted: an entry, a small network on its problem, a domain."""
    entry = pinnzoo.load("heat-mlp-lm")
    problem = entry.problem
    model = make_architecture(
        "mlp",
        {"width": 4, "depth": 1},
        m=1,
        lower=problem.domain.lower,
        upper=problem.domain.upper,
        dtype="float64",
        seed=0,
    )
    points = draw_points(problem, {"equation": 20, "conditions": 5}, "sobol", 0, 0)
    theta, objective, to_model = pinnzoo.assemble(problem, model, points)
    domain = pinnzoo.Box("tx", (0, 0), (1, 1))
    return {"jax": jax, "jnp": jnp, "np": np, "pinnzoo": pinnzoo} | {
        "domain": domain,
        "entry": entry,
        "model": model,
        "objective": objective,
        "points": points,
        "problem": problem,
        "theta": theta,
        "to_model": to_model,
    }


class Shown(doctest.OutputChecker):
    """Output that an example shows has to come; output that it does not show may come."""

    def check_output(self, want, got, optionflags):
        return not want or super().check_output(want, got, optionflags)


@pytest.mark.parametrize("name", sorted(RUN))
def test_example_runs(name, names):
    module, doc = RUN[name]
    everything = {key: getattr(pinnzoo, key) for key in pinnzoo._HOMES}
    space = everything | vars(importlib.import_module(module)) | names
    test = doctest.DocTestParser().get_doctest(doc, dict(space), name, None, 0)
    report = []
    runner = doctest.DocTestRunner(checker=Shown(), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test, out=report.append).failed == 0, "".join(report)


def test_an_example_that_is_wrong_is_noticed():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    runner = doctest.DocTestRunner(checker=Shown())
    assert runner.run(test, out=lambda _: None).failed == 1


def test_api_reference_is_up_to_date():
    script = runpy.run_path(str(ROOT / "scripts" / "make_api.py"))
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert script["page"]() == page, "run python scripts/make_api.py"
    assert all(f"\n### {name}\n" in page for name in pinnzoo._HOMES)
    assert "\n Defined in" not in page, "a public name has no docstring"
