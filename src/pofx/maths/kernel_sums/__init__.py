r"""Log sums of kernels over all pairs of queries and points, by the engine that suits their numbers.

    log s(x) = log Σ_i w_i λ_i^-d Π_j k(z_ij / λ_i) / |L|,      z_i = L^-1 (x - y_i)

:func:`log_sum` is the one door. Its ``rtol`` is a relative error of s at **every** query, tails included,
which is an absolute error of log s; ``rtol = 0`` means exact to rounding, 1e-12 + 8 eps (extent of a
tile / h)². Memory is bounded by a budget; nothing of the size n × m is ever formed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pofx.maths.kernel_sums.bumps import Bumps, Own
from pofx.maths.kernel_sums.folded import Edges, reach_of
from pofx.maths.kernel_sums.line import Line
from pofx.maths.kernel_sums.moments import Moments
from pofx.maths.kernel_sums.naive import all_pairs
from pofx.maths.kernel_sums.nufft import Spectrum
from pofx.maths.kernel_sums.plan import ENGINES, MEMORY, Plan, Window, make_plan
from pofx.maths.kernel_sums.tiles import Tiles

__all__ = [
    "ENGINES",
    "MEMORY",
    "Bumps",
    "Edges",
    "Line",
    "Own",
    "Plan",
    "log_sum",
    "log_sum_and_mean",
    "log_sum_folded",
    "make_plan",
]

Floats = NDArray[np.float64]

CERTIFIED = 0.9  # share of rtol that the Fourier sum may use; the rest is rounding
PRUNED = 0.5
FEW, MANY = 16, 5000  # queries, and points, from which the points near each query are found first
SINGLE = 8.0 * np.finfo(np.float32).eps  # a pair's exponent in float32, per squared extent of the data


def log_sum(
    bumps: Bumps,
    queries: Floats,
    *,
    rtol: float = 1e-6,
    engine: str = "auto",
    memory: float = MEMORY,
    own: Own | None = None,
    plan: Plan | None = None,
) -> Floats:
    """Return log s(x) for every query row x.

    Parameters
    ----------
    bumps : Bumps
    queries : (m, d) float64
    rtol : float >= 0
        Relative error allowed in s at each query.
    engine : {"auto", "naive", "tiles", "nufft", "moments"}
        "nufft" falls back to tiles where there is no Fourier sum: other kernels, factors, d > 3; "moments"
        for all but compact polynomial kernels in one column.
    memory : bytes
        The budget of the engine beyond the rows and the answer.
    own : Own, optional
        The queries are points, and their own bumps count in part only.
    plan : Plan, optional
        From :func:`make_plan` for the same sum.

    Returns
    -------
    (m,) float64
        Nats; -inf where no bump reaches (compact kernels), and for the Gaussian only beyond some 1e154
        bandwidths, where the logarithm itself leaves float64.
    """
    if len(queries) == 0:
        return np.empty(0)
    plan = plan or make_plan(bumps, queries, rtol, engine=engine, memory=memory)
    if plan.engine == "naive":
        out = _few_on_a_line(bumps, queries) if own is None and len(queries) <= FEW else None
        if out is None:
            out = all_pairs(bumps, queries, own)
    elif plan.engine == "tiles":
        out = _tiled(bumps, queries, rtol, memory, own)
    elif plan.engine == "moments":
        out = _by_moments(bumps, queries, rtol, memory, own)
    else:
        out = _by_windows(bumps, queries, rtol, memory, own, plan.windows)
    out += bumps.constant
    return out


def log_sum_and_mean(bumps: Bumps, queries: Floats, *, rtol: float = 1e-6) -> tuple[Floats, Floats]:
    """Return log s(x) (m,), and Σ_i share_i(x) y_i - x (m, d): the mean-shift step of a Gaussian sum.

    ``share_i`` is bump i's part of s(x). With one bandwidth for all, H^-1 times the step is the gradient
    of log s; where bandwidths adapt, each part would need its own λ_i^-2 (:mod:`pofx.models.kde.gradient`).
    """
    value, step = Tiles(bumps).log_sum_and_mean(queries, rtol * PRUNED)
    return value + bumps.constant, step


def _few_on_a_line(bumps: Bumps, queries: Floats) -> Floats | None:
    """Sum the points within reach of each of a few queries in one column; None where that is not at hand."""
    y = bumps.points[:, 0]
    if bumps.d > 1 or bumps.n < MANY or bumps.factors is not None or not bumps.gaussian:
        return None
    light = 0.0 if bumps.log_weights is None else float(bumps.log_weights.max() - bumps.log_weights.min())
    if light > 20.0 or not bool((y[1:] >= y[:-1]).all()):
        return None
    h = bumps.width
    out = np.empty(len(queries))
    for i, x in enumerate(queries[:, 0].tolist()):
        k = int(np.searchsorted(y, x))
        nearest = min(abs(x - float(y[j])) for j in (max(k - 1, 0), min(k, len(y) - 1)))
        reach = math.hypot(nearest, h * math.sqrt(2.0 * (light + math.log(bumps.n / 1e-17))))
        a, b = np.searchsorted(y, [x - reach, x + reach])
        a, b = max(int(a) - 1, 0), min(int(b) + 1, len(y))
        weights = None if bumps.log_weights is None else bumps.log_weights[a:b]
        near = Bumps(bumps.points[a:b], weights, bumps.kernel, bumps.bandwidth)
        out[i] = all_pairs(near, queries[i : i + 1])[0]
    return out


def _tiled(bumps: Bumps, queries: Floats, rtol: float, memory: float, own: Own | None) -> Floats:
    """Sum by tiles, in as many parts of the points and of the queries as the budget asks."""
    n, m, d = bumps.n, len(queries), bumps.d
    most_points = max(2**14, int(0.7 * memory / (8.0 * (3 * d + 6))))
    most_queries = max(2**14, int(0.3 * memory / (8.0 * (2 * d + 3))))
    if n <= most_points:
        return _in_parts(_tree(bumps, rtol), queries, rtol, own, most_queries)
    total = np.full(m, -math.inf)
    for a in range(0, n, most_points):
        b = min(a + most_points, n)
        part = Bumps(
            bumps.points[a:b],
            None if bumps.log_weights is None else bumps.log_weights[a:b],
            bumps.kernel,
            bumps.bandwidth,
            None if bumps.factors is None else bumps.factors[a:b],
        )
        tree = _tree(part, rtol)
        if own is None:
            np.logaddexp(total, _in_parts(tree, queries, rtol, None, most_queries), out=total)
            continue
        here = (own.index >= a) & (own.index < b)
        for rows, mine in (
            (np.flatnonzero(here), Own(own.index[here] - a, own.log_left[here])),
            (np.flatnonzero(~here), None),
        ):
            value = _in_parts(tree, queries[rows], rtol, mine, most_queries)
            total[rows] = np.logaddexp(total[rows], value)
    return total


def _in_parts(tree: Tiles, queries: Floats, rtol: float, own: Own | None, most: int) -> Floats:
    out = np.empty(len(queries))
    for a in range(0, len(queries), most):
        part = slice(a, a + most)
        mine = None if own is None else own.select(part)
        out[part] = tree.log_sum(queries[part], rtol * PRUNED, mine)
    return out


def _tree(bumps: Bumps, rtol: float) -> Tiles:
    """float32 has twice the speed where its error, too, is within rtol."""
    if bumps.gaussian and bumps.factors is None and rtol > SINGLE:
        spread = bumps.whiten(np.ptp(bumps.points, axis=0)[None])[0]
        if SINGLE * float(spread @ spread) < 0.4 * rtol:
            return Tiles(bumps, dtype=np.float32)
    return Tiles(bumps)


def _by_moments(bumps: Bumps, queries: Floats, rtol: float, memory: float, own: Own | None) -> Floats:
    """Sum by dyadic moments, and again by tiles where rounding is not within rtol of the sum."""
    top, weights = 0.0, None
    if bumps.log_weights is not None:
        top = float(bumps.log_weights.max())
        weights = np.exp(bumps.log_weights - top)
    value, error = Moments(bumps, weights).sum(queries)
    if own is not None:
        whole = 1.0 if weights is None else weights[own.index]
        value = value - (whole - np.exp(own.log_left - top))
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.where(value > error / (CERTIFIED * rtol), np.log(value) + top, math.nan)
    out[error == 0.0] = -math.inf  # no point within reach
    rest = np.flatnonzero(np.isnan(out))
    if len(rest):
        left = None if own is None else own.select(rest)
        out[rest] = _remaining(bumps, queries[rest], rtol, memory, left)
    return out


def _remaining(bumps: Bumps, queries: Floats, rtol: float, memory: float, own: Own | None) -> Floats:
    """Sum what another engine could not certify: by tiles, or all pairs where that is quicker than a tree."""
    if make_plan(bumps, queries, 0.0, memory=memory).engine == "naive":
        return all_pairs(bumps, queries, own)
    return _tiled(bumps, queries, rtol, memory, own)


def _by_windows(
    bumps: Bumps,
    queries: Floats,
    rtol: float,
    memory: float,
    own: Own | None,
    windows: tuple[Window, ...],
) -> Floats:
    """Sum by Fourier series, and again by tiles where their error is not within rtol of the sum."""
    out = np.full(len(queries), math.nan)
    top, weights, total = 0.0, None, float(bumps.n)
    if bumps.log_weights is not None:
        top = float(bumps.log_weights.max())
        weights = np.exp(bumps.log_weights - top)
        total = float(weights.sum())
    origin = bumps.points[bumps.n // 2]
    for window in windows:
        some = weights if weights is None or window.points is None else weights[window.points]
        spectrum = Spectrum(bumps, some, window.grid, origin, window.points)
        value = spectrum.at(queries, spectrum.smoothed(), window.queries)
        # beyond the window's reach a bump is at most exp(-RADIUS²/2)
        error: Floats | float = window.grid.error * spectrum.total + 1e-16 * total
        rows = slice(None) if window.queries is None else window.queries
        if own is not None:
            mine = own.select(rows)
            whole = 1.0 if weights is None else weights[mine.index]
            error = error + 1e-15 * np.abs(value)
            value = value - (whole - np.exp(mine.log_left - top))
        with np.errstate(divide="ignore", invalid="ignore"):
            out[rows] = np.where(value > error / (CERTIFIED * rtol), np.log(value) + top, math.nan)
    rest = np.flatnonzero(np.isnan(out))
    if len(rest):
        left = None if own is None else own.select(rest)
        out[rest] = _remaining(bumps, queries[rest], rtol, memory, left)
    return out


def log_sum_folded(
    bumps: Bumps,
    queries: Floats,
    edges: Edges,
    *,
    rtol: float = 1e-6,
    engine: str = "auto",
    memory: float = MEMORY,
) -> Floats:
    """Return log of the folded sum for every query row, shape (m,); -inf outside the bounds.

    Images of a query are added, nearest first, where the most that they can add still counts.
    """
    if edges.none:
        return log_sum(bumps, queries, rtol=rtol, engine=engine, memory=memory)
    out = np.full(len(queries), -math.inf)
    inside = np.flatnonzero(~edges.outside(queries))
    x = edges.wrap(queries[inside])
    total = np.full(len(x), -math.inf)
    negligible = math.log(max(rtol, 1e-16)) - 7.0  # a thousandth of the tolerance
    for shell, images in edges.shells():
        added = False
        for image in images:
            sign, shift = (np.array(part) for part in zip(*image, strict=True))
            moved = sign * x + shift
            most = reach_of(bumps, moved) + bumps.constant
            counts = np.flatnonzero((most > total + negligible) & ~np.isneginf(most))
            if len(counts) == 0:
                continue
            added = True
            part = log_sum(bumps, moved[counts], rtol=rtol, engine=engine, memory=memory)
            total[counts] = np.logaddexp(total[counts], part)
        if shell > 1 and not added:
            break
    out[inside] = total
    return out
