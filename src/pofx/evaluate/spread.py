"""The standard error of a mean over rows that need not be independent: rows, whole groups, or a time series.

Rows: s / √n. Groups (Liang and Zeger 1986, *Biometrika* 73:13): the sum over groups of the squared sum of
their deviations, with G / (G − 1) for few groups. Time: Newey and West's long-run variance (1987,
*Econometrica* 55:703), Bartlett's window of the width that Andrews (1991, *Econometrica* 59:817) finds from
the first autocorrelation, as Diebold and Mariano (1995, *Journal of Business & Economic Statistics* 13:253)
judge forecasts by; never less than the error of independent rows.

A standard error says how far off a mean may be only where the variance is finite and no row decides it alone.
A log density falls like a square away from a Gaussian and a kernel estimate, so that rows with heavy tails
leave it without a variance: of 400 samples of Student's t with 3 degrees of freedom intervals of ± 2 errors
covered 40 to 80 %. Such means are known by the shape of their tail (Pareto's, by Zhang and Stephens 2009;
Vehtari et al. 2024 judge importance weights by it) and by the share of the largest part, and get no interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..data.diagnose.tails import outer_shape

__all__ = ["Mean", "Spread", "mean_of", "t_quantile"]

Floats = NDArray[np.float64]

FEWEST = 50  # parts from which on their tails are looked at
HEAVY = 0.5  # shape of a tail from which on there is no variance
LARGE, MUCH = 0.1, 0.5  # shares that one part may have in the sum of squares: with such a tail, with any
MOST_CORRELATED = 0.97  # the first autocorrelation counts as at most this (Andrews and Monahan 1992)


@dataclass(frozen=True)
class Mean:
    """A mean, its standard error, and the degrees of freedom of Student's t that its interval is made with.

    The error is NaN where there is none: fewer than two rows, or a value that is not finite. ``parts`` are
    the deviations of what counts as independent: rows, groups, or times.
    """

    value: float
    error: float
    freedom: float
    parts: Floats | None = field(default=None, repr=False, compare=False)

    @cached_property
    def doubt(self) -> str:
        """Why the error cannot be relied on, in words; "" where it can."""
        if self.parts is None or len(self.parts) < FEWEST or not math.isfinite(self.error):
            return ""
        squares = np.square(self.parts)
        total = float(squares.sum())
        share = float(squares.max()) / total if total > 0.0 else 0.0
        ascending = np.sort(self.parts)
        shape = max(outer_shape(ascending), outer_shape(-ascending[::-1]))
        if not (share > MUCH or (shape > HEAVY and share > LARGE)):
            return ""
        largest = f"one has {100 * share:.0f} % of the variance"
        return f"a few rows decide it: {largest}, the tail's shape is {shape:.1f}"

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of Student's t; NaN where there is no error, or a few rows decide the mean."""
        if self.doubt:
            return math.nan, math.nan
        reach = t_quantile(level, self.freedom + 1.0) * self.error
        return self.value - reach, self.value + reach


@dataclass(frozen=True, eq=False)
class Spread:
    """What hangs together among the rows (n,): nothing, groups, or neighbours in time.

    Parameters
    ----------
    groups : ndarray of int (n,), optional
        Each row's group, numbered from 0.
    order : ndarray of int (n,), optional
        The rows in the order of time.
    """

    groups: NDArray[np.intp] | None = None
    order: NDArray[np.intp] | None = None

    def mean(
        self, values: Floats, weights: Floats | None = None, used: NDArray[np.bool_] | None = None
    ) -> Mean:
        """Return the mean of the values (n,), where only the rows ``used`` count."""
        n = len(values)
        used = np.ones(n, dtype=bool) if used is None else used
        x = values[used]
        w = None if weights is None else weights[used]
        if not len(x):
            return Mean(math.nan, math.nan, 1.0)
        size = float(len(x)) if w is None else float(w.sum())
        value = mean_of(x, w)
        if len(x) < 2 or size <= 1.0 or not np.isfinite(x).all():
            return Mean(value, math.nan, max(size - 1.0, 1.0))
        if self.groups is not None:
            return _over_groups(x - value, w, self.groups[used], value, size)
        centred = x - value
        parts = centred if w is None else w * centred
        if w is None:
            alone = float(np.std(x, ddof=1) / math.sqrt(size))
        else:  # a row of weight w counts as w rows
            alone = float(math.sqrt(w @ np.square(centred) / (size - 1.0) / size))
        if self.order is None:
            return Mean(value, alone, size - 1.0, parts)
        series = parts[_ranks(self.order, used)]
        long_run, lag = _long_run(series)
        together = math.sqrt(long_run * len(x)) / size
        return Mean(value, max(alone, together), max(len(x) / (1.0 + lag) - 1.0, 1.0), parts)


def mean_of(values: Floats, weights: Floats | None) -> float:
    """Return the (weighted) mean."""
    return float(np.mean(values) if weights is None else np.average(values, weights=weights))


def t_quantile(level: float, n: float) -> float:
    """Return how many standard errors of a mean of ``n`` rows an interval of this level reaches."""
    from scipy.special import stdtrit

    return float(stdtrit(max(n - 1.0, 1.0), 0.5 + level / 2.0))


def _over_groups(
    centred: Floats, w: Floats | None, groups: NDArray[np.intp], value: float, size: float
) -> Mean:
    _, codes = np.unique(groups, return_inverse=True)
    count = int(codes.max()) + 1
    if count < 2:
        return Mean(value, math.nan, 1.0)
    sums: Floats = np.bincount(codes, weights=centred if w is None else w * centred).astype(np.float64)
    error = math.sqrt(count / (count - 1.0) * float(sums @ sums)) / size
    return Mean(value, error, count - 1.0, sums)


def _ranks(order: NDArray[np.intp], used: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the order of time among the used rows, as positions among them."""
    position = np.cumsum(used) - 1
    return np.asarray(position[order[used[order]]])


def _long_run(series: Floats) -> tuple[float, float]:
    """Return the long-run variance of a centred series, and the lag up to which it was summed."""
    n = len(series)
    total = float(series @ series)
    if total == 0.0:
        return 0.0, 0.0
    first = min(max(float(series[1:] @ series[:-1]) / total, 0.0), MOST_CORRELATED)
    alpha = 4.0 * first**2 / ((1.0 - first) ** 2 * (1.0 + first) ** 2)
    lag = min(int(1.1447 * (alpha * n) ** (1.0 / 3.0)), n // 2)
    found = total / n
    for j in range(1, lag + 1):
        found += 2.0 * (1.0 - j / (lag + 1.0)) * float(series[j:] @ series[:-j]) / n
    return max(found, 0.0), float(lag)
