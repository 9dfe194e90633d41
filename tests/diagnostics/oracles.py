"""Dense matrices straight from their definitions, and small things to take them of."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo.architectures import make_architecture
from pinnzoo.domains import sample
from pinnzoo.objective import Assembly, Objective, assemble, regions
from pinnzoo.pdes import Problem, make_problem


def points_of(problem: Problem, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: sample(box, n if name == "equation" else n // 2, "uniform", rng)
        for name, box in regions(problem).items()
    }


def network(problem: Problem, arguments: dict, dtype: str = "float64", seed: int = 0):
    return make_architecture(
        "mlp",
        arguments,
        m=problem.m,
        lower=problem.domain.lower,
        upper=problem.domain.upper,
        dtype=dtype,
        seed=seed,
    )


@functools.cache
def small(terms: int = 4, dtype: str = "float64") -> Assembly:
    """Burgers with its equation and the first conditions; the same one for the same arguments."""
    problem = make_problem("burgers", {})
    problem = dataclasses.replace(problem, conditions=problem.conditions[: terms - 1])
    model = network(problem, {"width": 4, "depth": 2}, dtype)
    return assemble(problem, model, points_of(problem, 10), {"equation": 0.5})


def moved(theta, step: float = 0.3) -> np.ndarray:
    return np.asarray(theta) + step * np.random.default_rng(1).standard_normal(len(theta))


def toy(*, linear: bool, width: int) -> Assembly:
    """The problems of figures 1 and 2a of arXiv 2402.03864 on the network of its section 2."""
    base = make_problem("poisson", {})

    def equation(u, z):
        value, u_x, u_xx = u(z, "u u_x u_xx")
        source = 16 / jnp.pi**2 * jnp.sin(4 * z[0] / jnp.pi)
        return (u_xx if linear else value * u_x) - source

    problem = dataclasses.replace(base, equation=equation)
    model = network(problem, {"width": width, "depth": 1, "initialization": "ntk"})
    return assemble(problem, model, points_of(problem, 8))


def dense_jacobian(objective: Objective, theta) -> np.ndarray:
    return np.asarray(jax.jit(jax.jacfwd(objective.residual))(theta))


def dense_loss_hessian(objective: Objective, theta) -> np.ndarray:
    return np.asarray(_loss_hessian(objective, theta))


_loss_hessian = jax.jit(jax.jacrev(jax.jacrev(Objective.loss, argnums=1), argnums=1))


def dense_residual_hessian(objective: Objective, theta, point, index: int = 0) -> np.ndarray:
    return np.asarray(_hessian(objective.terms[index].residual)(theta, jnp.asarray(point)))


@functools.cache
def _hessian(residual):
    return jax.jit(jax.jacrev(jax.jacrev(residual)))


def prescribed(spectrum, seed: int = 0) -> np.ndarray:
    """A symmetric matrix with the given eigenvalues."""
    n = len(spectrum)
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    matrix = (q * np.asarray(spectrum)) @ q.T
    return (matrix + matrix.T) / 2
