"""SOAP: Adam in the eigenbasis of Shampoo (Vyas et al., arXiv 2409.11321, algorithms 3 and 4)."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from pinnzoo._typing import Theta
from pinnzoo.objective import Objective
from pinnzoo.optimizers._base import Info, Optimizer, named
from pinnzoo.registry import check_positive, check_rates, check_whole

EPSILON = 1e-8

Square = Float[Array, "k k"]


class Factors(NamedTuple):
    """Shampoo's statistics of one weight matrix, and their eigenbases.

    Attributes:
        left: L, moving average of `GGᵀ`.
        right: R, moving average of `GᵀG`.
        left_basis: Q_L, eigenvectors of L in columns, the largest eigenvalue first.
        right_basis: Q_R.
    """

    left: Square
    right: Square
    left_basis: Square
    right_basis: Square


class SOAPState(NamedTuple):
    """What one step hands to the next.

    Attributes:
        count: Steps done.
        mean: M, moving average of the gradient.
        square: V, moving average of the squared gradient in the eigenbases.
        factors: One per weight matrix, in the order of the parameters.
    """

    count: Int[Array, ""]
    mean: Theta
    square: Theta
    factors: tuple[Factors, ...]


@named
def soap(
    learning_rate: float = 3e-3,
    decay_rate: float = 0.9,
    decay_steps: int = 5000,
    b1: float = 0.95,
    b2: float = 0.95,
    precondition_frequency: int = 2,
) -> Optimizer:
    """Adam on the gradient of each weight matrix, rotated into the eigenbases of L and R.

    With `G' = Q_Lᵀ G Q_R`, `M ← b1 M + (1 - b1) G` and `V ← b2 V + (1 - b2) G'²`, a step is
    `-η Q_L [Q_Lᵀ M Q_R / (√V + 10⁻⁸)] Q_Rᵀ`, with Adam's bias correction. L and R follow the
    gradients with b2, and every `precondition_frequency` steps one power iteration and a QR
    factorization (algorithm 4) turn the bases after them.

    The matrices are found through `Objective.shapes`; an array of more axes is one whose rows are
    all but the last. Biases, and all parameters of an objective without shapes, are vectors without
    a basis, on which SOAP is Adam. L and R begin with the
    first gradient, as in the authors' code, but no step is skipped for that.

    Args:
        learning_rate: Rate η at the first step.
        decay_rate: Factor on the rate every `decay_steps` steps; 1 keeps it constant.
        decay_steps: Steps per decay.
        b1: Decay of the first moment, in [0, 1).
        b2: Decay of the second moment, of L and of R, in [0, 1).
        precondition_frequency: Steps between two updates of the bases.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(learning_rate=learning_rate, decay_rate=decay_rate, decay_steps=decay_steps)
    check_rates(b1=b1, b2=b2)
    check_whole(precondition_frequency=precondition_frequency)
    schedule = optax.exponential_decay(learning_rate, decay_steps, decay_rate)

    def init(objective: Objective, theta: Theta) -> SOAPState:
        gradient = jax.grad(objective.loss)(theta)
        return SOAPState(
            count=jnp.zeros((), jnp.int32),
            mean=jnp.zeros_like(theta),
            square=jnp.zeros_like(theta),
            factors=tuple(
                Factors(g @ g.T, g.T @ g, _eigenbasis(g @ g.T), _eigenbasis(g.T @ g))
                for g in _split(gradient, objective.shapes)
                if g.ndim == 2
            ),
        )

    def step(objective: Objective, theta: Theta, state: SOAPState) -> tuple[Theta, SOAPState, Info]:
        shapes = objective.shapes
        loss, gradient = jax.value_and_grad(objective.loss)(theta)
        count = state.count + 1
        mean = b1 * state.mean + (1 - b1) * gradient
        rotated = _rotate(gradient, shapes, state.factors)
        square = b2 * state.square + (1 - b2) * rotated**2
        steps = count.astype(theta.dtype)
        unbiased_mean = _rotate(mean, shapes, state.factors) / (1 - b1**steps)
        unbiased_square = square / (1 - b2**steps)
        normalized = unbiased_mean / (jnp.sqrt(unbiased_square) + EPSILON)
        rate = jnp.asarray(schedule(state.count), theta.dtype)
        update = -rate * _rotate(normalized, shapes, state.factors, back=True)

        matrices = [g for g in _split(gradient, shapes) if g.ndim == 2]
        factors = tuple(
            f._replace(
                left=b2 * f.left + (1 - b2) * g @ g.T, right=b2 * f.right + (1 - b2) * g.T @ g
            )
            for f, g in zip(state.factors, matrices, strict=True)
        )
        factors, square = jax.lax.cond(
            count % precondition_frequency == 0,
            lambda factors, square: _turn(square, shapes, factors),
            lambda factors, square: (factors, square),
            factors,
            square,
        )
        info = Info(
            loss=loss,
            grad_norm=jnp.linalg.norm(gradient),
            step_norm=jnp.linalg.norm(update),
            accepted=jnp.ones_like(loss),
            damping=jnp.full_like(loss, jnp.nan),
            gain_ratio=jnp.full_like(loss, jnp.nan),
        )
        return theta + update, SOAPState(count, mean, square, factors), info

    return Optimizer(init, step)


