"""The E-step of many mixtures at once: one matrix product out, one back, block by block.

With the quadratic features φ(y) = [1, y, vech(y yᵀ)] of centred, scaled rows, the log of w_k N(y; μ_k, Σ_k)
is linear in φ. So the logits of all components of all candidate mixtures are one product C Φ, the
responsibilities are exponentials normalised within each mixture, and every expected statistic is one
product Φ Rᵀ. The expanded form loses about |y|²/λ_min roundings, which regular components
(λ_min ≥ 1e-4) keep near 1e-10; the final numbers of a fit are always taken from the centred form
(:mod:`pofx.models.mixture.centred`).

Both products and the exponentials in between work on blocks of rows whose features, logits and
responsibilities stay in the processor's caches: out of them, the products run at half the rate. Where a
megabyte is little work, blocks are larger, because threads meet at every call of NumPy, to pass on the
interpreter's lock, and short calls would have them wait for each other (at 1e6 × 2, eight components: 1.1
times one thread with blocks of a megabyte, 1.5 times with three).
"""

from __future__ import annotations

import numpy as np

from ...maths.gaussian import LOG_2PI
from ...maths.gaussian_batch import cholesky, precision, triangular_inverse
from .batch import Segments, lower_triangle
from .centred import normalise

__all__ = ["Expanded", "coefficients", "features", "n_features", "own_moments"]

CACHE_ELEMENTS, MOST_ELEMENTS = 131_072, 393_216  # features, logits, responsibilities of a block: 1 to 3 MB
BLOCK_WORK = 6e6  # multiply-adds that make the calls of a block long
LEAST_BLOCK, LARGEST_BLOCK = 192, 20_032  # rows; not a power of two, whose rows would share their cache lines
EXPONENTIAL = 20  # multiply-adds that an exponential and its normalisation are worth


def n_features(d: int, diagonal: bool) -> int:
    """Return the length of φ."""
    return 1 + 2 * d if diagonal else 1 + d + d * (d + 1) // 2


def features(y: np.ndarray, diagonal: bool, out: np.ndarray | None = None) -> np.ndarray:
    """Return Φ, shape (p, n), for rows y (n, d)."""
    d = y.shape[1]
    phi = np.empty((n_features(d, diagonal), len(y))) if out is None else out
    phi[0] = 1.0
    phi[1 : 1 + d] = y.T
    columns = phi[1 : 1 + d]
    if diagonal:
        np.multiply(columns, columns, out=phi[1 + d :])
        return phi
    at = 1 + d
    for i in range(d):
        np.multiply(columns[: i + 1], columns[i], out=phi[at : at + i + 1])
        at += i + 1
    return phi


def coefficients(log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return C, shape (p, M), with ``log(w_k N(y; μ_k, Σ_k)) = C[:, k] · φ(y)``."""
    d = len(mean)
    if cov.ndim == 2:
        p = 1.0 / cov
        linear = p * mean
        constant = np.log(cov).sum(axis=0) + (linear * mean).sum(axis=0)
        return np.concatenate([(log_weight - 0.5 * (d * LOG_2PI + constant))[None], linear, -0.5 * p])
    factor = cholesky(cov)[0]
    p = precision(triangular_inverse(factor))
    linear = (p * mean).sum(axis=1)
    diagonal = np.arange(d)
    constant = 2.0 * np.log(factor[diagonal, diagonal]).sum(axis=0) + (linear * mean).sum(axis=0)
    i, j = lower_triangle(d)
    quadratic = p[i, j] * np.where(i == j, -0.5, -1.0)[:, None]
    return np.concatenate([(log_weight - 0.5 * (d * LOG_2PI + constant))[None], linear, quadratic])


def own_moments(stats: np.ndarray, d: int) -> np.ndarray:
    """Return weights, means and own covariances, stacked (p, M), from summed features Σ r φ (p, M)."""
    n = np.maximum(stats[0], 1e-250)
    out = stats / n
    mean = out[1 : 1 + d]
    if len(stats) == 1 + 2 * d:
        out[1 + d :] -= mean * mean
    else:
        i, j = lower_triangle(d)
        out[1 + d :] -= mean[i] * mean[j]
    out[0] = stats[0]
    return out


class Expanded:
    """The expanded form at some parameters, for slabs of rows; each call may run in a thread of its own.

    Parameters
    ----------
    c : ndarray (p, M)
        :func:`coefficients`.
    segments : Segments
    diagonal : bool
    """

    def __init__(self, c: np.ndarray, segments: Segments, diagonal: bool) -> None:
        self.c, self.segments, self.diagonal = np.ascontiguousarray(c.T), segments, diagonal
        m, p = self.c.shape
        self.work = m * (2.0 * p + EXPONENTIAL)  # multiply-adds per row
        rows = int(np.clip(BLOCK_WORK / self.work, CACHE_ELEMENTS // (p + m), MOST_ELEMENTS // (p + m)))
        self.block = int(np.clip(rows - rows % 128 - 64, LEAST_BLOCK, LARGEST_BLOCK))

    def __call__(
        self, y: np.ndarray, w: np.ndarray, phi: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return each mixture's log-likelihood (B,) and the expected statistics Σ r φ (p, M) of rows y.

        ``phi`` (p, n) are their features where these are known.
        """
        (m, p), n = self.c.shape, len(y)
        size = min(self.block, n)
        log_likelihood, stats = np.zeros(len(self.segments)), np.zeros((p, m))
        logits, part = np.empty((m, size)), np.empty((p, m))
        own = np.empty((p, size)) if phi is None else phi
        for start in range(0, n, size):
            stop = min(start + size, n)
            weight, r = w[start:stop], logits[:, : stop - start]
            if phi is None:
                here = features(y[start:stop], self.diagonal, out=own[:, : stop - start])
            else:
                here = phi[:, start:stop]
            np.matmul(self.c, here, out=r)
            if not _normalise(np.exp(r, out=r), weight, self.segments, log_likelihood):
                normalise(np.matmul(self.c, here, out=r), weight, self.segments, log_likelihood)
            stats += np.matmul(here, r.T, out=part)
        return log_likelihood, stats


def _normalise(r: np.ndarray, w: np.ndarray, segments: Segments, log_likelihood: np.ndarray) -> bool:
    """Turn densities (M, b) into weighted responsibilities; False (and no effect on the log-likelihood)
    where a row is so far from every component, or so near to one, that a density leaves float64."""
    parts = []
    for k, mixtures, components in segments.groups:
        block = r[components].reshape(-1, k, r.shape[1])
        total = block.sum(axis=1) if k > 1 else block[:, 0].copy()
        if not total.min() > 1e-280:
            return False
        value = np.log(total) @ w
        if not np.isfinite(value).all():  # a density above float64's largest
            return False
        parts.append((block, total, mixtures, value))
    for block, total, mixtures, value in parts:
        log_likelihood[mixtures] += value
        block *= np.divide(w, total, out=total)[:, None]
    return True
