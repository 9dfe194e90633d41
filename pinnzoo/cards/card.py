"""An entry's card: `templates/entry.md.j2`, filled with the figures of the entry's files."""

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnzoo.cards.metadata import front_matter
from pinnzoo.cards.statements import problem_description
from pinnzoo.cards.summary import Summary
from pinnzoo.cards.tables import markdown_table
from pinnzoo.cards.words import (
    cell,
    counted,
    duration,
    figure,
    of_beginning,
    over_parameters,
    phases_in_words,
    title,
    uncertain,
)
from pinnzoo.recipes import Phase, Recipe
from pinnzoo.storage.metrics import blocks, known_block, unknown_blocks

if TYPE_CHECKING:
    from pinnzoo.pdes import Problem

PLOT_CAPTIONS = {
    "solution": "Reference, network and absolute error",
    "history": "Loss and relative L2 error during training",
    "kernel": "Neural tangent kernel during training: the kernel scaled to unit diagonal, its "
    "eigenvalues, its drift",
    "ntk": "Neural tangent kernel during training, scaled to unit diagonal",
    "eigenvalues": "Eigenvalues of the neural tangent kernel during training",
    "drift": "Drift and effective rank of the neural tangent kernel",
}
"""What each picture shows, by the name of its file. A card shows those that its entry has."""

WITHOUT_REFERENCE = {
    "solution": "What the network says",
    "history": "Loss during training",
}
"""Captions of pictures that show less where the problem has no reference."""


def entry_card(
    summary: Summary,
    problem: "Problem",
    address: str = "",
    *,
    diagnostics: Mapping[str, Any] | None = None,
    factories: Mapping[str, Callable[..., Any]] | None = None,
) -> str:
    """The README.md of an entry.

    Args:
        summary: The entry's recipe, metrics and pictures.
        problem: The problem of the recipe.
        address: What `pinnzoo.load` takes, where that is not the entry's name: the card is that of
            somebody's own entry then, and states no licence.
        diagnostics: Diagnostics by name, whose `version`, `title` and `rows(block)` tell blocks
            of the metrics that the package itself does not know.
        factories: Factories of problems by name; see `problem_description`.
    """
    recipe, metrics = summary.recipe, summary.metrics
    error = summary.error
    ntk = known_block(metrics, "ntk")
    registered = _registered(metrics, diagnostics or {})
    pictures = _Pictures(summary)
    text = _template().render(
        head=front_matter(summary, problem.title, own=not address),
        name=summary.name,
        problem_title=problem.title,
        architecture=title(recipe.architecture),
        parameters=counted(metrics["parameters"], "parameter"),
        dtype=metrics["dtype"],
        phases=phases_in_words((phase.optimizer, phase.steps) for phase in recipe.phases),
        base=recipe.base and _link_to(recipe.base),
        error=error is not None and f"{error:.2e}",
        reference_error=error is not None and f"{metrics['reference_error']:.1e}",
        contained=contains_solution(recipe, problem),
        estimate="estimated_error" in metrics and f"{metrics['estimated_error']:.1e}",
        loss=f"{metrics['loss']:.2e}",
        description=problem_description(problem, factories),
        address=address or summary.name,
        elsewhere=bool(address),
        point=", ".join(f"{x:g}" for x in problem.domain.some_point()),
        coords=", ".join(problem.coords),
        built_in=problem.ansatz is not None or problem.symmetry is not None,
        features=0 if problem.features is None else problem.features.k,
        in_corners=problem.arguments.get("constraints") == "corners",
        accuracy=_accuracy(metrics, problem.d),
        phase_table=_phases(recipe),
        setting_table=_settings(recipe, metrics),
        ntk=ntk and _kernel(ntk),
        begins="initialization" if recipe.base is None else "the entry it was fine-tuned from",
        hessians=_hessians(metrics),
        several=bool(problem.system),
        hessian_points=(known_block(metrics, "residual_hessian") or {}).get("points"),
        diagnostics=[
            {"title": diagnostic.title, "table": _rows(diagnostic.rows, block)}
            for diagnostic, block in registered
        ],
        unknown=_unknown(metrics, [diagnostic for diagnostic, _ in registered]),
        unknowns=_unknowns(known_block(metrics, "unknowns")),
        observed="standard_errors" in (known_block(metrics, "unknowns") or {}),
        components=_components(known_block(metrics, "components")),
        pictures=pictures,
        others=pictures.rest(),
        source=problem.citation and _link(problem.citation),
    )
    # Parts that are left out leave their blank lines behind.
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def _link_to(base: str) -> str:
    """What an entry started from, as a link where that leads somewhere."""
    if published := re.fullmatch(r"(?:hf-hub:|hf://)([^@]+)(?:@.*)?", base):
        return f"[{base}](https://huggingface.co/{published[1]})"
    return f"`{base}`" if {*base} & {*"/\\:~"} else f"[{base}](../{base}/README.md)"


