"""Damped linear least squares, one factorization for many dampings.

All of them solve `min_δ |J δ + r|² + λ |D δ|²`, that is `(Jᵀ J + λ D²) δ = -Jᵀ r`, with `D`
diagonal. On a CPU they call LAPACK through SciPy on the memory that JAX already holds: XLA's own
double precision product was measured at a third of a BLAS `dsyrk` at (n, p) = (8000, 2000), and
XLA has no triangular-pentagonal QR. On an accelerator all but the SVD run on the device, with
matrix products and Cholesky factorizations in the place of QR.
"""

import abc
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array
from scipy.linalg import blas, lapack

from pinnzoo._threads import threads_for
from pinnzoo.errors import UnknownNameError
from pinnzoo.precision import product

BLOCK = 32
"""Panel width of the blocked triangular-pentagonal QR."""

CHOLESKY_FLOOR = 1e3
"""Cholesky is used while λ exceeds this many rounding errors of ‖JᵀJ‖."""

SHIFT = 4.0
"""The shift s of `DeviceQR` in rounding errors of the sum of the squares of all columns."""

REFINEMENTS = 3
"""Each takes the error by as many digits as the factor of the damped matrix has."""

LEAST_PIVOT = 100.0
"""Of a factor in whitened coordinates with a diagonal of one, in roots of a rounding error: below,
rounding decides what its smallest pivot is."""

CONVERGED = 1e-4
"""The last refinement, in whitened coordinates and relative to the solution, is below this."""


class AbstractDampedSystem(abc.ABC):
    """A factorization of `J` that solves for any damping.

    Attributes:
        gradient: `Jᵀ r`.
        norm: A bound from above on ‖Jᵀ J‖, at most p times too large.
    """

    gradient: Any
    norm: float

    @abc.abstractmethod
    def solve(self, damping: float) -> Any:
        """The step `δ(λ)`.

        Raises:
            np.linalg.LinAlgError: The damped matrix is not positive definite in floating point.
        """

    @abc.abstractmethod
    def solve_gradient(self, damping: float, gradient: Any) -> Any:
        """`-(Jᵀ J + λ D²)⁻¹ g` for another right-hand side, such as a curvature correction."""


def _host(array: Any) -> np.ndarray:
    """A NumPy view of an array, without a copy where JAX keeps it in host memory."""
    return np.asarray(array)


def _factorize(matrix: np.ndarray, diagonal: np.ndarray, out: np.ndarray) -> Any:
    """The Cholesky factor of a matrix with another diagonal, in the memory of `out`.

    Both are in Fortran's order, and of `matrix` the lower triangle counts. The same memory serves
    all dampings: touching fresh one takes as long as the factorization.

    Raises:
        np.linalg.LinAlgError: It is not positive definite in floating point.
    """
    np.copyto(out, matrix)
    np.fill_diagonal(out, diagonal)
    with threads_for(len(out) ** 3 / 6):
        return scipy.linalg.cho_factor(out, lower=True, overwrite_a=True, check_finite=False)


class HostCholesky(AbstractDampedSystem):
    """Normal equations: one `dsyrk`, then one `dpotrf` per damping.

    The fastest form for n ≥ p. It squares the condition number, so the step loses its accuracy
    where λ comes near to rounding times ‖JᵀJ‖.
    """

    def __init__(self, jacobian: Any, residual: Any, scaling: np.ndarray):
        """Form the Gauss-Newton matrix; `scaling` is the diagonal of D."""
        rows = _host(jacobian)
        self.gradient = rows.T @ _host(residual)
        (syrk,) = blas.get_blas_funcs(("syrk",), (rows,))
        # rows.T is Fortran-contiguous, which spares the copy.
        with threads_for(rows.size * rows.shape[1] / 2):
            self.matrix = syrk(1.0, rows.T, lower=1)
        self.diagonal = self.matrix.diagonal().copy()
        self._damped = np.empty_like(self.matrix)
        self.norm = float(self.diagonal.sum())
        self.squared_scaling = scaling**2
        self._last: tuple[float, Any] | None = None

    def _factor(self, damping: float) -> Any:
        if self._last is None or self._last[0] != damping:
            diagonal = self.diagonal + damping * self.squared_scaling
            self._last = None
            self._last = (damping, _factorize(self.matrix, diagonal, self._damped))
        return self._last[1]

    def solve_gradient(self, damping: float, gradient: Any) -> np.ndarray:
        """See the base class."""
        return -scipy.linalg.cho_solve(self._factor(damping), gradient, check_finite=False)

    def solve(self, damping: float) -> np.ndarray:
        """See the base class."""
        return self.solve_gradient(damping, self.gradient)


