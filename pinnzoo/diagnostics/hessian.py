"""Hessians: of the residual at one point, of the loss, and its Gauss-Newton part.

`H_r(x)`, the Hessian of the scalar residual at one point with respect to the parameters, is the
matrix of proposition 3.7 in Bonfanti, Bruno and Cipriani (arXiv 2402.03864). The loss
`L = ½ |r|²` has the Hessian `∇²L = Jᵀ J + Σ_i r_i H_i`, with the Gauss-Newton matrix `Jᵀ J` as its
first part; the second vanishes with the residual. Eigenvalues are those of the matrix itself,
descending.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnzoo._compiling import QUICK_COMPILE, QUICKEST_COMPILE
from pinnzoo._typing import Scalar, Theta
from pinnzoo.diagnostics._inputs import Vector, find_term, finite, in_float64, unscaled
from pinnzoo.diagnostics._programs import (
    Tick,
    begin_compiling,
    call,
    compile_for,
    silent,
)
from pinnzoo.diagnostics._rows import jacobian_blocks
from pinnzoo.diagnostics.spectrum import (
    Product,
    eigenvalues,
    estimate_trace,
    gram_eigenvalues,
    lanczos,
    lanczos_together,
    matrix_norm,
)
from pinnzoo.objective import EQUATION, Objective, Term

DENSE_LIMIT = 2500
"""Up to this many parameters a Hessian is formed; 50 MB in float64."""

SPARSITY_THRESHOLD = 1e-3
"""An entry of H_r below this times the largest entry counts as zero."""

SAMPLED_COLUMNS = 256
"""Columns of H_r that its sparsity is measured on above `DENSE_LIMIT` parameters."""

BASIS_BYTES = 2**28
"""Memory that the Lanczos vectors of the points that are handled together may take."""

ROWS_AT_ONCE = 8192
"""Rows times directions in one batch of products; larger batches leave the cache."""


def _single_row(term: Term, theta: Theta) -> Scalar:
    return term.rows(theta)[0]


ScalarOf = Callable[[Any, Theta], Scalar]


@functools.partial(jax.jit, static_argnums=(0, 4))
def _products(
    scalar: ScalarOf, data: Any, theta: Theta, vectors: Float[Array, "k p"], batch: int
) -> Float[Array, "k p"]:
    """Products of the Hessian of `scalar` with each row; all share one linearisation."""
    _, product = jax.linearize(jax.grad(functools.partial(scalar, data)), theta)
    return jax.lax.map(product, vectors, batch_size=batch)


def _batch(n: int) -> int:
    return min(max(ROWS_AT_ONCE // n, 1), 256)


def _dense(scalar: ScalarOf, data: Any, theta: Theta, n: int) -> Float[np.ndarray, "p p"]:
    matrix = np.asarray(_products(scalar, data, theta, jnp.eye(theta.size), _batch(n)))
    return (matrix + matrix.T) / 2


@functools.partial(jax.jit, compiler_options=QUICKEST_COMPILE)
def _row_products(term: Term, theta: Theta, vectors: Float[Array, "n p"]) -> Float[Array, "n p"]:
    """`H_r(z_i) v_i` at every point of the term, each point with a vector of its own."""

    def product(z: Array, vector: Theta) -> Theta:
        return jax.jvp(lambda at: jax.grad(term.residual)(at, z), (theta,), (vector,))[1]

    return jax.vmap(product)(term.points, vectors)


@functools.partial(jax.jit, compiler_options=QUICK_COMPILE)
def _curvature_product(objective: Objective, theta: Theta, vector: Theta) -> Theta:
    """`Σ_i r_i H_i v`, the part of `∇²L v` that `Jᵀ J v` leaves out."""

    def along(at: Theta) -> Scalar:
        value, change = jax.jvp(objective.residual, (at,), (vector,))
        return jax.lax.stop_gradient(value) @ change

    return jax.grad(along)(theta)


@jax.jit
def _gauss_newton_product(objective: Objective, theta: Theta, vector: Theta) -> Theta:
    return objective.vjp(theta, objective.jvp(theta, vector))


@jax.jit
def _jacobian(objective: Objective, theta: Theta) -> Float[Array, "n p"]:
    return objective.jacobian(theta)


def _gauss_newton(objective: Objective, theta: Theta, tick: Tick) -> tuple[Product, float]:
    """Products with `Jᵀ J`, and its trace, which is that of the weighted kernel too.

    Rows of J that fit into memory are held: their program is the kernels', compiled already.
    """
    blocks = jacobian_blocks(objective, theta, tick=tick)
    if objective.n * theta.size * 8 <= BASIS_BYTES:
        rows = np.concatenate(list(blocks))
        return lambda v: rows.T @ (rows @ v), float(np.sum(rows**2))
    trace = sum(float(np.sum(rows**2)) for rows in blocks)
    return lambda v: np.asarray(_gauss_newton_product(objective, theta, jnp.asarray(v))), trace


def hessian_vector_product(objective: Objective, theta: Vector, vector: Vector) -> Theta:
    """`∇²L v` for the loss `L = ½ |r|²` with the weights of the objective, forward over reverse.

    This is the full Hessian `Jᵀ J + Σ r_i H_i`. The theory of Gauss-Newton in section 4 of arXiv
    2402.03864 keeps its first part alone.

    Args:
        objective: The residual vector.
        theta: Flat parameters, shape (p,).
        vector: v, shape (p,), of any type of number.

    Returns:
        The product, shape (p,).

    Raises:
        PrecisionError: Not everything is float64.

    Example:
        ```python
        hessian_vector_product(objective, theta, np.ones(theta.size))
        ```
    """
    theta = in_float64(objective, theta, "a Hessian")
    directions = jnp.asarray(vector, jnp.float64)[None]
    return _products(Objective.loss, objective, theta, directions, 1)[0]


def gauss_newton_vector_product(objective: Objective, theta: Vector, vector: Vector) -> Theta:
    """`Jᵀ J v`: the matrix of theorem 4.2 in arXiv 2402.03864.

    Its nonzero eigenvalues are those of `ntk(objective, theta)`.

    Args:
        objective: The residual vector.
        theta: Flat parameters, shape (p,).
        vector: v, shape (p,), of any type of number.

    Returns:
        The product, shape (p,).

    Raises:
        PrecisionError: Not everything is float64.

    Example:
        ```python
        gauss_newton_vector_product(objective, theta, np.ones(theta.size))
        ```
    """
    theta = in_float64(objective, theta, "a Gauss-Newton matrix")
    return _gauss_newton_product(objective, theta, jnp.asarray(vector, jnp.float64))


def residual_hessian(
    objective: Objective, theta: Vector, point: Vector, *, term: str = EQUATION
) -> Float[np.ndarray, "p p"]:
    """`H_r(x)` of proposition 3.7 and figure 2a in arXiv 2402.03864, as a matrix.

    The Hessian with respect to θ of the scalar residual at one point, without weight. It is
    indefinite.

    Args:
        objective: Any objective with that term; its points and scales are not used.
        theta: Flat parameters.
        point: x.
        term: Whose residual.

    Raises:
        UnknownNameError: There is no such term.
        PointsError: The point does not have the right number of coordinates.
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        >>> hessian = residual_hessian(objective, theta, np.array([0.5, 0.1]))
        >>> hessian.shape == (theta.size, theta.size)
        True
    """
    theta = in_float64(objective, theta, "a Hessian")
    finite(theta)
    row = unscaled(find_term(objective, term), np.asarray(point)[None])
    return _dense(_single_row, row, theta, 1)


@dataclass(frozen=True, eq=False)
class ResidualHessians:
    """Magnitude of `H_r(x)` over a set of points: both quantities of figure 2a, arXiv 2402.03864.

    The paper does not say how it aggregates over points; here both mean and maximum are kept. It
    does not define sparsity either; here it is the fraction of entries with
    `|H_ij| ≤ threshold · max |H_kl|`. By propositions 3.7 and B.3 the norm stays above a constant
    for wide networks on nonlinear equations, and falls like 1/√width with ever sparser matrices
    on linear ones.

    Attributes:
        points: Where.
        norms: Spectral norm ‖H_r(x)‖, the largest |eigenvalue|, at each point.
        sparsities: Fraction of negligible entries at each point.
        threshold: What is negligible, relative to the largest entry.
    """

    points: Float[np.ndarray, "n d"]
    norms: Float[np.ndarray, " n"]
    sparsities: Float[np.ndarray, " n"]
    threshold: float

    @property
    def mean(self) -> float:
        """Mean of ‖H_r(x)‖ over the points."""
        return float(self.norms.mean())

    @property
    def max(self) -> float:
        """Maximum of ‖H_r(x)‖ over the points."""
        return float(self.norms.max())

    @property
    def sparsity(self) -> float:
        """Mean sparsity over the points."""
        return float(self.sparsities.mean())


def residual_hessian_norms(
    objective: Objective,
    theta: Vector,
    points: Float[np.ndarray, "n d"],
    *,
    term: str = EQUATION,
    threshold: float = SPARSITY_THRESHOLD,
    dense_limit: int = DENSE_LIMIT,
    tick: Tick = silent,
) -> ResidualHessians:
    """`‖H_r(x)‖` and sparsity of proposition 3.7 and figure 2a in arXiv 2402.03864, at each point.

    The Hessian is that of the residual without weight. Up to `dense_limit` parameters it is
    formed; beyond that the norm comes from Lanczos on products and the sparsity from 256 columns
    drawn at random (the same for every point). The largest entry is then that of those columns, at
    most that of H_r, so that the share of negligible entries is a lower bound in expectation.

    Args:
        objective: Any objective with that term; its points and scales are not used.
        theta: Flat parameters.
        points: Where, `(n, d)`.
        term: Whose residual.
        threshold: Entries up to this times the largest one count as zero.
        dense_limit: Largest number of parameters for which the matrix is formed.
        tick: The sign of life.

    Raises:
        UnknownNameError: There is no such term.
        PointsError: The points have the wrong shape.
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        ```python
        found = residual_hessian_norms(objective, theta, entry.problem.domain.grid((5, 5)))
        found.mean, found.max
        ```
    """
    theta = in_float64(objective, theta, "a Hessian")
    finite(theta)
    whole = unscaled(find_term(objective, term), points)
    array = np.asarray(whole.points)
    if theta.size <= dense_limit:
        pairs = [_dense_magnitude(whole, theta, z, threshold, tick) for z in array]
    else:
        together = _together(len(array), theta.size)
        pairs = []
        for start in range(0, len(array), together):
            # The last group is filled up, so that one program serves all of them.
            chosen = np.minimum(np.arange(start, start + together), len(array) - 1)
            found = _sampled_magnitudes(whole, theta, array[chosen], threshold, tick)
            pairs.extend(found[: len(array) - start])
    norms, sparsities = np.array(pairs).T
    return ResidualHessians(array, norms, sparsities, threshold)


def _together(n: int, p: int) -> int:
    """How many of `n` points share one call: fifty Lanczos steps are about what a norm takes."""
    return max(1, min(n, BASIS_BYTES // (50 * 8 * p)))


def begin_residual_hessian(
    objective: Objective,
    theta: Vector,
    points: Float[np.ndarray, "n d"],
    dense_limit: int,
    tick: Tick = silent,
) -> None:
    """Begin to compile what `residual_hessian_norms` takes its products by."""
    theta = in_float64(objective, theta, "a Hessian")
    if theta.size > dense_limit:
        n = _together(len(points), theta.size)
        there = unscaled(find_term(objective, EQUATION), np.asarray(points)[:n])
        text = "Hessian of the residual"
        vectors = jnp.zeros((n, theta.size))
        begin_compiling(_row_products, there, theta, vectors, tick=tick, text=text)


def _dense_magnitude(
    term: Term, theta: Theta, point: np.ndarray, threshold: float, tick: Tick
) -> tuple[float, float]:
    """Norm and sparsity at one point, from the matrix."""
    tick("Hessian of the residual")
    entries = _dense(_single_row, unscaled(term, point[None]), theta, 1)
    sizes = np.abs(entries)
    return matrix_norm(entries), float(np.mean(sizes <= threshold * sizes.max()))


def _sampled_magnitudes(
    term: Term, theta: Theta, points: Float[np.ndarray, "n d"], threshold: float, tick: Tick
) -> list[tuple[float, float]]:
    """Norms and sparsities at several points, from products that are taken for all at once."""
    there = unscaled(term, points)
    n, p = len(points), theta.size
    text = "Hessian of the residual"
    compile_for(_row_products, there, theta, jnp.zeros((n, p)), tick=tick, text=text)

    def products(vectors: np.ndarray) -> np.ndarray:
        return np.asarray(
            call(_row_products, there, theta, jnp.asarray(vectors), tick=tick, text=text)
        )

    ends = lanczos_together(products, n, p, ends="larger")
    columns = np.random.default_rng(0).choice(p, min(SAMPLED_COLUMNS, p), replace=False)
    sizes = np.empty((n, len(columns), p))
    unit = np.zeros((n, p))
    for i, column in enumerate(columns):
        unit[:, column] = 1
        sizes[:, i] = np.abs(products(unit))
        unit[:, column] = 0
    return [
        (max(abs(end.largest), abs(end.smallest)), float(np.mean(own <= threshold * own.max())))
        for end, own in zip(ends, sizes, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class HessianSpectrum:
    """Ends and sum of a spectrum.

    Attributes:
        largest: Largest eigenvalue.
        smallest: Smallest eigenvalue, negative for an indefinite matrix.
        trace: Sum of all eigenvalues.
        method: "dense" when exact, "lanczos" when it comes from products.
        largest_error: Residual of the Ritz pair, a bound on the distance to an eigenvalue; 0 when
            exact.
        smallest_error: The same for the smallest.
        trace_error: Standard error of the trace; 0 when exact.
        eigenvalues: All of them, descending, or None when they come from products.
    """

    largest: float
    smallest: float
    trace: float
    method: str
    largest_error: float = 0.0
    smallest_error: float = 0.0
    trace_error: float = 0.0
    eigenvalues: Float[np.ndarray, " p"] | None = None


def _from_eigenvalues(values: Float[np.ndarray, " p"], trace: float) -> HessianSpectrum:
    return HessianSpectrum(float(values[0]), float(values[-1]), trace, "dense", eigenvalues=values)


def _from_products(
    product: Product,
    p: int,
    steps: int,
    seed: int,
    trace: float,
    error: float = 0.0,
    tolerance: float = 1e-8,
) -> HessianSpectrum:
    ends = lanczos(product, p, max_steps=steps, seed=seed, tolerance=tolerance)
    return HessianSpectrum(
        ends.largest,
        ends.smallest,
        trace,
        "lanczos",
        largest_error=ends.largest_error,
        smallest_error=ends.smallest_error,
        trace_error=error,
    )


def loss_hessian(objective: Objective, theta: Vector) -> Float[np.ndarray, "p p"]:
    """`∇²L = Jᵀ J + Σ_i r_i H_i`, the Hessian of the loss `L = ½ |r|²`, as a matrix.

    In the terms of arXiv 2402.03864: the matrix of theorem 4.2 plus the Hessians of proposition
    3.7 weighted by residuals. The weights of the objective are in it. It is indefinite away from a
    minimum.

    Args:
        objective: The residual vector.
        theta: Flat parameters.

    Raises:
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        ```python
        np.linalg.eigvalsh(loss_hessian(objective, theta))
        ```
    """
    theta = in_float64(objective, theta, "a Hessian")
    finite(theta)
    return _dense(Objective.loss, objective, theta, objective.n)


def loss_hessian_spectrum(
    objective: Objective,
    theta: Vector,
    *,
    dense_limit: int = DENSE_LIMIT,
    steps: int = 300,
    probes: int = 90,
    tolerance: float = 1e-8,
    seed: int = 0,
    tick: Tick = silent,
) -> HessianSpectrum:
    """Ends and trace of the spectrum of `∇²L = Jᵀ J + Σ_i r_i H_i` with `L = ½ |r|²`.

    Not a matrix of arXiv 2402.03864, whose H_r is the Hessian of a residual; this is the one that
    Rathore et al. (arXiv 2402.01868) study. Eigenvalues are of the Hessian with the weights
    and the 1/n of the objective. Exact up to `dense_limit` parameters, at the cost of p products;
    beyond, the ends come from Lanczos, and of the trace the part `tr Jᵀ J` is exact and the part
    `Σ r_i tr H_i` comes from Hutch++.

    Args:
        objective: The residual vector.
        theta: Flat parameters.
        dense_limit: Largest number of parameters for which the matrix is formed.
        steps: Products that Lanczos may take.
        probes: Products for the trace.
        tolerance: Lanczos stops when the residuals of both ends are below this times the larger
            end. The error of an eigenvalue that stands alone is of the order of its square.
        seed: Seed of the random vectors.
        tick: The sign of life.

    Raises:
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        ```python
        spectrum = loss_hessian_spectrum(objective, theta)
        spectrum.largest, spectrum.smallest, spectrum.trace
        ```
    """
    theta = in_float64(objective, theta, "a Hessian")
    finite(theta)
    if theta.size <= dense_limit:
        matrix = loss_hessian(objective, theta)
        return _from_eigenvalues(eigenvalues(matrix), float(np.trace(matrix)))
    text = "Hessian of the loss"
    gauss_newton, trace = _gauss_newton(objective, theta, tick)
    compile_for(_curvature_product, objective, theta, theta, tick=tick, text=text)

    def curvature(v: np.ndarray) -> np.ndarray:
        vector = jnp.asarray(v)
        return np.asarray(call(_curvature_product, objective, theta, vector, tick=tick, text=text))

    # Only the trace of the second part is a random estimate; it vanishes with the residual.
    rest, error = estimate_trace(curvature, theta.size, probes=probes, seed=seed)
    return _from_products(
        lambda v: gauss_newton(v) + curvature(v),
        theta.size,
        steps,
        seed,
        trace + rest,
        error,
        tolerance=tolerance,
    )


def begin_loss_hessian(
    objective: Objective, theta: Vector, dense_limit: int, tick: Tick = silent
) -> None:
    """Begin to compile what `loss_hessian_spectrum` takes its products by."""
    theta = in_float64(objective, theta, "a Hessian")
    if theta.size > dense_limit:
        text = "Hessian of the loss"
        begin_compiling(_curvature_product, objective, theta, theta, tick=tick, text=text)


def gauss_newton_spectrum(
    objective: Objective,
    theta: Vector,
    *,
    dense_limit: int = DENSE_LIMIT,
    steps: int = 300,
    seed: int = 0,
) -> HessianSpectrum:
    """Ends and trace of the spectrum of `Jᵀ J`, the matrix of theorem 4.2 in arXiv 2402.03864.

    All p eigenvalues count, so the smallest is 0 where there are fewer rows than parameters. Exact
    (squared singular values of `J`) while the shorter side of `J` is within `dense_limit`; beyond,
    the ends come from Lanczos. The trace is always exact.

    Args:
        objective: The residual vector.
        theta: Flat parameters.
        dense_limit: Largest min(n, p) for which the spectrum is computed in full.
        steps: Products that Lanczos may take.
        seed: Seed of the random vector.

    Raises:
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        ```python
        gauss_newton_spectrum(objective, theta).largest
        ```
    """
    theta = in_float64(objective, theta, "a Gauss-Newton matrix")
    finite(theta)
    if min(objective.n, theta.size) <= dense_limit:
        values = gram_eigenvalues(np.asarray(_jacobian(objective, theta)).T)
        return _from_eigenvalues(values, float(values.sum()))

    product, trace = _gauss_newton(objective, theta, silent)
    return _from_products(product, theta.size, steps, seed, trace)
