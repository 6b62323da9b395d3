"""From whatever holds rows (file, array, record array, DataFrame, Table) to candidates for columns."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from pofx.data.candidates import Candidate, Source, counted
from pofx.data.csv_file import read_csv
from pofx.data.npy_file import MAGIC, read_npy
from pofx.data.table import FRAMES, Table
from pofx.errors import DataError, FileError
from pofx.validation import detect_decimals
from pofx.validation.arrays import block_from_array, numbers_from
from pofx.validation.columns import Block, printable
from pofx.validation.frames import column_numbers, is_frame, open_frame

# what the first bytes say a file is, and the one line that makes it readable here
_OTHER_FORMATS = (
    (b"PAR1", "a Parquet file", "pandas.read_parquet(path)"),
    (b"ARROW1", "an Arrow file", "pandas.read_feather(path)"),
    (b"PK\x03\x04", "a zip archive (NPZ, XLSX)", "numpy.load(path)[name] or pandas.read_excel(path)"),
    (b"\x89HDF", "an HDF5 file", "pandas.read_hdf(path)"),
    (b"\xff\xfe", "UTF-16 text", "an editor that saves it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "an editor that saves it as UTF-8"),
    (b"BZh", "a bzip2 archive", "bunzip2"),
    (b"\xfd7zXZ", "an xz archive", "unxz"),
    (b"(\xb5/\xfd", "a zstd archive", "unzstd"),
    (b"%PDF", "a PDF document", "its table, saved as CSV"),
)
_SUFFIXES = (".csv", ".csv.gz", ".npy")


def open_source(source: Any) -> Source:
    """Return the columns of a file, array, record array, DataFrame, Series or Table.

    Raises
    ------
    FileError
        for a file that is not there, of another format, or damaged.
    DataError
        for rows that cannot be used.
    """
    if isinstance(source, Table):
        return _from_table(source)
    if isinstance(source, (str, os.PathLike)):
        return _from_file(Path(source))
    if is_frame(source):
        return _from_frame(source)
    dtype = getattr(source, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.names is not None:
        return _from_records(source, "record array")
    return _from_block(block_from_array(source), "array")


def _from_table(table: Table) -> Source:
    columns = [
        Candidate(
            None if table.names is None else table.names[j],
            table.values[:, j],
            table.dtypes[j],
            table.decimals[j],
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


def _from_file(path: Path) -> Source:
    start = _first_bytes(path)
    for magic, what, remedy in _OTHER_FORMATS:
        if start.startswith(magic):
            raise FileError(f"{printable(path)} is {what}, which is not read yet: use {remedy}.")
    if start.startswith(MAGIC):
        array = read_npy(path)
        what = f"{path.name}: NPY, {array.dtype.name}"
        if array.dtype.names is not None:
            return _from_records(array, what)
        return _from_block(block_from_array(array), what)
    name = path.name.lower()
    gzipped = start.startswith(b"\x1f\x8b")
    if name.endswith(".npy"):
        raise FileError(
            f"{printable(path)} is not the NPY file its name says: it does not begin with {MAGIC!r}."
        )
    if not name.endswith(".csv.gz" if gzipped else ".csv") and not (gzipped and name.endswith(".csv")):
        raise FileError(
            f"{printable(path)}: files with this name are not read yet; expected one of "
            + f"{', '.join(_SUFFIXES)}."
            + (" Its first bytes are those of a gzip archive." if gzipped else "")
        )
    return read_csv(path, gzipped=gzipped)


def _first_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise FileError(f"{printable(path)} is a directory; expected a file.")
        if not path.exists():
            raise FileError(f"There is no file {printable(path)}.{_sibling(path)}")
        with path.open("rb") as file:
            start = file.read(8)
    except FileError:
        raise
    except (OSError, ValueError) as error:
        raise FileError(f"{printable(path)} cannot be read: {error}") from None
    if not start:
        raise FileError(f"{printable(path)} is empty (0 bytes).")
    return start


def _sibling(path: Path) -> str:
    try:
        names = os.listdir(path.parent)[:10_000]
    except OSError:
        return f" There is no folder {path.parent} either."
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {str(path.with_name(close[0]))!r}?" if close else ""
