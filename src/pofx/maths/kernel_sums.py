r"""Log sums over all pairs of queries and points, exact to rounding: the naive engine.

    s(x) = log Σ_i w_i Π_j k((x_j - y_ij) / h_j) / h_j

Every pair is visited, in tiles of queries × points that fit the cache, so the memory is a constant and
never n × m. Differences are formed before anything is scaled or squared: expanding the square as
x² - 2xy + y² would cost up to (x/h)² units of rounding, direct differences cost none. The sum streams:
each query keeps its largest logarithm so far and the sum of the exponentials relative to it, so nothing
underflows in the tails and nothing overflows at a tie.

Faster engines answer the same call and are tested against this one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pofx.maths.kernels import Kernel

__all__ = ["log_sum_kernel", "log_sum_tail", "quantile"]

Floats = NDArray[np.float64]
Fill = Callable[[slice, slice, Floats, Floats], None]

POINTS_PER_TILE = 2048
PAIRS_PER_TILE = 2**16  # two float64 buffers of this size are 1 MB: they stay in one core's cache
MOST_STEPS = 240
COLUMNS_PER_PRODUCT = 16  # products of this many bumps stay above 1e-16^16, far from underflow


def log_sum_kernel(
    queries: Floats,
    points: Floats,
    log_weights: Floats | None,
    kernel: Kernel,
    bandwidth: Floats,
) -> Floats:
    """Return log Σ_i w_i Π_j k((x_j - y_ij)/h_j)/h_j for every query row x.

    Parameters
    ----------
    queries : (m, d) float64
    points : (n, d) float64, n >= 1
    log_weights : (n,) float64, or None for weights of one
    kernel : Kernel
        Unit standard deviation, so ``bandwidth`` is the standard deviation of the bump.
    bandwidth : (d,) float64, positive, in the units of the columns

    Returns
    -------
    (m,) float64
        Nats; -inf where no bump reaches (compact kernels), and for the Gaussian only beyond some 1e154
        bandwidths, where the logarithm itself leaves float64.
    """
    d = points.shape[1]
    # One contiguous row per column: the inner loops of a tile then run along memory.
    x, y = np.ascontiguousarray(queries.T), np.ascontiguousarray(points.T)
    step = np.asarray(bandwidth, dtype=np.float64) * kernel.scale

    def product(rows: slice, cols: slice, tile: Floats, spare: Floats) -> None:
        for first in range(0, d, COLUMNS_PER_PRODUCT):
            part = tile if first == 0 else np.empty_like(tile)
            kernel.begin(part)
            for j in range(first, min(first + COLUMNS_PER_PRODUCT, d)):
                np.subtract(x[j, rows, None], y[j, None, cols], out=spare)
                with np.errstate(over="ignore"):
                    np.divide(spare, step[j], out=spare)
                kernel.join(part, spare)
            kernel.finish(part)
            if first:
                np.add(tile, part, out=tile)

    constant = d * kernel.log_norm - float(np.log(bandwidth).sum())
    return _stream(len(queries), len(points), log_weights, product) + constant


def log_sum_tail(
    queries: Floats,
    points: Floats,
    log_weights: Floats | None,
    kernel: Kernel,
    bandwidth: float,
    *,
    upper: bool,
) -> Floats:
    """Return the log of the mass above (``upper``) or below each query, in one dimension.

    ``queries`` (m,) and ``points`` (n,) are vectors. Accurate while the mass is small; where it is close
    to the whole, take the other tail's complement.
    """
    log_tail = kernel.log_sf if upper else kernel.log_cdf

    def tails(rows: slice, cols: slice, tile: Floats, spare: Floats) -> None:
        np.subtract(queries[rows, None], points[None, cols], out=spare)
        with np.errstate(over="ignore"):
            np.divide(spare, bandwidth, out=spare)
        tile[...] = log_tail(spare)

    return _stream(len(queries), len(points), log_weights, tails)


def quantile(q: Floats, points: Floats, log_weights: Floats, kernel: Kernel, bandwidth: float) -> Floats:
    """Return x with mass q below it, elementwise, in one dimension; Σ exp(log_weights) = 1.

    Newton's steps on the log of the smaller tail, so that a quantile of 1e-300 is as good as a median; a
    step that leaves the bracket, or fails to shrink it, becomes a bisection. ``q = 0`` and ``q = 1`` give
    the ends of the support.
    """
    reach = bandwidth * kernel.radius
    out = np.where(q == 0.0, points.min() - reach, points.max() + reach)
    for upper in (False, True):
        chosen = np.flatnonzero((q > 0.5) & (q < 1.0) if upper else (q > 0.0) & (q <= 0.5))
        if len(chosen):
            out[chosen] = _one_tail(q[chosen], points, log_weights, kernel, bandwidth, upper)
    return out


def _one_tail(
    q: Floats, points: Floats, log_weights: Floats, kernel: Kernel, bandwidth: float, upper: bool
) -> Floats:
    sign = -1.0 if upper else 1.0
    target = np.log1p(-q) if upper else np.log(q)
    h = np.array([bandwidth])
    # A mixture's quantile lies between the smallest and the largest of its components' quantiles.
    least, most = kernel.bounds(q)
    a = points.min() + bandwidth * (least - 1e-6 * (1.0 + np.abs(least)))
    b = points.max() + bandwidth * (most + 1e-6 * (1.0 + np.abs(most)))
    x = np.clip(_empirical_quantile(q, points, log_weights), a, b)
    active = np.arange(len(q))
    for step in range(MOST_STEPS):
        at = x[active]
        tail = log_sum_tail(at, points, log_weights, kernel, bandwidth, upper=upper)
        excess = sign * (tail - target[active])  # grows with x; zero at the quantile
        a[active] = np.where(excess < 0.0, at, a[active])
        b[active] = np.where(excess < 0.0, b[active], at)
        low, high = a[active], b[active]
        new = low / 2.0 + high / 2.0
        close = np.zeros(len(active), dtype=bool)
        if step % 5 != 4:  # every fifth step halves the bracket, whatever Newton says
            slope = log_sum_kernel(at[:, None], points[:, None], log_weights, kernel, h)
            with np.errstate(over="ignore", invalid="ignore"):
                newton = at - excess * np.exp(tail - slope)
            inside = (newton >= low) & (newton <= high)
            new = np.where(inside, newton, new)
            close = inside & (np.abs(new - at) < 1e-8 * bandwidth)  # and the next error is the square of this
        x[active] = new
        resolution = 2.0**-52 * np.maximum(np.abs(new), 2.0**-20 * bandwidth)
        active = active[~close & (high - low > resolution)]
        if not len(active):
            break
    return x


def _empirical_quantile(q: Floats, points: Floats, log_weights: Floats) -> Floats:
    order = np.argsort(points, kind="stable")
    reached = np.cumsum(np.exp(log_weights[order]))
    return points[order][np.minimum(np.searchsorted(reached, q), len(points) - 1)]


def _stream(m: int, n: int, log_weights: Floats | None, fill: Fill) -> Floats:
    """Sum exp(log w_i + term) over i for each of m queries, tile by tile; return the logs."""
    wide = min(n, POINTS_PER_TILE)
    tall = max(1, min(m, PAIRS_PER_TILE // wide))
    buffers = np.empty((2, tall * wide))
    out = np.empty(m)
    for top in range(0, m, tall):
        rows = slice(top, min(top + tall, m))
        out[rows] = _one_band(rows, n, wide, log_weights, fill, buffers)
    return out


def _one_band(
    rows: slice, n: int, wide: int, log_weights: Floats | None, fill: Fill, buffers: Floats
) -> Floats:
    count = rows.stop - rows.start
    largest = np.full(count, -math.inf)  # of all terms so far, per query
    total = np.zeros(count)  # Σ exp(term - largest)
    for left in range(0, n, wide):
        cols = slice(left, min(left + wide, n))
        shape = (count, cols.stop - cols.start)
        tile, spare = (buffer[: shape[0] * shape[1]].reshape(shape) for buffer in buffers)
        fill(rows, cols, tile, spare)
        if log_weights is not None:
            np.add(tile, log_weights[None, cols], out=tile)
        new = np.maximum(largest, tile.max(axis=1))
        reference = np.where(np.isneginf(new), 0.0, new)  # -inf - -inf would be NaN
        np.subtract(tile, reference[:, None], out=tile)
        np.exp(tile, out=tile)
        total = total * np.exp(largest - reference) + tile.sum(axis=1)
        largest = new
    with np.errstate(divide="ignore"):
        return largest + np.log(np.where(np.isneginf(largest), 1.0, total))
