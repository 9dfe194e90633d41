"""A recipe is all that is needed to train an entry again, as plain data. Imports no JAX.

What a field may hold is stated once, in the annotations of `Phase` and `Recipe`, and is checked by
msgspec whenever one is made: from Python, by `dataclasses.replace`, or from a file.
"""

import dataclasses
import fnmatch
import functools
import hashlib
import json
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinnzoo import _json
from pinnzoo.errors import FormatVersionError, RecipeError

RECIPE_FORMAT = 2
"""Raise it whenever a field is added or changes its meaning: an older version of pinnzoo then says
that the file is newer, instead of calling a field unknown."""

OPTIMIZER_ALIASES = {"lm": "levenberg_marquardt"}
"""Short forms that are accepted wherever an optimizer or an entry is named."""

MAX_SIZE = 4096
"""Largest whole number that may describe a network: a width, a depth, a number of features."""

MAX_POINTS = 10_000_000
MAX_STEPS = 1_000_000_000
MAX_WHOLE = 2**53
MAX_SEED = 2**31 - 1
MAX_PHASES = 100
MAX_NAME = 120
MAX_TEXT = 4096
LARGEST = 1e300

DEFAULT_POINTS = {"equation": 2000, "conditions": 200}
"""Collocation points where nothing else is asked for: those of every equation, and of each
condition."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*(?:-[a-z0-9][a-z0-9_.]*){2,3}")


FORMS = ("constraints", "pressure_at")
"""Arguments of problems that say how it is posed to a network: conditions, and the constant that
the pressure is free up to. Results for one problem in several forms compare with one another."""


def physical_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a problem without those that say in which form it is posed.

    Example:
        >>> physical_arguments({"viscosity": 0.01, "constraints": "odd"})
        {'viscosity': 0.01}
    """
    return {name: value for name, value in arguments.items() if name not in FORMS}


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


# What fields may hold. The description completes the sentence "it must be ...".

Name = Annotated[
    str,
    Meta(min_length=1, max_length=MAX_NAME, description=f"a name of 1 to {MAX_NAME} characters"),
]
Word = Annotated[
    str, Meta(max_length=MAX_NAME, description=f"text of at most {MAX_NAME} characters")
]
Precision = Annotated[str, Meta(pattern="^float(64|32)$", description="'float64' or 'float32'")]
Flag = Annotated[bool, Meta(description="True or False")]
Steps = Annotated[
    int, Meta(ge=0, le=MAX_STEPS, description=f"a whole number from 0 to {MAX_STEPS}")
]
Interval = Annotated[
    int, Meta(ge=1, le=MAX_STEPS, description=f"a whole number from 1 to {MAX_STEPS}")
]
Seed = Annotated[int, Meta(ge=0, le=MAX_SEED, description=f"a whole number from 0 to {MAX_SEED}")]
Count = Annotated[
    int, Meta(ge=1, le=MAX_POINTS, description=f"a whole number from 1 to {MAX_POINTS}")
]
_ABOVE_ZERO = Annotated[float, Meta(gt=0, le=LARGEST)]
Weight = Annotated[_ABOVE_ZERO, Meta(description="a finite number above zero")]
Limit = Annotated[_ABOVE_ZERO | None, Meta(description="a finite number above zero, or None")]
Part = Annotated[
    Annotated[int, Meta(ge=0, le=MAX_SIZE)] | None,
    Meta(description=f"a whole number from 0 to {MAX_SIZE}, or None"),
]
Patterns = Annotated[
    tuple[Name, ...], Meta(max_length=100, description="a list of 100 names or patterns at most")
]
OptionalName = Annotated[
    Name | None, Meta(description=f"a name of 1 to {MAX_NAME} characters, or None")
]
Source = Annotated[
    Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)] | None,
    Meta(description="the name, the hf-hub: address or the folder of an entry, or None"),
]
_FLOAT = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
_INT = Annotated[int, Meta(ge=-MAX_WHOLE, le=MAX_WHOLE)]
_SIZE = Annotated[int, Meta(ge=-MAX_SIZE, le=MAX_SIZE)]
_NUMBER = f"a finite number (a whole one up to {MAX_WHOLE})"
Physical = Annotated[_INT | _FLOAT | Word, Meta(description=f"{_NUMBER} or a word")]
Argument = Annotated[
    _INT | _FLOAT | Word | bool, Meta(description=f"{_NUMBER}, a word, True or False")
]
_NETWORK = _SIZE | _FLOAT | Word | bool
NetworkArgument = Annotated[
    _NETWORK | Annotated[list[_NETWORK], Meta(max_length=MAX_SIZE)],
    Meta(
        description=f"a finite number (a whole one up to {MAX_SIZE}), a word, True, False or a "
        "list of those"
    ),
]


