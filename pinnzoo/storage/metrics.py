"""The figures in an entry's `metrics.json`, each with its definition. Imports no JAX.

The file is one JSON object. A few figures are required (`Core`), a few are stated where they are
known (`ErrorFigures`, `Estimates`), and every other key names a block: an object with the figures
of one diagnostic and the integer "version" of that diagnostic. Blocks are optional. One that this
version of pinnzoo does not know, by name or by version, is kept as it is, so that a new diagnostic
neither invalidates old entries nor loses its figures in old programs.
"""

import json
from collections.abc import Collection, Mapping
from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from pinnzoo import _json
from pinnzoo.errors import FormatVersionError, IntegrityError

METRICS_FORMAT = 2

Metrics = dict[str, Any]
"""What `validate` gives: a plain dict of `Core`, `ErrorFigures`, `Estimates` and blocks."""

NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]


class Core(TypedDict):
    """What is stated about every entry.

    Attributes:
        format: Version of this schema.
        loss: ½ |r(θ)|² on the last training points, weighted.
        steps: Steps of all phases.
        parameters: Number of trained parameters.
        dtype: Precision of the parameters.
        training_seconds: Time of the training itself, without the diagnostics after it.
        hardware: Processor and number of cores; of several machines, one after the other, where a
            training went on elsewhere.
        platform: "cpu", "gpu" or "tpu", of the last of them.
    """

    format: int
    loss: NotNegative
    steps: Count
    parameters: Count
    dtype: str
    training_seconds: NotNegative
    hardware: str
    platform: str


class ErrorFigures(TypedDict):
    """The error against a reference solution: all of these, or none where there is no reference.

    Attributes:
        relative_l2_error: ‖u - û‖₂ / ‖û‖₂ of the network u and the reference û, both norms over the
            domain by the trapezoidal rule on the evaluation grid, all components. The headline.
        max_error: Largest |u - û| on that grid.
        reference_error: Certified relative L2 error of the reference itself on that grid.
        reference_method: How the reference is computed.
        evaluation_shape: Shape of the uniform evaluation grid.
    """

    relative_l2_error: NotNegative
    max_error: NotNegative
    reference_error: NotNegative
    reference_method: str
    evaluation_shape: list[Count]


class Estimates(TypedDict):
    """What is stated where it is known.

    Attributes:
        estimated_error: Estimate of the relative L2 error that needs no reference.
        wall_time_seconds: All the time that the user waited: training, compilation and
            diagnostics. Entries of format 1 do not state it.
    """

    estimated_error: NotRequired[NotNegative]
    wall_time_seconds: NotRequired[NotNegative]


class Drift(TypedDict):
    """How far a kernel K has moved during training, ‖K(T) - K(0)‖ / ‖K(0)‖.

    Figure 1b of Bonfanti, Bruno and Cipriani (arXiv 2402.03864).

    Attributes:
        spectral: In the spectral norm, which is the paper's; null where K(0) is zero, so that
            nothing is relative to it, or not known.
        frobenius: In the Frobenius norm.
    """

    spectral: NotNegative | None
    frobenius: NotNegative | None


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
        version: Version of this block, 1.
        points: Number of points per term.
        drift: Drift of the whole kernel ("all") and of the diagonal block of each term.
        initial: The kernel at initialisation; null where no parameters of the beginning are kept.
        final: The kernel at the end.
    """

    version: int
    points: dict[str, Count]
    drift: dict[str, Drift]
    initial: Kernel | None
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
        version: Version of this block, 1.
        points: Number of points in the domain.
        initial: At initialisation; null where no parameters of the beginning are kept.
        final: At the end.
    """

    version: int
    points: Count
    initial: HessianMagnitude | None
    final: HessianMagnitude


class LossHessian(TypedDict):
    """The Hessian of the weighted loss ½ |r(θ)|² with respect to all parameters.

    Attributes:
        largest: Largest eigenvalue.
        smallest: Smallest eigenvalue, usually below zero. Where it was found by products, it is a
            Ritz value, and the smallest eigenvalue is at most that.
        trace: Sum of the eigenvalues.
        smallest_error: Residual of the Ritz pair: so far off an eigenvalue is at most. Entries of
            older versions do not state it; there it is up to 1e-6 of the largest eigenvalue, or
            more where 150 products were not enough.
        trace_error: Standard error of the trace, a part of which is a random estimate. Entries of
            older versions do not state it.
    """

    largest: float
    smallest: float
    trace: float
    smallest_error: NotRequired[NotNegative]
    trace_error: NotRequired[NotNegative]


