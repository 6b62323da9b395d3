"""Columns of text as numbers: each level is the number of its place among the levels in ascending order.

Only columns that a caller names as groups are read so; text anywhere else is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.errors import DataError
from pofx.validation.columns import Columns, Levels, listed, nearest

__all__ = ["NO_GROUPS", "UNSEEN", "GroupColumns", "coded", "encode", "recoded", "values_of", "words_of"]

UNSEEN = -1.0  # the number of a text that is none of the levels, where that is allowed
MOST_WORDS = 10_000  # different texts of one column: beyond it they name rows, not groups


@dataclass(frozen=True)
class GroupColumns:
    """Which columns may hold texts.

    Attributes
    ----------
    known : name or position of the column -> its levels, None where they are still to be found
    unseen : what a text is that is no level: "error", or "keep" for the number ``UNSEEN``
    """

    known: Mapping[str | int, Levels | None] = field(default_factory=dict)
    unseen: str = "error"

    @classmethod
    def of(cls, columns: Columns, unseen: str = "error") -> GroupColumns:
        """Return those of the columns of a fit."""
        if columns.levels is None:
            return NO_GROUPS
        found: dict[str | int, Levels | None] = {j: level for j, level in enumerate(columns.levels) if level}
        if columns.names is None:
            return cls(found, unseen)
        return cls({columns.names[int(j)]: level for j, level in found.items()}, unseen)

    def may_hold_text(self, name: str | None, j: int) -> bool:
        """Tell whether the column of this name and position may."""
        return (name is not None and name in self.known) or j in self.known

    def levels(self, name: str | None, j: int) -> Levels | None:
        """Return its levels, as far as they are known."""
        return self.known[name] if name is not None and name in self.known else self.known.get(j)


NO_GROUPS = GroupColumns()


def coded(
    words: Sequence[Any],
    known: Levels | None,
    label: str,
    *,
    unseen: str = "error",
    categorical: bool = False,
) -> tuple[NDArray[np.float64], Levels]:
    """Return the numbers (n,) of a column of texts, NaN where there is none, and its levels.

    Parameters
    ----------
    words : texts, None where missing
    known : the levels of the fit; None: those that occur
    label : of the column, for messages
    unseen : "error", or "keep" to give a text that is no level the number ``UNSEEN``
    categorical : whether they came as a column of categories

    Raises
    ------
    DataError
        for entries that are no text, for more levels than there are groups, and for a text that is no level:
        how many rows, the first one, and the nearest level.
    """
    odd = next((i for i, word in enumerate(words) if word is not None and not isinstance(word, str)), None)
    if odd is not None:
        raise DataError(
            f"{label} mixes text with other things: row {odd} holds {words[odd]!r:.60}. Groups are texts, or "
            "numbers, or true and false."
        )
    present = np.array([word is not None for word in words], dtype=bool)
    texts = np.array(["" if word is None else word for word in words], dtype=object)
    if known is None:
        different = sorted(set(texts[present].tolist()))
        if len(different) > MOST_WORDS:
            raise DataError(
                f"{label} holds {len(different):,} different texts, more than {MOST_WORDS:,}: they name "
                "rows, not groups."
            )
        known = Levels(tuple(different), categorical)
    number = {word: float(k) for k, word in enumerate(known.words)}
    codes = np.array([number.get(word, UNSEEN) for word in texts], dtype=np.float64)
    strange = present & (codes == UNSEEN)
    if strange.any() and unseen == "error":
        raise DataError(_strange(texts, strange, known, label))
    codes[~present] = np.nan
    return codes, known


def _strange(texts: NDArray[Any], strange: NDArray[np.bool_], known: Levels, label: str) -> str:
    row = int(strange.argmax())
    count = int(strange.sum())
    return (
        f"{label} holds {texts[row]!r:.60} in row {row} (counted from 0), a level that was never seen in "
        f"training; it knows {listed(known.words)}.{nearest(texts[row], known.words)} "
        f"{count} of {len(texts)} rows hold such levels."
    )


def recoded(
    codes: NDArray[np.float64], theirs: Levels, known: Levels, label: str, *, unseen: str = "error"
) -> NDArray[np.float64]:
    """Return codes of other levels as those of the known ones; see :func:`coded`."""
    if theirs.words == known.words:
        return codes
    return coded(words_of(codes, theirs).tolist(), known, label, unseen=unseen)[0]


def words_of(codes: NDArray[np.float64], levels: Levels) -> NDArray[Any]:
    """Return the texts (n,) behind codes, None where one is missing or unseen."""
    table = np.array([*levels.words, None], dtype=object)
    inside = (codes >= 0) & (codes < len(levels.words))  # False for NaN
    return table[np.where(inside, codes, len(levels.words)).astype(np.intp)]


def values_of(codes: NDArray[np.float64], columns: Columns, j: int) -> list[Any]:
    """Return numbers of column ``j`` as they were recorded: texts, booleans, whole numbers or floats."""
    levels = columns.levels_of(j)
    if levels is not None:
        return list(words_of(codes, levels).tolist())
    return list(np.asarray(codes).astype(columns.dtypes[j]).tolist())


def encode(value: Any, columns: Columns, j: int) -> Any:
    """Return a value, or several, of column ``j`` as numbers: a text as the number of its level.

    Raises
    ------
    DataError
        for a text that is no level of the column, and for a number where it has texts.
    """
    levels = columns.levels_of(j)
    if levels is None:
        return value
    several = not isinstance(value, str) and np.ndim(value) > 0
    words = list(np.asarray(value, dtype=object)) if several else [value]
    codes = coded(words, levels, f"column {columns.label(j)!r}")[0]
    return codes if several else float(codes[0])
