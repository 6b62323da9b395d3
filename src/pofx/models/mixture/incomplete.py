"""The E-step for rows with missing entries: exact EM under missing-at-random.

A row with observed columns o has the marginal likelihood Σ_k w_k N(y_o; μ_k,o, Σ_k,oo), which also gives its
responsibilities r_k. The M-step wants the moments of the whole row, so the expected statistics are those of
E[y | y_o, k] and Cov[y | y_o, k] (Ghahramani and Jordan 1994, NIPS 6:120; Hunt and Jorgensen 2003, Comput.
Stat. Data Anal. 41:429; Little and Rubin 2002, chapter 11). With δ = y − μ_k on o and zero elsewhere, and
Q = Σ_oo⁻¹ on o × o and zero elsewhere,

    E[y − μ | y_o] = Σ Q δ,   Cov[y | y_o] = Σ − Σ Q Σ.

The search sees nothing of it: these rows answer ``e_step`` as complete ones do.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...core.fold import Data
from ...threads import map_ordered
from .batch import Segments, lower_triangle
from .centred import about_means
from .frame import Frame
from .incomplete_diagonal import DiagonalGaps
from .incomplete_full import FullGaps, symmetric
from .rows import CachedRows, Rows, Statistics, added

__all__ = ["IncompleteRows", "StreamedIncompleteRows"]

BUFFER_ELEMENTS = 262_144  # entries of the rows of a stream that are sorted by pattern together


class ColumnSpace:
    """Search space with its axes along the columns, where a missing entry is a missing coordinate.

    The columns divided by their standard deviations; the same as search space unless that is whitened.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        if frame.inverse.ndim == 1:
            self.sd, self.to, self.back = frame.inverse, None, None
        else:
            self.sd = np.sqrt((frame.inverse**2).sum(axis=1))
            self.to, self.back = frame.inverse / self.sd[:, None], frame.matrix * self.sd

    def rows(self, z: np.ndarray) -> np.ndarray:
        """Unit space to column space, rows (n, d); NaN stays."""
        centred = z - self.frame.centre
        return centred * self.frame.matrix if self.to is None else centred / self.sd

    def parameters(self, mean: np.ndarray, cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Search space to column space, means (d, M) and covariances."""
        if self.to is None:
            return mean, cov
        return self.to @ mean, np.einsum("ik,klm,jl->ijm", self.to, cov, self.to)

    def state(self, state: np.ndarray) -> np.ndarray:
        """Column space to search space, states (p, M)."""
        if self.back is None:
            return state
        d = len(self.sd)
        i, j = lower_triangle(d)
        own = np.einsum("ik,klm,jl->ijm", self.back, symmetric(state[1 + d :], d), self.back)
        return np.concatenate([state[:1], self.back @ state[1 : 1 + d], own[i, j]])

    def log_shift(self, total: float, absent: np.ndarray) -> float:
        """Return what to add to a log-likelihood in column space, so that ``log_det`` for every row then
        makes it one in unit space; ``absent`` (d,) is the weight of the rows that lack each column."""
        log_sd = np.log(self.sd)
        whitening = 0.0 if self.to is None else self.frame.log_det + float(log_sd.sum())
        return float(absent @ log_sd) - total * whitening


class _Incomplete(Rows):
    """What rows in memory and in a stream have in common: the way there and back."""

    space: ColumnSpace
    absent: np.ndarray  # weight of the rows that lack each column

    def e_step(
        self,
        log_weight: np.ndarray,
        mean: np.ndarray,
        cov: np.ndarray,
        segments: Segments,
        *,
        centred: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the observed rows' log-likelihoods (B,) and expected statistics as a state (p, M)."""
        self.passes += 1
        mean, cov = self.space.parameters(mean, cov)
        value, stats = self._statistics(log_weight, mean, cov, segments, centred)
        value = value + self.space.log_shift(self.total, self.absent)
        return value, self.space.state(about_means(stats, mean.T, self.diagonal))

    def _statistics(
        self, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray, segments: Segments, centred: bool
    ) -> Statistics:
        raise NotImplementedError


class IncompleteRows(_Incomplete, CachedRows):
    """Rows in memory, grouped by pattern; complete ones take the way of complete data.

    Parameters
    ----------
    z : ndarray (n, d)
        Rows in unit space, NaN where an entry is missing.
    w : ndarray (n,)
    frame : Frame
    diagonal : bool
    filled : ndarray (n, d), optional
        The rows with something in every gap, for the starts.
    """

    def __init__(
        self,
        z: np.ndarray,
        w: np.ndarray,
        frame: Frame,
        *,
        diagonal: bool,
        filled: np.ndarray | None = None,
    ) -> None:
        self.n, self.d = z.shape
        self.w, self.frame, self.diagonal = w, frame, diagonal
        self.total = float(w.sum())
        self.y = np.empty((0, self.d)) if filled is None else frame.rows(filled)
        self.phi = None
        self.space = ColumnSpace(frame)
        gaps = np.isnan(z)
        self.absent = w @ gaps
        x = np.where(gaps, 0.0, self.space.rows(z))
        whole = ~gaps.any(axis=1)
        self.complete = CachedRows(x[whole], w[whole], frame, diagonal=diagonal) if whole.any() else None
        rest = ~whole
        kind = DiagonalGaps if diagonal else FullGaps
        self.rest = kind(x[rest], ~gaps[rest], w[rest]) if rest.any() else None

    def _statistics(
        self, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray, segments: Segments, centred: bool
    ) -> Statistics:
        parts: list[Statistics] = []
        if self.complete is not None:
            value, state = self.complete.e_step(log_weight, mean, cov, segments, centred=centred)
            parts.append((value, _about(state, mean, self.diagonal)))
        if self.rest is not None:
            parts.append(self.rest.statistics(log_weight, mean, cov, segments, centred))
        return added(iter(parts))


class StreamedIncompleteRows(_Incomplete):
    """Rows that pass by in blocks, some of them grouped by pattern at a time."""

    def __init__(self, data: Data, frame: Frame, *, diagonal: bool) -> None:
        assert data.present is not None
        self.data, self.frame, self.diagonal = data, frame, diagonal
        self.n, self.d, self.total = data.n, data.d, data.total
        self.space = ColumnSpace(frame)
        self.absent = data.total - data.present

    def _buffers(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        waiting: list[tuple[np.ndarray, np.ndarray]] = []
        held = 0
        for z, w in self.data.blocks():
            waiting.append((z, w))
            held += z.size
            if held >= BUFFER_ELEMENTS:
                yield np.concatenate([z for z, _ in waiting]), np.concatenate([w for _, w in waiting])
                waiting, held = [], 0
        if waiting:
            yield np.concatenate([z for z, _ in waiting]), np.concatenate([w for _, w in waiting])

    def _statistics(
        self, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray, segments: Segments, centred: bool
    ) -> Statistics:
        def contribution(buffer: tuple[np.ndarray, np.ndarray]) -> Statistics:
            rows = IncompleteRows(*buffer, self.frame, diagonal=self.diagonal)
            return rows._statistics(log_weight, mean, cov, segments, centred)

        return added(map_ordered(contribution, self._buffers()))


def _about(state: np.ndarray, mean: np.ndarray, diagonal: bool) -> np.ndarray:
    """Return Σ r [1, y − μ, (y − μ)(y − μ)ᵀ] from a state: the inverse of ``about_means``."""
    d = len(mean)
    out = state.copy()
    shift = out[1 : 1 + d] - mean
    out[1 : 1 + d] = shift
    i, j = (np.arange(d),) * 2 if diagonal else lower_triangle(d)
    out[1 + d :] += shift[i] * shift[j]
    out[1:] *= out[0]
    return out
