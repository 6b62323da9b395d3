"""Rules for the bins of a histogram: how wide, how many, and the step of a column that was rounded.

A rule names a width or a number of equal bins (Freedman–Diaconis, Scott, Sturges, Doane, Knuth) or the
edges themselves (Bayesian blocks). All of them see a column as its distinct values and their weights,
so the order and the repetition of rows cannot matter; n is the sum of the weights.

References
----------
Sturges (1926), J. Am. Stat. Assoc. 21, 65. Doane (1976), Am. Stat. 30, 181.
Scott (1979), Biometrika 66, 605; Scott (1992), Multivariate Density Estimation, ch. 3.
Freedman and Diaconis (1981), Z. Wahrscheinlichkeitstheorie 57, 453.
Knuth (2006), arXiv:physics/0605197. Scargle et al. (2013), Astrophys. J. 764, 167.
Killick, Fearnhead and Eckley (2012), J. Am. Stat. Assoc. 107, 1590 (pruning).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

__all__ = [
    "RULES",
    "Sample",
    "blocks_edges",
    "knuth_log_posterior",
    "lattice_step",
    "orientation",
    "rule_width",
]

RULES = ("fd", "scott", "sturges", "doane", "knuth", "blocks")

BLOCKS_MOST = 5_000  # most groups of values that Bayesian blocks divides (the cost is quadratic)
SHIFT = 1e-7  # how far, in ranges, automatic edges keep away from the outermost values


@dataclass(frozen=True)
class Sample:
    """One column: its distinct values (ascending) and their summed weights, both of shape (k,)."""

    values: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, w: np.ndarray) -> Sample:
        """Sort the values x (n,) and add up the weights w (n,) of equal ones."""
        if (w == w[0]).all():  # sorting alone is several times faster than sorting along
            x, w = np.sort(x), w
        else:
            order = np.argsort(x, kind="stable")
            x, w = x[order], w[order]
        first = np.flatnonzero(np.concatenate([[True], x[1:] != x[:-1]]))
        return cls(x[first], np.add.reduceat(w, first))

    @property
    def n(self) -> float:
        """The sample size: the sum of the weights."""
        return float(self.weights.sum())

    @property
    def span(self) -> float:
        """Largest minus smallest value."""
        return float(self.values[-1] - self.values[0])

    def mean(self) -> float:
        """Weighted mean, taken from the smallest value so that offsets cost no digits."""
        low = self.values[0]
        return float(low + np.sum(self.weights * (self.values - low)) / self.n)

    def sd(self) -> float:
        """Weighted standard deviation (divisor n)."""
        return float(np.sqrt(np.sum(self.weights * (self.values - self.mean()) ** 2) / self.n))

    def skewness(self) -> float:
        """Weighted third standardised moment."""
        z = (self.values - self.mean()) / self.sd()
        return float(np.sum(self.weights * z**3) / self.n)

    def quantile(self, q: float) -> float:
        """Quantile by linear interpolation between order statistics (NumPy's default, R's type 7) of
        the sample in which a value of weight w stands w times."""
        upper = np.cumsum(self.weights)
        first, last = upper - self.weights, upper - 1.0
        middle = np.minimum((first + last) / 2, np.maximum(first, last))  # weights below 1: one knot
        first, last = np.where(last < first, middle, first), np.where(last < first, middle, last)
        knots = np.column_stack([first, last]).ravel()
        return float(np.interp(q * (upper[-1] - 1.0), knots, np.repeat(self.values, 2)))


def lattice_step(
    distinct: np.ndarray, *, least_gaps: int = 3, tolerance: float = 2e-3, parts: int = 10
) -> float | None:
    """Return the recorded step of a rounded column, or None for a continuous one.

    All gaps between distinct values must be whole multiples of one step, which is the smallest gap or
    a whole fraction of it (values 0, 2, 5, 7 have the step 1). Only ratios of gaps are looked at, so
    weights, order, shifts and scales of the column change nothing, however far from zero it lies.

    Parameters
    ----------
    distinct : ndarray of shape (k,)
        The distinct values, ascending.
    least_gaps : int
        Fewer gaps are no evidence: None. (With one gap any two values are a lattice.)
    tolerance : float
        How far from a multiple a gap may be, in steps: room for the rounding of the data themselves.
    parts : int
        The step is at least the smallest gap divided by this.
    """
    k = len(distinct)
    if k < 2:
        return None
    gaps = np.diff(distinct)
    # The same value computed in two ways (0.3 and 0.1 + 0.2) is one value. Judged against the middle half
    # of the values: next to an outlier all others would be one value.
    gaps = gaps[gaps > 1e-10 * (distinct[3 * k // 4] - distinct[k // 4])]
    if gaps.size < least_gaps:
        return None
    gaps.sort()
    for part in range(1, parts + 1):
        step = _refined_step(gaps, gaps[0] / part, tolerance)
        if step is not None:
            return step
    return None


def _refined_step(gaps: np.ndarray, step: float, tolerance: float) -> float | None:
    """Check ascending gaps against multiples of the step, improving it on the way: only gaps up to 32
    times the largest one used so far are judged, so an inexact first step cannot fail a long gap."""
    done, length, steps = 0, 0.0, 0.0
    while done < gaps.size:
        if length and gaps[done] > 1e9 * length:
            break  # so far away that it cannot tell
        stop = int(np.searchsorted(gaps, 32 * gaps[done], side="right"))
        part = gaps[done:stop]
        multiples = np.rint(part / step)
        if np.abs(part / step - multiples).max() > tolerance:
            return None
        length, steps = length + float(part.sum()), steps + float(multiples.sum())
        step, done = length / steps, stop
    return float(step)


def rule_width(rule: str, sample: Sample, d: int = 1) -> float:
    """Return the bin width of a reference rule; 0 where the rule has none (no spread, or n too small).

    ::

        fd       2 IQR n^(-1/(d+2))
        scott    (24 sqrt(pi))^(1/3) sd n^(-1/(d+2))        (3.49...; Scott 1992 for d > 1)
        sturges  range / (1 + log2 n)
        doane    range / (1 + log2 n + log2(1 + |g| / s)),  s² = 6 (n-2) / ((n+1) (n+3))

    with n the sum of the weights, g the skewness and d the number of columns binned together: the
    best width falls more slowly with n in more dimensions. For d = 1 these are NumPy's rules.
    """
    n = sample.n
    if rule == "fd":
        return 2.0 * (sample.quantile(0.75) - sample.quantile(0.25)) * n ** (-1.0 / (d + 2))
    if rule == "scott":
        return float((24.0 * np.sqrt(np.pi)) ** (1 / 3) * sample.sd() * n ** (-1.0 / (d + 2)))
    bins = 1.0 + np.log2(n)
    if rule == "doane":
        if n <= 2:
            return 0.0
        spread = np.sqrt(6.0 * (n - 2.0) / ((n + 1.0) * (n + 3.0)))
        bins += np.log2(1.0 + abs(sample.skewness()) / spread)
    return sample.span / max(float(bins), 1.0)


def knuth_log_posterior(counts: np.ndarray, width: float) -> float:
    """Return Knuth's (2006) log posterior of M equal bins, up to a constant.

    ::

        -n log(width) + log Γ(M/2) - M log Γ(1/2) - log Γ(n + M/2) + Σ_k log Γ(n_k + 1/2)

    (his n log M is -n log(width) where the bins share one range). ``counts`` is (M,).
    """
    m, n = len(counts), float(counts.sum())
    prior = gammaln(m / 2) - m * gammaln(0.5) - gammaln(n + m / 2)
    return float(-n * np.log(width) + prior + gammaln(counts + 0.5).sum())


def orientation(sample: Sample) -> float:
    """+1, or -1 where the column leans to the upper side: where a grid cannot be symmetric, its mirror image
    then goes with the mirror image of the column. It leans by its mean about mid-range, or, where that is 0
    (as it often is in rounded columns), by the next odd moment. Symmetric columns count as +1."""
    u = (sample.values - (sample.values[0] + sample.values[-1]) / 2) / sample.span
    for power in (1, 3, 5, 7):
        moment = float(np.sum(sample.weights * u**power)) / sample.n
        if abs(moment) > 1e-6:
            return -1.0 if moment > 0 else 1.0
    return 1.0


def blocks_edges(sample: Sample, step: float | None = None, *, p0: float = 0.05) -> tuple[np.ndarray, int]:
    """Return the edges of Scargle's (2013) Bayesian blocks, and how many values formed one group.

    The partition of the line into blocks k of length T_k that maximises ::

        Σ_k [ N_k (log N_k - log T_k) - c ],   c = 4 - log(73.53 p0 n^-0.478)

    by dynamic programming over the distinct values, exact (starts that can no longer win are pruned).
    Above ``BLOCKS_MOST`` distinct values, neighbours are grouped first.

    Parameters
    ----------
    sample : Sample
        The column.
    step : float, optional
        Its recorded step: candidate edges are then half a step away from recordable values.
    p0 : float
        The chance of a false change point.
    """
    x = sample.values
    group = -(-len(x) // BLOCKS_MOST)
    lower, upper = x[group - 1 : -1 : group], x[group::group]
    middle = (lower + upper) / 2
    if step is None:
        hair = SHIFT * sample.span
        low, high = x[0] - hair, x[-1] + hair
    else:
        even = np.rint((upper - lower) / step) % 2 == 0
        middle = np.where(even, middle - orientation(sample) * step / 2, middle)
        low, high = x[0] - step / 2, x[-1] + step / 2
    edges = np.concatenate([[low], middle, [high]])
    below = np.concatenate([[0.0], np.cumsum(np.add.reduceat(sample.weights, np.arange(0, len(x), group)))])
    cost = 4.0 - np.log(73.53 * p0 * sample.n**-0.478)

    best = np.zeros(len(edges))
    start = np.zeros(len(edges), dtype=np.int64)
    alive = np.array([0])
    for end in range(1, len(edges)):
        count, length = below[end] - below[alive], edges[end] - edges[alive]
        without = best[alive] + count * (np.log(count) - np.log(length))
        winner = int(np.argmax(without))
        best[end], start[end] = without[winner] - cost, alive[winner]
        alive = np.append(alive[without >= best[end]], end)
    chosen = [len(edges) - 1]
    while chosen[-1] > 0:
        chosen.append(int(start[chosen[-1]]))
    return edges[chosen[::-1]], group
