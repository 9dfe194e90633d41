"""What a recipe says about a network before there are weights, and its parameters by name."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from pinnzoo.architectures import make_architecture
from pinnzoo.errors import IntegrityError, PinnzooError, RecipeError
from pinnzoo.pdes import Problem, make_problem
from pinnzoo.precision import check_dtype
from pinnzoo.recipes import Recipe
from pinnzoo.storage.metrics import Metrics


@dataclass(frozen=True, eq=False)
class Blueprint:
    """What a recipe says about a network before there are weights.

    Attributes:
        problem: What the network solves.
        graph: Structure of the network.
        state: Shapes and dtypes of its parameters and buffers, without values.
        values: `(state, points) -> (n, m)`, the field with the problem's ansatz, compiled once.
        replay: `(state, points) -> (values, residual)`, with the equation's residual too.
    """

    problem: Problem
    graph: nnx.GraphDef
    state: nnx.State
    values: Callable[[nnx.State, Any], Array]
    replay: Callable[[nnx.State, Any], tuple[Array, Array]]

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.filter_state(self.state, nnx.Param)))

    def check(self, model: nnx.Module) -> None:
        """Raise unless `model` has the structure, shapes and dtypes of the recipe.

        Raises:
            RecipeError: It has not.
        """
        expected, given = _describe(self.state), _describe(nnx.state(model))
        for name in sorted({*expected, *given}):
            if expected.get(name) != given.get(name):
                raise RecipeError(
                    f"a network with {name} of {given.get(name, 'no kind')} was given: by its "
                    f"recipe it has {expected.get(name, 'no such part')}."
                )

    def check_metrics(self, metrics: Metrics, recipe: Recipe) -> None:
        """Raise unless the metrics are those of a network of this size and precision.

        Raises:
            IntegrityError: They are not.
        """
        stated, own = (metrics["parameters"], metrics["dtype"]), (self.parameters, recipe.dtype)
        if stated != own:
            raise IntegrityError(
                f"metrics of a network of {stated[0]} parameters in {stated[1]} were given: "
                f"{recipe.name} has {own[0]} in {own[1]}."
            )


def _describe(state: nnx.State) -> dict[str, str]:
    return {name: f"{a.dtype}{list(a.shape)}" for name, a in flat_names(state).items()}


def flat_names(state: nnx.State) -> dict[str, Any]:
    """Leaves by dotted path, such as "hidden.0.kernel"."""
    return by_path(nnx.to_pure_dict(state))


def by_path(tree: Mapping[Any, Any]) -> dict[str, Any]:
    """Leaves of nested dicts by dotted path."""
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda a: hasattr(a, "shape"))
    return {".".join(str(key.key) for key in path): leaf for path, leaf in leaves}


@contextmanager
def _possible(recipe: Recipe) -> Iterator[None]:
    """Whatever a factory stumbles over in its arguments is an error of the recipe."""
    try:
        yield
    except PinnzooError:
        raise
    except Exception as error:
        raise RecipeError(
            f"the recipe of {recipe.name} asks for something impossible with problem arguments "
            f"{dict(recipe.problem_arguments)} and architecture arguments "
            f"{dict(recipe.architecture_arguments)}: {type(error).__name__}, "
            f"{' '.join(str(error).split())[:200]}."
        ) from error


def blueprint(recipe: Recipe) -> Blueprint:
    """The problem and the structure of the network that a recipe describes; computes no weights.

    Raises:
        UnknownNameError: There is no such problem or architecture.
        RecipeError: One of them cannot have these arguments.
        PrecisionError: A float64 recipe while JAX has it switched off.
    """
    check_dtype(recipe.dtype)
    network = {
        "problem": recipe.problem,
        "problem_arguments": dict(recipe.problem_arguments),
        "architecture": recipe.architecture,
        "architecture_arguments": dict(recipe.architecture_arguments),
        "dtype": recipe.dtype,
    }
    with _possible(recipe):
        return _blueprint(json.dumps(network, sort_keys=True))


@functools.lru_cache(maxsize=64)
def _blueprint(network: str) -> Blueprint:
    # Cached by what it depends on, so that entries of one kind share their compiled functions.
    given = json.loads(network)
    problem = make_problem(given["problem"], given["problem_arguments"])
    abstract = nnx.eval_shape(
        lambda: _architecture(
            problem, given["architecture"], given["architecture_arguments"], given["dtype"], 0
        )
    )
    graph, state = nnx.split(abstract)

    def function(state: nnx.State) -> Callable[[Any], Array]:
        return problem.constrain(nnx.merge(graph, state))  # pyright: ignore[reportArgumentType]

    @jax.jit
    def values(state: nnx.State, points: Any) -> Array:
        return jax.vmap(function(state))(points)

    @jax.jit
    def replay(state: nnx.State, points: Any) -> tuple[Array, Array]:
        u = function(state)
        return jax.vmap(lambda z: (u(z), problem.equation(problem.field(u), z)))(points)

    return Blueprint(problem, graph, state, values, replay)


def _architecture(
    problem: Problem, name: str, arguments: Mapping[str, Any], dtype: str, seed: int
) -> nnx.Module:
    return make_architecture(
        name,
        arguments,
        m=problem.m,
        lower=problem.domain.lower,
        upper=problem.domain.upper,
        dtype=dtype,
        seed=seed,
    )


def build(recipe: Recipe) -> tuple[Problem, nnx.Module]:
    """The problem of a recipe and its network at initialisation.

    Raises:
        UnknownNameError: There is no such problem or architecture.
        RecipeError: One of them cannot have these arguments.
        PrecisionError: A float64 recipe while JAX has it switched off.
    """
    problem = blueprint(recipe).problem
    with _possible(recipe):
        model = _architecture(
            problem, recipe.architecture, recipe.architecture_arguments, recipe.dtype, recipe.seed
        )
    return problem, model


def flat_parameters(state: nnx.State) -> Float[np.ndarray, " p"]:
    """The parameters in a network's state as one float64 vector on the host."""
    leaves = jax.tree.leaves(nnx.filter_state(state, nnx.Param))
    return np.concatenate([np.asarray(leaf, dtype=np.float64).ravel() for leaf in leaves])


def stack_parameters(params: nnx.State, thetas: Float[np.ndarray, "*s p"]) -> nnx.State:
    """Flat parameters in the structure and the dtypes of `params`; leading axes stay in front."""
    leaves, tree = jax.tree.flatten(params)
    pieces = np.split(thetas, np.cumsum([leaf.size for leaf in leaves])[:-1], axis=-1)
    lead = thetas.shape[:-1]
    return jax.tree.unflatten(
        tree,
        [
            piece.reshape(*lead, *leaf.shape).astype(leaf.dtype)
            for piece, leaf in zip(pieces, leaves, strict=True)
        ],
    )


def unstack_parameters(params: nnx.State) -> Float[np.ndarray, "s p"]:
    """The inverse of `stack_parameters` for one leading axis."""
    leaves = [np.asarray(leaf, dtype=np.float64) for leaf in jax.tree.leaves(params)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
