"""The optimizers, one file each, all on one `init`/`step` contract. `adam.py` is the template."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pinnzoo.optimizers._base import Info as Info
from pinnzoo.optimizers._base import Optimizer as Optimizer
from pinnzoo.optimizers._base import as_optimizer as as_optimizer
from pinnzoo.optimizers._base import from_optax as from_optax
from pinnzoo.optimizers.adam import adam
from pinnzoo.optimizers.gauss_newton import gauss_newton
from pinnzoo.optimizers.gradient_descent import gradient_descent
from pinnzoo.optimizers.lbfgs import lbfgs
from pinnzoo.optimizers.levenberg_marquardt import levenberg_marquardt
from pinnzoo.optimizers.levenberg_marquardt_lsmr import levenberg_marquardt_lsmr
from pinnzoo.optimizers.newton_cg import newton_cg
from pinnzoo.optimizers.sketched_gauss_newton import sketched_gauss_newton
from pinnzoo.optimizers.soap import soap
from pinnzoo.optimizers.spring import spring
from pinnzoo.optimizers.ssbfgs import ssbfgs
from pinnzoo.optimizers.ssbroyden import ssbroyden
from pinnzoo.recipes import OPTIMIZER_ALIASES
from pinnzoo.registry import make, register

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": adam,
    "gauss_newton": gauss_newton,
    "gradient_descent": gradient_descent,
    "lbfgs": lbfgs,
    "levenberg_marquardt": levenberg_marquardt,
    "levenberg_marquardt_lsmr": levenberg_marquardt_lsmr,
    "newton_cg": newton_cg,
    "sketched_gauss_newton": sketched_gauss_newton,
    "soap": soap,
    "spring": spring,
    "ssbfgs": ssbfgs,
    "ssbroyden": ssbroyden,
}
"""All optimizers by name, as functions of their arguments; `register_optimizer` adds one."""


def register_optimizer(
    factory: Callable[..., Any], *, name: str | None = None, title: str | None = None
) -> Callable[..., Optimizer]:
    """Give an optimizer of your own a name, by which recipes find it; also a decorator.

    Args:
        factory: A function of the optimizer's arguments that returns an `Optimizer`, or one of
            optax.
        name: The name that recipes use; by default that of the function.
        title: How it is written on cards.

    Raises:
        RegistrationError: The name is taken.

    Example:
        ```python
        @pinnzoo.register_optimizer
        def lion(learning_rate=1e-4):
            return optax.lion(learning_rate)
        ```
    """
    reserved = tuple(OPTIMIZER_ALIASES)
    return register("optimizer", OPTIMIZERS, factory, name=name, title=title, reserved=reserved)


def make_optimizer(name: str, arguments: Mapping[str, Any]) -> Optimizer:
    """The optimizer called `name`, with the given arguments.

    Raises:
        UnknownNameError: There is no such optimizer.
        RecipeError: The optimizer does not take one of the arguments, or its factory returns
            something else.
    """
    made = as_optimizer(make("optimizer", OPTIMIZERS, name, arguments), name)
    return replace(made, name=name, arguments=dict(arguments))
