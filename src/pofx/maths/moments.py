"""Weighted moments that add: centred, mergeable, never ``E[x²] − E[x]²``.

Two blocks merge by Chan, Golub and LeVeque (1979): with weights W, means m and scatter matrices S about
their own means, ``S = S₁ + S₂ + (W₁W₂/W)(m₂ − m₁)(m₂ − m₁)ᵀ``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Moments", "correlation_condition", "dependent_columns"]


@dataclass(frozen=True)
class Moments:
    """Weight, mean and scatter of some rows.

    Parameters
    ----------
    weight : float
    mean : ndarray (d,)
    scatter : ndarray (d, d), or (d,) where only variances are wanted
        Sum of weighted (outer) squares about the mean.
    """

    weight: float
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, w: np.ndarray, *, full: bool = True) -> Moments:
        """Return the moments of one block of rows (n, d) with weights (n,)."""
        weight = float(w.sum())
        origin = x[0]  # subtracting a row first keeps the digits of columns far from zero
        mean = origin + (w @ (x - origin)) / weight
        centred = x - mean
        weighted = centred * w[:, None]
        scatter = weighted.T @ centred if full else np.einsum("ij,ij->j", weighted, centred)
        return cls(weight, mean, scatter)

    def __add__(self, other: Moments) -> Moments:
        weight = self.weight + other.weight
        gap = other.mean - self.mean
        share = other.weight / weight
        outer = np.outer(gap, gap) if self.scatter.ndim == 2 else gap * gap
        return Moments(
            weight, self.mean + share * gap, self.scatter + other.scatter + self.weight * share * outer
        )

    @property
    def covariance(self) -> np.ndarray:
        """The maximum-likelihood covariance (d, d), or the variances (d,)."""
        c = self.scatter / self.weight
        return (c + c.T) / 2.0 if c.ndim == 2 else c


def correlation_condition(covariance: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Return (smallest, largest eigenvalue of the correlation matrix, eigenvector of the smallest).

    Correlations, so that the columns' units play no part.
    """
    sd = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / sd[:, None] / sd[None, :])
    return float(values[0]), float(values[-1]), vectors[:, 0]


def dependent_columns(direction: np.ndarray) -> list[int]:
    """Return the columns that take part in a near-linear relation, the strongest first."""
    size = np.abs(direction)
    order = np.argsort(-size, kind="stable")
    return [int(j) for j in order if size[j] > 0.1 * size.max()][:6]
