"""The index of a folder of entries: it saves time, and never tells of other bytes than those."""

import json
from pathlib import Path

import pytest

from pinnzoo.cards.summary import row_of
from pinnzoo.storage.folder import EntryFolder
from pinnzoo.storage.index import INDEX, digest, index_json, indexed_row, read_index

CHECKPOINTS = Path(__file__).parent.parent.parent / "checkpoints"


@pytest.fixture
def indexed(copy):
    opened = EntryFolder.open(copy)
    row = row_of(opened.recipe(), opened.metrics())
    (copy.parent / INDEX).write_text(index_json({copy: row}))
    read_index.cache_clear()
    return copy, row


def test_index_gives_the_row_that_the_files_give(indexed):
    folder, row = indexed
    assert indexed_row(folder) == json.loads(json.dumps(row))


@pytest.mark.parametrize("name", ["manifest.json", "config.json", "metrics.json"])
@pytest.mark.parametrize("change", ["a space more", "gone"])
def test_index_says_nothing_of_changed_files(indexed, name, change):
    folder, _ = indexed
    if change == "gone":
        (folder / name).unlink()
    else:
        (folder / name).write_text((folder / name).read_text() + " ")
    assert indexed_row(folder) is None


def test_bytes_that_move_from_one_file_to_the_next_are_a_change(indexed):
    folder, _ = indexed
    before = digest(folder)
    config, metrics = folder / "config.json", folder / "metrics.json"
    content = config.read_bytes()
    config.write_bytes(content[:-1])
    metrics.write_bytes(content[-1:] + metrics.read_bytes())
    assert digest(folder) != before


@pytest.mark.parametrize("content", ["", "[]", '{"a": {}}', '{"a": {"sha256": 1, "row": {}}}', "{"])
def test_damaged_index_is_no_index(indexed, content):
    folder, _ = indexed
    (folder.parent / INDEX).write_text(content)
    read_index.cache_clear()
    assert indexed_row(folder) is None


def test_index_of_the_zoo_knows_every_entry():
    folders = [path.parent for path in sorted(CHECKPOINTS.glob("*/manifest.json"))]
    assert set(read_index(CHECKPOINTS)) == {folder.name for folder in folders}
    for folder in folders:
        opened = EntryFolder.open(folder)
        assert indexed_row(folder) == row_of(opened.recipe(), opened.metrics())
