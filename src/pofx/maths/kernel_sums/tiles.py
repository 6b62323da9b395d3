r"""Log sums over pruned tiles of queries × points: exact to a stated relative error in any dimension.

Points and queries are put in the order of a k-d tree and cut into leaves. For one tile of queries the
leaves come nearest first; once the most that all remaining leaves can add is below ``rtol`` times the sum
so far, the rest is left out. ``rtol = 0`` leaves out what is below 1e-17.

For the Gaussian the exponents of a whole tile are one matrix product,

    -|u - v|²/2 = u·v - |u|²/2 - |v|²/2,    u = L^-1 (x - c),  v = L^-1 (y - c),

about the leaf's own centre c, so that expanding the square costs 8 eps (extent/h)² at most; a leaf wider
than ``WIDE`` bandwidths takes direct differences instead. Sums are taken of plain exponentials where the
nearest leaf shows that they cannot underflow, else as streamed logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pofx.maths.kernel_sums.bumps import Bumps, Own
from pofx.maths.kernel_sums.naive import direct_terms
from pofx.maths.kernel_sums.order import Leaves, box_distances, leaves
from pofx.maths.kernel_sums.streaming import LogSum
from pofx.threads import map_ordered

__all__ = ["Tiles"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

POINTS_PER_LEAF = 768
QUERIES_PER_TILE = 160  # 160 × 768 exponents fill one core's cache; halving fills them by half or more
TILES_PER_TASK = 4
REACH = 16.0  # bandwidths: a tile of queries wider than this is cut smaller, or nothing is ever far from it
LEAST = 32
LIKELY = 60.0  # nats below the nearest leaf
WIDE = 64.0  # bandwidths: 8 eps 64² = 7e-12
UNDERFLOW = -600.0
EXACT = 1e-17  # what may be left out at rtol = 0


class Tiles:
    """The points of a sum, ordered once for any number of queries.

    Parameters
    ----------
    bumps : Bumps
    dtype : float64 or float32
        In which exponents are formed and exponentials taken; sums are float64. float32 has twice the speed
        and an error of some 1e-6 times the squared extent of the data in bandwidths.
    """

    def __init__(self, bumps: Bumps, *, dtype: type = np.float64) -> None:
        self.bumps, self.dtype = bumps, dtype
        self._ones = np.ones(POINTS_PER_LEAF)
        origin = bumps.points[len(bumps.points) // 2]
        self._origin = origin
        z = bumps.whiten(bumps.points - origin)
        self.leaves: Leaves = leaves(z, POINTS_PER_LEAF)
        edges = self.leaves.edges
        self._points = bumps.points[self.leaves.order]
        heights = bumps.log_heights
        self._heights = None if heights is None else heights[self.leaves.order]
        self._factors = None if bumps.factors is None else bumps.factors[self.leaves.order]
        starts = edges[:-1]
        self._largest_factor = (
            np.ones(len(starts)) if self._factors is None else np.maximum.reduceat(self._factors, starts)
        )
        # log of the sum of the heights of each leaf: the most it can add at distance zero
        if self._heights is None:
            self._mass = np.log(np.diff(edges).astype(float))
        else:
            top = np.maximum.reduceat(self._heights, starts)
            relative = np.exp(self._heights - np.repeat(top, np.diff(edges)))
            self._mass = top + np.log(np.add.reduceat(relative, starts))
        if not bumps.gaussian:
            self._mass = self._mass + bumps.d * (bumps.kernel.log_density(0.0) - bumps.kernel.log_norm)

    @cached_property
    def _position(self) -> Ints:
        """Where each point stands in the order."""
        position = np.empty(len(self.leaves.order), dtype=np.intp)
        position[self.leaves.order] = np.arange(len(position))
        return position

    @cached_property
    def _centres(self) -> Floats:
        """One of the points of each leaf: a leaf of one row then has no rounding at all."""
        edges = self.leaves.edges
        return self._points[(edges[:-1] + edges[1:] - 1) // 2]

    @cached_property
    def _wide(self) -> NDArray[np.bool_]:
        with np.errstate(over="ignore", invalid="ignore"):
            extent = (self.leaves.high - self.leaves.low).max(axis=1, initial=0.0)
        if self._factors is not None:
            extent = extent / np.minimum.reduceat(self._factors, self.leaves.edges[:-1])
        wide: NDArray[np.bool_] = ~(extent <= WIDE)
        return wide

    @cached_property
    def _expanded(self) -> NDArray[np.floating]:
        """[v/λ², 1/λ² (or 1), log height - |v|²/2λ²] (d + 2, rows), leaf after leaf: the right factor.

        Each leaf's part is contiguous, which short products gain from.
        """
        bumps, edges = self.bumps, self.leaves.edges
        d = bumps.d
        out: NDArray[np.floating] = np.empty((d + 2) * bumps.n, dtype=self.dtype)
        block: NDArray[np.floating] = np.empty((2**16, d + 2), dtype=self.dtype)
        for a in range(0, bumps.n, 2**16):
            b = min(a + 2**16, bumps.n)
            leaf = np.searchsorted(edges, np.arange(a, b), side="right") - 1
            v = bumps.whiten(self._points[a:b] - self._centres[leaf])
            with np.errstate(over="ignore", invalid="ignore"):
                half = -0.5 * np.einsum("ij,ij->i", v, v)
                if self._factors is None:
                    inverse: Floats | float = 1.0
                else:
                    inverse = self._factors[a:b] ** -2.0
                    v, half = v * inverse[:, None], half * inverse
                block[: b - a, :d], block[: b - a, d] = v, inverse
                block[: b - a, d + 1] = half if self._heights is None else half + self._heights[a:b]
            for k in range(leaf[0], leaf[-1] + 1):
                first, last = max(int(edges[k]), a), min(int(edges[k + 1]), b)
                here = self._leaf(out, k)
                here[:, first - edges[k] : last - edges[k]] = block[first - a : last - a].T
        return out

    def _leaf(self, expanded: NDArray[np.floating], k: int) -> NDArray[np.floating]:
        """Return one leaf's part, (d + 2, rows)."""
        a, b = int(self.leaves.edges[k]), int(self.leaves.edges[k + 1])
        height = self.bumps.d + 2
        return expanded[height * a : height * b].reshape(height, b - a)

    # ---------------------------------------------------------------- sums

    def log_sum(self, queries: Floats, rtol: float, own: Own | None = None) -> Floats:
        """Return log s(x) of each query, shape (m,), without ``bumps.constant``.

        ``rtol`` bounds the relative error that pruning may make in s; rounding comes on top.
        """
        return self._run(queries, rtol, own, means=False)[0]

    def log_sum_and_mean(self, queries: Floats, rtol: float) -> tuple[Floats, Floats]:
        """Return log s(x), and the mean of the points weighted by their bumps at x, minus x: (m,), (m, d)."""
        return self._run(queries, rtol, None, means=True)

    def _run(self, queries: Floats, rtol: float, own: Own | None, *, means: bool) -> tuple[Floats, Floats]:
        m = len(queries)
        out = np.empty(m)
        shift = np.empty((m, self.bumps.d) if means else (0, 0))
        if m == 0:
            return out, shift
        log_rtol = math.log(max(rtol, EXACT))
        if m <= QUERIES_PER_TILE and len(self.leaves) == 1:
            rows = [(np.arange(m), np.zeros(self.bumps.d), np.zeros(self.bumps.d))]
        else:
            z = self.bumps.whiten(queries - self._origin)
            groups = leaves(z, QUERIES_PER_TILE, reach=REACH, least=LEAST)
            edges = groups.edges
            rows = [
                (groups.order[edges[k] : edges[k + 1]], groups.low[k], groups.high[k])
                for k in range(len(groups))
            ]

        def task(first: int) -> list[tuple[Ints, Floats, Floats | None]]:
            shape = (2, QUERIES_PER_TILE * POINTS_PER_LEAF)
            buffers: NDArray[np.floating] = np.empty(shape, dtype=self.dtype)
            done = []
            for index, low, high in rows[first : first + TILES_PER_TASK]:
                mine = None if own is None else own.select(index)
                tile = _Tile(self, queries[index], low, high, mine, buffers, means)
                done.append((index, *tile.sum(log_rtol)))
            return done

        for part in map_ordered(task, range(0, len(rows), TILES_PER_TASK)):
            for index, value, mean in part:
                out[index] = value
                if mean is not None:
                    shift[index] = mean
        return out, shift


