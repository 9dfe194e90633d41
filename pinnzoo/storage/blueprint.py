"""The structure of the network that a recipe describes, and its parameters by name."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from pinnzoo._compiling import QUICKEST_COMPILE
from pinnzoo.architectures import find_architecture, is_known, make_architecture
from pinnzoo.errors import IntegrityError, PinnzooError, RecipeError, require, shortened
from pinnzoo.pdes import PROBLEMS, Problem, make_problem, require_problem
from pinnzoo.pdes.posed import difference
from pinnzoo.precision import check_dtype
from pinnzoo.recipes import Recipe
from pinnzoo.registry import is_builtin
from pinnzoo.storage.metrics import Metrics
from pinnzoo.unknowns import with_unknowns

COMPARED = 8
"""Points at which a network is compared with the one that its name stands for."""


@dataclass(frozen=True, eq=False)
class Blueprint:
    """A problem and the structure of a network that solves it, without weights.

    Attributes:
        problem: What the network solves.
        graph: Structure of the network.
        state: Shapes and dtypes of its parameters and buffers, without values.
    """

    problem: Problem
    graph: nnx.GraphDef
    state: nnx.State

    @classmethod
    def of(cls, problem: Problem, model: nnx.Module) -> "Blueprint":
        """The blueprint of a live network."""
        graph, state = nnx.split(model)
        return cls(problem, graph, jax.tree.map(_shape, state))

    def values(self, state: nnx.State, points: Any) -> Array:
        """The field with the problem's ansatz at points `(n, d)`, shape `(n, m)`."""
        return _values(self.problem, self.graph, state, points)

    def replay(self, state: nnx.State, points: Any) -> tuple[Array, Array]:
        """`values`, and the residual of the (first) equation at the points, shape `(n,)`."""
        return _replay(self.problem, self.graph, state, points)

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.filter_state(self.state, nnx.Param)))

    def check(self, model: nnx.Module) -> None:
        """Raise unless `model` has the shapes and dtypes of the recipe, and computes the same.

        Raises:
            RecipeError: It has not.
        """
        expected, given = described(self.state), described(nnx.state(model))
        for name in sorted(plain_arrays(model) - {*expected}):
            # Flax takes it for a constant of the structure where it only computes shapes.
            raise RecipeError(
                f"the network {type(model).__name__} keeps the array {name!r}, which is no "
                "variable: make it a pinnzoo.architectures.Buffer(array), or an nnx.Param to "
                "train it."
            )
        for name in sorted({*expected, *given}):
            if expected.get(name) != given.get(name):
                raise RecipeError(
                    f"a network with {name} of {given.get(name, 'no kind')} was given: by its "
                    f"recipe it has {expected.get(name, 'no such part')}; say in "
                    "architecture_arguments what it was made with, or give a name of its own as "
                    "architecture."
                )
        graph, state = nnx.split(model)
        if graph != self.graph and not self._computes(model, state):
            raise RecipeError(
                f"a network {type(model).__name__} was given that has the parameters of the "
                "architecture in its recipe but computes something else: give it a name of its "
                "own as architecture=."
            )

    def _computes(self, model: nnx.Module, state: nnx.State) -> bool:
        """Whether the recipe's network has the values of `model` at some points."""
        kind = jax.tree.leaves(self.state)[0].dtype
        lower, upper = self.problem.network_bounds
        points = np.random.default_rng(0).uniform(lower, upper, (COMPARED, len(lower)))
        networks: tuple[Any, ...] = (nnx.merge(self.graph, state), model)
        own, given = (
            np.asarray(jax.vmap(network)(jnp.asarray(points, kind))) for network in networks
        )
        far = float(np.sqrt(np.finfo(own.dtype).eps)) * np.abs(own).max()
        return own.shape == given.shape and np.allclose(own, given, 0.0, far, equal_nan=True)

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


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


# Compiled once for each problem object and structure: both are static, compared as objects, so that
# entries of one kind share their programs and an edited problem is another one.


@functools.partial(jax.jit, static_argnums=(0, 1))
def _values(problem: Problem, graph: nnx.GraphDef, state: nnx.State, points: Any) -> Array:
    return jax.vmap(_function(problem, graph, state))(points)


