"""Compute the stored flows in a lid-driven cavity, certify them and print how good they are.

The stream function solves `ψ_y Δψ_x - ψ_x Δψ_y = ν Δ²ψ`, by Galerkin's method and Newton's, in the
form of `pinnzoo.references.cavity`, which meets the walls exactly and has the singular corners of
the lid taken off. The pressure is the one whose gradient is closest to what the velocities ask for.
Each flow is computed twice, the second time with more polynomials, which is stored as its
refinement.

    python scripts/make_lid_driven_cavity.py
"""

from typing import NamedTuple

import click
import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
import scipy.linalg
import scipy.special

import pinnzoo
from pinnzoo.cli.commands import SETTINGS, Verb, argument
from pinnzoo.evaluation import require_reference
from pinnzoo.pdes import make_problem
from pinnzoo.references.cavity import Cavity, Lid, file_name, write
from pinnzoo.references.stored import DATA

QUANTUM = 2.0**-46
RUNS = {("parabolic", 100.0): (88, 108, 176), ("regularised", 1000.0): (44, 52, 96)}
"""Lid and Reynolds number; the polynomials along x and y of the two computations, and the points
along x and y for integrals of three factors of them. The finer computation of the first takes five
minutes and 6 GB."""
STEPS = 12
"""Of Newton's method at most."""


class Grid(NamedTuple):
    """Points of Gauss' quadrature, and the polynomials there.

    Attributes:
        s: The points, in [-1, 1].
        points: All pairs of them, in [0, 1].
        weights: Of the pairs, `(m, m)`.
    """

    s: np.ndarray
    points: np.ndarray
    weights: np.ndarray


def make_grid(count: int) -> Grid:
    """As many points along x and y."""
    s, weights = np.polynomial.legendre.leggauss(count)
    nodes = (1 + s) / 2
    points = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)
    return Grid(s, points, np.outer(weights, weights) / 4)


def polynomials(points: np.ndarray, size: int) -> np.ndarray:
    """Derivatives in x of `w G_i` at s = 2x - 1, up to the fourth, `(order, point, i)`.

    The G are Gegenbauer's polynomials of order 5/2, for which second derivatives of w G are
    orthogonal. In extended precision, since derivatives lose digits.
    """
    s = points.astype(np.longdouble)
    bare = np.zeros((5, len(s), size), np.longdouble)
    bare[0, :, 0], bare[0, :, 1], bare[1, :, 1] = 1, 5 * s, 5
    for i in range(1, size - 1):
        for k in range(5):
            below = k * bare[k - 1, :, i] if k else 0
            rise = (2 * i + 5) * (s * bare[k, :, i] + below)
            bare[k, :, i + 1] = (rise - (i + 4) * bare[k, :, i - 1]) / (i + 1)
    # (1 - s²)² and its derivatives.
    w = np.stack([(1 - s**2) ** 2, -4 * s * (1 - s**2), 12 * s**2 - 4, 24 * s, 24 + 0 * s])
    walled = np.zeros_like(bare)
    for k in range(5):
        for j in range(k + 1):
            walled[k] += float(scipy.special.comb(k, j)) * w[j][:, None] * bare[k - j]
    walled /= norms(size)
    return np.asarray(2.0 ** np.arange(5)[:, None, None] * walled, float)


def norms(size: int) -> np.ndarray:
    """Of the second derivatives of w G, nearly: they grow as k^(7/2)."""
    return (np.arange(size) + 2.5) ** 3.5


def to_chebyshev(q: np.ndarray) -> np.ndarray:
    """Coefficients of `T_i T_j` from those of the normalized `G_i G_j`."""
    size = len(q)
    s = np.cos(np.pi * (np.arange(size) + 0.5) / size)
    values = scipy.special.eval_gegenbauer(np.arange(size), 2.5, s[:, None]) / norms(size)
    c = np.asarray(scipy.fft.dct(values, type=2, axis=0)) / size
    c[0] /= 2
    return c @ q @ c.T


