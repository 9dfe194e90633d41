import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import pinnzoo
from pinnzoo import zoo
from pinnzoo.errors import EntryError, IntegrityError, UnknownNameError
from pinnzoo.hub import remote as hub
from pinnzoo.recipes import resolve_entry_name
from tests.store.made_entries import edit_json

NAME = "burgers-mlp-levenberg_marquardt"


@pytest.fixture
def cache(stored, tmp_path, monkeypatch):
    """A cache folder with one entry, where nothing else is to be found."""
    folder = tmp_path / "cache"
    shutil.copytree(stored, folder / NAME)
    monkeypatch.setenv(hub.CACHE_VARIABLE, str(folder))
    monkeypatch.setattr(zoo, "search_folders", lambda: [zoo.cache_folder()])
    return folder


def test_entries_of_the_cache_are_listed_by_pattern(cache):
    for pattern in ("*", "burgers*", NAME, "burgers-mlp-lm", "*-lm", "*-levenberg_marquardt"):
        assert pinnzoo.list_entries(pattern) == [NAME]
    for pattern in ("heat*", "", "Burgers*", "burgers"):
        assert pinnzoo.list_entries(pattern) == []


def test_what_is_no_entry_is_not_listed(cache):
    (cache / ".burgers-mlp-adam.x").mkdir()
    (cache / ".burgers-mlp-adam.x" / "manifest.json").write_text("")
    (cache / "burgers-mlp-adam").mkdir()
    (cache / "heat-mlp-adam").write_text("")
    assert pinnzoo.list_entries() == [NAME]


def test_missing_cache_folder_is_an_empty_one(tmp_path, monkeypatch):
    monkeypatch.setenv(hub.CACHE_VARIABLE, str(tmp_path / "missing"))
    monkeypatch.setattr(zoo, "search_folders", lambda: [zoo.cache_folder()])
    assert pinnzoo.list_entries() == []
    with pytest.raises(UnknownNameError, match="none exist here"):
        pinnzoo.load(NAME)


@pytest.mark.parametrize("name", [NAME, "burgers-mlp-lm"])
def test_entry_is_loaded_by_name_and_by_short_name(cache, entry, name):
    loaded = pinnzoo.load(name)
    assert loaded.name == NAME
    assert loaded.folder == cache / NAME
    np.testing.assert_array_equal(loaded.theta, entry.theta)


def test_entry_is_loaded_from_a_folder_of_any_name(cache, entry, stored, tmp_path, monkeypatch):
    folder = shutil.copytree(stored, tmp_path / "mine")
    for given in (folder, str(folder)):
        np.testing.assert_array_equal(pinnzoo.load(given).theta, entry.theta)
    monkeypatch.chdir(tmp_path)
    for given in ("mine", "./mine"):
        np.testing.assert_array_equal(pinnzoo.load(given).theta, entry.theta)


def test_the_first_folder_that_has_an_entry_wins(cache, stored, tmp_path, monkeypatch):
    first = tmp_path / "first"
    shutil.copytree(stored, first / NAME)
    monkeypatch.setattr(zoo, "search_folders", lambda: [first, cache])
    assert pinnzoo.load(NAME).folder == first / NAME
    shutil.rmtree(first / NAME)
    assert pinnzoo.load(NAME).folder == cache / NAME


def test_checkout_package_and_cache_are_searched_in_this_order(monkeypatch, tmp_path):
    monkeypatch.setenv(hub.CACHE_VARIABLE, str(tmp_path))
    *_, package, cache = zoo.search_folders()
    assert package.parts[-2:] == ("pinnzoo", "checkpoints")
    assert cache == tmp_path
    if len(zoo.search_folders()) == 3:
        assert zoo.search_folders()[0] == package.parent.parent / "checkpoints"


