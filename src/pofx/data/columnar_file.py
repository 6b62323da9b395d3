"""Parquet and Arrow files, streamed: only columns of numbers are ever decoded, a block of rows at a time.

Parquet is read with page checksums verified and without pre-buffering, whose default holds the whole file.
Sizes are taken from footers and message headers before anything is decoded.
"""

from __future__ import annotations

import contextlib
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.data.arrow_columns import dtype_name, numbers, why_not
from pofx.data.candidates import MOST_COLUMNS, Candidate, Source, counted
from pofx.data.places import Place
from pofx.errors import FileError, MemoryLimitError, PofxError
from pofx.optional import need
from pofx.validation import check_memory, detect_decimals
from pofx.validation.columns import printable

_ROWS = 131_072  # of a block


class Columnar:
    """A Parquet, Arrow or Feather file; ``kind`` is "Parquet", "Arrow" or "Arrow stream".

    Attributes
    ----------
    names, types : of all columns
    n : rows, or None where the file does not say without being read
    """

    def __init__(self, place: Place, kind: str) -> None:
        self.place, self.kind = place, kind
        need("pyarrow", why=f"{place.name} is a {kind} file")
        self.n: int | None = None
        self.detail = ""
        with self._open() as file:
            schema = file.schema_arrow if kind == "Parquet" else file.schema
            self.names, self.types = list(schema.names), list(schema.types)
            if kind == "Parquet":
                self.n = file.metadata.num_rows
                self.detail = counted(file.num_row_groups, "row group")
        if len(self.names) > MOST_COLUMNS:
            raise FileError(
                f"{place.shown} has {len(self.names):,} columns; at most {MOST_COLUMNS:,} are read."
            )
        repeated = [name for name, times in Counter(self.names).items() if times > 1]
        if repeated:
            raise FileError(
                f"{place.shown}: more than one column is called {printable(repeated[0])!r}; each needs "
                "its own name."
            )
        self.why_not = [why_not(kind) for kind in self.types]
        self.rounded = [0] * len(self.names)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        with self._explained():
            if self.kind == "Parquet":
                from pyarrow import parquet

                with parquet.ParquetFile(
                    self.place.path,
                    pre_buffer=False,
                    buffer_size=2**20,
                    page_checksum_verification=True,
                    thrift_string_size_limit=2**26,
                    thrift_container_size_limit=2**22,
                ) as file:
                    yield file
                return
            import pyarrow as pa

            opened = pa.ipc.open_file if self.kind == "Arrow" else pa.ipc.open_stream
            with pa.memory_map(str(self.place.path)) as raw, opened(raw) as file:
                yield file

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Whatever a damaged or hostile file makes the reader raise becomes one clear error."""
        try:
            yield
        except (PofxError, GeneratorExit):
            raise
        except MemoryError:
            raise MemoryLimitError(f"{self.place.shown}: there is not enough memory to unpack it.") from None
        except Exception as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise FileError(
                f"{self.place.shown}: this {self.kind} file is damaged, truncated or of an unknown kind: "
                f"{reason:.200}"
            ) from None

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[NDArray[np.float64]]]:
        """Yield the numbers of the wanted columns, block by block."""
        names = [self.names[j] for j in wanted]
        self.rounded = [0] * len(self.names)
        seen = 0
        with self._open() as file:
            for batch in self._batches(file, names):
                out = []
                for j, name in zip(wanted, names, strict=True):
                    values, rounded = numbers(batch.column(batch.schema.get_field_index(name)))
                    self.rounded[j] += rounded
                    out.append(values)
                seen += batch.num_rows
                if batch.num_rows:
                    yield out
            if self.n is not None and seen != self.n:
                raise FileError(
                    f"{self.place.shown}: the footer promises {self.n:,} rows, but there are {seen:,}: it is "
                    "damaged."
                )

    def cells_of(self, j: int) -> Iterator[list[str]]:
        """Yield the values of column j as text, block by block; "" where one is missing."""
        with self._open() as file:
            for batch in self._batches(file, [self.names[j]]):
                values = batch.column(batch.schema.get_field_index(self.names[j])).to_pylist()
                yield ["" if value is None else str(value) for value in values]

    def _batches(self, file: Any, names: list[str]) -> Iterator[Any]:
        rows = min(_ROWS, max(1024, 2**22 // max(1, len(names))))
        if self.kind == "Parquet":
            if names:
                yield from file.iter_batches(batch_size=rows, columns=names, use_threads=False)
            return
        self._check_messages()
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(included_fields=[self.names.index(name) for name in names])
        opened = pa.ipc.open_file if self.kind == "Arrow" else pa.ipc.open_stream
        with pa.memory_map(str(self.place.path)) as raw:
            reader = opened(raw, options=options)
            batches = (
                (reader.get_batch(i) for i in range(reader.num_record_batches))
                if self.kind == "Arrow"
                else reader
            )
            for batch in batches:
                batch.validate()
                for start in range(0, batch.num_rows, rows):
                    yield batch.slice(start, rows)

    def _check_messages(self) -> None:
        """Refuse a batch that would unpack to more than the memory there is, before it is unpacked."""
        import pyarrow as pa

        with self._explained(), pa.memory_map(str(self.place.path)) as raw:
            if self.kind == "Arrow":
                raw.seek(8)  # the stream follows b"ARROW1" and its padding
            for message in pa.ipc.MessageReader.open_stream(raw):
                if message.type == "record batch":
                    needed = unpacked_size(message.metadata.to_pybytes(), message.body)
                    check_memory(needed, f"Unpacking {self.place.shown}")

    def notes(self, n: int) -> list[str]:
        """Return what was read, line by line."""
        detail = f" ({self.detail})" if self.detail else ""
        shape = f"{counted(n, 'row')}, {counted(len(self.names), 'column')}"
        return [f"{self.place.name}: {self.kind}{detail}: {shape}"]

    def rounding(self, j: int) -> str:
        """Return a warning for whole numbers that float64 cannot hold."""
        if not self.rounded[j]:
            return ""
        label = printable(self.names[j])
        return f"{label}: {self.rounded[j]:,} whole numbers beyond 2**53 were rounded to the nearest float64"


def read_columnar(place: Place, kind: str) -> Source:
    """Read all columns of numbers of a Parquet, Arrow or Feather file.

    Nested columns, decimals, dates, text and categories are candidates without numbers, with the reason.

    Raises
    ------
    FileError
        for a damaged or truncated file, one without rows, or two columns of one name.
    MemoryLimitError
        if its numbers would not fit into memory, told from the footer.
    """
    file = Columnar(place, kind)
    wanted = [j for j, why in enumerate(file.why_not) if not why]
    if file.n is not None:
        check_memory(3.0 * 8 * file.n * len(wanted), f"Reading {file.n:,} rows of {place.shown}")
    parts: list[list[NDArray[np.float64]]] = [[] for _ in wanted]
    n = 0
    for block in file.blocks(wanted):
        for part, values in zip(parts, block, strict=True):
            part.append(values)
        n += len(block[0])
        check_memory(24.0 * n * len(wanted), f"Reading {place.shown}")
    n = n if wanted else (file.n or 0)
    if (n == 0 and wanted) or not file.names:
        raise FileError(f"{place.shown} has {counted(len(file.names), 'column')} but no rows.")
    candidates = [
        Candidate(name, None, why_not=why) for name, why in zip(file.names, file.why_not, strict=True)
    ]
    for j, part in zip(wanted, parts, strict=True):
        values = np.concatenate(part)
        part.clear()
        dtype = dtype_name(file.types[j])
        candidates[j] = Candidate(
            file.names[j], values, dtype, detect_decimals(values, dtype), warning=file.rounding(j)
        )
    return Source(candidates, n, file.notes(n))


def unpacked_size(metadata: bytes, body: Any) -> float:
    """Return the bytes that a record batch takes once unpacked, and as float64 rows, from its header.

    The header is a FlatBuffers table (Arrow format, Message.fbs): Message.header is a RecordBatch of
    length, nodes, buffers and compression; a compressed buffer begins with its unpacked length.
    """

    def field(table: int, i: int) -> int | None:
        vtable = table - struct.unpack_from("<i", metadata, table)[0]
        if 4 + 2 * i >= struct.unpack_from("<H", metadata, vtable)[0]:
            return None
        offset = struct.unpack_from("<H", metadata, vtable + 4 + 2 * i)[0]
        return table + offset if offset else None

    def follow(at: int) -> int:
        return int(at + struct.unpack_from("<I", metadata, at)[0])

    header = field(follow(0), 2)
    if header is None:
        return 0.0
    batch = follow(header)
    rows, nodes, buffers = field(batch, 0), field(batch, 1), field(batch, 2)
    length = 0 if rows is None else struct.unpack_from("<q", metadata, rows)[0]
    columns = 0 if nodes is None else struct.unpack_from("<I", metadata, follow(nodes))[0]
    total = 8.0 * length * columns
    if buffers is None or field(batch, 3) is None:
        return total
    start = follow(buffers)
    for i in range(struct.unpack_from("<I", metadata, start)[0]):
        offset, size = struct.unpack_from("<qq", metadata, start + 4 + 16 * i)
        if size >= 8:
            total += max(0, int.from_bytes(body[offset : offset + 8], "little", signed=True))
    return total


__all__ = ["Columnar", "read_columnar", "unpacked_size"]
