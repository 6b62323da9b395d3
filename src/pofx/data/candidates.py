"""A column on its way into a Table: numbers, or the reason why it holds none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.errors import DataError, PofxError
from pofx.validation import Levels

MOST_COLUMNS = 100_000  # of any file: beyond it lie transposed tables and damaged files


def counted(n: int, word: str) -> str:
    """Return "1 row" or "3 rows"."""
    return f"{n} {word}{'' if n == 1 else 's'}"


@dataclass
class Candidate:
    """One column of a source.

    Attributes
    ----------
    name : its name, if the source has names
    values : (n,) float64 with NaN where missing, or where ``error`` says there is no number; None if it
        holds none
    dtype : NumPy dtype name as it was recorded
    decimals : recorded decimal places, None = continuous
    why_not : why it can only be set aside (text, dates, ...)
    key : why it is taken for a key of rows, where that cannot be told from the values alone
    error : raised unless the column is left out by ``columns=`` or ``drop=``
    warning : given if the column is kept
    levels : the texts that its numbers stand for, where it was read as groups
    """

    name: str | None
    values: NDArray[np.float64] | None
    dtype: str = "float64"
    decimals: int | None = None
    why_not: str = ""
    key: str = ""
    error: PofxError | None = None
    warning: str = ""
    levels: Levels | None = None


@dataclass
class Source:
    """All columns of a source, and what is to be said about it."""

    columns: list[Candidate]
    n: int
    notes: list[str] = field(default_factory=list)
    index: Any = None
    origin: str | None = None
    dropped: int = 0
    chosen: bool = False  # the caller gave bare numbers: none of them is taken for a key

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names, or None unless every column has one."""
        names = tuple(column.name for column in self.columns if column.name is not None)
        return names if len(names) == len(self.columns) and names else None

    def label(self, j: int) -> str:
        """Return "waiting", or "column 3" (counted from 0) where there are no names."""
        return self.columns[j].name or f"column {j}"

    def numbers(self, j: int) -> NDArray[np.float64]:
        """Return column j, or raise what is wrong with it."""
        column = self.columns[j]
        if column.error is not None:
            raise column.error
        if column.values is None:
            raise DataError(f"{self.label(j)!r} cannot be a column of numbers: {column.why_not}.")
        return column.values
