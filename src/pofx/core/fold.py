"""A fit is a fold: what one block of rows contributes, and how two contributions add.

:class:`Data` is what a model's ``_fit`` sees: rows in unit space, in blocks of a fixed size whatever
they came in, with positive weights. An array in memory and a stream of blocks therefore take one
path and give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import DataError, DegenerateError
from ..threads import map_ordered
from ..validation import (
    Columns,
    Fingerprint,
    Rows,
    check_memory,
    row_errors,
    row_weights,
    rows_to_fit,
    rows_to_query,
)
from .units import LOG2, Units

__all__ = ["Blocks", "Data", "block_rows", "survey"]

Chunk = tuple[np.ndarray, np.ndarray | None]  # rows in data units, and their weights (None: all one)

MEDIAN_ROWS = 65_536  # the shift is the median of the first so many rows


def block_rows(d: int) -> int:
    """Return the fixed number of rows of a block of ``d`` columns: about half a megabyte, so that
    a block and what is computed from it stay in the cache."""
    return int(max(512, 2 ** int(np.log2(65_536 / max(d, 1)))) if d < 128 else 512)


class Blocks:
    """Rows that come in blocks, for data larger than memory.

    Parameters
    ----------
    source : re-iterable or callable
        A list of arrays or DataFrames, any object whose ``iter()`` starts anew, or a function that
        returns a fresh iterator. A fit passes over it several times and checks that each pass sees
        the same number of rows.
    """

    def __init__(self, source: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        if not callable(source) and iter(source) is source:
            raise DataError(
                "Blocks needs rows that can be read more than once; an iterator was given, which is spent "
                "after one pass. Give a list, or a function that returns a fresh iterator."
            )
        self._source = source

    def __iter__(self) -> Iterator[Any]:
        for block in self._source() if callable(self._source) else self._source:
            if not (hasattr(block, "__len__") and len(block) == 0):  # a filter may leave nothing of a block
                yield block

    def __repr__(self) -> str:
        return f"Blocks({self._source!r})"


class Data:
    """The rows of one fit, in unit space. See the module's docstring.

    Attributes
    ----------
    n : int
        Rows of positive weight.
    total : float
        The sum of the weights, which is the sample size everywhere.
    units, columns
        Where unit space lies, and what the columns are called.
    low, high : ndarray of shape (d,)
        Each column's range in unit space.
    dropped : int
        Rows dropped for missing values.
    present : ndarray of shape (d,), optional
        The sum of the weights of the rows that have each column; ``None`` where none is missing. Only models
        that say so (``takes_missing``) meet rows with NaN.
    kept : ndarray of bool, or None
        Which of the rows that came are here: neither dropped nor of weight zero. None: all of them.
    errors : ndarray, optional
        Known measurement errors of the rows, data units, where the caller gave some: standard deviations
        (m, d) or covariances (m, d, d); m is n, or 1 where they are the same for all.
    fingerprint : str, optional
        Of the rows that came and were not dropped, those of weight zero included.
    """

    kept: np.ndarray | None = None
    errors: np.ndarray | None = None
    fingerprint: str | None = None

    def __init__(
        self,
        passes: Callable[[], Iterator[Chunk]],
        *,
        n: int,
        total: float,
        units: Units,
        columns: Columns,
        low: np.ndarray,
        high: np.ndarray,
        dropped: int,
        present: np.ndarray | None = None,
    ) -> None:
        self._passes = passes
        self.n, self.total, self.units, self.columns = n, total, units, columns
        self.low, self.high, self.dropped = low, high, dropped
        self.present = present

    @property
    def d(self) -> int:
        """The number of columns."""
        return len(self.units)

    @property
    def complete(self) -> bool:
        """Whether no entry is missing."""
        return self.present is None

    @property
    def log_jacobian(self) -> float:
        """What to add to the total log-likelihood in unit space to have it in data units."""
        if self.present is None:
            return self.total * self.units.log_jacobian
        return -LOG2 * float(self.present @ self.units.exponent)

    def mapped(self, function: Callable[[np.ndarray], np.ndarray], columns: Columns) -> Data:
        """Return the rows after ``function``, which takes and gives rows in data units."""

        def passes() -> Iterator[Chunk]:
            for values, w in self._passes():
                yield function(values), w

        out = _measured(passes(), passes, Rows(np.empty((0, self.d)), columns, self.dropped, None))
        out.kept = self.kept
        return out

    def rows(self) -> Iterator[np.ndarray]:
        """Yield the rows in data units, in order, in the blocks that they came in."""
        for values, _ in self._passes():
            yield values

    def label(self, j: int) -> str:
        """Return the name of column ``j`` for messages."""
        return self.columns.label(j)

    def constant_columns(self) -> list[int]:
        """Return the columns that hold one value only."""
        return [int(j) for j in np.flatnonzero(self.low == self.high)]

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ``(x, w)``: rows in unit space (b, d) and their weights (b,), of a fixed size."""
        seen = 0
        for x, w in _rechunk(self._passes(), block_rows(self.d)):
            seen += len(x)
            yield self.units.to(x), np.ones(len(x)) if w is None else w
        if seen != self.n:
            raise DataError(
                f"The rows changed between passes: the first pass saw {self.n:,} rows, this one {seen:,}. "
                "Fit from data that nobody writes to."
            )

    def fold(self, contribution: Callable[[np.ndarray, np.ndarray], Any], *, most: int | None = None) -> Any:
        """Return the sum over blocks of ``contribution(x, w)``, in at most ``most`` threads.

        Contributions are added with ``+`` (dicts and tuples elementwise) in a fixed binary tree, so
        the result has the same bits for any number of threads, and rounding grows with log n.
        """
        parts: list[tuple[int, Any]] = []
        for part in map_ordered(lambda block: contribution(*block), self.blocks(), most=most):
            level = 0
            while parts and parts[-1][0] == level:
                part = _add(parts.pop()[1], part)
                level += 1
            parts.append((level, part))
        total = parts.pop()[1]
        while parts:
            total = _add(parts.pop()[1], total)
        return total

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all rows ``(x, w)`` in unit space, for models that keep them."""
        check_memory(8 * self.n * (self.d + 1), f"{self.n:,} rows of {self.d} columns at once")
        x, w = np.empty((self.n, self.d)), np.empty(self.n)
        start = 0
        for bx, bw in self.blocks():
            x[start : start + len(bx)], w[start : start + len(bx)] = bx, bw
            start += len(bx)
        return x, w

    def distinct(self, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct rows in lexicographic order, and their summed weights.

        Neither the order of the rows nor their repetition changes the result. With ``limit``, only
        that many rows are kept: those whose hash is smallest (a bottom-k sketch), found in one pass
        in memory of the order of ``limit``.
        """
        x, w = np.empty((0, self.d)), np.empty(0)
        waiting: list[tuple[np.ndarray, np.ndarray]] = []
        pending, largest = 0, None
        # In data units: unit space may be shifted by another value when the rows come in another order.
        for values, weights in _rechunk(self._passes(), block_rows(self.d)):
            new, weight = values, np.ones(len(values)) if weights is None else weights
            if largest is not None:  # most rows of large data are passed over here
                small = row_hashes(new) <= largest
                new, weight = new[small], weight[small]
            waiting.append((new, weight))
            pending += len(new)
            if limit is not None and pending > 2 * limit:
                x, w, largest = _smallest_hashes(*_merge_equal([(x, w), *waiting]), limit)
                waiting, pending = [], 0
        x, w = _merge_equal([(x, w), *waiting])
        if limit is not None:
            x, w, _ = _smallest_hashes(x, w, limit)
        return self.units.to(x), w


