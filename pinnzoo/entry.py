"""An entry of the zoo: a trained network with its recipe, its figures and its records."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float
from numpy.typing import ArrayLike

from pinnzoo.errors import PointsError
from pinnzoo.pdes import Problem
from pinnzoo.recipes import Recipe
from pinnzoo.storage.blueprint import Blueprint, blueprint, flat_parameters, stack_parameters
from pinnzoo.storage.blueprint import build as build
from pinnzoo.storage.folder import EntryFolder
from pinnzoo.storage.metrics import Metrics, validate
from pinnzoo.storage.records import Records, check_history, check_records
from pinnzoo.storage.records import Snapshots as Snapshots

if TYPE_CHECKING:
    from pinnzoo.diagnostics.ntk import NTKSnapshots

CHUNK = 16384
"""Points that are predicted at once."""


@dataclass(frozen=True, eq=False, repr=False)
class Entry:
    """A trained network with its recipe, its figures and its records.

    Get one from `pinnzoo.load`, `pinnzoo.train` or `pinnzoo.finetune`.

    Attributes:
        recipe: How it was trained.
        model: The network, a live `nnx.Module`: one point in, its raw output out. `predict` is
            the same with the ansatz of the problem, which matters for hard constraints.
        metrics: The figures of `metrics.json`; `pinnzoo.storage.metrics` defines them.
        records: The heavy parts; `history`, `ntk` and `snapshots` lead there.
        folder: Where it was read from, or None.
    """

    recipe: Recipe
    model: nnx.Module
    metrics: Metrics
    records: Records
    folder: Path | None = None
    _blueprint: Blueprint = field(init=False)

    def __post_init__(self) -> None:
        plan = blueprint(self.recipe)
        plan.check(self.model)
        metrics = validate(self.metrics)
        plan.check_metrics(metrics, self.recipe)
        object.__setattr__(self, "metrics", metrics)
        object.__setattr__(self, "_blueprint", plan)

    @classmethod
    def from_training(
        cls,
        *,
        recipe: Recipe,
        model: nnx.Module,
        metrics: Mapping[str, Any],
        history: Mapping[str, Any],
        ntk: "NTKSnapshots",
        snapshots: Snapshots,
    ) -> "Entry":
        """An entry from the results of a training, with all of them checked.

        Args:
            recipe: What was done.
            model: The network at the end.
            metrics: The figures; see `pinnzoo.storage.metrics.Metrics`.
            history: Columns of one length, `HISTORY` among them.
            ntk: The kernels.
            snapshots: The parameters; the last ones are those of `model`.

        Raises:
            IntegrityError: The parts are not complete or do not belong together.
            RecipeError: The network is not the one that the recipe describes.
        """
        columns = check_history(history)
        records = Records(lambda: columns, lambda: ntk, lambda: snapshots)
        entry = cls(recipe, model, dict(metrics), records)  # pyright: ignore[reportArgumentType]
        check_records(records, entry.problem, entry.metrics, entry.theta)
        return entry

    @classmethod
    def read(
        cls,
        folder: EntryFolder | str | os.PathLike[str],
        *,
        verify: Literal["read", "all"] = "read",
    ) -> "Entry":
        """The entry in a folder; `pinnzoo.load` takes names too.

        Args:
            folder: The folder.
            verify: "read" checks every file before it is read, and reads history, kernels and
                snapshots when they are first touched; "all" reads and checks everything now.

        Raises:
            PinnzooError: See `store.load`.
        """
        from pinnzoo.storage import store

        opened = folder if isinstance(folder, EntryFolder) else EntryFolder.open(folder)
        parts = store.load(opened, verify=verify)
        model = nnx.merge(blueprint(parts.recipe).graph, parts.state)
        return cls(parts.recipe, model, parts.metrics, parts.records, opened.path)

    @property
    def name(self) -> str:
        """`<problem>-<architecture>-<optimizer>[-<tag>]`."""
        return self.recipe.name

    @property
    def problem(self) -> Problem:
        """What the network solves, with its reference solution."""
        return self._blueprint.problem

    @property
    def history(self) -> dict[str, np.ndarray]:
        """One array per recorded quantity: step, loss, relative_l2_error, damping, seconds ...

        NaN where a quantity does not apply, such as the damping of Adam.
        """
        return self.records.history

    @property
    def ntk(self) -> "NTKSnapshots":
        """The neural tangent kernel during training, with its drift and its spectrum."""
        return self.records.ntk

    @property
    def snapshots(self) -> Snapshots:
        """The parameters at the steps of `ntk`; `model_at(theta)` makes a network of them."""
        return self.records.snapshots

    @property
    def theta(self) -> Float[np.ndarray, " p"]:
        """The parameters of the network, flat, in the order of `objective.flatten_model`."""
        return flat_parameters(nnx.state(self.model))

    def model_at(self, theta: Float[np.ndarray, " p"]) -> nnx.Module:
        """The network with other parameters, such as a row of `snapshots.thetas`.

        Raises:
            PointsError: The number of parameters is another.
        """
        return nnx.merge(self._blueprint.graph, self._state_at(theta))

    def _state_at(self, theta: Float[np.ndarray, " p"]) -> nnx.State:
        vector, expected = np.asarray(theta), (self._blueprint.parameters,)
        if vector.shape != expected:
            raise PointsError(
                f"parameters of shape {vector.shape} were given: {self.name} takes {expected}."
            )
        params, rest = nnx.split_state(nnx.state(self.model), nnx.Param, ...)
        arrays = jax.tree.map(jnp.asarray, stack_parameters(params, vector))
        return nnx.merge_state(arrays, rest)

    def predict(
        self,
        points: ArrayLike,
        theta: Float[np.ndarray, " p"] | None = None,
    ) -> Float[np.ndarray, "n m"]:
        """The solution that the network has found, at many points.

        Args:
            points: `(n, d)`, columns in the order of `problem.coords`, time first. Points outside
                of the domain are extrapolated.
            theta: Other parameters, such as a row of `snapshots.thetas`; by default the network's.

        Returns:
            One column per component, in float64.

        Raises:
            PointsError: The points have another shape, are not finite, or there are none.
        """
        checked = self.problem.check_points(points)
        if len(checked) == 0:
            raise PointsError("an array of no points was given: give at least one.")
        state = nnx.state(self.model) if theta is None else self._state_at(theta)
        cast = checked.astype(self.recipe.dtype)
        chunk = min(CHUNK, 1 << (len(cast) - 1).bit_length())
        pieces = []
        for start in range(0, len(cast), chunk):
            piece = cast[start : start + chunk]
            # One shape for all chunks, so that few of them are ever compiled.
            padded = np.concatenate([piece, np.tile(piece[-1:], (chunk - len(piece), 1))])
            values = self._blueprint.values(state, padded)
            pieces.append(np.asarray(values, dtype=np.float64)[: len(piece)])
        return np.concatenate(pieces)

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
            command: How to make this entry, for the record; by default `pinnzoo train <name>`.

        Returns:
            The folder.

        Raises:
            EntryError: There is such a folder already, or it cannot be written.
            IntegrityError: The entry is not in a state to be published, such as NaN weights.
        """
        from pinnzoo.storage import store

        parts = store.Parts(self.recipe, nnx.state(self.model), self.metrics, self.records)
        return store.save(parts, folder, overwrite=overwrite, command=command)

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
            repository: `organization/name`; made if it is not there.
            private: Make a new repository private.
            token: Access token that may write; by default the one that `hf auth login` stored.
            tag: A tag for the commit.
            command: How to make this entry, for the record.

        Returns:
            The commit, 40 hexadecimal digits: `"hf-hub:organization/name@" + commit` never changes.

        Raises:
            IntegrityError: The entry is not in a state to be published, such as NaN weights.
            DownloadError: The name is none, or the Hub refuses or cannot be reached.
        """
        from pinnzoo.cards.cards import entry_card, summarize
        from pinnzoo.hub import publishing
        from pinnzoo.hub import remote as hub
        from pinnzoo.plots.figures import save_plots
        from pinnzoo.storage.folder import CARD, PLOTS

        address = f"hf-hub:{repository}"
        hub.parse_address(address)
        with tempfile.TemporaryDirectory() as scratch:
            path = self.save(Path(scratch, self.name), command=command)
            folder = EntryFolder.open(path)
            card = entry_card(summarize(folder), self.problem, address)
            (path / CARD).write_text(card, encoding="utf-8")
            save_plots(self, path / PLOTS)
            api = hub.client(token)
            return publishing.push(folder, repository, api=api, tag=tag, private=private)

    def __repr__(self) -> str:
        return (
            f"Entry({self.name}: {self.metrics['parameters']:,} parameters in "
            f"{self.recipe.dtype}, relative L2 error {self.metrics['relative_l2_error']:.2e})"
        )
