"""A model's settings by column, for the groups in which some of these columns stand still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core.density import Density
from ...validation import Columns

__all__ = ["for_columns"]


def for_columns(model: Density, columns: Columns, rest: Sequence[int], free: Sequence[int]) -> Density:
    """Return an unfitted clone of a model of the columns ``rest`` for those of them that are ``free``.

    Settings that are mappings of column to value (bounds, periods, bijections) lose the columns that are not
    free, so that one model serves groups at a spike and elsewhere. A number counts among ``rest``.
    """
    hyper: dict[str, Any] = {}
    for name, value in model.get_params(deep=False).items():
        if isinstance(value, Density):
            value = for_columns(value, columns, rest, free)
        elif isinstance(value, Mapping):
            value = dict(_kept(value, columns, rest, free))
        hyper[name] = value
    return type(model)(**hyper)


def _kept(
    value: Mapping[Any, Any], columns: Columns, rest: Sequence[int], free: Sequence[int]
) -> list[tuple[Any, Any]]:
    out: list[tuple[Any, Any]] = []
    for key, setting in value.items():
        if isinstance(key, int | np.integer) and not isinstance(key, bool) and 0 <= key < len(rest):
            if rest[int(key)] in free:
                out.append((list(free).index(rest[int(key)]), setting))
        elif not (isinstance(key, str) and columns.names is not None and key in columns.names):
            out.append((key, setting))  # no column of these rows: the model says so itself
        elif columns.names.index(key) in free:
            out.append((key, setting))
    return out
