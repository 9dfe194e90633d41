"""How names, times, numbers and phases are written in prose. Imports nothing of the package."""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pinnzoo.registry import registered_title

TITLES = {
    "adam": "Adam",
    "causal": "causality",
    "chebyshev_kan": "Chebyshev KAN",
    "fourier_mlp": "MLP with Fourier features",
    "gauss_newton": "Gauss-Newton",
    "gradient_descent": "gradient descent",
    "gradient_norm": "norms of gradients",
    "lbfgs": "L-BFGS",
    "levenberg_marquardt": "Levenberg-Marquardt",
    "levenberg_marquardt_lsmr": "Levenberg-Marquardt by LSMR",
    "ntk_trace": "traces of the NTK",
    "loss_hessian": "Hessian of the loss",
    "mlp": "MLP",
    "modified_mlp": "modified MLP",
    "multiscale_fourier": "MLP with Fourier features of several scales",
    "newton_cg": "NysNewton-CG",
    "ntk": "neural tangent kernel",
    "piratenet": "PirateNet",
    "residual_hessian": "Hessian of the residual",
    "rwf_mlp": "MLP with factorized weights",
    "siren": "SIREN",
    "sketched_gauss_newton": "sketched Gauss-Newton",
    "soap": "SOAP",
    "spinn": "separable network",
    "spring": "SPRING",
    "ssbfgs": "SSBFGS",
    "ssbroyden": "SSBroyden",
    "tangent_mlp": "MLP with its tangent",
}
"""How names are written where replacing underscores is not enough. Registration may add to it."""


def title(name: str) -> str:
    """A name of a table in prose.

    Example:
        >>> title("levenberg_marquardt"), title("my_network")
        ('Levenberg-Marquardt', 'my network')
    """
    return registered_title(name) or TITLES.get(name, name.replace("_", " "))


def reading_order(text: str) -> list[str | float]:
    """Sorts titles as they are read: β = 20 comes before β = 100."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return [float(part) if i % 2 else part for i, part in enumerate(parts)]


def join_titles(optimizers: Iterable[str]) -> str:
    """Each optimizer once, in the order of its first phase: "Adam + L-BFGS"."""
    return " + ".join(dict.fromkeys(map(title, optimizers)))


def phases_in_words(phases: Iterable[tuple[str, int]]) -> str:
    """Optimizers and steps, phases of one optimizer that follow each other counted together."""
    runs = (
        (optimizer, [steps for _, steps in run])
        for optimizer, run in itertools.groupby(phases, lambda phase: phase[0])
    )
    return ", then ".join(
        f"{counted(sum(steps), 'step')} of {title(optimizer)}"
        + (f" in {len(steps)} phases" if len(steps) > 1 else "")
        for optimizer, steps in runs
    )


def counted(count: int, noun: str) -> str:
    """A number with its noun, which ends in s unless there is one: "1 step", "2,000 steps"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """A time in words: "41 s", "12 min 05 s", "3 h 20 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def user_duration(figures: Mapping[str, Any]) -> str:
    """The time that the user waited, in words; the training alone where no more is stated."""
    return duration(figures.get("wall_time_seconds", figures.get("training_seconds", math.nan)))


NOTICED = 5e-3
"""Share of a figure from which on its error is worth a word."""


def figure(value: float | None) -> str:
    """A measured number with three digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    # With "#" trailing zeros stay, so that the figures of a column look alike.
    return f"{value:#.3g}".rstrip(".") if 0.01 <= abs(value) < 1e3 else f"{value:.2e}"


def of_beginning(block: Mapping[str, Any], key: str) -> str:
    """A figure of a diagnostic at initialisation; a dash where that is not on record."""
    return figure(None) if block["initial"] is None else uncertain(block["initial"], key)


def uncertain(figures: Mapping[str, Any], key: str) -> str:
    """A figure with its error, where one is stated that the three digits would show.

    Example:
        >>> uncertain({"trace": 4.65, "trace_error": 1.234}, "trace")
        '4.65 ± 1.2'
    """
    value, error = figures[key], figures.get(f"{key}_error", 0.0)
    shown = figure(value)
    return f"{shown} ± {error:.2g}" if error > NOTICED * abs(value) else shown


def cell(value: Any) -> str:
    """A figure, or whatever else a diagnostic reports, as text."""
    if value is None:
        return figure(None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else figure(value)


def reach(error: float | None, spelling: str = ".2e") -> str:
    """An error as a table shows it; a dash where there is no reference."""
    return "–" if error is None else format(error, spelling)


def change(part: Mapping[str, Any], key: str) -> str:
    """A figure of a diagnostic at initialisation and at the end: "20.0 → 40.0"."""
    return f"{of_beginning(part, key)} → {uncertain(part['final'], key)}"


def over_parameters(block: Mapping[str, Any]) -> tuple[str, str]:
    """Letters of the parameters of a block "parameter_errors", and where its worst error is.

    Example:
        >>> over_parameters({"parameters": ["n"], "values": [[0.1], [0.2]], "errors": [1.0, 3.0],
        ...                  "worst": 3.0})
        ('n', 'n = 0.2')
    """
    letters = ", ".join(block["parameters"])
    worst = block["values"][block["errors"].index(block["worst"])]
    return letters, f"{letters} = {', '.join(f'{value:.3g}' for value in worst)}"


def distinct_names(names: Sequence[str], folders: Sequence[Path | None]) -> list[str]:
    """Names of entries by which each can be told, as legends, tables and folders need.

    Runs of one recipe have one name. Where it repeats, the folder takes its place, with those that
    it lies in as far as they are needed, and a number where nothing else is different.

    Args:
        names: The entries' own names.
        folders: Where each was read from, or None.

    Example:
        >>> distinct_names(["heat", "heat", "wave"], [Path("a"), Path("b"), None])
        ['a', 'b', 'wave']
        >>> distinct_names(["heat", "heat"], [None, None])
        ['heat', 'heat-2']
    """

    def told(depth: int) -> list[str]:
        return [
            name
            if names.count(name) == 1 or folder is None
            else "-".join(folder.absolute().parts[1:][-depth:]) or name
            for name, folder in zip(names, folders, strict=True)
        ]

    for depth in range(1, 4):
        if len(set(each := told(depth))) == len(each):
            return each
    found: list[str] = []
    for name in told(1):
        each, count = name, 1
        while each in found:
            count += 1
            each = f"{name}-{count}"
        found.append(each)
    return found
