"""Curves in the plane plus noise: circles in closed form, any other curve by quadrature along it.

    circle of radius R      p(x) = exp(−(|x| − R)²/2σ²) e^{−z} I₀(z) / 2πσ²,   z = R|x|/σ²
    curve c(t), t ~ q       p(x) = ∫ q(t) K(x₁ − c₁(t)) K(x₂ − c₂(t)) dt
    noise                   K = N(0, σ²), or with jitter (uniform of half width h) its convolution with it,
                            K(u) = [Φ((u + h)/σ) − Φ((u − h)/σ)] / 2h

The integral becomes a sum over Gauss–Legendre nodes on panels of a few σ of arc: exact to rounding where
the data lie, and a log-sum-exp keeps it finite far away. Rows are sorted into cells, and per cell the nodes
that cannot matter at float64 are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import erfc, erfcx, i0e

from ...errors import ParameterError
from .law import Law, log_sum

__all__ = ["Curve", "NoisyCurves", "Rings"]

REACH = 9.0  # standard deviations of noise that hold all mass
NODES, PANEL = 32, 12.0  # Gauss–Legendre nodes per panel, and its length in σ
NEGLIGIBLE = 50.0  # nats below the largest term: float64 holds 37, and the nodes' weights differ by a few
ROWS = 1024
MOST_PANELS = 2000


class Rings(Law):
    """Concentric circles of equal probability, each point displaced by N(0, σ² I)."""

    d = 2

    def __init__(self, radii: Sequence[float], noise: float) -> None:
        self.radii, self.noise = np.array(radii, dtype=float), noise

    def log_density(self, x: np.ndarray) -> np.ndarray:
        s = np.hypot(x[:, 0], x[:, 1])[:, None]
        with np.errstate(over="ignore", divide="ignore"):
            bessel = np.log(i0e(s / self.noise * (self.radii / self.noise)))
            terms = -0.5 * ((s - self.radii) / self.noise) ** 2 + bessel
        return log_sum(terms) - math.log(2.0 * math.pi * self.noise**2 * len(self.radii))

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        radius = rng.choice(self.radii, size=n)
        angle = rng.uniform(0.0, 2.0 * math.pi, size=n)
        on = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return on + self.noise * rng.standard_normal((n, 2))

    def mean(self) -> np.ndarray:
        """Return the centre."""
        return np.zeros(2)

    def covariance(self) -> np.ndarray:
        """Return (E R²/2 + σ²) I."""
        return (float((self.radii**2).mean()) / 2.0 + self.noise**2) * np.eye(2)

    def box(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        reach = float(self.radii.max()) + REACH * self.noise
        return np.full(2, -reach), np.full(2, reach), np.full(2, self.noise)


@dataclass(frozen=True)
class Curve:
    """A curve ``point(t)`` (m,) → (m, 2) with t in [0, end], distribution P(t <= s) = (s/end)**power."""

    point: Callable[[np.ndarray], np.ndarray]
    end: float
    power: float = 1.0

    def _arc(self) -> tuple[np.ndarray, np.ndarray]:
        t = np.linspace(0.0, self.end, 4097)
        return t, np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(self.point(t), axis=0).T))])

    def length(self) -> float:
        """Return the length of the curve."""
        return float(self._arc()[1][-1])

    def panels(self, length: float) -> np.ndarray:
        """Return values of t that cut the curve into arcs of about this length."""
        t, arc = self._arc()
        return np.interp(np.linspace(0.0, arc[-1], max(2, math.ceil(arc[-1] / length) + 1)), arc, t)

    def nodes(self, length: float) -> tuple[np.ndarray, np.ndarray]:
        """Return quadrature points (J, 2) on the curve and their probabilities (J,)."""
        u, w = np.polynomial.legendre.leggauss(NODES)
        edges = self.panels(length)
        half = np.diff(edges)[:, None] / 2.0
        t = (edges[:-1, None] + half * (1.0 + u)).ravel()
        weight = (half * w).ravel() * self.power * t ** (self.power - 1.0) / self.end**self.power
        return self.point(t), weight / weight.sum()

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return n points of the curve, (n, 2)."""
        return self.point(self.end * rng.random(n) ** (1.0 / self.power))


