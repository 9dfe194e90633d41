"""Where output goes: tables or JSON on stdout, everything else on stderr, errors in a sentence."""

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

FAILED, INTERRUPTED = 1, 130
PIPE_WIDTH = 220
"""Columns of a table that is written to a file or a pipe: enough never to fold a line."""


def tolerant_streams() -> None:
    """Let both streams print any text: what a code page lacks becomes a question mark.

    A process without a stream (a daemon, `>&-`) gets one that goes nowhere.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def complain(sentence: str) -> None:
    """Print an error to stderr, in red where that is a terminal."""
    from rich.console import Console

    Console(stderr=True, soft_wrap=True).print(sentence, style="red", markup=False, highlight=False)


def console() -> Any:
    """A console on stdout."""
    from rich.console import Console

    plain = not sys.stdout.isatty()
    return Console(width=PIPE_WIDTH if plain else None, highlight=False)


@contextlib.contextmanager
def stdout_for_json(as_json: bool) -> Iterator[None]:
    """Send whatever is printed meanwhile to stderr if stdout is to hold JSON only."""
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield


def emit(data: Any, as_json: bool, screen: Callable[[Any, Any], None]) -> None:
    """Print data as JSON, or with `screen(console, data)`."""
    if as_json:
        # JSON keeps every letter: as an escape where the stream's code page may lack it.
        unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print(json.dumps(plain(data), indent=2, ensure_ascii=not unicode, allow_nan=False))
    else:
        screen(console(), data)


def plain(value: Any) -> Any:
    """`value` as JSON knows it: NaN and infinity are null, arrays lists, paths strings."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
