"""Phases that recipes of the catalog share. Imports no JAX."""

from typing import Any

from pinnzoo.recipes import Phase

SCALED = {"scaling": "columns", "damping": 1e-9}
"""Levenberg-Marquardt at the end: scaling by columns converges further, the identity finds the way
to begin with."""

LINEAR = {"scaling": "columns", "damping": 1e-20, "method": "qr"}
"""Least squares with features that are nearly dependent: as little damping as the numbers allow."""

MOVING = {"resample_every": 5, "adaptive": True}
"""Points that stay are fitted more closely than the solution between them."""


def levenberg_marquardt(steps: int, equation: int, conditions: int, **options: Any) -> Phase:
    """A phase of Levenberg-Marquardt with its own numbers of points."""
    points = {"equation": equation, "conditions": conditions}
    return Phase("levenberg_marquardt", steps, points=points, **options)