class LossHessianMetrics(TypedDict):
    """`LossHessian` at both ends of the training.

    Attributes:
        version: Version of this block, 1.
        initial: At initialisation; null where no parameters of the beginning are kept.
        final: At the end.
    """

    version: int
    initial: LossHessian | None
    final: LossHessian


class ParameterErrors(TypedDict):
    """Errors of one network for each value of the parameters that are inputs of it.

    Attributes:
        version: Version of this block, 1.
        parameters: Letters of the coordinates that are parameters.
        values: Their values, one list for each place on the evaluation grid.
        errors: Relative L2 error over the other coordinates, for each of these.
        mean: Mean of the errors.
        worst: Largest of the errors.
    """

    version: int
    parameters: list[str]
    values: list[list[float]]
    errors: list[NotNegative]
    mean: NotNegative
    worst: NotNegative


class UnknownsMetrics(TypedDict):
    """The unknown coefficients of an inverse problem, by name.

    Attributes:
        version: Version of this block, 1.
        values: What was found.
        standard_errors: By `pinnzoo.diagnostics.covariance`; left out without observations.
        truth: True values, where the problem knows them.
        noise: Standard deviation of an observed value, as given or as estimated.
        remarks: Why unknowns have no standard error, such as "is at its upper bound 1".
    """

    version: int
    values: dict[str, float]
    standard_errors: NotRequired[dict[str, NotNegative]]
    truth: NotRequired[dict[str, float]]
    noise: NotRequired[NotNegative]
    remarks: NotRequired[dict[str, str]]


class ComponentsMetrics(TypedDict):
    """Errors of single components, for problems of which some components are not observed.

    Attributes:
        version: Version of this block, 1.
        relative_l2_error: As in `ErrorFigures`, of one component each.
    """

    version: int
    relative_l2_error: dict[str, NotNegative]


class WeightingMetrics(TypedDict):
    """What the last phase's weighting had made of the loss weights when the training ended.

    Attributes:
        version: Version of this block, 1.
        factors: By term, what its weight is multiplied by; a mean where points have their own.
    """

    version: int
    factors: dict[str, NotNegative]


class SolveRound(TypedDict):
    """One network that `pinnzoo.solve` tried, on all times or on a window of them.

    Attributes:
        first_time: Lower bound of the first coordinate, which is time where there are windows.
        last_time: Its upper bound.
        width: Width of the network.
        steps: Steps of it and of its tangent.
        seconds: Time that it took.
        loss: ½ |r|² on points that were not trained.
        estimated_error: Estimated relative L2 error.
        final: Whether the entry holds this network.
    """

    first_time: float
    last_time: float
    width: Count
    steps: Count
    seconds: NotNegative
    loss: NotNegative
    estimated_error: NotNegative
    final: bool


class SolveMetrics(TypedDict):
    """What `pinnzoo.solve` tried.

    Attributes:
        version: Version of this block, 1.
        rounds: In the order in which they were done.
    """

    version: int
    rounds: list[SolveRound]


BLOCKS: dict[tuple[str, int], Any] = {
    ("ntk", 1): NTKMetrics,
    ("residual_hessian", 1): ResidualHessianMetrics,
    ("loss_hessian", 1): LossHessianMetrics,
    ("parameter_errors", 1): ParameterErrors,
    ("unknowns", 1): UnknownsMetrics,
    ("components", 1): ComponentsMetrics,
    ("weighting", 1): WeightingMetrics,
    ("solve", 1): SolveMetrics,
}
"""The blocks that this version knows, by name and version."""

_ERRORS = tuple(ErrorFigures.__annotations__)
_FIGURES = (*Core.__annotations__, *_ERRORS, *Estimates.__annotations__)


def validate(data: Any) -> Metrics:
    """A copy of `data` in plain Python types, if it is complete and every figure is possible.

    Args:
        data: Metrics of format 2, or of format 1, which are converted. NumPy numbers are taken.

    Returns:
        Metrics of format 2. Their blocks are in the order of `data`; unknown ones are kept.

    Raises:
        FormatVersionError: Written in a newer format, or in one that never was.
        IntegrityError: A figure is missing, of the wrong type, not finite or impossible.
    """
    if not isinstance(data, Mapping):
        raise IntegrityError(
            f"metrics of type {type(data).__name__} were given: give a JSON object with the "
            f"figures {', '.join(Core.__annotations__)}."
        )
    version = data.get("format")
    if type(version) is not int:
        raise IntegrityError(
            f"metrics with format={repr(version)[:80]} were given: state the format that they are "
            f"written in, a whole number; the newest is {METRICS_FORMAT}."
        )
    if version > METRICS_FORMAT:
        raise FormatVersionError(
            f"metrics of format {version!r} were given, which are newer than this version of "
            f"pinnzoo: it reads format 1 to format {METRICS_FORMAT}, so install a newer one."
        )
    if version < 1:
        raise FormatVersionError(
            f"metrics of format {version!r} were given: this version of pinnzoo reads format 1 to "
            f"format {METRICS_FORMAT}, so give one of those."
        )
    given = _from_format_1(data) if version == 1 else dict(data)
    try:
        return _figures(given) | {
            name: _block(name, block) for name, block in given.items() if name not in _FIGURES
        }
    except ValueError as error:
        raise IntegrityError(f"metrics that are not complete were given: {error}.") from error