@functools.partial(jax.jit, static_argnums=(0, 1), compiler_options=QUICKEST_COMPILE)
def _replay(
    problem: Problem, graph: nnx.GraphDef, state: nnx.State, points: Any
) -> tuple[Array, Array]:
    u = problem.field_of(nnx.merge(graph, state))
    equation: Any = problem.equation
    return jax.vmap(lambda z: (u.function(z), equation(u, z)))(points)


def _function(problem: Problem, graph: nnx.GraphDef, state: nnx.State) -> Callable[[Any], Array]:
    return problem.constrain(nnx.merge(graph, state))  # pyright: ignore[reportArgumentType]


def described(state: nnx.State) -> dict[str, str]:
    """Type and shape of each leaf, by dotted path."""
    return {
        name: f"{a.dtype}{list(a.shape)}" if hasattr(a, "dtype") else type(a).__name__
        for name, a in flat_names(state).items()
    }


def flat_names(state: nnx.State) -> dict[str, Any]:
    """Leaves by dotted path, such as "hidden.0.kernel"."""
    return by_path(nnx.to_pure_dict(state))


def plain_arrays(model: nnx.Module) -> set[str]:
    """Dotted paths of the arrays of a module that are in no nnx.Variable."""
    leaves = by_path(nnx.state(model))
    return {name for name, leaf in leaves.items() if not isinstance(leaf, nnx.Variable)}


def by_path(tree: Mapping[Any, Any]) -> dict[str, Any]:
    """Leaves of nested dicts by dotted path."""
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda a: hasattr(a, "shape"))
    return {".".join(str(key.key) for key in path): leaf for path, leaf in leaves}


@contextmanager
def _possible(recipe: Recipe) -> Iterator[None]:
    """Turn what a factory raises because of its arguments into an error of the recipe."""
    try:
        yield
    except PinnzooError:
        raise
    except Exception as error:
        raise RecipeError(
            f"the recipe of {recipe.name} asks for something impossible with problem arguments "
            f"{dict(recipe.problem_arguments)} and architecture arguments "
            f"{dict(recipe.architecture_arguments)}: {type(error).__name__}, "
            f"{shortened(error)}."
        ) from error


def pose(recipe: Recipe, problem: Problem | None = None) -> Problem:
    """The problem of a recipe: the object that is given, or what its name stands for.

    Raises:
        UnknownNameError: No object is given and the name is not known.
        RecipeError: The object is not the problem that the recipe names, or the problem cannot
            have these arguments.
    """
    if problem is None:
        with _possible(recipe):
            return make_problem(recipe.problem, recipe.problem_arguments)
    require_problem(problem)
    if knows_problem(recipe, problem):
        return problem
    stated = {key: problem.arguments.get(key) for key in recipe.problem_arguments}
    if problem.name != recipe.problem or stated != dict(recipe.problem_arguments):
        raise RecipeError(
            f"the problem {problem.name!r} with the arguments {dict(problem.arguments)} was given "
            f"for a recipe of {recipe.problem!r} with {dict(recipe.problem_arguments)}: name the "
            "problem in the recipe as it names itself, with no arguments or with its own."
        )
    return problem


def require_parts(problem: Any, model: Any) -> None:
    """Raise unless a problem and a network were given, or None for either.

    Raises:
        RecipeError: One of them is something else, such as its name.
    """
    if problem is not None:
        require_problem(problem)
    require(model, nnx.Module | None, "the network", "give an nnx.Module, or leave it out")


def knows_problem(recipe: Recipe, problem: Problem) -> bool:
    """Whether the names and arguments of a recipe give this very problem."""
    try:
        return make_problem(recipe.problem, recipe.problem_arguments) is problem
    except PinnzooError:
        return False


def is_of_the_package(recipe: Recipe, problem: Problem) -> bool:
    """Whether the names and arguments of a recipe give this very problem, now and anywhere.

    A problem of one's own may have been edited since, or be another one where an entry is loaded.
    """
    return is_builtin(PROBLEMS.get(recipe.problem)) and knows_problem(recipe, problem)


