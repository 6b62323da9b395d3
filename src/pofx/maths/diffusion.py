r"""The improved Sheather-Jones bandwidth of one column, by diffusion.

Smoothing with a Gaussian of variance t solves the heat equation, which the cosine transform solves mode by
mode. With c_k the mean of cos(kπX) on the unit interval, the roughness of the s-th derivative at time t is

    ‖f^(s)‖² = 2 Σ_k (kπ)^(2s) c_k² exp(-k²π²t)

and the best time to estimate it follows from the next rougher one,

    t_s = [ (1 + 2^(-s-1/2))/3 · (2s-1)!! / (n √(π/2) ‖f^(s+1)‖²) ]^(2/(3+2s)).

Started at ‖f^(7)‖² and t, five such steps lead down to ‖f''‖², whose best bandwidth must be √t again:

    t = [ 2 n √π ‖f''‖² ]^(-2/5),        h = √t

No step supposes a normal shape, unlike the pilots of older plug-in rules, so several bumps are no trouble.

Reference: Z. I. Botev, J. F. Grotowski and D. P. Kroese, Kernel density estimation via diffusion, *Annals
of Statistics* 38 (2010) 2916-2957, section 4 and appendix E. n is the sum of the weights here, so that a
weight of 2 is a repeated row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["ISJResult", "improved_sheather_jones"]

Floats = NDArray[np.float64]

GRIDS = (12, 14, 16, 18)  # log2 of the number of cells, finer until the bandwidth is wide in cells
CELLS_PER_BANDWIDTH = 32.0  # below this the variance of the binning itself, δ²/6, would show
WIDEST = 0.25  # half the range of the rows
ROUGHEST = 7  # five steps, as in the paper; more change nothing visible


@dataclass(frozen=True)
class ISJResult:
    """A bandwidth, or the reason for none."""

    h: float | None
    floored: bool = False
    reason: str = ""


def improved_sheather_jones(x: Floats, w: Floats, *, floor: float = 0.0) -> ISJResult:
    """Return the bandwidth of one column, in its units.

    Parameters
    ----------
    x : (n,) float64, not constant
    w : (n,) float64, positive
    floor : float
        Fixed points below are passed over: on rounded data they only resolve the rounding.
    """
    low, high = float(x.min()), float(x.max())
    # Half a range of room on either side: the cosine series reflects at the ends, where nothing is now.
    start, width = low - (high - low) / 2.0, 2.0 * (high - low)
    n = float(w.sum())
    for bits in GRIDS:
        cells = 2**bits
        power = _cosine_power((x - start) / width, w / n, cells)
        least = max(1.0 / cells, floor / width)
        root = _fixed_point(power, n, least)
        if root is not None and root * cells >= CELLS_PER_BANDWIDTH:
            return ISJResult(root * width)
        if root is None and _excess(power, n, least**2) > 0.0:
            return ISJResult(None, reason="has no fixed point on these rows")
        if root is None and floor / width * cells >= CELLS_PER_BANDWIDTH:
            return ISJResult(floor, floored=True)
    return ISJResult(None, reason="cannot resolve a bandwidth this small against the column's range")


def _cosine_power(u: Floats, share: Floats, cells: int) -> Floats:
    """Return c_k² for k = 1 .. cells - 1, of rows u in (0, 1) with shares that sum to 1."""
    from scipy.fft import dct

    # Linear binning onto cell centres moves continuously with the rows, as nearest binning would not.
    place = u * cells - 0.5
    cell = np.floor(place).astype(np.int64)
    part = place - cell
    mass = np.bincount(cell, share * (1.0 - part), cells) + np.bincount(cell + 1, share * part, cells)
    return np.square(0.5 * dct(mass, type=2)[1:])


def _roughness(power: Floats, s: int, t: float) -> float:
    """Return ‖f^(s)‖² at time t."""
    # exp(-k²π²t) < 1e-30 beyond the last k kept.
    last = min(len(power), int(math.sqrt(70.0 / t) / math.pi) + 2)
    squared = np.square(np.arange(1, last + 1) * math.pi)
    return 2.0 * float((squared**s * power[:last] * np.exp(-squared * t)).sum())


def _excess(power: Floats, n: float, t: float) -> float:
    """Return log of (the time that time t leads to) / t: zero at the fixed point, positive below it."""
    stage = t
    for s in range(ROUGHEST - 1, 1, -1):
        odd = math.prod(range(1, 2 * s, 2))
        spread = (1.0 + 0.5 ** (s + 0.5)) / 3.0 * odd / (n * math.sqrt(math.pi / 2.0))
        rough = _roughness(power, s + 1, stage)
        if rough <= 0.0:  # smoothed to a constant
            return math.inf
        stage = (spread / rough) ** (2.0 / (3 + 2 * s))
    rough = _roughness(power, 2, stage)
    return math.log((2.0 * n * math.sqrt(math.pi) * rough) ** -0.4 / t) if rough > 0.0 else math.inf


def _fixed_point(power: Floats, n: float, least: float) -> float | None:
    """Return the smallest fixed point √t >= least (in widths of the grid), or None."""
    from scipy.optimize import brentq

    roots = np.geomspace(least, WIDEST, max(8, int(4 * math.log2(WIDEST / least))))
    before = _excess(power, n, least**2)
    for a, b in pairwise(roots.tolist()):
        after = _excess(power, n, b * b)
        if before > 0.0 >= after:
            return float(brentq(lambda r: _excess(power, n, r * r), a, b, xtol=1e-300, rtol=1e-13))
        before = after
    return None
