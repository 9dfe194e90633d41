"""Wave equation: `u_tt = c² u_xx` on t, x ∈ [0, 1], `u = sin πx + ½ sin 4πx`, `u_t = 0` at t = 0.

Two standing waves between fixed ends, `u = sin πx cos cπt + ½ sin 4πx cos 4cπt`.

Source: Wang, Yu and Perdikaris, "When and why PINNs fail to train: a neural tangent kernel
perspective" (arXiv 2007.14527), section 7.3, with c = 2; appendix G.3 of Bonfanti, Bruno and
Cipriani (arXiv 2402.03864) uses it too. Known difficulty: the fast mode needs eight times the
second derivatives of the slow one, and the initial velocity is a third condition to balance.
"""

from pinnzoo import Problem, check_constraints, check_positive
from pinnzoo.pdes._standing_waves import standing_waves


def wave(speed: float = 2.0, constraints: str = "soft") -> Problem:
    """The one-dimensional wave equation.

    Args:
        speed: c, length/time.
        constraints: "soft" for conditions as residuals, or "hard" for the ansatz
            `u = sin πx + ½ sin 4πx + t² x (1 - x) N(t, x)`.

    Raises:
        RecipeError: An argument is out of range.
    """
    check_positive(speed=speed)
    check_constraints(constraints)
    return standing_waves(
        "wave",
        f"Wave equation, c = {speed:g}",
        speed,
        beta=4.0,
        arguments={"speed": speed, "constraints": constraints},
        citation="arXiv:2007.14527",
    )
