r"""Rows that climb to the modes of a Gaussian kernel density estimate.

Mean shift, in squared extrapolation (SQUAREM) that is taken where it ascends; where climbs end is finished by
Newton's steps, and a saddle is left along its rising direction.

References
----------
M. Á. Carreira-Perpiñán, Gaussian mean-shift is an EM algorithm, *IEEE Trans. PAMI* 29 (2007).
R. Varadhan and C. Roland, Simple and globally convergent methods for accelerating the convergence of any EM
algorithm, *Scand. J. Statist.* 35 (2008).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .gradient import Slopes

__all__ = ["by_climbing"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

MOST_CYCLES = 300
CLIMBED = 1e-5  # bandwidths: the mean-shift step at which a climb ends
LEAP = 0.5  # bandwidths: the most that an extrapolation adds
SAME_CLIMB = 1e-2  # bandwidths, before Newton's steps ...
SAME_MODE = 1e-3  # ... and after
DIFFERENCE = 1e-3  # bandwidths: the step of the Hessian's differences
SADDLE = 1e-5  # nats per squared bandwidth


def by_climbing(slopes: Slopes, n_starts: int, rng: np.random.Generator) -> tuple[Floats, Floats, str, int]:
    """Return the modes (k, d), the rows' shares, a message, and how many rows climbed."""
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
    h = slopes.bumps.bandwidth
    root = np.diag(h) if h.ndim == 1 else np.asarray(np.linalg.cholesky(h))
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
    period = np.where(edges.periodic, edges.upper - edges.lower, 0.0)
    turned = z - np.where(edges.periodic & (z > edges.upper - period / 2.0), period, 0.0)
    both = slopes.whiten(np.concatenate([z, turned]))  # a place near the seam is at both ends of it
    tree = cKDTree(both)
    owner = np.full(len(x), -1)
    for i in np.argsort(-log_p, kind="stable").tolist():
        if owner[i] < 0:
            found = tree.query_ball_point(both[[i, i + len(x)]], radius * narrow)
            near = {k % len(x) for some in found for k in some}
            for k in near:
                if owner[k] < 0:
                    owner[k] = i
    return owner
