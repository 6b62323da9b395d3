"""A result as a DataFrame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..optional import need
from ..validation import one_of
from ..validation.columns import listed
from ..validation.frames import frame_names, is_frame

__all__ = ["beside", "framed"]

KINDS = ("pandas", "polars", "pyarrow")


def framed(columns: Mapping[str, Any], kind: str | None) -> Any:
    """Return columns of numbers, texts or None as a DataFrame.

    Parameters
    ----------
    columns : mapping of name to values
    kind : "pandas" (None means this), "polars" or "pyarrow"

    Raises
    ------
    MissingExtraError
        if that library is not installed.
    """
    kind = one_of(kind or "pandas", "kind", KINDS)
    library = need(kind, why=f'to_frame("{kind}") makes one; "pyarrow" needs nothing more')
    return library.table(dict(columns)) if kind == "pyarrow" else library.DataFrame(dict(columns))


def beside(data: Any, columns: Mapping[str, Sequence[Any]], kind: str | None) -> Any:
    """Return rows as they came, all columns and a pandas index kept, with new columns after them.

    Parameters
    ----------
    data : DataFrame, Series, Table, array or list of rows
    columns : mapping of name to values, None where there is none
    kind : "pandas", "polars" or "pyarrow"; None: as the rows came, pandas for arrays

    Raises
    ------
    DataError
        Where the rows have a column of one of these names.
    MissingExtraError
        if that library is not installed.
    """
    import narwhals as nw

    if hasattr(type(data), "to_frame") and hasattr(type(data), "__pofx_rows__"):
        data = data.to_frame(kind)
    elif not is_frame(data):
        rows = np.asarray(data)
        rows = rows[:, None] if rows.ndim == 1 and rows.dtype.names is None else rows
        names = rows.dtype.names or [f"column {j}" for j in range(rows.shape[1])]
        each = [rows[name] if rows.dtype.names else rows[:, j] for j, name in enumerate(names)]
        data = framed(dict(zip(names, each, strict=True)), kind)
    elif (series := nw.from_native(data, allow_series=True, pass_through=True)) is not None and isinstance(
        series, nw.Series
    ):
        data = series.alias(series.name or "column 0").to_frame().to_native()
    clash = [name for name in columns if name in (frame_names(data) or ())]
    if clash:
        raise DataError(f"The rows have a column {listed(clash)} already; rename it to keep both.")
    if kind is not None:
        data = getattr(nw.from_native(data, eager_only=True), _METHODS[one_of(kind, "kind", KINDS)])()
    if type(data).__module__.partition(".")[0] == "pandas":
        return data.assign(**{name: _for_pandas(values) for name, values in columns.items()})
    frame = nw.from_native(data, eager_only=True)
    native = nw.get_native_namespace(frame)
    new = [nw.new_series(name, list(v), _dtype(v), backend=native) for name, v in columns.items()]
    return frame.with_columns(*new).to_native()


_METHODS = {"pandas": "to_pandas", "polars": "to_polars", "pyarrow": "to_arrow"}


def _kind(values: Sequence[Any]) -> type:
    """Return the type of the values that are there: bool, int, float or str."""
    return next((type(value) for value in values if value is not None), float)


def _for_pandas(values: Sequence[Any]) -> Any:
    """Return an array of pandas in which a value can lack: of its own kind for truths and whole numbers."""
    pandas = need("pandas", why="the rows are a pandas DataFrame")
    dtype = {bool: "boolean", int: "Int64", float: "float64", str: "object"}[_kind(values)]
    return pandas.array(list(values), dtype=dtype) if dtype != "float64" else np.array(values, dtype=float)


def _dtype(values: Sequence[Any]) -> Any:
    import narwhals as nw

    return {bool: nw.Boolean, int: nw.Int64, float: nw.Float64, str: nw.String}[_kind(values)]
