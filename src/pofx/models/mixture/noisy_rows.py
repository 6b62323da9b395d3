"""The E-step with uniform noise: one more term in every row's sum, with statistics of no use but its weight.

A state holds n_k of the components alone; what they leave of the total is the noise's,

    w_0 = 1 − Σ_k n_k / n,

so that every structure, move, acceleration and stopping rule works on it unchanged. All rows lie in the
noise's box, where log(w_0 / |B|) is the same for all: among the features' coefficients, a constant.
"""

from __future__ import annotations

import numpy as np

from .batch import Segments
from .centred import Centred, about_means
from .expanded import Expanded, coefficients, own_moments
from .rows import FEATURES_UP_TO, Contribution, Rows, Statistics

__all__ = ["NoisyRows"]


class NoisyRows(Rows):
    """Rows of which some may be noise.

    Parameters
    ----------
    rows : Rows
        The same rows without it.
    log_volume : float
        log |B|, in unit space.
    """

    def __init__(self, rows: Rows, log_volume: float) -> None:
        self.rows = rows
        self.n, self.d, self.total = rows.n, rows.d, rows.total
        self.diagonal, self.frame, self.largest = rows.diagonal, rows.frame, rows.largest
        self.log_density = -log_volume - rows.frame.log_det  # of the noise, in search space

    def mass(self, state: np.ndarray) -> float:
        """Return all rows' weight, the noise's included; an accelerated step may ask for more than that."""
        return max(self.total, float(state[0].sum()))

    def e_step(
        self,
        log_weight: np.ndarray,
        mean: np.ndarray,
        cov: np.ndarray,
        segments: Segments,
        *,
        centred: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return log-likelihoods and expected statistics; see :meth:`Rows.e_step`.

        Weights that add up to more than one, after an extrapolation, are scaled to one: no noise.
        """
        self.rows.passes += 1
        log_weight, log_noise = self._weights(log_weight, segments)
        if (self.diagonal or self.d <= FEATURES_UP_TO) and not centred:
            c = coefficients(log_weight, mean, cov)
            if self.expandable(c):
                larger, ours, noise = _with_noise(segments)
                both = np.zeros((len(c), larger.m))
                both[:, ours], both[0, noise] = c, log_noise
                value, stats = self.rows._expanded(Expanded(both, larger, self.diagonal))
                return value, own_moments(stats[:, ours], self.d)
        form = NoisyCentred(log_weight, log_noise, mean, cov, segments)
        value, stats = self._sum(form)
        return value, about_means(stats[:, form.ours], form.mean[form.ours], self.diagonal)

    def _weights(self, log_weight: np.ndarray, segments: Segments) -> tuple[np.ndarray, np.ndarray]:
        """Return the components' log weights (M,), and log(w_0 / |B|) of each mixture (B,)."""
        total = segments.sum(np.exp(log_weight))
        log_weight = log_weight - np.log(np.maximum(total, 1.0))[segments.owner]
        return log_weight, np.log(np.maximum(1.0 - total, 1e-250)) + self.log_density

    def _sum(self, contribution: Contribution) -> Statistics:
        return self.rows._sum(contribution)


class NoisyCentred(Centred):
    """The plain form with the noise as a component that no row is far from: its inverse factor is nought."""

    def __init__(
        self,
        log_weight: np.ndarray,
        log_noise: np.ndarray,
        mean: np.ndarray,
        cov: np.ndarray,
        segments: Segments,
    ) -> None:
        super().__init__(log_weight, mean, cov, segments)
        self.segments, self.ours, noise = _with_noise(segments)
        own = self.mean, self.white, self.constant
        self.mean, self.white, self.constant = (np.zeros((self.segments.m, *a.shape[1:])) for a in own)
        self.mean[self.ours], self.white[self.ours], self.constant[self.ours] = own
        self.constant[noise] = log_noise[:, None]


def _with_noise(segments: Segments) -> tuple[Segments, np.ndarray, np.ndarray]:
    """Return the segments with one more term at the end of each, and where components and noise are."""
    larger = Segments(segments.sizes + 1)
    noise = larger.starts + segments.sizes
    return larger, np.setdiff1d(np.arange(larger.m), noise, assume_unique=True), noise