def contains_solution(recipe: Recipe, problem: "Problem") -> bool:
    """Whether some parameters of the network are the solution: one layer of sines, plane waves.

    Args:
        recipe: What was trained.
        problem: The problem of the recipe.
    """
    arguments = recipe.architecture_arguments
    sines = (
        recipe.architecture == "siren"
        or (recipe.architecture == "spinn" and arguments.get("activation") == "sin")
        or (recipe.architecture == "tangent_mlp" and arguments.get("omega") is not None)
    )
    waves = problem.reference.waves if problem.reference and not problem.ansatz else ()
    return sines and arguments.get("depth") == 1 and bool(waves)


@functools.cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        autoescape=False,  # Markdown, not HTML
    )
    return environment.get_template("entry.md.j2")


class _Pictures:
    """Links to the pictures that an entry has, each of them once."""

    def __init__(self, summary: Summary):
        """Take note of the files and of whether there is a reference."""
        self.left = [*summary.plots]
        self.captions = PLOT_CAPTIONS | (WITHOUT_REFERENCE if summary.error is None else {})

    def __call__(self, *names: str) -> str:
        """The named ones, as far as they are there, in the order of the names."""
        found = [name for name in names if name in self.left]
        self.left = [name for name in self.left if name not in found]
        return "\n\n".join(
            f"![{self.captions.get(name, title(name))}](plots/{name}.png)" for name in found
        )

    def rest(self) -> str:
        """Those that no section of the card is about."""
        return self(*(name for name in self.left if name not in PLOT_CAPTIONS))


def _unknowns(block: Mapping[str, Any] | None) -> str:
    """A row for each unknown coefficient; empty where there are none."""
    return markdown_table(*unknowns_table(block)) if block else ""


def unknowns_table(block: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]], str]:
    """Heading, rows and alignment of a table of unknown coefficients.

    What is not stated about any of them, such as the truth, has no column.
    """
    columns = {
        "Found": block["values"],
        "Standard error": block.get("standard_errors"),
        "True value": block.get("truth"),
        "Remark": block.get("remarks"),
    }
    stated = {heading: figures for heading, figures in columns.items() if figures}
    rows = [
        (name, *(_number(heading, figures.get(name)) for heading, figures in stated.items()))
        for name in block["values"]
    ]
    return ("Unknown", *stated), rows, "l" + "r" * len(stated)


