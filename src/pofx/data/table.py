"""``Table``: rows of numbers that remember where they came from and how precisely they were recorded."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pofx.data.candidates import counted
from pofx.errors import DataError, ParameterError
from pofx.optional import need
from pofx.validation import Columns, Rows, make_container, one_of
from pofx.validation.columns import listed, printable
from pofx.validation.levels import words_of

_SHOWN = 60  # columns
FRAMES = ("pandas", "polars", "pyarrow")


class Table:
    """Rows of numbers with names, dtypes, recorded precision and provenance; made by :func:`pofx.read`.

    Its rows cannot be changed. It has ``shape``, ``len`` and row indexing, so it passes through
    scikit-learn's splitters and ``GridSearchCV``; a model fitted to it samples a ``Table``.

    ======================== ===========================================================
    ``table["waiting"]``     the column, in the dtype it was recorded in (float where a value is missing);
                             texts, where it was read as groups
    ``table[["a", "b"]]``    a Table of these columns
    ``table[3]``             one row, a 1-D float array
    ``table[2:9]``, mask, …  a Table of these rows
    ======================== ===========================================================

    Parameters
    ----------
    values : (n, d) numbers, NaN where a value is missing
    columns : names, dtypes and decimals of the d columns
    set_aside : name of each column that was left out -> why
    index : the index of a pandas DataFrame, or None
    notes : what was read, line by line
    dropped : rows left out because of missing values
    origin : "pandas", "polars" or "pyarrow" if it came from such a DataFrame: what ``to_frame`` gives back
    weights : (n,) weights of the rows, from the column named by ``weights=``, or None; the command line hands
        them to ``fit``, in Python: ``model.fit(table, sample_weight=table.weights)``
    """

    def __init__(
        self,
        values: Any,
        columns: Columns,
        *,
        set_aside: Mapping[str, str] | None = None,
        index: Any = None,
        notes: Sequence[str] = (),
        dropped: int = 0,
        origin: str | None = None,
        weights: Any = None,
    ) -> None:
        rows = np.array(values, dtype=np.float64, order="C")
        if rows.ndim != 2 or rows.shape[1] != len(columns):
            raise DataError(
                f"A Table of {len(columns)} columns needs values (n, {len(columns)}): {rows.shape}."
            )
        if index is not None and len(index) != len(rows):
            raise DataError(f"The index has {len(index)} entries for {len(rows)} rows.")
        rows.flags.writeable = False
        if weights is not None:
            weights = np.array(weights, dtype=np.float64)
            if weights.shape != rows.shape[:1]:
                raise DataError(f"There are weights of shape {weights.shape} for {len(rows)} rows.")
            weights.flags.writeable = False
        self.weights: NDArray[np.float64] | None = weights
        self._values: NDArray[np.float64] = rows
        self.columns = replace(columns, container="table")
        self.set_aside = dict(set_aside or {})
        self.index = index
        self.notes = tuple(notes)
        self.dropped = dropped
        self.origin = origin

    @property
    def values(self) -> NDArray[np.float64]:
        """The numbers, (n, d) float64, read-only, NaN where a value is missing."""
        return self._values

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self._values.shape[0], self._values.shape[1]

    @property
    def names(self) -> tuple[str, ...] | None:
        """Column names, or None where the source had none."""
        return self.columns.names

    @property
    def dtypes(self) -> tuple[str, ...]:
        """NumPy dtype names of the columns as they were recorded."""
        return self.columns.dtypes

    @property
    def decimals(self) -> tuple[int | None, ...]:
        """Recorded decimal places of each column, 0 for whole numbers, None where it is continuous."""
        return self.columns.decimals

    @property
    def missing(self) -> tuple[int, ...]:
        """Missing values in each column."""
        return tuple(int(count) for count in np.isnan(self._values).sum(axis=0))

    def __len__(self) -> int:
        return len(self._values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy:
            return np.array(self._values, dtype=dtype)
        if copy is False and dtype is not None and np.dtype(dtype) != np.float64:
            raise ValueError("A Table is float64: another dtype needs a copy.")
        return np.asarray(self._values, dtype=dtype)

    def __pofx_rows__(self) -> Rows:
        """What the doorman takes: the numbers, NaN where missing, and what the columns looked like."""
        return Rows(self._values, self.columns, self.dropped)

    @overload
    def __getitem__(self, key: str | int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: Any) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self._column(self.columns.index(key))
        if isinstance(key, tuple):
            if len(key) != 2:
                raise IndexError(
                    f"A Table has rows and columns: table[rows, columns], not {len(key)} indices."
                )
            rows, columns = key
            if columns is Ellipsis:
                return self[rows]
            if isinstance(rows, slice) and rows == slice(None):
                return self._column(columns) if np.isscalar(columns) else self._select(columns)
            picked = self[rows]
            return picked[columns] if picked.ndim == 1 else picked[:, columns]
        if isinstance(key, (list, np.ndarray)) and len(key) and all(isinstance(k, str) for k in key):
            return self._select(key)
        if isinstance(key, (bool, np.bool_)):
            raise IndexError(f"{key} is neither a row nor a column.")
        if isinstance(key, (int, np.integer)):
            return self._values[key].copy()
        return self._rows(key)

    @property
    def ndim(self) -> int:
        """2: rows and columns."""
        return 2

    def take(self, indices: Any, axis: int = 0) -> Table:
        """Return these rows (or, with ``axis=1``, columns) as a Table."""
        keep = np.asarray(indices, dtype=np.intp)
        return self._rows(keep) if axis == 0 else self._select(keep)

    def _rows(self, key: Any) -> Table:
        if not isinstance(key, slice):
            key = np.asarray(key)
            if key.size == 0:
                key = key.astype(np.intp)
            if key.dtype.kind not in "biu" or key.ndim != 1:
                raise IndexError("Rows are given by number, slice, a list of numbers or a boolean mask.")
        index = None if self.index is None else self.index[key]
        return Table(
            self._values[key],
            self.columns,
            set_aside=self.set_aside,
            index=index,
            notes=self.notes,
            origin=self.origin,
            weights=None if self.weights is None else self.weights[key],
        )

    def _select(self, keys: Any) -> Table:
        if isinstance(keys, slice):
            keep = list(range(*keys.indices(len(self.columns))))
        elif isinstance(keys, np.ndarray) and keys.dtype == bool:
            keep = [int(j) for j in np.flatnonzero(keys)]
        else:
            keep = [self.columns.index(k if isinstance(k, str) else int(k)) for k in keys]
        if not keep or len(set(keep)) != len(keep):
            raise ParameterError(f"Expected one or more different columns, not {list(keys)!r:.200}.")
        return Table(
            self._values[:, keep],
            self.columns.select(keep),
            set_aside=self.set_aside,
            index=self.index,
            notes=self.notes,
            dropped=self.dropped,
            origin=self.origin,
            weights=self.weights,
        )

    def _column(self, key: Any) -> NDArray[Any]:
        j = self.columns.index(key)
        column = self._values[:, j]
        if (levels := self.columns.levels_of(j)) is not None:
            return words_of(column, levels)
        return column.copy() if np.isnan(column).any() else column.astype(self.dtypes[j])

    def to_frame(self, kind: str | None = None) -> Any:
        """Return a DataFrame.

        Parameters
        ----------
        kind : "pandas" (with the index), "polars" or "pyarrow"; by default the kind the rows came from, else
            pandas

        Raises
        ------
        MissingExtraError
            if that library is not installed.
        """
        kind = one_of(kind or self.origin or "pandas", "kind", FRAMES)
        names = self.names or tuple(f"column {j}" for j in range(self.shape[1]))
        typed: dict[str, Any] = {name: self._column(j) for j, name in enumerate(names)}
        library = need(kind, why=f'to_frame("{kind}") makes a {kind} table; "pyarrow" needs nothing more')
        typed = {name: v.tolist() if v.dtype == object else v for name, v in typed.items()}  # texts
        if kind == "pandas":
            return library.DataFrame(typed, index=self.index)
        return library.DataFrame(typed) if kind == "polars" else library.table(typed)

    def summary(self, most: int | None = None) -> list[tuple[str, str, str, int, str]]:
        """Return one (name, dtype, recorded precision, missing values, range) per column, or of the first
        ``most`` columns."""
        lines = []
        for j in range(len(self.columns))[:most]:
            column = self._values[:, j]
            present = column[~np.isnan(column)]
            spread = f"{present.min():g} to {present.max():g}" if present.size else "no value"
            levels = self.columns.levels_of(j)
            if levels is not None:
                spread = listed(levels.words, most=4)
            lines.append(
                (
                    self.columns.label(j),
                    self.dtypes[j] if levels is None else "text",
                    self._precision(j),
                    len(column) - present.size,
                    spread,
                )
            )
        return lines

    def _precision(self, j: int) -> str:
        decimals, levels = self.decimals[j], self.columns.levels_of(j)
        if levels is not None:
            return counted(len(levels.words), "level")
        if self.dtypes[j] == "bool":
            return "true or false, as 0 or 1"
        if decimals is None:
            return "continuous"
        return {0: "whole numbers", 1: "1 decimal"}.get(decimals, f"{decimals} decimals")

    def _title(self) -> str:
        return f"Table: {counted(self.shape[0], 'row')}, {counted(self.shape[1], 'column')}"

    def _remarks(self) -> list[str]:
        aside = [f"set aside: {printable(name)} ({why})" for name, why in self.set_aside.items()]
        if len(aside) > _SHOWN:
            aside[_SHOWN:] = [f"set aside: {len(aside) - _SHOWN} more columns"]
        dropped = [f"{counted(self.dropped, 'row')} with missing values dropped"] if self.dropped else []
        weighed = []
        if self.weights is not None:
            weighed = [
                f"weights: {self.weights.min():g} to {self.weights.max():g}, sum {self.weights.sum():g}"
            ]
        return [*map(printable, self.notes), *aside, *dropped, *weighed]

    def describe(self) -> str:
        """Return what was read: source and format, rows, columns with their types, recorded precision and
        missing values, what was set aside and why, what was dropped. ``print(table)`` shows the same."""
        cells = [[str(cell) for cell in row] for row in self.summary(_SHOWN)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines, some = [self._title()], any(self.missing)
        for row in cells:
            name, dtype, precision, missing, spread = (
                cell.ljust(width) for cell, width in zip(row, widths, strict=True)
            )
            gaps = f"  {missing} missing" if some else ""
            lines.append(f"  {name}  {dtype}  {precision}{gaps}  {spread}".rstrip())
        if self.shape[1] > _SHOWN:
            lines.append(f"  ... and {self.shape[1] - _SHOWN} more columns")
        return "\n".join([*lines, *self._remarks()])

    __repr__ = describe

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{word}</th>" for word in ("column", "dtype", "recorded", "missing", "range"))
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
            for row in self.summary(_SHOWN)
        )
        remarks = "".join(f"<br>{html.escape(line)}" for line in self._remarks())
        return (
            f"<p>{self._title()}{remarks}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def _restored(values: NDArray[np.float64], typed: list[NDArray[Any]], columns: Columns) -> Table:
    """Build the samples of a model that was fitted to a Table."""
    return Table(np.column_stack(typed) if typed else values, columns)


make_container("table", _restored)