def freezes(pattern: str, name: str) -> bool:
    """Whether one of `Phase.freeze` means a parameter: a pattern, or a name with all below it."""
    return fnmatch.fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one optimizer.

    NumPy numbers, whole numbers written as floats and aliases of optimizers are accepted and kept
    as plain Python numbers and full names.

    Attributes:
        optimizer: Name of the optimizer, or an alias such as "lm".
        steps: Number of steps.
        arguments: Arguments of the optimizer.
        points: Number of points per term in this phase, where it differs from the recipe's.
        weights: Loss weight per term in this phase, where it differs from the recipe's.
        resample_every: Draw new points after this many steps; 0 keeps the first ones.
        adaptive: Draw the points of the equations by residual (RAD) instead of evenly, from
            candidates that also lie close to points and edges on which a condition holds.
        seconds: Stop the phase after this many seconds of wall time; None is no limit. A phase
            with a limit depends on the machine, so published recipes state steps alone.
        target_loss: Stop the phase once the training loss is below this, on the points and with
            the weights of that moment; None is no target. An entry states the steps that it took.
        part: Train one part of a composed network alone, such as a window of `tangent_mlp`, on
            the times that it covers; None trains all parameters.
        warm_start: Begin with the network of the window before, as it goes on in time, in the
            place of the one that was drawn for this part (Penwarden et al. 2023, arXiv 2302.14227,
            call it transfer learning between windows).
        problem_arguments: Physical arguments in this phase, where they differ from the recipe's:
            a curriculum from an easier problem to the one that is meant (Krishnapriyan et al.
            2021, arXiv 2109.01050, section 4).
        weighting: A name of `pinnzoo.weighting.WEIGHTINGS`: factors on the loss weights that
            follow the training. None leaves the weights as they are.
        weighting_arguments: Arguments of the weighting.
        reweigh_every: Update the weighting after this many steps, and where points are drawn.
        freeze: Parameters that keep their values, by names such as "hidden.0" or patterns such as
            "*.bias".

    Raises:
        RecipeError: A field holds what it cannot hold.

    Example:
        >>> Phase("lm", 100, {"damping": 1e-8}, seconds=60).optimizer
        'levenberg_marquardt'
    """

    optimizer: Name
    steps: Steps
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    points: Mapping[str, Count] = field(default_factory=dict)
    weights: Mapping[str, Weight] = field(default_factory=dict)
    resample_every: Steps = 0
    adaptive: Flag = False
    seconds: Limit = None
    target_loss: Limit = None
    part: Part = None
    warm_start: Flag = False
    problem_arguments: Mapping[str, Physical] = field(default_factory=dict)
    weighting: OptionalName = None
    weighting_arguments: Mapping[str, Argument] = field(default_factory=dict)
    reweigh_every: Interval = 100
    freeze: Patterns = ()

    def __post_init__(self) -> None:
        _check_fields(self, "phase")
        object.__setattr__(self, "optimizer", resolve_optimizer(self.optimizer))


@dataclass(frozen=True)
class Recipe:
    """Problem, network, points and phases of one training.

    NumPy numbers and whole numbers written as floats are accepted and kept as plain Python
    numbers. `dataclasses.replace` gives a recipe with other values, checked in the same way.

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
        base: The entry that this one was fine-tuned from, as `pinnzoo.load` takes it: a name, an
            address "hf-hub:organization/name@revision", or a folder. None for an entry that was
            trained from random parameters.

    Raises:
        RecipeError: A field holds what it cannot hold.

    Example:
        >>> recipe = Recipe("heat", "mlp", (Phase("adam", 1000), Phase("lm", 100)), seed=1)
        >>> recipe.name
        'heat-mlp-levenberg_marquardt'
        >>> Recipe.from_json(recipe.to_json()) == recipe
        True
    """

    problem: Name
    architecture: Name
    phases: tuple[Phase, ...]
    problem_arguments: Mapping[str, Physical] = field(default_factory=dict)
    architecture_arguments: Mapping[str, NetworkArgument] = field(default_factory=dict)
    points: Mapping[str, Count] = field(default_factory=DEFAULT_POINTS.copy)
    sampler: Name = "sobol"
    weights: Mapping[str, Weight] = field(default_factory=dict)
    seed: Seed = 0
    dtype: Precision = "float64"
    tag: Word = ""
    base: Source = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "phases", _check_phases(self.phases))
        _check_fields(self, "recipe")
        if "equation" not in self.points:
            raise RecipeError(
                f"a recipe with points={_show(self.points)} was given: say how many points "
                "'equation' has."
            )
        if not is_entry_name(self.name):
            raise RecipeError(
                f"the name {self.name!r} follows from this recipe: problem, architecture, "
                "optimizer and tag may hold lower-case letters, digits, '_' and (tag) '.' only, "
                f"{MAX_NAME} characters in all."
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
        """SHA-256 of the canonical JSON, which has format 2 also where the recipe was read in 1."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        data = dataclasses.asdict(self)
        data["phases"] = list(data["phases"])
        return {"format": RECIPE_FORMAT} | data

    def to_json(self) -> str:
        """Indented JSON.

        Example:
            >>> recipe = Recipe("heat", "mlp", (Phase("lm", 60),))
            >>> Recipe.from_json(recipe.to_json()) == recipe
            True
        """
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, data: object) -> "Recipe":
        """A recipe from plain data of format 1 or 2; the inverse of `to_dict`.

        Raises:
            FormatVersionError: Written in another format.
            RecipeError: A field is missing, unknown or of the wrong type.
        """
        if not isinstance(data, Mapping):
            raise RecipeError(f"a recipe must be a JSON object, not {type(data).__name__}.")
        rest = dict(data)
        # Before all fields: those that a newer version has added must not be called unknown.
        version = _check_version(rest.pop("format", None))
        phases = rest.pop("phases", None)
        if not isinstance(phases, (list, tuple)):
            raise RecipeError("a recipe without a list of phases was given: give at least one.")
        if version == 1:
            rest = _without_sentinels(rest)
            phases = [_without_sentinels(phase) for phase in phases]
        built = [_build(Phase, phase, "phase") for phase in phases[: MAX_PHASES + 1]]
        return _build(cls, rest | {"phases": built}, "recipe")

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


