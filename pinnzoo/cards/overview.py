"""The pages about all entries: MODEL_CARDS.md, and the tables and the claim of the README."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pinnzoo.cards import words
from pinnzoo.cards.matrix import Cell, columns_of, rows_of
from pinnzoo.cards.statements import described
from pinnzoo.cards.summary import Summary
from pinnzoo.cards.tables import markdown_table
from pinnzoo.cards.words import change, duration, figure, reach, reading_order
from pinnzoo.catalog.experiments import NETWORK
from pinnzoo.catalog.published import PUBLISHED, Published, best_match

FOLDER = "checkpoints"
"""Where the entries lie, relative to the page."""


class Listed(NamedTuple):
    """An entry, and what its problem says about itself.

    Attributes:
        summary: The entry's recipe, metrics and pictures.
        title: Title of its problem.
        description: Statement of its problem, or empty.
    """

    summary: Summary
    title: str
    description: str = ""


class Reached(NamedTuple):
    """A published benchmark and the most accurate entry that solves it.

    Attributes:
        published: The benchmark.
        title: Title of the problem.
        name: Name of the entry.
        error: Its relative L2 error.
        reference_error: That of the reference which it was measured against.
    """

    published: Published
    title: str
    name: str
    error: float
    reference_error: float = 0.0

    @property
    def ahead(self) -> bool:
        """Whether the entry is more accurate than what is published, as far as that is known."""
        return self.published.bar is not None and self.error < self.published.bar

    @property
    def weakness(self) -> str:
        """Why being ahead says little, as the end of "the published figure ..."; or empty."""
        if self.published.weakness or self.published.error is None:
            return self.published.weakness
        floor = self.published.floor.error if self.published.floor else 0.0
        if abs(self.published.error - self.error) < max(floor, self.reference_error):
            return "differs from the entry's error by less than the errors of their references"
        return ""


def model_cards(entries: Iterable[Listed], folder: str = FOLDER) -> str:
    """MODEL_CARDS.md: the matrix of all entries, then one table per problem.

    In a problem's table the best entry is first, and those without an error are last.
    """
    entries = list(entries)
    groups: dict[tuple[str, str], list[Listed]] = {}
    for entry in entries:
        groups.setdefault((entry.summary.recipe.problem, entry.title), []).append(entry)
    sections = [
        "# Model cards",
        "Printed by `pinnzoo cards` from the entries' files. Errors are over a uniform grid or a "
        "Sobol sequence, as the card says, against a reference whose own error is stated; the "
        "time is that of the training, with the compilation of its programs and without the "
        "diagnostics; NTK drift is "
        "`‖K(T) − K(0)‖ / ‖K(0)‖` of the whole kernel in the spectral norm; the Hessian column "
        "is the mean over points of `‖H_r(x)‖`, the spectral norm of the residual's Hessian, "
        "at initialization → at the end.",
    ]
    sections += ["## Problem, architecture, optimizer", *_matrix_section(entries, folder)]
    sections += ["## Reached and published", *_published_section(entries, folder)]
    for key in sorted(groups, key=lambda key: (key[0], reading_order(key[1]))):
        summaries = sorted((entry.summary for entry in groups[key]), key=_accuracy_order)
        sections += [
            f"## {key[1]}",
            groups[key][0].description,
            _problem_table(summaries, folder),
            _references(summaries),
        ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _matrix_section(entries: Iterable[Listed], folder: str) -> tuple[str, str]:
    cells = [
        Cell(
            problem=entry.title,
            architecture=entry.summary.recipe.architecture,
            optimizer=entry.summary.recipe.phases[-1].optimizer,
            name=entry.summary.name,
            error=entry.summary.error,
        )
        for entry in entries
    ]
    columns, rows = columns_of(cells), rows_of(cells)

    def shown(cell: Cell | None, best: str | None) -> str:
        if cell is None:
            return ""
        link = f"[{reach(cell.error, '.1e')}]({folder}/{cell.name}/README.md)"
        return f"**{link}**" if cell.name == best else link

    table = [
        (
            row.problem if row.first else "",
            words.title(row.architecture),
            *(shown(row.cells.get(optimizer), row.best) for optimizer in columns),
        )
        for row in rows
    ]
    header = ("Problem", "Architecture", *map(words.title, columns))
    return (
        "Relative L2 errors of the best entry of each problem, architecture and last optimizer; "
        "each leads to its card. The best of a problem is bold, and a dash stands where there is "
        "no reference to judge by.",
        markdown_table(header, table, "ll" + "r" * len(columns)),
    )


def _accuracy_order(summary: Summary) -> tuple[bool, float, str]:
    """Errors first; then entries without one, by their loss."""
    error = summary.error
    return (error is None, summary.metrics["loss"] if error is None else error, summary.name)


# --- beside what is published


def reached(entries: Iterable[Listed]) -> Iterator[Reached]:
    """Each published benchmark with an entry that states an error."""
    candidates = [
        (entry, entry.summary.recipe, entry.summary.error)
        for entry in entries
        if entry.summary.error is not None
    ]
    for published in PUBLISHED:
        best = best_match(published, candidates)
        if best is not None:
            (summary, title, _), error = best
            own = summary.metrics["reference_error"]
            yield Reached(published, title, summary.name, error, own)


def claim(entries: Iterable[Listed]) -> str:
    """How many records are below the published ones, in sentences with their counts.

    An entry is ahead where its error is below `Published.bar`. How many of these rows rest on a
    figure with a `Reached.weakness` is said beside it, and what is left without them.
    """
    rows = [row for row in reached(entries) if row.published.error is not None]
    double = [row for row in rows if not row.published.single]
    if not rows:
        return "No benchmark here has a published figure to compare with."
    return (
        f"On {_share(rows)} benchmarks with a published figure, the most accurate entry has a "
        f"smaller error than the most accurate published PINN that was found, and so it does on "
        f"{_share(double)} whose figure is in double precision.{_reservations(rows)}"
    )


def _share(rows: Sequence[Reached]) -> str:
    below = sum(row.ahead for row in rows)
    return f"{below} of the {len(rows)}" if below < len(rows) else f"all {len(rows)}"


def _reservations(rows: Sequence[Reached]) -> str:
    """How many rows with an entry that is ahead rest on a weak figure, and why; or empty."""
    ahead = [row for row in rows if row.ahead]
    reasons = Counter(row.weakness for row in ahead if row.weakness)
    if not reasons:
        return ""
    sound = [row for row in rows if not (row.ahead and row.weakness)]
    told = ", or ".join(f"{reason} ({count})" for reason, count in reasons.items())
    return (
        f" Of these {len(ahead)}, {reasons.total()} say little, since the published figure {told}. "
        f"Leaving these {reasons.total()} out, it is {_share(sound)}."
    )


def records_table(entries: Iterable[Listed], folder: str = FOLDER) -> str:
    """The most accurate entries beside the most accurate published networks, with footnotes.

    A dagger marks figures in single precision; a footnote says what was compared with what.
    """
    rows, footnotes = [], []
    for published, title, name, error, _ in reached(entries):
        mark = ""
        if published.remarks:
            mark = f" [{len(footnotes) + 1}]"
            footnotes.append(f"{title}: {'; '.join(published.remarks)}.")
        rows.append(
            (
                title,
                f"[{error:.1e}]({folder}/{name}/README.md)",
                _published_figure(published) + mark,
                published.method or "–",
            )
        )
    table = markdown_table(("Problem", "Here", "Published", "by"), rows, "lrrl")
    notes = [f"{k}. {text}" for k, text in enumerate(footnotes, start=1)]
    return "\n\n".join([table, *(["\n".join(notes)] if notes else [])])


def _published_figure(published: Published) -> str:
    if published.error is None:
        return "no figure" if published.method else "none found"
    return f"{published.error:.1e}" + (" †" if published.single else "")


def _published_section(entries: Sequence[Listed], folder: str) -> tuple[str, str]:
    rows = list(reached(entries))
    cells = [
        (
            title,
            f"[{error:.2e}]({folder}/{name}/README.md)",
            "none found" if published.error is None else f"{published.error:.2e}",
            "" if published.error is None else _factor(published.error / error),
            f"{published.goal:.0e}",
            "yes" if error <= published.goal else "no",
            _published_by(published),
        )
        for published, title, name, error, _ in rows
    ]
    with_entry = {id(row.published) for row in rows}
    missing = {described(p.problem, p.arguments) for p in PUBLISHED if id(p) not in with_entry}
    rest = f" Without an entry yet: {'; '.join(sorted(missing))}." if missing else ""
    header = ("Problem", "Reached", "Published", "Factor", "Goal", "Goal reached", "Published by")
    return (
        f"{claim(entries)} Errors are relative L2 errors. The factor is published over reached: "
        f"above one, the entry here is more accurate. The goal was set before the training.{rest}",
        markdown_table(header, cells, "lrrrrrl"),
    )


def _published_by(published: Published) -> str:
    parts = (
        published.method,
        f"arXiv:{published.source}" if published.source else "",
        "float32" if published.single else "",
        *published.remarks,
    )
    return "; ".join(part for part in parts if part)


def _factor(ratio: float) -> str:
    return f"{ratio:.0e}" if ratio >= 1e4 else f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


# --- all entries of a problem


class Column(NamedTuple):
    """A column of a problem's table.

    Attributes:
        heading: What stands above it.
        align: `l` or `r`.
        key: The key of the metrics that it tells; the column is there if an entry has it.
        cell: What an entry says.
    """

    heading: str
    align: str
    key: str
    cell: Callable[[Mapping], str]


_FIGURES = (
    Column(
        "Relative L2 error", "r", "relative_l2_error", lambda m: f"{m['relative_l2_error']:.2e}"
    ),
    Column("Max error", "r", "max_error", lambda m: f"{m['max_error']:.2e}"),
    Column("Estimated error", "r", "estimated_error", lambda m: f"{m['estimated_error']:.1e}"),
    Column("Parameters", "r", "parameters", lambda m: f"{m['parameters']:,}"),
    Column("Steps", "r", "steps", lambda m: f"{m['steps']:,}"),
    Column("Training time", "r", "training_seconds", lambda m: duration(m["training_seconds"])),
    Column("NTK drift", "r", "ntk", lambda m: figure(m["ntk"]["drift"]["all"]["spectral"])),
    Column("Hessian", "r", "residual_hessian", lambda m: change(m["residual_hessian"], "mean")),
)
_LOSS = Column("Loss", "r", "loss", lambda m: f"{m['loss']:.2e}")
_LINKED = {"solution": "solution", "kernel": "NTK", "ntk": "NTK"}
"""Pictures that a table links to, with the word for each."""


def _problem_table(summaries: Sequence[Summary], folder: str) -> str:
    with_loss = any(summary.error is None for summary in summaries)
    columns = [
        column
        for column in (*([_LOSS] if with_loss else []), *_FIGURES)
        if any(_tells(summary, column) for summary in summaries)
    ]
    pictures = [_pictures(summary, folder) for summary in summaries]
    rows = [
        (
            f"[{summary.name}]({folder}/{summary.name}/README.md)",
            summary.optimizers,
            *(c.cell(summary.metrics) if _tells(summary, c) else "–" for c in columns),
            *([links or "–"] if any(pictures) else []),
        )
        for summary, links in zip(summaries, pictures, strict=True)
    ]
    header = ("Entry", "Optimizer", *(column.heading for column in columns))
    align = "ll" + "".join(column.align for column in columns)
    if any(pictures):
        header, align = (*header, "Plots"), align + "l"
    return markdown_table(header, rows, align)


def _tells(summary: Summary, column: Column) -> bool:
    """Whether an entry has what the column tells; a block of a version that is not known is not."""
    value = summary.metrics.get(column.key)
    return value is not None and (not isinstance(value, Mapping) or value.get("version") == 1)


def _pictures(summary: Summary, folder: str) -> str:
    links = {
        word: f"[{word}]({folder}/{summary.name}/plots/{name}.png)"
        for name, word in reversed(_LINKED.items())
        if name in summary.plots
    }
    return ", ".join(reversed(links.values()))


def _references(summaries: Sequence[Summary]) -> str:
    """The reference and its certified error; more than one line if entries disagree."""
    lines = {
        f"Reference: {s.metrics['reference_method']}; its own relative L2 error is "
        f"{s.metrics['reference_error']:.1e}."
        for s in summaries
        if s.error is not None
    }
    return "\n".join(sorted(lines))


def optimizers_table(entries: Iterable[Listed], folder: str = FOLDER) -> str:
    """The best relative L2 errors of each optimizer, where several trained the paper's network.

    Optimizers that followed each other have a column of their own.
    """
    best: dict[str, dict[str, Summary]] = {}
    for summary, title, _ in entries:
        recipe = summary.recipe
        if (recipe.architecture, dict(recipe.architecture_arguments)) != ("mlp", NETWORK):
            continue
        if summary.error is None:
            continue
        row = best.setdefault(title, {})
        row[summary.optimizers] = min(
            summary, row.get(summary.optimizers, summary), key=_accuracy_order
        )
    best = {key: row for key, row in best.items() if len(row) > 1}
    columns = sorted({optimizer for row in best.values() for optimizer in row})

    def cell(summary: Summary | None) -> str:
        if summary is None:
            return "–"
        return f"[{reach(summary.error, '.1e')}]({folder}/{summary.name}/README.md)"

    rows = [
        (problem, *(cell(row.get(optimizer)) for optimizer in columns))
        for problem, row in sorted(best.items(), key=lambda item: reading_order(item[0]))
    ]
    return markdown_table(("Problem", *columns), rows, "l" + "r" * len(columns))
