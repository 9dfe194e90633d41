"""Train the inverse problems on measurements made from their references, and print what is found.

    python scripts/inverse_problems.py burgers_inverse heat_conductivity --seconds 300
    python scripts/inverse_problems.py burgers_inverse --draws 40

With `--draws`, that many draws of 1 % noise at the same points are fitted, each starting from the
network of clean data, and the table says in how many of them the truth lies within two stated
standard errors.
"""

import argparse
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

import pinnzoo
from pinnzoo import Entry, Observations, observe
from pinnzoo.catalog.benchmarks import MEASURED, Measured
from pinnzoo.collocation import draw_points
from pinnzoo.diagnostics.covariance import estimates_at
from pinnzoo.objective import OBSERVATIONS, assemble
from pinnzoo.optimizers import make_optimizer
from pinnzoo.pdes import make_problem

WITHIN = 2.0
"""Standard errors within which the truth should lie."""

FINE = {"xatol": 1e-5}
"""How precisely a period is found."""

CASES = {measured.recipe.problem: measured for measured in MEASURED}


def observations(case: Measured, seed: int) -> Observations:
    """Measurements made from the reference."""
    problem = make_problem(case.recipe.problem, case.recipe.problem_arguments)
    return observe(
        problem,
        case.n,
        components=case.components,
        noise=case.noise,
        relative=False,
        seed=seed,
    )


def measured_period(data: Observations, shortest: float = 3.0, longest: float = 16.0) -> float:
    """The period of what repeats itself in time, from values at scattered points `(t, x, y)`.

    The one with which a wave in time times polynomials in space fits the values best, in the sense
    of least squares (a periodogram of Lomb, 1976, whose amplitudes depend on the place).

    Args:
        data: What was measured.
        shortest: Period from which on to look.
        longest: Period up to which to look; about the time that was measured.
    """
    times, *places = data.points.T
    of_place = np.ones((len(times), 1))
    for place, degree in zip(places, (4, 3), strict=True):
        unit = 2 * (place - place.min()) / np.ptp(place) - 1
        powers = np.polynomial.chebyshev.chebvander(unit, degree)
        of_place = (of_place[:, :, None] * powers[:, None]).reshape(len(times), -1)

    def misfit(period: float) -> float:
        angle = 2 * np.pi * times / period
        waves = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=1)
        functions = (waves[:, :, None] * of_place[:, None]).reshape(len(times), -1)
        found = np.linalg.lstsq(functions, data.values, rcond=None)[0]
        return float(np.linalg.norm(functions @ found - data.values))

    tried = np.geomspace(shortest, longest, 40)
    k = int(np.clip(np.argmin([misfit(period) for period in tried]), 1, len(tried) - 2))
    around = (tried[k - 1], tried[k + 1])
    found: Any = minimize_scalar(misfit, bounds=around, method="bounded", options=FINE)
    return float(found.x)


def fit(case: Measured, seed: int, seconds: float) -> Entry:
    """Train a case on its measurements."""
    return pinnzoo.train(
        case.recipe,
        observations=observations(case, seed),
        seconds=seconds,
        diagnostics=False,
    )


def tell(entry: Entry) -> None:
    """Print what was found, and how far it is from the truth."""
    print(
        f"{entry.name}: {entry.metrics['steps']} steps, "
        f"{entry.metrics['training_seconds']:.0f} s, loss {entry.metrics['loss']:.2e}, "
        f"error of the solution {entry.metrics['relative_l2_error']:.2e}"
    )
    for name, each in entry.unknowns.items():
        off = each.value / entry.problem.truth[name] - 1
        print(
            f"  {name} = {each.value:.9g}: {off:+.1e} of the truth, "
            f"standard error {each.standard_error:.1e}"
        )
    errors = entry.metrics.get("components", {}).get("relative_l2_error", {})
    for name, error in errors.items():
        print(f"  error of {name}: {error:.2e}")
    if "p" in entry.problem.components:
        print(f"  error of p up to a constant: {pressure_error(entry):.2e}")


def pressure_error(entry: Entry) -> float:
    """Relative L2 error of the pressure, less the mean difference over the domain."""
    points = entry.problem.evaluation_points()
    k = entry.problem.components.index("p")
    own = entry.predict(points)[:, k]
    assert entry.problem.reference is not None
    exact = entry.problem.reference(points)[:, k]
    exact = exact - exact.mean()
    return float(np.linalg.norm(own - own.mean() - exact) / np.linalg.norm(exact))


def coverage(entry: Entry, draws: int, noise: float, steps: int) -> None:
    """Fit draws of noise, each from the entry of clean data, and count where the truth lies.

    All draws share one residual vector, in which only the measured values change, so that
    nothing is compiled twice.
    """
    clean, problem = entry.observations, entry.problem
    assert clean is not None
    parameters = entry.metrics["parameters"]
    counts = {"equation": 3 * parameters, "conditions": 200}
    points = draw_points(problem, counts, entry.recipe.sampler, entry.recipe.seed, 1)
    theta, objective, to_model = assemble(problem, entry.model, points, None, clean)
    optimizer = make_optimizer("levenberg_marquardt", {"damping": 1e-3})
    deviation = noise * clean.values.std()
    scores: dict[str, list[float]] = {name: [] for name in entry.unknowns}
    for seed in range(draws):
        drawn = np.random.default_rng([seed, 1]).standard_normal(clean.values.shape)
        data = Observations(clean.points, clean.values + deviation * drawn, clean.components)
        noisy = objective.with_points({OBSERVATIONS: data.rows(problem)})
        found, state = theta, optimizer.init(noisy, theta)
        for _ in range(steps):
            found, state, _ = optimizer.step(noisy, found, state)
        estimates, level = estimates_at(problem, to_model(found), noisy, found)
        for name, each in estimates.items():
            scores[name].append((each.value - problem.truth[name]) / each.standard_error)
        told = [
            f"{name} {each.value:.6g} ± {each.standard_error:.1e} ({scores[name][-1]:+.2f})"
            for name, each in estimates.items()
        ]
        print(f"  draw {seed}: {', '.join(told)}, noise {level / deviation:.3f}", flush=True)
    for name, each in scores.items():
        inside = int(np.sum(np.abs(each) <= WITHIN))
        print(
            f"  {name}: truth within {WITHIN:g} standard errors in {inside} of {draws}; "
            f"mean of the scores {np.mean(each):+.2f}, standard deviation {np.std(each):.2f}"
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=0)
    parser.add_argument("--draw-steps", type=int, default=8)
    parser.add_argument("--load", help="folder of an entry to take instead of a training")
    parser.add_argument("--save", help="folder for the entries")
    arguments = parser.parse_args()
    pinnzoo.enable_x64()
    for name in arguments.cases:
        if arguments.load:
            entry = pinnzoo.load(arguments.load)
        else:
            entry = fit(CASES[name], arguments.seed, arguments.seconds)
        tell(entry)
        if arguments.save:
            entry.save(f"{arguments.save}/{entry.name}", overwrite=True)
        if arguments.draws:
            coverage(entry, arguments.draws, 0.01, arguments.draw_steps)


if __name__ == "__main__":
    main()
