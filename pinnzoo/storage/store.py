"""Entries on disk: the only module that knows orbax.

`save` writes a folder that appears in one move. `load` reads one that somebody else wrote: it
compares hashes first, then names, shapes and dtypes, then golden values. `check_writable` says
before any work whether `save` will find a place.

Orbax reads and writes in a temporary folder, never in the entry's own. What it reads are therefore
the bytes that were compared with the manifest, whatever happens to the files meanwhile; and the
entry's folder may have any path, such as one with a backslash, which orbax takes for "/".
"""

import contextlib
import functools
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from pinnzoo.architectures import ARCHITECTURES
from pinnzoo.domains import sample
from pinnzoo.errors import (
    EntryError,
    IntegrityError,
    PinnzooError,
    PointsError,
    RecipeError,
    UnknownNameError,
    shortened,
)
from pinnzoo.objective import check_network
from pinnzoo.observations import Observations
from pinnzoo.pdes import PROBLEMS, Problem
from pinnzoo.pdes.conditions import whole
from pinnzoo.pdes.posed import posed
from pinnzoo.precision import full_precision, require_device
from pinnzoo.recipes import Recipe
from pinnzoo.registry import check_switches, provider
from pinnzoo.storage import metrics as metrics_file
from pinnzoo.storage.arrays import pack
from pinnzoo.storage.blueprint import (
    Blueprint,
    blueprint,
    by_path,
    check_posed,
    flat_names,
    flat_parameters,
    is_of_the_package,
    stack_parameters,
    unstack_parameters,
)
from pinnzoo.storage.files import exchange
from pinnzoo.storage.folder import (
    CONFIG,
    FOLDER_FORMAT,
    GOLDEN,
    HISTORY,
    MANIFEST,
    METRICS,
    NTK,
    OBSERVATIONS,
    PARAMS,
    SAFETENSORS,
    SNAPSHOTS,
    EntryFolder,
    FileRecord,
    folder_path,
    foreign_files,
    has_manifest,
    holds_pictures_alone,
    manifest_json,
    names_place,
    record,
    unreadable,
)
from pinnzoo.storage.metrics import Metrics
from pinnzoo.storage.records import (
    Records,
    Snapshots,
    check_history,
    check_ntk,
    check_records,
    check_snapshots,
)

if TYPE_CHECKING:
    from pinnzoo.diagnostics.ntk import NTKSnapshots

GOLDEN_POINTS = 32
POSED = "posed."
"""Beginning of the names of golden values that tell a problem of one's own from others."""

GOLDEN_TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
"""How far replayed values may be from the stored ones, in units of their own scale. Platforms and
library versions differ by rounding, wrong weights or wrong code by far more."""

ROUNDINGS = 16
"""How many times further than by one unit in the last place of every parameter they may be, where
that is more."""

MAX_SNAPSHOTS = 1000

PROBE = 1 << 16
"""Bytes that are written to see whether a disk takes them."""

LIBRARIES = ("pinnzoo", "jax", "jaxlib", "flax", "orbax-checkpoint", "numpy")
"""Whose versions the manifest records."""


@dataclass(frozen=True, eq=False)
class Parts:
    """What an entry consists of.

    Attributes:
        recipe: How it was trained.
        state: Parameters and buffers of the network.
        metrics: The figures.
        records: The heavy parts.
        blueprint: The problem, and the structure of the network.
        providers: Who provides problem and architecture, by "problem" and "architecture", where
            that cannot be seen from the objects.
    """

    recipe: Recipe
    state: nnx.State
    metrics: Metrics
    records: Records
    blueprint: Blueprint
    providers: Mapping[str, str] = field(default_factory=dict)


# Reading.


