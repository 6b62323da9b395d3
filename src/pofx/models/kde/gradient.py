r"""The gradient of a Gaussian kernel density estimate, and the mean-shift step.

    ∇ log p(x) = H^-1 Σ_i s_i λ_i^-2 (y_i - x),      s_i = bump i's share of p(x)

    m(x) - x   = Σ_i s_i λ_i^-2 (y_i - x) / Σ_i s_i λ_i^-2

The step m(x) - x never descends. At bounds and periods p is a sum over images sx + t of x; each adds its
own gradient, with the sign s, weighted by its share.

References
----------
D. Comaniciu and P. Meer, Mean shift: a robust approach toward feature space analysis, *IEEE Trans. PAMI* 24
(2002).
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...core.params import Params
from ...errors import UnsupportedError
from ...maths.kernel_sums import Bumps, Edges
from ...maths.kernel_sums.folded import reach_of
from ...maths.kernel_sums.nufft import RADIUS, Grid, Spectrum
from ...maths.kernel_sums.tiles import Tiles
from .parts import bumps_of, edges_of

__all__ = ["Slopes", "require_gaussian"]

Floats = NDArray[np.float64]

AROUND = 4.0  # bandwidths about the rows that a Fourier series serves
FEW_ROWS = 20_000  # up to here the tiles are as fast
WORTH = 1e7  # pairs of rows and queries from which it pays
MOST_CELLS = 4e6  # of its fine grid: a tenth of a second a call
LEAST_RTOL = 1e-11


def require_gaussian(params: Params, what: str) -> None:
    """Raise UnsupportedError for kernels that are not smooth."""
    if params.kernel != "gaussian":
        raise UnsupportedError(
            f"{what} needs kernel='gaussian': a {params.kernel} bump has an edge or a flat top, where there "
            "is no gradient to follow. Use kernel='gaussian'; a bandwidth means the same for every kernel."
        )


class Slopes:
    """log density, mean-shift step and gradient at any rows of unit space; the engines are prepared once.

    Parameters
    ----------
    params : Params of a Gaussian estimate
    rtol : float
        Relative error of the density, and of each bump's share in the gradient.
    memory : bytes that a Fourier series may take
    expected : int
        How many rows will be asked in all.
    """

    def __init__(self, params: Params, *, rtol: float, memory: float, expected: int) -> None:
        self.bumps, self.rtol, self.memory = bumps_of(params), rtol, memory
        self.edges = edges_of(params) or Edges.free(self.bumps.d)
        self._expected = expected

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """Return log p (m,) and the mean-shift step (m, d). Bounds are mirrors here: nothing is outside."""
        log_p, pull, mass = self._folded(self.edges.wrap(x))
        return log_p, pull / mass[:, None]

    def gradient(self, x: Floats) -> tuple[Floats, Floats]:
        """Return log p (m,) and its gradient (m, d)."""
        log_p, pull, _ = self._folded(self.edges.wrap(x))
        h = self.bumps.bandwidth
        return log_p, np.asarray(pull / h**2 if h.ndim == 1 else np.linalg.solve(h, pull.T).T)

    def whiten(self, step: Floats) -> Floats:
        """Return steps in bandwidths."""
        return self.bumps.whiten(step)

    # ---------------------------------------------------------------- sums

    def _folded(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Return log p, Σ s_i λ_i^-2 (y_i - x) and Σ s_i λ_i^-2, over all images."""
        if self.edges.none:
            return self._plain(x)
        m, d = x.shape
        log_p, pull, mass = np.full(m, -math.inf), np.zeros((m, d)), np.zeros(m)
        negligible = math.log(max(self.rtol, 1e-16)) - 7.0
        for shell, images in self.edges.shells():
            added = False
            for image in images:
                sign, shift = (np.array(part) for part in zip(*image, strict=True))
                moved = sign * x + shift
                most = reach_of(self.bumps, moved) + self.bumps.constant
                rows = np.flatnonzero((most > log_p + negligible) & ~np.isneginf(most))
                if len(rows) == 0:
                    continue
                added = True
                value, part, weight = self._plain(moved[rows])
                total = np.logaddexp(log_p[rows], value)
                kept, share = np.exp(log_p[rows] - total), np.exp(value - total)
                pull[rows] = kept[:, None] * pull[rows] + share[:, None] * sign * part
                mass[rows] = kept * mass[rows] + share * weight
                log_p[rows] = total
            if shell > 1 and not added:
                break
        return log_p, pull, mass

    def _plain(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        if self._spectrum is None:
            return self._near(x)
        low, high = self._served
        z = self.bumps.whiten(x - self._spectrum.origin)
        log_p, pull, mass = np.full(len(x), math.nan), np.empty_like(x), np.ones(len(x))
        rows = np.flatnonzero(((z >= low) & (z <= high)).all(axis=1))
        if len(rows):
            log_p[rows], pull[rows] = self._fourier(self._spectrum, x[rows])
        rest = np.flatnonzero(np.isnan(log_p))
        if len(rest):
            log_p[rest], pull[rest], mass[rest] = self._near(x[rest])
        return log_p, pull, mass

    def _near(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """By the tiles. With factors the sum of the weights over λ² is taken beside that of the weights."""
        value, step = self._tree.log_sum_and_mean(x, self.rtol / 2.0)
        if self._narrowed is None:
            return value + self.bumps.constant, step, np.ones(len(x))
        squared, step = self._narrowed.log_sum_and_mean(x, self.rtol / 2.0)
        mass = np.exp(squared - value)
        return value + self.bumps.constant, step * mass[:, None], mass

    @cached_property
    def _tree(self) -> Tiles:
        return Tiles(self.bumps)

    @cached_property
    def _narrowed(self) -> Tiles | None:
        """The same bumps, each weight divided by λ²; None without factors."""
        b = self.bumps
        if b.factors is None:
            return None
        lowered = -2.0 * np.log(b.factors) + (0.0 if b.log_weights is None else b.log_weights)
        return Tiles(Bumps(b.points, lowered, b.kernel, b.bandwidth, b.factors))

    # ---------------------------------------------------------------- Fourier series

    @cached_property
    def _spectrum(self) -> Spectrum | None:
        """The rows as a Fourier series, where one pays."""
        b = self.bumps
        pays = b.n > FEW_ROWS and float(b.n) * self._expected > WORTH
        if not pays or b.factors is not None or b.d > 3 or self.rtol < LEAST_RTOL:
            return None
        origin = b.points[b.n // 2]
        z = b.whiten(b.points - origin)
        low, high = z.min(axis=0), z.max(axis=0)
        self._served = (low - AROUND, high + AROUND)
        grid = Grid.spanning((low, high), self._served)
        kept = 16.0 * math.prod(float(v) for v in grid.modes) * (b.d + 2)
        if grid.cells > MOST_CELLS or grid.bytes(b.n, self._expected, 2) + kept > self.memory:
            return None
        weights = None if b.log_weights is None else np.exp(b.log_weights - b.log_weights.max())
        return Spectrum(b, weights, grid, origin)

    @cached_property
    def _modes(self) -> list[NDArray[np.complex128]]:
        """The modes of the sum, and of its derivative along each whitened coordinate."""
        assert self._spectrum is not None
        grid, smooth = self._spectrum.grid, self._spectrum.smoothed()
        out = [smooth]
        for j, (n, period) in enumerate(zip(grid.modes, grid.period, strict=True)):
            shape = [1] * len(grid.modes)
            shape[j] = n
            frequency = np.arange(-(n // 2), (n + 1) // 2) * (2.0 * math.pi / period)
            out.append(smooth * (1j * frequency).reshape(shape))
        return out

    def _fourier(self, spectrum: Spectrum, x: Floats) -> tuple[Floats, Floats]:
        """Return log p and the pull; NaN where the series' error is not within rtol."""
        b = self.bumps
        value, *slopes = (spectrum.at(x, modes) for modes in self._modes)
        # the derivative's modes are at most RADIUS times the sum's
        good = value > RADIUS * spectrum.grid.error * spectrum.total / self.rtol
        top = 0.0 if b.log_weights is None else float(b.log_weights.max())
        with np.errstate(divide="ignore", invalid="ignore"):
            log_p = np.where(good, np.log(value) + top + b.constant, math.nan)
            along = np.stack(slopes, axis=1) / value[:, None]
        if b.bandwidth.ndim == 1:
            return log_p, along * b.bandwidth
        return log_p, along @ np.linalg.cholesky(b.bandwidth).T
