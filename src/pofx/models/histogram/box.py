"""A smoothed histogram as numbers: the box of cells, what is in them, and all that follows in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pofx.errors import ParameterError

__all__ = ["Box"]


@dataclass(frozen=True)
class Box:
    """Edges of d columns, occupied cells (m, d) in lexicographic order, their counts (m,), and log A, the
    pseudo-rows spread evenly over the box (-inf: none). Its density is a mixture of two: the pure
    histogram, and with weight λ = A / (N + A) the uniform density of the box."""

    edges: tuple[np.ndarray, ...]
    cells: np.ndarray
    counts: np.ndarray
    log_extra: float

    @classmethod
    def of(
        cls, edges: Sequence[np.ndarray], cells: np.ndarray, counts: np.ndarray, log_extra: float = -np.inf
    ) -> Box:
        return cls(tuple(edges), cells, counts, float(log_extra))

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Box:
        stops = np.cumsum(params["n_bins"] + 1)[:-1]
        edges = tuple(np.split(params["edges"], stops))
        return cls(edges, params["cells"], params["counts"], params["log_extra"])

    def values(self) -> dict[str, Any]:
        """Return what a fitted model stores."""
        return {
            "edges": np.concatenate(self.edges),
            "n_bins": self.n_bins,
            "cells": self.cells,
            "counts": self.counts,
            "log_extra": self.log_extra,
        }

    @staticmethod
    def check(values: Mapping[str, Any], d: int) -> None:
        """Raise ParameterError where ``values`` is not what :meth:`values` gives for d columns."""
        edges, n_bins = values["edges"], values["n_bins"]
        cells, counts, log_extra = values["cells"], values["counts"], values["log_extra"]
        shapes = n_bins.shape == (d,) and cells.ndim == 2 and cells.shape == (len(counts), d)
        if not (shapes and edges.ndim == counts.ndim == 1):
            raise ParameterError(f"A histogram of {d} columns with fields of wrong shapes.")
        if [v.dtype.kind for v in (n_bins, cells, edges, counts)] != ["i", "i", "f", "f"]:
            raise ParameterError("A histogram with fields of wrong types.")
        possible = (n_bins >= 1) & (n_bins <= len(edges))
        if not possible.all() or int((n_bins + 1).sum()) != len(edges):
            raise ParameterError("A histogram whose edges do not fit its numbers of bins.")
        rising = np.diff(edges) > 0
        rising[np.cumsum(n_bins + 1)[:-1] - 1] = True  # from one column's last edge to the next one's first
        if not np.isfinite(edges).all() or not rising.all():
            raise ParameterError("A histogram whose edges do not ascend.")
        if not ((cells >= 0) & (cells < n_bins)).all():
            raise ParameterError("A histogram with cells outside its box.")
        steps = np.diff(cells, axis=0)
        if not (steps[np.arange(len(steps)), (steps != 0).argmax(axis=1)] > 0).all():
            raise ParameterError("A histogram whose cells are not in order.")
        if not (np.isfinite(counts).all() and (counts > 0).all() and np.isfinite(counts.sum())):
            raise ParameterError("A histogram with counts that are not positive numbers.")
        empty = len(counts) == 0 and log_extra == -np.inf
        if not isinstance(log_extra, float) or not log_extra < np.inf or empty:
            raise ParameterError("A histogram without mass, or with smoothing that is not a number.")

    def smoothed(self, log_extra: float) -> Box:
        """Return the box with another log A."""
        return replace(self, log_extra=float(log_extra))

    # ---------------------------------------------------------------- sizes

    @property
    def n_bins(self) -> np.ndarray:
        return np.array([len(e) - 1 for e in self.edges], dtype=np.int64)

    @property
    def log_cells(self) -> float:
        """log M: M itself may be beyond float64."""
        return float(np.log(self.n_bins).sum())

    @cached_property
    def log_bin_shares(self) -> list[np.ndarray]:
        """Per column, the log of each bin's share of the range."""
        return [np.log(np.diff(e)) - np.log(e[-1] - e[0]) for e in self.edges]

    @cached_property
    def log_shares(self) -> np.ndarray:
        """log v: each occupied cell's share of the box's volume (m,)."""
        out = np.zeros(len(self.cells))
        for j, share in enumerate(self.log_bin_shares):
            out += share[self.cells[:, j]]
        return out

    @property
    def log_volume(self) -> float:
        """log V of the box."""
        return float(sum(np.log(e[-1] - e[0]) for e in self.edges))

    def describe_cells(self) -> str:
        """Return "20 x 30 = 600 cells"."""
        bins = self.n_bins.tolist()
        factors = " x ".join(map(str, bins[:6])) + (f" x … ({len(bins)} columns)" if len(bins) > 6 else "")
        if self.log_cells < 40:
            size = f"{int(np.prod(self.n_bins)):,}"
        else:
            size = f"about 1e{self.log_cells / np.log(10):.0f}"
        return f"{size} cells" if len(bins) == 1 else f"{factors} = {size} cells"

    def describe(self) -> str:
        """Return "20 x 30 = 600 cells, 151 occupied"."""
        return f"{self.describe_cells()}, {len(self.counts):,} occupied"

    # ---------------------------------------------------------------- masses

    @cached_property
    def total(self) -> float:
        """N, the sum of the counts."""
        return float(self.counts.sum())

    @cached_property
    def log_total(self) -> float:
        return float(np.log(self.total)) if len(self.counts) else -np.inf

    @property
    def log_uniform(self) -> float:
        """log λ, the log of the mass spread evenly over the box."""
        return float(self.log_extra - np.logaddexp(self.log_total, self.log_extra))

    @cached_property
    def log_densities(self) -> np.ndarray:
        """The log density in each occupied cell (m,)."""
        here = np.logaddexp(np.log(self.counts) - self.log_shares, self.log_extra)
        return here - np.logaddexp(self.log_total, self.log_extra) - self.log_volume

    def log_boxes(self, lower: np.ndarray, upper: np.ndarray, point: np.ndarray) -> np.ndarray:
        """Return the log of the density integrated over boxes (m, d), shape (m,); its value, not an integral,
        in the columns that are a ``point``."""
        even = np.ones(len(lower))
        shares: list[np.ndarray] = []  # per column (m, bins): of each bin's mass, how much lies in the box
        for j, e in enumerate(self.edges):
            a, b = lower[:, j, None], upper[:, j, None]
            if point[j]:
                inside = (e[:-1] <= a) & ((a < e[1:]) | ((a == e[-1]) & (e[1:] == e[-1])))
                shares.append(inside / np.diff(e))
                even = even * inside.any(axis=1) / (e[-1] - e[0])
            else:
                shared = np.maximum(np.minimum(b, e[1:]) - np.maximum(a, e[:-1]), 0.0)
                shares.append(shared / np.diff(e))
                even = even * shared.sum(axis=1) / (e[-1] - e[0])
        size = max(1, 1_000_000 // max(len(self.counts), 1))
        found = np.empty(len(lower))
        for start in range(0, len(lower), size):
            part = slice(start, start + size)
            product = np.ones((len(lower[part]), len(self.counts)))
            for j, share in enumerate(shares):
                product *= share[part][:, self.cells[:, j]]
            found[part] = product @ self.counts
        log_all = np.logaddexp(self.log_total, self.log_extra)
        with np.errstate(divide="ignore"):
            return np.logaddexp(np.log(found), self.log_extra + np.log(even)) - log_all

    def entropy(self) -> float:
        """- Σ over occupied cells of mass × log density, and the same for all empty ones together."""
        masses = np.exp(self.log_densities + self.log_shares + self.log_volume)
        out = -float(masses @ self.log_densities)
        empty = 1.0 - float(np.exp(self.log_shares).sum())
        if np.isfinite(self.log_extra) and np.log(max(len(self.counts), 1)) < self.log_cells and empty > 0:
            out -= np.exp(self.log_uniform) * empty * (self.log_uniform - self.log_volume)
        return out

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (d,) and covariance (d, d) of the mixture: between centres, and within cells width²/12."""
        low = np.array([e[0] for e in self.edges])
        high = np.array([e[-1] for e in self.edges])
        pairs = list(zip(self.edges, self.cells.T, strict=True))
        centres = np.column_stack([(e[k] + e[k + 1]) / 2 for e, k in pairs])
        widths = np.column_stack([e[k + 1] - e[k] for e, k in pairs])
        even = np.exp(self.log_uniform)
        share = (1.0 - even) * self.counts / self.total if len(self.counts) else self.counts
        mean = even * (low + high) / 2 + share @ centres
        away, middle = centres - mean, (low + high) / 2 - mean
        within = share @ widths**2 + even * (high - low) ** 2
        return mean, (away * share[:, None]).T @ away + even * np.outer(middle, middle) + np.diag(within / 12)

    # ---------------------------------------------------------------- one column

    @cached_property
    def _bin_masses(self) -> np.ndarray:
        masses = np.exp(self.log_uniform + self.log_bin_shares[0])
        masses[self.cells[:, 0]] = np.exp(self.log_densities + self.log_shares + self.log_volume)
        return masses

    def log_tail(self, x: np.ndarray, *, upper: bool) -> np.ndarray:
        """log P(X <= x), or log P(X > x): piecewise linear, each summed from its own end."""
        edges, masses = self.edges[0], self._bin_masses
        if upper:
            edges, masses, x = -edges[::-1], masses[::-1], -x
        k = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(masses) - 1)
        part = np.clip((x - edges[k]) / (edges[k + 1] - edges[k]), 0.0, 1.0)
        before = np.concatenate([[0.0], np.cumsum(masses)])
        with np.errstate(divide="ignore"):
            return np.where(x >= edges[-1], 0.0, np.log(before[k] + part * masses[k]))

    def quantile(self, q: np.ndarray) -> np.ndarray:
        """x with P(X <= x) = q, reckoned from the lower end for q up to one half, else from the upper."""
        edges, masses = self.edges[0], self._bin_masses
        filled = masses > 0
        low, high, masses = edges[:-1][filled], edges[1:][filled], masses[filled]
        return np.where(
            q <= 0.5,
            _quantile_from_below(low, high, masses, q),
            -_quantile_from_below(-high[::-1], -low[::-1], masses[::-1], 1.0 - q),
        )

    def dense(self) -> np.ndarray:
        """Every cell's mass, as a grid of shape ``n_bins``."""
        grid = np.array(self.log_uniform)
        for share in self.log_bin_shares:
            grid = grid[..., None] + share
        grid = np.exp(grid)
        grid[tuple(self.cells.T)] = np.exp(self.log_densities + self.log_shares + self.log_volume)
        return grid


def _quantile_from_below(low: np.ndarray, high: np.ndarray, masses: np.ndarray, q: np.ndarray) -> np.ndarray:
    upto = np.cumsum(masses)
    k = np.minimum(np.searchsorted(upto, q, side="left"), len(masses) - 1)
    before = np.concatenate([[0.0], upto])[k]
    return low[k] + np.clip((q - before) / masses[k], 0.0, 1.0) * (high[k] - low[k])
