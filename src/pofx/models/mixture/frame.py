"""The coordinates in which a mixture is searched: centred, and in units of the data's own spread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...maths.moments import Moments, correlation_condition
from ..gaussian import COLLINEAR

__all__ = ["REGULAR", "Frame"]

REGULAR = 1e-4  # smallest eigenvalue of a regular component, columns divided by their standard deviations
WHITEN_BELOW = 1e-3  # smallest eigenvalue of the correlations below which rows are whitened


@dataclass(frozen=True)
class Frame:
    """The affine map ``y = A (z − centre)`` from unit space to search space, and its consequences.

    A divides columns by their standard deviations. Where the correlation matrix itself is nearly singular
    (smallest eigenvalue below 1e-3), full structures work on whitened rows instead: otherwise not even one
    Gaussian would count as regular, and squared features would lose digits. Where it is singular there is no
    whitening; structures that do not mind (:attr:`pofx.models.mixture.structures.Structure.for_singular`)
    then work on scaled rows.

    Parameters
    ----------
    centre : ndarray (d,)
        The mean.
    matrix : ndarray (d, d), or (d,) where it is diagonal
        A.
    inverse : ndarray of the same shape
        A⁻¹.
    sphere : ndarray (d,)
        What a covariance that is the identity in data units looks like here, up to a factor: the largest
        column has 1.
    log_det : float
        log |A|: what to add per row to a log density in search space to have it in unit space.
    floor : float
        The smallest eigenvalue allowed.
    """

    centre: np.ndarray
    matrix: np.ndarray
    inverse: np.ndarray
    sphere: np.ndarray
    log_det: float
    floor: float = REGULAR

    @classmethod
    def of(cls, moments: Moments, exponent: np.ndarray, *, diagonal: bool) -> Frame:
        """Return the frame for rows with these moments (unit space, full scatter)."""
        covariance = moments.covariance
        sd = np.sqrt(np.diag(covariance))
        with np.errstate(over="ignore"):
            sphere = np.ldexp(1.0 / sd, (exponent.max() - exponent)) ** 2
        sphere = sphere / sphere.min()
        if diagonal or not COLLINEAR * len(sd) < correlation_condition(covariance)[0] < WHITEN_BELOW:
            return cls(moments.mean, 1.0 / sd, sd, sphere, -float(np.log(sd).sum()))
        factor = np.linalg.cholesky(covariance / sd[:, None] / sd) * sd[:, None]
        inverse = np.linalg.inv(factor)
        return cls(moments.mean, np.tril(inverse), factor, sphere, -float(np.log(np.diag(factor)).sum()))

    def rows(self, z: np.ndarray) -> np.ndarray:
        """Unit space to search space, rows (n, d)."""
        centred = z - self.centre
        return centred * self.matrix if self.matrix.ndim == 1 else centred @ self.matrix.T

    def means(self, z: np.ndarray) -> np.ndarray:
        """Means of unit space (K, d) as columns (d, K) of search space."""
        return np.ascontiguousarray(self.rows(z).T)

    def means_back(self, mean: np.ndarray) -> np.ndarray:
        """Columns (d, K) of search space as means (K, d) of unit space."""
        y = mean.T
        return self.centre + (y * self.inverse if self.inverse.ndim == 1 else y @ self.inverse.T)

    def covariances(self, sigma: np.ndarray) -> np.ndarray:
        """Covariances (K, d, d) or variances (K, d) of unit space, components last, in search space."""
        return _sandwich(self.matrix, np.moveaxis(sigma, 0, -1))

    def covariances_back(self, cov: np.ndarray) -> np.ndarray:
        """Covariances (d, d, K) or variances (d, K) of search space, components first, in unit space."""
        return np.ascontiguousarray(np.moveaxis(_sandwich(self.inverse, cov), -1, 0))

    @cached_property
    def _data(self) -> tuple[np.ndarray, np.ndarray]:
        """The map from search space to the data's units, up to a factor and a shift, and its inverse."""
        sd = self.inverse if self.inverse.ndim == 1 else np.sqrt((self.inverse**2).sum(axis=1))
        unit = 1.0 / (np.sqrt(self.sphere) * sd)
        if self.inverse.ndim == 1:
            return unit * self.inverse, self.matrix / unit
        return unit[:, None] * self.inverse, self.matrix / unit

    def to_data(self, cov: np.ndarray) -> np.ndarray:
        """Covariances (d, d, M) of search space in the data's units: the widest column has variance 1."""
        return _sandwich(self._data[0], cov)

    def from_data(self, cov: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`to_data`."""
        return _sandwich(self._data[1], cov)


def _sandwich(a: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return A Σ Aᵀ for each Σ."""
    if cov.ndim == 2:
        return cov * (a * a)[:, None]
    if a.ndim == 1:
        return cov * (a[:, None] * a)[:, :, None]
    return np.einsum("ik,klm,jl->ijm", a, cov, a)
