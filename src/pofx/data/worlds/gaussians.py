"""Finite mixtures of Gaussians, and one that is recorded in steps.

p(x) = Σ_k w_k N(x; μ_k, Σ_k)
P(X = i·step) = Σ_k w_k [ Φ((i + ½)step) − Φ((i − ½)step) ]_k        (rounded to the nearest step)
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_ndtr

from ...errors import ParameterError
from ...maths.gaussian import LOG_2PI, Full
from ...validation import real_number
from .law import Law, log_sum

__all__ = ["Mixture", "Rounded", "ar1"]

REACH = 9.0  # standard deviations; beyond lies less than 1e-18 of a Gaussian


def ar1(d: int, rho: float, sd: float = 1.0) -> np.ndarray:
    """Return the covariance sd² ρ^|i−j| of a stationary autoregression, shape (d, d)."""
    lag = np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    return sd**2 * float(rho) ** lag


class Mixture(Law):
    """K Gaussians: weights (K,), means (K, d), covariances (K, d, d).

    Raises
    ------
    ParameterError
        Where the shapes disagree, a weight is negative or a covariance is not positive definite.
    """

    def __init__(self, weights: Any, means: Any, covariances: Any) -> None:
        try:
            w, m, c = (np.array(v, dtype=float) for v in (weights, means, covariances))
        except (TypeError, ValueError) as error:
            raise ParameterError(f"weights, means and covariances must be arrays: {error}") from None
        if w.ndim != 1 or m.ndim != 2 or len(m) != len(w) or c.shape != (*m.shape, m.shape[1]) or not m.size:
            raise ParameterError(
                "Expected weights (K,), means (K, d) and covariances (K, d, d); "
                f"got {w.shape}, {m.shape} and {c.shape}."
            )
        if not (np.isfinite(w).all() and np.isfinite(m).all() and np.isfinite(c).all()):
            raise ParameterError("weights, means and covariances must be finite numbers.")
        if not ((w > 0).all() and w.sum() > 0):
            raise ParameterError(f"weights must be positive numbers; got {w}.")
        self.weights, self.means, self.d = w / w.sum(), m, m.shape[1]
        self.parts = [Full(_cholesky(cov, k)) for k, cov in enumerate(c)]

    def _log_terms(self, x: np.ndarray) -> np.ndarray:
        terms = np.empty((len(x), len(self.weights)))
        for k, (mean, part) in enumerate(zip(self.means, self.parts, strict=True)):
            terms[:, k] = -0.5 * (self.d * LOG_2PI + part.log_det + part.mahalanobis(x - mean))
        return terms + np.log(self.weights)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        terms = self._log_terms(x)
        return terms[:, 0] if terms.shape[1] == 1 else log_sum(terms)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        if len(self.weights) == 1:
            return self.means[0] + self.parts[0].draw(n, rng)
        which = rng.choice(len(self.weights), size=n, p=self.weights)
        noise = rng.standard_normal((n, self.d))
        factors = np.stack([part.cholesky for part in self.parts])
        return self.means[which] + np.einsum("nij,nj->ni", factors[which], noise)

    def mean(self) -> np.ndarray:
        """Return Σ w_k μ_k."""
        return self.weights @ self.means

    def covariance(self) -> np.ndarray:
        """Return Σ w_k [Σ_k + (μ_k − μ)(μ_k − μ)ᵀ]."""
        gaps = self.means - self.mean()
        within = sum(w * part.matrix() for w, part in zip(self.weights, self.parts, strict=True))
        return within + (gaps * self.weights[:, None]).T @ gaps

    def _sds(self) -> np.ndarray:
        return np.stack([np.sqrt(np.diag(part.matrix())) for part in self.parts])

    def box(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        if self.d > 2:
            return None
        sds = self._sds()
        narrowest = min(float(np.linalg.svd(part.cholesky, compute_uv=False)[-1]) for part in self.parts)
        low, high = (self.means - REACH * sds).min(axis=0), (self.means + REACH * sds).max(axis=0)
        return low, high, np.full(self.d, narrowest)

    def entropy(self) -> tuple[float, float] | None:
        if len(self.weights) == 1:  # ½ log |2πe Σ|
            return 0.5 * (self.d * (LOG_2PI + 1.0) + self.parts[0].log_det), 0.0
        return super().entropy()

    def log_cdf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X <= x), shape (m,); one column."""
        return log_sum(np.log(self.weights) + log_ndtr(self._standardised(x)))

    def log_sf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X > x), shape (m,); one column."""
        return log_sum(np.log(self.weights) + log_ndtr(-self._standardised(x)))

    def _standardised(self, x: np.ndarray) -> np.ndarray:
        return (x[:, None] - self.means[:, 0]) / self._sds()[:, 0]

    def marginal(self, keep: list[int]) -> tuple[str, dict[str, Any]]:
        """Return the world of some columns: each Gaussian's own."""
        return _as_world(self.weights, self.means[:, keep], [part.marginal(keep) for part in self.parts])

    def condition(self, given: list[int], z: np.ndarray) -> tuple[str, dict[str, Any]]:
        """Return the world of the other columns, given x[given] = z: weights by how well each explains z."""
        rest = [j for j in range(self.d) if j not in given]
        terms = Mixture(**self.marginal(given)[1])._log_terms(z[None, :])
        weights = np.exp(terms - log_sum(terms)[:, None])[0]
        pairs = [
            part.condition(given, rest, z - mean[given])
            for mean, part in zip(self.means, self.parts, strict=True)
        ]
        means = self.means[:, rest] + np.stack([shift for shift, _ in pairs])
        alive = weights > 0
        return _as_world(
            weights[alive], means[alive], [part for (_, part), keep in zip(pairs, alive, strict=True) if keep]
        )


