"""Modes of the kernel: what first-order training learns fast, and what it learns slowly.

Gradient flow on `½ |r|²` moves the residual by `dr/dt = -K r` with the kernel `K = J Jᵀ` of the
weighted rows. In the basis of its eigenvectors every coefficient decays by itself, at the rate of
its eigenvalue (Jacot, Gabriel and Hongler 2018; for PINNs Wang, Yu and Perdikaris 2022). Which
functions the fast eigenvectors are is the spectral bias (Wang, Wang and Perdikaris 2021).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
import scipy.linalg
from jaxtyping import Float

from pinnzoo.analysis.tangent import Source, Tangent, left_svd, resolve, study, tangent
from pinnzoo.diagnostics import Study
from pinnzoo.diagnostics._inputs import find_term, unscaled
from pinnzoo.diagnostics._rows import jacobian_blocks
from pinnzoo.domains import Box
from pinnzoo.entry import Entry
from pinnzoo.errors import DiagnosticError, PointsError
from pinnzoo.objective import EQUATION, Objective, Term
from pinnzoo.pdes.reference import evaluate_function

GRID = {1: 192, 2: 22, 3: 8, 4: 5}
"""Points per axis of the grid on which modes are transformed, by the number of axes."""

MOST_POINTS = 10_000
"""Of such a grid: a kernel of so many rows takes 800 MB."""


@dataclass(frozen=True, eq=False)
class Modes:
    """Eigenvectors of the kernel as functions on the points, fastest first.

    Attributes:
        eigenvalues: λ of `J Jᵀ`, `(n,)`, descending: squared singular values of J, so that small
            ones are accurate far below rounding times the largest; exact zeros below rounding.
        vectors: One orthonormal eigenvector per column, `(n, n)`; entry i belongs to row i.
        residual: r in this basis, `(n,)`.
        points: Points per term `(n_k, d)`, in the order of the rows.

    Example:
        >>> found = kernel_modes(objective, theta)
        >>> bool(found.cumulative_share()[-1].round(12) == 1)
        True
    """

    eigenvalues: Float[np.ndarray, " n"]
    vectors: Float[np.ndarray, "n n"]
    residual: Float[np.ndarray, " n"]
    points: dict[str, Float[np.ndarray, "_ d"]]

    @property
    def rank(self) -> int:
        """How many eigenvalues stand above the rounding of J's singular values."""
        return int(np.count_nonzero(self.eigenvalues))

    @property
    def condition_number(self) -> float:
        """Largest over smallest eigenvalue; infinite where the kernel is singular to rounding."""
        return _condition(self.eigenvalues)

    def coefficients(self, values: Any) -> Float[np.ndarray, " n"]:
        """Values at the points in the basis of the modes: `Uᵀ v`.

        Args:
            values: v, `(n,)`, one per row: a residual, an error, any function at the points.

        Raises:
            PointsError: There is another number of values than of rows.
        """
        array = np.asarray(values, np.float64)
        if array.shape != self.eigenvalues.shape:
            raise PointsError(
                f"values of shape {array.shape} were given: the kernel has {len(self.vectors)} "
                "rows, so give one value for each."
            )
        return self.vectors.T @ array

    def cumulative_share(self, values: Any = None) -> Float[np.ndarray, " n"]:
        """The share of `|v|²` in the fastest mode, in the two fastest, and so on.

        Args:
            values: v at the points; the residual by default.
        """
        squares = (self.residual if values is None else self.coefficients(values)) ** 2
        total = squares.sum()
        return np.cumsum(squares) / (total if total > 0 else 1.0)

    def effective_dimension(self, damping: float) -> float:
        """`Σ λ / (λ + γ)`: how many modes a damping γ leaves alone.

        Args:
            damping: γ, positive, in the units of the eigenvalues.

        Raises:
            DiagnosticError: The damping is not positive.
        """
        if not damping > 0:
            raise DiagnosticError(f"the damping {damping} was given: give a positive number.")
        return float(np.sum(self.eigenvalues / (self.eigenvalues + damping)))

    def decay(self, learning_rate: float | None = None) -> Float[np.ndarray, " n"]:
        """The factor of each coefficient in one step of gradient descent, `1 - η λ`.

        Args:
            learning_rate: η; by default 1/λ₁, with which the fastest mode is gone in one step.
        """
        largest = self.eigenvalues[0]
        rate = learning_rate if learning_rate is not None else 1 / largest if largest > 0 else 1.0
        return 1 - rate * self.eigenvalues

    def decays(
        self, steps: Float[np.ndarray, " t"], learning_rate: float | None = None
    ) -> Float[np.ndarray, "t n"]:
        """`(1 - η λ)^k` for whole numbers k, with all digits where η λ is small and k is large."""
        factor, steps = self.decay(learning_rate), steps[:, None]
        with np.errstate(invalid="ignore", over="ignore"):
            size = np.exp(steps * self._log_decay(learning_rate))
        # Neither 0⁰ nor a sign is known to the logarithm.
        size = np.where(steps == 0, 1.0, size)
        return np.where((factor < 0) & (steps % 2 == 1), -size, size)

    def steps(
        self, tolerance: float, learning_rate: float | None = None
    ) -> Float[np.ndarray, " n"]:
        """Steps of gradient descent after which each mode has shrunk by a tolerance.

        Args:
            tolerance: Between 0 and 1.
            learning_rate: See `decay`.

        Returns:
            Numbers of steps, not rounded; infinite for modes that do not shrink.

        Raises:
            DiagnosticError: The tolerance is not between 0 and 1.
        """
        _check_tolerance(tolerance)
        logs = self._log_decay(learning_rate)
        with np.errstate(divide="ignore"):
            return np.where(logs < 0, np.log(tolerance) / logs, math.inf)

    def _log_decay(self, learning_rate: float | None = None) -> Float[np.ndarray, " n"]:
        """`ln |1 - η λ|`, with all digits of small ones; -∞ for a mode that goes in one step."""
        largest = self.eigenvalues[0] if self.eigenvalues[0] > 0 else 1.0
        share = self.eigenvalues * (1 / largest if learning_rate is None else learning_rate)
        with np.errstate(divide="ignore"):
            small = np.log1p(-np.minimum(share, 1.0))
            return np.where(share <= 1, small, np.log(np.abs(share - 1)))

    def steps_for_residual(self, tolerance: float) -> float:
        """Steps of gradient descent (η = 1/λ₁) after which `|r|` has shrunk by a tolerance.

        This is what the kernel of this moment promises: it takes the kernel for constant.

        Args:
            tolerance: Between 0 and 1.

        Returns:
            A whole number of steps, or infinity where modes with λ = 0 hold too much.

        Raises:
            DiagnosticError: The tolerance is not between 0 and 1.
        """
        _check_tolerance(tolerance)
        squares = self.residual**2
        goal = tolerance**2 * squares.sum()
        if squares[self.eigenvalues == 0].sum() > goal or self.eigenvalues[0] == 0:
            return math.inf
        logs = self._log_decay()

        def left(steps: float) -> float:
            with np.errstate(invalid="ignore"):
                powers = np.exp(2 * steps * logs)
            return float(np.sum(np.where(np.isnan(powers), 1.0, powers) * squares))

        if left(0.0) <= goal:
            return 0.0
        high = 1.0
        while left(high) > goal:
            high *= 2
        low = high / 2 if high > 1 else 0.0
        while high - low > max(1.0, 1e-12 * high):
            middle = math.floor((low + high) / 2)
            if middle in (low, high):
                break
            low, high = (middle, high) if left(middle) > goal else (low, middle)
        return math.ceil(high)

    def slow(self, steps: float, tolerance: float = 0.5) -> np.ndarray:
        """Which modes gradient descent (η = 1/λ₁) has not shrunk by a tolerance after some steps.

        Args:
            steps: How many.
            tolerance: By what a mode has to shrink to count as learned.
        """
        return self.steps(tolerance) > steps


