"""Maximum-likelihood factor analysis: Σ = Λ Λᵀ + diag(ψ) with q columns of Λ.

For a fixed ψ the best Λ is closed: the q leading eigenvectors of ψ^−½ S ψ^−½, scaled (Lawley and Maxwell
1971, Factor Analysis as a Statistical Method, ch. 4). What remains is a smooth function of log ψ whose
gradient is diag(Σ − S)/ψ, minimised by L-BFGS within bounds (Jöreskog 1967, Psychometrika 32:443). d × d
matrices are never made: the rows themselves are decomposed, so images with n ≪ d are no problem.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import svd

from .gaussian import LOG_2PI

__all__ = ["fit_factors"]

NOISE_FLOOR = 1e-6  # of a column's variance: Heywood cases stop here


def fit_factors(
    z: np.ndarray, w: np.ndarray, q: int, *, tol: float, max_iter: int
) -> tuple[np.ndarray, np.ndarray, list[float], bool]:
    """Fit q factors to standardised, centred rows.

    Parameters
    ----------
    z : ndarray (n, d)
        Rows with weighted mean 0 and variance 1.
    w : ndarray (n,)
        Weights.
    q : int
        The number of factors, < d.
    tol : float
        Stop when a step gains less total log-likelihood than this many nats.
    max_iter : int

    Returns
    -------
    loadings (d, q), noise (d,), trace of total log-likelihoods, converged
    """
    from scipy.optimize import minimize

    n, d = float(w.sum()), z.shape[1]
    root = z * np.sqrt(w / n)[:, None]  # rootᵀ root = S, whose diagonal is one
    # Only the right singular structure is used: with n > d the d × d triangle of a QR stands for the rows.
    if len(root) > d:
        root = np.asarray(np.linalg.qr(root, mode="r"))
    square = np.einsum("ij,ij->j", root, root)
    trace: list[float] = []

    def solve(noise: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the best loadings for this noise, and minus the mean log-likelihood."""
        scale = np.sqrt(noise)
        _, s, vt = svd(root / scale, full_matrices=False, check_finite=False)
        k = min(q, len(s))
        lead = np.maximum(s[:k] ** 2, 1.0)
        loadings = np.zeros((d, q))
        loadings[:, :k] = scale[:, None] * vt[:k].T * np.sqrt(lead - 1.0)
        rest = float((square / noise).sum() - (s[:k] ** 2).sum())
        explained = float((s[:k] ** 2 / lead).sum())
        log_det = float(np.log(noise).sum() + np.log(lead).sum())
        return loadings, 0.5 * (d * LOG_2PI + log_det + explained + rest)

    def objective(log_noise: np.ndarray) -> tuple[float, np.ndarray]:
        noise = np.exp(log_noise)
        loadings, value = solve(noise)
        sigma = np.einsum("ij,ij->i", loadings, loadings) + noise
        return value, 0.5 * (sigma - square) / noise

    start = np.log(np.full(d, 0.5))
    result = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(np.log(NOISE_FLOOR), 0.0)] * d,
        callback=lambda v: trace.append(-n * objective(v)[0]),
        options={"maxiter": max_iter, "ftol": tol / n / 10.0, "gtol": 1e-9, "maxcor": 20},
    )
    noise = np.exp(result.x)
    loadings, value = solve(noise)
    trace.append(-n * value)
    return loadings, noise, trace, bool(result.success)
