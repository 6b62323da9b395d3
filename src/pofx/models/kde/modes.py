r"""Modes of a Gaussian kernel density estimate: where its gradient is zero and all climbs end.

In one column at a mode Σ w_i λ_i^-3 (u_i² - 1) φ(u_i) < 0, so it lies within one bandwidth of some row: a
grid of a tenth of a bandwidth over those places sees every rise that turns into a fall, but for two modes
within one such tenth, and the lows between them part the rows exactly.

In more columns rows climb (:mod:`pofx.models.kde.climb`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...core.modes import Modes
from ...core.params import Params
from .climb import by_climbing
from .gradient import Slopes

__all__ = ["find_modes"]

Floats = NDArray[np.float64]

RTOL = 1e-8
PER_BANDWIDTH = 10  # points of the grid on a line
MOST_GRID = 2**21
LEVEL = RTOL  # nats: the error of the sums


def find_modes(params: Params, *, n_starts: int, rng: np.random.Generator, memory: float) -> Modes:
    """Return the modes of a Gaussian estimate."""
    n, d = params.points.shape
    slopes = Slopes(params, rtol=RTOL, memory=memory, expected=200 * min(n, n_starts))
    if d == 1:
        at, shares, message = _on_a_line(slopes)
        n_starts = n
    else:
        at, shares, message, n_starts = by_climbing(slopes, n_starts, rng)
    log_p = slopes.at(at)[0]
    order = np.argsort(-log_p, kind="stable")
    at = params.units.back(slopes.edges.fold(at[order]))
    return Modes(at, log_p[order] + params.units.log_jacobian, shares[order], n_starts, message)


# ---------------------------------------------------------------- on a line


def _on_a_line(slopes: Slopes) -> tuple[Floats, Floats, str]:
    bumps, edges = slopes.bumps, slopes.edges
    low, high, periodic = float(edges.lower[0]), float(edges.upper[0]), bool(edges.periodic[0])
    grid, message = _grid(slopes, low, high, periodic)

    def step(x: Floats) -> Floats:
        return slopes.at(x[:, None])[1][:, 0]

    log_p, first = slopes.at(grid[:, None])
    if periodic and float(np.ptp(log_p)) < LEVEL:
        return grid[[int(np.argmax(log_p))], None], np.ones(1), "Level all around, to rounding."
    rising = first[:, 0] > 0.0
    if periodic:  # round and round
        grid, rising = np.append(grid, grid[0] + high - low), np.append(rising, rising[0])
    tops = np.flatnonzero(rising[:-1] & ~rising[1:])
    feet = np.flatnonzero(~rising[:-1] & rising[1:])
    h = _width(slopes)
    modes = _turns(step, grid[tops], grid[tops + 1], 1e-12 * h)
    lows = _turns(lambda x: -step(x), grid[feet], grid[feet + 1], 1e-6 * h)
    if not periodic and not rising[0]:  # the density falls from a bound on: the bound is a mode
        modes = np.append(low, modes)
    if not periodic and rising[-1]:
        modes = np.append(modes, high)
    y = bumps.points[:, 0]
    w = np.ones(bumps.n) if bumps.log_weights is None else np.exp(bumps.log_weights)
    part = np.searchsorted(lows, y)
    if periodic:
        modes, lows = low + np.mod(modes - low, high - low), np.sort(low + np.mod(lows - low, high - low))
        part = np.searchsorted(lows, y) % max(1, len(lows))
        modes = modes[np.argsort(np.searchsorted(lows, modes) % max(1, len(lows)), kind="stable")]
    shares = np.bincount(part, weights=w, minlength=len(modes))
    return modes[:, None], shares / shares.sum(), message


def _width(slopes: Slopes) -> float:
    h = slopes.bumps.bandwidth
    return math.sqrt(h[0, 0]) if h.ndim == 2 else float(h[0])


def _grid(slopes: Slopes, low: float, high: float, periodic: bool) -> tuple[Floats, str]:
    """Return ascending places within a bandwidth of a row, a tenth of a bandwidth apart."""
    bumps = slopes.bumps
    y, h = bumps.points[:, 0], np.full(bumps.n, _width(slopes))
    if bumps.factors is not None:
        h = h * bumps.factors
    if periodic:
        y, h = np.concatenate([y - (high - low), y, y + (high - low)]), np.tile(h, 3)
    order = np.argsort(y - h, kind="stable")
    a, b, h = (y - h)[order], (y + h)[order], h[order]
    reached = np.maximum.accumulate(b)
    first = np.flatnonzero(np.append(True, a[1:] > reached[:-1]))  # stretches that do not touch
    last = np.append(first[1:], len(a)) - 1
    narrowest = np.minimum.reduceat(h, first)
    a, b = np.maximum(a[first], low), np.minimum(reached[last], high)
    a, b, narrowest = (v[b > a] for v in (a, b, narrowest))
    with np.errstate(over="ignore"):
        counts = np.ceil((b - a) / narrowest * PER_BANDWIDTH) + 2
    message = "Every place within a bandwidth of a row was looked at, a tenth of a bandwidth apart."
    if counts.sum() > MOST_GRID:
        counts = np.maximum(3, np.floor(counts * (MOST_GRID / counts.sum())))
        message = "Modes narrower than the grid may be missed: the bandwidth is tiny beside the rows' range."
    counts = counts.astype(np.intp)
    # cell centres: never a bound itself, where the slope is zero
    which = np.repeat(np.arange(len(a)), counts)
    k = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return a[which] + (b - a)[which] * ((k + 0.5) / counts[which]), message


def _turns(slope: Callable[[Floats], Floats], a: Floats, b: Floats, tolerance: float) -> Floats:
    """Return where ``slope`` falls through zero between each a (above) and b (not above)."""
    if len(a) == 0:
        return a
    a, b, fa, fb = a.copy(), b.copy(), slope(a), slope(b)
    active = np.arange(len(a))
    for k in range(200):
        low, high = a[active], b[active]
        with np.errstate(divide="ignore", invalid="ignore"):
            new = low + (high - low) * fa[active] / (fa[active] - fb[active])
        margin = 1e-3 * (high - low)
        bad = ~((new > low) & (new < high)) | (k % 3 == 2)
        new = np.where(bad, low / 2.0 + high / 2.0, np.clip(new, low + margin, high - margin))
        value = slope(new)
        up = value > 0.0
        a[active], fa[active] = np.where(up, new, low), np.where(up, value, fa[active])
        b[active], fb[active] = np.where(up, high, new), np.where(up, fb[active], value)
        resolution = np.maximum(tolerance, 4e-16 * np.abs(new))
        active = active[b[active] - a[active] > resolution]
        if len(active) == 0:
            break
    return a / 2.0 + b / 2.0
