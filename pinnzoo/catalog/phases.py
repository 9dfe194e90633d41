"""Phases that recipes of the catalog share. Imports no JAX."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pinnzoo.recipes import Phase, Recipe

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

OFTEN = MOVING | {"resample_every": 3}
"""The same for a tangent, which has few steps."""


def levenberg_marquardt(steps: int, equation: int, conditions: int, **options: Any) -> Phase:
    """A phase of Levenberg-Marquardt with its own numbers of points."""
    points = {"equation": equation, "conditions": conditions}
    return Phase("levenberg_marquardt", steps, points=points, **options)


def with_tangent(
    points: tuple[int, int],
    steps: tuple[int, int, int],
    *,
    windows: int = 1,
    seconds: tuple[float | None, float] | None = None,
    weights: dict[str, float] | None = None,
    least_squares: dict[str, Any] = LINEAR,
    tangent_points: tuple[int, int] | None = None,
) -> tuple[Phase, ...]:
    """The phases of `tangent_mlp`: a network, the same with columns scaled, then its tangent.

    Args:
        points: Those of the equation and of each condition.
        steps: Of the three phases; one of no steps is left out.
        windows: Windows of time, one after the other.
        seconds: At most so long for the first phase and for the second.
        weights: Of the terms.
        least_squares: Arguments of Levenberg-Marquardt for the tangent.
        tangent_points: Points for it; twice `points` by default.
    """
    found, scaled, linear = steps
    first, second = seconds or (None, None)
    moving: dict[str, Any] = {**MOVING, "weights": weights or {}}
    often = moving | OFTEN
    equation, conditions = tangent_points or tuple(2 * n for n in points)
    return tuple(
        phase
        for window in range(windows)
        for phase in (
            levenberg_marquardt(found, *points, part=2 * window, seconds=first, **moving),
            levenberg_marquardt(
                scaled, *points, part=2 * window, seconds=second, arguments=SCALED, **moving
            ),
            levenberg_marquardt(
                linear, equation, conditions, part=2 * window + 1, arguments=least_squares, **often
            ),
        )
        if phase.steps
    )


JOINS = (1e2, 1e4)
"""Weights of the conditions where two windows meet, for a network and for its tangent: within a
window the equation is met so closely that the error is what the joins before have left."""


def marching(
    points: tuple[int, int],
    steps: Sequence[tuple[int, int]],
    *,
    joins: Sequence[str],
    tangent_points: tuple[int, int],
    target_loss: float | None = None,
) -> tuple[Phase, ...]:
    """The phases of `tangent_mlp` in windows that begin as the one before goes on.

    Args:
        points: Those of the equation and of each condition.
        steps: Of the network and of its tangent, for each window.
        joins: Names of the conditions where windows meet.
        tangent_points: Points for the tangent.
        target_loss: Ends the training of a network.
    """

    def window(k: int, network: int, tangent: int) -> tuple[Phase, Phase]:
        meets = [dict.fromkeys(joins, weight) if k else {} for weight in JOINS]
        return (
            levenberg_marquardt(
                network,
                *points,
                part=2 * k,
                warm_start=k > 0,
                weights=meets[0],
                target_loss=target_loss,
                **MOVING,
            ),
            levenberg_marquardt(
                tangent,
                *tangent_points,
                part=2 * k + 1,
                arguments=LINEAR,
                weights=meets[1],
                **OFTEN,
            ),
        )

    return tuple(phase for k, own in enumerate(steps) for phase in window(k, *own))


MIDDLE = {"pressure_at": "middle"}
"""Pressure prescribed where a network is best, so that nearly nothing of it is off everywhere."""


def then_in_the_middle(recipe: Recipe, *phases: Phase) -> Recipe:
    """The phases of a recipe with the pressure in the corner, then others with it in the middle.

    In a few steps all of the pressure moves by a constant.
    """
    corner = (
        replace(p, problem_arguments={**p.problem_arguments, "pressure_at": "corner"})
        for p in recipe.phases
    )
    return replace(
        recipe,
        phases=(*corner, *phases),
        problem_arguments={**recipe.problem_arguments, **MIDDLE},
    )


def on_accelerator(recipe: Recipe) -> Recipe:
    """The same with Jacobian rows of so many points at once that an accelerator has enough to do.

    On a processor the steps are the same up to rounding, take more memory and many times as long,
    so that limits of time end a phase after fewer of them.
    """
    phases = (replace(p, arguments={**p.arguments, "chunk": 8192}) for p in recipe.phases)
    return replace(recipe, phases=tuple(phases))
