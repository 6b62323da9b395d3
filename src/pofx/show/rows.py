"""Rows as CSV text: drawn ones, at the precision that the training rows were recorded with, and scored ones.

A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return is a formula to a spreadsheet,
which may run it; it is written with a quote before it. Numbers are never touched.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pofx.core.density import Density
from pofx.data.table import Table
from pofx.validation import Columns, restore, restore_exact, rng_from, values_of

__all__ = ["drawn", "guarded", "listed_rows", "scored_csv", "to_csv"]

DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


def guarded(text: str) -> str:
    """Return the text with a quote before it where a spreadsheet would take it for a formula."""
    if not text.startswith(DANGEROUS) or not text.strip("-"):  # dashes mark a missing value
        return text
    try:
        float(text.replace(",", ".", 1))
    except ValueError:
        return f"'{text}"
    return text


def drawn(model: Density, n: int, *, seed: int, exact: bool = False) -> Table:
    """Return ``n`` rows drawn from a fitted model as a Table, whatever it was fitted to."""
    params = model.params_
    columns = replace(params.columns, container="table")
    rows = model._sample_rows(params, n, rng_from(seed))
    rows = rows if exact else model._recordable(params, rows)
    table: Table = (restore_exact if exact else restore)(rows, columns)
    return table


def to_csv(model: Density, n: int, *, seed: int, exact: bool = False, guard: bool = True) -> str:
    """Return ``n`` rows drawn from a fitted model as CSV.

    The first line holds the columns' names, where the training rows had names. Numbers are written so that
    reading them gives back the same float. ``guard=False`` writes names that look like formulas as they are.
    """
    table = drawn(model, n, seed=seed, exact=exact)
    columns = model.params_.columns
    shown = [
        _as_text(None if exact else places) if columns.levels_of(j) is None else _as_word(columns, j, guard)
        for j, places in enumerate(columns.decimals)
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if table.names is not None:
        writer.writerow([guarded(name) if guard else name for name in table.names])
    for row in table.values.tolist():
        writer.writerow([text(value) for text, value in zip(shown, row, strict=True)])
    return out.getvalue()


def scored_csv(
    names: Sequence[str] | None,
    cells: Iterable[Sequence[str]],
    columns: Mapping[str, Sequence[Any]],
    *,
    guard: bool = True,
) -> str:
    """Return rows with new columns after their own as CSV, one line for each.

    Parameters
    ----------
    names : of the rows' own columns, where they have names; the new ones are named only beside them
    cells : the rows as text
    columns : new columns by name: numbers, truths, texts, and None (or NaN) for an empty cell
    guard : keep a spreadsheet from running text as a formula

    Raises
    ------
    ValueError
        Where the number of rows differs from that of the new values.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")

    def safe(row: Sequence[Any]) -> list[Any]:
        return [guarded(cell) for cell in row] if guard else list(row)

    if names is not None:
        writer.writerow([*safe(names), *columns])
    for row, *values in zip(cells, *columns.values(), strict=True):
        writer.writerow([*safe(row), *safe([_cell(value) for value in values])])
    return out.getvalue()


def _cell(value: Any) -> str:
    """Return a number so that reading it gives the same float, a truth as a word, "" for None and NaN."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def listed_rows(table: Table) -> list[list[Any]]:
    """Return the rows as lists of numbers, and of texts where a column holds levels of text."""
    columns = [
        values_of(table.values[:, j], table.columns, j)
        if table.columns.levels_of(j) is not None
        else table.values[:, j].tolist()
        for j in range(table.shape[1])
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _as_word(columns: Columns, j: int, guard: bool) -> Callable[[float], str]:
    def word(code: float) -> str:
        text = str(values_of(np.array([code]), columns, j)[0])
        return guarded(text) if guard else text

    return word


def _as_text(places: int | None) -> Callable[[float], str]:
    return repr if places is None else f"{{:.{places}f}}".format
