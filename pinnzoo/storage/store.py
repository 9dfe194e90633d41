"""Entries on disk: the only module that knows orbax.

`save_entry` writes a folder that appears in one move, `load_entry` reads one that it did not
write with equal suspicion: hashes first, then names, shapes and dtypes, then golden values.
"""

import contextlib
import functools
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float
from orbax.checkpoint import v1 as ocp

from pinnzoo.domains import sample
from pinnzoo.errors import EntryError, IntegrityError, PinnzooError
from pinnzoo.precision import require_x64
from pinnzoo.recipes import Recipe
from pinnzoo.storage import metrics as metrics_file
from pinnzoo.storage.blueprint import (
    Blueprint,
    blueprint,
    by_path,
    flat_names,
    flat_parameters,
    stack_parameters,
    unstack_parameters,
)
from pinnzoo.storage.folder import (
    CONFIG,
    FOLDER_FORMAT,
    GOLDEN,
    HISTORY,
    MANIFEST,
    METRICS,
    NTK,
    PARAMS,
    SAFETENSORS,
    SNAPSHOTS,
    EntryFolder,
    FileRecord,
    manifest_json,
    pack,
    record,
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
GOLDEN_TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
"""How far replayed values may be from the stored ones, in units of their own scale. Platforms and
library versions differ by rounding, wrong weights or wrong code by far more."""

MAX_SNAPSHOTS = 1000

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
    """

    recipe: Recipe
    state: nnx.State
    metrics: Metrics
    records: Records


# Reading.


def load(folder: EntryFolder, *, verify: Literal["read", "all"] = "read") -> Parts:
    """The parts of the entry in a folder.

    Args:
        folder: The folder.
        verify: "read" checks every file before it is read, and reads history, kernels and
            snapshots when they are first touched; "all" reads and checks everything now.

    Raises:
        EntryError: `verify` is neither.
        FormatVersionError: Recipe or metrics are of another format.
        IntegrityError: Something in the folder is not what it should be.
        UnknownNameError: It needs a problem or an architecture that does not exist.
        RecipeError: Its recipe cannot be read.
        PrecisionError: Its network is float64 and JAX has that switched off.
    """
    if verify not in ("read", "all"):
        raise EntryError(f"verify={verify!r} was given: allowed are 'read' and 'all'.")
    recipe = folder.recipe()
    if recipe.dtype == "float64":
        require_x64(f"the entry {recipe.name}, whose parameters are float64,")
    metrics = folder.metrics()
    plan = blueprint(recipe)
    plan.check_metrics(metrics, recipe)
    state = _load_state(folder, plan)
    _check_golden(folder, plan, state)
    theta = flat_parameters(state)
    records = Records(
        functools.partial(_load_history, folder),
        functools.partial(_load_ntk, folder, plan, metrics),
        functools.partial(_load_snapshots, folder, plan, theta),
    )
    if verify == "all":
        folder.verify()
        check_records(records, plan.problem, metrics, theta)
        _check_safetensors(folder, state)
    return Parts(recipe, state, metrics, records)


def _load_history(folder: EntryFolder) -> dict[str, np.ndarray]:
    with _refusing(folder, HISTORY):
        return check_history(folder.arrays(HISTORY))


def _load_ntk(folder: EntryFolder, plan: Blueprint, metrics: Metrics) -> "NTKSnapshots":
    # SciPy, which the diagnostics need, takes a while to import and most loads do not touch this.
    from pinnzoo.diagnostics.ntk import NTKSnapshots

    with _refusing(folder, NTK):
        ntk = NTKSnapshots.from_arrays(folder.arrays(NTK))
        check_ntk(ntk, plan.problem, metrics)
        return ntk


def _load_snapshots(
    folder: EntryFolder, plan: Blueprint, theta: Float[np.ndarray, " p"]
) -> Snapshots:
    params = nnx.filter_state(plan.state, nnx.Param)
    shapes = _stored_shapes(folder, SNAPSHOTS)
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
    target = {
        "steps": jax.ShapeDtypeStruct(steps, np.int32),
        "params": nnx.to_pure_dict(stacked),
    }
    loaded = _load_tree(folder, SNAPSHOTS, target)
    with _refusing(folder, SNAPSHOTS):
        nnx.replace_by_pure_dict(stacked, loaded["params"])
        thetas = unstack_parameters(stacked)
        if rows == before:
            thetas = np.concatenate([thetas, theta[None]])
        snapshots = Snapshots(np.asarray(loaded["steps"]), thetas)
        check_snapshots(snapshots, theta)
        return snapshots


@contextlib.contextmanager
def _refusing(folder: EntryFolder, name: str) -> Iterator[None]:
    """Whatever a library stumbles over in a file is damage of that file."""
    try:
        yield
    except PinnzooError:
        raise
    except Exception as error:
        raise IntegrityError(
            f"the entry in {str(folder.path)!r} is damaged: {name!r} cannot be read "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); download or train it "
            "again."
        ) from error


def _load_state(folder: EntryFolder, plan: Blueprint) -> nnx.State:
    """Parameters and buffers of the network, all of them finite."""
    state = jax.tree.map(lambda a: a, plan.state)
    loaded = _load_tree(folder, PARAMS, nnx.to_pure_dict(state))
    with _refusing(folder, PARAMS):
        nnx.replace_by_pure_dict(state, loaded)
        for name, leaf in flat_names(state).items():
            if not np.isfinite(np.asarray(leaf)).all():
                raise IntegrityError(
                    f"the entry in {str(folder.path)!r} is damaged: {name} in {PARAMS!r} holds NaN "
                    "or infinity; download or train it again."
                )
    return state


def _load_tree(folder: EntryFolder, name: str, target: Mapping[Any, Any]) -> dict[str, Any]:
    """An orbax folder in the structure of `target`, once its files and its dtypes are known.

    Orbax by itself does not see flipped bits, converts dtypes without a word, and wants the devices
    that the file was written from unless the target names others.
    """
    stored, expected = _stored_shapes(folder, name), _shapes(target)
    for path in sorted({*stored, *expected}):
        if stored.get(path) != expected.get(path):
            raise IntegrityError(
                f"the entry in {str(folder.path)!r} is damaged: {path} in {name!r} is "
                f"{_words(stored.get(path))}, but by its recipe it is "
                f"{_words(expected.get(path))}; download or train it again."
            )
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    placed = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), dict(target)
    )
    with _refusing(folder, name):
        return ocp.load(str(folder.path.resolve() / name), placed)


def _stored_shapes(folder: EntryFolder, name: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of every array in an orbax folder, by dotted path."""
    folder.verify(name)
    with _refusing(folder, name):
        return _shapes(ocp.metadata(str(folder.path.resolve() / name)).metadata)


def _shapes(tree: Any) -> dict[str, tuple[tuple[int, ...], str]]:
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
    given = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
    if given != {name: (shape, "float64") for name, shape in shapes.items()} or not all(
        np.isfinite(array).all() for array in arrays.values()
    ):
        raise IntegrityError(
            f"the entry in {str(folder.path)!r} is damaged: {GOLDEN!r} holds {given}, or numbers "
            f"that are not finite, instead of float64 arrays of the shapes {shapes}; download or "
            "train it again."
        )
    values, residual = _replay(plan, state, arrays["points"], dtype)
    compared = {
        "field": (values, arrays["values"], np.abs(arrays["values"]).max()),
        "residual": (residual, arrays["residual"], arrays["residual_scale"][0]),
    }
    for name, (now, then, scale) in compared.items():
        change = np.abs(now - then).max()
        if not change <= GOLDEN_TOLERANCE[dtype] * scale:
            raise IntegrityError(
                f"the {name} of the entry in {str(folder.path)!r} differs from its golden values "
                f"by {change:.1e} (scale {scale:.1e}): its weights are not those that were "
                "published, or this version of pinnzoo computes something else with them."
            )


def _replay(
    plan: Blueprint, state: nnx.State, points: Float[np.ndarray, "n d"], dtype: str
) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, " n"]]:
    # Some accelerators round float32 products to fewer digits unless told not to.
    with jax.default_matmul_precision("highest"):
        values, residual = plan.replay(state, points.astype(dtype))
    return np.asarray(values, np.float64), np.asarray(residual, np.float64)


