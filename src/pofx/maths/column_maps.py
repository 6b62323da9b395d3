"""Columns made ready for a network: spread over their recorded cells, unbounded, centred and scaled.

Each step is one to one with its log-derivative, so that a density of what comes out is a density in the units
of what went in:

    x  →  b(x), the logarithm of the distance to one bound or the logit between two  →  t = (b(x) − m) / s
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .bijections import Bijection, Identity, as_bijection

__all__ = ["ColumnMaps", "spread_over_cells", "tail_degrees"]

ROBUST = 2.0  # a standard deviation more than so many times what the quartiles say is that of far values


@dataclass(frozen=True)
class ColumnMaps:
    """One map per column.

    Parameters
    ----------
    low, high : ndarray (d,)
        Open bounds; infinite where there is none.
    centre, scale : ndarray (d,)
        Of the unbounded columns; scales are positive.
    """

    low: np.ndarray
    high: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, w: np.ndarray, low: np.ndarray, high: np.ndarray) -> ColumnMaps:
        """Return the maps of rows x (n, d), inside the bounds, with weights w (n,).

        The scale is the standard deviation, or what the quartiles say where that is less than half of it: a
        few far values are not to squeeze all others into one bin of a spline.
        """
        d = x.shape[1]
        plain = cls(low, high, np.zeros(d), np.ones(d))
        t, _ = plain.forward(x)
        share = w / w.sum()
        centre, scale = share @ t, np.empty(d)
        for j in range(d):
            scale[j] = np.sqrt(share @ (t[:, j] - centre[j]) ** 2)
            order = np.argsort(t[:, j], kind="stable")
            ordered, mass = t[order, j], np.cumsum(share[order])
            quartile = [ordered[min(np.searchsorted(mass, q), len(mass) - 1)] for q in (0.25, 0.5, 0.75)]
            robust = (quartile[2] - quartile[0]) / 1.349
            if 0.0 < ROBUST * robust < scale[j]:
                centre[j], scale[j] = quartile[1], robust
        return cls(low, high, centre, scale)

    def _bijections(self) -> list[Bijection]:
        ends = zip(self.low.tolist(), self.high.tolist(), strict=True)
        return [
            as_bijection((low if np.isfinite(low) else None, high if np.isfinite(high) else None))
            for low, high in ends
        ]

    def inside(self, x: np.ndarray) -> np.ndarray:
        """Return which rows lie strictly inside the bounds (n,)."""
        return np.asarray(((x > self.low) & (x < self.high)).all(axis=1))

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return t (n, d) and Σ_j log |dt_j/dx_j| (n,) of rows inside the bounds."""
        t, log_det = np.array(x, dtype=float), np.full(len(x), -np.log(self.scale).sum())
        for j, b in enumerate(self._bijections()):
            if not isinstance(b, Identity):
                t[:, j] = b.forward(x[:, j])
                log_det += b.log_derivative(x[:, j])
        return (t - self.centre) / self.scale, log_det

    def inverse(self, t: np.ndarray) -> np.ndarray:
        """Return x (n, d)."""
        x = t * self.scale + self.centre
        for j, b in enumerate(self._bijections()):
            if not isinstance(b, Identity):
                x[:, j] = b.inverse(x[:, j])
        return x

    def select(self, columns: Sequence[int]) -> ColumnMaps:
        """Return the maps of some columns."""
        keep = list(columns)
        return ColumnMaps(self.low[keep], self.high[keep], self.centre[keep], self.scale[keep])


def spread_over_cells(
    x: np.ndarray, step: np.ndarray, low: np.ndarray, high: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return rows with every recorded value replaced by a uniform draw from its cell, what rounds to it.

    A density fitted to such rows integrates over a cell to the probability of its value, and has no spikes on
    ties ("uniform dequantisation": Theis, van den Oord and Bethge 2016).

    Parameters
    ----------
    x : ndarray (n, d)
    step : ndarray (d,)
        What each column was recorded to; 0 for a continuous one, which is left as it is.
    low, high : ndarray (d,)
        Bounds that no draw leaves.
    """
    left, right = np.maximum(x - step / 2, low), np.minimum(x + step / 2, high)
    u = rng.random(x.shape) * (1.0 - 2e-12) + 1e-12  # never on a bound
    with np.errstate(invalid="ignore"):
        return np.where(step > 0.0, left + u * (right - left), x)


def tail_degrees(t: np.ndarray, bound: float) -> np.ndarray:
    """Return degrees of freedom of a Student-t for each column that leaves ±``bound`` (d,), else infinity.

    Hill's estimate (1975) of the index of the tail from the largest twentieth of |t|, ten at least; between
    0.3 and 30. A place to begin learning from, no more.
    """
    out = np.full(t.shape[1], np.inf)
    for j in np.flatnonzero(np.abs(t).max(axis=0) > bound):
        size = np.sort(np.abs(t[:, j]))[::-1]
        k = min(max(10, len(size) // 20), len(size) - 1)
        excess = np.log(size[:k] / size[k]).mean() if size[k] > 0 else np.inf
        out[j] = np.clip(1.0 / max(excess, 1e-9), 0.3, 30.0)
    return out
