"""What `pinnzoo.solve` reaches on 17 forward problems of the zoo, with nothing but a time given.

    python scripts/benchmark_solve.py --seconds 120

Every problem has its conditions as residuals and the default arguments. One after another is solved
in a process of its own, which writes a JSON file to `--out`; what is there already is not solved
again, so that an interrupted run goes on. Then the table is printed: the true error, computed from
the reference, beside what the entry states without it; the error of one generic recipe, from
`generic_baseline.json`; and the best published figure. The lines after it count how often the
error is below each, and how far the estimate is from the truth.

`--processor-time` counts the seconds that the processor works for this process instead of those on
the wall. On two idle cores a second on the wall is at least one of these; on a machine that does
other work too, only they can be compared.
"""

import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from pinnzoo.cli.commands import SETTINGS, Verb, argument

HERE = Path(__file__).parent
BASELINE = json.loads((HERE / "generic_baseline.json").read_text(encoding="utf-8"))
ERRORS: dict[str, float] = BASELINE["relative_l2_error"]

PAGE = HERE.parent / "docs" / "solve.md"
BEGIN, END = "<!-- benchmark -->", "<!-- /benchmark -->"

TOLD = (
    "relative_l2_error",
    "estimated_error",
    "reference_error",
    "loss",
    "steps",
    "parameters",
    "training_seconds",
    "hardware",
    "solve",
)


def solve_one(name: str, seconds: float, *, processor_time: bool) -> dict[str, Any]:
    """The figures of one problem."""
    import pinnzoo
    from pinnzoo.pdes import make_problem
    from pinnzoo.solving import clock

    pinnzoo.enable_x64()
    if processor_time:
        clock.now = time.process_time
    begun = time.monotonic()
    entry = pinnzoo.solve(make_problem(name, {}), seconds=seconds, diagnostics=False)
    figures = {key: entry.metrics[key] for key in TOLD}
    return figures | {
        "problem": name,
        "seconds": seconds,
        "clock": "processor" if processor_time else "wall",
        "elapsed_seconds": time.monotonic() - begun,
        "recipe": entry.recipe.to_dict(),
    }


def published(name: str) -> float | None:
    """The best published error of a problem with its default arguments."""
    from pinnzoo.catalog.published import PUBLISHED
    from pinnzoo.pdes import make_problem
    from pinnzoo.recipes import Phase, Recipe

    arguments = make_problem(name, {}).arguments
    asked = Recipe(name, "mlp", (Phase("lm", 1),), problem_arguments=dict(arguments))
    plain = Recipe(name, "mlp", (Phase("lm", 1),))
    rows = [row for row in PUBLISHED if row.matches(asked) or row.matches(plain)]
    return min((row.error for row in rows if row.error is not None), default=None)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"


def show(console: Console, done: list[dict[str, Any]]) -> None:
    """Print the table and what it comes to."""
    table = Table()
    for title in ("Problem", "Error", "Estimate", "Baseline", "Times below", "Published", "Clock"):
        table.add_column(title, justify="left" if title == "Problem" else "right")
    ratios, tenfold, above, ahead = [], 0, [], []
    for row in done:
        name, error, estimate = row["problem"], row["relative_l2_error"], row["estimated_error"]
        baseline, best = ERRORS[name], published(name)
        floor = max(error, row["reference_error"])
        ratios.append(estimate / floor)
        tenfold += error <= baseline / 10
        above += [name] if error > baseline else []
        ahead += [name] if best is not None and error < best else []
        table.add_row(
            name,
            _number(error),
            _number(estimate),
            _number(baseline),
            f"{baseline / error:.2g}",
            _number(best),
            f"{row['training_seconds']:.0f} s {row['clock']}",
        )
    console.print(table)
    if not done:
        return
    within = sum(0.1 <= ratio <= 10 for ratio in ratios)
    console.print(
        f"{len(done)} problems; ten times below the baseline: {tenfold}; above it: "
        f"{', '.join(above) or 'none'}; below the best published figure: {len(ahead)} "
        f"({', '.join(ahead)})."
    )
    console.print(
        f"Estimate over error, the reference's own counted where it is larger: {min(ratios):.2g} "
        f"to {max(ratios):.2g}, within a factor of ten in {within} of {len(ratios)}; geometric "
        f"mean {math.exp(statistics.fmean(map(math.log, ratios))):.2g}."
    )


def page_table(done: list[dict[str, Any]]) -> str:
    """The table in Markdown, for docs/solve.md."""
    from pinnzoo.cards.statements import problem_name
    from pinnzoo.cards.tables import markdown_table

    header = ("Problem", "Error", "Estimate", "Generic recipe", "Published")
    rows = [
        (
            problem_name(row["problem"]),
            *map(
                _number,
                (
                    row["relative_l2_error"],
                    row["estimated_error"],
                    ERRORS[row["problem"]],
                    published(row["problem"]),
                ),
            ),
        )
        for row in done
    ]
    return markdown_table(header, rows, "lrrrr")


def write_page(done: list[dict[str, Any]]) -> None:
    """Print the table between the marks of docs/solve.md."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{page_table(done)}\n\n{END}{after}", encoding="utf-8")


@click.command(cls=Verb, context_settings=SETTINGS)
@argument("problems", "By default all.", nargs=-1, metavar="[PROBLEM]...")
@click.option("--seconds", default=120.0, help="What solve is given.")
@click.option("--out", type=Path, default=Path("runs/solve"), help="Folder of the results.")
@click.option("--processor-time", is_flag=True, help="Count processor time.")
@click.option("--only", is_flag=True, help="Solve the one problem here, and print JSON.")
@click.option("--table", is_flag=True, help="Print the table of what is there.")
@click.option("--page", is_flag=True, help="Print it into docs/solve.md too.")
def main(
    problems: tuple[str, ...],
    seconds: float,
    out: Path,
    processor_time: bool,
    only: bool,
    table: bool,
    page: bool,
) -> None:
    """Solve every problem, and print the table."""
    names = problems or list(ERRORS)
    if only:
        print(json.dumps(solve_one(names[0], seconds, processor_time=processor_time)))
        return
    console = Console(width=100)
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = out / f"{name}.json"
        if table or path.exists():
            continue
        command = [sys.executable, __file__, name, "--only", "--seconds", str(seconds)]
        command += ["--processor-time"] if processor_time else []
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if ran.returncode:
            console.print(f"{name} failed")
            continue
        path.write_text(ran.stdout.splitlines()[-1] + "\n", encoding="utf-8")
        row = json.loads(path.read_text(encoding="utf-8"))
        console.print(
            f"{name}: error {row['relative_l2_error']:.1e}, estimate {row['estimated_error']:.1e}"
        )
    there = [out / f"{name}.json" for name in names if (out / f"{name}.json").exists()]
    done = [json.loads(path.read_text(encoding="utf-8")) for path in there]
    show(console, done)
    if page:
        write_page(done)


if __name__ == "__main__":
    main()
