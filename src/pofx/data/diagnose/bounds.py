"""Bounds of a column: zero, and ends at which the density does not fall off."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import ndtr

from pofx.data.diagnose.column import Column, robust_scale
from pofx.data.diagnose.finding import GAUSSIAN, KDE, MIXTURE, Finding, Quantity, number, percent
from pofx.data.diagnose.marks import Marks
from pofx.data.diagnose.tails import FEWEST

__all__ = ["bound_findings"]

ABSENT = 10.0  # rows that a normal column would have below zero where none is: a chance of exp(-10)
NOTICED = 0.01  # of the rows beyond a bound: less hardly changes a density
NEAR_ZERO = 0.5  # standard deviations within which the smallest value lies, for zero to be a bound in reach
EDGE_ROWS = 500
EDGE_PARTS = (0.25, 0.10, 0.05)  # lowest shares of the rows that must be as dense at the edge as further in
EDGE_SLACK = 2.0  # standard errors: none of 400 normal columns of 500 rows passes, 97 % of uniform ones do


def bound_findings(seen: Marks) -> Iterator[Finding]:
    """Yield what there is to say about the bounds of one column."""
    if not (seen.constant or seen.few) and seen.rest.n >= FEWEST and seen.rest.k > 2:
        found = _bound(seen)
        if found is not None:
            yield found


def _bound(seen: Marks) -> Finding | None:
    """Return the finding about a bound at zero, or at an end where the density does not fall off."""
    column = seen.rest
    at_low, at_high = 0 in seen.spikes, seen.column.k - 1 in seen.spikes  # a spike at an end says it already
    share = 0.0 if at_low else _missing_below_zero(column)
    low = not at_low and not share and _edge(column.z, column.step)
    high = not at_high and _edge(-column.z[::-1], column.step)
    said = []
    if share:
        said.append(
            "is never negative, though a normal column with its centre and spread would be in "
            f"{percent(share)} of its rows ({share * column.n:,.0f})"
        )
    edges = [float(column.values[i]) for i, there in ((0, low), (-1, high)) if there]
    if edges:
        said.append(
            f"ends abruptly at {' and '.join(map(number, edges))}: its rows are as dense there as further "
            "inside"
        )
    if not said:
        return None
    return Finding(
        "bound",
        (column.full_label,),
        Quantity(0.0 if share else edges[0], f"of {column.label}, where it seems to end"),
        f"{column.label} seems to be bounded: it {', and it '.join(said)}.",
        "A Gaussian, a mixture or a kernel estimate puts mass beyond a bound, and too little just inside it.",
        (GAUSSIAN, MIXTURE, KDE),
        "warning" if edges or share >= NOTICED else "note",
        f"If the bound is real: pofx.Transformed(model, {{{column.key}: "
        f"({_zero(column) if share else 'low' if low else None}, {'high' if high else None})}}), with bounds "
        "that no row reaches.",
    )


def _zero(column: Column) -> str:
    """Return the bound to give for a column that is never negative: zero, or half a step below it."""
    if column.values[0] > 0:
        return "0"
    return "low" if column.step is None else number(-column.length(column.step) / 2.0)


def _missing_below_zero(column: Column) -> float:
    """Return the share of rows that a normal column with the same centre and spread would have below zero,
    where no row is, zero is in reach and chance does not explain it; else 0.

    Centre and spread are taken both as mean and standard deviation and from quantiles, and the smaller share
    counts, so that neither an outlier nor two groups make a bound.
    """
    if column.values[0] < 0:
        return 0.0
    zero = float(column.units.to(np.zeros(1))[0])
    scale, _, _ = robust_scale(column.z)
    if scale == 0.0 or column.sd == 0.0 or column.z[0] - zero > NEAR_ZERO * min(scale, column.sd):
        return 0.0
    middle = float(column.z[(column.n - 1) // 2])
    share = float(min(ndtr((zero - column.mean) / column.sd), ndtr((zero - middle) / scale)))
    return share if share * column.n >= ABSENT else 0.0


def _edge(z: np.ndarray, step: float | None) -> bool:
    """Tell whether the density of ascending values does not fall off towards the smallest one.

    Of the lowest quarter (tenth, twentieth) of the rows, half or more lie in the lower half of the interval
    that they span if the density is level there or rises towards the end; of a normal column less than a
    quarter. The short parts catch a small group far below the rest, whose own tail falls off.
    """
    n = len(z)
    if n < EDGE_ROWS:
        return False
    for part in EDGE_PARTS:
        length = int(part * n)
        stop, start = z[length], z[0]
        if stop <= start or (step is not None and stop - start < 10.0 * step):
            return False
        lower = np.searchsorted(z[:length], (start + stop) / 2.0)
        if lower < 0.5 * length - EDGE_SLACK * 0.5 * math.sqrt(length):
            return False
    return True
