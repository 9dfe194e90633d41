"""Markdown printed from an entry's files: its own card, and the table of all entries.

Nothing here imports JAX. What a card says about a problem comes from the problem's module
docstring and from the `Problem` that the caller hands in.
"""

import ast
import functools
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnzoo.catalog.experiments import NETWORK
from pinnzoo.catalog.published import PUBLISHED, Published, best_match
from pinnzoo.recipes import Recipe
from pinnzoo.storage.folder import EntryFolder
from pinnzoo.storage.metrics import Metrics

if TYPE_CHECKING:
    from pinnzoo.pdes import Problem

TITLES = {
    "adam": "Adam",
    "lbfgs": "L-BFGS",
    "levenberg_marquardt": "Levenberg-Marquardt",
    "fourier_mlp": "MLP with Fourier features",
    "mlp": "MLP",
    "modified_mlp": "modified MLP",
    "gauss_newton": "Gauss-Newton",
    "gradient_descent": "gradient descent",
    "levenberg_marquardt_lsmr": "Levenberg-Marquardt by LSMR",
    "newton_cg": "NysNewton-CG",
    "siren": "SIREN",
    "sketched_gauss_newton": "sketched Gauss-Newton",
    "soap": "SOAP",
    "spinn": "separable network",
    "spring": "SPRING",
    "ssbfgs": "SSBFGS",
    "ssbroyden": "SSBroyden",
    "tangent_mlp": "MLP with its tangent",
}
"""How names are written in prose, where replacing underscores is not enough."""

PLOT_CAPTIONS = {
    "solution": "Reference, network and absolute error",
    "history": "Loss and relative L2 error during training",
    "ntk": "Neural tangent kernel during training, scaled to unit diagonal",
    "eigenvalues": "Eigenvalues of the neural tangent kernel during training",
    "drift": "Drift and effective rank of the neural tangent kernel",
}

PAPER = (
    'Bonfanti, Bruno and Cipriani, "The Challenges of the Nonlinear Regime for Physics-Informed '
    'Neural Networks" (NeurIPS 2024, [arXiv 2402.03864](https://arxiv.org/abs/2402.03864))'
)


@dataclass(frozen=True)
class Summary:
    """What an entry's two JSON files say.

    Attributes:
        name: Name of the entry.
        recipe: How it was trained.
        metrics: What came out; see `pinnzoo.storage.metrics`.
    """

    name: str
    recipe: Recipe
    metrics: Metrics

    @property
    def optimizers(self) -> str:
        """The optimizers of all phases in prose, each one once."""
        return join_titles(phase.optimizer for phase in self.recipe.phases)


def summarize(folder: EntryFolder) -> Summary:
    """Recipe and metrics of an entry; no network is loaded.

    Raises:
        EntryError: One of the files is damaged or of another format.
    """
    recipe = folder.recipe()
    return Summary(recipe.name, recipe, folder.metrics())


def title(name: str) -> str:
    """A name of a table in prose: `levenberg_marquardt` is Levenberg-Marquardt."""
    return TITLES.get(name, name.replace("_", " "))


@functools.cache
def problem_description(problem: str) -> str:
    """The problem's module docstring up to its sources: what the equation, the data and u are.

    The source is parsed, not imported, so that listing entries needs no JAX. Empty where there is
    no such file.
    """
    path = Path(__file__).parent.parent / "pdes" / f"{problem}.py"
    try:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except (OSError, SyntaxError):
        return ""
    before, _, _ = (docstring or "").partition("\n\nSource")
    return "\n\n".join(" ".join(part.split()) for part in before.split("\n\n"))


def problem_statement(problem: str) -> str:
    """The first line of its description, such as "Burgers: `u_t + ...` on ..."."""
    return problem_description(problem).partition("\n")[0]