def load(
    folder: EntryFolder,
    *,
    verify: Literal["read", "all"] = "read",
    problem: Problem | None = None,
    model: nnx.Module | None = None,
) -> Parts:
    """The parts of the entry in a folder.

    Args:
        folder: The folder.
        verify: "read" checks every file before it is read, and reads history, kernels and
            snapshots when they are first touched; "all" reads and checks everything now.
        problem: The problem, where its name is not known here.
        model: A network of the entry's structure, where its architecture is not known here.

    Raises:
        EntryError: `verify` is neither, or this machine does not let the entry be read.
        FormatVersionError: Recipe or metrics are of another format.
        IntegrityError: Something in the folder is not what it should be.
        UnknownNameError: It needs a problem or an architecture that does not exist.
        RecipeError: Its recipe cannot be read.
        PrecisionError: Its network is float64 and JAX has that switched off.
    """
    if verify not in ("read", "all"):
        raise EntryError(f"verify={verify!r} was given: allowed are 'read' and 'all'.")
    recipe = folder.recipe()
    full_precision(recipe.dtype, f"the entry {recipe.name}, whose parameters are float64,")
    require_device()
    metrics = folder.metrics()
    plan = _plan(folder, recipe, problem, model)
    if model is not None:
        # One with batch normalization that changes, for instance, fails when it is computed.
        check_network(plan.problem, model)
    plan.check_metrics(metrics, recipe)
    state = _load_state(folder, plan)
    with _computing(folder):
        _check_golden(folder, plan, state)
    theta = flat_parameters(state)
    records = Records(
        functools.partial(_load_history, folder),
        functools.partial(_load_ntk, folder, plan, metrics),
        functools.partial(_load_snapshots, folder, plan, theta),
        functools.partial(_load_observations, folder, plan),
    )
    if verify == "all":
        folder.verify()
        check_records(records, plan.problem, metrics, theta)
        _check_safetensors(folder, state)
    return Parts(recipe, state, metrics, records, plan, folder.manifest.get("providers", {}))


def unknown_provider_message(kind: str, name: str, providers: Mapping[str, str]) -> str:
    """What to do about a problem or an architecture that is not known here, in one sentence.

    Args:
        kind: "problem" or "architecture".
        name: The name that is not known.
        providers: Who provides what, as the entry's manifest says.

    Example:
        >>> unknown_provider_message("problem", "fisher", {"problem": "fisher.py"})
        "unknown problem 'fisher': the entry says that fisher.py provides it, so install or ..."
    """
    argument = {"architecture": "model"}.get(kind, kind)
    maker = "".join(c for c in providers.get(kind, "") if c.isprintable())[:100]
    where = (
        f"the entry says that {maker} provides it, so install or import that"
        if maker
        else "neither pinnzoo nor anything that is registered here has it, so import its module"
    )
    option = f"--problem FILE.py:{name}" if kind == "problem" else "--import FILE.py"
    return (
        f"unknown {kind} {name!r}: {where} and call pinnzoo.register_{kind}, or pass "
        f"{argument}=... to pinnzoo.load, in a shell {option}."
    )


def _plan(
    folder: EntryFolder, recipe: Recipe, problem: Problem | None, model: nnx.Module | None
) -> Blueprint:
    """The blueprint of an entry; who provides what is not known here is said."""
    try:
        return blueprint(recipe, problem, model)
    except UnknownNameError as error:
        for kind, name in (("problem", recipe.problem), ("architecture", recipe.architecture)):
            if str(error).startswith(f"unknown {kind} {name!r}"):
                providers = folder.manifest.get("providers", {})
                raise UnknownNameError(unknown_provider_message(kind, name, providers)) from error
        raise


def _load_history(folder: EntryFolder) -> dict[str, np.ndarray]:
    with _refusing(folder, HISTORY):
        return check_history(folder.arrays(HISTORY))


def _load_ntk(folder: EntryFolder, plan: Blueprint, metrics: Metrics) -> "NTKSnapshots | None":
    if NTK not in folder.manifest["files"]:
        return None
    with _refusing(folder, NTK):
        # SciPy, which the diagnostics need, takes a while to import; most loads do not touch this.
        from pinnzoo.diagnostics.ntk import NTKSnapshots

        ntk = NTKSnapshots.from_arrays(folder.arrays(NTK))
        check_ntk(ntk, plan.problem, metrics)
        return ntk


