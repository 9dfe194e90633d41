"""The benchmark problems, one file each. `heat.py` is the template for a new one."""

import dataclasses
import functools
import inspect
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pinnzoo.errors import RecipeError
from pinnzoo.pdes.advection_diffusion import advection_diffusion
from pinnzoo.pdes.allen_cahn import allen_cahn
from pinnzoo.pdes.allen_cahn_2d import allen_cahn_2d
from pinnzoo.pdes.annulus import annulus
from pinnzoo.pdes.beltrami import beltrami
from pinnzoo.pdes.bratu import bratu
from pinnzoo.pdes.burgers import burgers
from pinnzoo.pdes.burgers_2d import burgers_2d
from pinnzoo.pdes.burgers_inverse import burgers_inverse
from pinnzoo.pdes.burgers_viscosities import burgers_viscosities
from pinnzoo.pdes.clamped_plate import clamped_plate
from pinnzoo.pdes.convection import convection
from pinnzoo.pdes.cylinder_wake import cylinder_wake
from pinnzoo.pdes.cylinder_wake_inverse import cylinder_wake_inverse
from pinnzoo.pdes.euler_bernoulli_beam import euler_bernoulli_beam
from pinnzoo.pdes.fisher_kpp import fisher_kpp
from pinnzoo.pdes.ginzburg_landau import ginzburg_landau
from pinnzoo.pdes.grad_shafranov import grad_shafranov
from pinnzoo.pdes.gray_scott import gray_scott
from pinnzoo.pdes.heat import heat
from pinnzoo.pdes.heat_2d_ms import heat_2d_ms
from pinnzoo.pdes.heat_conductivity import heat_conductivity
from pinnzoo.pdes.heat_diffusivities import heat_diffusivities
from pinnzoo.pdes.heat_nd import heat_nd
from pinnzoo.pdes.heat_source import heat_source
from pinnzoo.pdes.helmholtz import helmholtz
from pinnzoo.pdes.kdv import kdv
from pinnzoo.pdes.kdv_solitons import kdv_solitons
from pinnzoo.pdes.klein_gordon import klein_gordon
from pinnzoo.pdes.kovasznay import kovasznay
from pinnzoo.pdes.kuramoto_sivashinsky import kuramoto_sivashinsky
from pinnzoo.pdes.laplace_l_shape import laplace_l_shape
from pinnzoo.pdes.lid_driven_cavity import lid_driven_cavity
from pinnzoo.pdes.linear_elasticity import linear_elasticity
from pinnzoo.pdes.poisson import poisson
from pinnzoo.pdes.poisson_2d import poisson_2d
from pinnzoo.pdes.poisson_2d_c import poisson_2d_c
from pinnzoo.pdes.poisson_2d_cg import poisson_2d_cg
from pinnzoo.pdes.poisson_coefficient import poisson_coefficient
from pinnzoo.pdes.poisson_nd import poisson_nd
from pinnzoo.pdes.poisson_wave_numbers import poisson_wave_numbers
from pinnzoo.pdes.problem import CONDITIONS as CONDITIONS
from pinnzoo.pdes.problem import EQUATION as EQUATION
from pinnzoo.pdes.problem import OBSERVATIONS as OBSERVATIONS
from pinnzoo.pdes.problem import Problem as Problem
from pinnzoo.pdes.problem import require_problem as require_problem
from pinnzoo.pdes.reaction import reaction
from pinnzoo.pdes.schrodinger import schrodinger
from pinnzoo.pdes.schrodinger_breather import schrodinger_breather
from pinnzoo.pdes.sine_gordon import sine_gordon
from pinnzoo.pdes.taylor_green import taylor_green
from pinnzoo.pdes.toy_linear import toy_linear
from pinnzoo.pdes.toy_nonlinear import toy_nonlinear
from pinnzoo.pdes.wave import wave
from pinnzoo.pdes.wave_2d_ms import wave_2d_ms
from pinnzoo.pdes.wave_beta import wave_beta
from pinnzoo.registry import find, is_builtin, make, register

PROBLEMS: dict[str, Callable[..., Problem]] = {
    "advection_diffusion": advection_diffusion,
    "allen_cahn": allen_cahn,
    "allen_cahn_2d": allen_cahn_2d,
    "annulus": annulus,
    "beltrami": beltrami,
    "bratu": bratu,
    "burgers": burgers,
    "burgers_2d": burgers_2d,
    "burgers_inverse": burgers_inverse,
    "burgers_viscosities": burgers_viscosities,
    "clamped_plate": clamped_plate,
    "convection": convection,
    "cylinder_wake": cylinder_wake,
    "cylinder_wake_inverse": cylinder_wake_inverse,
    "euler_bernoulli_beam": euler_bernoulli_beam,
    "fisher_kpp": fisher_kpp,
    "ginzburg_landau": ginzburg_landau,
    "grad_shafranov": grad_shafranov,
    "gray_scott": gray_scott,
    "heat": heat,
    "heat_2d_ms": heat_2d_ms,
    "heat_conductivity": heat_conductivity,
    "heat_diffusivities": heat_diffusivities,
    "heat_nd": heat_nd,
    "heat_source": heat_source,
    "helmholtz": helmholtz,
    "kdv": kdv,
    "kdv_solitons": kdv_solitons,
    "klein_gordon": klein_gordon,
    "kovasznay": kovasznay,
    "kuramoto_sivashinsky": kuramoto_sivashinsky,
    "laplace_l_shape": laplace_l_shape,
    "lid_driven_cavity": lid_driven_cavity,
    "linear_elasticity": linear_elasticity,
    "poisson": poisson,
    "poisson_2d": poisson_2d,
    "poisson_2d_c": poisson_2d_c,
    "poisson_2d_cg": poisson_2d_cg,
    "poisson_coefficient": poisson_coefficient,
    "poisson_nd": poisson_nd,
    "poisson_wave_numbers": poisson_wave_numbers,
    "reaction": reaction,
    "schrodinger": schrodinger,
    "schrodinger_breather": schrodinger_breather,
    "sine_gordon": sine_gordon,
    "taylor_green": taylor_green,
    "toy_linear": toy_linear,
    "toy_nonlinear": toy_nonlinear,
    "wave": wave,
    "wave_2d_ms": wave_2d_ms,
    "wave_beta": wave_beta,
}
"""All problems by name, as functions of their physical arguments; `register_problem` adds one."""


