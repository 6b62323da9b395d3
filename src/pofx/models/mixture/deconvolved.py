"""Extreme deconvolution: the density of what was measured, from measurements with known errors.

    x_i = y_i + e_i,   e_i ~ N(0, S_i),   y_i ~ Σ_k w_k N(μ_k, Σ_k)

(Bovy, Hogg and Roweis 2011, Ann. Appl. Stat. 5:1657). So x_i ~ Σ_k w_k N(μ_k, T_ik) with T_ik = Σ_k + S_i,
and given component k the truth y_i has mean b_ik = μ_k + Σ_k T_ik⁻¹ (x_i − μ_k) and covariance
B_ik = Σ_k − Σ_k T_ik⁻¹ Σ_k. With q_ik = T_ik⁻¹ (x_i − μ_k) the expected statistics about μ_k are

    Σ_i r_ik (b_ik − μ_k) = Σ_k a_k,                             a_k = Σ_i r_ik q_ik
    Σ_i r_ik ((b_ik − μ_k)(b_ik − μ_k)ᵀ + B_ik) = n_k Σ_k + Σ_k A_k Σ_k, A_k = Σ_i r_ik (q_ik q_ikᵀ − T_ik⁻¹):

sums over rows of vectors and matrices that do not know Σ_k, and it comes in at the end. (a_k and A_k / 2 are
the gradient of the log-likelihood by μ_k and Σ_k.) They are the state of :mod:`pofx.models.mixture.em`, so
all structures, acceleration, moves and stopping work unchanged.

Regularity is a matter of T_ik, in which the likelihood is bounded: where every row's error is itself as wide
as a regular component, Σ_k may be as narrow as it likes (down to 1e-6), and a narrow one is no defect.
"""

from __future__ import annotations

import numpy as np

from ...errors import NumericalError
from ...maths.gaussian import LOG_2PI
from ...maths.gaussian_batch import cholesky, precision, triangular_inverse
from ...threads import map_ordered
from .batch import Segments, lower_triangle
from .centred import normalise
from .frame import Frame
from .rows import Rows, added

__all__ = ["NARROWEST", "DeconvolvedRows", "least_variance", "scores", "variances_in"]

ELEMENTS = 40_000  # numbers in the matrices T that are worked on at a time
LEAST_CHUNK = 8  # rows
PARALLEL_WORK = 2e7  # multiply-adds of a pass below which threads cost more than they save
NARROWEST = 1e-6  # least variance of a component (search space) where errors bound the likelihood
NUDGE = 1e-10  # of its diagonal, added to a T that rounding made indefinite: errors of one direction only


def variances_in(frame: Frame, errors: np.ndarray, *, diagonal: bool) -> np.ndarray:
    """Return errors of unit space, sds (m, d) or covariances (m, d, d), as variances (d, m) or (d, d, m).

    In the search space of ``frame``; (d, m) only where they are variances there too, and ``diagonal``.
    """
    a = frame.matrix
    if errors.ndim == 2 and a.ndim == 1:
        own = np.ascontiguousarray((errors * a).T) ** 2
        if diagonal:
            return own
        out = np.zeros((len(own), *own.shape))
        i = np.arange(len(own))
        out[i, i] = own
        return out
    if errors.ndim == 2:
        wide = a[None] * errors[:, None, :]
        return np.ascontiguousarray(np.moveaxis(wide @ np.swapaxes(wide, 1, 2), 0, 2))
    both = errors * (a[:, None] * a) if a.ndim == 1 else a @ errors @ a.T
    return np.ascontiguousarray(np.moveaxis(both, 0, 2))


def least_variance(s: np.ndarray) -> float:
    """Return the smallest eigenvalue of any of the errors (d, m) or (d, d, m)."""
    return float(s.min() if s.ndim == 2 else np.linalg.eigvalsh(np.moveaxis(s, 2, 0)).min())


