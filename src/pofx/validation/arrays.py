"""Anything NumPy can see as an array -> (n, d) float64 with NaN where an entry is missing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.errors import DataError, PofxWarning
from pofx.validation.columns import Block, DataTypeError, Levels, listed, printable, some_levels
from pofx.validation.levels import NO_GROUPS, GroupColumns, coded

_EXACT = 2**53  # beyond it not every whole number is a float64


def block_from_array(X: Any, wanted: Sequence[str] | None = None, groups: GroupColumns = NO_GROUPS) -> Block:
    """Cast an array, a list of rows or of numbers, a masked or a record array (of it the wanted columns).

    Columns among ``groups`` may hold text; in a list of rows or an array of objects beside numbers.

    Raises
    ------
    DataError
        for text, dates, complex numbers, ragged or empty lists, three or more dimensions.
    """
    masked = X if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X) else None
    raw = _as_array(X)
    if raw.dtype.names is not None:
        return _from_records(raw, masked, wanted, groups)
    if groups.known and raw.ndim == 2 and raw.dtype.kind in "OU":
        return _from_mixed(np.asarray(X, dtype=object), groups)
    if raw.ndim not in (1, 2):
        raise DataError(_shape_complaint(X, raw))
    values, dtype = numbers_from(raw, None)
    if masked is not None:
        values = np.where(np.ma.getmaskarray(masked), np.nan, values)
    if raw.ndim == 1:
        return Block(values[:, None], None, (dtype,), "vector")
    return Block(values, None, (dtype,) * raw.shape[1], "array")


def _as_array(X: Any) -> NDArray[Any]:
    if type(X).__module__.partition(".")[0] in ("scipy", "sparse") and hasattr(X, "nnz"):
        raise DataError("Sparse data is not supported: rows must be dense numbers. Use X.toarray().")
    if isinstance(X, (dict, set, frozenset, str, bytes, os.PathLike)) or hasattr(X, "__next__"):
        raise DataTypeError(
            f"X is a {type(X).__name__}; expected rows of numbers: an array of shape (n, d), a list of rows "
            "or a DataFrame. A file is read with pofx.read(path); a dict of columns becomes a DataFrame with "
            "pandas.DataFrame(X)."
        )
    try:
        return np.asarray(X)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise DataError(
            f"X cannot be read as rows of numbers: {_ragged(X)}every row needs one number per column. "
            f"({error})"
        ) from None


def _ragged(X: Any) -> str:
    if not isinstance(X, (list, tuple)):
        return ""
    lengths = [len(row) if hasattr(row, "__len__") and not isinstance(row, str) else None for row in X]
    odd = next((i for i, length in enumerate(lengths) if length != lengths[0]), None)
    return "" if odd is None else f"row 0 has {lengths[0] or 1} entries, row {odd} has {lengths[odd] or 1}; "


def _shape_complaint(X: Any, raw: NDArray[Any]) -> str:
    if raw.ndim == 0:
        return (
            f"X is a single {type(X).__name__}; expected rows. Reshape your data: [x] is one row of one "
            "column, [[x, y]] one row of two."
        )
    return (
        f"X has {raw.ndim} dimensions, shape {raw.shape}; expected 2: (rows, columns). Reshape your data, "
        "for instance with X.reshape(len(X), -1)."
    )


def _from_mixed(raw: NDArray[Any], groups: GroupColumns) -> Block:
    """Columns of numbers and of texts side by side."""
    read = [_group_or_numbers(raw[:, j], None, j, groups) for j in range(raw.shape[1])]
    values = np.column_stack([column for column, _, _ in read]) if read else np.empty((len(raw), 0))
    return Block(
        values, None, tuple(dtype for _, dtype, _ in read), "array", levels=some_levels(r[2] for r in read)
    )


def _group_or_numbers(
    raw: NDArray[Any], name: str | None, j: int, groups: GroupColumns
) -> tuple[NDArray[np.float64], str, Levels | None]:
    """Return a column's numbers, the dtype they came in, and its levels where it holds texts."""
    label = name or f"column {j}"
    if groups.may_hold_text(name, j):
        known = groups.levels(name, j)
        if raw.dtype.kind == "U" or (raw.dtype.kind == "O" and any(isinstance(v, str) for v in raw)):
            words = [None if v is None or v != v else v for v in raw.tolist()]
            codes, level = coded(words, known, where(label), unseen=groups.unseen)
            return codes, "int64", level
        if known is not None:
            raise DataError(f"{where(label)} holds no text; the fit knew the levels {listed(known.words)}.")
        if raw.dtype.kind == "O":  # numbers among texts of other columns come as they are
            present = {type(v) for v in raw}
            if present <= {bool, np.bool_}:
                raw = raw.astype(bool)
            elif present <= {int, bool}:
                raw = raw.astype(np.int64)
    return (*numbers_from(raw, label), None)


