"""Which columns only count or identify rows. They are set aside by name, never modelled by default.

The rule. A column of a file or DataFrame is set aside if it was recorded as integers, has no missing
value, all its values differ, and either

* it is named as a key is (``id``, ``key``, ``index``, ``rownames``, ``customer_id``, no name at all in the
  first place, ...), or
* there are at least 10 rows and its values go up or down by one constant step from row to row.

Whole numbers with any repetition, numbers with a decimal point and unnamed arrays are never set aside, and
neither is the only column. ``columns=`` brings any of them back.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

# compared without case, spaces, dots, dashes and underscores
_KEY_NAMES = frozenset(
    (
        "id",
        "ids",
        "key",
        "keys",
        "uid",
        "uuid",
        "index",
        "idx",
        "row",
        "rows",
        "rowname",
        "rownames",
        "rownum",
    )
) | frozenset(("rownumber", "rowindex", "record", "recordnumber", "case", "casenumber", "obs", "observation"))
_NO_NAME = re.compile(r"(unnamed: ?|column )0|__index_level_\d+__", re.IGNORECASE)
_ENDS_IN_ID = re.compile(r"[_. -](?i:id)$|[a-z](Id|ID)$|^(?i:row|record|sample|case|user)(?i:id)$")
_FEWEST_ROWS = 10


def named_like_a_key(name: str) -> bool:
    """Tell whether a column of this name would hold keys: ``id``, ``row.names``, ``customer_id``, ..."""
    word = re.sub(r"[\s_.\-]+", "", name.casefold())
    return (
        word in _KEY_NAMES
        or _NO_NAME.fullmatch(name.strip()) is not None
        or _ENDS_IN_ID.search(name.strip()) is not None
    )


def why_key(name: str | None, column: NDArray[np.float64], dtype: str) -> str | None:
    """Return why a column is set aside as a count or key of rows, or None.

    Parameters
    ----------
    name : the column's name, if it has one
    column : (n,) float64, NaN where missing
    dtype : dtype name it was recorded in
    """
    n = len(column)
    if not dtype.startswith(("int", "uint")) or n < 2 or np.isnan(column).any():
        return None
    step = column[1] - column[0]
    if step != 0 and (np.diff(column) == step).all():
        if n >= _FEWEST_ROWS or (name is not None and named_like_a_key(name)):
            return f"counts rows: {column[0]:.0f}, {column[1]:.0f}, ..., {column[-1]:.0f}"
        return None
    if name is not None and named_like_a_key(name) and len(np.unique(column)) == n:
        return f"identifies rows: {n} different whole numbers under a key's name"
    return None
