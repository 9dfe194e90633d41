"""Gauss-Newton on a Jacobian sketched from both sides, with a search over trust radii."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from pinnzoo._typing import Scalar, Theta
from pinnzoo.errors import RecipeError
from pinnzoo.objective import Objective
from pinnzoo.optimizers._base import Info, Optimizer, named
from pinnzoo.registry import check_positive, check_whole

NONZEROS = 4
"""Nonzeros per column of the row sketch."""

RADII = 24

WINDOW = 3.0
"""Trust radii lie between the last one over this factor and the last one times it."""

MAX_WINDOWS = 8
"""Ranges of radii that one step may try, each a ninth of the one before."""

MAX_NEWTON_STEPS = 100


class SketchedState(NamedTuple):
    """What one step hands to the next.

    Attributes:
        radius: Δ, the trust radius to search around.
        step: Steps taken, which the random numbers of a step are drawn from.
    """

    radius: Any
    step: Any


class CosineBasis(NamedTuple):
    """k orthonormal directions Ω of parameter space: a subsampled randomized cosine transform.

    `Ωᵀ v` flips signs of v, applies the orthonormal DCT-II and keeps k coefficients (Tropp 2011,
    arXiv 1011.1595, with cosines in the place of the Hadamard matrix).

    Attributes:
        signs: ±1 per parameter.
        kept: Which coefficients are kept.
    """

    signs: Float[Array, " p"]
    kept: Int[Array, " k"]

    @classmethod
    def draw(cls, key: PRNGKeyArray, p: int, k: int, dtype: Any) -> "CosineBasis":
        """Directions at random, k of p."""
        first, second = jax.random.split(key)
        kept = jax.random.choice(second, p, (k,), replace=False)
        return cls(jax.random.rademacher(first, (p,), dtype), kept)

    def project(self, rows: Float[Array, "n p"]) -> Float[Array, "n k"]:
        """Coordinates of vectors, `rows Ω`."""
        transformed = jax.scipy.fft.dct(rows * self.signs[None, :], norm="ortho", axis=1)
        return transformed[:, self.kept]

    def lift(self, rows: Float[Array, "n k"]) -> Float[Array, "n p"]:
        """Vectors from their coordinates, `rows Ωᵀ`."""
        padded = jnp.zeros((len(rows), len(self.signs)), rows.dtype).at[:, self.kept].set(rows)
        return jax.scipy.fft.idct(padded, norm="ortho", axis=1) * self.signs[None, :]


@functools.partial(jax.jit, static_argnames="chunk")
def augmented_jacobian(objective: Objective, theta: Theta, chunk: int) -> Float[Array, "n q"]:
    """`[J r]`, computed `chunk` points at a time."""
    jacobian = objective.jacobian(theta, chunk=chunk)
    return jnp.concatenate([jacobian, objective.residual(theta)[:, None]], axis=1)


@jax.jit
def _add_rows(
    sketch: Float[Array, "s q"], part: Objective, theta: Theta, key: PRNGKeyArray
) -> Float[Array, "s q"]:
    first, second = jax.random.split(key)
    shape = (NONZEROS, part.n)
    buckets = jax.random.randint(first, shape, 0, len(sketch))
    signs = jax.random.rademacher(second, shape, sketch.dtype) / math.sqrt(NONZEROS)
    rows = augmented_jacobian(part, theta, part.n)
    for bucket, sign in zip(buckets, signs, strict=True):
        sketch = sketch.at[bucket].add(sign[:, None] * rows)
    return sketch


def sketch_rows(
    objective: Objective, theta: Theta, key: PRNGKeyArray, rows: int, chunk: int
) -> Float[Array, "s q"]:
    """`S [J r]` with a sparse embedding S, or `[J r]` itself where it has no more than `rows` rows.

    CountSketch with four buckets per row: each row is added to `NONZEROS` random rows of the
    sketch, with random signs and the factor 1/√`NONZEROS` (Kane and Nelson 2014, arXiv
    1012.1577). J is never held, only `chunk` of its rows.
    """
    if objective.n <= rows:
        return augmented_jacobian(objective, theta, chunk)
    sketch = jnp.zeros((rows, theta.size + 1), theta.dtype)
    for index, part in enumerate(objective.split(chunk)):
        sketch = _add_rows(sketch, part, theta, jax.random.fold_in(key, index))
    return sketch


class TrustRegion(NamedTuple):
    """`min_δ |J δ + r|²` subject to `|δ| ≤ Δ` for any Δ, from one SVD of J.

    Attributes:
        values: Singular values, largest first.
        right: Right singular vectors, as rows.
        gradient: `Jᵀ r` in the coordinates of `right`.
    """

    values: Float[Array, " k"]
    right: Float[Array, "k p"]
    gradient: Float[Array, " k"]

    @classmethod
    def of(cls, jacobian: Float[Array, "n p"], residual: Float[Array, " n"]) -> "TrustRegion":
        """Factorize J."""
        left, values, right = jnp.linalg.svd(jacobian, full_matrices=False)
        return cls(values, right, values * (residual @ left))

    def damping(self, radius: Scalar) -> Scalar:
        """λ with `|δ(λ)| = Δ`; at the level of rounding where the step is shorter even there.

        Newton's method on `1/Δ - 1/|δ(λ)|` (Nocedal and Wright 2006, algorithm 4.3), which is
        convex in λ, so that the iterates rise to the root from any λ below it.
        """
        squares, info = self.values**2, jnp.finfo(self.values.dtype)
        smallest = len(squares) * float(info.eps) ** 2 * squares[0] + info.tiny
        # |δ(λ)| is at least |g| / (σ₁² + λ).
        lowest = jnp.linalg.norm(self.gradient) / radius - squares[0]

        def improve(carry: tuple[Scalar, Any, Any]) -> tuple[Scalar, Any, Any]:
            damping, _, index = carry
            step = self.gradient / (squares + damping)
            slope = jnp.sum(step**2 / (squares + damping))
            excess = jnp.linalg.norm(step) / radius - 1
            rise = excess * jnp.sum(step**2) / jnp.maximum(slope, info.tiny)
            return damping + jnp.maximum(rise, 0), rise > 8 * info.eps * damping, index + 1

        start = (jnp.maximum(lowest, smallest), jnp.asarray(True), jnp.asarray(0))
        rises = lambda carry: carry[1] & (carry[2] < MAX_NEWTON_STEPS)  # noqa: E731
        return jax.lax.while_loop(rises, improve, start)[0]

    def step(self, damping: Scalar) -> Float[Array, " p"]:
        """δ(λ)."""
        return -(self.gradient / (self.values**2 + damping)) @ self.right

    def predicted(self, damping: Scalar) -> Scalar:
        """`|r|² - |r + J δ(λ)|²`."""
        squares = self.values**2
        return jnp.sum(self.gradient**2 * (squares + 2 * damping) / (squares + damping) ** 2)


@jax.jit
def _factorize(sketch: Float[Array, "s q"], basis: CosineBasis | None) -> TrustRegion:
    jacobian, residual = sketch[:, :-1], sketch[:, -1]
    return TrustRegion.of(jacobian if basis is None else basis.project(jacobian), residual)


@jax.jit
def _with_gradient(region: TrustRegion, basis: CosineBasis | None, gradient: Theta) -> TrustRegion:
    """The same curvature with the gradient of the whole objective."""
    inside = gradient if basis is None else basis.project(gradient[None, :])[0]
    return region._replace(gradient=region.right @ inside)


@jax.jit
def _loss_and_gradient(objective: Objective, theta: Theta) -> tuple[Scalar, Theta]:
    return jax.value_and_grad(objective.loss)(theta)


class _Candidates(NamedTuple):
    """One step per trust radius, from the shortest to the longest."""

    deltas: Float[Array, "m p"]
    dampings: Float[Array, " m"]
    ratios: Float[Array, " m"]


@jax.jit
def _candidates(
    objective: Objective,
    theta: Theta,
    region: TrustRegion,
    basis: CosineBasis | None,
    radii: Float[Array, " m"],
) -> _Candidates:
    dampings = jax.vmap(region.damping)(radii)
    deltas = jax.vmap(region.step)(dampings)
    if basis is not None:
        deltas = basis.lift(deltas)
    losses = jax.lax.map(lambda delta: objective.loss(theta + delta), deltas)
    decreases = 2 * (objective.loss(theta) - losses)
    return _Candidates(deltas, dampings, decreases / jax.vmap(region.predicted)(dampings))


def longest_good(ratios: np.ndarray, tolerance: float) -> int:
    """The last step up to which all gain ratios reach the tolerance; the first step if none do."""
    return max(int(np.logical_and.accumulate(ratios >= tolerance).sum()) - 1, 0)


@named
def sketched_gauss_newton(
    rows: int = 4000,
    columns: int = 2000,
    radius: float = 1.0,
    tolerance: float = 0.075,
    seed: int = 0,
    chunk: int = 512,
) -> Optimizer:
    """Trust-region Gauss-Newton for Jacobians that are too large to factorize.

    In the manner of DSGNAR (arXiv 2607.02194). Every step draws a sparse S and an orthonormal Ω
    and takes the SVD of `S J Ω`, the Jacobian compressed to `rows` rows and `columns` columns. It
    serves 24 trust radii, geometric in [Δ/3, 3Δ], each with its λ from the secular equation; the
    step is the longest one up to which the gain ratio, actual decrease over that of the sketched
    model, stays above `tolerance`, and is taken if the loss falls. Its radius is the next Δ.

    Without a sketch (`rows` and `columns` at least n and p) it is an exact trust-region method.

    Departures from the paper: the ratio is not interpolated between radii, which lie a tenth
    apart; `tolerance` is constant; Δ does not grow beyond the undamped step; and where no radius
    is good, the same factorization is tried with the gradient of all rows, and then with smaller
    radii. The gradient of the sketch, `(S J Ω)ᵀ S r`, is accurate in weak directions, but where
    little of the residual can be reduced it is mostly noise, and none of its steps may descend.

    Args:
        rows: Rows of the sketch, at least `columns`. Twice as many keep the sketched minimizer
            close to the exact one.
        columns: Directions that one step can move in. The paper takes a third to a half of the
            parameters.
        radius: Δ₀.
        tolerance: Least gain ratio of a good step, in (0, 1).
        seed: Seed of the sketches.
        chunk: Points whose Jacobian rows are computed at once. No more rows of J are held.

    Raises:
        RecipeError: A number is out of range.
    """
    check_positive(radius=radius, tolerance=tolerance)
    check_whole(rows=rows, columns=columns, chunk=chunk)
    check_whole(0, seed=seed)
    if rows < columns or tolerance >= 1:
        raise RecipeError(
            f"rows={rows}, columns={columns} and tolerance={tolerance} were given: allowed are "
            "rows of at least columns and tolerance in (0, 1)."
        )

    def init(objective: Objective, theta: Theta) -> SketchedState:
        del objective, theta
        return SketchedState(np.asarray(radius, np.float64), np.asarray(0))

    def step(
        objective: Objective, theta: Theta, state: SketchedState
    ) -> tuple[Theta, SketchedState, Info]:
        for_rows, for_columns = jax.random.split(
            jax.random.fold_in(jax.random.key(seed), int(state.step))
        )
        loss, gradient = _loss_and_gradient(objective, theta)
        basis = None
        if columns < theta.size:
            basis = CosineBasis.draw(for_columns, theta.size, columns, theta.dtype)
        region = _factorize(sketch_rows(objective, theta, for_rows, rows, chunk), basis)
        exact = objective.n <= rows
        # A shorter step would be lost in the rounding of theta.
        floor = float(jnp.finfo(theta.dtype).eps * jnp.maximum(jnp.linalg.norm(theta), 1))
        center = max(float(state.radius), floor)
        for _ in range(MAX_WINDOWS):
            radii = np.geomspace(center / WINDOW, center * WINDOW, RADII)
            tried = _candidates(objective, theta, region, basis, jnp.asarray(radii, theta.dtype))
            ratios = np.asarray(tried.ratios)
            chosen = longest_good(ratios, tolerance)
            if ratios[chosen] >= tolerance:
                break
            if not exact:
                region, exact = _with_gradient(region, basis, gradient), True
            elif center > floor:
                center = max(center / WINDOW**2, floor)
            else:
                break
        accepted = bool(ratios[chosen] > 0)
        delta = tried.deltas[chosen]
        length = float(jnp.linalg.norm(delta))
        info = Info(
            loss=loss,
            grad_norm=jnp.linalg.norm(gradient),
            step_norm=length if accepted else 0.0,
            accepted=float(accepted),
            damping=tried.dampings[chosen],
            gain_ratio=ratios[chosen] if accepted else math.nan,
        )
        following = min(radii[chosen], max(center, length)) if accepted else center
        state = SketchedState(np.asarray(following, np.float64), np.asarray(state.step + 1))
        return theta + delta if accepted else theta, state, info

    return Optimizer(init, step, traceable=False, across_processes=False)
