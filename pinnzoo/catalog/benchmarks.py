"""Recipes of the benchmarks with shapes, parameters, many dimensions or unknowns. Imports no JAX.

Most train a network of three tanh layers and then its tangent, as `pinnzoo.catalog.entries` does
for the older benchmarks; phases end with their steps or their seconds, whichever comes first.
`MEASURED` are those that read measurements: they are trained by `scripts/inverse_problems.py`.
"""

from dataclasses import dataclass, replace
from typing import Any

from pinnzoo.catalog.phases import (
    GENTLE,
    LINEAR,
    MOVING,
    OFTEN,
    SCALED,
    levenberg_marquardt,
    marching,
    on_accelerator,
    then_in_the_middle,
    with_tangent,
)
from pinnzoo.recipes import Phase, Recipe

POINTS = {"equation": 2000, "conditions": 200}


def _tangent(
    problem: str,
    network: dict[str, Any],
    points: tuple[int, int],
    steps: tuple[int, int, int] = (200, 150, 4),
    seconds: tuple[float | None, float] | None = (45.0, 45.0),
    *,
    arguments: dict[str, Any] | None = None,
    weights: dict[str, float] | None = None,
    least_squares: dict[str, Any] = LINEAR,
    tag: str = "",
) -> Recipe:
    """A network and its tangent by least squares, in windows of time if it has them."""
    phases = with_tangent(
        points,
        steps,
        windows=network.get("windows", 1),
        seconds=seconds,
        weights=weights,
        least_squares=least_squares,
    )
    return Recipe(
        problem,
        "tangent_mlp",
        phases,
        problem_arguments=arguments or {},
        architecture_arguments=network,
        points=POINTS,
        tag=tag,
    )


def _sines(
    problem: str,
    network: dict[str, Any],
    points: tuple[int, int],
    steps: tuple[int, int],
    seconds: tuple[float, float] | None = None,
    *,
    architecture: str = "siren",
    arguments: dict[str, Any] | None = None,
    tag: str = "",
    **weights: float,
) -> Recipe:
    """One layer of sines, which holds standing waves and sources of waves exactly."""
    first, second = seconds or (None, None)
    return Recipe(
        problem,
        architecture,
        (
            levenberg_marquardt(steps[0], *points, seconds=first),
            levenberg_marquardt(steps[1], *points, seconds=second, arguments=SCALED),
        ),
        problem_arguments=arguments or {},
        architecture_arguments={"depth": 1, **network},
        points=POINTS,
        weights=weights,
        tag=tag,
    )


def _layers(width: int, depth: int = 3, **arguments: Any) -> dict[str, Any]:
    return {"width": width, "depth": depth, **arguments}


HARD = {"constraints": "hard"}

CORNERS = {"constraints": "corners"}

SHAPES = (
    _tangent(
        "poisson_2d_c",
        _layers(28),
        (3000, 300),
        (150, 50, 4),
        None,
        weights={"equation": 0.01},
    ),
    _tangent(
        "poisson_2d_cg",
        _layers(36),
        (5000, 500),
        (150, 120, 4),
        None,
        arguments=CORNERS,
        weights={"equation": 0.01},
        least_squares=GENTLE,
    ),
    _tangent("annulus", _layers(16), (1000, 200)),
)
"""Domains that are no boxes."""

FAMILIES = (
    _tangent(
        "burgers_viscosities",
        _layers(20, 4),
        (4000, 100),
        (120, 40, 3),
        None,
        arguments={"constraints": "odd"},
    ),
)
"""One network for all values of a parameter, which is a coordinate."""


CELLS = (
    *(0.05, 0.1, 0.17, 0.24, 0.31, 0.38),
    *(round(0.45 + 0.55 * k / 14, 3) for k in range(14)),
)
"""Narrow at first, where errors grow the longest, and where the wave has broken up into cells."""

# What is wrong in a window grows until the end, 10,000 times from t = 0.1 on.
*BEFORE, LAST = marching(
    (3072, 256),
    [(110, 4)] * 7 + [(80, 4)] * 14,
    joins=("join_u",),
    tangent_points=(6144, 256),
    target_loss=1e-15,
)

KURAMOTO_SIVASHINSKY = Recipe(
    "kuramoto_sivashinsky",
    "tangent_mlp",
    # In the last window parameters of 3e8 would cancel.
    (*BEFORE, replace(LAST, arguments=GENTLE)),
    problem_arguments={"constraints": "odd"},
    architecture_arguments=_layers(28, windows=CELLS, periodic_axes=(1,), harmonics=3),
    # The embedding is periodic, and these residuals are zero.
    points=POINTS | dict.fromkeys(("periodic", "periodic_x", "periodic_xx", "periodic_xxx"), 1),
)

