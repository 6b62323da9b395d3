"""Where in a plane of two columns one set of rows exceeds the other: a grid of signed differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SignedMap", "most_telling_pair", "signed_map"]

Floats = NDArray[np.float64]
Column = Callable[[int], tuple[Floats, Floats]]

CELLS = 10  # along each column
COARSE = 5  # along each column, where pairs are compared
ALONE, PLANES = 8, 20  # columns all of whose pairs are looked at, and pairs whose correlations differ
BEYOND = 3.0  # standard errors; of a hundred cells one in four maps shows a mark by chance
MARKS = ("--", "-", "·", "+", "++")  # from at most half as many to at least twice as many


@dataclass(frozen=True, eq=False)
class SignedMap:
    """Shares of two sets of rows A and B in the cells of a grid.

    Attributes
    ----------
    columns : tuple of str
        The names of the column across and, unless there is only one, of the column up.
    edges : tuple of ndarray
        The bounds between the cells of each; the outer cells are open.
    share_a, share_b : ndarray (k, l)
        Shares of the rows of A and B, the column across first; l = 1 where there is only one column.
    z : ndarray (k, l)
        (share_b − share_a) in units of its standard error if there were no difference; 0 in empty cells.
    """

    columns: tuple[str, ...]
    edges: tuple[Floats, ...]
    share_a: Floats
    share_b: Floats
    z: Floats

    @property
    def marks(self) -> list[list[str]]:
        """Each cell as one of --, -, ·, +, ++: B has at most half as many rows as A, fewer, no difference
        beyond three standard errors, more, at least twice as many."""
        sign = np.where(np.abs(self.z) > BEYOND, np.sign(self.z), 0.0)
        twofold = np.maximum(self.share_a, self.share_b) >= 2.0 * np.minimum(self.share_a, self.share_b)
        level = (sign * np.where(twofold, 2.0, 1.0)).astype(int) + 2
        return [[MARKS[k] for k in row] for row in level.tolist()]

    @property
    def blank(self) -> bool:
        """Whether no cell differs beyond three standard errors."""
        return bool((np.abs(self.z) <= BEYOND).all())

    def table(self) -> list[list[str]]:
        """Return the marks with the upper bounds of their cells: across in the first row, up at the left."""
        across, up = (_bounds(e) for e in (*self.edges, np.empty(0))[:2])
        corner = self.columns[1] if len(self.columns) > 1 else ""
        rows = [[up[k] if corner else "", *(row[k] for row in self.marks)] for k in range(len(up))]
        return [[corner, *across], *reversed(rows)]

    def text(self, a: str, b: str) -> str:
        """Return the map as text, with these names of the two sets."""
        table = self.table()
        first, rest = (max(len(row[0]) for row in table), max(len(c) for row in table for c in row[1:]))
        lines = [
            row[0].rjust(first) + "".join("  " + cell.center(rest) for cell in row[1:]).rstrip()
            for row in table
        ]
        return "\n".join([self.caption(a, b), *lines])

    def caption(self, a: str, b: str) -> str:
        """Return what the marks say, with these names of the two sets."""
        plane = self.columns[0] + (f" across, {self.columns[1]} up" if len(self.columns) > 1 else "")
        return f"{plane}: + where {b} has more rows than {a}, - where fewer, ++ and -- by a factor of two"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "columns": list(self.columns),
            "edges": [edges.tolist() for edges in self.edges],
            "share_a": self.share_a.tolist(),
            "share_b": self.share_b.tolist(),
            "z": self.z.tolist(),
            "marks": self.marks,
        }


def _bounds(edges: Floats) -> list[str]:
    """Return each cell's upper bound in words; the last has none."""
    words = [f"{edge + 0.0:.4g}" for edge in edges]
    return [*(f"≤{word}" for word in words), f">{words[-1]}"] if words else ["all"]


