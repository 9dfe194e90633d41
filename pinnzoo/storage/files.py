"""Writing files and folders so that they appear in one move. Imports no JAX.

Whoever reads meanwhile, and whatever ends the program, there is either the old content or the new.
"""

import os
import secrets
from pathlib import Path


def write_file(path: Path, content: bytes, scratch: Path | None = None) -> None:
    """A file that appears in one move, whoever else writes it at the same time.

    Args:
        path: Where; its folders are made.
        content: The bytes.
        scratch: Folder on the same disk for the unfinished file; by default that of the file.
    """
    scratch = scratch or path.parent
    for folder in (path.parent, scratch):
        folder.mkdir(parents=True, exist_ok=True)
    # Not tempfile, whose files nobody else on this machine may read.
    temporary = scratch / f".{secrets.token_hex(8)}.unfinished"
    try:
        with temporary.open("xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def exchange(target: Path, made: Path, aside: Path) -> None:
    """Put the folder `made` in the place of `target`, which goes `aside`.

    All three are on one disk. Where the second move fails, the first one is taken back.

    Raises:
        OSError: One of them cannot be moved; `target` is what it was.
    """
    target.rename(aside)
    try:
        made.rename(target)
    except BaseException:
        aside.rename(target)
        raise
