"""The E-step of many mixtures at once: one matrix product out, one back.

With the quadratic features φ(y) = [1, y, vech(y yᵀ)] of centred, scaled rows, the log of w_k N(y; μ_k, Σ_k)
is linear in φ. So the logits of all components of all candidate mixtures are one product C Φ, the
responsibilities are exponentials normalised within each mixture, and every expected statistic is one
product R Φᵀ. The expanded form loses about |y|²/λ_min roundings, which regular components
(λ_min ≥ 1e-4) keep near 1e-10; the final numbers of a fit are always taken from the centred form
(:mod:`pofx.models.mixture.centred`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...core.fold import Data
from ...maths.gaussian import LOG_2PI
from ...maths.gaussian_batch import cholesky, precision, triangular_inverse
from ...threads import map_ordered
from .batch import Segments, lower_triangle, squares
from .centred import about_means, centred_statistics, normalise
from .frame import Frame

__all__ = ["CachedRows", "Rows", "StreamedRows", "coefficients", "features", "n_features", "own_moments"]

CACHE_ELEMENTS = 131_072  # logits worked on at a time: 1 MB, so that they stay in the cache
CHUNK = 4_096  # rows per task for the threads
FEATURES_UP_TO = 80  # columns; beyond, squared features of the sample take more than 64 MB
EXPANDED_ERROR = 1e-7  # nats per row that the expanded form may lose
PARALLEL_WORK = 2e7  # multiply-adds of a pass below which threads cost more than they save


def n_features(d: int, diagonal: bool) -> int:
    """Return the length of φ."""
    return 1 + 2 * d if diagonal else 1 + d + d * (d + 1) // 2


def features(y: np.ndarray, diagonal: bool) -> np.ndarray:
    """Return Φ, shape (p, n), for rows y (n, d)."""
    d = y.shape[1]
    phi = np.empty((n_features(d, diagonal), len(y)))
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


def e_step(
    phi: np.ndarray, w: np.ndarray, c: np.ndarray, segments: Segments
) -> tuple[np.ndarray, np.ndarray]:
    """Return each mixture's log-likelihood (B,) and the expected statistics Σ r φ (p, M)."""
    log_likelihood, stats = np.zeros(len(segments)), np.zeros_like(c)
    size = max(256, CACHE_ELEMENTS // segments.m)
    for start in range(0, len(w), size):
        part, weight = phi[:, start : start + size], w[start : start + size]
        r = c.T @ part
        if not _normalise(np.exp(r, out=r), weight, segments, log_likelihood):
            normalise(np.matmul(c.T, part, out=r), weight, segments, log_likelihood)
        stats += part @ r.T
    return log_likelihood, stats


def _normalise(r: np.ndarray, w: np.ndarray, segments: Segments, log_likelihood: np.ndarray) -> bool:
    """Turn densities (M, b) into weighted responsibilities; False (and no effect on the log-likelihood)
    where a row is so far from every component, or so near to one, that a density leaves float64."""
    sums = []
    for k, _, components in segments.groups:
        block = r[components].reshape(-1, k, r.shape[1])
        total = block.sum(axis=1) if k > 1 else block[:, 0].copy()
        if not (total.min() > 1e-280 and total.max() < 1e280):
            return False
        sums.append((block, total))
    for (block, total), (_, mixtures, _) in zip(sums, segments.groups, strict=True):
        log_likelihood[mixtures] += np.log(total) @ w
        block *= (w / total)[:, None]
    return True


class Rows:
    """Rows in search space behind one E-step: a sum over chunks of rows, in the form that the numbers allow.

    Attributes
    ----------
    n, d : int
    total : float
        The sum of the weights.
    diagonal : bool
        Whether only squares, not products of columns, are needed.
    frame : Frame
    passes : int
        E-steps made so far.
    """

    n: int
    d: int
    total: float
    diagonal: bool
    frame: Frame
    largest: float  # largest |y|² of any row

    passes: int = 0

    def e_step(
        self,
        log_weight: np.ndarray,
        mean: np.ndarray,
        cov: np.ndarray,
        segments: Segments,
        *,
        centred: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return log-likelihoods (B,) and expected statistics as a state (p, M).

        Parameters
        ----------
        log_weight, mean, cov : ndarray (M,), (d, M), and (d, d, M) or (d, M)
        segments : Segments
        centred : bool
            Ask for the plain form, right to the last digits.

        Returns
        -------
        log_likelihood : ndarray (B,)
        state : ndarray (p, M)
            Weight, mean and own covariance of each component.
        """
        self.passes += 1
        if self.d <= FEATURES_UP_TO and not centred:
            c = coefficients(log_weight, mean, cov)
            # Rounding of the expanded form, from the traces of the precision matrices.
            quadratic = c[1 + self.d :] if self.diagonal else c[1 + self.d + squares(self.d)]
            if -2.0 * np.finfo(float).eps * self.largest * quadratic.sum(axis=0).min() < EXPANDED_ERROR:
                value, stats = self._sum(lambda y, phi, w: e_step(phi, w, c, segments), c.size)
                return value, own_moments(stats, self.d)
        factor = _factors(cov)
        centre = np.ascontiguousarray(mean.T)
        value, stats = self._sum(
            lambda y, phi, w: centred_statistics(y, w, log_weight, centre, factor, segments), factor.size * 4
        )
        return value, about_means(stats, centre, self.diagonal)

    def _sum(self, contribution: Contribution, work: int) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError


Contribution = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _factors(cov: np.ndarray) -> np.ndarray:
    """Return components-first Cholesky factors (M, d, d), or standard deviations (M, 1, d)."""
    if cov.ndim == 2:
        return np.sqrt(np.ascontiguousarray(cov.T))[:, None, :]
    return np.ascontiguousarray(np.moveaxis(cholesky(cov)[0], 2, 0))


class CachedRows(Rows):
    """Rows in memory with their features, for all but the largest data.

    Parameters
    ----------
    y : ndarray (n, d)
        Rows in the search space of ``frame``.
    w : ndarray (n,)
    frame : Frame
    diagonal : bool
        Whether only squares, not products of columns, are needed.
    """

    def __init__(self, y: np.ndarray, w: np.ndarray, frame: Frame, *, diagonal: bool) -> None:
        self.n, self.d = y.shape
        self.y, self.w, self.frame, self.diagonal = y, w, frame, diagonal
        self.total = float(w.sum())
        self.largest = float(np.einsum("ij,ij->i", y, y).max())
        self.phi = features(y, diagonal) if self.d <= FEATURES_UP_TO else np.empty((0, self.n))

    def _sum(self, contribution: Contribution, work: int) -> tuple[np.ndarray, np.ndarray]:
        chunks = (
            (self.y[at : at + CHUNK], self.phi[:, at : at + CHUNK], self.w[at : at + CHUNK])
            for at in range(0, self.n, CHUNK)
        )
        parallel = self.n > CHUNK and self.n * work > PARALLEL_WORK
        one_by_one = (contribution(*c) for c in chunks)
        parts = map_ordered(lambda c: contribution(*c), chunks) if parallel else one_by_one
        value, stats = next(parts)
        for more, further in parts:
            value, stats = value + more, stats + further
        return value, stats


class StreamedRows(Rows):
    """Rows that pass by in blocks: nothing of size n is kept.

    Parameters
    ----------
    data : Data
    frame : Frame
    diagonal : bool
    """

    def __init__(self, data: Data, frame: Frame, *, diagonal: bool) -> None:
        self.data, self.frame, self.diagonal = data, frame, diagonal
        self.n, self.d, self.total = data.n, data.d, data.total
        span = np.maximum(np.abs(frame.rows(data.low[None])), np.abs(frame.rows(data.high[None])))
        # Whitened rows are longer than their columns say, but hardly longer than the square root of n.
        self.largest = float((span * span).sum()) if frame.matrix.ndim == 1 else data.total

    def _sum(self, contribution: Contribution, work: int) -> tuple[np.ndarray, np.ndarray]:
        size = CHUNK if self.d <= 16 else max(256, 2**20 // self.d**2)

        def block(z: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            total: tuple[np.ndarray, np.ndarray] | None = None
            for at in range(0, len(z), size):
                y = self.frame.rows(z[at : at + size])
                phi = features(y, self.diagonal) if self.d <= FEATURES_UP_TO else y[:0]
                part = contribution(y, phi, w[at : at + size])
                total = part if total is None else (total[0] + part[0], total[1] + part[1])
            assert total is not None
            return total

        summed: tuple[np.ndarray, np.ndarray] = self.data.fold(block)
        return summed
