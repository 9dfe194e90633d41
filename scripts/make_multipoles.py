"""Fit the multipoles of the problems in squares less discs, certify them and store their factors.

The maximum principle certifies: the error is nowhere larger than the misfit on the boundary, which
is printed. With `--check`, finite elements of high order on curved triangles, by NGSolve, are
compared with it as well.

    pip install -e '.[reference]'
    python scripts/make_multipoles.py --check
"""

import importlib
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

import pinnzoo
from pinnzoo import evaluate_function
from pinnzoo.cli.commands import SETTINGS, Verb
from pinnzoo.pdes import make_problem
from pinnzoo.references.multipoles import Harmonic, Screened, fit, on_circle
from pinnzoo.references.stored import DATA

C, CG = (importlib.import_module(f"pinnzoo.pdes.poisson_2d_{kind}") for kind in ("c", "cg"))


def fit_harmonic(solution: Harmonic) -> Float[np.ndarray, " k"]:
    """Factors of `Poisson2d-C`."""
    circle = on_circle(solution.disc, 8 * solution.multipoles)
    along = np.linspace(0, 0.5, 8 * solution.powers)
    wall = np.stack([np.full(len(along), 0.5), along], axis=1)
    values = np.repeat([-C.WALL, 0.0], [len(circle), len(wall)])
    return fit(solution, np.concatenate([circle, wall]), values)


def fit_screened(solution: Screened, nodes: int) -> Float[np.ndarray, " k"]:
    """Factors of `Poisson2d-CG`."""
    circles = [
        on_circle(disc, 4 * n + 3)
        for disc, n in zip(solution.discs, solution.multipoles, strict=True)
    ]
    points = np.concatenate(circles)
    known = jax.jit(jax.vmap(lambda z: CG.without_discs(z, nodes)))(jnp.asarray(points))
    return fit(solution, points, CG.RODS - np.asarray(known))


def misfit(name: str) -> float:
    """Largest difference between the stored solution and the values on the boundary."""
    problem = make_problem(name, {})
    assert problem.reference is not None
    largest = 0.0
    for condition in problem.conditions:
        part: Any = condition.region
        unit = (np.arange(4001)[:, None] + 0.5) / 4001
        points, _ = part.place(unit)
        field = problem.field(problem.reference.function)
        residual = condition.residual
        values = evaluate_function(lambda z, r=residual, u=field: r(u, z)[None], points)
        largest = max(largest, float(np.abs(values).max()))
    return largest


def by_finite_elements(name: str, order: int, size: float) -> float:
    """Relative L2 distance of a solution by NGSolve from the stored one."""
    ng: Any = importlib.import_module("ngsolve")
    occ: Any = importlib.import_module("netgen.occ")
    problem = make_problem(name, {})
    (west, south), (east, north) = problem.domain.lower, problem.domain.upper
    face = occ.MoveTo(west, south).Rectangle(east - west, north - south).Face()
    face.edges.name = "square"
    for vertex in face.vertices:
        vertex.maxh = size / 50
    four = [(x, y, C.RADIUS) for x in (-C.CENTRE, C.CENTRE) for y in (-C.CENTRE, C.CENTRE)]
    for x, y, radius in four if name == "poisson_2d_c" else CG.DISCS:
        disc = occ.Circle(occ.Pnt(x, y), radius).Face()
        disc.edges.name = "discs"
        disc.edges.maxh = radius / 2
        face -= disc
    mesh = ng.Mesh(occ.OCCGeometry(face, dim=2).GenerateMesh(maxh=size)).Curve(order)
    space = ng.H1(mesh, order=order, dirichlet="square|discs")
    u, v = space.TnT()
    form = ng.grad(u) * ng.grad(v) * ng.dx
    load = ng.LinearForm(space)
    values = {"square": C.WALL, "discs": 0.0}
    if name == "poisson_2d_cg":
        values = {"square": CG.WALL, "discs": CG.RODS}
        p, q = CG.WAVES
        waves = ng.sin(p * ng.x) * ng.sin(q * ng.y)
        source = CG.AMPLITUDE * ((p**2 + q**2) / np.pi**2 + ng.x**2 + ng.y**2) * waves
        form += CG.K**2 * u * v * ng.dx
        load += source * v * ng.dx(bonus_intorder=10)
    a, f = ng.BilinearForm(form).Assemble(), load.Assemble()
    solution = ng.GridFunction(space)
    solution.Set(mesh.BoundaryCF(values), ng.BND)
    residual = f.vec - a.mat * solution.vec
    solution.vec.data += a.mat.Inverse(space.FreeDofs(), "sparsecholesky") * residual
    points = problem.evaluation_points(2)
    # Curved triangles and exact circles may differ by rounding where they meet.
    points = points[problem.domain.level(points) < -1e-6]  # pyright: ignore
    computed = np.asarray(solution(mesh(*points.T)))
    assert problem.reference is not None
    exact = problem.reference(points)
    return float(np.linalg.norm(computed - exact) / np.linalg.norm(exact))


@click.command(cls=Verb, context_settings=SETTINGS)
@click.option("--check", is_flag=True, help="Compare with finite elements too.")
def main(
    check: bool,
) -> None:
    """Fit, store and certify."""
    pinnzoo.enable_x64()
    np.savez_compressed(
        DATA / "multipoles.npz",
        poisson_2d_c=fit_harmonic(C.SOLUTION),
        poisson_2d_c_refined=fit_harmonic(C.REFINED),
        poisson_2d_cg=fit_screened(CG.SOLUTION, CG.NODES),
        poisson_2d_cg_refined=fit_screened(CG.REFINED, CG.REFINED_NODES),
    )
    for name in ("poisson_2d_c", "poisson_2d_cg"):
        print(f"{name}: certified to {misfit(name):.1e} by the maximum principle", flush=True)
    for order, size in ((6, 0.1), (10, 0.1)) if check else ():
        for name in ("poisson_2d_c", "poisson_2d_cg"):
            distance = by_finite_elements(name, order, size)
            print(f"{name}: {distance:.1e} from finite elements of order {order}", flush=True)


if __name__ == "__main__":
    main()