def survey(
    X: Any,
    sample_weight: Any = None,
    *,
    missing: str = "error",
    weight_kind: str | None = None,
    errors: Any = None,
) -> Data:
    """Check the rows and their weights once, and return them as :class:`Data`.

    Raises
    ------
    DataError, WeightError
        Whatever the doorman (:mod:`pofx.validation`) refuses.
    """
    if isinstance(X, Blocks):
        if errors is not None:
            raise DataError("errors need rows in memory, an array or a table; Blocks came.")
        return _survey_blocks(X, sample_weight, missing, weight_kind)
    rows = rows_to_fit(X, missing=missing)
    values = rows.values
    raw = len(values) if rows.kept is None else len(rows.kept)
    w = row_weights(sample_weight, raw, weight_kind=weight_kind, kept=rows.kept)
    kept = _kept(rows.kept, w)
    e = None if errors is None else row_errors(errors, raw, values.shape[1], kept=rows.kept)
    if w is not None and not (w > 0).all():
        if e is not None and len(e) > 1:
            e = e[w > 0]
        values, w = values[w > 0], w[w > 0]
    data = _measured(iter([(values, w)]), lambda: iter([(values, w)]), rows)
    data.kept, data.errors = kept, e
    data.fingerprint = Fingerprint(rows.columns.names, data.d).update(rows.values).hexdigest()
    return data


