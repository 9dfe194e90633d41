"""Point sets that are drawn in regions: evenly, or where a residual is large."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from pinnzoo.domains.regions import Region
from pinnzoo.errors import PointsError, UnknownNameError

MOST = 2**22
"""Points that are looked at before a region counts as empty."""


def _uniform(dim: int, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random((n, dim))


def _latin_hypercube(dim: int, n: int, rng: np.random.Generator) -> np.ndarray:
    from scipy.stats import qmc

    return qmc.LatinHypercube(dim, rng=rng).random(n)


def _sobol(dim: int, n: int, rng: np.random.Generator) -> np.ndarray:
    from scipy.stats import qmc

    # random_base2 keeps the balance of the sequence; a count in between is its beginning.
    sampler = qmc.Sobol(dim, scramble=True, rng=rng)
    return sampler.random_base2(max(0, (n - 1).bit_length()))[:n]


SAMPLERS: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "uniform": _uniform,
    "latin_hypercube": _latin_hypercube,
    "sobol": _sobol,
}


def sample(
    region: Region, n: int, method: str, rng: np.random.Generator
) -> Float[np.ndarray, "n d"]:
    """Draw `n` points in `region`; coordinates without extent are exact and use up no dimension.

    Args:
        region: Where to draw. The faces of a surface, and the patches of a boundary, get points
            in proportion to their size. Of a shape, points of the box around it are drawn until n
            of them lie inside.
        n: How many points; at least one.
        method: A name of `SAMPLERS`: "uniform", "latin_hypercube" (McKay, Beckman and Conover
            1979) or "sobol" (scrambled, Owen 1998).
        rng: Source of randomness; the same state gives the same points.

    Raises:
        UnknownNameError: `method` is not a sampler.
        PointsError: `n` is below one.
    """
    if method not in SAMPLERS:
        raise UnknownNameError.of("sampler", method, SAMPLERS)
    if n < 1:
        raise PointsError(f"{n} points were asked for: ask for at least one.")
    if region.fill >= 1:
        return region.place(_unit(region.degrees, n, method, rng))[0]
    trials = math.ceil(1.1 * n / max(region.fill, 1e-3)) + 8
    while trials <= MOST:
        points, keep = region.place(_unit(region.degrees, trials, method, rng))
        if np.count_nonzero(keep) >= n:
            return points[keep][:n]
        trials *= 2
    raise PointsError(
        f"{n} points were asked for in a region of which fewer were found among {MOST}: it is "
        "empty, or too small for the box around it."
    )


def _unit(dim: int, n: int, method: str, rng: np.random.Generator) -> np.ndarray:
    return SAMPLERS[method](dim, n, rng) if dim else np.empty((n, 0))


def residual_adaptive(
    candidates: Float[np.ndarray, "c d"],
    residual: Float[np.ndarray, " c"],
    n: int,
    rng: np.random.Generator,
    *,
    exponent: float = 1.0,
    offset: float = 1.0,
) -> Float[np.ndarray, "n d"]:
    """Pick `n` of the candidates with probability ∝ |r|^k / mean(|r|^k) + c, without replacement.

    The RAD rule of Wu, Zhu, Tan, Kartha and Lu (2023, arXiv 2207.10289, Eq. 2). Candidates at which
    the residual is NaN or infinite are never picked.

    Args:
        candidates: Points to choose from, more than `n` of them.
        residual: Residual of the equation at the candidates.
        n: How many points to keep.
        rng: Source of randomness.
        exponent: k, how sharply large residuals attract points.
        offset: c, the weight of the uniform part.

    Raises:
        PointsError: There are fewer candidates with a finite residual than points.
    """
    if n > len(candidates):
        raise PointsError(
            f"{n} points were asked of {len(candidates)} candidates: give more candidates."
        )
    power = np.abs(residual) ** exponent
    finite = np.isfinite(power)
    if np.count_nonzero(finite) < n:
        first = candidates[int(np.argmin(finite))].tolist()
        raise PointsError(
            f"{n} points were asked of {len(candidates)} candidates, at "
            f"{np.count_nonzero(~finite)} of which the residual is NaN or infinite, such as "
            f"{first}: change the equation there, or draw points evenly."
        )
    mean = power[finite].mean()
    density = (power / mean if mean > 0 else np.ones_like(power)) + offset
    density = np.where(finite, density, 0.0)
    chosen = rng.choice(len(candidates), size=n, replace=False, p=density / density.sum())
    return candidates[np.sort(chosen)]
