"""``pofx.read``: a file, an array or a DataFrame becomes a :class:`Table` of numbers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pofx.data.candidates import Source, counted
from pofx.data.cells import opened
from pofx.data.doubts import code_for_missing, doubled
from pofx.data.groups import grouping
from pofx.data.keys import named_like_a_key, why_key
from pofx.data.openers import is_file, open_source
from pofx.data.table import Table
from pofx.errors import DataError, ParameterError, PofxWarning, WeightError
from pofx.validation import Columns, one_of
from pofx.validation.columns import listed, nearest, printable, some_levels


def read(
    source: Any,
    *,
    columns: str | int | Iterable[str | int] | None = None,
    drop: str | int | Iterable[str | int] | None = None,
    weights: str | int | None = None,
    na: str | float | Iterable[str | float] | None = None,
    header: bool | None = None,
    missing: str = "error",
    by: str | int | Iterable[str | int] | None = None,
) -> Table:
    """Read rows of numbers.

    Columns of text, and columns that only count or identify rows (:mod:`pofx.data.keys` states the rule), are
    set aside by name and with the reason; ``print(table)`` shows them. Booleans become 0 and 1.

    Parameters
    ----------
    source : path of a text table (CSV, semicolons, tabs, aligned with spaces; ``#`` comments, decimal comma,
        gzip), of a Parquet, Arrow, Feather, JSON lines, NPY or NPZ file (``data.npz:X`` for one array of
        several): the content decides, not the suffix; a pattern (``"runs/*.csv"``) or a list of paths, for
        files of one shape; ``"-"`` for standard input; ``"world:moons,n=500,seed=1,noise=0.2"`` for draws
        from a known world; an array or list of rows; a record array; a DataFrame or Series of pandas, polars,
        pyarrow or any library that narwhals knows; a Table
    columns : names or numbers (from 0) of the columns to read, in this order, keys included
    drop : names or numbers of columns to leave out
    weights : name or number of the column that says how often each row counts; it becomes ``table.weights``
    na : what else marks a missing value, as words or numbers: ``[-999, "missing"]`` or ``"-999,missing"``
    header : True if the first row of a text table holds names, False if it is data; by default that is judged
    missing : "error"; "drop" leaves out rows with a missing value in a column that is read and counts them in
        ``table.dropped``; "keep" keeps them as NaN
    by : name or number of a column that groups the rows, or several, for :class:`pofx.Grouped`; they are read
        whatever they hold, and those that hold text keep it

    Raises
    ------
    FileError
        for a file that cannot be read with certainty, with file, line and column.
    DataError
        for rows that cannot be used.
    ParameterError
        for a column that is not there, with the nearest name.
    """
    one_of(missing, "missing", ("error", "drop", "keep"))
    words, codes = marks_of_missing(na)
    with contextlib.ExitStack() as stack:
        if by is not None and is_file(source):
            found, cells = stack.enter_context(opened(source, na=words, header=header))
        else:
            found, cells = open_source(source, na=words, header=header), None
        groups = [position_of(found, key) for key in listed_keys(by) or []]
        grouping(found, groups, source, cells, words)
    return _table(found, codes, source, columns, drop, weights, missing, groups)


def _table(
    found: Source,
    codes: list[float],
    source: Any,
    columns: str | int | Iterable[str | int] | None,
    drop: str | int | Iterable[str | int] | None,
    weights: str | int | None,
    missing: str,
    groups: list[int],
) -> Table:
    """Return the chosen columns of what was opened."""
    weighs = None if weights is None else position_of(found, weights)
    keep, aside = choose(found, listed_keys(columns), listed_keys(drop) or [], weighs, groups)
    values = np.empty((found.n, len(keep)))
    for position, j in enumerate(keep):
        column = values[:, position]
        column[:] = found.numbers(j)
        replaced = _replace(column, codes)
        if replaced:
            found.notes.append(f"{found.label(j)}: {counted(replaced, 'value')} taken for missing, as asked")
        if found.columns[j].warning:
            _say(found, found.columns[j].warning)
        if not found.chosen and j not in groups and (code := code_for_missing(column)) is not None:
            label, (number, times) = printable(found.label(j)), code
            _say(
                found,
                f"{label}: {number:g} comes {counted(times, 'time')}, far from all other values. If it marks "
                f"a missing value, say na={number:g}",
            )
    counts = source.weights if isinstance(source, Table) else None
    if weighs is not None:
        counts = np.array(found.numbers(weighs))
    index, dropped = found.index, found.dropped
    labels = [found.label(j) for j in keep]
    kept = _complete(values, labels, missing, counts)
    if kept is not None:
        values = values[kept]
        index = None if index is None else index[kept]
        counts = None if counts is None else counts[kept]
        dropped += len(kept) - len(values)
    if counts is not None and weighs is not None:
        _check_weights(counts, found.label(weighs))
    if not found.chosen and doubled(values):
        _say(found, "the second half of the rows repeats the first: was the file appended to itself?")
    chosen = [found.columns[j] for j in keep]
    names = tuple(column.name or "" for column in chosen) if found.names is not None else None
    described = Columns(
        names,
        tuple(c.dtype for c in chosen),
        tuple(c.decimals for c in chosen),
        "table",
        some_levels(c.levels for c in chosen),
    )
    return Table(
        values,
        described,
        set_aside=aside,
        index=index,
        notes=found.notes,
        dropped=dropped,
        origin=found.origin,
        weights=counts,
    )


def _say(found: Source, doubt: str) -> None:
    found.notes.append(doubt)
    warnings.warn(f"{doubt}{'' if doubt.endswith('?') else '.'}", PofxWarning, stacklevel=3)


def marks_of_missing(na: str | float | Iterable[str | float] | None) -> tuple[frozenset[str], list[float]]:
    """Return the words and the numbers that mark missing values; a word that reads as a number is both."""
    if na is None:
        return frozenset(), []
    given = na.split(",") if isinstance(na, str) else [na] if isinstance(na, (int, float)) else list(na)
    words = frozenset(str(mark).strip() for mark in given)
    codes = []
    for mark in words:
        with contextlib.suppress(ValueError):
            codes.append(float(mark))
    return words, codes


def _replace(column: np.ndarray, codes: list[float]) -> int:
    """Make the codes missing, in place; return how many there were."""
    if not codes:
        return 0
    marked = np.isin(column, codes)
    column[marked] = np.nan
    return int(marked.sum())


def _check_weights(counts: np.ndarray, label: str) -> None:
    for bad, word in ((~np.isfinite(counts), "missing or infinite"), (counts < 0, "negative")):
        if bad.any():
            raise WeightError(
                f"The weights ({printable(label)}) are {word} in {counted(int(bad.sum()), 'row')}, first in "
                f"row {int(bad.argmax())}, counted from 0; expected numbers from 0."
            )
    if not counts.any():
        raise WeightError(f"The weights ({printable(label)}) are all 0: no row counts.")


def listed_keys(columns: str | int | Iterable[str | int] | None) -> list[str | int] | None:
    """Return names or numbers of columns as a list."""
    if columns is None:
        return None
    return [columns] if isinstance(columns, (str, int)) else list(columns)


def choose(
    found: Source,
    columns: list[str | int] | None,
    drop: list[str | int],
    weighs: int | None = None,
    groups: Sequence[int] = (),
) -> tuple[list[int], dict[str, str]]:
    """Return the positions of the columns to read, and why the others are set aside; ``groups`` are read."""
    unwanted = {position_of(found, key) for key in drop}
    aside = {found.label(j): "dropped, as asked" for j in sorted(unwanted)}
    if weighs is not None:
        unwanted.add(weighs)
        aside[found.label(weighs)] = "the weights of the rows, as asked"
    if columns is not None:
        keep = [position_of(found, key) for key in columns]
        keep = [*(j for j in groups if j not in keep), *keep]
        if not keep or len(set(keep)) != len(keep) or unwanted & set(keep):
            raise ParameterError("columns= must name one or more different columns, none of them in drop=.")
        rest = (j for j in range(len(found.columns)) if j not in keep and j not in unwanted)
        return keep, aside | {found.label(j): "not among columns=" for j in rest}
    keep, keys = [], {}
    for j, column in enumerate(found.columns):
        if j in unwanted:
            continue
        if j in groups:
            keep.append(j)
        elif column.why_not:
            aside[found.label(j)] = column.why_not
        elif not found.chosen and np.isnan(found.numbers(j)).all():
            aside[found.label(j)] = "no value in any row"
        elif not found.chosen and (why := column.key or why_key(column.name, found.numbers(j), column.dtype)):
            keys[j] = why
        else:
            keep.append(j)
            if not found.chosen and column.name is not None and named_like_a_key(column.name):
                found.notes.append(
                    f"{column.name} is kept: it is named like a key, but its values are no key"
                )
    if not keep and len(keys) == 1:  # the only numbers there are
        keep = list(keys)
        found.notes.append(
            f"{found.label(keep[0])} is kept as the only column of numbers ({keys.pop(keep[0])})"
        )
    if not keep:
        reasons = "; ".join(f"{printable(name)}: {why}" for name, why in [*aside.items()][:6])
        reasons += "; ".join(f"{found.label(j)}: {why}" for j, why in keys.items())
        raise DataError(f"There is no column of numbers to read ({reasons}). columns= chooses them by name.")
    aside |= {found.label(j): why for j, why in keys.items()}
    order = [found.label(j) for j in range(len(found.columns))]
    return keep, {name: aside[name] for name in order if name in aside}


def position_of(found: Source, key: str | int) -> int:
    """Return the place of a column given by name or number."""
    if isinstance(key, (int, np.integer)) and not isinstance(key, (bool, np.bool_)):
        if not 0 <= key < len(found.columns):
            raise ParameterError(
                f"There is no column {key}; the columns are numbered 0 to {len(found.columns) - 1}."
            )
        return int(key)
    names = found.names or ()
    if key in names:
        return names.index(str(key))
    if not names:
        raise ParameterError(f"There is no column {key!r}: the columns have no names, only numbers from 0.")
    raise ParameterError(f"There is no column {key!r}; there are {listed(names)}.{nearest(key, names)}")


def _complete(
    values: np.ndarray, labels: list[str], missing: str, counts: np.ndarray | None = None
) -> np.ndarray | None:
    """Return the mask of rows to keep, or None for all of them."""
    gaps = np.isnan(values)
    lost = gaps.sum(axis=0)
    unweighed = np.zeros(len(values), bool) if counts is None else np.isnan(counts)
    for j in np.flatnonzero(np.isinf(values).any(axis=0)):
        row = int(np.isinf(values[:, j]).argmax())
        raise DataError(
            f"{labels[j]} holds infinity (first: row {row}, counted from 0): it is no measurement."
        )
    for j in np.flatnonzero(lost == len(values)):
        raise DataError(f"{labels[j]} has no value in any row (NaN). Leave it out: drop=[{labels[j]!r}].")
    if not (lost.any() or unweighed.any()) or missing == "keep":
        return None
    if missing == "error":
        parts = [
            f"{labels[j]} {lost[j]} of {len(values)} (first: row {int(gaps[:, j].argmax())})"
            for j in np.flatnonzero(lost)
        ]
        if unweighed.any():
            parts.append(f"weights {unweighed.sum()} of {len(values)} (first: row {int(unweighed.argmax())})")
        raise DataError(
            f"Missing values (NaN): {'; '.join(parts)}. Rows are counted from 0. "
            'missing="drop" leaves these rows out, missing="keep" keeps them as NaN.'
        )
    kept: np.ndarray = ~(gaps.any(axis=1) | unweighed)
    if not kept.any():
        raise DataError(
            f"0 rows are left: each of the {len(kept)} rows has a missing value. Use drop= or columns=."
        )
    return kept


__all__ = ["choose", "listed_keys", "marks_of_missing", "position_of", "read"]
