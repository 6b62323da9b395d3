"""JSON lines: one object of name: number per line. Strict: no NaN, no repeated name, no nesting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pofx.data.candidates import Candidate, Source, counted
from pofx.data.places import Place
from pofx.data.text import Lines
from pofx.errors import FileError
from pofx.validation import check_memory, detect_decimals
from pofx.validation.columns import printable

_BLOCK = 16_384
_KINDS: dict[type, str] = {str: "text", dict: "an object", list: "a list"}


class JsonColumn:
    """What is known of one column so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cells: list[Any] = []
        self.odd: tuple[int, Any] | None = None
        self.odd_count = self.bools = self.floats = self.wholes = self.rounded = 0

    def numbers(self, lines: list[int], na: frozenset[str], fail: Any) -> NDArray[np.float64]:
        """Return the numbers of the cells collected since the last call."""
        values = np.full(len(self.cells), np.nan)
        for i, cell in enumerate(self.cells):
            kind = type(cell)
            if cell is None or (kind is str and cell in na):
                continue
            if kind is float:
                self.floats += 1
                values[i] = cell
            elif kind is int:
                self.wholes += 1
                try:
                    values[i] = cell
                except OverflowError:
                    values[i] = np.inf
                self.rounded += not -(2**53) <= cell <= 2**53 and values[i] != cell
            elif kind is bool:
                self.bools += 1
                values[i] = cell
            else:
                self.odd_count += 1
                if self.odd is None:
                    self.odd = lines[i], cell
            if values[i] in (np.inf, -np.inf):
                raise fail(lines[i], f"{printable(self.name)} is beyond float64 (about 1.8e308).")
        self.cells = []
        return values

    @property
    def dtype(self) -> str:
        """Name of the dtype of the numbers so far."""
        if self.bools and not self.floats and not self.wholes:
            return "bool"
        return "int64" if self.wholes and not self.floats and not self.bools else "float64"

    def why_not(self) -> str:
        """Return why this is no column of numbers, or an empty string."""
        many = self.bools + self.floats + self.wholes
        if self.odd is not None and self.odd_count >= max(1, many):
            return f"{_KINDS[type(self.odd[1])]}, first in line {self.odd[0]}: {str(self.odd[1])!r:.40}"
        return "" if many or self.odd is not None else "no value in any row"


class JsonTable:
    """One pass over a file of JSON lines."""

    def __init__(self, place: Place, file: IO[bytes], *, gzipped: bool, na: frozenset[str]) -> None:
        self.place, self.na, self.gzipped = place, na, gzipped
        self.lines = Lines(place, file, gzipped=gzipped)
        self.columns: dict[str, JsonColumn] = {}
        self.n = 0
        decoder = json.JSONDecoder(object_pairs_hook=_no_repetition, parse_constant=_no_constant)
        self.decode = decoder.decode

    def blocks(self) -> Iterator[dict[str, NDArray[np.float64]]]:
        """Yield the numbers by name; a name that comes up late has none before."""
        numbers: list[int] = []
        for number, line in self._rows():
            numbers.append(number)
            row = self._object(number, line)
            for name in [name for name in row if name not in self.columns]:
                self.columns[name] = JsonColumn(name)
                self.columns[name].cells = [None] * (len(numbers) - 1)
            for name, column in self.columns.items():
                column.cells.append(row.get(name))
            if len(numbers) == _BLOCK:
                yield self._block(numbers)
                numbers = []
        if numbers:
            yield self._block(numbers)
        if not self.n:
            raise FileError(f"{self.place.shown} is empty: there is no row in it.")

    def _block(self, numbers: list[int]) -> dict[str, NDArray[np.float64]]:
        self.n += len(numbers)
        columns = self.columns.items()
        return {name: column.numbers(numbers, self.na, self.lines.fail) for name, column in columns}

    def _rows(self) -> Iterator[tuple[int, str]]:
        for first, text in self.lines:
            for i, line in enumerate(text.split("\n")):
                if line and not line.isspace():
                    yield first + i, line

    def _object(self, number: int, line: str) -> dict[str, Any]:
        try:
            row = self.decode(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", None) or str(error)
            raise self.lines.fail(
                number, f'no JSON object: {reason}. Expected one per line, such as {{"x": 1.5}}.'
            ) from None
        if not isinstance(row, dict):
            raise self.lines.fail(number, f"a JSON {type(row).__name__}; expected an object with names.")
        return row

    def problem(self, column: JsonColumn) -> FileError | None:
        """Return the error of a column of numbers that holds something else, or None."""
        if column.odd is None:
            return None
        line, cell = column.odd
        return self.lines.fail(
            line,
            f"{printable(column.name)}: {str(cell)!r:.40} is {_KINDS[type(cell)]}, but others are numbers. "
            "Correct it, make it null if the value is missing, or leave the column out with drop=.",
        )

    def notes(self) -> list[str]:
        """Return what was read, line by line."""
        words = "".join(f", {word}" for word in (self.lines.encoding, "gzip" if self.gzipped else "") if word)
        shape = f"{counted(self.n, 'row')}, {counted(len(self.columns), 'column')}"
        return [f"{self.place.name}: JSON lines{words}: {shape}"]


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {printable(twice)!r} comes twice")
    return row


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON; a missing value is null")


def read_json_lines(place: Place, *, gzipped: bool, na: frozenset[str]) -> Source:
    """Read JSON lines: a column per name; a name that is not in a line, or null, is a missing value.

    Raises
    ------
    FileError
        for anything but one object per line, repeated names, NaN, and numbers beyond float64.
    """
    parts: dict[str, list[NDArray[np.float64]]] = {}
    with place.path.open("rb") as file:
        table = JsonTable(place, file, gzipped=gzipped, na=na)
        n = 0
        for block in table.blocks():
            for name, values in block.items():
                parts.setdefault(name, [np.full(n, np.nan)] if n else []).append(values)
            n = table.n
            check_memory(16.0 * n * len(parts), f"Reading {place.shown}")
    candidates = []
    for name, column in table.columns.items():
        if why := column.why_not():
            candidates.append(Candidate(name, None, why_not=why))
        elif (error := table.problem(column)) is not None:
            candidates.append(Candidate(name, np.concatenate(parts.pop(name)), column.dtype, error=error))
        else:
            values = np.concatenate(parts.pop(name))
            warning = ""
            if column.rounded:
                warning = f"{printable(name)}: whole numbers beyond 2**53 were rounded to the nearest float64"
            decimals = 0 if column.dtype in ("int64", "bool") else detect_decimals(values, "float64")
            candidates.append(Candidate(name, values, column.dtype, decimals, warning=warning))
    return Source(candidates, table.n, table.notes())


__all__ = ["JsonTable", "read_json_lines"]
