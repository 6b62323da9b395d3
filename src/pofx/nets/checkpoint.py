"""A training run as one safe file, so that it goes on after the process was killed as if nothing had been.

The file is one of :mod:`pofx.store`: vectors and plain numbers. It holds no row: only a hash of what the run
was started with, by which a checkpoint of other rows or settings is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .. import store
from ..errors import FileError

__all__ = ["fingerprint", "read", "write"]


def fingerprint(*parts: Any) -> str:
    """Return a hash of arrays and plain data, 64 hex digits."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(repr((part.shape, str(part.dtype))).encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part if isinstance(part, str | int | float | None) else asdict(part)).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def write(path: str | Path, mark: str, numbers: Mapping[str, Any], vectors: Mapping[str, np.ndarray]) -> None:
    """Write a run's state, atomically: a process killed meanwhile leaves the file before it."""
    store.write(path, {"checkpoint": {"mark": mark, "numbers": dict(numbers)}}, vectors)


def read(path: str | Path, mark: str) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """Return a run's state, ``None`` where there is no file.

    Raises
    ------
    FileError
        Where the file is damaged, is something else, or belongs to a run on other rows or settings.
    """
    if not Path(path).exists():
        return None
    manifest, arrays = store.read(path)
    found = manifest.get("checkpoint")
    if not (isinstance(found, dict) and isinstance(found.get("numbers"), dict)):
        raise FileError(f"{str(path)!r} is a file of pofx but no checkpoint of a fit; give another path.")
    if found.get("mark") != mark:
        raise FileError(
            f"{str(path)!r} is the checkpoint of another fit: other rows, settings or seed. Delete it to "
            "start anew, or give another path."
        )
    return found["numbers"], {name: np.array(array) for name, array in arrays.items()}
