"""A pinwheel: arms along the radius, turned by an angle that grows with it.

    r ~ N(1, a²), τ ~ N(0, b²), k uniform on K arms;  y = r e^{−iA} + iτ e^{−iA},  A = rate·e^r + 2πk/K

In polar coordinates y = ρ e^{iθ}, r = ρ cos β and τ = ρ sin β, a row comes from every β with

    G(β) = β − rate·e^{ρ cos β} = θ   (mod 2π/K),        p(y) = (1/K) Σ_β N(r; 1, a²) N(τ; 0, b²) / |G'(β)|

because the map turns each point of the circle |y| = ρ along itself and its determinant is
G'(β) = 1 + rate·e^r τ. G increases all the way round small circles. On larger ones it decreases on one arc:
the sheet folds there, at |τ| > e^{−r}/rate, which holds about one draw in 1e9, and the density has the
integrable edge of a fold.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...errors import ParameterError
from ...validation import real_number, whole_number
from .law import Law

__all__ = ["Pinwheel"]

LOG_2PI = math.log(2.0 * math.pi)
MOST_TURNS = 40.0  # radians; where the arms turn faster than this, their average over the angle serves


class Pinwheel(Law):
    """K arms of radial spread a and tangential spread b, wound by ``rate``, scaled by ``scale``."""

    d = 2

    def __init__(self, arms: int, radial: float, tangential: float, rate: float, scale: float) -> None:
        self.arms = whole_number(arms, "arms", least=3, most=1000)
        self.radial = real_number(radial, "radial", above=0.0)
        self.tangential = real_number(tangential, "tangential", above=0.0, most=self.radial)
        self.rate = real_number(rate, "rate", above=0.0)
        self.scale = real_number(scale, "scale", above=0.0)
        self.edge = math.log(MOST_TURNS / self.rate)
        if self.edge < 1.0 + 8.0 * self.radial:
            raise ParameterError(
                f"A pinwheel of rate {self.rate:g} and radial {self.radial:g} winds so tightly that float64 "
                f"cannot tell its arms apart. Take rate <= {MOST_TURNS * math.exp(-1 - 8 * self.radial):.3g}."
            )

    def log_density(self, x: np.ndarray) -> np.ndarray:
        y = x / self.scale
        rho, theta = np.hypot(y[:, 0], y[:, 1]), np.arctan2(y[:, 1], y[:, 0])
        out = np.empty(len(x))
        far = rho > self.edge
        out[far] = self._averaged(rho[far])
        out[~far] = self._folded(rho[~far], theta[~far])
        return out - 2.0 * math.log(self.scale)

    def _log_features(self, r: np.ndarray, tau: np.ndarray) -> np.ndarray:
        squares = ((r - 1.0) / self.radial) ** 2 + (tau / self.tangential) ** 2
        return -0.5 * squares - LOG_2PI - math.log(self.radial * self.tangential)

    def _folded(self, rho: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Return log p(y): the sum over all β that lead to it, found piece by monotone piece of G."""
        # G falls between −γ₂ and −γ₁, where κ(γ) = rate·ρ e^{ρ cos γ} sin γ exceeds 1 (κ has one summit).
        log_rate = math.log(self.rate)

        def log_kappa(g: np.ndarray) -> np.ndarray:
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.nan_to_num(log_rate + np.log(rho * np.sin(g)) + rho * np.cos(g), nan=-np.inf)

        summit = np.arccos(2.0 * rho / (1.0 + np.sqrt(1.0 + 4.0 * rho**2)))
        folds = log_kappa(summit) > 0
        g1 = np.where(folds, _bisect(log_kappa, np.zeros_like(rho), summit), summit)
        g2 = np.where(folds, _bisect(log_kappa, np.full_like(rho, math.pi), summit), summit)
        terms, rows = [], []
        for start, stop in ((-g1, 2.0 * math.pi - g2), (-g2, -g1)):
            row, beta = self._roots(rho, theta, start, stop)
            r, tau = rho[row] * np.cos(beta), rho[row] * np.sin(beta)
            slope = np.abs(1.0 + self.rate * np.exp(r) * tau)
            terms.append(self._log_features(r, tau) - np.log(np.maximum(slope, 1e-12)))
            rows.append(row)
        term, row = np.concatenate(terms), np.concatenate(rows)
        top = np.full(len(rho), -np.inf)
        np.maximum.at(top, row, term)
        total = np.bincount(row, weights=np.exp(term - top[row]), minlength=len(rho))
        return top + np.log(total) - math.log(self.arms)

    def _turned(self, rho: np.ndarray, beta: np.ndarray) -> np.ndarray:
        return beta - self.rate * np.exp(rho * np.cos(beta))

    def _roots(
        self, rho: np.ndarray, theta: np.ndarray, start: np.ndarray, stop: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (row, β): all solutions of G(β) = θ (mod 2π/K) on [start, stop), where G is monotone."""
        spacing = 2.0 * math.pi / self.arms
        first, last = ((self._turned(rho, end) - theta) / spacing for end in (start, stop))
        rising = last >= first
        low = np.ceil(np.minimum(first, last))
        count = np.maximum(np.ceil(np.maximum(first, last)) - low, 0.0).astype(np.int64)
        row = np.repeat(np.arange(len(rho)), count)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        target = theta[row] + spacing * (low[row] + nth)
        sign = np.where(rising[row], 1.0, -1.0)
        radius = rho[row]
        return row, _bisect(lambda b: sign * (self._turned(radius, b) - target), start[row], stop[row])

    def _averaged(self, rho: np.ndarray) -> np.ndarray:
        """Return log of the mean of p over the angle, by Laplace's method at β = 0 (8 deviations out)."""
        a2, b2 = self.radial**2, self.tangential**2
        with np.errstate(over="ignore", divide="ignore"):
            curvature = rho**2 * (1.0 / b2 - 1.0 / a2) + rho / a2
            return self._log_features(rho, np.zeros_like(rho)) - 0.5 * np.log(2.0 * math.pi * curvature)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        r = 1.0 + self.radial * rng.standard_normal(n)
        tau = self.tangential * rng.standard_normal(n)
        arm = rng.integers(self.arms, size=n)
        return self._place(r, tau, arm)

    def _place(self, r: np.ndarray, tau: np.ndarray, arm: np.ndarray) -> np.ndarray:
        angle = self.rate * np.exp(r) + 2.0 * math.pi * arm / self.arms
        cos, sin = np.cos(angle), np.sin(angle)
        return self.scale * np.stack([r * cos + tau * sin, tau * cos - r * sin], axis=1)

    def mean(self) -> np.ndarray:
        """Return the hub."""
        return np.zeros(2)

    def covariance(self) -> np.ndarray:
        """Return scale² (1 + a² + b²)/2 I: three or more arms have no direction."""
        return self.scale**2 * (1.0 + self.radial**2 + self.tangential**2) / 2.0 * np.eye(2)

    def entropy(self) -> tuple[float, float] | None:
        """Return E[−log p] over the plane of (r, τ), by the trapezoidal rule out to 8.5 deviations."""
        z = np.linspace(-8.5, 8.5, 137)
        weight = np.exp(-0.5 * z**2)
        weight = np.outer(weight, weight)
        r, tau = np.meshgrid(1.0 + self.radial * z, self.tangential * z, indexing="ij")
        log_p = self.log_density(self._place(r.ravel(), tau.ravel(), np.zeros(r.size))).reshape(r.shape)
        fine, half = (
            -float((weight[::k, ::k] * log_p[::k, ::k]).sum() / weight[::k, ::k].sum()) for k in (1, 2)
        )
        return fine, abs(fine - half) + 1e-12


def _bisect(function: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return where ``function`` turns positive on the way from ``low`` to ``high``, row by row."""
    for _ in range(60):
        middle = low + 0.5 * (high - low)
        above = function(middle) > 0
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    return low + 0.5 * (high - low)
