"""The state of a training, in memory and in the file from which it goes on after a kill."""

import dataclasses
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo._typing import Theta
from pinnzoo.errors import (
    EntryError,
    FormatVersionError,
    IntegrityError,
    RecipeError,
    TrainingError,
)
from pinnzoo.recipes import Recipe
from pinnzoo.storage.files import write_file

WORK_FILE = "state.npz"


@dataclass
class Run:
    """All that a training needs to go on after a kill, and nothing else.

    Attributes:
        phase: Index of the current phase.
        step: Steps done in the current phase.
        done: Steps done in each phase so far.
        draws: How many point sets were drawn.
        theta: Parameters.
        state: State of the current phase's optimizer.
        points: Current collocation points.
        best_loss: Lowest loss since points, weights or part last changed.
        best_theta: Parameters at `best_loss`.
        history: One list per recorded quantity.
        snapshot_steps: Steps, over all phases, at which parameters were kept.
        snapshot_thetas: The parameters there.
        seconds: Wall time of the steps.
        waited: Wall time of all calls so far, compilation and set-up included.
        rejected: Rejected steps in a row.
        ended: Whether the current phase ended before its last step.
        factors: Factors of the current phase's weighting, by term.
        machines: Those that have done the steps so far, in words, the first one first.
        lengthened: Whether the current phase was over and has got more steps since.
    """

    phase: int
    step: int
    done: list[int]
    draws: int
    theta: Theta
    state: Any
    points: dict[str, np.ndarray]
    best_loss: float
    best_theta: Theta
    history: dict[str, list[float]]
    snapshot_steps: list[int]
    snapshot_thetas: list[np.ndarray]
    seconds: float = 0.0
    waited: float = 0.0
    rejected: int = 0
    ended: bool = False
    factors: dict[str, np.ndarray] = field(default_factory=dict)
    machines: list[str] = field(default_factory=list)
    lengthened: bool = False

    @property
    def total(self) -> int:
        """Steps done in all phases."""
        return sum(self.done)


NUMBERS = (
    "phase",
    "step",
    "done",
    "draws",
    "best_loss",
    "seconds",
    "waited",
    "rejected",
    "ended",
)
"""Attributes of a run that the file keeps as JSON; the others are arrays."""


def written(workdir: Path) -> tuple[int, int] | None:
    """What tells one file of a run from another that took its place; None where there is none."""
    try:
        found = (workdir / WORK_FILE).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def check_workdir(workdir: Path) -> None:
    """Raise where the file of the run would take the place of another one of that name.

    Raises:
        RecipeError: The folder has such a file, and no training wrote it.
    """
    path = workdir / WORK_FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            own = "about" in file.files
    except Exception:
        # There is none, or one that was cut short, of which `read_run` says what to do.
        return
    if not own:
        raise RecipeError(
            f"the folder {str(workdir)!r} was given, whose file {WORK_FILE!r} is no run of "
            "pinnzoo and would be replaced: give another folder."
        )


def save_run(run: Run, recipe: Recipe, workdir: Path) -> None:
    """Write a run so that it can go on after a kill; the file is replaced in one move.

    Raises:
        TrainingError: The folder cannot be written.
    """
    arrays: dict[str, np.ndarray] = {
        "theta": np.asarray(run.theta),
        "best_theta": np.asarray(run.best_theta),
        "snapshot_steps": np.asarray(run.snapshot_steps),
        "snapshot_thetas": np.stack(run.snapshot_thetas),
    }
    arrays |= {f"points/{name}": value for name, value in run.points.items()}
    arrays |= {f"factors/{name}": value for name, value in run.factors.items()}
    arrays |= {f"history/{name}": np.asarray(value) for name, value in run.history.items()}
    leaves = jax.tree.leaves(run.state)
    arrays |= {f"state/{i}": _plain(leaf) for i, leaf in enumerate(leaves)}
    about = {name: getattr(run, name) for name in NUMBERS}
    about |= {"recipe": recipe.to_dict(), "leaves": len(leaves), "machines": run.machines}
    about["leaf_names"] = _leaf_names(run.state)
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    try:
        write_file(workdir / WORK_FILE, buffer.getvalue())
    except OSError as error:
        raise TrainingError(
            f"the run cannot be kept in {str(workdir)!r} ({error.strerror}): give a folder that "
            "can be written."
        ) from error


