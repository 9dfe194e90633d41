"""What the paper claims, on the stored sweeps; and that the page says what they say."""

from pathlib import Path

import numpy as np
import pytest

from pinnzoo.experiments import FIGURES
from pinnzoo.paper import claims, page, toys
from pinnzoo.paper.figures import DRAW
from pinnzoo.paper.results import reduce_entry, sweep
from pinnzoo.plots import save
from tests.tiny_entries import tiny_entry

PAGE = Path(__file__).parent.parent.parent / "docs" / "paper"


def stored(name):
    with np.load(PAGE / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


STORED = sorted(path.stem for path in PAGE.glob("*.npz"))


def test_norm_of_the_linear_kernel_settles_and_that_of_the_nonlinear_does_not():
    arrays = stored("1a")
    assert arrays["widths"][-1] >= 10_000
    assert arrays["toy_linear.norm"].shape[1] >= 10
    found = claims.kernel_norms(arrays)
    assert found.linear_slope < -0.4
    assert abs(found.nonlinear_slope) < 0.2
    assert found.linear_distance < 0.02
    assert found.p_value > 0.05


def test_drift_of_the_linear_kernel_falls_with_width_and_that_of_the_nonlinear_does_not():
    found = claims.drifts(stored("1b"))
    assert found.linear_slope <= -0.4
    assert found.nonlinear_ratio < 2
    assert found.descent < 0.01


def test_hessian_of_the_linear_toy_falls_and_that_of_the_nonlinear_stays():
    arrays = stored("2a")
    found = claims.hessians(arrays)
    # Without the factor (ln m)^{3/2} it falls more slowly than the claim, at any width in reach.
    assert -0.4 < found.linear_slope < -0.2
    assert found.corrected_slope == pytest.approx(-0.5, abs=0.1)
    # c̃ as printed is zero for tanh; half of the sharp limit takes its place.
    assert found.bound == pytest.approx(0, abs=1e-12)
    assert found.nonlinear_least > 0.5
    assert found.nonlinear_distance < 0.05
    assert found.linear_sparsity > 0.999


def test_page_says_what_the_sweeps_say():
    text = page.render({name: stored(name) for name in STORED})
    assert PAGE.with_suffix(".md").read_text(encoding="utf-8") == text
    for name in STORED:
        assert (PAGE / f"{name}.png").is_file()


@pytest.mark.parametrize("name", STORED)
def test_every_stored_sweep_can_be_drawn(name, tmp_path):
    assert save(DRAW[name](stored(name)), tmp_path / "figure.png").stat().st_size > 5000


# The functions behind the numbers, on sweeps that are made up.


def test_slopes_and_ratios_are_those_of_made_up_sweeps():
    widths = np.array([10, 100, 1000, 10_000])
    ones = np.ones((4, 3))
    power = widths[:, None] ** -0.5 * ones
    arrays = {"widths": widths, "steps": np.array(5)}
    for key, linear, nonlinear in (
        ("drift", power, 2 * ones),
        ("initial_loss", ones, ones),
        ("final_loss", 0.1 * ones, 0.01 * ones),
    ):
        arrays |= {f"toy_linear.{key}": linear, f"toy_nonlinear.{key}": nonlinear}
    found = claims.drifts(arrays)
    assert found.linear_slope == pytest.approx(-0.5)
    assert found.nonlinear_slope == pytest.approx(0)
    assert found.nonlinear_ratio == pytest.approx(1)
    assert found.descent == pytest.approx(0.1)


def test_sweep_of_trainings_keeps_every_seed_and_means_are_geometric():
    entry = tiny_entry()
    trained = []

    def train(recipe):
        trained.append((recipe.name, recipe.seed))
        return entry

    labels = dict(list(FIGURES["3a"].items())[:2])
    arrays = sweep(labels, train, seeds=2)
    assert trained == [(r.name, seed) for seed in (0, 1) for r in labels.values()]
    kept = reduce_entry(entry)
    for label in labels:
        for seed in (0, 1):
            for key, value in kept.items():
                np.testing.assert_array_equal(arrays[f"{label}/{seed}/{key}"], value)
    (first, second) = labels
    arrays[f"{first}/0/final_error"] = np.array(1e-2)
    arrays[f"{first}/1/final_error"] = np.array(1e-4)
    arrays[f"{second}/0/final_error"] = arrays[f"{second}/1/final_error"] = np.array(1e-5)
    assert claims.finals(arrays)[first].mean == pytest.approx(1e-3)
    assert claims.advantage(arrays, first, second) == pytest.approx(100)


def test_recipes_of_the_paper_have_names_of_their_own():
    names = [recipe.name for recipes in FIGURES.values() for recipe in recipes.values()]
    assert len(set(names)) == len(names)
    for recipes in FIGURES.values():
        for label, recipe in recipes.items():
            assert recipe.steps > 0
            if "curriculum" in label:
                beta = recipe.problem_arguments["beta"]
                stages = [float(p.problem_arguments.get("beta", beta)) for p in recipe.phases]
                assert stages == sorted(stages)
                assert stages[-1] == beta


def test_a_curve_ends_with_the_training():
    entry = tiny_entry()
    kept = reduce_entry(entry)
    history = entry.history
    assert kept["step"][0] == history["step"][0]
    assert kept["step"][-1] == history["step"][-1]
    assert np.all(np.isin(kept["step"], history["step"]))
    assert toys.WIDTHS[-1] >= 10_000