def make_problem(name: str, arguments: Mapping[str, float | str]) -> Problem:
    """The problem called `name`, with the given physical arguments.

    The same factory with equal arguments gives the same object again, so that what was compiled
    for it is shared. An edited factory is another object, and so is its problem; so is that of a
    factory which reads a number, a list or the like of its module that has changed since.

    Raises:
        UnknownNameError: There is no such problem.
        RecipeError: The problem does not take one of the arguments, or not that value.
    """
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in arguments.items()}
    factory = find("problem", PROBLEMS, name)
    try:
        bound = inspect.signature(factory).bind(**plain)
        bound.apply_defaults()
        # 1 and True are equal to 1.0, and are other arguments.
        key = tuple(sorted((k, type(v), v) for k, v in bound.arguments.items()))
        hash(key)
    except TypeError:
        return _make(name, factory, plain)
    return _cached(name, factory, key, _data_of(factory))


@functools.lru_cache(maxsize=256)
def _cached(
    name: str,
    factory: Callable[..., Problem],
    key: tuple[tuple[str, type, Any], ...],
    _data: bytes,
) -> Problem:
    return _make(name, factory, {argument: value for argument, _, value in key})


DATA = (bool, int, float, complex, str, list, tuple, dict, set, np.ndarray, np.generic)
"""What a module may change between two calls of a factory that reads it."""


def _data_of(factory: Callable[..., Problem]) -> bytes:
    """The data outside of it that a factory of a user's reads, as they are now.

    In a notebook a rate is often a global that another cell changes.
    """
    plain = inspect.unwrap(factory)
    if is_builtin(plain) or not inspect.isfunction(plain):
        return b""
    names: set[str] = set()
    codes = [plain.__code__]
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [const for const in code.co_consts if inspect.iscode(const)]
    outside = {n: plain.__globals__[n] for n in names if n in plain.__globals__}
    outside |= inspect.getclosurevars(plain).nonlocals
    data = {n: outside[n] for n in sorted(outside) if isinstance(outside[n], DATA)}
    try:
        return pickle.dumps(data)
    except Exception:  # Something in them cannot be pickled: the factory alone tells, as before.
        return b""


def _make(name: str, factory: Callable[..., Problem], arguments: Mapping[str, Any]) -> Problem:
    _check_kinds(name, factory, arguments)
    problem = make("problem", {name: factory}, name, arguments)
    if not isinstance(problem, Problem):
        raise RecipeError(
            f"the factory of {name!r} returned an object of the type {type(problem).__name__}: let "
            "it return a Problem."
        )
    if not problem.arguments and arguments:
        problem = dataclasses.replace(problem, arguments=dict(arguments))
    return problem


NUMBERS = (int, float, int | float, float | int, "int", "float", "int | float", "float | int")
"""Annotations of arguments that are numbers and nothing else."""


def _check_kinds(name: str, factory: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise where a word was given for what is a number by its annotation.

    Raises:
        RecipeError: It was.
    """
    parameters = inspect.signature(factory).parameters
    for argument, value in arguments.items():
        stated = parameters.get(argument)
        if stated is None or not isinstance(value, str):
            continue
        if stated.annotation in NUMBERS:
            raise RecipeError(
                f"problem {name!r} was given {argument}={value!r}: give a number, such as its "
                f"default {stated.default!r}."
            )


def register_problem(
    factory: Callable[..., Problem], *, name: str | None = None, title: str | None = None
) -> Callable[..., Problem]:
    """Give a problem of your own a name, by which recipes and files find it; also a decorator.

    Args:
        factory: A function of physical arguments, all with defaults, that returns a `Problem`
            which bears the same name and states these arguments.
        name: The name that recipes use; by default that of the function.
        title: How it is written in tables.

    Raises:
        RegistrationError: The name is taken.

    Example:
        ```python
        pinnzoo.register_problem(fisher)
        pinnzoo.train(pinnzoo.Recipe("fisher", "mlp", (pinnzoo.Phase("lm", 100),)))
        ```
    """
    return register("problem", PROBLEMS, factory, name=name, title=title)
