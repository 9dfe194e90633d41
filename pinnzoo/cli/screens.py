"""How each verb's data looks on a terminal. Every function takes a rich console and plain data.

A table shows what fits: where a terminal is too narrow, columns are left out by importance and
long names go on in the next line, but no number is ever cut. Figures that an entry does not state,
such as the error of a problem without a reference, have no row, and in a table of several entries a
dash.
"""

import functools
import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pinnzoo.cards.words import (
    change,
    counted,
    duration,
    figure,
    join_titles,
    of_beginning,
    over_parameters,
    phases_in_words,
    reach,
    title,
    uncertain,
    user_duration,
)
from pinnzoo.registry import registered_title
from pinnzoo.storage.metrics import known_block

FEW = 3
"""Phases of a training that are told one by one."""

GAP, EDGES = 3, 2
"""What a table takes between two columns, and at its two sides together."""

ALWAYS = 0
"""Importance of columns that are never left out."""

ASCII = {
    "λ": "lambda",
    "→": "->",
    "–": "-",
    "−": "-",
    "×": "x",
    "…": "...",
    "‖": "||",
    "∞": "inf",
    "·": "*",
    "─": "-",
}
"""What stands for characters that a terminal does not have."""


class Shown(NamedTuple):
    """A column of a table.

    Attributes:
        heading: What stands above it; its lines are short.
        importance: `ALWAYS`, or the larger the sooner it is left out.
        right: Whether it holds numbers, aligned to the right.
    """

    heading: str
    importance: int = ALWAYS
    right: bool = True


def spoken(text: str, encoding: str) -> str:
    """`text` with other words for the characters that an encoding does not have.

    Example:
        >>> spoken("λ1 → 3", "cp1252")
        'lambda1 -> 3'
    """
    if _has(encoding, text):
        return text
    return "".join(_spoken(character, encoding) for character in text)


