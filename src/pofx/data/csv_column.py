"""One column of a text file: cells in, numbers out, and what is to be said about them at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from pofx.data.candidates import Candidate
from pofx.data.dialect import INFINITE, Dialect
from pofx.errors import FileError
from pofx.validation.columns import MOST_DECIMALS, printable

MISSING = frozenset(["", "NA", "N/A", "NaN", "nan", "NULL", "null"])
_EXACT = 2.0**53
_NO_LETTERS = bytes.maketrans(b"", b"")


class TextColumn:
    """What is known of one column so far. Cells come a block at a time.

    A block whose letters can only be those of numbers is parsed by ``float`` at once; ``float`` alone would
    also take ``1_000``, ``infinity`` and full-width digits. Any other block is judged cell by cell.
    """

    def __init__(
        self,
        name: str | None,
        j: int,
        dialect: Dialect,
        missing: frozenset[str],
        fail: Callable[[int, str], FileError],
    ) -> None:
        self.name, self.dialect, self.missing, self.fail = name, dialect, missing, fail
        self.label = f"column {j + 1}" + (f" ({printable(name)})" if name is not None else "")
        self.plain = b"0123456789+-eE \t\n" + dialect.decimal.encode()
        self.numbers = self.words = 0
        self.first_word: tuple[int, str] | None = None
        self.first_infinite: tuple[int, str] | None = None
        self.decimals: int | None = 0
        self.whole = True
        self.largest = 0.0
        self.recent: deque[Sequence[str]] = deque(maxlen=2)

    def add(self, cells: Sequence[str], lines: Sequence[int]) -> NDArray[np.float64]:
        """Return the numbers of one block, NaN where there is none."""
        self.recent.append(cells)
        text = "\n".join(cells)
        if text.encode("utf-8", "replace").translate(_NO_LETTERS, self.plain):
            return self._add_slowly(cells, lines)
        try:
            values = np.array(list(map(float, self._with_point(cells))))
        except ValueError:  # an empty cell, or a word such as "-"
            return self._add_slowly(cells, lines)
        if np.isinf(values).any():
            return self._add_slowly(cells, lines)
        self.numbers += len(cells)
        self._measure(values, cells, text)
        return values

    def _with_point(self, cells: Sequence[str]) -> Sequence[str]:
        return cells if self.dialect.decimal == "." else [cell.replace(",", ".") for cell in cells]

    def _add_slowly(self, cells: Sequence[str], lines: Sequence[int]) -> NDArray[np.float64]:
        """Judge cell by cell."""
        values = np.full(len(cells), np.nan)
        numbers = []
        for i, cell in enumerate(cells):
            text = cell.strip()
            if text in self.missing:
                continue
            if self.dialect.is_number(text):
                values[i] = float(text.replace(",", "."))
                numbers.append(text)
                if np.isinf(values[i]) and self.first_infinite is None:
                    self.first_infinite = (lines[i], f"{text:.40} is beyond float64 (about 1.8e308)")
            elif INFINITE.fullmatch(text):
                if self.first_infinite is None:
                    self.first_infinite = (lines[i], f"{text} is no measurement")
                self.numbers += 1
            else:
                self.words += 1
                if self.first_word is None:
                    self.first_word = (lines[i], text)
        self.numbers += len(numbers)
        self._measure(values, numbers, "".join(numbers))
        return values

    def _measure(self, values: NDArray[np.float64], cells: Sequence[str], text: str) -> None:
        """Widen the recorded decimal places; zeros at the end are formatting, not precision."""
        if not cells:
            return
        largest = float(np.nanmax(np.abs(values)))
        self.largest = max(self.largest, largest)
        exponents = "e" in text or "E" in text
        if not exponents and self.dialect.decimal not in text:
            return
        self.whole = False
        if self.decimals is None:
            return
        step = 10.0**self.decimals
        if largest * step < _EXACT / 2:
            present = values[~np.isnan(values)]
            if np.array_equal(np.rint(present * step) / step, present):
                return  # nothing finer than what is known
        if exponents:
            places = max(_places(cell) for cell in self._with_point(cells))
        else:
            mark = self.dialect.decimal
            trimmed = [cell.rstrip().rstrip("0") for cell in cells if mark in cell]
            places = max(len(cell) - cell.index(mark) - 1 for cell in trimmed)
        self.decimals = max(self.decimals, places) if places <= MOST_DECIMALS else None

    @property
    def dtype(self) -> str:
        """Name of the dtype that the text was written from, so far."""
        return "int64" if self.whole and self.largest < 2.0**63 else "float64"

    def problem(self) -> FileError | None:
        """Return the error of a column of numbers that holds something else, or None."""
        if self.words:
            assert self.first_word is not None
            line, word = self.first_word
            remedy = "Correct it, empty the cell if the value is missing, or leave the column out with drop=."
            if word == self.name:
                remedy = "The header stands here once more: were two files joined?"
            elif len(word) <= 12:
                remedy = (
                    f"Correct it, say na={word!r} if it marks a missing value, or leave it out with drop=."
                )
            return self.fail(
                line,
                f"{self.label}: {_shown(word)} is not a number, but {self.numbers} others are. {remedy}",
            )
        if self.first_infinite is not None:
            line, what = self.first_infinite
            return self.fail(line, f"{self.label}: {what}.")
        return None

    def why_not(self) -> str:
        """Return why this is no column of numbers, or an empty string."""
        if self.words and self.words >= max(1, self.numbers):
            assert self.first_word is not None
            line, word = self.first_word
            some = "" if not self.numbers else f" in {self.words} of {self.words + self.numbers} rows"
            return f"text{some}, first {_shown(word)} in line {line}"
        return "" if self.numbers or self.words else "no value in any row"

    def finish(self, values: NDArray[np.float64]) -> Candidate:
        """Return numbers, a reason to set the column aside, or an error."""
        if why := self.why_not():
            return Candidate(self.name, None, why_not=why)
        if (error := self.problem()) is not None:
            return Candidate(self.name, values, self.dtype, self.decimals, error=error)
        warning = ""
        if self.whole and self.largest >= _EXACT:
            warning = f"{self.label}: whole numbers beyond 2**53 were rounded to the nearest float64"
        return Candidate(self.name, values, self.dtype, self.decimals, warning=warning)

    def looks_cut(self) -> str:
        """Return the last cell if it is shorter than all before it, as where a file was cut off; else ""."""
        cells = [cell.strip() for block in self.recent for cell in block]
        last = cells.pop() if cells else ""
        cells = [cell for cell in cells if cell not in self.missing]
        if self.words or not cells or last in self.missing:
            return ""
        mark = self.dialect.decimal
        if all(mark in cell for cell in cells):
            fewest = min(len(cell) - cell.index(mark) - 1 for cell in cells)
            places = len(last) - last.index(mark) - 1 if mark in last else 0
            return last if places < fewest else ""
        if last.endswith(mark):
            return last
        digits = min(len(cell.lstrip("+-")) for cell in cells)
        return last if len(cells) >= 3 and mark not in last and len(last.lstrip("+-")) < digits else ""


def _places(cell: str) -> int:
    """Return the decimal places of a number as written, also with an exponent."""
    return max(0, -int(Decimal(cell.strip()).normalize().as_tuple().exponent))


def _shown(word: str) -> str:
    return repr(word if len(word) <= 40 else word[:37] + "...")


__all__ = ["MISSING", "TextColumn"]
