"""Rows outside the bounds: how many, which, in which columns, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import DataError
from ...maths.bijections import Bijection
from ..fold import Data

__all__ = ["refuse_outside"]

SHOWN = 5  # rows


def refuse_outside(data: Data, maps: Sequence[Bijection], strict: Sequence[bool]) -> None:
    """Raise DataError where rows lie outside the domains of their columns' maps.

    ``strict`` says in which columns the values are recorded but the ends were written as open ("log").
    """
    low, high = data.units.back(data.low), data.units.back(data.high)
    pairs = enumerate(zip(maps, low, high, strict=True))
    if all(b.domain[0] < lo and hi < b.domain[1] for _, (b, lo, hi) in pairs):
        return
    kept = None if data.kept is None else np.flatnonzero(data.kept)
    found: dict[int, list[tuple[int, float]]] = {}
    rows, n, start, on_end = 0, 0, 0, True
    counts = np.zeros(len(maps), dtype=int)
    for x in data.rows():
        bad = np.stack([~(b.inside(x[:, j]) | np.isnan(x[:, j])) for j, b in enumerate(maps)], axis=1)
        rows, n = rows + int(bad.any(axis=1).sum()), n + len(x)
        counts += bad.sum(axis=0)
        for j in np.flatnonzero(bad.any(axis=0)).tolist():
            at = np.flatnonzero(bad[:, j])
            on_end &= bool(np.isin(x[at, j], maps[j].domain).all())
            listed = found.setdefault(j, [])
            for i in at[: SHOWN - len(listed)].tolist():
                number = start + i if kept is None or start + i >= len(kept) else int(kept[start + i])
                listed.append((number, float(x[i, j])))
        start += len(x)
    if not rows:
        return
    said = "; ".join(_said(data.label(j), listed, int(counts[j]), maps[j]) for j, listed in found.items())
    raise DataError(
        f"{rows:,} of {n:,} rows lie outside the bounds: {said}. {_advice(on_end, [strict[j] for j in found])}"
    )


def _said(name: str, listed: list[tuple[int, float]], count: int, b: Bijection) -> str:
    """``age = -1 (row 3), -2 (row 9) and 4 more, expected > 0``."""
    shown = ", ".join(f"{value:.10g} (row {row})" for row, value in listed)
    more = f" and {count - len(listed):,} more" if count > len(listed) else ""
    low, high = b.domain
    ends = [f"> {low:.10g}"] * bool(np.isfinite(low)) + [f"< {high:.10g}"] * bool(np.isfinite(high))
    return f"{name} = {shown}{more}, expected {' and '.join(ends)}"


def _advice(on_end: bool, strict: list[bool]) -> str:
    if on_end and all(strict):
        return (
            "These values are recorded ones exactly on the end of 'log' or 'logit'. Bounds, such as (0, None), "
            "take them in: a recorded end stands for what is rounded to it."
        )
    if on_end:
        return (
            "These values lie exactly on an open end, where a density of continuous values is zero. If they "
            "are a group of their own (no rain, no income), model their share apart; or widen the bounds."
        )
    return "Widen the bounds, drop these rows, or leave the column out of them."
