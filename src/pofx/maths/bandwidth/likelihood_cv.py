r"""Likelihood cross-validation: the bandwidths under which each row is likeliest, the row itself left out.

    L(h) = Σ_i w_i log p_-i(x_i; h) / Σw

In one column, the largest local maximum in log h (the smallest ones only resolve ties and pairs of near
rows; a smaller and higher one is named). In several, one bandwidth per column, jointly: a product kernel,
by L-BFGS on log h from the best common multiple of the normal scale. Long tails want wide bumps under this
criterion, as log p of a far row is all that row's; least squares is blind to them.

A million rows are scored through one Fourier transform of the rows, which serves every h; rows that stand
alone, where taking a row's own bump away cancels, are summed exactly (:mod:`pofx.maths.kernel_sums`).

References
----------
J. D. F. Habbema, J. Hermans and K. van den Broek, A stepwise discriminant analysis program using density
estimation, *Compstat 1974*, 101-110; R. P. W. Duin, *IEEE Trans. Comput.* C-25 (1976) 1175-1179.
P. Hall and J. S. Marron, Local minima in cross-validation functions, *J. R. Statist. Soc. B* 53 (1991).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from pofx.maths.bandwidth.by_column import Selected, by_column
from pofx.maths.bandwidth.gaussian_tensors import sketch
from pofx.maths.bandwidth.normal_scale import normal_scale_factor
from pofx.maths.bandwidth.rule import Choice, Label, Rule
from pofx.maths.bandwidth.scales import robust_scale, tie_step, total_weight, weighted_sd
from pofx.maths.kernel_sums import Bumps, Own, log_sum
from pofx.maths.kernel_sums.nufft import Grid, Spectrum
from pofx.maths.kernels import KERNELS

__all__ = ["LeaveOneOut", "LikelihoodCV", "likelihood_cv"]

Floats = NDArray[np.float64]

EXACT = 3000  # rows up to which every sum is exact to rounding
SCOUTS = 2**15  # rows whose own scores find the neighbourhood of the maximum among more
TRIALS = 48  # bandwidths looked at between the widest and the narrowest
WIDEST, NARROWEST = 8.0, 1.0 / 60.0  # of the normal scale
RTOL = 1e-7
MEMORY = 256e6
FEW = 200  # rows that stand alone are summed one by one
NEAR = 0.08  # of log h
SKETCH = 1500  # rows that stand for all where several columns are chosen at once
GAUSSIAN = KERNELS["gaussian"]


class LeaveOneOut:
    """Leave-one-out log densities of one column of rows at any bandwidth in a range.

    Parameters
    ----------
    x : (n,) float64, w : (n,) weights
    low, high : the range of bandwidths
    frequencies : whether one unit of a weight is left out, or all of it
    """

    def __init__(self, x: Floats, w: Floats, low: float, high: float, *, frequencies: bool = True) -> None:
        order = np.argsort(x, kind="stable")
        self.x, self.w, self.low, self.high = x[order, None], w[order], low, high
        self._out = np.minimum(self.w, 1.0) if frequencies else self.w
        with np.errstate(divide="ignore"):
            self._own = Own(np.arange(len(x)), np.log(self.w - self._out))
        self._rtol = 0.0 if len(x) <= EXACT else RTOL

    def _bumps(self, h: float) -> Bumps:
        return Bumps(self.x, np.log(self.w), GAUSSIAN, np.array([h]))

    @cached_property
    def _spectrum(self) -> Spectrum | None:
        """One transform of the rows for every bandwidth, where its grid is not too large."""
        if len(self.x) <= EXACT:
            return None
        bumps = self._bumps(self.low)
        origin = self.x[len(self.x) // 2]
        z = bumps.whiten(self.x - origin)
        box = (z[0], z[-1])
        grid = Grid.spanning(box, box, widest=self.high / self.low)
        if grid.bytes(len(z), len(z), 2) > MEMORY:
            return None
        return Spectrum(bumps, self.w / self.w.max(), grid, origin)

    def log_density(self, h: float, rows: NDArray[np.intp] | None = None) -> Floats:
        """Return log p_-i(x_i) of the rows asked for (all, where None); -inf for a row with no other."""
        some = np.arange(len(self.x)) if rows is None else rows
        out = np.full(len(some), math.nan)
        spectrum = self._spectrum
        if spectrum is not None:
            top = float(self.w.max())
            total = spectrum.at(self.x, spectrum.smoothed(h / self.low), rows)
            left = total - self._out[some] / top
            error = spectrum.grid.error * spectrum.total + 1e-15 * np.abs(total)
            good = left > error / RTOL
            out[good] = np.log(left[good]) + math.log(top) + GAUSSIAN.log_norm - math.log(h)
        rest = np.flatnonzero(np.isnan(out))
        if 0 < len(rest) <= FEW < len(self.x):
            out[rest] = [self._alone(int(i), h) for i in some[rest]]
        elif len(rest):
            own = self._own.select(some[rest])
            out[rest] = log_sum(self._bumps(h), self.x[some[rest]], rtol=self._rtol, own=own)
        with np.errstate(divide="ignore"):
            return out - np.log(float(self.w.sum()) - self._out[some])

    def _alone(self, i: int, h: float) -> float:
        """Return the log of the sum at row i without itself, from the rows near it: x is sorted."""
        x = self.x[:, 0]
        neighbours = x[max(i - 1, 0) : i + 2]
        left = float(self.w[i] - self._out[i])
        nearest = 0.0 if left > 0.0 else float(np.partition(np.abs(neighbours - x[i]), 1)[1])
        least = RTOL * min(float(self.w[i]), 1.0) / float(self.w.sum())
        reach = math.hypot(nearest, h * math.sqrt(-2.0 * math.log(least)))
        a, b = np.searchsorted(x, [x[i] - reach, x[i] + reach], side="left")
        w = self.w[a : b + 1].copy()
        w[i - a] = left
        near = np.flatnonzero(w > 0.0)
        w, terms = w[near], -0.5 * ((x[a : b + 1][near] - x[i]) / h) ** 2
        top = float(terms.max())
        return math.log(float(w @ np.exp(terms - top))) + top + GAUSSIAN.log_norm - math.log(h)

    def score(self, h: float, rows: NDArray[np.intp] | None = None) -> float:
        """Return L(h) over some rows, nats per row."""
        w = self.w if rows is None else self.w[rows]
        return float(w @ self.log_density(h, rows) / w.sum())


def likelihood_cv(x: Floats, w: Floats, floor: float = 0.0, *, frequencies: bool = True) -> Selected:
    """Return the largest local maximum of L above ``floor``, for one column.

    Parameters
    ----------
    x : (n,) float64, not constant; ties allowed
    w : (n,) float64, positive, of sum above 1
    floor : float
        Maxima below are passed over: on rounded data they only resolve the rounding.
    """
    reference = 1.06 * robust_scale(x, w) * float(w.sum()) ** -0.2
    wide = 1.06 * weighted_sd(x, w) * float(w.sum()) ** -0.2
    if reference <= 0.0:
        return Selected(None, "needs a spread and more than half the rows are tied", tied=True)
    high, low = WIDEST * wide, max(NARROWEST * reference, 0.5 * floor)
    if len(x) > EXACT:
        high = min(high, 40.0 * reference)  # far-out rows: a range that one grid can serve
    rows = LeaveOneOut(x, w, low, high, frequencies=frequencies)
    scouts = None
    if len(x) > SCOUTS:
        scouts = np.linspace(0, len(x) - 1, SCOUTS).astype(np.intp)
    trials = np.geomspace(high, low, TRIALS)
    found = np.array([rows.score(h, scouts) for h in trials])
    peaks = [
        k
        for k in range(1, TRIALS - 1)
        if found[k] >= found[k - 1] and found[k] > found[k + 1] and trials[k] > floor
    ]
    if not peaks:
        rising = bool(found[-1] >= found.max())
        reason = "has no local maximum on these rows"
        return Selected(None, "" if rising and floor > 0.0 else reason, tied=rising and floor > 0.0)
    k = peaks[0]
    low, high = math.log(trials[k + 1]), math.log(trials[k - 1])
    if scouts is None:
        h = math.exp(_highest(rows, None, low, high, 1e-8))
    else:
        h = _uphill(rows, math.exp(_highest(rows, scouts, low, high, 1e-2)))
    higher = [p for p in peaks[1:] if found[p] > found[k]]
    notes: tuple[str, ...] = ()
    if higher:
        notes = (
            f"likelihood cross-validation has a higher maximum at {trials[higher[0]] / h:.2g} times this "
            "bandwidth; the largest local one was taken (Hall and Marron 1991).",
        )
    return Selected(h, notes=notes)


def _highest(
    rows: LeaveOneOut, some: NDArray[np.intp] | None, low: float, high: float, tolerance: float
) -> float:
    """Return log h of the highest L over some rows between two values of log h."""
    found = minimize_scalar(
        lambda log_h: -rows.score(math.exp(log_h), some),
        bounds=(low, high),
        method="bounded",
        options={"xatol": tolerance},
    )
    return float(found.x)


def _uphill(rows: LeaveOneOut, h: float) -> float:
    """Return the local maximum over all rows that lies uphill of h, to 3e-4 of itself.

    The scouts' own maximum may lie a tenth away: a few far rows have a large say in L.
    """
    found = minimize_scalar(
        lambda t: -rows.score(h * math.exp(t - 1.0)),  # near 1, as the tolerance is a relative one
        bracket=(1.0, 1.0 + NEAR),
        method="brent",
        options={"xtol": 3e-4},
    )
    return h * math.exp(float(found.x) - 1.0)


# ---------------------------------------------------------------- several columns


def _joint(z: Floats, w: Floats, start: Floats, floor: Floats, frequencies: bool) -> tuple[Floats, bool]:
    """Return the bandwidths (d,) that maximise L over standardised rows z (n, d), and whether it settled."""
    n, d = z.shape
    out = np.minimum(w, 1.0) if frequencies else w
    with np.errstate(divide="ignore"):
        log_w, diagonal = np.log(w), np.log(w - out)
    shares = w / w.sum()

    def cost(theta: Floats) -> tuple[float, Floats]:
        u = z / np.exp(theta)
        squares = 0.5 * (u * u).sum(axis=1)
        total, slope = 0.0, np.zeros(d)
        for a in range(0, n, 256):
            b = min(a + 256, n)
            terms = u[a:b] @ u.T - squares[a:b, None] - squares + log_w
            terms[np.arange(b - a), np.arange(a, b)] = diagonal[a:b]
            top = terms.max(axis=1)
            np.exp(terms - top[:, None], out=terms)
            mass = terms.sum(axis=1)
            total += float(shares[a:b] @ (np.log(mass) + top))
            terms *= (shares[a:b] / mass)[:, None]
            # Σ_k P_ik (u_i - u_k)² along each column, from products: u is centred and of moderate size
            slope += shares[a:b] @ (u[a:b] ** 2) + terms.sum(axis=0) @ (u * u)
            slope -= 2.0 * (u[a:b] * (terms @ u)).sum(axis=0)
        return float(theta.sum()) - total, 1.0 - slope

    common = minimize_scalar(
        lambda t: cost(start + t)[0], bounds=(-2.5, 2.0), method="bounded", options={"xatol": 0.02}
    )
    bounds = list(zip(np.maximum(start - 4.0, floor), np.maximum(start + 4.0, floor), strict=True))
    begin = np.maximum(start + common.x, floor)
    found = minimize(cost, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60})
    return np.exp(found.x), bool(np.isfinite(found.fun))


@dataclass(frozen=True)
class LikelihoodCV(Rule):
    """The bandwidths under which each row is likeliest, itself left out."""

    name: str = field(default="likelihood_cv", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        n, d = x.shape
        if d == 1:

            def select(column: Floats, w: Floats, floor: float) -> Selected:
                return likelihood_cv(column, w, floor, frequencies=frequencies)

            return by_column(x, w, label, "likelihood cross-validation", select)
        total = total_weight(w)
        sd = np.array([weighted_sd(np.ascontiguousarray(c), w) for c in x.T])
        scale = np.array([robust_scale(np.ascontiguousarray(c), w) for c in x.T])
        scale = np.where(scale > 0.0, np.minimum(scale, sd), sd)
        steps = np.array([0.5 * tie_step(np.ascontiguousarray(c), w) for c in x.T])
        z, weights = (x - np.median(x, axis=0)) / scale, w
        notes: tuple[str, ...] = ()
        if n > SKETCH:
            z, weights = sketch(z, w, SKETCH, frequencies=frequencies)
            notes = (f"Chosen on {SKETCH:,} of {n:,} distinct rows, and narrowed at the rate of the rest.",)
        size = float(weights.sum())
        start = np.full(d, math.log(normal_scale_factor(size, d)))
        rate = (total / size) ** (-1.0 / (d + 4))
        with np.errstate(divide="ignore"):
            floor = np.log(steps / scale / rate)
        h, settled = _joint(z, weights, start, floor, frequencies)
        if not settled:
            notes = ("Likelihood cross-validation has no maximum on these rows; the normal scale was used.",)
            h = np.exp(np.maximum(start, floor))
        h = h * scale * rate
        for j in np.flatnonzero(h <= steps * 1.001):
            if steps[j] > 0.0:
                notes += (f"{label(int(j))}: the ties pull the bandwidth to 0; held at half their spacing.",)
        return Choice(np.maximum(h, steps), notes)
