"""The Rosenblatt transform of a mixture of Gaussians: independent uniform values, if it is the truth.

    u_j = F(x_j | x_1, …, x_{j−1}) = Σ_k r_kj Φ(ε_kj),    r_kj ∝ w_k N(x_1 … x_{j−1}; component k)

(Rosenblatt 1952, *Ann. Math. Stat.* 23, 470). With Σ_k = L_k L_kᵀ and ε_k = L_k⁻¹ (x − μ_k), entry j of ε_k
is x_j standardised given the columns before it in component k, and the columns before it have the density
∏_{l<j} φ(ε_kl) / L_k,ll: one triangular system gives all of it. One Gaussian is K = 1, a Gaussian kernel
estimate K = n with one L.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import ndtr

from pofx.threads import map_ordered, one_blas_thread

__all__ = ["mixture_rosenblatt"]

Floats = NDArray[np.float64]

AT_A_TIME = 2**19  # numbers: rows times components times columns


def mixture_rosenblatt(
    x: Floats, log_weights: Floats, means: Floats, factors: Floats, scales: Floats | None = None
) -> Floats:
    """Return u (n, d) in [0, 1], columns in the order of x.

    Parameters
    ----------
    x : ndarray (n, d)
    log_weights : ndarray (K,)
        Up to a constant.
    means : ndarray (K, d)
    factors : ndarray (d, d) or (K, d, d)
        L of all components, or of each: lower triangular.
    scales : ndarray (K,), optional
        Component k has ``scales[k]`` times the shared factor.
    """
    k, d = means.shape
    size = max(1, AT_A_TIME // (k * d))

    def block(at: int) -> Floats:
        return _block(x[at : at + size], log_weights, means, factors, scales)

    with one_blas_thread():
        parts = list(map_ordered(block, range(0, len(x), size)))
    return np.concatenate(parts) if parts else np.empty((0, d))


def _block(x: Floats, log_weights: Floats, means: Floats, factors: Floats, scales: Floats | None) -> Floats:
    white, log_sd = _whitened(x, means, factors)
    if scales is not None:
        white /= scales[None, :, None]
        log_sd = log_sd + np.log(scales)[:, None]
    out = np.empty(x.shape)
    logs = np.tile(log_weights, (len(x), 1))
    for j in range(x.shape[1]):
        top = logs.max(axis=1, keepdims=True)
        # Where every component calls the row impossible, the nearest one counts.
        share = np.exp(logs - np.maximum(top, -np.finfo(float).max))
        out[:, j] = (share * ndtr(white[:, :, j])).sum(axis=1) / share.sum(axis=1)
        with np.errstate(over="ignore"):
            logs = np.maximum(logs - 0.5 * white[:, :, j] ** 2 - log_sd[:, j], -np.finfo(float).max)
    return np.clip(out, 0.0, 1.0)


def _whitened(x: Floats, means: Floats, factors: Floats) -> tuple[Floats, Floats]:
    """Return ε (n, K, d), and log L_jj (K, d) or (1, d)."""
    if factors.ndim == 2:
        gap = (x[:, None, :] - means).reshape(-1, x.shape[1])
        white = solve_triangular(factors, gap.T, lower=True).T.reshape(len(x), *means.shape)
        return white, np.log(np.diag(factors))[None, :]
    parts = [solve_triangular(f, (x - m).T, lower=True).T for m, f in zip(means, factors, strict=True)]
    return np.stack(parts, axis=1), np.log(np.diagonal(factors, axis1=1, axis2=2))
