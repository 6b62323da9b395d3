"""log a(x)/b(x) of two densities from a sample of each, with its standard error.

A classifier that outputs the probability that a row comes from A, both samples weighing the same, estimates
log a/b by its log odds (Sugiyama, Suzuki and Kanamori 2012, Density Ratio Estimation, ch. 4). Here twenty
boosted classifiers learn from halves of the rows. A row's score in those that have not seen it decides two
things: after how many trees they stop (least log loss), and the line through the scores that makes them
probabilities (Platt 1999). The spread between halves is that of the whole: a half taken without replacement
varies about the full sample's estimate as much as that varies about its mean (delete-half jackknife, Shao and
Wu 1989, Ann. Stat. 17, 1176). The error says how the estimate would change with other samples, not how the
steps of trees differ from a smooth truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..threads import map_ordered
from .boosted import BINS, bins_of, edges_of, one_thread

__all__ = ["Ratio", "RatioEstimate", "estimate_ratio"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PAIRS = 10  # of halves
TREES, STEP, LEAVES, RATE = 150, 10, 4, 0.1
AT_ONCE = 2**15  # rows that are scored together


class Ratio(NamedTuple):
    """log a(x)/b(x) of rows (n,), nats, and its standard error."""

    log_ratio: Floats
    standard_error: Floats


@dataclass(frozen=True, eq=False)
class RatioEstimate:
    """What was learnt.

    Attributes
    ----------
    trees : int
        How many each member has.
    line, covariance : ndarray (2,), (2, 2)
        Intercept and slope from scores to log odds, and their errors.
    """

    members: tuple[Any, ...]
    edges: tuple[Floats, ...]
    trees: int
    line: Floats
    covariance: Floats

    def __call__(self, x: Floats) -> Ratio:
        """Return the log ratio at rows (n, d)."""

        def block(at: int) -> tuple[Floats, Floats]:
            rows = x[at : at + AT_ONCE]
            codes = np.column_stack(
                [np.searchsorted(edges, rows[:, j], side="left") for j, edges in enumerate(self.edges)]
            ).astype(float)
            scores = np.stack([_score(member, codes, self.trees) for member in self.members])
            mean = scores.mean(axis=0)
            line = np.stack([np.ones(len(mean)), mean])
            variance = self.line[1] ** 2 * scores.var(axis=0, ddof=1)
            variance = variance + np.einsum("in,ij,jn->n", line, self.covariance, line)
            return self.line @ line, np.sqrt(variance)

        found = list(map_ordered(block, range(0, len(x), AT_ONCE)))
        if not found:
            return Ratio(np.empty(0), np.empty(0))
        values, errors = zip(*found, strict=True)
        return Ratio(np.concatenate(values), np.concatenate(errors))


def estimate_ratio(
    a: Floats, b: Floats, rng: np.random.Generator, say: Callable[[str], None] = lambda text: None
) -> RatioEstimate:
    """Learn log a/b from rows a (n, d) and b (m, d), at least ten of each."""
    values = np.concatenate([a, b])
    is_a = np.arange(len(values)) < len(a)
    codes = bins_of(values)
    members, steps = [], TREES // STEP
    unseen, times = np.zeros((steps, len(values))), np.zeros(len(values))
    for k, half in enumerate(_halves(is_a, rng)):
        say(f"log ratio: member {k + 1} of {2 * PAIRS}")
        member = _train(codes[half], is_a[half])
        members.append(member)
        for step, score in enumerate(_staged(member, codes[~half])):
            unseen[step, ~half] += score
        times[~half] += 1.0
    unseen /= times
    weight = np.where(is_a, 0.5 / is_a.sum(), 0.5 / (~is_a).sum())
    sign = np.where(is_a, 1.0, -1.0)
    loss = [float(weight @ np.logaddexp(0.0, -sign * score)) for score in unseen]
    best = int(np.argmin(loss))
    # As many rows as have the information of both samples together.
    effective = 4.0 / (1.0 / is_a.sum() + 1.0 / (~is_a).sum())
    line, covariance = _platt(unseen[best], is_a, weight * effective)
    edges = tuple(edges_of(values[:, j], codes[:, j]) for j in range(values.shape[1]))
    return RatioEstimate(tuple(members), edges, (best + 1) * STEP, line, covariance)


def _halves(is_a: Bools, rng: np.random.Generator) -> Iterator[Bools]:
    """Yield halves of both samples, each followed by the other half."""
    for _ in range(PAIRS):
        half = np.zeros(len(is_a), dtype=bool)
        for label in (True, False):
            mine = np.flatnonzero(is_a == label)
            half[rng.permutation(mine)[: len(mine) // 2]] = True
        yield half
        yield ~half


def _train(codes: Floats, is_a: Bools) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    made = HistGradientBoostingClassifier(
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        learning_rate=RATE,
        max_bins=BINS,
        min_samples_leaf=int(np.clip(len(codes) // 20, 2, 20)),
        early_stopping=False,
        class_weight="balanced",
        random_state=0,
    )
    with one_thread():
        return made.fit(codes, is_a)


def _staged(member: Any, codes: Floats) -> Iterator[Floats]:
    """Yield scores after each STEP trees."""
    with one_thread():
        for score in islice(member.staged_decision_function(codes), STEP - 1, None, STEP):
            yield np.array(score, dtype=float)


def _score(member: Any, codes: Floats, trees: int) -> Floats:
    with one_thread():
        return np.array(next(islice(member.staged_decision_function(codes), trees - 1, None)), dtype=float)


def _platt(score: Floats, is_a: Bools, weight: Floats) -> tuple[Floats, Floats]:
    """Return intercept and slope of the log odds as a line of the score, and their covariance (Newton)."""
    x = np.stack([np.ones(len(score)), score])
    # Platt's targets, a little inside of 0 and 1, keep the slope finite where the score separates them.
    n, m = float(is_a.sum()), float((~is_a).sum())
    target = np.where(is_a, (n + 1.0) / (n + 2.0), 1.0 / (m + 2.0))
    line = np.array([0.0, 1.0])
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(line @ x, -700.0, 700.0)))
        information = (x * (weight * p * (1.0 - p))) @ x.T + 1e-9 * np.eye(2)
        step = np.linalg.solve(information, x @ (weight * (target - p)))
        size = float(np.abs(step).max())
        line = line + step * min(1.0, 1.0 / size if size > 0.0 else 1.0)
        if size < 1e-9:
            break
    return line, np.linalg.inv(information)
