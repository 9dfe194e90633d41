"""An entry of the zoo: a trained network with its recipe, its figures and its records."""

import dataclasses
import math
import numbers
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from pinnzoo._typing import PointFunction
from pinnzoo.architectures import is_known, snake_case
from pinnzoo.derivatives import Names
from pinnzoo.errors import (
    AbsentRecordsError,
    EntryError,
    PointsError,
    RecipeError,
    require_dict,
    with_article,
)
from pinnzoo.evaluation import derivatives, field_of, residual
from pinnzoo.objective import OBSERVATIONS, check_counts, check_network, check_weights, joined
from pinnzoo.observations import Measured, Observations, check_observations
from pinnzoo.pdes import PROBLEMS, Problem
from pinnzoo.pdes.posed import posed
from pinnzoo.precision import full_precision, require_x64
from pinnzoo.recipes import DEFAULT_POINTS, Phase, Recipe
from pinnzoo.registry import check_not_negative, check_switches
from pinnzoo.storage import store
from pinnzoo.storage.blueprint import (
    Blueprint,
    blueprint,
    check_posed,
    flat_parameters,
    is_of_the_package,
    knows_problem,
    stack_parameters,
)
from pinnzoo.storage.blueprint import build as build
from pinnzoo.storage.folder import CARD, PLOTS, EntryFolder
from pinnzoo.storage.metrics import Metrics, validate, weighting_factors
from pinnzoo.storage.records import HISTORY, Records, check_history, check_records
from pinnzoo.storage.records import Snapshots as Snapshots
from pinnzoo.unknowns import Estimate, values_of, with_unknowns, with_values

if TYPE_CHECKING:
    from pinnzoo.diagnostics import Study
    from pinnzoo.diagnostics.ntk import NTKSnapshots

CHUNK = 16384
"""Points that are predicted at once."""


