"""The heavy parts of an entry: history, kernels and snapshots of parameters."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from pinnzoo._frozen import all_read_only, read_only
from pinnzoo.errors import AbsentRecordsError, IntegrityError, require
from pinnzoo.pdes import Problem
from pinnzoo.storage.metrics import Metrics, known_block

if TYPE_CHECKING:
    from pinnzoo.diagnostics.ntk import NTKSnapshots
    from pinnzoo.observations import Observations

COLUMNS = (
    "step",
    "phase",
    "loss",
    "relative_l2_error",
    "grad_norm",
    "step_norm",
    "accepted",
    "damping",
    "gain_ratio",
    "seconds",
)
"""Columns of the history that a training writes. Losses are those of the training points at that
moment; errors are on every fourth line of the evaluation grid, NaN without a reference solution."""

HISTORY = tuple(name for name in COLUMNS if name != "phase")
"""Columns that every history has; one of an own loop may have no phases, and there may be more."""


@dataclass(frozen=True, eq=False)
class Snapshots:
    """Parameters at several steps of a training, from initialisation to the published network.

    Attributes:
        steps: Steps over all phases, rising.
        thetas: Flat parameters there, in the order of `objective.flatten_model`.
    """

    steps: Int[np.ndarray, " s"]
    thetas: Float[np.ndarray, "s p"]

    def __post_init__(self) -> None:
        steps, thetas = np.asarray(self.steps), np.asarray(self.thetas)
        whole = steps.ndim == 1 and steps.size > 0 and steps.dtype.kind in "iu"
        if not whole or (np.diff(steps.astype(np.int64)) <= 0).any() or steps[0] < 0:
            raise IntegrityError(
                "snapshots were given whose steps are not rising whole numbers, one at least."
            )
        if thetas.ndim != 2 or len(thetas) != len(steps) or thetas.dtype.kind != "f":
            raise IntegrityError(
                f"snapshots at {len(steps)} steps were given with parameters of type "
                f"{thetas.dtype} and shape {thetas.shape}: give real numbers of shape (s, p)."
            )
        if not np.isfinite(thetas).all():
            raise IntegrityError("snapshots with parameters that are not finite were given.")
        object.__setattr__(self, "steps", read_only(steps.astype(np.int64)))
        object.__setattr__(self, "thetas", read_only(thetas.astype(np.float64)))

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        return f"Snapshots(steps={self.steps.tolist()}, parameters={self.thetas.shape[1]})"


def check_history(history: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A history as a dict of arrays of one length.

    Raises:
        IntegrityError: A column is missing, or is not one real number per record.
    """
    require(
        history,
        Mapping,
        "the history",
        "give a dict of columns, such as {'step': [0, 10], 'loss': [1.0, 0.1]}",
        IntegrityError,
    )
    missing = [name for name in HISTORY if name not in history]
    if missing:
        raise IntegrityError(f"a history without the columns {', '.join(missing)} was given.")
    try:
        columns = {name: np.asarray(values) for name, values in history.items()}
    except ValueError:
        raise IntegrityError(
            "a history with lists of different lengths in a column was given: every column holds "
            "one real number per record."
        ) from None
    length = columns["step"].size
    for name, values in columns.items():
        if values.shape != (length,) or values.dtype.kind not in "iuf" or length == 0:
            raise IntegrityError(
                f"a history with the column {name!r} of type {values.dtype} and shape "
                f"{values.shape} was given: every column holds {max(length, 1)} real numbers."
            )
    if not (np.diff(columns["step"]) >= 0).all():
        raise IntegrityError("a history whose column 'step' does not rise was given.")
    return columns


def check_ntk(ntk: "NTKSnapshots | None", problem: Problem, metrics: Metrics) -> None:
    """Raise unless the kernels are of this problem and of the points that the metrics state.

    Raises:
        IntegrityError: They are not.
    """
    block = known_block(metrics, "ntk")
    if block is None and "ntk" in metrics:
        return  # Of a version that is not known here, so that nobody can tell what it states.
    stated = None if block is None else block["points"]
    if ntk is None:
        if stated is not None:
            raise IntegrityError(
                "metrics of a neural tangent kernel were given without the kernels: give both."
            )
        return
    counts = {name: len(points) for name, points in ntk.terms.items()}
    terms = set(problem.terms)
    if counts != stated or set(counts) != terms or ntk.points.shape[1] != problem.d:
        raise IntegrityError(
            f"NTK snapshots on points {counts} with {ntk.points.shape[1]} coordinates were given: "
            f"{problem.name} has the terms {sorted(terms)} and {problem.d} coordinates, and the "
            f"metrics state {stated}."
        )


class Records:
    """The heavy parts of an entry, each of them made when it is first touched."""

    def __init__(
        self,
        history: Callable[[], dict[str, np.ndarray]],
        ntk: Callable[[], "NTKSnapshots | None"],
        snapshots: Callable[[], Snapshots],
        observations: "Callable[[], Observations | None]" = lambda: None,
    ):
        """Keep the functions that read the parts."""
        self._history, self._ntk, self._snapshots = history, ntk, snapshots
        self._observations = observations

    @functools.cached_property
    def history(self) -> dict[str, np.ndarray]:
        """See `Entry.history`."""
        return all_read_only(self._history())

    @functools.cached_property
    def ntk(self) -> "NTKSnapshots | None":
        """See `Entry.ntk`."""
        return self._ntk()

    @functools.cached_property
    def snapshots(self) -> Snapshots:
        """See `Entry.snapshots`."""
        return self._snapshots()

    @functools.cached_property
    def observations(self) -> "Observations | None":
        """See `Entry.observations`."""
        return self._observations()


def kernels_of(entry: Any) -> "NTKSnapshots | None":
    """The kernels of an entry, or of what is drawn of one.

    Returns:
        None where there are none on record, or where this installation has the entry without them.
    """
    if known_block(entry.metrics, "ntk") is None:
        return None
    try:
        return entry.ntk
    except AbsentRecordsError:
        return None


def check_snapshots(snapshots: Snapshots, theta: Float[np.ndarray, " p"]) -> None:
    """Raise unless the last snapshot is the network itself.

    Raises:
        IntegrityError: It is another one.
    """
    last = snapshots.thetas[-1]
    if last.shape != theta.shape or not np.array_equal(last, theta):
        raise IntegrityError(
            "snapshots were given whose last parameters are not those of the network: the last "
            "snapshot is the network that is published."
        )


def check_records(
    records: Records, problem: Problem, metrics: Metrics, theta: Float[np.ndarray, " p"]
) -> None:
    """Raise unless history, kernels and snapshots are complete and belong to this network.

    Raises:
        IntegrityError: They do not.
        PointsError: The observations are not of this problem.
    """
    check_history(records.history)
    check_ntk(records.ntk, problem, metrics)
    check_snapshots(records.snapshots, theta)
    if records.observations is not None:
        records.observations.check(problem)
