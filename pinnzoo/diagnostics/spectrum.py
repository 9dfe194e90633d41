"""Eigenvalues of symmetric matrices: dense on the host, or from products with vectors.

Convention of the whole package: eigenvalues are those of the matrix that is named, without further
factors, in descending order. Dense spectra come from LAPACK through NumPy, in float64.
"""

from collections.abc import Callable, Generator
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.linalg
from jaxtyping import Float

from pinnzoo.errors import PointsError, UnknownNameError

Product: TypeAlias = Callable[[Float[np.ndarray, " p"]], Float[np.ndarray, " p"]]
"""A symmetric matrix, as its product with a vector."""

Products: TypeAlias = Callable[[Float[np.ndarray, "n p"]], Float[np.ndarray, "n p"]]
"""As many symmetric matrices as there are rows, each multiplied by its row."""

NORMS = ("spectral", "frobenius")

DENSE_NORM = 500
"""Above this size Lanczos finds a spectral norm several times faster than LAPACK."""

CHECK_EVERY = 10
"""Lanczos steps between two looks at the Ritz values."""


def eigenvalues(matrix: Float[np.ndarray, "p p"]) -> Float[np.ndarray, " p"]:
    """All eigenvalues of a symmetric matrix, descending."""
    return np.linalg.eigvalsh(matrix)[::-1].copy()


def gram_eigenvalues(rows: Float[np.ndarray, "n p"]) -> Float[np.ndarray, " n"]:
    """All n eigenvalues of `A Aᵀ`, descending: the squared singular values of A and zeros.

    Forming `A Aᵀ` first would bury everything below rounding times the largest eigenvalue; this
    way eigenvalues are good to sixteen further digits and none is negative.
    """
    values = np.zeros(len(rows))
    singular = np.linalg.svd(rows, compute_uv=False)
    values[: len(singular)] = singular**2
    return values


def matrix_norm(matrix: Float[np.ndarray, "p p"], norm: str = "spectral") -> float:
    """Norm of a symmetric matrix.

    Args:
        matrix: The matrix.
        norm: "spectral", the largest |eigenvalue| (‖·‖ in arXiv 2402.03864), or "frobenius".

    Raises:
        UnknownNameError: There is no such norm.
    """
    if norm not in NORMS:
        raise UnknownNameError.of("norm", norm, NORMS)
    if norm == "frobenius":
        return float(np.linalg.norm(matrix))
    if len(matrix) > DENSE_NORM:
        found = lanczos(matrix.__matmul__, len(matrix), ends="larger")
        if found.converged:
            return max(abs(found.largest), abs(found.smallest))
    return float(np.abs(np.linalg.eigvalsh(matrix)).max())


def effective_rank(values: Float[np.ndarray, "*s n"]) -> Float[np.ndarray, "*s"]:
    """Effective rank `exp(-Σ p_i ln p_i)` with `p_i = λ_i / Σ λ_j` (Roy and Vetterli 2007).

    Between 1, when one eigenvalue holds everything, and n, when all are equal; 0 for a matrix of
    zeros. Negative eigenvalues, which rounding can make, count as zero.

    Args:
        values: Eigenvalues along the last axis.

    Raises:
        PointsError: One is NaN or infinite.

    Example:
        >>> float(effective_rank(np.array([1.0, 1.0, 1.0, 1.0])).round(12))
        4.0
    """
    if not np.isfinite(values).all():
        raise PointsError("eigenvalues that are NaN or infinite were given: give finite ones.")
    positive = np.maximum(values, 0.0)
    total = positive.sum(axis=-1, keepdims=True)
    share = positive / np.where(total > 0, total, 1.0)
    entropy = -np.sum(share * np.log(np.where(share > 0, share, 1.0)), axis=-1)
    return np.where(total[..., 0] > 0, np.exp(entropy), 0.0)


class Extremes(NamedTuple):
    """The two ends of a spectrum.

    Attributes:
        largest: Largest Ritz value; at most the largest eigenvalue.
        smallest: Smallest Ritz value; at least the smallest eigenvalue.
        largest_error: Norm of the residual of its Ritz pair: an eigenvalue lies within.
        smallest_error: The same for the smallest.
        steps: Products that were taken.
        converged: Whether the errors asked for met the tolerance.
    """

    largest: float
    smallest: float
    largest_error: float
    smallest_error: float
    steps: int
    converged: bool


