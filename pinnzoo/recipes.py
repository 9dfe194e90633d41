"""A recipe is all that is needed to train an entry again, as plain data. Imports no JAX."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pinnzoo import _json
from pinnzoo.errors import FormatVersionError, RecipeError

RECIPE_FORMAT = 1

OPTIMIZER_ALIASES = {"lm": "levenberg_marquardt"}
"""Short forms that are accepted wherever an optimizer or an entry is named."""

MAX_SIZE = 4096
"""Largest whole number that may describe a network: a width, a depth, a number of features."""

MAX_POINTS = 10_000_000
MAX_STEPS = 1_000_000_000
MAX_SEED = 2**31 - 1
MAX_PHASES = 100
MAX_NAME = 120

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*(?:-[a-z0-9][a-z0-9_.]*){2,3}")


def resolve_optimizer(name: str) -> str:
    """The full name of an optimizer, given that or its alias."""
    return OPTIMIZER_ALIASES.get(name, name)


def resolve_entry_name(name: str) -> str:
    """The full name of an entry: `burgers-mlp-lm` is `burgers-mlp-levenberg_marquardt`."""
    parts = name.split("-")
    if len(parts) >= 3:
        parts[2] = resolve_optimizer(parts[2])
    return "-".join(parts)


def entry_name_forms(name: str) -> tuple[str, ...]:
    """The full name of an entry, then the short forms that mean the same."""
    parts = resolve_entry_name(name).split("-")
    short = [
        "-".join([*parts[:2], alias, *parts[3:]])
        for alias, full in OPTIMIZER_ALIASES.items()
        if len(parts) >= 3 and parts[2] == full
    ]
    return ("-".join(parts), *short)


def is_entry_name(name: str) -> bool:
    """Whether `name` has the form `problem-architecture-optimizer[-tag]`."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one optimizer.

    Attributes:
        optimizer: Full name of the optimizer.
        steps: Number of steps.
        arguments: Arguments of the optimizer.
        points: Number of points per term in this phase, where it differs from the recipe's.
        weights: Loss weight per term in this phase, where it differs from the recipe's.
        resample_every: Draw new points after this many steps; 0 keeps the first ones.
        adaptive: Draw the points of the equations by residual (RAD) instead of evenly.
        seconds: Stop the phase after this many seconds of wall time; 0 is no limit. A phase with
            a limit depends on the machine, so published recipes state steps alone.
        target_loss: Stop the phase once the training loss is below this, on the points and with
            the weights of that moment; 0 is no target. An entry states the steps that it took.
        part: Train one part of a composed network alone, such as a window of `tangent_mlp`, on
            the times that it covers; -1 trains all parameters.
        problem_arguments: Physical arguments in this phase, where they differ from the recipe's:
            a curriculum from an easier problem to the one that is meant (Krishnapriyan et al.
            2021, arXiv 2109.01050, section 4).
        weighting: A name of `pinnzoo.weighting.WEIGHTINGS`, or empty: factors on the loss weights
            that follow the training.
        weighting_arguments: Arguments of the weighting.
        reweigh_every: Update the weighting after this many steps, and where points are drawn.
    """

    optimizer: str
    steps: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    points: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    resample_every: int = 0
    adaptive: bool = False
    seconds: float = 0.0
    target_loss: float = 0.0
    part: int = -1
    problem_arguments: Mapping[str, float | str] = field(default_factory=dict)
    weighting: str = ""
    weighting_arguments: Mapping[str, Any] = field(default_factory=dict)
    reweigh_every: int = 100


@dataclass(frozen=True)
class Recipe:
    """Problem, network, points and phases of one training.

    Attributes:
        problem: A name of `pinnzoo.PROBLEMS`.
        architecture: A name of `pinnzoo.ARCHITECTURES`.
        phases: What is done, in order. The last optimizer names the entry.
        problem_arguments: Physical arguments of the problem.
        architecture_arguments: Arguments of the architecture.
        points: Number of collocation points per term. "equation" is required; "conditions" is
            the number for every condition that is not named itself. A condition that lives on a
            single point (an end of an interval) always has one.
        sampler: A name of `pinnzoo.domains.SAMPLERS`.
        weights: Loss weight per term, 1 where none is given.
        seed: Seed of the network's parameters and of all points.
        dtype: "float64" or "float32".
        tag: Distinguishes entries that would have the same name.
        base: Name of the entry that this one was fine-tuned from, or empty.
    """

    problem: str
    architecture: str
    phases: tuple[Phase, ...]
    problem_arguments: Mapping[str, float | str] = field(default_factory=dict)
    architecture_arguments: Mapping[str, Any] = field(default_factory=dict)
    points: Mapping[str, int] = field(default_factory=lambda: {"equation": 2000, "conditions": 200})
    sampler: str = "sobol"
    weights: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    dtype: str = "float64"
    tag: str = ""
    base: str = ""

    def __post_init__(self) -> None:
        if not self.phases:
            raise RecipeError("a recipe without phases was given: give at least one.")
        for phase in self.phases:
            limits = ("steps", "resample_every", "seconds", "target_loss")
            if any(getattr(phase, name) < 0 for name in limits):
                given = ", ".join(f"{name}={getattr(phase, name)}" for name in limits)
                raise RecipeError(f"a phase of {given} was given: none may be negative.")
            if phase.reweigh_every < 1:
                raise RecipeError(
                    f"a phase with reweigh_every={phase.reweigh_every} was given: it must be 1 or "
                    "more."
                )
        if "equation" not in self.points:
            raise RecipeError(
                f"points={dict(self.points)} was given: say how many points 'equation' has."
            )
        if any(not isinstance(n, int) or n < 1 for n in self.points.values()):
            raise RecipeError(
                f"points={dict(self.points)} was given: every count must be a whole number, "
                "1 or more."
            )
        if any(not weight > 0 for weight in self.weights.values()):
            raise RecipeError(
                f"weights={dict(self.weights)} was given: every weight must be above zero."
            )
        if not 0 <= self.seed <= MAX_SEED:
            raise RecipeError(
                f"seed={self.seed} was given: it must be a whole number from 0 to {MAX_SEED}."
            )
        if self.base and not is_entry_name(self.base):
            raise RecipeError(
                f"base={self.base!r} was given: it must be the name of an entry, or empty."
            )
        if not is_entry_name(self.name):
            raise RecipeError(
                f"the name {self.name!r} follows from this recipe: problem, architecture, "
                "optimizer and tag may hold lower-case letters, digits, '_' and (tag) '.' only."
            )

    @property
    def name(self) -> str:
        """`<problem>-<architecture>-<optimizer>[-<tag>]`."""
        parts = [self.problem, self.architecture, self.phases[-1].optimizer]
        return "-".join([*parts, self.tag] if self.tag else parts)

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        data = dataclasses.asdict(self)
        data["phases"] = [dataclasses.asdict(phase) for phase in self.phases]
        return {"format": RECIPE_FORMAT} | data

    def to_json(self) -> str:
        """Indented JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, data: object) -> "Recipe":
        """A recipe from plain data; the inverse of `to_dict`.

        Raises:
            FormatVersionError: Written in another format.
            RecipeError: A field is missing, unknown or of the wrong type.
        """
        if not isinstance(data, dict):
            raise RecipeError(f"a recipe must be a JSON object, not {type(data).__name__}.")
        version = data.get("format")
        if type(version) is not int or version != RECIPE_FORMAT:
            raise FormatVersionError(
                f"a recipe of format {version!r} was given: this version of pinnzoo reads format "
                f"{RECIPE_FORMAT}, so use the version that wrote it."
            )
        rest = {key: value for key, value in data.items() if key != "format"}
        phases = rest.pop("phases", None)
        if not isinstance(phases, list) or len(phases) > MAX_PHASES:
            raise RecipeError(
                f"a recipe without a list of phases, {MAX_PHASES} at most, was given."
            )
        _check_contents(rest, "recipe")
        for phase in phases:
            _check_contents(phase, "phase")
        return _build(
            cls,
            {"phases": tuple(_build(Phase, phase, "phase") for phase in phases)} | rest,
            "recipe",
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "Recipe":
        """A recipe from JSON text.

        Raises:
            RecipeError: The text is not JSON, or not of a recipe.
            FormatVersionError: Written in another format.
        """
        try:
            data = _json.parse(text)
        except ValueError as error:
            raise RecipeError(f"a recipe that is not JSON was given: {error}.") from error
        return cls.from_dict(data)


_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
}


