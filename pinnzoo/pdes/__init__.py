"""The benchmark problems, one file each. `heat.py` is the template for a new one."""

from collections.abc import Callable, Mapping

from pinnzoo.pdes.allen_cahn import allen_cahn
from pinnzoo.pdes.beltrami import beltrami
from pinnzoo.pdes.burgers import burgers
from pinnzoo.pdes.convection import convection
from pinnzoo.pdes.cylinder_wake import cylinder_wake
from pinnzoo.pdes.heat import heat
from pinnzoo.pdes.helmholtz import helmholtz
from pinnzoo.pdes.kdv import kdv
from pinnzoo.pdes.kdv_solitons import kdv_solitons
from pinnzoo.pdes.klein_gordon import klein_gordon
from pinnzoo.pdes.kovasznay import kovasznay
from pinnzoo.pdes.poisson import poisson
from pinnzoo.pdes.poisson_2d import poisson_2d
from pinnzoo.pdes.problem import EQUATION as EQUATION
from pinnzoo.pdes.problem import Condition as Condition
from pinnzoo.pdes.problem import Problem as Problem
from pinnzoo.pdes.problem import Reference as Reference
from pinnzoo.pdes.reaction import reaction
from pinnzoo.pdes.schrodinger import schrodinger
from pinnzoo.pdes.sine_gordon import sine_gordon
from pinnzoo.pdes.taylor_green import taylor_green
from pinnzoo.pdes.toy_linear import toy_linear
from pinnzoo.pdes.toy_nonlinear import toy_nonlinear
from pinnzoo.pdes.wave import wave
from pinnzoo.registry import make

PROBLEMS: dict[str, Callable[..., Problem]] = {
    "allen_cahn": allen_cahn,
    "beltrami": beltrami,
    "burgers": burgers,
    "convection": convection,
    "cylinder_wake": cylinder_wake,
    "heat": heat,
    "helmholtz": helmholtz,
    "kdv": kdv,
    "kdv_solitons": kdv_solitons,
    "klein_gordon": klein_gordon,
    "kovasznay": kovasznay,
    "poisson": poisson,
    "poisson_2d": poisson_2d,
    "reaction": reaction,
    "schrodinger": schrodinger,
    "sine_gordon": sine_gordon,
    "taylor_green": taylor_green,
    "toy_linear": toy_linear,
    "toy_nonlinear": toy_nonlinear,
    "wave": wave,
}


def make_problem(name: str, arguments: Mapping[str, float | str]) -> Problem:
    """The problem called `name`, with the given physical arguments.

    Raises:
        UnknownNameError: There is no such problem.
        RecipeError: The problem does not take one of the arguments, or not that value.
    """
    return make("problem", PROBLEMS, name, arguments)
