"""Wave equation with β: `u_tt = 4 u_xx` on t, x ∈ [0, 1], `u = sin πx + ½ sin βπx` at t = 0.

Two standing waves that begin at rest between fixed ends, u = 0:
`u = sin πx cos 2πt + ½ sin βπx cos 2βπt`.

Source: Rathore, Lei, Frangella, Lu and Udell, "Challenges in training PINNs: a loss landscape
perspective" (ICML 2024, arXiv 2402.01868), with β = 5; `wave` has β = 4. Known difficulty: the fast
mode needs β² / 2 times the second derivatives of the slow one.
"""

from pinnzoo import Problem, check_constraints, check_positive
from pinnzoo.errors import RecipeError
from pinnzoo.pdes._standing_waves import standing_waves

SPEED = 2.0


def wave_beta(beta: float = 5.0, constraints: str = "soft") -> Problem:
    """The one-dimensional wave equation with another fast mode.

    Args:
        beta: β, half waves of the fast mode; a whole number.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = sin πx + ½ sin βπx + t² x (1 - x) N(t, x)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(beta=beta)
    if beta != round(beta):
        raise RecipeError(
            f"beta={beta!r} was given: it must be a whole number, since the solution does not "
            "vanish at the ends otherwise."
        )
    check_constraints(constraints)
    return standing_waves(
        "wave_beta",
        f"Wave equation, c = {SPEED:g}, β = {beta:g}",
        SPEED,
        beta,
        arguments={"beta": beta, "constraints": constraints},
        citation="arXiv:2402.01868",
    )
