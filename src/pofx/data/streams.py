"""One file as a stream: the columns it has, told from its first block, and their numbers block by block."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pofx.data.arrow_columns import dtype_name
from pofx.data.candidates import Candidate, Source
from pofx.data.columnar_file import Columnar
from pofx.data.csv_file import TextTable
from pofx.data.formats import Format
from pofx.data.json_lines import JsonTable
from pofx.data.npy_file import promise
from pofx.data.places import Place
from pofx.errors import FileError
from pofx.validation.arrays import numbers_from
from pofx.validation.precision import Precision

_ROWS = 131_072
_NOT_ASKED: frozenset[str] = frozenset()


class Stream(Protocol):
    """A file that can be passed over again and again."""

    def head(self) -> Source:
        """Return all columns with the numbers of the first block."""

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[NDArray[np.float64]]]:
        """Yield the numbers of the wanted columns, NaN where missing."""

    def recorded(self, j: int) -> int | None:
        """Return the decimal places of column j that all blocks so far need."""


class _Measured:
    """Decimals told from the numbers, for files that hold them in binary."""

    def __init__(self) -> None:
        self._precision: dict[int, Precision] = {}
        self._settled = False

    def recorded(self, j: int) -> int | None:
        return self._precision[j].decimals

    def _measure(
        self, wanted: Sequence[int], dtypes: Sequence[str], blocks: Iterator[list[NDArray[np.float64]]]
    ) -> Iterator[list[NDArray[np.float64]]]:
        for block in blocks:
            if not self._settled:  # once is enough: later passes see the same rows
                for j, dtype, values in zip(wanted, dtypes, block, strict=True):
                    self._precision.setdefault(j, Precision(dtype)).add(values)
            yield block
        self._settled = True


class ColumnarStream(_Measured):
    """Parquet, Arrow and Feather."""

    def __init__(self, place: Place, form: Format) -> None:
        super().__init__()
        self.file = Columnar(place, form.kind)

    def head(self) -> Source:
        file = self.file
        wanted = [j for j, why in enumerate(file.why_not) if not why]
        first: list[NDArray[np.float64]] = []
        first = next(file.blocks(wanted), [])
        if wanted and not first:
            raise FileError(f"{file.place.shown} has columns but no rows.")
        columns = [Candidate(n, None, why_not=w) for n, w in zip(file.names, file.why_not, strict=True)]
        for j, values in zip(wanted, first, strict=True):
            columns[j] = Candidate(file.names[j], values, dtype_name(file.types[j]))
        return Source(columns, len(first[0]) if first else 0, file.notes(file.n or 0) if file.n else [])

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[NDArray[np.float64]]]:
        dtypes = [dtype_name(self.file.types[j]) for j in wanted]
        yield from self._measure(wanted, dtypes, self.file.blocks(wanted))

    def warnings(self, wanted: Sequence[int]) -> list[str]:
        """Return what is to be said after a pass."""
        return [text for j in wanted if (text := self.file.rounding(j))]


class TextStream:
    """CSV and the like."""

    def __init__(self, place: Place, form: Format, na: frozenset[str], header: bool | None) -> None:
        self.place, self.form, self.na, self.header = place, form, na, header
        self.table: TextTable | None = None

    def _open(self, stack: contextlib.ExitStack) -> TextTable:
        file = stack.enter_context(self.place.path.open("rb"))
        return TextTable(self.place, file, gzipped=self.form.gzipped, na=self.na, header=self.header)

    def head(self) -> Source:
        with contextlib.ExitStack() as stack:
            table = self._open(stack)
            first = next(table.blocks())
            columns = [c.finish(values) for c, values in zip(table.columns, first, strict=True)]
            return Source(columns, table.n, [f"{self.place.name}: {table.dialect}; {table.note}"])

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[NDArray[np.float64]]]:
        with contextlib.ExitStack() as stack:
            self.table = table = self._open(stack)
            for block in table.blocks(wanted):
                for j in wanted:
                    if (error := table.columns[j].problem()) is not None:
                        raise error
                yield block

    def recorded(self, j: int) -> int | None:
        assert self.table is not None
        return self.table.columns[j].decimals

    def warnings(self, wanted: Sequence[int]) -> list[str]:
        """Return what is to be said after a pass."""
        return []


class JsonStream(_Measured):
    """JSON lines."""

    def __init__(self, place: Place, form: Format, na: frozenset[str]) -> None:
        super().__init__()
        self.place, self.form, self.na = place, form, na
        self.names: list[str] = []
        self.dtypes: list[str] = []

    def _open(self, stack: contextlib.ExitStack) -> JsonTable:
        file = stack.enter_context(self.place.path.open("rb"))
        return JsonTable(self.place, file, gzipped=self.form.gzipped, na=self.na)

    def head(self) -> Source:
        with contextlib.ExitStack() as stack:
            table = self._open(stack)
            first = next(table.blocks())
            columns = []
            for name, column in table.columns.items():
                why = column.why_not()
                columns.append(
                    Candidate(
                        name,
                        None if why else first[name],
                        column.dtype,
                        why_not=why,
                        error=table.problem(column) if not why else None,
                    )
                )
            self.names, self.dtypes = list(table.columns), [column.dtype for column in table.columns.values()]
            return Source(columns, table.n, [f"{self.place.name}: JSON lines"])

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[NDArray[np.float64]]]:
        names = [self.names[j] for j in wanted]

        def numbers() -> Iterator[list[NDArray[np.float64]]]:
            with contextlib.ExitStack() as stack:
                table = self._open(stack)
                for block in table.blocks():
                    n = len(next(iter(block.values())))
                    for name in names:
                        column = table.columns.get(name)
                        if column is not None and (error := table.problem(column)) is not None:
                            raise error
                    yield [block.get(name, np.full(n, np.nan)) for name in names]

        yield from self._measure(wanted, ["float64"] * len(wanted), numbers())

    def warnings(self, wanted: Sequence[int]) -> list[str]:
        """Return what is to be said after a pass."""
        return []


class NpyStream(_Measured):
    """NPY, read in blocks of rows; column by column from a memory map where it is in Fortran order."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        with place.path.open("rb") as file:
            self.header = promise(file, place.size(), place.shown)
        if len(self.header.shape) not in (1, 2) or self.header.dtype.names is not None:
            raise FileError(
                f"{place.shown} holds an array {self.header}; blocks of rows need numbers of shape (n, d)."
            )
        self.n, self.d = (*self.header.shape, 1)[:2]
        if not self.n or not self.d:
            raise FileError(f"{place.shown} holds an array {self.header}: there is no row in it.")

    def head(self) -> Source:
        first = next(self._rows(range(self.d)))
        dtype = self.header.dtype.newbyteorder("=").name
        columns = [Candidate(None, values, dtype) for values in first]
        shape = f"{self.n} rows, {self.d} columns"
        return Source(columns, len(first[0]), [f"{self.place.name}: NPY, {dtype}: {shape}"], chosen=True)

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[NDArray[np.float64]]]:
        dtype = self.header.dtype.newbyteorder("=").name
        yield from self._measure(wanted, [dtype] * len(wanted), self._rows(wanted))

    def _rows(self, wanted: Sequence[int]) -> Iterator[list[NDArray[np.float64]]]:
        step = max(1, min(_ROWS, 2**22 // self.d))
        for start in range(0, self.n, step):
            raw = self._slice(start, min(step, self.n - start))
            yield [numbers_from(raw[:, j], f"column {j}")[0] for j in wanted]

    def _slice(self, start: int, count: int) -> NDArray[Any]:
        header = self.header
        if header.fortran and self.d > 1:
            whole = np.memmap(self.place.path, header.dtype, "r", header.offset, (self.n, self.d), order="F")
            return np.array(whole[start : start + count])
        width = self.d * header.dtype.itemsize
        raw = np.fromfile(self.place.path, header.dtype, count * self.d, offset=header.offset + start * width)
        if raw.size != count * self.d:
            raise FileError(f"{self.place.shown} became shorter while it was read.")
        return raw.reshape(count, self.d)

    def warnings(self, wanted: Sequence[int]) -> list[str]:
        """Return what is to be said after a pass."""
        return []


def stream(place: Place, form: Format, na: frozenset[str] = _NOT_ASKED, header: bool | None = None) -> Any:
    """Return the file as a stream, or None for a format that can only be read whole (NPZ)."""
    if form.kind == "text":
        return TextStream(place, form, na, header)
    if form.kind == "JSON lines":
        return JsonStream(place, form, na)
    if form.kind == "NPY":
        return NpyStream(place)
    return None if form.kind == "NPZ" else ColumnarStream(place, form)


def state(place: Place) -> tuple[int, int, int]:
    """Return size, time and inode: what a write or a replacement changes, quickly asked."""
    try:
        now = os.stat(place.path)
    except OSError as error:
        raise FileError(f"{place.shown} cannot be read any more: {error.strerror}.") from None
    return now.st_size, now.st_mtime_ns, now.st_ino


__all__ = ["Stream", "state", "stream"]
