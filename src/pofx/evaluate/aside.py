"""Groups and times of rows: given beside them, or as a column that is then no part of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError
from ..validation.columns import listed, nearest
from ..validation.frames import frame_names, is_frame

__all__ = ["codes_of", "take_out", "times_of"]


def take_out(X: Any, given: Any, name: str) -> tuple[Any, Any]:
    """Return the rows without a column given by name, and its values; anything else as it came.

    Raises
    ------
    ParameterError
        Where the rows have no such column, with the nearest name.
    """
    if not isinstance(given, str):
        return X, given
    if is_frame(X):
        return _from_frame(X, given, name)
    columns = getattr(X, "columns", None) if hasattr(type(X), "__pofx_rows__") else None
    if columns is None or columns.names is None:
        raise ParameterError(
            f"{name}={given!r} names a column, but these rows have no names; give {name}= an array with one "
            "value for each row."
        )
    aside = getattr(X, "set_aside", {})
    if given in aside:
        raise ParameterError(
            f"{name}={given!r}: that column was set aside when the table was read ({aside[given]}); read it "
            f"with columns=, or give {name}= an array with one value for each row."
        )
    at = columns.index(given)
    if len(columns) == 1:
        raise ParameterError(f"{name}={given!r} is the only column; there is nothing left to fit.")
    return X[[other for other in columns.names if other != given]], np.asarray(X.values[:, at])


def _from_frame(X: Any, given: str, name: str) -> tuple[Any, Any]:
    import narwhals as nw

    names = frame_names(X) or ()
    if given not in names:
        raise ParameterError(
            f"{name}={given!r}: there is no such column; there are {listed(names)}.{nearest(given, names)}"
        )
    frame = nw.from_native(X, eager_only=True)
    return frame.drop(given).to_native(), frame[given].to_numpy()


def _one_for_each(given: Any, came: int, name: str) -> NDArray[Any]:
    values = np.asarray(given)
    if values.dtype.kind == "U" and not all(isinstance(value, str) for value in given):
        values = np.asarray(given, dtype=object)  # NumPy would make texts of numbers
    if values.shape != (came,):
        raise DataError(
            f"{name} must have one value for each of the {came:,} rows, shape ({came},), not {values.shape}."
        )
    return values


def codes_of(groups: Any, came: int, kept: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return each kept row's group, numbered from 0 in the order of their names.

    Raises
    ------
    DataError
        For another number of groups than rows, and for a missing one.
    """
    values = _one_for_each(groups, came, "groups")[kept]
    _refuse_missing(values, kept, "groups", " Leave them out, or give them a group of their own.")
    words = values.astype(str) if values.dtype.kind == "O" else values
    return np.asarray(np.unique(words, return_inverse=True)[1], dtype=np.intp)


def times_of(time: Any, came: int, kept: NDArray[np.bool_]) -> NDArray[Any]:
    """Return each kept row's time: anything that can be put in order.

    Raises
    ------
    DataError
        For another number of times than rows, for a missing one, and for what has no order.
    """
    if isinstance(time, bool):
        raise ParameterError("time must be True, a column's name, or one time for each row; got False.")
    values = _one_for_each(time, came, "time")[kept]
    _refuse_missing(values, kept, "time", "")
    try:
        return np.asarray(np.unique(values, return_inverse=True)[1])
    except TypeError as error:
        raise DataError(f"time: these values cannot be put in order: {error}.") from error


def _refuse_missing(values: NDArray[Any], kept: NDArray[np.bool_], name: str, hint: str) -> None:
    missing = _missing(values)
    if missing.any():
        n, row = int(missing.sum()), int(np.flatnonzero(kept)[int(np.argmax(missing))])
        raise DataError(
            f"{name}: {n:,} row{'s have' if n > 1 else ' has'} none (first: row {row}, counted from 0).{hint}"
        )


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind in "fmMc":
        return np.asarray(values != values)  # NaN and NaT
    if values.dtype.kind == "O":
        return np.array([v is None or v != v for v in values.tolist()], dtype=bool)
    return np.zeros(len(values), dtype=bool)
