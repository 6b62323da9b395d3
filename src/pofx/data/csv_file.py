"""Strict CSV: what cannot be read with certainty is refused with file, line and column.

Python's ``csv`` splits the lines, because it is the reader here that knows the line of every record; the
numbers are parsed a column of a chunk at a time, by ``float`` after a check that no character is there
which only ``float`` would take for part of a number (``1_000``, ``infinity``, full-width digits).
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pofx.data.candidates import Candidate, Source, counted
from pofx.errors import FileError, PofxWarning
from pofx.validation import check_memory
from pofx.validation.columns import MOST_DECIMALS, printable

_CHUNK = 16_384  # records
_LONGEST_LINE = 2**24  # characters
_GZIP_FREE, _GZIP_RATIO = 2**26, 100  # a gzip file may grow to 64 MiB, then 100-fold
_PLAIN = frozenset("0123456789+-.eE \t\n")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE | re.ASCII)
MISSING = frozenset(["", "NA", "N/A", "NaN", "nan", "NULL", "null"])


def read_csv(path: Path, *, gzipped: bool) -> Source:
    """Read comma-separated text, with or without a header.

    A first row of plain numbers is data, and the notes say so. Empty cells, NA, NaN and NULL are missing.

    Raises
    ------
    FileError
        for ragged rows, duplicate names, infinite or overflowing numbers, broken quotes, NUL bytes, text
        that is not UTF-8, and files without rows: with file, line and column.
    """
    try:
        with path.open("rb") as raw:
            unpacked: IO[bytes] = gzip.GzipFile(fileobj=raw) if gzipped else raw  # type: ignore[assignment]
            # a byte that is not UTF-8 becomes a lone surrogate, so that its line can be told
            text = io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="surrogateescape", newline="")
            with text:
                budget = max(_GZIP_FREE, _GZIP_RATIO * path.stat().st_size) if gzipped else None
                return _Reader(path, text, budget).read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{printable(path)}: this gzip file is damaged or truncated: {error}") from None


class _Reader:
    """One pass over the lines of a file."""

    def __init__(self, path: Path, text: io.TextIOWrapper, budget: int | None) -> None:
        self.path, self.text, self.budget = path, text, budget
        self.line = 0
        self.blank = 0
        self.ends_in_newline = True

    def fail(self, line: int, what: str) -> FileError:
        return FileError(f"{printable(self.path)}, line {line}: {what}")

    def read(self) -> Source:
        chunks = self.chunks()
        rows, lines = next(chunks, ([], []))
        if not rows:
            raise FileError(f"{printable(self.path)} is empty: there is no row in it.")
        width, top = len(rows[0]), lines[0]
        self.check_widths(rows, lines, width, top, rows[0])
        names, note = self.header(rows, lines)
        first, first_line = rows[0], top
        if names is not None:
            rows, lines = rows[1:], lines[1:]
        columns = [_Column(self, name, j) for j, name in enumerate(names or [None] * width)]
        n = 0
        while True:
            for column, cells in zip(columns, zip(*rows, strict=True), strict=False):
                column.add(cells, lines)
            n += len(rows)
            check_memory(16.0 * n * width, f"Reading {self.path}")
            rows, lines = next(chunks, ([], []))
            if not rows:
                break
            self.check_widths(rows, lines, width, first_line, first)
        if n == 0:
            raise FileError(
                f"{printable(self.path)} has a header but no rows: {', '.join(map(printable, first))}."
            )
        notes = [f"{self.path.name}: {counted(n, 'row')}, {counted(width, 'column')}; {note}"]
        if self.blank:
            notes.append(f"{counted(self.blank, 'blank line')} skipped")
        if not self.ends_in_newline:
            notes.append("the last line has no end: if the file was cut off, its last number may be wrong")
        return Source([column.finish() for column in columns], n, notes)

    def lines(self) -> Iterator[str]:
        """Yield the lines, bounded in length and number, refusing bytes that are no text."""
        characters = 0
        while line := self.text.readline(_LONGEST_LINE):
            self.line += 1
            characters += len(line)
            if len(line) >= _LONGEST_LINE:
                raise self.fail(self.line, f"longer than {_LONGEST_LINE} characters; is this a CSV file?")
            if self.budget is not None and characters > self.budget:
                raise self.fail(
                    self.line,
                    f"this gzip file has grown to more than {_GZIP_RATIO} times its size, like one made to "
                    "fill the memory. If it is right, unpack it first.",
                )
            if "\0" in line:
                raise self.fail(self.line, "a NUL byte; this is no CSV file, or it is damaged.")
            if not line.isascii() and any("\ud800" <= c <= "\udfff" for c in line):
                raise self.fail(self.line, "not UTF-8 text; save the file as UTF-8 first.")
            yield line
            self.ends_in_newline = line[-1] in "\r\n"

    def chunks(self) -> Iterator[tuple[list[list[str]], list[int]]]:
        """Yield records with the line each starts in."""
        reader = csv.reader(self.lines(), strict=True, skipinitialspace=True)
        rows: list[list[str]] = []
        lines: list[int] = []
        start = 1
        try:
            for row in reader:
                if row and (len(row) > 1 or row[0].strip()):
                    rows.append(row)
                    lines.append(start)
                else:
                    self.blank += 1
                start = reader.line_num + 1
                if len(rows) == _CHUNK:
                    yield rows, lines
                    rows, lines = [], []
        except csv.Error as error:
            raise self.fail(start, f"{error} (are the quotes balanced?)") from None
        yield rows, lines

    def check_widths(
        self, rows: list[list[str]], lines: list[int], width: int, top: int, first: list[str]
    ) -> None:
        if set(map(len, rows)) == {width}:
            return
        odd = next(i for i, row in enumerate(rows) if len(row) != width)
        hint = ""
        if any(mark in cell for mark in (";", "\t") for cell in first):
            hint = " The first line holds semicolons or tabs: only commas separate columns here."
        elif len(rows[odd]) == width + 1 and not rows[odd][-1].strip():
            hint = " The line ends in a comma."
        elif len(rows[odd]) == width + 1:
            hint = " Is a name missing in the first line?"
        fields = counted(len(rows[odd]), "field")
        raise self.fail(lines[odd], f"{fields}; expected {width}, as in line {top}.{hint}")

    def header(self, rows: list[list[str]], lines: list[int]) -> tuple[list[str] | None, str]:
        """Return the names, or None if the first row is data, and a note that says which.

        A first row without a word is data. One without a number is a header. One with both is a header if a
        word of it stands above a number, data if its words stand above words.
        """
        first = [cell.strip() for cell in rows[0]]
        numeric = [
            _NUMBER.fullmatch(cell) is not None or _INFINITE.fullmatch(cell) is not None for cell in first
        ]
        word = [not is_number and cell not in MISSING for cell, is_number in zip(first, numeric, strict=True)]
        data = any(numeric) and not any(word)
        if any(numeric) and any(word):
            data = not any(
                is_word and any(_NUMBER.fullmatch(row[j].strip()) for row in rows[1:])
                for j, is_word in enumerate(word)
            )
        if data and first == ["", *map(str, range(len(first) - 1))]:
            data = False  # pandas writes this above the rows of a frame without names
        names = [cell or f"column {j}" for j, cell in enumerate(first)]
        if any(numeric) and any(word):  # it cannot be told for certain
            judged = "data: words stand above words" if data else "names: a word stands above a number"
            note = f"the first row holds numbers and words and was taken for {judged}"
            warnings.warn(f"{self.path.name}, line {lines[0]}: {note}.", PofxWarning, stacklevel=2)
        elif data:
            note = "the first row holds plain numbers, so it is data and the columns are numbered from 0"
        else:
            note = "the first row holds the names"
        if data:
            return None, note
        for j, name in enumerate(names):
            if name in names[:j]:
                raise self.fail(
                    lines[0],
                    f"columns {names.index(name) + 1} and {j + 1} are both called {printable(name)!r}; each "
                    "needs its own name.",
                )
        return names, note


def _places(cell: str) -> int:
    """Return the decimal places of a number as written, also with an exponent."""
    return max(0, -int(Decimal(cell.strip()).normalize().as_tuple().exponent))


class _Column:
    """What is known of one column so far."""

    def __init__(self, reader: _Reader, name: str | None, j: int) -> None:
        self.reader, self.name = reader, name
        self.label = f"column {j + 1}" + (f" ({printable(name)})" if name is not None else "")
        self.parts: list[NDArray[np.float64]] = []
        self.numbers = self.words = 0
        self.first_word: tuple[int, str] | None = None
        self.first_infinite: tuple[int, str] | None = None
        self.decimals: int | None = 0
        self.whole = True

    def add(self, cells: tuple[str, ...], lines: list[int]) -> None:
        """Take the cells of one chunk."""
        characters = set("\n".join(cells))
        if characters <= _PLAIN:
            try:
                values = np.array(list(map(float, cells)))
            except ValueError:  # an empty cell, or a word such as "-"
                self.add_slowly(cells, lines)
                return
            if np.isinf(values).any():
                self.add_slowly(cells, lines)
                return
            self.numbers += len(cells)
            self.parts.append(values)
            self.measure(cells, characters)
        else:
            self.add_slowly(cells, lines)

    def add_slowly(self, cells: tuple[str, ...], lines: list[int]) -> None:
        """Judge cell by cell."""
        values = np.full(len(cells), np.nan)
        numbers = []
        for i, cell in enumerate(cells):
            text = cell.strip()
            if text in MISSING:
                continue
            if _NUMBER.fullmatch(text):
                values[i] = float(text)
                numbers.append(text)
                if np.isinf(values[i]) and self.first_infinite is None:
                    self.first_infinite = (lines[i], f"{text:.40} is beyond float64 (about 1.8e308)")
            elif _INFINITE.fullmatch(text):
                if self.first_infinite is None:
                    self.first_infinite = (lines[i], f"{text} is no measurement")
                self.numbers += 1
            else:
                self.words += 1
                if self.first_word is None:
                    self.first_word = (lines[i], text)
        self.numbers += len(numbers)
        self.parts.append(values)
        self.measure(tuple(numbers), set("".join(numbers)))

    def measure(self, cells: tuple[str, ...], characters: set[str]) -> None:
        """Widen the recorded decimal places; zeros at the end are formatting, not precision."""
        if characters & set("eE."):
            self.whole = False
        if self.decimals is None or not characters & set("eE."):
            return
        if characters & set("eE"):
            places = max(map(_places, cells))
        else:
            trimmed = [cell.rstrip().rstrip("0") for cell in cells if "." in cell]
            places = max(len(cell) - cell.index(".") - 1 for cell in trimmed)
        self.decimals = max(self.decimals, places) if places <= MOST_DECIMALS else None

    def finish(self) -> Candidate:
        """Numbers, a reason to set the column aside, or an error."""
        values = np.concatenate(self.parts)
        self.parts = []
        if self.words:
            assert self.first_word is not None
            line, word = self.first_word
            shown = repr(word if len(word) <= 40 else word[:37] + "...")
            if self.words >= max(1, self.numbers):
                some = "" if not self.numbers else f" in {self.words} of {self.words + self.numbers} rows"
                return Candidate(self.name, None, why_not=f"text{some}, first {shown} in line {line}")
            error = self.reader.fail(
                line,
                f"{self.label}: {shown} is not a number, but {self.numbers} others are. Correct it, empty "
                "the cell if the value is missing, or leave the column out with drop=.",
            )
            return Candidate(self.name, None, error=error)
        if self.first_infinite is not None:
            line, what = self.first_infinite
            return Candidate(self.name, None, error=self.reader.fail(line, f"{self.label}: {what}."))
        if not self.numbers:
            return Candidate(self.name, None, why_not="no value in any row")
        most = np.nanmax(np.abs(values))
        dtype = "int64" if self.whole and most < 2.0**63 else "float64"
        warning = ""
        if self.whole and most >= 2.0**53:
            warning = f"{self.label}: whole numbers beyond 2**53 were rounded to the nearest float64"
        return Candidate(self.name, values, dtype, self.decimals, warning=warning)
