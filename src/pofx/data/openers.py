"""From whatever holds rows (file, array, record array, DataFrame, Table) to candidates for columns."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any

import numpy as np

from pofx.data.candidates import Candidate, Source, counted
from pofx.data.columnar_file import read_columnar
from pofx.data.csv_file import read_csv
from pofx.data.formats import Format, identify
from pofx.data.join import joined
from pofx.data.json_lines import read_json_lines
from pofx.data.npy_file import read_npy
from pofx.data.npz_file import read_npz
from pofx.data.places import Place, places, world_rows
from pofx.data.table import FRAMES, Table
from pofx.errors import DataError, FileError
from pofx.validation import detect_decimals
from pofx.validation.arrays import block_from_array, numbers_from
from pofx.validation.columns import Block
from pofx.validation.frames import column_numbers, is_frame, open_frame


def open_source(source: Any, *, na: frozenset[str] = frozenset(), header: bool | None = None) -> Source:
    """Return the columns of a file, several files, a world, array, record array, DataFrame, Series or Table.

    Parameters
    ----------
    source : what :func:`pofx.read` takes
    na : words that mark a missing value in text
    header : whether the first row of a text table holds names; None to judge

    Raises
    ------
    FileError
        for a file that is not there, of another format, or damaged.
    DataError
        for rows that cannot be used.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, Table):
        return _from_table(source)
    if isinstance(source, str) and source.startswith("world:"):
        rows, note = world_rows(source)
        found = _from_block(block_from_array(rows), "world")
        found.notes = [f"{note}: {counted(found.n, 'row')}, {counted(len(found.columns), 'column')}"]
        return found
    if isinstance(source, (str, os.PathLike)):
        with places(source) as found_places:
            return joined([from_file(place, na, header) for place in found_places], found_places)
    if _are_paths(source):
        with contextlib.ExitStack() as stack:
            several = [place for path in source for place in stack.enter_context(places(path))]
            return joined([from_file(place, na, header) for place in several], several)
    if is_frame(source):
        return _from_frame(source)
    dtype = getattr(source, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.names is not None:
        return _from_records(source, "record array")
    return _from_block(block_from_array(source), "array")


def is_file(source: Any) -> bool:
    """Tell whether a source is a path, a pattern, several paths, standard input or a known world."""
    return isinstance(source, str | os.PathLike) or _are_paths(source)


def _from_table(table: Table) -> Source:
    columns = [
        Candidate(
            None if table.names is None else table.names[j],
            table.values[:, j],
            table.dtypes[j],
            table.decimals[j],
            levels=table.columns.levels_of(j),
        )
        for j in range(table.shape[1])
    ]
    return Source(
        columns, len(table), list(table.notes), table.index, table.origin, table.dropped, chosen=True
    )


def _from_block(block: Block, what: str) -> Source:
    n, d = block.values.shape
    columns = []
    for j in range(d):
        values = block.values[:, j]
        columns.append(Candidate(None, values, block.dtypes[j], detect_decimals(values, block.dtypes[j])))
    source = _named(columns, n, what)
    source.chosen = True
    return source


def _from_records(records: Any, what: str) -> Source:
    columns = []
    for name in records.dtype.names:
        try:
            values, dtype = numbers_from(np.asarray(records[name]), name)
        except DataError as error:
            columns.append(Candidate(name, None, why_not=_reason(error)))
            continue
        values = np.where(np.ma.getmaskarray(records[name]), np.nan, values)
        columns.append(Candidate(name, values, dtype, detect_decimals(values, dtype)))
    return _named(columns, len(records), what)


def _from_frame(X: Any) -> Source:
    frame = open_frame(X)
    columns = []
    for j, series in enumerate(frame.series):
        name = frame.names[j] if frame.names else None
        try:
            values, dtype = column_numbers(series, name or f"column {j}")
        except DataError as error:
            columns.append(Candidate(name, None, why_not=_reason(error)))
            continue
        columns.append(Candidate(name, values, dtype, detect_decimals(values, dtype)))
    kind = type(X).__module__.partition(".")[0]
    source = _named(columns, frame.n, f"{kind} {type(X).__name__}")
    source.chosen = frame.container == "vector"
    source.index = X.index if kind == "pandas" and hasattr(X, "iloc") else None
    source.origin = frame.container if frame.container in FRAMES else (kind if kind in FRAMES else None)
    return source


def _named(columns: list[Candidate], n: int, what: str) -> Source:
    if not n or not columns:
        raise DataError(
            f"The {what} has {n} rows and {len(columns)} columns; at least one of each is needed."
        )
    return Source(columns, n, [f"{what}: {counted(n, 'row')}, {counted(len(columns), 'column')}"])


def _reason(error: DataError) -> str:
    """Return the middle of "column 'x' holds text (String); expected numbers. ..."."""
    return re.split(r"; |\. ", re.sub(r"^(column \d+|column '.*?') ", "", str(error)))[0]


def _are_paths(source: Any) -> bool:
    return (
        isinstance(source, (list, tuple))
        and bool(source)
        and all(isinstance(path, (str, os.PathLike)) for path in source)
        and any(isinstance(path, os.PathLike) or os.path.exists(path) for path in source)
    )


def from_file(place: Place, na: frozenset[str], header: bool | None) -> Source:
    kind = identify(place)
    before = place.fingerprint()
    try:
        found = _of_kind(place, kind, na, header)
    except FileError:
        place.check_unchanged(before)  # then that is the reason
        raise
    place.check_unchanged(before)
    if kind.note:
        found.notes.append(kind.note)
    return found


def _of_kind(place: Place, form: Format, na: frozenset[str], header: bool | None) -> Source:
    if form.kind == "text":
        return read_csv(place, gzipped=form.gzipped, na=na, header=header)
    if form.kind == "JSON lines":
        return read_json_lines(place, gzipped=form.gzipped, na=na)
    if form.kind in ("Parquet", "Arrow", "Arrow stream"):
        return read_columnar(place, form.kind)
    if form.kind == "NPZ":
        array, what = read_npz(place)
    else:
        array = read_npy(place)
        what = f"{place.name}: NPY, {array.dtype.name}"
    if array.dtype.names is not None:
        return _from_records(array, what)
    return _from_block(block_from_array(array), what)
