import math
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from pinnzoo import cards
from pinnzoo.cards import matrix, overview, tables, words
from pinnzoo.cards.card import contains_solution
from pinnzoo.catalog.experiments import NETWORK
from pinnzoo.catalog.published import PUBLISHED
from pinnzoo.cli.printing import entry_folders, expected_cards, print_cards, stale_cards
from pinnzoo.errors import EntryError, UnknownNameError
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.recipes import Phase, Recipe
from pinnzoo.storage.folder import EntryFolder
from tests.tiny_entries import tiny_metrics, tiny_recipe, without_reference, write_folder

PICTURES = ("drift", "eigenvalues", "history", "ntk", "solution")


def summary(problem="heat", metrics=None, plots=PICTURES, **changes):
    recipe = tiny_recipe(problem, **changes)
    return cards.Summary(recipe.name, recipe, metrics or tiny_metrics(problem), plots)


def card(problem="heat", diagnostics=None, **changes):
    return cards.entry_card(
        summary(problem, **changes), make_problem(problem, {}), diagnostics=diagnostics
    )


def listed(entry, title="title"):
    problem = make_problem(entry.recipe.problem, {})
    return overview.Listed(entry, title, cards.problem_description(problem))


@pytest.fixture
def repository(tmp_path):
    for problem, optimizer, error in (
        ("heat", "levenberg_marquardt", 2e-6),
        ("heat", "adam", 3e-3),
        ("burgers", "adam", 4e-3),
    ):
        recipe = tiny_recipe(problem, optimizer)
        write_folder(tmp_path / "checkpoints", recipe, tiny_metrics(problem, error))
    return tmp_path


def test_hub_reads_library_license_tags_and_results():
    data: Any = ModelCard(card()).data
    assert data.library_name == "pinnzoo"
    assert data.license == "apache-2.0"
    assert {"pinn", "heat", "levenberg-marquardt", "adam", "ntk", "orbax"} <= set(data.tags or [])
    assert data.model_name == "heat-mlp-levenberg_marquardt"
    results = {result.metric_type: result for result in data.eval_results or []}
    assert results["relative_l2_error"].metric_value == pytest.approx(1.234567e-5, rel=1e-12)
    assert results["max_error"].metric_value == pytest.approx(3.4e-5)
    assert results["max_error"].dataset_name == "Heat equation, κ = 0.25"


