"""``pofx.read``: a file, an array or a DataFrame becomes a :class:`Table` of numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from pofx.data.candidates import Source
from pofx.data.keys import named_like_a_key, why_key
from pofx.data.openers import open_source
from pofx.data.table import Table
from pofx.errors import DataError, ParameterError, PofxWarning
from pofx.validation import Columns, one_of
from pofx.validation.columns import listed, nearest, printable


def read(
    source: Any,
    *,
    columns: str | int | Iterable[str | int] | None = None,
    drop: str | int | Iterable[str | int] | None = None,
    missing: str = "error",
) -> Table:
    """Read rows of numbers.

    Columns of text, and columns that only count or identify rows (:mod:`pofx.data.keys` states the rule), are
    set aside by name and with the reason; ``print(table)`` shows them. Booleans become 0 and 1.

    Parameters
    ----------
    source : path of a ``.csv``, ``.csv.gz`` or ``.npy`` file; array or list of rows; record array; DataFrame
        or Series of pandas, polars, pyarrow or any library that narwhals knows; Table
    columns : names or numbers (from 0) of the columns to read, in this order, keys included
    drop : names or numbers of columns to leave out
    missing : "error"; "drop" leaves out rows with a missing value in a column that is read and counts them in
        ``table.dropped``; "keep" keeps them as NaN

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
    found = open_source(source)
    keep, aside = _choose(found, _listed(columns), _listed(drop) or [])
    values = np.empty((found.n, len(keep)))
    for position, j in enumerate(keep):
        values[:, position] = found.numbers(j)
        if found.columns[j].warning:
            found.notes.append(found.columns[j].warning)
            warnings.warn(f"{found.columns[j].warning}.", PofxWarning, stacklevel=2)
    index, dropped = found.index, found.dropped
    labels = [found.label(j) for j in keep]
    kept = _complete(values, labels, missing)
    if kept is not None:
        values = values[kept]
        index = None if index is None else index[kept]
        dropped += len(kept) - len(values)
    chosen = [found.columns[j] for j in keep]
    names = tuple(column.name or "" for column in chosen) if found.names is not None else None
    described = Columns(names, tuple(c.dtype for c in chosen), tuple(c.decimals for c in chosen), "table")
    return Table(
        values,
        described,
        set_aside=aside,
        index=index,
        notes=found.notes,
        dropped=dropped,
        origin=found.origin,
    )


def _listed(columns: str | int | Iterable[str | int] | None) -> list[str | int] | None:
    if columns is None:
        return None
    return [columns] if isinstance(columns, (str, int)) else list(columns)


def _choose(
    found: Source, columns: list[str | int] | None, drop: list[str | int]
) -> tuple[list[int], dict[str, str]]:
    """Return the positions of the columns to read, and why the others are set aside."""
    unwanted = {_position(found, key) for key in drop}
    aside = {found.label(j): "dropped, as asked" for j in sorted(unwanted)}
    if columns is not None:
        keep = [_position(found, key) for key in columns]
        if not keep or len(set(keep)) != len(keep) or unwanted & set(keep):
            raise ParameterError("columns= must name one or more different columns, none of them in drop=.")
        rest = (j for j in range(len(found.columns)) if j not in keep and j not in unwanted)
        return keep, aside | {found.label(j): "not among columns=" for j in rest}
    keep, keys = [], {}
    for j, column in enumerate(found.columns):
        if j in unwanted:
            continue
        if column.why_not:
            aside[found.label(j)] = column.why_not
        elif not found.chosen and np.isnan(found.numbers(j)).all():
            aside[found.label(j)] = "no value in any row"
        elif not found.chosen and (why := why_key(column.name, found.numbers(j), column.dtype)):
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


def _position(found: Source, key: str | int) -> int:
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


def _complete(values: np.ndarray, labels: list[str], missing: str) -> np.ndarray | None:
    """Return the mask of rows to keep, or None for all of them."""
    gaps = np.isnan(values)
    counts = gaps.sum(axis=0)
    for j in np.flatnonzero(np.isinf(values).any(axis=0)):
        row = int(np.isinf(values[:, j]).argmax())
        raise DataError(
            f"{labels[j]} holds infinity (first: row {row}, counted from 0): it is no measurement."
        )
    for j in np.flatnonzero(counts == len(values)):
        raise DataError(f"{labels[j]} has no value in any row (NaN). Leave it out: drop=[{labels[j]!r}].")
    if not counts.any() or missing == "keep":
        return None
    if missing == "error":
        parts = [
            f"{labels[j]} {counts[j]} of {len(values)} (first: row {int(gaps[:, j].argmax())})"
            for j in np.flatnonzero(counts)
        ]
        raise DataError(
            f"Missing values (NaN): {'; '.join(parts)}. Rows are counted from 0. "
            'missing="drop" leaves these rows out, missing="keep" keeps them as NaN.'
        )
    kept: np.ndarray = ~gaps.any(axis=1)
    if not kept.any():
        raise DataError(
            f"0 rows are left: each of the {len(kept)} rows has a missing value. Use drop= or columns=."
        )
    return kept


__all__ = ["read"]
