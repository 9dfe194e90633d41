"""Arrays as the bytes of an npz file, and back without trusting them. Imports no JAX.

NumPy is imported when it is needed, so that entries are listed without it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MAX_UNPACKED = 1 << 29
"""Bytes of all arrays in one npz file."""


def pack(arrays: "dict[str, np.ndarray]") -> bytes:
    """An npz file with the arrays, compressed; the same arrays give the same bytes."""
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(content: bytes) -> "dict[str, np.ndarray]":
    """The inverse of `pack`; never unpickles, and allocates no more than the file declares.

    Raises:
        ValueError: It holds anything but plain arrays, or too many bytes.
        Exception: It is no zip file; `zipfile` and `zlib` have several kinds of errors.
    """
    import io
    import zipfile

    arrays: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_UNPACKED:
            raise ValueError("it unpacks to too many bytes")
        for member in members:
            key, suffix = member.filename[:-4], member.filename[-4:]
            if suffix != ".npy" or key in arrays:
                raise ValueError(f"it holds {member.filename[:80]!r}, which is no new array")
            arrays[key] = _array(archive.read(member))
    return arrays


def _array(content: bytes) -> "np.ndarray":
    """One array of an npz file; its header is read by NumPy as a literal, not as code.

    `numpy.load(allow_pickle=False)` would do nearly the same in a line. However, it allocates what
    the header promises before it looks how many bytes follow, takes dates and structured arrays,
    and ignores bytes behind the array.
    """
    import io

    import numpy as np

    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = {(1, 0): np.lib.format.read_array_header_1_0}.get(version)
    if header is None:
        raise ValueError(f"an array of format {version}")
    shape, fortran, dtype = header(file)
    if dtype.hasobject or dtype.kind not in "fiuU" or dtype.itemsize == 0:
        raise ValueError(f"an array of type {dtype.name}, which is not plain numbers or words")
    body = memoryview(content)[file.tell() :]
    if any(k < 0 for k in shape):
        raise ValueError("an array of negative size")
    count = 1
    for k in shape:
        count *= k
    if count * dtype.itemsize != len(body):
        raise ValueError(f"an array of shape {shape} in {len(body)} bytes")
    flat = np.frombuffer(body, dtype=dtype).copy()
    return flat.reshape(shape, order="F" if fortran else "C")
