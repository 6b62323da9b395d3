"""Strict text tables: what cannot be read with certainty is refused with file, line and column.

Lines are split here rather than by a faster reader, because here the line of every record is known; numbers
are parsed a column of a block at a time (:mod:`pofx.data.csv_column`).
"""

from __future__ import annotations

import csv
import itertools
import warnings
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pofx.data.candidates import MOST_COLUMNS, Source, counted
from pofx.data.csv_column import MISSING, TextColumn
from pofx.data.dialect import SPACE, Dialect, sniff
from pofx.data.header import judge_first_row, names_from_comment
from pofx.data.places import Place
from pofx.data.text import Lines
from pofx.errors import FileError, PofxWarning
from pofx.validation import check_memory
from pofx.validation.columns import printable

_COMMENTS = 1000  # that are looked at

Records = tuple[list[list[str]], Sequence[int]]  # records, and the line that each starts in


def read_csv(
    place: Place, *, gzipped: bool, na: frozenset[str] = frozenset(), header: bool | None = None
) -> Source:
    """Read a text table: the delimiter, the decimal mark and the header are told from its lines.

    A first row of plain numbers is data, and the notes say so. Empty cells, NA, NaN and NULL are missing, and
    what ``na`` names. Lines that begin with ``#`` are comments.

    Raises
    ------
    FileError
        for ragged rows, duplicate names, infinite or overflowing numbers, broken quotes, NUL bytes, files
        without rows and more than 100,000 columns: with file, line and column.
    """
    with place.path.open("rb") as file:
        table = TextTable(place, file, gzipped=gzipped, na=na, header=header)
        parts: list[list[NDArray[np.float64]]] = [[] for _ in table.columns]
        for block in table.blocks():
            for part, values in zip(parts, block, strict=True):
                part.append(values)
            check_memory(16.0 * table.n * len(parts), f"Reading {place.shown}")
    candidates = []
    for column, part in zip(table.columns, parts, strict=True):
        candidates.append(column.finish(np.concatenate(part)))
        part.clear()
    return Source(candidates, table.n, table.notes())


