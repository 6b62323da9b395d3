"""The mass that a Gaussian has in boxes, by separation of variables.

    ∫_{a ≤ x ≤ b} N(x; 0, L Lᵀ) dx = ∫ Π_j [Φ(b'_j) − Φ(a'_j)] dt,   a'_j = (a_j − Σ_{k<j} L_jk y_k) / L_jj,

with y_k the t_k-quantile of a normal cut to (a'_k, b'_k): one column is exact, d columns are a smooth
integral over a cube of d − 1 dimensions (Genz 1992, J. Comput. Graph. Stat. 1:141). Everything is in logs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from .interval import inverse, log_interval
from .nodes import cube_nodes

__all__ = ["gaussian_log_box"]

Floats = NDArray[np.float64]

AT_ONCE = 200_000  # (row, node) pairs


def gaussian_log_box(
    mean: Floats,
    covariance: Floats,
    lower: Floats,
    upper: Floats,
    point: NDArray[np.bool_],
    *,
    coarse: bool = False,
) -> Floats:
    """Return the log mass of boxes under N(mean, covariance), shape (n,).

    Parameters
    ----------
    mean, covariance : ndarrays (d,), (d, d)
    lower, upper : ndarrays (n, d)
        Ends of the boxes, infinite where there is none.
    point : ndarray of bool (d,)
        Columns in which ``lower`` is a value, not an end: their density enters.
    coarse : bool
        By fewer nodes (:func:`pofx.maths.boxes.cube_nodes`).
    """
    order = np.argsort(~point, kind="stable")  # values first: the boxes are conditional on them
    p = int(point.sum())
    factor = np.asarray(np.linalg.cholesky(covariance[np.ix_(order, order)]), dtype=float)
    low, high = lower[:, order] - mean[order], upper[:, order] - mean[order]
    out = np.zeros(len(lower))
    if p:
        white = solve_triangular(factor[:p, :p], low[:, :p].T, lower=True).T
        constant = 0.5 * p * math.log(2.0 * math.pi) + float(np.log(np.diag(factor)[:p]).sum())
        out -= 0.5 * np.einsum("ij,ij->i", white, white) + constant
        shift = white @ factor[p:, :p].T
        low, high = low[:, p:] - shift, high[:, p:] - shift
    if p == len(mean):
        return out
    rest = factor[p:, p:]
    nodes, weights = cube_nodes(len(rest) - 1, coarse)
    step = max(1, AT_ONCE // len(nodes))
    for start in range(0, len(out), step):
        part = slice(start, start + step)
        out[part] += _separated(rest, low[part], high[part], nodes, np.log(weights))
    return out


def _separated(factor: Floats, low: Floats, high: Floats, nodes: Floats, log_weights: Floats) -> Floats:
    total = np.broadcast_to(log_weights, (len(low), len(nodes))).copy()
    y: list[Floats] = []
    for j in range(len(factor)):
        shift = sum((factor[j, k] * y[k] for k in range(j)), np.zeros((1, 1)))
        a = (low[:, j, None] - shift) / factor[j, j]
        b = (high[:, j, None] - shift) / factor[j, j]
        total += log_interval(a, b)
        if j < len(factor) - 1:
            y.append(inverse(a, b, nodes[None, :, j]))
    return np.asarray(logsumexp(total, axis=1))
