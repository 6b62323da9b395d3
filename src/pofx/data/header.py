"""Is the first row of a text table a row of names, or of data?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pofx.data.csv_column import MISSING
from pofx.data.dialect import INFINITE, SPACE, Dialect
from pofx.errors import PofxWarning
from pofx.validation.columns import printable

if TYPE_CHECKING:
    from pofx.data.csv_file import TextTable


def judge_first_row(
    table: TextTable, rows: list[list[str]], lines: Sequence[int], header: bool | None
) -> tuple[list[str] | None, str]:
    """Return the names, or None if the first row is data, and a note that says which.

    A first row without a word is data. One without a number is a header. One with both is a header if a
    word of it stands above a number, data if its words stand above words. ``header`` overrules this.

    Raises
    ------
    FileError
        for two columns of one name.
    """
    is_number = table.dialect.is_number
    first = [cell.strip() for cell in rows[0]]
    numeric = [is_number(cell) or INFINITE.fullmatch(cell) is not None for cell in first]
    word = [not number and cell not in MISSING for cell, number in zip(first, numeric, strict=True)]
    data = any(numeric) and not any(word)
    mixed = any(numeric) and any(word)
    if mixed:
        data = not any(
            is_word and any(is_number(row[j].strip()) for row in rows[1:] if len(row) > j)
            for j, is_word in enumerate(word)
        )
    if data and first == ["", *map(str, range(len(first) - 1))]:
        data = False  # pandas writes this above the rows of a frame without names
    if header is not None:
        data, note = not header, f"the first row is {'names' if header else 'data'}, as asked"
    elif mixed:  # it cannot be told for certain
        judged = "data: words stand above words" if data else "names: a word stands above a number"
        note = f"the first row holds numbers and words and was taken for {judged}"
        warnings.warn(f"{table.place.name}, line {lines[0]}: {note}.", PofxWarning, stacklevel=2)
    elif data:
        note = "the first row holds plain numbers, so it is data and the columns are numbered from 0"
    else:
        note = "the first row holds the names"
    if data:
        return None, note
    names = [cell or f"column {j}" for j, cell in enumerate(first)]
    seen: set[str] = set()
    for j, name in enumerate(names):
        if name in seen:
            raise table.lines.fail(
                lines[0],
                f"columns {names.index(name) + 1} and {j + 1} are both called {printable(name)!r}; each "
                "needs its own name.",
            )
        seen.add(name)
    return names, note


def names_from_comment(comment: str, width: int, dialect: Dialect) -> list[str] | None:
    """Return the names in a comment such as ``# x y z`` above rows of plain numbers, if it can be one."""
    text = comment.lstrip("# \t").replace('"', "")
    words = [word.strip() for word in dialect.split(text)] if text else []
    if len(words) != width or len(set(words)) != width or not all(words):
        return None
    if any(dialect.is_number(word) for word in words) or (width == 1 and dialect.delimiter != SPACE):
        return None
    return words


__all__ = ["judge_first_row", "names_from_comment"]
