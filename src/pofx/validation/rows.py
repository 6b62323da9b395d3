"""Rows in: any container -> (n, d) float64, refused with the column, the count and the first bad row."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.errors import DataError, ParameterError, PofxWarning
from pofx.validation.arrays import block_from_array
from pofx.validation.columns import Block, Columns, Levels, Rows, listed, nearest, some_levels
from pofx.validation.frames import block_from_frame, frame_names, is_frame
from pofx.validation.levels import NO_GROUPS, GroupColumns, recoded
from pofx.validation.memory import check_memory
from pofx.validation.precision import detect_decimals
from pofx.validation.scalars import one_of

_FLOAT64 = np.dtype(np.float64)
_AT_A_TIME = 2**20  # numbers that are looked at together


def rows_to_fit(X: Any, *, missing: str = "error", groups: Sequence[str | int] = ()) -> Rows:
    """Check and cast the rows given to ``fit``.

    Parameters
    ----------
    X : array (n, d), list of rows, record array, DataFrame, Table; 1-D numbers or a Series are one column
    missing : "error", "drop" to leave rows with missing entries out (they are counted), or "marginal" to
        keep them, NaN where an entry is missing; only rows without any entry are left out, and counted
    groups : names or positions of columns that may hold text: their levels are numbered in ascending order
        (``Rows.columns.levels``)

    Returns
    -------
    Rows : (n, d) float64, C-ordered, read-only; it may share memory with X

    Raises
    ------
    DataError
        for 0 rows or columns, NaN or infinity (column, count and first row named), text, dates, ...
    """
    one_of(missing, "missing", ("error", "drop", "marginal"))
    _check_room(X)
    if groups and (theirs := column_names(X)) is not None:
        _check_groups(groups, theirs)
    block = _block(X, groups=GroupColumns(dict.fromkeys(groups)))
    n, d = block.values.shape
    if d == 0:
        raise DataError(f"X has 0 feature(s) (shape=({n}, 0)) while a minimum of 1 is required.")
    if n == 0:
        raise DataError(f"X has 0 rows (shape=(0, {d})); at least 1 is needed to fit.")
    values, kept, dropped = block.values, None, block.dropped
    if not _all_finite(values):
        kept = _known_rows(block) if missing == "marginal" else _complete_rows(block, missing)
        if kept is not None:
            values = values[kept]
            dropped += n - len(values)
    decimals = block.decimals
    if decimals is None:
        decimals = tuple(detect_decimals(values[:, j], block.dtypes[j]) for j in range(d))
    values = np.ascontiguousarray(values).view()
    values.flags.writeable = False
    columns = Columns(block.names, block.dtypes, decimals, block.container, block.levels)
    return Rows(values, columns, dropped, kept)


def _all_finite(values: NDArray[np.float64]) -> bool:
    """Whether no value is NaN or infinite, without an array of answers as long as the data."""
    size = max(1, _AT_A_TIME // max(values.shape[1], 1))
    return all(bool(np.isfinite(values[at : at + size]).all()) for at in range(0, len(values), size))


def rows_to_query(
    X: Any,
    columns: Columns,
    *,
    who: str,
    missing: str = "error",
    unseen: str = "error",
    beside: Sequence[int] = (),
) -> NDArray[np.float64]:
    """Check and cast rows asked of a fitted model; named columns are matched by name.

    Parameters
    ----------
    X : as for ``fit``; columns in any order and extra columns are fine where both sides have names
    columns : what the training columns looked like
    who : the model's class name, for messages
    missing : "error", "marginal" to let NaN through where an entry is missing, or "keep" to let infinities
        through as well
    unseen : "error", or "keep" to number a text that the fit never saw (``pofx.validation.levels.UNSEEN``)
    beside : numbers of columns that X need not have; what it has there is not looked at

    Returns
    -------
    (m, d) float64, C-ordered, without the columns ``beside``; it may be X itself, so it must not be written
    to. m may be 0.

    Raises
    ------
    DataError
        for missing or too many columns, NaN or infinity, a 1-D query to a model of several columns, ...
    """
    if beside:
        X, columns = _without(X, columns, beside)
    d = len(columns)
    _check_room(X)
    # Most queries are plain arrays, often small ones: little may stand before this path.
    if (
        type(X) is np.ndarray
        and X.dtype == _FLOAT64
        and X.ndim == 2
        and X.shape[1] == d
        and columns.names is None
        and _all_finite(X)
    ):
        return np.ascontiguousarray(X)
    theirs = column_names(X)
    groups = GroupColumns.of(columns, unseen)
    if columns.names is not None and theirs is not None and theirs != columns.names:
        _check_names(theirs, columns.names, who)  # before the cast: text in an extra column does no harm
        block = _block(X, columns.names, groups)
    else:
        if columns.names is not None and theirs is None:
            groups = GroupColumns(
                {columns.index(name): level for name, level in groups.known.items()}, unseen
            )
        block = _block(X, groups=groups)
        _check_shape(block, columns, who)
    _check_numbers(block, columns)
    values = block.values
    if missing != "keep" and not _all_finite(values):
        block = Block(values, columns.names, columns.dtypes, "")
        if missing == "marginal":
            _refuse_infinities(block, _COMPLETE)
        else:
            _refuse_missing(block, _COMPLETE)
    return np.ascontiguousarray(values)


def columns_of(X: Any, wanted: tuple[str, ...] | None = None) -> Columns:
    """Return the columns of rows, or the wanted ones of them, taken for continuous.

    Raises
    ------
    DataError
        As :func:`rows_to_fit` does for what cannot be cast.
    """
    names = column_names(X)
    block = _block(X, wanted if wanted and names and set(wanted) <= set(names) else None)
    return Columns(block.names, block.dtypes, (None,) * block.values.shape[1], block.container)


def _without(X: Any, columns: Columns, beside: Sequence[int]) -> tuple[Any, Columns]:
    """Return rows and columns without some columns, which the rows may or may not have."""
    keep = [j for j in range(len(columns)) if j not in beside]
    rest, theirs = columns.select(keep), column_names(X)
    if isinstance(X, Rows) and len(X.columns) == len(columns):
        return Rows(X.values[:, keep], X.columns.select(keep)), rest
    if columns.names is None or theirs is None:
        shape = getattr(X, "shape", None) or np.shape(np.asarray(X, dtype=object))
        if len(shape) == 2 and shape[1] == len(columns) and not is_frame(X):
            rows = X if hasattr(X, "ndim") else np.asarray(X, dtype=object)
            return rows[:, keep], rest
        return X, rest
    skip = {columns.names[j] for j in beside}
    if skip & set(theirs) and is_frame(X):
        wanted = [name for name in theirs if name not in skip]
        return (X.select(wanted) if hasattr(X, "select") else X[wanted]), rest
    if skip & set(theirs):  # a Table, or a record array
        return X[[name for name in theirs if name not in skip]], rest
    return X, rest


def _check_groups(groups: Sequence[str | int], theirs: tuple[str, ...]) -> None:
    """Refuse grouping columns that are not there, before text in other columns is told of."""
    for key in groups:
        if isinstance(key, str) and key not in theirs:
            raise ParameterError(
                f"There is no column {key!r}; the columns are {listed(theirs)}.{nearest(key, theirs)}"
            )


def _check_numbers(block: Block, columns: Columns) -> None:
    """Refuse levels of text where the fit saw numbers."""
    for j in range(len(columns)) if block.levels is not None else ():
        found = block.levels[j] if block.levels is not None else None
        if found is not None and columns.levels_of(j) is None:
            raise DataError(
                f"{block.label(j)} holds text ({listed(found.words)}); the fit knew numbers in it."
            )


def _check_room(X: Any) -> None:
    """Refuse rows whose check or cast does not fit into memory, before it is tried: X may be a memory map or
    a broadcast array that takes no room itself."""
    shape = getattr(X, "shape", None)
    if not (isinstance(shape, tuple) and len(shape) == 2 and all(isinstance(s, int) for s in shape)):
        return
    n, d = shape
    as_it_is = isinstance(X, np.ndarray) and X.dtype == _FLOAT64 and X.flags.c_contiguous
    check_memory((1 if as_it_is else 9) * n * d + 8 * n, f"Reading {n:,} rows of {d:,} columns")


def _block(X: Any, wanted: tuple[str, ...] | None = None, groups: GroupColumns = NO_GROUPS) -> Block:
    """Cast any container, or only its wanted columns, in that order."""
    if (table := getattr(type(X), "__pofx_rows__", None)) is not None:
        given: Rows = table(X)
        columns, values = given.columns, given.values
        if wanted is not None:
            keep = [columns.index(name) for name in wanted]
            columns, values = columns.select(keep), values[:, keep]
        values, levels = _in_levels_of(values, columns, groups)
        return Block(
            values, columns.names, columns.dtypes, columns.container, columns.decimals, given.dropped, levels
        )
    return block_from_frame(X, wanted, groups) if is_frame(X) else block_from_array(X, wanted, groups)


def _in_levels_of(
    values: NDArray[np.float64], columns: Columns, groups: GroupColumns
) -> tuple[NDArray[np.float64], tuple[Levels | None, ...] | None]:
    """Return the rows of a table, with texts numbered as the fit numbered them."""
    levels = [columns.levels_of(j) for j in range(len(columns))]
    for j, theirs in enumerate(levels):
        name = None if columns.names is None else columns.names[j]
        known = groups.levels(name, j)
        if known is None:
            continue
        label = f"column {columns.label(j)!r}"
        if theirs is None:
            raise DataError(
                f"{label} holds numbers; the fit knew the levels {listed(known.words)}. "
                f"pofx.read(..., by={name if name is not None else j!r}) keeps texts."
            )
        codes = recoded(values[:, j], theirs, known, label, unseen=groups.unseen)
        if theirs.words != known.words:
            values = values.copy()
            values[:, j] = codes
        levels[j] = known
    return values, some_levels(levels)


def column_names(X: Any) -> tuple[str, ...] | None:
    """Return the names of the columns of X without casting anything."""
    if (table := getattr(type(X), "__pofx_rows__", None)) is not None:
        names: tuple[str, ...] | None = table(X).columns.names
        return names
    if is_frame(X):
        return frame_names(X)
    dtype = getattr(X, "dtype", None)
    return dtype.names if isinstance(dtype, np.dtype) else None


def _check_names(theirs: tuple[str, ...], names: tuple[str, ...], who: str) -> None:
    """Columns are matched by name: all must be there, in any order; extra ones are ignored, and said."""
    lacking = [name for name in names if name not in theirs]
    extra = [name for name in theirs if name not in names]
    if lacking:
        raise DataError(
            f"X has no column {listed(lacking)}, which {who} was fitted to; it has {listed(theirs)}."
            f"{nearest(lacking[0], extra)} Columns are matched by name, in any order."
        )
    if extra:
        _warn(f"X has columns that {who} was not fitted to; they are ignored: {listed(extra)}")


def _check_shape(block: Block, columns: Columns, who: str) -> None:
    """Columns are matched by position where one side has no names."""
    d, width = len(columns), block.values.shape[1]
    if block.container == "vector" and d > 1:
        raise DataError(
            f"X is 1-D ({len(block.values)} numbers), but {who} is expecting {d} features as input. Reshape "
            f"your data: X.reshape(1, -1) if it is one row of {d} columns."
        )
    if width != d:
        fitted_to = f": {listed(columns.names)}" if columns.names else ""
        raise DataError(f"X has {width} features, but {who} is expecting {d} features as input{fitted_to}.")
    if "vector" in (block.container, columns.container):
        return
    # scikit-learn's words, so that its users and its checks recognise them
    if columns.names is not None and block.names is None and columns.container != "array":
        _warn(f"X does not have valid feature names, but {who} was fitted with feature names")
    elif columns.names is None and block.names is not None:
        _warn(f"X has feature names, but {who} was fitted without feature names")


_REMEDY = 'Drop such rows with missing="drop" (their number is kept in fit_), or fill them in before the fit.'
_COMPLETE = "A row needs every entry to be scored: drop such rows, or fill them in."


def _complete_rows(block: Block, missing: str) -> NDArray[np.bool_] | None:
    """Return the mask of rows without NaN if they may be dropped; refuse everything else."""
    if missing == "error":
        _refuse_missing(block, _REMEDY)
    nan = np.isnan(block.values)
    _refuse_infinities(block, _REMEDY)
    empty = [block.label(int(j)) for j in np.flatnonzero(nan.all(axis=0))]
    if empty:
        raise DataError(
            f"There is no number in {', '.join(empty[:8])}: every row is NaN (missing). Leave it out."
        )
    kept = ~nan.any(axis=1)
    if not kept.any():
        raise DataError(
            f"0 rows are left: each of the {len(kept)} rows has a missing entry (NaN). Leave out the column "
            f"with the most: {block.label(int(nan.sum(axis=0).argmax()))}."
        )
    return kept


def _known_rows(block: Block) -> NDArray[np.bool_] | None:
    """Return the mask of rows with any number in them, or None where that is all; refuse infinities."""
    _refuse_infinities(block, _REMEDY)
    kept = ~np.isnan(block.values).all(axis=1)
    return None if kept.all() else kept


def _refuse_infinities(block: Block, remedy: str) -> None:
    nan = np.isnan(block.values)
    if np.isinf(block.values).any():
        _refuse_missing(Block(np.where(nan, 0.0, block.values), block.names, block.dtypes, ""), remedy)


def _refuse_missing(block: Block, remedy: str) -> None:
    """Raise the error that names each bad column, how many rows, and the first of them."""
    n = len(block.values)
    parts: list[str] = []
    for bad, word in ((np.isnan(block.values), "NaN (missing)"), (np.isinf(block.values), "infinity")):
        for j in np.flatnonzero(bad.any(axis=0)):
            count, row = int(bad[:, j].sum()), int(np.argmax(bad[:, j]))
            rows = f"all {n} rows" if count == n and n > 1 else f"{count} of {n} rows (first: row {row})"
            parts.append(f"{word} in {block.label(int(j))}, {rows}")
    shown = "; ".join(parts[:6]) + (f"; and {len(parts) - 6} more columns" if len(parts) > 6 else "")
    if not any(part.startswith("NaN") for part in parts):
        remedy = "An infinity (or a number too large for float64) is no measurement: correct or drop its row."
    raise DataError(f"X has {shown}. Rows and columns are counted from 0. {remedy}")


def _warn(message: str) -> None:
    warnings.warn(message, PofxWarning, stacklevel=5)  # the caller of the public method
