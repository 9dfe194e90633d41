"""Spectral densities of the loss Hessian and its parts, and Hessians of the residual as a map.

The loss `½ |r|²` has the Hessian `∇²L = Jᵀ J + Σ_i r_i H_i`: the Gauss-Newton matrix, whose
eigenvalues are squared singular values, and a remainder that vanishes with the residual. Weighted
rows throughout, as in `Tangent`.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float

from pinnzoo._compiling import QUICK_COMPILE, QUICKEST_COMPILE
from pinnzoo._typing import Scalar, Theta
from pinnzoo.analysis._arguments import check_number, shown
from pinnzoo.analysis.spectra import BLOCK, Products, SpectralDensity, krylov, spectral_density
from pinnzoo.analysis.tangent import WORTH_OPTIMISING, Source, Tangent, resolve, tangent
from pinnzoo.diagnostics._inputs import find_term, unscaled
from pinnzoo.diagnostics._programs import (
    Tick,
    begin_compiling,
    compile_for,
    is_compiling,
    silent,
)
from pinnzoo.diagnostics.hessian import _row_products, _together
from pinnzoo.diagnostics.spectrum import lanczos_together
from pinnzoo.entry import Entry
from pinnzoo.errors import (
    DiagnosticError,
    PinnzooError,
    PointsError,
    UnknownNameError,
    shortened,
)
from pinnzoo.linalg import default_backend
from pinnzoo.objective import EQUATION, Objective
from pinnzoo.registry import check_switches

PARTS = ("loss", "gauss_newton", "remainder")
"""`∇²L`, `Jᵀ J` and `Σ r_i H_i`."""

CURVED = ("loss", "remainder")
"""The parts whose products need second derivatives."""

MAP_TOLERANCE = 1e-4
"""Residual of the Ritz pairs of a map; norms are good to about its square."""

Rows = Float[np.ndarray, "b p"]


FORMED = (2048, 1_150_000)
"""Parameters, and numbers of a Jacobian, up to which a Hessian is formed for its density. All its
columns are at most four times the products of an estimate, and a trace in which much cancels is
known to the last digit. Beyond it they took up to 53 s on two cores, of a `modified_mlp`."""


def _curvature_products(
    objective: Objective, theta: Theta, dual: Float[Array, " n"], vectors: Float[Array, "b p"]
) -> Float[Array, "b p"]:
    """`Σ_i w_i H_i v` for every row v."""

    def weighted(at: Theta) -> Scalar:
        return dual @ objective.residual(at)

    def product(vector: Theta) -> Theta:
        # Not with jax.linearize, which takes twice as long to trace and compiles and runs no
        # faster: what it keeps of the way to the gradient has to be read again.
        return jax.jvp(jax.grad(weighted), (theta,), (vector,))[1]

    # On a processor one vector after the other: several at once are a third slower, since they
    # leave the cache, and take longer to compile.
    together = 1 if default_backend() == "host" else len(vectors)
    return jax.lax.map(product, vectors, batch_size=together)


_quick_products = jax.jit(_curvature_products, compiler_options=QUICK_COMPILE)
_quickest_products = jax.jit(_curvature_products, compiler_options=QUICKEST_COMPILE)


def _curvature_call(objective: Objective, theta: Any, dual: Any, vectors: Any) -> tuple[Any, ...]:
    """The program for an objective of this size, and its arguments, filled up to one shape."""
    large = objective.n * len(theta) >= WORTH_OPTIMISING
    # One shape for every number of vectors, so that the program is compiled once.
    filled = np.zeros((BLOCK, len(theta)))
    filled[: len(vectors)] = vectors
    arguments = (jnp.asarray(theta), jnp.asarray(dual), jnp.asarray(filled))
    return _quick_products if large else _quickest_products, objective, *arguments


def _to_compile(objective: Objective, theta: Float[np.ndarray, " p"]) -> tuple[Any, ...]:
    """The call whose shapes all have: its numbers do not count."""
    return _curvature_call(objective, theta, np.zeros(objective.n), theta[None])


def begin_curvature_products(objective: Objective, theta: Float[np.ndarray, " p"]) -> None:
    """Begin to compile what `curvature_products` calls, in another thread, and return at once.

    Who begins waits with `compile_curvature_products` before the first call.
    """
    begin_compiling(*_to_compile(objective, theta))


def curvature_products_are_compiling(objective: Objective, theta: Float[np.ndarray, " p"]) -> bool:
    """Whether the other thread is still busy."""
    return is_compiling(*_to_compile(objective, theta))


def compile_curvature_products(
    objective: Objective, theta: Float[np.ndarray, " p"], tick: Tick = silent
) -> None:
    """Return when what `curvature_products` calls is compiled; `tick` is called meanwhile."""
    made = _to_compile(objective, theta)
    compile_for(*made, tick=tick, text="Hessian of the loss")


def product_traffic(objective: Objective, theta: Float[np.ndarray, " p"]) -> float:
    """Bytes that one product of `curvature_products` reads and writes, before any optimization.

    What a product takes is unlike between equations: for one of fourth order nine times as long as
    for one of second order with the same network. This tells them apart beforehand, and is the same
    on every machine. Infinite where the compiler does not say.
    """
    program, *arguments = _to_compile(objective, theta)
    # The loop over the rows counts once.
    told = program.lower(*arguments).cost_analysis() or {}
    return float(told.get("bytes accessed", np.inf))


def curvature_products(at: Tangent, dual: Float[np.ndarray, " n"]) -> Products:
    """Products with `Σ_i w_i H_i`, the Hessians of the weighted rows with weights of one's own.

    Args:
        at: Where.
        dual: w, `(n,)`; the residual makes it the remainder of the loss Hessian.
    """

    def products(vectors: Rows) -> Rows:
        program, *arguments = _curvature_call(at.objective, at.theta, dual, vectors)
        return np.asarray(program(*arguments))[: len(vectors)]

    return products


Preconditioner = Callable[[Rows], Rows]
"""Multiplies each row by `P^{-1/2}`, symmetric, for a positive definite P."""


def damped_gauss_newton(source: Source, theta: Any = None, *, damping: float) -> Preconditioner:
    """`(Jᵀ J + μ I)^{-1/2}`: what a step of Levenberg-Marquardt does to the space of parameters.

    The Gauss-Newton part becomes `λ / (λ + μ)`: 1 for modes that the damping leaves alone, 0 for
    the others (theorem 4.2 of arXiv 2402.03864).

    Args:
        source: An entry, an objective, or a tangent of either.
        theta: Flat parameters; those of the entry by default.
        damping: μ, positive.

    Raises:
        DiagnosticError: The damping is not positive and finite.

    Example:
        >>> scale = damped_gauss_newton(objective, theta, damping=1e-3)
        >>> scale(np.ones((1, theta.size))).shape == (1, theta.size)
        True
    """
    check_number("the damping", damping, zero=False)
    _, values, right = tangent(source, theta).svd
    inside, outside = 1 / np.sqrt(values**2 + damping), 1 / np.sqrt(damping)

    def scale(rows: Rows) -> Rows:
        coefficients = rows @ right.T
        return outside * rows + (coefficients * (inside - outside)) @ right

    return scale


def lbfgs_preconditioner(steps: Any, changes: Any) -> Preconditioner:
    """The square root of the inverse Hessian that L-BFGS holds after some steps.

    `H = γ I + W M Wᵀ` in the compact form of Byrd, Nocedal and Schnabel (1994); Rathore et al.
    (arXiv 2402.01868) look at Hessians through it.

    Args:
        steps: s_k = θ_{k+1} - θ_k, `(m, p)`, oldest first.
        changes: y_k, the changes of the gradient, `(m, p)`; pairs with sᵀy ≤ 0 are left out, as
            the method does.

    Raises:
        DiagnosticError: The shapes differ, or no pair has positive curvature.

    Example:
        >>> scale = lbfgs_preconditioner([[1.0, 0.0]], [[4.0, 0.0]])
        >>> scale(np.eye(2)).round(9).tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """
    s, y = np.atleast_2d(np.asarray(steps, float)), np.atleast_2d(np.asarray(changes, float))
    good = np.einsum("ij,ij->i", s, y) > 0 if s.shape == y.shape else np.zeros(1, bool)
    if s.shape != y.shape or not good.any():
        raise DiagnosticError(
            f"steps and changes of shapes {s.shape} and {y.shape} were given, with "
            f"{int(good.sum())} pairs of positive curvature: give (m, p) each and one such pair."
        )
    s, y = s[good], y[good]
    gamma = float(s[-1] @ y[-1] / (y[-1] @ y[-1]))
    upper = np.triu(s @ y.T)
    inverse = np.linalg.inv(upper)
    corner = inverse.T @ (np.diag(np.diag(upper)) + gamma * (y @ y.T)) @ inverse
    middle = np.block([[corner, -inverse.T], [-inverse, np.zeros_like(upper)]])
    wide = np.concatenate([s, gamma * y])
    q, r = np.linalg.qr(wide.T)
    small = gamma * np.eye(q.shape[1]) + r @ middle @ r.T
    values, vectors = np.linalg.eigh((small + small.T) / 2)
    inside, outside = q @ vectors, np.sqrt(gamma)
    factors = np.sqrt(np.maximum(values, 0.0)) - outside

    def scale(rows: Rows) -> Rows:
        return outside * rows + ((rows @ inside) * factors) @ inside.T

    return scale


@functools.partial(jax.jit, compiler_options=QUICKEST_COMPILE)
def _loss_and_slope(objective: Objective, theta: Theta) -> tuple[Scalar, Theta]:
    return jax.value_and_grad(Objective.loss, argnums=1)(objective, theta)


def lbfgs_pairs(
    source: Source, theta: Any = None, *, memory: int = 20
) -> tuple[Float[np.ndarray, "m p"], Float[np.ndarray, "m p"]]:
    """The pairs that L-BFGS collects in its next steps from some parameters.

    Entries do not hold the memory of their optimizer; this is the one that a restart builds up.

    Args:
        source: An entry, an objective, or a tangent of either.
        theta: Flat parameters; those of the entry by default.
        memory: How many steps to take.

    Returns:
        Steps s and changes of the gradient y, `(m, p)` each, for `lbfgs_preconditioner`; fewer
        than `memory` where the method stops.

    Raises:
        DiagnosticError: An objective was given without parameters.

    Example:
        >>> steps, changes = lbfgs_pairs(objective, theta, memory=3)
        >>> steps.shape == changes.shape == (3, theta.size)
        True
    """
    if isinstance(source, Tangent):
        objective, start = source.objective, jnp.asarray(source.theta)
    else:
        objective, start = resolve(source, theta, "L-BFGS")

    def evaluate(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _loss_and_slope(objective, jnp.asarray(at))
        return float(value), np.asarray(slope)

    visited = [np.asarray(start)]
    scipy.optimize.minimize(
        evaluate,
        visited[0],
        jac=True,
        method="L-BFGS-B",
        callback=lambda at: visited.append(np.array(at)),
        options={"maxiter": memory, "maxcor": memory, "ftol": 0.0, "gtol": 0.0},
    )
    slopes = np.stack([evaluate(at)[1] for at in visited])
    return np.diff(np.stack(visited), axis=0), np.diff(slopes, axis=0)


@dataclass(frozen=True, eq=False)
class Hessian:
    """One part of the loss Hessian, as products with vectors.

    Attributes:
        products: Multiplies each row of `(b, p)`, b ≤ 8; a `PointsError` says that vectors have
            another shape.
        size: p.
        eigenvalues: All of them, where they are known without products.
        gauss_newton: Products with the Gauss-Newton part of the loss Hessian, and its trace; None
            for the other parts.
    """

    products: Products
    size: int
    eigenvalues: Float[np.ndarray, " p"] | None = None
    gauss_newton: tuple[Products, float] | None = None

    def formed(self, tick: Tick = silent, together: int = BLOCK) -> Float[np.ndarray, "p p"]:
        """The matrix itself, some columns at a time, symmetric to the last bit.

        Args:
            tick: Called after every product.
            together: Columns in one product; more than 8 only where the curvature is known.
        """
        unit = np.eye(self.size)
        columns = []
        for start in range(0, self.size, together):
            columns.append(self.products(unit[start : start + together]))
            tick("Hessian of the loss, column by column")
        whole = np.concatenate(columns)
        return (whole + whole.T) / 2


def hessian_part(
    source: Source,
    theta: Any = None,
    *,
    part: str = "loss",
    term: str | None = None,
    preconditioner: Preconditioner | None = None,
    curvature: Products | None = None,
) -> Hessian:
    """The loss Hessian or a part of it, of all terms or of one, preconditioned or not.

    Args:
        source: An entry, an objective, or a tangent of either.
        theta: Flat parameters; those of the entry by default.
        part: "loss", "gauss_newton" or "remainder".
        term: Name of a term, for the Hessian of its share of the loss.
        preconditioner: `P^{-1/2}`, for `P^{-1/2} ∇²L P^{-1/2}`.
        curvature: Products with the remainder of what is asked for, where they are known already.

    Raises:
        UnknownNameError: There is no such part or term.
        DiagnosticError: An objective was given without parameters, or the preconditioner does not
            return rows like those that it is given.

    Example:
        >>> matrix = hessian_part(objective, theta, part="gauss_newton")
        >>> matrix.products(np.ones((2, theta.size))).shape == (2, theta.size)
        True
    """
    if part not in PARTS:
        raise UnknownNameError.of("part of the Hessian", part, PARTS)
    at = tangent(source, theta)
    chosen = at.block(term)
    dual = np.zeros_like(at.residual)
    dual[chosen] = at.residual[chosen]
    rows, p = at.rows[chosen], at.theta.size
    scale: Preconditioner = (lambda vectors: vectors) if preconditioner is None else preconditioner
    scaled = rows if preconditioner is None else _preconditioned(preconditioner, rows)
    # Products that are compiled take no more vectors than one block has.
    most = BLOCK if curvature is None and part in CURVED else None
    remaining = curvature_products(at, dual) if curvature is None else curvature

    def gauss_newton(vectors: Rows) -> Rows:
        _check_vectors(vectors, p, most)
        return (vectors @ scaled.T) @ scaled

    def remainder(vectors: Rows) -> Rows:
        _check_vectors(vectors, p, most)
        return scale(remaining(scale(vectors)))

    if part == "gauss_newton":
        values = np.zeros(p)
        singular = np.linalg.svd(scaled, compute_uv=False)
        values[: len(singular)] = singular**2
        return Hessian(gauss_newton, p, values)
    if part == "remainder":
        return Hessian(remainder, p)
    return Hessian(
        lambda vectors: gauss_newton(vectors) + remainder(vectors),
        p,
        gauss_newton=(gauss_newton, float(np.sum(scaled**2))),
    )


def _preconditioned(preconditioner: Any, rows: Rows) -> Rows:
    """The rows of J, multiplied by a preconditioner of somebody else's.

    Raises:
        DiagnosticError: It is no function of rows, or returns something else than such rows.
    """
    advice = "give a function that returns as many rows, such as damped_gauss_newton(...)"
    if not callable(preconditioner):
        raise DiagnosticError(f"{shown(preconditioner)} was given as the preconditioner: {advice}.")
    try:
        scaled = np.asarray(preconditioner(rows))
    except PinnzooError:
        raise
    except Exception as error:
        raise DiagnosticError(
            f"a preconditioner was given that fails on rows of shape {rows.shape} "
            f"({type(error).__name__}: {shortened(error)}): {advice} of the same network."
        ) from error
    if scaled.shape != rows.shape:
        raise DiagnosticError(
            f"a preconditioner was given that returns shape {scaled.shape} for rows of shape "
            f"{rows.shape}: {advice} of the same length."
        )
    return scaled


def _check_vectors(vectors: Any, size: int, most: int | None) -> None:
    """Raise unless vectors are rows with one number per parameter.

    Raises:
        PointsError: They have another shape, or are more than one product takes.
    """
    shape = np.shape(vectors)
    if len(shape) != 2 or shape[1] != size or (most is not None and shape[0] > most):
        limit = "" if most is None else f" with b of {most} or less"
        raise PointsError(
            f"vectors of shape {shape} were given: give one per row, (b, {size}){limit}."
        )


def _tangent_while_compiling(source: Source, theta: Any) -> Tangent:
    """The tangent, computed while another thread compiles the products with the curvature."""
    if isinstance(source, Tangent):
        return tangent(source, theta)
    objective, checked = resolve(source, theta, "a Hessian")
    begin_curvature_products(objective, np.asarray(checked))
    try:
        return tangent(source, theta)
    finally:
        compile_curvature_products(objective, np.asarray(checked))


def hessian_density(
    source: Source,
    theta: Any = None,
    *,
    part: str = "loss",
    term: str | None = None,
    preconditioner: Preconditioner | None = None,
    probes: int = BLOCK,
    steps: int = 32,
    blocks: int = 20,
    seed: int = 0,
    exact: bool | None = None,
) -> SpectralDensity:
    """Spectral density of the loss Hessian, its Gauss-Newton part or the remainder.

    Exact for the Gauss-Newton part, and for networks so small that the matrix is formed; of others
    by deflated stochastic Lanczos quadrature.

    Args:
        source: An entry, an objective, or a tangent of either.
        theta: Flat parameters; those of the entry by default.
        part: "loss", "gauss_newton" or "remainder".
        term: Name of a term, for the Hessian of its share of the loss.
        preconditioner: See `hessian_part`.
        probes: See `spectral_density`.
        steps: See `spectral_density`.
        blocks: See `spectral_density`.
        seed: See `spectral_density`.
        exact: Whether to form the matrix, by p products, without random vectors; by default up to
            2048 parameters and 1.15 million numbers of the Jacobian. The Gauss-Newton part is exact
            whatever is said here.

    Raises:
        UnknownNameError: There is no such part or term.
        DiagnosticError: An objective was given without parameters, the preconditioner does not
            return rows like those that it is given, `probes` or `steps` is below 1, or `blocks`
            below 0.
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        >>> found = hessian_density(objective, theta, part="gauss_newton")
        >>> found.negative_share
        0.0
    """
    at = _tangent_while_compiling(source, theta) if part in CURVED else tangent(source, theta)
    matrix = hessian_part(at, part=part, term=term, preconditioner=preconditioner)
    if matrix.eigenvalues is not None:
        return SpectralDensity.of(matrix.eigenvalues)
    if exact is not None:
        check_switches(exact=exact)
    else:
        exact = matrix.size <= FORMED[0] and at.rows.size <= FORMED[1]
    if exact:
        return SpectralDensity.of(np.linalg.eigvalsh(matrix.formed()))
    return spectral_density(
        matrix.products,
        matrix.size,
        probes=probes,
        steps=steps,
        blocks=blocks,
        seed=seed,
        part=matrix.gauss_newton,
    )


def hessian_eigenpairs(
    source: Source, theta: Any = None, *, count: int = 2, blocks: int = 24
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k p"]]:
    """Eigenvalues of the loss Hessian of largest magnitude, and their vectors.

    Args:
        source: An entry, an objective, or a tangent of either.
        theta: Flat parameters; those of the entry by default.
        count: k.
        blocks: Blocks of the Krylov space.

    Returns:
        Eigenvalues `(k,)`, falling in magnitude, and orthonormal vectors in rows, `(k, p)`.

    Example:
        >>> values, vectors = hessian_eigenpairs(objective, theta)
        >>> vectors.shape == (2, theta.size)
        True
    """
    matrix = hessian_part(source, theta)
    values, vectors, _, _ = krylov(matrix.products, matrix.size, blocks=blocks)
    return values[:count], vectors[:count]


def hessian_map(
    source: Entry | Objective,
    theta: Any = None,
    *,
    points: Any,
    term: str = EQUATION,
) -> Float[np.ndarray, " n"]:
    """`‖H_r(x)‖` over the domain: where a residual is far from linear in the parameters.

    The spectral norm of the Hessian of the residual without weight (proposition 3.7 of arXiv
    2402.03864), from products for many points at once.

    Args:
        source: An entry or an objective; only the term is used, not its points.
        theta: Flat parameters; those of the entry by default.
        points: Where, `(n, d)`.
        term: Whose residual.

    Raises:
        PointsError: The points have the wrong shape.
        UnknownNameError: There is no such term.

    Example:
        >>> hessian_map(objective, theta, points=domain.grid((3, 3))).shape
        (9,)
    """
    objective, at = resolve(source, theta, "a Hessian")
    if points is not None and not isinstance(source, Objective):
        points = source.problem.check_points(points, inside=True)
    whole = unscaled(find_term(objective, term), points)
    array = np.asarray(whole.points)
    # Groups of about one size: what fills up the last one costs as much as points.
    groups = -(-len(array) // _together(len(array), at.size))
    together = -(-len(array) // groups)
    norms: list[float] = []
    for start in range(0, len(array), together):
        # The last group is filled up, so that one program serves all of them.
        chosen = np.minimum(np.arange(start, start + together), len(array) - 1)
        there = unscaled(whole, array[chosen])

        def products(vectors: Rows, there: Any = there) -> Rows:
            return np.asarray(_row_products(there, at, jnp.asarray(vectors)))

        ends = lanczos_together(products, together, at.size, ends="larger", tolerance=MAP_TOLERANCE)
        norms += [max(abs(end.largest), abs(end.smallest)) for end in ends]
    return np.array(norms[: len(array)])
