"""The diagnostic part of an entry's `metrics.json`."""

from typing import Any

import numpy as np
from jaxtyping import Float

from pinnzoo.diagnostics._inputs import Vector
from pinnzoo.diagnostics.hessian import (
    DENSE_LIMIT,
    HessianSpectrum,
    ResidualHessians,
    loss_hessian_spectrum,
    residual_hessian_norms,
)
from pinnzoo.diagnostics.ntk import WHOLE, NTKSnapshots
from pinnzoo.diagnostics.spectrum import NORMS
from pinnzoo.objective import Objective

TOP = 10
"""Eigenvalues that are listed."""


def report(
    objective: Objective,
    theta_initial: Vector,
    theta_final: Vector,
    ntk: NTKSnapshots,
    hessian_points: Float[np.ndarray, "n d"],
    *,
    dense_limit: int = DENSE_LIMIT,
) -> dict[str, Any]:
    """The blocks "ntk", "residual_hessian" and "loss_hessian" of `metrics.json`, as plain numbers.

    In terms of arXiv 2402.03864: drift ΔK of figure 1b, norm of figure 1a and spectrum of K
    (lemma 3.2) at the first and last snapshot; ‖H_r(x)‖ and sparsity of figure 2a (proposition
    3.7). The loss Hessian `∇²L`, `L = ½ |r|²`, is that of the objective given, with its weights.

    Args:
        objective: What was trained on, in float64.
        theta_initial: Parameters at initialisation.
        theta_final: Parameters at the end.
        ntk: Snapshots whose first is at initialisation and whose last is at the end.
        hessian_points: Where to take the Hessian of the equation's residual.
        dense_limit: Largest number of parameters for which the loss Hessian is formed; see
            `loss_hessian_spectrum`.

    Raises:
        PointsError: The points have the wrong shape.
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.
    """
    ends = {"initial": theta_initial, "final": theta_final}
    return {
        "ntk": ntk_report(ntk),
        "residual_hessian": {"points": len(hessian_points)}
        | {
            when: _magnitude(residual_hessian_norms(objective, theta, hessian_points))
            for when, theta in ends.items()
        },
        "loss_hessian": {
            when: _ends(loss_hessian_spectrum(objective, theta, dense_limit=dense_limit))
            for when, theta in ends.items()
        },
    }


def ntk_report(ntk: NTKSnapshots) -> dict[str, Any]:
    """The block "ntk": drift of the last kernel, and both ends of the training.

    K is that of lemma 3.2 in arXiv 2402.03864, with unscaled rows; eigenvalues of `J Jᵀ`,
    descending.
    """
    return {
        "points": {name: len(points) for name, points in ntk.terms.items()},
        "drift": {
            name: {norm: float(ntk.drift(norm, name)[-1]) for norm in NORMS}
            for name in (WHOLE, *ntk.terms)
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
    }
