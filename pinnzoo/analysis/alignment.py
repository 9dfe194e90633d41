"""How alike two kernels are, and how well a kernel fits what is to be learned."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pinnzoo.errors import PointsError
from pinnzoo.registry import check_switches

TINY = float(np.finfo(float).tiny)
"""Below this, a kernel is zero."""


def kernel_alignment(first: Any, second: Any, *, centered: bool = True) -> float:
    """Alignment of two kernels, between 0 and 1; 1 where one is a multiple of the other.

    Of matrices that are no kernels it may be negative, down to -1.

    It is 0 where one of them is zero once it is centered, as a constant one is.

    `⟨K, K'⟩ / (‖K‖ ‖K'‖)` in the Frobenius norm, of the centered kernels: centered kernel alignment
    (Cortes, Mohri and Rostamizadeh 2012), the linear CKA of Kornblith et al. 2019. Unlike a
    drift it does not see that all of a kernel has grown.

    Args:
        first: A kernel, `(n, n)`.
        second: Another one on the same points.
        centered: Take the means of rows and columns off first.

    Raises:
        PointsError: The kernels are not square matrices of one size, or not finite.

    Example:
        >>> kernel_alignment(np.diag([1.0, 2.0]), np.diag([2.0, 4.0]))
        1.0
    """
    k, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if k.ndim != 2 or k.shape[0] != k.shape[1] or k.shape != other.shape:
        raise PointsError(
            f"kernels of shapes {k.shape} and {other.shape} were given: give two square matrices "
            "of one size."
        )
    _check_finite(k, other)
    # Their squares neither overflow nor vanish then.
    k, other = (each / max(np.abs(each).max(initial=0.0), TINY) for each in (k, other))
    check_switches(centered=centered)
    if centered:
        k, other = _centered(k), _centered(other)
    bottom = np.linalg.norm(k) * np.linalg.norm(other)
    return float(np.clip(np.sum(k * other) / bottom, -1, 1)) if bottom > 0 else 0.0


def _check_finite(*given: np.ndarray) -> None:
    """Raise where an alignment would be that of no numbers.

    Raises:
        PointsError: A number is NaN or infinite.
    """
    if not all(np.isfinite(array).all() for array in given):
        raise PointsError(
            "kernels or targets with numbers that are NaN or infinite were given: give finite ones."
        )


def _normalised(kernel: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    norm = np.linalg.norm(kernel)
    return kernel / norm if norm > 0 else kernel


def _centered(kernel: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    rows = kernel - kernel.mean(axis=0, keepdims=True)
    return rows - rows.mean(axis=1, keepdims=True)


def target_alignment(kernel: Any, target: Any) -> float:
    """Alignment of a kernel with the kernel `y yᵀ` of what is to be learned.

    `yᵀ K y / (‖K‖ |y|²)` (Cristianini et al. 2001): 1 where y is the only mode of the kernel. For
    training on a residual, y is the residual that has to go.

    Args:
        kernel: K, `(n, n)`.
        target: y, `(n,)`.

    Raises:
        PointsError: The shapes do not fit, or a number is not finite.

    Example:
        >>> target_alignment(np.diag([1.0, 0.0]), [1.0, 0.0])
        1.0
    """
    k, y = np.asarray(kernel, np.float64), np.asarray(target, np.float64)
    if k.shape != 2 * y.shape:
        raise PointsError(
            f"a kernel of shape {k.shape} and a target of shape {y.shape} were given: give a "
            "square matrix and one value for each of its rows."
        )
    _check_finite(k, y)
    bottom = np.linalg.norm(k) * (y @ y)
    return float(np.clip(y @ k @ y / bottom, -1, 1)) if bottom > 0 else 0.0


@dataclass(frozen=True, eq=False)
class Alignments:
    """Alignment of the kernels of a training with each other and with what was to be learned.

    Attributes:
        steps: Steps of the snapshots, `(s,)`.
        kernels: CKA of the kernels at two steps, `(s, s)`.
        initial_residual: Alignment of each kernel with the residual of the first step.
        residual: Alignment of each kernel with the residual of its own step.
    """

    steps: Int[np.ndarray, " s"]
    kernels: Float[np.ndarray, "s s"]
    initial_residual: Float[np.ndarray, " s"]
    residual: Float[np.ndarray, " s"]

    def settled_from(self, threshold: float = 0.99) -> int | None:
        """The first step whose kernel is that of the end, up to its size: CKA at the threshold.

        Args:
            threshold: What alignment counts as the same.

        Returns:
            None where only the last kernel is like itself, so that it never settled.
        """
        moved = np.flatnonzero(self.kernels[:-1, -1] < threshold)
        first = int(moved[-1]) + 1 if len(moved) else 0
        return int(self.steps[first]) if first < len(self.steps) - 1 else None


def alignments(steps: Any, kernels: Any, residuals: Any) -> Alignments:
    """Alignments of kernels at several steps.

    Args:
        steps: `(s,)`.
        kernels: K at each step, `(s, n, n)`.
        residuals: r at each step, `(s, n)`.

    Example:
        >>> found = alignments([0, 1], [np.eye(2), 2 * np.eye(2)], np.ones((2, 2)))
        >>> found.kernels.round(12).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    s = len(kernels)
    matrix = np.ones((s, s))
    # Each kernel is centered once, not once for each other.
    ready = [_normalised(_centered(np.asarray(kernel, np.float64))) for kernel in kernels]
    for i in range(s):
        for j in range(i):
            matrix[i, j] = matrix[j, i] = np.clip(np.vdot(ready[i], ready[j]), -1, 1)
    return Alignments(
        np.asarray(steps),
        matrix,
        np.array([target_alignment(k, residuals[0]) for k in kernels]),
        np.array([target_alignment(k, r) for k, r in zip(kernels, residuals, strict=True)]),
    )
