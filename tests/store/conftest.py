"""One stored entry for all tests of this folder; tests that change it work on a copy."""

import shutil
from pathlib import Path

import pytest

from pinnzoo.entry import Entry
from tests.store.made_entries import made_entry


@pytest.fixture(scope="session")
def entry() -> Entry:
    return made_entry()


@pytest.fixture(scope="session")
def stored(entry, tmp_path_factory) -> Path:
    """The folder of `entry`; do not change it."""
    return entry.save(tmp_path_factory.mktemp("entries") / entry.name)


@pytest.fixture
def copy(stored, tmp_path) -> Path:
    """A copy of the folder of `entry`, to be damaged."""
    return Path(shutil.copytree(stored, tmp_path / stored.name))
