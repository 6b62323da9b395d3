"""Why values of a column repeat: rounding, heaping, or ties that neither explains.

A density has no ties. Where rows share values, any criterion that may grow narrower (a bandwidth by
cross-validation, a mixture component, a bin) is rewarded without limit for sitting on them.

References
----------
Silverman (1986), Density Estimation, section 3.4: least-squares cross-validation of a normal kernel
prefers the bandwidth zero as soon as there are more than 0.27 n tied pairs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pofx.data.diagnose.column import Column
from pofx.data.diagnose.finding import HISTOGRAM, KDE, MIXTURE, Finding, Quantity, counted, number, percent
from pofx.data.diagnose.marks import Marks

__all__ = ["repeat_findings"]

TIED = 0.27  # tied pairs per row; Silverman (1986), see above
HEAPS = (2, 4, 5, 10, 12, 15, 20, 25, 30, 50, 60, 100)  # how people round, in recorded steps
HEAP_RATIO = 1.5  # how much more often than by chance,
HEAP_SIGMAS = 6.0  # and how surely: a dozen looks per column
TIE_RATIO = 3.0  # ties beyond what the recorded step explains


def repeat_findings(seen: Marks) -> Iterator[Finding]:
    """Yield the one finding that explains the ties of a column, spikes apart, if it has many."""
    column = seen.rest
    if not (seen.constant or seen.few) and column.tied_pairs > TIED * column.n:
        yield _explained(column)


def _explained(column: Column) -> Finding:
    """Return heaping, rounding or ties, whichever explains what is there."""
    pairs = column.tied_pairs
    scale = column.scale
    narrow = 0.9 * scale * column.n**-0.2  # Silverman's bandwidth: the detail that n rows can show
    step = column.step
    if step is None:
        return _ties(column, None)
    index = np.rint((column.v - column.v[0]) / step)
    expected = _expected_pairs(column, index, scale / step)
    heap = _heap(column, index, scale / step)
    if heap is not None:
        m, residue, share = heap
        expected *= share * share * m + (1.0 - share) ** 2 * m / (m - 1)
    if pairs > TIE_RATIO * expected + 5.0:  # something else than the step, and than heaping, made them
        return _ties(column, step)
    if heap is not None:
        return _heaping(column, m, residue, share, severe=m * step > narrow)
    return _rounding(column, step, severe=step > narrow)


def _expected_pairs(column: Column, index: np.ndarray, scale: float) -> float:
    """Return how many pairs would be tied if the density were smooth on the scale of a quarter of a standard
    deviation: half the mean number of pairs that lie 1, 2, ... steps apart."""
    reach = np.floor(0.25 * scale)
    if reach < 3:
        return np.inf
    total = np.concatenate([[0], np.cumsum(column.counts)])
    within = total[np.searchsorted(index, index + reach, side="right")] - total[1:]
    return float((column.counts * within.astype(float)).sum() / (2.0 * reach))


def _heap(column: Column, index: np.ndarray, scale: float) -> tuple[int, int, float] | None:
    """Return (m, residue, share) where one residue class of the steps modulo m is preferred: the m with the
    largest excess. All residues must occur, or the lattice is not what it seems (seconds written as
    decimals of a minute)."""
    best = None
    for m in HEAPS:
        if scale * 1.349 < 2 * m:  # a column must spread over several heaps, or its shape looks like heaping
            break
        classes = (index % m).astype(np.int64)
        held = np.bincount(classes, weights=column.counts, minlength=m)
        residue, chance = int(np.argmax(held)), 1.0 / m
        share = float(held[residue]) / column.n
        # the class must be preferred without its most frequent value too: one value is no heap
        top = float(column.counts[classes == residue].max())
        without, n = (held[residue] - top) / (column.n - top), column.n - top
        sigmas = (without - chance) / np.sqrt(chance * (1.0 - chance) / n)
        if (held > 0).mean() < 0.8 or without < HEAP_RATIO * chance or sigmas < HEAP_SIGMAS:
            continue
        if best is None or share - chance > best[0]:
            best = share - chance, m, residue, share
    return None if best is None else best[1:]


def _written(column: Column, step: float) -> str:
    """Return "in whole numbers (step 1)", "with 3 decimals (step 0.001)", "in steps of 5"."""
    size = column.length(step)
    places = column.decimals
    if places is None or abs(size * 10.0**places - 1.0) > 1e-3:
        return f"in steps of {number(size)}"
    how = {0: "in whole numbers", 1: "with 1 decimal"}.get(places, f"with {places} decimals")
    return f"{how} (step {number(10.0**-places)})"


def _different(column: Column) -> str:
    return f"{column.k:,} different values in {column.n:,} rows"


def _multiples(column: Column, first: float, step: float) -> str:
    """Return "multiples of 5", or "among 3, 8, 13, ..."."""
    start, size = column.value(first), column.length(step)
    if abs(start / size) < 1e9 and abs(start / size - round(start / size)) < 1e-6:
        return f"multiples of {number(size)}"
    return f"among {number(start)}, {number(start + size)}, {number(start + 2.0 * size)}, …"


def _rounding(column: Column, step: float, *, severe: bool) -> Finding:
    size = column.length(step)
    how = _written(column, step)
    if how.startswith("in steps"):
        what = _multiples(column, float(column.v[0]), step)
        how += f": all values are {what}" if what.startswith("multiples") else ""
    consequence = (
        "What is finer than the step was never recorded: a bandwidth, a component or a bin below it "
        "describes the rounding, and gains log density without limit by it."
    )
    if severe:
        consequence = "The step is coarser than the detail that so many rows could show. " + consequence
    return Finding(
        "rounding",
        (column.full_label,),
        Quantity(size, f"units of {column.label} from one recordable value to the next"),
        f"{column.label} is recorded {how}; {_different(column)}.",
        consequence,
        (MIXTURE, KDE, HISTOGRAM),
        "warning" if severe else "note",
        "Trust no width below the step, and compare with draws rounded the same way (sample does so).",
    )


def _heaping(column: Column, m: int, residue: int, share: float, *, severe: bool) -> Finding:
    step = column.step or 0.0
    what = _multiples(column, float(column.v[0]) + residue * step, m * step)
    return Finding(
        "heaping",
        (column.full_label,),
        Quantity(share, f"of the rows at one in {m} values"),
        f"{column.label} is recorded {_written(column, step)}, but {percent(share)} of its values are "
        f"{what}, where {percent(1 / m)} would be by chance; {_different(column)}.",
        "Someone rounded part of the values more coarsely: narrow kernels and bins show a comb that is not "
        "there.",
        (MIXTURE, KDE, HISTOGRAM),
        "warning" if severe else "note",
        "Keep bandwidths and bins no narrower than the coarser step.",
    )


def _ties(column: Column, step: float | None) -> Finding:
    repeats = column.n - column.k
    more = ""
    if step is not None:
        more = f", more than its recording {_written(column, step)} explains"
    elif column.decimals is not None:
        more = f", recorded with {counted(column.decimals, 'decimal')}"
    return Finding(
        "ties",
        (column.full_label,),
        Quantity(repeats / column.n, "of the rows repeat the value of another"),
        f"{column.label} has many ties: {_different(column)}{more}.",
        "Ties pull a bandwidth chosen by cross-validation, and the components of a mixture, towards width "
        "zero: they gain log density without limit there.",
        (MIXTURE, KDE, HISTOGRAM),
        "note",
        "Find out how it was recorded (a coarser clock, values filled in or copied), and trust no width "
        "finer than that.",
    )