class HostKernel(AbstractDampedSystem):
    """Kernel form, `δ = -D⁻² Jᵀ (J D⁻² Jᵀ + λ I)⁻¹ r`: the solve is with the NTK itself.

    The fastest form for n < p. By the push-through identity it is the same step.
    """

    def __init__(self, jacobian: Any, residual: Any, scaling: np.ndarray):
        """Form the kernel; `scaling` is the diagonal of D."""
        rows = _host(jacobian)
        self.residual = _host(residual)
        self.gradient = rows.T @ self.residual
        self.inverse_scaling = 1 / scaling
        self.scaled = rows * self.inverse_scaling
        (syrk,) = blas.get_blas_funcs(("syrk",), (rows,))
        with threads_for(rows.size * len(rows) / 2):
            self.matrix = syrk(1.0, self.scaled.T, trans=1, lower=1)
        self.diagonal = self.matrix.diagonal().copy()
        self._damped = np.empty_like(self.matrix)
        self.norm = float(np.sum(rows**2))
        self._last: tuple[float, Any] | None = None

    def _factor(self, damping: float) -> Any:
        if self._last is None or self._last[0] != damping:
            self._last = None
            self._last = (damping, _factorize(self.matrix, self.diagonal + damping, self._damped))
        return self._last[1]

    def solve(self, damping: float) -> np.ndarray:
        """See the base class."""
        dual = scipy.linalg.cho_solve(self._factor(damping), self.residual, check_finite=False)
        return -self.inverse_scaling * (self.scaled.T @ dual)

    def solve_gradient(self, damping: float, gradient: Any) -> np.ndarray:
        """See the base class; by the Woodbury identity."""
        scaled = self.inverse_scaling * gradient
        dual = scipy.linalg.cho_solve(
            self._factor(damping), self.scaled @ scaled, check_finite=False
        )
        return -self.inverse_scaling * (scaled - self.scaled.T @ dual) / damping


class HostQR(AbstractDampedSystem):
    """QR of `J` once, then a triangular-pentagonal QR of `[R; √λ D]` per damping.

    Does not square the condition number: the form to use near rounding. The second factorization
    (LAPACK `dtpqrt`) uses that both blocks are triangular and costs a tenth of a full one.
    """

    def __init__(self, jacobian: Any, residual: Any, scaling: np.ndarray):
        """Factorize `[J r]`; `scaling` is the diagonal of D."""
        rows, r = _host(jacobian), _host(residual)
        n, p = rows.shape
        self.gradient = rows.T @ r
        self.norm = float(np.einsum("ij,ij->", rows, rows))
        # Rows of zeros make a wide matrix tall; they change no solution.
        augmented = np.zeros((max(n, p + 1), p + 1), rows.dtype, order="F")
        augmented[:n, :p], augmented[:n, p] = rows, r
        self._tpqrt, self._tpmqrt, geqrf = lapack.get_lapack_funcs(
            ("tpqrt", "tpmqrt", "geqrf"), (augmented,)
        )
        with threads_for(n * p * p):
            packed, *_ = geqrf(augmented, lwork=64 * (p + 1), overwrite_a=1)
        self.r_factor = np.asfortranarray(np.triu(packed[:p, :p]))
        self.c = np.asfortranarray(packed[:p, p : p + 1])
        self.scaling = scaling
        self._last: tuple[float, Any, Any] | None = None

    def _factor(self, damping: float) -> tuple[Any, Any]:
        if self._last is None or self._last[0] != damping:
            p = len(self.c)
            bottom = np.asfortranarray(np.diag(np.sqrt(damping) * self.scaling))
            # In one thread: of many small products, threads gain a tenth, or wait for one another.
            r_damped, v, t, _ = self._tpqrt(p, min(BLOCK, p), self.r_factor, bottom)
            c_damped, _, _ = self._tpmqrt(
                p, v, t, self.c, np.zeros_like(self.c), side="L", trans="T"
            )
            self._last = (damping, np.triu(r_damped), c_damped[:, 0])
        return self._last[1], self._last[2]

    def solve(self, damping: float) -> np.ndarray:
        """See the base class."""
        r_damped, c_damped = self._factor(damping)
        return -scipy.linalg.solve_triangular(r_damped, c_damped, check_finite=False)

    def solve_gradient(self, damping: float, gradient: Any) -> np.ndarray:
        """See the base class; by the semi-normal equations."""
        r_damped, _ = self._factor(damping)
        half = scipy.linalg.solve_triangular(r_damped, gradient, trans=1, check_finite=False)
        return -scipy.linalg.solve_triangular(r_damped, half, check_finite=False)


