"""Bring every entry of a folder to the newest formats, without training: see `storage.migrate`.

    python scripts/migrate_entries.py            # checkpoints/
    python scripts/migrate_entries.py FOLDER

Weights stay to the bit; kernels in float32 are rounded. A second run changes nothing.
"""

from pathlib import Path

import click

from pinnzoo.cli.commands import SETTINGS, Verb, argument
from pinnzoo.storage.migrate import migrate_all

CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"


@click.command(cls=Verb, context_settings=SETTINGS)
@argument("folder", "Folder of entries' folders.", type=Path, default=CHECKPOINTS)
def main(
    folder: Path,
) -> None:
    """Bring every entry below a folder to the newest formats."""
    changed, current = migrate_all(folder)
    for name in changed:
        print(f"rewritten: {name}")
    print(f"{len(changed)} rewritten, {len(current)} in the newest formats already.")


if __name__ == "__main__":
    main()
