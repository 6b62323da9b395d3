"""Where do two samples differ? Boxes in one or two columns, found by one half of the rows and measured on
the other.

Boosted trees learn from one half which sample a row comes from. A small tree of one pair of columns then
tells over what they say, for the pair with which it does so best; its leaves are boxes that can be read.
Neither has seen the labels of the other half, so the shares of rows counted there are honest, with the
standard errors of counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boosted import boosted

__all__ = ["Box", "Side", "find_boxes"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAVES = 6
COLUMNS = 5  # pairs are made of so many columns, those that the trees say most with
MOST = 3  # boxes
BEYOND = 2.5  # standard errors that a box has to show on the other half


@dataclass(frozen=True)
class Side:
    """One side of a box: ``low`` < value of the column <= ``high``; None for no bound."""

    column: int
    name: str
    low: float | None
    high: float | None

    @property
    def sentence(self) -> str:
        """The side in words."""
        if self.low is None:
            return f"{self.name} at most {self.high:.10g}"
        if self.high is None:
            return f"{self.name} above {self.low:.10g}"
        return f"{self.name} in {self.low:.10g} to {self.high:.10g}"


@dataclass(frozen=True)
class Box:
    """A box and the shares of the two samples x and y in it, counted on rows that did not choose it.

    ``error_x`` and ``error_y`` are the standard errors of the shares.
    """

    sides: tuple[Side, ...]
    share_x: float
    share_y: float
    error_x: float
    error_y: float

    @property
    def difference(self) -> float:
        """Share of x minus share of y."""
        return self.share_x - self.share_y

    @property
    def error(self) -> float:
        """The standard error of the difference."""
        return math.hypot(self.error_x, self.error_y)

    @property
    def sentence(self) -> str:
        """Where, and how much more."""
        return self.words("x", "y")

    def words(self, x: str, y: str) -> str:
        """Return the sentence with these names of the two samples."""
        sign = "more" if self.difference > 0 else "fewer"
        where = " and ".join(side.sentence for side in self.sides)
        return (
            f"{sign} rows of {x} than of {y} where {where} ({100 * self.share_x:.1f} % against "
            f"{100 * self.share_y:.1f} %, difference ± {100 * self.error:.1f})"
        )

    def holds(self, values: Floats) -> Bools:
        """Return which rows (n, d) lie in it."""
        inside = np.ones(len(values), dtype=bool)
        for side in self.sides:
            v = values[:, side.column]
            inside &= (v > (-math.inf if side.low is None else side.low)) & (
                v <= (math.inf if side.high is None else side.high)
            )
        return inside

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; a side without a bound has null."""
        return {
            "sides": [{"column": side.name, "above": side.low, "at_most": side.high} for side in self.sides],
            "share": self.share_x,
            "share_against": self.share_y,
            "standard_error": self.error_x,
            "standard_error_against": self.error_y,
        }


def find_boxes(
    values: Floats,
    codes: Floats,
    is_x: Bools,
    rng: np.random.Generator,
    names: Sequence[str] | None = None,
) -> tuple[Box, ...]:
    """Return up to three boxes that hold more of one sample than of the other, the largest difference first.

    Parameters
    ----------
    values, codes : ndarray (n, d)
        The rows of both samples, and the bins of their values within each column.
    is_x : ndarray of bool (n,)
        Which sample each row comes from.
    names : sequence of str, optional
        Of the columns; by default their numbers.
    """
    d = values.shape[1]
    named = [f"column {j}" for j in range(d)] if names is None else list(names)
    learns = np.empty(len(is_x), dtype=bool)
    for label in (False, True):  # halves of each sample
        mine = np.flatnonzero(is_x == label)
        learns[mine] = rng.permutation(np.arange(len(mine)) % 2) == 0
    score = boosted(codes[learns], is_x[learns]).score(codes)
    if np.ptp(score) == 0.0:
        return ()
    weight = np.where(is_x, 0.5 / is_x.sum(), 0.5 / (~is_x).sum()) * len(is_x)
    found = []
    for sides, promised in _leaves(values, codes, score, weight):
        box = Box(tuple(Side(j, named[j], low, high) for j, low, high in sides), 0.0, 0.0, 0.0, 0.0)
        box = _measured(box, values[~learns], is_x[~learns])
        if box.difference * promised > 0 and abs(box.difference) > BEYOND * box.error:
            found.append(box)
    return tuple(sorted(found, key=lambda box: -abs(box.difference))[:MOST])