class TextTable:
    """One pass over a text table. Its columns are known once it is made, their numbers block by block.

    Attributes
    ----------
    columns : what is known of each column so far
    n : rows so far
    """

    def __init__(
        self,
        place: Place,
        file: IO[bytes],
        *,
        gzipped: bool,
        na: frozenset[str] = frozenset(),
        header: bool | None = None,
    ) -> None:
        self.place, self.gzipped = place, gzipped
        self.lines = Lines(place, file, gzipped=gzipped)
        self.dialect = Dialect()
        self.n = self.blank = self.comments = 0
        self.some_comments: list[tuple[int, str]] = []
        self._blocks = iter(self.lines)
        self._records = self._split()
        rows, lines = next(self._records, ([], []))
        if not rows:
            raise FileError(f"{place.shown} is empty: there is no row in it.")
        self.width, self.top, self.first = len(rows[0]), lines[0], rows[0]
        if self.width > MOST_COLUMNS:
            raise self.lines.fail(
                self.top,
                f"{self.width:,} columns; at most {MOST_COLUMNS:,} are read. If these are rows, transpose "
                "the table; otherwise keep only the columns you need, or split it into several files.",
            )
        self._check_widths(rows, lines)
        names, self.note = judge_first_row(self, rows, lines, header)
        if names is None and header is None:
            above = [comment for number, comment in self.some_comments if number < self.top]
            names = names_from_comment(above[-1], self.width, self.dialect) if above else None
            if names is not None:
                self.note = "the names are those of the comment above the first row"
        else:
            if names is not None:
                rows, lines = rows[1:], lines[1:]
        self._head = rows, lines
        self.names = names
        self.columns = [
            TextColumn(name, j, self.dialect, MISSING | na, self.lines.fail)
            for j, name in enumerate(names or [None] * self.width)
        ]

    def blocks(self, wanted: Sequence[int] | None = None) -> Iterator[list[NDArray[np.float64]]]:
        """Yield the numbers of the (wanted) columns of each block; at the end say what is in doubt."""
        columns = list(enumerate(self.columns)) if wanted is None else [(j, self.columns[j]) for j in wanted]
        for rows, lines in itertools.chain([self._head], self._records):
            if not rows:
                continue
            self._check_widths(rows, lines)
            cells = list(zip(*rows, strict=True))
            self.n += len(rows)
            yield [column.add(cells[j], lines) for j, column in columns]
        if self.n == 0:
            names = ", ".join(map(printable, self.first))
            raise FileError(f"{self.place.shown} has a header but no rows: {names}.")
        self._say_doubts()

    def cells_of(self, j: int) -> Iterator[list[str]]:
        """Yield the cells of column j as they are written, block by block."""
        for rows, lines in itertools.chain([self._head], self._records):
            if rows:
                self._check_widths(rows, lines)
                self.n += len(rows)
                yield [row[j].strip() for row in rows]

    # ---------------------------------------------------------------- lines to records

    def _split(self) -> Iterator[Records]:
        """Yield the records of each block of lines."""
        for number, text in self._blocks:
            if not hasattr(self, "width"):  # the first block with a row in it
                self.dialect = sniff(text.split("\n"))
            if '"' in text:
                rows, lines = self._split_quoted(number, text)
            else:
                kept, lines = self._without_comments(number, text.split("\n"), "#" in text)
                if self.dialect.delimiter == SPACE:
                    rows = list(map(str.split, kept))
                else:
                    delimiter = self.dialect.delimiter
                    rows = [line.split(delimiter) for line in kept]
            if rows:
                yield rows, lines

    def _without_comments(
        self, number: int, lines: list[str], comments: bool
    ) -> tuple[list[str], Sequence[int]]:
        """Return the lines that hold a row, and their numbers."""
        numbers: Sequence[int] = range(number, number + len(lines))
        if not comments and "" not in lines and not any(map(str.isspace, lines)):
            return lines, numbers
        rows = [(line, i) for line, i in zip(lines, numbers, strict=True) if not self._skips(line, i)]
        return [line for line, _ in rows], [i for _, i in rows]

    def _skips(self, line: str, number: int) -> bool:
        """Tell whether a line holds no row: it is blank, or a comment. A line of tabs is a row of gaps."""
        blank = line.strip(" \n") if self.dialect.delimiter == "\t" else line.strip()
        if not blank:
            self.blank += 1
            return True
        if not blank.startswith("#"):
            return False
        self.comments += 1
        if len(self.some_comments) < _COMMENTS:
            self.some_comments.append((number, blank))
        return True

    def _split_quoted(self, number: int, text: str) -> Records:
        """Split lines with quotes; a quoted field may hold line ends, also beyond the end of the block."""
        rows: list[list[str]] = []
        lines: list[int] = []
        feed = _Feed(number, text, self._blocks)
        reader: Iterator[list[str]]
        if self.dialect.delimiter == SPACE:
            reader = (self.dialect.split(line) for line in feed)
        else:
            reader = csv.reader(feed, delimiter=self.dialect.delimiter, strict=True, skipinitialspace=True)
        while (line := feed.peek()) is not None:
            start = feed.number
            if self._skips(line, start):
                next(feed)
                continue
            feed.inside = False
            try:
                row = next(reader)
            except csv.Error as error:
                raise self.lines.fail(start, f"{error} (are the quotes balanced?)") from None
            rows.append(row)
            lines.append(start)
        return rows, lines

    def _check_widths(self, rows: list[list[str]], lines: Sequence[int]) -> None:
        if set(map(len, rows)) <= {self.width}:
            return
        odd = next(i for i, row in enumerate(rows) if len(row) != self.width)
        hint, many = "", len(rows[odd])
        if self.width == 1 and many == 2 and self.dialect.delimiter == ",":
            hint = " If this is a decimal comma, write a point."
        elif many == self.width + 1 and not rows[odd][-1].strip():
            hint = " The line ends in a comma."
        elif many == self.width + 1:
            hint = " Is a name missing in the first line? (R's write.table needs col.names=NA.)"
        elif self.dialect.delimiter == SPACE:
            hint = " Words with spaces in them need quotes, and a missing value needs NA."
        elif odd == len(rows) - 1 and not self.lines.ends_in_newline:
            hint = " The file ends here without a line end: it was probably cut off."
        raise self.lines.fail(
            lines[odd], f"{counted(many, 'field')}; expected {self.width}, as in line {self.top}.{hint}"
        )

    # ---------------------------------------------------------------- what is said at the end

    def notes(self) -> list[str]:
        """Return what was read, line by line."""
        how = str(self.dialect) if self.width > 1 else "text, one column"
        how += "".join(f", {word}" for word in (self.lines.encoding, "gzip" if self.gzipped else "") if word)
        shape = f"{counted(self.n, 'row')}, {counted(self.width, 'column')}"
        notes = [f"{self.place.name}: {how}: {shape}; {self.note}"]
        skipped = [
            counted(count, word)
            for count, word in ((self.blank, "blank line"), (self.comments, "comment line"))
            if count
        ]
        if skipped:
            notes.append(f"{' and '.join(skipped)} skipped")
        if not self.lines.ends_in_newline:
            notes.append("the last line has no end: if the file was cut off, its last number may be wrong")
        return notes

    def _say_doubts(self) -> None:
        doubts = [f": {self.dialect.doubt}"] if self.dialect.doubt else []
        if self.lines.first_latin is not None:
            doubts.append(f", line {self.lines.first_latin}: not UTF-8; read as Latin-1 (Windows-1252)")
        if (hidden := self._comment_like_a_row()) is not None:
            doubts.append(
                f", line {hidden}: it begins with # and was skipped as a comment, but it has as many "
                "fields as a row"
            )
        if not self.lines.ends_in_newline and (cell := self.columns[-1].looks_cut()):
            doubts.append(
                f": the file ends in {cell!r} without a line end, and every number above it is longer; it "
                "may have been cut off in the middle of that number"
            )
        for doubt in doubts:
            warnings.warn(f"{self.place.name}{doubt}.", PofxWarning, stacklevel=2)
            self.note += f"; {doubt.lstrip(':, ')}"

    def _comment_like_a_row(self) -> int | None:
        for number, comment in self.some_comments:
            fields = comment.replace('"', "").lstrip("# ")
            cells = self.dialect.split(fields) if number > self.top and self.width > 1 else []
            if len(cells) == self.width and any(self.dialect.is_number(cell.strip()) for cell in cells):
                return number
        return None


class _Feed:
    """Lines for ``csv.reader``; inside a record it goes on into the next block of lines."""

    def __init__(self, number: int, text: str, more: Iterator[tuple[int, str]]) -> None:
        self.lines, self.at, self.more = text.split("\n"), 0, more
        self.number = number
        self.inside = False

    def peek(self) -> str | None:
        return self.lines[self.at] if self.at < len(self.lines) else None

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self.at == len(self.lines):
            block = next(self.more, None) if self.inside else None
            if block is None:
                raise StopIteration
            self.lines, self.at = block[1].split("\n"), 0
        line = self.lines[self.at]
        self.at += 1
        self.number += 1
        self.inside = True
        return line + "\n"


__all__ = ["TextTable", "read_csv"]
