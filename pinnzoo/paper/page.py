"""`docs/paper.md`: what the paper claims and what was measured here, with numbers from the sweeps."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from pinnzoo import experiments as settings
from pinnzoo.paper import claims, dynamics, toys
from pinnzoo.paper.toys import Arrays

HEAD = """# The founding paper, figure by figure

Bonfanti, Bruno and Cipriani, "The Challenges of the Nonlinear Regime for Physics-Informed Neural
Networks" (NeurIPS 2024, [arXiv 2402.03864](https://arxiv.org/abs/2402.03864)) has no public code and no
table of errors. Here its experiments are recipes, its figures are drawn from stored sweeps, and what
does not come out is said. Everything on this page, numbers included, is printed by

```
python scripts/reproduce_paper.py --figure all
```

from `docs/paper/*.npz`, in seconds; with `--rerun` the sweeps are run again, and go on where they
were if they are killed.
"""


class Section(NamedTuple):
    """A figure on the page.

    Attributes:
        title: Its headline.
        claim: What the paper says.
        measured: What the sweep shows, from its arrays.
        settings: What was chosen.
    """

    title: str
    claim: str
    measured: Callable[[Arrays], str]
    settings: str


def _times(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _norms(arrays: Arrays) -> str:
    c = claims.kernel_norms(arrays)
    seeds = arrays["toy_linear.norm"].shape[1]
    return (
        f"Over {seeds} seeds the standard deviation of the linear toy falls as m^{c.linear_slope:.2f}, "
        f"that of the nonlinear toy changes as m^{c.nonlinear_slope:+.2f}. The linear mean at "
        f"m = {arrays['widths'][-1]:,} is within {100 * c.linear_distance:.1g} % of the norm of the "
        "limiting kernel by quadrature (dashed). The limiting *random* kernel of theorem 3.4 was "
        f"sampled {len(arrays['toy_nonlinear.limit']):,} times from its Gaussian process; "
        f"{len(arrays['toy_nonlinear.wide'])} networks of width {arrays['wide']:,} have the same "
        f"distribution of norms (Kolmogorov-Smirnov p = {c.p_value:.2f})."
    )


def _drifts(arrays: Arrays) -> str:
    c = claims.drifts(arrays)
    return (
        f"The median drift of the linear toy falls as m^{c.linear_slope:.2f}; that of the nonlinear "
        f"toy goes as m^{c.nonlinear_slope:+.2f}, is {c.nonlinear_drift:.2f} at the largest width and "
        f"changes by a factor of {c.nonlinear_ratio:.2f} over the last decade of widths. Descent "
        f"lowers the loss at least {_times(1 / c.descent)} times in the median. Drifts of the "
        "nonlinear toy have a heavy tail, so medians and quartiles are shown: a network whose u is "
        "small at the start has to travel far."
    )


def _hessians(arrays: Arrays) -> str:
    c = claims.hessians(arrays)
    return (
        f"**A difference:** the linear toy's norm falls as m^{c.linear_slope:.2f} beyond m = {claims.WIDE}, not "
        "as m^-0.5. With Gaussian weights, which proposition B.3 takes as bounded, the largest of m neurons "
        "puts a factor of (ln m)^{3/2} before 1/√m (the tail of a product of three Gaussians); divided "
        f"by it, the norm falls as m^{c.corrected_slope:.2f}. The nonlinear "
        f"toy's norm stays at {c.limit:.2f}, within {100 * c.nonlinear_distance:.1g} % at the largest "
        "width of the limit `|K_01| + √(K_00 K_11)`, with K the limiting kernel of (u, u_x) (dashed); no "
        f"wide network is below {c.nonlinear_least:.2f} of it at any point. **Another difference:** the lower "
        f"bound c̃ of proposition 3.7, computed as printed, is zero ({c.bound:.0e}): for an odd activation such as "
        "tanh the expectation that it is made of vanishes by symmetry. The claim holds with the "
        f"sharp limit in its place. At m = {arrays['widths'][-1]:,} a share of "
        f"{c.linear_sparsity:.6f} of the linear Hessian's entries is nearly zero, and of "
        f"{c.nonlinear_sparsity:.2f} of the nonlinear one's: the entries of "
        "its dense part are O(1/m), which a threshold relative to the largest entry, of O(1/√m) up to the "
        "logarithm, no longer counts. Its norm is what tells the two apart, not this share."
    )


def _rates(arrays: Arrays) -> str:
    c = claims.rates(arrays)
    return (
        f"The network that Adam trained has a Jacobian whose squared singular values span "
        f"{-np.log10(c.first):.0f} decades down to rounding; {100 * c.slow:.0f} % of the modes move more "
        "than a thousand times more slowly than the first. Gauss-Newton moves all of them at the same "
        f"rate. With the damping at which LM ended, λ = {c.damping:.0e}, {100 * c.second:.0f} % of the "
        "eigenvalues `s² / (s² + λ)` of its network are above one half, the others fall off: damping "
        "brings back what is left of the spectral bias."
    )


def _trainings(arrays: Arrays) -> str:
    rows = [
        "| training | relative L2, geometric mean | least | largest | wall time |",
        "|---|---|---|---|---|",
    ]
    spreads = claims.finals(arrays)
    for label, spread in spreads.items():
        rows.append(
            f"| {label} | {spread.mean:.1e} | {spread.errors.min():.1e} | {spread.errors.max():.1e} | "
            f"{spread.seconds:,.0f} s |"
        )
    text = f"LM's error is {_times(claims.advantage(arrays))} times below Adam's"
    if claims.SEARCH in spreads:
        ratio = claims.advantage(arrays, second=claims.SEARCH)
        text += f", and that of LM by the search rule of this package {_times(ratio)} times"
    return "\n".join([f"{text}, in geometric means over {_seeds(arrays)}.", "", *rows])


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


def _convection(arrays: Arrays) -> str:
    found = claims.convection(arrays)
    methods = list(found)
    betas = list(found["LM"])
    rows = ["| β | " + " | ".join(methods) + " |", "|---|" + "---|" * len(methods)]
    for beta in betas:
        spreads = [found[method][beta] for method in methods]
        cells = [
            f"{s.mean:.1e}"
            + (f" ({s.errors.min():.0e} to {s.errors.max():.0e})" if len(s.errors) > 1 else "")
            for s in spreads
        ]
        rows.append(f"| {beta:g} | " + " | ".join(cells) + " |")
    last = found["LM"][betas[-1]]
    solved = int((last.errors <= claims.SOLVED).sum())
    text = (
        f"At β = {betas[-1]:g} LM is below {claims.SOLVED:.0e} with {solved} of {_seeds(arrays)}. Relative "
        "L2 error, where there are several seeds their geometric mean (least to largest):"
    )
    return "\n".join([text, "", *rows])


def _settings(problem: str, points: str) -> str:
    """What was chosen for the benchmark of a problem."""
    return (
        f"Adam takes {settings.ADAM_STEPS[problem]:,} steps (paper: 100,000) at a rate of 1e-3 that "
        f"falls to an eighth, L-BFGS {settings.LBFGS_STEPS[problem]:,}, LM "
        f"{settings.LM_STEPS[problem]:,} of the paper's algorithm 1 (paper: 1,000), from damping 1. "
        f"Everything is float64, and conditions have weight one. {points}"
    )


def _count(points: Mapping[str, int]) -> str:
    return f"{points['equation']:,} points, and {points['conditions']:,} per condition"


SECTIONS: Mapping[str, Section] = {
    "1a": Section(
        "Figure 1a: the kernel at initialisation",
        "The kernel of a linear PDE is deterministic as the width grows; that of a nonlinear PDE stays "
        "random (theorem 3.4).",
        _norms,
        f"Domain [-1, 1] with the closed form at both ends, {toys.POINTS} equidistant points, one hidden "
        "layer in NTK scaling: the paper states none of the first two.",
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
        "`‖H_r‖` falls as 1/√m and H_r becomes sparse for a linear PDE; for a nonlinear one its norm "
        "stays above c̃ and it does not (propositions 3.7 and B.3).",
        _hessians,
        f"{toys.HESSIAN_POINTS} points and {toys.HESSIAN_SEEDS} seeds; how the paper averages over "
        "points is not stated. Entries below a thousandth of the largest count as nearly zero.",
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
    ),
    "3b": Section(
        "Figure 3: convection",
        "Adam fails from β ≈ 20 on, or a little later with a curriculum; LM solves β = 100 unaided.",
        _convection,
        "LM is by the search rule of this package, which takes fewer steps than the 5,000 of algorithm 1 in "
        "the paper: "
        f"{' and '.join(f'{settings.convection_steps(beta) + settings.LAST_STEPS:,}' for beta in settings.BETAS)} for these β. Adam takes "
        f"{settings.ADAM_STEPS['convection']:,}, and the curriculum divides them among stages of "
        f"{settings.CURRICULUM:g} in β; with more of them it fails at β = 100 too "
        f"(`convection-mlp-adam-beta100`). On {_count(settings.CONVECTION_POINTS)}, which LM draws anew every "
        f"{settings.CONVECTION_REDRAWS['levenberg_marquardt']} steps and Adam every "
        f"{settings.CONVECTION_REDRAWS['adam']}; the last {settings.LAST_STEPS} steps of LM are on "
        f"{_count(settings.LAST_POINTS)}, by residual. On fixed points LM finds networks that meet the equation "
        "at all of them and jump between them (`convection-mlp-levenberg_marquardt-beta100` is one). The "
        "paper states neither the points nor whether they stay.",
    ),
    "4a": Section(
        "Figure 4a: Burgers",
        "Adam and L-BFGS stay near 1e-3, LM reaches 1e-5, in steps and in wall time.",
        _trainings,
        _settings("burgers", f"{_count(settings.BURGERS_POINTS)}, as in the paper."),
    ),
    "4b": Section(
        "Figure 4b: the wake of a cylinder",
        "With causality training for both, LM reaches a reasonable solution of the Navier-Stokes "
        "equations and Adam does not.",
        _flow,
        f"Velocity-pressure form at Re = 100 on the paper's window; velocities at t = 0 and on all sides, "
        "and the pressure at one point, come from this package's own reference, since the paper's data "
        f"set is another simulation. Adam takes {settings.ADAM_STEPS['cylinder_wake']:,} steps and LM "
        f"{settings.LM_STEPS['cylinder_wake']:,}, each on {_count(settings.WAKE_POINTS)}, that are drawn "
        f"anew every {settings.WAKE_REDRAWS} steps (paper: 10,000 and 5,000 in every iteration). Causal "
        "weights with ε = 1 on 32 spans of time; the paper states neither.",
    ),
    "5": Section(
        "Figure 5: wave",
        "Adam and L-BFGS stall, LM goes down steadily.",
        _trainings,
        _settings("wave", f"{_count(settings.WAVE_POINTS)} (paper: 10,000 and 3,000 in all).")
        + f" The search rule takes {settings.SEARCH_STEPS['wave']} steps, on the same points. Algorithm 1 was "
        "stopped while its error was falling.",
    ),
}


def render(sweeps: Mapping[str, Arrays]) -> str:
    """The page, with a section for every sweep that is there."""
    parts = [HEAD]
    for name, section in SECTIONS.items():
        if name in sweeps:
            parts.append(
                f"## {section.title}\n\n**The paper:** {section.claim}\n\n![]({_image(name)})\n\n"
                f"**Here:** {section.measured(sweeps[name])}\n\n*Chosen here:* {section.settings}\n"
            )
    missing = [section.title for name, section in SECTIONS.items() if name not in sweeps]
    if missing:
        parts.append(
            f"## Not run yet\n\nThere are recipes but no stored sweeps for: {'; '.join(missing)}.\n"
        )
    return "\n".join(parts)


def _image(name: str) -> str:
    return f"paper/{name}.png"