def _load_observations(folder: EntryFolder, plan: Blueprint) -> Observations | None:
    if OBSERVATIONS not in folder.manifest["files"]:
        return None
    with _refusing(folder, OBSERVATIONS):
        try:
            return Observations.from_arrays(folder.arrays(OBSERVATIONS)).check(plan.problem)
        except (PointsError, UnknownNameError) as error:
            raise IntegrityError(
                f"the entry in {str(folder.path)!r} is damaged: {OBSERVATIONS!r} does not hold "
                f"observations of {plan.problem.name} ({error}); download or train it again."
            ) from error


def _load_snapshots(
    folder: EntryFolder, plan: Blueprint, theta: Float[np.ndarray, " p"]
) -> Snapshots:
    params = nnx.filter_state(plan.state, nnx.Param)

    def expect(shapes: Shapes) -> dict[str, Any]:
        steps = shapes.get("steps", ((0,), ""))[0]
        if len(steps) != 1 or not 0 < steps[0] <= MAX_SNAPSHOTS:
            raise IntegrityError(
                f"the entry in {str(folder.path)!r} is damaged: {SNAPSHOTS!r} has steps of shape "
                f"{steps}, not 1 to {MAX_SNAPSHOTS} of them; download or train it again."
            )
        # The last snapshot is the network, which most entries do not hold a second time.
        before = (steps[0] - 1,)
        lengths = {shape[:1] for path, (shape, _) in shapes.items() if path != "steps"}
        rows = before if lengths == {before} else steps
        stacked = jax.tree.map(lambda a: jax.ShapeDtypeStruct((*rows, *a.shape), a.dtype), params)
        return {
            "steps": jax.ShapeDtypeStruct(steps, np.int32),
            "params": nnx.to_pure_dict(stacked),
        }

    loaded = _load_tree(folder, SNAPSHOTS, expect)
    with _refusing(folder, SNAPSHOTS):
        stacked = jax.tree.map(lambda a: a, params)
        nnx.replace_by_pure_dict(stacked, loaded["params"])
        thetas = unstack_parameters(stacked)
        if len(thetas) < len(loaded["steps"]):
            thetas = np.concatenate([thetas, theta[None]])
        snapshots = Snapshots(np.asarray(loaded["steps"]), thetas)
        check_snapshots(snapshots, theta)
        return snapshots


@contextlib.contextmanager
def _refusing(folder: EntryFolder, name: str) -> Iterator[None]:
    """Tell what is wrong with the content of a file from what is wrong with this machine.

    The bytes are those of the manifest by then. What a library cannot make sense of breaks the
    format of the file; what the operating system refuses, or a library that is missing, says
    nothing about the file.

    Raises:
        EntryError: This machine is at fault.
        IntegrityError: The file is.
    """
    try:
        yield
    except PinnzooError:
        raise
    except (OSError, MemoryError, ImportError) as error:
        raise unreadable(folder.path, name, error) from error
    except Exception as error:
        cause = _fault_of_orbax() if name in (PARAMS, SNAPSHOTS) else None
        if cause is not None:
            raise unreadable(folder.path, name, cause) from error
        raise IntegrityError(
            f"the entry in {str(folder.path)!r} is damaged: {name!r} has the bytes of the manifest "
            f"but cannot be read ({type(error).__name__}: {shortened(error)}); "
            "download or train it again."
        ) from error


def _orbax() -> Any:
    """`orbax.checkpoint.v1`, whose import takes as long as the first steps of a training."""
    from orbax.checkpoint import v1

    return v1


def _fault_of_orbax() -> Exception | None:
    """What stands in the way of writing and reading any arrays here; None for nothing.

    Orbax and what it is built on give one kind of error for files that make no sense, too many open
    files, missing threads, and a full disk. The difference is whether sound files are read.
    """
    tree = {"a": np.arange(3.0)}
    try:
        with tempfile.TemporaryDirectory(prefix="pinnzoo.") as scratch:
            _orbax().save(str(Path(scratch, "tree")), tree)
            read = _orbax().load(str(Path(scratch, "tree")), tree)
            np.testing.assert_array_equal(read["a"], tree["a"])
    except Exception as error:
        return error
    return None


