"""Clusters of any shape, merged one by one: model-based agglomeration (Fraley 1998, SIAM J. Sci. Comput. 20).

With a Gaussian of its own for every cluster, −2 log of the classification likelihood is
Σ_k n_k log |W_k / n_k| (Banfield and Raftery 1993, Biometrics 49:803). Few rows have no determinant; here a
cluster holds c rows' worth of a small sphere S as well: its term is (n_k + c) log |(W_k + c S) / (n_k + c)|.
The pair whose merger raises the sum least is merged. Where clusters are elongated in different directions,
this finds what neither Ward's spheres nor seeds do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...maths.gaussian_batch import cholesky

__all__ = ["agglomerated"]


def agglomerated(
    y: np.ndarray, w: np.ndarray, sizes: Sequence[int], spread: float, prior: float
) -> dict[int, np.ndarray]:
    """Return partitions of rows y (n, d) into each of ``sizes`` clusters: size to labels (n,).

    Parameters
    ----------
    y : ndarray (n, d)
        Scaled or whitened.
    w : ndarray (n,)
        Weights.
    sizes : sequence of int
    spread : float
        The variance of the sphere.
    prior : float
        c.

    Notes
    -----
    O(n²) memory, and about n² determinants.
    """
    n, d = y.shape
    mean, weight, label = y.copy(), w.astype(float).copy(), np.arange(n)
    scatter = np.zeros((d, d, n))
    term = _terms(scatter, weight, spread, prior)
    square = np.einsum("ij,ij->i", y, y)
    gap = np.maximum(square[:, None] + square - 2.0 * (y @ y.T), 0.0)
    total = weight[:, None] + weight
    # Two rows: the determinant of a sphere and one direction.
    joint = weight[:, None] * weight / total
    log_det = d * np.log(prior * spread) + np.log1p(joint * gap / (prior * spread))
    cost = (total + prior) * (log_det - d * np.log(total + prior)) - term[:, None] - term
    np.fill_diagonal(cost, np.inf)
    nearest = cost.argmin(axis=1)
    best = cost[np.arange(n), nearest]
    alive = np.ones(n, dtype=bool)
    out = {k: label for k in sizes if k > n}
    for left in range(n, 0, -1):
        if left in sizes:
            out[left] = np.unique(label, return_inverse=True)[1]
        if left == 1:
            break
        a = int(np.where(alive, best, np.inf).argmin())
        b = int(nearest[a])
        a, b = min(a, b), max(a, b)
        step = mean[a] - mean[b]
        both = weight[a] + weight[b]
        scatter[:, :, a] += scatter[:, :, b] + weight[a] * weight[b] / both * np.outer(step, step)
        mean[a] = (weight[a] * mean[a] + weight[b] * mean[b]) / both
        weight[a] = both
        label[label == b] = a
        alive[b] = False
        cost[b] = cost[:, b] = best[b] = np.inf
        term[a] = _terms(scatter[:, :, [a]], weight[[a]], spread, prior)[0]
        others = np.flatnonzero(alive)
        others = others[others != a]
        if not len(others):
            continue
        away = (mean[others] - mean[a]).T
        share = weight[others] * both / (weight[others] + both)
        merged = scatter[:, :, others] + scatter[:, :, [a]] + share * away[:, None] * away
        row = _terms(merged, weight[others] + both, spread, prior) - term[others] - term[a]
        cost[a, others] = cost[others, a] = row
        nearest[a], best[a] = others[row.argmin()], row.min()
        again = others[(nearest[others] == a) | (nearest[others] == b)]
        if len(again):
            nearest[again] = cost[again].argmin(axis=1)
            best[again] = cost[again, nearest[again]]
        closer = others[row < best[others]]
        nearest[closer], best[closer] = a, cost[closer, a]
    return out


def _terms(scatter: np.ndarray, weight: np.ndarray, spread: float, prior: float) -> np.ndarray:
    d = len(scatter)
    i = np.arange(d)
    held = scatter.copy()
    held[i, i] += prior * spread
    log_det = 2.0 * np.log(cholesky(held)[0][i, i]).sum(axis=0)
    return np.asarray((weight + prior) * (log_det - d * np.log(weight + prior)))
