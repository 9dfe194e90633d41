"""The figures in an entry's `metrics.json`, each with its definition. Imports no JAX."""

import json
from typing import Any, TypedDict

from pinnzoo import _json
from pinnzoo.errors import FormatVersionError, IntegrityError

METRICS_FORMAT = 1


class Drift(TypedDict):
    """How far a kernel K has moved during training, ‖K(T) - K(0)‖ / ‖K(0)‖.

    Figure 1b of Bonfanti, Bruno and Cipriani (arXiv 2402.03864).

    Attributes:
        spectral: In the spectral norm, which is the paper's.
        frobenius: In the Frobenius norm.
    """

    spectral: float
    frobenius: float


class Kernel(TypedDict):
    """The NTK at one moment.

    Attributes:
        norm: Its spectral norm, which is its largest eigenvalue.
        effective_rank: Exponential of the entropy of its eigenvalues divided by their sum (Roy and
            Vetterli 2007): between 1 and the number of rows.
        eigenvalues: The ten largest eigenvalues of J Jᵀ, not divided by the number of points.
    """

    norm: float
    effective_rank: float
    eigenvalues: list[float]


class NTKMetrics(TypedDict):
    """The neural tangent kernel K = J Jᵀ on a fixed set of points that is stored in `ntk.npz`.

    Rows are residuals without loss weights and without 1/√n, of the equation and all conditions.

    Attributes:
        points: Number of points per term.
        drift: Drift of the whole kernel ("all") and of the diagonal block of each term.
        initial: The kernel at initialisation.
        final: The kernel at the end.
    """

    points: dict[str, int]
    drift: dict[str, Drift]
    initial: Kernel
    final: Kernel


class HessianMagnitude(TypedDict):
    """Hessians H_r(x) of the equation's residual with respect to the parameters, point by point.

    Figure 2a and proposition 3.7 of arXiv 2402.03864; the residual is not weighted.

    Attributes:
        mean: Mean over the points of the spectral norm ‖H_r(x)‖.
        max: Largest spectral norm over the points.
        sparsity: Share of entries that are negligible beside the largest one; see
            `pinnzoo.diagnostics.residual_hessian_norms`.
    """

    mean: float
    max: float
    sparsity: float


class ResidualHessianMetrics(TypedDict):
    """`HessianMagnitude` at both ends of the training.

    Attributes:
        points: Number of points in the domain.
        initial: At initialisation.
        final: At the end.
    """

    points: int
    initial: HessianMagnitude
    final: HessianMagnitude


class LossHessian(TypedDict):
    """The Hessian of the weighted loss ½ |r(θ)|² with respect to all parameters.

    Attributes:
        largest: Largest eigenvalue.
        smallest: Smallest eigenvalue, usually below zero.
        trace: Sum of the eigenvalues.
    """

    largest: float
    smallest: float
    trace: float


class LossHessianMetrics(TypedDict):
    """`LossHessian` at both ends of the training.

    Attributes:
        initial: At initialisation.
        final: At the end.
    """

    initial: LossHessian
    final: LossHessian


class Metrics(TypedDict):
    """Everything that is stated about an entry.

    Attributes:
        format: Version of this schema.
        relative_l2_error: ‖u - û‖₂ / ‖û‖₂ of the network u and the reference û, both norms over the
            domain by the trapezoidal rule on the evaluation grid, all components. The headline.
        max_error: Largest |u - û| on that grid.
        reference_error: Certified relative L2 error of the reference itself on that grid.
        reference_method: How the reference is computed.
        evaluation_shape: Shape of the uniform evaluation grid.
        loss: ½ |r(θ)|² on the last training points, weighted.
        steps: Steps of all phases.
        parameters: Number of trained parameters.
        dtype: Precision of the parameters.
        wall_time_seconds: Time of the training without diagnostics.
        hardware: Processor and number of cores.
        platform: "cpu", "gpu" or "tpu".
        ntk: The neural tangent kernel and its drift.
        residual_hessian: Hessian magnitude of the residual.
        loss_hessian: Extreme eigenvalues and trace of the loss's Hessian.
    """

    format: int
    relative_l2_error: float
    max_error: float
    reference_error: float
    reference_method: str
    evaluation_shape: list[int]
    loss: float
    steps: int
    parameters: int
    dtype: str
    wall_time_seconds: float
    hardware: str
    platform: str
    ntk: NTKMetrics
    residual_hessian: ResidualHessianMetrics
    loss_hessian: LossHessianMetrics


_NOT_NEGATIVE = (
    "relative_l2_error",
    "max_error",
    "reference_error",
    "loss",
    "steps",
    "parameters",
    "wall_time_seconds",
)


def validate(data: Any) -> Metrics:
    """A copy of `data` in plain Python types, if it is complete and every figure is possible.

    Raises:
        FormatVersionError: Written in another format.
        IntegrityError: A figure is missing, unknown, of the wrong type, not finite or impossible.
    """
    version = data.get("format") if isinstance(data, dict) else None
    if isinstance(version, int) and version != METRICS_FORMAT:
        raise FormatVersionError(
            f"metrics of format {version!r} were given: this version of pinnzoo reads format "
            f"{METRICS_FORMAT}, so use the version that wrote them."
        )
    try:
        metrics: Metrics = _json.conform(data, Metrics)
    except ValueError as error:
        raise IntegrityError(f"metrics that are not complete were given: {error}.") from error
    for name in _NOT_NEGATIVE:
        if metrics[name] < 0:
            raise IntegrityError(f"metrics with {name}={metrics[name]} were given: it is negative.")
    if {"all", *metrics["ntk"]["points"]} != set(metrics["ntk"]["drift"]):
        raise IntegrityError(
            f"metrics with the NTK's points of {sorted(metrics['ntk']['points'])} and its drift of "
            f"{sorted(metrics['ntk']['drift'])} were given: give the drift of 'all' and each term."
        )
    return metrics


def to_json(metrics: Metrics) -> str:
    """Indented JSON."""
    return json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str | bytes) -> Metrics:
    """Metrics from JSON text.

    Raises:
        FormatVersionError: Written in another format.
        IntegrityError: Not JSON, or not complete; see `validate`.
    """
    try:
        data = _json.parse(text)
    except ValueError as error:
        raise IntegrityError(f"metrics that are not JSON were given: {error}.") from error
    return validate(data)