@contextlib.contextmanager
def _computing(folder: EntryFolder) -> Iterator[None]:
    """Name what keeps a network from being computed, such as a device without free memory."""
    try:
        yield
    except PinnzooError:
        raise
    except Exception as error:
        raise EntryError(
            f"the network of the entry in {str(folder.path)!r} was read but cannot be computed "
            f"here ({type(error).__name__}: {shortened(error)}): see to the "
            "memory and the device, or to the code of the problem if it is your own."
        ) from error


def _load_state(folder: EntryFolder, plan: Blueprint) -> nnx.State:
    """Parameters and buffers of the network, all of them finite."""
    state = jax.tree.map(lambda a: a, plan.state)
    loaded = _load_tree(folder, PARAMS, lambda _: nnx.to_pure_dict(state))
    with _refusing(folder, PARAMS):
        nnx.replace_by_pure_dict(state, loaded)
        for name, leaf in flat_names(state).items():
            if not np.isfinite(np.asarray(leaf)).all():
                raise IntegrityError(
                    f"the entry in {str(folder.path)!r} is damaged: {name} in {PARAMS!r} holds NaN "
                    "or infinity; download or train it again."
                )
    with _computing(folder):
        # Here and not in orbax, so that the device and the precision are those of the caller.
        return jax.tree.map(jnp.asarray, state)


Shapes = dict[str, tuple[tuple[int, ...], str]]
"""Shape and dtype of arrays, by dotted path."""


def _load_tree(
    folder: EntryFolder, name: str, expect: Callable[[Shapes], Mapping[Any, Any]]
) -> dict[str, Any]:
    """The NumPy arrays of an orbax folder, once its files and its dtypes are known.

    Orbax by itself does not see flipped bits and converts dtypes without a word. It restores in
    threads of its own, in which a precision or a device that the caller has set by a context
    manager does not hold; NumPy arrays do not depend on either.

    Args:
        folder: The entry.
        name: Which of `TREES`.
        expect: What should be there, as a tree of shapes and dtypes, for what is there.
    """
    with _staged(folder, name) as path:
        with _refusing(folder, name):
            stored = _shapes(_orbax().metadata(str(path)).metadata)
        target = dict(expect(stored))
        expected = _shapes(target)
        for part in sorted({*stored, *expected}):
            if stored.get(part) != expected.get(part):
                raise IntegrityError(
                    f"the entry in {str(folder.path)!r} is damaged: {part} in {name!r} is "
                    f"{_words(stored.get(part))}, but by its recipe it is "
                    f"{_words(expected.get(part))}; download or train it again."
                )
        with _refusing(folder, name):
            return _orbax().load(
                str(path), jax.tree.map(lambda a: np.empty(a.shape, a.dtype), target)
            )


@contextlib.contextmanager
def _staged(folder: EntryFolder, name: str) -> Iterator[Path]:
    """A temporary folder with the verified content of a folder of the entry."""
    content = folder.tree(name)
    with contextlib.ExitStack() as stack:
        try:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="pinnzoo."))
            for path, data in content.items():
                Path(scratch, name, path).parent.mkdir(parents=True, exist_ok=True)
                Path(scratch, name, path).write_bytes(data)
        except OSError as error:
            raise EntryError(
                f"no temporary files can be written ({error.strerror or error}), which loading an "
                "entry needs: set the environment variable TMPDIR to a folder with free space."
            ) from error
        yield Path(scratch).resolve() / name


def _shapes(tree: Any) -> Shapes:
    # Orbax returns whole numbers in paths as text, so that paths are compared as text.
    return {
        path: (tuple(leaf.shape), np.dtype(leaf.dtype).name) for path, leaf in by_path(tree).items()
    }


def _words(kind: tuple[tuple[int, ...], str] | None) -> str:
    return "absent" if kind is None else f"{kind[1]} of shape {kind[0]}"


