"""What the training columns looked like: names, dtypes, recorded precision, container."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pofx.errors import DataError, ParameterError

CONTAINERS = ("array", "vector", "pandas", "polars", "pyarrow", "table")
DTYPES = frozenset(
    ["bool", "float16", "float32", "float64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
MOST_DECIMALS = 9


class DataTypeError(DataError, TypeError):
    """Entries or names of the wrong kind; also a ``TypeError``, as scikit-learn's callers expect."""


def printable(name: object) -> str:
    """Return a name as it may be shown: control characters and escape sequences are spelled out."""
    text = str(name)
    return text if text.isprintable() and text.strip() else repr(text)


def nearest(word: object, words: Iterable[object]) -> str:
    """Return " Did you mean 'x'?" for the word most like ``word``, or an empty string."""
    by_fold = {str(w).casefold(): str(w) for w in words}
    close = difflib.get_close_matches(str(word).casefold(), list(by_fold), n=1, cutoff=0.6)
    return f" Did you mean {by_fold[close[0]]!r}?" if close else ""


def listed(words: Sequence[object], most: int = 8) -> str:
    """Return "'a', 'b' and 3 more"."""
    shown = ", ".join(repr(str(w)) for w in words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"


@dataclass(frozen=True)
class Levels:
    """The texts that the numbers 0, 1, ... of a column stand for.

    Attributes
    ----------
    words : the texts, ascending and all different
    categorical : whether they came as a column of categories, and go back as one
    """

    words: tuple[str, ...]
    categorical: bool = False


@dataclass(frozen=True)
class Columns:
    """What the columns of the training rows looked like.

    Attributes
    ----------
    names : the column names, or None for plain arrays
    dtypes : NumPy dtype names of the original columns ("float64", "int64", "bool", ...)
    decimals : recorded decimal places (0 for whole numbers), None = continuous
    container : "array", "vector" (one column given 1-D), "pandas", "polars", "pyarrow" or "table"
    levels : for each column the texts that its numbers stand for, None for numbers that stand for themselves;
        None where all do. A column with levels has the dtype "int64" and 0 decimals.
    """

    names: tuple[str, ...] | None
    dtypes: tuple[str, ...]
    decimals: tuple[int | None, ...]
    container: str
    levels: tuple[Levels | None, ...] | None = None

    @classmethod
    def plain(cls, d: int, names: Sequence[str] | None = None, container: str = "array") -> Columns:
        """Return ``d`` continuous float64 columns, as of a distribution that no rows were read for."""
        if names is not None and (len(names) != d or len(set(names)) != d):
            raise ParameterError(f"names must be {d} different texts; got {list(names)!r}.")
        return cls(
            None if names is None else tuple(map(str, names)), ("float64",) * d, (None,) * d, container
        )

    def __len__(self) -> int:
        return len(self.dtypes)

    def levels_of(self, j: int) -> Levels | None:
        """Return the texts that the numbers of column ``j`` stand for, None for plain numbers."""
        return None if self.levels is None else self.levels[j]

    def label(self, j: int) -> str:
        """Return the name of column ``j`` for messages: "waiting", or "column 3" (counted from 0)."""
        return f"column {j}" if self.names is None else printable(self.names[j])

    def index(self, key: str | int) -> int:
        """Return the position of a column given by name or by number (counted from 0).

        Raises
        ------
        ParameterError
            if there is no such column; the message names the nearest one.
        """
        d = len(self)
        if isinstance(key, str):
            if self.names is None:
                raise ParameterError(
                    f"There is no column {key!r}: the columns have no names. Use a number from 0 to {d - 1}."
                )
            if key in self.names:
                return self.names.index(key)
            raise ParameterError(
                f"There is no column {key!r}; the columns are {listed(self.names)}.{nearest(key, self.names)}"
            )
        if isinstance(key, (bool, np.bool_)) or not isinstance(key, (int, np.integer)):
            raise ParameterError(
                f"A column is given by its name or its number, not by {key!r} ({type(key).__name__})."
            )
        if not 0 <= key < d:
            raise ParameterError(f"There is no column {int(key)}; the columns are numbered 0 to {d - 1}.")
        return int(key)

    def select(self, keep: Iterable[int]) -> Columns:
        """Return these columns, in this order."""
        keep = list(keep)
        names = None if self.names is None else tuple(self.names[j] for j in keep)
        return Columns(
            names,
            tuple(self.dtypes[j] for j in keep),
            tuple(self.decimals[j] for j in keep),
            self.container,
            some_levels(self.levels_of(j) for j in keep),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and strings, fit for JSON."""
        record: dict[str, Any] = {
            "names": None if self.names is None else list(self.names),
            "dtypes": list(self.dtypes),
            "decimals": list(self.decimals),
            "container": self.container,
        }
        if self.levels is not None:  # files of other models are as they were
            record["levels"] = [
                None if level is None else {"words": list(level.words), "categorical": level.categorical}
                for level in self.levels
            ]
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Columns:
        """Build from what :meth:`to_json` gave, trusting nothing in it.

        Raises
        ------
        ParameterError
            if a field is missing, of the wrong type or out of range.
        """
        fields = {"names", "dtypes", "decimals", "container"}
        if not isinstance(record, Mapping) or set(record) - {"levels"} != fields:
            raise ParameterError("A record of columns has the fields names, dtypes, decimals and container.")
        names, dtypes, decimals = record["names"], record["dtypes"], record["decimals"]
        if not (isinstance(dtypes, list) and dtypes and all(t in DTYPES for t in map(_text, dtypes))):
            raise ParameterError(f"Columns: dtypes must be a list of known dtype names, not {dtypes!r:.200}.")
        d = len(dtypes)
        if names is not None and not (
            isinstance(names, list)
            and len(names) == d
            and all(isinstance(n, str) for n in names)
            and len(set(names)) == d
        ):
            raise ParameterError(f"Columns: names must be {d} different texts, or null.")
        if not (isinstance(decimals, list) and len(decimals) == d and all(map(_is_decimals, decimals))):
            raise ParameterError(
                f"Columns: decimals must be {d} whole numbers from 0 to {MOST_DECIMALS}, or null."
            )
        if _text(record["container"]) not in CONTAINERS:
            raise ParameterError(f"Columns: container must be one of {listed(CONTAINERS)}.")
        return cls(
            None if names is None else tuple(names),
            tuple(dtypes),
            tuple(decimals),
            record["container"],
            _levels_from_json(record.get("levels"), d),
        )


def some_levels(levels: Iterable[Levels | None]) -> tuple[Levels | None, ...] | None:
    """Return the levels of columns as :class:`Columns` holds them: None where no column has any."""
    each = tuple(levels)
    return each if any(level is not None for level in each) else None


def _levels_from_json(record: Any, d: int) -> tuple[Levels | None, ...] | None:
    if record is None:
        return None
    if not (isinstance(record, list) and len(record) == d):
        raise ParameterError(f"Columns: levels must be a list of {d}, or null.")
    found: list[Levels | None] = []
    for item in record:
        if item is None:
            found.append(None)
            continue
        words: Any = item.get("words") if isinstance(item, Mapping) else None
        right = isinstance(words, list) and words and all(isinstance(w, str) for w in words)
        if not right or words != sorted(set(words)) or type(item.get("categorical")) is not bool:
            raise ParameterError(
                "Columns: the levels of a column must be different texts in ascending order."
            )
        found.append(Levels(tuple(words), item["categorical"]))
    return some_levels(found)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_decimals(value: object) -> bool:
    return value is None or (type(value) is int and 0 <= value <= MOST_DECIMALS)


@dataclass(frozen=True)
class Rows:
    """Rows ready for a fit; a model reads them like any others.

    Attributes
    ----------
    values : (n, d) float64, C-ordered; never written to
    columns : what they looked like
    dropped : rows dropped because of ``missing="drop"``, here or when a table was read
    kept : boolean mask of the rows kept, if any was dropped here
    """

    values: np.ndarray
    columns: Columns
    dropped: int = 0
    kept: np.ndarray | None = None

    def __pofx_rows__(self) -> Rows:
        return self


@dataclass(frozen=True)
class Block:
    """Any container after casting: (n, d) float64 with NaN where an entry is missing."""

    values: np.ndarray
    names: tuple[str, ...] | None
    dtypes: tuple[str, ...]
    container: str
    decimals: tuple[int | None, ...] | None = None
    dropped: int = 0
    levels: tuple[Levels | None, ...] | None = None

    def label(self, j: int) -> str:
        """Return "column 'waiting'" or "column 3" for messages."""
        return f"column {j}" if self.names is None else f"column {printable(self.names[j])!r}"