@dataclass(frozen=True, eq=False, repr=False)
class Entry:
    """A trained network with its recipe, its figures and its records.

    Get one from `pinnzoo.load`, `pinnzoo.train` or `pinnzoo.finetune`, or make one of what your own
    loop trained with `Entry.from_model`.

    Attributes:
        recipe: How it was trained.
        model: The network, a live `nnx.Module`: one point in, its raw output out. `predict` is
            the same with the ansatz of the problem, which matters for hard constraints.
        metrics: The figures of `metrics.json`; `pinnzoo.storage.metrics` defines them.
        records: The heavy parts; `history`, `ntk` and `snapshots` lead there.
        folder: Where it was read from, or None.
        problem: What the network solves; by default what the recipe's name stands for.

    Example:
        >>> entry = pinnzoo.load("heat-mlp-lm")
        >>> entry.metrics["relative_l2_error"] < 1e-6
        True
        >>> entry.predict([[0.0, 0.5]]).round(6).tolist()
        [[1.0]]
    """

    recipe: Recipe
    model: nnx.Module
    metrics: Metrics
    records: Records
    folder: Path | None = None
    problem: Problem = None  # pyright: ignore[reportAssignmentType]
    _blueprint: Blueprint = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        plan = blueprint(self.recipe, self.problem, self.model)
        metrics = validate(self.metrics)
        plan.check_metrics(metrics, self.recipe)
        object.__setattr__(self, "metrics", metrics)
        object.__setattr__(self, "problem", plan.problem)
        object.__setattr__(self, "model", with_unknowns(self.model, plan.problem.unknowns))
        object.__setattr__(self, "_blueprint", plan)

    @classmethod
    def from_training(
        cls,
        *,
        recipe: Recipe,
        model: nnx.Module,
        metrics: Mapping[str, Any],
        history: Mapping[str, Any],
        snapshots: Snapshots,
        ntk: "NTKSnapshots | None" = None,
        problem: Problem | None = None,
        observations: Observations | None = None,
    ) -> "Entry":
        """An entry from the results of a training, with all of them checked.

        Args:
            recipe: What was done.
            model: The network at the end.
            metrics: The figures; see `pinnzoo.storage.metrics.Metrics`.
            history: Columns of one length, `HISTORY` among them.
            snapshots: The parameters; the last ones are those of `model`.
            ntk: The kernels, where they were computed.
            problem: What was solved; by default what the recipe's name stands for.
            observations: What was measured.

        Raises:
            IntegrityError: The parts are not complete or do not belong together.
            RecipeError: The network is not the one that the recipe describes.
        """
        columns = check_history(history)
        records = Records(lambda: columns, lambda: ntk, lambda: snapshots, lambda: observations)
        entry = cls(recipe, model, dict(metrics), records, None, problem)  # pyright: ignore[reportArgumentType]
        check_records(records, entry.problem, entry.metrics, entry.theta)
        return entry

    @classmethod
    def from_model(
        cls,
        problem: Problem,
        model: nnx.Module,
        *,
        architecture: str | None = None,
        architecture_arguments: Mapping[str, Any] | None = None,
        optimizer: str = "custom",
        steps: int = 1,
        snapshots: Mapping[int, Any] | None = None,
        history: Mapping[str, Any] | None = None,
        points: Mapping[str, int] | None = None,
        weights: Mapping[str, float] | None = None,
        seconds: float = 0.0,
        seed: int = 0,
        tag: str = "",
        diagnostics: bool | Sequence[str] = True,
        observations: Measured | None = None,
        unknowns: Mapping[str, float] | None = None,
    ) -> "Entry":
        """An entry of what a training loop of your own has made.

        Args:
            problem: What was solved.
            model: The trained network: one point `(d,)` in, its components `(m,)` out.
            architecture: What the network is called; by default its class in snake case. A name
                that is registered makes the entry load anywhere.
            architecture_arguments: What the architecture was called with.
            optimizer: What trained it, in lower-case letters, digits and '_'.
            steps: How many steps were done.
            snapshots: Networks, or flat parameters `(p,)`, by the step after which they were kept,
                such as `{0: initial_model}`; the trained network is added as the last one.
            history: Columns of one length with what was recorded, such as "step" and "loss".
            points: Numbers of collocation points, for the record.
            weights: Loss weight per term, 1 where none is given.
            seconds: Wall time of the training.
            seed: Seed of the points of the diagnostics, and of the record.
            tag: Distinguishes entries that would have the same name.
            diagnostics: See `pinnzoo.train`.
            observations: What was measured, which the entry then keeps.
            unknowns: Values that were found for the unknowns of the problem, where the network does
                not hold them as that of `pinnzoo.assemble` does.

        Raises:
            RecipeError: The network is not one of the architecture that is named, maps a point to
                something of another shape than the components, or holds no value of an unknown; or
                points, weights or records are not of this training.
            PrecisionError: JAX has float64 switched off, which the diagnostics need.

        Example:
            ```python
            entry = pinnzoo.Entry.from_model(problem, model, optimizer="my_loop", steps=1000)
            entry.save("mine")
            ```
        """
        from pinnzoo.measure import core_metrics, loss_of, wanted_diagnostics

        check_network(problem, model)
        observations = check_observations(observations, problem)
        require_dict(points, "points", {"equation": 1000})
        require_dict(weights, "weights", {"equation": 10.0})
        require_dict(history, "the history", {"step": [0, 10], "loss": [1.0, 0.1]})
        require_dict(snapshots, "snapshots", "{0: initial_model}")
        if points is not None:
            check_counts(problem, points)
        if weights is not None:
            more = () if observations is None else (OBSERVATIONS,)
            check_weights(joined(problem, model), weights, more)
        check_not_negative(seconds=seconds)
        named = wanted_diagnostics(diagnostics)
        # A loop that goes on training the network must not change the entry.
        model = with_values(model, problem.unknowns, unknowns)
        leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
        recipe = Recipe(
            problem.name,
            architecture or snake_case(type(with_unknowns(model, {})).__name__),
            (Phase(optimizer, steps),),
            problem_arguments=dict(problem.arguments),
            architecture_arguments=dict(architecture_arguments or {}),
            points=dict(points or DEFAULT_POINTS),
            weights=dict(weights or {}),
            seed=seed,
            dtype=str(np.result_type(*(leaf.dtype for leaf in leaves))),
            tag=tag,
        )
        kept = {_whole(step): _flat(given, step) for step, given in (snapshots or {}).items()}
        trained = flat_parameters(nnx.state(model))
        late = [step for step in kept if not 0 <= step < steps]
        if late:
            raise RecipeError(
                f"a snapshot after step {late[0]} was given of a network that was trained for "
                f"{steps} steps: say steps=..., which is above the steps of all snapshots, since "
                "the network itself is the last one."
            )
        kept[steps] = trained
        for step, theta in kept.items():
            if theta.shape != trained.shape:
                raise RecipeError(
                    f"the snapshot after step {step} has {theta.size} parameters and the network "
                    f"has {trained.size}: give those of this network."
                )
        columns = _columns(history, steps)
        order = sorted(kept)
        loss = loss_of(problem, model, recipe, observations)
        metrics = core_metrics(
            problem, model, recipe, loss=loss, seconds=seconds, observations=observations
        )
        if not history:
            columns |= {"step": [steps], "loss": [loss], "seconds": [seconds]}
        entry = cls.from_training(
            recipe=recipe,
            model=model,
            metrics=metrics,
            history=columns,
            snapshots=Snapshots(np.asarray(order), np.stack([kept[step] for step in order])),
            problem=problem,
            observations=observations,
        )
        return entry.diagnosed(named) if named else entry

    @classmethod
    def read(
        cls,
        folder: EntryFolder | str | os.PathLike[str],
        *,
        verify: Literal["read", "all"] = "read",
        problem: Problem | None = None,
        model: nnx.Module | None = None,
    ) -> "Entry":
        """The entry in a folder; `pinnzoo.load` takes names too.

        Args:
            folder: The folder.
            verify: "read" checks every file before it is read, and reads history, kernels and
                snapshots when they are first touched; "all" reads and checks everything now.
            problem: The problem, where its name is not known here.
            model: A network of the entry's structure, where its architecture is not known here.

        Raises:
            PinnzooError: See `store.load`.
        """
        from pinnzoo.hub.carried import open_place

        opened = folder if isinstance(folder, EntryFolder) else open_place(folder)
        parts = store.load(opened, verify=verify, problem=problem, model=model)
        network = nnx.merge(parts.blueprint.graph, parts.state)
        return cls(
            parts.recipe,
            network,
            parts.metrics,
            parts.records,
            opened.path,
            parts.blueprint.problem,
        )

    @property
    def name(self) -> str:
        """`<problem>-<architecture>-<optimizer>[-<tag>]`."""
        return self.recipe.name

    @property
    def history(self) -> dict[str, np.ndarray]:
        """One array per recorded quantity, such as "step", "loss", "relative_l2_error", "seconds".

        NaN where a quantity does not apply, such as the damping of Adam.

        Example:
            >>> bool(entry.history["loss"][-1] < entry.history["loss"][0])
            True
        """
        return self.records.history

    @property
    def ntk(self) -> "NTKSnapshots":
        """The neural tangent kernel during training, with its drift and its spectrum.

        Raises:
            EntryError: It was not computed; `pinnzoo.diagnose(entry)` does that.

        Example:
            >>> len(entry.ntk.drift()) == len(entry.ntk.steps)
            True
        """
        kernels = self.records.ntk
        if kernels is None:
            raise EntryError(
                f"{self.name} holds no kernels, since its training left the diagnostics out: "
                "compute them with pinnzoo.diagnose(entry), or `pinnzoo diagnose` in a shell."
            )
        return kernels

    @property
    def snapshots(self) -> Snapshots:
        """The parameters at the steps of `ntk`; `model_at(theta)` makes a network of them."""
        return self.records.snapshots

    @property
    def observations(self) -> Observations | None:
        """What was measured, on which the network was trained, or None."""
        return self.records.observations

    @property
    def unknowns(self) -> dict[str, Estimate]:
        """What the training found for the unknown coefficients of the problem, by name.

        The standard errors say how far the noise of the observations may have moved the values;
        they are NaN where there are none, and of an unknown that nothing determines or that is at
        its bound, which `entry.metrics["unknowns"]["remarks"]` says. Nothing is there where the
        problem has no unknowns.

        Example:
            ```python
            entry.unknowns["viscosity"].value
            ```
        """
        errors = self.metrics.get("unknowns", {}).get("standard_errors", {})
        values = values_of(self.model, self.problem.unknowns)
        return {n: Estimate(float(v), errors.get(n, float("nan"))) for n, v in values.items()}

    @property
    def theta(self) -> Float[np.ndarray, " p"]:
        """The parameters of the network, flat, in the order of `objective.flatten_model`."""
        return flat_parameters(nnx.state(self.model))

    @property
    def field(self) -> PointFunction:
        """The solution that the network has found, as a function of one point `(d,) -> (m,)`.

        The problem's symmetry and ansatz are around the network. It can be given to `jax.jit`,
        `jax.vmap` and `jax.grad`; nothing is checked but that it gets one point. For many points
        there are `jax.vmap(entry.field)` and `predict`.

        Raises:
            PrecisionError: The network is float64 and JAX has that switched off here.

        Example:
            ```python
            u_t, u_x = jax.jacobian(entry.field)(jnp.array([0.5, 0.1]))[0]
            ```
        """
        full_precision(self.recipe.dtype, f"the field of {self.name}")
        return field_of(self.problem, self.model)

    def model_at(self, theta: Float[np.ndarray, " p"]) -> nnx.Module:
        """The network with other parameters, such as a row of `snapshots.thetas`.

        Raises:
            PointsError: The number of parameters is another, or they are not real numbers.
            PrecisionError: The network is float64 and JAX has that switched off here.

        Example:
            >>> untrained = entry.model_at(entry.snapshots.thetas[0])
            >>> untrained(jnp.array([0.5, 0.1])).shape
            (1,)
        """
        full_precision(self.recipe.dtype, f"the network of {self.name}")
        return nnx.merge(self._blueprint.graph, self._state_at(theta))

    def _state_at(self, theta: Float[np.ndarray, " p"]) -> nnx.State:
        vector, expected = np.asarray(theta), (self._blueprint.parameters,)
        if vector.shape != expected:
            raise PointsError(
                f"parameters of shape {vector.shape} were given: {self.name} takes {expected}."
            )
        if vector.dtype.kind not in "fiu":
            raise PointsError(
                f"parameters of type {vector.dtype} were given: {self.name} takes real numbers."
            )
        params, rest = nnx.split_state(nnx.state(self.model), nnx.Param, ...)
        arrays = jax.tree.map(jnp.asarray, stack_parameters(params, vector))
        return nnx.merge_state(arrays, rest)

    def _checked(self, points: object, *, extrapolate: bool = False) -> Float[np.ndarray, "n d"]:
        """Points of the domain, in the precision of the network."""
        if self.recipe.dtype == "float64":
            require_x64(f"{self.name}, a float64 network,")
        check_switches(extrapolate=extrapolate)
        checked = self.problem.check_points(points, inside=not extrapolate)
        if len(checked) == 0:
            raise PointsError("an array of no points was given: give at least one.")
        return checked.astype(self.recipe.dtype)

    def predict(
        self,
        points: object,
        theta: Float[np.ndarray, " p"] | None = None,
        *,
        extrapolate: bool = False,
    ) -> Float[np.ndarray, "n m"]:
        """The solution that the network has found, at many points.

        Args:
            points: `(n, d)`, columns in the order of `problem.coords`, time first; or a table whose
                columns are named by the coordinates, in any order.
            theta: Other parameters, such as a row of `snapshots.thetas`; by default the network's.
            extrapolate: Allow points outside of the domain, where nothing is known of the error.

        Returns:
            One column per component, in float64.

        Raises:
            PointsError: The points have another shape, are not finite, lie outside of the domain,
                or there are none.
            PrecisionError: The network is float64 and JAX has that switched off here.

        Example:
            >>> entry.predict([[0.5, 0.1], [1.0, 0.0]]).shape
            (2, 1)
        """
        cast = self._checked(points, extrapolate=extrapolate)
        state = nnx.state(self.model) if theta is None else self._state_at(theta)
        chunk = min(CHUNK, 1 << (len(cast) - 1).bit_length())
        pieces = []
        for start in range(0, len(cast), chunk):
            piece = cast[start : start + chunk]
            # One shape for all chunks, so that few of them are ever compiled.
            padded = np.concatenate([piece, np.tile(piece[-1:], (chunk - len(piece), 1))])
            values = self._blueprint.values(state, padded)
            pieces.append(np.asarray(values, dtype=np.float64)[: len(piece)])
        return np.concatenate(pieces)

    def derivatives(
        self, points: object, names: Names, *, extrapolate: bool = False
    ) -> Float[np.ndarray, "n k"]:
        """Values and derivatives of the solution, by name.

        Args:
            points: As in `predict`.
            names: Components and derivatives, such as "u u_x u_tt": a component, an underscore,
                and one letter of a coordinate for each derivative.
            extrapolate: As in `predict`.

        Returns:
            One column per name, in float64.

        Raises:
            UnknownNameError: A name is not that of a component and its coordinates.
            PointsError: See `predict`.
            PrecisionError: See `predict`.

        Example:
            >>> entry.derivatives([[0.5, 0.1]], "u_x u_tt").shape
            (1, 2)
        """
        checked = self._checked(points, extrapolate=extrapolate)
        # They are checked, and as float32 they may lie outside by rounding.
        return derivatives(self.problem, self.field, checked, names, extrapolate=True)

    def residual(
        self, points: object, *, extrapolate: bool = False
    ) -> Float[np.ndarray, "n equations"]:
        """How far the solution is from meeting each equation: left minus right side.

        Args:
            points: As in `predict`.
            extrapolate: As in `predict`.

        Returns:
            One column per equation of the problem, in float64.

        Raises:
            PointsError: See `predict`.
            PrecisionError: See `predict`.

        Example:
            >>> bool(abs(entry.residual([[0.5, 0.1], [0.7, 0.2]])).max() < 1e-4)
            True
        """
        values = values_of(self.model, self.problem.unknowns)
        checked = self._checked(points, extrapolate=extrapolate)
        return residual(self.problem, self.field, checked, unknowns=values, extrapolate=True)

    def ntk_at(self, points: object, thetas: Any = None) -> "NTKSnapshots":
        """The neural tangent kernel at points of your own, from the stored parameters.

        Args:
            points: `(n, d)` for the equations, or a dict of such arrays by the names of terms.
            thetas: Parameters `(s, p)`; by default those of all snapshots.

        Returns:
            The kernels of the unweighted residuals of these terms, in float64.

        Raises:
            PointsError: See `predict`; or the parameters have another shape.
            UnknownNameError: There is no such term.
            PrecisionError: JAX has float64 switched off.

        Example:
            ```python
            kernels = entry.ntk_at(np.random.default_rng(0).random((50, 2)))
            kernels.drift()
            ```
        """
        from pinnzoo.diagnostics.at_points import kernels_at

        kept = self.snapshots
        stacked = kept.thetas if thetas is None else np.atleast_2d(np.asarray(thetas, float))
        if stacked.ndim != 2 or stacked.shape[1] != self.theta.size:
            raise PointsError(
                f"parameters of shape {stacked.shape} were given: give rows of {self.theta.size}, "
                "such as entry.snapshots.thetas."
            )
        steps = kept.steps if thetas is None else self._steps_of(stacked)
        return kernels_at(self.problem, self.model, steps, stacked, points)

    def _steps_of(self, thetas: Float[np.ndarray, "s p"]) -> np.ndarray:
        """When each of these parameters was kept; 0, 1, 2, ... where one was not, or before."""
        known: dict[bytes, int] = {}
        for step, theta in zip(self.snapshots.steps, self.snapshots.thetas, strict=True):
            known.setdefault(np.asarray(theta, float).tobytes(), int(step))
        found = [known.get(theta.tobytes()) for theta in thetas]
        # Kernels are those of rising steps; rows may be turned around, or one be given twice.
        rising = None not in found and all(np.diff(found) > 0)  # pyright: ignore
        return np.asarray(found) if rising else np.arange(len(thetas))

    def diagnosed(
        self,
        names: Sequence[str] | None = None,
        tick: Callable[[str], None] = lambda _: None,
        *,
        study: "Study | None" = None,
    ) -> "Entry":
        """The same entry with diagnostics computed from its stored parameters.

        Args:
            names: Names of `pinnzoo.diagnostics.DIAGNOSTICS`; by default all but those that are
                computed on demand.
            tick: Called often, with what is being done.
            study: What `pinnzoo.measure.study_of` made of these parameters already.

        Raises:
            UnknownNameError: There is no such diagnostic.
            PrecisionError: JAX has float64 switched off.
        """
        # SciPy, which they need, takes a while to import, and most entries are only loaded.
        from pinnzoo.diagnostics import compute_blocks
        from pinnzoo.measure import check_diagnostics, study_of

        chosen = check_diagnostics(names)
        if study is None:
            kept = self.snapshots
            study = study_of(
                self.problem,
                self.model,
                self.recipe,
                kept.steps,
                kept.thetas,
                tick,
                self.observations,
                self.history,
                weighting_factors(self.metrics),
            )
        blocks = compute_blocks(study, chosen)
        return self.with_blocks(blocks, study.ntk if "ntk" in chosen else None)

    def with_metrics(self, changes: Mapping[str, Any]) -> "Entry":
        """The same entry with further figures, or with others in the place of its own."""
        return replace(self, metrics={**self.metrics, **changes})  # pyright: ignore[reportArgumentType]

    def with_blocks(
        self, blocks: Mapping[str, Mapping[str, Any]], ntk: "NTKSnapshots | None" = None
    ) -> "Entry":
        """The same entry with blocks of diagnostics, and kernels if they are given."""
        before = self.records
        records = Records(
            lambda: before.history,
            lambda: before.ntk if ntk is None else ntk,
            lambda: before.snapshots,
            lambda: before.observations,
        )
        return replace(self.with_metrics(blocks), records=records)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle recipe and weights; the network is built again where the entry is unpickled.

        A problem that is known by name is looked up there; one that is not travels with the entry,
        if it can be pickled itself: `pickle` cannot take functions inside of others, as equations
        mostly are, so register the problem before the entry is trained or loaded.
        """
        own = not knows_problem(self.recipe, self.problem)
        absent, kernels, snapshots = "", None, None
        try:
            kernels, snapshots = self.records.ntk, self.records.snapshots
        except AbsentRecordsError as error:
            absent = str(error)
        network = None if is_known(self.recipe.architecture) else self.model
        told = {} if own or is_of_the_package(self.recipe, self.problem) else posed(self.problem)
        state = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(self.model)))
        parts = {
            "recipe": self.recipe.to_dict(),
            "state": state,
            "metrics": dict(self.metrics),
            "history": self.history,
            "snapshots": snapshots and (snapshots.steps, snapshots.thetas),
            "absent": absent,
            "ntk": None if kernels is None else kernels.to_arrays(),
            "folder": self.folder,
            "observations": self.observations,
            "problem": self.problem if own else None,
            "posed": told,
            "model": network,
        }
        return _unpickled, (parts,)

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        command: str | None = None,
    ) -> Path:
        """Write the entry's folder; `pinnzoo.load(folder)` reads it.

        The folder appears in one move, once everything in it was read back.

        Args:
            folder: Where. Its parents are made.
            overwrite: Replace the entry that is there.
            command: How to make this entry, for the record; by default what the folder says that
                it was read from, or `pinnzoo train <name>`.

        Returns:
            The folder.

        Raises:
            EntryError: There is such a folder already, it cannot be written, or it is that of the
                entry that this one was tuned from.
            RecipeError: `overwrite` is neither True nor False.
            IntegrityError: The entry is not in a state to be published, such as NaN weights.

        Example:
            ```python
            tuned.save("heat-tuned")
            pinnzoo.load("./heat-tuned")
            ```
        """
        from pinnzoo.storage import store

        parts = store.Parts(
            self.recipe, nnx.state(self.model), self.metrics, self.records, self._blueprint
        )
        if self._is_base(folder):
            raise EntryError(
                f"the folder {str(folder)!r} is that of the entry that {self.name} was tuned from, "
                "and which its recipe names as its base: give another."
            )
        made = command or self._made_by()
        return store.save(parts, folder, overwrite=overwrite, command=made)

    def _is_base(self, folder: object) -> bool:
        """Whether the entry was tuned from the one in a folder; a bare word is a name."""
        stated = self.recipe.base or ""
        is_folder = stated.startswith(".") or len(Path(stated).parts) > 1
        # What is no folder at all is told where it is written.
        given = isinstance(folder, str | os.PathLike)
        return is_folder and given and Path(stated).resolve() == Path(folder).resolve()

    def _made_by(self) -> str | None:
        """The command on record in the folder that the entry was read from, or None."""
        if self.folder is None:
            return None
        try:
            # Its other files may be elsewhere.
            manifest = EntryFolder.open(self.folder, fetch=lambda _: None).manifest
        except EntryError:
            return None
        return manifest["command"] if manifest["entry"] == self.name else None

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool = False,
        token: str | bool | None = None,
        tag: str | None = None,
        command: str | None = None,
    ) -> str:
        """Publish the entry on the Hugging Face Hub, with its card and plots, in one commit.

        Anyone loads it with `pinnzoo.load("hf-hub:organization/name")`.

        Args:
            repository: `organization/name`; it is made if it does not exist.
            private: Make a new repository private.
            token: Access token that may write; by default the one that `hf auth login` stored.
            tag: A tag for the commit.
            command: How to make this entry, for the record.

        Returns:
            The commit, 40 hexadecimal digits: `"hf-hub:organization/name@" + commit` never changes.

        Raises:
            IntegrityError: The entry is not in a state to be published, such as NaN weights.
            DownloadError: `repository` is not of the form organization/name, has a name that the
                Hub does not allow, or the Hub refuses or cannot be reached.

        Example:
            ```python
            tuned.push_to_hub("my-name/heat-tuned", tag="v1")
            pinnzoo.load("hf-hub:my-name/heat-tuned@v1")
            ```
        """
        check_switches(private=private)
        # The Hub's client, the templates and matplotlib take a while to import.
        from pinnzoo.cards import entry_card, summarize
        from pinnzoo.diagnostics import DIAGNOSTICS
        from pinnzoo.hub import publishing
        from pinnzoo.hub import remote as hub
        from pinnzoo.plots import save_plots

        address = f"hf-hub:{repository}"
        publishing.check_repository(repository)
        publishing.check_tag(tag)
        with tempfile.TemporaryDirectory() as scratch:
            path = self.save(Path(scratch, self.name), command=command)
            folder = EntryFolder.open(path)
            # The card shows the pictures that are there.
            # Drawn from what was written, so that who loads and pushes it again sends nothing.
            save_plots(Entry.read(folder, problem=self.problem, model=self.model), path / PLOTS)
            card = entry_card(
                summarize(folder),
                self.problem,
                address,
                diagnostics=DIAGNOSTICS,
                factories=PROBLEMS,
            )
            (path / CARD).write_text(card, encoding="utf-8")
            api = hub.client(token)
            return publishing.push(folder, repository, api=api, tag=tag, private=private)

    def __repr__(self) -> str:
        error = self.metrics.get("relative_l2_error")
        told = "no reference" if error is None else f"relative L2 error {error:.2e}"
        return (
            f"Entry({self.name}: {self.metrics['parameters']:,} parameters in "
            f"{self.recipe.dtype}, {told})"
        )


def _flat(given: Any, step: int) -> Float[np.ndarray, " p"]:
    """Flat parameters of a network, or as they are given.

    Raises:
        RecipeError: They are neither.
    """
    try:
        state = nnx.state(given) if isinstance(given, nnx.Module) else given
        return flat_parameters(state) if isinstance(state, nnx.State) else _real(state)
    except (TypeError, ValueError):
        raise RecipeError(
            f"{with_article(type(given).__name__)} was given as the snapshot after step {step}: "
            "give a network or its flat parameters."
        ) from None


def _real(given: Any) -> np.ndarray:
    """Numbers in float64; a TypeError for complex ones, whose imaginary part NumPy would drop."""
    array = np.asarray(given)
    if array.dtype.kind == "c":
        raise TypeError
    return array.astype(np.float64)


def _whole(step: Any) -> int:
    """The step of a snapshot, which 10.0 may be too, and 0.5 not.

    Raises:
        RecipeError: It is no whole number.
    """
    number: Any = math.nan if isinstance(step, bool | str) else step
    if not (isinstance(number, numbers.Real) and float(number).is_integer()):
        raise RecipeError(
            f"a snapshot after step {step!r} was given: give the number of steps that were done "
            "before, such as {0: initial_model}."
        )
    return int(float(step))


def _columns(history: Mapping[str, Any] | None, steps: int) -> dict[str, Any]:
    """All columns of a history, NaN where one is not given.

    Raises:
        IntegrityError: A column is not one real number per record.
        RecipeError: It goes on after the last step.
    """
    if not history:
        return {name: [np.nan] for name in HISTORY}
    first = next(iter(history.values()))
    length = len(first) if hasattr(first, "__len__") else 1
    columns = check_history({name: np.full(length, np.nan) for name in HISTORY} | dict(history))
    last = columns["step"][-1]
    if last > steps:
        raise RecipeError(
            f"a history up to step {last:g} was given of a network that was trained for {steps} "
            "steps: say steps=..., which is at least the last step of the history."
        )
    return columns


def _unpickled(parts: Mapping[str, Any]) -> Entry:
    """The inverse of `Entry.__reduce__`."""
    from pinnzoo.diagnostics.ntk import NTKSnapshots

    recipe = Recipe.from_dict(parts["recipe"])
    plan = blueprint(recipe, parts["problem"], parts["model"])
    check_posed(plan.problem, parts["posed"], "what was pickled")
    state = jax.tree.map(lambda leaf: leaf, plan.state)
    nnx.replace_by_pure_dict(state, jax.tree.map(jnp.asarray, parts["state"]))

    def kept(name: str, make: Callable[[Any], Any]) -> Any:
        if parts["absent"]:
            raise AbsentRecordsError(parts["absent"])
        return None if parts[name] is None else make(parts[name])

    records = Records(
        lambda: parts["history"],
        lambda: kept("ntk", NTKSnapshots.from_arrays),
        lambda: kept("snapshots", lambda arrays: Snapshots(*arrays)),
        lambda: parts["observations"],
    )
    network = nnx.merge(plan.graph, state)
    return Entry(recipe, network, parts["metrics"], records, parts["folder"], plan.problem)
