"""Two samples, one distribution? The energy distance, which is zero only where they agree in every respect.

    E(P, Q) = 2 E|X − Y| − E|X − X'| − E|Y − Y'| ≥ 0,   X, X' ~ P and Y, Y' ~ Q independent

(Székely and Rizzo 2004, InterStat 5; 2013, J. Stat. Plan. Inference 143, 1249). With labels c = 1/n for the
rows of one sample and −1/m for those of the other it is −cᵀ D c for the matrix D of their distances, so a
thousand permutations of the labels are one matrix product, and under one distribution all are alike: the
p-value is exact, whatever the distribution and however often values are tied.

The root of E / 2 E|X − Y|, between 0 (the same) and 1 (each a point of its own), is an effect size
without units, and in proportion to a small difference: E itself is a squared distance. The potential
h(z) = E|z − Y| − E|z − X|, whose mean difference is E, says where one sample exceeds the other: it is
largest where X is dense and Y is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

__all__ = ["MOST_PAIRED", "PERMUTATIONS", "Energy", "directions", "energy_test", "sliced_energy"]

PERMUTATIONS = 999
LINES, IN_PLANE = 32, 8  # directions of the sliced distance; in two columns they are evenly spaced
MOST_PAIRED = 1_500  # rows of each sample: their distances take 72 MB, and the test half a second


@dataclass(frozen=True, eq=False)
class Energy:
    """What the energy distance says of two samples.

    Attributes
    ----------
    share : float
        √(E / 2 E|X − Y|), in [0, 1].
    limit : float
        What permutations exceed with probability ``level``, in the same units.
    p_value : float
        Of the permutation test.
    n, m : int
        Rows of the two samples.
    more, fewer : ndarray (d,)
        The row at which the first sample exceeds the second most, and the other way round; data units.
    """

    share: float
    limit: float
    p_value: float
    n: int
    m: int
    more: np.ndarray
    fewer: np.ndarray


def energy_test(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, level: float) -> Energy:
    """Compare two samples by their energy distance, the columns in units of their pooled spread.

    Parameters
    ----------
    x, y : ndarray (n, d), (m, d)
        Finite; at least two rows each.
    rng : Generator
        Draws the permutations.
    level : float
        What ``limit`` belongs to.

    Notes
    -----
    The spread of a column is the interquartile range of both samples together, or their standard deviation
    where that is zero: it does not depend on who is in which sample, so permutations stay exact.
    """
    n, m = len(x), len(y)
    rows = np.concatenate([x, y])
    centre = np.median(rows, axis=0)
    spread = np.ptp(np.quantile(rows, [0.25, 0.75], axis=0), axis=0)
    spread = np.where(spread > 0.0, spread, np.std(rows, axis=0))
    z = (rows - centre) / np.where(spread > 0.0, spread, 1.0)
    distance = cdist(z, z)
    labels = np.concatenate([np.full(n, 1.0 / n), np.full(m, -1.0 / m)])
    shuffled = rng.permuted(np.tile(labels, (PERMUTATIONS, 1)), axis=1)
    every = np.concatenate([labels[None], shuffled])
    potential = every @ distance
    energy = -np.einsum("bi,bi->b", every, potential)
    between = 2.0 * float(distance[:n, n:].mean())
    share = np.sqrt(np.clip(energy / between, 0.0, 1.0)) if between > 0.0 else np.zeros(len(energy))
    own = -potential[0]
    return Energy(
        share=float(share[0]),
        limit=float(np.quantile(share[1:], 1.0 - level)),
        p_value=float((1 + np.count_nonzero(share[1:] >= share[0] - 1e-12)) / (PERMUTATIONS + 1)),
        n=n,
        m=m,
        more=rows[int(own.argmax())],
        fewer=rows[int(own.argmin())],
    )


def directions(d: int) -> np.ndarray:
    """Return directions (L, d), unit vectors: evenly spaced in the plane, else drawn once for every d."""
    if d == 2:
        angle = (np.arange(IN_PLANE) + 0.5) * np.pi / IN_PLANE
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    drawn = np.random.default_rng(2013).standard_normal((LINES, d))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def sliced_energy(x: np.ndarray, y: np.ndarray, lines: np.ndarray) -> float:
    """Return the share √(E / 2 E|X − Y|) with both averaged over directions: O(n log n) instead of O(n²).

    E|θ·(X − Y)| averaged over all θ is E|X − Y| up to a factor that depends on d alone, so the share is that
    of :func:`energy_test` but for the choice of directions. In one column E = 2 ∫ (F − G)² and E|X − Y| =
    ∫ F (1 − G) + G (1 − F) (Székely and Rizzo 2013).

    Parameters
    ----------
    x, y : ndarray (n, d), (m, d)
    lines : ndarray (L, d)
        Unit vectors, for columns divided by their spread in y.
    """
    low, high = np.quantile(y, [0.25, 0.75], axis=0)
    spread = np.where(high > low, high - low, np.std(y, axis=0))
    scaled = lines / np.where(spread > 0.0, spread, 1.0)
    centre = np.median(y, axis=0)
    n, m = len(x), len(y)
    values = np.concatenate([(x - centre) @ scaled.T, (y - centre) @ scaled.T]).T.copy()
    order = np.argsort(values, axis=1)
    before = np.cumsum(order < n, axis=1)[:, :-1]
    f, g = before / n, (np.arange(1, n + m) - before) / m
    step = np.diff(np.take_along_axis(values, order, axis=1), axis=1)
    apart = 2.0 * float((step * (f - g) ** 2).sum())
    between = 2.0 * float((step * (f + g - 2.0 * f * g)).sum())
    return float(np.sqrt(apart / between)) if between > 0.0 else 0.0
