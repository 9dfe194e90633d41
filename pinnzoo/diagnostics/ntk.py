"""The neural tangent kernel of the whole residual vector, and how it moves during training.

The matrix is `K(t) = J(t) J(t)ᵀ` of Bonfanti, Bruno and Cipriani (arXiv 2402.03864, section 3;
lemma 3.2): rows of `J` are derivatives of every residual, of the equation and of the conditions,
with respect to all parameters. The paper lists the boundary first, here the equation comes first;
that is the same matrix with its rows and columns in another order. Eigenvalues are those of
`J Jᵀ`, not divided by the number of points, in descending order.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from pinnzoo._frozen import all_read_only, read_only
from pinnzoo._typing import Jacobian, Theta
from pinnzoo.diagnostics._inputs import Vector, finite, in_float64, unscaled_objective
from pinnzoo.diagnostics._programs import Tick, silent
from pinnzoo.diagnostics._rows import begin_jacobian, jacobian_blocks
from pinnzoo.diagnostics.spectrum import NORMS, effective_rank, gram_eigenvalues, matrix_norm
from pinnzoo.errors import IntegrityError, PointsError, UnknownNameError
from pinnzoo.objective import Objective

WHOLE = "all"
"""Name of the whole kernel where blocks go by the name of their term."""

ZERO_BLOCK = (1e3 * float(np.finfo(np.float64).eps)) ** 2
"""A block below this share of the whole kernel is rounding: no θ nearby changes its rows."""


@functools.partial(jax.jit, static_argnums=2)
def _jacobian(objective: Objective, theta: Theta, chunk: int | None) -> Jacobian:
    return objective.jacobian(theta, chunk)


def _host_jacobian(
    objective: Objective, theta: Any, chunk: int | None, purpose: str
) -> Float[np.ndarray, "n p"]:
    theta = in_float64(objective, theta, purpose)
    finite(theta)
    return np.asarray(_jacobian(objective, theta, chunk))


def _gram(rows: Float[np.ndarray, "n p"]) -> Float[np.ndarray, "n n"]:
    kernel = rows @ rows.T
    return (kernel + kernel.T) / 2


def ntk(objective: Objective, theta: Vector, *, chunk: int | None = None) -> np.ndarray:
    """The neural tangent kernel `K = J Jᵀ`, `(n, n)`, of lemma 3.2 in arXiv 2402.03864.

    Rows carry the scales of the objective that is given, √(weight / n) per term. The kernel of the
    paper has rows without scale: `ntk_snapshots` uses those.

    Args:
        objective: The residual vector.
        theta: Flat parameters.
        chunk: Points handled at once; see `Term.jacobian`.

    Returns:
        The kernel, rows in the order of `objective.slices()`. Its nonzero eigenvalues are those of
        the Gauss-Newton matrix `Jᵀ J` too.

    Raises:
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        >>> kernel = ntk(objective, theta)
        >>> kernel.shape == (objective.n, objective.n)
        True
    """
    return _gram(_host_jacobian(objective, theta, chunk, "an NTK"))


def ntk_blocks(
    objective: Objective, theta: Vector, *, chunk: int | None = None
) -> dict[tuple[str, str], np.ndarray]:
    """Blocks `J_k J_lᵀ` of the kernel, by names of two terms: K_uu, K_ur, K_rr of arXiv 2007.14527.

    In arXiv 2402.03864 they are the blocks of `K(t)` in lemma 3.2 between boundary and equation.

    Args:
        objective: The residual vector.
        theta: Flat parameters.
        chunk: Points handled at once; see `Term.jacobian`.

    Raises:
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        >>> ntk_blocks(objective, theta)["initial", "equation"].shape
        (5, 20)
    """
    kernel = ntk(objective, theta, chunk=chunk)
    rows = objective.slices()
    return {(a, b): kernel[rows[a], rows[b]] for a in rows for b in rows}


def ntk_eigenvalues(objective: Objective, theta: Vector, *, chunk: int | None = None) -> np.ndarray:
    """All n eigenvalues of `K = J Jᵀ` (lemma 3.2 of arXiv 2402.03864), descending.

    The squared singular values of `J`, accurate far below rounding times the largest. The smallest
    is the λ_min(K) that bounds the rate of gradient descent in theorem 4.1.

    Args:
        objective: The residual vector.
        theta: Flat parameters.
        chunk: Points handled at once; see `Term.jacobian`.

    Raises:
        PrecisionError: Not everything is float64.
        TrainingError: The parameters are not finite.

    Example:
        >>> ntk_eigenvalues(objective, theta).shape == (objective.n,)
        True
    """
    return gram_eigenvalues(_host_jacobian(objective, theta, chunk, "an NTK spectrum"))


def ntk_drift(kernel: np.ndarray, initial: np.ndarray, *, norm: str = "spectral") -> float:
    """Drift `ΔK = ‖K(t) - K(0)‖ / ‖K(0)‖` of figure 1b in arXiv 2402.03864.

    The paper uses the spectral norm, here the default. By proposition 3.5 it stays above zero at
    any width for nonlinear equations; for linear ones it goes to zero (proposition B.3).

    Args:
        kernel: K(t), or a block of it.
        initial: K(0), or the same block of it.
        norm: "spectral" or "frobenius".

    Raises:
        UnknownNameError: There is no such norm.

    Example:
        >>> ntk_drift(np.diag([3.0, 1.0]), np.diag([2.0, 1.0]))
        0.5
    """
    start = matrix_norm(initial, norm)
    change = matrix_norm(kernel - initial, norm)
    if start == 0:
        return 0.0 if change == 0 else float("inf")
    return change / start


def lacks_beginning(steps: Sequence[int] | Int[np.ndarray, " s"]) -> bool:
    """Whether the first parameters on record are those of a network that was trained before."""
    return int(steps[0]) > 0


@dataclass(frozen=True, eq=False)
class NTKSnapshots:
    """The NTK at several steps of one training, on one set of points.

    `K(t) = J(t) J(t)ᵀ` of lemma 3.2 in arXiv 2402.03864 with rows of all terms and without scale:
    neither loss weights nor 1/√n enter. Spectra and drifts are computed in float64 from the
    Jacobian; they do not change when kernels are rounded for storage. Eigenvalues are
    those of `J Jᵀ`, descending.

    Attributes:
        steps: Steps at which the parameters were taken, rising; the first one is K(0).
        terms: Points per term, in the order of the rows.
        kernels: K at each step, `(s, n, n)`.
        spectra: All eigenvalues of the whole kernel.
        block_spectra: All eigenvalues of each diagonal block, by term.
        drifts: ‖K(t) - K(0)‖ / ‖K(0)‖ by "all" or term, then by "spectral" or "frobenius". A
            block that is zero but for rounding, because the network meets its condition by
            construction, has drift 0; one that was zero at first and is not now has none, infinity.

    Example:
        >>> kernels = entry.ntk
        >>> float(kernels.drift()[0]), len(kernels.drift(block="equation")) == len(kernels.steps)
        (0.0, True)
    """

    steps: Int[np.ndarray, " s"]
    terms: dict[str, Float[np.ndarray, "_ d"]]
    kernels: Float[np.ndarray, "s n n"]
    spectra: Float[np.ndarray, "s n"]
    block_spectra: dict[str, Float[np.ndarray, "s _"]]
    drifts: dict[str, dict[str, Float[np.ndarray, " s"]]]

    def __post_init__(self) -> None:
        for name in ("steps", "kernels", "spectra"):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        for name in ("terms", "block_spectra"):
            object.__setattr__(self, name, all_read_only(getattr(self, name)))
        drifts = {block: all_read_only(norms) for block, norms in self.drifts.items()}
        object.__setattr__(self, "drifts", drifts)

    @property
    def points(self) -> Float[np.ndarray, "n d"]:
        """Points of all rows."""
        return np.concatenate(list(self.terms.values()))

    @property
    def blocks(self) -> dict[str, slice]:
        """Rows of each term: `kernels[:, blocks[a], blocks[b]]` is the block of a and b."""
        return _blocks(self.terms)

    def drift(self, norm: str = "spectral", block: str | None = None) -> Float[np.ndarray, " s"]:
        """`‖K(t) - K(0)‖ / ‖K(0)‖` at each step: ΔK of figure 1b in arXiv 2402.03864.

        Args:
            norm: "spectral", as in the paper, or "frobenius".
            block: Name of a term for its diagonal block; the whole kernel by default.

        Raises:
            UnknownNameError: There is no such norm or block.
        """
        if norm not in NORMS:
            raise UnknownNameError.of("norm", norm, NORMS)
        return self.drifts[self._check(block)][norm]

    def eigenvalues(self, block: str | None = None) -> Float[np.ndarray, "s n"]:
        """Eigenvalues of `K(t)` (lemma 3.2 of arXiv 2402.03864) at each step, descending.

        Args:
            block: Name of a term for its diagonal block; the whole kernel by default.

        Raises:
            UnknownNameError: There is no such block.
        """
        name = self._check(block)
        return self.spectra if name == WHOLE else self.block_spectra[name]

    def norms(self, block: str | None = None) -> Float[np.ndarray, " s"]:
        """Spectral norm `‖K(t)‖` at each step: figure 1a of arXiv 2402.03864 shows ‖K(0)‖.

        Args:
            block: Name of a term for its diagonal block; the whole kernel by default.

        Raises:
            UnknownNameError: There is no such block.
        """
        return self.eigenvalues(block)[:, 0]

    def effective_rank(self, block: str | None = None) -> Float[np.ndarray, " s"]:
        """Effective rank of `K(t)` at each step; see `spectrum.effective_rank`.

        Args:
            block: Name of a term for its diagonal block; the whole kernel by default.

        Raises:
            UnknownNameError: There is no such block.
        """
        return effective_rank(self.eigenvalues(block))

    def _check(self, block: str | None) -> str:
        if block is None or block == WHOLE:
            return WHOLE
        if block not in self.terms:
            raise UnknownNameError.of("block", block, [WHOLE, *self.terms])
        return block

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays for `np.savez`: kernels rounded to float16, everything else in full.

        Of each kernel the diagonal is stored in float64 and, below it, the correlations
        `K_ij / √(K_ii K_jj)` in float16. What comes back is off by at most `2⁻¹¹ |K_ij|`, or
        `2⁻²⁵ √(K_ii K_jj)` where that is more. Spectra and drifts were computed
        before the rounding.
        """
        lower = np.tril_indices(self.kernels.shape[1], -1)
        diagonals = np.diagonal(self.kernels, axis1=1, axis2=2)
        # A row of zeros has no direction: its correlations are zero as well.
        lengths = np.sqrt(np.where(diagonals > 0, diagonals, np.inf))
        # One by one: the product of two squares could overflow or vanish.
        correlations = self.kernels[:, lower[0], lower[1]] / lengths[:, lower[0]]
        correlations = correlations / lengths[:, lower[1]]
        arrays = {
            "steps": np.asarray(self.steps, dtype=np.int64),
            "terms": np.array(list(self.terms)),
            "diagonals": diagonals.copy(),
            "correlations": np.clip(correlations, -1, 1).astype(np.float16),
            "spectra": self.spectra,
        }
        for name, points in self.terms.items():
            arrays[f"points.{name}"] = points
            arrays[f"spectra.{name}"] = self.block_spectra[name]
        for name, by_norm in self.drifts.items():
            for norm, values in by_norm.items():
                arrays[f"drift.{norm}.{name}"] = values
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "NTKSnapshots":
        """The inverse of `to_arrays`, up to the rounding of the kernels that is described there.

        Older files, which hold the upper triangles of the kernels in float32, are read too.

        Raises:
            IntegrityError: An array is missing, or has the wrong shape or type.
        """
        if _take(arrays, "steps", "iu").ndim != 1 or _take(arrays, "terms", "U").ndim != 1:
            raise IntegrityError("NTK arrays with 'steps' or 'terms' not of one axis were given.")
        steps = _take(arrays, "steps", "iu", strictly_rising=True).astype(np.int64)
        names = [str(name) for name in arrays["terms"]]
        if not names or len(set(names)) < len(names):
            raise IntegrityError(f"NTK arrays with the terms {names} were given: names are unique.")
        s = len(steps)
        terms = {name: _take(arrays, f"points.{name}") for name in names}
        d = terms[names[0]].shape[-1] if terms[names[0]].ndim == 2 else 0
        for name, points in terms.items():
            if points.ndim != 2 or points.shape[1] != d or points.size == 0:
                raise IntegrityError(
                    f"the NTK array 'points.{name}' has the shape {points.shape}: it must be "
                    "(n, d), with the same d for every term."
                )
        n = sum(len(points) for points in terms.values())
        kernels = _kernels(arrays, s, n)
        return cls(
            steps=steps,
            terms=terms,
            kernels=kernels,
            spectra=_take(arrays, "spectra", shape=(s, n)),
            block_spectra={
                name: _take(arrays, f"spectra.{name}", shape=(s, len(points)))
                for name, points in terms.items()
            },
            drifts={
                name: {
                    norm: _take(arrays, f"drift.{norm}.{name}", shape=(s,), endless=True)
                    for norm in NORMS
                }
                for name in (WHOLE, *names)
            },
        )


