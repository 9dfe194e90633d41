"""What `analyze` and `evaluate` show, as plain data."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pinnzoo.errors import AbsentRecordsError
from pinnzoo.storage.metrics import known_block
from pinnzoo.storage.records import kernels_of

if TYPE_CHECKING:
    from pathlib import Path

    from pinnzoo.diagnostics.ntk import NTKSnapshots
    from pinnzoo.entry import Entry

TOLERANCES = {"float64": 1e-6, "float32": 1e-3}
"""Relative difference between two computations of one error figure on two machines."""

ROUNDING = 1e-13
"""Error figures below this are rounding, which no two machines do alike."""

OWN_COLUMNS = 6
"""Numbers of a diagnostic without a table of its own that a table shows."""

UNKNOWN = "–"
"""What tables have in the place of a number that is not known."""

COMPARED = ("relative_l2_error", "max_error")


def evaluation(entry: "Entry") -> dict[str, Any]:
    """Error figures computed anew beside the stored ones, if there are any.

    Raises:
        PinnzooError: The problem has no reference.
    """
    from pinnzoo.evaluation import evaluate

    computed = evaluate(entry)
    keys = (*COMPARED, "reference_error")
    stored = {key: entry.metrics[key] for key in keys if key in entry.metrics}
    tolerance = TOLERANCES[entry.metrics["dtype"]]
    agree = [
        bool(np.isclose(computed[key], stored[key], rtol=tolerance, atol=ROUNDING))
        for key in COMPARED
        if key in stored
    ]
    return {
        "name": entry.name,
        "computed": {key: computed[key] for key in keys},
        "stored": stored,
        "tolerance": tolerance,
        # An entry that was trained without a reference states no error to compare with.
        "matches": all(agree) if agree else None,
    }


def absence(entry: "Entry") -> str | None:
    """Why the kernels that an entry's figures tell of are not shown, or None where they are."""
    if known_block(entry.metrics, "ntk") is None:
        return None
    try:
        _ = entry.ntk
    except AbsentRecordsError as error:
        return str(error)
    return None


def analysis(entry: "Entry") -> dict[str, Any]:
    """Kernel figures at every snapshot, as far as kernels are on record, and the metrics."""
    from pinnzoo.cards import problem_title

    block = known_block(entry.metrics, "ntk")
    kernels = kernels_of(entry)
    return {
        "name": entry.name,
        "problem_title": problem_title(entry.recipe),
        "equations": len(entry.problem.equations),
        "points": {} if block is None else block["points"],
        "snapshots": [] if kernels is None else _snapshots(entry, kernels),
        "metrics": entry.metrics,
        "plots": [],
    }


def _snapshots(entry: "Entry", ntk: "NTKSnapshots") -> list[dict[str, Any]]:
    """The kernel at every step at which it was taken, and the error there."""
    errors = _errors_by_step(entry)
    columns = zip(
        np.asarray(ntk.steps).tolist(),
        _drifts(ntk, "spectral"),
        _drifts(ntk, "frobenius"),
        ntk.effective_rank(),
        ntk.eigenvalues(),
        strict=True,
    )
    return [
        {
            "step": step,
            "drift_spectral": spectral,
            "drift_frobenius": frobenius,
            "effective_rank": float(rank),
            "eigenvalues": np.asarray(spectrum)[:3].tolist(),
            "relative_l2_error": errors.get(step),
        }
        for step, spectral, frobenius, rank, spectrum in columns
    ]


def _mean(magnitude: "Mapping[str, Any] | None") -> float | None:
    """The mean of a Hessian's norm; None where that end of the training is not on record."""
    return None if magnitude is None else float(magnitude["mean"])


def _drifts(ntk: "NTKSnapshots", norm: str) -> list[float | None]:
    """The drift at every step; None where the kernel of the beginning is not on record."""
    from pinnzoo.diagnostics.ntk import lacks_beginning

    if lacks_beginning(ntk.steps):
        return [None] * len(ntk.steps)
    return [float(drift) for drift in ntk.drift(norm)]


def _ranks_of_ends(ntk: "NTKSnapshots") -> list[float | None]:
    """The effective rank at both ends; None for a beginning that is not on record."""
    from pinnzoo.diagnostics.ntk import lacks_beginning

    first, last = (float(rank) for rank in ntk.effective_rank()[[0, -1]])
    return [None if lacks_beginning(ntk.steps) else first, last]