class NoisyCurves(Law):
    """Curves of equal probability, each point displaced by N(0, σ² I) and by a jitter, uniform in ±h per
    column."""

    d = 2

    def __init__(self, curves: Sequence[Curve], noise: float, half_jitter: float = 0.0) -> None:
        self.curves, self.noise, self.half = list(curves), noise, half_jitter
        longest = max(curve.length() for curve in self.curves)
        if longest > MOST_PANELS * PANEL * noise:
            raise ParameterError(
                f"noise {noise:.3g} is too small to integrate along a curve of length {longest:.3g}; "
                f"take at least {longest / (MOST_PANELS * PANEL):.3g}, both after scaling."
            )
        found = [curve.nodes(PANEL * noise) for curve in self.curves]
        self.nodes = np.concatenate([points for points, _ in found])
        self.weights = np.concatenate([weight for _, weight in found]) / len(found)
        self._log_weights = np.log(self.weights)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        out = np.empty(len(x))
        for rows in _cells(x, 2.0 * self.noise + self.half):
            out[rows] = self._near(x[rows])
        return out

    def _near(self, x: np.ndarray) -> np.ndarray:
        """Return log p of rows that lie close together, from the nodes that matter to any of them."""
        centre = (x.min(axis=0) + x.max(axis=0)) / 2.0
        with np.errstate(over="ignore", invalid="ignore"):
            radius = float(np.hypot(*(x - centre).T).max()) + math.sqrt(2.0) * self.half
            distance = np.hypot(*(self.nodes - centre).T)
            nearest = distance.min() + radius  # no row's nearest node is farther, jitter included
            cut = radius + np.sqrt(nearest**2 + 2.0 * NEGLIGIBLE * self.noise**2)
            keep = ~(distance > cut)
            gaps = [x[:, j, None] - self.nodes[keep, j] for j in range(2)]
            if self.half and nearest < 15.0 * self.noise:  # p itself is far from underflow: no logs
                with np.errstate(under="ignore"):
                    return np.log((self._jittered(gaps[0]) * self._jittered(gaps[1])) @ self.weights[keep])
            log_noise = self._log_jittered if self.half else self._log_gaussian
            return log_sum(self._log_weights[keep] + log_noise(gaps[0]) + log_noise(gaps[1]))

    def _log_gaussian(self, u: np.ndarray) -> np.ndarray:
        return -0.5 * (u / self.noise) ** 2 - math.log(self.noise * math.sqrt(2.0 * math.pi))

    def _jittered(self, u: np.ndarray) -> np.ndarray:
        """Return K(u); as a difference of upper tails it keeps its relative precision."""
        u, root = np.abs(u), self.noise * math.sqrt(2.0)
        return (erfc((u - self.half) / root) - erfc((u + self.half) / root)) / (4.0 * self.half)

    def _log_jittered(self, u: np.ndarray) -> np.ndarray:
        """Return log K(u) where K may underflow: the factor e^{−α²} of erfc(α) is kept in logs."""
        root = self.noise * math.sqrt(2.0)
        alpha, beta = (np.abs(u) - self.half) / root, (np.abs(u) + self.half) / root
        positive = np.maximum(alpha, 0.0)
        first = np.where(alpha > 0, erfcx(positive), erfc(np.minimum(alpha, 0.0)))
        with np.errstate(under="ignore"):
            # α² − β² = −2h|u|/σ²: the difference of squares would lose it far out, or overflow
            ratio = np.where(alpha > 0, -2.0 * self.half * np.abs(u) / self.noise**2, -(beta**2))
            second = erfcx(beta) * np.exp(ratio)
        return np.log(first - second) - positive**2 - math.log(4.0 * self.half)

    def grid_density(self, axes: list[np.ndarray]) -> np.ndarray:
        # The noise of the two columns is independent given the node: one matrix product is the whole grid.
        noise = self._jittered if self.half else lambda u: np.exp(self._log_gaussian(u))
        with np.errstate(under="ignore"):
            first, second = (noise(axis[:, None] - self.nodes[:, j]) for j, axis in enumerate(axes))
            return (first * self.weights) @ second.T

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        which = rng.integers(len(self.curves), size=n)
        on = np.empty((n, 2))
        for k, curve in enumerate(self.curves):
            rows = which == k
            on[rows] = curve.draw(int(rows.sum()), rng)
        noise = self.noise * rng.standard_normal((n, 2))
        return on + noise + (rng.uniform(-self.half, self.half, size=(n, 2)) if self.half else 0.0)

    def mean(self) -> np.ndarray:
        """Return the curves' centre of mass."""
        return self.weights @ self.nodes

    def covariance(self) -> np.ndarray:
        """Return the curves' own covariance plus the noise's."""
        gaps = self.nodes - self.mean()
        return (gaps * self.weights[:, None]).T @ gaps + (self.noise**2 + self.half**2 / 3.0) * np.eye(2)

    def box(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        reach = REACH * self.noise + self.half
        return self.nodes.min(axis=0) - reach, self.nodes.max(axis=0) + reach, np.full(2, self.noise)


def _cells(x: np.ndarray, size: float) -> list[np.ndarray]:
    """Return the row numbers of x, cell by cell of a square grid, at most ROWS at a time."""
    if len(x) == 0:
        return []
    cell = np.clip(np.floor(x / size), -1e9, 1e9).astype(np.int64)
    order = np.lexsort(cell.T)
    new = np.flatnonzero((np.diff(cell[order], axis=0) != 0).any(axis=1)) + 1
    cuts = np.concatenate([[0], new, [len(x)]])
    return [order[i : min(i + ROWS, b)] for a, b in pairwise(cuts) for i in range(a, b, ROWS)]
