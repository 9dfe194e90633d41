"""Collocation points spread over several devices, in one process or in many.

Row i of the residual depends on point i alone, so rows need no communication. What is summed over
rows does: loss and gradient are partitioned by XLA, which reads the layout from the points, and the
Jacobian is reduced here to few enough rows for one factorization.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pinnzoo._typing import Jacobian, Residuals, Scalar, Theta
from pinnzoo.linalg import AbstractDampedSystem
from pinnzoo.objective import Objective, Term


def make_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """Devices in one row along the axis "points": by default all devices of all processes."""
    return Mesh(np.asarray(jax.devices() if devices is None else devices), ("points",))


def shard(objective: Objective, mesh: Mesh) -> Objective:
    """The same objective with the points of every term spread over the devices of a mesh.

    Where the devices do not divide a term's points, its last point is repeated with scale zero:
    rows of zeros change no loss, no gradient and no step. Set points and scales before, since
    new ones would not know of these rows.

    Args:
        objective: Points and scales in the memory of this process; the same in every process,
            each of which keeps its own part.
        mesh: Devices, along any number of axes; see `make_mesh`.
    """
    # XLA is to find the layout of everything in between, whatever the axes were made for.
    mesh = Mesh(mesh.devices, mesh.axis_names)
    sharding = NamedSharding(mesh, _split(mesh))

    def place(array: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    placed: dict[int, jax.Array] = {}

    def spread(term: Term) -> Term:
        padding = -term.n % mesh.size
        # Points that terms have in common stay one array.
        if id(term.points) not in placed:
            # A copy of a point, for a residual that may not be finite elsewhere: 0 · inf is not 0.
            points = np.pad(np.asarray(term.points), ((0, padding), (0, 0)), mode="edge")
            placed[id(term.points)] = place(points)
        scale = np.pad(np.broadcast_to(term.scale, (term.n,)), (0, padding))
        return dataclasses.replace(term, points=placed[id(term.points)], scale=place(scale))

    return dataclasses.replace(objective, terms=tuple(map(spread, objective.terms)))


def mesh_of(objective: Objective) -> Mesh | None:
    """The mesh that an objective was sharded over, or None where it was not."""
    sharding = getattr(objective.terms[0].points, "sharding", None)
    # `shard` makes concrete meshes only.
    return sharding.mesh if isinstance(sharding, NamedSharding) else None  # pyright: ignore


def _split(mesh: Mesh) -> PartitionSpec:
    """The first axis of an array over all devices."""
    return PartitionSpec(mesh.axis_names)


def reduced_rows(
    objective: Objective, theta: Theta, chunk: int, budget: int
) -> tuple[Jacobian, Residuals, float]:
    """Few rows that stand for all rows of a sharded objective: J̃, r̃ and the loss.

    `J̃ᵀJ̃ = JᵀJ`, `J̃ᵀr̃ = Jᵀr` and `|r̃| = |r|`, so that every damped system of `(J̃, r̃)` has the
    steps of `(J, r)`. Each device factorizes its own rows of `[J r]` and contributes the triangle
    (parallel TSQR; Demmel, Grigori, Hoemmen and Langou 2012, section 3), which does not square the
    condition number; the factorization of the damped system is the root of the tree. A device with
    no more rows than columns contributes the rows.

    Args:
        objective: What `shard` returns.
        theta: Flat parameters, the same in every process.
        chunk: Points whose Jacobian rows a device computes at once.
        budget: Most rows of J that a device holds at once. More are folded into its triangle block
            by block.

    Returns:
        J̃ and r̃, whole in the memory of every process, and ½ |r|².
    """
    mesh = mesh_of(objective)
    assert mesh is not None, "the objective is not sharded"
    jacobian, residual, loss = _reduce(objective, theta, mesh, chunk, budget)
    return jacobian.addressable_data(0), residual.addressable_data(0), float(loss)


@functools.partial(jax.jit, static_argnames=("mesh", "chunk", "budget"))
def _reduce(
    objective: Objective, theta: Theta, mesh: Mesh, chunk: int, budget: int
) -> tuple[Jacobian, Residuals, Scalar]:
    columns = theta.size + 1

    def triangle(local: Objective, theta: Theta) -> tuple[Jacobian, Residuals]:
        folded = jnp.zeros((0, columns), theta.dtype)
        for part in [local] if local.n <= budget else local.split(budget):
            # One block after the other: otherwise XLA may compute all of them at once.
            theta, folded = jax.lax.optimization_barrier((theta, folded))
            residual, jacobian = part.linearize(theta, chunk)
            block = jnp.concatenate([jacobian, residual[:, None]], axis=1)
            folded = jnp.concatenate([folded, block])
            if len(folded) > columns:
                folded = jnp.linalg.qr(folded, mode="r")
        return folded[:, :-1], folded[:, -1]

    # With `check_vma`, the derivative by a θ that all devices share would be summed over devices.
    rows = jax.shard_map(
        triangle,
        mesh=mesh,
        in_specs=(_split(mesh), PartitionSpec()),
        out_specs=_split(mesh),
        check_vma=False,
    )(objective, theta)
    everywhere = NamedSharding(mesh, PartitionSpec())
    jacobian, residual = jax.lax.with_sharding_constraint(rows, everywhere)
    return jacobian, residual, objective.loss(theta)


def agree(tree: Any, mesh: Mesh) -> Any:
    """A pytree of arrays and numbers as process 0 has it, on all processes of a mesh.

    Decisions that lead to different computations must rest on equal numbers, or the processes wait
    for each other forever. What JAX computes over the mesh is equal; what each process computes or
    measures by itself, such as a LAPACK solve on another processor or the time, need not be.
    """
    return multihost_utils.broadcast_one_to_all(tree) if mesh.is_multi_process else tree


def all_equal(number: int, mesh: Mesh) -> bool:
    """Whether all processes of a mesh were given the same number."""
    if not mesh.is_multi_process:
        return True
    return bool(np.ptp(multihost_utils.process_allgather(np.asarray(number))) == 0)


def local(tree: Any) -> Any:
    """A pytree with those arrays that every device holds in the memory of this process alone."""
    return jax.tree.map(
        lambda leaf: jnp.asarray(np.asarray(leaf)) if isinstance(leaf, jax.Array) else leaf, tree
    )


class AgreedSystem(AbstractDampedSystem):
    """A damped system, which every process factorizes, with the numbers of process 0."""

    def __init__(self, system: AbstractDampedSystem, mesh: Mesh):
        """Wrap the system of this process."""
        self.system, self.mesh = system, mesh
        gradient, norm = agree((np.asarray(system.gradient), np.asarray(system.norm)), mesh)
        self.gradient, self.norm = gradient, float(norm)

    def solve(self, damping: float) -> np.ndarray:
        """See the base class; a matrix that is not positive definite gives NaN."""
        try:
            step = np.asarray(self.system.solve(damping))
        except np.linalg.LinAlgError:
            step = np.full_like(self.gradient, np.nan)
        return agree(step, self.mesh)

    def solve_gradient(self, damping: float, gradient: Any) -> np.ndarray:
        """See the base class."""
        return agree(np.asarray(self.system.solve_gradient(damping, gradient)), self.mesh)
