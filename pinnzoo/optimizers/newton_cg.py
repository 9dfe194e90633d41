"""NysNewton-CG (Rathore et al., arXiv 2402.01868, algorithms 4 to 7)."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from pinnzoo._typing import Scalar, Theta
from pinnzoo.objective import Objective
from pinnzoo.optimizers._base import Info, Optimizer, named
from pinnzoo.registry import check_positive, check_whole

SUFFICIENT_DECREASE = 0.1
BACKTRACKING = 0.5
MAX_BACKTRACKS = 40
"""α and β of Armijo's rule, and how often it may shorten a step."""

Product = Callable[[Theta], Theta]
"""Product of a symmetric matrix with a vector."""


class NystromApproximation(NamedTuple):
    """`U Λ Uᵀ` of low rank.

    Attributes:
        vectors: U, orthonormal columns.
        values: Λ, not negative, the largest first.
    """

    vectors: Float[Array, "p s"]
    values: Float[Array, " s"]

    def apply_inverse(self, vector: Theta, damping: Scalar | float) -> Theta:
        """`P⁻¹v` with `P⁻¹ = (λ_s + μ) U (Λ + μI)⁻¹ Uᵀ + I - UUᵀ` (section E.2)."""
        inside = self.vectors.T @ vector
        factor = (self.values[-1] + damping) / (self.values + damping)
        return vector + self.vectors @ ((factor - 1) * inside)


class NewtonCGState(NamedTuple):
    """What one step hands to the next.

    Attributes:
        count: Steps done, rounded up to the next preconditioner after a rejection.
        direction: Last Newton step, which the next conjugate gradients start from.
        approximation: Of the Hessian, for the preconditioner.
    """

    count: Int[Array, ""]
    direction: Theta
    approximation: NystromApproximation


def nystrom_approximation(
    product: Product, p: int, rank: int, key: PRNGKeyArray, dtype: Any
) -> NystromApproximation:
    """Randomized Nyström approximation of a symmetric matrix (algorithm 5).

    `(M + νI) ≈ Y (QᵀY)⁻¹ Yᵀ` with `Y = (M + νI) Q` for a random orthonormal Q; the shift is taken
    off the eigenvalues again. Where M is indefinite on the range of Q, ν grows by 2 |λ_min(QᵀMQ)|.
    The paper adds 1 |λ_min|, which leaves an eigenvalue of zero to divide by.
    """
    q, _ = jnp.linalg.qr(jax.random.normal(key, (p, rank), dtype))
    sketch = jax.lax.map(product, q.T).T
    core = q.T @ sketch
    gamma, w = jnp.linalg.eigh((core + core.T) / 2)
    rounding = math.sqrt(p) * jnp.finfo(dtype).eps * jnp.linalg.norm(sketch)
    # The smallest normal number is for the zero matrix, whose root is divided by otherwise.
    shift = rounding + 2 * jnp.maximum(-gamma[0], 0.0) + jnp.finfo(dtype).tiny
    root = (sketch + shift * q) @ w / jnp.sqrt(gamma + shift)[None]
    vectors, singular, _ = jnp.linalg.svd(root, full_matrices=False)
    return NystromApproximation(vectors, jnp.maximum(singular**2 - shift, 0.0))


class _Iterate(NamedTuple):
    """Conjugate gradients on `Ax = b`: solution, residual, search direction, `rᵀz`, counters."""

    x: Theta
    r: Theta
    direction: Theta
    rz: Scalar
    count: Int[Array, ""]
    positive: Array


def conjugate_gradients(
    product: Product,
    b: Theta,
    start: Theta,
    precondition: Product,
    tolerance: float,
    max_iterations: int,
) -> tuple[Theta, Int[Array, ""]]:
    """Preconditioned conjugate gradients (algorithm 6), cut short at negative curvature.

    Args:
        product: Product with A.
        b: Right-hand side.
        start: First guess.
        precondition: Product with `P⁻¹`.
        tolerance: Of `|b - Ax|` against `|b|`.
        max_iterations: Most products with A.

    Returns:
        x, and the number of iterations.
    """
    bound = tolerance * jnp.linalg.norm(b)
    r = b - product(start)
    z = precondition(r)
    first = _Iterate(start, r, z, r @ z, jnp.zeros((), jnp.int32), jnp.asarray(True))

    def unfinished(it: _Iterate) -> Array:
        return (jnp.linalg.norm(it.r) > bound) & (it.count < max_iterations) & it.positive

    def iterate(it: _Iterate) -> _Iterate:
        v = product(it.direction)
        curvature = it.direction @ v
        positive = curvature > 0
        alpha = jnp.where(positive, it.rz / jnp.where(positive, curvature, 1.0), 0.0)
        r = it.r - alpha * v
        z = precondition(r)
        rz = r @ z
        return _Iterate(
            it.x + alpha * it.direction,
            r,
            z + rz / it.rz * it.direction,
            rz,
            it.count + 1,
            positive,
        )

    last = jax.lax.while_loop(unfinished, iterate, first)
    return last.x, last.count


