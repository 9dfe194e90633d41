"""What `analyze` and `evaluate` show, as plain data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pinnzoo.entry import Entry

TOLERANCES = {"float64": 1e-6, "float32": 1e-3}
"""Relative difference between two computations of one error figure on two machines."""

ROUNDING = 1e-13
"""Error figures below this are rounding, which no two machines do alike."""

COMPARED = ("relative_l2_error", "max_error")


def evaluation(entry: "Entry") -> dict[str, Any]:
    """Error figures computed anew beside the stored ones."""
    from pinnzoo.evaluation import evaluate

    computed = evaluate(entry)
    stored = {key: entry.metrics[key] for key in (*COMPARED, "reference_error")}
    tolerance = TOLERANCES[entry.metrics["dtype"]]
    return {
        "name": entry.name,
        "computed": {key: computed[key] for key in stored},
        "stored": stored,
        "tolerance": tolerance,
        "matches": all(
            bool(np.isclose(computed[key], stored[key], rtol=tolerance, atol=ROUNDING))
            for key in COMPARED
        ),
    }


def analysis(entry: "Entry") -> dict[str, Any]:
    """Kernel figures at every snapshot, and the entry's metrics."""
    from pinnzoo.cards import problem_title

    ntk = entry.ntk
    errors = _errors_by_step(entry)
    columns = zip(
        np.asarray(ntk.steps).tolist(),
        ntk.drift("spectral"),
        ntk.drift("frobenius"),
        ntk.effective_rank(),
        ntk.eigenvalues(),
        strict=True,
    )
    return {
        "name": entry.name,
        "problem_title": problem_title(entry.recipe),
        "points": {name: len(points) for name, points in ntk.terms.items()},
        "snapshots": [
            {
                "step": step,
                "drift_spectral": float(spectral),
                "drift_frobenius": float(frobenius),
                "effective_rank": float(rank),
                "eigenvalues": np.asarray(spectrum)[:3].tolist(),
                "relative_l2_error": errors.get(step),
            }
            for step, spectral, frobenius, rank, spectrum in columns
        ],
        "metrics": entry.metrics,
        "plots": [],
    }


def comparison(entries: "Sequence[Entry]") -> dict[str, Any]:
    """What training did to kernel and Hessian, entry by entry."""
    return {
        "entries": [
            {
                "name": entry.name,
                "steps": int(entry.metrics["steps"]),
                "relative_l2_error": entry.metrics.get("relative_l2_error"),
                "drift_spectral": float(entry.ntk.drift()[-1]),
                "effective_rank": [float(rank) for rank in entry.ntk.effective_rank()[[0, -1]]],
                "residual_hessian": [
                    float(entry.metrics["residual_hessian"][when]["mean"])
                    for when in ("initial", "final")
                ],
            }
            for entry in entries
        ],
        "plots": [],
    }


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
