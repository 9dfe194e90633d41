"""The most accurate neural solutions published so far, for comparison with the entries. No JAX.

Errors are relative L2 errors as their sources state them, of single networks, in float64 unless
marked. Setups that differ in viscosity, horizon or form are other problems, not other rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pinnzoo.recipes import Recipe, physical_arguments


@dataclass(frozen=True)
class Floor:
    """A file of reference values that is itself in error, and a figure that was measured with it.

    Its error was computed on the file's own points, against a closed form or a reference solution
    of this package. No network can be measured below it, whatever its own error is.

    Attributes:
        file: The file, and whose it is.
        error: Relative L2 error of the file itself.
        method: Who measured with it.
        figure: The figure that they state.
    """

    file: str
    error: float
    method: str
    figure: float

    @property
    def is_figure(self) -> bool:
        """Whether the figure is the error of the file, to two digits or so, and not a network's."""
        return abs(self.figure / self.error - 1) < 0.05

    @property
    def sentence(self) -> str:
        """What is compared with what."""
        stated = f"the {self.figure:.2e} of {self.method}"
        if self.is_figure:
            return f"{stated} is the error of the reference file, {self.file} ({self.error:.2e})"
        if self.figure < self.error:
            return (
                f"{stated} was measured with {self.file} or a file like it, whose own error is "
                f"{self.error:.2e}, so that digits cannot be compared"
            )
        return (
            f"{stated} is {self.figure / self.error:.2g} times the error of the reference file, "
            f"{self.file} ({self.error:.1e})"
        )


