"""The built-in diagnostics: the blocks "ntk", "residual_hessian" and "loss_hessian"."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from pinnzoo.diagnostics._inputs import Vector
from pinnzoo.diagnostics._programs import Tick, silent
from pinnzoo.diagnostics.hessian import (
    HessianSpectrum,
    ResidualHessians,
    begin_loss_hessian,
    begin_residual_hessian,
    loss_hessian_spectrum,
    residual_hessian_norms,
)
from pinnzoo.diagnostics.ntk import WHOLE, NTKSnapshots, begin_snapshots, lacks_beginning
from pinnzoo.diagnostics.registry import Diagnostic, Study, flatten_block, register_diagnostic
from pinnzoo.diagnostics.spectrum import NORMS
from pinnzoo.objective import Objective

TOP = 10
"""Eigenvalues that are listed."""

DENSE_LIMIT = 300
"""Up to this many parameters Hessians are formed; beyond, products are many times faster."""

TOLERANCE = 1e-6
"""Residual of a Ritz pair of the loss Hessian; eigenvalues are good to about its square."""

STEPS = 150
"""Products that Lanczos may take for both ends of the loss Hessian."""


def report(
    objective: Objective,
    theta_initial: Vector,
    theta_final: Vector,
    ntk: NTKSnapshots,
    hessian_points: Float[np.ndarray, "n d"],
    *,
    dense_limit: int = DENSE_LIMIT,
    tick: Tick = silent,
) -> dict[str, Any]:
    """The blocks "ntk", "residual_hessian" and "loss_hessian", as plain numbers.

    In terms of arXiv 2402.03864: drift ΔK of figure 1b, norm of figure 1a and spectrum of K
    (lemma 3.2) at the first and last snapshot; ‖H_r(x)‖ and sparsity of figure 2a (proposition
    3.7). The loss Hessian `∇²L`, `L = ½ |r|²`, is that of the objective given, with its weights.
    `compute_blocks` gives the same, with versions and with the diagnostics of users.

    Args:
        objective: What was trained on, in float64.
        theta_initial: Parameters at initialisation.
        theta_final: Parameters at the end.
        ntk: Snapshots whose first is at initialisation and whose last is at the end.
        hessian_points: Where to take the Hessian of the equation's residual.
        dense_limit: Largest number of parameters for which Hessians are formed; beyond, norms and
            ends come from Lanczos, the sparsity from 256 columns and of the trace of the loss
            Hessian the part that vanishes with the residual from Hutch++.
        tick: The sign of life.

    Raises:
        PointsError: The points have the wrong shape.
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.
    """
    ends = {"initial": theta_initial, "final": theta_final}
    return {
        "ntk": ntk_report(ntk),
        "residual_hessian": _residual_block(objective, ends, hessian_points, dense_limit, tick),
        "loss_hessian": _loss_block(objective, ends, dense_limit, tick),
    }


def _residual_block(
    objective: Objective,
    ends: dict[str, Vector],
    points: Float[np.ndarray, "n d"],
    dense_limit: int,
    tick: Tick,
) -> dict[str, Any]:
    found = {
        when: residual_hessian_norms(objective, theta, points, dense_limit=dense_limit, tick=tick)
        for when, theta in ends.items()
    }
    return {"points": len(points)} | {when: _magnitude(each) for when, each in found.items()}


def _loss_block(
    objective: Objective, ends: dict[str, Vector], dense_limit: int, tick: Tick
) -> dict[str, Any]:
    return {
        when: _ends(
            loss_hessian_spectrum(
                objective,
                theta,
                dense_limit=dense_limit,
                steps=STEPS,
                tolerance=TOLERANCE,
                tick=tick,
            )
        )
        for when, theta in ends.items()
    }


def ntk_report(ntk: NTKSnapshots) -> dict[str, Any]:
    """The block "ntk": drift of the last kernel, and both ends of the training.

    K is that of lemma 3.2 in arXiv 2402.03864, with unscaled rows; eigenvalues of `J Jᵀ`,
    descending. A drift from K(0) = 0 is None.
    """

    def drift(norm: str, name: str) -> float | None:
        last = float(ntk.drift(norm, name)[-1])
        return last if math.isfinite(last) else None

    return {
        "points": {name: len(points) for name, points in ntk.terms.items()},
        "drift": {
            name: {norm: drift(norm, name) for norm in NORMS} for name in (WHOLE, *ntk.terms)
        },
        "initial": _kernel(ntk, 0),
        "final": _kernel(ntk, -1),
    }


def _kernel(ntk: NTKSnapshots, index: int) -> dict[str, Any]:
    return {
        "norm": float(ntk.norms()[index]),
        "effective_rank": float(ntk.effective_rank()[index]),
        "eigenvalues": ntk.eigenvalues()[index, :TOP].tolist(),
    }


def _magnitude(hessians: ResidualHessians) -> dict[str, float]:
    return {"mean": hessians.mean, "max": hessians.max, "sparsity": hessians.sparsity}


def _ends(spectrum: HessianSpectrum) -> dict[str, float]:
    return {
        "largest": spectrum.largest,
        "smallest": spectrum.smallest,
        "trace": spectrum.trace,
        "smallest_error": spectrum.smallest_error,
        "trace_error": spectrum.trace_error,
    }


def _ends_of(study: Study) -> dict[str, Vector]:
    ends: dict[str, Vector] = {} if lacks_beginning(study.steps) else {"initial": study.initial}
    return ends | {"final": study.final}


def _with_beginning(block: dict[str, Any], study: Study) -> dict[str, Any]:
    """The block with None in the place of a beginning that is not on record."""
    return block | {"initial": None} if lacks_beginning(study.steps) else block


def _study_ntk(study: Study) -> dict[str, Any]:
    block = _with_beginning(ntk_report(study.ntk), study)
    if lacks_beginning(study.steps):
        block["drift"] = {name: dict.fromkeys(norms) for name, norms in block["drift"].items()}
    return block


def _study_residual_hessian(study: Study) -> dict[str, Any]:
    """‖H_r(x)‖ and sparsity at both ends; above `DENSE_LIMIT` parameters from 256 columns."""
    block = _residual_block(
        study.objective, _ends_of(study), study.hessian_points, DENSE_LIMIT, study.tick
    )
    return _with_beginning(block, study)


def _study_loss_hessian(study: Study) -> dict[str, Any]:
    """Ends and trace of `∇²L` at both ends of the training; see `loss_hessian_spectrum`."""
    block = _loss_block(study.objective, _ends_of(study), DENSE_LIMIT, study.tick)
    return _with_beginning(block, study)


def _begin_ntk(study: Study) -> None:
    begin_snapshots(study.unobserved, study.final, study.ntk_points, study.tick)


def _begin_residual_hessian(study: Study) -> None:
    begin_residual_hessian(
        study.objective, study.final, study.hessian_points, DENSE_LIMIT, study.tick
    )


def _begin_loss_hessian(study: Study) -> None:
    begin_loss_hessian(study.objective, study.final, DENSE_LIMIT, study.tick)


for _made in (
    Diagnostic("ntk", "Neural tangent kernel", 1, _study_ntk, flatten_block, _begin_ntk),
    Diagnostic(
        "residual_hessian",
        "Hessian of the residual",
        1,
        _study_residual_hessian,
        flatten_block,
        _begin_residual_hessian,
    ),
    Diagnostic(
        "loss_hessian",
        "Hessian of the loss",
        1,
        _study_loss_hessian,
        flatten_block,
        _begin_loss_hessian,
    ),
):
    register_diagnostic(_made)
