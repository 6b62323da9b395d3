"""The occupied cells of a grid in any number of dimensions, and how much mass the others deserve.

A cell is its bin number in every column, a row of int64. Only occupied cells exist, in lexicographic
order; the grid itself, which may have more cells than there are atoms, is never made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

__all__ = ["CellCounts", "group", "leave_one_out", "locate", "place"]

ROOM = 2**62  # keys of cells stay below this


def place(x: np.ndarray, edges: Sequence[np.ndarray]) -> np.ndarray:
    """Return the bin number of every entry, shape (m, d): bin k is [edge k, edge k+1), the last bin is
    closed; -1 outside."""
    cells = np.empty(x.shape, dtype=np.int64)
    for j, edge in enumerate(edges):
        column = x[:, j]
        k = np.searchsorted(edge, column, side="right") - 1
        bins = len(edge) - 1
        k[column == edge[-1]] = bins - 1
        k[k >= bins] = -1
        cells[:, j] = k
    return cells


def _runs(n_bins: np.ndarray, rows: int) -> Iterator[tuple[int, int, int]]:
    """Cut the columns into runs [first, stop) whose keys, after the number of a prefix, stay in range."""
    first, size = 0, 1
    for j, bins in enumerate(n_bins.tolist()):
        if j > first and (rows + 1 if first else 1) * size * bins >= ROOM:
            yield first, j, size
            first, size = j, 1
        size *= bins
    yield first, len(n_bins), size


def _extended(prefix: np.ndarray, cells: np.ndarray, n_bins: np.ndarray, first: int, stop: int) -> np.ndarray:
    key = prefix
    for j in range(first, stop):
        key = key * n_bins[j] + cells[:, j]
    return key


def group(cells: np.ndarray, counts: np.ndarray, n_bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct cells (m, d) in lexicographic order and their summed counts (m,)."""
    if len(cells) == 0:
        return cells, counts
    number = np.zeros(len(cells), dtype=np.int64)
    for first, stop, size in _runs(n_bins, len(cells)):
        key = _extended(number, cells, n_bins, first, stop)
        if first == 0 and stop == len(n_bins) and size <= 2 * len(cells) and len(n_bins) <= 32:
            total = np.bincount(key, weights=counts, minlength=size)
            occupied = np.flatnonzero(total)
            return np.column_stack(np.unravel_index(occupied, n_bins)).astype(np.int64), total[occupied]
        _, at, number = np.unique(key, return_index=True, return_inverse=True)
    return cells[at], np.bincount(number, weights=counts)


def locate(cells: np.ndarray, n_bins: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Return where each query cell (q, d) stands among ``cells`` (m, d, lexicographic); else -1."""
    if len(cells) == 0:
        return np.full(len(query), -1, dtype=np.int64)
    known = np.zeros(len(cells), dtype=np.int64)
    number = np.zeros(len(query), dtype=np.int64)
    lost = (query < 0).any(axis=1)
    for first, stop, _ in _runs(n_bins, len(cells)):
        key = _extended(known, cells, n_bins, first, stop)
        new = np.concatenate([[True], key[1:] != key[:-1]])
        known, table = np.cumsum(new) - 1, key[new]
        wanted = _extended(number, query, n_bins, first, stop)
        number = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
        lost |= table[number] != wanted
    return np.where(lost, -1, number)


@dataclass(frozen=True)
class CellCounts:
    """Counts of occupied cells that can be added: the additive statistic of a histogram."""

    cells: np.ndarray
    counts: np.ndarray
    n_bins: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, w: np.ndarray, edges: Sequence[np.ndarray]) -> CellCounts:
        """Count the rows x (b, d) of weights w (b,); all of them must lie within the edges."""
        n_bins = np.array([len(e) - 1 for e in edges], dtype=np.int64)
        return cls(*group(place(x, edges), w, n_bins), n_bins)

    def __add__(self, other: CellCounts) -> CellCounts:
        cells = np.concatenate([self.cells, other.cells])
        counts = np.concatenate([self.counts, other.counts])
        return CellCounts(*group(cells, counts, self.n_bins), self.n_bins)


def leave_one_out(
    counts: np.ndarray, log_share: np.ndarray, total: float, left_out: np.ndarray, times: np.ndarray
) -> float:
    """Return log A, the pseudo-rows spread evenly over the box, chosen by leave-one-out likelihood.

    Maximises over A, with n_i the count of row i's cell, v_i that cell's share of the box's volume and
    u_i what leaving the row out takes away ::

        Σ_i w_i log[ (n_i - u_i + A v_i) / (N - u_i + A) ]  +  log λ + log(1 - λ),   λ = A / (N + A)

    The last two terms stand for one more row in an unseen place and one in a seen place (as in Laplace's
    rule of succession). Without them A tends to 0 where no cell holds a single row, and then any new row
    in an empty cell has density zero; and to infinity where the rows are spread more evenly than chance.

    Parameters
    ----------
    counts, log_share, left_out, times : ndarrays of shape (k,)
        n_i, log v_i, u_i and w_i; rows that agree in the first three may be given once, weights added.
    total : float
        N, the sum of all counts.
    """
    rest = np.maximum(counts - left_out, 0.0)
    rest[rest < 1e-9 * counts] = 0.0  # what rounding leaves of a cell that held this row alone
    with np.errstate(divide="ignore"):
        log_rest, log_others = np.log(rest), np.log(np.maximum(total - left_out, 0.0))
    log_total = float(np.log(total))

    def likelihood(t: float) -> float:
        inside = np.logaddexp(log_rest, t + log_share) - np.logaddexp(log_others, t)
        return float(np.sum(times * inside) + t + log_total - 2 * np.logaddexp(t, log_total))

    def slope(t: float) -> float:
        inside = expit(t + log_share - log_rest) - expit(t - log_others)
        return float(np.sum(times * inside) + 1.0 - 2.0 * expit(t - log_total))

    # A grid finds the hill, the sign of the slope its top: a maximum found by its height alone would
    # wander with the square root of rounding, and the density with it.
    grid = np.linspace(-12.0, 2.0 * max(log_total, 0.0) + 12.0, 49)
    best = int(np.argmax([likelihood(t) for t in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return float((low + high) / 2)