def check_posed(problem: Problem, stored: Mapping[str, np.ndarray], what: str) -> None:
    """Raise unless a problem is the one that `posed` looked at.

    Args:
        problem: What a name, or a user, gives now.
        stored: What `posed` returned; nothing where a problem is of the package.
        what: What was trained for it, such as "the entry".

    Raises:
        IntegrityError: It is another one.
    """
    if stored and (differs := difference(problem, stored)) is not None:
        raise IntegrityError(
            f"{what} was trained for another problem {problem.name!r} than the one that was given "
            f"or is known by this name and these arguments, of which {differs} differs: give its "
            "own as problem=, or register it as it was."
        )


def states_the_same(one: Problem, other: Problem) -> bool:
    """Whether two problems have the same terms, by the same code; numbers in it may differ."""
    if one is other:
        return True
    terms = [{name: _code(term.residual) for name, term in p.terms.items()} for p in (one, other)]
    return terms[0] == terms[1] and _code(one.ansatz) == _code(other.ansatz)


def _code(function: Any) -> Any:
    """What a function executes, whatever it closes over; its kind where that cannot be told."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(getattr(function, "__func__", function), "__code__", type(function))


def blueprint(
    recipe: Recipe, problem: Problem | None = None, model: nnx.Module | None = None
) -> Blueprint:
    """The problem and the structure of the network that a recipe describes; computes no weights.

    Args:
        recipe: What is described.
        problem: The problem itself; by default what its name stands for.
        model: A network whose structure it is; by default what the architecture's name stands
            for. A name of the package or one that is registered is compared with the network.

    Raises:
        UnknownNameError: There is no such problem or architecture.
        RecipeError: One of them cannot have these arguments, or the network is another one.
        PrecisionError: A float64 recipe while JAX has it switched off.
    """
    check_dtype(recipe.dtype)
    require_parts(problem, model)
    problem = pose(recipe, problem)
    model = None if model is None else with_unknowns(model, problem.unknowns)
    if model is not None and not is_known(recipe.architecture):
        return Blueprint.of(problem, model)
    with _possible(recipe):
        factory = find_architecture(recipe.architecture)
        arguments = json.dumps(dict(recipe.architecture_arguments), sort_keys=True)
        plan = _blueprint(problem, factory, recipe.architecture, arguments, recipe.dtype)
    if model is not None:
        plan.check(model)
    return plan


@functools.lru_cache(maxsize=64)
def _blueprint(
    problem: Problem, factory: Callable[..., nnx.Module], name: str, arguments: str, dtype: str
) -> Blueprint:
    # The factory is part of the key: an architecture that was edited is another one.
    del factory
    abstract = nnx.eval_shape(lambda: _architecture(problem, name, json.loads(arguments), dtype, 0))
    graph, state = nnx.split(abstract)
    return Blueprint(problem, graph, state)


def _architecture(
    problem: Problem, name: str, arguments: Mapping[str, Any], dtype: str, seed: int
) -> nnx.Module:
    lower, upper = problem.network_bounds
    network = make_architecture(
        name,
        arguments,
        m=problem.m,
        lower=lower,
        upper=upper,
        dtype=dtype,
        seed=seed,
    )
    return with_unknowns(network, problem.unknowns)


def build(recipe: Recipe, problem: Problem | None = None) -> tuple[Problem, nnx.Module]:
    """The problem of a recipe and its network at initialisation, with the problem's unknowns.

    Raises:
        UnknownNameError: There is no such problem or architecture.
        RecipeError: One of them cannot have these arguments.
        PrecisionError: A float64 recipe while JAX has it switched off.
    """
    check_dtype(recipe.dtype)
    problem = pose(recipe, problem)
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
            piece.reshape((*lead, *leaf.shape)).astype(leaf.dtype)
            for piece, leaf in zip(pieces, leaves, strict=True)
        ],
    )


def unstack_parameters(params: nnx.State) -> Float[np.ndarray, "s p"]:
    """The inverse of `stack_parameters` for one leading axis."""
    leaves = [np.asarray(leaf, dtype=np.float64) for leaf in jax.tree.leaves(params)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
