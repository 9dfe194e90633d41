"""Markdown tables, and how they get into a page."""

from collections.abc import Iterable, Mapping, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """A Markdown table; `align` has one of `l` and `r` per column, left by default."""
    align = align or "l" * len(header)
    rules = ["---:" if letter == "r" else "---" for letter in align]
    lines = [header, rules, *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Text that neither ends its cell nor its line."""
    return " ".join(text.replace("|", r"\|").split())


def with_tables(text: str, tables: Mapping[str, str]) -> str:
    """`text` with what stands between `<!-- name -->` and `<!-- /name -->` replaced.

    Args:
        text: A page; where a pair of markers is missing, it keeps what it has. Markers in one line
            with other text keep what is put between them in that line.
        tables: What is to stand there, by name.
    """
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if found and closed:
            alone = before.endswith("\n") or not before
            gap = "\n\n" if alone and (after.startswith("\n") or not after) else ""
            text = f"{before}{begin}{gap}{table}{gap}{end}{after}"
    return text
