"""How many of n rows fall beyond a limit that was set from m others of their kind."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import betaln, gammaln

__all__ = ["count_quantile"]

AT_A_TIME = 2**16


def count_quantile(n: int, level: float, *, rate: float, m: float | None = None) -> int:
    """Return the smallest count j of n rows with P(J <= j) >= level.

    Parameters
    ----------
    n : int
    level : float in (0, 1)
    rate : float in (0, 1)
        The chance of one row. With ``m``, k = rate (m + 1) is whole (or the weight of whole rows).
    m : float, optional
        The limit is the k-th smallest of m rows of the same continuous distribution. The rate is then
        Beta(k, m + 1 − k), the law of the k-th smallest of m uniform numbers, and J is beta-binomial. None:
        the rate is known, and J is binomial.
    """
    reached = 0.0
    for start in range(0, n + 1, AT_A_TIME):
        j = np.arange(start, min(start + AT_A_TIME, n + 1), dtype=float)
        log_p = gammaln(n + 1.0) - gammaln(j + 1.0) - gammaln(n - j + 1.0)
        if m is None:
            log_p += j * math.log(rate) + (n - j) * math.log1p(-rate)
        else:
            a, b = rate * (m + 1.0), (1.0 - rate) * (m + 1.0)
            log_p += betaln(j + a, n - j + b) - betaln(a, b)
        below = reached + np.cumsum(np.exp(log_p))
        if below[-1] >= level:
            return start + int(np.searchsorted(below, level))
        reached = float(below[-1])
    return n
