"""Covariances of a Gaussian as objects: each knows its density, its draws, its parts.

    log N(x; μ, Σ) = −½ [ d log 2π + log|Σ| + (x − μ)ᵀ Σ⁻¹ (x − μ) ]

:class:`Full` keeps the Cholesky factor, :class:`Diagonal` the variances, :class:`LowRank` the factor form
ΛΛᵀ + diag(ψ), whose inverse and determinant cost O(d q²) by Woodbury's identity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

__all__ = ["LOG_2PI", "Diagonal", "Full", "LowRank", "gaussian_kl", "slice_sd"]

LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Full:
    """Σ = L Lᵀ with L lower triangular (d, d)."""

    cholesky: np.ndarray

    @cached_property
    def log_det(self) -> float:
        """log |Σ|."""
        return 2.0 * float(np.log(np.diag(self.cholesky)).sum())

    def mahalanobis(self, centred: np.ndarray) -> np.ndarray:
        """Return (x − μ)ᵀ Σ⁻¹ (x − μ) for rows x − μ (n, d)."""
        white = solve_triangular(self.cholesky, centred.T, lower=True, check_finite=False)
        with np.errstate(over="ignore"):
            return np.einsum("ij,ij->j", white, white)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return n draws of N(0, Σ), (n, d)."""
        return rng.standard_normal((n, len(self.cholesky))) @ self.cholesky.T

    def matrix(self) -> np.ndarray:
        """Return Σ."""
        return self.cholesky @ self.cholesky.T

    def marginal(self, keep: list[int]) -> Full:
        """Return the covariance of some columns."""
        return Full(_triangle(self.cholesky[keep]))

    def condition(self, given: list[int], rest: list[int], z: np.ndarray) -> tuple[np.ndarray, Full]:
        """Return the shift of the mean and the covariance of ``rest``, given x − μ = z at ``given``."""
        # With the given columns first, the Cholesky factor holds the regression and the residual.
        ordered = _triangle(self.cholesky[given + rest])
        k = len(given)
        white = solve_triangular(ordered[:k, :k], z, lower=True)
        return ordered[k:, :k] @ white, Full(np.ascontiguousarray(ordered[k:, k:]))


