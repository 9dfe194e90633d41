"""A Hub on this machine with one published entry, and a client that knows no other."""

import shutil

import pytest
from huggingface_hub import constants, file_download

from pinnzoo import zoo
from pinnzoo.hub import publishing
from pinnzoo.hub import remote as hub_module
from pinnzoo.storage.folder import CARD, PLOTS, EntryFolder
from tests.hub.loopback import Hub
from tests.store.made_entries import made_entry


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder of an entry with a card and a plot; do not change it."""
    entry = made_entry()
    path = entry.save(tmp_path_factory.mktemp("made") / entry.name)
    (path / CARD).write_text("---\nlibrary_name: pinnzoo\n---\n# An entry\n", encoding="utf-8")
    (path / PLOTS).mkdir()
    (path / PLOTS / "solution.png").write_bytes(b"not really a picture")
    return path


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server, and every address, cache and token of the client set for it."""
    with Hub() as hub:
        for name, value in {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "client"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DOWNLOAD_TIMEOUT": 2,
            "HF_HUB_ETAG_TIMEOUT": 2,
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(hub_module, "PAUSE", 0.01)
        monkeypatch.setenv(hub_module.CACHE_VARIABLE, str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN", "hf_write")
        monkeypatch.setattr(zoo, "search_folders", lambda: [hub_module.cache_folder()])
        assert file_download.hf_hub_url("a/b", "c").startswith(hub.url)
        yield hub


@pytest.fixture
def registry(server, made, tmp_path, monkeypatch):
    """The registry after the entry was published as release v1."""
    path = tmp_path / "registry.json"
    pins = publishing.publish([EntryFolder.open(made)], "loop", tag="v1", api=hub_module.client())
    hub_module.write_registry(path, pins)
    monkeypatch.setenv(hub_module.REGISTRY_VARIABLE, str(path))
    return path


@pytest.fixture
def forget(tmp_path):
    """Empty both caches."""

    def empty(*names: str) -> None:
        for name in names or ("cache", "client"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)

    return empty
