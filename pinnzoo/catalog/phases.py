"""Phases that recipes of the catalog share. Imports no JAX."""

from typing import Any

from pinnzoo.recipes import Phase

SCALED = {"scaling": "columns", "damping": 1e-9}
"""Levenberg-Marquardt at the end: scaling by columns converges further, the identity finds the way
to begin with."""

LINEAR = {"scaling": "columns", "damping": 1e-20, "method": "qr"}
"""Least squares with features that are nearly dependent: as little damping as the numbers allow."""

GENTLE = {"scaling": "columns", "damping": 1e-17, "min_damping": 1e-17, "method": "qr"}
"""The same, without the directions whose singular values are below some 1e-10 of the largest one.
With them the parameters are huge and cancel, down to the last digits of what is left."""

MOVING = {"resample_every": 5, "adaptive": True}
"""Points that stay are fitted more closely than the solution between them."""


def levenberg_marquardt(steps: int, equation: int, conditions: int, **options: Any) -> Phase:
    """A phase of Levenberg-Marquardt with its own numbers of points."""
    points = {"equation": equation, "conditions": conditions}
    return Phase("levenberg_marquardt", steps, points=points, **options)
