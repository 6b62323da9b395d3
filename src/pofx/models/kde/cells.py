r"""A Gaussian sum on an even grid of one column, by the moments of narrow cells: O(n) with a small constant.

Rows in a cell about c add, with δ_i = (y_i - c)/h and u = (x - c)/h,

    Σ_i w_i φ(u - δ_i) = φ(u) Σ_k He_k(u)/k! · M_k,      M_k = Σ_i w_i δ_i^k,      k = 0..4.

Cells are as wide as the grid's step over a whole number, so that u takes the same values at every grid point
and nothing is exponentiated per row. Rows are sorted: a cell is a slice of them. All terms left out are small
**beside the sum itself**, tails included, where a Fourier series is exact only beside the largest sum.

References
----------
L. Greengard and J. Strain, The fast Gauss transform, *SIAM J. Sci. Stat. Comput.* 12 (1991).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...maths.kernel_sums import Bumps
from ...threads import map_ordered

__all__ = ["by_cells"]

Floats = NDArray[np.float64]

ORDER = 4
NEAREST = 4.5  # bandwidths from the nearest row to the grid points that are served
FARTHEST = 12.0  # bandwidths that a window may have to reach
MOST_CELLS = 2**18
ROWS_PER_BLOCK = 2**16
FEW_ROWS = 20_000


def by_cells(bumps: Bumps, first: float, step: float, size: int, rtol: float) -> Floats | None:
    """Return log s at ``first + step * arange(size)``; NaN where no row is near, None if this does not pay.

    ``rtol`` bounds the relative error; the points must be sorted.
    """
    n, h = bumps.n, float(bumps.bandwidth.ravel()[0])
    h = math.sqrt(h) if bumps.bandwidth.ndim == 2 else h
    if bumps.d != 1 or not bumps.gaussian or bumps.factors is not None or n < FEW_ROWS or size < 2:
        return None
    weights, top, least = _weights(bumps)
    if not 1e-12 <= rtol or least <= 0.0:
        return None
    reach = math.sqrt(NEAREST**2 + 2.0 * math.log(8.0 / (rtol * least)))
    widest = _cell_width(reach, rtol / 4.0)
    with np.errstate(over="ignore"):
        stride = math.ceil(min(step / h / widest, 1e9))
    half = math.ceil(reach / (step / h / stride))
    total = (size - 1) * stride + 2 * half
    if reach > FARTHEST or total > MOST_CELLS or half * size > 1e8:
        return None
    y = bumps.points[:, 0]
    if not bool((y[1:] >= y[:-1]).all()):
        order = np.argsort(y, kind="stable")
        y, weights = y[order], None if weights is None else weights[order]
    width = step / stride
    edges = np.asarray(first + width * (np.arange(total + 1) - half), dtype=np.float64)
    moments = _moments(y, weights, edges, h)
    u = -(np.arange(2 * half) - half + 0.5) * (width / h)
    bump = np.exp(-0.5 * u * u)
    hermite = [bump, bump * u]
    for k in range(1, ORDER):
        hermite.append(u * hermite[k] - k * hermite[k - 1])

    def term(k: int) -> Floats:
        windows = np.lib.stride_tricks.sliding_window_view(moments[k], 2 * half)[::stride]
        return np.asarray(windows @ (hermite[k] / math.factorial(k)))

    out = np.add.reduce(list(map_ordered(term, range(ORDER + 1))))
    at = first + step * np.arange(size)
    near = np.searchsorted(y, at)
    gap = np.minimum(np.abs(at - y[np.minimum(near, n - 1)]), np.abs(at - y[np.maximum(near - 1, 0)]))
    served = gap <= NEAREST * h
    return np.where(served, np.log(np.where(served, out, 1.0)) + top + bumps.constant, math.nan)


def _weights(bumps: Bumps) -> tuple[Floats | None, float, float]:
    """Return relative weights (None: all alike), the log of the largest, and the least share."""
    if bumps.log_weights is None:
        return None, 0.0, 1.0 / bumps.n
    top, bottom = float(bumps.log_weights.max()), float(bumps.log_weights.min())
    if top == bottom:
        return None, top, 1.0 / bumps.n
    return np.exp(bumps.log_weights - top), top, math.exp(bottom - np.logaddexp.reduce(bumps.log_weights))


def _cell_width(reach: float, rtol: float) -> float:
    """Return the width, in bandwidths, at which what follows the fourth moment is below rtol.

    |He_5(u)| <= E(u + Z)^5 = u^5 + 10u³ + 15u, later terms are smaller by (u + 3)δ/6 each, and the bump
    itself is at least exp(-uδ) of the one at the cell's centre.
    """
    fifth = (reach**5 + 10.0 * reach**3 + 15.0 * reach) / 120.0
    delta = (rtol / fifth) ** 0.2
    while fifth * delta**5 * math.exp(reach * delta) / (1.0 - (reach + 3.0) * delta / 6.0) > rtol:
        delta *= 0.97
    return 2.0 * delta


def _moments(y: Floats, weights: Floats | None, edges: Floats, h: float) -> Floats:
    """Return Σ w δ^k of every cell, (ORDER + 1, cells); each cell is summed in one go."""
    cells = len(edges) - 1
    at = np.searchsorted(y, edges)
    counts, centres = np.diff(at), (edges[1:] + edges[:-1]) / 2.0
    out = np.zeros((ORDER + 1, cells))
    cuts = np.unique(np.searchsorted(at, np.arange(at[0], at[-1], ROWS_PER_BLOCK)))
    cuts = np.unique(np.concatenate([[0], cuts, [cells]]))

    def block(k: int) -> None:
        low, high = cuts[k], cuts[k + 1]
        here = low + np.flatnonzero(counts[low:high])
        if len(here) == 0:
            return
        a, b = at[low], at[high]
        delta = y[a:b] - np.repeat(centres[here], counts[here])
        delta /= h
        starts = at[here] - a
        term = np.ones(b - a) if weights is None else weights[a:b].copy()
        out[0, here] = counts[here] if weights is None else np.add.reduceat(term, starts)
        for order in range(1, ORDER + 1):
            term *= delta
            out[order, here] = np.add.reduceat(term, starts)

    for _ in map_ordered(block, range(len(cuts) - 1)):
        pass
    return out
