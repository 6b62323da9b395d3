"""A result as a DataFrame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..optional import need
from ..validation import one_of

__all__ = ["framed"]

KINDS = ("pandas", "polars", "pyarrow")


def framed(columns: Mapping[str, Sequence[Any]], kind: str | None) -> Any:
    """Return columns of numbers, texts or None as a DataFrame.

    Parameters
    ----------
    columns : mapping of name to values
    kind : "pandas" (None means this), "polars" or "pyarrow"

    Raises
    ------
    MissingExtraError
        if that library is not installed.
    """
    kind = one_of(kind or "pandas", "kind", KINDS)
    library = need(kind, why=f'to_frame("{kind}") makes one; "pyarrow" needs nothing more')
    return library.table(dict(columns)) if kind == "pyarrow" else library.DataFrame(dict(columns))
