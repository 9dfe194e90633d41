"""Scrambled points of Sobol, number by number those of `scipy.stats.qmc.Sobol`.

Importing `scipy.stats` takes about as long as all other imports of a training but JAX. In up to
`len(POLYNOMIALS)` dimensions this module takes its place; `tests/test_domains.py` compares the two.
"""

import numpy as np
from jaxtyping import Float

BITS = 30

POLYNOMIALS = (1, 3, 7, 11, 13, 19, 25, 37, 41, 47, 55, 59, 61, 67, 91, 97)
"""Primitive polynomials over GF(2), one per dimension, their coefficients as the bits of a number
(Joe and Kuo 2008, "Constructing Sobol sequences with better two-dimensional projections", SIAM J.
Sci. Comput. 30:2635-2654)."""

FIRST = (
    (1,),
    (1,),
    (1, 3),
    (1, 3, 1),
    (1, 1, 1),
    (1, 1, 3, 3),
    (1, 3, 5, 13),
    (1, 1, 5, 5, 17),
    (1, 1, 5, 5, 5),
    (1, 1, 7, 11, 19),
    (1, 1, 5, 1, 1),
    (1, 1, 1, 3, 11),
    (1, 3, 5, 5, 31),
    (1, 3, 3, 9, 7, 49),
    (1, 1, 1, 15, 21, 21),
    (1, 3, 1, 13, 27, 49),
)
"""The first direction numbers of each dimension, as many as its polynomial has degrees."""


def scrambled(dim: int, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
    """The first `n` points of a scrambled sequence: a random linear map and a shift of all bits.

    Args:
        dim: Number of coordinates, at most `len(POLYNOMIALS)`.
        n: How many points.
        rng: Source of randomness; a child of it is used, as by `qmc.Sobol(dim, rng=rng)`.

    Example:
        >>> scrambled(2, 4, np.random.default_rng(0)).shape
        (4, 2)
    """
    rng = rng.spawn(1)[0]
    shift = rng.integers(2, size=(dim, BITS), dtype=np.uint32) @ (
        np.uint32(1) << np.arange(BITS, dtype=np.uint32)
    )
    lower = np.tril(rng.integers(2, size=(dim, BITS, BITS), dtype=np.uint32), -1)
    lower |= np.eye(BITS, dtype=np.uint32)
    # Row r of a direction number's bits, the most significant first, under the map of scrambling.
    place = np.arange(BITS - 1, -1, -1, dtype=np.uint32)
    bits = (_directions(dim)[:, None, :] >> place[:, None]) & np.uint32(1)
    mapped = (lower @ bits & np.uint32(1)) << place[:, None]
    directions: np.ndarray = np.asarray(mapped.sum(axis=1, dtype=np.uint32))
    # Point i is the sum (exclusive or) of the directions at the set bits of i's Gray code, which
    # is reflected: the second half of 2^k points is the first in reverse, and one direction more.
    points = np.atleast_2d(shift)
    for k in range(max(n - 1, 0).bit_length()):
        points = np.concatenate([points, points[::-1] ^ directions[:, k]])
    points = points[:n]
    return points * (1 / 2**BITS)


def _directions(dim: int) -> np.ndarray:
    """Direction numbers `(dim, BITS)` by the recurrence of Bratley and Fox (1988, section 2)."""
    rows = [[1] * BITS]
    for polynomial, first in zip(POLYNOMIALS[1:dim], FIRST[1:dim], strict=True):
        row, degree = list(first), len(first)
        for j in range(degree, BITS):
            new = row[j - degree]
            for k in range(1, degree + 1):
                if polynomial >> (degree - k) & 1:
                    new ^= row[j - k] << k
            row.append(new)
        rows.append(row)
    powers = np.uint32(1) << np.arange(BITS - 1, -1, -1, dtype=np.uint32)
    return np.array(rows[:dim], np.uint32) * powers
