"""Quantiles by inverting a distribution function in logs, where there is no formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["quantile_by_bisection"]


def quantile_by_bisection(
    log_cdf: Callable[[np.ndarray], np.ndarray],
    log_sf: Callable[[np.ndarray], np.ndarray],
    q: np.ndarray,
) -> np.ndarray:
    """Return x with cdf(x) = q, elementwise, to the last bits of x.

    Below one half the lower tail is matched in logs, above it the upper tail, so that quantiles of
    1e-300 are as good as medians. ``q = 0`` and ``q = 1`` give the ends of the support, which are
    infinite unless the tail vanishes.
    """
    with np.errstate(divide="ignore"):
        low_target, high_target = np.log(q), np.log1p(-q)
    lower = q <= 0.5

    def excess(x: np.ndarray) -> np.ndarray:
        """Positive where x is beyond the quantile."""
        return np.where(lower, log_cdf(x) - low_target, high_target - log_sf(x))

    a, b = -np.ones_like(q), np.ones_like(q)  # unit space: the data lie about here
    with np.errstate(invalid="ignore", over="ignore"):
        for _ in range(1100):  # doubling crosses all of float64 in 1024 steps
            outside = ~(excess(a) < 0) & np.isfinite(a)
            if not outside.any():
                break
            a = np.where(outside, a * 2, a)
        for _ in range(1100):
            outside = ~(excess(b) >= 0) & np.isfinite(b)
            if not outside.any():
                break
            b = np.where(outside, b * 2, b)
        # Halve the interval; where an end is infinite (q = 0 or 1 of an unbounded density) leave it.
        for _ in range(1200):
            middle = a / 2 + b / 2
            active = (middle != a) & (middle != b) & np.isfinite(middle)
            if not active.any():
                break
            beyond = excess(middle) >= 0
            b = np.where(active & beyond, middle, b)
            a = np.where(active & ~beyond, middle, a)
    out = np.where(np.isfinite(b), b, a)
    out = np.where((q == 0) & ~np.isfinite(a), -np.inf, out)
    return np.where((q == 1) & ~np.isfinite(b), np.inf, out)