@dataclass(frozen=True)
class Published:
    """The record of one benchmark.

    Attributes:
        problem: A name of `pinnzoo.PROBLEMS`.
        arguments: The physical arguments that make it this benchmark.
        error: Relative L2 error; None where no precise figure was found.
        goal: The error that this zoo sets out to reach.
        method: Optimizer and network, in a few words.
        source: arXiv number, or empty.
        single: The network was trained in single precision.
        unchecked: The source was not found to state that its setting is this one.
        floors: Reference files whose own error stands in figures of this benchmark.
        note: What else has to be known to compare, or empty.
    """

    problem: str
    arguments: Mapping[str, float | str]
    error: float | None
    goal: float
    method: str = ""
    source: str = ""
    single: bool = False
    unchecked: bool = False
    floors: tuple[Floor, ...] = ()
    note: str = ""

    @property
    def floor(self) -> Floor | None:
        """The reference file that the figure itself was measured with, if its error is known."""
        return next((floor for floor in self.floors if floor.figure == self.error), None)

    @property
    def bar(self) -> float | None:
        """The error below which an entry is ahead; None where there is no figure.

        It is the figure, or the error of its reference file where that is larger: nobody can tell
        how far below it the network that was measured with that file is.
        """
        if self.error is None or self.floor is None:
            return self.error
        return max(self.error, self.floor.error)

    @property
    def weakness(self) -> str:
        """Why being ahead of the figure says little, as the end of "the figure ..."; or empty."""
        if self.error is None:
            return ""
        if self.unchecked:
            return "is of a setting that was not checked to be the same"
        if self.floor is not None and self.floor.is_figure:
            return "is the error of its reference file and not of the network"
        if self.floor is not None and self.error < self.floor.error:
            return "lies below the error of its own reference file"
        return ""

    def matches(self, recipe: Recipe) -> bool:
        """Whether a recipe solves this benchmark, whatever its network and form."""
        physical = physical_arguments(recipe.problem_arguments)
        return recipe.problem == self.problem and physical == dict(self.arguments)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What has to be known to compare with it, in sentences without a full stop."""
        return (*(floor.sentence for floor in self.floors), *([self.note] if self.note else []))


PUBLISHED: tuple[Published, ...] = (
    Published(
        "burgers",
        {},
        2.25e-9,
        8e-10,
        "SCORE, quasi-Newton",
        "2608.04206",
        unchecked=True,
        floors=(
            Floor("jaxpi's `burgers.mat`", 4.01e-5, "SOAP with PirateNet", 4.03e-5),
            Floor("PINNacle's `burgers1d.dat`", 1.33e-2, "PELINE", 1.34e-2),
        ),
        note="SCORE's viscosity was not found stated and is taken from the figure of SSBroyden "
        "beside it; before it, 8.25e-09 by vRBA and SSBroyden, arXiv:2509.14198",
    ),
    Published(
        "burgers",
        {"viscosity": 0.01},
        7.97e-14,
        1e-13,
        "DSGNAR, SIREN",
        "2607.02194",
        floors=(Floor("DSGNAR's `burgers.npz`", 7.973e-14, "DSGNAR", 7.97e-14),),
        note="the error of that network alone is smaller, and not published",
    ),
    Published(
        "allen_cahn",
        {},
        9.43e-7,
        9e-8,
        "SSBroyden, 3x30 tanh",
        "2501.16371",
        floors=(Floor("jaxpi's `allen_cahn.mat`", 1.57e-5, "SSBroyden", 9.43e-7),),
        note="that error lies at the kink at x = ±1 for t < 0.2",
    ),
    Published(
        "wave",
        {},
        1.20e-15,
        1e-13,
        "DSGNAR, SIREN, 2 time slabs",
        "2607.02194",
        note="it and the figure here are rounding: the closed form changes as much where a "
        "coordinate changes by one unit in the last place",
    ),
    Published(
        "convection",
        {"beta": 40.0},
        8.42e-9,
        1e-10,
        "Frozen-PINN, least squares",
        "2405.20836",
        note="its hidden weights are sampled and not trained; BWLer, a barycentric interpolant and "
        "no network, is at 2.0e-13 (arXiv:2506.23024)",
    ),
    Published(
        "convection",
        {"beta": 50.0, "horizon": 2.0},
        6.88e-4,
        1e-10,
        "Adam, 4x256, periodic embedding",
        "2308.08468",
        single=True,
        unchecked=True,
        note="the code of jaxpi trains β = 80 on t ≤ 1 and evaluates β = 50 on t ≤ 2, so the "
        "figure belongs to one of the two",
    ),
    Published(
        "convection",
        {"beta": 100.0},
        None,
        1e-10,
        "Levenberg-Marquardt, 5x20 tanh",
        "2402.03864",
        note="solved, by a figure without digits",
    ),
    Published(
        "reaction",
        {},
        9.92e-3,
        1e-10,
        "Adam, L-BFGS and NysNewton-CG",
        "2402.01868",
        single=True,
        note="BWLer, a barycentric interpolant and no network, is at 6.9e-11 (arXiv:2506.23024)",
    ),
    Published(
        "heat",
        {},
        2.0e-8,
        1e-11,
        "KFAC, 256 wide",
        "2405.15603",
        note="AMStraMGRAM (arXiv:2510.15998) claims machine precision on several problems; its "
        "digits were not found",
    ),
    Published(
        "poisson_2d",
        {},
        6.1e-8,
        1e-12,
        "ENGD, one layer of 64",
        "2405.15603",
        note="AMStraMGRAM (arXiv:2510.15998) claims machine precision on several problems; its "
        "digits were not found",
    ),
    Published(
        "poisson_2d", {"modes": "multi"}, 4.46e-14, 1e-12, "DSGNAR, SIREN and Fourier", "2607.02194"
    ),
    Published("helmholtz", {}, 2.0e-9, 2e-10, "SPRING, 4x30, periodic embedding", "2604.05230"),
    Published("kdv", {}, 8.24e-11, 1e-10, "DSGNAR, SIREN 4x60, 4 time slabs", "2607.02194"),
    Published("kdv_solitons", {}, 1.24e-6, 1e-8, "vRBA and SSBroyden, 3x30", "2509.14198"),
    Published(
        "schrodinger",
        {},
        1.97e-3,
        1e-7,
        "L-BFGS, 4x100",
        "1711.10561",
        single=True,
        note="Levenberg-Marquardt on small networks (arXiv:2602.08515) treats it too; its digits "
        "were not found",
    ),
    Published(
        "klein_gordon",
        {},
        4.42e-4,
        1e-9,
        "FALM-PINN, Fourier basis and Levenberg-Marquardt",
        "2608.05892",
        unchecked=True,
        note="whether its setting is this one was not checked",
    ),
    Published("sine_gordon", {}, None, 1e-9),
    Published("taylor_green", {}, None, 1e-9),
    Published(
        "kovasznay",
        {},
        None,
        1e-9,
        "GNNG and D-NGD",
        "2402.10680",
        note="both (D-NGD: arXiv:2505.21404) claim about single precision; their digits were not "
        "found",
    ),
    Published("beltrami", {}, None, 1e-9),
    Published(
        "poisson_nd",
        {},
        3.03e-16,
        3e-16,
        "DSGNAR, GaborNet",
        "2607.02194",
        note="before it, 5.6e-8 by ENGD (arXiv:2405.15603)",
    ),
    Published(
        "poisson_nd",
        {"dimension": 10, "solution": "harmonic"},
        5.96e-12,
        6e-13,
        "DSGNAR, SPINN of rank 40",
        "2607.02194",
        note="before it, 1.2e-5 by SPRING",
    ),
    Published(
        "poisson_nd",
        {"solution": "sines"},
        1.31e-4,
        1e-12,
        "AdaBGDA, 5x100, in PINNacle's PNd",
        "2306.08827",
        single=True,
        note="AdaBGDA is a paper of ICLR 2026; the best of PINNacle's own methods is at 4.67e-4",
    ),
    Published(
        "heat_nd",
        {},
        1.19e-4,
        1e-11,
        "L-BFGS, 5x100, in PINNacle's HNd",
        "2306.08827",
        single=True,
    ),
    Published(
        "euler_bernoulli_beam",
        {},
        9.33e-9,
        1e-11,
        "Frozen-PINN, least squares",
        "2405.20836",
        unchecked=True,
        note="its hidden weights are sampled and not trained; whether its setting is this one was "
        "not checked",
    ),
    Published(
        "poisson_2d_c",
        {},
        8.15e-3,
        1e-6,
        "AdaBGDA, 5x100, in PINNacle's Poisson2d-C",
        "2306.08827",
        single=True,
        note="AdaBGDA is a paper of ICLR 2026; the best of PINNacle's own methods is at 1.23e-2, "
        "and 9,216 ridge functions that are sampled and not trained are at 9.4e-5 on PINNacle's "
        "file, whose own error is 2.8e-5",
    ),
    Published(
        "poisson_2d_cg",
        {},
        4.11e-3,
        1e-6,
        "PELINE, 5x100, in PINNacle's Poisson2d-CG",
        "2306.08827",
        single=True,
        note="PELINE is an agent that picks among Adam, L-BFGS and PSO (2026); the best of "
        "PINNacle's own methods is at 1.43e-2",
    ),
    Published(
        "heat_2d_ms",
        {},
        1.40e-2,
        1e-6,
        "AdaBGDA, 5x100, in PINNacle's Heat2d-MS",
        "2306.08827",
        single=True,
        unchecked=True,
        note="whether it was measured with PINNacle's file, `heat_multiscale_lesspoints.dat`, was "
        "not checked; the file is 1.28e-2 off the closed form",
    ),
    Published(
        "wave_2d_ms",
        {},
        None,
        1e-12,
        note="the solution that PINNacle states for its Wave2d-MS does not solve the equation; the "
        "best figure against it is 9.37e-1",
    ),
    Published("clamped_plate", {}, None, 1e-10),
    Published("linear_elasticity", {}, None, 1e-10),
    Published("grad_shafranov", {}, None, 1e-11),
    Published("bratu", {}, None, 1e-12),
    Published("fisher_kpp", {}, None, 1e-11),
    Published("advection_diffusion", {}, None, 1e-11),
    Published("schrodinger_breather", {}, None, 1e-10),
    Published(
        "wave_beta",
        {},
        1.27e-2,
        1e-13,
        "Adam, L-BFGS and NysNewton-CG",
        "2402.01868",
        single=True,
        note="BWLer, a barycentric interpolant and no network, is at 1.3e-11 (arXiv:2506.23024)",
    ),
    Published(
        "burgers",
        {"viscosity": 0.001},
        2.68e-7,
        1e-10,
        "vRBA and SSBroyden",
        "2509.14198",
    ),
    Published("helmholtz", {"a1": 6.0, "a2": 6.0}, None, 1e-9),
    Published("helmholtz", {"a1": 10.0, "a2": 10.0}, None, 1e-8),
    Published("helmholtz", {"k": 10.0}, None, 1e-9),
    Published(
        "kuramoto_sivashinsky",
        {},
        5.12e-7,
        5e-8,
        "DSGNAR, 4x70, 8 time slabs",
        "2607.02194",
        note="before it, 6.51e-4 by SSBroyden in 20 windows (arXiv:2501.16371)",
    ),
    Published(
        "lid_driven_cavity",
        {},
        1.13e-4,
        1e-6,
        "DSGNAR, SIREN 4x60",
        "2607.02194",
        floors=(Floor("DSGNAR's `ldc.npz`", 1.18e-5, "DSGNAR", 1.13e-4),),
        note="PINNacle's own file of this flow (NS2d-C) differs from DSGNAR's by 2.0e-4, since its "
        "lid reads 1.0003 in the middle; the best of PINNacle's methods is at 3.6e-2",
    ),
    Published("lid_driven_cavity", {"reynolds": 1000.0, "lid": "regularised"}, None, 1e-6),
    Published(
        "gray_scott",
        {},
        None,
        5e-6,
        note="on longer times, and from a start that is not periodic, 8.4e-4 by Scale-PINN on "
        "t ≤ 0.5 (arXiv:2602.19475)",
    ),
    Published(
        "ginzburg_landau",
        {},
        None,
        5e-6,
        note="on t ≤ 1, 4.8e-3 by SOAP and 1.49e-2 by PirateNet (arXiv:2402.00326)",
    ),
    Published("allen_cahn_2d", {}, None, 1e-7),
    Published("burgers_2d", {}, None, 1e-9),
)


_Candidate = TypeVar("_Candidate")


def best_match(
    published: Published, candidates: Iterable[tuple[_Candidate, Recipe, float]]
) -> tuple[_Candidate, float] | None:
    """The most accurate of the entries that solve a benchmark, with its error.

    Args:
        published: The benchmark.
        candidates: Anything, its recipe and its relative L2 error.
    """
    errors = [(error, thing) for thing, recipe, error in candidates if published.matches(recipe)]
    if not errors:
        return None
    error, thing = min(errors, key=lambda pair: pair[0])
    return thing, error