def _is_number(value: object, low: float, high: float, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high  # pyright: ignore[reportOperatorIssue]


def _is_scalar(value: object) -> bool:
    """Whether a network or an optimizer can take this value: a finite number, a word, a claim."""
    if isinstance(value, str):
        return len(value) <= MAX_NAME
    return (
        isinstance(value, bool)
        or _is_number(value, -MAX_STEPS, MAX_STEPS, int)
        or _is_number(value, -1e300, 1e300, float)
    )


def _is_architecture_value(value: object) -> bool:
    values = value if isinstance(value, (list, tuple)) else [value]
    return len(values) <= MAX_SIZE and all(
        _is_scalar(v) and (not isinstance(v, int) or abs(v) <= MAX_SIZE) for v in values
    )


_CONTENTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "problem_arguments": (
        lambda v: _is_scalar(v) and not isinstance(v, bool),
        "finite numbers and words",
    ),
    "architecture_arguments": (
        _is_architecture_value,
        f"finite numbers, whole ones up to {MAX_SIZE}, words, true, false and lists of those",
    ),
    "arguments": (_is_scalar, "finite numbers, words, true and false"),
    "weighting_arguments": (_is_scalar, "finite numbers, words, true and false"),
    "points": (lambda v: _is_number(v, 1, MAX_POINTS, int), f"whole numbers, 1 to {MAX_POINTS}"),
    "weights": (lambda v: _is_number(v, 1e-300, 1e300, int, float), "numbers above zero"),
    "steps": (lambda v: _is_number(v, 0, MAX_STEPS, int), f"a whole number, 0 to {MAX_STEPS}"),
    "resample_every": (
        lambda v: _is_number(v, 0, MAX_STEPS, int),
        f"a whole number, 0 to {MAX_STEPS}",
    ),
    "reweigh_every": (
        lambda v: _is_number(v, 1, MAX_STEPS, int),
        f"a whole number, 1 to {MAX_STEPS}",
    ),
    "part": (lambda v: _is_number(v, -1, MAX_SIZE, int), f"a whole number, -1 to {MAX_SIZE}"),
    "seconds": (lambda v: _is_number(v, 0, 1e300, int, float), "a finite number, 0 or more"),
    "target_loss": (lambda v: _is_number(v, 0, 1e300, int, float), "a finite number, 0 or more"),
}
"""What the values of a field may be when it comes from a file, and that in words."""


