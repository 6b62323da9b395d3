"""One Gaussian for rows with missing entries: the maximum-likelihood mean and covariance, by EM.

They are to incomplete rows what the mean and the scatter are to complete ones: the frame of the search, the
test for collinear columns, and by conditional means the completed rows on which the starts are made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.fold import Data
from ...maths.moments import Moments
from .batch import lower_triangle
from .em import Mixtures, climb
from .frame import Frame
from .gaps import completed
from .incomplete import IncompleteRows, StreamedIncompleteRows
from .rows import Rows
from .structures import structure

__all__ = ["OneGaussian"]

LEAST = 1e-10  # smallest eigenvalue, columns divided by their standard deviations, above which EM is held
SAMPLE, SAMPLE_ITER, SAMPLE_TOL = 2_000, 200, 1e-6  # rows on which EM starts, passes, nats left to gain
ALL_ITER, ALL_TOL = 30, 1e-3  # the same on all rows where they are more


@dataclass(frozen=True)
class OneGaussian:
    """The one Gaussian that fits best, in unit space.

    Attributes
    ----------
    moments : Moments
        The weight of the rows, the Gaussian's mean, and its covariance times the weight.
    passes : int
        Passes over all rows.
    unseen : list of (int, int)
        Pairs of columns that no row has both of.
    """

    moments: Moments
    passes: int
    unseen: list[tuple[int, int]]

    @classmethod
    def of(cls, data: Data, z: np.ndarray, w: np.ndarray) -> OneGaussian:
        """Fit it to ``data``; ``z`` and ``w`` are its distinct rows, or a sample of more than SAMPLE."""
        frame, pairs = _available(data)
        some = np.linspace(0, len(z) - 1, SAMPLE).astype(np.int64) if len(z) > SAMPLE else slice(None)
        rows: Rows = IncompleteRows(z[some], w[some], frame, diagonal=False)
        i, j = lower_triangle(data.d)
        state = np.concatenate([[data.total], np.zeros(data.d), (i == j).astype(float)])[:, None]
        state, low = _climb(state, rows, SAMPLE_TOL, SAMPLE_ITER)
        passes = 2 + rows.passes
        if len(z) > SAMPLE:
            rows = StreamedIncompleteRows(data, frame, diagonal=False)
            state, low = _climb(state, rows, ALL_TOL, ALL_ITER)
            passes = 2 + rows.passes
        cov = np.empty((data.d, data.d))
        cov[i, j] = cov[j, i] = state[1 + data.d :, 0]
        if low:  # collinear: say so by an eigenvalue of zero, as the moments of complete rows do
            values, vectors = np.linalg.eigh(cov)
            cov = (vectors * np.where(values < 2.0 * LEAST, 0.0, values)) @ vectors.T
        sd = frame.inverse
        moments = Moments(
            data.total, frame.centre + state[1 : 1 + data.d, 0] * sd, data.total * cov * sd[:, None] * sd
        )
        a, b = np.nonzero(np.triu(pairs == 0.0, 1))
        return cls(moments, passes, list(zip(a.tolist(), b.tolist(), strict=True)))

    def completed(self, z: np.ndarray) -> np.ndarray:
        """Return the rows with their conditional means in the gaps."""
        cov, d = self.moments.covariance, z.shape[1]
        sd = np.sqrt(np.diag(cov))
        slightly = cov / sd[:, None] / sd + 1e-9 * np.eye(d)  # a start need not be exact, but must exist
        values = {"weights": np.ones(1), "means": self.moments.mean[None]}
        return completed({**values, "cholesky": np.linalg.cholesky(slightly) * sd[:, None]}, z)


def _climb(state: np.ndarray, rows: Rows, tol: float, max_iter: int) -> tuple[np.ndarray, bool]:
    one = Mixtures([1], [structure("full")])
    state = state.copy()
    state[0] = rows.total
    out = climb(one, state, rows, tol=tol, max_iter=max_iter, leave_floor=False)
    return out.states[0], bool(out.low[0])


def _available(data: Data) -> tuple[Frame, np.ndarray]:
    """Return the frame of the columns' own means and variances, and the weights of the rows that have both of
    two columns (d, d)."""

    def first(z: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        b = (~np.isnan(z)).astype(float)
        return w @ np.where(b > 0, z, 0.0), (b * w[:, None]).T @ b

    total, pairs = data.fold(first)
    present = np.diag(pairs)
    mean = total / present

    def second(z: np.ndarray, w: np.ndarray) -> np.ndarray:
        return np.asarray(w @ np.nan_to_num(z - mean) ** 2)

    sd = np.sqrt(data.fold(second) / present)
    one = np.ones(data.d)
    return Frame(mean, 1.0 / sd, sd, one, -float(np.log(sd).sum()), floor=LEAST), pairs