def _check_golden(folder: EntryFolder, plan: Blueprint, state: nnx.State) -> None:
    """Raise unless the network gives the stored field values and residuals.

    A hash proves bytes; this proves that they still mean what they did.
    """
    arrays = folder.arrays(GOLDEN)
    n, dtype = GOLDEN_POINTS, str(folder.manifest["dtype"])
    shapes = {
        "points": (n, plan.problem.d),
        "values": (n, plan.problem.m),
        "residual": (n,),
        "residual_scale": (1,),
    }
    stored = {k.removeprefix(POSED): v for k, v in arrays.items() if k.startswith(POSED)}
    arrays = {k: v for k, v in arrays.items() if not k.startswith(POSED)}
    given = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
    if given != {name: (shape, "float64") for name, shape in shapes.items()} or not all(
        np.isfinite(array).all() for array in arrays.values()
    ):
        raise IntegrityError(
            f"the entry in {str(folder.path)!r} is damaged: {GOLDEN!r} holds {given}, or numbers "
            f"that are not finite, instead of float64 arrays of the shapes {shapes}; download or "
            "train it again."
        )
    check_posed(plan.problem, stored, f"the entry in {str(folder.path)!r}")
    values, residual = _replay(plan, state, arrays["points"], dtype)
    compared = {
        "field": (values, arrays["values"], np.abs(arrays["values"]).max()),
        "residual": (residual, arrays["residual"], arrays["residual_scale"][0]),
    }
    for i, (name, (now, then, scale)) in enumerate(compared.items()):
        change = np.abs(now - then).max()
        if change <= GOLDEN_TOLERANCE[dtype] * scale:
            continue
        # Rare, so that only then it is asked how much of it can be rounding.
        if not change <= ROUNDINGS * _rounding(plan, state, arrays["points"], dtype)[i]:
            raise IntegrityError(
                f"the {name} of the entry in {str(folder.path)!r} differs from its golden values "
                f"by {change:.1e} (scale {scale:.1e}): its weights are not those that were "
                "published, this version of pinnzoo computes something else with them, or it "
                f"solves a problem of one's own that is called {plan.problem.name!r} too, which "
                "has to be given as problem=."
            )


def _replay(
    plan: Blueprint, state: nnx.State, points: Float[np.ndarray, "n d"], dtype: str
) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, " n"]]:
    # Some accelerators round float32 products to fewer digits unless told not to.
    with jax.default_matmul_precision("highest"):
        values, residual = plan.replay(state, points.astype(dtype))
    return np.asarray(values, np.float64), np.asarray(residual, np.float64)


def _rounding(
    plan: Blueprint, state: nnx.State, points: Float[np.ndarray, "n d"], dtype: str
) -> tuple[float, float]:
    """Largest change of field and residual when each parameter moves by one unit in its last place.

    Of a network with huge parameters that cancel, this is far above the rounding of its values: so
    far other processors, which round otherwise, may be from the golden values.
    """
    eps = float(np.finfo(dtype).eps)
    values, residual = _replay(plan, state, points, dtype)
    rng = np.random.default_rng(0)
    moved = [_replay(plan, _nudged(state, eps, rng), points, dtype) for _ in range(4)]
    return (
        max(float(np.abs(each[0] - values).max()) for each in moved),
        max(float(np.abs(each[1] - residual).max()) for each in moved),
    )


def _nudged(state: nnx.State, share: float, rng: np.random.Generator) -> nnx.State:
    """The state with every parameter changed by this share of itself, with random signs."""
    params, rest = nnx.split_state(state, nnx.Param, ...)
    theta = flat_parameters(params)
    signs = rng.choice([-1.0, 1.0], theta.shape)
    nudged = stack_parameters(params, theta * (1 + share * signs))
    return nnx.merge_state(jax.tree.map(jnp.asarray, nudged), rest)


