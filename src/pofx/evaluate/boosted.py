"""Boosted trees that tell one sample from another: scikit-learn's, small, in one thread, on ranks."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "Boosted", "bins_of", "boosted", "edges_of", "one_thread"]

Floats = NDArray[np.float64]

# Thirty trees of eight leaves: among 20 to 100 trees of 4 to 16 leaves, all found the same alternatives at
# 1,000 rows about equally often, and the time is in proportion to the leaves.
TREES, LEAVES, RATE, BINS = 30, 8, 0.1, 64


def bins_of(values: Floats) -> Floats:
    """Return the number of the bin of each value (n, d) in its column, from 0.

    At most 64 bins hold about the same number of rows each, equal values in one; trees need no more of a
    column than this.
    """
    codes = np.empty(values.shape)
    for j in range(values.shape[1]):
        _, place, count = np.unique(values[:, j], return_inverse=True, return_counts=True)
        if len(count) <= BINS:
            codes[:, j] = place
            continue
        middle = np.cumsum(count) - count / 2.0  # of the rows with each value, in their order
        codes[:, j] = np.unique((middle * (BINS / len(values))).astype(int), return_inverse=True)[1][place]
    return codes


def edges_of(column: Floats, codes: Floats) -> Floats:
    """Return the bounds between the bins of a column, ascending: bin k holds edges[k-1] < x <= edges[k]."""
    order = np.argsort(column, kind="stable")
    ordered, step = column[order], np.flatnonzero(np.diff(codes[order]) > 0)
    below, above = ordered[step], ordered[step + 1]
    middle = below + (above - below) / 2.0
    return np.where(middle < above, middle, below)  # of two neighbouring floats, or where the sum overflows


@cache
def _openmp() -> Any:
    """Return the handles of OpenMP, looked for once: that takes as long as a few trees."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="openmp")


def one_thread() -> AbstractContextManager[Any]:
    """Hold OpenMP to one thread in the calling thread (its limits are each thread's own).

    At these sizes more threads wait for each other (measured: 20 times as long on a busy machine), and sums
    do not depend on their number.
    """
    limit: AbstractContextManager[Any] = _openmp().limit(limits=1)
    return limit


@dataclass(frozen=True, eq=False)
class Boosted:
    """A trained classifier."""

    _trained: Any

    def score(self, codes: Floats) -> Floats:
        """Return log a(x)/b(x) as the trees see it (n,), a the density of the rows labelled True."""
        with one_thread():
            return np.asarray(self._trained.decision_function(codes), dtype=float)


def boosted(codes: Floats, is_x: NDArray[np.bool_]) -> Boosted:
    """Train on rows (n, d) and their labels; both samples weigh the same, whatever their sizes."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    made = HistGradientBoostingClassifier(
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        learning_rate=RATE,
        max_bins=BINS,  # no fewer than there are: it bins nothing, which takes it as long as the trees
        min_samples_leaf=int(np.clip(len(codes) // 20, 3, 20)),
        early_stopping=False,
        class_weight="balanced",
        random_state=0,  # it draws nothing at these sizes
    )
    with one_thread():
        return Boosted(made.fit(codes, is_x))
