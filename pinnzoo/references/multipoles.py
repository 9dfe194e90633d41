"""Laplace's and Helmholtz' equation in a square less discs, by multipoles and their images.

A solution is a sum of solutions that are singular in the centres of the discs, and of their images
behind the walls of the square, so that it vanishes on the walls. The factors of the sum are those
for which it meets the values on the circles, by least squares. Since the equation holds exactly
and has a maximum principle, the error is nowhere larger than the misfit on the boundary, which is
measured: the solution is certified without another one.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnzoo._typing import Point, PointFunction, Scalar, Values
from pinnzoo.references.stored import DATA

Disc = tuple[float, float, float]
"""Centre and radius."""


@dataclass(frozen=True)
class Harmonic:
    """Even in x and y, the same when they are exchanged, and zero where |x| or |y| is ½.

    `v = Σ_g ±h(g(x, y) - c) + Σ_j b_j Re (x + iy)^4j` with the multipoles
    `h(w) = a_0 log|w| + Σ_n a_n Re (e^{iπ/4} R / w)^n`, where g are the reflections about the axes
    and the walls, as far as `images`, and c is the centre of a disc on the diagonal.

    Attributes:
        disc: The disc in the first quadrant, on the diagonal.
        multipoles: How many n there are, without 0.
        powers: How many j there are.
        images: How many walls away the images are at most.
    """

    disc: Disc
    multipoles: int
    powers: int
    images: int = 1

    @property
    def size(self) -> int:
        """Number of factors."""
        return 1 + self.multipoles + self.powers

    def basis(self, z: Point) -> Float[Array, " k"]:
        """What the factors multiply, at one point."""
        k = np.arange(-self.images, self.images + 1)
        shift, sign = np.concatenate([k, k]), np.repeat([1.0, -1.0], len(k))
        parity = np.outer((-1.0) ** shift, (-1.0) ** shift).ravel()
        x, y, radius = self.disc
        dx = sign * z[0] + shift - x
        dy = sign * z[1] + shift - y
        w = (dx[:, None] + 1j * dy[None, :]).ravel()
        ratio = radius * np.exp(0.25j * np.pi) / w
        terms, power = [jnp.log(jnp.abs(w) / radius)], ratio
        for _ in range(self.multipoles):
            terms.append(power.real)
            power = power * ratio
        fourth, smooth = (2 * (z[0] + 1j * z[1]) ** 2) ** 2, [jnp.ones_like(z[0])]
        power = fourth
        for _ in range(self.powers - 1):
            smooth.append(power.real)
            power = power * fourth
        return jnp.concatenate([jnp.stack(terms) @ parity, jnp.stack(smooth)])


@dataclass(frozen=True)
class Screened:
    """Solutions of `Δw = k² w` that vanish where |x| or |y| is 1, singular in discs.

    For each disc they are `K_n(kρ) cos nφ` and `K_n(kρ) sin nφ`, divided by K_n(kR), and their
    images.

    Attributes:
        k: Inverse of the decay length.
        discs: The discs.
        multipoles: Largest n for each disc.
    """

    k: float
    discs: tuple[Disc, ...]
    multipoles: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of factors."""
        return sum(2 * n + 1 for n in self.multipoles)

    def basis(self, z: Point) -> Float[Array, " j"]:
        """What the factors multiply, at one point."""
        shift, sign = np.array([0.0, 2.0, -2.0, 4.0, -4.0]), np.array([1.0, -1.0, -1.0, 1.0, 1.0])
        parity = np.outer(sign, sign).ravel()
        x, y, radius = np.array(self.discs).T[:, :, None]
        # One row per disc, and its images along it.
        dx = z[0] * np.repeat(sign, len(sign))[None] + (np.repeat(shift, len(shift))[None] - x)
        dy = z[1] * np.tile(sign, len(sign))[None] + (np.tile(shift, len(shift))[None] - y)
        rho = jnp.sqrt(dx**2 + dy**2)
        cos, sin, kr = dx / rho, dy / rho, self.k * rho
        whole = np.array([bessel_ratios(self.k * r, max(self.multipoles)) for r in radius[:, 0]])
        below, here = bessel_k(kr)
        below, here = below / whole[:, :1], here / whole[:, 1:2]

        def next_order(state: tuple, factors: Array) -> tuple[tuple, Array]:
            below, here, cosine, sine = state
            both = jnp.stack([(here * cosine) @ parity, (here * sine) @ parity], axis=1)
            above = factors[:, :1] * below + factors[:, 1:] * here / kr
            turned = (cosine * cos - sine * sin, sine * cos + cosine * sin)
            return (here, above, *turned), both

        n = np.arange(1, max(self.multipoles) + 1)
        factors = np.stack([whole[:, :-2], 2 * n * whole[:, 1:-1]], axis=2) / whole[:, 2:, None]
        _, both = jax.lax.scan(
            next_order, (below, here, cos, sin), jnp.asarray(factors.transpose(1, 0, 2))
        )
        used = n[:, None] <= np.array(self.multipoles)
        return jnp.concatenate([below @ parity, both[used].ravel()])


