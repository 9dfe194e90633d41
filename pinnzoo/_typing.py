"""Array types, with one meaning of each axis letter in the whole package.

`d` coordinates, `m` components, `n` points or rows, `p` parameters.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Array, Float, Int

Point: TypeAlias = Float[Array, " d"]
"""One point, a JAX array with one number per coordinate."""

HostPoint: TypeAlias = Float[np.ndarray, " d"]
WholePoint: TypeAlias = Int[Array, " d"] | Int[np.ndarray, " d"]
Points: TypeAlias = Float[Array, "n d"]
PointRows: TypeAlias = Points | Float[np.ndarray, "n d"]
Values: TypeAlias = Float[Array, " m"]
"""The values of all components at one point."""

Theta: TypeAlias = Float[Array, " p"]
Residuals: TypeAlias = Float[Array, " n"]
Jacobian: TypeAlias = Float[Array, "n p"]
Scalar: TypeAlias = Float[Array, ""]
"""One number, as a JAX array."""

PointFunction: TypeAlias = Callable[[Point], Values]
"""A function of one point, `(d,) -> (m,)`: a network, an exact solution, an ansatz."""

HostArray: TypeAlias = np.ndarray
