"""Moments of a mixture of Gaussians seen through maps, in closed form where there is one.

With z ~ N(μ, Σ), x_i = c_i + s_i exp(t_i z_i) and M_i = E exp(t_i z_i) = exp(t_i μ_i + t_i² Σ_ii / 2), the
log-normal,

    cov(x_i, x_j) = s_i s_j M_i M_j [exp(t_i t_j Σ_ij) − 1],    cov(z_i, x_j) = t_j s_j M_j Σ_ij,

because exp(t_j z_j) times a Gaussian is another Gaussian, moved by t_j Σ_·j. Other maps, a logit say, are
integrated by Gauss and Hermite along the one or two columns that they are of.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...maths.bijections import Affine, Bijection, Identity, Log, LogBelow
from ..units import Units

__all__ = ["log_slopes_mean", "mean_and_covariance"]

Floats = NDArray[np.float64]

NODES = 48
PARTS = 2_000  # at once


def mean_and_covariance(
    maps: list[Bijection], weights: Floats, means: Floats, covariances: Floats, units: Units
) -> tuple[Floats, Floats]:
    """Return mean (d,) and covariance (d, d) of x, where the maps of x follow a mixture of Gaussians.

    Parameters
    ----------
    maps : list of d bijections
    weights, means, covariances : ndarrays (k,), (k, d), (k, d, d) or (1, d, d)
        The mixture, in ``units``.
    """
    means, covariances = _plain(means, covariances, units)
    centres, d = [], len(maps)
    within = np.zeros((d, d))
    for start in range(0, len(weights), PARTS):
        part = slice(start, start + PARTS)
        mu = means[part]
        sigma = covariances if len(covariances) == 1 else covariances[part]
        columns = [_Column(b, mu[:, j], sigma[:, j, j]) for j, b in enumerate(maps)]
        centres.append(np.stack([column.mean for column in columns], axis=1))
        for i, one in enumerate(columns):
            for j, other in enumerate(columns[: i + 1]):
                within[i, j] += weights[part] @ np.broadcast_to(
                    one.covariance(other, sigma[:, i, j]), len(mu)
                )
    means_x = np.concatenate(centres)
    mean = weights @ means_x
    apart = means_x - mean
    within = within + np.tril(within, -1).T
    return mean, within + (apart * weights[:, None]).T @ apart


def log_slopes_mean(
    maps: list[Bijection], weights: Floats, means: Floats, covariances: Floats, units: Units
) -> float:
    """Return E Σ_j log |b_j'(x_j)|, nats; the parameters are those of :func:`mean_and_covariance`."""
    means, covariances = _plain(means, covariances, units)
    out = 0.0
    for j, b in enumerate(maps):
        if isinstance(b, Affine):
            out -= math.log(abs(b.scale))
        elif isinstance(b, Log | LogBelow):  # log b' is -z, and z
            out += (1.0 if isinstance(b, LogBelow) else -1.0) * float(weights @ means[:, j])
        elif not isinstance(b, Identity):
            u, w = _hermite()
            z = means[:, j, None] + np.sqrt(covariances[:, j, j, None]) * u
            slopes = b.log_derivative(b.inverse_inside(z.ravel())).reshape(z.shape)
            out += float(weights @ (slopes @ w))
    return out


def _plain(means: Floats, covariances: Floats, units: Units) -> tuple[Floats, Floats]:
    e = units.exponent
    return units.back(means), np.ldexp(covariances, e[:, None] + e[None, :])


def _hermite() -> tuple[Floats, Floats]:
    u, w = np.polynomial.hermite_e.hermegauss(NODES)
    return u, w / math.sqrt(2.0 * math.pi)


class _Column:
    """One column x of k parts: c + s exp(t z), a + s z, or any function of z ~ N(mu, variance), (k,) each."""

    def __init__(self, b: Bijection, mu: Floats, variance: Floats) -> None:
        self.map, self.mu, self.variance = b, mu, np.broadcast_to(variance, mu.shape)
        self.power = {Log: 1.0, LogBelow: -1.0}.get(type(b), 0.0)
        self.slope = 1.0 if isinstance(b, Identity) else b.scale if isinstance(b, Affine) else None
        if self.power:
            with np.errstate(over="ignore"):
                grown = np.exp(self.power * mu + 0.5 * self.variance)
            self.scale = self.power * grown  # s M: s is 1 above a bound, -1 below one, as t is
            self.mean = b.domain[0 if self.power > 0 else 1] + self.scale
        elif self.slope is not None:
            self.mean = b.inverse(mu)
        else:
            u, w = _hermite()
            self.mean = self.at(mu[:, None] + self.sd[:, None] * u) @ w

    @property
    def sd(self) -> Floats:
        return np.sqrt(self.variance)

    def at(self, z: Floats) -> Floats:
        """Return x at z, any shape."""
        return np.asarray(self.map.inverse(z.ravel())).reshape(z.shape)

    def covariance(self, other: _Column, shared: Floats) -> Floats:
        """Return the covariance with another column; ``shared`` is that of their z."""
        if self.power and other.power:
            return self.scale * other.scale * np.expm1(self.power * other.power * shared)
        if self.power:
            return self.scale * other._moved(self.power * shared)
        if other.power:
            return other.scale * self._moved(other.power * shared)
        if other.slope is not None:
            return other.slope * self._with_z(shared)
        if self.slope is not None:
            return self.slope * other._with_z(shared)
        u, w = _hermite()
        one = self.at(self.mu[:, None] + self.sd[:, None] * u) - self.mean[:, None]
        slope = shared / self.variance
        left = np.sqrt(np.maximum(other.variance - slope * shared, 0.0))
        middle = other.mu[:, None] + (slope * self.sd)[:, None] * u
        second = other.at(middle[:, :, None] + left[:, None, None] * u) - other.mean[:, None, None]
        return np.asarray((one * (second @ w)) @ w)

    def _moved(self, by: Floats) -> Floats:
        """Return E x, less the mean, where z has moved."""
        if self.slope is not None:
            return self.slope * by
        u, w = _hermite()
        return np.asarray(self.at((self.mu + by)[:, None] + self.sd[:, None] * u) @ w - self.mean)

    def _with_z(self, shared: Floats) -> Floats:
        """Return cov(x, z') of a z' that has the covariance ``shared`` with this column's z."""
        if self.slope is not None:
            return self.slope * shared
        u, w = _hermite()
        return np.asarray(shared / self.sd * (self.at(self.mu[:, None] + self.sd[:, None] * u) @ (w * u)))