def _has(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _spoken(character: str, encoding: str) -> str:
    if _has(encoding, character):
        return character
    if character in ASCII:
        return ASCII[character]
    name = unicodedata.name(character, "")
    if name.startswith("GREEK "):
        return name.rpartition(" ")[2].lower()
    simple = unicodedata.normalize("NFKD", character)
    return simple if simple.isascii() else "?"


def _say(console: Any, text: str, **options: Any) -> None:
    """Print a line."""
    console.print(spoken(text, console.encoding), **options)


@functools.lru_cache(maxsize=4096)
def _parsed(cell: str) -> Text:
    """A cell of console markup; it is looked at for its width and for its content."""
    # Most cells have no markup, and need no parser.
    return Text.from_markup(cell) if "[" in cell else Text(cell)


def _width(cell: str) -> int:
    """Columns of the longest line of a cell."""
    return max(map(len, _parsed(cell).plain.split("\n")))


def _show(console: Any, columns: Sequence[Shown], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of what fits; the first column holds names. Cells are console markup."""
    columns = [c._replace(heading=spoken(c.heading, console.encoding)) for c in columns]
    rows = [[spoken(cell, console.encoding) for cell in row] for row in rows]
    widths = [
        max(map(_width, (column.heading, *(row[k] for row in rows))))
        for k, column in enumerate(columns)
    ]
    # Names may take half of a line before columns give way to them; they can go on in the next.
    room = console.width - EDGES
    name = min(widths[0], max(room // 2, 1))
    kept = list(range(len(columns)))
    while name + sum(widths[k] + GAP for k in kept[1:]) > room:
        least = max(kept[1:], key=lambda k: (columns[k].importance, k), default=0)
        if columns[least].importance == ALWAYS:
            break
        kept.remove(least)
    widths[0] = max(1, min(widths[0], room - sum(widths[k] + GAP for k in kept[1:])))
    shape = [(widths[k], columns[k].right) for k in kept]
    rule = spoken("─", console.encoding) * (sum(w for w, _ in shape) + GAP * (len(shape) - 1))
    headings = [columns[k].heading.split("\n") for k in kept]
    tallest = max(map(len, headings))
    headings = ["\n".join([*[""] * (tallest - len(heading)), *heading]) for heading in headings]
    lines = [Text(), *_lines(console, [f"[bold]{heading}[/]" for heading in headings], shape)]
    lines.append(Text(f" {rule}"))
    for row in rows:
        lines += _lines(console, [row[k] for k in kept], shape)
    if console.color_system is None:
        # Without styles there is nothing to render, which takes longer than the whole table.
        console.out("\n".join([*(line.plain for line in lines), ""]), highlight=False)
    else:
        console.print(Text("\n").join([*lines, Text()]), no_wrap=True, crop=False)


def _lines(console: Any, cells: Sequence[str], shape: Sequence[tuple[int, bool]]) -> list[Text]:
    """The lines of a row of a table, whose columns have a width and may be aligned to the right.

    A Table of rich takes a quarter of a second for two hundred rows, many times as long.
    """
    columns = []
    for cell, (width, _) in zip(cells, shape, strict=True):
        text = _parsed(cell)
        long = "\n" in cell or len(text) > width
        columns.append(text.wrap(console, width, overflow="fold") if long else [text])
    found = []
    for k in range(max(map(len, columns))):
        line, spans = "", []
        for column, (width, right) in zip(columns, shape, strict=True):
            part = column[k] if k < len(column) else Text()
            pad = " " * (width - len(part))
            line += " " * (GAP if line else 1) + (pad if right else "")
            spans += [span.move(len(line)) for span in part.spans]
            line += part.plain + ("" if right else pad)
        found.append(Text(line.rstrip(), spans=spans))
    return found


def entries(console: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """The table of `pinnzoo list`."""
    if not rows:
        _say(console, "no entry matches.", style="dim")
        return
    columns = [
        Shown("Entry", right=False),
        Shown("Problem", 5, right=False),
        Shown("Optimizer", 4, right=False),
        Shown("Rel. L2\nerror"),
        Shown("Param-\neters", 3),
        Shown("Steps", 2),
        Shown("Time", 1),
    ]
    cells = [
        (
            escape(row["name"]),
            escape(row["problem_title"]),
            escape(join_titles(row["optimizers"])),
            f"[bold]{reach(row.get('relative_l2_error'))}[/]",
            f"{row['parameters']:,}",
            f"{row['steps']:,}",
            user_duration({k: v for k, v in row.items() if v is not None}),
        )
        for row in rows
    ]
    _show(console, columns, cells)


def names(console: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """The table of `pinnzoo names`, with an argument on each line."""
    takes, others = (any(row[key] for row in rows) for key in ("arguments", "provider"))
    columns = [
        Shown("Name", right=False),
        Shown("Title", 1, right=False),
        *([Shown("Arguments", right=False)] * takes),
        *([Shown("From", 2, right=False)] * others),
    ]
    cells = [
        [
            escape(row["name"]),
            escape(row["title"]),
            *([escape("\n".join(_default(*each) for each in row["arguments"].items()))] * takes),
            *([escape(row["provider"] or "pinnzoo")] * others),
        ]
        for row in rows
    ]
    _show(console, columns, cells)


def _default(name: str, value: Any) -> str:
    if value is None:
        return name
    return f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"


def matrix(console: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """The table of `pinnzoo list --matrix`: problems, and below each its architectures."""
    if not rows:
        _say(console, "no entry matches.", style="dim")
        return
    # Where not all optimizers fit, those between first and second order are left out first.
    optimizers = list(rows[0]["entries"])
    keep = {"levenberg_marquardt": ALWAYS, "adam": 1, "ssbroyden": 2, "soap": 3, "lbfgs": 4}
    columns = [
        Shown("Problem,\n  architecture", right=False),
        *(Shown(title(name).replace("-M", "-\nM"), keep.get(name, 5)) for name in optimizers),
    ]
    cells, problem = [], None
    for row in rows:
        if row["problem_title"] != problem:
            problem = row["problem_title"]
            cells.append((f"[cyan]{escape(problem)}[/]", *[""] * len(optimizers)))
        cells.append(
            (f"  {escape(row['architecture'])}", *map(_matrix_cell, row["entries"].values()))
        )
    _show(console, columns, cells)


def _matrix_cell(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return ""
    text = reach(entry["relative_l2_error"])
    return f"[bold]{text}[/]" if entry["best"] else text


def info(console: Any, data: Mapping[str, Any]) -> None:
    """Recipe and figures of one entry."""
    recipe, metrics = data["recipe"], data["metrics"]
    _say(console, f"[bold]{escape(data['name'])}[/]  {escape(data['problem_title'])}")
    if data["statement"]:
        _say(console, data["statement"], style="dim", markup=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in (*_info_rows(recipe, metrics), ("Folder", str(data["folder"]))):
        table.add_row(label, Text(spoken(value, console.encoding)))
    console.print(table)


def _settings(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in arguments.items())


def _training(phases: Sequence[Mapping[str, Any]]) -> str:
    """Every phase with its arguments, or only how many there were."""
    if len(phases) > FEW:
        return phases_in_words((phase["optimizer"], phase["steps"]) for phase in phases)
    return ", then ".join(
        f"{phase['steps']:,} x {title(phase['optimizer'])}"
        + (f" ({_settings(phase['arguments'])})" if phase["arguments"] else "")
        for phase in phases
    )


def _info_rows(recipe: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "relative_l2_error" in metrics:
        yield "Relative L2 error", f"{metrics['relative_l2_error']:.3e}"
        yield "Max error", f"{metrics['max_error']:.3e}"
        yield "Reference", f"{metrics['reference_method']}, error {metrics['reference_error']:.1e}"
    else:
        yield "Reference", "none, so the error is not known"
    if "estimated_error" in metrics:
        yield "Estimated error", f"{metrics['estimated_error']:.1e}"
    for name, found in _unknowns(known_block(metrics, "unknowns") or {}):
        yield f"Found {name}", found
    if components := known_block(metrics, "components"):
        errors = components["relative_l2_error"].items()
        yield "Error of each", ", ".join(f"{name} {error:.2e}" for name, error in errors)
    if over := known_block(metrics, "parameter_errors"):
        letters, place = over_parameters(over)
        yield (
            f"Error over {letters}",
            f"mean {over['mean']:.2e}, worst {over['worst']:.2e} at {place}",
        )
    yield "Final loss", f"{metrics['loss']:.3e}"
    network = _settings(recipe["architecture_arguments"])
    yield "Network", title(recipe["architecture"]) + (f" ({network})" if network else "")
    yield "Parameters", f"{metrics['parameters']:,} {metrics['dtype']}"
    if recipe.get("base"):
        yield "Fine-tuned from", recipe["base"]
    yield "Training", _training(recipe["phases"])
    yield "Points", ", ".join(f"{name} {n:,}" for name, n in recipe["points"].items())
    if "training_seconds" in metrics:
        yield "Training time", f"{duration(metrics['training_seconds'])} on {metrics['hardware']}"
    if "wall_time_seconds" in metrics:
        yield "Wall time", f"{duration(metrics['wall_time_seconds'])}, all that was waited for"
    if known_block(metrics, "ntk"):
        drift = metrics["ntk"]["drift"]["all"]
        yield (
            "NTK drift",
            f"{figure(drift['spectral'])} spectral, {figure(drift['frobenius'])} Frobenius",
        )
    if residual := known_block(metrics, "residual_hessian"):
        yield (
            "Residual Hessian",
            f"of the first equation, mean of {residual['points']} points "
            f"{change(residual, 'mean')}, max {change(residual, 'max')}",
        )
    if loss := known_block(metrics, "loss_hessian"):
        yield "Loss Hessian", f"largest eigenvalue {change(loss, 'largest')}"
    others = [name for name, value in metrics.items() if isinstance(value, Mapping)]
    if others := [name for name in others if not known_block(metrics, name)]:
        yield "Other records", ", ".join(registered_title(name) or name for name in others)


VERDICTS = {True: "[green]matches[/]", False: "[red]differs[/]", None: "none stored"}
"""Whether the stored error figures are those that were computed; None where none are stored."""


def _unknowns(block: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each unknown coefficient of an inverse problem, and what is known about it."""
    errors, truth = block.get("standard_errors", {}), block.get("truth", {})
    for name, value in block.get("values", {}).items():
        margin = f", standard error {errors[name]:.1e}" if name in errors else ""
        stated = f", true value {truth[name]:.8g}" if name in truth else ""
        remark = f", {block['remarks'][name]}" if name in block.get("remarks", {}) else ""
        yield name, f"{value:.8g}{margin}{remark}{stated}"


def evaluations(console: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Stored and recomputed errors, and whether they agree."""
    if not rows:
        _say(console, "there are no entries.", style="dim")
        return
    columns = [
        Shown("Entry", right=False),
        Shown("Rel. L2\nerror"),
        Shown("\nstored", 1),
        Shown("Max\nerror", 2),
        Shown("\nstored", 3),
        Shown("Reference\nerror", 4),
        Shown("", right=False),
    ]
    cells = []
    for row in rows:
        computed, stored = row["computed"], row["stored"]
        verdict = VERDICTS[row["matches"]]
        cells.append(
            (
                escape(row["name"]),
                f"[bold]{reach(computed.get('relative_l2_error'), '.4e')}[/]",
                reach(stored.get("relative_l2_error"), ".4e"),
                reach(computed.get("max_error"), ".4e"),
                reach(stored.get("max_error"), ".4e"),
                reach(computed.get("reference_error"), ".1e"),
                verdict,
            )
        )
    _show(console, columns, cells)


def trained(console: Any, data: Mapping[str, Any]) -> None:
    """What a training made."""
    before, after = data.get("before"), data.get("after")
    effort = f"{counted(data['steps'], 'step')}, {user_duration(data)}"
    if after is None:
        loss = f"loss [bold]{data['loss']:.3e}[/]" if data.get("loss") is not None else "trained"
        _say(console, f"{loss} after {effort}; there is no reference to measure an error against")
    elif before is None:
        _say(console, f"relative L2 error [bold]{after:.3e}[/] after {effort}")
    else:
        _say(
            console,
            f"relative L2 error {before:.3e} → [bold]{after:.3e}[/] "
            f"({_ratio(before, after)}) in {effort}",
        )
    errors = data.get("standard_errors", {})
    for name, value in data.get("unknowns", {}).items():
        margin = f", standard error {errors[name]:.1e}" if name in errors else ""
        _say(console, f"found {escape(name)} = [bold]{value:.8g}[/]{margin}")
    if data.get("estimate") is not None:
        _say(console, f"estimated without a reference: relative L2 error {data['estimate']:.1e}")
    _say(
        console,
        f"saved [bold]{escape(data['name'])}[/] in {escape(str(data['folder']))}",
        soft_wrap=True,
    )


def _ratio(before: float, after: float) -> str:
    if not after > 0:
        return "exact"
    times = before / after
    if f"{times:.3g}" == "1":
        return "unchanged"
    return f"{times:.3g} times smaller" if times >= 1 else f"{1 / times:.3g} times larger"


def analysis(console: Any, data: Mapping[str, Any]) -> None:
    """Kernel over training, Hessians at both ends, and the pictures that were written."""
    metrics = data["metrics"]
    error = metrics.get("relative_l2_error")
    judged = (
        f"loss [bold]{metrics['loss']:.3e}[/], no reference"
        if error is None
        else f"relative L2 error [bold]{error:.3e}[/]"
    )
    _say(console, f"[bold]{escape(data['name'])}[/]  {escape(data['problem_title'])}, {judged}")
    if data.get("snapshots"):
        points = ", ".join(f"{n} {name}" for name, n in data["points"].items())
        _say(console, f"\n[bold]Neural tangent kernel[/] on {points} points")
        _snapshots(console, data["snapshots"])
    if known_block(metrics, "ntk"):
        _say(console, "[bold]Drift[/] over the whole training, by term")
        _drifts(console, metrics["ntk"]["drift"])
    if residual := known_block(metrics, "residual_hessian"):
        n, first = residual["points"], _of_first(data["equations"])
        _say(console, f"[bold]Hessian magnitude[/], of the residual{first} at {n} points")
    _hessians(console, metrics)
    _written(console, data["plots"])


def _snapshots(console: Any, snapshots: Sequence[Mapping[str, Any]]) -> None:
    judged = any(row.get("relative_l2_error") is not None for row in snapshots)
    columns = [
        Shown("Step"),
        Shown("Drift,\nspectral"),
        Shown("Drift,\nFrobenius", 3),
        Shown("Effective\nrank", 1),
        Shown("λ1", 4),
        Shown("λ2", 5),
        Shown("λ3", 6),
        *([Shown("Rel. L2\nerror", 2)] if judged else []),
    ]
    cells = [
        (
            f"{row['step']:,}",
            figure(row["drift_spectral"]),
            figure(row["drift_frobenius"]),
            f"{row['effective_rank']:.2f}",
            *(figure(value) for value in (row["eigenvalues"] + [None] * 3)[:3]),
            *([reach(row.get("relative_l2_error"))] if judged else []),
        )
        for row in snapshots
    ]
    _show(console, columns, cells)


def _of_first(equations: int) -> str:
    """Whose residual it is that has a Hessian, where that is not the only one."""
    return " of the first equation" if equations > 1 else ""


def _hessian_heading(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the column of `|H_r|` is a mean of."""
    seen = [row for row in rows if row.get("residual_hessian")]
    counts = sorted({row["residual_hessian_points"] for row in seen})
    of = f"\nof {' or '.join(map(str, counts))} points" if counts else ""
    return f"Mean |H_r|{_of_first(max((row['equations'] for row in seen), default=1))}{of}"


def comparison(console: Any, data: Mapping[str, Any]) -> None:
    """Error, drift, rank and Hessian of several entries, one line each."""
    columns = [
        Shown("Entry", right=False),
        Shown("Rel. L2\nerror"),
        Shown("NTK drift,\nspectral", 1),
        Shown("Effective\nrank", 2),
        Shown(_hessian_heading(data["entries"]), 3),
    ]
    cells = []
    for row in data["entries"]:
        rank = row.get("effective_rank") or (None, None)
        hessian = row.get("residual_hessian") or (None, None)
        cells.append(
            (
                escape(_label(row)),
                reach(row.get("relative_l2_error")),
                figure(row.get("drift_spectral")),
                " → ".join("–" if value is None else f"{value:.1f}" for value in rank),
                " → ".join(map(figure, hessian)),
            )
        )
    _show(console, columns, cells)
    _written(console, data["plots"])


def _label(row: Mapping[str, Any]) -> str:
    """What tells an entry from the others of a table: its name, unless several have that."""
    return row.get("label", row["name"])


def analyses(console: Any, data: Mapping[str, Any]) -> None:
    """A table per analysis with one line per entry, and the pictures that were written."""
    for analysis in data["analyses"]:
        _say(console, f"[bold]{escape(analysis['title'])}[/]")
        headings = [column["heading"] for column in analysis["columns"]]
        columns = [Shown("Entry", right=False), *(Shown(h, k + 1) for k, h in enumerate(headings))]
        cells = [
            (
                escape(_label(row)),
                *(_number(c["values"][k], c["without"][k]) for c in analysis["columns"]),
            )
            for k, row in enumerate(data["entries"])
        ]
        _show(console, columns, cells)
    for row in data["entries"]:
        _written(console, row["plots"])


def _number(value: float | int | None, without: str) -> str:
    """A number of any size: whole ones in full while they are short; a word where there is none."""
    if value is None or value != value:
        return without
    if value in (math.inf, -math.inf):
        return "∞"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**7 else f"{value:.1e}"
    return figure(value)


def _drifts(console: Any, drift: Mapping[str, Mapping[str, float]]) -> None:
    columns = [Shown("Drift of", right=False), Shown("spectral"), Shown("Frobenius", 1)]
    cells = [
        (
            "whole kernel" if name == "all" else escape(name),
            figure(norms["spectral"]),
            figure(norms["frobenius"]),
        )
        for name, norms in drift.items()
    ]
    _show(console, columns, cells)


def _hessians(console: Any, metrics: Mapping[str, Any]) -> None:
    cells = [
        (label, of_beginning(block, key), uncertain(block["final"], key))
        for name, key, label in (
            ("residual_hessian", "mean", "residual, mean spectral norm"),
            ("residual_hessian", "max", "residual, max spectral norm"),
            ("residual_hessian", "sparsity", "residual, sparsity"),
            ("loss_hessian", "largest", "loss, largest eigenvalue"),
            ("loss_hessian", "smallest", "loss, smallest eigenvalue"),
            ("loss_hessian", "trace", "loss, trace"),
        )
        if (block := known_block(metrics, name))
    ]
    if cells:
        columns = [Shown("Hessian of", right=False), Shown("initial"), Shown("final")]
        _show(console, columns, cells)


def _written(console: Any, paths: Sequence[Any]) -> None:
    for path in paths:
        _say(console, f"wrote {path}", style="dim", soft_wrap=True, markup=False)


def files(console: Any, data: Mapping[str, Any]) -> None:
    """Files that were written."""
    for path in data["files"]:
        _say(console, f"wrote {path}", soft_wrap=True, markup=False)


def publication(console: Any, data: Mapping[str, Mapping[str, int]]) -> None:
    """What would be published: a tree of files for each repository."""
    from rich.tree import Tree

    for repository, sizes in data.items():
        tree = Tree(f"{repository}  ({sum(sizes.values()):,} bytes)")
        branches = {"": tree}
        for name, size in sorted(sizes.items()):
            *folders, last = name.split("/")
            for depth, folder in enumerate(folders, 1):
                key, above = "/".join(folders[:depth]), "/".join(folders[: depth - 1])
                if key not in branches:
                    branches[key] = branches[above].add(folder)
            branches["/".join(folders)].add(f"{last}  {size:,}")
        console.print(tree, markup=False, highlight=False)


def published(console: Any, data: Mapping[str, Any]) -> None:
    """What was published, and where it is pinned."""
    for name, where in data["pins"].items():
        _say(console, f"{name}: {where}", soft_wrap=True, markup=False, highlight=False)
    _say(console, f"wrote {data['registry']}", soft_wrap=True, markup=False)


def stale(console: Any, data: Mapping[str, Any]) -> None:
    """Cards that differ from what would be printed."""
    if not data["stale"]:
        _say(console, f"all {data['checked']} cards are up to date.", style="green")
        return
    for path in data["stale"]:
        _say(console, f"stale: {path}", style="red", soft_wrap=True, markup=False)
    _say(console, "run `pinnzoo cards` and commit the result.")
