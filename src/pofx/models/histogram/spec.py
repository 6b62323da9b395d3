"""The ``bins`` argument of the histogram: from what a user writes to one rule per column."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from pofx.errors import ParameterError
from pofx.maths.bins import RULES
from pofx.validation import Columns, one_of, whole_number

__all__ = ["Spec", "check_spec", "rules_per_column"]

Spec = str | int | np.ndarray  # a rule, a number of bins, or edges in data units


def check_spec(bins: Any) -> None:
    """Raise ParameterError where ``bins`` is wrong whatever the data."""
    if isinstance(bins, Mapping):
        for key, item in bins.items():
            _one(item, f"bins[{key!r}]")
    elif _scalar(bins):
        _one(bins, "bins")
    elif len(bins) == 0:
        raise ParameterError("bins is empty; give one entry per column, or bins='fd'.")


def _scalar(value: Any) -> bool:
    return isinstance(value, str | bytes) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def _one(item: Any, name: str) -> Spec:
    """Return one column's entry, checked."""
    if isinstance(item, str):
        return one_of(item, name, RULES)
    if _scalar(item):
        return whole_number(item, name, least=1)
    try:
        edges = np.array(item, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(
            f"{name} must be a rule, a whole number or ascending edges; got {item!r:.100}."
        ) from None
    if edges.ndim != 1 or len(edges) < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
        raise ParameterError(
            f"{name}: edges must be at least two finite numbers in ascending order; got {item!r:.100}."
        )
    return edges


def rules_per_column(bins: Any, columns: Columns) -> list[Spec]:
    """Return one rule, number or array of edges per column.

    One rule or number holds for every column. A sequence has one entry per column; for a single column
    a sequence of two or more numbers is its edges. A mapping names columns; the others get "fd".
    """
    d = len(columns)
    if isinstance(bins, Mapping):
        found = {columns.index(key): _one(item, f"bins[{key!r}]") for key, item in bins.items()}
        return [found.get(j, "fd") for j in range(d)]
    if _scalar(bins):
        return [_one(bins, "bins")] * d
    items = list(bins)
    if d == 1 and len(items) > 1 and all(isinstance(item, Real) for item in items):
        return [_one(items, "bins")]
    if len(items) != d:
        raise ParameterError(
            f"bins has {len(items)} entries for {d} columns; give one entry per column"
            + ("." if d == 1 else ", edges as a list for each.")
        )
    if d > 1 and all(isinstance(item, Real) and not isinstance(item, Integral) for item in items):
        raise ParameterError(
            f"bins={items!r:.100}: for {d} columns each entry is a rule, a whole number or a list of edges."
        )
    return [_one(item, f"bins[{j}]") for j, item in enumerate(items)]
