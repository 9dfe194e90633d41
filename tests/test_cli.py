import dataclasses
import json
import os
import signal
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
from click.testing import CliRunner

from pinnzoo import evaluation, training, zoo
from pinnzoo.architectures import ARCHITECTURES, make_architecture
from pinnzoo.cli import app, commands, options, screens
from pinnzoo.cli.analysis import analysis
from pinnzoo.cli.commands import Argument
from pinnzoo.cli.output import INTERRUPTED, plain
from pinnzoo.diagnostics import DIAGNOSTICS
from pinnzoo.errors import EntryError, TrainingError, UnknownNameError
from pinnzoo.optimizers import OPTIMIZERS
from pinnzoo.pdes import PROBLEMS
from pinnzoo.recipes import Phase
from pinnzoo.storage.index import read_index
from tests.tiny_entries import (
    STEPS,
    tiny_entry,
    tiny_metrics,
    tiny_recipe,
    without_reference,
    write_folder,
)

NAME = "heat-mlp-levenberg_marquardt"


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def run_json(*arguments, code=0):
    return json.loads(run(*arguments, "--json", code=code).stdout)


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """Three entries that can be listed but not loaded."""
    folder = tmp_path / "checkpoints"
    for problem, optimizer, error in (
        ("heat", "levenberg_marquardt", 2e-6),
        ("heat", "adam", 3e-3),
        ("burgers", "adam", 4e-3),
    ):
        write_folder(folder, tiny_recipe(problem, optimizer), tiny_metrics(problem, error))
    monkeypatch.setattr(zoo, "search_folders", lambda: [folder])
    return folder


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """The entry that is loaded under any name, and a working directory of its own."""
    entry = tiny_entry()
    entry.saved = []
    entry.save = lambda folder, **options: entry.saved.append((Path(folder), options))
    monkeypatch.setattr(options, "load", lambda _: entry)
    monkeypatch.chdir(tmp_path)
    return entry


# --- entries that lack what most have


def lacking(*left_out, **changes):
    """An entry whose problem has no reference, without some blocks and with others."""
    metrics = without_reference(tiny_metrics(), *left_out, **changes)
    entry = tiny_entry(metrics=metrics)
    entry.problem = dataclasses.replace(entry.problem, reference=None)
    if "ntk" in left_out or "ntk" in changes:
        entry.ntk = None
    entry.history["relative_l2_error"] = np.full(31, np.nan)
    return entry


LACKING = {
    "no diagnostics": (("ntk", "residual_hessian", "loss_hessian"), {}),
    "kernels alone": (("residual_hessian", "loss_hessian"), {}),
    "newer blocks": ((), {"ntk": {"version": 9}, "residual_hessian": {"version": 9, "a": [1]}}),
    "unknown block": (("ntk",), {"mass": {"version": 1, "drift": 3.0}}),
}


@pytest.mark.parametrize("kind", LACKING)
def test_every_verb_takes_an_entry_that_lacks_what_most_have(tmp_path, monkeypatch, kind):
    left_out, changes = LACKING[kind]
    entry = lacking(*left_out, **changes)
    root = tmp_path / "checkpoints"
    write_folder(root, entry.recipe, entry.metrics)
    monkeypatch.setattr(zoo, "search_folders", lambda: [root])
    monkeypatch.setattr(options, "load", lambda _: entry)
    monkeypatch.chdir(tmp_path)
    texts = [
        run("list").stdout,
        run("info", NAME).stdout,
        run("analyze", NAME, "--out", "one").stdout,
        run("analyze", NAME, f"./checkpoints/{NAME}", "--out", "two").stdout,
        run("plot", NAME, "--out", "three").stdout,
        run("cards", "--no-plots").stdout,
        (root / NAME / "README.md").read_text(),
        (tmp_path / "MODEL_CARDS.md").read_text(),
    ]
    for text in texts:
        assert text.strip()
        assert "nan" not in text.lower().replace("finance", "")
        assert "None" not in text
    for arguments in (["analyze", NAME], ["analyze", NAME, NAME + "2"], ["info", NAME], ["list"]):
        run_json(*arguments, *(["--no-plots"] if arguments[0] == "analyze" else []))
    assert (tmp_path / "two" / "comparison.png").is_file()
    pictures = {"solution.png", "history.png"} | ({"kernel.png"} if entry.ntk else set())
    for folder in ("one", "three"):
        assert {path.name for path in (tmp_path / folder).iterdir()} == pictures
    assert "no reference" in run("evaluate", NAME, code=1).stderr
    assert "no reference" in run("evaluate", "--all").stderr
    if entry.ntk is None:
        assert "no kernels" in run("plot", NAME, "ntk", code=1).stderr


