r"""The distribution function of bumps on a line, and its inverse, in logarithms.

    F(x) = Σ_i w_i K((x - y_i) / (h λ_i)),     K the kernel's own distribution function, Σ w_i = 1

The bulk of a large Gaussian sum comes from the integral of its Fourier series; tails, where that absolute
error is not a small relative one, and all other sums from every pair.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pofx.maths.kernel_sums.bumps import Bumps
from pofx.maths.kernel_sums.folded import Edges
from pofx.maths.kernel_sums.naive import all_pairs, stream
from pofx.maths.kernel_sums.nufft import Grid, Spectrum
from pofx.threads import map_ordered

__all__ = ["Line"]

Floats = NDArray[np.float64]

MOST_STEPS = 240
MANY_PAIRS = 2e6
MANY_POINTS = 5000
LIGHT = 1e-9  # lightest weight beside the heaviest with which far points can be left out
WHOLE, NOTHING = 9.0, 12.5  # bandwidths inside and outside: 1 - Φ(9) = 1e-19, Φ(-12.5) = 4e-36
RTOL = 1e-8  # of a Fourier tail; others are exact


class Line:
    """Bumps in one column, as a distribution.

    Parameters
    ----------
    bumps : Bumps with d = 1, and exp(log_weights) of sum 1
    edges : Edges of one column, optional
        Bounds or a period at which the bumps are folded.
    memory : bytes that a Fourier series may take
    """

    def __init__(self, bumps: Bumps, edges: Edges | None = None, *, memory: float = 512e6) -> None:
        self.bumps, self.memory = bumps, memory
        self.edges = None if edges is None or edges.none else edges
        self._x = bumps.points[:, 0]
        self._h = bumps.width

    # ---------------------------------------------------------------- distribution functions

    def log_cdf(self, x: Floats) -> Floats:
        """Return log F(x) of each x (m,), accurate in the lower tail."""
        return self._tail(x, upper=False)

    def log_sf(self, x: Floats) -> Floats:
        """Return log(1 - F(x)) of each x (m,), accurate in the upper tail."""
        return self._tail(x, upper=True)

    def _tail(self, x: Floats, *, upper: bool) -> Floats:
        return self._plain(x, upper) if self.edges is None else self._folded(x, upper)

    def _plain(self, x: Floats, upper: bool) -> Floats:
        """One tail of the plain bumps; where it is more than half, by the complement of the other."""
        out = self.small_tail(x, upper=upper)
        most = np.flatnonzero(out > -math.log(2.0))
        other = self.small_tail(x[most], upper=not upper)
        out[most] = np.log1p(-np.exp(np.minimum(other, 0.0)))
        return out

    def small_tail(self, x: Floats, *, upper: bool) -> Floats:
        """Return the log of the mass above or below each x, accurate while it is small."""
        out = np.full(len(x), math.nan)
        if self._series is not None and len(x) * self.bumps.n > MANY_PAIRS:
            lowest, highest = self._series.span
            within = np.flatnonzero((x >= lowest) & (x <= highest))
            mass = self._series.below(x[within])
            if upper:
                mass = 1.0 - mass
            good = mass > self._series.error / RTOL
            out[within[good]] = np.log(mass[good])
        rest = np.flatnonzero(np.isnan(out))
        if len(rest) and self._sorted is not None:
            out[rest] = self._near_pairs(x[rest], upper)
        elif len(rest):
            out[rest] = self._all_pairs(x[rest], upper)
        return out

    @cached_property
    def _sorted(self) -> tuple[Floats, Floats, Floats] | None:
        """Points in order, their weights, and the weight of all before each; None where all pairs are few."""
        if self.bumps.n < MANY_POINTS or self.bumps.factors is not None:
            return None
        order = np.argsort(self._x, kind="stable")
        weights = self.bumps.log_weights
        w = np.full(len(order), 1.0 / len(order)) if weights is None else np.exp(weights[order])
        if w.min() < LIGHT * w.max():
            return None
        return self._x[order], w, np.concatenate([[0.0], np.cumsum(w)])

    def _near_pairs(self, x: Floats, upper: bool) -> Floats:
        """One tail from the points near each x: far inside they count whole, far outside not at all."""
        assert self._sorted is not None
        y, w, before = self._sorted
        kernel, h = self.bumps.kernel, self._h
        if upper:  # the mirror image of the lower tail
            x, y, w = -x, -y[::-1], w[::-1]
            before = np.concatenate([[0.0], np.cumsum(w)])
        inside, outside = (min(reach, kernel.radius) * h for reach in (WHOLE, NOTHING))
        # far below all points the nearest decides, however far it is
        gap = np.maximum(y[0] - x, 0.0)
        beyond = x + (np.hypot(gap, outside) if kernel.radius == math.inf else outside)
        begin, end = np.searchsorted(y, x - inside), np.searchsorted(y, beyond, side="right")

        def task(some: NDArray[np.intp]) -> Floats:
            out = np.empty(len(some))
            for k, i in enumerate(some):
                a, b = begin[i], end[i]
                with np.errstate(divide="ignore"):
                    terms = kernel.log_cdf((x[i] - y[a:b]) / h) + np.log(w[a:b])
                    whole = np.log(before[a])
                out[k] = np.logaddexp(whole, np.logaddexp.reduce(terms)) if b > a else whole
            return out

        return np.concatenate(list(map_ordered(task, np.array_split(np.arange(len(x)), 1 + len(x) // 64))))

    @cached_property
    def _series(self) -> _Integral | None:
        bumps = self.bumps
        if not bumps.gaussian or bumps.factors is not None or bumps.n < 2000:
            return None
        return _Integral.of(bumps, self.memory)

    def _all_pairs(self, x: Floats, upper: bool) -> Floats:
        kernel, factors = self.bumps.kernel, self.bumps.factors
        log_tail = kernel.log_sf if upper else kernel.log_cdf
        log_weights = self.bumps.log_weights

        def fill(rows: slice, cols: slice, tile: Floats, spare: Floats) -> None:
            np.subtract(x[rows, None], self._x[None, cols], out=spare)
            with np.errstate(over="ignore"):
                np.divide(spare, self._h, out=spare)
                if factors is not None:
                    np.divide(spare, factors[cols], out=spare)
            tile[...] = log_tail(spare)
            if log_weights is not None:
                np.add(tile, log_weights[None, cols], out=tile)

        return stream(len(x), self.bumps.n, fill)

    def _folded(self, x: Floats, upper: bool) -> Floats:
        edges = self.edges
        assert edges is not None
        low, high = float(edges.lower[0]), float(edges.upper[0])
        x = np.clip(x, low, high)
        one_ended = math.isinf(low) or math.isinf(high)
        if one_ended and upper == math.isinf(high):  # the open end: both parts add up
            edge = low if math.isinf(high) else high
            return np.logaddexp(self._plain(x, upper), self._plain(2.0 * edge - x, not upper))
        if one_ended:
            edge = low if math.isinf(high) else high
            return _log_difference(self._plain(x, upper), self._plain(2.0 * edge - x, upper))
        end = high if upper else low
        mass = np.zeros(len(x))
        for shell, images in edges.shells():
            part = np.zeros(len(x))
            for ((sign, shift),) in images:
                a, b = sign * x + shift, np.full(len(x), sign * end + shift)
                part += np.abs(self._between(np.minimum(a, b), np.maximum(a, b)))
            mass += part
            if shell > 1 and not (part > 1e-17).any():
                break
        with np.errstate(divide="ignore"):
            return np.log(np.minimum(mass, 1.0))

    def _between(self, a: Floats, b: Floats) -> Floats:
        """Return the mass of the plain bumps between a and b, from the side where it is small."""
        below = np.exp(self._plain(b, False)) - np.exp(self._plain(a, False))
        above = np.exp(self._plain(a, True)) - np.exp(self._plain(b, True))
        return np.maximum(below, above)

    # ---------------------------------------------------------------- quantiles of plain bumps

    def quantile(self, q: Floats) -> Floats:
        """Return x with mass q below it, elementwise; for bumps without edges.

        Newton's steps on the log of the smaller tail, so that a quantile of 1e-300 is as good as a median; a
        step that leaves the bracket, or fails to shrink it, becomes a bisection. ``q = 0`` and ``q = 1`` give
        the ends of the support.
        """
        widest = 1.0 if self.bumps.factors is None else float(self.bumps.factors.max())
        reach = self._h * self.bumps.kernel.radius * widest
        out = np.where(q == 0.0, self._x.min() - reach, self._x.max() + reach)
        if widest != 1.0 and math.isfinite(reach):
            factors = self.bumps.factors
            assert factors is not None
            radius = self._h * self.bumps.kernel.radius
            out = np.where(q == 0.0, (self._x - radius * factors).min(), (self._x + radius * factors).max())
        for upper in (False, True):
            chosen = np.flatnonzero((q > 0.5) & (q < 1.0) if upper else (q > 0.0) & (q <= 0.5))
            if len(chosen):
                out[chosen] = self._one_tail(q[chosen], upper)
        return out

    def _one_tail(self, q: Floats, upper: bool) -> Floats:
        bumps, h = self.bumps, self._h
        sign = -1.0 if upper else 1.0
        target = np.log1p(-q) if upper else np.log(q)
        # A mixture's quantile lies between the smallest and the largest of its components' quantiles.
        least, most = bumps.kernel.bounds(q)
        small, large = (1.0, 1.0) if bumps.factors is None else (bumps.factors.min(), bumps.factors.max())
        a = self._x.min() + h * (np.minimum(least * small, least * large) - 1e-6 * (1.0 + np.abs(least)))
        b = self._x.max() + h * (np.maximum(most * small, most * large) + 1e-6 * (1.0 + np.abs(most)))
        x = np.clip(self._empirical_quantile(q), a, b)
        active = np.arange(len(q))
        for step in range(MOST_STEPS):
            at = x[active]
            tail = self.small_tail(at, upper=upper)
            excess = sign * (tail - target[active])  # grows with x; zero at the quantile
            a[active] = np.where(excess < 0.0, at, a[active])
            b[active] = np.where(excess < 0.0, b[active], at)
            low, high = a[active], b[active]
            new = low / 2.0 + high / 2.0
            close = np.zeros(len(active), dtype=bool)
            if step % 5 != 4:  # every fifth step halves the bracket, whatever Newton says
                with np.errstate(over="ignore", invalid="ignore"):
                    newton = at - excess * np.exp(tail - self._log_density(at))
                inside = (newton >= low) & (newton <= high)
                new = np.where(inside, newton, new)
                close = inside & (np.abs(new - at) < 1e-8 * h)  # and the next error is the square of this
            x[active] = new
            resolution = 2.0**-52 * np.maximum(np.abs(new), 2.0**-20 * h)
            active = active[~close & (high - low > resolution)]
            if not len(active):
                break
        return x

    def _log_density(self, x: Floats) -> Floats:
        """log density, from the series where there is one: it only steers Newton's steps."""
        if self._series is not None and len(x) * self.bumps.n > MANY_PAIRS:
            return self._series.log_density(x)
        return all_pairs(self.bumps, x[:, None]) + self.bumps.constant

    def _empirical_quantile(self, q: Floats) -> Floats:
        order = np.argsort(self._x, kind="stable")
        weights = self.bumps.log_weights
        shares = np.full(self.bumps.n, 1.0 / self.bumps.n) if weights is None else np.exp(weights[order])
        reached = np.cumsum(shares)
        return self._x[order][np.minimum(np.searchsorted(reached, q), self.bumps.n - 1)]


