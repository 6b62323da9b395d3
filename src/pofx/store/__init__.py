"""A safe file of (manifest, arrays), knowing no model.

One ``.pofx`` file is a `safetensors <https://huggingface.co/docs/safetensors>`_ file that any reader of that
format opens: 8 bytes of header length, a JSON header, then the arrays end to end. Its header starts::

    {"__metadata__":{"size":"<16 digits>","sha256":"<64 hex digits>","pofx":"<the manifest as JSON>"},...

``size`` is the length of the whole file, ``sha256`` the hash of the whole file with its own 64 digits set to
zeros. Both sit at a fixed place, so a damaged or cut file is refused before anything in it is interpreted;
without them a third of single-bit flips in a safetensors file load silently as another model.

Nothing in a file is ever executed, imported or unpickled. Checks run in the order: size, header bounds, hash,
schema, types and ranges; each refusal is a :class:`~pofx.errors.FileError` with a sentence.

``pack`` makes the bytes, ``unpack`` checks and opens them, ``atomic`` puts them in place.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

import numpy as np

from pofx.errors import FileError
from pofx.store import atomic
from pofx.store.pack import LEAST, SCHEMA, serialise
from pofx.store.unpack import check_head, parse

__all__ = ["SCHEMA", "parse", "read", "serialise", "write"]

BUDGET = 4 * 2**30  # bytes of the largest file that read() accepts by default


def write(
    path: str | os.PathLike[str],
    manifest: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    *,
    overwrite: bool = True,
) -> None:
    """Write ``manifest`` and ``arrays`` to one file, atomically.

    The bytes go to a temporary file in the same directory, which is synced and renamed: at any moment, also
    after a crash or on a full disk, ``path`` is the old file or the new one, whole. Only a killed process can
    leave its ``.pofx-*.tmp`` behind. The permissions of a replaced file are kept.

    Parameters
    ----------
    path
        The file to write. Its directory must exist; a symbolic link is refused.
    manifest
        Nested mappings, lists, strings, numbers, booleans and None. Tuples come back as lists, NumPy scalars
        as Python numbers; NaN and infinities are kept, and so is the order of mappings.
    arrays
        Name -> array of float, int or bool dtype, of any shape.
    overwrite
        With False an existing file is refused.

    Raises
    ------
    ParameterError
        The manifest or an array cannot be represented.
    FileError
        The file cannot be written; whatever was there before is intact.
    """
    target = atomic.file_name(path)
    atomic.write(target, serialise(manifest, arrays), overwrite=overwrite)


def read(
    path: str | os.PathLike[str], *, budget: int = BUDGET
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a file of :func:`write`; return the manifest and read-only arrays of the same dtypes and shapes.

    Parameters
    ----------
    path
        The file.
    budget
        The largest file accepted, in bytes; about twice as much memory is used while reading.

    Raises
    ------
    FileError
        The file is missing, damaged, truncated, not of pofx, of a newer schema, or larger than ``budget``.
    """
    target = atomic.file_name(path)
    where = repr(target)
    try:
        if not stat.S_ISREG(os.stat(target).st_mode):  # before opening: opening a pipe would wait for ever
            raise FileError(f"cannot read {where}: it is not a regular file.")
        with open(target, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > budget:
                raise FileError(
                    f"{where} has {size:,} bytes, more than the budget of {budget:,}. "
                    "If you trust it, pass a larger budget."
                )
            head = file.read(LEAST)
            check_head(head, size, where)
            data = head + file.read(size - len(head))
    except FileError:
        raise
    except FileNotFoundError as error:
        raise FileError(f"cannot read {where}: there is no such file.") from error
    except MemoryError as error:
        raise FileError(f"cannot read {where}: not enough memory for its {size:,} bytes.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"cannot read {where}: {reason}.") from error
    return parse(data, where)
