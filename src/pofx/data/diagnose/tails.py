"""The outer parts of a column: outliers, heavy tails, a group apart.

Far-out rows are Tukey's: more than three interquartile ranges beyond the quartiles. Of a normal column
that is one row in 430,000, so a few of them are evidence at any size.

References
----------
Tukey (1977), Exploratory Data Analysis, 2D (outside and far-out values).
Hill (1975), Ann. Stat. 3, 1163: the shape of a tail that falls like a power.
Zhang and Stephens (2009), Technometrics 51, 316: the shape of a generalised Pareto tail.
Vehtari, Simpson, Gelman, Yao and Gabry (2024), JMLR 25(72): how long a tail to take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pofx.data.diagnose.column import Column, robust_scale
from pofx.data.diagnose.finding import (
    ALL,
    GAUSSIAN,
    Finding,
    Quantity,
    counted,
    number,
    percent,
)
from pofx.data.diagnose.marks import Marks

__all__ = ["Far", "far_out", "hill_shape", "outer_shape", "tail_findings", "tail_shape"]

FEWEST = 10  # rows; quartiles of fewer say nothing
FENCE = 3.0  # interquartile ranges beyond the quartiles
INFLATED = 1.5  # sd with far-out rows / sd without: a Gaussian's log density of the others falls by 0.4 nats
APART = 2.0  # from the median: innermost far-out row / outermost other row; a continuing tail has about 1
OUTLIERS_SHARE, OUTLIERS_FEW = 0.01, 3  # more far-out rows than this are a group or a tail, not outliers
ABSURD, ABSURD_SHARE = 10.0, 0.05  # unless they are as far away as that
TAIL_SHARE, TAIL_FEW = 0.002, 3  # far-out rows of a heavy tail: 850 times the normal share
TAIL_SIGMAS = 2.0  # standard errors by which the shape of the tail exceeds 0, an exponential tail


@dataclass(frozen=True)
class Far:
    """The far-out rows of a column, unit space.

    ``low`` and ``high`` are the fences, ``count`` the rows beyond them, ``sd`` the standard deviation of the
    other rows, ``apart`` whether a gap divides the far-out rows from the others.
    """

    low: float
    high: float
    count: int
    sd: float
    apart: bool


def far_out(column: Column) -> Far | None:
    """Return the far-out rows of a column, or None where there are none, or too few rows to tell."""
    if column.n < FEWEST:
        return None
    z = column.z
    scale, low, high = robust_scale(z)
    reach = FENCE * 1.349 * scale
    if reach == 0.0 or (z[0] >= low - reach and z[-1] <= high + reach):
        return None
    inside = z[(z >= low - reach) & (z <= high + reach)]
    middle = float(np.median(inside))
    apart = True
    for beyond, last in ((middle - z[z < low - reach][-1:], middle - inside[0]),
                         (z[z > high + reach][:1] - middle, inside[-1] - middle)):  # fmt: skip
        if beyond.size and beyond[0] < APART * last:
            apart = False
    sd = float(inside.std(ddof=1))
    return Far(low - reach, high + reach, len(z) - len(inside), sd, apart)


def dominating(column: Column, far: Far | None) -> bool:
    """Tell whether a few far-out rows decide the column's standard deviation."""
    if far is None or column.sd < INFLATED * far.sd:
        return False
    few = far.count <= max(OUTLIERS_FEW, OUTLIERS_SHARE * column.n)
    return few or (far.apart and column.sd >= ABSURD * far.sd and far.count <= ABSURD_SHARE * column.n)


def tail_shape(excess: np.ndarray) -> float:
    """Return the shape ξ of a generalised Pareto distribution of positive excesses over a threshold.

    ::

        P(X > x) = (1 + ξ x / σ)^(-1/ξ)

    by Zhang and Stephens' (2009) average over a grid: ξ is 0 for an exponential tail, negative for a bounded
    or a normal one, 1/a where the density falls like x^-(a+1); 1 for a Cauchy. Any unit gives the same ξ; the
    standard error is about (1 + ξ) / √n.

    Parameters
    ----------
    excess : ndarray of shape (n,)
        Ascending.
    """
    n = len(excess)
    m = 30 + int(np.sqrt(n))
    grid = (1.0 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3.0 * excess[int(n / 4 + 0.5) - 1])
    grid += 1.0 / excess[-1]
    shapes = np.array([np.log1p(-b * excess).mean() for b in grid])
    likelihood = n * (np.log(-grid / shapes) - shapes - 1.0)
    weights = np.exp(likelihood - likelihood.max())
    b = float((grid * weights).sum() / weights.sum())
    return float(np.log1p(-b * excess).mean())


