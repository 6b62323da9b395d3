"""Cells that hold no number in a column of numbers: other rows are read all the same, and these are named.

For a fit such a cell is an error, for nobody knows what it stands for. Where rows are only asked about, it
concerns its own row alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pofx.data.candidates import Source
from pofx.data.csv_column import MISSING
from pofx.validation.columns import printable

__all__ = ["forgive", "reasons"]

LONGEST = 40  # characters of a cell that are shown


def forgive(found: Source) -> None:
    """Let every column of numbers be read, NaN where a cell holds text, or a number that is not finite."""
    for column in found.columns:
        if column.values is not None:
            column.error = None
            if np.isinf(column.values).any():
                column.values = np.where(np.isinf(column.values), np.nan, column.values)


def reasons(
    values: NDArray[np.float64],
    at: Sequence[int],
    labels: Sequence[str],
    cells: Iterable[Sequence[str]],
    na: Iterable[str] = (),
) -> list[str]:
    """Return for each row why it cannot be scored: "missing: a, b; c holds 'abc', no finite number", or "".

    Parameters
    ----------
    values : ndarray (n, d), NaN where there is no number
    at : positions of the d columns in ``cells``
    labels : what the d columns are called
    cells : the n rows as text
    na : what else marks a missing value
    """
    marks = MISSING | {mark.strip() for mark in na}
    gaps = np.isnan(values)
    out = [""] * len(values)
    if not gaps.any():
        return out
    for i, row in enumerate(cells):
        if not gaps[i].any():
            continue
        missing, odd = [], []
        for j in np.flatnonzero(gaps[i]).tolist():
            cell = row[at[j]].strip()
            if cell in marks or _is_finite(cell):  # a number that marks a missing value, as asked
                missing.append(labels[j])
            else:
                shown = cell if len(cell) <= LONGEST else f"{cell[: LONGEST - 3]}..."
                odd.append(f"{labels[j]} holds {printable(shown)!r}, no finite number")
        out[i] = "; ".join([*([f"missing: {', '.join(missing)}"] if missing else []), *odd])
    return out


def _is_finite(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell.replace(",", ".", 1))))
    except ValueError:
        return False
