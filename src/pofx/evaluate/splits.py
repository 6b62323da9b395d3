"""Which rows are held out together: at random, whole groups, later times, or as somebody's splitter says.

At random, rows are dealt into parts of equal size. Rows of one group (a patient, a site, a day) resemble each
other; held out one by one they would be asked of a fit that has seen their like, so groups are held out
whole. In time order, every part is asked of a fit to the rows before it (forward chaining, an expanding
window); the first part is never held out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..core.estimator import unfitted
from ..errors import DataError, ParameterError
from ..validation import Rows, rng_from, row_weights, rows_to_fit, whole_number
from .aside import codes_of, take_out, times_of
from .spread import Spread
from .ties import Steps

__all__ = ["Split", "split"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Pairs = tuple[tuple[Indices, Indices], ...]


@dataclass(frozen=True, eq=False)
class Split:
    """The rows, checked once, and the part (0 .. folds - 1) that each is held out with.

    ``part`` is −1 for a row that is never held out; where a splitter holds rows out several times it is the
    first time. ``weights`` are those of the rows, adding up to the sample size; None where every row counts
    once. ``spread`` says what hangs together, ``how`` how rows were held out, as the end of a sentence;
    ``data`` are the rows as they came, without a column that names groups or times, and ``total`` is their
    number, of which ``rows`` are a sample where they are fewer.
    """

    rows: Rows
    part: Indices
    folds: int
    steps: Steps
    weights: Floats | None = None
    spread: Spread = field(default_factory=Spread)
    how: str = "each held out once in {folds} folds"
    pairs: Pairs | None = None
    data: Any = None
    total: int = 0

    @property
    def tested(self) -> NDArray[np.bool_]:
        """Which rows are held out at least once, shape (n,)."""
        return self.part >= 0

    @property
    def sentence(self) -> str:
        """How many rows, and how they were held out: "272 rows, each held out once in 5 folds"."""
        sample = f"{len(self.part):,} of {self.total:,} rows, drawn at random" if self.sampled else ""
        return f"{sample or f'{len(self.part):,} rows'}, {self.how.format(folds=self.folds)}"

    @property
    def sampled(self) -> bool:
        """Whether only a sample of the rows is fitted and held out."""
        return self.total > len(self.part)

    def trained(self, k: int) -> Indices:
        """Return the numbers of the rows that fit ``k`` sees."""
        return np.flatnonzero(self.part != k) if self.pairs is None else self.pairs[k][0]

    def asked(self, k: int) -> Indices:
        """Return the numbers of the rows that fit ``k`` is asked about."""
        return np.flatnonzero(self.part == k) if self.pairs is None else self.pairs[k][1]

    def some(self, chosen: NDArray[Any]) -> Rows:
        """Return some of the rows; names, dtypes and recorded precision stay those of all."""
        return Rows(self.rows.values[chosen], self.rows.columns)

    def train(self, k: int) -> Rows:
        """Return the rows that fit ``k`` sees."""
        return self.some(self.trained(k))

    def test(self, k: int) -> Rows:
        """Return the rows that fit ``k`` is asked about."""
        return self.some(self.asked(k))

    def fit(self, model: Density, k: int | None = None) -> Density:
        """Return a clone fitted to the rows that fit ``k`` sees, or to all of them."""
        return self.fit_to(model, np.arange(len(self.part)) if k is None else self.trained(k))

    def fit_to(self, model: Density, chosen: Indices) -> Density:
        """Return a clone fitted to the rows of these numbers."""
        w = None if self.weights is None else self.weights[chosen]
        clone: Density = unfitted(model)
        return clone.fit(self.some(chosen), sample_weight=w)


def split(
    X: Any,
    *,
    folds: int = 5,
    random_state: Any = 0,
    missing: str = "error",
    sample_weight: Any = None,
    weight_kind: str | None = None,
    cv: Any = None,
    groups: Any = None,
    time: Any = None,
    most_rows: int | None = None,
    texts: Sequence[str | int] = (),
) -> Split:
    """Check the rows and say which are held out together.

    By default they are dealt into ``folds`` parts of equal size (to one row), at random by the seed; fewer
    rows than ``folds`` give one part each (leave one out). Rows of weight zero are left out. The other
    arguments are those of :func:`pofx.compare`, and ``texts`` the columns that may hold text.

    Raises
    ------
    DataError
        For fewer than two rows, for rows that no model could be fitted to, for fewer groups or times than
        folds, and for groups or times that are not one for each row.
    ParameterError
        For a splitter that is none, or that names rows that are not there.
    WeightError
        As ``fit`` does.
    """
    if cv is not None and time is not None:
        raise ParameterError("cv= and time= both say how rows are held out; give one of them.")
    if groups is not None and time is not None:
        raise ParameterError(
            "groups= and time= cannot be combined: give one of them, or cv= a splitter that does both."
        )
    if isinstance(cv, int) and not isinstance(cv, bool):
        folds, cv = cv, None
    folds = whole_number(folds, "folds", least=2)
    X, groups = take_out(X, groups, "groups")
    X, time = take_out(X, time, "time")
    rows = rows_to_fit(X, missing=missing, groups=texts)
    w = row_weights(sample_weight, len(rows.values), weight_kind=weight_kind, kept=rows.kept)
    came = len(rows.values) if rows.kept is None else len(rows.kept)
    kept = np.ones(came, dtype=bool) if rows.kept is None else rows.kept.copy()
    if w is not None and not w.all():
        kept[np.flatnonzero(kept)[w == 0]] = False
        rows, w = Rows(rows.values[w > 0], rows.columns, rows.dropped, None), w[w > 0]
    n = len(rows.values)
    if n < 2:
        raise DataError(f"Holding rows out needs at least 2 rows; {n} came.")
    rng = rng_from(random_state)
    codes = None if groups is None else codes_of(groups, came, kept)
    at = None if time is None else np.arange(n) if time is True else times_of(time, came, kept)
    total = n
    if most_rows is not None and n > whole_number(most_rows, "most_rows", least=2):
        if cv is not None:
            raise ParameterError("most_rows= and cv= cannot be combined: cv names rows of all.")
        chosen = _sample(n, most_rows, codes, rng)
        n = len(chosen)
        rows = Rows(np.ascontiguousarray(rows.values[chosen]), rows.columns, rows.dropped, None)
        w = None if w is None else w[chosen]
        at = None if at is None else at[chosen]
        codes = None if codes is None else np.unique(codes[chosen], return_inverse=True)[1].astype(np.intp)
    steps, spread = Steps.of(rows), Spread(groups=codes)
    if cv is not None:
        pairs = _pairs(cv, rows, codes)
        return Split(rows, *_parts(pairs, n), steps, w, spread, _told(pairs, n), pairs, X, n)
    if at is not None:
        order, pairs = _forward(at, folds)
        part, _ = _parts(pairs, n)
        how = "each held out once, asked of a fit to all before it, in {folds} folds; the first "
        how += f"{int((part < 0).sum()):,} in time are never held out"
        return Split(rows, part, len(pairs), steps, w, Spread(order=order), how, pairs, X, total)
    if codes is not None:
        count = int(codes.max()) + 1
        if count < folds:
            raise DataError(
                f"Holding whole groups out in {folds} folds needs at least {folds} groups; there "
                f"{'is' if count == 1 else 'are'} {count}. Give fewer folds=, or groups= that are finer."
            )
        how = f"each held out once in {{folds}} folds, whole groups ({count:,}) together"
        return Split(rows, _deal_groups(codes, folds, rng), folds, steps, w, spread, how, None, X, total)
    folds = min(folds, n)
    return Split(rows, rng.permutation(np.arange(n) % folds), folds, steps, w, data=X, total=total)


def _sample(n: int, most: int, codes: Indices | None, rng: np.random.Generator) -> Indices:
    """Return about ``most`` of n rows at random, in their order; whole groups where there are some."""
    if codes is None:
        return np.sort(rng.choice(n, most, replace=False))
    order = rng.permutation(int(codes.max()) + 1)
    reached = np.cumsum(np.bincount(codes)[order])
    last = int(np.searchsorted(reached, most, side="right"))
    return np.flatnonzero(np.isin(codes, order[: max(last, 1)]))


# ---------------------------------------------------------------- groups and time


def _deal_groups(codes: Indices, folds: int, rng: np.random.Generator) -> Indices:
    """Return each row's part: the largest group first, each to the part with the fewest rows so far."""
    sizes = np.bincount(codes)
    shuffled = rng.permutation(len(sizes))  # among equal sizes chance decides
    part_of, filled = np.empty(len(sizes), dtype=np.intp), np.zeros(folds)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        part_of[group] = int(np.argmin(filled))
        filled[part_of[group]] += sizes[group]
    return part_of[codes]