def _as_world(weights: np.ndarray, means: np.ndarray, parts: list[Full]) -> tuple[str, dict[str, Any]]:
    covariances = [part.matrix().tolist() for part in parts]
    return "mixture", {"weights": weights.tolist(), "means": means.tolist(), "covariances": covariances}


def _cholesky(covariance: np.ndarray, k: int) -> np.ndarray:
    if not np.allclose(covariance, covariance.T, rtol=1e-12, atol=0):
        raise ParameterError(f"covariances[{k}] is not symmetric.")
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise ParameterError(f"covariances[{k}] is not positive definite.") from None


class Rounded(Law):
    """A mixture of 1-D Gaussians, every draw rounded to the nearest multiple of ``step``.

    Its ``measure`` is mass: ``log_density`` is the log probability of a recordable value, −inf between
    them, and its entropy that of a discrete variable.
    """

    measure: ClassVar[str] = "mass"
    d = 1

    def __init__(self, weights: Any, means: Any, sds: Any, step: float) -> None:
        self.step = real_number(step, "step", above=0.0)
        self.decimals = _decimals_of(self.step)
        w, m, s = (np.atleast_1d(np.array(v, dtype=float)) for v in (weights, means, sds))
        if not (w.shape == m.shape == s.shape and w.ndim == 1 and (s > 0).all()):
            raise ParameterError(
                f"weights, means and sds must be equally many numbers, sds positive; got {w}, {m} and {s}."
            )
        self.base = Mixture(w, m[:, None], s[:, None, None] ** 2)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        i = np.round(x[:, 0] / self.step)
        on = np.abs(x[:, 0] / self.step - i) <= 1e-6  # multiples of 0.1 are not exact in binary
        return np.where(on, self._log_mass(i), -np.inf)

    def _log_mass(self, i: np.ndarray) -> np.ndarray:
        a, b = (self.base._standardised((i + side) * self.step) for side in (-0.5, 0.5))
        flip = a + b > 0  # in the upper tail, take the difference of the small upper probabilities
        upper = log_ndtr(np.where(flip, -a, b))
        lower = log_ndtr(np.where(flip, -b, a))
        with np.errstate(divide="ignore", invalid="ignore"):
            mass = upper + np.log1p(-np.exp(lower - upper))
        return log_sum(np.log(self.base.weights) + np.where(np.isnan(mass), -np.inf, mass))

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return np.round(self.base.draw(n, rng) / self.step) * self.step

    def _lattice(self) -> tuple[np.ndarray, np.ndarray]:
        sds = self.base._sds()
        low, high = (self.base.means - REACH * sds).min(), (self.base.means + REACH * sds).max()
        i = np.arange(math.floor(low / self.step), math.ceil(high / self.step) + 1.0)
        return i * self.step, np.exp(self._log_mass(i))

    def mean(self) -> np.ndarray:
        """Return Σ P(x) x over the lattice."""
        x, p = self._lattice()
        return np.array([p @ x])

    def covariance(self) -> np.ndarray:
        """Return Σ P(x) (x − mean)² over the lattice."""
        x, p = self._lattice()
        return np.array([[p @ (x - p @ x) ** 2]])

    def entropy(self) -> tuple[float, float] | None:
        _, p = self._lattice()
        p = p[p > 0]
        return -float(p @ np.log(p)), 0.0

    def log_cdf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X <= x): the underlying mixture's up to the middle of the next gap."""
        return self.base.log_cdf((np.floor(x / self.step + 1e-6) + 0.5) * self.step)

    def log_sf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X > x)."""
        return self.base.log_sf((np.floor(x / self.step + 1e-6) + 0.5) * self.step)

    def quantile(self, q: np.ndarray) -> np.ndarray:
        """Return the smallest recordable value x with P(X <= x) >= q."""
        x, p = self._lattice()
        inside = x[np.clip(np.searchsorted(np.cumsum(p), q * (1.0 - 1e-15)), 0, len(x) - 1)]
        return np.where(q == 0, -np.inf, np.where(q == 1, np.inf, inside))


def _decimals_of(step: float) -> int:
    for decimals in range(10):
        units = step * 10**decimals
        if round(units) >= 1 and abs(units - round(units)) <= 1e-6:
            return decimals
    raise ParameterError(f"step must have at most 9 decimals, as 0.1, 0.25 or 5 have; got {step!r}.")
