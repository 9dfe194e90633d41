"""Settings for all tests: double precision, and nothing promoted without being asked."""

import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import pytest

from pinnzoo.training import training

ROOT = Path(__file__).parent.parent

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="module", autouse=True)
def forget_compiled_programs():
    """Drop what a module compiled when it is done.

    Each compiled program holds memory maps, of which Linux grants a process 65,530. The whole suite
    compiles more than that, and the compiler then dies of a segmentation fault.
    """
    yield
    jax.clear_caches()


def patch_diagnostics(patch):
    """A few points are enough to see that the diagnostics are there."""
    patch.setattr(training, "NTK_POINTS", {"equation": 4, "conditions": 2})
    patch.setattr(training, "HESSIAN_POINTS", 2)
    patch.setattr(training, "LOSS_HESSIAN_POINTS", {"equation": 8, "conditions": 2})


@pytest.fixture
def small_diagnostics(monkeypatch):
    """For a test that trains."""
    patch_diagnostics(monkeypatch)


@pytest.fixture
def single_precision():
    """JAX as a user has it who did not switch double precision on."""
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", True)


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The wheel, unpacked as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site
