"""`docs/paper.md`: what the paper claims and what was measured here, with numbers from the sweeps."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pinnzoo.cards.tables import markdown_table
from pinnzoo.catalog import experiments as settings
from pinnzoo.diagnostics import hessian
from pinnzoo.paper import claims, dynamics, toys
from pinnzoo.paper.toys import Arrays
from pinnzoo.training.loop import COARSENING


class Section(NamedTuple):
    """A figure on the page.

    Attributes:
        title: Its headline.
        claim: What the paper says.
        measured: What the sweep shows, from its arrays.
        settings: What was chosen.
        differences: Where that differs from the claim, and why; from its arrays if need be.
    """

    title: str
    claim: str
    measured: Callable[[Arrays], str]
    settings: str
    differences: str | Callable[[Arrays], str] = ""


def _times(value: float) -> str:
    """A factor with two digits."""
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.1f}"


def _norms(arrays: Arrays) -> str:
    c = claims.kernel_norms(arrays)
    seeds = arrays["toy_linear.norm"].shape[1]
    return (
        f"Over {seeds} seeds and all widths the standard deviation of the linear toy falls as "
        f"m^{c.linear_slope:.2f}, that of the nonlinear toy changes as m^{c.nonlinear_slope:+.2f}. The linear mean at "
        f"m = {arrays['widths'][-1]:,} is within {100 * c.linear_distance:.1g} % of the norm of the "
        "limiting kernel by quadrature (dashed). The limiting *random* kernel of theorem 3.4 was "
        f"sampled {len(arrays['toy_nonlinear.limit']):,} times from its Gaussian process; "
        f"by their norms {len(arrays['toy_nonlinear.wide'])} networks of width {arrays['wide']:,} "
        f"{'cannot be' if c.p_value > claims.SIGNIFICANCE else 'are'} "
        f"told from it (Kolmogorov-Smirnov p = {c.p_value:.2g})."
    )


def _drifts(arrays: Arrays) -> str:
    c = claims.drifts(arrays)
    return (
        f"Beyond m = {claims.WIDE} the median drift of the linear toy falls as m^{c.linear_slope:.2f}; that of the "
        f"nonlinear toy goes as m^{c.nonlinear_slope:+.2f}, is {c.nonlinear_drift:.2f} at the largest width and "
        f"changes by a factor of {c.nonlinear_ratio:.2f} over the last decade of widths. Descent "
        f"lowers the loss by a factor of {_times(1 / c.descent)} or more at every width, in the median over "
        "seeds. Drifts of the "
        "nonlinear toy have a heavy tail, so medians and quartiles are shown: a network whose u is "
        "small at the start has to travel far. The linear drift falls faster than the bound of the proof, 1/√m: "
        "the first-order change of K is odd in the output weights and averages out over the neurons, which "
        "leaves 1/m."
    )


def _hessians(arrays: Arrays) -> str:
    c = claims.hessians(arrays)
    return (
        f"Beyond m = {claims.WIDE} the linear toy's norm falls as m^{c.linear_slope:.2f} with Gaussian weights, and "
        f"as m^{c.bounded_slope:.2f} with weights from U(-√3, √3), of the same variance (squares; from the exact "
        "blocks of H_r, three parameters per neuron). The nonlinear toy's norm is within "
        f"{100 * c.nonlinear_distance:.1g} % at the largest width of the limit `|K_01| + √(K_00 K_11)`, with K the "
        f"limiting kernel of (u, u_x), which is {c.limit:.2f} in the mean over the points (dashed); no wide network is "
        f"below {c.nonlinear_least:.2f} of it at any point. At m = {arrays['widths'][-1]:,} a share of "
        f"{c.linear_sparsity:.6f} of the linear Hessian's entries is nearly zero, and {c.nonlinear_sparsity:.2f} of "
        "the nonlinear one's."
    )


def _hessian_differences(arrays: Arrays) -> str:
    c = claims.hessians(arrays)
    return (
        "First, with Gaussian weights the linear norm falls more slowly than as 1/√m. Proposition B.3 takes weights as "
        "bounded; of m Gaussian neurons, the largest puts a factor of (ln m)^{3/2} before 1/√m (the tail of a product "
        "of three Gaussians). Divided by it, the linear "
        f"norm falls as m^{c.corrected_slope:.2f}. Second, the lower bound c̃ of proposition 3.7, computed as printed, is "
        f"zero ({c.bound:.0e}): for an odd activation such as tanh the expectation that it is made of vanishes by "
        "symmetry, so it cannot be drawn, and the sharp limit takes its place. Third, by this measure the nonlinear "
        "Hessian becomes sparse too: the entries of its dense part are O(1/m), which a threshold relative to the "
        "largest entry, of O(1/√m) up to the logarithm, no longer counts. Its norm is what tells the two apart, not "
        "this share."
    )


def _rates(arrays: Arrays) -> str:
    c = claims.rates(arrays)
    return (
        f"Of the {c.modes:,} singular values of the Jacobian of the network that Adam trained, {c.rank:,} are "
        f"above rounding. In first-order training {100 * c.slow:.0f} % of the modes move more "
        "than a thousand times more slowly than the first; Gauss-Newton moves all those above rounding at the "
        f"same rate. With the damping at which LM ended, λ = {c.damping:.0e}, {100 * c.second:.0f} % of the "
        "eigenvalues `s² / (s² + λ)` of its network are above one half, and the others fall off: with damping, "
        "part of the spectral bias remains."
    )


def _errors(arrays: Arrays) -> str:
    """What every training of a figure came to, as a table."""
    header = (
        "training",
        "relative L2, geometric mean",
        "least",
        "largest",
        "steps",
        "wall time",
        "drift of K",
        "‖H_r‖ at the end",
    )
    rows = (
        (
            label,
            f"{s.mean:.1e}",
            f"{s.errors.min():.1e}",
            f"{s.errors.max():.1e}",
            _range(s.steps, ",.0f"),
            f"{s.seconds:,.0f} s",
            f"{np.median(s.drifts):.2g}",
            f"{np.median(s.hessians):.2g}",
        )
        for label, s in claims.finals(arrays).items()
    )
    return markdown_table(header, rows, "lrrrrrrr")


def _trainings(arrays: Arrays) -> str:
    text = f"LM's error is {_times(claims.advantage(arrays))} times below Adam's"
    if claims.SEARCH in claims.finals(arrays):
        ratio = claims.advantage(arrays, second=claims.SEARCH)
        text += f", and that of LM by the search rule of this package {_times(ratio)} times"
    means = f"{text}, in geometric means over {_seeds(arrays)}."
    return f"{means} Times, drifts and Hessians are medians.\n\n{_errors(arrays)}"


def _seeds(arrays: Arrays) -> str:
    count = len(arrays["seeds"])
    return f"{count} seed" + ("s" if count > 1 else "")


def _flow(arrays: Arrays) -> str:
    c = claims.flow(arrays)
    return (
        f"The relative L2 error of the velocity, in the mean over t and {_seeds(arrays)}, is "
        f"{c.errors['LM']:.1e} for LM in at most {c.seconds['LM']:,.0f} s and {c.errors['Adam']:.1e} for "
        f"Adam in at least {c.seconds['Adam']:,.0f} s: a ratio of {c.ratio:.2f}."
    )


def _range(values: np.ndarray, form: str) -> str:
    """Least to largest, or the one value that all have."""
    low, high = (format(float(value), form) for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _convection(arrays: Arrays) -> str:
    found = claims.convection(arrays)
    fast = max(found["LM"])
    errors = found["LM"][fast].errors
    solved = int((errors <= claims.SOLVED).sum())
    return (
        f"At β = {fast:g} LM alone is below {claims.SOLVED:.0e} with {solved} of {_seeds(arrays)}, and at "
        f"{errors.max():.2e} with the worst. Its error "
        "hardly falls while the part of the domain that is solved grows from the initial line on, and "
        "collapses when that has reached the end (right). Times, drifts and Hessians are medians.\n\n"
        f"{_errors(arrays)}"
    )


def _convection_differences(arrays: Arrays) -> str:
    found = claims.convection(arrays)
    slow, fast = min(found["LM"]), max(found["LM"])
    alone, curriculum = (found[method][slow].mean for method in ("Adam", "Adam, curriculum"))
    plain, staged = (found[method][fast].steps for method in ("LM", "LM, curriculum"))
    return (
        "LM is without curriculum, weights and features as in the paper, but not without help: its points "
        "move, and by residual at the end, and its damping follows the search rule of this package. "
        f"Algorithm 1 was not run. A curriculum at β = {fast:g} takes LM {_range(staged, ',.0f')} steps, and no "
        f"curriculum {_range(plain, ',.0f')}. Adam has {'no need' if alone < curriculum else 'use'} of one at "
        f"β = {slow:g}: in the same number of steps it is at {alone:.1e} without and at {curriculum:.1e} with it. "
        "Alone it copes with β = 30 too, in thirty thousand steps (`convection-mlp-adam-beta30`)."
    )


def _poisson_differences(arrays: Arrays) -> str:
    found = claims.finals(arrays)
    features, plain = found["Adam, Fourier features"], found["LM"]
    return (
        f"With Fourier features Adam is at {features.mean:.1e} after {settings.ADAM_STEPS['poisson']:,} steps "
        "and still falling, so that it comes to a reasonable solution with them was not seen here. What ends above one, "
        "worse than u = 0, has fitted the curvature and missed the boundary values by units: the "
        "equation's residual is of order 10³, and both have weight one. LM alone depends on the seed: its "
        f"errors are {', '.join(f'{error:.0e}' for error in sorted(plain.errors))}."
    )


def _burgers_differences(arrays: Arrays) -> str:
    found = claims.finals(arrays)
    second, quasi = (found[name].seconds / found["Adam"].seconds for name in ("LM", "L-BFGS"))
    return (
        "All errors are above the paper's, LM's and L-BFGS's by an order of magnitude or less and Adam's by more; "
        f"their order is the same. None of the three has converged: Adam had "
        f"{100 * settings.ADAM_STEPS['burgers'] / 100_000:g} % of the paper's steps. LM took {second:.2g} times the wall "
        f"time of Adam, and L-BFGS {quasi:.2g} times."
    )


def _wave_differences(arrays: Arrays) -> str:
    alone = claims.finals(arrays)["LM"]
    return (
        f"By algorithm 1 LM is ahead of Adam by no more than a factor of {_times(claims.advantage(arrays))} after "
        f"{settings.LM_STEPS['wave']} of the paper's 1,000 steps, where its descent has hardly begun: its error is "
        f"{alone.mean:.1e}, in the geometric mean. It takes the search rule, in "
        f"{settings.SEARCH_STEPS['wave']} steps, to leave Adam behind by orders of magnitude."
    )


def _settings(problem: str, points: str) -> str:
    """What was chosen for the benchmark of a problem."""
    return (
        f"Adam takes {settings.ADAM_STEPS[problem]:,} steps (paper: 100,000), L-BFGS "
        f"{settings.LBFGS_STEPS[problem]:,}, LM {settings.LM_STEPS[problem]:,} of the paper's algorithm 1 "
        f"(paper: 1,000). {points}"
    )


def _either(steps: Iterable[int]) -> str:
    """In words: 30, 90 or 190."""
    *most, last = (f"{count:,}" for count in steps)
    return f"{', '.join(most)} or {last}"


def _count(points: Mapping[str, int]) -> str:
    return f"{points['equation']:,} points, and {points['conditions']:,} per condition"


SECTIONS: Mapping[str, Section] = {
    "1a": Section(
        "Figure 1a: the kernel at initialisation",
        "The kernel of a linear PDE is deterministic as the width grows; that of a nonlinear PDE stays "
        "random (theorem 3.4).",
        _norms,
        f"Domain [-1, 1] with the closed form at both ends, {toys.POINTS} equidistant points, one hidden "
        "layer in NTK scaling: the paper states neither the domain nor the points.",
    ),
    "1b": Section(
        "Figure 1b: the kernel in training",
        "The kernel of a linear PDE stands still in training as the width grows; that of a nonlinear "
        "PDE moves at any width (proposition 3.5).",
        _drifts,
        f"{toys.STEPS:,} steps of gradient descent with a step of {toys.RATE} over the largest "
        "eigenvalue of `JᵀJ` at initialisation over all seeds of a width.",
    ),
    "2a": Section(
        "Figure 2a: the Hessian of the residual",
        "`‖H_r‖` falls as 1/√m and H_r becomes sparse for a linear PDE; for a nonlinear one the norm "
        "stays above c̃ and H_r is not sparse (propositions 3.7 and B.3).",
        _hessians,
        f"{toys.HESSIAN_POINTS} points and {toys.HESSIAN_SEEDS} seeds; how the paper averages over "
        "points is not stated. Entries below a thousandth of the largest count as nearly zero; beyond "
        f"{hessian.DENSE_LIMIT:,} parameters they are counted in {hessian.SAMPLED_COLUMNS} random columns, "
        "against the largest entry of those.",
        _hessian_differences,
    ),
    "2b": Section(
        "Figure 2b: the training dynamics on Burgers",
        "The eigenvalues of first-order dynamics are those of the kernel and decay fast, those of "
        "second-order dynamics are zero or one (theorem 4.2).",
        _rates,
        f"Singular values of the weighted Jacobian of the networks of figure 4a (seed 0) at "
        f"{_count(dynamics.POINTS)}. The paper does not say on how many points.",
    ),
    "3a": Section(
        "Figure 3a: Poisson",
        "Adam needs Fourier features; LM alone is better than Adam with them, and LM with them is best.",
        _trainings,
        _settings("poisson", "1,000 points as in the paper.")
        + f" With Fourier features LM takes {settings.CONVERGED_LM_STEPS}.",
        _poisson_differences,
    ),
    "3b": Section(
        "Figure 3b: convection",
        "Adam copes with β up to 20 or so, and needs a curriculum for that; LM copes with more, most of all with a "
        "curriculum, and solves β = 100 without any enhancement in 5,000 steps.",
        _convection,
        f"Adam takes {settings.ADAM_STEPS['convection']:,} steps on {_count(settings.CONVECTION_POINTS['adam'])}, drawn "
        f"anew every {settings.CONVECTION_REDRAWS['adam']}. LM takes as many as bring the loss below "
        f"{settings.CONVECTION_TARGET:.0e}, at most "
        f"{_either(settings.convection_steps(beta) for beta in settings.BETAS)} for these β, on "
        f"{_count(settings.CONVECTION_POINTS['levenberg_marquardt'])}, drawn anew every "
        f"{settings.CONVECTION_REDRAWS['levenberg_marquardt']}; then "
        f"{_either(settings.last_steps(beta) for beta in settings.BETAS)} more on "
        f"{_count(settings.LAST_POINTS)}, by residual. A curriculum divides all but these last steps among stages of "
        f"{settings.CURRICULUM:g} in β, and ends with "
        f"{_either(settings.last_steps(beta, curriculum=True) for beta in settings.BETAS)} of those. "
        "The paper states neither the points nor whether they stay. On points that stay "
        "LM found a network that meets the equation at all of them and jumps between them "
        "(`convection-mlp-levenberg_marquardt-beta100`); on fewer points per condition the wave loses height between "
        "them, each time that it passes the periodic condition, and with some seeds never gets to the end. Adam came "
        "out alike on LM's points, with the one seed that was tried.",
        _convection_differences,
    ),
    "4a": Section(
        "Figure 4a: Burgers",
        "Adam and L-BFGS stay near 1e-3, LM reaches 1e-5, in steps and in wall time.",
        _trainings,
        _settings("burgers", f"{_count(settings.BURGERS_POINTS)}, as in the paper."),
        _burgers_differences,
    ),
    "4b": Section(
        "Figure 4b: the wake of a cylinder",
        "With causality training for both, LM reaches a reasonable solution of the Navier-Stokes "
        "equations and Adam does not.",
        _flow,
        f"Velocity-pressure form at Re = 100 on the paper's window; velocities at t = 0 and on all sides, "
        "and the pressure at one point, come from this package's own reference, since the paper's data "
        "set is another simulation. The paper prints u = 1 and v = 0 at x = 2.5, which lies in the wake, and "
        f"does not fix the pressure. Adam takes {settings.ADAM_STEPS['cylinder_wake']:,} steps and LM "
        f"{settings.LM_STEPS['cylinder_wake']:,}, each on {_count(settings.WAKE_POINTS)}, that are drawn "
        f"anew every {settings.WAKE_REDRAWS} steps (paper: 10,000 and 5,000 in every iteration). Causal "
        "weights with ε = 1 on 32 spans of time; the paper states neither.",
    ),
    "5": Section(
        "Figure 5: wave",
        "Adam and L-BFGS stall, LM goes down steadily.",
        _trainings,
        _settings("wave", f"{_count(settings.WAVE_POINTS)} (paper: 10,000 and 3,000 in all).")
        + f" The search rule takes {settings.SEARCH_STEPS['wave']} steps, on the same points.",
        _wave_differences,
    ),
}


def render(sweeps: Mapping[str, Arrays]) -> str:
    """The page, with a section for every sweep that is there."""
    return _template().render(
        settings=settings,
        coarsening=COARSENING,
        sections=[
            _told(name, section, sweeps[name])
            for name, section in SECTIONS.items()
            if name in sweeps
        ],
        missing=[section.title for name, section in SECTIONS.items() if name not in sweeps],
    )


def _template() -> Any:
    """`page.md.j2`: the layout, and the prose that is common to all sections."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )
    return environment.get_template("page.md.j2")


def _told(name: str, section: Section, arrays: Arrays) -> dict[str, str]:
    """A section with its numbers."""
    found = section.differences
    return {
        "title": section.title,
        "claim": section.claim,
        "image": _image(name),
        "measured": section.measured(arrays),
        "differences": found if isinstance(found, str) else found(arrays),
        "settings": section.settings,
    }


def _image(name: str) -> str:
    return f"paper/{name}.png"