def _check_safetensors(folder: EntryFolder, state: nnx.State) -> None:
    """Raise unless the copy for other readers holds the same bits."""
    content = folder.read(SAFETENSORS)
    with _refusing(folder, SAFETENSORS):
        import safetensors.numpy

        copy = safetensors.numpy.load(content)
    own = {name: np.asarray(leaf) for name, leaf in flat_names(state).items()}
    same = set(copy) == set(own) and all(
        copy[name].dtype == own[name].dtype and np.array_equal(copy[name], own[name])
        for name in own
    )
    if not same:
        raise IntegrityError(
            f"the entry in {str(folder.path)!r} is damaged: {SAFETENSORS!r} does not hold the "
            f"weights of {PARAMS!r}; download or train it again."
        )


# Writing.


def save(
    parts: Parts,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    command: str | None = None,
) -> Path:
    """Write an entry's folder in one move; see `Entry.save`.

    Raises:
        EntryError: There is such a folder already, or it cannot be written.
        IntegrityError: The entry is not in a state to be published.
    """
    name, plan = parts.recipe.name, parts.blueprint
    full_precision(parts.recipe.dtype, f"saving {name}, whose parameters are float64,")
    target = check_writable(folder, overwrite=overwrite)
    for leaf, values in flat_names(parts.state).items():
        if not np.isfinite(np.asarray(values)).all():
            raise IntegrityError(
                f"{name} cannot be saved because {leaf} holds NaN or infinity: save a step from "
                "before the training diverged."
            )
    check_records(parts.records, plan.problem, parts.metrics, flat_parameters(parts.state))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pinnzoo.", dir=target.parent) as work:
            made = Path(work) / "made"
            made.mkdir()
            _write(parts, plan, made, command or f"pinnzoo train {name}")
            network = nnx.merge(plan.graph, parts.state)
            load(EntryFolder.open(made), verify="all", problem=plan.problem, model=network)
            if target.exists():
                _check_target(target, overwrite=overwrite)
                _keep_strays(target, made)
                exchange(target, made, Path(work) / "replaced")
            else:
                made.rename(target)
    except OSError as error:
        raise EntryError(
            f"the entry {name} cannot be written to {str(target)!r} "
            f"({error.strerror or error}): give a folder that can be written."
        ) from error
    return target


def _keep_strays(old: Path, new: Path) -> None:
    """Take over what is no part of the old entry, such as a user's own pictures and notes.

    The old entry's card and plots are dropped, since they tell of what is replaced.
    """
    if has_manifest(old):
        try:
            names = EntryFolder.open(old, fetch=lambda _: None).strays()
        except EntryError:
            # It is damaged or of another format, so that nobody knows all that belongs to it.
            names = foreign_files(old)
    else:
        names = [item.name for item in old.iterdir()]
    for name in names:
        source, goal = old / name, new / name
        if os.path.lexists(goal):
            continue
        goal.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, goal, symlinks=True)
        else:
            shutil.copy2(source, goal, follow_symlinks=False)


def check_writable(folder: str | os.PathLike[str], *, overwrite: bool, entry: bool = True) -> Path:
    """The folder as an absolute path, once it is sure that something can be written there.

    Call it before hours of work, so that they are not lost at their end. It makes the folders that
    are missing and a small file in the place where they go, and removes all of them again.

    Args:
        folder: Where.
        overwrite: Whether an entry that is there may be replaced. A folder of nothing but pictures,
            such as `pinnzoo plot` makes, may become that of an entry; the pictures stay.
        entry: Whether an entry is to appear there in one move; otherwise files go into the folder.

    Returns:
        The absolute path.

    Raises:
        EntryError: There is something else, or it cannot be written.
        RecipeError: `overwrite` is neither True nor False.

    Example:
        ```python
        place = check_writable("runs/mine", overwrite=False)
        ...                                  # the training
        entry.save(place)
        ```
    """
    check_switches(overwrite=overwrite)
    target = Path(os.path.abspath(folder_path(folder)))
    if entry:
        _check_target(target, overwrite=overwrite)
    made: list[Path] = []
    try:
        try:
            place = target.parent if entry else target
            for step in (*reversed(place.parents), place):
                if not step.exists():
                    # Another process may begin to write here at the same time.
                    step.mkdir(exist_ok=True)
                    made.append(step)
            with tempfile.TemporaryDirectory(prefix=".pinnzoo.", dir=place) as work:
                # The folder's own name may be one that this disk does not take.
                (Path(work) / target.name).mkdir()
                (Path(work) / target.name / MANIFEST).write_bytes(b"-" * PROBE)
                if entry and target.exists() and not os.access(target, os.W_OK | os.X_OK):
                    raise PermissionError(0, "Permission denied")
        finally:
            for step in reversed(made):
                with contextlib.suppress(OSError):
                    step.rmdir()
    except OSError as error:
        raise EntryError(
            f"{str(target)!r} cannot be written ({error.strerror or error}): give a folder that "
            "can be."
        ) from error
    return target


