"""The table of diagnostics, and what each of them is given.

A diagnostic is a function of a `Study` (a network at the steps of its training, on a problem)
that returns plain numbers. They become a block of `metrics.json`, under the diagnostic's name.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float, Int

from pinnzoo.diagnostics._programs import Tick, silent
from pinnzoo.diagnostics.ntk import NTKSnapshots, ntk_snapshots
from pinnzoo.errors import DiagnosticError, PinnzooError, with_article
from pinnzoo.objective import Objective
from pinnzoo.pdes import Problem
from pinnzoo.recipes import Recipe
from pinnzoo.registry import find, is_builtin, register

Block: TypeAlias = dict[str, Any]
"""Plain numbers, strings, lists and dictionaries, as JSON holds them."""

Row: TypeAlias = tuple[str | float, ...]
"""A label and what stands beside it on a card."""

RESERVED = frozenset(
    {
        "format",
        "loss",
        "steps",
        "parameters",
        "dtype",
        "training_seconds",
        "wall_time_seconds",
        "hardware",
        "platform",
        "relative_l2_error",
        "max_error",
        "reference_error",
        "reference_method",
        "evaluation_shape",
        "estimated_error",
        "unknowns",
        "weighting",
        "components",
        "parameter_errors",
        "solve",
    }
)
"""Keys of `metrics.json` that are not blocks of diagnostics."""


@dataclass(frozen=True, eq=False)
class Study:
    """What a diagnostic is given: a network at the steps of its training, on its problem.

    Attributes:
        problem: What is solved.
        objective: The residual vector in float64, with the weights of the training. Its points
            are those of the loss Hessian.
        steps: Steps at which the parameters were taken, rising.
        thetas: Flat parameters there, `(s, p)`.
        ntk_points: Points of the kernels, for each term of the problem; neither observations nor
            the conditions where windows of time meet have a part in them.
        hessian_points: Points `(n, d)` for Hessians of the equation's residual.
        tick: The sign of life: a diagnostic that takes longer than a second calls it often, with a
            few words on what it does.
        solution: `(theta, point) -> (m,)`, the network with the problem's ansatz, in float64.
        recipe: How it was trained.
        history: Records of the training by name, such as "loss" or "damping".
        shared: What diagnostics of one study keep for each other, under names of their own.

    Example:
        ```python
        def loss_fell(study):
            first, last = (float(study.objective.loss(theta)) for theta in study.thetas[[0, -1]])
            return {"factor": first / last}
        ```
    """

    problem: Problem
    objective: Objective
    steps: Int[np.ndarray, " s"]
    thetas: Float[np.ndarray, "s p"]
    ntk_points: dict[str, Float[np.ndarray, "_ d"]]
    hessian_points: Float[np.ndarray, "n d"]
    tick: Tick = silent
    solution: Callable[[Any, Any], Any] | None = None
    recipe: Recipe | None = None
    history: Mapping[str, Any] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def initial(self) -> Float[np.ndarray, " p"]:
        """The first parameters on record: those at initialisation, where step 0 is."""
        return self.thetas[0]

    @property
    def final(self) -> Float[np.ndarray, " p"]:
        """Parameters at the end."""
        return self.thetas[-1]

    @property
    def unobserved(self) -> Objective:
        """The residual vector of the problem's own terms alone.

        It lacks what was measured, and the conditions where windows of time meet.
        """
        own = self.problem.terms
        terms = tuple(term for term in self.objective.terms if term.name in own)
        return Objective(terms, self.objective.shapes)

    @functools.cached_property
    def ntk(self) -> NTKSnapshots:
        """The kernels at all steps: computed when first asked for, and then shared."""
        return ntk_snapshots(
            self.unobserved,
            self.steps,
            self.thetas,
            self.ntk_points,
            tick=self.tick,
        )


@dataclass(frozen=True)
class Diagnostic:
    """One block of `metrics.json`: how it is computed, and how a card tells it.

    Attributes:
        name: Key of the block.
        title: What a card calls it.
        version: Raised when the contents of the block change.
        compute: Makes the block of a study.
        rows: Rows of a card's table, from the block.
        begin: Begins to compile what `compute` is going to run, and returns at once; None where
            there is little to compile.
        on_demand: Computed only where it is asked for by name, not after every training.
    """

    name: str
    title: str
    version: int
    compute: Callable[[Study], Block]
    rows: Callable[[Block], list[Row]]
    begin: Callable[[Study], None] | None = None
    on_demand: bool = False


DIAGNOSTICS: dict[str, Diagnostic] = {}
"""All diagnostics by name; `register_diagnostic` adds to it."""

T = TypeVar("T", bound="Diagnostic | Callable[[Study], Block]")


def register_diagnostic(
    diagnostic: T,
    *,
    name: str | None = None,
    title: str | None = None,
    version: int = 1,
    rows: Callable[[Block], list[Row]] | None = None,
    on_demand: bool = False,
) -> T:
    """Add a diagnostic to the table, so that every training from now on computes it.

    One that takes long is better registered with `on_demand=True`: `pinnzoo diagnose` and
    `pinnzoo analyze --what` compute it where its name is given.

    Registering the same function again changes nothing, and one that was edited and executed again
    takes the place of its older self.

    Example:
        ```
        def mean_residual(study):
            return {"mean": float(abs(study.objective.residual(study.final)).mean())}

        pinnzoo.register_diagnostic(mean_residual, title="Residual at the end")
        ```

    Args:
        diagnostic: A function of a `Study` that returns a dictionary, or a `Diagnostic`.
        name: Key of the block in `metrics.json`; the function's name by default.
        title: What a card calls it; the name with blanks by default.
        version: Raise it when the contents of the block change.
        rows: Rows of a card's table from the block; by default one row per number.
        on_demand: Compute it only where it is asked for by name.

    Returns:
        What was given.

    Raises:
        RegistrationError: The name is taken by another diagnostic, or cannot be a key.
        DiagnosticError: It is no function, or is given together with what it has itself.
    """
    if isinstance(diagnostic, Diagnostic):
        if name is not None or title is not None or version != 1 or rows is not None or on_demand:
            raise DiagnosticError(
                f"the Diagnostic {diagnostic.name!r} was given together with a name, title, "
                "version, rows or on_demand: it has its own, so give it alone."
            )
        made: Diagnostic = diagnostic
    else:
        key = getattr(diagnostic, "__name__", "") if name is None else name
        made = _diagnostic_of(diagnostic, key, title, version, rows, on_demand=on_demand)
    whole = isinstance(made.version, int) and not isinstance(made.version, bool)
    if not whole or made.version < 1:
        raise DiagnosticError(
            f"the diagnostic {made.name!r} was given the version {made.version!r}: versions are "
            "whole numbers from 1."
        )
    register(
        "diagnostic",
        DIAGNOSTICS,
        made,
        name=made.name,
        # The package's own are told by `pinnzoo.cards.words`, in the middle of sentences too.
        title=None if is_builtin(made.compute) else made.title,
        reserved=RESERVED,
        source=lambda known: known.compute,
    )
    return diagnostic  # pyright: ignore[reportReturnType]


def _diagnostic_of(
    function: Callable[[Study], Block],
    name: str,
    title: str | None = None,
    version: int = 1,
    rows: Callable[[Block], list[Row]] | None = None,
    *,
    on_demand: bool,
) -> Diagnostic:
    if not callable(function):  # pyright: ignore[reportUnnecessaryComparison]
        raise DiagnosticError(
            f"{function!r} was given as a diagnostic: give a function of a Study that returns a "
            "dictionary, or a Diagnostic."
        )
    words = str(name).replace("_", " ")
    return Diagnostic(
        name=name,
        title=words[:1].upper() + words[1:] if title is None else title,
        version=version,
        compute=function,
        rows=flatten_block if rows is None else rows,
        on_demand=on_demand,
    )


def find_diagnostic(name: str) -> Diagnostic:
    """The diagnostic of a name, registered or offered by an installed package.

    A function that a package offers is computed on demand only, as is all that a package offers: a
    training does not import what nobody named.

    Raises:
        UnknownNameError: There is no such diagnostic.
        RegistrationError: The package that offers it is of no use.
    """

    def made(thing: Any, name: str) -> Diagnostic:
        if isinstance(thing, Diagnostic):
            return replace(thing, name=name, on_demand=True)
        return _diagnostic_of(thing, name, on_demand=True)

    return find("diagnostic", DIAGNOSTICS, name, made)


def after_training() -> list[str]:
    """Names of the diagnostics that every training computes: all but those on demand."""
    return [name for name, diagnostic in DIAGNOSTICS.items() if not diagnostic.on_demand]


def compute_blocks(study: Study, names: Iterable[str] | None = None) -> dict[str, Block]:
    """The blocks of `metrics.json` for a study, each with its "version".

    Args:
        study: The network at the steps of its training.
        names: Which diagnostics; by default all that are not computed on demand only.

    Returns:
        Blocks by name, in the order of the names.

    Raises:
        UnknownNameError: There is no such diagnostic.
        DiagnosticError: One failed, or its block is not plain and finite.

    Example:
        ```python
        blocks = compute_blocks(study, ["ntk"])
        blocks["ntk"]["drift"]["all"]["spectral"]
        ```
    """
    chosen = after_training() if names is None else list(names)
    for name in chosen:
        find_diagnostic(name)
    begin_blocks(study, chosen)
    return {name: _compute(DIAGNOSTICS[name], study) for name in chosen}


def begin_blocks(study: Study, names: Iterable[str]) -> None:
    """Start to compile the programs of some diagnostics, in threads, and return at once.

    The diagnostics of a small network take most of their time for compilation. Started early, it
    runs on other cores while the caller does something else.

    Args:
        study: The study that `compute_blocks` is called with later.
        names: Which diagnostics.

    Example:
        ```python
        begin_blocks(study, ["ntk"])
        figures = pinnzoo.evaluate(entry)
        blocks = compute_blocks(study, ["ntk"])
        ```
    """
    for name in names:
        if (begin := DIAGNOSTICS[name].begin) is not None:
            study.tick(DIAGNOSTICS[name].title)
            # What cannot be compiled ahead says why when it is computed.
            with contextlib.suppress(Exception):
                begin(study)


def _compute(diagnostic: Diagnostic, study: Study) -> Block:
    study.tick(diagnostic.title)
    try:
        found = diagnostic.compute(study)
    except Exception as error:
        # What the package's own refuse has a sentence of its own.
        if isinstance(error, PinnzooError) and is_builtin(diagnostic.compute):
            raise
        raise DiagnosticError(
            f"the diagnostic {diagnostic.name!r} failed with {type(error).__name__} ({error}): "
            "mend it, or name the diagnostics that are to be computed."
        ) from error
    if not isinstance(found, dict) or "version" in found:
        given = "a key 'version'" if isinstance(found, dict) else with_article(type(found).__name__)
        raise DiagnosticError(
            f"the diagnostic {diagnostic.name!r} returned {given}: it must return a dictionary, to "
            "which its version is added."
        )
    return {"version": diagnostic.version, **_plain(found, diagnostic.name)}


def _plain(value: Any, place: str) -> Any:
    """The value with NumPy's and JAX's numbers and arrays as Python's, checked for JSON."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise DiagnosticError(f"{place} has the key {key!r}: keys must be strings.")
        return {key: _plain(each, f"{place}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, f"{place}[{i}]") for i, each in enumerate(value)]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return _plain(np.asarray(value).tolist(), place)
    if isinstance(value, float) and not math.isfinite(value):
        raise DiagnosticError(
            f"{place} is {value}: the numbers of a diagnostic must be finite, so leave it out or "
            "return None."
        )
    if not isinstance(value, bool | int | float | str | None):
        raise DiagnosticError(
            f"{place} is of type {type(value).__name__}: a diagnostic returns numbers, strings, "
            "None for what there is not, and lists and dictionaries of them."
        )
    return value


def flatten_block(block: Block) -> list[Row]:
    """A row per number or string of a block; a list of them makes one row.

    Keys on the way are joined by blanks, underscores become blanks, and the version is left out.
    """
    rows: list[Row] = []
    for key, value in block.items():
        label = key.replace("_", " ")
        if key == "version":
            continue
        if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
            value = {str(i + 1): each for i, each in enumerate(value)}
        if isinstance(value, dict):
            rows.extend((f"{label} {first}", *rest) for first, *rest in flatten_block(value))
        else:
            rows.append((label, *value) if isinstance(value, list) else (label, value))
    return rows
