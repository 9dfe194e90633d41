"""The contract that all optimizers share."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax

from pinnzoo._typing import Scalar, Theta
from pinnzoo.errors import RecipeError, with_article
from pinnzoo.objective import Objective


class Info(NamedTuple):
    """What one step did, the same fields for all optimizers; NaN where one does not apply.

    Attributes:
        loss: ½ |r|² at the parameters that the step began with.
        grad_norm: |Jᵀ r| there.
        step_norm: Length of the step that was taken, 0 if it was rejected.
        accepted: 1 if the parameters changed, else 0.
        damping: λ of the step.
        gain_ratio: Actual over predicted decrease.
    """

    loss: Scalar | float
    grad_norm: Scalar | float = math.nan
    step_norm: Scalar | float = math.nan
    accepted: Scalar | float = math.nan
    damping: Scalar | float = math.nan
    gain_ratio: Scalar | float = math.nan


def _nothing_to_prepare(objective: Objective, theta: Theta) -> Callable[[], None]:
    del objective, theta
    return lambda: None


@dataclass(frozen=True)
class Optimizer:
    """An optimizer: two pure functions, one that makes its state and one that takes a step.

    Attributes:
        init: `(objective, theta) -> state`, a pytree of arrays.
        step: `(objective, theta, state) -> (theta, state, info)`.
        traceable: Whether `step` may run inside of `jax.jit` and `lax.scan`. A step that calls
            LAPACK may not; it compiles its own pieces.
        across_processes: Whether the rows may lie on devices of several processes. A step that
            reads all of them on the host needs one process.
        name: What a recipe calls it.
        arguments: What its factory was called with, for the recipe.
        prepare: `(objective, theta) -> wait`, which begins to compile in another thread what the
            first step needs, while the caller evaluates the loss; `wait()` returns when that is
            done. By default nothing.

    Example:
        A descent with a fixed step, which carries no state:

        >>> def step(objective, theta, state):
        ...     loss, gradient = jax.value_and_grad(objective.loss)(theta)
        ...     return theta - 1e-3 * gradient, state, Info(loss, accepted=1.0)
        >>> descent = Optimizer(lambda objective, theta: (), step, name="descent")
    """

    init: Callable[[Objective, Theta], Any]
    step: Callable[[Objective, Theta, Any], tuple[Theta, Any, Info]]
    traceable: bool = True
    across_processes: bool = True
    name: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Objective, Theta], Callable[[], None]] = _nothing_to_prepare


_Factory = TypeVar("_Factory", bound=Callable[..., Optimizer])


def named(factory: _Factory) -> _Factory:
    """A factory whose optimizers know their name and arguments, so that a recipe can state them.

    Only what is passed by the caller counts as an argument; defaults stay the factory's.
    """
    signature = inspect.signature(factory)

    @functools.wraps(factory)
    def made(*args: Any, **kwargs: Any) -> Optimizer:
        given = signature.bind(*args, **kwargs).arguments
        optimizer = factory(*args, **kwargs)
        return replace(optimizer, name=factory.__name__, arguments=given)

    return made  # pyright: ignore[reportReturnType]


def as_optimizer(given: Any, name: str = "") -> Optimizer:
    """An optimizer of this package, or one of optax on the loss of an objective.

    Args:
        given: What a user gave.
        name: What a recipe calls it, for the message.

    Raises:
        RecipeError: It is something else.

    Example:
        >>> as_optimizer(optax.lion(1e-5)).traceable
        True
    """
    if isinstance(given, Optimizer):
        return given
    # optax.MultiSteps is no GradientTransformation, but has its two functions.
    if callable(getattr(given, "init", None)) and callable(getattr(given, "update", None)):
        return from_optax(given)
    about = f"the optimizer {name!r}" if name else "the optimizer"
    raise RecipeError(
        f"{with_article(type(given).__name__)} was given as {about}: give a "
        "pinnzoo.optimizers.Optimizer, or an optimizer of optax such as optax.lion(1e-4)."
    )


def _keywords(function: Callable[..., Any]) -> set[str] | None:
    """Names of the arguments that a function takes; None where it takes any."""
    parameters = inspect.signature(function).parameters
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return None
    return set(parameters)


def from_optax(transform: optax.GradientTransformation, *, line_search: bool = True) -> Optimizer:
    """Any optax optimizer on the loss of an objective.

    Args:
        transform: The optax optimizer.
        line_search: Pass loss, gradient and loss function too, as far as the optimizer takes
            them: line searches such as that of `optax.lbfgs` need them.

    Raises:
        RecipeError: In its first step, where a part of the optimizer takes none of them.

    Example:
        ```python
        tuned = pinnzoo.finetune(entry, from_optax(optax.lion(1e-5)), steps=100)
        ```
    """
    extended = optax.with_extra_args_support(transform)
    taken = _keywords(extended.update)

    def init(objective: Objective, theta: Theta) -> Any:
        del objective
        return extended.init(theta)

    def step(objective: Objective, theta: Theta, state: Any) -> tuple[Theta, Any, Info]:
        loss, gradient = jax.value_and_grad(objective.loss)(theta)
        given: dict[str, Any] = {"value": loss, "grad": gradient, "value_fn": objective.loss}
        if taken is not None:
            # Such as those of `optax.contrib.sam`, which asks for gradients at further parameters
            # and takes nothing else. Line searches take no gradient function.
            given["grad_fn"] = lambda vector, _: jax.grad(objective.loss)(vector)
            given = {name: value for name, value in given.items() if name in taken}
        try:
            updates, state = extended.update(gradient, state, theta, **given if line_search else {})
        except TypeError as error:
            if "unexpected keyword argument" not in str(error):
                raise
            part = str(error).split("(")[0]
            raise RecipeError(
                f"an optimizer of optax was given of which a part, {part}, does not take what a "
                "line search needs: give "
                "pinnzoo.optimizers.from_optax(optimizer, line_search=False) in its place."
            ) from error
        info = Info(
            loss=loss,
            grad_norm=jnp.linalg.norm(gradient),
            step_norm=jnp.linalg.norm(updates),
            accepted=jnp.ones_like(loss),
            damping=jnp.full_like(loss, jnp.nan),
            gain_ratio=jnp.full_like(loss, jnp.nan),
        )
        return optax.apply_updates(theta, updates), state, info  # pyright: ignore

    return Optimizer(init, step)