class HostSVD(AbstractDampedSystem):
    """SVD of `J D⁻¹` through its QR: expensive once, and nearly free for each further damping."""

    def __init__(self, jacobian: Any, residual: Any, scaling: np.ndarray):
        """Factorize; `scaling` is the diagonal of D."""
        rows, r = _host(jacobian), _host(residual)
        self.gradient = rows.T @ r
        self.norm = float(np.einsum("ij,ij->", rows, rows))
        self.inverse_scaling = 1 / scaling
        if not np.isfinite(self.norm):
            # LAPACK would raise. As with the other factorizations every step is NaN, and rejected.
            k = min(rows.shape)
            self.values, self.c = np.full(k, np.nan), np.full(k, np.nan)
            self.vt = np.full((k, rows.shape[1]), np.nan)
            return
        with threads_for(rows.size * rows.shape[1]):
            q, upper = np.linalg.qr(rows * self.inverse_scaling)
            u, self.values, self.vt = scipy.linalg.svd(
                upper, full_matrices=False, overwrite_a=True, check_finite=False
            )
        self.c = u.T @ (q.T @ r)

    def solve(self, damping: float) -> np.ndarray:
        """See the base class."""
        filtered = self.values / (self.values**2 + damping) * self.c
        return -self.inverse_scaling * (self.vt.T @ filtered)

    def solve_gradient(self, damping: float, gradient: Any) -> np.ndarray:
        """See the base class."""
        scaled = self.inverse_scaling * gradient
        inside = self.vt @ scaled
        outside = (scaled - self.vt.T @ inside) / damping
        step = self.vt.T @ (inside / (self.values**2 + damping)) + outside
        return -self.inverse_scaling * step


@jax.jit
def squared_norms(jacobian: Any) -> Array:
    """Squared norms of the columns of a Jacobian, where it is."""
    return jnp.sum(jacobian**2, axis=0)


@jax.jit
def _device_normal(jacobian: Array, residual: Array) -> tuple[Array, Array]:
    return product(jacobian.T, jacobian), product(jacobian.T, residual)


@jax.jit
def _device_kernel(rows: Array) -> Array:
    return product(rows, rows.T)


@jax.jit
def _device_cholesky(matrix: Array, diagonal: Array) -> Array:
    return jnp.linalg.cholesky(matrix + jnp.diag(diagonal), symmetrize_input=False)


@jax.jit
def _device_cholesky_solve(factor: Array, right: Array) -> Array:
    return jax.scipy.linalg.cho_solve((factor, True), right)


@jax.jit
def _device_triangle(rows: Array, right: Array) -> tuple[Array, Array]:
    """R and `Qᵀb` of `A = QR`; without Q, which would take as long to form as R."""
    p = rows.shape[1]
    augmented = jnp.concatenate([rows, right[:, None]], axis=1)
    if len(rows) <= p:
        # Rows of zeros make a wide matrix tall; they change no solution.
        augmented = jnp.pad(augmented, ((0, p + 1 - len(rows)), (0, 0)))
    triangle = jnp.linalg.qr(augmented, mode="r")
    return triangle[:p, :p], triangle[:p, p]


@jax.jit
def _device_damped_triangle(upper: Array, c: Array, diagonal: Array) -> tuple[Array, Array]:
    stacked = jnp.concatenate([upper, jnp.diag(jnp.sqrt(diagonal))])
    return _device_triangle(stacked, jnp.concatenate([c, jnp.zeros_like(c)]))


@jax.jit
def _device_triangular_solve(upper: Array, right: Array) -> Array:
    return jax.scipy.linalg.solve_triangular(upper, right)


@jax.jit
def _device_seminormal_solve(upper: Array, right: Array) -> Array:
    half = jax.scipy.linalg.solve_triangular(upper, right, trans="T")
    return jax.scipy.linalg.solve_triangular(upper, half)


