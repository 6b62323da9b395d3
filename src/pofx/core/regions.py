"""Highest-density regions: the smallest set that holds a given mass (Hyndman 1996, Am. Stat. 50:120)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UnsupportedError
from ..validation import real_number, rng_from

if TYPE_CHECKING:
    from .density import Density

__all__ = ["Region", "highest_density_region"]


@dataclass(frozen=True)
class Region:
    """The region ``{x : log p(x) >= level}``.

    Parameters
    ----------
    mass : float
        The probability asked for.
    level : float
        The log density (nats, data units) at its border.
    standard_error : float
        Of ``level``; 0 where it was integrated, not drawn.
    intervals : tuple of (low, high), optional
        In one dimension, the region itself, in data units.
    """

    mass: float
    level: float
    standard_error: float
    intervals: tuple[tuple[float, float], ...] | None = None


def highest_density_region(model: Density, mass: float, *, n: int, random_state: object) -> Region:
    """Return the region of ``model`` that holds ``mass``; see :class:`Region`.

    By the probability integral of the level itself: log p(X) of draws X has its ``1 - mass`` quantile at
    the level. In one dimension with a distribution function, the border is integrated instead.
    """
    mass = real_number(mass, "mass", above=0.0, below=1.0)
    if len(model.params_.units) == 1 and model.measure == "density":
        try:
            return _integrated(model, mass)
        except UnsupportedError:
            pass  # no distribution function: draw, as in higher dimensions
    rows = model._sample_rows(model.params_, n, rng_from(random_state))
    log_p = np.sort(model._log_density_rows(model.params_, rows))
    level = float(np.quantile(log_p, 1.0 - mass))
    # Order statistics: the ranks one binomial standard error away bracket the level.
    spread = math.sqrt(n * mass * (1.0 - mass))
    low, high = (log_p[min(max(round(n * (1.0 - mass) + sign * spread), 0), n - 1)] for sign in (-1, 1))
    return Region(mass, level, float(high - low) / 2.0)


def _integrated(model: Density, mass: float) -> Region:
    """Find the level whose region has exactly this mass by the distribution function."""
    from scipy.optimize import brentq

    params = model.params_
    edge = 1e-9 * min(mass, 1.0 - mass)
    levels = np.concatenate([[edge], np.linspace(1e-4, 1 - 1e-4, 1001), [1 - edge]])
    with np.errstate(invalid="ignore"):
        at_quantiles = model._quantile(params, levels)
        # Quantiles are blind to gaps between bumps; an even grid over the bulk sees them.
        grid = np.unique(np.concatenate([at_quantiles, np.linspace(at_quantiles[1], at_quantiles[-2], 2001)]))

    def log_p(z: np.ndarray) -> np.ndarray:
        return model._log_density(params, z[:, None])

    def probability(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        lower = np.exp(model._log_cdf(params, b)) - np.exp(model._log_cdf(params, a))
        upper = np.exp(model._log_sf(params, a)) - np.exp(model._log_sf(params, b))
        return np.maximum(lower, upper)

    on_grid = log_p(grid)

    def region(level: float) -> tuple[np.ndarray, np.ndarray]:
        inside = on_grid >= level
        padded = np.concatenate([[False], inside, [False]])
        start = np.flatnonzero(padded[1:-1] & ~padded[:-2])
        stop = np.flatnonzero(padded[1:-1] & ~padded[2:])
        return (
            _crossing(log_p, grid, start - 1, start, level),
            _crossing(log_p, grid, stop + 1, stop, level),
        )

    def excess(level: float) -> float:
        return float(probability(*region(level)).sum()) - mass

    low, high = float(on_grid[np.isfinite(on_grid)].min()), float(on_grid.max())
    # A first guess from the grid's cells, densest first, then a bracket about it.
    cells = (on_grid[1:] + on_grid[:-1]) / 2.0
    order = np.argsort(-cells, kind="stable")
    held = np.cumsum(probability(grid[:-1], grid[1:])[order])
    guess = float(cells[order[min(int(np.searchsorted(held, mass)), len(cells) - 1)]])
    step = 0.01
    below, above = max(low, guess - step), min(high, guess + step)
    while below > low and excess(below) < 0:
        below, step = max(low, below - step), 2 * step
    while above < high and excess(above) > 0:
        above, step = min(high, above + step), 2 * step
    tolerance = 1e-10
    if excess(below) <= 0 or excess(above) >= 0:  # the level is the end of the range itself
        level = below if excess(below) <= 0 else above - tolerance
    else:
        # Where the density has steps the mass jumps at the level: take the side that holds it.
        level = brentq(excess, below, above, xtol=tolerance) - 2 * tolerance
    a, b = region(level)
    shown = [params.units.back(v[:, None])[:, 0].tolist() for v in (a, b)]
    return Region(mass, level + params.units.log_jacobian, 0.0, tuple(zip(*shown, strict=True)))


def _crossing(
    log_p: Callable[[np.ndarray], np.ndarray],
    grid: np.ndarray,
    outside: np.ndarray,
    inside: np.ndarray,
    level: float,
) -> np.ndarray:
    """Return where log p crosses the level between grid points ``outside`` and ``inside``, by bisection."""
    b = grid[inside]
    a = np.where((outside >= 0) & (outside < len(grid)), grid[np.clip(outside, 0, len(grid) - 1)], b)
    for _ in range(45):
        middle = (a + b) / 2.0
        within = log_p(middle) >= level
        b, a = np.where(within, middle, b), np.where(within, a, middle)
    return b