def problem_title(recipe: Recipe) -> str:
    """Problem and the physical arguments that the recipe sets, such as "Convection, beta = 100"."""
    name = problem_statement(recipe.problem).partition(":")[0] or title(recipe.problem)
    arguments = [
        f"{key.replace('_', ' ')} = {_plain(value)}"
        for key, value in recipe.problem_arguments.items()
    ]
    return ", ".join([name, *arguments])


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """Wall time in words: "41 s", "12 min 05 s", "3 h 20 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def figure(value: float | None) -> str:
    """A measured number with three digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    # With "#" trailing zeros stay, so that the figures of a column look alike.
    return f"{value:#.3g}".rstrip(".") if 0.01 <= abs(value) < 1e3 else f"{value:.2e}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """A Markdown table; `align` has one of `l` and `r` per column, left by default."""
    align = align or "l" * len(header)
    rules = ["---:" if letter == "r" else "---" for letter in align]
    lines = [header, rules, *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def front_matter(summary: Summary, problem_title: str) -> str:
    """The YAML head that the Hugging Face Hub reads: library, license, tags and results."""
    recipe, metrics = summary.recipe, summary.metrics
    tags = [
        "pinn",
        "physics-informed",
        "pde",
        recipe.problem.replace("_", "-"),
        recipe.architecture.replace("_", "-"),
        *dict.fromkeys(phase.optimizer.replace("_", "-") for phase in recipe.phases),
        "jax",
        "flax",
        "nnx",
        "orbax",
        "ntk",
    ]
    results = [
        ("relative_l2_error", "Relative L2 error"),
        ("max_error", "Maximum absolute error"),
    ]
    return "\n".join(
        [
            "---",
            "library_name: pinnzoo",
            "license: apache-2.0",
            "tags:",
            *(f"- {tag}" for tag in dict.fromkeys(tags)),
            "model-index:",
            f"- name: {summary.name}",
            "  results:",
            "  - task:",
            "      type: other",
            "      name: PDE solving",
            "    dataset:",
            f"      type: {recipe.problem}",
            f"      name: {json.dumps(problem_title, ensure_ascii=False)}",
            "    metrics:",
            *(
                line
                for key, name in results
                for line in (
                    f"    - type: {key}",
                    f"      name: {name}",
                    # With a point and a signed exponent, which YAML 1.1 needs to see a number.
                    f"      value: {metrics[key]:.6e}",
                )
            ),
            "---",
        ]
    )


def entry_card(summary: Summary, problem: "Problem", address: str = "") -> str:
    """The README.md of an entry.

    Args:
        summary: The entry's recipe and metrics.
        problem: The problem of the recipe.
        address: What `pinnzoo.load` takes, where that is not the entry's name.
    """
    recipe, metrics = summary.recipe, summary.metrics
    sections = [
        front_matter(summary, problem.title),
        f"# {summary.name}",
        _opening(summary, problem),
        _usage(address or summary.name, problem),
        "## Accuracy",
        _accuracy(metrics),
        f"![{PLOT_CAPTIONS['solution']}](plots/solution.png)",
        "## Training",
        _training(recipe, metrics),
        f"![{PLOT_CAPTIONS['history']}](plots/history.png)",
        "## Neural tangent kernel",
        _kernel(metrics["ntk"]),
        *(
            f"![{PLOT_CAPTIONS[name]}](plots/{name}.png)"
            for name in ("ntk", "eigenvalues", "drift")
        ),
        "## Hessians",
        _hessians(metrics),
        "## Sources",
        f"Problem: {_link(problem.citation)}." if problem.citation else "",
        f"Why kernel and Hessians are recorded: {PAPER}.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def join_titles(optimizers: Iterable[str]) -> str:
    """Each optimizer once, in the order of its first phase: "Adam + L-BFGS"."""
    return " + ".join(dict.fromkeys(map(title, optimizers)))


def phases_in_words(phases: Iterable[tuple[str, int]]) -> str:
    """Optimizers and steps, phases of one optimizer that follow each other counted together."""
    runs = (
        (optimizer, [steps for _, steps in run])
        for optimizer, run in itertools.groupby(phases, lambda phase: phase[0])
    )
    return ", then ".join(
        f"{sum(steps):,} steps of {title(optimizer)}"
        + (f" in {len(steps)} phases" if len(steps) > 1 else "")
        for optimizer, steps in runs
    )


def _opening(summary: Summary, problem: "Problem") -> str:
    recipe, metrics = summary.recipe, summary.metrics
    phases = phases_in_words((phase.optimizer, phase.steps) for phase in recipe.phases)
    base = f", starting from [{recipe.base}](../{recipe.base}/README.md)" if recipe.base else ""
    return "\n\n".join(
        part
        for part in (
            f"**{problem.title}.** A physics-informed neural network ({title(recipe.architecture)},"
            f" {metrics['parameters']:,} parameters, {metrics['dtype']}) after {phases}{base}. Its "
            f"relative L2 error is **{metrics['relative_l2_error']:.2e}**, against a reference that"
            f" is itself good to {metrics['reference_error']:.1e}.",
            problem_description(recipe.problem),
        )
        if part
    )


def _link(citation: str) -> str:
    """`arXiv:2109.01050` or `doi:10.1016/...` as a link; anything else as it is."""
    kind, _, number = citation.partition(":")
    hosts = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
    return f"[{citation}]({hosts[kind]}{number})" if kind in hosts else citation


def _usage(address: str, problem: "Problem") -> str:
    bounds = zip(problem.domain.lower, problem.domain.upper, strict=True)
    point = ", ".join(f"{low + 0.25 * (high - low):g}" for low, high in bounds)
    return "\n".join(
        [
            "```python",
            "import pinnzoo",
            "",
            "pinnzoo.enable_x64()",
            f'entry = pinnzoo.load("{address}")',
            f"entry.predict([[{point}]])  # columns: {', '.join(problem.coords)}",
            "entry.model  # a live flax.nnx module; entry.ntk, entry.history, entry.snapshots",
            "```",
        ]
    )


def _accuracy(metrics: Metrics) -> str:
    grid = " × ".join(map(str, metrics["evaluation_shape"]))
    rows = [
        ("Relative L2 error", f"{metrics['relative_l2_error']:.3e}"),
        ("Maximum absolute error", f"{metrics['max_error']:.3e}"),
        ("Relative L2 error of the reference itself", f"{metrics['reference_error']:.1e}"),
        ("Reference", metrics["reference_method"]),
        ("Evaluation grid", f"{grid}, uniform, bounds included"),
    ]
    return markdown_table(("Figure", "Value"), rows)


def _training(recipe: Recipe, metrics: Metrics) -> str:
    phases = [
        (
            str(k),
            title(phase.optimizer),
            "all" if phase.part < 0 else f"part {phase.part}",
            f"{phase.steps:,}",
            _arguments(phase.arguments),
            _resampling(phase),
        )
        for k, phase in enumerate(recipe.phases, start=1)
    ]
    points = ", ".join(f"{name} {count:,}" for name, count in recipe.points.items())
    weights = ", ".join(f"{name} {weight:g}" for name, weight in recipe.weights.items())
    rows = [
        ("Network", f"{title(recipe.architecture)}; {_arguments(recipe.architecture_arguments)}"),
        ("Points", f"{points} ({recipe.sampler})"),
        ("Loss weights", weights or "1 for every term"),
        ("Seed", str(recipe.seed)),
        ("Final loss of the last phase", f"{metrics['loss']:.3e}"),
        ("Steps", f"{metrics['steps']:,}"),
        ("Wall time", f"{duration(metrics['wall_time_seconds'])} on {metrics['hardware']}"),
    ]
    command = "\n".join(
        [
            "```bash",
            f"pinnzoo train {recipe.name} --out retrained",
            f"pinnzoo finetune {recipe.name} --optimizer levenberg_marquardt --out tuned",
            "```",
        ]
    )
    header = ("Phase", "Optimizer", "Trains", "Steps", "Arguments", "Points")
    return "\n\n".join(
        [
            markdown_table(header, phases, "rllrll"),
            markdown_table(("Setting", "Value"), rows),
            command,
        ]
    )


def _arguments(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"`{k}={v!r}`" for k, v in arguments.items()) or "default arguments"


def _resampling(phase: Any) -> str:
    own = ", ".join(f"{name} {count:,}" for name, count in phase.points.items())
    before = f"{own}; " if own else ""
    if not phase.resample_every:
        return before + "kept"
    how = "by residual" if phase.adaptive else "evenly"
    return f"{before}drawn again every {phase.resample_every:,} steps, {how}"


def _kernel(ntk: Mapping[str, Any]) -> str:
    drift = [
        ("whole kernel" if name == "all" else name, figure(d["spectral"]), figure(d["frobenius"]))
        for name, d in ntk["drift"].items()
    ]
    initial, final = ntk["initial"], ntk["final"]
    rows = [
        ("Largest eigenvalue", figure(initial["norm"]), figure(final["norm"])),
        ("Effective rank", figure(initial["effective_rank"]), figure(final["effective_rank"])),
        *(
            (f"Eigenvalue {k}", figure(before), figure(after))
            for k, (before, after) in enumerate(
                list(zip(initial["eigenvalues"], final["eigenvalues"], strict=True))[1:4], start=2
            )
        ),
    ]
    points = ", ".join(f"{name} {count}" for name, count in ntk["points"].items())
    return "\n\n".join(
        [
            f"`K = J Jᵀ` of the unweighted residuals on a fixed point set ({points}); drift is "
            "`‖K(T) − K(0)‖ / ‖K(0)‖` from initialization to the end of training.",
            markdown_table(("Drift of", "Spectral norm", "Frobenius norm"), drift, "lrr"),
            markdown_table(("Spectrum", "Initial", "Final"), rows, "lrr"),
        ]
    )


def _hessians(metrics: Metrics) -> str:
    residual, loss = metrics["residual_hessian"], metrics["loss_hessian"]
    rows = [
        (f"{label}", figure(part["initial"][key]), figure(part["final"][key]))
        for part, key, label in (
            (residual, "mean", "Residual, mean over points of the spectral norm"),
            (residual, "max", "Residual, maximum over points"),
            (residual, "sparsity", "Residual, sparsity"),
            (loss, "largest", "Loss, largest eigenvalue"),
            (loss, "smallest", "Loss, smallest eigenvalue"),
            (loss, "trace", "Loss, trace"),
        )
    ]
    return "\n\n".join(
        [
            f"Residual Hessians are those of the equation's residual at {residual['points']} "
            "points, with respect to the parameters.",
            markdown_table(("Hessian of", "Initial", "Final"), rows, "lrr"),
        ]
    )


def reading_order(text: str) -> list[str | float]:
    """Sorts titles as they are read: β = 20 comes before β = 100."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return [float(part) if i % 2 else part for i, part in enumerate(parts)]


