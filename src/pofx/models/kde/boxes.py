"""The mass of boxes under a kernel estimate: over every bump, a product of differences of its distribution
function, column by column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ...core.params import Params
from ...maths.boxes import difference, log_interval
from ...maths.kernels import Kernel
from .parts import bumps_of

__all__ = ["log_boxes"]

Floats = NDArray[np.float64]

AT_ONCE = 400_000  # (box, bump) pairs


def log_boxes(params: Params, lower: Floats, upper: Floats, point: NDArray[np.bool_]) -> Floats:
    """Return the log mass of boxes (m, d), unit space, shape (m,); bandwidths per column, no edges."""
    bumps = bumps_of(params)
    step = max(1, AT_ONCE // bumps.n)
    out = np.empty(len(lower))
    for start in range(0, len(lower), step):
        low, high = lower[start : start + step], upper[start : start + step]
        logs = np.broadcast_to(params.log_weights, (len(low), bumps.n)).copy()
        for j in range(bumps.d):
            h = bumps.bandwidth[j] * (1.0 if bumps.factors is None else bumps.factors)
            a, b = (low[:, j, None] - bumps.points[:, j]) / h, (high[:, j, None] - bumps.points[:, j]) / h
            logs += bumps.kernel.log_density(a) - np.log(h) if point[j] else _interval(bumps.kernel, a, b)
        out[start : start + step] = logsumexp(logs, axis=1)
    return out


def _interval(kernel: Kernel, a: Floats, b: Floats) -> Floats:
    """Return the log mass of a bump between a and b, in standard deviations from its centre."""
    if kernel.name == "gaussian":
        return log_interval(a, b)
    with np.errstate(invalid="ignore"):
        flipped = a + b > 0.0  # bumps are symmetric: the difference of the smaller tail
    low, high = np.where(flipped, -b, a), np.where(flipped, -a, b)
    return difference(kernel.log_cdf(high), kernel.log_cdf(low))
