"""Values that many rows hold: one value, few values, spikes; and what they leave of the column."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from pofx.data.diagnose.column import Column, robust_scale
from pofx.data.diagnose.finding import (
    ALL,
    Finding,
    Quantity,
    counted,
    listed,
    number,
    percent,
)

__all__ = ["Marks", "mark_findings"]

FEW = 10  # so few values are categories or grades, whatever they are called
SPIKE_SHARE = 0.02  # of the rows,
SPIKE_ROWS = 5  # and not fewer rows than this,
SPIKE_RATIO = 5.0  # and so many times the largest count among the neighbours
NEIGHBOURS = 10  # values on each side that a spike is compared with, so that heaps are neighbours of heaps
MOST_SPIKES = 5  # more of them are heaping, not spikes


class Marks:
    """One column, its spikes, and the rest of it.

    Parameters
    ----------
    column : Column
    """

    def __init__(self, column: Column) -> None:
        self.column = column

    @cached_property
    def constant(self) -> bool:
        """One value in two or more rows."""
        return self.column.n > 1 and self.column.k == 1

    @cached_property
    def few(self) -> bool:
        """At most ten values, most of them shared by many rows."""
        return 1 < self.column.k <= FEW and self.column.tied_pairs > self.column.n

    @cached_property
    def spikes(self) -> np.ndarray:
        """The positions, among the distinct values, of those that far more rows hold than any neighbour."""
        counts, k, n = self.column.counts, self.column.k, self.column.n
        if self.few or k <= 2:
            return np.empty(0, dtype=np.int64)
        found = np.flatnonzero(counts >= max(SPIKE_ROWS, SPIKE_SHARE * n))
        clear = []
        for i in found[np.argsort(-counts[found], kind="stable")][:50]:
            around = np.concatenate([counts[max(i - NEIGHBOURS, 0) : i], counts[i + 1 : i + 1 + NEIGHBOURS]])
            if counts[i] >= SPIKE_RATIO * around.max():
                clear.append(i)
        return np.sort(np.array(clear if len(clear) <= MOST_SPIKES else [], dtype=np.int64))

    @cached_property
    def rest(self) -> Column:
        """The column without the rows at its spikes: what a density can describe."""
        return self.column.apart_from(self.spikes) if len(self.spikes) else self.column


def mark_findings(seen: Marks) -> Iterator[Finding]:
    """Yield what there is to say about values that many rows hold."""
    if seen.constant:
        yield _constant(seen.column)
        return
    if seen.few:
        yield _few(seen.column)
        return
    if len(seen.spikes):
        yield _spike(seen)


def _constant(column: Column) -> Finding:
    name, value = column.label, float(column.values[0])
    return Finding(
        "constant",
        (column.full_label,),
        Quantity(value, f"in all {column.n:,} rows"),
        f"{name} is constant: {number(value)} in all {column.n:,} rows.",
        "No density exists there: all mass sits on one value.",
        ALL,
        "blocks",
        f"Leave it out, as drop=[{column.key}] does.",
    )


def _few(column: Column) -> Finding:
    most = int(np.argmax(column.counts))
    held = f"{number(float(column.values[most]))} in {percent(column.counts[most] / column.n)} of them"
    return Finding(
        "few_values",
        (column.full_label,),
        Quantity(column.k, "different values"),
        f"{column.label} takes only {column.k} different values in {column.n:,} rows ({held}).",
        "These are masses, not a density: the narrower a component, a kernel or a bin at such a value, the "
        "higher its log density, without limit, so models cannot be ranked by it.",
        ALL,
        "warning",
        f"Leave it out, as drop=[{column.key}] does, and model the rows of each value apart.",
    )


def _spike(seen: Marks) -> Finding:
    column, rest = seen.column, seen.rest
    parts = []
    for i in seen.spikes:
        where = ""
        if i in (0, column.k - 1):
            where = f", its {'smallest' if i == 0 else 'largest'} value"
        parts.append(
            f"{counted(int(column.counts[i]), 'row')} ({percent(column.counts[i] / column.n)}) hold "
            f"{number(float(column.values[i]))}{where}"
        )
    ends = bool(np.isin(seen.spikes, (0, column.k - 1)).any())
    guess = " At an end it may be a limit of the instrument, or where nothing was there to measure." * ends
    if far := _far(column, rest, seen.spikes):
        guess = f" {listed(far)} lies far from all other values: a code for a missing value?"
    top = int(column.counts[seen.spikes].max())
    return Finding(
        "spike",
        (column.full_label,),
        Quantity(top / column.n, "of the rows at one value"),
        f"{column.label} has {'a spike' if len(parts) == 1 else 'spikes'}: {'; '.join(parts)}; no value "
        f"nearby is a fifth as common.{guess}",
        "A density cannot hold a mass at one point: a Gaussian spreads it, a mixture or a kernel estimate "
        "grows narrow on it and wins comparisons by it.",
        ALL,
        "warning",
        "Model these rows apart (their share is known) and fit a density to the others; a code for missing "
        "values is read as such with na=.",
    )


def _far(column: Column, rest: Column, spikes: np.ndarray) -> list[str]:
    """Return the spikes more than three interquartile ranges beyond the quartiles of the other rows.

    Where most rows are at spikes these are what is usual, not the others.
    """
    if rest.n < max(FEW, column.n / 2.0):
        return []
    z = column.units.to(rest.values.repeat(rest.counts))
    scale, low, high = robust_scale(z)
    reach = 3.0 * 1.349 * scale
    at = column.v[spikes]
    gone = (at < low - reach) | (at > high + reach) if scale > 0 else np.zeros(len(at), dtype=bool)
    return [number(float(column.values[i])) for i in spikes[gone]]
