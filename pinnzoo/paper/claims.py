"""The paper's claims as numbers, computed from the stored sweeps."""

from typing import NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Float

from pinnzoo.paper.toys import Arrays

LINEAR, NONLINEAR = "toy_linear", "toy_nonlinear"

WIDE = 300
"""Widths from here on count as wide: power laws of figures 1b and 2a are fitted to them."""

RANK = 1e-13
"""Singular values below this share of the largest are lost in rounding."""

SEARCH = "LM, search"
"""Label of the trainings by Levenberg-Marquardt with this package's own rule."""

SIGNIFICANCE = 0.05
"""Below it two samples are told apart."""

SOLVED = 1e-4
"""Relative L2 error below which convection counts as solved."""


def slope(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    """Exponent of the power law through (x, y), by least squares on logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def largest_ratio(values: Float[np.ndarray, " n"]) -> float:
    """Largest over smallest."""
    return float(values.max() / values.min())


class KernelNorms(NamedTuple):
    """Figure 1a.

    Attributes:
        linear_slope: Exponent of the standard deviation of `‖K(0)‖` over all widths, linear toy.
        nonlinear_slope: The same for the nonlinear toy.
        linear_distance: Of the mean at the largest width to the norm of the limit, relative.
        p_value: Of the test of Kolmogorov and Smirnov that wide networks have the limiting
            distribution.
    """

    linear_slope: float
    nonlinear_slope: float
    linear_distance: float
    p_value: float


def kernel_norms(arrays: Arrays) -> KernelNorms:
    """What figure 1a shows."""
    widths = arrays["widths"]
    spread = {
        name: slope(widths, arrays[f"{name}.norm"].std(axis=1, ddof=1))
        for name in (LINEAR, NONLINEAR)
    }
    limit = float(arrays[f"{LINEAR}.limit"])
    last = float(arrays[f"{LINEAR}.norm"][-1].mean())
    test = scipy.stats.ks_2samp(arrays[f"{NONLINEAR}.wide"], arrays[f"{NONLINEAR}.limit"])
    return KernelNorms(
        spread[LINEAR],
        spread[NONLINEAR],
        abs(last - limit) / limit,
        float(test.pvalue),  # pyright: ignore[reportAttributeAccessIssue]
    )


class Drifts(NamedTuple):
    """Figure 1b.

    Attributes:
        linear_slope: Exponent of the median drift of the linear toy over wide networks.
        nonlinear_slope: The same for the nonlinear toy.
        nonlinear_ratio: Largest over smallest median drift of the nonlinear toy in the last decade
            of widths.
        nonlinear_drift: Median drift of the nonlinear toy at the largest width.
        descent: Largest ratio of final to initial loss, in the median over seeds.
    """

    linear_slope: float
    nonlinear_slope: float
    nonlinear_ratio: float
    nonlinear_drift: float
    descent: float


def drifts(arrays: Arrays) -> Drifts:
    """What figure 1b shows; medians, since drifts of the nonlinear toy have a heavy tail."""
    widths = arrays["widths"]
    medians = {name: np.median(arrays[f"{name}.drift"], axis=1) for name in (LINEAR, NONLINEAR)}
    decade = medians[NONLINEAR][widths >= widths[-1] / 10]
    ratios = [
        np.median(arrays[f"{name}.final_loss"] / arrays[f"{name}.initial_loss"], axis=1).max()
        for name in (LINEAR, NONLINEAR)
    ]
    wide = widths >= WIDE
    return Drifts(
        slope(widths[wide], medians[LINEAR][wide]),
        slope(widths[wide], medians[NONLINEAR][wide]),
        largest_ratio(decade),
        float(medians[NONLINEAR][-1]),
        float(max(ratios)),
    )


class Hessians(NamedTuple):
    """Figure 2a.

    Attributes:
        linear_slope: Exponent of `‖H_r‖` of the linear toy, its mean over points and seeds, over
            wide networks.
        corrected_slope: The same, of that mean over (ln m)^{3/2}.
        bounded_slope: The same as `linear_slope` for networks with bounded weights.
        bound: c̃ of proposition 3.7 as printed, its mean over the points.
        limit: The limit of `‖H_r‖` of the nonlinear toy, its mean over the points.
        nonlinear_least: Smallest `‖H_r‖` of the nonlinear toy over the limit at the same point:
            over all wide networks, seeds and points.
        nonlinear_distance: Of the mean at the largest width to the limit, relative.
        linear_sparsity: Share of entries that are nearly zero at the largest width.
        nonlinear_sparsity: The same for the nonlinear toy.
    """

    linear_slope: float
    corrected_slope: float
    bounded_slope: float
    bound: float
    limit: float
    nonlinear_least: float
    nonlinear_distance: float
    linear_sparsity: float
    nonlinear_sparsity: float


def hessians(arrays: Arrays) -> Hessians:
    """What figure 2a shows."""
    wide = arrays["widths"] >= WIDE
    widths = arrays["widths"][wide]
    linear, nonlinear = (arrays[f"{name}.norm"][wide] for name in (LINEAR, NONLINEAR))
    means = linear.mean(axis=(1, 2))
    limit = arrays["limit"]
    return Hessians(
        slope(widths, means),
        slope(widths, means / np.log(widths) ** 1.5),
        slope(widths, arrays[f"{LINEAR}.bounded"][wide].mean(axis=(1, 2))),
        float(arrays["lower_bound"].mean()),
        float(limit.mean()),
        float((nonlinear / limit).min()),
        float(abs(nonlinear[-1].mean() - limit.mean()) / limit.mean()),
        float(arrays[f"{LINEAR}.sparsity"][-1].mean()),
        float(arrays[f"{NONLINEAR}.sparsity"][-1].mean()),
    )


class Rates(NamedTuple):
    """Figure 2b.

    Attributes:
        modes: Singular values of the Jacobian of the network that Adam trained.
        rank: How many of them are not lost in rounding.
        slow: Share of the eigenvalues of those dynamics below a thousandth of the largest.
        second: Share of the eigenvalues of the dynamics of LM above one half.
        damping: λ at the end.
    """

    modes: int
    rank: int
    slow: float
    second: float
    damping: float


def first_order(values: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Eigenvalues of `J Jᵀ` over the largest, from the singular values of J."""
    return (values / values[0]) ** 2


def second_order(values: Float[np.ndarray, " k"], damping: float) -> Float[np.ndarray, " k"]:
    """Eigenvalues of `J (JᵀJ + λ I)⁻¹ Jᵀ`; those of Gauss-Newton are one on the range of J."""
    return values**2 / (values**2 + damping)


def rates(arrays: Arrays) -> Rates:
    """What figure 2b shows."""
    first = first_order(arrays["Adam.singular_values"])
    damping = float(arrays["damping"])
    second = second_order(arrays["LM.singular_values"], damping)
    values = arrays["Adam.singular_values"]
    return Rates(
        len(values),
        int((values > RANK * values[0]).sum()),
        float((first < 1e-3).mean()),
        float((second > 0.5).mean()),
        damping,
    )


class Spread(NamedTuple):
    """Errors of one training over its seeds.

    Attributes:
        errors: Relative L2 error of the entry of each seed.
        seconds: Median wall time.
        steps: Steps that were taken.
        drifts: `‖K(T) - K(0)‖ / ‖K(0)‖`.
        hessians: `‖H_r‖` at the end, its mean over points.
    """

    errors: Float[np.ndarray, " s"]
    seconds: float
    steps: Float[np.ndarray, " s"]
    drifts: Float[np.ndarray, " s"]
    hessians: Float[np.ndarray, " s"]

    @property
    def mean(self) -> float:
        """Geometric mean: errors of one training can differ by orders of magnitude."""
        return float(np.exp(np.log(self.errors).mean()))


def finals(arrays: Arrays) -> dict[str, Spread]:
    """Errors of every training of a figure, by label."""
    found = {}
    for label in map(str, arrays["labels"]):
        errors, seconds, steps, drifts, hessians = (
            np.array([float(arrays[f"{label}/{seed}/{key}"].flat[-1]) for seed in arrays["seeds"]])
            for key in ("final_error", "wall_time", "step", "ntk_drift", "hessian")
        )
        found[label] = Spread(errors, float(np.median(seconds)), steps, drifts, hessians)
    return found


def advantage(arrays: Arrays, first: str = "Adam", second: str = "LM") -> float:
    """How many times the error of one training is above that of another, in geometric means."""
    spreads = finals(arrays)
    return spreads[first].mean / spreads[second].mean


def convection(arrays: Arrays) -> dict[str, dict[float, Spread]]:
    """Figure 3b: errors by method and β, from labels "method, β = value"."""
    found: dict[str, dict[float, Spread]] = {}
    for label, spread in finals(arrays).items():
        method, _, beta = label.rpartition(", β = ")
        found.setdefault(method, {})[float(beta)] = spread
    return found


class Flow(NamedTuple):
    """Figure 4b.

    Attributes:
        errors: Mean over time and seeds of the relative L2 error of the velocity, by label.
        seconds: Wall time by label: the least over seeds for Adam, the largest for LM.
        ratio: Error of LM over that of Adam.
    """

    errors: dict[str, float]
    seconds: dict[str, float]
    ratio: float


def flow(arrays: Arrays) -> Flow:
    """What figure 4b shows."""
    pick = {"Adam": min, "LM": max}
    errors, seconds = {}, {}
    for label, extreme in pick.items():
        of = [f"{label}/{seed}" for seed in arrays["seeds"]]
        errors[label] = float(np.mean([arrays[f"{key}/velocity_error"] for key in of]))
        seconds[label] = float(extreme(arrays[f"{key}/wall_time"] for key in of))
    return Flow(errors, seconds, errors["LM"] / errors["Adam"])
