"""How well observations fix the unknowns: the covariance of a fit by Gauss and Newton.

At the solution a training has made `½ |r(θ)|²` stationary. Noise ε in the observations moves it, to
first order, by `δ = -J⁺ r(ε)`, where the rows of the equations and conditions have no noise. With
`J⁺ = (JᵀJ)⁻¹Jᵀ` the covariance of θ is the sandwich `s² J⁺_o J⁺_oᵀ` of the columns that belong
to the observations, where s is the standard deviation of a weighted row of theirs. It holds
whatever the weights of the terms are, and asks of the equations no noise of their own.

Of θ only the unknowns matter. With N the columns of J that belong to the network and K those of
the unknowns, `J⁺` restricted to the unknowns is the pseudo-inverse of `E = (I - P) K`, where P
projects onto the range of N (Golub and Pereyra 1973, variable projection). N has singular values
down to rounding; those below `CUTOFF` times the largest are left out, since no training moves
along their directions either. JᵀJ is never formed, which would square the condition number.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from flax import nnx
from jaxtyping import Float

from pinnzoo._typing import Point, Residuals, Theta
from pinnzoo.casting import in_float64
from pinnzoo.diagnostics._rows import jacobian_blocks
from pinnzoo.objective import OBSERVATIONS, Objective, Term, assemble
from pinnzoo.observations import Observations
from pinnzoo.pdes import Problem
from pinnzoo.unknowns import Estimate, values_of, with_unknowns

CUTOFF = 1e-9
"""Least singular value of the network's columns that counts, relative to the largest."""

CONTRADICTED = 3.0
"""Times the stated standard deviation by which observations are off that it cannot be right for."""

OPEN = 1e-9
"""Square of a parameter's share in what nothing fixes, above which it is not fixed either."""

DETERMINED = 0.05
"""Share of what an unknown does to the residuals that the network cannot undo, below which nothing
but the network's own limits determines it. Where the solution follows the unknown, a narrow network
leaves two hundredths and others far less; a condition that determines it leaves a tenth or more."""

WITHOUT_EFFECT = 1e-6
"""What an unknown does to the residuals, relative to the network, that is nothing: such as the
eigenvalue of a solution that has become zero."""

MIXED = 0.1
"""Square of an unknown's share in directions that nothing determines, above which it is not
determined either; of two of which only the product counts it is a half."""

AT_ITS = "is at its"
"""How the remark about an unknown at a bound begins."""

AT_BOUND = 0.01
"""Standard errors to a bound, below which a value is kept from a better one by it."""


SPARE = 0.5
"""Values that are measured beyond those that the unknowns and the network need, below which they
say nothing of their noise."""

VAGUE = "is not determined by equations, conditions and observations"


class Sensitivity(NamedTuple):
    """What a linear least-squares problem says about noise in some of its rows.

    Attributes:
        covariance: Of the parameters of interest, for noise of variance one in each noisy row; the
            variance of those that no row fixes is infinite.
        freedom: Expected sum of squares of the noisy rows' residuals for such noise.
    """

    covariance: Float[np.ndarray, "k k"]
    freedom: float


def sensitivity(
    jacobian: Float[np.ndarray, "n p"],
    wanted: np.ndarray,
    noisy: slice,
    cutoff: float = CUTOFF,
) -> Sensitivity:
    """How independent noise of variance one in some rows moves some of the parameters.

    Args:
        jacobian: J of the linear least-squares problem, with its weights.
        wanted: Indices of the k parameters of interest.
        noisy: The rows that have noise.
        cutoff: See `CUTOFF`.

    Example:
        >>> sensitivity(np.ones((4, 1)), np.array([0]), slice(0, 4)).covariance
        array([[0.25]])
    """
    basis, own, sizes = _apart(jacobian, wanted, cutoff)
    u, values, vt = scipy.linalg.svd(own, full_matrices=False, check_finite=False)
    kept = values > cutoff
    inverse = (vt[kept].T / values[kept]) @ u[noisy][:, kept].T / sizes[:, None]
    covariance = inverse @ inverse.T
    # What the rows do not change with may be anything.
    open_ = np.flatnonzero(1 - np.sum(vt[kept] ** 2, axis=0) > OPEN)
    covariance[open_, open_] = np.inf
    q = np.hstack([basis, u[:, kept]])[noisy]
    freedom = len(q) - 2 * np.sum(q**2) + np.sum((q.T @ q) ** 2)
    return Sensitivity(covariance, float(freedom))