def _check_tolerance(tolerance: float) -> None:
    if not 0 < tolerance < 1:
        raise DiagnosticError(
            f"the tolerance {tolerance} was given: give a number between 0 and 1, by which the "
            "residual is to shrink."
        )


def decompose(rows: Float[np.ndarray, "n p"]) -> tuple[np.ndarray, np.ndarray]:
    """All n eigenvalues of `A Aᵀ`, descending, and orthonormal eigenvectors in columns.

    They come from singular values, which does not square the condition number. What is below their
    rounding is zero.
    """
    left, singular = left_svd(rows)
    return _eigenvalues(singular, *rows.shape), left


def _eigenvalues(singular: Float[np.ndarray, " k"], n: int, p: int) -> Float[np.ndarray, " n"]:
    """All n eigenvalues of `A Aᵀ` from the singular values of A, `(n, p)`."""
    values = np.zeros(n)
    values[: len(singular)] = singular
    floor = max(n, p) * np.finfo(np.float64).eps * (values[0] if n else 0.0)
    return np.where(values > floor, values, 0.0) ** 2


def _condition(eigenvalues: Float[np.ndarray, " n"]) -> float:
    """Largest over smallest eigenvalue, infinite where that is zero."""
    return float(eigenvalues[0] / eigenvalues[-1]) if eigenvalues[-1] > 0 else math.inf


