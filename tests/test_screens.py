"""Tables on terminals of every width and encoding: numbers are whole, or not there."""

import io

import pytest
from rich.console import Console

from pinnzoo.cli import screens
from tests.tiny_entries import tiny_metrics, tiny_recipe, without_reference

NAME = "convection-mlp-levenberg_marquardt-paper.beta100.curriculum"


def shown(screen, data, width=80, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    screen(Console(file=file, width=width, highlight=False), data)
    text = file.buffer.getvalue().decode(encoding)
    assert all(len(line) <= width for line in text.splitlines() if "wrote" not in line)
    return text


def row(**changes):
    return {
        "name": NAME,
        "problem_title": "Convection, beta = 100",
        "optimizers": ["levenberg_marquardt"],
        "relative_l2_error": 3.3487e-10,
        "parameters": 1761,
        "steps": 30_000,
        "training_seconds": 12_000.0,
    } | changes


@pytest.mark.parametrize("width", [40, 60, 80, 110, 220])
def test_list_shows_whole_numbers_at_every_width(width):
    text = shown(screens.entries, [row(), row(name="heat-mlp-adam", steps=7)], width)
    assert "…" not in text
    assert text.count("3.35e-10") == 2
    for begins, whole, least in (
        ("30,", "30,000", 80),
        ("1,7", "1,761", 110),
        ("3 h", "3 h 20", 60),
    ):
        assert text.count(begins) == text.count(whole)
        assert (whole in text) == (width >= least), (whole, text)
    assert ("Convection" in text) == (width == 220)
    # A long name goes on in the next line, all of it.
    below = text.rpartition("─")[2].splitlines()
    names = "".join(line.split(" ")[1] for line in below if line.strip())
    assert names == NAME + "heat-mlp-adam"


def matrix_row(problem="Heat equation", architecture="mlp", **errors):
    entries = {
        name: {"name": f"heat-mlp-{name}", "relative_l2_error": error, "best": name == "soap"}
        for name, error in errors.items()
    }
    return {"problem_title": problem, "architecture": architecture, "entries": entries}


@pytest.mark.parametrize("width", [40, 60, 80, 220])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_matrix_shows_whole_numbers_at_every_width(width, encoding):
    errors = {"adam": 1.5e-3, "soap": 2.5e-5, "ssbroyden": None, "levenberg_marquardt": 3.5e-9}
    rows = [matrix_row(**errors), matrix_row(architecture="piratenet", **errors)]
    rows[1]["entries"]["adam"] = None
    text = shown(screens.matrix, rows, width, encoding)
    assert text.count("Heat equation") == 1
    assert "piratenet" in text
    assert text.count("3.50e-09") == 2
    assert text.count("1.50e-03") == 1
    assert text.count("2.50e-05") == (2 if width >= 80 else 0)
    assert "…" not in text


def test_list_without_an_error_has_a_dash_and_takes_either_time():
    text = shown(screens.entries, [row(relative_l2_error=None, wall_time_seconds=41.0)])
    assert "–" in text
    assert "nan" not in text
    assert "41 s" in text


@pytest.mark.parametrize("width", [40, 60, 80])
def test_other_tables_keep_their_errors_whole(width):
    errors = {"relative_l2_error": 1.2345e-10, "max_error": 2.3456e-10, "reference_error": 1e-16}
    evaluation = {"name": NAME, "computed": errors, "stored": errors, "matches": True}
    text = shown(screens.evaluations, [evaluation], width)
    assert "1.2345e-10" in text
    assert "matches" in text
    compared = {"name": NAME, "relative_l2_error": 3.4e-10, "drift_spectral": 1.2e5}
    compared |= {"residual_hessian": [1.0, 2.0], "residual_hessian_points": 16, "equations": 3}
    text += shown(screens.comparison, {"entries": [compared], "plots": []}, width)
    assert "3.40e-10" in text
    snapshot = {"step": 30_000, "drift_spectral": 1.2e15, "drift_frobenius": 1.0}
    snapshot |= {"effective_rank": 12.5, "eigenvalues": [1e18, 1e17], "relative_l2_error": 1e-10}
    data = {"name": NAME, "problem_title": "Convection", "points": {"equation": 64}}
    data["equations"] = 3
    data |= {"metrics": tiny_metrics(), "plots": [], "snapshots": [snapshot]}
    text += shown(screens.analysis, data, width)
    assert "30,000" in text
    assert "1.20e+15" in text
    assert "of the residual of the first equation" in " ".join(text.split())
    assert "…" not in text


def info(metrics):
    recipe = tiny_recipe()
    return {
        "name": recipe.name,
        "problem_title": "Heat equation, κ = 0.25",
        "statement": "`u_t = κ u_xx`",
        "folder": "somewhere",
        "recipe": recipe.to_dict(),
        "metrics": metrics,
    }


def test_info_has_no_row_for_what_is_not_stated():
    metrics = without_reference(tiny_metrics(), "ntk", "loss_hessian", mass={"version": 1})
    text = shown(screens.info, info(metrics))
    for word in ("Relative L2", "Max error", "NTK", "Loss Hessian", "Wall time", "nan", "None"):
        assert word not in text, word
    assert "none, so the error is not known" in text
    assert "Other records     mass" in text
    everything = shown(screens.info, info(tiny_metrics(wall_time_seconds=100.0)))
    for word in ("1.235e-05", "1 min 15 s", "1 min 40 s", "NTK drift", "Loss Hessian"):
        assert word in everything, word


def test_info_says_how_errors_differ_over_a_parameter_of_the_equation():
    block = {"version": 1, "parameters": ["n"], "values": [[0.01], [0.1]], "errors": [4e-6, 1e-7]}
    metrics = tiny_metrics(parameter_errors=block | {"mean": 2.05e-6, "worst": 4e-6})
    rows = [" ".join(line.split()) for line in shown(screens.info, info(metrics)).splitlines()]
    assert "Error over n mean 2.05e-06, worst 4.00e-06 at n = 0.01" in rows
    assert "Error over" not in shown(screens.info, info(tiny_metrics()))


def test_analysis_and_training_without_reference_and_kernels():
    metrics = without_reference(tiny_metrics(), "ntk", "residual_hessian", "loss_hessian")
    data = {"name": NAME, "problem_title": "x", "metrics": metrics, "plots": [], "snapshots": []}
    assert "no reference" in shown(screens.analysis, data)
    made = {"name": NAME, "folder": "f", "steps": 5, "training_seconds": 1.0, "loss": 1e-3}
    found = {"unknowns": {"a": 2.03, "b": 1.0}, "standard_errors": {"a": 0.0123}}
    text = shown(screens.trained, made | found)
    assert "found a = 2.03, standard error 1.2e-02\n" in text
    assert "found b = 1\n" in text
    assert "loss 1.000e-03 after 5 steps, 1.0 s" in shown(screens.trained, made)
    assert "3.000e-02 → 1.000e-03 (30 times smaller)" in shown(
        screens.trained, made | {"before": 3e-2, "after": 1e-3}
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_terminals_without_the_characters_get_words(encoding):
    text = shown(screens.info, info(tiny_metrics()), encoding=encoding)
    assert "kappa = 0.25" in text
    assert "20.0 -> 40.0" in text
    assert "?" not in text
    shown(screens.entries, [row(relative_l2_error=None)], encoding=encoding)
    assert screens.spoken("λ1 × 10² – ‖x‖ 漢", "ascii") == "lambda1 x 102 - ||x|| ?"


def test_brackets_in_a_name_are_no_markup():
    assert "[bold]mine" in shown(screens.entries, [row(name="[bold]mine")])
