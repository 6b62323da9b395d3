"""Rows in the order of a k-d tree, cut into leaves with bounding boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Leaves", "box_distances", "leaves"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Leaves:
    """Rows sorted into compact groups.

    Attributes
    ----------
    order : (n,) int
        Row numbers, leaf after leaf.
    edges : (L + 1,) int
        Leaf l holds ``order[edges[l]:edges[l + 1]]``.
    low, high : (L, d)
        The bounding box of each leaf.
    """

    order: Ints
    edges: Ints
    low: Floats
    high: Floats

    def __len__(self) -> int:
        return len(self.edges) - 1


def leaves(z: Floats, most_rows: int, *, reach: float = math.inf, least: int = 1) -> Leaves:
    """Halve the rows at the median of the widest column until no leaf holds more than ``most_rows``.

    A leaf whose box is more than ``reach`` wide is halved further, down to ``least`` rows.

    The tree of a median split depends on the rows alone, so the same rows give the same leaves.
    """
    n, d = z.shape
    order = np.arange(n)
    if d == 1:
        column = z[:, 0]
        if not bool((column[1:] >= column[:-1]).all()):
            order = np.argsort(column, kind="stable")
        z = z[order]
    columns = np.array(z.T, order="C")  # a column along memory: minima and gathers are then fast
    edges = [n]
    stack = [(0, n)]
    low: list[list[float]] = []
    high: list[list[float]] = []
    while stack:  # depth first, right half first: edges come out in falling order
        a, b = stack.pop()
        if d == 1:
            lowest, highest = [float(columns[0, a])], [float(columns[0, b - 1])]
        else:
            lowest = [float(column[a:b].min()) for column in columns]
            highest = [float(column[a:b].max()) for column in columns]
        extents = [most - least for least, most in zip(lowest, highest, strict=True)]
        j = int(np.argmax(extents))
        if b - a <= most_rows and (b - a <= least or not extents[j] > reach):
            edges.append(a)
            low.append(lowest)
            high.append(highest)
            continue
        middle = (b - a) // 2
        if d > 1:
            parted = np.argpartition(columns[j, a:b], middle)
            order[a:b] = order[a:b][parted]
            for column in columns:
                column[a:b] = column[a:b][parted]
        stack += [(a, a + middle), (a + middle, b)]
    return Leaves(order, np.array(edges[::-1]), np.array(low[::-1]), np.array(high[::-1]))


def box_distances(low: Floats, high: Floats, boxes: Leaves) -> Floats:
    """Return the squared distance from the box ``low`` to ``high`` to each leaf's, shape (L,).

    Rounded down a little, so that it stays a lower bound for rows whose coordinates were rounded.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        gap = np.maximum(boxes.low - high, low - boxes.high)
        gap -= 1e-15 * (np.abs(boxes.low) + np.abs(boxes.high) + np.abs(low) + np.abs(high))
        np.maximum(gap, 0.0, out=gap)
        return np.asarray(np.einsum("ij,ij->i", gap, gap))