_ORIGIN = re.compile(r"from_[a-z0-9_]*?(?P<count>[0-9]*)")


def derived_tag(recipe: Recipe, optimizer: str = "") -> str:
    """A tag for an entry that is fine-tuned from the entry of `recipe`.

    It names the last optimizer of that entry, and from the second fine-tuning in a row on counts
    them, so that every name in a row is a new one and none grows with the row.

    Args:
        recipe: The recipe of the entry that is fine-tuned.
        optimizer: The optimizer that does it, which is part of the new name.

    Returns:
        "from_adam" for an entry of Adam; for one with that tag "from_levenberg_marquardt2", and so
        on. What else the tag said stays in front ("wide.from_adam"), cut where the name would be
        longer than `MAX_NAME`.

    Example:
        >>> first = Recipe("heat", "mlp", (Phase("adam", 10),), tag="wide")
        >>> derived_tag(first)
        'wide.from_adam'
        >>> second = Recipe("heat", "mlp", (Phase("lm", 5),), tag="wide.from_adam", base=first.name)
        >>> derived_tag(second)
        'wide.from_levenberg_marquardt2'
    """
    pieces, count = recipe.tag.split("."), 1
    while recipe.base is not None and pieces and (found := _ORIGIN.fullmatch(pieces[-1])):
        count += int(found["count"][-6:] or 1)
        pieces.pop()
    origin = f"from_{recipe.phases[-1].optimizer}" + (str(count) if count > 1 else "")
    stem = ".".join(pieces)
    taken = len(f"{recipe.problem}-{recipe.architecture}-{resolve_optimizer(optimizer)}-.{origin}")
    room = max(MAX_NAME - taken, 0)
    if len(stem) > room:
        # Part of a hash is added, since two tags may differ only in what is cut.
        mark = hashlib.sha256(stem.encode()).hexdigest()[:8]
        stem = f"{stem[: room - 9]}_{mark}" if room > 9 else ""
    return f"{stem}.{origin}" if stem else origin


def _check_version(version: object) -> int:
    if type(version) is not int or version < 1:
        raise FormatVersionError(
            f"a recipe of format {_show(version)} was given: this version of pinnzoo reads format "
            f"1 to format {RECIPE_FORMAT}, so give one of those."
        )
    if version > RECIPE_FORMAT:
        raise FormatVersionError(
            f"a recipe of format {_show(version)} was given, which is newer than this version of "
            f"pinnzoo: it reads format 1 to format {RECIPE_FORMAT}, so install a newer one."
        )
    return version