def condition_numbers(at: Tangent) -> dict[str, float]:
    """The condition number of each term's diagonal block of the kernel; see `Modes`.

    Singular values without their vectors take a fraction of the time of `kernel_modes`.
    """
    found = {}
    for term, block in at.objective.slices().items():
        rows = at.rows[block]
        singular: Any = scipy.linalg.svdvals(rows, check_finite=False)
        found[term] = _condition(_eigenvalues(singular, *rows.shape))
    return found


def kernel_modes(source: Source, theta: Any = None, *, term: str | None = None) -> Modes:
    """The eigenvectors of `K = J Jᵀ` as functions on the points, and the residual in them.

    Args:
        source: An entry, on the points of its diagnostics; an objective; or a tangent of either.
        theta: Flat parameters `(p,)`, such as a row of `entry.snapshots.thetas`; those of the
            entry by default.
        term: Name of a term, for the modes of its diagonal block; the whole kernel by default.

    Raises:
        DiagnosticError: An objective was given without parameters.
        UnknownNameError: There is no such term.
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        >>> found = kernel_modes(objective, theta, term="equation")
        >>> found.vectors.shape == (len(points["equation"]),) * 2
        True
    """
    at = tangent(source, theta)
    rows = at.block(term)
    if rows == slice(0, len(at.rows)):
        left, singular, _ = at.full_svd
        values, vectors = _eigenvalues(singular, *at.rows.shape), left
    else:
        values, vectors = decompose(at.rows[rows])
    terms = {
        each.name: np.asarray(each.points)
        for each in at.objective.terms
        if term in (None, each.name)
    }
    return Modes(values, vectors, vectors.T @ at.residual[rows], terms)