def most_telling_pair(a: Floats, b: Floats, order: Sequence[int]) -> tuple[int, ...]:
    """Return the two columns in whose plane A and B differ most, by the χ² of a coarse grid.

    Not all of many pairs are looked at: those of the columns that differ most, and those whose rank
    correlations differ most.

    Parameters
    ----------
    a, b : ndarray (n, d), (m, d)
    order : sequence of int
        The columns, the most different first. A single one is returned alone.
    """
    if len(order) < 2:
        return tuple(order)
    n, m, d = len(a), len(b), a.shape[1]
    both = np.concatenate([a, b])
    ranks = np.argsort(np.argsort(both, axis=0, kind="stable"), axis=0, kind="stable").astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.abs(np.corrcoef(ranks[:n], rowvar=False) - np.corrcoef(ranks[n:], rowvar=False))
    most = np.argsort(-np.nan_to_num(np.triu(apart, 1)), axis=None, kind="stable")[:PLANES]
    pairs = {*combinations(sorted(order[:ALONE]), 2)}
    pairs |= {(k // d, k % d) for k in most.tolist() if k // d < k % d}
    place = {}
    for j in {j for pair in pairs for j in pair}:
        cuts = np.unique(np.quantile(both[:, j], np.arange(1, COARSE) / COARSE))
        place[j] = np.searchsorted(cuts, both[:, j])

    def telling(pair: tuple[int, int]) -> float:
        cell = place[pair[0]] * COARSE + place[pair[1]]
        in_a, in_b = (np.bincount(part, minlength=COARSE**2) for part in (cell[:n], cell[n:]))
        total = np.maximum(in_a + in_b, 1)
        return float(((in_a / n - in_b / m) ** 2 / total).sum())

    return max(sorted(pairs), key=telling)


def signed_map(
    pair: Sequence[int], names: Sequence[str], column: Column, decimals: Sequence[int | None]
) -> SignedMap:
    """Count all rows in a grid of one or two columns.

    Parameters
    ----------
    pair : sequence of int
    names, decimals : of all columns
    column : function of j
        All values of a column in A and in B.
    """
    values = [column(j) for j in pair]
    edges = tuple(_edges(np.concatenate(both), decimals[j]) for j, both in zip(pair, values, strict=True))
    shape = tuple(len(e) + 1 for e in edges) + (1,) * (2 - len(edges))
    shares = []
    for side in (0, 1):
        cell = np.searchsorted(edges[0], values[0][side], side="left")
        if len(pair) > 1:
            cell = cell * shape[1] + np.searchsorted(edges[1], values[1][side], side="left")
        counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
        shares.append(counts / len(values[0][side]))
    n, m = len(values[0][0]), len(values[0][1])
    share = (n * shares[0] + m * shares[1]) / (n + m)
    error = np.sqrt(share * (1.0 - share) * (1.0 / n + 1.0 / m))
    z = np.divide(shares[1] - shares[0], error, out=np.zeros(shape), where=error > 0.0)
    return SignedMap(tuple(names[j] for j in pair), edges, shares[0], shares[1], z)


def _edges(values: Floats, decimals: int | None) -> Floats:
    """Return bounds between at most ten or so cells of one width over the middle 98 % of the values.

    They have few digits. Where a cell holds only few values that can occur, bounds lie between such values,
    so that every cell holds as many.
    """
    low, high = (float(v) for v in np.quantile(values, [0.01, 0.99]))
    if not high > low:
        low, high = float(values.min()), float(values.max())
    width = (high - low) / CELLS
    if not (width > 0.0 and math.isfinite(width)):
        return np.empty(0) if not high > low else np.array([low + (high / 2.0 - low / 2.0)])
    step = 0.0 if decimals is None else 10.0**-decimals
    unit = max(step, 10.0 ** math.floor(math.log10(width)) / 2.0)
    width = math.ceil(round(width / unit, 6)) * unit
    first = (math.floor(low / unit) + 1) * unit
    if 20.0 * step > width:
        first += width - unit - step / 2.0
    cuts: Floats = first + width * np.arange(CELLS + 1, dtype=float)
    return cuts[cuts < high]
