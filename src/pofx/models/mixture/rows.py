"""The rows of a fit behind one E-step: a sum over slabs of rows, in the form that the numbers allow.

Few columns go through products of their features (:mod:`pofx.models.mixture.expanded`), many columns and
badly conditioned components through the plain form (:mod:`pofx.models.mixture.centred`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ...core.fold import Data
from ...threads import map_ordered
from .batch import Segments, squares
from .centred import Centred, Whitened, about_means
from .expanded import Expanded, coefficients, features, n_features, own_moments
from .frame import Frame

__all__ = ["CachedRows", "Rows", "Statistics", "StreamedRows", "added"]

FEATURES_UP_TO = 48  # columns; beyond, the plain form is the faster one
CACHED_FEATURES = 1_000_000  # numbers up to which features are kept
EXPANDED_ERROR = 1e-7  # nats per row that the expanded form may lose
SLAB_WORK = 5e7  # multiply-adds of a slab: more than it costs to hand it to a thread
SLAB_ROWS = 65_536

Statistics = tuple[np.ndarray, np.ndarray]  # log-likelihoods (B,), and sums (p, M)


class Contribution(Protocol):
    """What rows y (n, d) of weights w (n,) add to the log-likelihoods and the statistics."""

    block: int  # rows that it takes at a time
    work: float  # multiply-adds per row

    def __call__(self, y: np.ndarray, w: np.ndarray) -> Statistics: ...


def added(parts: Iterator[Statistics]) -> Statistics:
    """Return the sum of the parts, in their order."""
    value, stats = next(parts)
    for more, further in parts:
        value, stats = value + more, stats + further
    return value, stats


class Rows:
    """Rows in search space behind one E-step.

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
    bounded : bool
        Whether the likelihood is bounded however narrow a component, so that the floor rules none out.
    """

    n: int
    d: int
    total: float
    diagonal: bool
    frame: Frame
    largest: float  # largest |y|² of any row

    passes: int = 0
    bounded: bool = False

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
        if (self.diagonal or self.d <= FEATURES_UP_TO) and not centred:
            c = coefficients(log_weight, mean, cov)
            if self.expandable(c):
                value, stats = self._expanded(Expanded(c, segments, self.diagonal))
                return value, own_moments(stats, self.d)
        form = (Centred if centred or self.diagonal else Whitened)(log_weight, mean, cov, segments)
        value, stats = self._sum(form)
        return value, about_means(stats, form.mean, self.diagonal)

    def expandable(self, c: np.ndarray) -> bool:
        """Whether the expanded form is right: its rounding, from the traces of the precision matrices."""
        quadratic = c[1 + self.d :] if self.diagonal else c[1 + self.d + squares(self.d)]
        error = -2.0 * np.finfo(float).eps * self.largest * quadratic.sum(axis=0).min()
        return bool(error < EXPANDED_ERROR)

    def mass(self, state: np.ndarray) -> float:
        """Return what the weights n_k of one mixture's state are shares of."""
        return float(state[0].sum())

    def _expanded(self, form: Expanded) -> tuple[np.ndarray, np.ndarray]:
        return self._sum(form)

    def _sum(self, contribution: Contribution) -> Statistics:
        """Return the sum of ``contribution(y, w)`` over all rows."""
        raise NotImplementedError


class CachedRows(Rows):
    """Rows in memory, and of small data their features.

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
        self.y = np.asfortranarray(y)  # a column after the other, as features are made of them
        self.w, self.frame, self.diagonal = w, frame, diagonal
        self.total = float(w.sum())
        self.largest = float(np.einsum("ij,ij->i", y, y).max())
        few = self.n * n_features(self.d, diagonal) <= CACHED_FEATURES
        self.phi = features(self.y, diagonal) if few else None

    def _expanded(self, form: Expanded) -> tuple[np.ndarray, np.ndarray]:
        if self.phi is not None and self.n * form.work <= SLAB_WORK:
            return form(self.y, self.w, self.phi)
        return super()._expanded(form)

    def _sum(self, contribution: Contribution) -> Statistics:
        rows = int(min(SLAB_WORK / contribution.work, SLAB_ROWS))
        slab = max(rows - rows % contribution.block, contribution.block)
        if self.n <= slab:
            return contribution(self.y, self.w)
        return added(
            map_ordered(
                lambda at: contribution(self.y[at : at + slab], self.w[at : at + slab]),
                range(0, self.n, slab),
            )
        )


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

    def _sum(self, contribution: Contribution) -> Statistics:
        summed: Statistics = self.data.fold(lambda z, w: contribution(self.frame.rows(z), w))
        return summed
