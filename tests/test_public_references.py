"""The page on public reference files: each reader, and the page against its own figures."""

import importlib.util
import sys

import numpy as np
import pytest
import scipy.io

from pinnzoo.evaluation import require_reference
from pinnzoo.pdes import make_problem
from tests.conftest import ROOT

OFF = 1e-3
"""By how much the values of a made file are too large, relative to themselves."""


@pytest.fixture(scope="module")
def script():
    path = ROOT / "scripts" / "measure_public_references.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[path.stem]


def exact(problem, points):
    return require_reference(make_problem(problem, {}))(points)


def on_lattice(problem, *axes):
    """Values on a lattice, too large by OFF, with one axis of the array for each."""
    mesh = np.meshgrid(*axes, indexing="ij")
    points = np.stack([each.ravel() for each in mesh], axis=1)
    values = (1 + OFF) * exact(problem, points)
    return points, values, values[:, 0].reshape(mesh[0].shape)


def write_comsol(path, columns):
    np.savetxt(path, columns, header="x y values\nfrom a solver", comments="% ")


def test_a_file_with_a_row_per_time(script, tmp_path):
    t, x = np.linspace(0, 1, 5), np.linspace(0, 1, 7)
    _, _, u = on_lattice("wave", t, x)
    scipy.io.savemat(tmp_path / "made.mat", {"t": t, "x": x, "usol": u})
    public = script.Public("a/b", "made.mat", "wave", script.rows_are_times("t", "x", "usol"))
    found = script.measure(public, tmp_path / "made.mat")
    assert found["relative_l2_error"] == pytest.approx(OFF, rel=1e-9)
    assert found["n"] == 35


def test_a_file_with_complex_columns(script, tmp_path):
    t, x = np.linspace(0, 1, 4), np.linspace(-5, 5, 6)
    _, values, _ = on_lattice("schrodinger_breather", t, x)
    complex_values = (values[:, 0] + 1j * values[:, 1]).reshape(4, 6).T
    scipy.io.savemat(tmp_path / "made.mat", {"t": t, "x": x, "u": complex_values})
    read = script.columns_are_times("t", "x", "u")
    public = script.Public("a/b", "made.mat", "schrodinger_breather", read, {}, ("u", "v"))
    found = script.measure(public, tmp_path / "made.mat")
    assert found["relative_l2_error"] == pytest.approx(OFF, rel=1e-9)


def test_a_file_with_the_time_last(script, tmp_path):
    points, values, _ = on_lattice("wave", np.linspace(0, 1, 5), np.linspace(0, 1, 7))
    np.savez(tmp_path / "made.npz", coords=points[:, ::-1], solution=values)
    public = script.Public("a/b", "made.npz", "wave", script.space_then_time)
    found = script.measure(public, tmp_path / "made.npz")
    assert found["relative_l2_error"] == pytest.approx(OFF, rel=1e-9)


def test_an_export_of_comsol_with_a_column_per_time(script, tmp_path):
    x, times = np.random.default_rng(0).uniform(size=(9, 2)), 0.2 * np.arange(4)
    columns = [(1 + OFF) * exact("heat_2d_ms", np.c_[np.full(9, time), x])[:, 0] for time in times]
    columns[1][3] = np.nan
    write_comsol(tmp_path / "made.dat", np.c_[x, np.stack(columns, axis=1)])
    public = script.Public("a/b", "made.dat", "heat_2d_ms", script.comsol_times(2, 0.2))
    found = script.measure(public, tmp_path / "made.dat")
    assert found["relative_l2_error"] == pytest.approx(OFF, rel=1e-9)
    assert found["n"] == 35, "a value that is not a number is not counted"


def test_an_export_of_comsol_with_a_column_per_component(script, tmp_path):
    x = np.random.default_rng(0).uniform(0.4, 0.5, size=(5, 2))
    values = (1 + OFF) * exact("poisson_2d_c", x)
    write_comsol(tmp_path / "made.dat", np.c_[x, values])
    public = script.Public("a/b", "made.dat", "poisson_2d_c", script.comsol_plane)
    found = script.measure(public, tmp_path / "made.dat")
    assert found["relative_l2_error"] == pytest.approx(OFF, rel=1e-9)


def test_the_page_is_what_its_figures_print(script):
    figures = script.kept_figures()
    assert set(figures) == {public.key for public in script.FILES}
    assert script.PAGE.read_text(encoding="utf-8") == script.page(figures)