@pytest.mark.parametrize("error", [0.0, 1.0, 1e-16, 3e-5, 12345.0])
def test_error_in_front_matter_is_a_number_for_every_yaml_reader(error):
    head = cards.front_matter(summary(metrics=tiny_metrics(error=error)), "x: 'y' \"z\" #")
    data = yaml.safe_load(head.strip("-\n"))
    (result,) = data["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == error
    assert isinstance(result["metrics"][0]["value"], float)
    assert result["dataset"]["name"] == "x: 'y' \"z\" #"


def test_phases_of_one_optimizer_are_counted_together():
    steps = {"adam": (20,), "levenberg_marquardt": (1000, 4, 60)}
    phases = tuple(Phase(name, count) for name, counts in steps.items() for count in counts)
    text = card(phases=phases)
    assert "after 20 steps of Adam, then 1,064 steps of Levenberg-Marquardt in 3 phases." in text


def test_card_says_what_the_files_say():
    text = card()
    for figure in (
        "**1.23e-05**",
        "3.400e-05",
        "2.0e-16",
        "1 min 15 s",
        "a computer",
        "closed form",
    ):
        assert figure in text
    assert "20 steps of Adam, then 10 steps of Levenberg-Marquardt" in text
    assert "`learning_rate=0.01`" in text
    assert "| Residual, mean over points of the spectral norm | 20.0 | 40.0 |" in text
    assert "[arXiv:2405.15603](https://arxiv.org/abs/2405.15603)" in text


@pytest.mark.parametrize(
    ("problem", "architecture", "arguments", "contained"),
    [
        ("wave", "siren", {"depth": 1}, True),
        ("wave", "siren", {"depth": 2}, False),
        ("wave", "mlp", {"depth": 1}, False),
        ("wave", "spinn", {"depth": 1, "activation": "sin"}, True),
        ("wave", "spinn", {"depth": 1}, False),
        ("wave", "tangent_mlp", {"depth": 1, "omega": 3.0, "rank": 2}, True),
        ("wave", "tangent_mlp", {"depth": 1}, False),
        ("heat", "siren", {"depth": 1}, False),
    ],
)
def test_card_says_so_where_the_network_contains_the_solution(
    problem, architecture, arguments, contained
):
    recipe = Recipe(problem, architecture, (Phase("adam", 1),), architecture_arguments=arguments)
    assert contains_solution(recipe, make_problem(problem, {})) == contained


def test_card_tells_what_a_phase_does_to_problem_and_weights():
    first = Phase(
        "adam",
        5,
        points={"equation": 50},
        problem_arguments={"diffusivity": 0.5},
        weights={"initial": 1e4},
    )
    second = Phase("lm", 3, weighting="ntk_trace", reweigh_every=7, freeze=("hidden*",))
    arguments = {"constraints": "hard"}
    text = card(phases=(first, second), problem_arguments=arguments)
    assert "| `diffusivity=0.5`; weights initial 10000 |" in text
    assert "| weights by traces of the NTK every 7 steps; `hidden*` kept |" in text
    assert "| Problem | `constraints='hard'` |" in text
    assert "| Points, where a phase states no others |" in text
    assert "| Loss weights, where a phase states no others | 1 for every term |" in text
    every = card(phases=(first, first))
    assert "| Points | stated by the phases |" in every
    plain = card()
    assert "Problem and weights" not in plain
    assert "where a phase" not in plain


def test_card_says_where_conditions_are_built_in_around_the_network():
    entry = summary("heat", problem_arguments={"constraints": "hard"})
    built_in = cards.entry_card(entry, make_problem("heat", {"constraints": "hard"}))
    assert "entry.model is the network alone" in built_in
    assert "the network alone" not in card()


def test_card_changes_with_every_figure():
    metrics = tiny_metrics()
    moved = {
        "relative_l2_error": 0.5,
        "max_error": 0.6,
        "reference_error": 0.001,
        "loss": 0.25,
        "steps": 77,
        "parameters": 999,
        "training_seconds": 5000.0,
        "wall_time_seconds": 6000.0,
        "estimated_error": 0.125,
        "hardware": "another",
        "reference_method": "series",
    }
    seen = {card()} | {card(metrics=metrics | {key: value}) for key, value in moved.items()}
    assert len(seen) == 1 + len(moved)


def test_code_in_card_runs_but_for_the_download():
    code = card().partition("```python\n")[2].partition("```")[0]
    compile(code, "card", "exec")
    assert 'pinnzoo.load("heat-mlp-levenberg_marquardt")' in code
    assert "columns: t, x" in code


def test_card_shows_the_pictures_that_are_there():
    from pinnzoo.plots.figures import PLOTS

    assert set(cards.PLOT_CAPTIONS) == set(PLOTS)
    assert all(f"(plots/{name}.png)" in card() for name in PICTURES)
    assert "(plots/kernel.png)" not in card()
    few = card(plots=("history", "kernel", "mine", "solution"))
    shown = [line.partition("(plots/")[2] for line in few.splitlines() if line.startswith("![")]
    assert shown == ["solution.png)", "history.png)", "kernel.png)", "mine.png)"]
    assert "![" not in card(plots=())


def test_fine_tuned_entry_names_its_base():
    text = card(base="heat-mlp-adam", phases=(Phase("levenberg_marquardt", 5),))
    assert "starting from [heat-mlp-adam](../heat-mlp-adam/README.md)" in text
    assert "from the entry it was fine-tuned from to the end of training" in text


def test_links_lead_to_where_the_base_is():
    for base, told in (
        ("hf-hub:me/basis@0a1b", "[hf-hub:me/basis@0a1b](https://huggingface.co/me/basis)"),
        ("runs/mine", "`runs/mine`"),
        ("~/mine", "`~/mine`"),
    ):
        assert f"starting from {told}" in card(base=base)


def test_card_of_somebody_elses_repository_says_what_works_there():
    address = "hf-hub:me/project"
    text = cards.entry_card(summary(), make_problem("heat", {}), address)
    assert f"pinnzoo finetune {address}" in text
    assert "pinnzoo train" not in text
    assert "license" not in text
    bare = {name: value for name, value in tiny_metrics("heat").items() if name != "ntk"}
    assert "entry.ntk" not in cards.entry_card(summary(metrics=bare), make_problem("heat", {}))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_problem_statement_is_the_first_line_of_its_file(problem):
    import importlib

    module = importlib.import_module(f"pinnzoo.pdes.{problem}")
    assert cards.problem_statement(problem) == (module.__doc__ or "").splitlines()[0]
    assert cards.problem_statement(problem)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_description_goes_on_to_the_sources_and_is_on_the_cards(problem):
    text = cards.problem_description(make_problem(problem, {}))
    assert text.startswith(cards.problem_statement(problem))
    assert "Source" not in text
    assert all(part and "\n" not in part for part in text.split("\n\n"))
    # Figures of any network do, and those of each problem's own would have to be computed.
    entry = summary(problem, metrics=tiny_metrics("heat"))
    assert text in cards.entry_card(entry, make_problem(problem, {}))
    assert text in cards.model_cards([listed(entry)])


def test_optimizers_that_follow_each_other_are_not_taken_for_the_last_of_them():
    def trained(*optimizers):
        phases = tuple(Phase(optimizer, 5) for optimizer in optimizers)
        return summary("heat", phases=phases, architecture_arguments=NETWORK)

    names = [("lbfgs",), ("adam", "lbfgs"), ("adam",)]
    text = cards.optimizers_table([listed(trained(*optimizers), "Heat") for optimizers in names])
    assert text.splitlines()[0] == "| Problem | Adam | Adam + L-BFGS | L-BFGS |"
    assert text.count("README.md") == 3


def test_records_in_single_precision_have_a_dagger():
    published = {p.problem: p for p in PUBLISHED}
    for problem, single in (("reaction", True), ("heat", False)):
        assert published[problem].single == single
        entry = summary(problem, problem_arguments=published[problem].arguments)
        assert ("†" in cards.records_table([listed(entry)])) == single


def test_figure_that_is_the_error_of_a_file_has_a_footnote_that_says_so():
    entry = summary("burgers", problem_arguments={"viscosity": 0.01})
    table, _, notes = cards.records_table([listed(entry, "Burgers")]).partition("\n\n")
    assert "| 8.0e-14 [1] |" in table
    assert notes.startswith("1. Burgers: the 7.97e-14 of DSGNAR is the error of the reference file")
    assert "the error of the reference file" in cards.model_cards([listed(entry)])
    plain = cards.records_table([listed(summary("kdv"))])
    assert "[1]" not in plain
    assert "\n\n" not in plain


@pytest.mark.parametrize(
    ("errors", "counts"),
    [
        ({"reaction": 1e-3, "wave": 1e-10}, ("1 of the 2 benchmarks", "0 of the 1 whose")),
        ({"reaction": 1e-3, "heat": 1e-9}, ("all 2 benchmarks", "all 1 whose")),
        ({"kovasznay": 1e-9}, ("No benchmark here has a published figure", "compare")),
    ],
)
def test_claim_counts_the_table(errors, counts):
    entries = [listed(summary(name, tiny_metrics(name, error))) for name, error in errors.items()]
    text = cards.claim(entries)
    assert all(count in text for count in counts)
    assert text in cards.model_cards(entries)


def test_claim_says_how_many_rows_rest_on_weak_figures():
    kind = {"viscosity": 0.01}
    entries = [
        listed(summary("kdv", tiny_metrics("kdv", 1e-12))),
        listed(summary("allen_cahn", tiny_metrics("allen_cahn", 1e-8))),
        listed(summary("klein_gordon", tiny_metrics("klein_gordon", 1e-8))),
        listed(summary("burgers", tiny_metrics("burgers", 1e-15), problem_arguments=kind)),
    ]
    text = cards.claim(entries)
    assert text.startswith("On all 4 benchmarks")
    assert "Of these 4, 3 say little, since the published figure" in text
    assert "is the error of its reference file and not of the network (1)" in text
    assert "lies below the error of its own reference file (1)" in text
    assert "is of a setting that was not checked to be the same (1)" in text
    assert text.endswith("Leaving these 3 out, it is all 1.")
    # Nobody can tell two errors apart that differ by less than that of the reference.
    rounding = tiny_metrics("wave", 7.6e-16) | {"reference_error": 1.3e-15}
    waves = cards.claim([entries[0], listed(summary("wave", rounding))])
    assert "since the published figure differs from the entry's error by less than" in waves
    assert "little" not in cards.claim([listed(summary("wave", tiny_metrics("wave", 1e-16)))])
    # A figure that is the error of its file is beaten only by what is below that error.
    behind = listed(summary("burgers", tiny_metrics("burgers", 1e-13), problem_arguments=kind))
    text = cards.claim([*entries[:3], behind])
    assert "Of these 3, 2 say little" in text
    assert text.endswith("it is 1 of the 2.")
    assert "say little" not in cards.claim(entries[:1])


# --- without a reference, and with other records


def test_card_without_reference_says_so_and_has_no_error_anywhere():
    bare = without_reference(tiny_metrics())
    text = card(metrics=bare, plots=("history", "solution"))
    assert "comes without a reference solution" in text
    assert "The loss at the end is 1.50e-09." in text
    assert "| Reference | none |" in text
    for word in ("nan", "NaN", "None", "model-index", "Relative L2 error", "relative L2", "–"):
        assert word not in text, word
    estimated = card(metrics=bare | {"estimated_error": 2.5e-4})
    assert "it is estimated at **2.5e-04**" in estimated
    assert ModelCard(estimated).data.to_dict()["library_name"] == "pinnzoo"


def test_table_puts_entries_without_an_error_last_and_has_no_empty_column():
    bare = without_reference(tiny_metrics(), "ntk", "residual_hessian", "loss_hessian")
    without, better = (
        summary(metrics=bare | {"loss": loss}, plots=(), tag=tag)
        for tag, loss in (("worse", 1.0), ("better", 1e-3))
    )
    text = cards.model_cards([listed(without), listed(better)])
    header = next(line for line in text.splitlines() if line.startswith("| Entry"))
    assert header == "| Entry | Optimizer | Loss | Parameters | Steps | Training time |"
    assert text.index("-better]") < text.index("-worse]")
    assert "Reference:" not in text
    mixed = cards.model_cards([listed(without), listed(summary(tag="judged"))])
    assert mixed.index("-judged]") < mixed.index("-worse]")
    assert "| Relative L2 error |" in mixed
    assert "nan" not in mixed.lower()


def test_times_are_those_that_are_stated():
    assert "| Training time | 1 min 15 s on a computer |" in card()
    assert "Wall time" not in card()
    both = card(metrics=tiny_metrics(wall_time_seconds=100.0))
    assert "| Training time | 1 min 15 s on a computer |" in both
    assert "| Wall time, with compilation and diagnostics | 1 min 40 s |" in both


def test_registered_diagnostic_is_a_table_and_an_unregistered_one_is_named():
    metrics = tiny_metrics(mass={"version": 2, "lost": 0.5}, strange={"version": 1, "x": 1})
    mass = SimpleNamespace(
        name="mass",
        version=2,
        title="Conservation of mass",
        rows=lambda block: [("Mass | lost", block["lost"]), ("Kept", "most")],
    )
    text = card(metrics=metrics, diagnostics={"mass": mass})
    assert "## Conservation of mass\n\n| Figure | Value |" in text
    assert r"| Mass \| lost | 0.500 |" in text
    assert "also holds `strange`, recorded by a newer or unregistered diagnostic" in text
    alone = card(metrics=metrics)
    assert "`mass`, `strange`" in alone
    newer = SimpleNamespace(**(vars(mass) | {"version": 3}))
    assert "`mass`, `strange`" in card(metrics=metrics, diagnostics={"mass": newer})


def test_block_of_a_newer_version_is_not_told_as_if_it_were_known():
    metrics = tiny_metrics() | {"ntk": {"version": 7, "points": "elsewhere"}}
    text = card(metrics=metrics)
    assert "## Neural tangent kernel" not in text
    assert "`metrics.json` also holds `ntk`" in text
    assert "title" in cards.model_cards([listed(summary(metrics=metrics))])


def test_problem_tells_itself_by_statement_module_or_factory():
    heat = make_problem("heat", {})
    stated: Any = SimpleNamespace(name="heat", statement="My own\nwords.\n\nMore.")
    own: Any = SimpleNamespace(name="fisher")
    nothing: Any = SimpleNamespace(name="problem")

    def fisher():
        """Fisher-KPP: fronts of a population.

        More for developers.
        """

    assert cards.problem_description(heat).startswith("Heat equation: `u_t = κ u_xx`")
    assert cards.problem_description(stated) == "My own words.\n\nMore."
    assert cards.problem_description(own, {"fisher": fisher}) == (
        "Fisher-KPP: fronts of a population."
    )
    # pdes/problem.py is a file of the package, and states no problem.
    assert cards.problem_description(own) == cards.problem_description(nothing) == ""
    assert cards.problem_statement("../errors") == cards.problem_statement("_navier_stokes") == ""


def test_words_and_summaries_need_neither_jax_nor_jinja_nor_the_hub():
    code = (
        "import sys; from pinnzoo.cards import summarize, problem_title, duration;"
        "print([m for m in ('jax', 'jinja2', 'huggingface_hub', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_problem_title_tells_arguments_apart():
    plain = tiny_recipe("convection")
    fast = tiny_recipe("convection", problem_arguments={"beta": 100.0})
    assert cards.problem_title(plain) == "Convection"
    assert cards.problem_title(fast) == "Convection, beta = 100"


def test_unknown_problem_has_a_title_too():
    assert cards.problem_title(tiny_recipe("my_problem")) == "my problem"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.97, "10 s"),
        (41.4, "41 s"),
        (59.7, "1 min 00 s"),
        (725, "12 min 05 s"),
        (12000, "3 h 20 min"),
    ],
)
def test_duration_in_words(seconds, words):
    assert cards.duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.2345, "1.23"),
        (0.00123, "1.23e-03"),
        (-43210.0, "-4.32e+04"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_figures_have_three_digits(value, text):
    assert cards.figure(value) == text


def test_table_has_a_section_per_problem_and_the_best_entry_first(repository):
    text = expected_cards(repository)[repository / "MODEL_CARDS.md"]
    assert text.index("## Viscous Burgers equation") < text.index("## Heat equation")
    assert text.index("[heat-mlp-levenberg_marquardt]") < text.index("[heat-mlp-adam]")
    row = next(line for line in text.splitlines() if "[heat-mlp-adam]" in line)
    assert "Adam | 3.00e-03 | 3.40e-05 | 105 | 30 | 1 min 15 s |" in row
    assert "20.0 → 40.0" in row
    assert "its own relative L2 error is 2.0e-16" in text


def test_matrix_is_the_first_table_and_the_best_of_a_problem_is_bold(repository):
    text = expected_cards(repository)[repository / "MODEL_CARDS.md"]
    table = next(block for block in text.split("\n\n") if block.startswith("|"))
    lines = table.splitlines()
    assert lines[0] == "| Problem | Architecture | Adam | Levenberg-Marquardt |"
    heat = next(line for line in lines if line.startswith("| Heat equation"))
    adam, lm = heat.split(" | ")[2:]
    assert adam == "[3.0e-03](checkpoints/heat-mlp-adam/README.md)"
    assert lm.startswith("**[2.0e-06](checkpoints/heat-mlp-levenberg_marquardt/README.md)**")
    burgers = next(line for line in lines if "burgers-mlp-adam" in line)
    assert "| **[4.0e-03]" in burgers
    assert burgers.endswith("|  |")


def test_matrix_has_the_best_of_each_place_and_says_whose_problem_a_row_is():
    cells = [
        matrix.Cell("Heat", architecture, optimizer, f"{architecture}-{optimizer}-{tag}", error)
        for architecture, optimizer, tag, error in (
            ("siren", "spring", "a", 1e-7),
            ("mlp", "adam", "a", 1e-3),
            ("mlp", "adam", "b", 1e-4),
            ("mlp", "soap", "a", None),
        )
    ]
    bare = matrix.Cell("Bare", "mlp", "levenberg_marquardt", "bare", None)
    assert matrix.columns_of([*cells, bare]) == ["adam", "soap", "levenberg_marquardt", "spring"]
    first, second, third = matrix.rows_of([*cells, bare])
    assert (first.problem, first.best, first.cells["levenberg_marquardt"]) == ("Bare", None, bare)
    assert [second.architecture, third.architecture] == ["mlp", "siren"]
    assert second.cells["adam"].error == 1e-4
    assert second.best == third.best == "siren-spring-a"
    assert [row.first for row in (first, second, third)] == [True, True, False]


def test_titles_are_in_the_order_of_their_numbers():
    entries = [
        listed(summary("convection", optimizer=optimizer, architecture_arguments=NETWORK), title)
        for title in ("Convection, β = 100", "Convection, β = 20", "Convection, β = 7.5")
        for optimizer in ("adam", "levenberg_marquardt")
    ]
    for text in (cards.model_cards(entries), cards.optimizers_table(entries)):
        places = [text.index(f"β = {beta}") for beta in ("7.5", "20", "100")]
        assert places == sorted(places)


def test_tables_have_as_many_cells_as_headings(repository):
    pages = {p: text for p, text in expected_cards(repository).items() if p.suffix == ".md"}
    for text in pages.values():
        blocks = [b.splitlines() for b in text.split("\n\n") if b.startswith("|")]
        assert blocks
        for block in blocks:
            assert len({line.count("|") - line.count(r"\|") for line in block}) == 1


def test_links_of_the_table_lead_to_the_cards(repository):
    import re

    print_cards(repository)
    text = (repository / "MODEL_CARDS.md").read_text(encoding="utf-8")
    links = re.findall(r"\((checkpoints/[^)]*README.md)\)", text)
    # Three entries, in the matrix and below their problems; two are beside a published record too.
    assert len(links) == 2 * 3 + 2
    assert len(set(links)) == 3
    assert all((repository / link).is_file() for link in links)


def test_no_card_is_stale_once_printed_and_each_change_is_noticed(repository):
    assert len(stale_cards(repository)["stale"]) == 5
    paths = print_cards(repository)
    assert stale_cards(repository) == {"checked": 5, "stale": []}
    for path in paths:
        before = path.read_text(encoding="utf-8")
        path.write_text(before.replace("e-0", "e-1", 1), encoding="utf-8")
        assert stale_cards(repository)["stale"] == [path]
        path.write_text(before, encoding="utf-8")


def test_printing_leaves_the_entry_readable(repository):
    print_cards(repository)
    for folder in entry_folders(repository):
        assert cards.summarize(EntryFolder.open(folder)).name == folder.name


def test_named_entries_get_their_card_and_the_table_keeps_all(repository):
    paths = print_cards(repository, ["heat-mlp-lm"])
    assert [p.relative_to(repository).as_posix() for p in paths] == [
        "checkpoints/heat-mlp-levenberg_marquardt/README.md",
        "MODEL_CARDS.md",
        "checkpoints/index.json",
    ]
    for path in paths[1:]:
        assert "burgers-mlp-adam" in path.read_text(encoding="utf-8")


def test_unknown_entry_and_wrong_root_are_refused(repository, tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'heat-mlp-adam'"):
        entry_folders(repository, ["heat-mlp-adan"])
    with pytest.raises(EntryError, match="--root"):
        entry_folders(tmp_path / "checkpoints")


def test_readme_gets_the_best_error_per_problem_and_optimizer_and_keeps_the_rest(repository):
    readme = repository / "README.md"
    readme.write_text("# Title\n\n<!-- entries -->\nold\n<!-- /entries -->\n\nEnd.\n")
    for optimizer, error, network, tag in (
        ("levenberg_marquardt", 2e-6, NETWORK, "paper"),
        ("adam", 3e-3, NETWORK, "paper"),
        ("adam", 4e-3, NETWORK, "worse"),
        ("adam", 1e-9, {"width": 8, "depth": 2}, "small"),
    ):
        recipe = tiny_recipe("heat", optimizer, tag=tag, architecture_arguments=network)
        write_folder(repository / "checkpoints", recipe, tiny_metrics("heat", error))
    assert stale_cards(repository)["stale"]
    print_cards(repository)
    text = readme.read_text()
    assert text.startswith("# Title\n\n<!-- entries -->\n")
    assert text.endswith("<!-- /entries -->\n\nEnd.\n")
    assert "old" not in text
    heat = next(line for line in text.splitlines() if line.startswith("| Heat"))
    assert "[3.0e-03](checkpoints/heat-mlp-adam-paper/README.md)" in heat
    assert "[2.0e-06](checkpoints/heat-mlp-levenberg_marquardt-paper/README.md)" in heat
    # Neither the worse of two entries nor another network than the paper's.
    assert "4.0e-03" not in heat
    assert "1.0e-09" not in heat
    assert not stale_cards(repository)["stale"]


def test_readme_without_markers_is_left_alone():
    assert cards.with_tables("# Title\n", {"entries": "| table |"}) == "# Title\n"


def test_claim_inside_of_a_line_stays_in_it():
    page = "Here <!-- claim -->old<!-- /claim --> and more.\n"
    text = tables.with_tables(page, {"claim": "On 2 of 3."})
    assert text == "Here <!-- claim -->On 2 of 3.<!-- /claim --> and more.\n"
    assert tables.with_tables(text, {"claim": "On 2 of 3."}) == text
    alone = tables.with_tables("<!-- claim -->\n<!-- /claim -->\n", {"claim": "On 2 of 3."})
    assert alone == "<!-- claim -->\n\nOn 2 of 3.\n\n<!-- /claim -->\n"


def test_every_name_with_an_underscore_or_an_acronym_has_a_title():
    from pinnzoo.architectures import ARCHITECTURES
    from pinnzoo.optimizers import OPTIMIZERS

    for name in (*ARCHITECTURES, *OPTIMIZERS):
        assert name in words.TITLES, name