def undetermined(jacobian: Float[np.ndarray, "n p"], wanted: np.ndarray) -> np.ndarray:
    """Which parameters of interest can be anything, since the others make up for them.

    Args:
        jacobian: J at a solution, with its weights, on more rows than the others can meet.
        wanted: Indices of the k parameters of interest.

    Returns:
        `(k,)`, True for those that nothing determines.

    Example:
        >>> undetermined(np.ones((4, 2)), np.array([0]))
        array([ True])
    """
    _, own, sizes = _apart(jacobian, wanted, CUTOFF)
    largest = np.linalg.norm(jacobian, axis=0).max()
    own = np.where(sizes > WITHOUT_EFFECT * largest, own, 0.0)
    _, values, vt = scipy.linalg.svd(own, full_matrices=False, check_finite=False)
    return 1 - np.sum(vt[values > DETERMINED] ** 2, axis=0) > MIXED


def _apart(
    jacobian: Float[np.ndarray, "n p"], wanted: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the columns of the other parameters span, and what of the wanted ones is outside of it.

    Returns:
        An orthonormal basis of the former; the latter, of columns of length one before; and their
        lengths.
    """
    inner = np.delete(jacobian, wanted, axis=1)
    basis = np.zeros((len(jacobian), 0))
    if inner.shape[1]:
        factors: Any = scipy.linalg.qr(inner, mode="economic", check_finite=False)
        q, upper = factors
        u, values, _ = scipy.linalg.svd(upper, full_matrices=False, check_finite=False)
        kept = values > cutoff * values[0]
        basis = q @ u[:, kept]
    own = jacobian[:, wanted]
    sizes = np.linalg.norm(own, axis=0)
    sizes = np.where(sizes > 0, sizes, 1.0)
    own = own / sizes
    for _ in range(2):  # once more, since the first projection leaves rounding behind
        own = own - basis @ (basis.T @ own)
    return basis, own, sizes


def estimate_unknowns(
    problem: Problem,
    model: nnx.Module,
    observations: Observations | None,
    points: Mapping[str, Float[np.ndarray, "n d"]],
    weights: Mapping[str, float] | None = None,
    frozen: Sequence[int] | np.ndarray = (),
) -> tuple[dict[str, Estimate], float | None]:
    """The values of a problem's unknowns with their standard errors, and the noise level.

    Args:
        problem: What was solved.
        model: The trained network with its unknowns.
        observations: What was measured, or None: there are no standard errors then.
        points: Those on which it was trained, or as many others, per term. Without observations,
            more than the network can meet; where there are none, it is not known what determines
            the values.
        weights: Those with which it was trained.
        frozen: Indices, among the flat parameters, of those that no noise moved since the training
            kept their values.

    Returns:
        An estimate for each unknown, and the standard deviation of the noise: where that is not
        given with the observations, it is estimated from what is left of them, and is None where
        nothing is left since there are as few values as unknowns. Where it differs between values,
        it is that of a value of mean weight. The standard error of an unknown that nothing
        determines is infinite, and NaN of a frozen one and where the noise is not known.

    Raises:
        PrecisionError: JAX has float64 switched off.
    """
    model = with_unknowns(in_float64(model), problem.unknowns)
    values = {name: float(v) for name, v in values_of(model, problem.unknowns).items()}
    if not values or (observations is None and not points):
        return {name: Estimate(value, math.nan) for name, value in values.items()}, None
    theta, objective, _ = assemble(problem, model, points, weights, observations)
    if observations is None:
        free = _open(problem, model, objective, theta, frozen)
        error = lambda name: math.inf if name in free else math.nan  # noqa: E731
        return {name: Estimate(value, error(name)) for name, value in values.items()}, None
    return estimates_at(problem, model, objective, theta, observations.noise, frozen)


def _open(
    problem: Problem,
    model: nnx.Module,
    objective: Objective,
    theta: Theta,
    frozen: Sequence[int] | np.ndarray,
) -> list[str]:
    """Unknowns that equations and conditions alone do not determine, of those that are trained."""
    own, free = unknown_indices(model), np.setdiff1d(np.arange(theta.size), frozen)
    moved = np.isin(own, free)
    if not moved.any():
        return []
    jacobian = np.concatenate(list(jacobian_blocks(objective, theta, chunk=128)))
    found = undetermined(jacobian[:, free], np.flatnonzero(np.isin(free, own)))
    names = [name for name, each in zip(sorted(problem.unknowns), moved, strict=True) if each]
    return [name for name, each in zip(names, found, strict=True) if each]


def estimates_at(
    problem: Problem,
    model: nnx.Module,
    objective: Objective,
    theta: Theta,
    known: float | None = None,
    frozen: Sequence[int] | np.ndarray = (),
) -> tuple[dict[str, Estimate], float | None]:
    """The same from a residual vector with observations, at any parameters.

    Many draws of noise need one residual vector, in which only the observations change: nothing
    is compiled again.

    Args:
        problem: What was solved.
        model: A network with its unknowns, whatever its parameters are.
        objective: The residual vector, in float64.
        theta: The parameters.
        known: Standard deviation of an observed value of mean weight, where that is known; see
            `Observations.noise`.
        frozen: See `estimate_unknowns`.

    Returns:
        As `estimate_unknowns`.
    """
    own, free = unknown_indices(model), np.setdiff1d(np.arange(theta.size), frozen)
    jacobian = np.concatenate(list(jacobian_blocks(objective, theta, chunk=128)))
    found = sensitivity(
        jacobian[:, free], np.flatnonzero(np.isin(free, own)), objective.slices()[OBSERVATIONS]
    )
    (term,) = (term for term in objective.terms if term.name == OBSERVATIONS)
    scale = float(term.scale)
    left = float(np.sum(np.asarray(_rows(term, theta)) ** 2))
    noise = scatter = _scatter(left, found.freedom) / scale
    if known is not None:
        noise = known
        if scatter > CONTRADICTED * noise:
            warnings.warn(
                f"the observations are off from the solution by {scatter:.2g}, though they were "
                f"given with a standard deviation of {noise:.2g}, by which standard errors are "
                "stated: look at its unit and at the equation, or train longer.",
                stacklevel=3,
            )
    errors = np.full(len(own), math.nan)
    errors[np.isin(own, free)] = noise * scale * np.sqrt(np.diagonal(found.covariance))
    names, raw = sorted(problem.unknowns), np.asarray(theta)[own]
    estimates = {}
    for name, number, error in zip(names, raw, errors, strict=True):
        # To first order, as all of it: the derivative of the transformation.
        value, slope = jax.value_and_grad(problem.unknowns[name].value)(jnp.asarray(number))
        margin = math.inf if error == math.inf else float(abs(slope) * error)
        estimates[name] = Estimate(float(value), margin)
    ordered = {name: estimates[name] for name in problem.unknowns}
    return ordered, noise if math.isfinite(noise) else None


def _scatter(left: float, freedom: float) -> float:
    """Standard deviation of a row, from the sum of squares that is left; NaN where none could be.

    With as many unknowns as values nothing is left, however noisy they are.
    """
    return math.sqrt(left / max(freedom, 1.0)) if freedom > SPARE else math.nan


def field_slopes(
    field: Callable[[Theta, Point], Any], theta: Theta, points: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, "n m p"]:
    """Derivatives of a field's values at points by the parameters; it is compiled at each call."""
    slopes = jax.jit(jax.vmap(jax.jacrev(field), (None, 0)))
    return np.asarray(slopes(theta, jnp.asarray(points, theta.dtype)))


def field_deviation(
    objective: Objective,
    field: Callable[[Theta, Point], Any],
    theta: Theta,
    points: Float[np.ndarray, "n d"],
    observations: Observations,
) -> tuple[Float[np.ndarray, "n m"], float]:
    """How far the noise of the observations may have moved the solution, point by point.

    To first order noise ε moves the parameters by `-J⁺ r(ε)` and the solution by `-F J⁺ r(ε)`,
    where F is the derivative of its values. What the network has for noise to move is what the
    equations leave open, unknown coefficients and fields included. Singular values of J below
    `CUTOFF` times the largest are left out.

    Args:
        objective: The residual vector with its observations, in float64.
        field: `(theta, point) -> (m,)`, the network with the problem's ansatz around it.
        theta: The parameters at the end of the training.
        points: Where the solution is looked at; memory is for n times m times p numbers.
        observations: What was measured; where it states no standard deviation, that of the noise
            is estimated from what is left of the values.

    Returns:
        The standard deviation of each component at each point, and that of the noise.

    Example:
        >>> deviation, noise = field_deviation(objective, field, theta, points, observations)
    """
    jacobian = np.concatenate(list(jacobian_blocks(objective, theta, chunk=128)))
    factors: Any = scipy.linalg.qr(jacobian, mode="economic", check_finite=False)
    q, upper = factors
    u, values, vt = scipy.linalg.svd(upper, full_matrices=False, check_finite=False)
    kept = values > CUTOFF * values[0]
    basis = q[objective.slices()[OBSERVATIONS]] @ u[:, kept]
    met, inverse = basis.T @ basis, vt[kept].T / values[kept]
    (term,) = (term for term in objective.terms if term.name == OBSERVATIONS)
    noise = observations.noise
    if noise is None:
        freedom = term.n - 2 * np.trace(met) + np.sum(met**2)
        left = float(np.sum(np.asarray(_rows(term, theta)) ** 2))
        noise = _scatter(left, float(freedom)) / float(term.scale)
    if not math.isfinite(noise):
        # Nothing says how noisy the values are, so that they may be off by all of themselves.
        noise = float(np.sqrt(np.nanmean((observations.roots * observations.values) ** 2)))
    at_points = field_slopes(field, theta, points)
    rows = at_points.reshape(-1, theta.size) @ inverse
    variance = np.sum(rows @ met * rows, axis=1).reshape(at_points.shape[:2])
    return noise * float(term.scale) * np.sqrt(variance), noise


def told_of(problem: Problem, found: Mapping[str, Estimate]) -> dict[str, str]:
    """What is to be known of unknowns whose values are not what the observations say, in words.

    Args:
        problem: Whose unknowns.
        found: What the training has found.

    Example:
        >>> told_of(problem, {"rate": Estimate(0.5, math.inf)})
        {'rate': 'is not determined by equations, conditions and observations'}
    """
    told = {}
    for name, (value, error) in found.items():
        unknown = problem.unknowns[name]
        low, high = unknown.bounds
        # So close to a bound that nothing moves it any more, the error is infinite too; and of one
        # that is not determined it says nothing how close that is.
        near = 0.0 if error == math.inf else AT_BOUND * error
        if abs(value - low) <= min(near, AT_BOUND * abs(unknown.initial - low)):
            told[name] = f"{AT_ITS} lower bound {low:g}"
        elif abs(value - high) <= min(near, AT_BOUND * abs(unknown.initial - high)):
            told[name] = f"{AT_ITS} upper bound {high:g}"
        elif error == math.inf:
            told[name] = VAGUE
        elif unknown.initial and error > max(abs(value), abs(unknown.initial)):
            told[name] = f"{VAGUE}, by which it may be off by {error:.2g}"
    return told


@jax.jit
def _rows(term: Term, theta: Theta) -> Residuals:
    return term.rows(theta)


def unknown_indices(model: nnx.Module) -> np.ndarray:
    """Where the raw values of the unknowns, sorted by name, lie among the flat parameters."""
    leaves = jax.tree_util.tree_leaves_with_path(nnx.state(model, nnx.Param))
    own = np.repeat(
        [path[0].key == "unknowns" for path, _ in leaves],  # pyright: ignore
        [jnp.size(leaf) for _, leaf in leaves],
    )
    return np.flatnonzero(own)