def _kept(complete: np.ndarray | None, w: np.ndarray | None) -> np.ndarray | None:
    """Return which rows are used, from which are complete and the weights of those."""
    if w is None or (w > 0).all():
        return complete
    if complete is None:
        return w > 0
    out = complete.copy()
    out[complete] = w > 0
    return out


def _survey_blocks(X: Blocks, sample_weight: Any, missing: str, weight_kind: str | None) -> Data:
    form = _Form(missing)
    if sample_weight is None:  # one pass both learns the form of the rows and measures them

        def unweighted() -> Iterator[Chunk]:
            for block in X:
                yield form.read(block), None

        data = _measured(form.first(X), unweighted, form)
        data.kept = None if data.dropped == 0 else np.concatenate(form.kept)
        data.fingerprint = form.hexdigest()
        return data
    for _ in form.first(X):
        pass
    mask = np.concatenate(form.kept)
    w = row_weights(sample_weight, len(mask), weight_kind=weight_kind, kept=None if mask.all() else mask)
    if w is None:
        w = np.ones(int(mask.sum()))

    def weighted() -> Iterator[Chunk]:
        start = 0
        for block in X:
            values = form.read(block)
            part = w[start : start + len(values)]
            start += len(values)
            yield (values, part) if (part > 0).all() else (values[part > 0], part[part > 0])

    data = _measured(weighted(), weighted, form)
    data.kept = _kept(None if mask.all() else mask, w)
    data.fingerprint = form.hexdigest()
    return data


class _Form:
    """What the blocks of a stream look like: learned in a first pass, relied on in later ones."""

    def __init__(self, missing: str) -> None:
        self.missing = missing
        self.columns = Columns.plain(1)
        self.dropped = 0
        self.kept: list[np.ndarray] = []
        self._fingerprint = Fingerprint(None, 0)

    def hexdigest(self) -> str:
        """Return the fingerprint of the rows of the first pass."""
        return self._fingerprint.hexdigest()

    def first(self, blocks: Iterable[Any]) -> Iterator[Chunk]:
        """Yield the rows of the first pass."""
        empty = True
        for block in blocks:
            rows = rows_to_fit(block, missing=self.missing)
            self.columns = rows.columns if empty else _merged(self.columns, rows)
            if empty:
                self._fingerprint = Fingerprint(rows.columns.names, len(rows.columns))
            self.kept.append(np.ones(len(rows.values), bool) if rows.kept is None else rows.kept)
            self.dropped += rows.dropped
            empty = False
            values = _aligned(rows, self.columns)
            self._fingerprint.update(values)
            yield values, None
        if empty:
            raise DataError("Blocks gave no block: 0 rows. Give at least one block of rows.")

    def read(self, block: Any) -> np.ndarray:
        """Return the rows of a block in a later pass."""
        if self.missing == "error":  # nothing to drop and nothing to learn: the shorter way
            return rows_to_query(block, self.columns, who="this fit")
        if self.missing == "marginal":
            values = rows_to_query(block, self.columns, who="this fit", missing="marginal")
            empty = np.isnan(values).all(axis=1)
            return values[~empty] if empty.any() else values
        return _aligned(rows_to_fit(block, missing=self.missing), self.columns)


