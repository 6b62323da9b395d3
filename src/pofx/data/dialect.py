"""How a text file separates its columns and writes its numbers, told from its first lines.

A delimiter must split every line into the same number of fields; among those that do, the one that leaves
the most numbers wins, then the more usual one. What was found is then demanded of every line.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_LINES = 200  # looked at,
_CELLS = 200_000  # but no more fields than this, as far as whole lines go
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
NUMBER_COMMA = re.compile(r"[+-]?(?:\d+,?\d*|,\d+)(?:[eE][+-]?\d+)?", re.ASCII)
INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE | re.ASCII)
SPACE = " "  # runs of spaces and tabs
_USUAL = (",", ";", "\t", "|", SPACE)
_WORDS = {",": "CSV", ";": "semicolons", "\t": "tabs", "|": "bars", SPACE: "spaces"}


@dataclass(frozen=True)
class Dialect:
    """Delimiter and decimal mark of a text file.

    Attributes
    ----------
    delimiter : ``","``, ``";"``, tab, ``"|"``, or a space for runs of spaces and tabs
    decimal : ``"."`` or ``","``
    doubt : what cannot be told for certain, for a warning
    """

    delimiter: str = ","
    decimal: str = "."
    doubt: str = ""

    def __str__(self) -> str:
        word = _WORDS[self.delimiter]
        between = word if word == "CSV" else f"text separated by {word}"
        return between + (", decimal comma" if self.decimal == "," else "")

    def split(self, line: str) -> list[str]:
        """Return the fields of a line without line ends in its fields.

        Raises
        ------
        csv.Error
            for quotes that do not balance.
        """
        if self.delimiter == SPACE:
            if '"' not in line:
                return line.split()
            line = line.strip().replace("\t", " ")
        elif '"' not in line:
            return line.split(self.delimiter)
        return next(csv.reader([line], delimiter=self.delimiter, strict=True, skipinitialspace=True), [])

    def is_number(self, text: str) -> bool:
        """Tell whether a stripped field is a finite number, as far as its letters tell."""
        return (NUMBER if self.decimal == "." else NUMBER_COMMA).fullmatch(text) is not None


def sniff(lines: Sequence[str]) -> Dialect:
    """Return the dialect of a file from its first block of lines, comments and blank lines included."""
    sample = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    delimiter = max(_USUAL, key=lambda mark: _merit(mark, sample[:_LINES]), default=",")
    if _merit(delimiter, sample[:_LINES])[0] < 0:
        delimiter = ","
    if delimiter == ",":
        return Dialect()
    text = "\n".join(sample)
    edge = r"[ \t]" if delimiter == SPACE else rf"[{delimiter}]"

    def holds(mark: str, places: str = r"\d+") -> bool:
        number = rf'(?:^|{edge})[ "]*[+-]?\d*{mark}{places}(?:[eE][+-]?\d+)?[ "]*(?:$|{edge})'
        return re.search(number, text, re.ASCII | re.MULTILINE) is not None

    if not holds(","):
        return Dialect(delimiter)
    if holds(r"\."):
        doubt = "numbers with a decimal comma stand beside numbers with a decimal point; the point was taken"
        return Dialect(delimiter, doubt=doubt)
    thousands = (
        ""
        if any(holds(",", places) for places in (r"\d{1,2}", r"\d{4,}"))
        else (
            "every comma in a number stands before three digits; it was taken for a decimal comma, not for "
            "thousands"
        )
    )
    return Dialect(delimiter, ",", thousands)


def _merit(delimiter: str, sample: Sequence[str]) -> tuple[float, ...]:
    """Return how well a delimiter fits: the larger, the better; negative if it separates nothing."""
    point, comma = Dialect(delimiter), Dialect(delimiter, ",")
    rows = []
    for line in sample:
        try:
            rows.append(point.split(line))
        except csv.Error:
            continue  # a field with line ends in it
    widths = Counter(map(len, rows))
    if not widths:
        return (-1.0,)
    width = max(widths, key=lambda w: (widths[w], w))
    agreement = widths[width] / len(rows)
    alike = [row for row in rows[1:] or rows if len(row) == width]
    cells = [cell.strip() for row in alike[: max(1, _CELLS // width)] for cell in row[:_CELLS]]
    numbers = sum(map(point.is_number, cells))
    if delimiter != ",":
        numbers = max(numbers, sum(map(comma.is_number, cells)))
    share = numbers / max(1, len(cells))
    if width < 2 or (delimiter == SPACE and agreement < 1.0 and share < 0.5):
        return (-1.0,)
    return (float(agreement == 1.0), round(share, 6), agreement, -_USUAL.index(delimiter))


__all__ = ["INFINITE", "NUMBER", "SPACE", "Dialect", "sniff"]