def _check_safetensors(folder: EntryFolder, state: nnx.State) -> None:
    """Raise unless the copy for other readers holds the same bits."""
    import safetensors.numpy

    content = folder.read(SAFETENSORS)
    with _refusing(folder, SAFETENSORS):
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
    name, plan = parts.recipe.name, blueprint(parts.recipe)
    target = Path(os.path.abspath(Path(folder).expanduser()))
    _check_target(target, overwrite=overwrite)
    for leaf, values in flat_names(parts.state).items():
        if not np.isfinite(np.asarray(values)).all():
            raise IntegrityError(
                f"{name} cannot be saved because {leaf} holds NaN or infinity: save a step from "
                "before the training diverged."
            )
    check_records(parts.records, plan.problem, parts.metrics, flat_parameters(parts.state))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as work:
            made = Path(work) / target.name
            made.mkdir()
            _write(parts, plan, made, command or f"pinnzoo train {name}")
            load(EntryFolder.open(made), verify="all")
            if target.exists():
                _check_target(target, overwrite=overwrite)
                target.rename(Path(work) / "replaced")
                try:
                    made.rename(target)
                except OSError:
                    (Path(work) / "replaced").rename(target)
                    raise
            else:
                made.rename(target)
    except OSError as error:
        raise EntryError(
            f"the entry {name} cannot be written to {str(target)!r} "
            f"({error.strerror or error}): give a folder that can be written."
        ) from error
    return target