@dataclass(frozen=True, eq=False)
class ModeSpectrum:
    """Where in frequency the modes of a kernel lie.

    Attributes:
        eigenvalues: λ, descending, `(k,)`.
        wave_numbers: Mean wave number of each mode, `(k,)`, in half periods per side of the
            domain.
        power: Share of each mode's square at wave numbers 0, 1, 2, …, `(k, w)`; rows sum to 1.
        points: The grid, `(k, d)`.
        vectors: One mode per column, `(k, k)`; entry i is its value at point i.
        shape: Points of the grid per axis.

    Example:
        >>> found = mode_spectrum(entry)
        >>> bool(np.allclose(found.power.sum(axis=1), 1))
        True
    """

    eigenvalues: Float[np.ndarray, " k"]
    wave_numbers: Float[np.ndarray, " k"]
    power: Float[np.ndarray, "k w"]
    points: Float[np.ndarray, "k d"]
    vectors: Float[np.ndarray, "k k"]
    shape: tuple[int, ...]

    @property
    def bias(self) -> float:
        """Rank correlation of eigenvalue and wave number: -1 where slow modes are the fine ones.

        Spearman's coefficient over the modes above rounding; 0 where there are fewer than three,
        or all wave numbers are the same.
        """
        from scipy.stats import rankdata

        known = self.eigenvalues > 0
        ranks = rankdata(self.eigenvalues[known]), rankdata(self.wave_numbers[known])
        if known.sum() < 3 or not all(np.ptp(each) for each in ranks):
            return 0.0
        return float(np.corrcoef(*ranks)[0, 1])


