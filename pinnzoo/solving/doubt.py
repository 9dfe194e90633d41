"""What speaks against a solution although its residuals are small: what they leave open."""

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from flax import nnx
from jaxtyping import Float

from pinnzoo._typing import Point, PointFunction, Values
from pinnzoo.architectures.tangent_mlp import along, zeros_like
from pinnzoo.diagnostics.covariance import field_slopes
from pinnzoo.objective import OBSERVATIONS, Objective, assemble, residual_and_loss
from pinnzoo.pdes import Problem
from pinnzoo.pdes.orders import residuals_of, time_orders, uneven
from pinnzoo.solving.analysis import marches, zero
from pinnzoo.solving.fitting import Fit, refreshable, values_of

# The package gives the optimizer the name of its module.
module = importlib.import_module("pinnzoo.optimizers.levenberg_marquardt")

AT_ONCE = 512
"""Points whose rows of J are computed at once: as the optimizer does, whose program is there."""

FLOOR = 1e-11
"""Singular values of the Jacobian below this share of its norm are rounding."""

OPEN = 1e5
"""How many times as much the solution moves as the residuals, each in relation to all that the
parameters move it, from which on they leave it open. On problems that are well posed it was 1 to
1e4, and 9e5 to 2e10 where a condition was missing; but 7e5 for Burgers too."""

OPEN_WHEN_DRAWN = 300
"""The same for the network before its training, of the change that it can make then. Where a
condition was missing it was 1,700 and more, and below 100 where none was, but 400 to 700 for
Fisher-KPP; after the training it is as large as there where a network has a layer as thin as a
jump, which slips along itself."""

COARSEN = 4
"""Every so many lines of the evaluation grid are looked at."""

LOOKED_AT = 300
"""Points at most at which the solution is looked at."""

CONSTANT = 0.98
"""Share of a change that is the same everywhere, from which on it is a constant."""

MISSED = 0.02
"""Share of its data by which a term is missed in a solution that is not one yet."""

MINOR = 1e-3
"""Data below this share of what a term makes of the solution are tiny."""

HARD = 1e-3
"""Where the loss of the first network falls by less than this, it is hardly a solution, and time is
divided into windows."""

ROUNDED = 1e-9
"""Share of the data below which their variation is rounding."""

SUSPECT = 0.1
"""Share of a solution by which a step along other functions changes it, from which on it may be
another one. On problems that were solved to 1e-10 to 3e-2 the step was at most three times the
error; where a network had stayed at an unstable state, it was 0.4 to 20."""

SHARPER, CUT = 5.0, 1e-12
"""How many times as large as drawn the parameters of the network are whose derivatives are added,
and the singular values, in relation to the largest one, from which on a step goes along them: what
grows from an unstable state hardly shows in the residual."""

MOVED, LATELY = 0.01, 8
"""Share of an unknown by which it still moves, and over how many steps."""


class Freedom(NamedTuple):
    """The change of a solution that moves the residuals least.

    Attributes:
        gain: By how much it changes, for residuals that change by one.
        relative: The same in relation to the norms of both derivatives.
        shape: What it is, of mean square one; a row for each point.
    """

    gain: float
    relative: float
    shape: Float[np.ndarray, "n m"]