def _check_target(target: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise EntryError(
            f"{str(target)!r} exists: give another folder, or overwrite=True to replace the entry "
            "there."
        )
    if target.is_symlink() or not (target / MANIFEST).is_file():
        raise EntryError(
            f"{str(target)!r} exists and is not the folder of an entry, so it is not replaced: "
            "give another folder."
        )


def _write(parts: Parts, plan: Blueprint, folder: Path, command: str) -> None:
    """All files of an entry, the manifest last."""
    import safetensors.numpy

    recipe, records = parts.recipe, parts.records
    params = nnx.filter_state(parts.state, nnx.Param)
    snapshots = records.snapshots
    about = {"format": f"pinnzoo-{FOLDER_FORMAT}", "dtype": recipe.dtype}
    host = jax.tree.map(np.asarray, parts.state)
    _save_tree(folder / PARAMS, nnx.to_pure_dict(host), about)
    # The last ones are those of PARAMS; of one snapshot alone nothing would be left.
    thetas = snapshots.thetas[:-1] if len(snapshots) > 1 else snapshots.thetas
    stacked = nnx.to_pure_dict(stack_parameters(params, thetas))
    steps = snapshots.steps.astype(np.int32)
    _save_tree(folder / SNAPSHOTS, {"steps": steps, "params": stacked}, about)
    contents = {
        CONFIG: recipe.to_json().encode(),
        METRICS: metrics_file.to_json(parts.metrics).encode(),
        GOLDEN: pack(_golden(parts, plan)),
        HISTORY: pack(records.history),
        NTK: pack(records.ntk.to_arrays()),
        SAFETENSORS: safetensors.numpy.save(
            {name: np.ascontiguousarray(leaf) for name, leaf in flat_names(host).items()},
            metadata={"entry": recipe.name},
        ),
    }
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
            "files": files,
        }
    ).encode()
    _check_private(manifest, MANIFEST, folder)
    (folder / MANIFEST).write_bytes(manifest)


def _save_tree(path: Path, tree: Mapping[Any, Any], about: Mapping[str, str]) -> None:
    """Arrays as an orbax folder, from the host so that it names no device."""
    ocp.save(str(path), dict(tree), custom_metadata=dict(about))
    # It holds the absolute path of this folder, and nothing reads it.
    (path / "commit_success.txt").unlink(missing_ok=True)


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
    params, rest = nnx.split_state(parts.state, nnx.Param, ...)
    theta = flat_parameters(params)
    nudged = stack_parameters(params, theta * (1 + 1e-3 * rng.choice([-1.0, 1.0], theta.shape)))
    moved = nnx.merge_state(jax.tree.map(jnp.asarray, nudged), rest)
    change = 1e3 * (_replay(plan, moved, points, dtype)[1] - residual)
    scale = max(float(np.sqrt(np.mean(change**2))), float(np.abs(residual).max()))
    return {
        "points": points,
        "values": values,
        "residual": residual,
        "residual_scale": np.array([scale]),
    }


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
    places = {folder, folder.parent.parent, Path.home(), Path.cwd(), Path(sys.prefix)}
    for place in places:
        text = str(place.resolve()).rstrip("/") + "/"
        if len(text) > 2 and text.encode() in content:
            raise IntegrityError(
                f"the file {name!r} of the entry names the folder {text!r} of this machine: "
                "entries are published, so leave such paths out."
            )
