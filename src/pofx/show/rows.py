"""Rows as CSV text: drawn ones, at the precision that the training rows were recorded with, and scored ones.

A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return is a formula to a spreadsheet,
which may run it; it is written with a quote before it. Numbers are never touched.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from pofx.core.density import Density
from pofx.data.table import Table
from pofx.validation import restore, restore_exact, rng_from

__all__ = ["drawn", "guarded", "scored_csv", "to_csv"]

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
    shown = [_as_text(None if exact else places) for places in model.params_.columns.decimals]
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
    log_density: Sequence[float | None],
    *,
    name: str,
    guard: bool = True,
) -> str:
    """Return rows with their log densities (nats; empty where it is None) as CSV, one line for each.

    Raises
    ------
    ValueError
        Where the number of rows differs from that of the log densities.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")

    def safe(row: Sequence[Any]) -> list[Any]:
        return [guarded(cell) for cell in row] if guard else list(row)

    if names is not None:
        writer.writerow([*safe(names), name])
    for row, value in zip(cells, log_density, strict=True):
        writer.writerow([*safe(row), "" if value is None or math.isnan(value) else repr(value)])
    return out.getvalue()


def _as_text(places: int | None) -> Callable[[float], str]:
    return repr if places is None else f"{{:.{places}f}}".format
