"""The most accurate neural solutions published so far, for comparison with the entries. No JAX.

Errors are relative L2 errors as their sources state them, single networks in float64 unless a note
says otherwise. Setups that differ in viscosity, horizon or form are other problems, not other rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pinnzoo.recipes import Recipe


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
        note: What else has to be known to compare, or empty.
    """

    problem: str
    arguments: Mapping[str, float | str]
    error: float | None
    goal: float
    method: str = ""
    source: str = ""
    note: str = ""

    def matches(self, recipe: Recipe) -> bool:
        """Whether a recipe solves this benchmark, whatever its network and constraints."""
        physical = {k: v for k, v in recipe.problem_arguments.items() if k != "constraints"}
        return recipe.problem == self.problem and physical == dict(self.arguments)


PUBLISHED: tuple[Published, ...] = (
    Published("burgers", {}, 8.25e-9, 8e-10, "vRBA and SSBroyden, 3x30 tanh", "2509.14198"),
    Published("burgers", {"viscosity": 0.01}, 7.97e-14, 1e-13, "DSGNAR, SIREN", "2607.02194"),
    Published("allen_cahn", {}, 9.43e-7, 9e-8, "SSBroyden, 3x30 tanh", "2501.16371"),
    Published("wave", {}, 1.20e-15, 1e-13, "DSGNAR, SIREN, 2 time slabs", "2607.02194"),
    Published(
        "convection",
        {"beta": 40.0},
        1.94e-3,
        1e-10,
        "Adam, L-BFGS and NysNewton-CG",
        "2402.01868",
        "float32",
    ),
    Published(
        "convection",
        {"beta": 50.0, "horizon": 2.0},
        6.88e-4,
        1e-10,
        "Adam, 4x256, periodic embedding",
        "2308.08468",
        "float32",
    ),
    Published(
        "convection",
        {"beta": 100.0},
        None,
        1e-10,
        "Levenberg-Marquardt, 5x20 tanh",
        "2402.03864",
        "solved, by a figure without digits",
    ),
    Published(
        "reaction",
        {},
        9.92e-3,
        1e-10,
        "Adam, L-BFGS and NysNewton-CG",
        "2402.01868",
        "float32",
    ),
    Published("heat", {}, 2.0e-8, 1e-11, "KFAC, 256 wide", "2405.15603"),
    Published("poisson_2d", {}, 6.1e-8, 1e-12, "ENGD, one layer of 64", "2405.15603"),
    Published(
        "poisson_2d", {"modes": "multi"}, 4.46e-14, 1e-12, "DSGNAR, SIREN and Fourier", "2607.02194"
    ),
    Published("helmholtz", {}, 2.0e-9, 2e-10, "SPRING, 4x30, periodic embedding", "2604.05230"),
    Published("kdv", {}, 8.24e-11, 1e-10, "DSGNAR, SIREN 4x60, 4 time slabs", "2607.02194"),
    Published("kdv_solitons", {}, 1.24e-6, 1e-8, "vRBA and SSBroyden, 3x30", "2509.14198"),
    Published("schrodinger", {}, 1.97e-3, 1e-7, "L-BFGS, 4x100", "1711.10561", "float32"),
    Published("klein_gordon", {}, None, 1e-9),
    Published("sine_gordon", {}, None, 1e-9),
    Published("taylor_green", {}, None, 1e-9),
    Published("kovasznay", {}, None, 1e-9),
    Published("beltrami", {}, None, 1e-9),
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
