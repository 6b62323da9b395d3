"""Rows as bars, as cells, or a few of them as dots: however many there are, they are counted first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pofx.maths.bins import Sample, lattice_step, rule_width
from pofx.show.figure import Axis, Bars, Cells

__all__ = ["MOST_POINTS", "SEED", "SOME_ROWS", "bars", "cells", "few"]

MOST_POINTS = 2_000  # dots drawn; more are a blot, and a file too big to mail: then rows are counted in cells
SOME_ROWS = 100_000  # rows that tell where the edges of bars and cells lie, where there are more
MOST_BARS = 80
MOST_CELLS = 64  # along each side
BLOCK = 1_000_000  # rows counted at a time
OFF_LATTICE = 0.01  # steps that a rounded value may be away from its place
SEED = 0

Array = NDArray[np.float64]


def few(rows: Array, most: int = MOST_POINTS) -> NDArray[np.int64]:
    """Return the numbers of at most ``most`` rows, chosen at random, in their order."""
    if len(rows) <= most:
        return np.arange(len(rows))
    return np.sort(np.random.default_rng(SEED).choice(len(rows), most, replace=False))


def bars(
    x: Array, low: float, high: float, label: str, weights: Array | None = None, of: float | None = None
) -> Bars:
    """The histogram of a column between two values, with edges between what the column can record.

    Bins are half as wide as Freedman and Diaconis would have them: the eye averages over neighbours, and
    sees what an optimal bin hides. Their scale is the shortest interval that holds half of the rows, which
    is the interquartile range of a single bump, and not the distance between two. Heights are shares per
    unit of ``of`` rows (all, by default; weighted, the sum of their weights).
    """
    inside = (x >= low) & (x <= high)
    seen = x[inside]
    some = seen[few(seen, SOME_ROWS)]
    width = 0.5 * rule_width("fd", Sample.of(some, np.ones(len(some))))
    width *= _single_bump(np.sort(some))
    width *= (len(some) / len(seen)) ** (1 / 3)  # the rule's own way with the number of rows
    edges = _edges(seen, some, max(width, float(np.ptp(seen)) / MOST_BARS))
    counts, _ = np.histogram(seen, edges, weights=None if weights is None else weights[inside])
    total = of or float(len(x) if weights is None else weights.sum())
    return Bars(edges, (counts / (total * np.diff(edges))).astype(float), label)


def _single_bump(ascending: Array) -> float:
    """Return the shortest interval that holds half of the values, over the one between the quartiles."""
    half = len(ascending) // 2
    middle = float(np.subtract(*np.quantile(ascending, [0.75, 0.25])))
    shortest = float((ascending[half:] - ascending[: len(ascending) - half]).min())
    return shortest / middle if 0.0 < shortest < middle else 1.0


def cells(rows: Array, axes: list[Axis], label: str, weights: Array | None = None) -> Cells:
    """Rows (n, 2) counted in a grid, for when there are too many to be seen one by one."""
    inside = np.ones(len(rows), dtype=bool)
    for k, axis in enumerate(axes):
        inside &= (rows[:, k] >= axis.low) & (rows[:, k] <= axis.high)
    if not inside.any():
        inside[:] = True
    seen, w = rows[inside], None if weights is None else weights[inside]
    some = seen[few(seen, SOME_ROWS)]
    side = float(np.clip(1.6 * len(seen) ** (1 / 3), 12, MOST_CELLS))
    x, y = (_edges(seen[:, k], some[:, k], float(np.ptp(seen[:, k])) / side) for k in (0, 1))
    counts = sum(
        np.histogram2d(seen[b, 0], seen[b, 1], bins=[x, y], weights=None if w is None else w[b])[0]
        for b in _blocks(len(seen))
    )
    return Cells(x, y, np.ascontiguousarray(np.asarray(counts).T), label)


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, n, BLOCK))


def _edges(seen: Array, some: Array, width: float) -> Array:
    """Edges about ``width`` apart, between the values that a rounded column can take.

    ``some`` of the values ``seen`` tell the step; all must keep to it.
    """
    start, width_of_all = float(seen.min()), float(np.ptp(seen))
    if width_of_all == 0.0:
        width, step = 0.1 * max(abs(start), 1.0), 0.0
        start -= width / 2
    else:
        step = lattice_step(np.unique(some), least_gaps=1) or 0.0
        if step and len(some) < len(seen) and not _on_lattice(seen, start, step):
            step = 0.0
        width = step * max(1.0, float(np.rint(width / step))) if step else width
    count = int(np.ceil((width_of_all + step) / width * (1 - 1e-9))) or 1
    edges: Array = start - step / 2 + width * np.arange(count + 1, dtype=float)
    edges[-1] = max(edges[-1], float(seen.max()))  # not start + range, which rounds
    return edges


def _on_lattice(seen: Array, start: float, step: float) -> bool:
    for block in _blocks(len(seen)):
        steps = (seen[block] - start) / step
        if float(np.abs(steps - np.rint(steps)).max()) > OFF_LATTICE:
            return False
    return True