def _check_contents(data: object, kind: str) -> None:
    """Raise where a value in plain data could not have come from a recipe."""
    if not isinstance(data, dict):
        return
    for key, (possible, words) in _CONTENTS.items():
        held = data.get(key, {})
        for value in held.values() if isinstance(held, dict) else [held]:
            if not possible(value):
                raise RecipeError(
                    f"{key} with the value {repr(value)[:80]} was given in a {kind}: allowed are "
                    f"{words}."
                )


def _build(cls: type, data: object, kind: str) -> Any:
    """A dataclass from a JSON object, with names and types of the fields checked."""
    if not isinstance(data, dict):
        raise RecipeError(f"a {kind} must be a JSON object, not {type(data).__name__}.")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key, value in data.items():
        if key not in fields:
            raise RecipeError(
                f"a {kind} with the field {key!r} was given: it has {', '.join(fields)}."
            )
        declared = fields[key].type
        name = declared if isinstance(declared, str) else getattr(declared, "__name__", "")
        allowed = _KINDS.get(name)
        wrong = allowed is not None and (
            not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)
        )
        if wrong or ("Mapping" in str(declared) and not isinstance(value, dict)):
            raise RecipeError(
                f"{key}={value!r} was given in a {kind}: it must be of type {name or declared}."
            )
    try:
        return cls(**data)
    except TypeError as error:
        raise RecipeError(f"a {kind} lacks a field: {error}.") from error
