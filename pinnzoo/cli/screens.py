"""How each verb's data looks on a terminal. Every function takes a rich console and plain data."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from pinnzoo.cards.cards import duration, figure, join_titles, phases_in_words, title

NARROW = 110
"""Columns of a terminal below which columns that say little are left out."""

FEW = 3
"""Phases of a training that are told one by one."""


def _table(columns: Sequence[tuple[str, str]]) -> Table:
    """An empty table from (heading, justification); numbers and first columns never fold."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for k, (heading, justify) in enumerate(columns):
        table.add_column(heading, justify=justify, no_wrap=k == 0 or justify == "right")  # pyright: ignore
    return table


def entries(console: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """The table of `pinnzoo list`."""
    if not rows:
        console.print("no entry matches.", style="dim")
        return
    named = [("Problem", "left"), ("Optimizer", "left")] if console.width >= NARROW else []
    figures = ("Rel. L2\nerror", "Param-\neters", "Steps", "Wall time")
    table = _table([("Entry", "left"), *named, *((heading, "right") for heading in figures)])
    for row in rows:
        names = [row["problem_title"], join_titles(row["optimizers"])]
        table.add_row(
            row["name"],
            *names[: len(named)],
            f"[bold]{row['relative_l2_error']:.2e}[/]",
            f"{row['parameters']:,}",
            f"{row['steps']:,}",
            duration(row["wall_time_seconds"]),
        )
    console.print(table)


def info(console: Any, data: Mapping[str, Any]) -> None:
    """Recipe and figures of one entry."""
    recipe, metrics = data["recipe"], data["metrics"]
    console.print(f"[bold]{data['name']}[/]  {data['problem_title']}")
    if data["statement"]:
        console.print(data["statement"], style="dim", markup=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for label, value in _info_rows(recipe, metrics):
        table.add_row(label, value)
    table.add_row("Folder", str(data["folder"]))
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


def _info_rows(recipe: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    network = _settings(recipe["architecture_arguments"])
    drift = metrics["ntk"]["drift"]["all"]
    residual, loss = metrics["residual_hessian"], metrics["loss_hessian"]
    rows = [
        ("Relative L2 error", f"[bold]{metrics['relative_l2_error']:.3e}[/]"),
        ("Max error", f"{metrics['max_error']:.3e}"),
        ("Reference", f"{metrics['reference_method']}, error {metrics['reference_error']:.1e}"),
        ("Network", f"{title(recipe['architecture'])}" + (f" ({network})" if network else "")),
        ("Parameters", f"{metrics['parameters']:,} {metrics['dtype']}"),
        ("Training", _training(recipe["phases"])),
        ("Points", ", ".join(f"{name} {n:,}" for name, n in recipe["points"].items())),
        ("Wall time", f"{duration(metrics['wall_time_seconds'])} on {metrics['hardware']}"),
        (
            "NTK drift",
            f"{figure(drift['spectral'])} spectral, {figure(drift['frobenius'])} Frobenius",
        ),
        ("Residual Hessian", f"mean {_change(residual, 'mean')}, max {_change(residual, 'max')}"),
        ("Loss Hessian", f"largest eigenvalue {_change(loss, 'largest')}"),
    ]
    if recipe["base"]:
        rows.insert(5, ("Fine-tuned from", recipe["base"]))
    return rows


def _change(part: Mapping[str, Any], key: str) -> str:
    return f"{figure(part['initial'][key])} → {figure(part['final'][key])}"


def evaluations(console: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Stored and recomputed errors, and whether they agree."""
    if not rows:
        console.print("there are no entries.", style="dim")
        return
    wide = console.width >= NARROW
    headings = ["Rel. L2\nerror", "\nstored", "Max\nerror", "\nstored", "Reference\nerror"]
    shown = headings if wide else headings[:4]
    table = _table([("Entry", "left"), *((heading, "right") for heading in shown), ("", "left")])
    for row in rows:
        figures = [
            f"[bold]{row['computed']['relative_l2_error']:.4e}[/]",
            f"{row['stored']['relative_l2_error']:.4e}",
            f"{row['computed']['max_error']:.4e}",
            f"{row['stored']['max_error']:.4e}",
            f"{row['computed']['reference_error']:.1e}",
        ]
        verdict = "[green]matches[/]" if row["matches"] else "[red]differs[/]"
        table.add_row(row["name"], *figures[: len(shown)], verdict)
    console.print(table)


def trained(console: Any, data: Mapping[str, Any]) -> None:
    """What a training made."""
    if data.get("before") is not None:
        before, after = data["before"], data["after"]
        console.print(
            f"relative L2 error {before:.3e} → [bold]{after:.3e}[/] "
            f"({_ratio(before, after)}) in {data['steps']:,} steps, "
            f"{duration(data['wall_time_seconds'])}"
        )
    else:
        console.print(
            f"relative L2 error [bold]{data['after']:.3e}[/] after {data['steps']:,} steps, "
            f"{duration(data['wall_time_seconds'])}"
        )
    console.print(f"saved [bold]{data['name']}[/] in {data['folder']}", soft_wrap=True)


def _ratio(before: float, after: float) -> str:
    if not after > 0:
        return "exact"
    times = before / after
    return f"{times:.3g} times smaller" if times >= 1 else f"{1 / times:.3g} times larger"


def analysis(console: Any, data: Mapping[str, Any]) -> None:
    """Kernel over training, Hessians at both ends, and the pictures that were written."""
    metrics = data["metrics"]
    console.print(
        f"[bold]{data['name']}[/]  {data['problem_title']}, "
        f"relative L2 error [bold]{metrics['relative_l2_error']:.3e}[/]"
    )
    points = ", ".join(f"{n} {name}" for name, n in data["points"].items())
    console.print(f"\n[bold]Neural tangent kernel[/] on {points} points")
    headings = ("Step", "Drift,\nspectral", "Drift,\nFrobenius", "Effective\nrank")
    headings += ("λ1", "λ2", "λ3", "Rel. L2\nerror")
    table = _table([(heading, "right") for heading in headings])
    for row in data["snapshots"]:
        table.add_row(
            f"{row['step']:,}",
            figure(row["drift_spectral"]),
            figure(row["drift_frobenius"]),
            f"{row['effective_rank']:.2f}",
            *(figure(value) for value in (row["eigenvalues"] + [None] * 3)[:3]),
            "" if row["relative_l2_error"] is None else f"{row['relative_l2_error']:.2e}",
        )
    console.print(table)
    console.print("[bold]Drift[/] over the whole training, by term")
    console.print(_drift_table(metrics["ntk"]["drift"]))
    n = metrics["residual_hessian"]["points"]
    console.print(f"[bold]Hessian magnitude[/], of the residual at {n} points")
    console.print(_hessian_table(metrics))
    for path in data["plots"]:
        console.print(f"wrote {path}", style="dim", soft_wrap=True, markup=False)


def comparison(console: Any, data: Mapping[str, Any]) -> None:
    """Error, drift, rank and Hessian of several entries, one line each."""
    headings = ("Rel. L2\nerror", "NTK drift,\nspectral", "Effective\nrank", "Mean |H_r|")
    table = _table([("Entry", "left"), *((heading, "right") for heading in headings)])
    for row in data["entries"]:
        first, last = row["effective_rank"]
        before, after = row["residual_hessian"]
        table.add_row(
            row["name"],
            f"{row['relative_l2_error']:.2e}",
            figure(row["drift_spectral"]),
            f"{first:.1f} → {last:.1f}",
            f"{figure(before)} → {figure(after)}",
        )
    console.print(table)
    for path in data["plots"]:
        console.print(f"wrote {path}", style="dim", soft_wrap=True, markup=False)


def _drift_table(drift: Mapping[str, Mapping[str, float]]) -> Table:
    table = _table([("Drift of", "left"), ("spectral", "right"), ("Frobenius", "right")])
    for name, norms in drift.items():
        label = "whole kernel" if name == "all" else name
        table.add_row(label, figure(norms["spectral"]), figure(norms["frobenius"]))
    return table


def _hessian_table(metrics: Mapping[str, Any]) -> Table:
    residual, loss = metrics["residual_hessian"], metrics["loss_hessian"]
    table = _table([("Hessian of", "left"), ("initial", "right"), ("final", "right")])
    for part, key, label in (
        (residual, "mean", "residual, mean spectral norm"),
        (residual, "max", "residual, max spectral norm"),
        (residual, "sparsity", "residual, sparsity"),
        (loss, "largest", "loss, largest eigenvalue"),
        (loss, "smallest", "loss, smallest eigenvalue"),
        (loss, "trace", "loss, trace"),
    ):
        table.add_row(label, figure(part["initial"][key]), figure(part["final"][key]))
    return table


def files(console: Any, data: Mapping[str, Any]) -> None:
    """Files that were written."""
    for path in data["files"]:
        console.print(f"wrote {path}", soft_wrap=True, markup=False)


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
        console.print(f"{name}: {where}", soft_wrap=True, markup=False, highlight=False)
    console.print(f"wrote {data['registry']}", soft_wrap=True, markup=False)


def stale(console: Any, data: Mapping[str, Any]) -> None:
    """Cards that differ from what would be printed."""
    if not data["stale"]:
        console.print(f"all {data['checked']} cards are up to date.", style="green")
        return
    for path in data["stale"]:
        console.print(f"stale: {path}", style="red", soft_wrap=True, markup=False)
    console.print("run `pinnzoo cards` and commit the result.")