FURTHER = (
    _tangent("clamped_plate", _layers(20), (1500, 150), arguments=HARD),
    _tangent("bratu", _layers(14, 2), (300, 1), arguments=HARD),
    _tangent("grad_shafranov", _layers(20), (1500, 300), weights={"boundary": 1e4}),
    _tangent("fisher_kpp", _layers(24), (3000, 150), arguments=HARD),
    _tangent("advection_diffusion", _layers(20, 2), (1500, 1), arguments=HARD),
    _tangent(
        "poisson_nd",
        _layers(20),
        (3000, 800),
        arguments={"solution": "sines"},
        tag="sines",
    ),
    # So many features that their least squares need no large parameters, which would cancel.
    _tangent("linear_elasticity", _layers(32), (1500, 150), (40, 0, 4), None, arguments=HARD),
    _tangent("heat_nd", _layers(20), (3000, 500), arguments=HARD),
    _tangent("taylor_green", _layers(24), (2500, 200)),
    _tangent(
        "euler_bernoulli_beam",
        _layers(20),
        (1500, 150),
        arguments=HARD,
        least_squares=GENTLE,
    ),
    on_accelerator(
        then_in_the_middle(
            _tangent(
                "lid_driven_cavity",
                _layers(36),
                (6000, 500),
                (50, 451, 6),
                None,
                arguments=CORNERS,
                least_squares=GENTLE,
            ),
            levenberg_marquardt(5, 12000, 1000, part=1, arguments=GENTLE, **OFTEN),
        )
    ),
    _tangent("beltrami", _layers(28), (2500, 150), (120, 60, 4), None, least_squares=GENTLE),
    on_accelerator(
        _tangent(
            "schrodinger_breather",
            _layers(32),
            (9000, 200),
            (60, 400, 5),
            (None, 105.0),
            arguments={"constraints": "even"},
            least_squares=GENTLE,
        )
    ),
    _tangent(
        "allen_cahn_2d",
        _layers(20),
        (3000, 200),
        seconds=(80.0, 60.0),
        arguments=HARD,
        least_squares=GENTLE,
    ),
    *(
        _tangent(
            problem,
            _layers(20),
            (2500, 200),
            seconds=(100.0, 80.0),
            arguments=HARD,
            least_squares=GENTLE,
        )
        for problem in ("gray_scott", "ginzburg_landau")
    ),
    _sines("wave_beta", {"width": 60, "omega": 62.0}, (2000, 100), (100, 60), seconds=(40.0, 30.0)),
    _sines("poisson_nd", {"width": 40, "omega": 6.0}, (1500, 600), (120, 30), equation=0.01),
    _sines(
        "poisson_nd",
        {"width": 40, "omega": 3.0},
        (1500, 600),
        (60, 150),
        arguments={"solution": "sines"},
        tag="sines",
        equation=0.01,
    ),
    _sines(
        "helmholtz",
        {"width": 100, "omega": 60.0},
        (2500, 200),
        (60, 60),
        arguments={"a1": 6.0, "a2": 6.0},
        tag="a6",
        equation=1e-3,
    ),
    _sines(
        "wave_2d_ms",
        {"width": 40, "omega": [14.0, 10.0, 7.0]},
        (1500, 200),
        (150, 250),
        (60.0, 120.0),
        equation=1e-3,
    ),
    _tangent(
        "poisson_nd",
        _layers(20, 2),
        (4000, 800),
        (120, 100, 4),
        None,
        arguments={"dimension": 10, "solution": "harmonic"},
        tag="10d",
    ),
    # Products of ten factors that begin around one; the solution is a sum of five.
    Recipe(
        "poisson_nd",
        "tangent_mlp",
        (
            levenberg_marquardt(80, 3000, 300, part=0, **MOVING),
            levenberg_marquardt(40, 3000, 300, part=0, arguments=SCALED, **MOVING),
            levenberg_marquardt(4, 9000, 1000, part=1, arguments=LINEAR, **OFTEN),
        ),
        problem_arguments={"dimension": 10, "solution": "harmonic"},
        architecture_arguments={"rank": 8, "width": 6, "depth": 2, "centre": 1.0},
        points={"equation": 2000, "conditions": 100},
        tag="10d.products",
    ),
    # Its velocities are sums of four products, its pressure is one of fifteen.
    on_accelerator(
        then_in_the_middle(
            Recipe(
                "beltrami",
                "spinn",
                (
                    levenberg_marquardt(150, 3000, 300, **MOVING),
                    levenberg_marquardt(700, 3000, 300, arguments=SCALED, **MOVING),
                ),
                architecture_arguments={"width": 10, "rank": 16, "depth": 2, "activation": "tanh"},
                points=POINTS,
            ),
            levenberg_marquardt(6, 10000, 300, resample_every=10, adaptive=True),
        )
    ),
    # The same products found on a processor, and their tangent.
    then_in_the_middle(
        Recipe(
            "beltrami",
            "tangent_mlp",
            (levenberg_marquardt(120, 3000, 300, part=0, **MOVING),),
            architecture_arguments={"width": 10, "rank": 16, "depth": 2},
            points=POINTS,
            tag="products",
        ),
        levenberg_marquardt(4, 8000, 300, part=1, arguments=LINEAR, **OFTEN),
    ),
    then_in_the_middle(
        _sines(
            "taylor_green",
            {"width": 12, "rank": 3, "activation": "sin", "omega": [1.0, 4.0, 4.0]},
            (1000, 100),
            (120, 300),
            architecture="spinn",
        ),
        levenberg_marquardt(300, 1269, 100, resample_every=10, adaptive=True),
    ),
    # What is left there lies along singular values of 1e-10: the tangent takes it in four steps.
    then_in_the_middle(
        Recipe(
            "taylor_green",
            "tangent_mlp",
            (levenberg_marquardt(150, 1500, 100, part=0),),
            architecture_arguments={"width": 20, "depth": 1, "rank": 3, "omega": [1.0, 4.0, 4.0]},
            points=POINTS,
            tag="products",
        ),
        levenberg_marquardt(4, 2500, 200, part=1, arguments=LINEAR, **OFTEN),
    ),
    # A factor for each coordinate: fast waves along one, hardly any along the others.
    _sines(
        "heat_2d_ms",
        {"width": 32, "rank": 2, "activation": "sin", "omega": [1.0, 75.0, 4.0]},
        (2000, 300),
        (120, 200),
        (80.0, 120.0),
        architecture="spinn",
        equation=0.1,
    ),
    on_accelerator(
        _tangent(
            "burgers",
            _layers(28, 4),
            (12_000, 100),
            (60, 1500, 6),
            (60.0, 360.0),
            arguments={"viscosity": 0.001, "constraints": "odd"},
            least_squares=GENTLE,
            tag="nu0.001",
        )
    ),
    KURAMOTO_SIVASHINSKY,
)
"""Further benchmarks in boxes."""