def test_an_entry_that_states_no_error_of_a_problem_with_a_reference_is_evaluated(
    monkeypatch, tmp_path
):
    entry = tiny_entry(metrics=without_reference(tiny_metrics()))
    monkeypatch.setattr(options, "load", lambda _: entry)
    (row,) = run_json("evaluate", NAME)
    assert row["stored"] == {}
    assert row["matches"] is None
    assert row["computed"]["relative_l2_error"] > 0
    assert "none stored" in run("evaluate", NAME).stdout


# --- list and info


def test_list_shows_every_entry_with_its_figures(checkpoints):
    lines = run("list").stdout.splitlines()
    (row,) = [line for line in lines if NAME in line]
    for cell in (
        "Heat equation",
        "Adam + Levenberg-Marquardt",
        "2.00e-06",
        "105",
        "30",
        "1 min 15 s",
    ):
        assert cell in row
    assert sum("-mlp-" in line for line in lines) == 3


def test_many_phases_of_one_optimizer_are_named_once(checkpoints):
    phases = tuple(Phase("levenberg_marquardt", steps) for steps in (70, 4, 1000, 1))
    recipe = tiny_recipe("heat", tag="windows", phases=phases)
    write_folder(checkpoints, recipe, tiny_metrics("heat", 1e-9))
    (row,) = [line for line in run("list").stdout.splitlines() if "windows" in line]
    assert row.count("Levenberg-Marquardt") == 1
    assert "1,075 steps of Levenberg-Marquardt in 4 phases" in run("info", recipe.name).stdout


@pytest.mark.parametrize(
    ("pattern", "count"), [("*", 3), ("heat*", 2), ("*-adam", 2), ("heat-mlp-lm", 1), ("x*", 0)]
)
def test_list_takes_a_pattern(checkpoints, pattern, count):
    assert len(run_json("list", pattern)) == count


def test_list_as_json_has_full_precision(checkpoints):
    rows = {row["name"]: row for row in run_json("list")}
    assert rows[NAME]["relative_l2_error"] == 2e-6
    assert rows[NAME]["optimizers"] == ["adam", "levenberg_marquardt"]
    assert list(rows) == sorted(rows)


def test_matrix_has_a_row_for_each_problem_and_architecture(checkpoints):
    lines = run("list", "--matrix").stdout.splitlines()
    place = next(k for k, line in enumerate(lines) if "Heat equation" in line)
    assert lines[place + 1].split() == ["mlp", "3.00e-03", "2.00e-06"]
    rows = {row["problem_title"]: row for row in run_json("list", "--matrix")}
    heat = rows["Heat equation"]
    assert heat["architecture"] == "mlp"
    assert heat["entries"]["levenberg_marquardt"] == {
        "name": NAME,
        "relative_l2_error": 2e-6,
        "best": True,
    }
    assert heat["entries"]["adam"]["best"] is False
    assert run_json("list", "x*", "--matrix") == []
    assert "no entry" in run("list", "x*", "--matrix").stdout


def test_damaged_entry_does_not_hide_the_others(checkpoints):
    (checkpoints / NAME / "metrics.json").write_text("{}")
    result = run("list", code=1)
    assert "heat-mlp-adam" in result.stdout
    assert NAME not in result.stdout
    assert "damaged" in result.stderr


def test_damaged_entry_is_found_beside_an_index(checkpoints):
    run("cards", "--root", checkpoints.parent, "--no-plots")
    listed = run_json("list")
    assert (checkpoints / "index.json").is_file()
    read_index.cache_clear()
    assert run_json("list") == listed
    (checkpoints / NAME / "metrics.json").write_text("{}")
    result = run("list", code=1)
    assert NAME not in result.stdout
    assert "damaged" in result.stderr


