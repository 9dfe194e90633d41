"""Prints docs/analysis.md: what the entries of the zoo say about the claims of arXiv 2402.03864.

Reads stored kernels and figures; nothing is trained and no network is compiled:

    python scripts/make_analysis_page.py
"""

import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import spearmanr

from pinnzoo import zoo
from pinnzoo.analysis import alignments, kernel_alignment
from pinnzoo.cards.tables import markdown_table
from pinnzoo.cards.words import figure, title
from pinnzoo.diagnostics.ntk import NTKSnapshots
from pinnzoo.pdes import Problem, make_problem
from pinnzoo.precision import enable_x64
from pinnzoo.recipes import Recipe

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "analysis.md"
SECOND_ORDER = ("levenberg_marquardt", "gauss_newton", "newton_cg", "sketched_gauss_newton")
FIRST_ORDER = ("adam", "soap", "gradient_descent")
FAILED = 1e-2
"""Relative error above which a network counts as failed."""

SHORT = 30.0
"""Seconds of a training that shows a beginning and not a limit."""

LINEAR = 1e-9
"""Nonlinearity below this is rounding."""

LIKE_TIMES = 1.5
"""Factor between two training times up to which errors are compared."""


@dataclass(frozen=True)
class Facts:
    """What is on record of one entry."""

    recipe: Recipe
    problem: Problem
    error: float | None
    seconds: float
    drift: float
    equation_drift: float
    cka: float
    settled: float | None
    spacing: float
    hessian: tuple[float, float]
    spectrum: np.ndarray
    rank: float
    first: np.ndarray
    last: np.ndarray

    @property
    def optimizer(self) -> str:
        """The method of the last phase."""
        return self.recipe.phases[-1].optimizer


def facts(name: str) -> Facts | None:
    """What is on record of an entry, or None where it has no kernels."""
    folder = zoo.open_entry(name)
    metrics: Any = folder.metrics()
    if "ntk" not in metrics or "residual_hessian" not in metrics:
        return None
    ntk = NTKSnapshots.from_arrays(folder.arrays("ntk.npz"))
    recipe = folder.recipe()
    aligned = alignments(ntk.steps, ntk.kernels, np.ones(ntk.kernels.shape[:2]))
    settled = aligned.settled_from()
    ends = metrics["residual_hessian"]
    return Facts(
        recipe=recipe,
        problem=make_problem(recipe.problem, recipe.problem_arguments),
        error=metrics.get("relative_l2_error"),
        seconds=metrics["training_seconds"],
        drift=float(ntk.drift()[-1]),
        equation_drift=float(ntk.drift(block="equation")[-1]),
        cka=float(aligned.kernels[0, -1]),
        settled=None if settled is None else settled / max(1, int(ntk.steps[-1])),
        spacing=float(ntk.steps[-1]) ** (1 / max(1, len(ntk.steps) - 2)),
        hessian=(float(ends["initial"]["mean"]), float(ends["final"]["mean"])),
        spectrum=ntk.eigenvalues()[-1],
        rank=float(ntk.effective_rank()[-1]),
        first=ntk.kernels[0],
        last=ntk.kernels[-1],
    )