@named
def newton_cg(
    damping: float = 1e-2,
    rank: int = 60,
    update_frequency: int = 20,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
    seed: int = 0,
) -> Optimizer:
    """Damped Newton: `d = -(H + μI)⁻¹ ∇L` with the whole Hessian, through its products alone.

    Conjugate gradients start from the last d and are preconditioned by a Nyström approximation of
    the Hessian, which is made anew every `update_frequency` steps. Armijo's rule with α = 0.1 and
    β = 0.5 finds the step length.

    It departs from the paper where H + μI is not positive definite, which there is left to a phase
    of L-BFGS before: conjugate gradients end at the first direction of negative curvature, and
    where d is no descent direction, `-P⁻¹∇L`, scaled as an inverse, takes its place. The tolerance
    is relative to the gradient.

    Args:
        damping: μ. The paper recommends 10⁻² to 10⁻¹; less goes further in float64.
        rank: Rank s of the preconditioner.
        update_frequency: Steps between two preconditioners.
        tolerance: Relative residual at which conjugate gradients end.
        max_iterations: Most Hessian-vector products in one step.
        seed: Of the random sketches.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(damping=damping, tolerance=tolerance)
    check_whole(rank=rank, update_frequency=update_frequency, max_iterations=max_iterations)
    check_whole(0, seed=seed)
    search = optax.scale_by_backtracking_linesearch(
        max_backtracking_steps=MAX_BACKTRACKS,
        slope_rtol=SUFFICIENT_DECREASE,
        decrease_factor=BACKTRACKING,
    )

    def init(objective: Objective, theta: Theta) -> NewtonCGState:
        del objective
        p, s = theta.size, min(rank, theta.size)
        empty = NystromApproximation(jnp.eye(p, s, dtype=theta.dtype), jnp.zeros(s, theta.dtype))
        return NewtonCGState(jnp.zeros((), jnp.int32), jnp.zeros_like(theta), empty)

    def step(
        objective: Objective, theta: Theta, state: NewtonCGState
    ) -> tuple[Theta, NewtonCGState, Info]:
        (loss, gradient), linear = jax.linearize(jax.value_and_grad(objective.loss), theta)

        def hessian(vector: Theta) -> Theta:
            return linear(vector)[1]

        approximation = jax.lax.cond(
            state.count % update_frequency == 0,
            lambda: nystrom_approximation(
                hessian,
                theta.size,
                len(state.approximation.values),
                jax.random.fold_in(jax.random.key(seed), state.count),
                theta.dtype,
            ),
            lambda: state.approximation,
        )

        def precondition(vector: Theta) -> Theta:
            return approximation.apply_inverse(vector, damping)

        direction, _ = conjugate_gradients(
            lambda vector: hessian(vector) + damping * vector,
            -gradient,
            state.direction,
            precondition,
            tolerance,
            max_iterations,
        )
        descends = (direction @ gradient < 0) & jnp.all(jnp.isfinite(direction))
        preconditioned = -precondition(gradient) / (approximation.values[-1] + damping)
        direction = jnp.where(descends, direction, preconditioned)
        searched: Any = search.update(
            direction,
            search.init(theta),
            theta,
            value=loss,
            grad=gradient,
            value_fn=objective.loss,
        )
        update, found = searched
        accepted = found.value < loss
        update = jnp.where(accepted, update, 0.0)
        info = Info(
            loss=loss,
            grad_norm=jnp.linalg.norm(gradient),
            step_norm=jnp.linalg.norm(update),
            accepted=accepted.astype(loss.dtype),
            damping=jnp.full_like(loss, damping),
            gain_ratio=jnp.full_like(loss, jnp.nan),
        )
        # After a rejection, what is left of the steps before must not lead to the same step again.
        renewed = (state.count // update_frequency + 1) * update_frequency
        state = NewtonCGState(
            jnp.where(accepted, state.count + 1, renewed),
            jnp.where(accepted, direction, 0.0),
            approximation,
        )
        return theta + update, state, info

    return Optimizer(init, step)