def test_info_shows_recipe_and_figures(checkpoints):
    text = run("info", "heat-mlp-lm").stdout
    for part in (
        NAME,
        "u_t = κ u_xx",
        "2.000e-06",
        "width=8",
        "20 x Adam",
        "20.0 → 40.0",
        "a computer",
    ):
        assert part in text
    data = run_json("info", "heat-mlp-lm")
    assert data["metrics"]["ntk"]["drift"]["all"]["spectral"] > 0
    assert data["recipe"]["phases"][0]["optimizer"] == "adam"


# --- names


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("problems", PROBLEMS),
        ("architectures", ARCHITECTURES),
        ("optimizers", OPTIMIZERS),
        ("diagnostics", DIAGNOSTICS),
    ],
)
def test_names_are_those_of_the_table(kind, table):
    rows = run_json("names", kind)
    assert [row["name"] for row in rows] == sorted(table)
    shown = run("names", kind).stdout
    assert all(row["name"] in shown and row["title"] in shown for row in rows)


def test_names_tell_what_recipes_may_set():
    viscosity = next(row for row in run_json("names") if row["name"] == "burgers")
    assert viscosity["title"] == "Burgers"
    assert viscosity["arguments"] == {"viscosity": 0.01 / np.pi, "constraints": "soft"}
    assert "viscosity=0.0031831" in run("names").stdout
    for row in run_json("names", "architectures"):
        assert not {"m", "lower", "upper", "dtype", "rngs", "self"} & row["arguments"].keys()
        make_architecture(
            row["name"], row["arguments"], m=1, lower=(0.0,), upper=(1.0,), dtype="float64", seed=0
        )


def test_names_of_others_say_who_has_them(tmp_path, monkeypatch):
    """A package that cannot be used hides nothing else."""
    melting = EntryPoint("melting", "tests.no_such_module:melting", "pinnzoo.problems")
    monkeypatch.setattr("pinnzoo.registry._offered", lambda _: {"melting": [melting]})
    monkeypatch.setattr("pinnzoo.pdes.PROBLEMS", {"heat": PROBLEMS["heat"]})
    file = tmp_path / "rods.py"
    file.write_text(
        "import pinnzoo\n\n"
        "class Steel:\n    pass\n\n"
        "@pinnzoo.register_problem\n"
        "def rod(length, steel=Steel, ends=(0, 1)):\n    pass\n"
    )
    result = run("names", "--import", file, "--json", code=1)
    assert "'melting' is offered by" in result.stderr
    heat, rod = json.loads(result.stdout)
    assert (heat["name"], heat["provider"]) == ("heat", "")
    assert (rod["name"], rod["provider"]) == ("rod", "rods.py")
    assert rod["arguments"]["length"] is None
    assert "Steel" in rod["arguments"]["steel"]
    assert rod["arguments"]["ends"] == [0, 1]


# --- help


@pytest.mark.parametrize("verb", app.commands)
def test_help_tells_of_every_argument_and_option_within_80_columns(verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = run(verb, "--help").stdout
    assert text == run(verb, "-h").stdout
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    command = app.commands[verb]
    assert command.help
    assert " ".join(command.help.split()) in words
    arguments, _, options = words.partition(" Options: ")
    for parameter in command.params:
        if isinstance(parameter, Argument):
            assert parameter.about.replace("  ", " ") in arguments.partition(" Arguments: ")[2]
        else:
            assert isinstance(parameter, click.Option)
            assert parameter.help
            assert parameter.help in options
            assert max(parameter.opts, key=len) in options
    sentence = " ".join(command.help.split("\n\n")[0].split())
    assert f" {verb} {sentence}" in " ".join(run("--help").stdout.split())


def test_help_states_defaults_and_what_is_required():
    text = " ".join(run("finetune", "--help").stdout.split())
    for said in ("[required]", "[default: 200; x>=0]", "[default: resume]"):
        assert said in text
    assert "[default: *]" in run("list", "--help").stdout


def test_verbs_are_in_the_order_of_their_use():
    words = run("--help").stdout.partition("Commands:")[2]
    places = [words.index(f"\n  {verb} ") for verb in ("train", "finetune", "cards", "list")]
    assert places == sorted(places)


def test_no_arguments_print_the_help():
    assert run(code=2).stdout == run("--help").stdout


# --- errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("lst",), "No such command 'lst'. Did you mean 'list'?"),
        (("list", "--jsn"), "--json"),
        (("info",), "Missing argument 'NAME'."),
        (("finetune", "name"), "Missing option '--out'."),
        (("finetune", "name", "--out", "x", "--steps", "x"), "'--steps': 'x' is not a valid int"),
        (("finetune", "name", "--out", "x", "--steps", "-1"), "-1 is not in the range x>=0."),
        (("train", "heat", "--column", "t"), "Invalid value: 't' was given: write NAME=COLUMN."),
    ],
)
def test_error_of_usage_says_what_is_wrong(arguments, says):
    usage, hint, _, sentence = run(*arguments, code=2).stderr.splitlines()
    assert usage.startswith("Usage: pinnzoo ")
    assert hint.startswith("Try 'pinnzoo ")
    assert sentence.startswith("Error: ")
    assert says in sentence


