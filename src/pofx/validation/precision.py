"""The recorded precision of a column, and the way back: from float rows to the caller's container.

Data written down with p decimals lie on a grid of step 10^-p. That shows in their floats, because
k / 10^p is the correctly rounded decimal: x is on the grid exactly if rint(x 10^p) / 10^p == x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.errors import UnsupportedError
from pofx.optional import need
from pofx.validation.columns import MOST_DECIMALS, Columns
from pofx.validation.levels import words_of

_SAMPLE = 256  # rows looked at before all rows are
_BLOCK = 65_536
_EVIDENCE_BITS = 20.0

_makers: dict[str, Callable[[NDArray[np.float64], list[NDArray[Any]], Columns], Any]] = {}


def make_container(
    container: str, make: Callable[[NDArray[np.float64], list[NDArray[Any]], Columns], Any]
) -> None:
    """Register how a container defined above this layer (``Table``) is built from
    ``(values, typed columns, columns)``."""
    _makers[container] = make


def detect_decimals(column: NDArray[Any], dtype: str | None = None) -> int | None:
    """Return the fewest decimal places that write every value exactly, or None for a continuous column.

    Integers and booleans have 0. A float value v on the grid of p decimals is k = v 10^p grid steps from
    zero; a continuous value of that size falls on the grid with chance about k eps. The product of
    these chances over the distinct values of a sample must be below 2^-20, so neither random floats
    nor numbers so large that every float is whole (1e300) are taken for rounded ones. Missing values
    (NaN) are passed over.

    Parameters
    ----------
    column : (n,) numbers
    dtype : dtype the values were recorded in, where ``column`` has been cast to float64 since; a float32
        column is compared in float32

    Returns
    -------
    0 to 9, or None
    """
    recorded = np.dtype(column.dtype if dtype is None else dtype)
    if recorded.kind in "iub":
        return 0
    if recorded.kind != "f" or recorded.itemsize > 8:
        recorded = np.dtype(np.float64)
    recorded = recorded.newbyteorder("=")
    sample = _present(column[:_SAMPLE])
    decimals = _climb(sample, recorded, 0)
    if decimals is None or _evidence(sample, recorded, decimals) < _EVIDENCE_BITS:
        return None
    for start in range(0, len(column), _BLOCK):
        decimals = _climb(_present(column[start : start + _BLOCK]), recorded, decimals)
        if decimals is None:
            return None
    return decimals if _evidence(sample, recorded, decimals) >= _EVIDENCE_BITS else None


class Precision:
    """:func:`detect_decimals` for a column that comes in blocks.

    Parameters
    ----------
    dtype : dtype the values were recorded in
    """

    def __init__(self, dtype: str) -> None:
        self._dtype = np.dtype(dtype)
        self._sample: NDArray[np.float64] | None = None
        self.decimals: int | None = 0

    def add(self, values: NDArray[np.float64]) -> None:
        """Widen ``decimals`` to what this block needs; None once and for all if it is continuous."""
        if self._dtype.kind != "f" or self.decimals is None:
            return
        if self._sample is None:
            self._sample = _present(values[:_SAMPLE])
            self.decimals = detect_decimals(values, self._dtype.name)
            return
        for start in range(0, len(values), _BLOCK):
            climbed = _climb(_present(values[start : start + _BLOCK]), self._dtype, self.decimals)
            if climbed is None or _evidence(self._sample, self._dtype, climbed) < _EVIDENCE_BITS:
                self.decimals = None
                return
            self.decimals = climbed


def _present(column: NDArray[Any]) -> NDArray[np.float64]:
    values = np.asarray(column, dtype=np.float64)
    missing = np.isnan(values)
    return values[~missing] if missing.any() else values


def _climb(values: NDArray[np.float64], recorded: np.dtype[Any], least: int) -> int | None:
    """Return the first p >= least whose grid holds all values (a grid holds every coarser one)."""
    with np.errstate(over="ignore", invalid="ignore"):
        for p in range(least, MOST_DECIMALS + 1):
            step = 10.0**p
            on_grid = np.rint(values * step) / step
            if recorded != np.float64:
                on_grid = on_grid.astype(recorded).astype(np.float64)
            if np.array_equal(on_grid, values):
                return p
    return None


def _evidence(sample: NDArray[np.float64], recorded: np.dtype[Any], decimals: int) -> float:
    """Return -log2 of the chance that continuous values of these sizes would all lie on the grid."""
    distinct = np.unique(np.abs(sample))
    with np.errstate(over="ignore"):
        steps = np.maximum(distinct * 10.0**decimals, 1.0)
        chance = np.minimum(steps * float(np.finfo(recorded).eps), 1.0)
    return float(-np.log2(chance).sum())


def restore(values: NDArray[np.float64], columns: Columns) -> Any:
    """Return float rows in the container, recorded precision and dtypes of the training data.

    Parameters
    ----------
    values : (m, d) float64, finite
    columns : what the training columns looked like

    Returns
    -------
    array (m, d); (m,) for "vector"; a pandas or polars DataFrame, a pyarrow or pofx Table. Integers are
    rounded and clipped to the range of their dtype, booleans are 0 below one half and 1 from there on, and
    texts are the levels whose numbers these are.
    """
    typed = [
        _recorded(values[:, j], columns.decimals[j], np.dtype(columns.dtypes[j])) for j in range(len(columns))
    ]
    return _contain(values, typed, columns)


def restore_exact(values: NDArray[np.float64], columns: Columns) -> Any:
    """Return float rows in the container of the training data, unrounded: every column is float64.

    Parameters
    ----------
    values : (m, d) float64
    """
    coded = [columns.levels_of(j) is not None for j in range(len(columns))]
    floats = replace(
        columns,
        dtypes=tuple("int64" if text else "float64" for text in coded),
        decimals=tuple(0 if text else None for text in coded),
    )
    return _contain(values, [values[:, j] for j in range(len(columns))], floats)


def restore_filled(values: NDArray[np.float64], known: NDArray[np.bool_], columns: Columns) -> Any:
    """Return rows as :func:`restore` does, but with known entries as they were given, to the last bit.

    Parameters
    ----------
    values : (m, d) float64, finite
    known : (m, d) bool, the entries that were given; the others take the recorded precision. A column whose
        dtype could not hold what was given (fractions in a column of integers) is float64
    columns : what the training columns looked like
    """
    typed = []
    for j in range(len(columns)):
        dtype = np.dtype(columns.dtypes[j])
        filled = _recorded(values[:, j], columns.decimals[j], dtype).astype(np.float64)
        column = np.where(known[:, j], values[:, j], filled)
        with np.errstate(over="ignore", invalid="ignore"):
            as_recorded = column.astype(dtype)
        same = np.array_equal(as_recorded.astype(np.float64), column)
        typed.append(as_recorded if same else column)
    if any(column.dtype != dtype for column, dtype in zip(typed, columns.dtypes, strict=True)):
        dtypes = tuple(column.dtype.name for column in typed)
        columns = replace(columns, dtypes=dtypes)
    return _contain(values, typed, columns)


def _recorded(column: NDArray[np.float64], decimals: int | None, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "b":
        return column >= 0.5
    if decimals is not None:
        step = 10.0**decimals
        with np.errstate(over="ignore", invalid="ignore"):
            steps = column * step
            # from 2^53 steps on every float is on the grid
            column = np.where(np.abs(steps) < 2.0**53, np.rint(steps) / step, column) + 0.0  # + 0.0: no -0.0
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        # the largest int64 is no float64: the clip must end at the float below it
        top = float(info.max) if info.bits < 64 else math.nextafter(float(info.max), 0.0)
        return np.clip(np.rint(column), float(info.min), top).astype(dtype)
    info_f = np.finfo(dtype)
    return np.clip(column, float(info_f.min), float(info_f.max)).astype(dtype)


def _contain(values: NDArray[np.float64], typed: list[NDArray[Any]], columns: Columns) -> Any:
    kind = columns.container
    if columns.levels is not None and kind not in _makers:  # a Table keeps the numbers, and what they mean
        typed = [_texts(column, columns, j) for j, column in enumerate(typed)]
    if kind == "vector" and len(columns) == 1:
        return np.ascontiguousarray(typed[0])
    if kind in ("array", "vector"):
        # kinds that NumPy would mix into something lossy (bool with int is fine) meet in their common dtype
        rows = np.empty((len(values), len(columns)), dtype=np.result_type(*(c.dtype for c in typed)))
        for j, column in enumerate(typed):
            rows[:, j] = column
        return rows
    if kind in _makers:
        return _makers[kind](values, typed, columns)
    names = columns.names
    if kind == "pandas":
        pandas = need("pandas", why="the model was fitted to a pandas DataFrame")
        frame = pandas.DataFrame({j: _of_pandas(column, columns, j) for j, column in enumerate(typed)})
        if names is not None:
            frame.columns = list(names)
        return frame
    labels = names or tuple(f"column_{j}" for j in range(len(columns)))
    if kind == "polars":
        polars = need("polars", why="the model was fitted to a polars DataFrame")
        made = polars.DataFrame(dict(zip(labels, typed, strict=True)))
        categories = [labels[j] for j in range(len(columns)) if _categorical(columns, j)]
        return made.with_columns(polars.col(categories).cast(polars.Categorical)) if categories else made
    if kind == "pyarrow":
        arrow = need("pyarrow", why="the model was fitted to a pyarrow Table")
        arrays = [
            arrow.array(column).dictionary_encode() if _categorical(columns, j) else arrow.array(column)
            for j, column in enumerate(typed)
        ]
        return arrow.table(dict(zip(labels, arrays, strict=True)))
    raise UnsupportedError(f"Rows cannot be put into a container called {kind!r}.")


def _texts(column: NDArray[Any], columns: Columns, j: int) -> NDArray[Any]:
    levels = columns.levels_of(j)
    return column if levels is None else words_of(np.asarray(column, dtype=np.float64), levels)


def _categorical(columns: Columns, j: int) -> bool:
    levels = columns.levels_of(j)
    return levels is not None and levels.categorical


def _of_pandas(column: NDArray[Any], columns: Columns, j: int) -> Any:
    levels = columns.levels_of(j)
    if levels is None:
        return column
    pandas = need("pandas", why="the model was fitted to a pandas DataFrame")
    if levels.categorical:
        return pandas.Categorical(column, categories=list(levels.words))
    return column.tolist()  # texts of the kind that this pandas makes of texts
