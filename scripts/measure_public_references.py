"""Prints docs/references.md: how accurate the reference files are that published errors rest on.

Each file is compared, on its own points, with the certified reference of the same problem here. The
files belong to other repositories and are not kept in this one: clone those into a folder, as
`FOLDER/owner/name`. Files that are not there keep the row they have on the page.

    python scripts/measure_public_references.py --clone references
    python scripts/measure_public_references.py references
"""

import json
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import scipy.io

import pinnzoo
from pinnzoo.cards.tables import markdown_table
from pinnzoo.cards.words import figure
from pinnzoo.cli.commands import SETTINGS, Verb, argument
from pinnzoo.evaluation import require_reference
from pinnzoo.pdes import make_problem

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "references.md"

MARK = "<!-- figures: "
"""Begins the line of the page that holds the figures as JSON, from which the table is printed."""


class Table(NamedTuple):
    """What a file states: coordinates `(n, d)` and values `(n, c)`, NaN where it has none."""

    points: np.ndarray
    values: np.ndarray


Reader = Callable[[Path], Table]


def lattice(axes: Iterable[Any], values: Any) -> Table:
    """Values on the product of some axes, last axis fastest, as a list of points."""
    mesh = np.meshgrid(*(np.ravel(axis) for axis in axes), indexing="ij")
    points = np.stack([each.ravel() for each in mesh], axis=1)
    return Table(points, np.asarray(values).reshape(len(points), -1))


def arrays(path: Path) -> Any:
    """The named arrays of an .npz or of a .mat file of MATLAB; pickled objects are refused."""
    return np.load(path, allow_pickle=False) if path.suffix == ".npz" else scipy.io.loadmat(path)


def rows_are_times(t: str, x: str, u: str) -> Reader:
    """A file with one row of values per time."""

    def read(path: Path) -> Table:
        kept = arrays(path)
        return lattice((kept[t], kept[x]), kept[u])

    return read


def columns_are_times(t: str, x: str, u: str) -> Reader:
    """A file with one column of values per time; complex ones are split in two."""

    def read(path: Path) -> Table:
        kept = arrays(path)
        values = np.asarray(kept[u]).T
        parts = (np.real(values), np.imag(values)) if np.iscomplexobj(values) else (values,)
        return lattice((kept[t], kept[x]), np.stack([part.ravel() for part in parts], axis=1))

    return read


def coordinates_first(path: Path) -> Table:
    """An .npz with the arrays "coords", the time last, and "solution"."""
    kept = arrays(path)
    return Table(kept["coords"], kept["solution"])


def space_then_time(path: Path) -> Table:
    """The same with the coordinates in the order of this package, the time first."""
    points, values = coordinates_first(path)
    return Table(np.roll(points, 1, axis=1), values)


def comsol(path: Path) -> np.ndarray:
    """The columns of an export of COMSOL, whose head is commented out by %."""
    return np.loadtxt(path, comments="%", ndmin=2)


def comsol_plane(path: Path) -> Table:
    """An export with two coordinates and then one column per component."""
    columns = comsol(path)
    return Table(columns[:, :2], columns[:, 2:])


def comsol_times(dimension: int, step: float) -> Reader:
    """An export with the coordinates and then one column per time, from 0 on."""

    def read(path: Path) -> Table:
        columns = comsol(path)
        space, values = columns[:, :dimension], columns[:, dimension:]
        at = [
            np.concatenate([np.full((len(space), 1), step * k), space], axis=1)
            for k in range(values.shape[1])
        ]
        return Table(np.concatenate(at), values.T.reshape(-1, 1))

    return read


@dataclass(frozen=True)
class Public:
    """A public file, and the problem whose solution it states.

    Attributes:
        repository: Owner and name on GitHub.
        path: In it.
        problem: Name here.
        read: How.
        arguments: Of the problem.
        components: Those that are compared; the file's columns come in their order.
        found: What the figures mean for published errors, one sentence.
    """

    repository: str
    path: str
    problem: str
    read: Reader
    arguments: dict[str, Any] = field(default_factory=dict)
    components: tuple[str, ...] = ("u",)
    found: str = ""

    @property
    def key(self) -> str:
        """What the page calls it."""
        return f"{self.repository}/{self.path}"


