"""From what was tried to an entry."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from flax import nnx

from pinnzoo.entry import Entry, Snapshots
from pinnzoo.measure import core_metrics
from pinnzoo.objective import flatten_model
from pinnzoo.solving.fitting import Fit
from pinnzoo.solving.rounds import Plan, Round
from pinnzoo.storage.blueprint import build, stack_parameters

BLOCK_VERSION = 1


def result(
    plan: Plan, chosen: Sequence[Sequence[Round]], tried: Sequence[Round], *, seconds: float
) -> Entry:
    """The entry of a solution, without diagnostics.

    Args:
        plan: What was read off the problem.
        chosen: For each window of time, the rounds that led to its network, the last one with it.
        tried: All rounds in the order in which they were done.
        seconds: Time of the training.
    """
    last = [rounds[-1] for rounds in chosen]
    fits = [(f, 2 * k + i) for k, rounds in enumerate(chosen) for r in rounds for i, f in _parts(r)]
    recipe = replace(
        plan.recipe,
        phases=tuple(
            phase if plan.observations is not None else replace(phase, part=part)
            for f, part in fits
            for phase in f.phases
        ),
        architecture_arguments=_network(plan, last),
    )
    problem, model = build(recipe, plan.problem)
    measured = plan.observations is not None
    parts: Any = getattr(model, "parts", ())
    snapshots = [(0, np.asarray(flatten_model(model)[0]))]
    done = 0
    for k, rounds in enumerate(chosen):
        done += sum(_steps(r) for r in rounds)
        if measured:
            _set(model, np.asarray(rounds[-1].base.theta))
        else:
            network, tangent = np.split(rounds[-1].parameters, 2)
            _set(parts[2 * k], network)
            _set(parts[2 * k + 1], tangent)
        snapshots.append((done, np.asarray(flatten_model(model)[0])))
    final = last[-1].base.objective
    metrics = core_metrics(
        problem,
        model,
        recipe,
        loss=sum(r.loss for r in last) / len(last),
        seconds=seconds,
        observations=plan.observations,
        points={term.name: np.asarray(term.points) for term in final.terms} if measured else None,
    )
    metrics |= {"estimated_error": joined_estimate(last), "solve": _block(last, tried)}
    steps, thetas = zip(*snapshots, strict=True)
    return Entry.from_training(
        recipe=recipe,
        model=model,
        metrics=metrics,
        history={name: np.asarray(v) for name, v in _history([f for f, _ in fits]).items()},
        snapshots=Snapshots(np.asarray(steps), np.stack(thetas)),
        problem=problem,
        observations=plan.observations,
    )


def _parts(r: Round) -> list[tuple[int, Fit]]:
    return list(enumerate(r.fits))


def _steps(r: Round) -> int:
    return sum(phase.steps for f in r.fits for phase in f.phases)


def _network(plan: Plan, last: Sequence[Round]) -> dict[str, Any]:
    """Arguments of the final network."""
    arguments = {**plan.network, "width": plan.neurons(last[0].width)}
    if len(last) > 1:
        arguments["windows"] = [r.problem.domain.lower[0] for r in last[1:]]
    return arguments


def _set(part: nnx.Module, vector: np.ndarray) -> None:
    """Give a module other parameters, in place."""
    params = nnx.state(part, nnx.Param)
    nnx.update(part, jax.tree.map(jax.numpy.asarray, stack_parameters(params, vector)))


def _history(fits: Sequence[Fit]) -> dict[str, list[float]]:
    """The records of all trainings, one after another."""
    columns: dict[str, list[float]] = {}
    steps = phases = 0
    seconds = 0.0
    for f in fits:
        offsets = {"step": steps, "phase": phases, "seconds": seconds}
        for name, values in f.history.items():
            columns.setdefault(name, []).extend(v + offsets.get(name, 0) for v in values)
        phases += len(f.phases)
        steps += sum(phase.steps for phase in f.phases)
        seconds = columns["seconds"][-1]
    return columns


def joined_estimate(windows: Sequence[Round]) -> float:
    """The estimate for all windows together: what one is in error, those after it begin with."""
    carried, squares, norms = 0.0, 0.0, 0.0
    for r in windows:
        # Each has a grid of its own, of about as many points however long it is.
        span = r.problem.domain.upper[0] - r.problem.domain.lower[0]
        norm = float(np.linalg.norm(r.values)) * math.sqrt(span / len(r.values))
        carried += r.estimate * norm
        squares, norms = squares + carried**2, norms + norm**2
    return float(np.sqrt(squares / norms)) if norms > 0 else float(np.sqrt(squares))


def _block(last: Sequence[Round], tried: Sequence[Round]) -> Mapping[str, Any]:
    """What was tried, for the record."""
    return {
        "version": BLOCK_VERSION,
        "rounds": [
            {
                "first_time": r.problem.domain.lower[0],
                "last_time": r.problem.domain.upper[0],
                "width": r.width,
                "steps": _steps(r),
                "seconds": r.seconds,
                "loss": r.loss,
                "estimated_error": r.estimate,
                "final": any(r is final for final in last),
            }
            for r in tried
        ],
    }