def mode_spectrum(
    source: Entry | Objective,
    theta: Any = None,
    *,
    domain: Box | None = None,
    term: str = EQUATION,
    shape: tuple[int, ...] | None = None,
) -> ModeSpectrum:
    """The frequencies of the kernel's modes: the spectral bias of a network at some moment.

    The kernel of a term is taken on a grid over the domain, and its eigenvectors are cosine
    transformed (DCT-II, which asks for no periodicity).

    Args:
        source: An entry or an objective.
        theta: Flat parameters; those of the entry by default.
        domain: The box; that of the entry's problem by default.
        term: A term that lives on the whole box.
        shape: Points per axis; by default 192 to 729 points in all with up to six axes, and two
            points per axis with more.

    Raises:
        PointsError: The domain is not a box, the shape does not fit it, or has more than 10,000
            points.
        DiagnosticError: An objective was given without parameters or without a domain.
        UnknownNameError: There is no such term.

    Example:
        >>> found = mode_spectrum(objective, theta, domain=domain, shape=(6, 6))
        >>> found.wave_numbers.shape
        (36,)
    """
    objective, at = resolve(source, theta, "a spectrum of modes")
    box = domain
    if box is None and isinstance(source, Entry):
        box = source.problem.domain  # pyright: ignore[reportAssignmentType]
    if box is None:
        raise DiagnosticError("an objective was given without a domain: give it as domain=.")
    if not isinstance(box, Box):
        raise PointsError(
            "modes on a domain that is not a box were asked for: a cosine transform needs a box, "
            "so give one inside of it as domain=."
        )
    own = source.problem.domain if isinstance(source, Entry) else box
    if box.coords != own.coords or not own.contains(box.grid((2,) * box.d)).all():
        raise PointsError(
            f"a box along {', '.join(box.coords)} from {box.lower} to {box.upper} was given: give "
            f"one inside of the problem's domain, along {', '.join(own.coords)} from {own.lower} "
            f"to {own.upper}."
        )
    d = box.d
    counts: Any = shape or (GRID.get(d, 3 if d <= 6 else 2),) * d
    counts = (counts,) if isinstance(counts, int) else tuple(counts)
    if len(counts) != d or min(counts) < 2:
        raise PointsError(
            f"a grid of shape {counts} was given: a box with {d} coordinates takes {d} numbers "
            "of points, two at least."
        )
    if math.prod(counts) > MOST_POINTS:
        raise PointsError(
            f"a grid of shape {counts} was given, of {math.prod(counts):,} points: give "
            f"{MOST_POINTS:,} at most, as shape=."
        )
    # The points of DCT-II: the middles of equal cells.
    axes = [
        low + (high - low) * (np.arange(n) + 0.5) / n
        for low, high, n in zip(box.lower, box.upper, counts, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    bare = Objective((unscaled(find_term(objective, term), grid),), objective.shapes)
    rows = np.concatenate(list(jacobian_blocks(bare, jnp.asarray(at))))
    values, vectors = decompose(rows)
    waves: Any = scipy.fft.dctn(
        vectors.T.reshape(-1, *counts), axes=tuple(range(1, d + 1)), norm="ortho"
    )
    power = waves.reshape(len(values), -1) ** 2
    power /= power.sum(axis=1, keepdims=True)
    numbers = np.meshgrid(*(np.arange(n) for n in counts), indexing="ij")
    lengths = np.sqrt(sum(np.square(each, dtype=float) for each in numbers)).ravel()
    bins = np.rint(lengths).astype(int)
    binned = np.stack([np.bincount(bins, weights=row) for row in power])
    return ModeSpectrum(values, power @ lengths, binned, grid, vectors, tuple(counts))


def error_of(looked_at: Study, theta: Any) -> Float[np.ndarray, "n m"]:
    """`error_at` of what diagnostics look at, in float64."""
    points, exact = _reference_at_points(looked_at)
    # Compiled once for all parameters.
    network = jax.tree_util.Partial(_solution(looked_at), jnp.asarray(theta))
    return evaluate_function(network, points) - exact


def _solution(looked_at: Study) -> Callable[[Any, Any], Any]:
    assert looked_at.solution is not None, "a study by hand has no network"
    return looked_at.solution


def _reference_at_points(looked_at: Study) -> tuple[np.ndarray, np.ndarray]:
    """The points of the equation, and the reference there."""
    from pinnzoo.evaluation import require_reference

    points = np.asarray(find_term(looked_at.objective, EQUATION).points)
    return points, require_reference(looked_at.problem)(points)


def error_at(entry: Entry, theta: Any = None) -> Float[np.ndarray, "n m"]:
    """Network minus reference at the points of the equation.

    Args:
        entry: An entry whose problem has a reference.
        theta: Flat parameters; those of the entry by default.

    Raises:
        PinnzooError: The problem has no reference.

    Example:
        >>> pinnzoo.analysis.error_at(entry).shape[1] == len(entry.problem.components)
        True
    """
    points, exact = _reference_at_points(study(entry))
    return entry.predict(points, theta) - exact


def error_modes(source: Entry | Study, theta: Any = None) -> Modes:
    """Modes of the kernel of the field's values, and the error in them.

    `K = J Jᵀ` with `J = ∂u/∂θ` at the points of the equation, all components below one another: a
    fit of the values by gradient flow would move the error by `de/dt = -K e`. The kernel of the
    residual moves `L e` instead, so that its modes say nothing of which parts of e are learned.

    Args:
        source: An entry whose problem has a reference, or what diagnostics look at.
        theta: Flat parameters; those of the entry, or the last ones, by default.

    Returns:
        Modes whose `residual` is the error, and whose points are named by the components.

    Raises:
        PinnzooError: The problem has no reference.
        PrecisionError: Not everything is float64.

    Example:
        >>> found = error_modes(entry)
        >>> bool(found.cumulative_share()[-1].round(9) == 1)
        True
    """
    looked_at = study(source) if isinstance(source, Entry) else source
    at = jnp.asarray(looked_at.final if theta is None else theta)
    error = error_of(looked_at, at)
    names = looked_at.problem.components
    fields = Objective(_values(looked_at, names), looked_at.objective.shapes)
    values, vectors = decompose(np.concatenate(list(jacobian_blocks(fields, at))))
    points = {each.name: np.asarray(each.points) for each in fields.terms}
    return Modes(values, vectors, vectors.T @ error.T.ravel(), points)


def _values(looked_at: Study, names: Sequence[str]) -> tuple[Term, ...]:
    """The components of the field at the points of the equation, as terms without weights."""
    points = find_term(looked_at.objective, EQUATION).points
    network, one = _solution(looked_at), jnp.ones((), points.dtype)
    kept: dict[str, Any] = looked_at.shared.setdefault("components", {})
    for k, name in enumerate(names):
        # The same functions for all parameters, so that they are compiled once.
        kept.setdefault(name, lambda theta, z, k=k: network(theta, z)[k])
    return tuple(Term(points, one, name, kept[name]) for name in names)