def nonlinearity(problem: Problem) -> float:
    """How far the equations are from affine in u: 0 where they are.

    `|R(f + g) - R(f) - R(g) + R(0)| / |R(f + g) - R(0)|` in the root mean square over points, for
    two smooth random functions f and g of order one.
    """
    rng = np.random.default_rng(0)
    waves = jnp.asarray(rng.standard_normal((2, 4, problem.d)))
    phases = jnp.asarray(rng.uniform(0, 2 * np.pi, (2, 4)))
    mixes = jnp.asarray(rng.standard_normal((2, problem.m, 4)) / 2)

    def smooth(a: float, b: float) -> Callable:
        def function(z: Any) -> Any:
            values = [mixes[k] @ jnp.cos(waves[k] @ z + phases[k]) for k in range(2)]
            return a * values[0] + b * values[1]

        return function

    box = problem.domain
    points = jnp.asarray(rng.uniform(box.lower, box.upper, (8, problem.d)))
    terms = [each.residual for each in problem.equations]

    def values(a: float, b: float) -> np.ndarray:
        field = problem.field(smooth(a, b))
        return np.array([[float(term(field, z)) for z in points] for term in terms])

    both, zero = values(1, 1), values(0, 0)
    bottom = np.linalg.norm(both - zero)
    return float(np.linalg.norm(both - values(1, 0) - values(0, 1) + zero) / bottom)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are numbers."""
    return markdown_table(headings, rows, "l" + "r" * (len(headings) - 1))


def spread(values: Sequence[float]) -> str:
    """The median, and both ends where there are several; a dash where there is nothing."""
    if not values:
        return "–"
    middle = figure(float(np.median(values)))
    if len(values) == 1:
        return middle
    return f"{middle} ({figure(min(values))} to {figure(max(values))})"


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> str:
    """Spearman's coefficient, as text."""
    found: Any = spearmanr(first, second)
    return f"{found.statistic:.2f}"


def paragraph(text: str) -> str:
    """Text in lines of one width."""
    return textwrap.fill(" ".join(text.split()), 99, break_long_words=False, break_on_hyphens=False)


def drift_section(by_problem: dict[str, list[Facts]], measured: dict[str, float]) -> list[str]:
    """Does the kernel move, and does it move more for nonlinear equations?"""
    # Below is rounding, whose order means nothing.
    above = {name: value if value >= LINEAR else 0.0 for name, value in measured.items()}
    names = sorted(by_problem, key=lambda name: (above[name], name))
    rows = [
        (
            name,
            "0" if measured[name] < LINEAR else f"{measured[name]:.2f}",
            str(len(by_problem[name])),
            spread([each.drift for each in by_problem[name]]),
            spread([each.cka for each in by_problem[name]]),
        )
        for name in names
    ]
    linear = [e for name in names if measured[name] < LINEAR for e in by_problem[name]]
    others = [e for name in names if measured[name] >= LINEAR for e in by_problem[name]]
    medians = [float(np.median([e.drift for e in by_problem[name]])) for name in names]
    middle, other = (float(np.median([e.drift for e in group])) for group in (linear, others))
    verdict = "and not less" if middle >= other else "but less"
    return [
        "## Does the kernel move, and more for nonlinear equations?",
        paragraph(
            f"""For nonlinear equations the paper proves that the kernel moves at any width
            (proposition 3.5), for linear ones that it stands still in the limit of infinite width.
            The networks here are narrow. Drift is `‖K(T) - K(0)‖ / ‖K(0)‖`; alignment (CKA) is 1
            where the last kernel is a multiple of the first. Nonlinearity is measured: how far the
            equation is from affine on random smooth functions. Median drift is
            {figure(middle)} over {len(linear)} entries of linear and {figure(other)} over
            {len(others)} entries of nonlinear equations; the smallest drift of all is
            {figure(min(e.drift for e in [*linear, *others]))}. The rank correlation of
            nonlinearity and median drift over the {len(names)} problems is
            {rank_correlation([above[name] for name in names], medians)}. So in these narrow
            networks the kernel moves for linear equations as well, {verdict}."""
        ),
        table(("Problem", "Nonlinearity", "Entries", "Drift", "Alignment of first and last"), rows),
    ]