class _Integral:
    """∫ Σ_k c_k exp(iωx) dx = c_0 x + Σ_{k≠0} c_k/(iω_k) exp(iω_k x), from the lower end of all bumps."""

    def __init__(self, spectrum: Spectrum, span: tuple[float, float]) -> None:
        self.spectrum, self.span = spectrum, span
        n, self._period = spectrum.grid.modes[0], float(spectrum.grid.period[0])
        k = np.arange(-(n // 2), (n + 1) // 2)
        self._density = spectrum.smoothed() / (math.sqrt(2.0 * math.pi) * spectrum.total)
        frequency = k * (2.0 * math.pi / self._period)
        self._mean = float(self._density[n // 2].real)
        with np.errstate(divide="ignore", invalid="ignore"):
            self._modes = np.where(k == 0, 0.0, self._density / (1j * frequency))
        # in whitened units the integral over the whole period is one: its error grows with the period
        self.error = spectrum.grid.error * self._period
        self._start = 0.0
        self._start = float(self.below(np.array([span[0]]))[0])

    @classmethod
    def of(cls, bumps: Bumps, memory: float) -> _Integral | None:
        origin = bumps.points[bumps.n // 2]
        y = bumps.whiten(bumps.points - origin)
        low, high = y.min(axis=0), y.max(axis=0)
        grid = Grid.spanning((low, high), (low - 9.0, high + 9.0))
        if grid.bytes(bumps.n, 1000, 1) > memory:
            return None
        weights = None
        if bumps.log_weights is not None:
            weights = np.exp(bumps.log_weights - bumps.log_weights.max())
        h = bumps.width
        span = (float(origin[0] + h * (low[0] - 9.0)), float(origin[0] + h * (high[0] + 9.0)))
        return cls(Spectrum(bumps, weights, grid, origin), span)

    def below(self, x: Floats) -> Floats:
        """Return the mass below x, within the span, with absolute error ``error``."""
        spectrum = self.spectrum
        z = spectrum.bumps.whiten(x[:, None] - spectrum.origin)[:, 0] - spectrum.grid.centre[0]
        return np.asarray(self._mean * z + spectrum.at(x[:, None], self._modes) - self._start)

    def log_density(self, x: Floats) -> Floats:
        """Return the log density, data units, floored where the series has no say."""
        value = self.spectrum.at(x[:, None], self._density)
        return np.log(np.maximum(value, self.spectrum.grid.error)) + (
            self.spectrum.bumps.constant - self.spectrum.bumps.kernel.log_norm
        )


def _log_difference(a: Floats, b: Floats) -> Floats:
    """Return log(exp(a) - exp(b)) for a >= b."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out = a + np.log(-np.expm1(np.minimum(b - a, 0.0)))
    return np.where(np.isneginf(a) | np.isnan(out), -math.inf, out)