class DeviceCholesky(AbstractDampedSystem):
    """`HostCholesky` in JAX, for accelerators."""

    def __init__(self, jacobian: Any, residual: Any, scaling: Any):
        """Form the Gauss-Newton matrix on the device."""
        self.matrix, self.gradient = _device_normal(jacobian, residual)
        self.norm = float(jnp.trace(self.matrix))
        self.squared_scaling = jnp.asarray(scaling) ** 2
        self._last: tuple[float, Array] | None = None

    def _factor(self, damping: float) -> Array:
        if self._last is None or self._last[0] != damping:
            factor = _device_cholesky(self.matrix, damping * self.squared_scaling)
            self._last = (damping, _finite(factor))
        return self._last[1]

    def solve_gradient(self, damping: float, gradient: Any) -> Array:
        """See the base class."""
        return -_device_cholesky_solve(self._factor(damping), gradient)

    def solve(self, damping: float) -> Array:
        """See the base class."""
        return self.solve_gradient(damping, self.gradient)


class DeviceKernel(AbstractDampedSystem):
    """`HostKernel` in JAX, for accelerators."""

    def __init__(self, jacobian: Any, residual: Any, scaling: Any):
        """Form the kernel on the device."""
        self.inverse_scaling = 1 / jnp.asarray(scaling)
        self.scaled = jacobian * self.inverse_scaling[None, :]
        self.residual = residual
        self.matrix = _device_kernel(self.scaled)
        self.gradient = product(jacobian.T, residual)
        self.norm = float(jnp.sum(jacobian**2))
        self._last: tuple[float, Array] | None = None

    def _dual(self, damping: float, right: Any) -> Array:
        if self._last is None or self._last[0] != damping:
            factor = _device_cholesky(self.matrix, jnp.full(len(right), damping))
            self._last = (damping, _finite(factor))
        return _device_cholesky_solve(self._last[1], right)

    def solve(self, damping: float) -> Array:
        """See the base class."""
        dual = self._dual(damping, self.residual)
        return -self.inverse_scaling * product(self.scaled.T, dual)

    def solve_gradient(self, damping: float, gradient: Any) -> Array:
        """See the base class."""
        scaled = self.inverse_scaling * gradient
        dual = self._dual(damping, product(self.scaled, scaled))
        return -self.inverse_scaling * (scaled - product(self.scaled.T, dual)) / damping


class DeviceQR(AbstractDampedSystem):
    """The accuracy of `HostQR` by matrix products and Cholesky factorizations, for accelerators.

    A QR of (10000, 3300) takes an H200 39 ms, and each damping another 30 ms. So J is whitened by
    a shifted Cholesky factor once (Fukaya, Kannan, Nakatsukasa, Yamamoto and Yanagisawa, "Shifted
    Cholesky QR", SIAM J. Sci. Comput. 42, 2020): `R = chol(JᵀJ + sI)`, `Q = J R⁻¹`, in 19 ms. The
    damped normal equations in these coordinates, `QᵀQ + λ (D R⁻¹)ᵀ(D R⁻¹)`, have a condition
    number that their Cholesky factor withstands. What it loses, refinement with the residual of
    the least squares brings back, as in the corrected semi-normal equations (Björck, Linear
    Algebra Appl. 88, 1987), in 7 ms for each damping. Where the factor has too few digits, or
    refinement does not converge, the QR is taken.
    """

    def __init__(self, jacobian: Any, residual: Any, scaling: Any):
        """Whiten J on the device."""
        self.jacobian, self.residual = jacobian, residual
        self.squared_scaling = jnp.asarray(scaling, jacobian.dtype) ** 2
        self.gradient = product(jacobian.T, residual)
        columns = squared_norms(jacobian)
        self.norm = float(jnp.sum(columns))
        self._whitened = None
        if self.norm > 0:
            self._whitened = _device_whitened(jacobian, columns, self.squared_scaling)
        self._triangle: tuple[Array, Array] | None = None
        self._last: tuple[float, tuple[Array, Array], bool] | None = None

    def _factor(self, damping: float) -> tuple[tuple[Array, Array], bool]:
        """A factor for this damping, and whether it is that of whitened coordinates."""
        last = self._last
        if last is None or last[0] != damping:
            last = self._last = (damping, *self._factorize(damping))
        return last[1], last[2]

    def _factorize(self, damping: float) -> tuple[tuple[Array, Array], bool]:
        if self._whitened is not None:
            whitening, matrix, penalty = self._whitened
            lower = _device_whitened_factor(matrix, penalty, damping)
            if bool(_device_is_accurate(lower)):
                return (whitening, lower), True
        return self._by_qr(damping), False

    def _by_qr(self, damping: float) -> tuple[Array, Array]:
        triangle = self._triangle or _device_triangle(self.jacobian, self.residual)
        self._triangle = triangle
        return _device_damped_triangle(*triangle, damping * self.squared_scaling)

    def _refined(self, damping: float, gradient: Any, residual: Any) -> Array | None:
        """A solution in whitened coordinates, or None where it has to be that of the QR."""
        factor, whitened = self._factor(damping)
        if not whitened:
            return None
        diagonal = damping * self.squared_scaling
        step, change = _device_refined_solve(factor, self.jacobian, diagonal, gradient, residual)
        # NaN compares as False.
        if float(change) < CONVERGED:
            return step
        self._last = (damping, self._by_qr(damping), False)
        return None

    def solve(self, damping: float) -> Array:
        """See the base class."""
        step = self._refined(damping, self.gradient, self.residual)
        return -_device_triangular_solve(*self._factor(damping)[0]) if step is None else step

    def solve_gradient(self, damping: float, gradient: Any) -> Array:
        """See the base class; by the semi-normal equations."""
        step = self._refined(damping, gradient, None)
        if step is None:
            return -_device_seminormal_solve(self._factor(damping)[0][0], gradient)
        return step


