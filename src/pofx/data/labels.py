"""One column of a file as labels, text included: the groups that rows belong to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.data.columnar_file import Columnar
from pofx.data.csv_file import TextTable
from pofx.data.formats import identify
from pofx.data.places import Place, places
from pofx.errors import DataError, FileError
from pofx.validation import check_memory
from pofx.validation.columns import listed, nearest

__all__ = ["Labels", "read_labels"]


@dataclass(frozen=True, eq=False)
class Labels:
    """The label of every row (n,), and the name of the column that holds them."""

    values: NDArray[np.str_]
    name: str

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype) if copy else np.asarray(self.values, dtype=dtype)

    def __getitem__(self, rows: Any) -> Labels:
        return Labels(self.values[rows], self.name)


def read_labels(source: str | os.PathLike[str], column: str | int, *, header: bool | None = None) -> Labels:
    """Return the labels in a column of a file.

    Parameters
    ----------
    source : path or pattern
        A text table, Parquet or Arrow; the rows as :func:`pofx.read` reads them, none left out.
    column : name, or number from 0
    header : whether the first row of a text table holds names; None to judge

    Raises
    ------
    FileError
        for a file of another format, or damaged.
    DataError
        for a column that is not there.
    """
    labels: list[str] = []
    name = f"column {column}"
    with places(source) as found:
        for place in found:
            form = identify(place)
            if form.kind == "text":
                with place.path.open("rb") as file:
                    table = TextTable(place, file, gzipped=form.gzipped, header=header)
                    j = _position(place, table.names, table.width, column)
                    _extend(labels, table.cells_of(j), place)
                    name = table.names[j] if table.names else name
            elif form.kind in ("Parquet", "Arrow", "Arrow stream"):
                file_of = Columnar(place, form.kind)
                j = _position(place, file_of.names, len(file_of.names), column)
                _extend(labels, file_of.cells_of(j), place)
                name = file_of.names[j]
            else:
                raise FileError(
                    f"{place.shown}: labels are read from text tables, Parquet and Arrow, not from "
                    f"{form.kind}."
                )
    return Labels(np.array(labels), name)


def _extend(labels: list[str], blocks: Iterator[list[str]], place: Place) -> None:
    for block in blocks:
        labels += block
        check_memory(120.0 * len(labels), f"Reading labels from {place.shown}")


def _position(place: Place, names: Sequence[Any] | None, width: int, column: str | int) -> int:
    if isinstance(column, str) and names is not None and column in names:
        return list(names).index(column)
    if isinstance(column, int) and 0 <= column < width:
        return column
    there = f"there are {listed(list(names))}" if names is not None else f"there are {width}, without names"
    near = nearest(str(column), list(names)) if names is not None else ""
    raise DataError(f"{place.shown} has no column {column!r}; {there}.{near}")
