r"""What is summed: a weighted bump on every point.

    s(x) = Σ_i w_i λ_i^-d Π_j k(z_ij / λ_i) / |L|,      z_i = L^-1 (x - y_i)

with L = diag(h) for bandwidths per column, or the Cholesky factor of a bandwidth matrix H = LLᵀ (Gaussian
kernel only), and λ_i = 1 unless the bandwidth adapts to the point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from pofx.maths.kernels import Kernel

__all__ = ["Bumps", "Own"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bumps:
    """A bump on every point.

    Parameters
    ----------
    points : (n, d) float64, n >= 1
    log_weights : (n,) float64, or None for weights of one
    kernel : Kernel
        Unit standard deviation.
    bandwidth : (d,) standard deviations, or (d, d) positive definite covariance matrix of the bump
        In the units of the columns.
    factors : (n,) float64, positive, optional
        λ_i: the bump of point i is this much wider.
    """

    points: Floats
    log_weights: Floats | None
    kernel: Kernel
    bandwidth: Floats
    factors: Floats | None = None

    @property
    def n(self) -> int:
        """The number of points."""
        return len(self.points)

    @property
    def d(self) -> int:
        """The number of columns."""
        return self.points.shape[1]

    @property
    def gaussian(self) -> bool:
        """Whether the sum depends on distances in whitened coordinates only."""
        return self.kernel.radius == math.inf

    @property
    def width(self) -> float:
        """The standard deviation of the bumps of a single column."""
        h = self.bandwidth
        return math.sqrt(h[0, 0]) if h.ndim == 2 else float(h[0])

    @cached_property
    def _inverse(self) -> Floats:
        """L^-1, lower triangular, for a bandwidth matrix."""
        lower = np.linalg.cholesky(self.bandwidth)
        return np.asarray(solve_triangular(lower, np.eye(self.d), lower=True))

    def whiten(self, differences: Floats) -> Floats:
        """Return L^-1 of differences (…, d): distances in bandwidths. Subtract before you whiten."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.bandwidth.ndim == 1:
                return np.asarray(differences / self.bandwidth)
            return np.asarray(differences @ self._inverse.T)

    @cached_property
    def constant(self) -> float:
        """log of the factor common to all bumps, nats."""
        if self.bandwidth.ndim == 1:
            log_det = float(np.log(self.bandwidth).sum())
        else:
            log_det = -float(np.log(np.diag(self._inverse)).sum())
        return self.d * self.kernel.log_norm - log_det

    @cached_property
    def log_heights(self) -> Floats | None:
        """log of w_i λ_i^-d, or None where all are one."""
        if self.factors is None:
            return self.log_weights
        lowered = -self.d * np.log(self.factors)
        return lowered if self.log_weights is None else lowered + self.log_weights


@dataclass(frozen=True, eq=False)
class Own:
    """Queries that are points themselves, whose own bump counts in part only: leave-one-out.

    Parameters
    ----------
    index : (m,) int
        Query r is point ``index[r]``.
    log_left : (m,) float64
        log of the weight of that point that stays; -inf where none does.
    """

    index: NDArray[np.intp]
    log_left: Floats

    def select(self, rows: NDArray[np.intp] | slice) -> Own:
        """Return those of some queries."""
        return Own(self.index[rows], self.log_left[rows])

    def log_ratio(self, bumps: Bumps) -> Floats:
        """log of what stays, relative to the whole weight of each point."""
        if bumps.log_weights is None:
            return self.log_left
        return self.log_left - bumps.log_weights[self.index]