def _forward(at: NDArray[Any], folds: int) -> tuple[Indices, Pairs]:
    """Return the order of time, and for each fold the rows before a part and that part.

    The rows are cut into ``folds`` + 1 runs of about equal size; equal times are never cut apart.
    """
    order = np.argsort(at, kind="stable").astype(np.intp)
    _, starts = np.unique(at[order], return_index=True)  # where a new time begins
    if len(starts) < folds + 1:
        raise DataError(
            f"Holding later rows out in {folds} folds needs at least {folds + 1} different times; there "
            f"{'is' if len(starts) == 1 else 'are'} {len(starts)}. Give fewer folds=."
        )
    cuts, free = [], starts[1:]
    for k in range(
        folds
    ):  # the start of a new time nearest to the even cut, leaving one for each cut to come
        able = free[: len(free) - (folds - 1 - k)]
        cut = int(able[np.argmin(np.abs(able - (k + 1) * len(at) / (folds + 1)))])
        cuts.append(cut)
        free = free[free > cut]
    ends = [*cuts[1:], len(at)]
    return order, tuple(
        (np.sort(order[:cut]), np.sort(order[cut:end])) for cut, end in zip(cuts, ends, strict=True)
    )


# ---------------------------------------------------------------- other splitters


def _pairs(cv: Any, rows: Rows, codes: Indices | None) -> Pairs:
    """Return the (train, test) rows of a scikit-learn splitter, or of pairs of indices."""
    n = len(rows.values)
    if hasattr(cv, "split"):
        try:
            found = list(cv.split(rows.values, None, codes))
        except PARTIAL as error:
            if "stratified" in type(cv).__name__.casefold():
                why = "it needs labels, which rows of a density have none of; KFold or groups= will do."
            else:
                why = f"{error}" + " (give groups=)" * (codes is None and "groups" in str(error))
            raise DataError(f"cv={cv!r} cannot split these {n:,} rows: {why}") from error
    elif isinstance(cv, Iterable) and not isinstance(cv, str | bytes):
        found = list(cv)
    else:
        raise ParameterError(
            "cv must be a number of folds, a splitter with split(X, y, groups) such as scikit-learn's, or "
            f"pairs of (train, test) row numbers; got {cv!r:.80}."
        )
    pairs = []
    for k, pair in enumerate(found):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ParameterError(
                f"cv must give pairs of (train, test) row numbers; the {k}th is {pair!r:.80}."
            )
        train, test = (_row_numbers(side, n, k) for side in pair)
        if not len(train) or not len(test):
            raise DataError(f"cv: fold {k + 1} has {len(train)} rows to fit and {len(test)} to hold out.")
        if both := len(np.intersect1d(train, test)):
            raise DataError(
                f"cv: {both:,} row{'s' * (both > 1)} of fold {k + 1} {'are' if both > 1 else 'is'} both "
                "fitted and held out; a fit must not have seen what it is asked."
            )
        pairs.append((train, test))
    if not pairs:
        raise ParameterError("cv gives no fold; at least one pair of (train, test) row numbers is needed.")
    return tuple(pairs)


