"""The mass that any density has in boxes, by a rule of fixed nodes.

The same nodes serve every box, so that the same row gets the same number in any company. Ends at infinity are
drawn in by t / (1 - t), in the scale of a column of unit space.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from .nodes import cube_nodes

__all__ = ["log_box_by_rule"]

Floats = NDArray[np.float64]

SCALE = 0.15  # in unit space the rows span one half to one
AT_ONCE = 100_000  # (row, node) pairs


def log_box_by_rule(
    log_density: Callable[[Floats], Floats],
    lower: Floats,
    upper: Floats,
    point: NDArray[np.bool_],
    *,
    coarse: bool = False,
) -> Floats:
    """Return the log of the integral of a density over boxes, shape (n,).

    Parameters
    ----------
    log_density : callable
        Of rows (m, d), unit space.
    lower, upper, point, coarse
        As for :func:`pofx.maths.boxes.gaussian_log_box`.
    """
    boxed = np.flatnonzero(~point)
    nodes, weights = cube_nodes(len(boxed), coarse)
    log_weights = np.log(weights)
    step = max(1, AT_ONCE // len(nodes))
    out = np.empty(len(lower))
    for start in range(0, len(lower), step):
        low, high = lower[start : start + step], upper[start : start + step]
        x = np.repeat(low[:, None, :], len(nodes), axis=1)
        total = np.broadcast_to(log_weights, x.shape[:2]).copy()
        for k, j in enumerate(boxed):
            x[:, :, j], log_slope = _along(low[:, j, None], high[:, j, None], nodes[None, :, k])
            total += log_slope
        total += log_density(x.reshape(-1, x.shape[2])).reshape(total.shape)
        out[start : start + step] = logsumexp(total, axis=1)
    return out


def _along(a: Floats, b: Floats, t: Floats) -> tuple[Floats, Floats]:
    """Return where nodes t of (0, 1) lie between a and b, and the log of the slope there."""
    below, above = np.isinf(a), np.isinf(b)
    start = np.where(below, np.where(above, 0.0, b), a)
    away = np.where(below & above, np.log(t) - np.log1p(-t), np.where(below, t - 1.0, t) / _room(below, t))
    with np.errstate(invalid="ignore"):
        width = np.where(below | above, SCALE, b - a)
        x = np.where(below | above, start + SCALE * away, a + t * width)
        slope = np.where(below & above, 1.0 / (t * (1.0 - t)), 1.0 / _room(below, t) ** 2)
        log_slope = np.log(width) + np.where(below | above, np.log(slope), 0.0)
    return x, np.broadcast_to(log_slope, x.shape)


def _room(below: NDArray[np.bool_], t: Floats) -> Floats:
    """Return what runs to zero where the end is at infinity: t from below, 1 - t towards above."""
    return np.where(below, t, 1.0 - t)