@dataclass(frozen=True)
class Diagonal:
    """Σ = diag(variance), variance (d,)."""

    variance: np.ndarray

    @cached_property
    def log_det(self) -> float:
        """log |Σ|."""
        return float(np.log(self.variance).sum())

    def mahalanobis(self, centred: np.ndarray) -> np.ndarray:
        """Return (x − μ)ᵀ Σ⁻¹ (x − μ) for rows x − μ (n, d)."""
        white = centred / np.sqrt(self.variance)
        with np.errstate(over="ignore"):
            return np.einsum("ij,ij->i", white, white)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return n draws of N(0, Σ), (n, d)."""
        return rng.standard_normal((n, len(self.variance))) * np.sqrt(self.variance)

    def matrix(self) -> np.ndarray:
        """Return Σ."""
        return np.diag(self.variance)

    def marginal(self, keep: list[int]) -> Diagonal:
        """Return the covariance of some columns."""
        return Diagonal(self.variance[keep])

    def condition(self, given: list[int], rest: list[int], z: np.ndarray) -> tuple[np.ndarray, Diagonal]:
        """Return the shift of the mean and the covariance of ``rest``: independent of ``given``."""
        return np.zeros(len(rest)), Diagonal(self.variance[rest])


@dataclass(frozen=True)
class LowRank:
    """Σ = Λ Λᵀ + diag(ψ), loadings Λ (d, q) and noise ψ (d,)."""

    loadings: np.ndarray
    noise: np.ndarray

    @cached_property
    def _core(self) -> np.ndarray:
        """Cholesky factor of I + Λᵀ ψ⁻¹ Λ, (q, q)."""
        q = self.loadings.shape[1]
        return np.linalg.cholesky(np.eye(q) + (self.loadings / self.noise[:, None]).T @ self.loadings)

    @cached_property
    def log_det(self) -> float:
        """log |Σ|."""
        return float(np.log(self.noise).sum() + 2.0 * np.log(np.diag(self._core)).sum())

    def mahalanobis(self, centred: np.ndarray) -> np.ndarray:
        """Return (x − μ)ᵀ Σ⁻¹ (x − μ) for rows x − μ (n, d)."""
        scores = self._posterior_mean(centred)
        residual = centred - scores @ self.loadings.T
        # As a sum of squares (residual and factors), not as a difference of large numbers.
        with np.errstate(over="ignore"):
            return np.einsum("ij,j,ij->i", residual, 1.0 / self.noise, residual) + np.einsum(
                "ij,ij->i", scores, scores
            )

    def _posterior_mean(self, centred: np.ndarray) -> np.ndarray:
        return cho_solve((self._core, True), ((centred / self.noise) @ self.loadings).T).T

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return n draws of N(0, Σ), (n, d)."""
        d, q = self.loadings.shape
        return rng.standard_normal((n, q)) @ self.loadings.T + rng.standard_normal((n, d)) * np.sqrt(
            self.noise
        )

    def matrix(self) -> np.ndarray:
        """Return Σ."""
        return self.loadings @ self.loadings.T + np.diag(self.noise)

    def marginal(self, keep: list[int]) -> LowRank:
        """Return the covariance of some columns."""
        return LowRank(self.loadings[keep], self.noise[keep])

    def condition(self, given: list[int], rest: list[int], z: np.ndarray) -> tuple[np.ndarray, LowRank]:
        """Return the shift of the mean and the covariance of ``rest``, given x − μ = z at ``given``."""
        part = self.marginal(given)
        scores = part._posterior_mean(z[None, :])[0]
        # Factors given the data have covariance (I + ΛᵀψΛ)⁻¹ = L⁻ᵀ L⁻¹.
        loadings = solve_triangular(part._core, self.loadings[rest].T, lower=True).T
        return self.loadings[rest] @ scores, LowRank(loadings, self.noise[rest])


Covariance = Full | Diagonal | LowRank


def slice_sd(factor: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each column given all others: (Σ⁻¹)_jj^(-1/2), shape (…, d).

    ``factor`` (…, d, d) is the Cholesky factor of Σ.
    """
    with np.errstate(over="ignore", divide="ignore"):
        return np.asarray(1.0 / np.sqrt(np.square(np.linalg.inv(factor)).sum(axis=-2)))


def gaussian_kl(gap: np.ndarray, first: Covariance, second: Covariance) -> float:
    """Return KL(N(μ₁, Σ₁) || N(μ₂, Σ₂)) in nats, with ``gap`` = μ₁ − μ₂ (d,).

    ½ [ tr(Σ₂⁻¹Σ₁) − d + log|Σ₂|/|Σ₁| + gapᵀ Σ₂⁻¹ gap ]
    """
    if isinstance(first, Diagonal) and isinstance(second, Diagonal):
        eigenvalues = first.variance / second.variance
    else:
        l2 = np.linalg.cholesky(second.matrix())
        half = solve_triangular(l2, np.linalg.cholesky(first.matrix()), lower=True)
        eigenvalues = np.linalg.svd(half, compute_uv=False) ** 2
    # λ − 1 − log λ per eigenvalue of Σ₂⁻¹Σ₁: every term is ≥ 0, so nothing cancels.
    delta = eigenvalues - 1.0
    return 0.5 * float((delta - np.log1p(delta)).sum() + second.mahalanobis(gap[None, :])[0])


def _triangle(rows: np.ndarray) -> np.ndarray:
    """Return the Cholesky factor of ``rows @ rows.T`` without squaring the condition number."""
    r = np.linalg.qr(rows.T, mode="r")
    return np.ascontiguousarray((r * np.sign(np.diag(r))[:, None]).T)
