"""Spectral densities of matrices that are known by their products with vectors.

Stochastic Lanczos quadrature (Ubaru, Chen and Saad 2017; Ghorbani, Krishnan and Xiao 2019) with
deflation. Spectra of Hessians have a few eigenvalues that are orders of magnitude larger than all
others, and random probes see these with an error of their own size. So a block Krylov space finds
them first, as in Hutch++, and the probes see only what is left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.linalg
from jaxtyping import Float

from pinnzoo.errors import DiagnosticError

Products: TypeAlias = Callable[[Float[np.ndarray, "b p"]], Float[np.ndarray, "b p"]]
"""A symmetric matrix, multiplied by each of some rows."""

BLOCK = 8
"""Vectors that are multiplied at once."""

CONVERGED = 1e-5
"""Residual of a Ritz pair, relative to the largest eigenvalue, that counts as an eigenpair."""

DEFLATED = 1e-2
"""The same, up to which the probes need not see a pair. Taking a space out of a matrix leaves the
trace as it is, and of `tr A²` twice the sum of the squared residuals is lost: for outliers far less
than the noise of probes that see them."""

NEGATIVE = 1e-5
"""An eigenvalue above minus this times the largest magnitude counts as zero: nearer to zero, where
most eigenvalues of a Hessian are, a quadrature does not tell signs apart."""


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """The distribution of a matrix's eigenvalues, as points with weights.

    Attributes:
        nodes: Where, ascending, `(k,)`.
        weights: Which share of all eigenvalues each node stands for; they sum to 1.
        size: How many eigenvalues there are.
        exact: How many nodes are eigenvalues; the others are approximations, or nodes of a
            quadrature.
        resolution: What lies nearer to zero has no known sign: distance between the nodes that are
            no eigenvalues, or by how much eigenvalues may be off. 0 where all are known.
        correction: What the mean of the nodes lacks, where a part of the trace is known.

    Example:
        >>> found = hessian_density(objective, theta)
        >>> bool(abs(found.weights.sum() - 1) < 1e-9)
        True
    """

    nodes: Float[np.ndarray, " k"]
    weights: Float[np.ndarray, " k"]
    size: int
    exact: int
    resolution: float = 0.0
    correction: float = 0.0

    @classmethod
    def of(cls, eigenvalues: Any) -> "SpectralDensity":
        """The density of eigenvalues that are all known."""
        values = np.sort(np.asarray(eigenvalues, np.float64))
        n = len(values)
        return cls(values, np.full(n, 1 / n), n, n)

    def moment(self, order: int) -> float:
        """Mean of `λ^order` over all eigenvalues; order 0 is the mass, 1 the trace over p."""
        return float(np.sum(self.weights * self.nodes**order))

    @property
    def mean(self) -> float:
        """Mean of all eigenvalues: the trace over p, with what is known of it beforehand."""
        return self.moment(1) + self.correction

    @property
    def unresolved(self) -> float:
        """Share of eigenvalues of which no more is known than that they are below the resolution.

        Of an estimate these are the nodes of a quadrature, which stand for hundreds of eigenvalues.
        """
        if not self.resolution:
            return 0.0
        return float(np.sum(self.weights[np.abs(self.nodes) <= self.resolution]))

    @property
    def largest(self) -> float:
        """The largest node."""
        return float(self.nodes[-1])

    @property
    def smallest(self) -> float:
        """The smallest node, negative for an indefinite matrix."""
        return float(self.nodes[0])

    @property
    def negative_share(self) -> float:
        """Share of eigenvalues that are negative and stand clear of zero.

        That is by `NEGATIVE` times the largest magnitude, and by the resolution.
        """
        return float(np.sum(self.weights[self._is_negative & (self.nodes < -self.resolution)]))

    @property
    def negative_curvature(self) -> float:
        """Share of `Σ |λ|` that negative eigenvalues hold: 0 convex, ½ as much down as up."""
        total = np.sum(self.weights * np.abs(self.nodes))
        below = -np.sum((self.weights * self.nodes)[self._is_negative])
        return max(0.0, float(below / total)) if total > 0 else 0.0

    @property
    def _is_negative(self) -> np.ndarray:
        return self.nodes < -NEGATIVE * np.abs(self.nodes).max(initial=0.0)

    def curve(
        self, width: float = 0.15, count: int = 400, smallest: float = 1e-8
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Smooth densities of `log10 |λ|`, of the positive and of the negative eigenvalues.

        Args:
            width: Standard deviation of the Gaussians that nodes become, in decades.
            count: Points of the curves.
            smallest: Magnitudes below this times the largest are left out, since they are zero, and
                so are those below the resolution.

        Returns:
            log10 |λ|, `(count,)`, and at each place the share of eigenvalues per decade, positive
            and negative.
        """
        magnitude = np.abs(self.nodes)
        top = magnitude.max(initial=0.0)
        seen = magnitude > max(smallest * top, self.resolution)
        if top == 0 or not seen.any():
            axis = np.linspace(-1.0, 1.0, count)
            return axis, np.zeros(count), np.zeros(count)
        logs = np.log10(magnitude[seen])
        axis = np.linspace(logs.min() - 4 * width, logs.max() + 4 * width, count)
        bumps = np.exp(-(((axis[:, None] - logs) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
        weights, sign = self.weights[seen], self.nodes[seen] > 0
        return axis, bumps @ np.where(sign, weights, 0.0), bumps @ np.where(sign, 0.0, weights)


Space: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, bool]
"""What `krylov` returns."""


def whole_space(matrix: Float[np.ndarray, "p p"]) -> Space:
    """What `krylov` returns where it spans everything, of a symmetric matrix that is formed."""
    values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(-np.abs(values))
    return values[order], vectors[:, order].T, np.zeros(len(values)), True


def krylov(
    products: Products,
    p: int,
    *,
    blocks: int = 24,
    seed: int = 0,
    start: Float[np.ndarray, "k p"] | None = None,
) -> Space:
    """Ritz pairs of a block Krylov space, with all vectors orthogonal to rounding.

    Args:
        products: The matrix.
        p: Its size.
        blocks: Blocks of `BLOCK` vectors at most.
        seed: Seed of the first block.
        start: Orthonormal rows that are nearly eigenvectors, where some are known; the space goes
            on from what their images add, and from random vectors where that is less than a block,
            since exact eigenvectors add nothing. They count as blocks.

    Returns:
        Ritz values, falling in magnitude, `(k,)`; their vectors in rows, `(k, p)`; the norms of
        their residuals, `(k,)`; and whether the space is invariant, so that all are exact.
    """
    rng = np.random.default_rng(seed)
    basis, images = np.empty((0, p)), np.empty((0, p))
    size, closed = 0.0, False
    if start is None or len(start) == 0:
        block = np.linalg.qr(rng.standard_normal((p, min(BLOCK, p))))[0].T
    else:
        parts = [start[k : k + BLOCK] for k in range(0, len(start), BLOCK)]
        basis = start
        images = np.concatenate([np.asarray(products(part), np.float64) for part in parts])
        size = float(np.linalg.norm(images, axis=1).max())
        floor = p * np.finfo(np.float64).eps * size
        block = _new_directions(images, basis, floor)[:BLOCK]
        if missing := min(BLOCK, p - len(basis)) - len(block):
            spanned = np.concatenate([basis, block])
            fresh = _new_directions(rng.standard_normal((missing, p)), spanned, 0.0)
            block = np.concatenate([block, fresh])
        closed = len(basis) == p
        blocks = 0 if closed else blocks - len(parts)
    for _ in range(blocks):
        image = np.asarray(products(block), np.float64)
        basis, images = np.concatenate([basis, block]), np.concatenate([images, image])
        size = max(size, float(np.linalg.norm(image, axis=1).max()))
        block = _new_directions(image, basis, p * np.finfo(np.float64).eps * size)
        if len(block) == 0 or len(basis) == p:
            closed = len(basis) == p
            if closed or not size:
                break
            # An invariant space that is not all: what is orthogonal to it has to be seen as well.
            fresh = rng.standard_normal((min(BLOCK, p - len(basis)), p))
            block = _new_directions(fresh, basis, 0.0)
    projected = basis @ images.T
    values, vectors = np.linalg.eigh((projected + projected.T) / 2)
    order = np.argsort(-np.abs(values))
    values, vectors = values[order], vectors[:, order].T
    pairs = vectors @ basis
    missed = np.linalg.norm(vectors @ images - values[:, None] * pairs, axis=1)
    # A space without vectors has seen nothing, so that it does not know the matrix to be zero.
    return values, pairs, missed, closed or (len(basis) > 0 and size == 0)


def _new_directions(
    rows: Float[np.ndarray, "b p"], basis: Float[np.ndarray, "k p"], floor: float
) -> Float[np.ndarray, "c p"]:
    """Orthonormal rows that span what `rows` add to a basis; directions up to `floor` are left."""
    # Twice is enough (Parlett, The Symmetric Eigenvalue Problem, section 6.9).
    for _ in range(2):
        rows = rows - (rows @ basis.T) @ basis
    _, singular, right = scipy.linalg.svd(rows, full_matrices=False, check_finite=False)
    kept = right[: min(len(rows), rows.shape[1] - len(basis))]
    kept = kept[singular[: len(kept)] > floor]
    kept = kept - (kept @ basis.T) @ basis
    return kept / np.linalg.norm(kept, axis=1, keepdims=True) if len(kept) else kept


def spectral_density(
    products: Products,
    p: int,
    *,
    blocks: int = 20,
    probes: int = BLOCK,
    steps: int = 32,
    seed: int = 0,
    space: Space | None = None,
    part: tuple[Products, float] | None = None,
) -> SpectralDensity:
    """The spectral density of a symmetric matrix from products with it.

    Args:
        products: Multiplies each row of `(b, p)` by the matrix, b ≤ `BLOCK`.
        p: Its size.
        blocks: Blocks of the Krylov space that finds the outliers; where they span everything the
            density is exact, and with 0 there is none.
        probes: Random vectors that see the rest, `BLOCK` of them at once.
        steps: Lanczos steps of each probe.
        seed: Seed of all random vectors.
        space: What `krylov` returned for this matrix, where that is known already; `blocks` is not
            used then.
        part: Products with a summand of the matrix, and its trace: of the mean only the rest is
            then seen by the probes alone.

    Raises:
        DiagnosticError: `probes` or `steps` is below 1, or `blocks` below 0.

    Example:
        >>> matrix = np.diag([1.0, 2.0, 3.0, 4.0])
        >>> found = spectral_density(lambda rows: rows @ matrix, 4)
        >>> found.exact, round(found.moment(2), 9)
        (4, 7.5)
    """
    if probes < 1 or steps < 1 or blocks < 0:
        raise DiagnosticError(
            f"probes={probes}, steps={steps} and blocks={blocks} were given: a density takes one "
            "probe and one step at least, and no fewer blocks than 0."
        )
    space = space or krylov(products, p, blocks=blocks, seed=seed)
    values, pairs, missed, closed = space
    if closed and len(values) < p:
        values = np.concatenate([values, np.zeros(p - len(values))])
    if closed:
        return SpectralDensity.of(values)
    largest = np.abs(values).max(initial=0.0)
    good = missed <= DEFLATED * largest
    exact = int(np.count_nonzero(missed <= CONVERGED * largest))
    known, outliers = values[good], pairs[good]
    rest = p - len(known)
    nodes, weights = [known], [np.full(len(known), 1 / p)]
    drawn = _outside(np.random.default_rng([seed, 1]).standard_normal((probes, p)), outliers)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    for start in range(0, probes, BLOCK):
        for ritz, shares in _quadratures(products, outliers, drawn[start : start + BLOCK], steps):
            nodes.append(ritz)
            weights.append(shares * rest / (p * probes))
    everything, shares = np.concatenate(nodes), np.concatenate(weights)
    order = np.argsort(everything)
    reach = max(float(np.abs(each).max()) for each in nodes[1:])
    # Nodes are about as dense as those of Chebyshev, whose distance in the middle this is.
    resolution = float(np.pi * reach / steps)
    correction = 0.0
    if part is not None:
        # The nodes have of this part what outliers and probes have of it.
        image, trace = part
        seen = _form(image, outliers).sum() + rest * _form(image, drawn).mean()
        correction = float(trace - seen) / p
    return SpectralDensity(everything[order], shares[order], p, exact, resolution, correction)


def _outside(
    rows: Float[np.ndarray, "b p"], space: Float[np.ndarray, "k p"]
) -> Float[np.ndarray, "b p"]:
    """What of some rows is orthogonal to a space."""
    for _ in range(2):
        rows = rows - (rows @ space.T) @ space
    return rows


def _form(products: Products, rows: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
    """`vᵀ A v` for every row v."""
    parts = [rows[k : k + BLOCK] for k in range(0, len(rows), BLOCK)]
    return np.array([x for part in parts for x in np.einsum("ij,ij->i", part, products(part))])


def _quadratures(
    products: Products,
    space: Float[np.ndarray, "k p"],
    probes: Float[np.ndarray, "c p"],
    steps: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Nodes and weights of unit probes orthogonal to `space`; weights of each sum to 1."""
    vectors = probes.copy()
    count, p = vectors.shape
    steps = min(steps, p - len(space))
    bases = np.zeros((count, steps, p))
    diagonal, off = np.zeros((count, steps)), np.zeros((count, steps))
    lengths = np.full(count, steps)
    for k in range(steps):
        bases[:, k] = vectors
        new = _outside(np.asarray(products(vectors), np.float64), space)
        diagonal[:, k] = np.einsum("ij,ij->i", vectors, new)
        for i in range(count):
            own = bases[i, : k + 1]
            for _ in range(2):
                new[i] -= own.T @ (own @ new[i])
            off[i, k] = np.linalg.norm(new[i])
            size = max(np.abs(diagonal[i, : k + 1]).max(), off[i, : k + 1].max())
            if off[i, k] <= p * np.finfo(np.float64).eps * size and lengths[i] == steps:
                lengths[i] = k + 1
            vectors[i] = new[i] / off[i, k] if off[i, k] > 0 else 0.0
        if (lengths <= k + 1).all():
            break
    found = []
    for i, length in enumerate(lengths):
        ritz, inner = scipy.linalg.eigh_tridiagonal(diagonal[i, :length], off[i, : length - 1])
        found.append((ritz, inner[0] ** 2))
    return found