def _measured(box: Box, values: Floats, is_x: Bools) -> Box:
    inside = box.holds(values)
    share, error = [], []
    for mine in (inside[is_x], inside[~is_x]):
        share.append(float(mine.mean()))
        # As if one more row lay inside and one outside: an empty box has an error too.
        p = (mine.sum() + 1.0) / (len(mine) + 2.0)
        error.append(math.sqrt(p * (1.0 - p) / len(mine)))
    return Box(box.sides, *share, *error)


Sides = list[tuple[int, float | None, float | None]]


def _leaves(values: Floats, codes: Floats, score: Floats, weight: Floats) -> Iterator[tuple[Sides, float]]:
    """Yield the boxes of the tree of two columns that tells the scores best, each with its mean score.

    ``weight`` makes the two samples count the same.
    """
    from sklearn.tree import DecisionTreeRegressor

    def tree(columns: list[int], leaves: int) -> Any:
        made = DecisionTreeRegressor(
            max_leaf_nodes=leaves, min_samples_leaf=max(5, len(score) // 50), random_state=0
        )
        return made.fit(codes[:, columns], score, sample_weight=weight)

    d = values.shape[1]
    able = list(range(d))
    if d > COLUMNS:
        telling = tree(able, 16 * LEAVES).feature_importances_
        able = sorted(np.argsort(-telling, kind="stable")[:COLUMNS].tolist())
    pairs = [list(pair) for pair in combinations(able, min(2, d))]
    made = [tree(pair, LEAVES) for pair in pairs]
    told = [one.score(codes[:, pair], score, weight) for one, pair in zip(made, pairs, strict=True)]
    best = int(np.argmax(told))
    pair, found = pairs[best], made[best].tree_
    ends = [_cuts(values[:, j], codes[:, j]) for j in pair]

    def walk(node: int, bounds: list[list[float | None]]) -> Iterator[tuple[Sides, float]]:
        left, right = found.children_left[node], found.children_right[node]
        if left < 0:
            sides = [(j, *bound) for j, bound in zip(pair, bounds, strict=True) if bound != [None, None]]
            if sides:
                yield sides, float(found.value[node].ravel()[0])
            return
        which = found.feature[node]
        at = ends[which](found.threshold[node])
        for child, end in ((left, 1), (right, 0)):
            narrower = [list(bound) for bound in bounds]
            narrower[which][end] = at
            yield from walk(child, narrower)

    yield from walk(0, [[None, None] for _ in pair])


def _cuts(column: Floats, codes: Floats) -> Callable[[float], float]:
    """Return a function from a threshold among the bins of a column to a number that can be read.

    It lies between the values that the threshold separates, and has no more digits than it takes to tell
    them apart, or a hundredth of the column's middle half where that is coarser.
    """
    low, high = np.quantile(column, [0.25, 0.75])
    coarse = float(high - low) / 100.0

    def at(threshold: float) -> float:
        below, above = float(column[codes <= threshold].max()), float(column[codes > threshold].min())
        room = above - below
        middle, step = below + room / 2.0, max(room, coarse)
        if not math.isfinite(step):
            return below
        first = -math.floor(math.log10(step))
        for places in range(first, first + 3):
            short = round(middle, places)
            if below <= short < above or (coarse >= room and abs(short - middle) <= coarse):
                return short
        return below

    return at