def hessian_section(by_problem: dict[str, list[Facts]], measured: dict[str, float]) -> list[str]:
    """How large are Hessians of the residual at both ends?"""
    everything = [each for many in by_problem.values() for each in many]
    grew = sum(each.hessian[1] > each.hessian[0] for each in everything)
    rows = [
        (
            name,
            "linear" if measured[name] < LINEAR else "nonlinear",
            spread([each.hessian[0] for each in by_problem[name]]),
            spread([each.hessian[1] for each in by_problem[name]]),
        )
        for name in sorted(by_problem)
    ]
    return [
        "## Does the Hessian of the residual vanish?",
        paragraph(
            f"""The theory of constant kernels needs `‖H_r‖` to be small; for nonlinear equations it
            stays above a constant at any width (proposition 3.7). Its mean over the stored points,
            of several equations for the first one, is larger after training in {grew} of
            {len(everything)} entries; over all, the median is
            {figure(float(np.median([e.hessian[0] for e in everything])))} at the start and
            {figure(float(np.median([e.hessian[1] for e in everything])))} at the end."""
        ),
        table(("Problem", "Equation", "Mean norm, initial", "Mean norm, final"), rows),
    ]


def optimizer_section(everything: Sequence[Facts]) -> list[str]:
    """First and second order from the same first kernel."""
    groups: dict[tuple, list[Facts]] = defaultdict(list)
    for each in everything:
        r = each.recipe
        shape = (r.problem, r.architecture, *map(repr, (r.problem_arguments, r.seed, r.dtype)))
        groups[(*shape, repr(r.architecture_arguments))].append(each)
    rows, ratios, drifts, likeness, times = [], [], [], [], []
    for many in groups.values():
        for first in (e for e in many if e.optimizer in FIRST_ORDER):
            for second in (e for e in many if e.optimizer in SECOND_ORDER):
                same = first.first.shape == second.first.shape and np.allclose(
                    first.first, second.first, rtol=1e-2
                )
                if not same or first.error is None or second.error is None:
                    continue
                alike = kernel_alignment(first.last, second.last)
                ratios.append(first.error / second.error)
                times.append(second.seconds / first.seconds)
                drifts.append((first.drift, second.drift))
                likeness.append(alike)
                rows.append(
                    (
                        f"{first.recipe.name} / {second.optimizer.replace('_', ' ')}"
                        + (f" {second.recipe.tag}" if second.recipe.tag else ""),
                        f"{figure(first.error)} / {figure(second.error)}",
                        f"{figure(first.drift)} / {figure(second.drift)}",
                        figure(alike),
                    )
                )
    if not rows:
        return []
    timely = [r for r, t in zip(ratios, times, strict=True) if 1 / LIKE_TIMES <= t <= LIKE_TIMES]
    better = sum(ratio > 1 for ratio in timely)
    further = sum(b > a for a, b in drifts)
    return [
        "## First and second order from the same first kernel",
        paragraph(
            f"""{len(rows)} pairs of entries begin at the same parameters, so that their first
            kernels agree. In {len(timely)} of them the trainings took the same time within a factor
            of {LIKE_TIMES:g}: there the second-order one has the smaller error in {better}, by a
            factor of {figure(float(np.median(timely)))} in the median. In the others one of the two
            was trained for longer, the second-order one for up to {max(times):.0f} times as long,
            so that their errors do not compare. Its kernel drifts further in {further} of all. The
            alignment of both last kernels with each other is {figure(float(np.median(likeness)))}
            in the median: where it is small the two methods end at networks whose kernels have
            nothing in common."""
        ),
        table(("First / second order", "Relative error", "Drift", "Alignment of last"), rows),
    ]


def settling_section(everything: Sequence[Facts]) -> list[str]:
    """When does the kernel stop moving, and does the last one explain the error?"""
    by_kind = defaultdict(list)
    for each in everything:
        by_kind[each.optimizer].append(each)
    rows = [
        (
            name.replace("_", " "),
            str(len(many)),
            str(sum(each.settled is None for each in many)),
            spread([100 * each.settled for each in many if each.settled is not None]),
            spread([each.rank for each in many]),
        )
        for name, many in sorted(by_kind.items())
    ]
    judged = [each for each in everything if each.error]
    errors = [float(e.error) for e in judged if e.error]
    ranks = rank_correlation([each.rank for each in judged], errors)
    rounding = float(np.finfo(float).eps) ** 2
    tails = [float(np.mean(each.spectrum > rounding * each.spectrum[0])) for each in judged]
    return [
        "## When does the kernel stop moving, and does the last one explain the last digits?",
        paragraph(
            f"""A kernel counts as settled from the snapshot on from which its alignment with the
            last one is 0.99 or more; where the last snapshot alone is like itself, it never
            settled. Snapshots are taken at steps in geometric progression, so that this moment is
            known to a factor of {spread([each.spacing for each in everything])} only. Over
            {len(judged)} entries the rank correlation of the error with the effective rank of the
            last kernel is {ranks}, and with the share of its eigenvalues that stand above rounding
            it is {rank_correlation(tails, errors)}."""
        ),
        table(
            (
                "Method of the last phase",
                "Entries",
                "Never settled",
                "Settled, % of the steps",
                "Effective rank",
            ),
            rows,
        ),
    ]


