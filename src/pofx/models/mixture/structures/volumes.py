"""Volumes: components of one shape that differ in volume, Σ_k = λ_k C; and components of one volume.

With θ_k = log λ_k and π_k = n_k / n, the best C for given volumes is S(θ) = Σ_k π_k e^{−θ_k} V_k. What is
left to minimise, −2/n times the expected log-likelihood,

    g(θ) = d Σ_k π_k θ_k + log |S(θ)|,

is convex: a determinant of positive semidefinite matrices with exponential coefficients is a sum of
exponentials of linear functions, and the logarithm of such a sum is convex. So Newton's steps find the one
minimum in a handful; where one should not descend, the alternation of Celeux and Govaert (1995, section 4.2),
λ_k = tr(V_k C⁻¹) / d, which always does, takes its place.
"""

from __future__ import annotations

import numpy as np

from ..batch import Segments

__all__ = ["common_shape", "with_one_volume"]

STEPS = 30
LONGEST = 4.0  # Newton's step in a log volume
SETTLED = 1e-12  # a step in log volumes after which nothing is left to gain
RIDGE = 1e-12


def common_shape(share: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return Σ_k = λ_k C for many mixtures of K components.

    Parameters
    ----------
    share : ndarray (B, K)
        π_k, summing to one.
    v : ndarray (B, K, d, d), or (B, K, d) of diagonals
        The components' own covariances.

    Returns
    -------
    ndarray of the shape of ``v``
    """
    d = v.shape[2]
    pooled = np.einsum("bk,bk...->b...", share, v)
    theta = np.log(_traces(_standardised(pooled, v)) / d)
    if share.shape[1] == 1:
        return v.copy()
    theta = theta.copy()
    going, trial, safe = np.arange(len(v)), theta, theta  # safe: one alternation from the best θ
    best = np.full(len(v), np.inf)
    for _ in range(STEPS):
        value, newton, alternation = _model(trial, share[going], v[going])
        better = value < best
        # Below rounding g no longer tells; the gradient still does, so the last small step is taken.
        stuck = ~better & (np.abs(trial - theta[going]).max(axis=1) < 1e-6)
        theta[going] = np.where((better | stuck)[:, None], trial, theta[going])
        safe = np.where(better[:, None], alternation, safe)
        best = np.where(better, value, best)
        left = ~(np.abs(newton).max(axis=1) < SETTLED) & ~stuck
        if not left.any():
            break
        trial = np.where(better[:, None], trial + newton, safe)[left]
        going, safe, best = going[left], safe[left], best[left]
    scale = np.exp(theta).reshape(theta.shape + (1,) * (v.ndim - 2))
    shape = np.einsum("bk,bk...->b...", share, v / scale)
    return np.asarray(scale * shape[:, None])


def _standardised(s: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return L⁻¹ V_k L⁻ᵀ for S = L Lᵀ, or V_k / S."""
    if v.ndim == 3:
        return np.asarray(v / s[:, None])
    inverse = np.linalg.inv(np.linalg.cholesky(s))[:, None]
    return np.asarray(inverse @ v @ np.swapaxes(inverse, 2, 3))


def _traces(z: np.ndarray) -> np.ndarray:
    return z.sum(axis=2) if z.ndim == 3 else np.trace(z, axis1=2, axis2=3)


def _model(theta: np.ndarray, share: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return g(θ), Newton's step there, and where one alternation leads.

    With Z_k = S^{−½} V_k S^{−½} e^{−θ_k}: ∂g/∂θ_k = π_k (d − tr Z_k), ∂²g/∂θ_k∂θ_l = δ_kl π_k tr Z_k −
    π_k π_l tr Z_k Z_l. In units of √π_k, so that components without weight do not spoil the system.
    """
    d, k = v.shape[2], v.shape[1]
    scaled = v * np.exp(-theta).reshape(theta.shape + (1,) * (v.ndim - 2))
    s = np.einsum("bk,bk...->b...", share, scaled)
    z = _standardised(s, scaled)
    log_det = np.log(s).sum(axis=1) if v.ndim == 3 else np.linalg.slogdet(s)[1]
    value = d * (share * theta).sum(axis=1) + log_det
    trace, root = _traces(z), np.sqrt(share)
    flat = z.reshape(len(z), k, -1) * root[:, :, None]
    hessian = -flat @ np.swapaxes(flat, 1, 2)
    # A common factor of all volumes changes nothing: that direction is closed.
    hessian += d * root[:, :, None] * root[:, None, :]
    i = np.arange(k)
    hessian[:, i, i] += trace + RIDGE * d
    gradient = root * (d - trace)
    step = -np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0] / np.maximum(root, 1e-150)
    step = np.clip(np.where(np.isfinite(step), step, 0.0), -LONGEST, LONGEST)
    return value, step, theta + np.log(trace / d)


def with_one_volume(n: np.ndarray, v: np.ndarray, level: np.ndarray, segments: Segments) -> np.ndarray:
    """Return ``v`` (…, M) of log volumes ``level`` (M,), all brought to the volume that suits them best.

    λ = Σ_k n_k |V_k|^{1/d} / n.
    """
    top = np.maximum.reduceat(level, segments.starts)
    mean = segments.sum(n * np.exp(level - top[segments.owner])) / segments.sum(n)
    return np.asarray(v * np.exp((np.log(mean) + top)[segments.owner] - level))
