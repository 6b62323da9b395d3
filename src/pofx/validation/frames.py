"""DataFrames and Series of any library, through narwhals, which is imported only when one comes in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pofx.errors import DataError
from pofx.validation.arrays import numbers_from, where
from pofx.validation.columns import Block, DataTypeError, Levels, listed, some_levels
from pofx.validation.levels import NO_GROUPS, GroupColumns, coded

_LIBRARIES = frozenset(
    (
        "pandas",
        "polars",
        "pyarrow",
        "narwhals",
        "modin",
        "cudf",
        "dask",
        "duckdb",
        "ibis",
        "pyspark",
        "sqlframe",
    )
)
# a library's own arrays, 1-D without a name: a Series is made of them so that their nulls and kinds are seen
_BARE_PANDAS = ("ExtensionArray", "Index")


def is_frame(X: Any) -> bool:
    """Tell a DataFrame or Series from an array without importing any library."""
    if isinstance(X, np.ndarray):
        return False
    return hasattr(X, "__narwhals_dataframe__") or any(
        kind.__module__.partition(".")[0] in _LIBRARIES for kind in type(X).__mro__
    )


class Frame(NamedTuple):
    """A DataFrame or Series, opened but not cast."""

    names: tuple[str, ...] | None
    series: list[Any]  # narwhals Series
    n: int
    container: str  # "pandas", "polars", "pyarrow", or "vector" for a Series


def block_from_frame(X: Any, wanted: Sequence[str] | None = None, groups: GroupColumns = NO_GROUPS) -> Block:
    """Cast a DataFrame or a Series (of a DataFrame the wanted columns, in that order).

    Parameters
    ----------
    X : a DataFrame or Series of pandas, polars, pyarrow or another library that narwhals knows
    wanted : names of columns that it has; the others are not looked at
    groups : the columns that may hold text

    Raises
    ------
    DataError
        naming the column for text, categories, dates and nested columns, and for duplicate names.
    """
    frame = open_frame(X, wanted)
    values = np.empty((frame.n, len(frame.series)))
    dtypes: list[str] = []
    levels: list[Levels | None] = []
    for j, series in enumerate(frame.series):
        name = frame.names[j] if frame.names else None
        label = name or f"column {j}"
        words = column_words(series) if groups.may_hold_text(name, j) else None
        known = groups.levels(name, j)
        if words is None and known is not None:
            raise DataError(
                f"{where(label)} holds {series.dtype}; the fit knew the levels {listed(known.words)}."
            )
        level, dtype = None, "int64"
        if words is None:
            values[:, j], dtype = column_numbers(series, label)
        else:
            values[:, j], level = coded(
                words, known, where(label), unseen=groups.unseen, categorical=is_categorical(series)
            )
        dtypes.append(dtype)
        levels.append(level)
    return Block(values, frame.names, tuple(dtypes), frame.container, levels=some_levels(levels))


def is_categorical(series: Any) -> bool:
    """Tell whether a narwhals Series holds categories."""
    return str(series.dtype).partition("(")[0] in ("Categorical", "Enum")


def column_words(series: Any) -> list[Any] | None:
    """Return the texts of a narwhals Series, None where one is missing; None for a Series without any."""
    kind = str(series.dtype).partition("(")[0]
    if kind != "String" and kind != "Object" and not is_categorical(series):
        return None
    absent = series.is_null().to_numpy().astype(bool).tolist()
    words = [None if gone else word for word, gone in zip(series.to_list(), absent, strict=True)]
    return words if any(isinstance(word, str) for word in words) else None


def open_frame(X: Any, wanted: Sequence[str] | None = None) -> Frame:
    """Return the columns of a DataFrame or Series as narwhals Series, looking at no value."""
    import narwhals as nw

    if any(hasattr(X, verb) for verb in ("collect", "compute", "fetchall", "execute")):
        raise DataError(
            f"X is a lazy {_kind(X)}: its rows are not there yet. Call X.collect() or the like first."
        )
    X = _whole(X)
    names = frame_names(X)
    frame = nw.from_native(_renamed(X, names), allow_series=True, pass_through=True)
    if isinstance(frame, nw.Series):  # a wanted name can only be its own
        return Frame(names, [frame], len(frame), "vector")
    if not isinstance(frame, nw.DataFrame):
        raise DataError(f"X is a {_kind(X)}; expected a DataFrame, a Series or an array of shape (n, d).")
    container = str(frame.implementation.value)
    if container not in ("pandas", "polars", "pyarrow"):
        container = "pandas" if container in ("modin", "cudf") else "pyarrow"
    series = [frame[name] for name in (frame.columns if wanted is None else wanted)]
    return Frame(names if wanted is None else tuple(wanted), series, len(frame), container)


def frame_names(X: Any) -> tuple[str, ...] | None:
    """Return the names of a frame's columns, or of a Series; None if they are no texts.

    Raises
    ------
    DataError
        for duplicate names, and (also a TypeError) for a mixture of texts and other things.
    """
    names = getattr(X, "column_names", None)  # pyarrow, whose .columns are arrays
    if names is None and hasattr(X, "columns"):
        names = list(X.columns)
    if names is None:
        name = getattr(X, "name", None)
        return (name,) if isinstance(name, str) and name else None
    texts = [isinstance(name, str) for name in names]
    if any(texts) and not all(texts):
        kinds = sorted({type(name).__name__ for name in names})
        raise DataTypeError(
            f"Column names must be all strings or no strings; X mixes {kinds}. Feature names are only "
            "supported if all input features have string names: use X.columns = X.columns.astype(str)."
        )
    repeated = sorted({str(name) for name in names if list(names).count(name) > 1})
    if repeated:
        raise DataError(f"X has duplicate column names: {listed(repeated)}. Give each column its own name.")
    return tuple(str(name) for name in names) if names and all(texts) else None


def column_numbers(series: Any, label: str) -> tuple[NDArray[np.float64], str]:
    """Return the numbers of a narwhals Series (float64, NaN where null) and the dtype they came in."""
    dtype, kind = series.dtype, str(series.dtype).partition("(")[0]
    present = (~series.is_null()).to_numpy().astype(bool)
    if kind == "Object" and present.any():
        return numbers_from(series.to_numpy(), label)
    if not present.any() and len(present) and not dtype.is_numeric():
        return np.full(len(present), np.nan), "float64"  # nulls of no kind, or of any: refused as missing
    if kind.endswith("128") or not (dtype.is_numeric() or kind in ("Boolean", "Object")):
        raise DataError(f"{where(label)} {_what_it_is(series, dtype)}")
    raw = np.asarray((series if present.all() else series.drop_nulls()).to_numpy())
    if raw.dtype.kind == "O":  # decimals, and extension types that hand out Python objects
        raw = raw.astype(bool if kind == "Boolean" else np.float64)
    numbers, came = numbers_from(raw, label)
    if present.all():
        return numbers, came
    values = np.full(len(present), np.nan)
    values[present] = numbers
    return values, came


def _what_it_is(series: Any, dtype: Any) -> str:
    if dtype.is_temporal():
        return (
            f"holds dates or times ({dtype}); they have no unit as numbers, so convert them explicitly, "
            "for instance to seconds since the first one, or leave the column out."
        )
    kind = str(dtype).partition("(")[0]
    if kind in ("Categorical", "Enum"):
        return f"is categorical ({dtype}); expected numbers. Leave it out, or encode it yourself."
    if kind in ("String", "Binary"):
        return (
            f"holds text ({dtype}); expected numbers. Text is never encoded silently: leave it out, or let "
            "it group the rows, as Grouped(model, by=...) does."
        )
    if kind in ("Struct", "List", "Array"):
        return f"is nested ({dtype}); expected one number per row. Unpack it into columns of its own."
    native = getattr(series.to_native(), "dtype", getattr(series.to_native(), "type", dtype))
    text = str(native)
    if text.startswith("complex"):
        return f"is {text}; Complex data not supported: model the real and imaginary parts as two columns."
    if text.startswith("Sparse"):
        return f"is sparse ({text}); Sparse data is not supported: use X.sparse.to_dense()."
    return f"is of type {text}; expected numbers of at most 64 bits."


def _whole(X: Any) -> Any:
    """Lift record batches and bare arrays of a library to its Table or Series."""
    module = type(X).__module__.partition(".")[0]
    if module == "pyarrow":
        pyarrow = sys.modules["pyarrow"]
        if isinstance(X, pyarrow.RecordBatch):
            return pyarrow.Table.from_batches([X])
        if isinstance(X, pyarrow.Array):
            return pyarrow.chunked_array([X])
    if module == "pandas" and any(kind.__name__ in _BARE_PANDAS for kind in type(X).__mro__):
        return sys.modules["pandas"].Series(X)
    return X


def _renamed(X: Any, names: tuple[str, ...] | None) -> Any:
    """A pandas frame whose names are no texts gets numbers as texts: narwhals wants unique texts."""
    if names is None and hasattr(X, "columns") and hasattr(X, "set_axis"):
        return X.set_axis([str(j) for j in range(X.shape[1])], axis=1)
    return X


def _kind(X: Any) -> str:
    return f"{type(X).__module__.partition('.')[0]} {type(X).__name__}"
