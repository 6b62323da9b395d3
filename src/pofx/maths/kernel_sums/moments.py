r"""Sums of compact polynomial bumps on a line, by moments of dyadic blocks of the sorted points.

On its support such a kernel is a polynomial P(t), t = (x - y)/r, in one piece or two. The points that a
query reaches are a run of the sorted ones, and a run splits into O(log n) dyadic blocks and two short ends.
About a block's own centre c, with u = (x - c)/r and v = (y - c)/r,

    Σ_i w_i P(u - v_i) = Σ_k (-1)^k P^(k)(u)/k! · Σ_i w_i v_i^k,

so a block costs its few moments instead of its points: O(n + m log n) in all.

**Error.** All points of a block lie within the support, so |u| + |v| <= 1 and the terms add up to at most
A = Σ|coefficients of P| times the weight reached: rounding stays below ``ROUNDING * A`` times that weight. A
query whose sum does not exceed this by 1/rtol (all its points near the edge of their bumps) is for another
engine.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

from pofx.maths.kernel_sums.bumps import Bumps
from pofx.threads import map_ordered

__all__ = ["POLYNOMIALS", "Moments"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

POLYNOMIALS: dict[str, tuple[tuple[float, float, tuple[float, ...]], ...]] = {
    "tophat": ((-1.0, 1.0, (1.0,)),),
    "epanechnikov": ((-1.0, 1.0, (1.0, 0.0, -1.0)),),
    "biweight": ((-1.0, 1.0, (1.0, 0.0, -2.0, 0.0, 1.0)),),
    "triweight": ((-1.0, 1.0, (1.0, 0.0, -3.0, 0.0, 3.0, 0.0, -1.0)),),
    "triangular": ((-1.0, 0.0, (1.0, 1.0)), (0.0, 1.0, (1.0, -1.0))),
}
"""Pieces of each kernel: where t lies, and the coefficients of P, lowest first (height 1 at t = 0)."""

SHORT = 16  # points of the smallest block; the ends of a run are summed one by one
ROUNDING = 64 * np.finfo(np.float64).eps
QUERIES_PER_BLOCK = 2**15


class Moments:
    """The sorted points of a sum with their dyadic moments.

    Parameters
    ----------
    bumps : Bumps
        One column, a kernel of :data:`POLYNOMIALS`, no factors.
    weights : (n,) relative weights, or None for ones
    """

    def __init__(self, bumps: Bumps, weights: Floats | None) -> None:
        x = bumps.points[:, 0]
        order = np.argsort(x, kind="stable")
        self.y = x[order]
        self.w = np.ones(len(x)) if weights is None else weights[order]
        self.radius = float(bumps.bandwidth[0]) * bumps.kernel.scale
        self.pieces = POLYNOMIALS[bumps.kernel.name]
        self.degree = max(len(p) for _, _, p in self.pieces) - 1
        self.levels = self._levels()

    def _levels(self) -> list[tuple[Floats, Floats]]:
        """Centres (b,) and moments (b, degree + 1) of the blocks of every level, whole blocks only."""
        found: list[tuple[Floats, Floats]] = []
        size = SHORT
        while size <= len(self.y):
            count = len(self.y) // size
            y = self.y[: count * size].reshape(count, size)
            w = self.w[: count * size].reshape(count, size)
            centre = y[:, size // 2].copy()
            moments = np.empty((count, self.degree + 1))
            if size == SHORT:
                v, power = (y - centre[:, None]) / self.radius, w.copy()
                for k in range(self.degree + 1):
                    moments[:, k] = power.sum(axis=1)
                    power *= v
            else:  # two halves, moved to the new centre
                below, parts = found[-1]
                moments[:] = 0.0
                for half in (0, 1):
                    rows = slice(half, 2 * count, 2)
                    # far beyond the support no query takes this block: any finite number will do
                    step = np.clip((below[rows] - centre) / self.radius, -2.0, 2.0)
                    for k in range(self.degree + 1):
                        for j in range(k + 1):
                            moments[:, k] += comb(k, j) * step ** (k - j) * parts[rows, j]
            found.append((centre, moments))
            size *= 2
        return found

    def sum(self, queries: Floats) -> tuple[Floats, Floats]:
        """Return Σ w P and the bound of its rounding error, (m,) each."""
        x = queries[:, 0]

        def task(start: int) -> tuple[Floats, Floats]:
            return self._block(x[start : start + QUERIES_PER_BLOCK])

        parts = list(map_ordered(task, range(0, len(x), QUERIES_PER_BLOCK)))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _block(self, x: Floats) -> tuple[Floats, Floats]:
        total, weight = np.zeros(len(x)), np.zeros(len(x))
        largest = 0.0
        for low, high, polynomial in self.pieces:
            # t = (x - y)/r in [low, high]; a point at t = 0 between two pieces belongs to the first
            begin = np.searchsorted(self.y, x - high * self.radius, side="left")
            end = np.searchsorted(self.y, x - low * self.radius, side="left" if low == 0.0 else "right")
            self._run(x, begin, np.maximum(end, begin), polynomial, total, weight)
            largest = max(largest, sum(abs(a) for a in polynomial))
        return total, ROUNDING * largest * weight

    def _run(
        self, x: Floats, begin: Ints, end: Ints, polynomial: tuple[float, ...], total: Floats, weight: Floats
    ) -> None:
        """Add P over the points begin to end of each query."""
        left, right = -(-begin // SHORT), end // SHORT  # whole blocks of the lowest level
        short = left > right
        left, right = np.where(short, 0, left), np.where(short, 0, right)
        self._ends(x, begin, np.where(short, end, np.minimum(left * SHORT, end)), polynomial, total, weight)
        self._ends(x, np.where(short, end, np.maximum(right * SHORT, begin)), end, polynomial, total, weight)
        for centre, moments in self.levels:
            if not (left < right).any():
                break
            odd = np.flatnonzero((left < right) & (left % 2 == 1))
            self._blocks(x, odd, left[odd], centre, moments, polynomial, total, weight)
            left[odd] += 1
            odd = np.flatnonzero((left < right) & (right % 2 == 1))
            right[odd] -= 1
            self._blocks(x, odd, right[odd], centre, moments, polynomial, total, weight)
            left, right = left // 2, right // 2

    def _ends(
        self, x: Floats, begin: Ints, end: Ints, polynomial: tuple[float, ...], total: Floats, weight: Floats
    ) -> None:
        """Add P over at most 2 * SHORT points one by one."""
        for k in range(2 * SHORT):
            rows = np.flatnonzero(begin + k < end)
            if not len(rows):
                return
            at = begin[rows] + k
            t = (x[rows] - self.y[at]) / self.radius
            value = np.full(len(rows), polynomial[-1])
            for a in polynomial[-2::-1]:
                value = value * t + a
            total[rows] += self.w[at] * np.maximum(value, 0.0)
            weight[rows] += self.w[at]

    def _blocks(
        self,
        x: Floats,
        rows: Ints,
        blocks: Ints,
        centre: Floats,
        moments: Floats,
        polynomial: tuple[float, ...],
        total: Floats,
        weight: Floats,
    ) -> None:
        """Add P over one whole block for each of these queries."""
        if not len(rows):
            return
        u = (x[rows] - centre[blocks]) / self.radius
        found, degree = np.zeros(len(rows)), len(polynomial) - 1
        own = moments[blocks]
        for k in range(degree + 1):
            # (-1)^k P^(k)(u)/k!, by Horner's rule
            derivative = np.full(len(rows), comb(degree, k) * polynomial[degree])
            for j in range(degree - 1, k - 1, -1):
                derivative = derivative * u + comb(j, k) * polynomial[j]
            found += (-1.0) ** k * derivative * own[:, k]
        total[rows] += found
        weight[rows] += own[:, 0]
