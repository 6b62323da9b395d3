"""Every cell of the files behind a table, as text: what a table sets aside is kept where rows are passed on.

>>> from pofx.data.cells import opened
>>> with opened("faithful.csv") as (found, cells):  # doctest: +SKIP
...     for row in cells:
...         print(row)
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from pofx.data.candidates import Source
from pofx.data.columnar_file import Columnar
from pofx.data.csv_file import TextTable
from pofx.data.formats import Format, identify
from pofx.data.join import joined, match
from pofx.data.json_lines import JsonTable
from pofx.data.openers import from_file, open_source
from pofx.data.places import Place, places
from pofx.errors import FileError

__all__ = ["Cells", "opened"]


class Cells:
    """The rows of some files as lists of text, in order; the columns are those of the first file.

    Attributes
    ----------
    names : of the columns, or None
    n : rows
    """

    def __init__(
        self,
        found: Source,
        files: Sequence[tuple[Place, Format, Source]] = (),
        na: frozenset[str] = frozenset(),
        header: bool | None = None,
    ) -> None:
        self.names, self.n = found.names, found.n
        self._found, self._files, self._na, self._header = found, list(files), na, header

    def __iter__(self) -> Iterator[list[str]]:
        if not self._files:
            yield from _numbers(self._found)
            return
        first, _, head = self._files[0]
        for place, form, source in self._files:
            order = match(source.names, head.names, len(source.columns), place, first, len(head.columns))
            straight = order == list(range(len(order)))
            for row in self._rows(place, form, source):
                yield row if straight else [row[j] for j in order]

    def _rows(self, place: Place, form: Format, source: Source) -> Iterator[list[str]]:
        if form.kind in ("text", "JSON lines"):
            with place.path.open("rb") as file:
                if form.kind == "text":
                    yield from _TextCells(
                        place, file, gzipped=form.gzipped, na=self._na, header=self._header
                    ).rows()
                else:
                    lines = JsonTable(place, file, gzipped=form.gzipped, na=self._na)
                    names = source.names or ()
                    for number, line in lines._rows():
                        record = lines._object(number, line)
                        yield [_text(record.get(name)) for name in names]
        elif form.kind in ("Parquet", "Arrow", "Arrow stream"):
            columnar = Columnar(place, form.kind)
            with columnar._open() as opened_file:
                for batch in columnar._batches(opened_file, columnar.names):
                    columns = [
                        batch.column(batch.schema.get_field_index(name)).to_pylist()
                        for name in columnar.names
                    ]
                    for row in zip(*columns, strict=True):
                        yield [_text(cell) for cell in row]
        else:
            yield from _numbers(source)


class _TextCells(TextTable):
    """A text table whose cells are wanted as they stand."""

    def rows(self) -> Iterator[list[str]]:
        for rows, lines in itertools.chain([self._head], self._records):
            if rows:
                self._check_widths(rows, lines)
                yield from rows


def _numbers(source: Source) -> Iterator[list[str]]:
    columns = []
    for candidate in source.columns:
        if candidate.values is None:
            columns.append([""] * source.n)
            continue
        whole = "int" in candidate.dtype or candidate.dtype == "bool"
        columns.append(
            [
                "" if value != value else str(int(value)) if whole else repr(value)
                for value in candidate.values.tolist()
            ]
        )
    for row in zip(*columns, strict=True):
        yield list(row)


def _text(cell: Any) -> str:
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, list | dict):
        return json.dumps(cell, default=str)
    return repr(cell) if isinstance(cell, float) else str(cell)


@contextlib.contextmanager
def opened(
    source: Any, *, na: frozenset[str] = frozenset(), header: bool | None = None
) -> Iterator[tuple[Source, Cells]]:
    """Yield the columns of a source, for :func:`pofx.read`, and all of its cells.

    Parameters
    ----------
    source, na, header : as for :func:`pofx.data.openers.open_source`

    Raises
    ------
    FileError, DataError
    """
    words = list(source) if isinstance(source, list) else [source]
    if any(str(word).startswith("world:") for word in words):
        found = open_source(source, na=na, header=header)
        yield found, Cells(found)
        return
    with contextlib.ExitStack() as stack:
        several = [place for word in words for place in stack.enter_context(places(word))]
        forms = [identify(place) for place in several]
        sources = [from_file(place, na, header) for place in several]
        found = joined(sources, several)
        if found.n != sum(one.n for one in sources):  # pragma: no cover
            raise FileError("The files changed while they were read.")
        yield found, Cells(found, list(zip(several, forms, sources, strict=True)), na, header)