def _from_format_1(data: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 had one time, that of the training, and blocks without a version."""
    known = {name for name, _ in BLOCKS}
    converted: dict[str, Any] = {}
    for name, value in data.items():
        if name == "wall_time_seconds":
            converted["training_seconds"] = value
        elif name in known and isinstance(value, Mapping):
            converted[name] = {"version": 1, **value}
        else:
            converted[name] = value
    return converted | {"format": METRICS_FORMAT}


def _figures(given: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that are not in a block."""
    stated = [name for name in _ERRORS if name in given]
    if stated and len(stated) < len(_ERRORS):
        lacking = [name for name in _ERRORS if name not in given]
        raise ValueError(
            f"{', '.join(stated)} without {', '.join(lacking)}: state all of them, or none where "
            "there is no reference solution"
        )
    kinds = (Core, ErrorFigures, Estimates) if stated else (Core, Estimates)
    found: dict[str, Any] = {}
    for kind in kinds:
        own = kind.__annotations__
        found |= _json.conform({k: v for k, v in given.items() if k in own}, kind)
    return found


def _block(name: Any, given: Any) -> dict[str, Any]:
    """A block, checked as far as it is known.

    Raises:
        ValueError: It is not possible.
    """
    if not isinstance(name, str):
        raise ValueError(f"the key {repr(name)[:80]} is not text")
    block = _json.plain(given, name)
    version = block.get("version") if isinstance(block, dict) else None
    if type(version) is not int or version < 1:
        raise ValueError(
            f"{name[:80]!r} is neither a known figure nor a block, which is an object with a "
            "whole number 'version'"
        )
    kind = BLOCKS.get((name, version))
    if kind is None:
        return block
    block = _json.conform(block, kind, name)
    if kind is NTKMetrics and {"all", *block["points"]} != set(block["drift"]):
        raise ValueError(
            f"ntk.points has {sorted(block['points'])} and ntk.drift has "
            f"{sorted(block['drift'])}, but a drift is stated of 'all' and of each term"
        )
    return block


def blocks(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The blocks of metrics, known and unknown, by name."""
    return {name: block for name, block in metrics.items() if name not in _FIGURES}


def known_block(metrics: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """A block of the package's own; None where it is not there, or in a version not known here.

    Example:
        >>> if (kernels := known_block(entry.metrics, "ntk")) is not None:
        ...     print(kernels["drift"]["all"]["spectral"])
    """
    block = metrics.get(name)
    if not isinstance(block, Mapping) or (name, block.get("version")) not in BLOCKS:
        return None
    return {str(key): value for key, value in block.items()}


def weighting_factors(metrics: Mapping[str, Any]) -> dict[str, float]:
    """What an adaptive weighting had made of the loss weights at the end of a training, by term."""
    return dict((known_block(metrics, "weighting") or {}).get("factors", {}))


def unknown_blocks(
    metrics: Mapping[str, Any], known: Collection[tuple[str, int]] = ()
) -> list[str]:
    """Names of the blocks that nobody here can interpret, in their order.

    Args:
        metrics: What `validate` gave.
        known: Name and version of blocks that are known beside `BLOCKS`, such as those of
            diagnostics that a user registered.
    """
    return [
        name
        for name, block in blocks(metrics).items()
        if (name, block["version"]) not in BLOCKS and (name, block["version"]) not in known
    ]


def user_seconds(metrics: Mapping[str, Any]) -> float:
    """All the time that the user waited; of entries of format 1 the training alone is known."""
    return float(metrics.get("wall_time_seconds", metrics["training_seconds"]))


def to_json(metrics: Mapping[str, Any]) -> str:
    """Indented JSON."""
    return json.dumps(dict(metrics), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str | bytes) -> Metrics:
    """Metrics from JSON text of format 1 or 2, in format 2.

    Raises:
        FormatVersionError: Written in another format.
        IntegrityError: Not JSON, or not complete; see `validate`.
    """
    try:
        data = _json.parse(text)
    except ValueError as error:
        raise IntegrityError(f"metrics that are not JSON were given: {error}.") from error
    return validate(data)
