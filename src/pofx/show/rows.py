"""Drawn rows as CSV text, at the precision that the training rows were recorded with."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace

from pofx.core.density import Density
from pofx.data.table import Table
from pofx.validation import restore, restore_exact, rng_from

__all__ = ["to_csv"]


def to_csv(model: Density, n: int, *, seed: int, exact: bool = False) -> str:
    """Return ``n`` rows drawn from a fitted model as CSV.

    The first line holds the columns' names, where the training rows had names. Numbers are written so that
    reading them gives back the same float.
    """
    params = model.params_
    columns = replace(params.columns, container="table")
    rows = model._sample_rows(params, n, rng_from(seed))
    table: Table = (restore_exact if exact else restore)(rows, columns)
    shown = [_as_text(None if exact else places) for places in columns.decimals]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if columns.names is not None:
        writer.writerow(columns.names)
    for row in table.values.tolist():
        writer.writerow([text(value) for text, value in zip(shown, row, strict=True)])
    return out.getvalue()


def _as_text(places: int | None) -> Callable[[float], str]:
    return repr if places is None else f"{{:.{places}f}}".format
