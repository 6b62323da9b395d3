"""Sums of exponentials that arrive tile by tile, kept as logarithms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["LogSum"]

Floats = NDArray[np.float64]


class LogSum:
    """Σ exp(term) per query: the largest term so far, and the sum of the exponentials relative to it.

    Nothing underflows in the tails and nothing overflows at a tie.
    """

    def __init__(self, count: int) -> None:
        self.largest = np.full(count, -math.inf)
        self.total = np.zeros(count)

    def add(self, tile: NDArray[np.floating]) -> None:
        """Take in terms (count, any number); the tile is overwritten by exp(term - largest)."""
        new = np.maximum(self.largest, tile.max(axis=1))
        reference = np.where(np.isneginf(new), 0.0, new)  # -inf - -inf would be NaN
        np.subtract(tile, reference[:, None], out=tile)
        np.exp(tile, out=tile)
        self.total = self.total * np.exp(self.largest - reference) + tile.sum(axis=1)
        self.largest = new

    def value(self) -> Floats:
        """Return the logarithms of the sums; -inf for an empty one."""
        with np.errstate(divide="ignore"):
            return self.largest + np.log(np.where(np.isneginf(self.largest), 1.0, self.total))
