"""The plain form of the E-step: rows minus mean, through the Cholesky factor, component by component.

Slower than the product of features (:mod:`pofx.models.mixture.rows`) but right to the last digits wherever
the components lie, so the final log-likelihood, every log density, wide tables and badly conditioned
components go this way.

    log w_k N(x; μ_k, L_k L_kᵀ) = log w_k − ½ d log 2π − log|L_k| − ½ |L_k⁻¹ (x − μ_k)|²
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dsyrk

from ...maths.gaussian import LOG_2PI
from ...maths.gaussian_batch import cholesky, triangular_inverse
from .batch import Segments, lower_triangle

__all__ = ["Centred", "Whitened", "about_means", "component_logs", "log_sum_exp", "normalise"]

CACHE_ELEMENTS = 65_536  # numbers of a piece that are worked on: half a megabyte
LEAST_PIECE, LARGEST_PIECE = 192, 4_096  # rows
GATHERED = 4_096  # rows from which statistics are gathered at a time
STRIPE = 16  # whitened coordinates per product
NEGLIGIBLE = 1e-20  # a responsibility that changes no digit of a statistic


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


class Centred:
    """The plain form at some parameters, for slabs of rows; each call may run in a thread of its own.

    In many columns nearly every row belongs to one component, so statistics are gathered from the rows whose
    responsibility is above 1e-20: what is left out lies below what rounding adds.

    Parameters
    ----------
    log_weight, mean, cov : ndarray (M,), (d, M), and (d, d, M) or (d, M)
    segments : Segments
    """

    block = GATHERED

    def __init__(self, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray, segments: Segments) -> None:
        d, m = mean.shape
        self.mean, self.segments = np.ascontiguousarray(mean.T), segments
        self.diagonal = cov.ndim == 2
        if self.diagonal:
            self.white = np.ascontiguousarray(1.0 / np.sqrt(cov.T))[:, :, None]
            log_det = -np.log(self.white).sum(axis=(1, 2))
        else:
            factor = cholesky(cov)[0]
            i = np.arange(d)
            log_det = np.log(factor[i, i]).sum(axis=0)
            self.white = np.ascontiguousarray(np.moveaxis(triangular_inverse(factor), 2, 0))
        self.constant = (log_weight - 0.5 * d * LOG_2PI - log_det)[:, None]
        self.piece = self._piece(2 * d + m)
        self.work = m * (4.0 * d if self.diagonal else 2.0 * d * d + 20.0)

    @staticmethod
    def _piece(per_row: int) -> int:
        """Return how many rows of so many numbers stay in the cache."""
        rows = CACHE_ELEMENTS // per_row
        return int(np.clip(rows - rows % 64, LEAST_PIECE, LARGEST_PIECE))

    def __call__(self, y: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log-likelihoods (B,) and Σ r [1, y − μ, (y − μ)(y − μ)ᵀ] (p, M) of rows y (n, d).

        The statistics are taken about the current means, so nothing cancels near convergence; for diagonal
        structures only squares are kept.
        """
        (m, d), n = self.mean.shape, len(y)
        log_likelihood = np.zeros(len(self.segments))
        weights, firsts = np.zeros(m), np.zeros((m, d))
        squares = np.zeros((m, d) if self.diagonal else (m, d, d))
        for start in range(0, n, GATHERED):
            some = y[start : start + GATHERED].T
            r = np.empty((m, some.shape[1]))
            for at in range(0, some.shape[1], self.piece):
                r[:, at : at + self.piece] = self.logits(some[:, at : at + self.piece])
            normalise(r, w[start : start + GATHERED], self.segments, log_likelihood)
            weights += r.sum(axis=1)
            for k, mean in enumerate(self.mean):
                rows, weight = _rows_of_weight(r[k])
                if not len(weight):
                    continue
                centred = (some if rows is None else some[:, rows]) - mean[:, None]
                firsts[k] += centred @ weight
                centred *= np.sqrt(weight)
                if self.diagonal:
                    squares[k] += np.einsum("ij,ij->i", centred, centred)
                else:
                    squares[k] += dsyrk(1.0, centred.T, trans=1)  # the upper triangle of the product
        if not self.diagonal:
            i, j = lower_triangle(d)
            squares = squares[:, j, i]
        return log_likelihood, np.concatenate([weights[:, None], firsts, squares], axis=1).T.copy()

    def logits(self, y: np.ndarray) -> np.ndarray:
        """Return log w_k N(y; μ_k, Σ_k), (M, n), for rows as columns y (d, n)."""
        out = np.empty((len(self.mean), y.shape[1]))
        for k, mean in enumerate(self.mean):
            centred = y - mean[:, None]
            white = centred * self.white[k] if self.diagonal else self.white[k] @ centred
            np.einsum("ij,ij->j", white, white, out=out[k])
        out *= -0.5
        out += self.constant
        return out


class Whitened(Centred):
    """The same with all components' whitened rows L⁻¹ y − L⁻¹ μ from a few products, for many columns.

    It loses |L⁻¹ μ| roundings of a standard deviation: nothing that EM would notice.
    """

    def __init__(self, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray, segments: Segments) -> None:
        super().__init__(log_weight, mean, cov, segments)
        m, d = self.mean.shape
        shift = -(self.white @ self.mean[:, :, None])
        # The factors are triangular: a stripe of coordinates needs the columns up to its own.
        self.stripes = [
            np.concatenate(
                [shift[:, at : at + STRIPE], self.white[:, at : at + STRIPE, : at + STRIPE]], axis=2
            ).reshape(-1, 1 + min(at + STRIPE, d))
            for at in range(0, d, STRIPE)
        ]
        self.piece = self._piece(d + m + STRIPE * m // 2)

    def logits(self, y: np.ndarray) -> np.ndarray:
        """Return log w_k N(y; μ_k, Σ_k), (M, n), for rows as columns y (d, n)."""
        d, n = y.shape
        m = len(self.mean)
        with_one = np.empty((1 + d, n))
        with_one[0], with_one[1:] = 1.0, y
        out = np.zeros((m, n))
        for stripe in self.stripes:
            white = stripe @ with_one[: stripe.shape[1]]
            white *= white
            out += white.reshape(m, -1, n).sum(axis=1)
        out *= -0.5
        out += self.constant
        return out


def _rows_of_weight(r: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Return which rows have a responsibility worth adding (None: most of them), and those."""
    counts = r > NEGLIGIBLE
    if np.count_nonzero(counts) > len(r) // 2:
        return None, r
    rows = np.flatnonzero(counts)
    return rows, r[rows]


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
