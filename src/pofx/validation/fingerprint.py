"""The fingerprint of a table: one SHA-256 over its columns' names and its numbers.

It is the hash of these bytes, so that it can be computed again without pofx ::

    pofx.table/1 ["eruptions", "waiting"]\\n      the names as JSON (ASCII), or the number of nameless columns
    3.6 79.0 1.8 54.0 ...                       float64, little-endian, row after row; -0.0 as 0.0, and every
                                                missing value as the one NaN 0x7ff8000000000000

The order of rows and columns counts; container, dtype and the blocks that rows come in do not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

__all__ = ["Fingerprint"]

AT_A_TIME = 2**16  # numbers: a copy of them stays in the cache


class Fingerprint:
    """The SHA-256 of a table, fed with its rows.

    Parameters
    ----------
    names : the columns' names, or None
    d : int
        Number of columns.
    """

    def __init__(self, names: Sequence[str] | None, d: int) -> None:
        head = d if names is None else list(names)
        self._sha = hashlib.sha256(f"pofx.table/1 {json.dumps(head)}\n".encode("ascii"))

    def update(self, values: np.ndarray) -> Fingerprint:
        """Take the next rows (n, d), float64."""
        size = max(1, AT_A_TIME // max(values.shape[1], 1))
        for at in range(0, len(values), size):
            part = np.ascontiguousarray(values[at : at + size] + 0.0, dtype="<f8")
            gaps = np.isnan(part)
            if gaps.any():
                part[gaps] = np.nan
            self._sha.update(part.data)
        return self

    def hexdigest(self) -> str:
        """Return the hash of what came so far: 64 hexadecimal digits."""
        return self._sha.hexdigest()
