"""Pretrained physics-informed neural networks.

Importing the package imports no JAX: every name below is loaded when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pinnzoo import diagnostics as diagnostics
    from pinnzoo.architectures import ARCHITECTURES as ARCHITECTURES
    from pinnzoo.entry import Entry as Entry
    from pinnzoo.errors import PinnzooError as PinnzooError
    from pinnzoo.evaluation import evaluate as evaluate
    from pinnzoo.objective import assemble as assemble
    from pinnzoo.optimizers import OPTIMIZERS as OPTIMIZERS
    from pinnzoo.pdes import PROBLEMS as PROBLEMS
    from pinnzoo.pdes import Problem as Problem
    from pinnzoo.precision import enable_x64 as enable_x64
    from pinnzoo.recipes import Phase as Phase
    from pinnzoo.recipes import Recipe as Recipe
    from pinnzoo.training.training import finetune as finetune
    from pinnzoo.training.training import train as train
    from pinnzoo.zoo import download as download
    from pinnzoo.zoo import list_entries as list_entries
    from pinnzoo.zoo import load as load

    __version__: str

__all__ = [
    "ARCHITECTURES",
    "OPTIMIZERS",
    "PROBLEMS",
    "Entry",
    "Phase",
    "PinnzooError",
    "Problem",
    "Recipe",
    "__version__",
    "assemble",
    "diagnostics",
    "download",
    "enable_x64",
    "evaluate",
    "finetune",
    "list_entries",
    "load",
    "train",
]

_HOMES = {
    "ARCHITECTURES": "architectures",
    "Entry": "entry",
    "OPTIMIZERS": "optimizers",
    "PROBLEMS": "pdes",
    "Phase": "recipes",
    "PinnzooError": "errors",
    "Problem": "pdes",
    "Recipe": "recipes",
    "assemble": "objective",
    "enable_x64": "precision",
    "evaluate": "evaluation",
    "finetune": "training.training",
    "list_entries": "zoo",
    "download": "zoo",
    "load": "zoo",
    "train": "training.training",
}
"""The module that each public name lives in."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        value = getattr(import_module(f"pinnzoo.{_HOMES[name]}"), name)
    elif name == "diagnostics":
        value = import_module("pinnzoo.diagnostics")
    elif name == "__version__":
        from importlib.metadata import version

        value = version("pinnzoo")
    else:
        raise AttributeError(f"module 'pinnzoo' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