_SENTINELS = {"part": -1, "seconds": 0, "target_loss": 0, "weighting": "", "base": ""}
"""What format 1 wrote where format 2 has None."""


def _without_sentinels(data: Any) -> Any:
    """Fields of format 1 in format 2."""
    if not isinstance(data, Mapping):
        return data
    return {
        key: None
        if key in _SENTINELS and not isinstance(value, bool) and value == _SENTINELS[key]
        else value
        for key, value in data.items()
    }


def _build(cls: type, data: object, kind: str) -> Any:
    """A phase or a recipe from a JSON object."""
    if not isinstance(data, Mapping):
        raise RecipeError(f"a {kind} must be a JSON object, not {type(data).__name__}.")
    fields = dataclasses.fields(cls)
    names = [f.name for f in fields]
    for key in data:
        if key not in names:
            raise RecipeError(
                f"a {kind} with the field {_show(key)} was given: it has {', '.join(names)}."
            )
    nothing = dataclasses.MISSING
    for f in fields:
        if f.name not in data and f.default is nothing and f.default_factory is nothing:
            raise RecipeError(f"a {kind} without the field {f.name!r} was given: state it.")
    return cls(**data)


def _check_phases(phases: object) -> tuple[Phase, ...]:
    given = tuple(phases) if isinstance(phases, (list, tuple)) else None
    if given is None or not all(isinstance(phase, Phase) for phase in given):
        raise RecipeError(
            f"a recipe with phases={_show(phases)} was given: give a list of Phase objects."
        )
    if not 1 <= len(given) <= MAX_PHASES:
        raise RecipeError(
            f"a recipe of {len(given)} phases was given: give 1 to {MAX_PHASES} of them."
        )
    return given


@functools.cache
def _declared(cls: type) -> dict[str, Any]:
    """What the fields of a class may hold."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls) if f.name != "phases"}


@functools.cache
def _form(cls: type) -> type[msgspec.Struct]:
    """A struct of the fields of a class, by which msgspec checks all of them at once."""
    return msgspec.defstruct(cls.__name__, list(_declared(cls).items()))


def _check_fields(record: Any, kind: str) -> None:
    """Replace every field by what it is in plain Python.

    Raises:
        RecipeError: A field holds what it cannot hold.
    """
    try:
        given = _json.plain({name: getattr(record, name) for name in _declared(type(record))})
        found = msgspec.convert(given, _form(type(record)))
        keys = [key for value in given.values() if isinstance(value, dict) for key in value]
        fits = all(len(key) <= MAX_NAME for key in keys)
    except ValueError:
        fits = False
    if fits:
        for name in given:
            object.__setattr__(record, name, getattr(found, name))
        return
    # One by one takes four times as long, and finds what is wrong, or a whole number in a float.
    for name, declared in _declared(type(record)).items():
        value = getattr(record, name)
        if typing.get_origin(declared) is Mapping:
            value = _check_mapping(value, typing.get_args(declared)[1], kind, name)
        else:
            value = _check_value(value, declared, kind, name)
        object.__setattr__(record, name, value)


def _check_mapping(given: object, declared: Any, kind: str, name: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise RecipeError(
            f"a {kind} with {name}={_show(given)} was given: it must be a dict of values by name."
        )
    for key in given:
        if not isinstance(key, str) or len(key) > MAX_NAME:
            raise RecipeError(
                f"a {kind} with the key {_show(key)} in {name} was given: a key is a name of at "
                f"most {MAX_NAME} characters."
            )
    return {
        str(key): _check_value(value, declared, kind, f"{name}[{str(key)!r}]")
        for key, value in given.items()
    }


def _check_value(given: object, declared: Any, kind: str, place: str) -> Any:
    """The value in plain Python, where its kind allows that."""
    try:
        value = _json.plain(given, place)
        try:
            return msgspec.convert(value, declared)
        except msgspec.ValidationError:
            # A field for whole numbers takes 2.0 too; a field for floats has not failed with it.
            return msgspec.convert(_whole(value), declared)
    except ValueError as error:
        raise RecipeError(
            f"a {kind} with {place}={_show(given)} was given: it must be "
            f"{declared.__metadata__[-1].description}."
        ) from error


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _show(value: object) -> str:
    """The value for a message, not longer than is of use there."""
    try:
        text = repr(value)
    except ValueError:
        # Python prints no number of more than 4,300 digits.
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."