def test_users_error_is_one_sentence_on_stderr_and_exit_code_1(checkpoints):
    result = run("info", "heat-mlp-adan", code=1)
    assert result.stdout == ""
    assert result.stderr.strip().splitlines() == [
        "unknown entry 'heat-mlp-adan': did you mean "
        "'heat-mlp-adam', 'burgers-mlp-adam', 'heat-mlp-levenberg_marquardt'?"
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("no_such_verb",),
        ("list", "--no-such-option"),
        ("info",),
        ("evaluate",),
        ("evaluate", "name", "--all"),
        ("finetune", "name"),
        ("finetune", "name", "--out", "x", "--steps", "-1"),
        ("finetune", "name", "--out", "x", "--set", "damping"),
    ],
)
def test_wrong_usage_exits_with_2(arguments):
    result = run(*arguments, code=2)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr


def test_file_that_cannot_be_read_is_a_sentence(tmp_path):
    result = run("train", tmp_path / "none.json", code=1)
    assert result.stderr.startswith("No such file or directory: ")


def test_recipe_that_is_not_json_is_a_sentence(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text("{")
    assert "not JSON" in run("train", path, code=1).stderr


def test_programming_error_is_not_hidden(checkpoints, monkeypatch):
    def broken(pattern):
        raise ZeroDivisionError

    monkeypatch.setattr(zoo, "list_entries", broken)
    with pytest.raises(ZeroDivisionError):
        run("list")


def test_interruption_exits_with_130_and_no_traceback(checkpoints, monkeypatch):
    def interrupted(pattern):
        raise KeyboardInterrupt

    monkeypatch.setattr(zoo, "list_entries", interrupted)
    result = run("list", code=130)
    assert result.stderr.strip() == "interrupted."


# --- verbs that compute


def test_evaluate_says_whether_stored_errors_hold(entry, monkeypatch):
    stored = entry.metrics
    monkeypatch.setattr(evaluation, "evaluate", lambda e: dict(e.metrics))
    assert "matches" in run("evaluate", NAME).stdout
    wrong = dict(stored) | {"max_error": stored["max_error"] * 1.001}
    monkeypatch.setattr(evaluation, "evaluate", lambda _: wrong)
    assert "differs" in run("evaluate", NAME, code=1).stdout
    (row,) = run_json("evaluate", NAME, code=1)
    assert row["matches"] is False
    assert row["computed"]["max_error"] == wrong["max_error"]


def test_an_entry_that_cannot_be_read_hides_no_other(entry, monkeypatch):
    monkeypatch.setattr(evaluation, "evaluate", lambda e: dict(e.metrics))
    known = options.load

    def load(name):
        if name == "nonsense":
            raise UnknownNameError.of("entry", name, [NAME])
        return known(name)

    monkeypatch.setattr(options, "load", load)
    result = run("evaluate", "nonsense", NAME, "--json", code=1)
    assert [row["name"] for row in json.loads(result.stdout)] == [NAME]
    assert "unknown entry 'nonsense'" in result.stderr
    assert len(run_json("evaluate", "heat-*")) == len(zoo.list_entries("heat-*")) > 0


def test_evaluate_really_recomputes(entry):
    run("evaluate", NAME, code=1)  # the stand-in's stored errors are made up
    figures = evaluation.evaluate(entry)
    entry.metrics = entry.metrics | {
        key: figures[key] for key in ("relative_l2_error", "max_error", "reference_error")
    }
    (row,) = run_json("evaluate", NAME)
    assert row["computed"]["relative_l2_error"] == figures["relative_l2_error"] > 0.1


def test_evaluate_all_takes_every_entry(entry, checkpoints, monkeypatch):
    monkeypatch.setattr(evaluation, "evaluate", lambda e: dict(e.metrics))
    assert len(run_json("evaluate", "--all")) == 3


def test_analyze_shows_each_snapshot_and_writes_every_plot(entry, tmp_path):
    text = run("analyze", NAME).stdout
    rows = [line.split() for line in text.splitlines()]
    assert [row[0] for row in rows if row and row[0].isdigit()] == [str(s) for s in STEPS]
    assert "residual, mean spectral norm" in text
    assert sorted(p.name for p in (tmp_path / f"{NAME}-plots").iterdir()) == [
        "history.png",
        "kernel.png",
        "solution.png",
    ]


def test_analysis_repeats_the_snapshots_figures_and_known_errors(entry):
    data = analysis(entry)
    rows = data["snapshots"]
    np.testing.assert_array_equal([r["drift_spectral"] for r in rows], entry.ntk.drift())
    np.testing.assert_array_equal(
        [r["drift_frobenius"] for r in rows], entry.ntk.drift("frobenius")
    )
    np.testing.assert_array_equal([r["eigenvalues"] for r in rows], entry.ntk.eigenvalues()[:, :3])
    # History knows the error every ten steps; at the end the stated figure holds.
    errors = [r["relative_l2_error"] for r in rows]
    assert errors == [1.0, None, pytest.approx(10 ** (-10 / 6)), entry.metrics["relative_l2_error"]]


def test_analyze_as_json_draws_nothing_if_asked(entry, tmp_path):
    data = run_json("analyze", NAME, "--no-plots")
    assert data["plots"] == []
    assert list(tmp_path.iterdir()) == []
    assert data["metrics"]["loss_hessian"]["final"]["largest"] == 900


def test_analyze_compares_several_entries_in_one_table_and_one_plot(entry, tmp_path):
    text = run("analyze", NAME, "heat-mlp-adam").stdout
    assert text.count("→") == 4
    assert "Mean |H_r|" in text
    assert f"of {entry.metrics['residual_hessian']['points']} points" in text
    assert [p.name for p in (tmp_path / "comparison").iterdir()] == ["comparison.png"]
    rows = run_json("analyze", NAME, "heat-mlp-adam", "--no-plots")["entries"]
    assert [row["drift_spectral"] for row in rows] == [entry.ntk.drift()[-1]] * 2
    assert rows[0]["relative_l2_error"] == entry.metrics["relative_l2_error"]


def test_hessians_of_a_system_are_said_to_be_those_of_its_first_equation():
    row = {"residual_hessian": [1.0, 2.0], "residual_hessian_points": 16, "equations": 3}
    heading = screens._hessian_heading([row, {"residual_hessian": None, "equations": 1}])
    assert heading == "Mean |H_r| of the first equation\nof 16 points"
    assert screens._hessian_heading([row | {"equations": 1}]) == "Mean |H_r|\nof 16 points"
    assert screens._hessian_heading([{"residual_hessian": None, "equations": 2}]) == "Mean |H_r|"


def test_analyze_takes_patterns(checkpoints):
    assert options.matching(["heat*", NAME]) == ["heat-mlp-adam", NAME]
    assert options.matching(["some/folder"]) == ["some/folder"]
    assert "no entry matches 'wave*'" in run("analyze", "wave*", code=1).stderr


def test_plot_draws_the_chosen_plots_only(entry, tmp_path):
    run("plot", NAME, "drift", "history", "--out", "figures")
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == ["drift.png", "history.png"]


def test_unknown_plot_is_refused_before_the_entry_is_loaded(monkeypatch):
    monkeypatch.setattr(options, "load", lambda _: pytest.fail("loaded"))
    assert "did you mean 'history'" in run("plot", NAME, "histry", code=1).stderr


def test_finetune_passes_its_options_on_and_reports_both_errors(entry, monkeypatch, tmp_path):
    seen = {}

    def finetune(given, optimizer, steps, **options):
        seen.update(given=given, optimizer=optimizer, steps=steps, **options)
        print("a progress bar")
        tuned = tiny_entry(metrics=tiny_metrics(error=1e-7))
        tuned.save = entry.save
        return tuned

    monkeypatch.setattr(training, "finetune", finetune)
    arguments = ["finetune", NAME, "--optimizer", "lm", "--steps", 7, "--out", "tuned"]
    settings = ["--set", "damping=1e-3", "--set", "rule=paper"]
    weighed = ["--weights", "initial=10", "--dtype", "float32"]
    text = run(*arguments, *settings, "--part", 2, *weighed).stdout
    assert "1.235e-05 → 1.000e-07 (123 times smaller)" in text
    assert seen["given"] is entry
    assert (seen["optimizer"], seen["steps"], seen["progress"]) == ("lm", 7, True)
    assert (seen["damping"], seen["rule"], seen["part"]) == (1e-3, "paper", 2)
    assert (seen["weights"], seen["dtype"]) == ({"initial": 10}, "float32")
    ((folder, options),) = entry.saved
    assert folder == Path("tuned").absolute()
    assert options["command"] == (
        f"pinnzoo finetune {NAME} --optimizer lm --steps 7 --set damping=1e-3 --set rule=paper"
        " --weights initial=10 --dtype float32 --part 2"
    )
    # Whatever the library prints, stdout holds JSON only.
    data = run_json(*arguments)
    assert data["before"] == entry.metrics["relative_l2_error"]
    assert data["after"] == 1e-7


def test_train_takes_a_recipe_file_or_the_recipe_of_an_entry(
    entry, checkpoints, monkeypatch, tmp_path
):
    seen = []

    def train(recipe, **options):
        seen.append((recipe, options))
        return entry

    monkeypatch.setattr(training, "train", train)
    recipe = tiny_recipe("wave", phases=(Phase("adam", 3),))
    Path("mine.json").write_text(recipe.to_json(), encoding="utf-8")
    run("train", "mine.json", "--workdir", "work", "--no-resume")
    run("train", "burgers-mlp-adam", "--out", "again")
    assert seen[0][0] == recipe
    given = {"progress": True, "workdir": Path("work"), "resume": False, "seconds": None}
    assert seen[0][1] == given | {"diagnostics": True, "observations": None}
    assert seen[1][0] == tiny_recipe("burgers", "adam")
    assert [folder for folder, _ in entry.saved] == [
        Path("wave-mlp-adam").absolute(),
        Path("again").absolute(),
    ]


@pytest.mark.parametrize("option", [("--steps", 5), ("--set", "damping=1"), ("--seed", 0)])
def test_what_a_recipe_states_cannot_be_chosen_beside_it(tmp_path, monkeypatch, option):
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("trained"))
    path = tmp_path / "mine.json"
    path.write_text(tiny_recipe().to_json())
    said = run("train", path, *option, code=2).stderr
    assert option[0] in said
    assert "states its own" in said


