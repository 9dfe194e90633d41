"""Weights that let later times count only once earlier ones are solved."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from pinnzoo._typing import Theta
from pinnzoo.architectures.layers import check_sizes
from pinnzoo.errors import RecipeError
from pinnzoo.objective import Objective
from pinnzoo.pdes import Problem
from pinnzoo.registry import check_positive
from pinnzoo.weighting._base import Factors, Weighting


def causal(problem: Problem, tolerance: float = 1.0, chunks: int = 32) -> Weighting:
    """`w_i = exp(-ε Σ_{j<i} L_j)` on the equations in the i-th chunk of time.

    `L_j` is the sum over the equations of a system of their mean squared residuals in chunk j.
    Wang, Sankaran and Perdikaris (2024, Comput. Methods Appl. Mech. Eng. 421:116813, arXiv
    2203.07404), Eq. 3.9 and algorithm 1. Conditions keep their weights.

    Args:
        problem: What is solved; its first coordinate is time.
        tolerance: ε.
        chunks: Number of equal spans of time.

    Raises:
        RecipeError: The problem has no time, or an argument is out of range.
    """
    check_positive(tolerance=tolerance)
    check_sizes(chunks=chunks)
    if problem.coords[0] != "t":
        what = "whose first coordinate is not t" if "t" in problem.coords else "which has no time"
        other = "make it that, or " if "t" in problem.coords else ""
        raise RecipeError(
            f"the weighting 'causal' was given for {problem.name}, {what}: {other}use "
            "'ntk_trace' or 'gradient_norm'."
        )
    names = tuple(n for n, term in problem.terms.items() if term.region == problem.domain)
    return functools.partial(
        _update, names=names, times=problem.domain.bounds("t"), tolerance=tolerance, chunks=chunks
    )


@functools.partial(jax.jit, static_argnames=("names", "chunks"))
def _update(
    objective: Objective,
    theta: Theta,
    factors: Factors,
    *,
    names: tuple[str, ...],
    times: tuple[float, float],
    tolerance: float,
    chunks: int,
) -> dict[str, Array]:
    # Defined once, so that it is compiled once however often the weighting is made.
    del factors
    begin, end = times
    equations = {term.name: term for term in objective.terms if term.name in names}
    places, losses = {}, jnp.zeros(chunks, theta.dtype)
    for name, term in equations.items():
        inside = chunks * (term.points[:, 0] - begin) / (end - begin)
        places[name] = jnp.clip(inside.astype(int), 0, chunks - 1)
        squares = jax.vmap(term.residual, (None, 0))(theta, term.points) ** 2
        losses += _mean_by(places[name], squares, chunks)
    before = jnp.concatenate([jnp.zeros(1, theta.dtype), jnp.cumsum(losses)[:-1]])
    weights = jnp.exp(-tolerance * before)
    return {name: weights[place] for name, place in places.items()}


def _mean_by(place: Int[Array, " n"], values: Float[Array, " n"], count: int) -> Float[Array, " c"]:
    """Mean of the values at each place; zero where there are none."""
    total = jax.ops.segment_sum(values, place, count)
    members = jax.ops.segment_sum(jnp.ones_like(values), place, count)
    return total / jnp.maximum(members, 1)
