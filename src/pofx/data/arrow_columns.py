"""Columns of Arrow, Parquet and Feather files: which hold numbers, and their float64 values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_EXACT = 2.0**53


def why_not(kind: Any) -> str:
    """Return why a column of this Arrow type holds no numbers that can be modelled, or an empty string."""
    import pyarrow.types as t

    if t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind):
        return ""
    if t.is_decimal(kind):
        return f"is {kind}, which may not fit float64; write the column as float64 to have it read"
    if t.is_temporal(kind):
        return f"holds dates or times ({kind}); they have no unit as numbers"
    if t.is_nested(kind):
        return f"is nested ({_short(kind)}); expected one number per row"
    if t.is_dictionary(kind):
        return f"is categorical ({_short(kind.value_type)})"
    if t.is_null(kind):
        return "no value in any row"
    text = t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind)
    return f"holds text ({kind})" if text else f"is of type {_short(kind)}"


def _short(kind: Any) -> str:
    text = str(kind)
    return text if len(text) <= 60 else text[:57] + "..."


def dtype_name(kind: Any) -> str:
    """Return the NumPy dtype name of an Arrow type of numbers."""
    return np.dtype(kind.to_pandas_dtype()).name


def numbers(array: Any) -> tuple[NDArray[np.float64], int]:
    """Return an Arrow array of numbers as float64 (NaN where null), and how many were rounded for it."""
    present = None
    if array.null_count:
        present = array.is_valid().to_numpy(zero_copy_only=False)
        array = array.drop_null()
    raw = array.to_numpy(zero_copy_only=False)
    values = raw.astype(np.float64, copy=False)
    rounded = 0
    if raw.dtype.kind in "iu" and raw.dtype.itemsize == 8 and raw.size:
        rounded = _rounded(raw, values)
    if present is None:
        return values, rounded
    filled = np.full(len(present), np.nan)
    filled[present] = values
    return filled, rounded


def _rounded(raw: NDArray[Any], values: NDArray[np.float64]) -> int:
    if values.max() < _EXACT and values.min() > -_EXACT:
        return 0
    fits = values < 2.0 ** (63 if raw.dtype.kind == "i" else 64)  # 2^63 itself does not fit back
    same = np.zeros(raw.shape, dtype=bool)
    same[fits] = values[fits].astype(raw.dtype) == raw[fits]
    return int((~same).sum())


__all__ = ["dtype_name", "numbers", "why_not"]