def _split(vector: Theta, shapes: tuple[tuple[int, ...], ...]) -> list[Array]:
    """The parts of a flat vector: weight matrices, and vectors for all that is not a matrix."""
    shapes = shapes or (vector.shape,)
    stops = [sum(map(math.prod, shapes[: k + 1])) for k in range(len(shapes))]
    parts = jnp.split(vector, stops[:-1])
    return [
        part.reshape(-1, shape[-1]) if len(shape) >= 2 else part
        for part, shape in zip(parts, shapes, strict=True)
    ]


def _rotate(
    vector: Theta,
    shapes: tuple[tuple[int, ...], ...],
    factors: tuple[Factors, ...],
    back: bool = False,
) -> Theta:
    """`Q_Lᵀ G Q_R` of every matrix, or `Q_L G Q_Rᵀ` on the way back; vectors stay."""
    remaining = iter(factors)
    parts = []
    for part in _split(vector, shapes):
        if part.ndim == 2:
            f = next(remaining)
            left, right = f.left_basis, f.right_basis
            part = left @ part @ right.T if back else left.T @ part @ right
        parts.append(part.ravel())
    return jnp.concatenate(parts)


def _turn(
    square: Theta, shapes: tuple[tuple[int, ...], ...], factors: tuple[Factors, ...]
) -> tuple[tuple[Factors, ...], Theta]:
    """The bases after a power iteration, and V with its entries in the order of their columns."""
    turned, parts = [], []
    remaining = iter(factors)
    for part in _split(square, shapes):
        if part.ndim == 2:
            f = next(remaining)
            left_basis, rows = _power_iteration(f.left, f.left_basis)
            right_basis, columns = _power_iteration(f.right, f.right_basis)
            turned.append(f._replace(left_basis=left_basis, right_basis=right_basis))
            part = part[rows][:, columns]
        parts.append(part.ravel())
    return tuple(turned), jnp.concatenate(parts)


def _eigenbasis(matrix: Square) -> Square:
    return jnp.linalg.eigh(matrix)[1][:, ::-1]


def _power_iteration(matrix: Square, basis: Square) -> tuple[Square, Int[Array, " k"]]:
    """Algorithm 4 on columns sorted by Rayleigh quotient, as in the authors' code; the order.

    QR makes each column orthogonal to those before it, so that the dominant ones must come first.
    """
    product = matrix @ basis
    order = jnp.argsort(-jnp.sum(basis * product, axis=0))
    return jnp.linalg.qr(product[:, order])[0], order
