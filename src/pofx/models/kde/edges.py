"""Bounds and periods as a person gives them: checked against the rows, in unit space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...core.fold import Data
from ...core.units import Units
from ...errors import DataError, ParameterError
from ...maths.kernel_sums import Edges
from ...validation import Columns, real_number

__all__ = ["check_edges", "edges_in_unit_space", "given_back", "unrolled"]

Bounds = Mapping[str | int, tuple[float | None, float | None]]
Periods = Mapping[str | int, float]

SHOWN = 5


def check_edges(bounds: Any, period: Any) -> None:
    """Raise ParameterError for bounds or periods that are wrong whatever the rows."""
    for name, given, example in (
        ("bounds", bounds, "{'age': (0, None)}"),
        ("period", period, "{'hour': 24}"),
    ):
        if given is not None and not isinstance(given, Mapping):
            raise ParameterError(
                f"{name} must map columns (names or numbers) to theirs, such as {example}; got {given!r:.80}."
            )
    for key, pair in (bounds or {}).items():
        low, high = _pair(key, pair)
        if not low < high:
            raise ParameterError(f"bounds[{key!r}] = {pair!r}: the lower bound must lie below the upper.")
        if math.isinf(low) and math.isinf(high):
            raise ParameterError(f"bounds[{key!r}] = {pair!r} bounds nothing; leave it out.")
    for key, span in (period or {}).items():
        real_number(span, f"period[{key!r}]", above=0.0)


def _pair(key: str | int, pair: Any) -> tuple[float, float]:
    if not isinstance(pair, tuple | list | np.ndarray) or len(pair) != 2:
        raise ParameterError(
            f"bounds[{key!r}] must be a pair (lower, upper), None where there is none; got {pair!r:.80}."
        )
    low = -math.inf if _none(pair[0], -1) else real_number(pair[0], f"bounds[{key!r}][0]")
    high = math.inf if _none(pair[1], 1) else real_number(pair[1], f"bounds[{key!r}][1]")
    return low, high


def _none(value: Any, sign: int) -> bool:
    return value is None or (isinstance(value, float | int) and math.isinf(value) and value * sign > 0)


def edges_in_unit_space(bounds: Bounds | None, period: Periods | None, data: Data) -> Edges | None:
    """Return the edges of these rows in their unit space; None where no column has any.

    Raises
    ------
    ParameterError
        For unknown columns, one named twice, one that is both bounded and periodic, or a period shorter than
        the rows' range.
    DataError
        For bounds that exclude rows: how many, and which.
    """
    if not bounds and not period:
        return None
    columns, units, d = data.columns, data.units, data.d
    lower, upper, periodic = np.full(d, -math.inf), np.full(d, math.inf), np.zeros(d, dtype=bool)
    for key, pair in (bounds or {}).items():
        j = _column(columns, key, "bounds", np.isfinite(lower) | np.isfinite(upper))
        lower[j], upper[j] = _pair(key, pair)
    _refuse_excluded(data, lower, upper)
    seen = units.back(np.array([data.low, data.high]))
    for key, value in (period or {}).items():
        span = float(value)
        j = _column(columns, key, "period", periodic)
        if np.isfinite(lower[j]) or np.isfinite(upper[j]):
            raise ParameterError(f"{columns.label(j)} cannot be both bounded and periodic.")
        least, most = float(seen[0, j]), float(seen[1, j])
        if most - least > span * (1.0 + 1e-12):
            raise ParameterError(
                f"period of {columns.label(j)} is {span:.6g}, but its rows range from {least:.6g} to "
                f"{most:.6g}, more than one period. Bring them into one period (numpy.mod), or correct it."
            )
        lower[j] = _start(least, most, span)
        upper[j], periodic[j] = lower[j] + span, True
    with np.errstate(invalid="ignore"):
        low, high = units.to(np.array([lower, upper]))
    return Edges(np.where(np.isinf(lower), lower, low), np.where(np.isinf(upper), upper, high), periodic)


def _column(columns: Columns, key: str | int, name: str, taken: np.ndarray) -> int:
    j = columns.index(key)
    if taken[j]:
        raise ParameterError(f"{name} names {columns.label(j)} twice, by its name and by its number.")
    return j


def _start(least: float, most: float, span: float) -> float:
    """Where the period begins: at a multiple of it, or half of one, if the rows fit; else at the first."""
    for start in (math.floor(least / span) * span, math.floor(least / span + 0.5) * span - span / 2.0):
        if start <= least and most <= start + span:
            return start
    return least


def _refuse_excluded(data: Data, lower: np.ndarray, upper: np.ndarray) -> None:
    low, high = data.units.back(data.low), data.units.back(data.high)
    bad = [j for j in range(data.d) if low[j] < lower[j] or high[j] > upper[j]]
    if not bad:
        return
    j, row, found = bad[0], 0, []
    for x, _ in data.blocks():
        values = data.units.back(x)[:, j]
        out = np.flatnonzero((values < lower[j]) | (values > upper[j]))
        found += [(row + int(i), float(values[i])) for i in out]
        row += len(x)
    shown = ", ".join(f"row {i} ({v:.6g})" for i, v in found[:SHOWN]) + (" …" if len(found) > SHOWN else "")
    raise DataError(
        f"bounds of {data.label(j)}, {lower[j]:.6g} to {upper[j]:.6g}, exclude {len(found):,} of {data.n:,} "
        f"rows: {shown}. Widen the bounds, or leave those rows out."
    )


def unrolled(x: np.ndarray, w: np.ndarray, edges: Edges) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (n, d) and weights with periodic columns cut at their widest gap, in lexicographic order.

    A bandwidth rule knows no periods: rows on both sides of midnight would look like two far groups.
    """
    x = x.copy()
    for j in np.flatnonzero(edges.periodic):
        span = float(edges.upper[j] - edges.lower[j])
        values = np.unique(np.mod(x[:, j] - edges.lower[j], span))
        gaps = np.diff(np.append(values, values[0] + span))
        start = values[(int(np.argmax(gaps)) + 1) % len(values)]
        x[:, j] = np.mod(x[:, j] - edges.lower[j] - start, span)
    order = np.lexsort(x.T[::-1])
    return x[order], w[order]


def given_back(edges: Edges, units: Units, columns: Columns) -> dict[str, Any]:
    """Return the hyperparameters that say the same edges of these columns, data units."""
    bounds: dict[str | int, tuple[float | None, float | None]] = {}
    period: dict[str | int, float] = {}
    with np.errstate(invalid="ignore"):
        low, high = units.back(np.array([edges.lower, edges.upper]))
    for j in edges.folded_columns:
        key = j if columns.names is None else columns.names[j]
        if edges.periodic[j]:
            period[key] = float(high[j] - low[j])
        else:
            bounds[key] = (
                None if math.isinf(edges.lower[j]) else float(low[j]),
                None if math.isinf(edges.upper[j]) else float(high[j]),
            )
    return {"bounds": bounds or None, "period": period or None}