U_BY_COLUMN = columns_are_times("t", "x", "usol")
UU_BY_COLUMN = columns_are_times("tt", "x", "uu")
U_BY_ROW = rows_are_times("t", "x", "usol")
DEEPXDE, JAXPI, PINNACLE = "lululxvi/deepxde", "PredictiveIntelligenceLab/jaxpi", "i207M/PINNacle"
DSGNAR, RAISSI = "wephy/physics-informed-neural-networks", "maziarraissi/PINNs"
URBAN = "jorgeurban/self_scaled_algorithms_pinns"
CAVITY = {"lid": "parabolic", "reynolds": 100.0}

FILES = (
    Public(
        PINNACLE,
        "ref/burgers1d.dat",
        "burgers",
        comsol_times(1, 0.1),
        found="No network can score better on this file, and the best of PINNacle's are there.",
    ),
    Public(
        JAXPI,
        "examples/burgers/data/burgers.mat",
        "burgers",
        U_BY_ROW,
        found="The figure of SOAP with PirateNet (arXiv 2502.00604) is the error of the file.",
    ),
    Public(
        DEEPXDE,
        "examples/dataset/Burgers.npz",
        "burgers",
        U_BY_COLUMN,
        found="Better than any network that was measured with it.",
    ),
    Public(RAISSI, "appendix/Data/burgers_shock.mat", "burgers", U_BY_COLUMN),
    Public(
        DSGNAR,
        "src/pinn/references/burgers.npz",
        "burgers",
        space_then_time,
        {"viscosity": 0.01},
        found="The figure of arXiv 2607.02194 is the error of the file: its network is better.",
    ),
    Public(
        JAXPI,
        "examples/allen_cahn/data/allen_cahn.mat",
        "allen_cahn",
        U_BY_ROW,
        found="At the kink of the initial value at x = ±1, early: published figures below it tell "
        "how alike two band limits are.",
    ),
    Public(URBAN, "Examples/AC/AC_cosine.mat", "allen_cahn", UU_BY_COLUMN),
    Public(RAISSI, "main/Data/AC.mat", "allen_cahn", UU_BY_COLUMN),
    Public(
        DSGNAR,
        "src/pinn/references/kdv.npz",
        "kdv",
        space_then_time,
        found="Good: what arXiv 2607.02194 states is the error of its network.",
    ),
    Public(JAXPI, "examples/kdv/data/kdv.mat", "kdv", U_BY_ROW),
    Public(JAXPI, "examples/ks_chaotic/data/ks_chaotic.mat", "kuramoto_sivashinsky", U_BY_ROW),
    Public(RAISSI, "main/Data/NLS.mat", "schrodinger", UU_BY_COLUMN, components=("u", "v")),
    Public(
        URBAN,
        "Examples/NLS/NLS.mat",
        "schrodinger_breather",
        U_BY_COLUMN,
        components=("u", "v"),
        found="Records that are measured with it end there.",
    ),
    Public(
        DSGNAR,
        "src/pinn/references/wave.npz",
        "wave",
        space_then_time,
        found="Rounding of the closed form, to which the best networks come close.",
    ),
    Public(
        DSGNAR,
        "src/pinn/references/ldc.npz",
        "lid_driven_cavity",
        coordinates_first,
        CAVITY,
        ("u", "v"),
    ),
    Public(
        PINNACLE, "ref/lid_driven_a4.dat", "lid_driven_cavity", comsol_plane, CAVITY, ("u", "v")
    ),
    Public(PINNACLE, "ref/poisson1_cg_data.dat", "poisson_2d_c", comsol_plane),
    Public(PINNACLE, "ref/poisson_boltzmann2d.dat", "poisson_2d_cg", comsol_plane),
    Public(
        PINNACLE,
        "ref/heat_multiscale_lesspoints.dat",
        "heat_2d_ms",
        comsol_times(2, 0.2),
        found="The best of PINNacle's figures is hardly above it.",
    ),
)