def test_cache_is_in_the_home_folder_unless_it_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv(hub.CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert zoo.cache_folder() == tmp_path / ".cache" / "pinnzoo"


def test_unknown_name_is_refused_with_the_nearest_ones(cache):
    with pytest.raises(UnknownNameError, match=f"did you mean '{NAME}'"):
        pinnzoo.load("burgers-mlp-levenberg")
    with pytest.raises(UnknownNameError, match="allowed are"):
        pinnzoo.load("zzz")


@pytest.mark.parametrize("path", ["./missing", "~/missing-entry", "a/b", "/", "..", "."])
def test_path_without_an_entry_is_refused(cache, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EntryError, match=r"manifest\.json"):
        pinnzoo.load(path)


@pytest.mark.parametrize("name", ["", "a\x00b", "x" * 5000, "-", "*", "burgers-mlp-lm\n"])
def test_strange_names_are_refused(cache, name):
    with pytest.raises(UnknownNameError):
        pinnzoo.load(name)


def test_entry_in_a_folder_of_another_entrys_name_is_refused(cache):
    (cache / NAME).rename(cache / "burgers-mlp-adam")
    with pytest.raises(IntegrityError, match=NAME):
        pinnzoo.load("burgers-mlp-adam")


def test_recipe_and_metrics_are_read_without_the_network(cache, entry, single_precision):
    assert zoo.read_recipe("burgers-mlp-lm").digest == entry.recipe.digest
    assert zoo.read_metrics(NAME) == entry.metrics
    assert resolve_entry_name("burgers-mlp-lm") == NAME


def test_entry_is_called_by_what_loads_it(cache, entry, stored, tmp_path, monkeypatch):
    assert zoo.reference_of(pinnzoo.load(NAME)) == NAME
    assert zoo.reference_of(NAME) == zoo.reference_of("burgers-mlp-lm") == NAME
    assert zoo.reference_of(cache / NAME) == NAME
    assert zoo.reference_of(entry) == NAME
    work = tmp_path / "work"
    shutil.copytree(stored, work / "runs" / "mine")
    monkeypatch.chdir(work)
    loaded = pinnzoo.load("runs/mine")
    assert zoo.reference_of(loaded) == zoo.reference_of(work / "runs" / "mine") == "./runs/mine"
    monkeypatch.chdir(cache)
    assert zoo.reference_of(work / "runs" / "mine") == "../work/runs/mine"
    monkeypatch.setattr(zoo.Path, "home", lambda: work)
    assert zoo.reference_of(work / "runs" / "mine") == "~/runs/mine"


def test_cache_that_may_not_be_read_is_named(cache, monkeypatch):
    stat = os.stat

    def refuse(path, *more, **options):
        if not isinstance(path, int) and NAME in os.fspath(path):
            raise PermissionError(13, "Permission denied")
        return stat(path, *more, **options)

    monkeypatch.setattr(os, "stat", refuse)
    assert pinnzoo.list_entries() == []
    for given in (NAME, cache / NAME, f"{cache / NAME}/"):
        with pytest.raises(EntryError, match="Permission denied") as caught:
            pinnzoo.load(given)
        assert not isinstance(caught.value, IntegrityError)


def test_problem_and_network_are_handed_on(cache, entry):
    loaded = pinnzoo.load(NAME, problem=entry.problem, model=entry.model)
    assert loaded.problem is entry.problem


def test_metrics_of_a_damaged_entry_are_refused(cache):
    edit_json(cache / NAME / "metrics.json", lambda m: m | {"relative_l2_error": 1.26e-05})
    with pytest.raises(IntegrityError):
        zoo.read_metrics(NAME)


def fresh(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_fresh_process_loads_and_predicts_without_scipy(stored, entry):
    code = f"""
import sys, pinnzoo
pinnzoo.enable_x64()
print(pinnzoo.load({str(stored)!r}).predict([[0.5, 0.25]])[0, 0])
print([m for m in ("scipy", "matplotlib") if m in sys.modules])
"""
    value, heavy = fresh(code).splitlines()
    np.testing.assert_allclose(float(value), entry.predict([[0.5, 0.25]])[0, 0], rtol=1e-13)
    assert heavy == "[]"


def test_public_names_are_there_and_no_others():
    code = """
import pinnzoo
assert set(pinnzoo.__all__) <= set(dir(pinnzoo))
for name in pinnzoo.__all__:
    getattr(pinnzoo, name)
try:
    pinnzoo.surprise
except AttributeError as error:
    print(error)
"""
    assert fresh(code) == "module 'pinnzoo' has no attribute 'surprise'"


def test_version_is_that_of_the_package():
    from importlib.metadata import version

    assert pinnzoo.__version__ == version("pinnzoo")
