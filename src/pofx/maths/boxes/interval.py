"""Differences of distribution functions, in logs, so that thin cells and cells far out keep their digits."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri_exp

__all__ = ["difference", "inverse", "log_interval"]

Floats = NDArray[np.float64]

THIN = 1e-3  # an interval of standardised width w about m is thin where w (1 + |m|) is below


def difference(log_upper: Floats, log_lower: Floats) -> Floats:
    """Return log(exp(log_upper) - exp(log_lower)), -inf where they are equal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out = log_upper + np.log(-np.expm1(np.minimum(log_lower - log_upper, 0.0)))
    return np.where(np.isnan(out), -np.inf, out)  # -inf less -inf: no mass on either side


def log_interval(a: Floats, b: Floats) -> Floats:
    """Return log[Φ(b) - Φ(a)] for a <= b, elementwise; ends may be infinite.

    In the nearer tail, and where the interval is thin by the midpoint rule with its next term,
    φ(m) w [1 + (m² - 1) w²/24], which no cancellation harms.
    """
    low, high, _ = _nearer(a, b)
    out = difference(log_ndtr(high), log_ndtr(low))
    middle, width, thin = _thin(low, high)
    if thin.any():
        m, w = middle[thin], width[thin]
        with np.errstate(divide="ignore"):
            log_w = np.log(w)
        out[thin] = -0.5 * (m * m + math.log(2.0 * math.pi)) + log_w + np.log1p((m * m - 1.0) * w * w / 24.0)
    return np.asarray(out)


def inverse(a: Floats, b: Floats, t: Floats) -> Floats:
    """Return y in [a, b] with Φ(y) = (1 - t) Φ(a) + t Φ(b): the t-quantile of a normal cut to a, b."""
    low, high, flipped = _nearer(a, b)
    share = np.where(flipped, 1.0 - t, t)
    with np.errstate(divide="ignore"):
        log_u = np.logaddexp(np.log1p(-share) + log_ndtr(low), np.log(share) + log_ndtr(high))
    y = ndtri_exp(np.minimum(log_u, 0.0))
    _, width, thin = _thin(low, high)
    with np.errstate(invalid="ignore"):
        y = np.where(thin, low + share * width, y)
    y = np.clip(y, low, high)
    return np.asarray(np.where(flipped, -y, y))


def _nearer(a: Floats, b: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return the interval, mirrored at zero where it lies in the upper half, and where it was."""
    with np.errstate(invalid="ignore"):
        flipped = np.asarray(a + b > 0.0)
    return np.where(flipped, -b, a), np.where(flipped, -a, b), flipped


def _thin(low: Floats, high: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    with np.errstate(invalid="ignore", over="ignore"):
        middle, width = 0.5 * low + 0.5 * high, high - low
        thin = width * (1.0 + np.abs(middle)) < THIN
    return middle, width, np.asarray(thin)
