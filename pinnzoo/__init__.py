"""Pretrained physics-informed neural networks.

Importing the package imports no JAX: every name below is loaded when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pinnzoo import analysis as analysis
    from pinnzoo import diagnostics as diagnostics
    from pinnzoo._typing import Point as Point
    from pinnzoo._typing import PointFunction as PointFunction
    from pinnzoo._typing import Scalar as Scalar
    from pinnzoo._typing import Values as Values
    from pinnzoo.analysis import analyze as analyze
    from pinnzoo.analysis import frame as frame
    from pinnzoo.analysis import gradient_alignment as gradient_alignment
    from pinnzoo.analysis import hessian_density as hessian_density
    from pinnzoo.analysis import hessian_map as hessian_map
    from pinnzoo.analysis import kernel_alignment as kernel_alignment
    from pinnzoo.analysis import kernel_modes as kernel_modes
    from pinnzoo.analysis import laziness as laziness
    from pinnzoo.analysis import linearise as linearise
    from pinnzoo.analysis import loss_line as loss_line
    from pinnzoo.analysis import loss_plane as loss_plane
    from pinnzoo.analysis import mode_spectrum as mode_spectrum
    from pinnzoo.analysis import singular_values as singular_values
    from pinnzoo.architectures import ARCHITECTURES as ARCHITECTURES
    from pinnzoo.architectures import register_architecture as register_architecture
    from pinnzoo.derivatives import Field as Field
    from pinnzoo.diagnostics import register_diagnostic as register_diagnostic
    from pinnzoo.domains import Ball as Ball
    from pinnzoo.domains import Box as Box
    from pinnzoo.domains import Domain as Domain
    from pinnzoo.domains import Interval as Interval
    from pinnzoo.domains import Parameter as Parameter
    from pinnzoo.domains import Polygon as Polygon
    from pinnzoo.domains import Region as Region
    from pinnzoo.domains import Shape as Shape
    from pinnzoo.domains import Surface as Surface
    from pinnzoo.entry import Entry as Entry
    from pinnzoo.errors import PinnzooError as PinnzooError
    from pinnzoo.evaluation import evaluate as evaluate
    from pinnzoo.objective import assemble as assemble
    from pinnzoo.observations import Observations as Observations
    from pinnzoo.observations import observe as observe
    from pinnzoo.optimizers import OPTIMIZERS as OPTIMIZERS
    from pinnzoo.optimizers import register_optimizer as register_optimizer
    from pinnzoo.pdes import PROBLEMS as PROBLEMS
    from pinnzoo.pdes import register_problem as register_problem
    from pinnzoo.pdes.conditions import Condition as Condition
    from pinnzoo.pdes.conditions import Residual as Residual
    from pinnzoo.pdes.conditions import dirichlet as dirichlet
    from pinnzoo.pdes.conditions import initial as initial
    from pinnzoo.pdes.conditions import neumann as neumann
    from pinnzoo.pdes.conditions import periodic as periodic
    from pinnzoo.pdes.conditions import prescribe as prescribe
    from pinnzoo.pdes.conditions import robin as robin
    from pinnzoo.pdes.constraints import check_constraints as check_constraints
    from pinnzoo.pdes.constraints import constant_along as constant_along
    from pinnzoo.pdes.constraints import constrained as constrained
    from pinnzoo.pdes.constraints import odd_in as odd_in
    from pinnzoo.pdes.features import Features as Features
    from pinnzoo.pdes.problem import Problem as Problem
    from pinnzoo.pdes.reference import Reference as Reference
    from pinnzoo.pdes.reference import evaluate_function as evaluate_function
    from pinnzoo.precision import enable_x64 as enable_x64
    from pinnzoo.recipes import Phase as Phase
    from pinnzoo.recipes import Recipe as Recipe
    from pinnzoo.registry import check_finite as check_finite
    from pinnzoo.registry import check_positive as check_positive
    from pinnzoo.solving import solve as solve
    from pinnzoo.training import diagnose as diagnose
    from pinnzoo.training import finetune as finetune
    from pinnzoo.training import train as train
    from pinnzoo.unknowns import Estimate as Estimate
    from pinnzoo.unknowns import Unknown as Unknown
    from pinnzoo.zoo import download as download
    from pinnzoo.zoo import list_entries as list_entries
    from pinnzoo.zoo import load as load

    __version__: str

__all__ = [
    "ARCHITECTURES",
    "OPTIMIZERS",
    "PROBLEMS",
    "Ball",
    "Box",
    "Condition",
    "Domain",
    "Entry",
    "Estimate",
    "Features",
    "Field",
    "Interval",
    "Observations",
    "Parameter",
    "Phase",
    "PinnzooError",
    "Point",
    "PointFunction",
    "Polygon",
    "Problem",
    "Recipe",
    "Reference",
    "Region",
    "Residual",
    "Scalar",
    "Shape",
    "Surface",
    "Unknown",
    "Values",
    "__version__",
    "analysis",
    "analyze",
    "assemble",
    "check_constraints",
    "check_finite",
    "check_positive",
    "constant_along",
    "constrained",
    "diagnose",
    "diagnostics",
    "dirichlet",
    "download",
    "enable_x64",
    "evaluate",
    "evaluate_function",
    "finetune",
    "frame",
    "gradient_alignment",
    "hessian_density",
    "hessian_map",
    "initial",
    "kernel_alignment",
    "kernel_modes",
    "laziness",
    "linearise",
    "list_entries",
    "load",
    "loss_line",
    "loss_plane",
    "mode_spectrum",
    "neumann",
    "observe",
    "odd_in",
    "periodic",
    "prescribe",
    "register_architecture",
    "register_diagnostic",
    "register_optimizer",
    "register_problem",
    "robin",
    "singular_values",
    "solve",
    "train",
]

_HOMES = {
    "ARCHITECTURES": "architectures",
    "Ball": "domains",
    "Box": "domains",
    "Condition": "pdes.conditions",
    "Domain": "domains",
    "Entry": "entry",
    "Estimate": "unknowns",
    "Features": "pdes.features",
    "Field": "derivatives",
    "Interval": "domains",
    "OPTIMIZERS": "optimizers",
    "Observations": "observations",
    "PROBLEMS": "pdes",
    "Parameter": "domains",
    "Phase": "recipes",
    "PinnzooError": "errors",
    "Point": "_typing",
    "PointFunction": "_typing",
    "Polygon": "domains",
    "Problem": "pdes.problem",
    "Recipe": "recipes",
    "Reference": "pdes.reference",
    "Region": "domains",
    "Residual": "pdes.conditions",
    "Scalar": "_typing",
    "Shape": "domains",
    "Surface": "domains",
    "Unknown": "unknowns",
    "Values": "_typing",
    "analyze": "analysis",
    "assemble": "objective",
    "check_constraints": "pdes.constraints",
    "check_finite": "registry",
    "check_positive": "registry",
    "constant_along": "pdes.constraints",
    "constrained": "pdes.constraints",
    "diagnose": "training",
    "dirichlet": "pdes.conditions",
    "download": "zoo",
    "enable_x64": "precision",
    "evaluate": "evaluation",
    "evaluate_function": "pdes.reference",
    "finetune": "training",
    "frame": "analysis",
    "gradient_alignment": "analysis",
    "hessian_density": "analysis",
    "hessian_map": "analysis",
    "initial": "pdes.conditions",
    "kernel_alignment": "analysis",
    "kernel_modes": "analysis",
    "laziness": "analysis",
    "linearise": "analysis",
    "list_entries": "zoo",
    "load": "zoo",
    "loss_line": "analysis",
    "loss_plane": "analysis",
    "mode_spectrum": "analysis",
    "neumann": "pdes.conditions",
    "observe": "observations",
    "odd_in": "pdes.constraints",
    "periodic": "pdes.conditions",
    "prescribe": "pdes.conditions",
    "register_architecture": "architectures",
    "register_diagnostic": "diagnostics",
    "register_optimizer": "optimizers",
    "register_problem": "pdes",
    "robin": "pdes.conditions",
    "singular_values": "analysis",
    "solve": "solving",
    "train": "training",
}
"""The module that each public name lives in."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        value = getattr(import_module(f"pinnzoo.{_HOMES[name]}"), name)
    elif name in ("analysis", "diagnostics"):
        value = import_module(f"pinnzoo.{name}")
    elif name == "__version__":
        from importlib.metadata import version

        value = version("pinnzoo")
    else:
        raise AttributeError(f"module 'pinnzoo' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