def test_a_problem_of_an_installed_package_is_trained_by_its_name(monkeypatch):
    point = EntryPoint("melting", "pinnzoo.pdes.heat:heat", "pinnzoo.problems")
    monkeypatch.setattr("pinnzoo.registry._offered", lambda _: {"melting": [point]})
    monkeypatch.setattr("pinnzoo.pdes.PROBLEMS", {})
    assert options.is_problem("melting")
    assert not options.is_problem("heat-mlp-lm")


@pytest.mark.parametrize("verb", [("train", "heat-mlp-lm"), ("finetune", "heat-mlp-lm")])
def test_folder_that_exists_is_refused_before_training(
    entry, checkpoints, monkeypatch, verb, tmp_path
):
    def fail(*arguments, **options):
        pytest.fail("trained")

    monkeypatch.setattr(training, "train", fail)
    monkeypatch.setattr(training, "finetune", fail)
    (tmp_path / "taken").mkdir()
    assert "--overwrite" in run(*verb, "--out", "taken", code=1).stderr


def test_error_of_the_library_while_training_is_a_sentence(entry, monkeypatch):
    def diverge(*arguments, **options):
        raise TrainingError("the loss is nan.")

    monkeypatch.setattr(training, "finetune", diverge)
    result = run("finetune", NAME, "--out", "new", "--json", code=1)
    assert (result.stdout, result.stderr.strip()) == ("", "the loss is nan.")


