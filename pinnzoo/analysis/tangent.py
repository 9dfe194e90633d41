"""The residual vector to first order around some parameters, from which the kernel's modes come."""

import functools
import weakref
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from pinnzoo._compiling import QUICK_COMPILE, QUICKEST_COMPILE
from pinnzoo._typing import Theta
from pinnzoo.diagnostics import Study
from pinnzoo.diagnostics._inputs import finite, in_float64
from pinnzoo.diagnostics._rows import jacobian_blocks
from pinnzoo.entry import Entry
from pinnzoo.errors import DiagnosticError, PointsError, UnknownNameError, refuse_names
from pinnzoo.measure import study_of
from pinnzoo.objective import Objective
from pinnzoo.storage.metrics import weighting_factors

BATCH = 8
"""Parameter vectors whose residuals are computed in one call."""

WORTH_OPTIMISING = 1_000_000
"""Numbers of a Jacobian from which programs that run a hundred times are compiled with more effort:
that takes seconds more, ten for products with the Hessian of a system, and halves their time."""

_studies: "weakref.WeakKeyDictionary[Entry, Study]" = weakref.WeakKeyDictionary()


def study(entry: Entry) -> Study:
    """The network of an entry at its snapshots, on the points of the diagnostics.

    Made once per entry, so that all analyses of it share their compiled programs.

    Args:
        entry: Whose stored parameters are looked at.

    Raises:
        EntryError: The name of an entry was given in its place.
        PrecisionError: JAX has float64 switched off.

    Example:
        >>> study(entry).thetas.shape == entry.snapshots.thetas.shape
        True
    """
    refuse_names(entry)
    if entry not in _studies:
        kept = entry.snapshots
        _studies[entry] = study_of(
            entry.problem,
            entry.model,
            entry.recipe,
            kept.steps,
            kept.thetas,
            observations=entry.observations,
            history=entry.history,
            factors=weighting_factors(entry.metrics),
        )
    return _studies[entry]


def left_svd(rows: Float[np.ndarray, "n p"], *, full: bool = True) -> tuple[Any, Any]:
    """Left singular vectors and `σ (k,)` descending, k = min(n, p).

    Of a wide matrix they are those of its triangular factor, which is small.

    Args:
        rows: Any matrix.
        full: All vectors, `(n, n)`, in the place of the k that belong to singular values.
    """
    n, p = rows.shape
    if n < p:
        upper: Any = scipy.linalg.qr(rows.T, mode="r", check_finite=False)[0]
        rows = upper[:n].T
    left, values, _ = scipy.linalg.svd(rows, full_matrices=full and n > p, check_finite=False)
    return left, values


@dataclass(frozen=True, eq=False)
class Tangent:
    """The residual vector to first order: `r(θ + δ) ≈ r + J δ`.

    Rows have the scales of the objective, `√(weight / n)` per term: the loss is `½ |r|²`, and
    gradient flow on it moves the residual by `dr/dt = -J Jᵀ r`.

    Attributes:
        objective: The residual vector as a function of θ.
        theta: θ, `(p,)`.
        rows: J, `(n, p)`.
        residual: r, `(n,)`.

    Example:
        >>> at = tangent(objective, theta)
        >>> at.rows.shape == (objective.n, theta.size)
        True
    """

    objective: Objective
    theta: Float[np.ndarray, " p"]
    rows: Float[np.ndarray, "n p"]
    residual: Float[np.ndarray, " n"]

    @property
    def kernel(self) -> Float[np.ndarray, "n n"]:
        """The neural tangent kernel `J Jᵀ` of these rows, symmetric to the last bit."""
        kernel = self.rows @ self.rows.T
        return (kernel + kernel.T) / 2

    @property
    def gradient(self) -> Float[np.ndarray, " p"]:
        """`Jᵀ r`, the gradient of the loss."""
        return self.rows.T @ self.residual

    def at(self, theta: Float[np.ndarray, " p"]) -> Float[np.ndarray, " n"]:
        """The residual that the linearised network has at other parameters, `r + J (θ' - θ)`."""
        return self.residual + self.rows @ (np.asarray(theta, np.float64) - self.theta)

    def block(self, term: str | None) -> slice:
        """The rows of a term; all rows for None.

        Raises:
            UnknownNameError: There is no such term.
        """
        if term is None:
            return slice(0, len(self.residual))
        blocks = self.objective.slices()
        if term not in blocks:
            raise UnknownNameError.of("term", term, blocks)
        return blocks[term]

    @functools.cached_property
    def full_svd(self) -> tuple[Any, Any, Any]:
        """All left singular vectors `U (n, n)`, `σ (k,)` descending, `Vᵀ (k, p)`, k = min(n, p).

        Computed once: modes, singular values and preconditioners all come from it.
        """
        n, p = self.rows.shape
        return scipy.linalg.svd(self.rows, full_matrices=n > p, check_finite=False)

    @property
    def svd(self) -> tuple[Any, Any, Any]:
        """`U (n, k)`, `σ (k,)` descending and `Vᵀ (k, p)` with k = min(n, p)."""
        left, values, right = self.full_svd
        return left[:, : len(values)], values, right