def failure_section(everything: Sequence[Facts]) -> list[str]:
    """Where second order fails: how its singular values look."""
    second = [e for e in everything if e.optimizer in SECOND_ORDER and e.error is not None]
    failed = sorted((e for e in second if (e.error or 0) > FAILED), key=lambda e: e.recipe.name)
    told = f"""{len(failed)} of {len(second)} entries whose last phase is of second order have an
    error above {FAILED:g}. {sum(e.seconds <= SHORT for e in failed)} of these were trained for at
    most {SHORT:g} seconds, so that they show a beginning and not a limit."""
    if not failed:
        return ["## Where second order fails", paragraph(told)]
    rows = [
        (
            each.recipe.name,
            figure(each.error),
            *(figure(float(np.sqrt(_at(each.spectrum, k) / each.spectrum[0]))) for k in (10, 40)),
            figure(each.rank),
        )
        for each in failed
    ]
    good = [e for e in second if (e.error or 0) <= FAILED]
    usual = [float(np.sqrt(_at(e.spectrum, 40) / e.spectrum[0])) for e in good]
    told += f""" The table has their singular values of J relative to the largest, of the unweighted
    rows of the stored kernels. For the others the 40th is {figure(float(np.median(usual)))} of the
    largest in the median."""
    return [
        "## Where second order fails",
        paragraph(told),
        table(("Entry", "Relative error", "10th of σ", "40th of σ", "Effective rank"), rows),
    ]


def _at(spectrum: np.ndarray, place: int) -> float:
    return float(spectrum[min(place, len(spectrum)) - 1])


def page() -> str:
    """All of docs/analysis.md."""
    enable_x64()
    everything, by_problem = [], defaultdict(list)
    for name in zoo.list_entries():
        if zoo.find(name) is not None and (each := facts(name)) is not None:
            everything.append(each)
            by_problem[each.recipe.problem].append(each)
    measured = {}
    for name, many in by_problem.items():
        with jax.disable_jit():
            measured[name] = nonlinearity(many[0].problem)
    parts = [
        "# What the zoo says about kernels, Hessians and second-order methods",
        paragraph(
            f"""Printed by `python scripts/make_analysis_page.py` from the stored kernels and
            figures of {len(everything)} entries on {len(by_problem)} problems. The claims are those
            of Bonfanti, Bruno and Cipriani (arXiv 2402.03864); [the page on the paper](paper.md)
            repeats its experiments. Everything below can be asked of a single entry in more depth:
            `pinnzoo analyze NAME --what all` computes modes of the kernel, the linearised training,
            alignments, Hessians and the landscape of the loss, in a clone or wherever the
            snapshots of the entry are
            ([a wheel leaves most out](publishing.md#what-the-wheel-carries)). A cell of a table is
            the median, with the least and the largest in brackets. Methods of first order are
            {", ".join(map(title, FIRST_ORDER))}; of second order, Levenberg-Marquardt and its
            relatives; L-BFGS and SSBroyden count as neither."""
        ),
        *drift_section(by_problem, measured),
        *hessian_section(by_problem, measured),
        *optimizer_section(everything),
        *settling_section(everything),
        *failure_section(everything),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)}\n")
