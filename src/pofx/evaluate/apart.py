"""Which columns of two sets of rows differ, by how much, and could that be chance, all columns considered?

The largest gap between the two distribution functions of a column is its effect size; it needs no units and
no assumption. Permuting the labels of whole rows, the same way in all columns, gives the distribution of all
gaps together under one distribution, however columns go together and values are tied: gaps are put on one
scale by their median and spread over the permutations (the observed labels among them, which keeps the test
exact), and a column's adjusted p-value is the share of permutations in which *any* column shows as much
(max-T, Westfall and Young 1993, Resampling-Based Multiple Testing).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..threads import map_ordered
from .curves import percent

__all__ = ["PERMUTATIONS", "ColumnDifference", "columns_apart", "rows_for_columns"]

Floats = NDArray[np.float64]

PERMUTATIONS = 999
AT_ONCE = 37  # permutations; 27 of such blocks are all
MOST_ROWS, LEAST_ROWS, MOST_ENTRIES = 20_000, 2_000, 500_000  # of each set: rows, and rows times columns
Z95 = 1.959963984540054


@dataclass(frozen=True)
class ColumnDifference:
    """How a column of A and the same column of B differ.

    Attributes
    ----------
    gap : float
        The share of rows at most ``at`` in B minus that in A, where it is largest.
    gap_error : float
        Its standard error at that cut.
    at, share_a, share_b : float
        The cut (data units), and the shares of rows up to it.
    limit : float
        What the gap, in size, would have to exceed, all columns considered.
    p_value : float
        Of the permutation test, adjusted for all columns.
    median_a, median_b : float
        Data units.
    shift, shift_low, shift_high : float
        Median of B minus that of A in units of ``spread``, with its 95 % interval.
    spread : float
        The interquartile range of all rows together (their standard deviation where that is zero).
    spread_ratio : float or None
        The interquartile range of B over that of A; None where one is zero.
    """

    name: str
    gap: float
    gap_error: float
    at: float
    share_a: float
    share_b: float
    limit: float
    p_value: float
    median_a: float
    median_b: float
    shift: float
    shift_low: float
    shift_high: float
    spread: float
    spread_ratio: float | None

    def words(self, a: str, b: str) -> str:
        """Return where the gap is, with these names of the two sets."""
        return (
            f"{self.name}: {percent(self.share_a)} of {a} and {percent(self.share_b)} of {b} are at most "
            f"{self.at + 0.0:.4g}"
        )


def rows_for_columns(d: int) -> int:
    """Return how many rows of each set the permutation test takes."""
    return min(MOST_ROWS, max(LEAST_ROWS, MOST_ENTRIES // d))


def columns_apart(
    column: Callable[[int], tuple[Floats, Floats]],
    a: Floats,
    b: Floats,
    names: Sequence[str],
    rng: np.random.Generator,
    level: float,
) -> tuple[ColumnDifference, ...]:
    """Return the difference of each column, in the order of the columns.

    Parameters
    ----------
    column : function of j
        All values of a column in A and in B.
    a, b : ndarray (n, d), (m, d)
        The rows whose labels are permuted: all, where the test is exact, or some taken at random, at least
        2,000. From that many on, gaps under one distribution are in proportion to √(1/n + 1/m).
    names : sequence of str
    rng : Generator
        Draws the permutations.
    level : float
        What the limits belong to.
    """
    found, own = [], np.empty(len(names))
    factor = 1.0
    for j, name in enumerate(names):
        of_a, of_b = column(j)
        factor = math.sqrt((1.0 / len(a) + 1.0 / len(b)) / (1.0 / len(of_a) + 1.0 / len(of_b)))
        one = _difference(name, of_a, of_b)
        found.append(one)
        own[j] = abs(one.gap) * factor
    gaps = np.concatenate([own[None], _permuted_gaps(a, b, rng)])
    low, middle, high = np.quantile(gaps, [0.25, 0.5, 0.75], axis=0)  # a huge observed gap moves none of them
    spread = np.where(high > low, high - low, gaps.std(axis=0))
    spread = np.where(spread > 0.0, spread, 1.0)
    most = ((gaps - middle) / spread).max(axis=1)
    beyond = (most[:, None] >= (own - middle) / spread - 1e-9).sum(axis=0)  # the observed one counts itself
    limits = middle + spread * np.sort(most)[-max(1, int(level * (PERMUTATIONS + 1)))]
    return tuple(
        replace(one, limit=float(limits[j] / factor), p_value=float(beyond[j] / (PERMUTATIONS + 1)))
        for j, one in enumerate(found)
    )


def _permuted_gaps(a: Floats, b: Floats, rng: np.random.Generator) -> Floats:
    """Return the largest gap of each column (PERMUTATIONS, d) for permuted labels."""
    n, m = len(a), len(b)
    labels = np.zeros(n + m, dtype=np.int8)
    labels[:n] = 1
    sorts = []
    for j in range(a.shape[1]):
        values = np.concatenate([a[:, j], b[:, j]])
        order = np.argsort(values, kind="stable")
        last = np.append(np.flatnonzero(np.diff(values[order])), n + m - 1)  # of equal values
        sorts.append((order, last))

    def block(one: np.random.Generator) -> Floats:
        shuffled = one.permuted(np.tile(labels, (AT_ONCE, 1)), axis=1)
        found = np.empty((len(shuffled), len(sorts)))
        for j, (order, last) in enumerate(sorts):
            below = np.cumsum(shuffled[:, order], axis=1, dtype=np.int32)[:, last]
            gap = below * (1.0 / n + 1.0 / m) - (last + 1.0) / m
            found[:, j] = np.maximum(gap.max(axis=1), -gap.min(axis=1))
        return found

    return np.concatenate(list(map_ordered(block, rng.spawn(PERMUTATIONS // AT_ONCE))))


def _difference(name: str, a: Floats, b: Floats) -> ColumnDifference:
    """Return the sizes, not yet the limit and the p-value; a and b are all values of the column."""
    n, m = len(a), len(b)
    a, b = np.sort(a), np.sort(b)
    cuts = np.unique(np.concatenate([a, b]))
    in_a, in_b = np.searchsorted(a, cuts, "right") / n, np.searchsorted(b, cuts, "right") / m
    k = int(np.argmax(np.abs(in_b - in_a)))
    share_a, share_b = float(in_a[k]), float(in_b[k])
    spread_a, spread_b = (float(np.diff(np.quantile(v, [0.25, 0.75]))[0]) for v in (a, b))
    both = np.concatenate([a, b])
    spread = float(np.diff(np.quantile(both, [0.25, 0.75]))[0])
    if not spread > 0.0:
        size = float(np.abs(both).max()) or 1.0
        spread = size * float(np.std(both / size)) or 1.0
    median_a, median_b = float(np.median(a)), float(np.median(b))
    shift = (median_b - median_a) / spread
    error = math.hypot(_error_of_median(a), _error_of_median(b)) / spread
    return ColumnDifference(
        name=name,
        gap=share_b - share_a,
        gap_error=math.sqrt(share_a * (1.0 - share_a) / n + share_b * (1.0 - share_b) / m),
        at=float(cuts[k]),
        share_a=share_a,
        share_b=share_b,
        limit=1.0,
        p_value=1.0,
        median_a=median_a,
        median_b=median_b,
        shift=shift,
        shift_low=shift - Z95 * error,
        shift_high=shift + Z95 * error,
        spread=spread,
        spread_ratio=spread_b / spread_a if spread_a > 0.0 and spread_b > 0.0 else None,
    )


def _error_of_median(ordered: Floats) -> float:
    """Return the standard error of the median by the distance of order statistics around it (McKean and
    Schrader 1984, Commun. Stat. B 13, 751)."""
    n = len(ordered)
    reach = max(1, math.ceil(Z95 * math.sqrt(n) / 2.0))
    low, high = max(0, n // 2 - reach), min(n - 1, (n - 1) // 2 + reach)
    return float(ordered[high] - ordered[low]) / (2.0 * Z95)
