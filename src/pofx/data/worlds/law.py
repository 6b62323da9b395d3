"""What a known distribution must answer, and its entropy by quadrature where no formula gives it.

    H = −∫ p log p = −Σ_grid p log p · h_1 … h_d        (the trapezoidal rule on a grid that holds all mass)

For a smooth density that vanishes at the borders the rule converges faster than any power of h, so the
difference between the grid and its every-second-point half bounds the error generously.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

__all__ = ["Law", "axis_of", "integral_entropy", "log_sum"]

MOST_POINTS = 2_000_000  # a finer grid costs more than it tells; the entropy is then drawn
BLOCK = 16_384  # grid points at a time


class Law:
    """A distribution on R^d as plain mathematics: rows in, logs out.

    Subclasses give ``log_density`` and ``draw``, and of the rest what has a formula: ``mean()``,
    ``covariance()``, ``log_cdf(x)``, ``log_sf(x)``, ``quantile(q)`` (one column), ``marginal(keep)`` and
    ``condition(given, z)`` (the name and the options of another world).
    """

    d: int
    measure: ClassVar[str] = "density"
    decimals: int | None = None  # recorded decimal places of the draws; None = continuous

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Return log p of the rows x (m, d), in nats, shape (m,)."""
        raise NotImplementedError

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return n independent rows (n, d)."""
        raise NotImplementedError

    def box(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Return corners (d,), (d,) beyond which less than 1e-15 lies, and the finest scale (d,)."""
        return None

    def grid_density(self, axes: list[np.ndarray]) -> np.ndarray:
        """Return p at the points of a grid, shape (len(axes[0]), len(axes[1]), …)."""
        rows = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
        parts = [self.log_density(rows[i : i + BLOCK]) for i in range(0, len(rows), BLOCK)]
        return np.exp(np.concatenate(parts)).reshape([len(axis) for axis in axes])

    def entropy(self) -> tuple[float, float] | None:
        """Return the entropy in nats and a bound of its error; None where it has to be drawn."""
        box = self.box()
        return None if box is None else integral_entropy(self, *box)


def log_sum(terms: np.ndarray) -> np.ndarray:
    """Return log Σ_j exp(terms[:, j]), shape (m,); rows that are −inf throughout stay −inf."""
    top = terms.max(axis=1)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore", under="ignore"):
        return safe + np.log(np.exp(terms - safe[:, None]).sum(axis=1))


def axis_of(low: float, high: float, step: float) -> tuple[np.ndarray, float]:
    """Return an odd number of even points from ``low`` to ``high`` at most ``step`` apart, and their step."""
    half = max(2, int(np.ceil((high - low) / step / 2.0)))
    return np.linspace(low, high, 2 * half + 1), (high - low) / (2 * half)


def integral_entropy(
    law: Law, low: np.ndarray, high: np.ndarray, scale: np.ndarray
) -> tuple[float, float] | None:
    """Return −∫ p log p over the box and a bound of its error; None where that needs too fine a grid.

    A quarter of the finest scale per step: for a density smoothed by a Gaussian of that scale the grid's
    own error is of the order of 1e-15, and that of its half, which bounds it, of 1e-8.
    """
    if np.prod((high - low) / (scale / 4.0) + 3.0) > MOST_POINTS:
        return None
    sides = [axis_of(a, b, s / 4.0) for a, b, s in zip(low, high, scale, strict=True)]
    p = law.grid_density([points for points, _ in sides])
    terms = -p * np.log(np.where(p > 0, p, 1.0))
    cell = float(np.prod([step for _, step in sides]))
    half = terms[tuple(slice(None, None, 2) for _ in sides)]
    fine, coarse = float(terms.sum()) * cell, float(half.sum()) * cell * 2.0**law.d
    return fine, max(abs(fine - coarse), 4e-15 * abs(fine))