def _measured(first: Iterator[Chunk], passes: Callable[[], Iterator[Chunk]], form: Rows | _Form) -> Data:
    """Take the first pass: count, add up the weights, find each column's range and a value inside it.

    ``form`` knows ``columns`` and ``dropped`` once the first pass is through.
    """
    n, total = 0, 0.0
    head: list[np.ndarray] = []
    lows: list[np.ndarray] = []
    highs: list[np.ndarray] = []
    gaps: list[np.ndarray] = []
    for values, w in first:
        if len(values) == 0:
            continue
        low, high = values.min(axis=0), values.max(axis=0)
        if np.isnan(low).any():
            nan = np.isnan(values)
            gaps = [np.sum([*gaps, nan.sum(axis=0) if w is None else w @ nan], axis=0)]
            low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
        lows = [np.fmin.reduce([*lows, low], axis=0)]
        highs = [np.fmax.reduce([*highs, high], axis=0)]
        if n < MEDIAN_ROWS:
            head.append(values[: MEDIAN_ROWS - n].copy())  # a copy: a view would keep the whole block
        n += len(values)
        total += float(len(values) if w is None else w.sum())
    if n == 0:
        raise DataError(f"0 rows are left: each of the {form.dropped} rows is missing in every column (NaN).")
    low, high = lows[0], highs[0]
    if gaps:
        _require_numbers(low, form.columns, n)
    units = Units.for_range(_own_median(np.concatenate(head), low), low, high)
    return Data(
        passes,
        n=n,
        total=total,
        units=units,
        columns=form.columns,
        low=units.to(low),
        high=units.to(high),
        dropped=form.dropped,
        present=total - gaps[0] if gaps else None,
    )


def _require_numbers(low: np.ndarray, columns: Columns, n: int) -> None:
    """Raise a :class:`DegenerateError` that names the columns without any number."""
    empty = [columns.label(int(j)) for j in np.flatnonzero(np.isnan(low))]
    if empty:
        names = ", ".join(map(repr, empty[:8])) + (" …" if len(empty) > 8 else "")
        raise DegenerateError(
            f"There is no number in {names}: all {n:,} rows are NaN (missing) there, so nothing is known of "
            "such a column. Leave it out."
        )


def _aligned(rows: Rows, columns: Columns) -> np.ndarray:
    """Return a block's rows in the column order of the first block, matched by name."""
    if len(rows.columns) != len(columns):
        raise DataError(
            f"The first block has {len(columns)} columns, a later one {len(rows.columns)}; all need the same."
        )
    if columns.names is None or rows.columns.names in (None, columns.names):
        return rows.values
    return rows.values[:, [rows.columns.index(name) for name in columns.names]]


def _merged(columns: Columns, rows: Rows) -> Columns:
    """Return the columns of all blocks so far: the decimals that hold for every one."""
    _aligned(rows, columns)
    other = rows.columns
    if columns.names is not None and other.names is not None:
        other = other.select([other.index(name) for name in columns.names])
    decimals = tuple(
        None if a is None or b is None else max(a, b)
        for a, b in zip(columns.decimals, other.decimals, strict=True)
    )
    return replace(columns, decimals=decimals)


