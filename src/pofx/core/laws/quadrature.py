"""Integrals of a density over a line or a plane, for the laws; no model is asked for its own."""

from __future__ import annotations

import numpy as np

__all__ = ["Grid"]


class Grid:
    """A product grid that is fine about the bulk of some rows and reaches far beyond them.

    Coordinates are ``centre + spread * sinh(t) / 2`` with t uniform, so that midpoints of equal steps in t
    integrate both the bulk and the tails.

    Parameters
    ----------
    x : ndarray (n, d), d ≤ 2
        Rows that say where the bulk is.
    steps : int
        Cells per axis.
    reach : float
        How many standard deviations the grid extends on each side.
    """

    def __init__(self, x: np.ndarray, steps: int, reach: float = 40.0) -> None:
        self.d = x.shape[1]
        self.steps = steps
        # Half the distance from the 16 % to the 84 % quantile: a spread that outliers leave alone.
        low, self.centre, high = np.quantile(x, [0.16, 0.5, 0.84], axis=0)
        self.spread = (high - low) / 2.0
        end = np.arcsinh(2.0 * reach)
        self.t_edges = np.linspace(-end, end, steps + 1)
        middle = (self.t_edges[1:] + self.t_edges[:-1]) / 2.0
        self.axes = [self._x(middle, j) for j in range(self.d)]
        self.widths = [np.diff(self._x(self.t_edges, j)) for j in range(self.d)]

    def _x(self, t: np.ndarray, j: int) -> np.ndarray:
        return self.centre[j] + self.spread[j] * np.sinh(t) / 2.0

    @property
    def points(self) -> np.ndarray:
        """All midpoints, (steps**d, d)."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1).reshape(-1, self.d)

    @property
    def volumes(self) -> np.ndarray:
        """The cells' volumes, (steps**d,)."""
        out = self.widths[0]
        for w in self.widths[1:]:
            out = np.multiply.outer(out, w)
        return out.ravel()

    def cells(self, x: np.ndarray) -> np.ndarray:
        """Return the flat index of each row's cell; rows beyond the grid count to its border."""
        t = np.arcsinh(2.0 * (x - self.centre) / self.spread)
        index = np.clip(np.searchsorted(self.t_edges, t) - 1, 0, self.steps - 1)
        return np.ravel_multi_index(tuple(index.T), (self.steps,) * self.d)