def _kernels(arrays: Mapping[str, np.ndarray], s: int, n: int) -> Float[np.ndarray, "s n n"]:
    """The kernels of a file, of either layout.

    Raises:
        IntegrityError: They are missing, or what is there cannot be a kernel.
    """
    kernels = np.empty((s, n, n))
    if "correlations" not in arrays:
        if "kernels" not in arrays:
            raise IntegrityError(
                "the NTK array 'correlations' (in older files 'kernels') is missing: the file is "
                "not complete."
            )
        triangles = _take(arrays, "kernels", shape=(s, n * (n + 1) // 2))
        upper = np.triu_indices(n)
        kernels[:, upper[0], upper[1]] = triangles
        kernels[:, upper[1], upper[0]] = triangles
        return kernels
    correlations = _take(arrays, "correlations", shape=(s, n * (n - 1) // 2))
    diagonals = _take(arrays, "diagonals", shape=(s, n))
    if (diagonals < 0).any() or (np.abs(correlations) > 1).any():
        raise IntegrityError(
            "the NTK arrays 'diagonals' and 'correlations' hold negative squares or correlations "
            "beyond 1: they are not those of a kernel."
        )
    lower = np.tril_indices(n, -1)
    lengths = np.sqrt(diagonals)
    entries = correlations * lengths[:, lower[0]] * lengths[:, lower[1]]
    kernels[:, lower[0], lower[1]] = entries
    kernels[:, lower[1], lower[0]] = entries
    kernels[:, range(n), range(n)] = diagonals
    return kernels


def _take(
    arrays: Mapping[str, np.ndarray],
    key: str,
    kinds: str = "f",
    *,
    shape: tuple[int, ...] | None = None,
    strictly_rising: bool = False,
    endless: bool = False,
) -> np.ndarray:
    """One array out of a file, with its type, shape and numbers checked.

    The drift of a kernel that was zero at first is infinite, and `endless`; nothing else is.
    """
    if key not in arrays:
        raise IntegrityError(f"the NTK array {key!r} is missing: the file is not complete.")
    array = np.asarray(arrays[key])
    if array.dtype.kind not in kinds or (shape is not None and array.shape != shape):
        wanted = f" and shape {shape}" if shape is not None else ""
        raise IntegrityError(
            f"the NTK array {key!r} has type {array.dtype} and shape {array.shape}: it must be of "
            f"kind {kinds!r}{wanted}."
        )
    if array.dtype.kind == "f":
        if not (np.isfinite(array) | (endless & np.isposinf(array))).all():
            raise IntegrityError(f"the NTK array {key!r} holds NaN or infinity.")
        array = array.astype(np.float64)
    if strictly_rising and (array.size == 0 or not (np.diff(array.astype(np.int64)) > 0).all()):
        raise IntegrityError(f"the NTK array {key!r} must hold rising numbers, one at least.")
    return array


def _blocks(terms: Mapping[str, np.ndarray]) -> dict[str, slice]:
    stops = np.cumsum([len(points) for points in terms.values()])
    return {
        name: slice(int(stop) - len(points), int(stop))
        for (name, points), stop in zip(terms.items(), stops, strict=True)
    }


def begin_snapshots(
    objective: Objective,
    theta: Vector,
    points: Mapping[str, Float[np.ndarray, "n d"]],
    tick: Tick = silent,
) -> None:
    """Begin to compile what `ntk_snapshots` takes its rows by."""
    bare = unscaled_objective(objective, points)
    begin_jacobian(bare, in_float64(bare, theta, "an NTK"), tick=tick)


def ntk_snapshots(
    objective: Objective,
    steps: Sequence[int] | Int[np.ndarray, " s"],
    thetas: Float[np.ndarray, "s p"],
    points: Mapping[str, Float[np.ndarray, "n d"]],
    *,
    chunk: int | None = None,
    tick: Tick = silent,
) -> NTKSnapshots:
    """The NTK of arXiv 2402.03864 (lemma 3.2) at several steps, on points of its own.

    Rows are those of the paper: all terms, without weights and without 1/√n, whatever scales the
    objective has. Eigenvalues are those of `J Jᵀ`, descending, from singular values of `J`.

    Args:
        objective: Any objective with the right terms; its points and scales are not used.
        steps: Steps at which the parameters were taken, rising; the first is where drift is zero.
        thetas: Flat parameters at those steps.
        points: Points per term; every term needs at least one.
        chunk: Points handled at once; `_rows.CHUNK` by default.
        tick: The sign of life.

    Raises:
        PointsError: Terms and points do not match, or steps and parameters do not.
        PrecisionError: Not everything is float64.
        TrainingError: Some of the parameters are not finite.

    Example:
        >>> thetas = np.stack([theta, 2 * theta])
        >>> ntk_snapshots(objective, [0, 10], thetas, points).drift().shape
        (2,)
    """
    stacked = np.asarray(thetas)
    numbers = np.asarray(steps, dtype=np.int64)
    if stacked.ndim != 2 or numbers.shape != stacked.shape[:1] or len(numbers) == 0:
        raise PointsError(
            f"steps of shape {numbers.shape} and parameters of shape {stacked.shape} were given: "
            "give s steps, one at least, and parameters of shape (s, p)."
        )
    if not (np.diff(numbers) > 0).all():
        raise PointsError(f"the steps {numbers.tolist()} were given: they must rise.")
    in_float64(objective, stacked[0], "an NTK")
    bare = unscaled_objective(objective, points)
    terms = {term.name: np.asarray(term.points) for term in bare.terms}
    blocks = {WHOLE: slice(None), **_blocks(terms)}
    kernels: list[np.ndarray] = []
    spectra: dict[str, list[np.ndarray]] = {name: [] for name in blocks}
    drifts: dict[str, dict[str, list[float]]] = {
        name: {norm: [] for norm in NORMS} for name in blocks
    }
    for theta in stacked:
        finite(theta)
        at = in_float64(bare, theta, "an NTK")
        rows = np.concatenate(list(jacobian_blocks(bare, at, chunk=chunk, tick=tick)))
        kernels.append(_gram(rows))
        for name, block in blocks.items():
            tick("kernels")
            spectra[name].append(gram_eigenvalues(rows[block]))
            at_first, now = (
                spectra[name][k][0] <= ZERO_BLOCK * spectra[WHOLE][k][0] for k in (0, -1)
            )
            for norm in NORMS:
                if at_first:
                    change = 0.0 if now else float("inf")
                else:
                    change = ntk_drift(
                        kernels[-1][block, block], kernels[0][block, block], norm=norm
                    )
                drifts[name][norm].append(change)
    return NTKSnapshots(
        steps=numbers,
        terms=terms,
        kernels=np.stack(kernels),
        spectra=np.stack(spectra[WHOLE]),
        block_spectra={name: np.stack(spectra[name]) for name in terms},
        drifts={
            name: {norm: np.array(values) for norm, values in by_norm.items()}
            for name, by_norm in drifts.items()
        },
    )
