r"""Precision, recall, density and coverage: draws that no row is like, and rows that the model does not make.

Around each row of a sample lies the ball that reaches to its k-th nearest row of the same sample; together
these balls are the sample's support. With x the rows and y the draws ::

    precision = share of draws in the ball of any row          (Kynkäänniemi et al. 2019, *NeurIPS* 32)
    recall    = share of rows in the ball of any draw
    density   = balls of rows around a draw, on average, / k   (Naeem et al. 2020, *ICML*, PMLR 119, 7176)
    coverage  = share of rows whose ball holds a draw

None of them is 1 for two samples of one distribution (density is, on average), so each is shown beside what
permutations of the labels give: exact, because a ball depends on the order of distances alone, and equal
distances are ordered at random. The standard error comes from up to ten parts of both samples that have no
row in common, because variances fall with the number of rows. In simulations of 50 and 300 rows it was right
to a third for most, and within a factor of two for shares near 1; a jackknife's was 1.5 to 2 times too large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import binom

from pofx.errors import DataError
from pofx.maths.two_sample.pooled import Floats, Pooled, pooled
from pofx.threads import map_ordered

__all__ = ["NEAREST", "Measure", "Support", "support_test"]

NEAREST = 5  # k, as Naeem et al. recommend
TIMES = 999  # permutations
LEAST, PARTS = 20, 10  # rows of each sample: two parts of ten at least, and ten parts at most
MISSED = 1e-6  # chance that any row has fewer than k of its own among the neighbours that are looked at

NAMES = ("precision", "recall", "density", "coverage")
SAYS = {
    "precision": "of the draws lie where rows are",
    "recall": "of the rows lie where draws are",
    "density": "of the rows expected around a draw",
    "coverage": "of the rows have a draw nearby",
}


@dataclass(frozen=True)
class Measure:
    """One of the four.

    Attributes
    ----------
    name : {"precision", "recall", "density", "coverage"}
    value, error : float
        A share (density: a ratio, which may exceed 1), and its standard error.
    low, expected, high : float
        What two samples of one distribution give: mean and two-sided limits of the permutations.
    p_value : float
        Two-sided, of the permutation test, ties broken at random.
    """

    name: str
    value: float
    error: float
    low: float
    expected: float
    high: float
    p_value: float

    @property
    def inside(self) -> bool:
        """Whether two samples of one distribution give such a value."""
        return self.low <= self.value <= self.high

    @property
    def sentence(self) -> str:
        """The value beside what two samples of one distribution give."""
        return (
            f"{self.name} {100 * self.value:.1f} % ± {100 * self.error:.1f} % {SAYS[self.name]} (chance: "
            f"{100 * self.low:.1f} % to {100 * self.high:.1f} %)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "value": self.value,
            "error": self.error,
            "low": self.low,
            "expected": self.expected,
            "high": self.high,
            "inside": self.inside,
            "p_value": self.p_value,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, eq=False)
class Support:
    """What the four say of rows x and draws y.

    Attributes
    ----------
    precision, recall, density, coverage : Measure
    p_value : float
        Of all four together (Bonferroni).
    nearest : int
        k.
    n, m, n_given, m_given : int
        Rows compared, and rows that came.
    size : str
        The same in words.
    """

    precision: Measure
    recall: Measure
    density: Measure
    coverage: Measure
    p_value: float
    nearest: int
    n: int
    m: int
    n_given: int
    m_given: int
    size: str

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All four."""
        return self.precision, self.recall, self.density, self.coverage

    @property
    def inside(self) -> bool:
        """Whether two samples of one distribution give such values, all four."""
        return all(measure.inside for measure in self.measures)

    @property
    def sentence(self) -> str:
        """The four, those first that two samples of one distribution would not give."""
        shown = sorted(self.measures, key=lambda measure: measure.inside)
        outside = [measure for measure in shown if not measure.inside]
        text = "; ".join(measure.sentence for measure in outside or shown)
        rest = "" if outside else "Nothing that chance would not explain: "
        return f"{rest}{text}; {self.nearest} nearest neighbours, {self.size}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            **{measure.name: measure.to_dict() for measure in self.measures},
            "inside": self.inside,
            "p_value": self.p_value,
            "nearest_neighbours": self.nearest,
            "rows": [self.n, self.m],
            "rows_given": [self.n_given, self.m_given],
            "sentence": self.sentence,
        }