@dataclass(frozen=True)
class SavedRun:
    """What the file holds, before the optimizer has given its state a structure.

    Attributes:
        run: The run, with the leaves of the optimizer's state as a list, or None before its phase
            began.
        leaf_names: Where in the state each leaf is; None in files of older versions.
    """

    run: Run
    leaf_names: list[str] | None = None

    def restored(self, fresh: Any) -> Run:
        """The run with the state in the structure of a fresh one.

        Raises:
            RecipeError: It is the state of another optimizer.
        """
        if self.run.state is None:
            return self.run
        leaves, structure = jax.tree.flatten(fresh)
        plain = list(map(_plain, leaves))
        kinds = [[(np.shape(a), a.dtype) for a in arrays] for arrays in (plain, self.run.state)]
        renamed = self.leaf_names is not None and self.leaf_names != _leaf_names(fresh)
        if renamed or kinds[0] != kinds[1]:
            raise RecipeError(
                "the folder holds a run whose optimizer keeps another state than the one that was "
                "given under its name: give the same optimizer, another folder, or resume=False "
                "to begin anew."
            )
        state = list(map(_as_before, leaves, self.run.state))
        return dataclasses.replace(self.run, state=jax.tree.unflatten(structure, state))


def _leaf_names(state: Any) -> list[str]:
    return [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> np.ndarray:
    """A leaf as NumPy's files hold it: bits of random keys, and of floats that it does not know."""
    array = np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array


def _as_before(old: Any, new: np.ndarray) -> Any:
    """What `_plain` made of a leaf like `old`, as that is."""
    if _is_key(old):
        return jax.random.wrap_key_data(jnp.asarray(new), impl=jax.random.key_impl(old))
    if not isinstance(old, jax.Array):
        return new
    return jnp.asarray(new.view(old.dtype) if np.dtype(old.dtype).kind == "V" else new)


def read_run(recipe: Recipe, workdir: Path) -> SavedRun | None:
    """The run that was saved in `workdir`, or None where there is none.

    Raises:
        RecipeError: The folder holds a run that is not the beginning of this recipe.
        EntryError: The operating system does not let it be read.
        FormatVersionError: It was written by a newer version.
        IntegrityError: The file is damaged.
    """
    path = workdir / WORK_FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays["about"].tobytes())
        before = Recipe.from_dict(about["recipe"])
    except (FormatVersionError, MemoryError):
        raise
    except OSError as error:
        raise EntryError(
            f"the run in {str(path)!r} cannot be read ({error.strerror or error}): get the "
            "permission to read it, or give another folder."
        ) from error
    except Exception as error:
        raise IntegrityError(
            f"the run in {str(path)!r} cannot be read ({type(error).__name__}): delete the file to "
            "begin anew."
        ) from error
    if not begins(before, recipe, about["phase"]):
        raise RecipeError(
            f"the folder {str(workdir)!r} holds a run of another recipe than {recipe.name}, or one "
            "with more steps: give another folder, or resume=False (--no-resume) to begin anew."
        )

    def group(prefix: str) -> dict[str, np.ndarray]:
        start = len(prefix)
        return {key[start:]: value for key, value in arrays.items() if key.startswith(prefix)}

    numbers: dict[str, Any] = {name: about[name] for name in NUMBERS}
    # A phase that ended early is taken up again where more steps are asked for.
    planned = before.phases[about["phase"]].steps
    longer = recipe.phases[about["phase"]].steps > planned
    over = numbers["ended"] or numbers["step"] >= planned
    numbers["ended"] = numbers["ended"] and not longer
    run = Run(
        **numbers,
        theta=jnp.asarray(arrays["theta"]),
        state=[arrays[f"state/{i}"] for i in range(about["leaves"])] or None,
        points=group("points/"),
        best_theta=jnp.asarray(arrays["best_theta"]),
        history={name: value.tolist() for name, value in group("history/").items()},
        snapshot_steps=arrays["snapshot_steps"].tolist(),
        snapshot_thetas=list(arrays["snapshot_thetas"]),
        factors=group("factors/"),
        machines=about.get("machines", []),
        lengthened=longer and over,
    )
    run.done += [0] * (len(recipe.phases) - len(run.done))
    return SavedRun(run, about.get("leaf_names"))


def begins(before: Recipe, recipe: Recipe, phase: int) -> bool:
    """Whether a run of one recipe, now in a phase, is the beginning of a run of another.

    It is where both agree but for steps that are added to that phase, and for phases after it.
    """
    if before.phases[:phase] != recipe.phases[:phase] or len(recipe.phases) <= phase:
        return False
    old, new = before.phases[phase], recipe.phases[phase]
    return (
        new.steps >= old.steps
        and dataclasses.replace(old, steps=new.steps) == new
        and dataclasses.replace(before, phases=recipe.phases) == recipe
    )