def _check_target(target: Path, *, overwrite: bool) -> None:
    try:
        there = os.path.lexists(target)
        target.is_dir()
    except (OSError, ValueError) as error:
        raise EntryError(
            f"{str(target)[:200]!r} cannot be written: give another folder."
        ) from error
    if not there:
        return
    own = target.is_dir() and not target.is_symlink()
    if not own or not (has_manifest(target) or holds_pictures_alone(target)):
        raise EntryError(
            f"{str(target)!r} exists and is not the folder of an entry, so it is not replaced: "
            "give another folder."
        )
    if not overwrite:
        what = "the entry there" if has_manifest(target) else "it by an entry and keep its pictures"
        raise EntryError(
            f"{str(target)!r} exists: give another folder, or overwrite=True to replace {what}."
        )


def _write(parts: Parts, plan: Blueprint, folder: Path, command: str) -> None:
    """All files of an entry, the manifest last."""
    import safetensors.numpy

    recipe, records = parts.recipe, parts.records
    params = nnx.filter_state(parts.state, nnx.Param)
    snapshots = records.snapshots
    about = {"format": f"pinnzoo-{FOLDER_FORMAT}", "dtype": recipe.dtype}
    host = jax.tree.map(np.asarray, parts.state)
    # The last snapshot is in PARAMS already and is not stored twice, unless it is the only one.
    thetas = snapshots.thetas[:-1] if len(snapshots) > 1 else snapshots.thetas
    trees = {
        PARAMS: nnx.to_pure_dict(host),
        SNAPSHOTS: {
            "steps": snapshots.steps.astype(np.int32),
            "params": nnx.to_pure_dict(stack_parameters(params, thetas)),
        },
    }
    for name, tree in trees.items():
        _save_tree(folder / name, tree, about)
    contents = {
        CONFIG: recipe.to_json().encode(),
        # Checked again, since the dict may have been changed, by NumPy's numbers for instance.
        METRICS: metrics_file.to_json(metrics_file.validate(parts.metrics)).encode(),
        GOLDEN: pack(_golden(parts, plan)),
        HISTORY: pack(records.history),
        SAFETENSORS: safetensors.numpy.save(
            {name: np.asarray(leaf, order="C") for name, leaf in flat_names(host).items()},
            metadata={"entry": recipe.name},
        ),
    }
    if records.ntk is not None:
        contents[NTK] = pack(records.ntk.to_arrays())
    if records.observations is not None:
        named = records.observations.check(plan.problem)
        contents[OBSERVATIONS] = pack(named.to_arrays())
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    files: dict[str, FileRecord] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        _check_private(content, path.relative_to(folder).as_posix(), folder)
        files[path.relative_to(folder).as_posix()] = record(content)
    manifest = manifest_json(
        {
            "format": FOLDER_FORMAT,
            "entry": recipe.name,
            "dtype": recipe.dtype,
            "command": command,
            "versions": _versions(),
            "providers": _providers(parts, plan),
            "arrays": {name: _digest(tree) for name, tree in trees.items()},
            "files": files,
        }
    ).encode()
    _check_private(manifest, MANIFEST, folder)
    (folder / MANIFEST).write_bytes(manifest)


