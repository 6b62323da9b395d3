"""Can boosted trees tell two samples apart? The classifier two-sample test, valid whatever the classifier.

A classifier learns which sample a row comes from. Under one distribution nothing can be learnt, so the share
of pairs of new rows, one of each sample, that its score puts in the right order (the area under the curve,
AUC, ties one half) is one half but for chance; where it is more, it is an effect size, and the rows with the
highest scores and the boxes with too many of them say where (Lopez-Paz and Oquab 2017, ICLR; Hediger, Michel
and Näf 2022, Comput. Stat. Data Anal. 170, 107435).

Every row may be used to test and to learn, but not in a circle. In cross-validation fold j helps to score
fold k and fold k to score fold j, so their AUCs agree too often: over 300 pairs of samples of 200 rows from
one Gaussian the mean AUC varied 1.39 times as much as permuting the labels within the folds says, and 12 %
were rejected where 5 % are claimed. So folds are scored in a row, each by a classifier that learnt from those
before it alone. Given these, its labels are exchangeable and the AUCs follow one another as a martingale;
labels of the scores are permuted within each fold, without a refit (1.04 and 4.7 % for the same pairs). The
test is exact, but for ties of the scores that may differ with what was learnt; heavily tied data keep its
level too. The first fold is not tested. Beside a cross-validation corrected for its spread this had more
power, not less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError
from .boosted import bins_of, boosted
from .boxes import Box, find_boxes
from .curves import p_text

__all__ = ["FOLDS", "MOST_ROWS", "PERMUTATIONS", "Told", "classifier_test"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

FOLDS = 5
PERMUTATIONS = 999
MOST_ROWS = 5_000  # of each sample: an AUC of .511 is out of chance's reach then
LEAST_ROWS = 2 * FOLDS
SHOWN = 10  # rows named as most clearly told apart
Z95 = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Told:
    """What a classifier can tell of two samples x and y.

    Attributes
    ----------
    auc : float
        The mean over folds of the probability that of a new row of x and one of y the classifier puts the
        right one first: one half for alike, 1 for perfectly told apart.
    low, high : float
        Its 95 % interval, by the variances of DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44, 837)
        in each fold; the folds are a martingale, so the variances add up. It is the interval of the
        classifiers that were trained, on less than all rows; the best possible AUC may be higher.
    p_value : float
        Of the permutation test, one-sided.
    limit : float
        What the AUC would have to exceed to be beyond chance at ``level``.
    n, m : int
        Rows of x and y that were looked at, ``n_given`` and ``m_given`` of those that came.
    rows_x, rows_y : ndarray of int (n,), (m,)
        Which rows these are, ascending.
    scores_x, scores_y : ndarray (n,), (m,)
        How probably a row comes from x, if both samples were of one size, according to a classifier that
        learnt from the other folds: ``scores_x[i]`` is of row ``rows_x[i]`` of x.
    regions : tuple of Box
        Boxes in one or two columns with more rows of one sample than of the other, found by one half of the
        rows and measured on the other; none where none was confirmed.
    """

    auc: float
    low: float
    high: float
    p_value: float
    limit: float
    level: float
    n: int
    m: int
    n_given: int
    m_given: int
    folds: int
    rows_x: Ints
    rows_y: Ints
    scores_x: Floats
    scores_y: Floats
    regions: tuple[Box, ...]

    @property
    def told(self) -> bool:
        """Whether the samples are told apart better than chance would explain."""
        return self.p_value <= self.level

    @property
    def region(self) -> Box | None:
        """The box that differs most; None where none was confirmed."""
        return self.regions[0] if self.regions else None

    @property
    def rows(self) -> Ints:
        """The rows of x, by number, that are most clearly told from y; the clearest first."""
        return self.rows_x[np.argsort(-self.scores_x, kind="stable")[:SHOWN]]

    @property
    def sentence(self) -> str:
        """How well they are told apart, and where."""
        return self.words("x", "y")

    def words(self, x: str, y: str) -> str:
        """Return the sentence with these names of the two samples."""
        text = (
            f"Boosted trees put a row of {x} and one of {y} in the right order in {100 * self.auc:.1f} % of "
            f"new pairs (95 % interval {100 * self.low:.1f} to {100 * self.high:.1f}; chance: 50, and up to "
            f"{100 * self.limit:.1f}; p {p_text(self.p_value, '= ')})"
        )
        return text + (f": {self.region.words(x, y)}." if self.told and self.region else ".")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        score = dict(zip(self.rows_x.tolist(), self.scores_x.tolist(), strict=True))
        return {
            "auc": self.auc,
            "low": self.low,
            "high": self.high,
            "p_value": self.p_value,
            "limit": self.limit,
            "level": self.level,
            "told": self.told,
            "rows": self.n,
            "rows_given": self.n_given,
            "against": self.m,
            "against_given": self.m_given,
            "folds": self.folds,
            "most_told_apart": [{"row": row, "score": score[row]} for row in self.rows.tolist()],
            "regions": [box.to_dict() for box in self.regions],
            "sentence": self.sentence,
        }


def classifier_test(
    x: Floats,
    y: Floats,
    rng: np.random.Generator,
    level: float,
    *,
    names: Sequence[str] | None = None,
) -> Told:
    """Test whether two samples have one distribution by how well boosted trees tell them apart.

    Parameters
    ----------
    x, y : ndarray (n, d), (m, d)
        Finite, recorded to the same precision, and independent within and between samples; at least ten
        rows each. Of more than 5,000, as many are taken at random.
    rng : Generator
        Chooses rows, folds and permutations. The same seed gives the same bits, for any number of threads.
    level : float
        What ``limit`` belongs to, from .002 to .5: 999 permutations resolve no less.
    names : sequence of str, optional
        Of the columns, for the words of boxes.

    Raises
    ------
    ParameterError, DataError
        For a level out of range, or too few rows.

    Notes
    -----
    The trees see each column by the order of its values, so units and increasing transforms change nothing.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
    >>> classifier_test(x, y, rng, 0.05).told, classifier_test(x, y + [0, 1], rng, 0.05).told
    (False, True)
    """
    if not 0.002 <= level <= 0.5:
        raise ParameterError(
            f"level must be from 0.002 to 0.5, as {PERMUTATIONS} permutations resolve no less; got {level!r}."
        )
    if min(len(x), len(y)) < LEAST_ROWS:
        raise DataError(
            f"A classifier in {FOLDS} folds needs at least {LEAST_ROWS} rows of each sample; there are "
            f"{len(x)} and {len(y)}."
        )
    rows_x, rows_y = _some(len(x), rng), _some(len(y), rng)
    values = np.concatenate([x[rows_x], y[rows_y]])
    n, m = len(rows_x), len(rows_y)
    codes = bins_of(values)
    is_x = np.arange(n + m) < n
    fold = np.concatenate([_folds(n, rng), _folds(m, rng)])
    score = np.empty(n + m)
    tested = []
    for k in range(FOLDS):
        mine = fold == k
        if k:
            ahead = boosted(codes[fold < k], is_x[fold < k]).score(codes[mine])
            tested.append((ahead, is_x[mine]))
        # The last fold has all others before it already.
        score[mine] = ahead if k == FOLDS - 1 else boosted(codes[~mine], is_x[~mine]).score(codes[mine])
    auc, error = _auc(tested)
    null = _permuted(tested, rng)
    beyond = np.count_nonzero(null >= auc - 1e-12)
    probability = 1.0 / (1.0 + np.exp(-score))
    return Told(
        auc=auc,
        low=max(0.0, auc - Z95 * error),
        high=min(1.0, auc + Z95 * error),
        p_value=float((1 + beyond) / (PERMUTATIONS + 1)),
        # The AUC above which at most this many permutations are.
        limit=float(np.sort(null)[-int(level * (PERMUTATIONS + 1))]),
        level=level,
        n=n,
        m=m,
        n_given=len(x),
        m_given=len(y),
        folds=FOLDS,
        rows_x=rows_x,
        rows_y=rows_y,
        scores_x=probability[:n],
        scores_y=probability[n:],
        regions=find_boxes(values, codes, is_x, rng, names),
    )


def _some(n: int, rng: np.random.Generator) -> Ints:
    """Return the numbers of the rows to look at."""
    return np.arange(n) if n <= MOST_ROWS else np.sort(rng.choice(n, MOST_ROWS, replace=False))


def _folds(n: int, rng: np.random.Generator) -> Ints:
    """Return the fold of each of n rows, in random order; sizes differ by one at most."""
    return rng.permutation(np.arange(n) % FOLDS)


def _midranks(score: Floats) -> Floats:
    """Return ranks from 1; equal scores share the mean of theirs."""
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2.0)[place]


def _auc(tested: list[tuple[Floats, NDArray[np.bool_]]]) -> tuple[float, float]:
    """Return the mean AUC over the folds, and its standard error."""
    found, variance = [], 0.0
    for score, is_x in tested:
        ranks, n, m = _midranks(score), int(is_x.sum()), int((~is_x).sum())
        # Shares of y below each row of x, and of x above each row of y (DeLong's placements).
        of_x = (ranks[is_x] - _midranks(score[is_x])) / m
        of_y = 1.0 - (ranks[~is_x] - _midranks(score[~is_x])) / n
        found.append(float(of_x.mean()))
        for placed in (of_x, of_y):
            # One more row at one half: no interval of no width where every pair is in the right order.
            variance += float(np.var(np.append(placed, 0.5), ddof=1)) / len(placed)
    return float(np.mean(found)), math.sqrt(variance) / len(tested)


def _permuted(tested: list[tuple[Floats, NDArray[np.bool_]]], rng: np.random.Generator) -> Floats:
    """Return the mean AUC for permutations of the labels within each fold."""
    total = np.zeros(PERMUTATIONS)
    for score, is_x in tested:
        ranks, n, m = _midranks(score), int(is_x.sum()), int((~is_x).sum())
        shuffled = rng.permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
        total += (shuffled[:, :n].sum(axis=1) - n * (n + 1) / 2.0) / (n * m)
    return total / len(tested)