def lanczos(
    product: Product,
    p: int,
    *,
    tolerance: float = 1e-8,
    max_steps: int = 300,
    ends: str = "both",
    seed: int = 0,
) -> Extremes:
    """Extreme eigenvalues of a symmetric matrix from products with it.

    The method of Lanczos (Golub and Van Loan, Matrix Computations, algorithm 10.1.1) with full
    reorthogonalisation, so that no spurious copies of eigenvalues appear.

    Args:
        product: Multiplies a vector by the matrix.
        p: Size of the matrix.
        tolerance: Stop when the residuals are below this times the largest |Ritz value|.
        max_steps: Stop after this many products.
        ends: "both", or "larger" to stop as soon as the end of larger magnitude has converged.
        seed: Seed of the starting vector.

    Example:
        >>> matrix = np.diag(np.arange(1.0, 31.0))
        >>> ends = lanczos(lambda v: matrix @ v, 30)
        >>> round(ends.largest, 6), round(ends.smallest, 6)
        (30.0, 1.0)
    """
    (found,) = lanczos_together(
        lambda rows: np.asarray(product(rows[0]))[None],
        1,
        p,
        tolerance=tolerance,
        max_steps=max_steps,
        ends=ends,
        seed=seed,
    )
    return found


def lanczos_together(
    products: Products,
    count: int,
    p: int,
    *,
    tolerance: float = 1e-8,
    max_steps: int = 300,
    ends: str = "both",
    seed: int = 0,
) -> list[Extremes]:
    """`lanczos` for several matrices of one size, whose products are taken in one call.

    Args:
        products: Maps `(count, p)` to `(count, p)`: row i is multiplied by matrix i.
        count: How many matrices.
        p: Their size.
        tolerance: See `lanczos`; each matrix has its own end.
        max_steps: See `lanczos`.
        ends: See `lanczos`.
        seed: See `lanczos`; all begin with the same vector.
    """
    runs = [_lanczos(p, tolerance, min(p, max_steps), ends, seed) for _ in range(count)]
    vectors = np.stack([next(run) for run in runs])
    found: list[Extremes | None] = [None] * count
    while None in found:
        images = products(vectors)
        for i, run in enumerate(runs):
            if found[i] is None:
                try:
                    vectors[i] = run.send(images[i])
                except StopIteration as end:
                    found[i] = end.value
    return [extremes for extremes in found if extremes is not None]


def _lanczos(
    p: int, tolerance: float, max_steps: int, ends: str, seed: int
) -> Generator[np.ndarray, np.ndarray, Extremes]:
    """Yields a vector, is sent its product with the matrix, and so on; returns what was found."""
    basis = np.empty((max_steps + 1, p))
    start = np.random.default_rng(seed).standard_normal(p)
    basis[0] = start / np.linalg.norm(start)
    diagonal, off = np.empty(max_steps), np.empty(max_steps)
    for k in range(max_steps):
        new = np.array((yield basis[k]), dtype=np.float64)
        diagonal[k] = basis[k] @ new
        known = basis[: k + 1]
        # Twice is enough (Parlett, The Symmetric Eigenvalue Problem, section 6.9).
        for _ in range(2):
            new -= known.T @ (known @ new)
        off[k] = np.linalg.norm(new)
        size = max(np.abs(diagonal[: k + 1]).max(), off[: k + 1].max())
        invariant = off[k] <= p * np.finfo(np.float64).eps * size
        if not invariant:
            basis[k + 1] = new / off[k]
        if invariant or (k + 1) % CHECK_EVERY == 0 or k + 1 == max_steps:
            ritz, vectors = scipy.linalg.eigh_tridiagonal(diagonal[: k + 1], off[:k])
            low, high = off[k] * abs(vectors[-1, 0]), off[k] * abs(vectors[-1, -1])
            wanted = max(low, high)
            if ends == "larger":
                wanted = high if abs(ritz[-1]) >= abs(ritz[0]) else low
            converged = invariant or wanted <= tolerance * np.abs(ritz).max()
            if converged or k + 1 == max_steps:
                return Extremes(
                    float(ritz[-1]), float(ritz[0]), float(high), float(low), k + 1, bool(converged)
                )
    raise AssertionError("p is at least 1")


def estimate_trace(
    product: Product, p: int, *, probes: int = 90, seed: int = 0
) -> tuple[float, float]:
    """Trace of a symmetric matrix from products with it, and the standard error.

    Hutch++ (Meyer, Musco, Musco and Woodruff 2021, arXiv 2010.09649, algorithm 1): a third of the
    products finds the dominant subspace, where the trace is then exact, and Hutchinson's estimator
    sees only the rest.

    Args:
        product: Multiplies a vector by the matrix.
        p: Size of the matrix.
        probes: Products to take in all, six or more.
        seed: Seed of the random signs.

    Example:
        >>> trace, error = estimate_trace(lambda v: 2.0 * v, 30)
        >>> round(trace, 6)
        60.0
    """
    third = min(max(2, probes // 3), p)
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], size=(2, third, p))

    def times(rows: np.ndarray) -> np.ndarray:
        return np.stack([np.asarray(product(row)) for row in rows])

    q = np.linalg.qr(times(signs[0]).T)[0].T
    inside = float(np.sum(q * times(q)))
    rest = signs[1] - (signs[1] @ q.T) @ q
    samples = np.sum(rest * times(rest), axis=1)
    error = float(np.std(samples, ddof=1) / np.sqrt(third)) if third > 1 else 0.0
    return inside + float(samples.mean()), error
