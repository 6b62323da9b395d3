"""Scales of one column that bandwidth rules start from, for weighted rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pofx.errors import DegenerateError

__all__ = [
    "inflation",
    "interquartile",
    "robust_scale",
    "tie_step",
    "total_weight",
    "weighted_mean",
    "weighted_quantile",
    "weighted_sd",
]

Floats = NDArray[np.float64]

INFLATED = 5.0  # sd over robust scale above which a few rows may set the bandwidth
FLATTENED = 0.5  # nats by which the bulk's log density may be lowered for that before it is said


def weighted_mean(x: Floats, w: Floats) -> float:
    """Return Σwx/Σw of one column, computed about one of its values."""
    origin = x[0]
    return float(origin + ((x - origin) * w).sum() / w.sum())


def weighted_sd(x: Floats, w: Floats) -> float:
    """Return the standard deviation with Σw - 1 in the divisor: that of the repeated rows."""
    centred = x - weighted_mean(x, w)
    return math.sqrt(float((w * centred * centred).sum()) / (float(w.sum()) - 1.0))


def weighted_quantile(x: Floats, w: Floats, q: float) -> float:
    """Return the q-quantile of one column, R's type 7 (NumPy's default) of the repeated rows.

    Type 7 is the mean of the step function Q, on which row i lies over an interval of length w_i, over the
    window [q(W-1), q(W-1) + 1]. This form has a meaning for any weights, and is continuous in them.
    """
    order = np.argsort(x, kind="stable")
    x, end = x[order], np.cumsum(w[order])
    start = q * max(float(end[-1]) - 1.0, 0.0)
    stop = min(start + 1.0, float(end[-1]))
    begin = np.concatenate([[0.0], end[:-1]])
    share = np.clip(np.minimum(end, stop) - np.maximum(begin, start), 0.0, None)
    first = x[int(np.argmax(share > 0.0))]  # about this value, so that tied rows give it exactly
    return float(first + (share * (x - first)).sum() / share.sum())


def tie_step(x: Floats, w: Floats) -> float:
    """Return the spacing of the lattice that rounded values lie on; 0 where no two rows are tied.

    It is the smallest gap between distinct values, so it follows the data's units whatever was done to
    them after they were rounded; a few ties among values that were not rounded give next to nothing.
    """
    values = np.unique(x)
    if float(w.sum()) <= len(values) * (1.0 + 1e-9):
        return 0.0
    gaps = np.diff(values)
    gaps = gaps[gaps > 1e-9 * robust_scale(x, w)]  # less is the rounding of arithmetic, not of a record
    return float(gaps.min()) if len(gaps) else 0.0


def interquartile(x: Floats, w: Floats) -> float:
    return weighted_quantile(x, w, 0.75) - weighted_quantile(x, w, 0.25)


def robust_scale(x: Floats, w: Floats) -> float:
    """Return a scale of the bulk that is σ for a normal column; wider quantiles where ties collapse it."""
    for tail, width in ((0.25, 1.349), (0.1, 2.563), (0.02, 4.108)):
        scale = (weighted_quantile(x, w, 1.0 - tail) - weighted_quantile(x, w, tail)) / width
        if scale > 0.0:
            return scale
    return 0.0


def total_weight(w: Floats) -> float:
    total = float(w.sum())
    if total <= 1.0:
        raise DegenerateError(
            "A data-driven bandwidth needs a sample size above 1; the weights amount to "
            f"{total:.4g}. Give more rows, or the bandwidth as a number."
        )
    return total


def inflation(x: Floats, w: Floats, sd: float, rate: float, label: str, remedy: str) -> str | None:
    """Return a sentence where a few far rows have blown up σ enough to flatten the bulk.

    The bulk of scale s under a kernel of sd r·s·rate has its log density lowered by about
    ½ log((1 + r² rate²)/(1 + rate²)) nats against the same with r = 1.
    """
    scale = robust_scale(x, w)
    if scale <= 0.0 or sd <= INFLATED * scale:
        return None
    r = sd / scale
    lost = math.log(math.hypot(1.0, r * rate) / math.hypot(1.0, rate))
    if lost < FLATTENED:
        return None
    return (
        f"{label}: far-out rows make the standard deviation {r:.3g} times that of the central half, and the "
        f"bandwidth with it: the bulk's log density comes out about {lost:.1f} nats too low. {remedy}"
    )
