r"""Modes of a Gaussian kernel density estimate: where its gradient is zero and all climbs end.

In one column none is missed. At a mode Σ w_i λ_i^-3 (u_i² - 1) φ(u_i) < 0, so it lies within one bandwidth
of some row: a grid of a tenth of a bandwidth over those places sees every rise that turns into a fall, and
the lows between them part the rows exactly.

In more columns rows climb by mean shift, in squared extrapolation (SQUAREM) that is taken where it ascends;
where they end is finished by Newton's steps, and a saddle is left along its rising direction.

References
----------
R. Varadhan and C. Roland, Simple and globally convergent methods for accelerating the convergence of any EM
algorithm, *Scand. J. Statist.* 35 (2008).
M. Á. Carreira-Perpiñán, Gaussian mean-shift is an EM algorithm, *IEEE Trans. PAMI* 29 (2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.params import Params
from .gradient import Slopes

__all__ = ["Modes", "find_modes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

RTOL = 1e-8
PER_BANDWIDTH = 10  # points of the grid on a line
MOST_GRID = 2**21
MOST_CYCLES = 300
CLIMBED = 1e-5  # bandwidths: the mean-shift step at which a climb ends
LEAP = 0.5  # bandwidths: the most that an extrapolation adds
SAME_CLIMB = 1e-2  # bandwidths, before Newton's steps ...
SAME_MODE = 1e-3  # ... and after
DIFFERENCE = 1e-3  # bandwidths: the step of the Hessian's differences
SADDLE = 1e-5  # nats per squared bandwidth


@dataclass(frozen=True, eq=False)
class Modes:
    """The local maxima of a density, densest first.

    Attributes
    ----------
    points : (k, d)
        Data units.
    log_density : (k,)
        Nats, data units.
    shares : (k,)
        The weight of the rows that climb to each mode; they sum to one.
    n_starts : int
        How many rows climbed. In one column every row counts, without a climb.
    message : str
        How they were found, and whether all climbs ended.
    """

    points: Floats
    log_density: Floats
    shares: Floats
    n_starts: int
    message: str

    def __len__(self) -> int:
        return len(self.points)


def find_modes(params: Params, *, n_starts: int, rng: np.random.Generator, memory: float) -> Modes:
    """Return the modes of a Gaussian estimate."""
    n, d = params.points.shape
    slopes = Slopes(params, rtol=RTOL, memory=memory, expected=200 * min(n, n_starts))
    if d == 1:
        at, shares, message = _on_a_line(slopes)
        n_starts = n
    else:
        at, shares, message, n_starts = _by_climbing(slopes, n_starts, rng)
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

    rising = step(grid) > 0.0
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
    a, b, narrowest = np.maximum(a[first], low), np.minimum(reached[last], high), np.minimum.reduceat(h, first)
    a, b, narrowest = (v[b > a] for v in (a, b, narrowest))
    with np.errstate(over="ignore"):
        counts = np.ceil((b - a) / narrowest * PER_BANDWIDTH) + 2
    message = "All modes: every place within a bandwidth of a row was looked at."
    if counts.sum() > MOST_GRID:
        counts = np.maximum(3, np.floor(counts * (MOST_GRID / counts.sum())))
        message = "Modes narrower than the grid may be missed: the bandwidth is tiny beside the rows' range."
    counts = counts.astype(np.intp)
    # cell centres: never a bound itself, where the slope is zero
    which = np.repeat(np.arange(len(a)), counts)
    k = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return a[which] + (b - a)[which] * ((k + 0.5) / counts[which]), message


def _turns(slope: object, a: Floats, b: Floats, tolerance: float) -> Floats:
    """Return where ``slope`` falls through zero between each a (above) and b (not above)."""
    assert callable(slope)
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


# ---------------------------------------------------------------- by climbing


def _by_climbing(slopes: Slopes, n_starts: int, rng: np.random.Generator) -> tuple[Floats, Floats, str, int]:
    bumps = slopes.bumps
    rows = np.arange(bumps.n)
    if bumps.n > n_starts:
        rows = np.sort(rng.choice(bumps.n, n_starts, replace=False))
    w = np.ones(bumps.n) if bumps.log_weights is None else np.exp(bumps.log_weights)
    ends, climbed = _climb(slopes, bumps.points[rows])
    owner = _merge(slopes, ends, slopes.at(ends)[0], SAME_CLIMB)
    heads, part = np.unique(owner, return_inverse=True)
    tops = ends[heads]
    for _ in range(3):
        tops, rise = _finish(slopes, tops)
        stuck = np.flatnonzero(np.abs(rise).max(axis=1) > 0.0)
        if len(stuck) == 0:
            break
        tops[stuck] = _climb(slopes, tops[stuck] + rise[stuck])[0]
    owner = _merge(slopes, tops, slopes.at(tops)[0], SAME_MODE)
    kept, final = np.unique(owner, return_inverse=True)
    shares = np.bincount(final[part], weights=w[rows], minlength=len(kept))
    done = "all climbs ended" if climbed else f"some climbs had not ended after {MOST_CYCLES} cycles"
    message = f"{len(rows):,} of {bumps.n:,} distinct rows climbed; {done}."
    if len(rows) < bumps.n:
        message += " A mode to which few rows climb may be missed: raise n_starts."
    return tops[kept], shares / shares.sum(), message, len(rows)


def _climb(slopes: Slopes, x: Floats) -> tuple[Floats, bool]:
    """Return where mean shift ends from each x, and whether all ended."""
    x = x.copy()
    active = np.arange(len(x))
    log_p, step = slopes.at(x)
    for _ in range(MOST_CYCLES):
        going = _length(slopes, step) > CLIMBED
        active, step, log_p = active[going], step[going], log_p[going]
        if len(active) == 0:
            return x, True
        once = x[active] + step
        _, second = slopes.at(once)
        r, v = _length(slopes, step), _length(slopes, second - step)
        factor = r / np.maximum(v, 1e-300)
        extra = (2.0 * factor - 1.0)[:, None] * step + (factor**2)[:, None] * (second - step) - second
        long = _length(slopes, extra)
        extra *= np.minimum(1.0, LEAP / np.maximum(long, LEAP))[:, None]
        twice = once + second
        leap = twice + np.where((factor > 1.0)[:, None], extra, 0.0)
        log_p_new, step_new = slopes.at(leap)
        # MM ascends by itself: a leap is kept where it lies higher than two plain steps are sure to
        failed = np.flatnonzero(~(log_p_new >= log_p))
        if len(failed):
            leap[failed] = twice[failed]
            log_p_new[failed], step_new[failed] = slopes.at(twice[failed])
        x[active], log_p, step = leap, log_p_new, step_new
    return x, False


def _length(slopes: Slopes, step: Floats) -> Floats:
    z = slopes.whiten(step)
    return np.asarray(np.sqrt((z * z).sum(axis=1)))


def _finish(slopes: Slopes, x: Floats) -> tuple[Floats, Floats]:
    """Newton's steps to where the gradient is zero; and a step away from each saddle, zero at a mode."""
    d = x.shape[1]
    root = np.diag(slopes.bumps.bandwidth) if slopes.bumps.bandwidth.ndim == 1 else None
    root = np.linalg.cholesky(slopes.bumps.bandwidth) if root is None else root
    rise = np.zeros_like(x)
    log_p, gradient = slopes.gradient(x)
    for _ in range(12):
        g = gradient @ root
        hessian = np.empty((len(x), d, d))
        for j in range(d):
            ahead, behind = (slopes.gradient(x + s * DIFFERENCE * root[:, j])[1] @ root for s in (1.0, -1.0))
            hessian[:, j] = (ahead - behind) / (2.0 * DIFFERENCE)
        values, axes = np.linalg.eigh((hessian + hessian.transpose(0, 2, 1)) / 2.0)
        along = np.einsum("kij,ki->kj", axes, g)
        newton = np.where(values < -1e-9, -along / np.minimum(values, -1e-9), along)
        step = np.einsum("kij,kj->ki", axes, newton)
        size = np.sqrt((step * step).sum(axis=1))
        step *= np.minimum(1.0, 0.1 / np.maximum(size, 0.1))[:, None]
        moved = x + step @ root.T
        new_p, new_gradient = slopes.gradient(moved)
        better = ((new_gradient @ root) ** 2).sum(axis=1) < (g * g).sum(axis=1)
        better |= new_p > log_p + 1e-9
        x = np.where(better[:, None], moved, x)
        gradient = np.where(better[:, None], new_gradient, gradient)
        log_p = np.where(better, new_p, log_p)
        steep = values[:, -1] > SADDLE
        rise = np.where(steep[:, None], 0.1 * axes[:, :, -1] @ root.T, 0.0)
        if not (better & (size > 1e-10)).any():
            break
    return x, rise


def _merge(slopes: Slopes, x: Floats, log_p: Floats, radius: float) -> Ints:
    """Return for each place the number of the densest one within ``radius`` bandwidths, itself if none."""
    from scipy.spatial import cKDTree

    edges = slopes.edges
    narrow = 1.0 if slopes.bumps.factors is None else float(slopes.bumps.factors.min())
    z = edges.fold(x)
    seam = edges.upper - edges.lower
    turned = np.where(edges.periodic & (z > edges.upper - np.where(edges.periodic, seam, 0.0) / 2.0), seam, 0.0)
    both = slopes.whiten(np.concatenate([z, z - turned]))  # a place near the seam is at both ends of it
    tree = cKDTree(both)
    owner = np.full(len(x), -1)
    for i in np.argsort(-log_p, kind="stable").tolist():
        if owner[i] < 0:
            near = {k % len(x) for at in (both[i], both[i + len(x)]) for k in tree.query_ball_point(at, radius * narrow)}
            for k in near:
                if owner[k] < 0:
                    owner[k] = i
    return owner
