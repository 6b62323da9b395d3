"""Which two of many columns show best where a model fails: those in which its draws differ most from rows.

The difference of a pair is the energy distance of rows and draws in these two columns
(:func:`pofx.maths.energy.sliced_energy`). Up to twelve columns every pair is measured. Of more columns, those
that can differ: pairs of the columns that are themselves most wrong, and pairs whose dependence is, by the
correlations of ranks and of squared ranks (a curved dependence may have no correlation of ranks at all).
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pofx.core.density import Density
from pofx.evaluate.compare import Comparison, Entry
from pofx.maths.energy import directions, sliced_energy
from pofx.validation import restore, rows_to_fit

__all__ = ["most_different", "worst_pair"]

Array = NDArray[np.float64]

ROWS = 1_000  # of each sample: a pair's distance costs 3 ms
ALL_PAIRS_UP_TO = 12  # columns
WRONG_COLUMNS = 8
WRONG_PAIRS = 40


def worst_pair(result: Comparison, entry: Entry, model: Density) -> tuple[int, int]:
    """Return the numbers (ascending) of the two columns in which rows and draws of a model differ most.

    The draws are those of the fits that were made without a part of the rows, where they were kept, in
    proportion to the parts; else of the model fitted to all.

    Parameters
    ----------
    result : the comparison, of two columns or more
    entry : the model's row in it
    model : the same fitted to all rows
    """
    rows = result.split.rows
    if rows.values.shape[1] == 2:
        return 0, 1
    rng = np.random.default_rng(0)
    fits, part, w = entry.held_out.models, result.split.part, result.split.weights
    if not fits:
        fits, part = (model,), np.zeros(len(part), dtype=int)
    asked = np.flatnonzero((part >= 0) & (part < len(fits)))  # of a model that was dropped, the first parts
    chosen = asked
    if len(asked) > ROWS or w is not None:
        shares = None if w is None else w[asked] / w[asked].sum()
        chosen = rng.choice(asked, ROWS, replace=w is not None, p=shares)
    drawn = []
    for k, fit in enumerate(fits):
        count = math.ceil(ROWS * np.count_nonzero(part[chosen] == k) / len(chosen))
        if count:
            sample = rows_to_fit(fit.sample(count, random_state=rng, exact=True)).values
            sample = fit._recordable(fit.params_, sample)
            # rounded as the rows are: what rounding does is no fault of the model
            drawn.append(np.asarray(restore(sample, replace(rows.columns, container="array")), dtype=float))
    return most_different(rows.values[chosen], np.concatenate(drawn))


def most_different(rows: Array, drawn: Array) -> tuple[int, int]:
    """Return the two columns, ascending, in which two samples (n, d) and (m, d) differ most; d >= 2."""
    lines = directions(2)
    best, pair = -1.0, (0, 1)
    for i, j in _candidates(rows, drawn):
        gap = sliced_energy(rows[:, [i, j]], drawn[:, [i, j]], lines)
        if gap > best:
            best, pair = gap, (i, j)
    return pair


def _candidates(rows: Array, drawn: Array) -> list[tuple[int, int]]:
    d = rows.shape[1]
    if d <= ALL_PAIRS_UP_TO:
        return list(combinations(range(d), 2))
    n = len(rows)
    u = 2.0 * rankdata(np.concatenate([rows, drawn]), axis=0) / (n + len(drawn) + 1) - 1.0
    both = np.concatenate([u, u**2 - 1.0 / 3.0], axis=1)
    alone = np.abs(both[:n].mean(axis=0) - both[n:].mean(axis=0)).reshape(2, d).max(axis=0)
    gap = np.abs(_correlations(both[:n]) - _correlations(both[n:])).reshape(2, d, 2, d).max(axis=(0, 2))
    i, j = np.triu_indices(d, 1)
    found = [(int(i[k]), int(j[k])) for k in np.argsort(-gap[i, j], kind="stable")[:WRONG_PAIRS]]
    wrong = sorted(int(k) for k in np.argsort(-alone, kind="stable")[:WRONG_COLUMNS])
    return sorted({*found, *combinations(wrong, 2)})


def _correlations(x: Array) -> Array:
    z = x - x.mean(axis=0)
    size = np.sqrt((z**2).sum(axis=0))
    size[size == 0.0] = np.inf  # a constant column goes with nothing
    return np.asarray((z / size).T @ (z / size))
