r"""Is it calibrated? Uniform values under the truth, and the band that their distribution function keeps.

Under the truth F(x) is uniform (the probability integral transform, PIT), and so is the rank of log p(x)
among the log densities of the model's own draws. So for every z in a grid

    #{rows with u <= z}  ~  Binomial(n, z)                    where u is computed from a distribution function
    #{rows with u <= z}  ~  BetaBinomial(n, r, M + 1 - r)     where u is a rank among M draws, z = r / (M + 1)

*Recorded precision.* A value recorded to a step s stands for the cell [x - s/2, x + s/2]; u is uniform
between the distribution function at its two ends, which is exactly uniform if the truth was rounded. Ranks
are taken among draws rounded the same way, ties broken at random.

*The band* gives every z of the grid the same two-sided local level (equal local levels: Aldor-Noiman, Brown,
Buja, Rolke and Stine 2013, *The American Statistician* 67, 249-260; Säilynoja, Bürkner and Vehtari 2022,
*Statistics and Computing* 32:32), such that all hold at once with the stated probability. That local level
is found by simulation at the given n and M: 10,000 samples of a fixed seed, so the same band every time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

__all__ = ["Band", "band", "grid", "pit_counts", "rank_counts"]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

SAMPLES = 10_000  # simulated samples behind a band: its level is right to ± 0.2 % at 5 %
EVEN = 160  # the grid has a point every 1/160, and more towards both ends
MOST_POINTS = 200


@dataclass(frozen=True, eq=False)
class Band:
    """What the counts of a truth do, at each point of a grid and at all at once.

    Parameters
    ----------
    n : int
        Rows.
    draws : int or None
        Draws that the rows were ranked among; None where u came from a distribution function.
    z : ndarray (K,), K <= 200
        The grid in (0, 1).
    first : ndarray (K,)
        The count that column 0 of ``local`` belongs to.
    local : ndarray (K, W)
        The two-sided local p-value of each count.
    null : ndarray
        The smallest local p-value over the grid in simulated samples of the truth, ascending.
    """

    n: int
    draws: int | None
    z: Floats
    first: Counts
    local: Floats
    null: Floats

    def local_p(self, counts: Counts) -> Floats:
        """Return the local p-values of counts (..., K)."""
        at = np.clip(counts - self.first, 0, self.local.shape[1] - 1)
        return self.local[np.arange(len(self.z)), at]

    def p_value(self, counts: Counts) -> float:
        """Return how often a truth has as small a smallest local p-value: the p-value of the whole curve.

        By simulation, and beyond its reach by the bound K times the smallest.
        """
        least = float(self.local_p(counts).min())
        simulated = (1 + np.searchsorted(self.null, least, side="right")) / (len(self.null) + 1)
        return float(min(simulated, len(self.z) * least))

    def local_level(self, level: float) -> float:
        """Return the smallest local p-value that a curve inside the band of this level may have."""
        most = math.floor(level * (len(self.null) + 1) + 1e-9) - 1
        simulated = float(self.null[most]) if most >= 0 else 0.0
        return max(simulated, math.nextafter(level / len(self.z), 1.0))

    def limits(self, level: float) -> tuple[Counts, Counts]:
        """Return the least and the largest count (K,) inside; all hold with probability 1 - level."""
        inside = self.local >= self.local_level(level)
        low = self.first + inside.argmax(axis=1)
        high = self.first + inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
        return low, np.minimum(high, self.n)


@lru_cache(maxsize=16)
def band(n: int, draws: int | None = None) -> Band:
    """Return the band for n rows, their u computed (``draws=None``) or ranked among ``draws`` draws."""
    z = grid(n)
    if draws is None:
        a, c = z, 1.0 - z
        mean, sd, reach = n * z, np.sqrt(n * z * (1.0 - z)), np.full(len(z), 9.0)
    else:
        a = np.unique(np.clip(np.rint(z * (draws + 1)), 1, draws))
        c = draws + 1 - a
        z = a / (draws + 1)
        mean = n * z
        sd = np.sqrt(n * z * (1.0 - z) * (n + draws + 1) / (draws + 2))
        reach = np.maximum(9.0, 40.0 / np.sqrt(np.minimum(a, c)))  # the tails are geometric near the ends
    first = np.maximum(np.floor(mean - reach * sd) - 40, 0).astype(np.int64)
    last = np.minimum(np.ceil(mean + reach * sd) + 40, n).astype(np.int64)
    counts = first[:, None] + np.arange(int((last - first).max()) + 1)
    log_p = _log_binomial(counts, n, a, c) if draws is None else _log_beta_binomial(counts, n, a, c)
    p = np.exp(np.where(counts <= n, log_p, -np.inf))
    below, above = np.cumsum(p, axis=1), np.cumsum(p[:, ::-1], axis=1)[:, ::-1]
    local = np.minimum(2.0 * np.minimum(below, above), 1.0)
    empty = Band(n, draws, z, first, local, np.empty(0))
    return Band(n, draws, z, first, local, np.sort(_simulated(empty)))


def grid(n: int) -> Floats:
    """Return where curves of n rows are looked at: even steps, and steps of a factor four down to where one
    row in a million samples lies."""
    even = np.arange(1, EVEN) / EVEN
    tail = 4.0 ** -np.arange(1, 64) / EVEN
    tail = tail[tail > 1e-6 / n][: (MOST_POINTS - len(even)) // 2]
    return np.concatenate([tail[::-1], even, 1.0 - tail])


def _log_choose(n: int, k: NDArray[np.int64]) -> Floats:
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(np.maximum(n - k, 0) + 1.0))


def _log_binomial(k: NDArray[np.int64], n: int, a: Floats, c: Floats) -> Floats:
    return _log_choose(n, k) + k * np.log(a)[:, None] + (n - k) * np.log(c)[:, None]


def _log_beta_binomial(k: NDArray[np.int64], n: int, a: Floats, c: Floats) -> Floats:
    a, c = a[:, None], c[:, None]
    rest = np.maximum(n - k, 0)
    beta = gammaln(k + a) + gammaln(rest + c) - gammaln(n + a + c)
    return np.asarray(_log_choose(n, k) + beta - gammaln(a) - gammaln(c) + gammaln(a + c))


def _simulated(shape: Band) -> Floats:
    """Return the smallest local p-value of each of many samples of the truth: no model is needed for that."""
    rng = np.random.default_rng(20130405)
    steps = np.diff(shape.z, prepend=0.0, append=1.0)
    out = []
    for _ in range(10):
        size = SAMPLES // 10
        shares: Floats = steps
        if shape.draws is not None:  # the spacings of uniform draws are Dirichlet
            shares = rng.standard_gamma(steps * (shape.draws + 1), size=(size, len(steps)))
            shares = shares / shares.sum(axis=1, keepdims=True)
        counts = np.cumsum(rng.multinomial(shape.n, shares, size=size), axis=1)[:, :-1]
        out.append(shape.local_p(counts).min(axis=1))
    return np.concatenate(out)


def pit_counts(
    x: Floats,
    cdf: Callable[[Floats], Floats],
    z: Floats,
    rng: np.random.Generator,
    edges: Callable[[Floats], tuple[Floats, Floats]] | None = None,
) -> Counts:
    """Return how many rows have u <= z, for each z: u = F(x), or uniform between F at the ends of x's cell.

    F is monotone, so the place where it passes each z is found by bisection among the distinct values:
    about K log n evaluations of ``cdf``, however many rows.

    Parameters
    ----------
    x : ndarray (n,)
    cdf : function (m,) -> (m,)
    z : ndarray (K,)
    rng : decides where in its cell a recorded value lies
    edges : function of distinct values -> (lower, upper) ends of their cells; None for a continuous column
    """
    values, sizes = np.unique(x, return_counts=True)
    ends = (values, values) if edges is None else edges(values)
    below = np.concatenate([[0], np.cumsum(sizes)])  # rows in the cells before each
    within = rng.random(len(x)) if edges is not None else np.empty(0)
    upper = np.full(len(values), np.nan)  # F at the upper ends, where it has been asked for

    def passed(i: NDArray[np.intp]) -> Floats:
        asked = np.unique(i[np.isnan(upper[i])])
        if len(asked):
            upper[asked] = _cdf_at(cdf, ends[1][asked])
        return upper[i]

    low, high = np.zeros(len(z), np.intp), np.full(len(z), len(values), np.intp)
    while (open_ := low < high).any():  # the first cell whose upper end lies beyond z
        middle = (low[open_] + high[open_]) // 2
        beyond = passed(middle) > z[open_]
        high[open_] = np.where(beyond, middle, high[open_])
        low[open_] = np.where(beyond, low[open_], middle + 1)
    counts = below[low].astype(np.int64)
    if edges is None:
        return counts
    cut = np.unique(low[low < len(values)])
    lower = dict(zip(cut.tolist(), _cdf_at(cdf, ends[0][cut]), strict=True))
    for k, i in enumerate(low.tolist()):
        if i in lower and lower[i] < z[k]:  # z lies inside this cell: so do some of its rows below it
            share = (z[k] - lower[i]) / (upper[i] - lower[i])
            counts[k] += np.count_nonzero(within[below[i] : below[i + 1]] <= share)
    return counts


def _cdf_at(cdf: Callable[[Floats], Floats], x: Floats) -> Floats:
    """Return F(x), where x may be infinite."""
    out = np.where(x > 0, 1.0, 0.0)
    finite = np.isfinite(x)
    if finite.any():
        out[finite] = cdf(x[finite])
    return out


def rank_counts(x: Floats, drawn: Floats, z: Floats, rng: np.random.Generator) -> Counts:
    """Return how many rows have u <= z, for each z: u = (draws below the row + uniform) / (draws + 1).

    Rows and draws that are equal are put in random order. If both come from one distribution, whatever it
    is, every order is equally likely.
    """
    both = np.concatenate([x, drawn])
    order = np.lexsort((rng.random(len(both)), both))
    is_draw = order >= len(x)
    ranks = np.cumsum(is_draw)[~is_draw]
    u = (ranks + rng.random(len(x))) / (len(drawn) + 1)
    return np.searchsorted(np.sort(u), z, side="right").astype(np.int64)