def _own_median(values: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Return the lower median of each column: one of its own values, whatever the outliers.

    Where all of these values are missing, ``otherwise``.
    """
    k = (len(values) - 1) // 2
    out: np.ndarray = np.partition(values, k, axis=0)[k]
    known = len(values) - np.isnan(values).sum(axis=0)
    for j in np.flatnonzero(known < len(values)):  # NaN is the last in any order
        out[j] = np.sort(values[:, j])[(known[j] - 1) // 2] if known[j] else otherwise[j]
    return out


def _rechunk(chunks: Iterable[Chunk], size: int) -> Iterator[Chunk]:
    """Yield the same rows in blocks of exactly ``size`` (the last one shorter)."""
    pending: list[Chunk] = []
    held = 0
    for x, w in chunks:
        start = 0
        if held:
            start = min(size - held, len(x))
            pending.append((x[:start], None if w is None else w[:start]))
            held += start
            if held < size:
                continue
            yield _join(pending)
            pending, held = [], 0
        while len(x) - start >= size:
            yield x[start : start + size], None if w is None else w[start : start + size]
            start += size
        if start < len(x):
            pending, held = [(x[start:], None if w is None else w[start:])], len(x) - start
    if held:
        yield _join(pending)


def _join(parts: list[Chunk]) -> Chunk:
    if len(parts) == 1:
        return parts[0]
    weights = [w for _, w in parts if w is not None]
    return np.concatenate([x for x, _ in parts]), np.concatenate(weights) if weights else None


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, dict):
        return {key: _add(a[key], b[key]) for key in a}
    if isinstance(a, tuple):
        return tuple(_add(x, y) for x, y in zip(a, b, strict=True))
    return a + b


def _merge_equal(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    x = np.concatenate([x for x, _ in parts]) + 0.0  # -0.0 becomes 0.0: equal values, equal bytes
    gaps = np.isnan(x)
    x[gaps] = np.nan  # one NaN for all
    w = np.concatenate([w for _, w in parts])
    order = _lexicographic(x)
    x, w = x[order], w[order]
    if len(x) == 0:
        return x, w
    gaps = gaps[order]
    differ = (x[1:] != x[:-1]) & ~(gaps[1:] & gaps[:-1])
    new = np.concatenate([[True], differ.any(axis=1)])
    return x[new], np.add.reduceat(w, np.flatnonzero(new))


def _lexicographic(x: np.ndarray) -> np.ndarray:
    """Return the order of the rows; the first few columns nearly always decide it."""
    columns, d = 1, x.shape[1]
    while True:
        order = np.lexsort(x[:, :columns].T[::-1])
        if columns >= d:
            return order
        ordered = x[order]
        equal = ordered[1:] == ordered[:-1]
        if (equal.all(axis=1) == equal[:, :columns].all(axis=1)).all():
            return order
        columns *= 4


def _smallest_hashes(
    x: np.ndarray, w: np.ndarray, limit: int
) -> tuple[np.ndarray, np.ndarray, np.uint64 | None]:
    """Return the ``limit`` rows of least hash, in order, and the largest hash (None: all are kept)."""
    if len(x) <= limit:
        return x, w, None
    hashes = row_hashes(x)
    keep = np.sort(np.argpartition(hashes, limit - 1)[:limit])
    return x[keep], w[keep], hashes[keep].max()


def row_hashes(x: np.ndarray) -> np.ndarray:
    """Return a 64-bit hash of each row's bytes (splitmix64 over the columns), shape (n,)."""
    values = np.ascontiguousarray(x + 0.0)
    values[np.isnan(values)] = np.nan  # one NaN for all
    bits = values.view(np.uint64)
    state = np.full(len(x), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for column in bits.T:
        state = state ^ column
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return state


def require_rows(data: Data, least: int, why: str) -> None:
    """Raise a :class:`DataError` where fewer than ``least`` rows of positive weight came."""
    if data.n < least:
        rows = "1 sample" if data.n == 1 else f"{data.n} samples"
        raise DataError(
            f"{why} needs at least {least} rows of positive weight; {rows} came (n_samples = {data.n})."
        )


def require_spread(data: Data, remedy: str, among: Iterable[int] | None = None) -> None:
    """Raise a :class:`DegenerateError` that names the constant columns among these, if there are any."""
    asked = set(range(data.d) if among is None else among)
    constant = [j for j in data.constant_columns() if j in asked]
    if not constant:
        return
    names = ", ".join(repr(data.label(j)) for j in constant[:5]) + (" …" if len(constant) > 5 else "")
    if len(constant) == data.d and data.d > 1:
        raise DegenerateError(
            f"All {data.n:,} rows are identical (every column is constant: {names}): no density "
            f"exists there. {remedy}"
        )
    plural = "s" if len(constant) > 1 else ""
    raise DegenerateError(
        f"Constant column{plural} {names}: one value in all {data.n:,} rows, so no density exists there. "
        f"{remedy}"
    )