STEP, NODES = 0.2, 26
"""Of the trapezoidal rule for `bessel_k`: its error is below 1e-14 for arguments from 0.8 on."""


def bessel_k(x: Float[Array, "i j"]) -> tuple[Float[Array, "i j"], Float[Array, "i j"]]:
    """K_0 and K_1 from `K_n(x) = ∫_0^∞ exp(-x cosh t) cosh(nt) dt` by the trapezoidal rule."""
    t = STEP * np.arange(NODES)
    weights = STEP * np.where(t == 0, 0.5, 1.0)
    decay = jnp.exp(-x[..., None] * np.cosh(t)[None, None, :])
    return decay @ weights, decay @ (weights * np.cosh(t))


@functools.cache
def bessel_ratios(x: float, highest: int) -> tuple[float, ...]:
    """K_0(x) to K_{highest + 1}(x)."""
    from scipy.special import kv

    return tuple(kv(np.arange(highest + 2), x).tolist())


def screened_square(k: float, nodes: int) -> Callable[[Point], Scalar]:
    """The solution of `ΔU = k² U` with U = 1 where |x| or |y| is 1, at one point of that square.

    A particle that wanders at random leaves the square at a time T, and `U = E exp(-k² T)`. The
    two coordinates wander on their own, so that `1 - U = ∫ exp(-s) S(x, s) S(y, s) ds`, where
    S(x, s) is the probability that |x| has stayed below 1 until the time s / k². Its second
    derivatives are infinite in the corners, as logarithms, since the boundary values do not meet
    the equation there.

    Args:
        k: Inverse of the decay length; the error is of the order of exp(-4k).
        nodes: Of the trapezoidal rule in log s.
    """
    tau, step = np.linspace(-31.0, 3.75, nodes, retstep=True)
    s = np.exp(tau)
    weights = step * s * np.exp(-s)
    scale = k / (2 * np.sqrt(s))
    # Where it has been at the wall of the other side and back: zero to rounding for short times.
    late = 2 * scale < 6.5

    def survival(x: Scalar) -> Float[Array, " s"]:
        erfc = jax.scipy.special.erfc
        left = 1 - erfc((1 - x) * scale) - erfc((1 + x) * scale)
        back = erfc((3 - x) * scale[late]) + erfc((3 + x) * scale[late])
        return left.at[np.flatnonzero(late)].add(back)

    return lambda z: 1 - jnp.dot(weights, survival(z[0]) * survival(z[1]))


Multipoles = Harmonic | Screened


def fit(
    solution: Multipoles, points: Float[np.ndarray, "n 2"], values: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " k"]:
    """Factors for which the sum has these values at points of the boundary, by least squares."""
    matrix = np.asarray(jax.jit(jax.vmap(solution.basis))(points))
    scale = np.linalg.norm(matrix, axis=0)
    factors = np.linalg.lstsq(matrix / scale, values, rcond=1e-15)[0]
    return factors / scale


def on_circle(disc: Disc, count: int) -> Float[np.ndarray, "n 2"]:
    """Evenly spaced points of a circle."""
    x, y, radius = disc
    angle = 2 * math.pi * np.arange(count) / count
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


@functools.cache
def read(name: str, refined: bool = False) -> Float[np.ndarray, " k"]:
    """The stored factors called `name`, or those of more terms."""
    with np.load(DATA / "multipoles.npz") as data:
        return data[f"{name}_refined" if refined else name]


def combined(
    solution: Multipoles, name: str, rest: Callable[[Point], Scalar], refined: bool = False
) -> PointFunction:
    """The sum with its stored factors, and what is added to it, as a function of one point."""

    def function(z: Point) -> Values:
        return (solution.basis(z) @ read(name, refined) + rest(z))[None]

    return function
