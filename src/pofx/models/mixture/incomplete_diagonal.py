"""The E-step for rows with missing entries where columns are independent within a component.

With the mask b of what is observed and zeros elsewhere, log w_k N(y_o; μ_k, σ_k²) is linear in [1, b, y, y²]:
one matrix product out and one back for all patterns together. A missing entry adds σ_k² to the second moment
about μ_k, and nothing to the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...maths.gaussian import LOG_2PI
from .batch import Segments
from .centred import normalise
from .expanded import CACHE_ELEMENTS, Expanded
from .rows import EXPANDED_ERROR

__all__ = ["DiagonalGaps"]


@dataclass(frozen=True)
class DiagonalGaps:
    """Incomplete rows for diagonal structures.

    Parameters
    ----------
    x : ndarray (n, d)
        Rows in search space, zero where missing.
    observed : ndarray of bool (n, d)
    w : ndarray (n,)
    """

    x: np.ndarray
    observed: np.ndarray
    w: np.ndarray

    def statistics(
        self, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray, segments: Segments, centred: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return log-likelihoods (B,) and the expected Σ r [1, y − μ, (y − μ)²] of whole rows (p, M)."""
        rounding = np.finfo(float).eps * float(
            (self.x * self.x).sum(axis=1).max() * (1.0 / cov).sum(axis=0).max()
        )
        form = self._centred if centred or rounding > EXPANDED_ERROR else self._expanded
        value, n, present, first, second = form(log_weight, mean, cov, segments)
        return value, np.concatenate([n[None], first, second + (n - present) * cov])

    def _expanded(
        self, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray, segments: Segments
    ) -> tuple[np.ndarray, ...]:
        d = len(mean)
        constant = -0.5 * (LOG_2PI + np.log(cov) + mean * mean / cov)
        c = np.concatenate([log_weight[None], constant, mean / cov, -0.5 / cov])
        value, stats = np.zeros(len(segments)), np.zeros_like(c)
        e_step = Expanded(c, segments, diagonal=True)
        size = max(256, CACHE_ELEMENTS // (3 * d))  # the features are made as they are needed
        for at in range(0, len(self.w), size):
            x, w = self.x[at : at + size], self.w[at : at + size]
            phi = np.concatenate([np.ones((1, len(w))), self.observed[at : at + size].T, x.T, x.T * x.T])
            more, further = e_step(x, w, phi)
            value, stats = value + more, stats + further
        n, present, linear, square = np.split(stats, [1, 1 + d, 1 + 2 * d])
        first = linear - present * mean
        return value, n[0], present, first, square - mean * (first + linear)

    def _centred(
        self, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray, segments: Segments
    ) -> tuple[np.ndarray, ...]:
        d, m = mean.shape
        value, n = np.zeros(len(segments)), np.zeros(m)
        present, first, second = np.zeros((d, m)), np.zeros((d, m)), np.zeros((d, m))
        size = max(64, CACHE_ELEMENTS // m)
        for at in range(0, len(self.w), size):
            y, b = self.x[at : at + size], self.observed[at : at + size].astype(float)
            r = log_weight[:, None] - 0.5 * ((LOG_2PI + np.log(cov)).T @ b.T)
            for k in range(m):
                delta = (y - mean[:, k]) * b
                with np.errstate(over="ignore"):
                    r[k] -= 0.5 * ((delta * delta) @ (1.0 / cov[:, k]))
            normalise(r, self.w[at : at + size], segments, value)
            n += r.sum(axis=1)
            present += b.T @ r.T
            for k in range(m):
                delta = (y - mean[:, k]) * b
                first[:, k] += r[k] @ delta
                second[:, k] += r[k] @ (delta * delta)
        return value, n, present, first, second
