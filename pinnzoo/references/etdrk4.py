"""Fourth-order exponential time differencing, for spectral solutions in double precision."""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Complex, Float

CONTOUR = 32
"""Points on the circle around each z: enough for the mean below to be exact to rounding."""


def solve(
    linear: Complex[np.ndarray, " k"],
    nonlinear: Callable[[np.ndarray], np.ndarray],
    start: Complex[np.ndarray, " k"],
    times: Float[np.ndarray, " s"],
    step: float,
) -> Iterator[Complex[np.ndarray, " k"]]:
    """States of `v' = linear * v + nonlinear(v)` at `times`, the first of which is the start.

    The scheme ETDRK4 of Cox and Matthews (2002), J. Comput. Phys. 176, Eqs. 26-29, with the
    coefficients of Kassam and Trefethen (2005), SIAM J. Sci. Comput. 26(4): means over a circle in
    the complex plane, since the formulas themselves cancel near z = 0.

    Args:
        linear: Diagonal of the stiff part.
        nonlinear: The rest.
        start: State at the first time.
        times: Increasing.
        step: No step is longer; between two times all are equal.
    """
    yield start
    v = start
    for gap in np.diff(times):
        count = int(np.ceil(gap / step))
        change, half, q, f1, f2, f3 = _coefficients(linear, gap / count)
        for _ in range(count):
            now = nonlinear(v)
            drift = half * v
            a = drift + q * now
            at_a = nonlinear(a)
            b = drift + q * at_a
            at_b = nonlinear(b)
            c = half * a + q * (2 * at_b - now)
            v = v + (change * v + f1 * now + f2 * (at_a + at_b) + f3 * nonlinear(c))
        yield v


def _coefficients(linear: np.ndarray, step: float) -> tuple[np.ndarray, ...]:
    # In two dimensions many waves decay alike.
    linear, alike = np.unique(linear, return_inverse=True)
    circle = np.exp(2j * np.pi * (np.arange(CONTOUR) + 0.5) / CONTOUR)
    z = step * linear[:, None] + circle
    e = np.exp(z)

    def mean(values: np.ndarray) -> np.ndarray:
        return step * values.mean(axis=1)

    different = (
        # Not exp: its rounding error is the same in every step, and they add up.
        np.expm1(step * linear),
        np.exp(step * linear / 2),
        mean(np.expm1(z / 2) / z),
        mean((-4 - z + e * (4 - 3 * z + z**2)) / z**3),
        mean(2 * (2 + z + e * (z - 2)) / z**3),
        mean((-4 - 3 * z - z**2 + e * (4 - z)) / z**3),
    )
    return tuple(values[alike] for values in different)
