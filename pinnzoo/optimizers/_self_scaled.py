"""The self-scaled Broyden family: one update of a dense inverse Hessian, one line search."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from pinnzoo._typing import Scalar, Theta
from pinnzoo.objective import Objective
from pinnzoo.optimizers._base import Info, Optimizer
from pinnzoo.registry import check_whole

SUFFICIENT_DECREASE = 1e-4
CURVATURE = 0.9
"""c₁ and c₂ of the strong Wolfe conditions."""


class SelfScaledState(NamedTuple):
    """What one step hands to the next.

    Attributes:
        inverse_hessian: H, symmetric and positive definite.
        updates: Updates of H since it was the identity.
    """

    inverse_hessian: Float[Array, "p p"]
    updates: Int[Array, ""]


class Curvature(NamedTuple):
    """What a step `s = -αHg` with change of gradient `y` tells of H.

    Attributes:
        b: `sᵀH⁻¹s / sᵀy`, which is `-α sᵀg / sᵀy`: above 1 where H is too small along the step.
        h: `yᵀHy / sᵀy`.
    """

    b: Scalar
    h: Scalar

    @property
    def a(self) -> Scalar:
        """`bh - 1`, not negative (Cauchy-Schwarz), and kept off zero, where `y` and `Hs` align."""
        return jnp.maximum(self.b * self.h - 1, jnp.finfo(self.b.dtype).eps)


Member = Callable[[Curvature], Scalar | float]
"""Chooses θ_k, the member of the Broyden family: 0 is BFGS, 1 is DFP."""


def coefficients(
    curvature: Curvature, member: Scalar | float, p: int, fresh: Array
) -> tuple[Scalar, Scalar]:
    """τ_k and φ_k of a member θ_k; see `self_scaled`.

    Args:
        curvature: Of the step.
        member: θ_k.
        p: Number of parameters.
        fresh: Whether H is the identity and is to be scaled by the first step.
    """
    member = jnp.asarray(member, curvature.b.dtype)
    sigma = 1 + member * curvature.a
    volume = sigma ** (-1 / max(p - 1, 1))
    rho = jnp.minimum(1.0, 1 / curvature.b)
    # The inner `where` keeps 1/θ finite in the branch that is not taken.
    positive = rho * jnp.minimum(volume, 1 / jnp.where(member > 0, member, 1.0))
    tau = jnp.where(member > 0, positive, jnp.minimum(rho * volume, sigma))
    return jnp.where(fresh, curvature.h / sigma, tau), (1 - member) / sigma


def update_inverse_hessian(
    matrix: Float[Array, "p p"], s: Theta, y: Theta, tau: Scalar, phi: Scalar
) -> Float[Array, "p p"]:
    """`[H - Hyyᵀ H / yᵀHy + φ (yᵀHy) vvᵀ] / τ + ssᵀ / sᵀy`, `v = s / sᵀy - Hy / yᵀHy`.

    Maps y to s for every τ and φ. Each outer product is symmetric to the last bit, and so is the
    sum: an asymmetry would be divided by τ ≤ 1 in every step to come.
    """
    product = matrix @ y
    sy, yhy = s @ y, y @ product
    v = s / sy - product / yhy
    scaled = matrix - jnp.outer(product, product) / yhy + phi * yhy * jnp.outer(v, v)
    return scaled / tau + jnp.outer(s, s) / sy


def self_scaled(
    choose: Member, initial_scaling: bool = False, max_linesearch_steps: int = 30
) -> Optimizer:
    """A dense quasi-Newton method with self-scaling.

    The direction is `-Hg`. The step length α meets the strong Wolfe conditions with c₁ = 10⁻⁴ and
    c₂ = 0.9 (Nocedal and Wright 2006, algorithms 3.5 and 3.6). With `s = -αHg`, y the change of
    the gradient, `b = -α sᵀg / sᵀy`, `h = yᵀHy / sᵀy` and `a = bh - 1`, the inverse Hessian becomes

        H ← [H - Hyyᵀ H / yᵀHy + φ (yᵀHy) vvᵀ] / τ + ssᵀ / sᵀy,   v = s / sᵀy - Hy / yᵀHy,

    with (Al-Baali 1998, J. Optim. Theory Appl. 96:533; Urbán et al., arXiv 2405.04230, Eq. 9-23)

        φ = (1 - θ) / σ,   σ = 1 + aθ,   ρ = min(1, 1/b),
        τ = min(ρ σ^(-1/(p-1)), σ)        for θ ≤ 0,
        τ = ρ min(σ^(-1/(p-1)), 1/θ)      for θ > 0.

    τ ≤ 1 enlarges H before the update wherever it was too small along the step: curvature that
    was overestimated once, which plain BFGS forgets slowly, is scaled away at once.

    H is kept where the points are redrawn, as the authors do: it describes the loss and not one
    sample of it, and starting again from the identity costs hundreds of steps. y is the difference
    of two gradients on the same points in any case.

    A step without positive curvature `sᵀy` leaves H as it was. Where the line search finds no
    decrease, the step is rejected and H is the identity again.

    Args:
        choose: θ from the curvature of a step.
        initial_scaling: Scale the identity before its first update, by `τ = h / σ`. For θ = 0
            that is Eq. 6.20 of Nocedal and Wright.
        max_linesearch_steps: Loss evaluations that a step may use.

    Raises:
        RecipeError: `max_linesearch_steps` is not a positive number.
    """
    check_whole(max_linesearch_steps=max_linesearch_steps)
    search = optax.scale_by_zoom_linesearch(
        max_linesearch_steps=max_linesearch_steps,
        slope_rtol=SUFFICIENT_DECREASE,
        curv_rtol=CURVATURE,
        approx_dec_rtol=None,
        initial_guess_strategy="one",
    )

    def init(objective: Objective, theta: Theta) -> SelfScaledState:
        del objective
        return SelfScaledState(jnp.eye(theta.size, dtype=theta.dtype), jnp.zeros((), jnp.int32))

    def step(
        objective: Objective, theta: Theta, state: SelfScaledState
    ) -> tuple[Theta, SelfScaledState, Info]:
        matrix, updates = state
        loss, gradient = jax.value_and_grad(objective.loss)(theta)
        searched: Any = search.update(
            -(matrix @ gradient),
            search.init(theta),
            theta,
            value=loss,
            grad=gradient,
            value_fn=objective.loss,
        )
        s, found = searched
        # The search may end with a step that is no decrease, or outside of the domain.
        accepted = (found.value < loss) & jnp.all(jnp.isfinite(found.grad))
        s = jnp.where(accepted, s, 0.0)
        y = found.grad - gradient
        sy, slope = s @ y, s @ gradient
        rounding = jnp.finfo(theta.dtype).eps * jnp.linalg.norm(s) * jnp.linalg.norm(y)
        curved = accepted & (sy > rounding) & (slope < 0)

        def updated(matrix: Float[Array, "p p"]) -> Float[Array, "p p"]:
            b = -found.learning_rate * slope / sy
            curvature = Curvature(b, y @ (matrix @ y) / sy)
            fresh = jnp.asarray(initial_scaling) & (updates == 0)
            tau, phi = coefficients(curvature, choose(curvature), theta.size, fresh)
            return update_inverse_hessian(matrix, s, y, tau, phi)

        matrix = jax.lax.cond(curved, updated, lambda matrix: matrix, matrix)
        sound = accepted & jnp.all(jnp.isfinite(matrix))
        matrix = jnp.where(sound, matrix, jnp.eye(theta.size, dtype=theta.dtype))
        info = Info(
            loss=loss,
            grad_norm=jnp.linalg.norm(gradient),
            step_norm=jnp.linalg.norm(s),
            accepted=accepted.astype(loss.dtype),
            damping=jnp.full_like(loss, jnp.nan),
            gain_ratio=jnp.full_like(loss, jnp.nan),
        )
        updates = jnp.where(sound, updates + curved.astype(updates.dtype), 0)
        return theta + s, SelfScaledState(matrix, updates), info

    return Optimizer(init, step)