def model_cards(entries: Iterable[tuple[Summary, str]], folder: str = "checkpoints") -> str:
    """MODEL_CARDS.md: one table per problem, best entry first.

    Args:
        entries: Each entry with the title of its problem.
        folder: Where the entries lie, relative to the file.
    """
    entries = list(entries)
    groups: dict[tuple[str, str], list[Summary]] = {}
    for summary, problem in entries:
        groups.setdefault((summary.recipe.problem, problem), []).append(summary)
    sections = [
        "# Model cards",
        "Printed by `pinnzoo cards` from the entries' files. Errors are over a uniform grid, "
        "against a reference whose own error is stated; NTK drift is `‖K(T) − K(0)‖ / ‖K(0)‖` of "
        "the whole kernel in the spectral norm; the Hessian column is the mean over points of "
        "`‖H_r(x)‖`, the spectral norm of the residual's Hessian, at initialization → at the end.",
    ]
    sections += ["## Reached and published", *_published_section(entries, folder)]
    for name, problem in sorted(groups, key=lambda key: (key[0], reading_order(key[1]))):
        summaries = groups[name, problem]
        summaries = sorted(summaries, key=lambda s: (s.metrics["relative_l2_error"], s.name))
        description = problem_description(summaries[0].recipe.problem)
        sections += [f"## {problem}", description, _problem_table(summaries, folder)]
        sections += [_references(summaries)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _published_section(entries: Sequence[tuple[Summary, str]], folder: str) -> tuple[str, str]:
    reached = list(_reached(entries))
    rows = []
    for published, problem, name, error in reached:
        source = f"arXiv:{published.source}" if published.source else ""
        rows.append(
            (
                problem,
                f"[{error:.2e}]({folder}/{name}/README.md)",
                "none found" if published.error is None else f"{published.error:.2e}",
                "" if published.error is None else _factor(published.error / error),
                f"{published.goal:.0e}",
                "yes" if error <= published.goal else "no",
                "; ".join(part for part in (published.method, source, published.note) if part),
            )
        )
    with_entry = {id(published) for published, *_ in reached}
    missing = sorted(
        {
            problem_statement(p.problem).partition(":")[0] or title(p.problem)
            for p in PUBLISHED
            if id(p) not in with_entry
        }
    )
    rest = f" Without an entry yet: {', '.join(missing)}." if missing else ""
    header = ("Problem", "Reached", "Published", "Factor", "Goal", "Goal reached", "Published by")
    return (
        "Relative L2 errors. The factor is published over reached: above one, the entry here is "
        f"more accurate. The goal was set before the training.{rest}",
        markdown_table(header, rows, "lrrrrrl"),
    )


def _reached(entries: Sequence[tuple[Summary, str]]) -> Iterator[tuple[Published, str, str, float]]:
    """Each published benchmark with an entry: its title, the most accurate entry and its error."""
    candidates = [
        ((problem, summary.name), summary.recipe, summary.metrics["relative_l2_error"])
        for summary, problem in entries
    ]
    for published in PUBLISHED:
        best = best_match(published, candidates)
        if best is not None:
            (problem, name), error = best
            yield published, problem, name, error


def records(entries: Iterable[tuple[Summary, str]], folder: str = "checkpoints") -> str:
    """A table of the most accurate entries beside the most accurate published networks.

    A dagger marks figures in single precision.

    Args:
        entries: Each entry with the title of its problem.
        folder: Where the entries lie, relative to the file.
    """
    rows = [
        (
            problem,
            f"[{error:.1e}]({folder}/{name}/README.md)",
            _published_figure(published),
            published.method or "–",
        )
        for published, problem, name, error in _reached(list(entries))
    ]
    return markdown_table(("Problem", "Here", "Published", "by"), rows, "lrrl")


def _published_figure(published: Published) -> str:
    if published.error is None:
        return "no figure" if published.method else "none found"
    return f"{published.error:.1e}" + (" †" if published.note == "float32" else "")


def _factor(ratio: float) -> str:
    return f"{ratio:.0e}" if ratio >= 1e4 else f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _problem_table(summaries: Sequence[Summary], folder: str) -> str:
    header = (
        "Entry",
        "Optimizer",
        "Relative L2 error",
        "Max error",
        "Parameters",
        "Steps",
        "Wall time",
        "NTK drift",
        "Hessian",
        "Plots",
    )
    return markdown_table(header, (_problem_row(s, folder) for s in summaries), "llrrrrrrrl")


def _problem_row(summary: Summary, folder: str) -> tuple[str, ...]:
    metrics = summary.metrics
    where = f"{folder}/{summary.name}"
    hessian = metrics["residual_hessian"]
    return (
        f"[{summary.name}]({where}/README.md)",
        summary.optimizers,
        f"{metrics['relative_l2_error']:.2e}",
        f"{metrics['max_error']:.2e}",
        f"{metrics['parameters']:,}",
        f"{metrics['steps']:,}",
        duration(metrics["wall_time_seconds"]),
        figure(metrics["ntk"]["drift"]["all"]["spectral"]),
        f"{figure(hessian['initial']['mean'])} → {figure(hessian['final']['mean'])}",
        f"[solution]({where}/plots/solution.png), [NTK]({where}/plots/ntk.png)",
    )


def _references(summaries: Sequence[Summary]) -> str:
    """The reference and its certified error; more than one line if entries disagree."""
    lines = {
        f"Reference: {s.metrics['reference_method']}; its own relative L2 error is "
        f"{s.metrics['reference_error']:.1e}."
        for s in summaries
    }
    return "\n".join(sorted(lines))


def overview(entries: Iterable[tuple[Summary, str]], folder: str = "checkpoints") -> str:
    """The best relative L2 errors of each optimizer, where several trained the paper's network.

    Optimizers that followed each other have a column of their own.

    Args:
        entries: Each entry with the title of its problem.
        folder: Where the entries lie, relative to the file.
    """
    best: dict[str, dict[str, Summary]] = {}
    for summary, problem in entries:
        recipe = summary.recipe
        if (recipe.architecture, dict(recipe.architecture_arguments)) != ("mlp", NETWORK):
            continue
        row = best.setdefault(problem, {})
        known = row.get(summary.optimizers)
        error = summary.metrics["relative_l2_error"]
        if known is None or error < known.metrics["relative_l2_error"]:
            row[summary.optimizers] = summary
    best = {key: row for key, row in best.items() if len(row) > 1}
    columns = sorted({optimizer for row in best.values() for optimizer in row})

    def cell(summary: Summary | None) -> str:
        if summary is None:
            return "–"
        error = summary.metrics["relative_l2_error"]
        return f"[{error:.1e}]({folder}/{summary.name}/README.md)"

    rows = [
        (problem, *(cell(row.get(optimizer)) for optimizer in columns))
        for problem, row in sorted(best.items(), key=lambda item: reading_order(item[0]))
    ]
    return markdown_table(("Problem", *columns), rows, "l" + "r" * len(columns))


def with_tables(text: str, tables: Mapping[str, str]) -> str:
    """`text` with what stands between `<!-- name -->` and `<!-- /name -->` replaced.

    Args:
        text: A page; where a pair of markers is missing, it keeps what it has.
        tables: What is to stand there, by name.
    """
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if found and closed:
            text = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    return text
