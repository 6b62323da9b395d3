"""The certificate of an optimum: the gradient of the log-likelihood there, in standard errors.

By the identity of Fisher, the gradient of L = Σ_i w_i log p(x_i) is that of the expected complete-data
log-likelihood, responsibilities r_ik held (weighted: n_k = Σ_i w_i r_ik):

    ∂L/∂α_k = n_k / α_k
    ∂L/∂μ_k = Σ_i w_i r_ik Σ_k⁻¹ (x_i − μ_k)
    ∂L/∂Σ_k = ½ Σ_k⁻¹ (W_k − n_k Σ_k) Σ_k⁻¹,    W_k = Σ_i w_i r_ik (x_i − μ_k)(x_i − μ_k)ᵀ

The weights sum to one, so at an optimum all n_k/α_k are one number, the multiplier of that constraint; and as
Σ_k n_k = Σ_i w_i, it is Σ_i w_i. The largest n_k/α_k is reported: it is never below Σ_i w_i, and as L is
concave in the weights, its excess bounds what other weights could gain. (Where a weight goes to zero, its own
n_k/α_k may be less at an optimum.) In the metric of the complete-data information (α: that of a multinomial;
μ_k: n_k Σ_k⁻¹; Σ_k: ½ n_k Σ_k⁻¹ ⊗ Σ_k⁻¹) the squared lengths of the three gradients are

    Σ_k (n_k − α_k Σw)² / (α_k Σw),   Σ_k n_k δ_kᵀ Σ_k⁻¹ δ_k,   Σ_k ½ n_k tr (Σ_k⁻¹ (Σ_k⁺ − Σ_k))²

with δ_k = Σ_i w_i r_ik (x_i − μ_k) / n_k, and Σ_k⁺ = W_k / n_k where every component has its own covariance.
Where covariances share something, Σ_k⁺ is what the M-step makes of the W_k: Σ⁺ = Σ exactly where the gradient
along the structure is zero (or points below the floor of the eigenvalues). Under a prior, all this is of the
log posterior, by the steps that its M-step still makes.

References
----------
R. A. Fisher, Theory of statistical estimation, *Proc. Camb. Phil. Soc.* 22 (1925).
G. McLachlan and D. Peel, *Finite Mixture Models* (2000), section 2.15.
"""

from __future__ import annotations

import numpy as np

from ...core.fitting import Certificate
from .batch import lower_triangle
from .em import Mixtures
from .rows import Rows

__all__ = ["certificate_of"]


def certificate_of(mixtures: Mixtures, state: np.ndarray, reached: np.ndarray, rows: Rows) -> Certificate:
    """Return the certificate of a single mixture.

    Parameters
    ----------
    mixtures : Mixtures
    state : ndarray (p, K)
        Its state.
    reached : ndarray (p, K)
        The state after one pass of EM, from the plain form of the E-step.
    rows : Rows
    """
    d, n = rows.d, reached[0]
    cov, _ = mixtures.m_step(state, rows)
    mass = rows.mass(state)
    weights, found = state[0] / mass, n
    if mass - state[0].sum() > 1e-12 * mass:  # the noise has a weight too
        weights, found = np.append(weights, 1.0 - weights.sum()), np.append(n, rows.total - n.sum())
    expected = np.maximum(weights * rows.total, 1e-250)
    shift = reached[1 : 1 + d] - state[1 : 1 + d]
    about = reached.copy()  # weights, and moments about the means that the components have
    about[1 : 1 + d] = state[1 : 1 + d]
    i, j = lower_triangle(d)
    about[1 + d :] += shift * shift if rows.diagonal else shift[i] * shift[j]
    further = mixtures.m_step(about, rows)[0] - cov
    if rows.diagonal:
        mean = (shift * shift / cov).sum(axis=0)
        own = ((further / cov) ** 2).sum(axis=0)
    else:
        sigma, step = np.moveaxis(cov, 2, 0), np.moveaxis(further, 2, 0)
        mean = (shift.T * np.linalg.solve(sigma, shift.T[:, :, None])[:, :, 0]).sum(axis=1)
        ratio = np.linalg.solve(sigma, step)
        own = np.einsum("kij,kji->k", ratio, ratio)
    squares = {
        "weights": ((found - expected) ** 2 / expected).sum(),
        "means": (n * mean).sum(),
        "covariances": (0.5 * n * own).sum(),
    }
    return Certificate(
        {name: float(np.sqrt(max(value, 0.0))) for name, value in squares.items()},
        float((found / np.maximum(weights, 1e-250)).max()),
    )
