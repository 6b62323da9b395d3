"""Rows outside the bounds: how many, which, in which columns, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import DataError
from ...maths.bijections import Bijection
from ..fold import Data

__all__ = ["refuse_outside"]

SHOWN = 5  # rows


def refuse_outside(data: Data, maps: Sequence[Bijection], written: Sequence[Any]) -> None:
    """Raise DataError where rows lie outside the domains of the columns' maps, ``written`` as they were."""
    low, high = data.units.back(data.low), data.units.back(data.high)
    pairs = enumerate(zip(maps, low, high, strict=True))
    if all(b.domain[0] < lo and hi < b.domain[1] for _, (b, lo, hi) in pairs):
        return
    kept = None if data.kept is None else np.flatnonzero(data.kept)
    found: dict[int, list[tuple[int, float]]] = {}
    rows, n, start, on_end = 0, 0, 0, True
    counts = np.zeros(len(maps), dtype=int)
    for x, _ in data.rows():
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
    said = [
        f"{data.label(j)} = {_listed(listed, int(counts[j]))}, expected {_expected(maps[j], written[j])}"
        for j, listed in found.items()
    ]
    # Bounds would have moved out to take recorded ends in.
    strict = all(
        data.columns.decimals[j] is not None and not isinstance(written[j], tuple | list) for j in found
    )
    raise DataError(
        f"{rows:,} of {n:,} rows lie outside the bounds: {'; '.join(said)}. {_advice(on_end, strict)}"
    )


def _listed(listed: list[tuple[int, float]], count: int) -> str:
    """Return ``-1 (row 3), -2 (row 9) and 4 more``."""
    shown = ", ".join(f"{value:.10g} (row {row})" for row, value in listed)
    return shown + (f" and {count - len(listed):,} more" if count > len(listed) else "")


def _expected(b: Bijection, written: Any) -> str:
    """Return ``> 0``, or ``>= 0 and <= 1`` where the ends may be touched."""
    given = written if isinstance(written, tuple | list) else b.domain
    ends = [
        f"{sign}{'=' * (own != end)} {end:.10g}"
        for sign, end, own in zip("><", given, b.domain, strict=True)
        if end is not None and np.isfinite(end)
    ]
    return " and ".join(ends)


def _advice(on_end: bool, strict: bool) -> str:
    if on_end and strict:
        return (
            "These values are recorded ones exactly on the end of 'log' or 'logit'. Bounds, such as "
            "(0, None), take them in: a recorded end stands for what is rounded to it."
        )
    if on_end:
        return (
            "These values lie exactly on an open end, where a density of continuous values is zero. If they "
            "are a group of their own (no rain, no income), model their share apart; or widen the bounds."
        )
    return "Widen the bounds, drop these rows, or leave the column out of them."