@jax.jit
def _device_whitened(
    jacobian: Array, columns: Array, squared_scaling: Array
) -> tuple[Array, Array, Array]:
    """W = E⁻¹R⁻¹ with `RᵀR = E⁻¹JᵀJE⁻¹ + sI`, then `(JW)ᵀJW` and `(DW)ᵀDW`.

    E makes the columns of J of one length, apart from those that nearly vanish: blown up, they
    would drown all others in `(DW)ᵀDW`. `columns` are the squared norms of the columns.
    """
    norms = jnp.sqrt(columns)
    equal = 1 / jnp.maximum(norms, 1e-6 * jnp.max(norms))
    scaled = jacobian * equal[None, :]
    eps = jnp.finfo(jacobian.dtype).eps
    shift = SHIFT * eps * jnp.sum(scaled**2)
    unit = jnp.eye(len(norms), dtype=jacobian.dtype)
    upper = jnp.linalg.cholesky(
        product(scaled.T, scaled) + shift * unit, upper=True, symmetrize_input=False
    )
    whitening = equal[:, None] * jax.scipy.linalg.solve_triangular(upper, unit)
    white = product(jacobian, whitening)
    penalty = jnp.sqrt(squared_scaling)[:, None] * whitening
    return whitening, product(white.T, white), product(penalty.T, penalty)


@jax.jit
def _device_whitened_factor(matrix: Array, penalty: Array, damping: Any) -> Array:
    return jnp.linalg.cholesky(matrix + damping * penalty, symmetrize_input=False)


@jax.jit
def _device_is_accurate(lower: Array) -> Array:
    """Whether a Cholesky factor is finite and its pivots stand above the rounding of the matrix."""
    # Those of the matrix with a diagonal of one, which is what its rounding errors depend on.
    pivots = lower.diagonal() / jnp.linalg.norm(lower, axis=1)
    # NaN compares as False.
    return jnp.min(pivots) > LEAST_PIVOT * jnp.sqrt(jnp.finfo(lower.dtype).eps)


@jax.jit
def _device_refined_solve(
    factor: tuple[Array, Array],
    jacobian: Array,
    diagonal: Array,
    gradient: Array,
    residual: Array | None,
) -> tuple[Array, Array]:
    """`-(JᵀJ + λD²)⁻¹ g`, of which `g = Jᵀr` is formed anew from `r + Jδ` where r is given.

    Also how much the last refinement has changed it, relative and in whitened coordinates.
    """
    whitening, lower = factor

    def correction(gradient: Array) -> Array:
        return -jax.scipy.linalg.cho_solve((lower, True), product(whitening.T, gradient))

    inside = change = correction(gradient)
    step = product(whitening, inside)
    for _ in range(REFINEMENTS):
        moved = product(jacobian, step)
        if residual is None:
            rest = gradient + product(jacobian.T, moved)
        else:
            rest = product(jacobian.T, residual + moved)
        change = correction(rest + diagonal * step)
        inside = inside + change
        step = step + product(whitening, change)
    return step, jnp.linalg.norm(change) / jnp.linalg.norm(inside)


def _finite(factor: Array) -> Array:
    """The factor, or LAPACK's error: JAX gives NaN where a matrix is not positive definite."""
    if not bool(jnp.isfinite(factor.diagonal()).all()):
        raise np.linalg.LinAlgError("the damped matrix is not positive definite")
    return factor


