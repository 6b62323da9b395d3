"""Which engine sums the bumps: predicted time and memory of each, and the reason for the choice.

===========  ================================================================================
naive        all pairs, direct differences: a few queries, and the reference of every test
tiles        matrix-product tiles over a k-d tree: any kernel, dimension and tolerance
nufft        Fourier series on one grid, d <= 3, Gaussian: many queries over many points
windows      the same on several grids where one would not fit: heavy tails, clusters of two
             scales; what is sparse goes to the tiles
moments      dyadic moments of sorted points: one column, compact polynomial kernels
===========  ================================================================================

Fourier sums have a stated absolute error; queries where that is not below ``rtol`` of the sum itself are
summed again by the tiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pofx.maths.kernel_sums.bumps import Bumps
from pofx.maths.kernel_sums.moments import POLYNOMIALS
from pofx.maths.kernel_sums.naive import MANY_PAIRS
from pofx.maths.kernel_sums.nufft import RADIUS, Grid
from pofx.maths.kernel_sums.order import box_distances, leaves
from pofx.maths.kernel_sums.tiles import POINTS_PER_LEAF

__all__ = ["ENGINES", "MEMORY", "Plan", "Window", "make_plan"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

ENGINES = ("auto", "naive", "tiles", "nufft", "moments")
MEMORY = 512e6  # bytes that an evaluation may take beyond points, queries and answers

FEW_PAIRS = 20_000
PAIR = 1.6e-9  # seconds a pair and thread in a tile, and per column more
PAIR_COLUMN = 0.06e-9
NAIVE_PAIR = 4e-9
COMPACT_PAIR = 6e-9
SAMPLED = (64, 2048)  # queries × points whose distances are looked at
LEAVES_TOUCHED = (3, 6, 14)  # by a small bump, d = 1, 2, 3
QUERIES_PER_NODE = 4096
THREADS = 2  # for which times are predicted: a choice that followed their number would change the bits
WORTH_WINDOWS = 0.3  # seconds of tiles from which a search for windows pays
HOPELESS = 6.0  # bandwidths from all points: exp(-18) is less than a Fourier sum can certify
SHORTEST = 1e-12  # below this rtol Fourier sums certify nothing


@dataclass(frozen=True, eq=False)
class Window:
    """A part of the queries with the grid that serves it.

    Attributes
    ----------
    queries : row numbers, or None for all
    points : row numbers, or None for all
    grid : Grid
    """

    queries: Ints | None
    points: Ints | None
    grid: Grid


@dataclass(frozen=True, eq=False)
class Plan:
    """How a sum will be taken.

    Attributes
    ----------
    engine : {"naive", "tiles", "nufft", "moments"}
    why : the reason, one sentence
    seconds, bytes : predicted for two threads, beyond the rows themselves
    windows : the grids of the Fourier engine; queries of none of them go to the tiles
    """

    engine: str
    why: str
    seconds: float
    bytes: float
    windows: tuple[Window, ...] = ()

    def __str__(self) -> str:
        return f"{self.engine}: {self.why} Predicted: {self.seconds:.2g} s, {self.bytes / 1e6:.0f} MB."


def make_plan(
    bumps: Bumps, queries: Floats, rtol: float, *, engine: str = "auto", memory: float = MEMORY
) -> Plan:
    """Choose the engine for these queries; ``engine`` other than "auto" is obeyed where it can be."""
    n, m, d = bumps.n, len(queries), bumps.d
    pairs = float(n) * m
    seconds = 5e-5 + pairs * NAIVE_PAIR * (1 + d / 4) / (THREADS if pairs >= MANY_PAIRS and m > 1 else 1)
    naive = Plan("naive", "few pairs: every one is visited.", seconds, 2e6 * THREADS)
    if engine == "naive" or (engine == "auto" and pairs <= FEW_PAIRS):
        return naive
    tiles = _tiles_plan(bumps, queries, rtol, memory)
    if engine == "auto" and naive.seconds < tiles.seconds:
        return naive  # a few queries: not worth a tree
    moments = _moments_plan(bumps, m, rtol)
    if moments is not None and (
        engine == "moments" or (engine == "auto" and moments.seconds < tiles.seconds)
    ):
        return moments
    reason = _not_fourier(bumps, rtol)
    if engine in ("tiles", "moments") or reason:
        return Plan("tiles", f"{tiles.why} {reason}".strip(), tiles.seconds, tiles.bytes)
    if engine == "auto" and tiles.seconds < 2e-3:
        return tiles
    box = _box(bumps.whiten(bumps.points - _origin(bumps)))
    asked = bumps.whiten(queries - _origin(bumps))
    inside = ((asked >= box[0] - HOPELESS) & (asked <= box[1] + HOPELESS)).all(axis=1)
    rows = None if inside.all() else np.flatnonzero(inside)
    if rows is not None and not len(rows):
        return tiles
    grid = Grid.spanning(box, _box(asked if rows is None else asked[rows]))
    seconds, size = grid.seconds(n, m, THREADS), grid.bytes(n, m, THREADS)
    modes = " × ".join(f"{v:,}" for v in grid.modes)
    if size <= memory and (engine == "nufft" or seconds < tiles.seconds):
        why = (
            f"a Fourier series of {modes} modes carries {n:,} points to {m:,} queries; visiting near pairs "
            f"would take about {tiles.seconds:.2g} s."
        )
        return Plan("nufft", why, seconds, size, (Window(rows, None, grid),))
    if engine == "auto" and tiles.seconds < WORTH_WINDOWS:
        return tiles
    windows, seconds, size = _windows(bumps, queries, memory, everything=engine == "nufft")
    if windows:
        why = (
            f"one Fourier series would need {modes} modes ({grid.bytes(n, m, THREADS) / 1e6:,.0f} MB); "
            f"{len(windows)} smaller ones where rows are dense, near pairs elsewhere."
        )
        return Plan("nufft", why, seconds, size, windows)
    why = f"one Fourier series would need {modes} modes, and no smaller one pays: near pairs are visited."
    return Plan("tiles", why, tiles.seconds, tiles.bytes)


def _moments_plan(bumps: Bumps, m: int, rtol: float) -> Plan | None:
    if bumps.d > 1 or bumps.factors is not None or bumps.kernel.name not in POLYNOMIALS or rtol < SHORTEST:
        return None
    terms = sum(len(polynomial) for _, _, polynomial in POLYNOMIALS[bumps.kernel.name])
    seconds = 2e-3 + (bumps.n * 3e-8 + m * math.log2(bumps.n + 1) * 2e-8 + m * 4e-7) * terms / THREADS
    why = "runs of the sorted points are summed by the moments of dyadic blocks."
    return Plan("moments", why, seconds, 8.0 * bumps.n * (terms / 8.0 + 3) + 8e6 * THREADS)


def _not_fourier(bumps: Bumps, rtol: float) -> str:
    if not bumps.gaussian:
        return f"Fourier sums are for the Gaussian kernel, not {bumps.kernel.name}."
    if bumps.factors is not None:
        return "Fourier sums need one bandwidth for all points."
    if bumps.d > 3:
        return f"Fourier grids do not fit {bumps.d} columns."
    if rtol < SHORTEST:
        return f"Fourier sums cannot reach rtol = {rtol:g}."
    return ""


def _origin(bumps: Bumps) -> Floats:
    origin: Floats = bumps.points[bumps.n // 2]
    return origin


def _box(z: Floats) -> tuple[Floats, Floats]:
    # column by column: NumPy is slow along the long axis of a narrow array
    return np.array([c.min() for c in z.T]), np.array([c.max() for c in z.T])


def near_radius(n: int, rtol: float) -> float:
    """Return the distance, in bandwidths, beyond which n bumps add less than rtol of one at distance 0."""
    return math.sqrt(2.0 * math.log(max(n, 2) / max(rtol, 1e-17)))


def _tiles_plan(bumps: Bumps, queries: Floats, rtol: float, memory: float) -> Plan:
    """Predict from a sample of pairs how many are near."""
    n, m, d = bumps.n, len(queries), bumps.d
    some = [
        bumps.whiten(rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)] - _origin(bumps))
        for rows, most in zip((queries, bumps.points), SAMPLED, strict=True)
    ]
    if bumps.gaussian:
        reach = near_radius(n, rtol)
        if bumps.factors is not None:
            reach *= float(np.median(bumps.factors))
        with np.errstate(over="ignore", invalid="ignore"):
            squares = sum((a[:, None] - b) ** 2 for a, b in zip(some[0].T, some[1].T, strict=True))
            share = float((np.asarray(squares) < reach * reach).mean())
        each = PAIR + PAIR_COLUMN * d
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            gaps = [np.abs(a[:, None] - b) for a, b in zip(some[0].T, some[1].T, strict=True)]
        share = float((np.maximum.reduce(gaps) < bumps.kernel.radius).mean())
        each = COMPACT_PAIR * d
    touched = LEAVES_TOUCHED[d - 1] * POINTS_PER_LEAF if d <= 3 else n
    visited = min(float(n), share * n * (1.0 + 0.5 * d) + touched)
    seconds = 1e-4 + (n + m) * 1e-6 * 0.5 + visited * m * each / THREADS
    size = min(8.0 * n * (3 * d + 6) + 8.0 * m * (2 * d + 3), memory) + 2e6
    why = f"about {visited:,.0f} of {n:,} points are near a query, in tiles of a k-d tree."
    return Plan("tiles", why, seconds, size)


def _windows(
    bumps: Bumps, queries: Floats, memory: float, *, everything: bool
) -> tuple[tuple[Window, ...], float, float]:
    """Cut the queries into parts, each with the cheaper of a grid of its own and near pairs.

    The parts are the nodes of a k-d tree; from the leaves up, a node takes one grid for all where that is
    cheaper than what its halves take.
    """
    origin = _origin(bumps)
    z, y = bumps.whiten(queries - origin), bumps.whiten(bumps.points - origin)
    points = leaves(y, POINTS_PER_LEAF)
    counts = np.diff(points.edges)
    asked = leaves(z, QUERIES_PER_NODE)
    each = (PAIR + PAIR_COLUMN * bumps.d) / THREADS
    edges = asked.edges.tolist()
    number = {edge: k for k, edge in enumerate(edges)}

    def node(a: int, b: int) -> tuple[float, list[tuple[int, int]]]:
        """Return the least seconds for the queries between two edges, and the ranges that take grids."""
        low = asked.low[number[a] : number[b]].min(axis=0)
        high = asked.high[number[a] : number[b]].max(axis=0)
        near = box_distances(low, high, points) < RADIUS**2
        held = int(counts[near].sum())
        fourier = math.inf
        if held:
            # the points used are those within reach of the box, whatever the leaves hold beyond
            inside = (
                np.maximum(points.low[near].min(axis=0), low - RADIUS),
                np.minimum(points.high[near].max(axis=0), high + RADIUS),
            )
            grid = Grid.spanning(inside, (low, high))
            if grid.bytes(held, b - a, THREADS) <= memory:
                fourier = grid.seconds(held, b - a, THREADS) + held * 1e-8
        if number[b] - number[a] == 1:
            pairs = float(held + POINTS_PER_LEAF) * (b - a) * each
            return (fourier, [(a, b)]) if fourier < (math.inf if everything else pairs) else (pairs, [])
        middle = a + (b - a) // 2
        left, right = node(a, middle), node(middle, b)
        halves = left[0] + right[0]
        return (fourier, [(a, b)]) if fourier < halves else (halves, left[1] + right[1])

    seconds, ranges = node(0, len(queries))
    windows, size = [], 0.0
    for a, b in ranges:
        rows = asked.order[a:b]
        low, high = _box(z[rows])
        near = np.flatnonzero(box_distances(low, high, points) < RADIUS**2)
        chosen = np.concatenate([points.order[points.edges[k] : points.edges[k + 1]] for k in near])
        here = y[chosen]
        chosen = np.sort(chosen[((here >= low - RADIUS) & (here <= high + RADIUS)).all(axis=1)])
        if not len(chosen):
            continue
        grid = Grid.spanning(_box(y[chosen]), (low, high))
        size = max(size, grid.bytes(len(chosen), b - a, THREADS))
        windows.append(Window(rows, chosen, grid))
    return tuple(windows), seconds, size
