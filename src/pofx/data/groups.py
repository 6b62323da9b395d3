"""Columns that group the rows: read as numbers, or as texts whose levels are numbered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pofx.data.candidates import Candidate, Source
from pofx.data.csv_column import MISSING
from pofx.errors import DataError
from pofx.validation.columns import printable
from pofx.validation.frames import column_words, is_categorical, is_frame, open_frame
from pofx.validation.levels import coded

__all__ = ["grouping"]


def grouping(
    found: Source,
    numbers: Sequence[int],
    source: Any,
    cells: Iterable[Sequence[str]] | None,
    na: frozenset[str],
) -> None:
    """Make columns of texts among ``numbers`` columns of levels, in place; columns of numbers stay.

    Parameters
    ----------
    found : the columns of the source
    numbers : which of them group the rows
    source : where they came from, if that was a DataFrame or a record array
    cells : the rows of the source as texts, if it was a file
    na : words that mark a missing value

    Raises
    ------
    DataError
        for columns that are neither numbers nor text.
    """
    texts = [j for j in numbers if found.columns[j].values is None]
    if not texts:
        return
    if cells is not None:
        words: dict[int, list[str | None]] = {j: [] for j in texts}
        nothing = MISSING | na
        for row in cells:
            for j in texts:
                word = row[j].strip()
                words[j].append(None if word in nothing else word)
        for j in texts:
            found.columns[j] = _levels(found, j, words[j], categorical=False)
        return
    for j in texts:
        given, categorical = _words_of(source, j)
        if given is None:
            raise DataError(
                f"{printable(found.label(j))} cannot group rows: {found.columns[j].why_not}. Groups are "
                "texts, whole numbers or booleans."
            )
        found.columns[j] = _levels(found, j, given, categorical=categorical)


def _levels(found: Source, j: int, words: Sequence[Any], *, categorical: bool) -> Candidate:
    codes, levels = coded(words, None, f"column {found.label(j)!r}", categorical=categorical)
    empty = Candidate(found.columns[j].name, codes, "int64", 0)
    return replace(empty, levels=levels)


def _words_of(source: Any, j: int) -> tuple[list[Any] | None, bool]:
    """Return the texts of a column of a DataFrame or a record array, and whether they are categories."""
    if is_frame(source):
        series = open_frame(source).series[j]
        return column_words(series), is_categorical(series)
    dtype = getattr(source, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.names is not None and dtype[j].kind in "UO":
        return [v if isinstance(v, str) else None for v in source[dtype.names[j]].tolist()], False
    return None, False