HOST_METHODS: dict[str, Callable[..., AbstractDampedSystem]] = {
    "cholesky": HostCholesky,
    "kernel": HostKernel,
    "qr": HostQR,
    "svd": HostSVD,
}

DEVICE_METHODS: dict[str, Callable[..., AbstractDampedSystem]] = {
    "cholesky": DeviceCholesky,
    "kernel": DeviceKernel,
    "qr": DeviceQR,
}

METHODS = ("auto", *HOST_METHODS)


def compress_rows(blocks: Iterable[tuple[Any, Any]], backend: str | None = None) -> tuple[Any, Any]:
    """The triangle that stands for a Jacobian too tall to hold: `(R, c)` with `J = QR`, `c = Qᵀr`.

    `|Jδ + r|² = |Rδ + c|² + constant`, so that every damped system of `(R, c)` has the steps of
    `(J, r)`. Blocks of rows are folded into the triangle one by one (sequential TSQR; Demmel,
    Grigori, Hoemmen and Langou 2012, section 4), which does not square the condition number.

    Args:
        blocks: Pairs of rows of J, `(k, p)`, and of r, `(k,)`; at least one.
        backend: As in `damped_system`.

    Returns:
        R, `(p, p)`, and c, `(p,)`.
    """
    triangle: Any = None
    for jacobian, residual in blocks:
        if (backend or default_backend()) == "host":
            triangle = _fold_on_host(triangle, _host(jacobian), _host(residual))
        else:
            augmented = jnp.concatenate([jacobian, residual[:, None]], axis=1)
            triangle = _fold_on_device(triangle, augmented)
    return triangle[:-1, :-1], triangle[:-1, -1]


def _fold_on_host(triangle: Any, jacobian: np.ndarray, residual: np.ndarray) -> np.ndarray:
    n, p = jacobian.shape
    block = np.empty((n, p + 1), jacobian.dtype, order="F")
    block[:, :p], block[:, p] = jacobian, residual
    if triangle is None:
        triangle = np.zeros((p + 1, p + 1), jacobian.dtype, order="F")
    (tpqrt,) = lapack.get_lapack_funcs(("tpqrt",), (block,))
    # The block is rectangular: none of its rows belongs to a lower trapezoid.
    folded, *_ = tpqrt(0, min(BLOCK, p + 1), triangle, block, overwrite_a=1, overwrite_b=1)
    return folded


@jax.jit
def _fold_on_device(triangle: Array | None, augmented: Array) -> Array:
    p = augmented.shape[1]
    if triangle is None:
        triangle = jnp.zeros((p, p), augmented.dtype)
    return jnp.linalg.qr(jnp.concatenate([triangle, augmented]), mode="r")


def default_backend() -> str:
    """The backend that is used by default: "host" where JAX computes on the CPU."""
    return "host" if jax.default_backend() == "cpu" else "device"


def choose_method(n: int, p: int, relative_damping: float, dtype: Any) -> str:
    """The cheapest form that is accurate: by shape, then by conditioning.

    The kernel for n < p and the normal equations otherwise, both only while the damping stands
    well above the rounding error of the matrix they form; QR below that.

    Args:
        n: Rows of J.
        p: Columns of J.
        relative_damping: λ / ‖JᵀJ‖ of the last step.
        dtype: Type of J.
    """
    if relative_damping < CHOLESKY_FLOOR * float(np.finfo(dtype).eps):
        return "qr"
    return "kernel" if n < p else "cholesky"


def damped_system(
    jacobian: Any, residual: Any, *, method: str, scaling: Any, backend: str | None = None
) -> AbstractDampedSystem:
    """Factorize `J` for damped solves.

    Args:
        jacobian: J, `(n, p)`.
        residual: r, `(n,)`.
        method: "cholesky", "kernel", "qr" or "svd" (host only).
        scaling: Diagonal of D, `(p,)`.
        backend: "host" for LAPACK or "device" for JAX; by default LAPACK where JAX computes on
            the CPU.

    Raises:
        UnknownNameError: There is no such method on the backend.
    """
    backend = backend or default_backend()
    table = HOST_METHODS if backend == "host" else DEVICE_METHODS
    if method not in table:
        raise UnknownNameError.of("damped solve", method, table)
    if backend == "host":
        scaling = np.asarray(scaling)
    return table[method](jacobian, residual, scaling)