def scores(
    y: np.ndarray, s: np.ndarray, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log(w_k N(y_i; μ_k, T_ik)), q_ik = T_ik⁻¹ (y_i − μ_k) and T_ik⁻¹.

    Parameters
    ----------
    y : ndarray (n, d)
    s : ndarray (d, m) or (d, d, m)
        Errors; m is n, or 1.
    log_weight, mean, cov : ndarray (M,), (d, M), and (d, d, M) or (d, M)

    Returns
    -------
    logs : ndarray (M, n)
    q : ndarray (d, M, n)
    inverse : ndarray (d, d, M, m), or its diagonal (d, M, m) where T is diagonal
    """
    d = len(mean)
    gap = y.T[:, None, :] - mean[:, :, None]
    if s.ndim == 2 and cov.ndim == 2:
        t = cov[:, :, None] + s[:, None, :]
        q = gap / t
        logs = log_weight[:, None] - 0.5 * (d * LOG_2PI + np.log(t).sum(axis=0) + (q * gap).sum(axis=0))
        return logs, q, 1.0 / t
    i = np.arange(d)
    if s.ndim == 2:
        t = np.repeat(cov[..., None], s.shape[-1], axis=-1)
        t[i, i] += s[:, None, :]
    elif cov.ndim == 2:
        t = np.repeat(s[:, :, None, :], cov.shape[-1], axis=2)
        t[i, i] += cov[:, :, None]
    else:
        t = cov[..., None] + s[:, :, None, :]
    shape = t.shape
    inverse = triangular_inverse(_factor(t.reshape(d, d, -1)))
    log_det = -np.log(inverse[i, i]).sum(axis=0).reshape(shape[2:])
    half = inverse.reshape(shape)
    white = np.stack([(half[r, : r + 1] * gap[: r + 1]).sum(axis=0) for r in range(d)])
    q = np.stack([(half[c:, c] * white[c:]).sum(axis=0) for c in range(d)])
    with np.errstate(over="ignore"):
        logs = log_weight[:, None] - 0.5 * (d * LOG_2PI + (white * white).sum(axis=0)) - log_det
    return logs, q, precision(inverse).reshape(shape)


def _factor(t: np.ndarray) -> np.ndarray:
    factor, good = cholesky(t)
    if good.all():
        return factor
    i, bad = np.arange(len(t)), np.flatnonzero(~good)
    again = t[:, :, bad]
    again[i, i] *= 1.0 + NUDGE
    factor[:, :, bad], good = cholesky(again)
    if not good.all():
        raise NumericalError(
            "Some errors are so large in some directions, beside others, that they cannot be told from "
            "singular in float64. Leave those rows out, or bound their errors."
        )
    return factor


class DeconvolvedRows(Rows):
    """Rows that are measurements of the truth, with known errors.

    Parameters
    ----------
    y : ndarray (n, d)
        Rows in the search space of ``frame``.
    s : ndarray (d, m) or (d, d, m)
        Their errors there; m is n, or 1 where they are the same for all.
    w : ndarray (n,)
    frame : Frame
    diagonal : bool
        Whether covariances of components are diagonal.
    """

    def __init__(self, y: np.ndarray, s: np.ndarray, w: np.ndarray, frame: Frame, *, diagonal: bool) -> None:
        self.n, self.d = y.shape
        self.y, self.s, self.w, self.frame, self.diagonal = y, s, w, frame, diagonal
        self.total = float(w.sum())
        self.bounded = frame.floor <= NARROWEST

    def e_step(
        self,
        log_weight: np.ndarray,
        mean: np.ndarray,
        cov: np.ndarray,
        segments: Segments,
        *,
        centred: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return log-likelihoods and expected statistics; see :meth:`Rows.e_step`. There is one form only."""
        self.passes += 1
        m, d = len(log_weight), self.d
        size = max(LEAST_CHUNK, ELEMENTS // (m * d * (1 if self.s.ndim == cov.ndim == 2 else d)))

        def contribution(start: int) -> tuple[np.ndarray, np.ndarray]:
            part = slice(start, start + size)
            s = self.s if self.s.shape[-1] == 1 else self.s[..., part]
            log_likelihood = np.zeros(len(segments))
            logs, q, inverse = scores(self.y[part], s, log_weight, mean, cov)
            normalise(logs, self.w[part], segments, log_likelihood)
            return log_likelihood, _sums(logs, q, inverse, self.diagonal)

        starts = range(0, self.n, size)
        parallel = len(starts) > 1 and self.n * m * d**3 > PARALLEL_WORK
        parts = map_ordered(contribution, starts) if parallel else map(contribution, starts)
        value, stats = added(parts)
        return value, _state(stats, mean, cov)


def _sums(r: np.ndarray, q: np.ndarray, inverse: np.ndarray, diagonal: bool) -> np.ndarray:
    """Return n_k, a_k and A_k (its diagonal, or vech), stacked (p, M); r (M, b) are responsibilities."""
    d = len(q)
    weighted = q * r
    pairs = [(i, i) for i in range(d)] if diagonal else list(zip(*lower_triangle(d), strict=True))
    second = []
    for i, j in pairs:
        p = inverse[i] if inverse.ndim == 3 else inverse[i, j]
        own = (p * r).sum(axis=-1) if p.shape[-1] > 1 else p[:, 0] * r.sum(axis=-1)
        second.append(np.einsum("mb,mb->m", weighted[i], q[j]) - own)
    return np.concatenate([r.sum(axis=-1)[None], weighted.sum(axis=-1), np.stack(second)])


def _state(stats: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return weight, mean and own covariance of the truth (p, M) from n_k, a_k and A_k."""
    d = len(mean)
    out = stats / np.maximum(stats[0], 1e-250)
    a, second = out[1 : 1 + d], out[1 + d :]
    if cov.ndim == 2:
        shift = cov * a
        own = cov + cov * second * cov - shift * shift
    else:
        i, j = lower_triangle(d)
        full = np.empty_like(cov)
        full[i, j] = full[j, i] = second
        shift = np.einsum("ijm,jm->im", cov, a)
        own = cov + np.einsum("ikm,klm,ljm->ijm", cov, full, cov, optimize=True) - shift[:, None] * shift
        own = own[i, j]
    return np.concatenate([stats[:1], mean + shift, own])