def _number(heading: str, value: float | str | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    return f"{value:.1e}" if heading == "Standard error" else f"{value:.8g}"


def _components(block: Mapping[str, Any] | None) -> str:
    """A row for each component with its own error; empty where there is no such block."""
    rows = [(n, f"{e:.3e}") for n, e in block["relative_l2_error"].items()] if block else []
    return markdown_table(("Component", "Relative L2 error"), rows, "lr") if rows else ""


def _registered(
    metrics: Mapping[str, Any], diagnostics: Mapping[str, Any]
) -> list[tuple[Any, dict[str, Any]]]:
    """Blocks that a registered diagnostic can tell, with it."""
    return [
        (diagnostics[name], block)
        for name, block in blocks(metrics).items()
        if known_block(metrics, name) is None
        and name in diagnostics
        and diagnostics[name].version == block.get("version")
    ]


def _unknown(metrics: Mapping[str, Any], told: list[Any]) -> str:
    known = [(diagnostic.name, diagnostic.version) for diagnostic in told]
    return ", ".join(f"`{name}`" for name in unknown_blocks(metrics, known))


def _rows(rows: Callable[[Mapping[str, Any]], Any] | None, block: Mapping[str, Any]) -> str:
    """What a diagnostic says about its block: a label and one or more figures per row."""
    if rows is None:
        told = [(title(key), value) for key, value in block.items() if key != "version"]
    else:
        told = list(rows(block))
    width = max((len(row) for row in told), default=2)
    header = ("Figure", "Value") if width == 2 else ("Figure", *[""] * (width - 1))
    cells = ([*map(cell, row), *[""] * (width - len(row))] for row in told)
    return markdown_table(header, cells, "l" + "r" * (width - 1))


def _link(citation: str) -> str:
    """`arXiv:2109.01050` or `doi:10.1016/...` as a link; anything else as it is."""
    kind, _, number = citation.partition(":")
    hosts = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
    return f"[{citation}]({hosts[kind]}{number})" if kind in hosts else citation


def _accuracy(metrics: Mapping[str, Any], d: int) -> str:
    """The error group, or the loss where there is no reference; the estimate in either case."""
    rows: list[tuple[str, str]] = []
    if "relative_l2_error" in metrics:
        shape = metrics["evaluation_shape"]
        grid = " × ".join(map(str, shape))
        where = ("Evaluation grid", f"{grid}, uniform, bounds included")
        if len(shape) < d:
            where = ("Evaluation points", f"{grid} of a Sobol sequence")
        rows = [
            ("Relative L2 error", f"{metrics['relative_l2_error']:.3e}"),
            ("Maximum absolute error", f"{metrics['max_error']:.3e}"),
            ("Relative L2 error of the reference itself", f"{metrics['reference_error']:.1e}"),
            ("Reference", metrics["reference_method"]),
            where,
        ]
    else:
        rows = [("Reference", "none"), ("Final loss", f"{metrics['loss']:.3e}")]
    errors = known_block(metrics, "parameter_errors")
    if errors:
        letters, place = over_parameters(errors)
        rows += [
            (f"Mean of the relative L2 errors over {letters}", f"{errors['mean']:.3e}"),
            (f"Worst of them, at {place}", f"{errors['worst']:.3e}"),
        ]
    if "estimated_error" in metrics:
        label = "Estimate of the relative L2 error without a reference"
        rows.append((label, f"{metrics['estimated_error']:.1e}"))
    return markdown_table(("Figure", "Value"), rows)


def _phases(recipe: Recipe) -> str:
    columns = {
        "Phase": [str(k) for k in range(1, len(recipe.phases) + 1)],
        "Optimizer": [title(phase.optimizer) for phase in recipe.phases],
        "Trains": ["all" if p.part is None else f"part {p.part}" for p in recipe.phases],
        "Steps": [f"{phase.steps:,}" for phase in recipe.phases],
        "Arguments": [_arguments(phase.arguments) for phase in recipe.phases],
        "Points": [_resampling(phase) for phase in recipe.phases],
        "Problem and weights": [_own_objective(phase) for phase in recipe.phases],
    }
    told = {heading: cells for heading, cells in columns.items() if any(cells)}
    return markdown_table(
        tuple(told), list(zip(*told.values(), strict=True)), "rllrlll"[: len(told)]
    )


def _own_objective(phase: Phase) -> str:
    """In what a phase minimizes another loss than the recipe says; mostly empty."""
    parts = [_arguments(phase.problem_arguments)] if phase.problem_arguments else []
    if phase.weights:
        parts.append(f"weights {_weights(phase.weights)}")
    if phase.weighting:
        arguments = (
            f" ({_arguments(phase.weighting_arguments)})" if phase.weighting_arguments else ""
        )
        every = counted(phase.reweigh_every, "step")
        parts.append(f"weights by {title(phase.weighting)}{arguments} every {every}")
    if phase.warm_start:
        parts.append("begins as the window before goes on")
    if phase.freeze:
        parts.append(f"{', '.join(f'`{pattern}`' for pattern in phase.freeze)} kept")
    return "; ".join(parts)


def _weights(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items())


def _settings(recipe: Recipe, metrics: Mapping[str, Any]) -> str:
    points = ", ".join(f"{name} {count:,}" for name, count in recipe.points.items())
    problem = (
        [("Problem", _arguments(recipe.problem_arguments))] if recipe.problem_arguments else []
    )
    # Where every phase has its own, those of the recipe say nothing.
    common = not all(phase.points for phase in recipe.phases)
    some = ", where a phase states no others" if any(p.points for p in recipe.phases) else ""
    other = any(phase.weights or phase.weighting for phase in recipe.phases)
    rows = [
        *problem,
        ("Network", f"{title(recipe.architecture)}; {_arguments(recipe.architecture_arguments)}"),
        (f"Points{some}", points) if common else ("Points", "stated by the phases"),
        ("Sampler", recipe.sampler),
        (
            f"Loss weights{', where a phase states no others' if other else ''}",
            _weights(recipe.weights) or "1 for every term",
        ),
        ("Seed", str(recipe.seed)),
        ("Final loss of the last phase", f"{metrics['loss']:.3e}"),
        ("Steps", f"{metrics['steps']:,}"),
        ("Training time", f"{duration(metrics['training_seconds'])} on {metrics['hardware']}"),
    ]
    if "wall_time_seconds" in metrics:
        label = "Wall time, with compilation and diagnostics"
        rows.append((label, duration(metrics["wall_time_seconds"])))
    return markdown_table(("Setting", "Value"), rows)


def _arguments(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"`{k}={v!r}`" for k, v in arguments.items()) or "default arguments"


def _resampling(phase: Phase) -> str:
    own = ", ".join(f"{name} {count:,}" for name, count in phase.points.items())
    before = f"{own}; " if own else ""
    if not phase.resample_every:
        return before + "kept"
    how = "by residual" if phase.adaptive else "evenly"
    return f"{before}drawn again every {counted(phase.resample_every, 'step')}, {how}"


def _kernel(ntk: Mapping[str, Any]) -> dict[str, str]:
    drift = [
        ("whole kernel" if name == "all" else name, figure(d["spectral"]), figure(d["frobenius"]))
        for name, d in ntk["drift"].items()
    ]
    initial, final = ntk["initial"], ntk["final"]
    own = final["eigenvalues"]
    before = [None] * len(own) if initial is None else initial["eigenvalues"]
    pairs = list(zip(before, own, strict=True))
    spectrum = [
        ("Largest eigenvalue", of_beginning(ntk, "norm"), figure(final["norm"])),
        ("Effective rank", of_beginning(ntk, "effective_rank"), figure(final["effective_rank"])),
        *(
            (f"Eigenvalue {k}", figure(before), figure(after))
            for k, (before, after) in enumerate(pairs[1:4], start=2)
        ),
    ]
    return {
        "points": ", ".join(f"{name} {count}" for name, count in ntk["points"].items()),
        "drift": markdown_table(("Drift of", "Spectral norm", "Frobenius norm"), drift, "lrr"),
        "spectrum": markdown_table(("Spectrum", "Initial", "Final"), spectrum, "lrr"),
    }


HESSIANS = {
    "residual_hessian": {
        "mean": "Residual, mean over points of the spectral norm",
        "max": "Residual, maximum over points",
        "sparsity": "Residual, sparsity",
    },
    "loss_hessian": {
        "largest": "Loss, largest eigenvalue",
        "smallest": "Loss, smallest eigenvalue",
        "trace": "Loss, trace",
    },
}
"""Rows of a card's table of Hessians, by block and figure."""


def _hessians(metrics: Mapping[str, Any]) -> str:
    rows = [
        (label, of_beginning(block, key), uncertain(block["final"], key))
        for name, labels in HESSIANS.items()
        if (block := known_block(metrics, name)) is not None
        for key, label in labels.items()
    ]
    return markdown_table(("Hessian of", "Initial", "Final"), rows, "lrr") if rows else ""