def _from_records(
    raw: NDArray[Any], masked: Any, wanted: Sequence[str] | None, groups: GroupColumns
) -> Block:
    """Named columns from a record or structured array."""
    if raw.ndim != 1:
        raise DataError(f"X is a record array of shape {raw.shape}; expected one record per row: X.ravel().")
    names = tuple(wanted or raw.dtype.names or ())
    columns: list[NDArray[np.float64]] = []
    dtypes: list[str] = []
    levels: list[Levels | None] = []
    for j, name in enumerate(names):
        if raw[name].ndim != 1:
            raise DataError(f"{printable(name)} holds an array in each row; expected one number per row.")
        column, dtype, level = _group_or_numbers(raw[name], name, j, groups)
        levels.append(level)
        if masked is not None:
            column = np.where(np.ma.getmaskarray(masked[name]), np.nan, column)
        columns.append(column)
        dtypes.append(dtype)
    values = np.column_stack(columns) if columns else np.empty((len(raw), 0))
    return Block(values, names, tuple(dtypes), "array", levels=some_levels(levels))


def where(label: str | None) -> str:
    """Return "column 'waiting'", "column 3" or, where there is no label, "X"."""
    if label is None:
        return "X"
    return label if label.startswith("column ") else f"column {printable(label)!r}"


def numbers_from(raw: NDArray[Any], label: str | None) -> tuple[NDArray[np.float64], str]:
    """Return float64 numbers (NaN where an object array holds None or NA) and the dtype they came in."""
    kind = raw.dtype.kind
    what = where(label)
    if kind == "f":
        with np.errstate(over="ignore"):  # a long double beyond float64 becomes inf and is named as such
            values = np.asarray(raw, dtype=np.float64)
        return values, raw.dtype.newbyteorder("=").name if raw.dtype.itemsize <= 8 else "float64"
    if kind == "b":
        return raw.astype(np.float64), "bool"
    if kind in "iu":
        values = raw.astype(np.float64)
        if raw.dtype.itemsize == 8 and raw.size:
            _warn_if_rounded(raw, values, what)
        return values, raw.dtype.newbyteorder("=").name
    if kind == "O":
        return _from_objects(raw, what), "float64"
    if kind == "c":
        raise DataError(
            f"Complex data not supported: {what} is {raw.dtype}. Model the real and imaginary parts as two "
            "columns."
        )
    if kind in "mM":
        raise DataError(
            f"{what} holds dates or times ({raw.dtype}); they have no unit as numbers, so convert them "
            "explicitly, for instance to seconds since the first one."
        )
    raise DataError(
        f"{what} holds text ({raw.dtype}); expected numbers. Text is never parsed silently: convert it with "
        "X.astype(float) if it holds numbers, or leave the column out."
    )


def _warn_if_rounded(raw: NDArray[Any], values: NDArray[np.float64], what: str) -> None:
    if values.max() < _EXACT and values.min() > -_EXACT:
        return
    # 2^63 and 2^64 themselves do not fit back into the integer type
    fits = values < 2.0 ** (63 if raw.dtype.kind == "i" else 64)
    same = np.zeros(raw.shape, dtype=bool)
    same[fits] = values[fits].astype(raw.dtype) == raw[fits]
    if rounded := int((~same).sum()):
        warnings.warn(
            f"{what}: {rounded} whole numbers beyond 2**53 were rounded to the nearest float64.",
            PofxWarning,
            stacklevel=2,
        )


def _from_objects(raw: NDArray[Any], what: str) -> NDArray[np.float64]:
    """Numbers held as Python objects; None, NA and NaT are missing; text is not parsed."""
    flat = raw.ravel().tolist()
    odd: dict[type, str] = {}
    numbers = []
    for position, value in enumerate(flat):
        kind = type(value)
        if kind is float:
            numbers.append(value)
            continue
        if kind not in odd:
            odd[kind] = _judge(value)
        if odd[kind] == "missing":
            numbers.append(np.nan)
            continue
        if odd[kind] == "whole" and not -_EXACT <= value <= _EXACT:
            raise DataError(
                f"{what} holds the whole number {value!s:.40} in row {_row(raw, position)}, beyond 2**53, "
                "where float64 cannot keep every one. If rounding is fine, convert with X.astype(float)."
            )
        if odd[kind].startswith("number") or odd[kind] == "whole":
            try:
                numbers.append(float(value))
            except (OverflowError, ValueError):
                numbers.append(np.inf)
            continue
        raise DataTypeError(
            f"{what} holds {odd[kind]} in row {_row(raw, position)}: {value!r:.60}. Expected numbers. "
            "(argument must be a number; neither a string that would have to be parsed nor a "
            f"{kind.__name__} is a number)"
        )
    return np.array(numbers, dtype=np.float64).reshape(raw.shape)


def _judge(value: Any) -> str:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return "missing"
    if isinstance(value, (bool, np.bool_)):
        return "number"
    if isinstance(value, (int, np.integer)):
        return "whole"
    if isinstance(value, (float, np.floating, Decimal, Fraction)):
        return "number"
    if isinstance(value, (complex, np.complexfloating)):
        return "a complex number (Complex data not supported)"
    if isinstance(value, (str, bytes)):
        return "text"
    return f"a {type(value).__name__}"


def _row(raw: NDArray[Any], position: int) -> int:
    return position // raw.shape[1] if raw.ndim == 2 else position
