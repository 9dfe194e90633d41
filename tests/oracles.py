"""The slow, obvious versions of what pinnzoo does fast, and small things to try it on."""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
import scipy.special

from pinnzoo.architectures import make_architecture
from pinnzoo.domains import sample
from pinnzoo.objective import Assembly, Objective, assemble, regions
from pinnzoo.pdes import Problem, make_problem


def tolerance(dtype: object) -> float:
    """What an identity may miss by after a few hundred operations in this precision."""
    return float(10 * np.sqrt(np.finfo(np.dtype(dtype)).eps))  # pyright: ignore


def small_network(problem: Problem, architecture: str = "mlp", **arguments: object):
    """A random network of a few dozen parameters on the problem's domain."""
    dtype = arguments.pop("dtype", "float64")
    seed = arguments.pop("seed", 0)
    return make_architecture(
        architecture,
        {"width": 6, "depth": 2} | arguments,
        m=problem.m,
        lower=problem.domain.lower,
        upper=problem.domain.upper,
        dtype=dtype,  # pyright: ignore
        seed=seed,  # pyright: ignore
    )


def small_points(problem: Problem, n: int = 12, seed: int = 0) -> dict[str, np.ndarray]:
    """`n` points in the domain and half as many on each condition's face."""
    rng = np.random.default_rng(seed)
    return {
        name: sample(box, n if name == "equation" else max(n // 2, 1), "uniform", rng)
        for name, box in regions(problem).items()
    }


def small_assembly(
    name: str = "heat", n: int = 12, architecture: str = "mlp", **arguments: object
) -> Assembly:
    """A small network on a problem of the table."""
    problem = make_problem(name, {})
    network = small_network(problem, architecture, **arguments)
    return assemble(problem, network, small_points(problem, n))


def finite_difference(
    function: Callable, z: np.ndarray, axes: Sequence[int], step: float = 1e-3
) -> np.ndarray:
    """A mixed derivative by nested central differences of fourth order."""
    if not axes:
        return np.asarray(function(z))
    direction = np.zeros_like(z)
    direction[axes[0]] = step

    def at(multiple: int) -> np.ndarray:
        return finite_difference(function, z + multiple * direction, axes[1:], step)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


def nested_jacobian(function: Callable, z: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """A mixed derivative as one entry of the full tensor of nested forward mode."""
    for _ in axes:
        function = jax.jacfwd(function)
    tensor = np.asarray(function(jnp.asarray(z)))
    return tensor[(slice(None), *axes)]


def residual_rows(objective: Objective, theta: jax.Array) -> np.ndarray:
    """The residual vector, one term and one point after the other."""
    rows = []
    for term in objective.terms:
        residual = jax.jit(term.residual)
        scales = np.broadcast_to(term.scale, (term.n,))
        for scale, z in zip(scales, term.points, strict=True):
            rows.append(scale * float(residual(theta, z)))
    return np.array(rows)


def damped_step(
    jacobian: np.ndarray, residual: np.ndarray, scaling: np.ndarray, damping: float
) -> np.ndarray:
    """Least squares on `[J; √λ D] δ = -[r; 0]` by LAPACK's SVD solver, in float64."""
    j, r, d = (np.asarray(x, np.float64) for x in (jacobian, residual, scaling))
    stacked = np.vstack([j, np.sqrt(damping) * np.diag(d)])
    right = -np.concatenate([r, np.zeros(len(d))])
    return np.linalg.lstsq(stacked, right, rcond=None)[0]


def matrix_with_spectrum(
    n: int, p: int, values: Sequence[float] | np.ndarray, seed: int = 0
) -> np.ndarray:
    """A random `(n, p)` matrix with these singular values, the rest zero."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.normal(size=(n, len(values))))
    right, _ = np.linalg.qr(rng.normal(size=(p, len(values))))
    return (left * np.asarray(values)) @ right.T


def burgers_bessel(viscosity: float, t: float, x: float, terms: int = 60) -> float:
    """Cole's (1951) series for `u(0, x) = -sin πx`: heat modes with Bessel coefficients.

    Loses all digits to cancellation for a small viscosity; good for ν ≥ 0.05.
    """
    k = np.arange(terms)
    coefficients = (-1.0) ** k * scipy.special.ive(k, 1 / (2 * np.pi * viscosity))
    modes = coefficients * np.exp(-viscosity * (k * np.pi) ** 2 * t)
    modes[1:] *= 2
    phi = modes @ np.cos(k * np.pi * x)
    phi_x = -(modes * k * np.pi) @ np.sin(k * np.pi * x)
    return float(-2 * viscosity * phi_x / phi)


def burgers_integral(viscosity: float, t: float, x: float) -> float:
    """Hopf's (1950) quotient of integrals over the whole line, by adaptive quadrature.

    `u = ∫ (x-η)/t exp(-G/2ν) dη / ∫ exp(-G/2ν) dη` with
    `G = ∫₀^η u(0, s) ds + (x-η)²/2t`: no change of variables, no fixed nodes, no sine.
    """

    def exponent(eta: np.ndarray | float) -> np.ndarray | float:
        potential = (np.cos(np.pi * eta) - 1) / np.pi + (x - eta) ** 2 / (2 * t)
        return -potential / (2 * viscosity)

    # The potential lies within 2/π of the parabola, which bounds where the integrand lives.
    reach = np.sqrt(2 * t * (2 / np.pi + 2 * viscosity * 50))
    fine = np.linspace(x - reach, x + reach, 4001)
    largest = float(np.max(exponent(fine)))
    breaks = np.linspace(x - reach, x + reach, 41)

    def integral(weight: Callable) -> float:
        pieces = [
            scipy.integrate.quad(
                lambda eta: float(weight(eta) * np.exp(exponent(eta) - largest)),
                low,
                high,
                epsabs=0,
                epsrel=1e-12,
                limit=200,
            )[0]
            for low, high in itertools.pairwise(breaks)
        ]
        return float(np.sum(pieces))

    return integral(lambda eta: (x - eta) / t) / integral(np.ones_like)


def kernel_rounding(kernels: np.ndarray) -> np.ndarray:
    """What `NTKSnapshots.to_arrays` states, with a little for the float64 on the way."""
    diagonals = np.diagonal(kernels, axis1=1, axis2=2)
    lengths = np.sqrt(diagonals[:, :, None] * diagonals[:, None, :])
    return 1.001 * np.maximum(2.0**-11 * np.abs(kernels), 2.0**-25 * lengths)
