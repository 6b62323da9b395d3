"""Rows grouped by which of their entries are observed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["Patterns"]


@dataclass(frozen=True)
class Patterns:
    """The patterns of missing entries among some rows.

    Parameters
    ----------
    observed : ndarray of bool (P, d)
        The different patterns.
    order : ndarray (n,)
        The rows, those of one pattern together, each group in the order of the rows.
    starts : ndarray (P + 1,)
        Where the groups begin in ``order``.
    """

    observed: np.ndarray
    order: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, observed: np.ndarray) -> Patterns:
        """Return the patterns of ``observed`` (n, d), in lexicographic order."""
        bits = np.packbits(observed, axis=1)
        order = np.lexsort(bits.T[::-1])
        new = (bits[order[1:]] != bits[order[:-1]]).any(axis=1)
        starts = np.concatenate([[0], np.flatnonzero(new) + 1, [len(order)]]).astype(np.int64)
        return cls(observed[order[starts[:-1]]], order, starts)

    def __iter__(self) -> Iterator[tuple[np.ndarray, list[int], list[int]]]:
        """Yield ``(rows, observed columns, missing columns)`` of each pattern."""
        for pattern, start, stop in zip(self.observed, self.starts[:-1], self.starts[1:], strict=True):
            yield (
                self.order[start:stop],
                np.flatnonzero(pattern).tolist(),
                np.flatnonzero(~pattern).tolist(),
            )
