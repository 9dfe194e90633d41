"""Settings for all tests: double precision, and nothing promoted without being asked."""

import atexit
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from jaxlib import version as jaxlib

# Each worker has a processor, and threads of theirs would wait for one another. Before NumPy is
# imported, which reads this once.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Most of the time of the tests is compilation, of programs that then run for milliseconds. Before
# JAX is imported, which reads this once; the commands that tests start inherit it.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        # XLA ends the process at a flag that it dropped, as it did this one in jaxlib 0.11.1.
        *(["--xla_cpu_use_fusion_emitters=false"] if jaxlib.__version_info__ < (0, 11, 1) else []),
        # Pieces of a program can be compiled side by side, but the processors are busy anyway.
        "--xla_cpu_parallel_codegen_split_count=1",
    ]
)

import jax
import jaxtyping
import pytest

CHECKED = ("derivatives", "domains", "linalg")

# Types and shapes are checked at every call, in the modules that do the mathematics. A whole number
# is a real number, as it is for pyright.
jaxtyping.install_import_hook(
    [f"pinnzoo.{name}" for name in CHECKED],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)

import pinnzoo  # noqa: E402
from pinnzoo import evaluation  # noqa: E402
from pinnzoo.diagnostics import DIAGNOSTICS, points  # noqa: E402

ROOT = Path(__file__).parent.parent

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


MOST_MAPS = 15_000
"""Memory maps after which compiled programs are dropped at the end of a module; a module adds up to
some thousands."""


def share_compiled_programs():
    """Let all processes of one test run compile each program once, in a folder of this run alone.

    Most of the time of the tests is compilation, and the same small networks are trained over and
    over. pytest-xdist's workers and the commands that tests start inherit the environment, so this
    process makes the folder and removes it at its end. JAX compresses with zstandard where
    it is installed, and with zlib otherwise, which took a twentieth of the time of the tests.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="pinnzoo-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": folder,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    # JAX has read the environment of this process already.
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


share_compiled_programs()


def pytest_xdist_auto_num_workers():
    """One more worker than processors: tests also wait, for servers, timers and other processes."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else None


LONGEST = (
    "test_tooling",
    "test_sharding",
    "test_checkpoints",
    "test_readme",
    "test_damage",
    "test_own",
    "test_whole_zoo",
    "test_solve",
    "test_training",
    "test_faults",
    "test_publishing",
    "test_problems",
)
"""Modules of the tests that take longest, the longest first."""


def pytest_collection_finish():
    """Look for garbage less often: tracing makes many objects, of which few are in circles.

    What was imported and collected stays to the end, and need not be looked through again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_collection_modifyitems(items):
    """Begin with the modules of long tests: who begins one last keeps the other workers waiting."""
    places = {name: k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="module", autouse=True)
def forget_compiled_programs():
    """Drop what was compiled before the compiler runs out of memory maps.

    Each compiled program holds memory maps, of which Linux grants a process 65,530. The whole suite
    compiles more than that, and the compiler then dies of a segmentation fault.
    """
    yield
    try:
        maps = Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        maps = MOST_MAPS
    if maps >= MOST_MAPS:
        jax.clear_caches()


@pytest.fixture(scope="module", autouse=True)
def tables_as_they_were():
    """Forget what a module registered: the next one counts what the package itself offers."""
    tables: list[dict[str, Any]] = [
        pinnzoo.PROBLEMS,
        pinnzoo.ARCHITECTURES,
        pinnzoo.OPTIMIZERS,
        DIAGNOSTICS,
    ]
    before = [dict(table) for table in tables]
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)


def patch_diagnostics(patch):
    """A few points are enough to see that the diagnostics are there."""
    patch.setattr(points, "NTK_POINTS", {"equation": 4, "conditions": 2})
    patch.setattr(points, "HESSIAN_POINTS", 2)
    patch.setattr(points, "LOSS_HESSIAN_POINTS", {"equation": 8, "conditions": 2})


@pytest.fixture
def small_diagnostics(monkeypatch):
    """For a test that trains."""
    patch_diagnostics(monkeypatch)


EVERY = 8
"""Of the lines of a grid, those that `coarse_grid` keeps."""


@contextmanager
def coarse_grid(problem):
    """Measure the errors of a problem on fewer points: 202,101 of Burgers' take many seconds.

    Problems are kept for the whole process, so that the grid is put back at the end.
    """
    whole = problem.evaluation_shape

    def measure_on(shape):
        object.__setattr__(problem, "evaluation_shape", shape)
        evaluation._on_the_grid.cache_clear()
        evaluation._certified_on_the_grid.cache_clear()

    measure_on(tuple(max((k - 1) // EVERY + 1, 2) for k in whole))
    try:
        yield
    finally:
        measure_on(whole)


@pytest.fixture(scope="session")
def trained():
    """`trained(recipe)`: its entry with few diagnostics, trained once per process.

    Who changes an entry trains an own one.
    """

    @cache
    def by_text(text):
        with pytest.MonkeyPatch.context() as patch:
            patch_diagnostics(patch)
            return pinnzoo.train(pinnzoo.Recipe.from_json(text))

    return lambda recipe: by_text(recipe.to_json())


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
