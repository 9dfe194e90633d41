"""Weights that give every term the same trace of the neural tangent kernel."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnzoo._typing import Point, Scalar, Theta
from pinnzoo.objective import Objective, Term
from pinnzoo.pdes import Problem
from pinnzoo.registry import check_positive
from pinnzoo.weighting._base import Factors, Weighting

ROWS_AT_ONCE = 512


@jax.jit
def kernel_traces(objective: Objective, theta: Theta) -> dict[str, Float[Array, ""]]:
    """Trace of every diagonal block of `J Jᵀ`: the sum of the squares of the term's rows of J."""

    def trace(term: Term) -> Scalar:
        row = jax.grad(term.residual)

        def squares(z: Point) -> Scalar:
            return jnp.sum(row(theta, z) ** 2)

        each = jax.lax.map(squares, term.points, batch_size=min(term.n, ROWS_AT_ONCE))
        return jnp.sum(term.scale**2 * each)

    return {term.name: trace(term) for term in objective.terms}


def ntk_trace(problem: Problem, largest: float = 1e12) -> Weighting:
    """`λ_k = tr K / tr K_kk`: terms that gradient descent would learn slowly count for more.

    Wang, Yu and Perdikaris (2022, J. Comput. Phys. 449:110768, arXiv 2007.14527), Eq. 6.5-6.6 and
    algorithm 1. Their traces are sums over points where losses are sums; here both are means.

    Args:
        problem: What is solved; not used.
        largest: Bound on the factors, for terms whose gradient vanishes.

    Raises:
        RecipeError: The bound is not positive.
    """
    del problem
    check_positive(largest=largest)

    def update(objective: Objective, theta: Theta, factors: Factors) -> dict[str, Array]:
        del factors
        traces = kernel_traces(objective, theta)
        whole = sum(traces.values())
        return {name: whole / jnp.maximum(own, whole / largest) for name, own in traces.items()}

    return update
