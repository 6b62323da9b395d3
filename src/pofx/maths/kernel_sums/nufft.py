r"""Sums of Gaussian bumps in one to three dimensions by the non-uniform fast Fourier transform.

On a period P longer than every difference x - y plus the reach of a bump, the sum of bumps equals its
Fourier series. In whitened coordinates, with angular frequencies ω_k = 2πk/P,

    s(x) = Σ_k exp(iω_k·x) · exp(-|ω_k|²/2) / P^d · Σ_i w_i exp(-iω_k·y_i):

one transform from points to modes (type 1), one product, one from modes to queries (type 2), O(n + m).
All modes up to |ω| = ``RADIUS`` are kept: truncation and aliasing are each below e^{-RADIUS²/2} = 9e-17.

**Error.** Relative to the height of all bumps on one spot, K(0) Σw, the result is off by at most
``5e-14 + 3e-17 Σ_j N_j`` (N_j modes along column j): the tolerance asked of the transforms with a margin,
and the rounding of the phases. A query whose sum does not exceed that by 1/rtol is for another engine.

References
----------
A. H. Barnett, J. F. Magland and L. af Klinteberg, A parallel non-uniform fast Fourier transform library
based on an "exponential of semicircle" kernel, *SIAM J. Sci. Comput.* 41 (2019) C479-C504: the transforms.
L. Greengard and J. Strain, The fast Gauss transform, *SIAM J. Sci. Stat. Comput.* 12 (1991): the problem.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.maths.kernel_sums.bumps import Bumps
from pofx.optional import need
from pofx.threads import map_ordered, thread_count

__all__ = ["Grid", "Spectrum"]

Floats = NDArray[np.float64]

RADIUS = 8.6  # bandwidths, and inverse bandwidths: exp(-8.6²/2) = 9e-17
TOLERANCE = 1e-14  # asked of the transforms
ROUNDING = 5e-14
PER_MODE = 3e-17
POINTS_PER_BLOCK = 2**17  # summed in order: the same bits for any number of threads
QUERIES_PER_BLOCK = 2**19
SMALL_BYTES = 100e6

SPREAD = (45e-9, 140e-9, 1500e-9)  # seconds a point and thread, d = 1, 2, 3; measured
CELL = 30e-9  # seconds a cell of the fine grid


@dataclass(frozen=True)
class Grid:
    """The Fourier series that carries the bumps of some points to some queries.

    Attributes
    ----------
    centre : (d,) in whitened coordinates
        The middle of points and queries.
    period : (d,)
    modes : number of modes along each column, even
    """

    centre: Floats
    period: Floats
    modes: tuple[int, ...]

    @classmethod
    def spanning(
        cls,
        points: tuple[Floats, Floats],
        queries: tuple[Floats, Floats],
        *,
        narrowest: float = 1.0,
        widest: float = 1.0,
    ) -> Grid:
        """Return the grid for points and queries in these boxes (lowest, highest), whitened coordinates.

        ``narrowest`` and ``widest`` are the factors of the bandwidth that it must serve.
        """
        low, high = np.minimum(points[0], queries[0]), np.maximum(points[1], queries[1])
        reach = np.maximum(queries[1] - points[0], points[1] - queries[0])
        period = np.maximum(np.maximum(reach, 0.0) + RADIUS * widest, (high - low) * 1.000001)
        count = RADIUS / narrowest * period / math.pi
        if not np.isfinite(count).all() or count.max() > 2**31:
            count = np.full(len(period), 2.0**31)
        return cls((low + high) / 2.0, period, tuple(2 * math.ceil(c / 2.0) + 2 for c in count))

    @property
    def cells(self) -> float:
        """Cells of the fine grid of one transform (twice the modes along each column)."""
        return math.prod(2.0 * n for n in self.modes)

    @property
    def error(self) -> float:
        """The bound on the error, relative to K(0) Σw."""
        return ROUNDING + PER_MODE * sum(self.modes)

    def blocks(self, n: int) -> int:
        """How many blocks of points are transformed one by one."""
        return max(1, math.ceil(n / self._per_block))

    @property
    def at_once(self) -> int:
        """How many blocks may be under way at a time: two, and more where that is no memory to speak of."""
        return max(2, int(SMALL_BYTES / (16.0 * self.cells + self._per_block * 56.0)))

    @property
    def _per_block(self) -> int:
        """Points in a block: enough that the grid is not the larger part of the work."""
        d = len(self.modes)
        return max(POINTS_PER_BLOCK, int(self.cells * CELL / SPREAD[d - 1]))

    def seconds(self, n: int, m: int, threads: int) -> float:
        """Predict the time of both transforms."""
        d, blocks = len(self.modes), self.blocks(n)
        type_1 = (n * SPREAD[d - 1] + blocks * self.cells * CELL) / min(threads, blocks)
        rounds = 1 if d == 3 else math.ceil(self.blocks(m) / threads)
        type_2 = rounds * self.cells * CELL + m * SPREAD[d - 1] * 1.2 / threads
        return 5e-4 + type_1 + type_2

    def bytes(self, n: int, m: int, threads: int) -> float:
        """Predict the memory of the transforms beyond points and queries."""
        d, at_once = len(self.modes), min(threads, self.blocks(n))
        modes = 16.0 * math.prod(float(v) for v in self.modes)
        fine = 16.0 * self.cells
        block = min(n, self._per_block)
        points = (2 * at_once + 2) * modes + at_once * (fine + block * (16.0 + 16 * d + 8))
        blocks = 1 if d == 3 else min(threads, self.blocks(m))
        asked = min(m, QUERIES_PER_BLOCK if d == 3 else self._per_block)
        queries = 2 * modes + blocks * (fine + asked * (16.0 + 16 * d + 8)) + 8.0 * m
        return max(points, queries)


class Spectrum:
    """The modes of weighted points on a grid, transformed once for any number of queries and widths.

    Parameters
    ----------
    bumps : Bumps
        A Gaussian kernel in 1 to 3 dimensions, without factors. ``whiten`` gives the coordinates.
    weights : (n,) relative weights of the points chosen, largest about 1
    grid : Grid
    origin : (d,) data coordinates of the whitened coordinates' origin
    rows : the points to use; None for all
    """

    def __init__(
        self, bumps: Bumps, weights: Floats | None, grid: Grid, origin: Floats, rows: Any = None
    ) -> None:
        self.bumps, self.grid, self.origin = bumps, grid, origin
        points = bumps.points if rows is None else bumps.points[rows]
        n = len(points)
        size = grid._per_block
        self.total = float(n) if weights is None else float(weights.sum())

        def block(start: int) -> NDArray[np.complex128]:
            finufft = need("finufft", why="this sum goes through a Fourier series")
            part = points[start : start + size]
            strengths = np.ones(len(part), dtype=np.complex128)
            if weights is not None:
                strengths.real = weights[start : start + size]
            transform = getattr(finufft, f"nufft{bumps.d}d1")
            return np.asarray(
                transform(*self._phases(part), strengths, grid.modes, isign=-1, eps=TOLERANCE, nthreads=1)
            )

        starts = range(0, n, size)
        modes: Any = None
        for part in map_ordered(block, starts, most=grid.at_once):
            modes = part if modes is None else modes.__iadd__(part)
        self.modes = modes

    def _phases(self, rows: Floats) -> list[Floats]:
        """Return coordinates (n,) per column with the period mapped to 2π."""
        z = self.bumps.whiten(rows - self.origin)
        z -= self.grid.centre
        z *= 2.0 * math.pi / self.grid.period
        return [np.ascontiguousarray(column) for column in z.T]

    def smoothed(self, factor: float = 1.0) -> NDArray[np.complex128]:
        """Return the modes of the sum of bumps of ``factor`` times the bandwidth, K(0) set to 1."""
        d, out = self.bumps.d, self.modes
        for j in range(d):
            n, period = self.grid.modes[j], float(self.grid.period[j])
            frequency = np.arange(-(n // 2), (n + 1) // 2) * (2.0 * math.pi / period)
            # The bump's own transform over the period, times √(2π) to have height 1.
            line = np.exp(-0.5 * (factor * frequency) ** 2) * (factor * math.sqrt(2.0 * math.pi) / period)
            shape = [1] * d
            shape[j] = n
            out = out * line.reshape(shape)
        return np.asarray(out)

    def at(self, queries: Floats, smoothed: NDArray[np.complex128], rows: Any = None) -> Floats:
        """Return Σ_i w_i exp(-|z_i|²/2) at the queries, shape (m,), with error ``grid.error * total``."""
        finufft = need("finufft", why="this sum goes through a Fourier series")
        m, d = (len(queries) if rows is None else len(rows)), self.bumps.d
        transform = getattr(finufft, f"nufft{d}d2")
        # Our own threads where the grid is small beside the queries; in three columns a grid for each would
        # not fit, and the transform's threads share one (their number does not change the bits).
        size = QUERIES_PER_BLOCK if d == 3 else self.grid._per_block
        threads = thread_count() if d == 3 else 1

        def block(start: int) -> Floats:
            part = slice(start, start + size)
            x = queries[part] if rows is None else queries[rows[part]]
            found = transform(*self._phases(x), smoothed, isign=1, eps=TOLERANCE, nthreads=threads)
            return np.array(found.real)

        starts = range(0, m, size)
        parts = (
            [block(start) for start in starts]
            if d == 3
            else list(map_ordered(block, starts, most=self.grid.at_once))
        )
        return np.concatenate(parts) if parts else np.empty(0)