Source: TypeAlias = Entry | Objective | Tangent
"""What an analysis is asked about: an entry, an objective with parameters, or their tangent."""


def resolve(
    source: Entry | Objective, theta: Any = None, purpose: str = "an analysis"
) -> tuple[Objective, Theta]:
    """The residual vector and the parameters that are meant, in float64.

    Args:
        source: An entry, whose points are those of its diagnostics; or an objective.
        theta: Flat parameters `(p,)`; those of the entry by default.
        purpose: What they are for, in errors.

    Raises:
        DiagnosticError: An objective was given without parameters, or a tangent with some.
        EntryError: The name of an entry was given in its place.
        PointsError: The parameters have another shape than those of the entry.
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.
    """
    refuse_names(source)
    if isinstance(source, Entry):
        objective = study(source).objective
        vector = np.asarray(source.theta if theta is None else theta)
        expected = (source.metrics["parameters"],)
        if vector.shape != expected:
            raise PointsError(
                f"parameters of shape {vector.shape} were given: {source.name} takes {expected}."
            )
    elif theta is None:
        raise DiagnosticError(
            "an objective was given without parameters: give theta as the second argument, or an "
            "entry, which has its own."
        )
    else:
        objective, vector = source, np.asarray(theta)
    checked = in_float64(objective, vector, purpose)
    finite(checked)
    return objective, checked


def _residuals(objective: Objective, thetas: Float[Array, "b p"]) -> Float[Array, "b n"]:
    return jax.lax.map(objective.residual, thetas)


_quick_residuals = jax.jit(_residuals, compiler_options=QUICK_COMPILE)
_quickest_residuals = jax.jit(_residuals, compiler_options=QUICKEST_COMPILE)


def residuals(objective: Objective, thetas: Any) -> Float[np.ndarray, "s n"]:
    """The residual vector at many parameters, by one program whatever their number.

    Args:
        objective: The residual vector.
        thetas: Flat parameters, `(s, p)`.

    Example:
        >>> residuals(objective, np.stack([theta, 2 * theta])).shape == (2, objective.n)
        True
    """
    stacked = np.asarray(thetas, np.float64)
    large = objective.n * stacked.shape[1] >= WORTH_OPTIMISING
    program = _quick_residuals if large else _quickest_residuals
    found = []
    for start in range(0, len(stacked), BATCH):
        # The last batch is filled up, so that all have one shape.
        chosen = np.minimum(np.arange(start, start + BATCH), len(stacked) - 1)
        found.append(np.asarray(program(objective, jnp.asarray(stacked[chosen]))))
    return np.concatenate(found)[: len(stacked)]


def tangent(source: Source, theta: Any = None) -> Tangent:
    """The residual vector of a network to first order around its parameters.

    Args:
        source: An entry or an objective; a tangent is returned as it is.
        theta: Flat parameters `(p,)`, such as a row of `entry.snapshots.thetas`; those of the
            entry by default.

    Raises:
        DiagnosticError: An objective was given without parameters.
        PointsError: The parameters have another shape than those of the entry.
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        >>> at = tangent(objective, theta)
        >>> bool(np.allclose(at.gradient, jax.grad(objective.loss)(theta)))
        True
    """
    if isinstance(source, Tangent):
        if theta is not None:
            raise DiagnosticError(
                "parameters were given with a tangent, which is at its own: give the entry or the "
                "objective with them, or the tangent alone."
            )
        return source
    objective, checked = resolve(source, theta, "a tangent")
    rows = np.concatenate(list(jacobian_blocks(objective, checked)))
    return Tangent(
        objective, np.asarray(checked), rows, residuals(objective, np.asarray(checked)[None])[0]
    )
