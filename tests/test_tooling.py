"""Formatting, lint and types are claims about the repository like any other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command",
    [
        ["pyright", "--pythonpath", sys.executable],
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
    ],
    ids=["pyright", "ruff format", "ruff check"],
)
def test_tool_has_nothing_to_say(command):
    # A tenth of the time of the type checker is garbage collection, of far too small a nursery.
    roomy = {"NODE_OPTIONS": "--max-semi-space-size=128"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=os.environ | roomy,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