def _save_tree(path: Path, tree: Mapping[Any, Any], about: Mapping[str, str]) -> None:
    """Arrays as an orbax folder, from the host so that it names no device."""
    with tempfile.TemporaryDirectory(prefix="pinnzoo.") as scratch:
        made = Path(scratch).resolve() / path.name
        _orbax().save(str(made), dict(tree), custom_metadata=dict(about))
        # It holds the absolute path of this folder, and nothing reads it.
        (made / "commit_success.txt").unlink(missing_ok=True)
        shutil.copytree(made, path, copy_function=shutil.copyfile)


def _digest(tree: Mapping[Any, Any]) -> str:
    """SHA-256 of arrays with their paths, dtypes and shapes, whatever files they are written to."""
    total = hashlib.sha256()
    for path, leaf in sorted(by_path(tree).items()):
        array = np.ascontiguousarray(leaf)
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        total.update(f"{path} {array.dtype.name} {list(np.shape(leaf))}\n".encode())
        total.update(little.tobytes())
    return total.hexdigest()


def _golden(parts: Parts, plan: Blueprint) -> dict[str, np.ndarray]:
    """Fixed points of the domain, and what the network is there.

    Residuals of a good network are small differences of large terms. Their scale is therefore how
    much they change when every parameter changes by its own size, with random signs: to first
    order, and measured by a change a thousand times smaller.
    """
    dtype = parts.recipe.dtype
    rng = np.random.default_rng(0)
    points = sample(plan.problem.domain, GOLDEN_POINTS, "uniform", rng)
    values, residual = _replay(plan, parts.state, points, dtype)
    moved = _nudged(parts.state, 1e-3, rng)
    change = 1e3 * (_replay(plan, moved, points, dtype)[1] - residual)
    scale = max(float(np.sqrt(np.mean(change**2))), float(np.abs(residual).max()))
    golden = {
        "points": points,
        "values": values,
        "residual": residual,
        "residual_scale": np.array([scale]),
    }
    if not is_of_the_package(parts.recipe, plan.problem):
        golden |= {f"{POSED}{name}": array for name, array in posed(plan.problem).items()}
    return golden


def _providers(parts: Parts, plan: Blueprint) -> dict[str, str]:
    """Who provides problem and architecture, where that is not the package itself."""
    recipe = parts.recipe
    factory = ARCHITECTURES.get(recipe.architecture)
    found = {
        "problem": _maker(PROBLEMS.get(recipe.problem), whole(plan.problem.equation)),
        "architecture": _maker(factory, nnx.merge(plan.graph, plan.state).__class__),
    }
    stated = {kind: maker or parts.providers.get(kind, "") for kind, maker in found.items()}
    return {kind: maker for kind, maker in stated.items() if maker}


def _maker(factory: Any, otherwise: Any) -> str:
    return provider(otherwise if factory is None else factory)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _check_private(content: bytes, name: str, folder: Path) -> None:
    """Raise if a file tells where on this machine it was made."""
    place = _place_in(content, {folder, folder.parent.parent, *_places()})
    if place is not None:
        raise IntegrityError(
            f"the file {name!r} of the entry names the folder {str(place)!r} of this machine: "
            "entries are published, so leave such paths out."
        )


def _places() -> set[Path]:
    return {Path.home(), Path.cwd(), Path(sys.prefix)}


def _place_in(content: bytes, places: set[Path]) -> Path | None:
    found = (place for place in places if names_place(content, place.resolve()))
    return next(found, None)


def check_publishable(recipe: Recipe) -> None:
    """Raise where a recipe could not be saved, before it is trained.

    Raises:
        RecipeError: It tells where on this machine something is.
    """
    place = _place_in(recipe.to_json().encode(), _places())
    if place is not None:
        raise RecipeError(
            f"a recipe was given that names the folder {str(place)!r} of this machine, such as in "
            f"base={recipe.base!r}: entries are published, so give a relative path or a name."
        )