def support_test(x: Floats, y: Floats, rng: np.random.Generator, level: float = 0.05) -> Support:
    """Return precision, recall, density and coverage of draws y beside rows x.

    Parameters
    ----------
    x, y : ndarray (n, d), (m, d)
        Finite; at least 20 rows each. Of more than 1,500 rows so many are taken at random.
    rng : Generator
        Draws the permutations, and the order of equal distances.
    level : float
        What all four limits together belong to: each has a quarter of it.

    Raises
    ------
    DataError
        For fewer rows, other columns, NaN or infinity.
    """
    both = pooled(x, y, rng)
    if min(both.n, both.m) < LEAST:
        raise DataError(
            f"Precision, recall, density and coverage need at least {LEAST} rows of each sample; got "
            f"{both.n} and {both.m}."
        )
    order = _neighbours(both, rng)
    labels = np.arange(both.n + both.m) < both.n
    found = _measured(order, labels)
    near = np.ascontiguousarray(order[:, : _reach(both)])
    null = np.stack([*map_ordered(lambda one: _measured(near, one), both.shuffled(TIMES, rng))])
    errors = _errors(order, labels, rng)
    # Shares of few rows tie often: their place among the permutations is then drawn, so that p is uniform.
    below, tied = (null < found - 1e-12).sum(axis=0), (np.abs(null - found) <= 1e-12).sum(axis=0)
    place = below + rng.integers(0, tied + 1)
    p = np.minimum(2.0 * np.minimum(place + 1, TIMES + 1 - place) / (TIMES + 1), 1.0)
    low, high = np.quantile(null, [level / 8.0, 1.0 - level / 8.0], axis=0)
    measures = {
        name: Measure(name, *map(float, row))
        for name, *row in zip(NAMES, found, errors, low, null.mean(axis=0), high, p, strict=True)
    }
    return Support(
        **measures,
        p_value=float(min(1.0, 4.0 * p.min())),
        nearest=NEAREST,
        n=both.n,
        m=both.m,
        n_given=both.n_given,
        m_given=both.m_given,
        size=both.size,
    )


def _neighbours(both: Pooled, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return for each row all others (N, N − 1), the nearest first, equally near ones in random order."""
    size = len(both.z)
    place = rng.permutation(size)  # rows in random order, so that a stable sort breaks ties at random
    z = both.z[place]
    out = np.empty((size, size - 1), dtype=np.intp)
    for at in range(0, size, 256):
        distance = cdist(z[at : at + 256], z)
        own = np.arange(at, min(at + 256, size))
        distance[np.arange(len(own)), own] = -1.0
        out[place[own]] = place[np.argsort(distance, axis=1, kind="stable")[:, 1:]]
    return out


def _reach(both: Pooled) -> int:
    """Return among how many neighbours every row has k of its own, whoever is in which sample."""
    size = both.n + both.m
    share = (min(both.n, both.m) - 1) / (size - 1)
    most = NEAREST
    while most < size - 1 and binom.cdf(NEAREST - 1, most, share) * size > MISSED:
        most = min(most + 1 + most // 8, size - 1)
    return most


def _measured(order: NDArray[np.intp], mine: NDArray[np.bool_]) -> Floats:
    """Return the four (4,) for one labelling, True in the first sample, from neighbours (N, W) in order."""
    own = mine[order] == mine[:, None]
    reached = np.cumsum(own, axis=1, dtype=np.int32)
    inside = reached < NEAREST  # up to, and not with, the k-th of its own
    others = inside & ~own
    count = others.sum(axis=1)
    held = np.zeros(len(mine), dtype=bool)
    held[order[others]] = True  # by a ball of the other sample
    n, m = int(mine.sum()), int((~mine).sum())
    return np.array(
        [
            np.count_nonzero(held & ~mine) / m,
            np.count_nonzero(held & mine) / n,
            count[mine].sum() / (NEAREST * m),
            np.count_nonzero(count[mine]) / n,
        ]
    )


def _errors(order: NDArray[np.intp], mine: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Return the standard errors (4,), from parts that have no row in common."""
    many = min(PARTS, min(int(mine.sum()), int((~mine).sum())) // (LEAST // 2))
    part = np.empty(len(mine), dtype=int)
    for side in (mine, ~mine):
        part[side] = rng.permutation(np.arange(int(side.sum())) % many)
    found = []
    for k in range(many):
        rows = np.flatnonzero(part == k)
        number = np.full(len(mine), -1)
        number[rows] = np.arange(len(rows))
        others = number[order[rows]]
        found.append(_measured(others[others >= 0].reshape(len(rows), -1), mine[rows]))
    return np.std(found, axis=0, ddof=1) / np.sqrt(many)
