"""Downloads that go wrong on the way: success after another try, or one sentence, and no ruins."""

import errno
import multiprocessing
import os

import numpy as np
import pytest

import pinnzoo
from pinnzoo.errors import DownloadError
from pinnzoo.hub import remote as hub
from pinnzoo.storage import folder as folder_module
from pinnzoo.storage.folder import EntryFolder
from tests.hub.loopback import EveryFileOnce, cut, failing, slow

NAME = "burgers-mlp-levenberg_marquardt"
CUTS = 80
"""Connections that are cut in one test: of every file several, at random places."""


def whole(path, made):
    """Whether the folder has every byte of the entry."""
    opened, expected = EntryFolder.open(path), EntryFolder.open(made)
    return all(opened.read(name) == expected.read(name) for name in expected.manifest["files"])


def test_connection_that_is_cut_anywhere_loses_nothing(server, registry, made, forget):
    rng, cuts = np.random.default_rng(0), 0
    while cuts < CUTS:
        forget()
        fault = EveryFileOnce(rng)
        server.state.fault = fault
        assert whole(pinnzoo.download(NAME), made)
        assert fault.done
        cuts += len(fault.done)
    assert pinnzoo.load(NAME, verify="all").name == NAME


def test_connection_that_is_always_cut_ends_in_a_sentence_and_leaves_no_ruin(
    server, registry, made, monkeypatch
):
    def always(handler, content):
        return cut(handler, content, len(content) // 2)

    monkeypatch.setattr(hub, "ATTEMPTS", 2)
    server.state.fault = always
    with pytest.raises(DownloadError, match="cannot be downloaded"):
        pinnzoo.load(NAME)
    server.state.fault = None
    assert whole(pinnzoo.download(NAME), made)


@pytest.mark.parametrize("code", [500, 502, 503, 504, 429])
def test_server_that_is_busy_for_a_moment_is_asked_again(server, registry, made, code):
    server.state.fault = failing(code, 3)
    assert whole(pinnzoo.download(NAME), made)


def test_server_that_fails_for_ever_is_named(server, registry):
    server.state.fault = failing(500, 10**6)
    with pytest.raises(DownloadError, match="500"):
        pinnzoo.load(NAME)


def test_server_that_is_too_slow_is_asked_again(server, registry, made):
    waits = [True]

    def first(handler, content):
        return slow(3)(handler, content) if waits and waits.pop() else False

    server.state.fault = first
    assert whole(pinnzoo.download(NAME), made)


@pytest.mark.parametrize("allowed", range(0, 12, 3))
def test_full_disk_ends_in_a_sentence_and_leaves_no_half_file(
    server, registry, made, monkeypatch, allowed
):
    left = [allowed]
    replace = os.replace

    def full(source, target):
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(folder_module.os, "replace", full)
        with pytest.raises(DownloadError, match="No space left"):
            pinnzoo.load(NAME)
    assert not list((hub.cache_folder() / "hub" / ".unfinished").iterdir())
    assert whole(pinnzoo.download(NAME), made)


def fetch_it(queue):
    queue.put(str(pinnzoo.download(NAME)))


def test_two_processes_may_download_the_same_entry_at_once(server, registry, made):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    both = [context.Process(target=fetch_it, args=(queue,)) for _ in range(2)]
    for process in both:
        process.start()
    paths = {queue.get(timeout=120) for _ in both}
    for process in both:
        process.join()
    assert len(paths) == 1
    assert whole(paths.pop(), made)


def test_file_that_a_killed_process_left_unfinished_is_no_part_of_the_entry(server, registry, made):
    pinnzoo.load(NAME)
    ruin = hub.cache_folder() / "hub" / ".unfinished" / ".golden.npz.abc"
    ruin.write_bytes(b"half")
    assert whole(pinnzoo.download(NAME), made)
