r"""Log sums over all pairs of queries and points, exact to rounding: the naive engine.

Every pair is visited, in tiles of queries × points that fit the cache, so the memory is a constant and
never n × m. Differences are formed before anything is scaled or squared: expanding the square as
x² - 2xy + y² would cost up to (x/h)² units of rounding, direct differences cost none.

The other engines answer the same call and are tested against this one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pofx.maths.kernel_sums.bumps import Bumps, Own
from pofx.maths.kernel_sums.streaming import LogSum
from pofx.threads import map_ordered

__all__ = ["all_pairs", "direct_terms", "stream"]

Floats = NDArray[np.float64]
Fill = Callable[[slice, slice, Floats, Floats], None]

POINTS_PER_TILE = 2048
PAIRS_PER_TILE = 2**16  # two float64 buffers of this size are 1 MB: they stay in one core's cache
MANY_PAIRS = 2**20  # from here on the bands of queries go to threads
COLUMNS_PER_PRODUCT = 16  # products of this many bumps stay above 1e-16^16, far from underflow


def all_pairs(bumps: Bumps, queries: Floats, own: Own | None = None) -> Floats:
    """Return log s(x) for every query row x, shape (m,), nats, without ``bumps.constant``."""
    # One contiguous row per column: the inner loops of a tile then run along memory.
    x, y = np.ascontiguousarray(queries.T), np.ascontiguousarray(bumps.points.T)
    heights = bumps.log_heights
    ratio = None if own is None else own.log_ratio(bumps)

    def fill(rows: slice, cols: slice, tile: Floats, spare: Floats) -> None:
        factors = None if bumps.factors is None else bumps.factors[cols]
        direct_terms(bumps, x[:, rows], y[:, cols], factors, tile, spare)
        if own is not None and ratio is not None:
            index = own.index[rows]
            r = np.flatnonzero((index >= cols.start) & (index < cols.stop))
            tile[r, index[r] - cols.start] += ratio[rows][r]
        if heights is not None:
            np.add(tile, heights[None, cols], out=tile)

    return stream(len(queries), bumps.n, fill)


def direct_terms(
    bumps: Bumps, x: Floats, y: Floats, factors: Floats | None, tile: Floats, spare: Floats
) -> None:
    """Fill ``tile`` (q, p) with log Π_j k(z_j/λ) for queries ``x`` (d, q) and points ``y`` (d, p)."""
    kernel, d = bumps.kernel, bumps.d
    for first in range(0, d, COLUMNS_PER_PRODUCT):
        part = tile if first == 0 else np.empty_like(tile)
        kernel.begin(part)
        for j in range(first, min(first + COLUMNS_PER_PRODUCT, d)):
            with np.errstate(over="ignore", invalid="ignore"):
                _differences(bumps, j, x, y, spare)
                if kernel.scale != 1.0:
                    np.divide(spare, kernel.scale, out=spare)
                if factors is not None:
                    np.divide(spare, factors, out=spare)
            kernel.join(part, spare)
        kernel.finish(part)
        if first:
            np.add(tile, part, out=tile)


def _differences(bumps: Bumps, j: int, x: Floats, y: Floats, out: Floats) -> None:
    """Whitened coordinate j of every difference."""
    if bumps.bandwidth.ndim == 1:
        np.subtract(x[j, :, None], y[j, None, :], out=out)
        np.divide(out, bumps.bandwidth[j], out=out)
        return
    out.fill(0.0)
    for i in range(j + 1):
        out += bumps._inverse[j, i] * (x[i, :, None] - y[i, None, :])


def stream(m: int, n: int, fill: Fill) -> Floats:
    """Sum exp(term) over n points for each of m queries, tile by tile; return the logs.

    ``fill(rows, cols, tile, spare)`` writes the terms of a tile, and may use the spare buffer.
    """
    wide = min(n, POINTS_PER_TILE)
    tall = max(1, min(m, PAIRS_PER_TILE // wide))

    def band(top: int) -> Floats:
        rows = slice(top, min(top + tall, m))
        buffers = np.empty((2, (rows.stop - rows.start) * wide))
        total = LogSum(rows.stop - rows.start)
        for left in range(0, n, wide):
            cols = slice(left, min(left + wide, n))
            shape = (rows.stop - rows.start, cols.stop - cols.start)
            tile, spare = (buffer[: shape[0] * shape[1]].reshape(shape) for buffer in buffers)
            fill(rows, cols, tile, spare)
            total.add(tile)
        return total.value()

    tops = range(0, m, tall)
    bands = map(band, tops) if m * n < MANY_PAIRS else map_ordered(band, tops)
    return np.concatenate([*bands, np.empty(0)])
