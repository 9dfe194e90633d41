"""Kernels and Hessians of networks of growing width on the two toys (figures 1 and 2a).

The paper states neither the domain, nor the points, nor how long it trained; what was chosen here
is in the constants below. Networks have one hidden layer and the NTK scaling of its section 2.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pinnzoo.diagnostics import ntk_drift, residual_hessian_norms
from pinnzoo.diagnostics.ntk import ntk
from pinnzoo.objective import Objective, assemble, flatten_model
from pinnzoo.optimizers import make_optimizer
from pinnzoo.paper import theory
from pinnzoo.recipes import Phase, Recipe
from pinnzoo.storage.blueprint import build

TOYS = ("toy_linear", "toy_nonlinear")
WIDTHS = (10, 30, 100, 300, 1000, 3000, 10_000)
SEEDS = 20
POINTS = 32
"""Equidistant points inside of [-1, 1]; with both ends, the kernels have 34 rows."""

STEPS = 2000
"""Steps of gradient descent (figure 1b)."""
RATE = 0.5
"""Step times the largest eigenvalue of `JᵀJ` at initialisation, over all seeds of a width."""

HESSIAN_WIDTHS = (*WIDTHS, 30_000, 100_000)
HESSIAN_POINTS = 9
HESSIAN_SEEDS = 5

LIMIT_SAMPLES = 4000
DISTRIBUTION_WIDTH, DISTRIBUTION_SEEDS = 1000, 400
"""Finite networks whose norms are compared with the limiting distribution (theorem 3.4)."""


Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Toy:
    """A toy with networks of one width, as functions of flat parameters.

    Attributes:
        objective: Rows `r_i / √n` as everywhere, for training.
        bare: The same rows without scale, for kernels.
        thetas: Initial parameters of each seed, `(s, p)`.
    """

    objective: Objective
    bare: Objective
    thetas: np.ndarray


def inside() -> np.ndarray:
    """The collocation points."""
    return np.linspace(-1, 1, POINTS + 2)[1:-1]


def make_toy(name: str, width: int, seeds: int) -> Toy:
    """The toy called `name` with `seeds` networks."""

    def network(seed: int) -> Any:
        arguments = {"width": width, "depth": 1, "initialization": "ntk"}
        return build(
            Recipe(
                name,
                "mlp",
                (Phase("gradient_descent", 0),),
                architecture_arguments=arguments,
                seed=seed,
            )
        )

    problem, model = network(0)
    points = {
        "equation": inside()[:, None],
        "left": np.array([[-1.0]]),
        "right": np.array([[1.0]]),
    }
    objective = assemble(problem, model, points).objective
    thetas = [np.asarray(flatten_model(network(seed)[1])[0]) for seed in range(seeds)]
    return Toy(objective, objective.with_scales(dict.fromkeys(points, 1.0)), np.stack(thetas))


def kernel_norms(name: str, width: int, seeds: int) -> Arrays:
    """`‖K(0)‖` of each seed."""
    toy = make_toy(name, width, seeds)
    norms = [np.linalg.norm(ntk(toy.bare, jnp.asarray(t)), 2) for t in toy.thetas]
    return {"norm": np.array(norms)}


def drifts(name: str, width: int, seeds: int, steps: int = STEPS) -> Arrays:
    """`ΔK` after gradient descent, and the loss before and after, of each seed.

    All seeds of a width descend together, with one rate.
    """
    toy = make_toy(name, width, seeds)
    kernels = [ntk(toy.bare, jnp.asarray(t)) for t in toy.thetas]
    largest = max(np.linalg.norm(ntk(toy.objective, jnp.asarray(t)), 2) for t in toy.thetas)
    descent = make_optimizer("gradient_descent", {"learning_rate": RATE / float(largest)})

    @jax.jit
    def descend(theta: Any) -> Any:
        def step(_: Any, theta: Any) -> Any:
            return descent.step(toy.objective, theta, descent.init(toy.objective, theta))[0]

        return jax.lax.fori_loop(0, steps, step, theta)

    trained = np.stack([np.asarray(descend(jnp.asarray(t))) for t in toy.thetas])
    loss = jax.jit(jax.vmap(toy.objective.loss))
    return {
        "drift": np.array(
            [
                ntk_drift(ntk(toy.bare, jnp.asarray(t)), start)
                for t, start in zip(trained, kernels, strict=True)
            ]
        ),
        "initial_loss": np.asarray(loss(jnp.asarray(toy.thetas))),
        "final_loss": np.asarray(loss(jnp.asarray(trained))),
    }


def hessians(name: str, width: int, seeds: int) -> Arrays:
    """`‖H_r(x)‖`, `(seeds, points)`, and the share of its entries that are nearly zero."""
    toy = make_toy(name, width, seeds)
    points = hessian_points()[:, None]
    found = [residual_hessian_norms(toy.objective, jnp.asarray(t), points) for t in toy.thetas]
    return {
        "norm": np.stack([f.norms for f in found]),
        "sparsity": np.stack([f.sparsities for f in found]),
    }


def bounded_hessians(width: int, seeds: int) -> Arrays:
    """`‖H_r(x)‖` of the linear toy, `(seeds, points)`, with weights from U(-√3, √3).

    Of variance one like those of `hessians`, but bounded, as proposition B.3 has them.
    """
    edge = np.sqrt(3.0)
    draws = (np.random.default_rng(seed).uniform(-edge, edge, (3, width)) for seed in range(seeds))
    return {"norm": np.stack([theory.linear_hessian_norms(hessian_points(), *d) for d in draws])}


def hessian_points() -> np.ndarray:
    """Where Hessians are taken."""
    return np.linspace(-1, 1, HESSIAN_POINTS + 2)[1:-1]


Keep = Callable[[str, Callable[[], Arrays]], Arrays]
"""`(key, compute) -> arrays`: what `compute` gives, or what it gave for that key before."""


def compute_anew(key: str, compute: Callable[[], Arrays]) -> Arrays:
    """A `Keep` that computes and stores nothing."""
    del key
    return compute()


def _over_widths(
    name: str,
    measure: Callable[[int, int], Arrays],
    widths: Iterable[int],
    seeds: int,
    keep: Keep,
) -> Arrays:
    """What is measured at every width, stacked; kept under `name`."""
    found = [
        keep(f"{name}-{width}-{seeds}", functools.partial(measure, width, seeds))
        for width in widths
    ]
    return {key: np.stack([f[key] for f in found]) for key in found[0]}


def _by_width(
    measure: Callable[[str, int, int], Arrays], widths: Iterable[int], seeds: int, keep: Keep
) -> Arrays:
    """What is measured of both toys, stacked over widths."""
    widths = list(widths)
    arrays: Arrays = {"widths": np.array(widths)}
    for name in TOYS:
        found = _over_widths(name, functools.partial(measure, name), widths, seeds, keep)
        arrays |= {f"{name}.{key}": value for key, value in found.items()}
    return arrays


def sweep_norms(
    keep: Keep = compute_anew, widths: Iterable[int] = WIDTHS, seeds: int = SEEDS
) -> Arrays:
    """Figure 1a: norms by width and seed, what they converge to, and the two distributions."""

    def limits() -> Arrays:
        ends, rng = np.array([-1.0, 1.0]), np.random.default_rng(0)
        kernels = theory.sample_nonlinear_kernels(ends, inside(), LIMIT_SAMPLES, rng)
        linear = theory.linear_kernel(ends, inside())
        return {
            "toy_linear.limit": np.array(np.linalg.norm(linear, 2)),
            "toy_nonlinear.limit": np.linalg.norm(kernels, 2, axis=(1, 2)),
        }

    wide = functools.partial(kernel_norms, TOYS[1], DISTRIBUTION_WIDTH, DISTRIBUTION_SEEDS)
    return {
        **_by_width(kernel_norms, widths, seeds, keep),
        **keep("limits", limits),
        "toy_nonlinear.wide": keep("wide", wide)["norm"],
        "wide": np.array(DISTRIBUTION_WIDTH),
    }


def sweep_drifts(
    keep: Keep = compute_anew, widths: Iterable[int] = WIDTHS, seeds: int = SEEDS
) -> Arrays:
    """Figure 1b: drifts and losses by width and seed."""
    return {**_by_width(drifts, widths, seeds, keep), "steps": np.array(STEPS)}


def sweep_hessians(
    keep: Keep = compute_anew, widths: Iterable[int] = HESSIAN_WIDTHS, seeds: int = HESSIAN_SEEDS
) -> Arrays:
    """Figure 2a: norms and sparsities by width, seed and point, and what the theory says."""
    points, widths = hessian_points(), list(widths)
    bounded = _over_widths("bounded", bounded_hessians, widths, seeds, keep)
    return {
        **_by_width(hessians, widths, seeds, keep),
        "toy_linear.bounded": bounded["norm"],
        "points": points,
        "lower_bound": theory.lower_bound(points),
        "limit": theory.hessian_limit(points),
    }
