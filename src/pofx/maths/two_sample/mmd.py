"""The maximum mean discrepancy: how well a smooth function can tell two samples apart.

    MMD² = E k(X, X') + E k(Y, Y') − 2 E k(X, Y),    k(a, b) = exp(−|a − b|² / 2σ²)

with X, X' ~ P and Y, Y' ~ Q independent. Its unbiased estimate leaves out the pairs of a row with itself
(Gretton, Borgwardt, Rasch, Schölkopf and Smola 2012, *JMLR* 13, 723, eq. 3), so it may fall below zero. The
bandwidth σ is the median distance between all rows of both samples (their section 8), which no labelling can
change: with s the labelling, all that a permutation needs is sᵀKs and sᵀK1, a thousand of them one matrix
product, and the p-value is exact.

A kernel of one width sees differences of about its width best; the energy distance has no width. The witness
E k(z, X) − E k(z, Y) is largest where the first sample is too dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist, squareform

from pofx.maths.two_sample.pooled import PERMUTATIONS, Floats, pooled, rows_needed, tail_p
from pofx.threads import one_blas_thread

__all__ = ["MMD", "mmd_test"]


@dataclass(frozen=True, eq=False)
class MMD:
    """What the maximum mean discrepancy says of two samples.

    Attributes
    ----------
    share : float
        √(MMD² / (E k(X, X') + E k(Y, Y'))): 0 where they are alike, 1 where they have nothing in common; no
        unit. Zero where the estimate of MMD² is not above zero.
    limit : float
        What permutations exceed with probability ``level``, in the same units.
    squared : float
        The unbiased estimate of MMD² itself.
    bandwidth : float
        σ, in pooled interquartile ranges of the columns.
    p_value : float
        Of the permutation test.
    more, fewer : ndarray (d,)
        The row at which the first sample exceeds the second most, and the other way round; data units.
    n, m, n_given, m_given : int
        Rows compared, and rows that came.
    size : str
        The same in words.
    """

    share: float
    limit: float
    squared: float
    bandwidth: float
    p_value: float
    more: Floats
    fewer: Floats
    n: int
    m: int
    n_given: int
    m_given: int
    size: str

    @property
    def inside(self) -> bool:
        """Whether the samples differ no more than chance would explain."""
        return self.share <= self.limit

    @property
    def rows_needed(self) -> int | None:
        """From about how many rows of each sample on so large a difference shows; None while it does not."""
        return None if self.inside else rows_needed(self.n, self.m, self.limit / self.share)

    @property
    def sentence(self) -> str:
        """How different the samples are, what chance would make of it, and what so many rows can show."""
        text = (
            f"Seen through a Gaussian kernel, the samples are {100 * self.share:.1f} % of the way from alike "
            f"to nothing in common (chance: up to {100 * self.limit:.1f} %; maximum mean discrepancy, "
            f"{self.size})"
        )
        if self.rows_needed is None:
            return f"{text}. Less than that needs more rows: four times as many show half as much."
        return f"{text}. So large a difference shows from about {self.rows_needed:,} rows of each on."

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "share": self.share,
            "limit": self.limit,
            "inside": self.inside,
            "squared": self.squared,
            "bandwidth": self.bandwidth,
            "p_value": self.p_value,
            "more_around": self.more.tolist(),
            "fewer_around": self.fewer.tolist(),
            "rows": [self.n, self.m],
            "rows_given": [self.n_given, self.m_given],
            "rows_needed": self.rows_needed,
            "sentence": self.sentence,
        }


def mmd_test(x: Floats, y: Floats, rng: np.random.Generator, level: float = 0.05) -> MMD:
    """Compare two samples by their maximum mean discrepancy, the columns in units of their pooled spread.

    Parameters
    ----------
    x, y : ndarray (n, d), (m, d)
        Finite; at least two rows each. Of more than 1,500 rows so many are taken at random.
    rng : Generator
        Draws the permutations.
    level : float
        What ``limit`` belongs to.

    Raises
    ------
    DataError
        For fewer rows, other columns, NaN or infinity.
    """
    both = pooled(x, y, rng)
    n, m = both.n, both.m
    pairs = pdist(both.z)
    sigma = float(np.median(pairs))
    if sigma == 0.0:  # more than half of all pairs are tied
        sigma = float(pairs.mean()) or 1.0
    kernel = squareform(np.exp(-0.5 * (pairs / sigma) ** 2))  # zero on the diagonal
    labels = np.arange(n + m) < n
    every = np.concatenate([labels[None], both.shuffled(PERMUTATIONS, rng)]).astype(float)
    total = kernel.sum(axis=1)
    with one_blas_thread():
        inner = every @ kernel
        within = np.einsum("bi,bi->b", inner, every)
        reach = every @ total
    across = reach - within
    others = total.sum() - 2.0 * reach + within
    mine, theirs = within / (n * (n - 1.0)), others / (m * (m - 1.0))
    squared = mine + theirs - 2.0 * across / (n * m)
    # One unit for all labellings, so that shares are in the order of the statistic itself.
    whole = float(mine[0] + theirs[0])
    shares = np.sqrt(np.clip(squared / whole, 0.0, 1.0)) if whole > 0.0 else 0.0 * squared
    witness = inner[0] / n - (total - inner[0]) / m
    return MMD(
        share=float(shares[0]),
        limit=float(np.quantile(shares[1:], 1.0 - level)),
        squared=float(squared[0]),
        bandwidth=sigma,
        p_value=tail_p(float(squared[0]), squared[1:]),
        more=both.rows[int(witness.argmax())],
        fewer=both.rows[int(witness.argmin())],
        n=n,
        m=m,
        n_given=both.n_given,
        m_given=both.m_given,
        size=both.size,
    )
