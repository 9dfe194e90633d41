import math
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from pinnzoo.cards import cards
from pinnzoo.catalog.experiments import NETWORK
from pinnzoo.catalog.published import PUBLISHED
from pinnzoo.cli.printing import entry_folders, expected_cards, print_cards, stale_cards
from pinnzoo.errors import EntryError, UnknownNameError
from pinnzoo.pdes import PROBLEMS, make_problem
from pinnzoo.recipes import Phase
from pinnzoo.storage.folder import EntryFolder
from tests.tiny_entries import tiny_metrics, tiny_recipe, write_folder


def summary(problem="heat", metrics=None, **changes):
    recipe = tiny_recipe(problem, **changes)
    return cards.Summary(recipe.name, recipe, metrics or tiny_metrics(problem))


def card(problem="heat", **changes):
    return cards.entry_card(summary(problem, **changes), make_problem(problem, {}))


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


def test_card_changes_with_every_figure():
    metrics = tiny_metrics()
    moved = {
        "relative_l2_error": 0.5,
        "max_error": 0.6,
        "reference_error": 0.001,
        "loss": 0.25,
        "steps": 77,
        "parameters": 999,
        "wall_time_seconds": 5000.0,
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


def test_card_links_only_to_plots_that_the_package_draws():
    from pinnzoo.plots.figures import PLOTS

    assert set(cards.PLOT_CAPTIONS) == set(PLOTS)
    assert all(f"(plots/{name}.png)" in card() for name in PLOTS)


def test_fine_tuned_entry_names_its_base():
    text = card(base="heat-mlp-adam", phases=(Phase("levenberg_marquardt", 5),))
    assert "starting from [heat-mlp-adam](../heat-mlp-adam/README.md)" in text


@pytest.mark.parametrize("problem", PROBLEMS)
def test_problem_statement_is_the_first_line_of_its_file(problem):
    import importlib

    module = importlib.import_module(f"pinnzoo.pdes.{problem}")
    assert cards.problem_statement(problem) == (module.__doc__ or "").splitlines()[0]
    assert cards.problem_statement(problem)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_description_goes_on_to_the_sources_and_is_on_the_cards(problem):
    text = cards.problem_description(problem)
    assert text.startswith(cards.problem_statement(problem))
    assert "Source" not in text
    assert all(part and "\n" not in part for part in text.split("\n\n"))
    entry = summary(problem)
    assert text in cards.entry_card(entry, make_problem(problem, {}))
    assert text in cards.model_cards([(entry, "title")])


def test_optimizers_that_follow_each_other_are_not_taken_for_the_last_of_them():
    def trained(*optimizers):
        phases = tuple(Phase(optimizer, 5) for optimizer in optimizers)
        return summary("heat", None, phases=phases, architecture_arguments=NETWORK), "Heat"

    text = cards.overview([trained("lbfgs"), trained("adam", "lbfgs"), trained("adam")])
    assert text.splitlines()[0] == "| Problem | Adam | Adam + L-BFGS | L-BFGS |"
    assert text.count("README.md") == 3


def test_records_in_single_precision_have_a_dagger():
    published = {p.problem: p for p in PUBLISHED}
    for problem, note in (("reaction", "float32"), ("heat", "")):
        assert published[problem].note == note
        entry = summary(problem, problem_arguments=published[problem].arguments)
        assert ("†" in cards.records([(entry, "title")])) == bool(note)


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


def test_titles_are_in_the_order_of_their_numbers():
    entries = [
        (summary("convection", None, optimizer=optimizer, architecture_arguments=NETWORK), title)
        for title in ("Convection, β = 100", "Convection, β = 20", "Convection, β = 7.5")
        for optimizer in ("adam", "levenberg_marquardt")
    ]
    for text in (cards.model_cards(entries), cards.overview(entries)):
        places = [text.index(f"β = {beta}") for beta in ("7.5", "20", "100")]
        assert places == sorted(places)


def test_tables_have_as_many_cells_as_headings(repository):
    for text in expected_cards(repository).values():
        blocks = [b.splitlines() for b in text.split("\n\n") if b.startswith("|")]
        assert blocks
        for block in blocks:
            assert len({line.count("|") - line.count(r"\|") for line in block}) == 1


def test_links_of_the_table_lead_to_the_cards(repository):
    import re

    print_cards(repository)
    text = (repository / "MODEL_CARDS.md").read_text(encoding="utf-8")
    links = re.findall(r"\((checkpoints/[^)]*README.md)\)", text)
    # Three entries, two of which are beside a published record too.
    assert len(links) == 3 + 2
    assert len(set(links)) == 3
    assert all((repository / link).is_file() for link in links)


def test_no_card_is_stale_once_printed_and_each_change_is_noticed(repository):
    assert len(stale_cards(repository)["stale"]) == 4
    paths = print_cards(repository)
    assert stale_cards(repository) == {"checked": 4, "stale": []}
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
    ]
    assert "burgers-mlp-adam" in paths[-1].read_text(encoding="utf-8")


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


def test_every_name_with_an_underscore_or_an_acronym_has_a_title():
    from pinnzoo.architectures import ARCHITECTURES
    from pinnzoo.optimizers import OPTIMIZERS

    for name in (*ARCHITECTURES, *OPTIMIZERS):
        assert name in cards.TITLES, name
