"""Many mixtures side by side: their components in one row of columns, one segment per mixture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from itertools import pairwise

import numpy as np

__all__ = ["Segments", "lower_triangle", "squares"]


@cache
def lower_triangle(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns of vech: the lower triangle, row by row."""
    return np.tril_indices(d)


@cache
def squares(d: int) -> np.ndarray:
    """Return the places of the diagonal in vech."""
    i = np.arange(d)
    return i * (i + 3) // 2


class Segments:
    """Which of M components belong to which of B mixtures.

    Parameters
    ----------
    sizes : sequence of int
        The number of components of each mixture, in ascending order, so that mixtures of one size are
        neighbours and share their vector operations.
    """

    def __init__(self, sizes: Sequence[int] | np.ndarray) -> None:
        self.sizes = np.asarray(sizes, dtype=np.int64)
        assert (np.diff(self.sizes) >= 0).all(), "mixtures must be ordered by size"
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)
        self.owner = np.repeat(np.arange(len(self.sizes)), self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def m(self) -> int:
        """The number of components of all mixtures together."""
        return len(self.owner)

    @cached_property
    def groups(self) -> list[tuple[int, slice, slice]]:
        """Mixtures of equal size: ``(K, their mixtures, their components)``."""
        out = []
        edges = np.flatnonzero(np.diff(self.sizes, prepend=-1, append=-1))
        for first, last in pairwise(edges):
            k = int(self.sizes[first])
            start = int(self.starts[first])
            out.append((k, slice(int(first), int(last)), slice(start, start + k * int(last - first))))
        return out

    def sum(self, a: np.ndarray) -> np.ndarray:
        """Return the sums over each mixture's components: (…, M) to (…, B)."""
        return np.add.reduceat(a, self.starts, axis=-1)

    def any(self, flags: np.ndarray) -> np.ndarray:
        """Return for each mixture whether any of its components is flagged: (M,) to (B,)."""
        return np.logical_or.reduceat(flags, self.starts)

    def components(self, mixtures: np.ndarray) -> np.ndarray:
        """Return the component numbers of some mixtures, in order."""
        if not len(mixtures):
            return np.zeros(0, dtype=np.int64)
        return np.concatenate([np.arange(self.starts[b], self.starts[b] + self.sizes[b]) for b in mixtures])

    def take(self, mixtures: np.ndarray) -> Segments:
        """Return the segments of some mixtures."""
        return Segments(self.sizes[mixtures])