def hill_shape(z: np.ndarray) -> tuple[float, float, int] | None:
    """Return (shape, standard error, rows used) of the tail of |X − median|, or None where it has no length.

    Hill's estimate, the mean of log(x / threshold): the maximum likelihood of P(X > x) ~ x^(-1/ξ), so that 1
    is a Cauchy and 1/a Student's t with a degrees of freedom. From the √n outermost rows: more of them are
    biased where the tail is a power only far out (of 1,000 rows of t with 3 degrees of freedom they give 0.36
    ± 0.06, three times as many 0.40 ± 0.04). Exponential tails come near 0 only slowly: 0.28 at 1,000 rows.

    Parameters
    ----------
    z : ndarray of shape (n,)
        Ascending, at least 10.
    """
    far = np.sort(np.abs(z - z[(len(z) - 1) // 2]))
    k = max(5, math.isqrt(len(z)))
    shape = float(np.log(far[-k:] / far[-k - 1]).mean()) if far[-k - 1] > 0.0 else 0.0
    return (shape, shape / k**0.5, k) if shape > 0.0 else None


def _tail(z: np.ndarray) -> tuple[float, int] | None:
    """Return (shape, rows used) of the upper tail of ascending values, or None where it has no length."""
    n = len(z)
    length = math.ceil(min(0.2 * n, 3.0 * math.sqrt(n)))
    excess = z[n - length :] - z[n - length - 1]
    excess = excess[excess > 0]
    return None if len(excess) < FEWEST else (tail_shape(excess), len(excess))


def outer_shape(z: np.ndarray) -> float:
    """Return the shape of the upper tail of ascending values, drawn towards 0.5 as ten rows of that shape
    would (the prior of Vehtari et al. 2024); −inf where the tail has no length."""
    found = _tail(z)
    return -math.inf if found is None else (found[1] * found[0] + 10.0 * 0.5) / (found[1] + 10.0)


def _heavy(z: np.ndarray) -> tuple[float, float] | None:
    """Return the shape, and its error, of the heavier tail where it is clearly heavier than exponential."""
    shapes = []
    for side in (z, -z[::-1]):
        found = _tail(side)
        if found is not None:
            shape, error = found[0], (1.0 + found[0]) / math.sqrt(found[1])
            if shape > TAIL_SIGMAS * error:
                shapes.append((shape, error))
    return max(shapes, default=None)


def tail_findings(seen: Marks) -> Iterator[Finding]:
    """Yield what there is to say about the outer parts of one column."""
    column = seen.rest
    if seen.constant or seen.few or column.n < FEWEST or column.k <= 2:
        return
    far = far_out(column)
    if far is not None:
        found = _far_finding(column, far)
        if found is not None:
            yield found


def _far_finding(column: Column, far: Far) -> Finding | None:
    share = far.count / column.n
    if dominating(column, far):
        return _outliers(column, far)
    if far.apart:
        return _group(column, far) if column.sd >= INFLATED * far.sd else None
    if far.count < max(TAIL_FEW, TAIL_SHARE * column.n):
        return None
    heavy = _heavy(column.z)
    return None if heavy is None else _heavy_tails(column, far, heavy, share)


def _outliers(column: Column, far: Far) -> Finding:
    v = column.v
    at = np.flatnonzero((v < far.low) | (v > far.high))
    farthest = at[np.argsort(-np.abs(v[at] - float(np.median(column.z))), kind="stable")][:3]
    values = ", ".join(number(float(column.values[i])) for i in farthest) + (", …" if len(at) > 3 else "")
    ratio = column.sd / far.sd if far.sd > 0 else math.inf
    without, with_them = column.length(far.sd), column.length(column.sd)
    # a value repeated, far from all others, was put there by hand
    code = " The same value each time: a code for a missing one?" if len(at) == 1 < far.count else ""
    lie = "lies" if far.count == 1 else "lie"
    return Finding(
        "outliers",
        (column.full_label,),
        Quantity(min(ratio, 1e300), "standard deviation with these rows / without them"),
        f"{column.label} has {counted(far.count, 'outlier')} ({values}), which {lie} beyond three "
        f"interquartile ranges and decide{'s' if far.count == 1 else ''} its standard deviation: "
        f"{number(with_them)} with, {number(without)} without.{code}",
        "Whatever is scaled by the standard deviation follows these rows and is too wide for all the others: "
        "a Gaussian, a rule for bandwidths or a number of bins.",
        ALL,
        "warning",
        "Look at these rows: correct or drop them if they are errors; if they are real, model the bulk and "
        "them apart; a code for missing values is read as such with na=.",
    )


def _group(column: Column, far: Far) -> Finding:
    share = far.count / column.n
    return Finding(
        "far_group",
        (column.full_label,),
        Quantity(share, "of the rows beyond three interquartile ranges"),
        f"{column.label} has a group apart: {counted(far.count, 'row')} ({percent(share)}) beyond three "
        "interquartile ranges, with a gap before them.",
        "One Gaussian must stretch over the gap, and puts its mass where no row is.",
        (GAUSSIAN,),
        "note",
        "Use a mixture, or model the groups apart.",
    )


def _heavy_tails(column: Column, far: Far, heavy: tuple[float, float], share: float) -> Finding:
    shape, error = heavy
    hill = hill_shape(column.z)
    also = ""
    if hill is not None:
        also = f", by Hill's estimate from the {hill[2]:,} outermost rows {hill[0]:.2f} ± {hill[1]:.2f}"
    return Finding(
        "heavy_tails",
        (column.full_label,),
        Quantity(shape, "shape of the tail (0 exponential, 1 Cauchy)"),
        f"{column.label} has heavy tails: {counted(far.count, 'row')} of {column.n:,} ({percent(share)}) lie "
        f"beyond three interquartile ranges, where a normal column has one in 430,000; the tail's shape is "
        f"{shape:.2f} ± {error:.2f} (0 exponential, 1 Cauchy){also}.",
        "A Gaussian calls such rows impossible, a mixture spends components on them, a kernel estimate puts "
        "a lonely bump on each, a histogram ends before the next one. Where both shapes are 0.5 or more "
        "there may be no finite variance, from 1 on no mean.",
        ALL,
        "warning",
        "Model the logarithm where the column is positive (pofx.Transformed), and judge by the median as "
        "well as by the mean of held-out log densities.",
    )