class _Tile:
    """One tile of queries against the leaves, nearest first."""

    def __init__(
        self,
        tree: Tiles,
        x: Floats,
        low: Floats,
        high: Floats,
        own: Own | None,
        buffers: NDArray[np.floating],
        means: bool,
    ) -> None:
        self.tree, self.x, self.low, self.high = tree, x, low, high
        self.own = own
        self.ratio = None if own is None else own.log_ratio(tree.bumps)
        self.positions = None if own is None else tree._position[own.index]
        self.buffers, self.means = buffers, means

    def sum(self, log_rtol: float) -> tuple[Floats, Floats | None]:
        tree, count = self.tree, len(self.x)
        total = np.zeros(count)
        moment = np.zeros((count, tree.bumps.d)) if self.means else None
        streamed: LogSum | None = None
        double, ones = tree.dtype is np.float64, tree._ones
        floor = -math.inf
        for k, (leaf, remaining) in enumerate(self._nearest_first()):
            if k and remaining <= floor:
                break
            terms = self._terms(leaf)
            if k == 0:
                top = terms.max(axis=1)
                if float(top.min()) < UNDERFLOW or (self.means and not tree.bumps.gaussian):
                    streamed = LogSum(count)
            if streamed is not None:
                before = streamed.largest
                streamed.add(terms)
                floor = float(streamed.value().min()) + log_rtol
                if moment is not None:
                    with np.errstate(invalid="ignore"):
                        moment *= np.exp(np.where(np.isneginf(before), -math.inf, before - streamed.largest))[
                            :, None
                        ]
                    self._add_moment(moment, terms, leaf)
            else:
                np.exp(terms, out=terms)
                total += terms @ ones[: terms.shape[1]] if double else terms.sum(axis=1, dtype=np.float64)
                least = float(total.min())
                floor = (math.log(least) if least > 0.0 else -math.inf) + log_rtol
                if moment is not None:
                    self._add_moment(moment, terms, leaf)
        if streamed is not None:
            value, weight = streamed.value(), streamed.total
        else:
            weight = total
            with np.errstate(divide="ignore"):
                value = np.log(total)
        if moment is not None:
            with np.errstate(invalid="ignore", divide="ignore"):
                moment /= weight[:, None]
        return value, moment

    def _nearest_first(self) -> Iterator[tuple[int, float]]:
        """Yield leaves by the most they can add, with the log of the most that they and all later can."""
        tree = self.tree
        if len(tree.leaves) == 1:
            yield 0, math.inf
            return
        kernel = tree.bumps.kernel
        if tree.bumps.gaussian:
            distance = box_distances(self.low, self.high, tree.leaves)
            most = tree._mass - 0.5 * distance / tree._largest_factor**2
        else:
            edge = kernel.radius * tree._largest_factor[:, None]
            gap = np.maximum(tree.leaves.low - self.high, self.low - tree.leaves.high)
            most = np.where((gap <= edge * (1.0 + 1e-12)).all(axis=1), tree._mass, -math.inf)
        # Sorting all leaves would cost more than the sums in a sparse place: the likely ones first.
        likely = most >= most.max() - LIKELY
        near, far = np.flatnonzero(likely), np.flatnonzero(~likely)
        beyond = -math.inf
        if len(far):
            beyond = float(most[far].max()) + math.log(len(far))
        for some, after in ((near, beyond), (far, -math.inf)):
            order = some[np.argsort(-most[some], kind="stable")]
            backwards = np.logaddexp.accumulate(np.append(after, most[order][::-1]))
            for leaf, remaining in zip(order.tolist(), backwards[:0:-1].tolist(), strict=True):
                if remaining == -math.inf:  # no compact bump reaches this far
                    return
                yield leaf, remaining

    def _terms(self, leaf: int) -> NDArray[np.floating]:
        """Return log of height times kernel for every pair of this tile and this leaf."""
        tree = self.tree
        a, b = int(tree.leaves.edges[leaf]), int(tree.leaves.edges[leaf + 1])
        shape = (len(self.x), b - a)
        tile, spare = (buffer[: shape[0] * shape[1]].reshape(shape) for buffer in self.buffers)
        if tree.bumps.gaussian and not tree._wide[leaf]:
            u = tree.bumps.whiten(self.x - tree._centres[leaf])
            left = np.empty((len(u), u.shape[1] + 2), dtype=tree.dtype)
            left[:, :-2], left[:, -1] = u, 1.0
            with np.errstate(over="ignore"):
                left[:, -2] = np.maximum(-0.5 * np.einsum("ij,ij->i", u, u), -1e300)
            np.dot(left, tree._leaf(tree._expanded, leaf), out=tile)
        else:
            factors = None if tree._factors is None else tree._factors[a:b]
            direct_terms(tree.bumps, self.x.T, tree._points[a:b].T, factors, tile, spare)
            if tree._heights is not None:
                tile += tree._heights[a:b]
        if self.positions is not None and self.ratio is not None:
            r = np.flatnonzero((self.positions >= a) & (self.positions < b))
            tile[r, self.positions[r] - a] += self.ratio[r]
        return tile

    def _add_moment(self, moment: Floats, weights: NDArray[np.floating], leaf: int) -> None:
        """Add Σ weight (y - x), about the leaf's centre."""
        tree = self.tree
        a, b = int(tree.leaves.edges[leaf]), int(tree.leaves.edges[leaf + 1])
        centre = tree._centres[leaf]
        moment += weights @ (tree._points[a:b] - centre) + weights.sum(axis=1)[:, None] * (centre - self.x)