def test_cards_are_printed_checked_and_their_plots_drawn(entry, checkpoints):
    root = checkpoints.parent
    data = run_json("cards", "--check", "--root", root, code=1)
    # Three entries, the page about all of them, and their index.
    assert len(data["stale"]) == data["checked"] == 3 + 2
    run("cards", "--root", root, "--no-plots")
    assert "all 5 cards are up to date" in run("cards", "--check", "--root", root).stdout
    files = run_json("cards", "heat-mlp-lm", "--root", root)["files"]
    assert len(files) == 3 + 3
    assert (checkpoints / NAME / "plots" / "kernel.png").is_file()
    (checkpoints / NAME / "README.md").write_text("old")
    result = run("cards", "--check", "--root", root, code=1)
    assert result.stdout.count("stale:") == 1
    assert f"{NAME}/README.md" in result.stdout


# --- the process


def test_json_has_no_nan_and_no_arrays():
    value = plain({"a": np.array([1.0, np.nan]), 2: (Path("x"), np.float64(0.5), float("inf"))})
    assert value == {"a": [1.0, None], "2": ["x", 0.5, None]}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["list", "--matrix"], ["info", NAME], ["--version"]]
)
def test_quick_verbs_import_no_jax(checkpoints, arguments):
    code = (
        "import sys, pathlib\n"
        "from pinnzoo import zoo\n"
        f"zoo.search_folders = lambda: [pathlib.Path({str(checkpoints)!r})]\n"
        "from pinnzoo.cli import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "heavy = {'jax', 'flax', 'orbax', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_ctrl_c_waits_for_the_imports_of_a_verb_that_computes(monkeypatch):
    imported = []

    def slowly(name):
        signal.raise_signal(signal.SIGINT)
        imported.append(name)

    monkeypatch.setattr(commands, "importlib", SimpleNamespace(import_module=slowly))
    # Workers of pytest-xdist have another one.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = run("names", code=INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, before)
    assert imported == ["pinnzoo.training"]
    assert (result.stdout, result.stderr.strip()) == ("", "interrupted.")


def test_module_runs_as_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "pinnzoo", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    for verb in ("list", "info", "evaluate", "train", "finetune", "analyze", "plot", "cards"):
        assert f" {verb} " in done.stdout
    assert "Usage: pinnzoo " in done.stdout


def test_closed_pipe_ends_the_command_quietly(checkpoints):
    environment = {**os.environ, "PINNZOO_CACHE": str(checkpoints)}
    done = subprocess.run(
        f"{sys.executable} -m pinnzoo list --json | true",
        shell=True,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert "Traceback" not in done.stderr


def test_a_problem_is_not_given_twice(tmp_path):
    command = ("train", "burgers", "--problem", f"{tmp_path}/own.py:own", "--out", tmp_path / "x")
    assert "--problem is for a recipe" in " ".join(run(*command, code=2).output.split())


@pytest.mark.parametrize("name", ["seed", "mesh", "entry", "resample_every"])
def test_what_is_set_is_an_argument_of_the_optimizer(name, tmp_path):
    """Not one of `finetune`, some of which have the names that somebody may try."""
    command = ("finetune", "heat-mlp-adam", "--out", tmp_path / "x", "--set", f"{name}=3")
    told = run(*command, code=1).output
    assert "levenberg_marquardt" in told
    assert repr(name) in told


def test_weights_and_precision_are_chosen_for_a_problem(monkeypatch, tmp_path):
    seen = []

    def train(recipe, **options):
        seen.append(recipe)
        raise EntryError("seen")

    monkeypatch.setattr(training, "train", train)
    run("train", "heat", "--out", tmp_path / "x", "--weights", "initial=2.5", code=1)
    run("train", "heat", "--out", tmp_path / "x", "--dtype", "float32", code=1)
    assert [(dict(r.weights), r.dtype) for r in seen] == [
        ({"initial": 2.5}, "float64"),
        ({}, "float32"),
    ]
    told = run("train", NAME, "--weights", "initial=2", "--out", tmp_path / "x", code=2).output
    assert "--weights" in told


def test_a_word_where_a_number_belongs_is_named(tmp_path):
    arguments = ["train", "heat", "--steps", "1", "--set", "damping=nan", "--optimizer", "lm"]
    told = run(*arguments, "--out", str(tmp_path / "a"), code=1).stderr
    assert "was given damping='nan', which is a word: give a number, such as" in told