class Jet(NamedTuple):
    """Derivatives of the lid's stream function, and what its flow forces, each on the grid.

    Attributes:
        x: ψ_x.
        y: ψ_y.
        lx: Δψ_x.
        ly: Δψ_y.
        ll: Δ²ψ.
        slopes: Those of u and v along x and y, `(2, 2, m, m)`.
        force: `νΔu - ∇p` along x and y, where large terms cancel, `(2, m, m)`.
    """

    x: np.ndarray
    y: np.ndarray
    lx: np.ndarray
    ly: np.ndarray
    ll: np.ndarray
    slopes: np.ndarray
    force: np.ndarray


def make_jet(lid: Lid, grid: Grid) -> Jet:
    """By automatic differentiation of its velocities."""

    def velocity(z: jax.Array) -> jax.Array:
        return lid.flow(z)[:2]

    def vorticity(z: jax.Array) -> jax.Array:
        """Δψ."""
        rates = jax.jacfwd(velocity)(z)
        return rates[0, 1] - rates[1, 0]

    @jax.jit
    @jax.vmap
    def at(z: jax.Array) -> tuple[jax.Array, ...]:
        (u, v), rates = velocity(z), jax.jacfwd(lid.flow)(z)
        lx, ly = jax.jacfwd(vorticity)(z)
        ll = jnp.trace(jax.jacfwd(jax.jacfwd(vorticity))(z))
        # Δu = Δψ_y, Δv = -Δψ_x.
        force = lid.viscosity * jnp.stack([ly, -lx]) - rates[2]
        return -v, u, lx, ly, ll, rates[:2], force

    n = len(grid.s)
    parts = (np.asarray(part) for part in at(grid.points))
    return Jet(*(np.moveaxis(p.reshape(n, n, *p.shape[1:]), (0, 1), (-2, -1)) for p in parts))


def solve_stream(lid: Lid, grid: Grid, base: Jet, size: int, start: np.ndarray) -> np.ndarray:
    """Coefficients of the `w G_i w G_j` by Galerkin's method and Newton's.

    Collocation would converge slowly: the q are unbounded in the corners.

    Args:
        lid: What drives the flow.
        grid: For the integrals.
        base: Of the lid, on the grid.
        size: How many i and j.
        start: Those of a coarser computation, or zero.
    """
    d = polynomials(grid.s, size)
    q = np.zeros((size, size))
    q[: len(start), : len(start)] = start
    orders = {
        "x": [(1, 0)],
        "y": [(0, 1)],
        "lx": [(3, 0), (1, 2)],
        "ly": [(2, 1), (0, 3)],
        "ll": [(4, 0), (2, 2), (2, 2), (0, 4)],
    }

    def series(q: np.ndarray, of: str) -> np.ndarray:
        return getattr(base, of) + sum(d[a] @ q @ d[b].T for a, b in orders[of])

    def weak(factor: np.ndarray | float, of: str) -> np.ndarray:
        """Integrals of the factor times a derivative times each `w G w G`."""
        whole = np.zeros((size**2, size**2))
        factor = factor * grid.weights
        for a, b in orders[of]:
            first = np.einsum("pa,pq,pi->aiq", d[0], factor, d[a], optimize=True)
            second = np.einsum("qb,qj->qbj", d[0], d[b])
            product = first.reshape(size**2, -1) @ second.reshape(-1, size**2)
            whole += product.reshape((size,) * 4).transpose(0, 2, 1, 3).reshape(whole.shape)
        return whole

    friction = weak(-lid.viscosity, "ll")
    for _ in range(STEPS):
        x, y, lx, ly, ll = (series(q, of) for of in orders)
        residual = d[0].T @ (grid.weights * (y * lx - x * ly - lid.viscosity * ll)) @ d[0]
        jacobian = friction.copy()
        for of, factor in (("lx", y), ("ly", -x), ("y", lx), ("x", -ly)):
            jacobian += weak(factor, of)
        step = scipy.linalg.solve(jacobian, residual.ravel(), overwrite_a=True, check_finite=False)
        q -= step.reshape(size, size)
        moved = np.abs(step).max() / np.abs(q).max()
        print(f"  {size} polynomials: largest relative change {moved:.1e}")
        if moved < 1e-9:
            break
    return q