PARTIAL = (ValueError, TypeError)  # what scikit-learn's splitters raise of rows that they cannot split


def _row_numbers(given: Any, n: int, k: int) -> Indices:
    side = np.asarray(given)
    if side.dtype == bool and side.shape == (n,):
        return np.flatnonzero(side)
    if side.ndim != 1 or (side.dtype.kind not in "iu" and side.size):
        raise ParameterError(
            f"cv: fold {k + 1} must be row numbers or a mask of {n:,} rows; got {given!r:.80}."
        )
    side = side.astype(np.intp)
    if side.size and not (0 <= side.min() and side.max() < n):
        raise ParameterError(
            f"cv: fold {k + 1} names row {int(side.max() if side.max() >= n else side.min())}; there are "
            f"{n:,} rows, numbered from 0 without those that were left out."
        )
    return side


def _parts(pairs: Pairs, n: int) -> tuple[Indices, int]:
    """Return the part that each row is first held out with, and the number of folds."""
    part = np.full(n, -1, dtype=np.intp)
    for k, (_, test) in reversed(list(enumerate(pairs))):
        part[test] = k
    return part, len(pairs)


def _told(pairs: Pairs, n: int) -> str:
    """How rows were held out by somebody's splitter."""
    times = np.bincount(np.concatenate([test for _, test in pairs]), minlength=n)
    never, seen = int((times == 0).sum()), times[times > 0]
    if seen.min() == seen.max():
        often = {1: "once", 2: "twice"}.get(int(seen.max()), f"{int(seen.max())} times")
    else:
        often = f"{seen.min()} to {seen.max()} times"
    mean = ", its scores averaged," if seen.max() > 1 else ""
    rest = f"; {never:,} are never held out and count in no mean" if never else ""
    return f"each held out {often}{mean} in {{folds}} folds{rest}"
