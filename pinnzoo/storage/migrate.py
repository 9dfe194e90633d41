"""Bringing the files of an entry to the newest formats without training.

`config.json` and `metrics.json` are read in whatever format they have and written in the newest,
`ntk.npz` too where it holds kernels in float32, and `manifest.json` states their new sizes and
hashes. Every other file stays byte for byte. Imports no JAX before it meets such kernels.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pinnzoo.errors import EntryError
from pinnzoo.storage import metrics as metrics_file
from pinnzoo.storage.arrays import pack
from pinnzoo.storage.files import exchange, write_file
from pinnzoo.storage.folder import (
    CONFIG,
    MANIFEST,
    METRICS,
    NTK,
    EntryFolder,
    manifest_json,
    record,
)

if TYPE_CHECKING:
    import numpy as np

KERNELS = "kernels"
"""What `ntk.npz` holds in the layout of older versions."""


def migrate(folder: str | os.PathLike[str]) -> bool:
    """Rewrite recipe, metrics, kernels and manifest of an entry in the newest formats, in place.

    Of the kernels, entries off the diagonal are rounded to float16 where older files have float32,
    see `NTKSnapshots.to_arrays`; spectra and drifts stay as they are.

    The new folder is made beside the old one, is compared with its manifest, and takes the old
    one's place in one move: a kill leaves either the old entry or the new one.

    Args:
        folder: The folder of an entry.

    Returns:
        Whether anything was rewritten; False if the files are in the newest formats already.

    Raises:
        EntryError: There is no such entry, or its folder cannot be written.
        IntegrityError: The entry is damaged.
        FormatVersionError: It is of a format that is newer than this version of pinnzoo.
        RecipeError: Its recipe cannot be read.

    Example:
        >>> migrate("checkpoints/burgers-mlp-adam")
    """
    target = Path(os.path.abspath(Path(folder).expanduser()))
    old = EntryFolder.open(target)
    old.verify()
    contents = {
        CONFIG: old.recipe().to_json().encode(),
        METRICS: metrics_file.to_json(old.metrics()).encode(),
    }
    # An entry without diagnostics has none.
    if NTK in old.manifest["files"] and KERNELS in (arrays := old.arrays(NTK)):
        contents[NTK] = _rounded(arrays)
    if all(old.read(name) == content for name, content in contents.items()):
        return False
    files = {
        name: record(contents[name]) if name in contents else stated
        for name, stated in old.manifest["files"].items()
    }
    contents[MANIFEST] = manifest_json({**old.manifest, "files": files}).encode()
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as work:
            made = Path(work) / target.name
            shutil.copytree(target, made, symlinks=True)
            for name, content in contents.items():
                write_file(made / name, content)
                shutil.copymode(target / name, made / name)
            EntryFolder.open(made).verify()
            exchange(target, made, Path(work) / "replaced")
    except OSError as error:
        raise EntryError(
            f"the entry in {str(target)!r} cannot be rewritten ({error.strerror or error}): make "
            "its folder and the one around it writable, and make room on the disk."
        ) from error
    return True


def _rounded(arrays: "dict[str, np.ndarray]") -> bytes:
    from pinnzoo.diagnostics.ntk import NTKSnapshots

    return pack(NTKSnapshots.from_arrays(arrays).to_arrays())


def migrate_all(root: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    """`migrate` every entry below a folder.

    Args:
        root: A folder of entries' folders, such as `checkpoints/`.

    Returns:
        Names of the folders that were rewritten, and of those that were in the newest formats.

    Raises:
        EntryError: There is no such folder, or it holds no entry; and as `migrate`, at the first
            entry that cannot be migrated.
    """
    home = Path(root).expanduser()
    folders = sorted(path.parent for path in home.glob(f"*/{MANIFEST}"))
    # Folders whose names begin with a dot are temporary ones that a killed run has left.
    folders = [path for path in folders if not path.name.startswith(".")]
    if not folders:
        raise EntryError(
            f"there is no entry below {str(home)!r}: give a folder that holds entries' folders, "
            "such as checkpoints."
        )
    changed = [path.name for path in folders if migrate(path)]
    return changed, [path.name for path in folders if path.name not in changed]