BENCHMARKS = (*SHAPES, *FAMILIES, *FURTHER)


@dataclass(frozen=True)
class Measured:
    """An inverse problem with its measurements and its recipe.

    Attributes:
        recipe: How it is trained.
        n: Number of points at which it is measured.
        components: What is measured.
        noise: Standard deviation of the noise, in the unit of the components.
    """

    recipe: Recipe
    n: int
    components: tuple[str, ...]
    noise: float = 0.0


def _moving(steps: int, points: int, **arguments: Any) -> Phase:
    return Phase(
        "levenberg_marquardt",
        steps,
        arguments,
        points={"equation": points},
        resample_every=10,
        adaptive=True,
    )


def _still(steps: int) -> Phase:
    return Phase("levenberg_marquardt", steps, resample_every=10)


MEASURED = (
    Measured(
        Recipe(
            "burgers_inverse",
            "mlp",
            (
                Phase("levenberg_marquardt", 30, points={"equation": 1000}),
                _moving(60, 4000),
                _moving(120, 8000, damping=1e-9),
            ),
            architecture_arguments=_layers(20),
            points={"equation": 1000},
        ),
        2000,
        ("u",),
    ),
    Measured(
        Recipe(
            "heat_conductivity",
            "mlp",
            (_still(120),),
            problem_arguments={**HARD, "prior": "smooth"},
            architecture_arguments=_layers(16, 2),
            points={"equation": 1000, "smooth_x": 500, "smooth_y": 500},
            weights={"equation": 10.0, "smooth_x": 5e-7, "smooth_y": 5e-7},
        ),
        2500,
        ("u",),
        noise=0.1,
    ),
    Measured(
        Recipe(
            "poisson_coefficient",
            "mlp",
            (_still(60),),
            architecture_arguments=_layers(10, 2),
            points={"equation": 1500, "conditions": 200},
            weights={"equation": 10.0, "coefficient": 10.0},
        ),
        2500,
        ("u",),
        noise=0.1,
    ),
    Measured(
        Recipe(
            "heat_source",
            "mlp",
            (_still(100),),
            problem_arguments=HARD,
            architecture_arguments=_layers(16, 2),
            points={"equation": 1500},
        ),
        500,
        ("u",),
    ),
    Measured(
        Recipe(
            "cylinder_wake_inverse",
            "mlp",
            (_moving(40, 1500), _moving(100, 2500)),
            # Read off the measurements by `measured_period` of scripts/inverse_problems.py.
            problem_arguments={"period": 6.008},
            architecture_arguments=_layers(24, 4),
            points={"equation": 1500, "pressure": 100},
            weights={"observations": 10.0},
        ),
        5000,
        ("u", "v"),
    ),
)
"""What is trained on measurements made from the references."""
