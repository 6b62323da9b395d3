"""Two sets of rows with the same columns, at a common precision: read, matched, and what to know of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.candidates import counted
from ..data.diagnose.copies import row_keys
from ..errors import DataError
from ..validation import Columns, Rows, nearest, restore, rows_to_fit
from ..validation.columns import listed, printable
from .classifier import LEAST_ROWS
from .curves import percent

__all__ = ["Equal", "Pair", "equal_rows", "notes_on", "read_pair", "rounded"]

Floats = NDArray[np.float64]

AT_ONCE = 2**15  # rows that are rounded together
AS_ASKED = ("dropped, as asked", "not among columns=")


@dataclass(frozen=True)
class Equal:
    """Rows that are equal to others, in all columns.

    Attributes
    ----------
    in_b : int
        Rows of B that equal a row of A.
    share_b : float
        Their share of B.
    share_a : float
        The share of rows of A that equal another row of A: what ties explain.
    beyond_ties : bool
        Whether the first exceeds the second by more than three standard errors.
    """

    in_b: int
    share_b: float
    share_a: float
    beyond_ties: bool


@dataclass(frozen=True)
class Pair:
    """Both sets, column by column in the order of A, and the precision that they are looked at."""

    a: Rows
    b: Rows
    columns: Columns
    labels: tuple[str, str]

    @property
    def d(self) -> int:
        return len(self.columns)

    @property
    def names(self) -> list[str]:
        return [self.columns.label(j) for j in range(self.d)]

    def column(self, j: int) -> tuple[Floats, Floats]:
        """Return all values of a column of A and of B, to the common precision."""
        one = self.columns.select([j])
        a, b = (rounded(rows.values[:, [j]], one)[:, 0] for rows in (self.a, self.b))
        return a, b


def rounded(values: Floats, columns: Columns) -> Floats:
    """Return rows to the precision that the columns are looked at."""
    return np.asarray(restore(values, columns), dtype=float)


def read_pair(A: Any, B: Any, labels: tuple[str, str], missing: str) -> Pair:
    """Check and cast both sets.

    Raises
    ------
    DataError
        As ``fit`` does, and for columns that only one has, or too few rows.
    """
    with _naming(labels[0]):
        a = rows_to_fit(A, missing=missing)
    with _naming(labels[1]):
        b = rows_to_fit(B, missing=missing)
    order = _matched(a.columns, b.columns, labels, (A, B))
    theirs = b.columns.select(order)
    values = b.values if order == sorted(order) else np.ascontiguousarray(b.values[:, order])
    for rows, label in ((a, labels[0]), (b, labels[1])):
        if len(rows.values) < LEAST_ROWS:
            raise DataError(
                f"{label} has {len(rows.values)} rows; at least {LEAST_ROWS} of each set are needed to tell "
                "a difference from chance."
            )
    decimals = tuple(
        min((p for p in both if p is not None), default=None)
        for both in zip(a.columns.decimals, theirs.decimals, strict=True)
    )
    names = a.columns.names or theirs.names
    columns = Columns(names, ("float64",) * len(decimals), decimals, "array")
    return Pair(a, replace(b, values=values, columns=theirs), columns, labels)


@contextmanager
def _naming(label: str) -> Iterator[None]:
    """Let errors about rows say whose they are."""
    try:
        yield
    except DataError as error:
        text = str(error)
        error.args = (f"{label}: {text}", *error.args[1:])
        raise


def _matched(a: Columns, b: Columns, labels: tuple[str, str], given: tuple[Any, Any]) -> list[int]:
    """Return where each column of A is in B."""
    if a.names is None or b.names is None:
        if len(a) != len(b):
            raise DataError(
                f"{labels[0]} has {len(a)} columns and {labels[1]} has {len(b)}; both need the same."
            )
        return list(range(len(b)))
    only = [[x for x in one if x not in other] for one, other in ((a.names, b.names), (b.names, a.names))]
    if only[0] or only[1]:
        said = [
            f"only {label} has {listed(names)}{_why(other, names[0])}"
            for label, names, other in zip(labels, only, given[::-1], strict=True)
            if names
        ]
        hint = nearest(only[0][0], only[1]) if only[0] else ""
        raise DataError(
            f"{labels[0]} and {labels[1]} have different columns: {'; '.join(said)}.{hint} Columns are "
            "matched by name, in any order; columns= chooses those that both have when they are read."
        )
    return [b.names.index(name) for name in a.names]


def _why(table: Any, name: str) -> str:
    """Return why the other set lacks a column that was set aside there."""
    why = getattr(table, "set_aside", {}).get(name)
    return f" (set aside in the other: {printable(why)})" if why else ""


def equal_rows(pair: Pair) -> Equal | None:
    """Return how many rows of B equal a row of A; None in a single column, where that is a tie."""
    if pair.d == 1:
        return None
    keys = []
    for rows in (pair.a, pair.b):
        parts = range(0, len(rows.values), AT_ONCE)
        keys.append(
            np.concatenate([row_keys(rounded(rows.values[at : at + AT_ONCE], pair.columns)) for at in parts])
        )
    distinct, place, count = np.unique(keys[0], return_inverse=True, return_counts=True)
    share_a = float((count[place] > 1).mean())
    at = np.minimum(np.searchsorted(distinct, keys[1]), len(distinct) - 1)
    in_b = int(np.count_nonzero(distinct[at] == keys[1]))
    n, m = len(keys[0]), len(keys[1])
    share_b, share = in_b / m, (in_b + share_a * n) / (n + m)
    error = math.sqrt(share * (1.0 - share) * (1.0 / n + 1.0 / m))
    return Equal(in_b, share_b, share_a, share_b - share_a > 3.0 * error)


def notes_on(pair: Pair, equal: Equal | None, given: tuple[Any, Any]) -> Iterator[str]:
    """Yield what a reader should know of the two sets as they were given."""
    (a, b), labels = (pair.a, pair.b), pair.labels
    if equal is not None and equal.in_b and equal.beyond_ties:
        yield (
            f"{equal.in_b:,} of {len(b.values):,} rows of {labels[1]} ({percent(equal.share_b)}) equal a row "
            f"of {labels[0]}, of whose own rows {percent(equal.share_a)} equal another: more than ties "
            "explain. Rows copied from one set to the other are not independent, as p-values take them to be."
        )
    for j, (p, q) in enumerate(zip(a.columns.decimals, b.columns.decimals, strict=True)):
        if p != q:
            finer = labels[0] if p is None or (q is not None and p > q) else labels[1]
            said = " and ".join(f"{_recorded(k)} in {label}" for k, label in zip((p, q), labels, strict=True))
            yield f"{pair.names[j]} is {said}; {finer} was rounded."
    if (a.columns.names is None) != (b.columns.names is None):
        nameless = labels[0] if a.columns.names is None else labels[1]
        yield f"Columns were matched by position: {nameless} has no names."
    asides = [
        {name: why for name, why in getattr(table, "set_aside", {}).items() if why not in AS_ASKED}
        for table in given
    ]
    both = {name: why for name, why in asides[0].items() if name in asides[1]}
    for where, aside in (("both", both), *zip(labels, asides, strict=True)):
        named = [
            f"{printable(name)} ({printable(why)})"
            for name, why in aside.items()
            if where == "both" or name not in both
        ]
        if named:
            more = f" and {len(named) - 6} more" if len(named) > 6 else ""
            yield f"Set aside in {where}, so not compared: {', '.join(named[:6])}{more}."
    for table, rows, label in zip(given, (a, b), labels, strict=True):
        if rows.dropped:
            numbered = "" if rows.kept is not None else "; rows are numbered without them"
            yield f"Left out of {label}: {counted(rows.dropped, 'row')} with missing values{numbered}."
        if getattr(table, "weights", None) is not None:
            yield f"Every row of {label} counts once, whatever its weight."


def _recorded(decimals: int | None) -> str:
    if decimals is None:
        return "continuous"
    return {0: "in whole numbers", 1: "to 1 decimal"}.get(decimals, f"to {decimals} decimals")