def solve_pressure(lid: Lid, grid: Grid, base: Jet, q: np.ndarray) -> np.ndarray:
    """Chebyshev coefficients of the pressure less that of the lid, by least squares.

    `D P Vᵀ = F` and `V P Dᵀ = G` for its slopes along x and y, where V and D are the polynomials
    and their slopes in Gauss points, is solved in Legendre polynomials, for which V is orthogonal:
    what is left is Sylvester's equation.
    """
    size = len(q) + 4
    along = polynomials(grid.s, len(q))

    def derivative(a: int, b: int) -> np.ndarray:
        """Of the series of the stream function."""
        return along[a] @ q @ along[b].T

    ((u_x, u_y), (v_x, v_y)), (f, g) = base.slopes, base.force
    u, v = base.y + derivative(0, 1), -base.x - derivative(1, 0)
    u_x, u_y = u_x + derivative(1, 1), u_y + derivative(0, 2)
    v_x, v_y = v_x - derivative(2, 0), v_y - derivative(1, 1)
    f = f + lid.viscosity * (derivative(2, 1) + derivative(0, 3)) - u * u_x - v * u_y
    g = g - lid.viscosity * (derivative(3, 0) + derivative(1, 2)) - u * v_x - v * v_y

    norm = np.sqrt(np.arange(size) + 0.5)
    values = np.polynomial.legendre.legvander(grid.s, size - 1) * norm
    rates = 2 * np.stack(
        [
            np.polynomial.legendre.legval(grid.s, np.polynomial.legendre.legder(row))
            for row in np.diag(norm)
        ],
        axis=1,
    )
    root = np.sqrt(4 * np.diag(grid.weights)) ** 0.5
    values, rates = root[:, None] * values, root[:, None] * rates
    f, g = (np.outer(root, root) * force for force in (f, g))
    eigenvalues, modes = np.linalg.eigh(rates.T @ rates)
    right = modes.T @ (rates.T @ f @ values + values.T @ g @ rates) @ modes
    total = np.add.outer(eigenvalues, eigenvalues)
    # The constant is free.
    total[0, 0] = np.inf
    legendre = norm[:, None] * (modes @ (right / total) @ modes.T) * norm
    convert = np.stack([legendre_to_chebyshev(row) for row in np.eye(size)], axis=1)
    pressure = convert @ legendre @ convert.T
    signs = (-1.0) ** np.arange(size)
    pressure[0, 0] -= signs @ pressure @ signs
    return pressure


def legendre_to_chebyshev(row: np.ndarray) -> np.ndarray:
    """Chebyshev coefficients of a Legendre series, from its values in Chebyshev points."""
    size = len(row)
    s = np.cos(np.pi * (np.arange(size) + 0.5) / size)
    c = np.asarray(scipy.fft.dct(np.polynomial.legendre.legval(s, row), type=2)) / size
    c[0] /= 2
    return c


@click.command(cls=Verb, context_settings=SETTINGS)
@argument("lids", "Which; by default all.", nargs=-1, metavar="[LID]...")
def main(
    lids: tuple[str, ...],
) -> None:
    """Compute, store and certify."""
    pinnzoo.enable_x64()
    for (kind, reynolds), (*sizes, quadrature) in RUNS.items():
        if lids and kind not in lids:
            continue
        q = np.zeros((1, 1))
        grid, flows = make_grid(quadrature), []
        # On the way to a large Reynolds number, smaller ones with few polynomials.
        for re in np.geomspace(100, reynolds, 4 if reynolds > 100 else 1):
            lid = Lid(kind, 1 / float(re))
            q = solve_stream(lid, grid, make_jet(lid, grid), 24, q)
        lid = Lid(kind, 1 / reynolds)
        base = make_jet(lid, grid)
        for size in sizes:
            q = solve_stream(lid, grid, base, size, q)
            pressure = solve_pressure(lid, grid, base, q)
            flows.append(Cavity(lid, to_chebyshev(q), pressure))
        path = DATA / f"{file_name(kind, reynolds)}.npz"
        write(path, flows[-2], flows[-1], QUANTUM)
        problem = make_problem("lid_driven_cavity", {"lid": kind, "reynolds": reynolds})
        certified = require_reference(problem).certified_error(problem.evaluation_points(4))
        print(
            f"{kind}, Re = {reynolds:g}: certified to {certified:.1e}, {path.stat().st_size} bytes"
        )


if __name__ == "__main__":
    main()
