"""Rows that repeat another row: how many, and whether they are copies or coincidences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pofx.data.diagnose.column import Lattice

__all__ = ["Copies", "copies", "row_keys"]

COARSEST = 4  # columns in which near misses are looked for: they are the most there
COPIED = 3.0  # times as many equal pairs as near misses explain


@dataclass(frozen=True)
class Copies:
    """Rows that repeat another one: how many, and whether chance (rounded values that meet) explains them."""

    repeats: int
    by_chance: bool


def row_keys(values: np.ndarray, without: int | None = None) -> np.ndarray:
    """Return a 64-bit key of each row (n,): equal rows have equal keys, and different ones too with a chance
    of n²/2^65 in all. It is a sum over columns, so that one column can be left out."""
    keys = np.zeros(len(values), dtype=np.uint64)
    for j in range(values.shape[1]):
        if j != without:
            bits = (values[:, j] + 0.0).view(np.uint64) ^ np.uint64((j + 1) * 0x9E3779B97F4A7C15 % 2**64)
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64
                bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
            keys += bits ^ (bits >> np.uint64(31))
    return keys


def copies(values: np.ndarray, keys: np.ndarray, lattices: Sequence[Lattice | None]) -> Copies:
    """Count the rows that repeat another, and tell copies from coincidences.

    Where rounded rows agree by chance, about as many agree in all columns but one and miss each other there
    by one step, or two, or three. Copies have no such company.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        Without missing values.
    keys : ndarray of shape (n,)
        Their keys.
    lattices : d times a Lattice, or None where the column has none
    """
    _, counts = np.unique(keys, return_counts=True)
    repeats = int((counts - 1).sum())
    if repeats == 0 or len(lattices) == 1:  # in one column a repeat is a tie
        return Copies(0, True)
    pairs = float((counts * (counts - 1.0)).sum() / 2.0)
    there = [(lattice.scale, j, lattice) for j, lattice in enumerate(lattices) if lattice is not None]
    by_chance = False
    for scale, j, lattice in sorted(there, key=lambda one: one[:2])[:COARSEST]:
        reach = min(max(int(0.25 * scale), 1), 1_000)  # steps in which a density hardly changes
        near = _chance_pairs(row_keys(values, without=j), lattice.index(values[:, j]), reach)
        if pairs <= COPIED * near:
            by_chance = True
            break
    return Copies(repeats, by_chance)


def _chance_pairs(keys: np.ndarray, index: np.ndarray, reach: int) -> float:
    """Return half the mean number of pairs of rows with equal keys whose indices are 1, 2, ... ``reach``
    apart: as many as should be 0 apart."""
    _, group, size = np.unique(keys, return_inverse=True, return_counts=True)
    alone = size[group] == 1
    group, index = group[~alone], index[~alone]
    values, place = np.unique(index, return_inverse=True)
    gaps = np.minimum(np.diff(values), reach + 1.0).astype(np.int64)
    line = np.concatenate([[0], np.cumsum(gaps)])[: len(values)]  # distances beyond the reach are cut short
    span = int(line[-1]) + reach + 1 if len(line) else 1
    at = np.sort(group.astype(np.int64) * span + line[place])
    near = np.searchsorted(at, at + reach, side="right") - np.searchsorted(at, at, side="right")
    return float(near.sum()) / (2.0 * reach)
