"""Are two data sets from one distribution? How far apart, in which columns, rows and regions?

Three tests share the level, each valid whatever the distribution and however values are tied: a classifier
(:mod:`pofx.evaluate.classifier`), the energy distance (:mod:`pofx.maths.energy`) and the largest gaps of all
columns together (:mod:`pofx.evaluate.apart`). The first two look at up to 5,000 and 1,500 rows of each set,
enough for differences that matter; columns, sizes and the map are of all rows.

Both sets are looked at to the coarser of the two precisions that a column is recorded to: otherwise a file
written with one decimal less would be told from the other by its digits alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ..errors import ParameterError
from ..maths.energy import MOST_PAIRED, Energy, energy_test
from ..threads import one_blas_thread
from ..validation import Rows, one_of, rng_from, rows_to_query
from .apart import columns_apart, rows_for_columns
from .classifier import Told, classifier_test
from .difference import Difference
from .pairing import Pair, equal_rows, notes_on, read_pair, rounded
from .ratio import Ratio, RatioEstimate, estimate_ratio
from .signed_map import most_telling_pair, signed_map

__all__ = ["Difference", "differ"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

LEVEL = 0.05
SHOWN = 10  # rows named as least like the other set
Z95 = 1.959963984540054


def differ(
    A: Any,
    B: Any,
    *,
    labels: tuple[str, str] = ("A", "B"),
    missing: str = "error",
    random_state: Any = 0,
    progress: Callable[[str], None] | None = None,
) -> Difference:
    """Compare two data sets: is it one distribution, and if not, how far apart are they and where?

    Parameters
    ----------
    A, B : rows, as for ``fit``
        At least ten of each, with the same columns: matched by name where both have names, in any order,
        else by position. Weights are not looked at.
    labels : two texts
        What A and B are called in tables and sentences.
    missing : "error", or "drop" to leave out rows with missing values
    random_state : None, int or Generator
        Decides rows, folds and permutations.
    progress : function of a text, optional
        Called with a few words before each part.

    Returns
    -------
    Difference
        ``verdict``, ``sentence`` and ``p_value``; the classifier's AUC, the energy distance and each column's
        largest gap, with intervals; ``rows_a``, ``rows_b``, boxes and a signed ``map`` that say where;
        ``log_ratio(X)``.

    Raises
    ------
    DataError, ParameterError
        For different columns (named), fewer than ten rows, missing values, text.

    Notes
    -----
    Rows are taken to be independent. Where they are not, as in a time series, chance alone makes larger
    differences than these tests allow for, and p-values are too small.

    Where B is a synthetic table made from A, this is the sample check: a generator that is right passes, and
    ``equal`` tells how many of its rows are rows of A beside what ties explain.

    Examples
    --------
    >>> import pofx
    >>> january = pofx.worlds.moons().sample(300, random_state=1)
    >>> february = pofx.worlds.moons().sample(300, random_state=2)
    >>> pofx.differ(january, february).verdict
    'same'
    >>> found = pofx.differ(january, february * [1.0, 1.5])
    >>> found.verdict, found.columns[0].name
    ('differ', 'column 1')
    """
    one_of(missing, "missing", ("error", "drop"))
    if len(labels) != 2 or not all(isinstance(word, str) and word for word in labels) or len({*labels}) < 2:
        raise ParameterError(f"labels must be two different texts; got {labels!r}.")
    say = progress or (lambda text: None)
    pair = read_pair(A, B, labels, missing)
    # A stream of its own: rows drawn with the same seed as is given here must not meet themselves again.
    rng = np.random.default_rng(rng_from(random_state).integers(2**63, size=4))
    chance, few, tests, learns = rng.spawn(4)
    each = LEVEL / 3.0
    most = rows_for_columns(pair.d)
    at_a, at_b = (_some(len(rows.values), most, chance) for rows in (pair.a, pair.b))
    a, b = (rounded(v, pair.columns) for v in (pair.a.values[at_a], pair.b.values[at_b]))
    with one_blas_thread():
        say("columns")
        apart = columns_apart(pair.column, a, b, pair.names, tests.spawn(1)[0], each)
        say("energy distance")
        # Squares of huge values would overflow; powers of two change nothing else.
        size = np.frexp(np.maximum(np.abs(a).max(axis=0), np.abs(b).max(axis=0)))[1]
        scale = np.ldexp(1.0, np.clip(-size, -1000, 1000))
        some_a, some_b = (rows[_some(len(rows), MOST_PAIRED, few)] * scale for rows in (a, b))
        energy = energy_test(some_a, some_b, tests.spawn(1)[0], each)
        low, high = _interval(some_a, some_b, energy)
        say("classifier")
        told = classifier_test(a, b, tests.spawn(1)[0], each, names=pair.names)
        say("map")
        order = sorted(range(pair.d), key=lambda j: (apart[j].p_value, -abs(apart[j].gap)))
        plane = sorted(most_telling_pair(a, b, order))
        chart = signed_map(plane, pair.names, pair.column, pair.columns.decimals)
        say("equal rows")
        equal = equal_rows(pair)
    (rows_a, scores_a), (rows_b, scores_b) = _least_alike(told)
    return Difference(
        a=labels[0],
        b=labels[1],
        n=len(pair.a.values),
        m=len(pair.b.values),
        told=told,
        energy=energy,
        energy_low=low,
        energy_high=high,
        columns=tuple(apart[j] for j in order),
        rows_a=_numbered(pair.a, at_a[rows_a]),
        rows_b=_numbered(pair.b, at_b[rows_b]),
        scores_a=scores_a,
        scores_b=scores_b,
        map=chart,
        equal=equal,
        level=LEVEL,
        notes=(*notes_on(pair, equal, (A, B)), *_some_of(pair, told, energy, len(a), len(b))),
        random_state=random_state,
        _ratio=_Lazily(pair, a, b, learns),
    )


# ---------------------------------------------------------------- the parts


def _some(n: int, most: int, rng: np.random.Generator) -> Ints:
    return np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))


def _numbered(rows: Rows, at: Ints) -> Ints:
    """Return the numbers of rows as they were given, before any was dropped."""
    return at if rows.kept is None else np.flatnonzero(rows.kept)[at]


def _interval(a: Floats, b: Floats, energy: Energy) -> tuple[float, float]:
    """Return the 95 % interval of the energy distance's share.

    By the spread of the potential over the rows of each sample, the first term of the distance's expansion
    (as for any U-statistic: Hoeffding 1948); within chance that term is nothing, and the interval runs from
    0 to what chance makes or more.
    """
    rows = np.concatenate([a, b])
    spread = np.ptp(np.quantile(rows, [0.25, 0.75], axis=0), axis=0)
    spread = np.where(spread > 0.0, spread, np.std(rows, axis=0))
    scale = np.where(spread > 0.0, spread, 1.0)
    centre = np.median(rows, axis=0)
    a, b = (a - centre) / scale, (b - centre) / scale
    n, m = len(a), len(b)
    between = cdist(a, b)
    own_a, own_b = cdist(a, a).sum(axis=1) / (n - 1), cdist(b, b).sum(axis=1) / (m - 1)
    of_a, of_b = between.mean(axis=1) - own_a, between.mean(axis=0) - own_b
    unit = 2.0 * float(between.mean())
    if not unit > 0.0:
        return 0.0, 0.0
    distance = float(of_a.mean() + of_b.mean())
    reach = Z95 * 2.0 * math.sqrt(float(of_a.var(ddof=1)) / n + float(of_b.var(ddof=1)) / m)
    low, high = (math.sqrt(min(max(0.0, e / unit), 1.0)) for e in (distance - reach, distance + reach))
    return (0.0, max(high, energy.limit)) if energy.share <= energy.limit else (low, max(high, energy.share))


def _least_alike(told: Told) -> tuple[tuple[Ints, Floats], tuple[Ints, Floats]]:
    """Return the rows of A most surely from A, and those of B most surely from B, with their scores."""
    first = np.argsort(-told.scores_x, kind="stable")[:SHOWN]
    last = np.argsort(told.scores_y, kind="stable")[:SHOWN]
    return (told.rows_x[first], told.scores_x[first]), (told.rows_y[last], told.scores_y[last])


def _some_of(pair: Pair, told: Told, energy: Energy, permuted_a: int, permuted_b: int) -> Iterator[str]:
    """Yield which parts look at some rows only."""
    n, m = len(pair.a.values), len(pair.b.values)
    looked = {"the classifier": (told.n, told.m), "the energy distance": (energy.n, energy.m)}
    some = [f"{what} at {a:,} and {b:,}" for what, (a, b) in looked.items() if a < n or b < m]
    if some:
        yield f"Taken at random of {n:,} and {m:,} rows: {' and '.join(some)}. All else is of all rows."
    if permuted_a < n or permuted_b < m:
        yield (
            f"Chance in the columns is that of permuted labels of {permuted_a:,} and {permuted_b:,} rows, in "
            "proportion."
        )


class _Lazily:
    """The log ratio, learnt when it is first asked for."""

    def __init__(self, pair: Pair, a: Floats, b: Floats, rng: np.random.Generator) -> None:
        self._columns = replace(pair.a.columns, names=pair.columns.names)
        self._rounded, self._a, self._b, self._rng = pair.columns, a, b, rng

    @cached_property
    def _estimate(self) -> RatioEstimate:
        return estimate_ratio(self._a, self._b, self._rng)

    def __call__(self, X: Any) -> Ratio:
        rows = rows_to_query(X, self._columns, who="A")
        return self._estimate(rounded(rows, self._rounded))
