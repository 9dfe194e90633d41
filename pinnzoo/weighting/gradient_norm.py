"""Weights that give every term a loss gradient of the same length."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnzoo._typing import Scalar, Theta
from pinnzoo.errors import RecipeError
from pinnzoo.objective import Objective, Term
from pinnzoo.pdes import Problem
from pinnzoo.registry import check_positive
from pinnzoo.weighting._base import Factors, Weighting, averaged


@jax.jit
def gradient_norms(objective: Objective, theta: Theta) -> dict[str, Float[Array, ""]]:
    """|∇L_k| of the loss of every term, `L_k = ½ |r_k|²`."""

    def norm(term: Term) -> Scalar:
        def loss(parameters: Theta) -> Scalar:
            return 0.5 * jnp.sum(term.rows(parameters) ** 2)

        return jnp.linalg.norm(jax.grad(loss)(theta))

    return {term.name: norm(term) for term in objective.terms}


def gradient_norm(problem: Problem, momentum: float = 0.9, largest: float = 1e12) -> Weighting:
    """`λ_k = Σ_j |∇L_j| / |∇L_k|`, averaged over updates.

    Wang, Sankaran, Wang and Perdikaris (2023, arXiv 2308.08468), Eq. 5.3 and algorithm 1, after
    Wang, Teng and Perdikaris (2021, SIAM J. Sci. Comput. 43:A3055-A3081).

    Args:
        problem: What is solved; not used.
        momentum: Weight of the factors so far in the moving average, in [0, 1).
        largest: Bound on the factors, for terms whose gradient vanishes.

    Raises:
        RecipeError: An argument is out of range.
    """
    del problem
    check_positive(largest=largest)
    if not 0 <= momentum < 1:
        raise RecipeError(f"momentum={momentum!r} was given: it must be in [0, 1).")

    def update(objective: Objective, theta: Theta, factors: Factors) -> dict[str, Array]:
        norms = gradient_norms(objective, theta)
        whole = sum(norms.values())
        # Where all gradients vanish there is nothing to balance.
        safe = jnp.where(whole > 0, whole, 1.0)
        new = {
            name: jnp.where(whole > 0, safe / jnp.maximum(own, safe / largest), 1.0)
            for name, own in norms.items()
        }
        return averaged(new, factors, momentum)

    return update