def measure(public: Public, path: Path) -> dict[str, Any]:
    """Errors of a file on its own points, relative to the certified reference there."""
    problem = make_problem(public.problem, public.arguments)
    reference = require_reference(problem)
    table = public.read(path)
    columns = [problem.components.index(name) for name in public.components]
    values = table.values[:, : len(columns)]
    known = np.isfinite(values).all(axis=1)
    points, values = table.points[known], values[known]
    exact = reference(points)
    difference = values - exact[:, columns]
    worst = int(np.argmax(np.abs(difference).max(axis=1)))
    return {
        "n": len(points),
        "relative_l2_error": float(np.linalg.norm(difference) / np.linalg.norm(exact[:, columns])),
        "max_error": float(np.abs(difference).max()),
        "at": dict(zip(problem.domain.coords, points[worst].tolist(), strict=True)),
        "reference_error": reference.certified_error(points, exact),
        "components": list(public.components),
    }


def kept_figures() -> dict[str, Any]:
    """The figures on the page, by file."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    found = [line for line in lines if line.startswith(MARK)]
    return json.loads(found[0].removeprefix(MARK).removesuffix(" -->")) if found else {}


def place(found: dict[str, Any]) -> str:
    """A point in words."""
    return ", ".join(f"{letter} = {value:.3g}" for letter, value in found["at"].items())


def row(public: Public, found: dict[str, Any]) -> tuple[str, ...]:
    """One file's line of the table."""
    problem = make_problem(public.problem, public.arguments)
    address = f"https://github.com/{public.repository}"
    parts = ", ".join(found["components"])
    known = f" ({parts})" if len(problem.components) > len(found["components"]) else ""
    return (
        f"{problem.name}{describe(public.arguments)}{known}",
        f"[{public.repository}]({address}) `{public.path}`",
        f"{found['n']:,}",
        figure(found["relative_l2_error"]),
        f"{figure(found['max_error'])} at {place(found)}",
        figure(found["reference_error"]),
        public.found,
    )


def describe(arguments: dict[str, Any]) -> str:
    """Arguments of a problem in words."""
    return "".join(f", {name} {value}" for name, value in arguments.items())


HEADINGS = (
    "Problem",
    "File",
    "Points",
    "Relative L2 error of the file",
    "Largest error",
    "Of the reference here",
    "What follows",
)

TEXT = """# What public reference files are worth

An error that somebody publishes is measured against something. Where that is a file from another
solver, the error cannot fall below the file's own, however good the network is. This page compares
the files that most published figures rest on with the certified references of pinnzoo, each on the
file's own points. It is printed by code, from the files themselves; to print it again, or to add a
file:

```sh
python scripts/measure_public_references.py --clone FOLDER
python scripts/measure_public_references.py FOLDER
```

Every reference here states its own error: how far it moves when it is computed more finely, or when
each coordinate moves by one unit in the last place. A figure for a file means something only where
it is well above that; below it, file and reference are equally good.

"""


def page(figures: dict[str, Any]) -> str:
    """The page as Markdown."""
    rows = [row(public, figures[public.key]) for public in FILES if public.key in figures]
    numbers = f"{MARK}{json.dumps(figures, sort_keys=True)} -->"
    return f"{TEXT}{markdown_table(HEADINGS, rows)}\n\n{numbers}\n"


def clone(folder: Path) -> None:
    """Clone the repositories that are not there, without their history."""
    for name in sorted({public.repository for public in FILES}):
        if not (folder / name).exists():
            source = f"https://github.com/{name}.git"
            subprocess.run(["git", "clone", "--depth", "1", source, folder / name], check=True)


@click.command(cls=Verb, context_settings=SETTINGS)
@argument("folder", "Holds the repositories, as owner/name.", type=Path)
@click.option("--clone", "fetch", is_flag=True, help="Clone what is missing, no more.")
def main(
    folder: Path,
    fetch: bool,
) -> None:
    """Measure the files that are there, and print the page."""
    if fetch:
        clone(folder)
        return
    pinnzoo.enable_x64()
    figures = kept_figures()
    for public in FILES:
        path = folder / public.repository / public.path
        if not path.exists():
            print(f"{public.key}: not there")
            continue
        figures[public.key] = measure(public, path)
        print(f"{public.key}: {figure(figures[public.key]['relative_l2_error'])}", flush=True)
    PAGE.write_text(page(figures), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
