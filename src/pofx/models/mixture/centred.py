"""The plain form of the E-step: rows minus mean, through the Cholesky factor, component by component.

Slower than the product of features (:mod:`pofx.models.mixture.rows`) but right to the last digits wherever
the components lie, so the final log-likelihood, every log density, wide tables and badly conditioned
components go this way.

    log w_k N(x; μ_k, L_k L_kᵀ) = log w_k − ½ d log 2π − log|L_k| − ½ |L_k⁻¹ (x − μ_k)|²
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from ...maths.gaussian import LOG_2PI
from .batch import Segments, lower_triangle

__all__ = ["about_means", "centred_statistics", "component_logs", "log_sum_exp", "normalise"]


def component_logs(x: np.ndarray, log_weight: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return log(w_k N(x_i; μ_k, Σ_k)), shape (K, n).

    Parameters
    ----------
    x : ndarray (n, d)
    log_weight : ndarray (K,)
    mean : ndarray (K, d)
    factor : ndarray
        Lower Cholesky factors (K, d, d), one factor (d, d) for all, or standard deviations (K, d)
        given as (K, 1, d).
    """
    n, d = x.shape
    out = np.empty((len(mean), n))
    for k, (w, m) in enumerate(zip(log_weight, mean, strict=True)):
        own = factor if factor.ndim == 2 else factor[k]
        centred = (x - m).T
        if own.shape[0] == 1:
            white = centred / own[0][:, None]
            log_det = np.log(own[0]).sum()
        else:
            white = solve_triangular(own, centred, lower=True, check_finite=False)
            log_det = np.log(np.diag(own)).sum()
        with np.errstate(over="ignore"):
            out[k] = w - 0.5 * d * LOG_2PI - log_det - 0.5 * np.einsum("ij,ij->j", white, white)
    return out


def log_sum_exp(logs: np.ndarray) -> np.ndarray:
    """Return log Σ_k exp(logs[k]) over the first axis; -inf where all are."""
    top = logs.max(axis=0)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        out: np.ndarray = np.log(np.exp(logs - safe).sum(axis=0)) + safe
    return out


def normalise(logits: np.ndarray, w: np.ndarray, segments: Segments, log_likelihood: np.ndarray) -> None:
    """Turn logits (M, b) into weighted responsibilities in place, and add to each log-likelihood."""
    for k, mixtures, components in segments.groups:
        block = logits[components].reshape(-1, k, logits.shape[1])
        top = block.max(axis=1)
        block -= top[:, None]
        np.exp(block, out=block)
        total = block.sum(axis=1)
        log_likelihood[mixtures] += (np.log(total) + top) @ w
        block *= (w / total)[:, None]


def centred_statistics(
    y: np.ndarray,
    w: np.ndarray,
    log_weight: np.ndarray,
    mean: np.ndarray,
    factor: np.ndarray,
    segments: Segments,
) -> tuple[np.ndarray, np.ndarray]:
    """Return log-likelihoods (B,) and Σ r [1, y − μ, (y − μ)(y − μ)ᵀ] (p, M) of a block of rows.

    The statistics are taken about the current means ``mean`` (M, d), so nothing cancels near convergence;
    with ``factor`` (M, 1, d), for diagonal structures, only squares are kept.
    """
    m, d = mean.shape
    diagonal = factor.shape[1] == 1
    i, j = lower_triangle(d)
    log_likelihood = np.zeros(len(segments))
    r = component_logs(y, log_weight, mean, factor)
    normalise(r, w, segments, log_likelihood)
    stats = np.empty((1 + 2 * d if diagonal else 1 + d + len(i), m))
    stats[0] = r.sum(axis=1)
    for k in range(m):
        centred = y - mean[k]
        weighted = centred * r[k][:, None]
        stats[1 : 1 + d, k] = weighted.sum(axis=0)
        if diagonal:
            stats[1 + d :, k] = np.einsum("ij,ij->j", weighted, centred)
        else:
            stats[1 + d :, k] = (weighted.T @ centred)[i, j]
    return log_likelihood, stats


def about_means(stats: np.ndarray, mean: np.ndarray, diagonal: bool) -> np.ndarray:
    """Return weights, means and own covariances (p, M) from statistics about the means (M, d)."""
    d = mean.shape[1]
    out = stats / np.maximum(stats[0], 1e-250)
    shift = out[1 : 1 + d].copy()
    if diagonal:
        out[1 + d :] -= shift * shift
    else:
        i, j = lower_triangle(d)
        out[1 + d :] -= shift[i] * shift[j]
    out[1 : 1 + d] += mean.T
    out[0] = stats[0]
    return out