def freedom(fit: Fit, points: Float[np.ndarray, "n d"], theta: Any = None) -> Freedom:
    """How far the network can move a solution while its residuals hardly change.

    With J and F the derivatives of residuals and of solution by the parameters, it is the largest
    of `‖F v‖ / ‖J v‖`, which a generalized singular value decomposition finds (Hansen 1998,
    "Rank-deficient and discrete ill-posed problems", section 2.1.2). Times the residual that is
    left it bounds the error, to first order, among all that the network can be.

    Args:
        fit: What was done to a network.
        points: Where the solution is looked at.
        theta: The network's parameters; those of its training by default.
    """
    some = points[:: -(-len(points) // LOOKED_AT)]
    theta = fit.theta if theta is None else theta
    # By the program of the training, on as many other points.
    jacobian = np.asarray(module.linearize(_heard(fit), theta, AT_ONCE)[1])
    moves = field_slopes(fit.assembly.field, theta, some)
    n, m, p = moves.shape
    moves = moves.reshape(n * m, p) / math.sqrt(n)
    size = float(np.linalg.norm(jacobian))
    if size == 0:
        # Nothing that the network can do shows in the residuals, as at a square of zero.
        left = np.linalg.svd(moves, full_matrices=False)[0]
        return Freedom(math.inf, math.inf, math.sqrt(n) * left[:, 0].reshape(n, m))
    upper: Any = scipy.linalg.qr(
        np.vstack([jacobian, FLOOR * size * np.eye(p)]), mode="r", check_finite=False
    )
    rows = scipy.linalg.solve_triangular(upper[0][:p], moves.T, trans=1, check_finite=False).T
    left, values, _ = scipy.linalg.svd(rows, full_matrices=False, check_finite=False)
    gain = float(values[0])
    whole = float(np.linalg.norm(moves))
    return Freedom(
        gain, gain * size / whole if whole > 0 else 0.0, math.sqrt(n) * left[:, 0].reshape(n, m)
    )


def _heard(fit: Fit) -> Objective:
    """The residuals with the observations as loud as at the beginning.

    At the end they are quiet, since they are noisy. What they determine, they do determine.
    """
    weights = [phase.weights.get(OBSERVATIONS, 0.0) for phase in fit.phases]
    if not weights or not weights[-1]:
        return fit.objective
    louder = math.sqrt(weights[0] / weights[-1])
    measured = (t for t in fit.objective.terms if t.name == OBSERVATIONS)
    return fit.objective.with_scales({t.name: louder * np.asarray(t.scale) for t in measured})


class Corrected(nnx.Module):
    """`N(z) + ∂M(z; θ)/∂θ · ω` with the parameters ω: a network N, and derivatives of another."""

    def __init__(self, network: nnx.Module, other: nnx.Module):
        """Let ω be zero.

        Args:
            network: N, which stays.
            other: M with the parameters θ, at which it is derived.
        """
        self.direction = zeros_like(other)
        graph, theta, rest = nnx.split(other, nnx.Param, ...)
        kept = nnx.split(network)

        def value(omega: nnx.State, z: Point) -> Values:
            # Neither network is an attribute, so that their parameters are none here.
            _, slope = along(graph, theta, omega, rest, z)
            return nnx.merge(*kept)(z) + slope  # pyright: ignore[reportCallIssue]

        self.value = value

    def __call__(self, z: Point) -> Values:
        """The components at one point."""
        return self.value(nnx.state(self.direction, nnx.Param), z)


def sharpened(network: nnx.Module) -> nnx.Module:
    """A network with parameters that are larger than it was drawn with."""
    graph, theta, rest = nnx.split(network, nnx.Param, ...)
    return nnx.merge(graph, jax.tree.map(lambda leaf: SHARPER * leaf, theta), rest)


def defect(
    problem: Problem,
    corrected: Corrected,
    points: Mapping[str, Float[np.ndarray, "_ d"]],
    weights: Mapping[str, float],
    places: Float[np.ndarray, "n d"],
) -> float:
    """By which share of itself a solution changes in a step of Gauss-Newton along other functions.

    It solves `J ω = -r` by least squares, where r are the residuals of the solution and J their
    derivatives by ω. That is an estimate of the error by defect correction (Stetter 1978, Numer.
    Math. 29:425-443) to first order. A training that came to rest at an unstable state, from which
    the true solution departs, has a small residual, and no step along its own network lowers it;
    but the linearized problem turns what is left into a change as large as the solution.

    Args:
        problem: What was solved.
        corrected: The solution, with functions beside it that know nothing of it.
        points: Of every term, several for each of these functions.
        weights: Of the terms.
        places: Where the solution is looked at.
    """
    assembly = assemble(problem, corrected, dict(points), weights)
    residual, jacobian, _ = module.linearize(assembly.objective, assembly.theta, AT_ONCE)
    omega = np.linalg.lstsq(np.asarray(jacobian), -np.asarray(residual), rcond=CUT)[0]
    some = places[:: -(-len(places) // LOOKED_AT)]
    change = field_slopes(assembly.field, assembly.theta, some) @ omega
    values = jax.vmap(assembly.field, (None, 0))(assembly.theta, jnp.asarray(some))
    size = float(np.linalg.norm(np.asarray(values)))
    return float(np.linalg.norm(change)) / size if size > 0 else 0.0


def doubted_estimate(estimate: float, share: float) -> float:
    """The estimate of an error, which is at least a defect that is suspect.

    Example:
        >>> doubted_estimate(1e-3, 0.5), doubted_estimate(1e-3, 0.05)
        (0.5, 0.001)
    """
    return max(estimate, min(share, 1.0)) if share > SUSPECT else estimate


def left_open(problem: Problem, fit: Fit, found: Freedom) -> str | None:
    """What nothing determines, in words; None where all is determined.

    Args:
        problem: What was solved.
        fit: What was done to its first network.
        found: Of its solution.
    """
    if not found.relative > OPEN:
        return None
    drawn = freedom(fit, problem.evaluation_points(COARSEN), fit.kept[0])
    if not drawn.relative > OPEN_WHEN_DRAWN:
        return None
    shares = np.mean(found.shape**2, axis=0)
    component = problem.components[int(np.argmax(shares))]
    change = found.shape[:, int(np.argmax(shares))]
    if _has_all_initial_values(problem):
        return (
            f"its residuals hardly see how {component!r} changes, as where it is stiff or its "
            "terms are of far different sizes, so that its values may be off: state it in units in "
            "which they are alike, or for a shorter time"
        )
    if abs(change.mean()) > CONSTANT * math.sqrt(np.mean(change**2)):
        return (
            f"the equations and conditions leave {component!r} open up to a constant, so that its "
            "differences alone mean something: prescribe its value at a point"
        )
    return (
        f"the equations and conditions do not determine {component!r}, which can change while they "
        "hardly do, so that its values mean little: look for a condition that is missing"
    )


def _has_all_initial_values(problem: Problem) -> bool:
    """Whether ordinary equations of first order begin with a value of every component.

    Nothing is missing then, however little the residuals tell (Picard and Lindelöf).
    """
    if problem.d > 1 or not marches(problem):
        return False
    begun = {c.asks for c in problem.conditions}
    return begun == set(problem.components) and set(time_orders(problem).values()) == {1}


def missed(problem: Problem, fit: Fit) -> tuple[str, float]:
    """The term that is missed most, and by which share of its data.

    The data of a term are what it leaves over for the zero function: prescribed values and sources.
    Of prescribed values that vary their variation counts, since a solution that is 300 everywhere
    is as good as none where it is 300 and a half. One without data, such as a value of zero or an
    equation without a source, is not looked at, and one whose data are tiny is by the share of what
    it makes of a function that varies by as much as the solution.

    Args:
        problem: The problem, or its window of time.
        fit: What was done to a network.
    """
    worst = ("", 0.0)
    conditions = {condition.name for condition in problem.conditions}
    objective = refreshable(fit.objective)
    rows = np.asarray(residual_and_loss(objective, fit.theta)[0])
    whole = None

    def as_varied() -> PointFunction:
        """A function that varies by as much as the solution, component by component."""
        (values,) = values_of(fit.assembly, [fit.theta], problem.evaluation_points(COARSEN))
        sizes = np.std(values, axis=0)
        plain = uneven(problem.m, problem.domain)
        return lambda z: jnp.asarray(sizes, z.dtype) * plain(z)

    for term, own in zip(objective.terms, objective.slices().values(), strict=True):
        data = residuals_of(problem, term.name, zero(problem.m), term.points, bare=True)
        size, spread = float(np.sqrt(np.mean(data**2))), float(np.std(data))
        if term.name in conditions and spread > ROUNDED * size:
            size = spread
        left = rows[own] / np.asarray(term.scale)
        share = float(np.sqrt(np.mean(left**2))) / size if size > 0 else 0.0
        if share > MISSED:
            # Data that are tiny beside what the term makes of the solution need not be met so well.
            whole = as_varied() if whole is None else whole
            terms = residuals_of(problem, term.name, whole, term.points, bare=True) - data
            share *= size / max(size, MINOR * float(np.sqrt(np.mean(terms**2))))
        if math.isfinite(share) and share > worst[1]:
            worst = (term.name, share)
    return worst


def unknowns_moved(problem: Problem, trail: Sequence[np.ndarray]) -> dict[str, float]:
    """By which share of its value each unknown changed over the last steps.

    Args:
        problem: Whose unknowns.
        trail: Their raw values after every step, sorted by name.

    Example:
        >>> unknowns_moved(problem, [np.array([1.0]), np.array([1.1])])
        {'a': 0.09090909090909098}
    """
    if len(trail) < 2:
        return {}
    before, now = trail[max(0, len(trail) - 1 - LATELY)], trail[-1]
    moved = {}
    for name, first, last in zip(sorted(problem.unknowns), before, now, strict=True):
        was, value = (float(problem.unknowns[name].value(jnp.asarray(x))) for x in (first, last))
        moved[name] = abs(value - was) / max(abs(value), 1e-300)
    return moved
