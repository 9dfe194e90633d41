"""Adaptive loss weights, one file each. `ntk_trace.py` is the template for a new one.

They change the scales of rows and nothing else, so that any optimizer can be used with any of them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pinnzoo.pdes import Problem
from pinnzoo.registry import make
from pinnzoo.weighting._base import Weighting as Weighting
from pinnzoo.weighting.causal import causal
from pinnzoo.weighting.gradient_norm import gradient_norm
from pinnzoo.weighting.ntk_trace import ntk_trace

WEIGHTINGS: dict[str, Callable[..., Weighting]] = {
    "causal": causal,
    "gradient_norm": gradient_norm,
    "ntk_trace": ntk_trace,
}


def make_weighting(name: str, arguments: Mapping[str, Any], problem: Problem) -> Weighting:
    """The weighting called `name`, with the given arguments.

    Raises:
        UnknownNameError: There is no such weighting.
        RecipeError: The weighting does not take one of the arguments, or not for this problem.
    """
    return make("weighting", WEIGHTINGS, name, arguments, problem=problem)
