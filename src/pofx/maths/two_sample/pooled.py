"""Two samples made ready: few enough rows, columns in units of their pooled spread, labels to permute.

Whatever is chosen here is chosen without a look at who is in which sample, so that under one distribution all
labellings are alike and permutation tests are exact, however often values are tied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pofx.errors import DataError

__all__ = ["MOST_PAIRED", "PERMUTATIONS", "Pooled", "pooled", "rows_needed", "tail_p"]

Floats = NDArray[np.float64]

PERMUTATIONS = 999
MOST_PAIRED = 1_500  # rows of each sample: their distances take 72 MB


@dataclass(frozen=True, eq=False)
class Pooled:
    """Both samples, one below the other.

    Attributes
    ----------
    rows : ndarray (n + m, d)
        Data units.
    z : ndarray (n + m, d)
        Centred at the pooled medians, in units of ``spread``.
    spread : ndarray (d,)
        Pooled interquartile range of each column, or its standard deviation where that is zero; data units.
    n, m : int
        Rows of each sample that are here.
    n_given, m_given : int
        Rows that came: where there were more than can be paired, some were taken at random.
    """

    rows: Floats
    z: Floats
    spread: Floats
    n: int
    m: int
    n_given: int
    m_given: int

    def shuffled(self, times: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return labellings (times, n + m), True in the first sample."""
        labels = np.arange(self.n + self.m) < self.n
        return rng.permuted(np.tile(labels, (times, 1)), axis=1)

    @property
    def size(self) -> str:
        """How many rows were compared, in words."""
        if (self.n, self.m) == (self.n_given, self.m_given):
            return f"{self.n:,} rows and {self.m:,}"
        return f"{self.n:,} of {self.n_given:,} rows and {self.m:,} of {self.m_given:,}"


def pooled(x: Floats, y: Floats, rng: np.random.Generator, most: int = MOST_PAIRED) -> Pooled:
    """Return both samples, at most ``most`` rows of each.

    Parameters
    ----------
    x, y : ndarray (n, d), (m, d)
        Finite; two rows each or more.

    Raises
    ------
    DataError
        Where the numbers of columns differ, there are fewer rows, or values that are not finite.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise DataError(f"Two samples of the same columns are needed; got shapes {x.shape} and {y.shape}.")
    if min(len(x), len(y)) < 2:
        raise DataError(f"Each sample needs at least 2 rows; got {len(x)} and {len(y)}.")
    n_given, m_given = len(x), len(y)
    x, y = (a if len(a) <= most else a[np.sort(rng.choice(len(a), most, replace=False))] for a in (x, y))
    rows = np.concatenate([x, y])
    if not np.isfinite(rows).all():
        raise DataError("Two samples can be compared where all values are finite; NaN or infinity came.")
    size = np.where(np.abs(rows).max(axis=0) > 0.0, np.abs(rows).max(axis=0), 1.0)
    unit = rows / size  # squares of the spread must not leave float64
    centre = np.median(unit, axis=0)
    spread = np.ptp(np.quantile(unit, [0.25, 0.75], axis=0), axis=0)
    spread = np.where(spread > 0.0, spread, np.std(unit, axis=0))
    # With a spread of 1e-300 beside outliers of 1, distances would be infinite.
    spread = np.where(spread > 0.0, np.maximum(spread, 1e-100), 1.0)
    return Pooled(rows, (unit - centre) / spread, spread * size, len(x), len(y), n_given, m_given)


def tail_p(observed: float, permuted: Floats) -> float:
    """Return the p-value of a statistic that is large where samples differ: exact, ties against it."""
    slack = 1e-12 * max(abs(observed), float(np.abs(permuted).max(initial=0.0)), 1e-300)
    return float((1 + np.count_nonzero(permuted >= observed - slack)) / (len(permuted) + 1))


def rows_needed(n: int, m: int, ratio: float) -> int:
    """Return how many rows of each sample have ``ratio`` times the limit of n and m rows.

    Limits fall with the root of the harmonic mean.
    """
    return max(2, math.ceil(2.0 * n * m / (n + m) * ratio * ratio))