def comparison(entries: "Sequence[Entry]") -> dict[str, Any]:
    """What training did to kernel and Hessian, entry by entry; None where it is not on record."""
    from pinnzoo.cards.words import distinct_names

    labels = distinct_names(
        [e.name for e in entries], [getattr(e, "folder", None) for e in entries]
    )
    rows = [
        _compared(entry) | {"label": label} for entry, label in zip(entries, labels, strict=True)
    ]
    return {"entries": rows, "plots": []}


def _compared(entry: "Entry") -> dict[str, Any]:
    ntk = kernels_of(entry)
    hessian = known_block(entry.metrics, "residual_hessian")
    ends = ("initial", "final")
    return {
        "name": entry.name,
        "steps": int(entry.metrics["steps"]),
        "relative_l2_error": entry.metrics.get("relative_l2_error"),
        "loss": float(entry.metrics["loss"]),
        "drift_spectral": None if ntk is None else _drifts(ntk, "spectral")[-1],
        "effective_rank": None if ntk is None else _ranks_of_ends(ntk),
        "equations": len(entry.problem.equations),
        "residual_hessian": None if hessian is None else [_mean(hessian[end]) for end in ends],
        "residual_hessian_points": None if hessian is None else int(hessian["points"]),
    }


def in_depth(
    entry: "Entry", names: "Sequence[str]", folder: "Path | None", *, keep: bool
) -> dict[str, Any]:
    """Analyses of one entry, and their pictures in a folder if one is given.

    Args:
        entry: The entry.
        names: Names of `pinnzoo.analysis.ANALYSES`, or of registered diagnostics.
        folder: Where to write pictures, or None.
        keep: Whether to keep what was compiled: each entry has programs of its own, and hundreds
            of them fill the memory maps that a process may have.
    """
    import jax

    from pinnzoo.analysis.bench import examine
    from pinnzoo.analysis.figures import save_figures

    blocks, written = {}, []
    for name, found in examine(entry, names):
        blocks[name] = found.block
        if folder is not None:
            written += save_figures({name: found}, entry.problem.coords, folder)
    if not keep:
        jax.clear_caches()
    return {"name": entry.name, "analyses": blocks, "plots": written}


def side_by_side(rows: "Sequence[dict[str, Any]]", names: "Sequence[str]") -> dict[str, Any]:
    """What `in_depth` made of several entries, with the columns of a table for each analysis."""
    from pinnzoo.analysis.bench import WITHOUT, find_analysis, number

    told = []
    for name in names:
        analysis = find_analysis(name)
        blocks = [row["analyses"][name] for row in rows]
        columns = [
            {
                "heading": heading if isinstance(heading, str) else heading(blocks),
                "values": [number(block, way) for block in blocks],
                "without": [
                    UNKNOWN
                    if number(block, way, UNKNOWN) == UNKNOWN
                    else WITHOUT.get((name, *way), UNKNOWN)
                    for block in blocks
                ],
            }
            for heading, way in analysis.columns or _own_columns(blocks)
        ]
        told.append({"name": name, "title": analysis.title, "columns": columns})
    return {"entries": list(rows), "analyses": told}


def _own_columns(blocks: "Sequence[dict[str, Any]]") -> list[tuple[str, tuple[str, ...]]]:
    """Headings of the first numbers of a diagnostic that has no table of its own, and their way."""
    ways: dict[tuple[str, ...], None] = {}

    def walk(block: Any, way: tuple[str, ...]) -> None:
        if isinstance(block, dict):
            for key, value in block.items():
                walk(value, (*way, key))
        elif isinstance(block, int | float) and way != ("version",):
            ways[way] = None

    for block in blocks:
        walk(block, ())
    return [("\n".join(way).replace("_", " "), way) for way in list(ways)[:OWN_COLUMNS]]


def _errors_by_step(entry: "Entry") -> dict[int, float]:
    """Relative L2 error at the steps where it is on record; the stated one at the end."""
    steps = np.asarray(entry.history["step"]).astype(int)
    errors = np.asarray(entry.history["relative_l2_error"], dtype=float)
    known = {
        int(step): float(error)
        for step, error in zip(steps, errors, strict=True)
        if np.isfinite(error)
    }
    stated = entry.metrics.get("relative_l2_error")
    return known if stated is None else known | {int(entry.metrics["steps"]): float(stated)}
